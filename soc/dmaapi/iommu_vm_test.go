package dmaapi

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// mapped returns the sizes of the pages that the walker finds behind an area, and complains about one that does not lead to its memory.
func mapped(tb testing.TB, d *Domain, a *Area) (sizes []int) {
	tb.Helper()
	va := bus.Addr(a.DA)
	for _, run := range a.Runs {
		for off := 0; off < run.Bytes; {
			pa, size := walk(d.core.Memory(), d.table.Root(), va)
			if size == 0 || pa != run.Addr+bus.Phys(off) {
				tb.Fatalf("at %v the walker finds %v in a page of %d bytes, want %v", va, pa, size, run.Addr+bus.Phys(off))
			}
			sizes = append(sizes, size)
			off += size
			va += bus.Addr(size)
		}
	}
	return sizes
}

func TestEachKindOfAreaGetsThePagesItsMemoryAllows(t *testing.T) {
	repeat := func(size, n int) []int { return slices.Repeat([]int{size}, n) }
	r := newRig(t, "armv7", conf.Override{Path: "soc.memory.fragmentation", Value: "0%"})
	given := r.contiguous(mib+64*kib, mib)
	for _, c := range []struct {
		name string
		make func(v *IOVM, th *cpu.Thread) (bus.IOVA, error)
		undo func(v *IOVM, th *cpu.Thread, da bus.IOVA) error
		want []int
	}{
		{
			"kmap",
			func(v *IOVM, th *cpu.Thread) (bus.IOVA, error) { return v.Kmap(th, Place{}, given.Runs()[0]) },
			(*IOVM).Kunmap,
			[]int{mib, 64 * kib},
		},
		{
			"vmap",
			func(v *IOVM, th *cpu.Thread) (bus.IOVA, error) {
				return v.Vmap(th, Place{}, append(given.RunsOf(64*kib, 64*kib), given.RunsOf(0, 8*kib)...))
			},
			(*IOVM).Vunmap,
			[]int{64 * kib, 4 * kib, 4 * kib},
		},
		{
			"kmalloc",
			func(v *IOVM, th *cpu.Thread) (bus.IOVA, error) { return v.Kmalloc(th, Place{}, 132*kib-100) },
			(*IOVM).Kfree,
			[]int{64 * kib, 64 * kib, 4 * kib},
		},
		{
			"vmalloc", // its memory is one run, all the same
			func(v *IOVM, th *cpu.Thread) (bus.IOVA, error) { return v.Vmalloc(th, Place{}, 128*kib) },
			(*IOVM).Vfree, repeat(4*kib, 32),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.run(func(th *cpu.Thread) {
				d := r.domain(th, iommu.OMAP, 8)
				v := NewIOVM(d)
				da, err := c.make(v, th)
				if err != nil {
					t.Fatal(err)
				}
				a, ok := v.Find(da)
				if !ok || a.DA != da {
					t.Fatalf("no area is found at %v", da)
				}
				equal(t, "kind", a.Kind.String(), c.name)
				if got := mapped(t, d, a); !slices.Equal(got, c.want) {
					t.Errorf("pages of %v, want %v", got, c.want)
				}
				if err := c.undo(v, th, da); err != nil {
					t.Fatal(err)
				}
				if _, size := walk(r.Memory, d.table.Root(), bus.Addr(da)); size != 0 {
					t.Errorf("a page of %d bytes stays mapped", size)
				}
				equal(t, "areas", len(v.Areas()), 0)
				equal(t, "bytes in use", d.Stats().Space.Used, 0)
			})
		})
	}
}

