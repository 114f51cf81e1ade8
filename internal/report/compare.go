package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"socsim/internal/compare"
	"socsim/internal/result"
)

// CompareOptions choose how a comparison looks.
type CompareOptions struct {
	Color    bool
	Markdown bool
	All      bool // every metric that changed and every cause
}

// maxChanges and maxSettings bound the rows of a table that does not show everything.
const (
	maxChanges  = 24
	maxSettings = 20
)

// Compare prints a comparison for people.
func Compare(w io.Writer, c *compare.Comparison, o CompareOptions) error {
	p := comparePrinter{c: c, o: o}
	p.head()
	if !c.Identical {
		p.changes()
		p.breakdown("Where the CPU's time went", c.CPU)
		p.breakdown("Where the memory bus's time went", c.Bus)
	}
	p.title("Conclusion")
	fmt.Fprintln(&p.out, wrap(strings.Join(c.Conclusion, " "), 110))
	if _, err := io.WriteString(w, p.out.String()); err != nil {
		return fmt.Errorf("printing the comparison: %w", err)
	}
	return nil
}

type comparePrinter struct {
	c   *compare.Comparison
	o   CompareOptions
	out strings.Builder
}

func (p *comparePrinter) title(s string) {
	switch {
	case p.o.Markdown:
		fmt.Fprintf(&p.out, "\n## %s\n\n", s)
	default:
		fmt.Fprintf(&p.out, "\n%s\n", s)
	}
}

// head says what is compared and what differs in what was asked for.
func (p *comparePrinter) head() {
	a, b := p.c.A, p.c.B
	if p.o.Markdown {
		fmt.Fprintf(&p.out, "# %s and %s\n\n", a.Name, b.Name)
	}
	for _, s := range []struct {
		letter string
		compare.Side
	}{{"A", a}, {"B", b}} {
		line := fmt.Sprintf("%s: %s under %s, seed %d, %s simulated", s.letter, s.Scenario, s.Strategy, s.Seed, compare.Duration(s.SimulatedPS))
		if s.Name != s.letter && s.Name != s.Strategy && s.Name != s.Scenario {
			line += " (" + s.Name + ")"
		}
		if p.o.Markdown {
			line = "- " + line
		}
		fmt.Fprintln(&p.out, line)
	}
	for _, n := range p.c.Notes {
		fmt.Fprintln(&p.out, "Note: "+n)
	}
	p.settings()
}

func (p *comparePrinter) settings() {
	c := p.c
	switch {
	case c.Settings == nil && c.A.ConfigSHA256 == c.B.ConfigSHA256:
		return
	case c.Settings == nil:
		fmt.Fprintf(&p.out, "The settings differ (configurations %.12s and %.12s); compare the scenarios to see which.\n", c.A.ConfigSHA256, c.B.ConfigSHA256)
		return
	case len(c.Settings) == 0:
		return
	}
	p.title("Settings that differ")
	t := p.table(table.Row{"setting", "A", "B"})
	for i, s := range c.Settings {
		if i == maxSettings && !p.o.All {
			t.AppendRow(table.Row{fmt.Sprintf("and %d more; --all shows them", len(c.Settings)-i), "", ""})
			break
		}
		t.AppendRow(table.Row{s.Path, orDash(s.A), orDash(s.B)})
	}
	p.render(t)
}

func orDash(s string) string {
	if s == "" {
		return absent
	}
	return s
}

// changes prints what moved.
func (p *comparePrinter) changes() {
	t := p.table(table.Row{"metric", "A", "B", "change", ""})
	shown := 0
	for _, x := range p.c.Changes {
		if !p.o.All && (!x.Major || shown == maxChanges) {
			continue
		}
		shown++
		verdict := string(x.Verdict)
		if p.o.Color {
			switch x.Verdict {
			case compare.Worse:
				verdict = text.FgRed.Sprint(verdict)
			case compare.Better:
				verdict = text.FgGreen.Sprint(verdict)
			}
		}
		t.AppendRow(table.Row{x.Metric, compare.Value(x.A, x.Unit), compare.Value(x.B, x.Unit), changed(x), verdict})
	}
	p.title("What moved")
	if shown > 0 {
		p.render(t)
	}
	if hidden := len(p.c.Changes) - shown; hidden > 0 {
		fmt.Fprintf(&p.out, "%d more metrics differ, by less than 1 %% or without a better and a worse; --all shows them.\n", hidden)
	}
	if len(p.c.Changes) == 0 {
		fmt.Fprintln(&p.out, "Nothing: all metrics are the same.")
	}
}

