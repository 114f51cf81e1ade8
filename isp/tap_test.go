package isp

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// whole is a path with everything on the reference sensor: H3A writes a byte of each kind per 64 pixels, and the gain table is as large.
func whole(s Sensor) Path {
	return Path{
		Sensor: s, RawStride: (s.Width*2 + 31) &^ 31, PreviewStride: (s.Width*2 + 31) &^ 31, Resized: uyvy(s.Width&^7, s.Height),
		AF: units.Bytes(s.Width * s.Height / 64), AEWB: units.Bytes(s.Width * s.Height / 64), GainTable: units.Bytes(s.Width * s.Height / 64),
	}
}

// Buffers of the taps of a whole path.
const (
	gainAt    bus.IOVA = 0x0100_0000
	rawAt     bus.IOVA = 0x1000_0000
	previewAt bus.IOVA = 0x2000_0000
	resizedAt bus.IOVA = 0x3000_0000
	afAt      bus.IOVA = 0x4000_0000
	aewbAt    bus.IOVA = 0x5000_0000
)

// pathRig is a path at a fake bus whose frames are armed one by one.
type pathRig struct {
	*Pipeline
	t     testing.TB
	eng   *sim.Engine
	bus   *fakeBus
	dones map[*Tap][]FrameDone
}

func newPathRig(t testing.TB, cfg Config, path Path) *pathRig {
	t.Helper()
	i, b := newISP(t, cfg)
	p, err := i.OnTheFly(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &pathRig{Pipeline: p, t: t, eng: i.eng, bus: b, dones: map[*Tap][]FrameDone{}}
	for _, tap := range p.taps {
		tap.OnFrameDone = func(e FrameDone) { r.dones[tap] = append(r.dones[tap], e) }
	}
	return r
}

func (r *pathRig) run(until sim.Time) {
	r.t.Helper()
	if err := r.eng.Run(r.t.Context(), until); err != nil {
		r.t.Fatal(err)
	}
}

// arm arms the taps of the path that are given a buffer.
func (r *pathRig) arm() {
	for at, tap := range map[bus.IOVA]*Tap{rawAt: r.Raw, previewAt: r.Preview, resizedAt: r.Resized, afAt: r.AF, aewbAt: r.AEWB} {
		if tap != nil {
			tap.Arm(at, 0)
		}
	}
	if r.gain != nil {
		r.SetGainTable(gainAt)
	}
}

// of returns what passed the bus in a buffer of up to 16 MB.
func (r *pathRig) of(at bus.IOVA) []transfer {
	var out []transfer
	for _, x := range r.bus.log {
		if x.va >= at && x.va < at+1<<24 {
			out = append(out, x)
		}
	}
	return out
}

func TestPortsAreThoseOfTheTRM(t *testing.T) {
	// SWPU177N p. 1231.
	want := []struct {
		name     string
		dir      string
		priority int
		bytes    int
	}{
		{"LSC in", "R", 0, 1024},
		{"fault pixel in", "R", 1, 512},
		{"CCP2 out", "W", 2, 1024},
		{"CSI2A out", "W", 3, 1024},
		{"CCDC out", "W", 4, 1024},
		{"resizer line 1", "W", 5, 1024},
		{"resizer line 2", "W", 6, 1024},
		{"resizer line 3", "W", 7, 1024},
		{"resizer line 4", "W", 8, 1024},
		{"preview out", "W", 9, 1024},
		{"H3A AF out", "W", 10, 512},
		{"H3A AE/AWB out", "W", 11, 512},
		{"resizer in", "R", 12, 1024},
		{"preview in", "R", 13, 1024},
		{"histogram in", "R", 14, 512},
	}
	if len(want) != int(NumPorts) {
		t.Fatalf("%d ports, want %d", NumPorts, len(want))
	}
	for id, w := range want {
		p := PortID(id)
		if p.String() != w.name || p.Write() != (w.dir == "W") || p.Priority() != w.priority || p.slots(defaultConfig())*256 != w.bytes {
			t.Errorf("port %d: %v, write %v, priority %d, %d data units; want %+v", id, p, p.Write(), p.Priority(), p.slots(defaultConfig()), w)
		}
	}
}

func TestReadyPortsGoToTheBusByPriority(t *testing.T) {
	// Four times up, so that all four line ports are in use. The bus is shut until long after every port has something.
	s := Sensor{Width: 337, Height: 248, LineTotal: 2000, FrameTotal: 300, PixelClock: 10_000_000}
	path := Path{Sensor: s, RawStride: 704, PreviewStride: 704, Resized: uyvy(1280, 960), AF: 1000, AEWB: 1000, GainTable: 1000}
	r := newPathRig(t, defaultConfig(), path)
	h, err := r.isp.HistogramMemory(Image{Width: 64, Height: 64, BytesPerPixel: 1, Stride: 64})
	if err != nil {
		t.Fatal(err)
	}
	r.bus.fixed, r.bus.stallTo = true, s.FrameTime()/2
	r.arm()
	r.Start(0)
	h.Submit(0x6000_0000, 0, 0)
	r.run(s.FrameTime() - 1)
	// The gain table was at the bus already. Each port has one request out; the most urgent one of them goes on until it is through with what it has stored.
	var got []bus.IOVA
	for _, x := range r.bus.log {
		if at := x.va &^ 0xff_ffff; !slices.Contains(got, at) {
			got = append(got, at)
		}
	}
	want := []bus.IOVA{gainAt, rawAt, resizedAt, previewAt, afAt, aewbAt, 0x6000_0000}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order of the first requests (-want +got):\n%s", diff)
	}
	var lines []bus.IOVA
	for _, x := range r.of(resizedAt) {
		if k := (x.va - resizedAt) / 2560; !slices.Contains(lines, k) && len(lines) < 4 {
			lines = append(lines, k)
		}
	}
	if diff := cmp.Diff([]bus.IOVA{0, 1, 2, 3}, lines); diff != "" {
		t.Errorf("order of the resizer's lines (-want +got):\n%s", diff)
	}
}

