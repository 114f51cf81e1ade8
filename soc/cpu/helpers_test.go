package cpu

import (
	"context"
	"testing"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/dram"
	"socsim/soc/dramtest"
	"socsim/soc/l3"
	"socsim/soc/memory"
)

// The test chip has round numbers: a core clock of 1 GHz, an interconnect and a DRAM of 100 MHz, and no refresh.
const (
	cycle    = sim.Nanosecond
	busClock = 10 * sim.Nanosecond
	hop      = 5 * busClock // request
	back     = 3 * busClock // response
	rcd      = 2            // DRAM clocks
	cl       = 3
	cwl      = 1
	lineData = 8 // clocks of 64 bytes of data
	line     = 64

	self   = bus.Master(1)
	device = bus.Master(2)
	other  = bus.Master(3)
)

// config is a core whose every cost is a different number.
func config() Config {
	return Config{
		Clock: 1e9, L1Cycles: 3, L2Cycles: 8, MissCycles: 25, AccessCycles: 1, TLBEntries: 32, TLBMissCycles: 24, WriteBuffers: 4, EvictionBuffers: 4, WriteOutstanding: 2,
		NCOutstanding: 1, Linefills: 1, WriteMerge: 64, StreamingStores: true, Initiator: l3.Plain(1, 0),
		Maintenance: Maintenance{Call: 20, Line: 34, SetWay: 17, Barrier: 40, Page: 5, DirtyCycles: 7},
		OS: OS{
			Syscall: 530, PageFault: 1690, ContextSwitch: 3600, IRQEntry: 1500, IRQExit: 600, Handler: 1200, Ioctl: 1100,
			MMIORead: 150 * sim.Nanosecond, MMIOWrite: 20 * sim.Nanosecond, Timeslice: 100 * sim.Microsecond,
		},
	}
}

// violations keeps what memory reports.
type violations []memory.Violation

func (v *violations) Violation(x memory.Violation) { *v = append(*v, x) }

func (v violations) of(k memory.ViolationKind) int {
	n := 0
	for _, x := range v {
		if x.Kind == k {
			n++
		}
	}
	return n
}

// rig is a core on an otherwise idle bus.
type rig struct {
	*Core
	tb   testing.TB
	seen violations
}

// l1Size and l2Size are those of the rig's caches: 4 KiB of 2 ways and 16 KiB of 4, LRU.
const (
	l1Size = 4 << 10
	l2Size = 16 << 10
)

func newRig(tb testing.TB, change func(*Config)) *rig {
	return newCachedRig(tb, change, cachemodel.ReadAllocate)
}

func newCachedRig(tb testing.TB, change func(*Config), allocate cachemodel.Allocate) *rig {
	tb.Helper()
	return newRigWith(tb, change, func(c *cachemodel.Config) {
		for i := range c.Levels {
			c.Levels[i].Allocate = allocate
		}
	})
}

func allocateForStores(c *cachemodel.Config) {
	for i := range c.Levels {
		c.Levels[i].Allocate = cachemodel.ReadWriteAllocate
	}
}

// twoColours makes L1 virtually indexed with ways of two pages.
func twoColours(c *cachemodel.Config) {
	c.Levels[0].Size, c.Levels[0].Index = 4*l1Size, cachemodel.VIPT
}

// newRigWith returns a rig with the caches changed.
func newRigWith(tb testing.TB, change func(*Config), changeCaches func(*cachemodel.Config)) *rig {
	tb.Helper()
	cfg := config()
	if change != nil {
		change(&cfg)
	}
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	const base, size = 0x8000_0000, 32 << 20
	eng := sim.New()
	mem, err := memory.New(memory.Config{Base: base, Size: size, LineBytes: line, Reserved: 16 << 20, Fragmentation: 500_000, Seed: 1})
	must(err)
	memoryConfig := dram.Config{
		Clock: 100e6, Width: 4, Banks: 4, Row: 4096, Map: dram.RoBaCo, Burst: 4, CL: cl, CWL: cwl, TRCD: rcd * busClock, TRP: 2 * busClock, TRAS: 5 * busClock,
		TRC: 7 * busClock, TRRD: busClock, TWR: 2 * busClock, TWTR: 2, TRTW: 1, LookAhead: 4,
	}
	ctl, err := dram.New(memoryConfig, base, size)
	must(err)
	if _, ok := tb.(*testing.B); !ok {
		dramtest.Watch(tb, ctl, memoryConfig)
	}
	fabric, err := l3.New(l3.Config{Clock: 100e6, RequestCycles: 5, ResponseCycles: 3, Class1Weight: 2, Class2Weight: 1}, eng, mem, ctl)
	must(err)
	cc := cachemodel.Config{
		Versions: true, Unification: 1,
		Levels: []cachemodel.LevelConfig{
			{Size: l1Size, Ways: 2, Line: line, Replacement: cachemodel.LRU},
			{Size: l2Size, Ways: 4, Line: line, Replacement: cachemodel.LRU},
		},
	}
	changeCaches(&cc)
	caches, err := cachemodel.New(cc)
	must(err)
	core, err := New(cfg, eng, fabric, mem, caches, self, 1)
	must(err)
	tb.Cleanup(eng.Close)
	r := &rig{Core: core, tb: tb}
	mem.SetObserver(&r.seen)
	return r
}

// region allocates contiguous memory at the start of a DRAM row.
func (r *rig) region(bytes int64) *memory.Region {
	r.tb.Helper()
	m, err := r.mem.AllocContiguous("buffer", bytes, memory.PageBytes)
	if err != nil {
		r.tb.Fatal(err)
	}
	return m
}

// mapped maps memory in sections, so that the tests' costs have no walks through page tables in them.
func (r *rig) mapped(m *memory.Region, a Attr) *Mapping {
	return &Mapping{Name: "test", Attr: a, Region: m, Bytes: int(m.Bytes), pageShift: 20}
}

// run runs a driver thread to its end, and all that it started.
func (r *rig) run(body func(t *Thread)) {
	r.tb.Helper()
	r.Spawn("test", body)
	r.until(sim.Never)
}

func (r *rig) until(end sim.Time) {
	r.tb.Helper()
	if err := r.eng.Run(context.Background(), end); err != nil {
		r.tb.Fatal(err)
	}
}

// at arranges for f to run as an event.
func (r *rig) at(when sim.Time, f func()) { r.eng.Schedule(when, r.eng.Register(event(f)), 0) }

type event func()

func (f event) Handle(sim.Time, uint64) { f() }

// took returns how long f takes the thread.
func took(t *Thread, f func()) sim.Time {
	start := t.Now()
	f()
	return t.Now() - start
}

// warm reads a byte of memory in the mapping's section, so that its TLB entry is there.
func (r *rig) warm(t *Thread, m *Mapping) {
	r.tlb.lookup(uint64(m.Region.Addr(0))>>20<<6 | 20)
	t.Settle()
}

func edge(t sim.Time) sim.Time { return (t + busClock - 1) / busClock * busClock }

// trip is the closed form of a bus read issued at a time on an idle bus: when its data is back. row is what the row costs: 0 open, rcd closed.
func trip(at sim.Time, row, data int64) sim.Time {
	return edge(at+hop) + sim.Time(row+cl+data)*busClock + back
}

// store is the same for a write.
func store(at sim.Time, row, data int64) sim.Time {
	return edge(at+hop) + sim.Time(row+cwl+data)*busClock + back
}

func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}
