package cachemodel

// Version says which write a copy of a line holds. This package only carries
// it; 0 is also what it reports where there is none.
type Version uint64

// Address is where an access goes: the CPU's virtual address and the physical
// one it is translated to. Only a virtually indexed level looks at the former.
type Address struct{ Virtual, Physical uint64 }

// At is the address of memory that is mapped one to one.
func At(physical uint64) Address { return Address{physical, physical} }

// Transfer is one transfer between the last level and memory.
type Transfer struct {
	Addr    uint64 // of its first byte
	Bytes   int
	Version Version      // of the data written; 0 for a fetch
	Kind    TransferKind // Fetch, WriteBack or Store
}

// Counters counts what arrived at one level. For every level but the first,
// instruction fetches and reads are the fills of the levels above, and writes
// are the stores they passed on and the dirty lines they gave up.
type Counters struct {
	InstrHits, InstrMisses, ReadHits, ReadMisses, WriteHits, WriteMisses uint64
	// Straddles is the accesses that arrived in more than one piece, because
	// they crossed the level's lines.
	Straddles uint64
	// Writebacks is the dirty lines that left the level downwards, evicted or
	// cleaned. A line that is dirty in two levels and cleaned by address
	// leaves both. One that an inclusive level recalls counts where it leaves
	// from in the end, not at the nearer level.
	Writebacks uint64
	// BytesFromBelow is what the level fetched, for an exclusive one also what
	// passed it by on the way up; BytesToBelow what it wrote back or passed on.
	BytesFromBelow, BytesToBelow uint64
	// AliasCopies is the lines installed while a copy lay under another colour
	// or virtual address; AliasesResolved is the copies evicted for that.
	AliasCopies, AliasesResolved uint64
}

// Hierarchy is the caches of one CPU. It is not safe for concurrent use. No
// method allocates.
type Hierarchy struct {
	levels     []level
	first      *level // of levels
	instr      *level // where fetches go: the instruction side, or the first level
	split      bool   // whether the first level is
	quick      [4]side
	inner      int  // levels before the first outer one
	unified    int  // levels before the point of unification
	asStores   bool // victims arrive at the next level as stores
	inclusive  bool // a level is
	exclusive  bool // a level is
	hitVersion Version
	settled    bool // whether hitVersion is
	traffic    []Transfer
	crossed    int // the first of traffic are of the last operation
	fetched    bool
	fetchedKey uint64
	buffers    []evicted // per level, its eviction buffer
	fresh      []int     // per level, the slot that holds what memory supplied, or -1
	order      []int     // scratch of CopyBack, as long as a set
	cursor     int       // where the test-and-clean loop goes on
}

// New returns an empty hierarchy, or an error that names the first setting of
// the configuration that makes no sense. A line takes 8 bytes; 4 more with LRU
// or FIFO, 4 with sub-blocks (8 if sectored), 8 with versions, 8 if it is
// tagged virtually.
func New(c Config) (*Hierarchy, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	n := len(c.Levels)
	h := &Hierarchy{
		levels:   make([]level, n),
		inner:    n,
		unified:  c.Unification,
		asStores: c.VictimsAsStores || !c.uniform() || c.sectored(),
		traffic:  make([]Transfer, 64),
		fresh:    make([]int, n),
		buffers:  make([]evicted, n),
	}
	for i, l := range c.Levels {
		h.levels[i] = newLevel(c, l, c.Versions, uint64(i))
		h.order = make([]int, 0, max(cap(h.order), l.Ways))
		h.inclusive = h.inclusive || l.Inclusion == Inclusive
		h.exclusive = h.exclusive || l.Inclusion == Exclusive
		if l.Outer && h.inner == n {
			h.inner = i
		}
	}
	h.first = &h.levels[0]
	h.instr = h.first
	if c.Instruction != nil {
		l := newLevel(c, *c.Instruction, false, uint64(n))
		h.instr, h.split = &l, true
	}
	h.quick = h.sides()
	return h, nil
}

// Levels returns the number of levels, n. Level n is memory.
func (h *Hierarchy) Levels() int { return len(h.levels) }

// AllocatesForStores reports whether a level does.
func (h *Hierarchy) AllocatesForStores() bool {
	for k := range h.levels {
		if h.levels[k].onStore {
			return true
		}
	}
	return false
}

// KeepsAliases reports whether the first level can hold a physical line under
// several addresses, each copy with a life of its own.
func (h *Hierarchy) KeepsAliases() bool {
	l := h.first
	return l.index == VIVT || l.index == VIPT && l.colours > 1 && !l.resolves
}

// Inner returns the number of levels before the first outer one.
func (h *Hierarchy) Inner() int { return h.inner }

// LineSize returns the bytes of a line of the first level.
func (h *Hierarchy) LineSize() int { return int(h.first.offset) + 1 }

// Sets returns the number of sets of a level.
func (h *Hierarchy) Sets(level int) int { return int(h.levels[level].setMask) + 1 }

// Ways returns the number of ways of a level.
func (h *Hierarchy) Ways(level int) int { return h.levels[level].ways }

// Colours returns how many colours the first level has.
func (h *Hierarchy) Colours() int { return int(h.first.colours) }

// Read loads n bytes, all inside one line of the first level. It returns the
// level that had them, or Levels() if memory must supply them: then Traffic
// holds a Fetch, and Filled says which version came. On a miss the line is
// installed on the way, as the inclusion of each level says. O(ways) in each
// level asked.
func (h *Hierarchy) Read(a Address, n int) int {
	h.crossed = 0
	l := h.first
	index, key := l.locate(a)
	set := l.set(index)
	slot := int(l.latest[set])
	if l.slots[slot]&^dirty != key {
		slot = l.useOther(set, key)
	}
	if slot < 0 || l.held != nil && !l.holds(slot, a.Physical, n) {
		l.counters.ReadMisses++
		return h.miss(l, false, a, n, slot)
	}
	l.counters.ReadHits++
	if l.versions != nil {
		h.hitVersion = l.versions[slot]
	}
	return 0
}

