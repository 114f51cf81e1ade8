package scenario

import (
	"strings"
	"testing"

	"socsim/internal/conf"
)

// with loads the library's preview with more text behind it.
func with(t *testing.T, more string) (*Loaded, error) {
	t.Helper()
	src, err := Read("camera-preview")
	if err != nil {
		t.Fatal(err)
	}
	return Load(conf.Source{Name: "test.yaml", Data: append(src.Data, more...)}, nil)
}

func TestMistakesInFaultsAndClocksAreExplained(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"faults: [{kind: sensor-glitch, target: camra, glitch: cut-short, lines: 5, at: 1s}]", `no stage "camra"; there are: camera, faces, compositor, panel; did you mean "camera"?`},
		{"faults: [{kind: sensor-glitch, target: faces, glitch: cut-short, lines: 5, at: 1s}]", `"faces" cannot have a fault sensor-glitch: it has no sensor`},
		{"faults: [{kind: sensor-glitch, target: camera, glitch: cut-short, lines: 656, at: 1s}]", "want at most 655"},
		{"faults: [{kind: sensor-glitch, target: camera, glitch: long-blanking, lines: 2000000, at: 1s}]", "want at most 1000000"},
		{"faults: [{kind: sensor-glitch, target: camera, at: 1s}]", "sensor-glitch needs lines"},
		{"faults: [{kind: iommu-fault, target: panel, at: 1s}]", "a display stage has no IOMMU"},
		{"faults: [{kind: iommu-fault, at: 1s}]", "iommu-fault needs a target: the name of a stage"},
		{"faults: [{kind: dropped-interrupt, target: faces, at: 1s}]", "a cpu stage has no interrupt"},
		{"faults: [{kind: late-consumer, target: camera, for: 5ms, at: 1s}]", "it consumes no buffers"},
		{"faults: [{kind: late-consumer, target: faces, at: 1s}]", "late-consumer needs for"},
		{"faults: [{kind: memory-pressure, target: camera, for: 5ms, memory: 1MiB, at: 1s}]", "memory-pressure has no target"},
		{"faults: [{kind: memory-pressure, for: 5ms, memory: 1GiB, at: 1s}]", "outside the reserved area the chip has 208MiB"},
		{"faults: [{kind: iommu-fault, target: camera, lines: 4, at: 1s}]", "iommu-fault has no lines"},
		{"faults: [{kind: iommu-fault, target: camera}]", "when? give at for once, or every or rate"},
		{"faults: [{kind: iommu-fault, target: camera, every: 1s, rate: 3Hz}]", "every and rate exclude each other"},
		{"faults: [{kind: iommu-fault, target: camera, at: 1s, count: 3}]", "count goes with every or rate"},
		{"faults: [{kind: iommu-fault, target: camera, at: 2200ms}]", "2.2s is not before the end of the run, at 2.2s"},
		{"faults: [{kind: iommu-fault, target: camera, every: 3s}]", "the first would come at 3s, after the end of the run at 2.2s"},
		{"faults: [{kind: iommu-fault, target: camera, every: 1us}]", "want at least 100us"},
		{"faults: [{kind: iommu-fault, target: camera, rate: 1MHz}]", "want at most 10kHz"},
		{"clocks: [{at: 1s}]", "changes nothing: give cpu, dram or both"},
		{"clocks: [{at: 3s, cpu: 300MHz}]", "3s is not before the end of the run, at 2.2s"},
		{"clocks: [{at: 1s, dram: 100kHz}]", "the memory would do nothing but refresh"},
		{"clocks: [{at: 1s, cpu: 300MHz, cpu_stall: 2s}]", "want at most 1s"},
	} {
		_, err := with(t, c.text+"\n")
		switch {
		case err == nil:
			t.Errorf("%s: accepted", c.text)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s:\n%v\nwant %q", c.text, err, c.want)
		case !strings.Contains(err.Error(), "test.yaml:"):
			t.Errorf("%s: no place in\n%v", c.text, err)
		}
	}
}

func TestTheMemorysClockDoesNotChangeWithPostedWrites(t *testing.T) {
	src, err := Read("camera-preview")
	if err != nil {
		t.Fatal(err)
	}
	src.Data = append(src.Data, "clocks: [{at: 1s, dram: 83MHz}]\n"...)
	_, err = Load(src, []conf.Override{{Path: "soc.dram.scheduler", Value: "frfcfs"}})
	if err == nil || !strings.Contains(err.Error(), "use inorder") {
		t.Errorf("got %v", err)
	}
}

func TestAScenarioWithoutFaultsAndClocksSaysNothingOfThem(t *testing.T) {
	l, err := with(t, "")
	if err != nil {
		t.Fatal(err)
	}
	text, err := l.Resolved()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"faults:", "clocks:"} {
		if strings.Contains(string(text), key) {
			t.Errorf("%s stands in the resolved scenario", key)
		}
	}
}
