package flush

import (
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/memory"
)

// device is the name under which the measurements hand their buffer over.
const device = "calibration"

// bench is what a driver has to measure with: a buffer from the DMA API, memory for a bystander's working set, the core's clock, and the sizes of the caches, which the core tells in CCSIDR and the outer
// cache's controller in its auxiliary control register. It does not look into the caches.
type bench struct {
	t      *cpu.Thread
	api    *dmaapi.API
	policy *calibrated

	buffer      *dmaapi.Buffer
	pixels, set *cpu.Mapping // of the buffer and the working set
	inner       int          // bytes of the largest inner cache
	largest     int          // and of the largest of all
}

// measure finds the thresholds of each direction. It is false where there is no memory for it. The time it takes is about 10 passes by range over twice the largest cache, and as many refills, for each
// direction and repetition.
func measure(t *cpu.Thread, api *dmaapi.API, c *calibrated) (Outcome, bool) {
	b := &bench{t: t, api: api, policy: c}
	b.sizes()
	set := c.workingSet
	if set == AutoSize {
		set = int64(b.largest / 4)
	}
	set = min(set, int64(4*b.largest))
	o := Outcome{HasOuter: api.HasOuter(), WorkingSet: set}
	if !b.allocate(int64(2*b.largest), set) {
		return o, false
	}
	whole := dmaapi.Answer{Extent: dmaapi.Whole}
	if o.HasOuter {
		whole.Outer = dmaapi.OuterByRange
	}
	for d := range o.Inner {
		o.Inner[d] = b.crossing(dmaapi.Direction(d), b.inner, whole)
		if o.HasOuter {
			o.Outer[d] = b.crossing(dmaapi.Direction(d), b.largest, dmaapi.Answer{Outer: dmaapi.OuterWhole})
		}
	}
	b.free()
	return o, true
}

// sizes reads the cache geometry.
func (b *bench) sizes() {
	caches := b.api.Core.Caches()
	for level := range caches.Levels() {
		bytes := caches.Sets(level) * caches.Ways(level) * caches.LineSize()
		b.largest = max(b.largest, bytes)
		if level < caches.Inner() {
			b.inner = max(b.inner, bytes)
		}
	}
}

// allocate gets the memory. The buffer is cleared and flushed, so that no line of a former owner's is taken for its own.
func (b *bench) allocate(buffer, set int64) bool {
	core := b.api.Core
	r, err := core.Memory().AllocScattered("calibration buffer", buffer)
	if err != nil {
		return false
	}
	b.buffer = dmaapi.NewBuffer(device, 0, r, false)
	b.pixels = core.KernelMap(r)
	if set > 0 {
		s, err := core.Memory().AllocScattered("calibration working set", set)
		if err != nil {
			core.Memory().Free(r)
			return false
		}
		b.set = core.KernelMap(s)
	}
	b.api.Clear(b.t, b.buffer, true)
	return true
}

// free gives the memory back, with nothing of it left in the caches.
func (b *bench) free() {
	b.policy.probe = dmaapi.Answer{Extent: dmaapi.Whole}
	b.handOver(dmaapi.ToDeviceHandover, dmaapi.Bidirectional, b.buffer.Bytes())
	memory := b.api.Core.Memory()
	memory.Free(b.buffer.Region)
	if b.set != nil {
		memory.Free(b.set.Region)
	}
}

// crossing measures one direction at four sizes, powers of two from a quarter of the cache to twice it, against an answer that treats a cache as a whole.
func (b *bench) crossing(d dmaapi.Direction, cache int, whole dmaapi.Answer) Crossing {
	var points []Point
	for bytes := cache / 4; bytes <= 2*cache; bytes *= 2 {
		points = append(points, Point{Bytes: bytes, Range: b.best(d, bytes, dmaapi.Answer{}), Whole: b.best(d, bytes, whole)})
	}
	return crossing(points)
}

// best is the fastest of the repetitions, by each score: what disturbs a measurement makes it longer. So do crypto/xor.c and lib/raid6/algos.c.
func (b *bench) best(d dmaapi.Direction, bytes int, probe dmaapi.Answer) Cost {
	best := Cost{sim.Never, sim.Never}
	for range b.policy.repetitions {
		c := b.cycle(d, bytes, probe)
		best.Operation, best.EndToEnd = min(best.Operation, c.Operation), min(best.EndToEnd, c.EndToEnd)
	}
	return best
}

// cycle hands the buffer to the device and back, as a driver does for each frame. After either the bystander runs, and finds its working set or not.
func (b *bench) cycle(d dmaapi.Direction, bytes int, probe dmaapi.Answer) (c Cost) {
	b.use(d, bytes)
	b.bystander()
	b.bystander()
	b.policy.probe = probe
	for _, e := range []dmaapi.Event{dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover} {
		start := b.t.Now()
		if !b.handOver(e, d, bytes) {
			continue // nothing is done, and nothing is refilled
		}
		c.Operation += b.t.Now() - start
		b.bystander()
		c.EndToEnd += b.t.Now() - start
	}
	return c
}

// handOver tells whether the profile does anything.
func (b *bench) handOver(e dmaapi.Event, d dmaapi.Direction, bytes int) bool {
	b.policy.acted = false
	b.api.Do(b.t, dmaapi.Call{Event: e, Buffer: b.buffer, Device: device, Direction: d, Length: bytes})
	return b.policy.acted
}

// use is the CPU's work on the buffer before it goes to the device: it has read it, and if it is for the device to read, written some of each page. Of a buffer larger than all caches, only the end can be
// in them.
func (b *bench) use(d dmaapi.Direction, bytes int) {
	written := b.policy.dirty * memory.PageBytes / 100
	if d == dmaapi.FromDevice {
		written = 0
	}
	for off := max(0, bytes-b.largest); off < bytes; off += memory.PageBytes {
		n := min(memory.PageBytes, bytes-off)
		b.t.Access(b.pixels, off, n, cpu.Touch{Width: 8})
		b.t.Access(b.pixels, off, min(n, written), cpu.Touch{Width: 8, Write: true})
	}
}

// bystander goes once over its working set, line by line in an order that no open row helps, waiting for each. It stores to the leading ones.
func (b *bench) bystander() {
	if b.set == nil {
		return
	}
	line := b.api.Core.Caches().LineSize()
	lines := (b.set.Bytes + line - 1) / line
	step := coprime(lines)
	for i, at := 0, 0; i < lines; i, at = i+1, (at+step)%lines {
		n := min(line, b.set.Bytes-at*line)
		b.t.Access(b.set, at*line, n, cpu.Touch{Width: line, Dependent: true})
		if 100*at < b.policy.dirty*lines {
			b.t.Access(b.set, at*line, n, cpu.Touch{Width: line, Write: true})
		}
	}
}

// coprime returns a step near the golden section of n that visits all of n places.
func coprime(n int) int {
	step := max(1, n*618/1000)
	for a, b := step, n; ; a, b = step, n {
		for b != 0 {
			a, b = b, a%b
		}
		if a == 1 {
			return step
		}
		step++
	}
}
