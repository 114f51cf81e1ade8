// Package compare tells why two runs differ: which metrics moved, where the core's and the memory bus's time went by cause, and what that means in words. It works on result documents alone and
// prints nothing.
//
// The breakdowns are exact: the parts of each add up to the time measured, so that the differences of the parts add up to the difference of the whole.
package compare

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"socsim/internal/metric"
	"socsim/internal/result"
)

const (
	cpuTime = "cpu.time."
	busTime = "dram.time."
	idle    = "idle"
)

// Schema names the format of a comparison.
const Schema = "socsim.compare/v1"

// Side is one of the two runs.
type Side struct {
	Document *result.Document `json:"-"`

	ConfigSHA256 string `json:"config_sha256"`
	Frames       int64  `json:"frames"` // captured; 0 if the run has none
	Name         string `json:"name"`   // what the comparison calls it
	Scenario     string `json:"scenario"`
	Seed         uint64 `json:"seed"`
	SimulatedPS  int64  `json:"simulated_ps"`
	Strategy     string `json:"strategy"`
	Version      string `json:"version"`
}

// Setting is a setting whose values differ: "" stands for none.
type Setting struct {
	A    string `json:"a"`
	B    string `json:"b"`
	Path string `json:"path"`
}

// Verdict is what a change is worth.
type Verdict string

// The verdicts. A change of a metric without a good direction has none.
const (
	Better Verdict = "better"
	Worse  Verdict = "worse"
)

// Change is a metric that is not the same in both runs.
type Change struct {
	A        *result.Number `json:"a"` // nil where the run has no such metric
	B        *result.Number `json:"b"`
	Major    bool           `json:"major"` // what a table shows that does not show everything
	Metric   string         `json:"metric"`
	Relative result.Number  `json:"relative"` // the difference over the larger of the two
	Unit     string         `json:"unit"`
	Verdict  Verdict        `json:"verdict,omitempty"` // of b
}

// Part is what one cause took, in picoseconds. The parts a frame are cut so that they add up to the whole a frame.
type Part struct {
	A         int64  `json:"a_ps"`
	APerFrame int64  `json:"a_ps_per_frame"`
	B         int64  `json:"b_ps"`
	BPerFrame int64  `json:"b_ps_per_frame"`
	Cause     string `json:"cause"`
}

// Difference returns by how much b took longer.
func (p Part) Difference() int64 { return p.B - p.A }

// DifferencePerFrame returns the same a frame.
func (p Part) DifferencePerFrame() int64 { return p.BPerFrame - p.APerFrame }

// Breakdown is where a time went: its busy parts, the largest difference first; the idle one; and both together. Busy and Total have no cause.
type Breakdown struct {
	Busy  Part   `json:"busy"`
	Idle  Part   `json:"idle"`
	Parts []Part `json:"parts"`
	Total Part   `json:"total"`
}

// Comparison is what two runs differ in. The fields stand in the order of their keys.
type Comparison struct {
	A          Side       `json:"a"`
	B          Side       `json:"b"`
	Bus        *Breakdown `json:"bus_time"` // nil where a document has none
	Changes    []Change   `json:"changes"`
	Conclusion []string   `json:"conclusion"` // sentences
	CPU        *Breakdown `json:"cpu_time"`
	Identical  bool       `json:"identical"`
	Notes      []string   `json:"notes"` // what to know before believing it
	Schema     string     `json:"schema"`
	Settings   []Setting  `json:"settings"` // nil where they are not known
}

// Documents compares two runs. Names may be empty: the sides are then called by what tells them apart. Settings are those that differ, nil if they are not known.
func Documents(a, b *result.Document, nameA, nameB string, settings []Setting) *Comparison {
	if nameA == "" || nameB == "" || nameA == nameB {
		nameA, nameB = callNames(a, b)
	}
	c := &Comparison{Schema: Schema, A: side(a, nameA), B: side(b, nameB), Settings: settings, Notes: notes(a, b), Changes: []Change{}, Conclusion: []string{}}
	c.Identical = identical(a, b)
	for _, n := range names(a, b) {
		if x, ok := change(a, b, n); ok {
			c.Changes = append(c.Changes, x)
		}
	}
	slices.SortStableFunc(c.Changes, func(x, y Change) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), -cmp.Compare(x.Relative.Int, y.Relative.Int))
	})
	c.CPU = breakdown(c.A, c.B, cpuTime)
	c.Bus = breakdown(c.A, c.B, busTime)
	c.conclude()
	return c
}

// callNames finds names that tell two runs apart.
func callNames(a, b *result.Document) (nameA, nameB string) {
	switch {
	case a.Strategy != b.Strategy:
		return a.Strategy, b.Strategy
	case a.Scenario != b.Scenario:
		return a.Scenario, b.Scenario
	}
	return "A", "B"
}

func side(d *result.Document, name string) Side {
	return Side{
		Name: name, Document: d, ConfigSHA256: d.ConfigSHA256, Frames: d.Metrics["frames.captured"].Value.Int, Scenario: d.Scenario, Seed: d.Seed, SimulatedPS: d.SimulatedPS,
		Strategy: d.Strategy, Version: d.Version,
	}
}

