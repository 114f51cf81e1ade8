package display

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/dram"
	"socsim/soc/l3"
	"socsim/soc/memory"
	"socsim/soc/vrfb"
)

// portrait is a frame for the small panel turned by a quarter: 12 pixels wide, 45 high.
var portrait = Frame{Addr: 0x8000_0000, Width: 12, Height: 45, Stride: 64, BytesPerPixel: 2}

// turnedBy returns where the pixels of a picture of so many columns and lines are, turned clockwise, as a list of lines.
func turnedBy(degrees, columns, lines int, at func(x, y int) bus.Phys) (out [][]bus.Phys) {
	for y := range lines {
		var line []bus.Phys
		for x := range columns {
			line = append(line, at(x, y))
		}
		out = append(out, line)
	}
	for range degrees / 90 {
		next := make([][]bus.Phys, len(out[0]))
		for y := range next {
			for x := range out {
				next[y] = append(next[y], out[len(out)-1-x][y])
			}
		}
		out = next
	}
	return out
}

// pixels returns the pixels that were read, in order.
func (f *fabric) pixels(bpp int) (out []bus.Phys) {
	for _, g := range f.log {
		for off := 0; off < g.bytes; off += bpp {
			out = append(out, g.addr+bus.Phys(off))
		}
	}
	return out
}

func TestTurnedFramesAreReadPixelByPixel(t *testing.T) {
	for degrees := 0; degrees < 360; degrees += 90 {
		fr := portrait
		if degrees%180 == 0 {
			fr.Width, fr.Height, fr.Stride = 45, 12, 128
		}
		f := newDisplay(t, dispc, small)
		f.oneRefresh(t, fr.Turned(degrees))
		var want []bus.Phys
		for _, line := range turnedBy(degrees, fr.Width, fr.Height, func(x, y int) bus.Phys { return fr.Addr + bus.Phys(y*fr.Stride+2*x) }) {
			want = append(want, line...)
		}
		if d := cmp.Diff(want, f.pixels(2)); d != "" {
			t.Errorf("%d degrees (-want +got):\n%s", degrees, d)
		}
		for _, g := range f.log {
			if degrees > 0 && g.bytes != 2 {
				t.Fatalf("%d degrees: an access of %d bytes, want one a pixel", degrees, g.bytes)
			}
		}
	}
}

func TestTurnedPanicsWhereThereIsNothingToTurn(t *testing.T) {
	for name, turn := range map[string]func(){
		"no size":      func() { frame16.Turned(90) },
		"twice":        func() { portrait.Turned(90).Turned(90) },
		"not quarters": func() { portrait.Turned(45) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			turn()
		}()
	}
}

// newRotating returns a display behind a VRFB with an image in context 0.
func newRotating(t testing.TB, cfg Config, p Panel, i vrfb.Image) (*fabric, *vrfb.Engine) {
	t.Helper()
	f := newDisplay(t, cfg, p)
	e := vrfb.New()
	if err := e.Setup(0, i); err != nil {
		t.Fatal(err)
	}
	f.d.SetVRFB(e)
	return f, e
}

// viewed is a frame that shows context 0 turned.
func viewed(e *vrfb.Engine, v vrfb.View, bpp int) Frame {
	addr, width, height, stride := e.Visible(0, v)
	return Frame{Addr: addr, Width: width, Height: height, Stride: stride, BytesPerPixel: bpp}
}

