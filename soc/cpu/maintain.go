package cpu

import (
	"socsim/cachemodel"
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

// MaintainRange runs op by address to the point of coherency over physically contiguous runs, one routine call and one barrier a run, as dma_sync_sg does. Dirty lines are
// written back one at a time: the loop goes on when memory has taken the line.
func (t *Thread) MaintainRange(op cachemodel.Op, runs []memory.Run, edge EdgeRule) {
	c := t.core
	old := t.Enter(Maint)
	st := &c.stats.Maintenance
	st.RangeCalls++
	for _, r := range runs {
		st.Segments++
		c.sync()
		c.chargeCycles(int64(c.cfg.Maintenance.Call))
		mask := bus.Phys(c.lines - 1)
		end := r.Addr + bus.Phys(r.Bytes)
		for pa := r.Addr &^ mask; pa < end; pa += bus.Phys(c.lines) {
			if pa%memory.PageBytes == 0 || pa <= r.Addr {
				c.chargeCycles(int64(c.cfg.Maintenance.Page))
			}
			lineOp := op
			if op == cachemodel.Invalidate && edge == EdgeFlush && (pa < r.Addr || pa+bus.Phys(c.lines) > end) {
				lineOp = cachemodel.CleanInvalidate
			}
			c.maintainLine(lineOp, pa)
		}
		t.Barrier()
	}
	t.Leave(old)
}

func (c *Core) maintainLine(op cachemodel.Op, pa bus.Phys) {
	c.sync()
	m := &c.cfg.Maintenance
	c.charge(c.duration(int64(m.Line)) + m.LineTime)
	e := c.caches.Maintain(op, uint64(pa))
	c.account(op, pa, e)
	if e.Dirty && op == cachemodel.Invalidate {
		c.mem.CPUDrop(pa, memory.Stamp(e.Version), c.master, c.l)
	}
	c.writeBackSerially()
}

// MaintainAll cleans and invalidates the whole cache by set and way, level by level. Lines of other regions than handed are noted, to be counted if they are missed later.
func (t *Thread) MaintainAll(handed []*memory.Region) {
	c := t.core
	old := t.Enter(Maint)
	m := &c.cfg.Maintenance
	c.stats.Maintenance.WholeCalls++
	c.sync()
	c.chargeCycles(int64(m.Call + m.Barrier)) // a DMB before
	for level := range c.caches.Levels() {
		for way := range c.caches.Ways(level) {
			for set := range c.caches.Sets(level) {
				c.sync()
				c.charge(c.duration(int64(m.SetWay)) + m.SetWayTime)
				e := c.caches.SetWay(cachemodel.CleanInvalidate, level, set, way)
				pa := bus.Phys(e.Addr)
				c.account(cachemodel.CleanInvalidate, pa, e)
				if e.Present && !c.belongs(pa, handed) {
					c.dropped.add(c.lineIndex(pa))
				}
				c.writeBackSerially()
			}
		}
	}
	t.Barrier()
	t.Leave(old)
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

// account counts one line of maintenance. An operation is useful if it wrote back a dirty line or dropped one that was out of date.
func (c *Core) account(op cachemodel.Op, pa bus.Phys, e cachemodel.Effect) {
	st := &c.stats.Maintenance
	st.Visited++
	cleans := op != cachemodel.Invalidate
	drops := op != cachemodel.Clean
	useful := false
	if e.Dirty {
		c.chargeCycles(int64(c.cfg.Maintenance.DirtyCycles))
		if cleans {
			st.Cleaned++
			useful = true
		}
	}
	if drops && e.Present {
		st.Invalidated++
		if memory.Stamp(e.Version) != c.mem.Newest(pa) {
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
	for _, x := range c.caches.Traffic() {
		c.stats.Maintenance.BytesWrittenBack += uint64(c.lines)
		c.post(bus.Phys(x.Addr), c.lines, memory.Stamp(x.Version))
		c.drainPosted()
	}
}
