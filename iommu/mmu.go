package iommu

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// Memory is the walker's view of physical memory: what memory holds, not what a CPU cache does.
type Memory interface {
	LoadWord(pa bus.Phys) uint32
}

// MaxEntries bounds the number of TLB entries.
const MaxEntries = 64

// Config describes an MMU.
type Config struct {
	Entries   int    `conf:"entries" doc:"Number of TLB entries, fully associative."`
	Format    Format `conf:"format" doc:"Page-table format and address width."`
	HitCycles int    `conf:"hit_cycles" doc:"Clock cycles of a TLB lookup, added to each transfer."`
}

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	if c.Entries < 1 || c.Entries > MaxEntries {
		return fmt.Errorf("iommu.entries: %d, want 1 to %d", c.Entries, MaxEntries)
	}
	if _, err := c.Format.layout(); err != nil {
		return fmt.Errorf("iommu.format: %w", err)
	}
	if c.HitCycles < 0 {
		return fmt.Errorf("iommu.hit_cycles: %d, want at least 0", c.HitCycles)
	}
	return nil
}

// Counters counts what an MMU did. A lookup is that of one bus burst: Hits+Misses is the number of data bursts translated (and of those that faulted),
// however the device groups them into transfers. A transfer that misses is one miss, and hits for the further bursts in that page.
type Counters struct {
	Hits, Misses uint64
	WalkReads    uint64 // descriptors read
	Faults       uint64 // transfers dropped
}

// entry is a TLB entry. One of size 0 holds nothing.
type entry struct {
	va, size  uint64 // bytes; va is aligned to size
	pa        bus.Phys
	preserved bool
}

// MMU is the hardware of one memory management unit: its TLB and what its walker needs. Several ports may share one.
type MMU struct {
	hot   entry // copy of the entry that hit last
	count Counters

	enabled bool
	l       *layout
	hit     sim.Time
	root    bus.Phys
	mem     Memory

	victim, lock int // the next entry to replace; entries below lock are never replaced
	tlb          []entry

	last    FaultRecord
	faulted bool
}

// New returns a disabled MMU with an empty TLB: see [MMU.Attach]. clock is the one the hit latency is counted in.
func New(cfg Config, clock sim.Clock, mem Memory) (*MMU, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l, err := cfg.Format.layout()
	if err != nil {
		return nil, err
	}
	m := &MMU{l: l, mem: mem, tlb: make([]entry, cfg.Entries)}
	if cfg.HitCycles > 0 {
		m.hit = clock.Cycles(int64(cfg.HitCycles))
	}
	return m, nil
}

// Attach flushes the TLB, points the walker at a first-level table and enables translation.
func (m *MMU) Attach(root bus.Phys) {
	m.FlushAll()
	m.root, m.enabled = root, true
}

// Detach flushes the TLB and disables translation: device addresses are then physical (OMAP36xx TRM, MMUENABLE).
func (m *MMU) Detach() {
	m.FlushAll()
	m.enabled = false
}

// Enabled tells whether addresses are translated.
func (m *MMU) Enabled() bool { return m.enabled }

// Counters returns the counters.
func (m *MMU) Counters() Counters { return m.count }

// ResetCounters zeroes the counters. The TLB stays.
func (m *MMU) ResetCounters() { m.count = Counters{} }

// Lookup looks va up in the TLB as the hardware does for one burst, and counts. It does not walk. The entry that hit last is compared first, inline.
func (m *MMU) Lookup(va bus.IOVA) (pa bus.Phys, ok bool) {
	if uint64(va)-m.hot.va >= m.hot.size && !m.search(va) {
		return 0, false
	}
	m.count.Hits++
	return m.hot.pa + bus.Phys(uint64(va)-m.hot.va), true
}

// search makes the entry that translates va the hot one, or counts a miss.
func (m *MMU) search(va bus.IOVA) bool {
	for i := range m.tlb {
		e := &m.tlb[i]
		if uint64(va)-e.va < e.size {
			m.hot = *e
			return true
		}
	}
	m.count.Misses++
	return false
}

// Flush drops the entry that translates va, even a preserved one. It returns how many valid entries were compared, the matching one included: a driver that reads them
// over the peripheral bus, as omap-iommu.c does, pays for each. Cost: O(entries).
func (m *MMU) Flush(va bus.IOVA) (compared int) {
	m.hot.size = 0
	for i := range m.tlb {
		e := &m.tlb[i]
		if e.size == 0 {
			continue
		}
		compared++
		if uint64(va)-e.va < e.size {
			*e = entry{}
			break
		}
	}
	return compared
}

// FlushAll drops all entries but the preserved ones and sets the victim pointer to the lock base.
func (m *MMU) FlushAll() {
	m.hot.size = 0
	m.victim = m.lock
	for i := range m.tlb {
		if !m.tlb[i].preserved {
			m.tlb[i] = entry{}
		}
	}
}

// Lock sets the lock base: the first base entries are never replaced. The victim pointer starts there. At least one entry must stay free.
func (m *MMU) Lock(base int) error {
	if base < 0 || base >= len(m.tlb) {
		return fmt.Errorf("iommu: lock base %d, want 0 to %d", base, len(m.tlb)-1)
	}
	m.lock, m.victim = base, base
	return nil
}

// Preload loads a preserved entry at the lock base and moves the base beyond it, as omap-iommu.c does for entries that must never miss.
func (m *MMU) Preload(va bus.IOVA, pa bus.Phys, size int) error {
	if size <= 0 || size&(size-1) != 0 || (uint64(va)|uint64(pa))&uint64(size-1) != 0 {
		return fmt.Errorf("iommu: preload %v: %v and %d bytes are not an aligned page", va, pa, size)
	}
	if err := m.Lock(m.lock + 1); err != nil {
		return fmt.Errorf("iommu: preload %v: all entries are locked but the last: %w", va, err)
	}
	m.put(m.lock-1, entry{va: uint64(va), size: uint64(size), pa: pa, preserved: true})
	return nil
}

// install loads what the walker found at the victim pointer, which moves on.
func (m *MMU) install(e entry) {
	m.put(m.victim, e)
	m.victim++
	if m.victim == len(m.tlb) {
		m.victim = m.lock
	}
	m.hot = e
}

// put loads slot i. Entries that overlap e are dropped, so that no two entries ever translate one address.
func (m *MMU) put(i int, e entry) {
	m.hot.size = 0
	for k := range m.tlb {
		o := &m.tlb[k]
		if o.size != 0 && o.va < e.va+e.size && e.va < o.va+o.size {
			*o = entry{}
		}
	}
	m.tlb[i] = e
}

// walkStart returns the address of the first descriptor of the walk for va.
func (m *MMU) walkStart(va uint64) bus.Phys { return m.l.rootEntry(m.root, va) }

// step interprets the descriptor read at a level of the walk for va. It yields the address of the next descriptor (table), an entry to install (translated) or
// neither: a fault, of the given kind.
func (m *MMU) step(level int, desc uint32, va uint64) (what outcome, next bus.Phys, e entry, kind FaultKind) {
	if !m.l.inRange(va) {
		return invalid, 0, entry{}, FaultRange
	}
	what, base, size := m.l.decode(level, desc)
	switch what {
	case table:
		return table, m.l.tableEntry(base, va), entry{}, 0
	case translated:
		return translated, 0, entry{va: va &^ uint64(size-1), size: uint64(size), pa: base}, 0
	}
	if level == 1 {
		return invalid, 0, entry{}, FaultFirstLevel
	}
	return invalid, 0, entry{}, FaultSecondLevel
}
