package cachemodel

import "testing"

// l2 changes the inclusion of the second level.
func l2(i Inclusion) func(*Config) { return func(c *Config) { c.Levels[1].Inclusion = i } }

// one gives levels one line each.
func one(c *Config) {
	for i := range c.Levels {
		c.Levels[i].Size, c.Levels[i].Ways = 64, 1
	}
}

func TestAnInclusiveLevelTakesNearerCopiesWithIt(t *testing.T) {
	h := mustNew(t, small(l2(Inclusive)))
	load(h, 1, 1, 2, 3, 4)
	load(h, 1, 3) // L1 keeps 3 by use, L2 does not see it
	for _, i := range []int{5, 6} {
		load(h, 1, i, 3)
	}
	h.Read(At(line(7)), 4) // L2's oldest is 3
	h.Filled(1)
	wantLines(t, h, 0, clean(7, 1))
	wantLines(t, h, 1, clean(5, 1), clean(6, 1), clean(7, 1), clean(4, 1))
}

func TestDirtyDataOfNearerLevelsGoesDownWithAnInclusiveLevelsLine(t *testing.T) {
	h := mustNew(t, small(l2(Inclusive)))
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	for i := 2; i <= 4; i++ {
		load(h, 1, i, 1)
	}
	load(h, 1, 5)
	wantTraffic(t, h, Transfer{line(5), 64, 0, Fetch}, Transfer{line(1), 64, 5, WriteBack})
	wantLines(t, h, 1, clean(5, 1), clean(2, 1), clean(3, 1), clean(4, 1))
}

func TestAnInclusiveLevelDropsTheInstructionSidesCopy(t *testing.T) {
	c := small(l2(Inclusive), one)
	c.Instruction = &c.Levels[0]
	h := mustNew(t, c)
	h.Fetch(At(line(1)), 4)
	load(h, 1, 2)
	h.InstructionLines(func(l Line) { t.Errorf("the instruction side holds %+v", l) })
}

func TestMaintenanceByAddressOfAnInclusiveLevelReachesTheInstructionSide(t *testing.T) {
	c := small(l2(Inclusive))
	c.Instruction = &c.Levels[0]
	h := mustNew(t, c)
	h.Fetch(At(line(1)), 4)
	h.Maintain(CleanInvalidate, At(line(1)), PoC)
	h.InstructionLines(func(l Line) { t.Errorf("the instruction side holds %+v", l) })
}

func TestAStoreThatCoversALineClaimsAPlaceInAnInclusiveLevel(t *testing.T) {
	h := mustNew(t, small(l2(Inclusive), l1Allocates))
	h.Write(At(line(1)), 64, 5)
	wantTraffic(t, h)
	wantLines(t, h, 0, dirtied(1, 5))
	if level, _, _ := h.Probe(At(line(1))); level != 0 {
		t.Errorf("level %d", level)
	}
	lines := 0
	h.Lines(1, func(l Line) {
		if lines++; l.Physical != line(1) || l.Dirty != 0 {
			t.Errorf("L2 holds %+v", l)
		}
	})
	if lines != 1 {
		t.Errorf("L2 holds %d lines, want line 1", lines)
	}
}

// L1's victim is in the eviction buffer while L2 gives the same line up: its
// data must not be allocated there, where nearer levels could not follow, nor be lost.
func TestAVictimThatAnInclusiveLevelGaveUpReachesMemory(t *testing.T) {
	h := mustNew(t, small(l2(Inclusive), one))
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	load(h, 2, 2)
	wantTraffic(t, h, Transfer{line(2), 64, 0, Fetch}, Transfer{line(1), 64, 5, WriteBack})
	wantLines(t, h, 0, clean(2, 2))
	wantLines(t, h, 1, clean(2, 2))
}

// L2's older victim must not reach memory after L1's newer data, which the
// inclusive L3 recalls in the same access.
func TestAnOlderVictimDoesNotOverwriteWhatAnInclusiveLevelRecalled(t *testing.T) {
	h := mustNew(t, Config{
		Levels: []LevelConfig{
			{Size: 128, Ways: 2, Line: 64},
			{Size: 128, Ways: 2, Line: 64},
			{Size: 128, Ways: 2, Line: 64, Inclusion: Inclusive},
		},
		Versions: true,
	})
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 2)
	h.SetWay(Clean, 0, 0, 0)   // version 2 is dirty in L2
	h.Write(At(line(1)), 4, 3) // and 3 in L1
	load(h, 1, 2, 1)
	h.Read(At(line(3)), 4)
	wantTraffic(t, h, Transfer{line(3), 64, 0, Fetch}, Transfer{line(1), 64, 3, WriteBack})
	wantLines(t, h, 0, clean(3, 0))
}

