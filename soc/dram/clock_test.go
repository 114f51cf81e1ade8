package dram

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"socsim/sim/bus"
	"socsim/sim/units"
)

func TestAfterAChangeOfClockAControllerIsAsOneJustMade(t *testing.T) {
	for _, channels := range []int{1, 2} {
		rapid.Check(t, func(rt *rapid.T) {
			cfg := lpddr166()
			cfg.Channels, cfg.Interleave = channels, 4096
			c := newController(t, cfg)
			at := int64(0)
			serve := func(c *Controller) (ends []int64) {
				for range rapid.IntRange(1, 40).Draw(rt, "bursts") {
					at += rapid.Int64Range(0, 3000).Draw(rt, "gap")
					pa := testBase + bus.Phys(rapid.IntRange(0, 1<<16).Draw(rt, "burst")*64)
					_, end := c.Serve(at, pa, 64, rapid.Bool().Draw(rt, "write"))
					ends = append(ends, end)
				}
				return ends
			}
			serve(c)
			before := c.Stats()
			hz := units.Hertz(rapid.Int64Range(20e6, 200e6).Draw(rt, "clock"))
			busy := c.Times()
			if err := c.SetClock(hz); err != nil {
				rt.Fatal(err)
			}
			if c.Stats() != before || c.Times() != busy {
				rt.Fatalf("%+v %+v after the change, %+v %+v before", c.Stats(), c.Times(), before, busy)
			}
			cfg.Clock = hz
			fresh := newController(t, cfg)
			at = 0
			for i := range rapid.IntRange(1, 100).Draw(rt, "more") {
				at += rapid.Int64Range(0, 3000).Draw(rt, "gap")
				pa := testBase + bus.Phys(rapid.IntRange(0, 1<<16).Draw(rt, "burst")*64)
				write := rapid.Bool().Draw(rt, "write")
				s1, e1 := c.Serve(at, pa, 64, write)
				s2, e2 := fresh.Serve(at, pa, 64, write)
				if s1 != s2 || e1 != e2 {
					rt.Fatalf("burst %d from %d to %d, of a new controller from %d to %d", i, s1, e1, s2, e2)
				}
			}
			if got, want := c.Times().Data, busy.Data+fresh.Times().Data; got != want {
				rt.Errorf("%v of data, want %v before and %v after", got, busy.Data, fresh.Times().Data)
			}
		})
	}
}

func TestTheClockCannotChangeWhileWritesMayBeWaiting(t *testing.T) {
	cfg := lpddr166()
	cfg.Scheduler, cfg.Queue = FirstReady, 32
	if err := newController(t, cfg).SetClock(83e6); err == nil || !strings.Contains(err.Error(), "writes may be waiting") {
		t.Errorf("got %v", err)
	}
}
