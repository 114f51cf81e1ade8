package drm

import (
	"testing"

	"socsim/gpu"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// A writer that comes to the texture while the submission waits for a quad's is waited for too, and one that comes to the quad's while it waits for the target.
func TestADrawWaitsForTheWritersOfItsQuadsAndLooksAgain(t *testing.T) {
	for _, swap := range []bool{false, true} {
		r := newRig(t)
		var start, signal sim.Time
		inner := r.gpu.OnDone
		r.gpu.OnDone = func(d gpu.Done) { start = d.Start; inner(d) }
		r.run(func(th *cpu.Thread) {
			texture, target := r.pair(th)
			over, other := r.pair(th)
			one, two := texture, over
			if swap {
				one, two = over, target
			}
			first, second := &dmabuf.Fence{}, &dmabuf.Fence{}
			two.Buffer.Resv.AddWrite(first)
			r.at(th.Now()+10*sim.Millisecond, func() { one.Buffer.Resv.AddWrite(second); first.Signal() })
			signal = th.Now() + 20*sim.Millisecond
			r.at(signal, second.Signal)
			f := r.renderer.SubmitAll(th, Submission{Draws: []Draw{{texture, target, image, image, []Quad{{Texture: over, From: image}}}}})
			for _, at := range []*dmabuf.Attachment{texture, over} {
				equal(t, "a writer of a texture waits", at.Buffer.Resv.Busy(true), true)
			}
			equal(t, "of another buffer", other.Buffer.Resv.Busy(true), false)
			f.Wait(th)
			f.Put()
		})
		if start < signal {
			t.Errorf("began at %v, before its textures were written at %v", start, signal)
		}
	}
}

func TestQuadsAreReadAndSyncedAtSubmitWithTheRest(t *testing.T) {
	r := newRig(t)
	r.renderer.SyncAtSubmit = true
	r.run(func(th *cpu.Thread) {
		texture, target := r.pair(th)
		over, _ := r.pair(th)
		draw := Draw{texture, target, image, image, []Quad{{Texture: over, From: image}, {Texture: over, From: image, Part: gpu.Rect{Width: 16, Height: 16}}}}
		calls := Submission{Draws: []Draw{draw}}.calls()
		equal(t, "hand-overs", len(calls), 3)
		equal(t, "direction of a quad's", calls[1].Direction, dmaapi.ToDevice)
		equal(t, "buffer of a quad's", calls[1].Buffer, over.Buffer.Buffer)
		f := r.renderer.SubmitAll(th, Submission{Draws: []Draw{draw}})
		f.Wait(th)
		f.Put()
	})
	lines := uint64(image.Stride*image.Height+63) / 64
	if got := r.gpu.Stats().TextureLines; got < 2*lines {
		t.Errorf("%d texture lines read, want those of two textures of %d", got, lines)
	}
}
