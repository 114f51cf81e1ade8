package run

import (
	"socsim/internal/result"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/dram"
	"socsim/soc/l3"
)

// causes reports where the core's and the memory bus's time went. The parts are exact, in ns with three decimals, and add up to the time measured: the bus's once for each channel. A cause that took
// no time is absent, but for the two idle ones.
func (c *collector) causes() {
	for cause := range cpu.Causes {
		c.cause("cpu.time."+cause.String(), c.sys.Core.CauseTime(cause), cause == cpu.CauseIdle)
	}
	c.busCauses()
}

func (c *collector) cause(name string, t sim.Time, always bool) {
	if t != 0 || always {
		c.doc.Set(name, "ns", result.Number{Int: int64(t), Digits: 3})
	}
}

// overheads are the causes of the bus that move no data.
var overheads = []struct {
	name  string
	cause dram.BusCause
}{{"latency", dram.BusLatency}, {"refresh", dram.BusRefresh}, {"wake_up", dram.BusWakeUp}, {"row", dram.BusRow}, {"turnaround", dram.BusTurnaround}}

// uses names what a master's data is for.
var uses = []struct {
	name string
	kind bus.Kind
	use  bus.Use
}{
	{"read", bus.Read, bus.UsePlain},
	{"write", bus.Write, bus.UsePlain},
	{"walk", bus.WalkRead, bus.UsePlain},
	{"fill", bus.Fill, bus.UsePlain},
	{"uncached", bus.Fill, bus.UseUncached},
	{"speculation", bus.Fill, bus.UseSpeculation},
	{"evict", bus.WriteBack, bus.UsePlain},
	{"maintenance", bus.WriteBack, bus.UseMaintenance},
	{"store", bus.WriteBack, bus.UseStore},
}

// busCauses reports the bus's time. Clocks become time by the edges between them, one cause behind the other, so that nothing is lost to rounding; what the time measured has beyond whole clocks is idle.
func (c *collector) busCauses() {
	b := c.sys.Fabric.BusTime(c.scenario.Run.Warmup + c.measured)
	if b.Buses == 0 {
		return
	}
	idle := c.measured * sim.Time(b.Buses)
	part := func(name string, t sim.Time) {
		idle -= t
		c.cause("dram.time."+name, t, false)
	}
	passed := make([]int64, len(b.Spans))
	add := func(name string, clocks func(*l3.BusSpan) int64) {
		t := sim.Time(0)
		for i := range b.Spans {
			s := &b.Spans[i]
			from := s.Clock.Cycles(passed[i])
			passed[i] += clocks(s)
			t += s.Clock.Cycles(passed[i]) - from
		}
		part(name, t)
	}
	for _, o := range overheads {
		add(o.name, func(s *l3.BusSpan) int64 { return s.BusTime[o.cause] })
	}
	for i, master := range c.sys.Masters() {
		for _, u := range uses {
			add(master+"."+u.name, func(s *l3.BusSpan) int64 { return s.Data(bus.Master(i), u.kind, u.use) })
		}
	}
	part("clock_change", b.Still*sim.Time(b.Buses))
	c.cause("dram.time.idle", idle, true)
}
