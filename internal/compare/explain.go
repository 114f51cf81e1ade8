package compare

import (
	"cmp"
	"slices"
	"strings"

	"socsim/internal/metric"
	"socsim/internal/result"
)

// Cause is a metric that goes some way towards explaining why another differs between two runs.
type Cause struct {
	Metric string
	Unit   string
	A, B   result.Number
	// Share is the part, in thousandths, that this metric has in all that moved the same way among those it was chosen from; 0 where it was chosen by its own change alone.
	Share int
}

// accounts names, for metrics by the beginning of their names, what they are made of or driven by: metrics of one unit, whose changes can be set beside each other. The first that fits counts.
var accounts = []struct {
	metrics []string
	parts   func(name string) bool
}{
	{[]string{"coherency."}, among("coherency.stale_device_reads", "coherency.stale_cpu_reads", "coherency.lost_device_data", "coherency.lost_cpu_data", "coherency.alias_errors", "coherency.others")},
	{[]string{"maintenance.time", "cpu.busy.maintenance"}, among("cpu.time.maintenance_call", "cpu.time.barrier", "cpu.time.maintenance_page", "cpu.time.maintenance_line", "cpu.time.maintenance_write_back")},
	{[]string{"maintenance.lines."}, among("maintenance.lines.useful", "maintenance.lines.useless")},
	{[]string{"maintenance.collateral_misses"}, beginning("maintenance.collateral_misses.")},
	{[]string{"cpu.", "overhead.", "task.", "latency.", "frames.", "maintenance.vs_optimal"}, isCPUTime},
	{[]string{"dram.", "isp.", "display.", "iommu."}, isBusTime},
}

func beginning(prefix string) func(string) bool {
	return func(name string) bool { return strings.HasPrefix(name, prefix) }
}

func among(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, name) }
}

func isCPUTime(name string) bool { return strings.HasPrefix(name, cpuTime) && name != cpuTime+idle }
func isBusTime(name string) bool { return strings.HasPrefix(name, busTime) && name != busTime+idle }

// Explain returns up to n metrics that explain best why a metric is another in b than in a; none where it is the same in both.
//
// The rule: a metric is held against the account it belongs to, whose parts are of one unit and add up. That is the kinds of violations for coherency.*, the parts of maintenance for maintenance.time*,
// the core's time by cause (cpu.time.*, idle left out) for whatever the core's time decides (cpu.*, overhead, slowdowns, latencies, frames), the memory bus's time by cause (dram.time.*, idle left out)
// for dram.* and the devices that the memory fails. Parts that did not change are no causes. Those that grew come first where the metric tells of more of what the account holds, those that shrank
// where it tells of less; the larger change goes first. Where a metric has no account, or neither document has it, or no part of it changed, all other metrics that changed are candidates, those
// that share the beginning of the name first, then the larger change relative to the larger value. Ties go by name.
func Explain(a, b *result.Document, name string, n int) []Cause {
	av, inA := a.Metrics[name]
	bv, inB := b.Metrics[name]
	if !inA && !inB || inA == inB && scaled(av.Value) == scaled(bv.Value) {
		return nil
	}
	causes := fromAccount(a, b, name, scaled(bv.Value)-scaled(av.Value))
	if len(causes) == 0 {
		causes = byChange(a, b, name)
	}
	return causes[:min(max(n, 0), len(causes))]
}

// fromAccount ranks the parts of the account of a metric that rose by a difference.
func fromAccount(a, b *result.Document, name string, rose int64) []Cause {
	parts := accountOf(name)
	if parts == nil {
		return nil
	}
	if info, ok := metric.Lookup(name); ok && info.Better == metric.Higher {
		rose = -rose // less of what is good is more of what the account holds
	}
	var causes []Cause
	var sum [2]int64 // of what grew, of what shrank
	for _, m := range names(a, b) {
		if !parts(m) || m == name {
			continue
		}
		if d := difference(a, b, m); d != 0 {
			causes = append(causes, cause(a, b, m))
			if d > 0 {
				sum[0] += d
			} else {
				sum[1] -= d
			}
		}
	}
	slices.SortStableFunc(causes, func(x, y Cause) int {
		dx, dy := x.difference(), y.difference()
		return cmp.Or(-compareBool(dx > 0 == (rose > 0), dy > 0 == (rose > 0)), cmp.Compare(abs(dy), abs(dx)))
	})
	for i := range causes {
		d, all := causes[i].difference(), sum[0]
		if d < 0 {
			all = sum[1]
		}
		causes[i].Share = int(result.Ratio(abs(d), all, 3).Int)
	}
	return causes
}

// accountOf returns what tells the parts of a metric's account, nil if it has none.
func accountOf(name string) func(string) bool {
	for _, a := range accounts {
		for _, m := range a.metrics {
			if strings.HasPrefix(name, m) {
				return a.parts
			}
		}
	}
	return nil
}

// byChange ranks all metrics that changed, but for one.
func byChange(a, b *result.Document, name string) []Cause {
	family, _, _ := strings.Cut(name, ".")
	var causes []Cause
	for _, m := range names(a, b) {
		if m != name && difference(a, b, m) != 0 {
			causes = append(causes, cause(a, b, m))
		}
	}
	near := func(c Cause) bool { return strings.HasPrefix(c.Metric, family+".") }
	slices.SortStableFunc(causes, func(x, y Cause) int {
		return cmp.Or(-compareBool(near(x), near(y)), -cmp.Compare(relative(x.A, x.B).Int, relative(y.A, y.B).Int))
	})
	return causes
}

func cause(a, b *result.Document, name string) Cause {
	unit := a.Metrics[name].Unit
	if unit == "" {
		unit = b.Metrics[name].Unit
	}
	return Cause{Metric: name, Unit: unit, A: a.Metrics[name].Value, B: b.Metrics[name].Value}
}

func (c Cause) difference() int64 { return scaled(c.B) - scaled(c.A) }

// names lists the metrics of both documents, sorted.
func names(a, b *result.Document) []string {
	var list []string
	for n := range a.Metrics {
		list = append(list, n)
	}
	for n := range b.Metrics {
		if _, ok := a.Metrics[n]; !ok {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

// difference returns by how much a metric is more in b, in the unit of [scaled]. What a document lacks counts as 0.
func difference(a, b *result.Document, name string) int64 {
	return scaled(b.Metrics[name].Value) - scaled(a.Metrics[name].Value)
}

// digits is how many decimals all values are brought to; no metric has more.
const digits = 6

// scaled returns a value in millionths, cut off where that has no room.
func scaled(n result.Number) int64 {
	v := n.Int
	for range digits - n.Digits {
		if v > (1<<63-1)/10 || v < -(1<<63-1)/10 {
			if v > 0 {
				return 1<<63 - 1
			}
			return -(1<<63 - 1)
		}
		v *= 10
	}
	return v
}

// relative returns |a - b| over the larger of |a| and |b|, with four decimals.
func relative(a, b result.Number) result.Number {
	x, y := scaled(a), scaled(b)
	larger := max(abs(x), abs(y))
	if larger == 0 {
		return result.Number{Digits: 4}
	}
	if (x < 0) != (y < 0) {
		return result.Ratio(abs(x)/2+abs(y)/2, max(1, larger/2), 4)
	}
	return result.Ratio(abs(x-y), larger, 4)
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return 1
	}
	return -1
}
