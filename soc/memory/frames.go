package memory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"

	"socsim/sim"
	"socsim/sim/bus"
)

// ErrNoMemory is returned when no frame, or no run of frames, is free.
var ErrNoMemory = errors.New("out of memory")

// A Region is what a set of frames was allocated for. Blame goes by it.
type Region struct {
	ID   int32
	Name string // for example "preview#2"
	// Frames are the physical addresses of its pages, in the order of the region's own offsets.
	Frames []bus.Phys
	// Start is where in the first page it begins; 0 but for a part of another region.
	Start int
	Bytes int64
	// Cleared is when it was last zeroed: what was written until then is nobody's data, and may be dropped.
	Cleared sim.Time
	whole   *Region   // that it is a part of
	offset  int       // in that
	parts   []*Region // of it, by offset
}

// A Run is a physically contiguous part of a region: one scatter-gather entry.
type Run struct {
	Addr  bus.Phys
	Bytes int
}

// Runs returns the physically contiguous runs that make up the region's bytes, in order.
func (r *Region) Runs() []Run { return r.RunsOf(0, int(r.Bytes)) }

// RunsOf returns the runs that make up n bytes from offset off.
func (r *Region) RunsOf(off, n int) []Run {
	var runs []Run
	for n > 0 {
		pa := r.Addr(off)
		part := min(PageBytes-(r.Start+off)%PageBytes, n)
		if k := len(runs) - 1; k >= 0 && runs[k].Addr+bus.Phys(runs[k].Bytes) == pa {
			runs[k].Bytes += part
		} else {
			runs = append(runs, Run{pa, part})
		}
		off += part
		n -= part
	}
	return runs
}

// Addr returns the physical address of the byte at off.
func (r *Region) Addr(off int) bus.Phys {
	off += r.Start
	return r.Frames[off/PageBytes] + bus.Phys(off%PageBytes)
}

// Contiguous tells whether the region is one run.
func (r *Region) Contiguous() bool {
	for i := 1; i < len(r.Frames); i++ {
		if r.Frames[i] != r.Frames[i-1]+PageBytes {
			return false
		}
	}
	return true
}

type frameTable struct {
	base    bus.Phys
	used    []bool
	owner   []int32 // region of each frame, -1 for none
	page    []int32 // the frame's page number within its region
	isTable []bool
	free    int    // outside the reserved area
	pool    int    // frames outside the reserved area
	next    uint32 // where a scattered allocation goes on
	rng     *rand.Rand
	frag    int64
	colours uint32
	refused uint64 // frames that were free but of the wrong colour
	regions []*Region
	inUse   []uint32 // frames, in no order
	place   []uint32 // of each used frame in inUse
}

func newFrameTable(cfg Config) frameTable {
	n := int(cfg.Size / PageBytes)
	t := frameTable{
		base:    cfg.Base,
		used:    make([]bool, n),
		owner:   make([]int32, n),
		page:    make([]int32, n),
		isTable: make([]bool, n),
		place:   make([]uint32, n),
		free:    n - pages(cfg.Reserved),
		pool:    n - pages(cfg.Reserved),
		rng:     sim.Stream(cfg.Seed, "memory.frames"),
		frag:    cfg.Fragmentation,
		colours: uint32(max(1, cfg.Colours)),
	}
	for i := range t.owner {
		t.owner[i] = -1
	}
	return t
}

// AllocContiguous allocates physically contiguous frames for bytes, aligned to align bytes (a power of two, at least a page). First fit, from the top of memory
// downwards, where the reserved area is; O(frames).
func (m *Memory) AllocContiguous(name string, bytes int64, align int64) (*Region, error) {
	t := &m.frames
	n := pages(bytes)
	step := max(uint32(max(align, PageBytes)/PageBytes), t.colours)
	if n == 0 || n > len(t.used) {
		return nil, fmt.Errorf("allocating %d contiguous bytes for %s: %w", bytes, name, ErrNoMemory)
	}
	first := (uint32(len(t.used)-n) / step) * step
	for {
		run := 0
		for run < n && !t.used[int(first)+run] {
			run++
		}
		if run == n {
			break
		}
		if first < step {
			return nil, fmt.Errorf("allocating %d contiguous bytes for %s: %w", bytes, name, ErrNoMemory)
		}
		first -= step
	}
	r := t.newRegion(name, bytes)
	for i := range n {
		t.take(r, first+uint32(i))
	}
	return r, nil
}

