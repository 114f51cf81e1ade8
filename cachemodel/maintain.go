package cachemodel

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// Effect is the state a maintenance operation found.
type Effect struct {
	Addr    uint64 // physical, of the line; 0 for an empty slot
	Present bool   // in any level concerned
	Dirty   bool   // in any level concerned
	// Version is that of the dirty copy nearest the core, or of the nearest
	// copy if none is dirty.
	Version Version
	// Copies is the copies found, each level's counted.
	Copies int
	// Lookups is the addresses that had to be visited: 1, or the number of
	// colours where all were.
	Lookups int
}

// Maintain carries out an operation on the line of an address in the inner
// levels before a point, at once, as the Cortex-A8's DCCMVAC, DCIMVAC, DCCIMVAC
// and DCCMVAU do. In a virtually indexed level it reaches the copy under that
// address alone, unless the level resolves aliases. Cleaning a line that is dirty anywhere writes it once to the
// first level beyond the point, with the version of the dirty copy nearest the
// core: if that is memory, Traffic then holds the WriteBack, one for each run
// of dirty sub-blocks. All copies that stay have that version and are clean.
// Invalidating drops every copy, dirty or not. What an inclusive level drops is
// dropped everywhere before it: dirty data that the operation would not have
// reached is written out, or lost, with it. It panics if the levels concerned
// differ in line size. O(ways) in each level.
func (h *Hierarchy) Maintain(op Op, a Address, point Point) Effect {
	h.begin()
	return h.maintain(op, a, 0, h.reach(point))
}

// MaintainAliases is Maintain under every address at which the first level can
// hold the physical line: the colours in turn, lowest first, for VIPT; for VIVT
// the virtual addresses that it does hold, by set and way. Each dirty copy is
// written on its own, in that order; lower levels follow once.
func (h *Hierarchy) MaintainAliases(op Op, physical uint64, point Point) Effect {
	h.begin()
	l := &h.levels[0]
	to := h.reach(point)
	if l.index == PIPT || l.resolves || to == 0 {
		return h.maintain(op, At(physical), 0, to)
	}
	line := physical &^ l.offset
	e := Effect{Addr: line}
	for colour := range l.colours {
		l.eachCopy(line, colour, func(slot int) {
			virtual := l.underColour(line, colour)
			if l.index == VIVT {
				virtual = l.slots[slot] &^ state
			}
			e.add(h.maintain(op, Address{virtual, physical}, 0, 1))
		})
	}
	if to > 1 {
		e.add(h.maintain(op, At(physical), 1, to))
	}
	e.Lookups = int(l.colours)
	return e
}

// MaintainOuter is Maintain on the outer levels alone, by physical address, as
// the PL310's operations do.
func (h *Hierarchy) MaintainOuter(op Op, physical uint64) Effect {
	h.begin()
	return h.maintain(op, At(physical), h.inner, len(h.levels))
}

func (h *Hierarchy) begin() { h.crossed, h.fetched = 0, false }

// reach returns the first level beyond a point.
func (h *Hierarchy) reach(point Point) int {
	if point == PoU {
		return min(h.unified, h.inner)
	}
	return h.inner
}

// add takes what a further operation of the same call found.
func (e *Effect) add(x Effect) {
	if x.Present && (!e.Present || x.Dirty && !e.Dirty) {
		e.Version = x.Version
	}
	e.Present = e.Present || x.Present
	e.Dirty = e.Dirty || x.Dirty
	e.Copies += x.Copies
}

// maintain acts on levels from to to-1.
func (h *Hierarchy) maintain(op Op, a Address, from, to int) Effect {
	if from >= to {
		return Effect{Addr: a.Physical &^ h.first.offset, Lookups: 1}
	}
	out := evicted{line: a.Physical &^ h.levels[from].offset, present: true}
	e := Effect{Addr: out.line, Lookups: 1}
	nearest := to // the level of the dirty copy whose version counts
	for k := from; k < to; k++ {
		l := &h.levels[k]
		if l.offset != h.levels[from].offset {
			panic("cachemodel: maintenance by address of levels with different line sizes")
		}
		slot := l.reach(a)
		if slot < 0 {
			continue
		}
		if line := l.line(slot); line != out.line {
			// A virtual address that another line was mapped at before: its copy is what the operation acts on.
			e.add(h.maintainSlot(op, k, slot))
			continue
		}
		dirt := l.soilOf(slot)
		if !e.Present || dirt.parts != 0 && nearest == to {
			e.Version = l.version(slot)
		}
		if dirt.parts != 0 {
			nearest = min(nearest, k)
		}
		e.Present = true
		e.Copies++
		e.Dirty = e.Dirty || dirt.parts != 0
		out.dirt = out.dirt.add(dirt, l.shift)
		if dirt.parts != 0 && op != Invalidate {
			l.counters.Writebacks++
		}
		switch {
		case op == Clean:
			l.cleanse(slot)
		default:
			l.drop(slot)
			if l.inclusion == Inclusive {
				nearest = h.recallWith(k, nearest, &e, &out)
			}
		}
	}
	if out.dirt.parts == 0 || op == Invalidate {
		return e
	}
	if op == Clean {
		for k := from; k < to; k++ {
			l := &h.levels[k]
			if slot := l.reach(a); slot >= 0 && l.line(slot) == out.line {
				l.setVersion(slot, e.Version)
			}
		}
	}
	out.version = e.Version
	h.writeOut(op, to, out)
	return e
}

