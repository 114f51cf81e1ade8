// Package scenario is the scenario language: the schema, its strict decoding, the checks that need to see the whole, and the resolved form.
package scenario

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/scenarios"
	"socsim/sim"
	"socsim/soc"
	"socsim/soc/flush"
	"socsim/soc/graph"
	"socsim/soc/presets"
)

// APIVersion is the version of the language.
const APIVersion = "socsim/v1"

// Run is how long and from which seed to simulate.
type Run struct {
	Duration sim.Time `conf:"duration" doc:"Simulated time that is measured."`
	Warmup   sim.Time `conf:"warmup" doc:"Simulated time before that; metrics start after it, violations count throughout."`
	Frames   int      `conf:"frames" doc:"End the run when this many frames have been captured after the warm-up; 0 measures the whole duration."`
	Seed     uint64   `conf:"seed" doc:"Seed of all random streams."`
	DMADebug bool     `conf:"dma_debug" doc:"Report wrong use of the DMA API, as CONFIG_DMA_API_DEBUG does and more: accesses of CPU and devices against ownership too."`
}

// Scenario is a scenario file.
type Scenario struct {
	APIVersion  string              `conf:"apiVersion,required" doc:"Version of the language: socsim/v1."`
	Name        string              `conf:"name,required" doc:"Name of the scenario."`
	Description string              `conf:"description" doc:"What it shows, in a line."`
	Theme       string              `conf:"theme,omitempty" doc:"What it is about, by which socsim list groups the library."`
	SoC         soc.Config          `conf:"soc,required,preset=soc" doc:"The chip: a preset's name, or a preset with settings of its own."`
	Run         Run                 `conf:"run" doc:"Duration, warm-up and seed."`
	Strategy    string              `conf:"strategy" doc:"Flush strategy the scenario is meant for, with its parameters: nvmap(inner=1MiB); @FILE is a rule table, looked for beside the file that names it. expect is judged under it."`
	Buffers     []graph.Buffer      `conf:"buffers,map" doc:"Buffer sets by name."`
	Stages      []graph.Stage       `conf:"stages" doc:"Stages that pass buffers along."`
	Tasks       []graph.Task        `conf:"tasks" doc:"Tasks beside them."`
	Script      []graph.Step        `conf:"script" doc:"Steps that one driver thread carries out in order, from the end of the warm-up on; without stages the run ends with them."`
	Clocks      []graph.ClockChange `conf:"clocks,omitempty" doc:"Changes of clocks while it runs."`
	Faults      []graph.Injection   `conf:"faults,omitempty" doc:"Faults to inject while it runs."`
	Expect      []string            `conf:"expect" doc:"What must hold: METRIC OP VALUE."`
}

// Loaded is a scenario with what is known about its text.
type Loaded struct {
	Scenario
	// SHA256 is the hash of the resolved scenario and of the traces it names.
	SHA256 string
	// Estimated lists the settings in force whose values no source backs, sorted.
	Estimated []string
	// Unread lists the settings that the user changed and that have no effect, in the order of the text.
	Unread []Unread
	// Illustrative is the label of a chip that only stands for its kind; nil for others.
	Illustrative *result.Illustrative
	Expect       []Expectation
	// Own is the scenario's own strategy.
	Own flush.Info
	// OfBuffers and OfStages are the strategies of single buffer sets and stages.
	OfBuffers, OfStages []flush.Own
	doc                 *conf.Document
	dir                 string // where the scenario lies
	// traces are the accesses of all traces that the scenario names, in the order of their settings.
	traces []graph.Record
}

// defaults is what a scenario that leaves out everything optional has.
func defaults() Scenario {
	return Scenario{Run: Run{Duration: sim.Second, Warmup: 200 * sim.Millisecond, Seed: 1}, Strategy: "range"}
}

// ErrNotFound is returned, wrapped, for a scenario that is neither a file nor in the library.
var ErrNotFound = errors.New("no such scenario")

// Read returns the text of a scenario: a file if there is one of that name, or else one of the library.
func Read(name string) (conf.Source, error) {
	data, err := readFile(name)
	if err == nil {
		return conf.Source{Name: name, Data: data}, nil
	}
	if lib, ok := scenarios.Read(name); ok && errors.Is(err, fs.ErrNotExist) {
		return conf.Source{Name: name + ".yaml", Data: lib, Builtin: true}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return conf.Source{}, fmt.Errorf("reading scenario: %w", err)
	}
	hint := ""
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	if near := conf.Nearest(base, scenarios.Names()); near != "" {
		hint = fmt.Sprintf("; did you mean the library's %q?", near)
	}
	return conf.Source{}, fmt.Errorf("%w: %q is neither a file nor one of the library (%s)%s", ErrNotFound, name, strings.Join(scenarios.Names(), ", "), hint)
}

// Load decodes and checks a scenario. The error holds all mistakes of the file, with their places.
func Load(src conf.Source, overrides []conf.Override) (*Loaded, error) {
	l := &Loaded{Scenario: defaults(), dir: filepath.Dir(src.Name)}
	doc, err := conf.Decode(src, overrides, presets.Set{}, &l.Scenario, conf.Composed(openIncluded))
	if err != nil {
		return nil, err
	}
	l.doc = doc
	l.relocateStrategy()
	if err := l.check(); err != nil {
		return nil, err
	}
	text, err := l.Resolved()
	if err != nil {
		return nil, err
	}
	l.SHA256 = l.hash(text)
	l.Illustrative = Label(l.SoC, doc.Provenance())
	l.Estimated = []string{}
	for _, p := range doc.Provenance() {
		if p.Estimated {
			l.Estimated = append(l.Estimated, p.Path)
		}
	}
	l.Unread = l.unread()
	return l, nil
}

// hash is that of the resolved text, and of the accesses of the traces it names, if any: another recording under the same name is another scenario.
func (l *Loaded) hash(text []byte) string {
	h := sha256.New()
	h.Write(text)
	var record []byte
	for _, r := range l.traces {
		record = binary.LittleEndian.AppendUint64(record[:0], r.Addr)
		record = binary.LittleEndian.AppendUint16(record, r.Bytes)
		h.Write(strconv.AppendBool(record, r.Write))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Resolved returns the scenario with every setting filled in. Loading that gives the same scenario.
func (l *Loaded) Resolved() ([]byte, error) {
	text, err := conf.Encode(l.Scenario, conf.EscapeParams())
	if err != nil {
		return nil, fmt.Errorf("printing scenario %s: %w", l.Name, err)
	}
	return text, nil
}

// Annotated is Resolved with a comment behind each value that a preset set, saying where it comes from.
func (l *Loaded) Annotated() ([]byte, error) {
	text, err := conf.Encode(l.Scenario, conf.EscapeParams(), conf.WithProvenance(l.doc.Provenance()))
	if err != nil {
		return nil, fmt.Errorf("printing scenario %s: %w", l.Name, err)
	}
	return text, nil
}
