package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"socsim/internal/check"
	"socsim/internal/ci"
	"socsim/internal/conf"
	"socsim/internal/result"
)

// exitSkip makes git bisect run pass over a commit that cannot be judged.
const exitSkip = 125

// checkFlags are the flags of check.
type checkFlags struct {
	sets       []string
	strategy   string
	against    string
	seed       uint64
	jobs       int
	quiet      bool
	format     string
	out        string
	tolerances string
	update     bool
	prune      bool
	bisect     bool
}

var checkFormats = []string{"table", "json", "csv", "ktap", "junit", "github", "markdown"}

func newCheck() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check [SCENARIO|DIR...]",
		Short: "Judge scenarios by their expectations and by committed baselines",
		Long: `Check runs scenarios (files, all those of a folder, or names of the library; the
folder . if none is named), judges their expect blocks and the folder's budgets,
and compares each figure with the baseline that lies in the folder baselines
beside the scenario. Results are deterministic, so any difference fails, unless
the folder's check.yaml tolerates it; a scenario without a baseline fails too.
--update writes the baselines of those that otherwise hold.

With --against, no baselines are read: every scenario runs under two strategies
and the change from the one to the other is judged.

If GITHUB_STEP_SUMMARY names a file, a Markdown summary is appended to it.

Exit codes: 0 all hold; 1 an expectation, a budget or a baseline does not, or
with --against something becomes incoherent or breaks a budget; 2 the request, a
scenario or a baseline is wrong; 3 a run could not finish or a file not be
written. With --bisect 2, 3 and a missing baseline become 125.`,
		Example: `  socsim check scenarios
  socsim check scenarios --update
  socsim check mine.yaml --strategy all --format junit --out results
  socsim check scenarios --strategy range --against threshold
  git bisect run socsim check mine.yaml --bisect`,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := f.run(cmd, args)
			var ce *codeError
			if f.bisect && errors.As(err, &ce) && (ce.code == exitUsage || ce.code == exitUnfinish) {
				ce.code = exitSkip
			}
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&f.sets, "set", nil, "override a setting by its dotted `PATH=VALUE` (repeatable)")
	fl.StringVar(&f.strategy, "strategy", "", "strategies `NAME[,NAME...]` to check under, or all; without it, those that check.yaml\nnames, or each scenario's own")
	fl.StringVar(&f.against, "against", "", "judge the change from this strategy `NAME` to that of --strategy (or to each\nscenario's own), without baselines")
	fl.Uint64Var(&f.seed, "seed", 0, "override the scenarios' seeds")
	fl.IntVar(&f.jobs, "jobs", runtime.GOMAXPROCS(0), "simulations at a time; the results do not depend on it")
	fl.BoolVar(&f.quiet, "quiet", false, "print only what does not hold")
	fl.StringVar(&f.format, "format", "table", "output `FORMAT`: "+orList(checkFormats))
	fl.StringVar(&f.out, "out", "", "also write each result document, and the check as JSON, JUnit XML, KTAP and Markdown,\nto this `DIR`")
	fl.StringVar(&f.tolerances, "tolerances", "", "take tolerances, what to ignore and budgets from this `FILE` instead of check.yaml in\nthe folder")
	fl.BoolVar(&f.update, "update", false, "write the baselines of scenarios whose expectations and budgets hold")
	fl.BoolVar(&f.prune, "prune", false, "with --update, remove the baselines of scenarios that are gone")
	fl.BoolVar(&f.bisect, "bisect", false, "exit with 125, which git bisect run skips, where nothing can be judged")
	return cmd
}

// orList is "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// request checks the flags and makes a request of them.
func (f *checkFlags) request(cmd *cobra.Command, args []string) (check.Request, error) {
	r := check.Request{Targets: args, Strategies: f.strategy, Rules: f.tolerances, Workers: f.jobs, Update: f.update, Prune: f.prune}
	if len(args) == 0 {
		r.Targets = []string{"."}
	}
	seeded := cmd.Flags().Changed("seed")
	switch {
	case !slices.Contains(checkFormats, f.format):
		hint := ""
		if near := conf.Nearest(f.format, checkFormats); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return r, fmt.Errorf("unknown format %q; there are %s%s", f.format, strings.Join(checkFormats, ", "), hint)
	case f.jobs < 1:
		return r, fmt.Errorf("--jobs %d, want at least 1", f.jobs)
	case f.prune && !f.update:
		return r, errors.New("--prune removes baselines, so it needs --update")
	case f.update && f.against != "":
		return r, errors.New("--update writes baselines, and --against reads none; leave one out")
	case f.update && (len(f.sets) > 0 || seeded):
		return r, errors.New("--update with --set or --seed would record what no scenario file says; change the file, or a copy of it")
	}
	overrides, err := parseSets(f.sets)
	if err != nil {
		return r, err
	}
	if seeded {
		overrides = append(overrides, conf.Override{Path: "run.seed", Value: fmt.Sprint(f.seed), Origin: "--seed"})
	}
	r.Overrides = overrides
	r.Progress = (&runFlags{quiet: f.quiet}).progress(cmd)
	return r, nil
}

