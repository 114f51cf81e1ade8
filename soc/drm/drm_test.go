package drm

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"socsim/gpu"
	"socsim/internal/conf"
	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/dramtest"
	"socsim/soc/presets"
)

// rig is an OMAP3430 with a GPU and a display, and buffers of one size for both.
type rig struct {
	*soc.System
	tb       testing.TB
	alloc    *dmabuf.Allocator
	gpu      *soc.Graphics
	screen   *soc.Screen
	renderer *Renderer
	flipper  *Flipper
	domain   *dmaapi.Domain
	asked    []dmaapi.Question
}

func (r *rig) Decide(q *dmaapi.Question) dmaapi.Answer {
	r.asked = append(r.asked, *q)
	return dmaapi.Answer{Op: q.Default}
}

var (
	image = Surface{Width: 64, Height: 48, BytesPerPixel: 4, Stride: 256}
	panel = display.Panel{Width: 64, Height: 48, PixelClock: 10e6, HFP: 10, HSW: 10, HBP: 16, VFP: 1, VSW: 2, VBP: 1}
)

func newRig(tb testing.TB) *rig {
	tb.Helper()
	var root struct {
		SoC soc.Config `conf:"soc,preset=soc"`
	}
	small := []conf.Override{{Path: "soc.memory.size", Value: "16MiB"}, {Path: "soc.memory.reserved", Value: "8MiB"}, {Path: "soc.memory.fragmentation", Value: "100%"}}
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	_, err := conf.Decode(conf.Source{Name: "test", Data: []byte("soc: omap3430\n")}, small, presets.Set{}, &root)
	must(err)
	sys, err := soc.New(root.SoC, 1)
	must(err)
	dramtest.Watch(tb, sys.DRAM, root.SoC.DRAM)
	tb.Cleanup(sys.Close)
	profile, _ := dmaapi.ProfileByName("armv7")
	r := &rig{System: sys, tb: tb}
	r.gpu, err = sys.AddGPU("gpu")
	must(err)
	r.screen, err = sys.AddDisplay("panel", panel)
	must(err)
	r.alloc = dmabuf.NewAllocator(dmaapi.New(sys.Core, profile, r, nil))
	r.renderer, r.flipper = NewRenderer(sys.Core, r.gpu), NewFlipper(sys.Core, r.screen, display.GFX)
	r.run(func(t *cpu.Thread) {
		r.domain, err = dmaapi.NewDomain(t, dmaapi.DomainConfig{
			Device: "gpu", MMU: r.gpu.MMU, Entries: sys.Config.GPU.MMU.Entries, Format: iommu.SGX, Base: 1 << 20, Size: 64 << 20,
		})
		must(err)
	})
	return r
}

// run runs a driver thread, and whatever it starts, to the end.
func (r *rig) run(body func(t *cpu.Thread)) {
	r.tb.Helper()
	r.Core.Spawn("test", body)
	if err := r.Engine.Run(context.Background(), sim.Never); err != nil {
		r.tb.Fatal(err)
	}
}

// shown runs a driver thread for some refreshes of the panel, which never stops by itself.
func (r *rig) shown(refreshes int, body func(t *cpu.Thread)) {
	r.tb.Helper()
	over := false
	r.Core.Spawn("test", func(t *cpu.Thread) { body(t); over = true })
	if err := r.Engine.Run(context.Background(), r.Engine.Now()+sim.Time(refreshes)*panel.Refresh()); err != nil {
		r.tb.Fatal(err)
	}
	if !over {
		r.tb.Errorf("the thread still waits after %d refreshes", refreshes)
	}
}

func (r *rig) buffer(t *cpu.Thread, e dmabuf.Exporter) *dmabuf.Buffer {
	r.tb.Helper()
	b, err := r.alloc.Allocate(t, dmabuf.Request{Name: "image", Index: len(r.alloc.Buffers()), Bytes: int64(image.Stride * image.Height), Exporter: e, Attr: cpu.Cached, Owner: "nobody"})
	if err != nil {
		r.tb.Fatal(err)
	}
	return b
}

func (r *rig) attach(t *cpu.Thread, b *dmabuf.Buffer, dev dmabuf.Importer, dir dmaapi.Direction) *dmabuf.Attachment {
	r.tb.Helper()
	at := b.Attach(dev, dir)
	if _, err := at.Map(t); err != nil {
		r.tb.Fatal(err)
	}
	return at
}

// pair returns a texture and a target for the GPU.
func (r *rig) pair(t *cpu.Thread) (texture, target *dmabuf.Attachment) {
	dev := &Translated{Name: "gpu", Domain: r.domain}
	return r.attach(t, r.buffer(t, dmabuf.SystemHeap), dev, dmaapi.ToDevice), r.attach(t, r.buffer(t, dmabuf.GEM), dev, dmaapi.FromDevice)
}

