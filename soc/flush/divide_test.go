package flush_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
)

// info returns a strategy of this package, with parameters.
func info(t testing.TB, name string, params ...string) flush.Info {
	t.Helper()
	i, err := flush.ByName(name)
	for k := 0; k < len(params) && err == nil; k += 2 {
		i, err = i.With(params[k], params[k+1])
	}
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// recorder keeps the questions that it is asked.
type recorder struct {
	asked []dmaapi.Question
	seen  bool
}

func (r *recorder) Decide(q *dmaapi.Question) dmaapi.Answer {
	r.asked = append(r.asked, *q)
	return dmaapi.Answer{Op: q.Default}
}
func (r *recorder) See(dmaapi.Truth) { r.seen = true }

// recorders is a strategy whose policies are kept.
func recorders(name string) (flush.Info, *[]*recorder) {
	var made []*recorder
	return flush.Define(flush.Info{Name: name}, func(flush.Settings) dmaapi.Policy {
		made = append(made, &recorder{})
		return made[len(made)-1]
	}), &made
}

var events = []dmaapi.Event{
	dmaapi.Allocate, dmaapi.MapCPU, dmaapi.CPUFault, dmaapi.MapDevice, dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover, dmaapi.UnmapDevice, dmaapi.Batch, dmaapi.UnmapCPU, dmaapi.Free,
}

func TestEachQuestionIsAskedOfOneStrategy(t *testing.T) {
	rest, ofRest := recorders("rest")
	buffer, ofBuffer := recorders("buffer")
	device, ofDevice := recorders("device")
	p := flush.Divide(rest, []flush.Own{{Name: "preview", Strategy: buffer}}, []flush.Own{{Name: "gpu", Strategy: device}})
	for _, e := range events {
		for _, b := range []string{"preview", "screen"} {
			for _, d := range []string{"gpu", "camera"} {
				q := dmaapi.Question{Event: e, Buffer: b, Device: d}
				if e == dmaapi.Batch {
					q.Buffer = ""
				}
				p.Decide(&q)
			}
		}
	}
	count := func(made *[]*recorder, match func(q dmaapi.Question) bool) int {
		n := 0
		for _, q := range (*made)[0].asked {
			if !match(q) {
				t.Errorf("asked about %+v", q)
			}
			n++
		}
		return n
	}
	hands := func(q dmaapi.Question) bool {
		return q.Event >= dmaapi.MapDevice && q.Event <= dmaapi.ToCPUHandover || q.Event == dmaapi.Batch
	}
	onGPU := count(ofDevice, func(q dmaapi.Question) bool { return q.Device == "gpu" && hands(q) })
	own := count(ofBuffer, func(q dmaapi.Question) bool { return q.Buffer == "preview" && !(q.Device == "gpu" && hands(q)) })
	others := count(ofRest, func(q dmaapi.Question) bool { return q.Buffer != "preview" && !(q.Device == "gpu" && hands(q)) })
	if onGPU != 10 || own != 14 || others != 16 {
		t.Errorf("%d, %d and %d questions, want 10, 14 and 16", onGPU, own, others)
	}
}

func TestAStrategyNamedTwiceIsOne(t *testing.T) {
	rest, made := recorders("rest")
	flush.Divide(rest, []flush.Own{{Name: "a", Strategy: rest}}, []flush.Own{{Name: "b", Strategy: rest}})
	if len(*made) != 1 {
		t.Errorf("%d policies", len(*made))
	}
	p := flush.Divide(info(t, "skip-sync"), []flush.Own{{Name: "a", Strategy: info(t, "skip-sync")}}, nil)
	p.Decide(&dmaapi.Question{Event: dmaapi.ToDeviceHandover, Buffer: "a", Device: "one", Bytes: 64, Length: 64, Default: dmaapi.Clean})
	if a := p.Decide(&dmaapi.Question{Event: dmaapi.ToDeviceHandover, Buffer: "a", Device: "two", Bytes: 64, Length: 64, Default: dmaapi.Clean}); a.Op != dmaapi.Nothing {
		t.Error("it has forgotten that another device has the buffer")
	}
	table, tables := recorders("@table") // files may bear one name
	flush.Divide(table, []flush.Own{{Name: "a", Strategy: table}}, nil)
	if len(*tables) != 2 {
		t.Errorf("%d policies of tables, want one for each", len(*tables))
	}
}

func TestWithoutPartsNothingIsDivided(t *testing.T) {
	rest, made := recorders("rest")
	if p := flush.Divide(rest, nil, nil); p != dmaapi.Policy((*made)[0]) {
		t.Errorf("a %T", p)
	}
}

func TestAllPartsSeeAndMeasure(t *testing.T) {
	rest, made := recorders("rest")
	sys := chip(t, "omap3430", smallL2...)
	profile, _ := dmaapi.ProfileByName(sys.Config.Coherence)
	own := info(t, "calibrated", "working_set", "0B")
	p := flush.Divide(rest, []flush.Own{{Name: "preview", Strategy: own}}, nil)
	api := dmaapi.New(sys.Core, profile, p, nil)
	if !(*made)[0].seen {
		t.Error("the strategy for the rest sees nothing")
	}
	sys.Core.Spawn("setup", func(th *cpu.Thread) { api.Start(th) })
	if err := sys.Engine.Run(context.Background(), sim.Never); err != nil {
		t.Fatal(err)
	}
	if n := len((*made)[0].asked); n != 0 {
		t.Errorf("%d questions of the measurement were put to another strategy", n)
	}
	alone, o := calibrated(t, chip(t, "omap3430", smallL2...), "working_set", "0B")
	for _, bytes := range []int{int(o.Inner[0].EndToEnd) - 1, int(o.Inner[0].EndToEnd)} {
		q := dmaapi.Question{Event: dmaapi.ToDeviceHandover, Buffer: "preview", Bytes: bytes, Length: bytes, Default: dmaapi.Clean}
		if diff := cmp.Diff(alone.Decide(&q), p.Decide(&q)); diff != "" {
			t.Errorf("%d bytes:\n%s", bytes, diff)
		}
	}
}

func TestSomeStrategiesDecideHowBuffersAreMapped(t *testing.T) {
	for name, want := range map[string]bool{"range": false, "whole": false, "none": false, "skip-sync": false, "calibrated": false, "optimal": false, "uncached": true, "write-combine": true, "ion-fault-tracking": true} {
		if got := info(t, name).Maps(dmaapi.Question{Buffer: "a", Bytes: 4096, Length: 4096, Attr: cpu.Cached}); got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
	}
	if info(t, "uncached").Maps(dmaapi.Question{Buffer: "a", Bytes: 4096, Length: 4096, Attr: cpu.NoMapping}) {
		t.Error("uncached changes a buffer that the CPU does not map")
	}
}
