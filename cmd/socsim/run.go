package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"socsim/internal/conf"
	"socsim/internal/report"
	"socsim/internal/result"
	"socsim/internal/run"
	"socsim/internal/scenario"
	"socsim/internal/strategy"
	"socsim/soc/flush"
)

// runFlags are the flags of run.
type runFlags struct {
	output
	sets      []string
	strategy  string
	seed      uint64
	quiet     bool
	jobs      int
	expectAll bool
	ties      uint64
	stdin     io.Reader // for the scenario -, nil if there is none
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run SCENARIO...",
		Short: "Run scenarios and print what they cost",
		Long: `Run simulates scenario files, or scenarios of the library by name, and prints a
table with a row for each strategy. The scenario - is read from standard input.
Without --strategy the scenario's own is used. Its expect block is judged for
that strategy alone; see --expect-all.

Exit codes: 0 all expectations hold; 1 one does not; 2 the request or a scenario
is wrong; 3 the run could not finish.`,
		Example: `  socsim run camera-preview --strategy all
  socsim run camera-preview --set soc.l2.replacement=lru --strategy none
  socsim run camera-preview --strategy 'range,nvmap(inner=1MiB,outer=1MiB),@mine.yaml'
  socsim run mine.yaml --format json
  socsim run mine.yaml --set params.width=1296`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("run needs a scenario: a file, or a name of the library (socsim list)"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var seed *uint64
			if cmd.Flags().Changed("seed") {
				seed = &f.seed
			}
			var ties *uint64
			if cmd.Flags().Changed("shuffle-ties") {
				ties = &f.ties
			}
			return f.run(cmd, args, seed, ties)
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&f.sets, "set", nil, "override a setting by its dotted `PATH=VALUE` (repeatable)")
	fl.StringVar(&f.strategy, "strategy", "", "strategies `NAME[,NAME...]` to run under, or all; NAME(PARAM=VALUE,...) sets\nparameters, @FILE is a rule table")
	fl.Uint64Var(&f.seed, "seed", 0, "override the scenario's seed")
	f.flags(cmd)
	fl.BoolVar(&f.quiet, "quiet", false, "the table alone: no progress, expectations or violations")
	fl.IntVar(&f.jobs, "jobs", runtime.GOMAXPROCS(0), "simulations at a time; the results do not depend on it")
	fl.Uint64Var(&f.ties, "shuffle-ties", 0, "run events of one time in an order drawn from `SEED`: a result that changes\ndepends on an order that the model does not define")
	fl.BoolVar(&f.expectAll, "expect-all", false, "judge expect under every strategy")
	return cmd
}

func (f *runFlags) run(cmd *cobra.Command, names []string, seed, ties *uint64) error {
	f.stdin = stdin(cmd)
	jobs, err := f.prepare(names, seed)
	if err != nil {
		return badRequest(err)
	}
	for i := range jobs {
		jobs[i].Ties = ties
	}
	f.notes(cmd, jobs)
	docs, err := run.Run(cmd.Context(), jobs, f.jobs, f.progress(cmd))
	own := map[*result.Document]bool{}
	finished := docs[:0:0]
	for i, d := range docs {
		if d == nil {
			continue
		}
		finished = append(finished, d)
		own[d] = f.expectAll || jobs[i].Strategy.Label() == jobs[i].Scenario.Own.Label()
	}
	if perr := f.print(cmd, finished); perr != nil {
		return &codeError{exitUnfinish, perr}
	}
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return &codeError{exitUnfinish, fmt.Errorf("interrupted: %d of %d simulations were finished", len(finished), len(jobs))}
		}
		return &codeError{exitUnfinish, err}
	}
	failed := 0
	for _, d := range finished {
		for _, e := range d.Expect {
			if !e.OK && own[d] {
				failed++
			}
		}
	}
	if failed > 0 {
		return &codeError{exitFailed, fmt.Errorf("%d expectations failed", failed)}
	}
	return nil
}

