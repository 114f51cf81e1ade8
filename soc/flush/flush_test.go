package flush_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/flush/flushtest"
)

func chooses(e dmaapi.Event) bool { return flushtest.Chooses(e) }

func questions() []dmaapi.Question { return flushtest.Questions() }

func TestStrategies(t *testing.T) {
	for _, info := range flush.Registered() {
		t.Run(info.Name, func(t *testing.T) {
			flushtest.Contract(t, info, func(p dmaapi.Policy) sim.Time {
				if _, works := p.(dmaapi.Starter); !works {
					return 0
				}
				violations, took := start(t, chip(t, "omap3430", smallL2...), p)
				if violations > 0 {
					t.Errorf("%d coherency violations", violations)
				}
				return took
			})
		})
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

func TestUncachedAndWriteCombineReplaceCachedAttributesAndDoNothingElse(t *testing.T) {
	for name, attr := range map[string]cpu.Attr{"uncached": cpu.Uncached, "write-combine": cpu.WriteCombine} {
		p := policy(t, name)
		for _, q := range questions() {
			want := dmaapi.Answer{}
			if chooses(q.Event) && (q.Attr == cpu.Cached || q.Attr == cpu.WriteThrough) {
				want.Attr = attr
			}
			if q.Event == dmaapi.Allocate && q.Attr == cpu.NoMapping {
				want.Attr = cpu.NoMapping // coherent all the same: what zeroed it is in the caches
			}
			if a := p.Decide(&q); !cmp.Equal(a, want) {
				t.Fatalf("%s: %v, attribute %q: %+v", name, q.Event, q.Attr, a)
			}
		}
	}
}

func policy(t *testing.T, name string) dmaapi.Policy {
	t.Helper()
	info, err := flush.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != name {
		t.Fatalf("asked for %s, got %s", name, info.Name)
	}
	return info.New()
}

func TestAnUnknownNameIsAnErrorThatListsTheNames(t *testing.T) {
	_, err := flush.ByName("ragne")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range append(flush.Names(), `"ragne"`) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}

func TestNamesAreSortedAndUnique(t *testing.T) {
	names := flush.Names()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("%v", names)
	}
}

func TestAllLeavesTheBaselinesOut(t *testing.T) {
	all := map[string]bool{}
	for _, i := range flush.All() {
		all[i.Name] = true
	}
	for _, s := range flush.Registered() {
		if all[s.Name] == s.Baseline {
			t.Errorf("%s: in the list %t, baseline %t", s.Name, all[s.Name], s.Baseline)
		}
	}
	if ideal, err := flush.ByName("ideal-coherent"); err != nil || !ideal.Baseline || !ideal.Coherent {
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
	info := flush.Define(flush.Info{Name: "mine"}, func(flush.Settings) dmaapi.Policy { return &counter{} })
	for range 2 {
		if a := info.New().Decide(nil); a.Attr != "1" {
			t.Errorf("answer %v", a.Attr)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, info := range flush.Registered() {
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