func TestAllPortsThatAreReadyGoByTheirNumber(t *testing.T) {
	i, b := newISP(t, defaultConfig())
	b.fixed = true
	var lanes [NumPorts]*bus.Lane[bus.IOVA]
	for id := NumPorts; id > 0; id-- {
		lanes[id-1] = i.lane(id-1, &memoryDummy{})
	}
	b.stallTo = sim.Millisecond
	lanes[HistogramIn].Issue(0, 0, 64, false) // out before the others come
	for id := HistogramIn; id > 0; id-- {
		lanes[id-1].Issue(sim.Microsecond*sim.Time(NumPorts-id), bus.IOVA(id)<<12, 64, (id - 1).Write())
	}
	if err := i.eng.Run(t.Context(), 2*sim.Millisecond); err != nil {
		t.Fatal(err)
	}
	for k, x := range b.log[1:] {
		if x.va != bus.IOVA(k+1)<<12 {
			t.Fatalf("request %d is of port %d", k, x.va>>12-1)
		}
	}
	if len(b.log) != int(NumPorts) {
		t.Errorf("%d requests", len(b.log))
	}
}

// memoryDummy is a client that asks for nothing more.
type memoryDummy struct{}

func (*memoryDummy) Granted(*bus.Port, sim.Time) {}

