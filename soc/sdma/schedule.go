package sdma

import (
	"math/bits"

	"socsim/sim"
	"socsim/sim/bus"
)

// none stands for no channel.
const none = -1

// channel is a logical channel: its program and where it stands.
type channel struct {
	transfer            Transfer
	programmed, enabled bool
	status              Status

	src, dst      cursor
	used          int      // bytes in the FIFO at the time of the device's last read
	ready         sim.Time // when it can make its next access; scratch of the scheduler
	from          sim.Time // when it was enabled
	arrived       int64    // bytes whose read has been granted
	arrivals      arrivals
	written       int64    // bytes whose write has been requested
	acknowledged  sim.Time // no write is requested before
	end           sim.Time // when all writes granted so far are over
	frame         int64    // bytes of a frame
	toFrame, rest int64    // bytes to be granted up to the end of the present frame, and of the block

	turn [2]uint64 // when it was served last on the read and on the write port, or enabled
	high [2]bool
}

// begin goes to the start of the block.
func (c *channel) begin(at sim.Time, turn uint64, single, burst int) {
	t := &c.transfer
	c.enabled, c.from, c.end = true, at, at
	c.arrived, c.written, c.acknowledged = 0, 0, 0
	c.arrivals.clear()
	c.src.begin(&t.Source, t, single, burst)
	c.dst.begin(&t.Destination, t, single, burst)
	c.rest = t.Bytes()
	c.frame = c.rest / int64(t.Frames)
	c.toFrame = c.frame
	c.turn = [2]uint64{turn, turn}
	c.high = [2]bool{t.HighRead, t.HighWrite}
}

// port is one of the ports with its scheduler.
type port struct {
	bus     *bus.Port
	kind    bus.Kind
	threads int

	channel int      // of the access on the port, or none
	bytes   int      // of it
	reaches sim.Time // when it reaches the arbiter

	at     sim.Time                     // of the last access; none is requested before it
	flight [bus.MaxOutstanding]sim.Time // completions of the last accesses granted
	slot   int                          // the oldest of them
	run    int                          // accesses of high priority since one of a regular channel that waited
}

// show puts an access on the port.
func (p *port) show(ch int, at sim.Time, c *cursor) {
	p.channel, p.bytes, p.at = ch, int(c.n), at
	p.bus.Issue(at, c.addr, p.bytes, p.kind)
	p.reaches = p.bus.At
}

// granted notes that the access was granted and is done at a time.
func (p *port) granted(done sim.Time) {
	p.flight[p.slot] = done
	if p.slot++; p.slot == p.threads {
		p.slot = 0
	}
	p.channel = none
}

// schedule puts the next access on each port that has none, if there is one.
func (d *Device) schedule() {
	if d.read.channel == none && d.reading != 0 {
		d.scheduleRead()
	}
	if d.write.channel == none && d.writing != 0 {
		d.scheduleWrite()
	}
}

// scheduleRead puts the next read on its port.
func (d *Device) scheduleRead() {
	first := sim.Never
	for m := d.reading; m != 0; m &= m - 1 {
		c := &d.channels[bits.TrailingZeros32(m)]
		c.ready = max(c.from, d.room(c))
		first = min(first, c.ready)
	}
	if first == sim.Never {
		return
	}
	p := &d.read
	at := max(first, p.at, p.flight[p.slot])
	ch := d.pick(p, 0, d.reading, at)
	d.settle(at)
	c := &d.channels[ch]
	d.used += int(c.src.n)
	c.used += int(c.src.n)
	p.show(ch, at, &c.src)
	if c.src.advance(); c.src.left == 0 {
		d.reading &^= 1 << ch
	}
}

// room returns when the FIFO has room for a channel's next read, Never if that is not known yet.
func (d *Device) room(c *channel) sim.Time {
	used, mine := d.used+c.src.largest(), c.used
	if used <= int(d.cfg.FIFO) && mine < int(d.cfg.ChannelFIFO) {
		return 0
	}
	for i := range d.freed.n {
		f := d.freed.at(i)
		used -= f.bytes
		if &d.channels[f.channel] == c {
			mine -= f.bytes
		}
		if used <= int(d.cfg.FIFO) && mine < int(d.cfg.ChannelFIFO) {
			return f.at
		}
	}
	return sim.Never
}

// settle brings the state of the FIFO up to a time.
func (d *Device) settle(at sim.Time) {
	for d.freed.n > 0 && d.freed.at(0).at <= at {
		f := d.freed.pop()
		d.used -= f.bytes
		d.channels[f.channel].used -= f.bytes
	}
}

