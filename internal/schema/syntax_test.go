package schema_test

import (
	"encoding"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"socsim/internal/conf"
	"socsim/internal/scenario"
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/dram"
	"socsim/soc/graph"
)

// quantities are the types with a syntax.
var quantities = []interface {
	encoding.TextUnmarshaler
	conf.Syntax
}{
	new(sim.Time), new(units.Bytes), new(units.Hertz), new(units.Fraction), new(units.CyclesPerByte), new(units.Cycles), new(dram.Burst), new(graph.Size), new(graph.Window), new(graph.Touches), new(graph.Trace),
}

func TestEveryQuantityOfTheLanguageIsTestedHere(t *testing.T) {
	tested := map[string]bool{}
	for _, q := range quantities {
		what, _, _ := q.Syntax()
		tested[what] = true
	}
	used := map[string]bool{}
	scenario.Describe().Walk(func(path string, s conf.Setting) {
		if used[s.What] = true; s.Kind == conf.Quantity && !tested[s.What] {
			t.Errorf("%s: a quantity %q is not tested: does its type describe its Syntax?", path, s.What)
		}
	})
	for what := range tested {
		if !used[what] {
			t.Errorf("no setting is a %s", what)
		}
	}
}

// tooMuch matches the errors of values that no pattern tells apart; so does tooLong the numbers of pixels.
var (
	tooMuch = regexp.MustCompile(`too large|finer than|more than`)
	tooLong = regexp.MustCompile(`[1-9][0-9]{4}`)
)

// spellings change a text into one that is nearly right.
func spellings(t *rapid.T, examples []string) string {
	text := rapid.SampledFrom(examples).Draw(t, "example")
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		at := rapid.IntRange(0, len(text)).Draw(t, "at")
		in := rapid.SampledFrom([]string{"", "0", "1", "9", ".", " ", "x", "s", "m", "B", "k", "i", "%", "+", "-", "e", "Hz", "L"}).Draw(t, "in")
		drop := rapid.IntRange(0, min(2, len(text)-at)).Draw(t, "drop")
		text = text[:at] + in + text[at+drop:]
	}
	return strings.TrimSpace(text)
}

func TestPatternsMatchWhatReads(t *testing.T) {
	for _, q := range quantities {
		what, text, examples := q.Syntax()
		pattern := regexp.MustCompile(text)
		for _, e := range examples {
			if err := q.UnmarshalText([]byte(e)); err != nil || !pattern.MatchString(e) {
				t.Errorf("%s: example %q: %v", what, e, err)
			}
		}
		t.Run(what, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := spellings(t, examples)
				err := q.UnmarshalText([]byte(s))
				switch matches := pattern.MatchString(s); {
				case err == nil && !matches && isValid(q):
					t.Errorf("%q reads and does not match", s)
				case err != nil && matches && !tooMuch.MatchString(err.Error()) && !tooLong.MatchString(s):
					t.Errorf("%q matches: %v", s, err)
				}
			})
		})
	}
}

// isValid tells whether a value that reads is one that the checks accept: of bursts, decoding reads all numbers.
func isValid(q any) bool {
	b, ok := q.(*dram.Burst)
	return !ok || *b == 2 || *b == 4 || *b == 8 || *b == 16
}
