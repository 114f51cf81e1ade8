// Package sim is the ground floor: simulated time, clocks, the event kernel, processes, and random streams.
//
// # Time and order
//
// [Time] counts picoseconds; a [Clock] keeps its frequency, not a rounded period. Events run by time and, at equal times, in
// the order in which they were scheduled: the order is total, and the same program gives the same order on every machine.
//
// # Three ways to do work
//
// An event is a registered [Handler] and one machine word of argument; scheduling and running one allocates nothing.
// Hardware is written this way. A process ([Proc]) is straight-line code on a coroutine, which sleeps, waits for a [Signal]
// and passes values through a [Queue]; software is written this way. Work that computes its own times instead of scheduling
// events, as the memory path does, is the engine's [Background].
//
// # What it leaves out
//
// One engine is one thread of control: nothing here may be used from two goroutines at once, and nothing runs in parallel.
// There is no host time and no floating point.
//
// # Sources
//
// The queue is a 4-ary heap whose keys lie apart from the payload, so that the four children of a node share a cache line
// (LaMarca and Ladner, "The influence of caches on the performance of heaps", ACM JEA 1, 1996). Its benchmarks use the hold
// model (Vaucher and Duval, "A comparison of simulation event list algorithms", CACM 18(4), 1975; Jones, "An empirical
// comparison of priority-queue and event-set implementations", CACM 29(4), 1986).
package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// A Handler runs events. One handler serves many events; arg tells them apart.
type Handler interface {
	Handle(now Time, arg uint64)
}

// HandlerID is a registered handler.
type HandlerID int32

// Event is the handle of a scheduled event: its slot and the slot's generation. The zero Event is no event.
type Event uint64

// Background is work that computes its own times. Before the engine runs the events of a time it calls AdvanceTo with that
// time, and the background does all its work strictly before limit. In doing so it may schedule and cancel events, never
// for a time before that of the work it is doing; as soon as it has scheduled one before limit it must return. The engine
// looks at its next event again after every call. Now stands still meanwhile: the background runs ahead of it.
type Background interface {
	AdvanceTo(limit Time)
}

// Engine is the event kernel. Schedule and Cancel cost O(log n) of the n pending events, and O(1) for events due now. An
// event takes 44 bytes while it is pending; the memory is reused, never returned.
type Engine struct {
	next Time // earliest pending event
	now  Time

	heap  []heapKey // 4-ary heap: the root is heap[root]
	items []int32   // slot of each key
	slots []slot
	free  int32 // first free slot, linked through pos; -1 for none
	ring  ring  // slots due now
	seq   uint64
	ties  *rand.Rand // draws the order of equal times, nil for that of scheduling

	handlers   []Handler
	background Background
	stopped    bool
	running    bool
	closed     bool
	events     uint64
	pending    int

	procs     []*Proc // nil where free
	freeProcs []int32
	hProc     HandlerID
}

// slot holds the payload of an event and says where its key is.
type slot struct {
	arg     uint64
	handler HandlerID
	gen     uint32 // counts the events that used the slot; skips 0
	pos     int32  // index in the heap; ^index in the ring; next free slot
}

// checkEvents and checkTime are how many events and how much simulated time may pass before Run looks at its context.
const (
	checkEvents = 256
	checkTime   = Millisecond
)

// New returns an engine at time 0 with nothing pending.
func New() *Engine {
	e := &Engine{next: Never, free: -1, heap: make([]heapKey, root), items: make([]int32, root)}
	e.hProc = e.Register((*procHandler)(e))
	return e
}

// Register makes a handler known. Handlers stay registered for the engine's life.
func (e *Engine) Register(h Handler) HandlerID {
	e.handlers = append(e.handlers, h)
	return HandlerID(len(e.handlers) - 1)
}

// Now returns the present time: that of the running event, or where the last Run ended.
func (e *Engine) Now() Time { return e.now }

// Next returns the time of the earliest pending event, Never if there is none.
func (e *Engine) Next() Time { return e.next }

// Events returns the number of events that have been run.
func (e *Engine) Events() uint64 { return e.events }

// Pending returns the number of events that are scheduled and not cancelled.
func (e *Engine) Pending() int { return e.pending }

