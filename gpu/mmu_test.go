package gpu

import (
	"testing"

	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
)

// blank is memory full of zeroes: tables without a page.
type blank struct{}

func (blank) LoadWord(bus.Phys) uint32    { return 0 }
func (blank) CurrentWord(bus.Phys) uint32 { return 0 }
func (blank) Contains(bus.Phys) bool      { return true }

func TestAJobThatFaultsHangsUntilItIsHandled(t *testing.T) {
	eng, g, f := newFabric(t, sgx530)
	f.service, f.latency = 20*sim.Nanosecond, 250*sim.Nanosecond
	m, err := iommu.New(iommu.Config{Entries: 8, Format: iommu.OMAP, HitCycles: 1}, sim.NewClock(110_670_000), blank{})
	if err != nil {
		t.Fatal(err)
	}
	m.Attach(0x8000_0000)
	p := iommu.NewPort(&f.port, m, g)
	g.SetPort(p)
	done := 0
	g.OnDone = func(Done) { done++ }
	submit(t, g, Job{Texture: surface(0x10000, 64, 64, 2), Target: surface(0x800000, 64, 64, 4)}, 0)
	submit(t, g, Job{Texture: surface(0x10000, 64, 64, 2), Target: surface(0x800000, 64, 64, 4)}, 0)
	run(t, eng, sim.Second)
	if done != 0 || !g.Running() || g.Pending() != 1 || !p.Stalled() {
		t.Fatalf("%d jobs done, running %v, %d pending, stalled %v", done, g.Running(), g.Pending(), p.Stalled())
	}
	if err := m.Load(0, 0x8000_0000, 16<<20, false); err != nil {
		t.Fatal(err)
	}
	m.Acknowledge(eng.Now())
	run(t, eng, 2*sim.Second)
	if done != 2 || g.Running() {
		t.Errorf("%d jobs done after the fault was handled, running %v", done, g.Running())
	}
	rec, _ := m.LastFault()
	if n := m.Counters(); n.Faults.Total() != 1 || n.StallTime != sim.Second-rec.Time {
		t.Errorf("%+v", n)
	}
}
