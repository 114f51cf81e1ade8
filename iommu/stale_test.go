package iommu

import (
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
)

func TestStaleKindsHaveNames(t *testing.T) {
	for k, want := range map[StaleKind]string{Freed: "freed", Remapped: "remapped", Changed: "changed", NotCleaned: "not cleaned", 9: "StaleKind(9)"} {
		if got := k.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A large page went; a small one that lies as the large one did, and one that does not, came into its range.
func TestEachPartOfAStaleEntryIsJudgedByItself(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mapPage(t, 0x1_0000, 0x8001_0000, 64<<10)
	r.touch(0x1_0000)
	r.mem.now = 5 * us
	if err := r.pt.Unmap(r.mem, 0x1_0000, 64<<10); err != nil {
		t.Fatal(err)
	}
	r.mem.now = 6 * us
	r.mapPage(t, 0x1_3000, 0x8001_3000, 4<<10)
	r.mapPage(t, 0x1_4000, 0x8070_0000, 4<<10)
	r.wantFresh(t, 0x1_3ffc)
	r.wantStale(t, 0x1_4000, 0x8001_4000, Remapped, 5*us)
	r.wantStale(t, 0x1_5000, 0x8001_5000, Freed, 5*us)

	// Of a transfer through all three, what goes astray is counted.
	var seen []Stale
	r.mmu.OnStale = func(s Stale) { seen = append(seen, s) }
	r.port.Bus().Master = 3
	r.port.Issue(r.free, 0x1_3f00, 0x1200, true)
	r.run()
	if len(seen) != 1 || seen[0].VA != 0x1_4000 || seen[0].Bytes != 0x1100 || !seen[0].Write || seen[0].Master != 3 {
		t.Errorf("reports %+v", seen)
	}
}

func TestAnEntryThatIsStaleFromTheStartIsReportedAtEachUse(t *testing.T) {
	r := newRig(t, Config{Entries: 1, Format: OMAP})
	r.mapPage(t, 0x4_1000, 0x8000_0000, 4<<10) // 64 pages further: the same place at the front
	r.mapPage(t, 0x1000, 0x8000_1000, 4<<10)
	r.touch(0x4_1000)
	r.touch(0x4_1000)
	if err := r.pt.Replace(noClean{r.mem}, 0x1000, 0x8000_2000, 4<<10); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if got := r.uses(0x1000); len(got) != 1 || got[0].What != NotCleaned || got[0].PA != 0x8000_1000 {
			t.Errorf("use %d: reports %+v", i, got)
		}
	}
}

func TestAnOldPointerOnTheWayMakesAnEntryStale(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mapPage(t, 0x1000, 0x8000_1000, 4<<10)
	r.mem.Store(r.pt.Root(), 0) // the second level goes, uncleaned; the page's own descriptor is up to date
	if got := r.uses(0x1000); len(got) != 1 || got[0].What != NotCleaned {
		t.Errorf("reports %+v", got)
	}
}

func TestAnEntryThatSoftwareLoadedIsNotStaleForWantOfAPage(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.load(t, 0, 0x7000, 0x8000_0000, 4<<10)
	r.wantFresh(t, 0x7000)
	r.mem.now = 2 * us
	r.mapPage(t, 0x7000, 0x8000_1000, 4<<10)
	r.wantStale(t, 0x7000, 0x8000_0000, Remapped, 2*us)
}

func TestTwoWalksOfOnePageLeaveOneWalkCacheEntryATable(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: SMMU, WalkCache: 8})
	other := NewPort(r.fakeBus.port(4), r.mmu, r.dev)
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	r.port.Issue(us, 0x1000, 64, true)
	other.Issue(us, 0x1000, 64, true)
	r.run()
	n := 0
	for _, w := range r.mmu.walks {
		if w.size != 0 {
			n++
		}
	}
	if n != 2 || r.mmu.Counters().WalkReads != 6 {
		t.Errorf("%d entries after %d reads, want 2 after 6", n, r.mmu.Counters().WalkReads)
	}
}

func TestAttachIsInContextZero(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: SMMU})
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	r.mmu.SwitchContext(3, r.pt.Root())
	r.mmu.Attach(r.pt.Root())
	r.touch(0x1000)
	r.mmu.SwitchContext(0, r.pt.Root())
	if _, ok := r.mmu.Lookup(0x1000); !ok {
		t.Error("an entry loaded after Attach is not of context 0")
	}
}

func TestIssueOnAStalledPortPanics(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.port.Issue(us, 0x1000, 64, true)
	r.run()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	r.port.Issue(2*us, 0x2000, 64, true)
}

func TestAnAcknowledgementBeforeTheFaultCountsAsThen(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP, HitCycles: 1})
	r.port.Issue(us, 0x1000, 64, true)
	r.run()
	rec, _ := r.mmu.LastFault()
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	r.log = nil
	r.mmu.Acknowledge(us)
	r.run()
	if want := rec.Time + l3clock.Cycles(1) + hop; r.log[0].At != want {
		t.Errorf("the retry reaches the bus at %v, want %v", r.log[0].At, want)
	}
	if got := r.mmu.Counters().StallTime; got != sim.Time(0) {
		t.Errorf("stalled for %v", got)
	}
}

func TestAFlushOfOneOfTwoEntriesLeavesTheOther(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.load(t, 3, 0x1000, 0x8000_0000, 4<<10)
	r.load(t, 4, 0x1000, 0x8000_1000, 4<<10)
	if pa, ok := r.mmu.Lookup(0x1000); ok {
		t.Errorf("at %v though two entries translate", pa)
	}
	r.mmu.Flush(0x1000)
	if pa, ok := r.mmu.Lookup(0x1000); !ok || pa != bus.Phys(0x8000_1000) {
		t.Errorf("at %v, %v after the first of two entries went", pa, ok)
	}
}
