package cachemodel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// duel drives a hierarchy and the reference side by side, with a memory behind
// them that holds versions, and compares all that can be seen.
type duel struct {
	fail    func(format string, args ...any)
	config  Config
	h       *Hierarchy
	r       *reference
	memory  map[uint64]Version
	newest  map[uint64]Version // what a load must find, where only the CPU writes
	lost    map[uint64]bool    // lines of which an invalidate may have dropped the newest copy
	device  bool               // whether a device writes memory too
	aliases int                // virtual addresses in use for each physical line
	remaps  bool               // whether a virtual address may stand for several physical ones, one after the other
	lines   int                // in use: more than most of the hierarchies hold, or fewer
	stride  int                // between them
	latest  int                // the line that was used last
	clock   Version
	reads   uint64 // since the counters were reset
	fetches uint64
	writes  uint64
	in, out uint64   // bytes that crossed to and from memory
	calls   []string // all operations
}

// pick returns a number from 0 to n-1.
type pick func(n int) int

// pickConfig returns a configuration that makes sense. The first choices give
// the plain ones.
func pickConfig(next pick) Config {
	c := Config{Versions: next(8) < 6, Seed: uint64(next(4))}
	mixed := !c.Versions && next(2) == 1    // several line sizes
	sectored := !c.Versions && next(3) == 2 // a valid bit for each sub-block
	line := []int{64, 32, 16, 4}[next(4)]
	c.Page = line << next(4)
	replacement := next(6) // all the same, or each its own
	level := func() LevelConfig {
		l := LevelConfig{Ways: 1 + next(5), Line: line, Write: WritePolicy(next(2)), Allocate: Allocate(next(2))}
		if mixed {
			l.Line = 4 << next(7)
		}
		l.Replacement = Replacement(replacement)
		if replacement == 5 {
			l.Replacement = Replacement(next(5))
		}
		if l.Replacement == PLRU {
			l.Ways = 1 << next(4)
		}
		l.Size = l.Ways * l.Line << next(4)
		if next(3) == 2 {
			l.SubBlock = max(1, l.Line/32, l.Line>>next(5))
			l.Sectored = sectored
		}
		return l
	}
	for i := range 1 + next(4) {
		l := level()
		if i > 0 {
			l.Outer = c.Levels[i-1].Outer || next(4) == 3
			l.Inclusion = []Inclusion{Neither, Neither, Inclusive, Exclusive}[next(4)]
		}
		c.Levels = append(c.Levels, l)
	}
	first := &c.Levels[0]
	first.Index = Index(next(3))
	if first.Index == VIPT {
		first.Aliases = Aliases(next(2))
	}
	c.Page = max(c.Page, first.Line)
	if next(3) == 2 {
		l := level()
		c.Instruction = &l
	}
	c.Unification = next(len(c.Levels) + 1)
	c.VictimsAsStores = !c.Versions && next(4) == 3
	for i := range c.Levels {
		allowInclusion(&c, i)
	}
	return c
}

// allowInclusion takes the inclusion of a level back where it is not possible.
func allowInclusion(c *Config, i int) {
	l := &c.Levels[i]
	switch {
	case !c.uniform(), c.sectored(), c.VictimsAsStores:
		l.Inclusion = Neither
	case l.Inclusion != Exclusive:
	case i == 1 && (c.Instruction != nil || keepsAliases(*c)), c.Levels[i-1].Write == WriteThrough:
		l.Inclusion = Neither
	}
}

// keepsAliases reports whether the first level can hold several copies of a line.
func keepsAliases(c Config) bool {
	l := c.Levels[0]
	return l.Index == VIVT || l.Index == VIPT && l.Colours(c.Page) > 1 && l.Aliases == AliasesKept
}

