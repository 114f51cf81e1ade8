package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"socsim/internal/result"
)

// replayColumns are the columns of a replay's table: a metric of each level.
var replayColumns = []struct {
	head, sub, metric string
	format            func(int64) string
}{
	{"instr", "", "instr", Group},
	{"reads", "", "reads", Group},
	{"writes", "", "writes", Group},
	{"instr", "misses", "instr_misses", Group},
	{"read", "misses", "read_misses", Group},
	{"write", "misses", "write_misses", Group},
	{"straddles", "", "straddles", Group},
	{"write-", "backs", "writebacks", Group},
	{"from", "below", "bytes_from_below", Size},
	{"to", "below", "bytes_to_below", Size},
}

// missRate returns the share of a level's accesses that missed.
func missRate(d *result.Document, level string) string {
	sum := func(names ...string) (n int64) {
		for _, name := range names {
			n += d.Metrics[level+"."+name].Value.Int
		}
		return n
	}
	accesses := sum("instr", "reads", "writes")
	if accesses == 0 {
		return absent
	}
	return result.Ratio(100*sum("instr_misses", "read_misses", "write_misses"), accesses, 2).String() + " %"
}

// Replay prints what a replay counted, a row for each level, in the order given.
func Replay(w io.Writer, d *result.Document, levels []string) error {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	head, sub := table.Row{"level"}, table.Row{""}
	configs := []table.ColumnConfig{{Number: 1, Align: text.AlignLeft}}
	add := func(h, s string) {
		head, sub = append(head, h), append(sub, s)
		configs = append(configs, table.ColumnConfig{Number: len(head), Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	for _, c := range replayColumns {
		add(c.head, c.sub)
	}
	add("miss", "rate")
	t.SetColumnConfigs(configs)
	t.AppendHeader(head)
	t.AppendHeader(sub)
	for _, level := range levels {
		row := table.Row{level}
		for _, c := range replayColumns {
			cell := absent
			if m, ok := d.Metrics[level+"."+c.metric]; ok {
				cell = c.format(m.Value.Int)
			}
			row = append(row, cell)
		}
		t.AppendRow(append(row, missRate(d, level)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s references, rules of %s", d.Scenario, Group(d.Metrics["references"].Value.Int), d.Strategy)
	if m, ok := d.Metrics["flushes"]; ok {
		fmt.Fprintf(&b, ", %s flushes", Group(m.Value.Int))
	}
	fmt.Fprintf(&b, "\n%s\n", t.Render())
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}
