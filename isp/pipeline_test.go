package isp

import (
	"testing"

	"socsim/iommu"
	"socsim/sim"
)

// The MMU's port is what the pipeline is made for.
var (
	_ Port = (*iommu.Port)(nil)
)

const tiny = 2 * sim.Microsecond

// small is a sensor whose frames are short: 82x52 pixels in 10 ms.
var (
	small    = Sensor{Width: 82, Height: 52, LineTotal: 100, FrameTotal: 100, PixelClock: 1_000_000}
	smallOut = Image{Width: 64, Height: 48, BytesPerPixel: 2, Stride: 128}
)

func TestFrameWithoutABufferIsDropped(t *testing.T) {
	r := newRig(t, defaultConfig(), small, smallOut)
	r.OnFrameStart = func(e FrameStart) { r.starts = append(r.starts, e) }
	r.Start(0)
	r.run(25 * sim.Millisecond) // frames at 0, 10 and 20 ms; one buffer
	want := []FrameStart{{Seq: 0, At: 0, Latched: true}, {Seq: 1, At: 10 * sim.Millisecond}, {Seq: 2, At: 20 * sim.Millisecond}}
	for i := range want {
		if i >= len(r.starts) || r.starts[i] != want[i] {
			t.Fatalf("starts %+v, want %+v", r.starts, want)
		}
	}
	if got, want := r.Stats(), (Stats{Frames: 3, Captured: 1, Dropped: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if len(r.bus.log) != 48 {
		t.Errorf("%d units written, want those of one frame, 48", len(r.bus.log))
	}
}

func TestBufferArmedDuringAFrameIsLatchedByTheNext(t *testing.T) {
	r := newRig(t, defaultConfig(), small, smallOut)
	r.OnFrameStart = func(e FrameStart) {
		r.starts = append(r.starts, e)
		if e.Seq == 0 {
			r.Arm(0x5000, 41)
			r.Arm(0x6000, 42)
		}
	}
	r.Start(0)
	r.run(19 * sim.Millisecond)
	if r.starts[1].Cookie != 42 || r.dones[1].Cookie != 42 || r.dones[0].Cookie != 0 {
		t.Errorf("%+v %+v, want cookie 42 for frame 1", r.starts[1], r.dones)
	}
	if r.bus.log[0].va != target || r.bus.log[47].va != target+47*128 || r.bus.log[48].va != 0x6000 {
		t.Errorf("frame 0 at %v to %v, frame 1 at %v; want the first buffer throughout, then the one armed last", r.bus.log[0].va, r.bus.log[47].va, r.bus.log[48].va)
	}
}

func TestDisarmedBufferIsNotUsed(t *testing.T) {
	r := newRig(t, defaultConfig(), small, smallOut)
	r.Disarm()
	r.Start(0)
	r.run(5 * sim.Millisecond)
	if r.starts[0].Latched || len(r.bus.log) != 0 {
		t.Errorf("%+v, %d units written; want none", r.starts[0], len(r.bus.log))
	}
}

func TestFrameStillOnItsWayAtTheNextStartIsCutShort(t *testing.T) {
	r := newRig(t, defaultConfig(), small, smallOut)
	var order []string
	start, done := r.OnFrameStart, r.OnFrameDone
	r.OnFrameStart = func(e FrameStart) { order = append(order, "start"); start(e) }
	r.OnFrameDone = func(e FrameDone) { order = append(order, "done"); done(e) }
	r.bus.stallFrom, r.bus.stallTo = 3*sim.Millisecond, 10*sim.Millisecond+sim.Microsecond
	r.Start(0)
	r.run(19 * sim.Millisecond)

	if want := (FrameDone{Seq: 0, Start: 0, Done: 10 * sim.Millisecond, Overflowed: true}); r.dones[0] != want {
		t.Errorf("got %+v, want %+v", r.dones[0], want)
	}
	if got := r.Stats(); got.Captured != 1 || got.Overflowed != 1 || got.Dropped != 0 || got.Overflows != 1 {
		t.Errorf("got %+v, want frame 0 overflowed, with one record, and frame 1 captured", got)
	}
	if o := r.Overflows()[0]; o.At != 10*sim.Millisecond || o.Seq != 0 || o.Port != ResizerLine1 || o.Waited < 6*sim.Millisecond || o.Waited > 7*sim.Millisecond {
		t.Errorf("overflow %+v, want it at 10ms after waiting since about 3ms", o)
	}
	if got, want := len(order), 4; got != want || order[1] != "done" || order[2] != "start" {
		t.Errorf("callbacks %v, want start, done, start, done", order)
	}
	if last := r.bus.log[len(r.bus.log)-1].va; last != target+47*128 {
		t.Errorf("the last unit of frame 1 is at %v", last)
	}
}

func TestAbandonedUnitIsWithdrawnFromAPortThatCan(t *testing.T) {
	for _, withdraw := range []bool{false, true} {
		r := newRig(t, defaultConfig(), small, smallOut)
		r.bus.fixed = !withdraw
		r.OnFrameStart = func(e FrameStart) { r.Arm(0x5000, 1) }
		r.bus.stallFrom, r.bus.stallTo = 3*sim.Millisecond, 10*sim.Millisecond+sim.Microsecond
		r.Start(0)
		r.run(19 * sim.Millisecond)
		late, second := 0, 0
		for _, x := range r.bus.log {
			if x.va >= target && x.done > 10*sim.Millisecond {
				late++
			}
			if x.va < target {
				second++
			}
		}
		if want := map[bool]int{false: 1, true: 0}[withdraw]; late != want {
			t.Errorf("withdraw %v: %d units reached the old buffer after its frame was over, want %d", withdraw, late, want)
		}
		if len(r.dones) != 2 || r.dones[1].Overflowed || second != 48 {
			t.Errorf("withdraw %v: frames %+v, want the second complete", withdraw, r.dones)
		}
	}
}

// lastDone makes the last byte of frame 0 reach memory at the given time.
func lastDone(t *testing.T, at sim.Time) *rig {
	s := small
	s.FrameTotal = 52 // no vertical blanking
	r := newRig(t, defaultConfig(), s, smallOut)
	r.ideal(0)
	ready := produced(defaultConfig(), s, smallOut, 0, 0, 47, 127)
	r.bus.latency = at - ready
	r.Start(0)
	r.run(s.FrameTime() + 100*sim.Nanosecond)
	return r
}

func TestFrameCompleteAtTheVeryStartOfTheNextIsCaptured(t *testing.T) {
	frame := 5200 * sim.Microsecond
	r := lastDone(t, frame)
	if len(r.dones) != 1 || r.dones[0].Overflowed || r.dones[0].Done != frame {
		t.Errorf("frames %+v, want frame 0 complete at %v", r.dones, frame)
	}
}

func TestFrameCompleteAPicosecondAfterTheStartOfTheNextOverflows(t *testing.T) {
	frame := 5200 * sim.Microsecond
	r := lastDone(t, frame+1)
	if len(r.dones) != 1 || !r.dones[0].Overflowed || r.dones[0].Done != frame {
		t.Errorf("frames %+v, want frame 0 cut short at %v", r.dones, frame)
	}
	if got := r.Stats().Overflows; got != 1 {
		t.Errorf("%d overflows, want 1", got)
	}
}

func TestStopEndsTheStreamAtOnce(t *testing.T) {
	r := newRig(t, defaultConfig(), small, smallOut)
	r.Start(0)
	r.run(13 * sim.Millisecond)
	written := r.bus.bursts
	r.Stop()
	r.Stop()
	r.run(100 * sim.Millisecond)
	if len(r.starts) != 2 || len(r.dones) != 1 || r.bus.bursts != written {
		t.Errorf("%d starts, %d dones, %d more bursts; want 2, 1 and none", len(r.starts), len(r.dones), r.bus.bursts-written)
	}
	if r.eng.Next() != sim.Never {
		t.Error("an event is left behind")
	}
}

func TestStoppedStreamStartsAgainAtSequenceZero(t *testing.T) {
	r := newRig(t, defaultConfig(), small, smallOut)
	r.Start(0)
	r.run(13 * sim.Millisecond)
	r.Stop()
	r.Arm(target, 99)
	r.Start(20 * sim.Millisecond)
	r.run(29 * sim.Millisecond)
	if e := r.starts[len(r.starts)-1]; e != (FrameStart{Seq: 0, At: 20 * sim.Millisecond, Latched: true, Cookie: 99}) {
		t.Errorf("got %+v", e)
	}
	if e := r.dones[len(r.dones)-1]; e.Overflowed || e.Cookie != 99 || e.Start != 20*sim.Millisecond {
		t.Errorf("got %+v", e)
	}
}

func TestStreamCanBeStoppedFromItsCallbacks(t *testing.T) {
	for _, late := range []bool{false, true} {
		r := newRig(t, defaultConfig(), small, smallOut)
		if late {
			r.bus.stallFrom, r.bus.stallTo = 3*sim.Millisecond, 12*sim.Millisecond
		}
		r.OnFrameDone = func(e FrameDone) { r.dones = append(r.dones, e); r.Stop() }
		r.Start(0)
		r.run(50 * sim.Millisecond)
		if len(r.starts) != 1 || len(r.dones) != 1 || r.dones[0].Overflowed != late {
			t.Errorf("late %v: %d starts, dones %+v; want one each", late, len(r.starts), r.dones)
		}
	}
}

func TestResetForgetsTheWarmUp(t *testing.T) {
	r := newRig(t, defaultConfig(), small, smallOut)
	r.bus.stallFrom, r.bus.stallTo = 3*sim.Millisecond, 4*sim.Millisecond
	r.Start(0)
	r.run(9500 * sim.Microsecond)
	if r.Stats().Overflows == 0 || len(r.Overflows()) == 0 {
		t.Fatal("no overflow in the warm-up")
	}
	r.Reset()
	r.run(29500 * sim.Microsecond)
	if got, want := r.Stats(), (Stats{Frames: 2, Captured: 2}); got != want || len(r.Overflows()) != 0 {
		t.Errorf("got %+v with %d records, want %+v and none", got, len(r.Overflows()), want)
	}
}

func TestOverflowRecordsAreBoundedAndCountsAreNot(t *testing.T) {
	cfg := defaultConfig()
	cfg.PortBytes = 256
	r := newRig(t, cfg, et8ek8, preview)
	r.bus.latency = 20 * sim.Microsecond
	r.Start(0)
	r.run(2 * et8ek8.FrameTime())
	if len(r.Overflows()) != MaxOverflowRecords || r.Stats().Overflows <= MaxOverflowRecords {
		t.Errorf("%d records of %d overflows, want %d", len(r.Overflows()), r.Stats().Overflows, MaxOverflowRecords)
	}
}

func TestRunningPipelineAllocatesNothing(t *testing.T) {
	r := newRig(t, defaultConfig(), small, smallOut)
	r.bus.mute = true
	r.bus.gap = tiny
	r.OnFrameStart = func(FrameStart) { r.Arm(target, 0) }
	r.OnFrameDone = nil
	r.Start(0)
	r.run(100 * sim.Millisecond)
	now := 100 * sim.Millisecond
	if got := testing.AllocsPerRun(20, func() {
		now += 20 * sim.Millisecond
		r.run(now)
	}); got != 0 {
		t.Errorf("%v allocations in two frames, want none", got)
	}
}

func TestMisalignedBufferPanics(t *testing.T) {
	r := newRig(t, defaultConfig(), small, smallOut)
	defer func() {
		if recover() == nil {
			t.Error("armed")
		}
	}()
	r.Arm(0x1010, 0)
}

// BenchmarkFrame runs frames of the reference mode against a fake bus.
func BenchmarkFrame(b *testing.B) {
	for _, c := range []struct {
		name   string
		sensor Sensor
		out    Image
	}{{"864x656", et8ek8, preview}, {"2592x1968-quarter", full, uyvy(644, 490)}} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b, defaultConfig(), c.sensor, c.out)
			r.bus.mute = true
			r.OnFrameStart = func(FrameStart) { r.Arm(target, 0) }
			r.OnFrameDone = nil
			r.Start(0)
			r.run(c.sensor.FrameTime())
			b.ReportAllocs()
			b.ResetTimer()
			bursts := r.bus.bursts
			for i := range b.N {
				r.run(sim.Time(i+2) * c.sensor.FrameTime())
			}
			b.StopTimer()
			if r.Stats().Overflowed != 0 {
				b.Fatalf("%+v", r.Stats())
			}
			n := float64(r.bus.bursts - bursts)
			b.ReportMetric(n/b.Elapsed().Seconds(), "bursts/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/burst")
			b.ReportMetric(float64(b.N)*float64(c.sensor.FrameTime())/float64(sim.Second)/b.Elapsed().Seconds(), "sim_s/s")
		})
	}
}
