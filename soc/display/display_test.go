package display

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
	"socsim/sim/bus"
)

func TestPanelOfTheN900RefreshesAt57Hz(t *testing.T) {
	if n900.HTotal() != 856 || n900.VTotal() != 490 || n900.Clocks() != 419440 {
		t.Errorf("%d x %d = %d pixel clocks, want 856 x 490 = 419440", n900.HTotal(), n900.VTotal(), n900.Clocks())
	}
	if got := n900.Refresh(); got != 17_476_666_666 { // 419440 / 24 MHz = 17.4766.. ms
		t.Errorf("refresh of %v, want 17.476666666ms", got)
	}
	if got := n900.Line(); got != 35_666_666 {
		t.Errorf("line of %v, want 35.666666us", got)
	}
}

func TestVsyncsDoNotDrift(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	var got []Vsync
	f.d.OnVsync[GFX] = func(v Vsync) { got = append(got, v) }
	start := sim.Millisecond
	f.d.Start(start)
	f.run(t, 2*sim.Second)
	if len(got) != 115 { // 1.999 s x 57.22 Hz = 114.4, and the one at the start
		t.Fatalf("%d vsyncs, want 115", len(got))
	}
	for n, v := range got {
		at0, first := start+sim.NewClock(24e6).Cycles(int64(n)*419440), start+at(n900, n, 0, 0)
		if v.Seq != n || v.At != at0 || v.FirstPixel != first {
			t.Fatalf("vsync %+v, want number %d at %v with its first pixel at %v", v, n, at0, first)
		}
	}
	if got, want := got[0].FirstPixel-start, sim.NewClock(24e6).Cycles(7*856+28); got != want {
		t.Errorf("first pixel %v after the vsync, want %v", got, want)
	}
}

func TestNothingIsScannedBeforeTheFirstFlip(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	var got []Vsync
	f.d.OnVsync[GFX] = func(v Vsync) { got = append(got, v) }
	f.d.Start(0)
	f.run(t, 3*n900.Refresh()-1)
	if len(f.log) > 0 {
		t.Errorf("%d bursts without a frame", len(f.log))
	}
	if s := f.d.Stats(GFX); s != (Stats{}) {
		t.Errorf("counted %+v, want nothing", s)
	}
	for _, v := range got {
		if v.New || v.Released != NoCookie || v.Shown.Cookie != NoCookie {
			t.Errorf("vsync %+v, want no frame shown or released", v)
		}
	}
}

func TestFlipIsLatchedAtTheNextVsync(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	type seen struct {
		seq, shown, released int
		fresh                bool
	}
	var got []seen
	f.d.OnVsync[GFX] = func(v Vsync) { got = append(got, seen{v.Seq, v.Shown.Cookie, v.Released, v.New}) }
	flip := func(cookie int) {
		fr := frame16
		fr.Cookie = cookie
		f.d.Flip(GFX, fr)
	}
	f.d.Start(0)
	period := n900.Refresh()
	f.run(t, period/2)
	flip(10)
	if !f.d.FlipPending(GFX) {
		t.Error("no flip pending before the vsync")
	}
	f.run(t, period*3/2)
	if f.d.FlipPending(GFX) {
		t.Error("flip pending after the vsync")
	}
	f.run(t, period*5/2)
	flip(11)
	f.run(t, period*7/2)
	flip(12)
	flip(13) // before the vsync: 12 is never shown
	f.run(t, period*9/2)

	want := []seen{{0, NoCookie, NoCookie, false}, {1, 10, NoCookie, true}, {2, 10, NoCookie, false}, {3, 11, 10, true}, {4, 13, 11, true}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); d != "" {
		t.Errorf("vsyncs (-want +got):\n%s", d)
	}
	if s, want := f.d.Stats(GFX), (Stats{Refreshes: 4, Displayed: 3, Repeated: 1}); s != want {
		t.Errorf("counted %+v, want %+v", s, want)
	}
}

func TestFlipWithinOnVsyncWaitsForTheNextOne(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	var shown []int
	f.d.OnVsync[GFX] = func(v Vsync) {
		shown = append(shown, v.Shown.Cookie)
		fr := frame16
		fr.Cookie = 100 + v.Seq
		f.d.Flip(GFX, fr)
	}
	f.d.Start(0)
	f.run(t, 3*n900.Refresh())
	if d := cmp.Diff([]int{NoCookie, 100, 101}, shown); d != "" {
		t.Errorf("shown (-want +got):\n%s", d)
	}
}

func TestResetForgetsCountsButNotTheFrame(t *testing.T) {
	f := newDisplay(t, dispc, n900)
	f.d.Flip(GFX, frame16)
	f.d.Start(0)
	f.stalls = []stall{{5 * sim.Millisecond, 6 * sim.Millisecond}}
	f.run(t, n900.Refresh()*3/2)
	if s, want := f.d.Stats(GFX), (Stats{Refreshes: 2, Displayed: 1, Repeated: 1, Underflows: 1}); s != want {
		t.Errorf("counted %+v, want %+v", s, want)
	}
	f.d.ResetStats()
	if len(f.d.Underflows()) != 0 {
		t.Error("underflow recorded before the reset is still there")
	}
	f.run(t, n900.Refresh()*5/2)
	if s, want := f.d.Stats(GFX), (Stats{Refreshes: 1, Repeated: 1}); s != want {
		t.Errorf("counted %+v after the reset, want %+v", s, want)
	}
}

