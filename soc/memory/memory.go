// Package memory models physical memory: who owns each page frame, and which write each line of it holds.
//
// It stores no payload. Each line carries two stamps: the newest write by anybody, and the write whose data memory holds. Together with the stamp of each cached copy
// (package cachemodel keeps those) they turn coherency errors into comparisons: a device that reads a line whose two stamps differ reads stale data, a CPU hit on a copy
// whose stamp is not the newest reads stale data, a write-back of a copy that is not the newest destroys newer data. Only page tables have contents, because
// a table walker acts on them; see [Memory.StoreWord].
//
// A line that two owners share is tracked to the byte (see [Memory.Part]); one that belongs to one owner is tracked as one.
//
// Left out: ECC, and anything about time; soc/dram has the timing.
package memory

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// A Stamp names one write of one line: when it was made and by whom. The zero Stamp is the power-on contents. Two writes of the same line never have equal stamps, because a
// master writes a line at most once at any one time.
type Stamp uint64

const (
	masterMask = 0x7f
	mergedBit  = 0x80
	timeShift  = 8
)

// StampOf returns the stamp of a write by master at time now.
func StampOf(now sim.Time, master bus.Master) Stamp {
	return Stamp(uint64(now)<<timeShift | uint64(master)&masterMask)
}

// Time returns when the write was made.
func (s Stamp) Time() sim.Time { return sim.Time(s >> timeShift) }

// Master returns who made the write.
func (s Stamp) Master() bus.Master { return bus.Master(s & masterMask) }

// Merged tells that the write covered only a part of its line and was made into a cached copy that was itself out of date, so that writing the copy back destroys
// newer data in the rest of the line.
func (s Stamp) Merged() bool { return s&mergedBit != 0 }

// WithMerged returns the stamp marked as merged into an out of date copy.
func (s Stamp) WithMerged() Stamp { return s | mergedBit }

// ViolationKind is a way in which the caches and memory disagree harmfully.
type ViolationKind uint8

// The kinds, as the result document names them.
const (
	StaleDeviceRead ViolationKind = iota
	StaleCPURead
	LostDeviceData
	LostCPUData
	// AliasError: the CPU missed, or wrote over, what it had itself written under another address or with another attribute.
	AliasError
	violationKinds
)

// ViolationKinds is the number of kinds.
const ViolationKinds = int(violationKinds)

func (k ViolationKind) String() string {
	switch k {
	case StaleDeviceRead:
		return "stale_device_read"
	case StaleCPURead:
		return "stale_cpu_read"
	case LostDeviceData:
		return "lost_device_data"
	case LostCPUData:
		return "lost_cpu_data"
	case AliasError:
		return "alias_error"
	}
	return fmt.Sprintf("violation(%d)", uint8(k))
}

// A Violation is one line that was read stale or whose newest data was lost.
type Violation struct {
	Kind ViolationKind
	Addr bus.Phys // of the line
	// First and Bytes are the part of an edge line that is concerned; 0 for the whole of another line.
	First, Bytes int
	// Newest is the write that should have been seen, or that was lost; Held is what was read or written back in its place.
	Newest, Held Stamp
	// Actor read the line, wrote the old copy back or dropped the new one, At a time.
	Actor bus.Master
	At    sim.Time
	Walk  bool // the reader was a table walker
}

// An Observer is told about violations. It is called at the moment of the violation and must not change the model.
type Observer interface{ Violation(v Violation) }

// Config is the memory of a system.
type Config struct {
	// Base is the physical address of the first byte and Size the number of bytes.
	Base bus.Phys
	Size int64
	// LineBytes is the granule of versions: the line size of the caches, 32 or 64.
	LineBytes int
	// Fragmentation is the chance, in parts per million, that the next frame of a scattered allocation is not the neighbour of the one before.
	Fragmentation int64
	// Reserved is the size of the area at the top that scattered allocations keep out of, so that contiguous ones find room there.
	Reserved int64
	// Colours is the number of page colours that allocations respect; 0 and 1 stand for none. The page at offset i of a region lies in a frame whose number is i modulo Colours.
	Colours int
	// Seed drives the scatter.
	Seed uint64
}

// PageBytes is the size of a page frame.
const PageBytes = 4096

// cell holds the two stamps of a line side by side, because every access needs both.
type cell struct{ inMemory, newest Stamp }

