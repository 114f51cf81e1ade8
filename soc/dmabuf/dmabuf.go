// Package dmabuf models the kernel's buffer sharing: buffers with an exporter, attachments of devices, CPU access brackets, and reservation fences.
//
// What each exporter does to the caches differs, and decides what a strategy costs:
//
//   - system-heap: cached pages; begin and end of CPU access sync every mapped attachment, so k attachments cost k passes (drivers/dma-buf/heaps/system_heap.c).
//   - vb2-sg: cached pages of a V4L2 queue; attachments stay mapped, the queue syncs at QBUF and in buffer-done, and CPU access brackets sync the queue's own mapping once
//     (drivers/media/common/videobuf2/videobuf2-dma-sg.c; its begin and end hooks are recalled, not looked up).
//   - vb2-contig: contiguous memory of a V4L2 queue; coherent and never synced, unless it was asked for cached (V4L2_MEMORY_FLAG_NON_COHERENT); then like vb2-sg.
//   - gem: contiguous coherent memory of a display or GPU driver; never synced.
//
// A device that imports a vb2 buffer maps it once, which syncs it for that device then; the mapping is cached.
//
// Left out: moving buffers, EAGAIN from begin and end, sync files, mmap of the dma-buf file descriptor apart from the exporter's own mapping.
package dmabuf

import (
	"fmt"
	"slices"

	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/memory"
)

// Exporter is who allocated a buffer and decides about its maintenance.
type Exporter string

// The exporters.
const (
	SystemHeap Exporter = "system-heap"
	VB2SG      Exporter = "vb2-sg"
	VB2Contig  Exporter = "vb2-contig"
	GEM        Exporter = "gem"
)

// Values lists the exporters.
func (Exporter) Values() []string {
	return []string{string(SystemHeap), string(VB2SG), string(VB2Contig), string(GEM)}
}

// IsQueue tells whether buffers of this exporter belong to a V4L2 queue, which syncs them at QBUF and in buffer-done.
func (e Exporter) IsQueue() bool { return e == VB2SG || e == VB2Contig }

// Contiguous tells whether the exporter's memory is always contiguous.
func (e Exporter) Contiguous() bool { return e == VB2Contig || e == GEM }

// An Importer is a device that can attach: how it makes the buffer reachable for itself.
type Importer interface {
	// DeviceName names the device.
	DeviceName() string
	// MapBuffer makes the buffer reachable and returns its bus address. Its cost is the calling thread's.
	MapBuffer(t *cpu.Thread, b *Buffer) (bus.Addr, error)
	// UnmapBuffer ends that.
	UnmapBuffer(t *cpu.Thread, b *Buffer, addr bus.Addr) error
}

// Stats counts buffer sharing over all buffers of an allocator.
type Stats struct {
	Maps, Unmaps, CPUAccess uint64
}

// Allocator allocates and tracks buffers.
type Allocator struct {
	api     *dmaapi.API
	stats   Stats
	buffers []*Buffer
}

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
}

// Buffer is a dma-buf.
type Buffer struct {
	*dmaapi.Buffer
	Exporter    Exporter
	Attr        cpu.Attr // after the strategy had its say
	Direction   dmaapi.Direction
	Owner       string
	Resv        Reservation
	mapping     *cpu.Mapping
	attachments []*Attachment
	alloc       *Allocator
}

// Attachment is a device's attachment.
type Attachment struct {
	Buffer    *Buffer
	Importer  Importer
	Direction dmaapi.Direction
	Addr      bus.Addr
	mapped    bool
	used      bool
}