// maxContiguousAlign is the largest alignment of the kernel's contiguous allocator: 2^8 pages (CONFIG_CMA_ALIGNMENT, recalled).
const maxContiguousAlign = 1 << 20

// ContiguousAlign returns how the kernel's contiguous allocator aligns an allocation: to its size, rounded up to a power of two, and to no more than a megabyte (dma_alloc_from_contiguous).
func ContiguousAlign(bytes int64) int64 {
	align := int64(PageBytes)
	for align < bytes && align < maxContiguousAlign {
		align *= 2
	}
	return align
}

// AllocScattered allocates frames for bytes wherever they are free outside the reserved area: each follows its neighbour, or lies anywhere with the chance of Config.Fragmentation; a frame of the
// wrong colour is refused. O(pages x colours), amortised.
func (m *Memory) AllocScattered(name string, bytes int64) (*Region, error) {
	t := &m.frames
	n := pages(bytes)
	if n == 0 || n > t.free {
		return nil, fmt.Errorf("allocating %d bytes for %s: %w", bytes, name, ErrNoMemory)
	}
	r := t.newRegion(name, bytes)
	for i := range n {
		if t.rng.Int64N(1_000_000) < t.frag {
			t.next = uint32(t.rng.IntN(t.pool))
		}
		if !t.seek(uint32(i) & (t.colours - 1)) {
			m.Free(r)
			return nil, fmt.Errorf("allocating %d bytes for %s: no frame of colour %d: %w", bytes, name, uint32(i)&(t.colours-1), ErrNoMemory)
		}
		t.take(r, t.next)
		t.next = (t.next + 1) % uint32(t.pool)
	}
	return r, nil
}

// seek moves on to the next free frame of a colour, and reports whether there is one. A frame's colour is that of its physical address.
func (t *frameTable) seek(colour uint32) bool {
	base := uint32(t.base / PageBytes)
	for range t.pool {
		switch {
		case t.used[t.next]:
		case (base+t.next)&(t.colours-1) == colour:
			return true
		default:
			t.refused++
		}
		t.next = (t.next + 1) % uint32(t.pool)
	}
	return false
}

// RefusedFrames returns how many free frames scattered allocations passed by because they were of the wrong colour.
func (m *Memory) RefusedFrames() uint64 { return m.frames.refused }

// Free gives the region's frames back; a part goes back to the region around it.
func (m *Memory) Free(r *Region) {
	if len(r.parts) > 0 {
		panic("memory: region freed before its parts")
	}
	if r.whole != nil {
		i := slices.Index(r.whole.parts, r)
		if i < 0 {
			panic("memory: region freed twice")
		}
		r.whole.parts = slices.Delete(r.whole.parts, i, i+1)
		return
	}
	for _, pa := range r.Frames {
		f := pa2frame(pa - m.cfg.Base)
		if m.frames.owner[f] != r.ID {
			panic("memory: region freed twice")
		}
		m.frames.used[f], m.frames.owner[f], m.frames.isTable[f] = false, -1, false
		m.frames.forget(f)
		delete(m.tables, f)
		if int(f) < m.frames.pool {
			m.frames.free++
		}
	}
}

// forget takes a frame out of those in use: the last one takes its place.
func (t *frameTable) forget(f uint32) {
	last := len(t.inUse) - 1
	moved := t.inUse[last]
	t.inUse[t.place[f]], t.place[moved] = moved, t.place[f]
	t.inUse = t.inUse[:last]
}

// FramesInUse returns how many frames are allocated.
func (m *Memory) FramesInUse() int { return len(m.frames.inUse) }

// FrameInUse returns the i-th allocated frame, in an order of its own that allocating and freeing change.
func (m *Memory) FrameInUse(i int) bus.Phys {
	return m.frames.base + bus.Phys(m.frames.inUse[i])*PageBytes
}

