package cachemodel

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// A slot of a level is one word: its tag, which is the line's physical address
// (virtual in a VIVT level) whose low bits are zero, with the state in them.
// Zero is an empty slot.
const (
	valid = 1 << iota
	dirty
	state = valid | dirty
)

// level is one cache: slots in set, way order. A line takes 8 bytes; 4 more
// with LRU or FIFO, 4 with dirty sub-blocks, 4 with valid ones, 8 with
// versions, 8 in a VIVT level. A set takes 4 bytes, and 8 more with PLRU, 2
// with round robin.
type level struct {
	slots    []uint64
	latest   []uint32  // per set, the slot used last
	stamps   []uint32  // when last used (LRU) or filled (FIFO), 0 for an empty slot; nil otherwise
	trees    []uint64  // PLRU: per set, bit n of node n is set if the victim is to the right
	turns    []uint16  // round robin: per set, the way to give up next
	held     []uint32  // sectored: the valid sub-blocks
	soiled   []uint32  // the dirty sub-blocks; nil if lines are dirty as a whole
	physical []uint64  // VIVT: the line's physical address
	versions []Version // nil without versions
	occupied []uint64  // a bit for each set that may hold a line

	empties     int // slots
	clock       uint32
	ways        int
	setMask     uint64
	shift       uint   // log2 of the line size
	offset      uint64 // the address bits inside a line
	part        uint   // log2 of the sub-block size, or of the line size
	whole       uint32 // a bit for each sub-block of a line
	colours     uint64 // sets that a physical line may be in
	colourBit   uint64 // the lowest address bit of the colour: the page size
	index       Index
	resolves    bool
	inclusion   Inclusion
	replacement Replacement
	through     bool // write-through
	onStore     bool // allocates on a store
	rng         rand.PCG
	counters    Counters
}

func newLevel(c Config, l LevelConfig, versions bool, number uint64) level {
	lines, sets := l.Size/l.Line, l.Sets()
	block := l.SubBlock
	if block == 0 {
		block = l.Line
	}
	v := level{
		slots:       make([]uint64, lines),
		latest:      make([]uint32, sets),
		empties:     lines,
		occupied:    make([]uint64, (sets+63)/64),
		ways:        l.Ways,
		setMask:     uint64(sets - 1),
		shift:       uint(bits.TrailingZeros(uint(l.Line))),
		offset:      uint64(l.Line - 1),
		part:        uint(bits.TrailingZeros(uint(block))),
		whole:       uint32(uint64(1)<<(l.Line/block) - 1),
		colours:     uint64(l.Colours(c.page())),
		colourBit:   uint64(c.page()),
		index:       l.Index,
		resolves:    l.Aliases == AliasesResolved && l.Index == VIPT,
		inclusion:   l.Inclusion,
		replacement: l.Replacement,
		through:     l.Write == WriteThrough,
		onStore:     l.Allocate == ReadWriteAllocate,
	}
	switch l.Replacement {
	case LRU, FIFO:
		v.stamps = make([]uint32, lines)
	case PLRU:
		v.trees = make([]uint64, sets)
	case RoundRobin:
		v.turns = make([]uint16, sets)
	}
	if block < l.Line {
		v.soiled = make([]uint32, lines)
		if l.Sectored {
			v.held = make([]uint32, lines)
		}
	}
	if l.Index == VIVT {
		v.physical = make([]uint64, lines)
	}
	if versions {
		v.versions = make([]Version, lines)
	}
	for set := range v.latest {
		v.latest[set] = uint32(set * l.Ways)
	}
	v.rng.Seed(c.Seed, number)
	return v
}

// locate returns what picks the set, and the key of the line: its tag with the
// valid bit.
func (l *level) locate(a Address) (index, key uint64) {
	if l.index == PIPT {
		return a.Physical, a.Physical&^l.offset | valid
	}
	if l.index == VIPT {
		return a.Virtual, a.Physical&^l.offset | valid
	}
	return a.Virtual, a.Virtual&^l.offset | valid
}

// set returns the set that the index picks. Only here is an address turned
// into a set.
func (l *level) set(index uint64) int { return int(index >> (l.shift & 63) & l.setMask) }

