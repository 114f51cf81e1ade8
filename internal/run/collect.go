package run

import (
	"slices"

	"socsim/cachemodel"
	"socsim/internal/coherency"
	"socsim/internal/result"
	"socsim/internal/scenario"
	"socsim/isp"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/graph"
	"socsim/soc/memory"
)

// collector reads the counters of all parts into a result document.
type collector struct {
	sys      *soc.System
	graph    *graph.Graph
	check    *coherency.Checker
	scenario *scenario.Loaded
	measured sim.Time // since the warm-up
	doc      *result.Document
}

func (c *collector) count(name, unit string, n uint64) { c.doc.Set(name, unit, result.Int(int64(n))) }

func (c *collector) time(name string, t sim.Time) {
	c.doc.Set(name, "ns", result.Int(rounded(int64(t))))
}

// fraction adds num / den; absent if den is 0.
func (c *collector) fraction(name string, num, den int64) {
	if den > 0 {
		c.doc.Set(name, "fraction", result.Ratio(num, den, 6))
	}
}

func (c *collector) document(strategy string) *result.Document {
	s := c.scenario
	c.doc = &result.Document{
		Schema: result.Schema, Version: result.Version, Scenario: s.Name, SoC: s.SoC.Preset, Strategy: strategy, Seed: s.Run.Seed,
		SimulatedPS: int64(c.measured), ConfigSHA256: s.SHA256, Estimated: s.Estimated, Illustrative: s.Illustrative, Unread: s.UnreadPaths(), Expect: []result.Expectation{},
	}
	frames := c.frames()
	c.core(frames)
	c.memoryPath()
	c.causes()
	c.devices()
	c.coherency()
	c.doc.Events = c.events()
	return c.doc
}

// frames counts what cameras and displays did and returns the frames captured.
func (c *collector) frames() uint64 {
	var captured uint64
	if cameras := c.graph.Cameras(); len(cameras) > 0 {
		var dropped, overflows uint64
		for _, cam := range cameras {
			st := cam.Main.Stats()
			captured += st.Captured
			dropped += st.Dropped + st.Overflowed + st.Short
			for _, tap := range []*isp.Tap{cam.Main, cam.Raw, cam.AF, cam.AEWB} {
				if tap != nil {
					overflows += tap.Stats().Overflows
				}
			}
			c.camera(cam)
		}
		c.byCamera(cameras)
		c.count("frames.captured", "frames", captured)
		c.count("frames.dropped", "frames", dropped)
		c.count("isp.overflows", "events", overflows)
	}
	if screens := c.graph.Screens(); len(screens) > 0 {
		var displayed, repeated, underflows uint64
		for _, s := range screens {
			for p := range display.Pipeline(display.Pipelines) {
				st := s.Stats(p)
				displayed += st.Displayed
				repeated += st.Repeated
				underflows += st.Underflows
			}
		}
		c.count("frames.displayed", "frames", displayed)
		c.count("frames.repeated", "frames", repeated)
		c.count("display.underflows", "events", underflows)
	}
	c.latency("latency.capture_to_display.", c.graph.Results().Latency)
	c.byDisplay()
	c.sources()
	return captured
}

// latency adds the quantiles of some latencies, if there are any.
func (c *collector) latency(prefix string, times []sim.Time) {
	l := slices.Clone(times)
	if len(l) == 0 {
		return
	}
	slices.Sort(l)
	at := func(percent int) sim.Time { return l[(len(l)*percent+99)/100-1] } // nearest rank
	c.time(prefix+"p50", at(50))
	c.time(prefix+"p95", at(95))
	c.time(prefix+"max", l[len(l)-1])
}

// camera counts what an ISP did beside its main image.
func (c *collector) camera(cam graph.Camera) {
	if cam.Raw != nil {
		c.add("isp.raw_frames", "frames", cam.Raw.Stats().Captured)
		c.add("isp.raw_frames_lost", "frames", cam.Raw.Stats().Overflowed+cam.Raw.Stats().Short)
	}
	if cam.AF != nil || cam.AEWB != nil {
		var n uint64
		for _, tap := range []*isp.Tap{cam.AF, cam.AEWB} {
			if tap != nil {
				n += tap.Stats().Captured
			}
		}
		c.add("isp.statistics", "count", n)
	}
	if s := c.stage(cam.Name).Statistics; s != nil && s.LSC > 0 {
		c.add("isp.late_reads", "events", cam.GainErrors())
	}
}

// stage returns the stage of a name.
func (c *collector) stage(name string) graph.Stage {
	for _, s := range c.scenario.Stages {
		if s.Name == name {
			return s
		}
	}
	return graph.Stage{}
}

