// Package report prints results for people: a table with a row for each strategy, what was expected, and what was incoherent.
package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"socsim/internal/result"
	"socsim/sim"
)

// column is one column of the table: a metric in a readable unit.
type column struct {
	head, sub string
	cell      func(d *result.Document) string
}

func columns(docs []*result.Document) []column {
	cols := []column{
		{"strategy", "", func(d *result.Document) string { return d.Strategy }},
		{"frames", "", count("frames.captured")},
		{"drops", "", count("frames.dropped")},
		{"maintenance", "per frame", duration("maintenance.time_per_frame")},
		{"overhead", "per frame", duration("overhead.time_per_frame")},
		{"lines", "useful", count("maintenance.lines.useful")},
		{"lines", "useless", count("maintenance.lines.useless")},
		{"written back", "", size("maintenance.bytes_written_back")},
		{"collateral", "misses", count("maintenance.collateral_misses")},
	}
	for _, task := range tasks(docs) {
		cols = append(cols, column{task, "slowdown", ratio("task." + task + ".slowdown")})
	}
	return append(cols,
		column{"latency", "p50", duration("latency.capture_to_display.p50")},
		column{"latency", "p95", duration("latency.capture_to_display.p95")},
		column{"violations", "", count("coherency.violations")},
	)
}

// tasks lists the tasks that any document has a slowdown for.
func tasks(docs []*result.Document) []string {
	seen := map[string]bool{}
	var names []string
	for _, d := range docs {
		for m := range d.Metrics {
			name, ok := strings.CutPrefix(m, "task.")
			if name, tail := strings.CutSuffix(name, ".slowdown"); ok && tail && !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	sort.Strings(names)
	return names
}

const absent = "-"

func metric(name string, format func(result.Metric) string) func(*result.Document) string {
	return func(d *result.Document) string {
		m, ok := d.Metrics[name]
		if !ok {
			return absent
		}
		return format(m)
	}
}

func count(name string) func(*result.Document) string {
	return metric(name, func(m result.Metric) string { return Group(m.Value.Int) })
}

func ratio(name string) func(*result.Document) string {
	return metric(name, func(m result.Metric) string { return fmt.Sprintf("%.3f", m.Value.Float()) })
}

func duration(name string) func(*result.Document) string {
	return metric(name, func(m result.Metric) string { return nanoseconds(m.Value) })
}

func size(name string) func(*result.Document) string {
	return metric(name, func(m result.Metric) string { return Size(m.Value.Int) })
}

// Group prints an integer with thin groups of three digits.
func Group(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return sign + s
}

// nanoseconds prints a number of nanoseconds, of which decimals are shown below a microsecond.
func nanoseconds(n result.Number) string {
	unit := int64(1)
	for range n.Digits {
		unit *= 10
	}
	if n.Int != 0 && n.Int > -1000*unit && n.Int < 1000*unit {
		return n.String() + " ns"
	}
	return Duration(n.Int / unit)
}

// Duration prints nanoseconds in a readable unit with three significant digits or more.
func Duration(ns int64) string {
	sign := ""
	if ns < 0 {
		sign, ns = "-", -ns
	}
	t := sim.Time(ns) * sim.Nanosecond
	switch {
	case ns == 0:
		return "0"
	case t >= sim.Second:
		return fmt.Sprintf("%s%.3f s", sign, float64(ns)/1e9)
	case t >= sim.Millisecond:
		return fmt.Sprintf("%s%.2f ms", sign, float64(ns)/1e6)
	case t >= sim.Microsecond:
		return fmt.Sprintf("%s%.1f us", sign, float64(ns)/1e3)
	}
	return fmt.Sprintf("%s%d ns", sign, ns)
}

// Size prints bytes in a readable binary unit.
func Size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n == 0:
		return "0"
	}
	return fmt.Sprintf("%d B", n)
}

// Options choose how a report looks.
type Options struct {
	Color bool
	Quiet bool // the table alone
}

