package ci

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"socsim/internal/check"
)

// maxAnnotated bounds the differences named in one annotation: GitHub shows ten annotations a step, so a scenario has one for its baseline.
const maxAnnotated = 5

// GitHub prints a check as workflow commands, which GitHub shows beside the lines they name: one for each expectation, budget and error, and one for all differences of a scenario to its baseline.
func GitHub(w io.Writer, r *check.Report) error {
	return github(w, suitesOf(r), r.Notes, r.Digest())
}

// TrialGitHub prints a trial as workflow commands.
func TrialGitHub(w io.Writer, t *check.Trial) error {
	return github(w, trialSuites(t), t.Notes, t.Digest())
}

func github(w io.Writer, suites []suite, notes []string, digest string) error {
	b := bufio.NewWriter(w)
	for _, s := range suites {
		var differs []testcase
		for _, c := range s.cases {
			switch {
			case c.status == check.Passed || c.skipped:
			case strings.HasPrefix(c.name, "baseline: "):
				differs = append(differs, c)
			default:
				text := c.message
				if c.detail != "" {
					text = c.detail
				}
				annotation(b, "error", c.file, c.line, s.name+": "+c.name, text)
			}
		}
		if len(differs) > 0 {
			annotation(b, "error", differs[0].file, differs[0].line, s.name+": "+plural(len(differs), "difference")+" to the baseline", differences(differs))
		}
	}
	for _, n := range notes {
		annotation(b, "notice", "", 0, "socsim check", n)
	}
	fmt.Fprintf(b, "socsim check: %s\n", digest)
	if err := b.Flush(); err != nil {
		return fmt.Errorf("printing annotations: %w", err)
	}
	return nil
}

func differences(all []testcase) string {
	var lines []string
	for k, c := range all {
		if k == maxAnnotated {
			lines = append(lines, fmt.Sprintf("and %d more", len(all)-k))
			break
		}
		lines = append(lines, c.message)
		if c.detail != "" {
			lines = append(lines, "  "+c.detail)
		}
	}
	return strings.Join(lines, "\n")
}

// annotation prints a workflow command, escaped as GitHub's toolkit does.
func annotation(w io.Writer, level, file string, line int, title, text string) {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var props []string
	if file != "" {
		props = append(props, "file="+property.Replace(file))
	}
	if file != "" && line > 0 {
		props = append(props, fmt.Sprintf("line=%d", line))
	}
	props = append(props, "title="+property.Replace(title))
	fmt.Fprintf(w, "::%s %s::%s\n", level, strings.Join(props, ","), data.Replace(text))
}
