// Package bus holds what every initiator on the interconnect has in common: the four address types that cannot be mixed, the master numbers
// that counters and versions are kept by, and the Port through which an initiator offers its next burst.
//
// It is on the ground floor so that devices below the chip (isp, gpu, iommu) and the interconnect above them can share it. It holds no policy:
// arbitration, latencies and DRAM belong to soc/l3 and soc/dram.
//
// # How a port works
//
// The memory path pulls. An initiator does not schedule its bursts: it shows one transfer, the interconnect serves the transfer's bursts when the bus comes to
// them and, when the last one is granted, asks the initiator's [Source] for the next. The completion time of a burst is fixed when it is granted,
// so an initiator can compute when its next transfer is due without waiting for an event. That structure is what makes the model faster than the chip.
package bus

import (
	"fmt"

	"socsim/sim"
)

// Phys is a physical address: what the interconnect and the DRAM see.
type Phys uint64

// IOVA is an IO virtual address: what a device behind an IOMMU emits.
type IOVA uint64

// Virt is a CPU virtual address.
type Virt uint64

// Addr is a bus address: what a driver programs into a device's address register. It is an IOVA for a device behind an IOMMU and a physical address for one that has none.
type Addr uint64

func (a Phys) String() string { return fmt.Sprintf("pa:%#x", uint64(a)) }
func (a IOVA) String() string { return fmt.Sprintf("iova:%#x", uint64(a)) }
func (a Virt) String() string { return fmt.Sprintf("va:%#x", uint64(a)) }
func (a Addr) String() string { return fmt.Sprintf("bus:%#x", uint64(a)) }

// BurstBytes is the largest burst of the memory path.
const BurstBytes = 64

// MaxOutstanding is the largest number of bursts a port can have in flight.
const MaxOutstanding = 16

// Master identifies an initiator in counters, versions and blame. The numbers are small and dense.
type Master uint8

// NoMaster is the zero Master: nobody.
const NoMaster Master = 0

// MaxMasters bounds the number of masters; a Master is less.
const MaxMasters = 32

// Kind says what a transfer does to the line contents it touches.
type Kind uint8

const (
	// Read reads memory as a device does: what is in memory, not in a cache.
	Read Kind = iota
	// Write stores new contents.
	Write
	// Fill reads memory on behalf of a cache; the reader looks at the version itself.
	Fill
	// WriteBack stores contents that were written earlier, with their own version (Port.Stamp).
	WriteBack
	// WalkRead is a table walker's read of a descriptor.
	WalkRead

	kinds = iota
)

// Use is what a core's transfer is for, where its kind leaves that open.
type Use uint8

// The uses. A fill is a program's load that misses the caches unless it goes past them or nobody asked for it; a write-back makes room for a fill unless maintenance or a store past the caches sends it.
const (
	UsePlain Use = iota
	UseUncached
	UseMaintenance
	UseStore
	UseSpeculation
	uses
)

// Purposes is how many values [Purpose] has.
const Purposes = MaxMasters * int(uses) * kinds

// Purpose is a number for whose a transfer is, its kind and its use.
func Purpose(m Master, k Kind, u Use) uint16 {
	return (uint16(m)*uint16(uses)+uint16(u))*kinds + uint16(k)
}

// Purpose is the number of the port's transfer.
func (p *Port) Purpose() uint16 { return p.purpose + uint16(p.Kind) }

// SetUse tells what the transfers that follow are for.
func (p *Port) SetUse(u Use) { p.purpose = Purpose(p.Master, 0, u) }

// IsWrite tells whether the data flows towards memory.
func (k Kind) IsWrite() bool { return k == Write || k == WriteBack }

// A Source is the initiator behind a port. Granted is called when the last burst of the port's transfer has been granted: done is when its data is complete at the initiator (a read), or in
// memory and acknowledged (a write). The source may Issue the next transfer at once. Its time may lie before the grant, for data that has been waiting, but the times a port is given must not
// decrease; the port itself holds a burst back while too many are in flight. Effects on other components belong in events scheduled for done.
type Source interface {
	Granted(p *Port, done sim.Time)
}

// Port is one initiator's connection to the interconnect: the head of its request stream, of at most one contiguous physical transfer. Ports lie side by
// side in the interconnect and are read by the arbiter directly; everything but the exported methods is the interconnect's.
type Port struct {
	// At is when the head burst reaches the arbiter, sim.Never when there is none.
	At sim.Time
	// Addr is the physical address of the head burst and Left the bytes of the transfer from there on.
	Addr Phys
	Left int
	Kind Kind
	// Class is the SMS class: 0 real time, 1 and 2 weighted.
	Class  uint8
	Master Master
	// purpose is that of a transfer of the first kind.
	purpose uint16

	// Stamp is the version that a WriteBack carries.
	Stamp uint64
	// Grant is when the last burst was granted, Waited how long it waited at the arbiter, and Holder the other master that was served most recently before it: see [Port.Blame].
	Grant, Waited sim.Time
	Holder        Master

	// Hop is added to the issue time (request latency) and Return to the end of the data (response latency: read data, or the acknowledgement of a write).
	Hop, Return sim.Time
	// Outstanding is the number of bursts that may be in flight, 1 to MaxOutstanding.
	Outstanding int
	// Max is the largest burst in bytes, a power of two up to BurstBytes.
	Max int
	// Width is the bytes that cross the port in a cycle of Clock; 0 for a port that is never the limit.
	Width int
	Clock sim.Clock
	// Rate limits the port to so many bytes a second, 0 for no limit; Credit is the bytes that an idle port may save up and then issue at once.
	Rate, Credit int64

	asked  sim.Time // when the transfer was issued
	issue  sim.Time // when the device asked for the head, before Hop
	data   sim.Time // until when the port's data wires are busy
	full   sim.Time // that a burst of Max bytes takes to cross
	credit sim.Time // when the port would have no debt if it issued nothing more
	whole  int      // bytes of the transfer
	before pace     // as they were before it
	at     *sim.Time
	done   [MaxOutstanding]sim.Time
	slot   int
	source Source
	wake   *sim.Time // the interconnect's next decision time
	ledger *Ledger
}

