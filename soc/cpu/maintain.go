package cpu

import (
	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/memory"
)

// EdgeRule says what an invalidate does to a line that the range covers only in part.
type EdgeRule string

// The rules. ARMv7's v7_dma_inv_range turns partial edge lines into clean+invalidate.
const (
	EdgeFlush EdgeRule = "clean-invalidate"
	EdgePlain EdgeRule = "invalidate"
)

// Pass says how a range is maintained.
type Pass struct {
	Op   cachemodel.Op
	Edge EdgeRule
	// Point is how far the operation reaches; outer caches follow only to the point of coherency.
	Point cachemodel.Point
	// AllColours visits each line under every colour of the first level, for caches whose aliases are software's business.
	AllColours bool
	// OuterFirst maintains outer caches before the inner ones, as an unmap does, so that no inner refill can bring back what the outer still holds.
	OuterFirst bool
	// Reach leaves the inner or the outer caches out.
	Reach Reach
	// OneCall is a yardstick, no kernel's: all runs in one routine call with one barrier, under every colour that a line is held under, and nothing charged for pages and for lines on which there was nothing to do.
	OneCall bool
}

// Reach says which caches a range is maintained in.
type Reach uint8

// The reaches.
const (
	InnerAndOuter Reach = iota
	InnerOnly
	OuterOnly
)

// MaintainRange maintains physically contiguous runs by address, one routine call and one barrier a run, as dma_sync_sg does, and in outer caches in a pass of its own. Dirty lines are written back
// one at a time: the loop goes on when memory has taken the line.
func (t *Thread) MaintainRange(p Pass, runs []memory.Run) {
	c := t.core
	old := t.Enter(Maint)
	c.stats.Maintenance.RangeCalls++
	outer := c.caches.Inner() < c.caches.Levels() && p.Point == cachemodel.PoC && p.Reach != InnerOnly
	p.AllColours = p.AllColours || p.OneCall && c.caches.KeepsAliases()
	for len(runs) > 0 {
		n := 1 // runs of a call
		if p.OneCall {
			n = len(runs)
		}
		c.stats.Maintenance.Segments++
		if outer && p.OuterFirst {
			c.maintainOuterRuns(p, runs[:n])
		}
		if p.Reach != OuterOnly {
			c.maintainRuns(t, p, runs[:n])
		}
		if outer && !p.OuterFirst {
			c.maintainOuterRuns(p, runs[:n])
		}
		runs = runs[n:]
	}
	t.Leave(old)
}

// maintainRuns is one routine call on the inner caches.
func (c *Core) maintainRuns(t *Thread, p Pass, runs []memory.Run) {
	c.sync()
	c.chargeCycles(CauseCall, int64(c.cfg.Maintenance.Call))
	for _, r := range runs {
		c.eachLine(r, p, func(pa bus.Phys, op cachemodel.Op) {
			if !p.OneCall && (pa%memory.PageBytes == 0 || pa <= r.Addr) {
				c.cat = MaintPage
				c.chargeCycles(CausePage, int64(c.cfg.Maintenance.Page))
			}
			c.maintainLine(op, p, pa)
		})
	}
	c.cat = MaintBarrier
	t.Barrier()
	c.cat = Maint
}

// eachLine visits the lines of a run, with the operation that the edge rule makes of the pass's.
func (c *Core) eachLine(r memory.Run, p Pass, visit func(pa bus.Phys, op cachemodel.Op)) {
	mask := bus.Phys(c.lines - 1)
	end := r.Addr + bus.Phys(r.Bytes)
	for pa := r.Addr &^ mask; pa < end; pa += bus.Phys(c.lines) {
		op := p.Op
		if op == cachemodel.Invalidate && p.Edge == EdgeFlush && (pa < r.Addr || pa+bus.Phys(c.lines) > end) {
			op = cachemodel.CleanInvalidate
		}
		visit(pa, op)
	}
}

// idle tells whether the operation changed nothing.
func (p Pass) idle(op cachemodel.Op, e cachemodel.Effect) bool {
	return !e.Dirty && (op == cachemodel.Clean || !e.Present)
}

