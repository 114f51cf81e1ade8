package display

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// small is a panel whose refresh is quick to simulate.
var small = Panel{Width: 45, Height: 12, PixelClock: 10_000_000, HFP: 3, HSW: 2, HBP: 4, VFP: 1, VSW: 1, VBP: 6}

// oneRefresh scans the frame once, from time 0.
func (f *fabric) oneRefresh(t testing.TB, fr Frame) {
	t.Helper()
	f.d.Flip(GFX, fr)
	f.d.Start(0)
	f.run(t, f.d.panel.Refresh()-1)
}

func TestEveryVisibleByteIsReadOnceInOrder(t *testing.T) {
	for _, c := range []struct {
		panel  Panel
		frame  Frame
		bursts int
	}{
		{n900, frame16, 25 * 480},
		{n900, frame32, 50 * 480},
		{n900, Frame{Addr: 0x8000_0018, Stride: 1600, BytesPerPixel: 2}, 26 * 480},
		{n900, Frame{Addr: 0x8000_0000, Stride: 2048, BytesPerPixel: 2}, 25 * 480},
		{small, Frame{Addr: 0x8000_0007, Stride: 160, BytesPerPixel: 3}, 0},
		{small, Frame{Addr: 0x8000_0001, Stride: 45, BytesPerPixel: 1}, 0},
	} {
		f := newDisplay(t, dispc, c.panel)
		f.oneRefresh(t, c.frame)
		rowBytes := c.panel.Width * c.frame.BytesPerPixel
		n := 0
		for i, g := range f.log {
			line, off := n/rowBytes, n%rowBytes
			if want := c.frame.Addr + bus.Phys(line*c.frame.Stride+off); g.addr != want {
				t.Fatalf("%+v: burst %d reads %v, want %v", c.frame, i, g.addr, want)
			}
			if off+g.bytes > rowBytes || g.addr/64 != (g.addr+bus.Phys(g.bytes)-1)/64 {
				t.Fatalf("%+v: burst %d of %d bytes at %v crosses a boundary", c.frame, i, g.bytes, g.addr)
			}
			n += g.bytes
		}
		if n != rowBytes*c.panel.Height {
			t.Errorf("%+v: %d bytes read, want %d", c.frame, n, rowBytes*c.panel.Height)
		}
		if c.bursts > 0 && len(f.log) != c.bursts {
			t.Errorf("%+v: %d bursts, want %d", c.frame, len(f.log), c.bursts)
		}
		if s := f.d.Stats(GFX); s.Underflows > 0 {
			t.Errorf("%+v: %d underflows on an idle bus", c.frame, s.Underflows)
		}
	}
}

func TestFetchBeginsAtTheVsyncAndStopsWhenTheFIFOIsFull(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.d.Flip(GFX, frame16)
	f.d.Start(0)
	f.run(t, at(n900, 0, 0, 0)-1)
	if len(f.log) != 16 || f.log[0].at != 0 {
		t.Fatalf("%d bursts before the first pixel, the first at %v; want 16 from 0", len(f.log), f.log[0].at)
	}
	for i, g := range f.log { // four in flight, 200 ns each
		if want := sim.Time(i/4) * 200 * sim.Nanosecond; g.at != want {
			t.Errorf("burst %d at %v, want %v", i, g.at, want)
		}
	}
}

func TestSteadyStateAsksForABurstEachTimeOneHasBeenConsumed(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.oneRefresh(t, frame16)
	for i, g := range f.log[16:] {
		// Byte 64(i+1)-1 leaves, and the level is back at low.
		px := 32*(i+1) - 1
		if want := at(n900, 0, px/800, px%800); g.at != want {
			t.Fatalf("burst %d at %v, want %v", 16+i, g.at, want)
		}
	}
}

func TestLowThresholdHoldsTheRefillBack(t *testing.T) {
	cfg := dispc
	cfg.Low, cfg.High = 512, 1000
	f := newDisplay(t, cfg, n900)
	f.latency = 0
	f.oneRefresh(t, frame16)
	// 1024 bytes at once, then 8 bursts each time 512 bytes have gone.
	for i, g := range f.log[16:] {
		px := 256*(i/8+1) - 1
		if want := at(n900, 0, px/800, px%800); g.at != want {
			t.Fatalf("burst %d at %v, want %v", 16+i, g.at, want)
		}
	}
}

