package strategy

import (
	"socsim/internal/conf"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
)

// APIVersion is the version of the language of rule tables.
const APIVersion = "socsim/v1"

// Table is a rule table as it is written.
type Table struct {
	APIVersion string      `conf:"apiVersion,required" doc:"Version of the language: socsim/v1."`
	Name       string      `conf:"name,required" doc:"Name of the strategy: letters, digits and hyphens."`
	Doc        string      `conf:"doc,required" doc:"What it does, in a sentence or two."`
	Shipped    string      `conf:"shipped" doc:"Where it shipped."`
	Source     string      `conf:"source,required" doc:"Where the rules and figures are written."`
	Parameters []Parameter `conf:"parameters,map" doc:"Parameters by name, which the rules use and a user may set."`
	Default    Otherwise   `conf:"default,required" doc:"What happens at a hand-over that no rule matches: range (what the coherence profile says, by address) or nothing."`
	Rules      []Rule      `conf:"rules,required" doc:"The rules; the first that matches decides."`
}

// Parameter is a parameter of a table.
type Parameter struct {
	Name         string          `conf:"name,key" doc:"Name of the parameter."`
	Type         flush.ParamType `conf:"type,required" doc:"What it is: size, count, bool or choice."`
	Default      string          `conf:"default,required" doc:"Its value unless it is set."`
	Doc          string          `conf:"doc,required" doc:"What it means."`
	Choices      []string        `conf:"choices" doc:"The values of a choice."`
	ZeroMeansOff bool            `conf:"zero_means_off" doc:"A rule whose bounds use the parameter never matches while it is 0."`
}

// Rule is one rule: conditions, all of which must hold, and what is done then.
type Rule struct {
	On        []Event     `conf:"on,required" doc:"Events: allocate, map-cpu, map-device, unmap-device, to-device, to-cpu, cpu-fault, batch; for-device and for-cpu stand for the two of each kind."`
	Direction []Direction `conf:"direction" doc:"DMA directions; all if left out."`
	Profile   []Op        `conf:"profile" doc:"What the coherence profile would do: nothing, clean, invalidate or clean+invalidate; anything if left out."`
	Hints     []Hint      `conf:"hints" doc:"Hints that must all be given: NO_CACHE_CLEAN, NO_CACHE_INVALIDATE, SKIP_CPU_SYNC."`
	Asked     []cpu.Attr  `conf:"asked" doc:"CPU attribute asked for, at allocate and map-cpu; any if left out."`
	If        string      `conf:"if" doc:"A parameter that must hold: NAME or not NAME of a bool, NAME = VALUE or NAME != VALUE of a choice."`
	Size      *Bounds     `conf:"size" doc:"Bytes handed over; of a batch, those of all its buffers."`
	Buffers   *Bounds     `conf:"buffers" doc:"Buffers in a batch."`
	Do        Action      `conf:"do" doc:"The operation: profile (what the coherence profile says), nothing, clean, invalidate or clean+invalidate."`
	Extent    Extent      `conf:"extent" doc:"How much of the inner caches: range (by address, the default) or whole (by set and way, cleaned and invalidated)."`
	Outer     Extent      `conf:"outer" doc:"How much of an outer cache, if the chip has one: as of the inner ones if left out."`
	Defer     bool        `conf:"defer" doc:"Let a worker thread do it; the hand-over is complete when that has happened."`
	Attr      cpu.Attr    `conf:"attr" doc:"The CPU attribute to use instead of the one asked for, at allocate and map-cpu."`
	Track     bool        `conf:"track" doc:"At map-cpu: map no pages, so that the first touch of each is a cpu-fault."`
	Force     bool        `conf:"force" doc:"At allocate: clean and invalidate the new buffer although it is cached."`
}

// Bounds are bounds of a number; each is an expression such as 64KiB, inner, threshold/4, pages*4KiB or max(inner, outer).
type Bounds struct {
	AtLeast string `conf:"at_least" doc:"The smallest that matches."`
	Above   string `conf:"above" doc:"The largest that does not match any more, from below."`
	Below   string `conf:"below" doc:"The smallest that does not match any more, from above."`
}

