package dmabuf

import (
	"errors"
	"fmt"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// SyncFlags is the argument of DMA_BUF_IOCTL_SYNC (include/uapi/linux/dma-buf.h).
type SyncFlags uint8

// The flags. SyncStart is the absence of SyncEnd.
const (
	SyncRead  SyncFlags = 1
	SyncWrite SyncFlags = 2
	SyncRW              = SyncRead | SyncWrite
	SyncStart SyncFlags = 0
	SyncEnd   SyncFlags = 4
)

// ErrInterrupted is EINTR: a signal came before the fences. The exporter has done its maintenance, the device may still be at work, and the caller must start again. To go on in spite of it was a bug
// of drivers ("dma-buf, drm, ion: Propagate error code from dma_buf_start_cpu_access").
var ErrInterrupted = errors.New("interrupted by a signal")

// Direction maps the flags as dma_buf_ioctl does: what the CPU will read is from the device, what it will write is to the device.
func (f SyncFlags) Direction() (dmaapi.Direction, bool) {
	switch f & SyncRW {
	case SyncRead:
		return dmaapi.FromDevice, true
	case SyncWrite:
		return dmaapi.ToDevice, true
	case SyncRW:
		return dmaapi.Bidirectional, true
	}
	return 0, false
}

// Sync is DMA_BUF_IOCTL_SYNC.
func (b *Buffer) Sync(t *cpu.Thread, f SyncFlags) error {
	dir, ok := f.Direction()
	switch {
	case !ok || f&^(SyncRW|SyncEnd) != 0:
		return fmt.Errorf("sync of %s: invalid flags %#x", b.Region.Name, uint8(f))
	case f&SyncEnd != 0:
		return b.EndCPUAccess(t, dir)
	}
	return b.BeginCPUAccess(t, dir)
}

// SetSignals attaches who decides, each time that BeginCPUAccess would wait for fences, whether a signal interrupts it; nil detaches.
func (a *Allocator) SetSignals(interrupts func(b *Buffer) bool) { a.interrupts = interrupts }

// BeginCPUAccess is DMA_BUF_IOCTL_SYNC with START: SYNC_READ is FromDevice, SYNC_WRITE is ToDevice, both is Bidirectional. As in the kernel the exporter's hook runs before the
// implicit fences are waited for.
func (b *Buffer) BeginCPUAccess(t *cpu.Thread, dir dmaapi.Direction) error {
	if b.dead {
		return b.useAfterFree(t.Now(), "", "begin of CPU access to")
	}
	var err error
	t.Syscall(func() {
		b.alloc.stats.CPUAccess++
		if b.Exporter.traits().hook == hookMapped {
			b.maintainVmap(t) // invalidate_kernel_vmap_range
		}
		b.hook(t, dir, b.alloc.api.SyncForCPU)
		b.alloc.api.Wait(t, b.Buffer)
		usage := UsageFor(dir != dmaapi.FromDevice)
		if b.Resv.pending(usage) != nil && b.alloc.interrupts != nil && b.alloc.interrupts(b) {
			err = fmt.Errorf("begin of CPU access to %s: %w", b.Region.Name, ErrInterrupted)
			return
		}
		b.Resv.WaitFor(t, usage)
	})
	return err
}

// EndCPUAccess is DMA_BUF_IOCTL_SYNC with END.
func (b *Buffer) EndCPUAccess(t *cpu.Thread, dir dmaapi.Direction) error {
	if b.dead {
		return b.useAfterFree(t.Now(), "", "end of CPU access to")
	}
	t.Syscall(func() {
		b.alloc.stats.CPUAccess++
		if b.Exporter.traits().hook == hookMapped {
			b.maintainVmap(t) // flush_kernel_vmap_range
		}
		b.hook(t, dir, b.alloc.api.SyncForDevice)
	})
	return nil
}

// hook is the exporter's: it syncs each mapped attachment in the direction of the access, or its own mapping in the mapping's, or nothing.
func (b *Buffer) hook(t *cpu.Thread, dir dmaapi.Direction, sync func(*cpu.Thread, *dmaapi.Buffer, string, dmaapi.Direction)) {
	h := b.Exporter.traits().hook
	if b.hooks && b.Exporter == VB2Contig {
		h = hookOwn
	}
	switch h {
	case hookMapped:
		for _, at := range b.attachments {
			if at.mapped {
				sync(t, b.Buffer, at.Importer.DeviceName(), dir)
			}
		}
	case hookOwn:
		sync(t, b.Buffer, b.Owner, b.Direction)
	}
}
