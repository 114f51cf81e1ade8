package cachemodel

// Version says which write a copy of a line holds. This package only carries
// it; 0 is also what it reports where there is none.
type Version uint64

// Transfer is one transfer between the last level and memory.
type Transfer struct {
	Addr    uint64       // of the line
	Version Version      // of the data written; 0 for a fetch
	Kind    TransferKind // Fetch, WriteBack or Store
}

// Counters counts what arrived at one level. For every level but the first,
// reads are the fills of the levels above and writes are the stores they
// passed on and the dirty lines they gave up.
type Counters struct {
	ReadHits, ReadMisses, WriteHits, WriteMisses uint64
	// Writebacks is the dirty lines that left the level downwards, evicted or
	// cleaned. A line that is dirty in two levels and cleaned by address
	// leaves both.
	Writebacks uint64
}

// Hierarchy is the caches of one CPU. It is not safe for concurrent use. No
// method allocates.
type Hierarchy struct {
	levels     []level
	offset     uint64 // the address bits inside a line
	hitVersion Version
	traffic    []Transfer // the first crossed are of the last operation
	crossed    int
	installed  []int // per level, the slot the last access installed the line in
	fresh      int   // the first level whose installed copy holds what memory supplied
}

// New returns an empty hierarchy, or an error that names the first setting of
// the configuration that makes no sense. It takes 8 bytes a line, 8 more with
// LRU, 8 more with versions.
func New(c Config) (*Hierarchy, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	n := len(c.Levels)
	h := &Hierarchy{
		levels:    make([]level, n),
		offset:    uint64(c.Levels[0].Line - 1),
		installed: make([]int, n),
		// At most a fetch, one write-back for each level that makes room, and a store.
		traffic: make([]Transfer, n+2),
	}
	for i, l := range c.Levels {
		h.levels[i] = newLevel(l, c.Versions, c.Seed, uint64(i))
	}
	return h, nil
}

// Levels returns the number of levels, n. Level n is memory.
func (h *Hierarchy) Levels() int { return len(h.levels) }

// LineSize returns the bytes of a line.
func (h *Hierarchy) LineSize() int { return int(h.offset) + 1 }

// Sets returns the number of sets of a level.
func (h *Hierarchy) Sets(level int) int { return int(h.levels[level].setMask) + 1 }

// Ways returns the number of ways of a level.
func (h *Hierarchy) Ways(level int) int { return h.levels[level].ways }

// Read loads something inside one line. It returns the level that had it, or
// Levels() if memory must supply it: then Traffic holds a Fetch, and Filled
// says which version came. On a miss the line is installed in every level
// before the one that had it. O(ways) in each level asked.
func (h *Hierarchy) Read(addr uint64) int {
	key := addr&^h.offset | valid
	h.crossed = 0
	l := &h.levels[0]
	slot := l.find(key)
	if slot < 0 {
		return h.readMiss(key)
	}
	l.counters.ReadHits++
	l.touch(slot)
	h.hitVersion = l.version(slot)
	return 0
}

func (h *Hierarchy) readMiss(key uint64) int {
	h.levels[0].counters.ReadMisses++
	from, v := h.supply(1, key)
	h.hitVersion = v
	h.install(0, from, key, v)
	return from
}

// Write stores something inside one line, v being the write's version. It
// returns the level that took the store, where the line is dirty now, or
// Levels() if it went on to memory: then Traffic holds a Store. A level that
// allocates for a store gets the line from below first, and Traffic holds a
// Fetch if that was memory; unless wholeLine says that the store leaves
// nothing of the old line. O(ways) in each level asked.
func (h *Hierarchy) Write(addr uint64, v Version, wholeLine bool) int {
	key := addr&^h.offset | valid
	h.crossed = 0
	h.hitVersion = 0
	asked := false // whether hitVersion is settled
	for k := range h.levels {
		l := &h.levels[k]
		slot := l.find(key)
		switch {
		case slot >= 0:
			l.counters.WriteHits++
			if !asked {
				h.hitVersion = l.version(slot)
				asked = true
			}
			l.touch(slot)
		case !l.onStore:
			l.counters.WriteMisses++
			continue
		case wholeLine:
			l.counters.WriteMisses++
			slot = h.fill(k, key, v)
		default:
			l.counters.WriteMisses++
			from, old := h.supply(k+1, key)
			if !asked {
				h.hitVersion = old
				asked = true
			}
			h.install(k, from, key, old)
			slot = h.installed[k]
		}
		l.setVersion(slot, v)
		h.fresh = k + 1
		if !l.through {
			l.slots[slot] |= dirty
			return k
		}
	}
	if h.levels[0].versions == nil {
		v = 0
	}
	h.cross(Store, key, v)
	return len(h.levels)
}

