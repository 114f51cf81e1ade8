package dram

import (
	"testing"

	"socsim/sim/bus"
)

func BenchmarkServe(b *testing.B) {
	random := func(i int) int { return int(uint32(i) * 2654435761 >> 4 & (testSize - 1) &^ 63) }
	for _, bm := range []struct {
		name    string
		address func(i int) int
		write   func(i int) bool
	}{
		{"sequential", func(i int) int { return i * 64 & (testSize - 1) }, reads},
		{"random", random, reads},
		{"random-half-writes", random, func(i int) bool { return i&1 != 0 }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			c := newController(b, lpddr166())
			var ends [4]int64
			b.ReportAllocs()
			for i := range b.N {
				_, ends[i&3] = c.Serve(ends[i&3], testBase+bus.Phys(bm.address(i)), 64, bm.write(i))
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "bursts/s")
		})
	}
}
