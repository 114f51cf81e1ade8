package dmaapi

import (
	"fmt"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// Event is a moment at which a policy is asked.
type Event uint8

// The events. Allocate and MapCPU choose how the CPU sees the buffer; the others choose cache maintenance.
const (
	Allocate         Event = iota // the exporter allocates the buffer
	MapCPU                        // a CPU mapping is created
	MapDevice                     // an attachment is mapped for its device
	UnmapDevice                   // it is unmapped
	ToDeviceHandover              // ownership passes to the device: sync for device
	ToCPUHandover                 // ownership passes to the CPU: sync for CPU
)

func (e Event) String() string {
	names := [...]string{"allocate", "map-cpu", "map-device", "unmap-device", "to-device", "to-cpu"}
	if int(e) < len(names) {
		return names[e]
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}

// Question is what a policy sees: what a real driver could see, and nothing of the model's truth.
type Question struct {
	Event     Event
	Buffer    string // name of the buffer
	Index     int    // which of the buffers of that name
	Bytes     int
	Segments  int // scatter-gather entries
	Device    string
	Direction Direction
	// Attr is the CPU attribute asked for (Allocate, MapCPU).
	Attr cpu.Attr
	// Default is what the coherence profile does by range at this event.
	Default Operation
}

// Extent is how much of the cache an operation covers.
type Extent uint8

// The extents.
const (
	ByRange Extent = iota // the buffer's lines, by address
	Whole                 // the whole cache, by set and way, cleaned and invalidated
	Partial               // the spans of the answer, by address
)

// Span is a part of a buffer.
type Span struct{ Offset, Bytes int }

// Answer is what a policy decides. The zero Answer does nothing and keeps the attribute asked for.
type Answer struct {
	// Attr overrides the CPU attribute at Allocate and MapCPU if not empty.
	Attr cpu.Attr
	// Op is the operation to perform.
	Op     Operation
	Extent Extent
	// Spans are the parts that a Partial operation covers.
	Spans []Span
}

// A Policy decides about maintenance. It may keep state of its own but must be deterministic.
type Policy interface{ Decide(q *Question) Answer }

// Buffer is memory that takes part in DMA.
type Buffer struct {
	Name   string
	Index  int
	Region *memory.Region
	Runs   []memory.Run // one a scatter-gather entry
	// Coherent memory (dma_alloc_coherent) is never cached by the CPU: syncs do nothing, as in the kernel.
	Coherent bool
}

// NewBuffer describes a region for DMA.
func NewBuffer(name string, index int, r *memory.Region, coherent bool) *Buffer {
	return &Buffer{Name: name, Index: index, Region: r, Runs: r.Runs(), Coherent: coherent}
}

// A Tracer is told about every hand-over, for blame. It must not change the model.
type Tracer interface {
	Handover(h Handover)
}

// Handover is one sync call and what came of it.
type Handover struct {
	At        sim.Time
	Buffer    *Buffer
	Device    string
	Event     Event
	Direction Direction
	Default   Operation
	Answer    Answer
}

// API carries out syncs on a core.
type API struct {
	Core    *cpu.Core
	profile Profile
	policy  Policy
	tracer  Tracer
}

// New returns the DMA API of a machine with the given coherence profile and policy. tracer may be nil.
func New(core *cpu.Core, p Profile, policy Policy, tracer Tracer) *API {
	return &API{Core: core, profile: p, policy: policy, tracer: tracer}
}

// Policy returns the policy in force.
func (a *API) Policy() Policy { return a.policy }

// Ask puts a question that is not a hand-over.
func (a *API) Ask(q *Question) Answer { return a.policy.Decide(q) }

// SyncForDevice gives the buffer to the device (dma_sync_sg_for_device).
func (a *API) SyncForDevice(t *cpu.Thread, b *Buffer, device string, dir Direction) {
	a.handover(t, b, device, ToDeviceHandover, dir, a.profile.ForDevice[dir])
}

// SyncForCPU gives the buffer to the CPU (dma_sync_sg_for_cpu).
func (a *API) SyncForCPU(t *cpu.Thread, b *Buffer, device string, dir Direction) {
	a.handover(t, b, device, ToCPUHandover, dir, a.profile.ForCPU[dir])
}

// Map maps the buffer for the device, which hands it over (dma_map_sg).
func (a *API) Map(t *cpu.Thread, b *Buffer, device string, dir Direction) {
	a.handover(t, b, device, MapDevice, dir, a.profile.ForDevice[dir])
}

// Unmap ends the mapping, which hands the buffer back (dma_unmap_sg).
func (a *API) Unmap(t *cpu.Thread, b *Buffer, device string, dir Direction) {
	a.handover(t, b, device, UnmapDevice, dir, a.profile.ForCPU[dir])
}

func (a *API) handover(t *cpu.Thread, b *Buffer, device string, e Event, dir Direction, op Operation) {
	var ans Answer
	if !b.Coherent {
		q := Question{
			Event: e, Buffer: b.Name, Index: b.Index, Bytes: int(b.Region.Bytes), Segments: len(b.Runs), Device: device, Direction: dir, Default: op,
		}
		ans = a.policy.Decide(&q)
		a.perform(t, b, ans, e == ToCPUHandover || e == UnmapDevice)
	}
	if a.tracer != nil {
		a.tracer.Handover(Handover{
			At: t.Now(), Buffer: b, Device: device, Event: e, Direction: dir, Default: op, Answer: ans,
		})
	}
}

// perform carries out an answer. Outer caches come after the inner ones on the way to the device, and before them on the way back (outer_inv_range in __dma_page_dev_to_cpu).
func (a *API) perform(t *cpu.Thread, b *Buffer, ans Answer, toCPU bool) {
	pass := cpu.Pass{Op: ans.Op.cacheOp(), Edge: a.profile.Edge, AllColours: a.profile.AllColours, OuterFirst: toCPU}
	switch {
	case ans.Op == Nothing:
	case ans.Extent == Whole:
		t.MaintainAll([]*memory.Region{b.Region})
		t.MaintainAllOuter([]*memory.Region{b.Region})
	case ans.Extent == Partial:
		var runs []memory.Run
		for _, s := range ans.Spans {
			runs = append(runs, b.Region.RunsOf(s.Offset, s.Bytes)...)
		}
		t.MaintainRange(pass, runs)
	default:
		t.MaintainRange(pass, b.Runs)
	}
}

// Clear zeroes newly allocated memory through the kernel's linear map, and for coherent memory cleans and invalidates it, as the kernel does once at allocation.
func (a *API) Clear(t *cpu.Thread, b *Buffer) {
	old := t.Enter(cpu.Driver)
	t.Access(a.Core.KernelMap(b.Region), 0, int(b.Region.Bytes), cpu.Touch{Write: true, Width: 8})
	if b.Coherent {
		t.MaintainRange(cpu.Pass{Op: cachemodel.CleanInvalidate, Edge: a.profile.Edge, AllColours: a.profile.AllColours}, b.Runs)
	}
	t.Leave(old)
}
