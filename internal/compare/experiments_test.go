package compare_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"socsim/internal/compare"
	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/run"
	"socsim/internal/scenario"
	"socsim/soc/flush"
)

// finished keeps documents by what was run, so that experiments share their starting points.
var finished sync.Map

// simulated runs camera-preview under a strategy with settings, for five frames.
func simulated(t *testing.T, strategy string, sets ...string) *result.Document {
	t.Helper()
	key := fmt.Sprint(strategy, sets)
	if d, ok := finished.Load(key); ok {
		return d.(*result.Document)
	}
	src, err := scenario.Read("camera-preview")
	if err != nil {
		t.Fatal(err)
	}
	var overrides []conf.Override
	for _, s := range append([]string{"run.duration=170ms", "run.warmup=150ms"}, sets...) {
		path, value, _ := strings.Cut(s, "=")
		overrides = append(overrides, conf.Override{Path: path, Value: value})
	}
	s, err := scenario.Load(src, overrides)
	if err != nil {
		t.Fatal(err)
	}
	info, err := flush.ByName(strategy)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := run.Run(context.Background(), []run.Job{{Scenario: s, Strategy: info}}, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	finished.Store(key, docs[0])
	return docs[0]
}

// moved returns by how much each cause of the core's time took longer, in ps, and checks that they add up to the difference of the busy time.
func moved(t *testing.T, a, b *result.Document) map[string]int64 {
	t.Helper()
	c := compare.Documents(a, b, "", "", nil)
	list := map[string]int64{}
	for _, x := range []*compare.Breakdown{c.CPU, c.Bus} {
		var sum, perFrame int64
		for _, p := range x.Parts {
			list[p.Cause] = p.Difference()
			sum += p.Difference()
			perFrame += p.DifferencePerFrame()
		}
		if sum != x.Busy.Difference() || sum+x.Idle.Difference() != x.Total.Difference() {
			t.Errorf("the parts differ by %d ps, the whole by %d, with idle by %d", sum, x.Busy.Difference(), x.Total.Difference())
		}
		if perFrame != x.Busy.DifferencePerFrame() {
			t.Errorf("the parts differ by %d ps a frame, the whole by %d", perFrame, x.Busy.DifferencePerFrame())
		}
		if x.Total.A != a.SimulatedPS || x.Total.B != b.SimulatedPS {
			t.Errorf("the parts add up to %d and %d ps, want %d and %d", x.Total.A, x.Total.B, a.SimulatedPS, b.SimulatedPS)
		}
	}
	return list
}

func size(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// small complains unless causes moved by less than a share of a difference.
func small(t *testing.T, m map[string]int64, of int64, percent int64, causes ...string) {
	t.Helper()
	for _, c := range causes {
		if size(m[c])*100 > size(of)*percent {
			t.Errorf("%s moved by %d ps, more than %d %% of %d", c, m[c], percent, of)
		}
	}
}

func count(d *result.Document, name string) int64 { return d.Metrics[name].Value.Int }

// near complains unless a value is within so many per mille of another.
func near(t *testing.T, what string, got, want, permille int64) {
	t.Helper()
	if size(got-want)*1000 > size(want)*permille {
		t.Errorf("%s: %d, want %d within %d per mille", what, got, want, permille)
	}
}

func TestALineThatCostsMoreIsPaidPerLineAlone(t *testing.T) {
	a, b := simulated(t, "range"), simulated(t, "range", "soc.cpu.maintenance.line_time=1700ps") // 3 % of 34 cycles at 600 MHz
	m := moved(t, a, b)
	const line = 56_666 // ps, 34 cycles
	lines := count(b, "maintenance.lines.visited")
	want := lines*(line+1700) - count(a, "maintenance.lines.visited")*line
	if m["maintenance_line"] != want {
		t.Errorf("lines took %d ps longer, want %d", m["maintenance_line"], want)
	}
	small(t, m, want, 20, "refill", "contention", "l2_hit", "maintenance_call", "barrier", "driver", "registers", "refill_collateral", "posted_write")
	if c := compare.Explain(a, b, "maintenance.time", 3); c[0].Metric != "cpu.time.maintenance_line" || c[0].Share < 990 {
		t.Errorf("explained by %+v", c)
	}
}

func TestASlowerMemoryIsPaidInRefillsByTheClock(t *testing.T) {
	a, b := simulated(t, "range"), simulated(t, "range", "soc.dram.cl=4")
	m := moved(t, a, b)
	const clock = 6024 // ps at 166 MHz
	near(t, "refills", m["refill"], count(b, "cpu.fills")*clock+(count(b, "cpu.fills")-count(a, "cpu.fills"))*(picoseconds(a, "cpu.time.refill")/count(a, "cpu.fills")), 100)
	if m["latency"] <= 0 {
		t.Errorf("the bus waits %d ps longer for its data", m["latency"])
	}
	small(t, m, m["refill"], 20, "maintenance_line", "maintenance_call", "barrier", "driver", "l2_hit", "compute")
	if c := compare.Explain(a, b, "cpu.busy", 2); c[0].Metric != "cpu.time.refill" && c[1].Metric != "cpu.time.refill" {
		t.Errorf("explained by %+v", c)
	}
}

func picoseconds(d *result.Document, name string) int64 {
	n := d.Metrics[name].Value
	v := n.Int
	for range 3 - n.Digits {
		v *= 10
	}
	return v
}

func TestAnotherReplacementMovesHitsAndRefills(t *testing.T) {
	m := moved(t, simulated(t, "range"), simulated(t, "range", "soc.l2.replacement=lru"))
	if m["refill"] <= 0 || m["l2_hit"] >= 0 { // the frames that the faces are looked for in push the ui's working set out under LRU; random leaves some of it
		t.Errorf("refills took %d ps longer, L2 hits %d", m["refill"], m["l2_hit"])
	}
	small(t, m, m["refill"], 10, "maintenance_line", "maintenance_call", "barrier", "driver", "compute")
}

func TestMoreCallsOfTheSameLinesArePaidPerCallAndBarrier(t *testing.T) {
	a, b := simulated(t, "range", "buffers.preview.memory=contiguous"), simulated(t, "range")
	m := moved(t, a, b)
	more := count(b, "maintenance.segments") - count(a, "maintenance.segments")
	if more < 10 {
		t.Fatalf("%d segments more", more)
	}
	if m["maintenance_call"] <= 0 || m["barrier"] <= 0 {
		t.Errorf("calls took %d ps longer, barriers %d", m["maintenance_call"], m["barrier"])
	}
	near(t, "calls", m["maintenance_call"], picoseconds(b, "cpu.time.maintenance_call")*more/count(b, "maintenance.segments"), 10)
	near(t, "barriers", m["barrier"], picoseconds(b, "cpu.time.barrier")*more/count(b, "maintenance.segments"), 50)
	if lines := count(b, "maintenance.lines.visited") - count(a, "maintenance.lines.visited"); lines == 0 && m["maintenance_line"] != 0 {
		t.Errorf("the same lines took %d ps longer", m["maintenance_line"])
	}
}

func TestTheWholeCacheSavesLinesAndPaysCollateral(t *testing.T) {
	a, b := simulated(t, "range"), simulated(t, "whole")
	m := moved(t, a, b)
	if m["maintenance_line"] >= 0 || m["refill_collateral"] <= 0 {
		t.Errorf("lines %d, collateral %d ps", m["maintenance_line"], m["refill_collateral"])
	}
	if m["refill_collateral"] != picoseconds(b, "cpu.time.refill_collateral") {
		t.Error("by range something was thrown out")
	}
	var collateral int64
	for n, v := range b.Metrics {
		if strings.HasPrefix(n, "maintenance.collateral_misses.task.") {
			collateral += v.Value.Int
		}
	}
	if each := m["refill_collateral"] / collateral; each < 100_000 || each > 400_000 {
		t.Errorf("a line thrown out costs %d ps", each)
	}
}

func TestAnUncachedMappingPaysInReadsAndNothingForMaintenance(t *testing.T) {
	a, b := simulated(t, "range"), simulated(t, "uncached")
	m := moved(t, a, b)
	if m["uncached_read"] <= 0 {
		t.Errorf("uncached reads take %d ps longer", m["uncached_read"])
	}
	for _, cause := range []string{"maintenance_call", "maintenance_line", "barrier"} {
		if left := picoseconds(b, "cpu.time."+cause); left != 0 || m[cause] >= 0 {
			t.Errorf("%s still takes %d ps, %d more", cause, left, m[cause])
		}
	}
}
