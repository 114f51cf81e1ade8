package graph

import "testing"

// FuzzSize checks that a size that is read is an image of some pixels, and prints as a text that reads back.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"864x656", "1x1", "32767x32767", "32768x1", "0x656", " 8x8 ", "8x", "x", "8X8", "+8x8", "8x8x8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again Size
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		if s.Width < 1 || s.Width > 32767 || s.Height < 1 || s.Height > 32767 {
			t.Fatalf("%q is %v", text, s)
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q is %v, which reads back as %v, %v", text, s, again, err)
		}
	})
}

// FuzzWindow checks the same of a window.
func FuzzWindow(f *testing.F) {
	for _, s := range []string{"full", "400x240+200+120", "400x240", "400x240+200", "400x240+0+0", "400x240+16383+16384", "400x240-1+2", "400x240+1+2+3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var w, again Window
		if w.UnmarshalText([]byte(text)) != nil {
			return
		}
		if w.X < 0 || w.Y < 0 || (w.Width == 0) != (w == Window{}) {
			t.Fatalf("%q is %+v", text, w)
		}
		if err := again.UnmarshalText([]byte(w.String())); err != nil || again != w {
			t.Errorf("%q is %v, which reads back as %v, %v", text, w, again, err)
		}
	})
}
