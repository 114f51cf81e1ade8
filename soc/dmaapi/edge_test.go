package dmaapi

import (
	"fmt"
	"slices"
	"testing"

	"socsim/cachemodel"
	"socsim/internal/conf"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// bytewise is what three lines of memory hold, byte by byte, and the copies of them that the caches hold: a naive model, after the text of the kernel's routines. A byte's value is the stamp of the
// write that made it.
type bytewise struct {
	line, part int // bytes of a line, and of what has a dirty bit of its own
	newest     []memory.Stamp
	mem        []memory.Stamp
	inner      []bytewiseLine
	outer      []bytewiseLine // nil where there is none
	lost       map[memory.ViolationKind][]int
}

// bytewiseLine is one copy of a line.
type bytewiseLine struct {
	valid bool
	data  []memory.Stamp
	dirty []bool // by part
}

func newBytewise(line, part int, outer bool) *bytewise {
	w := &bytewise{line: line, part: part, newest: make([]memory.Stamp, 3*line), mem: make([]memory.Stamp, 3*line), lost: map[memory.ViolationKind][]int{}}
	lines := func() []bytewiseLine {
		l := make([]bytewiseLine, 3)
		for i := range l {
			l[i] = bytewiseLine{data: make([]memory.Stamp, line), dirty: make([]bool, line/part)}
		}
		return l
	}
	w.inner = lines()
	if outer {
		w.outer = lines()
	}
	return w
}

// reset forgets everything.
func (w *bytewise) reset() {
	clear(w.newest)
	clear(w.mem)
	for i := range w.inner {
		w.inner[i].fill(w.mem[:w.line])
		w.inner[i].valid = false
	}
	for i := range w.outer {
		w.outer[i].fill(w.mem[:w.line])
		w.outer[i].valid = false
	}
	clear(w.lost)
}

func (l *bytewiseLine) fill(data []memory.Stamp) {
	copy(l.data, data)
	clear(l.dirty)
	l.valid = true
}

func (l *bytewiseLine) isDirty() bool { return slices.Contains(l.dirty, true) }

// load brings the lines in and checks what is read.
func (w *bytewise) load(from, to int) {
	for i := range 3 {
		if to <= i*w.line || from >= (i+1)*w.line {
			continue
		}
		if !w.inner[i].valid {
			below := w.mem[i*w.line : (i+1)*w.line]
			if w.outer != nil {
				if !w.outer[i].valid {
					w.outer[i].fill(below)
				}
				below = w.outer[i].data
			}
			w.inner[i].fill(below)
		}
		for b := max(from, i*w.line); b < min(to, (i+1)*w.line); b++ {
			if w.inner[i].data[b%w.line] != w.newest[b] {
				w.lost[memory.StaleCPURead] = append(w.lost[memory.StaleCPURead], b)
			}
		}
	}
}

// store changes bytes of copies that are there.
func (w *bytewise) store(from, to int, stamp func(b int) memory.Stamp) {
	for b := from; b < to; b++ {
		l := &w.inner[b/w.line]
		l.data[b%w.line] = stamp(b)
		l.dirty[b%w.line/w.part] = true
		w.newest[b] = stamp(b)
	}
}

func (w *bytewise) deviceWrite(from, to int, stamp func(b int) memory.Stamp) {
	for b := from; b < to; b++ {
		w.mem[b], w.newest[b] = stamp(b), stamp(b)
	}
}

func (w *bytewise) deviceRead(from, to int) {
	for b := from; b < to; b++ {
		if w.mem[b] != w.newest[b] {
			w.lost[memory.StaleDeviceRead] = append(w.lost[memory.StaleDeviceRead], b)
		}
	}
}

// clean writes the dirty parts of a copy to what is below it.
func (w *bytewise) clean(i int, l *bytewiseLine) {
	inner := l == &w.inner[i]
	if !l.valid || !l.isDirty() {
		return
	}
	if inner && w.outer != nil {
		o := &w.outer[i]
		o.valid = true
		for b := range l.data {
			if l.dirty[b/w.part] {
				o.data[b] = l.data[b]
				o.dirty[b/w.part] = true
			}
		}
		clear(l.dirty)
		return
	}
	for b := range l.data {
		at := i*w.line + b
		if !l.dirty[b/w.part] {
			continue
		}
		if w.mem[at] == w.newest[at] && l.data[b] != w.mem[at] {
			w.lost[memory.LostDeviceData] = append(w.lost[memory.LostDeviceData], at)
			w.newest[at] = l.data[b]
		}
		w.mem[at] = l.data[b]
	}
	clear(l.dirty)
}

// invalidate drops a copy with what is dirty in it.
func (w *bytewise) invalidate(i int, l *bytewiseLine) {
	if l.valid && l.isDirty() {
		for b := range l.data {
			at := i*w.line + b
			if l.data[b] == w.newest[at] && w.mem[at] != l.data[b] {
				w.lost[memory.LostCPUData] = append(w.lost[memory.LostCPUData], at)
				w.newest[at] = w.mem[at]
			}
		}
	}
	l.valid = false
	clear(l.dirty)
}

// maintain is one of dma_clean_range, dma_inv_range and dma_flush_range over the bytes: the second rounds out to lines and cleans those at its edges that it covers in part before it drops them.
func (w *bytewise) maintain(op Operation, lines []bytewiseLine, from, to int) {
	for i := range lines {
		if to <= i*w.line || from >= (i+1)*w.line || op == Nothing {
			continue
		}
		whole := from <= i*w.line && to >= (i+1)*w.line
		if op != Invalidate || !whole {
			w.clean(i, &lines[i])
		}
		if op != Clean {
			w.invalidate(i, &lines[i])
		}
	}
}

// edgeRun is one buffer at given offsets on the model and on the naive one.
type edgeRun struct {
	*testing.T
	th       *cpu.Thread
	r        *rig
	w        *bytewise
	region   *memory.Region
	m        *cpu.Mapping
	base     bus.Phys
	seen     map[memory.ViolationKind][]int
	from, to int
}

func (e *edgeRun) Violation(v memory.Violation) {
	at := int(int64(v.Addr) - int64(e.base))
	if at < 0 || at >= 3*e.w.line {
		return // of an earlier buffer, whose lines are pushed out
	}
	first, n := v.First, v.Bytes
	if n == 0 {
		first, n = 0, e.w.line
	}
	for b := range n {
		e.seen[v.Kind] = append(e.seen[v.Kind], at+first+b)
	}
}

func (e *edgeRun) newest(b int) memory.Stamp {
	s, _ := e.r.Memory.Byte(e.base + bus.Phys(b))
	return s
}

func (e *edgeRun) offset(b int) int { return int(int64(e.base)-int64(e.region.Addr(0))) + b }

func (e *edgeRun) load(from, to int) {
	if from < to {
		e.th.Access(e.m, e.offset(from), to-from, cpu.Touch{Width: 1})
		e.w.load(from, to)
	}
}

func (e *edgeRun) store(from, to int) {
	if from < to {
		e.load(from, to) // so that the copy is there, whatever the caches do about stores that miss
		e.th.Access(e.m, e.offset(from), to-from, cpu.Touch{Width: 1, Write: true})
		e.w.store(from, to, e.newest)
	}
}

// neighbours stores to the bytes beside the buffer.
func (e *edgeRun) neighbours() {
	e.store(0, e.from)
	e.store(e.to, 3*e.w.line)
}

func (e *edgeRun) device(dir Direction, read bool) {
	e.th.Cycles(1)
	e.th.Settle()
	at := e.base + bus.Phys(e.from)
	if read && dir != FromDevice {
		e.r.Memory.DeviceRead(at, e.to-e.from, 9, e.th.Now(), false)
		e.w.deviceRead(e.from, e.to)
	}
	if !read && dir != ToDevice {
		e.r.Memory.DeviceWrite(at, e.to-e.from, 9, e.th.Now())
		e.w.deviceWrite(e.from, e.to, e.newest)
	}
}

// hand does a call of the API, and to the naive model what the profile's table says.
func (e *edgeRun) hand(b *Buffer, ev Event, dir Direction) {
	e.r.api.Do(e.th, Call{Event: ev, Buffer: b, Device: "camera", Direction: dir})
	p := e.r.api.profile
	if ev == UnmapDevice {
		op := p.ForCPU[dir]
		e.w.maintain(op, e.w.outer, e.from, e.to)
		e.w.maintain(op, e.w.inner, e.from, e.to)
		return
	}
	e.w.maintain(p.ForDevice[dir], e.w.inner, e.from, e.to)
	e.w.maintain(p.ForDevice[dir], e.w.outer, e.from, e.to)
}

// compare checks every byte in memory and in the copies, and every violation.
func (e *edgeRun) compare(what string) {
	e.Helper()
	for b := range 3 * e.w.line {
		pa := e.base + bus.Phys(b)
		newest, inMemory := e.r.Memory.Byte(pa)
		if newest != e.w.newest[b] || inMemory != e.w.mem[b] {
			e.Fatalf("%s: byte %d: newest %x, in memory %x; want %x and %x", what, b, newest, inMemory, e.w.newest[b], e.w.mem[b])
		}
		level, dirty, v := e.r.Caches.Probe(cachemodel.Address{Virtual: 1<<40 | uint64(pa), Physical: uint64(pa)})
		l := &e.w.inner[b/e.w.line]
		if !l.valid && e.w.outer != nil {
			l = &e.w.outer[b/e.w.line]
		}
		if got := level < e.r.Caches.Levels(); got != l.valid {
			e.Fatalf("%s: byte %d: resident %t, want %t", what, b, got, l.valid)
		}
		if l.valid && e.r.Memory.ByteOf(pa, memory.Stamp(v)) != l.data[b%e.w.line] {
			e.Fatalf("%s: byte %d: the copy holds %x, want %x", what, b, e.r.Memory.ByteOf(pa, memory.Stamp(v)), l.data[b%e.w.line])
		}
		if l.valid && e.w.outer == nil && dirty != l.isDirty() {
			e.Fatalf("%s: byte %d: dirty %t, want %t", what, b, dirty, l.isDirty())
		}
	}
	for k := range memory.ViolationKinds {
		kind := memory.ViolationKind(k)
		slices.Sort(e.seen[kind])
		slices.Sort(e.w.lost[kind])
		if !slices.Equal(e.seen[kind], e.w.lost[kind]) {
			e.Fatalf("%s: %v of bytes %v, want %v", what, kind, e.seen[kind], e.w.lost[kind])
		}
	}
}

// A buffer that begins and ends at any byte of a line, with dirty bytes of others beside it, behaves as a model that knows of nothing but bytes.
func TestEdgeLinesAreExactToTheByte(t *testing.T) {
	for _, p := range ProfileNames() {
		var settings []conf.Override
		if p == "armv7-outer" {
			settings = append(settings, conf.Override{Path: "soc.l2.outer", Value: "true"})
		}
		t.Run(p, func(t *testing.T) { everyOffset(t, newRig(t, p, settings...)) })
	}
	for chip, p := range map[string]string{"omap2420": "armv6", "omap4430": "armv7-outer"} { // lines of 32 bytes
		// The model of bytes knows of no speculation, which may bring an edge line in before the device writes.
		settings := []conf.Override{{Path: "soc", Value: chip}, {Path: "soc.cpu.speculation", Value: "0cycles"}}
		t.Run(chip, func(t *testing.T) { everyOffset(t, newRig(t, p, settings...)) })
	}
}

// everyOffset tries all offsets and directions on a rig. During the transfer the neighbours are stored to before the device's write, after it, or not.
func everyOffset(t *testing.T, r *rig) {
	r.answer = func(q *Question) Answer {
		r.asked, r.handovers = r.asked[:0], r.handovers[:0]
		return Answer{Op: q.Default}
	}
	line := int(r.Config.L1D.Line)
	w := newBytewise(line, int(r.Config.L1D.SubBlock), r.Caches.Inner() < r.Caches.Levels())
	r.run(func(th *cpu.Thread) {
		for dir := range directions {
			region := r.contiguous(int64(line*line*3*line), 4096)
			m := r.Core.KernelMap(region)
			for start := range line {
				for end := range line {
					at := (start*line + end) * 3 * line
					w.reset()
					e := &edgeRun{
						T: t, th: th, r: r, w: w, region: region, m: m, base: region.Addr(at), seen: map[memory.ViolationKind][]int{}, from: start, to: 2*line + end + 1,
					}
					r.Memory.SetObserver(e)
					part, err := r.Memory.Part(region, "buffer", at+e.from, e.to-e.from)
					if err != nil {
						t.Fatal(err)
					}
					e.transfer(NewBuffer("buffer", 0, part, false), dir, (start+end)%3)
					e.compare(fmt.Sprintf("%v, bytes %d to %d", dir, e.from, e.to))
				}
			}
		}
	})
}

// transfer is one round trip of a buffer.
func (e *edgeRun) transfer(b *Buffer, dir Direction, during int) {
	e.load(0, 3*e.w.line)
	e.neighbours()
	e.store(e.from, e.to)
	e.hand(b, MapDevice, dir)
	e.device(dir, true)
	if during == 0 {
		e.neighbours()
	}
	e.device(dir, false)
	if during == 1 {
		e.neighbours()
	}
	e.hand(b, UnmapDevice, dir)
	e.load(0, 3*e.w.line)
}
