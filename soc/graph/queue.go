package graph

import (
	"socsim/sim"
	"socsim/soc/cpu"
)

// frame is a filled buffer on its way through the consumers.
type frame struct {
	set    *set
	index  int
	seq    int
	origin sim.Time // when its first sensor line began
	refs   int
	step   int // in-place stages it has passed
}

// dispatch passes a frame to whoever comes next: the in-place stages one after another, then the consumers. A frame nobody takes is released at once.
func (s *set) dispatch(t *cpu.Thread, f *frame) {
	if f.step == 0 { // it comes from the producer
		f.seq = s.made
		s.made++
	}
	for f.step < len(s.inPlace) {
		st := s.inPlace[f.step]
		f.step++
		if st.takes(t, f) {
			st.deliver(f)
			return
		}
	}
	for _, st := range s.consumers {
		if st.takes(t, f) {
			f.refs++
		}
	}
	for _, in := range s.joins {
		if in.takes(t.Now()) {
			f.refs++
		}
	}
	if f.refs == 0 {
		s.recycle(t, f)
		return
	}
	for _, st := range s.consumers {
		if st.takes(t, f) {
			st.deliver(f)
		}
	}
	now := t.Now()
	for _, in := range s.joins {
		if in.takes(now) {
			in.deliver(t, f)
		}
	}
}

func (st *stage) deliver(f *frame) {
	st.inbox = append(st.inbox, f)
	st.arrived.WakeAll()
}

// next blocks until a frame arrives.
func (st *stage) next(t *cpu.Thread) *frame {
	t.Settle()
	for len(st.inbox) == 0 {
		st.waits.begin(t, st.in)
		st.arrived.Wait(t)
		t.Settle()
	}
	st.waits.end()
	f := st.inbox[0]
	st.inbox = append(st.inbox[:0], st.inbox[1:]...)
	st.await(t)
	st.delay(t, f)
	return f
}

// release gives up one consumer's hold.
func (f *frame) release(t *cpu.Thread) {
	t.Settle()
	f.refs--
	if f.refs == 0 {
		f.set.recycle(t, f)
	}
}

// recycle makes the buffer free again: a camera's is queued, on the thread that released it last.
func (s *set) recycle(t *cpu.Thread, f *frame) {
	if s.capture != nil {
		s.capture.qbuf(t, f.index)
		return
	}
	s.free = append(s.free, f.index)
	s.freed.WakeAll()
}

// acquire blocks until a buffer of the set is free.
func (s *set) acquire(t *cpu.Thread) int {
	t.Settle()
	for len(s.free) == 0 {
		s.freed.Wait(t)
		t.Settle()
	}
	i := s.free[0]
	s.free = append(s.free[:0], s.free[1:]...)
	return i
}
