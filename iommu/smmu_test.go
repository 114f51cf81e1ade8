package iommu

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim/bus"
)

// The descriptors are written out by hand from the Arm ARM: bits 1:0 the type, 6 AP[1], 9:8 SH, 10 AF, 11 nG, 52 the contiguous hint.
func TestSMMUDescriptors(t *testing.T) {
	const attributes = 0xe40
	for _, c := range []struct {
		name   string
		va     bus.IOVA
		pa     bus.Phys
		size   int
		index  []bus.Phys // of the descriptors on the way
		desc   uint64
		copies int
	}{
		{"4K", 0x12_3456_7000, 0x8765_4000, 4 << 10, []bus.Phys{0x48, 0x1a2, 0x167}, 0x8765_4000 | attributes | 3, 1},
		{"64K", 0x12_3456_0000, 0xa_8765_0000, 64 << 10, []bus.Phys{0x48, 0x1a2, 0x160}, 1<<52 | 0xa_8765_0000 | attributes | 3, 16},
		{"2M", 0x12_3460_0000, 0x8760_0000, 2 << 20, []bus.Phys{0x48, 0x1a3}, 0x8760_0000 | attributes | 1, 1},
		{"1G", 0x12_0000_0000, 0x8000_0000, 1 << 30, []bus.Phys{0x48}, 0x8000_0000 | attributes | 1, 1},
	} {
		pt, m := newTable(t, SMMU)
		if err := pt.Map(m, c.va, c.pa, c.size); err != nil {
			t.Fatal(err)
		}
		long := func(at bus.Phys) uint64 { return uint64(m.mem[at]) | uint64(m.mem[at+4])<<32 }
		base := pt.Root()
		for _, i := range c.index[:len(c.index)-1] {
			d := long(base + 8*i)
			if d&0xfff != 3 || d>>48 != 0 {
				t.Fatalf("%s: table descriptor %#x", c.name, d)
			}
			base = bus.Phys(d &^ 0xfff)
		}
		for i := range bus.Phys(512) {
			want := uint64(0)
			if k := i - c.index[len(c.index)-1]; k < bus.Phys(c.copies) {
				want = c.desc + uint64(k)<<12
			}
			if got := long(base + 8*i); got != want {
				t.Errorf("%s: descriptor %#x is %#x, want %#x", c.name, i, got, want)
			}
		}
	}
}

// journal notes the order of stores.
type journal struct {
	*tables
	at []bus.Phys
}

func (j *journal) Store(pa bus.Phys, v uint32) {
	j.at = append(j.at, pa)
	j.tables.Store(pa, v)
}

func TestTheWordWithTheValidBitIsStoredLastAndZeroedFirst(t *testing.T) {
	pt, m := newTable(t, SMMU)
	j := &journal{tables: m}
	if err := pt.Map(j, 0x1000, 0x8000_0000, 4<<10); err != nil {
		t.Fatal(err)
	}
	j.at = nil
	if err := pt.Map(j, 0x2000, 0x8000_1000, 4<<10); err != nil {
		t.Fatal(err)
	}
	if len(j.at) != 2 || j.at[1]%8 != 0 || j.at[0] != j.at[1]+4 {
		t.Errorf("Map stores at %v, want the high word, then the low", j.at)
	}
	j.at = nil
	if err := pt.Unmap(j, 0x2000, 4<<10); err != nil {
		t.Fatal(err)
	}
	if len(j.at) != 2 || j.at[0]%8 != 0 || j.at[1] != j.at[0]+4 {
		t.Errorf("Unmap stores at %v, want the low word, then the high", j.at)
	}
}

