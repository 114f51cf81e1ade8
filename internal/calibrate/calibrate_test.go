package calibrate

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/strategy"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/flush/flushtest"
)

var update = flag.Bool("update", false, "rewrite the tables in docs/calibration.md")

// load resolves a chip with settings given as path, value, path, value.
func load(t *testing.T, preset string, settings ...string) *Chip {
	t.Helper()
	var overrides []conf.Override
	for i := 0; i < len(settings); i += 2 {
		overrides = append(overrides, conf.Override{Path: "soc." + settings[i], Value: settings[i+1]})
	}
	c, err := Load(preset, overrides, 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// small is a chip on which measuring is quick.
func small(t *testing.T, preset string, settings ...string) *Chip {
	t.Helper()
	return load(t, preset, append([]string{"l2.size", "64KiB", "memory.size", "32MiB", "memory.reserved", "1MiB"}, settings...)...)
}

func calibrated(t *testing.T, params ...string) flush.Info {
	t.Helper()
	info, err := flush.ByName(Strategy)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(params); i += 2 {
		if info, err = info.With(params[i], params[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return info
}

func costs(t *testing.T, c *Chip) map[string]float64 {
	t.Helper()
	list, err := c.Costs(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, x := range list {
		if _, twice := out[x.Name]; twice || x.Doc == "" {
			t.Errorf("%s: twice or not documented", x.Name)
		}
		out[x.Name] = x.Time.Float()
	}
	return out
}

func TestTheCostsOfTheModelAreFoundFromTheOutside(t *testing.T) {
	got := costs(t, small(
		t, "omap4430", "cpu.clock", "100MHz", // 10 ns a cycle
		"cpu.maintenance.call", "31cycles", "cpu.maintenance.barrier", "53cycles", "cpu.maintenance.page", "17cycles", "cpu.maintenance.line", "29cycles", "cpu.maintenance.set_way", "37cycles",
		"cpu.maintenance.outer_call", "730ns", "cpu.maintenance.outer_line", "110ns", "cpu.maintenance.outer_way", "13ns",
	))
	for name, want := range map[string]float64{
		"call": 310, "barrier": 530, "page": 170, "line": 290, "set_way": 370, "outer_call": 730, "outer_line": 110, "outer_way": 13,
	} {
		if off := math.Abs(got[name] - want); off > 0.1 {
			t.Errorf("%s: found %.1f ns, the model has %.1f ns", name, got[name], want)
		}
	}
	if both := got["line_resident"]; both < 400 || both > 402 { // with a share of the page
		t.Errorf("a line of both caches: found %.1f ns, the model has 400 ns and a bit", both)
	}
}

func TestDirtyLinesAndRefillsCostWhatMemoryTakes(t *testing.T) {
	quick := costs(t, small(t, "omap3430"))
	slow := costs(t, small(t, "omap3430", "cpu.memory_latency", "400ns"))
	if d := slow["refill"] - quick["refill"]; d < 390 || d > 410 {
		t.Errorf("with 400 ns more of latency a refill takes %.1f ns more", d)
	}
	if quick["line_dirty"] < quick["line"]+50 || quick["whole_dirty"] < 1.3*quick["whole_clean"] || quick["refill"] < 50 {
		t.Errorf("dirty lines or refills are free: %v", quick)
	}
}

func TestCachesInsideTheCoreHaveNoOuterCosts(t *testing.T) {
	for name := range costs(t, small(t, "omap2420", "l2.size", "0B")) {
		if strings.HasPrefix(name, "outer") {
			t.Error(name)
		}
	}
}

// decided runs the strategy on the chip and returns the policy with what it measured.
func decided(t *testing.T, c *Chip, info flush.Info) (dmaapi.Policy, *Report) {
	t.Helper()
	p := info.New()
	err := c.run(context.Background(), p, func(th *cpu.Thread, api *dmaapi.API) error {
		api.Start(th)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	o, ok := flush.Calibration(p)
	if !ok {
		t.Fatal("nothing was measured")
	}
	return p, &Report{Chip: c, Strategy: info.Label(), Chosen: o}
}

// table loads the rule table of a report.
func table(t *testing.T, r *Report) dmaapi.Policy {
	t.Helper()
	info, err := strategy.Load(conf.Source{Name: "emitted.yaml", Data: []byte(r.YAML())})
	if err != nil {
		t.Fatalf("%v\n%s", err, r.YAML())
	}
	return info.New()
}

func TestTheRuleTableDecidesAsTheStrategyDid(t *testing.T) {
	for _, preset := range []string{"omap3430", "omap4430", "omap2420"} {
		p, r := decided(t, small(t, preset), calibrated(t))
		same(t, preset, r, p, table(t, r))
	}
}

// same compares two policies at many sizes, those of the thresholds above all.
func same(t *testing.T, name string, r *Report, want, got dmaapi.Policy) {
	t.Helper()
	sizes := map[int]bool{}
	for _, d := range Directions {
		for _, outer := range []bool{false, true} {
			at := int(min(r.Chosen.Threshold(d, outer), 1<<40))
			sizes[at-1], sizes[at], sizes[at+1] = true, true, true
		}
	}
	for _, q := range flushtest.Questions() {
		sizes[q.Bytes] = true
		q.HasOuter = r.Chosen.HasOuter
		for bytes := range sizes {
			q.Bytes, q.Length, q.TotalBytes = bytes, bytes, bytes
			if diff := cmp.Diff(want.Decide(&q), got.Decide(&q)); diff != "" {
				t.Fatalf("%s: %v, %v, %d bytes:\n%s\n%s", name, q.Event, q.Direction, bytes, diff, r.YAML())
			}
		}
		delete(sizes, q.Bytes)
	}
}

func TestEveryKindOfThresholdCanBeEmitted(t *testing.T) {
	c := small(t, "omap4430")
	values := []flush.Threshold{0, 64 << 10, 128 << 10, flush.Never}
	for _, inner := range values {
		for _, outer := range values {
			for _, has := range []bool{true, false} {
				o := flush.Outcome{HasOuter: has, EndToEnd: true}
				for d := range o.Inner {
					o.Inner[d].EndToEnd, o.Outer[d].EndToEnd = inner, outer
				}
				r := &Report{Chip: c, Strategy: Strategy, Chosen: o}
				p := table(t, r)
				for _, bytes := range []int{1, 64<<10 - 1, 64 << 10, 128<<10 - 1, 128 << 10, 1 << 30} {
					q := dmaapi.Question{Event: dmaapi.MapDevice, Direction: dmaapi.ToDevice, Bytes: bytes, Length: bytes, Default: dmaapi.Clean, HasOuter: has}
					a := p.Decide(&q)
					whole := a.Extent == dmaapi.Whole
					outerWhole := a.Outer == dmaapi.OuterWhole || whole && a.Outer == dmaapi.OuterSame
					if a.Op != dmaapi.Clean || whole != (flush.Threshold(bytes) >= inner) || has && outerWhole != (flush.Threshold(bytes) >= outer) {
						t.Errorf("inner %v, outer %v (%t), %d bytes: %+v\n%s", inner, outer, has, bytes, a, r.YAML())
					}
				}
				compile(t, r.Header(), fmt.Sprintf("SOC_FLUSH_THRESHOLD_BIDIRECTIONAL == %s", literal(inner)))
			}
		}
	}
}

// compile checks the header as a C compiler reads it, and that a condition holds there.
func compile(t *testing.T, header, condition string) {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("there is no cc to check the header with")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"soc_flush.h": header,
		"driver.c":    "#include \"soc_flush.h\"\n#include \"soc_flush.h\"\n_Static_assert(" + condition + ", \"threshold\");\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(cc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", filepath.Join(dir, "driver.c")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, header)
	}
}

func TestTheHeaderHasTheThresholdsMeasured(t *testing.T) {
	_, r := decided(t, small(t, "omap4430"), calibrated(t))
	var conditions []string
	for _, d := range Directions {
		conditions = append(conditions, fmt.Sprintf("SOC_FLUSH_THRESHOLD_%v == %d", d, r.Chosen.Inner[d].EndToEnd), fmt.Sprintf("SOC_FLUSH_THRESHOLD_OUTER_%v == %d", d, r.Chosen.Outer[d].EndToEnd))
	}
	compile(t, r.Header(), strings.Join(conditions, " && "))
}

// text is the document of a measurement as it is printed.
func text(t *testing.T, c *Chip) string {
	t.Helper()
	r, err := c.Measure(context.Background(), calibrated(t))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := result.Write(&b, []*result.Document{r.Document()}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMeasuringTwiceGivesTheSameDocument(t *testing.T) {
	one, two := text(t, small(t, "omap4430")), text(t, small(t, "omap4430"))
	if one != two {
		t.Error(cmp.Diff(one, two))
	}
	for _, want := range []string{`"calibrate.cost.refill"`, `"calibrate.threshold.working_set_64KiB.TO_DEVICE.end_to_end"`, `"calibrate.threshold.outer.BIDIRECTIONAL"`, `"scenario": "calibrate"`} {
		if !strings.Contains(one, want) {
			t.Errorf("no %s in\n%s", want, one)
		}
	}
}

func TestAThresholdThatIsNeverReachedIsAbsentFromTheDocument(t *testing.T) {
	r := &Report{Chip: small(t, "omap3430"), Chosen: flush.Outcome{EndToEnd: true}}
	r.Chosen.Inner[dmaapi.ToDevice].EndToEnd = flush.Never
	m := r.Document().Metrics
	if _, there := m["calibrate.threshold.TO_DEVICE"]; there {
		t.Error("it is there")
	}
	if x, there := m["calibrate.threshold.FROM_DEVICE"]; !there || x.Value.Int != 0 {
		t.Error("always is not 0")
	}
}

func TestAWrongChipOrSettingIsAnErrorThatSaysWhich(t *testing.T) {
	for _, c := range []struct{ preset, path, value, want string }{
		{"omap3340", "", "", `unknown chip "omap3340"; there are am335x, `},
		{"omap3340", "", "", `did you mean "omap3430"?`},
		{"omap3430", "soc.l2.sise", "1MiB", "sise"},
		{"omap3430", "soc.coherence", "armv8", `unknown coherence profile "armv8"; there are `},
		{"omap3430", "soc.cpu.clock", "0Hz", "soc.cpu.clock: "},
	} {
		var overrides []conf.Override
		if c.path != "" {
			overrides = []conf.Override{{Path: c.path, Value: c.value}}
		}
		if _, err := Load(c.preset, overrides, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s=%s: error %v, want one that says %q", c.preset, c.path, c.value, err, c.want)
		}
	}
}

func TestAChipIsNamedAfterThePresetInForce(t *testing.T) {
	c, err := Load("omap3430", []conf.Override{{Path: "soc", Value: "omap2420"}, {Path: "soc.l1d.size", Value: "16KiB"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "omap2420" || c.Config.L1D.Size != 16<<10 {
		t.Errorf("%s with %v of L1", c.Name, c.Config.L1D.Size)
	}
}

func TestAChipWithoutMemoryToMeasureWithIsAnError(t *testing.T) {
	c := load(t, "omap3430", "memory.size", "2MiB", "memory.reserved", "2032KiB")
	if _, err := c.Outcome(context.Background(), calibrated(t)); err == nil || !strings.Contains(err.Error(), "not enough memory") {
		t.Errorf("error %v", err)
	}
}

func TestAnInterruptEndsTheMeasurements(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := small(t, "omap3430").Measure(ctx, calibrated(t)); err == nil {
		t.Error("it went on")
	}
}

func TestAFitIsExactOnALine(t *testing.T) {
	l := fit([]sample{{1, 1007}, {2, 1014}, {4, 1028}, {64, 1448}})
	if l.slope() != 7 || l.intercept() != 1000 {
		t.Errorf("slope %d, intercept %d", l.slope(), l.intercept())
	}
	if half := fit([]sample{{0, 100}, {2, 107}, {4, 114}}); half.slope() != 4 || half.intercept() != 100 {
		t.Errorf("3.5 a count: slope %d, intercept %d", half.slope(), half.intercept())
	}
	falling := fit([]sample{{0, 100}, {10, 70}})
	if falling.slope() != -3 || falling.intercept() != 100 {
		t.Errorf("falling: slope %d, intercept %d", falling.slope(), falling.intercept())
	}
}

const page = "../../docs/calibration.md"

func TestTheTablesInTheDocsAreWhatTheSimulatorMeasures(t *testing.T) {
	for _, c := range []struct{ chip, cache string }{{"omap3430", ""}, {"omap4430", "outer"}} {
		rows, err := load(t, c.chip).Thresholds(context.Background(), calibrated(t))
		if err != nil {
			t.Fatal(err)
		}
		hold(t, "<!-- table of "+c.chip+": go test ./internal/calibrate -update -->\n", Markdown(rows, c.cache))
	}
}

// hold compares a table with the one behind a marker in the docs, or writes it there.
func hold(t *testing.T, begin, table string) {
	t.Helper()
	const end = "<!-- end of table -->\n"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(data), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	switch {
	case !ok1 || !ok2:
		t.Fatalf("%s has no table behind %s", page, begin)
	case table == old:
	case *update:
		if err := os.WriteFile(page, []byte(head+begin+table+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s does not match the simulator; run go test ./internal/calibrate -update and review the difference. It says:\n%s", page, table)
	}
}
