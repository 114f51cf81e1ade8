package display

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// bases are where the frames of the pipelines are in these tests, by which their bursts are told apart.
var bases = [Pipelines]bus.Phys{0x8000_0000, 0x9000_0000, 0xa000_0000}

// windowed is a frame of 16 bits a pixel of a pipeline, in a window.
func windowed(p Pipeline, w Window) Frame {
	return Frame{Addr: bases[p], Stride: 2 * w.Width, BytesPerPixel: 2, Window: w, Cookie: 10 * int(p)}
}

// of returns a pipeline's bursts.
func (f *fabric) of(p Pipeline) (log []grant) {
	for _, g := range f.log {
		if g.addr&^0xfff_ffff == bases[p] {
			log = append(log, g)
		}
	}
	return log
}

func TestPixelsOutsideTheWindowAreNotFetched(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.d.OnVsync[VID2] = func(v Vsync) {
		if want := at(n900, 0, 50, 100); v.FirstPixel != want {
			t.Errorf("first pixel of the window at %v, want %v", v.FirstPixel, want)
		}
	}
	f.d.Flip(VID2, windowed(VID2, Window{100, 50, 320, 200}))
	f.d.Start(0)
	f.run(t, n900.Refresh()-1)
	if want := 10 * 200; len(f.log) != want {
		t.Fatalf("%d bursts, want %d", len(f.log), want)
	}
	// Line 3 of the window is line 53 of the panel; its second burst is asked for when 960 bytes before it have gone: pixel 32 of the line is byte 1984, 1024 of which have gone after pixel 191 of line 1.
	if got, want := f.log[31].at, at(n900, 0, 51, 100+191); got != want {
		t.Errorf("burst 31 at %v, want %v", got, want)
	}
}

// stalled scans one frame on a bus that, at no latency, grants nothing for a time from the request of one burst on.
func stalled(t *testing.T, cfg Config, p Pipeline, fr Frame, from, length sim.Time) uint64 {
	t.Helper()
	f := newDisplay(t, cfg, n900)
	f.latency = 0
	f.stalls = []stall{{from, from + length}}
	f.d.Flip(p, fr)
	f.d.Start(0)
	f.run(t, n900.Refresh()-1)
	for _, u := range f.d.Underflows() {
		if u.Pipeline != p || u.Waited != length {
			t.Errorf("recorded %+v, want an underflow of %v that waited for %v", u, p, length)
		}
	}
	return f.d.Stats(p).Underflows
}

func TestAPipelineUnderflowsAtExactlyTheStallThatEmptiesItsFIFO(t *testing.T) {
	merged := dispc
	merged.FIFOMerge = true
	for _, c := range []struct {
		name   string
		cfg    Config
		window Window
		from   sim.Time // when a burst is requested
		due    sim.Time // and needed
	}{
		// 1024 bytes are requested before the first pixel. When 64 have gone, after pixel 31, the next 64 are requested: bytes 1024 and on, pixel 512.
		{"whole panel", dispc, Window{0, 0, 800, 480}, at(n900, 0, 0, 31), at(n900, 0, 0, 512)},
		// The same in a window of 320 pixels: pixel 512 is pixel 192 of its line 1.
		{"window", dispc, Window{100, 50, 320, 200}, at(n900, 0, 50, 100+31), at(n900, 0, 51, 100+192)},
		// 3072 bytes are requested before the first pixel. When 2112 have gone, after pixel 1055, 960 are left, 480 pixels: the next are needed by pixel 1536.
		{"merged", merged, Window{0, 0, 800, 480}, at(n900, 0, 1, 255), at(n900, 0, 1, 736)},
	} {
		for p := range Pipeline(Pipelines) {
			fr := windowed(p, c.window)
			if got := stalled(t, c.cfg, p, fr, c.from, c.due-c.from); got != 0 {
				t.Errorf("%s, %v: %d underflows in a stall of %v, want none", c.name, p, got, c.due-c.from)
			}
			if got := stalled(t, c.cfg, p, fr, c.from, c.due-c.from+1); got != 1 {
				t.Errorf("%s, %v: %d underflows in a stall of %v, want 1", c.name, p, got, c.due-c.from+1)
			}
		}
	}
	if got, want := at(n900, 0, 1, 736)-at(n900, 0, 1, 255), 481*sim.Second/24_000_000; got/1000 != want/1000 {
		t.Errorf("the merged FIFO bridges %v, want 480 pixels and the one that is leaving, %v", got, want)
	}
}

