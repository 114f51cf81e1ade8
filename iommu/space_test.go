package iommu

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"socsim/sim/bus"
)

func TestSpaceNeverHandsOutZero(t *testing.T) {
	s := NewSpace(0, 1<<20, FirstFit)
	if va, err := s.Alloc(1, 1); err != nil || va != 0x1000 {
		t.Errorf("%v, %v", va, err)
	}
	if va, err := s.Alloc(1<<16, 1<<16); err != nil || va != 0x1_0000 {
		t.Errorf("%v, %v", va, err)
	}
}

func TestSpaceHandsOutWholePages(t *testing.T) {
	s := NewSpace(0x10_0100, 1<<20, FirstFit)
	for _, want := range []bus.IOVA{0x10_1000, 0x10_3000} {
		if va, err := s.Alloc(4097, 1); err != nil || va != want {
			t.Errorf("%v, %v, want %v", va, err, want)
		}
	}
}

func TestSpaceAlignmentDoesNotWrap(t *testing.T) {
	s := NewSpace(1<<63+0x1000, 1<<20, FirstFit)
	if va, err := s.Alloc(4096, 1<<63); err == nil {
		t.Errorf("%v, want no space", va)
	}
}

func TestSpaceIsFirstFit(t *testing.T) {
	s := NewSpace(0x10_0000, 16<<12, FirstFit)
	var at []bus.IOVA
	for range 4 {
		va, err := s.Alloc(4<<12, 1)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, va)
	}
	if _, err := s.Alloc(1, 1); !errors.Is(err, ErrNoSpace) {
		t.Errorf("full space: %v", err)
	}
	for _, i := range []int{2, 0} {
		if err := s.Free(at[i]); err != nil {
			t.Fatal(err)
		}
	}
	if va, _ := s.Alloc(4096, 1); va != at[0] {
		t.Errorf("%v, want the lower gap %v", va, at[0])
	}
	if va, _ := s.Alloc(4<<12, 1); va != at[2] {
		t.Errorf("%v, want the gap that is large enough, %v", va, at[2])
	}
}

func TestSpaceRefuses(t *testing.T) {
	s := NewSpace(0, 1<<32, FirstFit)
	for _, c := range [][2]uint64{{0, 4096}, {4096, 0}, {4096, 3000}, {1 << 33, 1}, {1<<64 - 1, 1}, {4096, 1 << 63}} {
		if va, err := s.Alloc(c[0], c[1]); err == nil {
			t.Errorf("Alloc(%#x, %#x) = %v", c[0], c[1], va)
		}
	}
	if err := s.Free(0x1000); err == nil {
		t.Error("freed what was never allocated")
	}
	va, err := s.Alloc(8192, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Free(va + 4096); err == nil {
		t.Error("freed from the middle of a range")
	}
	if err := s.Free(va); err != nil {
		t.Error(err)
	}
	if err := s.Free(va); err == nil {
		t.Error("freed twice")
	}
}

func TestBestFitTakesTheSmallestGapThatHoldsTheRange(t *testing.T) {
	s := NewSpace(0x10_0000, 64<<12, BestFit)
	for _, at := range []bus.IOVA{8, 9 + 2, 12 + 5, 18 + 2} { // gaps of 8, 2, 5, 2 and 43 pages
		if err := s.AllocAt(0x10_0000+at<<12, 1<<12); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		pages, align uint64
		want         bus.IOVA
	}{
		{2, 1, 9},  // the lower of the two equal gaps
		{4, 1, 12}, // not the lowest, which has 8
		{6, 1, 0},
		{2, 16, 32}, // aligned: the gap of 2 at page 18 does not hold it
	} {
		if va, err := s.Alloc(c.pages<<12, c.align<<12); err != nil || va != 0x10_0000+c.want<<12 {
			t.Errorf("%d pages: %v, %v, want page %d", c.pages, va, err, c.want)
		}
	}
}

func TestAFixedAddressIsTakenOnce(t *testing.T) {
	s := NewSpace(0x10_0000, 16<<12, FirstFit)
	if err := s.AllocAt(0x10_4000, 3<<12); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		va   bus.IOVA
		size uint64
	}{{0x10_4000, 1}, {0x10_6000, 4096}, {0x10_3000, 4097}, {0x10_0000, 16 << 12}} {
		if err := s.AllocAt(c.va, c.size); !errors.Is(err, ErrTaken) {
			t.Errorf("%d bytes at %v: %v, want that they are in use", c.size, c.va, err)
		}
	}
	for _, c := range []struct {
		va   bus.IOVA
		size uint64
	}{{0x10_3000, 4096}, {0x10_7000, 9 << 12}} { // it touches on both sides
		if err := s.AllocAt(c.va, c.size); err != nil {
			t.Error(err)
		}
	}
}

func TestAFixedAddressLiesInTheSpace(t *testing.T) {
	s := NewSpace(0, 16<<12, FirstFit)
	for _, c := range []struct {
		va   bus.IOVA
		size uint64
	}{{0, 4096}, {0x1800, 4096}, {0x1000, 0}, {0xf000, 4097}, {0x10_0000, 1}, {0x1000, 1<<64 - 1}, {1<<64 - 4096, 4096}} {
		if err := s.AllocAt(c.va, c.size); err == nil || errors.Is(err, ErrTaken) {
			t.Errorf("%d bytes at %v: %v", c.size, c.va, err)
		}
	}
}

