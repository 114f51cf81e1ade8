package l3

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/units"
)

// L4Config is the peripheral interconnect behind the L3, through which registers are reached: 32 bits, bursts broken into singles, 3 cycles for a request and 1 for its response (OMAP36xx TRM
// SWPU177N, p. 2055).
type L4Config struct {
	Clock          units.Hertz `conf:"clock" doc:"Clock of the peripheral interconnect."`
	RequestCycles  int         `conf:"request_cycles" doc:"Cycles of a register access's request."`
	ResponseCycles int         `conf:"response_cycles" doc:"Cycles of its response."`
}

// Validate reports the first setting that makes no sense.
func (c L4Config) Validate() error {
	if c.Clock <= 0 {
		return fmt.Errorf("l4.clock: %v, want a positive clock", c.Clock)
	}
	if c.RequestCycles < 1 || c.ResponseCycles < 0 {
		return fmt.Errorf("l4: %d request and %d response cycles, want at least 1 and none negative", c.RequestCycles, c.ResponseCycles)
	}
	return nil
}

// L4 serves register accesses one at a time. Times need not be in order: an access waits for those accepted before.
type L4 struct {
	there, back sim.Time // over the L3
	access      sim.Time
	free        sim.Time
}

// NewL4 returns an idle L4 behind an L3.
func NewL4(c L4Config, l3 Config) *L4 {
	peripheral, wires := sim.NewClock(int64(c.Clock)), sim.NewClock(int64(l3.Clock))
	return &L4{
		there: wires.Cycles(int64(l3.RequestCycles)), back: wires.Cycles(int64(l3.ResponseCycles)),
		access: peripheral.Cycles(int64(c.RequestCycles + c.ResponseCycles)),
	}
}

// Read returns when the data of a register read issued at a time is back.
func (l *L4) Read(at sim.Time) sim.Time {
	l.free = max(l.free, at+l.there) + l.access
	return l.free + l.back
}

// Write returns when a posted register write issued at a time is accepted: at once, or when the one before it is done.
func (l *L4) Write(at sim.Time) sim.Time {
	accepted := max(at, l.free-l.there)
	l.free = accepted + l.there + l.access
	return accepted
}
