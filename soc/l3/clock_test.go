package l3

import (
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/dram"
	"socsim/soc/memory"
)

// reader reads one row of memory over and over, burst after burst.
type reader struct {
	port  *bus.Port
	n     int
	bytes []sim.Time // when each burst was done
}

func (s *reader) Granted(_ *bus.Port, done sim.Time) {
	s.bytes = append(s.bytes, done)
	s.next(0)
}

func (s *reader) next(at sim.Time) {
	s.port.Issue(at, testBase+bus.Phys(s.n%64*64), 64, bus.Read)
	s.n++
}

// clocked is a fabric without refresh whose memory's clock changes.
type clocked struct {
	eng *sim.Engine
	*Fabric
	ctl *dram.Controller
	src *reader
}

func newClocked(t *testing.T) *clocked {
	t.Helper()
	d := lpddr166()
	d.TREFI = 0
	return newClockedOf(t, d)
}

func newClockedOf(t *testing.T, d dram.Config) *clocked {
	t.Helper()
	r := &clocked{eng: sim.New(), src: &reader{}}
	mem, err := memory.New(memory.Config{Base: testBase, Size: testSize, LineBytes: 64})
	if err != nil {
		t.Fatal(err)
	}
	if r.ctl, err = dram.New(d, testBase, testSize); err != nil {
		t.Fatal(err)
	}
	if r.Fabric, err = New(l3at166(), r.eng, mem, r.ctl); err != nil {
		t.Fatal(err)
	}
	r.src.port = r.AddPort(PortConfig{Master: 1, Class: 1, Outstanding: 8}, r.src)
	return r
}

func (r *clocked) run(t *testing.T, until sim.Time) {
	t.Helper()
	if err := r.eng.Run(t.Context(), until); err != nil {
		t.Fatal(err)
	}
}

type call func()

func (c call) Handle(sim.Time, uint64) { c() }

func (r *clocked) change(t *testing.T, at sim.Time, hz units.Hertz, still sim.Time) *sim.Time {
	t.Helper()
	ready := new(sim.Time)
	r.eng.Schedule(at, r.eng.Register(call(func() {
		var err error
		if *ready, err = r.SetMemoryClock(hz, still); err != nil {
			t.Error(err)
		}
	})), 0)
	return ready
}

// between counts the bursts that were done in an interval.
func (s *reader) between(from, to sim.Time) (n int64) {
	for _, at := range s.bytes {
		if at >= from && at < to {
			n++
		}
	}
	return n
}

func TestTheBandwidthOfAStreamFollowsTheMemorysClock(t *testing.T) {
	r := newClocked(t)
	const at, still = 100 * sim.Microsecond, 10 * sim.Microsecond
	ready := r.change(t, at, 83e6, still)
	back := r.change(t, 300*sim.Microsecond, 166e6, still)
	r.src.next(0)
	r.run(t, 500*sim.Microsecond)
	// Row hits follow each other without a gap: a burst of 64 B is 16 beats, 8 clocks.
	for _, x := range []struct {
		from, to sim.Time
		hz       int64
	}{{10 * sim.Microsecond, 90 * sim.Microsecond, 166e6}, {*ready + 10*sim.Microsecond, *ready + 90*sim.Microsecond, 83e6}, {*back + 10*sim.Microsecond, *back + 90*sim.Microsecond, 166e6}} {
		want := sim.NewClock(x.hz).Floor(80*sim.Microsecond) / 8
		if got := r.src.between(x.from, x.to); got < want-1 || got > want+1 {
			t.Errorf("%d bursts in 80us at %d Hz, want %d", got, x.hz, want)
		}
	}
	if n := r.src.between(*ready-still/2, *ready); n != 0 {
		t.Errorf("%d bursts while the memory stood still", n)
	}
}

func TestABurstInFlightAtAChangeOfClockEndsAsItWasGoingTo(t *testing.T) {
	plain, changed := newClocked(t), newClocked(t)
	const at = 50*sim.Microsecond + 1
	ready := changed.change(t, at, 100e6, 5*sim.Microsecond)
	for _, r := range []*clocked{plain, changed} {
		r.src.next(0)
		r.run(t, 100*sim.Microsecond)
	}
	inFlight, last := 0, sim.Time(0)
	for i, done := range changed.src.bytes {
		if done < *ready {
			if done != plain.src.bytes[i] {
				t.Fatalf("burst %d done at %v, without the change at %v", i, done, plain.src.bytes[i])
			}
			if done > at {
				inFlight++
			}
			last = done
			continue
		}
		if want := last - sim.NewClock(166e6).Cycles(3) + 5*sim.Microsecond; *ready != want {
			t.Errorf("the memory is ready at %v, want %v: 5us after the last of its data", *ready, want)
		}
		// The first one after it: hits a closed row, so that tRCD, CL and the data come after the memory is ready.
		least := *ready + sim.NewClock(100e6).Cycles(3+3+8)
		if done < least || inFlight == 0 {
			t.Errorf("first burst afterwards done at %v, want %v at the earliest; %d were in flight", done, least, inFlight)
		}
		return
	}
	t.Fatal("no burst after the change")
}

func TestChangesOfTheMemorysClockDoNotDrift(t *testing.T) {
	// An idle memory that has changed its clock a hundred times serves a burst as one that has just been made.
	r := newClocked(t)
	for i := range 100 {
		r.change(t, sim.Time(i+1)*sim.Microsecond, []units.Hertz{83e6, 133_333_333, 166e6}[i%3], 0)
	}
	r.run(t, 200*sim.Microsecond)
	const at = 100 * sim.Microsecond // the last change, to 83 MHz
	r.src.port.SetSource(once{r.src})
	r.src.next(200 * sim.Microsecond)
	r.run(t, 300*sim.Microsecond)
	hops := sim.NewClock(166e6)
	arrived := 200*sim.Microsecond + hops.Cycles(5)
	clock := sim.NewClock(83e6)
	want := at + clock.Cycles(clock.Ceil(arrived-at)+2+3+8) + hops.Cycles(3) // tRCD of 22.5 ns is 2 clocks
	if got := r.src.bytes[0]; got != want {
		t.Errorf("done at %v, want %v", got, want)
	}
	if times := r.ctl.Times(); times.Data != clock.Cycles(8) {
		t.Errorf("%v of data, want %v", times.Data, clock.Cycles(8))
	}
}

// once keeps what a reader is told and asks for no more.
type once struct{ *reader }

func (o once) Granted(_ *bus.Port, done sim.Time) { o.bytes = append(o.bytes, done) }
