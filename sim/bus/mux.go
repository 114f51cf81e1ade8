package bus

import (
	"fmt"

	"socsim/sim"
)

// An Outlet takes one transfer at a time towards memory: a port, or what stands in front of one. It tells its source, from a later call and never from within Issue, when the last burst is granted.
type Outlet[A ~uint64] interface {
	Issue(at sim.Time, addr A, n int, write bool)
	// Withdraw takes the transfer back and returns true, as though it had never been issued; or returns false if a part of it is on its way already.
	Withdraw() bool
}

// Mux lets several clients of one device share an outlet, as the ISP's shared buffer logic and the display controller's pipelines share their port. Each client has a [Lane] and shows its next transfer
// there. When the outlet takes one, the lanes whose transfers are due by then compete: the lowest priority number wins, then the earliest, then the first lane; when none is due, the earliest is next.
// What has been shown to the outlet stays there, even when a more urgent one becomes due before it is granted: a request that is out cannot be called back. A transfer that is not due yet makes way for an
// earlier one.
//
// A mux is the source behind its outlet. Cost: O(lanes) a transfer.
type Mux[A ~uint64] struct {
	out   Outlet[A]
	lanes []*Lane[A]
	shown *Lane[A]
	// serial: a request goes out no earlier than the grant of the one before. Otherwise requests are made when they are due, and wait at the arbiter.
	serial bool
	busy   bool     // in Granted: the choice comes at its end
	issued sim.Time // when the transfer shown was issued
	last   sim.Time // no transfer is issued before: times must not decrease
}

// Lane is one client's place at a mux.
type Lane[A ~uint64] struct {
	mux      *Mux[A]
	source   Source
	priority int
	at       sim.Time // sim.Never: nothing to show
	addr     A
	n        int
	write    bool
}

// NewMux returns a mux without lanes. With serial set, a request goes out no earlier than the grant of the one before it.
func NewMux[A ~uint64](serial bool) *Mux[A] { return &Mux[A]{serial: serial} }

// SetOutlet connects the mux, which must be the outlet's source. It is called once, before the first transfer.
func (m *Mux[A]) SetOutlet(out Outlet[A]) { m.out = out }

// Lane adds a client; 0 is the highest priority.
func (m *Mux[A]) Lane(priority int, s Source) *Lane[A] {
	l := &Lane[A]{mux: m, source: s, priority: priority, at: sim.Never}
	m.lanes = append(m.lanes, l)
	return l
}

// Idle tells whether the lane shows nothing.
func (l *Lane[A]) Idle() bool { return l.at == sim.Never }

// Issue shows a transfer that is due at a time. The lane must be idle. The client's Granted is called when its last burst is granted, never from within Issue.
func (l *Lane[A]) Issue(at sim.Time, addr A, n int, write bool) {
	if l.at != sim.Never {
		panic("bus: Issue on a busy lane")
	}
	if n <= 0 {
		panic(fmt.Sprintf("bus: transfer of %d bytes", n))
	}
	l.at, l.addr, l.n, l.write = at, addr, n, write
	m := l.mux
	switch {
	case m.busy:
	case m.shown == nil:
		m.show(l)
	case at < m.shown.at || at == m.shown.at && l.priority < m.shown.priority:
		if m.out.Withdraw() {
			m.show(l)
		}
	}
}

// Cancel takes the lane's transfer back; the client is not told. It returns false, and changes nothing, if a part of it is on its way already.
func (l *Lane[A]) Cancel() bool {
	m := l.mux
	if m.shown == l {
		if !m.out.Withdraw() {
			return false
		}
		m.shown = nil
	}
	l.at = sim.Never
	if m.shown == nil && !m.busy {
		m.next(m.last)
	}
	return true
}

// Granted tells the client and shows the next transfer. The outlet calls it.
func (m *Mux[A]) Granted(p *Port, done sim.Time) {
	l := m.shown
	if l == nil {
		panic("bus: grant to a mux that shows nothing")
	}
	now := p.Issued() + p.Hop + p.Waited
	m.shown, l.at, m.last = nil, sim.Never, m.issued
	m.busy = true
	l.source.Granted(p, done)
	m.busy = false
	m.next(now)
}

// next shows the lane that goes first if the outlet is free from now on.
func (m *Mux[A]) next(now sim.Time) {
	first := sim.Never
	for _, l := range m.lanes {
		first = min(first, l.at)
	}
	if first == sim.Never {
		return
	}
	due := max(first, now)
	var best *Lane[A]
	for _, l := range m.lanes {
		if l.at <= due && (best == nil || l.priority < best.priority || l.priority == best.priority && l.at < best.at) {
			best = l
		}
	}
	if m.serial {
		m.last = max(m.last, now)
	}
	m.show(best)
}

func (m *Mux[A]) show(l *Lane[A]) {
	m.shown, m.issued = l, max(m.last, l.at)
	m.out.Issue(m.issued, l.addr, l.n, l.write)
}

// Direct is a port as an outlet of physical addresses.
type Direct struct{ *Port }

// Issue offers a transfer as a device's read or write.
func (d Direct) Issue(at sim.Time, addr Phys, n int, write bool) {
	k := Read
	if write {
		k = Write
	}
	d.Port.Issue(at, addr, n, k)
}
