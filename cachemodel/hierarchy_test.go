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
		h.Read(line(i))
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

// wantLines compares what a level holds, in set, way order.
func wantLines(t *testing.T, h *Hierarchy, level int, want ...referenceLine) {
	t.Helper()
	var got []referenceLine
	h.Lines(level, func(addr uint64, dirty bool, v Version) { got = append(got, referenceLine{addr, dirty, v}) })
	if !slices.Equal(got, want) {
		t.Errorf("level %d holds %v, want %v", level, got, want)
	}
}

func clean(i int, v Version) referenceLine   { return referenceLine{line(i), false, v} }
func dirtied(i int, v Version) referenceLine { return referenceLine{line(i), true, v} }

func TestReadMissFetchesIntoEveryLevel(t *testing.T) {
	h := mustNew(t, small())
	wantLevel(t, h.Read(line(1)+20), 2)
	wantTraffic(t, h, Transfer{line(1), 0, Fetch})
	wantHit(t, h, 0)
	h.Filled(7)
	wantLines(t, h, 0, clean(1, 7))
	wantLines(t, h, 1, clean(1, 7))
}

func TestReadHitInL1CrossesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 7, 1)
	wantLevel(t, h.Read(line(1)+63), 0)
	wantTraffic(t, h)
	wantHit(t, h, 7)
}

func TestReadHitInL2InstallsACleanCopyInL1(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	load(h, 2, 2, 3) // line 1 goes down to L2, dirty
	wantLevel(t, h.Read(line(1)), 1)
	wantTraffic(t, h)
	wantHit(t, h, 5)
	wantLines(t, h, 0, clean(3, 2), clean(1, 5))
	wantLines(t, h, 1, dirtied(1, 5), clean(2, 2), clean(3, 2))
}

func TestDirtyVictimIsWrittenOverTheOlderCopyBelow(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	wantLines(t, h, 1, clean(1, 1)) // older, below a newer dirty one
	load(h, 1, 2, 3)
	wantLines(t, h, 1, dirtied(1, 5), clean(2, 1), clean(3, 1))
}

func TestDirtyVictimIsAllocatedWithoutAFetchWhereTheLevelBelowHasLostIt(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	for i := 2; i <= 5; i++ { // L2 loses line 1, L1 keeps it
		load(h, 1, i)
		h.Read(line(1))
	}
	wantLines(t, h, 0, dirtied(1, 5), clean(5, 1))
	wantLines(t, h, 1, clean(5, 1), clean(2, 1), clean(3, 1), clean(4, 1))
	load(h, 1, 5)
	h.Read(line(3)) // hits L2; line 1 takes the place of line 2 there
	wantTraffic(t, h)
	wantLines(t, h, 1, clean(5, 1), dirtied(1, 5), clean(3, 1), clean(4, 1))
}

func TestLastLevelWritesItsDirtyVictimBackAfterTheFetch(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2, 3, 4)
	h.Write(line(1), 5, false) // L1 has 3 and 4: dirty in L2, most recently used there
	load(h, 1, 5, 6, 7)
	h.Read(line(8))
	wantTraffic(t, h, Transfer{line(8), 0, Fetch}, Transfer{line(1), 5, WriteBack})
}

func TestWriteHitInL1LeavesTheCopyBelowAsItWas(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	wantLevel(t, h.Write(line(1)+4, 5, false), 0)
	wantTraffic(t, h)
	wantHit(t, h, 1)
	wantLines(t, h, 0, dirtied(1, 5))
	wantLines(t, h, 1, clean(1, 1))
}

func TestWriteThatMissesL1AndDoesNotAllocateMakesL2Dirty(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2, 3)
	wantLevel(t, h.Write(line(1), 5, false), 1)
	wantTraffic(t, h)
	wantHit(t, h, 1)
	wantLines(t, h, 0, clean(3, 1), clean(2, 1))
	wantLines(t, h, 1, dirtied(1, 5), clean(2, 1), clean(3, 1))
}

func TestWriteThatNobodyTakesGoesToMemory(t *testing.T) {
	h := mustNew(t, small())
	for _, whole := range []bool{false, true} {
		wantLevel(t, h.Write(line(1)+8, 5, whole), 2)
		wantTraffic(t, h, Transfer{line(1), 5, Store})
		wantHit(t, h, 0)
	}
	wantLines(t, h, 0)
	wantLines(t, h, 1)
}

func TestPartialWriteAllocateInL1FetchesFirst(t *testing.T) {
	h := mustNew(t, small(l1Allocates))
	wantLevel(t, h.Write(line(1), 5, false), 0)
	wantTraffic(t, h, Transfer{line(1), 0, Fetch})
	wantHit(t, h, 0)
	h.Filled(3)
	wantLines(t, h, 0, dirtied(1, 5)) // the written copy keeps the write's version
	wantLines(t, h, 1, clean(1, 3))
}

