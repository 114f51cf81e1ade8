package graph

import (
	"fmt"

	"socsim/iommu"
	"socsim/isp"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/dmaengine"
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
	capture   *capture // of the camera that fills it, or nil
	free      []int    // of other producers
	freed     cpu.WaitQueue
	inPlace   []*stage
	consumers []*stage
	producer  *stage
}

// stage is a stage at run time.
type stage struct {
	g       *Graph
	cfg     Stage
	owner   *stage // whose device this stage shares, or nil
	in, out *set
	inbox   []*frame
	arrived cpu.WaitQueue

	importer dmabuf.Importer
	domain   *dmaapi.Domain
	faults   []Fault
	from, to map[int]*dmabuf.Attachment // by buffer index, of input and output

	isp        *soc.Imager
	raw        *set
	camera     *isp.Pipeline
	captures   []*capture
	statistics []*statistics
	pending    []interrupt
	irq        *cpu.Thread
	converter  *isp.Memory
	m2m        *v4l2.Converter

	graphics *soc.Graphics
	renderer *drm.Renderer
	context  int

	screen  *soc.Screen
	flipper *drm.Flipper
	view    int            // first context of the rotation engine
	shown   map[int]*frame // by cookie

	dma    *soc.Copier
	copier *dmaengine.Engine
}

// unit returns the stage that the device belongs to.
func (st *stage) unit() *stage {
	if st.owner != nil {
		return st.owner
	}
	return st
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
	script *script // nil for none
	views  int     // contexts of the rotation engine in use
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
		g.addStage(c)
	}
	for _, shared := range []bool{false, true} { // a device is there before those who share it
		for _, st := range g.stages {
			if (st.cfg.Shares != "") != shared {
				continue
			}
			if err := st.addDevice(); err != nil {
				return nil, fmt.Errorf("stage %s: %w", st.cfg.Name, err)
			}
		}
	}
	for i := range cfg.Tasks {
		g.tasks = append(g.tasks, &task{g: g, cfg: cfg.Tasks[i]})
	}
	if len(cfg.Script) > 0 {
		g.script = g.newScript()
	}
	return g, nil
}

// addStage puts a stage between its buffer sets.
func (g *Graph) addStage(c Stage) {
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
	if c.Raw != nil {
		st.raw = g.byName[c.Raw.Output]
	}
	for _, s := range []*set{st.out, st.raw} {
		if s != nil {
			s.producer = st
		}
	}
}

// addDevice puts the stage's device into the system, or finds the one it shares.
func (st *stage) addDevice() error {
	sys := st.g.sys
	if st.cfg.Shares != "" {
		for _, other := range st.g.stages {
			if other.cfg.Name == st.cfg.Shares {
				st.owner = other
			}
		}
	}
	var err error
	switch st.cfg.Device {
	case ISP:
		if st.isp = st.unit().isp; st.isp == nil {
			if st.isp, err = sys.AddISP(st.cfg.Name); err != nil {
				return err
			}
		}
		if st.cfg.Sensor != nil {
			return st.addCamera()
		}
		return st.addConverter()
	case GPU:
		if st.owner != nil {
			st.graphics = st.owner.graphics
			return nil
		}
		st.graphics, err = sys.AddGPU(st.cfg.Name)
	case Display:
		if st.owner != nil {
			st.screen, st.cfg.Panel = st.owner.screen, st.owner.cfg.Panel
			return nil
		}
		st.screen, err = sys.AddDisplay(st.cfg.Name, st.cfg.Panel.Panel)
	case DMA:
		if st.owner != nil {
			st.dma = st.owner.dma
			return nil
		}
		st.dma, err = sys.AddDMA(st.cfg.Name)
	}
	return err
}

