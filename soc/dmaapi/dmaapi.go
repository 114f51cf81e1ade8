package dmaapi

import (
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// Buffer is memory that takes part in DMA.
type Buffer struct {
	Name   string
	Index  int
	Region *memory.Region
	Runs   []memory.Run // one a scatter-gather entry
	// Kind is how it was allocated. Coherent memory is never cached by the CPU: syncs do nothing, as in the kernel.
	Kind Kind
	// Exporter is the name of who allocated it, for the policy.
	Exporter string

	mappings []mapping // of devices
	shared   bool      // that two devices own it has been noted
	tracked  []*cpu.Mapping
	pending  int                   // operations that a worker thread has not done yet
	then     []func(t *cpu.Thread) // what waits for them
}

// NewBuffer describes a region for DMA, coherent or streaming.
func NewBuffer(name string, index int, r *memory.Region, coherent bool) *Buffer {
	k := Streaming
	if coherent {
		k = Coherent
	}
	return &Buffer{Name: name, Index: index, Region: r, Runs: r.Runs(), Kind: k}
}

// Bytes returns its size.
func (b *Buffer) Bytes() int { return int(b.Region.Bytes) }

// A Tracer is told about every hand-over, for blame. It must not change the model.
type Tracer interface {
	Handover(h Handover)
}

// Handover is one sync call and what came of it, when it was complete.
type Handover struct {
	At        sim.Time
	Buffer    *Buffer
	Device    string
	Event     Event
	Direction Direction
	Default   Operation
	Answer    Answer
}

// Call is one call of the streaming API.
type Call struct {
	Event     Event // MapDevice, UnmapDevice, ToDeviceHandover or ToCPUHandover
	Buffer    *Buffer
	Device    string
	Direction Direction
	// Offset and Length are the part that is synced (dma_sync_single_range_for_cpu and its like); a Length of 0 is the whole buffer.
	Offset, Length int
	Hints          Hints
}

// toCPU tells whether the call gives the buffer to the CPU.
func (c *Call) toCPU() bool { return c.Event == ToCPUHandover || c.Event == UnmapDevice }

// runs returns the physical memory that the call is about.
func (c *Call) runs() []memory.Run {
	if c.Offset == 0 && c.Length == c.Buffer.Bytes() {
		return c.Buffer.Runs
	}
	return c.Buffer.Region.RunsOf(c.Offset, c.Length)
}

// API carries out syncs on a core.
type API struct {
	Core     *cpu.Core
	profile  Profile
	policy   Policy
	tracer   Tracer
	debugger Debugger
	asked    Call  // the hand-over that the policy is being asked about, for Truth
	queue    []job // for the worker thread
	started  bool  // there is one
	work     cpu.WaitQueue
	done     cpu.WaitQueue
}

// New returns the DMA API of a machine with the given coherence profile and policy. tracer may be nil.
func New(core *cpu.Core, p Profile, policy Policy, tracer Tracer) *API {
	a := &API{Core: core, profile: p, policy: policy, tracer: tracer}
	if s, ok := policy.(Seer); ok {
		s.See(Truth{core: core, api: a})
	}
	return a
}

// Start lets a policy that is a Starter work before the first allocation.
func (a *API) Start(t *cpu.Thread) {
	if s, ok := a.policy.(Starter); ok {
		old := t.Enter(cpu.Driver)
		s.Start(t, a)
		t.Leave(old)
	}
}

// Policy returns the policy in force.
func (a *API) Policy() Policy { return a.policy }

// HasOuter tells whether the chip has an outer cache.
func (a *API) HasOuter() bool {
	c := a.Core.Caches()
	return c.Inner() < c.Levels()
}

// Ask puts a question that is not a hand-over.
func (a *API) Ask(q *Question) Answer { return a.policy.Decide(q) }

// Question is what a driver knows of a buffer, to be completed for an event and put with Ask.
func (a *API) Question(e Event, b *Buffer) Question {
	return Question{
		Event: e, Buffer: b.Name, Index: b.Index, Bytes: b.Bytes(), Segments: len(b.Runs), Length: b.Bytes(),
		Contiguous: len(b.Runs) == 1, Exporter: b.Exporter, HasOuter: a.HasOuter(),
	}
}

// SyncForDevice gives the buffer to the device (dma_sync_sg_for_device).
func (a *API) SyncForDevice(t *cpu.Thread, b *Buffer, device string, dir Direction) {
	a.Do(t, Call{Event: ToDeviceHandover, Buffer: b, Device: device, Direction: dir})
}

// SyncForCPU gives the buffer to the CPU (dma_sync_sg_for_cpu).
func (a *API) SyncForCPU(t *cpu.Thread, b *Buffer, device string, dir Direction) {
	a.Do(t, Call{Event: ToCPUHandover, Buffer: b, Device: device, Direction: dir})
}

// Map maps the buffer for the device, which hands it over (dma_map_sg).
func (a *API) Map(t *cpu.Thread, b *Buffer, device string, dir Direction) {
	a.Do(t, Call{Event: MapDevice, Buffer: b, Device: device, Direction: dir})
}

// Unmap ends the mapping, which hands the buffer back (dma_unmap_sg).
func (a *API) Unmap(t *cpu.Thread, b *Buffer, device string, dir Direction) {
	a.Do(t, Call{Event: UnmapDevice, Buffer: b, Device: device, Direction: dir})
}

// Do carries out a call: it asks the policy and does what that decides, at once or on the worker thread. Coherent memory needs nothing and nobody is asked.
func (a *API) Do(t *cpu.Thread, c Call) {
	if c.Length == 0 {
		c.Length = c.Buffer.Bytes() - c.Offset
	}
	a.pass(t, &c)
	if c.Offset < 0 || c.Length <= 0 || c.Offset+c.Length > c.Buffer.Bytes() {
		return // there is nothing that belongs to the buffer
	}
	op := a.operation(&c)
	var ans Answer
	if !c.Buffer.Kind.Coherent() {
		q := a.Question(c.Event, c.Buffer)
		q.Device, q.Direction, q.Offset, q.Length, q.Hints, q.Default = c.Device, c.Direction, c.Offset, c.Length, c.Hints, op
		a.asked = c
		ans = a.policy.Decide(&q)
	}
	a.carryOut(t, job{c, op, ans})
}

// operation is what the profile does at a call.
func (a *API) operation(c *Call) Operation {
	switch {
	case c.Hints.Has(SkipCPUSync):
		return Nothing
	case c.toCPU():
		return a.profile.ForCPU[c.Direction]
	default:
		return a.profile.ForDevice[c.Direction]
	}
}

// Batch hands several buffers over in one submission. The policy is asked about them all first (drivers/gpu/msm/kgsl.c sums up the sizes of a batch): if it answers an operation on the whole cache,
// that is done once and the buffers' own hand-overs do nothing; otherwise each buffer is asked about by itself. So are those that a [Divider] sets apart, in any case.
func (a *API) Batch(t *cpu.Thread, calls []Call) {
	if d, ok := a.policy.(Divider); ok {
		var together []Call
		for _, c := range calls {
			if d.Apart(c.Buffer.Name, c.Device) {
				a.Do(t, c)
			} else {
				together = append(together, c)
			}
		}
		calls = together
	}
	q := Question{Event: Batch, HasOuter: a.HasOuter()}
	var handed []*memory.Region
	for i := range calls {
		c := &calls[i]
		if c.Buffer.Kind.Coherent() {
			continue
		}
		if op := a.operation(c); op > q.Default {
			q.Default = op
		}
		q.Device, q.Direction = c.Device, c.Direction
		q.Buffers++
		q.Segments += len(c.Buffer.Runs)
		q.TotalBytes += c.Buffer.Bytes()
		handed = append(handed, c.Buffer.Region)
	}
	var ans Answer
	if q.Buffers > 0 {
		q.Bytes, q.Length = q.TotalBytes, q.TotalBytes
		ans = a.policy.Decide(&q)
	}
	if ans.Op == Nothing || ans.Extent != Whole {
		for _, c := range calls {
			a.Do(t, c)
		}
		return
	}
	for _, c := range calls {
		a.Wait(t, c.Buffer) // what a worker still has to do comes first
	}
	t.MaintainAll(handed)
	if ans.Outer != OuterByRange {
		t.MaintainAllOuter(handed)
	}
	for _, c := range calls {
		c.Length = c.Buffer.Bytes()
		a.pass(t, &c)
		if ans.Outer == OuterByRange && a.HasOuter() && !c.Buffer.Kind.Coherent() {
			p := a.rangePass(ans.Op, c.toCPU())
			p.Reach = cpu.OuterOnly
			t.MaintainRange(p, c.Buffer.Runs)
		}
		a.zap(t, &c)
		a.told(t, job{c, a.operation(&c), ans})
	}
}
