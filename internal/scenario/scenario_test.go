package scenario

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/scenarios"
	"socsim/soc/presets"
)

func TestExpectationsCompareInTheMetricsUnit(t *testing.T) {
	d := &result.Document{}
	d.Set("maintenance.time_per_frame", "ns", result.Int(3_999_999))
	d.Set("cpu.busy", "fraction", result.Ratio(1, 4, 6))
	d.Set("frames.dropped", "frames", result.Int(0))
	d.Set("bytes", "bytes", result.Int(65536))
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"maintenance.time_per_frame < 4ms", true},
		{"maintenance.time_per_frame<3.999999ms", false},
		{"maintenance.time_per_frame <= 3.999999ms", true},
		{"maintenance.time_per_frame == 64KiB", false}, // a size is no time
		{"cpu.busy == 25%", true},
		{"cpu.busy == 0.25", true},
		{"cpu.busy > 0.25", false},
		{"frames.dropped == 0", true},
		{"frames.dropped != 0", false},
		{"frames.dropped >= 1", false},
		{"bytes == 64KiB", true},
		{"no.such.metric == 0", false},
	} {
		e, err := ParseExpectation(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := e.Judge(d); got.OK != c.ok {
			t.Errorf("%s is %v, want %v", c.text, got.OK, c.ok)
		}
	}
}

func TestExpectationsThatCannotBeReadSayWhatIsExpected(t *testing.T) {
	for _, text := range []string{"", "frames.dropped", "== 0", "frames.dropped ==", "frames.dropped = 0", "frames.dropped == many", "a b == 0", "x == " + strings.Repeat("9", 50)} {
		if _, err := ParseExpectation(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzParseExpectation(f *testing.F) {
	f.Add("frames.dropped == 0")
	f.Add("maintenance.time_per_frame < 4ms")
	f.Add("cpu.busy >= 25%")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseExpectation(text)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			return
		}
		if e.Metric == "" || e.Value == nil || e.Value.Sign() < 0 || !slices.Contains(operators, e.Op) {
			t.Fatalf("%q was read as %+v", text, e)
		}
		// Written plainly, it is the same; and exactly one of < and >= holds of any value.
		_, value, _ := strings.Cut(text, e.Op)
		plain, err := ParseExpectation(e.Metric + " " + e.Op + " " + strings.TrimSpace(value))
		if err != nil || plain.Metric != e.Metric || plain.Op != e.Op || plain.Value.Cmp(e.Value) != 0 || plain.Unit != e.Unit {
			t.Errorf("%q was read as %+v, and plainly as %+v, %v", text, e, plain, err)
		}
		d := &result.Document{}
		d.Set(e.Metric, e.Unit, result.Int(4))
		below, above := e, e
		below.Op, above.Op = "<", ">="
		if below.Judge(d).OK == above.Judge(d).OK {
			t.Errorf("4 is both below and not below the value of %q", text)
		}
	})
}

