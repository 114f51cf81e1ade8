package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"socsim/internal/report"
	"socsim/internal/result"
	"socsim/internal/scenario"
	"socsim/internal/strategy"
	"socsim/scenarios"
)

func newList() *cobra.Command {
	kinds := []string{"scenarios", "strategies", "presets"}
	var format string
	cmd := &cobra.Command{
		Use:   "list [scenarios|strategies|presets]",
		Short: "List the library's scenarios, the strategies and the presets",
		Long: `List names what there is. List scenarios groups the library by theme, and says
of each the time that it simulates, warm-up included, and what it teaches; on a
present-day core a run takes a second or two. List strategies says of each what it does, which
parameters it has with which defaults, where it shipped, and where that is
written; with --format json for programs.`,
		ValidArgs: kinds,
		Args:      cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			if err := checkListFormat(format, args); err != nil {
				return usage(err)
			}
			if len(args) == 1 && args[0] == "strategies" {
				if format == "json" {
					return report.StrategiesJSON(w, strategy.Registered())
				}
				return report.Strategies(w, strategy.Registered())
			}
			printers := map[string]func(io.Writer) error{"scenarios": listScenarios, "strategies": listStrategies, "presets": listPresets}
			if len(args) == 1 {
				p, ok := printers[args[0]]
				if !ok {
					return usage(fmt.Errorf("cannot list %q; there are %s", args[0], strings.Join(kinds, ", ")))
				}
				return p(w)
			}
			for i, k := range kinds {
				if i > 0 {
					fmt.Fprintln(w)
				}
				fmt.Fprintf(w, "%s:\n", k)
				if err := printers[k](w); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "output `FORMAT`: table, or json for strategies")
	return cmd
}

// checkListFormat refuses a format that the list does not have.
func checkListFormat(format string, args []string) error {
	switch {
	case format == "table":
		return nil
	case format != "json":
		return fmt.Errorf("unknown format %q; there are table and json", format)
	case len(args) != 1 || args[0] != "strategies":
		return errors.New("--format json is for list strategies")
	}
	return nil
}

// listScenarios names the scenarios of the library by theme, with the time that each simulates, warm-up included, and what it teaches.
func listScenarios(w io.Writer) error {
	byTheme := map[string][]*scenario.Loaded{}
	for _, name := range scenarios.Names() {
		s, err := load(name, nil)
		if err != nil {
			return err
		}
		byTheme[s.Theme] = append(byTheme[s.Theme], s)
	}
	for _, theme := range scenario.Themes() {
		for i, s := range byTheme[theme] {
			if i > 0 {
				theme = ""
			}
			fmt.Fprintf(w, "  %-12s  %-20s %6v  %s\n", theme, s.Name, s.Run.Warmup+s.Run.Duration, s.Description)
		}
	}
	return nil
}

// listStrategies names each strategy and the first sentence of what it does; list strategies says all.
func listStrategies(w io.Writer) error {
	for _, s := range strategy.Registered() {
		doc, _, _ := strings.Cut(s.Doc, ". ")
		fmt.Fprintf(w, "  %-18s %s\n", s.Name, strings.TrimSuffix(doc, "."))
	}
	return nil
}

func newShow() *cobra.Command {
	var sets []string
	cmd := &cobra.Command{
		Use:   "show SCENARIO|PRESET",
		Short: "Print a scenario with every setting filled in, or a preset",
		Long: `Show prints a scenario with every default filled in, what it includes and its
parameters put in, and the source of each value that a preset set. Running what
it prints gives the same result. The scenario - is read from standard input.

A preset (a chip, memory, sensor or panel; socsim list presets names them) is
printed with all values of the presets it starts from, and the source of each.
Where two presets of different kinds have one name, write the kind before it.`,
		Example: `  socsim show camera-preview > mine.yaml
  socsim show omap3430
  socsim show dram/ideal
  socsim show zynq7000 --set soc.l2.size=1MiB`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("show needs one scenario or preset; socsim list names them"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			overrides, err := parseSets(sets)
			if err != nil {
				return usage(err)
			}
			s, err := loadFrom(stdin(cmd), args[0], overrides)
			if errors.Is(err, scenario.ErrNotFound) {
				return showPreset(cmd.OutOrStdout(), args[0], overrides, err)
			}
			if err != nil {
				return badRequest(err)
			}
			text, err := s.Annotated()
			if err != nil {
				return &codeError{exitUnfinish, err}
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().StringArrayVar(&sets, "set", nil, "override a setting by its dotted `PATH=VALUE` (repeatable)")
	return cmd
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "socsim %s (results: %s, scenarios: %s)\n", result.Version, result.Schema, scenario.APIVersion)
			return err
		},
	}
}
