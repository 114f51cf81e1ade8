package dram

import (
	"testing"

	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
)

// The kinds of command.
const (
	activate = iota
	precharge
	read
	write
	refresh
)

type command struct {
	kind, bank int
	clk, data  int64 // data is the clocks of a read's or write's data
}

// reference is a controller that keeps the list of all commands given and, for each request in turn, steps clock by clock until the rules between the next command and all of the
// past allow it. It has the policy of Controller (in order, open page, refresh first when due), and none of its bookkeeping.
type reference struct {
	cfg  Config
	past []command
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
func (r *reference) apart(p command, kind, bank int) (int64, bool) {
	c := r.cfg
	same := p.bank == bank
	cl, cwl := int64(c.CL), int64(c.CWL)
	switch kind {
	case activate:
		switch {
		case p.kind == activate && same:
			return max(clk(c.TRC), clk(c.TRRD)), true
		case p.kind == activate:
			return clk(c.TRRD), true
		case p.kind == precharge && same:
			return clk(c.TRP), true
		case p.kind == refresh:
			return clk(c.TRFC), true
		}
	case precharge:
		switch {
		case p.kind == activate && same:
			return clk(c.TRAS), true
		case p.kind == read && same:
			return p.data, true
		case p.kind == write && same:
			return cwl + p.data + clk(c.TWR), true
		}
	case read:
		switch {
		case p.kind == activate && same:
			return clk(c.TRCD), true
		case p.kind == read:
			return p.data, true
		case p.kind == write:
			return max(p.data, cwl+p.data+int64(c.TWTR)), true
		}
	case write:
		switch {
		case p.kind == activate && same:
			return clk(c.TRCD), true
		case p.kind == read:
			return max(p.data, cl+p.data+int64(c.TRTW)-cwl), true
		case p.kind == write:
			return p.data, true
		}
	case refresh:
		switch p.kind {
		case activate:
			return clk(c.TRC), true
		case precharge:
			return clk(c.TRP), true
		case refresh:
			return clk(c.TRFC), true
		case read:
			return cl + p.data, true
		case write:
			return cwl + p.data, true
		}
	}
	return 0, false
}

// give gives a command at the first clock from at that is allowed.
func (r *reference) give(at int64, kind, bank int, data int64) int64 {
next:
	for ; ; at++ {
		for _, p := range r.past {
			if d, ok := r.apart(p, kind, bank); ok && at-p.clk < d {
				continue next
			}
		}
		r.past = append(r.past, command{kind, bank, at, data})
		return at
	}
}

func (r *reference) serve(at int64, bank int, row int64, data int64, wr bool) (start, end int64) {
	for r.due > 0 && at >= r.due {
		for b := range r.open {
			if r.open[b] >= 0 {
				r.give(r.due, precharge, b, 0)
				r.open[b] = -1
			}
		}
		r.give(r.due, refresh, 0, 0)
		r.due += clk(r.cfg.TREFI)
		r.refreshes++
	}
	switch {
	case r.open[bank] == row:
		r.hits++
	case r.open[bank] >= 0:
		r.misses++
		r.give(at, precharge, bank, 0)
		r.give(at, activate, bank, 0)
	default:
		r.closed++
		r.give(at, activate, bank, 0)
	}
	r.open[bank] = row
	if wr {
		start = r.give(at, write, bank, data) + int64(r.cfg.CWL)
	} else {
		start = r.give(at, read, bank, data) + int64(r.cfg.CL)
	}
	return start, start + data
}

// drawConfig draws timings, some of which make no sense on a real part.
func drawConfig(t *rapid.T) Config {
	ns := func(name string, hi int64) sim.Time {
		return sim.Time(rapid.Int64Range(0, hi).Draw(t, name)) * sim.Nanosecond
	}
	c := Config{
		Clock: 1e9, Width: 4, Banks: rapid.SampledFrom([]int{1, 2, 4, 8}).Draw(t, "banks"), Row: 4096, Map: RoBaCo,
		Burst: rapid.SampledFrom([]int{2, 4, 8, 16}).Draw(t, "burst"),
		CL:    rapid.IntRange(1, 6).Draw(t, "cl"), CWL: rapid.IntRange(0, 5).Draw(t, "cwl"),
		TRCD: ns("trcd", 8), TRP: ns("trp", 8), TRAS: ns("tras", 20), TRC: ns("trc", 30), TRRD: ns("trrd", 12), TWR: ns("twr", 12),
		TWTR: rapid.IntRange(0, 6).Draw(t, "twtr"), TRTW: rapid.IntRange(0, 3).Draw(t, "trtw"),
		TRFC: ns("trfc", 40), LookAhead: rapid.IntRange(1, MaxLookAhead).Draw(t, "look_ahead"),
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
		drawStream(rt, cfg, rapid.IntRange(1, 60).Draw(rt, "requests"), func(at int64, bank int, row int64, bytes int, write bool) int64 {
			start, end := c.Serve(at, bankRow(cfg, bank, row), bytes, write)
			data := max(int64(bytes+7)/8, int64(cfg.Burst)/2)
			wantStart, wantEnd := ref.serve(at, bank, row, data, write)
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
			switch p.kind {
			case activate:
				acts++
			case precharge:
				pres++
			}
		}
		if s.Activates != acts || s.Precharges != pres {
			rt.Fatalf("%d activates and %d precharges, want %d and %d", s.Activates, s.Precharges, acts, pres)
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