func (c *collector) core(frames uint64) {
	core := c.sys.Core
	total := int64(c.measured)
	c.fraction("cpu.idle", int64(core.Time(cpu.Idle)), total)
	c.fraction("cpu.busy", total-int64(core.Time(cpu.Idle)), total)
	c.fraction("cpu.busy.driver", int64(core.Time(cpu.Driver)), total)
	c.fraction("cpu.busy.maintenance", int64(core.MaintenanceTime()), total)
	c.fraction("cpu.busy.interrupt", int64(core.Time(cpu.Interrupt)), total)
	for i, name := range core.Tasks() {
		c.fraction("cpu.busy.task."+name, int64(core.TaskTime(i)), total)
	}
	c.time("cpu.irq_off.max", core.IRQOffMax())

	st := core.Stats()
	m := st.Maintenance
	c.time("maintenance.time", core.MaintenanceTime())
	if frames > 0 {
		c.time("maintenance.time_per_frame", core.MaintenanceTime()/sim.Time(frames))
	}
	for _, part := range []struct {
		name string
		cat  cpu.Category
	}{{"call", cpu.Maint}, {"barrier", cpu.MaintBarrier}, {"page", cpu.MaintPage}, {"line", cpu.MaintLine}, {"dirty_line", cpu.MaintDirty}} {
		c.time("maintenance.time."+part.name, core.Time(part.cat))
	}
	c.count("maintenance.calls.range", "calls", m.RangeCalls)
	c.count("maintenance.calls.whole", "calls", m.WholeCalls)
	c.count("maintenance.segments", "calls", m.Segments)
	c.count("maintenance.lines.visited", "lines", m.Visited)
	c.count("maintenance.lines.useful", "lines", m.Useful)
	c.count("maintenance.lines.useless", "lines", m.Visited-m.Useful)
	c.count("maintenance.lines.cleaned", "lines", m.Cleaned)
	c.count("maintenance.lines.invalidated", "lines", m.Invalidated)
	c.count("maintenance.bytes_written_back", "bytes", m.BytesWrittenBack)
	c.count("maintenance.lines.outer", "lines", m.OuterLines)
	c.count("maintenance.lines.other_colours", "lines", m.AliasLookups)
	c.count("maintenance.collateral_misses", "lines", m.CollateralMisses)
	if m.CollateralMisses > 0 {
		c.collateral("driver", core.Collateral(cpu.Driver))
		c.collateral("interrupt", core.Collateral(cpu.Interrupt))
		for i, name := range core.Tasks() {
			c.collateral("task."+name, core.TaskCollateral(i))
		}
	}
	c.count("cpu.fills", "lines", st.Fills)
	if c.scenario.SoC.CPU.Speculation > 0 {
		c.count("cpu.speculative_fills", "lines", st.SpeculativeFills)
	}
	c.count("cpu.uncached_reads", "count", st.NCReads)
	c.count("cpu.posted_writes", "count", st.Posted)
	c.count("cpu.tlb_misses", "count", st.TLBMisses)
	c.count("cpu.context_switches", "count", st.Switches)
	c.count("cpu.interrupts", "count", st.Interrupts)

	for i, level := range []string{"l1d", "l2", "llc"}[:c.sys.Caches.Levels()] {
		k := c.sys.Caches.Counters(i)
		c.count("cache."+level+".read_hits", "count", k.ReadHits)
		c.count("cache."+level+".read_misses", "count", k.ReadMisses)
		c.count("cache."+level+".write_hits", "count", k.WriteHits)
		c.count("cache."+level+".write_misses", "count", k.WriteMisses)
		c.count("cache."+level+".writebacks", "count", k.Writebacks)
		c.count("cache."+level+".bytes_written_back", "bytes", k.BytesToBelow)
		if i == 0 && c.scenario.SoC.L1D.Index != cachemodel.PIPT {
			c.count("cache."+level+".alias_copies", "count", k.AliasCopies)
			c.count("cache."+level+".aliases_resolved", "count", k.AliasesResolved)
		}
	}
}

// collateral reports what whole-cache operations cost somebody.
func (c *collector) collateral(name string, x cpu.Collateral) {
	c.count("maintenance.collateral_misses."+name, "lines", x.Misses)
	c.time("maintenance.collateral_time."+name, x.Time)
}

