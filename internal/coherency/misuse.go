package coherency

import (
	"strings"

	"socsim/internal/result"
	"socsim/sim"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// Note is something to know that is not an error.
type Note struct {
	Kind, Device, Text string
	At                 sim.Time
}

// misuseKey is what reports that are folded have in common.
type misuseKey struct {
	kind, buffer, device, missing string
	index                         int
	warmup                        bool
}

// lifetimeRemedies says what should have been done instead.
var lifetimeRemedies = map[dmabuf.MisuseKind]string{
	dmabuf.UseAfterFree:      "a reference until the last use",
	dmabuf.DoublePut:         "a get for each put",
	dmabuf.PutAttached:       "detach before the last put",
	dmabuf.PutVmapped:        "vunmap before the last put",
	dmabuf.UseAfterDetach:    "detach after the last use",
	dmabuf.DoubleDetach:      "an attach for each detach",
	dmabuf.DetachMapped:      "unmap before the detach",
	dmabuf.UnmapUnmapped:     "a map for each unmap",
	dmabuf.DoubleUnmap:       "a map for each unmap",
	dmabuf.UseAfterUnmap:     "a mapping until the device's last access",
	dmabuf.VunmapUnmapped:    "a vmap for each vunmap",
	dmabuf.MunmapUnmapped:    "an mmap for each munmap",
	dmabuf.CPUUseAfterUnmap:  "a mapping until the CPU's last access",
	dmabuf.FenceUseAfterFree: "a reference until the last use",
	dmabuf.FenceLost:         "a signal before the last put",
	dmabuf.LeakedBuffer:      "put",
	dmabuf.LeakedAttachment:  "detach",
	dmabuf.LeakedMapping:     "unmap",
	dmabuf.LeakedCPUMapping:  "munmap or vunmap",
	dmabuf.LeakedFence:       "signal",
}

// ownershipRemedies says the same of the DMA API.
var ownershipRemedies = map[dmaapi.MisuseKind]string{
	dmaapi.SyncUnmapped:         "map before the sync",
	dmaapi.SyncOutside:          "a sync within the mapping",
	dmaapi.SyncDirection:        "a sync in the mapping's direction",
	dmaapi.UnmapUnmapped:        "a map for each unmap",
	dmaapi.UnmapDirection:       "an unmap in the mapping's direction",
	dmaapi.CPUAccessOwned:       "sync for CPU or unmap before the CPU's access",
	dmaapi.DeviceAccessOwned:    "sync for device before the device's access",
	dmaapi.DeviceAccessUnmapped: "map before the device's access",
}

// Lifetime counts an error about the life of a buffer, an attachment, a mapping or a fence. WrittenPS is when that died, or for what is left over when it was made.
func (c *Checker) Lifetime(m dmabuf.Misuse) {
	v := result.Violation{Kind: underscored(m.Kind.String()), Reader: m.Device, ReadPS: int64(m.At), WrittenPS: int64(m.Since), Missing: lifetimeRemedies[m.Kind], Where: m.Text}
	if m.Buffer != nil {
		v.Buffer, v.Index = m.Buffer.Name, m.Buffer.Index
	}
	c.misused(v)
}

// Misuse counts a wrong use of the DMA API. WrittenPS is when the buffer changed hands last. That two devices share ownership is noted and not counted.
func (c *Checker) Misuse(m dmaapi.Misuse) {
	if m.Kind == dmaapi.SharedOwnership {
		c.notes = append(c.notes, Note{underscored(m.Kind.String()), m.Device, m.Text, m.At})
		return
	}
	c.misused(result.Violation{
		Kind: underscored(m.Kind.String()), Buffer: m.Buffer.Name, Index: m.Buffer.Index, Reader: m.Device, ReadPS: int64(m.At), WrittenPS: int64(c.history(m.Buffer.Region.ID).newest()),
		Missing: ownershipRemedies[m.Kind], Where: m.Text,
	})
}

func underscored(s string) string { return strings.ReplaceAll(s, "-", "_") }

// misused counts a report and folds it with others of the same kind about the same buffer and device.
func (c *Checker) misused(v result.Violation) {
	if c.warm {
		c.others++
	}
	v.Warmup, v.Count = !c.warm, 1
	k := misuseKey{v.Kind, v.Buffer, v.Reader, v.Missing, v.Index, v.Warmup}
	if first, ok := c.misuses[k]; ok {
		first.Count++
		return
	}
	c.misuses[k] = &v
}

// newest is when the buffer changed hands last.
func (h *history) newest() sim.Time {
	var at sim.Time
	for _, x := range h.last {
		at = max(at, x.At)
	}
	return at
}

// Notes returns what is to know and no error, in order. The list grows with each change of ownership at most.
func (c *Checker) Notes() []Note { return c.notes }
