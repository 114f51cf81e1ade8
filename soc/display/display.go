// Package display models scan-out by the display controller (DISPC) of the display subsystem: the timing of a panel, three pipelines (GFX, VID1, VID2) with the FIFO between memory and the pixels of
// each, windows on the panel, scaling, rotation, and the flip from one frame buffer to the next.
//
// # Timing
//
// The vsync of refresh n is at start + n x Clocks pixel clocks, counted and therefore exact; a refresh is laid out as [Panel] says. Pixel x of a line is consumed, whole, at its own
// clock. Outside a pipeline's window the panel shows the background, or another pipeline; where windows overlap all are fetched: order, colour keys and blending are no matter of memory.
//
// # Fetching
//
// The frame is fetched in stream order in bursts of at most 64 B that cross neither a burst boundary nor the end of a line, one burst a transfer: whether a burst is
// in time depends on its own completion. A burst takes room in the FIFO from its request until its bytes have arrived and their pixels have passed. When the level
// is at or below the low threshold, bursts are requested until it is at or above the high one, each as soon as there is room for all of it, and with no more than
// the configured number in flight. The fetch of a frame begins at its vsync, when the buffer has been latched and everything in flight has arrived.
//
// While one pipeline is active its requests are the port's, unless they are to be split. Several share the port through a [bus.Mux], which takes GFX before VID1 before VID2 of those whose request is due; the bursts in flight of all
// together are the configured number. With merged FIFOs a single active pipeline has all three: the low threshold stays, the high one is as far from the top.
//
// # Scaling
//
// VID1 and VID2 scale a frame to a window of another size, within the limits that Linux checks (see [Display.Check]). Output pixel n has its position at n x inc / 1024 in the frame, with inc =
// 1024 x size / window rounded down, and the filter reaches some pixels beyond: two of five taps across, which are always used, and one or two of the three or five taps down. What the FIFO gives up is
// what the filter has not seen before; older lines are in the line buffers.
//
//   - Across, pixel x of a line passes with the first output pixel whose filter reaches it: n = ceil((x - 2) x 1024 / inc).
//   - Down, line L belongs to the first output line whose filter reaches it, in the same way. Enlarging, most output lines have none, and one that has lets it pass in step.
//   - Making smaller, and at the top of the window, an output line has several new lines. With five taps the last passes in step and the others, evenly, in the blanking before: one line can be loaded
//     while pixels are shown and the others only between (Linux dispc.c, check_horiz_timing_omap3). With three taps all pass, one after another and evenly, in the time of the window's line: the
//     scaler then runs at twice the clock (calc_core_clk_34xx).
//
// Lines that no filter reaches pass with the window's last line.
//
// # Rotation
//
// [Frame.Turned] turns by the pipeline's own pixel and row increments, each pixel an access of its own. A frame in a view of the VRFB (package vrfb) is fetched like any other, and split on its way to memory.
//
// # Underflow
//
// A burst is late if it is complete after the clock of its first pixel; the first preload bytes must all be there at the frame's first pixel. A run of late bursts is one
// underflow of its pipeline. The stream stays aligned: late data is dropped on arrival. What has not been granted at the next vsync is abandoned, which is an underflow too, unless the
// run in which the frame ended has been counted already. A transfer of which a part is on its way then, split by the VRFB, ends first.
//
// Everything is computed from byte and clock counts when a burst is granted (see [bus.Source]); only the vsync is an event.
//
// # Sources
//
// Refill rule and preload: OMAP36xx TRM SWPU177N, display subsystem, DISPC FIFO. Bursts of 8 x 8 B, thresholds of size - 64 and size - 1, with merged FIFOs of size - 64 and total - 1: Linux omapdss,
// dispc.c. Go bit, latched at vsync, formats of the pipelines, increments of the scaler and its limits, pixel and row increments: the same, and dss_features.c. Six line buffers of 1024 pixels: the same TRM,
// p. 1657. No MMU, so frames are contiguous in physical memory: the same TRM, display subsystem integration. Panel of the Nokia N900: Linux panel-sony-acx565akm.c. The FIFO's size is read from a register and
// 1024 B is an estimate; so is the order of the pipelines at the port, which is not published. The reach of the filter on either side of its position, and the even pace in the blanking, are estimates.
//
// # Left out
//
// Colour conversion, blending, colour keys and palettes, which read no frame buffer; decimation before the scaler; YUV 4:2:2 turned by 90 degrees, whose rows are read twice; the TV output;
// the sync-lost interrupt that makes a driver restart the pipeline, and command-mode panels.
package display

import (
	"fmt"
	"slices"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/vrfb"
)

