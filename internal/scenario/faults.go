package scenario

import (
	"fmt"
	"strings"

	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/graph"
)

// Bounds of the faults to inject.
const (
	maxFaultList  = 100
	maxFaultRate  = units.Hertz(10_000)
	maxFaultEvery = 1000 * sim.Second
	minFaultEvery = 100 * sim.Microsecond
)

// faultSettings says which settings of its own each kind of fault must (true) and may (false) have.
var faultSettings = map[graph.FaultKind]map[string]bool{
	graph.IOMMUFault:       {"target": true},
	graph.SensorGlitch:     {"target": true, "glitch": true, "lines": true},
	graph.DroppedInterrupt: {"target": true, "watchdog": false},
	graph.LateConsumer:     {"target": true, "for": true},
	graph.MemoryPressure:   {"for": true, "memory": true},
}

// checkFaults checks the faults to inject.
func (c *checker) checkFaults() {
	if len(c.Faults) > maxFaultList {
		c.errorf("faults", "%d faults, want at most %d; every and rate repeat one", len(c.Faults), maxFaultList)
		return
	}
	for i, f := range c.Faults {
		path := fmt.Sprintf("faults.%d", i)
		c.checkFaultSettings(path, f)
		c.checkFaultTimes(path, f)
		if f.Target != "" {
			c.checkFaultTarget(path, f)
		}
	}
}

// checkFaultSettings complains about settings that the kind requires or does not know.
func (c *checker) checkFaultSettings(path string, f graph.Injection) {
	rules := faultSettings[f.Kind]
	for _, s := range []struct {
		name string
		is   bool
	}{
		{"target", f.Target != ""},
		{"glitch", f.Glitch != ""},
		{"lines", f.Lines != 0},
		{"for", f.For != 0},
		{"watchdog", f.Watchdog != 0},
		{"memory", f.Memory != 0},
	} {
		required, known := rules[s.name]
		switch {
		case s.is && !known:
			c.errorf(path+"."+s.name, "%s has no %s", f.Kind, s.name)
		case !s.is && required && s.name == "target":
			c.errorf(path, "%s needs a target: the name of a stage", f.Kind)
		case !s.is && required:
			c.errorf(path, "%s needs %s", f.Kind, s.name)
		}
	}
	switch {
	case f.For < 0 || f.For > maxFaultEvery:
		c.errorf(path+".for", "%v, want at most %v", f.For, maxFaultEvery)
	case f.Watchdog < 0 || f.Watchdog > maxFaultEvery:
		c.errorf(path+".watchdog", "%v, want at most %v", f.Watchdog, maxFaultEvery)
	case f.Lines < 0:
		c.errorf(path+".lines", "%d lines, want at least 1", f.Lines)
	}
	if free := c.SoC.Memory.Size - c.SoC.Memory.Reserved; f.Memory < 0 || f.Memory > free {
		c.errorf(path+".memory", "%v, but outside the reserved area the chip has %v", f.Memory, free)
	}
}

// checkFaultTimes checks when a fault happens.
func (c *checker) checkFaultTimes(path string, f graph.Injection) {
	end := c.Run.Warmup + c.Run.Duration
	switch {
	case f.At < 0 || f.Every < 0 || f.Rate < 0 || f.Count < 0:
		c.errorf(path, "negative times and counts make no sense")
	case f.At == 0 && f.Every == 0 && f.Rate == 0:
		c.errorf(path, "when? give at for once, or every or rate for again and again")
	case f.Every > 0 && f.Rate > 0:
		c.errorf(path+".rate", "every and rate exclude each other: the one is regular, the other random")
	case f.Rate > maxFaultRate:
		c.errorf(path+".rate", "%v, want at most %v", f.Rate, maxFaultRate)
	case f.Every > 0 && f.Every < minFaultEvery:
		c.errorf(path+".every", "%v, want at least %v", f.Every, minFaultEvery)
	case f.Count > 0 && f.Every == 0 && f.Rate == 0:
		c.errorf(path+".count", "at alone happens once: count goes with every or rate")
	case f.At >= end:
		c.errorf(path+".at", "%v is not before the end of the run, at %v: times count from its start, warm-up included", f.At, end)
	case f.At == 0 && f.Every >= end:
		c.errorf(path+".every", "the first would come at %v, after the end of the run at %v", f.Every, end)
	}
}

// checkFaultTarget checks that there is such a stage, and that it can have such a fault.
func (c *checker) checkFaultTarget(path string, f graph.Injection) {
	var names []string
	for _, s := range c.Stages {
		names = append(names, s.Name)
		if s.Name != f.Target {
			continue
		}
		if why := s.CanHave(f.Kind); why != "" && f.Kind != graph.MemoryPressure {
			c.errorf(path+".target", "%q cannot have a fault %s: %s", f.Target, f.Kind, why)
		}
		if s.Sensor != nil && f.Kind == graph.SensorGlitch && f.Glitch != graph.LongBlanking && f.Lines >= s.Sensor.Height {
			c.errorf(path+".lines", "%d lines, but the sensor of %q has %d, and the first is what starts a frame: want at most %d", f.Lines, s.Name, s.Sensor.Height, s.Sensor.Height-1)
		}
		if f.Glitch == graph.LongBlanking && f.Lines > maxBlanking {
			c.errorf(path+".lines", "%d lines of blanking, want at most %d", f.Lines, maxBlanking)
		}
		return
	}
	if f.Kind == graph.MemoryPressure {
		return
	}
	c.errorf(path+".target", "%s", withNearest(fmt.Sprintf("no stage %q; there are: %s", f.Target, strings.Join(names, ", ")), f.Target, names))
}

// maxBlanking bounds the lines by which a frame is late.
const maxBlanking = 1_000_000
