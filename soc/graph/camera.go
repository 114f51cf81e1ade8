package graph

import (
	"socsim/isp"
	"socsim/soc/cpu"
	"socsim/soc/v4l2"
)

// startCamera opens the capture queue, queues all buffers and starts the stream.
//
// The driver programs the next buffer in the frame-start interrupt: the address register is a shadow that the hardware latches at the next frame start, so there is a whole frame
// for it. Arming in the frame-done interrupt would leave the vertical blanking only, and a long invalidate in buffer-done would then cost frames.
func (st *stage) startCamera(t *cpu.Thread) {
	s := st.out
	q := v4l2.New(st.g.api, st.cfg.Name, s.direction(), s.buffers, !s.cfg.Exporter.IsQueue())
	s.queue = q
	q.OnQueue = func(t *cpu.Thread) { st.arm(t) }
	st.irq = st.g.sys.Core.SpawnIRQ(st.cfg.Name+" irq", st.interrupt)
	st.camera.OnFrameStart = func(e isp.FrameStart) {
		if e.Latched {
			st.armed = false
		}
		st.raise(e)
	}
	st.camera.OnFrameDone = func(e isp.FrameDone) {
		st.raise(e)
		if !e.Overflowed {
			if st.g.captured++; st.g.captured == st.g.limit {
				st.g.sys.Engine.Stop()
			}
		}
	}
	for i := range s.buffers {
		_ = q.QBUF(t, i) // all buffers are dequeued now
	}
	t.Syscall(func() {
		t.Settle()
		st.streaming = true
		st.arm(t)
	})
	st.g.sys.Core.Spawn(st.cfg.Name, st.runCamera)
}

func (st *stage) raise(e any) {
	if st.streaming {
		st.pending = append(st.pending, e)
		st.irq.Raise()
	}
}

// arm programs the next queued buffer, if the register is free.
func (st *stage) arm(t *cpu.Thread) {
	if !st.streaming || st.armed {
		return
	}
	i, ok := st.out.queue.Take()
	if !ok {
		return
	}
	t.MMIO(0, 2)
	t.Settle()
	st.armed = true
	st.to[i].Use(t)
	st.camera.Arm(iova(st.to[i]), i)
}

// interrupt handles a frame start or a frame done.
func (st *stage) interrupt(t *cpu.Thread) {
	t.MMIO(1, 1)
	t.Settle()
	e := st.pending[0]
	st.pending = append(st.pending[:0], st.pending[1:]...)
	switch e := e.(type) {
	case isp.FrameStart:
		st.arm(t)
	case isp.FrameDone:
		if e.Overflowed {
			st.out.queue.Requeue(e.Cookie)
			st.arm(t)
			return
		}
		st.out.queue.BufferDone(t, v4l2.Frame{Index: e.Cookie, Seq: e.Seq, Start: e.Start})
	}
}

// runCamera takes finished frames out of the queue and passes them on.
func (st *stage) runCamera(t *cpu.Thread) {
	for n := 0; ; n++ {
		v, err := st.out.queue.DQBUF(t)
		if err != nil {
			panic("graph: a camera never stops: " + err.Error())
		}
		st.out.dispatch(t, &frame{set: st.out, index: v.Index, seq: n, origin: v.Start})
	}
}
