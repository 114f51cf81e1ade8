package cpu

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/memory"
)

// sum adds all accounts up, and complains about one that is negative.
func (r *rig) sum(tb rapid.TB) sim.Time {
	total := sim.Time(0)
	for i, d := range r.ledger {
		if d < 0 {
			tb.Errorf("account %d is %v", i, d)
		}
		total += d
	}
	return total
}

// step is one thing a random thread does.
type step func(t *Thread)

// steps draws a program over a shared buffer.
func steps(rt *rapid.T, r *rig, maps map[Attr]*Mapping, label string) []step {
	region := maps[Cached].Region
	size := int(region.Bytes)
	return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
		n := rapid.IntRange(1, 3000).Draw(rt, "n")
		off := rapid.IntRange(0, size-n).Draw(rt, "off")
		switch rapid.IntRange(0, 8).Draw(rt, "step") {
		case 0:
			return func(t *Thread) { t.Cycles(int64(n) * 17) }
		case 1:
			return func(t *Thread) { t.SleepUntil(t.Now() + sim.Time(n)*37*sim.Nanosecond) }
		case 2, 3:
			m := maps[rapid.SampledFrom([]Attr{Cached, Cached, Uncached, WriteCombine, WriteThrough}).Draw(rt, "attr")]
			how := Touch{Write: rapid.Bool().Draw(rt, "write"), Width: 8, Dependent: true, Compute: 300}
			return func(t *Thread) { t.Access(m, off, n, how) }
		case 4:
			op := rapid.SampledFrom([]cachemodel.Op{cachemodel.Clean, cachemodel.Invalidate, cachemodel.CleanInvalidate}).Draw(rt, "op")
			return func(t *Thread) { t.MaintainRange(Pass{Op: op, Edge: EdgeFlush}, region.RunsOf(off, n)) }
		case 5:
			return func(t *Thread) { t.MaintainAll([]*memory.Region{region}) }
		case 6:
			return func(t *Thread) { t.Syscall(func() { t.Cycles(int64(n)) }) }
		case 7:
			return func(t *Thread) { t.PageFaults(1 + n%3); t.Barrier() }
		default:
			return func(t *Thread) { t.MMIO(n%4, n%3); t.Settle() }
		}
	}), 1, 12).Draw(rt, label)
}

func TestTheAccountsAddUpToTheRun(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, func(c *Config) {
			c.OS.Timeslice = 3 * sim.Microsecond
			c.Speculation = rapid.SampledFrom([]units.Cycles{0, 40, 700}).Draw(rt, "speculation")
		})
		region := r.region(16 << 10)
		maps := map[Attr]*Mapping{}
		for _, a := range []Attr{Cached, Uncached, WriteCombine, WriteThrough} {
			maps[a] = r.mapped(region, a)
		}
		forever := func(name string) func(t *Thread) {
			program := steps(rt, r, maps, name)
			return func(t *Thread) {
				for {
					for _, s := range program {
						s(t)
					}
					t.SleepUntil(t.Now() + sim.Microsecond)
				}
			}
		}
		for i := range rapid.IntRange(0, 2).Draw(rt, "drivers") {
			r.Spawn("driver", forever(fmt.Sprint("driver ", i)))
		}
		for i := range rapid.IntRange(0, 3).Draw(rt, "tasks") {
			r.SpawnTask(fmt.Sprint("task", i), forever(fmt.Sprint("task ", i)))
		}
		for i := range rapid.IntRange(0, 2).Draw(rt, "interrupts") {
			work := rapid.Int64Range(0, 5000).Draw(rt, "work")
			irq := r.SpawnIRQ(fmt.Sprint("irq", i), func(t *Thread) { t.Cycles(work) })
			for range rapid.IntRange(0, 6).Draw(rt, "raises") {
				r.at(sim.Time(rapid.Int64Range(0, int64(60*sim.Microsecond)).Draw(rt, "at")), irq.Raise)
			}
		}
		reset := sim.Time(rapid.Int64Range(0, int64(80*sim.Microsecond)).Draw(rt, "reset"))
		end := reset + sim.Time(rapid.Int64Range(0, int64(200*sim.Microsecond)).Draw(rt, "run"))
		stop := func(at sim.Time) {
			if at > r.eng.Now() {
				r.at(at, func() {}) // keeps the core from running ahead of the end
				r.until(at - 1)
			}
		}
		stop(reset)
		r.Reset(reset)
		stop(end)
		r.Close(end)
		if got := r.sum(rt); got != end-reset {
			rt.Errorf("the accounts add up to %v, want %v", got, end-reset)
		}
		var causes sim.Time
		for cause, d := range r.causes {
			if d < 0 {
				rt.Errorf("%v took %v", Cause(cause), d)
			}
			causes += d
		}
		if causes != end-reset || r.causes[CauseIdle] != r.ledger[Idle] {
			rt.Errorf("the causes add up to %v, want %v; idle for %v, want %v", causes, end-reset, r.causes[CauseIdle], r.ledger[Idle])
		}
		r.eng.Close()
	})
}

