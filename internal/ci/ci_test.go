package ci

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"socsim/internal/check"
	"socsim/internal/result"
)

func number(n int64) *result.Number { v := result.Int(n); return &v }

// sample is a check in which everything that can go wrong does.
func sample() *check.Report {
	percent := int64(98)
	doc := &result.Document{Host: result.Host{WallNS: 1_234_567_890}}
	worse := &check.Difference{
		Kind: check.KindChanged, Metric: "maintenance.time_per_frame", Unit: "ns", Was: number(2_066_260), Now: number(2_617_000), Verdict: check.Worse, Line: 111,
		Causes: []check.Cause{{Metric: "maintenance.lines.visited", Unit: "lines", Was: number(2_122_186), Now: number(2_700_000), Percent: &percent}},
	}
	tolerated := &check.Difference{Kind: check.KindChanged, Metric: "cpu.fills", Unit: "lines", Was: number(5), Now: number(4), Verdict: check.Better, Tolerated: "cpu.fills 50%"}
	broken := errors.New("baselines/c.range.json:3:1: the baseline is no JSON\nsecond | line")
	return &check.Report{
		Items: []*check.Item{
			{File: "a.yaml", Scenario: "a", Strategy: "range", Status: check.Passed, Baseline: check.BaselineSame, Compared: 99, Doc: doc, Expect: []check.Judged{{Expr: "cpu.busy < 1", OK: true, Value: number(0), File: "a.yaml", Line: 9}}},
			{
				File: "b,1:2.yaml", Scenario: "b", Strategy: "nvmap(inner=1MiB)", Status: check.Failed, Baseline: check.BaselineDiffers, BaselineFile: "baselines/b.json", Compared: 99, Doc: doc,
				Expect:      []check.Judged{{Expr: "m < 4", Value: number(5), Unit: "count", File: "b,1:2.yaml", Line: 7}, {Expr: "n == 0", Value: number(1), Advisory: true}, {Expr: "absent == 0", File: "b,1:2.yaml", Line: 8}},
				Budgets:     []check.Judged{{Expr: "m <= 100", Value: number(500), Unit: "count", File: "check.yaml", Line: 3}},
				Differences: []*check.Difference{worse, {Kind: check.KindViolations, Metric: "violations", Verdict: check.Worse, Note: "appears: stale_cpu_read of lost#1, missing: a | b"}, tolerated},
				Notes:       []string{"the scenario <itself> changed"},
			},
			{File: "c.yaml", Scenario: "c", Strategy: "range", Status: check.Invalid, Baseline: check.BaselineUnreadable, Doc: doc, Err: broken, Error: broken.Error()},
			{File: "d.yaml", Scenario: "d", Strategy: "range", Status: check.Failed, Baseline: check.BaselineMissing, BaselineFile: "baselines/d.range.json", Doc: doc},
			{File: "e.yaml", Scenario: "e", Strategy: "range", Status: check.Unfinished, Err: errors.New("interrupted"), Error: "interrupted"},
		},
		Notes: []string{"part.yaml is not checked: 100% sure"},
	}
}

func sampleTrial() *check.Trial {
	docs := [2]*result.Document{{}, {}}
	return &check.Trial{
		Base: "range", Proposed: "none",
		Items: []*check.TrialItem{
			{
				File: "a.yaml", Scenario: "a", Status: check.Failed, Verdict: check.Incoherent, Docs: docs, Appears: []string{"stale_cpu_read of x | y"},
				Moves: []*check.Difference{{Kind: check.KindChanged, Metric: "overhead.time_per_frame", Unit: "ns", Was: number(2_000_000), Now: number(0), Verdict: check.Better}},
			},
			{File: "b.yaml", Scenario: "b", Status: check.Failed, Verdict: check.OverBudget, Docs: docs, Broken: []check.Judged{{Expr: "m <= 1", Value: number(2), File: "check.yaml", Line: 4}}},
			{File: "c.yaml", Scenario: "c", Status: check.Passed, Verdict: check.Same, Docs: docs, Gone: []string{"old"}},
			{File: "d.yaml", Status: check.Invalid, Error: "d.yaml:1:1: wrong"},
		},
	}
}

