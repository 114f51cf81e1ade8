// Package v4l2 models the queues of V4L2 drivers, capture and output: buffer states, the ioctls, and the syncs that videobuf2's prepare and finish do.
//
//	QBUF: PREPARING, prepare = sync for device  -> QUEUED -> ACTIVE while the device has it
//	IRQ:  buffer done: finish = sync for CPU -> DONE or ERROR, wake
//	DQBUF: DONE or ERROR -> DEQUEUED
//	STREAMOFF: every ACTIVE buffer -> ERROR; all -> DEQUEUED, with no DQBUF
//
// As in videobuf2, finish runs inside buffer-done, in interrupt context for most drivers, so that a long invalidate keeps interrupts off. It is skipped for a queue that only sends to the device. A
// flag for each buffer makes the two idempotent: what PREPARE_BUF has prepared, QBUF does not prepare again. Imported buffers (DMABUF memory) are synced by neither: the exporter and user space are
// responsible, and where each thinks the other does it, nobody does.
//
// The cache hints of QBUF hold for MMAP memory of a queue that allows them, and are cleared on return where they do not, by which an application can tell. Where they hold, videobuf2 skips prepare or
// finish; here they go with the question, so that it is the strategy that honours them.
//
// The older queue of the omap3isp driver is [Config].Legacy: one sync at QBUF, nothing afterwards.
//
// Sources: drivers/media/common/videobuf2/videobuf2-core.c and videobuf2-v4l2.c; drivers/media/platform/omap3isp/ispqueue.c (aa7eb8e7). Left out: requests, multi-planar formats; and a buffer is
// ACTIVE when the driver takes it, where videobuf2 calls it so once it was handed to the driver.
package v4l2

import (
	"errors"
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
	Dequeued  State = iota
	Preparing       // its prepare runs
	Queued
	Active
	Done
	Error
)

func (s State) String() string {
	return [...]string{"dequeued", "preparing", "queued", "active", "done", "error"}[s]
}

// Memory is where a queue's buffers come from.
type Memory uint8

// The kinds of memory.
const (
	MMAP    Memory = iota // the queue allocates them
	UserPtr               // user space passes memory of its own
	DMABUF                // user space passes buffers of another exporter
)

func (m Memory) String() string { return [...]string{"MMAP", "USERPTR", "DMABUF"}[m] }

// Frame is a buffer that the device is done with.
type Frame struct {
	Index int
	Seq   int      // of the sensor
	Start sim.Time // when its first line began
	Error bool     // V4L2_BUF_FLAG_ERROR
}

// ErrStreamOff is returned by DQBUF when the queue does not stream, or stops to.
var ErrStreamOff = errors.New("not streaming")

// Config describes a queue.
type Config struct {
	Device    string
	Direction dmaapi.Direction // FromDevice to capture, ToDevice for output
	Memory    Memory
	// Importer maps for the device what the queue allocates, pins or imports.
	Importer dmabuf.Importer
	// CacheHints lets an MMAP queue report V4L2_BUF_CAP_SUPPORTS_MMAP_CACHE_HINTS (allow_cache_hints).
	CacheHints bool
	// KeepMapped leaves imported buffers mapped from one QBUF to the next; otherwise DQBUF unmaps them (__vb2_dqbuf, recalled: kernels differ).
	KeepMapped bool
	// Legacy is the omap3isp driver's own queue, up to Linux 3.15: a sync at QBUF unless the buffer is marked to skip it, and nothing when it is done. On a core that speculates, what it fetched in between
	// is stale.
	Legacy bool
}

// buffer is a buffer of the queue.
type buffer struct {
	*dmabuf.Buffer
	at        *dmabuf.Attachment // the device's; nil if somebody else maps it
	state     State
	hints     dmaapi.Hints // of the last QBUF, as far as the queue honours them
	prepared  bool         // by PREPARE_BUF
	synced    bool         // it was prepared and not finished
	skipCache bool
	user      UserMemory
}

// Queue is one queue.
type Queue struct {
	alloc     *dmabuf.Allocator // nil if the buffers were handed in
	api       *dmaapi.API
	cfg       Config
	buffers   []buffer
	streaming bool
	stream    int   // number of the stream: who waits in DQBUF waits for a buffer of one
	queued    []int // QUEUED, in order
	done      []Frame
	wait      cpu.WaitQueue
	// OnQueue is the driver's buf_queue: a buffer became available for the device.
	OnQueue func(t *cpu.Thread)
	// OnStop is the driver's stop_streaming: the device lets go of its buffers.
	OnStop func(t *cpu.Thread)
	// OnDone is told about each buffer that is done, as the tracepoint vb2_buf_done is.
	OnDone func(at sim.Time, f Frame)
}

