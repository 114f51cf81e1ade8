package cachemodel

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// reference is the hierarchy written for being read, not for speed, from the
// package's documentation: lines are pointers, valid and dirty are kept for
// each byte, the replacement policies are lists and trees of nodes, the walk
// through the levels is recursion.
type reference struct {
	config   Config
	levels   []*referenceLevel
	instr    *referenceLevel // nil if the first level is unified
	traffic  []Transfer
	log      []Transfer              // as traffic, but also of operations after which traffic holds nothing
	hit      *Version                // of the first copy come upon, or nil
	awaiting map[*referenceLine]bool // copies that hold what memory will supply
	cursor   int                     // the set where the test-and-clean loop goes on
}

// referenceLine is one copy of a line.
type referenceLine struct {
	level    int    // the number of its level
	tag      uint64 // the address it is found by
	physical uint64
	valid    []bool // by byte
	dirty    []bool // by byte
	version  Version
}

type referenceLevel struct {
	LevelConfig
	number   int // len(Config.Levels) for the instruction side
	page     int
	ways     [][]*referenceLine // by set, then way; nil is empty
	used     []*referenceLine   // oldest use first
	filled   []*referenceLine   // filled first first
	trees    []*referenceNode   // by set
	turns    [][]int            // by set, the ways in the order of giving up
	draw     *rand.PCG
	buffer   *referenceLine // the victim, until it is given to the next level
	counters Counters
}

// referenceNode is a node of a PLRU tree, or a leaf.
type referenceNode struct {
	left, right *referenceNode // nil in a leaf
	way         int            // of a leaf
	toRight     bool           // whether the victim is to the right
}

func newReference(c Config) *reference {
	r := &reference{config: c}
	if r.config.Page == 0 {
		r.config.Page = 4096
	}
	for i, l := range c.Levels {
		r.levels = append(r.levels, newReferenceLevel(r.config, l, i))
	}
	if c.Instruction != nil {
		r.instr = newReferenceLevel(r.config, *c.Instruction, len(c.Levels))
	}
	r.begin()
	return r
}

func newReferenceLevel(c Config, l LevelConfig, number int) *referenceLevel {
	if l.SubBlock == 0 {
		l.SubBlock = l.Line
	}
	out := &referenceLevel{LevelConfig: l, number: number, page: c.Page, draw: rand.NewPCG(c.Seed, uint64(number))}
	var inTurn []int
	for way := range l.Ways {
		inTurn = append(inTurn, way)
	}
	for range l.Size / l.Line / l.Ways {
		out.ways = append(out.ways, make([]*referenceLine, l.Ways))
		out.turns = append(out.turns, slices.Clone(inTurn))
		if l.Replacement == PLRU {
			out.trees = append(out.trees, newReferenceTree(inTurn))
		}
	}
	return out
}

func newReferenceTree(ways []int) *referenceNode {
	if len(ways) == 1 {
		return &referenceNode{way: ways[0]}
	}
	half := len(ways) / 2
	return &referenceNode{left: newReferenceTree(ways[:half]), right: newReferenceTree(ways[half:])}
}

func (n *referenceNode) has(way int) bool {
	if n.left == nil {
		return n.way == way
	}
	return n.left.has(way) || n.right.has(way)
}

// use turns the nodes on the way's path away from it.
func (n *referenceNode) use(way int) {
	switch {
	case n.left == nil:
	case n.left.has(way):
		n.toRight = true
		n.left.use(way)
	default:
		n.toRight = false
		n.right.use(way)
	}
}

func (n *referenceNode) victim() int {
	switch {
	case n.left == nil:
		return n.way
	case n.toRight:
		return n.right.victim()
	}
	return n.left.victim()
}

// tag returns the address that a line is found by.
func (l *referenceLevel) tag(a Address) uint64 {
	if l.Index == VIVT {
		return l.align(a.Virtual)
	}
	return l.align(a.Physical)
}