// Each real-time port fails exactly when the bus keeps the storage of its first data unit from it, whether the unit waits or is in flight: its port is full when byte 1024 (or 512) comes.
// The figures are pixel clocks of the reference sensor (864x656, lines of 3984).
func TestAPortFailsExactlyWhenItsStorageRunsOut(t *testing.T) {
	s := et8ek8
	const line = 3984
	for _, c := range []struct {
		port    PortID
		path    Path
		request int64 // when the first data unit is requested
		full    int64 // when its storage is needed
	}{
		// 2 bytes a pixel: a unit is 128 pixels, byte 1024 comes with pixel 513. 512 clocks after the first byte, 6.4 us.
		{CCDCOut, Path{RawStride: 1728}, 128, 513},
		// The same 5 columns and 2 lines into the frame.
		{PreviewOut, Path{PreviewStride: 1728}, 2*line + 5 + 128, 2*line + 5 + 513},
		// 854 columns to 864 at 251/256, of which 853 are used, from column 5 + 0: pixel 127 takes ((127*251 + 16) >> 8) + 7 = 131 of them, pixel 512 takes ((512*251 + 16) >> 8) + 7 = 509.
		// Line 0 takes 4 lines from line 2 + 0.
		{ResizerLine1, Path{Resized: preview}, 5*line + 5 + 131, 5*line + 5 + 509},
		// A byte per 64 pixels: byte 255 after 256*64 pixels = 18 lines and 832, byte 512 after 513*64 = 38 lines.
		{AFOut, Path{AF: 864 * 656 / 64}, 18*line + 832, 37*line + 864},
		{AEWBOut, Path{AEWB: 864 * 656 / 64}, 18*line + 832, 37*line + 864},
		// Read: the fifth unit is requested when the first is used up, after pixel 256*64, and needed with pixel 1024*64 = 75 lines and 736.
		{GainTableIn, Path{AF: 1, GainTable: 864 * 656 / 64}, 18*line + 832, 75*line + 736},
	} {
		c.path.Sensor = s
		clk := sim.Time(12_500)
		const origin = sim.Millisecond
		for _, inFlight := range []bool{false, true} {
			for _, late := range []sim.Time{-clk, 0, 1, clk} {
				r := newPathRig(t, defaultConfig(), c.path)
				r.bus.gap, r.bus.latency = 0, 0
				request, free := origin+sim.Time(c.request)*clk, origin+sim.Time(c.full)*clk+late
				r.bus.stall = func(at sim.Time) sim.Time {
					switch {
					case at < request || at >= free:
						r.bus.latency = 0
					case inFlight:
						r.bus.latency = free - at // granted as they come, done all together
					default:
						return free
					}
					return at
				}
				r.arm()
				r.Start(origin)
				r.run(origin + s.FrameTime() - 1)
				var got []Overflow
				for _, o := range r.Overflows() {
					if o.Port == c.port {
						got = append(got, o)
					}
				}
				if fails := late > 0; fails != (len(got) > 0) {
					t.Errorf("%v, in flight %v: storage free %v after it is needed: overflows %+v", c.port, inFlight, late, got)
				}
				if len(got) > 0 && (got[0].At != free-late || !inFlight && (got[0].Holder != holder || got[0].Waited < (free-request)/2)) {
					t.Errorf("%v: %+v, want it at %v after a wait of up to %v for master %d", c.port, got[0], free-late, free-request, holder)
				}
			}
		}
	}
}

func TestTheWindowOfTheCCDCIs6Point4Microseconds(t *testing.T) {
	// From the first byte of a data unit to the need of its storage: 1024 B at 80 MHz x 2 B; with one unit in flight and three of storage 4.8 us from its last byte.
	clk := 12_500 * sim.Picosecond
	if w := (513 - 1) * clk; w != 6400*sim.Nanosecond {
		t.Errorf("%v", w)
	}
	r := newPathRig(t, defaultConfig(), Path{Sensor: et8ek8, RawStride: 1728})
	u := r.Raw.writers[0].raster.units
	if len(r.Raw.writers[0].store) != 4 || u[4].first-u[0].first != 512 || u[4].first-u[0].last != 385 {
		t.Errorf("%d units of storage; unit 4 comes %d clocks after the first byte of unit 0 and %d after its last, want 512 (6.4 us) and 385 (4.8 us and one)",
			len(r.Raw.writers[0].store), u[4].first-u[0].first, u[4].first-u[0].last)
	}
}

