package l3

import (
	"slices"

	"socsim/sim"
	"socsim/sim/units"
)

// SetMemoryClock changes the clock of the DRAM, now, as the SDRC does: what has been granted ends as it was going to; then the memory is in self-refresh, and the bus stands still, for a time; then it goes
// on with all banks closed. It returns when that is. Requests that have arrived, or arrive meanwhile, wait at the arbiter. The time in self-refresh is neither busy nor power-down in the counters, and apart in BusTime.
func (f *Fabric) SetMemoryClock(hz units.Hertz, still sim.Time) (ready sim.Time, err error) {
	last := max(f.eng.Now(), f.decided, slices.Max(f.ends[:]))
	f.dram.Settle(f.clock.Floor(max(0, last-f.origin)))
	from := *f.dram
	if err := f.dram.SetClock(hz); err != nil {
		return 0, err
	}
	f.leave(&from, last, still)
	f.clock = f.dram.Clock()
	f.countShort()
	f.origin = last + still
	f.decided = f.origin
	return f.origin, nil
}

// countShort works out how long small counts of the DRAM's clocks take.
func (f *Fabric) countShort() {
	for i := range f.short {
		f.short[i] = f.clock.Cycles(int64(i))
	}
}
