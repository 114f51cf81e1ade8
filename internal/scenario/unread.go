package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"socsim/cachemodel"
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
		if slices.ContainsFunc(r.settings, func(pattern string) bool { return covers(strings.Split(pattern, "."), steps) }) && r.is(l, steps) {
			return r.reason
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
	reason   string
	is       func(l *Loaded, steps []string) bool
}

// Rule tells of settings when they have no effect. In their paths * stands for any step, and ** at the end for any rest.
type Rule struct {
	Settings []string
	When     string
}

// Covers tells whether the rule is about the setting at a path.
func (r Rule) Covers(path string) bool {
	return slices.ContainsFunc(r.Settings, func(p string) bool { return covers(strings.Split(p, "."), strings.Split(path, ".")) })
}

// Rules lists when settings have no effect.
func Rules() []Rule {
	var out []Rule
	for _, r := range unreadRules {
		out = append(out, Rule{r.settings, r.reason})
	}
	return out
}

// chip is a rule about the chip, or about what runs on it.
func chip(reason string, is func(l *Loaded) bool, settings ...string) unreadRule {
	return unreadRule{settings, reason, func(l *Loaded, _ []string) bool { return is(l) }}
}

// always is a rule about settings that the software of the model leaves no choice about.
func always(reason string, settings ...string) unreadRule {
	return chip(reason, func(*Loaded) bool { return true }, settings...)
}

// stage is a rule about a setting of one stage.
func stage(reason string, is func(s *graph.Stage) bool, setting string) unreadRule {
	return unreadRule{[]string{"stages.*." + setting}, reason, func(l *Loaded, steps []string) bool {
		return l.any(func(s *graph.Stage) bool { return s.Name == steps[1] && is(s) })
	}}
}

// clock is a rule about a setting of one change of clocks.
func clock(reason string, is func(graph.ClockChange) bool, setting string) unreadRule {
	return unreadRule{[]string{"clocks.*." + setting}, reason, func(l *Loaded, steps []string) bool {
		i, err := strconv.Atoi(steps[1])
		return err == nil && i < len(l.Clocks) && is(l.Clocks[i])
	}}
}

// runsNothing is a rule about a device on which no stage runs.
func runsNothing(d graph.Device, settings ...string) unreadRule {
	return chip(fmt.Sprintf("no stage runs on the %s", d), func(l *Loaded) bool { return !l.runs(d) }, settings...)
}

func (l *Loaded) runs(d graph.Device) bool {
	return l.any(func(s *graph.Stage) bool { return s.Device == d })
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
	ofACommandBank = []string{"page", "banks", "row", "map", "hash", "cl", "cwl", "trcd", "trp", "tras", "trc", "trrd", "tfaw", "trtp", "twr", "twtr", "trtw", "trfc", "trefi"}
	ofTheDriver    = []string{"channels", "arbitration_rate", "fifo", "channel_fifo", "write_mode", "packing", "prepare_cycles", "complete_cycles"}
	initiators     = []string{"cpu", "isp", "gpu", "display", "sdma"}
)

