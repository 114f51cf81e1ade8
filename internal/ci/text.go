// Package ci prints checks and trials of strategies for people and for continuous integration: tables, JSON, CSV, KTAP, JUnit XML, GitHub's annotations and Markdown.
//
// Sources: KTAP version 1 (https://docs.kernel.org/dev-tools/ktap.html); JUnit XML as Jenkins' xUnit plugin checks it (junit-10.xsd); GitHub's workflow commands
// (https://docs.github.com/actions/reference/workflow-commands-for-github-actions); GitHub Flavored Markdown's tables (https://github.github.com/gfm/#tables-extension-).
package ci

import (
	"fmt"
	"strings"

	"socsim/internal/check"
	"socsim/internal/report"
	"socsim/internal/result"
)

// quantity prints a value in a readable unit.
func quantity(n result.Number, unit string) string {
	switch {
	case unit == "ns" && (n.Digits == 0 || n.Float() >= 1000 || n.Float() <= -1000):
		return report.Duration(whole(n))
	case unit == "ps":
		return report.Duration(n.Int / 1000)
	case unit == "bytes" && n.Digits == 0 && n.Int >= 0:
		return report.Size(n.Int)
	case unit == "fraction" && n.Digits >= 2:
		return result.Number{Int: n.Int, Digits: n.Digits - 2}.String() + "%"
	case n.Digits == 0:
		return report.Group(n.Int)
	}
	if unit == "ns" {
		return n.String() + " ns"
	}
	return n.String()
}

// whole drops the digits after the point.
func whole(n result.Number) int64 {
	for range n.Digits {
		n.Int /= 10
	}
	return n.Int
}

// optional prints a value that may be absent.
func optional(n *result.Number, unit string) string {
	if n == nil {
		return "none"
	}
	return quantity(*n, unit)
}

// signed prints a change.
func signed(n result.Number, unit string) string {
	sign := "+"
	if n.Int < 0 {
		sign, n.Int = "-", -n.Int
	}
	if unit == "fraction" {
		return sign + strings.TrimSuffix(quantity(n, unit), "%") + " points"
	}
	return sign + quantity(n, unit)
}

// percent prints tenths of a percent.
func percent(permille int64) string {
	sign := "+"
	if permille < 0 {
		sign, permille = "-", -permille
	}
	if permille == 0 {
		return "under 0.1%"
	}
	return fmt.Sprintf("%s%d.%d%%", sign, permille/10, permille%10)
}

// change says by how much a metric moved: "2.07 ms -> 2.62 ms (+551.2 us, +26.7%)".
func change(d *check.Difference) string {
	switch {
	case d.Kind == check.KindNew:
		return optional(d.Now, d.Unit) + ", not in the baseline"
	case d.Kind == check.KindVanished:
		return "vanished; it was " + optional(d.Was, d.Unit)
	case d.Was == nil || d.Now == nil:
		return ""
	}
	text := fmt.Sprintf("%s -> %s (%s", optional(d.Was, d.Unit), optional(d.Now, d.Unit), signed(d.Change(), d.Unit))
	if p, ok := d.Permille(); ok {
		text += ", " + percent(p)
	}
	return text + ")"
}

// line is a difference in a line, without its causes.
func line(d *check.Difference) string {
	parts := []string{d.Metric}
	if c := change(d); c != "" {
		parts = append(parts, c)
	}
	text := strings.Join(parts, " ")
	if d.Note != "" {
		text += ": " + d.Note
	}
	return text
}

// because names the causes of a difference; "" if none are known.
func because(d *check.Difference) string {
	if len(d.Causes) == 0 {
		return ""
	}
	var parts []string
	for _, c := range d.Causes {
		text := fmt.Sprintf("%s %s -> %s", c.Metric, optional(c.Was, c.Unit), optional(c.Now, c.Unit))
		if c.Each != "" {
			text += ", each " + c.Each
		}
		if c.Percent != nil {
			text += fmt.Sprintf(" (%d%%)", *c.Percent)
		}
		parts = append(parts, text)
	}
	lead := "because of "
	if d.Causes[0].Percent == nil {
		lead = "with it moved "
	}
	return lead + strings.Join(parts, ", ")
}

// judged is a judged expectation or budget in a line.
func judged(j check.Judged) string {
	if j.Value == nil {
		return j.Expr + ": the run has no such metric"
	}
	return fmt.Sprintf("%s: it is %s", j.Expr, quantity(*j.Value, j.Unit))
}

// word is the verdict in a column of its own.
func word(d *check.Difference) string {
	switch {
	case d.Kind == check.KindNew:
		return "new"
	case d.Kind == check.KindVanished:
		return "gone"
	case d.Verdict == check.Other:
		return "changed"
	}
	return string(d.Verdict)
}

// plural is "1 metric", "2 metrics".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// firstLine shortens a message of several lines.
func firstLine(s string) string {
	head, _, _ := strings.Cut(s, "\n")
	return head
}