func TestAWriteThroughInclusiveLevelLosesNothingOfWhatItRecalls(t *testing.T) {
	h := mustNew(t, small(l2(Inclusive), l2Through, l2Allocates, one))
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	h.Write(At(line(2)), 4, 6)
	wantTraffic(t, h,
		Transfer{line(2), 64, 0, Fetch}, Transfer{line(2), 4, 6, Store}, Transfer{line(1), 64, 5, WriteBack})
}

func TestAnExclusiveLevelHoldsTheVictimsCleanAndDirty(t *testing.T) {
	h := mustNew(t, small(l2(Exclusive)))
	load(h, 1, 1, 2)
	wantLines(t, h, 1) // a fill passes it by
	h.Write(At(line(1)), 4, 5)
	load(h, 1, 3, 4)
	wantLines(t, h, 0, clean(4, 1), clean(3, 1))
	wantLines(t, h, 1, clean(2, 1), dirtied(1, 5))
}

func TestAHitInAnExclusiveLevelMovesTheLineUpWithItsDirt(t *testing.T) {
	h := mustNew(t, small(l2(Exclusive)))
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	load(h, 1, 2, 3)
	wantLevel(t, h.Read(At(line(1)), 4), 1)
	wantHit(t, h, 5)
	wantTraffic(t, h)
	wantLines(t, h, 0, clean(3, 1), dirtied(1, 5))
	wantLines(t, h, 1, clean(2, 1)) // L1's victim
}

func TestACleanInPlacePassesAnExclusiveLevelBy(t *testing.T) {
	for _, clean1 := range []func(*Hierarchy) Effect{
		func(h *Hierarchy) Effect { return h.SetWay(Clean, 0, 0, 0) },
		func(h *Hierarchy) Effect { return h.Maintain(Clean, At(line(1)), PoU) },
		func(h *Hierarchy) Effect { e, _ := h.TestClean(Clean); return e },
	} {
		h := mustNew(t, small(l2(Exclusive), func(c *Config) { c.Unification = 1 }))
		load(h, 1, 1)
		h.Write(At(line(1)), 4, 5)
		wantEffect(t, clean1(h), found(1, true, 5, 1))
		wantTraffic(t, h, Transfer{line(1), 64, 5, WriteBack})
		wantLines(t, h, 0, clean(1, 5))
		wantLines(t, h, 1)
	}
}

func TestACleanAndInvalidateGoesToTheExclusiveLevel(t *testing.T) {
	h := mustNew(t, small(l2(Exclusive)))
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	h.SetWay(CleanInvalidate, 0, 0, 0)
	wantTraffic(t, h)
	wantLines(t, h, 1, dirtied(1, 5))
}

func TestAStoreThatCoversALineTakesItFromTheExclusiveLevel(t *testing.T) {
	h := mustNew(t, small(l2(Exclusive), l1Allocates))
	load(h, 1, 1, 2, 3)
	wantLines(t, h, 1, clean(1, 1))
	h.Write(At(line(1)), 64, 5)
	wantTraffic(t, h)
	wantLines(t, h, 0, clean(3, 1), dirtied(1, 5))
	wantLines(t, h, 1, clean(2, 1))
}

// L3 holds the victims of L2. When L1 gives L2 a line that went on to L3, it is L2's again.
func TestAVictimTakesItsLineFromTheExclusiveLevelBehind(t *testing.T) {
	c := small(one)
	c.Levels[0].Size, c.Levels[0].Ways = 128, 2
	c.Levels = append(c.Levels, LevelConfig{Size: 256, Ways: 4, Line: 64, Inclusion: Exclusive})
	h := mustNew(t, c)
	load(h, 1, 1, 2)
	h.Write(At(line(1)), 4, 5)
	wantLines(t, h, 2, clean(1, 1))
	load(h, 1, 2, 3) // L1 gives up 1, L2 gets it
	wantLines(t, h, 1, dirtied(1, 5))
	wantLines(t, h, 2, clean(3, 1), clean(2, 1)) // 3 is L2's victim
}

// The copy that memory supplies may move on before its version is known.
func TestFilledFollowsACopyIntoAnExclusiveLevel(t *testing.T) {
	c := small(one)
	c.Levels = append(c.Levels, LevelConfig{Size: 256, Ways: 4, Line: 64, Inclusion: Exclusive})
	h := mustNew(t, c)
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	load(h, 7, 2) // L1's victim pushes it out of L2
	wantLines(t, h, 0, clean(2, 7))
	wantLines(t, h, 1, dirtied(1, 5))
	wantLines(t, h, 2, clean(2, 7))
}