func TestFlipPanicsOnAFrameThatCannotBeScanned(t *testing.T) {
	for _, fr := range []Frame{{Stride: 1598, BytesPerPixel: 2}, {Stride: 1600}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: no panic", fr)
				}
			}()
			newDisplay(t, dispc, n900).d.Flip(GFX, fr)
		}()
	}
}

func TestValidateNamesTheSetting(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Config, *Panel)
	}{
		{"burst", func(c *Config, _ *Panel) { c.Burst = 48 }},
		{"burst", func(c *Config, _ *Panel) { c.Burst = 128 }},
		{"fifo", func(c *Config, _ *Panel) { c.FIFO = 32 }},
		{"high", func(c *Config, _ *Panel) { c.High = 1025 }},
		{"low", func(c *Config, _ *Panel) { c.Low = 1023 }},
		{"low", func(c *Config, _ *Panel) { c.Low = -1 }},
		{"preload", func(c *Config, _ *Panel) { c.Preload = 1024 }},
		{"outstanding", func(c *Config, _ *Panel) { c.Outstanding = 0 }},
		{"0x480 pixels", func(_ *Config, p *Panel) { p.Width = 0 }},
		{"pixel_clock", func(_ *Config, p *Panel) { p.PixelClock = 0 }},
		{"vfp -1", func(_ *Config, p *Panel) { p.VFP = -1 }},
		{"hsw 0", func(_ *Config, p *Panel) { p.HSW = 0 }},
		{"pixel clocks in a line", func(_ *Config, p *Panel) { p.Width = 1 << 62 }},
		{"lines in a refresh", func(_ *Config, p *Panel) { p.Height = 1 << 14 }},
	} {
		cfg, panel := dispc, n900
		c.change(&cfg, &panel)
		if _, err := New(sim.New(), cfg, panel); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one that names %s", err, c.want)
		}
	}
}

func TestEverySettingHasAnEffect(t *testing.T) {
	type outcome struct {
		underflows uint64
		bursts     int
		last       sim.Time // end of the second refresh's fetch
		sum        sim.Time // of all request times
	}
	result := func(cfg Config, panel Panel) outcome {
		f := newDisplay(t, cfg, panel)
		f.latency = 1500 * sim.Nanosecond
		fr := frame16
		fr.Stride = 2048
		f.d.Flip(GFX, fr)
		f.d.Start(0)
		late := at(panel, 0, 0, 0) + 1
		f.delay = func(n int, _, done sim.Time) sim.Time {
			if n == 2 { // bytes 128 to 191
				return late
			}
			return done
		}
		f.run(t, 2*panel.Refresh()-1)
		o := outcome{f.d.Stats(GFX).Underflows, len(f.log), f.last, 0}
		for _, g := range f.log {
			o.sum += g.at
		}
		return o
	}
	base := result(dispc, n900)
	for name, change := range map[string]func(*Config, *Panel){
		"fifo":        func(c *Config, _ *Panel) { c.FIFO = 2048 },
		"low":         func(c *Config, _ *Panel) { c.Low = 640 },
		"high":        func(c *Config, _ *Panel) { c.High, c.Low = 700, 600 },
		"burst":       func(c *Config, _ *Panel) { c.Burst = 32 },
		"outstanding": func(c *Config, _ *Panel) { c.Outstanding = 1 },
		"preload":     func(c *Config, _ *Panel) { c.Preload = 129 },
		"width":       func(_ *Config, p *Panel) { p.Width-- },
		"height":      func(_ *Config, p *Panel) { p.Height-- },
		"pixel_clock": func(_ *Config, p *Panel) { p.PixelClock-- },
		"hfp":         func(_ *Config, p *Panel) { p.HFP++ },
		"hsw":         func(_ *Config, p *Panel) { p.HSW++ },
		"hbp":         func(_ *Config, p *Panel) { p.HBP++ },
		"vfp":         func(_ *Config, p *Panel) { p.VFP++ },
		"vsw":         func(_ *Config, p *Panel) { p.VSW++ },
		"vbp":         func(_ *Config, p *Panel) { p.VBP++ },
	} {
		cfg, panel := dispc, n900
		change(&cfg, &panel)
		if result(cfg, panel) == base {
			t.Errorf("%s changes nothing", name)
		}
	}
}

func BenchmarkBursts(b *testing.B) {
	for _, c := range []struct {
		name  string
		frame Frame
	}{{"16bit", frame16}, {"32bit", frame32}} {
		b.Run(c.name, func(b *testing.B) {
			f := newDisplay(b, dispc, n900)
			f.quiet = true
			f.d.Flip(GFX, c.frame)
			f.d.Start(0)
			end := sim.Time(0)
			b.ReportAllocs()
			for b.Loop() {
				end += n900.Refresh()
				f.run(b, end)
			}
			if s := f.d.Stats(GFX); s.Underflows > 0 {
				b.Fatalf("%+v", s)
			}
			b.ReportMetric(float64(f.n)/b.Elapsed().Seconds(), "bursts/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(f.n), "ns/burst")
		})
	}
}

var _ bus.Source = (*pipe)(nil)
