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

// notInTheTable are scenarios that the table leaves out, with the reason: each costs 51 runs.
var notInTheTable = map[string]string{
	"zero-copy": untouched, "iommu-pages": untouched, "rotated-panel": untouched, "two-cameras": untouched, "io-coherent": untouched,
	"bus-starved":  "the camera loses different frames under each strategy, and overhead a captured frame compares little",
	"server-flush": chip, "alias-vipt": chip, "alias-vivt": chip, "speculating-core": chip, "fence-too-early": chip,
	"dvfs":           "camera-preview at another clock",
	"viewfinder-ui":  "its lesson is a strategy for each buffer, and the table puts one in place of all but those",
	"two-screens":    "as many-attachments",
	"partial-update": "as video-overlay, with less written",
	"face-region":    "as camera-preview, with less read",
	"transpose":      "as video-encoder, in another order",
}

const (
	untouched = "no strategy has anything to do"
	chip      = "its lesson is its chip"
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
		if n, ok := d.Metrics["frames.captured"]; ok && n.Value.Int < 1 {
			t.Errorf("%s under %s: captured %d frames", name, d.Strategy, n.Value.Int)
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
	for name := range notInTheTable {
		if _, err := scenario.Read(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range pipelines(t) {
		if notInTheTable[name] != "" {
			continue
		}
		b.WriteString(strategyTable(t, name, strategy.All()))
	}
	table(t, "../../docs/strategies.md", "<!-- table: strategies -->", b.String()+"\n")
}
