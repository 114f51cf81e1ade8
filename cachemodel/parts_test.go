package cachemodel

import "testing"

// parts sets the sub-blocks of a level.
func parts(level, bytes int) func(*Config) {
	return func(c *Config) { c.Levels[level].SubBlock = bytes }
}

func sectored(level, bytes int) func(*Config) {
	return func(c *Config) {
		c.Levels[level].SubBlock, c.Levels[level].Sectored, c.Versions = bytes, true, false
	}
}

// The ARM926's data cache: two dirty bits a line of 32 bytes.
func halfLines(t *testing.T) *Hierarchy {
	return mustNew(t, Config{
		Levels:   []LevelConfig{{Size: 64, Ways: 2, Line: 32, SubBlock: 16, Index: VIVT}},
		Versions: true,
	})
}

func TestTheHalfThatWasNotWrittenIsNotWrittenBack(t *testing.T) {
	h := halfLines(t)
	for _, c := range []struct {
		offset, n int
		want      Transfer
	}{
		{0, 4, Transfer{0x100, 16, 5, WriteBack}},
		{12, 4, Transfer{0x100, 16, 5, WriteBack}},
		{16, 1, Transfer{0x110, 16, 5, WriteBack}},
		{14, 4, Transfer{0x100, 32, 5, WriteBack}}, // both
	} {
		h.Read(At(0x100), 4)
		h.Write(At(0x100+uint64(c.offset)), c.n, 5)
		h.Maintain(CleanInvalidate, At(0x100), PoC)
		wantTraffic(t, h, c.want)
	}
	if c := h.Counters(0); c.BytesToBelow != 16*3+32 || c.BytesFromBelow != 4*32 || c.Writebacks != 4 {
		t.Errorf("%+v, want three halves and a line down, four lines up", c)
	}
}

func TestTheHalvesOfALineGetDirtyOneByOne(t *testing.T) {
	h := halfLines(t)
	h.Read(At(0x100), 4)
	for _, c := range []struct {
		offset uint64
		want   uint32
	}{{20, 2}, {20, 2}, {4, 3}} {
		h.Write(At(0x100+c.offset), 4, 5)
		if got := lines(h, 0)[0]; got.Dirty != c.want || got.Valid != 3 {
			t.Errorf("%+v, want dirty %b", got, c.want)
		}
	}
	h.Maintain(Clean, At(0x100), PoC)
	if got := lines(h, 0)[0]; got.Dirty != 0 {
		t.Errorf("%+v after a clean", got)
	}
}

// The Cortex-A8's L2: a dirty bit for each quadword.
func TestOnlyTheDirtyRunsOfALineAreWrittenBackTheHighestFirst(t *testing.T) {
	h := mustNew(t, small(one, parts(1, 16)))
	load(h, 1, 1, 2) // L1 has 2, L2 has 2
	for _, offset := range []uint64{0, 32, 48} {
		h.Write(At(line(2)+offset), 4, 5) // in L1, as a whole
	}
	h.SetWay(CleanInvalidate, 0, 0, 0)
	for _, offset := range []uint64{0, 32, 48} {
		h.Write(At(line(2)+offset), 4, 6) // in L2, by quadword
	}
	h.SetWay(Clean, 1, 0, 0)
	wantTraffic(t, h, Transfer{line(2), 64, 6, WriteBack}) // L1's line was dirty as a whole
	for _, offset := range []uint64{0, 32, 48} {
		h.Write(At(line(2)+offset), 4, 7)
	}
	h.SetWay(Clean, 1, 0, 0)
	wantTraffic(t, h, Transfer{line(2) + 32, 32, 7, WriteBack}, Transfer{line(2), 16, 7, WriteBack})
	wantLines(t, h, 1, clean(2, 7))
}

func TestAVictimMakesDirtyBelowWhatWasDirtyInIt(t *testing.T) {
	h := mustNew(t, small(one, parts(0, 16), parts(1, 32), func(c *Config) { c.Levels[1] = LevelConfig{Size: 256, Ways: 4, Line: 64, SubBlock: 32} }))
	load(h, 1, 1)
	h.Write(At(line(1)+40), 4, 5)
	load(h, 1, 2)
	for _, l := range lines(h, 1) {
		if want := map[uint64]uint32{line(1): 2, line(2): 0}[l.Physical]; l.Dirty != want {
			t.Errorf("L2 holds %+v, want dirty %b", l, want)
		}
	}
	if c := h.Counters(0); c.BytesToBelow != 16 {
		t.Errorf("%d bytes went down, want a quadword", c.BytesToBelow)
	}
}

func TestACleanByAddressWritesWhatIsDirtyInAnyLevel(t *testing.T) {
	h := mustNew(t, small(parts(0, 16), parts(1, 32)))
	load(h, 1, 1)
	h.Write(At(line(1)+40), 4, 5)
	h.SetWay(Clean, 0, 0, 0) // the second half is dirty in L2
	h.Write(At(line(1)), 4, 6)
	wantEffect(t, h.Maintain(Clean, At(line(1)), PoC), found(1, true, 6, 2))
	wantTraffic(t, h, Transfer{line(1) + 32, 32, 6, WriteBack}, Transfer{line(1), 16, 6, WriteBack})
}

