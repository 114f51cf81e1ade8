package cpu

import (
	"math/rand/v2"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/memory"
)

// The proportions of what speculation goes for; estimated, as no core's are published. In streamShare of 100 draws it is a line that follows a recent miss in its page, as a prefetcher fetches that runs
// past the end of an access; in the others, and where there is none, any line of memory in use, by the kernel's linear map, which covers what devices own as well.
const (
	streamShare = 75
	// streamDepth is how far ahead of a miss the prefetcher goes; it takes the first line that is in no cache.
	streamDepth = 4
	// speculationTries is how often a line that the caches have already is drawn again.
	speculationTries = 4
	// recentMisses is how many misses are remembered.
	recentMisses = 8
	// speculationRetry is after how many cycles a fill that found no line fill free tries again.
	speculationRetry = 64
)

// speculation is the fills that no program asked for: one at a time, on a port of their own, drawn after random stretches of busy time. A fill occupies a line fill from its issue until its data is
// there and lands in the caches, with the version that memory held when the bus granted it, before the core next looks at them. Without speculation at stays sim.Never. O(1) a fill, 8 misses.
type speculation struct {
	core   *Core
	rng    *rand.Rand
	port   *bus.Port
	mean   int64    // cycles between two fills
	due    sim.Time // when the next fill is drawn, local time; sim.Never without speculation
	at     sim.Time // when the core must see to it: due, or at once while a fill is on its way
	addr   cachemodel.Address
	line   bus.Phys
	busy   bool // a fill was issued and has not landed
	lost   bool // a store has overtaken it: it lands nowhere
	done   sim.Time
	took   sim.Time // what the fill takes on an idle memory
	stamp  memory.Stamp
	recent [recentMisses]cachemodel.Address
	misses int // how many of recent there have been
}

// start makes the core speculate, from its first busy cycle on.
func (s *speculation) start(c *Core, mean int64, seed uint64, port *bus.Port) {
	s.core, s.mean, s.port, s.rng = c, mean, port, sim.Stream(seed, "cpu.speculation")
	s.due = s.draw()
	s.at = s.due
}

// draw returns how long it is to the next fill: evenly distributed, so that integers suffice.
func (s *speculation) draw() sim.Time { return s.core.duration(1 + s.rng.Int64N(2*s.mean-1)) }

// on tells whether the core speculates.
func (s *speculation) on() bool { return s.rng != nil }

// idle moves the next fill on by time in which the core was not busy.
func (s *speculation) idle(d sim.Time) {
	if s.on() {
		s.due += d
		s.schedule()
	}
}

func (s *speculation) schedule() {
	s.at = s.due
	if s.busy {
		s.at = 0
	}
}

// missed remembers a load that went to memory.
func (s *speculation) missed(a cachemodel.Address) {
	if s.on() {
		s.recent[s.misses%recentMisses] = a
		s.misses++
	}
}

// Granted notes when the data arrives and which write it is.
func (s *speculation) Granted(p *bus.Port, done sim.Time) {
	s.done, s.took = done, s.core.service(p, p.Issued(), done)
	s.stamp = s.core.mem.InMemory(s.line)
}

// occupies tells whether the fill on its way needs a line fill at a time.
func (s *speculation) occupies(at sim.Time) bool { return s.busy && (!s.port.Idle() || s.done > at) }

// coming tells whether the line is on its way.
func (s *speculation) coming(pa bus.Phys) bool {
	return s.busy && !s.lost && pa&^bus.Phys(s.core.lines-1) == s.line
}

// overtaken forgets the fill of a line that is stored to.
func (s *speculation) overtaken(pa bus.Phys) {
	if s.coming(pa) {
		s.lost = true
	}
}

// speculate lands the fill that the bus has granted and issues the one that is due. It returns whether local time has moved on: the caches' victims may have to wait for an eviction buffer.
func (c *Core) speculate() bool {
	s, before := &c.speculation, c.l
	if s.busy && s.port.Idle() {
		c.landSpeculation()
	}
	if s.due <= c.l {
		if s.busy || c.fillsInFlight() == c.cfg.Linefills {
			s.due = c.l + c.duration(speculationRetry)
		} else {
			s.due = max(s.due+s.draw(), c.l+1)
			c.issueSpeculation()
		}
	}
	s.schedule()
	return c.l != before
}

