package run

import (
	"context"
	"testing"

	"socsim/internal/scenario"
	"socsim/soc/flush"
)

func load(tb testing.TB, name string, sets ...string) *scenario.Loaded {
	tb.Helper()
	src, err := scenario.Read(name)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := scenario.Load(src, overrides(sets...))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// BenchmarkScenario runs library scenarios on one core, every burst simulated.
func BenchmarkScenario(b *testing.B) {
	for _, c := range []struct{ name, strategy string }{
		{"camera-preview", "none"}, {"camera-preview", "range"}, {"camera-preview", "whole"}, {"camera-preview", "uncached"}, {"cpu-filter", "range"}, {"zero-copy", "none"},
	} {
		b.Run(c.name+"/"+c.strategy, func(b *testing.B) {
			s := load(b, c.name)
			info, err := flush.ByName(c.strategy)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var events uint64
			for b.Loop() {
				o, err := simulate(context.Background(), Job{Scenario: s, Strategy: info})
				if err != nil {
					b.Fatal(err)
				}
				events += o.doc.Host.Events
			}
			seconds := b.Elapsed().Seconds()
			simulated := float64(s.Run.Duration+s.Run.Warmup) / 1e12 * float64(b.N)
			b.ReportMetric(simulated/seconds, "simulated-s/s")
			b.ReportMetric(float64(events)/seconds/1e6, "Mbursts/s")
		})
	}
}
