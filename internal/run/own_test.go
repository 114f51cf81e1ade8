package run

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/result"
	"socsim/internal/scenario"
)

// chains is an application of decoders whose pictures a GPU draws, one chain for each name; more is added to the buffer set and the stages of a name by "set.NAME" and "paint.NAME".
func chains(t *testing.T, more map[string]string, names ...string) *scenario.Loaded {
	t.Helper()
	var buffers, stages strings.Builder
	for i, n := range names {
		fmt.Fprintf(&buffers, "  %s: {count: 2, size: 160x120, format: rgb565, exporter: system-heap, memory: contiguous%s}\n", n, more["set."+n])
		fmt.Fprintf(&buffers, "  %s-out: {count: 2, size: 64x64, format: rgb565, exporter: gem, memory: contiguous, cpu_mapping: none}\n", n)
		fmt.Fprintf(&stages, "  - {name: decode-%s, device: cpu, period: 20ms, output: %s, write: {}}\n", n, n)
		shares := ""
		if i > 0 {
			shares = ", shares: paint-" + names[0]
		}
		fmt.Fprintf(&stages, "  - {name: paint-%s, device: gpu, input: %s, output: %s-out%s%s}\n", n, n, n, shares, more["paint."+n])
	}
	text := "apiVersion: socsim/v1\nname: chains\nsoc: {preset: omap3430, l1d: {allocate: read-write}, l2: {allocate: read-write}}\nrun: {duration: 400ms, warmup: 105ms}\nbuffers:\n" + buffers.String() + "stages:\n" + stages.String()
	return written(t, text)
}

func TestABuffersOwnStrategyAddsItsMaintenanceToTheRest(t *testing.T) {
	whole := map[string]string{"set.b": ", strategy: whole"}
	a := under(t, chains(t, nil, "a"), "range")[0]
	b := under(t, chains(t, whole, "b"), "range")[0]
	both := under(t, chains(t, whole, "a", "b"), "range")[0]
	if value(a, "maintenance.calls.range") != 20 || value(b, "maintenance.calls.whole") != 20 || value(b, "maintenance.calls.range") != 0 {
		t.Fatalf("%d calls by range, and %d and %d of the whole cache; want one a frame of 20 ms in 400 ms", value(a, "maintenance.calls.range"), value(b, "maintenance.calls.whole"), value(b, "maintenance.calls.range"))
	}
	for _, m := range []string{"maintenance.calls.range", "maintenance.calls.whole", "maintenance.segments", "maintenance.lines.visited"} {
		if got, want := value(both, m), value(a, m)+value(b, m); got != want {
			t.Errorf("%s: %d, want the sum %d of each chain alone", m, got, want)
		}
	}
	if both.Strategy != "range + buffers.b: whole" {
		t.Errorf("the document names %q", both.Strategy)
	}
}

func TestViolationsAppearOnlyWhereNothingIsMaintained(t *testing.T) {
	for part, label := range map[string]string{"set.b": "range + buffers.b: none", "paint.b": "range + stages.paint-b: none"} {
		d := under(t, chains(t, map[string]string{part: ", strategy: none"}, "a", "b"), "range")[0]
		if d.Strategy != label {
			t.Errorf("the document names %q, want %q", d.Strategy, label)
		}
		if len(d.Violations) == 0 {
			t.Errorf("%s: nothing is wrong", label)
		}
		for _, v := range d.Violations {
			if v.Buffer != "b" || v.Kind != "stale_device_read" {
				t.Errorf("%s: %+v", label, v)
			}
		}
	}
	if d := under(t, chains(t, map[string]string{"set.b": ", strategy: range"}, "a", "b"), "none")[0]; len(d.Violations) == 0 || slices.ContainsFunc(d.Violations, func(v result.Violation) bool { return v.Buffer != "a" }) {
		t.Errorf("none, and range for b: %+v", d.Violations)
	}
}

func TestAStagesStrategyGoesBeforeItsBuffers(t *testing.T) {
	d := under(t, chains(t, map[string]string{"set.a": ", strategy: none", "paint.a": ", strategy: range"}, "a"), "none")[0]
	if d.Strategy != "none + buffers.a: none + stages.paint-a: range" || len(d.Violations) != 0 || value(d, "maintenance.calls.range") != 20 {
		t.Errorf("%s: %d violations, %d calls", d.Strategy, len(d.Violations), value(d, "maintenance.calls.range"))
	}
}

func TestABuffersOwnStrategyDecidesHowItIsMapped(t *testing.T) {
	d := under(t, chains(t, map[string]string{"set.b": ", strategy: uncached"}, "a", "b"), "range")[0]
	if n := value(d, "maintenance.calls.range"); n != 20 || value(d, "cpu.posted_writes") == 0 {
		t.Errorf("%d calls, want those of the cached buffer alone; %d writes posted", n, value(d, "cpu.posted_writes"))
	}
}

func TestYardsticksAreForTheWholeApplication(t *testing.T) {
	with, without := chains(t, map[string]string{"set.b": ", strategy: whole", "paint.a": ", strategy: none"}, "a", "b"), chains(t, nil, "a", "b")
	for _, name := range []string{"optimal", "ideal-coherent"} {
		a, b := under(t, with, name)[0], under(t, without, name)[0]
		if a.Strategy != name {
			t.Errorf("the document names %q", a.Strategy)
		}
		if diff := cmp.Diff(b.Metrics, a.Metrics); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestASkippedSyncIsLeftOutWhereTheDeviceMaps(t *testing.T) {
	calls := map[string]int64{}
	for _, where := range []string{"", "paint.a", "set.a"} {
		more := map[string]string{"paint.a": ", mapping: per-frame"}
		if where != "" {
			more[where] += ", hints: [skip-cpu-sync]"
		}
		d := under(t, chains(t, more, "a"), "range")[0]
		if wrong := value(d, "coherency.stale_device_reads") > 0; wrong != (where != "") {
			t.Errorf("hint at %q: stale reads: %t", where, wrong)
		}
		calls[where] = value(d, "maintenance.calls.range")
	}
	// The rest are the descriptors of the IOMMU's tables.
	if calls["paint.a"] != calls["set.a"] || calls[""] != calls["set.a"]+20 {
		t.Errorf("calls: %v, want one less a frame where the hint is given", calls)
	}
}

// A flag of QBUF at the buffers is the same as at the camera.
func TestHintsOfBuffersGoWithEachQBUF(t *testing.T) {
	visited := func(sets ...string) int64 {
		return value(under(t, load(t, "camera-preview", append(sets, "run.duration=200ms")...), "user-hints")[0], "maintenance.lines.visited")
	}
	all, buffer, camera := visited(), visited("buffers.preview.hints=[no-cache-clean]"), visited("stages.camera.hints=[no-cache-clean]")
	if buffer != camera || 3*buffer > 2*all || buffer == 0 {
		t.Errorf("%d lines with no hint, %d with that of the buffers, %d with that of the camera", all, buffer, camera)
	}
}
