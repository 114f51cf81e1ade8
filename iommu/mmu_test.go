package iommu

import (
	"strings"
	"testing"

	"socsim/sim/bus"
)

func TestConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Entries: 0, Format: OMAP}, "iommu.entries"},
		{Config{Entries: MaxEntries + 1, Format: OMAP}, "iommu.entries"},
		{Config{Entries: 8}, "iommu.format"},
		{Config{Entries: 8, Format: SGX, HitCycles: -1}, "iommu.hit_cycles"},
		{Config{Entries: 8, Format: OMAP, WalkCache: 1}, "iommu.walk_cache: 1, but the omap format"},
		{Config{Entries: 8, Format: SMMU, WalkCache: -1}, "iommu.walk_cache"},
		{Config{Entries: 8, Format: SMMU, WalkCache: MaxEntries + 1}, "iommu.walk_cache"},
	} {
		if _, err := New(c.cfg, l3clock, newTables()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.cfg, err, c.want)
		}
	}
}

func TestTheWalkerSeesOnlyCleanedDescriptors(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mem.Store(r.pt.Root()+4*3, 0x8000_0002) // a section, not cleaned
	if r.touch(0x30_0000) {
		t.Fatal("translated through a descriptor that is not in memory")
	}
	r.mem.Clean(r.pt.Root()+4*3, 4)
	if !r.touch(0x30_0000) {
		t.Error("fault after the clean")
	}
}

func TestAMissingCopyFaultsInItsPart(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mapPage(t, 0x100_0000, 0x8000_0000, 16<<20)
	r.mem.Store(r.pt.Root()+4*0x15, 0)
	r.mem.Clean(r.pt.Root()+4*0x15, 4)
	if r.touch(0x150_0000) {
		t.Fatal("no fault at the missing copy")
	}
	if !r.touch(0x140_0000) || !r.touch(0x150_0000) {
		t.Error("fault although the entry, once loaded, covers the page")
	}
}

func TestAttributeBitsAreNotPartOfTheAddress(t *testing.T) {
	for _, c := range []struct {
		l     *layout
		level int
		desc  uint64
		what  outcome
		base  bus.Phys
	}{
		{&omapLayout, 1, 0x87f7_fffe, translated, 0x8700_0000},
		{&omapLayout, 1, 0x87fb_fffe, translated, 0x87f0_0000},
		{&omapLayout, 1, 0x8765_47fd, table, 0x8765_4400},
		{&omapLayout, 2, 0x8765_4ffe, translated, 0x8765_4000},
		{&omapLayout, 2, 0x8765_4ffd, translated, 0x8765_0000},
		{&sgxLayout, 1, 0x8765_4fff, table, 0x8765_4000},
		{&sgxLayout, 2, 0x8765_4fff, translated, 0x8765_4000},
	} {
		if what, base, _ := c.l.decode(c.level, c.desc); what != c.what || base != c.base {
			t.Errorf("%s level %d, %#x: %v at %v, want %v at %v", c.l.format, c.level, c.desc, what, base, c.what, c.base)
		}
	}
}

// omap-iommu.c goes through all the entries in order, valid or not, up to the match.
func TestFlushCountsTheEntriesADriverScans(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	for i := range bus.IOVA(5) {
		r.mapPage(t, i<<12, 0x8000_0000, 4<<10)
		r.touch(i << 12)
	}
	for _, c := range []struct {
		va   bus.IOVA
		want int
	}{{0x2000, 3}, {0x2000, 8}, {0x4000, 5}, {0x9000, 8}, {0, 1}} {
		if got := r.mmu.Flush(c.va); got != c.want {
			t.Errorf("Flush(%v) scanned %d entries, want %d", c.va, got, c.want)
		}
	}
}