// New returns a queue that streams already, over buffers that somebody else has allocated and mapped, all DEQUEUED. imported says that they came in as dma-bufs.
func New(api *dmaapi.API, device string, dir dmaapi.Direction, buffers []*dmabuf.Buffer, imported bool) *Queue {
	c := Config{Device: device, Direction: dir}
	if imported {
		c.Memory = DMABUF
	}
	return Over(api, c, buffers)
}

// Over is New for a queue of any configuration but USERPTR.
func Over(api *dmaapi.API, c Config, buffers []*dmabuf.Buffer) *Queue {
	q := &Queue{api: api, cfg: c, streaming: true}
	for _, b := range buffers {
		q.buffers = append(q.buffers, buffer{Buffer: b})
	}
	return q
}

// Open returns a queue with no buffers.
func Open(alloc *dmabuf.Allocator, c Config) *Queue {
	return &Queue{alloc: alloc, api: alloc.API(), cfg: c}
}

// State returns the state of a buffer.
func (q *Queue) State(i int) State { return q.buffers[i].state }

// Buffer returns the memory of a buffer, nil for one that never had any.
func (q *Queue) Buffer(i int) *dmabuf.Buffer { return q.buffers[i].Buffer }

// Attachment returns the device's mapping of a buffer, nil if it is somebody else's business.
func (q *Queue) Attachment(i int) *dmabuf.Attachment { return q.buffers[i].at }

// SupportsCacheHints is V4L2_BUF_CAP_SUPPORTS_MMAP_CACHE_HINTS.
func (q *Queue) SupportsCacheHints() bool {
	return q.cfg.CacheHints && q.cfg.Memory == MMAP && !q.cfg.Legacy
}

// SkipCache marks a buffer of a Legacy queue: it is not cached, so that QBUF need not sync it.
func (q *Queue) SkipCache(i int, skip bool) { q.buffers[i].skipCache = skip }

// QBUF queues a buffer.
func (q *Queue) QBUF(t *cpu.Thread, i int) error {
	_, err := q.QBUFHints(t, i, 0)
	return err
}

// QBUFHints is QBUF with cache hints, which hold until the buffer is done. It returns those that the queue honours.
func (q *Queue) QBUFHints(t *cpu.Thread, i int, h dmaapi.Hints) (dmaapi.Hints, error) {
	if err := q.ready(i, "QBUF"); err != nil {
		return 0, err
	}
	h = q.honoured(h)
	t.Syscall(func() { q.queue(t, i, h) })
	return h, nil
}

func (q *Queue) honoured(h dmaapi.Hints) dmaapi.Hints {
	if q.SupportsCacheHints() {
		return h & (dmaapi.NoCacheClean | dmaapi.NoCacheInvalidate)
	}
	return 0
}

// ready checks that a buffer can be queued or prepared.
func (q *Queue) ready(i int, ioctl string) error {
	switch b := &q.buffers[i]; {
	case b.state != Dequeued:
		return fmt.Errorf("%s of %s: it is %v", ioctl, q.name(i), b.state)
	case b.Buffer == nil:
		return fmt.Errorf("%s of %s: it has no memory", ioctl, q.name(i))
	}
	return nil
}

func (q *Queue) name(i int) string {
	if b := q.buffers[i].Buffer; b != nil {
		return b.Region.Name
	}
	return fmt.Sprintf("buffer %d of %s", i, q.cfg.Device)
}

// queue is the rest of QBUF in the kernel.
func (q *Queue) queue(t *cpu.Thread, i int, h dmaapi.Hints) {
	b := &q.buffers[i]
	if !b.prepared {
		b.hints = h
	}
	q.prepare(t, i)
	b.state, b.prepared = Queued, false
	q.api.Then(t, b.Buffer.Buffer, func(t *cpu.Thread) {
		t.Settle()
		q.queued = append(q.queued, i)
		if q.OnQueue != nil && q.streaming {
			q.OnQueue(t)
		}
	})
}

// PrepareBuf is VIDIOC_PREPARE_BUF: it does the maintenance of QBUF ahead of it.
func (q *Queue) PrepareBuf(t *cpu.Thread, i int, h dmaapi.Hints) error {
	if err := q.ready(i, "PREPARE_BUF"); err != nil {
		return err
	}
	if q.buffers[i].prepared {
		return fmt.Errorf("PREPARE_BUF of %s: it is prepared", q.name(i))
	}
	t.Syscall(func() {
		b := &q.buffers[i]
		b.hints = q.honoured(h)
		q.prepare(t, i)
		b.state, b.prepared = Dequeued, true
	})
	return nil
}

// prepare is __vb2_buf_mem_prepare.
func (q *Queue) prepare(t *cpu.Thread, i int) {
	b := &q.buffers[i]
	b.state = Preparing
	if b.synced {
		return
	}
	b.synced = true
	if !b.skipCache {
		q.sync(t, b, dmaapi.ToDeviceHandover, b.hints)
	}
}

