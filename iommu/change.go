package iommu

import (
	"socsim/sim"
	"socsim/sim/bus"
)

// An Observer is told of every change of a [PageTable], when the CPU has stored the descriptors and before it cleans them.
type Observer interface{ TableChanged(c Change) }

// Change is a change of a page table.
type Change struct {
	Time sim.Time // of the CPU that stored
	Kind ChangeKind
	Root bus.Phys // of the tables
	VA   bus.IOVA
	PA   bus.Phys // of the page entered, or in the place of the old one
	Size int
}

// ChangeKind is a way in which a page table changes.
type ChangeKind uint8

const (
	// PageEntered is a page where there was none.
	PageEntered ChangeKind = iota
	// PageRemoved is a page taken out.
	PageRemoved
	// PageReplaced is a page that now lies elsewhere.
	PageReplaced
	// TableRemoved is a table without a page taken out; VA and Size are of the addresses that it covered.
	TableRemoved
)

// tell completes a change and tells it.
func (t *PageTable) tell(w TableWriter, c Change) {
	if len(t.observers) == 0 {
		return
	}
	c.Time, c.Root = w.Now(), t.root
	for _, o := range t.observers {
		o.TableChanged(c)
	}
}