func TestHighThresholdEndsTheRefill(t *testing.T) {
	cfg := dispc
	cfg.Low, cfg.High = 128, 257
	f := newDisplay(t, cfg, n900)
	f.latency = 0
	f.oneRefresh(t, frame16)
	// Five bursts reach 320 bytes; the next three come when 192 have gone, and so on.
	for i, g := range f.log[5:] {
		px := 96*(i/3+1) - 1
		if want := at(n900, 0, px/800, px%800); g.at != want {
			t.Fatalf("burst %d at %v, want %v", 5+i, g.at, want)
		}
	}
}

// delayBurst makes burst n complete at the given time, which is later than it would.
func (f *fabric) delayBurst(n int, at sim.Time) {
	f.delay = func(i int, _, done sim.Time) sim.Time {
		if i == n {
			return at
		}
		return done
	}
}

func TestBurstThatArrivesWithItsPixelIsInTime(t *testing.T) {
	// Burst 85 is bytes 640 to 703 of line 3: 25 bursts a line.
	due := at(n900, 0, 3, 320)
	for _, c := range []struct {
		done sim.Time
		want uint64
	}{{due - 1, 0}, {due, 0}, {due + 1, 1}} {
		f := newDisplay(t, dispc, n900)
		f.delayBurst(85, c.done)
		f.oneRefresh(t, frame16)
		if got := f.d.Stats(GFX).Underflows; got != c.want {
			t.Errorf("%v against its pixel: %d underflows, want %d", c.done-due, got, c.want)
		}
		if c.want == 1 {
			if d := cmp.Diff([]Underflow{{Seq: 0, At: due, Holder: 7}}, f.d.Underflows()); d != "" {
				t.Errorf("records (-want +got):\n%s", d)
			}
		}
	}
}

func TestPreloadMustBeThereAtTheFirstPixel(t *testing.T) {
	// Burst 1 holds bytes 64 to 127: its own first pixel is 32 clocks after the frame's.
	first := at(n900, 0, 0, 0)
	for _, c := range []struct {
		preload units.Bytes
		done    sim.Time
		want    uint64
	}{{96, first, 0}, {96, first + 1, 1}, {65, first + 1, 1}, {64, first + 1, 0}, {64, at(n900, 0, 0, 32), 0}, {64, at(n900, 0, 0, 32) + 1, 1}} {
		cfg := dispc
		cfg.Preload = c.preload
		f := newDisplay(t, cfg, n900)
		f.delayBurst(1, c.done)
		f.oneRefresh(t, frame16)
		if got := f.d.Stats(GFX).Underflows; got != c.want {
			t.Errorf("preload of %d, done %v after the first pixel: %d underflows, want %d", c.preload, c.done-first, got, c.want)
		}
	}
}

func TestConsecutiveLateBurstsAreOneUnderflow(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.stalls = []stall{{4 * sim.Millisecond, 4100 * sim.Microsecond}, {8 * sim.Millisecond, 8100 * sim.Microsecond}}
	f.oneRefresh(t, frame16)
	rec := f.d.Underflows()
	if f.d.Stats(GFX).Underflows != 2 || len(rec) != 2 {
		t.Fatalf("%d underflows, %d recorded, want 2 for two stalls", f.d.Stats(GFX).Underflows, len(rec))
	}
	for i, s := range f.stalls {
		// 1024 bytes of FIFO are 21.3 us of pixels, perhaps with a horizontal blank of 2.3 us between.
		if dry := rec[i].At - s.from; dry < 18*sim.Microsecond || dry > 24*sim.Microsecond {
			t.Errorf("stall at %v: the FIFO ran dry after %v, want about 21us", s.from, dry)
		}
		if w := rec[i].Waited; w < 98*sim.Microsecond || w > 100*sim.Microsecond || rec[i].Holder != 7 {
			t.Errorf("stall at %v: blamed on %d for %v, want 7 for about 100us", s.from, rec[i].Holder, w)
		}
	}
}