// scheduleWrite puts the next write on its port.
func (d *Device) scheduleWrite() {
	first := d.writable()
	if first == sim.Never {
		if d.read.channel != none || !d.drain() {
			return
		}
		first = d.writable()
	}
	p := &d.write
	at := max(first, p.at, p.flight[p.slot])
	ch := d.pick(p, 1, d.writing, at)
	c := &d.channels[ch]
	c.written += c.dst.n
	c.arrivals.drop(c.written)
	p.show(ch, at, &c.dst)
	if c.dst.advance(); c.dst.left == 0 || c.transfer.Writes == NonPosted {
		d.writing &^= 1 << ch // until it is granted
	}
}

// writable returns the earliest time at which a channel can write, Never if there is none.
func (d *Device) writable() sim.Time {
	first := sim.Never
	for m := d.writing; m != 0; m &= m - 1 {
		c := &d.channels[bits.TrailingZeros32(m)]
		c.ready = max(c.from, c.acknowledged)
		if !c.transfer.Fill {
			c.ready = max(c.ready, c.arrivals.until(c.written+c.dst.n))
		}
		first = min(first, c.ready)
	}
	return first
}

// drain cuts the next write of the channel that was served longest ago, among those with bytes in the FIFO, down to these bytes; it returns false if there is none.
func (d *Device) drain() bool {
	var longest *channel
	for m := d.writing; m != 0; m &= m - 1 {
		c := &d.channels[bits.TrailingZeros32(m)]
		if c.arrived > c.written && (longest == nil || c.turn[1] < longest.turn[1]) {
			longest = c
		}
	}
	if longest == nil {
		return false
	}
	longest.dst.size(longest.arrived - longest.written)
	return true
}

// pick chooses, among channels, one that is ready by a time; at least one is.
func (d *Device) pick(p *port, side int, channels uint32, at sim.Time) int {
	best := [2]int{none, none} // regular and of high priority
	for m := channels; m != 0; m &= m - 1 {
		ch := bits.TrailingZeros32(m)
		c := &d.channels[ch]
		if c.ready > at {
			continue
		}
		queue := 0
		if c.high[side] {
			queue = 1
		}
		if b := best[queue]; b == none || c.turn[side] < d.channels[b].turn[side] {
			best[queue] = ch
		}
	}
	ch := best[1]
	switch {
	case ch == none:
		ch = best[0]
		p.run = 0
	case best[0] == none:
		p.run = 0
	case p.run == d.cfg.ArbitrationRate:
		ch = best[0]
		p.run = 0
	default:
		p.run++
	}
	d.turns++
	d.channels[ch].turn[side] = d.turns
	return ch
}

// Granted takes note of an access that was granted and offers what can be done next. The interconnect calls it.
func (d *Device) Granted(p *bus.Port, done sim.Time) {
	if p == d.read.bus {
		d.arrive(done)
	} else {
		d.leave(d.write.reaches+p.Waited, done)
	}
	d.schedule()
}

// arrive notes when the bytes of the read that was granted are in the FIFO.
func (d *Device) arrive(done sim.Time) {
	p := &d.read
	c := &d.channels[p.channel]
	c.arrived += int64(p.bytes)
	c.arrivals.push(c.arrived, done)
	d.stats.Reads++
	d.stats.BytesRead += uint64(p.bytes)
	p.granted(done)
}

// leave notes that the bytes of the write that was granted have left the FIFO, and when the write is over for its channel.
func (d *Device) leave(now, done sim.Time) {
	p := &d.write
	ch, n := p.channel, p.bytes
	c := &d.channels[ch]
	d.stats.Writes++
	d.stats.BytesWritten += uint64(n)
	p.granted(done)
	if !c.transfer.Fill {
		d.freed.push(release{now, ch, n})
	}
	over := now
	c.rest -= int64(n)
	if c.transfer.Writes == NonPosted || c.transfer.Writes == LastNonPosted && c.rest == 0 {
		over = done
	}
	if c.transfer.Writes == NonPosted {
		c.acknowledged = done
		if c.rest > 0 {
			d.writing |= 1 << ch
		}
	}
	c.end = max(c.end, over)
	d.finish(ch, c, int64(n))
}

// finish schedules what n more bytes bring to an end.
func (d *Device) finish(ch int, c *channel, n int64) {
	var s Status
	if c.toFrame -= n; c.toFrame <= 0 {
		s = Frame
		for c.toFrame <= 0 && c.rest > 0 {
			c.toFrame += c.frame
		}
		if c.rest > 0 && c.rest <= c.frame {
			s |= Last
		}
		s &= c.transfer.Interrupts
	}
	if c.rest == 0 {
		s |= Block
	}
	if s != 0 {
		d.eng.Schedule(c.end, d.id, argument(ch, s))
	}
}
