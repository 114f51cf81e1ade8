package iommu

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim/bus"
)

func newTable(t *testing.T, f Format) (*PageTable, *tables) {
	t.Helper()
	m := newTables()
	pt, err := NewPageTable(f, m)
	if err != nil {
		t.Fatal(err)
	}
	return pt, m
}

// The descriptors are written out by hand from omap-iopgtable.h and sgxmmu.h.
func TestMapWritesTheDescriptorsOfTheManual(t *testing.T) {
	for _, c := range []struct {
		name          string
		format        Format
		va            bus.IOVA
		pa            bus.Phys
		size          int
		first, copies int // index of the descriptor and number of copies, in the last level
		desc          uint32
		levels        int
	}{
		{"4K", OMAP, 0x1234_5000, 0x8765_4000, 4 << 10, 0x45, 1, 0x8765_4002, 2},
		{"64K", OMAP, 0x1234_0000, 0x8765_0000, 64 << 10, 0x40, 16, 0x8765_0001, 2},
		{"1M", OMAP, 0x1230_0000, 0x8760_0000, 1 << 20, 0x123, 1, 0x8760_0002, 1},
		{"16M", OMAP, 0x1200_0000, 0x8700_0000, 16 << 20, 0x120, 16, 0x8704_0002, 1},
		{"last section", OMAP, 0xfff0_0000, 0xfff0_0000, 1 << 20, 0xfff, 1, 0xfff0_0002, 1},
		{"sgx", SGX, 0x0fc3_5000, 0x8765_4000, 4 << 10, 0x35, 1, 0x8765_4001, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			pt, m := newTable(t, c.format)
			if err := pt.Map(m, c.va, c.pa, c.size); err != nil {
				t.Fatal(err)
			}
			base, entries := pt.Root(), 4096
			if c.format == SGX {
				entries = 1024
			}
			if c.levels == 2 {
				index, tag, mask, n := bus.Phys(c.va>>20), uint32(1), uint32(0x3ff), 256
				if c.format == SGX {
					index, tag, mask, n = bus.Phys(c.va>>22), 1, 0xfff, 1024
				}
				ptr := m.mem[base+4*index]
				if ptr&mask != tag {
					t.Fatalf("first-level descriptor %#x, want a pointer with low bits %#x", ptr, tag)
				}
				base, entries = bus.Phys(ptr&^mask), n
			}
			for i := range entries {
				want := uint32(0)
				if i >= c.first && i < c.first+c.copies {
					want = c.desc
				}
				if got := m.mem[base+bus.Phys(4*i)]; got != want {
					t.Errorf("descriptor %#x in memory is %#x, want %#x", i, got, want)
				}
			}
		})
	}
}

func TestTablesAreAlignedToTheirSize(t *testing.T) {
	for _, c := range []struct {
		format      Format
		root, table bus.Phys
	}{{OMAP, 16 << 10, 1 << 10}, {SGX, 4 << 10, 4 << 10}, {SMMU, 4 << 10, 4 << 10}} {
		pt, m := newTable(t, c.format)
		if pt.Root()%c.root != 0 {
			t.Errorf("%s: first level at %v", c.format, pt.Root())
		}
		before := m.next
		if err := pt.Map(m, 0x10_0000, 0x8000_0000, 4<<10); err != nil {
			t.Fatal(err)
		}
		if got := m.next - before; got < c.table || m.next%c.table != 0 {
			t.Errorf("%s: second level ends at %v and took %d bytes", c.format, m.next, got)
		}
	}
}

func TestMapCleansWhatItStored(t *testing.T) {
	for _, f := range []Format{OMAP, SGX} {
		pt, m := newTable(t, f)
		for _, size := range pt.PageSizes() {
			va := bus.IOVA(4 * size)
			if err := pt.Map(m, va, bus.Phys(8*size), size); err != nil {
				t.Fatal(err)
			}
		}
		for pa, v := range m.cpu {
			if m.mem[pa] != v {
				t.Fatalf("%s: word at %v is %#x for the CPU and %#x in memory", f, pa, v, m.mem[pa])
			}
		}
	}
}

