package run

import (
	"context"
	"maps"
	"slices"
	"testing"

	"socsim/internal/result"
	"socsim/scenarios"
)

// tied lists the scenarios of the library in which two things happen at one instant whose order matters, with what then differs. docs/model.md explains each.
var tied = map[string][]string{
	// At 500 ms the driver thread that takes the still wakes, and so does the ui task: who is first decides whether the core switches once more.
	"still-5mp": {"cpu.busy", "cpu.busy.driver", "cpu.context_switches", "cpu.idle", "cpu.time.context_switch", "cpu.time.idle"},
}

func TestResultsOfTheLibraryDoNotDependOnTheOrderOfOneInstant(t *testing.T) {
	const seeds = 3
	for _, name := range scenarios.Names() {
		t.Run(name, func(t *testing.T) {
			s := load(t, name)
			if s.Run.Duration > 600*1e9 && len(s.Script) == 0 {
				s = load(t, name, "run.duration=600ms")
			}
			jobs := []Job{{Scenario: s, Strategy: s.Own}}
			for seed := range uint64(seeds) {
				jobs = append(jobs, Job{Scenario: s, Strategy: s.Own, Ties: &seed})
			}
			var docs []*result.Document
			for _, j := range jobs {
				o, err := simulate(context.Background(), j)
				if err != nil {
					t.Fatal(err)
				}
				docs = append(docs, o.doc)
			}
			for seed, d := range docs[1:] {
				for _, metric := range slices.Sorted(maps.Keys(docs[0].Metrics)) {
					if a, b := docs[0].Metrics[metric], d.Metrics[metric]; a != b && !slices.Contains(tied[name], metric) {
						t.Errorf("seed %d: %s is %v, and %v in the order of scheduling", seed, metric, b.Value, a.Value)
					}
				}
				if len(d.Metrics) != len(docs[0].Metrics) || len(d.Violations) != len(docs[0].Violations) || len(d.Events) != len(docs[0].Events) {
					t.Errorf("seed %d: other metrics, violations or events", seed)
				}
			}
		})
	}
}
