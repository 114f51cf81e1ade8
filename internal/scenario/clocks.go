package scenario

import (
	"fmt"

	"socsim/sim"
	"socsim/soc/dram"
	"socsim/soc/graph"
)

// Bounds of the changes of clocks.
const (
	maxClockChanges = 10_000
	maxStall        = sim.Second
)

// checkClocks checks the changes of clocks.
func (c *checker) checkClocks() {
	if len(c.Clocks) > maxClockChanges {
		c.errorf("clocks", "%d changes, want at most %d", len(c.Clocks), maxClockChanges)
		return
	}
	for i, x := range c.Clocks {
		c.checkClock(fmt.Sprintf("clocks.%d", i), x)
	}
}

func (c *checker) checkClock(path string, x graph.ClockChange) {
	end := c.Run.Warmup + c.Run.Duration
	switch {
	case x.CPU < 0 || x.DRAM < 0:
		c.errorf(path, "want a positive clock")
	case x.CPU == 0 && x.DRAM == 0:
		c.errorf(path, "changes nothing: give cpu, dram or both")
	case x.At < 0 || x.At >= end:
		c.errorf(path+".at", "%v is not before the end of the run, at %v: times count from its start, warm-up included", x.At, end)
	case x.CPUFor < 0 || x.CPUFor > maxStall:
		c.errorf(path+".cpu_stall", "%v, want at most %v", x.CPUFor, maxStall)
	case x.MemoryFor < 0 || x.MemoryFor > maxStall:
		c.errorf(path+".memory_stall", "%v, want at most %v", x.MemoryFor, maxStall)
	}
	if x.CPU > 0 {
		chip := c.SoC.CPU
		chip.Clock = x.CPU
		if err := chip.Validate(); err != nil {
			c.errorf(path+".cpu", "%v", err)
		}
	}
	if x.DRAM > 0 {
		if c.SoC.DRAM.Scheduler == dram.FirstReady {
			c.errorf(path+".dram", "the memory's clock cannot change with soc.dram.scheduler %s, whose writes may be waiting: use inorder", dram.FirstReady)
		}
		memory := c.SoC.DRAM
		memory.Clock = x.DRAM
		if err := memory.Validate(); err != nil {
			c.errorf(path+".dram", "%v", err)
		}
	}
}
