package run

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"socsim/internal/scenario"
	"socsim/scenarios"
)

// variants are scenarios beside those of the library in which rules apply that apply in none of it.
var variants = []*probe{
	{scenario: "pipe"},
	{scenario: "memory"},
	{scenario: "order"},
	{scenario: "faults"},
	{scenario: "steps"},
	{scenario: "pipe", sets: []string{"soc.l2.size=0B", "soc.cpu.bus_width=0B", "soc.isp.bus_width=0B", "soc.gpu.bus_width=0B", "soc.display.bus_width=0B"}},
	{scenario: "memory", sets: []string{"soc.dram.preset=ideal", "soc.sdma.bus_width=0B"}},
	{scenario: "pipe", sets: []string{"soc.dram.scheduler=frfcfs", "soc.dram.queue=16", "clocks=[]", "soc.l1d.index=pipt"}},
	{scenario: "pipe", sets: []string{"soc.isp.bus_class=1", "soc.cpu.bus_class=2"}},
	{scenario: "order", sets: []string{"soc.cpu.bus_class=0"}},
}

func TestSettingsWithoutEffectChangeNothing(t *testing.T) {
	probes := variants
	for _, name := range scenarios.Names() {
		sets := []string{"run.duration=60ms", "run.warmup=50ms"}
		if name == "dvfs" {
			sets = []string{"run.duration=20ms", "run.warmup=240ms"} // its clock changes at 250 ms
		}
		probes = append(probes, &probe{scenario: name, sets: sets})
	}
	var mu sync.Mutex
	var tested []scenario.Rule // a rule of one setting for each move
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		for _, r := range scenario.Rules() {
			if !slices.ContainsFunc(tested, func(x scenario.Rule) bool { return r.When == x.When && r.Covers(x.Settings[0]) }) {
				t.Errorf("no probe moves %v while %s: give it a variant", r.Settings, r.When)
			}
		}
	})
	for _, p := range probes {
		t.Run(p.scenario+" "+strings.Join(p.sets, " "), func(t *testing.T) {
			t.Parallel()
			if err := p.ready(); err != nil {
				t.Fatal(err)
			}
			var moves []string
			for _, l := range leaves() {
				for _, at := range instances(p.loaded, l.path) {
					if why := p.loaded.NoEffect(at); why != "" {
						if m := p.valid(l, at, moves); m != "" {
							moves = append(moves, m)
							mu.Lock()
							tested = append(tested, scenario.Rule{Settings: []string{at}, When: why})
							mu.Unlock()
						}
					}
				}
			}
			if len(moves) < 10 {
				t.Fatalf("only %v can be moved", moves)
			}
			p.mustNotChange(t, moves)
		})
	}
}

// valid returns a move of a setting that is valid together with others, "" if there is none.
func (p *probe) valid(l leaf, at string, others []string) string {
	for _, to := range neighbours(l.Setting, valueOf(p.loaded, l, at)) {
		if _, err := p.load("", "", append(others[:len(others):len(others)], at+"="+to)...); err == nil {
			return at + "=" + to
		}
	}
	return ""
}

// mustNotChange carries all moves out at once, and halves of them to find the one that changes something.
func (p *probe) mustNotChange(t *testing.T, moves []string) {
	t.Helper()
	_, got, err := p.run("", "", moves...)
	switch {
	case err == nil && got == p.base:
	case len(moves) == 1:
		t.Errorf("%s changes the result (%v), although it is said to have no effect: %s", moves[0], err, p.loaded.NoEffect(strings.Split(moves[0], "=")[0]))
	default:
		p.mustNotChange(t, moves[:len(moves)/2])
		p.mustNotChange(t, moves[len(moves)/2:])
	}
}

func valueOf(s *scenario.Loaded, l leaf, at string) string {
	list, err := s.Settings()
	if err != nil {
		panic(err)
	}
	for _, x := range list {
		if x.Path == at {
			return x.Value
		}
	}
	return l.Default
}

func TestTheTableOfSettingsWithoutEffectListsTheRules(t *testing.T) {
	var b strings.Builder
	b.WriteString("| settings | have no effect where |\n|---|---|\n")
	for _, r := range scenario.Rules() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.Join(r.Settings, "`, `"), r.When)
	}
	table(t, "../../docs/scenario.md", "<!-- table: without effect -->", b.String())
}

func TestTheTableOfInertSettingsListsThem(t *testing.T) {
	var b strings.Builder
	b.WriteString("| setting | why it changes no result |\n|---|---|\n")
	for _, path := range slices.Sorted(maps.Keys(inert)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", path, inert[path])
	}
	table(t, "../../docs/model.md", "<!-- table: inert -->", b.String())
}
