package coherency

import (
	"fmt"

	"socsim/internal/result"
	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
)

// translationKey is one stale use: repeats on the same page after the same change are folded.
type translationKey struct {
	device string
	page   bus.IOVA
	since  sim.Time
}

type translationGroup struct {
	device string
	what   iommu.StaleKind
	region int32
	warmup bool
}

// StaleTranslation counts an access of a device through a translation that is no longer what the tables say. As with the other violations, one page after one change counts once.
func (c *Checker) StaleTranslation(device string, s iommu.Stale) {
	k := translationKey{device, s.VA &^ (iommu.PageBytes - 1), s.Since}
	if c.astray[k] {
		return
	}
	c.astray[k] = true
	if c.warm {
		c.others++
	}
	id, off, name := int32(-1), int64(0), ""
	if region, at := c.mem.Owner(s.PA); region != nil {
		id, off, name = region.ID, at, region.Name
	}
	gk := translationGroup{device, s.What, id, !c.warm}
	if v, ok := c.translations[gk]; ok {
		v.Count++
		return
	}
	v := &result.Violation{
		Kind: "stale_translation", Buffer: name, Offset: off, Bytes: int64(s.Bytes), Writer: "driver of " + device, WrittenPS: int64(s.Since), Reader: device, ReadPS: int64(s.Time), Warmup: !c.warm, Count: 1,
		Missing: "TLB flush", Where: fmt.Sprintf("of %v, whose page had been %v", s.VA, s.What),
	}
	if s.What == iommu.NotCleaned {
		v.Missing, v.Where = "clean of the descriptor", fmt.Sprintf("of %v after it was stored", s.VA)
	}
	if h := c.buffers[id]; h != nil && h.name != "" {
		v.Buffer, v.Index = h.name, h.index
	}
	c.translations[gk] = v
}

// Others returns the violations since the warm-up that are of no other kind.
func (c *Checker) Others() uint64 { return c.others }
