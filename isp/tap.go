package isp

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// FrameStart tells that the sensor begins frame Seq: its first active line starts now. Latched tells whether a buffer was armed; the frame goes there.
type FrameStart struct {
	Seq     int
	At      sim.Time
	Latched bool
	Cookie  int // of the buffer, when Latched
}

// FrameDone tells that frame Seq is over. Start is when its first active line began, Done when its last byte was in memory. Overflowed means that data are missing: the frame is not usable.
type FrameDone struct {
	Seq         int
	Start, Done sim.Time
	Overflowed  bool
	// Short tells that the sensor did not send all of its lines, and that no data were lost beside those.
	Short bool
	// GainError tells that a part of the gain table came too late, as far as it was known when the frame was done.
	GainError bool
	Cookie    int
}

// Stats counts since the last Reset. Every frame that started ends up in one of Captured, Dropped, Skipped, Overflowed and Short, unless the stream was stopped in the middle of it.
type Stats struct {
	Frames     uint64 // started by the sensor
	Captured   uint64 // complete in memory
	Dropped    uint64 // no buffer was armed at the start, and the tap is the path's stream
	Skipped    uint64 // no buffer was armed at the start, at another tap: nobody wanted it
	Overflowed uint64 // frames with lost data
	Short      uint64 // frames of which the sensor did not send all lines
	Overflows  uint64 // overflow events: one per lost data unit, and one per frame that was cut short by the next
}

// Tap is a place where a path's data go to memory: the raw image of the CCDC, the preview engine's, the resizer's, or statistics. A driver arms a buffer for each frame it wants. The
// callbacks run as events of the engine and may call any method of the tap and its path.
type Tap struct {
	// OnFrameStart and OnFrameDone, when set, are called at frame rate. The done of a frame comes before the start of the next.
	OnFrameStart func(FrameStart)
	OnFrameDone  func(FrameDone)

	path    *Pipeline
	index   int
	image   Image
	bytes   int
	stream  bool // a frame without a buffer is a drop
	writers []writer
	end     int64 // count at which the last byte of a frame has been produced

	// The shadow registers: latched at the next frame start.
	armed      bool
	nextTarget bus.IOVA
	nextCookie int
	stats      Stats

	frame frame
	open  int // writers that have units to come in this frame
	last  *writer
}

// frame is the frame being written.
type frame struct {
	active     bool
	seq        int
	cookie     int
	target     bus.IOVA
	start      sim.Time
	base       int64 // pixel clock count of the start
	lastDone   sim.Time
	overflowed bool
	sent       int64     // pixel clocks after which the sensor sends no more of it
	short      bool      // and data are missing by it
	done       sim.Event // scheduled when the last unit was granted
	scheduled  bool
	doneAt     sim.Time
}

// writer is a real-time client of the shared buffer logic: a port's share of what a tap writes. A data unit takes storage from the production of its first byte until its last burst is
// done, and is requested when its last byte has been produced. A unit whose first byte finds the storage full is lost.
type writer struct {
	tap    *Tap
	id     PortID
	lane   *bus.Lane[bus.IOVA]
	raster raster
	store  []hold
	head   int // the oldest unit's place, which the next unit takes

	line, unit int      // of the next unit, or of the one at the lane
	ready      sim.Time // when its last byte has been produced
	requested  sim.Time // of the last unit granted
	stale      bool     // the unit at the lane belongs to a frame that was abandoned
}

// newTap adds a tap to a path. ids and rasters are those of its ports.
func (p *Pipeline) newTap(m Image, bytes int, ids []PortID, rasters []raster) *Tap {
	t := &Tap{path: p, index: len(p.taps), image: m, bytes: bytes, writers: make([]writer, len(rasters))}
	for k, r := range rasters {
		id := ids[k]
		w := &t.writers[k]
		*w = writer{tap: t, id: id, raster: r, store: make([]hold, id.slots(p.isp.cfg))}
		w.lane = p.isp.lane(id, w)
		t.end = max(t.end, r.end())
	}
	t.last = &t.writers[0]
	p.taps = append(p.taps, t)
	return t
}

// Image returns the image that is written; the zero image for statistics.
func (t *Tap) Image() Image { return t.image }

// Bytes returns the size of a buffer.
func (t *Tap) Bytes() int { return t.bytes }

// Stats returns the counters. A data unit is judged when the one before it at its port is granted, so an overflow may be counted up to a unit early.
func (t *Tap) Stats() Stats { return t.stats }

// Arm programs the address of the next buffer, which must be aligned to 32 bytes. It is latched, and used up, at the next frame start; cookie comes back in the callbacks. Arming again
// before that replaces it.
func (t *Tap) Arm(target bus.IOVA, cookie int) {
	if target%outputAlign != 0 {
		panic(fmt.Sprintf("isp: output address %v not aligned to %d bytes", target, outputAlign))
	}
	t.armed, t.nextTarget, t.nextCookie = true, target, cookie
}

// Disarm takes back an armed buffer that no frame has latched yet.
func (t *Tap) Disarm() { t.armed = false }

