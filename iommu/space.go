package iommu

import (
	"errors"
	"fmt"
	"slices"

	"socsim/sim/bus"
)

// ErrNoSpace is returned, wrapped, by [Space.Alloc] when no gap is large enough.
var ErrNoSpace = errors.New("no IO virtual address space left")

// Space hands out ranges of IO virtual addresses, first fit, in whole pages of 4 KiB. Address 0 is never handed out: drivers use it for "not mapped" (omap iovmm disallows it
// since 2011).
type Space struct {
	base, end uint64
	used      []span // ascending, disjoint
}

type span struct{ start, end uint64 }

// NewSpace returns an allocator over [base, base+size). The range must not wrap.
func NewSpace(base bus.IOVA, size uint64) *Space {
	b := uint64(base)
	if b+size < b {
		panic(fmt.Sprintf("iommu: address space of %#x bytes at %v wraps", size, base))
	}
	return &Space{base: max(b, PageBytes), end: b + size}
}

// Alloc returns the lowest free range of size bytes, rounded up to whole pages, that is aligned to align, a power of two (less than a page counts as a page). Cost: O(ranges in
// use).
func (s *Space) Alloc(size, align uint64) (bus.IOVA, error) {
	if size == 0 || align == 0 || align&(align-1) != 0 {
		return 0, fmt.Errorf("iommu: allocating %d bytes of address space aligned to %d: want a size and a power of two", size, align)
	}
	align = max(align, PageBytes)
	want, at, i := (size+PageBytes-1)&^(PageBytes-1), s.base, 0
	for ; want >= size; i++ { // it is smaller when the rounding wrapped
		limit := s.end
		if i < len(s.used) {
			limit = s.used[i].start
		}
		start := (at + align - 1) &^ (align - 1)
		if start >= at && start <= limit && limit-start >= want {
			s.used = slices.Insert(s.used, i, span{start, start + want})
			return bus.IOVA(start), nil
		}
		if i == len(s.used) {
			break
		}
		at = s.used[i].end
	}
	return 0, fmt.Errorf("iommu: allocating %d bytes aligned to %d: %w", size, align, ErrNoSpace)
}

// Free gives back the range that starts at va. It must have been handed out. Cost: O(ranges in use).
func (s *Space) Free(va bus.IOVA) error {
	i, ok := slices.BinarySearchFunc(s.used, uint64(va), func(u span, start uint64) int {
		switch {
		case u.start < start:
			return -1
		case u.start > start:
			return 1
		}
		return 0
	})
	if !ok {
		return fmt.Errorf("iommu: freeing %v: not the start of an allocated range", va)
	}
	s.used = slices.Delete(s.used, i, i+1)
	return nil
}
