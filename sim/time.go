package sim

import (
	"fmt"
	"math"
	"strings"
)

// Time is a simulated time, or the length of one, in picoseconds. Times of a run are never negative; Never is later than
// all of them.
type Time int64

// Units of time.
const (
	Picosecond  Time = 1
	Nanosecond       = 1000 * Picosecond
	Microsecond      = 1000 * Nanosecond
	Millisecond      = 1000 * Microsecond
	Second           = 1000 * Millisecond

	// Never is later than every time of a run, which it bounds to 106 days.
	Never Time = math.MaxInt64
)

var timeUnits = [...]struct {
	name string
	size Time
	exp  int
}{{"s", Second, 12}, {"ms", Millisecond, 9}, {"us", Microsecond, 6}, {"ns", Nanosecond, 3}, {"ps", Picosecond, 0}}

// String returns the time as an exact decimal in the largest unit of which it holds at least one: "33.4656ms", "0s",
// "never".
func (t Time) String() string {
	if t == 0 {
		return "0s"
	}
	if t == Never {
		return "never"
	}
	for _, u := range timeUnits {
		if t >= u.size || t <= -u.size {
			return FormatDecimal(int64(t), u.exp) + u.name
		}
	}
	panic("sim: time without a unit")
}

// ParseTime reads a time such as "33.3ms": a decimal number and one of the units s, ms, us (or µs), ns, ps, with or
// without a space between. It refuses what it cannot represent exactly, negative times and exponents.
func ParseTime(s string) (Time, error) {
	const example = "for example 33.3ms"
	text := strings.TrimSpace(s)
	cut := strings.LastIndexAny(text, "0123456789.") + 1
	number, unit := text[:cut], strings.TrimSpace(text[cut:])
	switch unit {
	case "":
		if number != "" {
			return 0, fmt.Errorf("time %q has no unit: write it in s, ms, us, ns or ps, %s", s, example)
		}
	case "µs", "μs": // micro sign, Greek mu
		unit = "us"
	}
	if number == "" {
		return 0, fmt.Errorf("time %q: %w s, ms, us, ns or ps, %s", s, ErrNotDecimal, example)
	}
	for _, u := range timeUnits {
		if unit == u.name {
			n, err := ParseDecimal(number, int64(u.size))
			if err != nil {
				return 0, fmt.Errorf("time %q: %w, %s", s, err, example)
			}
			return Time(n), nil
		}
	}
	return 0, fmt.Errorf("time %q: unknown unit %q: use s, ms, us, ns or ps, %s", s, unit, example)
}

// MarshalText writes the time as String does.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the time as ParseTime does; so Never and negative times, which configurations do not hold, do not
// read back.
func (t *Time) UnmarshalText(text []byte) error {
	v, err := ParseTime(string(text))
	if err != nil {
		return err
	}
	*t = v
	return nil
}

// Syntax describes the text: what it is, a pattern and examples.
func (Time) Syntax() (what, pattern string, examples []string) {
	return "time", `^[0-9]+(\.[0-9]+)?\s*(s|ms|us|µs|μs|ns|ps)$`, []string{"2s", "33.3ms", "10us"}
}
