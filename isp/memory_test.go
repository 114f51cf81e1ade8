package isp

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

const (
	srcAt bus.IOVA = 0x1000_0000
	dstAt bus.IOVA = 0x2000_0000
)

// memoryRig is a path from memory at a fake bus.
type memoryRig struct {
	*Memory
	t     testing.TB
	eng   *sim.Engine
	bus   *fakeBus
	dones []JobDone
}

func newMemoryRig(t testing.TB, cfg Config, build func(*ISP) (*Memory, error)) *memoryRig {
	t.Helper()
	i, b := newISP(t, cfg)
	m, err := build(i)
	if err != nil {
		t.Fatal(err)
	}
	r := &memoryRig{Memory: m, t: t, eng: i.eng, bus: b}
	b.gap = 0
	m.OnDone = func(e JobDone) {
		if e.Done != i.eng.Now() {
			t.Errorf("done of job %d is at %v, delivered at %v", e.Cookie, e.Done, i.eng.Now())
		}
		r.dones = append(r.dones, e)
	}
	return r
}

func (r *memoryRig) run(until sim.Time) {
	r.t.Helper()
	if err := r.eng.Run(r.t.Context(), until); err != nil {
		r.t.Fatal(err)
	}
}

// cfg100 is an ISP with an interconnect of 200 MHz, the one of the TRM's figures.
func cfg100() Config {
	cfg := defaultConfig()
	cfg.ProcessingClock = 100_000_000
	return cfg
}

func histogramOf(in Image) func(*ISP) (*Memory, error) {
	return func(i *ISP) (*Memory, error) { return i.HistogramMemory(in) }
}

func resizeOf(in, out Image) func(*ISP) (*Memory, error) {
	return func(i *ISP) (*Memory, error) { return i.ResizeMemory(in, out) }
}

func TestMemoryJobsTakeTheTimeOfTheFormula(t *testing.T) {
	vga := uyvy(640, 480)
	const latency = 200 * sim.Nanosecond
	for _, c := range []struct {
		name   string
		cfg    Config
		build  func(*ISP) (*Memory, error)
		cycles int64 // of a processing clock of 10 ns
	}{
		// 614400 bytes at 200 MB/s (TRM p. 1298).
		{"histogram", cfg100(), histogramOf(vga), 307_200},
		{"preview", cfg100(), func(i *ISP) (*Memory, error) { return i.PreviewMemory(vga, 1280) }, 307_200},
		// W*bpp*H/(L3/2) (TRM p. 1288).
		{"resizer", cfg100(), resizeOf(vga, uyvy(320, 240)), 640 * 2 * 480},
		{"resizer, one plane", cfg100(), resizeOf(Image{640, 480, 1, 640}, Image{320, 240, 1, 320}), 640 * 480},
		// Both: the preview engine leaves 630x476 pixels, which take longer than the raw data.
		{"preview and resizer", cfg100(), func(i *ISP) (*Memory, error) { return i.PreviewResizeMemory(vga, uyvy(320, 240)) }, 630 * 2 * 476},
		// Four times up the output counts. 1280 columns of each line, a pixel a cycle, for the 326 of 327 that are used; and 1280x960 for the 326x243 that are used of 327x244, two pixels a cycle.
		{"columns up", cfg100(), resizeOf(uyvy(327, 244), uyvy(1280, 240)), (327*244*1280 + 326 - 1) / 326},
		{"up", cfg100(), resizeOf(uyvy(327, 244), uyvy(1280, 960)), (327*244*1280*960 + 2*326*243 - 1) / (2 * 326 * 243)},
		// Other rates.
		{"histogram at 4 B", func() Config { c := cfg100(); c.MemoryRate = 4; return c }(), histogramOf(vga), 153_600},
		{"resizer at 3 B", func() Config { c := cfg100(); c.ResizerRate = 3; return c }(), resizeOf(vga, uyvy(320, 240)), 204_800},
	} {
		r := newMemoryRig(t, c.cfg, c.build)
		r.bus.latency = latency
		const start = 7 * sim.Microsecond
		r.run(start)
		r.Submit(srcAt, dstAt, 3)
		r.run(sim.Second)
		want := start + latency + sim.Time(c.cycles)*10*sim.Nanosecond
		if len(r.dones) != 1 || r.dones[0].Cookie != 3 || r.dones[0].Start != start {
			t.Fatalf("%s: %+v", c.name, r.dones)
		}
		// The first data unit comes in after the latency. The last byte of an image is produced at most at the end, and is in memory a latency later.
		if e := r.dones[0]; e.Done < want || e.Done > want+latency {
			t.Errorf("%s: done after %v, want %v and at most a latency more", c.name, e.Done-start, want-start)
		}
		if got := r.Stats(); got.Stalled != latency || r.Time() != sim.Time(c.cycles)*10*sim.Nanosecond {
			t.Errorf("%s: %+v, %v; want a stall for the first unit only", c.name, got, r.Time())
		}
	}
}