// set returns the set that an access looks in.
func (l *referenceLevel) set(a Address) int {
	by := a.Physical
	if l.Index != PIPT {
		by = a.Virtual
	}
	return int(by / uint64(l.Line) % uint64(len(l.ways)))
}

func (l *referenceLevel) align(addr uint64) uint64 { return addr / uint64(l.Line) * uint64(l.Line) }

func (l *referenceLevel) find(a Address) *referenceLine {
	for _, line := range l.ways[l.set(a)] {
		if line != nil && line.tag == l.tag(a) {
			return line
		}
	}
	return nil
}

// all returns the lines of the level, by set, then by way.
func (l *referenceLevel) all() (out []*referenceLine) {
	for _, set := range l.ways {
		for _, line := range set {
			if line != nil {
				out = append(out, line)
			}
		}
	}
	return out
}

// copies returns the lines with a physical address, by set, then by way.
func (l *referenceLevel) copies(physical uint64) (out []*referenceLine) {
	for _, line := range l.all() {
		if line.physical == l.align(physical) {
			out = append(out, line)
		}
	}
	return out
}

// resolves reports whether the level sees to it that there is one copy only.
func (l *referenceLevel) resolves() bool { return l.Index == VIPT && l.Aliases == AliasesResolved }

// reach returns the copy that maintenance of an address acts on.
func (l *referenceLevel) reach(a Address) *referenceLine {
	if l.resolves() {
		if copies := l.copies(a.Physical); copies != nil {
			return copies[0]
		}
		return nil
	}
	return l.find(a)
}

// place returns where a line is.
func (l *referenceLevel) place(line *referenceLine) (set, way int) {
	for set, ways := range l.ways {
		if way := slices.Index(ways, line); way >= 0 {
			return set, way
		}
	}
	panic("the level does not hold the line")
}

func without(lines []*referenceLine, line *referenceLine) []*referenceLine {
	return slices.DeleteFunc(lines, func(x *referenceLine) bool { return x == line })
}

// use notes a use of a line.
func (l *referenceLevel) use(line *referenceLine) {
	l.used = append(without(l.used, line), line)
	if l.trees != nil {
		set, way := l.place(line)
		l.trees[set].use(way)
	}
}

func (l *referenceLevel) drop(line *referenceLine) {
	set, way := l.place(line)
	l.ways[set][way] = nil
	l.used = without(l.used, line)
	l.filled = without(l.filled, line)
}

// victim returns the way of a set that is filled next.
func (l *referenceLevel) victim(set int) int {
	ways := l.ways[set]
	if way := slices.Index(ways, nil); way >= 0 {
		return way
	}
	first := func(order []*referenceLine) int {
		for _, line := range order {
			if way := slices.Index(ways, line); way >= 0 {
				return way
			}
		}
		panic("a full set without an order")
	}
	switch l.Replacement {
	case LRU:
		return first(l.used)
	case FIFO:
		return first(l.filled)
	case PLRU:
		return l.trees[set].victim()
	case RoundRobin:
		way := l.turns[set][0]
		l.turns[set] = append(l.turns[set][1:], way)
		return way
	}
	way, _ := bits.Mul64(l.draw.Uint64(), uint64(l.Ways))
	return int(way)
}

// put fills an empty way with a clean line, of which nothing is valid yet in a
// sectored level.
func (l *referenceLevel) put(set, way int, a Address, v Version) *referenceLine {
	line := &referenceLine{
		level: l.number, tag: l.tag(a), physical: l.align(a.Physical), version: v,
		valid: make([]bool, l.Line), dirty: make([]bool, l.Line),
	}
	if !l.Sectored {
		mark(line.valid, 0, l.Line)
	}
	l.ways[set][way] = line
	l.filled = append(l.filled, line)
	l.use(line)
	return line
}

func mark(bytes []bool, from, to int) {
	for i := from; i < to; i++ {
		bytes[i] = true
	}
}

