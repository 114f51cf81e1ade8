package dmaengine

import (
	"fmt"
	"math/bits"

	"socsim/sim/bus"
	"socsim/soc/memory"
	"socsim/soc/sdma"
)

// Layout is an image in a buffer, from its first byte on: Height rows of Width bytes, Stride bytes apart.
type Layout struct{ Width, Height, Stride int }

// Linear is the layout of the first n bytes of a buffer.
func Linear(n int) Layout { return Layout{Width: n, Height: 1, Stride: n} }

// Validate reports why a buffer of so many bytes cannot hold the image.
func (l Layout) Validate(bytes int64) error {
	switch {
	case l.Width < 1 || l.Height < 1:
		return fmt.Errorf("image of %dx%d bytes, want at least 1x1", l.Width, l.Height)
	case l.Stride < l.Width:
		return fmt.Errorf("stride of %d bytes, want at least the width of %d", l.Stride, l.Width)
	case int64(l.Stride)*int64(l.Height-1)+int64(l.Width) > bytes:
		return fmt.Errorf("image of %d rows of %d bytes, %d apart, in a buffer of %d bytes", l.Height, l.Width, l.Stride, bytes)
	}
	return nil
}

// piece is a part of a copy within one run on either side: rows of width bytes, the strides apart.
type piece struct {
	src, dst             bus.Phys
	width, rows          int
	srcStride, dstStride int
}

// side goes through the runs of a buffer.
type side struct {
	runs []memory.Run
	base int // offset of the first of them in the buffer
}

// seek moves on to the run that holds the byte at an offset, which never decreases, and returns the byte's address and how many bytes follow it in the run, itself included.
func (s *side) seek(offset int) (bus.Phys, int) {
	for offset >= s.base+s.runs[0].Bytes {
		s.base += s.runs[0].Bytes
		s.runs = s.runs[1:]
	}
	in := offset - s.base
	return s.runs[0].Addr + bus.Phys(in), s.runs[0].Bytes - in
}

// maxWidth bounds the bytes of a piece's row so that CEN can hold them as elements of any size.
const maxWidth = sdma.MaxElements &^ 63

// pieces cuts a copy where a run ends on either side: rows that lie whole in the same runs go together, and the others are cut. Rows that follow one another on both sides are one row.
func pieces(src, dst []memory.Run, from, to Layout) []piece {
	if from.Width == from.Stride && to.Width == to.Stride {
		from, to = Linear(from.Width*from.Height), Linear(to.Width*to.Height)
	}
	a, b := side{runs: src}, side{runs: dst}
	var out []piece
	for row := 0; row < from.Height; {
		pa, leftA := a.seek(row * from.Stride)
		pb, leftB := b.seek(row * to.Stride)
		if rows := min(whole(leftA, from), whole(leftB, to), from.Height-row, sdma.MaxFrames); rows > 0 && from.Width <= maxWidth {
			out = append(out, piece{pa, pb, from.Width, rows, from.Stride, to.Stride})
			row += rows
			continue
		}
		for x := 0; x < from.Width; {
			pa, leftA = a.seek(row*from.Stride + x)
			pb, leftB = b.seek(row*to.Stride + x)
			n := min(leftA, leftB, from.Width-x, maxWidth)
			out = append(out, piece{pa, pb, n, 1, n, n})
			x += n
		}
		row++
	}
	return out
}

// whole returns how many rows of an image lie whole in the next so many bytes.
func whole(left int, l Layout) int {
	if left < l.Width {
		return 0
	}
	return 1 + (left-l.Width)/l.Stride
}

// transfer is the program for a piece. Elements are as large as addresses and sizes allow, and both sides packed in bursts, as omap-dma.c has it.
func (e *Engine) transfer(p piece) sdma.Transfer {
	all := uint64(p.src) | uint64(p.dst) | uint64(p.width)
	if p.rows > 1 {
		all |= uint64(p.srcStride) | uint64(p.dstStride)
	}
	size := 1 << min(bits.TrailingZeros64(all), 2)
	t := sdma.Transfer{
		Source: e.side(p.src, p.width, p.rows, p.srcStride), Destination: e.side(p.dst, p.width, p.rows, p.dstStride),
		Element: size, Elements: p.width / size, Frames: p.rows, Writes: e.cfg.Writes, Interrupts: sdma.Block,
	}
	return t
}

// side is one side of a piece: rows with a gap between them take a double index.
func (e *Engine) side(addr bus.Phys, width, rows, stride int) sdma.Side {
	s := sdma.Side{Addr: addr, Mode: sdma.PostIncrement, Burst: int(e.cfg.Burst), Packed: e.cfg.Packing}
	if rows > 1 && stride > width {
		s.Mode, s.ElementIndex, s.FrameIndex = sdma.DoubleIndex, 1, stride-width+1
	}
	return s
}
