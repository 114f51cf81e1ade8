package iommu

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"socsim/sim/bus"
)

// ErrNoSpace is returned, wrapped, by [Space.Alloc] when no gap is large enough.
var ErrNoSpace = errors.New("no IO virtual address space left")

// ErrTaken is returned, wrapped, by [Space.AllocAt] when a part of the range is in use.
var ErrTaken = errors.New("the IO virtual addresses are in use")

// Allocation names a policy by which addresses are handed out.
type Allocation string

const (
	// FirstFit takes the lowest gap that is large enough, as the omap iovmm does (alloc_iovm_area).
	FirstFit Allocation = "first-fit"
	// BestFit takes the smallest gap that is large enough, the lowest of several.
	BestFit Allocation = "best-fit"
)

// Values lists the valid policies.
func (Allocation) Values() []string { return []string{string(FirstFit), string(BestFit)} }

// Space hands out ranges of IO virtual addresses in whole pages of 4 KiB, anywhere or at a fixed address. Address 0 is never handed out: drivers use it for "not mapped" (omap iovmm: "disallow
// mapping NULL address", March 2011). Within a gap a range lies as low as its alignment lets it.
//
// Alignment costs addresses: what lies between the start of a gap and the aligned start stays free, and a later range of smaller pages may have it.
//
// Left out: the rbtree and the per-CPU caches of the later drivers/iommu/iova.c, which allocates from above.
type Space struct {
	base, end uint64
	policy    Allocation
	used      []span // ascending, disjoint
	bytes     uint64 // in use
	refused   uint64
	scattered uint64
}

type span struct{ start, end uint64 }

// SpaceStats says how an address space is used. Refused counts the calls of Alloc that found no gap since the last reset, and Scattered those of them for which there was as much free in all.
type SpaceStats struct {
	Used, Free   uint64 // bytes
	LargestGap   uint64 // bytes
	Ranges, Gaps int
	Refused      uint64
	Scattered    uint64
}

// Fragmentation returns the part of the free bytes outside the largest gap, in parts per million: 0 while the free bytes are one gap, or there are none. It is 1 - largest gap / free, rounded down.
func (s SpaceStats) Fragmentation() int64 {
	if s.Free == 0 {
		return 0
	}
	return int64((s.Free - s.LargestGap) / PageBytes * 1_000_000 / (s.Free / PageBytes)) // both are whole pages
}

// NewSpace returns an allocator over the whole pages of [base, base+size). The range must not wrap, and the policy must be one of the valid ones.
func NewSpace(base bus.IOVA, size uint64, policy Allocation) *Space {
	b := uint64(base)
	if b+size < b {
		panic(fmt.Sprintf("iommu: address space of %#x bytes at %v wraps", size, base))
	}
	if !slices.Contains(policy.Values(), string(policy)) {
		panic(fmt.Sprintf("iommu: address space with the allocation policy %q", string(policy)))
	}
	start := max((b+PageBytes-1)&^(PageBytes-1), PageBytes)
	return &Space{base: start, end: max(start, (b+size)&^(PageBytes-1)), policy: policy}
}

// Alloc returns a free range of size bytes, rounded up to whole pages, that is aligned to align, a power of two (less than a page counts as a page). Cost: O(ranges in use).
func (s *Space) Alloc(size, align uint64) (bus.IOVA, error) {
	if size == 0 || align == 0 || align&(align-1) != 0 {
		return 0, fmt.Errorf("iommu: allocating %d bytes of address space aligned to %d: want a size and a power of two", size, align)
	}
	align = max(align, PageBytes)
	want := wholePages(size)
	if i, start, ok := s.find(want, align); ok && want >= size { // it is smaller when the rounding wrapped
		s.take(i, span{start, start + want})
		return bus.IOVA(start), nil
	}
	s.refused++
	if free := s.end - s.base - s.bytes; want >= size && want <= free {
		s.scattered++
	}
	return 0, fmt.Errorf("iommu: allocating %d bytes aligned to %d: %w", size, align, ErrNoSpace)
}

// find returns the gap that the policy takes for want bytes, as the index of the range behind it, and where in it they start.
func (s *Space) find(want, align uint64) (gap int, start uint64, ok bool) {
	var smallest uint64
	for i := range len(s.used) + 1 {
		g := s.gap(i)
		at := (g.start + align - 1) &^ (align - 1)
		if at < g.start || at > g.end || g.end-at < want {
			continue
		}
		if s.policy == FirstFit {
			return i, at, true
		}
		if size := g.end - g.start; !ok || size < smallest {
			gap, start, smallest, ok = i, at, size, true
		}
	}
	return gap, start, ok
}

// gap returns what is free below range i in use; beyond the last, up to the end.
func (s *Space) gap(i int) span {
	g := span{s.base, s.end}
	if i > 0 {
		g.start = s.used[i-1].end
	}
	if i < len(s.used) {
		g.end = s.used[i].start
	}
	return g
}

// AllocAt takes size bytes, rounded up to whole pages, at a fixed address (IOVMF_DA_FIXED). Cost: O(ranges in use).
func (s *Space) AllocAt(va bus.IOVA, size uint64) error {
	start, want := uint64(va), wholePages(size)
	r := span{start, start + want}
	switch {
	case size == 0 || start%PageBytes != 0:
		return fmt.Errorf("iommu: allocating %d bytes at %v: want a size and the address of a page", size, va)
	case start < s.base || start > s.end || want < size || want > s.end-start:
		return fmt.Errorf("iommu: allocating %d bytes at %v: outside the address space, from %v up to %v: %w", size, va, bus.IOVA(s.base), bus.IOVA(s.end), ErrNoSpace)
	}
	i, _ := s.search(r.start)
	if g := s.gap(i); r.start < g.start || r.end > g.end {
		return fmt.Errorf("iommu: allocating %d bytes at %v: %w", size, va, ErrTaken)
	}
	s.take(i, r)
	return nil
}

// Free gives back the range that starts at va. It must have been handed out. Cost: O(ranges in use).
func (s *Space) Free(va bus.IOVA) error {
	i, ok := s.search(uint64(va))
	if !ok {
		return fmt.Errorf("iommu: freeing %v: not the start of an allocated range", va)
	}
	s.bytes -= s.used[i].end - s.used[i].start
	s.used = slices.Delete(s.used, i, i+1)
	return nil
}

// Stats measures the space. Cost: O(ranges in use).
func (s *Space) Stats() SpaceStats {
	st := SpaceStats{Used: s.bytes, Free: s.end - s.base - s.bytes, Ranges: len(s.used), Refused: s.refused, Scattered: s.scattered}
	for i := range len(s.used) + 1 {
		if g := s.gap(i); g.end > g.start {
			st.Gaps++
			st.LargestGap = max(st.LargestGap, g.end-g.start)
		}
	}
	return st
}

// ResetStats zeroes the counters of refusals. What is in use stays.
func (s *Space) ResetStats() { s.refused, s.scattered = 0, 0 }

// search returns the first range in use that does not start below va, and whether it starts there.
func (s *Space) search(va uint64) (i int, ok bool) {
	return slices.BinarySearchFunc(s.used, va, func(u span, start uint64) int { return cmp.Compare(u.start, start) })
}

// take enters a range that fits the gap below range i.
func (s *Space) take(i int, r span) {
	s.used = slices.Insert(s.used, i, r)
	s.bytes += r.end - r.start
}

// wholePages rounds up to whole pages; the result is less than n when that wraps.
func wholePages(n uint64) uint64 { return (n + PageBytes - 1) &^ (PageBytes - 1) }
