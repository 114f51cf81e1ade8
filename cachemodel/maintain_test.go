package cachemodel

import (
	"slices"
	"testing"
)

func wantEffect(t *testing.T, got, want Effect) {
	t.Helper()
	if got != want {
		t.Errorf("effect %+v, want %+v", got, want)
	}
}

// found is the effect of an operation under one address that found copies.
func found(i int, dirty bool, v Version, copies int) Effect {
	return Effect{Addr: line(i), Present: true, Dirty: dirty, Version: v, Copies: copies, Lookups: 1}
}

func TestMaintainOfAnAbsentLineDoesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	for _, op := range []Op{Clean, Invalidate, CleanInvalidate} {
		wantEffect(t, h.Maintain(op, At(line(5)+3), PoC), Effect{Addr: line(5), Lookups: 1})
		wantTraffic(t, h)
	}
	wantLines(t, h, 0, clean(1, 1))
}

func TestCleanKeepsTheLineResident(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	wantEffect(t, h.Maintain(Clean, At(line(1)+63), PoC), found(1, true, 5, 2))
	wantTraffic(t, h, Transfer{line(1), 64, 5, WriteBack})
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, clean(1, 5)) // the older copy follows
}

func TestCleanOfACleanLineWritesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	wantEffect(t, h.Maintain(Clean, At(line(1)), PoC), found(1, false, 1, 2))
	wantTraffic(t, h)
}

func TestCleanOfALineDirtyInTwoLevelsWritesTheNearerOnce(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2, 3)
	h.Write(At(line(1)), 4, 5) // dirty in L2
	h.Read(At(line(1)), 4)
	h.Write(At(line(1)), 4, 6) // dirty in L1
	wantEffect(t, h.Maintain(Clean, At(line(1)), PoC), found(1, true, 6, 2))
	wantTraffic(t, h, Transfer{line(1), 64, 6, WriteBack})
	wantLines(t, h, 1, clean(1, 6), clean(2, 1), clean(3, 1))
	if a, b := h.Counters(0).Writebacks, h.Counters(1).Writebacks; a != 1 || b != 1 {
		t.Errorf("write-backs %d and %d, want one from each level", a, b)
	}
}

// Invalidating a middle level by set and way leaves a clean copy above an older dirty one.
func TestCleanWritesTheDirtyVersionEvenBelowACleanCopy(t *testing.T) {
	h := mustNew(t, small(func(c *Config) { c.Levels = append(c.Levels, c.Levels[1]) }))
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	h.SetWay(Clean, 0, 0, 0)
	h.SetWay(Clean, 1, 0, 0) // dirty in L3
	h.Write(At(line(1)), 4, 6)
	h.SetWay(Clean, 0, 0, 0)
	h.SetWay(Invalidate, 1, 0, 0)
	wantLines(t, h, 0, clean(1, 6))
	wantEffect(t, h.Maintain(Clean, At(line(1)), PoC), found(1, true, 5, 2))
	wantTraffic(t, h, Transfer{line(1), 64, 5, WriteBack})
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 2, clean(1, 5))
}

func TestCleanOfALineDirtyInL1OnlyDoesNotAllocateInL2(t *testing.T) {
	h := mustNew(t, small(l1Allocates))
	h.Write(At(line(1)), 64, 5)
	h.Maintain(Clean, At(line(1)), PoC)
	wantTraffic(t, h, Transfer{line(1), 64, 5, WriteBack})
	wantLines(t, h, 1)
}

func TestInvalidateDropsDirtyDataInEveryLevel(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	wantEffect(t, h.Maintain(Invalidate, At(line(1)), PoC), found(1, true, 5, 2))
	wantTraffic(t, h)
	wantLines(t, h, 0)
	wantLines(t, h, 1)
	wantLevel(t, h.Read(At(line(1)), 4), 2)
}