func TestAStillIsCapturedWhileThePreviewGoesOn(t *testing.T) {
	path := Path{Sensor: full, RawStride: 5184, PreviewStride: 5184, Resized: preview, AF: 4096, AEWB: 10_000}
	r := newPathRig(t, defaultConfig(), path)
	r.bus.gap = 30 * sim.Nanosecond
	frame := full.FrameTime()
	r.Resized.OnFrameStart = func(e FrameStart) {
		r.Resized.Arm(resizedAt, 0)
		if e.Seq == 1 {
			r.Raw.Arm(rawAt, 77)
			r.AF.Arm(afAt, 0)
			r.AEWB.Arm(aewbAt, 0)
			r.Preview.Arm(previewAt, 0)
		}
	}
	r.Resized.Arm(resizedAt, 0)
	r.Start(0)
	r.run(4*frame - 1)
	for _, c := range []struct {
		name         string
		tap          *Tap
		at           bus.IOVA
		frames, size int
	}{
		{"raw", r.Raw, rawAt, 1, 10_202_112}, // 2592 x 1968 x 2
		{"preview", r.Preview, previewAt, 1, 2582 * 1964 * 2},
		{"resized", r.Resized, resizedAt, 4, 864 * 656 * 2},
		{"AF", r.AF, afAt, 1, 4096},
		{"AE/AWB", r.AEWB, aewbAt, 1, 10_000},
	} {
		want := Stats{Frames: 4, Captured: uint64(c.frames), Skipped: uint64(4 - c.frames)}
		if got := c.tap.Stats(); got != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
		bytes := 0
		for _, x := range r.of(c.at) {
			if !x.write {
				t.Fatalf("%s: %v is read", c.name, x.va)
			}
			bytes += x.n
		}
		if bytes != c.frames*c.size {
			t.Errorf("%s: %d bytes in memory, want %d of %d", c.name, bytes, c.frames, c.size)
		}
		if c.frames == 1 && (len(r.dones[c.tap]) != 1 || r.dones[c.tap][0].Seq != 2 || r.dones[c.tap][0].Overflowed || r.dones[c.tap][0].Start != 2*frame) {
			t.Errorf("%s: %+v", c.name, r.dones[c.tap])
		}
	}
	if e := r.dones[r.Raw][0]; e.Cookie != 77 || e.Done < 2*frame+1968*full.LineTime()-full.LineTime() {
		t.Errorf("raw frame %+v is done before the sensor has sent it", e)
	}
	if r.Raw.Bytes() != 10_202_112 {
		t.Errorf("a raw buffer of %d bytes", r.Raw.Bytes())
	}
}

func TestTheLastImageOfTheChainIsTheStream(t *testing.T) {
	for _, c := range []struct {
		path   Path
		stream func(*Pipeline) *Tap
	}{
		{Path{RawStride: 192}, func(p *Pipeline) *Tap { return p.Raw }},
		{Path{RawStride: 192, PreviewStride: 192}, func(p *Pipeline) *Tap { return p.Preview }},
		{Path{RawStride: 192, PreviewStride: 192, Resized: smallOut, AF: 10}, func(p *Pipeline) *Tap { return p.Resized }},
	} {
		c.path.Sensor = small
		r := newPathRig(t, defaultConfig(), c.path)
		r.Start(0)
		r.run(25 * sim.Millisecond)
		for _, tap := range r.taps {
			want := Stats{Frames: 3, Skipped: 3}
			if tap == c.stream(r.Pipeline) {
				want = Stats{Frames: 3, Dropped: 3}
			}
			if got := tap.Stats(); got != want {
				t.Errorf("%+v: got %+v, want %+v", c.path, got, want)
			}
		}
	}
}

func TestBlocksAreUsedByOnePathOnly(t *testing.T) {
	raw := Image{Width: 82, Height: 52, BytesPerPixel: 2, Stride: 192}
	build := map[string]func(*ISP) error{
		"raw":             func(i *ISP) error { _, err := i.OnTheFly(Path{Sensor: small, RawStride: 192}); return err },
		"camera":          func(i *ISP) error { _, err := i.OnTheFly(Path{Sensor: small, Resized: smallOut}); return err },
		"preview":         func(i *ISP) error { _, err := i.PreviewMemory(raw, 192); return err },
		"resizer":         func(i *ISP) error { _, err := i.ResizeMemory(raw, smallOut); return err },
		"preview+resizer": func(i *ISP) error { _, err := i.PreviewResizeMemory(raw, smallOut); return err },
		"histogram":       func(i *ISP) error { _, err := i.HistogramMemory(raw); return err },
	}
	for _, c := range []struct{ first, second, want string }{
		{"raw", "camera", "the CCDC is in use by the path on the fly"},
		{"camera", "preview", "preview from memory: the preview engine is in use by the path on the fly"},
		{"camera", "resizer", "resizer from memory: the resizer is in use by the path on the fly"},
		{"resizer", "preview+resizer", "preview and resizer from memory: the resizer is in use by the path resizer from memory"},
		{"preview+resizer", "camera", "on the fly: the preview engine is in use by the path preview and resizer from memory"},
		{"histogram", "histogram", "the histogram is in use"},
		{"raw", "preview+resizer", ""},
		{"preview", "resizer", ""},
		{"camera", "histogram", ""},
	} {
		i, _ := newISP(t, defaultConfig())
		if err := build[c.first](i); err != nil {
			t.Fatal(err)
		}
		err := build[c.second](i)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, then %s: error %v, want %q", c.first, c.second, err, c.want)
		}
	}
	// A refused path claims nothing.
	i, _ := newISP(t, defaultConfig())
	_ = build["resizer"](i)
	_ = build["camera"](i)
	if err := build["raw"](i); err != nil {
		t.Error(err)
	}
}

