package dmaengine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim/bus"
	"socsim/soc/memory"
	"socsim/soc/sdma"
)

// pair is where a byte is read and written.
type pair struct{ src, dst bus.Phys }

// image returns the addresses of an image's bytes, row by row.
func image(runs []memory.Run, l Layout) []bus.Phys {
	var all, out []bus.Phys
	for _, r := range runs {
		for i := range r.Bytes {
			all = append(all, r.Addr+bus.Phys(i))
		}
	}
	for row := range l.Height {
		out = append(out, all[row*l.Stride:row*l.Stride+l.Width]...)
	}
	return out
}

// pairs returns the bytes that pieces copy, in order.
func pairs(list []piece) []pair {
	var out []pair
	for _, p := range list {
		for row := range bus.Phys(p.rows) {
			for i := range bus.Phys(p.width) {
				out = append(out, pair{p.src + row*bus.Phys(p.srcStride) + i, p.dst + row*bus.Phys(p.dstStride) + i})
			}
		}
	}
	return out
}

// within tells whether bytes from addr on, up to the end of the last row, are in one run.
func within(runs []memory.Run, addr bus.Phys, p piece, stride int) bool {
	for _, r := range runs {
		if addr >= r.Addr && addr+bus.Phys((p.rows-1)*stride+p.width) <= r.Addr+bus.Phys(r.Bytes) {
			return true
		}
	}
	return false
}

func TestPiecesCopyEveryByteOfAnImageInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
		width, height := n("width", 1, 40), n("height", 1, 12)
		layout := func(name string) Layout {
			return Layout{Width: width, Height: height, Stride: width + n(name+" gap", 0, 1)*n(name+" padding", 0, 20)}
		}
		from, to := layout("source"), layout("target")
		runs := func(name string, base bus.Phys, l Layout) []memory.Run {
			var out []memory.Run
			for left := l.Stride * l.Height; left > 0; {
				r := memory.Run{Addr: base, Bytes: min(left, n(name+" run", 1, 150))}
				out = append(out, r)
				base += bus.Phys(r.Bytes + 1000)
				left -= r.Bytes
			}
			return out
		}
		src, dst := runs("source", 0x8000_0000, from), runs("target", 0x9000_0000, to)
		list := pieces(src, dst, from, to)
		var want []pair
		in, out := image(src, from), image(dst, to)
		for i := range in {
			want = append(want, pair{in[i], out[i]})
		}
		if diff := cmp.Diff(want, pairs(list), cmp.AllowUnexported(pair{})); diff != "" {
			t.Fatalf("bytes (-want +got):\n%s", diff)
		}
		for _, p := range list {
			if !within(src, p.src, p, p.srcStride) || !within(dst, p.dst, p, p.dstStride) {
				t.Fatalf("%+v leaves its run", p)
			}
			if e := (&Engine{}); e.transfer(p).Bytes() != int64(p.width*p.rows) {
				t.Fatalf("%+v becomes a transfer of %d bytes", p, e.transfer(p).Bytes())
			}
		}
	})
}

