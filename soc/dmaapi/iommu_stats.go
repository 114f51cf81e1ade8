package dmaapi

import (
	"socsim/iommu"
	"socsim/sim"
)

// PageCount is the pages of one size.
type PageCount struct {
	Bytes int
	Pages uint64
}

// DomainStats is what a domain's driver did since the last reset, and how its address space is used now.
type DomainStats struct {
	Map, Unmap Cost
	Service    Cost // of the interrupt handler, with what its OnFault did
	Load       Cost // of LoadTLB
	Faults     FaultStats
	Mapped     []PageCount // by size, ascending
	Space      iommu.SpaceStats
}

// Stats returns the domain's account.
func (d *Domain) Stats() DomainStats {
	s := DomainStats{Map: d.mapped, Unmap: d.unmapped, Service: d.served, Load: d.loaded, Faults: d.faults, Space: d.space.Stats()}
	for i, size := range d.sizes {
		s.Mapped = append(s.Mapped, PageCount{size, d.pages[i]})
	}
	return s
}

// MapTime returns the time spent in Map since the last reset.
func (d *Domain) MapTime() sim.Time { return d.mapped.Time }

// UnmapTime returns the time spent in Unmap since the last reset.
func (d *Domain) UnmapTime() sim.Time { return d.unmapped.Time }

// ResetStats starts the account anew. What is mapped stays.
func (d *Domain) ResetStats() {
	d.mapped, d.unmapped, d.served, d.loaded = Cost{}, Cost{}, Cost{}, Cost{}
	d.faults = FaultStats{}
	clear(d.pages)
	d.space.ResetStats()
}
