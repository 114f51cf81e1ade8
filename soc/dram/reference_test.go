package dram

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
)

// reference is a controller that keeps the list of all commands given and, for each request in turn, steps clock by clock until the rules between the next command and all of the
// past allow it. It has the policy of Controller (in order, refresh first when due), and none of its bookkeeping.
type reference struct {
	cfg  Config
	past []Command
	open []int64 // row of each bank, -1 for none
	due  int64   // next refresh
	count
}

type count struct{ hits, closed, misses, refreshes uint64 }

func newReference(cfg Config) *reference {
	r := &reference{cfg: cfg, open: make([]int64, cfg.Banks), due: clk(cfg.TREFI)}
	for i := range r.open {
		r.open[i] = -1
	}
	return r
}

// clk converts a time of the gigahertz memory.
func clk(t sim.Time) int64 { return int64(t / sim.Nanosecond) }

// apart returns how long after p command kind to bank may come.
func (r *reference) apart(p Command, kind Kind, bank int) (int64, bool) {
	c := r.cfg
	same := p.Bank == bank
	cl, cwl, burst := int64(c.CL), int64(c.CWL), int64(c.Burst)/2
	rtp, wr := max(clk(c.TRTP), burst), cwl+burst+clk(c.TWR)
	isRead, isWrite := p.Kind == Read || p.Kind == ReadPrecharge, p.Kind == Write || p.Kind == WritePrecharge
	switch kind {
	case Activate:
		switch {
		case p.Kind == Activate && same:
			return max(clk(c.TRC), clk(c.TRRD)), true
		case p.Kind == Activate:
			return clk(c.TRRD), true
		case p.Kind == Precharge && same:
			return clk(c.TRP), true
		case p.Kind == ReadPrecharge && same:
			return burst + rtp + clk(c.TRP), true
		case p.Kind == WritePrecharge && same:
			return wr + clk(c.TRP), true
		case p.Kind == Refresh:
			return clk(c.TRFC), true
		}
	case Precharge:
		switch {
		case p.Kind == Activate && same:
			return clk(c.TRAS), true
		case isRead && same:
			return rtp, true
		case isWrite && same:
			return wr, true
		}
	case Read, ReadPrecharge:
		switch {
		case p.Kind == Activate && same:
			return clk(c.TRCD), true
		case isRead:
			return burst, true
		case isWrite:
			return max(burst, cwl+burst+int64(c.TWTR)), true
		}
	case Write, WritePrecharge:
		switch {
		case p.Kind == Activate && same:
			return clk(c.TRCD), true
		case isRead:
			return max(burst, cl+burst+int64(c.TRTW)-cwl), true
		case isWrite:
			return burst, true
		}
	case Refresh:
		switch {
		case p.Kind == Activate:
			return clk(c.TRC), true
		case p.Kind == Precharge:
			return clk(c.TRP), true
		case p.Kind == Refresh:
			return clk(c.TRFC), true
		case p.Kind == ReadPrecharge:
			return max(burst+rtp+clk(c.TRP), cl+burst), true
		case p.Kind == WritePrecharge:
			return wr + clk(c.TRP), true
		case isRead:
			return cl + burst, true
		case isWrite:
			return cwl + burst, true
		}
	}
	return 0, false
}

// give gives a command at the first clock from at that is allowed.
func (r *reference) give(at int64, kind Kind, bank int, row, col int64) int64 {
next:
	for ; ; at++ {
		window := 0
		for _, p := range r.past {
			if d, ok := r.apart(p, kind, bank); ok && at-p.Clk < d || at == p.Clk {
				continue next
			}
			if kind == Activate && p.Kind == Activate && at-p.Clk < clk(r.cfg.TFAW) {
				window++
			}
		}
		if window >= 4 {
			continue
		}
		r.past = append(r.past, Command{Clk: at, Kind: kind, Bank: bank, Row: row, Col: col})
		return at
	}
}

func (r *reference) serve(at int64, bank int, row int64, bytes int, wr bool) (start, end int64) {
	for r.due > 0 && at >= r.due {
		for b := range r.open {
			if r.open[b] >= 0 {
				r.give(r.due, Precharge, b, -1, -1)
				r.open[b] = -1
			}
		}
		r.give(r.due, Refresh, -1, -1, -1)
		r.due += clk(r.cfg.TREFI)
		r.refreshes++
	}
	switch {
	case r.open[bank] == row:
		r.hits++
	case r.open[bank] >= 0:
		r.misses++
		r.give(at, Precharge, bank, row, 0)
		r.give(at, Activate, bank, row, 0)
	default:
		r.closed++
		r.give(at, Activate, bank, row, 0)
	}
	r.open[bank] = row
	burst := int64(r.cfg.Burst) / 2
	n := (int64(bytes) + 8*burst - 1) / (8 * burst)
	kind, latency := Read, int64(r.cfg.CL)
	if wr {
		kind, latency = Write, int64(r.cfg.CWL)
	}
	for i := range n {
		k := kind
		if r.cfg.Page == Closed && i == n-1 {
			k++
			r.open[bank] = -1
		}
		cas := r.give(at, k, bank, row, i)
		if i == 0 {
			start = cas + latency
		}
		at = cas
	}
	return start, start + n*burst
}

