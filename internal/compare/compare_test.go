package compare

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/internal/conf"
	"socsim/internal/metric"
	"socsim/internal/result"
)

func TestIdenticalDocumentsAreSaidToBe(t *testing.T) {
	a, b := doc("cpu.busy 0.5 fraction"), doc("cpu.busy 0.5 fraction")
	b.Host.WallNS = 5
	c := Documents(a, b, "", "", nil)
	if !c.Identical || len(c.Changes) != 0 || len(c.Conclusion) != 1 || !strings.Contains(c.Conclusion[0], "identical") {
		t.Errorf("%+v", c)
	}
	b.Violations = []result.Violation{{Kind: "alias_error"}}
	if c := Documents(a, b, "", "", nil); c.Identical {
		t.Error("documents with other violations are said to be identical")
	}
}

func TestFailuresComeBeforePricesAndPricesBeforeTheRest(t *testing.T) {
	a := doc("coherency.violations 0 count", "cpu.irq_off.max 100 ns", "maintenance.time 100 ns", "maintenance.calls.range 1 calls", "cpu.time.refill 1 ns", "frames.captured 10 frames", "cpu.busy 0.50 fraction")
	b := doc("coherency.violations 1 count", "cpu.irq_off.max 90 ns", "maintenance.time 300 ns", "maintenance.calls.range 9 calls", "cpu.time.refill 9 ns", "frames.captured 10 frames", "cpu.busy 0.501 fraction")
	var got []string
	for _, x := range Documents(a, b, "", "", nil).Changes {
		got = append(got, fmt.Sprintf("%s %s %v", x.Metric, x.Verdict, x.Major))
	}
	want := []string{
		"coherency.violations worse true", "maintenance.time worse true", "cpu.irq_off.max better true", "cpu.busy worse false", "maintenance.calls.range  false", "cpu.time.refill worse false",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAMetricThatOneRunLacksIsAChange(t *testing.T) {
	c := Documents(doc(), doc("maintenance.collateral_misses.driver 7 lines"), "", "", nil)
	if len(c.Changes) != 1 || c.Changes[0].A != nil || c.Changes[0].B.Int != 7 || c.Changes[0].Verdict != Worse || c.Changes[0].Unit != "lines" {
		t.Errorf("%+v", c.Changes)
	}
}

func TestRunsThatAreHardToCompareAreNoted(t *testing.T) {
	a, b := doc(), doc()
	b.Scenario, b.Version, b.SoC, b.SimulatedPS = "other", "9.9", "am335x", 7
	notes := strings.Join(Documents(a, b, "", "", nil).Notes, "\n")
	for _, want := range []string{"different scenarios, test and other", "different versions of socsim, " + result.Version + " and 9.9", "different chips", "not equally long"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in %s", want, notes)
		}
	}
	const frames = "frames.captured 5 frames"
	for _, c := range []struct {
		a, b *result.Document
		want bool
	}{{doc(frames), doc(frames), true}, {doc(), doc(frames), false}} {
		c.b.SimulatedPS = 7
		if n := Documents(c.a, c.b, "", "", nil).Notes; len(n) != 1 || strings.Contains(n[0], "a frame") != c.want {
			t.Errorf("notes %q", n)
		}
	}
	if n := Documents(a, doc(), "", "", nil).Notes; len(n) != 0 {
		t.Errorf("notes on two runs of one scenario: %v", n)
	}
}

func TestTheSidesAreCalledByWhatTellsThemApart(t *testing.T) {
	whole, other := doc(), doc()
	whole.Strategy, other.Scenario = "whole", "other"
	for _, c := range []struct {
		b                  *result.Document
		nameA, nameB, want string
	}{{whole, "", "", "range whole"}, {other, "", "", "test other"}, {doc(), "", "", "A B"}, {doc(), "old.json", "new.json", "old.json new.json"}, {whole, "x", "x", "range whole"}} {
		got := Documents(doc(), c.b, c.nameA, c.nameB, nil)
		if s := got.A.Name + " " + got.B.Name; s != c.want {
			t.Errorf("called %q, want %q", s, c.want)
		}
	}
}

func TestThePartsAddUpToTheDifferenceOfTheWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 2, 8)
		random := func(label string) (*result.Document, int64) {
			d := doc()
			sum := int64(0)
			for i, ps := range times.Draw(rt, label) {
				name := fmt.Sprintf("cpu.time.c%d", i)
				if i == 0 {
					name = "cpu.time.idle"
				}
				d.Set(name, "ns", result.Number{Int: ps, Digits: 3})
				sum += ps
			}
			d.Set("frames.captured", "frames", result.Int(rapid.Int64Range(0, 100).Draw(rt, label+" frames")))
			return d, sum
		}
		a, sumA := random("a")
		b, sumB := random("b")
		x := Documents(a, b, "", "", nil).CPU
		var all Part
		for _, p := range append([]Part{x.Idle}, x.Parts...) {
			all.add(p)
		}
		if all != x.Total || all.A != sumA || all.B != sumB {
			rt.Errorf("the parts add up to %+v, the whole is %+v, want %d and %d", all, x.Total, sumA, sumB)
		}
		if f := value(a); f > 0 && all.APerFrame != sumA/f || f == 0 && all.APerFrame != 0 {
			rt.Errorf("%d ps a frame, want %d / %d", all.APerFrame, sumA, f)
		}
	})
}

