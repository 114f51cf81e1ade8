package cpu

import (
	"testing"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/soc/memory"
)

func outerL2(c *cachemodel.Config) { c.Levels[1].Outer = true }

func outerCosts(c *Config) {
	c.Maintenance.OuterCall, c.Maintenance.OuterLine, c.Maintenance.OuterWay = 300*sim.Nanosecond, 80*sim.Nanosecond, 2*sim.Nanosecond
}

func TestAnOuterCacheIsMaintainedInAPassOfItsOwn(t *testing.T) {
	r := newRigWith(t, outerCosts, outerL2)
	region := r.region(4096)
	r.run(func(th *Thread) {
		inner := took(th, func() { th.MaintainRange(Pass{Op: cachemodel.Clean, Point: cachemodel.PoU}, region.Runs()) })
		both := took(th, func() { th.MaintainRange(Pass{Op: cachemodel.Clean}, region.Runs()) })
		equal(t, "time of the outer pass", both-inner, (300+64*80)*sim.Nanosecond)
		equal(t, "outer lines", r.stats.Maintenance.OuterLines, 64)
		equal(t, "lines in all", r.stats.Maintenance.Visited, 3*64)
	})
}

// A dirty line of L1 is cleaned into the outer cache, so the outer pass must come after; the other order leaves memory behind.
func TestTheOrderOfInnerAndOuterPassDecidesWhatMemoryHolds(t *testing.T) {
	for _, outerFirst := range []bool{false, true} {
		r := newRigWith(t, outerCosts, outerL2)
		r.run(func(th *Thread) {
			m := r.mapped(r.region(4096), Cached)
			dirtied(th, m, 0, line)
			th.MaintainRange(Pass{Op: cachemodel.Clean, OuterFirst: outerFirst}, m.Region.RunsOf(0, line))
			pa := m.Region.Addr(0)
			equal(t, "memory holds the newest", r.mem.InMemory(pa) == r.mem.Newest(pa), !outerFirst)
		})
	}
}

func TestSetAndWayDoesNotReachAnOuterCache(t *testing.T) {
	r := newRigWith(t, outerCosts, outerL2)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(4096), Cached)
		dirtied(th, m, 0, line)
		pa := m.Region.Addr(0)
		th.MaintainAll(nil)
		equal(t, "in L1", resident(r, 0), 0)
		equal(t, "memory holds the newest", r.mem.InMemory(pa) == r.mem.Newest(pa), false)
		got := took(th, func() { th.MaintainAllOuter(nil) })
		equal(t, "memory holds the newest after the outer operation", r.mem.InMemory(pa) == r.mem.Newest(pa), true)
		if least := 300*sim.Nanosecond + l2Size/line*2*sim.Nanosecond; got < least {
			t.Errorf("the outer operation took %v, less than its call and slots, %v", got, least)
		}
	})
}

// An interrupt that comes while the loop passes empty slots is taken at the end of the slot that is under way, as if each was visited on its own.
func TestAnInterruptIsTakenAtTheSlotUnderWay(t *testing.T) {
	const slot = 17 * cycle
	for at := sim.Time(0); at < 40*cycle; at += 333 * sim.Picosecond {
		r := newRig(t, nil)
		var began, loop sim.Time
		irq := r.SpawnIRQ("irq", func(th *Thread) { began = th.Now() })
		r.Spawn("test", func(th *Thread) {
			loop = th.Now() + (20+40)*cycle // call and barrier
			r.at(loop+at, irq.Raise)
			th.MaintainAll(nil)
		})
		r.until(sim.Never)
		want := loop + (at+slot-1)/slot*slot
		equal(t, "handler after "+at.String(), began, want+(1500+1200)*cycle) // entry and handler
	}
}

func TestTheTestAndCleanLoopTakesATurnForEachDirtyLineAndOneMore(t *testing.T) {
	r := newRigWith(t, func(c *Config) { c.Maintenance.Loop = LoopTestClean }, func(c *cachemodel.Config) { c.Levels = c.Levels[:1] })
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, Cached)
		th.Access(m, 0, 20*line, Touch{Width: 8})
		dirtied(th, m, 0, 5*line)
		th.Barrier()
		th.MaintainAll([]*memory.Region{region})
		equal(t, "turns", r.stats.Maintenance.Visited, 6)
		equal(t, "cleaned", r.stats.Maintenance.Cleaned, 5)
		equal(t, "left", resident(r, 0), 0)
		for off := 0; off < 5*line; off += line {
			equal(t, "in memory", r.mem.InMemory(region.Addr(off)), r.mem.Newest(region.Addr(off)))
		}
	})
	equal(t, "violations", len(r.seen), 0)
}

