package iommu

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
	"socsim/sim/bus"
)

// watch collects the MMU's interrupts.
func (r *rig) watch() *[]FaultRecord {
	var seen []FaultRecord
	r.mmu.OnFault = func(f FaultRecord) { seen = append(seen, f) }
	return &seen
}

// data returns the bursts of data.
func (b *fakeBus) data() (out []grant) {
	for _, g := range b.log {
		if g.Kind != bus.WalkRead {
			out = append(out, g)
		}
	}
	return out
}

func TestFaultKindsAreTheBitsOfIRQSTATUS(t *testing.T) {
	want := map[FaultKind]uint32{TLBMiss: 1, TranslationFault: 2, EmulatorMiss: 4, TableWalkFault: 8, MultiHit: 16}
	if len(want) != FaultKinds {
		t.Fatalf("%d kinds", FaultKinds)
	}
	for k, bit := range want {
		if k.Bit() != bit || strings.Contains(k.String(), "FaultKind") {
			t.Errorf("%v has bit %#x, want %#x", k, k.Bit(), bit)
		}
	}
}

func TestAFaultHoldsTheRestOfTheTransferUntilItIsAcknowledged(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP, HitCycles: 1})
	r.port.Bus().Master = 7
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	seen := r.watch()
	r.port.Issue(us, 0x1f80, 512, true)
	r.run()
	last := r.log[len(r.log)-1]
	want := FaultRecord{Time: last.Done, VA: 0x2000, Bytes: 384, Kind: TranslationFault, Level: 2, Write: true, Master: 7}
	if diff := cmp.Diff([]FaultRecord{want}, *seen); diff != "" {
		t.Errorf("interrupts (-want +got)\n%s", diff)
	}
	if bits, va := r.mmu.Status(); bits != 2 || va != 0x2000 {
		t.Errorf("status %#x at %v", bits, va)
	}
	if !r.port.Stalled() || r.step() || len(r.dev.done) != 0 {
		t.Fatalf("stalled %v, device told at %v", r.port.Stalled(), r.dev.done)
	}

	// Nothing is looked at again before the acknowledgement, though the page is there.
	r.mapPage(t, 0x2000, 0x8000_5000, 4<<10)
	if r.step() {
		t.Fatal("the port moved before the acknowledgement")
	}
	r.log = nil
	ack := last.Done + 50*us
	r.mmu.Acknowledge(ack)
	if bits, va := r.mmu.Status(); bits != 0 || va != 0 || r.port.Stalled() {
		t.Errorf("status %#x at %v, stalled %v", bits, va, r.port.Stalled())
	}
	r.run()
	if first := r.log[0]; first.At != ack+l3clock.Cycles(1)+hop || first.Kind != bus.WalkRead {
		t.Errorf("the retry begins with %+v, want a walk at %v", first, ack+l3clock.Cycles(1)+hop)
	}
	var bytes int
	for _, g := range r.data() {
		bytes += g.N
	}
	if end := r.log[len(r.log)-1]; bytes != 384 || len(r.dev.done) != 1 || r.dev.done[0] != end.Done {
		t.Errorf("%d bytes after the acknowledgement, device told at %v, last burst %+v", bytes, r.dev.done, end)
	}
	if got := r.mmu.Counters().StallTime; got != 50*us {
		t.Errorf("stalled for %v, want 50us", got)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		f     Format
		va    bus.IOVA
		setup func(r *rig)
		kind  FaultKind
		level int
		walks uint64
	}{
		{"no section", OMAP, 0x5000_0000, nil, TranslationFault, 1, 1},
		{"no page", OMAP, 0x2000, nil, TranslationFault, 2, 2},
		{"beyond 32 bits", OMAP, 1 << 32, nil, TranslationFault, 0, 0},
		{"no directory entry", SGX, 0x0800_0000, nil, TranslationFault, 1, 1},
		{"no page", SGX, 0x2000, nil, TranslationFault, 2, 2},
		{"beyond 28 bits", SGX, 1<<28 | 0x1000, nil, TranslationFault, 0, 0},
		{"no first level", SMMU, 1 << 32, nil, TranslationFault, 1, 1},
		{"no second level", SMMU, 0x4000_0000 - 4096, nil, TranslationFault, 2, 2},
		{"no page", SMMU, 0x2000, nil, TranslationFault, 3, 3},
		{"beyond 39 bits", SMMU, 1 << 39, nil, TranslationFault, 0, 0},
		{"a miss without walking", OMAP, 0x1000, func(r *rig) { r.mmu.SetTableWalk(false) }, TLBMiss, 0, 0},
		{"the emulator's miss without walking", OMAP, 0x1000, func(r *rig) { r.mmu.SetTableWalk(false); r.port.Emulator = true }, EmulatorMiss, 0, 0},
		{"a first level in no memory", OMAP, 0x1000, func(r *rig) { r.mmu.Attach(0x1000_0000) }, TableWalkFault, 1, 0},
		{"a second level in no memory", OMAP, 0x30_0000, func(r *rig) {
			r.mem.Store(r.pt.Root()+12, 0x1000_0001)
			r.mem.Clean(r.pt.Root()+12, 4)
		}, TableWalkFault, 2, 1},
		{"two entries", OMAP, 0x1_3000, func(r *rig) {
			r.load(t, 3, 0x1_0000, 0x8000_0000, 64<<10)
			r.load(t, 5, 0x1_3000, 0x8010_0000, 4<<10)
		}, MultiHit, 0, 0},
	} {
		r := newRig(t, Config{Entries: 8, Format: c.f, HitCycles: 1})
		r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
		if c.setup != nil {
			c.setup(r)
		}
		seen := r.watch()
		r.port.Issue(us, c.va, 64, false)
		r.run()
		if len(*seen) != 1 || !r.port.Stalled() {
			t.Errorf("%s %s: %d interrupts, stalled %v", c.f, c.name, len(*seen), r.port.Stalled())
			continue
		}
		// A fault without a read is known after the lookup; a read of no memory answers like any other, without the memory's time.
		at := us + l3clock.Cycles(1)
		if len(r.log) > 0 {
			at = r.log[len(r.log)-1].Done
		}
		if c.kind == TableWalkFault {
			at += hop + back
		}
		want := FaultRecord{Time: at, VA: c.va, Bytes: 64, Kind: c.kind, Level: c.level}
		if diff := cmp.Diff(want, (*seen)[0]); diff != "" {
			t.Errorf("%s %s (-want +got)\n%s", c.f, c.name, diff)
		}
		n := r.mmu.Counters()
		if n.Faults[c.kind] != 1 || n.Faults.Total() != 1 || n.WalkReads != c.walks {
			t.Errorf("%s %s: %+v, want %d walk reads", c.f, c.name, n, c.walks)
		}
		if rec, ok := r.mmu.LastFault(); !ok || rec != want {
			t.Errorf("%s %s: LastFault %+v, %v", c.f, c.name, rec, ok)
		}
	}
}