func TestMergedFIFOsAreRefilledInOneGo(t *testing.T) {
	cfg := dispc
	cfg.FIFOMerge = true
	f := newDisplay(t, cfg, n900)
	f.latency = 0
	f.oneRefresh(t, frame16)
	// 48 bursts reach 3072 bytes, at or above the high threshold of 3071; 33 bursts when 2112 bytes have gone.
	for i, g := range f.log[48:] {
		px := 1056*(i/33+1) - 1
		if want := at(n900, 0, px/800, px%800); g.at != want {
			t.Fatalf("burst %d at %v, want %v", 48+i, g.at, want)
		}
	}
}

func TestPipelinesShareTheBurstsInFlightAndTheFirstGoesFirst(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	for p := range Pipeline(Pipelines) {
		f.d.Flip(p, windowed(p, Window{0, 0, 800, 480}))
	}
	f.d.Start(0)
	f.run(t, at(n900, 0, 0, 0)-1)
	// All want 16 bursts at the vsync; four are in flight at a time, and each pipeline itself asks for no more than four until one of its own has arrived.
	if len(f.log) != 48 {
		t.Fatalf("%d bursts before the first pixel, want 48", len(f.log))
	}
	for i, g := range f.log {
		if want := sim.Time(i/4) * 200 * sim.Nanosecond; g.at != want {
			t.Errorf("burst %d at %v, want %v", i, g.at, want)
		}
	}
	// When gfx has its four in flight, a burst of vid1 goes out to wait for room, and is not called back.
	rounds := make([]int, 12)
	for _, g := range f.of(GFX) {
		rounds[g.at/(200*sim.Nanosecond)]++
	}
	if d := cmp.Diff([]int{4, 3, 4, 3, 2, 0, 0, 0, 0, 0, 0, 0}, rounds); d != "" {
		t.Errorf("bursts of gfx in each round (-want +got):\n%s", d)
	}
}

func TestPipelinesFlipIndependently(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	type seen struct {
		pipe                 Pipeline
		seq, shown, released int
		fresh                bool
	}
	var got []seen
	for p := range Pipeline(Pipelines) {
		f.d.OnVsync[p] = func(v Vsync) { got = append(got, seen{p, v.Seq, v.Shown.Cookie, v.Released, v.New}) }
	}
	flip := func(p Pipeline, cookie int) {
		fr := windowed(p, Window{0, 0, 320, 200})
		fr.Cookie = cookie
		f.d.Flip(p, fr)
	}
	f.d.Start(0)
	period := n900.Refresh()
	f.run(t, period/2)
	flip(GFX, 1)
	f.run(t, period*3/2)
	flip(VID2, 2)
	if f.d.FlipPending(GFX) || !f.d.FlipPending(VID2) {
		t.Error("want a flip pending on vid2 alone")
	}
	f.run(t, period*5/2)
	flip(GFX, 3)
	f.d.Disable(VID2)
	f.run(t, period*7/2)
	want := []seen{
		{GFX, 0, NoCookie, NoCookie, false},
		{VID1, 0, NoCookie, NoCookie, false},
		{VID2, 0, NoCookie, NoCookie, false},
		{GFX, 1, 1, NoCookie, true},
		{VID1, 1, NoCookie, NoCookie, false},
		{VID2, 1, NoCookie, NoCookie, false},
		{GFX, 2, 1, NoCookie, false},
		{VID1, 2, NoCookie, NoCookie, false},
		{VID2, 2, 2, NoCookie, true},
		{GFX, 3, 3, 1, true},
		{VID1, 3, NoCookie, NoCookie, false},
		{VID2, 3, NoCookie, 2, false},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); d != "" {
		t.Errorf("vsyncs (-want +got):\n%s", d)
	}
	for p, want := range []Stats{{Refreshes: 3, Displayed: 2, Repeated: 1}, {}, {Refreshes: 1, Displayed: 1}} {
		if s := f.d.Stats(Pipeline(p)); s != want {
			t.Errorf("%v counted %+v, want %+v", Pipeline(p), s, want)
		}
	}
	if n := len(f.of(VID2)); n != 10*200 {
		t.Errorf("vid2 read %d bursts, want those of one refresh", n)
	}
}

