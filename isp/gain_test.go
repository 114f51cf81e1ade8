package isp

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
	"socsim/sim/bus"
)

// gainRig is a path of the small sensor with a gain table of 82*52/2 bytes, one for two pixels: 9 data units, of which the last has 84 bytes.
func gainRig(t *testing.T) *pathRig {
	r := newPathRig(t, defaultConfig(), Path{Sensor: small, AF: 1, GainTable: 82 * 26})
	r.bus.gap, r.bus.latency = 0, 0 // so that the first unit is there at once
	r.SetGainTable(gainAt)
	return r
}

// used is when pixel p of frame seq has been sent.
func used(seq, p int) sim.Time {
	return sim.Time(seq)*10*sim.Millisecond + sim.Time((p-1)/82*100+(p-1)%82+1)*sim.Microsecond
}

func TestTheGainTableIsFetchedAsFarAheadAsThePortHasRoom(t *testing.T) {
	r := gainRig(t)
	r.Start(sim.Millisecond)
	r.run(22 * sim.Millisecond)
	var want []sim.Time
	for k := range 18 {
		switch {
		case k < 4:
			want = append(want, 0) // at once
		case (k-4)%9 == 8:
			want = append(want, sim.Millisecond+used((k-4)/9, 82*52))
		default:
			want = append(want, sim.Millisecond+used((k-4)/9, ((k-4)%9+1)*512))
		}
	}
	log := r.of(gainAt)
	if len(log) < len(want) {
		t.Fatalf("%d units fetched", len(log))
	}
	for k := range want {
		if x := log[k]; x.at != want[k] || x.va != gainAt+bus.IOVA(k%9*256) || x.write {
			t.Errorf("unit %d: %+v, want it requested at %v", k, x, want[k])
		}
	}
	if r.GainErrors() != 0 {
		t.Errorf("%d errors", r.GainErrors())
	}
}

func TestALateGainTableMarksTheFrameThatGoesOn(t *testing.T) {
	r := gainRig(t)
	r.bus.stallFrom, r.bus.stallTo = 10*sim.Millisecond+used(0, 512), 10*sim.Millisecond+used(0, 2048)+10*sim.Microsecond
	for _, tap := range r.taps {
		tap.OnFrameStart = func(FrameStart) { tap.Arm(afAt, 0) }
	}
	r.arm()
	r.Start(0)
	r.run(35 * sim.Millisecond)
	o := r.Overflows()
	if len(o) != 1 || o[0].Port != GainTableIn || o[0].Seq != 1 || o[0].At != 10*sim.Millisecond+used(0, 2049)-sim.Microsecond || o[0].Holder != holder || o[0].Waited != r.bus.stallTo-r.bus.stallFrom {
		t.Errorf("overflows %+v, want one of frame 1 when pixel 2048 begins", o)
	}
	if r.GainErrors() != 1 || r.AF.Stats().Captured != 3 || r.AF.Stats().Overflowed != 0 {
		t.Errorf("%d errors, %+v; want frames that go on", r.GainErrors(), r.AF.Stats())
	}
	for _, e := range r.dones[r.AF] {
		if e.GainError != (e.Seq == 1) {
			t.Errorf("%+v", e)
		}
	}
	r.Reset()
	if r.GainErrors() != 0 || len(r.Overflows()) != 0 {
		t.Error("errors after Reset")
	}
}

func TestAGainTableThatIsNotThereByTheNextFrameIsGivenUp(t *testing.T) {
	for _, fixed := range []bool{false, true} {
		r := gainRig(t)
		r.bus.fixed, r.bus.stallFrom, r.bus.stallTo = fixed, 2*sim.Millisecond, 12*sim.Millisecond
		r.Start(0)
		r.run(30*sim.Millisecond - 1)
		var frames []int
		for _, o := range r.Overflows() {
			frames = append(frames, o.Seq)
			if o.Seq == 1 && (o.Waited < 2*sim.Millisecond || o.Holder != holder) {
				t.Errorf("fixed %v: %+v, want it blamed on the stall", fixed, o)
			}
		}
		late := 0
		for _, x := range r.of(gainAt) {
			if x.done >= 12*sim.Millisecond && x.done < 20*sim.Millisecond {
				late++
			}
		}
		// Frame 1 has all of its table, and 4 units ahead of frame 2's; a unit that cannot be called back comes first.
		want := 9 + 4
		if fixed {
			want++
		}
		// Four units of frame 1 are needed before the stall is over: the last with pixel 1536, at 11.86 ms.
		if diff := cmp.Diff([]int{0, 1, 1, 1, 1}, frames); diff != "" || late != want {
			t.Errorf("fixed %v: %d units after the stall, want %d; errors of frames (-want +got):\n%s", fixed, late, want, diff)
		}
	}
}

