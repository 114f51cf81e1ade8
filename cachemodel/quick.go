package cachemodel

// Access is what an access does.
type Access uint8

// The accesses.
const (
	Instruction Access = iota // a fetch
	Load
	StoreTo
)

// side is what Quick needs of the level that an access goes to.
type side struct {
	l     *level
	hits  *uint64
	dirty uint64 // the state that a hit sets
	quick bool   // whether a hit needs nothing more
}

// sides prepares Quick. It is for hierarchies without versions, whose first
// level is indexed physically and not sectored; and for stores only if they
// make a line dirty as a whole.
func (h *Hierarchy) sides() [4]side {
	plain := func(l *level) bool { return l.versions == nil && l.index == PIPT && l.held == nil }
	d, i := h.first, h.instr
	return [4]side{
		Instruction: {l: i, hits: &i.counters.InstrHits, quick: plain(i) && d.versions == nil},
		Load:        {l: d, hits: &d.counters.ReadHits, quick: plain(d)},
		StoreTo:     {l: d, hits: &d.counters.WriteHits, dirty: dirty, quick: plain(d) && !d.through && d.soiled == nil},
		3:           {l: d},
	}
}

// Quick carries out an access to physical memory if it hits the line used last
// in its set, which most do, and reports whether it did. If not it has done
// nothing: Read, Fetch or Write must follow. It saves the caller from choosing
// between those: a trace changes between them as if by chance, which costs the
// host more than the look-up. O(1). Traffic is empty after it.
func (h *Hierarchy) Quick(what Access, addr uint64, n int) bool {
	s := &h.quick[what&3]
	l := s.l
	if !s.quick || addr&l.offset+uint64(n) > l.offset+1 {
		return false
	}
	slot := l.latest[addr>>(l.shift&63)&l.setMask]
	word := l.slots[slot]
	if word&^dirty != addr&^l.offset|valid {
		return false
	}
	l.slots[slot] = word | s.dirty
	*s.hits++
	h.crossed = 0
	return true
}
