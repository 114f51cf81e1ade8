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
	"socsim/soc/sdma"
	"socsim/soc/vrfb"
)

// Cache is one level of cache.
type Cache struct {
	Size        units.Bytes            `conf:"size" doc:"Capacity."`
	Ways        int                    `conf:"ways" doc:"Associativity."`
	Line        units.Bytes            `conf:"line" doc:"Line size; the same at all levels."`
	Replacement cachemodel.Replacement `conf:"replacement" doc:"Which way of a full set is replaced."`
	Write       cachemodel.WritePolicy `conf:"write" doc:"Whether stores stay in the cache (back) or go on to the next level (through)."`
	Allocate    cachemodel.Allocate    `conf:"allocate" doc:"Whether a store that misses brings its line in."`
	SubBlock    units.Bytes            `conf:"sub_block" doc:"Bytes that have a dirty bit of their own, so that a line is written back in part; the line size for one bit a line."`
}

func (c Cache) config() cachemodel.LevelConfig {
	return cachemodel.LevelConfig{
		Size: int(c.Size), Ways: c.Ways, Line: int(c.Line), Replacement: c.Replacement, Write: c.Write, Allocate: c.Allocate, SubBlock: int(c.SubBlock),
	}
}

// FirstLevel is the level nearest the core.
type FirstLevel struct {
	Cache   `conf:",inline"`
	Index   cachemodel.Index   `conf:"index" doc:"Whether lines are found by virtual index and physical tag (vipt), both virtual (vivt) or both physical (pipt)."`
	Aliases cachemodel.Aliases `conf:"aliases" doc:"What a virtually indexed level does about a copy of a line under another colour: nothing, it is software's business (kept), or evict it on a miss (resolved)."`
}

func (c FirstLevel) config() cachemodel.LevelConfig {
	l := c.Cache.config()
	l.Index, l.Aliases = c.Index, c.Aliases
	return l
}

// LowerLevel is a level behind another.
type LowerLevel struct {
	Cache     `conf:",inline"`
	Inclusion cachemodel.Inclusion `conf:"inclusion" doc:"Whether the level holds all that the nearer ones do (inclusive), only what they gave up (exclusive), or takes no notice (neither)."`
	Outer     bool                 `conf:"outer" doc:"Whether the level lies outside the core, so that it is maintained by physical address in a pass of its own, and not by set and way."`
}

func (c LowerLevel) config() cachemodel.LevelConfig {
	l := c.Cache.config()
	l.Inclusion, l.Outer = c.Inclusion, c.Outer
	return l
}

// Memory is the physical memory.
type Memory struct {
	Size          units.Bytes    `conf:"size" doc:"Amount of memory."`
	Reserved      units.Bytes    `conf:"reserved" doc:"Area kept free for contiguous allocations (CMA); scattered pages stay out of it."`
	PageColours   int            `conf:"page_colours" doc:"Colours that the frame allocator respects: the frame of a page gets the colour of the page's offset in its buffer. 1 for none."`
	Fragmentation units.Fraction `conf:"fragmentation" doc:"Chance that the next page of a scattered allocation is not the neighbour of the one before."`
}

// ISP is the camera ISP with its MMU and its place on the interconnect.
type ISP struct {
	isp.Config   `conf:",inline"`
	l3.Initiator `conf:",inline"`
}

// GPU is the graphics core with its MMU and its place on the interconnect.
type GPU struct {
	gpu.Config   `conf:",inline"`
	l3.Initiator `conf:",inline"`
	MMU          iommu.Config `conf:"mmu" doc:"The GPU's MMU."`
}

// Display is the display controller and its place on the interconnect.
type Display struct {
	display.Config `conf:",inline"`
	l3.Initiator   `conf:",inline"`
}

