package check

import (
	"cmp"
	"math/big"
	"slices"
	"strings"

	"socsim/internal/compare"
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
//  1. A metric that is a sum is taken apart: maintenance time into its parts by operation, busy time and overhead into the core's time by cause (cpu.time.*, idle left out), violations into their
//     kinds, lines into useful and useless, the bus's utilization into bytes by master at the old cost of a byte. Of a metric per captured frame the parts are divided by the new number of frames, and
//     the rest, the old total times the change of 1/frames, is put down to frames.captured.
//  2. A part that is a count times a cost (see counted) is split into the count's change at the old mean cost, put down to the count, and the rest, put down to the part as dearer or cheaper each.
//  3. These are ordered by amount; what worked against the change has a negative percentage, and what is under a hundredth of the change is left out. Terms are exact: all of them together are the
//     change, but for overhead, which is taken against another run: there it is the change of the run's own time that is taken apart.
//  4. Of a latency, a slowdown, a task's share, lost frames and the like there is no formula. They are held against the account that drives them (compare.Explain): the core's or the memory's time by
//     cause, the part that moved most first, without a percentage. What is not a twentieth of all that moved the same way is left out. Other metrics, mostly counts, are given no cause.
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
		return associated(was, now, metric, n)
	}
	return out
}

// consequences are the metrics that nothing converts others into.
var consequences = []string{"latency.*", "task.*.slowdown", "cpu.busy.*", "frames.*", "isp.overflows", "isp.late_reads", "display.underflows", "cpu.irq_off.max", "dram.latency.*"}

// associated names what moved most in the account that drives a metric.
func associated(was, now *Baseline, metric string, n int) []Cause {
	var out []Cause
	for _, c := range compare.Explain(&result.Document{Metrics: was.Metrics}, &result.Document{Metrics: now.Metrics}, metric, n) {
		if c.Share >= leastShare {
			out = append(out, Cause{Metric: c.Metric, Unit: c.Unit, Was: &c.A, Now: &c.B})
		}
	}
	return out
}

// leastShare is the least part, in thousandths, that an associated cause has in all that moved as it did.
const leastShare = 50

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
		x.coreTime(div(one, frames[1]))
		x.perFrame(mul(value(x.was, "cpu.busy"), x.ns[0]), frames)
	case metric == "cpu.busy.maintenance":
		x.maintenance(div(one, x.ns[1]))
	case metric == "cpu.busy":
		x.coreTime(div(one, x.ns[1]))
	case metric == "cpu.idle":
		x.coreTime(div(big.NewRat(-1, 1), x.ns[1]))
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
	}
}

// counted is what each part of maintenance time and of the core's time is a cost of.
var counted = map[string][]string{
	"maintenance.time.call":           {"maintenance.calls.range", "maintenance.calls.whole"},
	"maintenance.time.barrier":        {"maintenance.segments"},
	"maintenance.time.line":           {"maintenance.lines.visited"},
	"maintenance.time.dirty_line":     {"maintenance.bytes_written_back"},
	"cpu.time.maintenance_call":       {"maintenance.calls.range", "maintenance.calls.whole"},
	"cpu.time.barrier":                {"maintenance.segments"},
	"cpu.time.maintenance_line":       {"maintenance.lines.visited"},
	"cpu.time.maintenance_write_back": {"maintenance.bytes_written_back"},
	"cpu.time.refill_collateral":      {"maintenance.collateral_misses"},
	"cpu.time.uncached_read":          {"cpu.uncached_reads"},
	"cpu.time.table_walk":             {"cpu.tlb_misses"},
	"cpu.time.interrupt":              {"cpu.interrupts"},
	"cpu.time.context_switch":         {"cpu.context_switches"},
}

// maintenance takes maintenance time apart; weight converts its nanoseconds.
func (x *explainer) maintenance(weight *big.Rat) {
	for _, part := range x.below("maintenance.time.") {
		x.product(part, counted[part], weight)
	}
}

// coreTime takes the core's busy time apart; weight converts its nanoseconds.
func (x *explainer) coreTime(weight *big.Rat) {
	for _, part := range x.below("cpu.time.") {
		if part != "cpu.time.idle" {
			x.product(part, counted[part], weight)
		}
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

// roundRat rounds half away from zero.
func roundRat(r *big.Rat) int64 {
	half := big.NewRat(1, 2)
	if r.Sign() < 0 {
		return -roundRat(new(big.Rat).Neg(r))
	}
	r = new(big.Rat).Add(r, half)
	return new(big.Int).Quo(r.Num(), r.Denom()).Int64()
}
