package graph

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/v4l2"
)

const ms = sim.Millisecond

func after(t sim.Time) *sim.Time { return &t }

func TestTimesBeginAndEndToTheTick(t *testing.T) {
	for _, c := range []struct {
		name  string
		times Times
		at    sim.Time
		want  bool
	}{
		{"always", Times{}, 0, true},
		{"before its start", Times{Start: after(5 * ms)}, 5*ms - 1, false},
		{"at its start", Times{Start: after(5 * ms)}, 5 * ms, true},
		{"before its stop", Times{Stop: after(5 * ms)}, 5*ms - 1, true},
		{"at its stop", Times{Stop: after(5 * ms)}, 5 * ms, false},
		{"on", Times{Start: after(5 * ms), Burst: &Burst{2 * ms, 3 * ms}}, 7*ms - 1, true},
		{"off", Times{Start: after(5 * ms), Burst: &Burst{2 * ms, 3 * ms}}, 7 * ms, false},
		{"still off", Times{Start: after(5 * ms), Burst: &Burst{2 * ms, 3 * ms}}, 10*ms - 1, false},
		{"on again", Times{Start: after(5 * ms), Burst: &Burst{2 * ms, 3 * ms}}, 10 * ms, true},
		{"a burst before its start", Times{Start: after(5 * ms), Burst: &Burst{2 * ms, 3 * ms}}, 1 * ms, false},
		{"stopped in a burst", Times{Stop: after(11 * ms), Burst: &Burst{2 * ms, 3 * ms}}, 11 * ms, false},
	} {
		if got := c.times.runs(c.at); got != c.want {
			t.Errorf("%s: runs at %v: %v", c.name, c.at, got)
		}
	}
}

func TestAPhaseIsTheNextTimeThatItRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, least int) sim.Time { return sim.Time(rapid.IntRange(least, 9).Draw(t, name)) }
		x := Times{Start: after(draw("start", 0))}
		if rapid.Bool().Draw(t, "stops") {
			x.Stop = after(*x.Start + draw("stop", 1))
		}
		if rapid.Bool().Draw(t, "bursts") {
			x.Burst = &Burst{draw("on", 1), draw("off", 1)}
		}
		on := func(at sim.Time) bool { // by definition
			return at >= *x.Start && (x.Stop == nil || at < *x.Stop) && (x.Burst == nil || (at-*x.Start)%(x.Burst.On+x.Burst.Off) < x.Burst.On)
		}
		at := draw("at", 0) + draw("more", 0) + draw("yet more", 0)
		begin, end := sim.Never, sim.Never
		for u := at; u < 60; u++ {
			if on(u) {
				begin = u
				break
			}
		}
		if begin != sim.Never {
			for u := begin; u < 60 && end == sim.Never; u++ {
				if !on(u) {
					end = u
				}
			}
		}
		b, e := x.phase(at)
		if max(b, at) != max(begin, at) || e != end || x.runs(at) != on(at) {
			t.Errorf("from %v on it runs %v to %v, want %v to %v", at, b, e, begin, end)
		}
	})
}

// captured runs an application of a camera in bursts for some of them and checks that all is right.
func captured(t *testing.T, app Config, p dmaapi.Policy) *rig {
	t.Helper()
	// Three frames of 33.466 ms and the blanking of 0.8 ms fit into 110 ms.
	app.Stages[0].Times = Times{Start: after(50 * ms), Burst: &Burst{On: 110 * ms, Off: 90 * ms}}
	r := start(t, chip(), app, p, 450*ms)
	cam := r.graph.Cameras()[0].Main.Stats()
	if cam.Captured != 3*2 || cam.Dropped != 0 || cam.Overflowed != 0 {
		t.Errorf("%+v, want 3 frames captured in each of 2 bursts and none dropped", cam)
	}
	for k, n := range r.seen.count {
		if n > 0 {
			t.Errorf("%d violations of kind %d, the last %+v", n, k, r.seen.last)
		}
	}
	return r
}

