package conf

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPresetsBaseLiesUnderIt(t *testing.T) {
	s, _ := mustDecode(t, minimal+"soc: dm3730\n")
	want := soc{
		Preset: "dm3730", Title: "OMAP3430 # not a comment", Clock: 1000,
		L2:      cache{Preset: "l2-256", Size: 256 << 10, Ways: 4, Replacement: "random", Banks: []int{1, 2, 3, 4}},
		Ports:   []port{{"camera", 8, 4}, {"display", 4, 32}},
		Masters: []port{{"cpu", 8, 1}, {"gpu", 8, 6}},
		Ranges:  []range_{{1, 2}},
	}
	if diff := cmp.Diff(want, s.SoC); diff != "" {
		t.Error(diff)
	}
}

func TestTheFileOverridesAPresetLeafByLeaf(t *testing.T) {
	s, _ := mustDecode(t, minimal+`
soc:
  preset: omap3430
  l2: {ways: 2}
  ports: {display: {width: 1}, extra: {width: 2}}
  masters: [{name: gpu, depth: 2}]
  ranges: [{to: 9}]
`)
	want := soc{
		Preset: "omap3430", Title: "OMAP3430 # not a comment", Clock: 600,
		L2:      cache{Preset: "l2-256", Size: 256 << 10, Ways: 2, Replacement: "random", Banks: []int{1, 2, 3, 4}},
		Ports:   []port{{"camera", 8, 4}, {"display", 1, 16}, {"extra", 2, 0}},
		Masters: []port{{"gpu", 8, 2}},
		Ranges:  []range_{{0, 9}},
	}
	if diff := cmp.Diff(want, s.SoC); diff != "" {
		t.Error(diff)
	}
}

func TestNamingAnotherPresetDropsWhatTheFormerSet(t *testing.T) {
	// dm3730 sets soc.l2.ways above its l2-256.
	for _, text := range []string{"soc: {preset: dm3730, l2: l2-512}\n", "soc: {preset: dm3730, l2: {preset: l2-512}}\n"} {
		s, _ := mustDecode(t, minimal+text)
		if s.SoC.L2.Ways != 8 || s.SoC.L2.Size != 512<<10 {
			t.Errorf("%s: got %+v", text, s.SoC.L2)
		}
	}
	s, _ := mustDecode(t, minimal+"soc: {preset: dm3730, l2: l2-256}\n")
	if s.SoC.L2.Ways != 4 {
		t.Errorf("naming the same preset: got %+v", s.SoC.L2)
	}
}

func provenance(list []Provenance, prefix string) []string {
	var out []string
	for _, p := range list {
		word := "source"
		if p.Estimated {
			word = "estimated"
		}
		if len(p.Path) >= len(prefix) && p.Path[:len(prefix)] == prefix {
			out = append(out, p.Path+" "+word+": "+p.Note)
		}
	}
	return out
}

func TestProvenanceFollowsTheLeafInForce(t *testing.T) {
	_, doc := mustDecode(t, minimal+"soc: dm3730\n")
	want := []string{
		"soc.clock source: data sheet",
		"soc.l2.banks estimated: banks",
		"soc.l2.replacement estimated: no source says",
		"soc.l2.size source: TRM",
		"soc.l2.ways estimated: guess",
		"soc.masters.cpu.depth source: TRM",
		"soc.masters.cpu.width source: TRM",
		"soc.masters.gpu.depth estimated: like its neighbour",
		"soc.masters.gpu.width source: TRM",
		"soc.ports.camera.depth source: TRM, table 1",
		"soc.ports.camera.width source: TRM, table 1",
		"soc.ports.display.depth source: errata",
		"soc.ports.display.width source: TRM, table 2",
		"soc.ranges.0.from source: TRM",
		"soc.ranges.0.to source: TRM",
		"soc.title source: data sheet",
	}
	if diff := cmp.Diff(want, provenance(doc.Provenance(), "")); diff != "" {
		t.Error(diff)
	}
}

func TestAChangedValueLosesItsProvenanceAndARepeatedOneKeepsIt(t *testing.T) {
	tests := []struct {
		name, text string
		sets       []string
		want       []string
	}{
		{"changed", "soc: {preset: omap3430, l2: {ways: 1, size: 1KiB, banks: [1]}}\n", []string{"soc.l2.replacement=lru"}, nil},
		{
			"repeated", "soc: {preset: omap3430, l2: {ways: 8, size: 262144B, banks: [1, 2, 3, 4]}}\n",
			[]string{"soc.l2.replacement=random"},
			[]string{"soc.l2.banks estimated: banks", "soc.l2.replacement estimated: no source says", "soc.l2.size source: TRM", "soc.l2.ways source: TRM"},
		},
		{
			"the lower of two presets", "soc: {preset: dm3730, l2: {ways: 8}}\n", nil, // l2-256 has 8, dm3730 has 4
			[]string{"soc.l2.banks estimated: banks", "soc.l2.replacement estimated: no source says", "soc.l2.size source: TRM"},
		},
		{"no preset", "soc: {l2: {ways: 8}}\n", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, doc := mustDecode(t, minimal+test.text, test.sets...)
			if diff := cmp.Diff(test.want, provenance(doc.Provenance(), "soc.l2.")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCommentsOfALineAreFound(t *testing.T) {
	tests := []struct{ line, want string }{
		{"a: 1 # x", " x"},
		{"a: 1", ""},
		{`a: "b # c" # x`, " x"},
		{`a: 'it''s # c' # x`, " x"},
		{`a: "\" # c" # x`, " x"},
		{"a: b#c # x", " x"},
		{"a: it's # x", " x"},
		{`a: {b: "#", c: '#'} # x`, " x"},
		{`- "# no" # x`, " x"},
		{"a: 5\t# x", " x"},
	}
	for _, test := range tests {
		if got := lineComment(test.line); got != test.want {
			t.Errorf("%s: got %q, want %q", test.line, got, test.want)
		}
	}
}