// latch begins a frame if a buffer is armed.
func (t *Tap) latch(now sim.Time, seq int) FrameStart {
	e := FrameStart{Seq: seq, At: now, Latched: t.armed}
	t.stats.Frames++
	switch {
	case t.armed:
		t.armed = false
		e.Cookie = t.nextCookie
		t.frame = frame{
			active: true, seq: seq, cookie: t.nextCookie, target: t.nextTarget, start: now, base: t.path.base(seq), sent: t.path.sent, lastDone: now,
		}
		t.open = len(t.writers)
		for k := range t.writers {
			w := &t.writers[k]
			w.line, w.unit = 0, 0
			if !w.stale {
				w.offer(now)
			}
		}
	case t.stream:
		t.stats.Dropped++
	default:
		t.stats.Skipped++
	}
	return e
}

// finishLate ends a frame that is not over at the start of the next. If its last byte reaches memory just now it is complete, else what is left of it is abandoned.
func (t *Tap) finishLate(now sim.Time) {
	late := !t.frame.short && (!t.frame.scheduled || t.frame.doneAt > now)
	if late {
		port, waited, holder := t.pending(now)
		t.overflow(now, port, waited, holder)
	}
	t.finish(now, late || t.frame.overflowed)
}

// pending returns the port of the unit that the frame waits for, the time since its request, and who made it wait.
func (t *Tap) pending(now sim.Time) (PortID, sim.Time, bus.Master) {
	b := &t.path.isp.backlog
	for k := range t.writers {
		w := &t.writers[k]
		if w.lane.Idle() {
			continue
		}
		holder := b.holder
		if w.ready >= b.granted {
			holder = bus.NoMaster
		}
		return w.id, max(now-t.path.isp.requested(w.ready), 0), holder
	}
	return t.last.id, max(now-t.last.requested, 0), b.holder
}

// finish tells that the frame is over.
func (t *Tap) finish(now sim.Time, overflowed bool) {
	e := FrameDone{Seq: t.frame.seq, Start: t.frame.start, Done: now, Overflowed: overflowed, Short: t.frame.short && !overflowed, Cookie: t.frame.cookie}
	if g := t.path.gain; g != nil {
		e.GainError = g.failed == e.Seq
	}
	t.closeFrame()
	switch {
	case overflowed:
		t.stats.Overflowed++
	case e.Short:
		t.stats.Short++
	default:
		t.stats.Captured++
	}
	if t.OnFrameDone != nil {
		t.OnFrameDone(e)
	}
}

// closeFrame forgets the frame, its event and what it has at the bus. A unit that is on its way already goes to memory, late.
func (t *Tap) closeFrame() {
	if t.frame.scheduled {
		t.path.isp.eng.Cancel(t.frame.done)
	}
	t.frame = frame{}
	for k := range t.writers {
		w := &t.writers[k]
		w.stale = !w.lane.Idle() && !w.lane.Cancel()
	}
}

// overflow counts and records a loss.
func (t *Tap) overflow(at sim.Time, port PortID, waited sim.Time, holder bus.Master) {
	t.frame.overflowed = true
	t.stats.Overflows++
	t.path.record(Overflow{At: at, Seq: t.frame.seq, Port: port, Waited: waited, Holder: holder})
}

// offer shows the next data unit that finds room in the port to the bus, losing those before it that do not; now is the earliest time at which the bus can see it.
func (w *writer) offer(now sim.Time) {
	t := w.tap
	for w.line < len(w.raster.lines) {
		l, u := &w.raster.lines[w.line], &w.raster.units[w.unit]
		if l.base+u.last > t.frame.sent { // it and all behind it never come
			t.frame.short = true
			break
		}
		count := t.frame.base + l.base
		oldest := &w.store[w.head]
		if first := t.path.at(count + u.first); oldest.done > first {
			t.overflow(first, w.id, oldest.waited, oldest.holder)
			w.advance()
			continue
		}
		w.ready = t.path.at(count + u.last)
		w.lane.Issue(w.ready, t.frame.target+bus.IOVA(l.offset+int64(u.offset)), int(u.bytes), true)
		return
	}
	t.exhausted(now)
}

// advance goes to the next unit.
func (w *writer) advance() {
	if w.unit++; w.unit == len(w.raster.units) {
		w.line, w.unit = w.line+1, 0
	}
}

// exhausted schedules the end of the frame when the last of the writers has no more units.
func (t *Tap) exhausted(now sim.Time) {
	if t.open--; t.open > 0 || t.frame.short { // a short frame is over when the next begins
		return
	}
	t.frame.doneAt = max(t.frame.lastDone, t.path.at(t.frame.base+t.end), now)
	t.frame.done = t.path.isp.eng.Schedule(t.frame.doneAt, t.path.handler, doneEvent+uint64(t.index))
	t.frame.scheduled = true
}

// Granted takes note of when the unit at the bus is in memory, and offers the next; for the shared buffer logic only. The next unit is requested no earlier than the grant.
func (w *writer) Granted(p *bus.Port, done sim.Time) {
	t, i := w.tap, w.tap.path.isp
	w.requested = i.requested(w.ready)
	now := i.granted(p, w.ready)
	w.store[w.head] = hold{done: done, waited: i.backlog.waited, holder: i.backlog.holder}
	if w.head++; w.head == len(w.store) {
		w.head = 0
	}
	t.last = w
	if w.stale {
		w.stale = false
	} else {
		t.frame.lastDone = max(t.frame.lastDone, done)
		w.advance()
	}
	if t.frame.active {
		w.offer(now)
	}
}
