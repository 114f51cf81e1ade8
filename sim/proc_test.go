package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// story collects lines stamped with the time.
type story struct {
	e     *Engine
	lines []string
}

func newStory(t *testing.T) *story {
	s := &story{e: New()}
	t.Cleanup(s.e.Close)
	return s
}

func (s *story) tell(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf("%d ", int64(s.e.Now()))+fmt.Sprintf(format, args...))
}

func (s *story) check(t *testing.T, until Time, want ...string) {
	t.Helper()
	s.lines = nil
	if err := s.e.Run(context.Background(), until); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, s.lines); diff != "" {
		t.Errorf("story (-want +got):\n%s", diff)
	}
}

func (s *story) spawn(name string, body func(p *Proc)) *Proc {
	p := s.e.Spawn(name, body)
	p.Start()
	return p
}

func (s *story) at(t Time, f func()) {
	s.e.Schedule(t, s.e.Register(handlerFunc(func(Time, uint64) { f() })), 0)
}

func TestProcessSleeps(t *testing.T) {
	s := newStory(t)
	p := s.spawn("p", func(p *Proc) {
		s.tell("start")
		p.Sleep(10)
		s.tell("slept, now %d", int64(p.Now()))
		p.SleepUntil(50)
		s.tell("end")
	})
	s.check(t, 100, "0 start", "10 slept, now 10", "50 end")
	if !p.Done() || p.Name() != "p" {
		t.Errorf("Done %t, Name %q", p.Done(), p.Name())
	}
}

func TestSpawnedProcessWaitsForItsFirstResume(t *testing.T) {
	s := newStory(t)
	p := s.e.Spawn("p", func(*Proc) { s.tell("start") })
	s.check(t, 10)
	p.Resume()
	if !p.Done() {
		t.Error("not done after the first Resume")
	}
}

func TestResumeRunsUntilSuspend(t *testing.T) {
	s := newStory(t)
	p := s.e.Spawn("p", func(p *Proc) {
		s.tell("one")
		p.Suspend()
		s.tell("two")
		p.Suspend()
	})
	s.at(10, func() { p.Resume(); s.tell("back") })
	s.at(20, func() { p.Resume(); s.tell("back, done %t", p.Done()) })
	s.at(30, func() { p.Resume(); s.tell("back, done %t", p.Done()) })
	s.check(t, 100, "10 one", "10 back", "20 two", "20 back, done false", "30 back, done true")
}

func TestProcessesAtOneTimeRunInTheOrderOfTheirWakeUps(t *testing.T) {
	s := newStory(t)
	for _, name := range []string{"a", "b", "c"} {
		s.spawn(name, func(p *Proc) {
			for range 2 {
				s.tell("%s", p.Name())
				p.Sleep(5)
			}
		})
	}
	s.check(t, 9, "0 a", "0 b", "0 c", "5 a", "5 b", "5 c")
}

func TestSleepOfZeroLetsOthersRun(t *testing.T) {
	s := newStory(t)
	s.spawn("a", func(p *Proc) { s.tell("a1"); p.Sleep(0); s.tell("a2") })
	s.spawn("b", func(*Proc) { s.tell("b") })
	s.check(t, 0, "0 a1", "0 b", "0 a2")
}

func TestNegativeSleepPanics(t *testing.T) {
	s := newStory(t)
	s.spawn("p", func(p *Proc) { p.Sleep(-1) })
	wantPanic(t, "event for -1ps", func() { s.check(t, 0) })
}

func TestSleepOfForeverEndsWithAResume(t *testing.T) {
	s := newStory(t)
	p := s.spawn("p", func(p *Proc) { p.Sleep(1); p.Sleep(Never); s.tell("woken") })
	s.at(10, p.Resume)
	s.check(t, 100, "10 woken")
}

func TestResumeEndsASleepEarly(t *testing.T) {
	s := newStory(t)
	p := s.spawn("p", func(p *Proc) {
		p.Sleep(50)
		s.tell("woken")
		p.Sleep(70)
		s.tell("slept") // not at 50, when the first sleep would have ended
	})
	s.at(10, p.Resume)
	s.check(t, 100, "10 woken", "80 slept")
}

func TestStartReplacesThePendingWakeUp(t *testing.T) {
	s := newStory(t)
	p := s.spawn("p", func(p *Proc) {
		p.Sleep(50)
		s.tell("woken")
		p.Suspend()
		s.tell("woken again")
	})
	s.at(10, func() { p.Start(); p.Start(); s.tell("started") })
	s.check(t, 100, "10 started", "10 woken")
}

