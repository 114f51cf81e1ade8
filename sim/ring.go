package sim

// ring is the first-in first-out queue of the events that are due now, in a circular buffer. A cancelled event leaves a hole.
// Holes at the head vanish at once, the others when the buffer is full, which grows only when more than half of it is events:
// so a cancelled event costs O(1) on average and holes never pile up.
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

// trim drops the holes at the head.
func (r *ring) trim() {
	for r.head != r.tail && r.buf[r.head&uint32(len(r.buf)-1)] == hole {
		r.head++
	}
}

// compactRing drops the holes of a full buffer, and moves to one of twice the size if it is more than half full of events.
func (e *Engine) compactRing() {
	r := &e.ring
	from, to := r.buf, r.buf
	if len(from) == 0 || r.n > len(from)/2 {
		to = make([]int32, max(8, 2*len(from)))
	}
	tail := r.head
	for at := r.head; at != r.tail; at++ {
		if i := from[at&uint32(len(from)-1)]; i != hole {
			place := tail & uint32(len(to)-1)
			to[place] = i
			e.slots[i].pos = ^int32(place)
			tail++
		}
	}
	r.buf, r.tail = to, tail
}