func FuzzLoad(f *testing.F) {
	for _, name := range scenarios.Names() {
		data, _ := scenarios.Read(name)
		f.Add(data, "run.seed", "7")
	}
	f.Add([]byte("include: camera-preview\nparams: {n: 3}\nstages:\n  - {name: faces, every: \"${n}\"}\n"), "params.n", "5")
	f.Add([]byte("include: [zero-copy, still-5mp]\nname: x\nsoc: am335x\n"), "stages", "[]")
	f.Add([]byte("include: scripts\nstrategy: \"@x.yaml\"\n"), "strategy", "threshold(threshold=1MiB)")
	f.Fuzz(func(t *testing.T, data []byte, path, value string) {
		if strings.Contains(string(data)+value, "@") {
			return // rule tables are files, which are none of a fuzzer's business; a scenario of the library includes none either
		}
		var l *Loaded
		var err error
		grown := allocated(func() {
			l, err = Load(conf.Source{Name: "fuzz.yaml", Data: data, Builtin: true}, []conf.Override{{Path: path, Value: value}})
		})
		if grown > uint64(512<<20+200*len(data)) {
			t.Fatalf("%d MiB allocated for %d bytes", grown>>20, len(data))
		}
		if err != nil {
			var errs conf.Errors
			if !errors.As(err, &errs) {
				t.Fatalf("%v is of type %T", err, err)
			}
			for _, e := range errs {
				if e.File == "fuzz.yaml" && (e.Line < 1 || e.Col < 1 || e.Line > bytes.Count(data, []byte("\n"))+bytes.Count(data, []byte("\r"))+strings.Count(string(data), "\u2028")+strings.Count(string(data), "\u2029")+strings.Count(string(data), "\u0085")+2) {
					t.Errorf("position %d:%d: %v", e.Line, e.Col, e)
				}
				if e.Msg == "" || len(e.Error()) > 10_000 {
					t.Errorf("message of %d bytes", len(e.Error()))
				}
			}
			return
		}
		text, err := l.Resolved()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(conf.Source{Name: "resolved.yaml", Data: text}, nil)
		if err != nil {
			t.Fatalf("the resolved scenario does not load: %v\n%s", err, text)
		}
		if again.SHA256 != l.SHA256 {
			t.Errorf("the resolved scenario resolves to something else:\n%s", text)
		}
	})
}

func TestEveryPresetLoadsAndIsValid(t *testing.T) {
	for _, name := range (presets.Set{}).Names("soc") {
		if _, err := Load(conf.Source{Name: name, Data: library(t, "camera-preview")}, []conf.Override{{Path: "soc", Value: name}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range (presets.Set{}).Names("panel") {
		if _, err := Load(conf.Source{Name: name, Data: library(t, "camera-preview")}, []conf.Override{
			{Path: "stages.panel.panel", Value: name}, {Path: "buffers.screen.size", Value: "1024x768"},
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range (presets.Set{}).Names("sensor") {
		if _, err := Load(conf.Source{Name: name, Data: library(t, "camera-preview")}, []conf.Override{
			{Path: "stages.camera.sensor", Value: name}, {Path: "buffers.preview.size", Value: "720x540"}, {Path: "soc.l3.clock", Value: "200MHz"}, {Path: "soc.isp.processing_clock", Value: "100MHz"},
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func library(t *testing.T, name string) []byte {
	t.Helper()
	data, ok := scenarios.Read(name)
	if !ok {
		t.Fatalf("no scenario %s", name)
	}
	return data
}

func TestEstimatedSettingsAreListedUntilTheyAreSet(t *testing.T) {
	has := func(l *Loaded, path string) bool {
		for _, p := range l.Estimated {
			if p == path {
				return true
			}
		}
		return false
	}
	src := conf.Source{Name: "x", Data: library(t, "camera-preview")}
	l, err := Load(src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !has(l, "soc.l3.request_cycles") || has(l, "soc.cpu.clock") {
		t.Errorf("estimated: %v", l.Estimated)
	}
	if l, err = Load(src, []conf.Override{{Path: "soc.l3.request_cycles", Value: "6"}}); err != nil {
		t.Fatal(err)
	}
	if has(l, "soc.l3.request_cycles") {
		t.Error("a setting of the user's own is listed as the preset's estimate")
	}
}

func TestContradictionsAreReportedTogetherAndInOrder(t *testing.T) {
	_, err := Load(conf.Source{Name: "x.yaml", Data: library(t, "camera-preview")}, []conf.Override{
		{Path: "buffers.preview.cpu_mapping", Value: "none"},
		{Path: "tasks.ui.work", Value: "20ms"},
		{Path: "strategy", Value: "rang"},
		{Path: "buffers.screen.cpu_mapping", Value: "cached"},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"needs a mapping", "at most the period", `did you mean "range"`, "must not be mapped cached"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in\n%v", want, err)
		}
	}
}
