package iommu

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// FaultKind says why a translation failed. The kinds are those of the OMAP MMU and their values the bits of its MMU_IRQSTATUS (omap-iommu.c, MMU_IRQ_*); the other MMUs have the same, under other names.
type FaultKind uint8

const (
	// TLBMiss is a miss while the table walker is off: software is to load the entry.
	TLBMiss FaultKind = iota
	// TranslationFault is a descriptor that is none, at any level, or an address beyond the address space.
	TranslationFault
	// EmulatorMiss is a miss of the emulator's access while the table walker is off.
	EmulatorMiss
	// TableWalkFault is a descriptor to be read where there is no memory.
	TableWalkFault
	// MultiHit is an address that several TLB entries translate.
	MultiHit
	faultKinds
)

// FaultKinds is the number of kinds.
const FaultKinds = int(faultKinds)

// Bit returns the kind's bit in MMU_IRQSTATUS.
func (k FaultKind) Bit() uint32 { return 1 << k }

func (k FaultKind) String() string {
	switch k {
	case TLBMiss:
		return "TLB miss without table walking"
	case TranslationFault:
		return "translation fault"
	case EmulatorMiss:
		return "emulator's TLB miss without table walking"
	case TableWalkFault:
		return "table walk fault"
	case MultiHit:
		return "multi-hit fault"
	}
	return fmt.Sprintf("FaultKind(%d)", uint8(k))
}

// FaultCounts counts faults by kind.
type FaultCounts [FaultKinds]uint64

// Total returns the number of faults of all kinds.
func (c FaultCounts) Total() (n uint64) {
	for _, k := range c {
		n += k
	}
	return n
}

// FaultRecord describes a fault: an access that was stalled.
type FaultRecord struct {
	Time   sim.Time // when the hardware knows; see [MMU.OnFault]
	VA     bus.IOVA // the first address without translation
	Bytes  int      // what is held up, from VA on
	Kind   FaultKind
	Level  int // of the descriptor that is none or is not in memory; 0 when none was to be read
	Write  bool
	Master bus.Master
}

func (r FaultRecord) String() string {
	dir := "read"
	if r.Write {
		dir = "write"
	}
	s := fmt.Sprintf("%s of %d bytes at %v stalled: %v", dir, r.Bytes, r.VA, r.Kind)
	if r.Level > 0 {
		s += fmt.Sprintf(" at level %d", r.Level)
	}
	return s
}

// Status returns what MMU_IRQSTATUS and MMU_FAULT_AD show: the bit of the fault that is pending, and its address; 0 when there is none.
func (m *MMU) Status() (bits uint32, va bus.IOVA) { return m.status, m.faultVA }

// LastFault returns the most recent fault that Status showed, if there was any.
func (m *MMU) LastFault() (FaultRecord, bool) { return m.last, m.faulted }

// Acknowledge clears the status and lets every access that is stalled try again from now on, in the order in which they were stalled. Each is translated afresh and may fault again, after the
// interrupt that this calls for. A time before the fault counts as that of the fault.
func (m *MMU) Acknowledge(now sim.Time) {
	m.status, m.faultVA = 0, 0
	first := m.stalled
	m.stalled = nil
	for first != nil {
		t := first
		first = t.next
		t.next, t.stalled = nil, false
		t.retry(now)
	}
}

// Halt masks the interrupts, as omap-iommu.c does when nobody handles a fault: what is stalled stays so, and what faults later stalls without a word, until Attach and Acknowledge.
func (m *MMU) Halt() { m.halted = true }

// Halted tells whether the interrupts are masked.
func (m *MMU) Halted() bool { return m.halted }

// stall queues a port with its fault behind those stalled before, and raises the interrupt unless one is pending.
func (m *MMU) stall(t *Port) {
	m.count.Faults[t.fault.Kind]++
	last := &m.stalled
	for *last != nil {
		last = &(*last).next
	}
	*last = t
	t.stalled, t.since = true, t.fault.Time
	if m.status != 0 {
		return
	}
	m.status, m.faultVA, m.last, m.faulted = t.fault.Kind.Bit(), t.fault.VA, t.fault, true
	if m.OnFault != nil && !m.halted {
		m.OnFault(t.fault)
	}
}

// release takes a port that is cancelled out of the queue. The status stays until it is acknowledged.
func (m *MMU) release(t *Port) {
	p := &m.stalled
	for *p != t {
		p = &(*p).next
	}
	*p = t.next
	t.next, t.stalled = nil, false
	if m.Now != nil {
		m.count.StallTime += max(0, m.Now()-t.since)
	}
}

// stallTime returns the time of the stalls up to now, those under way included.
func (m *MMU) stallTime() sim.Time {
	sum := m.count.StallTime
	if m.Now == nil {
		return sum
	}
	for t := m.stalled; t != nil; t = t.next {
		sum += max(0, m.Now()-t.since)
	}
	return sum
}

// resetStalls has the stalls under way count from now on.
func (m *MMU) resetStalls() {
	if m.Now == nil {
		return
	}
	for t := m.stalled; t != nil; t = t.next {
		t.since = max(t.since, m.Now())
	}
}
