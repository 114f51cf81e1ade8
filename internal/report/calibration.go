package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"socsim/internal/calibrate"
	"socsim/sim"
	"socsim/sim/units"
)

// Calibration prints what was measured on a chip: the cost table, where the whole cache overtakes the range, and what the strategy made of it.
func Calibration(w io.Writer, r *calibrate.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: maintenance, measured with the core's clock\n", r.Chip.Name)
	if r.Chip.Illustrative != nil {
		fmt.Fprintln(&b, r.Chip.Illustrative)
	}
	t := calibrationTable()
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, Align: text.AlignRight, AlignHeader: text.AlignRight}})
	t.AppendHeader(table.Row{"cost", "ns", "of"})
	for _, c := range r.Costs {
		t.AppendRow(table.Row{c.Name, c.Time.String(), c.Doc})
	}
	fmt.Fprintln(&b, t.Render())
	fmt.Fprint(&b, "\nFrom which size on the whole cache beats the range: by the operation's own time, and end to end with a bystander's refills\n")
	thresholds(&b, r, "the caches", false)
	if r.Chosen.HasOuter {
		thresholds(&b, r, "the outer cache", true)
	}
	fmt.Fprintf(&b, "\n%s, working set %v, measured in %s:\n", r.Strategy, units.Bytes(r.Chosen.WorkingSet), Duration(int64(r.Chosen.Took/sim.Nanosecond)))
	for _, d := range calibrate.Directions {
		fmt.Fprintf(&b, "  %-14v %v", d, r.Chosen.Threshold(d, false))
		if r.Chosen.HasOuter {
			fmt.Fprintf(&b, ", outer cache %v", r.Chosen.Threshold(d, true))
		}
		fmt.Fprintln(&b)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}

func calibrationTable() table.Writer {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	return t
}

// thresholds prints a row for each working set.
func thresholds(b *strings.Builder, r *calibrate.Report, title string, outer bool) {
	t := calibrationTable()
	head, sub := table.Row{title}, table.Row{"working set"}
	var configs []table.ColumnConfig
	for _, d := range calibrate.Directions {
		head, sub = append(head, d.String(), ""), append(sub, "operation", "end to end")
	}
	for i := range head {
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(head)
	t.AppendHeader(sub)
	for _, row := range r.Rows {
		cells := table.Row{row.WorkingSet.String()}
		for d := range calibrate.Directions {
			x := row.Inner[d]
			if outer {
				x = row.Outer[d]
			}
			cells = append(cells, x.Operation.String(), x.EndToEnd.String())
		}
		t.AppendRow(cells)
	}
	fmt.Fprintln(b, t.Render())
}
