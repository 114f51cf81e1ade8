package report

import (
	"bytes"
	"strings"
	"testing"

	"socsim/internal/result"
)

func document() *result.Document {
	d := &result.Document{Scenario: "s", SoC: "chip", Strategy: "range", Seed: 1, SimulatedPS: 2_000_000_000_000}
	d.Set("frames.captured", "frames", result.Int(59))
	d.Set("maintenance.time_per_frame", "ns", result.Int(2_034_567))
	d.Set("coherency.violations", "count", result.Int(0))
	d.Set("task.ui.slowdown", "ratio", result.Ratio(21, 20, 4))
	return d
}

func TestTableShowsMetricsInReadableUnitsAndAbsentOnesAsADash(t *testing.T) {
	var b bytes.Buffer
	if err := Table(&b, []*result.Document{document()}, Options{}); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	for _, want := range []string{"s on chip, 2s simulated, seed 1", "2.03 ms", "1.050", " 59 ", " - "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("colours without being asked")
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Duration(0), "0"},
		{Duration(999), "999 ns"},
		{Duration(1500), "1.5 us"},
		{Duration(-2_000_000), "-2.00 ms"},
		{Duration(3_000_000_000), "3.000 s"},
		{Size(0), "0"},
		{Size(100), "100 B"},
		{Size(1536), "1.5 KiB"},
		{Size(7 << 20), "7.0 MiB"},
		{Group(1234567), "1 234 567"},
		{Group(-1000), "-1 000"},
		{Group(12), "12"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestAViolationIsOneReadableBlock(t *testing.T) {
	got := Violation(result.Violation{
		Kind: "stale_cpu_read", Buffer: "preview", Index: 2, Offset: 4096, Bytes: 64, Count: 1200, Writer: "camera", WrittenPS: 1_000_000, Reader: "cpu", ReadPS: 2_000_000,
		Missing: "invalidate", Where: "at QBUF",
	})
	want := "  stale_cpu_read: 1 200 lines of preview#2\n" +
		"    first at bytes [4096,4160): camera wrote at 1us, cpu read old data at 2us\n" +
		"    missing: invalidate at QBUF\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestCSVHasARowForEachMetric(t *testing.T) {
	var b bytes.Buffer
	if err := CSV(&b, []*result.Document{document()}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 5 || lines[0] != "scenario,soc,strategy,seed,metric,value,unit" || lines[4] != "s,chip,range,1,task.ui.slowdown,1.05,ratio" {
		t.Errorf("%q", lines)
	}
}

func TestAMomentOfFailureIsOneLine(t *testing.T) {
	frame := 7
	got := Event(result.Event{
		Kind: "isp_overflow", Device: "camera", Where: "CCDC out", AtPS: 33_400_000_000, Frame: &frame, WaitedPS: 6_412_500, Holder: "gpu", Count: 3,
	})
	if want := "  isp overflow of camera (CCDC out) at 33.4ms in frame 7: waited 6.4125us while gpu held the bus, 3 times\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	got = Event(result.Event{Kind: "iommu_fault", Device: "camera", Where: "translation fault", Address: "iova:0x10001000", AtPS: 1_000_000, Count: 1})
	if want := "  iommu fault of camera (translation fault) at iova:0x10001000 at 1us\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestTheTableNamesTheFirstMomentsAndCountsTheRest(t *testing.T) {
	d := &result.Document{Strategy: "range", Events: make([]result.Event, maxGroups+2)}
	var b strings.Builder
	if err := details(&b, d, Options{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(b.String(), "\n"); got != maxGroups+2 || !strings.Contains(b.String(), "and 2 more") {
		t.Errorf("%d lines:\n%s", got, b.String())
	}
}

func TestWrongUseIsPrintedWithoutLinesOrBytes(t *testing.T) {
	got := Violation(result.Violation{
		Kind: "double_unmap", Buffer: "ring", Index: 1, Reader: "wlan", Count: 3, ReadPS: 5_000_000, WrittenPS: 2_000_000, Missing: "a map for each unmap", Where: "unmapping ring#1 for wlan: not mapped",
	})
	want := "  double_unmap: 3 times on ring#1 by wlan\n    first at 5us: unmapping ring#1 for wlan: not mapped (since 2us)\n    missing: a map for each unmap\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestWhatSoftwareDidIsNotPrintedAsHardwareThatWasLate(t *testing.T) {
	var b strings.Builder
	events(&b, &result.Document{Strategy: "range", Events: []result.Event{
		{Kind: "shared_ownership", Device: "a", Where: "a and b", Count: 1},
		{Kind: "isp_overflow", Device: "camera", Where: "resizer line 1", AtPS: 1_000_000, Count: 2},
	}})
	want := "range was late or stopped:\n  isp overflow of camera (resizer line 1) at 1us, 2 times\nTo note under range:\n  shared ownership of a (a and b) at 0s\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestAFailedExpectationOfATimeWithDecimalsIsPrintedInItsUnit(t *testing.T) {
	for want, n := range map[string]result.Number{
		"(is 243.7 ns)": {Int: 2437, Digits: 1}, "(is 2.4 us)": {Int: 24_370, Digits: 1}, "(is 24.37 ms)": {Int: 24_371_234_567, Digits: 3}, "(is 243 ns)": {Int: 243}, "(is 0)": {Int: 0, Digits: 1},
		"(is -1.5 us)": {Int: -15_000, Digits: 1},
	} {
		d := &result.Document{Strategy: "range", Metrics: map[string]result.Metric{"dram.latency.cpu.mean": {Value: n, Unit: "ns"}}}
		d.Expect = []result.Expectation{{Expr: "dram.latency.cpu.mean < 100ns", Value: &n}}
		var b strings.Builder
		if err := details(&b, d, Options{}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%+v: %q, want %q", n, b.String(), want)
		}
	}
}
