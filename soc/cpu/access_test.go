package cpu

import (
	"fmt"
	"testing"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/l3"
	"socsim/soc/memory"
)

var load = Touch{Width: 4, Dependent: true}

func TestAnL1HitCostsItsIssueAndLatency(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(4096), Cached)
		th.Access(m, 0, 4, load)
		equal(t, "dependent load", took(th, func() { th.Access(m, 0, 4, load) }), 3*cycle)
		equal(t, "streaming load", took(th, func() { th.Access(m, 0, 4, Touch{Width: 4}) }), 1*cycle)
		equal(t, "a line of streaming loads", took(th, func() { th.Access(m, 0, 64, Touch{Width: 4}) }), 16*cycle)
	})
	equal(t, "fills", r.stats.Fills, 1)
}

func TestAnL2HitAddsTheReplay(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(2*l1Size), Cached)
		th.Access(m, 0, 2*l1Size, Touch{Width: 8})
		equal(t, "dependent load", took(th, func() { th.Access(m, 0, 4, load) }), (3+8)*cycle)
	})
	equal(t, "fills", r.stats.Fills, 2*l1Size/line)
}

func TestALoadFromMemoryCostsTheSumOfItsTerms(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MemoryLatency = 33 * sim.Nanosecond })
	r.run(func(th *Thread) {
		m := r.mapped(r.region(4096), Cached)
		r.warm(th, m)
		for i, row := range []int64{rcd, 0, 0} { // the first opens the row
			start := th.Now()
			got := took(th, func() { th.Access(m, i*line, 4, load) })
			issue := start + (1+8+25)*cycle
			want := edge(issue+16500+hop) + sim.Time(row+cl+lineData)*busClock + back + 16500 + 2*cycle // the rest of the L1 latency follows
			equal(t, fmt.Sprintf("load %d", i), got, want-start)
		}
	})
}

func TestATLBMissCostsTheWalkAndItsDescriptor(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		m, err := r.Map("user", r.region(8192), Cached)
		if err != nil {
			t.Fatal(err)
		}
		th.Access(m, 64, 4, load) // not in the set of the descriptors
		th.Access(m, 4096+128, 4, load)
		r.tlb.flush()
		equal(t, "with the descriptor in L1", took(th, func() { th.Access(m, 64, 4, load) }), (24+3)*cycle)
		start := th.Now()
		r.tlb.flush()
		r.caches.Maintain(cachemodel.Invalidate, linearMap(m.tables.Addr(4)), cachemodel.PoC)
		th.Access(m, 4096+128, 4, load)
		if th.Now()-start < trip(0, 0, lineData) {
			t.Errorf("with the descriptor in memory the walk took %v, less than a bus access", th.Now()-start)
		}
	})
	equal(t, "misses", r.stats.TLBMisses, 4)
}

func TestComputeIsChargedPerByte(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(4096), Cached)
		th.Access(m, 0, 256, Touch{Width: 4})
		equal(t, "time", took(th, func() { th.Access(m, 0, 256, Touch{Width: 4, Compute: 2500}) }), (64+640)*cycle)
	})
}

func TestAStoreThatHitsIsFreeBeyondItsIssue(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(4096), Cached)
		th.Access(m, 0, 64, load)
		equal(t, "time", took(th, func() { th.Access(m, 0, 64, Touch{Write: true, Width: 8}) }), 8*cycle)
		_, dirty, _ := r.caches.Probe(m.at(0))
		equal(t, "dirty", dirty, true)
	})
	equal(t, "posted", r.stats.Posted, 0)
}

func TestStreamingStoresLeaveAsFullLines(t *testing.T) {
	for _, attr := range []Attr{Cached, WriteCombine, Uncached, WriteThrough} {
		r := newRig(t, nil)
		r.run(func(th *Thread) {
			m := r.mapped(r.region(4096), attr)
			for off := 0; off < 4096; off += 8 { // one store an access: only the buffer can gather them
				th.Access(m, off, 8, Touch{Write: true, Width: 8})
			}
			th.Barrier()
		})
		st := r.fabric.Stats(self)
		equal(t, string(attr)+": writes", st.Latency.Count(), 64)
		equal(t, string(attr)+": bytes", st.BytesWritten, 4096)
		equal(t, string(attr)+": posted", r.stats.Posted, 64)
	}
}

