package conf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestEncodePrintsAResolvedFile(t *testing.T) {
	runGolden(t, "testdata/encode.txt", func(t *testing.T, text string, sets []string) string {
		s, doc, err := decode(text, sets...)
		if err != nil {
			return err.Error()
		}
		out, err := Encode(&s, WithProvenance(doc.Provenance()))
		if err != nil {
			return err.Error()
		}
		return strings.TrimRight(string(out), "\n")
	})
}

// text draws texts that are hard to print as YAML.
var text = rapid.OneOf(
	rapid.String(),
	rapid.StringMatching(`[a-z :#,'"\[\]{}&*!|>%@\n\t-]{0,12}`),
	rapid.SampledFrom([]string{"", "null", "~", "true", "no", "1", "0x1", ".5", "1e3", "<<", "---", "...", "- a", "a\n", "a\n\nb", "\na", " a", "a ", "a: b", "a #b", "é", "\u0085", "\u2028", "\uFEFF", "a\r\nb", "|", "=", "1:30", "2001-01-01"}),
)

var itemName = rapid.OneOf(rapid.StringMatching(`[0-9]{0,2}[A-Za-z_-][a-z0-9_-]{0,4}`), rapid.SampledFrom([]string{"null", "true", "0x1", "1e3", "preset", "name", "base"}))

func names(t *rapid.T, label string) []string {
	return rapid.SliceOfNDistinct(itemName, 0, 4, rapid.ID[string]).Draw(t, label)
}

func drawCache(t *rapid.T) cache {
	return cache{
		Size: size(rapid.Int64Range(0, 1<<20).Draw(t, "size")), Ways: rapid.Int().Draw(t, "ways"),
		Replacement: policy(rapid.SampledFrom([]string{"", "lru", "random"}).Draw(t, "policy")),
		Banks:       rapid.SliceOfN(rapid.Int(), 0, 30).Draw(t, "banks"),
	}
}

func drawPorts(t *rapid.T) (list []port) {
	for _, name := range names(t, "ports") {
		list = append(list, port{name, rapid.Int().Draw(t, "width"), rapid.Int().Draw(t, "depth")})
	}
	return list
}

func drawScenario(t *rapid.T) scenario {
	s := scenario{common: common{text.Draw(t, "version"), text.Draw(t, "name")}}
	s.SoC = soc{Title: text.Draw(t, "title"), Clock: 5, L2: drawCache(t), Ports: drawPorts(t), Masters: drawPorts(t)}
	s.SoC.Ranges = []range_{{rapid.Uint8().Draw(t, "from"), 2}}
	if rapid.Bool().Draw(t, "gpu") {
		gpu := drawCache(t)
		s.SoC.GPU = &gpu
	}
	for _, name := range names(t, "buffers") {
		s.Buffers = append(s.Buffers, buffer{name, rapid.Int().Draw(t, "count"), rapid.Bool().Draw(t, "cached"), rapid.SliceOfN(text, 0, 3).Draw(t, "tags")})
	}
	for _, name := range append(names(t, "stages"), "", "") {
		st := stage{Name: name, Every: rapid.Int().Draw(t, "every"), Text: text.Draw(t, "text")}
		if rapid.Bool().Draw(t, "read") {
			st.Read = &access{Fraction: ppm(rapid.Int64Range(0, 999_999).Draw(t, "fraction"))}
		}
		s.Stages = append(s.Stages, st)
	}
	return s
}

func TestDecodeReadsWhatEncodePrints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawScenario(t)
		out, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := decode(string(out))
		if err != nil {
			t.Fatalf("%v\nof:\n%s", err, out)
		}
		if diff := cmp.Diff(want, got, exporter, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\nof:\n%s", diff, out)
		}
	})
}

// TestAResolvedFileGivesTheSameResult decodes a file with presets and
// overrides, prints it and decodes that: values, provenance and the print are
// the same.
func TestAResolvedFileGivesTheSameResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sets []string
		for _, o := range []string{
			"soc.l2.ways=8", "soc.l2.ways=4", "soc.l2=l2-512", "soc.l2.preset=l2-512", "soc.ports.display.depth=3", "soc.ports={x: {width: 1}, camera: {depth: 4}}",
			"soc.masters.gpu.width=8", "soc.masters.gpu.width=1", "soc.masters=[{name: gpu}]", "soc.ranges.0.to=2", "soc.ranges=[{to: 2}, {from: 3}]",
			"soc.gpu=l2-256", "soc.gpu.ways=8", "soc=am335x", "soc.preset=dm3730", "stages.a.cache.size=512KiB", "soc.l2.banks.0=1",
		} {
			if rapid.Bool().Draw(t, o) {
				sets = append(sets, o)
			}
		}
		preset := rapid.SampledFrom([]string{"omap3430", "dm3730", "{preset: dm3730, l2: {ways: 8}}"}).Draw(t, "soc")
		file := minimal + "soc: " + preset + "\nstages: [{name: a, cache: {preset: l2-512, ways: 8}}]\n"
		first, doc, err := decode(file, rapid.Permutation(sets).Draw(t, "sets")...)
		if err != nil {
			if strings.Contains(err.Error(), "soc.masters") || strings.Contains(err.Error(), "soc.ranges") {
				return // am335x has none
			}
			if strings.Contains(err.Error(), `unknown path "soc.ports`) {
				return
			}
			t.Fatal(err)
		}
		out, err := Encode(first, WithProvenance(doc.Provenance()))
		if err != nil {
			t.Fatal(err)
		}
		second, doc2, err := decode(string(out))
		if err != nil {
			t.Fatalf("%v\nof:\n%s", err, out)
		}
		if diff := cmp.Diff(first, second, exporter); diff != "" {
			t.Fatalf("values: %s\nof:\n%s", diff, out)
		}
		if diff := cmp.Diff(doc.Provenance(), doc2.Provenance()); diff != "" {
			t.Fatalf("provenance: %s\nof:\n%s", diff, out)
		}
		again, err := Encode(second, WithProvenance(doc2.Provenance()))
		if diff := cmp.Diff(string(out), string(again)); diff != "" || err != nil {
			t.Fatal(diff, err)
		}
	})
}

func TestEncodeRefusesWhatDecodeWouldNotRead(t *testing.T) {
	tests := []struct {
		name string
		v    any
	}{
		{"bad name in a mapping", scenario{Buffers: []buffer{{Name: "a.b"}}}},
		{"no name in a mapping", scenario{Buffers: []buffer{{}}}},
		{"bad name in a list", scenario{Stages: []stage{{Name: "a b"}}}},
		{"no name in a list of named items", scenario{SoC: soc{Masters: []port{{}}}}},
		{"not UTF-8", scenario{common: common{Name: "\xff"}}},
		{"nil item", struct {
			A []*range_ `conf:"a"`
		}{[]*range_{nil}}},
	}
	for _, test := range tests {
		if out, err := Encode(test.v); err == nil {
			t.Errorf("%s: no error:\n%s", test.name, out)
		}
	}
}

func TestListsOfPointersRoundTrip(t *testing.T) {
	type list struct {
		A []*port   `conf:"a,map"`
		B []*range_ `conf:"b"`
		C []*int    `conf:"c"`
	}
	one := 1
	want := list{[]*port{{Name: "x", Width: 2}}, []*range_{{1, 2}}, []*int{&one}}
	out, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	var got list
	if _, err := Decode(Source{Name: "l.yaml", Data: out}, nil, nil, &got); err != nil {
		t.Fatalf("%v\nof:\n%s", err, out)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
