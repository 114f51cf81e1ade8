// Package units has the quantities of configurations, which carry their units in text: sizes, frequencies, shares and cycle
// counts. All are integers of a small enough unit; text is read exactly or refused with an error that says what is expected
// and gives an example, and what String prints reads back as the same value.
//
// Text is a plain decimal number and a unit, with or without a space between: "64KiB", "110.67 MHz". There are no signs, no
// exponents and, but for [Fraction], no numbers without a unit. Times are not here: they are [sim.Time].
//
// Sources: prefixes are those of the SI (k, M, G) and of IEC 80000-13 (Ki, Mi, Gi).
package units

import (
	"encoding"
	"fmt"
	"strings"

	"socsim/sim"
)

// Bytes is a size: "64KiB", "9600B", "1MB". K, M and G with an i are binary, without it decimal.
type Bytes int64

// Hertz is a frequency of at most [sim.MaxHertz]: "166MHz", "110.67MHz", "32768Hz".
type Hertz int64

// Fraction is a share from 0 to 1 in parts per million: "25%", "0.5%", "0.25".
type Fraction int64

// CyclesPerByte is a rate in thousandths, of at most a million cycles a byte: "2cycles/B", "0.25cycles/B".
type CyclesPerByte int64

// Cycles is a number of clock cycles, at most 10^12: "34cycles", "1cycle".
type Cycles int64

// Limits, and One, the whole.
const (
	One              Fraction      = 1_000_000
	maxHertz                       = Hertz(sim.MaxHertz)
	maxCyclesPerByte CyclesPerByte = 1_000_000_000
	maxCycles        Cycles        = 1_000_000_000_000
)

var (
	_ encoding.TextUnmarshaler = (*Bytes)(nil)
	_ encoding.TextUnmarshaler = (*Hertz)(nil)
	_ encoding.TextUnmarshaler = (*Fraction)(nil)
	_ encoding.TextUnmarshaler = (*CyclesPerByte)(nil)
	_ encoding.TextUnmarshaler = (*Cycles)(nil)
)

// unit is a name and how many of the smallest unit it is.
type unit struct {
	name string
	size int64
}

// quantity says how one kind of quantity is written.
type quantity struct {
	what    string
	example string
	units   []unit
	max     int64 // 0 is no limit but that of the type
	limit   string
}

var (
	bytesText = quantity{what: "size", example: "64KiB, 25MiB or 9600B", units: []unit{
		{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	}}
	hertzText = quantity{what: "frequency", example: "166MHz or 110.67MHz", units: []unit{
		{"Hz", 1}, {"kHz", 1e3}, {"MHz", 1e6}, {"GHz", 1e9},
	}, max: int64(maxHertz), limit: "1000GHz"}
	fractionText = quantity{what: "fraction", example: "25% or 0.25", units: []unit{
		{"%", int64(One) / 100}, {"", int64(One)},
	}, max: int64(One), limit: "100%"}
	rateText = quantity{what: "rate", example: "2cycles/B or 0.25cycles/B", units: []unit{
		{"cycles/B", 1e3}, {"cycle/B", 1e3},
	}, max: int64(maxCyclesPerByte), limit: "1000000cycles/B"}
	cyclesText = quantity{what: "cycle count", example: "34cycles", units: []unit{
		{"cycles", 1}, {"cycle", 1},
	}, max: int64(maxCycles), limit: "1000000000000cycles"}
)

// parse reads text as a multiple of the smallest unit.
func (q *quantity) parse(text string) (int64, error) {
	s := strings.TrimSpace(text)
	cut := 0
	for cut < len(s) && (s[cut] >= '0' && s[cut] <= '9' || s[cut] == '.') {
		cut++
	}
	number, name := s[:cut], strings.TrimSpace(s[cut:])
	if number == "" {
		return 0, q.refuse(text, sim.ErrNotDecimal.Error())
	}
	for _, u := range q.units {
		if u.name != name {
			continue
		}
		v, err := sim.ParseDecimal(number, u.size)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%s %q: %w: write %s", q.what, text, err, q.example)
		case q.max > 0 && v > q.max:
			return 0, q.refuse(text, "more than "+q.limit)
		}
		return v, nil
	}
	if name == "" {
		return 0, q.refuse(text, q.what+" needs a unit ("+q.names()+")")
	}
	return 0, q.refuse(text, fmt.Sprintf("unknown unit %q (%s)", name, q.names()))
}

func (q *quantity) refuse(text, why string) error {
	return fmt.Errorf("%s %q: %s: write %s", q.what, text, why, q.example)
}

// names lists the units.
func (q *quantity) names() string {
	var names []string
	for _, u := range q.units {
		if u.name != "" {
			names = append(names, u.name)
		}
	}
	return strings.Join(names, ", ")
}