func TestSteadyRateIs200MBAtAnInterconnectOf200MHz(t *testing.T) {
	r := newMemoryRig(t, cfg100(), histogramOf(Image{2000, 1000, 2, 4000}))
	r.bus.latency = 0
	r.Submit(srcAt, 0, 0)
	r.run(sim.Second)
	if len(r.dones) != 1 || r.dones[0].Done != 20*sim.Millisecond {
		t.Errorf("4 MB: %+v, want them in 20ms", r.dones)
	}
}

func TestASlowBusBoundsAJob(t *testing.T) {
	// 64 bytes a microsecond. What comes in and what goes out share it: (614400 + 153600) / 64 bursts, each of a microsecond.
	for _, c := range []struct {
		build  func(*ISP) (*Memory, error)
		bursts int
	}{{histogramOf(uyvy(640, 480)), 9600}, {resizeOf(uyvy(640, 480), uyvy(320, 240)), 9600 + 2400}} {
		r := newMemoryRig(t, cfg100(), c.build)
		r.bus.gap, r.bus.latency = sim.Microsecond, sim.Microsecond
		r.Submit(srcAt, dstAt, 0)
		r.run(sim.Second)
		floor := sim.Time(c.bursts) * sim.Microsecond
		if len(r.dones) != 1 || r.bus.bursts != c.bursts || r.dones[0].Done < floor || r.dones[0].Done > floor+30*sim.Microsecond {
			t.Errorf("%d bursts, %+v; want %d, and the job done after %v", r.bus.bursts, r.dones, c.bursts, floor)
		}
		if s := r.Stats().Stalled; s < floor-r.Time()-30*sim.Microsecond || s > floor-r.Time()+30*sim.Microsecond {
			t.Errorf("stalled for %v, want about what is over %v of %v", s, r.Time(), floor)
		}
	}
}

func TestJobsQueue(t *testing.T) {
	r := newMemoryRig(t, cfg100(), histogramOf(Image{320, 200, 1, 320}))
	r.bus.latency = 0
	done := r.OnDone
	r.OnDone = func(e JobDone) {
		done(e)
		if e.Cookie == 2 {
			r.Submit(srcAt+0x2_0000, 0, 3)
		}
	}
	r.Submit(srcAt, 0, 1)
	r.Submit(srcAt+0x1_0000, 0, 2)
	if r.Pending() != 2 {
		t.Errorf("%d jobs pending, want 2", r.Pending())
	}
	r.run(sim.Second)
	took := 320 * sim.Microsecond // 64000 bytes
	want := []JobDone{{1, 0, took}, {2, took, 2 * took}, {3, 2 * took, 3 * took}}
	if diff := cmp.Diff(want, r.dones); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	if got := r.Stats(); got != (MemoryStats{Jobs: 3, BytesRead: 3 * 64000}) || r.Pending() != 0 {
		t.Errorf("%+v, %d pending", got, r.Pending())
	}
	for k, x := range r.bus.log {
		if want := srcAt + bus.IOVA(k/400*0x1_0000); x.va&^0xffff != want {
			t.Fatalf("unit %d at %v, want it in the buffer at %v", k, x.va, want)
		}
	}
	r.Reset()
	if r.Stats() != (MemoryStats{}) {
		t.Errorf("after Reset %+v", r.Stats())
	}
}

