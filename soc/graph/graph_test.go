package graph

import (
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/cpu"
)

func TestCameraPreviewRuns(t *testing.T) {
	for _, name := range []string{"none", "range", "whole", "uncached"} {
		r := start(t, chip(), preview(), strategy(t, name), 200*sim.Millisecond)
		r.sys.Fabric.ResetStats()
		r.sys.Core.Reset(200 * sim.Millisecond)
		r.graph.Reset()
		r.run(t, 700*sim.Millisecond)
		r.sys.Core.Close(700 * sim.Millisecond)
		c := r.sys.Core
		sum := c.Time(cpu.Idle) + c.Time(cpu.Driver) + c.Time(cpu.Maint) + c.Time(cpu.Interrupt)
		for i := range c.Tasks() {
			sum += c.TaskTime(i)
			t.Log(c.Tasks()[i], c.TaskTime(i))
		}
		if sum != 500*sim.Millisecond {
			t.Errorf("%s: the accounts add up to %v, want 500ms", name, sum)
		}
		t.Logf("%s: isp %+v display %+v", name, r.graph.Cameras()[0].Stats(), r.graph.Screens()[0].Stats())
		t.Logf("  idle %v driver %v maint %v irq %v irqoff %v", c.Time(cpu.Idle), c.Time(cpu.Driver), c.Time(cpu.Maint), c.Time(cpu.Interrupt), c.IRQOffMax())
		t.Logf("  stats %+v", c.Stats())
		t.Logf("  violations %v tasks %v", r.seen.count, r.graph.Tasks())
		t.Logf("  dram %+v", r.sys.DRAM.Stats())
		for i, m := range r.sys.Masters() {
			st := r.sys.Fabric.Stats(bus.Master(i))
			t.Logf("  %s r %d w %d mean %.0f p99 %d", m, st.BytesRead, st.BytesWritten, float64(st.Latency.Sum())/1000/float64(max(1, st.Latency.Count())), st.Latency.Quantile(990))
		}
		t.Logf("  events %d grants %d latency %v", r.sys.Engine.Events(), r.sys.Fabric.Grants(), r.graph.Results().Latency[:3])
	}
}
