package display

import (
	"testing"

	"socsim/sim"
)

// scaledFrame is a frame of VID1 of 16 bits a pixel, scaled to a window.
func scaledFrame(width, height int, w Window) Frame {
	return Frame{Addr: 0x8000_0000, Width: width, Height: height, Stride: 2 * width, BytesPerPixel: 2, Window: w}
}

// enlarged is twice as large on the panel: position n/2, three taps, so that line L is first reached, one line beyond, at output line 2(L-1), and pixel x, two pixels beyond, at output pixel 2(x-2).
var enlarged = scaledFrame(400, 240, Window{0, 0, 800, 480})

// reduced has a third of the height and half the width: positions 3n and 2n, five taps. Output line y first reaches lines 3y, 3y+1 and 3y+2, and pixel x is first reached at output pixel x/2 - 1.
var reduced = scaledFrame(480, 480, Window{100, 50, 240, 160})

// squeezed has 5/6 of the height and width on a panel without time for five taps: three, position 1.2 n (1228/1024). Some output lines reach two new lines.
var squeezed = scaledFrame(960, 576, Window{0, 0, 800, 480})

func TestScaledBytesAreNeededWithTheOutputPixelThatFirstReachesThem(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame Frame
		burst int
		due   sim.Time
	}{
		// Lines of 800 bytes are 13 bursts. Line 10 begins with a burst: its sixth holds pixels 160 to 191, and is part of output line 18.
		{"enlarged, pixel 160 of line 10", enlarged, 10*13 + 5, at(n900, 0, 18, 316)},
		// Line 11 is part of output line 20, and its third burst begins at byte 96, pixel 48.
		{"enlarged, pixel 48 of line 11", enlarged, 11*13 + 2, at(n900, 0, 20, 92)},
		// Lines 0 and 1 are both part of output line 0: 800 pixels in 800 clocks. The third burst of line 1 begins at its pixel 48.
		{"enlarged, pixel 48 of line 1", enlarged, 13 + 2, at(n900, 0, 0, 448)},
		// Lines of 960 bytes are 15 bursts. Lines 30 and 31 pass in the 616 clocks after the window's end on panel line 59, line 32 with panel line 60. The third burst is pixels 64 to 95.
		{"reduced, pixel 64 of line 30", reduced, 30*15 + 2, at(n900, 0, 59, 340+41)},  // 64 x 616 / 960 = 41.07
		{"reduced, pixel 64 of line 31", reduced, 31*15 + 2, at(n900, 0, 59, 340+349)}, // (480 + 64) x 616 / 960 = 349.07
		{"reduced, pixel 64 of line 32", reduced, 32*15 + 2, at(n900, 0, 60, 100+31)},
		// Lines 0 to 2 are part of output line 0.
		{"reduced, pixel 64 of line 0", reduced, 2, at(n900, 0, 49, 340+41)},
		{"reduced, pixel 64 of line 2", reduced, 2*15 + 2, at(n900, 0, 50, 100+31)},
		// Lines of 1920 bytes are 30 bursts. Line 5 is first reached at n = ceil(4 x 1024 / 1228) = 4, line 6 at ceil(5 x 1024 / 1228) = 5, line 7 at 6 and line 8 at ceil(7168 / 1228) = 6:
		// lines 7 and 8 share output line 6, 1920 pixels in 800 clocks.
		{"squeezed, pixel 64 of line 6", squeezed, 6*30 + 2, at(n900, 0, 5, 52)},              // ceil(62 x 1024 / 1228) = 52
		{"squeezed, pixel 64 of line 7", squeezed, 7*30 + 2, at(n900, 0, 6, 26)},              // 64 x 800 / 1920 = 26.7
		{"squeezed, pixel 64 of line 8", squeezed, 8*30 + 2, at(n900, 0, 6, 426)},             // (960 + 64) x 800 / 1920 = 426.7
		{"squeezed, the last burst of line 575", squeezed, 576*30 - 1, at(n900, 0, 479, 773)}, // ceil(574 x 1024 / 1228) = 479, ceil(926 x 1024 / 1228) = 773
	} {
		for late, want := range map[sim.Time]uint64{0: 0, 1: 1} {
			f := newDisplay(t, dispc, n900)
			f.latency = 0
			f.delayBurst(c.burst, c.due+late)
			f.d.Flip(VID1, c.frame)
			f.d.Start(0)
			f.run(t, n900.Refresh()-1)
			if got := f.d.Stats(VID1).Underflows; got != want {
				t.Errorf("%s, %v after it is needed: %d underflows %+v, want %d", c.name, late, got, f.d.Underflows(), want)
			}
			if late == 1 && len(f.d.Underflows()) > 0 && f.d.Underflows()[0].At != c.due {
				t.Errorf("%s is due at %v, want %v", c.name, f.d.Underflows()[0].At, c.due)
			}
		}
	}
}

func TestAScaledPipelineUnderflowsAtExactlyTheStallThatEmptiesItsFIFO(t *testing.T) {
	// Bytes 8320 and on of the enlarged frame, pixel 160 of line 10, are requested when 960 of those before are left: when byte 7359, pixel 79 of line 9, has gone, with output pixel 154 of line 16.
	from, due := at(n900, 0, 16, 154), at(n900, 0, 18, 316)
	if clocks := (due - from) * 24 / sim.Microsecond; clocks != 2*856+162 {
		t.Errorf("%d pixel clocks between, want two lines and 162", clocks)
	}
	if got := stalled(t, dispc, VID1, enlarged, from, due-from); got != 0 {
		t.Errorf("%d underflows in a stall of %v, want none", got, due-from)
	}
	if got := stalled(t, dispc, VID1, enlarged, from, due-from+1); got != 1 {
		t.Errorf("%d underflows in a stall of %v, want 1", got, due-from+1)
	}
}

func TestAScaledFrameIsReadWholeAndOnce(t *testing.T) {
	for _, c := range []struct {
		frame  Frame
		bursts int
	}{{enlarged, 13 * 240}, {reduced, 15 * 480}, {squeezed, 30 * 576}} {
		f := newDisplay(t, dispc, n900)
		f.d.Flip(VID2, c.frame)
		f.d.Start(0)
		f.run(t, n900.Refresh()-1)
		bytes := 0
		for _, g := range f.log {
			if int(g.addr-c.frame.Addr) != bytes {
				t.Fatalf("%+v: reads %v after %d bytes from %v on", c.frame, g.addr, bytes, c.frame.Addr)
			}
			bytes += g.bytes
		}
		if len(f.log) != c.bursts || bytes != 2*c.frame.Width*c.frame.Height {
			t.Errorf("%+v: %d bursts of %d bytes, want %d bursts", c.frame, len(f.log), bytes, c.bursts)
		}
	}
}

func TestTheTapsAreThoseThatLinuxWouldChoose(t *testing.T) {
	d := newDisplay(t, dispc, n900).d
	for _, c := range []struct {
		frame Frame
		taps  int
	}{{enlarged, 3}, {reduced, 5}, {squeezed, 3}, {scaledFrame(800, 240, Window{0, 0, 400, 240}), 3}} {
		if got, err := d.taps(c.frame); got != c.taps || err != nil {
			t.Errorf("%+v: %d taps, %v, want %d", c.frame, got, err, c.taps)
		}
	}
}
