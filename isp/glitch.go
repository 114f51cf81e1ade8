package isp

import (
	"math"

	"socsim/sim"
)

// Glitch is what a sensor does wrong in one frame. A frame of which lines are missing is over, short, when the next begins: the CCDC counts lines and raises no interrupt for a frame that has too few.
type Glitch struct {
	// Missing is how many of the last active lines do not come. They leave their time blank, unless Early is set: then vertical sync comes early, and the blanking and the next frame follow at once.
	Missing int
	Early   bool
	// Blanking is how many lines later than usual the next frame begins.
	Blanking int
	// OnFrame, if not nil, is called when the frame that has the glitch begins.
	OnFrame func(seq int, at sim.Time)
}

// glitches are those of a stream.
type glitches struct {
	waiting []Glitch
	// The frame that had the last one, and by how many pixel clocks the frames after it, and those before, are off their places.
	glitched      int
	after, before int64
	lines         int   // missing in that frame
	sent          int64 // pixel clocks of the current frame after which nothing more comes
}

// Glitch has the sensor do something wrong in the next frame to start that has no glitch yet. Missing must be less than the active lines: the first line is what starts a frame.
func (p *Pipeline) Glitch(g Glitch) {
	if g.Missing < 0 || g.Missing >= p.sensor.Height || g.Blanking < 0 {
		panic("isp: a glitch that a sensor cannot have")
	}
	p.waiting = append(p.waiting, g)
}

// restart forgets where frames were.
func (g *glitches) restart() {
	g.glitched, g.after, g.before, g.lines, g.sent = -1, 0, 0, 0, math.MaxInt64
}

// glitch applies the next glitch to the frame that starts now.
func (p *Pipeline) glitch(seq int, now sim.Time) {
	p.sent = math.MaxInt64
	if len(p.waiting) == 0 {
		return
	}
	x := p.waiting[0]
	p.waiting = p.waiting[1:]
	p.glitched, p.before, p.lines = seq, p.after, x.Missing
	lines := x.Blanking
	if x.Missing > 0 {
		p.sent = int64(p.sensor.Height-x.Missing) * int64(p.sensor.LineTotal)
		if x.Early {
			lines -= x.Missing
		}
	}
	p.after += int64(lines) * int64(p.sensor.LineTotal)
	if x.OnFrame != nil {
		x.OnFrame(seq, now)
	}
}

// base returns the pixel clock count at which a frame starts: the current one, or the next.
func (p *Pipeline) base(seq int) int64 {
	off := p.after
	if seq <= p.glitched {
		off = p.before
	}
	return int64(seq)*p.sensor.frameClocks() + off
}

// cutShort tells whether lines of the frame that has just ended did not come.
func (p *Pipeline) cutShort(seq int) bool { return seq == p.glitched && p.lines > 0 }
