package cachemodel

import (
	"slices"
	"testing"
)

// Two levels with one set each, small enough to work by hand: L1 holds two
// lines, L2 four. Lines are 64 bytes; line(i) is the i-th.
func small(change ...func(*Config)) Config {
	c := Config{
		Levels:   []LevelConfig{{Size: 128, Ways: 2, Line: 64}, {Size: 256, Ways: 4, Line: 64}},
		Versions: true,
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func l1Through(c *Config)   { c.Levels[0].Write = WriteThrough }
func l1Allocates(c *Config) { c.Levels[0].Allocate = ReadWriteAllocate }
func l2Through(c *Config)   { c.Levels[1].Write = WriteThrough }
func l2Allocates(c *Config) { c.Levels[1].Allocate = ReadWriteAllocate }

func line(i int) uint64 { return uint64(i) * 64 }

// load reads lines that memory has in the given version.
func load(h *Hierarchy, v Version, lines ...int) {
	for _, i := range lines {
		h.Read(At(line(i)), 4)
		h.Filled(v)
	}
}

func wantTraffic(t *testing.T, h *Hierarchy, want ...Transfer) {
	t.Helper()
	if got := h.Traffic(); !slices.Equal(got, want) {
		t.Errorf("traffic %v, want %v", got, want)
	}
}

func wantLevel(t *testing.T, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("level %d, want %d", got, want)
	}
}

func wantHit(t *testing.T, h *Hierarchy, want Version) {
	t.Helper()
	if got := h.HitVersion(); got != want {
		t.Errorf("hit version %d, want %d", got, want)
	}
}

// held is a line that a level holds.
type held struct {
	addr    uint64
	dirty   bool
	version Version
}

// wantLines compares what a level holds, in set, way order.
func wantLines(t *testing.T, h *Hierarchy, level int, want ...held) {
	t.Helper()
	var got []held
	h.Lines(level, func(l Line) { got = append(got, held{l.Physical, l.Dirty != 0, l.Version}) })
	if !slices.Equal(got, want) {
		t.Errorf("level %d holds %v, want %v", level, got, want)
	}
}

func clean(i int, v Version) held   { return held{line(i), false, v} }
func dirtied(i int, v Version) held { return held{line(i), true, v} }

func TestReadMissFetchesIntoEveryLevel(t *testing.T) {
	h := mustNew(t, small())
	wantLevel(t, h.Read(At(line(1)+20), 4), 2)
	wantTraffic(t, h, Transfer{line(1), 64, 0, Fetch})
	wantHit(t, h, 0)
	h.Filled(7)
	wantLines(t, h, 0, clean(1, 7))
	wantLines(t, h, 1, clean(1, 7))
}

func TestReadHitInL1CrossesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 7, 1)
	wantLevel(t, h.Read(At(line(1)+63), 1), 0)
	wantTraffic(t, h)
	wantHit(t, h, 7)
}

func TestReadHitInL2InstallsACleanCopyInL1(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	load(h, 2, 2, 3) // line 1 goes down to L2, dirty
	wantLevel(t, h.Read(At(line(1)), 4), 1)
	wantTraffic(t, h)
	wantHit(t, h, 5)
	wantLines(t, h, 0, clean(3, 2), clean(1, 5))
	wantLines(t, h, 1, dirtied(1, 5), clean(2, 2), clean(3, 2))
}

func TestDirtyVictimIsWrittenOverTheOlderCopyBelow(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	wantLines(t, h, 1, clean(1, 1)) // older, below a newer dirty one
	load(h, 1, 2, 3)
	wantLines(t, h, 1, dirtied(1, 5), clean(2, 1), clean(3, 1))
}

func TestDirtyVictimIsAllocatedWithoutAFetchWhereTheLevelBelowHasLostIt(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	for i := 2; i <= 5; i++ { // L2 loses line 1, L1 keeps it
		load(h, 1, i)
		h.Read(At(line(1)), 4)
	}
	wantLines(t, h, 0, dirtied(1, 5), clean(5, 1))
	wantLines(t, h, 1, clean(5, 1), clean(2, 1), clean(3, 1), clean(4, 1))
	load(h, 1, 5)
	h.Read(At(line(3)), 4) // hits L2; line 1 takes the place of line 2 there
	wantTraffic(t, h)
	wantLines(t, h, 1, clean(5, 1), dirtied(1, 5), clean(3, 1), clean(4, 1))
}

func TestLastLevelWritesItsDirtyVictimBackAfterTheFetch(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2, 3, 4)
	h.Write(At(line(1)), 4, 5) // L1 has 3 and 4: dirty in L2, most recently used there
	load(h, 1, 5, 6, 7)
	h.Read(At(line(8)), 4)
	wantTraffic(t, h, Transfer{line(8), 64, 0, Fetch}, Transfer{line(1), 64, 5, WriteBack})
}

