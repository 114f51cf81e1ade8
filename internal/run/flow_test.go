package run

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"socsim/internal/conf"
	"socsim/internal/scenario"
	"socsim/soc/flush"
)

// drawGraph draws an application of CPU stages between small buffer sets: sources, and stages that fork and join what came before.
func drawGraph(t *rapid.T) string {
	var buffers, stages strings.Builder
	sources := rapid.IntRange(1, 2).Draw(t, "sources")
	n := sources + rapid.IntRange(1, 5).Draw(t, "stages")
	for i := range n {
		fmt.Fprintf(&buffers, "  b%d: {count: %d, size: 16x4, format: rgb565}\n", i, rapid.IntRange(1, 3).Draw(t, "count"))
		if i < sources {
			fmt.Fprintf(&stages, "  - {name: s%d, device: cpu, period: %dms, output: b%d, write: {}}\n", i, rapid.IntRange(1, 3).Draw(t, "period"), i)
			continue
		}
		var inputs []string
		seen := map[int]bool{}
		for k := range rapid.IntRange(1, 3).Draw(t, "inputs") {
			from := rapid.IntRange(0, i-1).Draw(t, "from")
			if seen[from] {
				continue
			}
			seen[from] = true
			when := "every"
			if k > 0 && rapid.Bool().Draw(t, "latest") {
				when = "latest"
			}
			inputs = append(inputs, fmt.Sprintf("{buffer: b%d, when: %s}", from, when))
		}
		every := rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "every")
		fmt.Fprintf(&stages, "  - {name: s%d, device: cpu, inputs: [%s], every: %d, output: b%d, read: {}, write: {}}\n", i, strings.Join(inputs, ", "), every, i)
	}
	return "apiVersion: socsim/v1\nname: graph\nsoc: {preset: omap3430, memory: {size: 16MiB, reserved: 8MiB}}\nrun: {duration: 200ms, warmup: 100ms}\nbuffers:\n" + buffers.String() + "stages:\n" + stages.String()
}

func TestNoGraphThatIsAcceptedStarves(t *testing.T) {
	accepted, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		text := drawGraph(t)
		s, err := scenario.Load(conf.Source{Name: "x.yaml", Data: []byte(text)}, nil)
		if err != nil {
			if !strings.Contains(err.Error(), "nothing move any more") && !strings.Contains(err.Error(), "count:") {
				t.Fatalf("%v\n%s", err, text)
			}
			refused++
			return
		}
		accepted++
		info, err := flush.ByName("range")
		if err != nil {
			t.Fatal(err)
		}
		o, err := simulate(context.Background(), Job{Scenario: s, Strategy: info})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range o.doc.Events {
			t.Errorf("%+v", e)
		}
		if n := o.doc.Metrics["frames.generated.s0"].Value.Int; n == 0 || len(o.doc.Violations) > 0 {
			t.Errorf("%d frames, %d violations", n, len(o.doc.Violations))
		}
		if t.Failed() {
			t.Log(text)
		}
	})
	if accepted < 10 || refused < 10 {
		t.Errorf("%d graphs accepted and %d refused: one of them is hardly tested", accepted, refused)
	}
}

const twoOfAll = `
apiVersion: socsim/v1
name: two
soc: {preset: omap3430, dram: {clock: 200MHz}}
run: {duration: 300ms, warmup: 300ms}
buffers:
  front: {count: 3, size: 216x164, format: uyvy, exporter: vb2-contig, memory: contiguous}
  back:  {count: 3, size: 216x164, format: uyvy, exporter: vb2-contig, memory: contiguous}
stages:
  - {name: selfie, device: isp, sensor: {width: 216, height: 164, line_total: 996, frame_total: 168, pixel_clock: 5MHz}, output: front}
  - {name: world, device: isp, sensor: {width: 216, height: 164, line_total: 996, frame_total: 168, pixel_clock: 2500kHz}, output: back}
  - {name: panel, device: display, input: front, panel: acx565akm, window: 216x164+0+0}
  - {name: tv, device: display, input: back, panel: acx565akm, window: 216x164+0+0}
`