// load does what software does to load an entry into a slot.
func (r *rig) load(t testing.TB, slot int, va bus.IOVA, pa bus.Phys, size int) {
	t.Helper()
	_, victim := r.mmu.Locked()
	if err := r.mmu.SetVictim(slot); err != nil {
		t.Fatal(err)
	}
	if err := r.mmu.Load(va, pa, size, false); err != nil {
		t.Fatal(err)
	}
	if err := r.mmu.SetVictim(victim); err != nil {
		t.Fatal(err)
	}
}

func TestSoftwareLoadsTheEntryThatAMissAsksFor(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mmu.SetTableWalk(false)
	seen := r.watch()
	r.port.Issue(us, 0x7000, 64, true)
	r.run()
	if len(*seen) != 1 || len(r.log) != 0 {
		t.Fatalf("%d interrupts, %d bursts", len(*seen), len(r.log))
	}
	if err := r.mmu.Load(0x7000, 0x8000_3000, 4<<10, false); err != nil {
		t.Fatal(err)
	}
	r.mmu.Acknowledge(10 * us)
	r.run()
	if want := []grant{{10*us + hop, 0x8000_3000, 64, bus.Write, 10*us + hop + burstTime}}; cmp.Diff(want, r.log) != "" {
		t.Errorf("%+v, want %+v", r.log, want)
	}
}

func TestARetryMayFaultAgain(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	seen := r.watch()
	r.port.Issue(us, 0x7000, 64, true)
	r.run()
	for n := 2; n <= 4; n++ {
		r.mmu.Acknowledge(sim.Time(n) * 10 * us)
		r.run()
		if len(*seen) != n || !r.port.Stalled() || (*seen)[n-1].Time <= (*seen)[n-2].Time {
			t.Fatalf("interrupts %+v after acknowledgement %d", *seen, n-1)
		}
	}
	if n := r.mmu.Counters(); n.Faults[TranslationFault] != 4 || n.Misses != 4 || n.WalkReads != 4 {
		t.Errorf("%+v", n)
	}
}