func TestAPartialLineWaitsForABarrier(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, WriteCombine)
		th.Access(m, 0, 24, Touch{Write: true, Width: 8})
		th.Spend(10 * sim.Microsecond)
		equal(t, "posted before the barrier", r.stats.Posted, 0)
		if r.mem.InMemory(region.Addr(0)) == r.mem.Newest(region.Addr(0)) {
			t.Error("memory has the data before the barrier")
		}
		th.Barrier()
		equal(t, "posted", r.stats.Posted, 1)
		equal(t, "in memory", r.mem.InMemory(region.Addr(0)), r.mem.Newest(region.Addr(0)))
	})
	equal(t, "bytes", r.fabric.Stats(self).BytesWritten, 24)
}

func TestStoresWithAGapShareABlockAndLeaveAsOneBurst(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(4096), WriteCombine)
		th.Access(m, 0, 8, Touch{Write: true, Width: 8})
		th.Access(m, 32, 8, Touch{Write: true, Width: 8})
		equal(t, "posted", r.stats.Posted, 0)
		equal(t, "open lines", r.wc.Len(), 1)
		th.Barrier()
		equal(t, "posted", r.stats.Posted, 1)
		equal(t, "bytes over the bus", r.fabric.Stats(self).BytesWritten, 40)
	})
}

func TestAnOpenLineTooManyPushesOutTheOldest(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, WriteCombine)
		for i := range 5 {
			th.Access(m, i*line, 8, Touch{Write: true, Width: 8})
		}
		equal(t, "posted", r.stats.Posted, 1)
		equal(t, "open lines", r.wc.Len(), 4)
		th.Barrier()
		equal(t, "posted after a barrier", r.stats.Posted, 5)
	})
}

func TestAStoreWaitsWhenTheEvictionBuffersAreFull(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(4096), WriteCombine)
		r.warm(th, m)
		full := func(i int) { th.Access(m, i*line, line, Touch{Write: true, Width: 8}) }
		start := th.Now()
		for i := range 4 {
			equal(t, fmt.Sprintf("line %d", i), took(th, func() { full(i) }), 8*cycle)
		}
		full(4)
		equal(t, "line 4 goes on when line 0 is in memory", th.Now(), store(start+8*cycle, rcd, lineData))
	})
}

func TestABarrierWithNothingPendingCostsItsCycles(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) { equal(t, "time", took(th, th.Barrier), 40*cycle) })
}

func TestABarrierWaitsForTheLastWrite(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, WriteCombine)
		r.warm(th, m)
		th.Access(m, 0, 3*line, Touch{Write: true, Width: 8}) // posted 8, 16 and 24 ns from now
		start := th.Now() - 24*cycle
		th.Barrier()
		// Two writes may be in flight: the third is issued when the first is acknowledged.
		first := store(start+8*cycle, rcd, lineData)
		want := store(first, 0, lineData)
		equal(t, "time", th.Now()-start, want-start)
		for off := 0; off < 3*line; off += line {
			equal(t, "in memory", r.mem.InMemory(region.Addr(off)), r.mem.Newest(region.Addr(off)))
		}
	})
}

func TestALoadSeesAStoreStillInTheWriteCombiningBuffer(t *testing.T) {
	for _, attr := range []Attr{Cached, Uncached} {
		r := newRig(t, nil)
		r.run(func(th *Thread) {
			region := r.region(4096)
			th.Access(r.mapped(region, WriteCombine), 0, 8, Touch{Write: true, Width: 8})
			th.Access(r.mapped(region, attr), 32, 4, load)
			equal(t, "in memory", r.mem.InMemory(region.Addr(0)), r.mem.Newest(region.Addr(0)))
		})
		equal(t, string(attr)+": violations", len(r.seen), 0)
	}
}

