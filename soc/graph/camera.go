package graph

import (
	"errors"
	"fmt"
	"slices"

	"socsim/isp"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/dmabuf"
	"socsim/soc/memory"
	"socsim/soc/v4l2"
)

// capture is one of the places at which a camera's data go to memory: a capture queue and the tap of the ISP that fills its buffers.
type capture struct {
	st    *stage
	set   *set
	tap   *isp.Tap
	queue *v4l2.Queue
	to    map[int]*dmabuf.Attachment // by buffer index

	streaming, armed bool
	left             int // frames still wanted, or negative: all

	// Of a camera that starts and stops.
	lock       lock
	held, idle []bool        // buffers that the application's stages have, and that wait for the next start
	resumed    cpu.WaitQueue // after a stop
}

// interrupt is a frame start or a frame done that the camera's handler has not seen yet.
type interrupt struct {
	*capture
	start *isp.FrameStart
	done  *isp.FrameDone
}

// addCamera builds the on-the-fly path of a camera stage.
func (st *stage) addCamera() error {
	var out, raw *Buffer
	if st.out != nil {
		out = &st.out.cfg
	}
	if st.raw != nil {
		raw = &st.raw.cfg
	}
	var err error
	if st.camera, err = st.isp.OnTheFly(st.cfg.Path(out, raw)); err != nil {
		return err
	}
	if st.out != nil {
		st.captures = append(st.captures, &capture{st: st, set: st.out, tap: st.camera.Resized, to: st.to, left: -1})
	}
	if st.raw != nil {
		c := &capture{st: st, set: st.raw, tap: st.camera.Raw, to: map[int]*dmabuf.Attachment{}, left: -1}
		if n := st.cfg.Raw.Frames; n > 0 {
			c.left = n
		}
		st.captures = append(st.captures, c)
	}
	return nil
}

// startCamera opens the capture queues, queues all buffers and starts the streams.
//
// The driver programs the next buffer in the frame-start interrupt: the address register is a shadow that the hardware latches at the next frame start, so there is a whole frame
// for it. Arming in the frame-done interrupt would leave the vertical blanking only, and a long invalidate in buffer-done would then cost frames.
func (st *stage) startCamera(t *cpu.Thread) error {
	st.irq = st.g.sys.Core.SpawnIRQ(st.cfg.Name+" irq", st.cameraInterrupt)
	if err := st.startStatistics(t); err != nil {
		return err
	}
	for _, c := range st.captures {
		c.open()
		if st.cfg.Timed() {
			st.g.sys.Core.Spawn(c.name(), c.run)
			continue
		}
		if c.set == st.raw && st.cfg.Raw.From > 0 {
			st.g.sys.Core.Spawn(st.cfg.Name+" raw", func(t *cpu.Thread) {
				t.SleepUntil(st.cfg.Raw.From)
				c.start(t)
				c.run(t)
			})
			continue
		}
		c.start(t)
		st.g.sys.Core.Spawn(c.name(), c.run)
	}
	if st.cfg.Timed() {
		st.g.sys.Core.Spawn(st.cfg.Name+" stream", st.streams)
	}
	return nil
}

func (c *capture) name() string {
	if c.set == c.st.raw {
		return c.st.cfg.Name + " raw"
	}
	return c.st.cfg.Name
}

// open makes the queue and listens to the tap.
func (c *capture) open() {
	st, s := c.st, c.set
	cfg := v4l2.Config{Device: st.cfg.Name, Direction: s.direction(), CacheHints: true, Legacy: st.cfg.Queue == OMAP3ISP}
	if !s.cfg.Exporter.IsQueue() {
		cfg.Memory = v4l2.DMABUF
	}
	c.queue = v4l2.Over(st.g.api, cfg, s.buffers)
	c.queue.OnQueue = c.arm
	c.held, c.idle = make([]bool, len(s.buffers)), slices.Repeat([]bool{true}, len(s.buffers))
	if st.cfg.Timed() {
		c.queue.OnStop = c.stop
	}
	s.capture = c
	c.tap.OnFrameStart = func(e isp.FrameStart) {
		if e.Latched {
			c.armed = false
		}
		c.raise(interrupt{c, &e, nil})
	}
	c.tap.OnFrameDone = func(e isp.FrameDone) {
		c.raise(interrupt{c, nil, &e})
		if e.Overflowed || e.Short {
			return
		}
		if st.out == nil || s == st.out {
			if st.g.captured++; st.g.captured == st.g.limit {
				st.g.sys.Engine.Stop()
			}
		}
	}
}

// start queues all buffers and lets the stream run.
func (c *capture) start(t *cpu.Thread) {
	for i := range c.set.buffers {
		c.qbuf(t, i) // all buffers are dequeued now
	}
	t.Syscall(func() {
		t.Settle()
		c.streaming = true
		c.arm(t)
	})
}

