// Package flushtest holds what every flush strategy must keep to, in Go or as a table of rules.
package flushtest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
)

// Events are all events in the order in which a buffer meets them, faults before and between the hand-overs, so that a strategy has something to remember.
var Events = []dmaapi.Event{
	dmaapi.Allocate, dmaapi.MapCPU, dmaapi.CPUFault, dmaapi.MapDevice, dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover, dmaapi.CPUFault, dmaapi.Batch, dmaapi.UnmapDevice, dmaapi.UnmapCPU, dmaapi.Free,
}

// Chooses tells whether an event is one at which the CPU's attribute is chosen.
func Chooses(e dmaapi.Event) bool { return e == dmaapi.Allocate || e == dmaapi.MapCPU }

// HandsOver tells whether an event is one at which the profile may do something.
func HandsOver(e dmaapi.Event) bool {
	switch e {
	case dmaapi.MapDevice, dmaapi.UnmapDevice, dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover, dmaapi.Batch:
		return true
	}
	return false
}

// Questions are all events in all directions, for buffers of many sizes, with every attribute, and every default and hint that can come with them.
func Questions() []dmaapi.Question {
	var out []dmaapi.Question
	for _, e := range Events {
		for _, d := range []dmaapi.Direction{dmaapi.ToDevice, dmaapi.FromDevice, dmaapi.Bidirectional} {
			for i, bytes := range []int{1, 64, 4096, 100_000, 1 << 20, 20 << 20} {
				q := dmaapi.Question{
					Event: e, Buffer: "preview", Index: i, Bytes: bytes, Length: bytes, Segments: 1 + bytes/8192, Device: "camera", Direction: d, Exporter: "vb2-sg", HasOuter: i%2 == 1,
				}
				switch {
				case Chooses(e):
					for _, a := range cpu.Attr("").Values() {
						q.Attr = cpu.Attr(a)
						out = append(out, q)
					}
				case e == dmaapi.CPUFault:
					for page := range min((bytes+4095)/4096, 5) {
						q.Page, q.Offset, q.Length, q.Write = page, page*4096, min(4096, bytes-page*4096), page%2 == 0
						out = append(out, q)
					}
				case e == dmaapi.Batch:
					q.Buffers, q.TotalBytes = 3, bytes
					for q.Default = dmaapi.Nothing; q.Default <= dmaapi.CleanInvalidate; q.Default++ {
						out = append(out, q)
					}
				case HandsOver(e):
					for h := dmaapi.Hints(0); h < 4; h++ {
						q.Hints = h
						for q.Default = dmaapi.Nothing; q.Default <= dmaapi.CleanInvalidate; q.Default++ {
							out = append(out, q)
						}
					}
				default:
					out = append(out, q)
				}
			}
		}
	}
	return out
}

// Sense returns what is wrong with an answer, "" if nothing is.
func Sense(q *dmaapi.Question, a dmaapi.Answer) string {
	switch {
	case a.Attr != "" && !slices.Contains(a.Attr.Values(), string(a.Attr)):
		return "no such attribute"
	case a.Op > dmaapi.CleanInvalidate, a.Extent > dmaapi.Lines, a.Outer > dmaapi.OuterWhole:
		return "no such operation or extent"
	case a.Op != dmaapi.Nothing && !HandsOver(q.Event) && q.Event != dmaapi.CPUFault:
		return "maintenance where nothing is handed over"
	case a.Op == dmaapi.Nothing && (a.Extent != dmaapi.ByRange || a.Outer != dmaapi.OuterSame || a.Defer):
		return "an extent of nothing"
	case a.Attr != "" && !Chooses(q.Event):
		return "an attribute where none is chosen"
	case q.Attr == cpu.NoMapping && (a.Attr != "" && a.Attr != cpu.NoMapping || a.Track):
		return "a mapping that was not asked for"
	case a.Track && q.Event != dmaapi.MapCPU:
		return "tracking where nothing is mapped"
	case a.Force && q.Event != dmaapi.Allocate:
		return "a flush at allocation where nothing is allocated"
	case a.Outer != dmaapi.OuterSame && !q.HasOuter:
		return "an outer cache that is not there"
	case (len(a.Spans) > 0) != (a.Extent == dmaapi.Partial || a.Extent == dmaapi.Lines):
		return "spans and partial go together"
	}
	for _, s := range a.Spans {
		if s.Offset < 0 || s.Bytes <= 0 || s.Offset+s.Bytes > q.Bytes {
			return "a span outside of the buffer"
		}
	}
	return ""
}

// A Start lets a fresh policy work as it would before the first allocation, and returns how long that took the chip; for strategies that do something then.
type Start func(dmaapi.Policy) sim.Time

// started makes a policy and starts it.
func (s Start) started(info flush.Info) (dmaapi.Policy, sim.Time) {
	p := info.New()
	if s == nil {
		return p, 0
	}
	return p, s(p)
}

