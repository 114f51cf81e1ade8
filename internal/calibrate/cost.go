package calibrate

import (
	"context"
	"fmt"

	"socsim/cachemodel"
	"socsim/internal/result"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/memory"
)

// Cost is one row of the cost table, a time in nanoseconds.
type Cost struct {
	Name string // of the metric, under calibrate.cost
	Doc  string
	Time result.Number
}

// sample is a measured time at some count of lines, pages or calls.
type sample struct {
	n int64
	t sim.Time
}

// line is the least-squares line through samples, in integers: slope = num / den picoseconds a count, exactly.
type line struct{ num, den, sumN, sumT, samples int64 }

func fit(samples []sample) line {
	var n, sx, sy, sxx, sxy int64
	for _, s := range samples {
		n, sx, sy, sxx, sxy = n+1, sx+s.n, sy+int64(s.t), sxx+s.n*s.n, sxy+s.n*int64(s.t)
	}
	return line{n*sxy - sx*sy, n*sxx - sx*sx, sx, sy, n}
}

// slope is in picoseconds, rounded; at is the line's value at n = 0, its intercept.
func (l line) slope() sim.Time { return sim.Time(rounded(l.num, l.den)) }

func (l line) intercept() sim.Time {
	// (sumT - slope x sumN) / samples; the slope is taken whole and rest apart, to stay within 64 bits.
	whole, rest := l.num/l.den, l.num%l.den
	return sim.Time(rounded(l.sumT-whole*l.sumN-rest*l.sumN/l.den, l.samples))
}

func rounded(num, den int64) int64 {
	if num < 0 {
		return -rounded(-num, den)
	}
	return (num + den/2) / den
}

// rig is the program that measures costs.
type rig struct {
	t     *cpu.Thread
	core  *cpu.Core
	lines int // bytes of a line
	costs []Cost
}

func (r *rig) add(name string, t sim.Time, doc string) {
	r.costs = append(r.costs, Cost{name, doc, result.Ratio(max(0, int64(t)), int64(sim.Nanosecond), 1)})
}

