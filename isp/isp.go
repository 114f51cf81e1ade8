// Package isp models the OMAP3 camera ISP: sensor, CCDC, preview engine, resizer, histogram, the statistics of H3A, and the shared buffer logic (SBL) that carries the data of all of them
// between the blocks and memory.
//
// # What it models
//
// An [ISP] is one SBL in front of one port to memory, and the blocks that paths are made of, each of which one path can use: [ISP.OnTheFly] makes the path of a sensor, [Pipeline], and
// [ISP.ResizeMemory], [ISP.PreviewMemory], [ISP.PreviewResizeMemory] and [ISP.HistogramMemory] make paths from memory, [Memory].
//
// On the fly, the CCDC writes raw data and passes them on to the preview engine, which crops the frame, writes it and passes it on to the resizer, which scales it with the ratios that the
// omap3isp driver computes (see [Resizer]) and writes it: any combination at once, each with buffers of its own. H3A writes a number of bytes a frame of auto-focus and of exposure and
// white balance data, and the CCDC reads gains for the lens shading correction (LSC), all spread evenly over the active pixels.
//
// Time is counted in pixel clocks of the sensor from the start of the stream, so that nothing drifts: count n is at start + clock.Cycles(n). With pixel p of a line of the sensor, counted
// from 0, p+1 have been sent.
//
//	raw        byte b of line k is produced when column b/2 + 1 of line k has been sent
//	preview    ... column left + b/2 + 1 of line top + k, where left and top are half of the crop
//	resized    ... column left + ((p*ratio + phase) >> 8) + 7 of line top + ((k*ratio + phase) >> 8) + taps, for the pixel p that holds the byte,
//	           where left and top are half of the preview engine's crop and of what the resizer leaves over
//	statistics byte b of n is produced when (b+1)*P/n of P pixels, rounded up, have been sent
//	gains      byte b of n is needed with pixel b*P/n
//
// The SBL collects each line in data units of 256 bytes. Its ports have 1 KB each, those of H3A and the histogram 512 bytes, and a fixed order of priority, P0 to P14 (the table is in
// port.go): of the units that are ready the most urgent is requested, when the one before it has been granted. What has been requested is not called back, but a request that is not due
// yet makes way. The resizer has four line ports; several output lines that fall on one input line use ports 1 to 4 side by side, otherwise port 1 carries them all.
//
// A data unit that is written takes storage in its port from the production of its first byte until its last burst is done, and is requested when its last byte has been produced. That is
// the double buffering of the SBL: a unit in flight keeps its storage. A unit whose first byte finds the port full is lost: an overflow. The bus cannot stop a sensor, so overflow is the
// only way in which the camera notices that the memory is late. The gains are fetched ahead as far as their port has room, and are an error if they are not there when they are needed.
// Paths from memory lose nothing: they wait.
//
// # Structure
//
// The memory path pulls (see socsim/sim/bus): each port is a lane of a [bus.Mux], shows one data unit at a time and computes the next one when the last is granted. Per frame there are two
// events at each tap, its start and its end, per job one; nothing is scheduled or allocated per line or unit. A data unit costs O(ports in use); a port keeps 24 bytes per data unit of a
// line and 16 bytes per line.
//
// # What it leaves out
//
// Pixel values; the CSI2 and CCP2 receivers, fault-pixel correction and dark frames, whose ports are in the table and have no client; the histogram on the fly, which keeps its bins in the
// ISP; the latency of the preview engine's and resizer's pipelines; the circular buffers of OMAP36xx (p. 1241); the bandwidth limits for reads from memory (read expansion, p. 1298); a
// path cannot be taken apart again. That lines share the line ports in this way is an estimate: the TRM lists four line ports and their priorities, not which line goes where. So is that
// statistics and gains come evenly, and that the next frame's gains are fetched as far as there is room.
//
// Sources: OMAP36xx TRM SWPU177N, camera ISP chapter (SBL ports, sizes and priorities p. 1231, clocks p. 1277 and 1297, reads from memory stall p. 1297, their rate p. 1298, resizer p.
// 1288); Linux drivers/media/platform/omap3isp (ispresizer.c: ratios, limits, data rates; isppreview.c: crop; ispccdc.c: input rate, and that the LSC is turned on after its first
// prefetch).
package isp