func TestAnUnderflowIsThatOfThePipelineWhoseBurstIsLate(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	for p := range Pipeline(Pipelines) {
		f.d.Flip(p, windowed(p, Window{0, 100 * int(p), 800, 100}))
	}
	// In the lines of vid1's window a stall that only it cannot bridge.
	f.stalls = []stall{{at(n900, 0, 150, 0), at(n900, 0, 152, 0)}}
	f.d.Start(0)
	f.run(t, n900.Refresh()-1)
	rec := f.d.Underflows()
	if len(rec) != 1 || rec[0].Pipeline != VID1 || rec[0].Holder != 7 {
		t.Fatalf("recorded %+v, want one underflow of vid1", rec)
	}
	for p, want := range []uint64{0, 1, 0} {
		if got := f.d.Stats(Pipeline(p)).Underflows; got != want {
			t.Errorf("%v: %d underflows, want %d", Pipeline(p), got, want)
		}
	}
	f.d.ResetStats()
	if f.d.Stats(VID1).Underflows != 0 || len(f.d.Underflows()) != 0 {
		t.Error("still there after a reset")
	}
}

func TestADeadBusUnderflowsOnceARefreshAndPipeline(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.dead = true
	for p := range Pipeline(Pipelines) {
		f.d.Flip(p, windowed(p, Window{0, 0, 800, 480}))
	}
	f.d.Start(0)
	f.run(t, 5*n900.Refresh()+sim.Microsecond)
	for p := range Pipeline(Pipelines) {
		if s, want := f.d.Stats(p), (Stats{Refreshes: 6, Displayed: 1, Repeated: 5, Underflows: 5}); s != want {
			t.Errorf("%v counted %+v, want %+v", p, s, want)
		}
	}
	f.dead = false
	f.run(t, 6*n900.Refresh()+sim.Microsecond)
	for p := range Pipeline(Pipelines) {
		if got := len(f.of(p)); got < 25*480 {
			t.Errorf("%v: %d bursts when the bus lives again, want a whole frame", p, got)
		}
	}
}

func TestAPipelineThatIsAloneAgainRequestsAsThoughItHadAlwaysBeen(t *testing.T) {
	alone, joined := newDisplay(t, dispc, n900), newDisplay(t, dispc, n900)
	joined.d.Flip(VID1, windowed(VID1, Window{0, 0, 320, 200}))
	for _, f := range []*fabric{alone, joined} {
		f.d.Flip(GFX, frame16)
		f.d.Start(0)
		f.run(t, n900.Refresh()/2)
		f.d.Disable(VID1)
		f.run(t, 2*n900.Refresh()-1)
	}
	second := func(f *fabric) (log []grant) {
		for _, g := range f.log {
			if g.at >= n900.Refresh() {
				log = append(log, g)
			}
		}
		return log
	}
	if d := cmp.Diff(second(alone), second(joined), cmp.AllowUnexported(grant{})); d != "" {
		t.Errorf("second refresh (-alone +once joined):\n%s", d)
	}
	if len(joined.of(VID1)) != 10*200 {
		t.Errorf("vid1 read %d bursts, want those of one refresh", len(joined.of(VID1)))
	}
}

