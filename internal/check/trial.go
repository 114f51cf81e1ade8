package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"socsim/internal/result"
	"socsim/internal/run"
	"socsim/internal/strategy"
	"socsim/soc/flush"
)

// What a proposed strategy does to a scenario.
const (
	Incoherent = "incoherent"  // it makes errors that the other does not
	OverBudget = "over budget" // it breaks a budget that holds under the other
	Slower     = "slower"
	Mixed      = "mixed" // some figures are better and some worse
	Faster     = "faster"
	Same       = "same"
)

// effects are what a strategy is judged by.
var effects = []string{
	"overhead.time_per_frame", "task.*.slowdown", "latency.capture_to_display.p95", "frames.captured", "frames.dropped", "frames.displayed", "isp.overflows", "display.underflows",
}

// substitutes stand in, the first that is there, where a scenario captures no frames and so has no overhead.
var substitutes = []string{"maintenance.time", "cpu.busy"}

// The least move that counts: in tenths of a percent, and of a time in nanoseconds too.
const (
	leastMove = 5
	leastTime = 10_000
)

// Trial is a proposed change of strategy, judged over many scenarios.
type Trial struct {
	Base        string       `json:"base"`
	Proposed    string       `json:"proposed"`
	Items       []*TrialItem `json:"items"`
	Notes       []string     `json:"notes,omitempty"`
	Interrupted bool         `json:"interrupted,omitempty"`
}

// TrialItem is what the change does to one scenario.
type TrialItem struct {
	File     string        `json:"file"`
	Scenario string        `json:"scenario"`
	Status   Status        `json:"status"`
	Error    string        `json:"error,omitempty"`
	Verdict  string        `json:"verdict,omitempty"`
	Appears  []string      `json:"appears,omitempty"` // violations under the proposed strategy alone
	Gone     []string      `json:"gone,omitempty"`    // and under the other alone
	Broken   []Judged      `json:"broken,omitempty"`  // budgets that hold under the other alone
	Moves    []*Difference `json:"moves"`             // the effects, the worse first

	Docs [2]*result.Document `json:"-"` // base and proposed
}

// Try runs the scenarios under two strategies and judges the change from one, base, to the other; "" stands for each scenario's own. Baselines play no part. The error is a mistake of the request.
func Try(ctx context.Context, req Request, base, proposed string) (*Trial, error) {
	c := &checker{Request: req, ctx: ctx, report: &Report{}}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	t := &Trial{Base: base, Proposed: cmp.Or(proposed, "own"), Notes: c.report.Notes}
	var jobs []run.Job
	var items []*TrialItem // of each pair of jobs
	var rules []*Rules
	for _, s := range c.subjects {
		i := &TrialItem{File: s.file, Status: Passed, Moves: []*Difference{}}
		t.Items = append(t.Items, i)
		if s.err != nil {
			i.Status, i.Error = Invalid, s.err.Error()
			continue
		}
		i.Scenario = s.loaded.Name
		from, err := single("--against", base)
		if err != nil {
			return nil, err
		}
		to := s.loaded.Own
		if proposed != "" {
			if to, err = single("--strategy", proposed); err != nil {
				return nil, err
			}
		}
		jobs = append(jobs, run.Job{Scenario: s.loaded, Strategy: from}, run.Job{Scenario: s.loaded, Strategy: to})
		items, rules = append(items, i), append(rules, s.rules)
	}
	docs, errs := run.Each(ctx, jobs, req.Workers, req.Progress)
	t.Interrupted = ctx.Err() != nil
	for k, i := range items {
		if err := cmp.Or(errs[2*k], errs[2*k+1]); err != nil {
			if errors.Is(err, context.Canceled) {
				err = errInterrupted
			}
			i.Status, i.Error = Unfinished, err.Error()
			continue
		}
		i.judge(docs[2*k], docs[2*k+1], rules[k])
	}
	return t, nil
}

// single reads one strategy.
func single(flag, text string) (flush.Info, error) {
	list, err := strategy.Parse(text, ".")
	if err != nil {
		return flush.Info{}, fmt.Errorf("%s: %w", flag, err)
	}
	if len(list) != 1 {
		return flush.Info{}, fmt.Errorf("%s %s: one strategy is tried against one other", flag, text)
	}
	return list[0], nil
}

