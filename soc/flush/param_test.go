package flush

import (
	"strings"
	"testing"

	"socsim/soc/dmaapi"
)

func TestParametersAreReadAndPrinted(t *testing.T) {
	choice := Param{Name: "p", Type: Choice, Choices: []string{"loop", "way"}}
	for _, c := range []struct {
		param Param
		text  string
		value Value
		print string
	}{
		{Param{Type: Size}, "64KiB", 65536, "64KiB"},
		{Param{Type: Size}, "0B", 0, "0B"},
		{Param{Type: Size}, "1024 KiB", 1 << 20, "1MiB"},
		{Param{Type: Size, Auto: true}, "auto", AutoSize, "auto"},
		{Param{Type: Size, Auto: true}, "64KiB", 65536, "64KiB"},
		{Param{Type: Count}, "0", 0, "0"},
		{Param{Type: Count}, "1048576", 1 << 20, "1048576"},
		{Param{Type: Bool}, "true", 1, "true"},
		{Param{Type: Bool}, "false", 0, "false"},
		{choice, "way", 1, "way"},
	} {
		v, err := c.param.Parse(c.text)
		if err != nil || v != c.value || c.param.Format(v) != c.print {
			t.Errorf("%s %q: %d, %v, printed %q, want %d and %q", c.param.Type, c.text, v, err, c.param.Format(v), c.value, c.print)
		}
	}
}

func TestAWrongValueIsAnErrorThatSaysWhatIsWanted(t *testing.T) {
	for _, c := range []struct {
		param      Param
		text, want string
	}{
		{Param{Type: Size}, "64", "needs a unit"},
		{Param{Type: Size}, "2048GiB", "at most 1024GiB"},
		{Param{Type: Size}, "", "write"},
		{Param{Type: Size}, "auto", "auto"},
		{Param{Type: Count}, "-1", "whole number from 0"},
		{Param{Type: Count}, "007", "whole number from 0"},
		{Param{Type: Count}, "1048577", "to 1048576"},
		{Param{Type: Count}, "4KiB", "whole number"},
		{Param{Type: Bool}, "yes", "true or false"},
		{Param{Type: Choice, Choices: []string{"loop", "way"}}, "set", "one of loop, way"},
		{Param{Type: "colour"}, "red", "unknown type"},
	} {
		if _, err := c.param.Parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: error %v, want one that says %q", c.param.Type, c.text, err, c.want)
		}
	}
}

func TestAStrategyGetsItsSettings(t *testing.T) {
	var got Settings
	info := Define(Info{Name: "mine", Params: []Param{
		{Name: "from", Type: Size, Default: "2MiB"},
		{Name: "pages", Type: Count, Default: "8"},
		{Name: "defer", Type: Bool, Default: "false"},
		{Name: "by", Type: Choice, Default: "way", Choices: []string{"loop", "way"}},
		{Name: "upto", Type: Size, Default: "1024KiB"}, // not as it is printed
	}}, func(s Settings) dmaapi.Policy {
		got = s
		return none{}
	})
	var err error
	for _, set := range [][2]string{{"from", "4KiB"}, {"defer", "true"}, {"by", "loop"}, {"from", "8KiB"}} {
		if info, err = info.With(set[0], set[1]); err != nil {
			t.Fatal(err)
		}
	}
	info.New()
	if got.Size("from") != 8192 || got.Count("pages") != 8 || !got.Bool("defer") || got.Choice("by") != "loop" {
		t.Errorf("settings %+v", got)
	}
	if want := "mine(from=8KiB,defer=true,by=loop)"; info.Label() != want {
		t.Errorf("label %s, want %s", info.Label(), want)
	}
	defer func() {
		if recover() == nil {
			t.Error("a parameter that is not there was read")
		}
	}()
	got.Size("pages")
}

func TestADefaultThatIsNoValuePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("accepted")
		}
	}()
	Define(Info{Name: "mine", Params: []Param{{Name: "from", Type: Size, Default: "2"}}}, func(Settings) dmaapi.Policy { return none{} })
}