func TestCheckSaysWhyAPipelineCannotShowAFrame(t *testing.T) {
	good := Frame{Addr: 0x8000_0000, Stride: 2048, BytesPerPixel: 2, Window: Window{0, 0, 400, 240}}
	for _, c := range []struct {
		want   string // empty if it can
		pipe   Pipeline
		change func(*Frame)
	}{
		{"", GFX, func(*Frame) {}},
		{"", VID2, func(f *Frame) { f.YUV = true }},
		{"display: gfx: frame in YUV 4:2:2", GFX, func(f *Frame) { f.YUV = true }},
		{"want 2 bytes and an even width", VID1, func(f *Frame) { f.YUV, f.Window.Width = true, 399 }},
		{"want 2 bytes and an even width", VID1, func(f *Frame) { f.YUV, f.BytesPerPixel = true, 4 }},
		{"YUV 4:2:2 with a pixel step", VID1, func(f *Frame) { f.YUV, f.PixelStep = true, 100 }},
		{"1 bytes per pixel, want 2 to 4", VID1, func(f *Frame) { f.BytesPerPixel = 1 }},
		{"", GFX, func(f *Frame) { f.BytesPerPixel = 1 }},
		{"17 bytes per pixel", GFX, func(f *Frame) { f.BytesPerPixel = 17 }},
		{"stride of 798 bytes, want at least 800", GFX, func(f *Frame) { f.Stride = 798 }},
		{"", GFX, func(f *Frame) { f.Stride, f.PixelStep = -2, 1600 }},
		{"", GFX, func(f *Frame) { f.Window.X, f.Window.Y = 400, 240 }},
		{"400x240 at 401,240, want one within the panel of 800x480", GFX, func(f *Frame) { f.Window.X, f.Window.Y = 401, 240 }},
		{"400x240 at 400,241", GFX, func(f *Frame) { f.Window.X, f.Window.Y = 400, 241 }},
		{"at -1,0", GFX, func(f *Frame) { f.Window.X = -1 }},
		{"window of 0x240", GFX, func(f *Frame) { f.Window.Width = 0 }},
		{"frame of 400x0", GFX, func(f *Frame) { f.Width = 400 }},
		{"a view of the VRFB, which the display is not connected to", GFX, func(f *Frame) { f.Addr = 0x7000_0000 }},

		{"gfx: frame of 200x120 in a window of 400x240: only vid1 and vid2 scale", GFX, func(f *Frame) { f.Width, f.Height = 200, 120 }},
		{"", VID1, func(f *Frame) { f.Width, f.Height = 50, 30 }},
		{"at most 8 times", VID1, func(f *Frame) { f.Width, f.Height = 49, 30 }},
		{"at most 8 times", VID1, func(f *Frame) { f.Width, f.Height = 50, 29 }},
		{"at least a quarter", VID1, func(f *Frame) { f.Width, f.Height, f.Stride = 400, 961, 4096 }},
		{"at least a quarter", VID1, func(f *Frame) { f.Width, f.Height, f.Stride = 1601, 240, 4096 }},
		// Across, four clocks a pixel: 96 MHz.
		{"", VID1, func(f *Frame) { f.Width, f.Height, f.Stride = 1600, 240, 4096 }},
		{"at most 2048 pixels", VID1, func(f *Frame) { f.Width, f.Height, f.Stride, f.Window = 2049, 480, 8192, Window{0, 0, 800, 480} }},
		// Three lines between lines of the window, 3 x 1024 functional clocks, in 456 pixel clocks: 3287.
		{"", VID1, func(f *Frame) { f.Width, f.Height, f.Stride = 1024, 960, 4096 }},
		// Wider takes three taps, and those only above half the height.
		{"at most 1024 pixels", VID1, func(f *Frame) { f.Width, f.Height, f.Stride = 1025, 480, 4096 }},
		{"", VID1, func(f *Frame) { f.Width, f.Height, f.Stride = 1025, 479, 4096 }},
		// Only 56 pixel clocks, 403 functional clocks, between lines: three taps again.
		{"half the height", VID1, func(f *Frame) { f.Width, f.Height, f.Stride, f.Window = 800, 962, 4096, Window{0, 0, 800, 480} }},
	} {
		fr := good
		c.change(&fr)
		d := newDisplay(t, dispc, n900).d
		err := d.Check(c.pipe, fr)
		if c.want == "" && err != nil {
			t.Errorf("%+v: %v", fr, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: error %v, want one that says %s", fr, err, c.want)
		}
	}
}

func TestScalingIsBoundByTheFunctionalClock(t *testing.T) {
	in32 := reduced
	in32.BytesPerPixel, in32.Stride = 4, 2*reduced.Stride
	for _, c := range []struct {
		name  string
		frame Frame
		need  units.Hertz
	}{
		{"three taps: four pixels of the frame to one of the window", scaledFrame(1600, 240, Window{0, 0, 400, 240}), 4 * 24_000_000},
		{"three taps: two to one, and two lines to one", squeezed, 2 * 2 * 24_000_000},
		{"five taps: two to one", reduced, 2 * 24_000_000},
		{"five taps: two to one, of 32 bits", in32, 2 * 2 * 24_000_000},
		{"three taps, enlarged: one to one", enlarged, 24_000_000},
	} {
		cfg := dispc
		cfg.Clock = c.need
		if err := newDisplay(t, cfg, n900).d.Check(VID1, c.frame); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		cfg.Clock--
		want := fmt.Sprintf("it needs a functional clock of %v, and display.clock is %v", c.need, cfg.Clock)
		if err := newDisplay(t, cfg, n900).d.Check(VID1, c.frame); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that says %s", c.name, err, want)
		}
	}
	cfg := dispc
	cfg.Clock = 0
	if err := newDisplay(t, cfg, n900).d.Check(VID1, enlarged); err == nil {
		t.Error("a frame is scaled without a clock")
	}
}

