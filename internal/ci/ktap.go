package ci

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"socsim/internal/check"
)

// KTAP prints a check as KTAP version 1: a test for each scenario and strategy, and in it a subtest for each thing that is judged.
func KTAP(w io.Writer, r *check.Report) error { return ktap(w, suitesOf(r), r.Notes) }

// TrialKTAP prints a trial as KTAP.
func TrialKTAP(w io.Writer, t *check.Trial) error {
	return ktap(w, trialSuites(t), append(t.Notes, t.Digest()))
}

func ktap(w io.Writer, suites []suite, notes []string) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "KTAP version 1\n1..%d\n", len(suites))
	for n, s := range suites {
		fmt.Fprintf(b, "  KTAP version 1\n  1..%d\n", len(s.cases))
		for k, c := range s.cases {
			if c.status != check.Passed && !c.skipped {
				if !strings.HasPrefix(c.detail, c.message) {
					diagnostics(b, "  ", c.message)
				}
				diagnostics(b, "  ", c.detail)
			}
			fmt.Fprintf(b, "  %s %d %s%s\n", outcome(c.status == check.Passed || c.skipped), k+1, description(c.name), directive(c))
		}
		for _, note := range s.notes {
			diagnostics(b, "", note)
		}
		fmt.Fprintf(b, "%s %d %s\n", outcome(s.ok()), n+1, description(s.name))
	}
	for _, note := range notes {
		diagnostics(b, "", note)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("printing KTAP: %w", err)
	}
	return nil
}

func outcome(ok bool) string {
	if ok {
		return "ok"
	}
	return "not ok"
}

// directive ends the line of a test that was skipped or could not be run.
func directive(c testcase) string {
	switch {
	case c.skipped:
		return " # SKIP " + description(c.message)
	case c.status == check.Invalid || c.status == check.Unfinished:
		return " # ERROR " + description(firstLine(c.message))
	}
	return ""
}

// description makes a text fit for a result line, which a hash sign or a line feed would end.
func description(s string) string {
	return strings.NewReplacer("#", "No.", "\n", " ", "\r", " ").Replace(s)
}

func diagnostics(w io.Writer, indent, text string) {
	if text == "" {
		return
	}
	for l := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(w, "%s# %s\n", indent, strings.ReplaceAll(l, "\r", ""))
	}
}
