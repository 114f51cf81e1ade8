package iommu

import (
	"fmt"
	"slices"

	"socsim/sim"
	"socsim/sim/bus"
)

// TableWriter is how a driver reaches its tables: CPU loads and stores through the CPU's caches, cleans of lines to the point of coherency, and memory for tables.
type TableWriter interface {
	// Load returns what the CPU sees at pa.
	Load(pa bus.Phys) uint32
	// Store stores through the CPU's caches.
	Store(pa bus.Phys, v uint32)
	// Clean writes the lines of [pa, pa+n) back, so that the walker sees them.
	Clean(pa bus.Phys, n int)
	// AllocTable returns physically contiguous memory for a table. Its contents are not assumed to be zero.
	AllocTable(bytes, align int) (bus.Phys, error)
	// Now is the CPU's time: observers are told when a store happened.
	Now() sim.Time
}

// PageTable is a driver's handle on the tables of one address space. It knows nothing of TLBs: flushing them is the driver's task. All state but the list of
// spare tables is in simulated memory.
type PageTable struct {
	l         *layout
	root      bus.Phys
	spare     []bus.Phys // tables below the first level that became empty
	observers []Observer
}

// NewPageTable allocates, zeroes and cleans a first-level table: 4096 stores (OMAP) or 1024 (SGX, SMMU).
func NewPageTable(format Format, w TableWriter) (*PageTable, error) {
	l, err := format.layout()
	if err != nil {
		return nil, fmt.Errorf("iommu: new page table: %w", err)
	}
	t := &PageTable{l: l}
	if t.root, err = t.newTable(w, l.levels[0].bytes); err != nil {
		return nil, fmt.Errorf("iommu: allocating the first-level table: %w", err)
	}
	return t, nil
}

// Root returns the address of the first-level table, which [MMU.Attach] takes.
func (t *PageTable) Root() bus.Phys { return t.root }

// Format returns the format of the tables.
func (t *PageTable) Format() Format { return t.l.format }

// PageSizes returns the page sizes in bytes, ascending.
func (t *PageTable) PageSizes() []int { return slices.Clone(t.l.sizes) }

// Observe has o told of every change from now on. An [MMU] that walks these tables is an observer.
func (t *PageTable) Observe(o Observer) { t.observers = append(t.observers, o) }

// Map enters a page of size bytes, which must be one of the format's, both addresses aligned to it. Any valid descriptor in the way is an error, and then nothing is changed; but an SMMU block takes the
// place of tables that hold no page, as in io-pgtable-arm.c. The new descriptors are cleaned. Cost: a load a level, a store per word of a descriptor (16 descriptors for an OMAP page of 64 KiB or
// 16 MiB and an SMMU page of 64 KiB) and a clean; the first page of a table also allocates, zeroes and cleans the table.
func (t *PageTable) Map(w TableWriter, va bus.IOVA, pa bus.Phys, size int) error {
	if err := t.check(va, pa, size); err != nil {
		return fmt.Errorf("iommu: map %v: %w", va, err)
	}
	desc, level, copies, step := t.l.encode(pa, size)
	base, err := t.descend(w, uint64(va), level)
	if err != nil {
		return fmt.Errorf("iommu: map %v: %w", va, err)
	}
	entry := t.l.entry(level, base, uint64(va))
	for i := range copies {
		old := t.load(w, entry+bus.Phys(i*t.l.word))
		if old == 0 {
			continue
		}
		what, below, _ := t.l.decode(level, old)
		if what != table || !t.empty(w, level+1, below) {
			return fmt.Errorf("iommu: map %v: %d bytes overlap a mapping (descriptor %#x)", va, size, old)
		}
		t.drop(w, va, level, entry, below)
	}
	t.enter(w, entry, desc, step, copies)
	t.tell(w, Change{Kind: PageEntered, VA: va, PA: pa, Size: size})
	w.Clean(entry, copies*t.l.word)
	return nil
}

