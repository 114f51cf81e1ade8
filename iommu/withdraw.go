package iommu

import "socsim/sim/bus"

// Withdraw takes the transfer back and returns true, as though it had not been issued: its lookups are not counted. It returns false if a part of it has been granted, the walker's reads
// included, if it stands still after a fault, and if there is none.
func (t *Port) Withdraw() bool {
	va, n := uint64(t.va), t.bus.Left
	if !t.fresh || !t.bus.Withdraw() {
		return false
	}
	t.fresh = false
	if !t.mmu.enabled {
		return true
	}
	c := &t.mmu.count
	if t.level > 0 {
		c.Misses -= min(c.Misses, 1) // the counters may have been reset in the meantime
		if t.via {
			c.WalkCacheHits -= min(c.WalkCacheHits, 1)
		}
		return true
	}
	hits := (va-1)/bus.BurstBytes - (va-uint64(n))/bus.BurstBytes + 1
	c.Hits -= min(c.Hits, hits)
	return true
}
