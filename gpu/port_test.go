package gpu

import (
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
)

// fabric grants one bus.Port as an interconnect does: while time passes, not within Issue. Translation is the identity and takes a
// lookup time, and a walk time besides when the page is not that of the burst before.
type fabric struct {
	eng              *sim.Engine
	port             bus.Port
	wake             sim.Time
	lookup, walk     sim.Time
	service, latency sim.Time
	page             bus.IOVA
	free, last       sim.Time
	backwards        int
}

func (f *fabric) Issue(at sim.Time, va bus.IOVA, n int, write bool) {
	k := bus.Read
	if write {
		k = bus.Write
	}
	at += f.lookup
	if page := va / 4096; page != f.page {
		f.page = page
		at += f.walk
	}
	f.port.Issue(at, bus.Phys(va), n, k)
}

func (f *fabric) AdvanceTo(limit sim.Time) {
	for {
		limit = min(limit, f.eng.Next())
		if f.port.Idle() || f.port.At >= limit {
			return
		}
		if f.port.At < f.last {
			f.backwards++
		}
		f.last = f.port.At
		f.free = max(f.free, f.port.At) + f.service
		done := f.free + f.latency
		if !f.port.Advance(f.port.Burst(), done) {
			f.port.Source().Granted(&f.port, done)
		}
	}
}

func newFabric(t testing.TB, cfg Config) (*sim.Engine, *GPU, *fabric) {
	t.Helper()
	eng, g, _ := newGPU(t, cfg)
	f := &fabric{eng: eng, port: bus.Port{Outstanding: bus.MaxOutstanding}}
	f.port.Connect(&f.wake, new(sim.Time), g)
	eng.SetBackground(f)
	g.SetPort(f)
	return eng, g, f
}

func TestPortThatGrantsLaterGivesTheSameTimes(t *testing.T) {
	eng, g, m := newGPU(t, sgx530)
	m.service, m.latency = 20*sim.Nanosecond, 250*sim.Nanosecond
	at := runJob(t, eng, g, preview)

	eng, g, f := newFabric(t, sgx530)
	f.service, f.latency = m.service, m.latency
	if got := runJob(t, eng, g, preview); got != at {
		t.Errorf("job ran %+v, want %+v", got, at)
	}
}

func TestBurstsReachTheArbiterInOrder(t *testing.T) {
	eng, g, f := newFabric(t, sgx530)
	f.lookup, f.walk, f.service, f.latency = 9*sim.Nanosecond, 800*sim.Nanosecond, 20*sim.Nanosecond, 250*sim.Nanosecond
	runJob(t, eng, g, preview)
	if f.backwards > 0 {
		t.Errorf("%d bursts reached the arbiter before the one before them", f.backwards)
	}
}

func BenchmarkBursts(b *testing.B) {
	for _, c := range []struct {
		name  string
		cache bool
	}{{"cache=4KiB", false}, {"cache=1MiB", true}} {
		b.Run(c.name, func(b *testing.B) {
			cfg := sgx530
			if c.cache {
				cfg.TextureCache = MaxTextureCache
			}
			eng, g, m := newGPU(b, cfg)
			m.quiet, m.service, m.latency = true, 20*sim.Nanosecond, 200*sim.Nanosecond
			bursts := uint64(0)
			writes := uint64(preview.Target.Bytes() / lineBytes)
			b.ReportAllocs()
			for b.Loop() {
				submit(b, g, preview, eng.Now())
				run(b, eng, eng.Now()+sim.Second)
				bursts += writes
			}
			bursts += g.Stats().TextureLines
			b.ReportMetric(float64(bursts)/b.Elapsed().Seconds(), "bursts/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(bursts), "ns/burst")
		})
	}
}
