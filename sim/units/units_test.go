package units

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"socsim/sim"
)

// text is what all quantities have.
type text[T any] interface {
	*T
	encoding.TextUnmarshaler
	fmt.Stringer
}

// checkTexts reads each text and compares the value and, where it differs from the text, what it prints.
func checkTexts[T ~int64, P text[T]](t *testing.T, cases map[string]T, prints map[string]string) {
	t.Helper()
	for s, want := range cases {
		var got T
		if err := P(&got).UnmarshalText([]byte(s)); err != nil || got != want {
			t.Errorf("%q reads as %d, %v, want %d", s, int64(got), err, int64(want))
			continue
		}
		printed := s
		if p, ok := prints[s]; ok {
			printed = p
		}
		if got := P(&got).String(); got != printed {
			t.Errorf("%q prints as %q, want %q", s, got, printed)
		}
	}
}

// checkRefusals reads each text and looks for the given part of the error and for an example.
func checkRefusals[T ~int64, P text[T]](t *testing.T, example string, cases map[string]string) {
	t.Helper()
	const notDecimal = "expected a plain non-negative decimal number"
	common := map[string]string{
		"": notDecimal, "-1": notDecimal, "+1": notDecimal, "NaN": notDecimal, "Inf": notDecimal, "-5 B": notDecimal, "MHz": notDecimal,
		"1..2": notDecimal, ".5": notDecimal, "1.": notDecimal, "0x10": "unknown unit", "1e3": "unknown unit", "1 furlong": "unknown unit",
	}
	for _, group := range []map[string]string{common, cases} {
		for s, message := range group {
			v := T(77)
			err := P(&v).UnmarshalText([]byte(s))
			if err == nil {
				t.Errorf("%q reads as %v, want an error with %q", s, P(&v).String(), message)
				continue
			}
			unitless := strings.ContainsAny(s, "0123456789") && strings.Contains(err.Error(), "needs a unit") // before the number is looked at
			if !strings.Contains(err.Error(), message) && !unitless {
				t.Errorf("%q: %v, want %q", s, err, message)
			}
			if !strings.Contains(err.Error(), example) || !strings.Contains(err.Error(), fmt.Sprintf("%q", s)) {
				t.Errorf("%q: error without the text or the example %q: %v", s, example, err)
			}
			if v != 77 {
				t.Errorf("%q: the error changed the value to %d", s, int64(v))
			}
		}
	}
}

func TestBytesAreReadAndPrinted(t *testing.T) {
	checkTexts(t, map[string]Bytes{
		"0B": 0, "1B": 1, "9600B": 9600, "64KiB": 65536, "25MiB": 25 << 20, "1GiB": 1 << 30, "1025B": 1025, "8589934591GiB": 8589934591 << 30,
		"1.5KiB": 1536, "1MB": 1_000_000, "2kB": 2000, "1GB": 1_000_000_000, "1024KiB": 1 << 20, " 64 KiB ": 65536, "9223372036854775806B": math.MaxInt64 - 1,
	}, map[string]string{
		"1.5KiB": "1536B", "1MB": "1000000B", "2kB": "2000B", "1GB": "1000000000B", "1024KiB": "1MiB", " 64 KiB ": "64KiB",
	})
}

func TestBytesRefuse(t *testing.T) {
	checkRefusals[Bytes](t, "write 64KiB", map[string]string{
		"64":                     "size needs a unit (B, KiB, MiB, GiB, kB, MB, GB)",
		"0":                      "size needs a unit",
		"64KB":                   `unknown unit "KB"`,
		"64kib":                  `unknown unit "kib"`,
		"64KiB,":                 `unknown unit "KiB,"`,
		"1.5B":                   "finer than the smallest unit",
		"0.3KiB":                 "finer than the smallest unit",
		"8589934592GiB":          "too large",
		"9223372036854775807B":   "too large",
		"99999999999999999999kB": "too large",
	})
}

func TestHertzAreReadAndPrinted(t *testing.T) {
	checkTexts(t, map[string]Hertz{
		"0Hz": 0, "999Hz": 999, "166MHz": 166_000_000, "110.67MHz": 110_670_000, "24MHz": 24_000_000, "600MHz": 600_000_000, "32.768kHz": 32768,
		"165.941176MHz": 165_941_176, "1.2GHz": 1_200_000_000, "1000GHz": 1_000_000_000_000, "32768Hz": 32768, "1200MHz": 1_200_000_000, "0.001kHz": 1,
	}, map[string]string{"32768Hz": "32.768kHz", "1200MHz": "1.2GHz", "0.001kHz": "1Hz"})
}