func TestASecondFaultWaitsBehindTheFirst(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	other := NewPort(r.fakeBus.port(4), r.mmu, r.dev)
	seen := r.watch()
	r.port.Issue(us, 0x7000, 64, true)
	r.run()
	other.Issue(2*us, 0x9000, 64, true)
	r.run()
	if bits, va := r.mmu.Status(); len(*seen) != 1 || bits != 2 || va != 0x7000 || !other.Stalled() {
		t.Fatalf("%d interrupts, status %#x at %v, second port stalled %v", len(*seen), bits, va, other.Stalled())
	}
	r.mapPage(t, 0x7000, 0x8000_0000, 4<<10)
	r.mmu.Acknowledge(10 * us)
	r.run()
	if bits, va := r.mmu.Status(); len(*seen) != 2 || bits != 2 || va != 0x9000 || len(r.dev.done) != 1 {
		t.Fatalf("%d interrupts, status %#x at %v, device told %d times", len(*seen), bits, va, len(r.dev.done))
	}
	r.mapPage(t, 0x9000, 0x8000_1000, 4<<10)
	r.mmu.Acknowledge(20 * us)
	r.run()
	if len(r.dev.done) != 2 || len(*seen) != 2 || r.mmu.stalled != nil {
		t.Errorf("device told %d times, %d interrupts", len(r.dev.done), len(*seen))
	}
}

func TestOneAcknowledgementFreesAllThatNowTranslates(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	other := NewPort(r.fakeBus.port(4), r.mmu, r.dev)
	r.port.Issue(us, 0x7000, 64, true)
	other.Issue(us, 0x9000, 64, true)
	r.run()
	r.mapPage(t, 0x7000, 0x8000_0000, 4<<10)
	r.mapPage(t, 0x9000, 0x8000_1000, 4<<10)
	r.mmu.Acknowledge(10 * us)
	r.run()
	if len(r.dev.done) != 2 {
		t.Errorf("device told %d times, want of both", len(r.dev.done))
	}
}

func TestHaltMasksTheInterruptsUntilAttach(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	seen := r.watch()
	r.port.Issue(us, 0x7000, 64, true)
	r.run()
	r.mmu.Halt()
	r.mmu.Acknowledge(10 * us) // omap-iommu.c acknowledges first; the access faults again
	r.run()
	if !r.mmu.Halted() || !r.port.Stalled() || len(*seen) != 1 {
		t.Fatalf("halted %v, stalled %v, %d interrupts", r.mmu.Halted(), r.port.Stalled(), len(*seen))
	}
	if bits, _ := r.mmu.Status(); bits != 2 {
		t.Errorf("status %#x: the mask hides it from the interrupt line only", bits)
	}
	r.mmu.Attach(r.pt.Root())
	if r.step() || !r.port.Stalled() {
		t.Fatal("attach alone lets the access go")
	}
	r.mmu.Acknowledge(20 * us)
	r.run()
	if r.mmu.Halted() || len(*seen) != 2 {
		t.Errorf("halted %v, %d interrupts after attach, want another", r.mmu.Halted(), len(*seen))
	}
}

func TestWithoutAHandlerWhatFaultsStaysStalled(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.port.Issue(us, 0x7000, 64, true)
	r.run()
	if !r.port.Stalled() || len(r.dev.done) != 0 {
		t.Errorf("stalled %v, device told %d times", r.port.Stalled(), len(r.dev.done))
	}
}

