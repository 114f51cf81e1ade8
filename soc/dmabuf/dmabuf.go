// Package dmabuf models the kernel's buffer sharing: buffers with an exporter, attachments of devices, CPU access brackets, kernel and user mappings, reservation objects and their fences.
//
// What each exporter does to the caches differs, and decides what a strategy costs:
//
//   - system-heap: cached pages; begin and end of CPU access sync every mapped attachment, so k attachments cost k passes, and none if no attachment is mapped.
//   - cma-heap: the same from contiguous memory; a user mapping is populated by faults.
//   - uncached-heap: pages, flushed once when they are allocated and write-combined for user space; never synced.
//   - vb2-sg: cached pages of a V4L2 queue; the queue syncs at QBUF and in buffer-done, and CPU access brackets sync the queue's own mapping once. A device that imports one maps it once, which syncs
//     it for that device then; the mapping is kept until detach.
//   - vb2-contig: contiguous memory of a V4L2 queue; coherent and never synced, unless it was asked for cached (V4L2_MEMORY_FLAG_NON_COHERENT): then the queue syncs it, but neither an importer's
//     mapping nor a CPU access bracket does. Whether a later kernel closed that hole was not checked; Request.SyncNonCoherent does.
//   - gem: contiguous coherent memory of a display or GPU driver; never synced, and mappings are kept until detach.
//
// The sources stand beside each in exporter.go. The core is drivers/dma-buf/dma-buf.c (0148b24e) and dma-resv.c (recalled).
//
// A buffer lives until its last reference is put; user mappings hold one. What is done to a buffer, an attachment, a mapping or a fence beyond its life is an error and is reported to a [Debugger],
// never a panic: the simulated driver has a bug, not the simulator.
//
// Left out: moving buffers (dynamic importers), file descriptors, the cost of setting up a vmap, colours of vmaps that differ from those of user mappings.
package dmabuf

import (
	"fmt"
	"slices"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/memory"
)

// Stats counts buffer sharing over all buffers of an allocator.
type Stats struct {
	Maps, Unmaps, CPUAccess uint64
}

// Allocator allocates and tracks buffers.
type Allocator struct {
	api     *dmaapi.API
	stats   Stats
	buffers []*Buffer

	timelines  []*Timeline
	debugger   Debugger
	misuses    [misuses]uint64
	interrupts func(*Buffer) bool
}

// now is the engine's time, for calls that are not a thread's.
func (a *Allocator) now() sim.Time { return a.api.Core.Engine().Now() }

// NewAllocator returns an allocator over the DMA API.
func NewAllocator(api *dmaapi.API) *Allocator { return &Allocator{api: api} }

// Stats returns the counters.
func (a *Allocator) Stats() Stats { return a.stats }

// ResetStats zeroes the counters.
func (a *Allocator) ResetStats() { a.stats = Stats{} }

// Buffers returns all buffers in the order of their allocation.
func (a *Allocator) Buffers() []*Buffer { return a.buffers }

// API returns the DMA API behind the allocator.
func (a *Allocator) API() *dmaapi.API { return a.api }

// Request describes a buffer to allocate.
type Request struct {
	Name     string
	Index    int
	Bytes    int64
	Exporter Exporter
	// Contiguous asks for contiguous pages from an exporter that has a choice.
	Contiguous bool
	// Attr is the CPU mapping wanted; the strategy may change it.
	Attr cpu.Attr
	// Direction is the direction of the exporting queue's own mapping.
	Direction dmaapi.Direction
	// Owner is the device of the exporting queue.
	Owner string
	// SyncNonCoherent makes CPU access brackets of vb2-contig sync the queue's own mapping, as vb2-sg does; coherent memory needs none.
	SyncNonCoherent bool
}

// Buffer is a dma-buf.
type Buffer struct {
	*dmaapi.Buffer
	Exporter    Exporter
	Attr        cpu.Attr // after the strategy had its say
	Direction   dmaapi.Direction
	Owner       string
	Resv        Reservation
	attachments []*Attachment
	mappings    []*CPUMapping // of user space
	vmap        *CPUMapping
	vmaps       int
	hooks       bool // Request.SyncNonCoherent
	alloc       *Allocator

	refs      int
	pinned    bool // the memory is somebody else's
	dead      bool
	made      sim.Time
	died      sim.Time
	put       sim.Time // the last time
	vunmapped sim.Time
}

