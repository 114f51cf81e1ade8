package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/run"
	"socsim/internal/scenario"
	"socsim/internal/strategy"
	"socsim/scenarios"
	"socsim/soc/flush"
)

// Request is what to check.
type Request struct {
	Targets    []string        // folders, scenario files and names of the library
	Strategies string          // as of --strategy; "" is what the folder's rules say, or each scenario's own
	Overrides  []conf.Override // settings of the command line
	Rules      string          // a file of rules that stands in for those of the folders
	Workers    int
	Update     bool // write baselines
	Prune      bool // and remove those of scenarios that are gone
	Progress   run.Progress
}

// Status is how a check of one scenario ended.
type Status string

// The statuses, in the order of gravity.
const (
	Passed     Status = "ok"
	Failed     Status = "failed"     // ran, but an expectation, a budget or the baseline does not hold
	Invalid    Status = "invalid"    // the scenario or the baseline is wrong
	Unfinished Status = "unfinished" // it could not be run to its end, or its baseline not be written
)

var gravest = []Status{Passed, Failed, Invalid, Unfinished}

// What became of a baseline.
const (
	BaselineSame       = "same"
	BaselineDiffers    = "differs"
	BaselineMissing    = "missing"
	BaselineUnreadable = "unreadable"
	BaselineNew        = "new"       // written where none was
	BaselineWritten    = "rewritten" // with differences
	BaselineKept       = "kept"      // not written, since the run failed
)

