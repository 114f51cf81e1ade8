package dmaapi

import (
	"fmt"

	"socsim/iommu"
	"socsim/sim/bus"
	"socsim/soc/cpu"
)

// invalidation is how a driver keeps the TLB of one kind of MMU in step with the tables. Each hook does its register accesses on behalf of a call; a nil one does nothing.
type invalidation struct {
	// Registers to enable the MMU with an empty TLB, and to disable it.
	attachReads, attachWrites, detachReads, detachWrites int

	store            func(w *work, va bus.IOVA)           // before a page's descriptors are stored
	dropped          func(w *work, va bus.IOVA, size int) // after a page took the place of a table
	clear            func(w *work, va bus.IOVA)           // after a page's descriptors are zeroed
	mapped, unmapped func(w *work)                        // at the end of a call
}

// invalidations are the drivers' ways.
//
// OMAP, drivers/iommu/omap-iommu.c of about v4.11: at attach MMU_REVISION is read, TTB and IRQENABLE written, CNTL read and written, then LOCK and GFLUSH written; at detach LOCK, GFLUSH, and CNTL read and written.
// flush_iotlb_page for each page, before it is mapped and after it is unmapped.
//
// SGX, PVR services mmu.c: one write of the cache control (page tables and directory are invalidated together) for each call, however many pages; another for the directory's base at attach.
//
// SMMU, drivers/iommu/arm-smmu.c with io-pgtable-arm.c of about v4.11: nothing at map, since invalid descriptors are not cached, unless a block takes the place of a table: then a TLBIVA for each 4 KiB of it. At unmap a
// TLBIVAL for each page. After either TLBSYNC is written and its status read. At attach TTBR0, TCR and MAIR in halves, SCTLR, and the flush of the context with its sync. The counts at attach and detach are recalled.
var invalidations = map[iommu.Format]invalidation{
	iommu.OMAP: {attachReads: 2, attachWrites: 5, detachReads: 1, detachWrites: 3, store: (*work).flushPage, clear: (*work).flushPage},
	iommu.SGX:  {attachWrites: 2, detachWrites: 1, mapped: (*work).flushContext, unmapped: (*work).flushContext},
	iommu.SMMU: {attachReads: 1, attachWrites: 9, detachReads: 1, detachWrites: 3, dropped: (*work).invalidateTable, clear: (*work).invalidateLeaf},
}

// flushPage drops the TLB entry that covers va, if any: flush_iotlb_page. The driver reads the entries one by one until it finds it. The entry is dropped when the last register is written.
func (w *work) flushPage(va bus.IOVA) {
	w.t.Settle()
	looked, ok := w.d.mmu.Find(va)
	w.scan(looked)
	if ok {
		w.mmio(0, loadWrites+1) // FLUSH_ENTRY again
		w.t.Settle()
		w.d.mmu.Flush(va)
	}
}

// loadWrites is the registers written to load an entry: CAM, RAM, FLUSH_ENTRY and LD_TLB (iotlb_load_cr).
const loadWrites = 4

// scan reads the first n TLB entries: for each MMU_LOCK is read, and written with its number as the victim; then CAM and RAM are read. The victim pointer stays at the last.
func (w *work) scan(n int) {
	for range n {
		w.mmio(1, 1)
		w.mmio(2, 0)
	}
	w.t.Settle()
	w.point(n - 1)
}

func (w *work) point(victim int) {
	if err := w.d.mmu.SetVictim(victim); err != nil {
		panic(err) // it was looked at
	}
}

// flushContext drops the whole TLB.
func (w *work) flushContext() {
	w.mmio(0, 1)
	w.t.Settle()
	w.d.mmu.FlushAll()
}

// invalidateLeaf drops the TLB entry of a page whose descriptor was zeroed.
func (w *work) invalidateLeaf(va bus.IOVA) {
	w.mmio(0, 2)
	w.mmio(1, 0)
	w.t.Settle()
	w.d.mmu.FlushLeaf(va)
}

// invalidateTable drops what leads over the table whose place a page of size bytes at va took.
func (w *work) invalidateTable(va bus.IOVA, size int) {
	w.mmio(0, size/iommu.PageBytes+1)
	w.mmio(1, 0)
	w.t.Settle()
	w.d.mmu.Flush(va)
}

// preload loads a page that has been mapped into an empty TLB entry, if there is one: load_iotlb_entry. MMU_LOCK is read, the entries are scanned, LOCK is read again, the entry is loaded and LOCK
// written with the next victim.
func (w *work) preload(va bus.IOVA, pa bus.Phys, page int) {
	w.mmio(1, 0)
	w.t.Settle()
	looked, ok := w.d.mmu.FindEmpty()
	w.scan(looked)
	if ok {
		w.mmio(1, 0)
		w.loadMapped(va, pa, page)
	}
}

// LoadTLB loads a translation into the TLB that need not be in the tables (load_iotlb_entry's registers, at the victim pointer): a way for OnFault to give the device what it asked for once. The next flush or another
// entry's turn ends it.
func (d *Domain) LoadTLB(t *cpu.Thread, va bus.IOVA, pa bus.Phys, size int) error {
	if d.format != iommu.OMAP {
		return fmt.Errorf("%s: the TLB of the %s format cannot be loaded by software", d.device, d.format)
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	w := d.begin(t)
	defer func() { w.end(&d.loaded) }()
	w.mmio(1, 0)
	return w.load(va, pa, size)
}

// load loads an entry at the victim pointer and moves the pointer on.
func (w *work) load(va bus.IOVA, pa bus.Phys, page int) error {
	w.mmio(0, loadWrites+1)
	w.t.Settle()
	if err := w.d.mmu.Load(va, pa, page, false); err != nil {
		return fmt.Errorf("%s: %w", w.d.device, err)
	}
	base, victim := w.d.mmu.Locked()
	if victim++; victim == w.d.entries {
		victim = base
	}
	w.point(victim)
	return nil
}

// loadMapped loads a page of the tables.
func (w *work) loadMapped(va bus.IOVA, pa bus.Phys, page int) {
	if err := w.load(va, pa, page); err != nil {
		panic(err) // it is one
	}
}
