package access

import (
	"fmt"
	"slices"

	"socsim/internal/conf"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dram"
)

// builder makes terms of what was written down.
type builder struct {
	r         *rig
	cfg       soc.Config
	part      string
	terms     []Term
	transfers []transfer // not yet accounted for
	master    string     // the dotted path of the initiator
	latency   sim.Time   // of its own, beside the interconnect's, there and back
}

// terms accounts for what the core did; some of the transfers that it waited for may have been granted before.
func (r *rig) terms(rec record, before ...transfer) ([]Term, error) {
	b := &builder{r: r, cfg: r.chip.Config, transfers: append(before, rec.transfers...), master: "soc.cpu", latency: r.chip.Config.CPU.MemoryLatency}
	b.part = "load"
	if r.q.Write {
		b.part = "store"
	}
	whole := b.part
	issued := false
	step := 0 // of the lookup under way
	for i := 0; i < len(rec.charges); i++ {
		c := rec.charges[i]
		d := rec.end(i) - c.From
		switch {
		case c.Cause == cpu.CauseWalk:
			b.part, step = "table walk", 0
			if err := b.cycles("walk of the core's page table", "soc.cpu.tlb_miss_cycles", b.cfg.CPU.TLBMissCycles, d); err != nil {
				return nil, err
			}
		case c.Cause == cpu.CauseCompute && !issued:
			b.part, step, issued = whole, 0, true
			if err := b.issue(d); err != nil {
				return nil, err
			}
		case c.Cause == cpu.CauseCompute:
			if err := b.use(d); err != nil {
				return nil, err
			}
		case c.Cause == cpu.CauseBarrier:
			b.part = "barrier"
			if err := b.cycles("barrier", "soc.cpu.maintenance.barrier", int(b.cfg.CPU.Maintenance.Barrier), d); err != nil {
				return nil, err
			}
		case b.waits(c, d):
			last := i
			for last+1 < len(rec.charges) && b.waits(rec.charges[last+1], rec.end(last+1)-rec.charges[last+1].From) {
				last++
			}
			posted := slices.ContainsFunc(rec.charges[i:last+1], func(c cpu.Charge) bool { return c.Cause == cpu.CausePosted })
			if err := b.wait(c.From, rec.end(last), posted); err != nil {
				return nil, err
			}
			i = last
		default:
			if err := b.lookup(step, c, d); err != nil {
				return nil, err
			}
			step++
		}
	}
	return b.sum(rec.to - rec.from)
}

// end returns when a charge ends.
func (r *record) end(i int) sim.Time {
	if i+1 < len(r.charges) {
		return r.charges[i+1].From
	}
	return r.to
}

// waits tells whether a charge is a wait for the bus: that of a line read from memory is one from when the bus has been asked.
func (b *builder) waits(c cpu.Charge, d sim.Time) bool {
	switch c.Cause {
	case cpu.CauseUncached, cpu.CausePosted:
		return true
	case cpu.CauseContention:
		return !b.asks(c.From)
	case cpu.CauseRefill, cpu.CauseCollateral:
		return d > 0 && !b.asks(c.From)
	}
	return false
}

// asks tells whether the next line fill is still to be asked for at a time, or there is none.
func (b *builder) asks(at sim.Time) bool {
	i := slices.IndexFunc(b.transfers, func(x transfer) bool { return x.kind == bus.Fill || x.kind == bus.WriteBack })
	return i < 0 || b.transfers[i].asked > at
}

// issue accounts for the issue of the loads or stores.
func (b *builder) issue(d sim.Time) error {
	n := int(b.r.q.Bytes / b.r.q.Width)
	name := "issue"
	if n > 1 {
		name = fmt.Sprintf("issue of %d accesses", n)
	}
	return b.cycles(name, "soc.cpu.access_cycles", n*b.cfg.CPU.AccessCycles, d)
}

// use accounts for what is left of the latency of an L1 hit when the next instruction needs the data.
func (b *builder) use(d sim.Time) error {
	n := b.cfg.CPU.L1Cycles - b.cfg.CPU.AccessCycles
	if err := b.cycles("load to use, beyond the issue", "soc.cpu.l1_cycles", n, d); err != nil {
		return err
	}
	b.terms[len(b.terms)-1].Formula = fmt.Sprintf("(%d - %d) cycles at %v", b.cfg.CPU.L1Cycles, b.cfg.CPU.AccessCycles, b.cfg.CPU.Clock)
	return nil
}