func TestUncachedLoadsCostARoundTripPerAccessesInFlight(t *testing.T) {
	for _, width := range []int{1, 4, 8, 16} {
		for _, outstanding := range []int{1, 2, 4} {
			r := newRig(t, func(c *Config) { c.NCOutstanding = outstanding })
			r.run(func(th *Thread) {
				m := r.mapped(r.region(4096), Uncached)
				r.warm(th, m)
				batch := width * outstanding
				data := max(int64(batch+7)/8, 2) // half a burst of 4 beats at least
				start := th.Now()
				at, row := start+sim.Time(line/width)*cycle, int64(rcd)
				for range line / batch {
					at, row = trip(at, row, data), 0
				}
				equal(t, fmt.Sprintf("width %d, %d in flight", width, outstanding), took(th, func() { th.Access(m, 0, line, Touch{Width: width}) }), at-start)
				equal(t, "trips", r.stats.NCReads, uint64(line/batch))
			})
		}
	}
}

func TestAnEvictedDirtyLineIsPostedWithItsVersion(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(64 << 10)
		m := r.mapped(region, Cached)
		th.Access(m, 0, 4, load)
		th.Access(m, 0, 4, Touch{Write: true, Width: 4})
		written := r.mem.Newest(region.Addr(0))
		th.Access(m, 4096, 60<<10, Touch{Width: 8})
		th.Barrier()
		equal(t, "in memory", r.mem.InMemory(region.Addr(0)), written)
		equal(t, "posted", r.stats.Posted, 1)
	})
}

func TestAWriteAllocatingCacheFetchesForAPartialStoreOnly(t *testing.T) {
	r := newCachedRig(t, nil, cachemodel.ReadWriteAllocate)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(4096), Cached)
		th.Access(m, 0, 64, Touch{Write: true, Width: 8})
		equal(t, "fills for a whole line", r.stats.Fills, 0)
		th.Access(m, 64, 8, Touch{Write: true, Width: 8})
		equal(t, "fills while a part may become a whole", r.stats.Fills, 0)
		th.Barrier()
		equal(t, "fills for a part", r.stats.Fills, 1)
		equal(t, "posted", r.stats.Posted, 0)
	})
}

func TestStoresThatTogetherCoverALineDoNotFetchIt(t *testing.T) {
	for _, c := range []struct {
		streaming bool
		fills     uint64
	}{{true, 0}, {false, 1}} {
		r := newRigWith(t, func(cfg *Config) { cfg.StreamingStores = c.streaming }, func(cc *cachemodel.Config) { allocateForStores(cc) })
		r.run(func(th *Thread) {
			m := r.mapped(r.region(4096), Cached)
			for off := range 8 {
				th.Access(m, off*8, 8, Touch{Write: true, Width: 8})
			}
			th.Barrier()
			equal(t, fmt.Sprintf("streaming %v: fills in eight pieces", c.streaming), r.stats.Fills, c.fills)
			th.Access(m, 64, 64, Touch{Write: true, Width: 8})
			th.Barrier()
			equal(t, fmt.Sprintf("streaming %v: fills in one go", c.streaming), r.stats.Fills, 2*c.fills)
			_, dirty, _ := r.caches.Probe(m.at(64))
			equal(t, "dirty", dirty, true)
		})
	}
}

func TestALoadSeesStoresThatWaitToBecomeALine(t *testing.T) {
	r := newCachedRig(t, nil, cachemodel.ReadWriteAllocate)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(4096), Cached)
		th.Access(m, 0, 8, Touch{Write: true, Width: 8})
		th.Access(m, 0, 8, load)
		equal(t, "fills", r.stats.Fills, 1)
		equal(t, "violations", len(r.seen), 0)
	})
}

