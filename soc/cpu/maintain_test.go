package cpu

import (
	"fmt"
	"testing"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/memory"
)

// The fixed cost of a range call of the test chip, and that of one absent line and of one page.
const (
	callCost = (20 + 40) * cycle
	lineCost = 34 * cycle
	pageCost = 5 * cycle
)

func TestARangeOfAbsentLinesCostsCallLinesPagesAndBarrier(t *testing.T) {
	for _, c := range []struct{ off, n, lines, pages int }{
		{0, 64, 1, 1}, {0, 4096, 64, 1}, {0, 4097, 65, 2}, {32, 64, 2, 1}, {63, 2, 2, 1}, {4032, 128, 2, 2}, {100, 1, 1, 1},
	} {
		r := newRig(t, nil)
		r.run(func(th *Thread) {
			region := r.region(16 << 10)
			want := callCost + sim.Time(c.lines)*lineCost + sim.Time(c.pages)*pageCost
			got := took(th, func() { th.MaintainRange(Pass{Op: cachemodel.Clean, Edge: EdgeFlush}, region.RunsOf(c.off, c.n)) })
			equal(t, fmt.Sprintf("%d bytes at %d", c.n, c.off), got, want)
			equal(t, "lines", r.stats.Maintenance.Visited, uint64(c.lines))
		})
	}
}

func TestTheTimePartOfALineDoesNotScaleWithTheClock(t *testing.T) {
	at := func(clock units.Hertz) (d sim.Time) {
		r := newRig(t, func(c *Config) {
			c.Clock = clock
			c.Maintenance = Maintenance{Line: 10, LineTime: 7 * sim.Nanosecond, SetWay: 3, SetWayTime: 5 * sim.Nanosecond}
		})
		r.run(func(th *Thread) {
			region := r.region(4096)
			d = took(th, func() { th.MaintainRange(Pass{Op: cachemodel.Clean, Edge: EdgeFlush}, region.Runs()) })
			d += took(th, func() { th.MaintainAll(nil) })
		})
		return d
	}
	const slots = (l1Size + l2Size) / line
	equal(t, "at 1 GHz", at(1e9), 64*17*sim.Nanosecond+slots*8*sim.Nanosecond)
	equal(t, "at 500 MHz", at(5e8), 64*27*sim.Nanosecond+slots*11*sim.Nanosecond)
}

func TestOneCallForAllRunsPaysOneCallOneBarrierAndTheLinesThatAreThere(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(16 << 10)
		th.Access(r.KernelMap(region), 0, 64, Touch{Width: 8})
		th.Access(r.KernelMap(region), 8192, 64, Touch{Width: 8})
		runs := []memory.Run{{Addr: region.Addr(0), Bytes: 64}, {Addr: region.Addr(8192), Bytes: 128}, {Addr: region.Addr(4096), Bytes: 64}}
		pass := Pass{Op: cachemodel.Clean, Edge: EdgeFlush, OneCall: true}
		equal(t, "time of nothing to clean", took(th, func() { th.MaintainRange(pass, runs) }), callCost)
		pass.Op = cachemodel.Invalidate
		equal(t, "time", took(th, func() { th.MaintainRange(pass, runs) }), callCost+2*lineCost)
	})
	equal(t, "calls", r.stats.Maintenance.RangeCalls, 2)
	equal(t, "segments", r.stats.Maintenance.Segments, 2)
	equal(t, "lines", r.stats.Maintenance.Visited, 2)
}

func TestEveryScatterGatherEntryPaysItsCallAndBarrier(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(16 << 10)
		runs := []memory.Run{{Addr: region.Addr(0), Bytes: 64}, {Addr: region.Addr(8192), Bytes: 64}, {Addr: region.Addr(4096), Bytes: 64}}
		equal(t, "time", took(th, func() { th.MaintainRange(Pass{Op: cachemodel.Invalidate, Edge: EdgeFlush}, runs) }), 3*(callCost+lineCost+pageCost))
	})
	equal(t, "calls", r.stats.Maintenance.RangeCalls, 1)
	equal(t, "segments", r.stats.Maintenance.Segments, 3)
}

// dirtied brings the lines of a range into the caches and stores to each.
func dirtied(th *Thread, m *Mapping, off, n int) {
	th.Access(m, off, n, Touch{Width: 8})
	th.Access(m, off, n, Touch{Write: true, Width: 8})
}

