package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"socsim/internal/compare"
	"socsim/internal/conf"
	"socsim/internal/report"
	"socsim/internal/result"
	"socsim/internal/run"
	"socsim/internal/scenario"
	"socsim/soc/flush"
)

// compareFlags are the flags of compare.
type compareFlags struct {
	runFlags
	setsA, setsB []string
	all, fail    bool
}

func newCompare() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare A [B]",
		Short: "Tell why two runs differ",
		Long: `Compare sets two runs side by side and says why they differ: what moved, where the
time of the CPU and of the memory's bus went by cause, and what that means in
words. The parts of each time add up to it exactly.

A and B are result documents (files that run --format json printed) or scenarios
(files, or names of the library), which are run. Of files with several documents
those of the same scenario and strategy are compared. With A alone the two runs
differ in what --strategy A,B or --set-a and --set-b say.

Exit codes: 0 compared, whatever came out; 1 with --fail-on-difference if they
differ; 2 the request, a scenario or a document is wrong; 3 a run could not
finish.`,
		Example: `  socsim compare camera-preview --strategy range,whole
  socsim compare camera-preview --set-b soc.l2.replacement=lru
  socsim compare old.json new.json
  socsim compare mine.yaml camera-preview --set run.duration=500ms --format markdown`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 {
				return usage(fmt.Errorf("compare needs one or two of: a result document, a scenario file, a name of the library; it got %d", len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var seed *uint64
			if cmd.Flags().Changed("seed") {
				seed = &f.seed
			}
			return f.compare(cmd, args, seed)
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&f.sets, "set", nil, "override a setting of both scenarios by its dotted `PATH=VALUE` (repeatable)")
	fl.StringArrayVar(&f.setsA, "set-a", nil, "override a setting of A alone (repeatable)")
	fl.StringArrayVar(&f.setsB, "set-b", nil, "override a setting of B alone (repeatable)")
	fl.StringVar(&f.strategy, "strategy", "", "one strategy for both, or `A,B`; of documents it chooses among several")
	fl.Uint64Var(&f.seed, "seed", 0, "override the seed of both scenarios")
	fl.StringVar(&f.format, "format", "table", "output `FORMAT`: table, markdown, json or csv")
	fl.BoolVar(&f.all, "all", false, "show every metric and setting that differs")
	fl.BoolVar(&f.fail, "fail-on-difference", false, "exit with 1 if the runs differ in anything but the host")
	fl.BoolVar(&f.quiet, "quiet", false, "no progress")
	fl.IntVar(&f.jobs, "jobs", runtime.GOMAXPROCS(0), "simulations at a time; the results do not depend on it")
	return cmd
}

// input is one of the two things to compare.
type input struct {
	name     string
	docs     []*result.Document // of a file
	scenario *scenario.Loaded   // or a scenario
	strategy flush.Info         // that it runs under
}

func (f *compareFlags) compare(cmd *cobra.Command, args []string, seed *uint64) error {
	if !slices.Contains([]string{"table", "markdown", "json", "csv"}, f.format) {
		return usage(fmt.Errorf("unknown format %q; there are table, markdown, json and csv", f.format))
	}
	if f.jobs < 1 {
		return usage(fmt.Errorf("--jobs %d, want at least 1", f.jobs))
	}
	a, b, err := f.inputs(args, seed)
	if err != nil {
		return usage(err)
	}
	if err := f.simulate(cmd, a, b); err != nil {
		return err
	}
	pairs, rest, err := compare.Pairs(a.docs, b.docs)
	if err != nil {
		return usage(err)
	}
	if len(rest) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "socsim: compared with nothing: %s\n", strings.Join(rest, ", "))
	}
	var list []*compare.Comparison
	differ := 0
	for _, p := range pairs {
		settings, err := differing(a, b)
		if err != nil {
			return &codeError{exitUnfinish, err}
		}
		c := compare.Documents(p.A, p.B, sideName(a, b, p.A), sideName(b, a, p.B), settings)
		if !c.Identical {
			differ++
		}
		list = append(list, c)
	}
	if err := f.printComparisons(cmd, list); err != nil {
		return &codeError{exitUnfinish, err}
	}
	if f.fail && differ > 0 {
		return &codeError{exitFailed, fmt.Errorf("%d of %d comparisons differ", differ, len(list))}
	}
	return nil
}

// sideName returns what to call a side if its strategy and its scenario do not tell it from the other: the name of its file or scenario, "" if that is no better.
func sideName(own, other *input, d *result.Document) string {
	if own.name == other.name {
		return ""
	}
	for _, o := range other.docs {
		if o.Strategy != d.Strategy || o.Scenario != d.Scenario {
			return ""
		}
	}
	return own.name
}

// differing lists the settings in which two scenarios differ; nil if one is a document.
func differing(a, b *input) ([]compare.Setting, error) {
	if a.scenario == nil || b.scenario == nil {
		return nil, nil
	}
	x, err := a.scenario.Settings()
	if err != nil {
		return nil, err
	}
	y, err := b.scenario.Settings()
	if err != nil {
		return nil, err
	}
	return compare.Settings(x, y), nil
}

