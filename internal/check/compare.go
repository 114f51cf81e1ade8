package check

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"socsim/internal/metric"
	"socsim/internal/result"
)

// Verdict says whether a difference is for the better.
type Verdict string

// The verdicts.
const (
	Better Verdict = "better"
	Worse  Verdict = "worse"
	Other  Verdict = "other" // a metric whose size is neither good nor bad
)

// What kind a difference is of.
const (
	KindChanged    = "changed"
	KindNew        = "new"        // the baseline lacks the metric
	KindVanished   = "vanished"   // the run lacks it
	KindViolations = "violations" // errors of another kind
	KindDetail     = "detail"     // the same errors and events at other times or places
)

// Difference is one thing in which a run departs from its baseline.
type Difference struct {
	Kind      string         `json:"kind"`
	Metric    string         `json:"metric"` // or "violations"
	Unit      string         `json:"unit,omitempty"`
	Was       *result.Number `json:"was"`
	Now       *result.Number `json:"now"`
	Verdict   Verdict        `json:"verdict"`
	Tolerated string         `json:"tolerated,omitempty"` // the rule that allows it
	Note      string         `json:"note,omitempty"`
	Causes    []Cause        `json:"causes,omitempty"`
	Line      int            `json:"-"` // in the baseline
}

// Fails reports whether the difference fails the check.
func (d *Difference) Fails() bool { return d.Tolerated == "" }

// Change is by how much the metric moved, in its unit.
func (d *Difference) Change() result.Number {
	if d.Was == nil || d.Now == nil {
		return result.Number{}
	}
	return minus(*d.Now, *d.Was)
}

// Permille is the change relative to what the metric was, in tenths of a percent; not ok if that was 0 or absent.
func (d *Difference) Permille() (n int64, ok bool) {
	if d.Was == nil || d.Now == nil || d.Was.Int == 0 {
		return 0, false
	}
	return roundRat(mul(div(rat(d.Change()), new(big.Rat).Abs(rat(*d.Was))), big.NewRat(1000, 1))), true
}

// minus subtracts decimals.
func minus(a, b result.Number) result.Number {
	for a.Digits < b.Digits {
		a.Int, a.Digits = a.Int*10, a.Digits+1
	}
	for b.Digits < a.Digits {
		b.Int, b.Digits = b.Int*10, b.Digits+1
	}
	return result.Number{Int: a.Int - b.Int, Digits: a.Digits}
}

// equal compares decimals by value.
func equal(a, b result.Number) bool { return rat(a).Cmp(rat(b)) == 0 }

func verdict(name string, was, now result.Number) Verdict {
	info, _ := metric.Lookup(name)
	up := rat(now).Cmp(rat(was)) > 0
	switch info.Better {
	case metric.Lower:
		if up {
			return Worse
		}
		return Better
	case metric.Higher:
		if up {
			return Better
		}
		return Worse
	}
	return Other
}

// maxCauses is how many causes a difference is given.
const maxCauses = 3

// differences lists those of a run to its baseline, the gravest first. Differences that rules ignore are left out.
func differences(name string, was, now *Baseline, rules *Rules) []*Difference {
	var out []*Difference
	for _, m := range unionKeys(was.Metrics, now.Metrics) {
		if rules.ignores(name, m) {
			continue
		}
		if d := compareMetric(m, was, now); d != nil {
			d.Line = was.lines[m]
			d.Tolerated, _ = rules.tolerates(name, d)
			out = append(out, d)
		}
	}
	suggestRenames(out)
	for _, d := range out {
		if d.Kind == KindChanged {
			d.Causes = Explain(was, now, d.Metric, maxCauses)
		}
		if d.Kind == KindNew && was.Version != now.Version {
			d.Tolerated = "new in another release"
		}
	}
	moved := len(out) > 0
	out = append(out, compareErrors(was, now, moved || rules.ignores(name, "violations"))...)
	slices.SortStableFunc(out, func(a, b *Difference) int {
		return cmp.Or(cmp.Compare(gravity(a), gravity(b)), cmp.Compare(rank(a.Metric), rank(b.Metric)), -cmp.Compare(abs(permille(a)), abs(permille(b))), cmp.Compare(a.Metric, b.Metric))
	})
	return out
}

func permille(d *Difference) int64 {
	n, ok := d.Permille()
	if !ok {
		return 1 << 62 // from nothing
	}
	return n
}