func TestWriteHitInL1LeavesTheCopyBelowAsItWas(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	wantLevel(t, h.Write(At(line(1)+4), 4, 5), 0)
	wantTraffic(t, h)
	wantHit(t, h, 1)
	wantLines(t, h, 0, dirtied(1, 5))
	wantLines(t, h, 1, clean(1, 1))
}

func TestWriteThatMissesL1AndDoesNotAllocateMakesL2Dirty(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2, 3)
	wantLevel(t, h.Write(At(line(1)), 4, 5), 1)
	wantTraffic(t, h)
	wantHit(t, h, 1)
	wantLines(t, h, 0, clean(3, 1), clean(2, 1))
	wantLines(t, h, 1, dirtied(1, 5), clean(2, 1), clean(3, 1))
}

func TestWriteThatNobodyTakesGoesToMemory(t *testing.T) {
	h := mustNew(t, small())
	for _, n := range []int{1, 8, 56} {
		wantLevel(t, h.Write(At(line(1)+8), n, 5), 2)
		wantTraffic(t, h, Transfer{line(1) + 8, n, 5, Store})
		wantHit(t, h, 0)
	}
	wantLines(t, h, 0)
	wantLines(t, h, 1)
}

func TestPartialWriteAllocateInL1FetchesFirst(t *testing.T) {
	h := mustNew(t, small(l1Allocates))
	wantLevel(t, h.Write(At(line(1)), 4, 5), 0)
	wantTraffic(t, h, Transfer{line(1), 64, 0, Fetch})
	wantHit(t, h, 0)
	h.Filled(3)
	wantLines(t, h, 0, dirtied(1, 5)) // the written copy keeps the write's version
	wantLines(t, h, 1, clean(1, 3))
}

func TestPartialWriteAllocateInL1IsFilledFromL2(t *testing.T) {
	h := mustNew(t, small(l1Allocates))
	load(h, 1, 1, 2, 3)
	wantLevel(t, h.Write(At(line(1)), 4, 5), 0)
	wantTraffic(t, h)
	wantHit(t, h, 1)
	wantLines(t, h, 0, clean(3, 1), dirtied(1, 5))
	wantLines(t, h, 1, clean(1, 1), clean(2, 1), clean(3, 1))
}

func TestWholeLineWriteAllocateLooksNoFurther(t *testing.T) {
	h := mustNew(t, small(l1Allocates))
	load(h, 1, 1, 2, 3)
	wantLevel(t, h.Write(At(line(1)), 64, 5), 0)
	wantTraffic(t, h)
	wantHit(t, h, 0)
	wantLines(t, h, 0, clean(3, 1), dirtied(1, 5))
	wantLines(t, h, 1, clean(1, 1), clean(2, 1), clean(3, 1))
	if c := h.Counters(1); c.WriteHits+c.WriteMisses != 0 {
		t.Errorf("L2 saw a write: %+v", c)
	}
}

func TestWriteAllocateInL2OnlyLeavesL1Alone(t *testing.T) {
	h := mustNew(t, small(l2Allocates))
	wantLevel(t, h.Write(At(line(1)), 4, 5), 1)
	wantTraffic(t, h, Transfer{line(1), 64, 0, Fetch})
	h.Filled(3)
	wantLines(t, h, 0)
	wantLines(t, h, 1, dirtied(1, 5))
}

func TestWriteThroughUpdatesTheCopyAndPassesTheStoreOn(t *testing.T) {
	h := mustNew(t, small(l1Through))
	load(h, 1, 1)
	wantLevel(t, h.Write(At(line(1)), 4, 5), 1)
	wantTraffic(t, h)
	wantHit(t, h, 1)
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, dirtied(1, 5))
}

func TestWriteThroughEverywhereStoresToMemory(t *testing.T) {
	h := mustNew(t, small(l1Through, l2Through))
	load(h, 1, 1)
	wantLevel(t, h.Write(At(line(1)), 4, 5), 2)
	wantTraffic(t, h, Transfer{line(1), 4, 5, Store})
	wantHit(t, h, 1)
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, clean(1, 5))
}

func TestWriteThroughThatAllocatesFetchesAndStores(t *testing.T) {
	h := mustNew(t, small(l1Through, l1Allocates, l2Through))
	wantLevel(t, h.Write(At(line(1)), 4, 5), 2)
	wantTraffic(t, h, Transfer{line(1), 64, 0, Fetch}, Transfer{line(1), 4, 5, Store})
	wantHit(t, h, 0)
	h.Filled(3)
	wantLines(t, h, 0, clean(1, 5)) // both copies were written
	wantLines(t, h, 1, clean(1, 5))
}