func TestEveryInterruptIsHandled(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, nil)
		m := r.mapped(r.region(4096), Cached)
		raised, handled := 0, 0
		for i := range rapid.IntRange(1, 3).Draw(rt, "lines") {
			work := rapid.Int64Range(0, 5000).Draw(rt, "work")
			irq := r.SpawnIRQ(fmt.Sprint("irq", i), func(t *Thread) {
				t.Cycles(work)
				t.Access(m, 0, 256, Touch{Width: 8})
				handled++
			})
			for range rapid.IntRange(0, 12).Draw(rt, "raises") {
				r.at(sim.Time(rapid.Int64Range(0, int64(40*sim.Microsecond)).Draw(rt, "at")), irq.Raise)
				raised++
			}
		}
		r.Spawn("driver", func(t *Thread) { t.Access(m, 0, 4096, Touch{Width: 8, Compute: 4000}) })
		r.until(sim.Never)
		if handled != raised {
			rt.Errorf("raised %d, handled %d", raised, handled)
		}
		r.eng.Close()
	})
}

func TestARunIsTheSameWhereverItIsCut(t *testing.T) {
	trace := func(cuts ...sim.Time) (out []sim.Time) {
		r := newRig(t, nil)
		m := r.mapped(r.region(8192), Cached)
		irq := r.SpawnIRQ("irq", func(th *Thread) { out = append(out, th.Now()) })
		for i := range 20 {
			r.at(sim.Time(i)*7777*sim.Nanosecond, irq.Raise)
		}
		for i := range 2 {
			r.SpawnTask(fmt.Sprint(i), func(th *Thread) {
				for range 50 {
					th.Access(m, 0, 8192, Touch{Width: 8, Compute: 500})
					out = append(out, th.Now())
				}
			})
		}
		for _, c := range cuts {
			r.until(c)
		}
		r.until(sim.Never)
		return out
	}
	whole := trace()
	if cut := trace(12345, 10*sim.Microsecond, 77777777, 100*sim.Microsecond); !slices.Equal(cut, whole) {
		t.Error("a run in pieces differs from one in one go")
	}
}

func TestIdleTimeIsWhatIsLeft(t *testing.T) {
	r := newRig(t, nil)
	r.SpawnTask("task", func(th *Thread) {
		th.SleepUntil(50 * sim.Microsecond)
		th.Cycles(20_000)
	})
	r.until(100 * sim.Microsecond)
	r.Close(100 * sim.Microsecond)
	equal(t, "task", r.TaskTime(0), 20*sim.Microsecond)
	equal(t, "idle", r.Time(Idle), 80*sim.Microsecond)
}

func TestWaitingForTheBusIsNotIdleAtTheEndOfARun(t *testing.T) {
	r := newRig(t, nil)
	m := r.mapped(r.region(4096), Cached)
	r.SpawnTask("task", func(th *Thread) { th.Access(m, 0, 4, load) })
	end := 90 * sim.Nanosecond // on the way to the arbiter, waiting for the next event
	r.at(100*sim.Nanosecond, func() {})
	r.until(end)
	r.Close(end)
	equal(t, "idle", r.Time(Idle), 0)
	equal(t, "task", r.TaskTime(0), end)
}

