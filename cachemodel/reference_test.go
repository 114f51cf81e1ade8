package cachemodel

import (
	"maps"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// reference is the hierarchy written for being read, not for speed: lines are
// pointers, sets are lists in a map, the walk through the levels is recursion.
type reference struct {
	levels   []*referenceLevel
	lineSize uint64
	versions bool
	traffic  []Transfer
	hit      *Version                // of the first copy come upon, or nil
	awaiting map[*referenceLine]bool // copies that hold what memory will supply
}

type referenceLine struct {
	addr    uint64
	dirty   bool
	version Version
}

type referenceLevel struct {
	LevelConfig
	ways     map[uint64][]*referenceLine // by set, then way; nil is empty
	recent   []*referenceLine            // oldest use first
	draw     *rand.PCG
	counters Counters
}

func newReference(c Config) *reference {
	r := &reference{lineSize: uint64(c.Levels[0].Line), versions: c.Versions}
	for i, l := range c.Levels {
		rl := &referenceLevel{LevelConfig: l, ways: map[uint64][]*referenceLine{}, draw: rand.NewPCG(c.Seed, uint64(i))}
		for set := range l.Sets() {
			rl.ways[uint64(set)] = make([]*referenceLine, l.Ways)
		}
		r.levels = append(r.levels, rl)
	}
	return r
}

func (l *referenceLevel) set(addr uint64) []*referenceLine {
	return l.ways[addr/uint64(l.Line)%uint64(l.Sets())]
}

func (l *referenceLevel) find(addr uint64) *referenceLine {
	for _, line := range l.set(addr) {
		if line != nil && line.addr == addr {
			return line
		}
	}
	return nil
}

func (l *referenceLevel) use(line *referenceLine) {
	l.forget(line)
	l.recent = append(l.recent, line)
}

func (l *referenceLevel) forget(line *referenceLine) {
	l.recent = slices.DeleteFunc(l.recent, func(x *referenceLine) bool { return x == line })
}

func (l *referenceLevel) drop(line *referenceLine) {
	set := l.set(line.addr)
	set[slices.Index(set, line)] = nil
	l.forget(line)
}

// put makes room for the line and returns what had to go, or nil.
func (l *referenceLevel) put(line *referenceLine) *referenceLine {
	set := l.set(line.addr)
	way := slices.Index(set, nil)
	if way < 0 && l.Replacement == LRU {
		way = slices.IndexFunc(set, func(x *referenceLine) bool {
			return x == l.recent[slices.IndexFunc(l.recent, func(y *referenceLine) bool { return slices.Contains(set, y) })]
		})
	} else if way < 0 {
		hi, _ := bits.Mul64(l.draw.Uint64(), uint64(l.Ways))
		way = int(hi)
	}
	victim := set[way]
	if victim != nil {
		l.forget(victim)
	}
	set[way] = line
	l.use(line)
	return victim
}

func (r *reference) begin(addr uint64) uint64 {
	r.traffic, r.hit, r.awaiting = nil, nil, map[*referenceLine]bool{}
	return addr - addr%r.lineSize
}

func (r *reference) come(v Version) {
	if r.hit == nil {
		r.hit = &v
	}
}

func (r *reference) cross(kind TransferKind, addr uint64, v Version) {
	if !r.versions {
		v = 0
	}
	r.traffic = append(r.traffic, Transfer{addr, v, kind})
}

func (r *reference) Read(addr uint64) int {
	addr = r.begin(addr)
	if line := r.levels[0].find(addr); line != nil {
		r.levels[0].counters.ReadHits++
		r.levels[0].use(line)
		r.come(line.version)
		return 0
	}
	r.levels[0].counters.ReadMisses++
	return r.bring(0, addr)
}

// bring gets the line, which level k misses, from below into level k.
func (r *reference) bring(k int, addr uint64) int {
	from := k + 1
	for from < len(r.levels) && r.levels[from].find(addr) == nil {
		r.levels[from].counters.ReadMisses++
		from++
	}
	var v Version
	if from < len(r.levels) {
		line := r.levels[from].find(addr)
		r.levels[from].counters.ReadHits++
		r.levels[from].use(line)
		v = line.version
	} else {
		r.cross(Fetch, addr, 0)
	}
	r.come(v)
	for i := k; i < from; i++ {
		line := &referenceLine{addr: addr, version: v}
		r.place(i, line)
		if from == len(r.levels) {
			r.awaiting[line] = true
		}
	}
	return from
}

func (r *reference) place(k int, line *referenceLine) {
	if victim := r.levels[k].put(line); victim != nil && victim.dirty {
		r.levels[k].counters.Writebacks++
		r.giveUp(k+1, victim.addr, victim.version)
	}
}

// giveUp hands a dirty line to level k.
func (r *reference) giveUp(k int, addr uint64, v Version) {
	if k == len(r.levels) {
		r.cross(WriteBack, addr, v)
		return
	}
	l := r.levels[k]
	back := l.Write == WriteBack
	if line := l.find(addr); line != nil {
		l.counters.WriteHits++
		l.use(line)
		line.version = v
		line.dirty = back
	} else {
		l.counters.WriteMisses++
		r.place(k, &referenceLine{addr: addr, version: v, dirty: back})
	}
	if !back {
		r.giveUp(k+1, addr, v)
	}
}

func (r *reference) Write(addr uint64, v Version, wholeLine bool) int {
	return r.store(0, r.begin(addr), v, wholeLine)
}

func (r *reference) store(k int, addr uint64, v Version, wholeLine bool) int {
	if k == len(r.levels) {
		r.cross(Store, addr, v)
		return k
	}
	l := r.levels[k]
	line := l.find(addr)
	if line != nil {
		l.counters.WriteHits++
		l.use(line)
		r.come(line.version)
	} else {
		l.counters.WriteMisses++
		if l.Allocate == ReadAllocate {
			return r.store(k+1, addr, v, wholeLine)
		}
		if wholeLine {
			r.place(k, &referenceLine{addr: addr})
		} else {
			r.bring(k, addr)
		}
		line = l.find(addr)
	}
	line.version = v
	delete(r.awaiting, line)
	if l.Write == WriteThrough {
		return r.store(k+1, addr, v, wholeLine)
	}
	line.dirty = true
	return k
}

func (r *reference) HitVersion() Version {
	if r.hit == nil || !r.versions {
		return 0
	}
	return *r.hit
}

func (r *reference) Filled(v Version) {
	for line := range maps.Keys(r.awaiting) {
		line.version = v
	}
}

func (r *reference) Probe(addr uint64) (level int, dirty bool, v Version) {
	addr -= addr % r.lineSize
	level = len(r.levels)
	for k, l := range r.levels {
		line := l.find(addr)
		if line == nil {
			continue
		}
		if level == len(r.levels) {
			level, v = k, r.seen(line.version)
		}
		dirty = dirty || line.dirty
	}
	return level, dirty, v
}

func (r *reference) seen(v Version) Version {
	if !r.versions {
		return 0
	}
	return v
}

func (r *reference) Maintain(op Op, addr uint64) Effect {
	addr = r.begin(addr)
	var copies, dirties []*referenceLine
	for _, l := range r.levels {
		line := l.find(addr)
		if line == nil {
			continue
		}
		copies = append(copies, line)
		if line.dirty {
			dirties = append(dirties, line)
			if op != Invalidate {
				l.counters.Writebacks++
			}
		}
		if op != Clean {
			l.drop(line)
		}
	}
	e := Effect{Addr: addr, Present: len(copies) > 0, Dirty: len(dirties) > 0}
	switch {
	case e.Dirty:
		e.Version = r.seen(dirties[0].version)
	case e.Present:
		e.Version = r.seen(copies[0].version)
	}
	if e.Dirty && op != Invalidate {
		r.cross(WriteBack, addr, e.Version)
		for _, line := range copies {
			line.dirty, line.version = false, e.Version
		}
	}
	return e
}

func (r *reference) SetWay(op Op, level, set, way int) Effect {
	r.begin(0)
	l := r.levels[level]
	line := l.ways[uint64(set)][way]
	if line == nil {
		return Effect{}
	}
	e := Effect{line.addr, true, line.dirty, r.seen(line.version)}
	line.dirty = false
	if op != Clean {
		l.drop(line)
	}
	if e.Dirty && op != Invalidate {
		l.counters.Writebacks++
		r.giveUp(level+1, line.addr, line.version)
	}
	return e
}

func (r *reference) lines(level int) []referenceLine {
	var out []referenceLine
	for set := range r.levels[level].Sets() {
		for _, line := range r.levels[level].ways[uint64(set)] {
			if line != nil {
				out = append(out, referenceLine{line.addr, line.dirty, r.seen(line.version)})
			}
		}
	}
	return out
}