func (f *checkFlags) run(cmd *cobra.Command, args []string) error {
	req, err := f.request(cmd, args)
	if err != nil {
		return usage(err)
	}
	if f.against != "" {
		return f.try(cmd, req)
	}
	r, err := check.Run(cmd.Context(), req)
	if err != nil {
		return usage(err)
	}
	var docs []*result.Document
	for _, i := range r.Items {
		if i.Doc != nil {
			docs = append(docs, i.Doc)
		}
	}
	if err := f.write(cmd.OutOrStdout(), docs, checkPrinters(r, f.quiet)); err != nil {
		return &codeError{exitUnfinish, err}
	}
	if f.bisect && r.OnlyBaselinesMissing() {
		return &codeError{exitSkip, errors.New("there is no baseline to judge by")}
	}
	return verdict(r.Worst(), r.Interrupted, fmt.Sprintf("%d of %d checks do not hold", len(r.Items)-r.Count(check.Passed), len(r.Items)), len(docs), len(r.Items))
}

// try judges a change of strategy.
func (f *checkFlags) try(cmd *cobra.Command, req check.Request) error {
	t, err := check.Try(cmd.Context(), req, f.against, f.strategy)
	if err != nil {
		return usage(err)
	}
	var docs []*result.Document
	for _, i := range t.Items {
		for _, d := range i.Docs {
			if d != nil {
				docs = append(docs, d)
			}
		}
	}
	if err := f.write(cmd.OutOrStdout(), docs, trialPrinters(t, f.quiet)); err != nil {
		return &codeError{exitUnfinish, err}
	}
	failed := 0
	for _, i := range t.Items {
		if i.Status != check.Passed {
			failed++
		}
	}
	return verdict(t.Worst(), t.Interrupted, fmt.Sprintf("%d of %d scenarios become incoherent, break a budget or could not be judged", failed, len(t.Items)), len(docs), 2*len(t.Items))
}

// verdict turns the gravest status into the exit code.
func verdict(worst check.Status, interrupted bool, text string, finished, all int) error {
	if interrupted {
		return &codeError{exitUnfinish, fmt.Errorf("interrupted: %d of %d simulations were finished; no baseline was written", finished, all)}
	}
	switch worst {
	case check.Failed:
		return &codeError{exitFailed, errors.New(text)}
	case check.Invalid:
		return usage(errors.New(text))
	case check.Unfinished:
		return &codeError{exitUnfinish, errors.New(text)}
	}
	return nil
}

// printers print one thing in each format.
type printers map[string]func(io.Writer) error

func checkPrinters(r *check.Report, quiet bool) printers {
	return printers{
		"table":    func(w io.Writer) error { return ci.Table(w, r, quiet) },
		"json":     func(w io.Writer) error { return ci.JSON(w, r) },
		"csv":      func(w io.Writer) error { return ci.CSV(w, r) },
		"ktap":     func(w io.Writer) error { return ci.KTAP(w, r) },
		"junit":    func(w io.Writer) error { return ci.JUnit(w, r) },
		"github":   func(w io.Writer) error { return ci.GitHub(w, r) },
		"markdown": func(w io.Writer) error { return ci.Markdown(w, r) },
	}
}

func trialPrinters(t *check.Trial, quiet bool) printers {
	return printers{
		"table":    func(w io.Writer) error { return ci.TrialTable(w, t, quiet) },
		"json":     func(w io.Writer) error { return ci.TrialJSON(w, t) },
		"csv":      func(w io.Writer) error { return ci.TrialCSV(w, t) },
		"ktap":     func(w io.Writer) error { return ci.TrialKTAP(w, t) },
		"junit":    func(w io.Writer) error { return ci.TrialJUnit(w, t) },
		"github":   func(w io.Writer) error { return ci.TrialGitHub(w, t) },
		"markdown": func(w io.Writer) error { return ci.TrialMarkdown(w, t) },
	}
}

// write prints the format that was asked for, fills the folder of --out, and appends to GitHub's summary.
func (f *checkFlags) write(w io.Writer, docs []*result.Document, p printers) error {
	if f.out != "" {
		if err := writeDocuments(f.out, docs); err != nil {
			return err
		}
		for _, file := range []struct{ name, format string }{{"check.json", "json"}, {"junit.xml", "junit"}, {"check.ktap", "ktap"}, {"summary.md", "markdown"}} {
			var b bytes.Buffer
			if err := p[file.format](&b); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(f.out, file.name), b.Bytes(), 0o666); err != nil {
				return fmt.Errorf("writing the report: %w", err)
			}
		}
	}
	if err := p[f.format](w); err != nil {
		return err
	}
	return appendSummary(os.Getenv("GITHUB_STEP_SUMMARY"), p["markdown"])
}

// appendSummary appends the Markdown summary to a file; it does nothing if no file is named.
func appendSummary(name string, markdown func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("appending to GITHUB_STEP_SUMMARY: %w", err)
	}
	if err := errors.Join(markdown(file), file.Close()); err != nil {
		return fmt.Errorf("appending to GITHUB_STEP_SUMMARY: %w", err)
	}
	return nil
}