// recallWith drops the copies of a line that an inclusive level k has just
// dropped and the operation itself does not reach. They are nearer than what it
// reached, but for a copy in the first level. It returns the level of the dirty
// copy whose version counts.
func (h *Hierarchy) recallWith(k, nearest int, e *Effect, out *evicted) int {
	recalled := evicted{line: out.line}
	h.recall(k, &recalled)
	if recalled.dirt.parts == 0 {
		return nearest
	}
	e.Dirty = true
	out.dirt = out.dirt.add(recalled.dirt, h.levels[k].shift)
	if nearest > 0 {
		e.Version = recalled.version
	}
	return 0
}

// writeOut writes what was cleaned to level k.
func (h *Hierarchy) writeOut(op Op, k int, out evicted) {
	sender := &h.levels[max(k-1, 0)]
	if op == Clean {
		k = h.beyond(k, out.line)
	}
	if h.asStores {
		h.giveUpAsStores(k, sender, out)
	} else {
		h.hand(k, sender, out)
	}
}

// beyond returns the first level from k on that takes a line which stays where
// it was: an exclusive one that does not have it is passed by.
func (h *Hierarchy) beyond(k int, line uint64) int {
	for k < len(h.levels) && h.levels[k].inclusion == Exclusive && h.levels[k].find(line, line|valid) < 0 {
		k++
	}
	return k
}

// SetWay carries out an operation on one slot of one level, as the Cortex-A8's
// DCCSW, DCISW and DCCISW do. Cleaning a dirty line writes it to the next level
// as if evicted: over the copy there, or into a slot whose victim may reach
// memory; from the last level, to memory. The effect is that level's line
// alone. A level, set or way out of range panics. O(1), or O(ways) in each level
// below if the line is dirty.
func (h *Hierarchy) SetWay(op Op, level, set, way int) Effect {
	h.begin()
	l := &h.levels[level]
	if set < 0 || set > int(l.setMask) || way < 0 || way >= l.ways {
		panic(fmt.Sprintf("cachemodel: level %d has no set %d, way %d", level, set, way))
	}
	return h.maintainSlot(op, level, set*l.ways+way)
}

func (h *Hierarchy) maintainSlot(op Op, k, slot int) Effect {
	l := &h.levels[k]
	word := l.slots[slot]
	if word == 0 {
		return Effect{}
	}
	e := Effect{Addr: l.line(slot), Present: true, Dirty: word&dirty != 0, Version: l.version(slot), Copies: 1, Lookups: 1}
	out := evicted{line: e.Addr, dirt: l.soilOf(slot), version: e.Version, present: true}
	if op == Clean {
		l.cleanse(slot)
	} else {
		out = h.remove(l, k, slot)
	}
	if out.dirt.parts == 0 || op == Invalidate {
		return e
	}
	to := k + 1
	if op == Clean {
		to = h.beyond(to, out.line)
	}
	h.giveUp(to, l, out)
	return e
}

// EmptySets returns how many sets from the given one on have nothing in a way,
// so that a loop over all sets can pass them at once. O(1) for each 64 sets
// that hold nothing at all.
func (h *Hierarchy) EmptySets(level, set, way int) int {
	l := &h.levels[level]
	sets := int(l.setMask) + 1
	for at := set; at < sets; {
		rest := l.occupied[at>>6] >> (at & 63)
		if rest == 0 {
			at = at&^63 + 64
			continue
		}
		at += bits.TrailingZeros64(rest)
		if l.slots[at*l.ways+way] != 0 {
			return at - set
		}
		at++
	}
	return sets - set
}

