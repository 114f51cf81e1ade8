// Package cpu models one in-order core of the Cortex-A8 class: address spaces, tasks, driver threads and interrupts with priorities, and what their accesses cost in the caches and on
// the live bus.
//
// # Time
//
// The core has a local time. Work that hits in the caches moves it forward without events; before each line the core lets the memory path catch up and gives way to events that
// are due, so that interrupts and other masters act in the right order at the granularity of one line. Every picosecond belongs to exactly one of: a task, the drivers,
// maintenance, interrupts, idle; the innermost wins (see [Category]). Beside that it has exactly one cause (see [Cause]).
//
// The latency of one load, in core cycles and bus time:
//
//	L1 hit   issue + L1Cycles if the load is dependent on the one before (a streaming load hides it)
//	L2 hit   the same + L2Cycles
//	LLC      the same + L2Cycles + LLCCycles, where there is a third level; a miss goes through it
//	memory   the same + L2Cycles (+ LLCCycles) + MissCycles, then request latency, arbitration, DRAM, response latency
//
// (Cortex-A8 memory system effects on instruction timings: L1 miss with L2 hit replays in 8 cycles; an L2 miss replays again, at least 25 cycles plus the external latency.)
// One integer miss is outstanding at a time: 64 B / 220 ns is the 250 MB/s that lmbench measures on AM335x. With more line fills the core goes on to the next line once the bus has granted the
// fill (hit under miss), and waits when all are in flight, for a dependent load, and at the end of the accesses. With the critical word first a load waits for its own bytes; the rest of the line
// keeps its fill busy, and loads from it waiting, until it is there.
//
// Stores that hit are free beyond their issue; stores that miss do not allocate in the preset's caches and gather in a write-combining buffer. A full block leaves as one burst. Where a level
// allocates for stores, those that miss all levels gather first, so that a program that streams fetches no line it will overwrite. Non-cacheable loads go to the bus one access at a time: their
// cost is latency / (bytes per access x accesses outstanding), never a flat factor.
//
// # Maintenance
//
// The time of maintenance is split into call, barrier, page, line and dirty line (see [Category]). By address it goes by the kernel's linear map, whose colour is the physical page's: a copy that
// a user mapping of another colour left in an aliasing cache is not reached, unless all colours are visited, at the cost of a line for each. Outer caches are maintained by physical address in a
// pass of their own. By set and way it reaches the inner levels alone.
//
// # Speculation
//
// With [Config.Speculation] the core fetches lines that no program asked for, after random stretches of busy time: lines that follow recent misses, and any line of memory in use, which the kernel's
// linear map covers whoever owns it. That is the fill between map and unmap for which the kernel invalidates a second time after the device ("ARM: dma-mapping: fix for speculative prefetching",
// 2ffe2da3e71, recalled). A fill takes a line fill, the bus and a place in the caches, whose victims are written back; the program waits only for a line fill, or an eviction buffer, that it needs
// itself. It is no access: a violation is the later hit on the copy. In the caches' own counters it is a read that misses. Left out: prefetches from L2 into L1, the streams that a real prefetcher
// trains on (distances are fixed), and fills across the end of a page.
//
// # Clock
//
// The clock may change while work is under way ([Thread.SetClock]): cycles that have begun end at the old one.
//
// Left out: instruction fetch, NEON and the preload engine, more than one core, cpuidle states.
package cpu

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/l3"
)

