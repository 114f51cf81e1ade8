package iommu

import (
	"errors"
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
)

const lineBytes = 64

// tables is table memory behind a write-back cache: the CPU sees cpu, the walker mem, and a clean copies whole lines.
type tables struct {
	cpu, mem map[bus.Phys]uint32
	next     bus.Phys
	limit    bus.Phys
	cleans   []span
	stores   int
	now      sim.Time
}

func newTables() *tables {
	return &tables{cpu: map[bus.Phys]uint32{}, mem: map[bus.Phys]uint32{}, next: 0x8000_0400, limit: 0x8100_0000}
}

func (m *tables) Load(pa bus.Phys) uint32        { return m.cpu[pa] }
func (m *tables) LoadWord(pa bus.Phys) uint32    { return m.mem[pa] }
func (m *tables) CurrentWord(pa bus.Phys) uint32 { return m.cpu[pa] }
func (m *tables) Contains(pa bus.Phys) bool      { return pa >= 0x8000_0000 && pa < 0x9000_0000 }
func (m *tables) Now() sim.Time                  { return m.now }

func (m *tables) Store(pa bus.Phys, v uint32) {
	if pa%wordBytes != 0 {
		panic("unaligned store")
	}
	m.cpu[pa] = v
	m.stores++
}

func (m *tables) Clean(pa bus.Phys, n int) {
	m.cleans = append(m.cleans, span{uint64(pa), uint64(pa) + uint64(n)})
	for a := pa &^ (lineBytes - 1); a < pa+bus.Phys(n); a += wordBytes {
		m.mem[a] = m.cpu[a]
	}
}

func (m *tables) AllocTable(bytes, align int) (bus.Phys, error) {
	base := (m.next + bus.Phys(align) - 1) &^ (bus.Phys(align) - 1)
	if base+bus.Phys(bytes) > m.limit {
		return 0, errors.New("out of memory")
	}
	m.next = base + bus.Phys(bytes)
	for a := base; a < m.next; a += wordBytes {
		m.cpu[a] = 0xdeadbeef // what was there before
	}
	return base, nil
}

// grant is one burst as the fake bus served it.
type grant struct {
	At   sim.Time
	Addr bus.Phys
	N    int
	Kind bus.Kind
	Done sim.Time
}

// fakeBus serves the bursts of its ports in order of arrival, one at a time, each taking a fixed time.
type fakeBus struct {
	ports   []*bus.Port
	wake    sim.Time
	free    sim.Time // when the bus is free again
	burst   sim.Time
	log     []grant
	logging bool
}

const (
	burstTime = 40 * sim.Nanosecond
	hop       = 30 * sim.Nanosecond
	back      = 18 * sim.Nanosecond
)

func newBus() *fakeBus { return &fakeBus{burst: burstTime, logging: true} }

func (b *fakeBus) port(outstanding int) *bus.Port {
	p := &bus.Port{Outstanding: outstanding, Hop: hop, Return: back}
	p.Connect(&b.wake, new(sim.Time), nil)
	b.ports = append(b.ports, p)
	return p
}

// step serves one burst; false when there is none.
func (b *fakeBus) step() bool {
	p := b.ports[0]
	for _, q := range b.ports[1:] {
		if q.At < p.At {
			p = q
		}
	}
	if p.Idle() {
		return false
	}
	now := max(p.At, b.free)
	b.free = now + b.burst
	done := b.free
	if !p.Kind.IsWrite() {
		done += p.Return
	}
	n := p.Burst()
	if b.logging {
		b.log = append(b.log, grant{now, p.Addr, n, p.Kind, done})
	}
	p.Waited = now - p.At
	if !p.Advance(n, done) {
		p.Source().Granted(p, done)
	}
	return true
}

func (b *fakeBus) run() {
	for b.step() {
	}
}

// recorder is a device that notes when it is told.
type recorder struct{ done []sim.Time }

func (r *recorder) Granted(_ *bus.Port, done sim.Time) { r.done = append(r.done, done) }

var l3clock = sim.NewClock(166_000_000)

type rig struct {
	*fakeBus
	mem  *tables
	pt   *PageTable
	mmu  *MMU
	port *Port
	dev  *recorder
}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	r := &rig{fakeBus: newBus(), mem: newTables(), dev: &recorder{}}
	var err error
	if r.pt, err = NewPageTable(cfg.Format, r.mem); err != nil {
		t.Fatal(err)
	}
	if r.mmu, err = New(cfg, l3clock, r.mem); err != nil {
		t.Fatal(err)
	}
	r.pt.Observe(r.mmu)
	r.mmu.Attach(r.pt.Root())
	r.port = NewPort(r.fakeBus.port(4), r.mmu, r.dev)
	return r
}

func (r *rig) mapPage(t testing.TB, va bus.IOVA, pa bus.Phys, size int) {
	t.Helper()
	if err := r.pt.Map(r.mem, va, pa, size); err != nil {
		t.Fatal(err)
	}
}

// touch moves one word through the port and tells whether it arrived. What faults is acknowledged and forgotten.
func (r *rig) touch(va bus.IOVA) bool {
	r.port.Issue(r.free, va, 4, false)
	r.run()
	if !r.port.Stalled() {
		return true
	}
	r.port.Cancel()
	r.mmu.Acknowledge(r.free)
	return false
}

// entries returns how many TLB entries hold something.
func (m *MMU) entries() (n int) {
	for i := range m.tlb {
		if m.tlb[i].size != 0 {
			n++
		}
	}
	return n
}
