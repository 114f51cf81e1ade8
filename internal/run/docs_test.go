package run

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables in the documents")

// table compares what stands in a document under a marker with what the simulator says now.
func table(t *testing.T, file, marker, want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), marker+"\n")
	got, tail, ended := strings.Cut(rest, "<!-- end -->")
	switch {
	case !ok || !ended:
		t.Fatalf("%s has no table %s", file, marker)
	case got == want:
	case *update:
		if err := os.WriteFile(file, []byte(head+marker+"\n"+want+"<!-- end -->"+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s shows another table; run go test ./internal/run -run Table -update and review the difference:\n%s", file, want)
	}
}

func TestTheTableOfRotationsIsWhatTheSimulatorSays(t *testing.T) {
	var b strings.Builder
	b.WriteString("| panel | turned by | row hits | activates | data bus | fetch, mean | p99 | underflows |\n|---|---|---|---|---|---|---|---|\n")
	for _, panel := range []struct {
		name, upright, turned string
	}{{"acx565akm", "800x480", "480x800"}, {"xga60", "1024x768", "768x1024"}} {
		for _, by := range []struct {
			what, angle, rotator string
		}{{"nothing", "0", "vrfb"}, {"vrfb, 180", "180", "vrfb"}, {"vrfb, 90", "90", "vrfb"}, {"dma, 90", "90", "dma"}} {
			size := panel.upright
			if by.angle == "90" {
				size = panel.turned
			}
			d := under(t, load(t, "rotated-panel", "stages.panel.panel="+panel.name, "buffers.screen.size="+size, "stages.panel.rotation="+by.angle, "stages.panel.rotator="+by.rotator), "none")[0]
			m := func(name string) float64 { return d.Metrics[name].Value.Float() }
			fmt.Fprintf(&b, "| %s | %s | %.1f %% | %.0f | %.1f %% | %.0f ns | %.0f ns | %.0f |\n", panel.name, by.what, 100*m("dram.row_hit_rate"), m("dram.activates"), 100*m("dram.utilization"),
				m("dram.latency.panel.mean"), m("dram.latency.panel.p99"), m("display.underflows"))
		}
	}
	table(t, "../../docs/realtime.md", "<!-- table: rotation -->", b.String())
}
