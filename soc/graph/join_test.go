package graph

import (
	"slices"
	"testing"

	"socsim/isp"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/dmabuf"
)

// small is the quiet preview at a quarter of its size each way, at the same rates.
func small() Config {
	app := quiet()
	app.Buffers[0].Size, app.Buffers[1].Size = Size{216, 164}, Size{200, 120}
	app.Stages[0].Sensor = &Sensor{Sensor: isp.Sensor{Width: 216, Height: 164, LineTotal: 996, FrameTotal: 168, PixelClock: 5e6}}
	app.Stages[2].Panel = &Panel{Panel: display.Panel{Width: 200, Height: 120, PixelClock: 1.5e6, HFP: 7, HSW: 1, HBP: 6, VFP: 1, VSW: 1, VBP: 1}}
	return app
}

// overlaid is the small preview with a picture that a decoder makes each period, drawn over it.
func overlaid(when When, period sim.Time) Config {
	app := small()
	app.Buffers = append(app.Buffers, Buffer{Name: "overlay", Count: 2, Size: Size{160, 120}, Format: "rgb565", Exporter: dmabuf.SystemHeap, Memory: "pages", CPUMapping: cpu.Cached})
	app.Stages = append(app.Stages, Stage{Name: "decoder", Device: CPU, Output: "overlay", Every: 1, Period: period, Write: &Access{Fraction: 1_000_000, Width: 4}, Sync: SyncAuto})
	app.Stages[1].Inputs = []Input{{Buffer: "overlay", When: when}}
	return app
}

// diamond is the preview of which a CPU stage makes a picture that is drawn over the same frame.
func diamond() Config {
	app := overlaid(WhenEvery, 0)
	app.Stages[3] = Stage{Name: "faces", Device: CPU, Input: "preview", Output: "overlay", Every: 1, Read: &Access{Fraction: 100_000, Width: 4}, Write: &Access{Fraction: 1_000_000, Width: 4}, Sync: SyncAuto}
	return app
}

func (r *rig) stage(name string) *stage {
	for _, st := range r.graph.stages {
		if st.cfg.Name == name {
			return st
		}
	}
	return nil
}

// idle counts the buffers of a set that are free, wait for a stage, or are kept by one for its next frame.
func (r *rig) idle(name string) int {
	s := r.graph.byName[name]
	seen := map[int]bool{}
	for _, i := range s.free {
		seen[i] = true
	}
	for _, in := range s.joins {
		if in.held != nil {
			seen[in.held.index] = true
		}
		for _, f := range in.inbox {
			seen[f.index] = true
		}
	}
	return len(seen)
}

func TestAJoinTakesFramesOfBothInputsInPairs(t *testing.T) {
	app := diamond()
	app.Buffers[0].Count, app.Buffers[1].Count, app.Buffers[2].Count = 3, 2, 1
	r := start(t, chip(), app, strategy(t, "range"), 500*sim.Millisecond)
	made := func(set string) int { return r.graph.byName[set].made }
	if captured := made("preview"); captured < 10 || made("overlay") < captured-2 || made("screen") < made("overlay")-1 || made("screen") > made("overlay") {
		t.Errorf("%d frames, %d overlays, %d drawn", made("preview"), made("overlay"), made("screen"))
	}
	if cam := r.graph.Cameras()[0].Main.Stats(); cam.Dropped > 4 || cam.Overflowed != 0 { // those of the set-up
		t.Errorf("camera: %+v", cam)
	}
	st := r.stage("compositor")
	if n := st.graphics.Stats().Jobs; int(n) < made("screen")-1 {
		t.Errorf("%d jobs for %d frames", n, made("screen"))
	}
	if got := r.seen.count; got != [len(got)]int{} {
		t.Errorf("violations: %v", got)
	}
	if s := r.graph.Starved(100 * sim.Millisecond); s != nil {
		t.Errorf("starved: %+v", s)
	}
}

func TestBuffersAreConservedAtAJoin(t *testing.T) {
	for _, when := range []When{WhenEvery, WhenLatest} {
		for _, period := range []sim.Time{7 * sim.Millisecond, 90 * sim.Millisecond} {
			r := start(t, chip(), overlaid(when, period), strategy(t, "range"), 200*sim.Millisecond)
			for at := 201 * sim.Millisecond; at < 500*sim.Millisecond; at += sim.Millisecond {
				r.run(t, at)
				// The decoder may write one.
				if n := r.idle("overlay"); n < 1 || n > 2 {
					t.Fatalf("%s, each %v: %d of 2 buffers are free or kept at %v", when, period, n, at)
				}
			}
		}
	}
}