func TestCleaningADirtyLineWaitsForItsWriteBack(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		dirtied(th, r.mapped(region, Cached), 0, 2*line)
		// One line after the other: the second is looked up when the first is in memory.
		start := th.Now()
		at := start + (20+5)*cycle
		for range 2 {
			at = store(at+(34+7)*cycle, 0, lineData)
		}
		equal(t, "time", took(th, func() { th.MaintainRange(Pass{Op: cachemodel.Clean, Edge: EdgeFlush}, region.RunsOf(0, 2*line)) }), at+40*cycle-start)
		equal(t, "in memory", r.mem.InMemory(region.Addr(line)), r.mem.Newest(region.Addr(line)))
	})
	equal(t, "written back", r.stats.Maintenance.BytesWrittenBack, 2*line)
}

func TestCleanKeepsTheLineResident(t *testing.T) {
	for _, op := range []cachemodel.Op{cachemodel.Clean, cachemodel.Invalidate, cachemodel.CleanInvalidate} {
		r := newRig(t, nil)
		r.run(func(th *Thread) {
			region := r.region(4096)
			dirtied(th, r.mapped(region, Cached), 0, line)
			th.MaintainRange(Pass{Op: op, Edge: EdgeFlush}, region.RunsOf(0, line))
			level, dirty, _ := r.caches.Probe(linearMap(region.Addr(0)))
			equal(t, op.String()+": resident", level < r.caches.Levels(), op == cachemodel.Clean)
			equal(t, op.String()+": dirty", dirty, false)
		})
	}
}

func TestInvalidatingDirtyDataLosesIt(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		dirtied(th, r.mapped(region, Cached), 0, 2*line)
		th.MaintainRange(Pass{Op: cachemodel.Invalidate, Edge: EdgeFlush}, region.RunsOf(0, 2*line))
	})
	equal(t, "lost CPU data", r.seen.of(memory.LostCPUData), 2)
	equal(t, "written back", r.stats.Maintenance.BytesWrittenBack, 0)
}

func TestInvalidatingACleanLineLosesNothing(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, Cached)
		dirtied(th, m, 0, line)
		th.MaintainRange(Pass{Op: cachemodel.Clean, Edge: EdgeFlush}, region.RunsOf(0, line))
		th.MaintainRange(Pass{Op: cachemodel.Invalidate, Edge: EdgeFlush}, region.RunsOf(0, line))
	})
	equal(t, "violations", len(r.seen), 0)
}

func TestPartialEdgeLinesAreWrittenBackUnderEdgeFlush(t *testing.T) {
	for _, c := range []struct {
		rule    EdgeRule
		off, n  int
		written uint64 // lines
		lost    int
	}{
		{EdgeFlush, 0, 4 * line, 0, 4},
		{EdgeFlush, 8, 4*line - 8, 1, 3},
		{EdgeFlush, 0, 4*line - 8, 1, 3},
		{EdgeFlush, 8, 4*line - 16, 2, 2},
		{EdgeFlush, 8, 8, 1, 0},
		{EdgePlain, 8, 4*line - 16, 0, 4},
	} {
		r := newRig(t, nil)
		r.run(func(th *Thread) {
			region := r.region(4096)
			dirtied(th, r.mapped(region, Cached), 0, 4*line)
			th.MaintainRange(Pass{Op: cachemodel.Invalidate, Edge: c.rule}, region.RunsOf(c.off, c.n))
		})
		what := fmt.Sprintf("%s, %d bytes at %d: ", c.rule, c.n, c.off)
		equal(t, what+"written back", r.stats.Maintenance.BytesWrittenBack, c.written*line)
		equal(t, what+"lost", r.seen.of(memory.LostCPUData), c.lost)
	}
}

func TestWritingBackAnOldEdgeLineLosesDeviceData(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		dirtied(th, r.mapped(region, Cached), 0, line)
		r.written(th, region.Addr(32), 32)
		th.MaintainRange(Pass{Op: cachemodel.Invalidate, Edge: EdgeFlush}, region.RunsOf(32, 32))
	})
	equal(t, "lost device data", r.seen.of(memory.LostDeviceData), 1)
}

