package graph

import (
	"fmt"

	"socsim/sim"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/dmaengine"
)

// accessWidth is the size of a script's loads and stores by CPU.
const accessWidth = 4

// Register accesses of the driver of a script's device: address, length, direction and start; then, in its interrupt, the status is read and cleared. They stand for a simple device's.
const (
	startWrites = 4
	irqReads    = 1
	irqWrites   = 1
)

// script is a list of steps that one driver thread carries out in order. A step that is wrong is carried out as far as the kernel would and the next one follows.
//
// A device of the script is a [soc.Requester] without an MMU: what its driver unmaps or frees it still reaches, as on the chip, and what was written there since is lost. Its driver starts it behind a
// barrier, as writel does, and waits for its interrupt. Left out: fences of a script's accesses, signals, devices behind an IOMMU, accesses that overlap with later steps.
type script struct {
	g       *Graph
	steps   []Step
	devices map[string]*actor
	order   []*actor // in which they are first attached
	held    map[place]*holding
	done    int
	failed  []Failure
	over    bool
}

// Failure is an error that a step got back, beyond those that are reported as misuse.
type Failure struct {
	Device string
	At     sim.Time
	Err    error
}

// actor is a device of the script with its driver.
type actor struct {
	*soc.Requester
	importer *dmaengine.Importer
	done     cpu.WaitQueue
}

// place is a buffer of a set.
type place struct {
	set   string
	index int
}

// holding is what the script has of a buffer.
type holding struct {
	b        *dmabuf.Buffer
	links    map[string]*link   // newest, by device
	attached int                // attachments that were not detached
	user     *dmabuf.CPUMapping // newest
}

// link is an attachment.
type link struct {
	*dmabuf.Attachment
	gone    bool // detached
	reached bool // it was mapped once: the driver knows the buffer's addresses
}

// newScript adds the script's devices to the system.
func (g *Graph) newScript() *script {
	s := &script{g: g, steps: g.cfg.Script, devices: map[string]*actor{}, held: map[place]*holding{}}
	for _, x := range s.steps {
		if x.Do == Attach && s.devices[x.Device] == nil {
			a := &actor{Requester: g.sys.AddRequester(x.Device), importer: &dmaengine.Importer{Name: x.Device}}
			s.devices[x.Device], s.order = a, append(s.order, a)
		}
	}
	return s
}

// owner is the device whose queue exports a buffer that no stage fills: the one that attaches first.
func (s *script) owner(set string) string {
	for _, x := range s.steps {
		if x.Do == Attach && x.Buffer == set {
			return x.Device
		}
	}
	return ""
}

// open installs the interrupt handlers of the devices.
func (s *script) open() {
	for _, a := range s.order {
		irq := s.g.sys.Core.SpawnIRQ(a.Name+" irq", func(t *cpu.Thread) {
			t.MMIO(irqReads, irqWrites)
			t.Settle()
			a.done.WakeAll()
		})
		a.OnDone = irq.Raise
	}
}

// run is the driver thread.
func (s *script) run(t *cpu.Thread) {
	t.SleepUntil(s.g.cfg.ScriptFrom)
	for i := range s.steps {
		x := &s.steps[i]
		before := s.misuses()
		if err := s.step(t, x); err != nil && s.misuses() == before {
			s.failed = append(s.failed, Failure{x.Device, t.Now(), fmt.Errorf("step %d, %s: %w", i+1, x.Do, err)})
		}
		s.done++
	}
	t.Settle()
	s.over = true
	if len(s.g.stages) == 0 {
		s.exit(t)
		t.Settle()
		s.g.sys.Engine.Stop()
	}
}

// misuses counts what has been reported.
func (s *script) misuses() uint64 {
	var n uint64
	for k := dmabuf.UseAfterFree; k <= dmabuf.LeakedFence; k++ {
		n += s.g.alloc.Misuses(k)
	}
	return n
}

// exit ends the application: the process's mappings go, and its file descriptor puts a reference to each buffer, where that is not the last of one to which a device is attached: there an importer
// holds it. What is left then is a leak.
func (s *script) exit(t *cpu.Thread) {
	for _, set := range s.g.sets {
		for i, b := range set.buffers {
			b.UnmapUser(t)
			h := s.held[place{set.cfg.Name, i}]
			if !b.Dead() && (b.Refs() > 1 || h == nil || h.attached == 0) {
				_ = b.Put(t) // there is one
			}
		}
	}
	s.g.alloc.CheckExit(t.Now())
}

