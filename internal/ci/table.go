package ci

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"socsim/internal/check"
	"socsim/internal/result"
)

// Table prints a check for people: a line for each scenario and strategy, and below it what does not hold and why. A quiet one has only what does not hold.
func Table(w io.Writer, r *check.Report, quiet bool) error {
	b := bufio.NewWriter(w)
	width := 0
	for _, i := range r.Items {
		width = max(width, len(i.Name()))
	}
	for _, i := range r.Items {
		if quiet && i.Status == check.Passed {
			continue
		}
		label := string(i.Status)
		if i.Status == check.Failed {
			label = "FAIL"
		}
		fmt.Fprintln(b, strings.TrimRight(fmt.Sprintf("%-10s %-*s  %s", label, width, i.Name(), summary(i)), " "))
		if i.Err != nil {
			fmt.Fprintf(b, "  %s\n", strings.ReplaceAll(i.Error, "\n", "\n  "))
		}
		for _, l := range failures(i) {
			fmt.Fprintf(b, "  %s\n", l)
		}
		if i.Status != check.Passed || i.Baseline == check.BaselineWritten {
			for _, n := range i.Notes {
				fmt.Fprintf(b, "  note: %s\n", n)
			}
			list(b, i)
		} else if !quiet {
			for _, n := range i.Notes {
				fmt.Fprintf(b, "  note: %s\n", n)
			}
		}
	}
	if !quiet {
		for _, n := range r.Notes {
			fmt.Fprintf(b, "note: %s\n", n)
		}
	}
	fmt.Fprintln(b, r.Digest())
	return flush(b)
}

// summary is what a line says of an item.
func summary(i *check.Item) string {
	if i.Doc == nil {
		return ""
	}
	return fmt.Sprintf("expectations %s; baseline %s", holds(i), baseline(i))
}

// failures lists the expectations and budgets that do not hold.
func failures(i *check.Item) []string {
	var out []string
	for _, j := range i.Expect {
		switch {
		case !j.OK && j.Advisory:
			out = append(out, "(not its own strategy) expect "+judged(j))
		case !j.OK:
			out = append(out, fmt.Sprintf("%s:%d: expect %s", j.File, j.Line, judged(j)))
		}
	}
	for _, j := range i.Budgets {
		if !j.OK {
			out = append(out, fmt.Sprintf("%s:%d: budget %s", j.File, j.Line, judged(j)))
		}
	}
	if i.Baseline == check.BaselineMissing {
		out = append(out, missing(i))
	}
	return out
}

// list prints the gravest differences with their causes.
func list(w io.Writer, i *check.Item) {
	failing, grouped := group(i.FailingDifferences())
	for _, g := range grouped {
		fmt.Fprintf(w, "  %s\n", g)
	}
	for k, d := range failing {
		if k == maxListed {
			fmt.Fprintf(w, "  and %s more; --format json lists all\n", plural(len(failing)-k, "difference"))
			break
		}
		fmt.Fprintf(w, "  %-7s  %s\n", word(d), line(d))
		if why := because(d); why != "" {
			fmt.Fprintf(w, "           %s\n", why)
		}
	}
}

// maxAlone bounds the metrics of a kind that have a line each where they are new or gone: a release brings them by the dozen.
const maxAlone = 3

// group takes the new metrics and those that are gone out of a list of differences where there are many, and says of them in a line each which they are.
func group(all []*check.Difference) (rest []*check.Difference, lines []string) {
	rest = all
	for _, g := range []struct{ kind, text string }{{check.KindNew, "new      %s that the baseline lacks: %s"}, {check.KindVanished, "gone     %s that the run lacks: %s"}} {
		var names []string
		var others []*check.Difference
		for _, d := range rest {
			if d.Kind == g.kind && d.Note == "" {
				names = append(names, d.Metric)
			} else {
				others = append(others, d)
			}
		}
		if len(names) > maxAlone {
			rest = others
			lines = append(lines, fmt.Sprintf(g.text, plural(len(names), "metric"), strings.Join(names, ", ")))
		}
	}
	return rest, lines
}