func TestACameraStreamsInBurstsAndDropsNothingWhileItIsOff(t *testing.T) {
	deferred := func() dmaapi.Policy { return deferring{} }
	byName := func(name string) func() dmaapi.Policy { return func() dmaapi.Policy { return strategy(t, name) } }
	for _, c := range []struct {
		name   string
		policy func() dmaapi.Policy
		change func(*Config)
	}{
		{"range", byName("range"), func(*Config) {}},
		{"whole", byName("whole"), func(*Config) {}},
		{"optimal", byName("optimal"), func(*Config) {}},
		{"deferred", deferred, func(*Config) {}},
		{"imported buffers", byName("range"), func(c *Config) { c.Buffers[0].Exporter = dmabuf.SystemHeap }},
		{"mapped for each frame", byName("range"), func(c *Config) { c.Stages[0].Mapping = MapPerFrame }},
		{"one buffer more than is needed", byName("range"), func(c *Config) { c.Buffers[0].Count = 3 }},
		{"a stage that writes in place", byName("range"), func(c *Config) {
			c.Stages[1].Write, c.Stages[1].InPlace = &Access{Fraction: WholeBuffer, Width: 4}, true
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := preview()
			app.Tasks = nil
			c.change(&app)
			r := captured(t, app, c.policy())
			if app.Stages[0].Mapping == MapPerFrame { // what is not in the queue is not mapped
				x, queued := r.graph.Translated()[0].Driver, 0
				for i := range app.Buffers[0].Count {
					if r.graph.stages[0].captures[0].queue.State(i) != v4l2.Dequeued {
						queued++
					}
				}
				if n := int(x.Map.Calls - x.Unmap.Calls); n != queued {
					t.Errorf("%d buffers are mapped and %d queued", n, queued)
				}
			}
			// A frame that is in memory when the stream ends is shown, but the last of a burst may be lost in the queue.
			if n := r.graph.Screens()[0].Stats(display.GFX).Displayed; n < 2*2 || n > 3*2 {
				t.Errorf("%d frames displayed, want 4 to 6", n)
			}
		})
	}
}

func TestABufferStaysWithItsConsumerOverAStop(t *testing.T) {
	app := preview()
	app.Stages[1].Every, app.Stages[1].Hold = 2, after(130*ms) // from one burst into the next
	app.Buffers[0].Count = 6
	captured(t, app, strategy(t, "range"))
}

func TestStatisticsAndRawFramesStartAndStopWithTheCamera(t *testing.T) {
	app := quiet()
	app.Buffers = append(app.Buffers, Buffer{Name: "still", Count: 2, Size: Size{864, 656}, Format: FormatRaw, Exporter: dmabuf.VB2SG, Memory: "pages", CPUMapping: cpu.Cached})
	app.Stages[0].Raw = &Raw{Output: "still", Frames: 4}
	app.Stages[0].Statistics = &Statistics{AF: 4 << 10, AWB: 16 << 10, LSC: 8 << 10}
	app.Stages = append(app.Stages, Stage{Name: "encoder", Device: CPU, Input: "still", Every: 1, Read: &Access{Fraction: WholeBuffer, Width: 8}, Sync: SyncAuto})
	r := captured(t, app, strategy(t, "range"))
	cam := r.graph.Cameras()[0]
	if raw := cam.Raw.Stats(); raw.Captured != 4 {
		t.Errorf("raw frames: %+v, want 4 over two bursts", raw)
	}
	if n := cam.AEWB.Stats().Captured; n != 6 || cam.GainErrors() != 0 {
		t.Errorf("statistics of %d frames, %d gains late; want 6 and none", n, cam.GainErrors())
	}
}