func TestMoreLineFillsOverlapAndHitsGoOnUnderThem(t *testing.T) {
	const lines = 16
	times := map[int]sim.Time{}
	for _, n := range []int{1, 2, 4} {
		r := newRig(t, func(c *Config) { c.Linefills, c.MemoryLatency = n, 400*sim.Nanosecond })
		r.run(func(th *Thread) {
			m := r.mapped(r.region(lines*line), Cached)
			r.warm(th, m)
			times[n] = took(th, func() { th.Access(m, 0, lines*line, Touch{Width: 8}) })
		})
	}
	// 400 ns of each fill's latency is the way there and back, which overlaps; so do the core's own cycles.
	for n, low := range map[int]float64{2: 1.7, 4: 2.6} {
		if gain, high := float64(times[1])/float64(times[n]), 1.15*float64(n); gain < low || gain > high {
			t.Errorf("%d fills in flight: %v against %v, %.2f times as fast, want %.1f to %.1f", n, times[n], times[1], gain, low, high)
		}
	}
}

func TestTheCriticalWordComesFirstAndTheRestKeepsTheFillBusy(t *testing.T) {
	const lineTime = 80 * sim.Nanosecond
	times := map[bool][2]sim.Time{}
	for _, critical := range []bool{false, true} {
		r := newRig(t, func(c *Config) { c.CriticalWord = critical })
		r.SetLineTime(lineTime)
		r.run(func(th *Thread) {
			m := r.mapped(r.region(4096), Cached)
			r.warm(th, m)
			word := took(th, func() { th.Access(m, 0, 4, load) })
			rest := took(th, func() { th.Access(m, 32, 4, load) }) // of the same line
			times[critical] = [2]sim.Time{word, rest}
		})
	}
	saved := lineTime * 60 / 64
	equal(t, "word", times[true][0], times[false][0]-saved)
	if late := times[true][1] - times[false][1]; late < saved-20*cycle || late > saved {
		t.Errorf("the rest of the line came %v later than without, want %v less what the core did meanwhile", late, saved)
	}
}

func TestADependentLoadWaitsForItsFill(t *testing.T) {
	times := map[int]sim.Time{}
	for _, n := range []int{1, 4} {
		r := newRig(t, func(c *Config) { c.Linefills, c.MemoryLatency = n, 400*sim.Nanosecond })
		r.run(func(th *Thread) {
			m := r.mapped(r.region(8*line), Cached)
			r.warm(th, m)
			times[n] = took(th, func() { th.Access(m, 0, 8*line, Touch{Width: 8, Dependent: true}) })
		})
	}
	equal(t, "with 4 fills", times[4], times[1])
}

func TestAnAliasUnderAnotherColourIsFoundOut(t *testing.T) {
	for _, aliases := range []cachemodel.Aliases{cachemodel.AliasesKept, cachemodel.AliasesResolved} {
		r := newRigWith(t, nil, func(c *cachemodel.Config) { twoColours(c); c.Levels[0].Aliases = aliases })
		region := r.region(8192)
		r.run(func(th *Thread) {
			user := &Mapping{Name: "user", VA: 0x4000_1000, Attr: Cached, Region: region, Bytes: 8192, pageShift: 20} // the other colour
			kernel := r.KernelMap(region)
			th.Access(kernel, 0, 64, load)
			th.Access(user, 0, 64, Touch{Write: true, Width: 8})
			th.Access(kernel, 0, 64, load)
		})
		want := 0
		if aliases == cachemodel.AliasesKept {
			want = 1
		}
		equal(t, aliases.String()+": violations", len(r.seen), want)
		for _, v := range r.seen {
			equal(t, "kind", v.Kind, memory.AliasError)
		}
	}
}