// Judged is a judged expectation or budget.
type Judged struct {
	Expr  string         `json:"expr"`
	OK    bool           `json:"ok"`
	Value *result.Number `json:"value"` // null if the run has no such metric
	Unit  string         `json:"unit,omitempty"`
	// Advisory is set of an expectation under another strategy than the scenario's own: its verdict is told and fails nothing.
	Advisory bool   `json:"advisory,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// Item is the check of one scenario under one strategy.
type Item struct {
	File         string        `json:"file"`
	Scenario     string        `json:"scenario"`
	Strategy     string        `json:"strategy"`
	Status       Status        `json:"status"`
	Error        string        `json:"error,omitempty"`
	Baseline     string        `json:"baseline,omitempty"` // what became of it
	BaselineFile string        `json:"baseline_file,omitempty"`
	Compared     int           `json:"compared"` // metrics
	Expect       []Judged      `json:"expect"`
	Budgets      []Judged      `json:"budgets"`
	Differences  []*Difference `json:"differences"`
	Notes        []string      `json:"notes,omitempty"`

	Err error            `json:"-"`
	Doc *result.Document `json:"-"`
}

// Name is the scenario and its strategy, or the file of a scenario that could not be read.
func (i *Item) Name() string {
	if i.Scenario == "" {
		return i.File
	}
	return i.Scenario + " " + i.Strategy
}

// fail sets a status unless a graver one is set.
func (i *Item) fail(s Status, err error) {
	if slices.Index(gravest, s) > slices.Index(gravest, i.Status) {
		i.Status = s
	}
	if err != nil {
		i.Err = errors.Join(i.Err, err)
		i.Error = i.Err.Error()
	}
}

// FailingDifferences lists the differences that fail the check.
func (i *Item) FailingDifferences() []*Difference {
	return slices.DeleteFunc(slices.Clone(i.Differences), func(d *Difference) bool { return !d.Fails() })
}

// Report is what a check found.
type Report struct {
	Items       []*Item
	Notes       []string // about folders and rules
	Updated     bool     // baselines were asked to be written
	Interrupted bool
}

// Count returns how many items have a status.
func (r *Report) Count(s Status) int {
	n := 0
	for _, i := range r.Items {
		if i.Status == s {
			n++
		}
	}
	return n
}

// OnlyBaselinesMissing reports whether the check fails for no other reason than that there are no baselines to judge by.
func (r *Report) OnlyBaselinesMissing() bool {
	missing := false
	for _, i := range r.Items {
		if i.Status == Passed {
			continue
		}
		if i.Status != Failed || i.Baseline != BaselineMissing || anyFailed(i.Expect) || anyFailed(i.Budgets) {
			return false
		}
		missing = true
	}
	return missing
}

func anyFailed(all []Judged) bool {
	return slices.ContainsFunc(all, func(j Judged) bool { return !j.OK && !j.Advisory })
}

var errInterrupted = errors.New("interrupted")

// subject is a scenario that is checked.
type subject struct {
	file   string
	folder *folder // whose rules and baselines count; nil of the library
	rules  *Rules
	loaded *scenario.Loaded // nil if err is set
	err    error
}

// folder is a folder that something of is checked.
type folder struct {
	dir   string
	whole bool // all its scenarios
	rules *Rules
}

type checker struct {
	Request
	ctx      context.Context
	folders  []*folder
	shared   *Rules // of Request.Rules, once read
	subjects []*subject
	report   *Report
}

// Run checks what is requested. The error is a mistake of the request, found before anything ran; all that scenarios, baselines and the runs have to say is in the report.
func Run(ctx context.Context, req Request) (*Report, error) {
	c := &checker{Request: req, ctx: ctx, report: &Report{Updated: req.Update}}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	jobs, owners, err := c.jobs()
	if err != nil {
		return nil, err
	}
	docs, errs := run.Each(ctx, jobs, req.Workers, req.Progress)
	c.report.Interrupted = ctx.Err() != nil
	items := make([]*Item, len(jobs))
	for i, j := range jobs {
		items[i] = c.judge(owners[i], j, docs[i], errs[i])
	}
	for _, f := range c.folders {
		c.judgeFolder(f, owners, items)
	}
	c.judgeLibrary(owners, items)
	for _, s := range c.subjects {
		if s.err != nil {
			i := &Item{File: s.file, Status: Passed}
			i.fail(Invalid, s.err)
			c.report.Items = append(c.report.Items, i)
			continue
		}
		for k, item := range items {
			if owners[k] == s {
				c.report.Items = append(c.report.Items, item)
			}
		}
	}
	c.unusedRules()
	return c.report, nil
}

// prepare finds and loads the scenarios and the rules.
func (c *checker) prepare() error {
	seen := map[string]bool{}
	for _, t := range c.Targets {
		if err := c.target(t, seen); err != nil {
			return err
		}
	}
	for _, s := range c.subjects {
		src, err := scenario.Read(s.file)
		if err == nil {
			s.loaded, err = scenario.Load(src, c.Overrides)
		}
		s.err = err
	}
	return nil
}

// target adds what one argument names.
func (c *checker) target(name string, seen map[string]bool) error {
	if name == "-" {
		return errors.New("a scenario on standard input has no folder for its baseline; check a file")
	}
	info, err := os.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if err == nil && info.IsDir() {
		return c.dir(filepath.Clean(name), seen)
	}
	if _, rerr := scenario.Read(name); rerr != nil {
		return rerr
	}
	if err != nil { // of the library
		if c.Update {
			return fmt.Errorf("%s is the library's: its baselines come with socsim; to have your own, write it to a file (socsim show %s > mine.yaml) and check that", name, name)
		}
		rules, err := c.rulesOf("")
		if err == nil {
			c.add(&subject{file: name, rules: rules}, "library:"+name, seen)
		}
		return err
	}
	f, err := c.folder(filepath.Dir(name))
	if err == nil {
		c.add(&subject{file: name, folder: f, rules: f.rules}, absolute(name), seen)
	}
	return err
}

func absolute(name string) string {
	if path, err := filepath.Abs(name); err == nil {
		return path
	}
	return name
}

func (c *checker) add(s *subject, key string, seen map[string]bool) {
	if !seen[key] {
		seen[key] = true
		c.subjects = append(c.subjects, s)
	}
}

func (c *checker) dir(dir string, seen map[string]bool) error {
	files, notes, err := scan(dir)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		hint := ""
		if more, _, err := scan(filepath.Join(dir, "scenarios")); err == nil && len(more) > 0 {
			hint = fmt.Sprintf("; did you mean %s?", filepath.Join(dir, "scenarios"))
		}
		return fmt.Errorf("no scenarios in the folder %s%s", dir, hint)
	}
	f, err := c.folder(dir)
	if err != nil {
		return err
	}
	f.whole = true
	c.report.Notes = append(c.report.Notes, notes...)
	for _, file := range files {
		c.add(&subject{file: file, folder: f, rules: f.rules}, absolute(file), seen)
	}
	return nil
}

// folder returns the folder of that name, with its rules.
func (c *checker) folder(dir string) (*folder, error) {
	for _, f := range c.folders {
		if absolute(f.dir) == absolute(dir) {
			return f, nil
		}
	}
	rules, err := c.rulesOf(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{dir: dir, rules: rules}
	c.folders = append(c.folders, f)
	return f, nil
}

// rulesOf returns the rules of a folder; the library, "", has none.
func (c *checker) rulesOf(dir string) (*Rules, error) {
	switch {
	case c.Rules != "":
		if c.shared == nil {
			data, err := readSmall(c.Rules)
			if err != nil {
				return nil, fmt.Errorf("reading the rules: %w", err)
			}
			if c.shared, err = LoadRules(conf.Source{Name: c.Rules, Data: data}); err != nil {
				return nil, err
			}
		}
		return c.shared, nil
	case dir == "":
		return &Rules{}, nil
	}
	return loadRules(dir)
}

// jobs pairs the scenarios with their strategies; owners holds the subject of each job.
func (c *checker) jobs() (jobs []run.Job, owners []*subject, err error) {
	for _, s := range c.subjects {
		if s.loaded == nil {
			continue
		}
		list, origin, dir := c.Strategies, "--strategy", "."
		if list == "" && s.rules.Strategies != "" {
			list, origin, dir = s.rules.Strategies, s.rules.File+": strategies", filepath.Dir(s.rules.File)
		}
		strategies := []flush.Info{s.loaded.Own}
		if list != "" {
			if strategies, err = strategy.Parse(list, dir); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", origin, err)
			}
		}
		for _, st := range strategies {
			jobs = append(jobs, run.Job{Scenario: s.loaded, Strategy: st})
			owners = append(owners, s)
		}
	}
	return jobs, owners, nil
}

// judge judges a result by its scenario and by the rules' budgets.
func (c *checker) judge(s *subject, j run.Job, d *result.Document, err error) *Item {
	i := &Item{File: s.file, Scenario: j.Scenario.Name, Strategy: j.Strategy.Label(), Status: Passed, Expect: []Judged{}, Budgets: []Judged{}, Differences: []*Difference{}}
	if err != nil {
		if errors.Is(err, context.Canceled) {
			err = errInterrupted
		}
		i.fail(Unfinished, err)
		return i
	}
	i.Doc = d
	s.rules.see(j.Scenario.Name, d.Metrics)
	own := j.Strategy.Label() == j.Scenario.Own.Label()
	for k, e := range d.Expect {
		line, _, _ := j.Scenario.Position(fmt.Sprintf("expect.%d", k))
		unit := d.Metrics[j.Scenario.Expect[k].Metric].Unit
		i.Expect = append(i.Expect, Judged{Expr: e.Expr, OK: e.OK, Value: e.Value, Unit: unit, Advisory: !own, File: s.file, Line: line})
	}
	i.Budgets = append(i.Budgets, s.rules.judgeBudgets(j.Scenario.Name, d)...)
	if anyFailed(i.Expect) || anyFailed(i.Budgets) {
		i.fail(Failed, nil)
	}
	return i
}

// judgeFolder compares the items of a folder with their baselines, or writes these, while nobody else writes there.
func (c *checker) judgeFolder(f *folder, owners []*subject, items []*Item) {
	write := c.Update && !c.report.Interrupted
	unlock, err := lockFolder(f.dir, write, c.ctx.Done())
	if err != nil {
		if errors.Is(err, errInterrupted) {
			c.report.Interrupted = true
		}
		for k, i := range items {
			if owners[k].folder == f {
				i.fail(Unfinished, err)
			}
		}
		return
	}
	defer unlock()
	if write {
		removeLeftovers(filepath.Join(f.dir, BaselineDir))
	}
	var used []string
	for k, i := range items {
		if owners[k].folder != f {
			continue
		}
		i.BaselineFile = filepath.Join(f.dir, BaselineDir, baselineName(i.File, i.Strategy))
		if slices.Contains(used, i.BaselineFile) {
			i.fail(Invalid, fmt.Errorf("%s is the baseline of another scenario too: give the files different names", i.BaselineFile))
			continue
		}
		used = append(used, i.BaselineFile)
		if i.Doc == nil {
			continue
		}
		was, err := readBaseline(i.BaselineFile)
		c.against(i, was, err, f.rules)
		if write {
			c.write(i)
		}
	}
	c.leftOver(f, used, write)
}

// judgeLibrary compares the items of the library with the baselines that come with it.
func (c *checker) judgeLibrary(owners []*subject, items []*Item) {
	for k, i := range items {
		if owners[k].folder != nil || i.Doc == nil {
			continue
		}
		name := baselineName(i.File, i.Strategy)
		i.BaselineFile = "library:" + name
		data, ok := scenarios.ReadBaseline(name)
		if !ok {
			i.Notes = append(i.Notes, "the library has no baseline of it under "+i.Strategy+"; its expectations alone were judged")
			continue
		}
		was, err := decodeBaseline(i.BaselineFile, data)
		c.against(i, was, err, owners[k].rules)
	}
}

// against compares an item with its baseline.
func (c *checker) against(i *Item, was *Baseline, err error, rules *Rules) {
	now := newBaseline(i.Doc, filepath.Base(i.File))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		i.Baseline = BaselineMissing
		if !c.Update {
			i.fail(Failed, nil)
		}
		return
	case err != nil:
		i.Baseline = BaselineUnreadable
		if c.Update {
			i.Notes = append(i.Notes, err.Error())
		} else {
			i.fail(Invalid, err)
		}
		return
	}
	i.Baseline = BaselineSame
	i.Compared = len(was.Metrics)
	i.Notes = append(i.Notes, changedSince(was, now)...)
	i.Differences = append(i.Differences, differences(i.Scenario, was, now, rules)...)
	if len(i.FailingDifferences()) > 0 {
		i.Baseline = BaselineDiffers
		if !c.Update {
			i.fail(Failed, nil)
		}
	}
}

// changedSince says what but the results is not as it was when a baseline was made.
func changedSince(was, now *Baseline) []string {
	var out []string
	if was.Version != now.Version {
		out = append(out, fmt.Sprintf("the baseline was made by socsim %s, this is %s", was.Version, now.Version))
	}
	if was.Seed != now.Seed {
		out = append(out, fmt.Sprintf("the seed is %d, the baseline's %d", now.Seed, was.Seed))
	}
	if was.SimulatedPS != now.SimulatedPS {
		out = append(out, "another stretch of time was measured than for the baseline")
	}
	if was.ConfigSHA256 != now.ConfigSHA256 {
		out = append(out, "the scenario itself changed since the baseline: the file, a preset of its, or a setting given here")
	}
	if was.Scenario != now.Scenario {
		out = append(out, fmt.Sprintf("the scenario was called %s in the baseline", was.Scenario))
	}
	return out
}

// write writes the baseline of an item that did not fail.
func (c *checker) write(i *Item) {
	if i.Status != Passed {
		i.Baseline = BaselineKept
		return
	}
	before := i.Baseline
	changed, err := writeAtomically(i.BaselineFile, newBaseline(i.Doc, filepath.Base(i.File)).encode())
	switch {
	case err != nil:
		i.fail(Unfinished, err)
		i.Baseline = BaselineKept
	case before == BaselineMissing:
		i.Baseline = BaselineNew
	case changed:
		i.Baseline = BaselineWritten
	}
}

// leftOver tells of the baselines of a folder that nothing was checked against, and removes those of scenarios that are gone if that was asked for.
func (c *checker) leftOver(f *folder, used []string, write bool) {
	if !f.whole {
		return
	}
	for _, o := range orphans(f.dir, used) {
		note := ""
		switch {
		case o.vanished && write && c.Prune:
			note = fmt.Sprintf("%s is removed: there is no %s any more", o.file, o.source)
			if err := os.Remove(o.file); err != nil {
				note = fmt.Sprintf("%s could not be removed: %v", o.file, err)
			}
		case o.vanished:
			note = fmt.Sprintf("%s: there is no %s any more; socsim check --update --prune removes the baseline", o.file, o.source)
		case c.Strategies == "":
			note = fmt.Sprintf("%s was not checked: %s was not run under %s", o.file, o.source, o.strategy)
		default:
			continue
		}
		c.report.Notes = append(c.report.Notes, note)
	}
}

// unusedRules notes the rules that concerned nothing, where whole folders were checked.
func (c *checker) unusedRules() {
	if c.report.Interrupted {
		return
	}
	seen := map[*Rules]bool{}
	for _, f := range c.folders {
		if f.whole && !seen[f.rules] {
			seen[f.rules] = true
			c.report.Notes = append(c.report.Notes, f.rules.unused()...)
		}
	}
}

// Digest names what a report says of itself, in a line: "18 of 20 hold, 1 failed, 1 unfinished".
func (r *Report) Digest() string {
	parts := []string{fmt.Sprintf("%d of %d hold", r.Count(Passed), len(r.Items))}
	for _, s := range []Status{Failed, Invalid, Unfinished} {
		if n := r.Count(s); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}