func TestImpossibleMemoryPathsAreRefused(t *testing.T) {
	for _, c := range []struct {
		build func(*ISP) (*Memory, error)
		want  string
	}{
		{histogramOf(Image{9000, 10, 1, 9024}), "at most 8192x8192"},
		{histogramOf(Image{0, 10, 1, 32}), "histogram input: 0x10"},
		{histogramOf(Image{64, 64, 1, 65}), "multiple of 32"},
		{resizeOf(uyvy(640, 480), Image{320, 240, 1, 320}), "2 bytes per pixel in and 1 out"},
		{resizeOf(uyvy(640, 480), uyvy(100, 240)), "ratio out of range"},
		{resizeOf(uyvy(640, 480), uyvy(320, 1)), "isp output 320x1"},
		{resizeOf(Image{640, 480, 3, 1920}, uyvy(320, 240)), "resizer input: 3 bytes per pixel"},
		{func(i *ISP) (*Memory, error) { return i.PreviewMemory(uyvy(3320, 100), 6656) }, "output width 3310 over the limit of 3300"},
		{func(i *ISP) (*Memory, error) { return i.PreviewMemory(uyvy(640, 480), 0) }, "preview image: stride 0"},
		{func(i *ISP) (*Memory, error) { return i.PreviewMemory(uyvy(32, 480), 64) }, "want at least 64x8"},
		{func(i *ISP) (*Memory, error) { return i.PreviewResizeMemory(uyvy(640, 480), uyvy(3200, 240)) }, "630 columns to 3200: ratio out of range"},
		{func(i *ISP) (*Memory, error) { return i.PreviewResizeMemory(uyvy(8200, 480), uyvy(3200, 240)) }, "preview engine input: 8200x480"},
	} {
		i, _ := newISP(t, defaultConfig())
		if _, err := c.build(i); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		for _, user := range i.users {
			if user != "" {
				t.Errorf("%s: blocks claimed: %q", c.want, i.users)
			}
		}
	}
}

func TestMisalignedJobPanics(t *testing.T) {
	for _, c := range [][2]bus.IOVA{{0x10, 0}, {0, 0x10}} {
		r := newMemoryRig(t, cfg100(), resizeOf(uyvy(640, 480), uyvy(320, 240)))
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v accepted", c)
				}
			}()
			r.Submit(c[0], c[1], 0)
		}()
	}
}

// naive works through a job pixel by pixel, given when each unit at the bus was done, and returns when each unit could be requested. It is written from the comment of Memory.
type naive struct {
	m         *Memory
	pixel     sim.Clock
	cycles    int64
	done      map[bus.IOVA]sim.Time
	ready     map[bus.IOVA]sim.Time
	base, now sim.Time
}

// chunk is a data unit of a port: the pixels after which its first and last byte have come.
type chunk struct {
	va          bus.IOVA
	n           int
	first, last int
}

func (v *naive) run(in []chunk, outs [][]chunk, slots, pixels int) {
	for _, c := range in[:min(slots, len(in))] {
		v.ready[c.va] = v.base
	}
	reads := 0
	next := make([]int, len(outs)) // units begun
	ended := make([]int, len(outs))
	wait := func(t sim.Time) {
		if t > v.now {
			v.base += t - v.now
			v.now = t
		}
	}
	for p := 0; p <= pixels; p++ {
		n := (int64(p)*v.cycles + int64(pixels) - 1) / int64(pixels)
		v.now = v.base + v.pixel.Cycles(n)
		end := func() {
			for k, units := range outs {
				for ended[k] < next[k] && units[ended[k]].last == p {
					v.ready[units[ended[k]].va] = v.now
					ended[k]++
				}
			}
		}
		end()
		if reads > 0 && in[reads-1].last == p && reads-1+slots < len(in) {
			v.ready[in[reads-1+slots].va] = v.now
		}
		for more := true; more; {
			more = false
			for k, units := range outs {
				if next[k] < len(units) && units[next[k]].first == p && ended[k] == next[k] {
					if next[k] >= slots {
						wait(v.done[units[next[k]-slots].va])
					}
					next[k]++
					more = true
					break
				}
			}
			end()
		}
		if reads < len(in) && in[reads].first == p {
			wait(v.done[in[reads].va])
			reads++
		}
	}
}