func newDuel(next pick, fail func(format string, args ...any)) *duel {
	c := pickConfig(next)
	h, err := New(c)
	if err != nil {
		fail("New(%+v): %v", c, err)
	}
	d := &duel{
		fail: fail, config: c, h: h, r: newReference(c),
		memory: map[uint64]Version{}, newest: map[uint64]Version{}, lost: map[uint64]bool{},
		device: next(4) == 3, aliases: 1 + next(4),
	}
	d.remaps = c.Levels[0].Index == VIVT && !c.Levels[0].Sectored && next(4) == 3
	d.lines = []int{40, 12, 4}[next(3)]
	d.stride = []int{1, 2, 4}[next(3)] * h.LineSize()
	return d
}

// line returns the address of a line in use.
func (d *duel) line(i int) uint64 { return 0x8000_0000 + uint64(i*d.stride) + uint64(i%2)<<33 }

// address returns one of the addresses of a physical one: each under another
// colour than the one before, if there are so many.
func (d *duel) address(physical uint64, alias int) Address {
	return Address{physical + uint64(alias)*(1<<36+uint64(d.config.Page)), physical}
}

// source writes an address as Go does.
func source(a Address) string {
	if a == At(a.Physical) {
		return fmt.Sprintf("At(%#x)", a.Physical)
	}
	return fmt.Sprintf("Address{%#x, %#x}", a.Virtual, a.Physical)
}

// called notes a call, and that the line may lose its newest copy by it.
func (d *duel) called(format string, args ...any) {
	d.calls = append(d.calls, fmt.Sprintf("h."+format, args...))
}

// step does one random operation.
func (d *duel) step(next pick) {
	if next(3) < 2 {
		d.latest = next(d.lines)
	}
	line := d.line(d.latest)
	offset := next(d.h.LineSize())
	n := 1 + next(d.h.LineSize()-offset)
	a := d.address(line+uint64(offset), next(d.aliases))
	if d.remaps {
		a.Virtual += uint64(next(2) * 2 * d.config.Page)
	}
	d.clock++
	switch kind := next(40); {
	case kind < 10:
		d.called("Read(%s, %d)", source(a), n)
		d.reads++
		d.equal("level", d.h.Read(a, n), d.r.Read(a, n))
		d.access()
		d.supplied(a, line)
	case kind < 13:
		if i := d.config.Instruction; i != nil {
			n = min(n, i.Line-int(a.Physical)&(i.Line-1))
		}
		d.called("Fetch(%s, %d)", source(a), n)
		d.fetches++
		d.equal("level", d.h.Fetch(a, n), d.r.Fetch(a, n))
		d.access()
		if d.config.Instruction == nil {
			d.supplied(a, line)
		}
	case kind < 21:
		d.write(a, n)
	case kind < 23:
		d.write(d.address(line, next(d.aliases)), d.h.LineSize())
	default:
		d.maintain(next, kind, line, a)
	}
	d.check()
}

func (d *duel) write(a Address, n int) {
	d.called("Write(%s, %d, %d)", source(a), n, d.clock)
	d.writes++
	line := a.Physical &^ uint64(d.h.LineSize()-1)
	d.newest[line] = d.clock
	delete(d.lost, line)
	d.equal("level", d.h.Write(a, n, d.clock), d.r.Write(a, n, d.clock))
	d.access()
}

// supplied checks what a load must have brought.
func (d *duel) supplied(a Address, line uint64) {
	level, _, v := d.h.Probe(a)
	if level != 0 || d.tracked(line) && v != d.newest[line] {
		d.failf("after the load level %d has version %d, newest is %d", level, v, d.newest[line])
	}
}