func TestTheLatestFrameIsKeptUntilANewerOneComes(t *testing.T) {
	const period = 90 * sim.Millisecond
	r := start(t, chip(), overlaid(WhenLatest, period), strategy(t, "range"), 800*sim.Millisecond)
	in := r.stage("compositor").inlets[0]
	frames, overlays := r.graph.byName["screen"].made, r.graph.byName["overlay"].made
	if frames < 20 || overlays < 8 || overlays > 9 {
		t.Errorf("%d frames drawn over with %d pictures", frames, overlays)
	}
	if in.held == nil || in.held.seq < overlays-2 || in.held.refs != 1 {
		t.Errorf("kept: %+v of %d", in.held, overlays)
	}
	if n := r.graph.Allocator().MappingsUnused(); n != 0 {
		t.Errorf("%d mappings were never used: the GPU drew from other buffers than it was given", n)
	}
	if n := len(in.set.free); n != 1 {
		t.Errorf("%d of 2 buffers are free, want all but the one kept", n)
	}
}

func TestOfFramesThatComeFasterAllButTheLatestAreReleasedUnseen(t *testing.T) {
	const period = 5 * sim.Millisecond
	app := overlaid(WhenLatest, period)
	app.Buffers[2].Count = 3
	r := start(t, chip(), app, strategy(t, "range"), 200*sim.Millisecond)
	r.graph.Reset()
	r.run(t, 600*sim.Millisecond)
	if n := r.graph.Sources()[0].Frames; n != 80 { // one is kept, one waits, one is written: the decoder never waits
		t.Errorf("%d pictures in 400 ms, want 80", n)
	}
	in := r.stage("compositor").inlets[0]
	if behind := in.set.made - 1 - in.held.seq; behind > 8 {
		t.Errorf("draws with the picture %d before the newest; a frame takes 33 ms", behind)
	}
}

func TestAStageThatWantsEveryFrameHoldsTheFasterSourceUp(t *testing.T) {
	r := start(t, chip(), overlaid(WhenEvery, 5*sim.Millisecond), strategy(t, "range"), 600*sim.Millisecond)
	frames, overlays := r.graph.byName["screen"].made, r.graph.byName["overlay"].made
	if overlays-frames < 0 || overlays-frames > 2 {
		t.Errorf("%d pictures for %d frames, want one each and those on their way", overlays, frames)
	}
}

func TestLatencyCountsFromTheFirstInput(t *testing.T) {
	r := start(t, chip(), overlaid(WhenLatest, 300*sim.Millisecond), strategy(t, "range"), 800*sim.Millisecond)
	for _, l := range r.graph.Results().Latency[1:] { // the first frame waits for the first picture
		if l < 33*sim.Millisecond || l > 90*sim.Millisecond { // a frame takes 32.6 ms to leave the sensor
			t.Errorf("latency %v, want that of the camera's frame", l)
		}
	}

	app := overlaid(WhenLatest, 60*sim.Millisecond)
	app.Stages[1].Input, app.Stages[1].Inputs[0].Buffer = "overlay", "preview"
	r = start(t, chip(), app, strategy(t, "range"), 800*sim.Millisecond)
	if n := r.graph.byName["screen"].made; n < 12 || n > 14 {
		t.Errorf("%d frames drawn, want one for each picture of 60 ms", n)
	}
	for _, l := range r.graph.Results().Latency[1:] {
		if l < sim.Millisecond || l > 33*sim.Millisecond { // written and drawn in some milliseconds, shown at a refresh of 17.4 ms
			t.Errorf("latency %v, want that of the picture", l)
		}
	}
}

func TestAGPUReadsAllItsInputs(t *testing.T) {
	jobBytes := func(app Config) (bytes uint64, busy sim.Time) {
		r := start(t, chip(), app, strategy(t, "range"), 500*sim.Millisecond)
		g := r.stage("compositor").graphics
		st := g.Stats()
		return r.sys.Fabric.Stats(g.Master).BytesRead / st.Jobs, st.BusyTime / sim.Time(st.Jobs)
	}
	app := overlaid(WhenLatest, 40*sim.Millisecond)
	with, long := jobBytes(app)
	app.Stages[1].Inputs[0].Window = Window{Size{160, 120}, 20, 0}
	small, short := jobBytes(app)
	app.Stages[1].Inputs = nil
	without, _ := jobBytes(app)
	picture := uint64(160 * 120 * 2)
	// A line of it lies under up to three tiles, and takes the place of lines of the frame in the texture cache.
	if small < without+picture || small > without+4*picture {
		t.Errorf("%d bytes a job with a picture of %d bytes, %d without", small, picture, without)
	}
	if short >= long*99/100 {
		t.Errorf("a job takes %v with the picture in a window, and %v with it over the whole", short, long)
	}
	if with < without+picture {
		t.Errorf("%d bytes a job with the picture over the whole, %d without", with, without)
	}
}