func printed(t *testing.T, print func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func both(t *testing.T, of func(w io.Writer, r *check.Report) error, ofTrial func(w io.Writer, t *check.Trial) error, test func(t *testing.T, text string)) {
	t.Run("check", func(t *testing.T) { test(t, printed(t, func(w io.Writer) error { return of(w, sample()) })) })
	t.Run("trial", func(t *testing.T) { test(t, printed(t, func(w io.Writer) error { return ofTrial(w, sampleTrial()) })) })
	t.Run("nothing", func(t *testing.T) { test(t, printed(t, func(w io.Writer) error { return of(w, &check.Report{}) })) })
}

// ktapTest is a test of a KTAP document with its subtests.
type ktapTest struct {
	name      string
	ok        bool
	directive string
	sub       []ktapTest
}

var (
	ktapPlan   = regexp.MustCompile(`^1\.\.(\d+)$`)
	ktapResult = regexp.MustCompile(`^(ok|not ok) (\d+)(?: ([^#]*[^# ]))?(?: # (SKIP|TODO|XFAIL|TIMEOUT|ERROR)(?: (.*))?)?$`)
)

// parseKTAP reads a document by the grammar of KTAP version 1 and nothing else: version line, plan, results numbered from 1, diagnostic lines, and nested tests indented by two blanks, ended by the
// result of their parent.
func parseKTAP(lines []string, indent string) (tests []ktapTest, rest []string, err error) {
	next := func() string { return strings.TrimPrefix(lines[0], indent) }
	if len(lines) == 0 || lines[0] != indent+"KTAP version 1" {
		return nil, nil, fmt.Errorf("no version line at %q", lines)
	}
	lines = lines[1:]
	m := ktapPlan.FindStringSubmatch(next())
	if m == nil || !strings.HasPrefix(lines[0], indent) {
		return nil, nil, fmt.Errorf("no plan: %q", lines[0])
	}
	planned, _ := strconv.Atoi(m[1])
	lines = lines[1:]
	var sub []ktapTest
	for len(lines) > 0 && strings.HasPrefix(lines[0], indent) {
		l := next()
		switch {
		case strings.HasPrefix(l, "# "):
			lines = lines[1:]
		case strings.HasPrefix(l, "  KTAP"):
			if sub != nil {
				return nil, nil, fmt.Errorf("two nested documents before a result: %q", l)
			}
			if sub, lines, err = parseKTAP(lines, indent+"  "); err != nil {
				return nil, nil, err
			}
		default:
			r := ktapResult.FindStringSubmatch(l)
			if r == nil {
				return nil, nil, fmt.Errorf("neither a result nor a diagnostic: %q", l)
			}
			if n, _ := strconv.Atoi(r[2]); n != len(tests)+1 {
				return nil, nil, fmt.Errorf("number %d, want %d: %q", n, len(tests)+1, l)
			}
			test := ktapTest{name: r[3], ok: r[1] == "ok", directive: r[4], sub: sub}
			if sub != nil && test.ok == slices.ContainsFunc(sub, func(s ktapTest) bool { return !s.ok }) {
				return nil, nil, fmt.Errorf("%q does not follow from its subtests", l)
			}
			tests, sub, lines = append(tests, test), nil, lines[1:]
		}
	}
	if len(tests) != planned {
		return nil, nil, fmt.Errorf("%d tests, planned were %d", len(tests), planned)
	}
	return tests, lines, nil
}

func TestKTAPFollowsItsGrammar(t *testing.T) {
	both(t, KTAP, TrialKTAP, func(t *testing.T, text string) {
		_, rest, err := parseKTAP(strings.Split(strings.TrimSuffix(text, "\n"), "\n"), "")
		if err != nil || len(rest) > 0 {
			t.Errorf("%v, rest %q\n%s", err, rest, text)
		}
	})
}

func TestKTAPHasATestForEachScenarioAndASubtestForEachThingJudged(t *testing.T) {
	text := printed(t, func(w io.Writer) error { return KTAP(w, sample()) })
	tests, _, err := parseKTAP(strings.Split(strings.TrimSuffix(text, "\n"), "\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, test := range tests {
		for _, s := range test.sub {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s / %s: %v %s", test.name, s.name, s.ok, s.directive)))
		}
	}
	want := []string{
		"a range / expect: cpu.busy < 1: true", "a range / baseline: 99 metrics: true",
		"b nvmap(inner=1MiB) / expect: m < 4: false", "b nvmap(inner=1MiB) / expect: n == 0: true SKIP", "b nvmap(inner=1MiB) / expect: absent == 0: false", "b nvmap(inner=1MiB) / budget: m <= 100: false",
		"b nvmap(inner=1MiB) / baseline: maintenance.time_per_frame: false", "b nvmap(inner=1MiB) / baseline: violation appears: stale_cpu_read of lostNo.1, missing: a | b: false",
		"c range / runs: false ERROR", "d range / baseline: false", "e range / runs: false ERROR",
	}
	if !slices.Equal(got, want) {
		t.Errorf("tests\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(text, "  # because of maintenance.lines.visited 2 122 186 -> 2 700 000 (98%)\n  not ok 5 ") {
		t.Errorf("the cause is not before its result:\n%s", text)
	}
}

// junitRules are junit-10.xsd of Jenkins' xUnit plugin: the children and attributes that an element may have, and the attributes that it must. Elements with text hold nothing else.
var junitRules = map[string]struct{ children, may, must []string }{
	"testsuites": {[]string{"testsuite"}, []string{"name", "time", "tests", "failures", "errors"}, nil},
	"testsuite":  {[]string{"testsuite", "properties", "testcase", "system-out", "system-err"}, []string{"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"}, []string{"name", "tests", "failures", "errors"}},
	"testcase":   {[]string{"skipped", "error", "failure", "system-out", "system-err"}, []string{"time", "classname", "group"}, []string{"name"}},
	"failure":    {nil, []string{"type", "message"}, nil},
	"error":      {nil, []string{"type", "message"}, nil},
	"skipped":    {nil, []string{"type", "message"}, nil},
	"system-out": {nil, nil, nil},
}

// surefireTime is the schema's pattern of times.
var surefireTime = regexp.MustCompile(`^(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?$`)

type element struct {
	name     string
	attrs    map[string]string
	children []element
}

func parseXML(t *testing.T, text string) element {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(text))
	root := element{}
	stack := []*element{&root}
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := element{name: x.Name.Local, attrs: map[string]string{}}
			for _, a := range x.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			top := stack[len(stack)-1]
			top.children = append(top.children, e)
			stack = append(stack, &top.children[len(top.children)-1])
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			holder := stack[len(stack)-1].name
			if s := strings.TrimSpace(string(x)); s != "" && !slices.Contains([]string{"failure", "error", "skipped", "system-out"}, holder) {
				t.Errorf("text %q in %s", s, holder)
			}
		}
	}
	if len(root.children) != 1 || root.children[0].name != "testsuites" {
		t.Fatalf("root is %+v", root.children)
	}
	return root.children[0]
}

