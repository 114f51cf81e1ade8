package cachemodel

import (
	"fmt"
	"testing"
)

// cortexA8 is the data side of OMAP3430's core: 16 KiB of L1, 256 KiB of L2.
func cortexA8(versions bool) Config {
	return Config{
		Levels: []LevelConfig{
			{Size: 16 << 10, Ways: 4, Line: 64, Replacement: Random},
			{Size: 256 << 10, Ways: 8, Line: 64, Replacement: Random},
		},
		Versions: versions,
		Seed:     1,
	}
}

func withLRU(c Config) Config {
	for i := range c.Levels {
		c.Levels[i].Replacement = LRU
	}
	return c
}

func mustNew(b testing.TB, c Config) *Hierarchy {
	b.Helper()
	h, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	return h
}

func report(b *testing.B, unit string, each int) {
	b.ReportMetric(float64(b.N)*float64(each)/b.Elapsed().Seconds(), unit)
}

var kinds = []struct {
	name   string
	config Config
}{
	{"random", cortexA8(false)},
	{"random+versions", cortexA8(true)},
	{"lru", withLRU(cortexA8(false))},
	{"lru+versions", withLRU(cortexA8(true))},
}

// A load of every line of L1, over and over: each hits another line than the last.
func BenchmarkReadL1Hit(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			h := mustNew(b, kind.config)
			b.ReportAllocs()
			for i := range 1 << 9 {
				h.Read(At(uint64(i)<<6&0x3fff), 4)
			}
			addr := uint64(0)
			for b.Loop() {
				h.Read(At(addr&0x3fff), 4)
				addr += 64
			}
			report(b, "accesses/s", 1)
		})
	}
}

// Word after word: sixteen loads a line.
func BenchmarkReadL1HitWords(b *testing.B) {
	h := mustNew(b, cortexA8(true))
	b.ReportAllocs()
	addr := uint64(0)
	for b.Loop() {
		h.Read(At(addr&0x3fff), 4)
		addr += 4
	}
	report(b, "accesses/s", 1)
}

func BenchmarkWriteL1Hit(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			h := mustNew(b, kind.config)
			b.ReportAllocs()
			for i := range 1 << 9 {
				h.Read(At(uint64(i)<<6&0x3fff), 4)
			}
			addr := uint64(0)
			for b.Loop() {
				h.Write(At(addr&0x3fff), 4, Version(addr))
				addr += 64
			}
			report(b, "accesses/s", 1)
		})
	}
}

// Loads over 128 KiB, round and round: with LRU all miss L1, and all but the first round hit L2.
func BenchmarkReadL2Hit(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			h := mustNew(b, kind.config)
			b.ReportAllocs()
			addr := uint64(0)
			for b.Loop() {
				h.Read(At(addr&0x1ffff), 4)
				addr += 64
			}
			report(b, "accesses/s", 1)
		})
	}
}

// Loads of fresh lines: all come from memory.
func BenchmarkReadMemory(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			h := mustNew(b, kind.config)
			b.ReportAllocs()
			addr := uint64(0)
			for b.Loop() {
				h.Read(At(addr), 4)
				h.Filled(1)
				addr += 64
			}
			report(b, "accesses/s", 1)
		})
	}
}

// A load and a store of fresh lines: every line that leaves is dirty.
func BenchmarkReadWriteMemory(b *testing.B) {
	h := mustNew(b, cortexA8(true))
	b.ReportAllocs()
	addr := uint64(0)
	for b.Loop() {
		h.Read(At(addr), 4)
		h.Filled(1)
		h.Write(At(addr), 4, 2)
		addr += 64
	}
	report(b, "accesses/s", 2)
}

