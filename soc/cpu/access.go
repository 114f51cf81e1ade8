package cpu

import (
	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/memory"
)

// Touch says how a thread goes over memory.
type Touch struct {
	Write bool
	// Width is the bytes of one load or store.
	Width int
	// Compute is work done per byte on the way.
	Compute units.CyclesPerByte
	// Dependent loads wait for each other: their latency is not hidden.
	Dependent bool
}

// Access goes over n bytes of the mapping from off, line by line in ascending order, through the caches and the live bus.
func (t *Thread) Access(m *Mapping, off, n int, how Touch) {
	c := t.core
	if !m.touched {
		m.touched = true
	}
	for n > 0 {
		part := min(n, c.lines-off%c.lines)
		c.sync()
		c.translate(m, off)
		accesses := int64((part + how.Width - 1) / how.Width)
		c.chargeCycles(accesses*int64(c.cfg.AccessCycles) + how.Compute.Cycles(int64(part)))
		pa := m.Region.Addr(off)
		switch {
		case m.Attr == Cached && !how.Write:
			c.read(pa, m.Private)
			if how.Dependent {
				c.chargeCycles(int64(c.cfg.L1Cycles - c.cfg.AccessCycles))
			}
		case m.Attr == Cached:
			c.write(pa, part, m.Private)
		case m.Attr == WriteThrough && !how.Write:
			c.read(pa, m.Private)
		case m.Attr == WriteThrough:
			c.writeThrough(pa, part)
		case how.Write:
			c.combine(pa, part, memory.StampOf(c.l, c.master))
		default:
			c.readUncached(pa, part, how.Width, accesses)
		}
		off += part
		n -= part
	}
}

// read is one line's worth of loads through the caches.
func (c *Core) read(pa bus.Phys, private bool) {
	if c.load(pa, private) && !private {
		held := memory.Stamp(c.caches.HitVersion())
		if held != c.mem.Newest(pa) {
			c.mem.CPURead(pa, held, c.master, c.l)
		}
	}
}

// load brings the line in and charges the wait. It returns whether the caches had it.
func (c *Core) load(pa bus.Phys, private bool) bool {
	level := c.caches.Read(uint64(pa))
	if level == 0 {
		return true
	}
	c.chargeCycles(int64(c.cfg.L2Cycles))
	c.touched(pa, level)
	if level < c.lowest {
		if len(c.caches.Traffic()) > 0 {
			c.carry()
		}
		return true
	}
	c.carry()
	return false
}

// carry moves the traffic of the last cache operation over the bus: fills are waited for, write-backs and stores are posted.
func (c *Core) carry() {
	// The hierarchy reuses its traffic list, and what is done here does not touch the hierarchy except Filled.
	for _, x := range c.caches.Traffic() {
		switch x.Kind {
		case cachemodel.Fetch:
			c.chargeCycles(int64(c.cfg.MissCycles))
			c.fill(bus.Phys(x.Addr))
		case cachemodel.WriteBack:
			c.post(bus.Phys(x.Addr), c.lines, memory.Stamp(x.Version))
		}
	}
}

// fill reads a line from memory and waits for it.
func (c *Core) fill(pa bus.Phys) {
	pa &^= bus.Phys(c.lines - 1)
	c.drainLine(pa)
	c.stats.Fills++
	c.reader.line = pa
	c.readPort.Issue(c.l, pa, c.lines, bus.Fill)
	c.await(c.readPort)
	c.charge(max(0, c.reader.done-c.l))
	c.caches.Filled(cachemodel.Version(c.reader.stamp))
}

// write is one line's worth of stores to write-back memory.
func (c *Core) write(pa bus.Phys, n int, private bool) {
	stamp := memory.StampOf(c.l, c.master)
	whole := n == c.lines
	if !private && !whole {
		// Storing to a part of a copy that is out of date makes a line that is neither old nor new.
		if level, _, v := c.caches.Probe(uint64(pa)); level < c.lowest {
			held := memory.Stamp(v)
			switch {
			case held != c.mem.Newest(pa) && !c.mem.CPURead(pa, held, c.master, c.l):
				stamp = stamp.WithMerged()
			case held.Merged() && held != c.mem.InMemory(pa):
				stamp = stamp.WithMerged() // an earlier store did that, and the copy has not been written back since
			}
		}
	}
	level := c.caches.Write(uint64(pa), cachemodel.Version(stamp), whole)
	if level > 0 {
		c.touched(pa, level)
	}
	c.mem.CPUWrite(pa, stamp)
	if len(c.caches.Traffic()) == 0 {
		return
	}
	c.carry()
	for _, x := range c.caches.Traffic() {
		if x.Kind == cachemodel.Store {
			c.combine(pa, n, stamp)
		}
	}
}

