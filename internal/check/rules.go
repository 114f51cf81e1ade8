package check

import (
	"fmt"
	"math/big"
	"strings"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/scenario"
)

// RulesFile is the name of a folder's rules.
const RulesFile = "check.yaml"

// Kind is what a file is.
type Kind string

// Values lists the one kind.
func (Kind) Values() []string { return []string{"check"} }

// rulesFile is a folder's rules as they are written.
type rulesFile struct {
	APIVersion string   `conf:"apiVersion,required" doc:"Version of the language: socsim/v1."`
	Kind       Kind     `conf:"kind,required" doc:"What the file is: check."`
	Strategies string   `conf:"strategies" doc:"Strategies that every scenario of the folder is checked under, as for --strategy; each scenario's own if left out."`
	Tolerances []string `conf:"tolerances" doc:"Differences that pass: METRIC AMOUNT, such as cpu.busy ±0.01 or dram.latency.* 5%. + or - allows one direction only; better allows any improvement."`
	Ignore     []string `conf:"ignore" doc:"Metrics that are not compared."`
	Budgets    []string `conf:"budgets" doc:"Bounds that must hold whatever the baseline says: METRIC OP VALUE, in every scenario that has the metric."`
}

// Rules say how strictly a folder is judged. Each rule may end in "in SCENARIO", which keeps it to the scenarios of that name. Names of metrics and scenarios may hold *, which stands for any characters.
type Rules struct {
	File       string // "" if there is none
	Strategies string
	tolerances []*tolerance
	ignore     []*rule
	budgets    []*budget
}

// rule is what all rules have.
type rule struct {
	text    string
	line    int
	metric  string // a pattern
	within  string // a pattern of scenarios
	matched bool   // some metric
}

// tolerance allows a metric to move.
type tolerance struct {
	rule
	amount   *big.Rat // nil: any improvement
	relative bool
	unit     string // of an absolute amount written with one
	up, down bool
}

type budget struct {
	rule
	expect scenario.Expectation
}

// matches reports whether a pattern, in which * stands for any characters, matches all of a text.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(text, p)
		if !found {
			return false
		}
		text = after
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}

func (r *rule) applies(name, metric string) bool {
	return matches(r.within, name) && matches(r.metric, metric)
}

