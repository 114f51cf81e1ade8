package v4l2

import (
	"socsim/isp"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/dmabuf"
)

// Converter is the driver of a path of the ISP from memory to memory: a job takes a source and a destination, which the application has queued on the two sides of the device, and runs when the ISP has done
// those before it (drivers/media/platform/omap3isp: ispresizer.c and isppreview.c with an input from memory).
type Converter struct {
	path   *isp.Memory
	name   string
	line   *dmabuf.Timeline
	irq    *cpu.Thread
	done   []int // cookies of finished jobs, not yet handled
	fences map[int]*dmabuf.Fence
	next   int
}

// NewConverter returns the driver and installs its interrupt handler.
func NewConverter(core *cpu.Core, name string, path *isp.Memory) *Converter {
	c := &Converter{path: path, name: name, fences: map[int]*dmabuf.Fence{}}
	c.irq = core.SpawnIRQ(name+" irq", func(t *cpu.Thread) {
		t.MMIO(1, 1)
		t.Settle()
		cookie := c.done[0]
		c.done = append(c.done[:0], c.done[1:]...)
		f := c.fences[cookie]
		delete(c.fences, cookie)
		f.Signal()
		f.Put()
	})
	path.OnDone = func(d isp.JobDone) {
		c.done = append(c.done, d.Cookie)
		c.irq.Raise()
	}
	return c
}

// IRQ returns the interrupt handler.
func (c *Converter) IRQ() *cpu.Thread { return c.irq }

// Submit converts the source into the destination once their fences allow it, and returns the job's fence with a reference for the caller.
func (c *Converter) Submit(t *cpu.Thread, from, to *dmabuf.Attachment) *dmabuf.Fence {
	if c.line == nil {
		c.line = from.Buffer.Allocator().NewTimeline(c.name)
	}
	var f *dmabuf.Fence
	t.Syscall(func() {
		f = c.line.Begin(t, from, to)
		t.MMIO(0, 3)
		t.Settle()
		c.next++
		c.fences[c.next] = f.Get()
		c.path.Submit(bus.IOVA(from.Addr), bus.IOVA(to.Addr), c.next)
	})
	return f
}