// Config is a chip.
type Config struct {
	Preset       string         `conf:"preset" doc:"Preset that the other values start from."`
	Illustrative bool           `conf:"illustrative" doc:"Whether the chip only stands for its kind: most of its values are estimated or borrowed from another's, and results say so."`
	Coherence    string         `conf:"coherence" doc:"Coherence profile by which the kernel's DMA API treats the chip: which operation each call performs."`
	CPU          cpu.Config     `conf:"cpu" doc:"The core."`
	L1D          FirstLevel     `conf:"l1d" doc:"Level 1 data cache."`
	L2           LowerLevel     `conf:"l2" doc:"Level 2 cache; a size of 0B stands for none."`
	LLC          LowerLevel     `conf:"llc" doc:"Level 3 cache, the last level before the interconnect; a size of 0B stands for none."`
	L3           l3.Config      `conf:"l3" doc:"Interconnect and memory scheduler."`
	L4           l3.L4Config    `conf:"l4" doc:"Peripheral interconnect, through which the core reaches registers."`
	SystemCache  l3.SystemCache `conf:"system_cache" doc:"Cache in front of the DRAM, seen by every master; a size of 0B stands for none."`
	DRAM         dram.Config    `conf:"dram,preset=dram" doc:"SDRAM controller and device timings."`
	Memory       Memory         `conf:"memory" doc:"Physical memory."`
	ISP          ISP            `conf:"isp" doc:"Camera ISP."`
	GPU          GPU            `conf:"gpu" doc:"Graphics core."`
	Display      Display        `conf:"display" doc:"Display controller."`
	SDMA         sdma.Config    `conf:"sdma" doc:"System DMA."`
}

// MemoryBase is the physical address of the first byte of SDRAM (OMAP3: CS0 at 0x80000000).
const MemoryBase bus.Phys = 0x8000_0000