// changed prints by how much B is more than A, relative to A.
func changed(x compare.Change) string {
	switch {
	case x.A == nil:
		return "new"
	case x.B == nil:
		return "gone"
	case x.A.Int == 0:
		return "from 0"
	}
	return signed(x.A, x.B)
}

// signed prints (b - a) / a in percent, or as a factor where it is large.
func signed(a, b *result.Number) string {
	x, y := a.Float(), b.Float()
	if x > 0 && y >= 3*x {
		return fmt.Sprintf("x %.1f", y/x)
	}
	return fmt.Sprintf("%+.1f %%", 100*(y-x)/abs(x))
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}

// breakdown prints where a time went.
func (p *comparePrinter) breakdown(title string, b *compare.Breakdown) {
	if b == nil {
		return
	}
	perFrame := p.c.A.Frames > 0 && p.c.B.Frames > 0
	head := table.Row{"cause", "A", "B", "difference"}
	if perFrame {
		head = append(head, "A, a frame", "B, a frame", "difference")
	}
	t := p.table(head)
	row := func(name string, x compare.Part) {
		r := table.Row{name, compare.Duration(x.A), compare.Duration(x.B), plus(x.Difference())}
		if perFrame {
			r = append(r, compare.Duration(x.APerFrame), compare.Duration(x.BPerFrame), plus(x.DifferencePerFrame()))
		}
		t.AppendRow(r)
	}
	for _, x := range b.Parts {
		row(compare.Words(x.Cause), x)
	}
	t.AppendSeparator()
	row("busy", b.Busy)
	row("idle", b.Idle)
	t.AppendSeparator()
	row("all", b.Total)
	p.title(title)
	p.render(t)
}

func plus(ps int64) string {
	text := compare.Duration(ps)
	if ps > 0 && text != "0" {
		return "+" + text
	}
	return text
}

func (p *comparePrinter) table(head table.Row) table.Writer {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	var configs []table.ColumnConfig
	for i := range head {
		if i > 0 {
			configs = append(configs, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(head)
	return t
}

func (p *comparePrinter) render(t table.Writer) {
	if p.o.Markdown {
		fmt.Fprintln(&p.out, t.RenderMarkdown())
		return
	}
	fmt.Fprintln(&p.out, t.Render())
}

// wrap breaks a paragraph into lines of at most width characters.
func wrap(s string, width int) string {
	var b strings.Builder
	col := 0
	for i, word := range strings.Fields(s) {
		switch {
		case i == 0:
		case col+1+len(word) > width:
			b.WriteByte('\n')
			col = 0
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += len(word)
	}
	return b.String()
}

// CompareJSON prints comparisons as one JSON object, or an array where there are several.
func CompareJSON(w io.Writer, list []*compare.Comparison) error {
	var v any = list
	if len(list) == 1 {
		v = list[0]
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing the comparison: %w", err)
	}
	return nil
}

// CompareCSV prints a row a metric that changed.
func CompareCSV(w io.Writer, list []*compare.Comparison) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"a", "b", "metric", "unit", "value_a", "value_b", "relative", "verdict"}}
	for _, x := range list {
		for _, ch := range x.Changes {
			rows = append(rows, []string{x.A.Name, x.B.Name, ch.Metric, ch.Unit, number(ch.A), number(ch.B), ch.Relative.String(), string(ch.Verdict)})
		}
	}
	if err := c.WriteAll(rows); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	return nil
}

func number(n *result.Number) string {
	if n == nil {
		return ""
	}
	return n.String()
}
