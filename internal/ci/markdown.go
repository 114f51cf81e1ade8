package ci

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"socsim/internal/check"
)

// maxListed bounds the differences of a scenario that tables list; the JSON document has all.
const maxListed = 8

// Markdown prints a check as a summary: what does not hold first, then a table of all.
func Markdown(w io.Writer, r *check.Report) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "## socsim check: %s\n", r.Digest())
	if r.Interrupted {
		fmt.Fprintf(b, "\n**Interrupted:** what is missing was not checked.\n")
	}
	for _, i := range r.Items {
		if i.Status != check.Passed {
			failure(b, i)
		} else if r.Updated && len(i.Differences) > 0 {
			fmt.Fprintf(b, "\n### %s: baseline rewritten\n", escape(i.Name()))
			tableOf(b, i.Differences)
		}
	}
	fmt.Fprintf(b, "\n| | scenario | strategy | expectations | baseline |\n|---|---|---|---|---|\n")
	for _, i := range r.Items {
		name := i.Scenario
		if name == "" {
			name = i.File
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", i.Status, escape(name), escape(i.Strategy), escape(holds(i)), escape(baseline(i)))
	}
	notes(b, r.Notes)
	return flush(b)
}

func flush(b *bufio.Writer) error {
	if err := b.Flush(); err != nil {
		return fmt.Errorf("printing the summary: %w", err)
	}
	return nil
}

func notes(w io.Writer, all []string) {
	if len(all) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range all {
		fmt.Fprintf(w, "- %s\n", escape(n))
	}
}

func failure(w io.Writer, i *check.Item) {
	fmt.Fprintf(w, "\n### %s: %s\n", escape(i.Name()), i.Status)
	if i.Err != nil {
		fence := "```"
		for strings.Contains(i.Error, fence) {
			fence += "`"
		}
		fmt.Fprintf(w, "\n%s\n%s\n%s\n", fence, i.Error, fence)
	}
	var items []string
	for _, j := range append(append([]check.Judged(nil), i.Expect...), i.Budgets...) {
		if !j.OK && !j.Advisory {
			items = append(items, judged(j))
		}
	}
	if i.Baseline == check.BaselineMissing {
		items = append(items, missing(i))
	}
	notes(w, append(items, i.Notes...))
	if failing := i.FailingDifferences(); len(failing) > 0 {
		tableOf(w, failing)
	}
}

func tableOf(w io.Writer, list []*check.Difference) {
	all, grouped := group(list)
	notes(w, grouped)
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\n| | metric | was | is | change | because of |\n|---|---|--:|--:|--:|---|\n")
	for k, d := range all {
		if k == maxListed {
			fmt.Fprintf(w, "| | and %d more | | | | |\n", len(all)-k)
			break
		}
		moved := ""
		if d.Kind == check.KindChanged && d.Was != nil && d.Now != nil {
			moved = signed(d.Change(), d.Unit)
			if p, ok := d.Permille(); ok {
				moved = percent(p)
			}
		}
		name := d.Metric
		if d.Note != "" {
			name += ": " + d.Note
		}
		was, now := optional(d.Was, d.Unit), optional(d.Now, d.Unit)
		if d.Kind == check.KindViolations || d.Kind == check.KindDetail {
			was, now = "", ""
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", word(d), escape(name), was, now, moved, escape(strings.TrimPrefix(because(d), "because of ")))
	}
}

// escape makes a text fit for a cell or an item: one line, with nothing that Markdown takes for itself.
func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "`", "\\`", "\r", "", "\n", " ").Replace(s)
}

// holds counts the expectations and budgets that hold.
func holds(i *check.Item) string {
	all := append(append([]check.Judged(nil), i.Expect...), i.Budgets...)
	if len(all) == 0 {
		return "none"
	}
	n := 0
	for _, j := range all {
		if j.OK {
			n++
		}
	}
	return fmt.Sprintf("%d of %d", n, len(all))
}

// baseline says in a few words what the baseline said.
func baseline(i *check.Item) string {
	failing := len(i.FailingDifferences())
	tolerated := len(i.Differences) - failing
	text := i.Baseline
	switch i.Baseline {
	case "":
		return "not compared"
	case check.BaselineSame:
		text = plural(i.Compared, "metric") + " the same"
		if tolerated > 0 {
			text = fmt.Sprintf("%s, %d moved as tolerated", plural(i.Compared, "metric"), tolerated)
		}
	case check.BaselineDiffers, check.BaselineWritten:
		text += ": " + plural(failing, "difference")
		if tolerated > 0 {
			text += fmt.Sprintf(", %d tolerated", tolerated)
		}
	}
	return text
}

// TrialMarkdown prints a trial as a summary.
func TrialMarkdown(w io.Writer, t *check.Trial) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "## socsim check: %s\n\n| scenario | verdict | worse | better |\n|---|---|---|---|\n", escape(t.Digest()))
	for _, i := range t.Items {
		name, verdict := i.Scenario, i.Verdict
		if name == "" {
			name = i.File
		}
		if i.Error != "" {
			verdict = string(i.Status) + ": " + firstLine(i.Error)
		}
		worse := append([]string(nil), i.Appears...)
		for _, j := range i.Broken {
			worse = append(worse, judged(j))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", escape(name), escape(verdict), cell(append(worse, moves(i, check.Worse)...)), cell(append(gone(i), moves(i, check.Better)...)))
	}
	notes(b, t.Notes)
	return flush(b)
}

// cell joins lines in a cell.
func cell(lines []string) string {
	for k, l := range lines {
		lines[k] = escape(l)
	}
	return strings.Join(lines, "<br>")
}

func moves(i *check.TrialItem, v check.Verdict) []string {
	var out []string
	for _, d := range i.Moves {
		if d.Verdict == v {
			out = append(out, line(d))
		}
	}
	return out
}

func gone(i *check.TrialItem) []string {
	var out []string
	for _, g := range i.Gone {
		out = append(out, "no more "+g)
	}
	return out
}
