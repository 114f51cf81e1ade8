package cachemodel

import "math/bits"

// evicted is a line that a level gave up, in its eviction buffer or on its way
// down.
type evicted struct {
	line    uint64 // its physical address
	dirt    soil
	version Version
	present bool
	fresh   bool // it holds what memory is about to supply
}

// miss fills the first level, after its counters.
func (h *Hierarchy) miss(l *level, instr bool, a Address, n, slot int) (from int) {
	h.fetched = false
	from, h.hitVersion = h.fill(l, 0, instr, a, n, slot)
	return from
}

// fill brings what n bytes touch into level k, which misses: the whole line is
// absent if slot is -1, else sub-blocks of the line in it.
func (h *Hierarchy) fill(l *level, k int, instr bool, a Address, n, slot int) (from int, v Version) {
	start, size := l.blocks(a.Physical, n)
	l.counters.BytesFromBelow += uint64(size)
	if slot >= 0 {
		from, v, _ = h.read(k+1, instr, start, size)
		l.hold(slot, a.Physical, n)
		return from, v
	}
	slot = h.makeRoom(l, k, a)
	from, v, moved := h.read(k+1, instr, start, size)
	l.put(slot, a, v, moved)
	if l.held != nil {
		l.hold(slot, a.Physical, n)
	}
	if h.fetched && l.versions != nil {
		h.fresh[k] = slot
	}
	h.release(l, k)
	return from, v
}

// read asks level k for n bytes. It returns the level that had them, their
// version, and, if an exclusive level gave its line up for that, the dirty parts
// of the line.
func (h *Hierarchy) read(k int, instr bool, addr uint64, n int) (from int, v Version, moved soil) {
	if k == len(h.levels) {
		h.cross(Fetch, addr, n, 0)
		h.fetched = true
		h.fetchedKey = addr | valid
		for i := range h.fresh {
			h.fresh[i] = -1
		}
		return k, 0, soil{}
	}
	l := &h.levels[k]
	if n > int(l.offset)+1-int(addr&l.offset) { // several of this level's lines
		l.counters.Straddles++
		for n > 0 {
			part := min(n, int(l.offset)+1-int(addr&l.offset))
			f, _, _ := h.read(k, instr, addr, part)
			from = max(from, f)
			addr += uint64(part)
			n -= part
		}
		return from, 0, soil{}
	}
	if l.inclusion == Exclusive {
		return h.readExclusive(l, k, instr, addr, n)
	}
	slot := l.use(addr, addr&^l.offset|valid)
	if slot < 0 || l.held != nil && !l.holds(slot, addr, n) {
		l.counters.read(instr, false)
		from, v = h.fill(l, k, instr, At(addr), n, slot)
		return from, v, soil{}
	}
	l.counters.read(instr, true)
	return k, l.version(slot), soil{}
}

// readExclusive is read of an exclusive level: its line moves up, and what it
// does not have passes it by.
func (h *Hierarchy) readExclusive(l *level, k int, instr bool, addr uint64, n int) (from int, v Version, moved soil) {
	slot := l.find(addr, addr&^l.offset|valid)
	l.counters.read(instr, slot >= 0)
	if slot < 0 {
		l.counters.BytesFromBelow += uint64(n)
		return h.read(k+1, instr, addr, n)
	}
	v, moved = l.version(slot), l.soilOf(slot)
	l.drop(slot)
	return k, v, moved
}

// read counts a fetch or a load.
func (c *Counters) read(instr, hit bool) {
	switch {
	case instr && hit:
		c.InstrHits++
	case instr:
		c.InstrMisses++
	case hit:
		c.ReadHits++
	default:
		c.ReadMisses++
	}
}