// lookup accounts for the cycles of a lookup beyond L1, in the order in which the core charges them.
func (b *builder) lookup(step int, c cpu.Charge, d sim.Time) error {
	type cost struct {
		name, setting string
		n             int
	}
	costs := []cost{{"lookup of L2", "soc.cpu.l2_cycles", b.cfg.CPU.L2Cycles}}
	if b.cfg.L2.Size == 0 {
		costs[0].name = "miss in L1"
	}
	if b.cfg.LLC.Size > 0 {
		costs = append(costs, cost{"lookup of the third level", "soc.cpu.llc_cycles", b.cfg.CPU.LLCCycles})
	}
	costs = append(costs, cost{"miss in all caches", "soc.cpu.miss_cycles", b.cfg.CPU.MissCycles})
	if b.part == "barrier" || b.part == "store" {
		costs = costs[len(costs)-1:] // a store that brings its line in
	}
	if step == len(costs) && b.asks(c.From) && len(b.transfers) > 0 {
		b.waited("wait for a line fill that is free", "soc.cpu.linefills", d)
		return nil
	}
	if step >= len(costs) {
		return fmt.Errorf("explaining the %s: the core charged %v for %v, of which nothing is known", b.part, d, c.Cause)
	}
	return b.cycles(costs[step].name, costs[step].setting, costs[step].n, d)
}

// cycles adds what n core cycles took.
func (b *builder) cycles(name, setting string, n int, took sim.Time) error {
	return b.fixed(name, setting, int64(n), b.cfg.CPU.Clock, took)
}

// fixed adds a term that a setting fixes at n cycles of a clock, and took so long.
func (b *builder) fixed(name, setting string, n int64, clock units.Hertz, took sim.Time) error {
	if want := sim.NewClock(int64(clock)).Cycles(n); took != want {
		return fmt.Errorf("explaining the %s: %s took %v, but %s makes it %v", b.part, name, took, setting, want)
	}
	b.add(Term{Name: name, Setting: setting, Formula: cyclesText(n, clock), Time: took})
	return nil
}

func cyclesText(n int64, clock units.Hertz) string {
	unit := "cycles"
	if n == 1 {
		unit = "cycle"
	}
	return fmt.Sprintf("%d %s at %v", n, unit, clock)
}

// add adds a term of the current part. Terms of no time say nothing.
func (b *builder) add(t Term) {
	if t.Time == 0 {
		return
	}
	t.Part, t.Count = b.part, 1
	if t.Setting != "" {
		root := struct {
			SoC soc.Config `conf:"soc"`
		}{b.cfg}
		t.Value, _ = conf.Value(root, t.Setting)
		t.Estimated = slices.Contains(b.r.chip.Estimated, t.Setting)
	}
	b.merge(t)
}

// merge adds a term, to one like it if there is.
func (b *builder) merge(t Term) {
	for i := range b.terms {
		if s := &b.terms[i]; s.Part == t.Part && s.Name == t.Name && s.Setting == t.Setting && s.Formula == t.Formula {
			s.Count += t.Count
			s.Time += t.Time
			return
		}
	}
	b.terms = append(b.terms, t)
}

// sum checks that the terms add up to what was measured.
func (b *builder) sum(took sim.Time) ([]Term, error) {
	var sum sim.Time
	for _, t := range b.terms {
		sum += t.Time
	}
	if sum != took {
		return nil, fmt.Errorf("explaining the %s: the terms add up to %v, but it took %v", b.part, sum, took)
	}
	return b.terms, nil
}

// wait accounts for a wait for transfers, of writes or of reads, one after the other. Of writes that are on their way together the last is waited for.
func (b *builder) wait(from, to sim.Time, writes bool) error {
	for from < to {
		x, ok := b.next(from, to, writes)
		if !ok {
			return fmt.Errorf("explaining the %s: a wait of %v for nothing that was seen", b.part, to-from)
		}
		if err := b.transfer(x, min(from, x.asked)); err != nil {
			return err
		}
		b.add(Term{Name: began, Formula: "simulated", Time: min(0, x.asked-from)})
		if x.done > to {
			b.early(to - x.done)
		}
		from = x.done
	}
	return nil
}

// began is the name of what a posted write had done before anybody waited for it.
const began = "of that, what passed before the wait began"