func TestAreasAreListedInOrderAndFoundByAnyOfTheirAddresses(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		v := NewIOVM(d)
		for _, p := range []Place{At(0x300_0000), At(0x200_0000), {}} {
			if _, err := v.Vmalloc(th, p, 8*kib); err != nil {
				t.Fatal(err)
			}
		}
		var at []bus.IOVA
		for _, a := range v.Areas() {
			at = append(at, a.DA)
		}
		if want := []bus.IOVA{16 * mib, 0x200_0000, 0x300_0000}; !slices.Equal(at, want) {
			t.Fatalf("areas at %v, want %v", at, want)
		}
		for _, c := range []struct {
			da, want bus.IOVA
		}{{0x200_0000, 0x200_0000}, {0x200_1fff, 0x200_0000}, {0x200_2000, 0}, {0x1ff_ffff, 0}, {0x300_1000, 0x300_0000}, {0, 0}} {
			a, ok := v.Find(c.da)
			if ok != (c.want != 0) || ok && a.DA != c.want {
				t.Errorf("at %v: area %+v, want that at %v", c.da, a, c.want)
			}
		}
	})
}

func TestAnAreaThatCannotBePlacedLeavesNothingBehind(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		v := NewIOVM(d)
		da, err := v.Kmalloc(th, At(0x200_0000), 64*kib)
		if err != nil || da != 0x200_0000 {
			t.Fatal(da, err)
		}
		free := r.Memory.FreeBytes()
		for _, c := range []struct {
			name string
			err  error
			make func() (bus.IOVA, error)
		}{
			{"over another", iommu.ErrTaken, func() (bus.IOVA, error) { return v.Vmalloc(th, At(0x200_f000), 4*kib) }},
			{"into another", iommu.ErrTaken, func() (bus.IOVA, error) { return v.Vmalloc(th, At(0x1ff_f000), 8*kib) }},
			{"at address 0", iommu.ErrNoSpace, func() (bus.IOVA, error) { return v.Vmalloc(th, At(0), 4*kib) }},
			{"too large", iommu.ErrNoSpace, func() (bus.IOVA, error) { return v.Vmalloc(th, At(143*mib), 2*mib) }},
			{"without memory", memory.ErrNoMemory, func() (bus.IOVA, error) { return v.Vmalloc(th, Place{}, 64*mib) }},
			{"of nothing", nil, func() (bus.IOVA, error) { return v.Kmalloc(th, Place{}, 0) }},
			{"of no runs", nil, func() (bus.IOVA, error) { return v.Vmap(th, Place{}, nil) }},
			{"of a part of a page", nil, func() (bus.IOVA, error) {
				return v.Kmap(th, Place{}, memory.Run{Addr: 0x8000_0000, Bytes: 100})
			}},
			{"in the middle of a page", nil, func() (bus.IOVA, error) {
				return v.Kmap(th, Place{}, memory.Run{Addr: 0x8000_0100, Bytes: 4096})
			}},
		} {
			if da, err := c.make(); err == nil || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("an area %s: %v, error %v, want %v", c.name, da, err, c.err)
			}
		}
		equal(t, "free memory", r.Memory.FreeBytes(), free)
		equal(t, "areas", len(v.Areas()), 1)
		equal(t, "bytes in use", d.Stats().Space.Used, 64*kib)
	})
}

func TestAnAreaIsUndoneOnceAndByItsOwnCounterpart(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		v := NewIOVM(r.domain(th, iommu.OMAP, 8))
		free := r.Memory.FreeBytes()
		da, err := v.Vmalloc(th, Place{}, 64*kib)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Kfree(th, da); err == nil || !strings.Contains(err.Error(), "was made by vmalloc, not by kmalloc") {
			t.Errorf("error %v", err)
		}
		if err := v.Vfree(th, da+4*kib); err == nil {
			t.Error("freed from its middle")
		}
		if err := v.Vfree(th, da); err != nil {
			t.Error(err)
		}
		equal(t, "free memory", r.Memory.FreeBytes(), free)
		if err := v.Vfree(th, da); err == nil || !strings.Contains(err.Error(), "no vmalloc area starts at") {
			t.Errorf("error %v", err)
		}
	})
}

