package check

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"socsim/internal/result"
)

// metrics makes a baseline of values in one unit each.
func metrics(values map[string]int64) *Baseline {
	b := &Baseline{Version: "0.1.0", SimulatedPS: 1e12, Metrics: map[string]result.Metric{}}
	for name, v := range values {
		unit := "count"
		if strings.Contains(name, "time") || strings.HasPrefix(name, "latency") {
			unit = "ns"
		}
		b.Metrics[name] = result.Metric{Unit: unit, Value: result.Int(v)}
	}
	return b
}

func TestADifferenceIsBetterOrWorseByItsMetric(t *testing.T) {
	was := metrics(map[string]int64{"maintenance.time": 100, "frames.captured": 59, "frames.dropped": 1, "cpu.fills": 7, "maintenance.segments": 5})
	now := metrics(map[string]int64{"maintenance.time": 110, "frames.captured": 60, "frames.dropped": 0, "cpu.fills": 7, "maintenance.segments": 6})
	got := map[string]Verdict{}
	for _, d := range differences("small", was, now, &Rules{}) {
		got[d.Metric] = d.Verdict
	}
	want := map[string]Verdict{"maintenance.time": Worse, "frames.captured": Better, "frames.dropped": Better, "maintenance.segments": Other}
	if len(got) != len(want) {
		t.Errorf("differences %v, want %v", got, want)
	}
	for m, v := range want {
		if got[m] != v {
			t.Errorf("%s is %q, want %q", m, got[m], v)
		}
	}
}

func TestTheWorseComesFirstAndWhatIsToleratedLast(t *testing.T) {
	was := metrics(map[string]int64{"maintenance.time": 100, "frames.dropped": 1, "latency.capture_to_display.p95": 50, "cpu.fills": 1})
	now := metrics(map[string]int64{"maintenance.time": 120, "frames.dropped": 0, "latency.capture_to_display.p95": 60, "cpu.fills": 9})
	var got []string
	for _, d := range differences("small", was, now, rulesOf(t, "tolerances:\n  - latency.* 50%\n")) {
		got = append(got, d.Metric)
	}
	if want := "maintenance.time cpu.fills frames.dropped latency.capture_to_display.p95"; strings.Join(got, " ") != want {
		t.Errorf("order %v, want %s", got, want)
	}
}

func TestTheSameValueWrittenWithMoreDigitsIsNoDifference(t *testing.T) {
	was, now := metrics(nil), metrics(nil)
	was.Metrics["m"] = result.Metric{Unit: "ratio", Value: result.Number{Int: 15, Digits: 1}}
	now.Metrics["m"] = result.Metric{Unit: "ratio", Value: result.Number{Int: 15000, Digits: 4}}
	if d := differences("small", was, now, &Rules{}); len(d) != 0 {
		t.Errorf("differences %v", d[0])
	}
}

func TestAMetricThatVanishesFailsAndItsNewNameIsSuggested(t *testing.T) {
	was := metrics(map[string]int64{"cpu.fills": 1234, "cpu.gone": 5, "cpu.zero": 0})
	now := metrics(map[string]int64{"cpu.line_fills": 1234, "cpu.new": 6, "cpu.nought": 0})
	notes := map[string]string{}
	for _, d := range differences("small", was, now, &Rules{}) {
		if !d.Fails() {
			t.Errorf("%s passes", d.Metric)
		}
		notes[d.Metric] = d.Note
	}
	if want := "renamed to cpu.line_fills? It holds the same value"; notes["cpu.fills"] != want {
		t.Errorf("cpu.fills: %q, want %q", notes["cpu.fills"], want)
	}
	if notes["cpu.gone"] != "" || notes["cpu.zero"] != "" {
		t.Errorf("suggestions without ground: %v", notes)
	}
}

func TestANewMetricFailsUnlessAnotherReleaseBringsIt(t *testing.T) {
	was, now := metrics(map[string]int64{"cpu.fills": 1}), metrics(map[string]int64{"cpu.fills": 1, "cpu.new": 6})
	if d := differences("small", was, now, &Rules{}); len(d) != 1 || !d[0].Fails() {
		t.Errorf("of the same release: %v", d)
	}
	was.Version = "0.0.9"
	if d := differences("small", was, now, &Rules{}); len(d) != 1 || d[0].Fails() {
		t.Errorf("of another release: %v", d)
	}
}

