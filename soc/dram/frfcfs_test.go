package dram

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
)

// lpddr333 is the memory that DRAMsim3 was measured with, in a clock of 1 ns: bursts of 64 bytes.
func lpddr333() Config {
	const ns = sim.Nanosecond
	return Config{
		Scheduler: FirstReady, Clock: 1e9, Width: 4, Banks: 4, Row: 4096, Map: RoBaCo, Burst: 16, CL: 3, CWL: 1, TRCD: 3 * ns, TRP: 3 * ns, TRAS: 7 * ns, TRC: 10 * ns, TRRD: 2 * ns,
		TFAW: 8 * ns, TWR: 3 * ns, TWTR: 1, TRTW: 1, TRFC: 12 * ns, TREFI: 1300 * ns, Queue: 32,
	}
}

// rig is a controller with what it did.
type rig struct {
	*FRFCFS
	commands []Command
	done     map[uint64]int64
}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	r := &rig{done: map[uint64]int64{}}
	var err error
	r.FRFCFS, err = NewFRFCFS(cfg, testBase, testSize, func(tag uint64, at int64) {
		if _, twice := r.done[tag]; twice {
			t.Fatalf("request %d is done twice", tag)
		}
		r.done[tag] = at
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Observe(func(c Command) { r.commands = append(r.commands, c) })
	return r
}

func (r *rig) finish() {
	for !r.Idle() {
		r.AdvanceTo(r.Next())
	}
}

func TestAReadOfAnIdleMemoryTakesTheSumOfItsTimings(t *testing.T) {
	const hit, closed, conflict = 1 + 3 + 8, 1 + 3 + 3 + 8, 1 + 3 + 3 + 3 + 8
	r := newRig(t, lpddr333())
	for i, step := range []struct {
		bank, row int
		want      int64
	}{{0, 0, closed}, {0, 0, hit}, {0, 1, conflict}, {1, 1, closed}, {1, 1, hit}} {
		clk := int64(100 * (i + 1))
		if !r.Enqueue(clk, at(step.bank, step.row, 64*i), false, uint64(i)) {
			t.Fatal("refused")
		}
		r.finish()
		if got := r.done[uint64(i)] - (clk + 1); got != step.want {
			t.Errorf("read %d took %d clocks, want %d", i, got, step.want)
		}
	}
}

func TestARowHitPassesAnOlderConflict(t *testing.T) {
	r := newRig(t, lpddr333())
	r.Enqueue(10, at(0, 0, 0), false, 0)
	r.Enqueue(11, at(0, 1, 0), false, 1)
	r.Enqueue(12, at(0, 0, 64), false, 2)
	r.finish()
	if r.done[2] > r.done[1] {
		t.Errorf("the hit has its data at %d, the older conflict at %d", r.done[2], r.done[1])
	}
}

func TestFourHitsAreAllThatPassAConflict(t *testing.T) {
	r := newRig(t, lpddr333())
	r.Enqueue(10, at(0, 0, 0), false, 0)
	r.Enqueue(11, at(0, 1, 0), false, 1)
	for i := range 6 {
		r.Enqueue(int64(12+i), at(0, 0, 64*(i+1)), false, uint64(2+i))
	}
	r.finish()
	passed := 0
	for tag, at := range r.done {
		if tag != 1 && at < r.done[1] {
			passed++
		}
	}
	if passed != hitLimit {
		t.Errorf("%d accesses passed the conflict, want %d", passed, hitLimit)
	}
}

func TestWritesArePostedAndMerged(t *testing.T) {
	r := newRig(t, lpddr333())
	for i := range 3 {
		r.Enqueue(int64(10+i), at(0, 0, 0), true, uint64(i))
		if r.done[uint64(i)] != int64(12+i) {
			t.Errorf("write %d is acknowledged at %d, want %d", i, r.done[uint64(i)], 12+i)
		}
	}
	r.Enqueue(13, at(0, 0, 0), false, 3)
	if r.done[3] != 15 {
		t.Errorf("a read of a written burst is served at %d, want 15", r.done[3])
	}
	r.finish()
	if s := r.Stats(); s.Merged != 2 || s.Forwarded != 1 || len(r.commands) != 0 || r.Resting() != 1 {
		t.Errorf("%+v, %d resting, commands %v", s, r.Resting(), r.commands)
	}
}

func TestReadsOfOneBurstAreServedTogether(t *testing.T) {
	r := newRig(t, lpddr333())
	for i := range 3 {
		r.Enqueue(int64(10+i), at(0, 0, 0), false, uint64(i))
	}
	r.finish()
	if r.done[0] != r.done[1] || r.done[0] != r.done[2] || r.Stats().Merged != 2 || len(r.commands) != 2 {
		t.Errorf("done %v, commands %v", r.done, r.commands)
	}
}

func TestTheWriteBufferIsDrainedAboveEightOrWhenFull(t *testing.T) {
	for _, n := range []int{8, 9} {
		r := newRig(t, lpddr333())
		for i := range n {
			r.Enqueue(int64(10+i), at(0, 0, 64*i), true, uint64(i))
		}
		r.finish()
		if got, want := r.Resting(), map[int]int{8: 8, 9: 0}[n]; got != want {
			t.Errorf("%d of %d writes rest, want %d", got, n, want)
		}
	}
	cfg := lpddr333()
	cfg.Queue = 2
	r := newRig(t, cfg)
	for i := range 2 {
		r.Enqueue(int64(10+i), at(0, 0, 64*i), true, uint64(i))
	}
	if r.Enqueue(11, at(0, 1, 0), true, 2) {
		t.Error("a full write buffer accepts a write")
	}
	r.finish()
	if r.Resting() != 0 {
		t.Errorf("%d writes of a full buffer rest", r.Resting())
	}
}

func TestNoFullQueueStopsTheController(t *testing.T) {
	// A read of burst 0 waits behind others of its bank when the write of burst 0 fills the buffer.
	cfg := lpddr333()
	cfg.Queue = 16
	r := newRig(t, cfg)
	clk, tag := int64(10), uint64(0)
	offer := func(pa bus.Phys, write bool) {
		for !r.Accepts(pa, write) {
			clk = r.Next()
			r.AdvanceTo(clk)
			if clk > 100_000 {
				t.Fatal("the controller is stuck")
			}
		}
		clk++
		r.Enqueue(clk, pa, write, tag)
		tag++
	}
	for round := range 50 {
		for i := range 14 {
			offer(at(0, round*20+i, 0), false)
		}
		offer(at(1, round, 0), false)
		offer(at(1, round, 0), true)
		for i := range 15 {
			offer(at(1, round, 64*(i+1)), true)
		}
	}
	r.finish()
	if uint64(len(r.done)) != tag {
		t.Errorf("%d of %d requests are done", len(r.done), tag)
	}
}

// offered is a request of a random stream.
type offered struct {
	clk   int64
	pa    bus.Phys
	write bool
}

func drawOffers(t *rapid.T, cfg Config) []offered {
	gap := rapid.SampledFrom([]int64{0, 1, 10, 80}).Draw(t, "gap")
	places := rapid.SampledFrom([]int64{1, 4, 300}).Draw(t, "places")
	writes := rapid.SampledFrom([]int{0, 3, 9}).Draw(t, "writes")
	var all []offered
	clk := int64(0)
	for range rapid.IntRange(1, 150).Draw(t, "requests") {
		clk += 1 + rapid.Int64Range(0, gap).Draw(t, "wait")
		off := rapid.Int64Range(0, places-1).Draw(t, "column")*int64(cfg.RequestBytes()) + rapid.Int64Range(0, 2).Draw(t, "row")<<15 + rapid.Int64Range(0, 3).Draw(t, "bank")<<12
		all = append(all, offered{clk, testBase + bus.Phys(off), rapid.IntRange(0, 9).Draw(t, "kind") < writes})
	}
	return all
}

// feed offers the requests in order. With step, the controller is made to decide at each clock.
func (r *rig) feed(t *rapid.T, offers []offered, step bool) {
	now := int64(0)
	advance := func(to int64) {
		for step && now < to {
			now++
			for i := range r.ch {
				r.ch[i].next = now
			}
			r.AdvanceTo(now)
		}
		r.AdvanceTo(to)
		now = to
	}
	late := int64(0)
	for i, o := range offers {
		clk := max(o.clk, late)
		advance(clk)
		for !r.Accepts(o.pa, o.write) {
			if step {
				clk++
			} else {
				clk = r.Next()
			}
			if advance(clk); clk > 1_000_000 {
				t.Fatal("the controller is stuck")
			}
		}
		if !r.Enqueue(clk, o.pa, o.write, uint64(i)) {
			t.Fatal("refused after all")
		}
		late = clk + 1
	}
	for !r.Idle() {
		if advance(r.Next()); now > 1_000_000 {
			t.Fatal("the controller is stuck")
		}
	}
}

func drawReordering(t *rapid.T) Config {
	cfg := drawConfig(t)
	cfg.Scheduler, cfg.Queue = FirstReady, rapid.SampledFrom([]int{1, 3, 8, 12, 32}).Draw(t, "queue")
	cfg.Map, cfg.Hash = rapid.SampledFrom([]Map{RoBaCo, RoCoBa, BaRoCo}).Draw(t, "map"), rapid.Bool().Draw(t, "hash")
	cfg.Channels, cfg.Interleave = rapid.SampledFrom([]int{1, 2}).Draw(t, "channels"), 64
	if cfg.TREFI > 0 {
		cfg.TREFI += 250 * sim.Nanosecond
	}
	if rapid.Bool().Draw(t, "sleeps") {
		cfg.PowerDown, cfg.TXP, cfg.TCKE = 20*sim.Nanosecond, 5, 7
	}
	return cfg
}

func TestReorderedCommandsKeepToTheRulesBetweenThem(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawReordering(rt)
		offers := drawOffers(rt, cfg)
		r := newRig(t, cfg)
		r.feed(rt, offers, false)
		if len(r.done) != len(offers) {
			rt.Fatalf("%d of %d requests are done", len(r.done), len(offers))
		}
		for ch := range cfg.Channels {
			ref := newReference(cfg)
			open := make([]int64, cfg.Banks)
			for i := range open {
				open[i] = none
			}
			for _, c := range r.commands {
				if c.Channel != ch {
					continue
				}
				window := 0
				for _, p := range ref.past {
					d, ok := ref.apart(p, c.Kind, c.Bank)
					if p.Kind == ReadPrecharge && c.Kind == Refresh {
						d = max(clk(cfg.TRTP), int64(cfg.Burst)/2) + clk(cfg.TRP) // DRAMsim3 counts from the read
					}
					if p.Kind == Activate && c.Kind == Refresh || (p.Kind == Read || p.Kind == Write) && c.Kind == Refresh {
						ok = false // the precharge between them has its own rules
					}
					if ok && c.Clk-p.Clk < d || p.Clk >= c.Clk {
						rt.Fatalf("%v comes too early after %v", c, p)
					}
					if p.Kind == Activate && c.Kind == Activate && c.Clk-p.Clk < clk(cfg.TFAW) {
						window++
					}
				}
				if window > 3 {
					rt.Fatalf("%v is the fifth activate in tFAW", c)
				}
				switch c.Kind {
				case Activate:
					if open[c.Bank] != none {
						rt.Fatalf("%v opens an open bank", c)
					}
					open[c.Bank] = c.Row
				case Precharge:
					if open[c.Bank] == none {
						rt.Fatalf("%v closes a closed bank", c)
					}
					open[c.Bank] = none
				case Refresh:
					for b, row := range open {
						if row != none {
							rt.Fatalf("%v finds bank %d open", c, b)
						}
					}
				default:
					if open[c.Bank] != c.Row {
						rt.Fatalf("%v finds row %d open", c, open[c.Bank])
					}
					if c.Kind == ReadPrecharge || c.Kind == WritePrecharge {
						open[c.Bank] = none
					}
				}
				ref.past = append(ref.past, c)
			}
		}
	})
}

func TestSkippingClocksChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawReordering(rt)
		offers := drawOffers(rt, cfg)
		a, b := newRig(t, cfg), newRig(t, cfg)
		a.feed(rt, offers, false)
		b.feed(rt, offers, true)
		order := func(c, d Command) int { return (c.Channel-d.Channel)<<40 + int(c.Clk-d.Clk) }
		slices.SortStableFunc(a.commands, order)
		slices.SortStableFunc(b.commands, order)
		if !slices.Equal(a.commands, b.commands) {
			rt.Fatalf("skipping\n%v, clock by clock\n%v", a.commands, b.commands)
		}
		if fmt.Sprint(a.done) != fmt.Sprint(b.done) || a.Stats() != b.Stats() {
			rt.Fatalf("skipping %v %+v, clock by clock %v %+v", a.done, a.Stats(), b.done, b.Stats())
		}
	})
}

func TestEachReadSeesTheWritesBeforeIt(t *testing.T) {
	// A read's command may not come before that of an older write of its burst, nor a write's before that of an older read.
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawReordering(rt)
		cfg.Channels = 1
		offers := drawOffers(rt, cfg)
		r := newRig(t, cfg)
		type key struct{ bank, row, col int64 }
		given := map[key][]bool{} // writes
		r.Observe(func(c Command) {
			k := key{int64(c.Bank), c.Row, c.Col}
			switch c.Kind {
			case Read, ReadPrecharge:
				given[k] = append(given[k], false)
			case Write, WritePrecharge:
				given[k] = append(given[k], true)
			}
		})
		r.feed(rt, offers, false)
		asked := map[key][]bool{}
		for _, o := range offers {
			off := int64(o.pa - testBase)
			bank, row := r.l.locate(off)
			k := key{bank, row, r.l.column(off)}
			asked[k] = append(asked[k], o.write)
		}
		for k, seq := range given {
			// The commands are the requests in order, less those that joined or were forwarded: equal neighbours, and reads behind a write.
			i := 0
			for _, w := range seq {
				for i < len(asked[k]) && asked[k][i] != w {
					i++
				}
				if i == len(asked[k]) {
					rt.Fatalf("%v: requests %v, commands %v", k, asked[k], seq)
				}
				i++
			}
		}
	})
}