func TestCleanInvalidateWritesAndDrops(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	wantEffect(t, h.Maintain(CleanInvalidate, At(line(1)), PoC), found(1, true, 5, 2))
	wantTraffic(t, h, Transfer{line(1), 64, 5, WriteBack})
	wantLines(t, h, 0)
	wantLines(t, h, 1)
}

func TestMaintainIsNoUseOfTheLine(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2)
	h.Maintain(Clean, At(line(1)), PoC)
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
	h.Write(At(line(1)), 4, 5)
	wantEffect(t, h.SetWay(Clean, 0, 0, 0), found(1, true, 5, 1))
	wantTraffic(t, h)
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, dirtied(1, 5))
}

func TestSetWayCleanOfL1MayEvictFromL2(t *testing.T) {
	h := mustNew(t, small(l1Allocates))
	load(h, 1, 1, 2, 3, 4)
	h.Write(At(line(1)), 64, 2)
	h.SetWay(CleanInvalidate, 0, 0, 0) // dirty in L2 now
	load(h, 1, 5, 6, 7)                // and the oldest there
	h.Write(At(line(10)), 64, 6)
	wantEffect(t, h.SetWay(Clean, 0, 0, 1), found(10, true, 6, 1))
	wantTraffic(t, h, Transfer{line(1), 64, 2, WriteBack})
}

func TestSetWayCleanOfTheLastLevelWritesToMemory(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2, 3)
	h.Write(At(line(1)), 4, 5)
	wantEffect(t, h.SetWay(CleanInvalidate, 1, 0, 0), found(1, true, 5, 1))
	wantTraffic(t, h, Transfer{line(1), 64, 5, WriteBack})
	wantLines(t, h, 1, clean(2, 1), clean(3, 1))
}

func TestSetWayInvalidateUncoversTheOlderCopyBelow(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	wantEffect(t, h.SetWay(Invalidate, 0, 0, 0), found(1, true, 5, 1))
	wantTraffic(t, h)
	wantLevel(t, h.Read(At(line(1)), 4), 1)
	wantHit(t, h, 1)
}

