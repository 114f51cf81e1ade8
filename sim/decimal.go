package sim

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Errors of ParseDecimal.
var (
	ErrNotDecimal = errors.New("expected a plain non-negative decimal number before the unit")
	ErrTooLarge   = errors.New("too large")
	ErrTooFine    = errors.New("finer than the smallest unit")
)

// ParseDecimal returns number x unit, where number is plain decimal text such as "33" or "110.67": digits with at most
// one point between them, no sign and no exponent. The product must be a whole number and less than [math.MaxInt64];
// nothing is rounded. It is the number part of every quantity with a unit, here and in sim/units.
func ParseDecimal(number string, unit int64) (int64, error) {
	whole, frac, point := strings.Cut(number, ".")
	if !allDigits(whole) || point && !allDigits(frac) {
		return 0, ErrNotDecimal
	}
	w, err := strconv.ParseUint(whole, 10, 64)
	if err != nil {
		return 0, ErrTooLarge
	}
	hi, product := bits.Mul64(w, uint64(unit))
	if hi != 0 || product >= math.MaxInt64 {
		return 0, ErrTooLarge
	}
	if frac = strings.TrimRight(frac, "0"); frac == "" {
		return int64(product), nil
	}
	if len(frac) > 19 { // 10^19 is the largest power of ten in 64 bits
		return 0, ErrTooFine
	}
	f, err := strconv.ParseUint(frac, 10, 64)
	if err != nil {
		return 0, ErrNotDecimal
	}
	hi, lo := bits.Mul64(f, uint64(unit))
	part, rest := bits.Div64(hi, lo, pow10(len(frac))) // f < 10^len, so the quotient is less than unit
	if rest != 0 {
		return 0, ErrTooFine
	}
	if product += part; product >= math.MaxInt64 {
		return 0, ErrTooLarge
	}
	return int64(product), nil
}

// FormatDecimal writes v / 10^exp exactly, without trailing zeros: FormatDecimal(33456, 3) is "33.456". exp is 0 to 18.
func FormatDecimal(v int64, exp int) string {
	sign, u := "", uint64(v)
	if v < 0 {
		sign, u = "-", -u
	}
	unit := pow10(exp)
	s := sign + strconv.FormatUint(u/unit, 10)
	if rest := u % unit; rest != 0 {
		digits := strconv.FormatUint(unit+rest, 10)[1:] // with its leading zeros
		s += "." + strings.TrimRight(digits, "0")
	}
	return s
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func pow10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}
