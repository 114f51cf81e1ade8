package iommu

import (
	"socsim/sim"
	"socsim/sim/bus"
)

// walkEntry is a walk cache entry: where the table of a level is for the addresses from va on. One of size 0 holds nothing.
type walkEntry struct {
	va, size uint64
	table    bus.Phys
	root     bus.Phys
	level    int
	ctx      uint16
	stale    bool // the table is no longer in the tables
	when     sim.Time
}

// walkStart returns the level at which the walk for va begins, its table, and the walk cache entry that says so, if one does.
func (m *MMU) walkStart(va uint64) (level int, base bus.Phys, via *walkEntry) {
	level, base = 1, m.root
	for i := range m.walks {
		w := &m.walks[i]
		if va-w.va < w.size && w.ctx == m.ctx && w.level > level {
			level, base, via = w.level, w.table, w
		}
	}
	return level, base, via
}

// remember puts the table of a level into the walk cache, in place of what is there for the same addresses or else of the oldest.
func (m *MMU) remember(level int, va uint64, table bus.Phys) {
	if len(m.walks) == 0 {
		return
	}
	size := m.l.span(level - 1)
	w := walkEntry{va: va &^ (size - 1), size: size, table: table, root: m.root, level: level, ctx: m.ctx}
	for i := range m.walks {
		if o := &m.walks[i]; o.size == size && o.va == w.va && o.ctx == w.ctx {
			*o = w
			return
		}
	}
	m.walks[m.oldest] = w
	if m.oldest++; m.oldest == len(m.walks) {
		m.oldest = 0
	}
}

// readMemory returns the descriptor at pa as memory holds it, and readCurrent as the CPU sees it; where there is no memory, none.
func (m *MMU) readMemory(pa bus.Phys) uint64 {
	d := uint64(m.mem.LoadWord(pa))
	if m.l.word == 2*wordBytes {
		d |= uint64(m.mem.LoadWord(pa+wordBytes)) << 32
	}
	return d
}

func (m *MMU) readCurrent(pa bus.Phys) uint64 {
	if !m.mem.Contains(pa) {
		return 0
	}
	d := uint64(m.mem.CurrentWord(pa))
	if m.l.word == 2*wordBytes {
		d |= uint64(m.mem.CurrentWord(pa+wordBytes)) << 32
	}
	return d
}