func value(d *result.Document) int64 { return d.Metrics["frames.captured"].Value.Int }

func TestTheConclusionSaysWhoIsCheaperWhyAndAtWhatPrice(t *testing.T) {
	base := []string{"cpu.time.idle 400000 ns", "frames.captured 2 frames", "coherency.violations 0 count"}
	a := doc(append(base, "cpu.time.maintenance_line 500000 ns", "cpu.time.refill 100000 ns", "task.ui.slowdown 1.0 ratio")...)
	b := doc(append(base, "cpu.time.idle 700000 ns", "cpu.time.maintenance_line 100000 ns", "cpu.time.refill 200000 ns", "task.ui.slowdown 1.2 ratio")...)
	a.Strategy, b.Strategy = "range", "whole"
	said := func(a, b *result.Document) string { return strings.Join(Documents(a, b, "", "", nil).Conclusion, " ") }
	for _, text := range []string{said(a, b), strings.ReplaceAll(said(b, a), "Better under range", "Worse under whole")} {
		for _, want := range []string{
			"whole is cheaper for the CPU: it is busy 150.0 us a frame, under range 300.0 us, which is 150.0 us (50.0 %) less.", "It saves 200.0 us of maintenance per line.",
			"It pays for that with 50.0 us of refills.", "Worse under whole: task.ui.slowdown", "Both are correct",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
	}
	b.Set("coherency.violations", "count", result.Int(1234))
	b.Set("coherency.stale_cpu_reads", "count", result.Int(1234))
	if text := said(a, b); !strings.Contains(text, "whole is not correct: it has 1 234 violations where range has none (1 234 stale cpu reads).") {
		t.Error(text)
	}
	if text := said(b, a); !strings.Contains(text, "whole is not correct: it has 1 234 violations where range has none") {
		t.Error(text)
	}
}

func TestDocumentsArePairedByScenarioAndStrategy(t *testing.T) {
	of := func(strategies ...string) (list []*result.Document) {
		for _, s := range strategies {
			d := doc()
			d.Strategy = s
			list = append(list, d)
		}
		return list
	}
	pairs, rest, err := Pairs(of("range", "whole", "none"), of("whole", "range", "optimal"))
	if err != nil || len(pairs) != 2 || pairs[0].B.Strategy != "range" || pairs[1].A.Strategy != "whole" || strings.Join(rest, ", ") != "test none (A), test optimal (B)" {
		t.Errorf("%v, rest %v, %v", pairs, rest, err)
	}
	if pairs, _, err := Pairs(of("range"), of("whole")); err != nil || len(pairs) != 1 {
		t.Errorf("one document on each side: %v, %v", pairs, err)
	}
	if _, _, err := Pairs(of("range"), of("whole", "none")); err == nil || !strings.Contains(err.Error(), "test whole (B)") {
		t.Errorf("no two of a strategy: %v", err)
	}
	if _, err := Select(of("range", "whole"), "wole"); err == nil || !strings.Contains(err.Error(), `no document of strategy "wole"; there are test range, test whole`) {
		t.Errorf("%v", err)
	}
}

func TestSettingsThatDifferAreListed(t *testing.T) {
	a := []conf.Assigned{{Path: "x", Value: "1"}, {Path: "y", Value: "2"}, {Path: "gone", Value: "3"}}
	b := []conf.Assigned{{Path: "y", Value: "2"}, {Path: "x", Value: "9"}, {Path: "new", Value: "4"}}
	want := []Setting{{Path: "x", A: "1", B: "9"}, {Path: "gone", A: "3"}, {Path: "new", B: "4"}}
	if d := cmp.Diff(want, Settings(a, b)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestEveryCauseHasAWord(t *testing.T) {
	for _, m := range metric.All() {
		for _, prefix := range []string{cpuTime, busTime} {
			if cause, ok := strings.CutPrefix(m.Name, prefix); ok && Words(cause) == cause && cause != "idle" {
				t.Errorf("%s is called by its name", m.Name)
			}
		}
	}
}

func TestValuesAreReadable(t *testing.T) {
	for _, c := range []struct {
		n    result.Number
		unit string
		want string
	}{
		{result.Int(1_234_567), "ns", "1.235 ms"},
		{result.Number{Int: 1_234_567, Digits: 3}, "ns", "1.2 us"},
		{result.Int(-999), "ns", "-999 ns"},
		{result.Number{Int: 123_456, Digits: 6}, "fraction", "12.35 %"},
		{result.Int(3 << 20), "bytes", "3.0 MiB"},
		{result.Int(-1_234_567), "count", "-1 234 567"},
		{result.Int(123), "count", "123"},
		{result.Number{Int: 10_464, Digits: 4}, "ratio", "1.0464"},
	} {
		if got := Value(&c.n, c.unit); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.n, c.unit, got, c.want)
		}
	}
	if got := Value(nil, "ns"); got != "-" {
		t.Errorf("no value: %q", got)
	}
}