// FreeBytes returns how much memory is free for scattered allocations.
func (m *Memory) FreeBytes() int64 { return int64(m.frames.free) * PageBytes }

// Owner returns the region that the byte at pa belongs to and its offset there, or nil.
func (m *Memory) Owner(pa bus.Phys) (*Region, int64) {
	if !m.Contains(pa) {
		return nil, 0
	}
	f := pa2frame(pa - m.cfg.Base)
	id := m.frames.owner[f]
	if id < 0 {
		return nil, 0
	}
	return m.frames.regions[id].part(int64(m.frames.page[f])*PageBytes + int64(pa%PageBytes))
}

func (t *frameTable) newRegion(name string, bytes int64) *Region {
	r := &Region{ID: int32(len(t.regions)), Name: name, Bytes: bytes}
	t.regions = append(t.regions, r)
	return r
}

func (t *frameTable) take(r *Region, f uint32) {
	t.used[f] = true
	t.place[f] = uint32(len(t.inUse))
	t.inUse = append(t.inUse, f)
	t.owner[f] = r.ID
	t.page[f] = int32(len(r.Frames))
	if int(f) < t.pool {
		t.free--
	}
	r.Frames = append(r.Frames, t.base+bus.Phys(f)*PageBytes)
}

func pages(bytes int64) int { return int((bytes + PageBytes - 1) / PageBytes) }

// table is the contents of a frame that holds page tables: what the CPU last stored, and what has reached memory.
type table struct{ current, memory [PageBytes / 4]uint32 }

// MarkTable gives the region contents, all zero.
func (m *Memory) MarkTable(r *Region) {
	for _, pa := range r.Frames {
		f := pa2frame(pa - m.cfg.Base)
		m.frames.isTable[f] = true
		m.tables[f] = &table{}
	}
}

// StoreWord sets a word of a page table as the CPU sees it. Memory, and with it a table walker, sees it once the line has been written back. The caller does the
// store in the cache as well.
func (m *Memory) StoreWord(pa bus.Phys, v uint32) {
	m.table(pa).current[pa%PageBytes/4] = v
}

// CurrentWord returns a word of a page table as the CPU sees it; 0 from a frame without contents, which is no descriptor in any format.
func (m *Memory) CurrentWord(pa bus.Phys) uint32 {
	if t := m.tables[pa2frame(pa-m.cfg.Base)]; t != nil {
		return t.current[pa%PageBytes/4]
	}
	return 0
}

// LoadWord returns a word of a page table as memory holds it: the table walker's view. A walker that is led astray may ask for any frame: see CurrentWord.
func (m *Memory) LoadWord(pa bus.Phys) uint32 {
	t := m.tables[pa2frame(pa-m.cfg.Base)]
	if t == nil {
		return 0
	}
	if m.coherent {
		return t.current[pa%PageBytes/4]
	}
	return t.memory[pa%PageBytes/4]
}

// CorruptWord sets a word of a page table in memory and as the CPU sees it, without anybody's having stored it: what is left of a fault in the memory or of a stray write.
func (m *Memory) CorruptWord(pa bus.Phys, v uint32) {
	t := m.table(pa)
	t.current[pa%PageBytes/4], t.memory[pa%PageBytes/4] = v, v
}

func (m *Memory) writeBackWords(pa bus.Phys) {
	t := m.table(pa)
	first := int(pa%PageBytes) &^ (m.cfg.LineBytes - 1) / 4
	last := first + m.cfg.LineBytes/4
	copy(t.memory[first:last], t.current[first:last])
}

func (m *Memory) table(pa bus.Phys) *table {
	t := m.tables[pa2frame(pa-m.cfg.Base)]
	if t == nil {
		panic(fmt.Sprintf("memory: %v is not in a page table", pa))
	}
	return t
}

// Regions returns the live regions in the order of their allocation.
func (m *Memory) Regions() []*Region {
	var live []*Region
	for _, r := range m.frames.regions {
		if len(r.Frames) > 0 && m.frames.owner[pa2frame(r.Frames[0]-m.cfg.Base)] == r.ID {
			live = append(live, r)
		}
	}
	sort.Slice(live, func(i, j int) bool { return live[i].ID < live[j].ID })
	return live
}
