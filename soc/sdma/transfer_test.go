package sdma

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// naive returns the addresses of a side's bytes in the order in which they are accessed, by the pointer of the manual: after an element it is at the element's last byte, and the index is added.
func naive(s Side, t Transfer) []bus.Phys {
	var out []bus.Phys
	first := s.Addr
	for range t.Frames {
		for e := range t.Elements {
			for i := range t.Element {
				out = append(out, first+bus.Phys(i))
			}
			pointer := first + bus.Phys(t.Element) - 1
			switch {
			case s.Mode == Constant:
			case s.Mode == PostIncrement:
				first = pointer + 1
			case s.Mode == DoubleIndex && e == t.Elements-1:
				first = pointer + bus.Phys(s.FrameIndex)
			default:
				first = pointer + bus.Phys(s.ElementIndex)
			}
		}
	}
	return out
}

// cuts returns the sizes of a side's accesses to bytes at these addresses: the longest burst that is aligned and contiguous, or else up to the next boundary of the port's width. What is contiguous
// is for the indices to say: single elements that happen to follow one another are not.
func cuts(s Side, t Transfer, width int, at []bus.Phys) []int {
	elements, frames := s.Mode == PostIncrement || s.Mode != Constant && s.ElementIndex == 1, s.Mode == PostIncrement || s.Mode == SingleIndex || s.FrameIndex == 1
	elements, frames = elements || t.Elements == 1, frames && s.Mode != Constant
	run := func(i int) int { // bytes from i on up to where the address jumps
		n := t.Element
		if elements {
			n *= t.Elements
			if frames && (s.Mode != SingleIndex || s.ElementIndex == 1) {
				n *= t.Frames
			}
		}
		return n - i%n
	}
	var out []int
	for i := 0; i < len(at); {
		n := 0
		for _, b := range []int{64, 32, 16} {
			if n == 0 && b <= s.Burst && int(at[i])%b == 0 && run(i) >= b {
				n = b
			}
		}
		if n == 0 {
			n = min(width-int(at[i])%width, run(i))
		}
		if !s.Packed {
			n = t.Element
		}
		out = append(out, n)
		i += n
	}
	return out
}

// anySide draws a side whose addresses lie around base.
func anySide(t *rapid.T, name string, base bus.Phys, element int) Side {
	n := func(what string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name+" "+what) }
	index := func(what string) int { return n(what, -40, 40)*element + 1 }
	s := Side{
		Addr: base + bus.Phys(n("offset", 0, 100)*element), Mode: Addressing(n("mode", 0, 3)), ElementIndex: index("element index"), FrameIndex: index("frame index"),
		Burst: []int{0, 16, 32, 64}[n("burst", 0, 3)], Packed: rapid.Bool().Draw(t, name+" packed"),
	}
	if rapid.Bool().Draw(t, name+" contiguous") {
		s.ElementIndex = 1
	}
	if rapid.Bool().Draw(t, name+" contiguous frames") {
		s.FrameIndex = 1
	}
	return s
}

func anyTransfer(t *rapid.T) Transfer {
	n := func(what string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, what) }
	x := Transfer{
		Element: 1 << n("element", 0, 2), Elements: n("elements", 1, 100), Frames: n("frames", 1, 5), Fill: n("fill", 0, 9) == 0,
		Writes: WriteMode(WriteMode("").Values()[n("writes", 0, 2)]), Interrupts: Block,
	}
	x.Source, x.Destination = anySide(t, "source", source, x.Element), anySide(t, "destination", target, x.Element)
	return x
}

