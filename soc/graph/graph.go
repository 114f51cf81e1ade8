package graph

import (
	"fmt"
	"math/rand/v2"

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
	joins     []*inlet // further inputs of stages
	producer  *stage
	made      int // frames dispatched: their numbers
}

// stage is a stage at run time.
type stage struct {
	g       *Graph
	cfg     Stage
	owner   *stage // whose device this stage shares, or nil
	in, out *set
	inlets  []*inlet
	source  *source // of a stage without an input
	waits   wait
	inbox   []*frame
	arrived cpu.WaitQueue
	rng     *rand.Rand // of its delays

	importer dmabuf.Importer
	domain   *dmaapi.Domain
	faults   []Fault
	late     []lateness                 // injected, and still to come
	from, to map[int]*dmabuf.Attachment // by buffer index, of input and output

	walked map[walked]*walk // a CPU stage's accesses that do not go over their part in order

	isp        *soc.Imager
	raw        *set
	camera     *isp.Pipeline
	captures   []*capture
	statistics []*statistics
	pending    []interrupt
	stopped    bool // the camera has been, once
	starting   bool // the stream has begun and waits for a buffer
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
	latency []sim.Time     // of the frames shown

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
	sys      *soc.System
	api      *dmaapi.API
	alloc    *dmabuf.Allocator
	cfg      Config
	sets     []*set
	stages   []*stage
	byName   map[string]*set
	tasks    []*task
	script   *script   // nil for none
	injector *injector // nil for none
	changed  []Changed // clocks, since the last reset
	views    int       // contexts of the rotation engine in use
	err      error

	results  Results
	captured int // since the last reset
	limit    int // stop the engine at so many, 0 for never
	ready    bool
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
		rng: sim.Stream(g.cfg.Seed, "stage."+c.Name+".delay"), walked: map[walked]*walk{}, from: map[int]*dmabuf.Attachment{}, to: map[int]*dmabuf.Attachment{}, shown: map[int]*frame{},
	}
	g.stages = append(g.stages, st)
	switch {
	case st.in != nil && c.InPlace:
		st.in.inPlace = append(st.in.inPlace, st)
	case st.in != nil:
		st.in.consumers = append(st.in.consumers, st)
	}
	st.addInlets()
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
		if st.camera != nil && !st.cfg.Timed() {
			st.camera.Start(0) // the sensor runs free; capture begins when a buffer is queued
		}
	}
	for _, t := range g.tasks {
		g.sys.Core.SpawnTask(t.cfg.Name, t.run)
	}
	g.startFaults()
	g.startClocks()
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

// fail ends the run.
func (g *Graph) fail(err error) {
	g.err = err
	g.sys.Engine.Stop()
}

func (st *stage) fail(err error) { st.g.fail(fmt.Errorf("stage %s: %w", st.cfg.Name, err)) }

// iova converts an attachment's bus address to what a device behind an MMU emits.
func iova(at *dmabuf.Attachment) bus.IOVA { return bus.IOVA(at.Addr) }