func TestBuffersOfAJoinAreMappedForEachFrameAndUnmapped(t *testing.T) {
	app := overlaid(WhenLatest, 40*sim.Millisecond)
	app.Buffers[0].Exporter, app.Buffers[1].Exporter = dmabuf.SystemHeap, dmabuf.CMAHeap
	app.Stages[1].Mapping = MapPerFrame
	r := start(t, chip(), app, strategy(t, "range"), 500*sim.Millisecond)
	d := r.graph.Translated()[1].Driver
	if jobs := r.stage("compositor").graphics.Stats().Jobs; d.Map.Calls < 3*jobs || d.Map.Calls > 3*jobs+3 || d.Unmap.Calls+3 < d.Map.Calls {
		t.Errorf("%d maps and %d unmaps for %d jobs, want three each", d.Map.Calls, d.Unmap.Calls, jobs)
	}
	if n := r.graph.Translated()[1].MMU.Counters(); n.Faults.Total() != 0 || n.StaleUses != 0 {
		t.Errorf("%+v", n)
	}
}

func TestACPUStageReadsItsInputsEachInItsWay(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		app := overlaid(WhenLatest, 40*sim.Millisecond)
		app.Buffers[0].Exporter = dmabuf.SystemHeap
		app.Stages[1].Inputs = nil
		blend := Stage{Name: "blend", Device: CPU, Input: "preview", Every: 2, Read: &Access{Fraction: 500_000, Width: 4}, Sync: SyncAuto}
		blend.Inputs = []Input{{Buffer: "overlay", When: WhenLatest, Read: &Access{Fraction: 250_000, Width: 4}}}
		if inPlace {
			blend.InPlace, blend.Write = true, blend.Read
		}
		app.Stages = append(app.Stages, blend)
		r := start(t, chip(), app, strategy(t, "range"), 300*sim.Millisecond)
		reads := func() uint64 { k := r.sys.Caches.Counters(0); return k.ReadHits + k.ReadMisses }
		readBefore := reads()
		before, blended, decoded := r.graph.Allocator().Stats().CPUAccess, r.graph.byName["preview"].made, r.graph.byName["overlay"].made
		r.run(t, 800*sim.Millisecond)
		blended, decoded = (r.graph.byName["preview"].made-blended)/2, r.graph.byName["overlay"].made-decoded
		// A begin and an end for each buffer that is read, and for each that the decoder writes.
		if got, want := int(r.graph.Allocator().Stats().CPUAccess-before), 4*blended+2*decoded; got < want-6 || got > want+6 || blended < 6 {
			t.Errorf("in place %t: %d brackets for %d frames and %d pictures, want about %d", inPlace, got, blended, decoded, want)
		}
		// Lines: half of 448 x 164 bytes, and a quarter of 320 x 120.
		if got, want := int(reads()-readBefore), blended*(574+150); got < want*93/100 || got > want*107/100 {
			t.Errorf("in place %t: %d lines read, want about %d", inPlace, got, want)
		}
		if got := r.seen.count; got != [len(got)]int{} {
			t.Errorf("in place %t: violations %v", inPlace, got)
		}
	}
}

// One of the two ways between fork and join passes on one frame in two: the frames of the other all end up waiting at the join.
func TestAnUnbalancedDiamondStarvesAndSaysSo(t *testing.T) {
	app := diamond()
	app.Stages[3].Every = 2
	r := start(t, chip(), app, strategy(t, "range"), 600*sim.Millisecond)
	starved := r.graph.Starved(400 * sim.Millisecond)
	want := []Starved{{Stage: "compositor", Buffer: "overlay"}, {Stage: "panel", Buffer: "screen"}, {Stage: "faces", Buffer: "preview"}}
	for i := range starved {
		if starved[i].Since > 400*sim.Millisecond || starved[i].Since == 0 {
			t.Errorf("%+v", starved[i])
		}
		starved[i].Since = 0
	}
	if !slices.Equal(starved, want) {
		t.Errorf("starved: %+v, want %+v", starved, want)
	}
	if n := r.graph.Cameras()[0].Main.Stats().Dropped; n < 5 {
		t.Errorf("the camera dropped %d frames, want all that follow", n)
	}
}

func TestAStageStarvesForABufferOfItsOutputToo(t *testing.T) {
	app := small()
	app.Buffers[1].Count = 1 // which the panel shows for ever
	r := start(t, chip(), app, strategy(t, "range"), 600*sim.Millisecond)
	s := r.graph.Starved(400 * sim.Millisecond)
	if len(s) != 2 || s[0].Stage != "compositor" || !s[0].Output || s[0].Buffer != "screen" || s[1].Stage != "panel" || s[1].Output {
		t.Errorf("%+v", s)
	}
}