func TestASwitchCutByTheEndIsTheDrivers(t *testing.T) {
	r := newRig(t, nil)
	r.Spawn("driver", func(th *Thread) { th.Cycles(1000) })
	r.SpawnTask("task", func(th *Thread) { th.Cycles(1000) })
	end := 2 * sim.Microsecond // in the middle of the switch
	r.at(end, func() {})
	r.until(end - 1)
	r.Close(end)
	equal(t, "driver", r.Time(Driver), end)
	equal(t, "task", r.TaskTime(0), 0)
}

// noter collects what happened when.
type noter struct{ lines []string }

func (n *noter) note(t *Thread, what string) {
	n.lines = append(n.lines, fmt.Sprintf("%d %s", t.Now()/sim.Nanosecond, what))
}

func (n *noter) check(tb testing.TB, want string) {
	tb.Helper()
	if got := strings.Join(n.lines, "; "); got != want {
		tb.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestInterruptsGoBeforeDriversAndDriversBeforeTasks(t *testing.T) {
	r := newRig(t, nil)
	var n noter
	irq := r.SpawnIRQ("irq", func(th *Thread) { n.note(th, "irq") })
	var q WaitQueue
	r.Spawn("driver", func(th *Thread) {
		q.Wait(th)
		n.note(th, "driver")
		th.Cycles(5000)
		n.note(th, "driver done")
	})
	r.SpawnTask("task", func(th *Thread) {
		th.Cycles(20_000) // from 3600 on, after the switch
		n.note(th, "task done")
	})
	r.at(10*sim.Microsecond, q.WakeAll)
	r.at(15*sim.Microsecond, irq.Raise)
	r.until(sim.Never)
	// The task has worked 6400 of 20000 cycles when the driver comes; the interrupt takes 1500 + 1200 + 600 out of the driver's 5000.
	n.check(t, "13600 driver; 17700 irq; 21900 driver done; 39100 task done")
}

func TestAnInterruptIsNotPreempted(t *testing.T) {
	r := newRig(t, nil)
	var n noter
	handler := func(name string) *Thread {
		return r.SpawnIRQ(name, func(th *Thread) {
			n.note(th, name)
			th.Cycles(10_000)
			n.note(th, name+" done")
		})
	}
	first, second := handler("first"), handler("second")
	r.at(sim.Microsecond, first.Raise)
	r.at(5*sim.Microsecond, second.Raise)
	r.until(sim.Never)
	n.check(t, "3700 first; 13700 first done; 17000 second; 27000 second done")
	equal(t, "longest time with interrupts off", r.IRQOffMax(), (1500+1200+10_000+600)*cycle)
}

func TestTwoRaisesAreHandledTwice(t *testing.T) {
	r := newRig(t, nil)
	handled := 0
	irq := r.SpawnIRQ("irq", func(*Thread) { handled++ })
	r.at(sim.Microsecond, func() { irq.Raise(); irq.Raise() })
	r.until(sim.Never)
	equal(t, "handled", handled, 2)
	equal(t, "entries", r.stats.Interrupts, 1)
	equal(t, "interrupt time", r.Time(Interrupt), (1500+2*1200+600)*cycle)
}

func TestAnInterruptRaisedDuringTheExitIsTakenAgain(t *testing.T) {
	r := newRig(t, nil)
	var n noter
	irq := r.SpawnIRQ("irq", func(th *Thread) { n.note(th, "irq") })
	r.at(sim.Microsecond, irq.Raise)
	r.at(4*sim.Microsecond, irq.Raise) // 300 ns into the exit
	r.until(sim.Never)
	n.check(t, "3700 irq; 7000 irq")
	equal(t, "entries", r.stats.Interrupts, 2)
}

func TestTasksShareTheCoreByTimeSlices(t *testing.T) {
	r := newRig(t, nil) // slices of 100 us
	var n noter
	for _, name := range []string{"a", "b", "c"} {
		r.SpawnTask(name, func(th *Thread) {
			n.note(th, name)
			th.Cycles(150_000)
			n.note(th, name+" done")
		})
	}
	r.until(sim.Never)
	// A slice each, with a switch between; then the rest of each.
	n.check(t, "0 a; 103600 b; 207200 c; 360800 a done; 414400 b done; 468000 c done")
}

func TestATaskAloneIsNotSwitched(t *testing.T) {
	r := newRig(t, nil)
	r.SpawnTask("a", func(th *Thread) { th.Cycles(1_000_000) })
	r.until(sim.Never)
	equal(t, "switches", r.stats.Switches, 0)
	equal(t, "task", r.TaskTime(0), sim.Millisecond)
}

func TestPreemptionDoesNotRenewATimeSlice(t *testing.T) {
	r := newRig(t, nil)
	irq := r.SpawnIRQ("irq", func(*Thread) {})
	for i := range 40 {
		r.at(sim.Time(i)*50*sim.Microsecond, irq.Raise) // more often than a slice is long
	}
	var n noter
	for _, name := range []string{"a", "b"} {
		r.SpawnTask(name, func(th *Thread) {
			n.note(th, name)
			th.Cycles(250_000)
			n.note(th, name+" done")
		})
	}
	r.until(sim.Never)
	equal(t, "first", strings.HasSuffix(n.lines[0], " a"), true)
	var at int
	if _, err := fmt.Sscanf(n.lines[1], "%d b", &at); err != nil || at < 100_000 || at > 130_000 {
		t.Errorf("then %q, want b after one slice of a and a few interrupts", n.lines[1])
	}
}

func TestADriverIsNotSwitchedAtATasksTimeSlice(t *testing.T) {
	r := newRig(t, nil)
	var n noter
	var q WaitQueue
	for _, name := range []string{"a", "b"} {
		r.Spawn(name, func(th *Thread) {
			q.Wait(th)
			n.note(th, name)
			th.Cycles(500_000)
		})
	}
	r.SpawnTask("task", func(th *Thread) { th.Cycles(100_000) })
	r.at(50*sim.Microsecond, q.WakeAll)
	for i := range 20 {
		r.at(sim.Time(i)*30*sim.Microsecond, func() {})
	}
	r.until(sim.Never)
	// Each is switched to at 50 us, and 500 us and a switch later.
	n.check(t, "53600 a; 557200 b")
}

func TestASwitchIsChargedBetweenDifferentThreadsOnly(t *testing.T) {
	r := newRig(t, nil)
	irq := r.SpawnIRQ("irq", func(*Thread) {})
	r.Spawn("a", func(th *Thread) {
		th.Cycles(1000)
		th.SleepUntil(10 * sim.Microsecond) // nobody else runs: it comes back without a switch
		th.Cycles(5000)                     // interrupted in the middle
	})
	r.at(12*sim.Microsecond, irq.Raise)
	r.until(sim.Never)
	equal(t, "switches of a thread alone", r.stats.Switches, 0)
	r.Spawn("b", func(th *Thread) { th.Cycles(1) })
	r.until(sim.Never)
	equal(t, "switches with another", r.stats.Switches, 1)
	equal(t, "driver time", r.Time(Driver), (1000+5000+3600+1)*cycle)
}

func TestASystemCallsTimeIsTheDriversAndTheRestTheTasks(t *testing.T) {
	r := newRig(t, nil)
	r.SpawnTask("task", func(th *Thread) {
		th.Cycles(100)
		th.Syscall(func() { th.Cycles(200) })
		th.PageFaults(2)
		th.MMIO(2, 3)
	})
	r.until(sim.Never)
	equal(t, "driver", r.Time(Driver), (530+1100+200+2*1690)*cycle)
	equal(t, "task", r.TaskTime(0), 100*cycle+360*sim.Nanosecond)
}

func TestDriverWorkInAnInterruptStaysTheInterrupts(t *testing.T) {
	r := newRig(t, nil)
	irq := r.SpawnIRQ("irq", func(th *Thread) { th.Leave(th.Enter(Driver)); th.Syscall(func() {}) })
	r.at(0, irq.Raise)
	r.until(sim.Never)
	equal(t, "driver", r.Time(Driver), 0)
	equal(t, "interrupt", r.Time(Interrupt), (1500+1200+530+1100+600)*cycle)
}

// The longest operation that no interrupt cuts is one line: an access that misses in TLB and caches, or the write-back of a dirty line behind full buffers.
func TestAnInterruptWaitsForOneLineAtMost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, func(c *Config) { c.OS.Handler = 0 })
		m := r.mapped(r.region(16<<10), Cached)
		what := rapid.SampledFrom([]string{"read", "write", "clean", "whole", "compute"}).Draw(rt, "what")
		raise := sim.Time(rapid.Int64Range(0, int64(200*sim.Microsecond)).Draw(rt, "raise"))
		var handled sim.Time
		irq := r.SpawnIRQ("irq", func(th *Thread) { handled = th.Now() })
		r.at(raise, irq.Raise)
		r.Spawn("worker", func(th *Thread) {
			for handled == 0 {
				switch what {
				case "read":
					th.Access(m, 0, 16<<10, Touch{Width: 8})
					th.MaintainAll(nil)
				case "write":
					th.Access(m, 0, 16<<10, Touch{Write: true, Width: 8})
				case "clean":
					dirtied(th, m, 0, 4096)
					th.MaintainRange(Pass{Op: cachemodel.CleanInvalidate, Edge: EdgeFlush}, m.Region.RunsOf(0, 4096))
				case "whole":
					dirtied(th, m, 0, 4096)
					th.MaintainAll([]*memory.Region{m.Region})
				default:
					th.Cycles(1_000_000)
				}
			}
		})
		r.until(sim.Never)
		latency := handled - raise - 1500*cycle
		// Row conflict with recovery, 64 bytes, and behind it the writes in flight.
		const limit = 1500 * sim.Nanosecond
		if latency < 0 || latency > limit || what == "compute" && latency != 0 {
			rt.Errorf("%s: the interrupt waited %v", what, latency)
		}
		r.eng.Close()
	})
}

