package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"socsim/internal/calibrate"
	"socsim/internal/report"
	"socsim/internal/result"
	"socsim/internal/strategy"
	"socsim/soc/flush"
	"socsim/soc/presets"
)

// calibrateFlags are the flags of calibrate.
type calibrateFlags struct {
	output
	sets           []string
	strategy, emit string
	seed           uint64
}

// defaultChip is the chip that is meant where none is named.
const defaultChip = "omap3430"

func newCalibrate() *cobra.Command {
	var f calibrateFlags
	cmd := &cobra.Command{
		Use:   "calibrate [SOC]",
		Short: "Measure maintenance costs on a modelled chip and derive its flush thresholds",
		Long: `Calibrate measures, with the core's clock alone, what cache maintenance costs on a
chip: per call, barrier, page and line, and for the whole cache; and from which
buffer size on the whole cache beats the operation by range, for each DMA
direction, beside bystanders with working sets of 0 to 256 KiB. It is what the
strategy calibrated does when an application starts; --strategy sets its
parameters.

--emit yaml prints the thresholds as a rule table for --strategy @FILE, --emit c
as a C header.

SOC is a preset: ` + strings.Join(presets.Set{}.Names("soc"), ", ") + `; ` + defaultChip + ` if none is named.`,
		Example: `  socsim calibrate
  socsim calibrate omap4430 --set soc.cpu.clock=600MHz
  socsim calibrate omap3430 --strategy 'calibrated(working_set=64KiB)' --emit yaml > mine.yaml
  socsim run camera-preview --strategy range,whole,@mine.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(errors.New("calibrate takes one chip at a time"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			chip := defaultChip
			if len(args) == 1 {
				chip = args[0]
			}
			return f.run(cmd, chip)
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&f.sets, "set", nil, "override a setting by its dotted `PATH=VALUE` (repeatable), as in soc.l2.size=512KiB")
	fl.StringVar(&f.strategy, "strategy", calibrate.Strategy, "the strategy `NAME` whose thresholds are chosen: calibrated, with its\nparameters in parentheses")
	fl.StringVar(&f.emit, "emit", "", "print the thresholds chosen as a file instead: `FORMAT` yaml or c")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of page scatter and random replacement")
	f.flags(cmd)
	return cmd
}

func (f *calibrateFlags) run(cmd *cobra.Command, name string) error {
	chip, info, err := f.prepare(name)
	if err != nil {
		return usage(err)
	}
	start := time.Now()
	r, err := f.measure(cmd.Context(), chip, info)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			err = errors.New("interrupted before the measurements were complete")
		}
		return &codeError{exitUnfinish, err}
	}
	if err := f.print(cmd, r, time.Since(start)); err != nil {
		return &codeError{exitUnfinish, err}
	}
	return nil
}

// measure measures what is asked for: for a file of thresholds, these alone.
func (f *calibrateFlags) measure(ctx context.Context, chip *calibrate.Chip, info flush.Info) (*calibrate.Report, error) {
	if f.emit == "" {
		return chip.Measure(ctx, info)
	}
	o, err := chip.Outcome(ctx, info)
	return &calibrate.Report{Chip: chip, Strategy: info.Label(), Chosen: o}, err
}

func (f *calibrateFlags) print(cmd *cobra.Command, r *calibrate.Report, took time.Duration) error {
	w := cmd.OutOrStdout()
	if f.emit != "" {
		text, err := r.Emit(f.emit)
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, text)
		return err
	}
	d := r.Document()
	d.Host.WallNS = took.Nanoseconds()
	return f.write(w, []*result.Document{d}, func(w io.Writer) error { return report.Calibration(w, r) })
}

// prepare checks the flags and resolves chip and strategy.
func (f *calibrateFlags) prepare(name string) (*calibrate.Chip, flush.Info, error) {
	if err := f.check(); err != nil {
		return nil, flush.Info{}, err
	}
	switch {
	case f.emit != "" && !slices.Contains(calibrate.Formats, f.emit):
		return nil, flush.Info{}, fmt.Errorf("--emit %s: unknown format; there are %s", f.emit, strings.Join(calibrate.Formats, " and "))
	case f.emit != "" && (f.format != "table" || f.out != ""):
		return nil, flush.Info{}, errors.New("--emit prints a file of its own: leave --format and --out away")
	}
	overrides, err := parseSets(f.sets)
	if err != nil {
		return nil, flush.Info{}, err
	}
	list, err := strategy.Parse(f.strategy, ".")
	if err != nil {
		return nil, flush.Info{}, fmt.Errorf("--strategy: %w", err)
	}
	if len(list) != 1 || list[0].Name != calibrate.Strategy {
		return nil, flush.Info{}, fmt.Errorf("--strategy %s: only %s measures, with its parameters in parentheses", f.strategy, calibrate.Strategy)
	}
	chip, err := calibrate.Load(name, overrides, f.seed)
	return chip, list[0], err
}
