package sim

import "math/bits"

// heapKey orders the pending events: by time, then by when they were scheduled.
type heapKey struct {
	at  Time
	seq uint64
}

// root is the index of the heap's root. Starting at 3 puts the four children of a node, 4(i-2) to 4(i-2)+3, into one aligned
// cache line of 64 bytes.
const root = 3

// before returns 1 if k comes before o, else 0, without a branch: which of two keys is the smaller is anybody's guess, and a
// wrong guess costs more than the comparison. Times are not negative.
func (k *heapKey) before(o *heapKey) int {
	_, borrow := bits.Sub64(k.seq, o.seq, 0)
	_, borrow = bits.Sub64(uint64(k.at), uint64(o.at), borrow)
	return int(borrow)
}

// push adds slot i at time at, behind everything of that time unless ties are shuffled.
func (e *Engine) push(at Time, i int32) {
	e.seq++
	k := heapKey{at, e.seq}
	if e.ties != nil {
		k.seq = e.ties.Uint64()
	}
	e.heap = append(e.heap, k)
	e.items = append(e.items, i)
	e.up(len(e.heap)-1, k, i)
}

// up places k at pos or, as long as it comes before the parent, above.
func (e *Engine) up(pos int, k heapKey, i int32) {
	for pos > root {
		parent := pos/4 + 2
		if k.before(&e.heap[parent]) == 0 {
			break
		}
		e.place(pos, e.heap[parent], e.items[parent])
		pos = parent
	}
	e.place(pos, k, i)
}

// down places k at pos or, as long as a child comes before it, below.
func (e *Engine) down(pos int, k heapKey, i int32) {
	for {
		child := 4 * (pos - 2)
		best := child
		if child+4 <= len(e.heap) {
			c := (*[4]heapKey)(e.heap[child:])
			left := c[1].before(&c[0])
			right := 2 + c[3].before(&c[2])
			best += left + (right-left)*c[right&3].before(&c[left&3])
		} else if child < len(e.heap) {
			for j := child + 1; j < len(e.heap); j++ {
				best += (j - best) * e.heap[j].before(&e.heap[best])
			}
		} else {
			break
		}
		if e.heap[best].before(&k) == 0 {
			break
		}
		e.place(pos, e.heap[best], e.items[best])
		pos = best
	}
	e.place(pos, k, i)
}

func (e *Engine) place(pos int, k heapKey, i int32) {
	e.heap[pos], e.items[pos] = k, i
	e.slots[i].pos = int32(pos)
}

// removeAt takes the key at pos out of the heap.
func (e *Engine) removeAt(pos int) {
	n := len(e.heap) - 1
	k, i := e.heap[n], e.items[n]
	e.heap, e.items = e.heap[:n], e.items[:n]
	switch {
	case pos == n:
	case pos > root && k.before(&e.heap[pos/4+2]) != 0:
		e.up(pos, k, i)
	default:
		e.down(pos, k, i)
	}
}