// Costs measures the cost table.
func (c *Chip) Costs(ctx context.Context) ([]Cost, error) {
	var costs []Cost
	byRange, err := flush.ByName("range")
	if err != nil {
		return nil, err
	}
	err = c.run(ctx, byRange.New(), func(t *cpu.Thread, api *dmaapi.API) error {
		r := &rig{t: t, core: api.Core, lines: api.Core.Caches().LineSize()}
		err := r.measure()
		costs = r.costs
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("measuring the costs on %s: %w", c.Name, err)
	}
	return costs, nil
}

// area is contiguous memory, so that a range is one call.
type area struct {
	*cpu.Mapping
	run memory.Run
}

func (r *rig) area(bytes int) (area, error) {
	m, err := r.core.Memory().AllocContiguous("calibration", int64(bytes), memory.PageBytes)
	if err != nil {
		return area{}, err
	}
	return area{r.core.KernelMap(m), m.Runs()[0]}, nil
}

// time is how long f takes.
func (r *rig) time(f func()) sim.Time {
	start := r.t.Now()
	f()
	return r.t.Now() - start
}

// maintain times an operation on the leading bytes.
func (r *rig) maintain(a area, op cachemodel.Op, reach cpu.Reach, bytes int) sim.Time {
	run := a.run
	run.Bytes = bytes
	return r.time(func() {
		r.t.MaintainRange(cpu.Pass{Op: op, Edge: cpu.EdgeFlush, Reach: reach}, []memory.Run{run})
	})
}

// empty leaves nothing in the caches.
func (r *rig) empty() {
	r.t.MaintainAll(nil)
	r.t.MaintainAllOuter(nil)
}

// load brings the leading bytes in, and dirty stores to them.
func (r *rig) load(a area, bytes int, dirty bool) {
	r.t.Access(a.Mapping, 0, bytes, cpu.Touch{Width: 8})
	if dirty {
		r.t.Access(a.Mapping, 0, bytes, cpu.Touch{Width: 8, Write: true})
		r.t.Barrier()
	}
}

func (r *rig) measure() error {
	caches := r.core.Caches()
	size := func(level int) int { return caches.Sets(level) * caches.Ways(level) * r.lines }
	largest, slots := 0, 0
	for level := range caches.Levels() {
		largest = max(largest, size(level))
		if level < caches.Inner() {
			slots += caches.Sets(level) * caches.Ways(level)
		}
	}
	a, err := r.area(max(largest, 16*memory.PageBytes))
	if err != nil {
		return err
	}
	defer r.core.Memory().Free(a.Region)
	r.empty()
	barrier := r.barrier()
	call := r.byRange(a, barrier)
	r.perDirtyLine(a, size(0)/4)
	r.whole(a, largest, slots, call+2*barrier)
	if caches.Inner() < caches.Levels() {
		r.outer(a, caches.Inner(), barrier)
	}
	r.refill(a, size(0)/2)
	r.empty()
	return nil
}

// barrier times the barrier instruction with nothing to wait for.
func (r *rig) barrier() sim.Time {
	var samples []sample
	for n := range int64(9) {
		samples = append(samples, sample{n, r.time(func() {
			for range n {
				r.t.Barrier()
			}
		})})
	}
	b := fit(samples).slope()
	r.add("barrier", b, "a barrier with nothing to wait for")
	return b
}

// byRange fits lines within a page, then whole pages: what a page costs beyond its lines is the page's.
func (r *rig) byRange(a area, barrier sim.Time) (call sim.Time) {
	var within, across []sample
	for n := int64(1); n <= int64(memory.PageBytes/r.lines); n *= 2 {
		within = append(within, sample{n, r.maintain(a, cachemodel.Invalidate, cpu.InnerOnly, int(n)*r.lines)})
	}
	for pages := int64(1); pages <= 8; pages++ {
		across = append(across, sample{pages, r.maintain(a, cachemodel.Invalidate, cpu.InnerOnly, int(pages)*memory.PageBytes)})
	}
	lines, pages := fit(within), fit(across)
	perLine := lines.slope()
	page := max(0, pages.slope()-sim.Time(memory.PageBytes/r.lines)*perLine)
	call = lines.intercept() - page - barrier
	r.add("call", call, "a call by range, without its barrier")
	r.add("page", page, "a page by range, beyond its lines")
	r.add("line", perLine, "a line by range, absent")
	return call
}

// perDirtyLine fits cleans of dirty lines, and of lines that are there and clean.
func (r *rig) perDirtyLine(a area, most int) {
	var clean, dirty []sample
	for n := most / 8; n <= most; n += most / 8 {
		count := int64(n / r.lines)
		r.load(a, n, false)
		clean = append(clean, sample{count, r.maintain(a, cachemodel.Clean, cpu.InnerAndOuter, n)})
		r.load(a, n, true)
		dirty = append(dirty, sample{count, r.maintain(a, cachemodel.Clean, cpu.InnerAndOuter, n)})
		r.empty()
	}
	r.add("line_resident", fit(clean).slope(), "a line by range in all caches, there and clean, its share of the page included")
	r.add("line_dirty", fit(dirty).slope(), "a line by range in all caches, dirty: with its write-back")
}

// whole times the loops over the inner caches, empty, and full of clean and of dirty lines.
func (r *rig) whole(a area, bytes, slots int, around sim.Time) {
	flush := func() sim.Time { return r.time(func() { r.t.MaintainAll(nil) }) }
	r.empty()
	empty := flush()
	r.add("set_way", sim.Time(rounded(int64(empty-around), int64(slots))), "a set and way of the inner caches, empty")
	r.fill(a, bytes, false)
	r.add("whole_clean", flush(), "the whole of the inner caches, full and clean")
	r.empty()
	r.fill(a, bytes, true)
	r.add("whole_dirty", flush(), "the whole of the inner caches, full and dirty")
	r.empty()
}

// fill goes round until nearly every way holds a line, whatever the replacement.
func (r *rig) fill(a area, bytes int, dirty bool) {
	for range 8 {
		for off := 0; off < bytes; off += r.lines {
			r.t.Access(a.Mapping, off, r.lines, cpu.Touch{Width: r.lines})
			if dirty {
				r.t.Access(a.Mapping, off, r.lines, cpu.Touch{Width: r.lines, Write: true})
			}
		}
	}
	r.t.Barrier()
}

// outer times the outer cache by range and as a whole.
func (r *rig) outer(a area, level int, barrier sim.Time) {
	var samples []sample
	for n := 16 * r.lines; n <= 8*memory.PageBytes; n *= 2 {
		samples = append(samples, sample{int64(n / r.lines), r.maintain(a, cachemodel.Invalidate, cpu.OuterOnly, n)})
	}
	l := fit(samples)
	r.add("outer_line", l.slope(), "a line of the outer cache by range")
	r.add("outer_call", l.intercept(), "a call by range on the outer cache")
	bytes := r.core.Caches().Sets(level) * r.core.Caches().Ways(level) * r.lines
	flush := func() sim.Time { return r.time(func() { r.t.MaintainAllOuter(nil) }) }
	r.empty()
	slots := int64(bytes / r.lines)
	r.add("outer_way", sim.Time(rounded(int64(flush()-barrier-l.intercept()), slots)), "a line slot of the outer cache as a whole, empty")
	r.fill(a, bytes, false)
	r.t.MaintainAll(nil)
	r.add("outer_whole_clean", flush(), "the whole of the outer cache, full and clean")
	r.fill(a, bytes, true)
	r.t.MaintainAll(nil)
	r.add("outer_whole_dirty", flush(), "the whole of the outer cache, full and dirty")
}

// refill fits loads of lines that are gone against loads of lines that are there.
func (r *rig) refill(a area, most int) {
	var cold, warm []sample
	load := func(n int) sample {
		return sample{int64(n / r.lines), r.time(func() {
			r.t.Access(a.Mapping, 0, n, cpu.Touch{Width: r.lines, Dependent: true})
		})}
	}
	for n := most / 8; n <= most; n += most / 8 {
		r.empty()
		cold = append(cold, load(n))
		warm = append(warm, load(n))
	}
	r.add("refill", fit(cold).slope()-fit(warm).slope(), "a line that has to be fetched again, beyond a hit: the bill that a whole flush leaves")
}
