// Package soc assembles the chip: core, caches, interconnect, DRAM, memory, and the devices a scenario uses, from one configuration. It holds hardware only; the software that drives it is in the
// packages below it (dmaapi, dmabuf, v4l2, drm, graph).
package soc

import (
	"context"
	"fmt"
	"strings"

	"socsim/cachemodel"
	"socsim/gpu"
	"socsim/iommu"
	"socsim/isp"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/dram"
	"socsim/soc/l3"
	"socsim/soc/memory"
)

// Cache is one level of cache.
type Cache struct {
	Size        units.Bytes            `conf:"size" doc:"Capacity."`
	Ways        int                    `conf:"ways" doc:"Associativity."`
	Line        units.Bytes            `conf:"line" doc:"Line size; the same at all levels."`
	Replacement cachemodel.Replacement `conf:"replacement" doc:"Which way of a full set is replaced."`
	Write       cachemodel.WritePolicy `conf:"write" doc:"Whether stores stay in the cache (back) or go on to the next level (through)."`
	Allocate    cachemodel.Allocate    `conf:"allocate" doc:"Whether a store that misses brings its line in."`
}

// Memory is the physical memory.
type Memory struct {
	Size          units.Bytes    `conf:"size" doc:"Amount of memory."`
	Reserved      units.Bytes    `conf:"reserved" doc:"Area kept free for contiguous allocations (CMA); scattered pages stay out of it."`
	Fragmentation units.Fraction `conf:"fragmentation" doc:"Chance that the next page of a scattered allocation is not the neighbour of the one before."`
}

// ISP is the camera ISP with its MMU and its place on the interconnect.
type ISP struct {
	isp.Config `conf:",inline"`
	BusClass   int `conf:"bus_class" doc:"SMS class of the ISP's traffic."`
}

// GPU is the graphics core with its MMU and its place on the interconnect.
type GPU struct {
	gpu.Config `conf:",inline"`
	BusClass   int          `conf:"bus_class" doc:"SMS class of the GPU's traffic."`
	MMU        iommu.Config `conf:"mmu" doc:"The GPU's MMU."`
}

// Display is the display controller and its place on the interconnect.
type Display struct {
	display.Config `conf:",inline"`
	BusClass       int `conf:"bus_class" doc:"SMS class of the display's traffic."`
}

// Config is a chip.
type Config struct {
	Preset    string      `conf:"preset" doc:"Preset that the other values start from."`
	Coherence string      `conf:"coherence" doc:"Coherence profile by which the kernel's DMA API treats the chip: which operation each call performs."`
	CPU       cpu.Config  `conf:"cpu" doc:"The core."`
	L1D       Cache       `conf:"l1d" doc:"Level 1 data cache."`
	L2        Cache       `conf:"l2" doc:"Level 2 cache."`
	L3        l3.Config   `conf:"l3" doc:"Interconnect and memory scheduler."`
	DRAM      dram.Config `conf:"dram,preset=dram" doc:"SDRAM controller and device timings."`
	Memory    Memory      `conf:"memory" doc:"Physical memory."`
	ISP       ISP         `conf:"isp" doc:"Camera ISP."`
	GPU       GPU         `conf:"gpu" doc:"Graphics core."`
	Display   Display     `conf:"display" doc:"Display controller."`
}

// MemoryBase is the physical address of the first byte of SDRAM (OMAP3: CS0 at 0x80000000).
const MemoryBase bus.Phys = 0x8000_0000

