package check

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"socsim/internal/result"
)

// document is a small result.
func document() *result.Document {
	d := &result.Document{
		Schema: result.Schema, Version: "0.1.0", Scenario: "small", SoC: "omap3430", Strategy: "range", Seed: 1, SimulatedPS: 2e12, ConfigSHA256: "c0ffee",
		Violations: []result.Violation{
			{Kind: "stale_cpu_read", Buffer: "preview", Writer: "camera", Reader: "cpu", Missing: "invalidate", Count: 27, ReadPS: 5},
			{Kind: "stale_cpu_read", Buffer: "preview", Writer: "camera", Reader: "cpu", Missing: "invalidate", Count: 3, ReadPS: 9, Index: 1},
			{Kind: "leaked_buffer", Buffer: "lost", Missing: "put"},
		},
	}
	d.Set("frames.captured", "frames", result.Int(59))
	d.Set("cpu.busy", "fraction", result.Number{Int: 434299, Digits: 6})
	d.Set("maintenance.time", "ns", result.Int(121_909_367))
	return d
}

func TestABaselineHasALineForEachMetricAndReadsBack(t *testing.T) {
	b := newBaseline(document(), "small.yaml")
	data := b.encode()
	for _, want := range []string{
		`    "cpu.busy": {"value": 0.434299, "unit": "fraction"},`,
		`    "maintenance.time": {"value": 121909367, "unit": "ns"}`,
		`    "leaked_buffer of lost, missing: put",`,
		`    "stale_cpu_read of preview, written by camera, used by cpu, missing: invalidate"`,
	} {
		if !strings.Contains(string(data), want+"\n") {
			t.Errorf("no line %s in\n%s", want, data)
		}
	}
	back, err := decodeBaseline("b.json", data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, back, cmpopts.IgnoreUnexported(Baseline{})); diff != "" {
		t.Errorf("not what was written:\n%s", diff)
	}
	if line := back.lines["cpu.busy"]; !strings.Contains(strings.Split(string(data), "\n")[line-1], `"cpu.busy"`) {
		t.Errorf("cpu.busy on line %d", line)
	}
}

func TestADamagedBaselineIsRefusedWithItsPlace(t *testing.T) {
	whole := string(newBaseline(document(), "small.yaml").encode())
	lines := strings.Count(whole, "\n")
	for name, c := range map[string]struct{ text, want string }{
		"cut off":                {whole[:len(whole)/2], "ends too early"},
		"empty":                  {"", "b.json:1:1: the baseline ends too early"},
		"merge conflict":         {strings.Replace(whole, `    "cpu.busy"`, "<<<<<<< HEAD\n    \"cpu.busy\"", 1), "merge conflict"},
		"no comma":               {strings.Replace(whole, `"scenario": "small",`, `"scenario": "small"`, 1), "b.json:6:3: the baseline is no JSON: invalid character"},
		"unknown key":            {strings.Replace(whole, `"soc":`, `"sock":`, 1), `unknown field "sock"`},
		"wrong type":             {strings.Replace(whole, `"seed": 1`, `"seed": "one"`, 1), "b.json:8:"},
		"a value that is a word": {strings.Replace(whole, `"value": 0.434299`, `"value": "much"`, 1), "the baseline is wrong"},
		"another schema":         {strings.Replace(whole, "baseline/v1", "baseline/v9", 1), `b.json:2:3: schema "socsim.baseline/v9", want "socsim.baseline/v1"`},
		"something behind":       {whole + "{}\n", fmt.Sprintf("b.json:%d:", lines+1)},
		"no metrics":             {`{"schema": "socsim.baseline/v1"}`, "has no metrics"},
		"not even an object":     {"[]", "the baseline is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeBaseline("b.json", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "socsim check --update writes it anew") {
				t.Errorf("error %v, want %q and the way out", err, c.want)
			}
			var p *PlaceError
			if !errors.As(err, &p) || p.Line < 1 || p.Col < 1 {
				t.Errorf("%v has no place", err)
			}
		})
	}
}

func FuzzBaseline(f *testing.F) {
	f.Add(newBaseline(document(), "small.yaml").encode())
	f.Add([]byte(`{"schema": "socsim.baseline/v1", "metrics": {"a": {"value": 1e9, "unit": ""}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeBaseline("b.json", data)
		if err != nil {
			return
		}
		again, err := decodeBaseline("b.json", b.encode())
		if err != nil {
			t.Fatalf("what was read cannot be written and read again: %v\n%s", err, b.encode())
		}
		if diff := cmp.Diff(b, again, cmpopts.IgnoreUnexported(Baseline{}), cmpopts.EquateEmpty(), cmp.Comparer(func(a, b result.Number) bool { return equal(a, b) })); diff != "" {
			t.Fatalf("reads differently the second time:\n%s", diff)
		}
	})
}