// Memory is the physical memory. Its cost is 16 bytes a line, touched only where the simulated system allocates.
type Memory struct {
	cfg      Config
	shift    uint
	cells    []cell
	frames   frameTable
	tables   map[uint32]*table // frame -> contents; looked up only where frames.isTable says so
	observer Observer
	// Coherent makes every copy current at no cost: the ideal against which strategies are measured.
	coherent bool
	// aliased: the CPU's caches keep copies of a line under several addresses.
	aliased bool
	edges   map[bus.Phys]*edge // by line number; nil while no two owners share a line
	names   uint64             // of vectors given out
	holder  Holder
}

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	if c.LineBytes != 32 && c.LineBytes != 64 {
		return fmt.Errorf("memory: line of %d bytes, want 32 or 64", c.LineBytes)
	}
	if c.Size <= 0 || c.Size%PageBytes != 0 {
		return fmt.Errorf("memory: size of %d bytes, want a positive multiple of the %d byte page", c.Size, PageBytes)
	}
	if c.Size > 4<<30 {
		return fmt.Errorf("memory: size of %d bytes, want at most 4 GiB", c.Size)
	}
	if c.Colours < 0 || c.Colours&(c.Colours-1) != 0 || int64(c.Colours) > c.Size/PageBytes {
		return fmt.Errorf("memory: %d page colours, want a power of two", c.Colours)
	}
	if c.Reserved < 0 || c.Reserved >= c.Size {
		return fmt.Errorf("memory: %d bytes reserved for contiguous allocations of %d in all", c.Reserved, c.Size)
	}
	return nil
}

// New returns a memory that has never been written.
func New(cfg Config) (*Memory, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	shift := uint(5)
	if cfg.LineBytes == 64 {
		shift = 6
	}
	return &Memory{
		cfg:    cfg,
		shift:  shift,
		cells:  make([]cell, cfg.Size>>shift),
		frames: newFrameTable(cfg),
		tables: map[uint32]*table{},
	}, nil
}

// LineBytes returns the version granule.
func (m *Memory) LineBytes() int { return m.cfg.LineBytes }

// SetObserver attaches who is told about violations; nil detaches.
func (m *Memory) SetObserver(o Observer) { m.observer = o }

// SetCoherent makes all copies always current: no violation can happen.
func (m *Memory) SetCoherent(on bool) { m.coherent = on }

// SetAliased tells that the CPU's caches keep copies of a line under several addresses, so that the CPU can miss what it wrote itself.
func (m *Memory) SetAliased(on bool) { m.aliased = on }

// Coherent tells whether copies are always current.
func (m *Memory) Coherent() bool { return m.coherent }

// Newest returns the newest write of the line at pa by anybody.
func (m *Memory) Newest(pa bus.Phys) Stamp { return m.cells[(pa-m.cfg.Base)>>m.shift].newest }

// Current tells whether a copy of the line at pa with stamp s holds the newest data.
func (m *Memory) Current(pa bus.Phys, s Stamp) bool {
	newest := m.Newest(pa)
	if s == newest || m.edges == nil {
		return s == newest
	}
	e := m.edge((pa - m.cfg.Base) >> m.shift)
	return e != nil && e.bytes(s) == e.bytes(newest)
}

// InMemory returns the write whose data memory holds for the line at pa. With coherent caches that is the newest.
func (m *Memory) InMemory(pa bus.Phys) Stamp {
	c := &m.cells[(pa-m.cfg.Base)>>m.shift]
	if m.coherent {
		return c.newest
	}
	return c.inMemory
}

// Contains tells whether pa lies in memory.
func (m *Memory) Contains(pa bus.Phys) bool {
	return pa >= m.cfg.Base && int64(pa-m.cfg.Base) < m.cfg.Size
}

// DeviceWrite records that a device wrote n bytes at pa.
func (m *Memory) DeviceWrite(pa bus.Phys, n int, master bus.Master, now sim.Time) {
	s := StampOf(now, master)
	first := (pa - m.cfg.Base) >> m.shift
	last := (pa + bus.Phys(n) - 1 - m.cfg.Base) >> m.shift
	for i := first; i <= last; i++ {
		if e := m.edge(i); e != nil {
			m.edgeDeviceWrite(i, e, pa, n, s)
			continue
		}
		m.cells[i] = cell{s, s}
	}
}

// DeviceRead records that a device (or its table walker) read n bytes at pa, and reports lines whose newest data is not in memory.
func (m *Memory) DeviceRead(pa bus.Phys, n int, master bus.Master, now sim.Time, walk bool) {
	first := (pa - m.cfg.Base) >> m.shift
	last := (pa + bus.Phys(n) - 1 - m.cfg.Base) >> m.shift
	for i := first; i <= last; i++ {
		if c := &m.cells[i]; c.inMemory != c.newest && !m.coherent {
			if e := m.edge(i); e != nil {
				m.edgeDeviceRead(i, e, pa, n, Violation{Actor: master, At: now, Walk: walk})
				continue
			}
			m.report(Violation{
				Kind: StaleDeviceRead, Addr: m.cfg.Base + i<<m.shift, Newest: c.newest, Held: c.inMemory,
				Actor: master, At: now, Walk: walk,
			})
		}
	}
}