// subBlocks returns the bytes of the line, from and to, of the sub-blocks that n
// bytes touch.
func (l *referenceLevel) subBlocks(addr uint64, n int) (from, to int) {
	from = int(addr % uint64(l.Line))
	to = from + n
	for from%l.SubBlock != 0 {
		from--
	}
	for to%l.SubBlock != 0 {
		to++
	}
	return from, to
}

// fetches returns what a level gets from below for an access: the sub-blocks it
// touches in a sectored level, else the line.
func (l *referenceLevel) fetches(addr uint64, n int) (start uint64, size int) {
	if !l.Sectored {
		return l.align(addr), l.Line
	}
	from, to := l.subBlocks(addr, n)
	return l.align(addr) + uint64(from), to - from
}

// has reports whether all the bytes are valid.
func (l *referenceLevel) has(line *referenceLine, addr uint64, n int) bool {
	from := int(addr % uint64(l.Line))
	return line != nil && !slices.Contains(line.valid[from:from+n], false)
}

// soil makes bytes of a line dirty, and with them the sub-blocks they are in.
func (l *referenceLevel) soil(line *referenceLine, bytes []bool) {
	for i, dirty := range bytes {
		if dirty {
			from, to := l.subBlocks(uint64(i), 1)
			mark(line.dirty, from, to)
		}
	}
}

func (line *referenceLine) isDirty() bool { return line != nil && slices.Contains(line.dirty, true) }

func (line *referenceLine) dirtyBytes() (n int) {
	for _, dirty := range line.dirty {
		if dirty {
			n++
		}
	}
	return n
}

// dirtyRuns returns where runs of dirty bytes begin and end, highest first.
func (line *referenceLine) dirtyRuns() (runs [][2]int) {
	for i, dirty := range line.dirty {
		switch {
		case !dirty:
		case i > 0 && line.dirty[i-1]:
			runs[0][1] = i + 1
		default:
			runs = slices.Insert(runs, 0, [2]int{i, i + 1})
		}
	}
	return runs
}

func (r *reference) memory() int { return len(r.levels) }

func (r *reference) begin() {
	r.traffic, r.log, r.hit, r.awaiting = nil, nil, nil, map[*referenceLine]bool{}
}

// come notes the version of the first copy that an access comes upon.
func (r *reference) come(v Version) {
	if r.hit == nil {
		r.hit = &v
	}
}

func (r *reference) cross(kind TransferKind, addr uint64, n int, v Version) {
	if !r.config.Versions {
		v = 0
	}
	x := Transfer{Addr: addr, Bytes: n, Version: v, Kind: kind}
	r.traffic = append(r.traffic, x)
	r.log = append(r.log, x)
}

// pieces cuts an access at a level's lines.
func (l *referenceLevel) pieces(addr uint64, n int) (pieces [][2]uint64) {
	for i := range uint64(n) {
		if i == 0 || (addr+i)%uint64(l.Line) == 0 {
			pieces = append(pieces, [2]uint64{addr + i, 0})
		}
		pieces[len(pieces)-1][1]++
	}
	return pieces
}

func (r *reference) Read(a Address, n int) int { return r.load(r.levels[0], false, a, n) }

func (r *reference) Fetch(a Address, n int) int {
	if r.instr != nil {
		return r.load(r.instr, true, a, n)
	}
	return r.load(r.levels[0], true, a, n)
}

// load is an access to a first level.
func (r *reference) load(l *referenceLevel, instr bool, a Address, n int) int {
	r.begin()
	line := l.find(a)
	hit := l.has(line, a.Physical, n)
	l.countRead(instr, hit)
	if hit {
		l.use(line)
		r.come(line.version)
		return 0
	}
	from, v := r.fill(l, 0, instr, a, n)
	r.come(v)
	return from
}

