package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/scenario"
	"socsim/internal/strategy"
	"socsim/scenarios"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
)

// overrides turns PATH=VALUE strings into overrides.
func overrides(sets ...string) []conf.Override {
	var out []conf.Override
	for _, s := range sets {
		path, value, _ := strings.Cut(s, "=")
		out = append(out, conf.Override{Path: path, Value: value})
	}
	return out
}

// short is a run of some fifteen frames.
var short = []string{"run.duration=500ms"}

// under runs scenarios under strategies and returns the documents in order.
func under(t *testing.T, s *scenario.Loaded, strategies ...string) []*result.Document {
	t.Helper()
	var jobs []Job
	for _, name := range strategies {
		info, err := strategy.One(name, ".")
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, Job{Scenario: s, Strategy: info})
	}
	docs, err := Run(context.Background(), jobs, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

func value(d *result.Document, metric string) int64 { return d.Metrics[metric].Value.Int }

func TestNoneReadsStaleLinesUnderRandomReplacementAndHardlyAnyUnderLRU(t *testing.T) {
	const analysed = 7 // every second of the 14 or 15 frames of 500 ms
	random := under(t, load(t, "camera-preview", short...), "none")[0]
	if n := value(random, "coherency.stale_cpu_reads"); n < 100*analysed {
		t.Errorf("random replacement: %d stale lines, want at least %d", n, 100*analysed)
	}
	lru := under(t, load(t, "camera-preview", append(short, "soc.l2.replacement=lru")...), "none")[0]
	if n := value(lru, "coherency.violations"); n > analysed {
		t.Errorf("LRU: %d violations, want next to none", n)
	}
}

func TestNoneOnTheFilterReportsStaleDeviceReads(t *testing.T) {
	d := under(t, load(t, "cpu-filter", short...), "none")[0]
	if value(d, "coherency.stale_device_reads") == 0 {
		t.Error("the GPU read no stale line, although the filter's stores were never cleaned")
	}
}

// pipelines lists the scenarios of the library that pass frames along. The others are scripts of drivers' bugs.
func pipelines(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(scenarios.Names(), func(name string) bool { return len(load(t, name).Script) > 0 })
}

func TestCorrectStrategiesAreSilentOnTheWholeLibrary(t *testing.T) {
	for _, name := range pipelines(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := load(t, name)
			if s.Run.Duration > 500*1e9 {
				s = load(t, name, short...)
			}
			for _, d := range under(t, s, "range", "whole", "uncached") {
				for _, v := range d.Violations {
					switch { // the lesson of some
					case name == "stale-tlb" && v.Kind == "stale_translation", name == "alias-vipt" && d.Strategy == "range", name == "fence-too-early" && d.Strategy == "range":
						continue
					}
					t.Errorf("%s: %+v", d.Strategy, v)
					break
				}
				want := int64(s.Run.Duration) / 36e9 // of 30 a second, those that end in time
				switch name {
				case "bus-starved": // loses half of them, which is its lesson
					want = 7
				case "still-5mp": // 12 a second
					want = 6
				case "video-encoder": // loses some while it reads uncached, which is its lesson
					want = 7
				}
				if _, ok := d.Metrics["frames.captured"]; ok && value(d, "frames.captured") < want {
					t.Errorf("%s: captured %d frames", d.Strategy, value(d, "frames.captured"))
				}
			}
		})
	}
}

func TestTheLibrarysExpectationsHold(t *testing.T) {
	for _, name := range scenarios.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := load(t, name)
			if len(s.Expect) == 0 {
				t.Error("no expect block")
			}
			for _, e := range under(t, s, s.Strategy)[0].Expect {
				if !e.OK {
					t.Errorf("%s: value %v", e.Expr, e.Value)
				}
			}
		})
	}
}

func TestThereAre59FramesInTwoSeconds(t *testing.T) {
	d := under(t, load(t, "camera-preview"), "range")[0]
	if n := value(d, "frames.captured"); n != 59 {
		t.Errorf("captured %d frames in 2 s of 33.4656 ms each, want 59", n)
	}
	if a, b := value(d, "frames.displayed"), value(d, "frames.repeated"); a+b < 114 || a+b > 115 || b < 50 {
		t.Errorf("displayed %d and repeated %d frames; a 57.2 Hz panel has 114 refreshes in 2 s", a, b)
	}
}

// holed is range with one line left out.
type holed struct{ offset int }

func (h holed) Decide(q *dmaapi.Question) dmaapi.Answer {
	if q.Buffer != "preview" || q.Default == dmaapi.Nothing {
		return dmaapi.Answer{Op: q.Default}
	}
	after := h.offset + 64
	return dmaapi.Answer{Op: q.Default, Extent: dmaapi.Partial, Spans: []dmaapi.Span{{Offset: 0, Bytes: h.offset}, {Offset: after, Bytes: q.Bytes - after}}}
}

