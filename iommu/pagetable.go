package iommu

import (
	"fmt"
	"slices"

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
}

// PageTable is a driver's handle on the tables of one address space. It knows nothing of TLBs: flushing them is the driver's task. All state but the list of
// spare tables is in simulated memory.
type PageTable struct {
	l     *layout
	root  bus.Phys
	spare []bus.Phys // second-level tables that became empty
}

// NewPageTable allocates, zeroes and cleans a first-level table: 4096 stores (OMAP) or 1024 (SGX).
func NewPageTable(format Format, w TableWriter) (*PageTable, error) {
	l, err := format.layout()
	if err != nil {
		return nil, fmt.Errorf("iommu: new page table: %w", err)
	}
	t := &PageTable{l: l}
	if t.root, err = t.newTable(w, l.rootBytes); err != nil {
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

// Map enters a page of size bytes, which must be one of the format's, both addresses aligned to it. Any valid descriptor in the way is an error, and then nothing is changed.
// The new descriptors are cleaned. Cost: a load, a store per descriptor (16 for an OMAP page of 64 KiB or 16 MiB) and a clean; the first page of a second-level table
// also allocates, zeroes and cleans the table.
func (t *PageTable) Map(w TableWriter, va bus.IOVA, pa bus.Phys, size int) error {
	if err := t.check(va, size); err != nil {
		return fmt.Errorf("iommu: map %v: %w", va, err)
	}
	if uint64(pa)&uint64(size-1) != 0 || uint64(pa)>>32 != 0 {
		return fmt.Errorf("iommu: map %v: %v is not a 32-bit address aligned to %d bytes", va, pa, size)
	}
	desc, level, copies := t.l.encode(pa, size)
	entry := t.l.rootEntry(t.root, uint64(va))
	if level == 2 {
		what, base, _ := t.l.decode(1, w.Load(entry))
		switch what {
		case translated:
			return fmt.Errorf("iommu: map %v: a larger page is mapped there", va)
		case invalid:
			var err error
			if base, err = t.newTable(w, t.l.tableBytes); err != nil {
				return fmt.Errorf("iommu: map %v: allocating a second-level table: %w", va, err)
			}
			w.Store(entry, t.l.pointer(base))
			w.Clean(entry, wordBytes)
		}
		entry = t.l.tableEntry(base, uint64(va))
	}
	for i := range copies {
		if old := w.Load(entry + bus.Phys(i*wordBytes)); old != 0 {
			return fmt.Errorf("iommu: map %v: %d bytes overlap a mapping (descriptor %#x)", va, size, old)
		}
	}
	fill(w, entry, desc, copies)
	return nil
}

// Unmap removes the page of size bytes that was mapped at va; another size, or nothing there, is an error, and then nothing is changed. The zeroed descriptors are cleaned. As in
// omap-iommu.c, an OMAP second-level table is then searched for valid descriptors (up to 256 loads) and, when there are none, taken out of the first
// level; the SGX keeps its page tables. The TLB may still hold the page: flush it.
func (t *PageTable) Unmap(w TableWriter, va bus.IOVA, size int) error {
	if err := t.check(va, size); err != nil {
		return fmt.Errorf("iommu: unmap %v: %w", va, err)
	}
	m, ok := t.find(w, va)
	if !ok {
		return fmt.Errorf("iommu: unmap %v: nothing is mapped there", va)
	}
	if m.size != size {
		return fmt.Errorf("iommu: unmap %v: the page has %d bytes, not %d", va, m.size, size)
	}
	_, _, copies := t.l.encode(0, size)
	fill(w, m.entry, 0, copies)
	if m.level == 2 && t.l.format == OMAP {
		t.release(w, va, m.table)
	}
	return nil
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
	return m.base + bus.Phys(uint64(va)&uint64(m.size-1)), m.size, true
}

// mapping is a page found in the tables.
type mapping struct {
	base  bus.Phys // physical address of the page
	size  int
	level int
	entry bus.Phys // the descriptor for the address looked up
	table bus.Phys // its second-level table, at level 2
}

func (t *PageTable) find(w TableWriter, va bus.IOVA) (mapping, bool) {
	m := mapping{level: 1, entry: t.l.rootEntry(t.root, uint64(va))}
	what, base, size := t.l.decode(1, w.Load(m.entry))
	if what == table {
		m.level, m.table = 2, base
		m.entry = t.l.tableEntry(base, uint64(va))
		what, base, size = t.l.decode(2, w.Load(m.entry))
	}
	m.base, m.size = base, size
	return m, what == translated
}

// release takes the second-level table out of the first level when it holds no descriptor.
func (t *PageTable) release(w TableWriter, va bus.IOVA, second bus.Phys) {
	for off := 0; off < t.l.tableBytes; off += wordBytes {
		if w.Load(second+bus.Phys(off)) != 0 {
			return
		}
	}
	fill(w, t.l.rootEntry(t.root, uint64(va)), 0, 1)
	t.spare = append(t.spare, second)
}

// newTable returns a zeroed and cleaned table, for the second level a spare one if there is any.
func (t *PageTable) newTable(w TableWriter, bytes int) (bus.Phys, error) {
	var base bus.Phys
	if n := len(t.spare); n > 0 && bytes == t.l.tableBytes {
		base, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		var err error
		if base, err = w.AllocTable(bytes, bytes); err != nil {
			return 0, err
		}
		if uint64(base)&uint64(bytes-1) != 0 || uint64(base)>>32 != 0 {
			return 0, fmt.Errorf("the table at %v is not at a 32-bit address aligned to %d bytes", base, bytes)
		}
	}
	fill(w, base, 0, bytes/wordBytes)
	return base, nil
}

// check reports a size that the format does not have and an address that is not aligned to it or outside the address space.
func (t *PageTable) check(va bus.IOVA, size int) error {
	switch {
	case !slices.Contains(t.l.sizes, size):
		return fmt.Errorf("no page of %d bytes in the %s format", size, t.l.format)
	case uint64(va)&uint64(size-1) != 0:
		return fmt.Errorf("not aligned to the page of %d bytes", size)
	case !t.l.inRange(uint64(va)):
		return fmt.Errorf("outside the %d-bit address space", t.l.vaBits)
	}
	return nil
}

// fill stores n equal words and cleans them.
func fill(w TableWriter, at bus.Phys, v uint32, n int) {
	for i := range n {
		w.Store(at+bus.Phys(i*wordBytes), v)
	}
	w.Clean(at, n*wordBytes)
}
