package run

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"socsim/internal/result"
	"socsim/internal/scenario"
	"socsim/internal/strategy"
	"socsim/scenarios"
)

// claims are what the comments of the library's scenarios say of them, a row a claim: STRATEGY[SET, SET]:METRIC OP [FACTOR x] STRATEGY[SETS]:METRIC, or a number in place of the second. A metric that is absent
// fails the claim.
var claims = map[string][]string{
	"arnd-schedule": {
		"range:coherency.others == 2", "whole:coherency.others == 2", "optimal:coherency.others == 2", "uncached:coherency.others == 0",
	},
	"lifetime-errors": {"range:coherency.others == 5", "none:coherency.others == 5", "uncached:coherency.others == 5"},
	"bus-starved": {
		"range:isp.overflows > 0", "range[soc.gpu.bus_class=2]:isp.overflows == 0", "whole:isp.overflows > 0",
	},
	"camera-preview": {
		"range:overhead.time_per_frame > 1.5 x whole:overhead.time_per_frame", "uncached:overhead.time_per_frame > range:overhead.time_per_frame", "none:coherency.stale_cpu_reads > 100",
		"range:maintenance.lines.visited > 4 x whole:maintenance.lines.visited", "whole:maintenance.collateral_misses > 0", "range:maintenance.collateral_misses == 0",
		"none:coherency.stale_cpu_reads > 100 x none[soc.l2.replacement=lru]:coherency.stale_cpu_reads",
	},
	"copy-not-share": {"range:maintenance.time > 100 x uncached:maintenance.time", "uncached:dram.bytes_read.copier > 0", "uncached:cpu.interrupts > 100"},
	"cpu-filter": {
		"none:coherency.stale_device_reads > 0", "none:coherency.lost_device_data > 0", "uncached:overhead.time_per_frame > 3 x range:overhead.time_per_frame", "range:maintenance.lines.useful > 0",
	},
	"iommu-pages":   {"none:iommu.camera.map_time > 10 x none[stages.camera.iommu.largest_page=1MiB]:iommu.camera.map_time", "range:maintenance.time == none:maintenance.time", "whole:maintenance.time == none:maintenance.time"},
	"rotated-panel": {"none:dram.utilization > 2 x none[stages.panel.rotation=0, buffers.screen.size=800x480]:dram.utilization"},
	"stale-tlb":     {"range:coherency.others > 0", "whole:coherency.others > 0", "range[stages.shrink.iommu.flush=true]:coherency.violations == 0"},
	"still-5mp":     {"range:cpu.irq_off.max > 10 x whole:cpu.irq_off.max", "range:iommu.camera.walk_reads > 1.5 x range[buffers.still.memory=contiguous]:iommu.camera.walk_reads"},
	"zero-copy":     {"none:maintenance.time == 0", "whole:maintenance.time == 0", "range:maintenance.time == 0", "none:coherency.violations == 0"},

	"video-overlay": {
		"write-combine:maintenance.time == 0", "range:cpu.busy > write-combine:cpu.busy", "whole:cpu.busy > write-combine:cpu.busy", "range:maintenance.lines.useful == 0", "none:coherency.violations == 0",
		"none[soc=omap4430]:coherency.stale_device_reads > 100", "write-combine[soc=omap4430]:coherency.violations == 0",
	},
	"video-encoder": {
		"uncached:frames.dropped > 0", "write-combine:frames.dropped > 0", "uncached:cpu.busy == 1", "range:frames.dropped == 0", "range:maintenance.time > 1.5 x whole:maintenance.time",
	},
	"two-screens": {
		"range:maintenance.calls.range > 1.8 x skip-sync:maintenance.calls.range", "range:maintenance.time > 1.8 x skip-sync:maintenance.time", "range:maintenance.lines.useful == 0",
		"whole:maintenance.calls.whole > 1.8 x skip-sync:maintenance.calls.range",
	},
	"ui-60hz": {
		"write-combine:cpu.busy > 1.1 x range:cpu.busy", "write-combine:cpu.busy > 1.1 x whole:cpu.busy", "write-combine:task.application.slowdown > range:task.application.slowdown",
		"write-combine:task.application.slowdown > whole:task.application.slowdown", "none:coherency.stale_device_reads > 0", "range:maintenance.lines.useful > 1000",
	},
	"partial-update": {
		"range:maintenance.lines.visited > 7 x ion-fault-tracking:maintenance.lines.visited", "range:cpu.busy > ion-fault-tracking:cpu.busy", "range:maintenance.lines.visited > whole:maintenance.lines.visited",
		"whole:maintenance.collateral_misses > 1000", "whole:task.application.slowdown > range:task.application.slowdown",
	},
	"transpose": {
		"range:cpu.busy.task.turn > 2 x range[params.pattern=sequential]:cpu.busy.task.turn", "uncached:cpu.busy > 2 x range:cpu.busy",
		"uncached[params.pattern=sequential]:cpu.busy.task.turn > 2 x range[params.pattern=sequential]:cpu.busy.task.turn", "uncached:cpu.busy.task.turn < 1.4 x uncached[params.pattern=sequential]:cpu.busy.task.turn",
		"range:maintenance.lines.visited == range[params.pattern=sequential]:maintenance.lines.visited",
	},
	"face-region": {
		"range:overhead.time_per_frame > 10 x uncached:overhead.time_per_frame", "whole:overhead.time_per_frame > 2 x uncached:overhead.time_per_frame",
		"uncached[params.region=432x328+216+164]:overhead.time_per_frame > range[params.region=432x328+216+164]:overhead.time_per_frame",
		"range[params.region=432x328+216+164]:overhead.time_per_frame > whole[params.region=432x328+216+164]:overhead.time_per_frame",
	},
	"small-buffers": {
		"whole:maintenance.time > 5 x range:maintenance.time", "whole:overhead.time_per_frame > 800000", "range:overhead.time_per_frame < 0", "whole:task.ui.slowdown > 1.02 x range:task.ui.slowdown",
		"threshold:maintenance.time == range:maintenance.time", "whole:maintenance.lines.visited > 5 x range:maintenance.lines.visited", "none:coherency.stale_cpu_reads > 1000",
	},
	"threshold-crossover": {
		"range:overhead.time_per_frame > 1.3 x threshold:overhead.time_per_frame", "whole:overhead.time_per_frame > 1.3 x threshold:overhead.time_per_frame",
		"threshold(threshold=8KiB):maintenance.time == whole:maintenance.time", "threshold(threshold=2MiB):maintenance.time == range:maintenance.time",
	},
	"batch-submit": {
		"range:maintenance.time > 1.05 x kgsl(full_cache_threshold=256KiB):maintenance.time", "whole:maintenance.time > 2 x kgsl(full_cache_threshold=256KiB):maintenance.time",
		"whole:maintenance.calls.whole > 5 x kgsl(full_cache_threshold=256KiB):maintenance.calls.whole", "threshold:maintenance.time == range:maintenance.time",
		"kgsl(full_cache_threshold=256KiB)[stages.compositor.submit=map]:maintenance.calls.whole == 0",
	},
	"many-attachments": {
		"range:maintenance.calls.range > 2 x skip-sync:maintenance.calls.range", "range:overhead.time_per_frame > 2 x skip-sync:overhead.time_per_frame", "whole:overhead.time_per_frame > range:overhead.time_per_frame",
	},
	"server-flush": {
		"whole:maintenance.time > 10 x range:maintenance.time", "whole:maintenance.lines.visited > 50 x range:maintenance.lines.visited", "threshold:maintenance.time == whole:maintenance.time",
		"threshold(threshold=64MiB):maintenance.time == range:maintenance.time", "range[soc.coherence=coherent]:maintenance.time == 0",
	},
	"dvfs": {
		"range:maintenance.time_per_frame > 2.8 x range[params.clock=600MHz]:maintenance.time_per_frame", "range:cpu.busy.maintenance > 0.18",
		"range:overhead.time_per_frame > 1.2 x uncached:overhead.time_per_frame", "uncached[params.clock=600MHz]:overhead.time_per_frame > 1.2 x range[params.clock=600MHz]:overhead.time_per_frame",
	},
	"io-coherent": {
		"none:coherency.violations == 0", "range:maintenance.time == 0", "whole:maintenance.time == 0", "uncached:overhead.time_per_frame > 1000000", "write-combine:overhead.time_per_frame > 1000000",
		"none[soc.coherence=armv7]:coherency.violations > 0", "range[soc.coherence=armv7]:overhead.time_per_frame > 1000000",
	},
	"two-cameras": {
		"none:frames.dropped == 0", "none[params.when=every]:frames.dropped.camera > 0", "range[params.when=every]:frames.dropped.camera > 0", "none[params.when=every]:frames.dropped.second == 0", "range:maintenance.time > 1000000",
	},
	"viewfinder-ui": {
		"whole[buffers.overlay.strategy=whole]:overhead.time_per_frame > 1.2 x whole:overhead.time_per_frame", "range[buffers.overlay.strategy=range]:overhead.time_per_frame > 1.2 x whole:overhead.time_per_frame",
		"write-combine[buffers.overlay.strategy=write-combine]:overhead.time_per_frame > 1.2 x whole:overhead.time_per_frame",
	},
	"alias-vipt": {
		"range:coherency.stale_device_reads > 0", "whole:coherency.violations == 0", "range:maintenance.time > 3 x whole:maintenance.time", "uncached:coherency.violations == 0",
		"uncached:overhead.time_per_frame > 5 x whole:overhead.time_per_frame", "range[soc.coherence=armv6-all-colours]:coherency.violations == 0",
		"range[soc.memory.page_colours=2, buffers.frames.exporter=system-heap]:coherency.violations == 0",
	},
	"alias-vivt": {
		"range:coherency.violations == 0", "range[soc.coherence=armv5]:coherency.stale_device_reads > 0", "range[soc.coherence=armv5]:maintenance.lines.cleaned == 0",
		"range:maintenance.time > 3 x whole:maintenance.time", "whole:coherency.violations == 0",
	},
	"speculating-core": {
		"omap3isp-legacy:coherency.stale_cpu_reads > 1000", "range:coherency.violations == 0", "whole:coherency.violations == 0", "omap3isp-legacy[soc.cpu.speculation=0cycles]:coherency.violations == 0",
	},
	"fence-too-early": {
		"range:coherency.stale_cpu_reads > 0", "skip-sync:coherency.stale_cpu_reads > 0", "whole:coherency.violations == 0", "uncached:coherency.violations == 0", "range[stages.look.delay=10ms]:coherency.violations == 0",
		"range[soc.cpu.speculation=0cycles]:coherency.violations == 0",
	},
}

