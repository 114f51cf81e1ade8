package l3

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"socsim/sim"
)

func TestBucketsAreInOrderAndSixPercentWide(t *testing.T) {
	last := -1
	for i := range 512 {
		lo := uint64(0)
		if i > 0 {
			lo = upper(i-1) + 1
		}
		hi := upper(i)
		if bucketOf(lo) != i || bucketOf(hi) != i || hi < lo {
			t.Fatalf("bucket %d is of %d to %d ns, which are in buckets %d and %d", i, lo, hi, bucketOf(lo), bucketOf(hi))
		}
		if (hi-lo)*16 > lo {
			t.Fatalf("bucket %d, of %d to %d ns, is wider than a sixteenth", i, lo, hi)
		}
		if i <= last {
			t.Fatalf("bucket %d after %d", i, last)
		}
		last = i
	}
	if got := bucketOf(upper(511) + 1); got != 511 {
		t.Errorf("what is too long for the last bucket is in bucket %d", got)
	}
}

func TestQuantileIsTheBoundOfItsSamplesBucket(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var h Histogram
		samples := rapid.SliceOfN(rapid.Int64Range(0, int64(sim.Millisecond)), 1, 200).Draw(rt, "samples")
		var sum uint64
		for _, s := range samples {
			h.Add(sim.Time(s))
			sum += uint64(s)
		}
		slices.Sort(samples)
		n := len(samples)
		for _, permille := range []int{1, 250, 500, 950, 990, 999, 1000} {
			ns := uint64(samples[max((n*permille+999)/1000, 1)-1]) / 1000
			got := h.Quantile(uint64(permille))
			if got < ns || (got-ns)*16 > ns || got != upper(bucketOf(ns)) {
				rt.Fatalf("%d permille: %d ns, the sample is %d ns", permille, got, ns)
			}
		}
		if h.Count() != uint64(n) || h.Sum() != sum || h.Max() != sim.Time(samples[n-1]) {
			rt.Fatalf("count %d, sum %d, max %d, want %d, %d, %d", h.Count(), h.Sum(), h.Max(), n, sum, samples[n-1])
		}
	})
}

func TestEmptyHistogramIsZero(t *testing.T) {
	var h Histogram
	if h.Quantile(500) != 0 || h.Count() != 0 || h.Sum() != 0 || h.Max() != 0 {
		t.Errorf("%d, %d, %d, %v", h.Quantile(500), h.Count(), h.Sum(), h.Max())
	}
}