// Total is what an operation on whole levels found.
type Total struct {
	Slots   uint64 // visited: every set and way
	Present uint64 // lines found
	Dirty   uint64 // of those
}

// MaintainAll carries out an operation on every set and way of the inner levels
// before a point, level by level from the core, way by way, as the loop of
// v7_flush_dcache_all does. It does not reach outer levels. Traffic holds
// nothing: the counters say what was written. Its time is in proportion to the
// lines held, not to capacity.
func (h *Hierarchy) MaintainAll(op Op, point Point) Total {
	return h.maintainLevels(op, 0, h.reach(point))
}

// MaintainAllOuter is MaintainAll on the outer levels, as the PL310's operations
// by way do.
func (h *Hierarchy) MaintainAllOuter(op Op) Total {
	return h.maintainLevels(op, h.inner, len(h.levels))
}

func (h *Hierarchy) maintainLevels(op Op, from, to int) Total {
	var t Total
	for k := from; k < to; k++ {
		l := &h.levels[k]
		t.Slots += uint64(len(l.slots))
		sets := int(l.setMask) + 1
		for way := range l.ways {
			for set := h.EmptySets(k, 0, way); set < sets; set += 1 + h.emptyAfter(k, set, way) {
				h.begin()
				e := h.maintainSlot(op, k, set*l.ways+way)
				t.Present++
				if e.Dirty {
					t.Dirty++
				}
			}
		}
		if op != Clean {
			clear(l.occupied)
		}
	}
	h.begin()
	return t
}

func (h *Hierarchy) emptyAfter(k, set, way int) int {
	if set == int(h.levels[k].setMask) {
		return 0
	}
	return h.EmptySets(k, set+1, way)
}

// InvalidateInstructions empties the instruction side of a split first level.
func (h *Hierarchy) InvalidateInstructions() {
	if h.split {
		h.instr.empty()
	}
}

// Empty drops everything without writing anything back.
func (h *Hierarchy) Empty() {
	h.begin()
	for k := range h.levels {
		h.levels[k].empty()
	}
	h.InvalidateInstructions()
}

func (l *level) empty() {
	for i, sets := range l.occupied {
		for ; sets != 0; sets &= sets - 1 {
			first := (i<<6 + bits.TrailingZeros64(sets)) * l.ways
			for slot := first; slot < first+l.ways; slot++ {
				if l.slots[slot] != 0 {
					l.drop(slot)
				}
			}
		}
	}
	clear(l.occupied)
}

// CopyBack writes every dirty line to the next level, level by level from the
// core, without invalidating: sets from the last to the first, in each the line
// next to be replaced first where the policy keeps an order, else by way. It is
// the order in which DineroIV flushes. Traffic holds nothing: the counters say
// what was written.
func (h *Hierarchy) CopyBack() {
	for k := range h.levels {
		l := &h.levels[k]
		ways := h.order
		for set := int(l.setMask); set >= 0; set-- {
			if l.occupied[set>>6]>>(set&63)&1 == 0 {
				continue
			}
			ways = ways[:0]
			for way := range l.ways {
				if l.slots[set*l.ways+way]&dirty != 0 {
					ways = append(ways, way)
				}
			}
			if l.stamps != nil {
				slices.SortFunc(ways, func(a, b int) int { return cmp.Compare(l.stamps[set*l.ways+a], l.stamps[set*l.ways+b]) })
			}
			for _, way := range ways {
				h.begin()
				h.maintainSlot(Clean, k, set*l.ways+way)
			}
		}
	}
	h.begin()
}

// TestClean is one turn of the ARM926's test-and-clean loop, with Clean or
// CleanInvalidate: it cleans, and with the latter also drops, one dirty line of the first level, if there is
// one. Once there is none it reports done, and CleanInvalidate then drops the
// rest. A loop until done costs O(lines held).
func (h *Hierarchy) TestClean(op Op) (e Effect, done bool) {
	h.begin()
	l := &h.levels[0]
	sets := int(l.setMask) + 1
	for range sets {
		set := h.cursor
		if l.occupied[set>>6]>>(set&63)&1 != 0 {
			for slot := set * l.ways; slot < (set+1)*l.ways; slot++ {
				if l.slots[slot]&dirty != 0 {
					return h.maintainSlot(op, 0, slot), false
				}
			}
		}
		h.cursor = (set + 1) % sets
	}
	if op != Clean {
		l.empty()
	}
	return Effect{}, true
}
