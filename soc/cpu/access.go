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

// Access goes over n bytes of the mapping from off, line by line in ascending order, through the caches and the live bus, and waits for the data of its loads.
func (t *Thread) Access(m *Mapping, off, n int, how Touch) {
	t.Issue(m, off, n, how)
	t.core.completeFills()
}

// Complete waits for the data of the loads that were issued.
func (t *Thread) Complete() { t.core.completeFills() }

// Issue is Access without the wait at the end: accesses in any order that do not depend on each other overlap as those of one Access do.
func (t *Thread) Issue(m *Mapping, off, n int, how Touch) {
	c := t.core
	if !m.touched {
		m.touched = true
	}
	for n > 0 {
		part := min(n, c.lines-off%c.lines)
		c.sync()
		t.translate(m, off, how.Write)
		accesses := int64((part + how.Width - 1) / how.Width)
		c.chargeCycles(CauseCompute, accesses*int64(c.cfg.AccessCycles)+how.Compute.Cycles(int64(part)))
		a := m.at(off)
		switch {
		case m.Attr == Cached && !how.Write:
			c.read(a, part, m.Private)
			if how.Dependent {
				c.completeFills()
				c.chargeCycles(CauseCompute, int64(c.cfg.L1Cycles-c.cfg.AccessCycles))
			}
		case m.Attr == Cached:
			c.write(a, part, how.Width, m.Private)
		case m.Attr == WriteThrough && !how.Write:
			c.read(a, part, m.Private)
		case m.Attr == WriteThrough:
			c.writeThrough(a, part)
		case m.Attr == StronglyOrdered && how.Write:
			c.writeOrdered(bus.Phys(a.Physical), part, how.Width)
		case m.Attr == StronglyOrdered:
			c.readUncached(bus.Phys(a.Physical), part, how.Width)
		case how.Write:
			c.combine(bus.Phys(a.Physical), part, memory.StampOf(c.l, c.master))
		default:
			c.readUncached(bus.Phys(a.Physical), part, how.Width*c.cfg.NCOutstanding)
		}
		off += part
		n -= part
	}
}

// read is one line's worth of loads through the caches.
func (c *Core) read(a cachemodel.Address, n int, private bool) {
	if hit := c.load(a, n); !private && (hit || c.kept) {
		pa := bus.Phys(a.Physical)
		held := c.reader.stamp
		if hit {
			held = memory.Stamp(c.caches.HitVersion())
		}
		if held != c.mem.Newest(pa) {
			c.mem.CPULoad(pa, n, held, c.master, c.l)
		}
	}
}

// load brings the line in and charges the wait. It returns whether the caches had it.
func (c *Core) load(a cachemodel.Address, n int) bool {
	if c.gather.Len() > 0 {
		c.takeGathered(bus.Phys(a.Physical))
	}
	if c.speculation.coming(bus.Phys(a.Physical)) {
		c.adopt()
	}
	level := c.caches.Read(a, n)
	if level == 0 {
		line := bus.Phys(a.Physical) &^ bus.Phys(c.lines-1)
		if c.reader.done > c.l && line == c.reader.line {
			c.needed = max(c.needed, c.reader.done) // the line is still coming in
		}
		if c.speculation.done > c.l && line == c.speculation.line {
			c.needed = max(c.needed, c.speculation.done)
		}
		return true
	}
	if level == c.lowest {
		c.speculation.missed(a)
	}
	harmed := c.touched(bus.Phys(a.Physical), level)
	start := c.l
	cause := CauseL2
	if level == c.lowest {
		cause = c.refill
	}
	c.chargeCycles(cause, int64(c.cfg.L2Cycles))
	if level > 1 && c.lowest > 2 {
		c.chargeCycles(cause, int64(c.cfg.LLCCycles))
	}
	if len(c.caches.Traffic()) > 0 {
		c.carry(n)
	}
	if harmed {
		c.harm[c.cat].Time += c.l - start
	}
	return level < c.lowest
}

// carry moves the traffic of the last cache operation, an access of n bytes, over the bus: fills are waited for, or go on in the background where the core has more than one; write-backs and stores are posted.
func (c *Core) carry(n int) {
	// The hierarchy reuses its traffic list, and what is done here does not touch the hierarchy except Filled.
	for _, x := range c.caches.Traffic() {
		switch x.Kind {
		case cachemodel.Fetch:
			c.chargeCycles(c.refill, int64(c.cfg.MissCycles))
			c.fill(bus.Phys(x.Addr), n)
		case cachemodel.WriteBack:
			c.post(bus.Phys(x.Addr), x.Bytes, memory.Stamp(x.Version), bus.UsePlain)
		}
	}
}

