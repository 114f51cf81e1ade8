package dram

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/units"
)

// Times is how long the memory did something, in time: over changes of the clock, counts of clocks cannot be added up.
type Times struct{ Data, PrechargeDown, ActiveDown sim.Time }

// Times returns the times behind the counters of clocks of Stats.
func (c *Controller) Times() Times {
	s, b := c.Stats(), c.before
	t := c.past
	t.Data += c.clock.Cycles(int64(s.DataClocks - b.DataClocks))
	t.PrechargeDown += c.clock.Cycles(int64(s.PrechargeDown - b.PrechargeDown))
	t.ActiveDown += c.clock.Cycles(int64(s.ActiveDown - b.ActiveDown))
	return t
}

// SetClock has the controller go on at another clock, from a new clock 0, as it leaves self-refresh: all banks are closed, the timings are those of the new clock, and the next refresh is a whole interval
// away. All that was accepted must have ended, and Settle been called for when that was. Commands shown to an observer count from the new clock 0 too. O(size of the controller), no more. It is an error
// with the scheduler frfcfs, whose writes may be waiting.
func (c *Controller) SetClock(hz units.Hertz) error {
	cfg := c.cfg
	cfg.Clock = hz
	if c.FirstReady() {
		return fmt.Errorf("dram: the clock cannot change with the scheduler %s: writes may be waiting", cfg.Scheduler)
	}
	fresh, err := New(cfg, c.origin, c.size)
	if err != nil {
		return err
	}
	fresh.past, fresh.before = c.Times(), c.Stats()
	fresh.stats, fresh.observe = c.stats, c.observe
	for i, ch := range fresh.channels {
		ch.stats, ch.observe = c.channels[i].stats, c.channels[i].observe
	}
	*c = *fresh
	return nil
}