// Loads under the other colour in every round: the copy under the first is found and evicted.
func BenchmarkReadResolvesAnAlias(b *testing.B) {
	c := cortexA8(true)
	c.Levels[0].Size *= 2 // two colours
	c.Levels[0].Index, c.Levels[0].Aliases = VIPT, AliasesResolved
	h := mustNew(b, c)
	b.ReportAllocs()
	addr, colour := uint64(0), uint64(0)
	for b.Loop() {
		h.Read(Address{addr | colour, addr}, 4)
		if addr = (addr + 64) & 0xfff; addr == 0 {
			colour ^= 0x1000
		}
	}
	report(b, "accesses/s", 1)
}

// Maintenance over lines that are not there, as in a second invalidate of a frame.
func BenchmarkMaintainAbsent(b *testing.B) {
	h := mustNew(b, cortexA8(true))
	b.ReportAllocs()
	addr := uint64(0)
	for b.Loop() {
		h.Maintain(Invalidate, At(addr), PoC)
		addr += 64
	}
	report(b, "lines/s", 1)
}

// Cleaning lines that both levels hold clean.
func BenchmarkMaintainPresent(b *testing.B) {
	h := mustNew(b, withLRU(cortexA8(true)))
	b.ReportAllocs()
	for addr := uint64(0); addr < 16<<10; addr += 64 {
		h.Read(At(addr), 4)
	}
	addr := uint64(0)
	for b.Loop() {
		h.Maintain(Clean, At(addr&0x3fff), PoC)
		addr += 64
	}
	report(b, "lines/s", 1)
}

// A store that makes a line of L1 dirty and a clean that writes it out.
func BenchmarkMaintainDirty(b *testing.B) {
	h := mustNew(b, withLRU(cortexA8(true)))
	b.ReportAllocs()
	for addr := uint64(0); addr < 16<<10; addr += 64 {
		h.Read(At(addr), 4)
	}
	addr := uint64(0)
	for b.Loop() {
		h.Write(At(addr&0x3fff), 4, 1)
		h.Maintain(Clean, At(addr&0x3fff), PoC)
		addr += 64
	}
	report(b, "lines/s", 1)
}

// A clean and invalidate of every set and way of both levels, which are empty after the first.
func BenchmarkSetWayAll(b *testing.B) {
	h := mustNew(b, cortexA8(true))
	b.ReportAllocs()
	slots := 0
	for b.Loop() {
		slots = flushAll(h)
	}
	report(b, "lines/s", slots)
}

func flushAll(h *Hierarchy) (slots int) {
	for level := range h.Levels() {
		for set := range h.Sets(level) {
			for way := range h.Ways(level) {
				h.SetWay(CleanInvalidate, level, set, way)
				slots++
			}
		}
	}
	return slots
}

// A flush of one level as a whole that holds 1000 dirty lines, spread over it, or
// is full, every second line dirty. ns/op is one flush, without the filling;
// lines/s counts the slots, as software that visits each would.
func BenchmarkWholeFlush(b *testing.B) {
	for _, size := range []int{256 << 10, 64 << 20} {
		slots := size / 64
		for _, fill := range []struct {
			name  string
			lines int
			dirty int // one line in so many
		}{{"1000-dirty", 1000, 1}, {"full", slots, 2}} {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, fill.name), func(b *testing.B) {
				h := mustNew(b, Config{Levels: []LevelConfig{{Size: size, Ways: 8, Line: 64, Replacement: PLRU}}})
				b.ReportAllocs()
				stride := uint64(slots / fill.lines * 64)
				for b.Loop() {
					b.StopTimer()
					for i := range fill.lines {
						a := At(uint64(i) * stride)
						h.Read(a, 4)
						if i%fill.dirty == 0 {
							h.Write(a, 4, 1)
						}
					}
					b.StartTimer()
					want := Total{uint64(slots), uint64(fill.lines), uint64(fill.lines / fill.dirty)}
					if got := h.MaintainAll(CleanInvalidate, PoC); got != want {
						b.Fatalf("flushed %+v, want %+v", got, want)
					}
				}
				report(b, "lines/s", slots)
			})
		}
	}
}
