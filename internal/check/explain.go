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
//     Of a fraction of the measured time the rest, if that is not the same in both runs, is put down to simulated_ps.
//  2. A part that is a count times a cost (see counts), and each time of the core by itself, is split into the count's change at the old mean cost, put down to the count, and the rest, put down to the part as dearer or cheaper each.
//     Lines that were visited because there were more calls by range, of as many lines each, are put down to the calls.
//  3. These are ordered by amount; what worked against the change has a negative percentage, and what is under a hundredth of the change is left out. Terms are exact: all of them together are the
//     change, but for overhead, which is taken against another run: there it is the change of the run's own time that is taken apart.
//  4. Of a latency, a slowdown, a task's share, lost frames and the like there is no formula. They are held against the account that drives them (compare.Explain): the core's or the memory's time by
//     cause, the part that moved most first, without a percentage. What is not a twentieth of all that moved the same way is left out. Other metrics, mostly counts, are given no cause.
func Explain(was, now *Baseline, metric string, n int) []Cause {
	x := explainer{was: was.Metrics, now: now.Metrics, ps: [2]int64{was.SimulatedPS, now.SimulatedPS}}
	for k, ps := range x.ps {
		x.ns[k] = big.NewRat(max(ps, 1), 1000)
	}
	total := x.change(metric)
	if total.Sign() == 0 {
		return nil
	}
	x.decompose(metric)
	var out []Cause
	for _, t := range x.sorted(metric, total) {
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
	ps       [2]int64    // measured time of both runs
	ns       [2]*big.Rat // the same
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

// add puts an amount down to a metric; of several for the same metric the sum counts.
func (x *explainer) add(metric string, amount *big.Rat) {
	for _, t := range x.terms {
		if t.metric == metric && !t.each {
			t.amount.Add(t.amount, amount)
			return
		}
	}
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
		x.perTime(value(x.was, metric))
	case metric == "cpu.busy":
		x.coreTime(div(one, x.ns[1]))
		x.perTime(value(x.was, metric))
	case metric == "cpu.idle":
		x.coreTime(div(big.NewRat(-1, 1), x.ns[1]))
		x.perTime(new(big.Rat).Sub(value(x.was, metric), one))
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
		x.perTime(value(x.was, metric))
	case strings.HasPrefix(metric, "cpu.busy."):
		x.perTime(value(x.was, metric))
	case strings.HasPrefix(metric, "maintenance.time."), strings.HasPrefix(metric, "cpu.time.") && metric != "cpu.time.idle":
		x.product(metric, x.counts(metric), one)
	}
}

// counted is what each part of maintenance time and of the core's time is a cost of.
var counted = map[string][]string{
	"maintenance.time.call":           {"maintenance.segments", "maintenance.calls.whole"}, // the routine by address is called for each segment
	"maintenance.time.barrier":        {"maintenance.segments", "maintenance.calls.whole"},
	"maintenance.time.line":           {"maintenance.lines.visited"},
	"maintenance.time.dirty_line":     {"maintenance.bytes_written_back"},
	"cpu.time.maintenance_call":       {"maintenance.segments", "maintenance.calls.whole"},
	"cpu.time.barrier":                {"maintenance.segments", "maintenance.calls.whole"},
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
		x.product(part, x.counts(part), weight)
	}
}

// coreTime takes the core's busy time apart; weight converts its nanoseconds.
func (x *explainer) coreTime(weight *big.Rat) {
	for _, part := range x.below("cpu.time.") {
		if part != "cpu.time.idle" {
			x.product(part, x.counts(part), weight)
		}
	}
}

// counts returns what a part is a cost of. Refills are line fills; where whole-cache operations threw lines out, an unknown number of the fills is not theirs but refill_collateral's.
func (x *explainer) counts(part string) []string {
	if part == "cpu.time.refill" && value(x.was, "cpu.time.refill_collateral").Sign() == 0 && value(x.now, "cpu.time.refill_collateral").Sign() == 0 {
		return []string{"cpu.fills"}
	}
	return counted[part]
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
		calls := new(big.Rat)
		if c == "maintenance.lines.visited" {
			calls = mul(x.linesOfCalls(), cost)
			x.add("maintenance.calls.range", mul(calls, weight))
		}
		x.add(c, mul(amount.Sub(amount, calls), weight))
	}
	x.terms = append(x.terms, term{metric: part, amount: mul(rest, weight), each: cost.Sign() != 0, cheaper: rest.Sign() < 0})
}

// linesOfCalls is how many of the lines that were visited more were so because there were more calls, of the old mean number of lines: 0 where that is not what most of the change is, or where calls by
// range and for whole caches mix.
func (x *explainer) linesOfCalls() *big.Rat {
	const visited, calls, whole = "maintenance.lines.visited", "maintenance.calls.range", "maintenance.calls.whole"
	if value(x.was, whole).Sign() != 0 || value(x.now, whole).Sign() != 0 {
		return new(big.Rat)
	}
	amount, change := mul(x.change(calls), div(value(x.was, visited), value(x.was, calls))), x.change(visited)
	rest := new(big.Rat).Sub(change, amount)
	if rest.Abs(rest).Cmp(mul(change.Abs(change), big.NewRat(1, 4))) > 0 {
		return new(big.Rat)
	}
	return amount
}

// perFrame adds what a change of the number of frames does to a total per frame.
func (x *explainer) perFrame(total *big.Rat, frames [2]*big.Rat) {
	d := new(big.Rat).Sub(div(one, frames[1]), div(one, frames[0]))
	x.add("frames.captured", mul(total, d))
}

// simulated stands for the measured time, which is no metric.
const simulated = "simulated_ps"

// perTime adds what another length of the measured time does to a fraction of it.
func (x *explainer) perTime(was *big.Rat) {
	x.add(simulated, mul(was, new(big.Rat).Sub(div(x.ns[0], x.ns[1]), one)))
}

// bus takes the data clocks of the memory apart by bytes.
func (x *explainer) bus(metric string) {
	names := slices.Concat(x.below("dram.bytes_read."), x.below("dram.bytes_written."))
	bytes := new(big.Rat)
	for _, n := range names {
		bytes.Add(bytes, value(x.was, n))
	}
	cost := mul(div(value(x.was, metric), bytes), div(x.ns[0], x.ns[1]))
	for _, n := range names {
		x.add(n, mul(x.change(n), cost))
	}
}

// sorted returns the terms, largest first, without the negligible, and without the metric itself unless each of what it counts costs another amount.
func (x *explainer) sorted(metric string, total *big.Rat) []term {
	least := new(big.Rat).Abs(mul(total, big.NewRat(1, 100)))
	out := slices.DeleteFunc(slices.Clone(x.terms), func(t term) bool {
		return new(big.Rat).Abs(t.amount).Cmp(least) < 0 || t.metric == metric && !t.each
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
	if name == simulated {
		was, now := result.Int(x.ps[0]), result.Int(x.ps[1])
		c.Unit, c.Was, c.Now = "ps", &was, &now
	}
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
