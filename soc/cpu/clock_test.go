package cpu

import (
	"testing"

	"pgregory.net/rapid"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/units"
)

// free is a core whose operating system costs nothing.
func free(c *Config) { c.OS = OS{Timeslice: sim.Millisecond} }

// change is a change of clock at a time.
type change struct {
	at sim.Time
	hz units.Hertz
}

// across runs a task of n cycles, begun at time 0, and a thread that changes the clock, and returns when the task was done.
func across(tb testing.TB, n int64, changes []change) (end sim.Time) {
	r := newRig(tb, free)
	r.Spawn("clocks", func(t *Thread) {
		for _, c := range changes {
			t.SleepUntil(c.at)
			t.SetClock(c.hz)
		}
	})
	r.SpawnTask("work", func(t *Thread) {
		t.Cycles(n)
		end = t.Now()
	})
	r.until(sim.Never)
	return end
}

// closed is the closed form: the cycles that have begun at a change end at the old clock, all others run at the new one.
func closed(n int64, changes []change) sim.Time {
	clock, start := sim.NewClock(1e9), sim.Time(0)
	for _, c := range changes {
		if int64(c.hz) == clock.Hz() {
			continue // no change
		}
		if c.at < start { // within the cycle that was still to end
			clock = sim.NewClock(int64(c.hz))
			continue
		}
		begun := clock.Ceil(c.at - start)
		if begun >= n {
			break
		}
		n -= begun
		start += clock.Cycles(begun)
		clock = sim.NewClock(int64(c.hz))
	}
	return start + clock.Cycles(n)
}

func TestWorkAcrossAChangeOfClockTakesEachPartAtItsClock(t *testing.T) {
	// 400 000 cycles at 1 GHz, the rest of a million at 300 MHz, whose cycle is no whole number of picoseconds: 600 000 / 300 MHz = 2 ms.
	if got, want := across(t, 1_000_000, []change{{400 * sim.Microsecond, 300e6}}), 2400*sim.Microsecond; got != want {
		t.Errorf("done at %v, want %v", got, want)
	}
	// In the middle of a cycle: the one that has begun ends at the old clock.
	if got, want := across(t, 1000, []change{{500*sim.Nanosecond + 1, 100e6}}), 501*sim.Nanosecond+499*10*sim.Nanosecond; got != want {
		t.Errorf("done at %v, want %v", got, want)
	}
}

func TestWorkAcrossManyChangesOfClockDoesNotDrift(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.Int64Range(1, 3_000_000).Draw(rt, "cycles")
		var changes []change
		at := sim.Time(0)
		for range rapid.IntRange(1, 20).Draw(rt, "changes") {
			at += sim.Time(rapid.Int64Range(10_000, 400_000_000).Draw(rt, "gap"))
			changes = append(changes, change{at, units.Hertz(rapid.Int64Range(100e6, 1e9).Draw(rt, "clock"))})
		}
		if got, want := across(t, n, changes), closed(n, changes); got != want {
			rt.Errorf("%d cycles with %v: done at %v, want %v", n, changes, got, want)
		}
	})
}

func TestMaintenanceInCyclesFollowsTheClockAndThatInTimeDoesNot(t *testing.T) {
	const lines, fixed = 100, 13 * sim.Nanosecond
	r := newRig(t, func(c *Config) {
		free(c)
		c.Maintenance.LineTime, c.Maintenance.SetWayTime = fixed, fixed
	})
	m := r.region(lines * line)
	r.run(func(th *Thread) {
		pass := func() { th.MaintainRange(Pass{Op: cachemodel.Invalidate}, m.Runs()) }
		all := func() { th.MaintainAll(nil) }
		full, fullAll := took(th, pass), took(th, all)
		th.SetClock(500e6)
		half, halfAll := took(th, pass), took(th, all)
		// C + T at the full clock and 2C + T at half of it.
		if got := 2*full - half; got != lines*fixed {
			t.Errorf("the part in time is %v, want %v", got, lines*fixed)
		}
		if got, want := 2*fullAll-halfAll, sim.Time(l1Size/line+l2Size/line)*fixed; got != want {
			t.Errorf("by set and way the part in time is %v, want %v", got, want)
		}
	})
}

func TestALostInterruptIsFoundAtTheNextOne(t *testing.T) {
	r := newRig(t, free)
	var handled []sim.Time
	irq := r.SpawnIRQ("device", func(t *Thread) { handled = append(handled, t.Now()) })
	lost := &LostInterrupt{}
	irq.Lose(lost)
	if lost.At != sim.Never {
		t.Errorf("lost at %v before it was raised", lost.At)
	}
	r.at(1000, irq.Raise)
	r.at(5000, irq.Raise)
	r.at(9000, irq.Raise)
	r.until(sim.Never)
	if lost.At != 1000 || lost.Found != 5000 || lost.Rechecked || irq.Missed() {
		t.Errorf("%+v, missed %v: want it lost at 1ns and found at 5ns", lost, irq.Missed())
	}
	if len(handled) != 3 || handled[0] != 5000 || handled[1] != 5000 || handled[2] != 9000 {
		t.Errorf("handled at %v, want twice at 5ns and once at 9ns", handled)
	}
}

func TestAWatchdogFindsALostInterruptOnce(t *testing.T) {
	r := newRig(t, free)
	handled := 0
	irq := r.SpawnIRQ("device", func(*Thread) { handled++ })
	lost, told := &LostInterrupt{}, 0
	lost.OnLost = func() { told++ }
	irq.Lose(lost)
	r.at(500, irq.Recheck) // there is nothing to find yet
	r.at(1000, irq.Raise)
	r.at(7000, irq.Recheck)
	r.at(8000, irq.Recheck)
	r.until(sim.Never)
	if handled != 1 || told != 1 || lost.Found != 7000 || !lost.Rechecked {
		t.Errorf("handled %d times, told %d times, %+v: want once each, found by the watchdog at 7ns", handled, told, lost)
	}
}
