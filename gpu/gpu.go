// Package gpu models a tile-based renderer of the SGX530 kind as the memory system sees it: the texture lines it reads and the screen lines it writes, with the time it
// computes in between.
//
// A [Job] draws one texture, scaled, over the whole of one target, and others as quads over it. The target is cut into square tiles, in row-major order. For each tile the renderer
//
//  1. reads the texture lines under the tile that are not in the texture cache, in bursts of at most 64 B, texture after texture;
//  2. computes: tile_cycles + ceil(pixels / pixels_per_cycle) clocks, where a pixel under several textures counts once for each, from the first clock edge at which the reads are complete and the tile before has been computed;
//  3. writes the tile's rows, clipped at the target's edges, in bursts of at most 64 B: a row of 16 pixels of 4 B is one burst if it is aligned.
//
// There are two tile buffers, so the reads of tile i+1 overlap the computing of tile i. With R and W for the reads and writes of a tile the order on the bus is
// R0 R1 W0 R2 W1 ... Rn Wn-1 Wn. The writes of a tile are issued when it has been computed, and a tile buffer takes the next reads once its last write has been issued.
//
// The source rectangle of target columns x to x+w is floor(x*sw/dw) to ceil((x+w)*sw/dw), for the texture's width sw and the target's dw, and likewise for rows: exact integers,
// and every pixel of the texture is under some tile.
//
// Nothing is scheduled per burst: the next burst is computed when the last one is granted (see [bus.Source]). Only the end of a job is an event.
//
// # Sources
//
// SGX530 is a tile-based deferred renderer with a 128-bit L3 master port (OMAP36xx TRM SWPU177N, 2D/3D graphics accelerator). It runs at 110.67 MHz on OMAP34xx and its
// frame buffers go up to 2048 x 2048 (pvr driver's feature headers; C6A816 TRM, the same core). Tile size, pipes, texture cache and set-up costs are not
// published: they are settings, and their values are estimates.
//
// # Left out
//
// The extra column and row that a bilinear filter reads past the source rectangle; depth, and the removal of what an opaque quad hides: all quads are blended; the parameter buffer that the binner writes and the
// renderer reads (a copy of one rectangle is a few hundred bytes of it; its time is in job_cycles); twiddled textures; power states.
package gpu

import (
	"errors"
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// Config is the renderer's clock, its costs and its texture cache.
type Config struct {
	Clock          units.Hertz  `conf:"clock" doc:"Clock of the renderer."`
	Tile           int          `conf:"tile" doc:"Width and height of a tile in pixels."`
	JobCycles      units.Cycles `conf:"job_cycles" doc:"Start-up of a job before its first read: kick, firmware, vertex work, binning."`
	TileCycles     units.Cycles `conf:"tile_cycles" doc:"Fixed cost of a tile."`
	PixelsPerCycle int          `conf:"pixels_per_cycle" doc:"Pixels shaded in a clock."`
	TextureCache   units.Bytes  `conf:"texture_cache" doc:"Size of the texture cache: direct mapped, lines of 64B, emptied at each job."`
	Outstanding    int          `conf:"outstanding" doc:"Bursts in flight."`
}

// MaxTile bounds Config.Tile, in pixels.
const MaxTile = 64

// MaxTextureCache bounds Config.TextureCache, in bytes.
const MaxTextureCache = 1 << 20

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Clock <= 0 || c.Clock > units.Hertz(sim.Second):
		return fmt.Errorf("gpu.clock: %v, want a clock of at most 1THz", c.Clock)
	case c.Tile < 1 || c.Tile > MaxTile:
		return fmt.Errorf("gpu.tile: %d, want 1 to %d pixels", c.Tile, MaxTile)
	case c.JobCycles < 0 || c.TileCycles < 0:
		return fmt.Errorf("gpu: job_cycles %v and tile_cycles %v, want none negative", c.JobCycles, c.TileCycles)
	case c.PixelsPerCycle < 1:
		return fmt.Errorf("gpu.pixels_per_cycle: %d, want at least 1", c.PixelsPerCycle)
	case c.TextureCache < lineBytes || c.TextureCache > MaxTextureCache || c.TextureCache&(c.TextureCache-1) != 0:
		return fmt.Errorf("gpu.texture_cache: %v, want a power of two from %v to %v", c.TextureCache, units.Bytes(lineBytes), units.Bytes(MaxTextureCache))
	case c.Outstanding < 1 || c.Outstanding > bus.MaxOutstanding:
		return fmt.Errorf("gpu.outstanding: %d, want 1 to %d bursts", c.Outstanding, bus.MaxOutstanding)
	}
	return nil
}

