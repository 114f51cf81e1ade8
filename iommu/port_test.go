package iommu

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
	"socsim/sim/bus"
)

const us = sim.Microsecond

func TestAHitReachesTheBusAfterTheLookup(t *testing.T) {
	for _, cycles := range []int{0, 1, 3} {
		r := newRig(t, Config{Entries: 8, Format: OMAP, HitCycles: cycles})
		r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
		r.touch(0x1000)
		r.log = nil
		r.port.Issue(10*us, 0x1040, 64, true)
		r.run()
		at := 10*us + l3clock.Cycles(int64(cycles)) + hop
		want := []grant{{at, 0x8000_0040, 64, bus.Write, at + burstTime}}
		if diff := cmp.Diff(want, r.log); diff != "" {
			t.Errorf("%d cycles (-want +got)\n%s", cycles, diff)
		}
	}
}

// Each read waits for the one before: grant = issue + hop, done = grant + burst + return.
func TestAWalkIsAChainOfDependentReads(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP, HitCycles: 1})
	r.mapPage(t, 0x0123_5000, 0x8765_4000, 4<<10)
	second := bus.Phys(r.mem.mem[r.pt.Root()+4*0x12] &^ 0x3ff)
	r.port.Issue(us, 0x0123_5100, 128, true)
	r.run()

	t0 := us + l3clock.Cycles(1) + hop
	d0 := t0 + burstTime + back
	t1 := d0 + hop
	d1 := t1 + burstTime + back
	t2 := d1 + hop
	want := []grant{
		{t0, r.pt.Root() + 4*0x12, 8, bus.WalkRead, d0},
		{t1, second + 4*0x34, 8, bus.WalkRead, d1}, // descriptor 0x35 lies in the upper half of the 8 bytes
		{t2, 0x8765_4100, 64, bus.Write, t2 + burstTime},
		{t2 + burstTime, 0x8765_4140, 64, bus.Write, t2 + 2*burstTime},
	}
	if diff := cmp.Diff(want, r.log); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]sim.Time{t2 + 2*burstTime}, r.dev.done); diff != "" {
		t.Errorf("device told (-want +got)\n%s", diff)
	}
	if got := r.mmu.Counters(); got != (Counters{Hits: 1, Misses: 1, WalkReads: 2}) {
		t.Errorf("%+v", got)
	}
}

func TestATransferSplitsAtPageBoundaries(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: SGX})
	r.mapPage(t, 0x1000, 0x8000_5000, 4<<10)
	r.mapPage(t, 0x2000, 0x8000_1000, 4<<10)
	r.touch(0x1000)
	r.touch(0x2000)
	r.log, r.dev.done = nil, nil
	r.mmu.ResetCounters()
	r.port.Issue(10*us, 0x1fa0, 0xe0, false)
	r.run()
	var got []bus.Phys
	bytes := 0
	for _, g := range r.log {
		got = append(got, g.Addr)
		bytes += g.N
	}
	want := []bus.Phys{0x8000_5fa0, 0x8000_5fc0, 0x8000_1000, 0x8000_1040}
	if diff := cmp.Diff(want, got); diff != "" || bytes != 0xe0 {
		t.Errorf("%#x bytes at (-want +got)\n%s", bytes, diff)
	}
	if len(r.dev.done) != 1 || r.dev.done[0] != r.log[3].Done {
		t.Errorf("device told at %v, last burst done at %v", r.dev.done, r.log[3].Done)
	}
	if got := r.mmu.Counters(); got != (Counters{Hits: 4}) {
		t.Errorf("%+v", got)
	}
}

