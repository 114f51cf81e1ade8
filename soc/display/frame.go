package display

import (
	"errors"
	"fmt"

	"socsim/sim/bus"
	"socsim/soc/vrfb"
)

// Pipeline is one of the three that fetch: graphics and two for video.
type Pipeline uint8

// The pipelines, in the order in which they go first at the port.
const (
	GFX Pipeline = iota
	VID1
	VID2

	Pipelines = 3
)

func (p Pipeline) String() string { return [Pipelines]string{"gfx", "vid1", "vid2"}[p] }

// Window is the part of the panel that a pipeline covers. The zero Window is the whole panel.
type Window struct{ X, Y, Width, Height int }

// Frame is a frame buffer to scan out. The zero size is that of the window; another size than the window's is scaled. Cookie is the caller's and comes back in [Vsync].
//
// A frame in a view of the VRFB is one like any other: its address and stride are the view's (see vrfb.Engine.Visible).
type Frame struct {
	Addr          bus.Phys // of the first pixel
	Width, Height int
	Stride        int // bytes from a line to the next
	BytesPerPixel int
	// PixelStep is the bytes from a pixel to the next (DISPC_GFX_PIXEL_INC, less a pixel, plus 1), 0 for pixels side by side. With a step each pixel is an access of its own, and lines may
	// follow each other in any direction.
	PixelStep int
	YUV       bool // 4:2:2, in 2 bytes a pixel
	Window    Window
	Cookie    int
}

// Turned returns the frame as the pipeline's own DMA shows it turned clockwise by 0, 90, 180 or 270 degrees, by pixel and row increments (Linux dispc.c, calc_dma_rotation_offset). The frame must
// have a size and no step.
func (f Frame) Turned(degrees int) Frame {
	if f.Width < 1 || f.Height < 1 || f.PixelStep != 0 {
		panic("display: Turned of a frame without a size, or turned already")
	}
	right, down := bus.Phys((f.Width-1)*f.BytesPerPixel), bus.Phys((f.Height-1)*f.Stride)
	switch degrees {
	case 0:
	case 90:
		f.Addr += down
		f.PixelStep, f.Stride = -f.Stride, f.BytesPerPixel
	case 180:
		f.Addr += down + right
		f.PixelStep, f.Stride = -f.BytesPerPixel, -f.Stride
	case 270:
		f.Addr += right
		f.PixelStep, f.Stride = f.Stride, -f.BytesPerPixel
	default:
		panic(fmt.Sprintf("display: a frame turned by %d degrees", degrees))
	}
	if degrees%180 != 0 {
		f.Width, f.Height = f.Height, f.Width
	}
	return f
}

// sized returns the frame with its window and size filled in.
func (f Frame) sized(p Panel) Frame {
	if f.Window == (Window{}) {
		f.Window = Window{Width: p.Width, Height: p.Height}
	}
	if f.Width == 0 && f.Height == 0 {
		f.Width, f.Height = f.Window.Width, f.Window.Height
	}
	return f
}

// scaled tells whether a sized frame is.
func (f Frame) scaled() bool { return f.Width != f.Window.Width || f.Height != f.Window.Height }

// Check reports why the pipeline cannot scan the frame out, if it cannot.
func (d *Display) Check(p Pipeline, f Frame) error {
	f = f.sized(d.panel)
	for _, check := range []func(Pipeline, Frame) error{d.checkWindow, d.checkFormat, d.checkLines, d.checkScaling, d.checkMerge} {
		if err := check(p, f); err != nil {
			return fmt.Errorf("display: %v: %w", p, err)
		}
	}
	return nil
}

func (d *Display) checkWindow(_ Pipeline, f Frame) error {
	w := f.Window
	if w.X < 0 || w.Y < 0 || w.Width < 1 || w.Height < 1 || w.Width > d.panel.Width-w.X || w.Height > d.panel.Height-w.Y {
		return fmt.Errorf("window of %dx%d at %d,%d, want one within the panel of %dx%d", w.Width, w.Height, w.X, w.Y, d.panel.Width, d.panel.Height)
	}
	if f.Width < 1 || f.Height < 1 || f.Width > maxTotal || f.Height > maxTotal {
		return fmt.Errorf("frame of %dx%d pixels, want at least 1x1", f.Width, f.Height)
	}
	return nil
}

// checkFormat: the graphics pipeline has no colour conversion, the video pipelines no palette (omapfb dss_features.c, omap3_dss_supported_color_modes).
func (d *Display) checkFormat(p Pipeline, f Frame) error {
	switch {
	case f.BytesPerPixel < 1 || f.BytesPerPixel > 16:
		return fmt.Errorf("frame of %d bytes per pixel, want 1 to 16", f.BytesPerPixel)
	case p != GFX && (f.BytesPerPixel < 2 || f.BytesPerPixel > 4):
		return fmt.Errorf("frame of %d bytes per pixel, want 2 to 4: only gfx takes others", f.BytesPerPixel)
	case f.YUV && p == GFX:
		return errors.New("frame in YUV 4:2:2, want RGB: only vid1 and vid2 convert it")
	case f.YUV && (f.BytesPerPixel != 2 || f.Width%2 != 0):
		return fmt.Errorf("YUV 4:2:2 of %d bytes per pixel, %d pixels wide, want 2 bytes and an even width", f.BytesPerPixel, f.Width)
	case f.YUV && f.PixelStep != 0:
		return errors.New("frame in YUV 4:2:2 with a pixel step, want RGB: pixels come in pairs")
	}
	return nil
}

func (d *Display) checkLines(_ Pipeline, f Frame) error {
	bytes := f.Width * f.BytesPerPixel
	if f.PixelStep == 0 && f.Stride < bytes {
		return fmt.Errorf("frame with a stride of %d bytes, want at least %d for %d pixels of %d bytes", f.Stride, bytes, f.Width, f.BytesPerPixel)
	}
	switch {
	case !vrfb.In(f.Addr):
		return nil
	case d.vrfb == nil:
		return fmt.Errorf("frame at %v, in a view of the VRFB, which the display is not connected to", f.Addr)
	case f.PixelStep != 0:
		return errors.New("frame in a view of the VRFB with a pixel step, want one or the other")
	}
	return d.vrfb.Check(f.Addr, bytes, f.Height, f.Stride)
}

// checkMerge: with the FIFOs merged one pipeline has them all.
func (d *Display) checkMerge(p Pipeline, _ Frame) error {
	if !d.cfg.FIFOMerge {
		return nil
	}
	for i := range d.pipes {
		if q := &d.pipes[i]; Pipeline(i) != p && (q.goFlag && q.shadowOn || !q.goFlag && q.showing) {
			return fmt.Errorf("%v is active, and with display.fifo_merge one pipeline has all FIFOs", Pipeline(i))
		}
	}
	return nil
}