// Config is the FIFOs, which are alike, and the clock.
type Config struct {
	FIFO        units.Bytes `conf:"fifo" doc:"Size of each pipeline's FIFO."`
	Low         units.Bytes `conf:"low" doc:"Level at or below which the FIFO is refilled."`
	High        units.Bytes `conf:"high" doc:"Level at or above which a refill ends."`
	Burst       units.Bytes `conf:"burst" doc:"Largest burst; bursts do not cross a multiple of it."`
	Outstanding int         `conf:"outstanding" doc:"Bursts in flight, of all pipelines together."`
	Preload     units.Bytes `conf:"preload" doc:"Bytes that must be in the FIFO when the first pixel of a frame leaves."`
	FIFOMerge   bool        `conf:"fifo_merge" doc:"Whether one pipeline has the FIFOs of all; no other can be active then. The high threshold is raised by what is added."`
	Clock       units.Hertz `conf:"clock" doc:"Functional clock, which bounds how far a frame can be scaled down."`
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
	case c.Clock < 0:
		return fmt.Errorf("display.clock: %v, want a positive clock", c.Clock)
	}
	return nil
}

// limits returns what a pipeline's fetch needs of the configuration.
func (c Config) limits(p Panel) limits {
	l := limits{
		burst: int64(c.Burst), fifo: int64(c.FIFO), low: int64(c.Low), high: int64(c.High), preload: int64(c.Preload), outstanding: c.Outstanding, pixelClock: uint64(p.PixelClock),
	}
	if c.FIFOMerge {
		more := (Pipelines - 1) * l.fifo
		l.fifo, l.high = l.fifo+more, l.high+more
	}
	return l
}

// NoCookie stands for no frame in Vsync.Released, and in Vsync.Shown.Cookie before the first frame.
const NoCookie = -1

// Vsync reports the start of a refresh to one pipeline: the Seq-th since Start, from 0, at At, in which the first pixel of the pipeline's window leaves at FirstPixel and which shows Shown. New says that
// Shown was latched at this vsync; Released is then, or when the pipeline was disabled, the cookie of the frame shown before, which is no longer read.
type Vsync struct {
	Seq            int
	At, FirstPixel sim.Time
	Shown          Frame
	New            bool
	Released       int
}

// Underflow records one run of late bursts: in refresh Seq, the pipeline's data due at At was not there. Waited is how long its burst waited at the arbiter and Holder the master that
// had the bus for most of that; for a burst that was abandoned before it was granted they are the wait so far and NoMaster.
type Underflow struct {
	Pipeline   Pipeline
	Seq        int
	At, Waited sim.Time
	Holder     bus.Master
}

// MaxRecords bounds the underflows recorded; all are counted.
const MaxRecords = 1000

// Stats counts a pipeline's refreshes since the start or the last reset. Refreshes are those that scanned a frame out: Displayed with a frame not shown before and Repeated with nothing new.
type Stats struct {
	Refreshes, Displayed, Repeated, Underflows uint64
}

// Display is one display controller with its panel. It implements [sim.Handler].
type Display struct {
	// OnVsync are called, if set, at each vsync, when the new frames of all pipelines have been latched.
	OnVsync [Pipelines]func(Vsync)

	eng   *sim.Engine
	id    sim.HandlerID
	clock sim.Clock
	cfg   Config
	panel Panel

	port    *bus.Port
	mux     *bus.Mux[bus.Phys]
	vrfb    *vrfb.Engine
	rotator *vrfb.Port // nil without a VRFB

	started bool
	start   sim.Time
	seq     int64 // of the present refresh, -1 before the first
	base    int64 // pixel clocks from the start to its vsync
	records []Underflow
	pipes   [Pipelines]pipe
}

// New returns a display that is off. Connect it with SetPort, then Start it.
func New(eng *sim.Engine, cfg Config, panel Panel) (*Display, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := panel.Validate(); err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	d := &Display{
		eng: eng, cfg: cfg, panel: panel, clock: sim.NewClock(int64(panel.PixelClock)), records: make([]Underflow, 0, MaxRecords), seq: -1, mux: bus.NewMux[bus.Phys](false),
	}
	d.id = eng.Register(d)
	for i := range d.pipes {
		p := &d.pipes[i]
		p.d, p.id, p.limits = d, Pipeline(i), cfg.limits(panel)
		p.lane = d.mux.Lane(i, p)
		p.frame.Cookie = NoCookie
	}
	return d, nil
}

// Panel returns the panel.
func (d *Display) Panel() Panel { return d.panel }

