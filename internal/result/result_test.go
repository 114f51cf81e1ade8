package result

import (
	"encoding/json"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestRatioRoundsHalfUpExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		num := rapid.Int64Range(0, 1<<40).Draw(t, "num")
		den := rapid.Int64Range(1, 1<<40).Draw(t, "den")
		digits := rapid.IntRange(0, 6).Draw(t, "digits")
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
		// floor(num*10^d/den + 1/2)
		want := new(big.Int).Mul(big.NewInt(num), scale)
		want.Mul(want, big.NewInt(2)).Add(want, big.NewInt(den)).Div(want, big.NewInt(2*den))
		if !want.IsInt64() {
			t.Skip("does not fit")
		}
		if got := Ratio(num, den, digits).Int; got != want.Int64() {
			t.Fatalf("Ratio(%d, %d, %d) = %d, want %v", num, den, digits, got, want)
		}
	})
}

func TestNumbersPrintWithoutTrailingZeros(t *testing.T) {
	for _, c := range []struct {
		n    Number
		want string
	}{
		{Int(0), "0"},
		{Int(-12), "-12"},
		{Number{Int: 1_500_000, Digits: 6}, "1.5"},
		{Number{Int: 5, Digits: 3}, "0.005"},
		{Number{Int: -5, Digits: 3}, "-0.005"},
		{Number{Int: 2000, Digits: 3}, "2"},
	} {
		if got := c.n.String(); got != c.want {
			t.Errorf("%+v prints %q, want %q", c.n, got, c.want)
		}
	}
}

func TestNumbersReadBack(t *testing.T) {
	for _, text := range []string{"0", "17", "-3", "0.25", "1234.5"} {
		var n Number
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		if got := n.String(); got != text {
			t.Errorf("%s reads back as %s", text, got)
		}
	}
	var n Number
	if err := json.Unmarshal([]byte(`"x"`), &n); err == nil {
		t.Error("a string was read as a number")
	}
}

func TestANumberThatCannotBeKeptExactlyIsRefused(t *testing.T) {
	for _, text := range []string{"1e9", "12345678901234567890", `"5"`, "null", "-", "1.5e3"} {
		var n Number
		if err := n.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s reads as %v", text, n)
		}
	}
}
