package flush

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

var (
	events = []dmaapi.Event{
		dmaapi.Allocate, dmaapi.MapCPU, dmaapi.MapDevice, dmaapi.UnmapDevice, dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover,
	}
	directions = []dmaapi.Direction{dmaapi.ToDevice, dmaapi.FromDevice, dmaapi.Bidirectional}
	operations = []dmaapi.Operation{dmaapi.Nothing, dmaapi.Clean, dmaapi.Invalidate, dmaapi.CleanInvalidate}
)

// chooses tells whether an event is one at which the CPU's attribute is chosen; at the others there is maintenance.
func chooses(e dmaapi.Event) bool { return e == dmaapi.Allocate || e == dmaapi.MapCPU }

// questions are all events in all directions, for buffers of many sizes, with every attribute and every default that can come with them.
func questions() []dmaapi.Question {
	var out []dmaapi.Question
	for _, e := range events {
		for _, d := range directions {
			for i, bytes := range []int{1, 64, 4096, 100_000, 1 << 20, 20 << 20} {
				q := dmaapi.Question{Event: e, Buffer: "preview", Index: i, Bytes: bytes, Segments: 1 + bytes/8192, Device: "camera", Direction: d}
				if chooses(e) {
					for _, a := range cpu.Attr("").Values() {
						q.Attr = cpu.Attr(a)
						out = append(out, q)
					}
					continue
				}
				for _, op := range operations {
					q.Default = op
					out = append(out, q)
				}
			}
		}
	}
	return out
}

// The contract that every strategy keeps.
func TestStrategies(t *testing.T) {
	for _, info := range strategies {
		t.Run(info.Name, func(t *testing.T) {
			t.Run("answers make sense", func(t *testing.T) { answersMakeSense(t, info.New()) })
			t.Run("answers are deterministic", func(t *testing.T) { answersAreDeterministic(t, info) })
			t.Run("the question is left alone", func(t *testing.T) { questionIsLeftAlone(t, info.New()) })
			t.Run("is documented", func(t *testing.T) {
				if info.Doc == "" || info.Source == "" {
					t.Errorf("%+v", info)
				}
			})
		})
	}
}

func answersMakeSense(t *testing.T, p dmaapi.Policy) {
	for _, q := range questions() {
		a := p.Decide(&q)
		fail := func(why string) {
			t.Errorf("%v %v of %d bytes, attribute %q, default %v: %s: %+v", q.Event, q.Direction, q.Bytes, q.Attr, q.Default, why, a)
		}
		if a.Attr != "" && !slices.Contains(a.Attr.Values(), string(a.Attr)) {
			fail("no such attribute")
		}
		if a.Op > dmaapi.CleanInvalidate {
			fail("no such operation")
		}
		if a.Extent > dmaapi.Partial {
			fail("no such extent")
		}
		if chooses(q.Event) && a.Op != dmaapi.Nothing {
			fail("maintenance where nothing is handed over")
		}
		if !chooses(q.Event) && a.Attr != "" {
			fail("an attribute where none is chosen")
		}
		if q.Attr == cpu.NoMapping && a.Attr != "" && a.Attr != cpu.NoMapping {
			fail("a mapping that was not asked for")
		}
		if (len(a.Spans) > 0) != (a.Extent == dmaapi.Partial) {
			fail("spans and partial go together")
		}
		for _, s := range a.Spans {
			if s.Offset < 0 || s.Bytes <= 0 || s.Offset+s.Bytes > q.Bytes {
				fail("a span outside of the buffer")
			}
		}
	}
}

func answersAreDeterministic(t *testing.T, info Info) {
	one, two := info.New(), info.New()
	for range 2 { // the second time with a history
		for _, q := range questions() {
			a, b := one.Decide(&q), two.Decide(&q)
			if diff := cmp.Diff(a, b); diff != "" {
				t.Fatalf("two policies with the same history differ at %v:\n%s", q.Event, diff)
			}
		}
	}
}

func questionIsLeftAlone(t *testing.T, p dmaapi.Policy) {
	for _, q := range questions() {
		before := q
		p.Decide(&q)
		if q != before {
			t.Fatalf("%+v became %+v", before, q)
		}
	}
}

func TestNoneDoesNothing(t *testing.T) {
	p := policy(t, "none")
	for _, q := range questions() {
		if a := p.Decide(&q); !cmp.Equal(a, dmaapi.Answer{}) {
			t.Fatalf("%v: %+v", q.Event, a)
		}
	}
}

func TestRangeDoesWhatTheProfileDoes(t *testing.T) {
	p := policy(t, "range")
	for _, q := range questions() {
		if a := p.Decide(&q); !cmp.Equal(a, dmaapi.Answer{Op: q.Default}) {
			t.Fatalf("%v, default %v: %+v", q.Event, q.Default, a)
		}
	}
}

func TestWholeFlushesEverythingWhereTheProfileDoesSomething(t *testing.T) {
	p := policy(t, "whole")
	for _, q := range questions() {
		want := dmaapi.Answer{Op: dmaapi.CleanInvalidate, Extent: dmaapi.Whole}
		if q.Default == dmaapi.Nothing {
			want = dmaapi.Answer{}
		}
		if a := p.Decide(&q); !cmp.Equal(a, want) {
			t.Fatalf("%v, default %v: %+v", q.Event, q.Default, a)
		}
	}
}

func TestUncachedReplacesCachedAttributesAndDoesNothingElse(t *testing.T) {
	p := policy(t, "uncached")
	for _, q := range questions() {
		want := dmaapi.Answer{}
		if chooses(q.Event) && (q.Attr == cpu.Cached || q.Attr == cpu.WriteThrough) {
			want.Attr = cpu.Uncached
		}
		if a := p.Decide(&q); !cmp.Equal(a, want) {
			t.Fatalf("%v, attribute %q: %+v", q.Event, q.Attr, a)
		}
	}
}

func policy(t *testing.T, name string) dmaapi.Policy {
	t.Helper()
	info, err := ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != name {
		t.Fatalf("asked for %s, got %s", name, info.Name)
	}
	return info.New()
}

func TestAnUnknownNameIsAnErrorThatListsTheNames(t *testing.T) {
	_, err := ByName("ragne")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range append(Names(), `"ragne"`) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}

func TestNamesAreSortedAndUnique(t *testing.T) {
	names := Names()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("%v", names)
	}
}

func TestAllLeavesTheBaselinesOut(t *testing.T) {
	all := map[string]bool{}
	for _, i := range All() {
		all[i.Name] = true
	}
	for _, s := range strategies {
		if all[s.Name] == s.Baseline {
			t.Errorf("%s: in the list %t, baseline %t", s.Name, all[s.Name], s.Baseline)
		}
	}
	if ideal, err := ByName("ideal-coherent"); err != nil || !ideal.Baseline || !ideal.Coherent {
		t.Errorf("ideal-coherent: %+v, %v", ideal, err)
	}
}

// counter answers by its history.
type counter struct{ n int }

func (c *counter) Decide(*dmaapi.Question) dmaapi.Answer {
	c.n++
	return dmaapi.Answer{Attr: cpu.Attr(fmt.Sprint(c.n))}
}

func TestANewPolicyHasNoHistory(t *testing.T) {
	info := Custom("mine", "counts", func() dmaapi.Policy { return &counter{} })
	for range 2 {
		if a := info.New().Decide(nil); a.Attr != "1" {
			t.Errorf("answer %v", a.Attr)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, info := range strategies {
		b.Run(info.Name, func(b *testing.B) {
			p := info.New()
			qs := questions()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Decide(&qs[i%len(qs)])
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
		})
	}
}
