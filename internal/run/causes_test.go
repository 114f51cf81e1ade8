package run

import (
	"strings"
	"testing"

	"socsim/internal/result"
)

// total adds up the exact parts of an account, in picoseconds.
func total(d *result.Document, prefix string, counts func(name string) bool) (sum int64) {
	for name, m := range d.Metrics {
		if strings.HasPrefix(name, prefix) && counts(name) {
			sum += m.Value.Int
		}
	}
	return sum
}

func every(string) bool { return true }

func TestTheCausesAddUpOverChangesOfTheClocks(t *testing.T) {
	const changes = "clocks: [{at: 150ms, dram: 83MHz, memory_stall: 20us}, {at: 210ms, cpu: 300MHz}, {at: 240ms, dram: 166MHz, cpu: 600MHz}]\n"
	for _, c := range []struct {
		clocks      string
		least, most int64 // of the time in self-refresh from 200ms to 300ms; a change begins when the core is free for it
	}{
		{"", 0, 0},
		{changes, 10e6, 10e6},
		{strings.Replace(changes, "150ms", "201ms", 1), 30e6, 30e6},
		{strings.Replace(changes, "20us", "80ms", 1), 30e9 + 10e6, 30e9 + 100e6},                             // as the warm-up ends
		{"clocks: [{at: 150ms, dram: 83MHz}, {at: 299980us, dram: 166MHz, memory_stall: 1ms}]\n", 1e6, 20e6}, // as the run does
	} {
		d := under(t, previewWith(t, c.clocks, "run.warmup=200ms", "run.duration=100ms"), "range")[0]
		for _, account := range []string{"cpu.time.", "dram.time."} {
			if got := total(d, account, every); got != 100e9 {
				t.Errorf("%q: %s* add up to %dps, want 100ms", c.clocks, account, got)
			}
		}
		if idle := d.Metrics["dram.time.idle"].Value.Int; idle < 1e9 || idle > 90e9 {
			t.Errorf("%q: idle for %dps", c.clocks, idle)
		}
		if got := d.Metrics["dram.time.clock_change"].Value.Int; got < c.least || got > c.most {
			t.Errorf("%q: still for %dps, want %d to %d", c.clocks, got, c.least, c.most)
		}
		data := total(d, "dram.time.", func(name string) bool { return strings.Count(name, ".") == 3 })
		if got, want := value(d, "dram.utilization"), data/100e3; got < want-100 || got > want+100 { // in millionths
			t.Errorf("%q: utilization %v, but data for %v of the time", c.clocks, got, want)
		}
	}
}
