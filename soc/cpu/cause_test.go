package cpu

import (
	"testing"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/l3"
)

// because returns what f takes, by cause.
func (r *rig) because(f func()) [Causes]sim.Time {
	before := r.told()
	f()
	took := r.told()
	for i := range took {
		took[i] -= before[i]
	}
	return took
}

// told is the time of all causes so far.
func (r *rig) told() (causes [Causes]sim.Time) {
	for cause := range Causes {
		causes[cause] = r.CauseTime(cause)
	}
	return causes
}

func TestEachCostHasItsCause(t *testing.T) {
	type causes = [Causes]sim.Time
	r := newRig(t, nil)
	region := r.region(4 * l2Size)
	m, nc, wc := r.mapped(region, Cached), r.mapped(region, Uncached), r.mapped(region, WriteCombine)
	r.run(func(th *Thread) {
		th.Access(m, 0, 2*l1Size, Touch{Width: 64})
		for _, step := range []struct {
			name string
			do   func()
			want causes
		}{
			{"an L1 hit", func() { th.Access(m, 2*l1Size-4, 4, load) }, causes{CauseCompute: 3 * cycle}},
			{"work", func() { th.Access(m, 2*l1Size-64, 64, Touch{Width: 4, Compute: 1000}) }, causes{CauseCompute: (16 + 64) * cycle}},
			{"an L2 hit", func() { th.Access(m, 0, 4, load) }, causes{CauseCompute: 3 * cycle, CauseL2: 8 * cycle}},
			{"work of a driver", func() { th.Cycles(70) }, causes{CauseDriver: 70 * cycle}},
			{"a system call", func() { th.Syscall(func() {}) }, causes{CauseDriver: (530 + 1100) * cycle}},
			{"registers", func() { th.MMIO(1, 1) }, causes{CauseRegisters: 170 * sim.Nanosecond}},
			{"a barrier", func() { th.Barrier() }, causes{CauseBarrier: 40 * cycle}},
			{
				"maintenance", func() {
					th.MaintainRange(Pass{Op: cachemodel.Invalidate, Edge: EdgeFlush}, region.RunsOf(8192, 2*4096))
				},
				causes{CauseCall: 20 * cycle, CausePage: 2 * 5 * cycle, CauseLine: 128 * 34 * cycle, CauseBarrier: 40 * cycle},
			},
		} {
			if got := r.because(step.do); got != step.want {
				t.Errorf("%s: %v\nwant %v", step.name, got, step.want)
			}
		}
		// What waits for the bus, alone on it.
		th.Settle()
		issue := th.Now() + (1+8+25)*cycle
		got := r.because(func() { th.Access(m, 3*l1Size, 4, load) })
		if want := (causes{CauseCompute: 3 * cycle, CauseRefill: trip(issue, rcd, lineData) - issue + (8+25)*cycle}); got != want {
			t.Errorf("a miss: %v\nwant %v", got, want)
		}
		got = r.because(func() { th.Access(nc, 0, 256, Touch{Width: 4}) })
		if got[CauseUncached] == 0 || got[CauseCompute] != 64*cycle || got[CauseContention] != 0 {
			t.Errorf("uncached loads: %v", got)
		}
		got = r.because(func() { th.Access(wc, 0, 4096, Touch{Write: true, Width: 8}); th.Barrier() })
		if got[CausePosted] == 0 || got[CauseUncached]+got[CauseRefill]+got[CauseWriteBack] != 0 {
			t.Errorf("posted stores: %v", got)
		}
		th.Access(m, 0, 64, Touch{Width: 64})
		th.Access(m, 0, 64, Touch{Write: true, Width: 8})
		got = r.because(func() { th.MaintainRange(Pass{Op: cachemodel.Clean}, region.RunsOf(0, 64)) })
		if got[CauseWriteBack] < 7*cycle+hop+back || got[CausePosted] != 0 || got[CauseContention] != 0 {
			t.Errorf("a dirty line: %v", got)
		}
		th.MaintainAll(nil)
		got = r.because(func() { th.Access(m, 0, 64, load) })
		if got[CauseCollateral] == 0 || got[CauseRefill] != 0 {
			t.Errorf("a line that a whole-cache operation threw out: %v", got)
		}
	})
}

func TestWhatABusyMemoryAddsIsContention(t *testing.T) {
	run := func(busy bool, attr Attr, n int, how Touch) (took [Causes]sim.Time) {
		r := newRig(t, nil)
		region := r.region(64 << 10)
		if busy {
			h := &hog{region.Addr(0)} // in the same row, so that it stays open
			p := r.fabric.AddPort(l3.PortConfig{Master: other, Class: 2, Outstanding: 4}, h)
			p.Issue(0, h.at, line, bus.Read)
		}
		r.run(func(th *Thread) {
			m := r.mapped(region, attr)
			r.warm(th, m)
			th.Access(m, 0, 4, Touch{Width: 4}) // opens the row
			took = r.because(func() { th.Access(m, 128, n*line, how); th.Barrier() })
			r.eng.Stop()
		})
		return took
	}
	for _, c := range []struct {
		name  string
		attr  Attr
		lines int
		how   Touch
		cause Cause
	}{
		{"fills", Cached, 8, load, CauseRefill},
		{"uncached loads", Uncached, 8, load, CauseUncached},
		{"stores", WriteCombine, 1, Touch{Write: true, Width: 8}, CausePosted},
	} {
		alone, shared := run(false, c.attr, c.lines, c.how), run(true, c.attr, c.lines, c.how)
		if alone[CauseContention] > alone[c.cause]/2 || shared[CauseContention] <= alone[CauseContention] {
			t.Errorf("%s: contention is %v alone, %v on a busy bus", c.name, alone[CauseContention], shared[CauseContention])
		}
		if d := shared[c.cause] - alone[c.cause]; d > alone[c.cause]/3 || d < -alone[c.cause]/3 {
			t.Errorf("%s: %v of their own alone, %v on a busy bus", c.name, alone[c.cause], shared[c.cause])
		}
	}
	if alone := run(false, Cached, 8, load); alone[CauseContention] != 0 {
		t.Errorf("loads alone on the bus wait %v for others", alone[CauseContention])
	}
}
