package run

import (
	"bytes"
	"context"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"socsim/internal/result"
	"socsim/internal/scenario"
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc"
	"socsim/soc/flush"
)

// inert lists the chip's settings that change nothing in the runs below, each with its reason.
var inert = map[string]string{
	"soc.preset":                     "names where values come from",
	"soc.cpu.write_buffers":          "the library's stores go line after line: one open line is enough",
	"soc.isp.port_bytes":             "decides only when the bus is so late that a port overflows",
	"soc.isp.small_port_bytes":       "of ports that the scenarios do not use: statistics and the histogram",
	"soc.isp.m2m_rate":               "of paths from memory, which the scenarios do not use",
	"soc.isp.m2m_resizer_rate":       "the same",
	"soc.isp.max_output_width":       "a limit that is checked; the scenarios stay below it",
	"soc.isp.max_output_width_7tap":  "a limit that is checked, for scaling below half the height",
	"soc.isp.max_preview_width":      "a limit that is checked; the scenarios stay below it",
	"soc.isp.processing_clock":       "a limit that is checked: of the pixel clock and of the resizer's rate",
	"soc.display.fifo":               "the thresholds decide while there is room above the high one",
	"soc.display.high":               "with bursts of 64 B any level above 960 B ends the refill at the same burst",
	"soc.display.preload":            "decides only whether a late start counts as an underflow",
	"soc.display.clock":              "a limit that is checked: of scaling",
	"soc.gpu.mmu.format":             "another format needs another driver's address space",
	"soc.isp.mmu.format":             "the same",
	"soc.gpu.mmu.walk_cache":         "of the format smmu",
	"soc.isp.mmu.walk_cache":         "of the format smmu",
	"soc.l1d.line":                   "all levels share one line size; see the validation",
	"soc.l2.line":                    "the same",
	"soc.cpu.bus_group":              "no other initiator is of its class: one free queue is like another",
	"soc.cpu.bus_high_priority":      "the only one of its class",
	"soc.cpu.bus_services":           "the only one of its class",
	"soc.display.bus_extended_grant": "class 0 is not kept waiting by others, and the camera's bursts of class 0 seldom meet its own",
	"soc.gpu.bus_group":              "no other initiator is of its class: one free queue is like another",
	"soc.gpu.bus_high_priority":      "the only one of its class",
	"soc.gpu.bus_services":           "the only one of its class",
	"soc.sdma.channels":              "the driver uses one channel",
	"soc.sdma.arbitration_rate":      "the driver uses one channel",
	"soc.sdma.fifo":                  "the driver uses one channel, whose own limit decides",
	"soc.sdma.write_outstanding":     "non-posted writes of a channel go one at a time, and the driver uses one channel",
	"soc.sdma.bus_group":             "no other initiator of its class is in the scenario: one free queue is like another",
	"soc.sdma.bus_high_priority":     "the only one of its class",
	"soc.sdma.bus_services":          "the only one of its class",
	"soc.sdma.bus_extended_grant":    "the only one of its class",
	"soc.l2.sub_block":               "the library's stores of a part of a line hit L1, whose lines are dirty as a whole",
	"soc.dram.preset":                "names where values come from",
	"soc.dram.service":               "of the schedulers fixed and ideal",
	"soc.dram.interleave":            "acts with several channels",
	"soc.dram.txp":                   "acts with power_down",
	"soc.dram.tcke":                  "acts with power_down",
	"soc.dram.queue":                 "of the scheduler frfcfs",
}

// moved gives values for settings whose neighbours are not valid.
var moved = map[string]string{
	"soc.coherence": "coherent", "soc.isp.crop_columns": "14", "soc.isp.crop_lines": "8", "soc.display.low": "512B", "soc.display.burst": "32B", "soc.isp.data_unit": "512B",
	"soc.memory.fragmentation": "90%", "soc.cpu.write_merge": "16B", "soc.l1d.sub_block": "16B", "soc.isp.bus_group": "0", "soc.display.bus_group": "1", "soc.cpu.os.timeslice": "1ms", "soc.dram.trefi": "3.9us",
	"soc.sdma.burst": "16B", "soc.dram.scheduler": "frfcfs", "soc.dram.hash": "true", "soc.dram.burst": "BL16", "soc.dram.tfaw": "200ns", "soc.dram.trtp": "150ns", "soc.dram.power_down": "200ns",
}

// movedEverywhere gives values for settings that each initiator has.
var movedEverywhere = map[string]string{"bus_burst": "32B", "bus_limit": "150MB", "bus_limit_burst": "64B", "bus_clock": "40MHz"}

// leaf is a setting and a value to move it to.
type leaf struct{ path, value string }

