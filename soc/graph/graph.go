package graph

import (
	"fmt"

	"socsim/iommu"
	"socsim/isp"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/drm"
	"socsim/soc/v4l2"
)

// frame is a filled buffer on its way through the consumers.
type frame struct {
	set    *set
	index  int
	seq    int
	origin sim.Time // when its first sensor line began
	refs   int
	step   int // in-place stages it has passed
}

// set is a buffer set at run time.
type set struct {
	g         *Graph
	cfg       Buffer
	buffers   []*dmabuf.Buffer
	queue     *v4l2.Queue // of the camera that fills it, or nil
	free      []int       // of other producers
	freed     cpu.WaitQueue
	inPlace   []*stage
	consumers []*stage
	producer  *stage
}

// stage is a stage at run time.
type stage struct {
	g       *Graph
	cfg     Stage
	in, out *set
	inbox   []*frame
	arrived cpu.WaitQueue

	camera   *soc.Camera
	graphics *soc.Graphics
	screen   *soc.Screen
	renderer *drm.Renderer
	flipper  *drm.Flipper
	importer dmabuf.Importer
	domain   *dmaapi.Domain
	from, to map[int]*dmabuf.Attachment // by buffer index, of input and output

	// camera
	streaming, armed bool
	pending          []any // interrupts to handle: isp.FrameStart or isp.FrameDone
	irq              *cpu.Thread

	shown map[int]*frame // display: by cookie
}

// Graph is an application at run time.
type Graph struct {
	sys    *soc.System
	api    *dmaapi.API
	alloc  *dmabuf.Allocator
	cfg    Config
	sets   []*set
	stages []*stage
	byName map[string]*set
	tasks  []*task
	err    error

	results  Results
	captured int // since the last reset
	limit    int // stop the engine at so many, 0 for never
	ready    bool
}

// Results are the application's own measurements since the last reset.
type Results struct {
	// Latency is, for each frame displayed, the time from its first sensor line to its first pixel on the panel.
	Latency []sim.Time
}

// New builds the application on a system. The configuration must be valid; Start runs it.
func New(sys *soc.System, cfg Config, api *dmaapi.API) (*Graph, error) {
	g := &Graph{sys: sys, api: api, alloc: dmabuf.NewAllocator(api), cfg: cfg, byName: map[string]*set{}}
	for _, b := range cfg.Buffers {
		s := &set{g: g, cfg: b}
		g.sets = append(g.sets, s)
		g.byName[b.Name] = s
	}
	for _, c := range cfg.Stages {
		st := &stage{
			g: g, cfg: c, in: g.byName[c.Input], out: g.byName[c.Output],
			from: map[int]*dmabuf.Attachment{}, to: map[int]*dmabuf.Attachment{}, shown: map[int]*frame{},
		}
		g.stages = append(g.stages, st)
		switch {
		case st.in != nil && c.InPlace:
			st.in.inPlace = append(st.in.inPlace, st)
		case st.in != nil:
			st.in.consumers = append(st.in.consumers, st)
		}
		if st.out != nil {
			st.out.producer = st
		}
		if err := st.addDevice(); err != nil {
			return nil, fmt.Errorf("stage %s: %w", c.Name, err)
		}
	}
	for i := range cfg.Tasks {
		g.tasks = append(g.tasks, &task{g: g, cfg: cfg.Tasks[i]})
	}
	return g, nil
}

// addDevice puts the stage's device into the system.
func (st *stage) addDevice() error {
	sys := st.g.sys
	var err error
	switch st.cfg.Device {
	case ISP:
		out := st.out.cfg
		st.camera, err = sys.AddISP(st.cfg.Name, st.cfg.Sensor.Sensor, isp.Output{
			Width: out.Size.Width, Height: out.Size.Height, BytesPerPixel: out.Format.BytesPerPixel(), Stride: out.Stride(),
		})
	case GPU:
		st.graphics, err = sys.AddGPU(st.cfg.Name)
	case Display:
		st.screen, err = sys.AddDisplay(st.cfg.Name, st.cfg.Panel.Panel)
	}
	return err
}