func TestALateUnitOfTheGainTableKeepsItsStorageUntilItHasCome(t *testing.T) {
	r := gainRig(t)
	r.bus.latency = 4 * sim.Millisecond
	r.Start(sim.Millisecond)
	r.run(10 * sim.Millisecond)
	log := r.of(gainAt)
	// The first four come in at 4 ms, three of them when they should have been used already, at 1.62, 2.24 and 2.86 ms.
	for k, want := range []sim.Time{0, 0, 0, 0, 4 * sim.Millisecond, 4 * sim.Millisecond, 4 * sim.Millisecond, 4 * sim.Millisecond} {
		if log[k].at != want {
			t.Errorf("unit %d requested at %v, want %v", k, log[k].at, want)
		}
	}
	if r.GainErrors() == 0 {
		t.Error("no error")
	}
}

func TestOnlyTheNextFramesGainTableIsFetchedAhead(t *testing.T) {
	r := newPathRig(t, defaultConfig(), Path{Sensor: small, AF: 1, GainTable: 200})
	r.SetGainTable(gainAt)
	r.Start(sim.Millisecond)
	r.run(35 * sim.Millisecond)
	var got []sim.Time
	for _, x := range r.of(gainAt) {
		got = append(got, x.at)
	}
	// One unit a frame: that of frame 0 at once, that of the next when a frame starts.
	if diff := cmp.Diff([]sim.Time{0, 1 * sim.Millisecond, 11 * sim.Millisecond, 21 * sim.Millisecond, 31 * sim.Millisecond}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestANewStreamForgetsTheGainErrorsOfTheLast(t *testing.T) {
	r := gainRig(t)
	r.bus.stallFrom, r.bus.stallTo = 0, 3*sim.Millisecond
	r.AF.Arm(afAt, 0)
	r.Start(sim.Millisecond)
	r.run(9 * sim.Millisecond)
	r.Stop()
	r.AF.Arm(afAt, 0)
	r.Start(20 * sim.Millisecond)
	r.run(29 * sim.Millisecond)
	if d := r.dones[r.AF]; len(d) != 2 || !d[0].GainError || d[1].GainError {
		t.Errorf("%+v, want an error in the first stream only", d)
	}
}

func TestANewGainTableServesTheNextFrameToBeFetched(t *testing.T) {
	r := gainRig(t)
	r.AF.OnFrameStart = func(e FrameStart) {
		switch e.Seq {
		case 1:
			r.SetGainTable(gainAt + 0x10000)
		case 3:
			r.ClearGainTable()
		case 5:
			r.SetGainTable(gainAt)
		}
	}
	r.Start(0)
	r.run(80*sim.Millisecond - 1)
	count := map[bus.IOVA]int{}
	for _, x := range r.of(gainAt) {
		count[(x.va-gainAt)>>16]++
	}
	// Frames 0 and 1 use the first, frame 2 and what was fetched of frame 3 the second, frames 6 and 7 and what was fetched of frame 8 and the unit asked for next the first.
	if count[0] != 9+9+9+9+4+1 || count[1] != 9+4 {
		t.Errorf("units by table: %v", count)
	}
	if r.GainErrors() != 0 {
		t.Errorf("%d errors", r.GainErrors())
	}
}

func TestGainTablesOutOfPlacePanic(t *testing.T) {
	for name, f := range map[string]func(){
		"misaligned": func() { gainRig(t).SetGainTable(0x10) },
		"none":       func() { newPathRig(t, defaultConfig(), Path{Sensor: small, AF: 1}).SetGainTable(0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			f()
		}()
	}
}