func (l *referenceLevel) countRead(instr, hit bool) {
	switch {
	case instr && hit:
		l.counters.InstrHits++
	case instr:
		l.counters.InstrMisses++
	case hit:
		l.counters.ReadHits++
	default:
		l.counters.ReadMisses++
	}
}

// fill brings what n bytes touch, which level k misses, from below.
func (r *reference) fill(l *referenceLevel, k int, instr bool, a Address, n int) (from int, v Version) {
	room := r.makeRoom(l, k, a)
	start, size := l.fetches(a.Physical, n)
	l.counters.BytesFromBelow += uint64(size)
	from, v, dirty := r.read(k+1, instr, start, size)
	line := room(v)
	if l == r.instr {
		line.version = 0
	} else if from == r.memory() {
		r.awaiting[line] = true
	}
	l.soil(line, dirty)
	offset := int(start % uint64(l.Line))
	mark(line.valid, offset, offset+size)
	r.release(l, k)
	return from, v
}

// makeRoom makes a place for a line in level k. It returns what puts the line
// there. What had to go is in the eviction buffer then, until release. If the
// level has the line already, and only lacks parts of it, there is nothing to do.
func (r *reference) makeRoom(l *referenceLevel, k int, a Address) func(Version) *referenceLine {
	if line := l.find(a); line != nil {
		l.use(line)
		return func(Version) *referenceLine { return line }
	}
	if l.Index != PIPT {
		if l.resolves() {
			r.resolve(l, a)
		} else if l.copies(a.Physical) != nil {
			l.counters.AliasCopies++
		}
	}
	set := l.set(a)
	way := l.victim(set)
	if victim := l.ways[set][way]; victim != nil {
		r.remove(l, k, victim)
		l.buffer = victim
	}
	return func(v Version) *referenceLine { return l.put(set, way, a, v) }
}

// release gives what is in the eviction buffer of level k to the next.
func (r *reference) release(l *referenceLevel, k int) {
	victim := l.buffer
	l.buffer = nil
	r.giveUp(k+1, l, victim)
}

// resolve evicts the copies of a line under other colours.
func (r *reference) resolve(l *referenceLevel, a Address) {
	for _, line := range l.copies(a.Physical) {
		l.counters.AliasesResolved++
		l.drop(line)
		r.giveUp(1, l, line)
	}
}

// remove takes a line out of level k. What is dirty of the copies that an
// inclusive level recalls goes with the line.
func (r *reference) remove(l *referenceLevel, k int, line *referenceLine) {
	l.drop(line)
	for _, near := range r.recall(l, k, line.physical) {
		if near.isDirty() {
			l.soil(line, near.dirty)
			line.version = near.version
		}
	}
}

// recall drops the copies that nearer levels hold of a line which level k, if it
// is inclusive, gives up, those in their eviction buffers too. It returns them,
// the nearest last.
func (r *reference) recall(l *referenceLevel, k int, physical uint64) (out []*referenceLine) {
	if l.Inclusion != Inclusive {
		return nil
	}
	nearer := slices.Clone(r.levels[:k])
	slices.Reverse(nearer)
	if r.instr != nil {
		nearer = append([]*referenceLevel{r.instr}, nearer...)
	}
	for _, near := range nearer {
		if near.buffer != nil && near.buffer.physical == physical {
			out = append(out, near.buffer)
			near.buffer = nil
		}
		for _, line := range near.copies(physical) {
			near.drop(line)
			out = append(out, line)
		}
	}
	return out
}

