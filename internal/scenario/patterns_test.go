package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
	"socsim/soc/graph"
)

// filter is a CPU stage that reads one image and writes another, with a task beside it.
const filter = `apiVersion: socsim/v1
name: x
soc: omap3430
buffers:
  in: {size: 864x656, format: uyvy, exporter: vb2-sg}
  out: {size: 864x656, format: uyvy}
stages:
  - {name: camera, device: isp, sensor: et8ek8-864x656, output: in}
  - {name: filter, device: cpu, input: in, output: out, read: {}, write: {}}
tasks:
  - {name: ui, period: 10ms, work: 3ms, working_set: 4KiB}
`

// setting turns settings, PATH=VALUE, into overrides.
func setting(sets ...string) []conf.Override {
	var o []conf.Override
	for _, s := range sets {
		path, value, _ := strings.Cut(s, "=")
		o = append(o, conf.Override{Path: path, Value: value})
	}
	return o
}

// withEdits loads the filter, which lies in dir, with settings changed.
func withEdits(dir string, sets ...string) (*Loaded, error) {
	return Load(conf.Source{Name: filepath.Join(dir, "x.yaml"), Data: []byte(filter)}, setting(sets...))
}

// refused checks that the settings are refused with a message that has the text.
func refused(t *testing.T, dir, want string, sets ...string) {
	t.Helper()
	if _, err := withEdits(dir, sets...); err == nil {
		t.Errorf("%v was accepted, want %q", sets, want)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("%v: %v\nwant %q", sets, err, want)
	}
}