func TestResumeOfARunningProcessPanics(t *testing.T) {
	s := newStory(t)
	s.spawn("p", func(p *Proc) { p.Resume() })
	wantPanic(t, "Resume of process p, which is running", func() { s.check(t, 0) })
}

func TestResumeOfAProcessThatHasEndedPanics(t *testing.T) {
	s := newStory(t)
	p := s.spawn("p", func(*Proc) {})
	s.check(t, 0)
	wantPanic(t, "which is running or has ended", p.Resume)
	wantPanic(t, "which has ended", p.Start)
}

func TestSuspendFromOutsidePanics(t *testing.T) {
	s := newStory(t)
	p := s.spawn("p", func(p *Proc) { p.Suspend() })
	s.check(t, 0)
	wantPanic(t, "Suspend of process p from outside", p.Suspend)
}

func TestProcessMayResumeAnother(t *testing.T) {
	s := newStory(t)
	b := s.e.Spawn("b", func(p *Proc) { s.tell("b1"); p.Suspend(); s.tell("b2") })
	s.spawn("a", func(p *Proc) {
		b.Resume()
		s.tell("a1")
		p.Sleep(1)
		b.Resume()
		s.tell("a2")
	})
	s.check(t, 10, "0 b1", "0 a1", "1 b2", "1 a2")
}

func TestPanicOfAProcessComesThroughRun(t *testing.T) {
	s := newStory(t)
	cause := errors.New("boom")
	p := s.spawn("driver", func(p *Proc) {
		p.Sleep(5)
		panic(cause)
	})
	defer func() {
		err, ok := recover().(*PanicError)
		if !ok || !errors.Is(err, cause) || err.Proc != "driver" || err.Value != cause {
			t.Fatalf("panic %v", err)
		}
		if !strings.Contains(err.Error(), "proc_test.go") {
			t.Errorf("no stack of the body in %v", err)
		}
		if !p.Done() || s.e.Now() != 5 {
			t.Errorf("Done %t at %v", p.Done(), s.e.Now())
		}
		s.check(t, 10) // the engine goes on
	}()
	s.check(t, 10)
}

func TestPanicOfAProcessResumedByAnotherNamesTheInnerOne(t *testing.T) {
	s := newStory(t)
	inner := s.e.Spawn("inner", func(*Proc) { panic("boom") })
	s.spawn("outer", func(*Proc) { inner.Resume() })
	defer func() {
		if err, ok := recover().(*PanicError); !ok || err.Proc != "inner" || err.Value != "boom" {
			t.Errorf("panic %v", err)
		}
	}()
	s.check(t, 0)
}

func TestManyShortProcessesUseOneEntry(t *testing.T) {
	s := newStory(t)
	for range 100 {
		s.spawn("p", func(p *Proc) { p.Sleep(1); p.Start() }) // ends with a wake-up pending
		if err := s.e.Run(context.Background(), s.e.Now()+5); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.e.procs) != 1 || s.e.Pending() != 0 {
		t.Errorf("%d entries, %d events pending, want 1, 0", len(s.e.procs), s.e.Pending())
	}
}

func TestCloseRunsDeferredFunctions(t *testing.T) {
	s := newStory(t)
	sig, q := NewSignal(s.e), NewQueue[int](s.e, 1)
	q.TryPut(0)
	bodies := map[string]func(p *Proc){
		"sleeps":   func(p *Proc) { p.Sleep(1000) },
		"suspends": func(p *Proc) { p.Suspend() },
		"waits":    func(p *Proc) { sig.Wait(p) },
		"puts":     func(p *Proc) { q.Put(p, 1) },
		"sleeps, and sleeps deferred": func(p *Proc) {
			defer s.tell("not reached: %d", 1)
			defer p.Sleep(1)
			p.Sleep(1000)
		},
		"wakes others deferred": func(p *Proc) {
			defer func() { sig.Broadcast(); q.TryGet(); q.TryGet() }()
			p.Suspend()
		},
	}
	var closed []string
	for name, body := range bodies {
		s.spawn(name, func(p *Proc) {
			defer func() { closed = append(closed, name) }()
			body(p)
			t.Errorf("process that %s went on", name)
		})
	}
	s.check(t, 10)
	s.e.Close()
	if len(closed) != len(bodies) {
		t.Errorf("deferred functions ran of %q", closed)
	}
}