// SetPort connects the display to memory. It sets the port's source, and limits the port to the configured number of outstanding bursts. It is called once, before anything is issued.
func (d *Display) SetPort(p *bus.Port) {
	p.Outstanding = min(p.Outstanding, d.cfg.Outstanding)
	d.port = p
	d.mux.SetOutlet(bus.Direct{Port: p})
}

// SetVRFB puts the rotation engine before the port, so that frames can lie in its views. It is called once, after SetPort.
func (d *Display) SetVRFB(e *vrfb.Engine) {
	d.vrfb, d.rotator = e, vrfb.NewPort(d.port, e, d.mux)
	d.mux.SetOutlet(d.rotator)
}

// Start turns the display on with its first vsync at the given time, at or after now. It panics if it is on already, or has no port.
func (d *Display) Start(at sim.Time) {
	if d.started || d.port == nil {
		panic("display: Start of a display that runs, or has no port")
	}
	d.started, d.start = true, at
	d.eng.Schedule(at, d.id, 0)
}

// Flip programs the shadow registers of a pipeline, enables it, and sets its go bit: the frame is shown from the next vsync on. Until then another Flip or Disable replaces it, and it is never shown.
// It panics if the frame cannot be scanned out (see [Display.Check]).
func (d *Display) Flip(p Pipeline, f Frame) {
	if err := d.Check(p, f); err != nil {
		panic(err)
	}
	q := &d.pipes[p]
	q.shadow, q.shadowOn, q.goFlag = f.sized(d.panel), true, true
}

// Disable switches a pipeline off from the next vsync on.
func (d *Display) Disable(p Pipeline) {
	q := &d.pipes[p]
	q.shadowOn, q.goFlag = false, true
}

// FlipPending tells whether a change of the pipeline waits for the next vsync.
func (d *Display) FlipPending(p Pipeline) bool { return d.pipes[p].goFlag }

// Handle is the vsync; the engine calls it.
func (d *Display) Handle(now sim.Time, _ uint64) {
	for i := range d.pipes {
		if p := &d.pipes[i]; p.showing {
			p.abandon(now)
		}
	}
	d.seq++
	d.base = d.seq * d.panel.Clocks()
	var sync [Pipelines]Vsync
	for i := range d.pipes {
		sync[i] = d.pipes[i].latch(now)
	}
	d.connect()
	for i := range d.pipes {
		if p := &d.pipes[i]; p.showing {
			p.stats.Refreshes++
			p.begin(now)
		}
	}
	d.eng.Schedule(d.edge(d.panel.Clocks()), d.id, 0)
	for i, f := range d.OnVsync {
		if f != nil {
			f(sync[i])
		}
	}
}

// latch takes over the shadow registers if the go bit is set.
func (p *pipe) latch(now sim.Time) Vsync {
	d := p.d
	v := Vsync{Seq: int(d.seq), At: now, Released: NoCookie}
	if p.goFlag {
		if p.showing {
			v.Released = p.frame.Cookie
		}
		p.showing, p.goFlag = p.shadowOn, false
		if p.showing {
			v.New = true
			p.frame = p.shadow
			p.scale = d.scaler(p.frame)
			p.stats.Displayed++
		} else {
			p.frame = Frame{Cookie: NoCookie}
		}
	} else if p.showing {
		p.stats.Repeated++
	}
	w := p.frame.Window
	v.Shown, v.FirstPixel = p.frame, d.edge(d.panel.pixel(w.Y)+int64(w.X))
	return v
}

// connect lets the only active pipeline have the port, or all share it. A frame in a view goes through the mux in any case: what is split cannot be taken back.
func (d *Display) connect() {
	var only *pipe
	active, stale := 0, false
	for i := range d.pipes {
		p := &d.pipes[i]
		p.direct = false
		stale = stale || p.stale
		if p.showing {
			only = p
			active++
		}
	}
	var source bus.Source = d.mux
	switch {
	case active == 1 && !stale && !vrfb.In(only.frame.Addr):
		source, only.direct = only, true
	case d.rotator != nil:
		source = d.rotator
	}
	d.port.SetSource(source)
}

// Stats returns a pipeline's counters.
func (d *Display) Stats(p Pipeline) Stats { return d.pipes[p].stats }

// Underflows returns the first underflows of all pipelines since the start or the last reset, MaxRecords at most.
func (d *Display) Underflows() []Underflow { return slices.Clone(d.records) }

// ResetStats zeroes the counters and forgets the records.
func (d *Display) ResetStats() {
	for i := range d.pipes {
		d.pipes[i].stats = Stats{}
	}
	d.records = d.records[:0]
}
