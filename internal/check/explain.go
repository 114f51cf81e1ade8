package check

import (
	"cmp"
	"math/big"
	"slices"
	"strings"

	"socsim/internal/result"
)

// Cause is a metric whose change accounts for part of another's.
type Cause struct {
	Metric string         `json:"metric"`
	Unit   string         `json:"unit"`
	Was    *result.Number `json:"was"`
	Now    *result.Number `json:"now"`
	// Percent is how much of the change it accounts for, rounded; null for a metric that moved too but that nothing converts into the other's unit.
	Percent *int64 `json:"percent"`
	// Each is dearer or cheaper if not what is counted changed but what each costs.
	Each string `json:"each,omitempty"`
}

// Explain returns the n metrics that account best for the change of a metric between two runs of one scenario. The rule:
//
//  1. A metric that is a sum is taken apart: maintenance time into its parts by operation, busy time into whose it is, violations into their kinds, the bus's utilization into bytes by master at the old
//     cost of a byte. Of a metric per captured frame the parts are divided by the new number of frames, and the rest, the old total times the change of 1/frames, is put down to frames.captured.
//  2. A part that is a count times a cost is split into the count's change at the old mean cost (put down to the count: lines visited, calls, segments, bytes written back, fills) and the rest (put
//     down to the part, as dearer or cheaper each). The time of a task and other waiting is split so into fills and uncached reads, each at the mean latency of the CPU's memory, that latency's own
//     change, and what refills after whole-cache operations took. These are estimates, since a core overlaps some of its fills: they need not add up to the change.
//  3. These are ordered by amount; what worked against the change has a negative percentage, and what is under a hundredth of the change is left out.
//  4. Of latencies, slowdowns and lost frames, which nothing converts, the metrics that are causes by nature (see causal) and moved most are given without a percentage: relative to the larger of what
//     they were and are, and those only that moved a tenth as much as the first. Other metrics are given none.
//
// Parts that the change against the ideal of coherent caches could have are not known to a result: overhead is explained by the run's own time.
func Explain(was, now *Baseline, metric string, n int) []Cause {
	x := explainer{was: was.Metrics, now: now.Metrics, ns: [2]*big.Rat{big.NewRat(max(was.SimulatedPS, 1), 1000), big.NewRat(max(now.SimulatedPS, 1), 1000)}}
	total := x.change(metric)
	if total.Sign() == 0 {
		return nil
	}
	x.decompose(metric)
	var out []Cause
	for _, t := range x.sorted(total) {
		if len(out) == n {
			return out
		}
		out = append(out, x.cause(t, total))
	}
	if len(out) == 0 && slices.ContainsFunc(consequences, func(p string) bool { return matches(p, metric) }) {
		return x.associated(metric, n)
	}
	return out
}

// consequences are the metrics that nothing converts others into.
var consequences = []string{"latency.*", "task.*.slowdown", "frames.*", "isp.overflows", "isp.late_reads", "display.underflows", "cpu.irq_off.max", "coherency.*"}

// term is an amount of change, in the unit of the metric that is explained.
type term struct {
	metric  string
	amount  *big.Rat
	each    bool // the part is what is counted times a cost, and this is the cost's share
	cheaper bool
}

type explainer struct {
	was, now map[string]result.Metric
	ns       [2]*big.Rat // measured time of both runs
	terms    []term
}

func value(m map[string]result.Metric, name string) *big.Rat { return rat(m[name].Value) }

// change is by how much a metric moved; one that is absent counts as 0.
func (x *explainer) change(name string) *big.Rat {
	return new(big.Rat).Sub(value(x.now, name), value(x.was, name))
}

func mul(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }

// div is a / b, or 0 where b is.
func div(a, b *big.Rat) *big.Rat {
	if b.Sign() == 0 {
		return new(big.Rat)
	}
	return new(big.Rat).Quo(a, b)
}

var one = big.NewRat(1, 1)

func (x *explainer) add(metric string, amount *big.Rat) {
	x.terms = append(x.terms, term{metric: metric, amount: amount})
}