func TestEveryCountsTheFramesOfItsOwnInput(t *testing.T) {
	app := overlaid(WhenLatest, 10*sim.Millisecond)
	app.Stages[1].Inputs = nil
	app.Buffers = append(app.Buffers, Buffer{Name: "half", Count: 2, Size: Size{160, 120}, Format: "rgb565", Exporter: dmabuf.SystemHeap, Memory: "pages", CPUMapping: cpu.Cached})
	some := &Access{Fraction: 10_000, Width: 4}
	app.Stages = append(app.Stages,
		Stage{Name: "first", Device: CPU, Input: "overlay", Output: "half", Every: 2, Read: some, Write: some, Sync: SyncAuto},
		Stage{Name: "second", Device: CPU, Input: "half", Every: 3, Read: some, Sync: SyncAuto})
	app.Buffers = append(app.Buffers, Buffer{Name: "sixth", Count: 2, Size: Size{160, 120}, Format: "rgb565", Exporter: dmabuf.SystemHeap, Memory: "pages", CPUMapping: cpu.Cached})
	app.Stages[len(app.Stages)-1].Output, app.Stages[len(app.Stages)-1].Write = "sixth", some
	r := start(t, chip(), app, strategy(t, "range"), 600*sim.Millisecond)
	all, half, sixth := r.graph.byName["overlay"].made, r.graph.byName["half"].made, r.graph.byName["sixth"].made
	if all < 50 || half < all/2-1 || half > all/2+1 || sixth < half/3-1 || sixth > half/3+1 {
		t.Errorf("%d frames, of which one in two: %d, and of those one in three: %d", all, half, sixth)
	}
}

func TestASourceKeepsItsRateOnceBuffersAreFreeAgain(t *testing.T) {
	app := overlaid(WhenEvery, 10*sim.Millisecond)
	app.Stages[1].Inputs = nil
	app.Stages = append(app.Stages, Stage{Name: "reader", Device: CPU, Input: "overlay", Every: 1, Read: &Access{Fraction: 1_000_000, Width: 4, Compute: 1000}, Sync: SyncAuto})
	r := start(t, chip(), app, strategy(t, "range"), 200*sim.Millisecond)
	r.graph.Reset()
	r.run(t, 500*sim.Millisecond)
	if n := r.graph.Sources()[0]; n.Name != "decoder" || n.Frames != 30 {
		t.Errorf("%+v in 300 ms of 10 ms each", n)
	}

	app.Stages[len(app.Stages)-1].Read.Compute = 200_000 // 38400 bytes at 200 cycles: 12.8 ms a frame and more, which is slower than the source
	r = start(t, chip(), app, strategy(t, "range"), 200*sim.Millisecond)
	r.graph.Reset()
	r.run(t, 500*sim.Millisecond)
	if n := r.graph.Sources()[0].Frames; n < 20 || n > 24 {
		t.Errorf("%d frames for a reader that takes 12.8 ms each, want as many as it takes", n)
	}
	if s := r.stage("decoder").waits; s.on == nil || s.on.cfg.Name != "overlay" {
		t.Errorf("the source waits for %+v, want a free buffer", s)
	}
}

func TestTwoCamerasAndTwoDisplaysWorkSideBySide(t *testing.T) {
	app := quiet()
	second := quiet()
	for i := range second.Buffers {
		second.Buffers[i].Name += "2"
	}
	for i := range second.Stages {
		s := &second.Stages[i]
		s.Name += "2"
		if s.Input != "" {
			s.Input += "2"
		}
		if s.Output != "" {
			s.Output += "2"
		}
	}
	app.Buffers = append(app.Buffers, second.Buffers...)
	app.Stages = append(app.Stages, second.Stages...)
	c := chip()
	c.DRAM.Clock = 200e6 // two displays and two cameras take 500 MB/s
	r := start(t, c, app, strategy(t, "range"), 400*sim.Millisecond)
	for i, cam := range r.graph.Cameras() {
		if st := cam.Main.Stats(); st.Captured < 7 || st.Overflowed != 0 {
			t.Errorf("camera %d: %+v", i, st)
		}
	}
	for i, s := range r.graph.Screens() {
		if st := s.Stats(display.GFX); st.Displayed < 6 || st.Underflows != 0 {
			t.Errorf("display %d: %+v", i, st)
		}
	}
	if n := len(r.graph.Displays()); n != 2 {
		t.Errorf("%d displays", n)
	}
	if got := r.seen.count; got != [len(got)]int{} {
		t.Errorf("violations: %v", got)
	}
}
