package soc

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/units"
)

// SetMemoryClock changes the clock of the memory now, which stands still for a time when what is under way has ended, and returns when it goes on. See [l3.Fabric.SetMemoryClock].
func (s *System) SetMemoryClock(hz units.Hertz, still sim.Time) (ready sim.Time, err error) {
	if ready, err = s.Fabric.SetMemoryClock(hz, still); err != nil {
		return 0, fmt.Errorf("changing the memory's clock to %v: %w", hz, err)
	}
	s.setLineTime()
	return ready, nil
}

// setLineTime tells the core how long a line's data takes on the memory's bus.
func (s *System) setLineTime() {
	s.Core.SetLineTime(s.DRAM.Clock().Cycles(s.Config.DRAM.DataClocks(int(s.Config.L1D.Line))))
}