func TestMemoryJobsAreThoseOfANaiveModel(t *testing.T) {
	var stalled int
	rapid.Check(t, func(rt *rapid.T) {
		cfg := defaultConfig()
		cfg.DataUnit = 32
		slots := rapid.IntRange(1, 8).Draw(rt, "slots")
		cfg.PortBytes = cfg.DataUnit * units.Bytes(slots)
		cfg.MemoryRate, cfg.ResizerRate = units.Bytes(rapid.IntRange(1, 4).Draw(rt, "rate")), units.Bytes(rapid.IntRange(1, 4).Draw(rt, "resizer rate"))
		in := uyvy(rapid.IntRange(64, 120).Draw(rt, "width"), rapid.IntRange(48, 70).Draw(rt, "height"))
		out := uyvy(rapid.IntRange(5, 40).Draw(rt, "out width/8")*8, rapid.IntRange(18, 200).Draw(rt, "out height"))
		mode := rapid.SampledFrom([]string{"resize", "preview", "both"}).Draw(rt, "mode")
		i, b := newISP(t, cfg)
		left, top := 0, 0
		var m *Memory
		var err error
		switch mode {
		case "resize":
			m, err = i.ResizeMemory(in, out)
		case "preview":
			out = uyvy(in.Width-10, in.Height-4)
			left, top = 5, 2
			m, err = i.PreviewMemory(in, out.Stride)
		default:
			left, top = 5, 2
			m, err = i.PreviewResizeMemory(in, out)
		}
		if err != nil {
			return // beyond the resizer
		}
		b.gap, b.latency = 20*sim.Nanosecond, 100*sim.Nanosecond
		random, until := sim.Stream(rapid.Uint64().Draw(rt, "seed"), "stall"), sim.Time(0)
		if stall := sim.Time(rapid.IntRange(0, 20).Draw(rt, "stall us")) * sim.Microsecond; stall > 0 {
			b.stall = func(at sim.Time) sim.Time {
				if at >= until && random.IntN(20) == 0 {
					until = at + sim.Time(random.Int64N(int64(stall)))
				}
				return max(at, until)
			}
		}
		m.Submit(srcAt, dstAt, 0)
		var finished JobDone
		m.OnDone = func(e JobDone) { finished = e }
		if err := i.eng.Run(t.Context(), sim.Second); err != nil {
			rt.Fatal(err)
		}

		// What passes each port, from the formulas of the package comment.
		cutLine := func(width int, at bus.IOVA, first, last func(b int) int) (out []chunk) {
			for b := 0; b < width*2; b += 32 {
				n := min(32, width*2-b)
				out = append(out, chunk{at + bus.IOVA(b), n, first(b), last(b + n - 1)})
			}
			return out
		}
		var src []chunk
		for y := range in.Height {
			src = append(src, cutLine(in.Width, srcAt+bus.IOVA(y*in.Stride), func(b int) int { return y*in.Width + b/2 }, func(b int) int { return y*in.Width + b/2 + 1 })...)
		}
		z := m.Resizer()
		outs := make([][]chunk, LinePorts)
		port := 0
		for k := range out.Height {
			var produced func(b int) int
			if mode == "preview" {
				produced = func(b int) int { return (top+k)*in.Width + left + b/2 + 1 }
			} else {
				if port++; k == 0 || z.Lines(k) != z.Lines(k-1) {
					port = 0
				}
				produced = func(b int) int { return (top+z.Top+z.Lines(k)-1)*in.Width + left + z.Left + z.Columns(b/2) }
			}
			outs[port] = append(outs[port], cutLine(out.Width, dstAt+bus.IOVA(k*out.Stride), produced, produced)...)
		}
		v := &naive{m: m, pixel: sim.NewClock(int64(cfg.ProcessingClock)), cycles: m.clocks, done: map[bus.IOVA]sim.Time{}, ready: map[bus.IOVA]sim.Time{}}
		sizes := map[bus.IOVA]int{}
		last := sim.Time(0)
		for _, x := range b.log {
			if _, twice := v.done[x.va]; twice || x.write != (x.va >= dstAt) {
				rt.Fatalf("%+v: twice, or in the wrong direction", x)
			}
			v.done[x.va], sizes[x.va], last = x.done, x.n, max(last, x.done)
		}
		total := 0
		for _, c := range slices.Concat(append(outs, src)...) {
			if sizes[c.va] != c.n {
				rt.Fatalf("%d bytes at %v, want %d", sizes[c.va], c.va, c.n)
			}
			total++
		}
		if total != len(b.log) {
			rt.Fatalf("%d units, want %d", len(b.log), total)
		}
		v.run(src, outs, slots, in.Width*in.Height)
		granted := sim.Time(0)
		for _, x := range b.log {
			if want := max(v.ready[x.va], granted); x.at != want {
				rt.Fatalf("unit at %v (write %v) requested at %v, want %v", x.va, x.write, x.at, want)
			}
			granted = x.granted
		}
		if want := max(last, v.now); finished.Done != want {
			rt.Fatalf("done at %v, want %v", finished.Done, want)
		}
		if got := m.Stats(); got.BytesRead != uint64(in.Width*in.Height*2) || got.BytesWritten != uint64(out.Width*out.Height*2) || got.Stalled != v.base {
			rt.Fatalf("%+v, want %d bytes in, %d out and a stall of %v", got, in.Width*in.Height*2, out.Width*out.Height*2, v.base)
		}
		if v.base > sim.Microsecond {
			stalled++
		}
	})
	if stalled == 0 {
		t.Error("no example stalled")
	}
}