func TestABlockTakesThePlaceOfEmptyTables(t *testing.T) {
	pt, m := newTable(t, SMMU)
	for _, va := range []bus.IOVA{0x4000_0000, 0x4020_0000} {
		if err := pt.Map(m, va, 0x8000_0000, 4<<10); err != nil {
			t.Fatal(err)
		}
	}
	if err := pt.Unmap(m, 0x4000_0000, 4<<10); err != nil {
		t.Fatal(err)
	}
	if err := pt.Map(m, 0x4000_0000, 0x4000_0000, 1<<30); err == nil || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("a block over a table with a page below it: %v", err)
	}
	if err := pt.Unmap(m, 0x4020_0000, 4<<10); err != nil {
		t.Fatal(err)
	}
	var seen []Change
	pt.Observe(observer(func(c Change) { seen = append(seen, c) }))
	m.now = 3 * us
	if err := pt.Map(m, 0x4000_0000, 0x4000_0000, 1<<30); err != nil {
		t.Fatal(err)
	}
	want := []Change{
		{Time: 3 * us, Kind: TableRemoved, Root: pt.Root(), VA: 0x4000_0000, Size: 1 << 30},
		{Time: 3 * us, Kind: PageEntered, Root: pt.Root(), VA: 0x4000_0000, PA: 0x4000_0000, Size: 1 << 30},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("changes (-want +got)\n%s", diff)
	}
	// The second level and both third levels are there for others.
	if end := m.next; len(pt.spare) != 3 {
		t.Errorf("%d spare tables, want 3", len(pt.spare))
	} else if err := pt.Map(m, 0x8000_0000, 0, 4<<10); err != nil || m.next != end {
		t.Errorf("map: %v; new memory taken: %v", err, m.next != end)
	}
}

type observer func(Change)

func (o observer) TableChanged(c Change) { o(c) }

func TestSMMUDescriptorsThatAreNone(t *testing.T) {
	const page = 0x8765_4000 | 1<<10
	for _, c := range []struct {
		name  string
		level int
		desc  uint64
		what  outcome
		base  bus.Phys
		size  int
	}{
		{"an invalid one", 1, 0xffff_ffff_ffff_fffe, invalid, 0, 0},
		{"a block in the last level", 3, page | 1, invalid, 0, 0},
		{"a page without the access flag", 3, 0x8765_4003, invalid, 0, 0},
		{"a block without the access flag", 2, 0x8760_0001, invalid, 0, 0},
		{"a page beyond 40 bits", 3, 1<<40 | page | 3, invalid, 0, 0},
		{"a page with all attributes", 3, 0xffe0_0000_8765_4fff, translated, 0x8765_4000, 4 << 10},
		{"a page with the contiguous hint", 3, 0xfff0_0000_8765_4fff, translated, 0x8765_0000, 64 << 10},
		{"a block of 2 MiB with all attributes", 2, 0xffff_0000_8765_4ffd, translated, 0x8760_0000, 2 << 20},
		{"a block of 1 GiB with all attributes", 1, 0xffff_0000_8765_4ffd, translated, 0x8000_0000, 1 << 30},
		{"a table with all attributes", 1, 0xffff_0000_8765_4fff, table, 0x8765_4000, 0},
	} {
		if what, base, size := smmuLayout.decode(c.level, c.desc); what != c.what || what != invalid && (base != c.base || size != c.size) {
			t.Errorf("%s: %v at %v, %d bytes", c.name, what, base, size)
		}
	}
}

// spread maps pages that share less and less of the way: 0 to 3 in one last-level table, then another last level, then another second level.
func spread(t *testing.T, r *rig) []bus.IOVA {
	pages := []bus.IOVA{0x1000, 0x2000, 0x3000, 0x20_0000, 0x4000_0000}
	for i, va := range pages {
		r.mapPage(t, va, bus.Phys(0x8000_0000+i<<12), 4<<10)
	}
	return pages
}