// Start spawns the threads: first one that allocates and maps everything, as an application does at start-up; then the stages and tasks.
func (g *Graph) Start() {
	for _, st := range g.stages {
		if st.camera != nil {
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

// fail ends the run.
func (g *Graph) fail(err error) {
	g.err = err
	g.sys.Engine.Stop()
}

func (st *stage) fail(err error) { st.g.fail(fmt.Errorf("stage %s: %w", st.cfg.Name, err)) }

// Camera is an on-the-fly path of an ISP. Main is the tap whose frames count as captured; Raw is nil if no raw frames are captured beside them.
type Camera struct {
	*isp.Pipeline
	Name      string
	Main, Raw *isp.Tap
}

// Cameras returns the cameras in the order of their stages.
func (g *Graph) Cameras() []Camera {
	var out []Camera
	for _, st := range g.stages {
		switch {
		case st.camera == nil:
		case st.out == nil:
			out = append(out, Camera{st.camera, st.cfg.Name, st.camera.Raw, nil})
		default:
			out = append(out, Camera{st.camera, st.cfg.Name, st.camera.Resized, st.camera.Raw})
		}
	}
	return out
}

// Converter is a path of an ISP from memory to memory.
type Converter struct {
	*isp.Memory
	Name string
}

// Converters returns the ISPs' paths from memory to memory in the order of their stages.
func (g *Graph) Converters() []Converter {
	var out []Converter
	for _, st := range g.stages {
		if st.converter != nil {
			out = append(out, Converter{st.converter, st.cfg.Name})
		}
	}
	return out
}

// Screens returns the displays in the order of the stages they belong to.
func (g *Graph) Screens() []*soc.Screen {
	var out []*soc.Screen
	for _, st := range g.stages {
		if st.screen != nil && st.owner == nil {
			out = append(out, st.screen)
		}
	}
	return out
}

// Copiers returns the system DMAs in the order of the stages they belong to.
func (g *Graph) Copiers() []*soc.Copier {
	var out []*soc.Copier
	for _, st := range g.stages {
		if st.dma != nil && st.owner == nil {
			out = append(out, st.dma)
		}
	}
	return out
}

// Fault is a fault of an IOMMU, and whether the driver could go on.
type Fault struct {
	iommu.FaultRecord
	Handled bool
}

// maxFaults bounds the faults that are kept of each stage; all are counted.
const maxFaults = 1000

// Translated is what a stage's device did behind its IOMMU. MMU is nil for a stage that shares another's: it is counted there.
type Translated struct {
	Name   string
	MMU    *iommu.MMU
	Driver dmaapi.DomainStats
	Faults []Fault
}

// Translated returns the stages behind IOMMUs in their order.
func (g *Graph) Translated() []Translated {
	var out []Translated
	for _, st := range g.stages {
		if st.domain == nil || st.owner != nil && st.domain == st.owner.domain {
			continue
		}
		t := Translated{Name: st.cfg.Name, Driver: st.domain.Stats(), Faults: st.faults}
		if st.owner == nil {
			t.MMU = st.mmu()
		}
		out = append(out, t)
	}
	return out
}

// MMU is the IOMMU of a stage's device.
type MMU struct {
	*iommu.MMU
	Name string
}

// MMUs returns the IOMMUs in the order of the stages they belong to.
func (g *Graph) MMUs() []MMU {
	var out []MMU
	for _, st := range g.stages {
		if st.owner == nil && (st.isp != nil || st.graphics != nil) {
			out = append(out, MMU{st.mmu(), st.cfg.Name})
		}
	}
	return out
}

func (st *stage) mmu() *iommu.MMU {
	if st.isp != nil {
		return st.isp.MMU
	}
	return st.graphics.MMU
}

// Reset starts the measurements anew: the end of the warm-up.
func (g *Graph) Reset() {
	g.results, g.captured = Results{}, 0
	g.alloc.ResetStats()
	for _, st := range g.stages {
		st.reset()
	}
	for _, t := range g.tasks {
		t.jobs, t.total = 0, 0
	}
}

// reset starts the stage's counters anew. A shared device's are the owner's.
func (st *stage) reset() {
	kept := st.faults[:0]
	for _, f := range st.faults {
		if !f.Handled { // the stream has stopped for good
			kept = append(kept, f)
		}
	}
	st.faults = kept
	if st.domain != nil {
		st.domain.ResetStats()
	}
	if st.camera != nil {
		st.camera.Reset()
	}
	if st.converter != nil {
		st.converter.Reset()
	}
	if st.owner != nil {
		return
	}
	switch {
	case st.isp != nil:
		st.isp.MMU.ResetCounters()
	case st.graphics != nil:
		st.graphics.ResetStats()
		st.graphics.MMU.ResetCounters()
	case st.screen != nil:
		st.screen.ResetStats()
	case st.dma != nil:
		st.dma.ResetStats()
	}
}

// setup allocates the buffers, maps them for every device, and starts the stages.
func (g *Graph) setup(t *cpu.Thread) error {
	g.api.Start(t)
	for _, shared := range []bool{false, true} {
		for _, st := range g.stages {
			if (st.owner != nil) != shared {
				continue
			}
			if err := st.openDevice(t); err != nil {
				return fmt.Errorf("stage %s: %w", st.cfg.Name, err)
			}
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
		if err := st.start(t); err != nil {
			return fmt.Errorf("stage %s: %w", st.cfg.Name, err)
		}
	}
	if g.script != nil {
		g.script.open()
		g.sys.Core.Spawn("script", g.script.run)
	}
	return nil
}

// Address spaces that the drivers hand out: of the OMAP MMUs as omap-iommu's clients use them, of the SGX without its first megabyte.
const (
	ispSpace, ispSpaceBytes = 0x1000_0000, 0x4000_0000
	gpuSpace, gpuSpaceBytes = 0x0010_0000, 0x0f00_0000
)

// openDevice opens the stage's device: its IOMMU domain and its drivers' handlers.
func (st *stage) openDevice(t *cpu.Thread) error {
	core, cfg := st.g.sys.Core, st.g.sys.Config
	switch st.cfg.Device {
	case ISP:
		if err := st.openDomain(t, dmaapi.DomainConfig{Entries: cfg.ISP.MMU.Entries, Format: cfg.ISP.MMU.Format, Base: ispSpace, Size: ispSpaceBytes}); err != nil {
			return err
		}
		if st.converter != nil {
			st.m2m = v4l2.NewConverter(core, st.cfg.Name, st.converter)
		}
	case GPU:
		c := dmaapi.DomainConfig{Entries: cfg.GPU.MMU.Entries, Format: cfg.GPU.MMU.Format, Base: gpuSpace, Size: gpuSpaceBytes, Another: st.owner != nil}
		if err := st.openDomain(t, c); err != nil {
			return err
		}
		st.context = st.graphics.AddContext(st.domain.Root())
		if st.owner == nil {
			st.renderer = drm.NewRenderer(core, st.graphics)
			st.renderer.SyncAtSubmit = st.cfg.Submit == SubmitSync
		}
	case Display:
		st.importer = &drm.Physical{Name: st.cfg.Name}
		st.flipper = drm.NewFlipper(core, st.screen, st.cfg.Pipe(st.in.cfg.Format))
		st.flipper.OnFlip = st.flipped
	case DMA:
		st.importer = &dmaengine.Importer{Name: st.cfg.Name}
		if st.owner == nil {
			st.copier = dmaengine.New(core, st.dma.Device)
		}
	}
	return nil
}

// openDomain makes the stage's address space, or takes that of the ISP it shares: another context has one of its own.
func (st *stage) openDomain(t *cpu.Thread, c dmaapi.DomainConfig) error {
	if st.owner != nil && st.cfg.Device == ISP {
		st.domain = st.owner.domain
	} else {
		c.Device, c.MMU, c.Driver = st.cfg.Name, st.mmu(), st.cfg.IOMMU
		var err error
		if st.domain, err = dmaapi.NewDomain(t, c); err != nil {
			return err
		}
		st.domain.OnFault = st.fault
	}
	st.importer = &drm.Translated{Name: st.cfg.Name, Domain: st.domain, OnDemand: st.cfg.Mapping == MapOnFault}
	return nil
}

// faulting returns the stage whose address space the device works in.
func (st *stage) faulting() *stage {
	for _, other := range st.g.stages {
		if other.owner == st && other.graphics != nil && other.context == st.graphics.Context() {
			return other
		}
	}
	return st
}

// fault is what the driver of the device does about a fault that the IOMMU's driver passes on: it maps what is mapped on demand.
func (st *stage) fault(t *cpu.Thread, f iommu.FaultRecord) bool {
	handled := st.faulting().domain.Populate(t, f.VA)
	if len(st.faults) < maxFaults {
		st.faults = append(st.faults, Fault{f, handled})
	}
	return handled
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
	switch {
	case s.producer != nil:
		owner = s.producer.cfg.Name
	case s.g.script != nil && s.cfg.Exporter.IsQueue():
		owner = s.g.script.owner(s.cfg.Name)
	}
	for i := range s.cfg.Count {
		b, err := s.g.alloc.Allocate(t, dmabuf.Request{
			Name: s.cfg.Name, Index: i, Bytes: s.bytes(), Exporter: s.cfg.Exporter, Contiguous: s.cfg.Memory == "contiguous",
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

// bytes returns the size of a buffer, which the rotation engine rounds up to whole pages of its own.
func (s *set) bytes() int64 {
	n := s.cfg.Bytes()
	for _, st := range s.consumers {
		if st.cfg.ByVRFB() {
			n = max(n, st.cfg.View(s.cfg).Bytes())
		}
	}
	return n
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
	type side struct {
		set *set
		dir dmaapi.Direction
		to  map[int]*dmabuf.Attachment
	}
	sides := []side{{st.in, dmaapi.ToDevice, st.from}, {st.out, dmaapi.FromDevice, st.to}}
	for _, c := range st.captures {
		if c.set == st.raw {
			sides = append(sides, side{st.raw, dmaapi.FromDevice, c.to})
		}
	}
	for _, side := range sides {
		if side.set == nil {
			continue
		}
		for i, b := range side.set.buffers {
			at := b.Attach(st.importer, side.dir)
			side.to[i] = at
			if st.cfg.Mapping == MapPerFrame {
				continue
			}
			if _, err := at.Map(t); err != nil {
				return err
			}
		}
	}
	return st.setUpViews()
}

// start spawns the stage's threads.
func (st *stage) start(t *cpu.Thread) error {
	core := st.g.sys.Core
	switch st.cfg.Device {
	case ISP:
		if st.camera != nil {
			return st.startCamera(t)
		}
		core.Spawn(st.cfg.Name, st.runConverter)
	case GPU:
		core.Spawn(st.cfg.Name, st.runGPU)
	case Display:
		t.Settle()
		if st.owner == nil {
			st.flipper.Start(t.Now())
		}
		core.Spawn(st.cfg.Name, st.runDisplay)
	case DMA:
		core.Spawn(st.cfg.Name, st.runDMA)
	case CPU:
		core.SpawnTask(st.cfg.Name, st.runCPU)
	}
	return nil
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
	if s.capture != nil {
		s.capture.qbuf(t, f.index)
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

// iova converts an attachment's bus address to what a device behind an MMU emits.
func iova(at *dmabuf.Attachment) bus.IOVA { return bus.IOVA(at.Addr) }