// Contract tests a strategy. One that works at start-up is given a start.
func Contract(t *testing.T, info flush.Info, starts ...Start) {
	var start Start
	if len(starts) > 0 {
		start = starts[0]
	}
	t.Run("answers make sense", func(t *testing.T) {
		p, _ := start.started(info)
		for range 2 { // the second time with a history
			for _, q := range Questions() {
				before := q
				a := p.Decide(&q)
				if why := Sense(&q, a); why != "" {
					t.Errorf("%+v: %s: %+v", q, why, a)
				}
				if q != before {
					t.Fatalf("the question %+v became %+v", before, q)
				}
			}
		}
	})
	t.Run("same questions, same answers", func(t *testing.T) {
		one, _ := start.started(info)
		two, _ := start.started(info)
		for range 2 {
			for _, q := range Questions() {
				if diff := cmp.Diff(one.Decide(&q), two.Decide(&q)); diff != "" {
					t.Fatalf("two policies with the same history differ at %+v:\n%s", q, diff)
				}
			}
		}
	})
	t.Run("nonsense does not make it panic", func(t *testing.T) {
		p, _ := start.started(info)
		r := rand.New(rand.NewPCG(1, 2))
		for range 20_000 {
			q := nonsense(r)
			p.Decide(&q)
		}
	})
	t.Run("is documented", func(t *testing.T) {
		if info.Name == "" || info.Doc == "" || info.Source == "" {
			t.Errorf("%q: %q, %q", info.Name, info.Doc, info.Source)
		}
	})
	t.Run("parameters", func(t *testing.T) { parameters(t, info, start) })
}

// nonsense is a question that no driver puts.
func nonsense(r *rand.Rand) dmaapi.Question {
	number := func() int {
		switch r.IntN(4) {
		case 0:
			return r.IntN(10_000)
		case 1:
			return -r.IntN(10_000)
		case 2:
			return int(r.Uint64())
		}
		return 0
	}
	attrs := append(cpu.Attr("").Values(), "", "odd")
	return dmaapi.Question{
		Event: dmaapi.Event(r.IntN(14)), Buffer: string(rune('a' + r.IntN(3))), Index: number(), Bytes: number(), Segments: number(), Device: string(rune('a' + r.IntN(3))),
		Direction: dmaapi.Direction(r.IntN(300)), Offset: number(), Length: number(), Attr: cpu.Attr(attrs[r.IntN(len(attrs))]), Page: number(), Write: r.IntN(2) == 0,
		Buffers: number(), TotalBytes: number(), Hints: dmaapi.Hints(r.IntN(256)), Contiguous: r.IntN(2) == 0, HasOuter: r.IntN(2) == 0, Default: dmaapi.Operation(r.IntN(300)),
	}
}

// parameters tests that each parameter can be set, is checked, and shows in the label.
func parameters(t *testing.T, info flush.Info, start Start) {
	if info.Label() != info.Name {
		t.Errorf("label %s with all parameters at their defaults", info.Label())
	}
	if _, err := info.With("no such", "1"); err == nil {
		t.Error("an unknown parameter was set")
	}
	for _, p := range info.Params {
		if p.Doc == "" {
			t.Errorf("%s is not documented", p.Name)
		}
		if _, err := info.With(p.Name, "~"); err == nil {
			t.Errorf("%s took nonsense", p.Name)
		}
		same, err := info.With(p.Name, p.Default)
		if err != nil || same.Label() != info.Name {
			t.Errorf("%s at its default %s: %s, %v", p.Name, p.Default, same.Label(), err)
		}
		text := map[flush.ParamType]string{flush.Size: "12345B", flush.Count: "12345", flush.Bool: "true", flush.Choice: ""}[p.Type]
		if p.Type == flush.Bool && p.Default == "true" {
			text = "false"
		}
		for _, c := range p.Choices {
			if c != p.Default {
				text = c
			}
		}
		other, err := info.With(p.Name, text)
		if want := info.Name + "(" + p.Name + "=" + text + ")"; err != nil || other.Label() != want {
			t.Errorf("%s=%s: label %s, want %s; %v", p.Name, text, other.Label(), want, err)
		}
		if !changes(info, p, start) {
			t.Errorf("%s changes nothing", p.Name)
		}
		if _, err := other.With(p.Name, p.Default); err != nil || info.Label() != info.Name || other.Label() == info.Name {
			t.Errorf("setting %s changed the strategy it was taken from", p.Name)
		}
	}
}

// changes tells whether some value of a parameter changes some answer, or how long the start takes.
func changes(info flush.Info, p flush.Param, start Start) bool {
	values := map[flush.ParamType][]string{flush.Size: {"1B", "1GiB"}, flush.Count: {"0", "1000000"}, flush.Bool: {"true", "false"}, flush.Choice: p.Choices}[p.Type]
	for _, v := range values {
		other, err := info.With(p.Name, v)
		if err != nil {
			continue
		}
		one, tookOne := start.started(info)
		two, tookTwo := start.started(other)
		if tookOne != tookTwo {
			return true
		}
		for range 2 {
			for _, q := range Questions() {
				if !cmp.Equal(one.Decide(&q), two.Decide(&q)) {
					return true
				}
			}
		}
	}
	return false
}