// Replace points the page of size bytes that is mapped at va elsewhere, in place, as a driver does that moves a page under a device it has stopped. Another size, or nothing
// there, is an error, and then nothing is changed. The TLB may still hold the old page: flush it.
func (t *PageTable) Replace(w TableWriter, va bus.IOVA, pa bus.Phys, size int) error {
	if err := t.check(va, pa, size); err != nil {
		return fmt.Errorf("iommu: replace %v: %w", va, err)
	}
	m, err := t.page(w, va, size)
	if err != nil {
		return fmt.Errorf("iommu: replace %v: %w", va, err)
	}
	desc, _, copies, step := t.l.encode(pa, size)
	t.enter(w, m.entry, desc, step, copies)
	t.tell(w, Change{Kind: PageReplaced, VA: va, PA: pa, Size: size})
	w.Clean(m.entry, copies*t.l.word)
	return nil
}

// Unmap removes the page of size bytes that was mapped at va; another size, or nothing there, is an error, and then nothing is changed. The zeroed descriptors are cleaned. As in
// omap-iommu.c, an OMAP second-level table is then searched for valid descriptors (up to 256 loads) and, when there are none, taken out of the first
// level; the SGX and the SMMU keep theirs. The TLB may still hold the page: flush it.
func (t *PageTable) Unmap(w TableWriter, va bus.IOVA, size int) error {
	if err := t.check(va, 0, size); err != nil {
		return fmt.Errorf("iommu: unmap %v: %w", va, err)
	}
	m, err := t.page(w, va, size)
	if err != nil {
		return fmt.Errorf("iommu: unmap %v: %w", va, err)
	}
	_, _, copies, _ := t.l.encode(0, size)
	t.zero(w, m.entry, copies)
	t.tell(w, Change{Kind: PageRemoved, VA: va, Size: size})
	w.Clean(m.entry, copies*t.l.word)
	if t.l.frees && m.level == len(t.l.levels) && t.empty(w, m.level, m.table) {
		t.drop(w, va, m.level-1, t.l.entry(m.level-1, t.root, uint64(va)), m.table)
	}
	return nil
}

// Poison zeroes the descriptors of the page that translates va, whatever its size, by w, and returns where the page begins and its size; ok is false if there is none. It leaves the tables above it alone: it is
// what a fault in memory does, not a driver. The TLB may still hold the page.
func (t *PageTable) Poison(w TableWriter, va bus.IOVA) (page bus.IOVA, size int, ok bool) {
	m, ok := t.find(w, va)
	if !ok {
		return 0, 0, false
	}
	page = va &^ bus.IOVA(m.size-1)
	m, _ = t.find(w, page) // the first of its descriptors
	_, _, copies, _ := t.l.encode(0, m.size)
	t.zero(w, m.entry, copies)
	t.tell(w, Change{Kind: PageRemoved, VA: page, Size: m.size})
	w.Clean(m.entry, copies*t.l.word)
	return page, m.size, true
}

// Lookup translates va as the CPU sees the tables. size is that of the page.
func (t *PageTable) Lookup(w TableWriter, va bus.IOVA) (pa bus.Phys, size int, ok bool) {
	if !t.l.inRange(uint64(va)) {
		return 0, 0, false
	}
	m, ok := t.find(w, va)
	if !ok {
		return 0, 0, false
	}
	return m.at(uint64(va)), m.size, true
}

func (t *PageTable) find(w TableWriter, va bus.IOVA) (mapping, bool) {
	return t.l.find(t.root, uint64(va), func(pa bus.Phys) uint64 { return t.load(w, pa) })
}

// page finds the page of size bytes at va.
func (t *PageTable) page(w TableWriter, va bus.IOVA, size int) (mapping, error) {
	m, ok := t.find(w, va)
	if !ok {
		return m, fmt.Errorf("nothing is mapped there")
	}
	if m.size != size {
		return m, fmt.Errorf("the page has %d bytes, not %d", m.size, size)
	}
	return m, nil
}

// descend returns the table of a level for va, and makes the tables down to it that are missing.
func (t *PageTable) descend(w TableWriter, va uint64, level int) (bus.Phys, error) {
	base := t.root
	for at := 1; at < level; at++ {
		entry := t.l.entry(at, base, va)
		what, next, _ := t.l.decode(at, t.load(w, entry))
		switch what {
		case translated:
			return 0, fmt.Errorf("a larger page is mapped there")
		case invalid:
			var err error
			if next, err = t.newTable(w, t.l.levels[at].bytes); err != nil {
				return 0, fmt.Errorf("allocating a %s-level table: %w", [...]string{"second", "third"}[at-1], err)
			}
			t.enter(w, entry, t.l.pointer(next), 0, 1)
			w.Clean(entry, t.l.word)
		}
		base = next
	}
	return base, nil
}

