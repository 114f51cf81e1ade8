package v4l2

import (
	"errors"
	"fmt"

	"socsim/soc/cpu"
	"socsim/soc/dmabuf"
	"socsim/soc/memory"
)

// Request is the argument of VIDIOC_REQBUFS.
type Request struct {
	Name  string
	Count int
	Bytes int64
	// Exporter is the queue's allocator, vb2-sg or vb2-contig.
	Exporter dmabuf.Exporter
	// NonCoherent is V4L2_MEMORY_FLAG_NON_COHERENT: vb2-contig allocates cached memory, which prepare and finish sync. It holds where cache hints do; otherwise the queue clears it.
	NonCoherent bool
}

// Reqbufs is VIDIOC_REQBUFS: it gives up the buffers that there are and makes Count new ones. MMAP memory is allocated and mapped for the device now; the others get theirs at QBUF.
func (q *Queue) Reqbufs(t *cpu.Thread, r Request) error {
	if q.streaming {
		return fmt.Errorf("REQBUFS of %s: it is streaming", q.cfg.Device)
	}
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	for i := range q.buffers {
		b := &q.buffers[i]
		q.finish(t, b)
		if err := q.give(t, b); err != nil {
			return fmt.Errorf("REQBUFS of %s: %w", q.cfg.Device, err)
		}
	}
	q.buffers, q.queued = make([]buffer, r.Count), q.queued[:0]
	for i := range q.buffers {
		if q.cfg.Memory != MMAP {
			break
		}
		if err := q.allocate(t, i, r); err != nil {
			return fmt.Errorf("REQBUFS of %s: %w", q.cfg.Device, err)
		}
	}
	return nil
}

// allocate makes an MMAP buffer.
func (q *Queue) allocate(t *cpu.Thread, i int, r Request) error {
	attr := cpu.Cached
	if r.Exporter == dmabuf.VB2Contig && !(r.NonCoherent && q.SupportsCacheHints()) {
		attr = cpu.Uncached
	}
	b, err := q.alloc.Allocate(t, dmabuf.Request{
		Name: r.Name, Index: i, Bytes: r.Bytes, Exporter: r.Exporter, Attr: attr, Direction: q.cfg.Direction, Owner: q.cfg.Device,
	})
	if err != nil {
		return err
	}
	return q.attach(t, &q.buffers[i], b)
}

// attach maps memory for the device.
func (q *Queue) attach(t *cpu.Thread, b *buffer, with *dmabuf.Buffer) error {
	at := with.Attach(q.cfg.Importer, q.cfg.Direction)
	b.Buffer, b.at = with, at
	_, err := at.Map(t)
	return err
}

// give ends the queue's hold of a buffer's memory, which lives on if it is exported or mapped (V4L2_BUF_CAP_SUPPORTS_ORPHANED_BUFS).
func (q *Queue) give(t *cpu.Thread, b *buffer) error {
	if b.Buffer == nil || b.at == nil {
		b.Buffer = nil
		return nil
	}
	err := q.unmap(t, b)
	err = errors.Join(err, b.at.Detach(t), b.Put(t))
	b.Buffer, b.at = nil, nil
	return err
}

func (q *Queue) unmap(t *cpu.Thread, b *buffer) error {
	if !b.at.Mapped() {
		return nil
	}
	return b.at.Unmap(t)
}

// letGo unmaps an imported buffer that comes back to user space.
func (q *Queue) letGo(t *cpu.Thread, b *buffer) error {
	if q.cfg.Memory != DMABUF || b.at == nil || q.cfg.KeepMapped {
		return nil
	}
	return q.unmap(t, b)
}

// Expbuf is VIDIOC_EXPBUF: it returns the buffer as a dma-buf, with a reference of its own.
func (q *Queue) Expbuf(i int) (*dmabuf.Buffer, error) {
	if q.cfg.Memory != MMAP {
		return nil, fmt.Errorf("EXPBUF of %s: its memory is %v, want MMAP", q.name(i), q.cfg.Memory)
	}
	return q.buffers[i].Get()
}