// The stream of the sensor does not wait; what comes from memory does. The camera's ports go first.
func TestAJobBesideTheCameraWaitsAndTheCameraDoesNot(t *testing.T) {
	run := func(job bool) (Stats, []JobDone) {
		r := newPathRig(t, defaultConfig(), Path{Sensor: full, RawStride: 5184})
		m, err := r.isp.PreviewResizeMemory(Image{2592, 1968, 2, 5184}, uyvy(864, 656))
		if err != nil {
			t.Fatal(err)
		}
		var jobs []JobDone
		m.OnDone = func(e JobDone) { jobs = append(jobs, e); m.Submit(0x6000_0000, 0x7000_0000, 0) }
		r.bus.mute, r.bus.gap = true, 350*sim.Nanosecond // 183 MB/s; the sensor sends 160 MB/s in a line, 126 MB/s with the gaps
		r.Raw.OnFrameStart = func(FrameStart) { r.Raw.Arm(rawAt, 0) }
		r.Raw.Arm(rawAt, 0)
		r.Start(0)
		if job {
			m.Submit(0x6000_0000, 0x7000_0000, 0)
		}
		r.run(4 * full.FrameTime())
		return r.Raw.Stats(), jobs
	}
	alone, _ := run(false)
	beside, jobs := run(true)
	if alone != beside || alone.Captured != 4 || alone.Overflows != 0 {
		t.Errorf("camera alone %+v, beside a job %+v", alone, beside)
	}
	if len(jobs) != 1 || jobs[0].Done < 2*full.FrameTime() {
		t.Errorf("jobs %+v, want one that takes what the camera leaves", jobs)
	}
}

// sections is memory whose every word describes a page of 1 MB.
type sections struct{}

func (sections) LoadWord(bus.Phys) uint32    { return 0x8000_0000 | 2 }
func (sections) CurrentWord(bus.Phys) uint32 { return 0x8000_0000 | 2 }
func (sections) Contains(bus.Phys) bool      { return true }