func TestTheWalkCacheSkipsLevels(t *testing.T) {
	for _, c := range []struct {
		entries int
		reads   []uint64 // of each page in turn
		hits    uint64
	}{
		{0, []uint64{3, 3, 3, 3, 3}, 0},
		{1, []uint64{3, 1, 1, 3, 3}, 2}, // the third level's table takes the second's place
		{8, []uint64{3, 1, 1, 2, 3}, 3},
	} {
		r := newRig(t, Config{Entries: 8, Format: SMMU, WalkCache: c.entries})
		var got []uint64
		for _, va := range spread(t, r) {
			before := r.mmu.Counters().WalkReads
			r.touch(va)
			got = append(got, r.mmu.Counters().WalkReads-before)
		}
		if n := r.mmu.Counters().WalkCacheHits; !slices.Equal(got, c.reads) || n != c.hits {
			t.Errorf("%d entries: reads %v and %d hits, want %v and %d", c.entries, got, n, c.reads, c.hits)
		}
	}
}

func TestTheOldestWalkCacheEntryIsReplaced(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: SMMU, WalkCache: 2})
	pages := spread(t, r)
	for _, va := range []bus.IOVA{pages[0], pages[4], pages[0]} {
		r.touch(va)
		r.mmu.FlushLeaf(va)
	}
	if n := r.mmu.Counters(); n.WalkCacheHits != 0 || n.WalkReads != 9 {
		t.Errorf("%+v: want each walk to displace the tables of the other", n)
	}
	r.touch(pages[1])
	if n := r.mmu.Counters(); n.WalkCacheHits != 1 || n.WalkReads != 10 {
		t.Errorf("%+v", n)
	}
}

func TestAFlushByAddressDropsTheWalkCacheAndOneOfTheLeafDoesNot(t *testing.T) {
	for _, c := range []struct {
		name  string
		flush func(m *MMU)
		reads uint64
	}{
		{"Flush", func(m *MMU) { m.Flush(0x1000) }, 3},
		{"Flush of a page in the same table", func(m *MMU) { m.Flush(0x3000); m.FlushLeaf(0x1000) }, 3},
		{"Flush of a page in another table below the same second level", func(m *MMU) { m.Flush(0x20_0000); m.FlushLeaf(0x1000) }, 1},
		{"Flush in another second level", func(m *MMU) { m.Flush(0x4000_0000); m.FlushLeaf(0x1000) }, 1},
		{"Flush in another context", func(m *MMU) { m.FlushIn(1, 0x1000, false); m.FlushLeaf(0x1000) }, 1},
		{"FlushLeaf", func(m *MMU) { m.FlushLeaf(0x1000) }, 1},
		{"FlushAll", (*MMU).FlushAll, 3},
		{"FlushContext", func(m *MMU) { m.FlushContext(0) }, 3},
		{"FlushContext of another", func(m *MMU) { m.FlushContext(1); m.FlushLeaf(0x1000) }, 1},
	} {
		r := newRig(t, Config{Entries: 8, Format: SMMU, WalkCache: 8})
		spread(t, r)
		r.touch(0x1000)
		c.flush(r.mmu)
		before := r.mmu.Counters().WalkReads
		r.touch(0x1000)
		if got := r.mmu.Counters().WalkReads - before; got != c.reads {
			t.Errorf("%s: %d reads, want %d", c.name, got, c.reads)
		}
	}
}

// A block has taken the place of a table that the walk cache still knows: a flush of the leaf is not enough, and the walker reads the old table.
func TestAWalkCacheThatIsNotFlushedLeadsAstray(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: SMMU, WalkCache: 8})
	r.mapPage(t, 0x20_1000, 0x8000_0000, 4<<10)
	r.touch(0x20_1000)
	if err := r.pt.Unmap(r.mem, 0x20_1000, 4<<10); err != nil {
		t.Fatal(err)
	}
	r.mem.now = 4 * us
	r.mapPage(t, 0x20_0000, 0x8020_0000, 2<<20)
	r.mmu.FlushLeaf(0x20_1000)
	if r.touch(0x20_1000) {
		t.Fatal("no fault, though the old table has no page")
	}
	// Worse: the old table serves other addresses now.
	r.mem.now = 6 * us
	r.mapPage(t, 0x4000_1000, 0x8070_0000, 4<<10) // takes the spare table for a second level
	r.mapPage(t, 0x8000_1000, 0x8080_0000, 4<<10)
	old := r.pt.l.entry(3, r.mmu.walks[1].table, 0x20_1000)
	r.mem.Store(old+4, 0)
	r.mem.Store(old, 0x8090_0000|lpaeAttributes|lpaePage)
	r.mem.Clean(old, 8)
	got := r.uses(0x20_1000)
	if len(got) != 1 || got[0].PA != 0x8090_0000 || got[0].What != Remapped || got[0].Since != 4*us {
		t.Errorf("reports %+v, want one of a page remapped when the table went", got)
	}
	r.mmu.Flush(0x20_1000)
	r.wantFresh(t, 0x20_1000)
	if pa, ok := r.mmu.Lookup(0x20_1000); !ok || pa != 0x8020_1000 {
		t.Errorf("after the flush: %v, %v", pa, ok)
	}
}