func TestRangeWithOneLineLeftOutIsBlamedForThatLine(t *testing.T) {
	const offset = 40960
	info := flush.Define(flush.Info{Name: "holed"}, func(flush.Settings) dmaapi.Policy { return holed{offset} })
	o, err := simulate(context.Background(), Job{Scenario: load(t, "camera-preview"), Strategy: info})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.doc.Violations) == 0 {
		t.Fatal("nothing was reported")
	}
	for _, v := range o.doc.Violations {
		if v.Kind != "stale_cpu_read" || v.Buffer != "preview" || v.Offset != offset || v.Bytes != 64 || v.Reader != "cpu" || v.Writer != "camera" || v.Missing != "invalidate" {
			t.Errorf("blamed %+v, want the line at %d of preview", v, offset)
		}
	}
}

// text is the document without what depends on the host.
func text(t *testing.T, d *result.Document) string {
	t.Helper()
	c := *d
	c.Host = result.Host{}
	var b bytes.Buffer
	if err := result.Write(&b, []*result.Document{&c}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestResultsDoNotDependOnWorkersOrProcessors(t *testing.T) {
	s := load(t, "camera-preview", "run.duration=200ms")
	var jobs []Job
	for _, info := range flush.All() {
		jobs = append(jobs, Job{Scenario: s, Strategy: info})
	}
	var first []string
	for _, c := range []struct{ procs, workers int }{{2, 4}, {1, 1}, {2, 1}} {
		old := runtime.GOMAXPROCS(c.procs)
		docs, err := Run(context.Background(), jobs, c.workers, nil)
		runtime.GOMAXPROCS(old)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range docs {
			got = append(got, text(t, d))
		}
		if first == nil {
			first = got
		} else if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("GOMAXPROCS=%d, %d workers:\n%s", c.procs, c.workers, diff)
		}
	}
}

func TestTheResolvedScenarioGivesTheSameResult(t *testing.T) {
	for _, name := range scenarios.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sets := []string{"run.duration=100ms", "soc.cpu.linefills=2"}
			if name == "server-flush" {
				sets[0] = "run.duration=50ms"
			}
			s := load(t, name, sets...)
			for strategy, print := range map[string]func() ([]byte, error){s.Strategy: s.Resolved, "whole": s.Annotated} {
				out, err := print()
				if err != nil {
					t.Fatal(err)
				}
				again, err := scenario.Load(conf.Source{Name: "resolved.yaml", Data: out}, nil)
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				a, b := under(t, s, strategy)[0], under(t, again, strategy)[0]
				if diff := cmp.Diff(text(t, a), text(t, b)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestCancellingKeepsWhatIsFinished(t *testing.T) {
	s := load(t, "camera-preview", "run.duration=1s")
	none, _ := flush.ByName("none")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	docs, err := Run(ctx, []Job{{Scenario: s, Strategy: none}, {Scenario: s, Strategy: none}, {Scenario: s, Strategy: none}}, 1, func(done, _ int, _ string) {
		if done == 2 { // the baseline and the first job
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want a cancelled context", err)
	}
	if docs[0] == nil || docs[1] != nil || docs[2] != nil {
		t.Errorf("documents %v, want the first alone", []bool{docs[0] != nil, docs[1] != nil, docs[2] != nil})
	}
	if docs[0] != nil {
		if _, ok := docs[0].Metrics["overhead.time_per_frame"]; !ok {
			t.Error("the finished document was not compared with its baseline")
		}
	}
}

func TestEveryExporterIsCoherentUnderRange(t *testing.T) {
	for _, set := range [][]string{
		{"buffers.preview.exporter=system-heap"},
		{"buffers.preview.exporter=vb2-contig", "buffers.preview.memory=contiguous"},
		{"buffers.preview.exporter=vb2-contig", "buffers.preview.memory=contiguous", "buffers.preview.cpu_mapping=uncached"},
		{"stages.faces.sync=always"},
		{"buffers.preview.cpu_mapping=write-through"},
	} {
		d := under(t, load(t, "camera-preview", append(short, set...)...), "range")[0]
		if n := value(d, "coherency.violations"); n != 0 {
			t.Errorf("%v: %d violations, first %+v", set, n, d.Violations[0])
		}
		if n := value(d, "frames.captured"); n < 14 {
			t.Errorf("%v: %d frames", set, n)
		}
	}
}

func TestAMemoryThatIsTooSlowOverflowsTheCameraAndCostsFrames(t *testing.T) {
	d := under(t, load(t, "zero-copy", append(short, "soc.dram.clock=25MHz")...), "none")[0]
	if value(d, "isp.overflows") == 0 || value(d, "frames.dropped") == 0 {
		t.Errorf("%d overflows, %d frames dropped, want some of both", value(d, "isp.overflows"), value(d, "frames.dropped"))
	}
	if n := value(d, "coherency.violations"); n != 0 {
		t.Errorf("%d violations: a lost frame is not a coherency error", n)
	}
}

func TestARunEndsWithTheLastFrameAskedFor(t *testing.T) {
	d := under(t, load(t, "camera-preview", "run.frames=3"), "range")[0]
	if n := value(d, "frames.captured"); n != 3 {
		t.Errorf("captured %d frames, want 3", n)
	}
	if d.SimulatedPS < 66_000_000_000 || d.SimulatedPS > 101_000_000_000 {
		t.Errorf("simulated %d ps, want about three frame times", d.SimulatedPS)
	}
}

func TestTheAccountsAddUp(t *testing.T) {
	for _, d := range under(t, load(t, "cpu-filter", short...), "none", "range", "whole", "uncached") {
		var sum int64
		for name, m := range d.Metrics {
			if name == "cpu.idle" || strings.HasPrefix(name, "cpu.busy.") {
				sum += m.Value.Int
			}
		}
		if sum < 999_995 || sum > 1_000_005 {
			t.Errorf("%s: the shares add up to %d millionths", d.Strategy, sum)
		}
	}
}

func TestACoherentPresetNeedsNoMaintenance(t *testing.T) {
	d := under(t, load(t, "camera-preview", append(short, "soc.coherence=coherent")...), "range")[0]
	if n := value(d, "maintenance.lines.visited"); n != 0 {
		t.Errorf("visited %d lines", n)
	}
	if n := value(d, "coherency.violations"); n != 0 {
		t.Errorf("%d violations, but the devices snoop", n)
	}
}

func TestASetUpThatDoesNotFinishIsAnError(t *testing.T) {
	_, err := Run(context.Background(), []Job{{Scenario: load(t, "camera-preview", "run.warmup=0s", "run.duration=1ms"), Strategy: flush.All()[0]}}, 1, nil)
	if err == nil || !strings.Contains(err.Error(), "still setting up") {
		t.Errorf("error %v", err)
	}
}

func TestMemoryThatIsTooSmallIsAnErrorThatNamesTheBuffer(t *testing.T) {
	_, err := Run(context.Background(), []Job{{Scenario: load(t, "camera-preview", "soc.memory.size=16MiB", "soc.memory.reserved=14MiB"), Strategy: flush.All()[0]}}, 1, nil)
	if err == nil || !strings.Contains(err.Error(), "buffer preview") || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("error %v", err)
	}
}

func TestTheDocumentIsJSONWithSortedKeys(t *testing.T) {
	d := under(t, load(t, "zero-copy", short...), "none")[0]
	var b bytes.Buffer
	if err := result.Write(&b, []*result.Document{d}); err != nil {
		t.Fatal(err)
	}
	var any map[string]json.RawMessage
	if err := json.Unmarshal(b.Bytes(), &any); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.MarshalIndent(any, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var compact, want bytes.Buffer
	_ = json.Compact(&compact, b.Bytes())
	_ = json.Compact(&want, sorted)
	if compact.String() != want.String() {
		t.Error("keys are not in order")
	}
	if fmt.Sprint(any["schema"]) == "" || any["violations"] == nil {
		t.Error("schema or violations missing")
	}
}

func TestOverheadIsComparedWithTheOptimalWhereThatRan(t *testing.T) {
	s := load(t, "cpu-filter", short...)
	alone := under(t, s, "range")[0]
	if _, ok := alone.Metrics["maintenance.vs_optimal"]; ok {
		t.Error("a ratio without the optimal strategy")
	}
	docs := under(t, s, "range", "optimal")
	mine, least := value(docs[0], "overhead.time_per_frame"), value(docs[1], "overhead.time_per_frame")
	if got, want := docs[0].Metrics["maintenance.vs_optimal"].Value, result.Ratio(mine, least, 4); got != want || mine <= least {
		t.Errorf("ratio %v for %d and %d ns, want %v and more than 1", got, mine, least, want)
	}
	if got := docs[1].Metrics["maintenance.vs_optimal"].Value; got.Float() != 1 {
		t.Errorf("the optimal strategy's ratio is %v", got)
	}
	// Where nobody maintains anything there is nothing to compare with.
	if _, ok := under(t, load(t, "zero-copy", short...), "range", "optimal")[0].Metrics["maintenance.vs_optimal"]; ok {
		t.Error("a ratio of next to nothing")
	}
}
