package dmabuf

import (
	"fmt"

	"socsim/sim"
	"socsim/soc/cpu"
)

// FenceState is where a fence is in its life.
type FenceState uint8

// The states, after the tracepoints of dma_fence.
const (
	FenceInit      FenceState = iota
	FenceEnabled              // enable_signal: somebody waits or has waited
	FenceSignaled             // signaled
	FenceDestroyed            // destroy: the last reference is gone
)

func (s FenceState) String() string {
	return [...]string{"init", "enable_signal", "signaled", "destroyed"}[s]
}

// Timeline is a fence context: its fences are signaled in the order of their numbers.
type Timeline struct {
	alloc   *Allocator
	name    string
	context int
	next    uint64
	pending []*Fence // not signaled yet
}

// NewTimeline allocates a context.
func (a *Allocator) NewTimeline(name string) *Timeline {
	tl := &Timeline{alloc: a, name: name, context: len(a.timelines) + 1}
	a.timelines = append(a.timelines, tl)
	return tl
}

// New returns the next fence, with one reference.
func (tl *Timeline) New(at sim.Time) *Fence {
	tl.next++
	f := &Fence{timeline: tl, seqno: tl.next, made: at}
	tl.pending = append(tl.pending, f)
	return f
}

// Begin starts a job that reads one buffer and writes another: it waits until their fences allow both, adds the job's fence, which it returns with a reference for the caller, and waits for what is left of
// the hand-overs.
func (tl *Timeline) Begin(t *cpu.Thread, from, to *Attachment) *Fence {
	read, write := &from.Buffer.Resv, &to.Buffer.Resv
	for read.Busy(false) || write.Busy(true) { // others may add a fence to one while the thread waits for the other's
		read.Wait(t, false)
		write.Wait(t, true)
	}
	f := tl.New(t.Now())
	read.AddRead(f)
	write.AddWrite(f)
	for _, at := range []*Attachment{from, to} {
		at.Ready(t)
	}
	for _, at := range []*Attachment{from, to} {
		at.Use(t)
	}
	return f
}

// forget drops a fence that is signaled or lost.
func (tl *Timeline) forget(f *Fence) {
	for i, x := range tl.pending {
		if x == f {
			tl.pending = append(tl.pending[:i], tl.pending[i+1:]...)
			return
		}
	}
}

// Fence is a dma-fence: it is signaled once. A fence of a timeline is watched for misuse; the zero Fence belongs to none. Both begin with one reference.
type Fence struct {
	timeline *Timeline
	seqno    uint64
	more     int // references beyond the first
	state    FenceState
	signaled bool
	made     sim.Time
	died     sim.Time
	queue    cpu.WaitQueue
}

// State returns where the fence is in its life.
func (f *Fence) State() FenceState { return f.state }

// Seqno returns the number of the fence in its timeline.
func (f *Fence) Seqno() uint64 { return f.seqno }

// Signaled tells whether the fence has been signaled.
func (f *Fence) Signaled() bool { return f.signaled }

// dead reports what is done to a fence that is destroyed.
func (f *Fence) dead(doing string) bool {
	if f.state != FenceDestroyed {
		return false
	}
	if tl := f.timeline; tl != nil {
		_ = tl.alloc.misuse(Misuse{Kind: FenceUseAfterFree, Device: tl.name, At: tl.alloc.now(), Since: f.died}, "%s fence %d:%d of %s: destroyed", doing, tl.context, f.seqno, tl.name)
	}
	return true
}

// Get takes a reference.
func (f *Fence) Get() *Fence {
	if !f.dead("getting") {
		f.more++
	}
	return f
}

// Put drops a reference. With the last the fence is destroyed; if it was not signaled, that is reported, and it is signaled with an error, as dma_fence_release does.
func (f *Fence) Put() {
	if f.dead("putting") {
		return
	}
	if f.more > 0 {
		f.more--
		return
	}
	if tl := f.timeline; tl != nil {
		f.died = tl.alloc.now()
		if !f.signaled {
			_ = tl.alloc.misuse(Misuse{Kind: FenceLost, Device: tl.name, At: f.died, Since: f.made}, "fence %d:%d of %s is destroyed before it is signaled", tl.context, f.seqno, tl.name)
		}
	}
	f.complete()
	f.state = FenceDestroyed
}

// Signal signals the fence and wakes its waiters. A second signal changes nothing (EINVAL of dma_fence_signal). That it is signaled says nothing about caches: maintenance is whoever's next who
// brackets an access.
func (f *Fence) Signal() {
	if f.signaled && f.state != FenceDestroyed || f.dead("signaling") {
		return
	}
	f.complete()
	f.state = FenceSignaled
}

func (f *Fence) complete() {
	if f.signaled {
		return
	}
	f.signaled = true
	if f.timeline != nil {
		f.timeline.forget(f)
	}
	f.queue.WakeAll()
}

// Wait blocks the thread until the fence is signaled.
func (f *Fence) Wait(t *cpu.Thread) {
	if f.dead("waiting for") {
		return
	}
	t.Settle()
	for !f.signaled {
		f.state = FenceEnabled
		f.queue.Wait(t)
		t.Settle()
	}
}

