package run

import (
	"fmt"
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/internal/scenario"
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
	"soc.llc.line":                   "the same",
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
	"soc.llc.sub_block":              "the same, and L2's are written back to it as a whole",
	"soc.dram.preset":                "names where values come from",
	"soc.dram.service":               "of the schedulers fixed and ideal",
	"soc.dram.interleave":            "acts with several channels",
	"soc.dram.txp":                   "acts with power_down",
	"soc.dram.tcke":                  "acts with power_down",
	"soc.dram.queue":                 "of the scheduler frfcfs",
}

// probes are tried in their order until one shows that a setting acts.
var probes = []*probe{
	{scenario: "pipe"},
	{scenario: "memory"},
	{scenario: "order"},
	{scenario: "faults"},
	{scenario: "steps"},
}

// aim is a move that the generator does not find: settings, or a text in place of another, in a scenario with settings of its own.
type aim struct {
	scenario string
	with     string // settings of the probe, separated by blanks
	move     string // PATH=VALUE, or OLD -> NEW in the text
}

func TestEverySettingChangesSomething(t *testing.T) {
	found := map[string]bool{}
	for _, l := range leaves() {
		if _, ok := inert[l.path]; ok {
			found[l.path] = true
			continue
		}
		if _, ok := aims[l.path]; ok {
			found[l.path] = true
		}
		t.Run(l.path, func(t *testing.T) {
			t.Parallel()
			if a, ok := aims[l.path]; ok {
				if err := a.hits(); err != nil {
					t.Error(err)
				}
				return
			}
			moves := 0
			for _, p := range probes {
				if err := p.ready(); err != nil {
					t.Fatal(err)
				}
				for _, at := range instances(p.loaded, l.path) {
					did, n := p.moved(l, at)
					if moves += n; did {
						return
					}
				}
			}
			t.Errorf("%d valid moves of it change nothing in any probe: let it act, give it an aim, or list it as inert with its reason", moves)
		})
	}
	for _, list := range []map[string]bool{keys(inert), keys(aims)} {
		for path := range list {
			if !found[path] {
				t.Errorf("%s is listed and is no setting", path)
			}
		}
	}
}

func keys[V any](m map[string]V) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}

// leaf is a setting of the schema that has a value: no mapping, and no list of mappings.
type leaf struct {
	path string
	conf.Setting
}

func leaves() []leaf {
	var out []leaf
	scenario.Describe().Walk(func(path string, s conf.Setting) {
		if s.Kind != conf.Mapping && (s.Kind != conf.List || len(s.Item.Fields) == 0) {
			out = append(out, leaf{path, s})
		}
	})
	return out
}

// tries bounds how many valid moves of one setting are simulated in a probe.
const tries = 2

// moved tells whether a move of a setting changes what the probe finds, and how many valid ones were tried.
func (p *probe) moved(l leaf, at string) (changed bool, valid int) {
	value := l.Default
	if list, err := p.loaded.Settings(); err == nil {
		for _, s := range list {
			if s.Path == at {
				value = s.Value
			}
		}
	}
	for _, to := range neighbours(l.Setting, value) {
		if valid == tries {
			break
		}
		if _, got, err := p.run("", "", at+"="+to); err == nil {
			if valid++; got != p.base {
				return true, valid
			}
		}
	}
	return false, valid
}

// hits carries the move out and returns an error unless it changes something.
func (a aim) hits() error {
	p := &probe{scenario: a.scenario, sets: strings.Fields(a.with)}
	if err := p.ready(); err != nil {
		return err
	}
	old, text, isText := strings.Cut(a.move, " -> ")
	var got string
	var err error
	if isText {
		_, got, err = p.run(old, text)
	} else {
		_, got, err = p.run("", "", a.move)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", a.move, err)
	}
	if got == p.base {
		return fmt.Errorf("%s changes nothing in %s: let it act, or list the setting as inert with its reason", a.move, a.scenario)
	}
	return nil
}

var aims = map[string]aim{}
