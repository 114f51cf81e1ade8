package run

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/scenario"
)

// documented returns the YAML example of a section of the language's page.
func documented(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/scenario.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n"+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, rest, open := strings.Cut(section, "```yaml\n")
	text, _, closed := strings.Cut(rest, "```")
	if !found || !open || !closed {
		t.Fatalf("no example under %s", heading)
	}
	return text
}

// previewWith loads the library's preview with more text behind it.
func previewWith(t *testing.T, more string, sets ...string) *scenario.Loaded {
	t.Helper()
	src, err := scenario.Read("camera-preview")
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Load(conf.Source{Name: "test.yaml", Data: append(src.Data, more...)}, overrides(sets...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// seen returns the events whose kind begins with a prefix, each with its effect.
func seen(d *result.Document, prefix string) (out []string) {
	for _, e := range d.Events {
		if strings.HasPrefix(e.Kind, prefix) {
			out = append(out, strings.TrimPrefix(e.Kind, prefix)+" "+e.Device+": "+e.Where)
		}
	}
	return out
}

func TestTheDocumentedFaultsHappenAndAreCounted(t *testing.T) {
	d := under(t, previewWith(t, documented(t, "## Faults to inject")), "range")[0]
	got := strings.Join(seen(d, "injected_"), "\n")
	for _, want := range []string{
		"sensor_glitch camera: cut short by 100 lines", "dropped_interrupt camera: interrupt lost, found at the next one", "dropped_interrupt compositor: interrupt lost, found by the driver's watchdog",
		"late_consumer faces: held preview", "memory_pressure kernel: ", "pages cleared", "iommu_fault camera: translation removed: fault taken, not handled, the device stopped",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if value(d, "faults.sensor_glitch") != 1 || value(d, "faults.frames_errored") != 1 || value(d, "faults.late_consumer") != 3 || value(d, "faults.no_effect") != 0 {
		t.Errorf("counted otherwise: %v", d.Metrics)
	}
	sum := value(d, "faults.sensor_glitch") + value(d, "faults.dropped_interrupt") + value(d, "faults.late_consumer") + value(d, "faults.memory_pressure") + value(d, "faults.iommu_fault")
	if n := value(d, "faults.injected"); n != sum || n < 12 || n > 24 {
		t.Errorf("%v faults, %v by kind: want 7 and some ten lost interrupts", n, sum)
	}
	if n := value(d, "coherency.violations"); n != 0 {
		t.Errorf("%v violations: %+v", n, d.Violations)
	}
}

func TestTheDocumentedChangesOfClockHappen(t *testing.T) {
	changed := under(t, previewWith(t, documented(t, "## Clocks that change")), "range")[0]
	want := []string{" kernel: cpu from 600MHz to 300MHz", " kernel: dram from 166MHz to 83MHz", " kernel: cpu from 300MHz to 600MHz", " kernel: dram from 83MHz to 166MHz"}
	if got := seen(changed, "clock_change"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q", got)
	}
	plain := under(t, previewWith(t, ""), "range")[0]
	for _, m := range []string{"maintenance.time_per_frame", "cpu.busy", "dram.utilization", "dram.latency.panel.mean"} {
		if a, b := value(changed, m), value(plain, m); a <= b {
			t.Errorf("%s: %v, at full clocks %v", m, a, b)
		}
	}
	if value(changed, "frames.captured") != value(plain, "frames.captured") || value(changed, "coherency.violations") != 0 {
		t.Errorf("%v frames, %v violations", value(changed, "frames.captured"), value(changed, "coherency.violations"))
	}
}

func TestChangesOfClockMayStandInAnyOrder(t *testing.T) {
	text := func(changes string) string {
		var b bytes.Buffer
		d := under(t, previewWith(t, "clocks: ["+changes+"]\n", short...), "range")[0]
		d.Host, d.ConfigSHA256 = result.Host{}, ""
		if err := result.Write(&b, []*result.Document{d}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	a, b := "{at: 300ms, cpu: 300MHz}", "{at: 400ms, dram: 83MHz, cpu: 500MHz}"
	if text(a+", "+b) != text(b+", "+a) {
		t.Error("the order in the list matters")
	}
}

func TestWithoutFaultsThereIsNothingAboutThem(t *testing.T) {
	d := under(t, load(t, "camera-preview", "run.duration=100ms"), "range")[0]
	for name := range d.Metrics {
		if strings.HasPrefix(name, "faults.") {
			t.Errorf("there is %s", name)
		}
	}
}
