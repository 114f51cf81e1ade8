package report

import (
	"fmt"
	"io"
	"sort"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"socsim/internal/result"
)

// Metrics prints a row a metric, for results that are not of a scenario.
func Metrics(w io.Writer, d *result.Document) error {
	if _, err := fmt.Fprintf(w, "%s on %s, %s\n", d.Scenario, d.SoC, d.Strategy); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	names := make([]string, 0, len(d.Metrics))
	for n := range d.Metrics {
		names = append(names, n)
	}
	sort.Strings(names)
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, Align: text.AlignRight, AlignHeader: text.AlignRight}})
	t.AppendHeader(table.Row{"metric", "value", "unit"})
	for _, n := range names {
		m := d.Metrics[n]
		value := m.Value.String()
		if m.Value.Digits == 0 {
			value = Group(m.Value.Int)
		}
		t.AppendRow(table.Row{n, value, m.Unit})
	}
	t.Render()
	return nil
}