// Start spawns the threads: first one that allocates and maps everything, as an application does at start-up; then the stages and tasks.
func (g *Graph) Start() {
	for _, st := range g.stages {
		if st.cfg.Device == ISP {
			st.camera.Start(0) // the sensor runs free; capture begins when a buffer is queued
		}
	}
	for _, t := range g.tasks {
		g.sys.Core.SpawnTask(t.cfg.Name, t.run)
	}
	g.sys.Core.Spawn("setup", func(t *cpu.Thread) {
		if err := g.setup(t); err != nil {
			g.err = err
			g.sys.Engine.Stop()
			return
		}
		t.Settle()
		g.ready = true
	})
}

// StopAfter stops the engine when n frames have been captured since the last reset; 0 means never.
func (g *Graph) StopAfter(n int) { g.limit = n }

// Err returns why the set-up failed, if it did.
func (g *Graph) Err() error { return g.err }

// Ready tells whether the set-up is complete.
func (g *Graph) Ready() bool { return g.ready }

// Allocator returns the buffers' allocator.
func (g *Graph) Allocator() *dmabuf.Allocator { return g.alloc }

// Results returns what was measured since the last reset.
func (g *Graph) Results() Results { return g.results }

// Cameras returns the cameras in the order of their stages.
func (g *Graph) Cameras() []*soc.Camera {
	var out []*soc.Camera
	for _, st := range g.stages {
		if st.camera != nil {
			out = append(out, st.camera)
		}
	}
	return out
}

// Screens returns the displays in the order of their stages.
func (g *Graph) Screens() []*soc.Screen {
	var out []*soc.Screen
	for _, st := range g.stages {
		if st.screen != nil {
			out = append(out, st.screen)
		}
	}
	return out
}

// Translated is a device behind an IOMMU, for its counters.
type Translated struct {
	Name    string
	MMU     *iommu.MMU
	MapTime sim.Time
}

// Translated returns the devices behind IOMMUs in the order of their stages.
func (g *Graph) Translated() []Translated {
	var out []Translated
	for _, st := range g.stages {
		if st.domain == nil {
			continue
		}
		t := Translated{Name: st.cfg.Name, MapTime: st.domain.MapTime()}
		if st.camera != nil {
			t.MMU = st.camera.MMU
		} else {
			t.MMU = st.graphics.MMU
		}
		out = append(out, t)
	}
	return out
}

// Reset starts the measurements anew: the end of the warm-up.
func (g *Graph) Reset() {
	g.results, g.captured = Results{}, 0
	g.alloc.ResetStats()
	for _, st := range g.stages {
		if st.domain != nil {
			st.domain.ResetMapTime()
		}
		switch {
		case st.camera != nil:
			st.camera.Reset()
			st.camera.MMU.ResetCounters()
		case st.graphics != nil:
			st.graphics.ResetStats()
			st.graphics.MMU.ResetCounters()
		case st.screen != nil:
			st.screen.ResetStats()
		}
	}
	for _, t := range g.tasks {
		t.jobs, t.total = 0, 0
	}
}

// setup allocates the buffers, maps them for every device, and starts the stages.
func (g *Graph) setup(t *cpu.Thread) error {
	g.api.Start(t)
	for _, st := range g.stages {
		if err := st.openDevice(t); err != nil {
			return fmt.Errorf("stage %s: %w", st.cfg.Name, err)
		}
	}
	for _, s := range g.sets {
		if err := s.allocate(t); err != nil {
			return fmt.Errorf("buffer %s: %w", s.cfg.Name, err)
		}
	}
	for _, st := range g.stages {
		if err := st.attach(t); err != nil {
			return fmt.Errorf("stage %s: %w", st.cfg.Name, err)
		}
	}
	for _, st := range g.stages {
		st.start(t)
	}
	return nil
}