func validate(t *testing.T, e element) {
	t.Helper()
	rule, known := junitRules[e.name]
	if !known {
		t.Errorf("unknown element %s", e.name)
		return
	}
	for _, a := range rule.must {
		if _, ok := e.attrs[a]; !ok {
			t.Errorf("%s without %s", e.name, a)
		}
	}
	for a, v := range e.attrs {
		if !slices.Contains(rule.may, a) && !slices.Contains(rule.must, a) {
			t.Errorf("%s has no attribute %s", e.name, a)
		}
		if a == "time" && !surefireTime.MatchString(v) {
			t.Errorf("time %q", v)
		}
	}
	for _, c := range e.children {
		if !slices.Contains(rule.children, c.name) {
			t.Errorf("%s in %s", c.name, e.name)
		}
		validate(t, c)
	}
}

func TestJUnitIsValidAndItsCountsAreThoseOfItsCases(t *testing.T) {
	both(t, JUnit, TrialJUnit, func(t *testing.T, text string) {
		root := parseXML(t, text)
		validate(t, root)
		totals := map[string]int{}
		for _, s := range root.children {
			n := map[string]int{}
			for _, c := range s.children {
				if c.name != "testcase" {
					continue
				}
				n["tests"]++
				for _, m := range c.children {
					n[map[string]string{"failure": "failures", "error": "errors", "skipped": "skipped"}[m.name]]++
				}
			}
			for _, k := range []string{"tests", "failures", "errors", "skipped"} {
				if s.attrs[k] != strconv.Itoa(n[k]) {
					t.Errorf("%s: %s=%s, there are %d", s.attrs["name"], k, s.attrs[k], n[k])
				}
				totals[k] += n[k]
			}
		}
		for _, k := range []string{"tests", "failures", "errors"} {
			if root.attrs[k] != strconv.Itoa(totals[k]) {
				t.Errorf("all: %s=%s, there are %d", k, root.attrs[k], totals[k])
			}
		}
	})
}