// store carries out a store of n bytes that arrives at level k, or a dirty
// victim that arrives as one, and returns the level that took it.
func (h *Hierarchy) store(k int, a Address, n int, v Version, kind TransferKind) int {
	if k == len(h.levels) {
		h.cross(kind, a.Physical, n, v)
		return k
	}
	l := &h.levels[k]
	if n > int(l.offset)+1-int(a.Physical&l.offset) {
		l.counters.Straddles++
		took := 0
		for n > 0 {
			part := min(n, int(l.offset)+1-int(a.Physical&l.offset))
			took = max(took, h.store(k, a, part, v, kind))
			a.Physical += uint64(part)
			n -= part
		}
		return took
	}
	slot := l.use(l.locate(a))
	switch {
	case slot >= 0 && l.holds(slot, a.Physical, n):
		l.counters.WriteHits++
		h.came(kind, l.version(slot))
	case slot < 0 && !l.onStore:
		if l.resolves {
			h.alias(l, a)
		}
		l.counters.WriteMisses++
		l.counters.BytesToBelow += uint64(n)
		return h.store(k+1, At(a.Physical), n, v, kind)
	default:
		l.counters.WriteMisses++
		slot = h.allocate(l, k, a, n, slot, v, kind)
	}
	l.setVersion(slot, v)
	l.hold(slot, a.Physical, n)
	h.refresh(k, slot, false)
	took := k
	if l.through {
		l.counters.BytesToBelow += uint64(n)
		took = h.store(k+1, At(a.Physical), n, v, kind)
	} else {
		l.soil(slot, l.parts(a.Physical, n))
	}
	h.release(l, k)
	return took
}

// allocate makes a place in level k for a store that misses there, and gets from
// below what the store leaves of the blocks it touches.
func (h *Hierarchy) allocate(l *level, k int, a Address, n, slot int, v Version, kind TransferKind) int {
	absent := slot < 0
	if absent {
		slot = h.makeRoom(l, k, a)
	}
	var old Version
	var moved soil
	if l.covers(a.Physical, n) {
		h.claim(k+1, a.Physical, v)
	} else {
		start, size := l.blocks(a.Physical, n)
		l.counters.BytesFromBelow += uint64(size)
		_, old, moved = h.read(k+1, false, start, size)
		h.came(kind, old)
	}
	if absent {
		l.put(slot, a, old, moved)
		if h.fetched {
			h.fresh[k] = slot
		}
	}
	return slot
}

// came notes the version of the first copy that a store comes upon.
func (h *Hierarchy) came(kind TransferKind, v Version) {
	if kind == Store && !h.settled {
		h.hitVersion, h.settled = v, true
	}
}

// claim prepares the levels from k on for a line that the level before installs
// without fetching it: exclusive ones drop theirs, inclusive ones make a place.
func (h *Hierarchy) claim(k int, addr uint64, v Version) {
	h.absorb(k, addr)
	if !h.inclusive {
		return
	}
	for j := len(h.levels) - 1; j >= k; j-- {
		l := &h.levels[j]
		if l.inclusion != Inclusive || l.find(addr, addr&^l.offset|valid) >= 0 {
			continue
		}
		slot := h.makeRoom(l, j, At(addr))
		l.put(slot, At(addr), v, soil{})
		h.absorb(j+1, addr)
		h.release(l, j)
	}
}

// absorb takes the line out of the exclusive levels from k on, up to the first
// that is not, and returns what of it was dirty there.
func (h *Hierarchy) absorb(k int, addr uint64) (s soil) {
	for ; k < len(h.levels) && h.levels[k].inclusion == Exclusive; k++ {
		l := &h.levels[k]
		if slot := l.find(addr, addr&^l.offset|valid); slot >= 0 {
			s = s.add(l.soilOf(slot), l.shift)
			l.drop(slot)
		}
	}
	return s
}

// makeRoom empties a slot of level k for the line. What it held, if somebody
// wants that, is in the level's eviction buffer until release.
func (h *Hierarchy) makeRoom(l *level, k int, a Address) (slot int) {
	if l.index != PIPT {
		h.alias(l, a)
	}
	index, _ := l.locate(a)
	set := l.set(index)
	slot = set*l.ways + l.victim(set)
	word := l.slots[slot]
	if word&dirty != 0 || word != 0 && (h.inclusive || h.exclusive) {
		h.buffers[k] = h.remove(l, k, slot)
	} else if word != 0 {
		l.drop(slot) // nobody wants a clean victim
	}
	return slot
}

// release gives what is in the eviction buffer of level k to the next.
func (h *Hierarchy) release(l *level, k int) {
	if b := &h.buffers[k]; b.present {
		b.present = false
		out := *b
		out.present = true
		h.giveUp(k+1, l, out)
	}
}

// remove takes the line out of a slot of level k, and out of the nearer levels
// if it is inclusive.
func (h *Hierarchy) remove(l *level, k, slot int) evicted {
	out := evicted{line: l.line(slot), dirt: l.soilOf(slot), version: l.version(slot), present: true}
	out.fresh = h.fetched && h.fresh[k] == slot && out.line|valid == h.fetchedKey
	l.drop(slot)
	if l.inclusion == Inclusive {
		h.recall(k, &out)
	}
	return out
}

