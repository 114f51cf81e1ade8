package l3

import (
	"context"
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/dram"
	"socsim/soc/dramtest"
	"socsim/soc/memory"
)

const (
	testBase = bus.Phys(0x8000_0000)
	testSize = 1 << 22
)

// lpddr166 is the memory of the Nokia N900 (sdram-nokia.c).
func lpddr166() dram.Config {
	return dram.Config{
		Clock: 166e6, Width: 4, Banks: 4, Row: 4096, Map: dram.RoBaCo, Burst: 4, CL: 3, CWL: 1,
		TRCD: 22500, TRP: 18000, TRAS: 42000, TRC: 66000, TRRD: 12000, TWR: 15000, TWTR: 2, TRTW: 1, TRFC: 138000, TREFI: 7800 * sim.Nanosecond, LookAhead: 4,
	}
}

func l3at166() Config {
	return Config{Clock: 166e6, RequestCycles: 5, ResponseCycles: 3, Class1Weight: 2, Class2Weight: 1}
}

// rig is a fabric with its memory.
type rig struct {
	eng *sim.Engine
	mem *memory.Memory
	ctl *dram.Controller
	*Fabric
	bursts []burst
	walks  int // of them by a table walker
}

// burst is a burst of a read, as memory saw it.
type burst struct {
	at     sim.Time // of the grant
	addr   bus.Phys
	master bus.Master
}

func newRig(t testing.TB, set func(l *Config, d *dram.Config)) *rig {
	t.Helper()
	l, d := l3at166(), lpddr166()
	if set != nil {
		set(&l, &d)
	}
	return buildRig(t, l, d)
}

func buildRig(t testing.TB, l Config, d dram.Config) *rig {
	t.Helper()
	r := &rig{eng: sim.New()}
	var err error
	if r.mem, err = memory.New(memory.Config{Base: testBase, Size: testSize, LineBytes: 64}); err != nil {
		t.Fatal(err)
	}
	if r.ctl, err = dram.New(d, testBase, testSize); err != nil {
		t.Fatal(err)
	}
	if r.Fabric, err = New(l, r.eng, r.mem, r.ctl); err != nil {
		t.Fatal(err)
	}
	if _, ok := t.(*testing.B); !ok {
		dramtest.Watch(t, r.ctl, d)
	}
	return r
}

// Violation records the burst of a stale read.
func (r *rig) Violation(v memory.Violation) {
	if v.Kind == memory.StaleDeviceRead {
		r.bursts = append(r.bursts, burst{v.At, v.Addr, v.Actor})
		if v.Walk {
			r.walks++
		}
	}
}

// dirty is a store that stays in a cache.
var dirty = memory.StampOf(1, 31)

// record makes memory report every read of a line that nobody has written: a store that never leaves the cache makes all of them stale.
func (r *rig) record() {
	for pa := testBase; pa < testBase+testSize; pa += 64 {
		r.mem.CPUWrite(pa, dirty)
	}
	r.mem.SetObserver(r)
}

func (r *rig) run(t testing.TB, until sim.Time) {
	t.Helper()
	if err := r.eng.Run(context.Background(), until); err != nil {
		t.Fatal(err)
	}
}

// masters returns who was granted each burst, in order.
func (r *rig) masters() []bus.Master {
	var ms []bus.Master
	for _, b := range r.bursts {
		ms = append(ms, b.master)
	}
	return ms
}

// How the time of a transfer follows from the one before it.
const (
	afterDone  = iota // gap after its completion
	paced             // gap after it was issued, at the earliest when it is granted
	backlogged        // gap after it was issued, even if that is past by then
	byEvent           // gap after its completion, by an event at that time
	rules
)

// transfer is a step of an initiator's script.
type transfer struct {
	addr bus.Phys
	n    int
	kind bus.Kind
	rule int
	gap  sim.Time
}

// at returns when the transfer is issued, given when the one before it was issued, granted and done.
func (x transfer) at(issued, granted, done sim.Time) sim.Time {
	switch x.rule {
	case paced:
		return max(issued+x.gap, granted)
	case backlogged:
		return issued + x.gap
	}
	return done + x.gap
}

// stamp is the version that a write-back of a transfer carries.
func (x transfer) stamp(port, step int) uint64 {
	return uint64(memory.StampOf(sim.Time(step+1), bus.Master(port+10)))
}

// outcome is what became of a transfer.
type outcome struct {
	issued, done sim.Time
	waited       sim.Time   // the last burst
	holder       bus.Master // of the last burst
}

// initiator issues the transfers of a script.
type initiator struct {
	rig     *rig
	port    *bus.Port
	index   int
	handler sim.HandlerID
	script  []transfer
	issued  sim.Time
	log     []outcome
}

func (r *rig) initiator(c PortConfig, script []transfer) *initiator {
	s := &initiator{rig: r, script: script, index: len(r.ports)}
	s.port = r.AddPort(c, s)
	s.handler = r.eng.Register(s)
	if len(script) > 0 {
		s.issue(script[0].gap)
	}
	return s
}

func (s *initiator) issue(at sim.Time) {
	x := s.script[len(s.log)]
	s.issued = at
	s.port.Stamp = x.stamp(s.index, len(s.log))
	s.port.Issue(at, x.addr, x.n, x.kind)
}

func (s *initiator) Granted(p *bus.Port, done sim.Time) {
	granted := p.Issued() + p.Hop + p.Waited
	s.log = append(s.log, outcome{s.issued, done, p.Waited, p.Holder})
	if len(s.log) == len(s.script) {
		return
	}
	x := s.script[len(s.log)]
	if at := x.at(s.issued, granted, done); x.rule == byEvent {
		s.rig.eng.Schedule(at, s.handler, 0)
	} else {
		s.issue(at)
	}
}

func (s *initiator) Handle(now sim.Time, _ uint64) { s.issue(now) }

// repeat returns a script of n transfers of a kind, one after another in memory from off on, all issued at once.
func repeat(n, off, bytes int, k bus.Kind) []transfer {
	script := make([]transfer, n)
	for i := range script {
		script[i] = transfer{testBase + bus.Phys(off+i*bytes), bytes, k, backlogged, 0}
	}
	return script
}