// Port is where the renderer offers its bursts, one at a time; iommu.Port is one. Issue offers a transfer of the given bytes, which never crosses a 64 B boundary, for a time
// that is not before the one at which the burst before was issued on the bus: a port translates in order. The port calls the renderer's Granted when the
// transfer has been granted, which may be from within Issue; one that faults is held up, and the renderer with it, until software has handled the fault.
type Port interface {
	Issue(at sim.Time, va bus.IOVA, bytes int, write bool)
}

// MaxSize is the largest width and height of a surface, in pixels.
const MaxSize = 2048

// Surface is a linear image in device-virtual memory. Width and Height are in pixels, Stride in bytes from one row to the next.
type Surface struct {
	Addr                                 bus.IOVA
	Width, Height, BytesPerPixel, Stride int
}

// Bytes returns the extent of the surface: from the first byte of its first row to the last byte of its last.
func (s Surface) Bytes() int { return s.Stride*(s.Height-1) + s.Width*s.BytesPerPixel }

// Validate reports what makes the surface unusable.
func (s Surface) Validate() error {
	switch {
	case s.Width < 1 || s.Height < 1 || s.Width > MaxSize || s.Height > MaxSize:
		return fmt.Errorf("%dx%d pixels, want 1x1 to %dx%d", s.Width, s.Height, MaxSize, MaxSize)
	case s.BytesPerPixel < 1 || s.BytesPerPixel > 16:
		return fmt.Errorf("%d bytes per pixel, want 1 to 16", s.BytesPerPixel)
	case s.Stride < s.Width*s.BytesPerPixel:
		return fmt.Errorf("stride of %d bytes, want at least %d for %d pixels of %d bytes", s.Stride, s.Width*s.BytesPerPixel, s.Width, s.BytesPerPixel)
	}
	return nil
}

// Rect is a part of a target, in pixels; the zero Rect is the whole.
type Rect struct{ X, Y, Width, Height int }

// Quad is a texture that is drawn, scaled, over a part of the target.
type Quad struct {
	Texture Surface
	Part    Rect
}

// Job draws Texture, scaled, over the whole of Target, and the quads Over it in their order, at addresses of the address space Context. A tile is written once, however many textures lie under it.
// Cookie is the submitter's and comes back in [Done].
type Job struct {
	Texture, Target Surface
	Over            []Quad
	Cookie          int
	Context         int
}

// validate reports what makes the job unusable.
func (j *Job) validate() error {
	if err := j.Texture.Validate(); err != nil {
		return fmt.Errorf("gpu: texture: %w", err)
	}
	if err := j.Target.Validate(); err != nil {
		return fmt.Errorf("gpu: target: %w", err)
	}
	for i, q := range j.Over {
		if err := q.Texture.Validate(); err != nil {
			return fmt.Errorf("gpu: texture of quad %d: %w", i, err)
		}
		if r := q.Part; r != (Rect{}) && (r.X < 0 || r.Y < 0 || r.Width < 1 || r.Height < 1 || r.X+r.Width > j.Target.Width || r.Y+r.Height > j.Target.Height) {
			return fmt.Errorf("gpu: quad %d of %dx%d pixels at %d, %d, want it within the target of %dx%d", i, r.Width, r.Height, r.X, r.Y, j.Target.Width, j.Target.Height)
		}
	}
	return nil
}

// Done reports a finished job: it ran from Start, before its start-up cost, to End, when its last write was in memory.
type Done struct {
	Cookie     int
	Start, End sim.Time
}

// Stats counts since the start or the last reset. Jobs are finished ones, Tiles those whose reads have been granted. TextureLines are the lines read from memory and TextureHits those
// found in the texture cache; a line counts once a tile that needs it. BusyTime is the time with a job running, up to now.
type Stats struct {
	Jobs, Tiles, TextureLines, TextureHits uint64
	Switches                               uint64 // of the context
	BusyTime                               sim.Time
}