func TestAFrameInAViewIsReadWhereItsPixelsAre(t *testing.T) {
	for v := vrfb.Upright; v <= vrfb.Turned270; v++ {
		for _, others := range []bool{false, true} {
			i := vrfb.Image{Base: 0x8000_0000, Width: 45, Height: 12, BytesPerPixel: 4}
			if v == vrfb.Turned90 || v == vrfb.Turned270 {
				i.Width, i.Height = 12, 45
			}
			f, e := newRotating(t, dispc, small, i)
			f.d.Flip(VID1, viewed(e, v, 4))
			if others {
				f.d.Flip(VID2, Frame{Addr: 0xa000_0000, Stride: 180, BytesPerPixel: 4})
			}
			f.d.Start(0)
			f.run(t, small.Refresh()-1)
			got := map[bus.Phys]int{}
			for _, pa := range f.pixels(4) {
				if pa < 0xa000_0000 {
					got[pa]++
				}
			}
			want := map[bus.Phys]int{}
			for y := range i.Height {
				for x := range i.Width {
					want[i.Phys(vrfb.Upright, x, y)]++
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%d degrees, with others %v (-want +got):\n%s", v.Degrees(), others, d)
			}
			if f.d.Stats(VID1).Underflows+f.d.Stats(VID2).Underflows > 0 {
				t.Errorf("%d degrees, with others %v: underflows %+v", v.Degrees(), others, f.d.Underflows())
			}
		}
	}
}

func TestATransferSplitAtTheVsyncEndsFirst(t *testing.T) {
	i := vrfb.Image{Base: 0x8000_0000, Width: 12, Height: 45, BytesPerPixel: 4}
	for _, others := range []bool{false, true} {
		f, e := newRotating(t, dispc, small, i)
		f.d.Flip(VID1, viewed(e, vrfb.Turned90, 4))
		if others {
			f.d.Flip(VID2, Frame{Addr: 0xa000_0000, Stride: 180, BytesPerPixel: 4, Window: Window{0, 0, 1, 1}})
		}
		// An access every 1.5 us is far too slow for a pixel of 100 ns: no refresh gets through its frame.
		f.delay = func(_ int, at, _ sim.Time) sim.Time { return max(at, f.last+1500*sim.Nanosecond) }
		f.d.Start(0)
		f.run(t, 3*small.Refresh()-1)

		first := i.Phys(vrfb.Turned90, 64-45, 0) // the view begins with what rounds 45 lines up to 64
		var read []int                           // accesses of vid1 in each refresh
		before := sim.Time(0)
		for _, g := range f.log {
			switch {
			case g.addr == first:
				read = append(read, 1)
				if g.at < before {
					t.Errorf("with others %v: the frame begins at %v, before the last of the one before is there at %v", others, g.at, before)
				}
			case g.addr < 0xa000_0000:
				read[len(read)-1]++
			}
			if g.addr < 0xa000_0000 {
				before = g.done
			}
		}
		if len(read) != 3 {
			t.Fatalf("with others %v: the frame begins %d times in three refreshes", others, len(read))
		}
		// Transfers are 13, 16 and 16 pixels of a line of 45: its 180 bytes begin 76 bytes after a multiple of 64.
		whole := map[int]bool{0: true, 13: true, 29: true}
		if !whole[read[0]%45] || !whole[read[1]%45] || whole[read[2]%45] {
			t.Errorf("with others %v: %v accesses in the refreshes, want whole transfers in the first two, and the third interrupted", others, read)
		}
		if got := f.d.Stats(VID1).Underflows; got != 3 {
			t.Errorf("with others %v: %d underflows, want one in each refresh", others, got)
		}
	}
}

func TestAFrameThatDoesNotFitItsViewIsRefused(t *testing.T) {
	f, e := newRotating(t, dispc, n900, vrfb.Image{Base: 0x8000_0000, Width: 480, Height: 800, BytesPerPixel: 2})
	good := viewed(e, vrfb.Turned90, 2)
	if err := f.d.Check(GFX, good); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Frame){
		"display: gfx: vrfb: lines 1600 bytes apart": func(f *Frame) { f.Stride = 1600 },
		"of a view that shows 480x800":               func(f *Frame) { f.Addr = vrfb.Base(0, vrfb.Upright) },
		"a context that is not set up":               func(f *Frame) { f.Addr = vrfb.Base(1, vrfb.Upright) },
		"a view of the VRFB with a pixel step":       func(f *Frame) { f.PixelStep = 2 },
		"no whole pixels of 2 bytes":                 func(f *Frame) { f.Addr++ },
	} {
		fr := good
		change(&fr)
		if err := f.d.Check(GFX, fr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %s", err, want)
		}
	}
}