// next takes the transfer that the core waits for from a time on.
func (b *builder) next(from, to sim.Time, writes bool) (x transfer, ok bool) {
	rest := b.transfers[:0]
	for _, y := range b.transfers {
		switch {
		case y.kind.IsWrite() != writes || y.done <= from || b.r.sys.MasterName(y.master) != "cpu":
			rest = append(rest, y)
		case !ok || writes && y.asked < x.done && y.done <= to:
			x, ok = y, true
		default:
			rest = append(rest, y)
		}
	}
	b.transfers = rest
	return x, ok
}

// early takes off what the access did not wait for: the rest of its line.
func (b *builder) early(d sim.Time) {
	line, n := int(b.cfg.L1D.Line), int(b.r.q.Bytes)
	if b.part == "table walk" {
		n = 4
	}
	b.add(Term{
		Name: "its own bytes come first", Setting: "soc.cpu.critical_word_first", Time: d,
		Formula: fmt.Sprintf("-%d/%d of %s", line-n, line, cyclesText(b.cfg.DRAM.DataClocks(line), b.cfg.DRAM.Clock)),
	})
}

// transfer accounts for a transfer that its initiator asked for at a time.
func (b *builder) transfer(x transfer, asked sim.Time) error {
	l3 := b.cfg.L3
	wires := sim.NewClock(int64(l3.Clock))
	there, back := wires.Cycles(int64(l3.RequestCycles)), wires.Cycles(int64(l3.ResponseCycles))
	half := b.latency / 2
	if x.hop != there+half || x.back != back+b.latency-half {
		return fmt.Errorf("explaining the %s: hops of %v and %v, but the settings make them %v and %v", b.part, x.hop, x.back, there+half, back+b.latency-half)
	}
	b.waited("wait at the port: bursts before, bandwidth limit", "", x.issued-asked)
	b.add(Term{Name: "request, to the interconnect", Setting: b.master + ".memory_latency", Formula: fmt.Sprintf("half of %v", b.latency), Time: half})
	if err := b.fixed("request, over the interconnect", "soc.l3.request_cycles", int64(l3.RequestCycles), l3.Clock, there); err != nil {
		return err
	}
	b.waited("wait behind the port's earlier data", b.master+".bus_width", x.arrived-x.issued-x.hop)
	b.waited("wait at the arbiter", "", x.grant-x.arrived)
	end, err := b.memory(x)
	if err != nil {
		return err
	}
	if err := b.fixed("response, over the interconnect", "soc.l3.response_cycles", int64(l3.ResponseCycles), l3.Clock, back); err != nil {
		return err
	}
	b.add(Term{Name: "response, from the interconnect", Setting: b.master + ".memory_latency", Formula: fmt.Sprintf("the other half of %v", b.latency), Time: b.latency - half})
	b.waited("data crosses the port", b.master+".bus_width", x.done-end-x.back)
	return nil
}

// waited adds a wait, which no setting fixes alone.
func (b *builder) waited(name, setting string, d sim.Time) {
	b.add(Term{Name: name, Setting: setting, Formula: "simulated", Time: d})
}

// memory accounts for what lies between the grant of a transfer and the end of its data, which it returns.
func (b *builder) memory(x transfer) (end sim.Time, err error) {
	at := x.grant
	if b.cfg.SystemCache.Size > 0 {
		s, wires := b.cfg.SystemCache, sim.NewClock(int64(b.cfg.L3.Clock))
		look := wires.Cycles(int64(s.LookupCycles))
		at += look
		if err := b.fixed("lookup of the system cache", "soc.system_cache.lookup_cycles", int64(s.LookupCycles), b.cfg.L3.Clock, look); err != nil {
			return 0, err
		}
		if x.hit {
			data := wires.Cycles(int64(s.DataCycles))
			b.waited("wait for its data port", "", x.done-x.back-at-data)
			return x.done - x.back, b.fixed("data of the system cache", "soc.system_cache.data_cycles", int64(s.DataCycles), b.cfg.L3.Clock, data)
		}
	}
	clock := b.r.sys.DRAM.Clock()
	clk := clock.Ceil(at)
	if !b.cfg.DRAM.Scheduler.Banked() {
		end = x.done - x.back
		n := clock.Ceil(b.cfg.DRAM.Service)
		b.edge(end - at - clock.Cycles(n))
		return end, b.timing("service", "service", n)
	}
	return b.banks(x, at, clk)
}