func TestSetWayLeavesOtherLevelsAlone(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	wantEffect(t, h.SetWay(CleanInvalidate, 1, 0, 0), found(1, false, 1, 1))
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
			h.Write(At(line(i)), 4, Version(i+2))
		}
	}
	want := map[uint64]Version{}
	for level := range h.Levels() {
		h.Lines(level, func(l Line) {
			if _, dirty, v := h.Probe(At(l.Physical)); dirty {
				want[l.Physical] = v
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

// core is a split first level, a unified second and an outer third: 2, 4 and 8
// lines of one set. Instructions and data meet in the second.
func core() Config {
	return Config{
		Levels: []LevelConfig{
			{Size: 128, Ways: 2, Line: 64},
			{Size: 256, Ways: 4, Line: 64},
			{Size: 512, Ways: 8, Line: 64, Outer: true},
		},
		Instruction: &LevelConfig{Size: 128, Ways: 2, Line: 64},
		Unification: 1,
		Versions:    true,
	}
}

func TestCleanToThePointOfUnificationStopsThere(t *testing.T) {
	h := mustNew(t, core())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	wantEffect(t, h.Maintain(Clean, At(line(1)), PoU), found(1, true, 5, 1))
	wantTraffic(t, h)
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, dirtied(1, 5))
	wantLines(t, h, 2, clean(1, 1))
}

func TestInvalidateToThePointOfUnificationLeavesTheLevelsBeyond(t *testing.T) {
	h := mustNew(t, core())
	load(h, 1, 1)
	wantEffect(t, h.Maintain(Invalidate, At(line(1)), PoU), found(1, false, 1, 1))
	wantLines(t, h, 0)
	wantLines(t, h, 1, clean(1, 1))
}

func TestMaintenanceToAPointOfUnificationBeforeAllLevelsDoesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	wantEffect(t, h.Maintain(Invalidate, At(line(1)), PoU), Effect{Addr: line(1), Lookups: 1})
	wantEffect(t, h.MaintainAliases(Invalidate, line(1), PoU), Effect{Addr: line(1), Lookups: 1})
	wantLines(t, h, 0, clean(1, 1))
}

// New code: the instruction side keeps the old until it is emptied, and then
// gets what the data side has cleaned to the point of unification.
func TestNewCodeIsSeenAfterACleanAndAnInvalidateOfTheInstructionSide(t *testing.T) {
	h := mustNew(t, core())
	fetch := func(wantLevel int, want Version) {
		t.Helper()
		if level := h.Fetch(At(line(1)), 4); level != wantLevel || level > 0 && h.HitVersion() != want {
			t.Errorf("level %d, version %d, want %d, %d", level, h.HitVersion(), wantLevel, want)
		}
		h.Filled(1)
	}
	fetch(3, 0)
	h.Read(At(line(1)), 4)
	h.Write(At(line(1)), 4, 5)
	fetch(0, 0)
	h.InvalidateInstructions()
	fetch(1, 1) // the second level has the old code still
	h.Maintain(Clean, At(line(1)), PoU)
	h.InvalidateInstructions()
	fetch(1, 5)
}

func TestCleanToThePointOfCoherencyGoesToTheOuterLevel(t *testing.T) {
	h := mustNew(t, core())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	wantEffect(t, h.Maintain(CleanInvalidate, At(line(1)), PoC), found(1, true, 5, 2))
	wantTraffic(t, h)
	wantLines(t, h, 0)
	wantLines(t, h, 1)
	wantLines(t, h, 2, dirtied(1, 5))
}

func TestOuterLevelsAreMaintainedInAPassOfTheirOwn(t *testing.T) {
	h := mustNew(t, core())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	wantEffect(t, h.MaintainOuter(Clean, line(1)), found(1, false, 1, 1)) // the new data is not there yet
	wantTraffic(t, h)
	h.Maintain(Clean, At(line(1)), PoC)
	wantEffect(t, h.MaintainOuter(CleanInvalidate, line(1)+7), found(1, true, 5, 1))
	wantTraffic(t, h, Transfer{line(1), 64, 5, WriteBack})
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 2)
}

func TestInnerIsTheLevelsBeforeTheFirstOuterOne(t *testing.T) {
	if got := mustNew(t, core()).Inner(); got != 2 {
		t.Errorf("%d, want 2", got)
	}
	if got := mustNew(t, small()).Inner(); got != 2 {
		t.Errorf("%d where none is outer, want both", got)
	}
}

func TestMaintainOuterOfACoreWithoutOuterLevelsFindsNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	wantEffect(t, h.MaintainOuter(Invalidate, line(1)), Effect{Addr: line(1), Lookups: 1})
	wantLines(t, h, 1, clean(1, 1))
}

func TestMaintainPanicsIfLevelsOfTheSpanDifferInLineSize(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 128, Ways: 2, Line: 32}, {Size: 256, Ways: 4, Line: 64}}})
	defer func() {
		if recover() == nil {
			t.Error("it did not panic")
		}
	}()
	h.Maintain(Clean, At(0), PoC)
}

func TestMaintainAllVisitsTheInnerLevels(t *testing.T) {
	h := mustNew(t, core())
	load(h, 1, 1, 2)
	h.Write(At(line(1)), 4, 5)
	if got, want := h.MaintainAll(CleanInvalidate, PoC), (Total{Slots: 6, Present: 4, Dirty: 2}); got != want {
		t.Errorf("%+v, want %+v: L1's dirty line is dirty in L2 next", got, want)
	}
	wantTraffic(t, h)
	wantLines(t, h, 0)
	wantLines(t, h, 1)
	wantLines(t, h, 2, dirtied(1, 5), clean(2, 1))
	if got, want := h.MaintainAllOuter(Clean), (Total{Slots: 8, Present: 2, Dirty: 1}); got != want {
		t.Errorf("outer %+v, want %+v", got, want)
	}
	wantLines(t, h, 2, clean(1, 5), clean(2, 1))
	if got := h.Counters(2).BytesToBelow; got != 64 {
		t.Errorf("%d bytes written to memory, want a line", got)
	}
}

