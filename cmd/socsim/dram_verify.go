package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"socsim/internal/conf"
	"socsim/soc/dramcheck"
)

// dramVerifyFlags are the flags of dram verify.
type dramVerifyFlags struct {
	preset  string
	burst   string
	sets    []string
	reorder int
	format  string
}

func newDRAMVerify() *cobra.Command {
	var f dramVerifyFlags
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check that a stream of DRAM commands is legal",
		Long: fmt.Sprintf(`Verify reads the commands of one DRAM channel and checks them against a table of
timings: the states of banks and rows, the distances between commands, the data
bus, and refreshes.

FILE is CSV, plain or gzip, with a command a line; - reads standard input:

  clk,cmd,bank,row,col
  9,activate,3,2048,0
  12,read,3,2048,0

Commands: %s.
A bank of -1 means all banks; -1 as row or column says nothing. Clocks ascend, one
command in each; --reorder sorts lines that come late.

--preset and --burst choose the timings, and --set changes single ones, in clocks:
%s.
tRC and tCCD of 0 follow from the others. tRTPA is what a read_p adds to tRTP before
the next activate; postponed, how many refreshes may be late.

Exit codes: 0 all commands are legal; 1 one is not; 2 the request or the file is
wrong; 3 interrupted.`, wrapped(dramcheck.KindNames(), 80-len("Commands: .")), wrapped(dramcheck.Keys(), 80)),
		Example: `  socsim dram verify commands.csv
  socsim dram verify commands.csv.gz --preset lpddr-400-x32 --burst BL8
  socsim dram verify commands.csv --set tRCD=4 --set tRC=11 --format json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("dram verify needs one file of commands, or - for standard input"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args[0])
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.preset, "preset", "lpddr-333-x32", "timings: `NAME` is "+strings.Join(dramcheck.Presets(), " or "))
	fl.StringVar(&f.burst, "burst", "BL16", "burst of the preset: `BL` is BL8 or BL16")
	fl.StringArrayVar(&f.sets, "set", nil, "change a timing: `KEY=VALUE`, for example tRCD=4 (repeatable)")
	fl.IntVar(&f.reorder, "reorder", 0, "sort lines that come up to `N` lines late")
	fl.StringVar(&f.format, "format", "table", "output `FORMAT`: table or json")
	return cmd
}

// wrapped joins names to lines.
func wrapped(names []string, width int) string {
	var b strings.Builder
	column := 0
	for i, n := range names {
		if i > 0 {
			b.WriteByte(',')
			if column += len(n) + 2; column > width {
				b.WriteByte('\n')
				column = len(n)
			} else {
				b.WriteByte(' ')
			}
		} else {
			column = len(n)
		}
		b.WriteString(n)
	}
	return b.String()
}

// dramVerdict is the outcome of dram verify, as its JSON has it.
type dramVerdict struct {
	Schema     string           `json:"schema"`
	File       string           `json:"file"`
	Preset     string           `json:"preset"`
	Set        []string         `json:"set"`
	Commands   map[string]int64 `json:"commands"`
	FirstClk   int64            `json:"first_clk"`
	LastClk    int64            `json:"last_clk"`
	Complete   bool             `json:"complete"` // whether the file was read to its end
	Legal      bool             `json:"legal"`
	Violations int64            `json:"violations"`
	ByRule     map[string]int64 `json:"violations_by_rule"`
	First      []dramViolation  `json:"first_violations"`

	rules []dramcheck.Rule // broken ones
}

type dramViolation struct {
	Rule    string       `json:"rule"`
	Message string       `json:"message"`
	Command dramCommand  `json:"command"`
	Earlier *dramCommand `json:"earlier,omitempty"`
}

type dramCommand struct {
	Clk  int64  `json:"clk"`
	Cmd  string `json:"cmd"`
	Bank int    `json:"bank"`
	Row  int64  `json:"row"`
	Col  int64  `json:"col"`
}

// shownViolations is how many violations are told one by one.
const shownViolations = 20

func (f *dramVerifyFlags) run(cmd *cobra.Command, name string) error {
	timing, err := f.timing()
	if err != nil {
		return usage(err)
	}
	switch f.format {
	case "table", "json":
	default:
		return usage(fmt.Errorf("unknown format %q; there are table and json", f.format))
	}
	v := &dramVerdict{
		Schema: "socsim.dram-verify/v1", File: name, Preset: f.preset + " " + f.burst, Set: append([]string{}, f.sets...),
		Commands: map[string]int64{}, ByRule: map[string]int64{}, First: []dramViolation{},
	}
	unread := f.verify(cmd.Context(), stdin(cmd), timing, v)
	if v.Complete = unread == nil; errors.Is(unread, context.Canceled) {
		unread = &codeError{exitUnfinish, fmt.Errorf("interrupted: %s is not checked to its end", name)}
	} else if unread != nil {
		unread = usage(unread)
	}
	if len(v.Commands) == 0 {
		return unread
	}
	if f.format == "json" {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		err = e.Encode(v)
	} else {
		err = v.table(cmd.OutOrStdout())
	}
	if err != nil {
		return &codeError{exitUnfinish, err}
	}
	if unread != nil {
		return unread
	}
	if !v.Legal {
		return &codeError{exitFailed, fmt.Errorf("%s: %s", name, plural(v.Violations, "violation"))}
	}
	return nil
}

func (f *dramVerifyFlags) timing() (dramcheck.Timing, error) {
	burst, ok := map[string]int64{"BL8": 8, "BL16": 16}[f.burst]
	if !ok {
		return dramcheck.Timing{}, fmt.Errorf("--burst %q, want BL8 or BL16", f.burst)
	}
	t, err := dramcheck.Preset(f.preset, burst)
	if err != nil {
		return t, didYouMean(err, f.preset, dramcheck.Presets())
	}
	for _, s := range f.sets {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return t, fmt.Errorf("--set %q: expected KEY=VALUE, for example --set tRCD=4", s)
		}
		if err := t.Set(key, value); err != nil {
			err = fmt.Errorf("--set %s: %w", s, err)
			if !slices.Contains(dramcheck.Keys(), key) {
				err = didYouMean(err, key, dramcheck.Keys())
			}
			return t, err
		}
	}
	if err := t.Validate(); err != nil {
		return t, fmt.Errorf("the timings with --set: %w", err)
	}
	return t, nil
}

// didYouMean adds the valid name that the user most likely meant.
func didYouMean(err error, word string, valid []string) error {
	if near := conf.Nearest(word, valid); near != "" {
		return fmt.Errorf("%w; did you mean %q?", err, near)
	}
	return err
}

// verify reads the file and fills in what it finds, up to the error if there is one.
func (f *dramVerifyFlags) verify(ctx context.Context, stdin io.Reader, timing dramcheck.Timing, v *dramVerdict) error {
	src, name := stdin, "<stdin>"
	if v.File != "-" {
		name = v.File
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("opening the commands: %w", err)
		}
		defer file.Close()
		if info, err := file.Stat(); err == nil && info.IsDir() {
			return fmt.Errorf("opening the commands: %s is a directory, want a file", name)
		}
		src = file
	}
	r, err := dramcheck.NewReader(src, name)
	if err != nil {
		return err
	}
	k, err := dramcheck.New(timing, func(found dramcheck.Violation) {
		if len(v.First) < shownViolations {
			v.First = append(v.First, violationOf(found))
		}
	})
	if err != nil {
		return err
	}
	ordered, err := dramcheck.NewUnordered(k, f.reorder)
	if err != nil {
		return fmt.Errorf("--reorder: %w", err)
	}
	var kinds [256]int64
	var c dramcheck.Command
	for n := int64(0); ; n++ {
		if err = r.Next(&c); err == nil && n&0xffff == 0xffff {
			err = ctx.Err()
		}
		if err != nil {
			break
		}
		if n == 0 {
			v.FirstClk, v.LastClk = c.Clk, c.Clk
		}
		v.FirstClk, v.LastClk = min(v.FirstClk, c.Clk), max(v.LastClk, c.Clk)
		kinds[c.Kind]++
		ordered.Feed(c)
	}
	ordered.Flush()
	var unknown *dramcheck.UnknownCommandError
	switch {
	case errors.As(err, &unknown):
		err = didYouMean(err, unknown.Name, dramcheck.KindNames())
	case err == io.EOF:
		err = nil
	}
	if k.Commands() == 0 && err == nil {
		return fmt.Errorf("%s: found no command, expected at least one line of %s", name, dramcheck.Header)
	}
	for kind, n := range kinds {
		if n > 0 {
			v.Commands[dramcheck.Kind(kind).String()] = n
		}
	}
	for i := range dramcheck.Rules {
		rule := dramcheck.Rule(i)
		if n := k.Count(rule); n > 0 {
			v.ByRule[rule.String()] = n
			v.rules = append(v.rules, rule)
		}
	}
	v.Violations = k.Violations()
	v.Legal = err == nil && v.Violations == 0
	return err
}

func violationOf(v dramcheck.Violation) dramViolation {
	out := dramViolation{Rule: v.Rule.String(), Message: v.String(), Command: commandOf(v.Cmd)}
	if v.Prev.Kind != 0 {
		earlier := commandOf(v.Prev)
		out.Earlier = &earlier
	}
	return out
}

func commandOf(c dramcheck.Command) dramCommand {
	return dramCommand{c.Clk, c.Kind.String(), c.Bank, c.Row, c.Col}
}

// table prints the verdict for people.
func (v *dramVerdict) table(w io.Writer) error {
	b := bufio.NewWriter(w)
	total := int64(0)
	for _, n := range v.Commands {
		total += n
	}
	against := v.Preset
	if len(v.Set) > 0 {
		against += " with " + strings.Join(v.Set, ", ")
	}
	fmt.Fprintf(b, "%s in clocks %d to %d, against %s\n", plural(total, "command"), v.FirstClk, v.LastClk, against)
	for _, kind := range dramcheck.KindNames() {
		if n := v.Commands[kind]; n > 0 {
			fmt.Fprintf(b, "  %-16s %9d\n", kind, n)
		}
	}
	if v.Violations == 0 {
		verdict := "legal"
		if !v.Complete {
			verdict = "legal so far"
		}
		fmt.Fprintln(b, verdict)
		return b.Flush()
	}
	fmt.Fprintln(b, "illegal:")
	for _, f := range v.First {
		fmt.Fprintf(b, "  %s\n", f.Message)
	}
	if more := v.Violations - int64(len(v.First)); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
	fmt.Fprintln(b, "violations by rule:")
	for _, r := range v.rules {
		fmt.Fprintf(b, "  %-16s %9d\n", r, v.ByRule[r.String()])
	}
	return b.Flush()
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
