package scenario

import (
	"encoding"
	"fmt"
	"math/big"
	"strings"

	"socsim/internal/result"
	"socsim/sim"
	"socsim/sim/units"
)

// Expectation is one line of expect: a metric compared with a value.
type Expectation struct {
	Text   string
	Metric string
	Op     string
	Value  *big.Rat // in the metric's unit
	Unit   string   // unit family the value was written in: "", "ns", "bytes"
}

var operators = []string{"==", "!=", "<=", ">=", "<", ">"}

// ParseExpectation reads METRIC OP VALUE, for example "maintenance.time_per_frame < 4ms".
func ParseExpectation(text string) (Expectation, error) {
	for _, op := range operators {
		left, right, ok := strings.Cut(text, op)
		if !ok {
			continue
		}
		e := Expectation{Text: text, Metric: strings.TrimSpace(left), Op: op}
		value := strings.TrimSpace(right)
		if e.Metric == "" || strings.ContainsAny(e.Metric, " \t<>=!") || value == "" {
			break
		}
		if len(value) > 40 {
			return Expectation{}, fmt.Errorf("expectation %q: the value is too long", shorten(text))
		}
		e.Value, e.Unit = parseValue(value)
		if e.Value == nil {
			return Expectation{}, fmt.Errorf("expectation %q: %q is neither a number nor a duration, size or percentage, such as 0, 4ms, 64KiB or 25%%", shorten(text), value)
		}
		return e, nil
	}
	return Expectation{}, fmt.Errorf("expectation %q: expected METRIC OP VALUE with OP one of %s, for example frames.dropped == 0", shorten(text), strings.Join(operators, " "))
}

// shorten cuts a text to what a message holds.
func shorten(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

func parseValue(s string) (*big.Rat, string) {
	if strings.Trim(s, "0123456789.") == "" {
		if r, ok := new(big.Rat).SetString(s); ok {
			return r, ""
		}
		return nil, ""
	}
	var t sim.Time
	var b units.Bytes
	var f units.Fraction
	for _, try := range []struct {
		into encoding.TextUnmarshaler
		get  func() *big.Rat
		unit string
	}{
		{&t, func() *big.Rat { return big.NewRat(int64(t), int64(sim.Nanosecond)) }, "ns"},
		{&b, func() *big.Rat { return big.NewRat(int64(b), 1) }, "bytes"},
		{&f, func() *big.Rat { return big.NewRat(int64(f), 1_000_000) }, "fraction"},
	} {
		if try.into.UnmarshalText([]byte(s)) == nil {
			return try.get(), try.unit
		}
	}
	return nil, ""
}

// Judge compares the document's metric with the value. A metric that nothing wrote fails, as does a duration compared with a metric that is none.
func (e Expectation) Judge(d *result.Document) result.Expectation {
	out := result.Expectation{Expr: e.Text}
	m, ok := d.Metrics[e.Metric]
	if !ok {
		return out
	}
	v := m.Value
	out.Value = &v
	if e.Unit != "" && e.Unit != m.Unit && !(e.Unit == "fraction" && m.Unit == "ratio") {
		return out
	}
	div := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(v.Digits)), nil)
	c := new(big.Rat).SetFrac(big.NewInt(v.Int), div).Cmp(e.Value)
	switch e.Op {
	case "==":
		out.OK = c == 0
	case "!=":
		out.OK = c != 0
	case "<":
		out.OK = c < 0
	case "<=":
		out.OK = c <= 0
	case ">":
		out.OK = c > 0
	case ">=":
		out.OK = c >= 0
	}
	return out
}