func TestCancelFreesAStalledPort(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	ports := []*Port{r.port, NewPort(r.fakeBus.port(4), r.mmu, r.dev), NewPort(r.fakeBus.port(4), r.mmu, r.dev)}
	for victim := range ports {
		seen := r.watch()
		for i, p := range ports {
			p.Issue(r.free+us, bus.IOVA(0x7000+i<<12), 64, true)
			r.run()
		}
		ports[victim].Cancel()
		if ports[victim].Stalled() {
			t.Fatal("stalled after Cancel")
		}
		if bits, va := r.mmu.Status(); bits != 2 || va != 0x7000 {
			t.Errorf("status %#x at %v: Cancel is no acknowledgement", bits, va)
		}
		r.dev.done = nil
		ports[victim].Issue(r.free+us, 0x1000, 64, true)
		r.run()
		if len(r.dev.done) != 1 {
			t.Errorf("port %d is unusable after Cancel", victim)
		}
		r.mmu.Acknowledge(r.free + 10*us)
		r.run()
		if n := len(*seen); n != 2 {
			t.Errorf("%d interrupts, want one and one again", n)
		}
		for i, p := range ports {
			if p.Stalled() != (i != victim) {
				t.Errorf("port %d stalled %v after port %d was cancelled", i, p.Stalled(), victim)
			}
			p.Cancel()
		}
		r.mmu.Acknowledge(r.free)
	}
}

func TestCancelBetweenTwoReadsOfAWalk(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: SMMU, WalkCache: 4})
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	for reads := range 3 {
		r.mmu.FlushAll()
		r.dev.done = nil
		r.port.Issue(r.free+us, 0x1000, 64, true)
		for range reads {
			r.step()
		}
		r.port.Cancel()
		if r.step() || r.mmu.entries() != 0 {
			t.Fatalf("after %d reads: the walk goes on", reads)
		}
		r.port.Issue(r.free+us, 0x1000, 64, true)
		r.run()
		if len(r.dev.done) != 1 {
			t.Errorf("after %d reads: device told %d times, want once", reads, len(r.dev.done))
		}
	}
}

func TestStallTimeCountsWhatIsNotOverAndWhatWasCancelled(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	now := us
	r.mmu.Now = func() sim.Time { return now }
	r.port.Issue(us, 0x7000, 64, true)
	r.run()
	rec, _ := r.mmu.LastFault()
	if got := r.mmu.Counters().StallTime; got != 0 {
		t.Errorf("stalled for %v before the fault is known", got)
	}
	now = rec.Time + 5*us
	if got := r.mmu.Counters().StallTime; got != 5*us {
		t.Errorf("stalled for %v, want 5us", got)
	}
	r.mmu.ResetCounters()
	now += 2 * us
	r.port.Cancel()
	now += us
	if got := r.mmu.Counters().StallTime; got != 2*us {
		t.Errorf("stalled for %v after the reset, want the 2us up to Cancel", got)
	}
}

// The interrupt may be for an access that only fails after others of its transfer went through.
func TestAMissWithoutWalkingInTheMiddleOfATransfer(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mmu.SetTableWalk(false)
	r.load(t, 0, 0x1000, 0x8000_0000, 4<<10)
	seen := r.watch()
	r.port.Issue(us, 0x1fc0, 128, true)
	r.run()
	if len(*seen) != 1 || (*seen)[0].VA != 0x2000 || (*seen)[0].Bytes != 64 || len(r.data()) != 1 {
		t.Errorf("interrupts %+v, bursts %+v", *seen, r.log)
	}
}

func TestAPageRemappedInAnotherSizeWithoutAFlushIsAMultiHit(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mapPage(t, 0x1_3000, 0x8000_0000, 4<<10)
	r.touch(0x1_3000)
	if err := r.pt.Unmap(r.mem, 0x1_3000, 4<<10); err != nil {
		t.Fatal(err)
	}
	r.mapPage(t, 0x1_0000, 0x8010_0000, 64<<10)
	if !r.touch(0x1_0000) {
		t.Fatal("a miss at the start of the new page faulted")
	}
	if r.touch(0x1_3000) {
		t.Error("no fault where both entries translate")
	}
	if !r.touch(0x1_4000) {
		t.Error("fault where only the new one translates")
	}
	// A transfer through the doubly translated part stops there.
	r.log = nil
	r.port.Issue(r.free, 0x1_2fc0, 128, true)
	r.run()
	if rec, _ := r.mmu.LastFault(); rec.Kind != MultiHit || rec.VA != 0x1_3000 || len(r.log) != 1 {
		t.Errorf("%+v after %d bursts", rec, len(r.log))
	}
	r.mmu.Flush(0x1_3000) // the first match, which is the old entry
	r.mmu.Acknowledge(r.free + us)
	r.run()
	if last := r.log[len(r.log)-1]; r.port.Stalled() || last.Addr != 0x8010_3000 {
		t.Errorf("after the flush: stalled %v, last burst %+v", r.port.Stalled(), last)
	}
}
