package isp

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// gainReader is the real-time client that fetches the gain table of the lens shading correction (LSC), ahead of the pixels that it corrects. A data unit takes storage from its request
// until its last byte has been used, and is requested as soon as there is room: the beginning of a frame's table while the end of the last frame's is in use. A unit that is not there when
// its first byte is needed is a prefetch error; the frame goes on, and the unit is let go when it has come.
type gainReader struct {
	path   *Pipeline
	lane   *bus.Lane[bus.IOVA]
	raster raster
	store  []sim.Time // when the storage is free
	head   int

	on          bool
	first, next bus.IOVA // tables: of the frame being fetched and of those to come
	seq         int      // frame of the next unit, or of the one at the lane
	unit        int
	limit       int // the last frame whose table may be fetched: the next to start
	ready       sim.Time
	stale       bool
	errors      uint64
	failed      int // last frame with an error, -1 for none
}

// SetGainTable programs the address of the gain table, which must be aligned to 32 bytes, and turns the correction on from the next frame that is not being fetched yet. Like the driver
// (ispccdc.c, which waits for the first prefetch before it starts), leave it time: the first part is fetched at once, or when the stream is started. It panics if the path has no table.
func (p *Pipeline) SetGainTable(table bus.IOVA) {
	g := p.gain
	if g == nil {
		panic("isp: SetGainTable of a path without a gain table")
	}
	if table%outputAlign != 0 {
		panic(fmt.Sprintf("isp: gain table at %v not aligned to %d bytes", table, outputAlign))
	}
	g.next = table
	if g.on {
		return
	}
	g.on = true
	if p.running {
		g.begin(p.frames)
	}
}

// ClearGainTable turns the correction off.
func (p *Pipeline) ClearGainTable() {
	if p.gain != nil {
		p.gain.end()
		p.gain.on = false
	}
}

// GainErrors returns the number of data units of the gain table that came too late since the last Reset, and one for each frame whose table was not fetched by the start of the next.
func (p *Pipeline) GainErrors() uint64 {
	if p.gain == nil {
		return 0
	}
	return p.gain.errors
}

func newGainReader(p *Pipeline, bytes int) *gainReader {
	g := &gainReader{
		path: p, raster: spread(int(p.isp.cfg.DataUnit), bytes, p.sensor, false), store: make([]sim.Time, GainTableIn.slots(p.isp.cfg)), failed: -1,
	}
	g.lane = p.isp.lane(GainTableIn, g)
	return g
}

// begin starts fetching the table for a frame, into empty storage.
func (g *gainReader) begin(seq int) {
	g.seq, g.unit, g.limit = seq, 0, seq
	now := g.path.isp.eng.Now()
	for k := range g.store {
		g.store[k] = now
	}
	if !g.stale {
		g.offer(now)
	}
}

// end gives up what is being fetched.
func (g *gainReader) end() { g.stale = !g.lane.Idle() && !g.lane.Cancel() }

// frame is called at the start of a frame. A table that is still being fetched for an earlier one is given up.
func (g *gainReader) frame(now sim.Time, seq int) {
	if !g.on {
		return
	}
	if g.seq < seq {
		if g.path.cutShort(seq - 1) {
			g.end() // nobody wants the rest
		} else {
			g.giveUp(now)
		}
		g.begin(seq)
	}
	g.limit = seq + 1
	if g.lane.Idle() {
		g.offer(now)
	}
}

// giveUp notes that a table did not come in time.
func (g *gainReader) giveUp(now sim.Time) {
	i := g.path.isp
	g.fail(Overflow{At: now, Seq: g.seq, Port: GainTableIn, Waited: max(now-i.requested(g.ready), 0), Holder: i.backlog.holder})
	g.end()
}

func (g *gainReader) fail(o Overflow) {
	g.errors++
	g.failed = o.Seq
	g.path.record(o)
}

// offer shows the next unit to the bus, due when there is room for it; now is the earliest time at which it can be.
func (g *gainReader) offer(now sim.Time) {
	if g.seq > g.limit {
		return
	}
	if g.unit == 0 {
		g.first = g.next
	}
	u := &g.raster.units[g.unit]
	g.ready = max(g.store[g.head], now)
	g.lane.Issue(g.ready, g.first+bus.IOVA(u.offset), int(u.bytes), false)
}

// Granted judges the unit that comes in and asks for the next; for the shared buffer logic only.
func (g *gainReader) Granted(p *bus.Port, done sim.Time) {
	i := g.path.isp
	i.granted(p, g.ready)
	if g.stale {
		g.stale = false
	} else {
		u, base := &g.raster.units[g.unit], g.path.base(g.seq)
		if need := g.path.at(base + u.first); done > need {
			g.fail(Overflow{At: need, Seq: g.seq, Port: GainTableIn, Waited: i.backlog.waited, Holder: i.backlog.holder})
		}
		g.store[g.head] = max(done, g.path.at(base+u.last))
		if g.head++; g.head == len(g.store) {
			g.head = 0
		}
		if g.unit++; g.unit == len(g.raster.units) {
			g.seq, g.unit = g.seq+1, 0
		}
	}
	if g.on && g.path.running {
		g.offer(0)
	}
}