func TestACameraStartsAtItsTime(t *testing.T) {
	app := quiet()
	app.Stages[0].Start = after(100 * ms)
	r := start(t, chip(), app, strategy(t, "range"), 100*ms)
	c := r.graph.stages[0].captures[0]
	if s := c.queue.State(0).String(); c.streaming || s != "dequeued" {
		t.Errorf("a tick before its start it streams (%v) or has queued a buffer (%v)", c.streaming, s)
	}
	r.run(t, 100*ms+10*sim.Microsecond) // a system call and a half
	if s := c.queue.State(0).String(); s == "dequeued" {
		t.Errorf("at its start no buffer is on its way to the queue")
	}
	// QBUFs of 4 buffers with a clean each take milliseconds; a frame takes 32.6 ms to leave the sensor.
	r.run(t, 132*ms)
	if n := r.graph.captured; n != 0 {
		t.Errorf("%d frames captured after 32 ms", n)
	}
	r.run(t, 145*ms)
	if n := r.graph.captured; n != 1 {
		t.Errorf("%d frames captured after 45 ms, want 1", n)
	}
}

func TestFramesPassAStageThatIsOff(t *testing.T) {
	for _, device := range []string{"faces", "compositor"} {
		app := preview()
		app.Tasks = nil
		i := slices.IndexFunc(app.Stages, func(s Stage) bool { return s.Name == device })
		app.Stages[i].Stop = after(300 * ms)
		r := start(t, chip(), app, strategy(t, "range"), 350*ms) // what it took it finishes
		faces, jobs := r.sys.Core.TaskTime(0), r.graph.stages[2].graphics.Stats().Jobs
		dropped := r.graph.Cameras()[0].Main.Stats().Dropped
		r.run(t, 500*ms)
		facesLater, jobsLater := r.sys.Core.TaskTime(0)-faces, r.graph.stages[2].graphics.Stats().Jobs-jobs
		if off := device == "faces"; (facesLater == 0) != off || (jobsLater == 0) == off {
			t.Errorf("%s is off: faces work %v and the GPU does %d jobs", device, facesLater, jobsLater)
		}
		if n := r.graph.Cameras()[0].Main.Stats().Dropped - dropped; n != 0 {
			t.Errorf("%s is off: %d frames dropped", device, n)
		}
	}
}

func TestATaskReleasesItsJobsWhileItIsOn(t *testing.T) {
	for _, c := range []struct {
		name  string
		times Times
		jobs  int
	}{
		{"always", Times{}, 40},
		{"from a time on", Times{Start: after(105 * ms)}, 30}, // at 105, 115, ... 395 ms
		{"up to a time", Times{Stop: after(100 * ms)}, 10},
		{"up to just after a release", Times{Stop: after(100*ms + 1)}, 11},
		{"in bursts with short pauses", Times{Burst: &Burst{25 * ms, 8 * ms}}, 36},      // at 0, 10 and 20 ms of each 33, the first 12 times
		{"in bursts", Times{Start: after(5 * ms), Burst: &Burst{25 * ms, 75 * ms}}, 12}, // at 5, 15 and 25 ms of each 100
	} {
		app := Config{Seed: 1, Tasks: preview().Tasks}
		app.Tasks[0].Times = c.times
		r := start(t, chip(), app, strategy(t, "range"), 399*ms)
		if k := r.graph.Tasks()[0]; k.Jobs != c.jobs || k.Mean > 4*ms {
			t.Errorf("%s: %d jobs of %v, want %d of some 3 ms", c.name, k.Jobs, k.Mean, c.jobs)
		}
	}
}

func TestATaskStartsToTheTick(t *testing.T) {
	app := Config{Seed: 1, Tasks: preview().Tasks}
	app.Tasks[0].Start = after(100 * ms)
	r := start(t, chip(), app, strategy(t, "range"), 100*ms)
	touches := func() uint64 {
		c := r.sys.Core.Caches().Counters(0)
		return c.ReadHits + c.ReadMisses
	}
	before := touches()
	r.run(t, 100*ms+1)
	if touches() != before {
		t.Error("it touched memory at the tick of its start, before it worked")
	}
	r.run(t, 100*ms+10*sim.Microsecond)
	if touches() == before {
		t.Error("it does nothing 10us after its start")
	}
}

