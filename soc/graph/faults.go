package graph

import (
	"fmt"
	"math/rand/v2"

	"socsim/iommu"
	"socsim/isp"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/dmabuf"
	"socsim/soc/memory"
)

// Injected is a fault that was injected, and what came of it.
type Injected struct {
	Kind   FaultKind
	Target string // stage, or the core's for memory-pressure
	At     sim.Time
	Effect string
	// Address is what the fault hit, or "".
	Address string
	// Frame is the sensor's frame that it hit, or -1.
	Frame int
	// Waited is how long it took until somebody noticed, or how long it lasted.
	Waited sim.Time
	// Hit tells that it changed something.
	Hit bool
	// settled tells that nothing more comes of it.
	settled bool
}

// FaultStats counts the faults since the last reset. NoEffect is those that have changed nothing so far.
type FaultStats struct {
	Injected, NoEffect uint64
	ByKind             map[FaultKind]uint64
	// FramesErrored is the buffers that a camera's driver gave back with an error because lines were missing.
	FramesErrored uint64
}

// maxInjected bounds the faults that are kept; all are counted.
const maxInjected = 1000

// injector injects the faults of a scenario, by events.
type injector struct {
	g       *Graph
	h       sim.HandlerID
	faults  []*injecting
	log     []*Injected
	counted map[FaultKind]uint64
	hits    uint64 // of those injected since the last reset, which was at since
	since   sim.Time
	errored uint64
	poison  []poisoned
	dropped []droppedInterrupt
}

// injecting is one of the scenario's faults at run time.
type injecting struct {
	cfg  Injection
	st   *stage // nil for none
	rng  *rand.Rand
	done int
	next sim.Time
}

// poisoned is a page whose translation was taken, and not asked for since.
type poisoned struct {
	st   *stage
	page bus.IOVA
	size int
	o    *Injected
}

// startFaults schedules the first of each fault.
func (g *Graph) startFaults() {
	if len(g.cfg.Faults) == 0 {
		return
	}
	j := &injector{g: g, counted: map[FaultKind]uint64{}}
	g.injector = j
	j.h = g.sys.Engine.Register(j)
	for i, cfg := range g.cfg.Faults {
		x := &injecting{cfg: cfg, st: g.stageNamed(cfg.Target), rng: sim.Stream(g.cfg.Seed, fmt.Sprintf("faults.%d", i)), next: cfg.first()}
		if cfg.Rate > 0 {
			x.next += x.gap()
		}
		j.faults = append(j.faults, x)
		g.sys.Engine.Schedule(x.next, j.h, uint64(i))
	}
}

func (g *Graph) stageNamed(name string) *stage {
	for _, st := range g.stages {
		if st.cfg.Name == name {
			return st
		}
	}
	return nil
}

// gap returns the time to the next of a rate: evenly distributed around its mean, so that integers suffice.
func (x *injecting) gap() sim.Time {
	mean := int64(sim.Second) / int64(x.cfg.Rate)
	return sim.Time(1 + x.rng.Int64N(2*mean-1))
}

// recheck marks an event as a watchdog's.
const recheck = 1 << 32

// Handle injects a fault and schedules the next of its kind, or lets a driver look for an interrupt that it missed.
func (j *injector) Handle(now sim.Time, arg uint64) {
	x := j.faults[arg&(recheck-1)]
	if arg&recheck != 0 {
		x.st.irqThread().Recheck()
		return
	}
	x.done++
	j.counted[x.cfg.Kind]++
	o := &Injected{Kind: x.cfg.Kind, Target: x.cfg.Target, At: now, Frame: -1}
	if len(j.log) < maxInjected {
		j.log = append(j.log, o)
	}
	if j.g.ready {
		j.inject(x, o, arg)
	} else {
		j.miss(o, "the application was still setting up")
	}
	if !x.cfg.repeats() || x.done == x.cfg.Count {
		return
	}
	if x.next += x.cfg.Every; x.cfg.Rate > 0 {
		x.next += x.gap()
	}
	j.g.sys.Engine.Schedule(x.next, j.h, arg)
}

// miss notes that a fault hit nothing.
func (j *injector) miss(o *Injected, why string) {
	o.Effect, o.settled = "no effect: "+why, true
}

// settle notes what came of a fault, of which nothing more will.
func (j *injector) settle(o *Injected, effect string) {
	j.hit(o)
	o.Effect, o.settled = effect, true
}

// hit notes that a fault changed something.
func (j *injector) hit(o *Injected) {
	if !o.Hit && o.At >= j.since {
		j.hits++
	}
	o.Hit = true
}