// Usage is why a fence is in a reservation object (enum dma_resv_usage, recalled). Who waits for one usage waits for those before it as well.
type Usage uint8

// The usages.
const (
	Kernel   Usage = iota // moving and clearing memory: everybody waits
	Write                 // implicit writers
	Read                  // implicit readers
	Bookkeep              // nobody waits implicitly
)

func (u Usage) String() string {
	names := [...]string{"kernel", "write", "read", "bookkeep"}
	if int(u) < len(names) {
		return names[u]
	}
	return fmt.Sprintf("usage(%d)", uint8(u))
}

// UsageFor is dma_resv_usage_rw: what an access waits for. A reader waits for writers, a writer for readers as well.
func UsageFor(write bool) Usage {
	if write {
		return Read
	}
	return Write
}

type held struct {
	fence *Fence
	usage Usage
}

// Reservation is a buffer's dma-resv: fences by usage. Adding and looking cost O(fences).
type Reservation struct{ held []held }

// Add is dma_resv_add_fence. The fence takes the place of one that is signaled, or of an earlier one of its timeline with the same usage or a weaker one. The reservation holds a reference.
func (r *Reservation) Add(f *Fence, u Usage) {
	if f.dead("adding") {
		return
	}
	f.Get()
	kept := r.held[:0]
	for _, h := range r.held {
		if h.fence.signaled || f.timeline != nil && h.fence.timeline == f.timeline && h.usage >= u && h.fence.seqno <= f.seqno {
			if h.fence.state != FenceDestroyed { // its owner may have put it once too often
				h.fence.Put()
			}
			continue
		}
		kept = append(kept, h)
	}
	r.held = append(kept, held{f, u})
}

// AddWrite adds the fence of a writer.
func (r *Reservation) AddWrite(f *Fence) { r.Add(f, Write) }

// AddRead adds the fence of a reader.
func (r *Reservation) AddRead(f *Fence) { r.Add(f, Read) }

// Wait waits for what an access must wait for.
func (r *Reservation) Wait(t *cpu.Thread, write bool) { r.WaitFor(t, UsageFor(write)) }

// WaitFor waits for the fences of a usage and those before it.
func (r *Reservation) WaitFor(t *cpu.Thread, u Usage) {
	// Fences may be added and dropped while the thread waits: look again each time, as dma_resv_wait_timeout does.
	for f := r.pending(u); f != nil; f = r.pending(u) {
		f.Wait(t)
	}
}

// Busy tells whether an access would have to wait.
func (r *Reservation) Busy(write bool) bool { return r.pending(UsageFor(write)) != nil }

// pending returns the first fence that is not signaled.
func (r *Reservation) pending(u Usage) *Fence {
	for _, h := range r.held {
		if h.usage <= u && !h.fence.signaled {
			return h.fence
		}
	}
	return nil
}

// release drops all fences, as dma_resv_fini does.
func (r *Reservation) release() {
	for _, h := range r.held {
		if h.fence.state != FenceDestroyed {
			h.fence.Put()
		}
	}
	r.held = nil
}

// SyncFile is a sync_file: fences that one can wait for explicitly.
type SyncFile struct{ fences []*Fence }

// NewSyncFile wraps a fence, as a driver does for the fence of a submission. It holds a reference.
func NewSyncFile(f *Fence) *SyncFile { return &SyncFile{[]*Fence{f.Get()}} }

// ExportSyncFile is DMA_BUF_IOCTL_EXPORT_SYNC_FILE: a snapshot of the fences that an access would wait for now. Fences that are added later are not in it.
func (b *Buffer) ExportSyncFile(write bool) (*SyncFile, error) {
	if b.dead {
		return nil, b.useAfterFree(b.alloc.now(), "", "sync file of")
	}
	s := &SyncFile{}
	for _, h := range b.Resv.held {
		if h.usage <= UsageFor(write) && !h.fence.signaled {
			s.fences = append(s.fences, h.fence.Get())
		}
	}
	return s, nil
}

// ImportSyncFile is DMA_BUF_IOCTL_IMPORT_SYNC_FILE: it adds the fences to the reservation, as a writer's or a reader's.
func (b *Buffer) ImportSyncFile(s *SyncFile, write bool) error {
	if b.dead {
		return b.useAfterFree(b.alloc.now(), "", "sync file for")
	}
	u := Read
	if write {
		u = Write
	}
	for _, f := range s.fences {
		b.Resv.Add(f, u)
	}
	return nil
}

// Signaled tells whether all fences are signaled.
func (s *SyncFile) Signaled() bool {
	for _, f := range s.fences {
		if !f.signaled {
			return false
		}
	}
	return true
}

// Wait blocks the thread until all fences are signaled.
func (s *SyncFile) Wait(t *cpu.Thread) {
	for _, f := range s.fences {
		f.Wait(t)
	}
}

// Close drops the fences.
func (s *SyncFile) Close() {
	for _, f := range s.fences {
		f.Put()
	}
	s.fences = nil
}