func TestAnyTransferAccessesTheBytesOfItsElementsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := omap3()
		cfg.Width = units.Bytes(4 << rapid.IntRange(0, 1).Draw(t, "width"))
		m := newMemory(t, cfg)
		defer m.eng.Close()
		x := anyTransfer(t)
		m.start(t, x)
		if err := m.eng.Run(t.Context(), sim.Never); err != nil {
			t.Fatal(err)
		}
		for _, side := range []struct {
			name  string
			write bool
			Side
		}{{"source", false, x.Source}, {"destination", true, x.Destination}} {
			want := naive(side.Side, x)
			if x.Fill && !side.write {
				want = nil
			}
			got := m.only(side.write)
			if diff := cmp.Diff(want, bytesOf(got)); diff != "" {
				t.Fatalf("bytes of the %s (-want +got):\n%s", side.name, diff)
			}
			if diff := cmp.Diff(cuts(side.Side, x, int(cfg.Width), want), sizes(got)); diff != "" {
				t.Fatalf("accesses of the %s (-want +got):\n%s", side.name, diff)
			}
		}
		s := m.d.Stats()
		if s.BytesWritten != uint64(x.Bytes()) || !x.Fill && s.BytesRead != s.BytesWritten || s.Blocks != 1 {
			t.Fatalf("%+v of a block of %d bytes", s, x.Bytes())
		}
		if m.d.Enabled(0) || m.d.used != 0 && m.d.freed.n == 0 {
			t.Fatalf("enabled: %v, %d bytes left in the FIFO", m.d.Enabled(0), m.d.used)
		}
	})
}

