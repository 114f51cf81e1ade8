package exhaust

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"socsim/internal/calibrate"
	"socsim/internal/conf"
	"socsim/internal/strategy"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/memory"
)

var update = flag.Bool("update", false, "rewrite the table in docs/exhaustive.md")

// worldOf is the world of a preset with settings.
func worldOf(t testing.TB, chip string, settings ...conf.Override) *World {
	t.Helper()
	c, err := calibrate.Load(chip, settings, 1)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWorld(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// of is the world of a profile.
func of(t testing.TB, profile string) *World {
	t.Helper()
	chip, ok := ChipOf(profile)
	if !ok {
		t.Fatalf("no chip for %s", profile)
	}
	w := worldOf(t, chip, conf.Override{Path: "soc.coherence", Value: profile})
	w.Speculates = w.Profile.Speculates
	return w
}

func named(t testing.TB, name string) flush.Info {
	t.Helper()
	info, err := strategy.One(name, ".")
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func searched(t testing.TB, w *World, info flush.Info, depth int) *Outcome {
	t.Helper()
	o, err := w.Search(context.Background(), info, depth)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// steps is the path in words.
func steps(o *Outcome) string {
	var list []string
	for _, s := range o.Path {
		list = append(list, o.World.words(s))
	}
	return strings.Join(list, "\n")
}

// reachesAliases tells whether a profile reaches what the process holds under an address of its own, by range.
func reachesAliases(profile string) bool { return profile != "armv5" && profile != "armv6" }

func TestWhatAProfileSaysIsSafeInEveryOrder(t *testing.T) {
	for _, profile := range dmaapi.ProfileNames() {
		for _, name := range []string{"range", "whole", "uncached", "optimal"} {
			o := searched(t, of(t, profile), named(t, name), 40)
			if want := name == "range" && !reachesAliases(profile); o.Failed() != want || !want && !o.Closed {
				t.Errorf("%s under %s: %s\n%s", name, profile, o.Verdict(), steps(o))
			}
		}
	}
}

func TestForgettingEverySyncFailsInAFewStepsUnlessDevicesSnoop(t *testing.T) {
	for _, profile := range dmaapi.ProfileNames() {
		o := searched(t, of(t, profile), named(t, "none"), 40)
		if n := len(o.Path); profile == "coherent" && n > 0 || profile != "coherent" && (n < 2 || n > 5) {
			t.Errorf("%s: %d steps\n%s", profile, n, steps(o))
		}
	}
}

func TestAProfileWithoutSpeculationFailsOnACoreThatSpeculates(t *testing.T) {
	w := of(t, "armv5-all-colours")
	w.Speculates = true
	o := searched(t, w, named(t, "range"), 40)
	if !o.Failed() || o.Violations[0].Kind != memory.StaleCPURead || !strings.Contains(steps(o), "unasked") {
		t.Errorf("%s\n%s", o.Verdict(), steps(o))
	}
}

func TestNoShorterPathFails(t *testing.T) {
	for _, name := range []string{"none", "ion-fault-tracking", "omap3isp-legacy"} {
		w := of(t, "armv7-outer")
		o := searched(t, w, named(t, name), 40)
		if !o.Failed() {
			t.Errorf("%s does not fail", name)
			continue
		}
		if shorter := searched(t, w, named(t, name), len(o.Path)-1); shorter.Failed() || shorter.Closed || shorter.Depth != len(o.Path)-1 {
			t.Errorf("%s: %s, but to the depth before: %s", name, o.Verdict(), shorter.Verdict())
		}
	}
}

func TestAStrategysHistoryIsPartOfTheState(t *testing.T) {
	w := of(t, "armv7")
	w.Whole, w.Devices = true, 1
	forgetful, tracking := searched(t, w, named(t, "range"), 40), searched(t, w, named(t, "skip-sync"), 40)
	if forgetful.Failed() || tracking.Failed() || tracking.States <= forgetful.States {
		t.Errorf("range: %s; skip-sync, which does the same with one device and keeps books: %s", forgetful.Verdict(), tracking.Verdict())
	}
}

// counting has a history of which it says nothing.
type counting struct{ n int }

func (c *counting) Decide(q *dmaapi.Question) dmaapi.Answer {
	c.n++
	return dmaapi.Answer{}
}

func TestAPolicyThatHidesItsHistoryIsRefused(t *testing.T) {
	hidden := flush.Define(flush.Info{Name: "hidden"}, func(flush.Settings) dmaapi.Policy { return &counting{} })
	if _, err := of(t, "armv7").Search(context.Background(), hidden, 3); err == nil || !strings.Contains(err.Error(), "dmaapi.Forker") {
		t.Errorf("error %v", err)
	}
}

func TestASearchEndsWhenItIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := of(t, "armv7").Search(ctx, named(t, "range"), 40); err == nil {
		t.Error("it went on")
	}
}

func TestStatesThatDifferInTheNamesOfVersionsAreOne(t *testing.T) {
	make := func(newest, memory, old version) state {
		var s state
		s.lines[1] = line{newest: newest, memory: memory, inner: [2]copied{{v: old, there: true}, {v: 60, dirty: true}}, outer: copied{v: memory, there: true, dirty: true}}
		s.canonical()
		return s
	}
	a, b := make(3<<writerBits|byCPU, 1<<writerBits|byDevice, 9<<writerBits|zero), make(fresh|byCPU, 7<<writerBits|byDevice, 2<<writerBits|zero)
	if a != b {
		t.Errorf("%+v\n%+v", a, b)
	}
	if c := make(3<<writerBits|byCPU, 1<<writerBits|byDevice, 1<<writerBits|byDevice); a == c {
		t.Errorf("a copy of what memory holds is one of something older: %+v", c)
	}
	if d := make(3<<writerBits|byCPU, 1<<writerBits|byCPU, 9<<writerBits|zero); a == d {
		t.Errorf("the writer does not matter: %+v", d)
	}
}

func TestTheCPUOnlyReadsWhatIsMappedFromDevice(t *testing.T) {
	for dir, want := range map[dmaapi.Direction]int{dmaapi.ToDevice: Lines, dmaapi.FromDevice: 0, dmaapi.Bidirectional: Lines} {
		p, err := of(t, "armv7").start(context.Background(), named(t, "range"))
		if err != nil {
			t.Fatal(err)
		}
		p.play(Step{do: doMap, dir: dir, part: bothLines})
		p.play(Step{do: doSyncForCPU, dir: dir, part: bothLines})
		reads, writes := 0, 0
		for _, s := range p.legal(nil) {
			switch s.do {
			case doCPURead:
				reads++
			case doCPUWrite:
				writes++
			}
		}
		if reads != Lines || writes != want {
			t.Errorf("%v: the CPU reads %d lines and writes %d, want %d and %d", dir, reads, writes, Lines, want)
		}
	}
}

// documented are the worlds of the table in docs/exhaustive.md.
func documented(t testing.TB) (names []string, list []*World) {
	add := func(name string, w *World, change func(w *World)) {
		if change != nil {
			change(w)
		}
		names, list = append(names, name), append(list, w)
	}
	fromDevice := func(w *World) { w.Directions = []dmaapi.Direction{dmaapi.FromDevice} }
	whole := func(w *World) { w.Whole = true }
	add("--profile armv7", of(t, "armv7"), nil)
	add("--profile armv7 --whole", of(t, "armv7"), whole)
	add("--profile armv7-outer", of(t, "armv7-outer"), nil)
	add("--profile armv6", of(t, "armv6"), nil)
	add("--profile armv6-all-colours", of(t, "armv6-all-colours"), nil)
	add("--profile arm64", of(t, "arm64"), nil)
	still := worldOf(t, "omap3430")
	still.Speculates = false
	add("--soc omap3430 --directions FROM_DEVICE", still, fromDevice)
	add("--soc omap4430 --directions FROM_DEVICE", worldOf(t, "omap4430"), fromDevice)
	return names, list
}

func TestTheTableInTheDocsIsWhatTheSearchSays(t *testing.T) {
	names, list := documented(t)
	var b strings.Builder
	fmt.Fprintf(&b, "| strategy | `%s` |\n|%s\n", strings.Join(names, "` | `"), strings.Repeat("---|", len(names)+1))
	for _, info := range strategy.All() {
		if info.Name == calibrate.Strategy {
			continue // what it measures takes the host long; in a buffer of two lines it is range
		}
		fmt.Fprintf(&b, "| %s ", info.Name)
		for _, w := range list {
			o := searched(t, w, info, 40)
			cell := fmt.Sprintf("ok, %d states, depth %d", o.States, o.Depth-1)
			switch {
			case o.Failed():
				cell = fmt.Sprintf("%v, %d steps", o.Kinds()[0], len(o.Path))
			case !o.Closed:
				t.Errorf("%s in %v: %s", info.Name, w, o.Verdict())
			}
			fmt.Fprintf(&b, "| %s ", cell)
		}
		b.WriteString("|\n")
	}
	const name, begin, end = "../../docs/exhaustive.md", "<!-- table: exhaustive -->\n", "<!-- end -->"
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("no table in %s", name)
	}
	if *update {
		if err := os.WriteFile(name, []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != b.String() {
		t.Errorf("the table in %s is out of date; go test ./internal/exhaust -run Docs -update writes\n%s", name, b.String())
	}
}
