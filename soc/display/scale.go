package display

import (
	"errors"
	"fmt"

	"socsim/sim/units"
)

// scaler is how a pipeline consumes a scaled frame: see the package's comment.
type scaler struct {
	on             bool
	five           bool  // vertical taps, or else three
	width, height  int64 // of the frame
	outW, outH     int64 // of the window
	hinc, vinc     int64
	hreach, vreach int64
	blank          int64 // pixel clocks from the window's last pixel of a line to its first of the next
}

// firUnit is an increment of one pixel.
const firUnit = 1024

// Taps and limits of the scaler: omapfb dss_features.c (omap3_dss_param_range) and dispc.c.
const (
	lineBuffer   = 1024 // pixels of a line with five taps; with three, twice as many
	maxUpscale   = 8
	maxDownscale = 4
)

// scaler returns how a sized frame, which has been checked, is scaled.
func (d *Display) scaler(f Frame) scaler {
	if !f.scaled() {
		return scaler{}
	}
	taps, _ := d.taps(f)
	s := scaler{
		on: true, five: taps == 5, width: int64(f.Width), height: int64(f.Height), outW: int64(f.Window.Width), outH: int64(f.Window.Height), blank: int64(d.panel.HTotal() - f.Window.Width),
	}
	s.hinc, s.vinc = firUnit*s.width/s.outW, firUnit*s.height/s.outH
	if s.width != s.outW {
		s.hreach = 2 // five taps, always
	}
	if s.height != s.outH {
		s.vreach = int64(taps / 2)
	}
	return s
}

// first returns the output pixel of n whose filter first reaches input pixel i: the smallest whose position, plus the reach, is at least i.
func first(i, inc, reach, n int64) int64 {
	if i <= reach {
		return 0
	}
	return min((firUnit*(i-reach)+inc-1)/inc, n-1)
}

// line returns the output line of which a line of the frame is part, and the clock, counted from its first pixel, from which on it passes. It sets the cursor to the pace.
func (s *scaler) line(c *cursor, line int64) (out, clock int64) {
	out = first(line, s.vinc, s.vreach, s.outH)
	from, to := line, line
	for from > 0 && first(from-1, s.vinc, s.vreach, s.outH) == out {
		from--
	}
	for to < s.height-1 && first(to+1, s.vinc, s.vreach, s.outH) == out {
		to++
	}
	c.before, c.span = (line-from)*s.width, 0
	switch {
	case from == to || s.five && line == to:
	case s.five:
		c.span, c.all = s.blank, (to-from)*s.width
		return out, -s.blank
	default:
		c.span, c.all = s.outW, (to-from+1)*s.width
	}
	return out, 0
}

// clocks returns when pixel x of the cursor's line passes, counted from when the line may begin.
func (s *scaler) clocks(c *cursor, x int64) int64 {
	if c.span > 0 {
		return (c.before + x) * c.span / c.all
	}
	return first(x, s.hinc, s.hreach, s.outW)
}

