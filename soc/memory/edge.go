package memory

import (
	"fmt"
	"slices"
	"sort"

	"socsim/sim"
	"socsim/sim/bus"
)

// An edge line is one that two owners share, because a part of a region ([Memory.Part]) begins or ends in it. What it holds is known to the byte: its stamps, in memory and in the cached copies, name
// vectors of a stamp for each byte. A vector never changes; a store makes a new one from the copy's, a device's write from memory's, a write-back puts the copy's in the place of memory's. So caches
// carry one opaque stamp a line as ever, and a violation is a comparison of the bytes concerned.
//
// Edge lines take a map look-up and an allocation for each write; other lines take neither. A line stays an edge line when its owners are gone. Vectors that no copy carries any more are forgotten
// from time to time.
type edge struct {
	vectors map[Stamp]*vector
	next    int // vectors more than which are pruned
}

// vector is the stamp of each byte of a line. A byte of a gathered store that was not stored to has the stamp absent.
type vector [64]Stamp

const (
	// named is in the master's place of a stamp that names a vector.
	named = masterMask
	// absent: the byte is not part of the data.
	absent = Stamp(named)
	// pruneAt is how many vectors an edge line has before it is looked which are still in use.
	pruneAt = 256
	// recent is how many of the newest are kept unseen: a stamp may be on its way into a cache.
	recent = 64
)

// A Holder knows the stamps that copies of a line carry outside of memory: in caches and buffers.
type Holder interface {
	Held(line bus.Phys, visit func(Stamp))
}

// SetHolder attaches who holds copies.
func (m *Memory) SetHolder(h Holder) { m.holder = h }

// Part makes a region of its own of n bytes of another from off on, which may begin and end anywhere in a line. What is left of those lines belongs to the region around it, or to other parts. The
// region must outlive its parts.
func (m *Memory) Part(of *Region, name string, off, n int) (*Region, error) {
	if off < 0 || n <= 0 || int64(off)+int64(n) > of.Bytes {
		return nil, fmt.Errorf("making %s of bytes %d to %d of %s: it has %d", name, off, off+n, of.Name, of.Bytes)
	}
	start := of.Start + off
	first, last := start/PageBytes, (start+n-1)/PageBytes
	i := sort.Search(len(of.parts), func(i int) bool { return of.parts[i].offset >= off })
	if i < len(of.parts) && of.parts[i].offset < off+n || i > 0 && of.parts[i-1].offset+int(of.parts[i-1].Bytes) > off {
		return nil, fmt.Errorf("making %s of bytes %d to %d of %s: another part has some of them", name, off, off+n, of.Name)
	}
	r := &Region{
		ID: int32(len(m.frames.regions)), Name: name, Frames: of.Frames[first : last+1], Start: start % PageBytes, Bytes: int64(n), whole: of, offset: off,
	}
	m.frames.regions = append(m.frames.regions, r)
	of.parts = slices.Insert(of.parts, i, r)
	size := bus.Phys(m.cfg.LineBytes)
	for _, pa := range []bus.Phys{r.Addr(0), r.Addr(n-1) + 1} {
		if pa%size != 0 {
			m.markEdge((pa - m.cfg.Base) >> m.shift)
		}
	}
	return r, nil
}

// part returns the innermost part of a region that a byte of it belongs to.
func (r *Region) part(off int64) (*Region, int64) {
	for len(r.parts) > 0 {
		i := sort.Search(len(r.parts), func(i int) bool { return int64(r.parts[i].offset) > off }) - 1
		if i < 0 || off >= int64(r.parts[i].offset)+r.parts[i].Bytes {
			break
		}
		off -= int64(r.parts[i].offset)
		r = r.parts[i]
	}
	return r, off
}

func (m *Memory) markEdge(i bus.Phys) {
	if m.edges == nil {
		m.edges = map[bus.Phys]*edge{}
	}
	if m.edges[i] == nil {
		m.edges[i] = &edge{vectors: map[Stamp]*vector{}, next: pruneAt}
	}
}