// QBUFImport queues a dma-buf at index i of a DMABUF queue, which takes a reference. It is attached if it is not the one of the last time, and mapped if it is not mapped; what that does to the
// caches is the exporter's business.
func (q *Queue) QBUFImport(t *cpu.Thread, i int, d *dmabuf.Buffer) error {
	b := &q.buffers[i]
	if q.cfg.Memory != DMABUF || b.state != Dequeued {
		return fmt.Errorf("QBUF of %s with a dma-buf: it is %v and its memory %v", q.name(i), b.state, q.cfg.Memory)
	}
	var err error
	t.Syscall(func() {
		if err = q.imports(t, b, d); err == nil {
			q.queue(t, i, 0)
		}
	})
	return err
}

func (q *Queue) imports(t *cpu.Thread, b *buffer, d *dmabuf.Buffer) error {
	if b.Buffer == d && b.at != nil {
		if b.at.Mapped() {
			return nil
		}
		_, err := b.at.Map(t)
		return err
	}
	if _, err := d.Get(); err != nil {
		return err
	}
	if err := q.give(t, b); err != nil {
		return errors.Join(err, d.Put(t))
	}
	return q.attached(t, b, d)
}

// attached attaches memory that the queue holds a reference to, and drops that if the device cannot have it.
func (q *Queue) attached(t *cpu.Thread, b *buffer, d *dmabuf.Buffer) error {
	err := q.attach(t, b, d)
	if err != nil {
		err = errors.Join(err, b.at.Detach(t), d.Put(t))
		b.Buffer, b.at = nil, nil
	}
	return err
}

// UserMemory is memory of user space, for USERPTR.
type UserMemory struct {
	Mapping       *cpu.Mapping
	Offset, Bytes int
}

// ErrUnaligned is returned for user memory that shares a cache line with something else (EINVAL of vb2_dc_get_userptr).
var ErrUnaligned = errors.New("address and length must be multiples of the cache line")

// QBUFUser queues memory of user space at index i of a USERPTR queue. It is pinned and mapped if it is not the memory of the last time.
func (q *Queue) QBUFUser(t *cpu.Thread, i int, m UserMemory) error {
	b := &q.buffers[i]
	if q.cfg.Memory != UserPtr || b.state != Dequeued {
		return fmt.Errorf("QBUF of %s with user memory: it is %v and its memory %v", q.name(i), b.state, q.cfg.Memory)
	}
	if m.Offset < 0 || m.Bytes <= 0 || m.Offset+m.Bytes > m.Mapping.Bytes {
		return fmt.Errorf("QBUF of %s: %d bytes at %d of %s, which has %d", q.name(i), m.Bytes, m.Offset, m.Mapping.Name, m.Mapping.Bytes)
	}
	if line := uint64(q.api.Core.Caches().LineSize()); (uint64(m.Mapping.VA)+uint64(m.Offset)|uint64(m.Bytes))%line != 0 {
		return fmt.Errorf("QBUF of %s: %d bytes at %d of %s: %w of %d bytes", q.name(i), m.Bytes, m.Offset, m.Mapping.Name, ErrUnaligned, line)
	}
	var err error
	t.Syscall(func() {
		if b.Buffer == nil || b.user != m {
			if err = q.pin(t, i, m); err != nil {
				return
			}
		}
		q.queue(t, i, 0)
	})
	return err
}

// pin takes the pages of user memory in place of those that the buffer had (get_userptr).
func (q *Queue) pin(t *cpu.Thread, i int, m UserMemory) error {
	b := &q.buffers[i]
	if err := q.give(t, b); err != nil {
		return err
	}
	r := m.Mapping.Region
	first := (r.Start + m.Offset) / memory.PageBytes
	last := (r.Start + m.Offset + m.Bytes - 1) / memory.PageBytes
	part := &memory.Region{
		ID: r.ID, Name: fmt.Sprintf("%s, %d bytes at %d", r.Name, m.Bytes, m.Offset), Frames: r.Frames[first : last+1], Start: (r.Start + m.Offset) % memory.PageBytes, Bytes: int64(m.Bytes),
	}
	b.user = m
	return q.attached(t, b, q.alloc.Pin(t, i, part, q.cfg.Direction, q.cfg.Device))
}
