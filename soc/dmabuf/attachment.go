package dmabuf

import (
	"errors"
	"fmt"
	"slices"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// An Importer is a device that can attach: how it makes the buffer reachable for itself.
type Importer interface {
	// DeviceName names the device.
	DeviceName() string
	// MapBuffer makes the buffer reachable and returns its bus address. Its cost is the calling thread's.
	MapBuffer(t *cpu.Thread, b *Buffer) (bus.Addr, error)
	// UnmapBuffer ends that.
	UnmapBuffer(t *cpu.Thread, b *Buffer, addr bus.Addr) error
}

// Attachment is a device's attachment.
type Attachment struct {
	Buffer    *Buffer
	Importer  Importer
	Direction dmaapi.Direction
	Addr      bus.Addr
	// Hints go with the exporter's map and unmap for the device: DMA_ATTR_SKIP_CPU_SYNC. The syncs of CPU access brackets have no attributes.
	Hints dmaapi.Hints

	maps    int              // Map calls without their Unmap
	mapped  bool             // the device's mapping exists; exporters keep it beyond the last Unmap
	dir     dmaapi.Direction // of the mapping
	used    bool
	ever    bool // it was mapped once
	gone    bool // detached
	made    sim.Time
	changed sim.Time // when it was mapped, unmapped or detached last
}

// ErrBusy is returned for a second mapping in another direction, where the first is kept (EBUSY of dma_buf_map_attachment).
var ErrBusy = errors.New("mapped in another direction")

// Attach adds an attachment of the device. Nothing is mapped yet.
func (b *Buffer) Attach(dev Importer, dir dmaapi.Direction) *Attachment {
	at := &Attachment{Buffer: b, Importer: dev, Direction: dir, made: b.alloc.api.Core.Engine().Now()}
	if b.dead {
		at.gone = true
		_ = b.useAfterFree(at.made, dev.DeviceName(), "attaching")
		return at
	}
	b.attachments = append(b.attachments, at)
	return at
}

// Map maps the attachment for its device in its own direction and returns the bus address.
func (at *Attachment) Map(t *cpu.Thread) (bus.Addr, error) { return at.MapFor(t, at.Direction) }

// MapFor is dma_buf_map_attachment. The mapping hands the buffer over (dma_map_sg) or skips that, as the exporter does. A mapping that exists is returned as it is; vb2 exporters replace it for
// another direction. Only the exporting queue's own mapping is always in its own direction, with the sync left to QBUF.
func (at *Attachment) MapFor(t *cpu.Thread, dir dmaapi.Direction) (bus.Addr, error) {
	if err := at.alive(t, "mapping"); err != nil {
		return 0, err
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	if at.mapped && at.dir != dir {
		switch {
		case at.keeps() == keepDirection && at.maps == 0:
			if err := at.unmap(t); err != nil {
				return 0, err
			}
		case at.keeps() != keepSgt || at.dir != dmaapi.Bidirectional:
			return 0, fmt.Errorf("mapping %s for %s in direction %v: %w, %v", at.Buffer.Region.Name, at.Importer.DeviceName(), dir, ErrBusy, at.dir)
		}
	}
	if !at.mapped {
		addr, err := at.Importer.MapBuffer(t, at.Buffer)
		if err != nil {
			return 0, fmt.Errorf("mapping %s for %s: %w", at.Buffer.Region.Name, at.Importer.DeviceName(), err)
		}
		at.Addr, at.mapped, at.ever, at.dir = addr, true, true, dir
		at.Buffer.alloc.stats.Maps++
		at.Buffer.alloc.api.Do(t, at.call(dmaapi.MapDevice))
		if at.queueOwn() {
			at.Buffer.alloc.api.Do(t, at.call(dmaapi.ToCPUHandover)) // it is user space's until QBUF, though nothing is synced
		}
	}
	at.maps++
	at.changed = t.Now()
	return at.Addr, nil
}

// call is a call of the DMA API for the attachment.
func (at *Attachment) call(e dmaapi.Event) dmaapi.Call {
	c := dmaapi.Call{Event: e, Buffer: at.Buffer.Buffer, Device: at.Importer.DeviceName(), Direction: at.dir}
	if at.queueOwn() {
		c.Direction = at.Buffer.Direction
	}
	if at.queueOwn() || at.Buffer.Exporter.traits().skip {
		c.Hints = dmaapi.SkipCPUSync
	}
	c.Hints |= at.Hints
	return c
}

// queueOwn tells whether this is the exporting queue's own mapping, which videobuf2 makes and ends with DMA_ATTR_SKIP_CPU_SYNC.
func (at *Attachment) queueOwn() bool {
	return at.Buffer.Exporter.IsQueue() && at.Importer.DeviceName() == at.Buffer.Owner
}

// keeps is what becomes of the mapping when it is unmapped.
func (at *Attachment) keeps() keep {
	if at.queueOwn() {
		return keepNone
	}
	return at.Buffer.Exporter.traits().keep
}

// alive reports what is done to an attachment that is gone, or whose buffer is.
func (at *Attachment) alive(t *cpu.Thread, doing string) error {
	b, dev := at.Buffer, at.Importer.DeviceName()
	switch {
	case at.gone && !b.dead:
		return b.alloc.misuse(Misuse{Kind: UseAfterDetach, Buffer: b, Device: dev, At: t.Now(), Since: at.changed}, "%s %s for %s: detached", doing, b.Region.Name, dev)
	case b.dead:
		return b.useAfterFree(t.Now(), dev, doing)
	}
	return nil
}

// Unmap is dma_buf_unmap_attachment.
func (at *Attachment) Unmap(t *cpu.Thread) error {
	if err := at.alive(t, "unmapping"); err != nil {
		return err
	}
	b, dev := at.Buffer, at.Importer.DeviceName()
	if at.maps == 0 {
		kind, since := UnmapUnmapped, at.made
		if at.ever {
			kind, since = DoubleUnmap, at.changed
		}
		return b.alloc.misuse(Misuse{Kind: kind, Buffer: b, Device: dev, At: t.Now(), Since: since}, "unmapping %s for %s: not mapped", b.Region.Name, dev)
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	at.maps--
	at.changed = t.Now()
	if at.maps > 0 || at.keeps() != keepNone {
		return nil
	}
	return at.unmap(t)
}

// unmap ends the device's mapping.
func (at *Attachment) unmap(t *cpu.Thread) error {
	at.mapped = false
	at.Buffer.alloc.stats.Unmaps++
	api := at.Buffer.alloc.api
	api.Do(t, at.call(dmaapi.UnmapDevice))
	api.Wait(t, at.Buffer.Buffer)
	if err := at.Importer.UnmapBuffer(t, at.Buffer, at.Addr); err != nil {
		return fmt.Errorf("unmapping %s for %s: %w", at.Buffer.Region.Name, at.Importer.DeviceName(), err)
	}
	return nil
}

// Detach is dma_buf_detach: it ends the attachment, and the mapping that the exporter kept for it. What an importer forgot to unmap stays in the device's page tables if the exporter keeps nothing.
func (at *Attachment) Detach(t *cpu.Thread) error {
	b, dev := at.Buffer, at.Importer.DeviceName()
	if at.gone && !b.dead {
		return b.alloc.misuse(Misuse{Kind: DoubleDetach, Buffer: b, Device: dev, At: t.Now(), Since: at.changed}, "detaching %s from %s: detached already", dev, b.Region.Name)
	}
	if err := at.alive(t, "detaching"); err != nil {
		return err
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	var forgot, failed error
	if at.maps > 0 {
		forgot = b.alloc.misuse(Misuse{Kind: DetachMapped, Buffer: b, Device: dev, At: t.Now(), Since: at.changed}, "detaching %s from %s: still mapped", dev, b.Region.Name)
	}
	if at.mapped && at.keeps() != keepNone {
		failed = at.unmap(t)
	}
	b.attachments = slices.DeleteFunc(b.attachments, func(x *Attachment) bool { return x == at })
	at.gone, at.maps, at.changed = true, 0, t.Now()
	return errors.Join(forgot, failed)
}

// Mapped tells whether the importer has mapped the attachment.
func (at *Attachment) Mapped() bool { return at.maps > 0 }

// Ready waits until a hand-over to the device that a worker thread does is complete. A driver calls it before it starts the device.
func (at *Attachment) Ready(t *cpu.Thread) { at.Buffer.alloc.api.Wait(t, at.Buffer.Buffer) }

// Use notes that the device begins to work on the buffer through this attachment, and reports it if there is no mapping for that or the device does not own the buffer.
func (at *Attachment) Use(t *cpu.Thread) {
	if at.alive(t, "DMA to") != nil {
		return
	}
	b, dev := at.Buffer, at.Importer.DeviceName()
	if at.maps == 0 {
		_ = b.alloc.misuse(Misuse{Kind: UseAfterUnmap, Buffer: b, Device: dev, At: t.Now(), Since: at.changed}, "DMA to %s for %s: not mapped", b.Region.Name, dev)
		return
	}
	at.used = true
	b.alloc.api.DeviceAccess(t.Now(), b.Buffer, dev, at.dir != dmaapi.ToDevice)
}
