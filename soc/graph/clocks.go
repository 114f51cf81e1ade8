package graph

import (
	"fmt"
	"slices"

	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/cpu"
)

// ClockChange is a change of clocks at a time. A kernel thread makes it, as cpufreq and the drivers of the interconnect do: in time that the core has for nothing else.
type ClockChange struct {
	At     sim.Time    `conf:"at,required" doc:"When, from the start of the run, warm-up included."`
	CPU    units.Hertz `conf:"cpu" doc:"New clock of the core; 0Hz to leave it."`
	DRAM   units.Hertz `conf:"dram" doc:"New clock of the memory; 0Hz to leave it."`
	CPUFor sim.Time    `conf:"cpu_stall" doc:"Time in which a change of the core's clock keeps the core: voltage and PLL."`
	// MemoryFor is estimated: no source gives the time from self-refresh to the lock of the DLL.
	MemoryFor sim.Time `conf:"memory_stall" doc:"Time in which a change of the memory's clock keeps the memory in self-refresh, and the core waiting."`
}

// SetDefaults fills in what a scenario may leave out: the transition latency that the kernel's driver states (cpu-omap.c, omap-cpufreq.c: 300 * 1000 ns), and an estimate.
func (c *ClockChange) SetDefaults() {
	c.CPUFor, c.MemoryFor = 300*sim.Microsecond, 10*sim.Microsecond
}

// Changed is a change of a clock that was made. It began At and took so long.
type Changed struct {
	What     string
	At, Took sim.Time
}

// startClocks spawns the thread that changes the clocks.
func (g *Graph) startClocks() {
	if len(g.cfg.Clocks) == 0 {
		return
	}
	changes := slices.Clone(g.cfg.Clocks)
	slices.SortStableFunc(changes, func(a, b ClockChange) int {
		switch {
		case a.At < b.At:
			return -1
		case a.At > b.At:
			return 1
		}
		return 0
	})
	g.sys.Core.Spawn("clocks", func(t *cpu.Thread) {
		for _, c := range changes {
			t.SleepUntil(c.At)
			if c.CPU > 0 {
				g.changeCPU(t, c)
			}
			if c.DRAM > 0 {
				g.changeDRAM(t, c)
			}
		}
	})
}

// Register accesses of a change: the PLL's settings and its lock; the divider, and the SDRC's timings.
const (
	pllReads, pllWrites   = 1, 2
	sdrcReads, sdrcWrites = 1, 5
)

// changeCPU changes the core's clock.
func (g *Graph) changeCPU(t *cpu.Thread, c ClockChange) {
	from := t.Now()
	old := units.Hertz(t.Core().Clock().Hz())
	t.MMIO(pllReads, pllWrites)
	t.Spend(c.CPUFor)
	t.SetClock(c.CPU)
	g.changed = append(g.changed, Changed{fmt.Sprintf("cpu from %v to %v", old, c.CPU), from, t.Now() - from})
}

// changeDRAM changes the memory's clock: the code runs from SRAM and waits until the memory is back (sram34xx.S, omap3_sram_configure_core_dpll: self-refresh, divider, DLL).
func (g *Graph) changeDRAM(t *cpu.Thread, c ClockChange) {
	from := t.Now()
	old := units.Hertz(g.sys.DRAM.Clock().Hz())
	t.MMIO(sdrcReads, sdrcWrites)
	t.Settle()
	ready, err := g.sys.SetMemoryClock(c.DRAM, c.MemoryFor)
	if err != nil {
		g.fail(err)
		return
	}
	t.Spend(max(0, ready-t.Now()))
	g.changed = append(g.changed, Changed{fmt.Sprintf("dram from %v to %v", old, c.DRAM), from, t.Now() - from})
}

// Changed returns the changes of clocks since the last reset.
func (g *Graph) Changed() []Changed { return g.changed }