func (j *injector) inject(x *injecting, o *Injected, arg uint64) {
	switch x.cfg.Kind {
	case IOMMUFault:
		j.poisonPage(x, o)
	case SensorGlitch:
		j.glitch(x, o)
	case DroppedInterrupt:
		j.drop(x, o, arg)
	case LateConsumer:
		o.Effect = "no effect: it has taken no frame since"
		x.st.late = append(x.st.late, lateness{o, x.cfg.For})
	case MemoryPressure:
		j.g.sys.Core.SpawnWorker("memory pressure", func(t *cpu.Thread) { j.pressure(t, x.cfg, o) })
	}
}

// poisonPage takes the translation of one page of the stage's buffers that is mapped now, from a place that chance decides on.
func (j *injector) poisonPage(x *injecting, o *Injected) {
	if x.st.mmu().Halted() {
		j.miss(o, "the device has stopped at an earlier fault")
		return
	}
	buffers := x.st.attachments()
	pages := 0
	for _, at := range buffers {
		pages += pagesOf(at.Buffer)
	}
	first := x.rng.IntN(pages)
	for i := range pages {
		at, va := pageOf(buffers, (first+i)%pages)
		if !x.st.domain.Translates(va) {
			continue
		}
		page, size, ok := x.st.domain.Poison(va)
		if !ok {
			j.miss(o, "the driver was changing the tables")
			return
		}
		o.Address = page.String()
		o.Effect = fmt.Sprintf("translation of a page of %s removed, not used since", at.Buffer.Region.Name)
		j.poison = append(j.poison, poisoned{x.st, page, size, o})
		return
	}
	j.miss(o, "no page was mapped")
}

// attachments returns those of the stage's buffers: what it fills before what it reads.
func (st *stage) attachments() []*dmabuf.Attachment {
	var out []*dmabuf.Attachment
	add := func(s *set, by map[int]*dmabuf.Attachment) {
		for i := 0; s != nil && i < len(s.buffers); i++ {
			if at := by[i]; at != nil {
				out = append(out, at)
			}
		}
	}
	add(st.out, st.to)
	add(st.in, st.from)
	for _, c := range st.captures {
		if c.set == st.raw {
			add(c.set, c.to)
		}
	}
	return out
}

func pagesOf(b *dmabuf.Buffer) int {
	return int((b.Region.Bytes + memory.PageBytes - 1) / memory.PageBytes)
}

// pageOf returns the n-th page of several attachments.
func pageOf(buffers []*dmabuf.Attachment, n int) (*dmabuf.Attachment, bus.IOVA) {
	for _, at := range buffers {
		if k := pagesOf(at.Buffer); n >= k {
			n -= k
			continue
		}
		return at, iova(at) + bus.IOVA(n*memory.PageBytes)
	}
	panic("graph: no such page")
}

// faultTaken notes that a device has come to a page that was poisoned.
func (g *Graph) faultTaken(st *stage, f iommu.FaultRecord, handled bool) {
	if g.injector == nil {
		return
	}
	list := g.injector.poison
	for i, p := range list {
		if p.st.domain != st.domain || f.VA < p.page || f.VA >= p.page+bus.IOVA(p.size) {
			continue
		}
		p.o.Waited = max(0, f.Time-p.o.At)
		if handled {
			g.injector.settle(p.o, "translation removed: fault taken, page mapped again by the driver")
		} else {
			g.injector.settle(p.o, "translation removed: fault taken, not handled, the device stopped")
		}
		g.injector.poison = append(list[:i], list[i+1:]...)
		return
	}
}

// glitch has the sensor's next frame go wrong.
func (j *injector) glitch(x *injecting, o *Injected) {
	o.Effect = "no effect: no frame began since"
	c := x.cfg
	done := func(effect string) func(int, sim.Time) {
		return func(seq int, at sim.Time) {
			o.Frame, o.Waited = seq, at-o.At
			j.settle(o, effect)
		}
	}
	var g isp.Glitch
	switch c.Glitch {
	case CutShort:
		g = isp.Glitch{Missing: c.Lines, Early: true, OnFrame: done(fmt.Sprintf("cut short by %d lines", c.Lines))}
	case MissingLines:
		g = isp.Glitch{Missing: c.Lines, OnFrame: done(fmt.Sprintf("%d lines missing", c.Lines))}
	default:
		g = isp.Glitch{Blanking: c.Lines, OnFrame: done(fmt.Sprintf("%d more lines of blanking after it", c.Lines))}
	}
	x.st.camera.Glitch(g)
}

// errored notes that a buffer goes back with an error; where a number of frames is wanted, another takes its place.
func (c *capture) errored() {
	if c.left >= 0 {
		c.left++
	}
	if j := c.st.g.injector; j != nil {
		j.errored++
	}
}

// irqThread returns the interrupt handler of the stage's device.
func (st *stage) irqThread() *cpu.Thread {
	switch {
	case st.camera != nil:
		return st.irq
	case st.m2m != nil:
		return st.m2m.IRQ()
	case st.flipper != nil:
		return st.flipper.IRQ()
	case st.graphics != nil:
		return st.unit().renderer.IRQ()
	}
	return st.unit().copier.IRQ()
}