func TestTheTimeOfMaintenanceIsSplitIntoItsParts(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(8192), Cached)
		dirtied(th, m, 0, 3*line)
		th.Barrier()
		th.Settle()
		all := took(th, func() { th.MaintainRange(Pass{Op: cachemodel.Clean}, m.Region.RunsOf(0, 8192)) })
		equal(t, "all", r.MaintenanceTime(), all)
		equal(t, "call", r.Time(Maint), 20*cycle)
		equal(t, "barrier", r.Time(MaintBarrier), 40*cycle)
		equal(t, "pages", r.Time(MaintPage), 2*5*cycle)
		equal(t, "lines", r.Time(MaintLine), 128*34*cycle)
		equal(t, "dirty lines", r.Time(MaintDirty), all-(20+40+10+128*34)*cycle)
		if r.Time(MaintDirty) < 3*7*cycle {
			t.Errorf("dirty lines took %v, less than their core cycles", r.Time(MaintDirty))
		}
	})
}

func TestAllColoursAreReachedAtTheCostOfALineEach(t *testing.T) {
	for _, all := range []bool{false, true} {
		r := newRigWith(t, nil, twoColours)
		region := r.region(8192)
		user := &Mapping{Name: "user", VA: 0x4000_1000, Attr: Cached, Region: region, Bytes: 8192, pageShift: 20} // the other colour
		r.run(func(th *Thread) {
			dirtied(th, user, 0, line)
			th.Barrier()
			th.MaintainRange(Pass{Op: cachemodel.Clean, AllColours: all}, region.RunsOf(0, line))
			want := uint64(1)
			if all {
				want = 2
			}
			equal(t, "lookups", r.stats.Maintenance.Visited, want)
			equal(t, "of other colours", r.stats.Maintenance.AliasLookups, want-1)
			equal(t, "time of lines", r.Time(MaintLine), sim.Time(want)*34*cycle)
			pa := region.Addr(0)
			equal(t, "memory holds the newest", r.mem.InMemory(pa) == r.mem.Newest(pa), all)
		})
	}
}

func TestCollateralMissesAreAttributedToTheTaskThatSuffersThem(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.mapped(r.region(1024), Cached), r.mapped(r.region(1024), Cached)
	r.SpawnTask("a", func(th *Thread) {
		th.Access(a, 0, 1024, Touch{Width: 8})
		th.SleepUntil(sim.Millisecond)
		th.Access(a, 0, 512, Touch{Width: 8})
	})
	r.SpawnTask("b", func(th *Thread) {
		th.Access(b, 0, 1024, Touch{Width: 8})
		th.SleepUntil(2 * sim.Millisecond)
		th.Access(b, 0, 64, Touch{Width: 8})
	})
	r.Spawn("driver", func(th *Thread) {
		th.SleepUntil(500 * sim.Microsecond)
		th.MaintainAll(nil)
	})
	r.until(sim.Never)
	equal(t, "a's misses", r.TaskCollateral(0).Misses, 8)
	equal(t, "b's misses", r.TaskCollateral(1).Misses, 1)
	equal(t, "the driver's", r.Collateral(Driver), Collateral{})
	equal(t, "in all", r.stats.Maintenance.CollateralMisses, 9)
	// Each refill costs at least the core's part of a miss.
	for i, n := range []sim.Time{8, 1} {
		if got := r.TaskCollateral(i).Time; got < n*(8+25)*cycle || got > n*sim.Microsecond {
			t.Errorf("task %d lost %v to %d refills", i, got, n)
		}
	}
}

func TestTheAccountsAddUpWithEveryKindOfCache(t *testing.T) {
	for name, caches := range map[string]func(*cachemodel.Config){
		"outer": outerL2, "two colours": twoColours, "allocating": allocateForStores,
		"inclusive": func(c *cachemodel.Config) { c.Levels[1].Inclusion = cachemodel.Inclusive },
		"exclusive": func(c *cachemodel.Config) { c.Levels[1].Inclusion = cachemodel.Exclusive },
		"quadwords": func(c *cachemodel.Config) { c.Levels[1].SubBlock = 16 },
	} {
		r := newRigWith(t, func(c *Config) { outerCosts(c); c.Linefills = 3 }, caches)
		m := r.mapped(r.region(16<<10), Cached)
		r.Spawn("work", func(th *Thread) {
			for i := range 40 {
				th.Access(m, i*300%8000, 700, Touch{Width: 8})
				th.Access(m, i*500%8000, 300, Touch{Width: 4, Write: true})
				th.MaintainRange(Pass{Op: cachemodel.Clean}, m.Region.RunsOf(i*100, 1000))
				if i%10 == 9 {
					th.MaintainAll(nil)
					th.MaintainAllOuter(nil)
				}
			}
			th.Barrier()
		})
		end := 37 * sim.Microsecond
		r.at(end, func() {})
		r.until(end - 1)
		r.Close(end)
		sum := r.Time(Idle) + r.Time(Driver) + r.MaintenanceTime() + r.Time(Interrupt)
		equal(t, name, sum, end)
		equal(t, name+": violations", len(r.seen), 0)
	}
}
