package conf

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const minimal = "run: {duration: 1KiB}\n"

// mustDecode decodes a file that has no mistakes.
func mustDecode(t *testing.T, text string, overrides ...string) (scenario, *Document) {
	t.Helper()
	s, doc, err := decode(text, overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return s, doc
}

func TestDecodeFillsEveryKindOfField(t *testing.T) {
	lines := 7
	got, _ := mustDecode(t, `
apiVersion: socsim/v1
name: "camera: preview"
soc:
  clock: 600B
  ports: {camera: {width: 0x10}, display: {depth: 2}}
  ranges: [{from: 1, to: 0xff}]
  gpu: {replacement: fifo, banks: [-1, 1_000]}
run: {duration: 64KiB, seed: -3}
buffers:
  screen: {count: 2, cached: true, tags: [a, "b c", 12]}
  preview: {}
stages:
  - {name: camera}
  - name: faces
    every: 3
    read: {fraction: 25%, lines: 7}
`)
	want := scenario{
		common: common{Version: "socsim/v1", Name: "camera: preview"},
		SoC: soc{
			Clock:  600,
			Ports:  []port{{Name: "camera", Width: 16}, {Name: "display", Depth: 2}},
			Ranges: []range_{{1, 255}},
			GPU:    &cache{Replacement: "fifo", Banks: []int{-1, 1000}},
		},
		Run:     run{Duration: 65536, Seed: -3},
		Buffers: []buffer{{Name: "screen", Count: 2, Cached: true, Tags: []string{"a", "b c", "12"}}, {Name: "preview"}},
		Stages:  []stage{{Name: "camera", Every: 1}, {Name: "faces", Every: 3, Read: &access{Fraction: 250_000, Lines: &lines}}},
	}
	if diff := cmp.Diff(want, got, exporter); diff != "" {
		t.Error(diff)
	}
}

var exporter = cmp.AllowUnexported(scenario{}, soc{}, cache{}, port{}, range_{}, run{}, common{}, access{}, stage{}, buffer{})

func TestDefaultsStayWhereTheFileIsSilent(t *testing.T) {
	gpu := &cache{Ways: 2, Size: 1}
	s := scenario{Run: run{Seed: 9}, SoC: soc{GPU: gpu}}
	_, err := Decode(Source{Name: "s.yaml", Data: []byte("run: {duration: 1B}\nsoc: {gpu: {ways: 4}}\n")}, nil, nil, &s)
	if err != nil {
		t.Fatal(err)
	}
	if s.Run.Seed != 9 || s.SoC.GPU.Size != 1 || s.SoC.GPU.Ways != 4 {
		t.Errorf("got seed %d, gpu %+v", s.Run.Seed, *s.SoC.GPU)
	}
	if gpu.Ways != 2 {
		t.Error("the default behind a pointer was changed")
	}
}

func TestAListReplacesADefaultList(t *testing.T) {
	s := scenario{Buffers: []buffer{{Name: "old", Count: 9, Tags: []string{"x"}}}, Stages: []stage{{Name: "old"}}}
	_, err := Decode(Source{Name: "s.yaml", Data: []byte(minimal + "buffers: {old: {}}\nstages: []\n")}, nil, nil, &s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]buffer{{Name: "old"}}, s.Buffers); diff != "" || s.Stages != nil {
		t.Error(diff, s.Stages)
	}
}

func TestAliasesAndMergeKeysExpand(t *testing.T) {
	s, _ := mustDecode(t, minimal+`
buffers:
  a: &a {count: 1, cached: true}
  b: &b {tags: &tags [x]}
  c: {<<: *a, count: 3}
  d: {count: 4, <<: [*b, *a]}
  e: *a
  f: {tags: *tags}
`)
	want := []buffer{
		{Name: "a", Count: 1, Cached: true},
		{Name: "b", Tags: []string{"x"}},
		{Name: "c", Count: 3, Cached: true},
		{Name: "d", Count: 4, Cached: true, Tags: []string{"x"}},
		{Name: "e", Count: 1, Cached: true},
		{Name: "f", Tags: []string{"x"}},
	}
	if diff := cmp.Diff(want, s.Buffers); diff != "" {
		t.Error(diff)
	}
}