func TestIdleTimeIsSpentInPowerDown(t *testing.T) {
	cfg := lpddr333()
	cfg.PowerDown, cfg.TXP, cfg.TCKE = 50*sim.Nanosecond, 5, 10
	r := newRig(t, cfg)
	r.Enqueue(0, at(0, 0, 0), false, 0) // its data ends at 16
	r.Enqueue(600, at(0, 0, 64), false, 1)
	r.finish()
	// Asleep from 66 to 601, when the request moves.
	if got, want := r.done[1], int64(601+5+3+8); got != want {
		t.Errorf("a read that wakes the memory has its data at %d, want %d", got, want)
	}
	if s := r.Stats(); s.ActiveDown != 601-66 || s.PrechargeDown != 0 {
		t.Errorf("%+v", s)
	}
	r.Settle(3000)
	// The refresh at 1300 closes the row; the next two find it closed.
	if s := r.Stats(); s.Refresh != 2 || s.ActiveDown != 601-66+1300-(617+50) || s.PrechargeDown < 1500 {
		t.Errorf("%+v", s)
	}
}

func TestSaturatedTrafficAllocatesNothing(t *testing.T) {
	f := saturated(t, lpddr333())
	f(1000)
	if n := testing.AllocsPerRun(10, func() { f(1000) }); n != 0 {
		t.Errorf("%v allocations in 1000 requests", n)
	}
}

// saturated returns a function that pushes random requests through a controller.
func saturated(t testing.TB, cfg Config) func(n int) {
	f, err := NewFRFCFS(cfg, testBase, testSize, func(uint64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	clk, i := int64(0), uint32(0)
	return func(n int) {
		for range n {
			i++
			pa := testBase + bus.Phys(i*2654435761>>4&(testSize-1)&^63)
			for write := i%3 == 0; !f.Enqueue(clk, pa, write, uint64(i)); clk = f.Next() {
			}
			clk++
		}
	}
}
