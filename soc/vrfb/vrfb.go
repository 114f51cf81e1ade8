// Package vrfb models the rotation engine in the SDRAM memory scheduler (SMS), the virtual rotated frame buffer: an image that is kept in memory in square pages and seen, at other addresses, upright
// and turned by 90, 180 and 270 degrees.
//
// # Addresses
//
// A context describes one image and owns 64 MB of physical addresses in which there is no memory: four views of 16 MB, by how far the image is turned clockwise. A view is 2048 pixels wide and as many
// high. In memory the image is cut into pages of 32 bytes x 32 lines that follow each other row by row; its width and height are rounded up to whole pages, so that a turned view begins with the
// padding (see [Engine.Visible]). [Image.Phys] is the whole of the transform.
//
// # Cost
//
// A [Port] stands between an initiator and its bus port, looks at addresses, and lets those pass that lie in no view. Of a transfer in a view it puts on the bus what the transfer is in memory: upright and
// at 180 degrees one access for each page's 32 bytes, at 90 and 270 degrees one for each pixel, since neighbours lie a line apart. All of them have been asked for when the transfer has: the
// split is the memory's side of the interconnect, and it is the DRAM and its open rows that make it slow (OMAP36xx TRM SWPU177N, memory subsystem: bursts at 90 and 270 degrees are split there,
// and better written turned than read turned). Nothing is charged here.
//
// # Sources
//
// Views, their size and line length, pages of 2^5 x 2^5 bytes, rounding, offsets of the visible image: Linux omapfb vrfb.c and omapfb-main.c. The twelve contexts and their addresses: Linux
// arch/arm/mach-omap2/fb.c. That pages follow each other row by row, and that a split access keeps the order of the transfer, is recalled.
//
// # Left out
//
// Accesses to a view outside the image, which wrap; other sizes of pages, which follow the row size of the SDRAM (Linux assumes 1024 B on every board); the combining of split accesses of one
// page into longer ones; YUV 4:2:2 as such: to a context it is an image of half the width in pixels of 4 bytes.
package vrfb

import (
	"fmt"

	"socsim/sim/bus"
)

// The geometry of a view and of the pages in memory.
const (
	Contexts  = 12
	LineLen   = 2048 // pixels from a line of a view to the next
	ViewBytes = LineLen * LineLen * 4

	pageWidth  = 32 // bytes
	pageHeight = 32 // lines
	pageBytes  = pageWidth * pageHeight
)

// Where the views are. The first four contexts have a place of their own.
const (
	lowBase   bus.Phys = 0x7000_0000
	lowCount           = 4
	highBase  bus.Phys = 0xe000_0000
	highCount          = Contexts - lowCount

	contextBytes = 4 * ViewBytes
)

// View is by how many quarters of a turn, clockwise, the image is seen turned.
type View uint8

// The views.
const (
	Upright View = iota
	Turned90
	Turned180
	Turned270
)

// Degrees returns the angle.
func (v View) Degrees() int { return 90 * int(v) }

// Image is what a context describes: an image at Base in memory, in pages.
type Image struct {
	Base                         bus.Phys
	Width, Height, BytesPerPixel int
}

// Validate reports why a context cannot describe the image.
func (i Image) Validate() error {
	switch {
	case i.BytesPerPixel != 2 && i.BytesPerPixel != 4:
		return fmt.Errorf("vrfb: image of %d bytes a pixel, want 2 or 4", i.BytesPerPixel)
	case i.Width < 1 || i.Height < 1 || i.Width > LineLen || i.Height > LineLen:
		return fmt.Errorf("vrfb: image of %dx%d pixels, want 1x1 to %dx%d", i.Width, i.Height, LineLen, LineLen)
	}
	return nil
}

// padded returns the size of the image in whole pages.
func (i Image) padded() (width, height int) {
	w := (i.Width*i.BytesPerPixel + pageWidth - 1) &^ (pageWidth - 1)
	return w / i.BytesPerPixel, (i.Height + pageHeight - 1) &^ (pageHeight - 1)
}

// Bytes returns the memory that the image takes.
func (i Image) Bytes() int64 {
	w, h := i.padded()
	return int64(w) * int64(h) * int64(i.BytesPerPixel)
}

// Phys returns where the pixel at x, y of a view is in memory. Both count from the corner of the view, padding included, and must lie within the image in whole pages.
func (i Image) Phys(v View, x, y int) bus.Phys {
	c := newContext(i)
	return c.phys(v, x, y)
}

// Engine is the rotation engine with its contexts.
type Engine struct{ contexts [Contexts]context }