// writeThrough is one line's worth of stores to write-through memory: the cached copy follows, memory gets the data through the write-combining buffer.
func (c *Core) writeThrough(pa bus.Phys, n int) {
	stamp := memory.StampOf(c.l, c.master)
	if level, _, v := c.caches.Probe(uint64(pa)); level < c.lowest {
		if n == c.lines || memory.Stamp(v) == c.mem.Newest(pa) {
			v = cachemodel.Version(stamp) // otherwise the rest of the copy stays out of date
		}
		c.caches.Write(uint64(pa), v, n == c.lines)
		if len(c.caches.Traffic()) > 0 {
			c.carry()
		}
		c.caches.Maintain(cachemodel.Clean, uint64(pa)) // the copy stays, in step with what goes to memory
	}
	c.combine(pa, n, stamp)
}

// readUncached is one line's worth of loads from non-cacheable memory: each access, or as many as may be in flight at once, waits for the bus.
func (c *Core) readUncached(pa bus.Phys, n, width int, accesses int64) {
	line := pa &^ bus.Phys(c.lines-1)
	c.drainLine(line)
	batch := width * c.cfg.NCOutstanding
	for n > 0 {
		part := min(n, batch)
		c.stats.NCReads++
		c.reader.line = line
		c.readPort.Issue(c.l, pa, part, bus.Fill)
		c.await(c.readPort)
		c.charge(max(0, c.reader.done-c.l))
		pa += bus.Phys(part)
		n -= part
	}
	if c.reader.stamp != c.mem.Newest(line) {
		c.mem.CPURead(line, c.reader.stamp, c.master, c.l)
	}
}

// await lets the memory path run until the port's transfer is granted; events that are due meanwhile run, but the thread keeps the core.
func (c *Core) await(p *bus.Port) {
	for !c.fabric.Await(p) {
		c.stepTo(c.eng.Next())
	}
}

// fillSource takes the answers of the read port.
type fillSource struct {
	core  *Core
	line  bus.Phys
	done  sim.Time
	stamp memory.Stamp
}

// Granted notes when the data arrives and which write it is.
func (s *fillSource) Granted(_ *bus.Port, done sim.Time) {
	s.done = done
	s.stamp = s.core.mem.InMemory(s.line)
}

// pendingWrite is a line, or a part of one, on its way to memory.
type pendingWrite struct {
	pa    bus.Phys
	n     int
	stamp memory.Stamp
	at    sim.Time
}

// writeSource feeds the write port from a ring of pending writes, in order.
type writeSource struct {
	core *Core
	ring [maxBuffers]pendingWrite
	head int
	n    int
	done sim.Time // completion of the last write granted
}

// Granted moves on to the next pending write.
func (s *writeSource) Granted(_ *bus.Port, done sim.Time) {
	s.done = done
	s.head = (s.head + 1) % maxBuffers
	s.n--
	if s.n > 0 {
		s.issue()
	}
}

func (s *writeSource) issue() {
	w := &s.ring[s.head]
	p := s.core.writePort
	p.Stamp = uint64(w.stamp)
	p.Issue(w.at, w.pa, w.n, bus.WriteBack)
}

// post queues a write; it waits while the eviction buffers are full.
func (c *Core) post(pa bus.Phys, n int, stamp memory.Stamp) {
	s := &c.writer
	for s.n >= c.cfg.EvictionBuffers {
		c.waitGrant()
	}
	c.stats.Posted++
	s.ring[(s.head+s.n)%maxBuffers] = pendingWrite{pa, n, stamp, c.l}
	s.n++
	if s.n == 1 {
		s.issue()
	}
}