// leaves lists the settings below a struct with a neighbouring value for each.
func leaves(t *testing.T, v reflect.Value, path string) []leaf {
	t.Helper()
	var out []leaf
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("conf"), ",")
		field := v.Field(i)
		switch {
		case f.Anonymous && name == "":
			out = append(out, leaves(t, field, path)...)
			continue
		case name == "" || name == "-":
			continue
		}
		p := path + "." + name
		if m, ok := movedEverywhere[name]; ok {
			out = append(out, leaf{p, m})
			continue
		}
		if m, ok := moved[p]; ok {
			out = append(out, leaf{p, m})
			continue
		}
		if _, ok := field.Interface().(encoding.TextMarshaler); !ok && field.Kind() == reflect.Struct {
			out = append(out, leaves(t, field, p)...)
			continue
		}
		out = append(out, leaf{p, neighbour(t, p, field)})
	}
	return out
}

func neighbour(t *testing.T, path string, v reflect.Value) string {
	t.Helper()
	next := func(n int64) int64 {
		if n == 0 {
			return 70
		}
		return 2 * n
	}
	switch x := v.Interface().(type) {
	case sim.Time:
		return sim.Time(next(int64(x) / 1000 * 1000)).String()
	case units.Bytes:
		return units.Bytes(next(int64(x))).String()
	case units.Hertz:
		return units.Hertz(next(int64(x))).String()
	case units.Cycles:
		return units.Cycles(next(int64(x))).String()
	case interface{ Values() []string }:
		for _, other := range x.Values() {
			if other != fmt.Sprint(x) {
				return other
			}
		}
	case bool:
		return fmt.Sprint(!x)
	case int:
		if strings.HasSuffix(path, "bus_class") {
			return fmt.Sprint((x + 1) % 3)
		}
		return fmt.Sprint(next(int64(x)))
	case string:
		return x
	}
	t.Fatalf("%s: no neighbour for a %v", path, v.Type())
	return ""
}

// probe is a run that a setting may change.
type probe struct {
	scenario, strategy string
	sets               []string
	base               string
}

func (p *probe) run(t *testing.T, sets ...string) (string, error) {
	t.Helper()
	src, err := scenario.Read(p.scenario)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Load(src, overrides(slices.Concat([]string{"run.duration=80ms", "run.warmup=150ms"}, p.sets, sets)...))
	if err != nil {
		return "", err
	}
	info, err := flush.ByName(p.strategy)
	if err != nil {
		t.Fatal(err)
	}
	o, err := simulate(context.Background(), Job{Scenario: s, Strategy: info})
	if err != nil {
		return "", err
	}
	o.doc.Host, o.doc.ConfigSHA256, o.doc.Estimated = result.Host{}, "", nil
	var b bytes.Buffer
	if err := result.Write(&b, []*result.Document{o.doc}); err != nil {
		t.Fatal(err)
	}
	return b.String(), nil
}

func TestEverySettingOfTheChipChangesSomething(t *testing.T) {
	// A core with an outer L2, and an L1 that allocates for stores and has two colours.
	other := []string{"soc.l2.outer=true", "soc.l1d.size=32KiB", "soc.l1d.allocate=read-write"}
	probes := []*probe{
		{scenario: "cpu-filter", strategy: "range"},
		{scenario: "camera-preview", strategy: "whole"},
		{scenario: "camera-preview", strategy: "uncached"},
		{scenario: "cpu-filter", strategy: "range", sets: other},
		{scenario: "cpu-filter", strategy: "whole", sets: other},
		{scenario: "copy-not-share", strategy: "none"},
		{scenario: "copy-not-share", strategy: "none", sets: []string{"soc.sdma.channel_fifo=1KiB", "soc.sdma.bus_limit=100MB"}},
		{scenario: "camera-preview", strategy: "uncached", sets: []string{"soc.cpu.bus_limit=100MB", "soc.gpu.bus_limit=200MB", "soc.display.bus_limit=120MB", "soc.isp.bus_limit=200MB"}},
	}
	for _, p := range probes {
		var err error
		if p.base, err = p.run(t); err != nil {
			t.Fatal(err)
		}
	}
	chip := load(t, "camera-preview").SoC
	found := map[string]bool{}
	all := leaves(t, reflect.ValueOf(soc.Config(chip)), "soc")
	if len(all) < 90 {
		t.Fatalf("found %d settings", len(all))
	}
	for _, l := range all {
		if _, ok := inert[l.path]; ok {
			found[l.path] = true
			continue
		}
		t.Run(l.path, func(t *testing.T) {
			t.Parallel()
			for _, p := range probes {
				got, err := p.run(t, l.path+"="+l.value)
				if err != nil {
					t.Fatalf("moved to %s: %v", l.value, err)
				}
				if got != p.base {
					return
				}
			}
			t.Errorf("moving it to %s changes no metric: let it act, or list it as inert with its reason", l.value)
		})
	}
	for path := range inert {
		if !found[path] {
			t.Errorf("%s is listed as inert and is no setting", path)
		}
	}
}
