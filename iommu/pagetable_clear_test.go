package iommu

import (
	"testing"

	"socsim/sim/bus"
)

// changes is what an observer was told.
type changes []Change

func (c *changes) TableChanged(x Change) { *c = append(*c, x) }

func TestClearTakesOutEveryPageAndTellsSo(t *testing.T) {
	for format, step := range map[Format]bus.IOVA{OMAP: 64 * mib, SGX: 64 * mib, SMMU: gib} {
		t.Run(string(format), func(t *testing.T) {
			pt, m := newTable(t, format)
			sizes := pt.PageSizes()
			enter := func() {
				t.Helper()
				for i, size := range sizes {
					if err := pt.Map(m, bus.IOVA(i+1)*step, gib, size); err != nil {
						t.Fatal(err)
					}
				}
			}
			enter()
			var told changes
			pt.Observe(&told)
			pt.Clear(m)
			for i, size := range sizes {
				va := bus.IOVA(i+1) * step
				if pa, _, ok := pt.Lookup(m, va); ok {
					t.Errorf("the page of %d bytes is still mapped, to %v", size, pa)
				}
				covered := 0
				for _, c := range told {
					if c.Kind == PageRemoved {
						covered += max(0, int(min(c.VA+bus.IOVA(c.Size), va+bus.IOVA(size)))-int(max(c.VA, va)))
					}
				}
				if covered != size {
					t.Errorf("of the page of %d bytes %d are told to be removed", size, covered)
				}
			}
			for off := 0; off < pt.l.levels[0].bytes; off += wordBytes {
				if d := m.mem[pt.Root()+bus.Phys(off)]; d != 0 {
					t.Errorf("the walker still finds %#x at %#x", d, off)
				}
			}
			next := m.next
			enter()
			if m.next != next {
				t.Errorf("%d bytes more are allocated for tables that are there", m.next-next)
			}
		})
	}
}

func TestFindStopsAtTheMatchAndReadsEmptyEntries(t *testing.T) {
	r := newRig(t, Config{Entries: 4, Format: OMAP})
	look := func(what string, looked int, ok bool, wantLooked int, wantOK bool) {
		t.Helper()
		if looked != wantLooked || ok != wantOK {
			t.Errorf("%s: %d entries and %v, want %d and %v", what, looked, ok, wantLooked, wantOK)
		}
	}
	for slot, va := range []bus.IOVA{0x1000, 0x2000, 0x3000} {
		if err := r.mmu.SetVictim(slot); err != nil {
			t.Fatal(err)
		}
		if err := r.mmu.Load(va, 0x8000_0000, 4*kib, false); err != nil {
			t.Fatal(err)
		}
	}
	r.mmu.Flush(0x1000)
	before := r.mmu.Counters()
	n, ok := r.mmu.Find(0x3fff)
	look("behind an empty one", n, ok, 3, true)
	n, ok = r.mmu.Find(0x1000)
	look("none", n, ok, 4, false)
	n, ok = r.mmu.FindEmpty()
	look("empty", n, ok, 1, true)
	if r.mmu.Counters() != before {
		t.Error("a counter moved")
	}
	if got := r.mmu.Flush(0x3000); got != 3 {
		t.Errorf("Flush looks at %d entries, Find at 3", got)
	}
}
