package graph

import (
	"slices"
	"strings"
	"testing"

	"socsim/isp"
	"socsim/sim"
	"socsim/soc/display"
	"socsim/soc/memory"
)

// faulty runs the preview with faults under range, in two halves: the second shows that the run goes on.
func faulty(t *testing.T, change func(*Config), faults ...Injection) *rig {
	t.Helper()
	app := preview()
	app.Faults = faults
	app.Stages = slices.Delete(app.Stages, 1, 2) // the CPU has enough to do
	if change != nil {
		change(&app)
	}
	r := start(t, chip(), app, strategy(t, "range"), 350*sim.Millisecond)
	r.conserved(t)
	before := r.camera()
	r.run(t, 700*sim.Millisecond)
	r.conserved(t)
	if after := r.camera(); after.Frames <= before.Frames {
		t.Errorf("the sensor has stopped: %+v", after)
	}
	if n := r.seen.count; n != [memory.ViolationKinds]int{} {
		t.Errorf("violations %v, the last %+v", n, r.seen.last)
	}
	return r
}

// lostAtStart is the frames that find no buffer because the application is still setting up.
const lostAtStart = 1

func (r *rig) camera() isp.Stats { return r.graph.Cameras()[0].Main.Stats() }

func (r *rig) shown() uint64 { return r.graph.Screens()[0].Stats(display.GFX).Displayed }

// conserved checks that every frame of the sensor's is in one count, but for one that is under way.
func (r *rig) conserved(t *testing.T) {
	t.Helper()
	s := r.camera()
	if sum := s.Captured + s.Dropped + s.Overflowed + s.Short; s.Frames != sum && s.Frames != sum+1 {
		t.Errorf("%+v: %d of %d frames are accounted for", s, sum, s.Frames)
	}
}

// one returns the only fault injected.
func (r *rig) one(t *testing.T) Injected {
	t.Helper()
	list := r.graph.Injected()
	if len(list) != 1 {
		t.Fatalf("%d faults injected: %+v", len(list), list)
	}
	return list[0]
}

// flows checks that the application works again: about as many frames are shown as are captured in 200 ms.
func (r *rig) flows(t *testing.T) {
	t.Helper()
	captured, shown := r.camera().Captured, r.shown()
	r.run(t, r.sys.Engine.Now()+200*sim.Millisecond)
	if c, s := r.camera().Captured-captured, r.shown()-shown; c < 5 || s+1 < c {
		t.Errorf("%d frames captured and %d shown in 200ms afterwards", c, s)
	}
}

func TestAFrameCutShortGoesBackWithAnErrorAndIsSeenByNobody(t *testing.T) {
	for _, kind := range []GlitchKind{CutShort, MissingLines} {
		t.Run(string(kind), func(t *testing.T) {
			r := faulty(t, nil, Injection{Kind: SensorGlitch, Target: "camera", Glitch: kind, Lines: 200, At: 250 * sim.Millisecond})
			s, _ := r.graph.FaultStats()
			if c := r.camera(); c.Short != 1 || c.Dropped+c.Overflowed != lostAtStart || s.FramesErrored != 1 || s.Injected != 1 || s.NoEffect != 0 {
				t.Errorf("%+v %+v: want one short frame, and nothing else lost", c, s)
			}
			if o := r.one(t); o.Frame < 5 || o.At != 250*sim.Millisecond || !strings.Contains(o.Effect, "200 lines") {
				t.Errorf("%+v", o)
			}
			if n := len(r.graph.Results().Latency); uint64(n)+3 < r.camera().Captured || uint64(n) > r.camera().Captured {
				t.Errorf("%d frames shown of %d captured", n, r.camera().Captured)
			}
			r.flows(t)
		})
	}
}

func TestLongBlankingCostsTimeAndNoFrame(t *testing.T) {
	r := faulty(t, nil, Injection{Kind: SensorGlitch, Target: "camera", Glitch: LongBlanking, Lines: 2000, At: 250 * sim.Millisecond})
	// 2000 lines of 3984 clocks at 80 MHz are 99.6 ms: three frames of 33.5 ms fewer.
	if c := r.camera(); c.Frames < 18 || c.Frames > 19 || c.Short+c.Dropped+c.Overflowed != lostAtStart {
		t.Errorf("%+v, want 18 frames in 700ms and none lost", c)
	}
	r.flows(t)
}