// TrialTable prints a trial for people.
func TrialTable(w io.Writer, t *check.Trial, quiet bool) error {
	b := bufio.NewWriter(w)
	width := 0
	for _, i := range t.Items {
		width = max(width, len(i.Scenario), len(i.File))
	}
	for _, i := range t.Items {
		if quiet && i.Status == check.Passed {
			continue
		}
		name, verdict := i.Scenario, i.Verdict
		if name == "" {
			name = i.File
		}
		if i.Error != "" {
			verdict = string(i.Status) + ": " + strings.ReplaceAll(i.Error, "\n", "\n  ")
		}
		if i.Status == check.Failed {
			verdict += " (FAIL)"
		}
		fmt.Fprintf(b, "%-*s  %s\n", width, name, verdict)
		for _, v := range i.Appears {
			fmt.Fprintf(b, "  worse    becomes incoherent: %s\n", v)
		}
		for _, v := range i.Gone {
			fmt.Fprintf(b, "  better   no more %s\n", v)
		}
		for _, j := range i.Broken {
			fmt.Fprintf(b, "  worse    %s:%d: budget %s\n", j.File, j.Line, judged(j))
		}
		for _, d := range i.Moves {
			fmt.Fprintf(b, "  %-7s  %s\n", word(d), line(d))
			if why := because(d); why != "" && d.Causes[0].Percent != nil {
				fmt.Fprintf(b, "           %s\n", why)
			}
		}
	}
	if !quiet {
		for _, n := range t.Notes {
			fmt.Fprintf(b, "note: %s\n", n)
		}
	}
	fmt.Fprintln(b, t.Digest())
	return flush(b)
}

// Schemas of the JSON documents.
const (
	checkSchema = "socsim.check/v1"
	trialSchema = "socsim.trial/v1"
)

// JSON prints a check as a document.
func JSON(w io.Writer, r *check.Report) error {
	return encode(w, struct {
		Schema      string        `json:"schema"`
		Digest      string        `json:"digest"`
		Interrupted bool          `json:"interrupted"`
		Items       []*check.Item `json:"items"`
		Notes       []string      `json:"notes"`
	}{checkSchema, r.Digest(), r.Interrupted, r.Items, append([]string{}, r.Notes...)})
}

// TrialJSON prints a trial as a document.
func TrialJSON(w io.Writer, t *check.Trial) error {
	return encode(w, struct {
		Schema string `json:"schema"`
		Digest string `json:"digest"`
		*check.Trial
	}{trialSchema, t.Digest(), t})
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("printing the document: %w", err)
	}
	return nil
}

// CSV prints a row for each judged line and each difference of a check.
func CSV(w io.Writer, r *check.Report) error {
	rows := [][]string{{"file", "scenario", "strategy", "status", "kind", "name", "was", "now", "unit", "verdict", "tolerated"}}
	for _, i := range r.Items {
		row := func(kind, name string, was, now *result.Number, unit, verdict, tolerated string) {
			rows = append(rows, []string{i.File, i.Scenario, i.Strategy, string(i.Status), kind, name, plain(was), plain(now), unit, verdict, tolerated})
		}
		if i.Err != nil {
			row("error", i.Error, nil, nil, "", "", "")
		}
		for _, k := range []struct {
			kind string
			list []check.Judged
		}{{"expect", i.Expect}, {"budget", i.Budgets}} {
			for _, j := range k.list {
				row(k.kind, j.Expr, nil, j.Value, j.Unit, holdsWord(j), "")
			}
		}
		if i.Baseline != "" {
			row("baseline", i.Baseline, nil, nil, "", "", "")
		}
		for _, d := range i.Differences {
			name := d.Metric
			if d.Note != "" {
				name += ": " + d.Note
			}
			row(d.Kind, name, d.Was, d.Now, d.Unit, string(d.Verdict), d.Tolerated)
		}
	}
	return writeCSV(w, rows)
}

func holdsWord(j check.Judged) string {
	switch {
	case j.OK:
		return "holds"
	case j.Advisory:
		return "advisory"
	}
	return "fails"
}

// TrialCSV prints a row for each thing that a trial found.
func TrialCSV(w io.Writer, t *check.Trial) error {
	rows := [][]string{{"file", "scenario", "base", "proposed", "verdict", "kind", "name", "was", "now", "unit", "for"}}
	for _, i := range t.Items {
		row := func(kind, name string, was, now *result.Number, unit, v string) {
			rows = append(rows, []string{i.File, i.Scenario, t.Base, t.Proposed, i.Verdict, kind, name, plain(was), plain(now), unit, v})
		}
		if i.Error != "" {
			row("error", i.Error, nil, nil, "", "")
		}
		for _, v := range i.Appears {
			row("violation", v, nil, nil, "", string(check.Worse))
		}
		for _, v := range i.Gone {
			row("violation", v, nil, nil, "", string(check.Better))
		}
		for _, j := range i.Broken {
			row("budget", j.Expr, nil, j.Value, j.Unit, string(check.Worse))
		}
		for _, d := range i.Moves {
			row("move", d.Metric, d.Was, d.Now, d.Unit, string(d.Verdict))
		}
	}
	return writeCSV(w, rows)
}

func writeCSV(w io.Writer, rows [][]string) error {
	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("printing CSV: %w", err)
	}
	return nil
}

func plain(n *result.Number) string {
	if n == nil {
		return ""
	}
	return n.String()
}