// fill reads a line from memory, of which the access needs n bytes. It waits for them, or lets that be where more fills may be in flight.
func (c *Core) fill(pa bus.Phys, n int) {
	pa &^= bus.Phys(c.lines - 1)
	c.drainLine(pa)
	c.freeFill()
	c.stats.Fills++
	c.reader.line = pa
	c.readPort.SetUse(bus.UsePlain)
	c.readPort.Issue(c.l, pa, c.lines, bus.Fill)
	c.reader.asked = c.readPort.Issued()
	c.await(c.refill, c.readPort)
	done := c.reader.done
	ready := done
	if c.cfg.CriticalWord {
		ready -= c.lineTime * sim.Time(c.lines-n) / sim.Time(c.lines)
	}
	c.needed = max(c.needed, ready)
	c.served = max(0, c.reader.took-(done-ready))
	c.inFlight = append(c.inFlight, done)
	if c.cfg.Linefills > 1 {
		c.wait(c.refill, c.eng.Now(), c.readPort.Hop) // until the bus granted it
	} else {
		c.completeFills()
	}
	c.caches.Filled(cachemodel.Version(c.reader.stamp))
}

// freeFill waits until a fill is free.
func (c *Core) freeFill() {
	if len(c.inFlight) == c.cfg.Linefills {
		c.wait(c.refill, c.inFlight[0], c.served)
		c.inFlight = append(c.inFlight[:0], c.inFlight[1:]...)
	}
	if c.speculation.busy && c.speculation.occupies(c.l) && c.fillsInFlight()+1 == c.cfg.Linefills {
		c.shareFills()
	}
}

// completeFills waits for the data of the loads in flight.
func (c *Core) completeFills() {
	if c.needed > c.l {
		c.waited(c.refill, c.needed-c.l, c.served)
	}
	c.needed = 0
}

// write is one line's worth of stores to write-back memory.
func (c *Core) write(a cachemodel.Address, n, width int, private bool) {
	pa := bus.Phys(a.Physical)
	c.speculation.overtaken(pa)
	if c.mem.IsEdge(pa) {
		c.writeEdge(a, n)
		return
	}
	stamp := memory.StampOf(c.l, c.master)
	whole := n == c.lines
	if !whole && (c.stores || !private) {
		level, _, v := c.caches.Probe(a)
		switch held := memory.Stamp(v); {
		case level == c.lowest:
			if c.kept && !private && c.behind(pa) {
				stamp = stamp.WithMerged() // the newest data is under another address
			}
			if c.stores && c.cfg.StreamingStores {
				c.mem.CPUWrite(pa, stamp)
				c.allocate(c.gather.Add(a, n, cachemodel.Version(stamp)))
				return
			}
		case private:
		// Storing to a part of a copy that is out of date makes a line that is neither old nor new.
		case held != c.mem.Newest(pa) && !c.mem.CPURead(pa, held, c.master, c.l):
			stamp = stamp.WithMerged()
		case held.Merged() && held != c.mem.InMemory(pa):
			stamp = stamp.WithMerged() // an earlier store did that, and the copy has not been written back since
		}
	}
	if whole && c.stores && !c.cfg.StreamingStores && width < n {
		// The first store of the line must allocate without knowing of the others.
		c.store(a, width, stamp)
		a.Virtual += uint64(width)
		a.Physical += uint64(width)
		n -= width
	}
	c.store(a, n, stamp)
}

// behind reports, after telling memory, that what a fetch of the line would bring is out of date.
func (c *Core) behind(pa bus.Phys) bool {
	c.drainLine(pa &^ bus.Phys(c.lines-1))
	held := c.mem.InMemory(pa)
	return held != c.mem.Newest(pa) && !c.mem.CPURead(pa, held, c.master, c.l)
}

// store is a store that the caches take, or pass on to the write-combining buffer.
func (c *Core) store(a cachemodel.Address, n int, stamp memory.Stamp) {
	pa := bus.Phys(a.Physical)
	if c.gather.Len() > 0 {
		c.takeGathered(pa)
	}
	level := c.caches.Write(a, n, cachemodel.Version(stamp))
	harmed := level > 0 && c.touched(pa, level)
	c.mem.CPUWrite(pa, stamp)
	if len(c.caches.Traffic()) == 0 {
		return
	}
	start := c.l
	c.carry(n)
	if harmed {
		c.harm[c.cat].Time += c.l - start
	}
	for _, x := range c.caches.Traffic() {
		if x.Kind == cachemodel.Store {
			c.combine(pa, n, stamp)
		}
	}
}