// HitVersion returns the version of the copy that the last Read or Write hit,
// from before the write: of those it came upon, the one nearest the core. It
// is 0 if there was none; so it is for a whole-line store that a level
// allocated, as that looks no further.
func (h *Hierarchy) HitVersion() Version { return h.hitVersion }

// Filled says which version memory supplied for the line that the last Read or
// Write fetched. Every copy just installed carries it, except those that the
// write has written since. It must come before the next operation; without a
// fetch it does nothing.
func (h *Hierarchy) Filled(v Version) {
	if h.crossed == 0 || h.traffic[0].Kind != Fetch {
		return
	}
	for k := h.fresh; k < len(h.levels); k++ {
		h.levels[k].setVersion(h.installed[k], v)
	}
}

// Traffic returns what crossed between the last level and memory in the last
// operation, in hardware's order: the fetch, the write-backs of victims, the
// store. The slice is reused by the next operation.
func (h *Hierarchy) Traffic() []Transfer { return h.traffic[:h.crossed] }

// Counters returns what arrived at a level since the last reset.
func (h *Hierarchy) Counters(level int) Counters { return h.levels[level].counters }

// ResetCounters sets the counters of all levels to zero.
func (h *Hierarchy) ResetCounters() {
	for k := range h.levels {
		h.levels[k].counters = Counters{}
	}
}

// Probe returns the level and the version of the copy nearest the core, and
// whether any level holds the line dirty, without changing anything. The level
// is Levels() if there is no copy.
func (h *Hierarchy) Probe(addr uint64) (level int, isDirty bool, v Version) {
	key := addr&^h.offset | valid
	level = len(h.levels)
	for k := len(h.levels) - 1; k >= 0; k-- {
		l := &h.levels[k]
		if slot := l.find(key); slot >= 0 {
			level, v = k, l.version(slot)
			isDirty = isDirty || l.slots[slot]&dirty != 0
		}
	}
	return level, isDirty, v
}

// Lines visits the lines a level holds, by set, then by way.
func (h *Hierarchy) Lines(level int, visit func(addr uint64, dirty bool, v Version)) {
	l := &h.levels[level]
	for slot, word := range l.slots {
		if word != 0 {
			visit(word&^state, word&dirty != 0, l.version(slot))
		}
	}
}

// supply looks for the line from level k on, as a load or a fill does, and
// returns the level that has it and the version it has. If that is memory it
// notes the fetch.
func (h *Hierarchy) supply(k int, key uint64) (from int, v Version) {
	for ; k < len(h.levels); k++ {
		l := &h.levels[k]
		if slot := l.find(key); slot >= 0 {
			l.counters.ReadHits++
			l.touch(slot)
			return k, l.version(slot)
		}
		l.counters.ReadMisses++
	}
	h.cross(Fetch, key, 0)
	return k, 0
}

// install fills the line, clean, into levels k to end-1, which do not hold it.
// The nearest makes room first, so that no victim on its way down pushes out a
// copy just installed.
func (h *Hierarchy) install(k, end int, key uint64, v Version) {
	h.fresh = k
	for ; k < end; k++ {
		h.installed[k] = h.fill(k, key, v)
	}
}

// fill puts a clean line into a level that does not hold it, writes the victim
// down if it is dirty, and returns the slot.
func (h *Hierarchy) fill(k int, key uint64, v Version) int {
	slot, old, oldVersion := h.levels[k].replace(key, v)
	if old&dirty != 0 {
		h.writeDown(k+1, old&^dirty, oldVersion)
	}
	return slot
}

// writeDown writes a whole dirty line that the level above gave up into level
// k: over its copy, or into a slot of its own, whose victim goes down in turn.
// A write-through level keeps a clean copy and passes the line on.
func (h *Hierarchy) writeDown(k int, key uint64, v Version) {
	for ; k < len(h.levels); k++ {
		l := &h.levels[k]
		var old uint64
		var oldVersion Version
		slot := l.find(key)
		if slot >= 0 {
			l.counters.WriteHits++
			l.setVersion(slot, v)
			l.touch(slot)
		} else {
			l.counters.WriteMisses++
			slot, old, oldVersion = l.replace(key, v)
		}
		if l.through {
			continue // its own victims are never dirty
		}
		l.slots[slot] |= dirty
		if old&dirty == 0 {
			return
		}
		key, v = old&^dirty, oldVersion
	}
	h.cross(WriteBack, key, v)
}

// cross notes a transfer between the last level and memory.
func (h *Hierarchy) cross(kind TransferKind, key uint64, v Version) {
	h.traffic[h.crossed] = Transfer{Addr: key &^ state, Version: v, Kind: kind}
	h.crossed++
}
