package cachemodel

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func newBuffer(t testing.TB, entries, width int) *StoreBuffer {
	t.Helper()
	b, err := NewStoreBuffer(entries, width)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantGathered(t *testing.T, what string, got []Gathered, want ...Gathered) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestABlockLeavesWhenItIsComplete(t *testing.T) {
	b := newBuffer(t, 4, 16)
	wantGathered(t, "first half", b.Add(At(0x108), 8, 1))
	wantGathered(t, "second half", b.Add(At(0x100), 8, 2), Gathered{At(0x100), 16, 2})
	if b.Len() != 0 {
		t.Errorf("%d entries open, want none", b.Len())
	}
}

func TestTheOldestBlockMakesRoom(t *testing.T) {
	b := newBuffer(t, 2, 64)
	b.Add(At(0), 4, 1)
	b.Add(At(64), 4, 2)
	b.Add(At(4), 4, 3) // does not make the first any younger
	wantGathered(t, "a third block", b.Add(At(128), 4, 4), Gathered{At(0), 8, 3})
}

func TestABlockWithGapsLeavesAsSeveralRuns(t *testing.T) {
	b := newBuffer(t, 1, 64)
	b.Add(At(60), 4, 1)
	b.Add(At(0), 1, 2)
	b.Add(At(8), 8, 3)
	wantGathered(t, "drained", b.Drain(), Gathered{At(0), 1, 3}, Gathered{At(8), 8, 3}, Gathered{At(60), 4, 3})
}

func TestAStoreOverSeveralBlocksFillsEach(t *testing.T) {
	b := newBuffer(t, 4, 8)
	wantGathered(t, "store", b.Add(Address{0x1004, 0x2004}, 16, 7), Gathered{Address{0x1008, 0x2008}, 8, 7})
	wantGathered(t, "rest", b.Drain(), Gathered{Address{0x1004, 0x2004}, 4, 7}, Gathered{Address{0x1010, 0x2010}, 4, 7})
}

func TestTakeSendsOffWhatOverlaps(t *testing.T) {
	b := newBuffer(t, 4, 16)
	for i, addr := range []uint64{0, 16, 32, 48} {
		b.Add(At(addr), 4, Version(i))
	}
	wantGathered(t, "taken", b.Take(16, 32), Gathered{At(16), 4, 1}, Gathered{At(32), 4, 2})
	wantGathered(t, "left", b.Drain(), Gathered{At(0), 4, 0}, Gathered{At(48), 4, 3})
}

func TestStoreBuffersThatMakeNoSenseAreRefused(t *testing.T) {
	for _, c := range [][2]int{{0, 64}, {-1, 64}, {1, 0}, {1, 24}, {1, 128}} {
		if _, err := NewStoreBuffer(c[0], c[1]); err == nil {
			t.Errorf("%d entries of %d bytes are accepted", c[0], c[1])
		}
	}
}

// Each byte comes out after its last store, in blocks, with the version of that
// store or a later one to the same block; and nothing else comes out.
func TestAStoreBufferLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := 1 << rapid.IntRange(0, 6).Draw(t, "width")
		entries := rapid.IntRange(1, 5).Draw(t, "entries")
		b, err := NewStoreBuffer(entries, width)
		if err != nil {
			t.Fatal(err)
		}
		stored, left := map[uint64]Version{}, map[uint64]Version{}
		out := func(gathered []Gathered) {
			for _, g := range gathered {
				if g.Addr.Physical/uint64(width) != (g.Addr.Physical+uint64(g.Bytes)-1)/uint64(width) {
					t.Fatalf("%v crosses blocks of %d bytes", g, width)
				}
				for i := range uint64(g.Bytes) {
					if _, ok := stored[g.Addr.Physical+i]; !ok {
						t.Fatalf("byte %#x comes out and never went in", g.Addr.Physical+i)
					}
					left[g.Addr.Physical+i] = g.Version
				}
			}
		}
		for i := range Version(rapid.IntRange(0, 60).Draw(t, "stores")) {
			addr, n := uint64(rapid.IntRange(0, 300).Draw(t, "addr")), rapid.IntRange(1, 40).Draw(t, "n")
			if rapid.IntRange(0, 9).Draw(t, "take") == 0 {
				out(b.Take(addr, n))
				for at := addr; at < addr+uint64(n); at++ {
					if left[at] < stored[at] {
						t.Fatalf("byte %#x stayed behind", at)
					}
				}
				continue
			}
			for k := range uint64(n) {
				stored[addr+k] = i + 1
			}
			out(b.Add(At(addr), n, i+1))
			if b.Len() > entries {
				t.Fatalf("%d entries open of %d", b.Len(), entries)
			}
		}
		out(b.Drain())
		for at, v := range stored {
			if left[at] < v {
				t.Fatalf("byte %#x of version %d came out last with %d", at, v, left[at])
			}
		}
	})
}

func TestAStoreBufferDoesNotAllocate(t *testing.T) {
	b := newBuffer(t, 4, 64)
	addr := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		b.Add(At(addr), 24, 1)
		b.Add(At(addr+100), 60, 1)
		addr += 40
		if addr%400 == 0 {
			b.Drain()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAStoreBufferHoldsWhatItWouldTake(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, err := NewStoreBuffer(rapid.IntRange(1, 4).Draw(rt, "entries"), 1<<rapid.IntRange(0, 6).Draw(rt, "width"))
		if err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(0, 5).Draw(rt, "stores") {
			b.Add(At(rapid.Uint64Range(0, 255).Draw(rt, "at")), rapid.IntRange(1, 16).Draw(rt, "n"), 1)
		}
		at, n := rapid.Uint64Range(0, 255).Draw(rt, "from"), rapid.IntRange(1, 64).Draw(rt, "bytes")
		if holds, took := b.Holds(at, n), len(b.Take(at, n)) > 0; holds != took {
			rt.Errorf("holds %d bytes at %d: %v, took them: %v", n, at, holds, took)
		}
	})
}