func TestWhatTheSumsHideIsCountedByStage(t *testing.T) {
	d := under(t, written(t, twoOfAll), "range")[0]
	for _, m := range []struct{ sum, a, b string }{
		{"frames.captured", "selfie", "world"}, {"frames.dropped", "selfie", "world"}, {"frames.displayed", "panel", "tv"}, {"frames.repeated", "panel", "tv"}, {"display.underflows", "panel", "tv"},
	} {
		a, b := value(d, m.sum+"."+m.a), value(d, m.sum+"."+m.b)
		if a+b != value(d, m.sum) {
			t.Errorf("%s: %d, want %d + %d", m.sum, value(d, m.sum), a, b)
		}
	}
	if a, b := value(d, "frames.captured.selfie"), value(d, "frames.captured.world"); a < 8 || a > 9 || b < 4 || b > 5 {
		t.Errorf("%d and %d frames, want 9 and half as many", a, b)
	}
	panel, tv := value(d, "latency.capture_to_display.panel.p50"), value(d, "latency.capture_to_display.tv.p50")
	if tv < panel+25_000_000 {
		t.Errorf("latencies of %d and %d ns; the slow camera takes 33 ms more for a frame", panel, tv)
	}
	if n := value(d, "coherency.violations"); n != 0 || value(d, "display.underflows") != 0 {
		t.Errorf("%d violations, %d underflows", n, value(d, "display.underflows"))
	}
	for name := range under(t, load(t, "camera-preview", "run.duration=100ms"), "range")[0].Metrics {
		if strings.HasPrefix(name, "frames.captured.") || strings.HasPrefix(name, "frames.displayed.") {
			t.Errorf("%s: there is one camera and one display", name)
		}
	}
}

func TestARunInWhichAStageWaitsToTheEndSaysSo(t *testing.T) {
	d := under(t, load(t, "camera-preview", "run.duration=200ms", "buffers.screen.count=1"), "range")[0]
	var got []string
	for _, e := range d.Events {
		if e.Kind == "starvation" {
			got = append(got, e.Device+": "+e.Where)
			if e.AtPS >= 200e9 || e.AtPS+e.WaitedPS != 400e9 {
				t.Errorf("%+v: want the wait to begin in the warm-up and end with the run", e)
			}
		}
	}
	if strings.Join(got, ", ") != "compositor: no free buffer of screen, panel: no frame of screen" && strings.Join(got, ", ") != "panel: no frame of screen, compositor: no free buffer of screen" {
		t.Errorf("events: %v", got)
	}
}

// off is a decoder that works by turns, a generator, and a stage that joins both until it stops.
const off = `
apiVersion: socsim/v1
name: off
soc: omap3430
run: {duration: 400ms, warmup: 100ms}
params: {when: every}
buffers:
  clip: {count: 3, size: 320x240, format: uyvy, cpu_mapping: cached}
  over: {count: 3, size: 320x240, format: uyvy, cpu_mapping: cached}
stages:
  - {name: decoder, device: cpu, output: clip, period: 20ms, write: {}, start: 200ms, burst: {on: 50ms, off: 50ms}}
  - {name: gen, device: cpu, output: over, period: 20ms, write: {}}
  - {name: sink, device: cpu, stop: 300ms, input: clip, inputs: [{buffer: over, when: "${when}"}], read: {fraction: 10%}}
`

func TestAStageThatStopsLetsItsProducersGoOn(t *testing.T) {
	for when, want := range map[string]int64{
		"latest": 20, // a frame each 20 ms
		"every":  22, // three before the warm-up is over, then the decoder's pace; what is late then is made up when the sink has stopped
	} {
		s, err := scenario.Load(conf.Source{Name: "x.yaml", Data: []byte(strings.Replace(off, "{when: every}", "{when: "+when+"}", 1))}, nil)
		if err != nil {
			t.Fatal(err)
		}
		d := under(t, s, "range")[0]
		if n := value(d, "frames.generated.decoder"); n != 9 { // at 0, 20 and 40 ms of each of three bursts
			t.Errorf("%s: %d frames decoded", when, n)
		}
		if n := value(d, "frames.generated.gen"); n != want {
			t.Errorf("%s: %d frames generated, want %d", when, n, want)
		}
	}
}

func TestAStageThatStopsWithAFrameInHandGetsWhatItStillNeeds(t *testing.T) {
	s, err := scenario.Load(conf.Source{Name: "x.yaml", Data: []byte(off)}, []conf.Override{{Path: "stages.gen.start", Value: "320ms"}})
	if err != nil {
		t.Fatal(err)
	}
	// Until 320 ms the sink waits with the first of three frames; then it finishes them, and the decoder has its buffers back.
	if n := value(under(t, s, "range")[0], "frames.generated.decoder"); n != 9 {
		t.Errorf("%d frames decoded", n)
	}
}
