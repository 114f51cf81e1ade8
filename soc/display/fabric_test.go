package display

import (
	"context"
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
)

// n900 is the panel of the Nokia N900.
var n900 = Panel{Width: 800, Height: 480, PixelClock: 24_000_000, HFP: 28, HSW: 4, HBP: 24, VFP: 3, VSW: 3, VBP: 4}

// dispc is the FIFO as Linux programs it.
var dispc = Config{FIFO: 1024, Low: 960, High: 1023, Burst: 64, Outstanding: 4, Preload: 96, Clock: 173_000_000}

// grant is a burst as the interconnect saw it.
type grant struct {
	at    sim.Time // requested
	addr  bus.Phys
	bytes int
	done  sim.Time
}

// fabric grants the display's port: each burst is done latency after it reached the arbiter, and not before the one before it. It does so as the interconnect does, while time
// passes and before the next event.
type fabric struct {
	eng  *sim.Engine
	d    *Display
	port bus.Port
	wake sim.Time

	latency sim.Time
	stalls  []stall
	delay   func(n int, at, done sim.Time) sim.Time // if set, changes the completion of the n-th burst
	dead    bool                                    // grants nothing

	last  sim.Time
	log   []grant
	quiet bool
	n     int
}

// stall is a time during which nothing is granted.
type stall struct{ from, to sim.Time }

func (f *fabric) AdvanceTo(limit sim.Time) {
	for {
		limit = min(limit, f.eng.Next())
		if f.dead || f.port.At >= limit {
			return
		}
		now := f.port.At
		for _, s := range f.stalls {
			if now >= s.from && now < s.to {
				now = s.to
			}
		}
		if now >= limit {
			return
		}
		done := now + f.latency
		if f.delay != nil {
			done = f.delay(f.n, now, done)
		}
		f.last = max(f.last, done)
		f.n++
		f.port.Waited = now - f.port.At
		n := f.port.Burst()
		if !f.quiet {
			f.log = append(f.log, grant{f.port.Issued(), f.port.Addr, n, f.last})
		}
		if !f.port.Advance(n, f.last) {
			f.port.Source().Granted(&f.port, f.last)
		}
	}
}

func newDisplay(t testing.TB, cfg Config, panel Panel) *fabric {
	t.Helper()
	eng := sim.New()
	t.Cleanup(eng.Close)
	d, err := New(eng, cfg, panel)
	if err != nil {
		t.Fatal(err)
	}
	f := &fabric{eng: eng, d: d, port: bus.Port{Outstanding: bus.MaxOutstanding, Holder: 7}, latency: 200 * sim.Nanosecond}
	f.port.Connect(&f.wake, new(sim.Time), nil)
	eng.SetBackground(f)
	d.SetPort(&f.port)
	return f
}

func (f *fabric) run(t testing.TB, until sim.Time) {
	t.Helper()
	if err := f.eng.Run(context.Background(), until); err != nil {
		t.Fatal(err)
	}
}

// at returns the time of pixel x of a line in a refresh of a display started at 0.
func at(p Panel, refresh, line, x int) sim.Time {
	htotal, vtotal := p.HSW+p.HBP+p.Width+p.HFP, p.VSW+p.VBP+p.Height+p.VFP
	n := (refresh*vtotal+p.VSW+p.VBP+line)*htotal + p.HSW + p.HBP + x
	return sim.NewClock(int64(p.PixelClock)).Cycles(int64(n))
}

// frame16 is a frame of 16 bits a pixel for the N900's panel, frame32 one of 32.
var (
	frame16 = Frame{Addr: 0x8000_0000, Stride: 1600, BytesPerPixel: 2, Cookie: 3}
	frame32 = Frame{Addr: 0x8000_0000, Stride: 3200, BytesPerPixel: 4, Cookie: 4}
)
