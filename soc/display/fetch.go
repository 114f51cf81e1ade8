package display

import (
	"math/bits"

	"socsim/sim"
	"socsim/sim/bus"
)

// pipe is a pipeline: its registers and the fetch of the present refresh. It implements [bus.Source].
type pipe struct {
	d  *Display
	id Pipeline

	frame, shadow     Frame // sized
	showing, shadowOn bool  // enabled
	goFlag            bool
	stats             Stats

	lane   *bus.Lane[bus.Phys]
	direct bool // the only active pipeline, which needs no mux
	stale  bool // a transfer of the refresh before is still under way
	fetch  fetch
	scale  scaler
	limits
}

// limits are the settings that a fetch needs.
type limits struct {
	burst, fifo, low, high, preload int64
	outstanding                     int
	pixelClock                      uint64
}

// fetch is the position of the present refresh in a pipeline's frame and the FIFO's state. Byte numbers count the frame's visible bytes in stream order.
type fetch struct {
	bpp      uint32
	rowBytes int64
	total    int64 // bytes of the frame

	requested int64    // bytes requested so far, with the burst on the port
	row, addr bus.Phys // first of the line, and of the next burst
	rowLeft   int64    // bytes of its line from there on
	step      int64    // from a pixel to the next, 0 for side by side
	stride    int64

	in, out cursor // where bytes are requested, and where they leave

	first     int64    // first byte of the burst on the port
	at        sim.Time // when it was requested; no later burst is requested before
	deadline  sim.Time // when its first byte is needed
	refilling bool     // the level has been at or below low, and not at or above high since
	late      bool     // the last burst was late

	flight [bus.MaxOutstanding]arrival // the last bursts granted
	slot   int                         // the oldest of them
	last   sim.Time                    // completion of the last of them
}

// arrival is a burst whose completion is known.
type arrival struct {
	first int64
	done  sim.Time
}

// edge returns the time of a pixel clock of the present refresh, counted from its vsync.
func (d *Display) edge(n int64) sim.Time { return d.start + d.clock.Cycles(d.base+n) }

// consumed returns the time at which byte b leaves the FIFO. A caller that goes through the frame keeps a cursor, and all but the first byte of a line cost one division of
// 64 bits; two if it is scaled.
func (p *pipe) consumed(c *cursor, b int64) sim.Time {
	if b < c.from || b >= c.to {
		p.seek(c, b)
	}
	clocks := uint64(uint32(b-c.from) / p.fetch.bpp)
	if p.scale.on {
		clocks = uint64(p.scale.clocks(c, int64(clocks)))
	}
	return c.at + sim.Time((c.rest+clocks*uint64(sim.Second))/p.pixelClock)
}

// cursor is a line of the present refresh: its bytes, and when its first pixel leaves or, of a scaled frame, could leave, exactly: at and rest / PixelClock picoseconds. The zero cursor is of no line.
type cursor struct {
	from, to int64
	at       sim.Time
	rest     uint64
	// Of a scaled line that does not pass in step with the window: pixel x passes (before + x) x span / all clocks later. span is 0 for others.
	before, all, span int64
}

// seek moves the cursor to the line of byte b.
func (p *pipe) seek(c *cursor, b int64) {
	f, d := &p.fetch, p.d
	line := b / f.rowBytes
	c.from = line * f.rowBytes
	c.to = c.from + f.rowBytes
	clock := int64(p.frame.Window.X)
	if p.scale.on {
		out, n := p.scale.line(c, line)
		line, clock = out, clock+n
	}
	clock += d.panel.pixel(p.frame.Window.Y + int(line))
	hi, lo := bits.Mul64(uint64(d.base+clock), uint64(sim.Second))
	ps, rest := bits.Div64(hi, lo, p.pixelClock)
	c.at, c.rest = d.start+sim.Time(ps), rest
}

// freed returns the earliest time at which the FIFO holds none of the first n bytes of the frame: all have been granted, have arrived and their pixels have left. Of bursts
// older than those in flight the arrival is not looked at: it is not after the last request.
func (p *pipe) freed(n int64) sim.Time {
	if n <= 0 {
		return 0
	}
	f := &p.fetch
	t := p.consumed(&f.out, n-1)
	if f.last > t {
		for i := range f.flight[:p.outstanding] {
			if a := &f.flight[i]; a.first < n {
				t = max(t, a.done)
			}
		}
	}
	return t
}

