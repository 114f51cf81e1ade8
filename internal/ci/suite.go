package ci

import (
	"fmt"
	"strings"

	"socsim/internal/check"
)

// suite is the check of one scenario as continuous integration sees it: cases that hold or do not.
type suite struct {
	name, file string
	wallNS     int64
	notes      []string
	cases      []testcase
}

// testcase is one thing that holds or does not.
type testcase struct {
	name    string
	status  check.Status
	skipped bool // judged, and fails nothing
	message string
	detail  string // a longer message, "" if there is none
	file    string
	line    int
}

func (s *suite) count(st check.Status) int {
	n := 0
	for _, c := range s.cases {
		if c.status == st && !c.skipped {
			n++
		}
	}
	return n
}

func (s *suite) errors() int { return s.count(check.Invalid) + s.count(check.Unfinished) }

func (s *suite) skipped() int {
	n := 0
	for _, c := range s.cases {
		if c.skipped {
			n++
		}
	}
	return n
}

func (s *suite) ok() bool { return s.count(check.Failed)+s.errors() == 0 }

func suitesOf(r *check.Report) []suite {
	var out []suite
	for _, i := range r.Items {
		out = append(out, suiteOf(i))
	}
	return out
}

func suiteOf(i *check.Item) suite {
	s := suite{name: i.Name(), file: i.File, notes: i.Notes}
	if i.Doc != nil {
		s.wallNS = i.Doc.Host.WallNS
	}
	if i.Err != nil {
		s.cases = append(s.cases, errorCase(i))
	}
	for _, j := range i.Expect {
		s.cases = append(s.cases, judgedCase("expect", j))
	}
	for _, j := range i.Budgets {
		s.cases = append(s.cases, judgedCase("budget", j))
	}
	return withBaseline(s, i)
}

func errorCase(i *check.Item) testcase {
	c := testcase{name: "runs", status: i.Status, message: firstLine(i.Error), detail: i.Error, file: i.File}
	if place := check.Places(i.Err); len(place) > 0 {
		c.file, c.line = place[0].File, place[0].Line
	}
	return c
}

func judgedCase(what string, j check.Judged) testcase {
	c := testcase{name: what + ": " + j.Expr, status: check.Passed, skipped: j.Advisory, file: j.File, line: j.Line}
	if !j.OK {
		c.status, c.message = check.Failed, judged(j)
	}
	if j.Advisory {
		c.message = "not the scenario's own strategy; " + map[bool]string{true: "it holds", false: "it does not hold"}[j.OK]
	}
	return c
}

// withBaseline adds a case for each failing difference, or one that says that there is none.
func withBaseline(s suite, i *check.Item) suite {
	switch i.Baseline {
	case "", check.BaselineUnreadable: // not compared, or the error says it
		return s
	case check.BaselineMissing:
		c := testcase{name: "baseline", status: check.Failed, message: missing(i), file: i.File, line: 1}
		s.cases = append(s.cases, c)
		return s
	case check.BaselineNew, check.BaselineWritten, check.BaselineKept:
		s.cases = append(s.cases, testcase{name: "baseline", status: check.Passed, skipped: true, message: "the baseline is " + i.Baseline})
		return s
	}
	failing := i.FailingDifferences()
	if len(failing) == 0 {
		s.cases = append(s.cases, testcase{name: "baseline: " + plural(i.Compared, "metric"), status: check.Passed})
	}
	for _, d := range failing {
		c := testcase{name: "baseline: " + d.Metric, status: check.Failed, message: word(d) + ": " + line(d), detail: because(d), file: i.BaselineFile, line: max(d.Line, 1)}
		if d.Kind == check.KindViolations {
			c.name = "baseline: violation " + d.Note
		}
		s.cases = append(s.cases, c)
	}
	return s
}

func missing(i *check.Item) string {
	return fmt.Sprintf("no baseline: socsim check --update writes %s", i.BaselineFile)
}

func trialSuites(t *check.Trial) []suite {
	var out []suite
	for _, i := range t.Items {
		s := suite{name: i.Scenario, file: i.File}
		if s.name == "" {
			s.name = i.File
		}
		if i.Error != "" {
			s.cases = append(s.cases, testcase{name: "runs", status: i.Status, message: firstLine(i.Error), detail: i.Error, file: i.File})
			out = append(out, s)
			continue
		}
		for _, d := range i.Docs {
			s.wallNS += d.Host.WallNS
		}
		c := testcase{name: "coherent as under " + t.Base, status: check.Passed, file: i.File, line: 1}
		if len(i.Appears) > 0 {
			c.status, c.message = check.Failed, "becomes incoherent: "+i.Appears[0]
			c.detail = strings.Join(append([]string{c.message}, i.Appears[1:]...), "\n")
		}
		s.cases = append(s.cases, c)
		for _, j := range i.Broken {
			j.Advisory = false
			s.cases = append(s.cases, judgedCase("budget", j))
		}
		s.notes = append(s.notes, "verdict: "+i.Verdict)
		for _, d := range i.Moves {
			s.notes = append(s.notes, word(d)+": "+line(d))
		}
		out = append(out, s)
	}
	return out
}