// maintain does a random operation that is no access.
func (d *duel) maintain(next pick, kind int, line uint64, a Address) {
	op, point := Op(next(3)), Point(next(2))
	switch {
	case kind < 27:
		if !d.alike(0, d.r.beyond(point)) {
			return
		}
		d.called("Maintain(%v, %s, %v)", op, source(a), point)
		d.equal("effect", d.h.Maintain(op, a, point), d.r.Maintain(op, a, point))
		d.invalidated(op, line)
	case kind < 29:
		if !d.alike(0, d.r.beyond(point)) {
			return
		}
		d.called("MaintainAliases(%v, %#x, %v)", op, a.Physical, point)
		d.equal("effect", d.h.MaintainAliases(op, a.Physical, point), d.r.MaintainAliases(op, a.Physical, point))
		d.invalidated(op, line)
	case kind < 30:
		if !d.alike(d.r.inner(), d.h.Levels()) {
			return
		}
		d.called("MaintainOuter(%v, %#x)", op, a.Physical)
		d.equal("effect", d.h.MaintainOuter(op, a.Physical), d.r.MaintainOuter(op, a.Physical))
		d.invalidated(op, line)
	case kind < 34:
		level := next(d.h.Levels())
		set, way := next(d.h.Sets(level)), next(d.h.Ways(level))
		d.called("SetWay(%v, %d, %d, %d)", op, level, set, way)
		d.equal("empty sets", d.h.EmptySets(level, set, way), d.r.EmptySets(level, set, way))
		e := d.h.SetWay(op, level, set, way)
		d.equal("effect", e, d.r.SetWay(op, level, set, way))
		d.invalidated(op, e.Addr)
	case kind < 36:
		op := []Op{Clean, CleanInvalidate}[next(2)]
		d.called("TestClean(%v)", op)
		e, done := d.h.TestClean(op)
		want, wantDone := d.r.TestClean(op)
		d.equal("effect", e, want)
		d.equal("done", done, wantDone)
	case kind < 37:
		d.called("MaintainAll(%v, %v)", op, point)
		d.equal("total", d.h.MaintainAll(op, point), d.r.MaintainAll(op, point))
		d.invalidatedAll(op)
	case kind < 38:
		d.called("MaintainAllOuter(%v)", op)
		d.equal("total", d.h.MaintainAllOuter(op), d.r.MaintainAllOuter(op))
		d.invalidatedAll(op)
	default:
		d.rare(next, line)
		return
	}
	d.settle()
}

func (d *duel) rare(next pick, line uint64) {
	switch next(5) {
	case 0:
		d.called("CopyBack()")
		d.h.CopyBack()
		d.r.CopyBack()
		d.settle()
	case 1:
		d.called("InvalidateInstructions()")
		d.h.InvalidateInstructions()
		d.r.InvalidateInstructions()
	case 2:
		d.called("Empty()")
		d.h.Empty()
		d.r.Empty()
		d.settle()
		d.invalidatedAll(Invalidate)
	case 3:
		d.called("ResetCounters()")
		d.h.ResetCounters()
		d.r.ResetCounters()
		d.reads, d.fetches, d.writes, d.in, d.out = 0, 0, 0, 0, 0
	default:
		if d.device {
			d.calls = append(d.calls, fmt.Sprintf("// memory has version %d of %#x", d.clock, line))
			d.memory[line] = d.clock
		}
	}
}

// alike reports whether the levels have lines of the first one's size, as
// maintenance by address wants.
func (d *duel) alike(from, to int) bool {
	for _, l := range d.config.Levels[from:to] {
		if l.Line != d.h.LineSize() {
			return false
		}
	}
	return true
}

func (d *duel) invalidated(op Op, line uint64) {
	if op == Invalidate {
		d.lost[line] = true
	}
}

func (d *duel) invalidatedAll(op Op) {
	for i := range d.lines {
		d.invalidated(op, d.line(i))
	}
}

// settle compares the traffic and lets memory follow it.
func (d *duel) settle() {
	got := d.h.Traffic()
	if !slices.Equal(got, d.r.traffic) {
		d.failf("traffic %v, want %v", got, d.r.traffic)
	}
	filled, fetched := false, uint64(0)
	for _, x := range d.r.log {
		line := x.Addr &^ uint64(d.h.LineSize()-1)
		if x.Kind != Fetch {
			d.memory[line] = x.Version
			d.out += uint64(x.Bytes)
			continue
		}
		d.in += uint64(x.Bytes)
		if !d.config.Versions {
			continue
		}
		if filled && line != fetched { // a store that goes through may fetch its line once more
			d.failf("fetches of two lines in %v", d.r.log)
		}
		filled, fetched = true, line
		d.calls = append(d.calls, fmt.Sprintf("h.Filled(%d)", d.memory[line]))
		d.h.Filled(d.memory[line])
		d.r.Filled(d.memory[line])
	}
	if !filled {
		d.h.Filled(1 << 40) // must do nothing
	}
}

