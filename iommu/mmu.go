package iommu

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// Memory is physical memory as the walker reaches it, and as the CPU that writes the tables does: the two differ where a line is dirty in a CPU cache.
type Memory interface {
	// LoadWord returns what memory holds, not what a CPU cache does.
	LoadWord(pa bus.Phys) uint32
	// CurrentWord returns what the CPU sees. It is for finding stale translations only: no translation depends on it.
	CurrentWord(pa bus.Phys) uint32
	// Contains tells whether there is memory at pa. The words elsewhere are not asked for.
	Contains(pa bus.Phys) bool
}

// MaxEntries bounds the number of TLB entries, and that of walk cache entries.
const MaxEntries = 64

// Config describes an MMU.
type Config struct {
	Entries   int    `conf:"entries" doc:"Number of TLB entries, fully associative."`
	Format    Format `conf:"format" doc:"Page-table format and address width."`
	HitCycles int    `conf:"hit_cycles" doc:"Clock cycles of a TLB lookup, added to each transfer."`
	WalkCache int    `conf:"walk_cache" doc:"Entries of the cache of table descriptors by which a walk skips levels; 0 for none. The smmu format alone has one."`
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
	if c.WalkCache < 0 || c.WalkCache > MaxEntries {
		return fmt.Errorf("iommu.walk_cache: %d, want 0 to %d", c.WalkCache, MaxEntries)
	}
	if c.WalkCache > 0 && c.Format != SMMU {
		return fmt.Errorf("iommu.walk_cache: %d, but the %s format has no walk cache: want 0", c.WalkCache, c.Format)
	}
	return nil
}

// Counters counts what an MMU did. A lookup is that of one bus burst: Hits+Misses is the number of data bursts translated, however the device groups them into transfers, and of accesses
// that faulted, but for a multi-hit, once for each try. A transfer that misses is one miss, and hits for the further bursts in that page.
type Counters struct {
	Hits, Misses  uint64
	WalkReads     uint64      // descriptors read
	WalkCacheHits uint64      // walks that skipped levels
	Faults        FaultCounts // accesses stalled, once for each try
	StaleUses     uint64      // accesses that went to where a page no longer is
	StallTime     sim.Time    // that accesses were stalled, of all ports together; with [MMU.Now] also those not over and those that were cancelled
}

// MMU is the hardware of one memory management unit: its TLB and what its walker needs. Several ports may share one.
type MMU struct {
	front front
	count Counters
	ctx   uint16

	enabled bool
	off     bool // the table walker is
	l       *layout
	hit     sim.Time
	root    bus.Phys
	epoch   uint32 // changes with the tables and the context, so that a walk under way notices
	mem     Memory
	current func(bus.Phys) uint64 // readCurrent

	victim, lock int // the next entry to replace; entries below lock are never replaced
	tlb          []entry
	none         entry
	walks        []walkEntry
	oldest       int // of walks: the next to replace

	status  uint32
	faultVA bus.IOVA
	last    FaultRecord
	faulted bool
	halted  bool
	stalled *Port // the ports that are, the first first

	// OnFault, if not nil, is the interrupt line: it is called for a fault while no other is pending. It runs when the model finds the fault; the hardware knows at FaultRecord.Time, which may
	// lie ahead of now, or, for a request that had been waiting, behind. Effects belong in events scheduled for that time, or now if that is later. It must not issue, cancel or acknowledge.
	// Without a handler what faults stays stalled, as on the chip.
	OnFault func(FaultRecord)
	// OnStale, if not nil, is called for each access that goes to where a page no longer is. It must not issue, cancel or acknowledge.
	OnStale func(Stale)
	// Now, if not nil, is the time, for the stalls that are not over or were cancelled.
	Now func() sim.Time
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
	m := &MMU{l: l, mem: mem, tlb: make([]entry, cfg.Entries), walks: make([]walkEntry, cfg.WalkCache)}
	m.current = m.readCurrent
	m.forget()
	if cfg.HitCycles > 0 {
		m.hit = clock.Cycles(int64(cfg.HitCycles))
	}
	return m, nil
}

// Attach flushes the TLB, points the walker at a first-level table, in context 0, enables translation and lets faults interrupt. What is stalled stays so until Acknowledge.
func (m *MMU) Attach(root bus.Phys) {
	m.FlushAll()
	m.forget()
	m.root, m.ctx = root, 0
	m.enabled, m.halted = true, false
	m.epoch++
}

// Detach flushes the TLB and disables translation: device addresses are then physical (OMAP36xx TRM, MMUENABLE). What is stalled stays so until Acknowledge.
func (m *MMU) Detach() {
	m.FlushAll()
	m.enabled = false
	m.epoch++
}

// SwitchContext points the walker at the first-level table of another address space, number id. SMMU entries are tagged by it, and none is flushed; the other MMUs know of no contexts, and the switch
// flushes the TLB: that of the SGX goes with the directory cache, which a write of the directory's base has to invalidate (PVR services, mmu.c). A walk under way starts over.
func (m *MMU) SwitchContext(id int, root bus.Phys) {
	ctx := m.context(id)
	if !m.l.tagged {
		m.FlushAll()
	}
	m.forget()
	m.root, m.ctx = root, ctx
	m.epoch++
}

// Contexts is the number of contexts that entries can belong to: ASIDs of 16 bits.
const Contexts = 1 << 16

// context returns the tag of a context's entries.
func (m *MMU) context(id int) uint16 {
	if id < 0 || id >= Contexts {
		panic(fmt.Sprintf("iommu: context %d, want 0 to %d", id, Contexts-1))
	}
	if !m.l.tagged {
		return 0
	}
	return uint16(id)
}

// SetTableWalk switches the table walker on, as it is at first, or off: then a miss is a fault, and software loads the entry.
func (m *MMU) SetTableWalk(on bool) { m.off = !on }

// Enabled tells whether addresses are translated.
func (m *MMU) Enabled() bool { return m.enabled }

// Counters returns the counters.
func (m *MMU) Counters() Counters {
	c := m.count
	c.StallTime = m.stallTime()
	return c
}

// ResetCounters zeroes the counters. The TLB stays.
func (m *MMU) ResetCounters() {
	m.count = Counters{}
	m.resetStalls()
}
