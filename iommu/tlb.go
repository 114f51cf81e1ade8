package iommu

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// entryFlags are what there is to an entry beyond its translation.
type entryFlags uint8

const (
	// preserved entries survive a flush of all.
	preserved entryFlags = 1 << iota
	// suspect entries may not be what the tables say: each use is checked.
	suspect
	// overlapped entries share an address with another: each use is looked up in all.
	overlapped
)

// entry is a TLB entry. One of size 0 holds nothing.
type entry struct {
	va, size uint64 // bytes; va is aligned to size
	pa       bus.Phys
	ctx      uint16
	flags    entryFlags
	what     StaleKind // of a suspect entry
	when     sim.Time
	root     bus.Phys // of the tables that were current when it was loaded
}

// plain tells that a use of the entry needs no more than its translation.
func (e *entry) plain() bool { return e.flags&(suspect|overlapped) == 0 }

// front is a direct mapped table in front of the TLB, by page number: for each page of 4 KiB, which plain entry of the current context last translated it. An entry that is emptied or loaded anew misses
// there by its address, so that only what makes an entry other than plain has to forget it. It has no counterpart on the chip: it makes the model fast.
type front [64]*entry

// at returns the entry to try for va.
func (f *front) at(va uint64) *entry { return f[va>>pageShift%uint64(len(f))] }

// set has e tried for va.
func (f *front) set(va uint64, e *entry) { f[va>>pageShift%uint64(len(f))] = e }

// forget has no entry tried.
func (m *MMU) forget() {
	for i := range m.front {
		m.front[i] = &m.none
	}
}

// Lookup looks va up in the TLB as the hardware does for one burst, and counts. It does not walk. An address that several entries translate is a hit in none. The entry that
// translated the page last is tried first, inline.
func (m *MMU) Lookup(va bus.IOVA) (pa bus.Phys, ok bool) {
	e := m.front.at(uint64(va))
	if uint64(va)-e.va >= e.size {
		if e = m.search(va); e == nil {
			return 0, false
		}
	}
	m.count.Hits++
	return e.pa + bus.Phys(uint64(va)-e.va), true
}

// search is find for Lookup: it returns nil, and counts a miss, where there is no hit.
func (m *MMU) search(va bus.IOVA) *entry {
	e, n := m.find(uint64(va))
	switch n {
	case 0:
		m.count.Misses++
	case 1:
		return e
	}
	return nil
}

// find returns the first entry that translates va in the current context, and how many do. A plain one, which is the only one, goes to the front.
func (m *MMU) find(va uint64) (e *entry, n int) {
	for i := range m.tlb {
		x := &m.tlb[i]
		if va-x.va >= x.size || x.ctx != m.ctx {
			continue
		}
		if x.plain() {
			m.front.set(va, x)
			return x, 1
		}
		if n++; n == 1 {
			e = x
		}
	}
	return e, n
}

// Flush is a flush by address in the current context: it drops the entry that translates va, even a preserved one, and the walk cache entries that lead there. It returns how many entries a driver has
// looked at that scans the TLB for it, as flush_iotlb_page of omap-iommu.c does: it goes through them in order, invalid ones too, and stops at the match. For each it reads MMU_LOCK, selects the entry
// by a write there, and reads MMU_CAM and MMU_RAM: 3 reads and 1 write. The match is then flushed. On the OMAP MMU that is the first match only; the others drop all. Cost: O(entries).
func (m *MMU) Flush(va bus.IOVA) (scanned int) { return m.flush(m.ctx, va, false) }

// FlushLeaf is Flush that keeps the walk cache: enough where only the last descriptor has changed.
func (m *MMU) FlushLeaf(va bus.IOVA) (scanned int) { return m.flush(m.ctx, va, true) }

// FlushIn is Flush, or with leaf set FlushLeaf, in a context that need not be the current one.
func (m *MMU) FlushIn(id int, va bus.IOVA, leaf bool) { m.flush(m.context(id), va, leaf) }

func (m *MMU) flush(ctx uint16, va bus.IOVA, leaf bool) (scanned int) {
	if !leaf {
		for i := range m.walks {
			if w := &m.walks[i]; uint64(va)-w.va < w.size && w.ctx == ctx {
				*w = walkEntry{}
			}
		}
	}
	for i := range m.tlb {
		e := &m.tlb[i]
		scanned++
		if uint64(va)-e.va < e.size && e.ctx == ctx {
			m.drop(e)
			if m.l.format == OMAP {
				break
			}
		}
	}
	return scanned
}

// DropPage drops the entries of the size bytes at va that were walked from a first-level table, in all contexts and preserved or not. No driver can do that on the chip: it is for faults that are injected.
func (m *MMU) DropPage(root bus.Phys, va bus.IOVA, size int) {
	for i := range m.tlb {
		if e := &m.tlb[i]; e.size != 0 && e.root == root && e.va < uint64(va)+uint64(size) && uint64(va) < e.va+e.size {
			m.drop(e)
		}
	}
}