func TestTheWholeCacheLoopVisitsEverySetAndWayOnce(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(l2Size)
		m := r.mapped(region, Cached)
		th.Access(m, 0, l2Size, Touch{Width: 8})
		for k := range r.caches.Levels() {
			equal(t, "resident before", resident(r, k), r.caches.Sets(k)*r.caches.Ways(k))
		}
		slots := (l1Size + l2Size) / line
		got := took(th, func() { th.MaintainAll([]*memory.Region{region}) })
		equal(t, "time of a clean cache", got, sim.Time(20+40+17*slots+40)*cycle)
		equal(t, "visited", r.stats.Maintenance.Visited, uint64(slots))
		equal(t, "invalidated", r.stats.Maintenance.Invalidated, uint64(slots)) // each valid slot once
		for k := range r.caches.Levels() {
			equal(t, "resident after", resident(r, k), 0)
		}
	})
	equal(t, "calls", r.stats.Maintenance.WholeCalls, 1)
}

func resident(r *rig, level int) int {
	n := 0
	r.caches.Lines(level, func(cachemodel.Line) { n++ })
	return n
}

func TestTheWholeCacheLoopWritesEverythingBack(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(l2Size)
		m := r.mapped(region, Cached)
		dirtied(th, m, 0, l2Size)
		th.MaintainAll([]*memory.Region{region})
		for off := 0; off < l2Size; off += line {
			if pa := region.Addr(off); r.mem.InMemory(pa) != r.mem.Newest(pa) {
				t.Fatalf("line at %d did not reach memory", off)
			}
		}
	})
	equal(t, "violations", len(r.seen), 0)
}

func TestACollateralMissIsCountedOncePerDroppedLine(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		handed, bystander := r.region(1024), r.region(1024)
		h, b := r.mapped(handed, Cached), r.mapped(bystander, Cached)
		th.Access(h, 0, 1024, Touch{Width: 8})
		th.Access(b, 0, 512, Touch{Width: 8}) // in both levels
		th.MaintainAll([]*memory.Region{handed})
		th.Access(h, 0, 1024, Touch{Width: 8})
		equal(t, "of the buffer handed over", r.stats.Maintenance.CollateralMisses, 0)
		th.Access(b, 512, 512, Touch{Width: 8})
		equal(t, "of lines that were not there", r.stats.Maintenance.CollateralMisses, 0)
		th.Access(b, 0, 512, Touch{Width: 8})
		equal(t, "of the bystander", r.stats.Maintenance.CollateralMisses, 8)
		th.MaintainRange(Pass{Op: cachemodel.Invalidate, Edge: EdgeFlush}, bystander.Runs())
		th.Access(b, 0, 512, Touch{Width: 8})
		equal(t, "when they miss again for another reason", r.stats.Maintenance.CollateralMisses, 8)
	})
}

func TestADroppedLineThatIsInTheNextLevelIsNoCollateralMiss(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(2*l1Size), Cached)
		th.Access(m, 0, 2*l1Size, Touch{Width: 8})
		r.dropped.add(r.lineIndex(m.Region.Addr(0))) // as by a loop that an interrupt cut between L1 and L2
		th.Access(m, 0, 4, load)
		equal(t, "level that had it", r.stats.Fills, 2*l1Size/line)
	})
	equal(t, "collateral misses", r.stats.Maintenance.CollateralMisses, 0)
}

