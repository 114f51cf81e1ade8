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
	p := iommu.NewPort(&r.bus.port, m, r.Pipeline)
	r.SetPort(p)
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

func TestFramesThatFaultOverflowOneByOne(t *testing.T) {
	r, m, p := translated(t)
	interrupts := 0
	m.OnFault = func(iommu.FaultRecord) { interrupts++ }
	r.Start(0)
	r.run(35 * sim.Millisecond) // frames at 0, 10, 20 and 30 ms
	if got, want := r.Stats(), (Stats{Frames: 4, Overflowed: 3, Overflows: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	// Each frame's first unit faults, and is withdrawn when the next frame starts.
	if n := m.Counters().Faults.Total(); n != 4 || interrupts != 1 || !p.Stalled() {
		t.Errorf("%d faults, %d interrupts, stalled %v", n, interrupts, p.Stalled())
	}
	r.Stop()
	if p.Stalled() {
		t.Error("a stopped stream leaves an access stalled")
	}
	if r.bus.bursts != 4 {
		t.Errorf("%d bursts, want the 4 reads of descriptors", r.bus.bursts)
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
