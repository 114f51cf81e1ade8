package check

import (
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/internal/result"
)

// rulesOf decodes rules below the head that every file has.
func rulesOf(t *testing.T, body string) *Rules {
	t.Helper()
	r, err := LoadRules(conf.Source{Name: "check.yaml", Data: []byte("apiVersion: socsim/v1\nkind: check\n" + body)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAStarStandsForAnyCharacters(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"cpu.busy", "cpu.busy", true},
		{"cpu.busy", "cpu.busy.driver", false},
		{"cpu.*", "cpu.busy.driver", true},
		{"*.p99", "dram.latency.cpu.p99", true},
		{"*.p99", "dram.latency.p99.mean", false},
		{"dram.*.cpu.*", "dram.latency.cpu.mean", true},
		{"dram.*.cpu.*", "dram.latency.gpu.mean", false},
		{"a*a", "a", false},
		{"*", "anything", true},
		{"**", "anything", true},
	} {
		if got := matches(c.pattern, c.text); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.text, got)
		}
	}
}

func TestAToleranceAllowsWhatItSays(t *testing.T) {
	one := func(unit string, was, now result.Number) *Difference {
		return &Difference{Kind: KindChanged, Metric: "m", Unit: unit, Was: &was, Now: &now, Verdict: Worse}
	}
	count := func(was, now int64) *Difference { return one("count", result.Int(was), result.Int(now)) }
	better := count(10, 1)
	better.Verdict = Better
	fraction := func(was, now int64) *Difference {
		return one("fraction", result.Number{Int: was, Digits: 2}, result.Number{Int: now, Digits: 2})
	}
	for _, c := range []struct {
		rule string
		d    *Difference
		want bool
	}{
		{"m 2%", count(100, 102), true},
		{"m 2%", count(100, 98), true},
		{"m 2%", count(100, 103), false},
		{"m ±2%", count(100, 97), false},
		{"m +2%", count(100, 102), true},
		{"m +2%", count(100, 99), false},
		{"m -2%", count(100, 99), true},
		{"m -2%", count(100, 101), false},
		{"m 50%", count(-100, -140), true},
		{"m 50%", count(0, 1), false},
		{"m ±0.01", fraction(43, 44), true},
		{"m ±0.01", fraction(43, 45), false},
		{"m 40us", one("ns", result.Int(0), result.Int(40_000)), true},
		{"m 40us", one("ns", result.Int(0), result.Int(40_001)), false},
		{"m 40us", count(0, 1), false}, // another unit
		{"m 4KiB", one("bytes", result.Int(0), result.Int(4096)), true},
		{"m better", better, true},
		{"m better", count(1, 2), false},
		{"m 2% in other", count(100, 101), false},
		{"m 2% in sma*", count(100, 101), true},
		{"n 2%", count(100, 101), false},
	} {
		r := rulesOf(t, "tolerances:\n  - "+c.rule+"\n")
		if _, ok := r.tolerates("small", c.d); ok != c.want {
			t.Errorf("%s: %v -> %v %s is tolerated: %v", c.rule, c.d.Was, c.d.Now, c.d.Unit, ok)
		}
	}
}

func TestMistakesOfRulesAreReportedWithTheirPlace(t *testing.T) {
	const head = "apiVersion: socsim/v1\nkind: check\n"
	for text, want := range map[string]string{
		"kind: check\n":                                       `check.yaml:1:1: missing key "apiVersion"`,
		"apiVersion: socsim/v2\nkind: check\n":                `check.yaml:1:13: apiVersion: unknown version "socsim/v2"`,
		"apiVersion: socsim/v1\nkind: study\n":                `check.yaml:2:7: kind: unknown value "study"`,
		head + "tolerance: []\n":                              `check.yaml:3:1: unknown key "tolerance" at the top level; did you mean "tolerances"?`,
		head + "tolerances:\n  - cpu.busy\n":                  `check.yaml:4:5: tolerances.0: "cpu.busy": expected METRIC AMOUNT`,
		head + "tolerances:\n  - cpu.busy 2 percent\n":        `"2 percent" is no amount`,
		head + "tolerances:\n  - cpu.busy 5%\n  - m ~2%\n":    `check.yaml:5:5: tolerances.1: "m ~2%": "~2%" is no amount`,
		head + "tolerances:\n  - cpu.busy +-2%\n":             `"+-2%" is no amount`,
		head + "tolerances:\n  - cpu.busy 2% in\n":            `is no amount`,
		head + "tolerances:\n  - cpu.busy 2% in a b\n":        `expected one scenario's name behind in`,
		head + "tolerances: {cpu.busy: 2%}\n":                 `check.yaml:3:13: tolerances: found a mapping, expected a list`,
		head + "ignore:\n  - host wall\n":                     `expected one metric's name or pattern`,
		head + "budgets:\n  - maintenance.time = 4ms\n":       `check.yaml:4:5: budgets.0: expectation "maintenance.time = 4ms": expected METRIC OP VALUE`,
		head + "budgets:\n  - maintenance.time <= lots\n":     `"lots" is neither a number`,
		head + "budgets:\n  - m < " + strings.Repeat("9", 50): "too long",
	} {
		_, err := LoadRules(conf.Source{Name: "check.yaml", Data: []byte(text)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nerror %v\nwant %s", text, err, want)
		}
	}
}

func TestABudgetJudgesEachMetricOfItsPattern(t *testing.T) {
	r := rulesOf(t, "budgets:\n  - maintenance.* <= 1ms\n  - cpu.busy <= 50% in other\n")
	got := r.judgeBudgets("small", document())
	if len(got) != 1 || got[0].Expr != "maintenance.time <= 1ms" || got[0].OK || got[0].Line != 4 {
		t.Errorf("judged %+v", got)
	}
}

func TestRulesThatConcernNothingAreNamed(t *testing.T) {
	r := rulesOf(t, "tolerances:\n  - cpu.busy 2%\n  - cpu.busy 4ms\nignore:\n  - nosuch.*\nbudgets:\n  - cpu.busy < 1 in nobody\n")
	r.see("small", document().Metrics)
	got := strings.Join(r.unused(), "\n")
	want := `check.yaml:5: tolerance "cpu.busy 4ms" concerns no metric that was checked
check.yaml:7: ignore "nosuch.*" concerns no metric that was checked
check.yaml:9: budget "cpu.busy < 1 in nobody" concerns no metric that was checked`
	if got != want {
		t.Errorf("unused:\n%s\nwant\n%s", got, want)
	}
}