func TestStreamStaysAlignedAfterALongStall(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.stalls = []stall{{4 * sim.Millisecond, 5 * sim.Millisecond}}
	f.oneRefresh(t, frame16)
	if len(f.log) != 25*480 {
		t.Fatalf("%d bursts, want all %d", len(f.log), 25*480)
	}
	// The last bursts come as they would have without the stall.
	ideal := newDisplay(t, dispc, n900)
	ideal.oneRefresh(t, frame16)
	for i := len(f.log) - 1000; i < len(f.log); i++ {
		if f.log[i] != ideal.log[i] {
			t.Fatalf("burst %d %+v, want %+v as without the stall", i, f.log[i], ideal.log[i])
		}
	}
}

func TestFetchNotFinishedAtTheNextVsyncIsAbandoned(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.d.Flip(GFX, frame16)
	f.d.Start(0)
	period := n900.Refresh()
	last := at(n900, 0, 479, 0) // the last line's bursts are never granted
	f.stalls = []stall{{last, period + sim.Microsecond}}
	f.run(t, 2*period-1)

	rec := f.d.Underflows()
	if len(rec) != 1 || rec[0].Seq != 0 || rec[0].Holder != bus.NoMaster || rec[0].Waited < 480*sim.Microsecond/10 {
		t.Fatalf("recorded %+v, want one underflow in refresh 0, of nobody", rec)
	}
	if dry := rec[0].At - last; dry < 0 || dry > 24*sim.Microsecond {
		t.Errorf("underflow at %v, want within the FIFO's 24us after %v", rec[0].At, last)
	}
	// The next refresh begins at the frame's beginning and is whole.
	i := 0
	for f.log[i].at < period {
		i++
	}
	if f.log[i].addr != frame16.Addr || len(f.log)-i != 25*480 || i >= 25*480 {
		t.Errorf("after %d bursts the next refresh begins at %v with %d bursts, want %v with %d", i, f.log[i].addr, len(f.log)-i, frame16.Addr, 25*480)
	}
}

func TestAbandonedFetchOfALateFrameIsTheSameUnderflow(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.latency = 40 * sim.Microsecond // 4 x 64 B each 40 us is 6.4 MB/s of the 46 needed
	f.oneRefresh(t, frame16)
	f.run(t, n900.Refresh())
	if got := f.d.Stats(GFX).Underflows; got != 1 {
		t.Errorf("%d underflows in a frame that is late throughout, want 1", got)
	}
}

func TestEachRefreshHasUnderflowsOfItsOwn(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.latency = sim.Millisecond // the first burst of a refresh is late already
	f.oneRefresh(t, frame16)
	f.run(t, 3*n900.Refresh())
	if got := f.d.Stats(GFX).Underflows; got != 3 {
		t.Errorf("%d underflows in three refreshes that are late throughout, want 3", got)
	}
}

func TestDeadBusUnderflowsOnceARefresh(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.dead = true
	f.d.Flip(GFX, frame16)
	f.d.Start(0)
	f.run(t, 5*n900.Refresh()+sim.Microsecond)
	if s, want := f.d.Stats(GFX), (Stats{Refreshes: 6, Displayed: 1, Repeated: 5, Underflows: 5}); s != want {
		t.Errorf("counted %+v, want %+v", s, want)
	}
	if f.port.Idle() {
		t.Error("nothing offered in the refresh after")
	}
}

func TestNextFetchWaitsForWhatIsInFlightAtTheVsync(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	period := n900.Refresh()
	f.delayBurst(25*480-1, period+300*sim.Nanosecond)
	f.d.Flip(GFX, frame16)
	f.d.Start(0)
	f.run(t, period+sim.Microsecond)
	if got, want := f.log[25*480].at, period+300*sim.Nanosecond; got != want {
		t.Errorf("first burst of the next refresh at %v, want %v", got, want)
	}
}

func TestRecordsAreBoundedAndCountsAreNot(t *testing.T) {
	f := newDisplay(t, dispc, small)
	f.dead = true
	f.d.Flip(GFX, Frame{Stride: 90, BytesPerPixel: 2})
	f.d.Start(0)
	f.run(t, 1200*small.Refresh()+sim.Microsecond)
	if n, r := f.d.Stats(GFX).Underflows, len(f.d.Underflows()); n != 1200 || r != MaxRecords {
		t.Errorf("%d counted and %d recorded, want 1200 and %d", n, r, MaxRecords)
	}
}

