package iommu

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// Port is a device's connection to the bus through an MMU. It takes transfers at IO virtual addresses, of any length, and puts on the bus the walker's reads
// and the data, page by page. It is the bus port's [bus.Source]; the device is told when its whole transfer is granted. An access that faults stalls the port: it keeps the rest of the transfer and shows
// the bus nothing until [MMU.Acknowledge].
type Port struct {
	// Emulator marks the accesses as the emulator's, which have a fault of their own: [EmulatorMiss].
	Emulator bool

	bus  *bus.Port
	mmu  *MMU
	dev  bus.Source
	va   bus.IOVA // of the next byte without translation
	left int      // bytes from there on
	kind bus.Kind

	level   int      // of the walk under way, 0 when the head is data
	desc    bus.Phys // the descriptor being read
	fresh   bool     // nothing of the transfer has been granted
	epoch   uint32   // of the walk
	old     bool     // the walk read a descriptor that the CPU has changed since
	via     bool     // the walk skipped levels
	viaWhen sim.Time // when the table that it began with was removed

	missing bool     // the head, or what is stalled, waits for its translation
	missed  sim.Time // since when
	delay   sim.Time // that the transfer has waited for translations

	stalled bool
	fault   FaultRecord
	since   sim.Time // when the stall began, as far as it is not counted
	next    *Port    // stalled after this one
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

// Stalled tells whether the transfer waits for software to handle a fault.
func (t *Port) Stalled() bool { return t.stalled }

// Issue offers a transfer of n bytes at time at; write tells its direction. The port must be idle: nothing issued, or the device was told of the last. The device's Granted is called when the last
// burst is granted, with the time at which that burst is complete, and never from within Issue. Issue allocates nothing.
func (t *Port) Issue(at sim.Time, va bus.IOVA, n int, write bool) {
	if n <= 0 {
		panic(fmt.Sprintf("iommu: transfer of %d bytes at %v", n, va))
	}
	if t.stalled || !t.bus.Idle() {
		panic("iommu: Issue on a busy port")
	}
	t.va, t.left, t.kind = va, n, bus.Read
	if write {
		t.kind = bus.Write
	}
	t.fresh, t.missing, t.delay = true, false, 0
	if t.mmu.enabled {
		at += t.mmu.hit
	}
	t.translate(at)
}

// Delay returns how long the last transfer has waited for its translations: walks, and stalls after faults.
func (t *Port) Delay() sim.Time { return t.delay }

// Cancel withdraws what is not yet granted, be it data, a walk or what is stalled. The device is not told. The status of the fault stays.
func (t *Port) Cancel() {
	if t.stalled {
		t.mmu.release(t)
	}
	t.left = 0
	t.bus.Cancel()
}

// translate issues the part of the transfer that lies in the next page, or starts the walk for it.
func (t *Port) translate(at sim.Time) {
	m := t.mmu
	if !m.enabled {
		t.data(at, bus.Phys(t.va), t.left)
		return
	}
	va, n := uint64(t.va), uint64(t.left)
	e := m.front.at(va)
	if off := va - e.va; off < e.size && n <= e.size-off {
		// The common case: a plain entry has all that is left.
		m.count.Hits += bursts(va, n)
		t.data(at, e.pa+bus.Phys(off), int(n))
		return
	}
	e, hits := m.find(va)
	if hits != 1 {
		t.miss(at, hits)
		return
	}
	m.count.Hits++
	t.page(at, e)
}

// bursts returns how many bursts carry n bytes from va on.
func bursts(va, n uint64) uint64 { return (va+n-1)/bus.BurstBytes - va/bus.BurstBytes + 1 }

// miss goes on where none or several of the entries translate the address.
func (t *Port) miss(at sim.Time, n int) {
	m := t.mmu
	if !t.missing {
		t.missing, t.missed = true, at
	}
	if n > 1 {
		t.fail(at, MultiHit, 0)
		return
	}
	m.count.Misses++
	switch {
	case !m.l.inRange(uint64(t.va)):
		t.fail(at, TranslationFault, 0)
	case m.off && t.Emulator:
		t.fail(at, EmulatorMiss, 0)
	case m.off:
		t.fail(at, TLBMiss, 0)
	default:
		t.walk(at)
	}
}

// page issues the part of the transfer that e translates. The first burst's lookup is counted.
func (t *Port) page(at sim.Time, e *entry) {
	off := uint64(t.va) - e.va
	n := t.left
	if rest := e.size - off; uint64(n) > rest {
		n = int(rest)
	}
	if !e.plain() {
		n = t.doubtful(at, e, n)
	}
	t.mmu.count.Hits += bursts(uint64(t.va), uint64(n)) - 1
	t.data(at, e.pa+bus.Phys(off), n)
}

// doubtful returns how many of the n bytes in e go there without a new lookup, and reports those of them that go astray.
func (t *Port) doubtful(at sim.Time, e *entry, n int) int {
	if e.flags&overlapped != 0 {
		n = min(n, int(PageBytes-t.va%PageBytes))
	}
	if e.flags&suspect != 0 {
		t.mmu.stale(t, at, e, n)
	}
	return n
}

func (t *Port) data(at sim.Time, pa bus.Phys, n int) {
	if t.missing {
		t.missing = false
		t.delay += at - t.missed
	}
	t.level = 0
	t.va += bus.IOVA(n)
	t.left -= n
	t.bus.Issue(at, pa, n, t.kind)
}

// walk begins a walk for va.
func (t *Port) walk(at sim.Time) {
	m := t.mmu
	level, base, via := m.walkStart(uint64(t.va))
	t.level, t.epoch, t.old, t.via = level, m.epoch, false, via != nil
	if via != nil {
		m.count.WalkCacheHits++
		t.viaWhen = via.when
	}
	t.read(at, base)
}

// walkBytes is the size of a descriptor read: the width of the port.
const walkBytes = 8

// read reads the descriptor for va in the table of the walk's level. Where there is no memory, the interconnect's error comes back when the data would.
func (t *Port) read(at sim.Time, base bus.Phys) {
	t.desc = t.mmu.l.entry(t.level, base, uint64(t.va))
	if !t.mmu.mem.Contains(t.desc) {
		t.fail(at+t.bus.Hop+t.bus.Return, TableWalkFault, t.level)
		return
	}
	t.bus.Issue(at, t.desc&^(walkBytes-1), walkBytes, bus.WalkRead)
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
	if t.epoch != m.epoch {
		t.translate(done)
		return
	}
	desc := m.readMemory(t.desc)
	t.old = t.old || desc != m.readCurrent(t.desc)
	what, base, size := m.l.decode(t.level, desc)
	switch what {
	case table:
		t.level++
		m.remember(t.level, uint64(t.va), base)
		t.read(done, base)
	case translated:
		e := entry{va: uint64(t.va) &^ uint64(size-1), size: uint64(size), pa: base, ctx: m.ctx, root: m.root}
		m.verify(&e, t, done)
		t.page(done, m.install(e))
	default:
		t.fail(done, TranslationFault, t.level)
	}
}

// fail stalls the transfer.
func (t *Port) fail(at sim.Time, kind FaultKind, level int) {
	t.fault = FaultRecord{Time: at, VA: t.va, Bytes: t.left, Kind: kind, Level: level, Write: t.kind.IsWrite(), Master: t.bus.Master}
	t.level = 0
	t.mmu.stall(t)
}

// retry translates the stalled access afresh, as though it were issued now.
func (t *Port) retry(now sim.Time) {
	m := t.mmu
	now = max(now, t.fault.Time)
	m.count.StallTime += max(0, now-t.since)
	if m.enabled {
		now += m.hit
	}
	t.translate(now)
}