func TestAWriteThroughLevelPassesTheDirtyPartsOfAVictimOn(t *testing.T) {
	h := mustNew(t, small(parts(0, 16), l2Through))
	load(h, 1, 1)
	h.Write(At(line(1)+16), 4, 5)
	h.SetWay(Clean, 0, 0, 0)
	wantTraffic(t, h, Transfer{line(1) + 16, 16, 5, WriteBack})
}

func TestALineMovesUpFromAnExclusiveLevelWithItsDirtyParts(t *testing.T) {
	h := mustNew(t, small(l2(Exclusive), one, parts(0, 16), parts(1, 16)))
	load(h, 1, 1)
	h.Write(At(line(1)+16), 4, 5)
	load(h, 1, 2, 1)
	if got := lines(h, 0)[0]; got.Physical != line(1) || got.Dirty != 2 {
		t.Errorf("L1 holds %+v, want line 1, dirty in the second quadword", got)
	}
}

func TestASectoredLevelFetchesTheSubBlocksThatAreTouched(t *testing.T) {
	h := mustNew(t, small(sectored(0, 16)))
	wantLevel(t, h.Read(At(line(1)+20), 4), 2)
	wantLevel(t, h.Read(At(line(1)+16), 16), 0)
	if got := lines(h, 0)[0]; got.Valid != 2 {
		t.Errorf("%+v, want the second quadword valid", got)
	}
	wantLevel(t, h.Read(At(line(1)+28), 8), 1) // the third is missing
	if got := lines(h, 0)[0]; got.Valid != 6 {
		t.Errorf("%+v, want the second and third valid", got)
	}
	if c := h.Counters(0); c.ReadHits != 1 || c.ReadMisses != 2 || c.BytesFromBelow != 16+32 {
		t.Errorf("%+v, want two misses, and both quadwords fetched by the second", c)
	}
	if c := h.Counters(1); c.BytesFromBelow != 64 {
		t.Errorf("%+v, want L2 to fetch the line", c)
	}
}

func TestAStoreThatCoversItsSubBlocksFetchesNone(t *testing.T) {
	h := mustNew(t, small(sectored(0, 16), l1Allocates))
	wantLevel(t, h.Write(At(line(1)+16), 32, 1), 0)
	wantTraffic(t, h)
	if got := lines(h, 0)[0]; got.Valid != 6 || got.Dirty != 6 {
		t.Errorf("%+v, want two quadwords", got)
	}
	h.Write(At(line(1)), 4, 1)
	wantTraffic(t, h, Transfer{line(1), 64, 0, Fetch})
	if c := h.Counters(0); c.WriteMisses != 2 || c.BytesFromBelow != 16 {
		t.Errorf("%+v, want the first quadword fetched", c)
	}
}

func TestVictimsAsStoresArriveRunByRun(t *testing.T) {
	h := mustNew(t, small(one, parts(0, 16), func(c *Config) { c.VictimsAsStores, c.Versions = true, false }))
	load(h, 0, 1)
	h.Write(At(line(1)), 4, 1)
	h.Write(At(line(1)+32), 20, 1)
	load(h, 0, 2) // L2 has lost line 1 then, and does not allocate for stores
	wantTraffic(t, h,
		Transfer{line(2), 64, 0, Fetch}, Transfer{line(1) + 32, 32, 0, WriteBack}, Transfer{line(1), 16, 0, WriteBack})
	if c := h.Counters(1); c.WriteMisses != 2 {
		t.Errorf("%+v, want two stores that miss", c)
	}
	wantLines(t, h, 1, clean(2, 0))
}

func TestALongerLineIsFetchedFromSeveralShorterOnes(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 256, Ways: 1, Line: 128}, {Size: 256, Ways: 4, Line: 32}}})
	wantLevel(t, h.Read(At(0x180), 4), 2)
	wantTraffic(t, h, Transfer{0x180, 32, 0, Fetch}, Transfer{0x1a0, 32, 0, Fetch}, Transfer{0x1c0, 32, 0, Fetch}, Transfer{0x1e0, 32, 0, Fetch})
	if got, want := h.Counters(1), (Counters{ReadMisses: 4, Straddles: 1, BytesFromBelow: 128}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAShorterLineIsWrittenIntoALongerOne(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 32, Ways: 1, Line: 32}, {Size: 256, Ways: 2, Line: 128, SubBlock: 32}}})
	h.Read(At(0x100), 4)
	h.Write(At(0x104), 4, 1)
	h.Read(At(0x140), 4)
	wantTraffic(t, h)
	if got := lines(h, 1)[0]; got.Physical != 0x100 || got.Dirty != 1 {
		t.Errorf("L2 holds %+v, want its first sub-block dirty", got)
	}
}

// A long line of one part and short lines behind it: the clean writes all of it.
func TestACleanWritesTheWholeOfALongLine(t *testing.T) {
	h := mustNew(t, Config{
		Levels:      []LevelConfig{{Size: 1024, Ways: 1, Line: 1024}, {Size: 2048, Ways: 128, Line: 16, Write: WriteThrough}},
		Unification: 1,
	})
	h.Read(At(0), 4)
	h.Write(At(0), 4, 1)
	h.Maintain(Clean, At(0), PoU)
	bytes := 0
	for _, x := range h.Traffic() {
		bytes += x.Bytes
	}
	if bytes != 1024 {
		t.Errorf("%d bytes reach memory, want 1024", bytes)
	}
}