// notes says what makes the two hard to compare.
func notes(a, b *result.Document) []string {
	list := []string{}
	if a.Scenario != b.Scenario {
		list = append(list, fmt.Sprintf("These are different scenarios, %s and %s: a difference may be the work's, not the choice's.", a.Scenario, b.Scenario))
	}
	if a.SoC != b.SoC {
		list = append(list, fmt.Sprintf("These are different chips, %s and %s.", a.SoC, b.SoC))
	}
	if a.Version != b.Version {
		list = append(list, fmt.Sprintf("These are of different versions of socsim, %s and %s: a difference may be the model's.", a.Version, b.Version))
	}
	if a.SimulatedPS != b.SimulatedPS {
		text := "The runs are not equally long: totals and shares of the time differ for that alone"
		if a.Metrics["frames.captured"].Value.Int > 0 && b.Metrics["frames.captured"].Value.Int > 0 {
			text += "; look at what they are a frame"
		}
		list = append(list, text+".")
	}
	return list
}

// identical tells whether the documents are the same but for the host.
func identical(a, b *result.Document) bool {
	x, y := *a, *b
	x.Host, y.Host = result.Host{}, result.Host{}
	var bx, by bytes.Buffer
	return result.Write(&bx, []*result.Document{&x}) == nil && result.Write(&by, []*result.Document{&y}) == nil && bytes.Equal(bx.Bytes(), by.Bytes())
}

func change(a, b *result.Document, name string) (Change, bool) {
	av, inA := a.Metrics[name]
	bv, inB := b.Metrics[name]
	if inA && inB && scaled(av.Value) == scaled(bv.Value) {
		return Change{}, false
	}
	c := Change{Metric: name, Unit: cmp.Or(av.Unit, bv.Unit), Relative: relative(av.Value, bv.Value)}
	if inA {
		c.A = &av.Value
	}
	if inB {
		c.B = &bv.Value
	}
	info, _ := metric.Lookup(name)
	d := difference(a, b, name)
	switch {
	case d == 0 || info.Better == metric.Neither:
	case d < 0 == (info.Better == metric.Lower):
		c.Verdict = Better
	default:
		c.Verdict = Worse
	}
	c.Major = c.Relative.Int >= majorChange && c.Verdict != "" && !strings.HasPrefix(name, cpuTime) && !strings.HasPrefix(name, busTime)
	return c, true
}

// majorChange is the least relative change, in ten-thousandths, that a table shows which does not show everything.
const majorChange = 100

// failures are metrics that tell of something wrong, not of a price.
var failures = []string{"coherency.", "frames.dropped", "isp.overflows", "display.underflows", "script.errors"}

// rank puts failures before what is better or worse, that before the rest, and the breakdowns' parts last.
func rank(c Change) int {
	switch {
	case slices.ContainsFunc(failures, func(f string) bool { return strings.HasPrefix(c.Metric, f) }):
		return 0
	case strings.HasPrefix(c.Metric, cpuTime), strings.HasPrefix(c.Metric, busTime):
		return 3
	case c.Verdict != "":
		return 1
	}
	return 2
}

// breakdown sets the parts beside each other.
func breakdown(a, b Side, prefix string) *Breakdown {
	_, inA := a.Document.Metrics[prefix+idle]
	_, inB := b.Document.Metrics[prefix+idle]
	if !inA || !inB {
		return nil
	}
	x := &Breakdown{Parts: []Part{}}
	for _, n := range names(a.Document, b.Document) {
		cause, ok := strings.CutPrefix(n, prefix)
		if !ok {
			continue
		}
		p := Part{Cause: cause, A: picoseconds(a.Document, n), B: picoseconds(b.Document, n)}
		if cause == idle {
			x.Idle = p
			continue
		}
		x.Parts = append(x.Parts, p)
	}
	slices.SortStableFunc(x.Parts, func(p, q Part) int { return cmp.Compare(abs(q.Difference()), abs(p.Difference())) })
	var cutA, cutB cutter
	cutA.frames, cutB.frames = a.Frames, b.Frames
	for i := range x.Parts {
		p := &x.Parts[i]
		p.APerFrame, p.BPerFrame = cutA.next(p.A), cutB.next(p.B)
		x.Busy.add(*p)
	}
	x.Idle.APerFrame, x.Idle.BPerFrame = cutA.next(x.Idle.A), cutB.next(x.Idle.B)
	x.Total.add(x.Busy)
	x.Total.add(x.Idle)
	return x
}

func (p *Part) add(q Part) {
	p.A += q.A
	p.B += q.B
	p.APerFrame += q.APerFrame
	p.BPerFrame += q.BPerFrame
}

// cutter divides a sequence of times by the frames without losing anything to rounding.
type cutter struct{ frames, sum, told int64 }

func (c *cutter) next(t int64) int64 {
	if c.frames == 0 {
		return 0
	}
	c.sum += t
	part := c.sum/c.frames - c.told
	c.told += part
	return part
}

// picoseconds returns a metric in ns as picoseconds.
func picoseconds(d *result.Document, name string) int64 {
	v := d.Metrics[name].Value
	n := v.Int
	for range 3 - v.Digits {
		n *= 10
	}
	return n
}