func TestHertzRefuse(t *testing.T) {
	checkRefusals[Hertz](t, "write 166MHz", map[string]string{
		"166":               "frequency needs a unit (Hz, kHz, MHz, GHz)",
		"166Mhz":            `unknown unit "Mhz"`,
		"166MHz 2":          `unknown unit "MHz 2"`,
		"0.5Hz":             "finer than the smallest unit",
		"1000.000000001GHz": "more than 1000GHz",
		"9999999999999GHz":  "too large",
	})
}

// TestEveryFrequencyThatReadsMakesAClock is why Hertz has a limit.
func TestEveryFrequencyThatReadsMakesAClock(t *testing.T) {
	var h Hertz
	if err := h.UnmarshalText([]byte("1000GHz")); err != nil {
		t.Fatal(err)
	}
	if got := sim.NewClock(int64(h)).Cycles(5); got != 5 {
		t.Errorf("5 cycles take %v, want 5ps", got)
	}
}

func TestFractionsAreReadAndPrinted(t *testing.T) {
	checkTexts(t, map[string]Fraction{
		"0%": 0, "100%": One, "25%": 250_000, "0.5%": 5000, "0.0001%": 1, "99.9999%": 999_999,
		"0.25": 250_000, "0": 0, "1": One, "1.0": One, "0.000001": 1, "25 %": 250_000,
	}, map[string]string{"0.25": "25%", "0": "0%", "1": "100%", "1.0": "100%", "0.000001": "0.0001%", "25 %": "25%"})
}

func TestFractionsRefuse(t *testing.T) {
	checkRefusals[Fraction](t, "write 25% or 0.25", map[string]string{
		"25":        "more than 100%",
		"1.000001":  "more than 100%",
		"100.0001%": "more than 100%",
		"-25%":      "expected a plain non-negative decimal number",
		"0.00001%":  "finer than the smallest unit",
		"0.1234567": "finer than the smallest unit",
		"25%%":      `unknown unit "%%"`,
	})
}

func TestCyclesPerByteAreReadAndPrinted(t *testing.T) {
	checkTexts(t, map[string]CyclesPerByte{
		"0cycles/B": 0, "2cycles/B": 2000, "0.25cycles/B": 250, "0.001cycles/B": 1, "1000000cycles/B": 1_000_000_000,
		"1cycle/B": 1000, "2 cycles/B": 2000,
	}, map[string]string{"1cycle/B": "1cycles/B", "2 cycles/B": "2cycles/B"})
}

func TestCyclesPerByteRefuse(t *testing.T) {
	checkRefusals[CyclesPerByte](t, "write 2cycles/B", map[string]string{
		"2":                   "rate needs a unit (cycles/B, cycle/B)",
		"2cycles":             `unknown unit "cycles"`,
		"0.0001cycles/B":      "finer than the smallest unit",
		"1000000.001cycles/B": "more than 1000000cycles/B",
	})
}

func TestCyclesAreReadAndPrinted(t *testing.T) {
	checkTexts(t, map[string]Cycles{
		"0cycles": 0, "34cycles": 34, "1000000000000cycles": 1_000_000_000_000, "34 cycles": 34, "1cycle": 1,
	}, map[string]string{"34 cycles": "34cycles", "1cycle": "1cycles"})
}

func TestCyclesRefuse(t *testing.T) {
	checkRefusals[Cycles](t, "write 34cycles", map[string]string{
		"34":                  "cycle count needs a unit (cycles, cycle)",
		"3.5cycles":           "finer than the smallest unit",
		"34 cycles/B":         `unknown unit "cycles/B"`,
		"1000000000001cycles": "more than 1000000000000cycles",
	})
}