// Fetch reads an instruction: as Read does, from the instruction side if the
// first level is split. That side carries no versions.
func (h *Hierarchy) Fetch(a Address, n int) int {
	h.crossed = 0
	l := h.instr
	index, key := l.locate(a)
	set := l.set(index)
	slot := int(l.latest[set])
	if l.slots[slot]&^dirty != key {
		slot = l.useOther(set, key)
	}
	if slot < 0 || l.held != nil && !l.holds(slot, a.Physical, n) {
		l.counters.InstrMisses++
		return h.miss(l, true, a, n, slot)
	}
	l.counters.InstrHits++
	h.hitVersion = l.version(slot)
	return 0
}

// Write stores n bytes, all inside one line of the first level, v being the
// write's version. It returns the level that took the store, where the line is
// dirty now, or Levels() if it went on to memory: then Traffic holds a Store. A
// level that allocates for a store gets the line from below first, and Traffic
// holds a Fetch if that was memory; unless the store covers the line. O(ways) in
// each level asked.
func (h *Hierarchy) Write(a Address, n int, v Version) int {
	h.crossed = 0
	l := h.first
	slot := -1
	if !l.through && l.soiled == nil {
		slot = l.use(l.locate(a))
	}
	if slot < 0 {
		h.fetched, h.settled, h.hitVersion = false, false, 0
		return h.store(0, a, n, v, Store)
	}
	l.counters.WriteHits++
	l.slots[slot] |= dirty
	if l.versions != nil {
		h.hitVersion = l.versions[slot]
		l.versions[slot] = v
	}
	return 0
}

// HitVersion returns the version of the copy that the last Read or Write hit
// (after Fetch, that of a copy outside the instruction side),
// from before the write: of those it came upon, the one nearest the core. It
// is 0 if there was none; so it is for a store that covers the line in a level
// that allocated it, as that looks no further.
func (h *Hierarchy) HitVersion() Version { return h.hitVersion }

// Filled says which version memory supplied for the line that the last Read or
// Write fetched. Every copy just installed carries it, except those that the
// write has written since. It must come before the next operation; without a
// fetch it does nothing.
func (h *Hierarchy) Filled(v Version) {
	if h.crossed == 0 || !h.fetched {
		return
	}
	for k, slot := range h.fresh {
		// A victim may have pushed the copy out again.
		if l := &h.levels[k]; slot >= 0 && l.slots[slot] != 0 && l.line(slot)|valid == h.fetchedKey {
			l.setVersion(slot, v)
		}
	}
}

// Traffic returns what crossed between the last level and memory in the last
// operation, in hardware's order. The slice is reused by the next operation.
func (h *Hierarchy) Traffic() []Transfer { return h.traffic[:h.crossed] }

// Counters returns what arrived at a level since the last reset.
func (h *Hierarchy) Counters(level int) Counters { return h.levels[level].counters }

// InstructionCounters returns what arrived at the instruction side, if the
// first level is split.
func (h *Hierarchy) InstructionCounters() (Counters, bool) {
	if !h.split {
		return Counters{}, false
	}
	return h.instr.counters, true
}

// ResetCounters sets the counters of all levels to zero.
func (h *Hierarchy) ResetCounters() {
	for k := range h.levels {
		h.levels[k].counters = Counters{}
	}
	h.instr.counters = Counters{}
}

// Probe returns the level and the version of the copy nearest the core that
// maintenance of the address would reach, and whether any level holds that line
// dirty, without changing anything. The level is Levels() if there is no copy.
func (h *Hierarchy) Probe(a Address) (level int, isDirty bool, v Version) {
	level = len(h.levels)
	for k := len(h.levels) - 1; k >= 0; k-- {
		l := &h.levels[k]
		if slot := l.reach(a); slot >= 0 {
			level, v = k, l.version(slot)
			isDirty = isDirty || l.slots[slot]&dirty != 0
		}
	}
	return level, isDirty, v
}

// Line is a line that a level holds.
type Line struct {
	Set, Way int
	Tag      uint64 // the address that it is found by: virtual in a VIVT level, else physical
	Physical uint64
	Valid    uint32 // a bit for each sub-block
	Dirty    uint32 // a bit for each sub-block
	Version  Version
}

// Lines visits the lines a level holds, by set, then by way.
func (h *Hierarchy) Lines(level int, visit func(Line)) { h.levels[level].lines(visit) }

// InstructionLines visits the lines that the instruction side holds.
func (h *Hierarchy) InstructionLines(visit func(Line)) {
	if h.split {
		h.instr.lines(visit)
	}
}

func (l *level) lines(visit func(Line)) {
	for slot, word := range l.slots {
		if word == 0 {
			continue
		}
		held := l.whole
		if l.held != nil {
			held = l.held[slot]
		}
		visit(Line{
			Set: slot / l.ways, Way: slot % l.ways, Tag: word &^ state, Physical: l.line(slot),
			Valid: held, Dirty: l.soiledParts(slot), Version: l.version(slot),
		})
	}
}

// cross notes a transfer between the last level and memory.
func (h *Hierarchy) cross(kind TransferKind, addr uint64, n int, v Version) {
	if h.first.versions == nil {
		v = 0
	}
	if h.crossed == len(h.traffic) {
		h.traffic = append(h.traffic, make([]Transfer, len(h.traffic))...)
	}
	h.traffic[h.crossed] = Transfer{Addr: addr, Bytes: n, Version: v, Kind: kind}
	h.crossed++
}