// Allocate allocates a buffer on behalf of t and zeroes it.
func (a *Allocator) Allocate(t *cpu.Thread, r Request) (*Buffer, error) {
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	q := dmaapi.Question{
		Event: dmaapi.Allocate, Buffer: r.Name, Index: r.Index, Bytes: int(r.Bytes), Direction: r.Direction, Attr: r.Attr, Device: r.Owner,
		Length: int(r.Bytes), Contiguous: r.Contiguous || r.Exporter.Contiguous(), Exporter: string(r.Exporter), HasOuter: a.api.HasOuter(),
	}
	attr := r.Attr
	pages := r.Exporter == SystemHeap || r.Exporter == VB2SG
	kind := dmaapi.Streaming // pages are, whatever the mapping asked for
	if !pages {
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
		region, err = mem.AllocContiguous(name, r.Bytes, memory.PageBytes)
	} else {
		region, err = mem.AllocScattered(name, r.Bytes)
	}
	if err != nil {
		return nil, err
	}
	b := &Buffer{
		Buffer:   dmaapi.NewBuffer(r.Name, r.Index, region, false),
		Exporter: r.Exporter, Attr: attr, Direction: r.Direction, Owner: r.Owner, alloc: a,
	}
	b.Buffer.Exporter, b.Kind = string(r.Exporter), kind
	a.api.Clear(t, b.Buffer, ans.Force)
	a.buffers = append(a.buffers, b)
	return b, nil
}

// Attach adds an attachment of the device. Nothing is mapped yet.
func (b *Buffer) Attach(dev Importer, dir dmaapi.Direction) *Attachment {
	at := &Attachment{Buffer: b, Importer: dev, Direction: dir}
	b.attachments = append(b.attachments, at)
	return at
}