// chip is the memory path of the Nokia N900: LPDDR at 166 MHz, sdram-nokia.c.
type chip struct {
	eng *sim.Engine
	ctl *dram.Controller
	fab *l3.Fabric
	d   *Display
	e   *vrfb.Engine
}

func newChip(t testing.TB, i vrfb.Image) *chip {
	t.Helper()
	const base, size = 0x8000_0000, 1 << 22
	c := &chip{eng: sim.New(), e: vrfb.New()}
	t.Cleanup(c.eng.Close)
	mem, err := memory.New(memory.Config{Base: base, Size: size, LineBytes: 64})
	if err != nil {
		t.Fatal(err)
	}
	if c.ctl, err = dram.New(dram.Config{
		Clock: 166e6, Width: 4, Banks: 4, Row: 4096, Map: dram.RoBaCo, Burst: 4, CL: 3, CWL: 1,
		TRCD: 22500, TRP: 18000, TRAS: 42000, TRC: 66000, TRRD: 12000, TWR: 15000, TWTR: 2, TRTW: 1, TRFC: 138000, TREFI: 7800 * sim.Nanosecond, LookAhead: 4,
	}, base, size); err != nil {
		t.Fatal(err)
	}
	if c.fab, err = l3.New(l3.Config{Clock: 166e6, RequestCycles: 5, ResponseCycles: 3, Class1Weight: 2, Class2Weight: 1}, c.eng, mem, c.ctl); err != nil {
		t.Fatal(err)
	}
	if c.d, err = New(c.eng, dispc, n900); err != nil {
		t.Fatal(err)
	}
	c.d.SetPort(c.fab.AddPort(l3.Plain(0, 0).Port(1, dispc.Outstanding), nil))
	if err := c.e.Setup(0, i); err != nil {
		t.Fatal(err)
	}
	c.d.SetVRFB(c.e)
	return c
}

// cost is what a scan-out costs the memory.
type cost struct {
	hits          float64 // share of accesses that find their row open
	accesses      uint64
	activates     uint64
	clocksPerByte float64  // of the data bus
	fetch         sim.Time // mean time from the request of a burst to its last byte
	worst         sim.Time
	underflows    uint64
}

// timer stands between the port and a pipeline, or the mux, and times the bursts.
type timer struct {
	bus.Source
	fetch *fetch
	n     int
	sum   sim.Time
	worst sim.Time
}

func (m *timer) Granted(p *bus.Port, done sim.Time) {
	m.n++
	m.sum += done - m.fetch.at
	m.worst = max(m.worst, done-m.fetch.at)
	m.Source.Granted(p, done)
}

// scan shows a frame twice and returns what the second refresh costs.
func (c *chip) scan(t testing.TB, fr Frame) cost {
	t.Helper()
	gfx := &c.d.pipes[GFX]
	m := &timer{fetch: &gfx.fetch, Source: gfx}
	if vrfb.In(fr.Addr) { // whole bursts are seen between the VRFB and the mux
		m.Source = c.d.mux
		c.d.rotator = vrfb.NewPort(c.d.port, c.e, m)
		c.d.mux.SetOutlet(c.d.rotator)
	} else {
		c.d.OnVsync[GFX] = func(Vsync) { c.d.port.SetSource(m) }
	}
	c.d.Flip(GFX, fr)
	c.d.Start(0)
	run := func(until sim.Time) {
		if err := c.eng.Run(t.Context(), until); err != nil {
			t.Fatal(err)
		}
	}
	run(n900.Refresh() - 1)
	c.fab.ResetStats()
	c.d.ResetStats()
	m.n, m.sum, m.worst = 0, 0, 0
	run(2*n900.Refresh() - 1)
	s := c.ctl.Stats()
	return cost{
		float64(s.RowHits) / float64(s.Reads), s.Reads, s.Activates, float64(s.DataClocks) / (800 * 480 * 2), m.sum / sim.Time(m.n), m.worst, c.d.Stats(GFX).Underflows,
	}
}