// read asks level k for n bytes. It returns the level that had them, their
// version, and the dirty bytes of a line that moves up.
func (r *reference) read(k int, instr bool, addr uint64, n int) (from int, v Version, dirty []bool) {
	if k == r.memory() {
		r.cross(Fetch, addr, n, 0)
		return k, 0, nil
	}
	l := r.levels[k]
	if pieces := l.pieces(addr, n); len(pieces) > 1 {
		l.counters.Straddles++
		for _, p := range pieces {
			f, _, _ := r.read(k, instr, p[0], int(p[1]))
			from = max(from, f)
		}
		return from, 0, nil
	}
	line := l.find(At(addr))
	hit := l.has(line, addr, n)
	l.countRead(instr, hit)
	switch {
	case hit && l.Inclusion == Exclusive:
		l.drop(line)
		return k, line.version, line.dirty
	case hit:
		l.use(line)
		return k, line.version, nil
	case l.Inclusion == Exclusive:
		l.counters.BytesFromBelow += uint64(n)
		return r.read(k+1, instr, addr, n)
	}
	from, v = r.fill(l, k, instr, At(addr), n)
	return from, v, nil
}

func (r *reference) Write(a Address, n int, v Version) int {
	r.begin()
	return r.store(0, a, n, v, Store)
}

// store is a store that arrives at level k, or a run of a victim that arrives as one.
func (r *reference) store(k int, a Address, n int, v Version, kind TransferKind) (took int) {
	if k == r.memory() {
		r.cross(kind, a.Physical, n, v)
		return k
	}
	l := r.levels[k]
	if pieces := l.pieces(a.Physical, n); len(pieces) > 1 {
		l.counters.Straddles++
		for _, p := range pieces {
			took = max(took, r.store(k, At(p[0]), int(p[1]), v, kind))
		}
		return took
	}
	line := l.find(a)
	switch {
	case l.has(line, a.Physical, n):
		l.counters.WriteHits++
		l.use(line)
		if kind == Store {
			r.come(line.version)
		}
	case line == nil && l.Allocate == ReadAllocate:
		l.counters.WriteMisses++
		if l.resolves() {
			r.resolve(l, a)
		}
		l.counters.BytesToBelow += uint64(n)
		return r.store(k+1, At(a.Physical), n, v, kind)
	default:
		l.counters.WriteMisses++
		line = r.allocate(l, k, a, n, v, kind)
	}
	line.version = v
	r.awaiting[line] = false
	offset := int(a.Physical % uint64(l.Line))
	if l.Write == WriteThrough {
		l.counters.BytesToBelow += uint64(n)
		took = r.store(k+1, At(a.Physical), n, v, kind)
	} else {
		written := make([]bool, l.Line)
		mark(written, offset, offset+n)
		l.soil(line, written)
		took = k
	}
	r.release(l, k)
	return took
}

// allocate gives a store that misses level k a place there, with what it leaves
// of the line, or in a sectored level of the sub-blocks that it touches.
func (r *reference) allocate(l *referenceLevel, k int, a Address, n int, v Version, kind TransferKind) (line *referenceLine) {
	room := r.makeRoom(l, k, a)
	start, size := l.fetches(a.Physical, n)
	if start == a.Physical && size == n {
		r.claim(k+1, a.Physical, v)
		line = room(0)
	} else {
		l.counters.BytesFromBelow += uint64(size)
		from, old, dirty := r.read(k+1, false, start, size)
		line = room(old)
		l.soil(line, dirty)
		if from == r.memory() {
			r.awaiting[line] = true
		}
		if kind == Store {
			r.come(old)
		}
	}
	offset := int(start % uint64(l.Line))
	mark(line.valid, offset, offset+size)
	return line
}

// claim tells the levels from k on that the one before holds a line that it did
// not fetch: exclusive ones drop theirs, for the store covers it; inclusive ones
// make a place, the furthest first.
func (r *reference) claim(k int, addr uint64, v Version) {
	covered := &referenceLine{physical: addr, dirty: make([]bool, r.levels[0].Line)}
	r.surrender(k, covered)
	for j := len(r.levels) - 1; j >= k; j-- {
		l := r.levels[j]
		if l.Inclusion != Inclusive || l.find(At(addr)) != nil {
			continue
		}
		r.surrender(j+1, covered)
		r.makeRoom(l, j, At(addr))(v)
		r.release(l, j)
	}
}

