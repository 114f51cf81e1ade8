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

func BenchmarkFRFCFS(b *testing.B) {
	b.Run("saturated", func(b *testing.B) {
		f := saturated(b, lpddr333())
		f(1000)
		b.ReportAllocs()
		b.ResetTimer()
		f(b.N)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	})
	b.Run("sequential", func(b *testing.B) {
		f, err := NewFRFCFS(lpddr333(), testBase, testSize, func(uint64, int64) {})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		clk := int64(0)
		for i := range b.N {
			for !f.Enqueue(clk, testBase+bus.Phys(i*64&(testSize-1)), false, uint64(i)) {
				clk = f.Next()
			}
			clk++
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	})
	b.Run("paced", func(b *testing.B) {
		f, err := NewFRFCFS(lpddr333(), testBase, testSize, func(uint64, int64) {})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for i := range b.N {
			f.Enqueue(int64(i)*60, testBase+bus.Phys(uint32(i)*2654435761>>4&(testSize-1)&^63), false, uint64(i))
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	})
}
