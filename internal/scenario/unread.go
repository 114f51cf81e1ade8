package scenario

import (
	"fmt"
	"slices"
	"strings"

	"socsim/cachemodel"
	"socsim/iommu"
	"socsim/soc/dram"
	"socsim/soc/graph"
	"socsim/soc/l3"
)

// Unread is a setting that the user changed and that has no effect in the scenario.
type Unread struct {
	Path   string
	Origin string // file:line:column, or the override as it was given
	Why    string
}

func (u Unread) String() string {
	return fmt.Sprintf("%s: %s has no effect here: %s", u.Origin, u.Path, u.Why)
}

// unread lists what the files and overrides change to no effect, in the order in which it stands there.
func (l *Loaded) unread() []Unread {
	var out []Unread
	for _, c := range l.doc.Changes() {
		if why := l.NoEffect(c.Path); why != "" {
			out = append(out, Unread{c.Path, c.Origin, why})
		}
	}
	return out
}

// UnreadPaths lists the paths of Unread, sorted; nil if there are none.
func (l *Loaded) UnreadPaths() []string {
	var out []string
	for _, u := range l.Unread {
		out = append(out, u.Path)
	}
	slices.Sort(out)
	return out
}

// NoEffect says why the setting at a dotted path has no effect in the scenario, under any strategy and whatever its valid value; "" if it may have one.
func (l *Loaded) NoEffect(path string) string {
	steps := strings.Split(path, ".")
	for _, r := range unreadRules {
		if !slices.ContainsFunc(r.settings, func(pattern string) bool { return covers(strings.Split(pattern, "."), steps) }) {
			continue
		}
		if why := r.why(l, steps); why != "" {
			return why
		}
	}
	return ""
}

// covers tells whether a pattern stands for a path: * is any step, ** at the end any rest.
func covers(pattern, steps []string) bool {
	for i, p := range pattern {
		switch {
		case p == "**":
			return len(steps) > i
		case i >= len(steps) || p != "*" && p != steps[i]:
			return false
		}
	}
	return len(pattern) == len(steps)
}

// unreadRule says of settings when they have no effect.
type unreadRule struct {
	settings []string
	why      func(l *Loaded, steps []string) string // "" if they may have one
}

// chip is a rule about the chip alone or what runs on it.
func chip(why string, is func(l *Loaded) bool, settings ...string) unreadRule {
	return unreadRule{settings, func(l *Loaded, _ []string) string {
		if is(l) {
			return why
		}
		return ""
	}}
}

// stage is a rule about settings of one stage.
func stage(why string, is func(s *graph.Stage) bool, settings ...string) unreadRule {
	for i, s := range settings {
		settings[i] = "stages.*." + s
	}
	return unreadRule{settings, func(l *Loaded, steps []string) string {
		for i := range l.Stages {
			if s := &l.Stages[i]; s.Name == steps[1] && is(s) {
				return why
			}
		}
		return ""
	}}
}

// runsNothing is a rule about a device on which no stage runs.
func runsNothing(d graph.Device, settings ...string) unreadRule {
	return chip(fmt.Sprintf("no stage runs on the %s", d), func(l *Loaded) bool { return !l.any(func(s *graph.Stage) bool { return s.Device == d }) }, settings...)
}

func (l *Loaded) any(is func(s *graph.Stage) bool) bool {
	return slices.ContainsFunc(l.Stages, func(s graph.Stage) bool { return is(&s) })
}

// fromMemory tells whether a stage on the ISP reads frames of a format, or of any but that, from memory.
func (l *Loaded) fromMemory(raw bool) bool {
	return l.any(func(s *graph.Stage) bool {
		if s.Device != graph.ISP || s.Sensor != nil {
			return false
		}
		return slices.ContainsFunc(l.Buffers, func(b graph.Buffer) bool { return b.Name == s.Input && (b.Format == graph.FormatRaw) == raw })
	})
}

// under lists settings below a path.
func under(path string, names ...string) []string {
	var out []string
	for _, n := range names {
		out = append(out, path+"."+n)
	}
	return out
}

// outer tells whether a level of cache lies outside the core.
func (l *Loaded) outer() bool {
	return l.SoC.L2.Size > 0 && l.SoC.L2.Outer || l.SoC.LLC.Size > 0 && l.SoC.LLC.Outer
}

// allocates tells whether a level of cache allocates for stores.
func (l *Loaded) allocates() bool {
	c := l.SoC
	return c.L1D.Allocate == cachemodel.ReadWriteAllocate || c.L2.Size > 0 && c.L2.Allocate == cachemodel.ReadWriteAllocate || c.LLC.Size > 0 && c.LLC.Allocate == cachemodel.ReadWriteAllocate
}

// The settings of parts that may be missing, without those that say whether they are.
var (
	ofACache       = []string{"ways", "line", "replacement", "write", "allocate", "sub_block", "inclusion", "outer"}
	ofACommandBank = []string{"page", "banks", "row", "map", "hash", "cl", "cwl", "trcd", "trp", "tras", "trc", "trrd", "tfaw", "trtp", "twr", "twtr", "trtw", "trfc", "trefi", "power_down"}
	initiators     = []string{"cpu", "isp", "gpu", "display", "sdma"}
)