// qbuf queues a buffer. One that is mapped for each frame is mapped first, as videobuf2 maps an imported buffer in its prepare.
func (c *capture) qbuf(t *cpu.Thread, i int) {
	if c.st.cfg.Timed() {
		c.lock.take(t)
		defer c.lock.give(t)
	}
	c.held[i], c.idle[i] = false, false
	if c.st.cfg.Mapping == MapPerFrame {
		if _, err := c.to[i].Map(t); err != nil {
			c.st.g.fail(fmt.Errorf("stage %s: %w", c.st.cfg.Name, err))
			return
		}
	}
	if _, err := c.queue.QBUFHints(t, i, given(c.st.cfg.Hints, c.set.cfg.Hints)); err != nil {
		panic(fmt.Sprintf("graph: %v", err))
	}
}

func (c *capture) raise(i interrupt) {
	if c.streaming {
		c.st.pending = append(c.st.pending, i)
		c.st.irq.Raise()
	}
}

// arm programs the next queued buffer, if the register is free and another frame is wanted.
func (c *capture) arm(t *cpu.Thread) {
	if !c.streaming || c.armed || c.left == 0 {
		return
	}
	i, ok := c.queue.Take()
	if !ok {
		return
	}
	t.MMIO(0, 2)
	t.Settle()
	c.armed = true
	c.left--
	c.to[i].Use(t)
	c.tap.Arm(iova(c.to[i]), i)
	c.startSensor(t)
}

// cameraInterrupt handles a frame start or a frame done.
func (st *stage) cameraInterrupt(t *cpu.Thread) {
	t.MMIO(1, 1)
	t.Settle()
	if len(st.pending) == 0 {
		return // the stream was stopped meanwhile
	}
	e := st.pending[0]
	st.pending = append(st.pending[:0], st.pending[1:]...)
	switch {
	case e.start != nil:
		e.arm(t)
		if e.capture == st.captures[0] {
			for _, s := range st.statistics {
				s.arm(t)
			}
		}
	case e.done.Overflowed:
		e.queue.Requeue(e.done.Cookie)
		if e.left >= 0 {
			e.left++
		}
		e.arm(t)
	default:
		if e.done.Short {
			e.errored()
		}
		e.queue.BufferDone(t, v4l2.Frame{Index: e.done.Cookie, Seq: e.done.Seq, Start: e.done.Start, Error: e.done.Short})
	}
}

// run takes finished frames out of the queue and passes them on.
func (c *capture) run(t *cpu.Thread) {
	for n := 0; ; {
		v, err := c.queue.DQBUF(t)
		for errors.Is(err, v4l2.ErrStreamOff) {
			c.waitForStream(t)
			v, err = c.queue.DQBUF(t)
		}
		if err != nil {
			panic("graph: buffers that stay mapped cannot fail to be unmapped: " + err.Error())
		}
		c.held[v.Index] = true
		if !c.unmap(t, v.Index) {
			return
		}
		if v.Error { // nobody wants it: it is queued again
			c.qbuf(t, v.Index)
			continue
		}
		c.set.dispatch(t, &frame{set: c.set, index: v.Index, seq: n, origin: v.Start})
		n++
	}
}

// unmap ends the mapping of a buffer that is mapped for each frame. It returns false when the run has failed.
func (c *capture) unmap(t *cpu.Thread, i int) bool {
	if c.st.cfg.Mapping != MapPerFrame {
		return true
	}
	if err := c.to[i].Unmap(t); err != nil {
		c.st.fail(err)
		return false
	}
	return true
}

// statistics is a tap of the ISP's that writes into buffers of the driver's own: one is filled while the other is read.
type statistics struct {
	tap     *isp.Tap
	buffers [2]bus.IOVA
	next    int
}

// arm programs the buffer of the next frame.
func (s *statistics) arm(t *cpu.Thread) {
	t.MMIO(0, 1)
	t.Settle()
	s.tap.Arm(s.buffers[s.next%len(s.buffers)], s.next)
	s.next++
}

// startStatistics gives H3A and the CCDC memory of their own, which the driver allocates coherent and maps.
func (st *stage) startStatistics(t *cpu.Thread) error {
	for _, x := range []struct {
		what string
		tap  *isp.Tap
	}{{"auto-focus statistics", st.camera.AF}, {"white-balance statistics", st.camera.AEWB}} {
		if x.tap == nil {
			continue
		}
		s := &statistics{tap: x.tap}
		for i := range s.buffers {
			var err error
			if s.buffers[i], err = st.ownMemory(t, fmt.Sprintf("%s of %s #%d", x.what, st.cfg.Name, i), x.tap.Bytes()); err != nil {
				return err
			}
		}
		st.statistics = append(st.statistics, s)
		s.arm(t)
	}
	if s := st.cfg.Statistics; s != nil && s.LSC > 0 {
		table, err := st.ownMemory(t, "gain table of "+st.cfg.Name, int(s.LSC))
		if err != nil {
			return err
		}
		t.MMIO(0, 2)
		t.Settle()
		st.camera.SetGainTable(table)
	}
	return nil
}

// ownMemory allocates memory for the driver itself and maps it in the stage's IOMMU.
func (st *stage) ownMemory(t *cpu.Thread, name string, bytes int) (bus.IOVA, error) {
	r, err := st.g.sys.Memory.AllocContiguous(name, int64(bytes), memory.PageBytes)
	if err != nil {
		return 0, err
	}
	addr, err := st.domain.Map(t, r)
	if err != nil {
		return 0, fmt.Errorf("mapping %s: %w", name, err)
	}
	return bus.IOVA(addr), nil
}