func (c *Core) maintainLine(op cachemodel.Op, p Pass, pa bus.Phys) {
	c.cat = MaintLine
	c.sync()
	if c.gather.Len() > 0 {
		c.takeGathered(pa)
	}
	m := &c.cfg.Maintenance
	var e cachemodel.Effect
	if p.AllColours {
		e = c.caches.MaintainAliases(op, uint64(pa), p.Point)
	} else {
		e = c.caches.Maintain(op, linearMap(pa), p.Point)
	}
	if p.OneCall {
		if p.idle(op, e) {
			return
		}
		e.Lookups = 1
	}
	c.charge(CauseLine, sim.Time(e.Lookups)*(c.duration(int64(m.Line))+m.LineTime))
	c.stats.Maintenance.AliasLookups += uint64(e.Lookups - 1)
	c.stats.Maintenance.Visited += uint64(e.Lookups)
	c.account(op, pa, e)
	if e.Dirty && op == cachemodel.Invalidate {
		c.mem.CPUDrop(pa, memory.Stamp(e.Version), c.master, c.l)
	}
	c.writeBackSerially()
}

// maintainOuterRuns is one call on the outer caches, by physical address. The core waits for each line.
func (c *Core) maintainOuterRuns(p Pass, runs []memory.Run) {
	c.sync()
	c.charge(CauseCall, c.cfg.Maintenance.OuterCall)
	for _, r := range runs {
		c.maintainOuterRun(p, r)
	}
	c.cat = Maint
}

func (c *Core) maintainOuterRun(p Pass, r memory.Run) {
	m := &c.cfg.Maintenance
	c.eachLine(r, p, func(pa bus.Phys, op cachemodel.Op) {
		c.cat = MaintLine
		c.sync()
		e := c.caches.MaintainOuter(op, uint64(pa))
		if p.OneCall && p.idle(op, e) {
			return
		}
		c.charge(CauseLine, m.OuterLine)
		c.stats.Maintenance.OuterLines++
		c.stats.Maintenance.Visited++
		c.account(op, pa, e)
		if e.Dirty && op == cachemodel.Invalidate {
			c.mem.CPUDrop(pa, memory.Stamp(e.Version), c.master, c.l)
		}
		c.writeBackSerially()
	})
}

// MaintainAll cleans and invalidates the whole of the inner caches, level by level: by set and way, or where the core has one by its test-and-clean loop. It does not reach outer caches. Lines of
// other regions than handed are noted, to be counted if they are missed later.
func (t *Thread) MaintainAll(handed []*memory.Region) {
	c := t.core
	old := t.Enter(Maint)
	m := &c.cfg.Maintenance
	c.stats.Maintenance.WholeCalls++
	c.sync()
	c.chargeCycles(CauseCall, int64(m.Call))
	c.cat = MaintBarrier
	c.chargeCycles(CauseBarrier, int64(m.Barrier)) // a DMB before
	c.allocate(c.gather.Drain())
	c.cat = MaintLine
	first := 0
	if m.Loop == LoopTestClean {
		c.testClean(handed)
		first = 1
	}
	for level := first; level < c.caches.Inner(); level++ {
		c.bySetWay(level, m.duration(c), handed)
	}
	c.cat = MaintBarrier
	t.Barrier()
	t.Leave(old)
}

// duration is the time of one operation by set and way.
func (m *Maintenance) duration(c *Core) sim.Time { return c.duration(int64(m.SetWay)) + m.SetWayTime }

// MaintainAllOuter cleans and invalidates the whole of the outer caches by way, which they do by themselves while the core waits.
func (t *Thread) MaintainAllOuter(handed []*memory.Region) {
	c := t.core
	if c.caches.Inner() == c.caches.Levels() {
		return
	}
	old := t.Enter(Maint)
	c.stats.Maintenance.WholeCalls++
	c.sync()
	c.charge(CauseCall, c.cfg.Maintenance.OuterCall)
	c.cat = MaintLine
	for level := c.caches.Inner(); level < c.caches.Levels(); level++ {
		c.bySetWay(level, c.cfg.Maintenance.OuterWay, handed)
	}
	c.cat = MaintBarrier
	t.Barrier()
	t.Leave(old)
}