// Version 3 comes down to L3 with the store, is pushed on to L4 by L2's victim,
// and lies there over what memory is about to supply.
func TestFilledLeavesAloneWhatCameDownOverTheCopySupplied(t *testing.T) {
	c := small(l2(Inclusive), l2Through, l2Allocates, one)
	c.Levels = append(c.Levels, LevelConfig{Size: 64, Ways: 1, Line: 64}, LevelConfig{Size: 64, Ways: 1, Line: 64})
	h := mustNew(t, c)
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 2)
	h.Write(At(line(2)), 4, 3)
	h.Filled(1)
	wantLines(t, h, 2, dirtied(1, 2))
	wantLines(t, h, 3, dirtied(2, 3))
}

func TestMaintenanceOfAnInclusiveOuterLevelWritesTheNewestData(t *testing.T) {
	h := mustNew(t, small(l2(Inclusive), func(c *Config) { c.Levels[1].Outer = true }))
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	h.Maintain(Clean, At(line(1)), PoC) // dirty in L2
	h.Write(At(line(1)), 4, 6)
	wantEffect(t, h.MaintainOuter(CleanInvalidate, line(1)), found(1, true, 6, 1))
	wantTraffic(t, h, Transfer{line(1), 64, 6, WriteBack})
	wantLines(t, h, 0)
	wantLines(t, h, 1)
}

// L2 has lost the line to the exclusive L3, L1 has kept it.
func TestACleanInPlaceIsWrittenOverAnOlderCopyInAnExclusiveLevel(t *testing.T) {
	c := small(func(c *Config) { c.Unification = 2 })
	c.Levels[1] = LevelConfig{Size: 64, Ways: 1, Line: 64}
	c.Levels = append(c.Levels, LevelConfig{Size: 64, Ways: 1, Line: 64, Inclusion: Exclusive})
	h := mustNew(t, c)
	load(h, 1, 1, 2)
	h.Write(At(line(1)), 4, 5)
	wantLines(t, h, 2, clean(1, 1))
	h.Maintain(Clean, At(line(1)), PoU)
	wantLines(t, h, 0, clean(1, 5), clean(2, 1))
	wantLines(t, h, 2, dirtied(1, 5))
}

func TestMaintenanceByAddressOfAnInclusiveLevelTakesTheOtherColoursWithIt(t *testing.T) {
	h := mustNew(t, twoColours(l2(Inclusive)))
	under(h, even, odd)
	h.Write(odd, 4, 5)
	e := h.Maintain(CleanInvalidate, even, PoC)
	if want := (Effect{Addr: 0x1000, Present: true, Dirty: true, Version: 5, Copies: 2, Lookups: 1}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	wantTraffic(t, h, Transfer{0x1000, 64, 5, WriteBack})
	wantLines(t, h, 0)
}

// The copy of line 4 in L3 gives way to line 2, which goes on to L4 in the same
// access: it must not be taken for what memory supplies.
func TestFilledIsNotMisledByWhatTookTheCopysPlace(t *testing.T) {
	side := LevelConfig{Size: 64, Ways: 1, Line: 64}
	h := mustNew(t, Config{
		Levels: []LevelConfig{
			{Size: 64, Ways: 1, Line: 64},
			{Size: 128, Ways: 2, Line: 64},
			{Size: 64, Ways: 1, Line: 64},
			{Size: 128, Ways: 2, Line: 64},
		},
		Instruction: &side,
		Versions:    true,
	})
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5) // in L1
	for _, i := range []int{2, 3} {
		h.Fetch(At(line(i)), 4)
		h.Filled(1)
		h.Write(At(line(i)), 4, Version(4+i)) // in L2
	}
	load(h, 9, 4)
	wantLines(t, h, 0, clean(4, 9))
	wantLines(t, h, 1, dirtied(1, 5), clean(4, 9))
	wantLines(t, h, 2, dirtied(3, 7))
	wantLines(t, h, 3, dirtied(2, 6), clean(4, 9))
}

// Both colours are dirty, and so is L2's older copy: the address's own copy counts.
func TestTheAddressesOwnCopyIsNearerThanThoseOfOtherColours(t *testing.T) {
	h := mustNew(t, twoColours(l2(Inclusive)))
	under(h, even, odd)
	h.Write(even, 4, 5)
	h.SetWay(Clean, 0, 0, 0)
	h.Write(even, 4, 6)
	h.Write(odd, 4, 7)
	e := h.Maintain(CleanInvalidate, even, PoC)
	if want := (Effect{Addr: 0x1000, Present: true, Dirty: true, Version: 6, Copies: 2, Lookups: 1}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	wantTraffic(t, h, Transfer{0x1000, 64, 6, WriteBack})
}