// surrender makes the exclusive levels from k on drop a line that the level
// before is to hold. What is dirty of theirs becomes dirty in the line.
func (r *reference) surrender(k int, line *referenceLine) {
	for ; k < len(r.levels) && r.levels[k].Inclusion == Exclusive; k++ {
		if old := r.levels[k].find(At(line.physical)); old != nil {
			r.levels[k].drop(old)
			line.dirty = either(line.dirty, old.dirty)
		}
	}
}

func either(a, b []bool) []bool {
	out := slices.Clone(a)
	for i := range b {
		out[i] = out[i] || b[i]
	}
	return out
}

// asStores reports whether victims arrive at the next level as stores.
func (r *reference) asStores() bool {
	all := slices.Clone(r.levels)
	if r.instr != nil {
		all = append(all, r.instr)
	}
	return r.config.VictimsAsStores || slices.ContainsFunc(all, func(l *referenceLevel) bool { return l.Sectored || l.Line != all[0].Line })
}

// giveUp hands a line that left a level to level k, the next.
func (r *reference) giveUp(k int, from *referenceLevel, victim *referenceLine) {
	if victim == nil {
		return
	}
	if victim.isDirty() {
		from.counters.Writebacks++
	}
	r.pass(k, from, victim)
}

// pass hands a line to level k.
func (r *reference) pass(k int, from *referenceLevel, victim *referenceLine) {
	if victim.isDirty() && r.asStores() {
		for _, run := range victim.dirtyRuns() {
			n := run[1] - run[0]
			from.counters.BytesToBelow += uint64(n)
			r.store(k, At(victim.physical+uint64(run[0])), n, victim.version, WriteBack)
		}
		return
	}
	if k == r.memory() {
		for _, run := range victim.dirtyRuns() {
			n := run[1] - run[0]
			from.counters.BytesToBelow += uint64(n)
			r.cross(WriteBack, victim.physical+uint64(run[0]), n, victim.version)
		}
		return
	}
	l := r.levels[k]
	if !victim.isDirty() && l.Inclusion != Exclusive {
		return
	}
	at := At(victim.physical)
	line := l.find(at)
	if line != nil {
		l.counters.WriteHits++
		from.counters.BytesToBelow += uint64(victim.dirtyBytes())
		l.use(line)
	} else {
		l.counters.WriteMisses++
		from.counters.BytesToBelow += uint64(l.Line)
		r.surrender(k+1, victim)
		line = r.makeRoom(l, k, at)(0)
	}
	line.version = victim.version
	r.awaiting[line] = r.awaiting[victim]
	if l.Write == WriteThrough {
		r.pass(k+1, l, victim)
	} else {
		l.soil(line, victim.dirty)
	}
	r.release(l, k)
}

func (r *reference) HitVersion() Version {
	if r.hit == nil {
		return 0
	}
	return r.seen(*r.hit)
}

func (r *reference) Filled(v Version) {
	for line, awaiting := range r.awaiting {
		if awaiting {
			line.version = v
		}
	}
}

func (r *reference) seen(v Version) Version {
	if !r.config.Versions {
		return 0
	}
	return v
}

func (r *reference) Probe(a Address) (level int, dirty bool, v Version) {
	level = r.memory()
	for k, l := range r.levels {
		line := l.reach(a)
		if line != nil && level == r.memory() {
			level, v = k, r.seen(line.version)
		}
		dirty = dirty || line.isDirty()
	}
	return level, dirty, v
}

// inner returns the number of levels before the first outer one.
func (r *reference) inner() int {
	for k, l := range r.levels {
		if l.Outer {
			return k
		}
	}
	return len(r.levels)
}

// beyond returns the first level beyond a point.
func (r *reference) beyond(point Point) int {
	if point == PoC {
		return r.inner()
	}
	return min(r.config.Unification, r.inner())
}

