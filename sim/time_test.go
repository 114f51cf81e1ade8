package sim

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var timeTexts = []struct {
	t    Time
	text string
}{
	{0, "0s"},
	{1, "1ps"},
	{999, "999ps"},
	{Nanosecond, "1ns"},
	{1500, "1.5ns"},
	{33_465_600 * Nanosecond, "33.4656ms"},
	{2 * Second, "2s"},
	{Second + 1, "1.000000000001s"},
	{Second - 1, "999.999999999ms"},
	{10_050 * Microsecond, "10.05ms"},
	{Never - 1, "9223372.036854775806s"},
}

func TestTimePrintsExactlyInTheLargestUnit(t *testing.T) {
	for _, c := range timeTexts {
		if got := c.t.String(); got != c.text {
			t.Errorf("Time(%d) prints %q, want %q", int64(c.t), got, c.text)
		}
	}
}

func TestNegativeTimesAndNeverPrint(t *testing.T) {
	for _, c := range []struct {
		t    Time
		text string
	}{{Never, "never"}, {-1500, "-1.5ns"}, {-Second, "-1s"}, {math.MinInt64, "-9223372.036854775808s"}} {
		if got := c.t.String(); got != c.text {
			t.Errorf("Time(%d) prints %q, want %q", int64(c.t), got, c.text)
		}
	}
}

func TestParseTimeReadsWhatStringPrints(t *testing.T) {
	for _, c := range timeTexts {
		got, err := ParseTime(c.text)
		if err != nil || got != c.t {
			t.Errorf("ParseTime(%q) = %d, %v, want %d", c.text, int64(got), err, int64(c.t))
		}
	}
}

func TestParseTimeReadsAllSpellings(t *testing.T) {
	for text, want := range map[string]Time{
		"5us": 5 * Microsecond, "5µs": 5 * Microsecond, "5μs": 5 * Microsecond, " 33.3 ms ": 33_300 * Microsecond,
		"0ps": 0, "007ns": 7 * Nanosecond, "1.500000000000000000000000000ns": 1500, "0.000000000001s": 1, "1000ms": Second,
	} {
		if got, err := ParseTime(text); err != nil || got != want {
			t.Errorf("ParseTime(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestParseTimeRefuses(t *testing.T) {
	for _, c := range []struct{ text, message string }{
		{"", "expected a plain non-negative decimal number"},
		{"5", "has no unit: write it in s, ms, us, ns or ps"},
		{"0", "has no unit"},
		{"ms", "expected a plain non-negative decimal number"},
		{"-5ms", "expected a plain non-negative decimal number"},
		{"+5ms", "expected a plain non-negative decimal number"},
		{"1e3ms", "expected a plain non-negative decimal number"},
		{"NaN", "expected a plain non-negative decimal number"},
		{"never", "expected a plain non-negative decimal number"},
		{"NaN s", "expected a plain non-negative decimal number"},
		{"1.2.3ms", "expected a plain non-negative decimal number"},
		{".5ms", "expected a plain non-negative decimal number"},
		{"5.ms", "expected a plain non-negative decimal number"},
		{"5ms5", "has no unit"},
		{"5min", `unknown unit "min"`},
		{"5MS", `unknown unit "MS"`},
		{"5ms junk", `unknown unit "ms junk"`},
		{"0.5ps", "finer than the smallest unit"},
		{"0.0000000000000000000000001s", "finer than the smallest unit"},
		{"9223372.036854775807s", "too large"}, // Never
		{"9223373s", "too large"},
		{"99999999999999999999999s", "too large"},
	} {
		got, err := ParseTime(c.text)
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("ParseTime(%q) = %v, error %v, want one with %q", c.text, got, err, c.message)
			continue
		}
		if !strings.Contains(err.Error(), "for example 33.3ms") {
			t.Errorf("ParseTime(%q): error without an example: %v", c.text, err)
		}
	}
}

func TestParseTimeErrorsCanBeTold(t *testing.T) {
	for text, want := range map[string]error{"-1s": ErrNotDecimal, "0.1ps": ErrTooFine, "99999999s": ErrTooLarge} {
		if _, err := ParseTime(text); !errors.Is(err, want) {
			t.Errorf("ParseTime(%q): %v, want %v", text, err, want)
		}
	}
}

func TestTimeGoesThroughText(t *testing.T) {
	type doc struct{ T Time }
	text, err := json.Marshal(doc{33_300 * Microsecond})
	if err != nil || string(text) != `{"T":"33.3ms"}` {
		t.Fatalf("%s, %v", text, err)
	}
	var d doc
	if err := json.Unmarshal(text, &d); err != nil || d.T != 33_300*Microsecond {
		t.Errorf("read back %v, %v", d.T, err)
	}
	if err := json.Unmarshal([]byte(`{"T":"4"}`), &d); err == nil || d.T != 33_300*Microsecond {
		t.Errorf("after a failed read %v, error %v", d.T, err)
	}
}

func FuzzParseTime(f *testing.F) {
	for _, c := range timeTexts {
		f.Add(c.text)
	}
	for _, s := range []string{"", "1e3ms", "-1s", "5µs", "0.5ps", "..s", "9223372.036854775807s", "1\x00s", "٣s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseTime(s)
		if err != nil {
			return
		}
		if v < 0 || v == Never {
			t.Fatalf("ParseTime(%q) = %d", s, int64(v))
		}
		if again, err := ParseTime(v.String()); err != nil || again != v {
			t.Fatalf("%q is %v, which reads back as %v, %v", s, v, again, err)
		}
	})
}

func TestFormatDecimalKeepsEveryDigit(t *testing.T) {
	for _, c := range []struct {
		v    int64
		exp  int
		want string
	}{
		{0, 3, "0"},
		{33456, 3, "33.456"},
		{33000, 3, "33"},
		{7, 3, "0.007"},
		{-7, 3, "-0.007"},
		{5, 0, "5"},
		{math.MaxInt64, 18, "9.223372036854775807"},
		{math.MinInt64, 0, "-9223372036854775808"},
	} {
		if got := FormatDecimal(c.v, c.exp); got != c.want {
			t.Errorf("FormatDecimal(%d, %d) = %q, want %q", c.v, c.exp, got, c.want)
		}
	}
}

// TestParseDecimalAgreesWithRationals compares with exact rational arithmetic.
func TestParseDecimalAgreesWithRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9]{1,20}(\.[0-9]{1,21})?`).Draw(t, "number")
		unit := rapid.SampledFrom([]int64{1, 1000, 1 << 10, 1 << 30, 1e9, 1e12}).Draw(t, "unit")
		exact, _ := new(big.Rat).SetString(text)
		exact.Mul(exact, new(big.Rat).SetInt64(unit))
		got, err := ParseDecimal(text, unit)
		fits := exact.Cmp(new(big.Rat).SetInt64(math.MaxInt64)) < 0
		switch {
		case err == nil && (!exact.IsInt() || exact.Num().Cmp(big.NewInt(got)) != 0):
			t.Fatalf("%s x %d = %d, want %v", text, unit, got, exact)
		case err != nil && exact.IsInt() && fits && len(text) < 20:
			t.Fatalf("%s x %d: %v, want %v", text, unit, err, exact)
		case errors.Is(err, ErrTooFine) && exact.IsInt():
			t.Fatalf("%s x %d: %v, want %v", text, unit, err, exact)
		}
	})
}