func TestImpossiblePathsAreRefused(t *testing.T) {
	for _, c := range []struct {
		path Path
		want string
	}{
		{Path{}, "writes nothing"},
		{Path{GainTable: 100}, "writes nothing"},
		{Path{RawStride: 128}, "raw image: stride 128, want at least the 164 bytes"},
		{Path{RawStride: 170}, "raw image: stride 170, want a multiple of 32"},
		{Path{PreviewStride: 128}, "preview image: stride 128, want at least the 144"},
		{Path{AF: -1}, "statistics"},
		{Path{AEWB: 2 << 20}, "statistics"},
		{Path{RawStride: 192, GainTable: 2 << 20}, "statistics or gains"},
	} {
		c.path.Sensor = small
		if _, err := onTheFly(defaultConfig(), c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.path, err, c.want)
		}
	}
	tiny := Sensor{Width: 60, Height: 52, LineTotal: 100, FrameTotal: 100, PixelClock: 1_000_000}
	if _, err := onTheFly(defaultConfig(), Path{Sensor: tiny, PreviewStride: 128}); err == nil || !strings.Contains(err.Error(), "want at least 64x8") {
		t.Errorf("preview of 60 columns: error %v", err)
	}
}

func TestStatisticsComeEvenlyOverTheActiveLines(t *testing.T) {
	// 82x52 pixels and 52*41 bytes: two pixels a byte.
	r := newPathRig(t, defaultConfig(), Path{Sensor: small, AF: 52 * 41})
	r.bus.gap, r.bus.latency = 0, 0
	r.arm()
	r.Start(0)
	r.run(9 * sim.Millisecond)
	if len(r.bus.log) != 9 {
		t.Fatalf("%d units, want 9 of 256 bytes and less", len(r.bus.log))
	}
	for k, x := range r.bus.log {
		pixels := min(k*256+256, 52*41) * 2
		line, column := (pixels-1)/82, (pixels-1)%82+1
		if want := sim.Time(line*100+column) * sim.Microsecond; x.at != want || x.va != afAt+bus.IOVA(k*256) {
			t.Errorf("unit %d: %v at %v, want it when %d pixels have been sent, %v", k, x.va, x.at, pixels, want)
		}
	}
}

func TestStopAndLateFramesTakeAllTapsAlong(t *testing.T) {
	r := newPathRig(t, defaultConfig(), whole(small))
	r.bus.fixed = true
	var order []string
	names := map[*Tap]string{r.Resized: "resized", r.Preview: "preview", r.Raw: "raw", r.AF: "AF", r.AEWB: "AE/AWB"}
	for tap, name := range names {
		tap.OnFrameStart = func(e FrameStart) { order = append(order, name+" starts") }
		tap.OnFrameDone = func(e FrameDone) {
			if !e.Overflowed {
				t.Errorf("%s: %+v", name, e)
			}
			order = append(order, name+" done")
		}
	}
	r.bus.stallFrom, r.bus.stallTo = 500*sim.Microsecond, 25*sim.Millisecond
	r.arm()
	r.Start(0)
	r.run(15 * sim.Millisecond)
	want := []string{
		"resized starts", "preview starts", "raw starts", "AF starts", "AE/AWB starts", "resized done", "preview done", "raw done", "AF done", "AE/AWB done",
		"resized starts", "preview starts", "raw starts", "AF starts", "AE/AWB starts",
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("callbacks (-want +got):\n%s", diff)
	}
	for tap, name := range names {
		if tap.Stats().Overflowed != 1 {
			t.Errorf("%s: %+v", name, tap.Stats())
		}
	}
	r.Raw.OnFrameStart = func(FrameStart) { r.Stop() }
	order = nil
	r.run(100 * sim.Millisecond)
	if diff := cmp.Diff([]string{"resized starts", "preview starts"}, order); diff != "" {
		t.Errorf("callbacks of the frame in which raw stops the stream (-want +got):\n%s", diff)
	}
	if r.eng.Next() != sim.Never {
		t.Error("an event is left behind")
	}
}