// drawConfig draws timings, some of which make no sense on a real part.
func drawConfig(t *rapid.T) Config {
	ns := func(name string, hi int64) sim.Time {
		return sim.Time(rapid.Int64Range(0, hi).Draw(t, name)) * sim.Nanosecond
	}
	c := Config{
		Clock: 1e9, Width: 4, Banks: rapid.SampledFrom([]int{1, 2, 4, 8}).Draw(t, "banks"), Row: 4096, Map: RoBaCo, Page: rapid.SampledFrom([]Page{Open, Open, Closed}).Draw(t, "page"),
		Burst: rapid.SampledFrom([]Burst{2, 4, 8, 16}).Draw(t, "burst"),
		CL:    rapid.IntRange(1, 6).Draw(t, "cl"), CWL: rapid.IntRange(0, 5).Draw(t, "cwl"),
		TRCD: ns("trcd", 8), TRP: sim.Nanosecond + ns("trp", 8), TRAS: ns("tras", 20), TRC: ns("trc", 30), TRRD: ns("trrd", 12), TWR: ns("twr", 12),
		TWTR: rapid.IntRange(0, 6).Draw(t, "twtr"), TRTW: rapid.IntRange(0, 3).Draw(t, "trtw"),
		TFAW: ns("tfaw", 40), TRTP: ns("trtp", 10), TRFC: sim.Nanosecond + ns("trfc", 40), LookAhead: rapid.IntRange(1, MaxLookAhead).Draw(t, "look_ahead"),
	}
	if rapid.Bool().Draw(t, "refresh") {
		c.TREFI = c.TRFC + c.TRP + sim.Nanosecond + ns("trefi", 300)
	}
	return c
}

// drawStream calls f with n requests of random arrival that keep to the look-ahead; f returns when a request's data ends.
func drawStream(t *rapid.T, cfg Config, n int, f func(at int64, bank int, row int64, bytes int, write bool) (end int64)) {
	var now int64
	var ends [MaxLookAhead]int64
	gap := rapid.SampledFrom([]int64{0, 3, 20, 200}).Draw(t, "gap")
	for i := range n {
		now = max(now, ends[i%cfg.LookAhead]) + rapid.Int64Range(0, gap).Draw(t, "wait")
		ends[i%cfg.LookAhead] = f(now, rapid.IntRange(0, cfg.Banks-1).Draw(t, "bank"), rapid.Int64Range(0, 2).Draw(t, "row"),
			rapid.SampledFrom([]int{64, 64, 4, 20, 32}).Draw(t, "bytes"), rapid.Bool().Draw(t, "write"))
	}
}

func bankRow(cfg Config, bank int, row int64) bus.Phys {
	return testBase + bus.Phys(row*int64(cfg.Banks)+int64(bank))*4096
}

func TestRequestsAreServedWhenTheRulesBetweenCommandsAllow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawConfig(rt)
		c, ref := newController(t, cfg), newReference(cfg)
		var got []Command
		c.Observe(func(cmd Command) { got = append(got, cmd) })
		drawStream(rt, cfg, rapid.IntRange(1, 60).Draw(rt, "requests"), func(at int64, bank int, row int64, bytes int, write bool) int64 {
			start, end := c.Serve(at, bankRow(cfg, bank, row), bytes, write)
			wantStart, wantEnd := ref.serve(at, bank, row, bytes, write)
			if start != wantStart || end != wantEnd {
				rt.Fatalf("bank %d row %d at %d, write %t: data from %d to %d, want %d to %d\n%v", bank, row, at, write, start, end, wantStart, wantEnd, ref.past)
			}
			return end
		})
		s := c.Stats()
		if got := (count{s.RowHits, s.RowClosed, s.RowMisses, s.Refresh}); got != ref.count {
			rt.Fatalf("counted %+v, want %+v", got, ref.count)
		}
		var acts, pres uint64
		for _, p := range ref.past {
			switch p.Kind {
			case Activate:
				acts++
			case Precharge:
				pres++
			}
		}
		if s.Activates != acts || s.Precharges != pres {
			rt.Fatalf("%d activates and %d precharges, want %d and %d", s.Activates, s.Precharges, acts, pres)
		}
		if !slices.Equal(got, ref.past) {
			rt.Fatalf("showed the commands\n%v, want\n%v", got, ref.past)
		}
	})
}

func TestNoTwoTransfersOverlapOnTheDataBus(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawConfig(rt)
		c := newController(t, cfg)
		busy, wasWrite, clocks := int64(0), false, uint64(0)
		drawStream(rt, cfg, 200, func(at int64, bank int, row int64, bytes int, write bool) int64 {
			start, end := c.Serve(at, bankRow(cfg, bank, row), bytes, write)
			free := busy
			switch {
			case busy == 0:
			case write && !wasWrite:
				free += int64(cfg.TRTW)
			case !write && wasWrite:
				free += int64(cfg.TWTR + cfg.CL)
			}
			if start < free || start <= at-1 || end <= start {
				rt.Fatalf("at %d, write %t: data from %d to %d, the bus is free at %d", at, write, start, end, free)
			}
			busy, wasWrite = end, write
			clocks += uint64(end - start)
			return end
		})
		if got := c.Stats().DataClocks; got != clocks {
			rt.Fatalf("%d clocks of data counted, want %d", got, clocks)
		}
	})
}
