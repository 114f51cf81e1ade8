package sim

// Signal wakes processes that wait for it. It remembers nothing: a signal given while nobody waits is lost, so a waiter
// checks its condition before and after.
type Signal struct {
	eng     *Engine
	waiters fifo[*Proc]
}

// NewSignal returns a signal nobody waits for.
func NewSignal(e *Engine) *Signal { return &Signal{eng: e} }

// Wait suspends p, the calling process, until the signal is given. It also returns when something else resumes p, which
// then waits no longer.
func (s *Signal) Wait(p *Proc) {
	p.signal = s
	s.waiters.push(p)
	p.Suspend()
	if p.signal != nil {
		p.signal = nil
		for i := range s.waiters.n {
			if *s.waiters.at(i) == p {
				s.waiters.remove(i)
				return
			}
		}
	}
}

// Broadcast wakes all that wait, through events at the present time, in the order in which they came.
func (s *Signal) Broadcast() {
	for s.Notify() {
	}
}

// Notify wakes the one that has waited longest, through an event at the present time. It returns false if nobody waits.
func (s *Signal) Notify() bool {
	if s.waiters.n == 0 {
		return false
	}
	p := s.waiters.pop()
	p.signal = nil
	p.Start()
	return true
}

// Queue passes values between processes, first in first out: in the order of the values, of the processes that wait to
// put and of those that wait to get. A value goes straight to the process that has waited longest for one, so nobody
// overtakes; processes are woken through events at the present time. It allocates only to grow.
type Queue[T any] struct {
	items    fifo[T]
	capacity int
	getters  fifo[*Proc]
	putters  fifo[offer[T]]
	handed   fifo[offer[T]] // to getters that have not run since
}

// offer is a value with the process that puts it or is to get it.
type offer[T any] struct {
	proc  *Proc
	value T
}

// NewQueue returns an empty queue for at most capacity values; 0 is unbounded.
func NewQueue[T any](_ *Engine, capacity int) *Queue[T] { return &Queue[T]{capacity: capacity} }

// Len returns the number of values in the queue: neither those of waiting putters nor those already handed to getters.
func (q *Queue[T]) Len() int { return q.items.n }

// TryPut puts v and returns true, or returns false if the queue is full.
func (q *Queue[T]) TryPut(v T) bool {
	switch {
	case q.getters.n > 0:
		p := q.getters.pop()
		q.handed.push(offer[T]{p, v})
		p.queued = false
		p.Start()
	case q.capacity > 0 && q.items.n >= q.capacity:
		return false
	default:
		q.items.push(v)
	}
	return true
}

// Put puts v on behalf of p, the calling process, which waits in turn while the queue is full.
func (q *Queue[T]) Put(p *Proc, v T) {
	if q.TryPut(v) {
		return
	}
	q.putters.push(offer[T]{p, v})
	p.waitQueued()
}

// TryGet takes the first value, or returns false if there is none.
func (q *Queue[T]) TryGet() (T, bool) {
	if q.items.n == 0 {
		var zero T
		return zero, false
	}
	v := q.items.pop()
	if q.putters.n > 0 {
		o := q.putters.pop()
		q.items.push(o.value)
		o.proc.queued = false
		o.proc.Start()
	}
	return v, true
}

// Get takes the first value on behalf of p, the calling process, which waits in turn while there is none.
func (q *Queue[T]) Get(p *Proc) T {
	if v, ok := q.TryGet(); ok {
		return v
	}
	q.getters.push(p)
	p.waitQueued()
	i := 0
	for q.handed.at(i).proc != p {
		i++
	}
	return q.handed.remove(i).value
}

// waitQueued suspends the process until a queue has served it; being resumed by something else does not help.
func (p *Proc) waitQueued() {
	for p.queued = true; p.queued; {
		p.Suspend()
	}
}