func (c *collector) memoryPath() {
	c.sys.Fabric.Settle()
	if k, ok := c.sys.Fabric.SystemCache(); ok {
		c.count("cache.system.read_hits", "count", k.ReadHits)
		c.count("cache.system.read_misses", "count", k.ReadMisses)
		c.count("cache.system.write_hits", "count", k.WriteHits)
		c.count("cache.system.write_misses", "count", k.WriteMisses)
		c.count("cache.system.writebacks", "count", k.Writebacks)
	}
	d := c.sys.DRAM.Stats()
	if times := c.sys.DRAM.Times(); len(c.scenario.Clocks) > 0 {
		c.fraction("dram.utilization", int64(times.Data), int64(c.measured))
	} else {
		c.fraction("dram.utilization", int64(d.DataClocks), c.sys.DRAM.Clock().Floor(c.measured))
	}
	c.fraction("dram.row_hit_rate", int64(d.RowHits), int64(d.Reads+d.Writes))
	c.count("dram.activates", "count", d.Activates)
	c.count("dram.refreshes", "count", d.Refresh)
	if c.sys.DRAM.FirstReady() {
		c.count("dram.writes_posted", "count", d.PostedWrites)
		c.count("dram.reads_forwarded", "count", d.Forwarded)
	}
	if c.scenario.SoC.DRAM.PowerDown > 0 {
		times := c.sys.DRAM.Times()
		c.time("dram.power_down.precharged", times.PrechargeDown)
		c.time("dram.power_down.active", times.ActiveDown)
	}
	if c.scenario.SoC.Memory.PageColours > 1 {
		c.count("memory.frames_refused", "pages", c.sys.Memory.RefusedFrames())
	}
	for i, name := range c.sys.Masters() {
		st := c.sys.Fabric.Stats(bus.Master(i))
		if st.BytesRead > 0 {
			c.count("dram.bytes_read."+name, "bytes", st.BytesRead)
		}
		if st.BytesWritten > 0 {
			c.count("dram.bytes_written."+name, "bytes", st.BytesWritten)
		}
		if h := &st.Latency; h.Count() > 0 {
			c.doc.Set("dram.latency."+name+".mean", "ns", result.Ratio(int64(h.Sum()), int64(h.Count())*1000, 1))
			c.count("dram.latency."+name+".p99", "ns", h.Quantile(990))
		}
	}
}

func (c *collector) devices() {
	for _, t := range c.graph.Translated() {
		c.translated(t)
	}
	for _, m := range c.graph.Converters() {
		st := m.Stats()
		c.count("isp."+m.Name+".jobs", "count", st.Jobs)
		c.time("isp."+m.Name+".stalled", st.Stalled)
	}
	for _, d := range c.graph.Copiers() {
		st := d.Stats()
		c.count("dma."+d.Name+".blocks", "count", st.Blocks)
		c.count("dma."+d.Name+".interrupts", "count", st.Interrupts)
	}
	if len(c.scenario.Script) > 0 {
		steps, failed, _ := c.graph.Script()
		c.count("script.steps", "count", uint64(steps))
		c.count("script.errors", "count", uint64(len(failed)))
	}
	c.faults()
	st := c.graph.Allocator().Stats()
	c.count("dmabuf.maps", "count", st.Maps)
	c.count("dmabuf.unmaps", "count", st.Unmaps)
	c.count("dmabuf.cpu_access", "count", st.CPUAccess)
	c.count("dmabuf.mappings_unused", "count", uint64(c.graph.Allocator().MappingsUnused()))
}

// translated counts what an IOMMU and its driver did.
func (c *collector) translated(t graph.Translated) {
	name := "iommu." + t.Name + "."
	if t.MMU != nil {
		k := t.MMU.Counters()
		c.count(name+"tlb_hits", "count", k.Hits)
		c.count(name+"tlb_misses", "count", k.Misses)
		c.count(name+"walk_reads", "count", k.WalkReads)
		if k.WalkCacheHits > 0 {
			c.count(name+"walk_cache_hits", "count", k.WalkCacheHits)
		}
		c.count(name+"faults", "count", k.Faults.Total())
		if k.Faults.Total() > 0 {
			c.time(name+"stall_time", k.StallTime)
		}
		if k.StaleUses > 0 {
			c.count(name+"stale_uses", "count", k.StaleUses)
		}
	}
	d := t.Driver
	c.time(name+"map_time", d.Map.Time)
	if d.Unmap.Calls > 0 {
		c.time(name+"unmap_time", d.Unmap.Time)
	}
	if f := d.Faults; f.Handled+f.Unhandled > 0 {
		c.count(name+"faults_handled", "count", f.Handled)
		c.count(name+"faults_unhandled", "count", f.Unhandled)
		c.time(name+"resume_max", f.ResumeMax)
	}
	for _, p := range d.Mapped {
		if p.Pages > 0 {
			c.count(name+"pages_mapped."+units.Bytes(p.Bytes).String(), "pages", p.Pages)
		}
	}
	c.doc.Set(name+"iova_fragmentation", "fraction", result.Ratio(d.Space.Fragmentation(), 1_000_000, 6))
}

func (c *collector) coherency() {
	for _, k := range []struct {
		name string
		kind memory.ViolationKind
	}{
		{"stale_device_reads", memory.StaleDeviceRead},
		{"stale_cpu_reads", memory.StaleCPURead},
		{"lost_device_data", memory.LostDeviceData},
		{"lost_cpu_data", memory.LostCPUData},
		{"alias_errors", memory.AliasError},
	} {
		c.count("coherency."+k.name, "count", c.check.Count(k.kind))
	}
	c.count("coherency.others", "count", c.check.Others())
	c.count("coherency.violations", "count", c.check.Total())
	c.doc.Violations = c.check.Violations()
}