func TestAByteOrderMarkAndWindowsLineEndsAreRead(t *testing.T) {
	s, _ := mustDecode(t, "\uFEFFname: x\r\nrun:\r\n  duration: 1B\r\n")
	if s.Name != "x" || s.Run.Duration != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestSizeLimitsAreKept(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), c-1)
	}
	tests := []struct{ name, text, want string }{
		{"aliases", bomb, "more than 100000 values"},
		{"merges", strings.NewReplacer("[x,x,x,x,x,x,x,x,x,x]", "{x: 1}", "[", "{<<: [", "]", "]}").Replace(bomb), "more than 100000 values"},
		{"depth", strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested deeper than 64 levels"},
		{"great depth", strings.Repeat("[", 1<<20), "nested deeper than 64 levels"},
		{"bytes", strings.Repeat("# comment\n", 1<<19), "more than 4 MiB"},
		{"values", "a: [" + strings.Repeat("1,", 200_000) + "]", "more than 100000 values"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := decode(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %.300v, want %s", err, test.want)
			}
		})
	}
}

func TestPositionPointsToValuesAndToKeysOfBlocks(t *testing.T) {
	_, doc := mustDecode(t, `run:
  duration: 1KiB
soc: {preset: omap3430, l2: {ways: 4}}
buffers:
  preview: {count: 3}
stages:
  - name: faces
    every: 2
`, "run.seed=3")
	tests := []struct {
		path      string
		line, col int
	}{
		{"run", 1, 1},
		{"run.duration", 2, 13},
		{"soc.l2", 3, 29},
		{"soc.l2.ways", 3, 36},
		{"buffers.preview.count", 5, 20},
		{"stages.faces", 7, 5},
		{"stages.faces.every", 8, 12},
		{"soc.l2.size", 0, 0}, // of a preset
		{"run.seed", 0, 0},    // of an override
		{"nothing", 0, 0},
	}
	for _, test := range tests {
		line, col, ok := doc.Position(test.path)
		if line != test.line || col != test.col || ok != (test.line > 0) {
			t.Errorf("%s: at %d:%d %v, want %d:%d", test.path, line, col, ok, test.line, test.col)
		}
	}
}

func TestErrorfPointsToTheNearestPlaceWritten(t *testing.T) {
	_, doc := mustDecode(t, `run:
  duration: 1KiB
soc: omap3430
buffers: {preview: {count: 3}}
`, "run.seed=3")
	tests := []struct{ path, want string }{
		{"buffers.preview.count", "scenario.yaml:4:28: buffers.preview.count: no\n    4 | buffers: {preview: {count: 3}}\n      |                            ^"},
		{"buffers.preview.cached", "scenario.yaml:4:20: buffers.preview.cached: no\n    4 | buffers: {preview: {count: 3}}\n      |                    ^"},
		{"run.seed", "--set run.seed=3: run.seed: no"},
		{"soc.l2.ways", "scenario.yaml:3:6: soc.l2.ways: no (set by preset cache/l2-256)\n    3 | soc: omap3430\n      |      ^"},
		{"stages.faces", "scenario.yaml:1:1: stages.faces: no\n    1 | run:\n      | ^"},
		{"", "scenario.yaml:1:1: no\n    1 | run:\n      | ^"},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, doc.Errorf(test.path, "%s", "no").Error()); diff != "" {
			t.Errorf("%s: %s", test.path, diff)
		}
	}
}

func TestADocumentWithErrorsStillReportsMore(t *testing.T) {
	_, doc, err := decode("run: {duration: 5, seed: 2}\nzebra: 1\n")
	if err == nil || doc == nil {
		t.Fatal(doc, err)
	}
	err = Join(errors.New("elsewhere"), doc.Errorf("run.seed", "must be odd"), nil, fmt.Errorf("load: %w", err))
	var all Errors
	if !errors.As(err, &all) || len(all) != 4 {
		t.Fatalf("got %v", err)
	}
	var paths []string
	for _, e := range all {
		paths = append(paths, e.Path)
	}
	if diff := cmp.Diff([]string{"run.duration", "run.seed", "zebra", ""}, paths); diff != "" {
		t.Error(diff)
	}
	if Join(nil, nil) != nil {
		t.Error("Join of nothing is an error")
	}
}

