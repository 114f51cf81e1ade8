package dmaapi

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"socsim/iommu"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// IOVM manages areas of a domain's address space by hand, as the old iovmm of the OMAP kernels does (arch/arm/plat-omap/iovmm.c, drivers/iommu/omap-iovmm.c, until 3.7): ranges of memory that is given or
// allocated, at fixed addresses or anywhere, found by address and listed in order. What mapping costs is the calling thread's.
//
//	         memory                pages
//	Kmap     given, contiguous     the largest that fit
//	Vmap     given, scattered      the largest that fit each run
//	Kmalloc  contiguous            the largest that fit
//	Vmalloc  scattered             4 KiB alone
//
// Each is undone by its own counterpart. Address 0 is refused: "omap: iovmm: disallow mapping NULL address", March 2011.
//
// Left out: the kernel's mapping of an area (da_to_va); its lock. Departures: iovmm's vmap takes runs that are exactly IO pages and aligns an area to its largest page only where it is one run; here the runs are cut, and
// the area is aligned to the largest page it can use. The patch of 2011 keeps anonymous areas from address 0; here no area starts there.
type IOVM struct {
	d     *Domain
	areas []*Area // ascending
}

// AreaKind says how an area came about.
type AreaKind uint8

// The kinds, after the calls that make them.
const (
	KmapArea AreaKind = iota
	VmapArea
	KmallocArea
	VmallocArea
)

func (k AreaKind) String() string {
	names := [...]string{"kmap", "vmap", "kmalloc", "vmalloc"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("AreaKind(%d)", uint8(k))
}

// Area is a range of IO virtual addresses and the memory behind it.
type Area struct {
	DA    bus.IOVA
	Bytes int // whole pages
	Kind  AreaKind
	Runs  []memory.Run
	// Region is the memory that Kmalloc and Vmalloc allocated.
	Region *memory.Region

	epoch int // of the domain
}

// Place says where an area goes. The zero Place is anywhere (IOVMF_DA_ANON).
type Place struct {
	Fixed bool // at DA (IOVMF_DA_FIXED)
	DA    bus.IOVA
}

// At is the place at a fixed address.
func At(da bus.IOVA) Place { return Place{Fixed: true, DA: da} }

// NewIOVM returns the manager of a domain's areas. Domain.Map takes its addresses from the same space.
func NewIOVM(d *Domain) *IOVM { return &IOVM{d: d} }

// Kmap maps a contiguous range of whole pages.
func (v *IOVM) Kmap(t *cpu.Thread, p Place, r memory.Run) (bus.IOVA, error) {
	return v.given(t, KmapArea, p, []memory.Run{r})
}

// Kunmap undoes Kmap.
func (v *IOVM) Kunmap(t *cpu.Thread, da bus.IOVA) error { return v.release(t, KmapArea, da) }

// Vmap maps a scatter list of whole pages.
func (v *IOVM) Vmap(t *cpu.Thread, p Place, runs []memory.Run) (bus.IOVA, error) {
	return v.given(t, VmapArea, p, runs)
}

// Vunmap undoes Vmap.
func (v *IOVM) Vunmap(t *cpu.Thread, da bus.IOVA) error { return v.release(t, VmapArea, da) }

// Kmalloc allocates contiguous memory and maps it. Memory of a large page's size is aligned to it, as the page allocator's is.
func (v *IOVM) Kmalloc(t *cpu.Thread, p Place, bytes int) (bus.IOVA, error) {
	return v.allocated(t, KmallocArea, p, bytes, int(v.d.driver.LargestPage), func(name string) (*memory.Region, error) {
		align := max(iommu.LargestPage(v.d.format, 0, 0, min(bytes, int(v.d.driver.LargestPage))), memory.PageBytes)
		return v.d.core.Memory().AllocContiguous(name, int64(bytes), int64(align))
	})
}

// Kfree undoes Kmalloc, the allocation included.
func (v *IOVM) Kfree(t *cpu.Thread, da bus.IOVA) error { return v.release(t, KmallocArea, da) }

// Vmalloc allocates scattered memory and maps it page by page.
func (v *IOVM) Vmalloc(t *cpu.Thread, p Place, bytes int) (bus.IOVA, error) {
	return v.allocated(t, VmallocArea, p, bytes, memory.PageBytes, func(name string) (*memory.Region, error) {
		return v.d.core.Memory().AllocScattered(name, int64(bytes))
	})
}

// Vfree undoes Vmalloc, the allocation included.
func (v *IOVM) Vfree(t *cpu.Thread, da bus.IOVA) error { return v.release(t, VmallocArea, da) }

// Find returns the area that da lies in (find_iovm_area).
func (v *IOVM) Find(da bus.IOVA) (*Area, bool) {
	i, ok := v.search(da)
	if ok {
		return v.areas[i], true
	}
	if i > 0 && da < v.areas[i-1].DA+bus.IOVA(v.areas[i-1].Bytes) {
		return v.areas[i-1], true
	}
	return nil, false
}

// Areas returns the areas in the order of their addresses.
func (v *IOVM) Areas() []*Area { return slices.Clone(v.areas) }

// search returns the first area that does not start below da, and whether it starts there.
func (v *IOVM) search(da bus.IOVA) (int, bool) {
	return slices.BinarySearchFunc(v.areas, da, func(a *Area, da bus.IOVA) int { return cmp.Compare(a.DA, da) })
}

// given makes an area of memory that the caller has.
func (v *IOVM) given(t *cpu.Thread, k AreaKind, p Place, runs []memory.Run) (bus.IOVA, error) {
	if len(runs) == 0 {
		return 0, fmt.Errorf("%s: %v: no memory is given", v.d.device, k)
	}
	for _, r := range runs {
		if r.Bytes <= 0 || r.Bytes%memory.PageBytes != 0 || r.Addr%memory.PageBytes != 0 {
			return 0, fmt.Errorf("%s: %v: %d bytes at %v are not whole pages", v.d.device, k, r.Bytes, r.Addr)
		}
	}
	a := &Area{Kind: k, Runs: slices.Clone(runs)}
	if err := v.enter(t, p, a, int(v.d.driver.LargestPage)); err != nil {
		return 0, err
	}
	return a.DA, nil
}

// allocated makes an area of memory of its own.
func (v *IOVM) allocated(t *cpu.Thread, k AreaKind, p Place, bytes, limit int, alloc func(name string) (*memory.Region, error)) (bus.IOVA, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("%s: %v: %d bytes", v.d.device, k, bytes)
	}
	r, err := alloc(fmt.Sprintf("%v area of %s", k, v.d.device))
	if err != nil {
		return 0, fmt.Errorf("%s: %v: %w", v.d.device, k, err)
	}
	a := &Area{Kind: k, Runs: r.RunsOf(0, pagesOf(bytes)), Region: r}
	if err := v.enter(t, p, a, limit); err != nil {
		v.d.core.Memory().Free(r)
		return 0, err
	}
	return a.DA, nil
}

