package l3

import (
	"testing"

	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

func TestTheBusTimeAddsUpOverChangesOfTheMemorysClock(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := lpddr166()
		d.Channels, d.Interleave = rapid.IntRange(1, 2).Draw(rt, "channels"), 1024
		r := newClockedOf(t, d)
		r.src.next(0)
		from, still := sim.Time(0), sim.Time(0)
		ready := sim.Time(0)
		changes := 0
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			r.run(t, r.eng.Now()+sim.Time(rapid.IntRange(0, 3000).Draw(rt, "step"))*sim.Nanosecond)
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				r.ResetStats()
				from = r.eng.Now()
				changes, still = 0, max(0, min(still, ready-from))
			case 1, 2:
				d := sim.Time(rapid.IntRange(0, 5000).Draw(rt, "still")) * sim.Nanosecond
				var err error
				if ready, err = r.SetMemoryClock(rapid.SampledFrom([]units.Hertz{83e6, 166e6, 200e6}).Draw(rt, "clock"), d); err != nil {
					rt.Fatal(err)
				}
				still += d
				changes++
			}
			checkBusTime(rt, r, from, still, changes)
		}
	})
}

// checkBusTime complains unless the causes add up to the time since the last reset, but for less than a clock at the ends of each span.
func checkBusTime(rt *rapid.T, r *clocked, from, still sim.Time, changes int) {
	at := r.eng.Now()
	b := r.BusTime(at)
	sum := b.Still * sim.Time(b.Buses)
	period := r.ctl.Clock().Cycles(1)
	for i := range b.Spans {
		s := &b.Spans[i]
		for cause, n := range s.BusTime {
			if n < 0 {
				rt.Errorf("span %d: cause %d took %d clocks", i, cause, n)
			}
		}
		sum += s.Clock.Cycles(s.Total())
		period = max(period, s.Clock.Cycles(1))
	}
	want, slack := (at-from)*sim.Time(b.Buses), sim.Time(2*(changes+1)*b.Buses)*period
	if sum < want-slack || sum > want+slack {
		rt.Errorf("%v of %d buses since %v, after %d changes: the causes add up to %v, want %v", at, b.Buses, from, changes, sum, want)
	}
	if b.Still < 0 || b.Still > still {
		rt.Errorf("still for %v, want at most %v", b.Still, still)
	}
	if len(b.Spans) > 3 {
		rt.Errorf("%d spans, want one for each clock", len(b.Spans))
	}
}

func TestTheTimeInSelfRefreshIsApartFromThatOfTheClocks(t *testing.T) {
	r := newClocked(t)
	r.src.next(0)
	r.change(t, 10*sim.Microsecond, 83e6, 4*sim.Microsecond)
	r.run(t, 12*sim.Microsecond)
	half := r.BusTime(12 * sim.Microsecond)
	if half.Still < 1500*sim.Nanosecond || half.Still > 2*sim.Microsecond {
		t.Errorf("in the middle of the change the memory has been still for %v, want 2us less what was under way", half.Still)
	}
	r.run(t, 20*sim.Microsecond)
	b := r.BusTime(20 * sim.Microsecond)
	if b.Still != 4*sim.Microsecond || len(b.Spans) != 2 {
		t.Fatalf("still for %v, %d spans; want 4us and two", b.Still, len(b.Spans))
	}
	for i, most := range []sim.Time{10300 * sim.Nanosecond, 6 * sim.Microsecond} {
		s := &b.Spans[i]
		if d := s.Clock.Cycles(s.Data(1, bus.Read, bus.UsePlain)); d > most {
			t.Errorf("span %d: data for %v", i, d)
		}
		if d := s.Clock.Cycles(s.Total()); d > most || d < most-600*sim.Nanosecond {
			t.Errorf("span %d is %v long, want about %v", i, d, most)
		}
	}
}
