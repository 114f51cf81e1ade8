package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"socsim/internal/access"
	"socsim/internal/calibrate"
	"socsim/internal/explain"
	"socsim/sim/units"
	"socsim/soc/cpu"
	"socsim/soc/presets"
)

// accessFlags are the flags of explain access.
type accessFlags struct {
	soc, va, attr, bytes, width, format string
	sets                                []string
	seed                                uint64
	q                                   access.Query
}

func newExplainAccess() *cobra.Command {
	var f accessFlags
	cmd := &cobra.Command{
		Use:   "access --va ADDR",
		Short: "Tell what one access to memory costs, term by term",
		Long: `Explain access makes one access on an idle chip and tells where its time goes:
which part of the address is what, what TLB, caches and DRAM find, and each term
of the latency with the setting that fixes it, which --set overrides. The terms
come from the model itself and add up to the simulated time, to the picosecond.

An access is a load, or with --write a store, of the core within one line; with
--device it is one burst of the camera ISP or the GPU behind its MMU, or of the
display or the system DMA, which have none.

  --state   where the line is: cold (in no cache), l1, l2, llc (the third level),
            dirty (in L1), system-cache (in the one before the DRAM)
  --dram    what the DRAM's bank finds: the row open, closed, or in conflict
            with another row that is open`,
		Example: `  socsim explain access --va 0x40001040
  socsim explain access --va 0x40001040 --state l2 --dependent --set soc.cpu.clock=1GHz
  socsim explain access --va 0x40001040 --attr write-combined --write --bytes 64B --width 8B
  socsim explain access --soc am335x --va 0x40001040 --dram conflict --tlb hit
  socsim explain access --va 0x10000000 --device isp --write`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("explain access takes flags alone, not %q; the address is --va %s", args[0], args[0]))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().NFlag() == 0 { // the word, which settings have as well
				if err := explain.Explain(cmd.OutOrStdout(), "access", explain.Options{}); err != nil {
					return usage(err)
				}
				_, err := fmt.Fprint(cmd.OutOrStdout(), "\ncommand explain access\n  Tells what one access to memory costs, term by term; it needs an address: --va ADDR.\n")
				return err
			}
			return f.run(cmd)
		},
	}
	f.flags(cmd)
	return cmd
}

func (f *accessFlags) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.soc, "soc", defaultChip, "chip `PRESET`")
	fl.StringVar(&f.va, "va", "", "virtual `ADDR`ess of the core, or what the device puts out, as in 0x40001040")
	fl.StringVar(&f.attr, "attr", "", "`ATTR`ibute of the core's mapping: "+strings.Join(access.Attrs(), ", ")+" (default cached)")
	fl.BoolVar(&f.q.Write, "write", false, "store instead of loading")
	fl.StringVar(&f.bytes, "bytes", "", "`SIZE` of the whole access, within a line (default one load or store; a device's burst)")
	fl.StringVar(&f.width, "width", "", "`SIZE` of one load or store (default 4B)")
	fl.BoolVar(&f.q.Dependent, "dependent", false, "the next instruction needs the data, so that the latency of L1 shows")
	fl.StringVar(&f.q.State, "state", "", "`STATE` of the line: "+strings.Join(access.States(), ", ")+" (default cold)")
	fl.StringVar(&f.q.TLB, "tlb", "", "`hit or miss` (default miss for a cold line and a device, else hit)")
	fl.StringVar(&f.q.DRAM, "dram", "", "`STATE` of the DRAM's row: "+strings.Join(access.Rows(), ", ")+" (default what a refresh leaves)")
	fl.StringVar(&f.q.Device, "device", "", "one burst of a `DEVICE` instead: "+strings.Join(access.Devices(), ", "))
	fl.StringArrayVar(&f.sets, "set", nil, "override a setting by its dotted `PATH=VALUE` (repeatable), as in soc.l2.size=512KiB")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of page scatter and random replacement")
	fl.StringVar(&f.format, "format", "table", "output `FORMAT`: table or json")
	for name, values := range map[string][]string{
		"soc": presets.Set{}.Names("soc"), "attr": access.Attrs(), "state": access.States(), "tlb": {"hit", "miss"}, "dram": access.Rows(), "device": access.Devices(), "format": {"table", "json"},
	} {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic("socsim: " + err.Error())
		}
	}
}

func (f *accessFlags) run(cmd *cobra.Command) error {
	chip, err := f.prepare()
	if err != nil {
		return usage(err)
	}
	r, err := access.Explain(cmd.Context(), chip, f.q)
	if errors.Is(err, context.Canceled) {
		return &codeError{exitUnfinish, errors.New("interrupted before the access was made")}
	}
	if err != nil {
		return usage(err)
	}
	if f.format == "json" {
		return r.JSON(cmd.OutOrStdout())
	}
	return r.Table(cmd.OutOrStdout())
}

// prepare reads the flags and resolves the chip.
func (f *accessFlags) prepare() (*calibrate.Chip, error) {
	if !slices.Contains([]string{"table", "json"}, f.format) {
		return nil, fmt.Errorf("unknown format %q; there are table and json", f.format)
	}
	var err error
	if f.q.VA, err = address(f.va); err != nil {
		return nil, err
	}
	for _, x := range []struct {
		flag, text string
		to         *units.Bytes
	}{{"bytes", f.bytes, &f.q.Bytes}, {"width", f.width, &f.q.Width}} {
		if x.text == "" {
			continue
		}
		if err := x.to.UnmarshalText([]byte(x.text)); err != nil {
			return nil, fmt.Errorf("--%s %s: %w", x.flag, x.text, err)
		}
		if *x.to == 0 {
			return nil, fmt.Errorf("--%s %s: want more than nothing", x.flag, x.text)
		}
	}
	f.q.Attr = cpu.Attr(f.attr)
	overrides, err := parseSets(f.sets)
	if err != nil {
		return nil, err
	}
	return calibrate.Load(f.soc, overrides, f.seed)
}

// address reads an address, in hexadecimal as a rule.
func address(text string) (uint64, error) {
	if text == "" {
		return 0, errors.New("which address? say --va ADDR, as in --va 0x40001040")
	}
	va, err := strconv.ParseUint(text, 0, 64)
	switch {
	case err == nil:
		return va, nil
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("--va %s: more than 64 bits", text)
	}
	if _, hex := strconv.ParseUint(text, 16, 64); hex == nil {
		return 0, fmt.Errorf("--va %s: not a number; did you mean 0x%s?", text, text)
	}
	return 0, fmt.Errorf("--va %s: not an address; want a number, as in 0x40001040", text)
}