// allocate carries out stores that leave the gathering buffer: a whole line is not fetched. They are newest already.
func (c *Core) allocate(gathered []cachemodel.Gathered) {
	for _, g := range gathered {
		level := c.caches.Write(g.Addr, g.Bytes, g.Version)
		if level > 0 {
			c.touched(bus.Phys(g.Addr.Physical), level)
		}
		c.carry(g.Bytes)
		for _, x := range c.caches.Traffic() {
			if x.Kind == cachemodel.Store {
				c.post(bus.Phys(x.Addr), x.Bytes, memory.Stamp(x.Version), bus.UseStore)
			}
		}
	}
}

// takeGathered lets the gathered stores to a line go on.
func (c *Core) takeGathered(pa bus.Phys) {
	c.allocate(c.gather.Take(uint64(pa&^bus.Phys(c.lines-1)), c.lines))
}

// writeThrough is one line's worth of stores to write-through memory: the cached copy follows, memory gets the data through the write-combining buffer.
func (c *Core) writeThrough(a cachemodel.Address, n int) {
	pa := bus.Phys(a.Physical)
	stamp := memory.StampOf(c.l, c.master)
	if c.gather.Len() > 0 {
		c.takeGathered(pa)
	}
	if level, _, v := c.caches.Probe(a); level < c.lowest {
		switch {
		case c.mem.IsEdge(pa):
			v = cachemodel.Version(c.mem.EdgeStore(pa, n, memory.Stamp(v), stamp))
		case n == c.lines || memory.Stamp(v) == c.mem.Newest(pa):
			v = cachemodel.Version(stamp) // otherwise the rest of the copy stays out of date
		}
		c.caches.Write(a, n, v)
		if len(c.caches.Traffic()) > 0 {
			c.carry(n)
		}
		c.caches.Maintain(cachemodel.Clean, a, cachemodel.PoC) // the copy stays, in step with what goes to memory
	}
	c.combine(pa, n, stamp)
}

// readUncached is one line's worth of loads from non-cacheable memory: each access, or as many as may be in flight at once, batch bytes, waits for the bus.
func (c *Core) readUncached(pa bus.Phys, n, batch int) {
	line := pa &^ bus.Phys(c.lines-1)
	first, bytes := pa, n
	c.completeFills()
	c.drainLine(line)
	for n > 0 {
		part := min(n, batch)
		c.stats.NCReads++
		c.reader.line = line
		c.readPort.SetUse(bus.UseUncached)
		c.readPort.Issue(c.l, pa, part, bus.Fill)
		c.reader.asked = c.readPort.Issued()
		c.await(CauseUncached, c.readPort)
		c.wait(CauseUncached, c.reader.done, c.reader.took)
		pa += bus.Phys(part)
		n -= part
	}
	if c.reader.stamp != c.mem.Newest(line) {
		c.mem.CPULoad(first, bytes, c.reader.stamp, c.master, c.l)
	}
}

// writeOrdered is one line's worth of stores to strongly ordered memory: each waits until memory has it.
func (c *Core) writeOrdered(pa bus.Phys, n, width int) {
	c.completeFills()
	c.speculation.overtaken(pa)
	for n > 0 {
		part := min(n, width)
		stamp := memory.StampOf(c.l, c.master)
		if c.mem.IsEdge(pa) {
			stamp = c.mem.EdgeGather(pa, part, stamp)
		} else {
			c.mem.CPUWrite(pa, stamp)
		}
		c.post(pa, part, stamp, bus.UseStore)
		c.drainPosted()
		pa += bus.Phys(part)
		n -= part
	}
}

// await lets the memory path run until the port's transfer is granted; events that are due meanwhile run, but the thread keeps the core. The wait is for a cause, which the caller charges.
func (c *Core) await(cause Cause, p *bus.Port) {
	c.awaiting = cause
	for !c.fabric.Await(p) {
		c.stepTo(c.eng.Next())
	}
}

// fillSource takes the answers of the read port.
type fillSource struct {
	core  *Core
	line  bus.Phys
	asked sim.Time
	done  sim.Time
	took  sim.Time // what the read takes on an idle memory
	stamp memory.Stamp
}

// Granted notes when the data arrives and which write it is.
func (s *fillSource) Granted(p *bus.Port, done sim.Time) {
	s.done, s.took = done, s.core.service(p, s.asked, done)
	s.stamp = s.core.mem.InMemory(s.line)
}

// pendingWrite is a line, or a part of one, on its way to memory.
type pendingWrite struct {
	pa    bus.Phys
	n     int
	stamp memory.Stamp
	at    sim.Time
	use   bus.Use
}

