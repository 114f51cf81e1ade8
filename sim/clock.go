package sim

import (
	"fmt"
	"math"
	"math/bits"
)

// MaxHertz is the highest frequency of a clock: one edge a picosecond.
const MaxHertz = int64(Second)

// Clock converts between cycle counts and time. Edge n comes at floor(n x 10^12 / hz): the clock keeps the frequency
// exactly instead of a rounded period, so that it never drifts. All three conversions are exact over the whole range of
// Time and cost a few multiplications: the divisions are done by reciprocals computed once, whose estimate is at most one
// too low and corrected by the remainder (Granlund and Montgomery, "Division by invariant integers using multiplication",
// PLDI 1994). The zero Clock is not valid; use [NewClock]. Clocks of the same frequency are equal.
type Clock struct { // four words: the compiler keeps no larger struct in registers
	hz     uint64
	period uint64 // whole picoseconds of 10^12/hz
	frac   uint64 // the rest of it, in 2^-64 ps, rounded down
	rate   uint64 // hz/10^12 in 2^-64, rounded down (for MaxHertz, 2^64-1)
}

// NewClock returns a clock of hz cycles a second. It panics unless 0 < hz <= MaxHertz.
func NewClock(hz int64) Clock {
	if hz <= 0 || hz > MaxHertz {
		panic(fmt.Sprintf("sim: clock of %d Hz, want 1 to %d", hz, MaxHertz))
	}
	c := Clock{hz: uint64(hz), period: uint64(Second) / uint64(hz), rate: math.MaxUint64}
	c.frac, _ = bits.Div64(uint64(Second)%c.hz, 0, c.hz)
	if hz < MaxHertz {
		c.rate, _ = bits.Div64(c.hz, 0, uint64(Second))
	}
	return c
}

// Hz returns the frequency.
func (c Clock) Hz() int64 { return int64(c.hz) }

// Cycles returns the time of edge n, which is also the length of n cycles from time 0: floor(n x 10^12 / hz), Never if that
// is out of range. It panics if n is negative.
func (c Clock) Cycles(n int64) Time {
	u := uint64(n)
	hi, whole := bits.Mul64(u, c.period)
	part, _ := bits.Mul64(u, c.frac)
	est := whole + part
	if hi != 0 || (whole|est)>>63 != 0 { // out of range, as is every negative n
		return beyond(n)
	}
	if u*uint64(Second)-est*c.hz >= c.hz { // the remainder, under 2 hz: right modulo 2^64
		est++
	}
	return Time(est)
}

// beyond is the rare path of Cycles.
//
//go:noinline
func beyond(n int64) Time {
	if n < 0 {
		panic(fmt.Sprintf("sim: edge %d of a clock", n))
	}
	return Never
}

// Ceil returns the number of the first edge at or after t: the smallest n with Cycles(n) >= t. t must not be negative.
func (c Clock) Ceil(t Time) int64 {
	// Cycles rounds down to a whole picosecond and t is one, so Cycles(n) >= t is n x 10^12/hz >= t.
	return int64(c.edges(uint64(t)))
}

// Floor returns the number of the last edge at or before t: the largest n with Cycles(n) <= t. t must not be negative.
func (c Clock) Floor(t Time) int64 {
	// The last edge before t+1. t+1 fits an unsigned number even for Never.
	return int64(c.edges(uint64(t)+1)) - 1
}

// edges returns ceil(t x hz / 10^12), the number of edges before t, for t up to 2^63.
func (c Clock) edges(t uint64) uint64 {
	n, _ := bits.Mul64(t, c.rate)
	rest := t*c.hz - n*uint64(Second) // under 2 x 10^12: right modulo 2^64
	if rest > uint64(Second) {
		return n + 2
	}
	if rest != 0 {
		n++
	}
	return n
}
