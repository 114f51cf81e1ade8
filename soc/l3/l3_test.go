package l3

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/dram"
	"socsim/soc/memory"
)

// noHops leaves nothing between an initiator and the arbiter.
func noHops(l *Config, _ *dram.Config) { l.RequestCycles, l.ResponseCycles = 0, 0 }

func TestUnloadedLatencyIsTheSumOfItsParts(t *testing.T) {
	for _, tt := range []struct {
		name     string
		kind     bus.Kind
		hop, ret sim.Time
		issue    int64 // cycles of 166 MHz
		want     int64
	}{
		{"read of a closed bank", bus.Read, 0, 0, 0, 5 + 4 + 3 + 8 + 3},
		{"write of a closed bank", bus.Write, 0, 0, 0, 5 + 4 + 1 + 8 + 3},
		{"the port's own hops", bus.Read, 18072, 12048, 0, 3 + 5 + 4 + 3 + 8 + 3 + 2},
		{"later", bus.Read, 0, 0, 1000, 5 + 4 + 3 + 8 + 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			clock := r.ctl.Clock()
			s := r.initiator(PortConfig{Master: 1, Outstanding: 1, Hop: tt.hop, Return: tt.ret}, []transfer{{testBase, 64, tt.kind, afterDone, clock.Cycles(tt.issue)}})
			r.run(t, sim.Millisecond)
			got, want := s.log[0].done-s.log[0].issued, clock.Cycles(tt.want)
			if got < want-3 || got > want+3 { // each conversion from cycles rounds down to a picosecond
				t.Errorf("%v, want %d cycles, %v", got, tt.want, want)
			}
			if l := &r.Stats(1).Latency; l.Count() != 1 || l.Sum() != uint64(got) || l.Max() != got {
				t.Errorf("counted %d latencies, sum %d ps, max %v, want one of %v", l.Count(), l.Sum(), l.Max(), got)
			}
		})
	}
}

func TestClassZeroGoesFirst(t *testing.T) {
	r := newRig(t, nil)
	r.record()
	// The port numbers are against it.
	r.initiator(PortConfig{Master: 1, Class: 1, Outstanding: 16}, repeat(40, 0, 64, bus.Read))
	r.initiator(PortConfig{Master: 2, Class: 2, Outstanding: 16}, repeat(40, 1<<16, 64, bus.Read))
	late := repeat(30, 1<<17, 64, bus.Read)
	late[0].gap = 2 * sim.Microsecond
	r.initiator(PortConfig{Master: 3, Class: 0, Outstanding: 16}, late)
	r.run(t, sim.Second)

	ms := r.masters()
	first := slices.Index(ms, 3)
	if first < 10 || len(ms) != 110 {
		t.Fatalf("%d bursts, the first of class 0 is number %d: %v", len(ms), first, ms)
	}
	for i, m := range ms[first : first+30] {
		if m != 3 {
			t.Fatalf("burst %d behind the first of class 0 is of master %d: %v", i, m, ms)
		}
	}
	hop := r.ctl.Clock().Cycles(5)
	if r.bursts[first-1].at >= 2*sim.Microsecond+hop {
		t.Errorf("a burst of another class was granted at %v, class 0 had arrived", r.bursts[first-1].at)
	}
}