// Table prints the documents of one scenario.
func Table(w io.Writer, docs []*result.Document, o Options) error {
	if len(docs) == 0 {
		return nil
	}
	d := docs[0]
	cols := columns(docs)
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options.SeparateRows = false
	t.SetStyle(style)
	var head, sub table.Row
	var configs []table.ColumnConfig
	for i, c := range cols {
		head = append(head, c.head)
		sub = append(sub, c.sub)
		align := text.AlignRight
		if i == 0 {
			align = text.AlignLeft
		}
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align})
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(head)
	t.AppendHeader(sub)
	for _, d := range docs {
		var row table.Row
		bad := d.Metrics["coherency.violations"].Value.Int > 0
		for i, c := range cols {
			cell := c.cell(d)
			if o.Color && bad && (i == 0 || i == len(cols)-1) {
				cell = text.FgRed.Sprint(cell)
			}
			row = append(row, cell)
		}
		t.AppendRow(row)
	}
	if _, err := fmt.Fprintf(w, "%s on %s, %v simulated, seed %d\n", d.Scenario, d.SoC, sim.Time(d.SimulatedPS), d.Seed); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if d.Illustrative != nil {
		if _, err := fmt.Fprintln(w, d.Illustrative); err != nil {
			return fmt.Errorf("printing the report: %w", err)
		}
	}
	t.Render()
	if o.Quiet {
		return nil
	}
	for _, d := range docs {
		if err := details(w, d, o); err != nil {
			return fmt.Errorf("printing the report: %w", err)
		}
	}
	return nil
}

// maxGroups bounds the groups of violations printed for each strategy; the document has all.
const maxGroups = 4

func details(w io.Writer, d *result.Document, o Options) error {
	var b strings.Builder
	var held []string
	for _, e := range d.Expect {
		if e.OK {
			held = append(held, e.Expr)
			continue
		}
		verdict := "FAIL"
		if o.Color {
			verdict = text.FgRed.Sprint(verdict)
		}
		value := "the run has no such metric"
		if e.Value != nil {
			value = "is " + e.Value.String()
			if m := d.Metrics[strings.Fields(e.Expr)[0]]; m.Unit == "ns" {
				value = "is " + nanoseconds(*e.Value)
			}
		}
		fmt.Fprintf(&b, "  %s %s: expect %s (%s)\n", verdict, d.Strategy, e.Expr, value)
	}
	if len(held) > 0 {
		fmt.Fprintf(&b, "  ok   %s: %s\n", d.Strategy, strings.Join(held, ", "))
	}
	if len(d.Violations) > 0 {
		if slices.ContainsFunc(d.Violations, func(v result.Violation) bool { return v.Bytes > 0 }) {
			fmt.Fprintf(&b, "%s is incoherent:\n", d.Strategy)
		} else {
			fmt.Fprintf(&b, "Buffers are used wrongly under %s:\n", d.Strategy)
		}
		groups := append([]result.Violation(nil), d.Violations...)
		sort.SliceStable(groups, func(i, j int) bool { return groups[i].Count > groups[j].Count })
		for i, v := range groups {
			if i == maxGroups {
				fmt.Fprintf(&b, "  and %d more kinds of violation; --format json lists all\n", len(groups)-i)
				break
			}
			b.WriteString(Violation(v))
		}
	}
	events(&b, d)
	_, err := io.WriteString(w, b.String())
	return err
}

// software are the kinds of events that are not hardware's.
var software = []string{"shared_ownership", "script_error", "clock_change"}

// events prints the first faults that were injected, then the moments at which hardware failed a deadline or stopped, then those to know about the software.
func events(b *strings.Builder, d *result.Document) {
	var hard, soft, injected []result.Event
	for _, e := range d.Events {
		switch {
		case strings.HasPrefix(e.Kind, "injected_"):
			injected = append(injected, e)
		case slices.Contains(software, e.Kind):
			soft = append(soft, e)
		default:
			hard = append(hard, e)
		}
	}
	moments(b, "Injected under "+d.Strategy, injected)
	moments(b, d.Strategy+" was late or stopped", hard)
	moments(b, "To note under "+d.Strategy, soft)
}