func TestAnAllocationStaysOutOfAFixedRange(t *testing.T) {
	s := NewSpace(0x10_0000, 8<<12, FirstFit)
	if err := s.AllocAt(0x10_1000, 1<<12); err != nil {
		t.Fatal(err)
	}
	if va, err := s.Alloc(2<<12, 1); err != nil || va != 0x10_2000 {
		t.Errorf("%v, %v, want the gap behind the fixed page", va, err)
	}
}

func TestFragmentationIsWhatLiesOutsideTheLargestGap(t *testing.T) {
	s := NewSpace(0x10_0000, 10<<12, FirstFit)
	if err := s.AllocAt(0x10_3000, 1<<12); err != nil {
		t.Fatal(err)
	}
	want := SpaceStats{Used: 1 << 12, Free: 9 << 12, LargestGap: 6 << 12, Ranges: 1, Gaps: 2}
	if got := s.Stats(); got != want || got.Fragmentation() != 333_333 {
		t.Errorf("%+v, %d ppm, want %+v and 3 of 9 pages", got, got.Fragmentation(), want)
	}
	if _, err := s.Alloc(8<<12, 1); !errors.Is(err, ErrNoSpace) { // as much is free in all
		t.Error(err)
	}
	if _, err := s.Alloc(10<<12, 1); !errors.Is(err, ErrNoSpace) {
		t.Error(err)
	}
	want.Refused, want.Scattered = 2, 1
	if got := s.Stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	s.ResetStats()
	if got := s.Stats(); got.Refused != 0 || got.Scattered != 0 {
		t.Errorf("%+v after a reset", got)
	}
}

func TestAFullSpaceIsNotFragmented(t *testing.T) {
	s := NewSpace(0x10_0000, 2<<12, BestFit)
	if err := s.AllocAt(0x10_0000, 2<<12); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got.Fragmentation() != 0 || got.Free != 0 || got.Gaps != 0 {
		t.Errorf("%+v", got)
	}
}

// pageMap is an address space as one flag a page, and how Space must act on it.
type pageMap struct {
	used  []bool // by page number
	first int
}

// gaps calls visit for each run of free pages, ascending, until it returns false.
func (m *pageMap) gaps(visit func(start, n int) bool) {
	for p := m.first; p < len(m.used); p++ {
		n := 0
		for p+n < len(m.used) && !m.used[p+n] {
			n++
		}
		if n > 0 && !visit(p, n) {
			return
		}
		p += n
	}
}

// fit returns the page where a range goes, or -1.
func (m *pageMap) fit(policy Allocation, n, align int) int {
	at, size := -1, 0
	m.gaps(func(start, length int) bool {
		p := (start + align - 1) / align * align
		if p+n > start+length || at >= 0 && length >= size {
			return true
		}
		at, size = p, length
		return policy == BestFit
	})
	return at
}

func (m *pageMap) set(start, n int, used bool) {
	for i := range n {
		m.used[start+i] = used
	}
}

func (m *pageMap) free(start, n int) bool {
	return start >= m.first && start+n <= len(m.used) && !slices.Contains(m.used[start:start+n], true)
}

func (m *pageMap) stats() (st SpaceStats) {
	m.gaps(func(_, n int) bool {
		st.Gaps++
		st.Free += uint64(n) << 12
		st.LargestGap = max(st.LargestGap, uint64(n)<<12)
		return true
	})
	st.Used = uint64(len(m.used)-m.first)<<12 - st.Free
	return st
}

// Against one flag a page: ranges lie where the policy wants them, aligned, inside and disjoint; fixed ones where they are free; and the statistics agree.
func TestSpaceAgreesWithAPageMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const pages = 64
		first := rapid.IntRange(0, 3).Draw(t, "base")
		policy := Allocation(rapid.SampledFrom(FirstFit.Values()).Draw(t, "policy"))
		s := NewSpace(bus.IOVA(first<<12), pages<<12, policy)
		m := pageMap{used: make([]bool, first+pages), first: max(first, 1)}
		live := map[int]int{}
		var order []int
		enter := func(start, n int) {
			m.set(start, n, true)
			live[start], order = n, append(order, start)
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			n := rapid.IntRange(1, 12).Draw(t, "pages")
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1: // free
				if len(order) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(order)-1).Draw(t, "which")
				if err := s.Free(bus.IOVA(order[i] << 12)); err != nil {
					t.Fatal(err)
				}
				m.set(order[i], live[order[i]], false)
				order = slices.Delete(order, i, i+1)
			case 2: // at a fixed address
				start := rapid.IntRange(0, first+pages).Draw(t, "fixed")
				err := s.AllocAt(bus.IOVA(start<<12), uint64(n<<12))
				if free := m.free(start, n); (err == nil) != free {
					t.Fatalf("%d pages at page %d: %v, free: %v", n, start, err, free)
				}
				if err == nil {
					enter(start, n)
				}
			default:
				align := 1 << rapid.IntRange(0, 4).Draw(t, "align")
				want := m.fit(policy, n, align)
				va, err := s.Alloc(uint64(n<<12), uint64(align<<12))
				if (err == nil) != (want >= 0) || err == nil && va != bus.IOVA(want<<12) {
					t.Fatalf("%d pages aligned to %d: %v, %v, want page %d", n, align, va, err, want)
				}
				if err == nil {
					enter(want, n)
				}
			}
			got, want := s.Stats(), m.stats()
			want.Ranges, want.Refused, want.Scattered = len(order), got.Refused, got.Scattered
			if got != want {
				t.Fatalf("%+v, want %+v", got, want)
			}
		}
	})
}
