package memtrace

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// benchmark reads the traces that open returns.
func benchmark(b *testing.B, open func() (*Reader, error)) {
	b.ReportAllocs()
	batch := make([]Record, 4096)
	records := 0
	for b.Loop() {
		r, err := open()
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			var n int
			n, err = r.Next(batch)
			records += n
		}
		if err != io.EOF {
			b.Fatal(err)
		}
		r.Close()
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkLackey parses a recorded trace in memory; an eighth of its addresses have more than eight digits.
func BenchmarkLackey(b *testing.B) {
	text := unzstd(b, "sqlite")
	benchmark(b, func() (*Reader, error) { return New(bytes.NewReader(text), "sqlite") })
}

// BenchmarkDin parses the same accesses as din: without sizes, with them, and with the addresses of a program of 32 bits.
func BenchmarkDin(b *testing.B) {
	all := readAll(b, bytes.NewReader(unzstd(b, "sqlite")))
	for _, c := range []struct {
		name string
		line func(text []byte, rec Record) []byte
	}{
		{"address", func(text []byte, rec Record) []byte {
			return fmt.Appendf(text, "%d %x\n", [...]int{2, 0, 1, 0}[rec.Kind], rec.Addr)
		}},
		{"size", func(text []byte, rec Record) []byte {
			return fmt.Appendf(text, "%d %x %x\n", [...]int{2, 0, 1, 0}[rec.Kind], rec.Addr, rec.Size)
		}},
		{"32bit", func(text []byte, rec Record) []byte {
			return fmt.Appendf(text, "%d %x %x\n", [...]int{2, 0, 1, 0}[rec.Kind], uint32(rec.Addr), rec.Size)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var text []byte
			for _, rec := range all {
				text = c.line(text, rec)
			}
			benchmark(b, func() (*Reader, error) { return New(bytes.NewReader(text), "sqlite") })
		})
	}
}

// BenchmarkLackeyZstd reads a recorded trace from its file.
func BenchmarkLackeyZstd(b *testing.B) {
	benchmark(b, func() (*Reader, error) { return Open(oracles+"sqlite.lackey.zst", nil) })
}

// BenchmarkLackeyGzip reads the same as gzip, from memory.
func BenchmarkLackeyGzip(b *testing.B) {
	packed := gzipped(b, unzstd(b, "sqlite"))
	benchmark(b, func() (*Reader, error) { return New(bytes.NewReader(packed), "sqlite") })
}