// CPUWrite records that a CPU stored to the line at pa; the data is in a cache or a write buffer and has the stamp s.
func (m *Memory) CPUWrite(pa bus.Phys, s Stamp) { m.cells[(pa-m.cfg.Base)>>m.shift].newest = s }

// Written is WriteBack of n bytes of a copy: of an edge line memory takes those bytes alone.
func (m *Memory) Written(pa bus.Phys, n int, s Stamp, master bus.Master, now sim.Time) {
	for {
		i := (pa - m.cfg.Base) >> m.shift
		if e := m.edge(i); e != nil {
			m.edgeWriteBack(i, e, pa, n, s, master, now)
		} else {
			m.WriteBack(pa, s, master, now)
		}
		part := m.cfg.LineBytes - int(pa)&(m.cfg.LineBytes-1)
		if n <= part {
			return
		}
		pa += bus.Phys(part)
		n -= part
	}
}

// WriteBack records that a cached or buffered copy with stamp s reached memory, and reports newer device data that it overwrote.
func (m *Memory) WriteBack(pa bus.Phys, s Stamp, master bus.Master, now sim.Time) {
	i := (pa - m.cfg.Base) >> m.shift
	c := &m.cells[i]
	if m.coherent {
		c.inMemory = c.newest
	} else {
		if (s != c.newest || s.Merged()) && c.inMemory != s && (c.inMemory == c.newest || s.Merged()) {
			kind := LostDeviceData
			if m.aliased && c.inMemory.Master() == master {
				kind = AliasError
			}
			m.report(Violation{
				Kind: kind, Addr: m.cfg.Base + i<<m.shift, Newest: c.inMemory, Held: s, Actor: master, At: now,
			})
			if c.inMemory == c.newest {
				c.newest = s // nobody holds the lost data any more
			}
		}
		c.inMemory = s
	}
	if m.frames.isTable[pa2frame(pa-m.cfg.Base)] {
		m.writeBackWords(pa)
	}
}

// CPURead checks a CPU's hit on a copy with stamp held. It returns false, after reporting, if the copy is out of date. Repeats are the observer's to fold.
func (m *Memory) CPURead(pa bus.Phys, held Stamp, master bus.Master, now sim.Time) bool {
	c := &m.cells[(pa-m.cfg.Base)>>m.shift]
	if held == c.newest || m.coherent {
		return true
	}
	kind := StaleCPURead
	if m.aliased && c.newest.Master() == master {
		kind = AliasError
	}
	m.report(Violation{
		Kind: kind, Addr: pa &^ bus.Phys(m.cfg.LineBytes-1), Newest: c.newest, Held: held, Actor: master, At: now,
	})
	return false
}

// CPULoad is CPURead of n bytes of one line: of an edge line those bytes alone are compared.
func (m *Memory) CPULoad(pa bus.Phys, n int, held Stamp, master bus.Master, now sim.Time) bool {
	i := (pa - m.cfg.Base) >> m.shift
	e := m.edge(i)
	if e == nil || m.coherent {
		return m.CPURead(pa, held, master, now)
	}
	from, to := m.span(i, pa, n)
	return m.compare(i, e.bytes(m.cells[i].newest), e.bytes(held), from, to, Violation{Kind: StaleCPURead, Actor: master, At: now})
}

// CPUDrop records that a dirty copy with stamp s was invalidated without being written back, and reports it if nobody else holds that data.
func (m *Memory) CPUDrop(pa bus.Phys, s Stamp, master bus.Master, now sim.Time) {
	c := &m.cells[(pa-m.cfg.Base)>>m.shift]
	if e := m.edge((pa - m.cfg.Base) >> m.shift); e != nil && !m.coherent {
		m.edgeDrop((pa-m.cfg.Base)>>m.shift, e, s, master, now)
		return
	}
	if s != c.newest || s == c.inMemory || m.coherent {
		return
	}
	if r, _ := m.Owner(pa); r != nil && s.Time() <= r.Cleared {
		c.newest = c.inMemory // zeroes of the allocation are nobody's data
		return
	}
	m.report(Violation{
		Kind: LostCPUData, Addr: pa &^ bus.Phys(m.cfg.LineBytes-1), Newest: s, Held: c.inMemory, Actor: master, At: now,
	})
	c.newest = c.inMemory // nobody holds the lost data any more
}

func (m *Memory) report(v Violation) {
	if m.observer != nil {
		m.observer.Violation(v)
	}
}

func pa2frame(off bus.Phys) uint32 { return uint32(off / PageBytes) }