// A consumer that keeps its frames leaves the camera without buffers, as section 8 of the design has it.
func TestAConsumerThatHoldsItsFramesMakesTheCameraDrop(t *testing.T) {
	app := preview()
	app.Stages[1].Every, app.Stages[1].Hold = 1, after(100*ms)
	r := start(t, chip(), app, strategy(t, "range"), 200*ms)
	before := r.graph.Cameras()[0].Main.Stats()
	r.run(t, 1200*ms)
	cam := r.graph.Cameras()[0].Main.Stats()
	captured, dropped, frames := cam.Captured-before.Captured, cam.Dropped-before.Dropped, cam.Frames-before.Frames
	// One buffer comes back every 100 ms and some: each makes a frame.
	if captured < 8 || captured > 11 || captured+dropped+1 < frames {
		t.Errorf("%d of %d frames captured, %d dropped; want some 9 captured and the others dropped", captured, frames, dropped)
	}
}

// A GPU waits for a free buffer: it draws no more than the display gives back, and what the GPU has not taken keeps the camera waiting in turn.
func TestADisplayThatHoldsItsFramesMakesTheGPUWait(t *testing.T) {
	app := quiet()
	app.Stages[2].Hold = after(100 * ms)
	r := start(t, chip(), app, strategy(t, "range"), 200*ms)
	gpu := r.graph.stages[1].graphics
	jobs, cam := gpu.Stats().Jobs, r.graph.Cameras()[0].Main.Stats()
	r.run(t, 1200*ms)
	jobs = gpu.Stats().Jobs - jobs
	later := r.graph.Cameras()[0].Main.Stats()
	// A flip waits for a vsync of 57 Hz, up to 17.5 ms, before the 100 ms.
	if jobs < 8 || jobs > 10 {
		t.Errorf("%d jobs in 1 s, want one for each of the 100 to 117.5 ms that a buffer stays", jobs)
	}
	if n := later.Captured - cam.Captured; n < jobs-1 || n > jobs+1 || later.Dropped == cam.Dropped {
		t.Errorf("%d frames captured for %d jobs and %d dropped", n, jobs, later.Dropped-cam.Dropped)
	}
}

func TestADelayAddsToTheLatencyAndUsesNoCore(t *testing.T) {
	latencies := func(delay, jitter *sim.Time) ([]sim.Time, sim.Time) {
		app := quiet()
		app.Stages[1].Delay, app.Stages[1].Jitter = delay, jitter
		r := start(t, chip(), app, strategy(t, "range"), 500*ms)
		return r.graph.Results().Latency, r.sys.Core.Time(cpu.Idle)
	}
	mean := func(l []sim.Time) (m sim.Time) {
		for _, x := range l {
			m += x / sim.Time(len(l))
		}
		return m
	}
	plain, idle := latencies(nil, nil)
	late, idleLate := latencies(after(20*ms), nil)
	if d := mean(late) - mean(plain); d < 17*ms || d > 23*ms { // to the next vsync, on the average
		t.Errorf("a delay of 20ms adds %v", d)
	}
	if d := idle - idleLate; d > 5*ms {
		t.Errorf("the core is idle for %v less", d)
	}
	jittery, _ := latencies(nil, after(20*ms))
	if d := mean(jittery) - mean(plain); d < 5*ms || d > 15*ms {
		t.Errorf("a jitter of 20ms adds %v, want some 10ms", d)
	}
	if again, _ := latencies(nil, after(20*ms)); !slices.Equal(jittery, again) {
		t.Error("the same seed gives other delays")
	}
}

