package dmaapi

import (
	"errors"
	"fmt"

	"socsim/cachemodel"
	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// Domain is the driver of one IOMMU: it keeps a device's page tables and address space. Its work costs CPU time: each descriptor is stored and its line cleaned, and on the OMAP MMU the whole
// TLB is scanned over slow registers for every page mapped (3 reads and 1 write an entry; drivers/iommu/omap-iommu.c, flush_iotlb_page).
type Domain struct {
	device  string
	core    *cpu.Core
	mmu     *iommu.MMU
	entries int
	format  iommu.Format
	table   *iommu.PageTable
	space   *iommu.Space
	mapTime sim.Time
	maps    map[bus.Addr]*memory.Region
}

// DomainConfig describes a domain.
type DomainConfig struct {
	Device  string
	MMU     *iommu.MMU
	Entries int // of the TLB
	Format  iommu.Format
	Base    bus.IOVA // of the address space handed out
	Size    uint64
}

// NewDomain allocates the first-level table and attaches the MMU to it, on behalf of t.
func NewDomain(t *cpu.Thread, c DomainConfig) (*Domain, error) {
	d := &Domain{
		device: c.Device, core: t.Core(), mmu: c.MMU, entries: c.Entries, format: c.Format, space: iommu.NewSpace(c.Base, c.Size, iommu.FirstFit),
		maps: map[bus.Addr]*memory.Region{},
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	var err error
	if d.table, err = iommu.NewPageTable(c.Format, &tableWriter{t, d}); err != nil {
		return nil, fmt.Errorf("page table of %s: %w", c.Device, err)
	}
	t.Settle()
	d.mmu.Attach(d.table.Root())
	return d, nil
}

// MapTime returns the CPU time spent in Map since the last reset.
func (d *Domain) MapTime() sim.Time { return d.mapTime }

// ResetMapTime zeroes MapTime.
func (d *Domain) ResetMapTime() { d.mapTime = 0 }

// Map enters the region and returns its IO virtual address. Each physically contiguous run gets the largest pages that fit.
func (d *Domain) Map(t *cpu.Thread, r *memory.Region) (bus.Addr, error) {
	start := t.Now()
	defer func() { d.mapTime += t.Now() - start }()
	runs := r.Runs()
	align := max(iommu.LargestPage(d.format, 0, runs[0].Addr, runs[0].Bytes), memory.PageBytes)
	size := (uint64(r.Bytes) + memory.PageBytes - 1) &^ (memory.PageBytes - 1)
	va, err := d.space.Alloc(size, uint64(align))
	if err != nil {
		return 0, err
	}
	w := &tableWriter{t, d}
	at := va
	for _, run := range runs {
		pa := run.Addr
		left := (run.Bytes + memory.PageBytes - 1) &^ (memory.PageBytes - 1)
		for left > 0 {
			page := iommu.LargestPage(d.format, at, pa, left)
			d.flushEntry(t, at)
			if err := d.table.Map(w, at, pa, page); err != nil {
				return 0, errors.Join(err, d.clear(t, va, at), d.space.Free(va)) // as iommu_map_sg does, all or nothing
			}
			at += bus.IOVA(page)
			pa += bus.Phys(page)
			left -= page
		}
	}
	t.Settle()
	d.maps[bus.Addr(va)] = r
	return bus.Addr(va), nil
}

// Unmap removes what Map entered at addr.
func (d *Domain) Unmap(t *cpu.Thread, addr bus.Addr) error {
	r, ok := d.maps[addr]
	if !ok {
		return fmt.Errorf("%s: nothing is mapped at %v", d.device, addr)
	}
	end := bus.IOVA(addr) + bus.IOVA((r.Bytes+memory.PageBytes-1)&^(memory.PageBytes-1))
	if err := d.clear(t, bus.IOVA(addr), end); err != nil {
		return err
	}
	t.Settle()
	delete(d.maps, addr)
	return d.space.Free(bus.IOVA(addr))
}

// clear removes the pages from at to end.
func (d *Domain) clear(t *cpu.Thread, at, end bus.IOVA) error {
	w := &tableWriter{t, d}
	for at < end {
		_, page, ok := d.table.Lookup(w, at)
		if !ok {
			return fmt.Errorf("%s: hole at %v", d.device, at)
		}
		if err := d.table.Unmap(w, at, page); err != nil {
			return err
		}
		d.flushEntry(t, at)
		at += bus.IOVA(page)
	}
	return nil
}

func (d *Domain) flushEntry(t *cpu.Thread, va bus.IOVA) {
	t.Settle()
	d.mmu.Flush(va)
	if d.format == iommu.OMAP {
		t.MMIO(3*d.entries, d.entries)
	} else {
		t.MMIO(0, 1)
	}
}

// tableWriter stores descriptors as the driver does: through the caches, then clean.
type tableWriter struct {
	t *cpu.Thread
	d *Domain
}

func (w *tableWriter) access(pa bus.Phys, write bool) {
	mem := w.d.core.Memory()
	r, off := mem.Owner(pa)
	w.t.Access(w.d.core.KernelMap(r), int(off), 4, cpu.Touch{Write: write, Width: 4})
}

func (w *tableWriter) Load(pa bus.Phys) uint32 {
	w.access(pa, false)
	return w.d.core.Memory().CurrentWord(pa)
}

func (w *tableWriter) Store(pa bus.Phys, v uint32) {
	w.d.core.Memory().StoreWord(pa, v)
	w.access(pa, true)
}

func (w *tableWriter) Now() sim.Time { return w.t.Now() }

func (w *tableWriter) Clean(pa bus.Phys, n int) {
	w.t.MaintainRange(cpu.Pass{Op: cachemodel.Clean}, []memory.Run{{Addr: pa, Bytes: n}})
}

func (w *tableWriter) AllocTable(bytes, align int) (bus.Phys, error) {
	mem := w.d.core.Memory()
	r, err := mem.AllocContiguous("page table of "+w.d.device, int64(bytes), int64(align))
	if err != nil {
		return 0, err
	}
	mem.MarkTable(r)
	return r.Frames[0], nil
}
