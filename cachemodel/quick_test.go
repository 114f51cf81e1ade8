package cachemodel

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever Quick takes, taking it by Read, Fetch or Write leaves the same hierarchy behind.
func TestQuickDoesWhatTheOthersDo(test *testing.T) {
	taken := 0
	rapid.Check(test, func(t *rapid.T) {
		next := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }
		c := pickConfig(next)
		c.Versions = false
		if c.Validate() != nil {
			return
		}
		a, b := mustNew(test, c), mustNew(test, c)
		for range next(150) {
			what, addr := Access(next(3)), uint64(next(1<<11))
			line := uint64(a.LineSize())
			if what == Instruction && c.Instruction != nil {
				line = uint64(c.Instruction.Line)
			}
			n := 1 + next(int(line-addr%line))
			full := func(h *Hierarchy) {
				switch what {
				case Instruction:
					h.Fetch(At(addr), n)
				case Load:
					h.Read(At(addr), n)
				default:
					h.Write(At(addr), n, 0)
				}
			}
			full(a)
			if b.Quick(what, addr, n) {
				taken++
				if len(b.Traffic()) != 0 || len(a.Traffic()) != 0 {
					t.Fatalf("a quick access crosses %v, a full one %v", b.Traffic(), a.Traffic())
				}
			} else {
				full(b)
			}
			for k := range a.Levels() {
				if a.Counters(k) != b.Counters(k) {
					t.Fatalf("level %d: %+v by quick accesses, want %+v", k, b.Counters(k), a.Counters(k))
				}
				var want, got []Line
				a.Lines(k, func(l Line) { want = append(want, l) })
				b.Lines(k, func(l Line) { got = append(got, l) })
				if len(want) != len(got) {
					t.Fatalf("level %d holds %v by quick accesses, want %v", k, got, want)
				}
				for i := range want {
					if want[i] != got[i] {
						t.Fatalf("level %d holds %v by quick accesses, want %v", k, got[i], want[i])
					}
				}
			}
			ai, _ := a.InstructionCounters()
			if bi, _ := b.InstructionCounters(); ai != bi {
				t.Fatalf("instruction side: %+v by quick accesses, want %+v", bi, ai)
			}
		}
	})
	if taken == 0 {
		test.Error("no access was quick")
	}
}

func TestQuickRefusesWhatNeedsMore(t *testing.T) {
	l := LevelConfig{Size: 256, Ways: 2, Line: 64, Allocate: ReadWriteAllocate}
	through, parts, virtual := l, l, l
	through.Write = WriteThrough
	parts.SubBlock = 16
	virtual.Index = VIPT
	for name, c := range map[string]Config{
		"versions": {Levels: []LevelConfig{l}, Versions: true}, "write-through": {Levels: []LevelConfig{through}}, "dirty sub-blocks": {Levels: []LevelConfig{parts}},
		"virtual": {Levels: []LevelConfig{virtual}},
	} {
		h := mustNew(t, c)
		h.Read(At(0), 4)
		if h.Quick(StoreTo, 0, 4) {
			t.Errorf("%s: the store was quick", name)
		}
	}
	h := mustNew(t, Config{Levels: []LevelConfig{l}})
	h.Read(At(0), 4)
	if h.Quick(Load, 60, 8) {
		t.Error("an access over two lines was quick")
	}
	if h.Quick(3, 0, 4) {
		t.Error("an access that there is not was quick")
	}
	if !h.Quick(Load, 0, 4) {
		t.Error("a plain hit was not")
	}
}
