package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// starter is the scenario that init writes. FILE in its comments stands for the file's name.
//
//go:embed starter.yaml
var starter string

func newInit() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented scenario to start from",
		Long: `Init writes a small scenario that runs, with comments that say what each part does
and what to try. FILE is scenario.yaml unless given; - prints it instead.`,
		Example: `  socsim init
  socsim init preview.yaml && socsim run preview.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(fmt.Errorf("init writes one file, and %d are named", len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "scenario.yaml"
			if len(args) == 1 {
				name = args[0]
			}
			if name == "-" {
				_, err := fmt.Fprint(cmd.OutOrStdout(), strings.ReplaceAll(starter, "FILE", "scenario.yaml"))
				return err
			}
			if err := writeStarter(name, force); err != nil {
				return usage(err)
			}
			quoted := shellQuote(name)
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; next:\n  socsim run %s\n  socsim run %s --strategy all\n", name, quoted, quoted)
			return err
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite FILE if it exists")
	return cmd
}

// writeStarter writes the starter to a file that must not exist yet, unless forced.
func writeStarter(name string, force bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(name, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		if info, serr := os.Stat(name); serr == nil && info.IsDir() {
			return fmt.Errorf("%s is a directory; name a file in it, such as %s/scenario.yaml", name, strings.TrimRight(name, "/"))
		}
		return fmt.Errorf("%s exists already; name another file, or overwrite it with --force", name)
	}
	if err != nil {
		return fmt.Errorf("writing the starter scenario: %w", err)
	}
	_, err = file.WriteString(strings.ReplaceAll(starter, "FILE", shellQuote(name)))
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("writing the starter scenario: %w", err)
	}
	return nil
}

// shellQuote is a word as a shell reads it.
func shellQuote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
