package iommu

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// Port is a device's connection to the bus through an MMU. It takes transfers at IO virtual addresses, of any length, and puts on the bus the walker's reads
// and the data, page by page. It is the bus port's [bus.Source]; the device is told when its whole transfer is granted.
type Port struct {
	// OnFault, if not nil, is called for each fault before the device is told. It runs when the bus grants the walker's last read, ahead of FaultRecord.Time; effects belong in
	// events scheduled for that time. It must not issue.
	OnFault func(FaultRecord)

	bus   *bus.Port
	mmu   *MMU
	dev   bus.Source
	va    bus.IOVA // of the next byte without translation
	left  int      // bytes from there on
	kind  bus.Kind
	level int      // of the walk under way, 0 when the head is data
	desc  bus.Phys // the descriptor being read
	fresh bool     // nothing of the transfer has been granted
}

// NewPort puts m between the device and p, and makes the port p's source; p must be connected.
func NewPort(p *bus.Port, m *MMU, dev bus.Source) *Port {
	t := &Port{bus: p, mmu: m, dev: dev}
	p.SetSource(t)
	return t
}

// Bus returns the port on the physical side.
func (t *Port) Bus() *bus.Port { return t.bus }

// MMU returns the MMU that translates.
func (t *Port) MMU() *MMU { return t.mmu }

// Issue offers a transfer of n bytes at time at; write tells its direction. The port must be idle: nothing issued, or the device was told of the last. The device's Granted is called when the last
// burst is granted, with the time at which that burst is complete, and never from within Issue. After a fault it is called all the same, with the time at which the
// walk failed: the stream goes on and the rest of the transfer never reaches memory. Issue allocates nothing.
func (t *Port) Issue(at sim.Time, va bus.IOVA, n int, write bool) {
	if n <= 0 {
		panic(fmt.Sprintf("iommu: transfer of %d bytes at %v", n, va))
	}
	if !t.bus.Idle() {
		panic("iommu: Issue on a busy port")
	}
	t.va, t.left, t.kind = va, n, bus.Read
	if write {
		t.kind = bus.Write
	}
	t.fresh = true
	if t.mmu.enabled {
		at += t.mmu.hit
	}
	t.translate(at)
}

// Cancel withdraws what is not yet granted. The device is not told.
func (t *Port) Cancel() { t.bus.Cancel() }

// translate issues the part of the transfer that lies in the next page, or starts the walk for it.
func (t *Port) translate(at sim.Time) {
	if !t.mmu.enabled {
		t.data(at, bus.Phys(t.va), t.left)
		return
	}
	pa, ok := t.mmu.Lookup(t.va)
	if !ok {
		t.level = 1
		t.read(at, t.mmu.walkStart(uint64(t.va)))
		return
	}
	t.page(at, pa)
}

// page issues the part of the transfer that lies in the hot page, where va is at pa. The first burst's lookup is counted.
func (t *Port) page(at sim.Time, pa bus.Phys) {
	hot := &t.mmu.hot
	n := t.left
	if rest := hot.size - (uint64(t.va) - hot.va); uint64(n) > rest {
		n = int(rest)
	}
	first, last := uint64(t.va)/bus.BurstBytes, (uint64(t.va)+uint64(n)-1)/bus.BurstBytes
	t.mmu.count.Hits += last - first
	t.data(at, pa, n)
}

func (t *Port) data(at sim.Time, pa bus.Phys, n int) {
	t.level = 0
	t.va += bus.IOVA(n)
	t.left -= n
	t.bus.Issue(at, pa, n, t.kind)
}

// walkBytes is the size of a descriptor read: the width of the port.
const walkBytes = 8

func (t *Port) read(at sim.Time, desc bus.Phys) {
	t.desc = desc
	t.bus.Issue(at, desc&^(walkBytes-1), walkBytes, bus.WalkRead)
}

// Granted continues the transfer. It is called by the interconnect.
func (t *Port) Granted(p *bus.Port, done sim.Time) {
	t.fresh = false
	switch {
	case t.level > 0:
		t.descriptor(done)
	case t.left > 0:
		// The next page follows as the next burst of one transfer would: it has been waiting since the burst before was issued.
		t.translate(p.Issued())
	default:
		t.dev.Granted(p, done)
	}
}

// descriptor goes on with the walk whose read is complete at done. What the read returns is settled when it is granted, as for all reads.
func (t *Port) descriptor(done sim.Time) {
	m := t.mmu
	m.count.WalkReads++
	what, next, e, kind := m.step(t.level, m.mem.LoadWord(t.desc), uint64(t.va))
	switch what {
	case table:
		t.level++
		t.read(done, next)
	case translated:
		m.install(e)
		t.page(done, e.pa+bus.Phys(uint64(t.va)-e.va))
	default:
		t.fault(done, kind)
	}
}

func (t *Port) fault(done sim.Time, kind FaultKind) {
	m := t.mmu
	m.count.Faults++
	m.last = FaultRecord{Time: done, VA: t.va, Bytes: t.left, Kind: kind, Write: t.kind.IsWrite()}
	m.faulted = true
	if t.OnFault != nil {
		t.OnFault(m.last)
	}
	t.dev.Granted(t.bus, done)
}