func (r *reference) Maintain(op Op, a Address, point Point) Effect {
	r.begin()
	return r.maintain(op, a, 0, r.beyond(point))
}

func (r *reference) MaintainOuter(op Op, physical uint64) Effect {
	r.begin()
	return r.maintain(op, At(physical), r.inner(), len(r.levels))
}

func (r *reference) MaintainAliases(op Op, physical uint64, point Point) Effect {
	r.begin()
	l, to := r.levels[0], r.beyond(point)
	if l.Index == PIPT || l.resolves() || to == 0 {
		return r.maintain(op, At(physical), 0, to)
	}
	all := Effect{Addr: l.align(physical), Lookups: max(1, l.Size/l.Ways/l.page)}
	add := func(e Effect) {
		if e.Dirty && !all.Dirty || e.Present && !all.Present {
			all.Version = e.Version
		}
		all.Present = all.Present || e.Present
		all.Dirty = all.Dirty || e.Dirty
		all.Copies += e.Copies
	}
	for _, line := range l.copies(physical) {
		set, _ := l.place(line)
		virtual := line.tag
		if l.Index == VIPT {
			virtual = uint64(set * l.Line) // any address of the colour
		}
		add(r.maintain(op, Address{virtual, physical}, 0, 1))
	}
	if to > 1 {
		add(r.maintain(op, At(physical), 1, to))
	}
	return all
}

// maintain acts on the levels from and up to, but not including, to.
func (r *reference) maintain(op Op, a Address, from, to int) Effect {
	e := Effect{Addr: r.levels[0].align(a.Physical), Lookups: 1}
	var reached, recalled []*referenceLine
	var other Effect // of a copy that is of another line
	for k := from; k < to; k++ {
		l := r.levels[k]
		line := l.reach(a)
		if line == nil {
			continue
		}
		if line.physical != e.Addr { // the virtual address was mapped elsewhere before
			other = r.maintainSlot(op, k, line)
			continue
		}
		reached = append(reached, line)
		if line.isDirty() && op != Invalidate {
			l.counters.Writebacks++
		}
		if op != Clean {
			l.drop(line)
			for _, near := range r.recall(l, k, line.physical) {
				l.soil(near, slices.Clone(near.dirty)) // it goes down through this level
				recalled = append([]*referenceLine{near}, recalled...)
			}
		}
	}
	e.Copies = len(reached)
	e.Present = len(reached) > 0
	if e.Present {
		e.Version = reached[0].version
	}
	byDistance := append(slices.Clone(reached), recalled...)
	slices.SortStableFunc(byDistance, func(a, b *referenceLine) int { return a.level - b.level })
	out := &referenceLine{physical: e.Addr, dirty: make([]bool, r.levels[0].Line)} // what is cleaned
	for _, line := range byDistance {
		if line.isDirty() && !e.Dirty {
			e.Dirty, e.Version = true, line.version
		}
		out.dirty = either(out.dirty, line.dirty)
	}
	e.Version = r.seen(e.Version)
	dirty := e.Dirty
	if other.Present {
		e.Present, e.Dirty = true, e.Dirty || other.Dirty
		e.Copies++
		if !dirty {
			e.Version = other.Version
		}
	}
	if !dirty || op == Invalidate {
		return e
	}
	for _, line := range reached {
		line.dirty = make([]bool, len(line.dirty))
		line.version = e.Version
	}
	out.version = e.Version
	r.pass(r.past(op, to, e.Addr), r.levels[to-1], out)
	return e
}

// past returns the level that gets what is cleaned on its way to level k: a
// line that stays where it was passes exclusive levels by, unless they have it.
func (r *reference) past(op Op, k int, line uint64) int {
	for op == Clean && k < len(r.levels) && r.levels[k].Inclusion == Exclusive && r.levels[k].find(At(line)) == nil {
		k++
	}
	return k
}