// writeSource feeds the write port from a ring of pending writes, in order.
type writeSource struct {
	core *Core
	ring [maxBuffers]pendingWrite
	head int
	n    int
	done sim.Time // completion of the last write granted
	took sim.Time // what it takes on an idle memory
	// asked is when the port asked for the oldest of the ring.
	asked sim.Time
}

// Granted moves on to the next pending write.
func (s *writeSource) Granted(p *bus.Port, done sim.Time) {
	s.done, s.took = done, s.core.service(p, s.asked, done)
	s.head = (s.head + 1) % maxBuffers
	s.n--
	if s.n > 0 {
		s.issue()
	}
}

// at returns the i-th of the pending writes.
func (s *writeSource) at(i int) *pendingWrite { return &s.ring[(s.head+i)%maxBuffers] }

func (s *writeSource) issue() {
	w := &s.ring[s.head]
	p := s.core.writePort
	p.Stamp = uint64(w.stamp)
	p.SetUse(w.use)
	p.Issue(w.at, w.pa, w.n, bus.WriteBack)
	s.asked = p.Issued()
}

// post queues a write; it waits while the eviction buffers are full.
func (c *Core) post(pa bus.Phys, n int, stamp memory.Stamp, use bus.Use) {
	s := &c.writer
	for s.n >= c.cfg.EvictionBuffers {
		c.waitGrant()
	}
	c.stats.Posted++
	s.ring[(s.head+s.n)%maxBuffers] = pendingWrite{pa, n, stamp, c.l, use}
	s.n++
	if s.n == 1 {
		s.issue()
	}
}

// waitGrant waits until the oldest pending write is granted, or local time if that is later.
func (c *Core) waitGrant() {
	n := c.writer.n
	for c.writer.n == n {
		c.await(c.posting(), c.writePort)
	}
	// The buffer is free when memory has taken the data.
	c.wait(c.posting(), c.writer.done, c.writer.took)
}

// drainPosted waits until all posted writes are in memory.
func (c *Core) drainPosted() {
	for c.writer.n > 0 {
		c.waitGrant()
	}
	c.wait(c.posting(), c.writer.done, c.writer.took)
}

// drainLine waits for a pending write of the line, so that a read behind it sees it.
func (c *Core) drainLine(line bus.Phys) {
	if c.wc.Len() > 0 {
		c.postGathered(c.wc.Take(uint64(line), c.lines))
	}
	s := &c.writer
	for i := range s.n {
		if s.at(i).pa&^bus.Phys(c.lines-1) == line {
			c.drainPosted()
			return
		}
	}
}

// Barrier is a DSB: the write-combining buffer is flushed and all writes are waited for.
func (t *Thread) Barrier() {
	c := t.core
	c.sync()
	c.chargeCycles(CauseBarrier, int64(c.cfg.Maintenance.Barrier))
	c.drainWrites()
}

func (c *Core) drainWrites() {
	c.allocate(c.gather.Drain())
	c.completeFills()
	c.postGathered(c.wc.Drain())
	c.drainPosted()
}

// combine adds n bytes at pa, all in one line, to the write-combining buffer.
func (c *Core) combine(pa bus.Phys, n int, stamp memory.Stamp) {
	c.speculation.overtaken(pa)
	if c.mem.IsEdge(pa) {
		c.combineEdge(pa, n, stamp)
		return
	}
	c.mem.CPUWrite(pa, stamp)
	c.postGathered(c.wc.Add(cachemodel.At(uint64(pa)), n, cachemodel.Version(stamp)))
}

// postGathered sends what leaves the write-combining buffer to memory: a block as one burst, from its first byte to its last, whose strobes leave out the gaps.
func (c *Core) postGathered(gathered []cachemodel.Gathered) {
	block := ^uint64(c.cfg.WriteMerge - 1)
	for i := 0; i < len(gathered); {
		first := gathered[i]
		end := first
		for i++; i < len(gathered) && (gathered[i].Addr.Physical^first.Addr.Physical)&block == 0; i++ {
			end = gathered[i]
		}
		c.post(bus.Phys(first.Addr.Physical), int(end.Addr.Physical-first.Addr.Physical)+end.Bytes, memory.Stamp(end.Version), bus.UseStore)
	}
}

// touched notes that a line was looked up beyond L1 after a whole-cache operation may have dropped it. It reports whether that costs a refill now, which is then the cause of it.
func (c *Core) touched(pa bus.Phys, level int) bool {
	c.refill = CauseRefill
	if c.dropped.n == 0 {
		return false
	}
	if !c.dropped.remove(c.lineIndex(pa)) || level < c.lowest {
		return false
	}
	c.stats.Maintenance.CollateralMisses++
	c.harm[c.cat].Misses++
	c.refill = CauseCollateral
	return true
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
