package l3

import (
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/dram"
)

// counts returns how many of the first n grants each master had.
func (r *rig) counts(n int) map[bus.Master]int {
	got := map[bus.Master]int{}
	for _, m := range r.masters()[:n] {
		got[m]++
	}
	return got
}

// runs returns the lengths of the runs of grants to one master, without the first and the last.
func (r *rig) runs(m bus.Master) []int {
	var runs []int
	n := 0
	for _, x := range r.masters() {
		if x == m {
			n++
		} else if n > 0 {
			runs = append(runs, n)
			n = 0
		}
	}
	return runs
}

func TestPortsOfAGroupAreServedInTheOrderOfArrival(t *testing.T) {
	r := newRig(t, nil)
	r.record()
	c := PortConfig{Class: 1, Group: 1, Outstanding: 1}
	// A blocks the bus while B and C arrive, C first.
	c.Master = 1
	r.initiator(c, []transfer{{testBase, 256, bus.Read, afterDone, 0}})
	c.Master = 2
	r.initiator(c, []transfer{{testBase + 1<<16, 64, bus.Read, afterDone, 20 * sim.Nanosecond}})
	c.Master = 3
	r.initiator(c, []transfer{{testBase + 1<<17, 64, bus.Read, afterDone, 10 * sim.Nanosecond}})
	r.run(t, sim.Millisecond)
	var order []bus.Master
	for _, m := range r.masters() {
		if m != 1 {
			order = append(order, m)
		}
	}
	if len(order) != 2 || order[0] != 3 {
		t.Errorf("served in the order %v, want 3 before 2", order)
	}
}

func TestAGroupKeepsItsPlaceForItsServices(t *testing.T) {
	r := newRig(t, nil)
	r.record()
	r.initiator(PortConfig{Master: 1, Class: 2, Outstanding: 16, Services: 3}, repeat(60, 0, 64, bus.Read))
	r.initiator(PortConfig{Master: 2, Class: 2, Outstanding: 16}, repeat(60, 1<<16, 64, bus.Read))
	r.run(t, sim.Millisecond)
	if got := r.counts(40); got[1] != 30 || got[2] != 10 {
		t.Errorf("of 40 grants %v, want 3 to 1", got)
	}
}

func TestHighPriorityGoesBeforeTheOthersOfItsClassAlone(t *testing.T) {
	r := newRig(t, nil)
	r.record()
	r.initiator(PortConfig{Master: 1, Class: 2, Outstanding: 16}, repeat(40, 0, 64, bus.Read))
	r.initiator(PortConfig{Master: 2, Class: 2, Outstanding: 16, High: true}, repeat(40, 1<<16, 64, bus.Read))
	r.initiator(PortConfig{Master: 3, Class: 1, Outstanding: 16}, repeat(40, 1<<17, 64, bus.Read))
	r.run(t, sim.Millisecond)
	if got := r.counts(60); got[1] != 0 || got[2] < 15 || got[3] < 30 {
		t.Errorf("of 60 grants %v: want none to the low one, and the other class its share", got)
	}
}

func TestAnExtendedGrantKeepsTransactionsTogether(t *testing.T) {
	r := newRig(t, func(l *Config, _ *dram.Config) { l.Class1Weight, l.Class2Weight = 1, 1 })
	r.record()
	r.initiator(PortConfig{Master: 1, Class: 1, Outstanding: 16}, repeat(60, 0, 64, bus.Read))
	r.initiator(PortConfig{Master: 2, Class: 2, Outstanding: 16, Extended: 3}, repeat(60, 1<<16, 64, bus.Read))
	r.run(t, sim.Millisecond)
	runs := r.runs(2)
	if len(runs) < 10 {
		t.Fatalf("only %d runs", len(runs))
	}
	for _, n := range runs[:10] {
		if n != 3 {
			t.Fatalf("runs of %v transactions, want 3", runs[:10])
		}
	}
}

func TestClassZeroBreaksAnExtendedGrant(t *testing.T) {
	r := newRig(t, nil)
	r.record()
	r.initiator(PortConfig{Master: 2, Class: 2, Outstanding: 16, Extended: 31}, repeat(31, 1<<16, 64, bus.Read))
	r.initiator(PortConfig{Master: 1, Class: 0, Outstanding: 1}, []transfer{{testBase, 64, bus.Read, afterDone, 400 * sim.Nanosecond}})
	r.run(t, sim.Millisecond)
	for i, m := range r.masters() {
		if m != 1 {
			continue
		}
		if i == 0 || i > 20 {
			t.Errorf("class 0 was served as number %d, want within the others", i)
		}
		return
	}
	t.Error("class 0 was never served")
}