func TestALostCameraInterruptIsFoundAtTheNextOneAndCostsNoFrame(t *testing.T) {
	// Whichever it is: frame starts and frame dones alternate, a few ms apart.
	for _, at := range []sim.Time{250 * sim.Millisecond, 266 * sim.Millisecond} {
		r := faulty(t, nil, Injection{Kind: DroppedInterrupt, Target: "camera", At: at})
		if o := r.one(t); o.Effect != "interrupt lost, found at the next one" || o.Waited <= 0 || o.Waited > 34*sim.Millisecond {
			t.Errorf("%+v", o)
		}
		if c := r.camera(); c.Dropped+c.Overflowed+c.Short != lostAtStart {
			t.Errorf("%+v, want no frame lost", c)
		}
		r.flows(t)
	}
}

func TestManyLostCameraInterruptsLeaveNothingHanging(t *testing.T) {
	r := faulty(t, nil, Injection{Kind: DroppedInterrupt, Target: "camera", Rate: 30, At: 200 * sim.Millisecond, Count: 10})
	if s, _ := r.graph.FaultStats(); s.Injected != 10 || s.NoEffect != 0 {
		t.Errorf("%+v, want 10 lost interrupts", s)
	}
	r.flows(t)
}

func TestALostGPUInterruptIsFoundByTheWatchdog(t *testing.T) {
	r := faulty(t, nil, Injection{Kind: DroppedInterrupt, Target: "compositor", At: 250 * sim.Millisecond, Watchdog: 150 * sim.Millisecond})
	if o := r.one(t); o.Effect != "interrupt lost, found by the driver's watchdog" || o.Waited != 150*sim.Millisecond {
		t.Errorf("%+v, want it found after 150ms", o)
	}
	if r.camera().Dropped == lostAtStart {
		t.Error("the camera found a free buffer throughout: the compositor held none of the four")
	}
	r.flows(t)
}

func TestALostVsyncInterruptIsFoundAtTheNextVsync(t *testing.T) {
	r := faulty(t, nil, Injection{Kind: DroppedInterrupt, Target: "panel", At: 250 * sim.Millisecond})
	// 856 x 490 pixels at 24 MHz are 17.48 ms.
	if o := r.one(t); o.Effect != "interrupt lost, found at the next one" || o.Waited < 17*sim.Millisecond || o.Waited > 18*sim.Millisecond {
		t.Errorf("%+v, want it found a refresh later", o)
	}
	r.flows(t)
}

func TestALateConsumerHoldsItsFrameAndTheCameraDrops(t *testing.T) {
	r := faulty(t, nil, Injection{Kind: LateConsumer, Target: "compositor", At: 250 * sim.Millisecond, For: 300 * sim.Millisecond})
	if o := r.one(t); o.Waited != 300*sim.Millisecond || !strings.HasPrefix(o.Effect, "held preview") {
		t.Errorf("%+v", o)
	}
	// Nine frames pass in 300 ms; three more buffers take the first of them.
	if c := r.camera(); c.Dropped < lostAtStart+5 || c.Dropped > lostAtStart+8 {
		t.Errorf("%+v, want six frames or so dropped", c)
	}
	r.flows(t)
}

func TestALostTranslationIsMappedAgainWhereItIsMappedOnDemand(t *testing.T) {
	r := faulty(t, func(c *Config) { c.Stages[1].Mapping = MapOnFault }, Injection{Kind: IOMMUFault, Target: "compositor", Every: 100 * sim.Millisecond, At: 250 * sim.Millisecond, Count: 3})
	for _, o := range r.graph.Injected() {
		if o.Effect != "translation removed: fault taken, page mapped again by the driver" || o.Address == "" {
			t.Errorf("%+v", o)
		}
	}
	if s, _ := r.graph.FaultStats(); s.Injected != 3 || s.NoEffect != 0 {
		t.Errorf("%+v", s)
	}
	r.flows(t)
}

func TestALostTranslationStopsADeviceThatIsMappedOnceAndNothingElse(t *testing.T) {
	r := faulty(t, nil, Injection{Kind: IOMMUFault, Target: "compositor", At: 250 * sim.Millisecond})
	if o := r.one(t); o.Effect != "translation removed: fault taken, not handled, the device stopped" {
		t.Errorf("%+v", o)
	}
	if !r.graph.stageNamed("compositor").mmu().Halted() {
		t.Error("the MMU goes on")
	}
	// The camera goes on, and drops; so does the task.
	before, jobs := r.camera(), r.graph.Tasks()[0].Jobs
	r.run(t, 900*sim.Millisecond)
	if c := r.camera(); c.Dropped-before.Dropped < 5 || r.graph.Tasks()[0].Jobs-jobs < 19 {
		t.Errorf("%+v after %+v, and %d jobs", c, before, r.graph.Tasks()[0].Jobs-jobs)
	}
}