func TestAnAnnotationPointsToItsLineAndIsEscaped(t *testing.T) {
	got := printed(t, func(w io.Writer) error { return GitHub(w, sample()) })
	want := `::error file=b%2C1%3A2.yaml,line=7,title=b nvmap(inner=1MiB)%3A expect%3A m < 4::m < 4: it is 5
::error file=b%2C1%3A2.yaml,line=8,title=b nvmap(inner=1MiB)%3A expect%3A absent == 0::absent == 0: the run has no such metric
::error file=check.yaml,line=3,title=b nvmap(inner=1MiB)%3A budget%3A m <= 100::m <= 100: it is 500
::error file=baselines/b.json,line=111,title=b nvmap(inner=1MiB)%3A 2 differences to the baseline::worse: maintenance.time_per_frame 2.07 ms -> 2.62 ms (+550.7 us, +26.7%25)%0A  because of maintenance.lines.visited 2 122 186 -> 2 700 000 (98%25)%0Aworse: violations: appears: stale_cpu_read of lost#1, missing: a | b
::error file=c.yaml,title=c range%3A runs::baselines/c.range.json:3:1: the baseline is no JSON%0Asecond | line
::error file=d.yaml,line=1,title=d range%3A baseline::no baseline: socsim check --update writes baselines/d.range.json
::error file=e.yaml,title=e range%3A runs::interrupted
::notice title=socsim check::part.yaml is not checked: 100%25 sure
socsim check: 1 of 5 hold, 2 failed, 1 invalid, 1 unfinished
`
	if got != want {
		t.Errorf("annotations\n%s\nwant\n%s", got, want)
	}
	// Each command is one line.
	for l := range strings.Lines(printed(t, func(w io.Writer) error { return TrialGitHub(w, sampleTrial()) })) {
		if !regexp.MustCompile(`^(::(error|notice) (file=[^,:]+,(line=\d+,)?)?title=[^:,]+::.+|socsim check: .+)\n$`).MatchString(l) {
			t.Errorf("line %q", l)
		}
	}
}

// cells splits a row of a Markdown table at the bars that are not escaped.
func cells(row string) int {
	n := 0
	for i := range row {
		if row[i] == '|' && (i == 0 || row[i-1] != '\\') {
			n++
		}
	}
	return n - 1
}

func TestMarkdownTablesHaveTheSameNumberOfCellsInEachRow(t *testing.T) {
	both(t, Markdown, TrialMarkdown, func(t *testing.T, text string) {
		if !strings.HasPrefix(text, "## socsim check: ") {
			t.Errorf("no heading in\n%s", text)
		}
		width, before := 0, ""
		for l := range strings.SplitSeq(text, "\n") {
			switch {
			case !strings.HasPrefix(l, "|"):
				width = 0
			case width == 0:
				width = cells(l)
				if before != "" {
					t.Errorf("a table that follows text without a blank line: %q", before)
				}
			case cells(l) != width || !strings.HasSuffix(l, "|"):
				t.Errorf("%d cells, want %d: %s", cells(l), width, l)
			}
			if strings.Contains(l, "<itself>") {
				t.Errorf("not escaped: %s", l)
			}
			before = l
			if strings.HasPrefix(l, "|") {
				before = ""
			}
		}
	})
}

func TestATableTellsWhatDoesNotHoldAndWhy(t *testing.T) {
	got := printed(t, func(w io.Writer) error { return Table(w, sample(), false) })
	want := `ok         a range              expectations 1 of 1; baseline 99 metrics the same
FAIL       b nvmap(inner=1MiB)  expectations 0 of 4; baseline differs: 2 differences, 1 tolerated
  b,1:2.yaml:7: expect m < 4: it is 5
  (not its own strategy) expect n == 0: it is 1
  b,1:2.yaml:8: expect absent == 0: the run has no such metric
  check.yaml:3: budget m <= 100: it is 500
  note: the scenario <itself> changed
  worse    maintenance.time_per_frame 2.07 ms -> 2.62 ms (+550.7 us, +26.7%)
           because of maintenance.lines.visited 2 122 186 -> 2 700 000 (98%)
  worse    violations: appears: stale_cpu_read of lost#1, missing: a | b
invalid    c range              expectations none; baseline unreadable
  baselines/c.range.json:3:1: the baseline is no JSON
  second | line
FAIL       d range              expectations none; baseline missing
  no baseline: socsim check --update writes baselines/d.range.json
unfinished e range
  interrupted
note: part.yaml is not checked: 100% sure
1 of 5 hold, 2 failed, 1 invalid, 1 unfinished
`
	if got != want {
		t.Errorf("table\n%s\nwant\n%s", got, want)
	}
	if quiet := printed(t, func(w io.Writer) error { return Table(w, sample(), true) }); strings.Contains(quiet, "a range") || !strings.Contains(quiet, "FAIL") {
		t.Errorf("quiet table\n%s", quiet)
	}
}

