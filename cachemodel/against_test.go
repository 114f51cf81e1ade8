package cachemodel

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// bench drives a hierarchy and the reference side by side, with a memory
// behind them that holds versions, and compares all that can be seen.
type bench struct {
	fail   func(format string, args ...any)
	config Config
	h      *Hierarchy
	r      *reference
	memory map[uint64]Version
	newest map[uint64]Version // what a load must find, where only the CPU writes
	lost   map[uint64]bool    // lines whose newest copy an invalidate by set and way dropped, so that a clean one is the only one
	device bool               // whether a device writes memory too
	clock  Version
	last   string
}

// pick returns a number from 0 to n-1.
type pick func(n int) int

func pickConfig(next pick) Config {
	c := Config{Versions: next(8) > 0, Seed: uint64(next(4))}
	line := []int{4, 32, 64}[next(3)]
	replacement := next(3) // all LRU, all Random, or each its own
	for range 1 + next(3) {
		l := LevelConfig{Ways: 1 + next(5), Line: line, Write: WritePolicy(next(2)), Allocate: Allocate(next(2))}
		l.Size = l.Ways * line << next(4)
		l.Replacement = Replacement(replacement)
		if replacement == 2 {
			l.Replacement = Replacement(next(2))
		}
		c.Levels = append(c.Levels, l)
	}
	return c
}

func newBench(c Config, device bool, fail func(format string, args ...any)) *bench {
	h, err := New(c)
	if err != nil {
		fail("New(%+v): %v", c, err)
	}
	return &bench{fail, c, h, newReference(c), map[uint64]Version{}, map[uint64]Version{}, map[uint64]bool{}, device, 0, ""}
}

const universe = 48 // lines: more than most of the hierarchies hold

func (b *bench) line(i int) uint64 {
	return (uint64(i)*uint64(b.h.LineSize()) | 0x8000_0000) + uint64(i%2)<<40
}

// step does one random operation.
func (b *bench) step(next pick) {
	line := b.line(next(universe))
	addr := line + uint64(next(b.h.LineSize()))
	b.clock++
	switch kind := next(16); {
	case kind < 5:
		b.last = fmt.Sprintf("Read(%#x)", addr)
		b.equal("level", b.h.Read(addr), b.r.Read(addr))
		b.settle()
		b.access()
		level, _, v := b.h.Probe(addr)
		if level != 0 || b.tracked(line) && v != b.newest[line] {
			b.failf("after the load level %d has version %d, newest is %d", level, v, b.newest[line])
		}
	case kind < 11:
		whole := next(2) == 1
		b.last = fmt.Sprintf("Write(%#x, %d, %v)", addr, b.clock, whole)
		b.newest[line] = b.clock
		delete(b.lost, line)
		b.equal("level", b.h.Write(addr, b.clock, whole), b.r.Write(addr, b.clock, whole))
		b.settle()
		b.access()
	case kind < 13:
		op := Op(next(3))
		b.last = fmt.Sprintf("Maintain(%v, %#x)", op, addr)
		b.equal("effect", b.h.Maintain(op, addr), b.r.Maintain(op, addr))
		b.settle()
		if op == Invalidate {
			b.newest[line] = b.memory[line]
			delete(b.lost, line)
		}
	case kind < 15:
		op, level := Op(next(3)), next(b.h.Levels())
		set, way := next(b.h.Sets(level)), next(b.h.Ways(level))
		b.last = fmt.Sprintf("SetWay(%v, %d, %d, %d)", op, level, set, way)
		e := b.h.SetWay(op, level, set, way)
		b.equal("effect", e, b.r.SetWay(op, level, set, way))
		b.settle()
		if op == Invalidate && e.Dirty {
			b.lost[e.Addr] = true
		}
	default:
		if b.device {
			b.last = fmt.Sprintf("device write %#x", line)
			b.memory[line] = b.clock
		}
	}
	b.check()
}

