package graph

import (
	"math/rand/v2"

	"socsim/sim"
	"socsim/soc/cpu"
)

// Burst is a run and a pause by turns.
type Burst struct {
	On  sim.Time `conf:"on,required" doc:"How long it runs at a time."`
	Off sim.Time `conf:"off,required" doc:"How long it pauses then."`
}

// Times is when a stage or a task runs, in simulated time from the beginning of the run, the warm-up included, as everywhere in a scenario. A burst begins with its on at start.
//
// A camera that is off does not stream: STREAMOFF at the end, STREAMON at the beginning. Another stage takes none of the frames that come meanwhile, which pass it as if it were not there; a task releases no
// job. What was begun is brought to its end.
type Times struct {
	Start *sim.Time `conf:"start" doc:"When it starts, in simulated time from the beginning of the run, warm-up included; at once if left out."`
	Stop  *sim.Time `conf:"stop" doc:"When it stops for good, likewise; never if left out."`
	Burst *Burst    `conf:"burst" doc:"It runs and pauses by turns, from its start on."`
}

// Timed tells whether there are times at which it does not run.
func (x Times) Timed() bool { return x.Start != nil || x.Stop != nil || x.Burst != nil }

func (x Times) start() sim.Time {
	if x.Start == nil {
		return 0
	}
	return *x.Start
}

// phase returns the first time that it runs, at or after a time: from when to when. Both are sim.Never if it does not run any more, and end alone if it does not end.
func (x Times) phase(at sim.Time) (begin, end sim.Time) {
	begin, end = x.start(), sim.Never
	if x.Burst != nil {
		period := x.Burst.On + x.Burst.Off
		begin += max(0, at-begin) / period * period
		if at >= begin+x.Burst.On {
			begin += period
		}
		end = begin + x.Burst.On
	}
	if x.Stop != nil {
		if begin >= *x.Stop || at >= *x.Stop {
			return sim.Never, sim.Never
		}
		end = min(end, *x.Stop)
	}
	return begin, end
}

// runs tells whether it runs at a time.
func (x Times) runs(at sim.Time) bool {
	if !x.Timed() {
		return true
	}
	begin, _ := x.phase(at)
	return begin <= at
}

// next is when a task's next job is released: a period after the last, or when the task runs again.
func (k *task) next(due sim.Time) sim.Time {
	return k.cfg.nextDue(due + k.cfg.Period)
}

// nextDue is the first time from due on at which it runs; sim.Never if it does not run any more.
func (x Times) nextDue(due sim.Time) sim.Time {
	if begin, _ := x.phase(due); begin > due {
		return begin
	}
	return due
}

// takes tells whether a stage takes a frame that is handed out now.
func (st *stage) takes(t *cpu.Thread, f *frame) bool {
	return f.seq%st.cfg.Every == 0 && st.cfg.runs(t.Now())
}

// Lateness is how late a consumer is.
type Lateness struct {
	Delay  *sim.Time `conf:"delay" doc:"How long the stage waits, without using the core, before it begins with a frame it has taken."`
	Jitter *sim.Time `conf:"jitter" doc:"Up to so much is added to the delay of each frame, by chance."`
	Hold   *sim.Time `conf:"hold" doc:"How long the stage keeps a frame after its work on it, before it gives it back or passes it on."`
}

// late draws the delay of a frame.
func (x Lateness) late(rng *rand.Rand) sim.Time {
	d := sim.Time(0)
	if x.Delay != nil {
		d = *x.Delay
	}
	if x.Jitter != nil && *x.Jitter > 0 {
		d += sim.Time(rng.Int64N(int64(*x.Jitter) + 1))
	}
	return d
}

// await waits before the stage begins with a frame.
func (st *stage) await(t *cpu.Thread) {
	if d := st.cfg.late(st.rng); d > 0 {
		t.SleepUntil(t.Now() + d)
	}
}

// keep waits before the stage lets go of a frame.
func (st *stage) keep(t *cpu.Thread) {
	if st.cfg.Hold != nil {
		t.SleepUntil(t.Now() + *st.cfg.Hold)
	}
}
