package iommu

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"socsim/sim/bus"
)

func TestSpaceNeverHandsOutZero(t *testing.T) {
	s := NewSpace(0, 1<<20)
	if va, err := s.Alloc(1, 1); err != nil || va != 0x1000 {
		t.Errorf("%v, %v", va, err)
	}
	if va, err := s.Alloc(1<<16, 1<<16); err != nil || va != 0x1_0000 {
		t.Errorf("%v, %v", va, err)
	}
}

func TestSpaceHandsOutWholePages(t *testing.T) {
	s := NewSpace(0x10_0100, 1<<20)
	for _, want := range []bus.IOVA{0x10_1000, 0x10_3000} {
		if va, err := s.Alloc(4097, 1); err != nil || va != want {
			t.Errorf("%v, %v, want %v", va, err, want)
		}
	}
}

func TestSpaceAlignmentDoesNotWrap(t *testing.T) {
	s := NewSpace(1<<63+0x1000, 1<<20)
	if va, err := s.Alloc(4096, 1<<63); err == nil {
		t.Errorf("%v, want no space", va)
	}
}

func TestSpaceIsFirstFit(t *testing.T) {
	s := NewSpace(0x10_0000, 16<<12)
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
	s := NewSpace(0, 1<<32)
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

// Against one flag a page: ranges are the lowest that fit, aligned, inside and disjoint.
func TestSpaceAgreesWithAPageMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const pages = 64
		first := rapid.IntRange(0, 3).Draw(t, "base")
		s := NewSpace(bus.IOVA(first<<12), pages<<12)
		var used [pages + 4]bool
		live := map[bus.IOVA]int{}
		var order []bus.IOVA
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(order) > 0 && rapid.Bool().Draw(t, "free") {
				i := rapid.IntRange(0, len(order)-1).Draw(t, "which")
				va := order[i]
				if err := s.Free(va); err != nil {
					t.Fatal(err)
				}
				for k := range live[va] {
					used[int(va>>12)+k] = false
				}
				order = append(order[:i], order[i+1:]...)
				continue
			}
			n := rapid.IntRange(1, 12).Draw(t, "pages")
			align := 1 << rapid.IntRange(0, 4).Draw(t, "align")
			want := -1
			for p := 0; p+n <= first+pages && want < 0; p += align {
				free := p >= max(first, 1)
				for k := range n {
					free = free && !used[p+k]
				}
				if free {
					want = p
				}
			}
			va, err := s.Alloc(uint64(n<<12), uint64(align<<12))
			if want < 0 {
				if err == nil {
					t.Fatalf("%v, want no space", va)
				}
				continue
			}
			if err != nil || va != bus.IOVA(want<<12) {
				t.Fatalf("%v, %v, want page %d", va, err, want)
			}
			for k := range n {
				used[want+k] = true
			}
			live[va], order = n, append(order, va)
		}
	})
}
