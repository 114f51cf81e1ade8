// Package drm models the DRM side of buffer sharing: GEM objects and PRIME, devices that import dma-bufs, GPU submissions with implicit and explicit fences, and atomic page flips that take effect at
// vsync.
//
// A submission waits for the write fence of what it reads and for all fences of what it writes, and leaves its own fence on both; a flip waits for the write fence of what it shows. The waiting is the
// submitting thread's, as when the atomic commit worker waits.
//
// Left out: several planes in one commit, modesets, the locks of reservation objects, drm_fb_dma_sync_non_coherent for a cached framebuffer.
package drm

import (
	"fmt"

	"socsim/gpu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// Translated is an importer behind an IOMMU: its buffers are mapped into the device's address space, at once or, on demand, page by page as the device faults.
type Translated struct {
	Name     string
	Domain   *dmaapi.Domain
	OnDemand bool
}

// DeviceName names the device.
func (i *Translated) DeviceName() string { return i.Name }

// MapBuffer maps the buffer's pages.
func (i *Translated) MapBuffer(t *cpu.Thread, b *dmabuf.Buffer) (bus.Addr, error) {
	if i.OnDemand {
		return i.Domain.Reserve(t, b.Region)
	}
	return i.Domain.Map(t, b.Region)
}

// UnmapBuffer removes them.
func (i *Translated) UnmapBuffer(t *cpu.Thread, _ *dmabuf.Buffer, addr bus.Addr) error {
	return i.Domain.Unmap(t, addr)
}

// Physical is an importer without an IOMMU: it takes contiguous buffers only, at their physical address.
type Physical struct{ Name string }

// DeviceName names the device.
func (i *Physical) DeviceName() string { return i.Name }

// MapBuffer returns the physical address of a contiguous buffer.
func (i *Physical) MapBuffer(_ *cpu.Thread, b *dmabuf.Buffer) (bus.Addr, error) {
	if !b.Region.Contiguous() {
		return 0, fmt.Errorf("%s has no MMU and the buffer is in %d pieces: it needs memory: contiguous", i.Name, len(b.Runs))
	}
	return bus.Addr(b.Region.Frames[0]), nil
}

// UnmapBuffer has nothing to undo.
func (i *Physical) UnmapBuffer(*cpu.Thread, *dmabuf.Buffer, bus.Addr) error { return nil }

// Surface describes the image in a buffer.
type Surface struct {
	Width, Height, BytesPerPixel, Stride int
}

// Renderer is the driver of a GPU.
type Renderer struct {
	gpu    *soc.Graphics
	irq    *cpu.Thread
	done   []int                 // cookies of finished jobs, not yet handled
	fences map[int]*dmabuf.Fence // by the last job of a submission
	next   int
	room   cpu.WaitQueue
	line   *dmabuf.Timeline
	// SyncAtSubmit hands all buffers of a submission over to the GPU at once, where strategies are asked about the batch, as drivers do that map their buffers once and cached (drivers/gpu/msm/kgsl.c).
	// Otherwise the exporters' mappings have to do.
	SyncAtSubmit bool
}

// NewRenderer returns the driver and installs its interrupt handler.
func NewRenderer(core *cpu.Core, g *soc.Graphics) *Renderer {
	r := &Renderer{gpu: g, fences: map[int]*dmabuf.Fence{}}
	r.irq = core.SpawnIRQ(g.Name+" irq", func(t *cpu.Thread) {
		t.MMIO(1, 1)
		t.Settle()
		cookie := r.done[0]
		r.done = append(r.done[:0], r.done[1:]...)
		if f := r.fences[cookie]; f != nil {
			delete(r.fences, cookie)
			f.Signal()
			f.Put()
		}
		r.room.WakeAll()
	})
	g.OnDone = func(d gpu.Done) {
		r.done = append(r.done, d.Cookie)
		r.irq.Raise()
	}
	return r
}

// IRQ returns the interrupt handler.
func (r *Renderer) IRQ() *cpu.Thread { return r.irq }

func surface(at *dmabuf.Attachment, s Surface) gpu.Surface {
	return gpu.Surface{
		Addr: bus.IOVA(at.Addr), Width: s.Width, Height: s.Height, BytesPerPixel: s.BytesPerPixel, Stride: s.Stride,
	}
}

// Flipper is the driver of a pipeline of a display controller.
type Flipper struct {
	screen *soc.Screen
	pipe   display.Pipeline
	irq    *cpu.Thread
	wait   cpu.WaitQueue
	// OnFlip, if set, is called by an event at each vsync that shows a new frame.
	OnFlip func(v display.Vsync)
}

// NewFlipper returns the driver and installs its interrupt handler.
func NewFlipper(core *cpu.Core, s *soc.Screen, p display.Pipeline) *Flipper {
	f := &Flipper{screen: s, pipe: p}
	f.irq = core.SpawnIRQ(s.Name+" irq", func(t *cpu.Thread) {
		t.MMIO(1, 1)
		t.Settle()
		f.wait.WakeAll()
	})
	s.OnVsync[p] = func(v display.Vsync) {
		if v.New && f.OnFlip != nil {
			f.OnFlip(v)
		}
		if v.New || f.irq.Missed() { // vsync interrupts are on while somebody waits for one
			f.irq.Raise()
		}
	}
	return f
}

// Flip shows a picture in the buffer from the next vsync on. It waits for the buffer's write fence first and returns when the flip has taken effect.
func (f *Flipper) Flip(t *cpu.Thread, at *dmabuf.Attachment, picture display.Frame) {
	t.Syscall(func() {
		at.Buffer.Resv.Wait(t, false)
		at.Ready(t)
		at.Use(t)
		t.MMIO(0, 3)
		t.Settle()
		f.screen.Flip(f.pipe, picture)
		for f.screen.FlipPending(f.pipe) {
			f.wait.Wait(t)
			t.Settle()
		}
	})
}

// IRQ returns the interrupt handler.
func (f *Flipper) IRQ() *cpu.Thread { return f.irq }

// Start starts the panel's refresh.
func (f *Flipper) Start(at sim.Time) { f.screen.Start(at) }
