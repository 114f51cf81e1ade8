package sdma

import (
	"fmt"

	"socsim/sim/bus"
)

// Addressing is how the address moves from element to element (CCR.SRC_AMODE and DST_AMODE).
type Addressing uint8

// The addressing modes.
const (
	Constant Addressing = iota
	PostIncrement
	SingleIndex
	DoubleIndex
)

// Side is the source or the destination of a transfer. ElementIndex is added after each element but, with a double index, the last of a frame, after which FrameIndex is: to the address of the
// element's last byte, so that 1 gives the next element in memory. Burst is the largest burst, 16, 32 or 64 B, or 0 for none; it takes Packed to have effect.
type Side struct {
	Addr                     bus.Phys
	Mode                     Addressing
	ElementIndex, FrameIndex int
	Burst                    int
	Packed                   bool
}

// Transfer is the program of a channel: Frames of Elements of Element bytes each. Fill writes a constant instead of reading the source. Interrupts are the events that set the channel's
// status and raise its lines (CICR). A Linked channel enables channel Next at the end of its block (CLNK_CTRL), unless that is running or was never programmed.
type Transfer struct {
	Source, Destination Side
	Element             int
	Elements, Frames    int
	Fill                bool
	Writes              WriteMode
	HighRead, HighWrite bool // priority on the ports
	Interrupts          Status
	Linked              bool
	Next                int
}

// Bounds of the registers CEN and CFN.
const (
	MaxElements = 1<<24 - 1
	MaxFrames   = 1<<16 - 1
)

// Bytes returns the bytes of the block.
func (t Transfer) Bytes() int64 { return int64(t.Element) * int64(t.Elements) * int64(t.Frames) }

// validate reports the first thing that makes the transfer impossible.
func (t Transfer) validate(channels int) error {
	switch {
	case t.Element != 1 && t.Element != 2 && t.Element != 4:
		return fmt.Errorf("elements of %d bytes, want 1, 2 or 4", t.Element)
	case t.Elements < 1 || t.Elements > MaxElements:
		return fmt.Errorf("%d elements in a frame, want 1 to %d", t.Elements, MaxElements)
	case t.Frames < 1 || t.Frames > MaxFrames:
		return fmt.Errorf("%d frames, want 1 to %d", t.Frames, MaxFrames)
	case t.Writes != NonPosted && t.Writes != Posted && t.Writes != LastNonPosted:
		return fmt.Errorf("write mode %q, want %s, %s or %s", t.Writes, NonPosted, Posted, LastNonPosted)
	case t.Linked && (t.Next < 0 || t.Next >= channels):
		return fmt.Errorf("linked to channel %d, want 0 to %d", t.Next, channels-1)
	}
	if err := t.Destination.validate(&t); err != nil {
		return fmt.Errorf("destination: %w", err)
	}
	if t.Fill {
		return nil
	}
	if err := t.Source.validate(&t); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	return nil
}

// validate reports the first thing that makes a side impossible.
func (s Side) validate(t *Transfer) error {
	if s.Mode > DoubleIndex {
		return fmt.Errorf("addressing mode %d, want 0 to %d", s.Mode, DoubleIndex)
	}
	if s.Burst != 0 && s.Burst != 16 && s.Burst != 32 && s.Burst != 64 {
		return fmt.Errorf("bursts of %d bytes, want 16, 32 or 64, or 0 for none", s.Burst)
	}
	element, frame := s.steps(t)
	size := int64(t.Element)
	if int64(s.Addr)%size != 0 || element%size != 0 || frame%size != 0 {
		return fmt.Errorf("elements of %d bytes from %v on with indices %d and %d, which is a misaligned address", size, s.Addr, s.ElementIndex, s.FrameIndex)
	}
	first, last := int64(s.Addr), int64(s.Addr)+size
	for _, span := range []int64{int64(t.Elements-1) * element, int64(t.Frames-1) * (int64(t.Elements-1)*element + frame)} {
		first, last = first+min(0, span), last+max(0, span)
	}
	if first < 0 || last > 1<<32 {
		return fmt.Errorf("addresses from %#x to %#x, want 32 bits", first, last)
	}
	return nil
}

// steps returns by how much the address of an element exceeds that of the one before, within a frame and across its end.
func (s Side) steps(t *Transfer) (element, frame int64) {
	size := int64(t.Element)
	switch s.Mode {
	case Constant:
		return 0, 0
	case PostIncrement:
		return size, size
	case SingleIndex:
		e := size - 1 + int64(s.ElementIndex)
		return e, e
	}
	return size - 1 + int64(s.ElementIndex), size - 1 + int64(s.FrameIndex)
}

// cursor is the position of one side of a transfer, at an access.
type cursor struct {
	addr bus.Phys // of the next access
	n    int64    // its bytes
	left int64    // bytes of the block from there on

	// The block is cut into stretches of contiguous bytes, some to a frame. The address moves on by inner from the end of one to the next, and by outer from the last of a frame.
	stretch, full       int64 // bytes of the present one from there on, and of a whole one
	remaining, perFrame int   // stretches of the present frame from there on, and of a frame
	inner, outer        int64

	element int64 // bytes of an access that is not packed, 0 if they are
	single  int64 // width of the port
	burst   int64 // the largest, 0 for none
}

// begin goes to the start of a block.
func (c *cursor) begin(s *Side, t *Transfer, single, burst int) {
	element, frame := s.steps(t)
	size := int64(t.Element)
	*c = cursor{addr: s.Addr, left: t.Bytes(), full: size, perFrame: t.Elements, inner: element - size, outer: frame - size, single: int64(single), burst: int64(min(s.Burst, burst))}
	if element == size || t.Elements == 1 {
		c.full, c.perFrame = int64(t.Elements)*size, 1
		if frame == size {
			c.full = c.left
		}
	}
	if !s.Packed {
		c.element = size
	}
	c.stretch, c.remaining = c.full, c.perFrame
	c.size(c.stretch)
}

// size determines the next access, which may have up to most bytes.
func (c *cursor) size(most int64) {
	if c.element > 0 {
		c.n = c.element
		return
	}
	for b := c.burst; b >= 16; b >>= 1 {
		if most >= b && int64(c.addr)&(b-1) == 0 {
			c.n = b
			return
		}
	}
	c.n = min(c.single-int64(c.addr)&(c.single-1), most)
}

// largest returns the bytes that an access can have at most.
func (c *cursor) largest() int {
	if c.element > 0 {
		return int(c.element)
	}
	return int(max(c.burst, c.single))
}

// advance goes to the next access.
func (c *cursor) advance() {
	c.addr += bus.Phys(c.n)
	c.left -= c.n
	c.stretch -= c.n
	if c.left == 0 {
		return
	}
	if c.stretch == 0 {
		c.stretch = c.full
		if c.remaining--; c.remaining > 0 {
			c.addr += bus.Phys(c.inner)
		} else {
			c.addr += bus.Phys(c.outer)
			c.remaining = c.perFrame
		}
	}
	c.size(c.stretch)
}
