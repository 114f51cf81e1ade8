package cpu

import (
	"testing"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/memory"
)

// speculating returns a rig whose core fetches a line every so many cycles.
func speculating(tb testing.TB, mean units.Cycles) *rig {
	tb.Helper()
	return newRig(tb, func(c *Config) { c.Speculation = mean })
}

// rare is a rate at which nothing is fetched but what a test issues itself.
const rare = maxSpeculation

// present counts the lines of a region that the caches hold.
func (r *rig) present(m *memory.Region) int {
	n := 0
	for off := 0; off < int(m.Bytes); off += line {
		if level, _, _ := r.caches.Probe(linearMap(m.Addr(off))); level < r.lowest {
			n++
		}
	}
	return n
}

func TestSpeculativeFillsComeAtTheirRate(t *testing.T) {
	const busy = 4_000_000
	for _, mean := range []units.Cycles{500, 2000} {
		r := speculating(t, mean)
		r.region(8 << 20)
		r.run(func(t *Thread) { t.Cycles(busy) })
		want := busy / uint64(mean)
		// The intervals are even, so that of 2000 fills the deviation is 26. A drawn line is in the caches once in 500 and drawn again.
		if got := r.Stats().SpeculativeFills; got < want*95/100 || got > want*105/100 {
			t.Errorf("every %v: %d fills, want %d within 5 %%", mean, got, want)
		}
	}
}

func TestACoreWithoutSpeculationFetchesWhatIsAskedFor(t *testing.T) {
	r := newRig(t, nil)
	m := r.mapped(r.region(1<<20), Cached)
	r.run(func(t *Thread) {
		t.Access(m, 0, 4*line, Touch{Width: 8})
		t.Cycles(1_000_000)
	})
	equal(t, "speculative fills", r.Stats().SpeculativeFills, 0)
	equal(t, "lines in the caches", r.present(m.Region), 4)
}

func TestAnIdleCoreFetchesNothing(t *testing.T) {
	r := speculating(t, 500)
	m := r.region(1 << 20)
	r.run(func(t *Thread) {
		t.Cycles(50_000)
		before := r.Stats().SpeculativeFills
		t.SleepUntil(t.Now() + sim.Millisecond)
		t.Cycles(500)
		if n := r.Stats().SpeculativeFills - before; n > 2 {
			r.tb.Errorf("%d fills in a millisecond of idling and 500 cycles", n)
		}
	})
	if r.present(m) < 80 {
		t.Errorf("%d lines are in the caches", r.present(m))
	}
}

func TestFillsWhileADeviceOwnsTheBufferAreStaleUntilItIsInvalidatedAgain(t *testing.T) {
	for _, again := range []bool{false, true} {
		r := speculating(t, 50)
		m := r.mapped(r.region(memory.PageBytes), Cached) // all memory in use
		r.run(func(t *Thread) {
			invalidate := func() { t.MaintainRange(Pass{Op: cachemodel.Invalidate, Edge: EdgeFlush}, m.Region.Runs()) }
			invalidate()
			t.Cycles(200_000)
			equal(r.tb, "lines in the caches", r.present(m.Region), memory.PageBytes/line)
			r.mem.DeviceWrite(m.Region.Addr(0), memory.PageBytes, device, t.Now())
			equal(r.tb, "violations before the CPU looks", len(r.seen), 0)
			if again {
				invalidate()
			}
			t.Access(m, 0, memory.PageBytes, Touch{Width: 8})
		})
		want := memory.PageBytes / line
		if again {
			want = 0
		}
		equal(t, "stale CPU reads", r.seen.of(memory.StaleCPURead), want)
		equal(t, "violations", len(r.seen), want)
	}
}