// Allocate allocates a buffer on behalf of t and zeroes it.
func (a *Allocator) Allocate(t *cpu.Thread, r Request) (*Buffer, error) {
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	r.Attr = r.Exporter.traits().attr(r.Attr)
	q := dmaapi.Question{
		Event: dmaapi.Allocate, Buffer: r.Name, Index: r.Index, Bytes: int(r.Bytes), Direction: r.Direction, Attr: r.Attr, Device: r.Owner,
		Length: int(r.Bytes), Contiguous: r.Contiguous || r.Exporter.Contiguous(), Exporter: string(r.Exporter), HasOuter: a.api.HasOuter(),
	}
	attr := r.Attr
	x := r.Exporter.traits()
	pages := x.pages
	kind := dmaapi.Streaming // pages are, whatever the mapping asked for
	if !pages || x.uncached {
		kind = dmaapi.KindOf(attr, pages)
	}
	ans := a.api.Ask(&q)
	if ans.Attr != "" {
		attr = ans.Attr
		kind = dmaapi.KindOf(attr, pages)
	}
	name := fmt.Sprintf("%s#%d", r.Name, r.Index)
	mem := a.api.Core.Memory()
	var region *memory.Region
	var err error
	if r.Contiguous || r.Exporter.Contiguous() {
		region, err = mem.AllocContiguous(name, r.Bytes, memory.ContiguousAlign(r.Bytes))
	} else {
		region, err = mem.AllocScattered(name, r.Bytes)
	}
	if err != nil {
		return nil, err
	}
	b := &Buffer{
		Buffer:   dmaapi.NewBuffer(r.Name, r.Index, region, false),
		Exporter: r.Exporter, Attr: attr, Direction: r.Direction, Owner: r.Owner, alloc: a,
		hooks: r.SyncNonCoherent, refs: 1, made: t.Now(),
	}
	b.Buffer.Exporter, b.Kind = string(r.Exporter), kind
	a.api.Clear(t, b.Buffer, ans.Force)
	a.buffers = append(a.buffers, b)
	return b, nil
}

// Pin makes a buffer of pages that somebody else owns, for a USERPTR queue (vb2_get_userptr of videobuf2-memops, recalled). Its device maps it with DMA_ATTR_SKIP_CPU_SYNC, and the last Put leaves
// the pages alone.
func (a *Allocator) Pin(t *cpu.Thread, index int, r *memory.Region, dir dmaapi.Direction, owner string) *Buffer {
	b := &Buffer{
		Buffer: dmaapi.NewBuffer(r.Name, index, r, false), Exporter: userPages, Attr: cpu.Cached, Direction: dir, Owner: owner, alloc: a,
		refs: 1, made: t.Now(), pinned: true,
	}
	b.Buffer.Exporter = string(userPages)
	a.buffers = append(a.buffers, b)
	return b
}

// ask puts a question about the buffer that is not a hand-over.
func (b *Buffer) ask(e dmaapi.Event) dmaapi.Answer {
	q := b.alloc.api.Question(e, b.Buffer)
	q.Attr, q.Direction, q.Device = b.Attr, b.Direction, b.Owner
	return b.alloc.api.Ask(&q)
}

// Get takes a reference.
func (b *Buffer) Get() (*Buffer, error) {
	if b.dead {
		return nil, b.useAfterFree(b.alloc.now(), "", "getting")
	}
	b.refs++
	return b, nil
}

// Allocator returns who allocated the buffer.
func (b *Buffer) Allocator() *Allocator { return b.alloc }

// Refs returns the number of references.
func (b *Buffer) Refs() int { return b.refs }

// Put drops a reference that Allocate or Get gave. With the last the memory is given back, whoever may still use it.
func (b *Buffer) Put(t *cpu.Thread) error {
	if b.dead || b.refs == len(b.mappings) {
		return b.alloc.misuse(Misuse{Kind: DoublePut, Buffer: b, At: t.Now(), Since: b.put}, "putting %s: the last reference was put at %v", b.Region.Name, b.put)
	}
	b.put = t.Now()
	return b.drop(t)
}

// drop drops a reference, or that of a user mapping.
func (b *Buffer) drop(t *cpu.Thread) error {
	if b.refs--; b.refs > 0 {
		return nil
	}
	var err error
	switch name := b.Region.Name; {
	case len(b.attachments) > 0:
		at := b.attachments[0]
		err = b.alloc.misuse(Misuse{Kind: PutAttached, Buffer: b, Device: at.Importer.DeviceName(), At: t.Now(), Since: at.made}, "freeing %s: %s is attached", name, at.Importer.DeviceName())
	case b.vmaps > 0:
		err = b.alloc.misuse(Misuse{Kind: PutVmapped, Buffer: b, At: t.Now(), Since: b.vmap.made}, "freeing %s: the kernel maps it", name)
	}
	b.free(t)
	return err
}

// free is the exporter's release.
func (b *Buffer) free(t *cpu.Thread) {
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	b.alloc.api.Wait(t, b.Buffer)
	if b.vmaps > 0 {
		b.vmap.remove(t)
		b.vmap, b.vmaps = nil, 0
	}
	if !b.pinned {
		b.ask(dmaapi.Free)
		b.alloc.api.Core.Memory().Free(b.Region)
	}
	b.Resv.release()
	b.alloc.buffers = slices.DeleteFunc(b.alloc.buffers, func(x *Buffer) bool { return x == b })
	b.dead, b.died = true, t.Now()
}

// Dead tells whether the last reference has been put.
func (b *Buffer) Dead() bool { return b.dead }

func (b *Buffer) useAfterFree(at sim.Time, who, doing string) error {
	return b.alloc.misuse(Misuse{Kind: UseAfterFree, Buffer: b, Device: who, At: at, Since: b.died}, "%s %s: freed at %v", doing, b.Region.Name, b.died)
}

// MappingsUnused counts device and CPU mappings that were made and never used.
func (a *Allocator) MappingsUnused() int {
	n := 0
	for _, b := range a.buffers {
		for _, m := range b.mappings {
			if !m.Touched() {
				n++
			}
		}
		if b.vmap != nil && !b.vmap.Touched() {
			n++
		}
		for _, at := range b.attachments {
			if at.mapped && !at.used {
				n++
			}
		}
	}
	return n
}