func TestCloseEndsProcessesThatNeverBegan(t *testing.T) {
	s := newStory(t)
	p := s.e.Spawn("p", func(*Proc) { t.Error("the body ran") })
	q := s.spawn("q", func(*Proc) { t.Error("the body ran") })
	s.e.Close()
	if !p.Done() || !q.Done() {
		t.Error("not done after Close")
	}
}

func TestCloseIsIdempotent(t *testing.T) {
	s := newStory(t)
	n := 0
	s.spawn("p", func(p *Proc) {
		defer func() { n++ }()
		p.Suspend()
	})
	s.check(t, 10)
	s.e.Close()
	s.e.Close()
	if n != 1 {
		t.Errorf("deferred function ran %d times", n)
	}
}

func TestNothingRunsAfterClose(t *testing.T) {
	s := newStory(t)
	s.e.Close()
	wantPanic(t, "closed: true", func() { s.check(t, 10) })
	wantPanic(t, "after Close", func() { s.e.Spawn("p", nil) })
}

func TestCloseDuringRunPanics(t *testing.T) {
	s := newStory(t)
	s.at(5, s.e.Close)
	wantPanic(t, "Close during Run", func() { s.check(t, 10) })
}

func TestBroadcastWakesAllInTheOrderTheyCame(t *testing.T) {
	s := newStory(t)
	sig := NewSignal(s.e)
	for i, name := range []string{"a", "b", "c"} {
		s.spawn(name, func(p *Proc) {
			p.Sleep(Time(3 - i)) // c comes first
			sig.Wait(p)
			s.tell("%s", name)
			sig.Wait(p)
			s.tell("%s again", name)
		})
	}
	s.at(10, func() { sig.Broadcast(); s.tell("given") })
	s.check(t, 20, "10 given", "10 c", "10 b", "10 a")
}

func TestNotifyWakesTheFirst(t *testing.T) {
	s := newStory(t)
	sig := NewSignal(s.e)
	for _, name := range []string{"a", "b"} {
		s.spawn(name, func(p *Proc) { sig.Wait(p); s.tell("%s", name) })
	}
	s.at(10, func() { s.tell("%t", sig.Notify()) })
	s.at(20, func() { s.tell("%t", sig.Notify()); s.tell("%t", sig.Notify()) })
	s.check(t, 30, "10 true", "10 a", "20 true", "20 false", "20 b")
}

func TestSignalIsNotRemembered(t *testing.T) {
	s := newStory(t)
	sig := NewSignal(s.e)
	sig.Broadcast()
	s.spawn("p", func(p *Proc) { sig.Wait(p); s.tell("woken") })
	s.check(t, 10)
}

func TestResumeEndsAWaitEarly(t *testing.T) {
	s := newStory(t)
	sig := NewSignal(s.e)
	s.spawn("a", func(p *Proc) { sig.Wait(p); s.tell("a") })
	b := s.spawn("b", func(p *Proc) {
		sig.Wait(p)
		s.tell("b timed out")
		p.Sleep(50)
		s.tell("b slept")
	})
	s.spawn("c", func(p *Proc) { sig.Wait(p); s.tell("c") })
	s.at(10, b.Resume)
	s.at(20, sig.Broadcast) // not to b
	s.check(t, 100, "10 b timed out", "20 a", "20 c", "60 b slept")
}

func TestQueuePassesValuesInOrder(t *testing.T) {
	s := newStory(t)
	q := NewQueue[int](s.e, 0)
	for i := range 20 {
		if !q.TryPut(i) {
			t.Fatal("an unbounded queue is full")
		}
	}
	if q.Len() != 20 {
		t.Errorf("Len %d, want 20", q.Len())
	}
	for i := range 20 {
		if v, ok := q.TryGet(); v != i || !ok {
			t.Fatalf("TryGet %d, %t, want %d", v, ok, i)
		}
	}
	if v, ok := q.TryGet(); ok {
		t.Errorf("TryGet of an empty queue returned %d", v)
	}
}

func TestPutBlocksWhileFull(t *testing.T) {
	s := newStory(t)
	q := NewQueue[int](s.e, 2)
	s.spawn("put", func(p *Proc) {
		for i := range 4 {
			q.Put(p, i)
			s.tell("put %d", i)
		}
	})
	s.at(10, func() { v, _ := q.TryGet(); s.tell("got %d", v) })
	s.at(20, func() { v, _ := q.TryGet(); s.tell("got %d, %d left", v, q.Len()) })
	s.check(t, 30, "0 put 0", "0 put 1", "10 got 0", "10 put 2", "20 got 1, 2 left", "20 put 3")
	if q.TryPut(9) {
		t.Error("TryPut into a full queue returned true")
	}
}

