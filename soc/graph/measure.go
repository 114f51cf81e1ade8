package graph

import (
	"socsim/iommu"
	"socsim/isp"
	"socsim/sim"
	"socsim/soc"
	"socsim/soc/display"
	"socsim/soc/dmaapi"
)

// Results are the application's own measurements since the last reset.
type Results struct {
	// Latency is, for each frame displayed, the time from its first sensor line to its first pixel on the panel.
	Latency []sim.Time
}

// Results returns what was measured since the last reset.
func (g *Graph) Results() Results { return g.results }

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

// Shown is what a display stage's pipeline showed since the last reset.
type Shown struct {
	display.Stats
	Name    string
	Latency []sim.Time
}

// Displays returns the display stages in their order.
func (g *Graph) Displays() []Shown {
	var out []Shown
	for _, st := range g.stages {
		if st.screen != nil {
			out = append(out, Shown{st.screen.Stats(st.cfg.Pipe(st.in.cfg.Format)), st.cfg.Name, st.latency})
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
	g.resetFaults()
	g.changed = nil
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
	st.latency = nil
	if st.source != nil {
		st.source.made = 0
	}
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
