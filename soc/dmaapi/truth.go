package dmaapi

import (
	"slices"

	"socsim/cachemodel"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// Truth is what the caches and memory really hold, for the yardstick that does the least maintenance a run needs. Nothing it tells costs simulated time. A question costs the host O(lines held by
// the caches + lines of the runs).
type Truth struct{ core *cpu.Core }

// Dirty returns the lines of the runs that the CPU's side holds dirty: in a cache, or on their way to memory in a buffer. They are in ascending order, joined where they touch.
func (t Truth) Dirty(runs []memory.Run) []memory.Run {
	mem := t.core.Memory()
	lines := t.cached(runs, func(_ int, l cachemodel.Line) bool { return l.Dirty != 0 })
	size := bus.Phys(mem.LineBytes())
	for _, r := range runs {
		for pa := r.Addr &^ (size - 1); pa < r.Addr+bus.Phys(r.Bytes); pa += size {
			if !mem.Current(pa, mem.InMemory(pa)) {
				lines = append(lines, pa)
			}
		}
	}
	return joined(lines, size)
}

// Stale returns the lines of the runs of which the caches hold a copy that the CPU can hit and that is not the newest: one behind a newer copy, nearer the core, does not count. They are in ascending
// order, joined where they touch.
func (t Truth) Stale(runs []memory.Run) []memory.Run {
	mem := t.core.Memory()
	lines := t.cached(runs, func(level int, l cachemodel.Line) bool {
		v := l.Version
		if nearer, _, nv := t.core.Caches().Probe(cachemodel.At(l.Physical)); nearer < level {
			v = nv
		}
		return !mem.Current(bus.Phys(l.Physical), memory.Stamp(v))
	})
	return joined(lines, bus.Phys(mem.LineBytes()))
}

// cached returns the lines of the runs of which some copy in some level is wanted.
func (t Truth) cached(runs []memory.Run, want func(level int, l cachemodel.Line) bool) []bus.Phys {
	sorted := slices.Clone(runs)
	slices.SortFunc(sorted, func(a, b memory.Run) int { return int(int64(a.Addr) - int64(b.Addr)) })
	size := bus.Phys(t.core.Memory().LineBytes())
	caches := t.core.Caches()
	var lines []bus.Phys
	for level := range caches.Levels() {
		caches.Lines(level, func(l cachemodel.Line) {
			pa := bus.Phys(l.Physical)
			// The first run that ends beyond the start of the line.
			i, _ := slices.BinarySearchFunc(sorted, pa, func(r memory.Run, pa bus.Phys) int {
				if r.Addr+bus.Phys(r.Bytes) <= pa {
					return -1
				}
				return 1
			})
			if i < len(sorted) && sorted[i].Addr < pa+size && want(level, l) {
				lines = append(lines, pa)
			}
		})
	}
	return lines
}

// joined makes runs of lines.
func joined(lines []bus.Phys, size bus.Phys) []memory.Run {
	slices.Sort(lines)
	var runs []memory.Run
	for _, pa := range slices.Compact(lines) {
		if k := len(runs) - 1; k >= 0 && runs[k].Addr+bus.Phys(runs[k].Bytes) == pa {
			runs[k].Bytes += int(size)
		} else {
			runs = append(runs, memory.Run{Addr: pa, Bytes: int(size)})
		}
	}
	return runs
}