func TestAMisalignedStartClimbsToTheBurst(t *testing.T) {
	for _, c := range []struct {
		name    string
		off, n  int
		element int
		width   units.Bytes
		side    func(*Side)
		want    []int
	}{
		{"aligned", 0, 128, 4, 4, nil, []int{64, 64}},
		{"a word off", 4, 128, 4, 4, nil, []int{4, 4, 4, 16, 32, 64, 4}},
		{"a word off on a port of 64 bits", 4, 128, 4, 8, nil, []int{4, 8, 16, 32, 64, 4}},
		{"a byte off", 1, 67, 1, 4, nil, []int{3, 4, 4, 4, 16, 32, 4}},
		{"half a burst off", 32, 128, 4, 4, nil, []int{32, 64, 32}},
		{"bursts of 16 B", 8, 64, 4, 4, func(s *Side) { s.Burst = 16 }, []int{4, 4, 16, 16, 16, 4, 4}},
		{"no bursts", 0, 16, 4, 4, func(s *Side) { s.Burst = 0 }, []int{4, 4, 4, 4}},
		{"not packed", 0, 8, 1, 4, func(s *Side) { s.Packed = false }, []int{1, 1, 1, 1, 1, 1, 1, 1}},
		{"constant address", 0, 16, 4, 4, func(s *Side) { s.Mode = Constant }, []int{4, 4, 4, 4}},
	} {
		cfg := omap3()
		cfg.Width = c.width
		m := newMemory(t, cfg)
		x := copied(c.n, Posted)
		x.Element, x.Elements = c.element, c.n/c.element
		x.Source.Addr += bus.Phys(c.off)
		if c.side != nil {
			c.side(&x.Source)
		}
		m.start(t, x)
		m.run(t)
		if diff := cmp.Diff(c.want, sizes(m.only(false))); diff != "" {
			t.Errorf("%s: reads (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestBurstsAreNoLongerThanThePortTakes(t *testing.T) {
	cfg := omap3()
	cfg.Initiator.Burst = 32
	m := newMemory(t, cfg)
	m.start(t, copied(128, Posted))
	m.run(t)
	if diff := cmp.Diff([]int{32, 32, 32, 32}, sizes(m.only(true))); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestADoubleIndexWithStridesCopiesRows(t *testing.T) {
	const width, height, from, to = 96, 5, 160, 224
	m := newMemory(t, omap3())
	x := Transfer{
		Source:      Side{Addr: source, Mode: DoubleIndex, ElementIndex: 1, FrameIndex: from - width + 1, Burst: 64, Packed: true},
		Destination: Side{Addr: target, Mode: DoubleIndex, ElementIndex: 1, FrameIndex: to - width + 1, Burst: 64, Packed: true},
		Element:     4, Elements: width / 4, Frames: height, Writes: Posted,
	}
	m.start(t, x)
	m.run(t)
	var read, written []bus.Phys
	for row := range bus.Phys(height) {
		for i := range bus.Phys(width) {
			read, written = append(read, source+row*from+i), append(written, target+row*to+i)
		}
	}
	if diff := cmp.Diff(read, bytesOf(m.only(false))); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(written, bytesOf(m.only(true))); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

func TestStridesOfElementsTurnAnImage(t *testing.T) {
	// An image of 4 x 3 pixels of 2 B, rows 8 B apart, is turned clockwise into one of 3 x 4, rows 6 B apart: pixel (x, y) goes to (2-y, x).
	const w, h = 4, 3
	m := newMemory(t, omap3())
	x := Transfer{
		Source:      linear(source),
		Destination: Side{Addr: target + 2*(h-1), Mode: DoubleIndex, ElementIndex: 2*h - 1, FrameIndex: -2*h*(w-1) - 2 - 1, Burst: 64, Packed: true},
		Element:     2, Elements: w, Frames: h, Writes: Posted,
	}
	m.start(t, x)
	m.run(t)
	read, written := bytesOf(m.only(false)), bytesOf(m.only(true))
	for i, from := range read {
		pixel, byteOf := int(from-source)/2, (from-source)%2
		px, py := pixel%w, pixel/w
		if want := target + bus.Phys(2*(px*h+h-1-py)) + byteOf; written[i] != want {
			t.Errorf("byte %d of pixel (%d, %d) went to %v, want %v", byteOf, px, py, written[i], want)
		}
	}
}

func TestATransferThatCannotBeIsRefused(t *testing.T) {
	for _, c := range []struct {
		want string
		set  func(*Transfer)
	}{
		{"elements of 3 bytes", func(x *Transfer) { x.Element = 3 }},
		{"0 elements in a frame", func(x *Transfer) { x.Elements = 0 }},
		{"16777216 elements in a frame", func(x *Transfer) { x.Elements = MaxElements + 1 }},
		{"65536 frames", func(x *Transfer) { x.Frames = MaxFrames + 1 }},
		{"write mode \"\"", func(x *Transfer) { x.Writes = "" }},
		{"linked to channel 32", func(x *Transfer) { x.Linked, x.Next = true, 32 }},
		{"source: bursts of 48 bytes", func(x *Transfer) { x.Source.Burst = 48 }},
		{"source: addressing mode 4", func(x *Transfer) { x.Source.Mode = 4 }},
		{"source: elements of 4 bytes from pa:0x80000002 on", func(x *Transfer) { x.Source.Addr += 2 }},
		{"destination: elements of 4 bytes", func(x *Transfer) { x.Destination.Mode, x.Destination.ElementIndex = SingleIndex, 2 }},
		{"destination: elements of 4 bytes", func(x *Transfer) {
			x.Destination.Mode, x.Destination.ElementIndex, x.Destination.FrameIndex = DoubleIndex, 1, 3
		}},
		{"source: addresses from 0x0 to 0x100000004", func(x *Transfer) {
			x.Source.Addr, x.Source.Mode, x.Source.ElementIndex, x.Elements = 0, SingleIndex, 1<<30-3, 5
		}},
		{"source: addresses from -0x8 to 0x4", func(x *Transfer) {
			x.Source.Addr, x.Source.Mode, x.Source.ElementIndex, x.Elements = 0, SingleIndex, -7, 3
		}},
	} {
		m := newMemory(t, omap3())
		x := copied(256, Posted)
		c.set(&x)
		if err := m.d.Program(0, x); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

func TestAFillIgnoresItsSource(t *testing.T) {
	m := newMemory(t, omap3())
	x := copied(256, Posted)
	x.Fill, x.Source = true, Side{Mode: 77}
	m.start(t, x)
	m.run(t)
	if r, w := len(m.only(false)), len(m.only(true)); r != 0 || w != 4 {
		t.Errorf("%d reads and %d writes, want none and 4", r, w)
	}
}