import (
	"fmt"

	"socsim/iommu"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// Config describes the ISP. It is validated once, by New.
type Config struct {
	ProcessingClock units.Hertz `conf:"processing_clock" doc:"Clock of CCDC, preview engine and resizer: half the interconnect's. It bounds the sensor's pixel clock and the resizer's output rate."`
	PortBytes       units.Bytes `conf:"port_bytes" doc:"Storage of each port of the shared buffer logic but the small ones."`
	SmallPortBytes  units.Bytes `conf:"small_port_bytes" doc:"Storage of the small ports of the shared buffer logic: H3A, histogram and fault pixels."`
	DataUnit        units.Bytes `conf:"data_unit" doc:"Size of the units in which the shared buffer logic writes to memory."`
	Outstanding     int         `conf:"outstanding" doc:"Bursts that the ISP may have in flight on the interconnect (estimated)."`
	// The TRM gives a steady rate for what the ISP reads from memory (p. 1298: 200 MB/s at an interconnect of 200 MHz) and a longer time for the resizer (p. 1288: width x bytes a pixel x
	// height at half the interconnect's clock).
	MemoryRate  units.Bytes `conf:"m2m_rate" doc:"Bytes that preview engine and histogram take from an image in memory in a cycle of the processing clock."`
	ResizerRate units.Bytes `conf:"m2m_resizer_rate" doc:"Bytes that the resizer takes from an image in memory in a cycle of the processing clock."`
	// The crop is that of the preview engine's filters at most (isppreview.c, PREV_MARGIN_*: 10 columns, 4 lines). The driver crops 4 columns more for an input from the CCDC, and 4 columns and
	// 4 lines more for a Bayer format.
	CropColumns        int `conf:"crop_columns" doc:"Columns that the preview engine's filters consume, half on each side."`
	CropLines          int `conf:"crop_lines" doc:"Lines that the preview engine's filters consume, half at the top and half at the bottom."`
	MaxPreviewWidth    int `conf:"max_preview_width" doc:"Widest output of the preview engine, in pixels."`
	MaxOutputWidth     int `conf:"max_output_width" doc:"Widest output of the resizer with 4 vertical taps (down to half the height), in pixels."`
	MaxOutputWidth7Tap int `conf:"max_output_width_7tap" doc:"Widest output of the resizer with 7 vertical taps (below half the height), in pixels."`

	MMU iommu.Config `conf:"mmu" doc:"MMU between the shared buffer logic and the interconnect."`
}

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	switch {
	case c.ProcessingClock <= 0:
		return fmt.Errorf("isp.processing_clock: %v, want a positive clock", c.ProcessingClock)
	case c.DataUnit <= 0:
		return fmt.Errorf("isp.data_unit: %v, want a positive size", c.DataUnit)
	case c.PortBytes < c.DataUnit || c.PortBytes%c.DataUnit != 0:
		return fmt.Errorf("isp.port_bytes: %v, want a multiple of the data unit of %v", c.PortBytes, c.DataUnit)
	case c.SmallPortBytes < c.DataUnit || c.SmallPortBytes%c.DataUnit != 0:
		return fmt.Errorf("isp.small_port_bytes: %v, want a multiple of the data unit of %v", c.SmallPortBytes, c.DataUnit)
	case c.MemoryRate < 1:
		return fmt.Errorf("isp.m2m_rate: %v, want at least 1 byte a cycle", c.MemoryRate)
	case c.ResizerRate < 1:
		return fmt.Errorf("isp.m2m_resizer_rate: %v, want at least 1 byte a cycle", c.ResizerRate)
	case c.Outstanding < 1 || c.Outstanding > bus.MaxOutstanding:
		return fmt.Errorf("isp.outstanding: %d, want 1 to %d bursts", c.Outstanding, bus.MaxOutstanding)
	case c.CropColumns < 0 || c.CropColumns%2 != 0:
		return fmt.Errorf("isp.crop_columns: %d, want an even number of columns", c.CropColumns)
	case c.CropLines < 0 || c.CropLines%2 != 0:
		return fmt.Errorf("isp.crop_lines: %d, want an even number of lines", c.CropLines)
	case c.MaxPreviewWidth < 1:
		return fmt.Errorf("isp.max_preview_width: %d, want a positive number of pixels", c.MaxPreviewWidth)
	case c.MaxOutputWidth < 1:
		return fmt.Errorf("isp.max_output_width: %d, want a positive number of pixels", c.MaxOutputWidth)
	case c.MaxOutputWidth7Tap < 1:
		return fmt.Errorf("isp.max_output_width_7tap: %d, want a positive number of pixels", c.MaxOutputWidth7Tap)
	}
	if err := c.MMU.Validate(); err != nil {
		return fmt.Errorf("isp.mmu: %w", err)
	}
	return nil
}