// openDevice opens the stage's device: its IOMMU domain and its drivers' handlers.
func (st *stage) openDevice(t *cpu.Thread) error {
	core := st.g.sys.Core
	cfg := st.g.sys.Config
	var err error
	switch st.cfg.Device {
	case ISP:
		st.domain, err = dmaapi.NewDomain(t, dmaapi.DomainConfig{
			Device: st.cfg.Name, MMU: st.camera.MMU, Entries: cfg.ISP.MMU.Entries, Format: cfg.ISP.MMU.Format, Base: 0x1000_0000, Size: 0x4000_0000,
		})
		st.importer = &drm.Translated{Name: st.cfg.Name, Domain: st.domain}
	case GPU:
		st.domain, err = dmaapi.NewDomain(t, dmaapi.DomainConfig{
			Device: st.cfg.Name, MMU: st.graphics.MMU, Entries: cfg.GPU.MMU.Entries, Format: cfg.GPU.MMU.Format, Base: 0x0010_0000, Size: 0x0f00_0000,
		})
		st.importer = &drm.Translated{Name: st.cfg.Name, Domain: st.domain}
		st.renderer = drm.NewRenderer(core, st.graphics)
	case Display:
		st.importer = &drm.Physical{Name: st.cfg.Name}
		st.flipper = drm.NewFlipper(core, st.screen)
		st.flipper.OnFlip = st.flipped
	}
	return err
}

// direction is the direction of the producing queue's own mapping: a capture queue is bidirectional if the CPU works on its buffers in place (vb2_queue.bidirectional).
func (s *set) direction() dmaapi.Direction {
	for _, st := range s.inPlace {
		if st.cfg.Write != nil {
			return dmaapi.Bidirectional
		}
	}
	return dmaapi.FromDevice
}

func (s *set) allocate(t *cpu.Thread) error {
	owner := ""
	if s.producer != nil {
		owner = s.producer.cfg.Name
	}
	for i := range s.cfg.Count {
		b, err := s.g.alloc.Allocate(t, dmabuf.Request{
			Name: s.cfg.Name, Index: i, Bytes: s.cfg.Bytes(), Exporter: s.cfg.Exporter, Contiguous: s.cfg.Memory == "contiguous",
			Attr: s.cfg.CPUMapping, Direction: s.direction(), Owner: owner,
		})
		if err != nil {
			return err
		}
		s.buffers = append(s.buffers, b)
		s.free = append(s.free, i)
	}
	return nil
}