// enter finds addresses for an area, maps it in pages of up to limit bytes and lists it.
func (v *IOVM) enter(t *cpu.Thread, p Place, a *Area, limit int) error {
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	if !v.d.attached {
		return v.d.detached()
	}
	for _, r := range a.Runs {
		a.Bytes += r.Bytes
	}
	var err error
	if a.DA = p.DA; p.Fixed {
		err = v.d.space.AllocAt(p.DA, uint64(a.Bytes))
	} else {
		a.DA, err = v.d.space.Alloc(uint64(a.Bytes), v.d.alignment(a.Runs, limit))
	}
	if err != nil {
		return fmt.Errorf("%s: %v: %w", v.d.device, a.Kind, err)
	}
	if err := v.d.enter(t, a.DA, a.Runs, limit); err != nil {
		return errors.Join(err, v.d.space.Free(a.DA))
	}
	a.epoch = v.d.epoch
	i, _ := v.search(a.DA)
	v.areas = slices.Insert(v.areas, i, a)
	return nil
}

// release undoes the call that made an area. One whose domain has been detached since has no translations left.
func (v *IOVM) release(t *cpu.Thread, k AreaKind, da bus.IOVA) error {
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	i, ok := v.search(da)
	if !ok {
		return fmt.Errorf("%s: no %v area starts at %v", v.d.device, k, da)
	}
	a := v.areas[i]
	if a.Kind != k {
		return fmt.Errorf("%s: the area at %v was made by %v, not by %v", v.d.device, da, a.Kind, k)
	}
	v.areas = slices.Delete(v.areas, i, i+1)
	if a.epoch == v.d.epoch {
		if err := errors.Join(v.d.remove(t, da), v.d.space.Free(da)); err != nil {
			return err
		}
	}
	if a.Region != nil {
		v.d.core.Memory().Free(a.Region)
	}
	return nil
}