// Map maps the attachment for its device and returns the bus address. The mapping hands the buffer over (dma_map_sg), except where the exporting queue syncs its own mapping at QBUF.
func (at *Attachment) Map(t *cpu.Thread) (bus.Addr, error) {
	if at.mapped {
		return at.Addr, nil
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	addr, err := at.Importer.MapBuffer(t, at.Buffer)
	if err != nil {
		return 0, fmt.Errorf("mapping %s for %s: %w", at.Buffer.Region.Name, at.Importer.DeviceName(), err)
	}
	at.Addr, at.mapped = addr, true
	at.Buffer.alloc.stats.Maps++
	at.Buffer.alloc.api.Do(t, at.call(dmaapi.MapDevice))
	return addr, nil
}

// call is a call of the DMA API for the attachment.
func (at *Attachment) call(e dmaapi.Event) dmaapi.Call {
	c := dmaapi.Call{Event: e, Buffer: at.Buffer.Buffer, Device: at.Importer.DeviceName(), Direction: at.Direction}
	if at.queueOwn() {
		c.Direction, c.Hints = at.Buffer.Direction, dmaapi.SkipCPUSync
	}
	return c
}

// queueOwn tells whether this is the exporting queue's own mapping, which videobuf2 makes and ends with DMA_ATTR_SKIP_CPU_SYNC.
func (at *Attachment) queueOwn() bool {
	return at.Buffer.Exporter.IsQueue() && at.Importer.DeviceName() == at.Buffer.Owner
}

// Unmap ends the device's mapping.
func (at *Attachment) Unmap(t *cpu.Thread) error {
	if !at.mapped {
		return fmt.Errorf("unmapping %s for %s: not mapped", at.Buffer.Region.Name, at.Importer.DeviceName())
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	at.mapped = false
	at.Buffer.alloc.stats.Unmaps++
	api := at.Buffer.alloc.api
	api.Do(t, at.call(dmaapi.UnmapDevice))
	api.Wait(t, at.Buffer.Buffer)
	return at.Importer.UnmapBuffer(t, at.Buffer, at.Addr)
}

// Ready waits until a hand-over to the device that a worker thread does is complete. A driver calls it before it starts the device.
func (at *Attachment) Ready(t *cpu.Thread) { at.Buffer.alloc.api.Wait(t, at.Buffer.Buffer) }

// Use notes that the device begins to work on the buffer through this attachment.
func (at *Attachment) Use(t *cpu.Thread) {
	at.used = true
	at.Buffer.alloc.api.DeviceAccess(t.Now(), at.Buffer.Buffer, at.Importer.DeviceName(), at.Direction != dmaapi.ToDevice)
}

// MapUser maps the buffer into user space with its attribute.
func (b *Buffer) MapUser(t *cpu.Thread) (*cpu.Mapping, error) {
	if b.mapping != nil {
		return b.mapping, nil
	}
	attr := b.Attr
	ans := b.ask(dmaapi.MapCPU)
	if ans.Attr != "" {
		attr = ans.Attr
	}
	if attr == cpu.NoMapping {
		return nil, fmt.Errorf("mapping %s for the CPU: it was allocated without a CPU mapping (cpu_mapping: none)", b.Region.Name)
	}
	if ans.Track && !b.Kind.Coherent() {
		m, err := b.alloc.api.MapTracked(b.Region.Name, b.Buffer, attr)
		b.mapping = m
		return m, err
	}
	m, err := b.alloc.api.Core.Map(b.Region.Name, b.Region, attr)
	if err != nil {
		return nil, err
	}
	b.mapping = m
	t.PageFaults(1) // the whole range is populated at mmap: one entry into the kernel
	return m, nil
}

// ask puts a question about the buffer that is not a hand-over.
func (b *Buffer) ask(e dmaapi.Event) dmaapi.Answer {
	q := b.alloc.api.Question(e, b.Buffer)
	q.Attr, q.Direction, q.Device = b.Attr, b.Direction, b.Owner
	return b.alloc.api.Ask(&q)
}

// UnmapUser removes the user mapping, if there is one.
func (b *Buffer) UnmapUser(t *cpu.Thread) {
	if b.mapping == nil {
		return
	}
	old := t.Enter(cpu.Driver)
	b.ask(dmaapi.UnmapCPU)
	b.Untrack(b.mapping)
	b.alloc.api.Core.Unmap(b.mapping)
	b.mapping = nil
	t.Leave(old)
}

// Free gives the memory back. The buffer must not be mapped for a device any more.
func (b *Buffer) Free(t *cpu.Thread) error {
	for _, at := range b.attachments {
		if at.mapped {
			return fmt.Errorf("freeing %s: it is mapped for %s", b.Region.Name, at.Importer.DeviceName())
		}
	}
	b.UnmapUser(t)
	old := t.Enter(cpu.Driver)
	b.ask(dmaapi.Free)
	b.alloc.api.Core.Memory().Free(b.Region)
	b.alloc.buffers = slices.DeleteFunc(b.alloc.buffers, func(x *Buffer) bool { return x == b })
	t.Leave(old)
	return nil
}

// CPUAccess checks that the CPU may touch the buffer now, at the beginning of an access.
func (b *Buffer) CPUAccess(t *cpu.Thread, who string, write bool) {
	b.alloc.api.CPUAccess(t.Now(), b.Buffer, who, write)
}

// BeginCPUAccess is DMA_BUF_IOCTL_SYNC with START: SYNC_READ is FromDevice, SYNC_WRITE is ToDevice, both is Bidirectional. As in the kernel the exporter's hook runs before the
// implicit fences are waited for.
func (b *Buffer) BeginCPUAccess(t *cpu.Thread, dir dmaapi.Direction) {
	t.Syscall(func() {
		b.cpuAccess(t, dir, b.alloc.api.SyncForCPU)
		b.alloc.api.Wait(t, b.Buffer)
		b.Resv.Wait(t, dir != dmaapi.FromDevice)
	})
}

// EndCPUAccess is DMA_BUF_IOCTL_SYNC with END.
func (b *Buffer) EndCPUAccess(t *cpu.Thread, dir dmaapi.Direction) {
	t.Syscall(func() { b.cpuAccess(t, dir, b.alloc.api.SyncForDevice) })
}

// cpuAccess is the exporter's hook: it syncs each mapped attachment, the queue's own mapping, or nothing.
func (b *Buffer) cpuAccess(t *cpu.Thread, dir dmaapi.Direction, sync func(*cpu.Thread, *dmaapi.Buffer, string, dmaapi.Direction)) {
	b.alloc.stats.CPUAccess++
	switch {
	case b.Exporter == SystemHeap:
		for _, at := range b.attachments {
			if at.mapped {
				sync(t, b.Buffer, at.Importer.DeviceName(), dir)
			}
		}
	case b.Exporter.IsQueue():
		sync(t, b.Buffer, b.Owner, b.Direction)
	}
}

// MappingsUnused counts device and CPU mappings that were made and never used.
func (a *Allocator) MappingsUnused() int {
	n := 0
	for _, b := range a.buffers {
		if b.mapping != nil && !b.mapping.Touched() {
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
