package sim

// ring is the first-in first-out queue of the events that are due now, in a circular buffer. A cancelled event leaves a hole;
// holes at either end vanish at once and the others before the buffer would grow, so that holes never make it grow.
type ring struct {
	buf        []int32 // slots, or hole; the length is a power of two
	head, tail uint32  // run on; buf is indexed modulo its length
	n          int     // events, without holes; less than tail-head if there are holes
}

const hole = -1

// pushRing appends slot i and returns its index.
func (e *Engine) pushRing(i int32) int32 {
	r := &e.ring
	if int(r.tail-r.head) == len(r.buf) {
		e.compactRing()
	}
	at := r.tail & uint32(len(r.buf)-1)
	r.buf[at] = i
	r.tail++
	r.n++
	return int32(at)
}

// popRing takes the first slot. There must be one.
func (e *Engine) popRing() int32 {
	r := &e.ring
	i := r.buf[r.head&uint32(len(r.buf)-1)]
	r.head++
	r.n--
	if int(r.tail-r.head) != r.n {
		r.trim()
	}
	return i
}

// cancelRing makes a hole at index at.
func (e *Engine) cancelRing(at int32) {
	r := &e.ring
	r.buf[at] = hole
	r.n--
	r.trim()
}

// trim drops the holes at both ends.
func (r *ring) trim() {
	mask := uint32(len(r.buf) - 1)
	for r.head != r.tail && r.buf[r.head&mask] == hole {
		r.head++
	}
	for r.head != r.tail && r.buf[(r.tail-1)&mask] == hole {
		r.tail--
	}
}

// compactRing drops all holes of a full buffer, and doubles the buffer if it is more than half full of events.
func (e *Engine) compactRing() {
	r := &e.ring
	size := max(len(r.buf), 8)
	if r.n > size/2 {
		size *= 2
	}
	buf := make([]int32, size)
	n := uint32(0)
	for at := r.head; at != r.tail; at++ {
		if i := r.buf[at&uint32(len(r.buf)-1)]; i != hole {
			buf[n] = i
			e.slots[i].pos = ^int32(n)
			n++
		}
	}
	r.buf, r.head, r.tail = buf, 0, n
}