// empty tells whether the table of a level, and what hangs below it, holds no page. Descriptors other than those of tables count as pages.
func (t *PageTable) empty(w TableWriter, level int, base bus.Phys) bool {
	for off := 0; off < t.l.levels[level-1].bytes; off += t.l.word {
		d := t.load(w, base+bus.Phys(off))
		if d == 0 {
			continue
		}
		if what, below, _ := t.l.decode(level, d); what != table || !t.empty(w, level+1, below) {
			return false
		}
	}
	return true
}

// drop takes the table below, to which the descriptor of a level at entry points, and what hangs below it out of the tables. It must hold no page.
func (t *PageTable) drop(w TableWriter, va bus.IOVA, level int, entry, below bus.Phys) {
	t.zero(w, entry, 1)
	span := t.l.span(level)
	t.tell(w, Change{Kind: TableRemoved, VA: va &^ bus.IOVA(span-1), Size: int(span)})
	w.Clean(entry, t.l.word)
	t.spares(w, level+1, below)
}

// spares adds a table and those below it to the spare ones.
func (t *PageTable) spares(w TableWriter, level int, base bus.Phys) {
	t.spare = append(t.spare, base)
	if level == len(t.l.levels) {
		return
	}
	for off := 0; off < t.l.levels[level-1].bytes; off += t.l.word {
		if what, below, _ := t.l.decode(level, t.load(w, base+bus.Phys(off))); what == table {
			t.spares(w, level+1, below)
		}
	}
}

// newTable returns a zeroed and cleaned table, below the first level a spare one if there is any.
func (t *PageTable) newTable(w TableWriter, bytes int) (bus.Phys, error) {
	var base bus.Phys
	if n := len(t.spare); n > 0 && bytes == t.l.levels[len(t.l.levels)-1].bytes {
		base, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		var err error
		if base, err = w.AllocTable(bytes, bytes); err != nil {
			return 0, err
		}
		if uint64(base)&uint64(bytes-1) != 0 || uint64(base)>>t.l.paBits != 0 {
			return 0, fmt.Errorf("the table at %v is not at a %d-bit address aligned to %d bytes", base, t.l.paBits, bytes)
		}
	}
	t.zero(w, base, bytes/t.l.word)
	w.Clean(base, bytes)
	return base, nil
}

// check reports a size that the format does not have and addresses that are not aligned to it or out of range.
func (t *PageTable) check(va bus.IOVA, pa bus.Phys, size int) error {
	switch {
	case !slices.Contains(t.l.sizes, size):
		return fmt.Errorf("no page of %d bytes in the %s format", size, t.l.format)
	case uint64(va)&uint64(size-1) != 0:
		return fmt.Errorf("not aligned to the page of %d bytes", size)
	case !t.l.inRange(uint64(va)):
		return fmt.Errorf("outside the %d-bit address space", t.l.vaBits)
	case uint64(pa)&uint64(size-1) != 0 || uint64(pa)>>t.l.paBits != 0:
		return fmt.Errorf("%v is not a %d-bit address aligned to %d bytes", pa, t.l.paBits, size)
	}
	return nil
}

// load returns a descriptor as the CPU sees it.
func (t *PageTable) load(w TableWriter, at bus.Phys) uint64 {
	d := uint64(w.Load(at))
	if t.l.word == 2*wordBytes {
		d |= uint64(w.Load(at+wordBytes)) << 32
	}
	return d
}

// enter stores n descriptors side by side, each step more than the one before. The word with the valid bit is stored last, so that a walker never finds half a descriptor valid.
func (t *PageTable) enter(w TableWriter, at bus.Phys, desc, step uint64, n int) {
	for range n {
		if t.l.word == 2*wordBytes {
			w.Store(at+wordBytes, uint32(desc>>32))
		}
		w.Store(at, uint32(desc))
		at += bus.Phys(t.l.word)
		desc += step
	}
}

// zero stores n zero descriptors side by side, of each the word with the valid bit first.
func (t *PageTable) zero(w TableWriter, at bus.Phys, n int) {
	for i := range n * t.l.word / wordBytes {
		w.Store(at+bus.Phys(i*wordBytes), 0)
	}
}