func TestAFetchPastADirtyAliasIsFoundOut(t *testing.T) {
	r := newRigWith(t, nil, func(c *cachemodel.Config) { twoColours(c); allocateForStores(c) })
	region := r.region(8192)
	r.run(func(th *Thread) {
		user := &Mapping{Name: "user", VA: 0x4000_1000, Attr: Cached, Region: region, Bytes: 8192, pageShift: 20}
		th.Access(user, 0, 64, Touch{Write: true, Width: 8})
		th.Access(r.KernelMap(region), 0, 64, load)
	})
	equal(t, "violations", len(r.seen), 1)
	equal(t, "kind", r.seen[0].Kind, memory.AliasError)
}

// written makes a device write a line now.
func (r *rig) written(th *Thread, pa bus.Phys, n int) {
	th.Settle()
	r.mem.DeviceWrite(pa, n, device, th.Now())
}

func TestALoadThatHitsAfterADeviceWriteIsStale(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, Cached)
		th.Access(m, 0, 4, load)
		r.written(th, region.Addr(0), line)
		th.Access(m, 0, 4, load)
	})
	if len(r.seen) != 1 {
		t.Fatalf("%d violations, want 1", len(r.seen))
	}
	v := r.seen[0]
	if v.Kind != memory.StaleCPURead || v.Newest.Master() != device || v.Actor != self {
		t.Errorf("reported %+v", v)
	}
}

func TestALoadThatMissesAfterADeviceWriteIsNot(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, Cached)
		r.written(th, region.Addr(0), line)
		th.Access(m, 0, 4, load)
		th.Access(m, 0, 4, load)
	})
	equal(t, "violations", len(r.seen), 0)
}

func TestAPrivateMappingIsNotChecked(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, Cached)
		m.Private = true
		th.Access(m, 0, 4, load)
		r.written(th, region.Addr(0), line)
		th.Access(m, 0, 4, load)
	})
	equal(t, "violations", len(r.seen), 0)
}

// merged makes a stale copy, stores to it, and cleans it.
func merged(r *rig, stores ...int) {
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, Cached)
		th.Access(m, 0, 4, load)
		r.written(th, region.Addr(0), line)
		for _, n := range stores {
			th.Access(m, 0, n, Touch{Write: true, Width: 4})
		}
		th.MaintainRange(Pass{Op: cachemodel.Clean, Edge: EdgeFlush}, region.RunsOf(0, line))
	})
}

func TestAPartialStoreToAStaleCopyLosesDeviceDataAtTheWriteBack(t *testing.T) {
	r := newRig(t, nil)
	merged(r, 4)
	equal(t, "lost device data", r.seen.of(memory.LostDeviceData), 1)
}

func TestASecondPartialStoreDoesNotHideThatDeviceDataIsLost(t *testing.T) {
	r := newRig(t, nil)
	merged(r, 4, 4, 8)
	equal(t, "lost device data", r.seen.of(memory.LostDeviceData), 1)
}

func TestAStoreOfTheWholeLineLosesNothing(t *testing.T) {
	r := newRig(t, nil)
	merged(r, line)
	equal(t, "violations", len(r.seen), 0)
}

func TestDeviceDataIsLostOnce(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, Cached)
		th.Access(m, 0, 4, load)
		r.written(th, region.Addr(0), line)
		for range 3 {
			th.Access(m, 0, 4, Touch{Write: true, Width: 4})
			th.MaintainRange(Pass{Op: cachemodel.Clean, Edge: EdgeFlush}, region.RunsOf(0, line))
		}
	})
	equal(t, "lost device data", r.seen.of(memory.LostDeviceData), 1)
}

func TestWriteThroughStoresUpdateTheCopyAndMemory(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, WriteThrough)
		th.Access(m, 0, 4, load)
		th.Access(m, 0, 4, Touch{Write: true, Width: 4})
		level, dirty, v := r.caches.Probe(linearMap(region.Addr(0)))
		equal(t, "level", level, 0)
		equal(t, "dirty", dirty, false)
		equal(t, "copy", memory.Stamp(v), r.mem.Newest(region.Addr(0)))
		th.Barrier()
		equal(t, "in memory", r.mem.InMemory(region.Addr(0)), r.mem.Newest(region.Addr(0)))
	})
}

