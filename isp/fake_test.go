package isp

import (
	"context"
	"testing"

	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
)

// The modes of the ET8EK8 (Linux et8ek8_mode.c).
var (
	et8ek8 = Sensor{Width: 864, Height: 656, LineTotal: 3984, FrameTotal: 672, PixelClock: 80_000_000}
	full   = Sensor{Width: 2592, Height: 1968, LineTotal: 3288, FrameTotal: 2016, PixelClock: 80_000_000}

	preview = Image{Width: 864, Height: 656, BytesPerPixel: 2, Stride: 1728}
)

// defaultConfig is the ISP of an OMAP34xx with an interconnect of 166 MHz.
func defaultConfig() Config {
	return Config{
		ProcessingClock:    83_000_000,
		PortBytes:          1024,
		SmallPortBytes:     512,
		MemoryRate:         2,
		ResizerRate:        1,
		DataUnit:           256,
		Outstanding:        4,
		CropColumns:        10,
		CropLines:          4,
		MaxPreviewWidth:    3300,
		MaxOutputWidth:     3312,
		MaxOutputWidth7Tap: 1650,
		MMU:                iommu.Config{Entries: 8, Format: iommu.OMAP, HitCycles: 1},
	}
}

const holder bus.Master = 7

// transfer is a data unit as the fake bus saw it.
type transfer struct {
	at      sim.Time // when it was offered
	va      bus.IOVA
	n       int
	granted sim.Time // of its last burst
	done    sim.Time // of its last burst
	write   bool
}

// fakeBus serves one port, a burst every gap, each done latency after its grant. From stallFrom to stallTo it grants nothing.
type fakeBus struct {
	eng                 *sim.Engine
	port                bus.Port
	wake, free, granted sim.Time
	gap, latency        sim.Time
	stallFrom, stallTo  sim.Time
	stall               func(at sim.Time) sim.Time // when set, a grant due at the time is moved to the result
	log                 []transfer
	mute                bool // keeps no log
	fixed               bool // gives nothing back that is due
	bursts, transfers   int
}

func newFakeBus(eng *sim.Engine, src bus.Source, gap, latency sim.Time) *fakeBus {
	f := &fakeBus{eng: eng, wake: sim.Never, gap: gap, latency: latency}
	f.port.Outstanding = bus.MaxOutstanding
	f.port.Connect(&f.wake, new(sim.Time), src)
	eng.SetBackground(f)
	return f
}

func (f *fakeBus) Issue(at sim.Time, va bus.IOVA, n int, write bool) {
	if at < f.granted {
		panic("issued in the past")
	}
	if !f.mute {
		f.log = append(f.log, transfer{at: at, va: va, n: n, write: write})
	}
	bus.Direct{Port: &f.port}.Issue(at, bus.Phys(va), n, write)
}

func (f *fakeBus) Withdraw() bool {
	if f.fixed && f.port.Issued() <= f.eng.Now() || !f.port.Withdraw() {
		return false
	}
	if !f.mute {
		f.log = f.log[:len(f.log)-1]
	}
	return true
}

func (f *fakeBus) AdvanceTo(limit sim.Time) {
	for !f.port.Idle() {
		now := max(f.port.At, f.free)
		if now >= f.stallFrom && now < f.stallTo {
			now = f.stallTo
		}
		if f.stall != nil {
			now = f.stall(now)
		}
		if now >= min(limit, f.eng.Next()) {
			return
		}
		f.free, f.granted = now+f.gap, now
		f.port.Waited, f.port.Holder = now-f.port.At, holder
		f.bursts++
		done := now + f.latency
		if !f.mute {
			f.log[len(f.log)-1].done, f.log[len(f.log)-1].granted = done, now
		}
		if !f.port.Advance(f.port.Burst(), done) {
			f.transfers++
			f.port.Source().Granted(&f.port, done)
		}
	}
}

// rig is an on-the-fly path to the resizer at a fake bus that arms the same buffer for each frame.
type rig struct {
	*Pipeline
	*Tap
	isp    *ISP
	t      testing.TB
	eng    *sim.Engine
	bus    *fakeBus
	starts []FrameStart
	dones  []FrameDone
}

const target bus.IOVA = 0x1000_0000

// newISP returns an ISP at a fake bus.
func newISP(t testing.TB, cfg Config) (*ISP, *fakeBus) {
	t.Helper()
	eng := sim.New()
	t.Cleanup(eng.Close)
	i, err := New(eng, cfg)
	if err != nil {
		t.Fatal(err)
	}
	b := newFakeBus(eng, i.Source(), 50*sim.Nanosecond, 100*sim.Nanosecond)
	i.SetPort(b)
	return i, b
}

func newRig(t testing.TB, cfg Config, s Sensor, out Image) *rig {
	t.Helper()
	i, b := newISP(t, cfg)
	path, err := i.OnTheFly(Path{Sensor: s, Resized: out})
	if err != nil {
		t.Fatal(err)
	}
	eng, p := i.eng, path.Resized
	r := &rig{Pipeline: path, Tap: p, isp: i, t: t, eng: eng, bus: b}
	p.OnFrameStart = func(e FrameStart) {
		if e.At != eng.Now() {
			t.Errorf("start of frame %d is at %v, delivered at %v", e.Seq, e.At, eng.Now())
		}
		r.starts = append(r.starts, e)
		p.Arm(target, e.Seq+1)
	}
	p.OnFrameDone = func(e FrameDone) {
		if e.Done != eng.Now() {
			t.Errorf("done of frame %d is at %v, delivered at %v", e.Seq, e.Done, eng.Now())
		}
		r.dones = append(r.dones, e)
	}
	p.Arm(target, 0)
	return r
}

func (r *rig) run(until sim.Time) {
	r.t.Helper()
	if err := r.eng.Run(context.Background(), until); err != nil {
		r.t.Fatal(err)
	}
}

// produced is when output byte b of line k of frame seq has been produced, straight from the package comment.
func produced(cfg Config, s Sensor, out Image, origin sim.Time, seq, k, b int) sim.Time {
	r, err := NewResizer(cfg, s.Width-cfg.CropColumns, s.Height-cfg.CropLines, out)
	if err != nil {
		panic(err)
	}
	vphase, vtaps := 16, 4
	if r.VertRatio > 512 {
		vphase, vtaps = 32, 7
	}
	hphase := 16
	if r.HorzRatio > 512 {
		hphase = 32
	}
	line := cfg.CropLines/2 + r.Top + (k*r.VertRatio+vphase)/256 + vtaps - 1
	column := cfg.CropColumns/2 + r.Left + (b/out.BytesPerPixel*r.HorzRatio+hphase)/256 + 7
	count := int64(seq)*int64(s.LineTotal)*int64(s.FrameTotal) + int64(line)*int64(s.LineTotal) + int64(column)
	return origin + sim.NewClock(int64(s.PixelClock)).Cycles(count)
}

// onTheFly makes a path on an ISP of its own.
func onTheFly(cfg Config, path Path) (*Pipeline, error) {
	i, err := New(sim.New(), cfg)
	if err != nil {
		return nil, err
	}
	return i.OnTheFly(path)
}
