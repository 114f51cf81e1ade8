package dmaapi

import (
	"fmt"

	"socsim/sim"
	"socsim/soc/cpu"
)

// Owner is who may touch a buffer, as one device's mapping of it has it (Arnd Bergmann's description of the streaming API):
//
//	CPU --map, sync for device--> device --sync for CPU--> CPU, mapped --sync for device--> device
//
// and unmap leads back to the CPU from both.
type Owner uint8

// The owners.
const (
	OwnerCPU       Owner = iota // not mapped
	OwnerDevice                 // the device alone may touch it
	OwnerCPUMapped              // the CPU alone may, and the device's address stays valid
)

func (o Owner) String() string {
	names := [...]string{"CPU", "device", "CPU, mapped"}
	if int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("owner(%d)", uint8(o))
}

// after is who owns a mapped buffer after a sync.
func after(e Event) Owner {
	if e == ToDeviceHandover {
		return OwnerDevice
	}
	return OwnerCPUMapped
}

// mapping is a device's mapping of a buffer.
type mapping struct {
	device string
	dir    Direction
	owner  Owner
}

// MisuseKind is a way to use the DMA API wrongly.
type MisuseKind uint8

// The kinds. The first five are those that kernel/dma/debug.c finds; it cannot see accesses.
const (
	SyncUnmapped         MisuseKind = iota // a sync of what is not mapped
	SyncOutside                            // a sync outside of the mapping
	SyncDirection                          // a sync in another direction than the mapping's
	UnmapUnmapped                          // an unmap of what is not mapped
	UnmapDirection                         // an unmap in another direction
	CPUAccessOwned                         // the CPU touches what a device owns
	DeviceAccessOwned                      // a device touches what the CPU owns
	DeviceAccessUnmapped                   // a device touches what is not mapped for it
	SharedOwnership                        // two devices own the buffer and one writes: right only if they are coherent with each other
	misuses
)

func (k MisuseKind) String() string {
	names := [...]string{
		"sync-unmapped", "sync-outside", "sync-direction", "unmap-unmapped", "unmap-direction", "cpu-access-owned", "device-access-owned", "device-access-unmapped", "shared-ownership",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("misuse(%d)", uint8(k))
}

// Misuse is one wrong use of the DMA API.
type Misuse struct {
	Kind   MisuseKind
	Buffer *Buffer
	Device string // or the driver whose CPU access it is
	At     sim.Time
	Text   string
}

// A Debugger is told about misuse. It must not change the model. Coherent memory is shared by design and is not watched for accesses.
type Debugger interface{ Misuse(m Misuse) }

// SetDebugger attaches who is told about misuse; nil detaches.
func (a *API) SetDebugger(d Debugger) { a.debugger = d }

func (a *API) misuse(k MisuseKind, at sim.Time, b *Buffer, device, format string, args ...any) {
	if a.debugger != nil {
		a.debugger.Misuse(Misuse{k, b, device, at, fmt.Sprintf(format, args...)})
	}
}

// mapped returns the device's newest mapping of the buffer.
func (b *Buffer) mapped(device string) *mapping {
	for i := len(b.mappings) - 1; i >= 0; i-- {
		if b.mappings[i].device == device {
			return &b.mappings[i]
		}
	}
	return nil
}

// Owner returns who owns the buffer as far as the device's mapping goes.
func (b *Buffer) Owner(device string) Owner {
	if m := b.mapped(device); m != nil {
		return m.owner
	}
	return OwnerCPU
}

// pass checks a call as kernel/dma/debug.c does (its texts are recalled), and passes ownership on.
func (a *API) pass(t *cpu.Thread, c *Call) {
	b := c.Buffer
	b.shared = false
	if c.Event == MapDevice {
		b.mappings = append(b.mappings, mapping{c.Device, c.Direction, OwnerDevice})
		return
	}
	m := b.mapped(c.Device)
	if m == nil {
		if c.Event == UnmapDevice {
			a.misuse(UnmapUnmapped, t.Now(), b, c.Device, "device driver tries to free DMA memory it has not allocated")
		} else {
			a.misuse(SyncUnmapped, t.Now(), b, c.Device, "device driver tries to sync DMA memory it has not allocated")
		}
		return
	}
	if c.Event == UnmapDevice {
		if m.dir != c.Direction {
			a.misuse(UnmapDirection, t.Now(), b, c.Device, "device driver frees DMA memory with different direction [mapped with %v] [unmapped with %v]", m.dir, c.Direction)
		}
		b.forget(m)
		return
	}
	if c.Offset < 0 || c.Length <= 0 || c.Offset+c.Length > b.Bytes() {
		a.misuse(SyncOutside, t.Now(), b, c.Device, "device driver syncs DMA memory outside allocated range [offset=%d] [size=%d bytes] of %d bytes", c.Offset, c.Length, b.Bytes())
		return
	}
	if m.dir != c.Direction && m.dir != Bidirectional {
		a.misuse(SyncDirection, t.Now(), b, c.Device, "device driver syncs DMA memory with different direction [mapped with %v] [synced with %v]", m.dir, c.Direction)
	}
	m.owner = after(c.Event)
}

// forget removes a mapping.
func (b *Buffer) forget(m *mapping) {
	for i := range b.mappings {
		if &b.mappings[i] == m {
			b.mappings = append(b.mappings[:i], b.mappings[i+1:]...)
			return
		}
	}
}

// CPUAccess checks that the CPU may touch the buffer, at the beginning of an access by a driver or a task. O(mappings).
func (a *API) CPUAccess(at sim.Time, b *Buffer, who string, write bool) {
	if a.debugger == nil || b.Kind.Coherent() {
		return
	}
	for _, m := range b.mappings {
		if m.owner == OwnerDevice {
			a.misuse(CPUAccessOwned, at, b, who, "CPU %s of a buffer that %s owns (%v)", verb(write), m.device, m.dir)
			return
		}
	}
}

// DeviceAccess checks that a device may touch the buffer, at the beginning of an access. That it shares ownership with another is noted once until ownership changes; it is right if neither writes.
func (a *API) DeviceAccess(at sim.Time, b *Buffer, device string, write bool) {
	if a.debugger == nil || b.Kind.Coherent() {
		return
	}
	own := b.mapped(device)
	switch {
	case own == nil:
		a.misuse(DeviceAccessUnmapped, at, b, device, "%s %ss a buffer that is not mapped for it", device, verb(write))
		return
	case own.owner != OwnerDevice:
		a.misuse(DeviceAccessOwned, at, b, device, "%s %ss a buffer that the CPU owns", device, verb(write))
		return
	}
	for i := range b.mappings {
		m := &b.mappings[i]
		if m != own && m.device != device && m.owner == OwnerDevice && !b.shared && (m.dir != ToDevice || own.dir != ToDevice) {
			b.shared = true
			a.misuse(SharedOwnership, at, b, device, "%s (%v) and %s (%v) own the buffer at once", device, own.dir, m.device, m.dir)
		}
	}
}

func verb(write bool) string {
	if write {
		return "write"
	}
	return "read"
}