// MaxPending is the number of jobs that can wait behind the running one.
const MaxPending = 8

// ErrQueueFull is returned by Submit when MaxPending jobs are waiting.
var ErrQueueFull = errors.New("gpu: job queue is full")

type pending struct {
	job Job
	at  sim.Time
}

// GPU is one renderer. It implements [bus.Source] and [sim.Handler].
type GPU struct {
	// OnDone, if set, is called at the end of each job, when the next pending job has been started.
	OnDone func(Done)
	// OnContext, if set, is called before a job whose context is not that of the job before, when nothing of the GPU's is on the bus: the MMU changes its page directory. The first context is 0.
	OnContext func(context int)

	eng   *sim.Engine
	id    sim.HandlerID
	port  Port
	clock sim.Clock
	cfg   Config

	queue       [MaxPending]pending // ring
	head, count int

	running bool
	cookie  int
	context int
	start   sim.Time // of the running job
	since   sim.Time // counters count from here
	stats   Stats

	walk walk
}

// New returns an idle renderer. Connect it with SetPort before the first Submit.
func New(eng *sim.Engine, cfg Config) (*GPU, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := &GPU{eng: eng, cfg: cfg, clock: sim.NewClock(int64(cfg.Clock))}
	g.walk.tags = make([]uint64, cfg.TextureCache/lineBytes)
	g.id = eng.Register(g)
	return g, nil
}

// SetPort connects the renderer to memory. The port must admit at least the configured number of outstanding bursts for that setting to be the limit.
func (g *GPU) SetPort(p Port) { g.port = p }

// Submit starts the job at the given time, at or after now, or when the jobs before it are done if that is later. It fails with ErrQueueFull, or if a surface makes no sense.
func (g *GPU) Submit(job Job, at sim.Time) error {
	if g.port == nil {
		return errors.New("gpu: submit without a port")
	}
	if err := job.validate(); err != nil {
		return err
	}
	if now := g.eng.Now(); at < now {
		return fmt.Errorf("gpu: job submitted for %v, which is before %v", at, now)
	}
	if !g.running {
		g.begin(&job, at)
		return nil
	}
	if g.count == MaxPending {
		return ErrQueueFull
	}
	g.queue[(g.head+g.count)%MaxPending] = pending{job, at}
	g.count++
	return nil
}

// Context returns the context of the job that runs or ran last.
func (g *GPU) Context() int { return g.context }

// Running tells whether a job is running.
func (g *GPU) Running() bool { return g.running }

// Pending returns the number of jobs that wait behind the running one.
func (g *GPU) Pending() int { return g.count }

// begin starts a job on an idle renderer.
func (g *GPU) begin(job *Job, at sim.Time) {
	g.running, g.cookie, g.start = true, job.Cookie, at
	if job.Context != g.context {
		g.context = job.Context
		g.stats.Switches++
		if g.OnContext != nil {
			g.OnContext(job.Context)
		}
	}
	first := g.clock.Ceil(at) + int64(g.cfg.JobCycles)
	g.beginWalk(job, g.clock.Cycles(first))
	g.run()
}

// Handle ends the running job; the engine calls it when the job's last write is in memory.
func (g *GPU) Handle(now sim.Time, _ uint64) {
	done := Done{Cookie: g.cookie, Start: g.start, End: now}
	g.stats.Jobs++
	g.stats.BusyTime += g.busy(now)
	g.running = false
	if g.count > 0 {
		next := &g.queue[g.head]
		g.head = (g.head + 1) % MaxPending
		g.count--
		g.begin(&next.job, max(next.at, now))
	}
	if g.OnDone != nil {
		g.OnDone(done)
	}
}

// busy returns how long the running job has run by now, since the last reset.
func (g *GPU) busy(now sim.Time) sim.Time {
	if !g.running {
		return 0
	}
	return max(0, now-max(g.start, g.since))
}

// Stats returns the counters as of now.
func (g *GPU) Stats() Stats {
	s := g.stats
	s.BusyTime += g.busy(g.eng.Now())
	return s
}

// ResetStats zeroes the counters; of the running job only what follows is counted.
func (g *GPU) ResetStats() {
	g.stats = Stats{}
	g.since = g.eng.Now()
}
