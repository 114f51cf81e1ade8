package drm

import (
	"fmt"

	"socsim/gpu"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// Draw is one job: the texture is drawn over the whole target, and the quads over it.
type Draw struct {
	Texture, Target *dmabuf.Attachment
	From, To        Surface
	Over            []Quad
}

// Quad is a further texture of a draw, over a part of the target; the zero part is the whole.
type Quad struct {
	Texture *dmabuf.Attachment
	From    Surface
	Part    gpu.Rect
}

// textures calls f for each buffer that the draw reads.
func (d *Draw) textures(f func(at *dmabuf.Attachment)) {
	f(d.Texture)
	for _, q := range d.Over {
		f(q.Texture)
	}
}

// Submission is what one ioctl gives to the GPU: draws that run in order in one address space and share a fence, and sync files to wait for besides the implicit fences.
type Submission struct {
	Draws   []Draw
	In      []*dmabuf.SyncFile
	Context int
}

// Submit draws the texture over the target once its fences allow it, and returns the job's fence.
func (r *Renderer) Submit(t *cpu.Thread, texture, target *dmabuf.Attachment, from, to Surface) *dmabuf.Fence {
	return r.SubmitAll(t, Submission{Draws: []Draw{{Texture: texture, Target: target, From: from, To: to}}})
}

// SubmitAll gives the draws to the GPU once the fences of their buffers allow it, and returns the fence that is signaled when the last is done, with a reference for the caller. There must be a draw.
func (r *Renderer) SubmitAll(t *cpu.Thread, s Submission) *dmabuf.Fence {
	alloc := s.Draws[0].Texture.Buffer.Allocator()
	if r.line == nil {
		r.line = alloc.NewTimeline(r.gpu.Name)
	}
	var f *dmabuf.Fence
	t.Syscall(func() {
		for _, in := range s.In {
			in.Wait(t)
		}
		s.wait(t)
		f = r.line.New(t.Now())
		for i := range s.Draws {
			s.Draws[i].textures(func(at *dmabuf.Attachment) { at.Buffer.Resv.AddRead(f) })
			s.Draws[i].Target.Buffer.Resv.AddWrite(f)
		}
		if r.SyncAtSubmit {
			alloc.API().Batch(t, s.calls())
		}
		for i := range s.Draws {
			s.Draws[i].textures(func(at *dmabuf.Attachment) { at.Ready(t) })
			s.Draws[i].Target.Ready(t)
		}
		for i, d := range s.Draws {
			r.draw(t, d, s.Context)
			if i == len(s.Draws)-1 {
				r.fences[r.next] = f.Get()
			}
		}
	})
	return f
}

// wait waits for the implicit fences of all buffers. Others may add some to one buffer while the thread waits for another's: it looks at all again.
func (s Submission) wait(t *cpu.Thread) {
	for busy := true; busy; {
		busy = false
		wait := func(at *dmabuf.Attachment, write bool) {
			busy = busy || at.Buffer.Resv.Busy(write)
			at.Buffer.Resv.Wait(t, write)
		}
		for i := range s.Draws {
			s.Draws[i].textures(func(at *dmabuf.Attachment) { wait(at, false) })
			wait(s.Draws[i].Target, true)
		}
	}
}

// calls hand each buffer of the submission over once.
func (s Submission) calls() []dmaapi.Call {
	var calls []dmaapi.Call
	seen := map[*dmabuf.Attachment]bool{}
	add := func(at *dmabuf.Attachment) {
		if !seen[at] {
			seen[at] = true
			calls = append(calls, dmaapi.Call{Event: dmaapi.ToDeviceHandover, Buffer: at.Buffer.Buffer, Device: at.Importer.DeviceName(), Direction: at.Direction})
		}
	}
	for i := range s.Draws {
		s.Draws[i].textures(add)
		add(s.Draws[i].Target)
	}
	return calls
}

// draw gives the GPU one job, when it has room.
func (r *Renderer) draw(t *cpu.Thread, d Draw, context int) {
	d.textures(func(at *dmabuf.Attachment) { at.Use(t) })
	d.Target.Use(t)
	job := gpu.Job{Texture: surface(d.Texture, d.From), Target: surface(d.Target, d.To), Context: context}
	for _, q := range d.Over {
		job.Over = append(job.Over, gpu.Quad{Texture: surface(q.Texture, q.From), Part: q.Part})
	}
	t.MMIO(0, 4)
	t.Settle()
	for r.gpu.Pending() >= gpu.MaxPending {
		r.room.Wait(t)
		t.Settle()
	}
	r.next++
	job.Cookie = r.next
	if err := r.gpu.Submit(job, t.Now()); err != nil {
		panic(fmt.Sprintf("drm: submit: %v", err)) // sizes were validated and there is room
	}
}