// attach attaches the stage's device to the buffers it will see, maps them, and gives CPU stages their mappings.
func (st *stage) attach(t *cpu.Thread) error {
	if st.cfg.Device == CPU {
		for _, s := range []*set{st.in, st.out} {
			if s == nil {
				continue
			}
			for _, b := range s.buffers {
				if _, err := b.MapUser(t); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, side := range []struct {
		set *set
		dir dmaapi.Direction
		to  map[int]*dmabuf.Attachment
	}{{st.in, dmaapi.ToDevice, st.from}, {st.out, dmaapi.FromDevice, st.to}} {
		if side.set == nil {
			continue
		}
		for i, b := range side.set.buffers {
			at := b.Attach(st.importer, side.dir)
			if _, err := at.Map(t); err != nil {
				return err
			}
			side.to[i] = at
		}
	}
	return nil
}

// start spawns the stage's threads.
func (st *stage) start(t *cpu.Thread) {
	core := st.g.sys.Core
	switch st.cfg.Device {
	case ISP:
		st.startCamera(t)
	case GPU:
		core.Spawn(st.cfg.Name, st.runGPU)
	case Display:
		t.Settle()
		st.flipper.Start(t.Now())
		core.Spawn(st.cfg.Name, st.runDisplay)
	case CPU:
		core.SpawnTask(st.cfg.Name, st.runCPU)
	}
}

// dispatch passes a frame to whoever comes next: the in-place stages one after another, then the consumers. A frame nobody takes is released at once.
func (s *set) dispatch(t *cpu.Thread, f *frame) {
	for f.step < len(s.inPlace) {
		st := s.inPlace[f.step]
		f.step++
		if f.seq%st.cfg.Every == 0 {
			st.deliver(f)
			return
		}
	}
	for _, st := range s.consumers {
		if f.seq%st.cfg.Every == 0 {
			f.refs++
		}
	}
	if f.refs == 0 {
		s.recycle(t, f)
		return
	}
	for _, st := range s.consumers {
		if f.seq%st.cfg.Every == 0 {
			st.deliver(f)
		}
	}
}

func (st *stage) deliver(f *frame) {
	st.inbox = append(st.inbox, f)
	st.arrived.WakeAll()
}

// next blocks until a frame arrives.
func (st *stage) next(t *cpu.Thread) *frame {
	t.Settle()
	for len(st.inbox) == 0 {
		st.arrived.Wait(t)
		t.Settle()
	}
	f := st.inbox[0]
	st.inbox = append(st.inbox[:0], st.inbox[1:]...)
	return f
}

// release gives up one consumer's hold.
func (f *frame) release(t *cpu.Thread) {
	t.Settle()
	f.refs--
	if f.refs == 0 {
		f.set.recycle(t, f)
	}
}

// recycle makes the buffer free again: a camera's is queued, on the thread that released it last.
func (s *set) recycle(t *cpu.Thread, f *frame) {
	if s.queue != nil {
		if err := s.queue.QBUF(t, f.index); err != nil {
			panic(fmt.Sprintf("graph: %v", err))
		}
		return
	}
	s.free = append(s.free, f.index)
	s.freed.WakeAll()
}

// acquire blocks until a buffer of the set is free.
func (s *set) acquire(t *cpu.Thread) int {
	t.Settle()
	for len(s.free) == 0 {
		s.freed.Wait(t)
		t.Settle()
	}
	i := s.free[0]
	s.free = append(s.free[:0], s.free[1:]...)
	return i
}

// runGPU draws each input frame into a free output buffer. The output goes on at once; its consumers wait for the job's fence.
func (st *stage) runGPU(t *cpu.Thread) {
	for {
		f := st.next(t)
		i := st.out.acquire(t)
		fence := st.renderer.Submit(t, st.from[f.index], st.to[i], st.in.surface(), st.out.surface())
		st.out.dispatch(t, &frame{set: st.out, index: i, seq: f.seq, origin: f.origin})
		fence.Wait(t)
		f.release(t)
	}
}

func (s *set) surface() drm.Surface {
	return drm.Surface{
		Width: s.cfg.Size.Width, Height: s.cfg.Size.Height, BytesPerPixel: s.cfg.Format.BytesPerPixel(), Stride: s.cfg.Stride(),
	}
}

// runDisplay flips to each frame and releases the one shown before.
func (st *stage) runDisplay(t *cpu.Thread) {
	var shown *frame
	cookie := 0
	for {
		f := st.next(t)
		cookie++
		st.shown[cookie] = f
		st.flipper.Flip(t, st.from[f.index], st.in.surface(), cookie)
		if shown != nil {
			shown.release(t)
		}
		shown = f
	}
}

// flipped notes that a frame is on the panel from this vsync on.
func (st *stage) flipped(v display.Vsync) {
	f := st.shown[v.Shown.Cookie]
	delete(st.shown, v.Shown.Cookie)
	st.g.results.Latency = append(st.g.results.Latency, v.FirstPixel-f.origin)
}

// iova converts an attachment's bus address to what a device behind an MMU emits.
func iova(at *dmabuf.Attachment) bus.IOVA { return bus.IOVA(at.Addr) }