// settle compares the traffic and lets memory follow it.
func (b *bench) settle() {
	got := b.h.Traffic()
	if !slices.Equal(got, b.r.traffic) {
		b.failf("traffic %v, want %v", got, b.r.traffic)
	}
	for i, x := range got {
		switch {
		case x.Kind != Fetch:
			b.memory[x.Addr] = x.Version
		case i > 0:
			b.failf("fetch is not the first of %v", got)
		default:
			b.h.Filled(b.memory[x.Addr])
			b.r.Filled(b.memory[x.Addr])
		}
	}
	if len(got) == 0 || got[0].Kind != Fetch {
		b.h.Filled(1 << 40) // must do nothing
	}
}

func (b *bench) access() { b.equal("hit version", b.h.HitVersion(), b.r.HitVersion()) }

// tracked reports whether the newest version of the line must be found.
func (b *bench) tracked(line uint64) bool { return b.config.Versions && !b.device && !b.lost[line] }

// visible returns what a load would find.
func (b *bench) visible(line uint64) Version {
	if level, _, v := b.h.Probe(line); level < b.h.Levels() {
		return v
	}
	return b.memory[line]
}

func (b *bench) check() {
	for k := range b.h.Levels() {
		var got []referenceLine
		b.h.Lines(k, func(addr uint64, dirty bool, v Version) { got = append(got, referenceLine{addr, dirty, v}) })
		if want := b.r.lines(k); !slices.Equal(got, want) {
			b.failf("level %d holds %v, want %v", k, got, want)
		}
		b.equal("counters", b.h.Counters(k), b.r.levels[k].counters)
		seen := map[uint64]bool{}
		for _, line := range got {
			if seen[line.addr] {
				b.failf("level %d holds %#x twice", k, line.addr)
			}
			if line.dirty && b.config.Levels[k].Write == WriteThrough {
				b.failf("write-through level %d holds %#x dirty", k, line.addr)
			}
			seen[line.addr] = true
		}
	}
	for i := range universe {
		line := b.line(i)
		level, dirty, v := b.h.Probe(line)
		wantLevel, wantDirty, wantV := b.r.Probe(line)
		if level != wantLevel || dirty != wantDirty || v != wantV {
			b.failf("Probe(%#x) = %d, %v, %d, want %d, %v, %d", line, level, dirty, v, wantLevel, wantDirty, wantV)
		}
		if b.tracked(line) && b.visible(line) != b.newest[line] {
			b.failf("the newest version of %#x, %d, is lost: a load finds %d", line, b.newest[line], b.visible(line))
		}
	}
}

func (b *bench) equal(what string, got, want any) {
	if got != want {
		b.failf("%s %+v, want %+v", what, got, want)
	}
}

func (b *bench) failf(format string, args ...any) {
	b.fail("%+v\nafter %s: %s", b.config, b.last, fmt.Sprintf(format, args...))
}

func TestHierarchyBehavesAsTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		next := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }
		b := newBench(pickConfig(next), next(2) == 1, t.Fatalf)
		for range next(200) {
			b.step(next)
		}
	})
}

// Longer runs than generated cases: evictions need full caches.
func TestLongRunsBehaveAsTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := rapid.Uint64().Draw(t, "seed")
		next := func(n int) int {
			state = state*6364136223846793005 + 1442695040888963407
			return int(state >> 33 % uint64(n))
		}
		b := newBench(pickConfig(next), next(2) == 1, t.Fatalf)
		for range 300 {
			b.step(next)
		}
	})
}

func FuzzHierarchyBehavesAsTheReference(f *testing.F) {
	f.Add([]byte("\x01\x00\x02\x00\x02\x03\x00\x00\x03\x07\x01\x01\x04\x05\x03\x10\x00\x06\x00\x03\x11\x00\x01\x03\x12\x00\x06\x01"))
	f.Add([]byte("\x07\x03\x01\x02\x00\x01\x00\x01\x01\x01\x02\x00\x00\x03\x00\x02\x05\x07\x09\x0b\x0d\x0f\x10\x12\x14"))
	f.Fuzz(func(t *testing.T, data []byte) {
		next := func(n int) int {
			if len(data) == 0 {
				return 0
			}
			x := int(data[0]) % n
			data = data[1:]
			return x
		}
		b := newBench(pickConfig(next), next(2) == 1, t.Fatalf)
		for steps := 0; len(data) > 0 && steps < 300; steps++ {
			b.step(next)
		}
	})
}