func TestMergedFIFOsAllowOnePipeline(t *testing.T) {
	cfg := dispc
	cfg.FIFOMerge = true
	f := newDisplay(t, cfg, n900)
	f.d.Flip(GFX, frame16)
	vid := windowed(VID1, Window{0, 0, 320, 200})
	if err := f.d.Check(VID1, vid); err == nil || !strings.Contains(err.Error(), "vid1: gfx is active, and with display.fifo_merge") {
		t.Errorf("error %v, want one that says that gfx is active", err)
	}
	f.d.Start(0)
	f.run(t, n900.Refresh()/2)
	f.d.Disable(GFX)
	if err := f.d.Check(VID1, vid); err != nil {
		t.Errorf("gfx is off from the next vsync on: %v", err)
	}
	if err := f.d.Check(GFX, frame16); err != nil {
		t.Errorf("gfx alone: %v", err)
	}
}

func BenchmarkPipelines(b *testing.B) {
	whole := Window{0, 0, 800, 480}
	for _, c := range []struct {
		name  string
		flips []Frame
	}{
		{"gfx", []Frame{windowed(GFX, whole)}},
		{"gfx,vid1,vid2", []Frame{windowed(GFX, whole), windowed(VID1, whole), windowed(VID2, whole)}},
		{"vid1 enlarged", []Frame{{}, enlarged}},
		{"vid1 reduced", []Frame{{}, reduced}},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := newDisplay(b, dispc, n900)
			f.quiet = true
			for p, fr := range c.flips {
				if fr.BytesPerPixel > 0 {
					f.d.Flip(Pipeline(p), fr)
				}
			}
			f.d.Start(0)
			end := sim.Time(0)
			b.ReportAllocs()
			for b.Loop() {
				end += n900.Refresh()
				f.run(b, end)
			}
			if u := f.d.Underflows(); len(u) > 0 {
				b.Fatalf("%+v", u[0])
			}
			b.ReportMetric(float64(f.n)/b.Elapsed().Seconds(), "bursts/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(f.n), "ns/burst")
		})
	}
}
