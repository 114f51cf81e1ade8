package cachemodel

import "testing"

// Every kind of level, and every operation on it.
func TestNothingAllocates(t *testing.T) {
	virtual := cortexA8(true)
	virtual.Levels[0].Size, virtual.Levels[0].Index = 32<<10, VIPT
	resolving := cortexA8(true)
	resolving.Levels[0].Size, resolving.Levels[0].Index, resolving.Levels[0].Aliases = 32<<10, VIPT, AliasesResolved
	stacked := cortexA8(true)
	stacked.Levels[1].Inclusion = Exclusive
	stacked.Levels = append(stacked.Levels, LevelConfig{Size: 512 << 10, Ways: 16, Line: 64, Replacement: PLRU, Inclusion: Inclusive, Outer: true, SubBlock: 16})
	split := cortexA8(true)
	split.Instruction, split.Unification = &LevelConfig{Size: 16 << 10, Ways: 4, Line: 64, Replacement: RoundRobin}, 1
	split.Levels[0].SubBlock, split.Levels[0].Allocate = 16, ReadWriteAllocate
	mixed := Config{Levels: []LevelConfig{
		{Size: 8 << 10, Ways: 2, Line: 64, SubBlock: 16, Sectored: true, Allocate: ReadWriteAllocate},
		{Size: 64 << 10, Ways: 4, Line: 32, Replacement: FIFO},
	}}
	for _, c := range []struct {
		name   string
		config Config
	}{
		{"random", cortexA8(true)},
		{"lru", withLRU(cortexA8(false))},
		{"aliases kept", virtual},
		{"aliases resolved", resolving},
		{"exclusive and inclusive", stacked},
		{"split, by quadword", split},
		{"two line sizes", mixed},
	} {
		h := mustNew(t, c.config)
		i := 0
		rounds := func() {
			for range 1000 {
				mix(h, i)
				i++
			}
		}
		rounds() // the list of transfers finds its size
		if n := testing.AllocsPerRun(1, rounds); n != 0 {
			t.Errorf("%s: %v allocations in 1000 rounds", c.name, n)
		}
	}
}

// mix is the i-th of a series of rounds in which each operation occurs.
func mix(h *Hierarchy, i int) {
	a := Address{line(i*5) ^ uint64(i&1)<<12, line(i * 5)}
	op := Op(i % 3)
	h.Read(a, 4)
	h.Filled(Version(i))
	h.Write(At(line(i*3)), 4, Version(i))
	h.Write(At(line(i*7)), 64, Version(i))
	h.Fetch(At(line(i*11)), 4)
	h.Filled(Version(i))
	if h.LineSize() == h.levels[h.Levels()-1].lineSize() {
		h.Maintain(op, At(line(i*2)), PoC)
		h.MaintainAliases(op, line(i*3), PoC)
		h.MaintainOuter(op, line(i))
	}
	h.Maintain(op, a, PoU)
	h.SetWay(op, i%h.Levels(), i%64, i%2)
	h.TestClean(Clean)
	h.EmptySets(0, 0, 0)
	h.Probe(a)
	h.Traffic()
	switch i % 500 {
	case 100:
		h.CopyBack()
	case 200:
		h.MaintainAll(CleanInvalidate, PoC)
	case 300:
		h.MaintainAllOuter(Clean)
	case 400:
		h.InvalidateInstructions()
	case 499:
		h.Empty()
	}
}

// lineSize returns the bytes of a line.
func (l *level) lineSize() int { return int(l.offset) + 1 }
