package graph

import (
	"fmt"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/v4l2"
)

// lock is what videobuf2's queue lock is: who has it works on the queue alone.
type lock struct {
	held    bool
	waiting cpu.WaitQueue
}

func (l *lock) take(t *cpu.Thread) {
	t.Settle()
	for l.held {
		l.waiting.Wait(t)
		t.Settle()
	}
	l.held = true
}

func (l *lock) give(t *cpu.Thread) {
	t.Settle()
	l.held = false
	l.waiting.WakeAll()
}

// streams starts and stops a camera at its times. Left out: the start-up of the sensor but for one vertical blanking, and that the driver's stop_streaming waits for the end of the frame under way, which is
// thrown away in any case (isp_pipeline_disable, recalled).
func (st *stage) streams(t *cpu.Thread) {
	for at := sim.Time(0); ; {
		begin, end := st.cfg.phase(max(at, t.Now()))
		if begin == sim.Never {
			return
		}
		t.SleepUntil(begin)
		st.streamOn(t)
		if end == sim.Never {
			return
		}
		t.SleepUntil(end)
		st.streamOff(t)
		at = end
	}
}

// streamOn queues the buffers that nobody has and starts the streams, and then the sensor: its first line begins a vertical blanking later.
func (st *stage) streamOn(t *cpu.Thread) {
	for _, c := range st.captures {
		for i := range c.set.buffers {
			if c.idle[i] {
				c.qbuf(t, i)
			}
		}
		c.lock.take(t)
		c.streaming = true
		c.queue.Streamon(t)
		c.lock.give(t)
		c.resumed.WakeAll()
	}
	if st.stopped {
		for _, s := range st.statistics {
			s.arm(t)
		}
	}
	t.Settle()
	st.starting = true
	st.captures[0].startSensor(t)
}

// startSensor starts the sensor of a stream that has begun, once there is a buffer for its first frame (vb2_queue.min_queued_buffers).
func (c *capture) startSensor(t *cpu.Thread) {
	st := c.st
	if !st.starting || !st.captures[0].armed {
		return
	}
	st.starting = false
	sensor := st.camera.Sensor()
	st.camera.Start(t.Now() + sim.NewClock(int64(sensor.PixelClock)).Cycles(int64(sensor.FrameTotal-sensor.Height)*int64(sensor.LineTotal)))
}

// streamOff stops the sensor and the streams. Frames that are in the making are lost, and those that the application has not dequeued: their buffers are its own again.
func (st *stage) streamOff(t *cpu.Thread) {
	for _, c := range st.captures {
		c.lock.take(t)
		if err := c.queue.Streamoff(t); err != nil {
			panic(fmt.Sprintf("graph: %v", err))
		}
		for i := range c.set.buffers {
			if !c.held[i] && !c.idle[i] {
				c.idle[i] = true
				c.unmap(t, i)
			}
		}
		c.lock.give(t)
	}
	st.stopped = true
}

// stop is the driver's stop_streaming. A raw frame in the making is still wanted.
func (c *capture) stop(t *cpu.Thread) {
	t.MMIO(0, 1)
	t.Settle()
	st := c.st
	st.camera.Stop()
	st.starting = false
	for _, other := range st.captures { // one sensor feeds them all
		for i := range other.set.buffers {
			if other.streaming && other.left >= 0 && other.queue.State(i) == v4l2.Active {
				other.left++
			}
		}
		other.streaming, other.armed = false, false
	}
	st.pending = st.pending[:0]
}

// waitForStream waits until the stream runs again.
func (c *capture) waitForStream(t *cpu.Thread) {
	t.Settle()
	for !c.streaming {
		c.resumed.Wait(t)
		t.Settle()
	}
}