func abs(n int64) int64 { return max(n, -n) }

// gravity orders what fails before what is tolerated, and the worse before the better.
func gravity(d *Difference) int {
	g := map[Verdict]int{Worse: 0, Better: 1, Other: 2}[d.Verdict]
	if d.Kind == KindViolations {
		g = -1
	}
	if !d.Fails() {
		g += 10
	}
	return g
}

// headlines are the metrics that a reader looks for first, in this order.
var headlines = []string{
	"coherency.violations", "coherency.*", "frames.dropped", "overhead.time_per_frame", "maintenance.time_per_frame", "task.*.slowdown", "latency.*", "maintenance.vs_optimal", "isp.overflows",
	"display.underflows", "cpu.busy", "frames.*", "maintenance.time", "cpu.irq_off.max", "cpu.busy.*", "maintenance.*", "cpu.*", "dram.*",
}

// rank is the place of a metric among the headlines.
func rank(name string) int {
	i := slices.IndexFunc(headlines, func(p string) bool { return matches(p, name) })
	if i < 0 {
		return len(headlines)
	}
	return i
}

func compareMetric(name string, was, now *Baseline) *Difference {
	a, hadIt := was.Metrics[name]
	b, hasIt := now.Metrics[name]
	d := &Difference{Kind: KindChanged, Metric: name, Verdict: Other, Unit: b.Unit}
	switch {
	case !hadIt:
		d.Kind, d.Now = KindNew, &b.Value
	case !hasIt:
		d.Kind, d.Was, d.Unit = KindVanished, &a.Value, a.Unit
	case a.Unit != b.Unit:
		d.Was, d.Now, d.Note = &a.Value, &b.Value, fmt.Sprintf("the unit was %s", a.Unit)
	case equal(a.Value, b.Value):
		return nil
	default:
		d.Was, d.Now = &a.Value, &b.Value
		d.Verdict = verdict(name, a.Value, b.Value)
	}
	return d
}

// suggestRenames notes of each metric that vanished which new one holds the same value in the same unit, if there is exactly one that shares a word of the name. Zeroes are too common to tell.
func suggestRenames(all []*Difference) {
	for _, v := range all {
		if v.Kind != KindVanished || v.Was.Int == 0 {
			continue
		}
		var same []string
		for _, n := range all {
			if n.Kind == KindNew && n.Unit == v.Unit && equal(*n.Now, *v.Was) && sharesWord(n.Metric, v.Metric) {
				same = append(same, n.Metric)
			}
		}
		if len(same) == 1 {
			v.Note = "renamed to " + same[0] + "? It holds the same value"
		}
	}
}

func sharesWord(a, b string) bool {
	words := strings.FieldsFunc(a, func(r rune) bool { return r == '.' || r == '_' })
	for _, w := range strings.FieldsFunc(b, func(r rune) bool { return r == '.' || r == '_' }) {
		if slices.Contains(words, w) {
			return true
		}
	}
	return false
}

// compareErrors compares violations by kind. Where no metric moved, violations and events must not have moved either; where one did, their times and places follow it.
func compareErrors(was, now *Baseline, moved bool) []*Difference {
	var out []*Difference
	for _, v := range now.Violations {
		if !slices.Contains(was.Violations, v) {
			out = append(out, &Difference{Kind: KindViolations, Metric: "violations", Verdict: Worse, Note: "appears: " + v, Line: was.lines["violations"]})
		}
	}
	for _, v := range was.Violations {
		if !slices.Contains(now.Violations, v) {
			out = append(out, &Difference{Kind: KindViolations, Metric: "violations", Verdict: Better, Note: "is gone: " + v, Line: was.lines[v]})
		}
	}
	if len(out) == 0 && !moved && was.DetailSHA256 != now.DetailSHA256 {
		out = append(out, &Difference{Kind: KindDetail, Metric: "violations", Verdict: Other, Note: "violations or events are the same in kind and number, at other times or places", Line: was.lines["detail_sha256"]})
	}
	return out
}

func sortedKeys(m map[string]result.Metric) []string { return slices.Sorted(maps.Keys(m)) }

// unionKeys lists the metrics of two runs, sorted.
func unionKeys(a, b map[string]result.Metric) []string {
	return slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, m := range []map[string]result.Metric{a, b} {
			for k := range m {
				if !yield(k) {
					return
				}
			}
		}
	}))
}
