package sim

import "testing"

func TestStreamDrawsAreStable(t *testing.T) {
	for _, c := range []struct {
		seed uint64
		name string
		want [3]uint64
	}{
		{1, "memory.frames", [3]uint64{0x89d64b3c109cc218, 0x9126e6d43d5c214a, 0x79f94f22e4037d52}},
		{1, "cpu.caches", [3]uint64{0x3f94cba3bc555197, 0xbdd2580b9236c85e, 0x393956249701c82e}},
		{2, "cpu.caches", [3]uint64{0xefbfcde3f169d7fd, 0xcfe21e9bdd60ab0e, 0xf5d732b852c75b35}},
		{0, "", [3]uint64{0xcd8dbd97e610e08b, 0x34d7a10bb5eeaceb, 0x6a1c76639a8b6d7a}},
	} {
		s := Stream(c.seed, c.name)
		got := [3]uint64{s.Uint64(), s.Uint64(), s.Uint64()}
		if got != c.want {
			t.Errorf("Stream(%d, %q) draws %#x, want %#x", c.seed, c.name, got, c.want)
		}
	}
}

func TestStreamsAreIndependent(t *testing.T) {
	a, b := Stream(1, "a"), Stream(1, "b")
	first := a.Uint64()
	b.Uint64()
	again := Stream(1, "a")
	if again.Uint64() != first || again.Uint64() != a.Uint64() {
		t.Error("draws of one stream changed another's")
	}
}
