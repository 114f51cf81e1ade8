package flush

import "testing"

func TestAThresholdIsInterpolatedOrExtrapolatedLinearly(t *testing.T) {
	const k = 1 << 10
	for name, c := range map[string]struct {
		gains []int64 // at 64, 128, 256 and 512 KiB
		want  Threshold
	}{
		"between two sizes":           {[]int64{-300, -100, 100, 500}, 192 * k},
		"rounded up to a KiB":         {[]int64{-300, -100, 99, 500}, 193 * k},
		"at a size":                   {[]int64{-300, 0, 100, 500}, 128 * k},
		"beyond the last":             {[]int64{-900, -700, -500, -100}, 576 * k},
		"below the first":             {[]int64{100, 300, 700, 1500}, 32 * k},
		"from nothing on":             {[]int64{500, 600, 800, 1200}, 0},
		"always, the gain is level":   {[]int64{5, 5, 5, 5}, 0},
		"always, though it shrinks":   {[]int64{50, 40, 30, 20}, 0},
		"never, the gain is level":    {[]int64{-5, -5, -5, -5}, Never},
		"never, it falls":             {[]int64{-5, -6, -7, -8}, Never},
		"never, it turns in the end":  {[]int64{-5, 6, 7, -8}, Never},
		"never in any size in use":    {[]int64{-1000_000_003, -1000_000_002, -1000_000_001, -1000_000_000}, Never},
		"the last time that it turns": {[]int64{-100, 100, -100, 300}, 320 * k},
		"large figures do not wrap":   {[]int64{-4e18, -3e18, -2e18, 2e18}, 384 * k},
	} {
		if got := overtakes([]int64{64 * k, 128 * k, 256 * k, 512 * k}, c.gains); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestThresholdsPrintAsWords(t *testing.T) {
	for threshold, want := range map[Threshold]string{0: "always", Never: "never", 320 << 10: "320KiB"} {
		if threshold.String() != want {
			t.Errorf("%d prints %q, want %q", int64(threshold), threshold, want)
		}
	}
}

func TestTheBystanderVisitsEveryPlaceOnce(t *testing.T) {
	for n := 1; n < 3000; n++ {
		step := coprime(n)
		at, turns := step%n, 1
		for ; at != 0; at = (at + step) % n {
			turns++
		}
		if turns != n {
			t.Fatalf("a step of %d visits %d of %d places", step, turns, n)
		}
	}
}
