package isp

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

// translated is a pipeline behind an MMU without a page.
func translated(t *testing.T) (*rig, *iommu.MMU, *iommu.Port) {
	t.Helper()
	r := newRig(t, defaultConfig(), small, smallOut)
	m, err := iommu.New(defaultConfig().MMU, sim.NewClock(166_000_000), blank{})
	if err != nil {
		t.Fatal(err)
	}
	m.Attach(0x8000_0000)
	r.bus.mute = true
	p := iommu.NewPort(&r.bus.port, m, r.isp.Source())
	r.isp.SetPort(p)
	return r, m, p
}

// fix is software that loads the page and acknowledges.
type fix struct{ m *iommu.MMU }

func (f fix) Handle(now sim.Time, _ uint64) {
	if err := f.m.Load(target, 0x8000_0000, 1<<20, false); err != nil {
		panic(err)
	}
	f.m.Acknowledge(now)
}

func TestAStalledAccessKeepsItsPlaceAndFramesOverflow(t *testing.T) {
	r, m, p := translated(t)
	interrupts := 0
	m.OnFault = func(iommu.FaultRecord) { interrupts++ }
	r.Start(0)
	r.run(35 * sim.Millisecond) // frames at 0, 10, 20 and 30 ms
	got := r.Stats()
	if got.Frames != 4 || got.Overflowed != 3 || got.Captured != 0 {
		t.Errorf("%+v, want 3 of 4 frames lost", got)
	}
	// The first unit is at the MMU for good: what is on its way cannot be taken back.
	if n := m.Counters().Faults.Total(); n != 1 || interrupts != 1 || !p.Stalled() {
		t.Errorf("%d faults, %d interrupts, stalled %v", n, interrupts, p.Stalled())
	}
	for _, o := range r.Overflows() {
		if o.Waited == 0 {
			t.Errorf("an overflow that waited for nothing: %+v", o)
		}
	}
	r.Stop()
	if r.bus.bursts != 1 {
		t.Errorf("%d bursts, want the read of a descriptor", r.bus.bursts)
	}
}

func TestAFrameGoesOnWhenItsFaultIsHandled(t *testing.T) {
	r, m, _ := translated(t)
	handler := r.eng.Register(fix{m})
	var at sim.Time
	m.OnFault = func(f iommu.FaultRecord) {
		at = f.Time
		r.eng.Schedule(f.Time+30*sim.Microsecond, handler, 0)
	}
	r.Start(0)
	r.run(19 * sim.Millisecond)
	if got, want := r.Stats(), (Stats{Frames: 2, Captured: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if n := m.Counters(); at == 0 || n.StallTime != 30*sim.Microsecond || n.Faults[iommu.TranslationFault] != 1 {
		t.Errorf("fault at %v, %+v", at, n)
	}
}
