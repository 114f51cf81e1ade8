package iommu

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// FaultKind says why a translation failed. The OMAP MMU reports the first two as a translation fault (MMU_IRQSTATUS bit 1).
type FaultKind uint8

const (
	// FaultFirstLevel is a first-level descriptor without translation: nothing is mapped near the address.
	FaultFirstLevel FaultKind = iota + 1
	// FaultSecondLevel is a second-level descriptor without translation.
	FaultSecondLevel
	// FaultRange is an address beyond the device's address space.
	FaultRange
)

func (k FaultKind) String() string {
	switch k {
	case FaultFirstLevel:
		return "first-level translation fault"
	case FaultSecondLevel:
		return "second-level translation fault"
	case FaultRange:
		return "address out of range"
	}
	return fmt.Sprintf("FaultKind(%d)", uint8(k))
}

// FaultRecord describes a translation fault.
type FaultRecord struct {
	Time  sim.Time // when the last descriptor was read
	VA    bus.IOVA // the first address without translation
	Bytes int      // what was dropped, from VA on
	Kind  FaultKind
	Write bool
}

func (r FaultRecord) String() string {
	dir := "read"
	if r.Write {
		dir = "write"
	}
	return fmt.Sprintf("%s of %d bytes at %v dropped: %v", dir, r.Bytes, r.VA, r.Kind)
}

// LastFault returns the most recent fault, if there was any.
func (m *MMU) LastFault() (FaultRecord, bool) { return m.last, m.faulted }