func TestMaintainAllToThePointOfUnificationVisitsTheFirstLevel(t *testing.T) {
	h := mustNew(t, core())
	load(h, 1, 1, 2)
	h.Write(At(line(1)), 4, 5)
	if got, want := h.MaintainAll(Clean, PoU), (Total{Slots: 2, Present: 2, Dirty: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	wantLines(t, h, 0, clean(1, 5), clean(2, 1))
	wantLines(t, h, 1, dirtied(1, 5), clean(2, 1))
}

func TestMaintainAllIsTheLoopOverSetsAndWays(t *testing.T) {
	for _, op := range []Op{Clean, Invalidate, CleanInvalidate} {
		a, b := mustNew(t, cortexA8(true)), mustNew(t, cortexA8(true))
		for _, h := range []*Hierarchy{a, b} {
			for i := range 3000 {
				load(h, 1, i*7%1000)
				if i%3 == 0 {
					h.Write(At(line(i*7%1000)), 4, Version(i))
				}
			}
		}
		var want Total
		for level := range a.Levels() {
			for way := range a.Ways(level) {
				for set := range a.Sets(level) {
					e := a.SetWay(op, level, set, way)
					want.Slots++
					if e.Present {
						want.Present++
					}
					if e.Dirty {
						want.Dirty++
					}
				}
			}
		}
		if got := b.MaintainAll(op, PoC); got != want {
			t.Errorf("%v: %+v, want %+v", op, got, want)
		}
		for level := range a.Levels() {
			if got, want := b.Counters(level), a.Counters(level); got != want {
				t.Errorf("%v: level %d counts %+v, want %+v", op, level, got, want)
			}
			if got, want := lines(b, level), lines(a, level); !slices.Equal(got, want) {
				t.Errorf("%v: level %d holds %d lines, want the same %d", op, level, len(got), len(want))
			}
		}
	}
}

// large is 64 MiB that hold three lines, one of them dirty.
func large(t *testing.T) *Hierarchy {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 64 << 20, Ways: 16, Line: 64}}, Versions: true})
	load(h, 1, 0, 1<<15, 1<<16-1)
	h.Write(At(line(1<<15)), 4, 5)
	return h
}

// Flushed as often as here, a cache that was visited slot by slot would take minutes.
func TestAFlushOfALargeCacheDependsOnTheLinesHeld(t *testing.T) {
	h := large(t)
	for _, want := range []Total{{1 << 20, 3, 1}, {1 << 20, 0, 0}} {
		if got := h.MaintainAll(CleanInvalidate, PoC); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	for range 2000 {
		load(h, 1, 5)
		if got := h.MaintainAll(CleanInvalidate, PoC); got.Present != 1 {
			t.Fatalf("%+v, want one line", got)
		}
	}
}

func TestEmptySetsPassesOverSetsThatHoldNothingInTheWay(t *testing.T) {
	h := large(t)
	for _, c := range []struct{ set, way, want int }{
		{0, 0, 0},
		{1, 0, 1<<15 - 1},
		{1 << 15, 0, 0},
		{1<<15 + 1, 0, 1<<15 - 2},
		{1<<16 - 1, 0, 0},
		{0, 1, 1 << 16},
		{70, 15, 1<<16 - 70},
	} {
		if got := h.EmptySets(0, c.set, c.way); got != c.want {
			t.Errorf("EmptySets(0, %d, %d) = %d, want %d", c.set, c.way, got, c.want)
		}
	}
}

func TestEmptySetsKnowsOfLinesThatAreGone(t *testing.T) {
	h := large(t)
	h.Maintain(Invalidate, At(line(1<<15)), PoC)
	if got := h.EmptySets(0, 1, 0); got != 1<<16-2 {
		t.Errorf("%d, want %d", got, 1<<16-2)
	}
}

func TestTestAndCleanCleansADirtyLineATurn(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 512, Ways: 2, Line: 64}}, Versions: true})
	load(h, 1, 0, 1, 4, 6)
	for _, i := range []int{1, 4, 6} {
		h.Write(At(line(i)), 4, Version(i))
	}
	for _, i := range []int{4, 1, 6} { // by set
		e, done := h.TestClean(Clean)
		wantEffect(t, e, found(i, true, Version(i), 1))
		wantTraffic(t, h, Transfer{line(i), 64, Version(i), WriteBack})
		if done {
			t.Error("done too early")
		}
	}
	e, done := h.TestClean(Clean)
	wantEffect(t, e, Effect{})
	if !done {
		t.Error("not done")
	}
	wantTraffic(t, h)
	wantLines(t, h, 0, clean(0, 1), clean(4, 4), clean(1, 1), clean(6, 6))
}

