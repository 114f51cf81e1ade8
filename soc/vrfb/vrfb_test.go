package vrfb

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
)

// naive returns where the pixels of an upright image in whole pages are, by writing the pages out one after another.
func naive(i Image) (at [][]bus.Phys) {
	width, height := i.Width, i.Height
	for width*i.BytesPerPixel%32 != 0 {
		width++
	}
	for height%32 != 0 {
		height++
	}
	at = make([][]bus.Phys, height)
	for y := range at {
		at[y] = make([]bus.Phys, width)
	}
	addr, perPage := i.Base, 32/i.BytesPerPixel
	for top := 0; top < height; top += 32 {
		for left := 0; left < width; left += perPage {
			for y := range 32 {
				for x := range perPage {
					at[top+y][left+x] = addr
					addr += bus.Phys(i.BytesPerPixel)
				}
			}
		}
	}
	return at
}

// clockwise turns a picture by a quarter.
func clockwise[T any](p [][]T) [][]T {
	out := make([][]T, len(p[0]))
	for y := range out {
		out[y] = make([]T, len(p))
		for x := range out[y] {
			out[y][x] = p[len(p)-1-x][y]
		}
	}
	return out
}

// seen reads a whole view, padding included.
func seen(i Image, v View) [][]bus.Phys {
	w, h := i.padded()
	if v == Turned90 || v == Turned270 {
		w, h = h, w
	}
	out := make([][]bus.Phys, h)
	for y := range out {
		out[y] = make([]bus.Phys, w)
		for x := range out[y] {
			out[y][x] = i.Phys(v, x, y)
		}
	}
	return out
}

func anyImage(t *rapid.T) Image {
	return Image{
		Base: bus.Phys(1024 * rapid.IntRange(0, 1<<20).Draw(t, "base")), Width: rapid.IntRange(1, 150).Draw(t, "width"), Height: rapid.IntRange(1, 100).Draw(t, "height"),
		BytesPerPixel: rapid.SampledFrom([]int{2, 4}).Draw(t, "bytes per pixel"),
	}
}

func TestAViewIsTheImageTurnedPixelByPixel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := anyImage(t)
		want := naive(i)
		for v := Upright; v <= Turned270; v++ {
			if d := cmp.Diff(want, seen(i, v)); d != "" {
				t.Fatalf("%+v at %d degrees (-want +got):\n%s", i, v.Degrees(), d)
			}
			want = clockwise(want)
		}
	})
}

func TestEachPixelHasAPlaceOfItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := anyImage(t)
		for v := Upright; v <= Turned270; v++ {
			places := map[bus.Phys]bool{}
			for _, line := range seen(i, v) {
				for _, pa := range line {
					if pa < i.Base || int64(pa-i.Base)+int64(i.BytesPerPixel) > i.Bytes() || int(pa-i.Base)%i.BytesPerPixel != 0 {
						t.Fatalf("%+v at %d degrees: a pixel at %v, outside the image's %d bytes", i, v.Degrees(), pa, i.Bytes())
					}
					places[pa] = true
				}
			}
			if int64(len(places)*i.BytesPerPixel) != i.Bytes() {
				t.Fatalf("%+v at %d degrees: %d places for %d bytes", i, v.Degrees(), len(places), i.Bytes())
			}
		}
	})
}

func TestHalfATurnIsTheMirrorImageOfBothAxes(t *testing.T) {
	i := Image{Base: 0x8000_0000, Width: 800, Height: 480, BytesPerPixel: 2}
	w, h := i.padded()
	for y := range h {
		for x := range w {
			if i.Phys(Upright, x, y) != i.Phys(Turned180, w-1-x, h-1-y) {
				t.Fatalf("pixel %d,%d is not where 180 degrees has its mirror image", x, y)
			}
		}
	}
}

