package l3

import (
	"math/bits"

	"socsim/sim"
)

// Histogram counts latencies in buckets of about 6 %: exact to a nanosecond below 16 ns, then 16 buckets to each doubling. Adding costs a few instructions and no memory beyond 4 KB.
type Histogram struct {
	count, sum uint64 // the sum in ps
	max        sim.Time
	bucket     [512]uint32
}

// Add counts one latency.
func (h *Histogram) Add(t sim.Time) {
	h.count++
	h.sum += uint64(t)
	if t > h.max {
		h.max = t
	}
	h.bucket[bucketOf(uint64(t)/1000)]++
}

func bucketOf(ns uint64) int {
	if ns < 16 {
		return int(ns)
	}
	e := bits.Len64(ns) - 5 // ns >> e is 16..31
	i := e<<4 + int(ns>>uint(e))
	if i > 511 {
		return 511
	}
	return i
}

// upper returns the largest latency, in ns, that falls into bucket i.
func upper(i int) uint64 {
	if i < 32 {
		return uint64(i)
	}
	e := uint(i>>4 - 1)
	return (uint64(i&15)+16+1)<<e - 1
}

// Count returns how many latencies were added.
func (h *Histogram) Count() uint64 { return h.count }

// Sum returns the sum of all latencies in picoseconds.
func (h *Histogram) Sum() uint64 { return h.sum }

// Max returns the largest latency.
func (h *Histogram) Max() sim.Time { return h.max }

// Quantile returns the upper bound of the bucket that holds the given quantile (permille), in nanoseconds.
func (h *Histogram) Quantile(permille uint64) uint64 {
	want := (h.count*permille + 999) / 1000
	var seen uint64
	for i, n := range h.bucket {
		seen += uint64(n)
		if seen >= want && n > 0 {
			return upper(i)
		}
	}
	return 0
}
