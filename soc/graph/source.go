package graph

import (
	"socsim/sim"
	"socsim/soc/cpu"
)

// source is a stage that makes frames of nothing the model knows: a decoder, whose bit stream is small, or a generator.
type source struct {
	made int // since the last reset
}

// runSource fills a buffer each period: the CPU writes the frame and passes it on. Where no buffer is free it waits; what is due meanwhile is late and made at once when a buffer is there, so that nothing
// is dropped and the rate holds as long as the consumers keep it. A frame's origin is when the CPU began with it.
func (st *stage) runSource(t *cpu.Thread) {
	st.source = &source{}
	for due := st.cfg.nextDue(t.Now()); due < sim.Never; due = st.cfg.nextDue(due + st.cfg.Period) {
		t.SleepUntil(due)
		i := st.acquire(t)
		begun := t.Now()
		st.work(t, st.out.buffers[i], nil, st.cfg.Write)
		t.Syscall(func() {}) // it tells the consumers
		st.source.made++
		st.out.dispatch(t, &frame{set: st.out, index: i, origin: begun})
	}
}

// Source is what a stage without an input made since the last reset.
type Source struct {
	Name   string
	Frames int
}

// Sources returns the stages without inputs that make frames, in their order; cameras are [Graph.Cameras].
func (g *Graph) Sources() []Source {
	var out []Source
	for _, st := range g.stages {
		if st.source != nil {
			out = append(out, Source{st.cfg.Name, st.source.made})
		}
	}
	return out
}