func TestFourQuarterTurnsAreNone(t *testing.T) {
	i := Image{Base: 0x8000_0000, Width: 96, Height: 64, BytesPerPixel: 2} // whole pages either way
	original := map[bus.Phys]int{}
	for y, line := range seen(i, Upright) {
		for x := range line {
			original[line[x]] = y<<16 | x
		}
	}
	// Each time, what is seen turned by a quarter is written upright into the next image.
	memory, from := original, i
	for range 4 {
		w, h := from.padded()
		to := Image{Base: from.Base, Width: h, Height: w, BytesPerPixel: from.BytesPerPixel}
		next := map[bus.Phys]int{}
		for y, line := range seen(from, Turned90) {
			for x, pa := range line {
				next[to.Phys(Upright, x, y)] = memory[pa]
			}
		}
		memory, from = next, to
	}
	if d := cmp.Diff(original, memory); d != "" {
		t.Errorf("after four quarters (-want +got):\n%s", d)
	}
}

func TestATurnedViewBeginsWithThePadding(t *testing.T) {
	// 800 pixels of 2 bytes are 50 pages; 475 lines are rounded up to 480. 790 pixels are rounded up to 800.
	e := New()
	if err := e.Setup(5, Image{Base: 0x8000_0000, Width: 790, Height: 475, BytesPerPixel: 2}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		view          View
		offset        bus.Phys
		width, height int
	}{{Upright, 0, 790, 475}, {Turned90, 5 * 2, 475, 790}, {Turned180, (5*2048 + 10) * 2, 790, 475}, {Turned270, 10 * 2048 * 2, 475, 790}} {
		addr, w, h, stride := e.Visible(5, c.view)
		if want := bus.Phys(0xe400_0000+int(c.view)*0x100_0000) + c.offset; addr != want || w != c.width || h != c.height || stride != 4096 {
			t.Errorf("%d degrees: %dx%d at %v, stride %d, want %dx%d at %v, 4096", c.view.Degrees(), w, h, addr, stride, c.width, c.height, want)
		}
		if err := e.Check(addr, w*2, h, stride); err != nil {
			t.Errorf("%d degrees: %v", c.view.Degrees(), err)
		}
	}
}

func TestContextsHaveAddressesOfTheirOwn(t *testing.T) {
	e := New()
	for ctx := range Contexts {
		for v := Upright; v <= Turned270; v++ {
			for _, addr := range []bus.Phys{Base(ctx, v), Base(ctx, v) + ViewBytes - 1} {
				c, view, off := e.find(addr)
				if !In(addr) || c != &e.contexts[ctx] || view != v || off != int(addr-Base(ctx, v)) {
					t.Fatalf("context %d at %d degrees: %v is found elsewhere", ctx, v.Degrees(), addr)
				}
			}
		}
	}
	for _, addr := range []bus.Phys{0, 0x6fff_ffff, 0x8000_0000, 0xdfff_ffff, 0x1_0000_0000} {
		if In(addr) {
			t.Errorf("%v is in a view", addr)
		}
	}
}

func TestWhatCannotBeSetUpOrReadIsRefused(t *testing.T) {
	good := Image{Base: 0x8000_0000, Width: 800, Height: 480, BytesPerPixel: 2}
	e := New()
	if err := e.Setup(0, good); err != nil {
		t.Fatal(err)
	}
	set := func(ctx int, change func(*Image)) error {
		i := good
		change(&i)
		return e.Setup(ctx, i)
	}
	for _, c := range []struct {
		want string
		err  error
	}{
		{"context 12", set(12, func(*Image) {})},
		{"context -1", set(-1, func(*Image) {})},
		{"3 bytes a pixel", set(1, func(i *Image) { i.BytesPerPixel = 3 })},
		{"2049x480", set(1, func(i *Image) { i.Width = 2049 })},
		{"800x0", set(1, func(i *Image) { i.Height = 0 })},
		{"not set up", e.Check(Base(1, Upright), 1600, 480, 4096)},
		{"3200 bytes apart", e.Check(Base(0, Upright), 1600, 480, 3200)},
		{"801 pixels", e.Check(Base(0, Upright), 1602, 480, 4096)},
		{"481 lines", e.Check(Base(0, Upright), 1600, 481, 4096)},
		{"800 pixels x 480 lines from 0,0 of a view that shows 480x800", e.Check(Base(0, Turned90), 1600, 480, 4096)},
		{"no whole pixels", e.Check(Base(0, Upright)+1, 1598, 480, 4096)},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, want one that says %s", c.err, c.want)
		}
	}
}