func TestASleeperWakesOnTime(t *testing.T) {
	r := newRig(t, nil)
	var n noter
	r.Spawn("driver", func(th *Thread) {
		th.SleepUntil(20 * sim.Microsecond)
		n.note(th, "awake")
		th.SleepUntil(10 * sim.Microsecond)
		n.note(th, "not asleep")
	})
	r.until(sim.Never)
	n.check(t, "20000 awake; 20000 not asleep")
}

func TestWaitersWakeInTheOrderInWhichTheyCame(t *testing.T) {
	r := newRig(t, nil)
	var n noter
	var q WaitQueue
	for _, name := range []string{"a", "b", "c"} {
		r.Spawn(name, func(th *Thread) { q.Wait(th); n.note(th, name) })
	}
	r.at(50*sim.Microsecond, q.WakeAll)
	r.until(sim.Never)
	n.check(t, "53600 a; 57200 b; 60800 c")
}

func TestResetStartsTheAccountsAndCountersAnew(t *testing.T) {
	r := newRig(t, nil)
	m := r.mapped(r.region(4096), Cached)
	r.run(func(th *Thread) { th.Access(m, 0, 4096, Touch{Width: 8}) })
	r.Reset(r.eng.Now())
	equal(t, "counters", r.Stats(), Stats{})
	equal(t, "sum", r.sum(t), 0)
	equal(t, "cache", r.caches.Counters(0), cachemodel.Counters{})
}

func TestASettingThatMakesNoSenseIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"clock":             func(c *Config) { c.Clock = 0 },
		"access_cycles":     func(c *Config) { c.AccessCycles = 0 },
		"negative latency":  func(c *Config) { c.L2Cycles = -1 },
		"tlb_entries":       func(c *Config) { c.TLBEntries = 0 },
		"write_buffers":     func(c *Config) { c.WriteBuffers = maxBuffers + 1 },
		"eviction_buffers":  func(c *Config) { c.EvictionBuffers = 0 },
		"write_outstanding": func(c *Config) { c.WriteOutstanding = 0 },
		"nc_outstanding":    func(c *Config) { c.NCOutstanding = 0 },
		"bus_class":         func(c *Config) { c.Class = 3 },
		"timeslice":         func(c *Config) { c.OS.Timeslice = 0 },
	} {
		c := config()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	c := config()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
