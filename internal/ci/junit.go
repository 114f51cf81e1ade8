package ci

import (
	"encoding/xml"
	"fmt"
	"io"

	"socsim/internal/check"
)

type xmlSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Name     string     `xml:"name,attr"`
	Time     string     `xml:"time,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Suites   []xmlSuite `xml:"testsuite"`
}

type xmlSuite struct {
	Name     string    `xml:"name,attr"`
	Tests    int       `xml:"tests,attr"`
	Failures int       `xml:"failures,attr"`
	Errors   int       `xml:"errors,attr"`
	Skipped  int       `xml:"skipped,attr"`
	Time     string    `xml:"time,attr"`
	File     string    `xml:"file,attr"`
	Cases    []xmlCase `xml:"testcase"`
	Out      string    `xml:"system-out,omitempty"`
}

type xmlCase struct {
	Name    string      `xml:"name,attr"`
	Class   string      `xml:"classname,attr"`
	Time    string      `xml:"time,attr"`
	Skipped *xmlMessage `xml:"skipped"`
	Error   *xmlMessage `xml:"error"`
	Failure *xmlMessage `xml:"failure"`
}

type xmlMessage struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit prints a check as JUnit XML: a test suite for each scenario and strategy. Times are the host's.
func JUnit(w io.Writer, r *check.Report) error { return junit(w, suitesOf(r)) }

// TrialJUnit prints a trial as JUnit XML.
func TrialJUnit(w io.Writer, t *check.Trial) error { return junit(w, trialSuites(t)) }

func junit(w io.Writer, suites []suite) error {
	out := xmlSuites{Name: "socsim check"}
	var total int64
	for _, s := range suites {
		x := xmlSuite{Name: s.name, Tests: len(s.cases), Failures: s.count(check.Failed), Errors: s.errors(), Skipped: s.skipped(), Time: seconds(s.wallNS), File: s.file}
		for _, note := range s.notes {
			x.Out += note + "\n"
		}
		for k, c := range s.cases {
			y := xmlCase{Name: c.name, Class: s.name, Time: seconds(0)}
			if k == 0 {
				y.Time = seconds(s.wallNS) // the run is that of all cases
			}
			m := &xmlMessage{Type: string(c.status), Message: c.message, Text: c.detail}
			switch {
			case c.skipped:
				y.Skipped = &xmlMessage{Message: c.message}
			case c.status == check.Failed:
				y.Failure = m
			case c.status != check.Passed:
				y.Error = m
			}
			x.Cases = append(x.Cases, y)
		}
		out.Suites = append(out.Suites, x)
		out.Tests, out.Failures, out.Errors, total = out.Tests+x.Tests, out.Failures+x.Failures, out.Errors+x.Errors, total+s.wallNS
	}
	out.Time = seconds(total)
	data, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return fmt.Errorf("printing JUnit XML: %w", err)
	}
	if _, err := fmt.Fprintf(w, "%s%s\n", xml.Header, data); err != nil {
		return fmt.Errorf("printing JUnit XML: %w", err)
	}
	return nil
}

// seconds prints host time to the millisecond.
func seconds(ns int64) string { return fmt.Sprintf("%d.%03d", ns/1e9, ns/1e6%1e3) }