// TestRequestsAreAsEarlyAsTheRuleAllows replays any refresh against the rule, with the FIFO's level counted byte by byte.
func TestRequestsAreAsEarlyAsTheRuleAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
		panel := Panel{
			Width: n("width", 1, 70), Height: n("height", 1, 8), PixelClock: 9_999_991, HFP: n("hfp", 0, 9), HSW: n("hsw", 1, 9), HBP: n("hbp", 0, 9),
			VFP: n("vfp", 0, 2), VSW: n("vsw", 1, 2), VBP: n("vbp", 0, 3),
		}
		cfg := Config{Burst: units.Bytes(8 << n("burst", 0, 3)), Outstanding: n("outstanding", 1, 16)}
		cfg.FIFO = cfg.Burst + units.Bytes(n("fifo", 0, 200))
		cfg.High = units.Bytes(n("high", 1, int(cfg.FIFO)))
		cfg.Low = units.Bytes(n("low", 0, int(cfg.High)-1))
		bpp := n("bytes per pixel", 1, 4)
		fr := Frame{Addr: bus.Phys(n("address", 0, 100)), BytesPerPixel: bpp, Stride: panel.Width*bpp + n("padding", 0, 80)}
		latency := make([]sim.Time, n("latencies", 1, 5))
		for i := range latency {
			latency[i] = sim.Time(n("latency", 0, 3_000_000))
		}

		eng := sim.New()
		defer eng.Close()
		d, err := New(eng, cfg, panel)
		if err != nil {
			t.Fatal(err)
		}
		f := &fabric{eng: eng, d: d, port: bus.Port{Outstanding: bus.MaxOutstanding}}
		f.port.Connect(&f.wake, new(sim.Time), nil)
		eng.SetBackground(f)
		d.SetPort(&f.port)
		f.delay = func(i int, at, _ sim.Time) sim.Time { return at + latency[i%len(latency)] }
		d.Flip(GFX, fr)
		d.Start(0)
		if err := eng.Run(t.Context(), panel.Refresh()-1); err != nil {
			t.Fatal(err)
		}
		checkRule(t, cfg, panel, bpp, f.log, d.Stats(GFX).Underflows)
	})
}

// checkRule replays the requests of a refresh that began at 0 against the refill rule.
func checkRule(t *rapid.T, cfg Config, panel Panel, bpp int, log []grant, underflows uint64) {
	type held struct {
		bytes []sim.Time // when each byte's pixel leaves
		done  sim.Time
	}
	var fifo []held
	level := func(now sim.Time) (n int) {
		for _, h := range fifo {
			for _, out := range h.bytes {
				if out > now || h.done > now {
					n++
				}
			}
		}
		return n
	}
	flying := func(now sim.Time) (n int) {
		for _, h := range fifo {
			if h.done > now {
				n++
			}
		}
		return n
	}
	refilling, before, pos := true, sim.Time(0), 0
	late, episodes := false, uint64(0)
	for i, g := range log {
		// The rule at one time: what stops burst i from being requested?
		stopped := func(now sim.Time) string {
			l := level(now)
			switch {
			case l+g.bytes > int(cfg.FIFO):
				return "no room"
			case !refilling && l > int(cfg.Low):
				return "above low"
			case flying(now) >= cfg.Outstanding:
				return "too many in flight"
			}
			return ""
		}
		if why := stopped(g.at); why != "" {
			t.Fatalf("burst %d at %v: %s", i, g.at, why)
		}
		if g.at > before && stopped(g.at-1) == "" {
			t.Fatalf("burst %d at %v, a picosecond after it could have been", i, g.at)
		}
		if g.at < before {
			t.Fatalf("burst %d at %v, before the one before at %v", i, g.at, before)
		}
		h := held{done: g.done}
		for range g.bytes {
			px := pos / bpp
			h.bytes = append(h.bytes, at(panel, 0, px/panel.Width, px%panel.Width))
			pos++
		}
		if l := g.done > h.bytes[0]; l {
			if !late {
				episodes++
			}
			late = true
		} else {
			late = false
		}
		refilling = level(g.at)+g.bytes < int(cfg.High) // a burst is held whole when it is requested, even if it takes no time
		fifo = append(fifo, h)
		before = g.at
	}
	if pos < panel.Width*panel.Height*bpp {
		return // abandoned at the vsync after this run
	}
	if underflows != episodes {
		t.Fatalf("%d underflows, want %d", underflows, episodes)
	}
}
