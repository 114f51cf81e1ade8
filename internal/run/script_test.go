package run

import (
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/scenario"
)

// kinds counts violations by kind.
func kinds(d *result.Document) map[string]int {
	out := map[string]int{}
	for _, v := range d.Violations {
		out[v.Kind] += v.Count
	}
	return out
}

// noted counts events by kind.
func noted(d *result.Document) map[string]int {
	out := map[string]int{}
	for _, e := range d.Events {
		out[e.Kind] += e.Count
	}
	return out
}

func TestArndsScheduleHasTwoErrorsAndANoteUnderEveryStrategyThatCaches(t *testing.T) {
	for _, d := range under(t, load(t, "arnd-schedule"), "range", "whole", "optimal", "skip-sync", "none") {
		if value(d, "coherency.others") != 2 || kinds(d)["cpu_access_owned"] != 2 || noted(d)["shared_ownership"] != 1 {
			t.Errorf("%s: %d others, %v, %v", d.Strategy, value(d, "coherency.others"), kinds(d), noted(d))
		}
		if d.Strategy != "none" && value(d, "coherency.violations") != 2 {
			t.Errorf("%s: %v, want no violation beside the two", d.Strategy, kinds(d))
		}
		var who []string
		for _, v := range d.Violations {
			if v.Kind == "cpu_access_owned" {
				who = append(who, v.Reader)
			}
		}
		if strings.Join(who, " ") != "b a" {
			t.Errorf("%s: the CPU accesses are of %v, want b then a", d.Strategy, who)
		}
	}
}

func TestWrongUseOfTheDMAAPIIsReportedOnlyWhereTheScenarioAsks(t *testing.T) {
	d := under(t, load(t, "arnd-schedule", "run.dma_debug=false"), "range")[0]
	if len(d.Violations) != 0 || len(d.Events) != 0 {
		t.Errorf("%+v, %+v without run.dma_debug", d.Violations, d.Events)
	}
}

func TestLifetimeErrorsSayWhatWhenAndWhatIsMissing(t *testing.T) {
	d := under(t, load(t, "lifetime-errors"), "range")[0]
	want := map[string]int{"use_after_unmap": 1, "double_unmap": 1, "leaked_buffer": 1, "leaked_attachment": 1, "leaked_mapping": 1}
	got := kinds(d)
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%s %d times, want %d: %v", k, got[k], n, got)
		}
	}
	v := d.Violations[0]
	if v.Kind != "use_after_unmap" || v.Buffer != "ring" || v.Index != 0 || v.Reader != "wlan" || v.Bytes != 0 || v.Missing != "a mapping until the device's last access" || !strings.HasPrefix(v.Where, "DMA to ring#0 for wlan") {
		t.Errorf("%+v", v)
	}
	// The device came back 6.2 ms and some after the unmap.
	if gap := v.ReadPS - v.WrittenPS; gap < 6_200_000_000 || gap > 6_500_000_000 {
		t.Errorf("%d ps between the unmap and the use", gap)
	}
}

func TestARunWithAScriptAloneEndsWithItOrAfterItsDuration(t *testing.T) {
	whole := under(t, load(t, "lifetime-errors"), "range")[0]
	if whole.SimulatedPS < 6_200_000_000 || whole.SimulatedPS > 10_000_000_000 || value(whole, "script.steps") != 11 {
		t.Errorf("%d ps, %d steps", whole.SimulatedPS, value(whole, "script.steps"))
	}
	cut := under(t, load(t, "lifetime-errors", "run.duration=3ms"), "range")[0]
	if cut.SimulatedPS != 3_000_000_000 || value(cut, "script.steps") != 4 || len(cut.Violations) != 0 {
		t.Errorf("cut short: %d ps, %d steps, %v", cut.SimulatedPS, value(cut, "script.steps"), kinds(cut))
	}
}

// written loads a scenario from text.
func written(t *testing.T, text string) *scenario.Loaded {
	t.Helper()
	s, err := scenario.Load(conf.Source{Name: "x.yaml", Data: []byte(text)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const oneBuffer = `
apiVersion: socsim/v1
name: x
soc: omap3430
run: {duration: 50ms, warmup: 2ms}
buffers:
  b: {count: 1, size: 64x32, format: rgb565}
`

func TestAStepThatTheKernelRefusesIsAnEventAndTheRunGoesOn(t *testing.T) {
	d := under(t, written(t, oneBuffer+`
script:
  - {do: attach, device: a, buffer: b}
  - {do: map, device: a, buffer: b, direction: TO_DEVICE}
  - {do: map, device: a, buffer: b, direction: FROM_DEVICE}
  - {do: unmap, device: a, buffer: b}
  - {do: detach, device: a, buffer: b}
`), "range")[0]
	if len(d.Violations) != 0 || value(d, "script.errors") != 1 || value(d, "script.steps") != 5 {
		t.Errorf("%v, %d errors, %d steps", kinds(d), value(d, "script.errors"), value(d, "script.steps"))
	}
	if len(d.Events) != 1 || d.Events[0].Kind != "script_error" || d.Events[0].Device != "a" || !strings.Contains(d.Events[0].Where, "step 3, map: mapping b#0 for a in direction FROM_DEVICE: mapped in another direction") {
		t.Errorf("%+v", d.Events)
	}
}

func TestRepeatsOfOneMisuseFold(t *testing.T) {
	d := under(t, written(t, oneBuffer+`
script:
  - {do: attach, device: a, buffer: b}
  - {do: unmap, device: a, buffer: b}
  - {do: unmap, device: a, buffer: b}
  - {do: unmap, device: a, buffer: b}
  - {do: detach, device: a, buffer: b}
`), "range")[0]
	if len(d.Violations) != 1 || d.Violations[0].Kind != "unmap_unmapped" || d.Violations[0].Count != 3 || value(d, "coherency.others") != 3 {
		t.Errorf("%+v, %d others", d.Violations, value(d, "coherency.others"))
	}
}

func TestAScriptRunsBesideStages(t *testing.T) {
	s := load(t, "camera-preview", "run.duration=200ms")
	text, err := s.Resolved()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "script: []") {
		t.Fatalf("no empty script in\n%s", text)
	}
	both := written(t, strings.Replace(string(text), "script: []", "script: [{do: attach, device: probe, buffer: preview}, {do: wait, time: 50ms}, {do: map, device: probe, buffer: preview, direction: TO_DEVICE}, "+
		"{do: device-read, device: probe, buffer: preview}, {do: unmap, device: probe, buffer: preview}, {do: detach, device: probe, buffer: preview}]", 1))
	d := under(t, both, "range")[0]
	if value(d, "script.steps") != 6 || value(d, "frames.captured") < 5 || value(d, "dram.bytes_read.probe") != 864*2*656 {
		t.Errorf("%d steps, %d frames, %d bytes read", value(d, "script.steps"), value(d, "frames.captured"), value(d, "dram.bytes_read.probe"))
	}
	if len(d.Violations) != 0 {
		t.Errorf("%+v", d.Violations)
	}
}
