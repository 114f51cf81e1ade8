package l3

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/dram"
	"socsim/soc/memory"
)

// oracle is the memory path as one would first write it: an event for each issue, arrival, arbitration and completion in one heap; a queue at the arbiter for each port. It shares
// nothing with Fabric but the DRAM controller and the initiators' scripts.
type oracle struct {
	cfg    Config
	ctl    *dram.Controller
	events events
	seq    int
	ports  []*oraclePort

	open   int      // transactions that the controller has and has not completed
	order  [3][]int // ports of each class, least recently granted first
	turn   int
	left   int
	last   bus.Master
	lines  map[bus.Phys]stamps
	bursts []burst
	bytes  [2]map[bus.Master]uint64 // read, written
}

type oraclePort struct {
	PortConfig
	script []transfer
	step   int // of the script
	issued sim.Time

	pos      int // next byte of the transfer to ask for
	asking   bool
	asked    int // bursts issued
	inFlight int
	dones    []sim.Time    // completion of each burst granted
	queue    []oracleBurst // at the arbiter
	holder   bus.Master
	log      []outcome
	latency  []sim.Time
}

// stamps are those of a line.
type stamps struct{ memory, newest memory.Stamp }

type oracleBurst struct {
	issued, arrived sim.Time
	addr            bus.Phys
	n               int
	kind            bus.Kind
	stamp           memory.Stamp
	last            bool
}

// The events in their order at equal times.
const (
	control = iota
	complete
	retire
	arrive
	arbitrate
)

type event struct {
	at        sim.Time
	what, seq int
	port      int
	b         oracleBurst
}

type events []event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	a, b := h[i], h[j]
	if a.at != b.at {
		return a.at < b.at
	}
	if a.what != b.what {
		return a.what < b.what
	}
	return a.seq < b.seq
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *events) Push(x any)   { *h = append(*h, x.(event)) }
func (h *events) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func (o *oracle) post(at sim.Time, what, port int, b oracleBurst) {
	o.seq++
	heap.Push(&o.events, event{at, what, o.seq, port, b})
}

func newOracle(t testing.TB, cfg Config, d dram.Config) *oracle {
	t.Helper()
	ctl, err := dram.New(d, testBase, testSize)
	if err != nil {
		t.Fatal(err)
	}
	return &oracle{
		cfg: cfg, ctl: ctl, turn: 1, left: cfg.Class1Weight, lines: map[bus.Phys]stamps{},
		bytes: [2]map[bus.Master]uint64{{}, {}},
	}
}

func (o *oracle) add(c PortConfig, script []transfer) {
	clock := sim.NewClock(int64(o.cfg.Clock))
	c.Hop += clock.Cycles(int64(o.cfg.RequestCycles))
	c.Return += clock.Cycles(int64(o.cfg.ResponseCycles))
	i := len(o.ports)
	o.ports = append(o.ports, &oraclePort{PortConfig: c, script: script})
	o.order[c.Class] = append(o.order[c.Class], i)
	if len(script) > 0 {
		o.post(script[0].gap, control, i, oracleBurst{})
	}
}

func (o *oracle) run() {
	now := sim.Time(0)
	for o.events.Len() > 0 {
		e := heap.Pop(&o.events).(event)
		now = max(now, e.at) // an initiator with a backlog asks for times past
		p := o.ports[e.port]
		switch e.what {
		case control: // a transfer begins
			p.issued, p.pos, p.asking = e.at, 0, true
			o.ask(p, e.port)
		case complete: // at the initiator
			p.inFlight--
			o.ask(p, e.port)
		case retire: // at the controller
			o.open--
			o.post(now, arbitrate, 0, oracleBurst{})
		case arrive:
			p.queue = append(p.queue, e.b)
			o.post(now, arbitrate, 0, oracleBurst{})
		case arbitrate:
			o.arbitrate(now)
		}
	}
}

// ask issues as many bursts of the port's transfer as may be in flight.
func (o *oracle) ask(p *oraclePort, port int) {
	for p.asking && p.inFlight < p.Outstanding {
		x := p.script[p.step]
		addr := x.addr + bus.Phys(p.pos)
		n := min(x.n-p.pos, 64-int(addr%64))
		issued := p.issued
		if k := p.asked - p.Outstanding; k >= 0 {
			issued = max(issued, p.dones[k]) // there was no room for it before
		}
		p.pos += n
		p.asked++
		p.inFlight++
		p.asking = p.pos < x.n
		o.post(issued+p.Hop, arrive, port, oracleBurst{issued, issued + p.Hop, addr, n, x.kind, memory.Stamp(x.stamp(port, p.step)), !p.asking})
	}
}