// fillsInFlight counts the line fills of the program that are not complete.
func (c *Core) fillsInFlight() int {
	n := 0
	for _, done := range c.inFlight {
		if done > c.l {
			n++
		}
	}
	return n
}

// issueSpeculation draws a line and asks the bus for it, unless the caches have what was drawn.
func (c *Core) issueSpeculation() {
	s := &c.speculation
	a, ok := c.drawLine()
	if !ok {
		return
	}
	s.addr, s.line, s.busy, s.lost, s.done = a, bus.Phys(a.Physical), true, false, 0
	c.stats.SpeculativeFills++
	s.port.SetUse(bus.UseSpeculation)
	s.port.Issue(c.l, s.line, c.lines, bus.Fill)
}

// drawLine draws a line that is in no cache.
func (c *Core) drawLine() (cachemodel.Address, bool) {
	s := &c.speculation
	if s.misses > 0 && s.rng.IntN(100) < streamShare {
		if a, ok := c.follow(s.recent[s.rng.IntN(min(s.misses, recentMisses))]); ok {
			return a, true
		}
	}
	for range speculationTries {
		if n := c.mem.FramesInUse(); n > 0 {
			pa := c.mem.FrameInUse(s.rng.IntN(n)) + bus.Phys(s.rng.IntN(memory.PageBytes/c.lines)*c.lines)
			if a := linearMap(pa); c.absent(a) {
				return a, true
			}
		}
	}
	return cachemodel.Address{}, false
}

// follow returns the first line after a miss, in its page, that is in no cache.
func (c *Core) follow(a cachemodel.Address) (cachemodel.Address, bool) {
	mask := uint64(c.lines - 1)
	a.Virtual &^= mask
	a.Physical &^= mask
	for range streamDepth {
		a.Virtual += uint64(c.lines)
		a.Physical += uint64(c.lines)
		if a.Physical%memory.PageBytes == 0 {
			break
		}
		if c.absent(a) {
			return a, true
		}
	}
	return a, false
}

// absent tells whether the line is neither in the caches nor on its way to memory, where a fill would have to wait for it.
func (c *Core) absent(a cachemodel.Address) bool {
	if level, _, _ := c.caches.Probe(a); level < c.lowest {
		return false
	}
	if c.gather.Holds(a.Physical, c.lines) || c.wc.Holds(a.Physical, c.lines) {
		return false
	}
	for i := range c.writer.n {
		if uint64(c.writer.at(i).pa)&^uint64(c.lines-1) == a.Physical {
			return false
		}
	}
	return true
}

// landSpeculation installs the line that the bus has granted, and posts what it evicts. It is no access of the program: nothing is checked, and no refill is charged to anybody.
func (c *Core) landSpeculation() {
	s := &c.speculation
	s.busy = false
	s.schedule()
	if s.lost {
		return
	}
	c.caches.Read(s.addr, c.lines)
	c.caches.Filled(cachemodel.Version(s.stamp))
	if c.dropped.n > 0 {
		c.dropped.remove(c.lineIndex(s.line))
	}
	for _, x := range c.caches.Traffic() {
		if x.Kind == cachemodel.WriteBack {
			c.post(bus.Phys(x.Addr), x.Bytes, memory.Stamp(x.Version), bus.UsePlain)
		}
	}
}

// adopt lets the program have the line that is on its way: it waits for the bus's grant, and its load then for the data.
func (c *Core) adopt() {
	c.awaitSpeculation()
	c.landSpeculation()
}

func (c *Core) awaitSpeculation() {
	c.await(CauseRefill, c.speculation.port)
	c.wait(CauseRefill, c.eng.Now(), c.speculation.port.Hop)
	c.refill, c.served = CauseRefill, c.speculation.took
}

// shareFills waits for the first fill that is complete, of the program's and speculation's, which take all there are.
func (c *Core) shareFills() {
	c.awaitSpeculation()
	first := c.speculation.done
	for _, done := range c.inFlight {
		if done > c.l {
			first = min(first, done)
		}
	}
	c.wait(CauseRefill, first, c.served)
}