// below lists the metrics of either run that are one step below a prefix, or any number with a dotted tail.
func (x *explainer) below(prefix string) []string {
	var out []string
	for _, name := range unionKeys(x.was, x.now) {
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	return out
}

func (x *explainer) decompose(metric string) {
	frames := [2]*big.Rat{value(x.was, "frames.captured"), value(x.now, "frames.captured")}
	switch {
	case metric == "maintenance.time":
		x.maintenance(one)
	case metric == "maintenance.time_per_frame":
		x.maintenance(div(one, frames[1]))
		x.perFrame(value(x.was, "maintenance.time"), frames)
	case metric == "overhead.time_per_frame":
		w := div(one, frames[1])
		x.maintenance(w)
		x.busy(mul(w, x.ns[1]))
		x.perFrame(mul(value(x.was, "cpu.busy"), x.ns[0]), frames)
	case metric == "cpu.busy.maintenance":
		x.maintenance(div(one, x.ns[1]))
	case metric == "cpu.busy":
		x.maintenance(div(one, x.ns[1]))
		x.busy(one)
	case metric == "cpu.idle":
		x.maintenance(div(big.NewRat(-1, 1), x.ns[1]))
		x.busy(big.NewRat(-1, 1))
	case metric == "coherency.violations":
		for _, name := range x.below("coherency.") {
			if name != metric {
				x.add(name, x.change(name))
			}
		}
	case metric == "maintenance.lines.visited":
		x.add("maintenance.lines.useful", x.change("maintenance.lines.useful"))
		x.add("maintenance.lines.useless", x.change("maintenance.lines.useless"))
	case metric == "dram.utilization":
		x.bus(metric)
	case strings.HasPrefix(metric, "maintenance.time."):
		x.product(metric, counted[metric], one)
	case strings.HasPrefix(metric, "cpu.busy.task."):
		x.waiting(strings.TrimPrefix(metric, "cpu.busy.task."), div(one, x.ns[1]))
	}
}

// counted is what each part of maintenance time is a cost of.
var counted = map[string][]string{
	"maintenance.time.call":       {"maintenance.calls.range", "maintenance.calls.whole"},
	"maintenance.time.barrier":    {"maintenance.segments"},
	"maintenance.time.line":       {"maintenance.lines.visited"},
	"maintenance.time.dirty_line": {"maintenance.bytes_written_back"},
}

// maintenance takes maintenance time apart; weight converts its nanoseconds.
func (x *explainer) maintenance(weight *big.Rat) {
	for _, part := range x.below("maintenance.time.") {
		x.product(part, counted[part], weight)
	}
}

// product splits the change of a time into that of what is counted, at the old mean cost, and that of the mean cost.
func (x *explainer) product(part string, counts []string, weight *big.Rat) {
	before := new(big.Rat)
	for _, c := range counts {
		before.Add(before, value(x.was, c))
	}
	cost := div(value(x.was, part), before)
	rest := x.change(part)
	for _, c := range counts {
		amount := mul(x.change(c), cost)
		rest.Sub(rest, amount)
		x.add(c, mul(amount, weight))
	}
	x.terms = append(x.terms, term{metric: part, amount: mul(rest, weight), each: cost.Sign() != 0, cheaper: rest.Sign() < 0})
}

// busy adds the time of everybody but maintenance; weight converts fractions of the run.
func (x *explainer) busy(weight *big.Rat) {
	for _, name := range x.below("cpu.busy.") {
		if name != "cpu.busy.maintenance" {
			x.add(name, mul(x.change(name), weight))
		}
	}
}

// perFrame adds what a change of the number of frames does to a total per frame.
func (x *explainer) perFrame(total *big.Rat, frames [2]*big.Rat) {
	d := new(big.Rat).Sub(div(one, frames[1]), div(one, frames[0]))
	x.add("frames.captured", mul(total, d))
}

// bus takes the data clocks of the memory apart by bytes.
func (x *explainer) bus(metric string) {
	names := slices.Concat(x.below("dram.bytes_read."), x.below("dram.bytes_written."))
	bytes := new(big.Rat)
	for _, n := range names {
		bytes.Add(bytes, value(x.was, n))
	}
	cost := div(value(x.was, metric), bytes)
	for _, n := range names {
		x.add(n, mul(x.change(n), cost))
	}
}

// waiting estimates what a task's time changed by: its memory accesses at the mean latency, and the latency's change.
func (x *explainer) waiting(task string, weight *big.Rat) {
	const latency = "dram.latency.cpu.mean"
	accesses := new(big.Rat)
	for _, c := range []string{"cpu.fills", "cpu.uncached_reads"} {
		x.add(c, mul(mul(x.change(c), value(x.was, latency)), weight))
		accesses.Add(accesses, value(x.now, c))
	}
	x.add(latency, mul(mul(x.change(latency), accesses), weight))
	collateral := "maintenance.collateral_time.task." + task
	x.add(collateral, mul(x.change(collateral), weight))
}

// sorted returns the terms, largest first, without the negligible.
func (x *explainer) sorted(total *big.Rat) []term {
	least := new(big.Rat).Abs(mul(total, big.NewRat(1, 100)))
	out := slices.DeleteFunc(slices.Clone(x.terms), func(t term) bool {
		return new(big.Rat).Abs(t.amount).Cmp(least) < 0
	})
	slices.SortStableFunc(out, func(a, b term) int {
		return cmp.Or(new(big.Rat).Abs(b.amount).Cmp(new(big.Rat).Abs(a.amount)), cmp.Compare(a.metric, b.metric))
	})
	return out
}

func (x *explainer) cause(t term, total *big.Rat) Cause {
	p := roundRat(mul(div(t.amount, total), big.NewRat(100, 1)))
	c := x.moved(t.metric)
	c.Percent = &p
	if t.each {
		c.Each = "dearer"
		if t.cheaper {
			c.Each = "cheaper"
		}
	}
	return c
}

func (x *explainer) moved(name string) Cause {
	c := Cause{Metric: name}
	if m, ok := x.was[name]; ok {
		c.Was, c.Unit = &m.Value, m.Unit
	}
	if m, ok := x.now[name]; ok {
		c.Now, c.Unit = &m.Value, m.Unit
	}
	return c
}

// causal are the metrics that others follow from: what maintenance did, how often the core missed, waited and switched, what the bus carried. Of two that moved as much, the earlier is named first.
var causal = []string{
	"maintenance.time", "maintenance.collateral_misses", "cpu.fills", "cpu.uncached_reads", "dram.latency.*.mean", "dram.utilization", "dram.row_hit_rate", "cpu.context_switches", "cpu.interrupts",
	"iommu.*.tlb_misses", "isp.overflows", "display.underflows", "script.errors", "dram.bytes_read.*", "dram.bytes_written.*", "dram.activates", "cpu.posted_writes", "cpu.tlb_misses",
	"maintenance.lines.visited", "maintenance.segments", "maintenance.calls.*", "maintenance.bytes_written_back",
}

// associated lists the causal metrics that moved most, relative to the larger of what they were and are.
func (x *explainer) associated(metric string, n int) []Cause {
	var out []term
	for _, name := range unionKeys(x.was, x.now) {
		if name == metric || natural(name) < 0 {
			continue
		}
		d := x.change(name)
		if d.Sign() == 0 {
			continue
		}
		base := value(x.was, name)
		if v := value(x.now, name); v.Cmp(base) > 0 {
			base = v
		}
		out = append(out, term{metric: name, amount: new(big.Rat).Abs(div(d, base))})
	}
	slices.SortStableFunc(out, func(a, b term) int {
		return cmp.Or(b.amount.Cmp(a.amount), cmp.Compare(natural(a.metric), natural(b.metric)))
	})
	var causes []Cause
	for _, t := range out[:min(n, len(out))] {
		if mul(t.amount, big.NewRat(10, 1)).Cmp(out[0].amount) >= 0 {
			causes = append(causes, x.moved(t.metric))
		}
	}
	return causes
}

// natural is the place of a metric among the causal ones, -1 if it is none.
func natural(name string) int {
	return slices.IndexFunc(causal, func(p string) bool { return matches(p, name) })
}

// roundRat rounds half away from zero.
func roundRat(r *big.Rat) int64 {
	half := big.NewRat(1, 2)
	if r.Sign() < 0 {
		return -roundRat(new(big.Rat).Neg(r))
	}
	r = new(big.Rat).Add(r, half)
	return new(big.Int).Quo(r.Num(), r.Denom()).Int64()
}