// Config is the core.
type Config struct {
	Clock            units.Hertz  `conf:"clock" doc:"Core clock."`
	L1Cycles         int          `conf:"l1_cycles" doc:"Load-to-use latency of an L1 hit, paid by dependent loads."`
	L2Cycles         int          `conf:"l2_cycles" doc:"Replay cost of an L1 miss that hits in L2."`
	LLCCycles        int          `conf:"llc_cycles" doc:"What a load that misses L2 waits for the third level cache, on top; 0 where there is none."`
	MissCycles       int          `conf:"miss_cycles" doc:"Core cycles of a miss in all caches, without the external latency."`
	MemoryLatency    sim.Time     `conf:"memory_latency" doc:"Round trip between the core's bus interface and the interconnect, on top of the interconnect's and the DRAM's own latencies."`
	AccessCycles     int          `conf:"access_cycles" doc:"Issue cost of one load or store."`
	TLBEntries       int          `conf:"tlb_entries" doc:"Entries of the data TLB (fully associative, round robin)."`
	TLBMissCycles    int          `conf:"tlb_miss_cycles" doc:"Cost of a table walk whose descriptor hits in L2."`
	CriticalWord     bool         `conf:"critical_word_first" doc:"Whether a load that misses goes on when its own bytes are there, while the rest of the line follows."`
	Linefills        int          `conf:"linefills" doc:"Line fills in flight before a load that misses must wait."`
	WriteBuffers     int          `conf:"write_buffers" doc:"Open blocks of the write-combining buffer, and of the buffer that finds out streaming stores."`
	WriteMerge       units.Bytes  `conf:"write_merge" doc:"Bytes that one block of the write-combining buffer merges."`
	StreamingStores  bool         `conf:"streaming_stores" doc:"Whether stores that together cover a line keep a level that allocates for them from fetching it."`
	EvictionBuffers  int          `conf:"eviction_buffers" doc:"Lines on their way to memory before the core must wait."`
	WriteOutstanding int          `conf:"write_outstanding" doc:"Write bursts in flight on the bus."`
	Speculation      units.Cycles `conf:"speculation" doc:"Busy time between two lines that the core fetches without having been asked to, on average; 0cycles for a core that does not."`
	NCOutstanding    int          `conf:"nc_outstanding" doc:"Non-cacheable loads in flight; Cortex-A8 gives each class a single ID."`
	Maintenance      Maintenance  `conf:"maintenance" doc:"Cost of cache maintenance."`
	OS               OS           `conf:"os" doc:"Cost of the operating system's services."`
	l3.Initiator     `conf:",inline"`
}

// Maintenance is the cost of cache maintenance. The one published figure fixes a single point: 34 +- 11 cycles a line on Cortex-A8, call and barrier included; a core-clock part and a
// time part cannot be told apart from it, so both are settings.
type Maintenance struct {
	Call        units.Cycles `conf:"call" doc:"Per call of a by-address or whole-cache routine, without the barrier."`
	Line        units.Cycles `conf:"line" doc:"Per line of a by-address operation, core-clock part."`
	LineTime    sim.Time     `conf:"line_time" doc:"Per line of a by-address operation, part that does not scale with the core clock."`
	SetWay      units.Cycles `conf:"set_way" doc:"Per set and way of a whole-cache operation, core-clock part."`
	SetWayTime  sim.Time     `conf:"set_way_time" doc:"Per set and way of a whole-cache operation, part that does not scale with the core clock."`
	Barrier     units.Cycles `conf:"barrier" doc:"A DSB with nothing to wait for."`
	Page        units.Cycles `conf:"page" doc:"Per page visited by address (address generation, TLB)."`
	Loop        Loop         `conf:"loop" doc:"How the whole cache is maintained: by set and way, or by the test-and-clean loop of the ARM926."`
	OuterCall   sim.Time     `conf:"outer_call" doc:"Per call on an outer cache: locking and the sync register."`
	OuterLine   sim.Time     `conf:"outer_line" doc:"Per line of an outer cache, by physical address: a register write and its completion."`
	OuterWay    sim.Time     `conf:"outer_way" doc:"Per line slot of an outer cache maintained by way, which it does by itself while the core waits."`
	DirtyCycles units.Cycles `conf:"dirty_line" doc:"Extra core cycles per dirty line; the wait for the bus comes on top."`
}

// Loop is how the whole of a cache is maintained.
type Loop string

// The loops. On an ARM926 one instruction tests for a dirty line and cleans it, and the loop ends when there is none.
const (
	LoopSetWay    Loop = "set-way"
	LoopTestClean Loop = "test-clean"
)

// Values lists the loops.
func (Loop) Values() []string { return []string{string(LoopSetWay), string(LoopTestClean)} }