func (d *duel) access() {
	d.equal("hit version", d.h.HitVersion(), d.r.HitVersion())
	d.settle()
}

// tracked reports whether the newest version of the line must be found.
func (d *duel) tracked(line uint64) bool {
	return d.config.Versions && !d.device && !d.lost[line] && !d.remaps && d.single()
}

// single reports whether a line can only have one copy in the first level.
func (d *duel) single() bool { return !d.h.KeepsAliases() || d.aliases == 1 }

// visible returns what a load would find.
func (d *duel) visible(line uint64) Version {
	if level, _, v := d.h.Probe(At(line)); level < d.h.Levels() {
		return v
	}
	return d.memory[line]
}

// check compares all that can be seen of the two.
func (d *duel) check() {
	held := make([]map[uint64]int, d.h.Levels()) // copies of each line
	for k := range d.h.Levels() {
		var got []Line
		d.h.Lines(k, func(l Line) { got = append(got, l) })
		d.equalLines(fmt.Sprintf("level %d", k), got, d.r.lines(d.r.levels[k]))
		d.equal(fmt.Sprintf("counters of level %d", k), d.h.Counters(k), d.r.levels[k].counters)
		held[k] = map[uint64]int{}
		for _, l := range got {
			held[k][l.Physical]++
			if l.Dirty != 0 && d.config.Levels[k].Write == WriteThrough {
				d.failf("write-through level %d holds %#x dirty", k, l.Physical)
			}
			if l.Dirty&^l.Valid != 0 {
				d.failf("level %d holds %#x dirty where it is not valid", k, l.Physical)
			}
			if held[k][l.Physical] > 1 && (k > 0 || !d.remaps && d.single()) {
				d.failf("level %d holds %#x twice", k, l.Physical)
			}
		}
	}
	var instr []Line
	if d.r.instr != nil {
		d.h.InstructionLines(func(l Line) { instr = append(instr, l) })
		d.equalLines("the instruction side", instr, d.r.lines(d.r.instr))
		got, _ := d.h.InstructionCounters()
		d.equal("counters of the instruction side", got, d.r.instr.counters)
	}
	d.checkInclusion(held, instr)
	d.checkCounts()
	for i := range d.lines {
		d.checkLine(d.line(i))
	}
}

func (d *duel) checkLine(line uint64) {
	for alias := range d.aliases {
		a := d.address(line, alias)
		level, dirty, v := d.h.Probe(a)
		wantLevel, wantDirty, wantV := d.r.Probe(a)
		if level != wantLevel || dirty != wantDirty || v != wantV {
			d.failf("Probe(%s) = %d, %v, %d, want %d, %v, %d", source(a), level, dirty, v, wantLevel, wantDirty, wantV)
		}
	}
	if d.tracked(line) && d.visible(line) != d.newest[line] {
		d.failf("the newest version of %#x, %d, is lost: a load finds %d", line, d.newest[line], d.visible(line))
	}
}

func (d *duel) checkInclusion(held []map[uint64]int, instr []Line) {
	for k := 1; k < len(held); k++ {
		switch d.config.Levels[k].Inclusion {
		case Inclusive:
			for j, near := range held[:k] {
				for line := range near {
					if held[k][line] == 0 {
						d.failf("level %d holds %#x, which the inclusive level %d does not", j, line, k)
					}
				}
			}
			for _, l := range instr {
				if held[k][l.Physical] == 0 {
					d.failf("the instruction side holds %#x, which the inclusive level %d does not", l.Physical, k)
				}
			}
		case Exclusive:
			for line := range held[k-1] {
				if held[k][line] != 0 {
					d.failf("level %d and the exclusive level %d both hold %#x", k-1, k, line)
				}
			}
		}
	}
}