// find returns the slot that holds the line, or -1. O(1) for the way used last,
// else O(ways).
func (l *level) find(index, key uint64) int {
	set := l.set(index)
	if slot := int(l.latest[set]); l.slots[slot]&^dirty == key {
		return slot
	}
	first := set * l.ways
	for way, word := range l.slots[first : first+l.ways] {
		if word&^dirty == key {
			return first + way
		}
	}
	return -1
}

// use is find, and notes the use of the line. The way used last in its set
// needs no note.
func (l *level) use(index, key uint64) int {
	set := l.set(index)
	if slot := int(l.latest[set]); l.slots[slot]&^dirty == key {
		return slot
	}
	return l.useOther(set, key)
}

// useOther is use where the line is not in the way used last.
func (l *level) useOther(set int, key uint64) int {
	first := set * l.ways
	for way, word := range l.slots[first : first+l.ways] {
		if word&^dirty != key {
			continue
		}
		l.latest[set] = uint32(first + way)
		switch l.replacement {
		case LRU:
			l.stamp(first + way)
		case PLRU:
			l.pointAway(set, way)
		}
		return first + way
	}
	return -1
}

// stamp makes the slot the newest of its set.
func (l *level) stamp(slot int) {
	if l.clock == math.MaxUint32 {
		l.renumber()
	}
	l.clock++
	l.stamps[slot] = l.clock
}

// renumber replaces the stamps of each set by their rank, which keeps their
// order, and sets the clock back. O(lines x ways), once in 2^32 uses.
func (l *level) renumber() {
	rank := make([]uint32, l.ways)
	for first := 0; first < len(l.stamps); first += l.ways {
		set := l.stamps[first : first+l.ways]
		for i, s := range set {
			rank[i] = 0
			if s == 0 {
				continue
			}
			for _, t := range set {
				if t != 0 && t <= s {
					rank[i]++
				}
			}
		}
		copy(set, rank)
	}
	l.clock = uint32(l.ways)
}

// pointAway turns the nodes on the way's path to the other side.
func (l *level) pointAway(set, way int) {
	tree, node := l.trees[set], uint(1)
	for half := l.ways >> 1; half > 0; half >>= 1 {
		if way&half != 0 {
			tree &^= 1 << node
			node = node<<1 | 1
		} else {
			tree |= 1 << node
			node <<= 1
		}
	}
	l.trees[set] = tree
}

// victim returns the way of the set to fill next: the lowest empty one, else as
// the replacement policy says. O(ways).
func (l *level) victim(set int) int {
	first := set * l.ways
	if l.stamps != nil { // an empty slot has the oldest stamp, 0
		ages := l.stamps[first : first+l.ways]
		oldest := 0
		for way, age := range ages {
			if age < ages[oldest] {
				oldest = way
			}
		}
		return oldest
	}
	if l.empties > 0 {
		for way, word := range l.slots[first : first+l.ways] {
			if word == 0 {
				return way
			}
		}
	}
	switch l.replacement {
	case PLRU:
		node := uint(1)
		for half := l.ways >> 1; half > 0; half >>= 1 {
			node = node<<1 | uint(l.trees[set]>>node&1)
		}
		return int(node) - l.ways
	case RoundRobin:
		way := int(l.turns[set])
		l.turns[set]++
		if int(l.turns[set]) == l.ways {
			l.turns[set] = 0
		}
		return way
	}
	way, _ := bits.Mul64(l.rng.Uint64(), uint64(l.ways))
	return int(way)
}

// put fills an empty slot with a line.
func (l *level) put(slot int, a Address, v Version, s soil) {
	index, key := l.locate(a)
	set := l.set(index)
	l.empties--
	l.slots[slot] = key
	l.latest[set] = uint32(slot)
	switch l.replacement {
	case LRU, FIFO:
		l.stamp(slot)
	case PLRU:
		l.pointAway(set, slot-set*l.ways)
	}
	if l.physical != nil {
		l.physical[slot] = a.Physical &^ l.offset
	}
	l.occupied[set>>6] |= 1 << (set & 63)
	if l.versions != nil {
		l.versions[slot] = v
	}
	if s.parts != 0 {
		l.soil(slot, s.in(l.part, l.shift))
	}
}

