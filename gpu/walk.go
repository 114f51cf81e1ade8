package gpu

import (
	"socsim/sim"
	"socsim/sim/bus"
)

// lineBytes is the line of the texture cache and the largest burst.
const lineBytes = bus.BurstBytes

// tile is a rectangle of target pixels.
type tile struct{ x, y, w, h int }

// walk is the position of the running job in its stream of bursts R0 R1 W0 R2 W1 ... and the times that the next one depends on.
type walk struct {
	job  Job
	tags []uint64 // texture cache: line number + 1, by line number modulo the size

	read    tile // whose texture lines are being read, or were read last
	write   tile // being written, or to be written next: the one before read, or read itself at the end of the job
	writing bool

	tex    *Surface // that is being read
	quads  int      // of the job's that have been read under this tile
	pixels int      // of all textures under the tile

	// Texture lines line to last of a row of the source rectangle; the row is rowBytes long from rowAddr, and rows more follow it.
	line, last uint64
	rowAddr    uint64
	rowBytes   uint64
	rows       int
	texEnd     uint64 // end of the texture's last row

	// Target bytes from addr to addrEnd of a row of the write tile, which begins at outAddr, and outRows more follow it.
	addr, addrEnd uint64
	outAddr       uint64
	outRows       int
	writeFrom     sim.Time // the write tile has been computed

	readsDone      sim.Time // completion of the read tile's reads
	end, endBefore int64    // clock edges at which the read tile and the one before it have been computed
	writesDone     sim.Time // completion of the last write

	issued  sim.Time // time of the last burst; none is issued before it
	flight  [bus.MaxOutstanding]sim.Time
	slot    int  // of the oldest burst in flight
	issuing bool // within the port's Issue
	granted bool // and Granted was called from there
}

// burst is one transfer on the port.
type burst struct {
	at    sim.Time
	va    bus.IOVA
	bytes int
	write bool
}

// beginWalk puts the walk at the first texture line of a job whose start-up is over at the given time. Bursts of the job before may still be in flight.
func (g *GPU) beginWalk(job *Job, from sim.Time) {
	w := &g.walk
	w.job = *job
	clear(w.tags)
	w.writesDone, w.end, w.endBefore = 0, 0, 0
	w.issued = from
	first := tile{0, 0, min(g.cfg.Tile, job.Target.Width), min(g.cfg.Tile, job.Target.Height)}
	w.write = first
	w.beginRead(first)
}

// beginRead starts the reads of a tile.
func (w *walk) beginRead(t tile) {
	w.read, w.writing = t, false
	w.readsDone = w.issued
	w.quads, w.pixels = 0, 0
	w.beginTexture(&w.job.Texture, Rect{}) // lies under every tile
}

// beginTexture starts the reads of a texture that is drawn over a part of the target; false if it does not lie under the tile.
func (w *walk) beginTexture(tex *Surface, part Rect) bool {
	if part == (Rect{}) {
		part.Width, part.Height = w.job.Target.Width, w.job.Target.Height
	}
	left, top := max(w.read.x, part.X), max(w.read.y, part.Y)
	width, height := min(w.read.x+w.read.w, part.X+part.Width)-left, min(w.read.y+w.read.h, part.Y+part.Height)-top
	if width <= 0 || height <= 0 {
		return false
	}
	x0, x1 := scale(left-part.X, width, tex.Width, part.Width)
	y0, y1 := scale(top-part.Y, height, tex.Height, part.Height)
	w.tex = tex
	w.texEnd = uint64(tex.Addr) + uint64(tex.Bytes())
	w.pixels += width * height
	w.rows = y1 - y0
	w.rowAddr = uint64(tex.Addr) + uint64(y0*tex.Stride+x0*tex.BytesPerPixel)
	w.rowBytes = uint64((x1 - x0) * tex.BytesPerPixel)
	w.beginReadRow()
	return true
}

// nextTexture starts the reads of the next quad that lies under the tile; false when there is none.
func (w *walk) nextTexture() bool {
	for w.quads < len(w.job.Over) {
		q := &w.job.Over[w.quads]
		w.quads++
		if w.beginTexture(&q.Texture, q.Part) {
			return true
		}
	}
	return false
}

// scale maps the n pixels from x on of a target of dw pixels to the pixels from x0 to x1 of a source of sw pixels that lie under them.
func scale(x, n, sw, dw int) (x0, x1 int) { return x * sw / dw, ((x+n)*sw + dw - 1) / dw }

func (w *walk) beginReadRow() {
	w.line = w.rowAddr / lineBytes
	w.last = (w.rowAddr + w.rowBytes - 1) / lineBytes
	w.rowAddr += uint64(w.tex.Stride)
	w.rows--
}