// moments prints the first of some events.
func moments(b *strings.Builder, title string, list []result.Event) {
	for i, e := range list {
		if i == maxGroups {
			fmt.Fprintf(b, "  and %d more of such moments; --format json lists them\n", len(list)-i)
			return
		}
		if i == 0 {
			fmt.Fprintf(b, "%s:\n", title)
		}
		b.WriteString(Event(e))
	}
}

// Event describes such a moment, in a line.
func Event(e result.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s of %s", strings.ReplaceAll(e.Kind, "_", " "), e.Device)
	if e.Where != "" {
		fmt.Fprintf(&b, " (%s)", e.Where)
	}
	if e.Address != "" {
		fmt.Fprintf(&b, " at %s", e.Address)
	}
	fmt.Fprintf(&b, " at %v", sim.Time(e.AtPS))
	if e.Frame != nil {
		fmt.Fprintf(&b, " in frame %d", *e.Frame)
	}
	switch {
	case e.WaitedPS > 0 && e.Kind == "clock_change":
		fmt.Fprintf(&b, ": took %v", sim.Time(e.WaitedPS))
	case e.WaitedPS > 0:
		fmt.Fprintf(&b, ": waited %v", sim.Time(e.WaitedPS))
	}
	switch {
	case strings.HasPrefix(e.Holder, "MMU of "):
		fmt.Fprintf(&b, " for the %s", e.Holder)
	case e.Holder != "":
		fmt.Fprintf(&b, " while %s held the bus", e.Holder)
	}
	if e.Count > 1 {
		fmt.Fprintf(&b, ", %d times", e.Count)
	}
	b.WriteByte('\n')
	return b.String()
}

// Violation describes a group of violations in a readable block.
func Violation(v result.Violation) string {
	var b strings.Builder
	when := ""
	if v.Warmup {
		when = ", during warm-up"
	}
	if v.Bytes == 0 {
		return misuse(v, when)
	}
	what := "lines"
	if v.Kind == "stale_translation" {
		what = "pages"
	}
	fmt.Fprintf(&b, "  %s: %s %s of %s#%d%s\n", v.Kind, Group(int64(v.Count)), what, v.Buffer, v.Index, when)
	verb := map[string]string{
		"stale_cpu_read": "read old data", "stale_device_read": "read old data", "lost_device_data": "wrote old data over it", "lost_cpu_data": "dropped it",
		"alias_error": "missed it under another address", "stale_translation": "used the old page",
	}[v.Kind]
	fmt.Fprintf(&b, "    first at bytes [%d,%d): %s wrote at %v, %s %s at %v\n",
		v.Offset, v.Offset+v.Bytes, v.Writer, sim.Time(v.WrittenPS), v.Reader, verb, sim.Time(v.ReadPS))
	fmt.Fprintf(&b, "    missing: %s %s\n", v.Missing, v.Where)
	return b.String()
}

// misuse describes wrong use of a buffer, an attachment, a mapping, a fence or the DMA API.
func misuse(v result.Violation, when string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s: %s times", v.Kind, Group(int64(v.Count)))
	if v.Buffer != "" {
		fmt.Fprintf(&b, " on %s#%d", v.Buffer, v.Index)
	}
	if v.Reader != "" {
		fmt.Fprintf(&b, " by %s", v.Reader)
	}
	fmt.Fprintf(&b, "%s\n    first at %v: %s (since %v)\n    missing: %s\n", when, sim.Time(v.ReadPS), v.Where, sim.Time(v.WrittenPS), v.Missing)
	return b.String()
}

// CSV prints one row a metric and document.
func CSV(w io.Writer, docs []*result.Document) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"scenario", "soc", "strategy", "seed", "metric", "value", "unit"}}
	for _, d := range docs {
		names := make([]string, 0, len(d.Metrics))
		for n := range d.Metrics {
			names = append(names, n)
		}
		sort.Strings(names)
		for _, n := range names {
			m := d.Metrics[n]
			rows = append(rows, []string{d.Scenario, d.SoC, d.Strategy, fmt.Sprint(d.Seed), n, m.Value.String(), m.Unit})
		}
	}
	if err := c.WriteAll(rows); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	return nil
}
