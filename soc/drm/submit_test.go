package drm

import (
	"errors"
	"testing"

	"socsim/gpu"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

func TestTheFenceOfASubmissionIsSignaledWhenItsLastDrawIsDone(t *testing.T) {
	r := newRig(t)
	r.alloc.SetDebugger(r)
	var ends []sim.Time
	inner := r.gpu.OnDone
	r.gpu.OnDone = func(d gpu.Done) { ends = append(ends, d.End); inner(d) }
	r.run(func(th *cpu.Thread) {
		var s Submission
		for range 3 {
			texture, target := r.pair(th)
			s.Draws = append(s.Draws, Draw{texture, target, image, image, nil})
		}
		f := r.renderer.SubmitAll(th, s)
		for _, d := range s.Draws {
			equal(t, "a writer of a texture waits", d.Texture.Buffer.Resv.Busy(true), true)
			equal(t, "a reader of a target waits", d.Target.Buffer.Resv.Busy(false), true)
			equal(t, "a reader of a texture waits", d.Texture.Buffer.Resv.Busy(false), false)
		}
		f.Wait(th)
		if len(ends) != 3 || th.Now() < ends[2] {
			t.Errorf("signaled at %v, draws done at %v", th.Now(), ends)
		}
		equal(t, "state", f.State(), dmabuf.FenceSignaled)
		f.Put()
		for _, d := range s.Draws {
			for _, at := range []*dmabuf.Attachment{d.Texture, d.Target} {
				if err := errors.Join(at.Unmap(th), at.Detach(th), at.Buffer.Put(th)); err != nil {
					t.Error(err)
				}
			}
		}
		equal(t, "when nobody holds it", f.State(), dmabuf.FenceDestroyed)
		r.alloc.CheckExit(th.Now())
	})
	equal(t, "fences kept", len(r.renderer.fences), 0)
}

func TestASubmissionWaitsForTheFencesOfAllItsBuffersAndForSyncFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		add  func(s *Submission, f *dmabuf.Fence)
	}{
		{"the second texture's writer", func(s *Submission, f *dmabuf.Fence) { s.Draws[1].Texture.Buffer.Resv.AddWrite(f) }},
		{"the second target's reader", func(s *Submission, f *dmabuf.Fence) { s.Draws[1].Target.Buffer.Resv.AddRead(f) }},
		{"a sync file", func(s *Submission, f *dmabuf.Fence) { s.In = []*dmabuf.SyncFile{dmabuf.NewSyncFile(f)} }},
	} {
		r := newRig(t)
		var start, signal sim.Time
		inner := r.gpu.OnDone
		r.gpu.OnDone = func(d gpu.Done) {
			if start == 0 {
				start = d.Start
			}
			inner(d)
		}
		r.run(func(th *cpu.Thread) {
			var s Submission
			for range 2 {
				texture, target := r.pair(th)
				s.Draws = append(s.Draws, Draw{texture, target, image, image, nil})
			}
			f := &dmabuf.Fence{}
			c.add(&s, f)
			signal = th.Now() + 20*sim.Millisecond
			r.at(signal, f.Signal)
			r.renderer.SubmitAll(th, s)
		})
		if start < signal {
			t.Errorf("%s: the first draw began at %v, before the fence at %v", c.name, start, signal)
		}
	}
}

// A writer that comes to the first buffer while the submission waits for the second is waited for too.
func TestASubmissionLooksAtItsBuffersAgainAfterEachWait(t *testing.T) {
	r := newRig(t)
	var start, signal sim.Time
	inner := r.gpu.OnDone
	r.gpu.OnDone = func(d gpu.Done) { start = d.Start; inner(d) }
	r.run(func(th *cpu.Thread) {
		texture, target := r.pair(th)
		first, second := &dmabuf.Fence{}, &dmabuf.Fence{}
		target.Buffer.Resv.AddWrite(first)
		r.at(th.Now()+10*sim.Millisecond, func() { texture.Buffer.Resv.AddWrite(second); first.Signal() })
		signal = th.Now() + 20*sim.Millisecond
		r.at(signal, second.Signal)
		r.renderer.Submit(th, texture, target, image, image)
	})
	if start < signal {
		t.Errorf("began at %v, before its texture was written at %v", start, signal)
	}
}

func TestADriverThatSyncsAtSubmitAsksAboutTheBatch(t *testing.T) {
	for _, sync := range []bool{false, true} {
		r := newRig(t)
		r.renderer.SyncAtSubmit = sync
		r.run(func(th *cpu.Thread) {
			dev := &Translated{Name: "gpu", Domain: r.domain}
			one, two := r.attach(th, r.buffer(th, dmabuf.SystemHeap), dev, dmaapi.ToDevice), r.attach(th, r.buffer(th, dmabuf.SystemHeap), dev, dmaapi.ToDevice)
			target := r.attach(th, r.buffer(th, dmabuf.SystemHeap), dev, dmaapi.FromDevice)
			r.asked = nil
			r.renderer.SubmitAll(th, Submission{Draws: []Draw{{one, target, image, image, nil}, {two, target, image, image, nil}}})
		})
		if !sync {
			equal(t, "questions", len(r.asked), 0)
			continue
		}
		equal(t, "questions", len(r.asked), 4) // the batch, then each buffer: this policy answers nothing for the whole
		equal(t, "the first", r.asked[0].Event, dmaapi.Batch)
		equal(t, "buffers", r.asked[0].Buffers, 3)
		equal(t, "bytes", r.asked[0].TotalBytes, 3*image.Stride*image.Height)
		equal(t, "the target", r.asked[2].Direction, dmaapi.FromDevice)
	}
}
