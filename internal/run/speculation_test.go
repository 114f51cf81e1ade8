package run

import (
	"testing"

	"socsim/internal/result"
)

// speculates makes the core fetch lines of its own accord.
const speculates = "soc.cpu.speculation=2000cycles"

func TestAnInvalidateBeforeTheDeviceAloneIsNotEnoughForACoreThatSpeculates(t *testing.T) {
	for _, c := range []struct {
		sets  []string
		stale bool
	}{{nil, false}, {[]string{speculates}, true}} {
		docs := listed(t, "cpu-filter", "omap3isp-legacy,range", append(c.sets, "run.duration=300ms")...)
		legacy := docs["omap3isp-legacy"]
		if n := value(legacy, "coherency.stale_cpu_reads"); n > 0 != c.stale {
			t.Errorf("%v: omap3isp-legacy, which does not invalidate after the device, reads %d stale lines", c.sets, n)
		}
		if a, b := value(legacy, "coherency.violations"), value(legacy, "coherency.stale_cpu_reads"); a != b {
			t.Errorf("%v: %d violations, of which %d are stale reads", c.sets, a, b)
		}
		if n := value(docs["range"], "coherency.violations"); n != 0 {
			t.Errorf("%v: range, which does, has %d violations", c.sets, n)
		}
	}
}

func TestStrategiesThatAreCorrectStayCorrectWithSpeculation(t *testing.T) {
	for _, c := range []struct {
		name string
		sets []string
	}{
		{"camera-preview", []string{speculates}},
		{"cpu-filter", []string{speculates}},
		{"still-5mp", []string{speculates}},
		{"cpu-filter", []string{"soc.cpu.speculation=100cycles", "soc.cpu.linefills=4"}},
		{"cpu-filter", []string{speculates, "soc=omap4430"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for label, d := range listed(t, c.name, "range,whole,uncached,optimal", append(c.sets, "run.duration=200ms")...) {
				if len(d.Violations) > 0 {
					t.Errorf("%v: %s: %+v", c.sets, label, d.Violations[0])
				}
				if n := value(d, "cpu.speculative_fills"); n < 1000 {
					t.Errorf("%v: %s: %d speculative fills", c.sets, label, n)
				}
			}
		})
	}
}

func TestSpeculationIsReportedWhereItIsOn(t *testing.T) {
	has := func(d *result.Document) bool { _, ok := d.Metrics["cpu.speculative_fills"]; return ok }
	if d := under(t, load(t, "camera-preview", "run.duration=80ms"), "range")[0]; has(d) {
		t.Error("a core that does not speculate reports its speculative fills")
	}
	if d := under(t, load(t, "camera-preview", "run.duration=80ms", speculates), "range")[0]; !has(d) {
		t.Error("a core that speculates does not report it")
	}
}