func TestTestCleanAndInvalidateDropsTheRestInTheEnd(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 512, Ways: 2, Line: 64}}, Versions: true})
	load(h, 1, 0, 1, 4)
	h.Write(At(line(1)), 4, 5)
	if e, done := h.TestClean(CleanInvalidate); !e.Dirty || done {
		t.Errorf("%+v, %v, want a dirty line", e, done)
	}
	wantLines(t, h, 0, clean(0, 1), clean(4, 1))
	if e, done := h.TestClean(CleanInvalidate); e.Present || !done {
		t.Errorf("%+v, %v, want an end", e, done)
	}
	wantLines(t, h, 0)
}

// The loop begins where it ended: a line that got dirty since is found all the same.
func TestTestCleanFindsWhatGotDirtySince(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 512, Ways: 2, Line: 64}}, Versions: true})
	load(h, 1, 0, 1, 2)
	for _, i := range []int{2, 0, 1, 0} {
		h.Write(At(line(i)), 4, 5)
		if e, done := h.TestClean(Clean); done || e.Addr != line(i) {
			t.Errorf("%+v, %v, want line %d", e, done, i)
		}
		if _, done := h.TestClean(Clean); !done {
			t.Error("not done")
		}
	}
}

func TestEmptyWritesNothingBack(t *testing.T) {
	h := mustNew(t, core())
	load(h, 1, 1, 2)
	h.Write(At(line(1)), 4, 5)
	h.Fetch(At(line(3)), 4)
	h.Empty()
	for level := range h.Levels() {
		wantLines(t, h, level)
	}
	h.InstructionLines(func(l Line) { t.Errorf("the instruction side holds %+v", l) })
	if got := h.Counters(2).BytesToBelow; got != 0 {
		t.Errorf("%d bytes written", got)
	}
	wantLevel(t, h.Read(At(line(1)), 4), 3)
}

// L1's lines are written to L2 the least recently used first: that is the order in which they fill it.
func TestCopyBackWritesTheLineNextToBeReplacedFirst(t *testing.T) {
	h := mustNew(t, Config{
		Levels:   []LevelConfig{{Size: 256, Ways: 4, Line: 64, Allocate: ReadWriteAllocate}, {Size: 256, Ways: 4, Line: 64}},
		Versions: true,
	})
	for _, i := range []int{1, 2, 3} {
		h.Write(At(line(i)), 64, Version(i))
	}
	load(h, 1, 1)
	h.CopyBack()
	wantTraffic(t, h)
	wantLines(t, h, 0, clean(1, 1), clean(2, 2), clean(3, 3))
	wantLines(t, h, 1, clean(2, 2), clean(3, 3), clean(1, 1))
	if got := h.Counters(1); got.WriteMisses != 3 || got.Writebacks != 3 || got.BytesToBelow != 3*64 {
		t.Errorf("%+v, want three lines in and out again", got)
	}
}