// drop empties a slot that holds a line.
func (l *level) drop(slot int) {
	l.empties++
	l.slots[slot] = 0
	if l.stamps != nil {
		l.stamps[slot] = 0
	}
	if l.held != nil {
		l.held[slot] = 0
	}
	if l.soiled != nil {
		l.soiled[slot] = 0
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

// line returns the physical address of the line in the slot.
func (l *level) line(slot int) uint64 {
	if l.physical != nil {
		return l.physical[slot]
	}
	return l.slots[slot] &^ state
}

// parts returns the sub-blocks that n bytes from addr touch, all in one line.
func (l *level) parts(addr uint64, n int) uint32 {
	first := addr & l.offset >> (l.part & 63)
	last := (addr&l.offset + uint64(n) - 1) >> (l.part & 63)
	return uint32(uint64(2)<<last - uint64(1)<<first)
}

// blocks returns where the sub-blocks that n bytes from addr touch begin, and
// their bytes: those of a sectored level, else the line.
func (l *level) blocks(addr uint64, n int) (start uint64, size int) {
	if l.held == nil {
		return addr &^ l.offset, int(l.offset) + 1
	}
	mask := uint64(1)<<l.part - 1
	start = addr &^ mask
	return start, int((addr+uint64(n)+mask)&^mask - start)
}

// covers reports whether n bytes from addr leave nothing of the blocks they touch.
func (l *level) covers(addr uint64, n int) bool {
	start, size := l.blocks(addr, n)
	return start == addr && size == n
}

// holds reports whether the slot's line has valid all that n bytes touch.
func (l *level) holds(slot int, addr uint64, n int) bool {
	if l.held == nil {
		return true
	}
	parts := l.parts(addr, n)
	return l.held[slot]&parts == parts
}

// hold makes valid what n bytes touch.
func (l *level) hold(slot int, addr uint64, n int) {
	if l.held != nil {
		l.held[slot] |= l.parts(addr, n)
	}
}

// soil makes sub-blocks of the slot's line dirty.
func (l *level) soil(slot int, parts uint32) {
	if parts == 0 {
		return
	}
	l.slots[slot] |= dirty
	if l.soiled != nil {
		l.soiled[slot] |= parts
	}
}

// soilOf returns the dirty parts of the slot's line.
func (l *level) soilOf(slot int) soil { return soil{l.soiledParts(slot), l.part} }

// soiledParts returns the dirty sub-blocks of the slot's line.
func (l *level) soiledParts(slot int) uint32 {
	switch {
	case l.slots[slot]&dirty == 0:
		return 0
	case l.soiled != nil:
		return l.soiled[slot]
	}
	return l.whole
}

// cleanse makes the slot's line clean.
func (l *level) cleanse(slot int) {
	l.slots[slot] &^= dirty
	if l.soiled != nil {
		l.soiled[slot] = 0
	}
}

// soil is the dirty parts of a line on its way: a bit for each 1<<part bytes.
type soil struct {
	parts uint32
	part  uint
}

// bytes returns how many bytes are dirty.
func (s soil) bytes() int { return bits.OnesCount32(s.parts) << s.part }

// in returns the dirty parts of a line of 1<<shift bytes by other parts. One
// that is dirty in part is dirty.
func (s soil) in(part, shift uint) uint32 {
	switch {
	case s.part == part:
		return s.parts
	case s.parts == 0:
		return 0
	}
	small := min(s.part, part)
	var out uint32
	for i := range uint(1) << (shift - small) {
		if at := i << small; s.parts>>(at>>s.part)&1 != 0 {
			out |= 1 << (at >> part)
		}
	}
	return out
}

// add returns the dirty parts of both, of a line of 1<<shift bytes.
func (s soil) add(x soil, shift uint) soil {
	if x.parts == 0 {
		return s
	}
	if s.parts == 0 {
		return x
	}
	part := min(s.part, x.part)
	return soil{s.in(part, shift) | x.in(part, shift), part}
}
