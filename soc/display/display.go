// Package display models scan-out by the display controller (DISPC) of the display subsystem: the timing of a panel, the FIFO between memory and the pixels, and the flip
// from one frame buffer to the next.
//
// # Timing
//
// The vsync of refresh n is at start + n x Clocks pixel clocks, counted and therefore exact; a refresh is laid out as [Panel] says. Pixel x of a line is consumed, whole, at its own
// clock.
//
// # Fetching
//
// The frame is fetched in stream order in bursts of at most 64 B that cross neither a burst boundary nor the end of a line, one burst a transfer: whether a burst is
// in time depends on its own completion. A burst takes room in the FIFO from its request until its bytes have arrived and their pixels have passed. When the level
// is at or below the low threshold, bursts are requested until it is at or above the high one, each as soon as there is room for all of it, and with no more than
// the configured number in flight. The fetch of a frame begins at its vsync, when the buffer has been latched and everything in flight has arrived.
//
// # Underflow
//
// A burst is late if it is complete after the clock of its first pixel; the first preload bytes must all be there at the frame's first pixel. A run of late bursts is one
// underflow. The stream stays aligned: late data is dropped on arrival. What has not been granted at the next vsync is abandoned, which is an underflow too, unless the
// run in which the frame ended has been counted already.
//
// Everything is computed from byte and clock counts when a burst is granted (see [bus.Source]); only the vsync is an event.
//
// # Sources
//
// Refill rule and preload: OMAP36xx TRM SWPU177N, display subsystem, DISPC FIFO. Bursts of 8 x 8 B and thresholds of size - 64 and size - 1: Linux omapdss, dispc.c. Go bit,
// latched at vsync: the same. No MMU, so frames are contiguous in physical memory: the same TRM, display subsystem integration. Panel of the Nokia N900: Linux
// panel-sony-acx565akm.c. The FIFO's size is read from a register and 1024 B is an estimate.
//
// # Left out
//
// Scaling and colour conversion, rotation, several overlays and their blending (a frame is as large as the panel), FIFO merge, the sync-lost interrupt that makes a driver restart
// the pipeline, and command-mode panels.
package display

import (
	"fmt"
	"slices"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// Config is the FIFO.
type Config struct {
	FIFO        units.Bytes `conf:"fifo" doc:"Size of the FIFO."`
	Low         units.Bytes `conf:"low" doc:"Level at or below which the FIFO is refilled."`
	High        units.Bytes `conf:"high" doc:"Level at or above which a refill ends."`
	Burst       units.Bytes `conf:"burst" doc:"Largest burst; bursts do not cross a multiple of it."`
	Outstanding int         `conf:"outstanding" doc:"Bursts in flight."`
	Preload     units.Bytes `conf:"preload" doc:"Bytes that must be in the FIFO when the first pixel of a frame leaves."`
}

// MaxFIFO bounds Config.FIFO, in bytes.
const MaxFIFO = 1 << 20

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Burst < 8 || c.Burst > bus.BurstBytes || c.Burst&(c.Burst-1) != 0:
		return fmt.Errorf("display.burst: %v, want 8B, 16B, 32B or 64B", c.Burst)
	case c.FIFO < c.Burst || c.FIFO > MaxFIFO:
		return fmt.Errorf("display.fifo: %v, want from one burst of %v to %v", c.FIFO, c.Burst, units.Bytes(MaxFIFO))
	case c.Low < 0 || c.Low >= c.High || c.High > c.FIFO:
		return fmt.Errorf("display: low %v and high %v, want low below high and high within the fifo of %v", c.Low, c.High, c.FIFO)
	case c.Preload < 0 || c.Preload > c.High:
		return fmt.Errorf("display.preload: %v, want at most the high threshold of %v", c.Preload, c.High)
	case c.Outstanding < 1 || c.Outstanding > bus.MaxOutstanding:
		return fmt.Errorf("display.outstanding: %d, want 1 to %d bursts", c.Outstanding, bus.MaxOutstanding)
	}
	return nil
}

// Frame is a frame buffer to scan out: the panel's width and height, rows Stride bytes apart. Cookie is the caller's and comes back in [Vsync].
type Frame struct {
	Addr                  bus.Phys
	Stride, BytesPerPixel int
	Cookie                int
}

// Validate reports why the frame cannot be scanned out on the panel.
func (f Frame) Validate(p Panel) error {
	switch {
	case f.BytesPerPixel < 1 || f.BytesPerPixel > 16:
		return fmt.Errorf("display: frame of %d bytes per pixel, want 1 to 16", f.BytesPerPixel)
	case f.Stride < p.Width*f.BytesPerPixel:
		return fmt.Errorf("display: frame with a stride of %d bytes, want at least %d for %d pixels of %d bytes", f.Stride, p.Width*f.BytesPerPixel, p.Width, f.BytesPerPixel)
	}
	return nil
}