// OS is the cost of operating-system services in core cycles, so that it scales with the clock.
type OS struct {
	Syscall       units.Cycles `conf:"syscall" doc:"Entry and exit of a system call."`
	PageFault     units.Cycles `conf:"page_fault" doc:"One minor fault."`
	ContextSwitch units.Cycles `conf:"context_switch" doc:"Switch between threads, without the cache refills, which are simulated."`
	IRQEntry      units.Cycles `conf:"irq_entry" doc:"From the interrupt line to the handler's first instruction."`
	IRQExit       units.Cycles `conf:"irq_exit" doc:"Return from an interrupt."`
	Handler       units.Cycles `conf:"irq_handler" doc:"Work of a device's interrupt handler itself, without cache maintenance."`
	Ioctl         units.Cycles `conf:"ioctl" doc:"Driver work of one ioctl (QBUF, DQBUF, submit, flip) on top of the system call."`
	MMIORead      sim.Time     `conf:"mmio_read" doc:"The core's own part of a register read: ordering and its bus interface. L3 and L4 come on top, and the core waits."`
	MMIOWrite     sim.Time     `conf:"mmio_write" doc:"The core's own part of a posted register write. It waits for the write before it to leave the L4."`
	Timeslice     sim.Time     `conf:"timeslice" doc:"How long a task runs while another of the same priority waits."`
}

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Clock <= 0:
		return fmt.Errorf("cpu.clock: %v, want a positive clock", c.Clock)
	case c.AccessCycles < 1:
		return fmt.Errorf("cpu.access_cycles: %d, want at least 1", c.AccessCycles)
	case c.L1Cycles < 0 || c.L2Cycles < 0 || c.LLCCycles < 0 || c.MissCycles < 0 || c.TLBMissCycles < 0:
		return fmt.Errorf("cpu: negative latency")
	case c.TLBEntries < 1 || c.TLBEntries > 1024:
		return fmt.Errorf("cpu.tlb_entries: %d, want 1 to 1024", c.TLBEntries)
	case c.Linefills < 1 || c.Linefills > maxBuffers:
		return fmt.Errorf("cpu.linefills: %d, want 1 to %d", c.Linefills, maxBuffers)
	case c.WriteMerge < 1 || c.WriteMerge > 64 || c.WriteMerge&(c.WriteMerge-1) != 0:
		return fmt.Errorf("cpu.write_merge: %v, want a power of two up to 64B", c.WriteMerge)
	case c.WriteBuffers < 1 || c.WriteBuffers > maxBuffers:
		return fmt.Errorf("cpu.write_buffers: %d, want 1 to %d", c.WriteBuffers, maxBuffers)
	case c.EvictionBuffers < 1 || c.EvictionBuffers > maxBuffers:
		return fmt.Errorf("cpu.eviction_buffers: %d, want 1 to %d", c.EvictionBuffers, maxBuffers)
	case c.WriteOutstanding < 1 || c.WriteOutstanding > maxBuffers:
		return fmt.Errorf("cpu.write_outstanding: %d, want 1 to %d", c.WriteOutstanding, maxBuffers)
	case c.NCOutstanding < 1 || c.NCOutstanding > maxBuffers:
		return fmt.Errorf("cpu.nc_outstanding: %d, want 1 to %d", c.NCOutstanding, maxBuffers)
	case c.Speculation < 0 || c.Speculation > maxSpeculation:
		return fmt.Errorf("cpu.speculation: %v, want 0cycles to %v", c.Speculation, units.Cycles(maxSpeculation))
	case c.OS.Timeslice <= 0:
		return fmt.Errorf("cpu.os.timeslice: %v, want more than 0s", c.OS.Timeslice)
	}
	if err := c.Initiator.Validate(); err != nil {
		return fmt.Errorf("cpu.%w", err)
	}
	return nil
}

const (
	maxBuffers = 16
	// maxSpeculation keeps time within its range: 18 minutes at 1 GHz.
	maxSpeculation = 1 << 40
)
