package cachemodel

import "testing"

func wantEffect(t *testing.T, got, want Effect) {
	t.Helper()
	if got != want {
		t.Errorf("effect %+v, want %+v", got, want)
	}
}

func TestMaintainOfAnAbsentLineDoesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	for _, op := range []Op{Clean, Invalidate, CleanInvalidate} {
		wantEffect(t, h.Maintain(op, line(5)+3), Effect{Addr: line(5)})
		wantTraffic(t, h)
	}
	wantLines(t, h, 0, clean(1, 1))
}

func TestCleanKeepsTheLineResident(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	wantEffect(t, h.Maintain(Clean, line(1)+63), Effect{line(1), true, true, 5})
	wantTraffic(t, h, Transfer{line(1), 5, WriteBack})
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, clean(1, 5)) // the older copy follows
}

func TestCleanOfACleanLineWritesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	wantEffect(t, h.Maintain(Clean, line(1)), Effect{line(1), true, false, 1})
	wantTraffic(t, h)
}

func TestCleanOfALineDirtyInTwoLevelsWritesTheNearerOnce(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2, 3)
	h.Write(line(1), 5, false) // dirty in L2
	h.Read(line(1))
	h.Write(line(1), 6, false) // dirty in L1
	wantEffect(t, h.Maintain(Clean, line(1)), Effect{line(1), true, true, 6})
	wantTraffic(t, h, Transfer{line(1), 6, WriteBack})
	wantLines(t, h, 1, clean(1, 6), clean(2, 1), clean(3, 1))
	if a, b := h.Counters(0).Writebacks, h.Counters(1).Writebacks; a != 1 || b != 1 {
		t.Errorf("write-backs %d and %d, want one from each level", a, b)
	}
}

// Invalidating a middle level by set and way leaves a clean copy above an older dirty one.
func TestCleanWritesTheDirtyVersionEvenBelowACleanCopy(t *testing.T) {
	h := mustNew(t, small(func(c *Config) { c.Levels = append(c.Levels, c.Levels[1]) }))
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	h.SetWay(Clean, 0, 0, 0)
	h.SetWay(Clean, 1, 0, 0) // dirty in L3
	h.Write(line(1), 6, false)
	h.SetWay(Clean, 0, 0, 0)
	h.SetWay(Invalidate, 1, 0, 0)
	wantLines(t, h, 0, clean(1, 6))
	wantEffect(t, h.Maintain(Clean, line(1)), Effect{line(1), true, true, 5})
	wantTraffic(t, h, Transfer{line(1), 5, WriteBack})
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 2, clean(1, 5))
}

func TestCleanOfALineDirtyInL1OnlyDoesNotAllocateInL2(t *testing.T) {
	h := mustNew(t, small(l1Allocates))
	h.Write(line(1), 5, true)
	h.Maintain(Clean, line(1))
	wantTraffic(t, h, Transfer{line(1), 5, WriteBack})
	wantLines(t, h, 1)
}

func TestInvalidateDropsDirtyDataInEveryLevel(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	wantEffect(t, h.Maintain(Invalidate, line(1)), Effect{line(1), true, true, 5})
	wantTraffic(t, h)
	wantLines(t, h, 0)
	wantLines(t, h, 1)
	wantLevel(t, h.Read(line(1)), 2)
}

func TestCleanInvalidateWritesAndDrops(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	wantEffect(t, h.Maintain(CleanInvalidate, line(1)), Effect{line(1), true, true, 5})
	wantTraffic(t, h, Transfer{line(1), 5, WriteBack})
	wantLines(t, h, 0)
	wantLines(t, h, 1)
}

func TestMaintainIsNoUseOfTheLine(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2)
	h.Maintain(Clean, line(1))
	load(h, 1, 3)
	wantLines(t, h, 0, clean(3, 1), clean(2, 1))
}

func TestSetWayOfAnEmptySlotFindsNothing(t *testing.T) {
	h := mustNew(t, small())
	wantEffect(t, h.SetWay(CleanInvalidate, 1, 0, 3), Effect{})
	wantTraffic(t, h)
}