// recall drops the copies of a line in the levels before k, which is inclusive,
// in their eviction buffers and in the instruction side. The newest dirty data goes with the line, by the
// sub-blocks of level k.
func (h *Hierarchy) recall(k int, out *evicted) {
	part := h.levels[k].part
	for j := k - 1; j >= 0; j-- { // the nearest last: its version stays
		near := &h.levels[j]
		if b := &h.buffers[j]; b.present && b.line == out.line {
			b.present = false
			if b.dirt.parts != 0 {
				out.dirt = out.dirt.add(soil{b.dirt.in(part, near.shift), part}, near.shift)
				out.version = b.version
			}
		}
		for colour := range near.colours {
			near.eachCopy(out.line, colour, func(slot int) {
				if dirt := near.soilOf(slot); dirt.parts != 0 {
					out.dirt = out.dirt.add(soil{dirt.in(part, near.shift), part}, near.shift)
					out.version = near.version(slot)
				}
				near.drop(slot)
			})
		}
	}
	if h.split {
		if slot := h.instr.find(out.line, out.line|valid); slot >= 0 {
			h.instr.drop(slot)
		}
	}
}

// giveUp hands a line that left the level before to level k. Clean lines are of
// use to an exclusive level alone.
func (h *Hierarchy) giveUp(k int, from *level, out evicted) {
	if out.dirt.parts != 0 {
		from.counters.Writebacks++
		if h.asStores {
			h.giveUpAsStores(k, from, out)
			return
		}
	}
	h.hand(k, from, out)
}

// hand is giveUp of a whole line, after it was counted.
func (h *Hierarchy) hand(k int, from *level, out evicted) {
	dirty := out.dirt.parts != 0
	if k == len(h.levels) {
		if dirty {
			from.counters.BytesToBelow += uint64(out.dirt.bytes())
			h.writeBack(out)
		}
		return
	}
	l := &h.levels[k]
	if !dirty && l.inclusion != Exclusive {
		return
	}
	slot := l.use(out.line, out.line|valid)
	if slot >= 0 {
		l.counters.WriteHits++
		from.counters.BytesToBelow += uint64(out.dirt.bytes())
		l.setVersion(slot, out.version)
		h.refresh(k, slot, out.fresh)
	} else {
		l.counters.WriteMisses++
		from.counters.BytesToBelow += l.offset + 1
		out.dirt = out.dirt.add(h.absorb(k+1, out.line), l.shift)
		slot = h.makeRoom(l, k, At(out.line))
		l.put(slot, At(out.line), out.version, soil{})
		h.refresh(k, slot, out.fresh)
	}
	if l.through {
		h.hand(k+1, l, out)
	} else {
		l.soil(slot, out.dirt.in(l.part, l.shift))
	}
	h.release(l, k)
}

// refresh notes whether what was just written into a slot of level k is what
// memory is about to supply.
func (h *Hierarchy) refresh(k, slot int, fresh bool) {
	if fresh {
		h.fresh[k] = slot
	} else if h.fetched && h.fresh[k] == slot {
		h.fresh[k] = -1
	}
}

func (h *Hierarchy) giveUpAsStores(k int, from *level, out evicted) {
	for parts, part := out.dirt.parts, out.dirt.part; parts != 0; {
		var start, end int
		parts, start, end = highestRun(parts)
		n := (end - start) << part
		from.counters.BytesToBelow += uint64(n)
		h.store(k, At(out.line+uint64(start)<<part), n, out.version, WriteBack)
	}
}

// writeBack writes the dirty parts of a line to memory.
func (h *Hierarchy) writeBack(out evicted) {
	for parts, part := out.dirt.parts, out.dirt.part; parts != 0; {
		var start, end int
		parts, start, end = highestRun(parts)
		h.cross(WriteBack, out.line+uint64(start)<<part, (end-start)<<part, out.version)
	}
}

// highestRun takes the highest run of ones from a mask: bits start to end-1.
func highestRun(mask uint32) (rest uint32, start, end int) {
	end = bits.Len32(mask)
	start = bits.Len32(^mask & (1<<end - 1))
	return mask & (1<<start - 1), start, end
}
