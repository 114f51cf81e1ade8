package run

import (
	"fmt"
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/internal/scenario"
)

// inert lists the settings that change no result, each with its reason.
var inert = map[string]string{
	"apiVersion":                   "there is one version of the language",
	"name":                         "names the result",
	"theme":                        "for lists",
	"soc.illustrative":             "labels the result",
	"description":                  "for readers",
	"soc.display.preload":          "decides only whether the late start of a frame counts as an underflow",
	"soc.isp.small_port_bytes":     "the statistics write little: their ports do not fill even where the camera's own overflow",
	"soc.llc.sub_block":            "the levels before it write whole lines back to it",
	"soc.sdma.channels":            "the driver carries one transfer out at a time, on one channel",
	"soc.sdma.arbitration_rate":    "the driver asks for no channel of high priority",
	"stages.NAME.iommu.allocation": "decides which addresses are used, and what is simulated depends on them only where a gap would be too small",
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
	move     string // PATH=VALUE, several joined by " + " where one alone is not valid, or OLD -> NEW in the text
	refused  bool   // a limit: the move makes the scenario one that is refused
}

func TestEverySettingChangesSomething(t *testing.T) {
	found := map[string]bool{}
	for _, l := range leaves() {
		found[l.path] = true
		t.Run(l.path, func(t *testing.T) {
			t.Parallel()
			if a, ok := aims[l.path]; ok {
				if err := a.hits(); err != nil {
					t.Error(err)
				}
				return
			}
			by, moves := l.moves(t)
			switch reason, ok := inert[l.path]; {
			case ok && by != "":
				t.Errorf("listed as inert (%s), but it changes the result of %s", reason, by)
			case !ok && by == "":
				t.Errorf("%d valid moves of it change nothing in any probe: let it act, give it an aim, or list it as inert with its reason", moves)
			}
		})
	}
	for path := range inert {
		if _, both := aims[path]; both || !found[path] {
			t.Errorf("%s is listed as inert, and is no setting or has an aim", path)
		}
	}
	for path := range aims {
		if !found[path] {
			t.Errorf("%s has an aim and is no setting", path)
		}
	}
}

// moves returns the first probe in which moving a setting changes what is found, "" if there is none, and how many valid moves were tried.
func (l leaf) moves(t *testing.T) (by string, valid int) {
	t.Helper()
	for _, p := range probes {
		if err := p.ready(); err != nil {
			t.Fatal(err)
		}
		for _, at := range instances(p.loaded, l.path) {
			changed, n := p.moved(l, at)
			if valid += n; changed {
				return p.scenario, valid
			}
		}
	}
	return "", valid
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
	for _, to := range neighbours(l.Setting, valueOf(p.loaded, l, at)) {
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
		_, got, err = p.run("", "", strings.Split(a.move, " + ")...)
	}
	if a.refused {
		if err == nil || !strings.Contains(err.Error(), "over the") && !strings.Contains(err.Error(), "it needs a") {
			return fmt.Errorf("%s in %s: %v, want the limit to be said", a.move, a.scenario, err)
		}
		return nil
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", a.move, err)
	case got == p.base:
		return fmt.Errorf("%s changes nothing in %s: let it act, or list the setting as inert with its reason", a.move, a.scenario)
	}
	return nil
}
