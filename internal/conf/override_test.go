package conf

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestAnOverrideSetsFieldsTheFileDoesNotWrite(t *testing.T) {
	s, _ := mustDecode(t, minimal+"stages: [{name: faces}]\n", "run.seed=7", "stages.faces.read.fraction=50%", "soc.gpu.ways=2", "name=x y")
	if s.Run.Seed != 7 || s.Stages[0].Read.Fraction != 500_000 || s.SoC.GPU.Ways != 2 || s.Name != "x y" {
		t.Errorf("got %+v", s)
	}
}

func TestAnOverrideReachesInsideAPreset(t *testing.T) {
	s, _ := mustDecode(t, minimal+"soc: omap3430\n",
		"soc.l2.replacement=lru", "soc.ports.display.depth=5", "soc.masters.gpu.width=9", "soc.ranges.0.to=3", "soc.l2.banks.1=7")
	if s.SoC.Preset != "omap3430" || s.SoC.L2.Preset != "l2-256" || s.SoC.L2.Replacement != "lru" || s.SoC.L2.Size != 256<<10 {
		t.Errorf("got %+v", s.SoC)
	}
	if diff := cmp.Diff([]port{{"camera", 8, 4}, {"display", 4, 5}}, s.SoC.Ports); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]port{{"cpu", 8, 1}, {"gpu", 9, 6}}, s.SoC.Masters); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]range_{{1, 3}}, s.SoC.Ranges); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 7, 3, 4}, s.SoC.L2.Banks); diff != "" {
		t.Error(diff)
	}
}

func TestOverridesDoNotChangeThePresetItself(t *testing.T) {
	s, _ := mustDecode(t, minimal+"stages:\n  - {name: a, cache: l2-256}\n  - {name: b, cache: l2-256}\n", "stages.a.cache.banks.0=9", "stages.a.cache.ways=1")
	if s.Stages[1].Cache.Banks[0] != 1 || s.Stages[1].Cache.Ways != 8 || s.Stages[0].Cache.Banks[0] != 9 {
		t.Errorf("got %+v and %+v", s.Stages[0].Cache, s.Stages[1].Cache)
	}
}

func TestAnOverrideOfTheWholeSwapsThePreset(t *testing.T) {
	s, _ := mustDecode(t, minimal+"soc: {preset: omap3430, clock: 1B}\n", "soc=am335x")
	if s.SoC.Preset != "am335x" || s.SoC.Clock != 720 || s.SoC.L2.Size != 128<<10 {
		t.Errorf("got %+v", s.SoC)
	}
}

func TestAnOverrideOfThePresetNameKeepsTheFilesChanges(t *testing.T) {
	s, _ := mustDecode(t, minimal+"soc: {preset: omap3430, clock: 1B}\n", "soc.preset=am335x")
	if s.SoC.Preset != "am335x" || s.SoC.Clock != 1 || s.SoC.Title != "AM335x" {
		t.Errorf("got %+v", s.SoC)
	}
}

func TestThePresetIsSwappedBeforeItsValuesAreSet(t *testing.T) {
	for _, order := range [][]string{
		{"soc.l2.ways=3", "soc.l2.preset=l2-512", "soc=am335x", "soc.clock=5B"},
		{"soc=am335x", "soc.clock=5B", "soc.l2.preset=l2-512", "soc.l2.ways=3"},
	} {
		s, _ := mustDecode(t, minimal+"soc: omap3430\n", order...)
		if s.SoC.Preset != "am335x" || s.SoC.Clock != 5 || s.SoC.L2.Ways != 3 || s.SoC.L2.Size != 512<<10 {
			t.Errorf("%v: got %+v", order, s.SoC)
		}
	}
}

func TestAnOverrideReplacesASubtreeAboveItsPreset(t *testing.T) {
	s, _ := mustDecode(t, minimal+"soc: {preset: omap3430, l2: {ways: 1, banks: [9]}}\nstages: [{name: a}]\n",
		"soc.l2={replacement: fifo}", "stages=[{name: x, every: 5}, {name: y}]", "buffers={b: {count: 2}}")
	want := cache{Preset: "l2-256", Size: 256 << 10, Ways: 8, Replacement: "fifo", Banks: []int{1, 2, 3, 4}}
	if diff := cmp.Diff(want, s.SoC.L2); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]stage{{Name: "x", Every: 5}, {Name: "y", Every: 1}}, s.Stages); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]buffer{{Name: "b", Count: 2}}, s.Buffers); diff != "" {
		t.Error(diff)
	}
}

func TestTheLastOfEqualOverridesWins(t *testing.T) {
	s, _ := mustDecode(t, minimal, "run.seed=1", "run.seed=2")
	if s.Run.Seed != 2 {
		t.Errorf("got %d", s.Run.Seed)
	}
}

func TestOverrideValuesArePlainTextUnlessBracketedOrQuoted(t *testing.T) {
	for value, want := range map[string]string{
		"@rules.yaml": "@rules.yaml", "nvmap(inner=2MiB,outer=1MiB)": "nvmap(inner=2MiB,outer=1MiB)",
		"a: b": "a: b", " x # y ": "x # y", `"null"`: "null", `""`: "", "'it''s'": "it's", "%": "%",
	} {
		s, _ := mustDecode(t, minimal, "name="+value)
		if s.Name != want {
			t.Errorf("%s: got %q", value, s.Name)
		}
	}
}

func TestOverridesThatAreNotUTF8AreRefused(t *testing.T) {
	for _, o := range []string{"name=a\xb7", "na\xb7me=a", "soc.\xf2={ways: 1}"} {
		_, _, err := decode(minimal, o)
		if err == nil || !utf8.ValidString(err.Error()) || !strings.Contains(err.Error(), "\uFFFD") {
			t.Errorf("%q: got %q", o, err)
		}
	}
}

func TestErrorsNameTheOriginOfAnOverride(t *testing.T) {
	var s scenario
	_, err := Decode(Source{Name: "s.yaml", Data: []byte(minimal)}, []Override{{Path: "run.seed", Value: "x", Origin: "study.yaml: axis seed,"}}, nil, &s)
	if want := `study.yaml: axis seed, run.seed=x: expected a plain integer such as 4, found "x"`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %v", err, want)
	}
}