func TestSpeculationFollowsMisses(t *testing.T) {
	r := speculating(t, 500)
	r.region(8 << 20)
	m := r.mapped(r.region(memory.PageBytes), Cached)
	r.run(func(t *Thread) {
		t.Access(m, 0, 10*line, Touch{Width: 8})
		t.Cycles(50_000) // 100 fills, of which by chance none is of this page
	})
	// Each of the eight misses remembered is followed to four lines beyond it.
	if got := r.present(m.Region); got < 10+streamDepth || got > 10+streamDepth+2 {
		t.Errorf("%d lines of the page are in the caches, want those read and %d more", got, streamDepth)
	}
}

func TestFollowingAMissEndsWithItsPage(t *testing.T) {
	r := speculating(t, rare)
	m := r.region(2 * memory.PageBytes)
	a, ok := r.follow(linearMap(m.Addr(memory.PageBytes - 2*line)))
	equal(t, "line", bus.Phys(a.Physical), m.Addr(memory.PageBytes-line))
	equal(t, "found", ok, true)
	_, ok = r.follow(linearMap(m.Addr(memory.PageBytes - line)))
	equal(t, "found beyond the page", ok, false)
}

func TestTheVictimsOfSpeculationAreWrittenBack(t *testing.T) {
	r := speculating(t, 100)
	r.region(8 << 20)
	m := r.mapped(r.region(memory.PageBytes), Cached)
	r.run(func(t *Thread) {
		t.Access(m, 0, memory.PageBytes, Touch{Width: 8})
		t.Access(m, 0, memory.PageBytes, Touch{Write: true, Width: 8})
		posted := r.Stats().Posted
		t.Cycles(1_000_000)
		equal(r.tb, "lines written back", r.Stats().Posted-posted, memory.PageBytes/line)
		t.Barrier()
	})
	for off := 0; off < memory.PageBytes; off += line {
		if pa := m.Region.Addr(off); r.mem.InMemory(pa) != r.mem.Newest(pa) {
			t.Fatalf("offset %d: memory is behind", off)
		}
	}
	equal(t, "violations", len(r.seen), 0)
}

func TestAProgramThatNeedsNoFillDoesNotWaitForSpeculation(t *testing.T) {
	r := speculating(t, 100)
	r.region(8 << 20)
	r.run(func(t *Thread) {
		equal(r.tb, "time", took(t, func() { t.Cycles(200_000) }), 200_000*cycle)
	})
	if r.Stats().SpeculativeFills < 800 {
		t.Errorf("%d fills", r.Stats().SpeculativeFills)
	}
}

func TestSpeculationOccupiesALineFill(t *testing.T) {
	for _, c := range []struct {
		linefills int
		waits     bool
	}{{1, true}, {2, false}} {
		r := newRig(t, func(cfg *Config) { cfg.Speculation, cfg.Linefills = rare, c.linefills })
		m := r.mapped(r.region(memory.PageBytes), Cached)
		r.run(func(t *Thread) {
			r.warm(t, m)
			r.issueSpeculation()
			other := int(r.speculation.line-m.Region.Addr(0)+line) % memory.PageBytes
			t.Access(m, other, 8, Touch{Width: 8, Dependent: true})
			equal(r.tb, "the load's fill waits", r.readPort.Issued() >= r.speculation.done, c.waits)
		})
	}
}

func TestALoadTakesTheLineThatIsComingIn(t *testing.T) {
	r := speculating(t, rare)
	m := r.mapped(r.region(memory.PageBytes), Cached)
	r.run(func(t *Thread) {
		r.warm(t, m)
		r.issueSpeculation()
		t.Access(m, int(r.speculation.line-m.Region.Addr(0)), 8, Touch{Width: 8, Dependent: true})
		if t.Now() < r.speculation.done {
			r.tb.Errorf("the load is over at %v, its data comes at %v", t.Now(), r.speculation.done)
		}
	})
	equal(t, "fills", r.Stats().Fills, 0)
	equal(t, "speculative fills", r.Stats().SpeculativeFills, 1)
}

