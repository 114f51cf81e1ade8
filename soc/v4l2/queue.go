// Package v4l2 models a V4L2 capture queue of videobuf2: buffer states, QBUF and DQBUF, and the syncs that prepare and finish do.
//
//	QBUF: prepare = sync for device  -> QUEUED -> ACTIVE while the device has it
//	IRQ:  buffer done: finish = sync for CPU -> DONE, wake
//	DQBUF: DONE -> DEQUEUED
//
// As in videobuf2, finish runs inside buffer-done, in interrupt context for most drivers, so that a long invalidate keeps interrupts off. Imported buffers (DMABUF memory) are synced by
// neither: the exporter and user space are responsible.
//
// Source: drivers/media/common/videobuf2/videobuf2-core.c. Left out: USERPTR, requests, multi-planar formats.
//
// The cache hints of QBUF, V4L2_BUF_FLAG_NO_CACHE_CLEAN and V4L2_BUF_FLAG_NO_CACHE_INVALIDATE, make videobuf2 skip prepare and finish. Here they go with the questions, so that a strategy can honour them.
package v4l2

import (
	"fmt"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// State is a buffer's state in the queue.
type State uint8

// The states.
const (
	Dequeued State = iota
	Queued
	Active
	Done
)

func (s State) String() string { return [...]string{"dequeued", "queued", "active", "done"}[s] }

// Frame is a captured buffer.
type Frame struct {
	Index int
	Seq   int      // of the sensor
	Start sim.Time // when its first line began
}

// Queue is one capture queue.
type Queue struct {
	api      *dmaapi.API
	device   string
	dir      dmaapi.Direction
	buffers  []*dmabuf.Buffer
	imported bool
	states   []State
	hints    []dmaapi.Hints // of the last QBUF
	queued   []int          // QUEUED, in order
	done     []Frame
	wait     cpu.WaitQueue
	// OnQueue is the driver's buf_queue: a buffer became available for the device.
	OnQueue func(t *cpu.Thread)
}

// New returns a queue of the device over the buffers, all DEQUEUED. imported says that they came in as dma-bufs.
func New(api *dmaapi.API, device string, dir dmaapi.Direction, buffers []*dmabuf.Buffer, imported bool) *Queue {
	return &Queue{api: api, device: device, dir: dir, buffers: buffers, imported: imported, states: make([]State, len(buffers)), hints: make([]dmaapi.Hints, len(buffers))}
}

// State returns the state of a buffer.
func (q *Queue) State(i int) State { return q.states[i] }

// QBUF queues a buffer for capture.
func (q *Queue) QBUF(t *cpu.Thread, i int) error { return q.QBUFHints(t, i, 0) }

// QBUFHints is QBUF with cache hints, which hold until the buffer is done.
func (q *Queue) QBUFHints(t *cpu.Thread, i int, h dmaapi.Hints) error {
	if q.states[i] != Dequeued {
		return fmt.Errorf("QBUF of %s: it is %v", q.buffers[i].Region.Name, q.states[i])
	}
	t.Syscall(func() {
		q.states[i], q.hints[i] = Queued, h
		q.sync(t, i, dmaapi.ToDeviceHandover)
		q.api.Then(t, q.buffers[i].Buffer, func(t *cpu.Thread) {
			t.Settle()
			q.queued = append(q.queued, i)
			if q.OnQueue != nil {
				q.OnQueue(t)
			}
		})
	})
	return nil
}

// sync hands a buffer of the queue's own over; imported ones are the exporter's business.
func (q *Queue) sync(t *cpu.Thread, i int, e dmaapi.Event) {
	if !q.imported {
		q.api.Do(t, dmaapi.Call{Event: e, Buffer: q.buffers[i].Buffer, Device: q.device, Direction: q.dir, Hints: q.hints[i]})
	}
}

// Take gives the driver the next queued buffer; it becomes ACTIVE.
func (q *Queue) Take() (int, bool) {
	if len(q.queued) == 0 {
		return 0, false
	}
	i := q.queued[0]
	q.queued = append(q.queued[:0], q.queued[1:]...)
	q.states[i] = Active
	return i, true
}

// BufferDone is vb2_buffer_done: the device finished the buffer. The interrupt handler calls it.
func (q *Queue) BufferDone(t *cpu.Thread, f Frame) {
	if q.states[f.Index] != Active {
		panic(fmt.Sprintf("v4l2: buffer %d done while %v", f.Index, q.states[f.Index]))
	}
	q.sync(t, f.Index, dmaapi.ToCPUHandover)
	q.api.Then(t, q.buffers[f.Index].Buffer, func(*cpu.Thread) {
		q.states[f.Index] = Done
		q.done = append(q.done, f)
		q.wait.WakeAll()
	})
}

// Requeue returns an ACTIVE buffer to the front of the queue, as vb2_buffer_done(QUEUED) does: no finish.
func (q *Queue) Requeue(i int) {
	if q.states[i] != Active {
		panic(fmt.Sprintf("v4l2: buffer %d requeued while %v", i, q.states[i]))
	}
	q.states[i] = Queued
	q.queued = append([]int{i}, q.queued...)
}

// DQBUF blocks until a buffer is done and returns it.
func (q *Queue) DQBUF(t *cpu.Thread) Frame {
	var f Frame
	t.Syscall(func() {
		t.Settle()
		for len(q.done) == 0 {
			q.wait.Wait(t)
			t.Settle()
		}
		f = q.done[0]
		q.done = append(q.done[:0], q.done[1:]...)
		q.states[f.Index] = Dequeued
	})
	return f
}