// previewed returns the image that the preview engine makes of an input.
func (c *Config) previewed(width, height, stride int) Image {
	return Image{Width: width - c.CropColumns, Height: height - c.CropLines, BytesPerPixel: 2, Stride: stride}
}

// minPreviewWidth and minPreviewHeight are the smallest input of the preview engine (isppreview.c: PREV_MIN_IN_WIDTH, PREV_MIN_IN_HEIGHT).
const (
	minPreviewWidth  = 64
	minPreviewHeight = 8
)

// checkPreview fails when the preview engine cannot take an input of a size, or write its output with a stride, 0 if it does not.
func (c *Config) checkPreview(width, height, stride int) error {
	if width < minPreviewWidth || height < minPreviewHeight {
		return fmt.Errorf("isp: preview engine: input %dx%d, want at least %dx%d", width, height, minPreviewWidth, minPreviewHeight)
	}
	m := c.previewed(width, height, stride)
	if m.Width < 1 || m.Height < 1 {
		return fmt.Errorf("isp: preview engine: nothing of %dx%d is left by the crop of %d columns and %d lines", width, height, c.CropColumns, c.CropLines)
	}
	if m.Width > c.MaxPreviewWidth {
		return fmt.Errorf("isp: preview engine: output width %d over the limit of %d", m.Width, c.MaxPreviewWidth)
	}
	if stride == 0 {
		return nil
	}
	return m.check("preview image")
}

// Image is an image in memory. BytesPerPixel is 2 for interleaved YUV 4:2:2 and raw data, 1 for one plane of 8 bits. Stride is the distance between lines in bytes.
type Image struct {
	Width, Height int
	BytesPerPixel int
	Stride        int
}

// outputAlign is the alignment of an image's address and line offset in bytes (ispresizer.c, resizer_set_outaddr and resizer_set_output_offset; isppreview.c and ispccdc.c alike).
const outputAlign = 32

// Bytes returns the size of a buffer that holds the image: all lines but the last at full stride.
func (m Image) Bytes() int { return (m.Height-1)*m.Stride + m.Width*m.BytesPerPixel }

// Validate reports the first field that the resizer cannot write.
func (m Image) Validate() error {
	if m.Width < 16 || m.Height < 2 || m.Height > 4095 {
		return fmt.Errorf("isp output %dx%d: want at least 16x2 and at most 4095 lines", m.Width, m.Height)
	}
	return m.check("output")
}

// check reports the first field that cannot be right for an image of any block; what names it.
func (m Image) check(what string) error {
	switch {
	case m.Width < 1 || m.Height < 1:
		return fmt.Errorf("isp %s: %dx%d pixels, want at least 1x1", what, m.Width, m.Height)
	case m.BytesPerPixel != 1 && m.BytesPerPixel != 2:
		return fmt.Errorf("isp %s: %d bytes per pixel, want 1 or 2: YUV 4:2:2, raw data or one plane", what, m.BytesPerPixel)
	case m.Stride < m.Width*m.BytesPerPixel:
		return fmt.Errorf("isp %s: stride %d, want at least the %d bytes of a line", what, m.Stride, m.Width*m.BytesPerPixel)
	case m.Stride%outputAlign != 0:
		return fmt.Errorf("isp %s: stride %d, want a multiple of %d bytes", what, m.Stride, outputAlign)
	}
	return nil
}
