package main

import (
	"errors"

	"github.com/spf13/cobra"

	"socsim/internal/explain"
	"socsim/soc/presets"
)

func newExplain() *cobra.Command {
	var opts explain.Options
	cmd := &cobra.Command{
		Use:   "explain THING",
		Short: "Tell what a setting, metric, strategy or preset means",
		Long: `Explain tells what a word means: a setting by its dotted path (a section lists
what it holds; the names of items may be left out), a metric, a flush strategy,
or a preset or a setting of it. It prints meaning, type, unit, default and, of a
setting of a chip, what the presets say; with --soc that chip's value and where
it comes from. A word with several meanings gets them all. Explain access is
another matter: what one access to memory costs, term by term.`,
		Example: `  socsim explain stages.every
  socsim explain soc.l2.replacement --soc omap3430
  socsim explain omap3430.l2.ways
  socsim explain maintenance.collateral_misses
  socsim explain nvmap
  socsim explain access --va 0x40001040`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("explain needs one setting, metric, strategy or preset, such as stages.every, frames.dropped, nvmap or omap3430"))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return explain.Words(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := explain.Explain(cmd.OutOrStdout(), args[0], opts); err != nil {
				return usage(err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&opts.SoC, "soc", "", "tell the value of this chip `PRESET`, with its source")
	if err := cmd.RegisterFlagCompletionFunc("soc", cobra.FixedCompletions(presets.Set{}.Names("soc"), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic("socsim: " + err.Error())
	}
	cmd.AddCommand(newExplainAccess())
	return cmd
}