// bySetWay cleans and invalidates a level, slot by slot.
func (c *Core) bySetWay(level int, slot sim.Time, handed []*memory.Region) {
	for way := range c.caches.Ways(level) {
		for set := 0; set < c.caches.Sets(level); {
			c.sync()
			if n := c.caches.EmptySets(level, set, way); n > 0 {
				set += c.passSlots(n, slot)
				continue
			}
			c.charge(CauseLine, slot)
			c.stats.Maintenance.Visited++
			c.accountSlot(c.caches.SetWay(cachemodel.CleanInvalidate, level, set, way), handed)
			set++
		}
	}
}

// passSlots spends the time of up to n empty slots and returns of how many: it stops where a loop that goes one by one would let an event run.
func (c *Core) passSlots(n int, slot sim.Time) int {
	if slot > 0 {
		to := c.advance(c.l + sim.Time(n)*slot)
		n = max(1, min(n, int((to-c.l+slot-1)/slot)))
	}
	c.charge(CauseLine, sim.Time(n)*slot)
	c.stats.Maintenance.Visited += uint64(n)
	return n
}

// testClean is the ARM926's loop: a turn for each dirty line, and a last one that finds none.
func (c *Core) testClean(handed []*memory.Region) {
	slot := c.cfg.Maintenance.duration(c)
	c.caches.Lines(0, func(l cachemodel.Line) { c.noteDropped(bus.Phys(l.Physical), handed) })
	for done := false; !done; {
		c.sync()
		c.charge(CauseLine, slot)
		var e cachemodel.Effect
		e, done = c.caches.TestClean(cachemodel.CleanInvalidate)
		c.stats.Maintenance.Visited++
		c.account(cachemodel.CleanInvalidate, bus.Phys(e.Addr), e)
		c.writeBackSerially()
	}
}

// accountSlot accounts for one slot of a whole-cache operation.
func (c *Core) accountSlot(e cachemodel.Effect, handed []*memory.Region) {
	pa := bus.Phys(e.Addr)
	c.account(cachemodel.CleanInvalidate, pa, e)
	if e.Present {
		c.noteDropped(pa, handed)
	}
	c.writeBackSerially()
}

func (c *Core) noteDropped(pa bus.Phys, handed []*memory.Region) {
	if !c.belongs(pa, handed) {
		c.dropped.add(c.lineIndex(pa))
	}
}

func (c *Core) belongs(pa bus.Phys, regions []*memory.Region) bool {
	owner, _ := c.mem.Owner(pa)
	for _, r := range regions {
		if r == owner {
			return true
		}
	}
	return false
}

// account counts what one operation found. An operation is useful if it wrote back a dirty line or dropped one that was out of date.
func (c *Core) account(op cachemodel.Op, pa bus.Phys, e cachemodel.Effect) {
	if !e.Present {
		return
	}
	st := &c.stats.Maintenance
	cleans := op != cachemodel.Invalidate
	drops := op != cachemodel.Clean
	useful := false
	if e.Dirty {
		c.cat = MaintDirty
		c.chargeCycles(CauseWriteBack, int64(c.cfg.Maintenance.DirtyCycles))
		c.cat = MaintLine
		if cleans {
			st.Cleaned++
			useful = true
		}
	}
	if drops && e.Present {
		st.Invalidated++
		if !c.mem.Current(pa, memory.Stamp(e.Version)) {
			useful = true
		}
	}
	if useful {
		st.Useful++
	}
}

// writeBackSerially sends the dirty line that the last maintenance operation pushed out and waits until memory has taken it: the cost of a dirty line adds to that of the operation, as in
// T = lines x t_line + dirty x t_write_back.
func (c *Core) writeBackSerially() {
	traffic := c.caches.Traffic()
	if len(traffic) == 0 {
		return
	}
	c.cat = MaintDirty
	for _, x := range traffic {
		c.stats.Maintenance.BytesWrittenBack += uint64(x.Bytes)
		c.post(bus.Phys(x.Addr), x.Bytes, memory.Stamp(x.Version), bus.UseMaintenance)
	}
	c.drainPosted()
	c.cat = MaintLine
}