// ShuffleTies makes events of one time that are scheduled from now on run in an order drawn from seed instead of that of scheduling. An event that schedules another for its own time still runs before it.
// What then comes out another way depended on an order that the model does not define. It panics if something is pending.
func (e *Engine) ShuffleTies(seed uint64) {
	if e.pending > 0 {
		panic("sim: ShuffleTies with events pending")
	}
	e.ties = Stream(seed, "sim.ties")
}

// SetBackground attaches the background; nil detaches it.
func (e *Engine) SetBackground(b Background) { e.background = b }

// Stop makes Run return after the present event. Outside of Run it does nothing.
func (e *Engine) Stop() { e.stopped = true }

// Schedule arranges for h to run at time at with arg, behind everything already scheduled for that time. It panics if at is
// in the past or Never.
func (e *Engine) Schedule(at Time, h HandlerID, arg uint64) Event {
	if at < e.now || at == Never {
		panic(fmt.Sprintf("sim: event for %v scheduled at %v", at, e.now))
	}
	i := e.free
	if i < 0 {
		i = int32(len(e.slots))
		e.slots = append(e.slots, slot{gen: 1})
	} else {
		e.free = e.slots[i].pos
	}
	s := &e.slots[i]
	s.arg, s.handler = arg, h
	if at == e.now && e.ties == nil {
		// All that is in the heap for this time was scheduled before the time came, so it runs first.
		s.pos = ^e.pushRing(i)
	} else {
		e.push(at, i)
	}
	e.pending++
	e.next = min(e.next, at)
	return Event(s.gen)<<32 | Event(i)
}

// Cancel removes a pending event. It returns false if the event has begun to run or was cancelled before.
func (e *Engine) Cancel(ev Event) bool {
	i := int32(uint32(ev))
	if uint32(ev) >= uint32(len(e.slots)) || e.slots[i].gen != uint32(ev>>32) {
		return false
	}
	if pos := e.slots[i].pos; pos >= 0 {
		e.removeAt(int(pos))
	} else {
		e.cancelRing(^pos)
	}
	e.release(i)
	e.settleNext()
	return true
}

// release returns a slot whose event is in neither the heap nor the ring any more.
func (e *Engine) release(i int32) {
	s := &e.slots[i]
	if s.gen++; s.gen == 0 {
		s.gen = 1
	}
	s.pos, e.free = e.free, i
	e.pending--
}

// settleNext recomputes next after a removal.
func (e *Engine) settleNext() {
	switch {
	case e.ring.n > 0:
		e.next = e.now
	case len(e.heap) > root:
		e.next = e.heap[root].at
	default:
		e.next = Never
	}
}

// Run runs all events up to and including time until, lets the background do its work before until, and leaves Now there. It
// returns early, with Now where it was, when Stop is called (and returns nil) or when ctx is done (and returns its error); the
// context is looked at every 256 events and every simulated millisecond that holds events. With until Never it ends when
// nothing is pending, at the time of the last event. A panic of a handler or a process comes through Run. It panics if
// until is before Now, and when called from an event or after Close.
func (e *Engine) Run(ctx context.Context, until Time) error {
	if e.running || e.closed || until < e.now {
		panic(fmt.Sprintf("sim: Run until %v at %v (running: %t, closed: %t)", until, e.now, e.running, e.closed))
	}
	e.running, e.stopped = true, false
	defer func() { e.running = false }()
	checked := e.now
	for n := 0; !e.stopped; n++ {
		t := e.next
		limit := min(t, until)
		if n%checkEvents == 0 || limit-checked >= checkTime {
			checked = limit
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("simulating, at %v: %w", e.now, err)
			}
		}
		if e.background != nil && limit > e.now {
			e.background.AdvanceTo(limit)
			if e.next != t || e.stopped {
				continue
			}
		}
		if t > until || t == Never {
			if until != Never {
				e.now = until
			}
			return nil
		}
		e.step()
	}
	return nil
}

// step runs the earliest event.
func (e *Engine) step() {
	var i int32
	if len(e.heap) > root && e.heap[root].at == e.next {
		i = e.items[root]
		e.now = e.next
		e.removeAt(root)
	} else {
		i = e.popRing()
	}
	s := &e.slots[i]
	h, arg := s.handler, s.arg
	e.release(i)
	e.settleNext()
	e.events++
	e.handlers[h].Handle(e.now, arg)
}