// frame returns a buffer the display can show.
func (r *rig) frame(t *cpu.Thread) *dmabuf.Attachment {
	return r.attach(t, r.buffer(t, dmabuf.GEM), &Physical{Name: "panel"}, dmaapi.ToDevice)
}

type event func()

func (f event) Handle(sim.Time, uint64) { f() }

func (r *rig) at(when sim.Time, f func()) { r.Engine.Schedule(when, r.Engine.Register(event(f)), 0) }

func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestADeviceWithoutAnMMUTakesContiguousBuffersAtTheirAddress(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		dev := &Physical{Name: "panel"}
		b := r.buffer(th, dmabuf.GEM)
		at := r.attach(th, b, dev, dmaapi.ToDevice)
		equal(t, "address", at.Addr, bus.Addr(b.Region.Addr(0)))
		if err := at.Unmap(th); err != nil {
			t.Error(err)
		}
		scattered := r.buffer(th, dmabuf.SystemHeap)
		_, err := scattered.Attach(dev, dmaapi.ToDevice).Map(th)
		if want := fmt.Sprintf("panel has no MMU and the buffer is in %d pieces", len(scattered.Runs)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}

func TestADeviceBehindAnIOMMUTakesScatteredBuffers(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, dmabuf.SystemHeap)
		at := r.attach(th, b, &Translated{Name: "gpu", Domain: r.domain}, dmaapi.ToDevice)
		if at.Addr < 1<<20 || at.Addr >= 65<<20 {
			t.Errorf("mapped at %v, outside of the device's addresses", at.Addr)
		}
		if err := at.Unmap(th); err != nil {
			t.Fatal(err)
		}
		if err := r.domain.Unmap(th, at.Addr); err == nil {
			t.Error("the IOMMU still maps the buffer")
		}
	})
}

func TestAJobSignalsItsFenceWhenItIsDone(t *testing.T) {
	r := newRig(t)
	var submitted, end, signaled sim.Time
	inner := r.gpu.OnDone
	r.gpu.OnDone = func(d gpu.Done) { end = d.End; inner(d) }
	r.run(func(th *cpu.Thread) {
		texture, target := r.pair(th)
		f := r.renderer.Submit(th, texture, target, image, image)
		submitted = th.Now()
		equal(t, "signaled at once", f.Signaled(), false)
		f.Wait(th)
		signaled = th.Now()
	})
	os := r.Config.CPU.OS
	// Submit leaves the kernel before the job is done; the handler runs after entry and its own work, and the waiter after a register read and the exit.
	handler := sim.NewClock(int64(r.Config.CPU.Clock)).Cycles(int64(os.IRQEntry + os.Handler))
	if submitted >= end || signaled < end+handler || signaled > end+handler+10*sim.Microsecond {
		t.Errorf("submitted at %v, done at %v, signaled at %v", submitted, end, signaled)
	}
	equal(t, "jobs", r.gpu.Stats().Jobs, 1)
	equal(t, "faults", r.gpu.MMU.Counters().Faults.Total(), 0)
	equal(t, "jobs remembered", len(r.renderer.fences), 0)
}

func TestAJobWaitsForTheFencesOfItsBuffers(t *testing.T) {
	for _, c := range []struct {
		name  string
		add   func(texture, target *dmabuf.Buffer, f *dmabuf.Fence)
		waits bool
	}{
		{"the texture's writer", func(texture, _ *dmabuf.Buffer, f *dmabuf.Fence) { texture.Resv.AddWrite(f) }, true},
		{"the texture's readers", func(texture, _ *dmabuf.Buffer, f *dmabuf.Fence) { texture.Resv.AddRead(f) }, false},
		{"the target's writer", func(_, target *dmabuf.Buffer, f *dmabuf.Fence) { target.Resv.AddWrite(f) }, true},
		{"the target's readers", func(_, target *dmabuf.Buffer, f *dmabuf.Fence) { target.Resv.AddRead(f) }, true},
	} {
		r := newRig(t)
		var start sim.Time
		inner := r.gpu.OnDone
		r.gpu.OnDone = func(d gpu.Done) { start = d.Start; inner(d) }
		var signal sim.Time
		r.run(func(th *cpu.Thread) {
			texture, target := r.pair(th)
			f := &dmabuf.Fence{}
			c.add(texture.Buffer, target.Buffer, f)
			signal = th.Now() + 20*sim.Millisecond
			r.at(signal, f.Signal)
			r.renderer.Submit(th, texture, target, image, image)
		})
		equal(t, c.name+" held the job back", start >= signal, c.waits)
	}
}

func TestAJobsFenceHoldsBackTheNextUsersOfItsBuffers(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		texture, target := r.pair(th)
		f := r.renderer.Submit(th, texture, target, image, image)
		texture.Buffer.Resv.Wait(th, false)
		equal(t, "a reader of the texture waited", f.Signaled(), false)
		target.Buffer.Resv.Wait(th, false)
		equal(t, "a reader of the target waited", f.Signaled(), true)
		f = r.renderer.Submit(th, texture, target, image, image)
		texture.Buffer.Resv.Wait(th, true)
		equal(t, "a writer of the texture waited", f.Signaled(), true)
	})
}