// read is parse for UnmarshalText: it leaves v alone on an error.
func read[T ~int64](v *T, q *quantity, text []byte) error {
	n, err := q.parse(string(text))
	if err != nil {
		return err
	}
	*v = T(n)
	return nil
}

// scale returns floor(n x part / whole) without overflow in between, for n >= 0, 0 <= part < 2^33 and whole <= 2^30.
func scale(n, part, whole int64) int64 { return n/whole*part + n%whole*part/whole }

// String prints the size in the largest of GiB, MiB and KiB that is exact, else in B.
func (b Bytes) String() string {
	for _, u := range []unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if b != 0 && int64(b)%u.size == 0 {
			return sim.FormatDecimal(int64(b)/u.size, 0) + u.name
		}
	}
	return sim.FormatDecimal(int64(b), 0) + "B"
}

// MarshalText writes the size as String does.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a size with its unit. "1.5KiB" is 1536 bytes; what is no whole number of bytes is refused.
func (b *Bytes) UnmarshalText(text []byte) error { return read(b, &bytesText, text) }

// String prints the frequency as an exact decimal in the largest unit of which it holds at least one.
func (h Hertz) String() string {
	for _, u := range []struct {
		name string
		size Hertz
		exp  int
	}{{"GHz", 1e9, 9}, {"MHz", 1e6, 6}, {"kHz", 1e3, 3}} {
		if h >= u.size || h <= -u.size {
			return sim.FormatDecimal(int64(h), u.exp) + u.name
		}
	}
	return sim.FormatDecimal(int64(h), 0) + "Hz"
}

// MarshalText writes the frequency as String does.
func (h Hertz) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads a frequency with its unit. 0Hz is a frequency, though no clock's.
func (h *Hertz) UnmarshalText(text []byte) error { return read(h, &hertzText, text) }

// Of returns the share of n, rounded down. n must not be negative; any n is in range.
func (f Fraction) Of(n int64) int64 { return scale(n, int64(f), int64(One)) }

// String prints the share in per cent.
func (f Fraction) String() string { return sim.FormatDecimal(int64(f), 4) + "%" }

// MarshalText writes the share as String does.
func (f Fraction) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a share from 0% to 100%, or from 0 to 1 without a unit, in steps of a millionth.
func (f *Fraction) UnmarshalText(text []byte) error { return read(f, &fractionText, text) }

// Cycles returns the cycles for a number of bytes, rounded down. bytes must be 0 to 2^43.
func (c CyclesPerByte) Cycles(bytes int64) int64 { return scale(bytes, int64(c), 1000) }

// String prints the rate in cycles per byte.
func (c CyclesPerByte) String() string { return sim.FormatDecimal(int64(c), 3) + "cycles/B" }

// MarshalText writes the rate as String does.
func (c CyclesPerByte) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a rate such as 2cycles/B, in steps of a thousandth.
func (c *CyclesPerByte) UnmarshalText(text []byte) error { return read(c, &rateText, text) }

// String prints the count with its unit.
func (c Cycles) String() string { return sim.FormatDecimal(int64(c), 0) + "cycles" }

// MarshalText writes the count as String does.
func (c Cycles) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a count such as 34cycles.
func (c *Cycles) UnmarshalText(text []byte) error { return read(c, &cyclesText, text) }

// Syntax describes the text: what it is, a pattern and examples.
func (Bytes) Syntax() (what, pattern string, examples []string) {
	return bytesText.what, bytesText.pattern(), []string{"64KiB", "25MiB", "9600B"}
}

// Syntax describes the text: what it is, a pattern and examples.
func (Hertz) Syntax() (what, pattern string, examples []string) {
	return hertzText.what, hertzText.pattern(), []string{"166MHz", "110.67MHz"}
}

// Syntax describes the text: what it is, a pattern and examples.
func (Fraction) Syntax() (what, pattern string, examples []string) {
	return fractionText.what, `^(0*(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)\s*%|0+(\.[0-9]+)?|0*1(\.0+)?)$`, []string{"25%", "0.25"}
}

// Syntax describes the text: what it is, a pattern and examples.
func (CyclesPerByte) Syntax() (what, pattern string, examples []string) {
	return rateText.what, rateText.pattern(), []string{"2cycles/B", "0.25cycles/B"}
}

// Syntax describes the text: what it is, a pattern and examples.
func (Cycles) Syntax() (what, pattern string, examples []string) {
	return cyclesText.what, cyclesText.pattern(), []string{"34cycles"}
}

// pattern is a regular expression for a number and one of the units.
func (q *quantity) pattern() string {
	var names []string
	for _, u := range q.units {
		names = append(names, u.name)
	}
	return `^[0-9]+(\.[0-9]+)?\s*(` + strings.Join(names, "|") + `)$`
}
