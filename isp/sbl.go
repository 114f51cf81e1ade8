package isp

import (
	"socsim/sim"
	"socsim/sim/bus"
)

// unit is one data unit of an output line. Columns are pixel clock counts from the start of the input line.
type unit struct {
	first  int64 // when its first byte has been produced
	last   int64 // when its last byte has been produced
	offset int32 // in the line, bytes
	bytes  int32
}

// hold is what the storage of one data unit was last used for: when the unit was in memory and the storage free, and the longest wait of the backlog it was in.
type hold struct {
	done   sim.Time
	waited sim.Time
	holder bus.Master
}

// sbl is the shared buffer logic of the resizer's line ports: where the frame stands and what the ports' storage holds.
type sbl struct {
	units []unit // of a line; the same for every line
	slots int    // data units that a port can hold
	store [LinePorts][]hold
	head  [LinePorts]int // the oldest unit's place, which the next unit takes

	// The next unit: output lines line to line+ports-1 fall on one input line and are cut into units side by side, unit by unit and port by port.
	line  int
	ports int
	unit  int
	port  int
	base  int64 // pixel clock count of the input line, from the start of the frame

	firstLine int64 // sensor line of the resizer's first input line
	lineTotal int64
	height    int

	// The unit at the bus. It is stale when its frame was abandoned in the meantime.
	busy, stale bool
	busyPort    int
	issued      sim.Time

	// Of the backlog: the units one after the other that could not be requested when they were ready. The longest wait among them made all of them late.
	waited sim.Time
	holder bus.Master
}

func newSBL(cfg Config, s Sensor, r Resizer, out Output) sbl {
	b := sbl{
		slots: int(cfg.PortBytes / cfg.DataUnit), height: out.Height, lineTotal: int64(s.LineTotal), firstLine: int64(cfg.CropLines/2 + r.Top),
	}
	left := cfg.CropColumns/2 + r.Left
	column := func(offset int) int64 { return int64(left + r.Columns(offset/out.BytesPerPixel)) }
	size := int(cfg.DataUnit)
	for at, end := 0, out.Width*out.BytesPerPixel; at < end; at += size {
		n := min(size, end-at)
		b.units = append(b.units, unit{first: column(at), last: column(at + n - 1), offset: int32(at), bytes: int32(n)})
	}
	for i := range b.store {
		b.store[i] = make([]hold, b.slots)
	}
	return b
}

// rewind goes to the first unit of a frame. The storage stays as it is.
func (b *sbl) rewind(r Resizer) { b.enter(0, r) }

// enter goes to the first unit of the group of output lines that begins with line k. Ratios of 64 and more put at most four lines into a group.
func (b *sbl) enter(k int, r Resizer) {
	b.line, b.unit, b.port, b.ports = k, 0, 0, 1
	if k == b.height {
		return
	}
	lines := r.Lines(k)
	b.base = (b.firstLine + int64(lines-1)) * b.lineTotal
	for k+b.ports < b.height && r.Lines(k+b.ports) == lines {
		b.ports++
	}
}

// advance goes to the next unit.
func (b *sbl) advance(r Resizer) {
	if b.port++; b.port < b.ports {
		return
	}
	b.port = 0
	if b.unit++; b.unit == len(b.units) {
		b.enter(b.line+b.ports, r)
	}
}

// pending returns the line port and the time since the request of the unit that the frame waits for.
func (b *sbl) pending(now sim.Time) (port int, waited sim.Time) {
	return b.busyPort, max(now-b.issued, 0)
}

// offer shows the next data unit that finds room in its port to the bus, losing those before it that do not; now is the earliest time at which the bus can see it. After the last unit
// it schedules the end of the frame.
func (p *Pipeline) offer(now sim.Time) {
	b := &p.sbl
	for b.line < b.height {
		u := &b.units[b.unit]
		count := p.frame.base + b.base
		oldest := &b.store[b.port][b.head[b.port]]
		if first := p.at(count + u.first); oldest.done > first {
			p.overflow(first, b.port, oldest.waited, oldest.holder)
			b.advance(p.resizer)
			continue
		}
		b.busy, b.busyPort = true, b.port
		b.issued = p.at(count + u.last)
		if b.issued >= now {
			b.waited, b.holder = 0, bus.NoMaster
		} else {
			b.issued = now
		}
		p.port.Issue(b.issued, p.frame.target+bus.IOVA((b.line+b.port)*p.out.Stride+int(u.offset)), int(u.bytes), true)
		return
	}
	last := p.at(p.frame.base + b.base + b.units[len(b.units)-1].last)
	p.frame.doneAt = max(p.frame.lastDone, last, now)
	p.frame.done = p.eng.Schedule(p.frame.doneAt, p.handler, doneEvent)
	p.frame.scheduled = true
}

// Granted takes note of when the unit at the bus is in memory, and offers the next; for the port only, and never from within Issue. The next unit is requested no earlier than the grant.
func (p *Pipeline) Granted(port *bus.Port, done sim.Time) {
	b := &p.sbl
	if !b.busy {
		panic("isp: Granted without a data unit at the bus")
	}
	b.busy = false
	if port.Waited >= b.waited {
		b.waited, b.holder = port.Waited, port.Holder
	}
	b.store[b.busyPort][b.head[b.busyPort]] = hold{done: done, waited: b.waited, holder: b.holder}
	if b.head[b.busyPort]++; b.head[b.busyPort] == b.slots {
		b.head[b.busyPort] = 0
	}
	if b.stale {
		b.stale = false
	} else {
		p.frame.lastDone = max(p.frame.lastDone, done)
		b.advance(p.resizer)
	}
	if p.frame.active {
		p.offer(port.Issued() + port.Hop + port.Waited)
	}
}