// A port of 4 bytes at 166 MHz carries 664 MB/s, half of what the memory does.
func TestANarrowPortLimitsItsInitiator(t *testing.T) {
	for _, kind := range []bus.Kind{bus.Read, bus.Write} {
		times := map[int]sim.Time{}
		for _, width := range []int{0, 4} {
			r := newRig(t, nil)
			s := r.initiator(PortConfig{Master: 1, Outstanding: 16, Width: width}, repeat(400, 0, 64, kind))
			r.run(t, sim.Millisecond)
			times[width] = s.log[len(s.log)-1].done
		}
		bytes := 400 * 64.0
		rate := bytes / (float64(times[4]) / 1e12) / 1e6
		if rate > 664 || rate < 640 {
			t.Errorf("kind %v: %.0f MB/s over the narrow port, want just under 664", kind, rate)
		}
		if times[0] > times[4]*6/10 {
			t.Errorf("kind %v: without the port %v, with it %v: want about half", kind, times[0], times[4])
		}
	}
}

func TestASlowPortClockLimitsItsInitiatorToo(t *testing.T) {
	r := newRig(t, nil)
	s := r.initiator(PortConfig{Master: 1, Outstanding: 16, Width: 8, Clock: 50e6}, repeat(400, 0, 64, bus.Read))
	r.run(t, sim.Millisecond)
	// 8 bytes at 50 MHz are 400 MB/s.
	if rate := 400 * 64.0 / (float64(s.log[len(s.log)-1].done) / 1e12) / 1e6; rate > 400 || rate < 385 {
		t.Errorf("%.0f MB/s, want just under 400", rate)
	}
}

func TestALimitHoldsAnInitiatorToItsRateAndItsCredit(t *testing.T) {
	r := newRig(t, nil)
	s := r.initiator(PortConfig{Master: 1, Outstanding: 16, Rate: 100e6, Credit: 256}, repeat(200, 0, 64, bus.Read))
	r.run(t, sim.Millisecond)
	last := s.log[len(s.log)-1].done
	// 200 bursts less those of the credit at 640 ns each.
	if want := (200 - 4 - 1) * 640 * sim.Nanosecond; last < want || last > want+sim.Microsecond {
		t.Errorf("200 bursts end at %v, want at %v and a burst's time", last, want)
	}
	// The credit lets the first five go at once.
	if fifth := s.log[4].done; fifth > 500*sim.Nanosecond {
		t.Errorf("the fifth burst ends at %v, want the credit to cover it", fifth)
	}
}

func TestSmallerBurstsCostMoreOfTheBus(t *testing.T) {
	grants := map[int]uint64{}
	for _, burst := range []int{16, 64} {
		r := newRig(t, nil)
		r.initiator(PortConfig{Master: 1, Outstanding: 4, Burst: burst}, repeat(10, 0, 256, bus.Read))
		r.run(t, sim.Millisecond)
		grants[burst] = r.Grants()
	}
	if grants[16] != 160 || grants[64] != 40 {
		t.Errorf("%v bursts, want 160 of 16 bytes and 40 of 64", grants)
	}
}

func TestAGroupOfTwoClassesIsAMistake(t *testing.T) {
	r := newRig(t, nil)
	r.initiator(PortConfig{Master: 1, Class: 1, Group: 4, Outstanding: 1}, nil)
	defer func() {
		if recover() == nil {
			t.Error("a second class was taken")
		}
	}()
	r.initiator(PortConfig{Master: 2, Class: 2, Group: 4, Outstanding: 1}, nil)
}

func TestInitiatorsThatMakeNoSenseAreRefused(t *testing.T) {
	if err := Plain(1, 0).Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Initiator){
		"class": func(i *Initiator) { i.Class = 3 }, "group": func(i *Initiator) { i.Group = 8 }, "services": func(i *Initiator) { i.Services = 32 },
		"extended": func(i *Initiator) { i.Extended = 0 }, "burst": func(i *Initiator) { i.Burst = 48 }, "width": func(i *Initiator) { i.Width = 3 },
		"limit": func(i *Initiator) { i.Limit = -1 }, "credit": func(i *Initiator) { i.Credit = 2 << 20 },
	} {
		i := Plain(1, 0)
		change(&i)
		if i.Validate() == nil {
			t.Errorf("%s: %+v is accepted", name, i)
		}
	}
}
