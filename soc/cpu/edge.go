package cpu

import (
	"socsim/cachemodel"
	"socsim/sim/bus"
	"socsim/soc/memory"
)

// writeEdge is a store to a line that two owners share (see [memory.Memory.Part]): what the copy holds afterwards depends on what it held, byte for byte. Where the caches allocate for stores the line
// is read first, without waiting whether the rest of it is stored to as well; stores that go past the caches do not merge with those before them. Elsewhere the cost is that of any store.
func (c *Core) writeEdge(a cachemodel.Address, n int) {
	pa := bus.Phys(a.Physical)
	at := memory.StampOf(c.l, c.master)
	level, _, held := c.caches.Probe(a)
	if level == c.lowest {
		if !c.stores {
			c.combineEdge(pa, n, at)
			return
		}
		c.load(a, n)
		level, _, held = c.caches.Probe(a)
	}
	stamp := c.mem.EdgeStore(pa, n, memory.Stamp(held), at)
	taken := c.caches.Write(a, n, cachemodel.Version(stamp))
	harmed := taken > 0 && c.touched(pa, level)
	start := c.l
	c.carry(n)
	if harmed {
		c.harm[c.cat].Time += c.l - start
	}
	for _, x := range c.caches.Traffic() {
		if x.Kind == cachemodel.Store {
			c.combineEdge(pa, n, at)
		}
	}
}

// combineEdge adds n bytes at pa, stored as at says, to the write-combining buffer.
func (c *Core) combineEdge(pa bus.Phys, n int, at memory.Stamp) {
	c.postGathered(c.wc.Take(uint64(pa&^bus.Phys(c.lines-1)), c.lines))
	stamp := c.mem.EdgeGather(pa, n, at)
	c.edgesOpen[c.edgeNext%maxBuffers] = stamp
	c.edgeNext++
	c.postGathered(c.wc.Add(cachemodel.At(uint64(pa)), n, cachemodel.Version(stamp)))
}

// Held visits the stamps of the line's copies: in the caches, coming in, on their way to memory, and in the write-combining buffer, in which nothing stays that went in so many stores ago.
func (c *Core) Held(line bus.Phys, visit func(memory.Stamp)) {
	for level := range c.caches.Levels() {
		c.caches.Lines(level, func(l cachemodel.Line) {
			if bus.Phys(l.Physical) == line {
				visit(memory.Stamp(l.Version))
			}
		})
	}
	visit(c.reader.stamp)
	visit(c.speculation.stamp)
	for i := range c.writer.ring {
		visit(c.writer.ring[i].stamp)
	}
	for _, s := range c.edgesOpen {
		visit(s)
	}
	for _, x := range c.caches.Traffic() {
		visit(memory.Stamp(x.Version))
	}
}