func TestPartialWriteAllocateInL1IsFilledFromL2(t *testing.T) {
	h := mustNew(t, small(l1Allocates))
	load(h, 1, 1, 2, 3)
	wantLevel(t, h.Write(line(1), 5, false), 0)
	wantTraffic(t, h)
	wantHit(t, h, 1)
	wantLines(t, h, 0, clean(3, 1), dirtied(1, 5))
	wantLines(t, h, 1, clean(1, 1), clean(2, 1), clean(3, 1))
}

func TestWholeLineWriteAllocateLooksNoFurther(t *testing.T) {
	h := mustNew(t, small(l1Allocates))
	load(h, 1, 1, 2, 3)
	wantLevel(t, h.Write(line(1), 5, true), 0)
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
	wantLevel(t, h.Write(line(1), 5, false), 1)
	wantTraffic(t, h, Transfer{line(1), 0, Fetch})
	h.Filled(3)
	wantLines(t, h, 0)
	wantLines(t, h, 1, dirtied(1, 5))
}

func TestWriteThroughUpdatesTheCopyAndPassesTheStoreOn(t *testing.T) {
	h := mustNew(t, small(l1Through))
	load(h, 1, 1)
	wantLevel(t, h.Write(line(1), 5, false), 1)
	wantTraffic(t, h)
	wantHit(t, h, 1)
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, dirtied(1, 5))
}

func TestWriteThroughEverywhereStoresToMemory(t *testing.T) {
	h := mustNew(t, small(l1Through, l2Through))
	load(h, 1, 1)
	wantLevel(t, h.Write(line(1), 5, false), 2)
	wantTraffic(t, h, Transfer{line(1), 5, Store})
	wantHit(t, h, 1)
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, clean(1, 5))
}

func TestWriteThroughThatAllocatesFetchesAndStores(t *testing.T) {
	h := mustNew(t, small(l1Through, l1Allocates, l2Through))
	wantLevel(t, h.Write(line(1), 5, false), 2)
	wantTraffic(t, h, Transfer{line(1), 0, Fetch}, Transfer{line(1), 5, Store})
	wantHit(t, h, 0)
	h.Filled(3)
	wantLines(t, h, 0, clean(1, 5)) // both copies were written
	wantLines(t, h, 1, clean(1, 5))
}

func TestWriteThroughLevelPassesADirtyVictimOn(t *testing.T) {
	h := mustNew(t, small(l2Through))
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	load(h, 1, 2)
	h.Read(line(3))
	wantTraffic(t, h, Transfer{line(3), 0, Fetch}, Transfer{line(1), 5, WriteBack})
	h.Filled(1)
	wantLines(t, h, 1, clean(1, 5), clean(2, 1), clean(3, 1))
}

// L2 has room for one line: the copy that a load installs there must not be
// pushed out by the victim that the same load drives out of L1.
func TestVictimDoesNotPushOutWhatTheSameAccessInstalls(t *testing.T) {
	h := mustNew(t, small(func(c *Config) {
		c.Levels[0] = LevelConfig{Size: 64, Ways: 1, Line: 64}
		c.Levels[1] = LevelConfig{Size: 64, Ways: 1, Line: 64}
	}))
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	h.Read(line(2))
	wantTraffic(t, h, Transfer{line(2), 0, Fetch}, Transfer{line(1), 5, WriteBack})
	h.Filled(2)
	wantLines(t, h, 0, clean(2, 2))
	wantLines(t, h, 1, clean(2, 2))
}

func TestFilledWithoutAFetchChangesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Read(line(1))
	h.Filled(9)
	wantLines(t, h, 0, clean(1, 1))
	h.Maintain(Clean, line(1))
	h.Filled(9)
	wantLines(t, h, 1, clean(1, 1))
}

func TestFilledAfterAWriteBackWithoutAFetchChangesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	h.Write(line(1), 5, false)
	h.Maintain(Clean, line(1))
	h.Filled(9)
	wantLines(t, h, 0, clean(1, 5))
	wantLines(t, h, 1, clean(1, 5))
}

func TestLRUGivesUpTheLeastRecentlyUsed(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 256, Ways: 4, Line: 64}}, Versions: true})
	load(h, 1, 1, 2, 3, 4)
	load(h, 1, 2, 1)           // left by age: 3, 4, 2, 1
	h.Write(line(3), 2, false) // 4, 2, 1, 3
	load(h, 1, 5)
	wantLines(t, h, 0, clean(1, 1), clean(2, 1), dirtied(3, 2), clean(5, 1))
	load(h, 1, 6)
	wantLines(t, h, 0, clean(1, 1), clean(6, 1), dirtied(3, 2), clean(5, 1))
}

// The classic of LRU: a loop over one line more than fits never hits, and over what fits never misses again.
func TestLRULoopHitsAllOrNothing(t *testing.T) {
	for _, extra := range []int{0, 1} {
		h := mustNew(t, withLRU(cortexA8(false)))
		lines := 256 + extra*64 // one more in each of the 64 sets
		for range 10 {
			for i := range lines {
				h.Read(line(i))
			}
		}
		want := Counters{ReadHits: 9 * 256, ReadMisses: 256}
		if extra > 0 {
			want = Counters{ReadMisses: 3200}
		}
		if got := h.Counters(0); got != want {
			t.Errorf("%d lines: %+v, want %+v", lines, got, want)
		}
	}
}