func (o *oracle) arbitrate(now sim.Time) {
	if o.open == o.ctl.LookAhead() {
		return
	}
	var best [3]int
	for c := range best {
		best[c] = slices.IndexFunc(o.order[c], func(i int) bool { return len(o.ports[i].queue) > 0 })
	}
	class := 0
	switch {
	case best[0] >= 0:
	case best[1] < 0 && best[2] < 0:
		return
	case best[1] < 0:
		class = 2
	case best[2] < 0:
		class = 1
	default:
		if o.left == 0 {
			o.turn = map[int]int{1: 2, 2: 1}[o.turn]
			o.left = map[int]int{1: o.cfg.Class1Weight, 2: o.cfg.Class2Weight}[o.turn]
		}
		o.left--
		class = o.turn
	}
	i := o.order[class][best[class]]
	o.order[class] = append(slices.Delete(o.order[class], best[class], best[class]+1), i)
	o.grant(o.ports[i], i, now)
	o.post(now, arbitrate, 0, oracleBurst{})
}

func (o *oracle) grant(p *oraclePort, port int, now sim.Time) {
	b := p.queue[0]
	p.queue = p.queue[1:]
	if o.last != p.Master {
		p.holder = o.last
	}
	o.last = p.Master
	_, end := o.ctl.Serve(o.ctl.Clock().Ceil(now), b.addr, b.n, b.kind == bus.Write || b.kind == bus.WriteBack)
	o.open++
	ready := o.ctl.Clock().Cycles(end)
	done := ready + p.Return
	o.post(ready, retire, 0, oracleBurst{})
	o.post(done, complete, port, oracleBurst{})
	p.dones = append(p.dones, done)
	p.latency = append(p.latency, done-b.issued)

	line := b.addr &^ 63
	l, ok := o.lines[line]
	if !ok {
		l = stamps{0, dirty}
	}
	switch b.kind {
	case bus.Write:
		l.memory = memory.StampOf(now, p.Master)
		l.newest = l.memory
	case bus.WriteBack:
		if l.memory == l.newest {
			l.newest = b.stamp
		}
		l.memory = b.stamp
	case bus.Read, bus.WalkRead:
		if l.memory != l.newest {
			o.bursts = append(o.bursts, burst{now, line, p.Master})
		}
	}
	o.lines[line] = l
	dir := 0
	if b.kind == bus.Write || b.kind == bus.WriteBack {
		dir = 1
	}
	o.bytes[dir][p.Master] += uint64(b.n)

	if b.last {
		p.log = append(p.log, outcome{p.issued, done, now - b.arrived, p.holder})
		p.step++
		if p.step < len(p.script) {
			o.post(p.script[p.step].at(p.issued, now, done), control, port, oracleBurst{})
		}
	}
}

// workload is a memory path and what its initiators do.
type workload struct {
	l3      Config
	dram    dram.Config
	ports   []PortConfig
	scripts [][]transfer
}

// check runs the workload on the fabric and on the oracle, and returns the fabric after it.
func (w workload) check(t testing.TB) *rig {
	t.Helper()
	r := buildRig(t, w.l3, w.dram)
	r.record()
	o := newOracle(t, w.l3, w.dram)
	var sources []*initiator
	for i, c := range w.ports {
		sources = append(sources, r.initiator(c, w.scripts[i]))
		o.add(c, w.scripts[i])
	}
	r.run(t, sim.Second)
	o.run()

	for i, s := range sources {
		if diff := cmp.Diff(o.ports[i].log, s.log, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Fatalf("port %d, %+v: outcomes of its transfers (-oracle +fabric):\n%s", i, w.ports[i], diff)
		}
	}
	if !slices.Equal(o.bursts, r.bursts) {
		t.Fatalf("reads differ: oracle %v, fabric %v", o.bursts, r.bursts)
	}
	for pa, want := range o.lines {
		if got := (stamps{r.mem.InMemory(pa), r.mem.Newest(pa)}); got != want {
			t.Fatalf("%v holds %x, want %x", pa, got, want)
		}
	}
	if o.ctl.Stats() != r.ctl.Stats() {
		t.Fatalf("DRAM counts %+v, want %+v", r.ctl.Stats(), o.ctl.Stats())
	}
	var grants uint64
	for m := range bus.Master(bus.MaxMasters) {
		var h Histogram
		for _, p := range o.ports {
			if p.Master == m {
				for _, l := range p.latency {
					h.Add(l)
				}
			}
		}
		grants += h.Count()
		if got, want := *r.Stats(m), (MasterStats{o.bytes[0][m], o.bytes[1][m], h}); got != want {
			t.Fatalf("master %d: %d bytes read, %d written, want %d and %d, or other latencies", m, got.BytesRead, got.BytesWritten, want.BytesRead, want.BytesWritten)
		}
	}
	if r.Grants() != grants {
		t.Fatalf("%d bursts granted, want %d", r.Grants(), grants)
	}
	return r
}