func TestAChangeOfUnitFails(t *testing.T) {
	was, now := metrics(map[string]int64{"m": 1}), metrics(map[string]int64{"m": 1})
	now.Metrics["m"] = result.Metric{Unit: "bytes", Value: result.Int(1)}
	if d := differences("small", was, now, &Rules{}); len(d) != 1 || !d[0].Fails() || d[0].Note != "the unit was count" {
		t.Errorf("differences %v", d)
	}
}

func TestANewKindOfViolationIsWorseAndOneThatIsGoneBetter(t *testing.T) {
	was, now := metrics(map[string]int64{"m": 1}), metrics(map[string]int64{"m": 1})
	was.Violations, now.Violations = []string{"old"}, []string{"new"}
	got := differences("small", was, now, &Rules{})
	if len(got) != 2 || got[0].Note != "appears: new" || got[0].Verdict != Worse || got[1].Note != "is gone: old" || got[1].Verdict != Better {
		t.Errorf("differences %+v", got)
	}
}

func TestViolationsThatMoveAloneAreADifferenceAndThoseThatFollowAMetricAreNot(t *testing.T) {
	was, now := metrics(map[string]int64{"m": 100}), metrics(map[string]int64{"m": 100})
	was.DetailSHA256, now.DetailSHA256 = "a", "b"
	if got := differences("small", was, now, &Rules{}); len(got) != 1 || got[0].Kind != KindDetail || !got[0].Fails() {
		t.Errorf("alone: %+v", got)
	}
	now.Metrics["m"] = result.Metric{Unit: "count", Value: result.Int(101)}
	if got := differences("small", was, now, rulesOf(t, "tolerances:\n  - m 5%\n")); len(got) != 1 || got[0].Fails() {
		t.Errorf("with a tolerated metric: %+v", got)
	}
}

func TestWhatIsIgnoredIsNotCompared(t *testing.T) {
	was, now := metrics(map[string]int64{"m": 1, "n": 1}), metrics(map[string]int64{"m": 2, "n": 2})
	was.DetailSHA256, now.DetailSHA256 = "a", "b"
	if got := differences("small", was, now, rulesOf(t, "ignore:\n  - m\n  - n in small\n  - violations\n")); len(got) != 0 {
		t.Errorf("differences %+v", got)
	}
}

// before is a run whose parts add up.
func before() map[string]int64 {
	return map[string]int64{
		"frames.captured": 10, "maintenance.time": 1000, "maintenance.time.line": 800, "maintenance.time.call": 100, "maintenance.time.barrier": 100,
		"maintenance.lines.visited": 400, "maintenance.calls.range": 10, "maintenance.segments": 20, "maintenance.time_per_frame": 100, "overhead.time_per_frame": 100, "cpu.time.refill": 100, "cpu.time.driver": 100, "cpu.time.interrupt": 100, "cpu.interrupts": 10, "cpu.time.idle": 900,
	}
}

// causes is what explains a metric, in a line each.
func causes(was, now *Baseline, metric string) string {
	var out []string
	for _, c := range Explain(was, now, metric, 3) {
		text := c.Metric + " " + c.Each
		if c.Percent != nil {
			text += " " + big.NewInt(*c.Percent).String() + "%"
		}
		out = append(out, strings.Join(strings.Fields(text), " "))
	}
	return strings.Join(out, ", ")
}

func TestTheCauseIsNamedWhoseEffectIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]int64
		metric string
		want   string
	}{
		"half the calls more, of as many lines":     {map[string]int64{"maintenance.time": 1400, "maintenance.time.line": 1200, "maintenance.lines.visited": 600, "maintenance.calls.range": 15}, "maintenance.time", "maintenance.calls.range 100%"},
		"many calls more, of few lines":             {map[string]int64{"maintenance.time": 1400, "maintenance.time.line": 1200, "maintenance.lines.visited": 600, "maintenance.calls.range": 50}, "maintenance.time", "maintenance.lines.visited 100%"},
		"twice the lines":                           {map[string]int64{"maintenance.time": 1800, "maintenance.time.line": 1600, "maintenance.lines.visited": 800}, "maintenance.time", "maintenance.lines.visited 100%"},
		"dearer lines":                              {map[string]int64{"maintenance.time": 1400, "maintenance.time.line": 1200}, "maintenance.time", "maintenance.time.line dearer 100%"},
		"more lines, cheaper each":                  {map[string]int64{"maintenance.time": 1200, "maintenance.time.line": 1000, "maintenance.lines.visited": 800}, "maintenance.time", "maintenance.lines.visited 400%, maintenance.time.line cheaper -300%"},
		"lines and segments":                        {map[string]int64{"maintenance.time": 1500, "maintenance.time.line": 1100, "maintenance.lines.visited": 550, "maintenance.time.barrier": 200, "maintenance.time.call": 200, "maintenance.segments": 40}, "maintenance.time", "maintenance.lines.visited 60%, maintenance.segments 40%"},
		"the same, per frame":                       {map[string]int64{"maintenance.time": 1800, "maintenance.time.line": 1600, "maintenance.lines.visited": 800, "maintenance.time_per_frame": 180}, "maintenance.time_per_frame", "maintenance.lines.visited 100%"},
		"half the frames":                           {map[string]int64{"frames.captured": 5, "maintenance.time_per_frame": 200}, "maintenance.time_per_frame", "frames.captured 100%"},
		"a part by itself":                          {map[string]int64{"maintenance.time.line": 1600, "maintenance.lines.visited": 800}, "maintenance.time.line", "maintenance.lines.visited 100%"},
		"a latency is held against the core's time": {map[string]int64{"latency.capture_to_display.p95": 5, "cpu.time.refill": 300, "cpu.time.driver": 104, "cpu.time.idle": 9}, "latency.capture_to_display.p95", "cpu.time.refill"},
		"refills are the overhead":                  {map[string]int64{"overhead.time_per_frame": 140, "cpu.time.refill": 500}, "overhead.time_per_frame", "cpu.time.refill 100%"},
		"more interrupts, idle left out":            {map[string]int64{"overhead.time_per_frame": 110, "cpu.time.interrupt": 150, "cpu.interrupts": 15, "cpu.time.driver": 150, "cpu.time.idle": 1}, "overhead.time_per_frame", "cpu.interrupts 50%, cpu.time.driver 50%"},
		"a count has no cause":                      {map[string]int64{"maintenance.segments": 21, "maintenance.time": 3000}, "maintenance.segments", ""},
		"what did not move has none":                {nil, "maintenance.time", ""},
	} {
		t.Run(name, func(t *testing.T) {
			after := before()
			for m, v := range c.change {
				after[m] = v
			}
			if got := causes(metrics(before()), metrics(after), c.metric); got != c.want {
				t.Errorf("causes %q, want %q", got, c.want)
			}
		})
	}
}

// The terms of a sum are exact: they add up to the change, whatever changed.
func TestThePartsOfMaintenanceTimeAddUpToItsChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) *Baseline {
			n := func(m string) int64 { return rapid.Int64Range(1, 1e12).Draw(t, label+m) }
			v := map[string]int64{}
			var sum int64
			for _, part := range []string{"call", "barrier", "page", "line", "dirty_line"} {
				v["maintenance.time."+part] = n(part)
				sum += v["maintenance.time."+part]
			}
			for _, m := range []string{"maintenance.lines.visited", "maintenance.calls.range", "maintenance.calls.whole", "maintenance.segments", "maintenance.bytes_written_back", "frames.captured"} {
				v[m] = n(m)
			}
			v["maintenance.time"] = sum
			return metrics(v)
		}
		was, now := draw("was "), draw("now ")
		perFrame := func(b *Baseline) *big.Rat {
			return div(value(b.Metrics, "maintenance.time"), value(b.Metrics, "frames.captured"))
		}
		for metric, want := range map[string]*big.Rat{
			"maintenance.time":           new(big.Rat).Sub(value(now.Metrics, "maintenance.time"), value(was.Metrics, "maintenance.time")),
			"maintenance.time_per_frame": new(big.Rat).Sub(perFrame(now), perFrame(was)),
		} {
			x := explainer{was: was.Metrics, now: now.Metrics, ns: [2]*big.Rat{one, one}}
			x.decompose(metric)
			sum := new(big.Rat)
			for _, term := range x.terms {
				sum.Add(sum, term.amount)
			}
			if sum.Cmp(want) != 0 {
				t.Fatalf("%s: terms add up to %v, want %v", metric, sum.FloatString(9), want.FloatString(9))
			}
		}
	})
}
