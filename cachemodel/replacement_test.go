package cachemodel

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLRUGivesUpTheLeastRecentlyUsed(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 256, Ways: 4, Line: 64}}, Versions: true})
	load(h, 1, 1, 2, 3, 4)
	load(h, 1, 2, 1)           // left by age: 3, 4, 2, 1
	h.Write(At(line(3)), 4, 2) // 4, 2, 1, 3
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
				h.Read(At(line(i)), 4)
			}
		}
		want := Counters{ReadHits: 9 * 256, ReadMisses: 256, BytesFromBelow: 256 * 64}
		if extra > 0 {
			want = Counters{ReadMisses: 3200, BytesFromBelow: 3200 * 64}
		}
		if got := h.Counters(0); got != want {
			t.Errorf("%d lines: %+v, want %+v", lines, got, want)
		}
	}
}

func TestInvalidWaysAreFilledFirst(t *testing.T) {
	for _, replacement := range []Replacement{LRU, Random, FIFO, PLRU, RoundRobin} {
		h := mustNew(t, Config{Levels: []LevelConfig{{Size: 256, Ways: 4, Line: 64, Replacement: replacement}}})
		load(h, 0, 1, 2, 3, 4)
		h.Maintain(Invalidate, At(line(2)), PoC)
		h.Maintain(Invalidate, At(line(3)), PoC)
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
		h.Lines(0, func(l Line) {
			if held[way] != l.Tag {
				left[way]++
				held[way] = l.Tag
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
			h.Read(At(line(i*7%300)), 4)
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

// fourWays is a cache of one set.
func fourWays(t testing.TB, r Replacement) *Hierarchy {
	t.Helper()
	return mustNew(t, Config{Levels: []LevelConfig{{Size: 256, Ways: 4, Line: 64, Replacement: r}}, Versions: true})
}

func TestFIFOIsNotTouchedByHits(t *testing.T) {
	h := fourWays(t, FIFO)
	load(h, 1, 1, 2, 3, 4, 1)
	h.Write(At(line(1)), 4, 2)
	load(h, 1, 5)
	wantLines(t, h, 0, clean(5, 1), clean(2, 1), clean(3, 1), clean(4, 1))
	load(h, 1, 2, 6, 2)
	wantLines(t, h, 0, clean(5, 1), clean(6, 1), clean(2, 1), clean(4, 1))
}

// The tree has a node over both pairs and one over each. After ways 0 to 3 are
// filled in turn it points left, and there to way 0. A use of way 0 turns it
// right, where way 3 was used last: to way 2, though way 1 was not used for longer.
func TestPLRUFollowsItsTree(t *testing.T) {
	h := fourWays(t, PLRU)
	load(h, 1, 1, 2, 3, 4)
	load(h, 1, 1)
	load(h, 1, 5) // in way 2; now left, and there way 1
	wantLines(t, h, 0, clean(1, 1), clean(2, 1), clean(5, 1), clean(4, 1))
	load(h, 1, 6) // in way 1; now right, and there way 3
	wantLines(t, h, 0, clean(1, 1), clean(6, 1), clean(5, 1), clean(4, 1))
	load(h, 1, 4) // used: now left, way 0
	load(h, 1, 7)
	wantLines(t, h, 0, clean(7, 1), clean(6, 1), clean(5, 1), clean(4, 1))
}

func TestPLRUOfOneWayGivesThatUp(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 64, Ways: 1, Line: 64, Replacement: PLRU}}, Versions: true})
	load(h, 1, 1, 2)
	wantLines(t, h, 0, clean(2, 1))
}

// With 64 ways filled in turn, the next 64 victims are a permutation of the ways.
func TestPLRUOfManyWaysComesToAll(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 64 * 64, Ways: 64, Line: 64, Replacement: PLRU}}})
	for i := range 128 {
		load(h, 0, i)
	}
	if c := h.Counters(0); c.ReadMisses != 128 {
		t.Fatalf("%+v", c)
	}
	h.Lines(0, func(l Line) {
		if l.Tag < line(64) {
			t.Errorf("way %d still has %#x", l.Way, l.Tag)
		}
	})
}

func TestRoundRobinStepsWhenAFullSetGivesALineUp(t *testing.T) {
	h := fourWays(t, RoundRobin)
	load(h, 1, 1, 2, 3, 4)
	load(h, 1, 5, 2) // in way 0; a hit does not matter
	load(h, 1, 6)    // in way 1
	wantLines(t, h, 0, clean(5, 1), clean(6, 1), clean(3, 1), clean(4, 1))
	h.Maintain(Invalidate, At(line(4)), PoC)
	load(h, 1, 7) // fills way 3: the counter stays
	load(h, 1, 8)
	wantLines(t, h, 0, clean(5, 1), clean(6, 1), clean(8, 1), clean(7, 1))
	load(h, 1, 9, 10) // in way 3 and, round, in way 0
	wantLines(t, h, 0, clean(10, 1), clean(6, 1), clean(8, 1), clean(9, 1))
}

func TestEachSetHasItsOwnTurn(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 256, Ways: 2, Line: 64, Replacement: RoundRobin}}, Versions: true})
	load(h, 1, 0, 2, 4) // the even set: way 0 went
	load(h, 1, 1, 3, 5)
	wantLines(t, h, 0, clean(4, 1), clean(2, 1), clean(5, 1), clean(3, 1))
}

// The clock of one of two equal caches is set to just before its end.
func TestStampsSurviveRenumbering(t *testing.T) {
	for _, r := range []Replacement{LRU, FIFO} {
		config := Config{Levels: []LevelConfig{{Size: 4096, Ways: 8, Line: 64, Replacement: r}}, Versions: true}
		a, b := mustNew(t, config), mustNew(t, config)
		draw := rand.NewPCG(1, 2)
		for step := range 3000 {
			i := int(draw.Uint64() % 128)
			if step == 500 {
				a.levels[0].clock = math.MaxUint32 - 40
			}
			op := draw.Uint64() % 8
			for _, h := range []*Hierarchy{a, b} {
				switch op {
				case 0:
					h.Maintain(Invalidate, At(line(i)), PoC)
				case 1:
					h.Write(At(line(i)), 4, Version(step))
				default:
					load(h, Version(step), i)
				}
			}
			var got, want []Line
			a.Lines(0, func(l Line) { got = append(got, l) })
			b.Lines(0, func(l Line) { want = append(want, l) })
			if !slices.Equal(got, want) {
				t.Fatalf("%v: step %d: %v, want %v", r, step, got, want)
			}
		}
		if clock := a.levels[0].clock; clock > 3000 {
			t.Errorf("%v: the clock is at %d: it was not set back", r, clock)
		}
	}
}

func TestVictimsOfRandomReplacementAreDrawnWhenTheSetIsFullOnly(t *testing.T) {
	h := fourWays(t, Random)
	load(h, 1, 1, 2, 3, 4)
	way, _ := bits.Mul64(rand.NewPCG(0, 0).Uint64(), 4) // the first draw
	load(h, 1, 5)
	h.Lines(0, func(l Line) {
		if got := l.Tag == line(5); got != (l.Way == int(way)) {
			t.Errorf("way %d has %#x, want line 5 in way %d", l.Way, l.Tag, way)
		}
	})
}