func TestASwitchOfContextFlushesNothingAndSeparatesWalks(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: SMMU, WalkCache: 8})
	r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
	other, err := NewPageTable(SMMU, r.mem)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Map(r.mem, 0x1000, 0x8000_5000, 4<<10); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.mmu.SwitchContext(1, other.Root())
		r.touch(0x1000)
		r.mmu.SwitchContext(2, r.pt.Root())
		r.touch(0x1000)
	}
	if n, want := r.mmu.Counters(), (Counters{Hits: 4, Misses: 2, WalkReads: 6}); n != want {
		t.Errorf("%+v, want %+v", n, want)
	}
}

func TestASwitchDuringAWalkStartsItOver(t *testing.T) {
	for _, f := range []Format{OMAP, SGX, SMMU} {
		r := newRig(t, Config{Entries: 8, Format: f})
		r.mapPage(t, 0x1000, 0x8000_0000, 4<<10)
		other, err := NewPageTable(f, r.mem)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Map(r.mem, 0x1000, 0x8000_5000, 4<<10); err != nil {
			t.Fatal(err)
		}
		r.port.Issue(us, 0x1000, 64, true)
		r.step()
		r.mmu.SwitchContext(1, other.Root())
		r.run()
		if last := r.log[len(r.log)-1]; last.Addr != 0x8000_5000 || r.mmu.entries() != 1 {
			t.Errorf("%s: data at %v, %d entries", f, last.Addr, r.mmu.entries())
		}
	}
}

func TestWithoutOneOfItsCopiesAContiguousPageFaultsThere(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: SMMU})
	r.mapPage(t, 0x1_0000, 0x8001_0000, 64<<10)
	m, _ := r.pt.find(r.mem, 0x1_5000)
	r.pt.zero(r.mem, m.entry, 1)
	r.mem.Clean(m.entry, 8)
	if r.touch(0x1_5000) {
		t.Fatal("no fault at the missing copy")
	}
	if !r.touch(0x1_4000) || !r.touch(0x1_5000) {
		t.Error("fault although the entry, once loaded, covers the page")
	}
}

func TestAnSMMUFlushDropsAllThatTranslateTheAddress(t *testing.T) {
	for _, c := range []struct {
		f    Format
		want int
	}{{OMAP, 1}, {SMMU, 0}} {
		r := newRig(t, Config{Entries: 8, Format: c.f})
		r.load(t, 1, 0x1_0000, 0x8001_0000, 64<<10)
		r.load(t, 2, 0x1_3000, 0x8000_0000, 4<<10)
		r.mmu.Flush(0x1_3000)
		if n := r.mmu.entries(); n != c.want {
			t.Errorf("%s: %d entries left, want %d", c.f, n, c.want)
		}
	}
}

func TestContextsOutOfRangePanic(t *testing.T) {
	r := newRig(t, Config{Entries: 8, Format: SMMU})
	for _, id := range []int{-1, Contexts} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("context %d: no panic", id)
				}
			}()
			r.mmu.SwitchContext(id, 0)
		}()
	}
}
