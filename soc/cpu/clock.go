package cpu

import (
	"socsim/sim"
	"socsim/sim/units"
)

// Clock returns the clock that the core runs at.
func (c *Core) Clock() sim.Clock { return c.clock }

// SetClock changes the core's clock, at the calling thread's time. What costs cycles takes the new clock's from here on, also the rest of work that is under way on other threads (see [Thread.Cycles]);
// what costs time takes the same as before. A single operation that cannot be interrupted ends as it began. Nothing drifts: each stretch at one clock is converted as a whole.
//
// The stop of the core while its PLL locks is the caller's to charge.
func (t *Thread) SetClock(hz units.Hertz) {
	t.Settle()
	c := t.core
	if int64(hz) == c.clock.Hz() {
		return
	}
	c.clock = sim.NewClock(int64(hz))
	c.changes++
	c.tabulate()
}

// tabulate computes the durations of small cycle counts at a clock just set, and keeps the clock for work begun at it.
func (c *Core) tabulate() {
	c.clocks = append(c.clocks, c.clock)
	for i := range c.cycles {
		c.cycles[i] = c.clock.Cycles(int64(i))
	}
}
