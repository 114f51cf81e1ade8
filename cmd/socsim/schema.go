package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"socsim/internal/scenario"
)

func newSchema() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of scenario files",
		Long: `Schema prints the scenario language as a JSON Schema (draft 2020-12): every key
with its meaning, default, allowed words and unit. Editors complete and check
with it; the YAML language server takes it from a file's first line:

  # yaml-language-server: $schema=socsim.schema.json

What only the whole of a scenario shows, socsim run checks.`,
		Example: `  socsim schema > socsim.schema.json
  socsim schema --out socsim.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := scenario.Schema()
			if err != nil {
				return &codeError{exitUnfinish, err}
			}
			if out == "" || out == "-" {
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			if err := os.WriteFile(out, text, 0o644); err != nil {
				return usage(fmt.Errorf("writing the schema: %w", err))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write to `FILE` instead of standard output")
	return cmd
}