// checkScaling judges as dispc_ovl_calc_scaling_34xx does, without its decimation.
func (d *Display) checkScaling(p Pipeline, f Frame) error {
	if !f.scaled() {
		return nil
	}
	w := f.Window
	what := fmt.Sprintf("frame of %dx%d in a window of %dx%d", f.Width, f.Height, w.Width, w.Height)
	switch {
	case p == GFX:
		return fmt.Errorf("%s: only vid1 and vid2 scale", what)
	case w.Width > maxUpscale*f.Width || w.Height > maxUpscale*f.Height:
		return fmt.Errorf("%s, want at most %d times as large", what, maxUpscale)
	case f.Width > maxDownscale*w.Width || f.Height > maxDownscale*w.Height:
		return fmt.Errorf("%s, want at least a quarter of the size", what)
	case f.Width > 2*lineBuffer:
		return fmt.Errorf("%s, want at most %d pixels in a line", what, 2*lineBuffer)
	}
	if _, err := d.taps(f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// taps returns the vertical taps with which a frame can be scaled: five to make it less high, three otherwise or if five do not do.
func (d *Display) taps(f Frame) (int, error) {
	shrinks := f.Height > f.Window.Height
	if shrinks && (f.Width <= lineBuffer || f.Height >= 2*f.Window.Height) && d.scalerTiming(f, true) == nil {
		return 5, d.scalerFits(f, 5)
	}
	if err := d.scalerTiming(f, false); err != nil {
		return 0, err
	}
	return 3, d.scalerFits(f, 3)
}

// scalerTiming is check_horiz_timing_omap3: the lines that are dropped must pass in the blanking, a pixel each functional clock.
func (d *Display) scalerTiming(f Frame, five bool) error {
	p, w := d.panel, f.Window
	fck, pclk := int64(d.cfg.Clock), int64(p.PixelClock)
	least := int64(8)
	switch shrinks := [2]bool{f.Height > w.Height, f.Width > w.Width}; shrinks {
	case [2]bool{true, true}:
		least = 20
	case [2]bool{true, false}, [2]bool{false, true}:
		least = 10
	}
	if got := int64(p.HBP+p.HSW+p.HFP) * fck / pclk; got <= least {
		return fmt.Errorf("the horizontal blanking is %d functional clocks, want more than %d", got, least)
	}
	if !five {
		return nil
	}
	lines := int64((f.Height + w.Height - 1) / w.Height)
	blank := int64(p.HTotal() - w.Width)
	if got, want := (blank-int64(w.X))*fck/pclk, max(0, lines-2)*int64(f.Width); got < want {
		return fmt.Errorf("%d functional clocks before a line of the window, want %d to load %d lines", got, want, lines-2)
	}
	if got, want := blank*fck/pclk, max(0, lines-1)*int64(f.Width); got < want {
		return fmt.Errorf("%d functional clocks between lines of the window, want %d to load %d lines", got, want, lines-1)
	}
	return nil
}

// scalerFits checks what the taps can do at the functional clock.
func (d *Display) scalerFits(f Frame, taps int) error {
	w := f.Window
	switch {
	case taps == 5 && f.Width > lineBuffer:
		return fmt.Errorf("five taps, want at most %d pixels in a line", lineBuffer)
	case taps == 3 && f.Height/2 > w.Height:
		return errors.New("three taps, want at least half the height")
	}
	need := d.scalerClock(f, taps)
	if need == 0 {
		return errors.New("five taps to less than half the height need a window narrower than the panel")
	}
	if need > int64(d.cfg.Clock) {
		return fmt.Errorf("it needs a functional clock of %v, and display.clock is %v", units.Hertz(need), d.cfg.Clock)
	}
	return nil
}

// scalerClock returns the functional clock that a frame needs: calc_core_clk_five_taps and calc_core_clk_34xx; 0 if none is enough.
func (d *Display) scalerClock(f Frame, taps int) int64 {
	w, pclk := f.Window, int64(d.panel.PixelClock)
	width, height, outW, outH := int64(f.Width), int64(f.Height), int64(w.Width), int64(w.Height)
	if taps == 3 {
		across := min(4, (width+outW-1)/outW) // 1, 2, 3 or 4 clocks a pixel
		if height > outH {
			across *= 2
		}
		return pclk * across
	}
	ppl, need := int64(d.panel.Width), int64(0)
	if height > outH {
		need = pclk * height * outW / (2 * outH * ppl)
	}
	if height > 2*outH {
		if ppl == outW {
			return 0
		}
		need = max(need, pclk*(height-2*outH)*outW/(2*outH*(ppl-outW)))
	}
	if width > outW {
		need = max(need, pclk*width/outW)
		if f.BytesPerPixel == 4 {
			need *= 2
		}
	}
	return max(need, 1)
}
