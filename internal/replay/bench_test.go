package replay

import (
	"context"
	"io"
	"path/filepath"
	"testing"

	"socsim/cachemodel"
	"socsim/internal/memtrace"
)

// twoLevels are split L1 of 32 KiB and a unified L2 of 256 KiB.
func twoLevels(r cachemodel.Replacement) Config {
	l1 := cachemodel.LevelConfig{Size: 32 << 10, Ways: 4, Line: 64, Replacement: r, Allocate: cachemodel.ReadWriteAllocate}
	l2 := cachemodel.LevelConfig{Size: 256 << 10, Ways: 8, Line: 64, Replacement: r, Allocate: cachemodel.ReadWriteAllocate}
	return Config{Rules: Hardware, Caches: cachemodel.Config{Instruction: &l1, Levels: []cachemodel.LevelConfig{l1, l2}, Seed: 1}}
}

// A real trace from its compressed file through two levels: reading, decompressing, parsing and simulating.
func BenchmarkReplayFile(b *testing.B) {
	for _, kind := range []struct {
		name   string
		config Config
	}{
		{"lru", twoLevels(cachemodel.LRU)},
		{"random", twoLevels(cachemodel.Random)},
		{"plru", twoLevels(cachemodel.PLRU)},
		{"cachegrind", func() Config { c := twoLevels(cachemodel.LRU); c.Rules = Cachegrind; return c }()},
	} {
		b.Run(kind.name, func(b *testing.B) {
			b.ReportAllocs()
			var refs uint64
			for b.Loop() {
				refs += run(b, "sqlite", kind.config).References
			}
			b.ReportMetric(float64(refs)/b.Elapsed().Seconds(), "accesses/s")
		})
	}
}

// The same from memory: simulating alone.
func BenchmarkReplayMemory(b *testing.B) {
	r, err := memtrace.Open(filepath.Join(oracles, "sqlite.lackey.zst"), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	records := make([]memtrace.Record, 5_000_000)
	n, err := r.Next(records)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var refs uint64
	for b.Loop() {
		c, err := Run(context.Background(), &recorded{records[:n]}, twoLevels(cachemodel.LRU), nil)
		if err != nil {
			b.Fatal(err)
		}
		refs += c.References
	}
	b.ReportMetric(float64(refs)/b.Elapsed().Seconds(), "accesses/s")
}

// recorded is a trace in memory.
type recorded struct{ records []memtrace.Record }

func (r *recorded) Next(batch []memtrace.Record) (int, error) {
	n := copy(batch, r.records)
	r.records = r.records[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