// What is shown to the MMU ahead of its time, and would begin with a walk, must not hold up others.
func TestAWalkThatIsNotDueMakesWayForAJob(t *testing.T) {
	r := newPathRig(t, defaultConfig(), Path{Sensor: small, RawStride: 192})
	m, err := r.isp.HistogramMemory(Image{Width: 64, Height: 16, BytesPerPixel: 1, Stride: 64})
	if err != nil {
		t.Fatal(err)
	}
	mmu, err := iommu.New(defaultConfig().MMU, sim.NewClock(166_000_000), sections{})
	if err != nil {
		t.Fatal(err)
	}
	mmu.Attach(0x8000_0000)
	r.bus.mute = true
	r.isp.SetPort(iommu.NewPort(&r.bus.port, mmu, r.isp.Source()))
	var done sim.Time
	m.OnDone = func(e JobDone) { done = e.Done }
	r.arm()
	r.Start(0)
	r.run(sim.Microsecond)
	m.Submit(srcAt+0x20_0000, 0, 0)
	r.run(9 * sim.Millisecond)
	// 512 cycles of 83 MHz and a walk; the raw image's first data unit is due at 82 us.
	if done == 0 || done > 15*sim.Microsecond || r.dones[r.Raw] == nil {
		t.Errorf("job done at %v, want it before the sensor has sent a line; raw frames %+v", done, r.dones[r.Raw])
	}
	// 52 lines of 164 bytes that take 3 bursts of 64 bytes from an address aligned to 64, and 16 lines of a burst; the first of each in its page misses.
	if c := mmu.Counters(); c.Hits+c.Misses != 52*3+16 || c.Misses != 2 || c.WalkReads != 2 {
		t.Errorf("%+v", c)
	}
}

func TestRunningJobsAllocateNothing(t *testing.T) {
	r := newMemoryRig(t, cfg100(), resizeOf(uyvy(640, 480), uyvy(320, 240)))
	r.bus.mute, r.bus.latency = true, 100*sim.Nanosecond
	r.OnDone = func(JobDone) { r.Submit(srcAt, dstAt, 0) }
	r.Submit(srcAt, dstAt, 0)
	now := 20 * sim.Millisecond
	r.run(now)
	if got := testing.AllocsPerRun(20, func() {
		now += 20 * sim.Millisecond
		r.run(now)
	}); got != 0 {
		t.Errorf("%v allocations in three jobs, want none", got)
	}
}

// BenchmarkUnits reports the data units a second of the shared buffer logic with several clients.
func BenchmarkUnits(b *testing.B) {
	path := whole(full)
	path.Resized, path.GainTable = preview, 0
	b.Run("raw+preview+resizer+H3A", func(b *testing.B) {
		r := newPathRig(b, defaultConfig(), path)
		r.bus.mute, r.bus.gap = true, 10*sim.Nanosecond
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
		r.Start(0)
		r.run(2 * full.FrameTime())
		benchUnits(b, r.bus, func(n int) { r.run(sim.Time(n+2) * full.FrameTime()) })
		if r.Raw.Stats().Overflowed+r.Resized.Stats().Overflowed != 0 {
			b.Fatalf("%+v %+v", r.Raw.Stats(), r.Resized.Stats())
		}
	})
	b.Run("resizer-from-memory", func(b *testing.B) {
		r := newMemoryRig(b, cfg100(), resizeOf(uyvy(640, 480), uyvy(320, 240)))
		r.bus.mute, r.bus.latency = true, 100*sim.Nanosecond
		r.OnDone = func(JobDone) { r.Submit(srcAt, dstAt, 0) }
		r.Submit(srcAt, dstAt, 0)
		benchUnits(b, r.bus, func(n int) { r.run(sim.Time(n) * 10 * sim.Millisecond) })
	})
}

// benchUnits times steps of a run and counts their data units.
func benchUnits(b *testing.B, f *fakeBus, step func(n int)) {
	step(1)
	b.ReportAllocs()
	b.ResetTimer()
	transfers := f.transfers
	for k := range b.N {
		step(k + 2)
	}
	b.StopTimer()
	n := float64(f.transfers - transfers)
	b.ReportMetric(n/b.Elapsed().Seconds(), "units/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/unit")
}