func TestJitterIsWithinItsBounds(t *testing.T) {
	x, rng := Lateness{Delay: after(10), Jitter: after(3)}, sim.Stream(1, "test")
	seen := map[sim.Time]bool{}
	for range 1000 {
		seen[x.late(rng)] = true
	}
	if len(seen) != 4 || !seen[10] || !seen[13] {
		t.Errorf("delays of %v, want 10 to 13", seen)
	}
}

func TestAJobBeginsItsStridesAnewAndGoesOnWithItsTrace(t *testing.T) {
	strided := &walk{Area: Area{Row: 1024, Rows: 1}, pattern: Strided, how: cpu.Touch{Width: 4}, stride: 64}
	traced := &walk{pattern: Traced, trace: []spot{{0, 4, false}, {64, 4, false}}, all: 2, left: 2}
	for _, w := range []*walk{strided, traced} {
		w.advance()
		w.beginJob()
		w.advance()
	}
	if strided.cur.off != 0 || strided.cur.count != 16 || traced.cur.off != 64 {
		t.Errorf("a second job begins with %+v and %+v", strided.cur, traced.cur)
	}
}

func TestATaskTouchesItsWorkingSetByStrideOrTrace(t *testing.T) {
	stride := units.Bytes(4096)
	trace := &Trace{Records: []Record{{0x40, 4, false}, {0x80, 4, true}, {0xc0, 8, false}}}
	for _, c := range []struct {
		name          string
		change        func(*Task)
		misses, least uint64
	}{
		// 32 places of one set of L1: none is there when its turn comes again.
		{"strided", func(k *Task) { k.Access, k.Stride = TaskPattern(Strided), &stride }, 90, 90},
		{"traced", func(k *Task) { k.Access, k.Trace = TaskPattern(Traced), trace }, 4, 2},
	} {
		app := Config{Seed: 1, Tasks: preview().Tasks}
		k := &app.Tasks[0]
		k.Work, k.TouchEvery = 100*sim.Microsecond, 600 // 100 touches a job
		c.change(k)
		chip := chip()
		chip.L1D.Replacement, chip.CPU.TLBEntries = cachemodel.LRU, 64
		chip.Memory.Fragmentation = 0
		r := start(t, chip, app, strategy(t, "range"), 15*ms)
		before := r.sys.Core.Caches().Counters(0)
		r.run(t, 19*ms) // nothing
		if now := r.sys.Core.Caches().Counters(0); now != before {
			t.Errorf("%s: it works between its jobs", c.name)
		}
		r.run(t, 29*ms)
		now := r.sys.Core.Caches().Counters(0)
		touches, misses := now.ReadHits+now.ReadMisses-before.ReadHits-before.ReadMisses, now.ReadMisses-before.ReadMisses
		stores := now.WriteHits + now.WriteMisses - before.WriteHits - before.WriteMisses
		if c.name == "traced" && (stores < 33 || stores > 34) || c.name == "strided" && (stores != 0 || touches < 100) {
			t.Errorf("%s: %d loads and %d stores", c.name, touches, stores)
		}
		if misses < c.least && c.name == "strided" || misses > c.misses && c.name == "traced" {
			t.Errorf("%s: %d of %d loads missed", c.name, misses, touches)
		}
	}
}

func TestASourceMakesFramesOnlyWhileItRuns(t *testing.T) {
	at := func(x sim.Time) *sim.Time { return &x }
	x := Times{Start: at(10 * sim.Millisecond), Stop: at(100 * sim.Millisecond), Burst: &Burst{On: 20 * sim.Millisecond, Off: 30 * sim.Millisecond}}
	var due []sim.Time
	for d := x.nextDue(0); d < sim.Never; d = x.nextDue(d + 8*sim.Millisecond) {
		due = append(due, d/sim.Millisecond)
	}
	if want := []sim.Time{10, 18, 26, 60, 68, 76}; !slices.Equal(due, want) {
		t.Errorf("frames at %v ms, want %v", due, want)
	}
}
