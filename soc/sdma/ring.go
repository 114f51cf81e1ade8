package sdma

import (
	"math/bits"

	"socsim/sim"
)

// arrival says when the bytes of a block up to a number have arrived.
type arrival struct {
	upTo int64
	done sim.Time
}

// arrivals are those of the bytes of a channel in the FIFO, in order.
type arrivals struct {
	slots   []arrival // a power of two
	head, n int
	last    sim.Time // of the youngest
}

func (r *arrivals) init(n int) { r.slots = make([]arrival, 1<<bits.Len(uint(n-1))) }

func (r *arrivals) clear() { r.n, r.last = 0, 0 }

func (r *arrivals) at(i int) *arrival { return &r.slots[(r.head+i)&(len(r.slots)-1)] }

// push adds the next. Bytes leave in order, so none arrives before those ahead of it.
func (r *arrivals) push(upTo int64, done sim.Time) {
	r.last = max(r.last, done)
	*r.at(r.n) = arrival{upTo, r.last}
	r.n++
}

// until returns when the bytes up to a number will have arrived, Never if that is not known.
func (r *arrivals) until(upTo int64) sim.Time {
	for i := range r.n {
		if a := r.at(i); a.upTo >= upTo {
			return a.done
		}
	}
	return sim.Never
}

// drop forgets those that lie wholly within the bytes up to a number.
func (r *arrivals) drop(upTo int64) {
	for r.n > 0 && r.at(0).upTo <= upTo {
		r.head++
		r.n--
	}
}

// release is bytes of a channel that left the FIFO at a time.
type release struct {
	at      sim.Time
	channel int
	bytes   int
}

// frees is a queue of them, oldest first.
type frees struct {
	slots   []release // a power of two
	head, n int
}

func (r *frees) init(n int) { r.slots = make([]release, 1<<bits.Len(uint(n-1))) }

func (r *frees) at(i int) *release { return &r.slots[(r.head+i)&(len(r.slots)-1)] }

func (r *frees) push(f release) {
	*r.at(r.n) = f
	r.n++
}

func (r *frees) pop() release {
	f := *r.at(0)
	r.head++
	r.n--
	return f
}