// A device's transfer that stands still after a fault cannot be called back: the port's other clients wait behind it.
func TestFramesGoOnWhileATransferStandsStill(t *testing.T) {
	r := newPathRig(t, defaultConfig(), whole(small))
	m, err := r.isp.HistogramMemory(Image{Width: 320, Height: 240, BytesPerPixel: 2, Stride: 640})
	if err != nil {
		t.Fatal(err)
	}
	var jobs []JobDone
	m.OnDone = func(e JobDone) { jobs = append(jobs, e) }
	r.bus.fixed, r.bus.stallFrom, r.bus.stallTo = true, 500*sim.Microsecond, 35*sim.Millisecond
	for _, tap := range r.taps {
		tap.OnFrameStart = func(FrameStart) { r.arm() }
	}
	r.arm()
	m.Submit(0x6000_0000, 0, 5)
	r.Start(0)
	r.run(80*sim.Millisecond - 1)
	for _, tap := range r.taps {
		lost := 4
		if tap == r.AF || tap == r.AEWB {
			lost = 3 // the only data unit of frame 3 comes after the stall, and finds room
		}
		if got := tap.Stats(); got.Overflowed != uint64(lost) || got.Captured != uint64(8-lost) || got.Overflows < uint64(lost) {
			t.Errorf("%v: %+v, want %d of 8 frames lost", tap.writers[0].id, got, lost)
		}
		for _, e := range r.dones[tap] {
			if e.Overflowed != (e.Seq < lost) {
				t.Errorf("%v: %+v", tap.writers[0].id, e)
			}
		}
	}
	if r.GainErrors() == 0 {
		t.Error("the gain table came in time")
	}
	if len(jobs) != 1 || jobs[0].Cookie != 5 || m.Stats().BytesRead != 320*240*2 || jobs[0].Done < 35*sim.Millisecond {
		t.Errorf("jobs %+v, %+v; want one that waited", jobs, m.Stats())
	}
}

