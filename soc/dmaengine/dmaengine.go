// Package dmaengine models the kernel's DMA engine on the system DMA (drivers/dma/ti/omap-dma.c), as a device that copies dma-bufs.
//
// A copy is cut into descriptors, each of which one programming of the channel can do: prep_dma_memcpy for bytes that lie in one run of pages on both sides, prep_interleaved_dma for rows that do. The
// descriptors are queued on a virtual channel (virt-dma) and run one after another: the calling thread starts the first, and the interrupt at the end of each programs the next. So a buffer of scattered
// pages costs an interrupt a run. The last one signals the copy's fence.
//
// Starting a descriptor takes 15 register writes (CCR, CSSA, CSEI, CSFI, CSDP and CLNK_CTRL in omap_dma_start_desc; CDSA, CDEI, CDFI, CEN and CFN in omap_dma_start_sg; CDAC, CSR, CICR and CCR in
// omap_dma_start), and an interrupt two reads and two writes (IRQSTATUS_L1 and CSR in omap_dma_irq and omap_dma_get_csr). Descriptors of several segments (sglen) spare 6 of the writes for all but the
// first, but the driver changes only the device's far side from segment to segment, so memory to memory it makes one descriptor a segment. The tasklet that completes a descriptor is charged to the interrupt.
//
// Like the GPU's, a copy waits for the write fence of what it reads and for all fences of what it writes, and leaves its own on both.
//
// The driver was read at commit 069e4a19f44d. Interleaved descriptors differ from it in three places, where by the hardware's manual that could not work: they interrupt at the end of the block, not of
// each row; the frame index is the gap between rows plus one, because it counts from the last byte of a row; and elements are small enough for the gap to be a multiple of them.
//
// Left out: cyclic and slave transfers (hardware requests), linked lists of descriptors (OMAP36xx), polled descriptors, several channels, pause and terminate.
package dmaengine

import (
	"fmt"

	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/dmabuf"
	"socsim/soc/sdma"
)

// Register accesses of the driver.
const (
	startWrites = 15
	irqReads    = 2
	irqWrites   = 2
)

// The interrupt line and the channel that the driver uses.
const (
	line    = 1
	channel = 0
)

// Importer attaches buffers to a device without an MMU that takes them in pieces: the bus addresses are those of the buffer's runs, one a scatter-gather entry.
type Importer struct{ Name string }

// DeviceName names the device.
func (i *Importer) DeviceName() string { return i.Name }

// MapBuffer returns the address of the first run.
func (i *Importer) MapBuffer(_ *cpu.Thread, b *dmabuf.Buffer) (bus.Addr, error) {
	return bus.Addr(b.Runs[0].Addr), nil
}

// UnmapBuffer has nothing to undo.
func (i *Importer) UnmapBuffer(*cpu.Thread, *dmabuf.Buffer, bus.Addr) error { return nil }

// Stats counts since the start or the last reset: copies and descriptors completed, and the bytes of these.
type Stats struct{ Copies, Descriptors, Bytes uint64 }

// descriptor is a prepared programming of the channel, and the fence of the copy that it ends, if it does.
type descriptor struct {
	transfer sdma.Transfer
	fence    *dmabuf.Fence
}

// Engine is the driver of a system DMA.
type Engine struct {
	dev *sdma.Device
	cfg sdma.Config
	irq *cpu.Thread

	timeline *dmabuf.Timeline

	running bool
	current descriptor
	issued  []descriptor // behind the current one
	stats   Stats
}

// New returns the driver and installs its interrupt handler. The device is connected to memory already.
func New(core *cpu.Core, dev *sdma.Device) *Engine {
	e := &Engine{dev: dev, cfg: dev.Config()}
	e.irq = core.SpawnIRQ("sdma irq", e.handle)
	dev.EnableIRQ(line, 1<<channel)
	dev.OnInterrupt = func(int) { e.irq.Raise() }
	return e
}

// IRQ returns the interrupt handler.
func (e *Engine) IRQ() *cpu.Thread { return e.irq }

// Stats returns the counters.
func (e *Engine) Stats() Stats { return e.stats }

// ResetStats zeroes the counters.
func (e *Engine) ResetStats() { e.stats = Stats{} }

// Copy copies the image in one buffer to that in another, once their fences allow it, and returns the copy's fence with a reference for the caller. The images have the same width and height and lie within their buffers
// ([Layout.Validate]).
func (e *Engine) Copy(t *cpu.Thread, src, dst *dmabuf.Attachment, from, to Layout) *dmabuf.Fence {
	for _, x := range []struct {
		Layout
		b *dmabuf.Buffer
	}{{from, src.Buffer}, {to, dst.Buffer}} {
		if err := x.Validate(x.b.Region.Bytes); err != nil {
			panic(fmt.Sprintf("dmaengine: copy of %s to %s: %v", src.Buffer.Region.Name, dst.Buffer.Region.Name, err))
		}
	}
	if from.Width != to.Width || from.Height != to.Height {
		panic(fmt.Sprintf("dmaengine: copy of %dx%d bytes to %dx%d", from.Width, from.Height, to.Width, to.Height))
	}
	if e.timeline == nil {
		e.timeline = src.Buffer.Allocator().NewTimeline("sdma")
	}
	var f *dmabuf.Fence
	t.Syscall(func() {
		f = e.timeline.Begin(t, src, dst)
		prepared := e.prepare(t, pieces(src.Buffer.Runs, dst.Buffer.Runs, from, to))
		prepared[len(prepared)-1].fence = f.Get()
		e.issue(t, prepared)
	})
	return f
}

// prepare makes a descriptor of each piece.
func (e *Engine) prepare(t *cpu.Thread, list []piece) []descriptor {
	out := make([]descriptor, len(list))
	for i, p := range list {
		t.Cycles(int64(e.cfg.PrepareCycles))
		out[i].transfer = e.transfer(p)
	}
	return out
}

// issue queues descriptors and starts the first if the channel is idle (issue_pending).
func (e *Engine) issue(t *cpu.Thread, list []descriptor) {
	t.Settle()
	e.issued = append(e.issued, list...)
	if !e.running {
		e.start(t)
	}
}

// start programs the next descriptor.
func (e *Engine) start(t *cpu.Thread) {
	if e.running = len(e.issued) > 0; !e.running {
		return
	}
	e.current = e.issued[0]
	e.issued = append(e.issued[:0], e.issued[1:]...)
	t.MMIO(0, startWrites)
	t.Settle()
	if err := e.dev.Program(channel, e.current.transfer); err != nil {
		panic(fmt.Sprintf("dmaengine: %v", err)) // pieces are what a channel can do
	}
	if err := e.dev.Enable(channel, t.Now()); err != nil {
		panic(fmt.Sprintf("dmaengine: %v", err)) // the channel is idle
	}
}

// handle is the interrupt handler, and then the tasklet: as in omap-dma.c the next descriptor is started before the one that ended is completed.
func (e *Engine) handle(t *cpu.Thread) {
	t.MMIO(irqReads, irqWrites)
	t.Settle()
	e.dev.ClearStatus(channel, e.dev.Status(channel))
	e.dev.ClearIRQ(line, 1<<channel)
	ended := e.current
	e.start(t)
	t.Cycles(int64(e.cfg.CompleteCycles))
	e.stats.Descriptors++
	e.stats.Bytes += uint64(ended.transfer.Bytes())
	if ended.fence != nil {
		e.stats.Copies++
		t.Settle()
		ended.fence.Signal()
		ended.fence.Put()
	}
}