func TestFlushAllStartsReplacementOver(t *testing.T) {
	r := newRig(t, Config{Entries: 4, Format: OMAP})
	for i := range bus.IOVA(5) {
		r.mapPage(t, i<<12, 0x8000_0000, 4<<10)
	}
	for i := range bus.IOVA(3) {
		r.touch(i << 12)
	}
	r.mmu.FlushAll()
	r.touch(0x3000)
	r.touch(0x4000)
	if got := r.mmu.Flush(0x4000); got != 2 {
		t.Errorf("the second entry after a flush is the %dth, want 2", got)
	}
}

func TestTheVictimWrapsToTheLockBase(t *testing.T) {
	r := newRig(t, Config{Entries: 4, Format: OMAP})
	for i := range bus.IOVA(16) {
		r.mapPage(t, i<<12, bus.Phys(i)<<12, 4<<10)
	}
	r.touch(0)
	if err := r.mmu.Lock(1); err != nil {
		t.Fatal(err)
	}
	for i := range bus.IOVA(7) { // entries 1, 2, 3, 1, 2, 3, 1
		r.touch((i + 1) << 12)
	}
	for va, want := range map[bus.IOVA]bool{0: true, 0x4000: false, 0x5000: true, 0x6000: true, 0x7000: true} {
		if _, ok := r.mmu.Lookup(va); ok != want {
			t.Errorf("%v in the TLB: %v, want %v", va, ok, want)
		}
	}
	for _, base := range []int{-1, 4} {
		if err := r.mmu.Lock(base); err == nil {
			t.Errorf("no error for lock base %d", base)
		}
	}
}

func TestPreloadedEntriesSurviveReplacementAndFlushAll(t *testing.T) {
	r := newRig(t, Config{Entries: 2, Format: OMAP})
	if err := r.mmu.Preload(0x10_0000, 0x8000_0000, 1<<20); err != nil {
		t.Fatal(err)
	}
	for i := range bus.IOVA(4) {
		r.mapPage(t, i<<12, 0, 4<<10)
		r.touch(i << 12)
	}
	r.mmu.FlushAll()
	if pa, ok := r.mmu.Lookup(0x10_1234); !ok || pa != 0x8000_1234 {
		t.Errorf("preloaded page: %v, %v", pa, ok)
	}
	if _, ok := r.mmu.Lookup(0x3000); ok {
		t.Error("a walked entry survived FlushAll")
	}
	if err := r.mmu.Preload(0x20_0000, 0, 1<<20); err == nil {
		t.Error("the last free entry was locked")
	}
	r.mmu.Flush(0x10_0000)
	if _, ok := r.mmu.Lookup(0x10_1234); ok {
		t.Error("Flush of one entry spared a preserved one")
	}
}

func TestPreloadRefusesWhatIsNoPage(t *testing.T) {
	m, err := New(Config{Entries: 4, Format: OMAP}, l3clock, newTables())
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, -4096, 3 << 12, 64 << 10} {
		if err := m.Preload(0x1000, 0x1000, size); err == nil {
			t.Errorf("no error for %d bytes at 0x1000", size)
		}
		if base, victim := m.Locked(); base != 0 || victim != 0 {
			t.Errorf("lock base %d and victim %d after a refused preload", base, victim)
		}
	}
}

func TestAttachForgetsTheOldSpace(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	r.touch(0x1000)
	other, err := NewPageTable(OMAP, r.mem)
	if err != nil {
		t.Fatal(err)
	}
	r.mmu.Attach(other.Root())
	if r.touch(0x1000) {
		t.Error("the other space translates a page of the first")
	}
}

func TestAttachKeepsThePreloadedEntryUsable(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: OMAP})
	if err := r.mmu.Preload(0x1000, 0x8000_0000, 4<<10); err != nil {
		t.Fatal(err)
	}
	r.mmu.Detach()
	r.mmu.Attach(r.pt.Root())
	if !r.touch(0x1000) {
		t.Error("preserved entry lost")
	}
}

func TestResetCountersKeepsTheTLB(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: SGX})
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	r.touch(0x1000)
	r.mmu.ResetCounters()
	r.touch(0x1000)
	if got := r.mmu.Counters(); got != (Counters{Hits: 1}) {
		t.Errorf("%+v", got)
	}
}