// rig is a port that grants what it is shown.
type rig struct {
	port     bus.Port
	wake, at sim.Time
	t        *Port
	told     []sim.Time
}

func (r *rig) Granted(_ *bus.Port, done sim.Time) { r.told = append(r.told, done) }

func newRig(t testing.TB, i Image, outstanding int) *rig {
	t.Helper()
	r := &rig{port: bus.Port{Outstanding: outstanding}}
	e := New()
	if err := e.Setup(0, i); err != nil {
		t.Fatal(err)
	}
	r.port.Connect(&r.wake, &r.at, nil)
	r.t = NewPort(&r.port, e, r)
	return r
}

// access is a piece of a transfer, as the bus saw it.
type access struct {
	Addr  bus.Phys
	Bytes int
	At    sim.Time
}

// grant serves the head, which is done at a time.
func (r *rig) grant(done sim.Time) access {
	p := &r.port
	a := access{p.Addr, p.Burst(), p.Issued()}
	if !p.Advance(a.Bytes, done) {
		p.Source().Granted(p, done)
	}
	return a
}

// all serves everything at a time, and returns it.
func (r *rig) all(done sim.Time) (out []access) {
	for !r.port.Idle() {
		out = append(out, r.grant(done))
	}
	return out
}

func TestABurstIsSplitIntoWhatItIsInMemory(t *testing.T) {
	i := Image{Base: 0x8000_0000, Width: 64, Height: 64, BytesPerPixel: 2} // rows of 4 pages
	const row = 4 * 1024
	for _, c := range []struct {
		view View
		off  bus.Phys // in the view
		n    int
		want []access
	}{
		{Upright, 0, 64, []access{{0, 32, 7}, {1024, 32, 7}}},
		{Upright, 16, 48, []access{{16, 16, 7}, {1024, 32, 7}}},
		{Upright, 33*4096 + 4, 8, []access{{row + 32 + 4, 8, 7}}},
		{Turned180, 0, 64, []access{{row + 3*1024 + 31*32, 32, 7}, {row + 2*1024 + 31*32, 32, 7}}},
		{Turned180, 63*4096 + 4, 40, []access{{3 * 1024, 28, 7}, {2*1024 + 20, 12, 7}}},
		{Turned90, 0, 6, []access{{row + 31*32, 2, 7}, {row + 30*32, 2, 7}, {row + 29*32, 2, 7}}},
		{Turned90, 17*4096 + 62, 4, []access{{row + 1024 + 2, 2, 7}, {1024 + 31*32 + 2, 2, 7}}},
		{Turned270, 31 * 2, 4, []access{{3*1024 + 31*32 + 30, 2, 7}, {row + 3*1024 + 30, 2, 7}}},
	} {
		r := newRig(t, i, 4)
		r.t.Issue(7, Base(0, c.view)+c.off, c.n, false)
		for k := range c.want {
			c.want[k].Addr += i.Base
		}
		if d := cmp.Diff(c.want, r.all(100)); d != "" {
			t.Errorf("%d degrees, %d bytes at %#x (-want +got):\n%s", c.view.Degrees(), c.n, uint64(c.off), d)
		}
		if d := cmp.Diff([]sim.Time{100}, r.told); d != "" {
			t.Errorf("%d degrees: told (-want +got):\n%s", c.view.Degrees(), d)
		}
	}
}

