package dmaapi

import (
	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/cpu"
)

// FaultStats is what a domain's interrupt handler did since the last reset.
type FaultStats struct {
	Handled   uint64 // faults after which the device went on
	Unhandled uint64 // faults after which the MMU was halted
	Loaded    uint64 // TLB entries loaded by the handler
	Deferred  uint64 // interrupts that had to wait for the domain's lock
	// Resume is from the fault to the device going on, of those handled: in sum and the longest.
	Resume, ResumeMax sim.Time
}

// faultLine is the interrupt line of the MMU: an event at the time of the fault raises the interrupt.
type faultLine struct {
	d *Domain
	h sim.HandlerID
}

// Handle raises the interrupt.
func (l *faultLine) Handle(sim.Time, uint64) { l.d.irq.Raise() }

// connect installs the interrupt handler.
func (d *Domain) connect() {
	eng := d.core.Engine()
	d.line.d = d
	d.line.h = eng.Register(&d.line)
	d.irq = d.core.SpawnIRQ(d.device+" mmu irq", d.service)
	d.mmu.OnFault = func(f iommu.FaultRecord) { eng.Schedule(max(f.Time, eng.Now()), d.line.h, 0) }
}

// service is the interrupt handler: omap_fault_handler. It reads MMU_IRQSTATUS and MMU_FAULT_AD. If the translation is there, or is made, the fault is acknowledged by a write of IRQSTATUS, and what was stalled
// is tried again; if not, IRQENABLE is written to mask the interrupts, and what was stalled stays so: the stream has stopped.
//
// The kernel acknowledges before it asks the handler; here after, so that the device does not fault again meanwhile. While a thread changes the tables the interrupt waits, as under a lock that masks it.
func (d *Domain) service(t *cpu.Thread) {
	if d.busy {
		d.faults.Deferred++
		d.deferred = true
		return
	}
	w := d.begin(t)
	defer func() { w.end(&d.served) }()
	w.mmio(1, 0)
	t.Settle()
	bits, va := d.mmu.Status()
	if bits == 0 {
		return
	}
	f, _ := d.mmu.LastFault()
	w.mmio(1, 0)
	handled := bits == iommu.TLBMiss.Bit() && w.loadMissing(va)
	if !handled && d.OnFault != nil {
		handled = d.OnFault(t, f)
	}
	w.mmio(0, 1)
	t.Settle()
	if !handled {
		d.faults.Unhandled++
		d.last = f
		d.mmu.Halt()
		return
	}
	d.faults.Handled++
	waited := max(0, t.Now()-f.Time)
	d.faults.Resume += waited
	d.faults.ResumeMax = max(d.faults.ResumeMax, waited)
	d.mmu.Acknowledge(t.Now())
}

// loadMissing loads the TLB entry for va from the tables, if they have one: MMU_LOCK is read, then the entry loaded at the victim pointer.
func (w *work) loadMissing(va bus.IOVA) bool {
	pa, size, ok := w.d.table.Lookup(w, va)
	if !ok {
		return false
	}
	w.mmio(1, 0)
	w.loadMapped(va&^bus.IOVA(size-1), pa&^bus.Phys(size-1), size)
	w.d.faults.Loaded++
	return true
}

// Unhandled returns the last fault that nobody handled, if there was any: what the driver logs once.
func (d *Domain) Unhandled() (f iommu.FaultRecord, ok bool) {
	return d.last, d.last != iommu.FaultRecord{}
}
