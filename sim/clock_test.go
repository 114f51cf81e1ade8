package sim

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestClockEdgesAreRoundedDown(t *testing.T) {
	for _, c := range []struct {
		hz, n int64
		want  Time
	}{
		{166_000_000, 0, 0},
		{166_000_000, 1, 6024},
		{166_000_000, 2, 12048},
		{166_000_000, 166_000_000, Second},
		{3, 1, 333_333_333_333},
		{3, 2, 666_666_666_666},
		{3, 3, Second},
		{32768, 1, 30_517_578},
		{80_000_000, 3984 * 672, 33_465_600 * Nanosecond}, // a frame of the 864x656 sensor mode
		{1_000_000_000_000, 12345, 12345},
		{1, 9_223_372, 9_223_372 * Second},
	} {
		if got := NewClock(c.hz).Cycles(c.n); got != c.want {
			t.Errorf("edge %d of %d Hz comes at %d ps, want %d", c.n, c.hz, int64(got), int64(c.want))
		}
	}
}

func TestClockDoesNotDrift(t *testing.T) {
	c := NewClock(166_000_000)
	const days = 100 * 24 * 3600
	if got := c.Cycles(166_000_000 * days); got != days*Second {
		t.Errorf("after %d s of cycles it is %v", days, got)
	}
}

func TestClockBeyondTheRangeIsNever(t *testing.T) {
	c := NewClock(1)
	if got := c.Cycles(9_223_373); got != Never {
		t.Errorf("Cycles = %v, want never", got)
	}
	if got := c.Cycles(math.MaxInt64); got != Never {
		t.Errorf("Cycles = %v, want never", got)
	}
}

func TestClockConvertsNever(t *testing.T) {
	for _, hz := range []int64{1, 3, 166_000_000, MaxHertz - 1, MaxHertz} {
		c := NewClock(hz)
		if n := c.Ceil(Never); c.Cycles(n) != Never || c.Cycles(n-1) == Never {
			t.Errorf("%d Hz: Ceil(Never) = %d", hz, n)
		}
		want := new(big.Int).Mul(big.NewInt(math.MaxInt64), big.NewInt(hz))
		want.Add(want, big.NewInt(hz-1)) // edges n with n x 10^12 < (Never+1) x hz
		want.Div(want, big.NewInt(int64(Second)))
		if n := c.Floor(Never); n != want.Int64() {
			t.Errorf("%d Hz: Floor(Never) = %d, want %v", hz, n, want)
		}
	}
}

func TestClockRefusesImpossibleFrequencies(t *testing.T) {
	for _, hz := range []int64{0, -1, math.MinInt64, MaxHertz + 1} {
		wantPanic(t, "Hz, want 1 to", func() { NewClock(hz) })
	}
}

func TestClockRefusesNegativeCycles(t *testing.T) {
	wantPanic(t, "edge -1", func() { NewClock(1000).Cycles(-1) })
}

func TestClocksOfOneFrequencyAreEqual(t *testing.T) {
	a, b := NewClock(24_000_000), NewClock(24_000_000)
	if a != b || NewClock(24_000_000).Hz() != 24_000_000 {
		t.Error("clocks of 24 MHz differ")
	}
}

func genHertz() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64Range(1, MaxHertz), rapid.Int64Range(1, 2_000_000_000), rapid.Int64Range(MaxHertz-1000, MaxHertz),
		rapid.SampledFrom([]int64{1, 2, 3, 32768, 24_000_000, 110_670_000, 165_941_176, 166_000_000, 600_000_000, 1_000_000_000}))
}

func genTime() *rapid.Generator[Time] {
	return rapid.Map(rapid.OneOf(rapid.Int64Range(0, math.MaxInt64), rapid.Int64Range(0, int64(Second)),
		rapid.Int64Range(math.MaxInt64-100, math.MaxInt64)), func(v int64) Time { return Time(v) })
}

// TestClockIsExact compares with arbitrary-precision arithmetic.
func TestClockIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hz := genHertz().Draw(t, "hz")
		n := rapid.OneOf(rapid.Int64Range(0, math.MaxInt64), rapid.Int64Range(0, 1e12)).Draw(t, "n")
		want := new(big.Int).Mul(big.NewInt(n), big.NewInt(int64(Second)))
		want.Div(want, big.NewInt(hz))
		if !want.IsInt64() {
			want.SetInt64(math.MaxInt64)
		}
		if got := NewClock(hz).Cycles(n); int64(got) != want.Int64() {
			t.Fatalf("Cycles(%d) at %d Hz = %d, want %v", n, hz, int64(got), want)
		}
	})
}

func checkCeilFloor(t interface{ Fatalf(string, ...any) }, c Clock, at Time) {
	n := c.Ceil(at)
	if c.Cycles(n) < at || n > 0 && c.Cycles(n-1) >= at {
		t.Fatalf("%d Hz: Ceil(%d) = %d, but edges come at %d and %d", c.Hz(), int64(at), n, int64(c.Cycles(max(n, 1)-1)), int64(c.Cycles(n)))
	}
	n = c.Floor(at)
	if c.Cycles(n) > at || at != Never && c.Cycles(n+1) <= at {
		t.Fatalf("%d Hz: Floor(%d) = %d, but edges come at %d and %d", c.Hz(), int64(at), n, int64(c.Cycles(n)), int64(c.Cycles(n+1)))
	}
}

func TestCeilAndFloorAgreeWithCycles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewClock(genHertz().Draw(t, "hz"))
		checkCeilFloor(t, c, genTime().Draw(t, "time"))
		n := c.Ceil(genTime().Draw(t, "near"))
		if at := c.Cycles(n); at < Never-1 { // at an edge and on both sides of it
			if got := c.Ceil(at); c.Cycles(got) != at {
				t.Fatalf("%d Hz: Ceil of edge %d at %d is %d", c.Hz(), n, int64(at), got)
			}
			checkCeilFloor(t, c, at)
			checkCeilFloor(t, c, at+1)
			checkCeilFloor(t, c, max(at, 1)-1)
		}
	})
}

func FuzzClock(f *testing.F) {
	f.Add(int64(166_000_000), int64(Second))
	f.Add(int64(1), int64(math.MaxInt64))
	f.Add(MaxHertz, int64(math.MaxInt64-1))
	f.Fuzz(func(t *testing.T, hz, at int64) {
		if hz > 0 && hz <= MaxHertz && at >= 0 {
			checkCeilFloor(t, NewClock(hz), Time(at))
		}
	})
}
