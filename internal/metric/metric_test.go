package metric

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryMetricIsDocumentedAndListedOnceInOrder(t *testing.T) {
	all := All()
	if len(all) < 140 {
		t.Fatalf("%d metrics", len(all))
	}
	names := make([]string, len(all))
	step := regexp.MustCompile(`^[a-z0-9_]*(MBps|[A-Z]+)?$`)
	for i, m := range all {
		names[i] = m.Name
		if m.Unit == "" || m.From == "" || !strings.HasSuffix(m.Doc, ".") || len(m.Doc) < 12 {
			t.Errorf("%+v: a unit, a command and a sentence, please", m)
		}
		for _, s := range strings.Split(m.Name, ".") {
			if !step.MatchString(s) {
				t.Errorf("%s: step %s", m.Name, s)
			}
			if _, word := placeholder(s); word == "" && strings.ToLower(s) != s && s != "bandwidth_MBps" {
				t.Errorf("%s: %s is no placeholder", m.Name, s)
			}
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Error("not in order, or twice")
	}
}

func TestTheUnitsAreAFewWords(t *testing.T) {
	units := []string{"MB/s", "bytes", "calls", "clocks", "count", "events", "fraction", "frames", "lines", "ns", "pages", "ratio"}
	for _, m := range All() {
		if !slices.Contains(units, m.Unit) {
			t.Errorf("%s: unit %s", m.Name, m.Unit)
		}
	}
}

func TestLookupFindsNamesAndPatterns(t *testing.T) {
	for name, want := range map[string]string{
		"frames.captured":                "frames.captured",
		"cpu.busy.task.ui":               "cpu.busy.task.NAME",
		"cpu.busy.driver":                "cpu.busy.driver",
		"task.my-task_2.slowdown":        "task.NAME.slowdown",
		"dram.bytes_read.camera":         "dram.bytes_read.MASTER",
		"dram.bytes_read.MASTER":         "dram.bytes_read.MASTER",
		"cache.l1d.read_hits":            "cache.LEVEL.read_hits",
		"iommu.camera.pages_mapped.4KiB": "iommu.DEVICE.pages_mapped.SIZE",
		"l2.reads":                       "LEVEL.reads",
		"calibrate.threshold.working_set_0B.TO_DEVICE.operation":           "calibrate.threshold.working_set_SIZE.DIRECTION.operation",
		"calibrate.threshold.outer.working_set_64KiB.TO_DEVICE.end_to_end": "calibrate.threshold.outer.working_set_SIZE.DIRECTION.end_to_end",
		"calibrate.threshold.FROM_DEVICE":                                  "calibrate.threshold.DIRECTION",
	} {
		if m, ok := Lookup(name); !ok || m.Name != want {
			t.Errorf("%s: found %q, want %s", name, m.Name, want)
		}
	}
	for _, name := range []string{
		"", ".", "frames", "frames.skipped.x", "frames.capture", "cpu.busy.task", "cpu.busy.task.", "cpu.busy.task.a.b", "task..slowdown", "cache.l9.read_hits", "x.reads",
		"iommu.camera.pages_mapped.huge", "iommu.camera.pages_mapped.KiB", "calibrate.threshold.SIDEWAYS", "calibrate.threshold.working_set_.TO_DEVICE.operation",
	} {
		if m, ok := Lookup(name); ok {
			t.Errorf("%q: found %s", name, m.Name)
		}
	}
}

func TestNearestKeepsWhatStandsForAPlaceholder(t *testing.T) {
	for name, want := range map[string]string{
		"frames.droped":            "frames.dropped",
		"dram.byte_read.camera":    "dram.bytes_read.camera",
		"task.ui.slowdwon":         "task.ui.slowdown",
		"cache.l2.reed_hits":       "cache.l2.read_hits",
		"maintenance.timeperframe": "maintenance.time_per_frame",
		"nothing-like-it":          "",
	} {
		if got := Nearest(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		from       Command
		name, unit string
		want       string
	}{
		{Run, "frames.captured", "frames", ""},
		{Run, "frames.seen", "frames", "metric frames.seen: not in the registry"},
		{Run, "frames.captured", "count", "metric frames.captured: unit count, the registry says frames"},
		{Calibrate, "frames.captured", "frames", "metric frames.captured: emitted by calibrate, the registry says run"},
	} {
		got := ""
		if err := Check(c.from, c.name, c.unit); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v: %q", c, got)
		}
	}
}
