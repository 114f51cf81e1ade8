package graph

import (
	"fmt"

	"socsim/iommu"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/dmaengine"
	"socsim/soc/drm"
	"socsim/soc/v4l2"
)

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
	st.g.faultTaken(st.faulting(), f, handled)
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
		for _, s := range st.sets() {
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
	for _, in := range st.inlets {
		sides = append(sides, side{in.set, dmaapi.ToDevice, in.from})
	}
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
			at.Hints = given(st.cfg.Hints, side.set.cfg.Hints) & dmaapi.SkipCPUSync
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
	if len(st.inlets) > 0 && st.cfg.Timed() {
		core.Spawn(st.cfg.Name+" off", st.forgo)
	}
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
		if st.in == nil {
			core.SpawnTask(st.cfg.Name, st.runSource)
			break
		}
		core.SpawnTask(st.cfg.Name, st.runCPU)
	}
	return nil
}
