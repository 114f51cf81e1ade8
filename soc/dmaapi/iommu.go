package dmaapi

import (
	"errors"
	"fmt"

	"socsim/iommu"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// Domain is the driver of one IOMMU: it keeps a device's page tables and address space, flushes its TLB and serves its faults. For the OMAP MMU it is drivers/iommu/omap-iommu.c of about v4.11: for each
// page mapped the TLB is scanned over slow registers for an entry that covers the address, the descriptor is stored and its line cleaned; for each page unmapped the descriptor is zeroed and cleaned, an empty
// second-level table freed, and the TLB scanned. A domain has one device.
//
// All work costs the calling thread's time. Map and Unmap may be called by several threads: each page is under the domain's lock (the driver's page_table_lock).
//
// Left out: the instructions between the accesses, runtime power management, and the slab of second-level tables. What the drivers do not do, [iommu.PageTable] does: it loads each descriptor before it stores it, to find what is in the way.
type Domain struct {
	device   string
	core     *cpu.Core
	mmu      *iommu.MMU
	entries  int
	format   iommu.Format
	driver   IOMMUDriver
	tlb      invalidation
	table    *iommu.PageTable
	space    *iommu.Space
	base     bus.IOVA
	size     uint64
	maps     map[bus.IOVA]int  // start and bytes of what is mapped
	mine     map[bus.IOVA]bool // of it, what Map entered
	demands  []*demand
	poisoned map[bus.IOVA]int // pages whose translation Poison took, with their sizes
	sizes    []int
	pages    []uint64 // mapped since the last reset, by the index of sizes

	// OnFault, if not nil, is asked by the interrupt handler about a fault that it cannot handle itself, and returns whether the access has a translation now, so that the device can go on. It runs on the
	// handler's thread and may call Map, LoadTLB and an IOVM's methods.
	OnFault func(t *cpu.Thread, f iommu.FaultRecord) bool

	attached bool
	epoch    int  // how often it has been detached
	busy     bool // a thread is changing the tables
	waiters  cpu.WaitQueue
	deferred bool // a fault waits for the tables
	dropped  bool // the page being mapped took the place of a table

	irq    *cpu.Thread
	line   faultLine
	faults FaultStats
	last   iommu.FaultRecord // that was not handled

	mapped, unmapped, served, loaded Cost
}

// DomainConfig describes a domain.
type DomainConfig struct {
	Device  string
	MMU     *iommu.MMU
	Entries int // of the TLB
	Format  iommu.Format
	Base    bus.IOVA // of the address space handed out
	Size    uint64
	// Driver is how the driver works; nil for the defaults.
	Driver *IOMMUDriver
	// Another makes a further address space of an MMU that has one: the device switches between them itself, and faults go to the first one's driver.
	Another bool
}

// NewDomain allocates the first-level table and attaches the MMU to it, on behalf of t.
func NewDomain(t *cpu.Thread, c DomainConfig) (*Domain, error) {
	var driver IOMMUDriver
	driver.SetDefaults()
	if c.Driver != nil {
		driver = *c.Driver
	}
	if err := driver.validateFor(c.Format); err != nil {
		return nil, fmt.Errorf("domain of %s: %w", c.Device, err)
	}
	if c.MMU.Enabled() && !c.Another {
		return nil, fmt.Errorf("domain of %s: its MMU is attached to another", c.Device)
	}
	d := &Domain{
		device: c.Device, core: t.Core(), mmu: c.MMU, entries: c.Entries, format: c.Format, driver: driver, base: c.Base, size: c.Size,
		tlb: invalidations[c.Format],
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	w := d.begin(t)
	var err error
	if d.table, err = iommu.NewPageTable(c.Format, w); err != nil {
		return nil, fmt.Errorf("page table of %s: %w", c.Device, err)
	}
	d.sizes = d.table.PageSizes()
	d.pages = make([]uint64, len(d.sizes))
	d.table.Observe(c.MMU)
	d.table.Observe(d)
	if c.Another {
		d.open()
		return d, nil
	}
	d.connect()
	d.attach(w)
	return d, nil
}

// attach gives the tables to the MMU and flushes its TLB.
func (d *Domain) attach(w *work) {
	d.open()
	w.mmio(d.tlb.attachReads, d.tlb.attachWrites)
	w.t.Settle()
	d.mmu.SetTableWalk(d.driver.Walk == HardwareWalk)
	d.mmu.Attach(d.table.Root())
}

// open makes the address space usable, and empty.
func (d *Domain) open() {
	d.space = iommu.NewSpace(d.base, d.size, d.driver.Allocation)
	d.maps, d.mine, d.demands, d.poisoned = map[bus.IOVA]int{}, map[bus.IOVA]bool{}, nil, nil
	d.attached = true
}

// Root returns the address of the first-level table.
func (d *Domain) Root() bus.Phys { return d.table.Root() }

// Attach enables the MMU again after Detach.
func (d *Domain) Attach(t *cpu.Thread) error {
	if d.attached || d.mmu.Enabled() {
		return fmt.Errorf("%s: attached already", d.device)
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	d.attach(d.begin(t))
	return nil
}

// Detach clears the tables, flushes the TLB and disables the MMU. What was mapped is gone, its addresses are free.
func (d *Domain) Detach(t *cpu.Thread) error {
	if !d.attached {
		return d.detached()
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	w := d.begin(t)
	d.lock(t)
	defer d.unlock(w.t)
	d.table.Clear(w)
	w.mmio(d.tlb.detachReads, d.tlb.detachWrites)
	t.Settle()
	d.mmu.Detach()
	d.attached = false
	d.epoch++
	d.maps, d.mine, d.demands = nil, nil, nil
	return nil
}

func (d *Domain) detached() error { return fmt.Errorf("%s: its domain is detached", d.device) }

// Device names the device.
func (d *Domain) Device() string { return d.device }

// Map enters the region and returns its IO virtual address. Each physically contiguous run gets the largest pages that fit and the driver uses.
func (d *Domain) Map(t *cpu.Thread, r *memory.Region) (bus.Addr, error) {
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	if !d.attached {
		return 0, d.detached()
	}
	runs := r.Runs()
	limit := int(d.driver.LargestPage)
	va, err := d.space.Alloc(uint64(r.Bytes), d.alignment(runs, limit))
	if err != nil {
		return 0, err
	}
	if err := d.enter(t, va, runs, limit); err != nil {
		return 0, errors.Join(err, d.space.Free(va))
	}
	d.mine[va] = true
	return bus.Addr(va), nil
}

// Unmap removes what Map entered at addr.
func (d *Domain) Unmap(t *cpu.Thread, addr bus.Addr) error {
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	va := bus.IOVA(addr)
	if found, err := d.release(t, va); found {
		return err
	}
	if !d.mine[va] {
		return fmt.Errorf("%s: nothing is mapped at %v", d.device, addr)
	}
	delete(d.mine, va) // at once: another thread may not unmap it again
	if err := d.remove(t, va); err != nil {
		return err
	}
	return d.space.Free(va)
}

// alignment returns the largest page up to limit that the runs can use if the IO virtual address they start at is aligned to it.
func (d *Domain) alignment(runs []memory.Run, limit int) uint64 {
	for i := len(d.sizes) - 1; i > 0; i-- {
		size := d.sizes[i]
		if size > limit {
			continue
		}
		off := 0
		for _, r := range runs {
			pa, n := int(r.Addr), pagesOf(r.Bytes)
			if (off-pa)%size == 0 && (pa+size-1)&^(size-1)+size <= pa+n {
				return uint64(size)
			}
			off += n
		}
	}
	return memory.PageBytes
}

// pagesOf rounds up to whole pages.
func pagesOf(n int) int { return (n + memory.PageBytes - 1) &^ (memory.PageBytes - 1) }

// enter maps the runs from va on, in pages of up to limit bytes, all of them or none, as iommu_map_sg does.
func (d *Domain) enter(t *cpu.Thread, va bus.IOVA, runs []memory.Run, limit int) error {
	w := d.begin(t)
	defer func() { w.end(&d.mapped) }()
	at := va
	for _, run := range runs {
		pa := run.Addr
		for left := pagesOf(run.Bytes); left > 0; {
			page := iommu.LargestPage(d.format, at, pa, min(left, limit))
			if err := d.enterPage(w, at, pa, page); err != nil {
				return errors.Join(err, d.clear(w, va, at))
			}
			at += bus.IOVA(page)
			pa += bus.Phys(page)
			left -= page
		}
	}
	if d.driver.Flush && d.tlb.mapped != nil {
		d.tlb.mapped(w)
	}
	t.Settle()
	d.maps[va] = int(at - va)
	return nil
}

// enterPage maps one page: omap_iopgtable_store_entry.
func (d *Domain) enterPage(w *work, va bus.IOVA, pa bus.Phys, page int) error {
	d.lock(w.t)
	defer d.unlock(w.t)
	if d.driver.Flush && d.tlb.store != nil {
		d.tlb.store(w, va)
	}
	d.dropped = false
	if err := d.table.Map(w, va, pa, page); err != nil {
		return err
	}
	if d.driver.Flush && d.dropped && d.tlb.dropped != nil {
		d.tlb.dropped(w, va, page)
	}
	if d.driver.Preload {
		w.preload(va, pa, page)
	}
	w.cost.Pages++
	for i, size := range d.sizes {
		if size == page {
			d.pages[i]++
		}
	}
	return nil
}

// remove unmaps what was entered at va.
func (d *Domain) remove(t *cpu.Thread, va bus.IOVA) error {
	bytes, ok := d.maps[va]
	if !ok {
		return fmt.Errorf("%s: nothing is mapped at %v", d.device, va)
	}
	w := d.begin(t)
	defer func() { w.end(&d.unmapped) }()
	if err := d.clear(w, va, va+bus.IOVA(bytes)); err != nil {
		return err
	}
	t.Settle()
	delete(d.maps, va)
	return nil
}

// clear removes the pages from at to end.
func (d *Domain) clear(w *work, at, end bus.IOVA) error {
	w.clearing = d.format == iommu.OMAP
	for at < end {
		page, err := d.clearPage(w, at)
		if err != nil {
			return err
		}
		at += bus.IOVA(page)
	}
	if d.driver.Flush && d.tlb.unmapped != nil {
		d.tlb.unmapped(w)
	}
	return nil
}

// clearPage removes the page at va: iopgtable_clear_entry. It returns the size of the page.
func (d *Domain) clearPage(w *work, va bus.IOVA) (int, error) {
	d.lock(w.t)
	defer d.unlock(w.t)
	_, page, ok := d.table.Lookup(w, va)
	if size, poisoned := d.poisoned[va]; !ok && poisoned { // iommu_unmap finds nothing there, and warns
		delete(d.poisoned, va)
		return size, nil
	}
	if !ok {
		return 0, fmt.Errorf("%s: hole at %v", d.device, va)
	}
	if err := d.table.Unmap(w, va, page); err != nil {
		return 0, err
	}
	if d.driver.Flush && d.tlb.clear != nil {
		d.tlb.clear(w, va)
	}
	w.cost.Pages++
	return page, nil
}

// TableChanged notes that a table went, for the driver's own flush.
func (d *Domain) TableChanged(c iommu.Change) { d.dropped = d.dropped || c.Kind == iommu.TableRemoved }

// lock waits until no other thread changes the tables.
func (d *Domain) lock(t *cpu.Thread) {
	for d.busy {
		t.Settle()
		if d.busy {
			d.waiters.Wait(t)
		}
	}
	d.busy = true
}

// unlock lets the next thread have the tables, and a fault that waited for them.
func (d *Domain) unlock(t *cpu.Thread) {
	d.busy = false
	d.waiters.WakeAll()
	if d.deferred {
		d.deferred = false
		d.irq.Raise()
		t.Settle() // it is taken here, before the thread has the tables again
	}
}