// Validate reports the first setting that makes no sense, with its dotted path in front.
func (c Config) Validate() error {
	if c.L1D.Line != c.L2.Line {
		return fmt.Errorf("l2.line: %v, but l1d.line is %v: all levels share one line size", c.L2.Line, c.L1D.Line)
	}
	if c.L1D.Line != 32 && c.L1D.Line != 64 {
		return fmt.Errorf("l1d.line: %v, want 32B or 64B", c.L1D.Line)
	}
	for _, x := range []struct {
		path  string
		class int
	}{{"isp", c.ISP.BusClass}, {"gpu", c.GPU.BusClass}, {"display", c.Display.BusClass}} {
		if x.class < 0 || x.class > 2 {
			return fmt.Errorf("%s.bus_class: %d, want 0, 1 or 2", x.path, x.class)
		}
	}
	for _, v := range []interface{ Validate() error }{c.CPU, c.L3, c.DRAM, c.ISP.Config, c.GPU.Config, c.Display.Config} {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	if err := c.DRAM.InterconnectError(); err != nil {
		return err
	}
	if err := c.GPU.MMU.Validate(); err != nil {
		return fmt.Errorf("gpu: %w", err)
	}
	if _, err := c.hierarchy(0); err != nil {
		return err
	}
	return c.memory(0).Validate()
}

func (c Config) hierarchy(seed uint64) (*cachemodel.Hierarchy, error) {
	cfg := cachemodel.Config{Versions: true, Seed: sim.Stream(seed, "cpu.caches").Uint64()}
	for _, l := range []struct {
		name string
		Cache
	}{{"l1d", c.L1D}, {"l2", c.L2}} {
		level := cachemodel.LevelConfig{Size: int(l.Size), Ways: l.Ways, Line: int(l.Line), Replacement: l.Replacement, Write: l.Write, Allocate: l.Allocate}
		if err := (cachemodel.Config{Levels: []cachemodel.LevelConfig{level}}).Validate(); err != nil {
			return nil, fmt.Errorf("%s: %s", l.name, strings.TrimPrefix(err.Error(), "cachemodel: level 0: "))
		}
		cfg.Levels = append(cfg.Levels, level)
	}
	return cachemodel.New(cfg)
}

func (c Config) memory(seed uint64) memory.Config {
	return memory.Config{
		Base: MemoryBase, Size: int64(c.Memory.Size), LineBytes: int(c.L1D.Line), Fragmentation: int64(c.Memory.Fragmentation),
		Reserved: int64(c.Memory.Reserved), Seed: seed,
	}
}

// System is an assembled chip.
type System struct {
	Config  Config
	Engine  *sim.Engine
	Memory  *memory.Memory
	DRAM    *dram.Controller
	Fabric  *l3.Fabric
	Caches  *cachemodel.Hierarchy
	Core    *cpu.Core
	masters []string // names; the index is the bus.Master
	mark    sim.HandlerID
}

type markHandler struct{}

// Handle does nothing: that there is an event is enough.
func (markHandler) Handle(sim.Time, uint64) {}

// Camera is an ISP in the system.
type Camera struct {
	*isp.Pipeline
	Name   string
	Master bus.Master
	MMU    *iommu.MMU
}

// Graphics is a GPU in the system.
type Graphics struct {
	*gpu.GPU
	Name   string
	Master bus.Master
	MMU    *iommu.MMU
}

// Screen is a display controller in the system.
type Screen struct {
	*display.Display
	Name   string
	Master bus.Master
}

// New assembles core, caches, interconnect and memory. The seed drives page scatter and random replacement.
func New(cfg Config, seed uint64) (*System, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &System{Config: cfg, Engine: sim.New(), masters: []string{"nobody"}}
	var err error
	if s.Memory, err = memory.New(cfg.memory(seed)); err != nil {
		return nil, err
	}
	if s.DRAM, err = dram.New(cfg.DRAM, MemoryBase, int64(cfg.Memory.Size)); err != nil {
		return nil, err
	}
	if s.Fabric, err = l3.New(cfg.L3, s.Engine, s.Memory, s.DRAM); err != nil {
		return nil, err
	}
	if s.Caches, err = cfg.hierarchy(seed); err != nil {
		return nil, err
	}
	if s.Core, err = cpu.New(cfg.CPU, s.Engine, s.Fabric, s.Memory, s.Caches, s.master("cpu")); err != nil {
		return nil, err
	}
	s.mark = s.Engine.Register(markHandler{})
	return s, nil
}

// Run simulates up to until, exclusively: events at until itself are left for the next Run. The core works ahead of the engine as far as the next event; one at until keeps that within a single
// operation, so that accounts and counters can be read and reset there.
func (s *System) Run(ctx context.Context, until sim.Time) error {
	if until <= s.Engine.Now() {
		return nil
	}
	s.Engine.Schedule(until, s.mark, 0)
	return s.Engine.Run(ctx, until-1)
}

func (s *System) master(name string) bus.Master {
	if len(s.masters) >= bus.MaxMasters {
		panic("soc: too many masters")
	}
	s.masters = append(s.masters, name)
	return bus.Master(len(s.masters) - 1)
}

// MasterName returns the name of a master.
func (s *System) MasterName(m bus.Master) string {
	if int(m) < len(s.masters) {
		return s.masters[m]
	}
	return fmt.Sprintf("master %d", m)
}

// Masters returns the names of all masters; the index is the bus.Master.
func (s *System) Masters() []string { return s.masters }

// AddISP adds a camera ISP behind its MMU, on a sensor.
func (s *System) AddISP(name string, sensor isp.Sensor, out isp.Output) (*Camera, error) {
	cfg := s.Config.ISP
	p, err := isp.New(s.Engine, cfg.Config, sensor, out)
	if err != nil {
		return nil, err
	}
	mmu, err := iommu.New(cfg.MMU, sim.NewClock(int64(s.Config.L3.Clock)), s.Memory)
	if err != nil {
		return nil, err
	}
	c := &Camera{Pipeline: p, Name: name, Master: s.master(name), MMU: mmu}
	port := s.Fabric.AddPort(l3.PortConfig{Master: c.Master, Class: uint8(cfg.BusClass), Outstanding: cfg.Outstanding}, p)
	p.SetPort(iommu.NewPort(port, mmu, p))
	return c, nil
}

// AddGPU adds a GPU behind its MMU.
func (s *System) AddGPU(name string) (*Graphics, error) {
	cfg := s.Config.GPU
	g, err := gpu.New(s.Engine, cfg.Config)
	if err != nil {
		return nil, err
	}
	mmu, err := iommu.New(cfg.MMU, sim.NewClock(int64(cfg.Clock)), s.Memory)
	if err != nil {
		return nil, err
	}
	c := &Graphics{GPU: g, Name: name, Master: s.master(name), MMU: mmu}
	port := s.Fabric.AddPort(l3.PortConfig{Master: c.Master, Class: uint8(cfg.BusClass), Outstanding: cfg.Outstanding}, g)
	g.SetPort(iommu.NewPort(port, mmu, g))
	return c, nil
}

// AddDisplay adds a display controller with a panel. It has no MMU.
func (s *System) AddDisplay(name string, panel display.Panel) (*Screen, error) {
	cfg := s.Config.Display
	d, err := display.New(s.Engine, cfg.Config, panel)
	if err != nil {
		return nil, err
	}
	c := &Screen{Display: d, Name: name, Master: s.master(name)}
	d.SetPort(s.Fabric.AddPort(l3.PortConfig{Master: c.Master, Class: uint8(cfg.BusClass), Outstanding: cfg.Outstanding}, d))
	return c, nil
}

// Close frees the processes of the system.
func (s *System) Close() { s.Engine.Close() }