// inputs reads what is to be compared.
func (f *compareFlags) inputs(args []string, seed *uint64) (a, b *input, err error) {
	single := len(args) == 1
	if single {
		args = []string{args[0], args[0]}
	}
	strategies := splitStrategies(f.strategy)
	switch {
	case len(strategies) > 2:
		return nil, nil, fmt.Errorf("--strategy names %d strategies; compare takes one for both, or two", len(strategies))
	case len(strategies) == 1:
		strategies = append(strategies, strategies[0])
	case len(strategies) == 0:
		strategies = []string{"", ""}
	}
	var errA, errB error
	a, errA = f.input(args[0], strategies[0], f.setsA, "--set-a", seed)
	b, errB = f.input(args[1], strategies[1], f.setsB, "--set-b", seed)
	if errA != nil && errB != nil && errA.Error() == errB.Error() {
		errB = nil
	}
	if err := errors.Join(errA, errB); err != nil {
		return nil, nil, err
	}
	if single && strategies[0] == strategies[1] && len(f.setsA)+len(f.setsB) == 0 {
		return nil, nil, fmt.Errorf("compare %s with what? Name a second document or scenario, or say --strategy A,B, --set-a or --set-b", args[0])
	}
	if a.scenario == nil && b.scenario == nil && (len(f.sets) > 0 || seed != nil) {
		return nil, nil, errors.New("--set and --seed are for scenarios; these are documents, whose runs are over")
	}
	return a, b, nil
}

// splitStrategies splits a list of strategies at the commas outside brackets.
func splitStrategies(list string) (out []string) {
	depth, from := 0, 0
	for i, r := range list {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, list[from:i])
				from = i + 1
			}
		}
	}
	if list != "" {
		out = append(out, list[from:])
	}
	return out
}

// input reads one document file or scenario.
func (f *compareFlags) input(name, strategy string, own []string, flag string, seed *uint64) (*input, error) {
	docs, err := readDocuments(name)
	if err != nil {
		return nil, err
	}
	if docs != nil {
		if len(own) > 0 {
			return nil, fmt.Errorf("%s: %s is a document, whose run is over; it takes no settings", flag, name)
		}
		if strategy != "" {
			if docs, err = compare.Select(docs, strategy); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		return &input{name: name, docs: docs}, nil
	}
	overrides, err := parseSets(f.sets)
	if err != nil {
		return nil, err
	}
	mine, err := parseSets(own)
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "--set", flag))
	}
	for _, o := range mine {
		o.Origin = flag
		overrides = append(overrides, o)
	}
	if seed != nil {
		overrides = append(overrides, conf.Override{Path: "run.seed", Value: fmt.Sprint(*seed), Origin: "--seed"})
	}
	s, err := load(name, overrides)
	if err != nil {
		return nil, err
	}
	picked, err := pick(strategy, s)
	if err != nil {
		return nil, fmt.Errorf("--strategy: %w", err)
	}
	if len(picked) != 1 {
		return nil, fmt.Errorf("--strategy %s names %d strategies; compare takes one for both, or two", strategy, len(picked))
	}
	return &input{name: name, scenario: s, strategy: picked[0]}, nil
}

// maxDocument bounds what is read of a result document.
const maxDocument = 256 << 20

// readDocuments reads a file of result documents. It returns nil for what is none: a scenario.
func readDocuments(name string) ([]*result.Document, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) && filepath.Ext(name) != ".json" || err == nil && info.IsDir() {
		return nil, nil // the scenario's loader says what is wrong
	}
	if err == nil && info.Size() > maxDocument {
		return nil, fmt.Errorf("%s has %d bytes; a file of result documents has at most %d", name, info.Size(), maxDocument)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a result document: %w", err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading a result document: %w", err)
	}
	if first := bytes.TrimSpace(data); filepath.Ext(name) != ".json" && (len(first) == 0 || first[0] != '{' && first[0] != '[') {
		return nil, nil
	}
	docs, err := result.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return docs, nil
}

// simulate runs the inputs that are scenarios.
func (f *compareFlags) simulate(cmd *cobra.Command, inputs ...*input) error {
	var jobs []run.Job
	var of []*input
	for _, in := range inputs {
		if in.scenario == nil {
			continue
		}
		s := in.scenario
		if len(jobs) > 0 && jobs[0].Scenario.SHA256 == s.SHA256 {
			s = jobs[0].Scenario // the same scenario needs one baseline
		}
		jobs = append(jobs, run.Job{Scenario: s, Strategy: in.strategy})
		of = append(of, in)
	}
	if len(jobs) == 0 {
		return nil
	}
	docs, err := run.Run(cmd.Context(), jobs, f.jobs, f.progress(cmd))
	if errors.Is(err, context.Canceled) {
		return &codeError{exitUnfinish, errors.New("interrupted: there is nothing to compare")}
	}
	if err != nil {
		return &codeError{exitUnfinish, err}
	}
	for i, d := range docs {
		of[i].docs = []*result.Document{d}
	}
	return nil
}

func (f *compareFlags) printComparisons(cmd *cobra.Command, list []*compare.Comparison) error {
	w := cmd.OutOrStdout()
	switch f.format {
	case "json":
		return report.CompareJSON(w, list)
	case "csv":
		return report.CompareCSV(w, list)
	}
	noColor, _ := cmd.Flags().GetBool("no-color")
	o := report.CompareOptions{All: f.all, Markdown: f.format == "markdown", Color: f.format == "table" && !noColor && os.Getenv("NO_COLOR") == "" && isTerminal(w)}
	for i, c := range list {
		if i > 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return fmt.Errorf("printing the comparison: %w", err)
			}
		}
		if err := report.Compare(w, c, o); err != nil {
			return err
		}
	}
	return nil
}