func TestSetWayCleanOfL1WritesToL2(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	wantEffect(t, h.SetWay(Clean, 0, 0, 0), Effect{line(1), true, true, 5})
	wantTraffic(t, h)
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, dirtied(1, 5))
}

func TestSetWayCleanOfL1MayEvictFromL2(t *testing.T) {
	h := mustNew(t, small(l1Allocates))
	load(h, 1, 1, 2, 3, 4)
	h.Write(line(1), 2, true)
	h.SetWay(CleanInvalidate, 0, 0, 0) // dirty in L2 now
	load(h, 1, 5, 6, 7)                // and the oldest there
	h.Write(line(10), 6, true)
	wantEffect(t, h.SetWay(Clean, 0, 0, 1), Effect{line(10), true, true, 6})
	wantTraffic(t, h, Transfer{line(1), 2, WriteBack})
}

func TestSetWayCleanOfTheLastLevelWritesToMemory(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2, 3)
	h.Write(line(1), 5, false)
	wantEffect(t, h.SetWay(CleanInvalidate, 1, 0, 0), Effect{line(1), true, true, 5})
	wantTraffic(t, h, Transfer{line(1), 5, WriteBack})
	wantLines(t, h, 1, clean(2, 1), clean(3, 1))
}

func TestSetWayInvalidateUncoversTheOlderCopyBelow(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	wantEffect(t, h.SetWay(Invalidate, 0, 0, 0), Effect{line(1), true, true, 5})
	wantTraffic(t, h)
	wantLevel(t, h.Read(line(1)), 1)
	wantHit(t, h, 1)
}

func TestSetWayLeavesOtherLevelsAlone(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	wantEffect(t, h.SetWay(CleanInvalidate, 1, 0, 0), Effect{line(1), true, false, 1})
	wantTraffic(t, h)
	wantLines(t, h, 0, dirtied(1, 5))
	wantLines(t, h, 1)
}

func TestSetWayOutOfRangePanics(t *testing.T) {
	h := mustNew(t, small())
	for _, at := range [][3]int{{0, 1, 0}, {0, 0, 2}, {0, -1, 0}, {0, 0, -1}, {2, 0, 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("SetWay(Clean, %d, %d, %d) did not panic", at[0], at[1], at[2])
				}
			}()
			h.SetWay(Clean, at[0], at[1], at[2])
		}()
	}
}

// The Cortex-A8's whole-cache flush, L1 then L2: 256 + 4096 slots, and every
// dirty line reaches memory, once.
func TestSetWayFlushWritesEveryDirtyLineOnce(t *testing.T) {
	h := mustNew(t, cortexA8(true))
	for i := range 1000 {
		load(h, 1, i)
		if i%3 == 0 {
			h.Write(line(i), Version(i+2), false)
		}
	}
	want := map[uint64]Version{}
	for level := range h.Levels() {
		h.Lines(level, func(addr uint64, _ bool, _ Version) {
			if _, dirty, v := h.Probe(addr); dirty {
				want[addr] = v
			}
		})
	}
	if len(want) == 0 {
		t.Fatal("nothing is dirty")
	}
	slots := 0
	for level := range h.Levels() {
		for set := range h.Sets(level) {
			for way := range h.Ways(level) {
				h.SetWay(CleanInvalidate, level, set, way)
				slots++
				for _, x := range h.Traffic() {
					if v, ok := want[x.Addr]; !ok || v != x.Version || x.Kind != WriteBack {
						t.Errorf("traffic %v, want version %d once", x, v)
					}
					delete(want, x.Addr)
				}
			}
		}
	}
	if slots != 4352 {
		t.Errorf("%d slots, want 4352", slots)
	}
	if len(want) != 0 {
		t.Errorf("%d dirty lines did not reach memory", len(want))
	}
	wantLines(t, h, 0)
	wantLines(t, h, 1)
}