func TestAreasOutliveADetachAsMemoryAlone(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		v := NewIOVM(d)
		free := r.Memory.FreeBytes()
		da, err := v.Vmalloc(th, Place{}, 64*kib)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Detach(th); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Vmalloc(th, Place{}, 4*kib); err == nil {
			t.Error("made an area of a domain that is detached")
		}
		if err := d.Attach(th); err != nil {
			t.Fatal(err)
		}
		kept, err := d.Map(th, r.contiguous(4*kib, 4*kib)) // where the area was
		if err != nil || bus.IOVA(kept) != da {
			t.Fatal(kept, err)
		}
		if err := v.Vfree(th, da); err != nil {
			t.Fatal(err)
		}
		equal(t, "free memory", r.Memory.FreeBytes(), free)
		if _, size := walk(r.Memory, d.table.Root(), kept); size != 4*kib {
			t.Error("the page mapped after the detach is gone")
		}
	})
}

func TestAnAreaCostsItsCallerTime(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		v := NewIOVM(d)
		start := th.Now()
		da, err := v.Vmalloc(th, Place{}, 64*kib)
		if err != nil {
			t.Fatal(err)
		}
		between := th.Now()
		if err := v.Vfree(th, da); err != nil {
			t.Fatal(err)
		}
		equal(t, "map time", d.MapTime(), between-start)
		equal(t, "unmap time", d.UnmapTime(), th.Now()-between)
		if reads := uint64(16 * 8 * 3); d.Stats().Map.Reads != reads || d.MapTime() < 16*24*100_000 {
			t.Errorf("%d registers read in %v, want %d, of 100 ns or more each", d.Stats().Map.Reads, d.MapTime(), reads)
		}
	})
}

// Areas of all kinds come and go; the walker finds each, and what is undone leaves neither translations, addresses nor memory behind.
func TestAreasComeAndGo(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		v := NewIOVM(d)
		given := r.contiguous(2*mib, mib)
		draw := sim.Stream(1, "areas")
		undo := [...]func(*cpu.Thread, bus.IOVA) error{KmapArea: v.Kunmap, VmapArea: v.Vunmap, KmallocArea: v.Kfree, VmallocArea: v.Vfree}
		free := r.Memory.FreeBytes()
		for range 200 {
			p := Place{}
			if draw.IntN(3) == 0 {
				p = At(16*mib + bus.IOVA(draw.IntN(2048))*4*kib)
			}
			off, n := draw.IntN(256)*4*kib, (1+draw.IntN(40))*4*kib
			var err error
			switch AreaKind(draw.IntN(4)) {
			case KmapArea:
				_, err = v.Kmap(th, p, given.RunsOf(off, n)[0])
			case VmapArea:
				_, err = v.Vmap(th, p, append(given.RunsOf(mib, n), given.RunsOf(off, n)...))
			case KmallocArea:
				_, err = v.Kmalloc(th, p, n)
			default:
				_, err = v.Vmalloc(th, p, n)
			}
			if err != nil && !(p.Fixed && errors.Is(err, iommu.ErrTaken)) {
				t.Fatal(err)
			}
			end, used := bus.IOVA(0), 0
			for _, a := range v.Areas() {
				if a.DA < end {
					t.Fatalf("the area at %v begins before the one below it ends, at %v", a.DA, end)
				}
				end, used = a.DA+bus.IOVA(a.Bytes), used+a.Bytes
				mapped(t, d, a)
			}
			equal(t, "bytes in use", d.Stats().Space.Used, uint64(used))
			for len(v.Areas()) > 12 {
				a := v.Areas()[draw.IntN(len(v.Areas()))]
				if err := undo[a.Kind](th, a.DA); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, a := range v.Areas() {
			if err := undo[a.Kind](th, a.DA); err != nil {
				t.Fatal(err)
			}
		}
		equal(t, "free memory", r.Memory.FreeBytes(), free)
		for off := bus.Addr(0); off < 4096*4; off += 4 {
			if desc := r.Memory.LoadWord(d.table.Root() + bus.Phys(off)); desc != 0 {
				t.Errorf("a first-level descriptor is left: %#x", desc)
			}
		}
	})
}
