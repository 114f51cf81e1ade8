package display

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/units"
)

// Panel is the timing of a panel. A refresh is VSW + VBP + Height + VFP lines, in that order, and a line HSW + HBP + Width + HFP pixel clocks, in that order; the
// vertical sync pulse, and with it the refresh, begins with the first pixel clock of the first line.
type Panel struct {
	Width      int         `conf:"width" doc:"Pixels in a line."`
	Height     int         `conf:"height" doc:"Lines."`
	PixelClock units.Hertz `conf:"pixel_clock" doc:"Pixel clock."`
	HFP        int         `conf:"hfp" doc:"Horizontal front porch in pixel clocks."`
	HSW        int         `conf:"hsw" doc:"Horizontal sync width in pixel clocks."`
	HBP        int         `conf:"hbp" doc:"Horizontal back porch in pixel clocks."`
	VFP        int         `conf:"vfp" doc:"Vertical front porch in lines."`
	VSW        int         `conf:"vsw" doc:"Vertical sync width in lines."`
	VBP        int         `conf:"vbp" doc:"Vertical back porch in lines."`
}

// maxTotal bounds the pixel clocks of a line and the lines of a refresh.
const maxTotal = 1 << 14

// Validate reports the first setting that makes no sense.
func (p Panel) Validate() error {
	switch {
	case p.Width < 1 || p.Height < 1:
		return fmt.Errorf("panel: %dx%d pixels, want at least 1x1", p.Width, p.Height)
	case p.PixelClock <= 0 || p.PixelClock > units.Hertz(sim.Second):
		return fmt.Errorf("panel.pixel_clock: %v, want a clock of at most 1THz", p.PixelClock)
	case p.HFP < 0 || p.HBP < 0 || p.VFP < 0 || p.VBP < 0:
		return fmt.Errorf("panel: porches hfp %d, hbp %d, vfp %d, vbp %d, want none negative", p.HFP, p.HBP, p.VFP, p.VBP)
	case p.HSW < 1 || p.VSW < 1:
		return fmt.Errorf("panel: sync widths hsw %d, vsw %d, want at least 1 each", p.HSW, p.VSW)
	case max(p.Width, p.HFP, p.HSW, p.HBP) > maxTotal || p.HTotal() > maxTotal:
		return fmt.Errorf("panel: %d pixel clocks in a line, want at most %d", p.HTotal(), maxTotal)
	case max(p.Height, p.VFP, p.VSW, p.VBP) > maxTotal || p.VTotal() > maxTotal:
		return fmt.Errorf("panel: %d lines in a refresh, want at most %d", p.VTotal(), maxTotal)
	}
	return nil
}

// HTotal returns the pixel clocks of a line.
func (p Panel) HTotal() int { return p.HSW + p.HBP + p.Width + p.HFP }

// VTotal returns the lines of a refresh.
func (p Panel) VTotal() int { return p.VSW + p.VBP + p.Height + p.VFP }

// Clocks returns the pixel clocks of a refresh.
func (p Panel) Clocks() int64 { return int64(p.HTotal()) * int64(p.VTotal()) }

// Line returns the time of a line, rounded down.
func (p Panel) Line() sim.Time { return sim.NewClock(int64(p.PixelClock)).Cycles(int64(p.HTotal())) }

// Refresh returns the time of a refresh, rounded down. Refreshes of a running display are counted in pixel clocks and do not accumulate the rounding.
func (p Panel) Refresh() sim.Time { return sim.NewClock(int64(p.PixelClock)).Cycles(p.Clocks()) }

// pixel returns the pixel clock, counted from the refresh's vsync, of the first pixel of an active line.
func (p Panel) pixel(line int) int64 {
	return int64(p.VSW+p.VBP+line)*int64(p.HTotal()) + int64(p.HSW+p.HBP)
}