// pace is what holds a port's bursts back beside the bus.
type pace struct{ data, credit sim.Time }

// Connect attaches the initiator and the interconnect's wake-up time, which Issue lowers, and where it wants to see the arrival of the head, At, as well: side by side with those of
// other ports. The interconnect calls it once.
func (p *Port) Connect(wake, at *sim.Time, s Source) {
	if p.Outstanding < 1 || p.Outstanding > MaxOutstanding {
		panic(fmt.Sprintf("bus: %d outstanding bursts, want 1 to %d", p.Outstanding, MaxOutstanding))
	}
	if p.Max == 0 {
		p.Max = BurstBytes
	}
	if p.Max > BurstBytes || p.Max&(p.Max-1) != 0 || p.Max < 1 {
		panic(fmt.Sprintf("bus: bursts of %d bytes, want a power of two up to %d", p.Max, BurstBytes))
	}
	p.wake, p.at, p.source = wake, at, s
	p.SetUse(UsePlain)
	if p.Width > 0 {
		p.full = p.Clock.Cycles(int64((p.Max + p.Width - 1) / p.Width))
	}
	p.arrive(sim.Never)
}

// arrive sets when the head reaches the arbiter.
func (p *Port) arrive(at sim.Time) { p.At, *p.at = at, at }

// SetSource changes who is told about grants.
func (p *Port) SetSource(s Source) { p.source = s }

// Source returns who is told about grants.
func (p *Port) Source() Source { return p.source }

// Issue offers a transfer of n contiguous bytes at time at. The port must be idle. It allocates nothing.
func (p *Port) Issue(at sim.Time, addr Phys, n int, k Kind) {
	if p.At != sim.Never {
		panic("bus: Issue on a busy port")
	}
	if n <= 0 {
		panic("bus: empty transfer")
	}
	p.Addr, p.Left, p.Kind = addr, n, k
	p.asked, p.whole, p.before = at, n, pace{p.data, p.credit}
	p.arm(at)
}

// Idle tells whether the port has no head.
func (p *Port) Idle() bool { return p.At == sim.Never }

// Cancel withdraws the head, if any: bursts not yet granted are forgotten. The source is not told.
func (p *Port) Cancel() { p.Left = 0; p.arrive(sim.Never) }

// Withdraw takes the transfer back, as though it had never been issued, and returns true; or returns false if there is none or a burst of it has been granted.
func (p *Port) Withdraw() bool {
	if p.At == sim.Never || p.Left != p.whole {
		return false
	}
	p.data, p.credit = p.before.data, p.before.credit
	p.Cancel()
	return true
}

func (p *Port) arm(at sim.Time) {
	if free := p.done[p.slot]; free > at {
		at = free
	}
	if p.Rate > 0 {
		at = p.regulate(at)
	}
	p.issue = at
	at += p.Hop
	if p.Width > 0 && p.Kind.IsWrite() {
		// The data follows its request through the port, behind that of the burst before.
		start := max(p.data, p.issue)
		p.data = start + p.cross(p.Burst())
		at = start + p.Hop
	}
	p.arrive(at)
	if at < *p.wake {
		*p.wake = at
	}
}

// regulate holds a burst back until the port's credit covers it.
func (p *Port) regulate(at sim.Time) sim.Time {
	at = max(at, p.credit-p.bytes(p.Credit))
	p.credit = max(p.credit, at) + p.bytes(int64(p.Burst()))
	return at
}

// bytes returns how long n bytes take at the port's rate.
func (p *Port) bytes(n int64) sim.Time { return sim.Time(n * int64(sim.Second) / p.Rate) }

// cross returns how long n bytes take to cross the port.
func (p *Port) cross(n int) sim.Time {
	if n == p.Max {
		return p.full
	}
	return p.Clock.Cycles(int64((n + p.Width - 1) / p.Width))
}

// Complete returns when the head burst is done at the initiator if its data leaves, or is in, the memory at end: read data takes its time to cross the port, behind that of the burst before.
// For the interconnect only.
func (p *Port) Complete(n int, end sim.Time) sim.Time {
	done := end + p.Return
	if p.Width > 0 && !p.Kind.IsWrite() {
		// Data crosses as it comes from the memory; the port is the limit if it is busy or slower.
		cross := p.cross(n)
		done = max(done, p.data+cross)
		p.data = done
	}
	return done
}

// Burst returns the size in bytes of the head burst: up to the next boundary of the largest burst.
func (p *Port) Burst() int {
	n := p.Max - int(p.Addr&Phys(p.Max-1))
	if n > p.Left {
		n = p.Left
	}
	return n
}

// Asked returns the time at which the transfer was issued, whatever held its bursts back since.
func (p *Port) Asked() sim.Time { return p.asked }

// Issued returns when the initiator asked for the head burst.
func (p *Port) Issued() sim.Time { return p.issue }

// Advance records that the head burst of n bytes was granted and is done at the given time, and moves to the next burst of the transfer. It returns false when
// the transfer is over; the interconnect then calls the source. For the interconnect only.
func (p *Port) Advance(n int, done sim.Time) bool {
	p.done[p.slot] = done
	p.slot++
	if p.slot == p.Outstanding {
		p.slot = 0
	}
	p.Left -= n
	if p.Left == 0 {
		p.arrive(sim.Never)
		return false
	}
	p.Addr += Phys(n)
	p.arm(p.issue)
	return true
}
