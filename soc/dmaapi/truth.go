package dmaapi

import (
	"cmp"
	"slices"

	"socsim/cachemodel"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// Truth is what the caches and memory really hold, for the yardstick that does the least maintenance a run needs. Nothing it tells costs simulated time. A question costs the host O(lines held by
// the caches + lines of the runs).
type Truth struct {
	core *cpu.Core
	api  *API
	view View
}

// A View tells the same of a model without a core: [Truth.DirtySpans] and [Truth.StaleSpans] of the hand-over that is being asked about.
type View interface {
	DirtySpans() []Span
	StaleSpans() []Span
}

// TruthOf is the truth as a view has it. Its Dirty and Stale must not be called.
func TruthOf(v View) Truth { return Truth{view: v} }

// DirtySpans returns what is dirty of the part of a buffer that the policy is being asked to hand over, as parts of the buffer.
func (t Truth) DirtySpans() []Span {
	if t.view != nil {
		return t.view.DirtySpans()
	}
	return t.spans(t.Dirty)
}

// StaleSpans returns what is stale of it.
func (t Truth) StaleSpans() []Span {
	if t.view != nil {
		return t.view.StaleSpans()
	}
	return t.spans(t.Stale)
}

// spans translates lines of what is handed over into parts of the buffer. Of a line that another owner shares only the buffer's bytes count.
func (t Truth) spans(lines func([]memory.Run) []memory.Run) []Span {
	call := &t.api.asked
	if call.Buffer == nil {
		return nil
	}
	runs := call.runs()
	type piece struct {
		memory.Run
		off int // in the buffer
	}
	var pieces []piece
	off := call.Offset
	for _, r := range runs {
		pieces = append(pieces, piece{r, off})
		off += r.Bytes
	}
	slices.SortFunc(pieces, func(a, b piece) int { return cmp.Compare(a.Addr, b.Addr) })
	var spans []Span
	i := 0 // the lines are in ascending order, too
	for _, l := range lines(runs) {
		for ; i < len(pieces) && pieces[i].Addr+bus.Phys(pieces[i].Bytes) <= l.Addr; i++ {
		}
		for _, p := range pieces[i:] {
			from, to := max(l.Addr, p.Addr), min(l.Addr+bus.Phys(l.Bytes), p.Addr+bus.Phys(p.Bytes))
			if from >= to {
				break
			}
			spans = append(spans, Span{Offset: p.off + int(from-p.Addr), Bytes: int(to - from)})
		}
	}
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.Offset, b.Offset) })
	joined := spans[:0]
	for _, s := range spans {
		if n := len(joined) - 1; n >= 0 && joined[n].Offset+joined[n].Bytes == s.Offset {
			joined[n].Bytes += s.Bytes
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}

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
