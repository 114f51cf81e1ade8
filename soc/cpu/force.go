package cpu

import (
	"socsim/cachemodel"
	"socsim/sim/bus"
	"socsim/soc/memory"
)

// What a cache or a prefetcher may do at any time, done at a time that a test chooses: the events on which it depends whether a wrong order of accesses is found out.

// Evict has the caches choose the lines of physically contiguous runs as victims, wherever they are in the inner levels, or with outer in the outer ones. Dirty ones are written back and memory has
// taken them when it returns. O(lines held by the caches), O(slots) of the host.
func (t *Thread) Evict(runs []memory.Run, outer bool) {
	c := t.core
	c.sync()
	from, to := 0, c.caches.Inner()
	if outer {
		from, to = to, c.caches.Levels()
	}
	for level := from; level < to; level++ {
		var victims []cachemodel.Line
		c.caches.Lines(level, func(l cachemodel.Line) {
			if overlaps(runs, bus.Phys(l.Physical), bus.Phys(c.lines)) {
				victims = append(victims, l)
			}
		})
		for _, v := range victims {
			c.caches.SetWay(cachemodel.CleanInvalidate, level, v.Set, v.Way)
			for _, x := range c.caches.Traffic() {
				c.post(bus.Phys(x.Addr), x.Bytes, memory.Stamp(x.Version), bus.UsePlain)
			}
		}
	}
	c.drainPosted()
}

// overlaps tells whether n bytes at pa have some in common with the runs.
func overlaps(runs []memory.Run, pa, n bus.Phys) bool {
	for _, r := range runs {
		if pa < r.Addr+bus.Phys(r.Bytes) && r.Addr < pa+n {
			return true
		}
	}
	return false
}

// Prefetch has the core fetch, as [Config.Speculation] does, the lines of n bytes of a mapping from off that the innermost levels do not hold, and waits for them. It is no access of the program: nothing is
// checked. A page of a tracked mapping that is not present is not prefetched: there is no translation.
func (t *Thread) Prefetch(m *Mapping, off, n int) {
	c := t.core
	for end := off + n; off < end; off += c.lines - off%c.lines {
		if page := (off + m.Region.Start) / memory.PageBytes; m.present != nil && !m.present[page] {
			continue
		}
		c.sync()
		if !c.load(m.at(off-off%c.lines), c.lines) {
			c.stats.SpeculativeFills++
		}
	}
	c.completeFills()
}