// looksByItself tells whether the stage's driver has a watchdog. A camera's and a display's interrupts come with every frame, and the next one finds what the last has left.
func (st *stage) looksByItself() bool { return st.camera == nil && st.flipper == nil }

// drop has the next interrupt of the stage's device lost.
func (j *injector) drop(x *injecting, o *Injected, arg uint64) {
	l := &cpu.LostInterrupt{}
	j.dropped = append(j.dropped, droppedInterrupt{l, o})
	l.OnLost = func() {
		if x.st.looksByItself() {
			j.g.sys.Engine.Schedule(l.At+x.cfg.watchdog(), j.h, arg|recheck)
		}
	}
	x.st.irqThread().Lose(l)
}

// droppedInterrupt is one that may not have been found yet.
type droppedInterrupt struct {
	lost *cpu.LostInterrupt
	o    *Injected
}

// look brings what is known of dropped interrupts up to date.
func (j *injector) look() {
	open := j.dropped[:0]
	for _, d := range j.dropped {
		switch {
		case d.lost.At == sim.Never:
			d.o.Effect = "no effect: no interrupt since"
		case d.lost.Found == sim.Never:
			j.hit(d.o)
			d.o.Effect = "interrupt lost, not found yet"
		case d.lost.Rechecked:
			d.o.Waited = d.lost.Found - d.lost.At
			j.settle(d.o, "interrupt lost, found by the driver's watchdog")
		default:
			d.o.Waited = d.lost.Found - d.lost.At
			j.settle(d.o, "interrupt lost, found at the next one")
		}
		if !d.o.settled {
			open = append(open, d)
		}
	}
	j.dropped = open
}

// lateness is how much longer a stage is to hold the next frame that it takes.
type lateness struct {
	o    *Injected
	more sim.Time
}

// delay holds a frame that the stage has just taken, if it is to be late.
func (st *stage) delay(t *cpu.Thread, f *frame) {
	if len(st.late) == 0 {
		return
	}
	l := st.late[0]
	st.late = st.late[1:]
	l.o.Waited = l.more
	st.g.injector.settle(l.o, "held "+f.set.buffers[f.index].Region.Name+" longer")
	t.SleepUntil(t.Now() + l.more)
}

// pressure takes memory and clears it page by page, again and again, as somebody does whose every page the kernel has to find and clear first. Each page costs a minor fault besides.
func (j *injector) pressure(t *cpu.Thread, cfg Injection, o *Injected) {
	mem, core := j.g.sys.Memory, j.g.sys.Core
	region, err := mem.AllocScattered("memory pressure", int64(cfg.Memory))
	if err != nil {
		t.Settle()
		j.miss(o, "there was not so much memory")
		return
	}
	m, err := core.Map("memory pressure", region, cpu.Cached)
	if err != nil {
		j.g.fail(fmt.Errorf("memory pressure: %w", err))
		return
	}
	m.Private = true
	pages, until := 0, o.At+cfg.For
	for t.Now() < until {
		at := pages * memory.PageBytes % (m.Bytes &^ (memory.PageBytes - 1))
		t.PageFaults(1)
		t.Access(m, at, memory.PageBytes, cpu.Touch{Write: true, Width: 4})
		pages++
	}
	t.Settle()
	core.Unmap(m)
	mem.Free(region)
	o.Waited = t.Now() - o.At
	j.settle(o, fmt.Sprintf("%d pages cleared", pages))
}

// Injected returns the faults injected since the last reset, and those before of which something may still come.
func (g *Graph) Injected() []Injected {
	if g.injector == nil {
		return nil
	}
	g.injector.look()
	var out []Injected
	for _, o := range g.injector.log {
		out = append(out, *o)
	}
	return out
}

// FaultStats returns the counters; ok is false if no faults are to be injected.
func (g *Graph) FaultStats() (s FaultStats, ok bool) {
	j := g.injector
	if j == nil {
		return FaultStats{}, false
	}
	j.look()
	s = FaultStats{ByKind: map[FaultKind]uint64{}, FramesErrored: j.errored}
	for _, x := range j.faults {
		s.ByKind[x.cfg.Kind] = j.counted[x.cfg.Kind]
	}
	for _, n := range s.ByKind {
		s.Injected += n
	}
	s.NoEffect = s.Injected - j.hits
	return s, true
}

// resetFaults starts the counters anew.
func (g *Graph) resetFaults() {
	j := g.injector
	if j == nil {
		return
	}
	j.look()
	clear(j.counted)
	j.hits, j.errored, j.since = 0, 0, g.sys.Engine.Now()
	kept := j.log[:0]
	for _, o := range j.log {
		if !o.settled {
			kept = append(kept, o)
		}
	}
	j.log = kept
}
