package bus

import "socsim/sim"

// ledgerSize is how many grants a ledger remembers: of 64 bytes at 1.3 GB/s, some 12 us.
const ledgerSize = 256

// Ledger remembers the last grants of an interconnect, so that a burst that came too late can tell who held the bus meanwhile. To write a grant down costs a store; to ask, O(grants in the time asked
// for). The zero Ledger is empty.
type Ledger struct {
	grants [ledgerSize]struct {
		at     sim.Time
		master Master
	}
	n uint64
}

// Note writes a grant down. Times must not decrease.
func (l *Ledger) Note(at sim.Time, m Master) {
	g := &l.grants[l.n%ledgerSize]
	g.at, g.master = at, m
	l.n++
}

// Held returns the master, other than self, that had the bus for most of the time between from and to, as far back as the ledger goes; NoMaster if none had. The bus is a master's from its grant to
// the next.
func (l *Ledger) Held(from, to sim.Time, self Master) Master {
	var held [MaxMasters]sim.Time
	best := NoMaster
	until := to
	for i := l.n; i > 0 && l.n-i < ledgerSize && until > from; i-- {
		g := &l.grants[(i-1)%ledgerSize]
		if g.at < until {
			if g.master != self {
				held[g.master] += until - max(g.at, from)
				if held[g.master] > held[best] {
					best = g.master
				}
			}
			until = g.at
		}
	}
	return best
}

// Blame returns the master that had the bus for most of the time that the last granted burst waited, or Holder if the port is not on an interconnect that knows.
func (p *Port) Blame() Master {
	if p.ledger == nil {
		return p.Holder
	}
	if m := p.ledger.Held(p.Grant-p.Waited, p.Grant, p.Master); m != NoMaster {
		return m
	}
	return p.Holder
}

// SetLedger tells where the interconnect writes its grants down. For the interconnect only.
func (p *Port) SetLedger(l *Ledger) { p.ledger = l }