// unreadRules are all that is known about when settings have no effect. The tests of the package run move every setting that they name, in the scenarios of the library and beside them, and nothing may change.
var unreadRules = append([]unreadRule{
	runsNothing(graph.ISP, "soc.isp.**"),
	runsNothing(graph.GPU, "soc.gpu.**"),
	runsNothing(graph.Display, "soc.display.**"),
	runsNothing(graph.DMA, under("soc.sdma", ofTheDriver...)...),
	chip("no stage runs on the dma, and no script has devices, which stand where it does", func(l *Loaded) bool { return !l.runs(graph.DMA) && len(l.Script) == 0 }, "soc.sdma.**"),
	always("the driver carries one transfer out at a time, on one channel", "soc.sdma.channels"),
	always("the driver asks for no channel of high priority", "soc.sdma.arbitration_rate"),
	chip("no stage on the isp reads raw frames from memory", func(l *Loaded) bool { return !l.fromMemory(true) }, "soc.isp.m2m_rate"),
	chip("no stage on the isp reads images from memory", func(l *Loaded) bool { return !l.fromMemory(false) }, "soc.isp.m2m_resizer_rate"),
	chip("no stage on the isp has statistics", func(l *Loaded) bool { return !l.any(func(s *graph.Stage) bool { return s.Statistics != nil }) }, "soc.isp.small_port_bytes"),

	chip("soc.l2.size is 0B", func(l *Loaded) bool { return l.SoC.L2.Size == 0 }, under("soc.l2", ofACache...)...),
	chip("soc.llc.size is 0B", func(l *Loaded) bool { return l.SoC.LLC.Size == 0 }, append(under("soc.llc", ofACache...), "soc.cpu.llc_cycles")...),
	chip("soc.system_cache.size is 0B", func(l *Loaded) bool { return l.SoC.SystemCache.Size == 0 }, under("soc.system_cache", "ways", "replacement", "lookup_cycles", "data_cycles")...),
	chip("no level of cache lies outside the core", func(l *Loaded) bool { return !l.outer() }, under("soc.cpu.maintenance", "outer_call", "outer_line", "outer_way")...),
	chip("soc.l1d.index is pipt, which has no aliases", func(l *Loaded) bool { return l.SoC.L1D.Index == cachemodel.PIPT }, "soc.l1d.aliases"),
	chip("no level of cache allocates for stores", func(l *Loaded) bool { return !l.allocates() }, "soc.cpu.streaming_stores"),

	chip("soc.dram.scheduler is not frfcfs", func(l *Loaded) bool { return l.SoC.DRAM.Scheduler != dram.FirstReady }, "soc.dram.queue"),
	chip("soc.dram.scheduler is frfcfs", func(l *Loaded) bool { return l.SoC.DRAM.Scheduler == dram.FirstReady }, "soc.dram.look_ahead"),
	chip("soc.dram.scheduler knows no banks and commands", func(l *Loaded) bool { return !l.SoC.DRAM.Scheduler.Banked() }, under("soc.dram", ofACommandBank...)...),
	chip("soc.dram.channels is 1", func(l *Loaded) bool { return l.SoC.DRAM.Channels == 1 }, "soc.dram.interleave"),
	chip("soc.dram.power_down is 0s", func(l *Loaded) bool { return l.SoC.DRAM.PowerDown == 0 }, "soc.dram.txp", "soc.dram.tcke"),

	chip("no two initiators run of which one is of class 1 and one of class 2", func(l *Loaded) bool { return l.ofClass(1) == 0 || l.ofClass(2) == 0 }, "soc.l3.class1_weight", "soc.l3.class2_weight"),

	chip("no camera captures frames", func(l *Loaded) bool { return !l.any(func(s *graph.Stage) bool { return s.Sensor != nil }) }, "run.frames"),

	stage("rotation is 0", func(s *graph.Stage) bool { return s.Rotation.Degrees() == 0 }, "rotator"),
	stage("it is no cpu stage", func(s *graph.Stage) bool { return s.Device != graph.CPU }, "sync"),

	clock("the core's clock does not change then", func(c graph.ClockChange) bool { return c.CPU == 0 }, "cpu_stall"),
	clock("the memory's clock does not change then", func(c graph.ClockChange) bool { return c.DRAM == 0 }, "memory_stall"),
}, initiatorRules()...)

// initiatorRules are those about an initiator's port on the interconnect.
func initiatorRules() []unreadRule {
	var out []unreadRule
	for _, name := range initiators {
		out = append(out,
			chip("soc."+name+".bus_limit is 0B", func(l *Loaded) bool { return l.initiator(name).Limit == 0 }, "soc."+name+".bus_limit_burst"),
			chip("no other initiator of its class runs", func(l *Loaded) bool { return l.ports(name) == 1 && l.ofClass(l.initiator(name).Class) == 1 }, under("soc."+name, "bus_group", "bus_high_priority", "bus_services")...),
			chip("soc."+name+".bus_width is 0B", func(l *Loaded) bool { return l.initiator(name).Width == 0 }, "soc."+name+".bus_clock"))
	}
	return out
}

// ports returns how many ports of the interconnect have an initiator's settings: one for the core, one for each stage with a device of its own, and one for each device of a script, which has the system DMA's.
func (l *Loaded) ports(name string) int {
	if name == "cpu" {
		return 1
	}
	n := 0
	for _, s := range l.Stages {
		if s.Shares == "" && (string(s.Device) == name || s.Device == graph.DMA && name == "sdma") {
			n++
		}
	}
	devices := map[string]bool{}
	for _, x := range l.Script {
		if x.Device != "" && name == "sdma" {
			devices[x.Device] = true
		}
	}
	return n + len(devices)
}

// ofClass returns how many ports are of a class.
func (l *Loaded) ofClass(class int) int {
	n := 0
	for _, name := range initiators {
		if l.initiator(name).Class == class {
			n += l.ports(name)
		}
	}
	return n
}

func (l *Loaded) initiator(name string) *l3.Initiator {
	return map[string]*l3.Initiator{"cpu": &l.SoC.CPU.Initiator, "isp": &l.SoC.ISP.Initiator, "gpu": &l.SoC.GPU.Initiator, "display": &l.SoC.Display.Initiator, "sdma": &l.SoC.SDMA.Initiator}[name]
}