func written(t *testing.T, name, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAccessPatternsThatContradictThemselvesAreRefused(t *testing.T) {
	const r = "stages.filter.read."
	dir := written(t, "t.din", "0 1000\n2 2000\n")
	for _, c := range []struct {
		want string
		sets []string
	}{
		{"stride: goes with pattern: strided, and here the pattern is sequential", []string{r + "stride=64B"}},
		{"tile: goes with pattern: tiled", []string{r + "pattern=columns", r + "tile=16x16"}},
		{"touches: goes with pattern: random", []string{r + "pattern=columns", r + "touches=5"}},
		{"pattern: strided needs stride", []string{r + "pattern=strided"}},
		{"pattern: tiled needs tile", []string{r + "pattern=tiled"}},
		{"pattern: trace needs trace", []string{r + "pattern=trace"}},
		{"less than the 8 of an access", []string{r + "pattern=strided", r + "stride=4B", r + "access=8B"}},
		{"only one access would be made", []string{r + "pattern=strided", r + "stride=2MiB"}},
		{"only one access would be made", []string{r + "pattern=strided", r + "stride=64B", r + "window=32x8+0+0"}},
		{"reaches beyond the image of 864x656", []string{r + "window=64x64+801+0"}},
		{"reaches beyond the image of 864x656", []string{r + "window=64x64+0+593"}},
		{"give one of them", []string{r + "window=64x64+0+0", r + "fraction=50%"}},
		{"no room for a load or store of 64B", []string{r + "pattern=random", r + "window=31x64+0+0", r + "access=64B"}},
		{"a trace is laid over the buffer", []string{r + "pattern=trace", r + "trace=t.din", r + "window=64x64+0+0"}},
		{"a trace needs at least 64", []string{r + "pattern=trace", r + "trace=t.din", r + "fraction=0.005%"}},
		{"t.din holds no store", []string{"stages.filter.write.pattern=trace", "stages.filter.write.trace=t.din"}},
		{"stride: goes with access: strided, and here the access is random", []string{"tasks.ui.stride=64B"}},
		{"access: strided needs stride", []string{"tasks.ui.access=strided"}},
		{"access: trace needs trace", []string{"tasks.ui.access=trace"}},
		{"less than the 4 of an access", []string{"tasks.ui.access=strided", "tasks.ui.stride=2B"}},
		{"only one access would be made", []string{"tasks.ui.access=strided", "tasks.ui.stride=4KiB"}},
	} {
		refused(t, dir, c.want, c.sets...)
	}
}

func TestAccessPatternsAtTheirBoundsAreAccepted(t *testing.T) {
	const r = "stages.filter.read."
	for _, sets := range [][]string{
		{r + "pattern=strided", r + "stride=8B", r + "access=8B"},
		{r + "pattern=strided", r + "stride=60B", r + "window=32x8+0+0"},
		{r + "window=64x64+800+592"},
		{r + "window=full", r + "fraction=50%"},
		{r + "pattern=random", r + "window=32x64+0+0", r + "access=64B", r + "touches=1"},
		{r + "pattern=tiled", r + "tile=2000x2000"},
		{"tasks.ui.access=strided", "tasks.ui.stride=4092B"},
	} {
		if _, err := withEdits(".", sets...); err != nil {
			t.Errorf("%v: %v", sets, err)
		}
	}
}

func TestATraceIsReadBesideTheScenario(t *testing.T) {
	dir := written(t, "t.lackey", "I  04001000,3\n L 1ffeffe7e8,8\n S 1ffeffe7f0,4\n M 1000,1\n")
	l, err := withEdits(dir, "stages.filter.read.pattern=trace", "stages.filter.read.trace=t.lackey", "tasks.ui.access=trace", "tasks.ui.trace=t.lackey")
	if err != nil {
		t.Fatal(err)
	}
	want := []graph.Record{{Addr: 0x1ffeffe7e8, Bytes: 8}, {Addr: 0x1ffeffe7f0, Bytes: 4, Write: true}, {Addr: 0x1000, Bytes: 1}, {Addr: 0x1000, Bytes: 1, Write: true}}
	for _, x := range []*graph.Trace{l.Stages[1].Read.Trace, l.Tasks[0].Trace} {
		if d := cmp.Diff(want, x.Records); d != "" {
			t.Error(d)
		}
	}
	if text, _ := l.Resolved(); !strings.Contains(string(text), "trace: t.lackey") {
		t.Errorf("the resolved scenario does not name the trace:\n%s", text)
	}
}

func TestAnotherRecordingIsAnotherScenario(t *testing.T) {
	hash := func(text string) string {
		l, err := withEdits(written(t, "t.lackey", text), "tasks.ui.access=trace", "tasks.ui.trace=t.lackey")
		if err != nil {
			t.Fatal(err)
		}
		return l.SHA256
	}
	first := hash(" L 1000,8\n")
	if hash(" L 1000,8\n") != first {
		t.Error("one recording has two hashes")
	}
	for _, other := range []string{" L 1008,8\n", " L 1000,4\n", " S 1000,8\n", " L 1000,8\n L 1000,8\n"} {
		if hash(other) == first {
			t.Errorf("%q has the hash of another recording", other)
		}
	}
}

func TestMistakesInATraceHaveTheirPlace(t *testing.T) {
	dir := written(t, "t.din", "0 1000\n0 xyz\n")
	refused(t, dir, filepath.Join(dir, "t.din")+":2: ", "tasks.ui.access=trace", "tasks.ui.trace=t.din")
	refused(t, dir, "no such file", "tasks.ui.access=trace", "tasks.ui.trace=missing.din")
	refused(t, dir, "is no file", "tasks.ui.access=trace", "tasks.ui.trace=.")
	refused(t, dir, "want the name of a trace", "tasks.ui.access=trace", `tasks.ui.trace=""`)
	dir = written(t, "t.din", "2 1000\n4 0\n")
	refused(t, dir, "neither loads nor stores", "tasks.ui.access=trace", "tasks.ui.trace=t.din")
}

func TestTheExamplesOfPatternsAndTimesLoad(t *testing.T) {
	data, err := os.ReadFile("../../docs/scenario.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"patterns", "times"} {
		_, rest, ok := strings.Cut(string(data), "<!-- example: "+name+" -->\n```yaml\n")
		text, _, ended := strings.Cut(rest, "```")
		if !ok || !ended {
			t.Errorf("docs/scenario.md has no example %s", name)
			continue
		}
		if _, err := Load(conf.Source{Name: name + ".yaml", Data: []byte(text)}, nil); err != nil {
			t.Errorf("example %s: %v", name, err)
		}
	}
}