func TestACopyIsCutWhereARunEnds(t *testing.T) {
	const a, b = bus.Phys(0x8000_0000), bus.Phys(0x9000_0000)
	one := func(base bus.Phys) []memory.Run { return []memory.Run{{Addr: base, Bytes: 1 << 26}} }
	for _, c := range []struct {
		name     string
		src, dst []memory.Run
		from, to Layout
		want     []piece
	}{
		{"one run on both sides", one(a), one(b), Linear(10000), Linear(10000), []piece{{a, b, 10000, 1, 10000, 10000}}},
		{"a run ends on either side", []memory.Run{{Addr: a, Bytes: 100}, {Addr: a + 500, Bytes: 300}}, []memory.Run{{Addr: b, Bytes: 250}, {Addr: b + 900, Bytes: 150}}, Linear(400), Linear(400), []piece{
			{a, b, 100, 1, 100, 100}, {a + 500, b + 100, 150, 1, 150, 150}, {a + 650, b + 900, 150, 1, 150, 150},
		}},
		{"rows without gaps are one", one(a), one(b), Layout{64, 10, 64}, Layout{64, 10, 64}, []piece{{a, b, 640, 1, 640, 640}}},
		{"rows with gaps go together", one(a), one(b), Layout{64, 10, 80}, Layout{64, 10, 64}, []piece{{a, b, 64, 10, 80, 64}}},
		{"but not across runs", []memory.Run{{Addr: a, Bytes: 200}, {Addr: a + 500, Bytes: 300}}, one(b), Layout{64, 5, 100}, Layout{64, 5, 64}, []piece{
			{a, b, 64, 2, 100, 64}, {a + 500, b + 128, 64, 3, 100, 64},
		}},
		{"a run may end with the last row", []memory.Run{{Addr: a, Bytes: 164}, {Addr: a + 500, Bytes: 164}}, one(b), Layout{64, 2, 100}, Layout{64, 2, 70}, []piece{{a, b, 64, 2, 100, 70}}},
		{"more rows than a block has frames", one(a), one(b), Layout{4, 70000, 8}, Layout{4, 70000, 4}, []piece{
			{a, b, 4, 65535, 8, 4}, {a + 65535*8, b + 65535*4, 4, 4465, 8, 4},
		}},
		{"a row across runs is cut", []memory.Run{{Addr: a, Bytes: 150}, {Addr: a + 500, Bytes: 350}}, one(b), Layout{64, 4, 100}, Layout{64, 4, 64}, []piece{
			{a, b, 64, 1, 100, 64}, {a + 100, b + 64, 50, 1, 50, 50}, {a + 500, b + 114, 14, 1, 14, 14}, {a + 550, b + 128, 64, 2, 100, 64},
		}},
		{"more elements than a frame holds", one(a), one(b), Linear(20_000_000), Linear(20_000_000), []piece{
			{a, b, 16777152, 1, 16777152, 16777152}, {a + 16777152, b + 16777152, 3222848, 1, 3222848, 3222848},
		}},
	} {
		if diff := cmp.Diff(c.want, pieces(c.src, c.dst, c.from, c.to), cmp.AllowUnexported(piece{})); diff != "" {
			t.Errorf("%s: pieces (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestElementsAreAsLargeAsAPieceAllows(t *testing.T) {
	const a, b = bus.Phys(0x8000_0000), bus.Phys(0x9000_0000)
	for _, c := range []struct {
		piece
		want int
	}{
		{piece{a, b, 64, 1, 64, 64}, 4},
		{piece{a + 2, b, 64, 1, 64, 64}, 2},
		{piece{a, b + 1, 64, 1, 64, 64}, 1},
		{piece{a, b, 63, 1, 63, 63}, 1},
		{piece{a, b, 64, 2, 66, 64}, 2},
		{piece{a, b, 64, 2, 64, 65}, 1},
	} {
		if got := (&Engine{}).transfer(c.piece).Element; got != c.want {
			t.Errorf("%+v: elements of %d bytes, want %d", c.piece, got, c.want)
		}
	}
}

func TestRowsWithGapsTakeADoubleIndex(t *testing.T) {
	e := &Engine{cfg: sdma.Config{Burst: 32, Packing: true, Writes: sdma.Posted}}
	got := e.transfer(piece{0x8000_0000, 0x9000_0000, 64, 10, 80, 64})
	want := sdma.Transfer{
		Source:      sdma.Side{Addr: 0x8000_0000, Mode: sdma.DoubleIndex, ElementIndex: 1, FrameIndex: 17, Burst: 32, Packed: true},
		Destination: sdma.Side{Addr: 0x9000_0000, Mode: sdma.PostIncrement, Burst: 32, Packed: true},
		Element:     4, Elements: 16, Frames: 10, Writes: sdma.Posted, Interrupts: sdma.Block,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("transfer (-want +got):\n%s", diff)
	}
	if got := e.transfer(piece{0x8000_0000, 0x9000_0000, 64, 1, 66, 64}); got.Source.Mode != sdma.PostIncrement || got.Element != 4 {
		t.Errorf("transfer %+v of a single row, whose stride does not matter", got)
	}
}

func TestALayoutThatDoesNotFitIsRefused(t *testing.T) {
	for _, c := range []struct {
		Layout
		want string
	}{
		{Layout{0, 1, 64}, "image of 0x1 bytes"},
		{Layout{64, 0, 64}, "image of 64x0 bytes"},
		{Layout{64, 2, 63}, "stride of 63 bytes, want at least the width of 64"},
		{Layout{65, 16, 256}, "image of 16 rows of 65 bytes, 256 apart, in a buffer of 3904 bytes"},
		{Layout{64, 16, 256}, ""},
	} {
		err := c.Validate(3904)
		if got := ""; err != nil {
			got = err.Error()
			if c.want == "" || !strings.Contains(got, c.want) {
				t.Errorf("%+v: error %q, want %q", c.Layout, got, c.want)
			}
		} else if c.want != "" {
			t.Errorf("%+v is accepted, want %q", c.Layout, c.want)
		}
	}
}
