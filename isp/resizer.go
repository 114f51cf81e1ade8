package isp

import (
	"fmt"

	"socsim/sim/units"
)

// The resizer's ratios are input over output in 1/256 (ispresizer.c: MIN_, MID_ and MAX_RESIZE_VALUE). Up to midRatio the vertical filter has 4 taps and 8 phases, beyond it 7 taps and
// 4 phases; the horizontal filter always reads 7 columns.
const (
	minRatio = 64
	midRatio = 512
	maxRatio = 1024

	columnTaps = 7
)

// Sizes of the resizer's input (ispresizer.c).
const (
	minInput = 32
	maxInput = 4095
)

// maxResizerRate is half of 200 MHz: the resizer's horizontal output rate is bounded by half the interconnect's clock or half of this, whichever is less (ispresizer.c,
// omap3isp_resizer_max_rate).
const maxResizerRate = 100_000_000

// Resizer is the resizer's setting for one input and output size, computed as the omap3isp driver does (ispresizer.c, resizer_calc_ratios): the ratio is the largest that
// needs no more input than there is, rounded down, so some input may be left over; what is used is centred.
//
// In each direction, with phase = 16 and taps = 4 up to a ratio of 512, phase = 32 and taps = 7 beyond (columns always have 7 taps),
//
//	ratio = ((in - taps) * 256 + 255 - phase) / (out - 1)
//	used  = (((out - 1) * ratio + phase) >> 8) + taps
//
// The ratio is tried with 4 taps first. For 854x652 to 864x656 that is 251/256 by 253/256, which uses 853x651 of the input.
type Resizer struct {
	InWidth, InHeight     int // what the preview engine delivers
	OutWidth, OutHeight   int
	HorzRatio, VertRatio  int // in 1/256: 64 scales up by 4, 1024 down by 4
	UsedWidth, UsedHeight int // part of the input that is read
	Left, Top             int // where that part begins in the input
}

// NewResizer returns the setting that scales an input of width x height pixels to the output. It fails when the resizer cannot: an input or output beyond its limits or a factor beyond
// 4 up or 4 down.
func NewResizer(cfg Config, width, height int, out Image) (Resizer, error) {
	r := Resizer{InWidth: width, InHeight: height, OutWidth: out.Width, OutHeight: out.Height}
	if err := out.Validate(); err != nil {
		return r, err
	}
	if width < minInput || height < minInput || width > maxInput || height > maxInput {
		return r, fmt.Errorf("resizer input %dx%d: want %dx%d to %dx%d", width, height, minInput, minInput, maxInput, maxInput)
	}
	if low, high := outputRange(height, 4); out.Height < low || out.Height > high {
		return r, fmt.Errorf("resizer: %d lines to %d: ratio out of range, want %d to %d lines (4 times down or up)", height, out.Height, low, high)
	}
	if low, high := outputRange(width, columnTaps); out.Width < low || out.Width > high {
		return r, fmt.Errorf("resizer: %d columns to %d: ratio out of range, want %d to %d columns (4 times down or up)", width, out.Width, low, high)
	}
	r.VertRatio, r.UsedHeight = ratio(height, out.Height, 4)
	r.HorzRatio, r.UsedWidth = ratio(width, out.Width, columnTaps)
	r.Left, r.Top = (width-r.UsedWidth)/2, (height-r.UsedHeight)/2

	limit, taps := cfg.MaxOutputWidth, 4
	if r.VertRatio > midRatio {
		limit, taps = cfg.MaxOutputWidth7Tap, 7
	}
	if out.Width > limit {
		return r, fmt.Errorf("resizer: output width %d over the limit of %d with %d vertical taps", out.Width, limit, taps)
	}
	align := 2
	if r.VertRatio < 256 {
		align = 8
	}
	if out.Width%align != 0 {
		return r, fmt.Errorf("resizer: output width %d, want a multiple of %d at a vertical ratio of %d/256", out.Width, align, r.VertRatio)
	}
	return r, nil
}

// outputRange returns the smallest and the largest output size for an input size. taps4 is the number of taps in 4-tap mode.
func outputRange(in, taps4 int) (low, high int) {
	low = ((in-7)*256-phase(maxRatio))/maxRatio + 1
	high = ((in-taps4)*256+255-phase(minRatio))/minRatio + 1
	return low, high
}

// ratio returns the ratio for an input and output size and the input it uses. taps4 is the number of taps in 4-tap mode.
func ratio(in, out, taps4 int) (ratio, used int) {
	ratio = ((in-taps4)*256 + 255 - phase(minRatio)) / (out - 1)
	if ratio > midRatio {
		ratio = ((in-7)*256 + 255 - phase(maxRatio)) / (out - 1)
	}
	ratio = min(max(ratio, minRatio), maxRatio)
	return ratio, needs(out-1, ratio, taps4)
}

// needs returns how much of the used input output i needs, counted from its beginning.
func needs(i, ratio, taps4 int) int {
	taps := taps4
	if ratio > midRatio {
		taps = 7
	}
	return (i*ratio+phase(ratio))>>8 + taps
}

// phase is the rounding term of the position: half a phase in 1/256.
func phase(ratio int) int {
	if ratio > midRatio {
		return 32
	}
	return 16
}

// Columns returns how many columns of the used input output pixel p needs.
func (r Resizer) Columns(p int) int { return needs(p, r.HorzRatio, columnTaps) }

// Lines returns how many lines of the used input output line k needs.
func (r Resizer) Lines(k int) int { return needs(k, r.VertRatio, 4) }

// CheckRate fails when pixels come in faster than the resizer can put them out. The output of the horizontal stage is bounded by the processing clock, half the interconnect's, and that of the
// vertical stage by twice as much (at most 100 and 200 Mpixel/s). The TRM does not say whether these are peak or mean rates; they are taken as peak rates.
func (r Resizer) CheckRate(pixelClock, processing units.Hertz) error {
	limit := int64(min(processing, maxResizerRate))
	out, used := int64(pixelClock)*int64(r.OutWidth), int64(r.UsedWidth)
	if out > limit*used {
		return fmt.Errorf("resizer: %d columns out for %d in at a pixel clock of %v make %v, over the limit of %v for the horizontal stage",
			r.OutWidth, r.UsedWidth, pixelClock, units.Hertz(out/used), units.Hertz(limit))
	}
	out, used = out*int64(r.OutHeight), used*int64(r.UsedHeight)
	if out > 2*limit*used {
		return fmt.Errorf("resizer: %dx%d out of %dx%d at a pixel clock of %v make %v, over the limit of %v for the vertical stage",
			r.OutWidth, r.OutHeight, r.UsedWidth, r.UsedHeight, pixelClock, units.Hertz(out/used), units.Hertz(2*limit))
	}
	return nil
}

// String says what the resizer does: "854x652 -> 864x656: ratio 251/256 by 253/256, uses 853x651 of the input".
func (r Resizer) String() string {
	return fmt.Sprintf("%dx%d -> %dx%d: ratio %d/256 by %d/256, uses %dx%d of the input",
		r.InWidth, r.InHeight, r.OutWidth, r.OutHeight, r.HorzRatio, r.VertRatio, r.UsedWidth, r.UsedHeight)
}
