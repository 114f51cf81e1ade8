package cpu

import (
	"fmt"

	"socsim/cachemodel"
	"socsim/sim/bus"
	"socsim/soc/memory"
)

// Attr is the memory type of a CPU mapping.
type Attr string

// The attributes. StronglyOrdered is device or strongly ordered memory: nothing gathers, and each store waits until memory has it. Uncached is Normal non-cacheable bufferable memory, as dma_alloc_coherent returns it on ARMv7: loads go to the bus one by one, stores gather in the write-combining
// buffer. WriteCombine is the same memory type on this core; the two differ in name so that a strategy can say what it means.
const (
	Cached          Attr = "cached"
	WriteCombine    Attr = "write-combined"
	Uncached        Attr = "uncached"
	StronglyOrdered Attr = "strongly-ordered"
	WriteThrough    Attr = "write-through"
	NoMapping       Attr = "none"
)

// Values lists the valid attributes.
func (Attr) Values() []string {
	return []string{string(Cached), string(WriteCombine), string(Uncached), string(StronglyOrdered), string(WriteThrough), string(NoMapping)}
}

// Mapping is a range of CPU virtual addresses backed by a region of physical memory, with one attribute.
type Mapping struct {
	Name    string
	VA      bus.Virt
	Attr    Attr
	Region  *memory.Region
	Bytes   int
	Private bool // no device ever touches the region: its accesses skip the version checks
	// pageShift is 12 for user mappings and 20 for the kernel's linear map, whose sections take one TLB entry a megabyte.
	pageShift uint
	tables    *memory.Region
	touched   bool
	present   []bool // pages that are mapped; nil for all
	fault     Fault
}

// A Fault handles the first touch of a page of a tracked mapping, on the thread that touched it; the fault itself has been paid for.
type Fault func(t *Thread, page int, write bool)

// Touched tells whether the mapping was ever used.
func (m *Mapping) Touched() bool { return m.touched }

// Map creates a user mapping of the whole region, in 4 KiB pages. The page table entries live in memory of their own and are read by the core's table walker through the caches.
func (c *Core) Map(name string, r *memory.Region, a Attr) (*Mapping, error) {
	if a == NoMapping {
		return nil, fmt.Errorf("mapping %s: attribute %q maps nothing", name, a)
	}
	tables, err := c.mem.AllocScattered("page tables of "+name, int64(len(r.Frames))*4)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", name, err)
	}
	c.nextVA = (c.nextVA + shmlba - 1) &^ (shmlba - 1)
	m := &Mapping{Name: name, VA: c.nextVA + bus.Virt(r.Start), Attr: a, Region: r, Bytes: int(r.Bytes), pageShift: 12, tables: tables}
	c.nextVA += bus.Virt(len(r.Frames)+1) * memory.PageBytes
	c.mappings = append(c.mappings, m)
	return m, nil
}

// MapTracked is Map without a page: each becomes present by a fault at its first touch.
func (c *Core) MapTracked(name string, r *memory.Region, a Attr, f Fault) (*Mapping, error) {
	m, err := c.Map(name, r, a)
	if err != nil {
		return nil, err
	}
	m.present, m.fault = make([]bool, len(r.Frames)), f
	return m, nil
}

// Zap takes the pages of a tracked mapping away: an entry of its tables is cleared for each that is present, and the TLB is flushed.
func (t *Thread) Zap(m *Mapping) {
	c := t.core
	old := t.Enter(Driver)
	any := false
	for page, there := range m.present {
		if there {
			any = true
			m.present[page] = false
			c.sync()
			c.chargeCycles(CauseDriver, int64(c.cfg.AccessCycles))
			c.write(linearMap(m.tables.Addr(page*4)), 4, 4, true)
		}
	}
	if any {
		t.Barrier()
		c.tlb.flush()
	}
	t.Leave(old)
}

// touch takes the fault of a page that is not present.
func (t *Thread) touch(m *Mapping, page int, write bool) {
	t.PageFaults(1)
	m.present[page] = true
	c := t.core
	c.write(linearMap(m.tables.Addr(page*4)), 4, 4, true)
	m.fault(t, page, write)
}

// Unmap removes the mapping.
func (c *Core) Unmap(m *Mapping) {
	c.mem.Free(m.tables)
	c.tlb.flush()
	for i, x := range c.mappings {
		if x == m {
			c.mappings = append(c.mappings[:i], c.mappings[i+1:]...)
			return
		}
	}
}

// KernelMap returns the kernel's view of the region through its linear map, which exists anyway: sections of 1 MiB, cached.
func (c *Core) KernelMap(r *memory.Region) *Mapping {
	return &Mapping{Name: "linear map", Attr: Cached, Region: r, Bytes: int(r.Bytes), pageShift: 20}
}

// shmlba is the alignment of user mappings, as ARM Linux has it, so that all user mappings of a buffer agree in colour (SHMLBA, 4 pages).
const shmlba = 4 * memory.PageBytes

// linear is the bit that tells virtual addresses of the kernel's linear map from those of user mappings. The rest is the physical address: the two have the same colour.
const linear = 1 << 40

// linearMap is where the kernel sees physical memory.
func linearMap(pa bus.Phys) cachemodel.Address {
	return cachemodel.Address{Virtual: linear | uint64(pa), Physical: uint64(pa)}
}

// at returns the addresses of the byte at off.
func (m *Mapping) at(off int) cachemodel.Address {
	pa := m.Region.Addr(off)
	if m.VA == 0 {
		return linearMap(pa)
	}
	return cachemodel.Address{Virtual: uint64(m.VA) + uint64(off), Physical: uint64(pa)}
}

// tlb is the data TLB: fully associative, round robin.
type tlb struct {
	pages  []uint64 // page number << 6 | page shift, 0 for none
	victim int
	last   uint64
}

func (t *tlb) init(entries int) { t.pages = make([]uint64, entries) }

func (t *tlb) flush() {
	clear(t.pages)
	t.last = 0
}

// lookup tells whether the page is present and installs it if not.
func (t *tlb) lookup(page uint64) bool {
	if page == t.last {
		return true
	}
	t.last = page
	for _, p := range t.pages {
		if p == page {
			return true
		}
	}
	t.pages[t.victim] = page
	t.victim++
	if t.victim == len(t.pages) {
		t.victim = 0
	}
	return false
}

// translate charges the TLB miss, if any, of an access at off of the mapping, and takes the fault of a page that is not present.
func (t *Thread) translate(m *Mapping, off int, write bool) {
	c := t.core
	var page uint64
	if m.pageShift == 12 {
		page = (uint64(m.VA)+uint64(off))>>12<<6 | 12
	} else {
		page = uint64(m.Region.Addr(off))>>20<<6 | 20
	}
	if c.tlb.lookup(page) {
		return
	}
	c.stats.TLBMisses++
	c.chargeCycles(CauseWalk, int64(c.cfg.TLBMissCycles))
	if m.tables != nil {
		i := (off + m.Region.Start) / memory.PageBytes
		c.load(linearMap(m.tables.Addr(i*4)), 4)
		c.completeFills() // the walk waits for its descriptor
		if m.present != nil && !m.present[i] {
			t.touch(m, i, write)
		}
	}
}