func TestWriteThroughLevelPassesADirtyVictimOn(t *testing.T) {
	h := mustNew(t, small(l2Through))
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	load(h, 1, 2)
	h.Read(At(line(3)), 4)
	wantTraffic(t, h, Transfer{line(3), 64, 0, Fetch}, Transfer{line(1), 64, 5, WriteBack})
	h.Filled(1)
	wantLines(t, h, 1, clean(1, 5), clean(2, 1), clean(3, 1))
}

// The victim is given down last: where L2 has room for one line, it takes the
// place of the copy that the same load has just installed there.
func TestAVictimMayPushOutWhatTheSameAccessInstalledBelow(t *testing.T) {
	h := mustNew(t, small(func(c *Config) {
		c.Levels[0] = LevelConfig{Size: 64, Ways: 1, Line: 64}
		c.Levels[1] = LevelConfig{Size: 64, Ways: 1, Line: 64}
	}))
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	h.Read(At(line(2)), 4)
	wantTraffic(t, h, Transfer{line(2), 64, 0, Fetch})
	h.Filled(2)
	wantLines(t, h, 0, clean(2, 2))
	wantLines(t, h, 1, dirtied(1, 5))
}

func TestFilledWithoutAFetchChangesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Read(At(line(1)), 4)
	h.Filled(9)
	wantLines(t, h, 0, clean(1, 1))
	h.Maintain(Clean, At(line(1)), PoC)
	h.Filled(9)
	wantLines(t, h, 1, clean(1, 1))
}

func TestFilledAfterAWriteBackWithoutAFetchChangesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(At(line(1)), 4, 5)
	h.Maintain(Clean, At(line(1)), PoC)
	h.Filled(9)
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, clean(1, 5))
}

func TestProbeChangesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2)
	h.Write(At(line(1)), 4, 5)
	before := h.Counters(0)
	if level, dirty, v := h.Probe(At(line(1) + 9)); level != 0 || !dirty || v != 5 {
		t.Errorf("Probe = %d, %v, %d, want 0, true, 5", level, dirty, v)
	}
	if level, dirty, v := h.Probe(At(line(9))); level != 2 || dirty || v != 0 {
		t.Errorf("Probe of an absent line = %d, %v, %d, want 2, false, 0", level, dirty, v)
	}
	h.Probe(At(line(2)))
	if got := h.Counters(0); got != before {
		t.Errorf("counters moved from %+v to %+v", before, got)
	}
	wantHit(t, h, 1)
	load(h, 1, 3) // line 2 is still the oldest
	wantLines(t, h, 0, dirtied(1, 5), clean(3, 1))
}

func TestProbeSeesADirtyCopyBelowACleanOne(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2, 3)
	h.Write(At(line(1)), 4, 5) // in L2
	h.Read(At(line(1)), 4)
	if level, dirty, v := h.Probe(At(line(1))); level != 0 || !dirty || v != 5 {
		t.Errorf("Probe = %d, %v, %d, want 0, true, 5", level, dirty, v)
	}
}

func TestWithoutVersionsAllAreZero(t *testing.T) {
	h := mustNew(t, small(func(c *Config) { c.Versions = false }))
	h.Write(At(line(1)), 4, 5)
	wantTraffic(t, h, Transfer{line(1), 4, 0, Store})
	load(h, 7, 1)
	h.Write(At(line(1)), 4, 5)
	wantHit(t, h, 0)
	wantEffect(t, h.Maintain(Clean, At(line(1)), PoC), found(1, true, 0, 2))
	wantTraffic(t, h, Transfer{line(1), 64, 0, WriteBack})
}

func TestCountersCountWhatArrivesAtEachLevel(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2)           // both miss both
	h.Read(At(line(1)), 4)     // hits L1
	h.Write(At(line(1)), 4, 5) // hits L1
	h.Write(At(line(9)), 4, 6) // misses both
	load(h, 1, 3, 4)           // line 1, dirty, comes down to L2
	if got, want := h.Counters(0), (Counters{ReadHits: 1, ReadMisses: 4, WriteHits: 1, WriteMisses: 1, Writebacks: 1, BytesFromBelow: 4 * 64, BytesToBelow: 4 + 64}); got != want {
		t.Errorf("L1 %+v, want %+v", got, want)
	}
	if got, want := h.Counters(1), (Counters{ReadMisses: 4, WriteHits: 1, WriteMisses: 1, BytesFromBelow: 4 * 64, BytesToBelow: 4}); got != want {
		t.Errorf("L2 %+v, want %+v", got, want)
	}
	h.ResetCounters()
	if got := h.Counters(0); got != (Counters{}) {
		t.Errorf("after a reset %+v", got)
	}
}