func TestSubmitBlocksWhileTheQueueIsFull(t *testing.T) {
	r := newRig(t)
	const jobs = gpu.MaxPending + 5
	r.run(func(th *cpu.Thread) {
		var pairs [jobs][2]*dmabuf.Attachment
		for i := range pairs {
			pairs[i][0], pairs[i][1] = r.pair(th)
		}
		most := 0
		for _, p := range pairs {
			r.renderer.Submit(th, p[0], p[1], image, image)
			most = max(most, r.gpu.Pending())
		}
		equal(t, "most jobs pending", most, gpu.MaxPending)
	})
	equal(t, "jobs", r.gpu.Stats().Jobs, jobs)
}

func TestJobsMarkTheirMappingsUsed(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		texture, target := r.pair(th)
		equal(t, "unused before", r.alloc.MappingsUnused(), 2)
		r.renderer.Submit(th, texture, target, image, image)
		equal(t, "unused after", r.alloc.MappingsUnused(), 0)
	})
}

func TestAFlipReturnsWhenTheFrameIsOnThePanel(t *testing.T) {
	r := newRig(t)
	var flips []display.Vsync
	r.flipper.OnFlip = func(v display.Vsync) { flips = append(flips, v) }
	r.shown(8, func(th *cpu.Thread) {
		th.Settle()
		start := th.Now()
		r.flipper.Start(start)
		for i := range 3 {
			at := r.frame(th)
			before := th.Now()
			r.flipper.Flip(th, at, picture(at, i))
			if len(flips) != i+1 {
				t.Fatalf("flip %d returned after %d flips", i, len(flips))
			}
			v := flips[i]
			equal(t, "cookie", v.Shown.Cookie, i)
			equal(t, "address", v.Shown.Addr, at.Buffer.Region.Addr(0))
			clock := sim.NewClock(int64(panel.PixelClock))
			n := (clock.Ceil(before-start) + panel.Clocks() - 1) / panel.Clocks()
			equal(t, "the next vsync", v.At, start+clock.Cycles(n*panel.Clocks()))
			// An interrupt, a switch at most, and the way out of the kernel.
			if late := th.Now() - v.At; late <= 0 || late > 20*sim.Microsecond {
				t.Errorf("flip %d returned %v after its vsync", i, late)
			}
		}
	})
	equal(t, "underflows", r.screen.Stats(display.GFX).Underflows, 0)
	equal(t, "displayed", r.screen.Stats(display.GFX).Displayed, 3)
}

func TestAFlipWaitsForTheWriterOfItsBuffer(t *testing.T) {
	r := newRig(t)
	var flipped sim.Time
	r.flipper.OnFlip = func(v display.Vsync) { flipped = v.At }
	r.shown(10, func(th *cpu.Thread) {
		th.Settle()
		r.flipper.Start(th.Now())
		at := r.frame(th)
		f := &dmabuf.Fence{}
		at.Buffer.Resv.AddWrite(f)
		signal := th.Now() + 4*panel.Refresh()
		r.at(signal, f.Signal)
		r.flipper.Flip(th, at, picture(at, 1))
		if flipped < signal {
			t.Errorf("shown at %v, before its writer was done at %v", flipped, signal)
		}
	})
}

func TestAFlipDoesNotWaitForReaders(t *testing.T) {
	r := newRig(t)
	r.shown(3, func(th *cpu.Thread) {
		th.Settle()
		r.flipper.Start(th.Now())
		at := r.frame(th)
		at.Buffer.Resv.AddRead(&dmabuf.Fence{})
		r.flipper.Flip(th, at, picture(at, 1))
	})
}

func TestARefreshWithNothingNewIsNoFlip(t *testing.T) {
	r := newRig(t)
	flips := 0
	r.flipper.OnFlip = func(display.Vsync) { flips++ }
	r.shown(6, func(th *cpu.Thread) {
		th.Settle()
		r.flipper.Start(th.Now())
		flip(r.flipper, th, r.frame(th), 1)
	})
	equal(t, "flips", flips, 1)
	equal(t, "interrupts", r.Core.Stats().Interrupts, 1)
}

// picture is the whole of a buffer on the whole panel.
func picture(at *dmabuf.Attachment, cookie int) display.Frame {
	return display.Frame{Addr: bus.Phys(at.Addr), Stride: image.Stride, BytesPerPixel: image.BytesPerPixel, Cookie: cookie}
}

func flip(f *Flipper, t *cpu.Thread, at *dmabuf.Attachment, cookie int) {
	f.Flip(t, at, picture(at, cookie))
}
