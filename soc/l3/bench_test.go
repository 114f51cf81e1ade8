package l3

import (
	"context"
	"fmt"
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
)

// client issues transfers of one size through a window of memory, each a period after the one before or when that is granted, whichever is later.
type client struct {
	port   *bus.Port
	kind   bus.Kind
	base   bus.Phys
	off, n int
	step   int
	window int // bytes that it goes round in
	next   sim.Time
	period sim.Time
}

const window = 1 << 19

func (c *client) issue(at sim.Time) {
	c.next = at + c.period
	c.port.Issue(at, c.base+bus.Phys(c.off), c.n, c.kind)
	c.off = (c.off + c.step) & (c.window - 1)
}

func (c *client) Granted(p *bus.Port, done sim.Time) {
	c.issue(max(c.next, p.Issued()+p.Hop+p.Waited))
}

// preview returns a rig with the four initiators of a camera preview: display, camera, CPU and GPU. Saturated, CPU and GPU take all that display and
// camera leave.
func preview(t testing.TB, saturated bool) *rig {
	r := newRig(t, nil)
	for i, x := range []struct {
		class          uint8
		outstanding, n int
		step           int
		kind           bus.Kind
		period         sim.Time
	}{
		{0, 4, 64, 64, bus.Read, 650 * sim.Nanosecond},
		{0, 4, 256, 256, bus.Write, 3500 * sim.Nanosecond},
		{1, 1, 64, 5 * 64, bus.Fill, 250 * sim.Nanosecond},
		{2, 8, 64, 17 * 64, bus.Read, 500 * sim.Nanosecond},
	} {
		c := &client{kind: x.kind, base: testBase + bus.Phys(i*(window+4096)), n: x.n, step: x.step, window: window, period: x.period}
		if saturated && x.class > 0 {
			c.period = 0
		}
		c.port = r.AddPort(PortConfig{Master: bus.Master(i + 1), Class: x.class, Outstanding: x.outstanding}, c)
		c.issue(0)
	}
	return r
}

func TestServingBurstsAllocatesNothing(t *testing.T) {
	r := preview(t, false)
	until := sim.Time(0)
	if n := testing.AllocsPerRun(10, func() {
		until += sim.Millisecond
		r.AdvanceTo(until)
	}); n != 0 {
		t.Errorf("%v allocations a millisecond", n)
	}
	if r.Grants() < 10*1000 {
		t.Errorf("only %d bursts in 11 ms", r.Grants())
	}
}

func BenchmarkBursts(b *testing.B) {
	for _, bm := range []struct {
		name      string
		saturated bool
	}{{"paced", false}, {"saturated", true}} {
		b.Run(bm.name, func(b *testing.B) {
			r := preview(b, bm.saturated)
			ctx := context.Background()
			until := sim.Time(0)
			b.ReportAllocs()
			b.ResetTimer()
			for r.Grants() < uint64(b.N) {
				until += 100 * sim.Microsecond
				if err := r.eng.Run(ctx, until); err != nil {
					b.Fatal(err)
				}
			}
			bursts, seconds := float64(r.Grants()), b.Elapsed().Seconds()
			b.ReportMetric(bursts/seconds, "bursts/s")
			b.ReportMetric(float64(until)/float64(sim.Second)/seconds, "sim-s/s")
			b.ReportMetric(float64(r.ctl.Stats().DataClocks)/float64(r.ctl.Clock().Ceil(until)), "utilization")
			b.ReportMetric(float64(r.ctl.Stats().RowHits)/bursts, "row-hits")
		})
	}
}

// How the cost of a burst grows with the number of initiators: all of them paced so that together they take two thirds of the memory, in three classes, over the same bytes in all.
func BenchmarkInitiators(b *testing.B) {
	for _, n := range []int{2, 4, 8, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRig(b, nil)
			for i := range n {
				c := &client{kind: bus.Read, base: testBase + bus.Phys(i*window/n), n: 64, step: 5 * 64, window: window / n, period: sim.Time(n) * 80 * sim.Nanosecond}
				if i%3 == 1 {
					c.kind = bus.Write
				}
				c.port = r.AddPort(PortConfig{Master: bus.Master(i + 1), Class: uint8(i % 3), Outstanding: 4}, c)
				c.issue(sim.Time(i) * 11 * sim.Nanosecond)
			}
			ctx := context.Background()
			until := sim.Time(0)
			b.ReportAllocs()
			b.ResetTimer()
			for r.Grants() < uint64(b.N) {
				until += 100 * sim.Microsecond
				if err := r.eng.Run(ctx, until); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(r.Grants())/b.Elapsed().Seconds(), "bursts/s")
		})
	}
}