func TestAStoreOvertakesTheLineThatIsComingIn(t *testing.T) {
	for _, attr := range []Attr{Cached, WriteThrough, WriteCombine, StronglyOrdered} {
		r := speculating(t, rare)
		region := r.region(memory.PageBytes)
		m := r.mapped(region, attr)
		r.run(func(t *Thread) {
			r.warm(t, m)
			r.issueSpeculation()
			off := int(r.speculation.line - region.Addr(0))
			t.Access(m, off, line, Touch{Write: true, Width: 8})
			t.Cycles(10_000)
			t.Barrier()
			t.Access(r.mapped(region, Cached), off, 8, Touch{Width: 8})
		})
		equal(t, "violations by a mapping "+string(attr), len(r.seen), 0)
	}
}

func TestNoLineIsFetchedThatIsOnItsWayToMemory(t *testing.T) {
	r := speculating(t, rare)
	m := r.mapped(r.region(memory.PageBytes), Cached)
	r.run(func(t *Thread) {
		for _, n := range []int{8, line} { // one stays in the write buffer, the other is posted
			t.Access(m, 0, n, Touch{Write: true, Width: 8})
			equal(r.tb, "may be fetched", r.absent(linearMap(m.Region.Addr(0))), false)
			equal(r.tb, "the next line may be", r.absent(linearMap(m.Region.Addr(line))), true)
			t.Barrier()
			equal(r.tb, "may be fetched after a barrier", r.absent(linearMap(m.Region.Addr(0))), true)
		}
	})
}

func TestSpeculationSparesACollateralMiss(t *testing.T) {
	r := speculating(t, 50)
	m := r.mapped(r.region(memory.PageBytes), Cached)
	r.run(func(t *Thread) {
		t.Access(m, 0, memory.PageBytes, Touch{Width: 8})
		t.MaintainAll(nil)
		t.Cycles(200_000)
		t.Access(m, 0, memory.PageBytes, Touch{Width: 8})
	})
	equal(t, "collateral misses", r.Stats().Maintenance.CollateralMisses, 0)
	equal(t, "lines still noted", r.dropped.n, 0)
}

func TestTheSameSeedSpeculatesAlike(t *testing.T) {
	run := func(seed uint64) (Stats, sim.Time) {
		r := speculating(t, 300)
		r.speculation.rng = sim.Stream(seed, "cpu.speculation")
		r.region(1 << 20)
		m := r.mapped(r.region(64<<10), Cached)
		var end sim.Time
		r.run(func(t *Thread) {
			for range 4 {
				t.Access(m, 0, 64<<10, Touch{Width: 8, Compute: 1000})
				t.MaintainRange(Pass{Op: cachemodel.Invalidate}, m.Region.Runs())
			}
			end = t.Now()
		})
		return r.Stats(), end
	}
	a, atA := run(1)
	b, atB := run(1)
	c, atC := run(2)
	if a != b || atA != atB {
		t.Errorf("one seed gave %+v at %v and %+v at %v", a, atA, b, atB)
	}
	if a == c && atA == atC {
		t.Error("another seed gave the same")
	}
}

func TestSpeculationAllocatesNothing(t *testing.T) {
	r := speculating(t, 100)
	r.region(1 << 20)
	m := r.mapped(r.region(64<<10), Cached)
	r.run(func(t *Thread) {
		work := func() { t.Access(m, 0, 64<<10, Touch{Width: 8}); t.Cycles(10_000) }
		work()
		before := r.Stats().SpeculativeFills
		if n := testing.AllocsPerRun(10, work); n != 0 {
			r.tb.Errorf("%v allocations", n)
		}
		equal(r.tb, "fills happened", r.Stats().SpeculativeFills > before+500, true)
	})
}

func TestNegativeAndEndlessSpeculationIsRefused(t *testing.T) {
	for _, n := range []units.Cycles{-1, maxSpeculation + 1} {
		c := config()
		c.Speculation = n
		if c.Validate() == nil {
			t.Errorf("%v is taken", n)
		}
	}
}
