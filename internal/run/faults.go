package run

import (
	"strings"

	"socsim/soc/graph"
)

// faults counts what was injected.
func (c *collector) faults() {
	s, ok := c.graph.FaultStats()
	if !ok {
		return
	}
	c.count("faults.injected", "events", s.Injected)
	c.count("faults.no_effect", "events", s.NoEffect)
	for k, n := range s.ByKind {
		c.count("faults."+underscored(k), "events", n)
	}
	if _, glitches := s.ByKind[graph.SensorGlitch]; glitches {
		c.count("faults.frames_errored", "frames", s.FramesErrored)
	}
}

// injected adds the faults that were injected to the events.
func (c *collector) injected(m *moments) {
	for _, o := range c.graph.Injected() {
		device := o.Target
		if device == "" {
			device = "kernel"
		}
		m.add(moment{"injected_" + underscored(o.Kind), device, o.Effect, o.Frame}, o.At, o.Waited, "", o.Address)
	}
}

// changed adds the changes of clocks to the events.
func (c *collector) changed(m *moments) {
	for _, x := range c.graph.Changed() {
		m.add(moment{"clock_change", "kernel", x.What, noFrame}, x.At, x.Took, "", "")
	}
}

// underscored is the name of a kind as metrics and events spell it.
func underscored(k graph.FaultKind) string { return strings.ReplaceAll(string(k), "-", "_") }