// checkCounts checks that what is counted is what went in and out.
func (d *duel) checkCounts() {
	first := d.h.Counters(0)
	instr, split := d.h.InstructionCounters()
	if !split {
		instr = first
	}
	d.equal("loads counted", first.ReadHits+first.ReadMisses, d.reads)
	d.equal("stores counted", first.WriteHits+first.WriteMisses, d.writes)
	d.equal("fetches counted", instr.InstrHits+instr.InstrMisses, d.fetches)
	from := d.h.Counters(d.h.Levels() - 1).BytesFromBelow
	if split && d.h.Levels() == 1 {
		from += instr.BytesFromBelow
	}
	d.equal("bytes that the last level got from memory", from, d.in)
	if last := d.h.Levels() - 1; d.config.Levels[last].Inclusion != Exclusive { // a clean passes exclusive levels by
		d.equal("bytes that the last level gave to memory", d.h.Counters(last).BytesToBelow, d.out)
	}
	if !d.config.uniform() || d.config.sectored() {
		return
	}
	for k := range d.h.Levels() - 1 {
		above, below := d.h.Counters(k).BytesFromBelow, d.h.Counters(k+1)
		if split && k == 0 {
			above += instr.BytesFromBelow
		}
		reads := below.InstrHits + below.InstrMisses + below.ReadHits + below.ReadMisses
		d.equal(fmt.Sprintf("bytes that level %d got from level %d", k, k+1), above, reads*uint64(d.h.LineSize()))
	}
}

func (d *duel) equalLines(what string, got, want []Line) {
	if !slices.Equal(got, want) {
		d.failf("%s holds\n%+v, want\n%+v", what, got, want)
	}
}

func (d *duel) equal(what string, got, want any) {
	if got != want {
		d.failf("%s %+v, want %+v", what, got, want)
	}
}

func (d *duel) failf(format string, args ...any) {
	c, instr := d.config, "none"
	if c.Instruction != nil { // no pointer, which would differ each time
		instr, c.Instruction = fmt.Sprintf("%+v", *c.Instruction), nil
	}
	d.fail("%+v\ninstruction side %s\n%s\n%s", c, instr, strings.Join(d.calls, "\n"), fmt.Sprintf(format, args...))
}

// from makes a pick of bytes, which ends in zeros.
func from(data []byte) pick {
	return func(n int) int {
		if len(data) == 0 {
			return 0
		}
		x := int(data[0]) % n
		data = data[1:]
		return x
	}
}

// The bytes of choices that a configuration and a step take at most.
const configBytes, stepBytes = 80, 12

// The choices of a step are one group, so that a failure shrinks step by step.
func TestHierarchyBehavesAsTheReference(t *testing.T) {
	config := rapid.SliceOfN(rapid.Byte(), configBytes, configBytes)
	step := rapid.SliceOfN(rapid.Byte(), stepBytes, stepBytes)
	steps := rapid.SliceOf(rapid.SliceOf(rapid.SliceOf(step))) // slices of about five: about 125 steps
	rapid.Check(t, func(t *rapid.T) {
		d := newDuel(from(config.Draw(t, "config")), t.Fatalf)
		for _, step := range slices.Concat(slices.Concat(steps.Draw(t, "steps")...)...) {
			d.step(from(step))
		}
	})
}

// Longer runs than generated cases: evictions need full caches.
func TestLongRunsBehaveAsTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		d := newDuel(draw.IntN, t.Fatalf)
		for range 300 {
			d.step(draw.IntN)
		}
	})
}

func FuzzHierarchyBehavesAsTheReference(f *testing.F) {
	for seed := range uint64(8) {
		draw := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, configBytes+40*stepBytes)
		for i := range data {
			data[i] = byte(draw.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		next := func(n int) (part []byte) {
			n = min(n, len(data))
			part, data = data[:n], data[n:]
			return part
		}
		d := newDuel(from(next(configBytes)), t.Fatalf)
		for steps := 0; len(data) > 0 && steps < 300; steps++ {
			d.step(from(next(stepBytes)))
		}
	})
}