// begin starts fetching the frame at its vsync, into an empty FIFO, when all that is in flight has arrived.
func (p *pipe) begin(vsync sim.Time) {
	f, fr := &p.fetch, &p.frame
	f.bpp = uint32(fr.BytesPerPixel)
	f.rowBytes = int64(fr.Width) * int64(f.bpp)
	f.total = f.rowBytes * int64(fr.Height)
	f.requested = 0
	f.in, f.out = cursor{}, cursor{}
	f.row, f.addr, f.rowLeft = fr.Addr, fr.Addr, f.rowBytes
	f.step, f.stride = int64(fr.PixelStep), int64(fr.Stride)
	f.at = max(vsync, f.last)
	f.refilling, f.late = true, false
	if p.stale {
		f.deadline = p.consumed(&f.in, 0)
		return
	}
	p.request()
}

// request puts the next burst on the port, for the time at which the FIFO asks for it.
func (p *pipe) request() {
	f := &p.fetch
	if f.requested == f.total {
		return
	}
	n, step := int64(f.bpp), f.step
	if step == 0 {
		n = min(p.burst-int64(f.addr)&(p.burst-1), f.rowLeft)
		step = n
	}
	free := f.requested + n - p.fifo
	if !f.refilling {
		free = max(free, f.requested-p.low)
	}
	at := max(f.at, f.flight[f.slot].done, p.freed(free))

	f.at, f.first = at, f.requested
	f.deadline = p.consumed(&f.in, f.first)
	if f.first < p.preload {
		f.deadline = p.consumed(&f.in, 0)
	}
	f.requested += n
	// The level is below high once so many bytes have been freed, none of which can be this burst's.
	above := f.requested - p.high + 1
	f.refilling = above <= f.first && p.freed(above) <= at

	addr := f.addr
	f.addr += bus.Phys(step)
	f.rowLeft -= n
	if f.rowLeft == 0 {
		f.row += bus.Phys(f.stride)
		f.addr, f.rowLeft = f.row, f.rowBytes
	}
	if p.direct {
		p.d.port.Issue(at, addr, int(n), bus.Read)
	} else {
		p.lane.Issue(at, addr, int(n), false)
	}
}

// Granted judges whether the burst is in time and requests the next. The interconnect calls it, or the mux.
func (p *pipe) Granted(port *bus.Port, done sim.Time) {
	f := &p.fetch
	if p.stale {
		p.arrived(done)
		return
	}
	f.flight[f.slot] = arrival{f.first, done}
	if f.slot++; f.slot == p.outstanding {
		f.slot = 0
	}
	f.last = max(f.last, done)
	if done <= f.deadline {
		f.late = false
	} else if !f.late {
		f.late = true
		p.underflow(port.Waited, port.Blame())
	}
	p.request()
}

// arrived ends the transfer that could not be taken back at the vsync, and lets the present frame's fetch begin. Its data is dropped.
func (p *pipe) arrived(done sim.Time) {
	f := &p.fetch
	p.stale = false
	f.last = max(f.last, done)
	f.at = max(f.at, f.last)
	if p.showing {
		p.request()
	}
}

// abandon gives up, at the next vsync, what has not been granted of the present frame.
func (p *pipe) abandon(now sim.Time) {
	d, since := p.d, p.fetch.at
	switch {
	case p.stale: // since the vsync before
	case p.direct:
		if d.port.Idle() {
			return
		}
		since = d.port.At
		d.port.Cancel()
	case p.lane.Idle():
		return
	default:
		p.stale = !p.lane.Cancel()
	}
	if !p.fetch.late {
		p.underflow(max(0, now-since), bus.NoMaster)
	}
}

// underflow counts and records that the burst on the port is late.
func (p *pipe) underflow(waited sim.Time, holder bus.Master) {
	d := p.d
	p.stats.Underflows++
	if len(d.records) < MaxRecords {
		d.records = append(d.records, Underflow{Pipeline: p.id, Seq: int(d.seq), At: p.fetch.deadline, Waited: waited, Holder: holder})
	}
}