func TestOverflowsOfAllPortsAreThoseOfAQueueReplayedByHand(t *testing.T) {
	seen := map[PortID]int{}
	rapid.Check(t, func(rt *rapid.T) {
		s := Sensor{Width: 90, Height: 52, LineTotal: rapid.IntRange(100, 140).Draw(rt, "line_total"), FrameTotal: 100, PixelClock: 10_000_000}
		cfg := defaultConfig()
		cfg.DataUnit = 32
		cfg.PortBytes = cfg.DataUnit * units.Bytes(rapid.IntRange(1, 8).Draw(rt, "slots"))
		cfg.SmallPortBytes = cfg.DataUnit * units.Bytes(rapid.IntRange(1, 4).Draw(rt, "small slots"))
		path := whole(s)
		path.Resized, path.GainTable = Image{}, 0
		path.AF, path.AEWB = units.Bytes(rapid.IntRange(1, 3000).Draw(rt, "AF")), units.Bytes(rapid.IntRange(1, 3000).Draw(rt, "AE/AWB"))
		r := newPathRig(t, cfg, path)
		r.bus.gap, r.bus.latency = 100*sim.Nanosecond, 300*sim.Nanosecond
		random, until := sim.Stream(rapid.Uint64().Draw(rt, "seed"), "stall"), sim.Time(0)
		stall := sim.Time(rapid.IntRange(1, 30).Draw(rt, "stall us")) * sim.Microsecond
		r.bus.stall = func(at sim.Time) sim.Time {
			if at >= until && random.IntN(20) == 0 {
				until = at + sim.Time(random.Int64N(int64(stall)))
			}
			return max(at, until)
		}
		r.arm()
		r.Start(0)
		r.run(s.FrameTime() - 1)
		pixels := s.Width * s.Height
		image := func(n, width, left, top int) func(int) int {
			return func(b int) int { return (top+b/(2*width))*s.LineTotal + left + b%(2*width)/2 + 1 }
		}
		even := func(n int) func(int) int {
			return func(b int) int {
				q := 0
				for q*n < (b+1)*pixels { // byte b has been produced when q of the pixels have been sent
					q++
				}
				return (q-1)/s.Width*s.LineTotal + (q-1)%s.Width + 1
			}
		}
		for _, c := range []struct {
			tap          *Tap
			at           bus.IOVA
			lines, bytes int // of a line
			produced     func(int) int
			slots        int
		}{
			{r.Raw, rawAt, s.Height, 2 * s.Width, image(s.Height, s.Width, 0, 0), int(cfg.PortBytes / 32)},
			{r.Preview, previewAt, s.Height - 4, 2 * (s.Width - 10), image(s.Height-4, s.Width-10, 5, 2), int(cfg.PortBytes / 32)},
			{r.AF, afAt, 1, int(path.AF), even(int(path.AF)), int(cfg.SmallPortBytes / 32)},
			{r.AEWB, aewbAt, 1, int(path.AEWB), even(int(path.AEWB)), int(cfg.SmallPortBytes / 32)},
		} {
			if len(r.dones[c.tap]) != 1 {
				continue // so slow that the next frame cuts this one short
			}
			done := map[bus.IOVA]sim.Time{}
			for _, x := range r.of(c.at) {
				done[x.va-c.at] = x.done
			}
			lost := 0
			var held []sim.Time
			for k := range c.lines {
				for at := 0; at < c.bytes; at += 32 {
					first := sim.NewClock(10_000_000).Cycles(int64(c.produced(k*c.bytes + at)))
					held = slices.DeleteFunc(held, func(d sim.Time) bool { return d <= first })
					va := bus.IOVA(k*c.tap.image.Stride + at)
					full := len(held) == c.slots
					if _, written := done[va]; written == full {
						rt.Fatalf("%v: line %d byte %d: port full %v, written %v", c.tap.writers[0].id, k, at, full, written)
					}
					if full {
						lost++
					} else {
						held = append(held, done[va])
					}
				}
			}
			if uint64(lost) != c.tap.Stats().Overflows || r.dones[c.tap][0].Overflowed != (lost > 0) {
				rt.Fatalf("%v: %d lost, %+v", c.tap.writers[0].id, lost, c.tap.Stats())
			}
			seen[c.tap.writers[0].id] += lost
		}
	})
	for _, id := range []PortID{CCDCOut, PreviewOut, AFOut, AEWBOut} {
		if seen[id] == 0 {
			t.Errorf("%v: no example overflowed", id)
		}
	}
}

func TestAWholePathAllocatesNothing(t *testing.T) {
	r := newPathRig(t, defaultConfig(), whole(small))
	r.bus.mute, r.bus.gap = true, tiny/4
	for _, tap := range r.taps {
		tap.OnFrameDone = nil
	}
	r.Resized.OnFrameStart = func(FrameStart) {
		r.Resized.Arm(resizedAt, 0)
		r.Preview.Arm(previewAt, 0)
		r.Raw.Arm(rawAt, 0)
		r.AF.Arm(afAt, 0)
		r.AEWB.Arm(aewbAt, 0)
	}
	r.SetGainTable(gainAt)
	r.Start(0)
	r.run(100 * sim.Millisecond)
	now := 100 * sim.Millisecond
	if got := testing.AllocsPerRun(20, func() {
		now += 20 * sim.Millisecond
		r.run(now)
	}); got != 0 {
		t.Errorf("%v allocations in two frames, want none", got)
	}
}