// beginWrite starts the writes of a tile that has been computed at the given clock edge.
func (w *walk) beginWrite(t tile, from sim.Time) {
	w.write, w.writing, w.writeFrom = t, true, from
	dst := &w.job.Target
	w.outAddr = uint64(dst.Addr) + uint64(t.y*dst.Stride+t.x*dst.BytesPerPixel)
	w.outRows = t.h
	w.beginWriteRow()
}

func (w *walk) beginWriteRow() {
	w.addr = w.outAddr
	w.addrEnd = w.addr + uint64(w.write.w*w.job.Target.BytesPerPixel)
	w.outAddr += uint64(w.job.Target.Stride)
	w.outRows--
}

// after returns the tile that follows t in row-major order, and false if t is the last.
func (g *GPU) after(t tile) (tile, bool) {
	dst := &g.walk.job.Target
	x, y := t.x+g.cfg.Tile, t.y
	if x >= dst.Width {
		x, y = 0, y+g.cfg.Tile
		if y >= dst.Height {
			return tile{}, false
		}
	}
	return tile{x, y, min(g.cfg.Tile, dst.Width-x), min(g.cfg.Tile, dst.Height-y)}, true
}

// next finds the next burst; false when the job has no more. Its cost is that of the texture lines that hit in the cache before the next miss: no more than a tile's.
func (g *GPU) next(b *burst) bool {
	w := &g.walk
	for {
		if w.writing {
			if w.addr == w.addrEnd && w.outRows > 0 {
				w.beginWriteRow()
			}
			if w.addr < w.addrEnd {
				n := min(lineBytes-w.addr%lineBytes, w.addrEnd-w.addr)
				*b = burst{max(w.issued, w.flight[w.slot], w.writeFrom), bus.IOVA(w.addr), int(n), true}
				w.addr += n
				return true
			}
			if w.write == w.read {
				return false
			}
			if t, ok := g.after(w.read); ok {
				w.write = w.read
				w.beginRead(t)
			} else {
				w.beginWrite(w.read, g.clock.Cycles(w.end))
			}
			continue
		}

		if w.miss(&g.stats) {
			from := max(w.line*lineBytes, uint64(w.tex.Addr))
			w.line++
			*b = burst{max(w.issued, w.flight[w.slot]), bus.IOVA(from), int(min(w.line*lineBytes, w.texEnd) - from), false}
			return true
		}
		g.compute()
		switch t, ok := g.after(w.read); {
		case w.write != w.read:
			w.beginWrite(w.write, g.clock.Cycles(w.endBefore))
		case ok: // the first tile: its writes come after the second one's reads
			w.beginRead(t)
		default: // the only tile
			w.beginWrite(w.read, g.clock.Cycles(w.end))
		}
	}
}

// miss moves on to the read tile's next line that is not in the texture cache, and takes it in; false when there is none.
func (w *walk) miss(s *Stats) bool {
	mask := uint64(len(w.tags) - 1)
	for {
		for ; w.line <= w.last; w.line++ {
			if tag := &w.tags[w.line&mask]; *tag != w.line+1 {
				*tag = w.line + 1
				s.TextureLines++
				return true
			}
			s.TextureHits++
		}
		switch {
		case w.rows > 0:
			w.beginReadRow()
		case !w.nextTexture():
			return false
		}
	}
}

// compute fixes when the read tile, all of whose reads have been granted, will have been computed.
func (g *GPU) compute() {
	w := &g.walk
	g.stats.Tiles++
	ppc := g.cfg.PixelsPerCycle
	w.endBefore = w.end
	w.end = max(w.end, g.clock.Ceil(w.readsDone)) + int64(g.cfg.TileCycles) + int64((w.pixels+ppc-1)/ppc)
}

// run offers the next burst, and the ones after it as long as the port grants them at once; after the last it schedules the end of the job.
func (g *GPU) run() {
	w := &g.walk
	var b burst
	for g.next(&b) {
		w.issued = b.at
		w.issuing, w.granted = true, false
		g.port.Issue(b.at, b.va, b.bytes, b.write)
		w.issuing = false
		if !w.granted {
			return
		}
	}
	g.eng.Schedule(w.writesDone, g.id, 0)
}

// Granted takes note of when the burst is done and offers the next, for a time not before the burst was translated and issued: translation is in order. The port calls it;
// p may be nil.
func (g *GPU) Granted(p *bus.Port, done sim.Time) {
	w := &g.walk
	if p != nil {
		w.issued = max(w.issued, p.Issued())
	}
	w.flight[w.slot] = done
	if w.slot++; w.slot == g.cfg.Outstanding {
		w.slot = 0
	}
	if w.writing {
		w.writesDone = max(w.writesDone, done)
	} else {
		w.readsDone = max(w.readsDone, done)
	}
	if w.issuing {
		w.granted = true
		return
	}
	g.run()
}