// Crossing pages that hit is free: the same grants as for one physical transfer.
func TestPageCrossingHitsCostNoTime(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	for i := range 3 {
		r.mapPage(t, bus.IOVA(0x1000+i<<12), bus.Phys(0x8000_0000+i<<12), 4<<10)
		r.touch(bus.IOVA(0x1000 + i<<12))
	}
	r.log = nil
	r.port.Issue(10*us, 0x1000, 3<<12, true)
	r.run()

	plain := newBus()
	p := plain.port(4)
	p.SetSource(&recorder{})
	p.Issue(10*us, 0x8000_0000, 3<<12, bus.Write)
	plain.run()
	if diff := cmp.Diff(plain.log, r.log); diff != "" {
		t.Errorf("(-physical +translated)\n%s", diff)
	}
}

func TestAMissInTheMiddleWalksThere(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mapPage(t, 0x10_0000, 0x8010_0000, 1<<20)
	r.mapPage(t, 0x20_0000, 0x8020_0000, 1<<20)
	r.touch(0x10_0000)
	r.log = nil
	r.port.Issue(10*us, 0x1f_ffc0, 128, true)
	r.run()
	first := 10*us + hop
	walk := first + burstTime // it waits for its own first burst on the bus
	data := walk + burstTime + back + hop
	want := []grant{
		{first, 0x801f_ffc0, 64, bus.Write, first + burstTime},
		{walk, r.pt.Root() + 8, 8, bus.WalkRead, walk + burstTime + back},
		{data, 0x8020_0000, 64, bus.Write, data + burstTime},
	}
	if diff := cmp.Diff(want, r.log); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestADisabledMMUPassesAddressesThrough(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP, HitCycles: 5})
	r.mmu.Detach()
	r.port.Issue(us, 0x8000_0fc0, 128, true)
	r.run()
	want := []grant{
		{us + hop, 0x8000_0fc0, 64, bus.Write, us + hop + burstTime},
		{us + hop + burstTime, 0x8000_1000, 64, bus.Write, us + hop + 2*burstTime},
	}
	if diff := cmp.Diff(want, r.log); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := r.mmu.Counters(); got != (Counters{}) {
		t.Errorf("%+v", got)
	}
}

func TestTwoPortsMissingOnOnePageLeaveOneEntry(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	other := NewPort(r.fakeBus.port(4), r.mmu, r.dev)
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	r.port.Issue(us, 0x1000, 64, true)
	other.Issue(us, 0x1040, 64, true)
	r.run()
	if got := r.mmu.Counters(); got != (Counters{Misses: 2, WalkReads: 4}) {
		t.Errorf("%+v", got)
	}
	if got := r.mmu.entries(); got != 1 {
		t.Errorf("%d valid entries, want 1", got)
	}
}

func TestCancelWithdrawsAWalk(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	r.port.Issue(us, 0x1000, 64, true)
	r.step()
	r.port.Cancel()
	r.run()
	if len(r.dev.done) != 0 {
		t.Error("the device was told of a cancelled transfer")
	}
	r.port.Issue(2*us, 0x1000, 64, true)
	r.run()
	if len(r.dev.done) != 1 {
		t.Errorf("device told %d times after the cancelled transfer, want once", len(r.dev.done))
	}
}

func TestIssueOnABusyPortPanics(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.port.Issue(us, 0x1000, 64, true)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	r.port.Issue(us, 0x1000, 64, true)
}

func TestIssueAllocatesNothing(t *testing.T) {
	r := newRig(t, Config{Entries: 2, Format: OMAP})
	for i := range 4 {
		r.mapPage(t, bus.IOVA(i<<12), bus.Phys(0x8000_0000+i<<12), 4<<10)
	}
	r.logging = false
	r.dev.done = make([]sim.Time, 0, 1<<20)
	at := 0
	if n := testing.AllocsPerRun(100, func() {
		r.port.Issue(r.free, bus.IOVA(at), 256, true)
		r.run()
		at = (at + 960) & 0x3fff &^ 63
		if at > 0x3f00 {
			at = 0
		}
	}); n != 0 {
		t.Errorf("%v allocations a transfer", n)
	}
	if c := r.mmu.Counters(); c.Misses == 0 || c.Hits == 0 || c.Faults.Total() != 0 {
		t.Errorf("%+v: want hits and misses and no fault", c)
	}
}