// edge adds the wait for the memory's clock, with what the rounding to picoseconds leaves.
func (b *builder) edge(d sim.Time) {
	b.add(Term{Name: "next edge of the memory's clock", Setting: "soc.dram.clock", Formula: fmt.Sprintf("less than %s", cyclesText(1, b.cfg.DRAM.Clock)), Time: d})
}

// timing adds n clocks of the memory that a setting of it fixes.
func (b *builder) timing(name, setting string, n int64) error {
	return b.fixed(name, "soc.dram."+setting, n, b.cfg.DRAM.Clock, b.r.sys.DRAM.Clock().Cycles(n))
}

// stage is a stretch of an access to the banks that ends at a clock. A setting fixes n clocks of it; what it takes beyond them is a wait.
type stage struct {
	name, setting string
	n, until      int64
}

// banks accounts for an access to banks by its commands, from when the memory was asked, and returns when its data ends.
func (b *builder) banks(x transfer, at sim.Time, clk int64) (end sim.Time, err error) {
	clock := b.r.sys.DRAM.Clock()
	in := *b
	in.terms = nil
	now := clk
	for _, s := range b.stages(x, clk) {
		if s.until < now+s.n {
			return 0, fmt.Errorf("explaining the %s: %s took %d clocks, but soc.dram.%s makes it %d", b.part, s.name, s.until-now, s.setting, s.n)
		}
		if s.setting != "" {
			if err := in.timing(s.name, s.setting, s.n); err != nil {
				return 0, err
			}
		}
		in.waited("wait in the memory: commands, turnaround, refresh, wake-up", "", clock.Cycles(s.until-now-s.n))
		now = s.until
	}
	end = clock.Cycles(now)
	edge := end - at
	for _, t := range in.terms {
		edge -= t.Time
	}
	b.edge(edge)
	for _, t := range in.terms {
		b.merge(t)
	}
	return end, nil
}

// stages lists what an access does in the banks.
func (b *builder) stages(x transfer, clk int64) []stage {
	cfg, clock, c := b.cfg.DRAM, b.r.sys.DRAM.Clock(), b.own(x, clk)
	if c.data == 0 {
		// Not a command: the write is posted, or the data still lies in the buffer of posted writes.
		return []stage{{"acknowledged by the controller, which posts writes", "scheduler", 1, clk + 1}}
	}
	var out []stage
	if c.precharge >= 0 {
		out = append(out, stage{until: c.precharge})
	}
	if c.activate >= 0 {
		act := stage{until: c.activate}
		if c.precharge >= 0 {
			act = stage{"precharge: another row was open", "trp", max(1, clock.Ceil(cfg.TRP)), c.activate}
		}
		out = append(out, act, stage{"activate: the row is opened", "trcd", max(1, clock.Ceil(cfg.TRCD)), c.column})
	} else {
		out = append(out, stage{until: c.column})
	}
	column := stage{"column access", "cl", int64(cfg.CL), c.column + int64(cfg.CL)}
	if x.kind.IsWrite() {
		column = stage{"column access", "cwl", int64(cfg.CWL), c.column + int64(cfg.CWL)}
	}
	data := c.data * int64(cfg.Burst) / 2
	return append(out, column, stage{fmt.Sprintf("data: %d x %d beats of %v", c.data, cfg.Burst, cfg.Width), "burst", data, column.until + data})
}

// commands of an access to the memory, by their clocks; -1 for none.
type commands struct {
	precharge, activate, column int64
	data                        int64 // column commands
}

// own finds the commands of a transfer's last burst, which the memory was asked for at a clock.
func (b *builder) own(x transfer, clk int64) commands {
	c := commands{-1, -1, -1, 0}
	at := b.r.sys.DRAM.Locate(x.addr)
	for _, k := range x.commands {
		if k.Clk < clk || k.Channel != at.Channel || k.Bank != at.Bank || k.Row != at.Row {
			continue
		}
		first := k.Col == at.Column // a row is opened for its first column
		switch k.Kind {
		case dram.Precharge:
			if first {
				c.precharge = k.Clk
			}
		case dram.Activate:
			if first {
				c.activate = k.Clk
			}
		case dram.Read, dram.ReadPrecharge, dram.Write, dram.WritePrecharge:
			if first {
				c.column, c.data = k.Clk, 0
			}
			c.data++
		}
	}
	return c
}
