package gpu

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

var _ Port = (*iommu.Port)(nil)

var sgx530 = Config{
	Clock: 110_670_000, Tile: 16, JobCycles: 5000, TileCycles: 40, PixelsPerCycle: 2, TextureCache: 4096, Outstanding: 8,
}

// transfer is a burst as the memory saw it.
type transfer struct {
	burst
	done sim.Time
}

// memory is a bus that serves one burst each service, done latency after; it grants within Issue. It serves in order, so completions are.
type memory struct {
	g                *GPU
	service, latency sim.Time
	free             sim.Time
	log              []transfer
	quiet            bool
}

func (m *memory) Issue(at sim.Time, va bus.IOVA, n int, write bool) {
	m.free = max(m.free, at) + m.service
	done := m.free + m.latency
	if !m.quiet {
		m.log = append(m.log, transfer{burst{at, va, n, write}, done})
	}
	m.g.Granted(nil, done)
}

func newGPU(t testing.TB, cfg Config) (*sim.Engine, *GPU, *memory) {
	t.Helper()
	eng := sim.New()
	t.Cleanup(eng.Close)
	g, err := New(eng, cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{g: g}
	g.SetPort(m)
	return eng, g, m
}

func submit(t testing.TB, g *GPU, job Job, at sim.Time) {
	t.Helper()
	if err := g.Submit(job, at); err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, eng *sim.Engine, until sim.Time) {
	t.Helper()
	if err := eng.Run(context.Background(), until); err != nil {
		t.Fatal(err)
	}
}

// runJob runs one job from time 0 and returns its report.
func runJob(t testing.TB, eng *sim.Engine, g *GPU, job Job) Done {
	t.Helper()
	var got []Done
	g.OnDone = func(d Done) { got = append(got, d) }
	submit(t, g, job, 0)
	run(t, eng, 10*sim.Second)
	if len(got) != 1 {
		t.Fatalf("%d jobs done, want 1", len(got))
	}
	return got[0]
}

func surface(addr bus.IOVA, w, h, bpp int) Surface { return Surface{addr, w, h, bpp, w * bpp} }

// preview is the reference scenario's job: a UYVY frame scaled to the N900's screen.
var preview = Job{Texture: surface(0x10000, 864, 656, 2), Target: surface(0x800000, 800, 480, 4)}

func TestWholeTargetIsWrittenExactlyOnce(t *testing.T) {
	eng, g, m := newGPU(t, sgx530)
	runJob(t, eng, g, preview)
	checkWrites(t, preview.Target, m.log)
}

// checkWrites checks that each visible byte of the target is written once, and nothing else.
func checkWrites(t interface{ Fatalf(string, ...any) }, dst Surface, log []transfer) {
	written := make([]byte, dst.Bytes())
	for _, x := range log {
		if !x.write {
			continue
		}
		for i := range x.bytes {
			off := int(x.va-dst.Addr) + i
			if off < 0 || off >= len(written) {
				t.Fatalf("write at %v of %d bytes is outside the target", x.va, x.bytes)
			}
			written[off]++
		}
	}
	for off, n := range written {
		want := byte(0)
		if off%dst.Stride < dst.Width*dst.BytesPerPixel {
			want = 1
		}
		if n != want {
			t.Fatalf("target byte %d written %d times, want %d", off, n, want)
		}
	}
}

// linesRead returns how often each 64 B line was read.
func linesRead(log []transfer) map[bus.IOVA]int {
	lines := map[bus.IOVA]int{}
	for _, x := range log {
		if !x.write {
			lines[x.va/lineBytes]++
		}
	}
	return lines
}

func TestEveryTextureLineIsReadAtLeastOnce(t *testing.T) {
	eng, g, m := newGPU(t, sgx530)
	runJob(t, eng, g, preview)
	lines, tex := linesRead(m.log), preview.Texture
	if got, want := len(lines), tex.Bytes()/lineBytes; got != want {
		t.Errorf("%d different lines read, want all %d", got, want)
	}
	for line := range lines {
		if a := line * lineBytes; a < tex.Addr || a >= tex.Addr+bus.IOVA(tex.Bytes()) {
			t.Errorf("read of line %v outside the texture", a)
		}
	}
}

func TestBigTextureCacheReadsEachLineOnce(t *testing.T) {
	cfg := sgx530
	cfg.TextureCache = MaxTextureCache
	job := preview
	job.Texture = surface(0x10000, 640, 480, 2) // fits
	eng, g, m := newGPU(t, cfg)
	runJob(t, eng, g, job)
	for line, n := range linesRead(m.log) {
		if n != 1 {
			t.Fatalf("line %v read %d times, want once", line*lineBytes, n)
		}
	}
	if got, want := g.Stats().TextureLines, uint64(job.Texture.Bytes()/lineBytes); got != want {
		t.Errorf("%d lines read, want %d", got, want)
	}
}

func TestSmallTextureCacheReadsSharedLinesAgain(t *testing.T) {
	cfg := sgx530
	var reads [2]uint64
	for i, size := range []units.Bytes{64, 4096} {
		cfg.TextureCache = size
		eng, g, _ := newGPU(t, cfg)
		runJob(t, eng, g, preview)
		s := g.Stats()
		reads[i] = s.TextureLines
		if i == 1 && s.TextureHits == 0 {
			t.Error("no hits in the larger cache")
		}
	}
	if reads[0] <= reads[1] {
		t.Errorf("%d lines read with one line of cache, %d with 64: want more", reads[0], reads[1])
	}
}

func TestCacheIsEmptiedAtEachJob(t *testing.T) {
	cfg := sgx530
	cfg.TextureCache = MaxTextureCache
	eng, g, _ := newGPU(t, cfg)
	job := Job{Texture: surface(0x10000, 64, 64, 2), Target: surface(0x800000, 64, 64, 4)}
	submit(t, g, job, 0)
	submit(t, g, job, 0)
	run(t, eng, sim.Second)
	if got, want := g.Stats().TextureLines, uint64(2*job.Texture.Bytes()/lineBytes); got != want {
		t.Errorf("%d lines read by two jobs, want %d", got, want)
	}
}

func TestReadsAreClippedToTheTexture(t *testing.T) {
	eng, g, m := newGPU(t, sgx530)
	tex := Surface{Addr: 0x10010, Width: 20, Height: 3, BytesPerPixel: 2, Stride: 40}
	runJob(t, eng, g, Job{Texture: tex, Target: surface(0x800000, 16, 16, 4)})
	var got []burst
	for _, x := range m.log {
		if !x.write {
			got = append(got, burst{va: x.va, bytes: x.bytes})
		}
	}
	want := []burst{{va: 0x10010, bytes: 48}, {va: 0x10040, bytes: 64}, {va: 0x10080, bytes: 8}}
	if !slices.Equal(got, want) {
		t.Errorf("reads %v, want %v", got, want)
	}
}

func TestTilesAreDrawnInRowMajorOrderAndReadOneAhead(t *testing.T) {
	eng, g, m := newGPU(t, sgx530)
	// 3 x 2 tiles; a texture of the same size, one line a tile row, so that a burst tells its tile.
	job := Job{Texture: surface(0x10000, 48, 32, 4), Target: surface(0x800000, 48, 32, 4)}
	runJob(t, eng, g, job)
	var got []string
	for _, x := range m.log {
		base, what := job.Texture.Addr, "R"
		if x.write {
			base, what = job.Target.Addr, "W"
		}
		off := int(x.va - base)
		name := what + string(rune('0'+off/(192*16)*3+off%192/64))
		if len(got) == 0 || got[len(got)-1] != name {
			got = append(got, name)
		}
	}
	if s, want := strings.Join(got, " "), "R0 R1 W0 R2 W1 R3 W2 R4 W3 R5 W4 W5"; s != want {
		t.Errorf("order %s, want %s", s, want)
	}
}

func TestComputeBoundJobTakesTheSumOfItsTiles(t *testing.T) {
	for _, c := range []struct {
		w, h, tile, ppc int
		cycles          int64 // of all tiles' pixels
	}{
		{64, 32, 16, 2, 8 * 128},
		{64, 32, 16, 3, 8 * 86},
		{16, 16, 16, 1, 256},
		{20, 18, 16, 2, 128 + 32 + 16 + 4},
		{64, 32, 32, 2, 2 * 512},
	} {
		cfg := sgx530
		cfg.Tile, cfg.PixelsPerCycle = c.tile, c.ppc
		eng, g, _ := newGPU(t, cfg)
		d := runJob(t, eng, g, Job{Texture: surface(0x10000, 40, 30, 2), Target: surface(0x800000, c.w, c.h, 4)})
		tiles := int64((c.w+c.tile-1)/c.tile) * int64((c.h+c.tile-1)/c.tile)
		want := sim.NewClock(110_670_000).Cycles(5000 + 40*tiles + c.cycles)
		if d.End != want {
			t.Errorf("%+v: end %v, want %v", c, d.End, want)
		}
	}
}

func TestBandwidthBoundJobTakesTheSumOfItsBursts(t *testing.T) {
	cfg := sgx530
	cfg.TileCycles, cfg.PixelsPerCycle, cfg.Outstanding = 0, 1<<20, 16
	eng, g, m := newGPU(t, cfg)
	m.service, m.latency = 20*sim.Nanosecond, 100*sim.Nanosecond
	d := runJob(t, eng, g, preview)
	first := sim.NewClock(110_670_000).Cycles(5000)
	want := first + m.service*sim.Time(len(m.log)) + m.latency
	if d.End != want {
		t.Errorf("end %v, want %v", d.End, want)
	}
}

func TestOutstandingBurstsBoundTheRate(t *testing.T) {
	for _, n := range []int{1, 2, 4} {
		cfg := sgx530
		cfg.TileCycles, cfg.PixelsPerCycle, cfg.Outstanding = 0, 1<<20, n
		eng, g, m := newGPU(t, cfg)
		m.latency = 200 * sim.Nanosecond
		job := Job{Texture: surface(0x10000, 128, 128, 4), Target: surface(0x800000, 128, 128, 4)}
		d := runJob(t, eng, g, job)
		// Groups of n bursts follow each other a latency apart; both counts are multiples of n.
		first := sim.NewClock(110_670_000).Cycles(5000)
		if want := first + m.latency*sim.Time(len(m.log)/n); d.End != want {
			t.Errorf("%d outstanding: end %v, want %v", n, d.End, want)
		}
	}
}

func TestWritesOfATileWaitUntilItIsComputed(t *testing.T) {
	eng, g, m := newGPU(t, sgx530)
	m.latency = 100 * sim.Nanosecond
	runJob(t, eng, g, Job{Texture: surface(0x10000, 48, 16, 4), Target: surface(0x800000, 48, 16, 4)})
	clock := sim.NewClock(110_670_000)
	var reads, writes [3]sim.Time // last completion of a tile's reads, first issue of its writes
	for _, x := range m.log {
		if i := (x.va - 0x10000) % 192 / 64; !x.write {
			reads[i] = x.done
		} else if writes[(x.va-0x800000)%192/64] == 0 {
			writes[(x.va-0x800000)%192/64] = x.at
		}
	}
	edge := int64(0)
	for i := range reads {
		edge = max(edge, clock.Ceil(reads[i])) + 40 + 128
		if want := clock.Cycles(edge); writes[i] != want {
			t.Errorf("tile %d: first write at %v, want %v; reads done at %v", i, writes[i], want, reads[i])
		}
	}
}

func TestTileReadsThePixelsThatItsEdgesCut(t *testing.T) {
	// Tiles of 16 of 48 columns over 35 columns of 16 B: 0 to 11.67, 11.67 to 23.33, 23.33 to 35, in lines of 4 columns.
	cfg := sgx530
	cfg.TextureCache = 64
	eng, g, m := newGPU(t, cfg)
	runJob(t, eng, g, Job{Texture: surface(0, 35, 1, 16), Target: surface(0x800000, 48, 1, 4)})
	var got []bus.IOVA
	for _, x := range m.log {
		if !x.write {
			got = append(got, x.va/lineBytes)
		}
	}
	// The last line of the second tile, columns 20 to 23, is the first of the third and still in the cache; the first tile ends within line 2.
	if want := []bus.IOVA{0, 1, 2, 3, 4, 5, 6, 7, 8}; !slices.Equal(got, want) {
		t.Errorf("lines %v read, want %v", got, want)
	}
	for i, want := range [][2]int{{0, 12}, {11, 24}, {23, 35}} {
		if x0, x1 := scale(16*i, 16, 35, 48); x0 != want[0] || x1 != want[1] {
			t.Errorf("tile %d: source columns %d to %d, want %d to %d", i, x0, x1, want[0], want[1])
		}
	}
}

func TestReadsOfTheNextTileOverlapComputing(t *testing.T) {
	// Two tiles, each with more computing than reading: the second's reads cost nothing.
	eng, g, m := newGPU(t, sgx530)
	m.service, m.latency = 10*sim.Nanosecond, 50*sim.Nanosecond
	d := runJob(t, eng, g, Job{Texture: surface(0x10000, 32, 16, 4), Target: surface(0x800000, 32, 16, 4)})
	clock := sim.NewClock(110_670_000)
	readFirst := clock.Cycles(5000) + 16*m.service + m.latency
	computed := clock.Cycles(clock.Ceil(readFirst) + 2*168)
	if want := computed + 16*m.service + m.latency; d.End != want {
		t.Errorf("end %v, want %v", d.End, want)
	}
}

func TestJobsRunOneAfterTheOther(t *testing.T) {
	eng, g, _ := newGPU(t, sgx530)
	var got []Done
	g.OnDone = func(d Done) {
		if d.End != eng.Now() {
			t.Errorf("job %d reported at %v, want its end %v", d.Cookie, eng.Now(), d.End)
		}
		got = append(got, d)
	}
	at := []sim.Time{sim.Millisecond, 0, 50 * sim.Millisecond}
	job := Job{Texture: surface(0x10000, 64, 64, 2), Target: surface(0x800000, 64, 64, 4)}
	for i := range at {
		job.Cookie = i
		submit(t, g, job, at[i])
	}
	if !g.Running() || g.Pending() != 2 {
		t.Errorf("running %v with %d pending, want 2", g.Running(), g.Pending())
	}
	run(t, eng, sim.Second)
	if len(got) != 3 {
		t.Fatalf("%d jobs done, want 3", len(got))
	}
	if got[0].Start != at[0] || got[1].Start != got[0].End || got[2].Start != at[2] {
		t.Errorf("jobs ran %+v, want starts at %v, at the end of the first, and at %v", got, at[0], at[2])
	}
	for i, d := range got {
		if d.Cookie != i {
			t.Errorf("job %d done in place %d", d.Cookie, i)
		}
	}
}

func TestNinthPendingJobIsRefused(t *testing.T) {
	eng, g, _ := newGPU(t, sgx530)
	done := 0
	g.OnDone = func(Done) { done++ }
	for range 1 + MaxPending {
		submit(t, g, preview, 0)
	}
	if err := g.Submit(preview, 0); !errors.Is(err, ErrQueueFull) {
		t.Errorf("error %v, want %v", err, ErrQueueFull)
	}
	run(t, eng, sim.Second)
	if done != 1+MaxPending {
		t.Errorf("%d jobs done, want %d", done, 1+MaxPending)
	}
}

func TestJobSubmittedFromOnDoneStartsAtOnce(t *testing.T) {
	eng, g, _ := newGPU(t, sgx530)
	var got []Done
	g.OnDone = func(d Done) {
		if got = append(got, d); len(got) == 1 {
			submit(t, g, preview, eng.Now())
		}
	}
	submit(t, g, preview, 0)
	run(t, eng, sim.Second)
	if len(got) != 2 || got[1].Start != got[0].End || got[1].End-got[1].Start < got[0].End-sim.Nanosecond*10 {
		t.Errorf("jobs ran %+v, want the second to start at the end of the first and take as long", got)
	}
}

func TestSubmitRefusesJobsThatMakeNoSense(t *testing.T) {
	eng, g, _ := newGPU(t, sgx530)
	run(t, eng, sim.Microsecond)
	ok := surface(0x10000, 64, 64, 2)
	for _, c := range []struct {
		want string
		job  Job
		at   sim.Time
	}{
		{"before", Job{Texture: ok, Target: ok}, 0},
		{"texture: 0x64 pixels", Job{Texture: surface(0, 0, 64, 2), Target: ok}, sim.Second},
		{"target: 64x4096 pixels", Job{Texture: ok, Target: surface(0, 64, 4096, 2)}, sim.Second},
		{"0 bytes per pixel", Job{Texture: surface(0, 64, 64, 0), Target: ok}, sim.Second},
		{"stride of 100 bytes, want at least 128", Job{Texture: ok, Target: Surface{0, 64, 64, 2, 100}}, sim.Second},
	} {
		if err := g.Submit(c.job, c.at); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	if g, err := New(eng, sgx530); err != nil || g.Submit(preview, sim.Second) == nil {
		t.Error("submit without a port: no error")
	}
}

func TestStatsCountBusyTimeSinceTheReset(t *testing.T) {
	eng, g, _ := newGPU(t, sgx530)
	job := Job{Texture: surface(0x10000, 64, 64, 2), Target: surface(0x800000, 64, 64, 4)}
	at := 10 * sim.Microsecond
	submit(t, g, job, at)
	run(t, eng, at+2*sim.Microsecond)
	if got := g.Stats().BusyTime; got != 2*sim.Microsecond {
		t.Errorf("busy %v within the job, want 2us", got)
	}
	g.ResetStats()
	var end sim.Time
	g.OnDone = func(d Done) { end = d.End }
	run(t, eng, sim.Second)
	s := g.Stats()
	if want := end - at - 2*sim.Microsecond; s.BusyTime != want || s.Jobs != 1 {
		t.Errorf("busy %v with %d jobs after the reset, want %v with 1", s.BusyTime, s.Jobs, want)
	}
}

func TestValidateNamesTheSetting(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"clock": func(c *Config) { c.Clock = 0 }, "gpu.tile": func(c *Config) { c.Tile = 65 }, "job_cycles": func(c *Config) { c.JobCycles = -1 },
		"tile_cycles": func(c *Config) { c.TileCycles = -1 }, "pixels_per_cycle": func(c *Config) { c.PixelsPerCycle = 0 },
		"texture_cache": func(c *Config) { c.TextureCache = 4095 }, "outstanding": func(c *Config) { c.Outstanding = 17 },
	} {
		cfg := sgx530
		change(&cfg)
		if _, err := New(sim.New(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that names %s", err, want)
		}
	}
}

func TestEverySettingHasAnEffect(t *testing.T) {
	end := func(cfg Config) sim.Time {
		eng, g, m := newGPU(t, cfg)
		m.service, m.latency = 20*sim.Nanosecond, 1500*sim.Nanosecond
		return runJob(t, eng, g, preview).End
	}
	base := end(sgx530)
	for name, change := range map[string]func(*Config){
		"clock": func(c *Config) { c.Clock /= 2 }, "tile": func(c *Config) { c.Tile = 32 }, "job_cycles": func(c *Config) { c.JobCycles++ },
		"tile_cycles": func(c *Config) { c.TileCycles += 400 }, "pixels_per_cycle": func(c *Config) { c.PixelsPerCycle = 1 },
		"texture_cache": func(c *Config) { c.TextureCache *= 16 }, "outstanding": func(c *Config) { c.Outstanding-- },
	} {
		cfg := sgx530
		change(&cfg)
		if end(cfg) == base {
			t.Errorf("%s changes nothing", name)
		}
	}
}

// TestStreamOfAnyJob checks the invariants of the burst stream for random jobs and settings.
func TestStreamOfAnyJob(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := func(name string) Surface {
			w, h := rapid.IntRange(1, 120).Draw(t, name+" width"), rapid.IntRange(1, 90).Draw(t, name+" height")
			bpp := rapid.IntRange(1, 5).Draw(t, name+" bytes per pixel")
			return Surface{0, w, h, bpp, w*bpp + rapid.IntRange(0, 70).Draw(t, name+" padding")}
		}
		job := Job{Texture: size("texture"), Target: size("target")}
		job.Texture.Addr = 0x10000 + bus.IOVA(rapid.IntRange(0, 200).Draw(t, "texture address"))
		job.Target.Addr = 0x800000 + bus.IOVA(rapid.IntRange(0, 200).Draw(t, "target address"))
		cfg := sgx530
		cfg.Tile = rapid.IntRange(1, 40).Draw(t, "tile")
		cfg.Outstanding = rapid.IntRange(1, 16).Draw(t, "outstanding")
		cfg.TextureCache = MaxTextureCache

		eng := sim.New()
		g, err := New(eng, cfg)
		if err != nil {
			t.Fatal(err)
		}
		m := &memory{g: g, service: sim.Time(rapid.IntRange(0, 50_000).Draw(t, "service")), latency: sim.Time(rapid.IntRange(0, 900_000).Draw(t, "latency"))}
		g.SetPort(m)
		if err := g.Submit(job, 0); err != nil {
			t.Fatal(err)
		}

		checkWrites(t, job.Target, m.log)
		lines := linesRead(m.log)
		for y := range job.Texture.Height {
			row := job.Texture.Addr + bus.IOVA(y*job.Texture.Stride)
			for x := range job.Texture.Width * job.Texture.BytesPerPixel {
				if n := lines[(row+bus.IOVA(x))/lineBytes]; n != 1 {
					t.Fatalf("line of texture byte %d in row %d read %d times, want once", x, y, n)
				}
			}
		}
		for i, x := range m.log {
			if x.va/lineBytes != (x.va+bus.IOVA(x.bytes)-1)/lineBytes {
				t.Fatalf("burst %d crosses a line: %+v", i, x)
			}
			if i > 0 && x.at < m.log[i-1].at {
				t.Fatalf("burst %d at %v, before the one before at %v", i, x.at, m.log[i-1].at)
			}
			if j := i - cfg.Outstanding; j >= 0 && x.at < m.log[j].done {
				t.Fatalf("burst %d at %v, while %d bursts were in flight until %v", i, x.at, cfg.Outstanding, m.log[j].done)
			}
		}
	})
}

func TestTheContextChangesBetweenJobsOnly(t *testing.T) {
	eng, g, m := newGPU(t, sgx530)
	s := Surface{Width: 16, Height: 16, BytesPerPixel: 4, Stride: 64}
	type change struct{ context, transfers int }
	var got []change
	g.OnContext = func(c int) { got = append(got, change{c, len(m.log)}) }
	for _, c := range []int{0, 0, 3, 3, 0} {
		submit(t, g, Job{Texture: s, Target: s, Context: c}, 0)
	}
	run(t, eng, sim.Second)
	if len(m.log)%5 != 0 || len(m.log) == 0 {
		t.Fatalf("%d transfers of 5 equal jobs", len(m.log))
	}
	each := len(m.log) / 5
	if want := []change{{3, 2 * each}, {0, 4 * each}}; !slices.Equal(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
	if n := g.Stats().Switches; n != 2 {
		t.Errorf("%d switches counted, want 2", n)
	}
}