// The enumerations of the language, as they are written.
type (
	// Event is an event, or a group of them.
	Event string
	// Direction is a DMA direction, spelt as in the kernel.
	Direction string
	// Op is a cache operation.
	Op string
	// Hint is what a caller says about a hand-over.
	Hint string
	// Action is what a rule does.
	Action string
	// Extent is how much of a cache an operation covers.
	Extent string
	// Otherwise is what happens where no rule matches.
	Otherwise string
)

const (
	forDevice Event = "for-device"
	forCPU    Event = "for-cpu"

	whole     Extent    = "whole"
	byRange   Extent    = "range"
	profile   Action    = "profile"
	nothing   Action    = "nothing"
	elseRange Otherwise = "range"
)

// events are the events at which a rule can do something, in the order of dmaapi.
var events = []dmaapi.Event{
	dmaapi.Allocate, dmaapi.MapCPU, dmaapi.MapDevice, dmaapi.UnmapDevice, dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover, dmaapi.CPUFault, dmaapi.Batch,
}

var operations = []dmaapi.Operation{dmaapi.Nothing, dmaapi.Clean, dmaapi.Invalidate, dmaapi.CleanInvalidate}

var directions = []dmaapi.Direction{dmaapi.ToDevice, dmaapi.FromDevice, dmaapi.Bidirectional}

var hints = []struct {
	name string
	hint dmaapi.Hints
}{{"NO_CACHE_CLEAN", dmaapi.NoCacheClean}, {"NO_CACHE_INVALIDATE", dmaapi.NoCacheInvalidate}, {"SKIP_CPU_SYNC", dmaapi.SkipCPUSync}}

// Values lists the events and the groups.
func (Event) Values() []string {
	var out []string
	for _, e := range events {
		out = append(out, e.String())
	}
	return append(out, string(forDevice), string(forCPU))
}

// each calls visit with the events that e stands for.
func (e Event) each(visit func(dmaapi.Event)) {
	for _, x := range events {
		device := x == dmaapi.MapDevice || x == dmaapi.ToDeviceHandover
		cpu := x == dmaapi.UnmapDevice || x == dmaapi.ToCPUHandover
		if string(e) == x.String() || e == forDevice && device || e == forCPU && cpu {
			visit(x)
		}
	}
}

// Values lists the directions.
func (Direction) Values() []string {
	var out []string
	for _, d := range directions {
		out = append(out, d.String())
	}
	return out
}

// Values lists the operations.
func (Op) Values() []string {
	var out []string
	for _, o := range operations {
		out = append(out, o.String())
	}
	return out
}

// Values lists the hints.
func (Hint) Values() []string {
	var out []string
	for _, h := range hints {
		out = append(out, h.name)
	}
	return out
}

// Values lists the actions.
func (Action) Values() []string { return append([]string{string(profile)}, Op("").Values()...) }

// operation is the operation of an action that is not profile.
func (a Action) operation() dmaapi.Operation {
	for _, o := range operations {
		if string(a) == o.String() {
			return o
		}
	}
	return dmaapi.Nothing
}

// Values lists the extents.
func (Extent) Values() []string { return []string{string(byRange), string(whole)} }

// Values lists what can happen otherwise.
func (Otherwise) Values() []string { return []string{string(elseRange), string(nothing)} }

// Load reads a rule table and makes a strategy of it. The error holds all mistakes, with their places.
func Load(src conf.Source) (flush.Info, error) {
	var t Table
	doc, err := conf.Decode(src, nil, nil, &t)
	if err != nil {
		return flush.Info{}, err
	}
	c := &checker{Table: &t, doc: doc}
	if err := c.check(); err != nil {
		return flush.Info{}, err
	}
	return flush.Define(flush.Info{Name: t.Name, Doc: t.Doc, Shipped: t.Shipped, Source: t.Source, Params: c.params}, func(s flush.Settings) dmaapi.Policy {
		return c.compile(s)
	}), nil
}
