package compare

import (
	"fmt"
	"strings"
	"testing"

	"socsim/internal/result"
)

// doc is a document with metrics given as "name value unit".
func doc(metrics ...string) *result.Document {
	d := &result.Document{Schema: result.Schema, Version: result.Version, Scenario: "test", SoC: "chip", Strategy: "range", Seed: 1, SimulatedPS: 1_000_000}
	for _, m := range metrics {
		f := strings.Fields(m)
		var n result.Number
		if err := n.UnmarshalJSON([]byte(f[1])); err != nil {
			panic(err)
		}
		d.Set(f[0], f[2], n)
	}
	return d
}

func TestExplainTakesThePartsOfTheAccountThatWentTheSameWay(t *testing.T) {
	a := doc("cpu.busy 0.5 fraction", "cpu.idle 0.5 fraction", "cpu.time.idle 500 ns", "cpu.time.refill 100.5 ns", "cpu.time.contention 50 ns", "cpu.time.maintenance_line 349.5 ns", "maintenance.time 349 ns",
		"dram.utilization 0.1 fraction", "dram.time.row 10 ns", "iommu.x.walk_reads 7 count", "coherency.violations 0 count", "coherency.stale_cpu_reads 0 count")
	b := doc("cpu.busy 0.6 fraction", "cpu.idle 0.4 fraction", "cpu.time.idle 400 ns", "cpu.time.refill 275 ns", "cpu.time.contention 75 ns", "cpu.time.maintenance_line 250 ns", "maintenance.time 250 ns",
		"dram.utilization 0.2 fraction", "dram.time.row 20 ns", "iommu.x.walk_reads 7 count", "coherency.violations 9 count", "coherency.stale_cpu_reads 9 count")
	for _, c := range []struct {
		metric string
		n      int
		want   string
	}{
		{"cpu.busy", 3, "cpu.time.refill:875 cpu.time.contention:125 cpu.time.maintenance_line:1000"},
		{"cpu.busy", 1, "cpu.time.refill:875"},
		{"cpu.busy", 0, ""},
		{"cpu.idle", 2, "cpu.time.refill:875 cpu.time.contention:125"},
		{"maintenance.time", 3, "cpu.time.maintenance_line:1000"},
		{"dram.utilization", 3, "dram.time.row:1000"},
		{"coherency.violations", 3, "coherency.stale_cpu_reads:1000"},
		{"iommu.x.walk_reads", 3, ""},
		{"no.such.metric", 3, ""},
	} {
		var got []string
		for _, x := range Explain(a, b, c.metric, c.n) {
			got = append(got, fmt.Sprintf("%s:%d", x.Metric, x.Share))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, want %q", c.metric, s, c.want)
		}
	}
}

func TestExplainFallsBackToWhatChangedMost(t *testing.T) {
	a := doc("dmabuf.maps 1 count", "dmabuf.unmaps 10 count", "cpu.busy 0.1 fraction", "cpu.irq_off.max 100 ns")
	b := doc("dmabuf.maps 2 count", "dmabuf.unmaps 11 count", "cpu.busy 0.9 fraction", "cpu.irq_off.max 101 ns")
	var got []string
	for _, x := range Explain(a, b, "dmabuf.maps", 9) {
		got = append(got, x.Metric)
	}
	if s := strings.Join(got, " "); s != "dmabuf.unmaps cpu.busy cpu.irq_off.max" {
		t.Errorf("%q", s)
	}
}