// TestTurnedScanOutCostsRowsAndShortBursts scans out 800x480 pixels of 16 bits on the N900's memory: as they lie, in each view of the VRFB, and turned pixel by pixel.
func TestTurnedScanOutCostsRowsAndShortBursts(t *testing.T) {
	landscape := vrfb.Image{Base: 0x8000_0000, Width: 800, Height: 480, BytesPerPixel: 2}
	upended := vrfb.Image{Base: 0x8000_0000, Width: 480, Height: 800, BytesPerPixel: 2}
	lying := Frame{Addr: 0x8000_0000, Width: 480, Height: 800, Stride: 960, BytesPerPixel: 2}
	view := func(v vrfb.View) func(*vrfb.Engine) Frame {
		return func(e *vrfb.Engine) Frame { return viewed(e, v, 2) }
	}
	// Each refresh of the memory closes all rows, and 16 bits a pixel leave it idle long enough for each to matter: 17.48 ms / 7.8 us.
	const refreshes = 2241
	got := map[string]cost{}
	for _, c := range []struct {
		name          string
		image         vrfb.Image
		frame         func(*vrfb.Engine) Frame
		accesses      uint64
		clocksPerByte float64
		rows          uint64 // opened, were it not for refresh
	}{
		// 25 bursts of 64 bytes a line, each a row's neighbour.
		{"linear", landscape, func(*vrfb.Engine) Frame { return frame16 }, 25 * 480, 0.125, 768000 / 4096},
		// 50 pages of 32 bytes a line, four to a row of 4096 bytes.
		{"vrfb 0", landscape, view(vrfb.Upright), 50 * 480, 0.125, 480 * 50 / 4},
		{"vrfb 180", landscape, view(vrfb.Turned180), 50 * 480, 0.125, 480 * 50 / 4},
		// A pixel is a burst of 16 bytes. 25 pages of 32 lines down a column of 800 pixels, each in a row of its own.
		{"vrfb 90", upended, view(vrfb.Turned90), 800 * 480, 1, 480 * 25},
		{"vrfb 270", upended, view(vrfb.Turned270), 800 * 480, 1, 480 * 25},
		// Lines of 960 bytes: 187.5 rows down a column.
		{"dma 90", upended, func(*vrfb.Engine) Frame { return lying.Turned(90) }, 800 * 480, 1, 480 * 800 * 960 / 4096},
		{"dma 270", upended, func(*vrfb.Engine) Frame { return lying.Turned(270) }, 800 * 480, 1, 480 * 800 * 960 / 4096},
	} {
		chip := newChip(t, c.image)
		m := chip.scan(t, c.frame(chip.e))
		got[c.name] = m
		t.Logf("%-8s %6d accesses, %.4f row hits, %5d activates, %.3f data clocks a byte, fetch %v, at most %v",
			c.name, m.accesses, m.hits, m.activates, m.clocksPerByte, m.fetch, m.worst)
		if m.accesses != c.accesses || m.clocksPerByte != c.clocksPerByte || m.underflows != 0 {
			t.Errorf("%s: %d accesses, %.3f clocks a byte, %d underflows, want %d, %.3f, 0", c.name, m.accesses, m.clocksPerByte, m.underflows, c.accesses, c.clocksPerByte)
		}
		if m.activates < c.rows || m.activates > c.rows+refreshes {
			t.Errorf("%s: %d activates, want %d and at most one more for each of %d refreshes", c.name, m.activates, c.rows, refreshes)
		}
	}
	if got["linear"].fetch >= got["vrfb 0"].fetch || 3*got["vrfb 180"].fetch >= got["vrfb 90"].fetch {
		t.Errorf("fetches take %v linear, %v at 0, %v at 90 degrees, want each longer", got["linear"].fetch, got["vrfb 0"].fetch, got["vrfb 90"].fetch)
	}
}
