package dramreplay

import "math/bits"

// exact is the latency in clocks below which each has a count of its own; above, 1024 steps share each power of two.
const (
	exact = 1 << 16
	steps = 1 << 10
)

// Latencies counts latencies. Percentiles are exact below 65 536 clocks and 0.1 % low at most above. 8 bytes a clock of the longest latency, up to a MB.
type Latencies struct {
	counts   []uint64
	n        uint64
	sum, max int64
}

// Add counts a latency.
func (l *Latencies) Add(v int64) {
	i := index(v)
	if i >= len(l.counts) {
		l.counts = append(l.counts, make([]uint64, i+1-len(l.counts))...)
	}
	l.counts[i]++
	l.n++
	l.sum += v
	l.max = max(l.max, v)
}

func index(v int64) int {
	if v < exact {
		return int(max(v, 0))
	}
	e := bits.Len64(uint64(v)) - 17 // 0 for the first power of two
	return exact + e*steps + int(v>>(e+6))&(steps-1)
}

// value is the smallest latency of an index.
func value(i int) int64 {
	if i < exact {
		return int64(i)
	}
	e := (i - exact) / steps
	return int64(steps+(i-exact)%steps) << (e + 6)
}

// Count returns how many there are.
func (l *Latencies) Count() uint64 { return l.n }

// Sum returns their sum.
func (l *Latencies) Sum() int64 { return l.sum }

// Max returns the longest.
func (l *Latencies) Max() int64 { return l.max }

// Percentile returns the latency that p percent of all do not exceed, by nearest rank.
func (l *Latencies) Percentile(p uint64) int64 {
	rank := (l.n*p + 99) / 100
	var seen uint64
	for i, c := range l.counts {
		if seen += c; seen >= rank && c > 0 {
			return value(i)
		}
	}
	return l.max
}
