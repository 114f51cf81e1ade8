package run

import (
	"testing"

	"socsim/soc/presets"
)

// adapted are the settings that the scenarios need on a chip: operations that reach what a user's mapping holds, and a screen that its memory can feed.
var adapted = map[string][]string{"omap2420": {"soc.coherence=armv6-all-colours"}, "omap1-arm926": {"buffers.screen.format=rgb565"}}

func TestEachChipRunsTheLibraryAndRightStrategiesAreSilentOnIt(t *testing.T) {
	for _, chip := range (presets.Set{}).Names("soc") {
		for _, name := range []string{"camera-preview", "cpu-filter"} {
			t.Run(chip+" "+name, func(t *testing.T) {
				t.Parallel()
				sets := append([]string{"soc=" + chip, "run.warmup=100ms", "run.duration=100ms"}, adapted[chip]...)
				l := load(t, name, sets...)
				docs := under(t, l, "range", "whole", "uncached", "optimal", "none")
				for _, d := range docs[:4] {
					if n := value(d, "coherency.violations"); n != 0 {
						t.Errorf("%s: %d violations, first %+v", d.Strategy, n, d.Violations[0])
					}
					if value(d, "frames.captured") < 2 || value(d, "frames.displayed") < 1 {
						t.Errorf("%s: %d frames captured, %d displayed", d.Strategy, value(d, "frames.captured"), value(d, "frames.displayed"))
					}
					if n := value(d, "isp.overflows") + value(d, "display.underflows"); n != 0 {
						t.Errorf("%s: %d overflows and underflows", d.Strategy, n)
					}
				}
				wrong, visited, best := value(docs[4], "coherency.violations"), value(docs[0], "maintenance.lines.visited"), value(docs[3], "maintenance.lines.visited")
				if l.SoC.Coherence == "coherent" {
					if wrong != 0 || visited != 0 {
						t.Errorf("devices snoop, but doing nothing is wrong %d times, and range visits %d lines", wrong, visited)
					}
					return
				}
				if wrong == 0 && name == "cpu-filter" {
					t.Error("doing nothing is right")
				}
				if visited == 0 || best >= visited {
					t.Errorf("range visits %d lines, the optimum %d", visited, best)
				}
			})
		}
	}
}