func TestAWrongStructPanics(t *testing.T) {
	tests := []struct {
		name string
		into any
	}{
		{"no pointer", scenario{}},
		{"no struct", new(int)},
		{"field without tag", &struct{ A int }{}},
		{"floating point", &struct {
			A float64 `conf:"a"`
		}{}},
		{"map", &struct {
			A map[string]int `conf:"a"`
		}{}},
		{"unknown option", &struct {
			A int `conf:"a,optional"`
		}{}},
		{"key twice", &struct {
			A int `conf:"a"`
			B int `conf:"a"`
		}{}},
		{"map without a key", &struct {
			A []range_ `conf:"a,map"`
		}{}},
		{"preset without its field", &struct {
			A range_ `conf:"a,preset=x"`
		}{}},
		{"unexported field", &struct {
			a int `conf:"a"`
		}{}},
		{"list of lists", &struct {
			A [][]int `conf:"a"`
		}{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for range 2 { // the second time from the cache
				func() {
					defer func() {
						if recover() == nil {
							t.Error("no panic")
						}
					}()
					_, _ = Decode(Source{Name: "s.yaml", Data: []byte("a: 1")}, nil, nil, test.into)
				}()
			}
		})
	}
}

func TestNearestFindsMisspellings(t *testing.T) {
	valid := []string{"fraction", "replacement", "line_total", "l2", "l3", "every", "omap3430"}
	tests := []struct{ word, want string }{
		{"fraktion", "fraction"},
		{"fractoin", "fraction"},
		{"Fraction", "fraction"},
		{"line-total", "line_total"},
		{"lineTotal", "line_total"},
		{"evry", "every"},
		{"repl", "replacement"},
		{"omap3431", "omap3430"},
		{"l4", ""},
		{"zebra", ""},
		{"", ""},
		{strings.Repeat("x", 1000), ""},
	}
	for _, test := range tests {
		if got := Nearest(test.word, valid); got != test.want {
			t.Errorf("Nearest(%q) = %q, want %q", test.word, got, test.want)
		}
	}
}

func TestEditDistanceCountsSwapsOnce(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"flaw", "lawn", 2}}
	for _, test := range tests {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
		if got := editDistance(test.b, test.a); got != test.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", test.b, test.a, got, test.want)
		}
	}
}

// largeFiles are files that could take more than linear time, by the number of their settings.
var largeFiles = []struct {
	name string
	text func(n int) string
}{
	{"unknown keys", func(n int) string { return repeat(n, "k%d: 1\n") }},
	{"named items", func(n int) string { return minimal + "stages:\n" + repeat(n/2, " - {name: s%d, every: 2}\n") }},
	{"items by key", func(n int) string { return minimal + "buffers:\n" + repeat(n/2, " b%d: {count: 1}\n") }},
	{"open brackets on one line", func(n int) string { return "a: [" + strings.Repeat("[], ", n) }},
	{"mistakes on one line", func(n int) string { return "{" + repeat(n, "k%d: 1, ") + "}" }},
}

func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestTheErrorsOfALargeFileFitOnAScreen(t *testing.T) {
	for _, file := range largeFiles {
		if _, _, err := decode(file.text(32_000)); err != nil && len(err.Error()) > 20_000 {
			t.Errorf("%s: an error text of %d bytes", file.name, len(err.Error()))
		}
	}
}

// BenchmarkLargeFile shows the rate for files of two sizes side by side: work that grows by the square would have an eighth of the rate for the larger.
func BenchmarkLargeFile(b *testing.B) {
	for _, file := range largeFiles {
		for _, n := range []int{4_000, 32_000} {
			b.Run(fmt.Sprintf("%s/%d", file.name, n), func(b *testing.B) {
				text := file.text(n)
				for b.Loop() {
					_, _, _ = decode(text)
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "settings/s")
			})
		}
	}
}