// context is a context in use; the zero context is free.
type context struct {
	Image
	width, height int // padded
}

func newContext(i Image) context {
	c := context{Image: i}
	c.width, c.height = i.padded()
	return c
}

// phys is [Image.Phys].
func (c *context) phys(v View, x, y int) bus.Phys {
	switch v {
	case Turned90:
		x, y = y, c.height-1-x
	case Turned180:
		x, y = c.width-1-x, c.height-1-y
	case Turned270:
		x, y = c.width-1-y, x
	}
	if uint(x) >= uint(c.width) || uint(y) >= uint(c.height) {
		panic(fmt.Sprintf("vrfb: pixel %d,%d of an image of %dx%d", x, y, c.width, c.height))
	}
	// Before its row of pages lie whole rows, before its page in the row whole pages, before its line in the page whole lines.
	at := uint(x * c.BytesPerPixel)
	row := uint(c.width * c.BytesPerPixel * pageHeight)
	return c.Base + bus.Phys(uint(y)/pageHeight*row+at/pageWidth*pageBytes+uint(y)%pageHeight*pageWidth+at%pageWidth)
}

// New returns an engine whose contexts are free.
func New() *Engine { return &Engine{} }

// Setup programs a context with an image.
func (e *Engine) Setup(ctx int, i Image) error {
	if ctx < 0 || ctx >= Contexts {
		return fmt.Errorf("vrfb: context %d, want 0 to %d", ctx, Contexts-1)
	}
	if err := i.Validate(); err != nil {
		return err
	}
	e.contexts[ctx] = newContext(i)
	return nil
}

// Base returns the address of a context's view.
func Base(ctx int, v View) bus.Phys {
	base := lowBase
	if ctx >= lowCount {
		base, ctx = highBase, ctx-lowCount
	}
	return base + bus.Phys(ctx)*contextBytes + bus.Phys(v)*ViewBytes
}

// Visible returns where the image is in a view, without the padding: the address of its first pixel, its size there, and the bytes from a line to the next. The context must be set up.
func (e *Engine) Visible(ctx int, v View) (addr bus.Phys, width, height, stride int) {
	c := &e.contexts[ctx]
	width, height, stride = c.Width, c.Height, LineLen*c.BytesPerPixel
	right, below := c.width-c.Width, c.height-c.Height
	var x, y int
	switch v {
	case Turned90:
		x = below
	case Turned180:
		x, y = right, below
	case Turned270:
		y = right
	}
	if v == Turned90 || v == Turned270 {
		width, height = height, width
	}
	return Base(ctx, v) + bus.Phys(y*stride+x*c.BytesPerPixel), width, height, stride
}

// In tells whether an address lies in a view.
func In(addr bus.Phys) bool {
	return addr-lowBase < lowCount*contextBytes || addr-highBase < highCount*contextBytes
}

// find returns the context and the view of an address in one, and its place there.
func (e *Engine) find(addr bus.Phys) (c *context, v View, off int) {
	ctx := (addr - lowBase) / contextBytes
	if addr >= highBase {
		ctx = lowCount + (addr-highBase)/contextBytes
	}
	return &e.contexts[ctx], View(addr / ViewBytes % 4), int(addr % ViewBytes)
}

// Check reports why the rectangle at addr, in a view, cannot be read or written: lines of so many bytes, stride apart.
func (e *Engine) Check(addr bus.Phys, lineBytes, lines, stride int) error {
	c, v, off := e.find(addr)
	if c.BytesPerPixel == 0 {
		return fmt.Errorf("vrfb: %v is in a view of a context that is not set up", addr)
	}
	line := LineLen * c.BytesPerPixel
	if stride != line {
		return fmt.Errorf("vrfb: lines %d bytes apart in a view, want %d", stride, line)
	}
	w, h := c.width, c.height
	if v == Turned90 || v == Turned270 {
		w, h = h, w
	}
	if off%c.BytesPerPixel != 0 || lineBytes%c.BytesPerPixel != 0 {
		return fmt.Errorf("vrfb: %d bytes at %v are no whole pixels of %d bytes", lineBytes, addr, c.BytesPerPixel)
	}
	if x, y := off%line/c.BytesPerPixel, off/line; x+lineBytes/c.BytesPerPixel > w || y+lines > h {
		return fmt.Errorf("vrfb: %d pixels x %d lines from %d,%d of a view that shows %dx%d", lineBytes/c.BytesPerPixel, lines, x, y, w, h)
	}
	return nil
}