var claimSyntax = regexp.MustCompile(`^(\S+?)(?:\[([^]]*)\])?:(\S+) (<|>|==) (?:([0-9.]+) x )?(?:([^0-9]\S*?)(?:\[([^]]*)\])?:(\S+)|([0-9.]+))$`)

// runs are the documents of one scenario by strategy and settings.
type runs map[string]*result.Document

func (r runs) document(t *testing.T, name, list, sets string) *result.Document {
	t.Helper()
	key := list + "[" + sets + "]"
	if d := r[key]; d != nil {
		return d
	}
	infos, err := strategy.Parse(list, ".")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	if sets != "" {
		all = strings.Split(sets, ", ")
	}
	s := load(t, name, all...)
	if s.Run.Duration > 500*1e9 && name != "still-5mp" {
		s = load(t, name, append(all, short...)...)
	}
	docs, err := Run(context.Background(), []Job{{Scenario: s, Strategy: infos[0]}}, 2, nil)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	r[key] = docs[0]
	return docs[0]
}

func (r runs) value(t *testing.T, name, list, sets, metric string) *big.Rat {
	t.Helper()
	m, ok := r.document(t, name, list, sets).Metrics[metric]
	if !ok {
		t.Fatalf("%s under %s [%s] has no %s", name, list, sets, metric)
	}
	return number(t, fmt.Sprint(m.Value))
}

