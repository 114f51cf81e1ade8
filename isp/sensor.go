package isp

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/units"
)

// Sensor is the timing of an image sensor's mode. A line is line_total pixel clocks, of which the first width carry pixels; a frame is frame_total lines, of which the first height are
// active (Linux drivers/media/i2c/et8ek8/et8ek8_mode.c lists modes in these terms).
type Sensor struct {
	Width      int         `conf:"width" doc:"Active pixels of a line."`
	Height     int         `conf:"height" doc:"Active lines of a frame."`
	LineTotal  int         `conf:"line_total" doc:"Pixel clocks of a line, blanking included."`
	FrameTotal int         `conf:"frame_total" doc:"Lines of a frame, blanking included."`
	PixelClock units.Hertz `conf:"pixel_clock" doc:"Rate at which pixels leave the sensor in the active part of a line."`
}

// maxFrameClocks bounds the pixel clocks of a line and the lines of a frame, so that counts over days of stream stay far inside 63 bits.
const maxFrameClocks = 1 << 16

// Validate reports the first field that makes no sense.
func (s Sensor) Validate() error {
	switch {
	case s.PixelClock <= 0:
		return fmt.Errorf("sensor.pixel_clock: %v, want a positive clock", s.PixelClock)
	case s.Width < 1 || s.Height < 1:
		return fmt.Errorf("sensor: %dx%d pixels, want at least 1x1", s.Width, s.Height)
	case s.LineTotal < s.Width || s.LineTotal > maxFrameClocks:
		return fmt.Errorf("sensor.line_total: %d pixel clocks, want from the %d active ones to %d", s.LineTotal, s.Width, maxFrameClocks)
	case s.FrameTotal < s.Height || s.FrameTotal > maxFrameClocks:
		return fmt.Errorf("sensor.frame_total: %d lines, want from the %d active ones to %d", s.FrameTotal, s.Height, maxFrameClocks)
	}
	return nil
}

// LineTime returns the duration of a line, rounded down to a picosecond. Successive lines are not spaced by it but by their pixel clock counts, and so do not drift.
func (s Sensor) LineTime() sim.Time {
	return sim.NewClock(int64(s.PixelClock)).Cycles(int64(s.LineTotal))
}

// FrameTime returns the duration of a frame, rounded down to a picosecond; see LineTime.
func (s Sensor) FrameTime() sim.Time {
	return sim.NewClock(int64(s.PixelClock)).Cycles(s.frameClocks())
}

// frameClocks returns the pixel clocks of a frame.
func (s Sensor) frameClocks() int64 { return int64(s.LineTotal) * int64(s.FrameTotal) }
