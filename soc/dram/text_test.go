package dram

import "testing"

// FuzzBurst checks that a burst length that is read prints as a text that reads back.
func FuzzBurst(f *testing.F) {
	for _, s := range []string{"8", "BL8", "bl16", "BLbl4", "BL", "-8", "65535", "65536", "0x8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, again Burst
		if b.UnmarshalText([]byte(text)) != nil {
			return
		}
		printed, err := b.MarshalText()
		if err != nil || b < 0 {
			t.Fatalf("%q is %d, %v", text, b, err)
		}
		if err := again.UnmarshalText(printed); err != nil || again != b {
			t.Errorf("%q is %s, which reads back as %d, %v", text, printed, again, err)
		}
	})
}
