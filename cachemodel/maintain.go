package cachemodel

import "fmt"

// Effect is the state a maintenance operation found.
type Effect struct {
	Addr    uint64 // of the line; 0 for an empty slot
	Present bool   // in any level concerned
	Dirty   bool   // in any level concerned
	// Version is that of the dirty copy nearest the core, or of the nearest
	// copy if none is dirty.
	Version Version
}

// Maintain carries out an operation on the line of an address in all levels at
// once, to the point of coherency, as the Cortex-A8's DCCMVAC, DCIMVAC and
// DCCIMVAC do. Cleaning a line that is dirty anywhere writes it to memory once:
// Traffic then holds the WriteBack, with the version of the dirty copy nearest
// the core, and all copies that stay have that version and are clean.
// Invalidating drops every copy, dirty or not. O(ways) in each level.
func (h *Hierarchy) Maintain(op Op, addr uint64) Effect {
	key := addr&^h.offset | valid
	h.crossed = 0
	e := Effect{Addr: key &^ state}
	for k := range h.levels {
		l := &h.levels[k]
		slot := l.find(key)
		if slot < 0 {
			continue
		}
		isDirty := l.slots[slot]&dirty != 0
		if !e.Present || isDirty && !e.Dirty {
			e.Version = l.version(slot)
		}
		e.Present = true
		e.Dirty = e.Dirty || isDirty
		if isDirty && op != Invalidate {
			l.counters.Writebacks++
		}
		if op == Clean {
			l.slots[slot] = key
		} else {
			l.slots[slot] = 0
		}
	}
	if !e.Dirty || op == Invalidate {
		return e
	}
	h.cross(WriteBack, key, e.Version)
	if op == Clean {
		h.agree(key, e.Version)
	}
	return e
}

// agree gives all copies of a line one version.
func (h *Hierarchy) agree(key uint64, v Version) {
	for k := range h.levels {
		l := &h.levels[k]
		if slot := l.find(key); slot >= 0 {
			l.setVersion(slot, v)
		}
	}
}

// SetWay carries out an operation on one slot of one level, as the Cortex-A8's
// DCCSW, DCISW and DCCISW do. Cleaning a dirty line writes it to the next level
// as if evicted: over the copy there, or into a slot whose victim may reach
// memory; from the last level, to memory. The effect is that level's line
// alone. A level, set or way out of range panics. O(1), or O(ways) in each level
// below if the line is dirty.
func (h *Hierarchy) SetWay(op Op, level, set, way int) Effect {
	h.crossed = 0
	l := &h.levels[level]
	if set < 0 || set > int(l.setMask) || way < 0 || way >= l.ways {
		panic(fmt.Sprintf("cachemodel: level %d has no set %d, way %d", level, set, way))
	}
	slot := set*l.ways + way
	word := l.slots[slot]
	if word == 0 {
		return Effect{}
	}
	e := Effect{Addr: word &^ state, Present: true, Dirty: word&dirty != 0, Version: l.version(slot)}
	if op == Clean {
		l.slots[slot] = word &^ dirty
	} else {
		l.slots[slot] = 0
	}
	if e.Dirty && op != Invalidate {
		l.counters.Writebacks++
		h.writeDown(level+1, word&^dirty, e.Version)
	}
	return e
}
