package flush_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/cachemodel"
	"socsim/internal/coherency"
	"socsim/internal/conf"
	"socsim/sim"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/presets"
)

// chip is a chip with nothing on it but the core.
func chip(t *testing.T, preset string, settings ...conf.Override) *soc.System {
	t.Helper()
	var root struct {
		SoC soc.Config `conf:"soc,preset=soc"`
	}
	if _, err := conf.Decode(conf.Source{Name: "test", Data: []byte("soc: " + preset + "\n")}, settings, presets.Set{}, &root); err != nil {
		t.Fatal(err)
	}
	sys, err := soc.New(root.SoC, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	return sys
}

// start lets a policy start on a chip, and returns what the caches did wrong and the driver's and maintenance's time.
func start(t *testing.T, sys *soc.System, p dmaapi.Policy) (violations int, took sim.Time) {
	t.Helper()
	profile, ok := dmaapi.ProfileByName(sys.Config.Coherence)
	if !ok {
		t.Fatalf("no profile %q", sys.Config.Coherence)
	}
	check := coherency.New(sys.Memory, sys.MasterName)
	sys.Memory.SetObserver(check)
	api := dmaapi.New(sys.Core, profile, p, check)
	sys.Core.Spawn("setup", func(th *cpu.Thread) { api.Start(th) })
	if err := sys.Engine.Run(context.Background(), sim.Never); err != nil {
		t.Fatal(err)
	}
	return len(check.Violations()), sys.Core.Time(cpu.Driver) + sys.Core.MaintenanceTime()
}

// calibrated measures with some parameters.
func calibrated(t *testing.T, sys *soc.System, params ...string) (dmaapi.Policy, flush.Outcome) {
	t.Helper()
	info, err := flush.ByName("calibrated")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(params); i += 2 {
		if info, err = info.With(params[i], params[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	p := info.New()
	if n, _ := start(t, sys, p); n != 0 {
		t.Errorf("%d coherency violations", n)
	}
	o, ok := flush.Calibration(p)
	if !ok {
		t.Fatal("nothing was measured")
	}
	return p, o
}

// smallL2 makes measuring quick.
var smallL2 = []conf.Override{{Path: "soc.l2.size", Value: "64KiB"}, {Path: "soc.memory.size", Value: "16MiB"}, {Path: "soc.memory.reserved", Value: "0B"}}

func TestWithoutABystanderBothScoresAreEqual(t *testing.T) {
	_, o := calibrated(t, chip(t, "omap3430"), "working_set", "0B")
	for d, c := range o.Inner {
		if c.Operation != c.EndToEnd || c.Operation == 0 || c.Operation == flush.Never {
			t.Errorf("%v: from %v by operation, from %v end to end", dmaapi.Direction(d), c.Operation, c.EndToEnd)
		}
	}
}

// The trap of crypto/xor.c and lib/raid6/algos.c: what an operation leaves to others to pay is not in its own time.
func TestTheOperationAloneScoresTheWholeCacheTooWell(t *testing.T) {
	last := flush.Threshold(0)
	for _, set := range []string{"64KiB", "128KiB", "256KiB"} {
		_, o := calibrated(t, chip(t, "omap3430"), "working_set", set)
		for d, c := range o.Inner {
			if 3*c.Operation > 2*c.EndToEnd {
				t.Errorf("%s, %v: from %v by operation, from %v end to end; want a third less at least", set, dmaapi.Direction(d), c.Operation, c.EndToEnd)
			}
		}
		if c := o.Inner[dmaapi.FromDevice]; c.EndToEnd <= last {
			t.Errorf("with a working set of %s whole pays from %v, with a smaller one from %v", set, c.EndToEnd, last)
		} else {
			last = c.EndToEnd
		}
	}
}

func TestTheScoreDecides(t *testing.T) {
	for score, want := range map[string]func(flush.Crossing) flush.Threshold{
		"end-to-end": func(c flush.Crossing) flush.Threshold { return c.EndToEnd },
		"operation":  func(c flush.Crossing) flush.Threshold { return c.Operation },
	} {
		p, o := calibrated(t, chip(t, "omap3430"), "score", score)
		for d := dmaapi.ToDevice; d <= dmaapi.Bidirectional; d++ {
			at := int(want(o.Inner[d]))
			for bytes, extent := range map[int]dmaapi.Extent{at - 1: dmaapi.ByRange, at: dmaapi.Whole} {
				q := dmaapi.Question{Event: dmaapi.ToDeviceHandover, Direction: d, Bytes: bytes, Length: bytes, Default: dmaapi.Clean}
				if diff := cmp.Diff(dmaapi.Answer{Op: dmaapi.Clean, Extent: extent}, p.Decide(&q)); diff != "" {
					t.Errorf("%s, %v, %d bytes:\n%s", score, d, bytes, diff)
				}
			}
		}
	}
}

func TestTheOuterCacheIsDecidedAboutApart(t *testing.T) {
	settings := []conf.Override{{Path: "soc.l2.size", Value: "256KiB"}, {Path: "soc.memory.size", Value: "32MiB"}, {Path: "soc.memory.reserved", Value: "0B"}}
	p, o := calibrated(t, chip(t, "omap4430", settings...))
	for d := dmaapi.ToDevice; d <= dmaapi.Bidirectional; d++ {
		inner, outer := o.Threshold(d, false), o.Threshold(d, true)
		if !o.HasOuter || inner == 0 || inner >= outer || outer == flush.Never {
			t.Fatalf("%v: inner caches from %v, the outer one from %v", d, inner, outer)
		}
		for bytes, want := range map[flush.Threshold]dmaapi.Answer{
			inner - 1: {Op: dmaapi.Invalidate},
			inner:     {Op: dmaapi.Invalidate, Extent: dmaapi.Whole, Outer: dmaapi.OuterByRange},
			outer:     {Op: dmaapi.Invalidate, Extent: dmaapi.Whole, Outer: dmaapi.OuterWhole},
		} {
			q := dmaapi.Question{Event: dmaapi.ToCPUHandover, Direction: d, Bytes: int(bytes), Length: int(bytes), Default: dmaapi.Invalidate, HasOuter: true}
			if diff := cmp.Diff(want, p.Decide(&q)); diff != "" {
				t.Errorf("%v, %v:\n%s", d, bytes, diff)
			}
		}
	}
}

func TestACacheWithoutASecondLevelIsMeasuredToo(t *testing.T) {
	_, o := calibrated(t, chip(t, "omap2420"), "working_set", "16KiB")
	for d, c := range o.Inner {
		// A loop by set and way takes a quarter of the cycles a line here.
		if c.Operation == 0 || c.Operation > 32<<10 || c.EndToEnd <= c.Operation {
			t.Errorf("%v: from %v by operation, from %v end to end", dmaapi.Direction(d), c.Operation, c.EndToEnd)
		}
	}
}

func TestMeasuringTwiceGivesTheSame(t *testing.T) {
	_, one := calibrated(t, chip(t, "omap3430", smallL2...))
	_, two := calibrated(t, chip(t, "omap3430", smallL2...))
	if diff := cmp.Diff(one, two); diff != "" {
		t.Error(diff)
	}
}

func TestWhatItFindsFollowsTheChip(t *testing.T) {
	fast := append([]conf.Override{{Path: "soc.cpu.maintenance.line", Value: "10cycles"}}, smallL2...)
	_, slow := calibrated(t, chip(t, "omap3430", smallL2...))
	_, cheap := calibrated(t, chip(t, "omap3430", fast...))
	for d := range slow.Inner {
		if a, b := slow.Inner[d].EndToEnd, cheap.Inner[d].EndToEnd; b < 2*a {
			t.Errorf("%v: from %v, and from %v where a line by range costs a third", dmaapi.Direction(d), a, b)
		}
	}
}

func TestMeasuringTakesTimeAndMoreOfItWhenRepeated(t *testing.T) {
	_, once := calibrated(t, chip(t, "omap3430", smallL2...))
	_, often := calibrated(t, chip(t, "omap3430", smallL2...), "repetitions", "4")
	if once.Took == 0 || often.Took < 3*once.Took {
		t.Errorf("took %v once and %v four times", once.Took, often.Took)
	}
	info, err := flush.ByName("calibrated")
	if err != nil {
		t.Fatal(err)
	}
	if _, charged := start(t, chip(t, "omap3430", smallL2...), info.New()); charged != once.Took {
		t.Errorf("took %v, of which the thread was charged %v", once.Took, charged)
	}
}

func TestItLeavesNothingBehind(t *testing.T) {
	sys := chip(t, "omap3430", smallL2...)
	before := sys.Memory.FreeBytes()
	calibrated(t, sys)
	if after := sys.Memory.FreeBytes(); after != before {
		t.Errorf("%d bytes were free before, %d are after", before, after)
	}
	for level := range sys.Caches.Levels() {
		sys.Caches.Lines(level, func(l cachemodel.Line) { t.Fatalf("level %d still holds %+v", level+1, l) })
	}
}

func TestWithoutMemoryToMeasureWithItDoesWhatRangeDoes(t *testing.T) {
	sys := chip(t, "omap3430", append([]conf.Override{{Path: "soc.memory.reserved", Value: "15MiB"}}, smallL2[:2]...)...)
	for _, rest := range []int64{64 << 10, 132 << 10} { // not enough for the buffer, and enough for that alone
		hog, err := sys.Memory.AllocScattered("hog", sys.Memory.FreeBytes()-rest)
		if err != nil {
			t.Fatal(err)
		}
		info, err := flush.ByName("calibrated")
		if err != nil {
			t.Fatal(err)
		}
		p := info.New()
		start(t, sys, p)
		if _, ok := flush.Calibration(p); ok || sys.Memory.FreeBytes() != rest {
			t.Errorf("with %d bytes it measured (%t), and left %d", rest, ok, sys.Memory.FreeBytes())
		}
		q := dmaapi.Question{Event: dmaapi.ToDeviceHandover, Bytes: 1 << 30, Length: 1 << 30, Default: dmaapi.Clean}
		if diff := cmp.Diff(dmaapi.Answer{Op: dmaapi.Clean}, p.Decide(&q)); diff != "" {
			t.Error(diff)
		}
		sys.Memory.Free(hog)
	}
}

func TestOtherPoliciesHaveNoCalibration(t *testing.T) {
	if _, ok := flush.Calibration(policy(t, "range")); ok {
		t.Error("range has one")
	}
	if _, ok := flush.Calibration(policy(t, "calibrated")); ok {
		t.Error("one that was not started has one")
	}
}

func TestTheBystanderIsAQuarterOfTheCacheUnlessSetAndFourTimesItAtMost(t *testing.T) {
	for set, want := range map[string]int64{"auto": 16 << 10, "20KiB": 20 << 10, "1GiB": 256 << 10} {
		if _, o := calibrated(t, chip(t, "omap3430", smallL2...), "working_set", set, "score", "operation"); o.WorkingSet != want {
			t.Errorf("%s: %d bytes, want %d", set, o.WorkingSet, want)
		}
	}
}
