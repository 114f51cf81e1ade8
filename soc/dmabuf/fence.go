package dmabuf

import "socsim/soc/cpu"

// Fence is a dma-fence: it is signaled once.
type Fence struct {
	signaled bool
	queue    cpu.WaitQueue
}

// Signaled tells whether the fence has been signaled.
func (f *Fence) Signaled() bool { return f.signaled }

// Signal signals the fence and wakes its waiters.
func (f *Fence) Signal() {
	f.signaled = true
	f.queue.WakeAll()
}

// Wait blocks the thread until the fence is signaled.
func (f *Fence) Wait(t *cpu.Thread) {
	t.Settle()
	for !f.signaled {
		f.queue.Wait(t)
		t.Settle()
	}
}

// Reservation is a buffer's dma-resv: the fences of its last writer and of the readers since.
type Reservation struct {
	write *Fence
	reads []*Fence
}

// AddWrite makes f the write fence.
func (r *Reservation) AddWrite(f *Fence) {
	r.write = f
	r.reads = r.reads[:0]
}

// AddRead adds a read fence.
func (r *Reservation) AddRead(f *Fence) {
	kept := r.reads[:0]
	for _, old := range r.reads {
		if !old.signaled {
			kept = append(kept, old)
		}
	}
	r.reads = append(kept, f)
}

// Wait waits for what an access must wait for: a reader for the write fence, a writer for the read fences as well.
func (r *Reservation) Wait(t *cpu.Thread, write bool) {
	// Fences may be added and dropped while the thread waits: look again each time, as dma_resv_wait_timeout does.
	for f := r.pending(write); f != nil; f = r.pending(write) {
		f.Wait(t)
	}
}

// pending returns the first fence that is not signaled.
func (r *Reservation) pending(write bool) *Fence {
	if r.write != nil && !r.write.signaled {
		return r.write
	}
	if write {
		for _, f := range r.reads {
			if !f.signaled {
				return f
			}
		}
	}
	return nil
}