func TestUsefulWorkIsAWriteBackOrTheDropOfAnOldLine(t *testing.T) {
	type count struct{ useful, cleaned, invalidated uint64 }
	absent := func(*rig, *Thread, *Mapping) {}
	current := func(_ *rig, th *Thread, m *Mapping) { th.Access(m, 0, line, Touch{Width: 8}) }
	stale := func(r *rig, th *Thread, m *Mapping) {
		current(r, th, m)
		r.written(th, m.Region.Addr(0), line)
	}
	dirty := func(_ *rig, th *Thread, m *Mapping) { dirtied(th, m, 0, line) }
	dirtyOld := func(r *rig, th *Thread, m *Mapping) {
		dirty(r, th, m)
		r.written(th, m.Region.Addr(0), line)
	}
	for _, c := range []struct {
		name  string
		op    cachemodel.Op
		state func(*rig, *Thread, *Mapping)
		want  count
	}{
		{"absent", cachemodel.Clean, absent, count{0, 0, 0}},
		{"current", cachemodel.Clean, current, count{0, 0, 0}},
		{"stale", cachemodel.Clean, stale, count{0, 0, 0}},
		{"dirty", cachemodel.Clean, dirty, count{1, 1, 0}},
		{"absent", cachemodel.Invalidate, absent, count{0, 0, 0}},
		{"current", cachemodel.Invalidate, current, count{0, 0, 1}},
		{"stale", cachemodel.Invalidate, stale, count{1, 0, 1}},
		{"dirty and old", cachemodel.Invalidate, dirtyOld, count{1, 0, 1}},
		{"absent", cachemodel.CleanInvalidate, absent, count{0, 0, 0}},
		{"current", cachemodel.CleanInvalidate, current, count{0, 0, 1}},
		{"stale", cachemodel.CleanInvalidate, stale, count{1, 0, 1}},
		{"dirty", cachemodel.CleanInvalidate, dirty, count{1, 1, 1}},
	} {
		r := newRig(t, nil)
		r.run(func(th *Thread) {
			m := r.mapped(r.region(4096), Cached)
			c.state(r, th, m)
			th.MaintainRange(Pass{Op: c.op, Edge: EdgeFlush}, m.Region.RunsOf(0, line))
		})
		st := r.stats.Maintenance
		equal(t, fmt.Sprintf("%v of a line that is %s", c.op, c.name), count{st.Useful, st.Cleaned, st.Invalidated}, c.want)
		equal(t, "visited", st.Visited, 1)
	}
}

func TestMaintenanceIsAccountedAsMaintenanceEverywhere(t *testing.T) {
	r := newRig(t, nil)
	region := r.region(4096)
	var want sim.Time
	maintain := func(th *Thread) {
		want += took(th, func() { th.MaintainRange(Pass{Op: cachemodel.Clean, Edge: EdgeFlush}, region.Runs()) })
	}
	irq := r.SpawnIRQ("irq", maintain)
	r.SpawnTask("task", func(th *Thread) { th.Syscall(func() { maintain(th) }) })
	r.until(sim.Never)
	r.at(r.eng.Now(), irq.Raise)
	r.until(sim.Never)
	equal(t, "maintenance", r.MaintenanceTime(), want)
	equal(t, "interrupt", r.Time(Interrupt), (1500+1200+600)*cycle)
	equal(t, "driver", r.Time(Driver), (530+1100)*cycle)
}

func TestTheTLBReplacesRoundRobin(t *testing.T) {
	r := newRig(t, func(c *Config) { c.TLBEntries = 3 })
	r.run(func(th *Thread) {
		m, err := r.Map("user", r.region(16<<12), Cached)
		if err != nil {
			t.Fatal(err)
		}
		misses := func(pages ...int) uint64 {
			before := r.stats.TLBMisses
			for _, p := range pages {
				th.Access(m, p<<12, 4, load)
			}
			return r.stats.TLBMisses - before
		}
		equal(t, "first touches", misses(0, 1, 2), 3)
		equal(t, "hits", misses(0, 1, 2, 0), 0)
		equal(t, "a fourth page", misses(3), 1)
		equal(t, "those that stay, though used longer ago", misses(1, 2, 3), 0)
		equal(t, "the first, which went", misses(0), 1)
		equal(t, "the second, which went now", misses(2, 3, 0, 1), 1)
	})
}

func TestASectionOfTheLinearMapTakesOneEntry(t *testing.T) {
	r := newRig(t, nil)
	region, err := r.mem.AllocContiguous("buffer", 2<<20, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	r.run(func(th *Thread) { th.Access(r.KernelMap(region), 0, 2<<20, Touch{Width: 8}) })
	equal(t, "misses", r.stats.TLBMisses, 2)
}

func TestUnmappingFlushesTheTLBAndFreesTheTables(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(8192)
		free := r.mem.FreeBytes()
		m, err := r.Map("user", region, Cached)
		if err != nil {
			t.Fatal(err)
		}
		th.Access(m, 0, 4, load)
		r.Unmap(m)
		equal(t, "free memory", r.mem.FreeBytes(), free)
		equal(t, "mappings", len(r.mappings), 0)
		for _, p := range r.tlb.pages {
			equal(t, "entry", p, 0)
		}
	})
}

func TestMappingWithoutAnAttributeIsAnError(t *testing.T) {
	r := newRig(t, nil)
	if _, err := r.Map("user", r.region(4096), NoMapping); err == nil {
		t.Error("no error")
	}
}
