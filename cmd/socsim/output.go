package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"socsim/internal/report"
	"socsim/internal/result"
)

// output is where results go: to standard output in a format, and to a directory if one is given.
type output struct{ format, out string }

// flags adds --format and --out.
func (o *output) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.format, "format", "table", "output `FORMAT`: table, json or csv")
	cmd.Flags().StringVar(&o.out, "out", "", "also write each result document to this `DIR`")
}

// check refuses a format that there is not.
func (o *output) check() error {
	switch o.format {
	case "table", "json", "csv":
		return nil
	}
	return fmt.Errorf("unknown format %q; there are table, json and csv", o.format)
}

// write prints the documents; table prints the format of that name.
func (o *output) write(w io.Writer, docs []*result.Document, table func(io.Writer) error) error {
	if o.out != "" {
		if err := writeDocuments(o.out, docs); err != nil {
			return err
		}
	}
	switch o.format {
	case "json":
		return result.Write(w, docs)
	case "csv":
		return report.CSV(w, docs)
	}
	return table(w)
}

// writeDocuments writes each document to a file of its own.
func writeDocuments(dir string, docs []*result.Document) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("creating %s: %w", dir, err)
	}
	for _, d := range docs {
		name := filepath.Join(dir, fileName(d.Scenario)+"."+fileName(d.Strategy)+".json")
		file, err := os.Create(name)
		if err != nil {
			return fmt.Errorf("writing result: %w", err)
		}
		err = result.Write(file, []*result.Document{d})
		if cerr := file.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// fileName makes a name safe as part of a file's.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`+"\x00", r) {
			return '-'
		}
		return r
	}, s)
}