func TestReplicatedPagesAreCleanedOnce(t *testing.T) {
	pt, m := newTable(t, OMAP)
	m.cleans, m.stores = nil, 0
	if err := pt.Map(m, 0x0200_0000, 0x8200_0000, 16<<20); err != nil {
		t.Fatal(err)
	}
	at := uint64(pt.Root()) + 0x20*4
	if diff := cmp.Diff([]span{{at, at + 64}}, m.cleans, cmp.AllowUnexported(span{})); diff != "" || m.stores != 16 {
		t.Errorf("%d stores, cleans (-want +got)\n%s", m.stores, diff)
	}
}

func TestMapRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		format Format
		va     bus.IOVA
		pa     bus.Phys
		size   int
		want   string
	}{
		{"an unknown size", OMAP, 0, 0, 8 << 10, "no page of 8192 bytes"},
		{"superpages on the SGX", SGX, 0, 0, 64 << 10, "no page of 65536 bytes in the sgx format"},
		{"an unaligned IOVA", OMAP, 0x1000, 0, 64 << 10, "not aligned"},
		{"an unaligned physical address", OMAP, 0, 0x1000, 64 << 10, "aligned to 65536"},
		{"a physical address above 4 GiB", OMAP, 0, 1 << 32, 4 << 10, "32-bit"},
		{"an IOVA above 256 MiB on the SGX", SGX, 1 << 28, 0, 4 << 10, "28-bit"},
		{"an IOVA above 4 GiB", OMAP, 1 << 32, 0, 4 << 10, "32-bit address space"},
		{"the same page twice", OMAP, 0x0100_3000, 0x1000, 4 << 10, "overlap"},
		{"a large page over a small one", OMAP, 0x0100_0000, 0, 64 << 10, "overlap"},
		{"a section over a second level", OMAP, 0x0100_0000, 0, 1 << 20, "overlap"},
		{"a supersection over a second level", OMAP, 0x0100_0000, 0, 16 << 20, "overlap"},
		{"a small page in a section", OMAP, 0x0200_5000, 0, 4 << 10, "larger page"},
		{"a small page in a large one", OMAP, 0x0301_5000, 0, 4 << 10, "overlap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pt, m := newTable(t, c.format)
			if c.format == OMAP {
				for va, size := range map[bus.IOVA]int{0x0100_3000: 4 << 10, 0x0200_0000: 1 << 20, 0x0301_0000: 64 << 10} {
					if err := pt.Map(m, va, 0x8000_0000, size); err != nil {
						t.Fatal(err)
					}
				}
			}
			stores := m.stores
			err := pt.Map(m, c.va, c.pa, c.size)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if m.stores != stores {
				t.Errorf("%d stores by a refused Map", m.stores-stores)
			}
		})
	}
}

func TestUnmapRefuses(t *testing.T) {
	pt, m := newTable(t, OMAP)
	if err := pt.Map(m, 0x0300_0000, 0x8000_0000, 64<<10); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		va   bus.IOVA
		size int
		want string
	}{
		{0x0310_0000, 4 << 10, "nothing is mapped"},
		{0x0301_0000, 4 << 10, "nothing is mapped"},
		{0x0300_3000, 4 << 10, "the page has 65536 bytes"},
		{0x0300_0000, 1 << 20, "the page has 65536 bytes"},
		{0x0300_1000, 64 << 10, "not aligned"},
		{0x0300_0000, 3, "no page of 3 bytes"},
	} {
		if err := pt.Unmap(m, c.va, c.size); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Unmap(%v, %d): error %v, want one with %q", c.va, c.size, err, c.want)
		}
	}
}

func TestUnmapZeroesAllCopiesAndCleans(t *testing.T) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20, 16 << 20} {
		pt, m := newTable(t, OMAP)
		va := bus.IOVA(16 << 20)
		if err := pt.Map(m, va, 0x8000_0000, size); err != nil {
			t.Fatal(err)
		}
		if err := pt.Unmap(m, va, size); err != nil {
			t.Fatal(err)
		}
		for pa, v := range m.mem {
			if v != 0 || m.cpu[pa] != 0 {
				t.Errorf("%d bytes: word at %v left as %#x (CPU %#x)", size, pa, v, m.cpu[pa])
			}
		}
	}
}