func (i *TrialItem) judge(base, proposed *result.Document, rules *Rules) {
	i.Docs = [2]*result.Document{base, proposed}
	was, now := newBaseline(base, i.File), newBaseline(proposed, i.File)
	for _, v := range now.Violations {
		if !slices.Contains(was.Violations, v) {
			i.Appears = append(i.Appears, v)
		}
	}
	for _, v := range was.Violations {
		if !slices.Contains(now.Violations, v) {
			i.Gone = append(i.Gone, v)
		}
	}
	held := map[string]bool{}
	for _, j := range rules.judgeBudgets(i.Scenario, base) {
		held[j.Expr] = j.OK
	}
	for _, j := range rules.judgeBudgets(i.Scenario, proposed) {
		if before, judged := held[j.Expr]; !j.OK && (before || !judged) {
			i.Broken = append(i.Broken, j)
		}
	}
	i.moves(was, now)
	i.Verdict = i.verdict()
	if i.Verdict == Incoherent || len(i.Broken) > 0 {
		i.Status = Failed
	}
}

// moves lists the effects that moved.
func (i *TrialItem) moves(was, now *Baseline) {
	judged := slices.Clone(effects)
	if _, ok := was.Metrics[effects[0]]; !ok {
		for _, s := range substitutes {
			if _, ok := was.Metrics[s]; ok {
				judged = append(judged, s)
				break
			}
		}
	}
	for _, m := range unionKeys(was.Metrics, now.Metrics) {
		if !slices.ContainsFunc(judged, func(p string) bool { return matches(p, m) }) {
			continue
		}
		if d := compareMetric(m, was, now); d != nil && counts(d) {
			d.Causes = Explain(was, now, m, maxCauses)
			i.Moves = append(i.Moves, d)
		}
	}
	slices.SortStableFunc(i.Moves, func(a, b *Difference) int {
		return cmp.Or(cmp.Compare(gravity(a), gravity(b)), cmp.Compare(rank(a.Metric), rank(b.Metric)))
	})
}

// counts reports whether a move is large enough to be held for or against a strategy.
func counts(d *Difference) bool {
	if d.Unit == "ns" && d.Kind == KindChanged && abs(roundRat(rat(d.Change()))) < leastTime {
		return false
	}
	return abs(permille(d)) >= leastMove
}

func (i *TrialItem) verdict() string {
	better := slices.ContainsFunc(i.Moves, func(d *Difference) bool { return d.Verdict == Better })
	worse := slices.ContainsFunc(i.Moves, func(d *Difference) bool { return d.Verdict == Worse })
	switch {
	case len(i.Appears) > 0:
		return Incoherent
	case len(i.Broken) > 0:
		return OverBudget
	case better && worse:
		return Mixed
	case worse:
		return Slower
	case better:
		return Faster
	}
	return Same
}

// Count returns how many scenarios have a verdict.
func (t *Trial) Count(verdict string) int {
	n := 0
	for _, i := range t.Items {
		if i.Verdict == verdict {
			n++
		}
	}
	return n
}

// Worst is the gravest status of the scenarios.
func (t *Trial) Worst() Status { return worst(t.Items, func(i *TrialItem) Status { return i.Status }) }

// Worst is the gravest status of the items.
func (r *Report) Worst() Status { return worst(r.Items, func(i *Item) Status { return i.Status }) }

func worst[T any](items []T, status func(T) Status) Status {
	w := 0
	for _, i := range items {
		w = max(w, slices.Index(gravest, status(i)))
	}
	return gravest[w]
}

// Digest sums a trial up in a line.
func (t *Trial) Digest() string {
	text := fmt.Sprintf("%s against %s in %d scenarios: ", t.Proposed, t.Base, len(t.Items))
	sep := ""
	for _, v := range []string{Incoherent, OverBudget, Slower, Mixed, Same, Faster} {
		if n := t.Count(v); n > 0 {
			text += fmt.Sprintf("%s%s in %d", sep, v, n)
			sep = ", "
		}
	}
	for _, s := range []Status{Invalid, Unfinished} {
		n := 0
		for _, i := range t.Items {
			if i.Status == s {
				n++
			}
		}
		if n > 0 {
			text += fmt.Sprintf("%s%s: %d", sep, s, n)
			sep = ", "
		}
	}
	return text
}
