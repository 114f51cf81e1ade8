package isp

import (
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
)

// glitchRig is the small sensor with every frame armed, the frames of which are at 10 ms each.
func glitchRig(t *testing.T, g ...Glitch) *rig {
	t.Helper()
	r := newRig(t, defaultConfig(), small, smallOut)
	r.OnFrameStart = func(e FrameStart) {
		r.starts = append(r.starts, e)
		r.Arm(target+bus.IOVA(e.Seq+1)<<16, e.Seq+1)
	}
	for i := range g {
		r.Glitch(g[i])
	}
	r.Start(0)
	r.run(45 * sim.Millisecond)
	return r
}

// units counts the data units of a frame.
func (r *rig) units(seq int) (n int) {
	for _, x := range r.bus.log {
		if at := target + bus.IOVA(seq)<<16; x.va >= at && x.va < at+1<<16 {
			n++
		}
	}
	return n
}

func TestAFrameCutShortIsOverWhenTheNextOneBegins(t *testing.T) {
	r := glitchRig(t, Glitch{Missing: 20, Early: true})
	// Frame 0 has 32 of its 52 lines; the blanking of 48 follows, so that frame 1 begins 20 lines of 100 us early.
	for i, want := range []sim.Time{0, 8 * sim.Millisecond, 18 * sim.Millisecond, 28 * sim.Millisecond} {
		if r.starts[i].At != want {
			t.Errorf("frame %d at %v, want %v", i, r.starts[i].At, want)
		}
	}
	if d := r.dones[0]; !d.Short || d.Overflowed || d.Done != 8*sim.Millisecond || d.Cookie != 0 {
		t.Errorf("%+v, want it short at 8ms", d)
	}
	if d := r.dones[1]; d.Short || d.Overflowed {
		t.Errorf("%+v, want the next one whole", d)
	}
	// Every line is a unit of 128 bytes; the crop of 2 lines and the filter's 4 taps are above: line k of the image comes with line 2 + k + 4 of the sensor, or one below.
	if n := r.units(0); n < 25 || n > 29 {
		t.Errorf("%d units of the short frame, want those of 32 lines", n)
	}
	if n := r.units(1); n != 48 {
		t.Errorf("%d units of the next, want 48", n)
	}
	s := r.Stats()
	if s.Short != 1 || s.Frames != s.Captured+s.Dropped+s.Overflowed+s.Short {
		t.Errorf("%+v: want one short frame, and each in one count", s)
	}
}

func TestMissingLinesLeaveTheirTimeBlank(t *testing.T) {
	seq := -1
	r := glitchRig(t, Glitch{Missing: 20, OnFrame: func(n int, _ sim.Time) { seq = n }})
	if r.starts[1].At != 10*sim.Millisecond || !r.dones[0].Short || r.dones[0].Done != 10*sim.Millisecond || seq != 0 {
		t.Errorf("frame 1 at %v, %+v, told of frame %d: want the usual 10ms, and frame 0 short by then", r.starts[1].At, r.dones[0], seq)
	}
}

func TestLongBlankingDelaysTheNextFrameAndLosesNothing(t *testing.T) {
	r := glitchRig(t, Glitch{Blanking: 70}, Glitch{Blanking: 30})
	for i, want := range []sim.Time{0, 17 * sim.Millisecond, 30 * sim.Millisecond, 40 * sim.Millisecond} {
		if r.starts[i].At != want {
			t.Errorf("frame %d at %v, want %v", i, r.starts[i].At, want)
		}
	}
	if s := r.Stats(); s.Captured != 4 || s.Short+s.Overflowed+s.Dropped != 0 {
		t.Errorf("%+v, want four whole frames", s)
	}
}

func TestAGlitchOfLinesThatTheCropLeavesOutCostsNothing(t *testing.T) {
	// The preview engine's filters leave out the last two lines, and the resizer does not come to the last one of what is left.
	r := glitchRig(t, Glitch{Missing: 1})
	if s := r.Stats(); s.Short != 0 || s.Captured < 4 {
		t.Errorf("%+v, want no short frame", s)
	}
}

func TestTheGainTableOfAFrameCutShortIsNoLateRead(t *testing.T) {
	s := small
	s.FrameTotal = 54 // the next frame begins before the table would have been fetched
	r := newPathRig(t, defaultConfig(), Path{Sensor: s, AF: 1, GainTable: 82 * 26})
	r.bus.gap, r.bus.latency = 0, 0
	r.SetGainTable(gainAt)
	r.AF.OnFrameStart = func(FrameStart) { r.AF.Arm(afAt, 0) }
	r.AF.Arm(afAt, 0)
	r.Glitch(Glitch{Missing: 40, Early: true})
	r.Start(sim.Millisecond)
	r.run(18 * sim.Millisecond)
	if n, s := r.GainErrors(), r.AF.Stats(); n != 0 || s.Short != 1 || s.Captured != 2 || s.Overflowed != 0 {
		t.Errorf("%d errors, %+v: want none, one short frame and two whole ones", n, s)
	}
}
