package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"socsim/internal/dramreplay"
	"socsim/internal/dramtrace"
	"socsim/internal/report"
	"socsim/internal/result"
	"socsim/soc/dram"
)

func newDRAM() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dram",
		Short: "The memory by itself: requests replayed, commands verified",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDRAMReplay(), newDRAMVerify())
	return cmd
}

type dramReplay struct {
	output
	preset, commands string
	sets             []string
	quiet            bool
}

func newDRAMReplay() *cobra.Command {
	var f dramReplay
	cmd := &cobra.Command{
		Use:   "replay TRACE --preset NAME",
		Short: "Replay a trace of memory requests and print latencies, rows and bandwidth",
		Long: `Replay hands the requests of a trace to a memory controller, in order, one a
clock at most, each at its arrival clock or as soon as the controller accepts
it. TRACE is text, plain or compressed by gzip or zstd, or - for standard input,
with a request a line: 0xADDRESS READ|WRITE ARRIVAL_CLOCK. A request is one
burst.

Latencies are those of reads, from the clock behind the hand-over to the end of
the data. bandwidth_MBps is over the busy time: from the first request to the
last data. After a mistake in the trace, or an interrupt, the figures of the
requests before it are printed.

Presets: ` + strings.Join(dramreplay.Presets(), ", ") + `.`,
		Example: `  socsim dram replay requests.trc.gz --preset lpddr-333-x32
  socsim dram replay requests.trc --preset lpddr-n900-200 --set dram.page=closed
  socsim dram replay - --preset lpddr-400-x32 --set dram.map=rocoba --format json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("dram replay needs one trace: a file, or - for standard input"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.preset, "preset", "", "memory to replay on: `NAME` of a preset")
	fl.StringArrayVar(&f.sets, "set", nil, "override a setting by its dotted `PATH=VALUE` (repeatable), as in dram.burst=BL8")
	fl.StringVar(&f.commands, "commands", "", "write the commands to the memory to this `FILE`, as CSV")
	f.flags(cmd)
	fl.BoolVar(&f.quiet, "quiet", false, "nothing but the result")
	return cmd
}

func (f *dramReplay) run(cmd *cobra.Command, path string) error {
	cfg, err := f.prepare()
	if err != nil {
		return usage(err)
	}
	trace, err := dramtrace.Open(path, stdin(cmd))
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return &codeError{exitUnfinish, errors.New("interrupted before the first request")}
		}
		return usage(err)
	}
	defer trace.Close()
	var observe dram.Observer
	var commands *commandFile
	if f.commands != "" {
		if commands, err = createCommands(f.commands, cfg.DRAM.Channels); err != nil {
			return usage(err)
		}
		observe = commands.csv.Write
	}
	start := time.Now()
	outcome, err := dramreplay.Run(cmd.Context(), cfg.Config, trace, observe)
	if commands != nil {
		err = commands.close(err)
	}
	if outcome == nil {
		return ended(err, 0)
	}
	doc := cfg.Document(dramreplay.TraceName(path), outcome)
	doc.Host.WallNS = time.Since(start).Nanoseconds()
	if !f.quiet && outcome.Resting > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "socsim: %s left in the write buffer at the end\n", plural(int64(outcome.Resting), "write"))
	}
	if perr := f.print(cmd, doc); perr != nil {
		return &codeError{exitUnfinish, perr}
	}
	return ended(err, outcome.Reads+outcome.Writes)
}

// ended is what the command returns for the error that ended a replay, after so many requests that were told of.
func ended(err error, requests uint64) error {
	told := ""
	if requests > 0 {
		told = "the figures are of the first " + plural(int64(requests), "request")
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errCommands):
		return &codeError{exitUnfinish, err}
	case errors.Is(err, context.Canceled) && requests > 0:
		return &codeError{exitUnfinish, errors.New("interrupted: " + told)}
	case errors.Is(err, context.Canceled):
		return &codeError{exitUnfinish, errors.New("interrupted before the first request")}
	case requests > 0:
		return usage(fmt.Errorf("%w; %s", err, told))
	}
	return usage(err)
}

// prepare checks the flags and resolves the configuration.
func (f *dramReplay) prepare() (*dramreplay.Loaded, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.preset == "" {
		return nil, fmt.Errorf("dram replay needs --preset NAME; there are %s", strings.Join(dramreplay.Presets(), ", "))
	}
	overrides, err := parseSets(f.sets)
	if err != nil {
		return nil, err
	}
	cfg, err := dramreplay.Load(f.preset, overrides)
	if err != nil {
		return nil, err
	}
	if f.commands != "" && !cfg.DRAM.Scheduler.Banked() {
		return nil, fmt.Errorf("--commands: a memory with the scheduler %s has no commands", cfg.DRAM.Scheduler)
	}
	return cfg, nil
}

func (f *dramReplay) print(cmd *cobra.Command, d *result.Document) error {
	docs := []*result.Document{d}
	return f.write(cmd.OutOrStdout(), docs, func(w io.Writer) error { return report.Metrics(w, d) })
}

// commandFile is a file of commands.
type commandFile struct {
	file *os.File
	csv  *dram.CSV
}

var errCommands = errors.New("commands")

func createCommands(name string, channels int) (*commandFile, error) {
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--commands: %w", err)
	}
	return &commandFile{file, dram.NewCSV(file, channels)}, nil
}

// close ends the file. After an error of the run, which it returns, it is removed: half a command stream passes for a whole one.
func (c *commandFile) close(failed error) error {
	err := c.csv.Close()
	if cerr := c.file.Close(); err == nil {
		err = cerr
	}
	if failed == nil && err == nil {
		return nil
	}
	if info, serr := os.Stat(c.file.Name()); serr == nil && info.Mode().IsRegular() {
		os.Remove(c.file.Name())
	}
	if failed != nil {
		return failed
	}
	return fmt.Errorf("%w: %w", errCommands, err)
}
