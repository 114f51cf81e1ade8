package iommu

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// StaleKind says how a translation in the TLB came to differ from the tables.
type StaleKind uint8

const (
	// Freed is a page taken out of the tables.
	Freed StaleKind = iota + 1
	// Remapped is a page taken out, with another in its place since.
	Remapped
	// Changed is a page that was moved in place.
	Changed
	// NotCleaned is a page read from a descriptor in memory that is older than what the CPU has stored: a clean is missing.
	NotCleaned
)

func (k StaleKind) String() string {
	switch k {
	case Freed:
		return "freed"
	case Remapped:
		return "remapped"
	case Changed:
		return "changed"
	case NotCleaned:
		return "not cleaned"
	}
	return fmt.Sprintf("StaleKind(%d)", uint8(k))
}

// given returns what has happened in the end, where there is a page now or there is none.
func (k StaleKind) given(mapped bool) StaleKind {
	switch {
	case k == NotCleaned:
	case !mapped:
		return Freed
	case k == Freed:
		return Remapped
	}
	return k
}

// Stale is an access that went to where a page no longer is. It is found when the access is translated; Time is when that is.
type Stale struct {
	Time   sim.Time
	VA     bus.IOVA // the first address that went astray
	Bytes  int      // that did, of the access's part in one TLB entry
	PA     bus.Phys // where VA went
	Write  bool
	Master bus.Master
	What   StaleKind
	Since  sim.Time // when the entry ceased to be true: the page was taken out or moved; NotCleaned: when the walker read the old descriptor
}

// TableChanged takes note of TLB and walk cache entries that a change of the tables leaves behind. The tables are those of the entries' own first level, whatever context is current.
func (m *MMU) TableChanged(c Change) {
	va, end := uint64(c.VA), uint64(c.VA)+uint64(c.Size)
	if c.Kind == TableRemoved {
		for i := range m.walks {
			if w := &m.walks[i]; w.size != 0 && w.root == c.Root && w.va < end && va < w.va+w.size {
				w.stale, w.when = true, c.Time
			}
		}
		return
	}
	for i := range m.tlb {
		e := &m.tlb[i]
		if e.size == 0 || e.root != c.Root || e.va >= end || va >= e.va+e.size {
			continue
		}
		if c.Kind != PageRemoved && e.va >= va && e.va+e.size <= end && c.PA+bus.Phys(e.va-va) == e.pa {
			e.flags &^= suspect
			continue
		}
		if e.flags&suspect == 0 {
			e.flags |= suspect
			e.when = c.Time
			e.what = [...]StaleKind{PageEntered: Remapped, PageRemoved: Freed, PageReplaced: Changed}[c.Kind]
			m.forget()
		}
	}
}

// verify marks an entry that was walked with descriptors of which the CPU knows better.
func (m *MMU) verify(e *entry, t *Port, at sim.Time) {
	if !t.old && !t.via {
		return
	}
	now, ok := m.l.find(m.root, e.va, m.current)
	if base := e.va &^ uint64(now.size-1); ok && e.va+e.size <= base+uint64(now.size) && now.at(e.va) == e.pa {
		return
	}
	e.flags |= suspect
	e.what, e.when = NotCleaned, at
	if !t.old {
		e.what, e.when = Freed, t.viaWhen
	}
}

// stale reports what of the n bytes at va goes astray because e is not what the tables say.
func (m *MMU) stale(t *Port, at sim.Time, e *entry, n int) {
	s := Stale{Time: at, Write: t.kind.IsWrite(), Master: t.bus.Master, Since: e.when}
	for va, end := uint64(t.va), uint64(t.va)+uint64(n); va < end; {
		next := min(end, va&^(PageBytes-1)+PageBytes)
		pa := e.pa + bus.Phys(va-e.va)
		now, ok := m.l.find(e.root, va, m.current)
		if !ok || now.at(va) != pa {
			if s.Bytes == 0 {
				s.VA, s.PA, s.What = bus.IOVA(va), pa, e.what.given(ok)
			}
			s.Bytes += int(next - va)
		}
		va = next
	}
	if s.Bytes == 0 {
		return
	}
	m.count.StaleUses++
	if m.OnStale != nil {
		m.OnStale(s)
	}
}