// NoCookie stands for no frame in Vsync.Released, and in Vsync.Shown.Cookie before the first frame.
const NoCookie = -1

// Vsync reports the start of a refresh: the Seq-th since Start, from 0, at At, whose first pixel leaves at FirstPixel and which shows Shown. New says that Shown was latched at
// this vsync; Released is then the cookie of the frame it replaced, which is no longer read.
type Vsync struct {
	Seq            int
	At, FirstPixel sim.Time
	Shown          Frame
	New            bool
	Released       int
}

// Underflow records one run of late bursts: in refresh Seq, the data due at At was not there. Waited is how long its burst waited at the arbiter and Holder the master served
// just before it; for a burst that was abandoned before it was granted they are the wait so far and NoMaster.
type Underflow struct {
	Seq        int
	At, Waited sim.Time
	Holder     bus.Master
}

// MaxRecords bounds the underflows recorded; all are counted.
const MaxRecords = 1000

// Stats counts refreshes since the start or the last reset. Refreshes are those that scanned a frame out: Displayed with a frame not shown before and Repeated with nothing new.
type Stats struct {
	Refreshes, Displayed, Repeated, Underflows uint64
}

// Display is one display controller with its panel. It implements [bus.Source] and [sim.Handler].
type Display struct {
	// OnVsync, if set, is called at each vsync, when the new frame has been latched.
	OnVsync func(Vsync)

	eng   *sim.Engine
	id    sim.HandlerID
	port  *bus.Port
	clock sim.Clock
	cfg   Config
	panel Panel

	started bool
	start   sim.Time
	seq     int64 // of the present refresh, -1 before the first
	stats   Stats
	records []Underflow

	frame, shadow   Frame
	showing, goFlag bool

	fetch fetch
}

// New returns a display that is off. Connect it with SetPort, then Start it.
func New(eng *sim.Engine, cfg Config, panel Panel) (*Display, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := panel.Validate(); err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	d := &Display{eng: eng, cfg: cfg, panel: panel, clock: sim.NewClock(int64(panel.PixelClock)), records: make([]Underflow, 0, MaxRecords)}
	d.id = eng.Register(d)
	d.seq, d.frame.Cookie = -1, NoCookie
	return d, nil
}

// Panel returns the panel.
func (d *Display) Panel() Panel { return d.panel }

// SetPort connects the display to memory. The display must be the port's source, and the port admit at least the configured number of outstanding bursts for that
// setting to be the limit.
func (d *Display) SetPort(p *bus.Port) { d.port = p }

// Start turns the display on with its first vsync at the given time, at or after now. It panics if it is on already, or has no port.
func (d *Display) Start(at sim.Time) {
	if d.started || d.port == nil {
		panic("display: Start of a display that runs, or has no port")
	}
	d.started, d.start = true, at
	d.eng.Schedule(at, d.id, 0)
}

// Flip programs the shadow registers and sets the go bit: the frame is shown from the next vsync on. Until then another Flip replaces it, and it is never shown. It panics if
// the frame cannot be scanned out (see [Frame.Validate]).
func (d *Display) Flip(f Frame) {
	if err := f.Validate(d.panel); err != nil {
		panic(err)
	}
	d.shadow, d.goFlag = f, true
}

// FlipPending tells whether a frame waits for the next vsync.
func (d *Display) FlipPending() bool { return d.goFlag }

// Handle is the vsync; the engine calls it.
func (d *Display) Handle(now sim.Time, _ uint64) {
	if d.showing {
		d.abandon(now)
	}
	d.seq++
	d.fetch.base = d.seq * d.panel.Clocks()
	v := Vsync{Seq: int(d.seq), At: now, FirstPixel: d.edge(d.panel.pixel(0)), Released: NoCookie}
	if d.goFlag {
		if d.showing {
			v.Released = d.frame.Cookie
		}
		v.New = true
		d.frame, d.goFlag, d.showing = d.shadow, false, true
		d.stats.Displayed++
	} else if d.showing {
		d.stats.Repeated++
	}
	v.Shown = d.frame
	if d.showing {
		d.stats.Refreshes++
		d.beginFetch(now)
	}
	d.eng.Schedule(d.edge(d.panel.Clocks()), d.id, 0)
	if d.OnVsync != nil {
		d.OnVsync(v)
	}
}

// Stats returns the counters.
func (d *Display) Stats() Stats { return d.stats }

// Underflows returns the first underflows since the start or the last reset, MaxRecords at most.
func (d *Display) Underflows() []Underflow { return slices.Clone(d.records) }

// ResetStats zeroes the counters and forgets the records.
func (d *Display) ResetStats() {
	d.stats = Stats{}
	d.records = d.records[:0]
}