// Validate reports the first setting that makes no sense, with its dotted path in front.
func (c Config) Validate() error {
	if c.L2.Size > 0 && c.L1D.Line != c.L2.Line {
		return fmt.Errorf("l2.line: %v, but l1d.line is %v: all levels share one line size", c.L2.Line, c.L1D.Line)
	}
	if c.LLC.Size > 0 && c.L1D.Line != c.LLC.Line {
		return fmt.Errorf("llc.line: %v, but l1d.line is %v: all levels share one line size", c.LLC.Line, c.L1D.Line)
	}
	if c.LLC.Size > 0 && c.L2.Size == 0 {
		return fmt.Errorf("llc.size: %v, but l2.size is 0B: the third level lies behind a second", c.LLC.Size)
	}
	if c.L1D.Line != 32 && c.L1D.Line != 64 {
		return fmt.Errorf("l1d.line: %v, want 32B or 64B", c.L1D.Line)
	}
	if c.CPU.WriteMerge > c.L1D.Line {
		return fmt.Errorf("cpu.write_merge: %v, but l1d.line is %v: a block of the write-combining buffer lies within a line", c.CPU.WriteMerge, c.L1D.Line)
	}
	if err := c.initiators(); err != nil {
		return err
	}
	for _, v := range []interface{ Validate() error }{c.CPU, c.L3, c.L4, c.SystemCache, c.DRAM, c.ISP.Config, c.GPU.Config, c.Display.Config, c.SDMA} {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	if err := c.GPU.MMU.Validate(); err != nil {
		return fmt.Errorf("gpu: %w", err)
	}
	if _, err := c.hierarchy(0); err != nil {
		return err
	}
	return c.memory(0).Validate()
}

// initiators checks how they stand on the interconnect, each and together.
func (c Config) initiators() error {
	classes := map[int]l3.Initiator{}
	for _, x := range []struct {
		path string
		l3.Initiator
	}{{"cpu", c.CPU.Initiator}, {"isp", c.ISP.Initiator}, {"gpu", c.GPU.Initiator}, {"display", c.Display.Initiator}, {"sdma", c.SDMA.Initiator}} {
		if err := x.Initiator.Validate(); err != nil {
			return fmt.Errorf("%s.%w", x.path, err)
		}
		if other, ok := classes[x.Group]; ok && other.Class != x.Class {
			return fmt.Errorf("%s.bus_group: group %d has an initiator of class %d already, and this one is of class %d: a group has one class", x.path, x.Group, other.Class, x.Class)
		}
		classes[x.Group] = x.Initiator
	}
	return nil
}

func (c Config) hierarchy(seed uint64) (*cachemodel.Hierarchy, error) {
	cfg := cachemodel.Config{Versions: true, Unification: 1, Page: memory.PageBytes, Seed: sim.Stream(seed, "cpu.caches").Uint64()}
	levels := []cachemodel.LevelConfig{c.L1D.config()}
	if c.L2.Size > 0 {
		levels = append(levels, c.L2.config())
	}
	if c.LLC.Size > 0 {
		levels = append(levels, c.LLC.config())
	}
	for i, l := range levels {
		cfg.Levels = append(cfg.Levels, l)
		if err := cfg.Validate(); err != nil {
			name := []string{"l1d", "l2", "llc"}[i]
			return nil, fmt.Errorf("%s: %s", name, strings.TrimPrefix(strings.TrimPrefix(err.Error(), "cachemodel: "), fmt.Sprintf("level %d: ", i)))
		}
	}
	return cachemodel.New(cfg)
}

func (c Config) memory(seed uint64) memory.Config {
	return memory.Config{
		Base: MemoryBase, Size: int64(c.Memory.Size), LineBytes: int(c.L1D.Line), Fragmentation: int64(c.Memory.Fragmentation),
		Reserved: int64(c.Memory.Reserved), Colours: c.Memory.PageColours, Seed: seed,
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
	VRFB    *vrfb.Engine // of the SMS; a display sees its views after SetVRFB
	masters []string     // names; the index is the bus.Master
	mark    sim.HandlerID
}

type markHandler struct{}

// Handle does nothing: that there is an event is enough.
func (markHandler) Handle(sim.Time, uint64) {}

// Imager is an ISP in the system.
type Imager struct {
	*isp.ISP
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
	roots  []bus.Phys // page directories, by context
}

// Copier is a system DMA in the system.
type Copier struct {
	*sdma.Device
	Name   string
	Master bus.Master
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
	s := &System{Config: cfg, Engine: sim.New(), VRFB: vrfb.New(), masters: []string{"nobody"}}
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
	if err = s.Fabric.SetSystemCache(cfg.SystemCache, sim.Stream(seed, "l3.system_cache").Uint64()); err != nil {
		return nil, err
	}
	if s.Caches, err = cfg.hierarchy(seed); err != nil {
		return nil, err
	}
	if s.Core, err = cpu.New(cfg.CPU, s.Engine, s.Fabric, s.Memory, s.Caches, s.master("cpu"), seed); err != nil {
		return nil, err
	}
	s.setLineTime()
	s.Core.SetRegisters(l3.NewL4(cfg.L4, cfg.L3))
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

// AddISP adds a camera ISP behind its MMU. What it does is up to the paths that are made on it.
func (s *System) AddISP(name string) (*Imager, error) {
	cfg := s.Config.ISP
	i, err := isp.New(s.Engine, cfg.Config)
	if err != nil {
		return nil, err
	}
	mmu, err := iommu.New(cfg.MMU, sim.NewClock(int64(s.Config.L3.Clock)), s.Memory)
	if err != nil {
		return nil, err
	}
	mmu.Now = s.Engine.Now
	x := &Imager{ISP: i, Name: name, Master: s.master(name), MMU: mmu}
	port := s.Fabric.AddPort(cfg.Port(x.Master, cfg.Outstanding), i.Source())
	i.SetPort(iommu.NewPort(port, mmu, i.Source()))
	return x, nil
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
	mmu.Now = s.Engine.Now
	c := &Graphics{GPU: g, Name: name, Master: s.master(name), MMU: mmu}
	port := s.Fabric.AddPort(cfg.Port(c.Master, cfg.Outstanding), g)
	g.SetPort(iommu.NewPort(port, mmu, g))
	g.OnContext = func(id int) { mmu.SwitchContext(id, c.roots[id]) }
	return c, nil
}

// AddContext gives the GPU's next context, counted from 0, its page directory, and returns its number.
func (g *Graphics) AddContext(root bus.Phys) int {
	g.roots = append(g.roots, root)
	return len(g.roots) - 1
}

// AddDMA adds a system DMA. It has no MMU.
func (s *System) AddDMA(name string) (*Copier, error) {
	d, err := sdma.New(s.Engine, s.Config.SDMA)
	if err != nil {
		return nil, err
	}
	c := &Copier{Device: d, Name: name, Master: s.master(name)}
	d.Connect(s.Fabric, c.Master)
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
	d.SetPort(s.Fabric.AddPort(cfg.Port(c.Master, cfg.Outstanding), nil))
	d.SetVRFB(s.VRFB)
	return c, nil
}

// Close frees the processes of the system.
func (s *System) Close() { s.Engine.Close() }