func TestAnEmptySecondLevelIsReleasedAndUsedAgain(t *testing.T) {
	pt, m := newTable(t, OMAP)
	for _, va := range []bus.IOVA{0x0100_0000, 0x0100_1000} {
		if err := pt.Map(m, va, 0x8000_0000, 4<<10); err != nil {
			t.Fatal(err)
		}
	}
	if err := pt.Unmap(m, 0x0100_0000, 4<<10); err != nil {
		t.Fatal(err)
	}
	if m.mem[pt.Root()+0x10*4] == 0 {
		t.Fatal("second level with a page left was released")
	}
	if err := pt.Unmap(m, 0x0100_1000, 4<<10); err != nil {
		t.Fatal(err)
	}
	if got := m.mem[pt.Root()+0x10*4]; got != 0 {
		t.Fatalf("first-level descriptor %#x after the last page went", got)
	}
	end := m.next
	if err := pt.Map(m, 0x0200_0000, 0x8000_0000, 4<<10); err != nil {
		t.Fatal(err)
	}
	if m.next != end {
		t.Error("a new table was allocated while one was spare")
	}
	// The place is free for a section again.
	if err := pt.Map(m, 0x0100_0000, 0x8000_0000, 1<<20); err != nil {
		t.Error(err)
	}
}

func TestTheSGXKeepsEmptyPageTables(t *testing.T) {
	pt, m := newTable(t, SGX)
	if err := pt.Map(m, 0x40_0000, 0x8000_0000, 4<<10); err != nil {
		t.Fatal(err)
	}
	if err := pt.Unmap(m, 0x40_0000, 4<<10); err != nil {
		t.Fatal(err)
	}
	if m.mem[pt.Root()+4]&1 == 0 {
		t.Error("directory entry invalid after unmap")
	}
}

func TestAllocationFailureIsReported(t *testing.T) {
	pt, m := newTable(t, OMAP)
	m.limit = m.next
	err := pt.Map(m, 0x1000, 0x8000_0000, 4<<10)
	if err == nil || !strings.Contains(err.Error(), "second-level table: out of memory") {
		t.Errorf("error %v", err)
	}
	if _, err := NewPageTable(OMAP, m); err == nil {
		t.Error("no error for the first level")
	}
	if _, err := NewPageTable("vax", m); err == nil {
		t.Error("no error for an unknown format")
	}
}

func TestLargestPageTakesTheLargestThatFits(t *testing.T) {
	for _, c := range []struct {
		f    Format
		va   bus.IOVA
		pa   bus.Phys
		left int
		want int
	}{
		{OMAP, 0, 0, 16 << 20, 16 << 20},
		{OMAP, 0, 0, 16<<20 - 1, 1 << 20},
		{OMAP, 0, 0x10_0000, 64 << 20, 1 << 20},
		{OMAP, 0x1_0000, 0, 64 << 20, 64 << 10},
		{OMAP, 0x1_0000, 0x1000, 64 << 20, 4 << 10},
		{OMAP, 0, 0, 4 << 10, 4 << 10},
		{OMAP, 0, 0, 4<<10 - 1, 0},
		{OMAP, 0x800, 0, 64 << 10, 0},
		{SGX, 0, 0, 64 << 20, 4 << 10},
		{SMMU, 0, 0, 2 << 30, 1 << 30},
		{SMMU, 0, 0x4000_0000, 1<<30 - 1, 2 << 20},
		{SMMU, 0x10_0000, 0, 64 << 20, 64 << 10},
		{"vax", 0, 0, 64 << 20, 0},
	} {
		if got := LargestPage(c.f, c.va, c.pa, c.left); got != c.want {
			t.Errorf("LargestPage(%s, %v, %v, %#x) = %d, want %d", c.f, c.va, c.pa, c.left, got, c.want)
		}
	}
}
