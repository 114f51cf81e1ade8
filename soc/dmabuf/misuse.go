package dmabuf

import (
	"fmt"

	"socsim/sim"
)

// MisuseKind is a way to use an object beyond its life, or to forget it.
type MisuseKind uint8

// The kinds. Who owns the data of a living buffer is the DMA API's business; see [dmaapi.MisuseKind].
const (
	UseAfterFree      MisuseKind = iota // a call or an access on a buffer whose last reference is gone
	DoublePut                           // a reference is put that nobody holds
	PutAttached                         // the last reference is put while a device is attached
	PutVmapped                          // the last reference is put while the kernel maps the buffer
	UseAfterDetach                      // a call or a device's access on an attachment that was detached
	DoubleDetach                        // an attachment is detached again
	DetachMapped                        // an attachment is detached while it is mapped
	UnmapUnmapped                       // an attachment is unmapped that never was mapped
	DoubleUnmap                         // an attachment is unmapped that was unmapped already
	UseAfterUnmap                       // a device's access through an attachment that is not mapped
	VunmapUnmapped                      // a kernel mapping is removed that is not there
	MunmapUnmapped                      // a user mapping is removed again
	CPUUseAfterUnmap                    // the CPU's access through a mapping that was removed
	FenceUseAfterFree                   // a call on a fence whose last reference is gone
	FenceLost                           // the last reference of a fence is put before it was signaled
	LeakedBuffer                        // at exit: somebody still holds a reference
	LeakedAttachment                    // at exit: an attachment was not detached
	LeakedMapping                       // at exit: an attachment was not unmapped
	LeakedCPUMapping                    // at exit: a kernel or user mapping was not removed
	LeakedFence                         // at exit: a fence was never signaled
	misuses
)

var misuseNames = [misuses]string{
	"use-after-free", "double-put", "put-attached", "put-vmapped", "use-after-detach", "double-detach", "detach-mapped", "unmap-unmapped", "double-unmap", "use-after-unmap",
	"vunmap-unmapped", "munmap-unmapped", "cpu-use-after-unmap", "fence-use-after-free", "fence-lost",
	"leaked-buffer", "leaked-attachment", "leaked-mapping", "leaked-cpu-mapping", "leaked-fence",
}

func (k MisuseKind) String() string {
	if k < misuses {
		return misuseNames[k]
	}
	return fmt.Sprintf("misuse(%d)", uint8(k))
}

// Misuse is one step that was wrong, or one thing that was left over.
type Misuse struct {
	Kind   MisuseKind
	Buffer *Buffer // nil for a fence
	Device string  // or who accessed it, or the timeline of a fence; "" if nobody is known
	At     sim.Time
	// Since is when the object died (was put, detached, unmapped, signaled), or for what still lives when it was made.
	Since sim.Time
	Text  string
}

// A Debugger is told about each misuse once. It must not change the model.
type Debugger interface{ Lifetime(m Misuse) }

// SetDebugger attaches who is told about misuse; nil detaches.
func (a *Allocator) SetDebugger(d Debugger) { a.debugger = d }

// Misuses returns how often a misuse was seen, with or without a debugger.
func (a *Allocator) Misuses(k MisuseKind) uint64 { return a.misuses[k] }

// misuse reports a wrong step and returns it as an error.
func (a *Allocator) misuse(m Misuse, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	m.Text = err.Error()
	a.misuses[m.Kind]++
	if a.debugger != nil {
		a.debugger.Lifetime(m)
	}
	return err
}

// CheckExit reports what is left over when the application is at its end: buffers that somebody holds, what is attached to them or maps them, and fences that were never signaled. It does not end
// them. O(all of them).
func (a *Allocator) CheckExit(at sim.Time) {
	for _, b := range a.buffers {
		name := b.Region.Name
		_ = a.misuse(Misuse{Kind: LeakedBuffer, Buffer: b, Device: b.Owner, At: at, Since: b.made}, "%s is left over with %d references", name, b.refs)
		for _, at2 := range b.attachments {
			dev := at2.Importer.DeviceName()
			_ = a.misuse(Misuse{Kind: LeakedAttachment, Buffer: b, Device: dev, At: at, Since: at2.made}, "%s is still attached to %s", name, dev)
			if at2.maps > 0 {
				_ = a.misuse(Misuse{Kind: LeakedMapping, Buffer: b, Device: dev, At: at, Since: at2.changed}, "%s is still mapped for %s", name, dev)
			}
		}
		for _, m := range b.mappings {
			_ = a.misuse(Misuse{Kind: LeakedCPUMapping, Buffer: b, At: at, Since: m.made}, "%s is still mapped for the CPU", name)
		}
		if b.vmap != nil {
			_ = a.misuse(Misuse{Kind: LeakedCPUMapping, Buffer: b, At: at, Since: b.vmap.made}, "%s is still mapped for the kernel", name)
		}
	}
	for _, tl := range a.timelines {
		for _, f := range tl.pending {
			_ = a.misuse(Misuse{Kind: LeakedFence, Device: tl.name, At: at, Since: f.made}, "fence %d:%d of %s was never signaled", tl.context, f.seqno, tl.name)
		}
	}
}