func TestALostTranslationIsNoErrorWhenItIsUnmapped(t *testing.T) {
	// With buffers mapped for each frame, some lose a page that the GPU has read already, and are unmapped with the hole.
	app := preview()
	app.Stages[2].Mapping = MapPerFrame
	app.Faults = []Injection{{Kind: IOMMUFault, Target: "compositor", Every: sim.Millisecond / 2, At: 300 * sim.Millisecond}}
	r := start(t, chip(), app, strategy(t, "range"), 600*sim.Millisecond)
	r.conserved(t)
	if s, _ := r.graph.FaultStats(); s.Injected != 600 {
		t.Errorf("%+v, want 600 in 300ms", s)
	}
}

func TestMemoryPressureCostsTheCPUAndGivesItsMemoryBack(t *testing.T) {
	plain := faulty(t, nil)
	free := plain.sys.Memory.FreeBytes()
	r := faulty(t, nil, Injection{Kind: MemoryPressure, At: 300 * sim.Millisecond, For: 100 * sim.Millisecond, Memory: 4 << 20})
	o := r.one(t)
	if !strings.HasSuffix(o.Effect, "pages cleared") || o.Waited < 100*sim.Millisecond || o.Waited > 120*sim.Millisecond {
		t.Errorf("%+v", o)
	}
	if got := r.sys.Memory.FreeBytes(); got != free {
		t.Errorf("%d bytes free, want the %d of a run without", got, free)
	}
	if got, want := r.graph.Tasks()[0].Mean, plain.graph.Tasks()[0].Mean; got <= want {
		t.Errorf("the task takes %v, without the fault %v", got, want)
	}
	r.flows(t)
}

func TestMemoryPressureWithoutMemoryHasNoEffect(t *testing.T) {
	r := faulty(t, nil, Injection{Kind: MemoryPressure, At: 250 * sim.Millisecond, For: sim.Millisecond, Memory: 1 << 30})
	if o := r.one(t); o.Effect != "no effect: there was not so much memory" {
		t.Errorf("%+v", o)
	}
	if s, _ := r.graph.FaultStats(); s.NoEffect != 1 {
		t.Errorf("%+v", s)
	}
}

func TestFaultsOfARateAreThoseOfTheSeed(t *testing.T) {
	times := func(seed uint64) (out []sim.Time) {
		r := faulty(t, func(c *Config) { c.Seed = seed }, Injection{Kind: SensorGlitch, Target: "camera", Glitch: CutShort, Lines: 10, Rate: 40, At: 200 * sim.Millisecond})
		for _, o := range r.graph.Injected() {
			out = append(out, o.At)
		}
		return out
	}
	a, b, c := times(1), times(1), times(2)
	if !slices.Equal(a, b) || slices.Equal(a, c) || len(a) < 10 || len(a) > 30 {
		t.Errorf("%v, again %v, another seed %v: want some forty a second, the same for a seed", a, b, c)
	}
}

func TestWarmUpEndsForFaultsToo(t *testing.T) {
	app := preview()
	app.Faults = []Injection{
		{Kind: SensorGlitch, Target: "camera", Glitch: CutShort, Lines: 10, Every: 100 * sim.Millisecond},
		{Kind: IOMMUFault, Target: "compositor", At: 295 * sim.Millisecond},
	}
	r := start(t, chip(), app, strategy(t, "range"), 300*sim.Millisecond)
	r.graph.Reset()
	r.run(t, 550*sim.Millisecond)
	s, _ := r.graph.FaultStats()
	var kinds []FaultKind
	for _, o := range r.graph.Injected() {
		kinds = append(kinds, o.Kind)
	}
	// Those at 300, 400 and 500 ms, and the lost translation of the warm-up, whose fault came later.
	if s.Injected != 3 || s.ByKind[IOMMUFault] != 0 || !slices.Contains(kinds, IOMMUFault) || s.NoEffect != 0 {
		t.Errorf("%+v, listed %v", s, kinds)
	}
}
