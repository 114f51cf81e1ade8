package dmaapi

import (
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/memory"
)

// fault is the [iommu.TableWriter] of a fault in memory: words change where they are, in no time and past the caches.
type fault struct {
	mem *memory.Memory
	now sim.Time
}

func (f fault) Load(pa bus.Phys) uint32 { return f.mem.CurrentWord(pa) }

func (f fault) Store(pa bus.Phys, v uint32) { f.mem.CorruptWord(pa, v) }

// Clean has nothing to write back.
func (f fault) Clean(bus.Phys, int) {}

// AllocTable is not called: a fault makes no tables.
func (f fault) AllocTable(int, int) (bus.Phys, error) { panic("dmaapi: a fault that allocates") }

func (f fault) Now() sim.Time { return f.now }

// Translates tells whether the tables have a page at va, as the CPU sees them.
func (d *Domain) Translates(va bus.IOVA) bool {
	_, _, ok := d.table.Lookup(fault{d.core.Memory(), d.core.Engine().Now()}, va)
	return ok
}

// Poison takes the translation of the page at va out of the tables in memory and out of the TLB, behind the driver's back and in no time, as a fault in memory or a stray write does. The next access that is
// translated there faults; a burst translated before goes on. ok is false if nothing is mapped there, or if a thread is changing the tables just now. It is called from events. What the driver
// believes does not change: Unmap passes over the hole, and Populate fills it.
func (d *Domain) Poison(va bus.IOVA) (page bus.IOVA, size int, ok bool) {
	if !d.attached || d.busy {
		return 0, 0, false
	}
	if page, size, ok = d.table.Poison(fault{d.core.Memory(), d.core.Engine().Now()}, va); !ok {
		return 0, 0, false
	}
	if d.poisoned == nil {
		d.poisoned = map[bus.IOVA]int{}
	}
	d.poisoned[page] = size
	d.mmu.DropPage(d.table.Root(), page, size)
	return page, size, true
}
