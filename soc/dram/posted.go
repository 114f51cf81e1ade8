package dram

import "socsim/sim/bus"

// Behind the interconnect a request's timing is fixed when it is handed over, so a controller of the scheduler frfcfs shares its work there: the arbiter takes a request whose row is open before
// others of its class (see [Controller.RowOpen]), and the controller posts writes. That is first ready, first come, first served among the heads of the ports, where [FRFCFS] has a queue of its own
// for reads too. Writes are acknowledged in the next clock and wait in a buffer, where reads find them and later writes of the same burst join them. The buffer is drained down to half when it is full,
// and beyond keep entries while the memory has nothing else to do; those that find their row open go first, else the oldest.
type posted struct {
	banks   *Controller // in order, which the transactions are given to
	entries []write
	keep    int // entries that rest while the memory is idle
	last    int64
	ends    [postedInFlight]int64 // of the last transactions given to the memory
	slot    int
	given   int64 // when the last was
}

// write is a posted write of n bytes at a local offset.
type write struct {
	at  int64
	off int64
	n   int
	tag BusCause
}

const (
	postedKeep     = 8 // as DRAMsim3 has it
	postedInFlight = 8
)

// newPosted returns a channel of the scheduler frfcfs in front of one in order.
func newPosted(cfg Config, base bus.Phys, size int64, index int) *Controller {
	inner := cfg
	inner.Scheduler, inner.LookAhead = InOrder, postedInFlight
	banks := newChannel(inner, base, size, index)
	return &Controller{
		clock: banks.clock, lookAhead: postedInFlight, index: index, other: true, layout: banks.layout, channels: []*Controller{banks},
		posts: &posted{banks: banks, entries: make([]write, 0, cfg.Queue), keep: min(postedKeep, cfg.Queue/2)},
	}
}

// RowOpen tells whether a request at an address would find its row open: whether it is ready, in the sense of first ready.
func (c *Controller) RowOpen(pa bus.Phys) bool {
	off := int64(pa - c.layout.base)
	switch {
	case c.posts != nil:
		c = c.posts.banks
	case c.channels != nil:
		l := &c.channels[0].layout
		ch, local := l.channel(int64(pa - l.base))
		return c.channels[ch].RowOpen(l.base + bus.Phys(local))
	}
	if c.yard.kind != "" {
		return false
	}
	b, row := c.layout.locate(off)
	return c.banks[b].row == row
}

// FirstReady tells whether the arbiter should prefer open rows.
func (c *Controller) FirstReady() bool {
	return c.posts != nil || c.channels != nil && c.channels[0].posts != nil
}

// Resting returns how many posted writes wait in the buffers.
func (c *Controller) Resting() (n int) {
	if c.posts != nil {
		return len(c.posts.entries)
	}
	for _, ch := range c.channels {
		n += ch.Resting()
	}
	return n
}

// servePosted is Serve of the scheduler frfcfs.
func (c *Controller) servePosted(at int64, pa bus.Phys, n int, isWrite bool) (start, end int64) {
	p := c.posts
	asked := at
	at = max(at, p.last)
	off := int64(pa - c.layout.base)
	c.behind = 0
	p.drainIdle(at)
	p.last = at
	if !isWrite {
		if i, covers := p.find(off, n); covers {
			c.stats.Forwarded++
			return at, at + 1
		} else if i >= 0 {
			p.drain(i, at) // the read needs it and more
		}
		start, end = p.give(at, write{off: off, n: n, tag: c.tag}, false)
		c.behind = p.banks.Behind() + p.given - asked
		return start, end
	}
	c.stats.PostedWrites++
	if p.join(off, n) {
		c.stats.Merged++
		return at, at + 1
	}
	if len(p.entries) == cap(p.entries) {
		for len(p.entries) > cap(p.entries)/2 {
			p.drainOne(at)
		}
	}
	p.entries = append(p.entries, write{at, off, n, c.tag})
	return at, at + 1
}

// find returns a waiting write that has some of n bytes, or -1, and whether it has all of them.
func (p *posted) find(off int64, n int) (i int, covers bool) {
	for i := range p.entries {
		w := &p.entries[i]
		if w.off < off+int64(n) && off < w.off+int64(w.n) {
			return i, w.off <= off && off+int64(n) <= w.off+int64(w.n)
		}
	}
	return -1, false
}

// join adds a write to a waiting one that it covers, or that covers it.
func (p *posted) join(off int64, n int) bool {
	for i := range p.entries {
		w := &p.entries[i]
		inside := w.off <= off && off+int64(n) <= w.off+int64(w.n)
		around := off <= w.off && w.off+int64(w.n) <= off+int64(n)
		if around {
			w.off, w.n = off, n
		}
		if inside || around {
			return true
		}
	}
	return false
}

// drainIdle gives the memory the writes that it had time for before clock at.
func (p *posted) drainIdle(at int64) {
	c := p.banks
	// The longest that one write takes to be out of the way.
	longest := c.t.rp + c.t.rcd + c.t.cwl + bus.BurstBytes>>(c.clockShift&63)<<(c.burstShift&63) + c.t.wtr
	for len(p.entries) > p.keep {
		begin := max(p.last, c.casFree, c.readEnd, p.entries[0].at)
		if begin+longest > at {
			return
		}
		p.last = begin
		p.drainOne(begin)
	}
}

// drainOne gives the memory a write whose row is open, or the oldest.
func (p *posted) drainOne(at int64) {
	for i := range p.entries {
		if b, row := p.banks.layout.locate(p.entries[i].off); p.banks.banks[b].row == row {
			p.drain(i, at)
			return
		}
	}
	p.drain(0, at)
}

func (p *posted) drain(i int, at int64) {
	w := p.entries[i]
	p.entries = append(p.entries[:i], p.entries[i+1:]...)
	p.give(at, w, true)
}

// give hands a transaction to the banks, with no more of them in flight than the record of the command bus covers.
func (p *posted) give(at int64, w write, isWrite bool) (start, end int64) {
	at = max(at, p.ends[p.slot])
	p.given, p.banks.tag = at, w.tag
	start, end = p.banks.Serve(at, p.banks.layout.base+bus.Phys(w.off), w.n, isWrite)
	p.ends[p.slot] = end
	p.slot = (p.slot + 1) % postedInFlight
	return start, end
}