// FlushAll drops all entries of all contexts but the preserved ones, and sets the victim pointer to the lock base.
func (m *MMU) FlushAll() {
	m.victim = m.lock
	clear(m.walks)
	for i := range m.tlb {
		if e := &m.tlb[i]; e.flags&preserved == 0 {
			m.drop(e)
		}
	}
}

// FlushContext drops all entries of a context.
func (m *MMU) FlushContext(id int) {
	ctx := m.context(id)
	for i := range m.walks {
		if w := &m.walks[i]; w.ctx == ctx {
			*w = walkEntry{}
		}
	}
	for i := range m.tlb {
		if e := &m.tlb[i]; e.ctx == ctx {
			m.drop(e)
		}
	}
}

// Lock sets the lock base, as MMU_LOCK does: the first base entries are never replaced. The victim pointer starts there. At least one entry must stay free.
func (m *MMU) Lock(base int) error {
	if base < 0 || base >= len(m.tlb) {
		return fmt.Errorf("iommu: lock base %d, want 0 to %d", base, len(m.tlb)-1)
	}
	m.lock, m.victim = base, base
	return nil
}

// SetVictim points at the entry that is loaded next, as MMU_LOCK does.
func (m *MMU) SetVictim(slot int) error {
	if slot < 0 || slot >= len(m.tlb) {
		return fmt.Errorf("iommu: victim %d, want 0 to %d", slot, len(m.tlb)-1)
	}
	m.victim = slot
	return nil
}

// Locked returns the lock base and the victim pointer, as MMU_LOCK shows them.
func (m *MMU) Locked() (base, victim int) { return m.lock, m.victim }

// Load loads an entry at the victim pointer, as MMU_LD_TLB does with MMU_CAM and MMU_RAM. The pointer stays: software moves it. An entry that overlaps another is loaded all the same, and an access to what
// they share is a [MultiHit].
func (m *MMU) Load(va bus.IOVA, pa bus.Phys, size int, keep bool) error {
	if size <= 0 || size&(size-1) != 0 || (uint64(va)|uint64(pa))&uint64(size-1) != 0 {
		return fmt.Errorf("iommu: loading %v: %v and %d bytes are not an aligned page", va, pa, size)
	}
	e := entry{va: uint64(va), size: uint64(size), pa: pa, ctx: m.ctx, root: m.root}
	if keep {
		e.flags = preserved
	}
	m.put(m.victim, e)
	return nil
}

// Preload loads a preserved entry at the lock base and moves the base beyond it, as load_iotlb_entry of omap-iommu.c does for entries that must never miss.
func (m *MMU) Preload(va bus.IOVA, pa bus.Phys, size int) error {
	slot := m.lock
	if err := m.Lock(slot + 1); err != nil {
		return fmt.Errorf("iommu: preload %v: all entries are locked but the last: %w", va, err)
	}
	m.victim = slot
	err := m.Load(va, pa, size, true)
	if err != nil {
		m.lock = slot
	}
	m.victim = m.lock
	return err
}

// install loads what the walker found at the victim pointer, which moves on. An entry that is there already, because another port's walk ended first, is taken.
func (m *MMU) install(e entry) *entry {
	for i := range m.tlb {
		if x := &m.tlb[i]; x.size == e.size && x.va == e.va && x.pa == e.pa && x.ctx == e.ctx {
			if e.flags&suspect != 0 {
				x.flags, x.what, x.when = x.flags|suspect, e.what, e.when
				m.forget()
			}
			return x
		}
	}
	x := m.put(m.victim, e)
	m.victim++
	if m.victim == len(m.tlb) {
		m.victim = m.lock
	}
	return x
}

// put loads slot i, and marks what overlaps.
func (m *MMU) put(i int, e entry) *entry {
	x := &m.tlb[i]
	m.drop(x)
	*x = e
	for k := range m.tlb {
		if o := &m.tlb[k]; o != x && x.overlaps(o) {
			o.flags |= overlapped
			x.flags |= overlapped
		}
	}
	if !x.plain() {
		m.forget()
	}
	return x
}

// drop empties an entry. What overlapped it alone is plain again.
func (m *MMU) drop(e *entry) {
	again := e.flags&overlapped != 0
	*e = entry{}
	if !again {
		return
	}
	for i := range m.tlb {
		x := &m.tlb[i]
		x.flags &^= overlapped
		for k := range m.tlb {
			if k != i && x.overlaps(&m.tlb[k]) {
				x.flags |= overlapped
			}
		}
	}
}

// overlaps tells whether both translate some address. One that holds nothing overlaps none.
func (e *entry) overlaps(o *entry) bool {
	return e.ctx == o.ctx && e.va < o.va+o.size && o.va < e.va+e.size
}
