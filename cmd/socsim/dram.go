package main

import "github.com/spf13/cobra"

func newDRAM() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dram",
		Short: "The DRAM alone, driven by recorded traces",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	cmd.AddCommand(newDRAMVerify())
	return cmd
}