// unreadRules are all that is known about when settings have no effect. The tests of the package run move every setting that they name, in the scenarios of the library and beside them, and nothing may change.
var unreadRules = append([]unreadRule{
	runsNothing(graph.ISP, "soc.isp.**"),
	runsNothing(graph.GPU, "soc.gpu.**"),
	runsNothing(graph.Display, "soc.display.**"),
	runsNothing(graph.DMA, "soc.sdma.**"),
	chip("no stage on the isp reads raw frames from memory", func(l *Loaded) bool { return !l.fromMemory(true) }, "soc.isp.m2m_rate"),
	chip("no stage on the isp reads images from memory", func(l *Loaded) bool { return !l.fromMemory(false) }, "soc.isp.m2m_resizer_rate"),
	chip("no stage on the isp has statistics", func(l *Loaded) bool { return !l.any(func(s *graph.Stage) bool { return s.Statistics != nil }) }, "soc.isp.small_port_bytes"),
	chip("soc.isp.mmu.format is not smmu", func(l *Loaded) bool { return l.SoC.ISP.MMU.Format != iommu.SMMU }, "soc.isp.mmu.walk_cache"),
	chip("soc.gpu.mmu.format is not smmu", func(l *Loaded) bool { return l.SoC.GPU.MMU.Format != iommu.SMMU }, "soc.gpu.mmu.walk_cache"),

	chip("soc.l2.size is 0B", func(l *Loaded) bool { return l.SoC.L2.Size == 0 }, append(under("soc.l2", ofACache...), "soc.cpu.l2_cycles")...),
	chip("soc.llc.size is 0B", func(l *Loaded) bool { return l.SoC.LLC.Size == 0 }, append(under("soc.llc", ofACache...), "soc.cpu.llc_cycles")...),
	chip("soc.system_cache.size is 0B", func(l *Loaded) bool { return l.SoC.SystemCache.Size == 0 }, under("soc.system_cache", "ways", "replacement", "lookup_cycles", "data_cycles")...),
	chip("no level of cache lies outside the core", func(l *Loaded) bool { return !l.outer() }, under("soc.cpu.maintenance", "outer_call", "outer_line", "outer_way")...),
	chip("soc.l1d.index is pipt, which has no aliases", func(l *Loaded) bool { return l.SoC.L1D.Index == cachemodel.PIPT }, "soc.l1d.aliases"),
	chip("no level of cache allocates for stores", func(l *Loaded) bool { return !l.allocates() }, "soc.cpu.streaming_stores"),

	chip("soc.dram.scheduler is not frfcfs", func(l *Loaded) bool { return l.SoC.DRAM.Scheduler != dram.FirstReady }, "soc.dram.queue"),
	chip("soc.dram.scheduler is not inorder", func(l *Loaded) bool { return l.SoC.DRAM.Scheduler != dram.InOrder }, "soc.dram.look_ahead"),
	chip("soc.dram.scheduler knows no banks and commands", func(l *Loaded) bool { return !l.SoC.DRAM.Scheduler.Banked() }, under("soc.dram", ofACommandBank...)...),
	chip("soc.dram.channels is 1", func(l *Loaded) bool { return l.SoC.DRAM.Channels == 1 }, "soc.dram.interleave"),
	chip("soc.dram.power_down is 0s", func(l *Loaded) bool { return l.SoC.DRAM.PowerDown == 0 }, "soc.dram.txp", "soc.dram.tcke"),

	chip("no camera captures frames", func(l *Loaded) bool { return !l.any(func(s *graph.Stage) bool { return s.Sensor != nil }) }, "run.frames"),

	stage("rotation is 0", func(s *graph.Stage) bool { return s.Rotation.Degrees() == 0 }, "rotator"),
	stage("it is no cpu stage", func(s *graph.Stage) bool { return s.Device != graph.CPU }, "sync"),
	stage("the stage takes no frames", func(s *graph.Stage) bool { return s.Input == "" && len(s.Inputs) == 0 }, "every"),

	{[]string{"clocks.*.cpu_stall"}, clockRule("the core's clock does not change", func(c graph.ClockChange) bool { return c.CPU == 0 })},
	{[]string{"clocks.*.memory_stall"}, clockRule("the memory's clock does not change", func(c graph.ClockChange) bool { return c.DRAM == 0 })},
}, initiatorRules()...)

func clockRule(why string, is func(graph.ClockChange) bool) func(l *Loaded, steps []string) string {
	return func(l *Loaded, steps []string) string {
		for i, c := range l.Clocks {
			if fmt.Sprint(i) == steps[1] && is(c) {
				return why
			}
		}
		return ""
	}
}

// initiatorRules are those about an initiator's port on the interconnect.
func initiatorRules() []unreadRule {
	var out []unreadRule
	for _, name := range initiators {
		out = append(out,
			chip("soc."+name+".bus_limit is 0B", func(l *Loaded) bool { return l.initiator(name).Limit == 0 }, "soc."+name+".bus_limit_burst"),
			chip("soc."+name+".bus_width is 0B", func(l *Loaded) bool { return l.initiator(name).Width == 0 }, "soc."+name+".bus_clock"))
	}
	return out
}

func (l *Loaded) initiator(name string) *l3.Initiator {
	return map[string]*l3.Initiator{"cpu": &l.SoC.CPU.Initiator, "isp": &l.SoC.ISP.Initiator, "gpu": &l.SoC.GPU.Initiator, "display": &l.SoC.Display.Initiator, "sdma": &l.SoC.SDMA.Initiator}[name]
}