func number(t *testing.T, text string) *big.Rat {
	t.Helper()
	v, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is no number", text)
	}
	return v
}

// holds judges a claim, and says what the two sides are.
func (r runs) holds(t *testing.T, name, claim string) (ok bool, left, right *big.Rat) {
	t.Helper()
	m := claimSyntax.FindStringSubmatch(claim)
	if m == nil {
		t.Fatalf("%s: cannot read the claim %q", name, claim)
	}
	left = r.value(t, name, m[1], m[2], m[3])
	if m[9] != "" {
		right = number(t, m[9])
	} else {
		right = r.value(t, name, m[6], m[7], m[8])
		right = new(big.Rat).Mul(right, number(t, cmp.Or(m[5], "1")))
	}
	switch c := left.Cmp(right); m[4] {
	case "<":
		ok = c < 0
	case ">":
		ok = c > 0
	default:
		ok = c == 0
	}
	return ok, left, right
}

func TestTheCommentsOfTheLibraryAreTrue(t *testing.T) {
	for _, name := range scenarios.Names() {
		if len(claims[name]) == 0 {
			t.Errorf("nothing holds what the comment of %s says: write its claims here", name)
		}
		t.Run(name, func(t *testing.T) {
			r := runs{}
			for _, claim := range claims[name] {
				if ok, left, right := r.holds(t, name, claim); !ok {
					t.Errorf("not so: %s: %s and %s", claim, left.FloatString(3), right.FloatString(3))
				}
			}
		})
	}
	for name := range claims {
		if _, err := scenario.Read(name); err != nil {
			t.Error(err)
		}
	}
}