// prepare loads the scenarios and pairs them with the strategies. All mistakes are reported at once.
func (f *runFlags) prepare(names []string, seed *uint64) ([]run.Job, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.jobs < 1 {
		return nil, fmt.Errorf("--jobs %d, want at least 1", f.jobs)
	}
	overrides, err := parseSets(f.sets)
	if err != nil {
		return nil, err
	}
	if seed != nil {
		overrides = append(overrides, conf.Override{Path: "run.seed", Value: fmt.Sprint(*seed), Origin: "--seed"})
	}
	var jobs []run.Job
	var errs []error
	for _, name := range names {
		s, err := loadFrom(f.stdin, name, overrides)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		strategies, err := pick(f.strategy, s)
		if err != nil {
			return nil, fmt.Errorf("--strategy: %w", err)
		}
		for _, st := range strategies {
			jobs = append(jobs, run.Job{Scenario: s, Strategy: st})
		}
	}
	return jobs, errors.Join(errs...)
}

// notes says which settings have no effect, a line each.
func (f *runFlags) notes(cmd *cobra.Command, jobs []run.Job) {
	for i, j := range jobs {
		if f.quiet || i > 0 && jobs[i-1].Scenario == j.Scenario {
			continue
		}
		for _, u := range j.Scenario.Unread {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: %v\n", u)
		}
	}
}

// loadFrom is load, but the scenario - is read from in.
func loadFrom(in io.Reader, name string, overrides []conf.Override) (*scenario.Loaded, error) {
	if name != "-" || in == nil {
		return load(name, overrides)
	}
	src, err := scenario.ReadFrom(in, "stdin")
	if err != nil {
		return nil, err
	}
	return scenario.Load(src, overrides)
}

func load(name string, overrides []conf.Override) (*scenario.Loaded, error) {
	src, err := scenario.Read(name)
	if err != nil {
		return nil, err
	}
	return scenario.Load(src, overrides)
}

// parseSets reads PATH=VALUE.
func parseSets(sets []string) ([]conf.Override, error) {
	var out []conf.Override
	for _, s := range sets {
		path, value, ok := strings.Cut(s, "=")
		if !ok || path == "" {
			return nil, fmt.Errorf("--set %q: expected PATH=VALUE, for example --set soc.l2.size=512KiB", s)
		}
		out = append(out, conf.Override{Path: path, Value: value, Origin: "--set"})
	}
	return out, nil
}

// pick resolves a list of strategies; without one it is the scenario's own.
func pick(list string, s *scenario.Loaded) ([]flush.Info, error) {
	if list == "" {
		return []flush.Info{s.Own}, nil
	}
	return strategy.Parse(list, ".")
}

// progress shows a line that is rewritten, on a terminal only.
func (f *runFlags) progress(cmd *cobra.Command) run.Progress {
	w := cmd.ErrOrStderr()
	if f.quiet || !isTerminal(w) {
		return nil
	}
	return func(done, total int, name string) {
		if done == total {
			fmt.Fprint(w, "\r\033[K")
			return
		}
		fmt.Fprintf(w, "\r\033[K%d of %d simulations done: %s", done, total, name)
	}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (f *runFlags) print(cmd *cobra.Command, docs []*result.Document) error {
	if len(docs) == 0 {
		return nil
	}
	noColor, _ := cmd.Flags().GetBool("no-color")
	return f.write(cmd.OutOrStdout(), docs, func(w io.Writer) error {
		return tables(w, docs, report.Options{Quiet: f.quiet, Color: !noColor && os.Getenv("NO_COLOR") == "" && isTerminal(w)})
	})
}

// tables prints a table for each scenario.
func tables(w io.Writer, docs []*result.Document, o report.Options) error {
	for start := 0; start < len(docs); {
		end := start + 1
		for end < len(docs) && docs[end].ConfigSHA256 == docs[start].ConfigSHA256 {
			end++
		}
		if start > 0 {
			fmt.Fprintln(w)
		}
		if err := report.Table(w, docs[start:end], o); err != nil {
			return err
		}
		start = end
	}
	return nil
}
