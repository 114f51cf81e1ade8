package cpu

import (
	"testing"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/soc/memory"
)

// perSecond reports how many of something a second of host time does.
func perSecond(b *testing.B, n int, unit string) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), unit+"/s")
}

// benchmark runs body b.N times on a thread.
func benchmark(b *testing.B, n int, unit string, prepare func(t *Thread, m *Mapping), body func(t *Thread, m *Mapping)) {
	r := newRig(b, nil)
	m := r.mapped(r.region(64<<10), Cached)
	b.ReportAllocs()
	r.run(func(t *Thread) {
		prepare(t, m)
		b.ResetTimer()
		for range b.N {
			body(t, m)
		}
		b.StopTimer()
	})
	perSecond(b, n*b.N, unit)
}

func BenchmarkL1Hits(b *testing.B) {
	touch := Touch{Width: 4, Dependent: true}
	body := func(t *Thread, m *Mapping) {
		for off := 0; off < 2048; off += line {
			t.Access(m, off, 4, touch)
		}
	}
	benchmark(b, 2048/line, "accesses", body, body)
}

func BenchmarkStreamedLines(b *testing.B) {
	body := func(t *Thread, m *Mapping) { t.Access(m, 0, 2048, Touch{Width: 4}) }
	benchmark(b, 2048/line, "lines", body, body)
}

func BenchmarkMisses(b *testing.B) {
	body := func(t *Thread, m *Mapping) { t.Access(m, 0, 64<<10, Touch{Width: 8}) } // four times the L2
	benchmark(b, 64<<10/line, "misses", body, body)
}

func BenchmarkStreamedStores(b *testing.B) {
	body := func(t *Thread, m *Mapping) { t.Access(m, 0, 64<<10, Touch{Write: true, Width: 8}) }
	benchmark(b, 64<<10/line, "lines", body, body)
}

func BenchmarkMaintainedAbsentLines(b *testing.B) {
	var runs []memory.Run
	benchmark(b, 64<<10/line, "lines", func(_ *Thread, m *Mapping) { runs = m.Region.Runs() }, func(t *Thread, _ *Mapping) {
		t.MaintainRange(Pass{Op: cachemodel.Invalidate, Edge: EdgeFlush}, runs)
	})
}

func BenchmarkMaintainedSetsAndWays(b *testing.B) {
	benchmark(b, (l1Size+l2Size)/line, "slots", func(*Thread, *Mapping) {}, func(t *Thread, _ *Mapping) { t.MaintainAll(nil) })
}

func BenchmarkThreadSwitch(b *testing.B) {
	r := newRig(b, nil)
	var q [2]WaitQueue
	for i := range q {
		r.Spawn("thread", func(t *Thread) {
			for range b.N {
				t.Settle()
				q[1-i].WakeAll()
				q[i].Wait(t)
			}
			q[1-i].WakeAll()
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	r.until(sim.Never)
	perSecond(b, int(r.stats.Switches), "switches")
}

func BenchmarkInterrupt(b *testing.B) {
	r := newRig(b, nil)
	n := 0
	var irq *Thread
	id := r.eng.Register(event(func() { irq.Raise() }))
	irq = r.SpawnIRQ("irq", func(t *Thread) {
		if n++; n < b.N {
			r.eng.Schedule(t.Now()+10*sim.Microsecond, id, 0)
		}
	})
	r.eng.Schedule(0, id, 0)
	b.ReportAllocs()
	b.ResetTimer()
	r.until(sim.Never)
	perSecond(b, n, "interrupts")
}

func TestAccessesAndMaintenanceDoNotAllocate(t *testing.T) {
	r := newRig(t, nil)
	region := r.region(16 << 10)
	runs := region.Runs()
	maps := []*Mapping{r.mapped(region, Cached), r.mapped(region, Uncached), r.mapped(region, WriteCombine), r.mapped(region, WriteThrough)}
	r.run(func(th *Thread) {
		work := func() {
			for _, m := range maps {
				th.Access(m, 0, 16<<10, Touch{Width: 8})
				th.Access(m, 0, 16<<10, Touch{Write: true, Width: 8})
			}
			th.MaintainRange(Pass{Op: cachemodel.CleanInvalidate, Edge: EdgeFlush}, runs)
			th.MaintainAll(nil)
			th.SleepUntil(th.Now() + sim.Microsecond)
		}
		work() // the sets of lines and the event queue grow to their size
		if n := testing.AllocsPerRun(10, work); n != 0 {
			t.Errorf("%.0f allocations", n)
		}
	})
}
