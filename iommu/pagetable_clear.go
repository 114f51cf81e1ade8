package iommu

import "socsim/sim/bus"

// Clear takes everything out of the first level, each descriptor stored and cleaned by itself, and leaves the tables below as they are (omap-iommu.c, iopgtable_clear_entry_all). The TLB may still hold
// the pages: flush it. Cost: a load for each word of the first level, and a store and a clean for each descriptor that is one.
func (t *PageTable) Clear(w TableWriter) {
	span := t.l.span(1)
	for i := range t.l.levels[0].bytes / t.l.word {
		at := t.root + bus.Phys(i*t.l.word)
		desc := t.load(w, at)
		if desc == 0 {
			continue
		}
		t.zero(w, at, 1)
		gone := Change{Kind: PageRemoved, VA: bus.IOVA(uint64(i) * span), Size: int(span)}
		t.tell(w, gone)
		what, below, _ := t.l.decode(1, desc)
		if what == table {
			gone.Kind = TableRemoved
			t.tell(w, gone)
		}
		w.Clean(at, t.l.word)
		if what == table {
			t.spares(w, 2, below)
		}
	}
}