// finish is __vb2_buf_mem_finish.
func (q *Queue) finish(t *cpu.Thread, b *buffer) {
	if !b.synced {
		return
	}
	b.synced = false
	switch {
	case q.cfg.Legacy:
	case q.cfg.Direction == dmaapi.ToDevice:
		q.sync(t, b, dmaapi.ToCPUHandover, b.hints|dmaapi.SkipCPUSync) // the CPU owns it again
	default:
		q.sync(t, b, dmaapi.ToCPUHandover, b.hints)
	}
}

// sync hands a buffer of the queue's own over; imported ones are the exporter's business.
func (q *Queue) sync(t *cpu.Thread, b *buffer, e dmaapi.Event, h dmaapi.Hints) {
	if q.cfg.Memory != DMABUF {
		q.api.Do(t, dmaapi.Call{Event: e, Buffer: b.Buffer.Buffer, Device: q.cfg.Device, Direction: q.cfg.Direction, Hints: h})
	}
}

// Take gives the driver the next queued buffer; it becomes ACTIVE.
func (q *Queue) Take() (int, bool) {
	if len(q.queued) == 0 || !q.streaming {
		return 0, false
	}
	i := q.queued[0]
	q.queued = append(q.queued[:0], q.queued[1:]...)
	q.buffers[i].state = Active
	return i, true
}

// BufferDone is vb2_buffer_done: the device finished the buffer, well or with an error. The interrupt handler calls it.
func (q *Queue) BufferDone(t *cpu.Thread, f Frame) {
	b := &q.buffers[f.Index]
	if b.state != Active {
		panic(fmt.Sprintf("v4l2: buffer %d done while %v", f.Index, b.state))
	}
	q.finish(t, b)
	q.api.Then(t, b.Buffer.Buffer, func(t *cpu.Thread) {
		b.state = Done
		if f.Error {
			b.state = Error
		}
		if q.OnDone != nil {
			q.OnDone(t.Now(), f)
		}
		q.done = append(q.done, f)
		q.wait.WakeAll()
	})
}

// Requeue returns an ACTIVE buffer to the front of the queue, as vb2_buffer_done(QUEUED) does: no finish.
func (q *Queue) Requeue(i int) {
	if s := q.buffers[i].state; s != Active {
		panic(fmt.Sprintf("v4l2: buffer %d requeued while %v", i, s))
	}
	q.buffers[i].state = Queued
	q.queued = append([]int{i}, q.queued...)
}

// DQBUF blocks until a buffer is done and returns it.
func (q *Queue) DQBUF(t *cpu.Thread) (Frame, error) {
	var f Frame
	var err error
	t.Syscall(func() {
		t.Settle()
		stream := q.stream
		for len(q.done) == 0 && q.streaming && q.stream == stream {
			q.wait.Wait(t)
			t.Settle()
		}
		if !q.streaming || q.stream != stream { // what is done while STREAMOFF runs is nobody's
			err = fmt.Errorf("DQBUF of %s: %w", q.cfg.Device, ErrStreamOff)
			return
		}
		f = q.done[0]
		q.done = append(q.done[:0], q.done[1:]...)
		b := &q.buffers[f.Index]
		b.state = Dequeued
		err = q.letGo(t, b)
	})
	return f, err
}

// Streamon is VIDIOC_STREAMON: the driver gets what was queued.
func (q *Queue) Streamon(t *cpu.Thread) {
	t.Syscall(func() {
		t.Settle()
		q.streaming = true
		if q.OnQueue != nil && len(q.queued) > 0 {
			q.OnQueue(t)
		}
	})
}

// Streamoff is VIDIOC_STREAMOFF (__vb2_queue_cancel): the driver stops and its buffers are done with an error; then all buffers are finished and DEQUEUED. Nobody gets any of them from DQBUF, and who
// waits there gets an error.
func (q *Queue) Streamoff(t *cpu.Thread) error {
	var err error
	t.Syscall(func() {
		if q.OnStop != nil && q.streaming {
			q.OnStop(t)
		}
		t.Settle()
		q.streaming = false // a worker thread may still prepare buffers: the driver hears of none of them
		for i := range q.buffers {
			if q.buffers[i].state == Active {
				q.BufferDone(t, Frame{Index: i, Error: true})
			}
		}
		for i := range q.buffers {
			b := &q.buffers[i]
			if b.Buffer == nil {
				continue
			}
			q.finish(t, b)
			q.api.Wait(t, b.Buffer.Buffer)
			if b.state != Dequeued {
				err = errors.Join(err, q.letGo(t, b))
			}
			b.state, b.prepared = Dequeued, false
		}
		t.Settle()
		q.stream++
		q.queued, q.done = q.queued[:0], q.done[:0]
		q.wait.WakeAll()
	})
	return err
}
