package run

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"socsim/internal/result"
	"socsim/internal/scenario"
	"socsim/internal/strategy"
	"socsim/soc/flush"
)

// docChips are the chips of the table in docs/strategies.md, and docLength what each run of it measures.
var (
	docChips  = []string{"omap2420", "omap3430", "omap4430"}
	docLength = []string{"run.warmup=200ms", "run.duration=120ms"}
)

// verdict writes a cell of the table: what went wrong by kind, or ok.
func verdict(d *result.Document) string {
	var out []string
	for _, k := range []struct{ metric, short string }{
		{"stale_device_reads", "stale device"}, {"stale_cpu_reads", "stale CPU"}, {"lost_device_data", "lost device"}, {"lost_cpu_data", "lost CPU"}, {"alias_errors", "alias"}, {"others", "other"},
	} {
		if value(d, "coherency."+k.metric) > 0 {
			out = append(out, k.short)
		}
	}
	if len(out) == 0 {
		return "ok"
	}
	return strings.Join(out, ", ")
}

// docRun runs all strategies on a scenario on a chip. It returns why it cannot, if it cannot.
func docRun(t *testing.T, name, chip string, strategies []flush.Info) (docs []*result.Document, why string) {
	t.Helper()
	src, err := scenario.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Load(src, overrides(append([]string{"soc.preset=" + chip}, docLength...)...))
	if err != nil {
		return nil, err.Error()
	}
	var jobs []Job
	for _, i := range strategies {
		jobs = append(jobs, Job{Scenario: s, Strategy: i})
	}
	docs, err = Run(context.Background(), jobs, 2, nil)
	if err != nil {
		return nil, err.Error()
	}
	return docs, ""
}

// unmendable are the scenarios whose lesson is a mistake that no flush strategy can mend.
var unmendable = map[string]bool{"stale-tlb": true, "arnd-schedule": true, "lifetime-errors": true}

// silent demands that every strategy but none is coherent on the chip that the library is written for.
func silent(t *testing.T, name string, docs []*result.Document) {
	t.Helper()
	for _, d := range docs {
		for _, v := range d.Violations {
			if d.Strategy != "none" {
				t.Errorf("%s under %s: %+v", name, d.Strategy, v)
				break
			}
		}
		if n := value(d, "frames.captured"); n < 1 {
			t.Errorf("%s under %s: captured %d frames", name, d.Strategy, n)
		}
	}
}

// strategyTable is the section of docs/strategies.md about a scenario.
func strategyTable(t *testing.T, name string, strategies []flush.Info) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n| strategy |", name)
	var all [][]*result.Document
	var notes []string
	for _, chip := range docChips {
		docs, why := docRun(t, name, chip, strategies)
		if why != "" {
			notes = append(notes, fmt.Sprintf("%s: %s", chip, why))
			continue
		}
		all = append(all, docs)
		if chip == "omap3430" && !unmendable[name] {
			silent(t, name, docs)
		}
		fmt.Fprintf(&b, " %s | overhead | vs_optimal | collateral |", chip)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|---|---|---|", len(all)) + "\n")
	for i, s := range strategies {
		fmt.Fprintf(&b, "| %s |", s.Name)
		for _, docs := range all {
			d := docs[i]
			overhead, ratio := "-", "-"
			if m, ok := d.Metrics["overhead.time_per_frame"]; ok {
				overhead = fmt.Sprintf("%.1f us", m.Value.Float()/1000)
			}
			if m, ok := d.Metrics["maintenance.vs_optimal"]; ok {
				ratio = fmt.Sprintf("%.2f", m.Value.Float())
			}
			fmt.Fprintf(&b, " %s | %s | %s | %d |", verdict(d), overhead, ratio, value(d, "maintenance.collateral_misses"))
		}
		b.WriteString("\n")
	}
	for _, n := range notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	return b.String()
}

func TestTheTableOfStrategiesIsWhatTheSimulatorSays(t *testing.T) {
	var b strings.Builder
	for _, name := range pipelines(t) {
		b.WriteString(strategyTable(t, name, strategy.All()))
	}
	table(t, "../../docs/strategies.md", "<!-- table: strategies -->", b.String()+"\n")
}