func TestInvalidWaysAreFilledFirst(t *testing.T) {
	for _, replacement := range []Replacement{LRU, Random} {
		h := mustNew(t, Config{Levels: []LevelConfig{{Size: 256, Ways: 4, Line: 64, Replacement: replacement}}})
		load(h, 0, 1, 2, 3, 4)
		h.Maintain(Invalidate, line(2))
		h.Maintain(Invalidate, line(3))
		load(h, 0, 5)
		wantLines(t, h, 0, clean(1, 0), clean(5, 0), clean(4, 0))
	}
}

func TestRandomReplacementSpreadsOverAllWays(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 192, Ways: 3, Line: 64, Replacement: Random}}, Seed: 3})
	load(h, 0, 0, 1, 2)
	var left [3]int
	held := []uint64{line(0), line(1), line(2)}
	const n = 30000
	for i := range n {
		load(h, 0, 3+i)
		way := 0
		h.Lines(0, func(addr uint64, _ bool, _ Version) {
			if held[way] != addr {
				left[way]++
				held[way] = addr
			}
			way++
		})
	}
	for way, got := range left { // 5 standard deviations are 408
		if got < n/3-408 || got > n/3+408 {
			t.Errorf("way %d gave up %d of %d lines, want about a third", way, got, n)
		}
	}
}

func TestRandomReplacementFollowsTheSeed(t *testing.T) {
	misses := func(seed uint64) uint64 {
		c := cortexA8(false)
		c.Seed = seed
		h := mustNew(t, c)
		for i := range 3000 {
			h.Read(line(i * 7 % 300))
		}
		return h.Counters(0).ReadMisses
	}
	if a, b := misses(1), misses(1); a != b {
		t.Errorf("same seed, %d and %d misses", a, b)
	}
	if a, b := misses(1), misses(2); a == b {
		t.Errorf("two seeds, both %d misses", a)
	}
}

func TestProbeChangesNothing(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2)
	h.Write(line(1), 5, false)
	before := h.Counters(0)
	if level, dirty, v := h.Probe(line(1) + 9); level != 0 || !dirty || v != 5 {
		t.Errorf("Probe = %d, %v, %d, want 0, true, 5", level, dirty, v)
	}
	if level, dirty, v := h.Probe(line(9)); level != 2 || dirty || v != 0 {
		t.Errorf("Probe of an absent line = %d, %v, %d, want 2, false, 0", level, dirty, v)
	}
	h.Probe(line(2))
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
	h.Write(line(1), 5, false) // in L2
	h.Read(line(1))
	if level, dirty, v := h.Probe(line(1)); level != 0 || !dirty || v != 5 {
		t.Errorf("Probe = %d, %v, %d, want 0, true, 5", level, dirty, v)
	}
}

func TestWithoutVersionsAllAreZero(t *testing.T) {
	h := mustNew(t, small(func(c *Config) { c.Versions = false }))
	h.Write(line(1), 5, false)
	wantTraffic(t, h, Transfer{line(1), 0, Store})
	load(h, 7, 1)
	h.Write(line(1), 5, false)
	wantHit(t, h, 0)
	if e := h.Maintain(Clean, line(1)); e != (Effect{line(1), true, true, 0}) {
		t.Errorf("effect %+v", e)
	}
	wantTraffic(t, h, Transfer{line(1), 0, WriteBack})
}

func TestCountersCountWhatArrivesAtEachLevel(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1, 2)           // both miss both
	h.Read(line(1))            // hits L1
	h.Write(line(1), 5, false) // hits L1
	h.Write(line(9), 6, false) // misses both
	load(h, 1, 3, 4)           // line 1, dirty, comes down to L2
	if got, want := h.Counters(0), (Counters{ReadHits: 1, ReadMisses: 4, WriteHits: 1, WriteMisses: 1, Writebacks: 1}); got != want {
		t.Errorf("L1 %+v, want %+v", got, want)
	}
	if got, want := h.Counters(1), (Counters{ReadMisses: 4, WriteHits: 1, WriteMisses: 1}); got != want {
		t.Errorf("L2 %+v, want %+v", got, want)
	}
	h.ResetCounters()
	if got := h.Counters(0); got != (Counters{}) {
		t.Errorf("after a reset %+v", got)
	}
}

func TestNothingAllocates(t *testing.T) {
	h := mustNew(t, cortexA8(true))
	i := 0
	if n := testing.AllocsPerRun(2000, func() {
		i++
		h.Read(line(i * 5))
		h.Filled(Version(i))
		h.Write(line(i*3), Version(i), false)
		h.Maintain(Op(i%3), line(i*2))
		h.SetWay(Op(i%3), i%2, i%64, i%4)
		h.Traffic()
		h.Probe(line(i))
	}); n != 0 {
		t.Errorf("%v allocations a round", n)
	}
}