// LoadRules decodes a folder's rules. The error holds all mistakes, with their places.
func LoadRules(src conf.Source) (*Rules, error) {
	var f rulesFile
	doc, err := conf.Decode(src, nil, nil, &f)
	if err != nil {
		return nil, err
	}
	r := &Rules{File: src.Name, Strategies: f.Strategies}
	var errs []error
	if f.APIVersion != scenario.APIVersion {
		errs = append(errs, doc.Errorf("apiVersion", "unknown version %q, want %s", f.APIVersion, scenario.APIVersion))
	}
	each := func(list string, texts []string, parse func(base rule, rest string) error) {
		for i, text := range texts {
			path := fmt.Sprintf("%s.%d", list, i)
			line, _, _ := doc.Position(path)
			body, within, scoped := strings.Cut(text, " in ")
			base := rule{text: text, line: line, within: "*"}
			if scoped {
				base.within = strings.TrimSpace(within)
			}
			err := parse(base, strings.TrimSpace(body))
			if scoped && (base.within == "" || strings.ContainsAny(base.within, " \t")) {
				err = fmt.Errorf("%q: expected one scenario's name behind in, such as in camera-*", text)
			}
			if err != nil {
				errs = append(errs, doc.Errorf(path, "%v", err))
			}
		}
	}
	each("tolerances", f.Tolerances, func(base rule, rest string) error {
		t, err := parseTolerance(base, rest)
		r.tolerances = append(r.tolerances, t)
		return err
	})
	each("ignore", f.Ignore, func(base rule, rest string) error {
		base.metric = rest
		r.ignore = append(r.ignore, &base)
		return checkPattern(rest)
	})
	each("budgets", f.Budgets, func(base rule, rest string) error {
		e, err := scenario.ParseExpectation(rest)
		base.metric = e.Metric
		r.budgets = append(r.budgets, &budget{base, e})
		return err
	})
	if err := conf.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

func checkPattern(p string) error {
	if p == "" || strings.ContainsAny(p, " \t<>=") {
		return fmt.Errorf("%q: expected one metric's name or pattern, such as dram.latency.*", p)
	}
	return nil
}

// parseTolerance reads METRIC AMOUNT.
func parseTolerance(base rule, text string) (*tolerance, error) {
	t := &tolerance{rule: base, up: true, down: true}
	metric, amount, ok := strings.Cut(text, " ")
	t.metric = metric
	amount = strings.TrimSpace(amount)
	if !ok || amount == "" {
		return t, fmt.Errorf("%q: expected METRIC AMOUNT, such as maintenance.time +2%% or cpu.busy ±0.01", text)
	}
	if err := checkPattern(metric); err != nil {
		return t, err
	}
	if amount == "better" {
		return t, nil
	}
	number := amount
	for _, sign := range []struct {
		text     string
		up, down bool
	}{{"+", true, false}, {"-", false, true}, {"±", true, true}} {
		if rest, ok := strings.CutPrefix(amount, sign.text); ok {
			number, t.up, t.down = rest, sign.up, sign.down
		}
	}
	number = strings.TrimSpace(number)
	if len(number) > 40 {
		return t, fmt.Errorf("%q: the amount is too long", text)
	}
	share, relative := strings.CutSuffix(number, "%")
	if t.relative = relative; relative {
		number = share
	}
	t.amount, t.unit = scenario.ParseValue(number)
	if t.amount == nil || t.amount.Sign() < 0 || relative && t.unit != "" {
		return t, fmt.Errorf("%q: %q is no amount; expected a percentage, a number, a duration or a size, such as +2%%, ±0.01, 40us or 4KiB, or better", text, amount)
	}
	if relative {
		t.amount = mul(t.amount, big.NewRat(1, 100))
	}
	return t, nil
}

// allows reports whether the tolerance lets a metric move from was to now, for better or worse.
func (t *tolerance) allows(was, now result.Number, v Verdict) bool {
	if t.amount == nil {
		return v == Better
	}
	change := new(big.Rat).Sub(rat(now), rat(was))
	if change.Sign() > 0 && !t.up || change.Sign() < 0 && !t.down {
		return false
	}
	limit := t.amount
	if t.relative {
		limit = new(big.Rat).Mul(limit, new(big.Rat).Abs(rat(was)))
	}
	return change.Abs(change).Cmp(limit) <= 0
}

// suits reports whether the amount's unit is the metric's.
func (t *tolerance) suits(unit string) bool { return t.unit == "" || t.unit == unit }

// ignores reports whether a metric of a scenario is not compared.
func (r *Rules) ignores(name, metric string) bool {
	found := false
	for _, i := range r.ignore {
		if i.applies(name, metric) {
			i.matched, found = true, true
		}
	}
	return found
}

// tolerates returns the rule that allows a difference.
func (r *Rules) tolerates(name string, d *Difference) (text string, ok bool) {
	for _, t := range r.tolerances {
		if t.applies(name, d.Metric) && t.suits(d.Unit) && d.Was != nil && d.Now != nil && t.allows(*d.Was, *d.Now, d.Verdict) {
			return t.text, true
		}
	}
	return "", false
}

// see notes which rules concern a document's metrics, so that Unused can tell those that concern none.
func (r *Rules) see(name string, metrics map[string]result.Metric) {
	for metric, m := range metrics {
		for _, t := range r.tolerances {
			t.matched = t.matched || t.applies(name, metric) && t.suits(m.Unit)
		}
		for _, b := range r.budgets {
			b.matched = b.matched || b.applies(name, metric)
		}
		for _, i := range r.ignore {
			i.matched = i.matched || i.applies(name, metric)
		}
	}
}

// unused lists the rules that concerned no metric of what was checked.
func (r *Rules) unused() []string {
	var out []string
	add := func(what string, u *rule) {
		if !u.matched {
			out = append(out, fmt.Sprintf("%s:%d: %s %q concerns no metric that was checked", r.File, u.line, what, u.text))
		}
	}
	for _, t := range r.tolerances {
		add("tolerance", &t.rule)
	}
	for _, i := range r.ignore {
		add("ignore", i)
	}
	for _, b := range r.budgets {
		add("budget", &b.rule)
	}
	return out
}

// judgeBudgets judges the budgets that concern a document. A budget's metric may be a pattern: each metric it matches is judged.
func (r *Rules) judgeBudgets(name string, d *result.Document) []Judged {
	var out []Judged
	for _, b := range r.budgets {
		for _, metric := range sortedKeys(d.Metrics) {
			if !b.applies(name, metric) {
				continue
			}
			e := b.expect
			e.Metric = metric
			e.Text = metric + strings.TrimPrefix(b.expect.Text, b.expect.Metric)
			j := e.Judge(d)
			out = append(out, Judged{Expr: e.Text, OK: j.OK, Value: j.Value, Unit: d.Metrics[metric].Unit, File: r.File, Line: b.line})
		}
	}
	return out
}

func rat(n result.Number) *big.Rat {
	return new(big.Rat).SetFrac(big.NewInt(n.Int), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.Digits)), nil))
}
