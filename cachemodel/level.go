package cachemodel

import (
	"math/bits"
	"math/rand/v2"
)

// A slot of a level is one word: the line's address, whose low bits are zero,
// with the state in them. Zero is an empty slot.
const (
	valid = 1 << iota
	dirty
	state = valid | dirty
)

// level is one cache: ways x sets slots in set, way order, 8 bytes each, with
// 8 more for exact LRU and 8 more for versions where they are asked for.
type level struct {
	slots    []uint64
	versions []Version // nil without versions
	used     []uint64  // clock of the last use; nil unless LRU
	clock    uint64
	ways     int
	setMask  uint64
	shift    uint // log2 of the line size
	through  bool // write-through
	onStore  bool // allocates on a store
	rng      rand.PCG
	counters Counters
}

func newLevel(c LevelConfig, versions bool, seed, number uint64) level {
	lines := c.Size / c.Line
	l := level{
		slots:   make([]uint64, lines),
		ways:    c.Ways,
		setMask: uint64(c.Sets() - 1),
		shift:   uint(bits.TrailingZeros(uint(c.Line))),
		through: c.Write == WriteThrough,
		onStore: c.Allocate == ReadWriteAllocate,
	}
	if versions {
		l.versions = make([]Version, lines)
	}
	if c.Replacement == LRU {
		l.used = make([]uint64, lines)
	}
	l.rng.Seed(seed, number)
	return l
}

// first returns the first slot of the set the address falls in. Only here is
// an address turned into an index.
func (l *level) first(addr uint64) int { return int(addr>>(l.shift&63)&l.setMask) * l.ways }

// find returns the slot that holds the line, or -1. The key is the line's
// address with the valid bit.
func (l *level) find(key uint64) int {
	first := l.first(key)
	for way, slot := range l.slots[first : first+l.ways] {
		if slot&^dirty == key {
			return first + way
		}
	}
	return -1
}

// touch makes the slot the most recently used.
func (l *level) touch(slot int) {
	if l.used != nil {
		l.clock++
		l.used[slot] = l.clock
	}
}

// version returns what the slot's copy carries.
func (l *level) version(slot int) Version {
	if l.versions == nil {
		return 0
	}
	return l.versions[slot]
}

func (l *level) setVersion(slot int, v Version) {
	if l.versions != nil {
		l.versions[slot] = v
	}
}

// victim returns the slot of the address's set to fill next: the lowest empty
// one, else as the replacement policy says. O(ways).
func (l *level) victim(addr uint64) int {
	first := l.first(addr)
	for way, slot := range l.slots[first : first+l.ways] {
		if slot == 0 {
			return first + way
		}
	}
	if l.used == nil {
		way, _ := bits.Mul64(l.rng.Uint64(), uint64(l.ways))
		return first + int(way)
	}
	oldest := first
	for i := first + 1; i < first+l.ways; i++ {
		if l.used[i] < l.used[oldest] {
			oldest = i
		}
	}
	return oldest
}

// replace puts a line that the level does not hold into its set and returns
// what was there before: the slot's word, 0 if it was empty, and its version.
// A dirty line that leaves is counted.
func (l *level) replace(word uint64, v Version) (slot int, old uint64, oldVersion Version) {
	slot = l.victim(word)
	old, oldVersion = l.slots[slot], l.version(slot)
	if old&dirty != 0 {
		l.counters.Writebacks++
	}
	l.slots[slot] = word
	l.setVersion(slot, v)
	l.touch(slot)
	return slot, old, oldVersion
}
