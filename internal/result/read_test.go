package result

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocumentsReadBackAsTheyWerePrinted(t *testing.T) {
	one := &Document{Schema: Schema, Scenario: "a", Estimated: []string{}, Expect: []Expectation{}, Violations: []Violation{}}
	one.Set("cpu.time.idle", "ns", Number{Int: 1234567, Digits: 3})
	two := &Document{Schema: Schema, Scenario: "b", Estimated: []string{"x"}, Expect: []Expectation{{Expr: "a == 0"}}, Metrics: map[string]Metric{}, Violations: []Violation{{Kind: "k", Count: 3}}}
	for _, docs := range [][]*Document{{one}, {one, two}} {
		var b bytes.Buffer
		if err := Write(&b, docs); err != nil {
			t.Fatal(err)
		}
		got, err := Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(docs, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

func TestWhatIsNoDocumentIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "empty",
		"[]":                       "no document",
		"{":                        "not JSON, at byte 1",
		`{"schema": "other/v1"}`:   `its schema is "other/v1"`,
		`[null]`:                   "item 0 is not a result document",
		`{"seed": "many"}`:         "not a result document",
		`[{"schema":""}] trailing`: "not JSON",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