// edge returns the edge line number i, or nil if it is an ordinary one.
func (m *Memory) edge(i bus.Phys) *edge {
	if m.edges == nil {
		return nil
	}
	return m.edges[i]
}

// IsEdge tells whether the line at pa is an edge line.
func (m *Memory) IsEdge(pa bus.Phys) bool {
	return m.edges != nil && m.edges[(pa-m.cfg.Base)>>m.shift] != nil
}

// bytes returns the vector that a stamp names. One that names none is that of a write of the whole line, from before the line was an edge.
func (e *edge) bytes(s Stamp) vector {
	if v := e.vectors[s]; v != nil {
		return *v
	}
	if s&masterMask == named {
		panic(fmt.Sprintf("memory: stamp %#x names a vector that was forgotten", uint64(s)))
	}
	var v vector
	for i := range v {
		v[i] = s
	}
	return v
}

// byteOf returns one byte of the vector that a stamp names.
func (e *edge) byteOf(s Stamp, b bus.Phys) Stamp {
	if v := e.vectors[s]; v != nil {
		return v[b]
	}
	return s
}

// name makes a stamp for a vector.
func (m *Memory) name(i bus.Phys, e *edge, v vector) Stamp {
	if len(e.vectors) >= e.next {
		m.prune(i, e)
	}
	m.names++
	s := Stamp(m.names<<timeShift) | named
	e.vectors[s] = &v
	return s
}

// prune forgets the vectors of a line that nobody carries.
func (m *Memory) prune(i bus.Phys, e *edge) {
	e.next = len(e.vectors) + pruneAt
	if m.holder == nil {
		return // anybody may hold anything
	}
	live := map[Stamp]bool{m.cells[i].inMemory: true, m.cells[i].newest: true}
	m.holder.Held(m.cfg.Base+i<<m.shift, func(s Stamp) { live[s] = true })
	for s := range e.vectors {
		if !live[s] && uint64(s>>timeShift)+recent < m.names {
			delete(e.vectors, s)
		}
	}
	e.next = len(e.vectors) + pruneAt
}

// span is the part of a line that n bytes at pa touch.
func (m *Memory) span(i, pa bus.Phys, n int) (from, to int) {
	line := m.cfg.Base + i<<m.shift
	return max(0, int(int64(pa)-int64(line))), min(m.cfg.LineBytes, int(int64(pa)+int64(n)-int64(line)))
}

// with returns a vector with some bytes changed.
func (v vector) with(from, to int, s Stamp) vector {
	for b := from; b < to; b++ {
		v[b] = s
	}
	return v
}

// edgeDeviceWrite is DeviceWrite of the bytes of an edge line.
func (m *Memory) edgeDeviceWrite(i bus.Phys, e *edge, pa bus.Phys, n int, s Stamp) {
	from, to := m.span(i, pa, n)
	c := m.cells[i]
	newest := m.name(i, e, e.bytes(c.newest).with(from, to, s))
	inMemory := newest
	if c.inMemory != c.newest {
		inMemory = m.name(i, e, e.bytes(c.inMemory).with(from, to, s))
	}
	m.cells[i] = cell{inMemory, newest}
}

// edgeDeviceRead is DeviceRead of the bytes of an edge line.
func (m *Memory) edgeDeviceRead(i bus.Phys, e *edge, pa bus.Phys, n int, v Violation) {
	from, to := m.span(i, pa, n)
	v.Kind = StaleDeviceRead
	m.compare(i, e.bytes(m.cells[i].newest), e.bytes(m.cells[i].inMemory), from, to, v)
}

// compare reports each run of bytes that are held differently from the newest, one report for each write that is missed.
func (m *Memory) compare(i bus.Phys, newest, held vector, from, to int, v Violation) (clean bool) {
	clean = true
	v.Addr = m.cfg.Base + i<<m.shift
	for b := from; b < to; b++ {
		if held[b] == absent || held[b] == newest[b] {
			continue
		}
		clean = false
		v.First, v.Newest, v.Held = b, newest[b], held[b]
		for v.Bytes = 1; b+1 < to && newest[b+1] == v.Newest && held[b+1] == v.Held; b++ {
			v.Bytes++
		}
		m.report(v)
	}
	return clean
}