func TestGetBlocksWhileEmpty(t *testing.T) {
	s := newStory(t)
	q := NewQueue[string](s.e, 1)
	for _, name := range []string{"a", "b"} {
		s.spawn(name, func(p *Proc) { s.tell("%s got %s", name, q.Get(p)) })
	}
	s.at(10, func() { q.TryPut("x"); q.TryPut("y"); q.TryPut("z"); s.tell("Len %d", q.Len()) })
	s.check(t, 30, "10 Len 1", "10 a got x", "10 b got y")
}

func TestNobodyOvertakesAWaitingGetter(t *testing.T) {
	s := newStory(t)
	q := NewQueue[int](s.e, 0)
	s.spawn("waits", func(p *Proc) { s.tell("waiter got %d", q.Get(p)) })
	s.at(10, func() {
		q.TryPut(1)
		_, ok := q.TryGet() // 1 is the waiter's, though it has not run yet
		s.tell("thief got something: %t", ok)
	})
	s.check(t, 30, "10 thief got something: false", "10 waiter got 1")
}

func TestNobodyOvertakesAWaitingPutter(t *testing.T) {
	s := newStory(t)
	q := NewQueue[int](s.e, 1)
	q.TryPut(0)
	s.spawn("waits", func(p *Proc) { q.Put(p, 1); s.tell("put 1") })
	s.at(10, func() {
		q.TryGet()
		s.tell("pushed in: %t", q.TryPut(2)) // the place is the waiter's
	})
	s.check(t, 30, "10 pushed in: false", "10 put 1")
	if v, _ := q.TryGet(); v != 1 {
		t.Errorf("got %d, want 1", v)
	}
}

func TestResumeDoesNotDisturbAQueue(t *testing.T) {
	s := newStory(t)
	q := NewQueue[int](s.e, 1)
	a := s.spawn("a", func(p *Proc) { s.tell("a got %d", q.Get(p)) })
	b := s.spawn("b", func(p *Proc) { s.tell("b got %d", q.Get(p)) })
	s.at(10, func() { a.Resume(); b.Start() })
	s.at(20, func() { q.TryPut(1); q.TryPut(2); b.Resume() })
	s.check(t, 30, "20 b got 2", "20 a got 1")
}

// TestQueueDeliversEveryValueOnceAndInOrder runs random producers and consumers. With several consumers, those served at one
// time may run in another order than they were served, so order is that of each one's values.
func TestQueueDeliversEveryValueOnceAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := New()
		defer e.Close()
		capacity := rapid.IntRange(0, 3).Draw(t, "capacity")
		q := NewQueue[int](e, capacity)
		nap := rapid.IntRange(0, 3)
		const values = 30
		next := 0
		for range rapid.IntRange(1, 3).Draw(t, "producers") {
			e.Spawn("producer", func(p *Proc) {
				for next < values {
					next++
					q.Put(p, next)
					if capacity > 0 && q.Len() > capacity {
						t.Fatalf("%d values in a queue of %d", q.Len(), capacity)
					}
					p.Sleep(Time(nap.Draw(t, "nap")))
				}
			}).Start()
		}
		seen := make([]bool, values+1)
		consumers := rapid.IntRange(1, 3).Draw(t, "consumers")
		for range consumers {
			e.Spawn("consumer", func(p *Proc) {
				for last := 0; ; {
					v := q.Get(p)
					if v <= last || seen[v] || consumers == 1 && v != last+1 {
						t.Fatalf("got %d after %d; seen before: %t", v, last, seen[v])
					}
					seen[v], last = true, v
					p.Sleep(Time(nap.Draw(t, "nap")))
				}
			}).Start()
		}
		if err := e.Run(context.Background(), Second); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(seen[1:], false) {
			t.Fatalf("values lost: %v", seen[1:])
		}
	})
}

func TestSwitchingAllocatesNothing(t *testing.T) {
	e := New()
	defer e.Close()
	q, sig := NewQueue[int](e, 2), NewSignal(e)
	e.Spawn("put", func(p *Proc) {
		for {
			q.Put(p, 1)
		}
	}).Start()
	e.Spawn("get", func(p *Proc) {
		for {
			q.Get(p)
			sig.Broadcast()
			p.Sleep(1)
		}
	}).Start()
	e.Spawn("wait", func(p *Proc) {
		for {
			sig.Wait(p)
		}
	}).Start()
	run := func() { _ = e.Run(context.Background(), e.Now()+1000) }
	run()
	if n := testing.AllocsPerRun(10, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