func TestAWriteThroughStoreDoesNotFreshenTheRestOfAStaleCopy(t *testing.T) {
	r := newRig(t, nil)
	r.run(func(th *Thread) {
		region := r.region(4096)
		m := r.mapped(region, WriteThrough)
		th.Access(m, 0, 4, load)
		r.written(th, region.Addr(0), line)
		th.Access(m, 0, 4, Touch{Write: true, Width: 4})
		th.Barrier()
		equal(t, "before the load", len(r.seen), 0)
		th.Access(m, 32, 4, load)
	})
	equal(t, "stale reads", r.seen.of(memory.StaleCPURead), 1)
}

// hog keeps the bus busy with reads of its own.
type hog struct{ at bus.Phys }

func (h *hog) Granted(p *bus.Port, done sim.Time) {
	if done < 50*sim.Microsecond {
		p.Issue(done-back, h.at, line, bus.Read)
	}
}

func TestABusyBusMakesAMissSlower(t *testing.T) {
	alone, shared := sim.Time(0), sim.Time(0)
	for _, busy := range []bool{false, true} {
		r := newRig(t, nil)
		region := r.region(64 << 10)
		if busy {
			h := &hog{region.Addr(32 << 10)}
			for range 2 {
				p := r.fabric.AddPort(l3.PortConfig{Master: other, Class: 2, Outstanding: 4}, h)
				p.Issue(0, h.at, line, bus.Read)
			}
		}
		r.run(func(th *Thread) {
			m := r.mapped(region, Cached)
			d := took(th, func() { th.Access(m, 0, 64*line, Touch{Width: 8}) })
			if busy {
				shared = d
			} else {
				alone = d
			}
		})
	}
	if shared < alone*5/4 {
		t.Errorf("64 misses took %v on an idle bus and %v on a busy one", alone, shared)
	}
}

func TestAThirdLevelIsPaidForBeyondTheSecond(t *testing.T) {
	third := func(c *cachemodel.Config) {
		c.Levels = append(c.Levels, cachemodel.LevelConfig{Size: 4 * l2Size, Ways: 4, Line: line, Replacement: cachemodel.LRU})
	}
	r := newRigWith(t, func(c *Config) { c.LLCCycles = 20 }, third)
	r.run(func(th *Thread) {
		m := r.mapped(r.region(2*l2Size), Cached)
		th.Access(m, 0, 2*l2Size, Touch{Width: 8})
		equal(t, "hit in the third level", took(th, func() { th.Access(m, 0, 4, load) }), (3+8+20)*cycle)
		equal(t, "hit in L1", took(th, func() { th.Access(m, 0, 4, load) }), 3*cycle)
		equal(t, "hit in L2", took(th, func() { th.Access(m, 2*l2Size-l2Size/2, 4, load) }), (3+8)*cycle)
		other := r.mapped(r.region(4096), Cached)
		r.warm(th, other)
		start := th.Now()
		got := took(th, func() { th.Access(other, line, 4, load) })
		if want := start + (1+8+20+25)*cycle; start+got < want {
			t.Errorf("a miss took %v, less than the levels before memory", got)
		}
	})
	equal(t, "fills", r.stats.Fills >= 2*l2Size/line, true)
}

func TestTheWholeIsAllThreeLevels(t *testing.T) {
	for _, outer := range []bool{false, true} {
		r := newRigWith(t, nil, func(c *cachemodel.Config) {
			c.Levels = append(c.Levels, cachemodel.LevelConfig{Size: 4 * l2Size, Ways: 4, Line: line, Replacement: cachemodel.LRU, Outer: outer})
		})
		r.run(func(th *Thread) { th.MaintainAll(nil) })
		want := uint64((l1Size + l2Size) / line)
		if !outer {
			want += 4 * l2Size / line
		}
		equal(t, "slots visited", r.stats.Maintenance.Visited, want)
	}
}