// EdgeStore records that a CPU stored n bytes at pa, in an edge line, at once into a copy with stamp held, and returns the stamp that the copy has then.
func (m *Memory) EdgeStore(pa bus.Phys, n int, held, s Stamp) Stamp {
	i := (pa - m.cfg.Base) >> m.shift
	e := m.edges[i]
	from, to := m.span(i, pa, n)
	c := &m.cells[i]
	same := held == c.newest
	copied := m.name(i, e, e.bytes(held).with(from, to, s))
	if same {
		c.newest = copied
	} else {
		c.newest = m.name(i, e, e.bytes(c.newest).with(from, to, s))
	}
	return copied
}

// EdgeGather records that a CPU stored n bytes at pa, in an edge line, which go past the caches, and returns the stamp of those bytes alone.
func (m *Memory) EdgeGather(pa bus.Phys, n int, s Stamp) Stamp {
	i := (pa - m.cfg.Base) >> m.shift
	e := m.edges[i]
	from, to := m.span(i, pa, n)
	var v vector
	v = v.with(0, len(v), absent).with(from, to, s)
	c := &m.cells[i]
	c.newest = m.name(i, e, e.bytes(c.newest).with(from, to, s))
	return m.name(i, e, v)
}

// edgeWriteBack is WriteBack of n bytes at pa of an edge line: those bytes of the copy, and no others, reach memory.
func (m *Memory) edgeWriteBack(i bus.Phys, e *edge, pa bus.Phys, n int, s Stamp, master bus.Master, now sim.Time) {
	from, to := m.span(i, pa, n)
	c := &m.cells[i]
	newest, held, data := e.bytes(c.newest), e.bytes(c.inMemory), e.bytes(s)
	lost := held // what of memory is newest and is overwritten by something older
	for b := from; b < to; b++ {
		if data[b] == absent {
			data[b] = held[b]
		}
		if held[b] != newest[b] {
			lost[b] = data[b]
		}
	}
	if !m.coherent && !m.compare(i, lost, data, from, to, Violation{Kind: LostDeviceData, Actor: master, At: now}) {
		for b := from; b < to; b++ {
			if lost[b] != data[b] {
				newest[b] = data[b] // nobody holds the lost data any more
			}
		}
	}
	copy(held[from:to], data[from:to])
	*c = cell{m.name(i, e, held), m.name(i, e, newest)}
	if held == newest {
		c.newest = c.inMemory
	}
}

// edgeDrop is CPUDrop of an edge line.
func (m *Memory) edgeDrop(i bus.Phys, e *edge, s Stamp, master bus.Master, now sim.Time) {
	c := &m.cells[i]
	newest, held, data := e.bytes(c.newest), e.bytes(c.inMemory), e.bytes(s)
	lost, kept := held, held
	for b := range data {
		if data[b] == newest[b] && data[b] != held[b] {
			lost[b] = data[b]
			newest[b] = held[b] // nobody holds the lost data any more
		}
	}
	if m.compare(i, lost, kept, 0, m.cfg.LineBytes, Violation{Kind: LostCPUData, Actor: master, At: now}) {
		return
	}
	c.newest = m.name(i, e, newest)
}

// Byte returns the newest write of the byte at pa, and the one that memory holds.
func (m *Memory) Byte(pa bus.Phys) (newest, inMemory Stamp) {
	i := (pa - m.cfg.Base) >> m.shift
	c := m.cells[i]
	e := m.edge(i)
	if e == nil {
		return c.newest, c.inMemory
	}
	b := pa & bus.Phys(m.cfg.LineBytes-1)
	return e.byteOf(c.newest, b), e.byteOf(c.inMemory, b)
}

// ByteOf returns the write that a copy with stamp s holds of the byte at pa.
func (m *Memory) ByteOf(pa bus.Phys, s Stamp) Stamp {
	if e := m.edge((pa - m.cfg.Base) >> m.shift); e != nil {
		return e.byteOf(s, pa&bus.Phys(m.cfg.LineBytes-1))
	}
	return s
}