var kinds = []bus.Kind{bus.Read, bus.Write, bus.Fill, bus.WriteBack, bus.WalkRead}

func TestFabricAgreesWithAnEventForEachStepOnAnyWorkload(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := workload{l3: l3at166(), dram: lpddr166()}
		w.l3.Class1Weight = rapid.IntRange(1, 4).Draw(rt, "weight 1")
		w.l3.Class2Weight = rapid.IntRange(1, 4).Draw(rt, "weight 2")
		w.l3.RequestCycles = rapid.IntRange(0, 6).Draw(rt, "request")
		w.l3.ResponseCycles = rapid.IntRange(0, 6).Draw(rt, "response")
		w.dram.LookAhead = rapid.SampledFrom([]int{4, 1, 2, 16}).Draw(rt, "look-ahead")
		w.dram.TREFI = rapid.SampledFrom([]sim.Time{7800 * sim.Nanosecond, 0, sim.Microsecond}).Draw(rt, "trefi")
		ns := rapid.SampledFrom([]int64{0, 40, 300, 2000}).Draw(rt, "longest gap") // overload to light load
		for range rapid.IntRange(1, 6).Draw(rt, "ports") {
			w.ports = append(w.ports, PortConfig{
				Master: bus.Master(rapid.IntRange(1, 6).Draw(rt, "master")), Class: uint8(rapid.IntRange(0, 2).Draw(rt, "class")),
				Outstanding: rapid.IntRange(1, bus.MaxOutstanding).Draw(rt, "outstanding"),
				Hop:         sim.Time(rapid.IntRange(0, 20).Draw(rt, "hop")) * sim.Nanosecond,
				Return:      sim.Time(rapid.IntRange(0, 20).Draw(rt, "return")) * sim.Nanosecond,
			})
			script := make([]transfer, rapid.IntRange(0, 30).Draw(rt, "transfers"))
			for i := range script {
				script[i] = transfer{
					addr: testBase + bus.Phys(rapid.IntRange(0, 16<<10).Draw(rt, "address")), n: rapid.SampledFrom([]int{64, 1, 32, 100, 256, 700}).Draw(rt, "bytes"),
					kind: rapid.SampledFrom(kinds).Draw(rt, "kind"), rule: rapid.IntRange(0, rules-1).Draw(rt, "rule"),
					gap: sim.Time(rapid.Int64Range(0, ns*1000).Draw(rt, "gap")),
				}
			}
			w.scripts = append(w.scripts, script)
		}
		w.check(t)
	})
}

func TestFabricAgreesWithAnEventForEachStepAtEveryLoad(t *testing.T) {
	for _, tt := range []struct {
		name string
		gap  int64 // ns, on average, from one 256 byte transfer of a port to the next; 192 ns of data each
		rule int
		low  sim.Time // wait of a transfer's last burst at the arbiter, in ns on average
		high sim.Time
	}{
		{"light", 8000, paced, 0, 20},
		{"half", 1600, paced, 20, 100},
		{"saturated", 1000, paced, 100, 350},
		{"overload", 100, paced, 350, 1000},
		{"backlog", 100, backlogged, 350, 1000},
		{"closed loop", 0, afterDone, 350, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			w := workload{l3: l3at166(), dram: lpddr166()}
			for i, class := range []uint8{0, 1, 1, 2} {
				w.ports = append(w.ports, PortConfig{Master: bus.Master(i + 1), Class: class, Outstanding: []int{4, 1, 8, 8}[i]})
				script := make([]transfer, 1000)
				off := i << 20
				for k := range script {
					if rng.IntN(4) == 0 {
						off = rng.IntN(testSize-4096) &^ 63
					}
					script[k] = transfer{testBase + bus.Phys(off), 256, kinds[rng.IntN(2)], tt.rule, 0}
					if tt.gap > 0 {
						script[k].gap = sim.Time(rng.Int64N(2 * tt.gap * 1000))
					}
					off = (off + 256) % (testSize - 4096)
				}
				w.scripts = append(w.scripts, script)
			}
			r := w.check(t)
			var sum sim.Time
			for i := range r.ports {
				for _, x := range r.ports[i].Source().(*initiator).log {
					sum += x.waited
				}
			}
			if mean := sum / 4000 / sim.Nanosecond; mean < tt.low || mean > tt.high {
				t.Errorf("bursts wait %d ns, want %d to %d: the load is not what its name says", mean, tt.low, tt.high)
			}
		})
	}
}