func TestNegativeQuantitiesPrint(t *testing.T) {
	for _, c := range []struct {
		v    fmt.Stringer
		want string
	}{
		{Bytes(-65536), "-64KiB"},
		{Bytes(math.MinInt64), "-8589934592GiB"},
		{Hertz(-1500), "-1.5kHz"},
		{Fraction(-5000), "-0.5%"},
		{CyclesPerByte(-250), "-0.25cycles/B"},
		{Cycles(-3), "-3cycles"},
	} {
		if got := c.v.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestErrorsCanBeTold(t *testing.T) {
	var b Bytes
	for s, want := range map[string]error{"0.5B": sim.ErrTooFine, "9999999999GiB": sim.ErrTooLarge, "1.2.3B": sim.ErrNotDecimal} {
		if err := b.UnmarshalText([]byte(s)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", s, err, want)
		}
	}
}

func TestQuantitiesGoThroughJSON(t *testing.T) {
	type doc struct {
		Size  Bytes
		Clock Hertz
		Share Fraction
		Rate  CyclesPerByte
		Count Cycles
	}
	want := doc{64 << 10, 110_670_000, 250_000, 250, 34}
	out, err := json.Marshal(want)
	const wantText = `{"Size":"64KiB","Clock":"110.67MHz","Share":"25%","Rate":"0.25cycles/B","Count":"34cycles"}`
	if err != nil || string(out) != wantText {
		t.Fatalf("%s, %v, want %s", out, err, wantText)
	}
	var got doc
	if err := json.Unmarshal(out, &got); err != nil || got != want {
		t.Errorf("read back %v, %v", got, err)
	}
}

func TestSharesAndRatesAreRoundedDown(t *testing.T) {
	for _, c := range []struct{ got, want int64 }{
		{Fraction(250_000).Of(1_133_568), 283_392},
		{Fraction(333_333).Of(3), 0},
		{Fraction(333_334).Of(3), 1},
		{One.Of(math.MaxInt64), math.MaxInt64},
		{Fraction(0).Of(math.MaxInt64), 0},
		{CyclesPerByte(250).Cycles(3), 0},
		{CyclesPerByte(250).Cycles(4), 1},
		{CyclesPerByte(2000).Cycles(283_392), 566_784},
		{maxCyclesPerByte.Cycles(1 << 43), 1 << 43 * 1_000_000},
	} {
		if c.got != c.want {
			t.Errorf("got %d, want %d", c.got, c.want)
		}
	}
}

func TestSharesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "n")
		f := Fraction(rapid.Int64Range(0, int64(One)).Draw(t, "f"))
		want := new(big.Int).Mul(big.NewInt(n), big.NewInt(int64(f)))
		want.Div(want, big.NewInt(int64(One)))
		if got := f.Of(n); got != want.Int64() {
			t.Fatalf("%v of %d is %d, want %v", f, n, got, want)
		}
	})
}

func TestEveryValuePrintsWhatReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64Range(0, 1_000_000), rapid.Int64Range(0, math.MaxInt64-1)).Draw(t, "n")
		n <<= rapid.SampledFrom([]int{0, 0, 10, 20, 30}).Draw(t, "shift")
		n &= math.MaxInt64
		if n == math.MaxInt64 {
			n--
		}
		roundTrip(t, Bytes(n))
		roundTrip(t, min(Hertz(n), maxHertz))
		roundTrip(t, min(Fraction(n), One))
		roundTrip(t, min(CyclesPerByte(n), maxCyclesPerByte))
		roundTrip(t, min(Cycles(n), maxCycles))
	})
}

func roundTrip[T ~int64, P text[T]](t interface{ Fatalf(string, ...any) }, v T) {
	var again T
	s := P(&v).String()
	if err := P(&again).UnmarshalText([]byte(s)); err != nil || again != v {
		t.Fatalf("%d prints %q, which reads back as %d, %v", int64(v), s, int64(again), err)
	}
}

// fuzz reads any text; what reads is in range and prints what reads back.
func fuzz[T ~int64, P text[T]](f *testing.F, limit T, seeds ...string) {
	for _, s := range append(seeds, "", "5", "-1", "1e3", "0.5", "..", "NaN", "9223372036854775807", "٣B", "1\x00B") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var v T
		if err := P(&v).UnmarshalText([]byte(s)); err != nil {
			return
		}
		if v < 0 || v > limit {
			t.Fatalf("%q reads as %d", s, int64(v))
		}
		roundTrip[T, P](t, v)
	})
}

func FuzzBytes(f *testing.F) {
	fuzz[Bytes](f, math.MaxInt64-1, "64KiB", "25MiB", "9600B", "1GiB", "1.5MB", "8589934592GiB")
}

func FuzzHertz(f *testing.F) {
	fuzz[Hertz](f, maxHertz, "166MHz", "110.67MHz", "32768Hz", "1000GHz", "1001GHz")
}

func FuzzFraction(f *testing.F) { fuzz[Fraction](f, One, "25%", "0.5%", "0.25", "100.1%") }

func FuzzCyclesPerByte(f *testing.F) {
	fuzz[CyclesPerByte](f, maxCyclesPerByte, "2cycles/B", "0.25cycles/B", "1cycle/B")
}

func FuzzCycles(f *testing.F) { fuzz[Cycles](f, maxCycles, "34cycles", "34 cycles", "1cycle") }