func TestWeightedClassesShareByWeight(t *testing.T) {
	for _, w := range [][2]int{{2, 1}, {1, 1}, {3, 2}, {1, 4}} {
		t.Run(fmt.Sprintf("%d to %d", w[0], w[1]), func(t *testing.T) {
			r := newRig(t, func(l *Config, _ *dram.Config) { l.Class1Weight, l.Class2Weight = w[0], w[1] })
			r.record()
			r.initiator(PortConfig{Master: 2, Class: 2, Outstanding: 16}, repeat(200, 0, 64, bus.Read))
			r.initiator(PortConfig{Master: 1, Class: 1, Outstanding: 16}, repeat(200, 1<<16, 64, bus.Read))
			r.run(t, sim.Second)
			var want []bus.Master
			for len(want) < 200 {
				want = append(want, slices.Repeat([]bus.Master{1}, w[0])...)
				want = append(want, slices.Repeat([]bus.Master{2}, w[1])...)
			}
			if diff := cmp.Diff(want[:200], r.masters()[:200]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWeightedClassAloneHasAllBursts(t *testing.T) {
	for _, class := range []uint8{1, 2} {
		r := newRig(t, noHops)
		s := r.initiator(PortConfig{Master: 1, Class: class, Outstanding: 16}, repeat(60, 0, 64, bus.Read))
		r.AddPort(PortConfig{Master: 2, Class: 3 - class, Outstanding: 1}, s)
		r.run(t, sim.Second)
		if got, want := s.log[59].done, r.ctl.Clock().Cycles(4+3+60*8); got != want {
			t.Errorf("class %d: done at %v, want %v", class, got, want)
		}
	}
}

func TestLeastRecentlyGrantedPortOfAClassGoesFirst(t *testing.T) {
	for class := range uint8(3) {
		r := newRig(t, nil)
		r.record()
		late := repeat(20, 3<<16, 64, bus.Read)
		late[0].gap = sim.Microsecond
		for m := range 2 {
			r.initiator(PortConfig{Master: bus.Master(m + 1), Class: class, Outstanding: 16}, repeat(40, m<<16, 64, bus.Read))
		}
		r.initiator(PortConfig{Master: 3, Class: class, Outstanding: 16}, late)
		r.run(t, sim.Second)
		ms := r.masters()
		first := slices.Index(ms, 3)
		if first < 6 {
			t.Fatalf("class %d: the late port is served as number %d", class, first)
		}
		for i, m := range ms[:first] {
			if want := bus.Master(i%2 + 1); m != want {
				t.Fatalf("class %d: burst %d is of port %d, want %d: %v", class, i, m, want, ms)
			}
		}
		// It was never granted, so it goes first; then each waits for the two others.
		for i := first; i < first+57; i++ {
			if ms[i] == ms[i+1] || ms[i] == ms[i+2] {
				t.Fatalf("class %d: burst %d on is of ports %v, want all three in turn", class, i, ms[i:i+3])
			}
		}
	}
}

func TestAsManyBurstsAreOpenAsTheLookAhead(t *testing.T) {
	for _, ahead := range []int{1, 2, 4, 16} {
		r := newRig(t, func(l *Config, d *dram.Config) {
			noHops(l, d)
			d.LookAhead = ahead
		})
		r.record()
		s := r.initiator(PortConfig{Master: 1, Outstanding: 16}, repeat(300, 0, 64, bus.Read))
		r.run(t, sim.Second)
		for k, b := range r.bursts {
			want := sim.Time(0)
			if k >= ahead {
				want = s.log[k-ahead].done // the end of the data, for want of hops
			}
			if b.at != want {
				t.Fatalf("look-ahead %d: burst %d granted at %v, want %v", ahead, k, b.at, want)
			}
		}
	}
}

func TestPortHasNoMoreBurstsInFlightThanItMay(t *testing.T) {
	for _, outstanding := range []int{1, 2, 3, 4, 7, 16} {
		r := newRig(t, func(_ *Config, d *dram.Config) { d.LookAhead = 16 })
		r.record()
		s := r.initiator(PortConfig{Master: 1, Outstanding: outstanding}, repeat(200, 0, 64, bus.Read))
		r.run(t, sim.Second)
		hop, back := r.ctl.Clock().Cycles(5), r.ctl.Clock().Cycles(3)
		for k, b := range r.bursts {
			want := hop
			if k >= outstanding {
				want = s.log[k-outstanding].done + hop
			}
			if k >= 16 {
				want = max(want, s.log[k-16].done-back)
			}
			if b.at != want {
				t.Fatalf("%d outstanding: burst %d granted at %v, want %v", outstanding, k, b.at, want)
			}
		}
	}
}

func TestTransferIsSplitAtBurstBoundaries(t *testing.T) {
	tests := []struct {
		off, n int
		sizes  []int
	}{
		{0, 64, []int{64}},
		{0, 1, []int{1}},
		{0, 65, []int{64, 1}},
		{63, 2, []int{1, 1}},
		{60, 128, []int{4, 64, 60}},
		{32, 32, []int{32}},
		{32, 33, []int{32, 1}},
		{0, 256, []int{64, 64, 64, 64}},
	}
	for _, tt := range tests {
		r := newRig(t, nil)
		r.record()
		r.initiator(PortConfig{Master: 1, Outstanding: 4}, []transfer{{testBase + bus.Phys(tt.off), tt.n, bus.Read, afterDone, 0}})
		r.run(t, sim.Second)
		var clocks uint64
		for _, n := range tt.sizes {
			clocks += uint64(max((n+7)/8, 2))
		}
		if got := r.ctl.Stats(); r.Grants() != uint64(len(tt.sizes)) || got.Reads != uint64(len(tt.sizes)) || got.DataClocks != clocks {
			t.Errorf("%d bytes from %d: %d bursts, %d reads of %d clocks in all, want %d of %d clocks", tt.n, tt.off, r.Grants(), got.Reads, got.DataClocks, len(tt.sizes), clocks)
		}
		for i, b := range r.bursts {
			if want := testBase + bus.Phys(i*64); b.addr != want {
				t.Errorf("%d bytes from %d: burst %d is at %v, want %v", tt.n, tt.off, i, b.addr, want)
			}
		}
		if got := r.Stats(1).BytesRead; got != uint64(tt.n) {
			t.Errorf("%d bytes from %d: counted %d", tt.n, tt.off, got)
		}
	}
}

func TestEveryByteIsServedOnceAndInThePortsOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, nil)
		r.record()
		ports := rapid.IntRange(1, MaxPorts).Draw(rt, "ports")
		lines := make([][]bus.Phys, ports)
		bytes := make([]uint64, ports)
		var sources []*initiator
		for m := range ports {
			script := make([]transfer, rapid.IntRange(0, 12).Draw(rt, "transfers"))
			for i := range script {
				x := transfer{
					testBase + bus.Phys(rapid.IntRange(0, testSize/2).Draw(rt, "address")), rapid.IntRange(1, 1000).Draw(rt, "bytes"), bus.Read,
					rapid.IntRange(0, rules-1).Draw(rt, "rule"), sim.Time(rapid.IntRange(0, 200_000).Draw(rt, "gap")),
				}
				script[i] = x
				for pa := x.addr &^ 63; pa < x.addr+bus.Phys(x.n); pa += 64 {
					lines[m] = append(lines[m], pa)
				}
				bytes[m] += uint64(x.n)
			}
			c := PortConfig{Master: bus.Master(m + 1), Class: uint8(rapid.IntRange(0, 2).Draw(rt, "class")), Outstanding: rapid.IntRange(1, 16).Draw(rt, "outstanding")}
			sources = append(sources, r.initiator(c, script))
		}
		r.run(t, sim.Second)
		for m, s := range sources {
			if len(s.log) != len(s.script) {
				rt.Fatalf("port %d was told of %d grants, want %d", m, len(s.log), len(s.script))
			}
		}
		got := make([][]bus.Phys, ports)
		for i, b := range r.bursts {
			got[b.master-1] = append(got[b.master-1], b.addr)
			if i > 0 && b.at < r.bursts[i-1].at {
				rt.Fatalf("burst %d is granted at %v, the one before it at %v", i, b.at, r.bursts[i-1].at)
			}
		}
		for m := range ports {
			if !slices.Equal(got[m], lines[m]) {
				rt.Fatalf("port %d: bursts at %v, want %v", m, got[m], lines[m])
			}
			if n := r.Stats(bus.Master(m + 1)).BytesRead; n != bytes[m] {
				rt.Fatalf("port %d: %d bytes, want %d", m, n, bytes[m])
			}
		}
		if n := r.Stats(bus.Master(ports + 1)); n.BytesRead != 0 {
			rt.Fatalf("%d bytes of a master without a port", n.BytesRead)
		}
	})
}

// issuer issues a transfer when its event comes.
type issuer struct{ s *initiator }

func (h issuer) Handle(now sim.Time, _ uint64) { h.s.port.Issue(now, testBase+1<<16, 64, bus.Read) }

func TestEventsAtTheDecisionTimeRunFirst(t *testing.T) {
	const arrival = 1000 * sim.Nanosecond
	for _, tt := range []struct {
		event sim.Time
		want  []bus.Master
	}{
		{arrival - 1, []bus.Master{2, 1}},
		{arrival, []bus.Master{2, 1}},
		{arrival + 1, []bus.Master{1, 2}},
	} {
		r := newRig(t, noHops)
		r.record()
		r.initiator(PortConfig{Master: 1, Class: 1, Outstanding: 1}, []transfer{{testBase, 64, bus.Read, afterDone, arrival}})
		s := r.initiator(PortConfig{Master: 2, Class: 0, Outstanding: 1}, nil)
		s.script = make([]transfer, 1)
		r.eng.Schedule(tt.event, r.eng.Register(issuer{s}), 0)
		r.run(t, sim.Millisecond)
		// Both fit into the look-ahead, so that only the order of arrival and event decides.
		if got := r.masters(); !slices.Equal(got, tt.want) {
			t.Errorf("event at %v: granted %v, want %v", tt.event, got, tt.want)
		}
	}
}

func TestBurstTakesPartInTheDecisionFromItsArrivalOn(t *testing.T) {
	const arrival = 1000 * sim.Nanosecond
	for _, tt := range []struct {
		other sim.Time // arrival of class 0
		want  []bus.Master
	}{
		{arrival, []bus.Master{2, 1}},
		{arrival + 1, []bus.Master{1, 2}},
	} {
		r := newRig(t, noHops)
		r.record()
		r.initiator(PortConfig{Master: 1, Class: 1, Outstanding: 1}, []transfer{{testBase, 64, bus.Read, afterDone, arrival}})
		r.initiator(PortConfig{Master: 2, Class: 0, Outstanding: 1}, []transfer{{testBase, 64, bus.Read, afterDone, tt.other}})
		r.run(t, sim.Millisecond)
		if got := r.masters(); !slices.Equal(got, tt.want) {
			t.Errorf("class 0 arrives at %v, class 1 at %v: granted %v, want %v", tt.other, arrival, got, tt.want)
		}
	}
}

func TestAdvanceServesWhatIsDecidedBeforeTheLimit(t *testing.T) {
	const arrival = 1000 * sim.Nanosecond
	r := newRig(t, noHops)
	r.initiator(PortConfig{Master: 1, Outstanding: 1}, []transfer{{testBase, 64, bus.Read, afterDone, arrival}})
	if r.Next() > arrival {
		t.Errorf("the next decision is at %v, want no later than %v", r.Next(), arrival)
	}
	r.AdvanceTo(arrival)
	if r.Grants() != 0 {
		t.Error("a burst that arrives at the limit is served")
	}
	r.AdvanceTo(arrival + 1)
	if r.Grants() != 1 {
		t.Error("a burst that arrives before the limit is not served")
	}
	r.AdvanceTo(sim.Never)
	if r.Next() != sim.Never {
		t.Errorf("with nothing to do the next decision is at %v", r.Next())
	}
}

func TestAdvanceStopsBeforeAnEventThatAGrantSchedules(t *testing.T) {
	r := newRig(t, noHops)
	r.record()
	script := []transfer{{testBase, 64, bus.Read, afterDone, 0}, {testBase, 64, bus.Read, byEvent, 0}}
	s := r.initiator(PortConfig{Master: 1, Class: 0, Outstanding: 1}, script)
	r.initiator(PortConfig{Master: 2, Class: 0, Outstanding: 16}, repeat(100, 1<<16, 64, bus.Read))
	r.AdvanceTo(sim.Never)
	if n := r.eng.Next(); n != s.log[0].done {
		t.Fatalf("next event at %v, want the completion at %v", n, s.log[0].done)
	}
	for _, b := range r.bursts {
		if b.at >= s.log[0].done {
			t.Errorf("master %d granted at %v, an event is due at %v", b.master, b.at, s.log[0].done)
		}
	}
	if len(r.bursts) < 3 {
		t.Errorf("only %d bursts granted", len(r.bursts))
	}
}

func TestAwaitOfAnIdlePortReturnsAtOnce(t *testing.T) {
	r := newRig(t, nil)
	idle := r.initiator(PortConfig{Master: 1, Outstanding: 1}, nil)
	r.initiator(PortConfig{Master: 2, Outstanding: 1}, repeat(4, 0, 64, bus.Read))
	if !r.Await(idle.port) || r.Grants() != 0 {
		t.Errorf("%d bursts served, want none", r.Grants())
	}
}

func TestAwaitServesUntilThePortsTransferIsGranted(t *testing.T) {
	r := newRig(t, nil)
	r.record()
	r.initiator(PortConfig{Master: 2, Class: 0, Outstanding: 16}, repeat(20, 0, 64, bus.Read))
	s := r.initiator(PortConfig{Master: 1, Class: 1, Outstanding: 4}, repeat(2, 1<<16, 256, bus.Read))
	if !r.Await(s.port) || len(s.log) != 1 || s.port.Idle() {
		t.Fatalf("%d transfers granted, want one and the next issued", len(s.log))
	}
	if last := r.bursts[len(r.bursts)-1]; r.Grants() != 24 || last.addr != testBase+1<<16+192 {
		t.Errorf("%d bursts granted, the last at %v", r.Grants(), last.addr)
	}
}

func TestAdvanceAfterAnAwaitServesAll(t *testing.T) {
	r := newRig(t, nil)
	r.initiator(PortConfig{Master: 2, Class: 0, Outstanding: 16}, repeat(20, 0, 64, bus.Read))
	s := r.initiator(PortConfig{Master: 1, Class: 0, Outstanding: 4}, repeat(3, 1<<16, 64, bus.Read))
	if !r.Await(s.port) {
		t.Fatal("not granted")
	}
	r.AdvanceTo(sim.Never)
	if r.Grants() != 23 || len(s.log) != 3 {
		t.Errorf("%d bursts granted, want 23", r.Grants())
	}
}

func TestAwaitGivesWayToAnEvent(t *testing.T) {
	r := newRig(t, noHops)
	r.initiator(PortConfig{Master: 2, Class: 0, Outstanding: 16}, repeat(20, 0, 64, bus.Read))
	s := r.initiator(PortConfig{Master: 1, Class: 1, Outstanding: 4}, repeat(1, 1<<16, 64, bus.Read))
	e := r.eng.Schedule(300*sim.Nanosecond, r.eng.Register(s), 0)
	if r.Await(s.port) {
		t.Fatal("an event is due before the grant, and Await says true")
	}
	if g := r.Grants(); g == 0 || g >= 20 {
		t.Errorf("%d bursts served before the event", g)
	}
	r.eng.Cancel(e)
	if !r.Await(s.port) || len(s.log) != 1 {
		t.Error("without the event the transfer is not granted")
	}
}

func TestWaitAndHolderNameWhoeverWasServedBefore(t *testing.T) {
	r := newRig(t, func(l *Config, d *dram.Config) {
		noHops(l, d)
		d.LookAhead = 1
	})
	a := r.initiator(PortConfig{Master: 1, Class: 0, Outstanding: 16}, repeat(1, 0, 64, bus.Read))
	b := r.initiator(PortConfig{Master: 2, Class: 1, Outstanding: 16}, repeat(2, 64, 64, bus.Read))
	c := r.initiator(PortConfig{Master: 2, Class: 2, Outstanding: 16}, repeat(1, 256, 64, bus.Read))
	r.run(t, sim.Second)
	clk := r.ctl.Clock().Cycles
	// Closed bank 15 clocks, then hits of 11.
	want := [][]outcome{
		{{0, clk(15), 0, bus.NoMaster}},
		{{0, clk(26), clk(15), 1}, {0, clk(37), clk(26), 1}},
		{{0, clk(48), clk(37), bus.NoMaster}}, // its own master was served before it
	}
	for i, s := range []*initiator{a, b, c} {
		if diff := cmp.Diff(want[i], s.log, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("port %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestCancelledTransferIsNotServed(t *testing.T) {
	r := newRig(t, nil)
	a := r.initiator(PortConfig{Master: 1, Outstanding: 1}, repeat(1, 0, 64, bus.Read))
	b := r.initiator(PortConfig{Master: 2, Outstanding: 1}, repeat(1, 64, 64, bus.Read))
	a.port.Cancel()
	r.run(t, sim.Second)
	if len(a.log) != 0 || len(b.log) != 1 || r.Grants() != 1 {
		t.Errorf("%d and %d transfers granted, want none and one", len(a.log), len(b.log))
	}
}

func TestKindDecidesWhatBecomesOfTheLine(t *testing.T) {
	device := func(s memory.Stamp) bool { return s.Master() == 1 && s.Time() > 1 }
	for _, tt := range []struct {
		kind    bus.Kind
		reports bool
		writes  bool
		held    func(s memory.Stamp) bool
	}{
		{bus.Read, true, false, func(s memory.Stamp) bool { return s == 0 }},
		{bus.WalkRead, true, false, func(s memory.Stamp) bool { return s == 0 }},
		{bus.Fill, false, false, func(s memory.Stamp) bool { return s == 0 }},
		{bus.Write, false, true, device},
		{bus.WriteBack, false, true, func(s memory.Stamp) bool { return s == memory.Stamp(transfer{}.stamp(0, 0)) }},
	} {
		r := newRig(t, nil)
		r.record()
		r.initiator(PortConfig{Master: 1, Outstanding: 1}, repeat(1, 0, 64, tt.kind))
		r.run(t, sim.Second)
		if got := len(r.bursts) == 1; got != tt.reports {
			t.Errorf("kind %d: stale read reported %t", tt.kind, got)
		}
		if got, want := r.walks > 0, tt.kind == bus.WalkRead; got != want {
			t.Errorf("kind %d: reported as a table walk %t", tt.kind, got)
		}
		if s := r.mem.InMemory(testBase); !tt.held(s) {
			t.Errorf("kind %d: memory holds %x", tt.kind, s)
		}
		var read, written uint64 = 64, 0
		if tt.writes {
			read, written = 0, 64
		}
		if s := r.Stats(1); s.BytesRead != read || s.BytesWritten != written || r.ctl.Stats().Writes != written/64 {
			t.Errorf("kind %d: %d bytes read, %d written", tt.kind, s.BytesRead, s.BytesWritten)
		}
	}
}

func TestResetStatsForgetsCountersAlone(t *testing.T) {
	r := newRig(t, nil)
	s := r.initiator(PortConfig{Master: 1, Outstanding: 4}, repeat(100, 0, 64, bus.Write))
	r.AdvanceTo(2 * sim.Microsecond)
	before := r.Grants()
	r.ResetStats()
	if st := r.Stats(1); before == 0 || before == 100 || st.BytesWritten != 0 || st.Latency.Count() != 0 || r.ctl.Stats() != (dram.Stats{}) {
		t.Fatalf("after %d bursts: %d bytes, %d latencies, DRAM %+v left", before, st.BytesWritten, st.Latency.Count(), r.ctl.Stats())
	}
	r.run(t, sim.Second)
	if st := r.Stats(1); st.BytesWritten != (100-before)*64 || r.Grants() != 100 || len(s.log) != 100 {
		t.Errorf("%d bytes counted of the last %d bursts; %d grants in all", st.BytesWritten, 100-before, r.Grants())
	}
}

func TestWaitsAreThoseOfAQueueWithPoissonArrivalsAndFixedService(t *testing.T) {
	for _, load := range []float64{0.3, 0.5, 0.8} {
		r := newRig(t, func(l *Config, d *dram.Config) {
			noHops(l, d)
			d.TREFI, d.LookAhead = 0, 16
		})
		clock := r.ctl.Clock()
		const service = 8 // clocks of a row hit on the data bus
		rng := rand.New(rand.NewPCG(1, 2))
		script := make([]transfer, 300_000)
		for i := range script {
			script[i] = transfer{testBase, 64, bus.Read, backlogged, sim.Time(rng.ExpFloat64() / load * float64(clock.Cycles(service)))}
		}
		s := r.initiator(PortConfig{Master: 1, Outstanding: 16}, script)
		r.run(t, sim.Second)
		var sum int64
		for _, x := range s.log[1:] { // but the first, which opens the row
			sum += clock.Ceil(x.done) - clock.Ceil(x.issued) - 3 - service
		}
		got := float64(sum) / float64(len(s.log)-1)
		want := load * service / (2 * (1 - load)) // Pollaczek and Khinchine
		if got < want*0.97 || got > want*1.03 {
			t.Errorf("load %.1f: a mean wait of %.2f clocks, want %.2f within 3 %%", load, got, want)
		}
	}
}

func TestTooManyPortsPanic(t *testing.T) {
	r := newRig(t, nil)
	for range MaxPorts {
		r.initiator(PortConfig{Master: 1, Outstanding: 1}, nil)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	r.initiator(PortConfig{Master: 1, Outstanding: 1}, nil)
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		set  func(c *Config)
		want string
	}{
		{func(c *Config) { c.Clock = 0 }, "l3.clock: 0"},
		{func(c *Config) { c.RequestCycles = -1 }, "l3: negative latency"},
		{func(c *Config) { c.ResponseCycles = -1 }, "l3: negative latency"},
		{func(c *Config) { c.Class1Weight = 0 }, "l3: weights 0 and 1, want at least 1 each"},
		{func(c *Config) { c.Class2Weight = 0 }, "l3: weights 2 and 0, want at least 1 each"},
	} {
		cfg := l3at166()
		tt.set(&cfg)
		if _, err := New(cfg, nil, nil, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
