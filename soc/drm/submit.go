package drm

import (
	"fmt"

	"socsim/gpu"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// Draw is one job: the texture is drawn over the target.
type Draw struct {
	Texture, Target *dmabuf.Attachment
	From, To        Surface
}

// Submission is what one ioctl gives to the GPU: draws that run in order in one address space and share a fence, and sync files to wait for besides the implicit fences.
type Submission struct {
	Draws   []Draw
	In      []*dmabuf.SyncFile
	Context int
}

// Submit draws the texture over the target once its fences allow it, and returns the job's fence.
func (r *Renderer) Submit(t *cpu.Thread, texture, target *dmabuf.Attachment, from, to Surface) *dmabuf.Fence {
	return r.SubmitAll(t, Submission{Draws: []Draw{{texture, target, from, to}}})
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
		for _, d := range s.Draws {
			d.Texture.Buffer.Resv.AddRead(f)
			d.Target.Buffer.Resv.AddWrite(f)
		}
		if r.SyncAtSubmit {
			alloc.API().Batch(t, s.calls())
		}
		for _, d := range s.Draws {
			d.Texture.Ready(t)
			d.Target.Ready(t)
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
		for _, d := range s.Draws {
			texture, target := &d.Texture.Buffer.Resv, &d.Target.Buffer.Resv
			busy = busy || texture.Busy(false) || target.Busy(true)
			texture.Wait(t, false)
			target.Wait(t, true)
		}
	}
}

// calls hand each buffer of the submission over once.
func (s Submission) calls() []dmaapi.Call {
	var calls []dmaapi.Call
	seen := map[*dmabuf.Attachment]bool{}
	for _, d := range s.Draws {
		for _, at := range []*dmabuf.Attachment{d.Texture, d.Target} {
			if !seen[at] {
				seen[at] = true
				calls = append(calls, dmaapi.Call{Event: dmaapi.ToDeviceHandover, Buffer: at.Buffer.Buffer, Device: at.Importer.DeviceName(), Direction: at.Direction})
			}
		}
	}
	return calls
}

// draw gives the GPU one job, when it has room.
func (r *Renderer) draw(t *cpu.Thread, d Draw, context int) {
	d.Texture.Use(t)
	d.Target.Use(t)
	t.MMIO(0, 4)
	t.Settle()
	for r.gpu.Pending() >= gpu.MaxPending {
		r.room.Wait(t)
		t.Settle()
	}
	r.next++
	err := r.gpu.Submit(gpu.Job{Texture: surface(d.Texture, d.From), Target: surface(d.Target, d.To), Cookie: r.next, Context: context}, t.Now())
	if err != nil {
		panic(fmt.Sprintf("drm: submit: %v", err)) // sizes were validated and there is room
	}
}
