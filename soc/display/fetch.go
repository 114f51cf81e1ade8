package display

import (
	"math/bits"

	"socsim/sim"
	"socsim/sim/bus"
)

// fetch is the position of the present refresh in its frame and the FIFO's state. Byte numbers count the frame's visible bytes in stream order.
type fetch struct {
	base     int64 // pixel clocks from the display's start to the refresh's vsync
	bpp      uint32
	rowBytes int64
	total    int64 // bytes of the frame

	requested int64    // bytes requested so far, with the burst on the port
	addr      bus.Phys // of the next burst
	rowLeft   int64    // bytes of its line from there on

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
func (d *Display) edge(n int64) sim.Time { return d.start + d.clock.Cycles(d.fetch.base+n) }

// consumed returns the time at which the pixel of byte b leaves. A caller that goes through the frame keeps a cursor, and all but the first byte of a line cost one division of
// 64 bits.
func (d *Display) consumed(c *cursor, b int64) sim.Time {
	if b < c.from || b >= c.to {
		d.seek(c, b)
	}
	pixel := uint64(uint32(b-c.from) / d.fetch.bpp)
	return c.at + sim.Time((c.rest+pixel*uint64(sim.Second))/uint64(d.panel.PixelClock))
}

// cursor is a line of the present refresh: its bytes, and when its first pixel leaves, exactly: at and rest / PixelClock picoseconds. The zero cursor is of no line.
type cursor struct {
	from, to int64
	at       sim.Time
	rest     uint64
}

// seek moves the cursor to the line of byte b.
func (d *Display) seek(c *cursor, b int64) {
	f := &d.fetch
	line := b / f.rowBytes
	c.from = line * f.rowBytes
	c.to = c.from + f.rowBytes
	hi, lo := bits.Mul64(uint64(f.base+d.panel.pixel(int(line))), uint64(sim.Second))
	ps, rest := bits.Div64(hi, lo, uint64(d.panel.PixelClock))
	c.at, c.rest = d.start+sim.Time(ps), rest
}

// freed returns the earliest time at which the FIFO holds none of the first n bytes of the frame: all have been granted, have arrived and their pixels have left. Of bursts
// older than those in flight the arrival is not looked at: it is not after the last request.
func (d *Display) freed(n int64) sim.Time {
	if n <= 0 {
		return 0
	}
	f := &d.fetch
	t := d.consumed(&f.out, n-1)
	if f.last > t {
		for i := range f.flight[:d.cfg.Outstanding] {
			if a := &f.flight[i]; a.first < n {
				t = max(t, a.done)
			}
		}
	}
	return t
}

// beginFetch starts fetching the frame at its vsync, into an empty FIFO.
func (d *Display) beginFetch(vsync sim.Time) {
	f := &d.fetch
	f.bpp = uint32(d.frame.BytesPerPixel)
	f.rowBytes = int64(d.panel.Width) * int64(f.bpp)
	f.total = f.rowBytes * int64(d.panel.Height)
	f.requested = 0
	f.in, f.out = cursor{}, cursor{}
	f.addr, f.rowLeft = d.frame.Addr, f.rowBytes
	f.at = max(vsync, f.last)
	f.refilling, f.late = true, false
	d.request()
}

// request puts the next burst on the port, for the time at which the FIFO asks for it.
func (d *Display) request() {
	f := &d.fetch
	if f.requested == f.total {
		return
	}
	n := min(int64(d.cfg.Burst)-int64(f.addr)%int64(d.cfg.Burst), f.rowLeft)
	free := f.requested + n - int64(d.cfg.FIFO)
	if !f.refilling {
		free = max(free, f.requested-int64(d.cfg.Low))
	}
	at := max(f.at, f.flight[f.slot].done, d.freed(free))

	f.at, f.first = at, f.requested
	f.deadline = d.consumed(&f.in, f.first)
	if f.first < int64(d.cfg.Preload) {
		f.deadline = d.consumed(&f.in, 0)
	}
	f.requested += n
	// The level is below high once so many bytes have been freed, none of which can be this burst's.
	above := f.requested - int64(d.cfg.High) + 1
	f.refilling = above <= f.first && d.freed(above) <= at

	addr := f.addr
	f.addr += bus.Phys(n)
	f.rowLeft -= n
	if f.rowLeft == 0 {
		f.addr += bus.Phys(int64(d.frame.Stride) - f.rowBytes)
		f.rowLeft = f.rowBytes
	}
	d.port.Issue(at, addr, int(n), bus.Read)
}

// Granted judges whether the burst is in time and requests the next. The interconnect calls it.
func (d *Display) Granted(p *bus.Port, done sim.Time) {
	f := &d.fetch
	f.flight[f.slot] = arrival{f.first, done}
	if f.slot++; f.slot == d.cfg.Outstanding {
		f.slot = 0
	}
	f.last = max(f.last, done)
	if done <= f.deadline {
		f.late = false
	} else if !f.late {
		f.late = true
		d.underflow(p.Waited, p.Holder)
	}
	d.request()
}

// abandon gives up, at the next vsync, what has not been granted of the present frame.
func (d *Display) abandon(now sim.Time) {
	if d.port.Idle() {
		return
	}
	waited := max(0, now-d.port.At)
	d.port.Cancel()
	if !d.fetch.late {
		d.underflow(waited, bus.NoMaster)
	}
}

// underflow counts and records that the burst on the port is late.
func (d *Display) underflow(waited sim.Time, holder bus.Master) {
	d.stats.Underflows++
	if len(d.records) < MaxRecords {
		d.records = append(d.records, Underflow{Seq: int(d.seq), At: d.fetch.deadline, Waited: waited, Holder: holder})
	}
}