func TestAnyTransferReadsEachOfItsPixelsOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := anyImage(t)
		v := View(rapid.IntRange(0, 3).Draw(t, "view"))
		w, h := i.padded()
		if v == Turned90 || v == Turned270 {
			w, h = h, w
		}
		x, y := rapid.IntRange(0, w-1).Draw(t, "x"), rapid.IntRange(0, h-1).Draw(t, "y")
		n := rapid.IntRange(1, min(w-x, 64/i.BytesPerPixel)).Draw(t, "pixels")
		r := &rig{port: bus.Port{Outstanding: 4}}
		e := New()
		if err := e.Setup(0, i); err != nil {
			t.Fatal(err)
		}
		r.port.Connect(&r.wake, &r.at, nil)
		r.t = NewPort(&r.port, e, r)
		r.t.Issue(0, Base(0, v)+bus.Phys((y*LineLen+x)*i.BytesPerPixel), n*i.BytesPerPixel, false)
		got := []bus.Phys{}
		for _, a := range r.all(0) {
			first := len(got)
			for b := 0; b < a.Bytes; b += i.BytesPerPixel {
				got = append(got, a.Addr+bus.Phys(b))
			}
			if v == Turned180 { // an access is read forwards and handed on backwards
				for l, k := first, len(got)-1; l < k; l, k = l+1, k-1 {
					got[l], got[k] = got[k], got[l]
				}
			}
		}
		want := []bus.Phys{}
		for k := range n {
			want = append(want, i.Phys(v, x+k, y))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%d pixels from %d,%d at %d degrees (-want +got):\n%s", n, x, y, v.Degrees(), d)
		}
	})
}

func TestWhatIsInNoViewPassesAsItIs(t *testing.T) {
	r := newRig(t, Image{Base: 0x8000_0000, Width: 64, Height: 64, BytesPerPixel: 2}, 4)
	r.t.Issue(5, 0x8123_4567, 40, true)
	if p := &r.port; p.Addr != 0x8123_4567 || p.Left != 40 || p.Kind != bus.Write || p.Issued() != 5 {
		t.Errorf("%v of %d bytes, kind %d, at %v", p.Addr, p.Left, p.Kind, p.Issued())
	}
}

func TestTransfersInFlightAreLimitedAndTheirPartsAreNot(t *testing.T) {
	r := newRig(t, Image{Base: 0x8000_0000, Width: 64, Height: 64, BytesPerPixel: 2}, 2)
	line := func(n int) bus.Phys { return Base(0, Turned90) + bus.Phys(4096*n) }
	want := []sim.Time{0, 0, 500, 600}
	for n := range want {
		r.t.Issue(0, line(n), 6, false)
		for k := range 3 {
			if a := r.grant(sim.Time(500 + 100*n)); a.At != want[n] {
				t.Errorf("access %d of transfer %d at %v, want %v", k, n, a.At, want[n])
			}
		}
	}
}

func TestASplitTransferCanBeTakenBackUntilAPartIsGranted(t *testing.T) {
	r := newRig(t, Image{Base: 0x8000_0000, Width: 64, Height: 64, BytesPerPixel: 2}, 2)
	r.t.Issue(0, Base(0, Turned90), 16, false)
	if !r.t.Withdraw() || !r.port.Idle() {
		t.Error("not taken back")
	}
	r.t.Issue(0, Base(0, Turned90), 16, false)
	r.grant(10)
	if r.t.Withdraw() {
		t.Error("taken back when a part had been granted")
	}
	r.all(20)
	if d := cmp.Diff([]sim.Time{20}, r.told); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
}

func BenchmarkPort(b *testing.B) {
	i := Image{Base: 0x8000_0000, Width: 800, Height: 480, BytesPerPixel: 2}
	for v := Upright; v <= Turned270; v++ {
		b.Run(fmt.Sprintf("%d", v.Degrees()), func(b *testing.B) {
			r := newRig(b, i, 4)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				r.t.Issue(0, Base(0, v)+64, 64, false)
				for !r.port.Idle() {
					r.grant(0)
					n++
				}
				r.told = r.told[:0]
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/access")
		})
	}
}

var _ bus.Outlet[bus.Phys] = (*Port)(nil)