// step carries out one step.
func (s *script) step(t *cpu.Thread, x *Step) error {
	if x.Do == Wait {
		t.SleepUntil(t.Now() + x.Time)
		return nil
	}
	h := s.holding(x)
	switch x.Do {
	case GetBuffer:
		_, err := h.b.Get()
		return err
	case PutBuffer:
		return h.b.Put(t)
	case BeginAccess:
		return h.b.BeginCPUAccess(t, x.Access.direction())
	case EndAccess:
		return h.b.EndCPUAccess(t, x.Access.direction())
	case MmapBuffer, MunmapBuffer, CPURead, CPUWrite:
		return h.byCPU(t, x)
	case Evict, EvictOuter, Speculate:
		h.byCaches(t, x)
		return nil
	case Attach:
		h.links[x.Device] = &link{Attachment: h.b.Attach(s.devices[x.Device].importer, dmaapi.Bidirectional)} // the kernel's attach has no direction
		if !h.b.Dead() {
			h.attached++
		}
		return nil
	}
	return s.forDevice(t, x, h, h.links[x.Device])
}

// holding finds what the script has of the step's buffer.
func (s *script) holding(x *Step) *holding {
	p := place{x.Buffer, x.Index}
	h := s.held[p]
	if h == nil {
		h = &holding{b: s.g.byName[x.Buffer].buffers[x.Index], links: map[string]*link{}}
		s.held[p] = h
	}
	return h
}

// part is what an access is about.
func (x *Step) part(b *dmabuf.Buffer) (off, n int) {
	off, n = int(x.Offset), int(x.Bytes)
	if n == 0 {
		n = b.Bytes() - off
	}
	return off, n
}

// byCPU is a step of the CPU. The first access maps the buffer if nothing has.
func (h *holding) byCPU(t *cpu.Thread, x *Step) error {
	if x.Do == MunmapBuffer {
		if h.user == nil { // what should have mapped the buffer failed; munmap of nothing is no error
			return nil
		}
		return h.user.Munmap(t)
	}
	if x.Do == MmapBuffer || h.user == nil {
		m, err := h.b.Mmap(t)
		if err != nil {
			return err
		}
		if h.user = m; x.Do == MmapBuffer {
			return nil
		}
	}
	who := x.Device
	if who == "" {
		who = "script"
	}
	off, n := x.part(h.b)
	return h.user.Access(t, who, off, n, cpu.Touch{Write: x.Do == CPUWrite, Width: accessWidth})
}

// forDevice is a step of a device or of its driver.
func (s *script) forDevice(t *cpu.Thread, x *Step, h *holding, l *link) error {
	call := dmaapi.Call{Event: dmaapi.ToDeviceHandover, Buffer: h.b.Buffer, Device: x.Device, Direction: x.Direction.dma(), Offset: int(x.Offset), Length: int(x.Bytes)}
	switch x.Do {
	case MapBuffer:
		_, err := l.MapFor(t, call.Direction)
		l.reached = l.reached || err == nil
		return err
	case UnmapBuffer:
		return l.Unmap(t)
	case Detach:
		if !l.gone && !h.b.Dead() {
			l.gone = true
			h.attached--
		}
		return l.Detach(t)
	case SyncForCPU:
		call.Event = dmaapi.ToCPUHandover
		fallthrough
	case SyncForDevice:
		s.g.api.Do(t, call)
		s.g.api.Wait(t, h.b.Buffer)
		return nil
	}
	l.Ready(t)
	l.Use(t)
	if l.reached {
		s.devices[x.Device].transfer(t, h.b, x)
	}
	return nil
}

// transfer has the device access memory, and waits for its interrupt.
func (a *actor) transfer(t *cpu.Thread, b *dmabuf.Buffer, x *Step) {
	off, n := x.part(b)
	t.Barrier() // of writel: what the CPU stored is in memory before the device is told
	t.MMIO(0, startWrites)
	t.Settle()
	a.Start(t.Now(), b.Region.RunsOf(off, n), x.Do == DeviceWrite)
	for a.Busy() {
		a.done.Wait(t)
		t.Settle()
	}
}

// Script returns how many steps of the script have been carried out, the errors they got back beyond misuse, and whether it is over.
func (g *Graph) Script() (steps int, failed []Failure, over bool) {
	if g.script == nil {
		return 0, nil, false
	}
	return g.script.done, g.script.failed, g.script.over
}
