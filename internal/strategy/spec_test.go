package strategy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// labels parses a list and returns the labels, or the error's text.
func labels(list, dir string) []string {
	infos, err := Parse(list, dir)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, i := range infos {
		out = append(out, i.Label())
	}
	return out
}

// folder holds tables for a test.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	table := head + "default: range\nparameters:\n  from: {type: size, default: 8KiB, doc: F.}\nrules:\n  - {on: [to-device], size: {at_least: from}, do: clean}\n"
	for name, text := range map[string]string{
		"mine.yaml": table, "my (1).yaml": strings.Replace(table, "mine", "other", 1), "twin.yaml": table, "broken.yaml": "name: x\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestListsOfStrategiesAreRead(t *testing.T) {
	dir := folder(t)
	for list, want := range map[string][]string{
		"range":                                {"range"},
		" range , none,, range,":               {"range", "none"},
		"nvmap(inner=1MiB,outer=512KiB),range": {"nvmap(inner=1MiB,outer=512KiB)", "range"},
		"nvmap( inner = 1024KiB )":             {"nvmap(inner=1MiB)"},
		"nvmap(inner=2MiB),nvmap,nvmap()":      {"nvmap"},
		"nvmap,nvmap(inner=1MiB)":              {"nvmap", "nvmap(inner=1MiB)"},
		"@mine.yaml":                           {"@mine"},
		"@mine.yaml(from=64KiB),@mine.yaml":    {"@mine(from=64KiB)", "@mine"},
		"@my (1).yaml":                         {"@other"},
		"@my (1).yaml(from=1KiB)":              {"@other(from=1KiB)"},
		"@" + filepath.Join(dir, "mine.yaml"):  {"@mine"},
		"ideal-coherent":                       {"ideal-coherent"},
		"powervr(global_flush=false)":          {"powervr(global_flush=false)"},
	} {
		if diff := cmp.Diff(want, labels(list, dir)); diff != "" {
			t.Errorf("%q:\n%s", list, diff)
		}
	}
}

func TestAllStandsForAllStrategiesInAList(t *testing.T) {
	var want []string
	for _, i := range All() {
		want = append(want, i.Name)
	}
	if diff := cmp.Diff(want, labels("all", ".")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(append([]string{"whole", "ideal-coherent"}, append(want[:2:2], want[3:]...)...), labels("whole,ideal-coherent,all", ".")); diff != "" {
		t.Error(diff)
	}
}

func TestMistakesInAListSayWhatIsWrongAndWhatIsNearest(t *testing.T) {
	dir := folder(t)
	for _, c := range []struct{ list, want string }{
		{"", "no strategy is named; there are calibrated, exynos-ion"},
		{" , ", "no strategy is named"},
		{"rnage", `unknown strategy "rnage"; there are calibrated, exynos-ion, fimg2d`},
		{"rnage", `did you mean "range"?`},
		{"nvmaap(inner=1MiB)", `unknown strategy "nvmaap"`},
		{"al", `did you mean "all"?`},
		{"mine.yaml", "a rule table in a file is written @mine.yaml"},
		{"nvmap(innr=1MiB)", `strategy nvmap has no parameter "innr"; there are inner, outer; did you mean "inner"?`},
		{"nvmap(inner=1)", `parameter inner of strategy nvmap: size "1": size needs a unit`},
		{"nvmap(inner)", `"inner" is no parameter: write PARAM=VALUE; there are inner, outer`},
		{"range(inner=1MiB)", `strategy range has no parameter "inner"; there are none`},
		{"nvmap(inner=1MiB,inner=2MiB)", "parameter inner is set twice"},
		{"powervr(global_flush=yes)", "want true or false"},
		{"omap3isp-legacy(pages=-1)", "want a whole number"},
		{"nvmap(inner=1MiB", "a ( is not closed"},
		{"nvmap)", "a ) without a ("},
		{"nvmap(inner=1MiB)x", "at the end"},
		{"nvmap(inner=1MiB)(outer=1MiB)", "one pair of parentheses"},
		{"(inner=1MiB)", "a strategy has no name"},
		{"@", "a file name is missing"},
		{"@min.yaml", `there is no file`},
		{"@min.yaml", `did you mean "mine.yaml"?`},
		{"@.", "is a directory"},
		{"@broken.yaml", "broken.yaml:1:1"},
		{"@mine.yaml(fron=1KiB)", `strategy @mine has no parameter "fron"; there are from; did you mean "from"?`},
		{"@mine.yaml,@twin.yaml", "could not be told apart"},
	} {
		_, err := Parse(c.list, dir)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one that says %q", c.list, err, c.want)
		}
	}
	_, err := Parse("rnage,nvmap(innr=1MiB,inner=3)", dir)
	if n := strings.Count(err.Error(), "\n"); n != 2 {
		t.Errorf("want three mistakes, a line each:\n%v", err)
	}
}

func TestOneWantsOne(t *testing.T) {
	for text, want := range map[string]string{
		"all": "stands for many", "range,none": `unknown strategy "range,none"`, "": "has no name", "nvmap(inner=1MiB,outer=1MiB)": "nvmap(inner=1MiB)",
	} {
		if got := label(One(text, ".")); !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// FuzzParse checks that no list makes Parse panic, and that labels read back as themselves.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"all", "nvmap(inner=2MiB,outer=1KiB),range", "@x.yaml(a=b)", "kgsl(full_cache_threshold=0B)", "a(b)(c", "powervr(global_flush=false,threshold=1GiB)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		if strings.Contains(list, "@") {
			return // files are none of a fuzzer's business
		}
		infos, err := Parse(list, ".")
		if err != nil {
			return
		}
		for _, i := range infos {
			again, err := One(i.Label(), ".")
			if err != nil || again.Label() != i.Label() {
				t.Fatalf("%q: label %s reads back as %s, %v", list, i.Label(), again.Label(), err)
			}
		}
	})
}
