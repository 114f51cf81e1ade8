package sdma

import (
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/l3"
)

// omap3 is the device of the OMAP3 with the whole FIFO for each channel, on ports that are never the limit.
func omap3() Config {
	return Config{
		Channels: 32, FIFO: 1024, ChannelFIFO: 1024, ReadOutstanding: 4, WriteOutstanding: 2, ArbitrationRate: 1, Burst: 64, Packing: true, Writes: NonPosted, Initiator: l3.Plain(2, 5),
	}
}

// access is one as the interconnect saw it.
type access struct {
	at    sim.Time // requested
	addr  bus.Phys
	n     int
	write bool
	grant sim.Time
	done  sim.Time
}

// memory grants both ports while time passes: an access is granted when it arrives, but not before the one before it has been served, and done latency after its grant.
type memory struct {
	eng         *sim.Engine
	d           *Device
	ports       [2]bus.Port
	wake        sim.Time
	read, write sim.Time                         // latencies
	delay       func(n int, write bool) sim.Time // if set, they are this of the n-th access
	service     sim.Time
	free        sim.Time
	log         []access
	n           int
	quiet       bool
	irqs        []irq
}

// irq is an interrupt, and the state of the device at it.
type irq struct {
	at     sim.Time
	line   int
	raised uint32
}

func (m *memory) AdvanceTo(limit sim.Time) {
	for {
		limit = min(limit, m.eng.Next())
		p := &m.ports[0]
		if m.ports[1].At < p.At {
			p = &m.ports[1]
		}
		now := max(p.At, m.free)
		if p.Idle() || now >= limit {
			return
		}
		m.free = now + m.service
		p.Waited = now - p.At
		write := p.Kind.IsWrite()
		done := now + m.read
		if write {
			done = now + m.write
		}
		if m.delay != nil {
			done = now + m.delay(m.n, write)
		}
		m.n++
		n := p.Burst()
		if !m.quiet {
			m.log = append(m.log, access{p.Issued(), p.Addr, n, write, now, done})
		}
		if !p.Advance(n, done) {
			p.Source().Granted(p, done)
		}
	}
}

const (
	readLatency  = 200 * sim.Nanosecond
	writeLatency = 100 * sim.Nanosecond
)

type fataler interface {
	Helper()
	Fatal(args ...any)
}

func newMemory(t fataler, cfg Config) *memory {
	t.Helper()
	m := &memory{eng: sim.New(), read: readLatency, write: writeLatency}
	var err error
	if m.d, err = New(m.eng, cfg); err != nil {
		t.Fatal(err)
	}
	for i := range m.ports {
		m.ports[i].Outstanding = bus.MaxOutstanding
		m.ports[i].Connect(&m.wake, new(sim.Time), m.d)
	}
	m.d.SetPorts(&m.ports[0], &m.ports[1])
	m.d.OnInterrupt = func(line int) { m.irqs = append(m.irqs, irq{m.eng.Now(), line, m.d.IRQStatus(line)}) }
	m.eng.SetBackground(m)
	return m
}

// start programs channels and enables them now, from number 0 on.
func (m *memory) start(t fataler, transfers ...Transfer) {
	t.Helper()
	for ch, x := range transfers {
		if err := m.d.Program(ch, x); err != nil {
			t.Fatal(err)
		}
	}
	for ch := range transfers {
		if err := m.d.Enable(ch, m.eng.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// run goes on until nothing happens any more.
func (m *memory) run(t testing.TB) {
	t.Helper()
	if err := m.eng.Run(t.Context(), sim.Never); err != nil {
		t.Fatal(err)
	}
}

// only returns the reads or the writes.
func (m *memory) only(write bool) []access {
	var out []access
	for _, a := range m.log {
		if a.write == write {
			out = append(out, a)
		}
	}
	return out
}

// times returns when accesses were requested.
func times(log []access) []sim.Time {
	var out []sim.Time
	for _, a := range log {
		out = append(out, a.at)
	}
	return out
}

// sizes returns their bytes.
func sizes(log []access) []int {
	var out []int
	for _, a := range log {
		out = append(out, a.n)
	}
	return out
}

// bytesOf returns the addresses of all bytes accessed, in order.
func bytesOf(log []access) []bus.Phys {
	var out []bus.Phys
	for _, a := range log {
		for i := range a.n {
			out = append(out, a.addr+bus.Phys(i))
		}
	}
	return out
}

const (
	source = bus.Phys(0x8000_0000)
	target = bus.Phys(0x8010_0000)
)

// linear is a packed side in bursts of 64 B.
func linear(addr bus.Phys) Side {
	return Side{Addr: addr, Mode: PostIncrement, Burst: 64, Packed: true}
}

// copied copies n bytes, a multiple of 4.
func copied(n int, w WriteMode) Transfer {
	return Transfer{Source: linear(source), Destination: linear(target), Element: 4, Elements: n / 4, Frames: 1, Writes: w}
}
