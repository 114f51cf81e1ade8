package l3

import (
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/dram"
)

// BusTime is where the time of the memory's data bus went. A change of the memory's clock begins a span of its own, but for one that the clock had before.
type BusTime struct {
	// Buses is how many there are: one a channel, none where a yardstick stands for the memory.
	Buses int
	// Still is how long the memory was in self-refresh while its clock changed.
	Still sim.Time
	Spans []BusSpan
}

// BusSpan is the clocks of the bus by cause at one clock of the memory.
type BusSpan struct {
	Clock sim.Clock
	dram.BusTime
}

// Data returns the clocks in which data of a master moved, of a kind and for a use.
func (b *BusSpan) Data(m bus.Master, k bus.Kind, u bus.Use) int64 {
	return b.BusTime[dram.FirstTag+bus.Purpose(m, k, u)]
}

// change is the last change of the memory's clock. The controller before it is kept, since the accounts may be asked for at a time at which its last data has not moved yet.
type change struct {
	from   *dram.Controller // nil if there was none since the last reset
	clock  sim.Clock
	origin sim.Time // of its clock 0
	last   sim.Time // when its last data had moved
	still  sim.Time // for which the memory stood still in all changes since the last reset
}

// leave notes that the memory leaves its clock, at which this was the controller: its last data moves until last, and from then on it stands still until the origin of the next.
func (f *Fabric) leave(from *dram.Controller, last, still sim.Time) {
	f.changed.still += still
	if last == f.origin {
		return // it has not begun: two changes are one
	}
	f.spans = f.changed.span(f.spans, last)
	f.changed = change{from, f.clock, f.origin, last, f.changed.still}
}

// span adds the accounts of the clock that was left, up to a time, to the spans.
func (c *change) span(to []BusSpan, at sim.Time) []BusSpan {
	if c.from == nil {
		return to
	}
	return account(to, c.from, c.clock, min(at, c.last)-c.origin)
}

// account adds a controller's accounts up to a time after its clock 0 to the span of its clock.
func account(to []BusSpan, from *dram.Controller, clock sim.Clock, at sim.Time) []BusSpan {
	i := 0
	for i < len(to) && to[i].Clock != clock {
		i++
	}
	if i == len(to) {
		to = append(to, BusSpan{Clock: clock})
	}
	from.BusTime(clock.Floor(max(0, at)), &to[i].BusTime)
	return to
}

// resetBusTime starts the accounts anew now. What of a change of the clock lies ahead still counts.
func (f *Fabric) resetBusTime() {
	now := f.eng.Now()
	c := &f.changed
	f.spans, c.still = nil, max(0, f.origin-max(now, c.last))
	if now >= c.last {
		c.from = nil
	} else if c.from != nil {
		c.from.ResetBusTime(c.clock.Floor(now + 1 - c.origin))
	}
	f.dram.ResetBusTime(f.clock.Floor(max(0, now+1-f.origin)))
}

// BusTime returns where the time of the memory's data bus went since the last reset and before at, up to which the engine has run.
func (f *Fabric) BusTime(at sim.Time) *BusTime {
	b := &BusTime{Still: f.changed.still}
	if at < f.origin {
		b.Still -= min(b.Still, f.origin-max(at, f.changed.last))
	}
	b.Spans = f.changed.span(append(b.Spans, f.spans...), at)
	b.Spans = account(b.Spans, f.dram, f.clock, at-f.origin)
	b.Buses = f.dram.Buses()
	return b
}