func TestATrialsTableGivesTheVerdictOfEachScenario(t *testing.T) {
	got := printed(t, func(w io.Writer) error { return TrialTable(w, sampleTrial(), false) })
	want := `a       incoherent (FAIL)
  worse    becomes incoherent: stale_cpu_read of x | y
  better   overhead.time_per_frame 2.00 ms -> 0 (-2.00 ms, -100.0%)
b       over budget (FAIL)
  worse    check.yaml:4: budget m <= 1: it is 2
c       same
  better   no more old
d.yaml  invalid: d.yaml:1:1: wrong
none against range in 4 scenarios: incoherent in 1, over budget in 1, same in 1, invalid: 1
`
	if got != want {
		t.Errorf("table\n%s\nwant\n%s", got, want)
	}
}

func TestCSVAndJSONHaveEverythingThatWasFound(t *testing.T) {
	both(t, CSV, TrialCSV, func(t *testing.T, text string) {
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range []string{"maintenance.time_per_frame", "incoherent"} {
			if len(rows) > 1 && strings.Contains(text, w) {
				return
			}
		}
		if len(rows) > 1 {
			t.Errorf("rows\n%s", text)
		}
	})
	both(t, JSON, TrialJSON, func(t *testing.T, text string) {
		var doc struct {
			Schema string
			Digest string
			Items  []struct{ File, Status string }
		}
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(doc.Schema, "socsim.") || doc.Digest == "" || len(doc.Items) > 0 && (doc.Items[0].File != "a.yaml" || doc.Items[0].Status == "") {
			t.Errorf("document\n%s", text)
		}
	})
}

func TestValuesArePrintedInReadableUnits(t *testing.T) {
	for _, c := range []struct {
		n    result.Number
		unit string
		want string
	}{
		{result.Int(2_066_260), "ns", "2.07 ms"},
		{result.Number{Int: 2237, Digits: 1}, "ns", "223.7 ns"},
		{result.Int(10_745_088), "bytes", "10.2 MiB"},
		{result.Number{Int: 434299, Digits: 6}, "fraction", "43.4299%"},
		{result.Number{Int: 10632, Digits: 4}, "ratio", "1.0632"},
		{result.Int(2_122_186), "lines", "2 122 186"},
	} {
		if got := quantity(c.n, c.unit); got != c.want {
			t.Errorf("%v %s is printed %q, want %q", c.n, c.unit, got, c.want)
		}
	}
	if got := signed(result.Number{Int: -1500, Digits: 6}, "fraction"); got != "-0.15 points" {
		t.Errorf("a change of a fraction is printed %q", got)
	}
}

func TestManyNewMetricsAreNamedInALine(t *testing.T) {
	var all []*check.Difference
	for _, m := range []string{"a", "b", "c", "d"} {
		all = append(all, &check.Difference{Kind: check.KindNew, Metric: m, Now: number(1)})
	}
	all = append(all, &check.Difference{Kind: check.KindVanished, Metric: "old", Was: number(1)}, &check.Difference{Kind: check.KindVanished, Metric: "e", Was: number(1), Note: "renamed to a?"})
	rest, lines := group(all)
	if len(rest) != 2 || len(lines) != 1 || lines[0] != "new      4 metrics that the baseline lacks: a, b, c, d" {
		t.Errorf("%d differences, lines %q", len(rest), lines)
	}
	report := &check.Report{Items: []*check.Item{{Scenario: "s", Status: check.Failed, Baseline: check.BaselineDiffers, Differences: all, Doc: &result.Document{}}}}
	for name, print := range map[string]func(io.Writer) error{
		"table": func(w io.Writer) error { return Table(w, report, false) }, "markdown": func(w io.Writer) error { return Markdown(w, report) },
	} {
		if text := printed(t, print); !strings.Contains(text, lines[0]) {
			t.Errorf("%s\n%s", name, text)
		}
	}
}