func (r *reference) SetWay(op Op, level, set, way int) Effect {
	r.begin()
	return r.maintainSlot(op, level, r.levels[level].ways[set][way])
}

func (r *reference) maintainSlot(op Op, k int, line *referenceLine) Effect {
	if line == nil {
		return Effect{}
	}
	l := r.levels[k]
	e := Effect{Addr: line.physical, Present: true, Dirty: line.isDirty(), Version: r.seen(line.version), Copies: 1, Lookups: 1}
	out := *line
	if op == Clean {
		line.dirty = make([]bool, l.Line)
	} else {
		r.remove(l, k, line)
		out = *line
	}
	if out.isDirty() && op != Invalidate {
		r.giveUp(r.past(op, k+1, e.Addr), l, &out)
	}
	return e
}

func (r *reference) EmptySets(level, set, way int) (n int) {
	for ; set < len(r.levels[level].ways) && r.levels[level].ways[set][way] == nil; set++ {
		n++
	}
	return n
}

func (r *reference) MaintainAll(op Op, point Point) Total {
	return r.maintainLevels(op, 0, r.beyond(point))
}

func (r *reference) MaintainAllOuter(op Op) Total {
	return r.maintainLevels(op, r.inner(), len(r.levels))
}

func (r *reference) maintainLevels(op Op, from, to int) (t Total) {
	r.begin()
	for k := from; k < to; k++ {
		l := r.levels[k]
		for way := range l.Ways {
			for set := range l.ways {
				e := r.maintainSlot(op, k, l.ways[set][way])
				t.Slots++
				if e.Present {
					t.Present++
				}
				if e.Dirty {
					t.Dirty++
				}
			}
		}
	}
	r.traffic = nil
	return t
}

func (r *reference) CopyBack() {
	r.begin()
	for k, l := range r.levels {
		for set := len(l.ways) - 1; set >= 0; set-- {
			order := l.ways[set]
			switch l.Replacement {
			case LRU:
				order = l.used
			case FIFO:
				order = l.filled
			}
			for _, line := range slices.Clone(order) {
				if line.isDirty() && slices.Contains(l.ways[set], line) {
					r.maintainSlot(Clean, k, line)
				}
			}
		}
	}
	r.traffic = nil
}

func (r *reference) TestClean(op Op) (e Effect, done bool) {
	r.begin()
	l := r.levels[0]
	for range l.ways {
		for _, line := range l.ways[r.cursor] {
			if line.isDirty() {
				return r.maintainSlot(op, 0, line), false
			}
		}
		r.cursor = (r.cursor + 1) % len(l.ways)
	}
	if op != Clean {
		l.empty()
	}
	return Effect{}, true
}

func (l *referenceLevel) empty() {
	for _, line := range l.all() {
		l.drop(line)
	}
}

func (r *reference) InvalidateInstructions() {
	if r.instr != nil {
		r.instr.empty()
	}
}

func (r *reference) Empty() {
	r.begin()
	for _, l := range r.levels {
		l.empty()
	}
	r.InvalidateInstructions()
}

func (r *reference) ResetCounters() {
	for _, l := range r.levels {
		l.counters = Counters{}
	}
	if r.instr != nil {
		r.instr.counters = Counters{}
	}
}

// lines lists what a level holds as [Hierarchy.Lines] does.
func (r *reference) lines(l *referenceLevel) (out []Line) {
	for _, line := range l.all() {
		set, way := l.place(line)
		x := Line{Set: set, Way: way, Tag: line.tag, Physical: line.physical, Version: r.seen(line.version)}
		for i := range l.Line / l.SubBlock {
			if line.valid[i*l.SubBlock] {
				x.Valid |= 1 << i
			}
			if line.dirty[i*l.SubBlock] {
				x.Dirty |= 1 << i
			}
		}
		if !l.Sectored {
			x.Valid = 1<<(l.Line/l.SubBlock) - 1
		}
		out = append(out, x)
	}
	return out
}