// waitGrant waits until the oldest pending write is granted, or local time if that is later.
func (c *Core) waitGrant() {
	n := c.writer.n
	for c.writer.n == n {
		c.await(c.writePort)
	}
	// The buffer is free when memory has taken the data.
	c.charge(max(0, c.writer.done-c.l))
}

// drainPosted waits until all posted writes are in memory.
func (c *Core) drainPosted() {
	for c.writer.n > 0 {
		c.waitGrant()
	}
	c.charge(max(0, c.writer.done-c.l))
}

// drainLine waits for a pending write of the line, so that a read behind it sees it.
func (c *Core) drainLine(line bus.Phys) {
	if i := c.wc.find(line, c.lines); i >= 0 {
		c.flushEntry(i)
	}
	s := &c.writer
	for i := range s.n {
		if s.ring[(s.head+i)%maxBuffers].pa&^bus.Phys(c.lines-1) == line {
			c.drainPosted()
			return
		}
	}
}

// Barrier is a DSB: the write-combining buffer is flushed and all writes are waited for.
func (t *Thread) Barrier() {
	c := t.core
	c.sync()
	c.chargeCycles(int64(c.cfg.Maintenance.Barrier))
	c.drainWrites()
}

func (c *Core) drainWrites() {
	for len(c.wc.open) > 0 {
		c.flushEntry(0)
	}
	c.drainPosted()
}

// writeCombiner gathers stores that do not go to the caches, one open line an entry, oldest first.
type writeCombiner struct {
	open []wcEntry
	size int
}

type wcEntry struct {
	pa    bus.Phys // first byte gathered
	n     int
	stamp memory.Stamp
}

func (w *writeCombiner) init(n int) { w.open, w.size = make([]wcEntry, 0, n), n }

func (w *writeCombiner) find(pa bus.Phys, line int) int {
	for i := range w.open {
		if (w.open[i].pa^pa)&^bus.Phys(line-1) == 0 {
			return i
		}
	}
	return -1
}

// combine adds n bytes at pa, all in one line.
func (c *Core) combine(pa bus.Phys, n int, stamp memory.Stamp) {
	c.mem.CPUWrite(pa, stamp)
	w := &c.wc
	i := w.find(pa, c.lines)
	switch {
	case i >= 0 && w.open[i].pa+bus.Phys(w.open[i].n) == pa:
		w.open[i].n += n
		w.open[i].stamp = stamp
	case i >= 0:
		c.flushEntry(i) // not adjacent: starts over
		fallthrough
	default:
		if len(w.open) == w.size {
			c.flushEntry(0)
		}
		w.open = append(w.open, wcEntry{pa, n, stamp})
		i = len(w.open) - 1
	}
	if w.open[i].n == c.lines {
		c.flushEntry(i)
	}
}

// flushEntry sends an open line to memory.
func (c *Core) flushEntry(i int) {
	e := c.wc.open[i]
	c.wc.open = append(c.wc.open[:i], c.wc.open[i+1:]...)
	c.post(e.pa, e.n, e.stamp)
}

// touched notes that a line was looked up beyond L1 after a whole-cache operation may have dropped it.
func (c *Core) touched(pa bus.Phys, level int) {
	if c.dropped.n == 0 {
		return
	}
	if c.dropped.remove(c.lineIndex(pa)) && level == c.lowest {
		c.stats.Maintenance.CollateralMisses++
	}
}

func (c *Core) lineIndex(pa bus.Phys) uint32 { return uint32(uint64(pa) / uint64(c.lines)) }

// lineSet is a set of line numbers as a bitmap that grows with the highest.
type lineSet struct {
	words []uint64
	n     int
}

func (s *lineSet) add(i uint32) {
	w := int(i >> 6)
	if w >= len(s.words) {
		s.words = append(s.words, make([]uint64, w+1-len(s.words))...)
	}
	if bit := uint64(1) << (i & 63); s.words[w]&bit == 0 {
		s.words[w] |= bit
		s.n++
	}
}

func (s *lineSet) remove(i uint32) bool {
	w := int(i >> 6)
	if w >= len(s.words) {
		return false
	}
	bit := uint64(1) << (i & 63)
	if s.words[w]&bit == 0 {
		return false
	}
	s.words[w] &^= bit
	s.n--
	return true
}
