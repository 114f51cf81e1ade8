package sim

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type handlerFunc func(now Time, arg uint64)

func (f handlerFunc) Handle(now Time, arg uint64) { f(now, arg) }

type ran struct {
	At  Time
	Arg uint64
}

// recorder is a handler that notes what runs and may do something.
type recorder struct {
	e   *Engine
	id  HandlerID
	log []ran
	do  map[uint64]func()
}

func record(e *Engine) *recorder {
	r := &recorder{e: e, do: map[uint64]func(){}}
	r.id = e.Register(r)
	return r
}

func (r *recorder) Handle(now Time, arg uint64) {
	r.log = append(r.log, ran{now, arg})
	if f := r.do[arg]; f != nil {
		f()
	}
}

func (r *recorder) at(t Time, arg uint64) Event { return r.e.Schedule(t, r.id, arg) }

func (r *recorder) run(t *testing.T, until Time, want ...ran) {
	t.Helper()
	r.log = r.log[:0]
	if err := r.e.Run(context.Background(), until); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, slices.Clone(r.log)); diff != "" {
		t.Errorf("events run (-want +got):\n%s", diff)
	}
}

func wantPanic(t *testing.T, substr string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		r := recover()
		if r == nil {
			t.Fatalf("no panic, want one with %q", substr)
		}
		text, ok := r.(string)
		if err, isErr := r.(error); isErr {
			text, ok = err.Error(), true
		}
		if !ok || !strings.Contains(text, substr) {
			t.Fatalf("panic %v, want one with %q", r, substr)
		}
	}()
	f()
}

func TestEventsRunByTimeThenByInsertion(t *testing.T) {
	r := record(New())
	r.at(30, 1)
	r.at(10, 2)
	r.at(30, 3)
	r.at(20, 4)
	r.at(10, 5)
	r.run(t, 100, ran{10, 2}, ran{10, 5}, ran{20, 4}, ran{30, 1}, ran{30, 3})
}

func TestEventDueNowRunsBehindEarlierOnesOfItsTime(t *testing.T) {
	r := record(New())
	r.do[1] = func() { r.at(10, 4) } // when 2 and 3 still wait in the heap
	r.at(10, 1)
	r.at(10, 2)
	r.at(10, 3)
	r.run(t, 10, ran{10, 1}, ran{10, 2}, ran{10, 3}, ran{10, 4})
}

func TestRunIncludesTheEventsOfItsEnd(t *testing.T) {
	r := record(New())
	r.at(10, 1)
	r.at(11, 2)
	r.run(t, 10, ran{10, 1})
	if r.e.Now() != 10 || r.e.Next() != 11 {
		t.Errorf("Now %v, Next %v, want 10ps, 11ps", r.e.Now(), r.e.Next())
	}
}

func TestRunLeavesNowAtItsEnd(t *testing.T) {
	r := record(New())
	r.at(10, 1)
	r.run(t, 25, ran{10, 1})
	if r.e.Now() != 25 {
		t.Errorf("Now %v, want 25ps", r.e.Now())
	}
}

func TestRunUntilNeverEndsWithTheLastEvent(t *testing.T) {
	r := record(New())
	r.at(10, 1)
	r.run(t, Never, ran{10, 1})
	if r.e.Now() != 10 {
		t.Errorf("Now %v, want 10ps", r.e.Now())
	}
}

func TestNextFollowsTheEarliestEvent(t *testing.T) {
	r := record(New())
	check := func(want Time) {
		t.Helper()
		if got := r.e.Next(); got != want {
			t.Errorf("Next %v, want %v", got, want)
		}
	}
	check(Never)
	r.at(20, 1)
	check(20)
	ev := r.at(10, 2)
	check(10)
	r.e.Cancel(ev)
	check(20)
	ev = r.at(0, 3)
	check(0)
	r.e.Cancel(ev)
	check(20)
	r.do[1] = func() {
		check(Never)
		r.at(20, 4)
		check(20)
		r.at(30, 5)
		check(20)
	}
	r.do[4] = func() { check(30) }
	r.run(t, 25, ran{20, 1}, ran{20, 4})
	check(30)
}

func TestCancelledEventDoesNotRun(t *testing.T) {
	r := record(New())
	r.at(10, 1)
	ev := r.at(20, 2)
	r.at(30, 3)
	if !r.e.Cancel(ev) {
		t.Error("Cancel of a pending event returned false")
	}
	r.run(t, 100, ran{10, 1}, ran{30, 3})
}

func TestCancelIsTrueOnce(t *testing.T) {
	r := record(New())
	ev := r.at(10, 1)
	if first, second := r.e.Cancel(ev), r.e.Cancel(ev); !first || second {
		t.Errorf("Cancel %t, then %t, want true, then false", first, second)
	}
}

func TestCancelOfNoEventIsFalse(t *testing.T) {
	e := New()
	if e.Cancel(0) {
		t.Error("Cancel(0) returned true on a new engine")
	}
	record(e).at(10, 1)
	if e.Cancel(0) || e.Cancel(1<<63) || e.Cancel(^Event(0)) {
		t.Error("Cancel of an event that never was returned true")
	}
}

func TestCancelOfTheRunningEventIsFalse(t *testing.T) {
	r := record(New())
	ev := r.at(10, 1)
	r.do[1] = func() {
		if r.e.Cancel(ev) {
			t.Error("Cancel of the running event returned true")
		}
	}
	r.run(t, 10, ran{10, 1})
}

func TestCancelDoesNotHitTheSlotsNextEvent(t *testing.T) {
	r := record(New())
	old := r.at(10, 1)
	r.e.Cancel(old)
	r.at(10, 2) // in the same slot
	if r.e.Cancel(old) {
		t.Error("Cancel of a cancelled event returned true")
	}
	r.run(t, 10, ran{10, 2})
}

func TestGenerationSkipsZero(t *testing.T) {
	r := record(New())
	r.e.Cancel(r.at(10, 1))
	r.e.slots[0].gen = ^uint32(0)
	r.e.Cancel(r.at(10, 2))
	if ev := r.at(10, 3); ev == 0 {
		t.Error("an event got the handle of none")
	}
}

func TestEventsDueNowCanBeCancelled(t *testing.T) {
	r := record(New())
	var ev [20]Event
	r.do[100] = func() {
		for i := range ev {
			ev[i] = r.at(10, uint64(i))
		}
		for i := range ev {
			if i%3 != 1 && !r.e.Cancel(ev[i]) {
				t.Errorf("Cancel of event %d returned false", i)
			}
		}
	}
	r.at(10, 100)
	r.run(t, 10, ran{10, 100}, ran{10, 1}, ran{10, 4}, ran{10, 7}, ran{10, 10}, ran{10, 13}, ran{10, 16}, ran{10, 19})
}

func TestEventsDueNowSkipTheHeap(t *testing.T) {
	r := record(New())
	r.at(10, 1)
	r.at(10, 2)
	r.do[1] = func() {
		before := len(r.e.heap)
		r.at(10, 3)
		if n := len(r.e.heap) - before; n != 0 {
			t.Errorf("the heap grew by %d", n)
		}
	}
	r.run(t, 10, ran{10, 1}, ran{10, 2}, ran{10, 3})
}

func TestEventsDueNowCanBeCancelledAfterTheyMoved(t *testing.T) {
	r := record(New())
	var ev []Event
	add := func(n int) {
		for range n {
			ev = append(ev, r.at(0, uint64(len(ev))))
		}
	}
	add(8)
	for _, i := range []int{1, 2, 4, 5, 6} {
		r.e.Cancel(ev[i])
	}
	add(4) // the buffer of 8 is full of events and holes: 3, 7 and the new ones move
	r.e.Cancel(ev[3])
	add(8) // and now to a larger one
	r.e.Cancel(ev[7])
	r.e.Cancel(ev[18])
	if n := len(r.e.ring.buf); n != 16 {
		t.Errorf("ring of %d, want 16", n)
	}
	var want []ran
	for _, i := range []uint64{0, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19} {
		want = append(want, ran{0, i})
	}
	r.run(t, 0, want...)
}

func TestCancelledEventsDoNotPileUp(t *testing.T) {
	r := record(New())
	first, last := r.at(0, 1), Event(0)
	for range 100_000 {
		r.e.Cancel(last)
		last = r.at(0, 2) // in the ring, behind an event that stays
		r.e.Cancel(r.at(50, 3))
	}
	if r.e.Pending() != 2 {
		t.Errorf("%d events pending, want 2", r.e.Pending())
	}
	if n := max(len(r.e.slots), len(r.e.ring.buf), cap(r.e.heap)); n > 16 {
		t.Errorf("room for %d events, want at most 16", n)
	}
	r.e.Cancel(first)
	r.run(t, 0, ran{0, 2})
}

func TestRingDoesNotGrowWithHolesInTheMiddle(t *testing.T) {
	r := record(New())
	keep := r.at(0, 0)
	old := r.at(0, 1)
	for i := range uint64(100_000) {
		ev := r.at(0, 2+i)
		r.e.Cancel(old) // never the last one, never the first
		old = ev
	}
	if n := len(r.e.ring.buf); n > 16 {
		t.Errorf("ring of %d for 2 events", n)
	}
	if !r.e.Cancel(keep) || !r.e.Cancel(old) || r.e.Pending() != 0 {
		t.Error("the events that stayed were lost")
	}
}

func TestEventInThePastPanics(t *testing.T) {
	r := record(New())
	r.run(t, 10)
	wantPanic(t, "9ps scheduled at 10ps", func() { r.at(9, 1) })
}

func TestEventForNeverPanics(t *testing.T) {
	wantPanic(t, "event for never", func() { record(New()).at(Never, 1) })
}

func TestRunBackwardsPanics(t *testing.T) {
	r := record(New())
	r.run(t, 10)
	wantPanic(t, "Run until 9ps at 10ps", func() { _ = r.e.Run(context.Background(), 9) })
}

func TestRunFromAnEventPanics(t *testing.T) {
	r := record(New())
	r.do[1] = func() { _ = r.e.Run(context.Background(), 20) }
	r.at(10, 1)
	wantPanic(t, "running: true", func() { _ = r.e.Run(context.Background(), 10) })
	if err := r.e.Run(context.Background(), 20); err != nil {
		t.Errorf("Run after a panic that was recovered: %v", err)
	}
}

func TestStopEndsTheRunAfterThePresentEvent(t *testing.T) {
	r := record(New())
	r.do[1] = r.e.Stop
	r.at(10, 1)
	r.at(10, 2)
	r.run(t, 100, ran{10, 1})
	if r.e.Now() != 10 {
		t.Errorf("Now %v, want 10ps", r.e.Now())
	}
	r.run(t, 100, ran{10, 2})
}

func TestRunReturnsTheErrorOfItsContext(t *testing.T) {
	e := New()
	ctx, cancel := context.WithCancelCause(context.Background())
	var id HandlerID
	id = e.Register(handlerFunc(func(now Time, arg uint64) {
		if arg == 1000 {
			cancel(errors.New("enough"))
		}
		e.Schedule(now+1, id, arg+1)
	}))
	e.Schedule(0, id, 0)
	err := e.Run(ctx, Second)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want context.Canceled", err)
	}
	if n := e.Events(); n < 1000 || n > 1001+checkEvents {
		t.Errorf("%d events ran, want 1001 and at most %d more", n, checkEvents)
	}
}

func TestRareEventsDoNotDelayTheContext(t *testing.T) {
	e := New()
	ctx, cancel := context.WithCancel(context.Background())
	var id HandlerID
	id = e.Register(handlerFunc(func(now Time, arg uint64) {
		cancel()
		e.Schedule(now+Millisecond, id, arg+1)
	}))
	e.Schedule(0, id, 0)
	if err := e.Run(ctx, Second); !errors.Is(err, context.Canceled) || e.Events() > 2 {
		t.Errorf("error %v after %d events, want context.Canceled after 2", err, e.Events())
	}
}

func TestEventsCountsWhatRan(t *testing.T) {
	r := record(New())
	r.at(1, 1)
	r.e.Cancel(r.at(2, 2))
	r.at(3, 3)
	r.run(t, 10, ran{1, 1}, ran{3, 3})
	if r.e.Events() != 2 {
		t.Errorf("Events %d, want 2", r.e.Events())
	}
}

// worker is a background that does a unit of work every period and, at some of them, schedules an event some time later.
type worker struct {
	e        *Engine
	t        *testing.T
	at       Time
	period   Time
	schedule map[Time]func()
	limits   []Time
	done     Time // time of the last unit
}

func (w *worker) AdvanceTo(limit Time) {
	w.limits = append(w.limits, limit)
	for w.at < limit {
		if w.at < w.e.Now() {
			w.t.Errorf("work at %v is behind Now %v", w.at, w.e.Now())
		}
		f := w.schedule[w.at]
		w.done = w.at
		w.at += w.period
		if f != nil {
			if f(); w.e.Next() < limit {
				return
			}
		}
	}
}

func TestBackgroundWorksBeforeTheEventsOfATime(t *testing.T) {
	r := record(New())
	w := &worker{e: r.e, t: t, period: 3, done: -1}
	r.e.SetBackground(w)
	r.do[1] = func() {
		if w.done != 9 {
			t.Errorf("work done up to %v when the event of 10ps runs, want 9ps", w.done)
		}
	}
	r.do[2] = func() {
		if w.done != 9 {
			t.Errorf("work done up to %v when the event of 12ps runs, want 9ps: that of 12ps comes behind", w.done)
		}
	}
	r.at(10, 1)
	r.at(12, 2)
	r.run(t, 20, ran{10, 1}, ran{12, 2})
	if w.done != 18 {
		t.Errorf("work done up to %v, want 18ps", w.done)
	}
}

func TestBackgroundMayScheduleEarlierEvents(t *testing.T) {
	r := record(New())
	w := &worker{e: r.e, t: t, period: 5}
	w.schedule = map[Time]func(){
		0:  func() { r.at(0, 10) }, // at the time of the work, which is also now
		10: func() { r.at(12, 11) },
		15: func() { r.at(100, 12) }, // the event of the limit itself
		25: func() { r.at(26, 13); r.at(27, 14) },
	}
	r.e.SetBackground(w)
	r.do[13] = func() {
		if w.done != 25 {
			t.Errorf("work done up to %v when the event of 26ps runs, want 25ps", w.done)
		}
	}
	r.at(100, 1)
	r.run(t, 120, ran{0, 10}, ran{12, 11}, ran{26, 13}, ran{27, 14}, ran{100, 1}, ran{100, 12})
}

func TestBackgroundMayScheduleForTheEndOfTheRun(t *testing.T) {
	r := record(New())
	w := &worker{e: r.e, t: t, period: 5}
	w.schedule = map[Time]func(){15: func() { r.at(20, 1) }}
	r.e.SetBackground(w)
	r.run(t, 20, ran{20, 1})
}

func TestBackgroundMayCancelTheNextEvent(t *testing.T) {
	r := record(New())
	w := &worker{e: r.e, t: t, period: 5}
	ev := r.at(20, 1)
	r.at(30, 2)
	w.schedule = map[Time]func(){10: func() { r.e.Cancel(ev) }}
	r.e.SetBackground(w)
	r.do[2] = func() {
		if w.done != 25 {
			t.Errorf("work done up to %v when the event of 30ps runs, want 25ps", w.done)
		}
	}
	r.run(t, 40, ran{30, 2})
}

func TestBackgroundMayStopTheRun(t *testing.T) {
	r := record(New())
	w := &worker{e: r.e, t: t, period: 5}
	w.schedule = map[Time]func(){10: r.e.Stop}
	r.e.SetBackground(w)
	r.at(20, 1)
	r.run(t, 40)
	r.run(t, 40, ran{20, 1})
}

func TestBackgroundFinishesBeforeRunReturns(t *testing.T) {
	e := New()
	w := &worker{e: e, t: t, period: 7}
	e.SetBackground(w)
	for _, until := range []Time{10, 21, 22} {
		if err := e.Run(context.Background(), until); err != nil {
			t.Fatal(err)
		}
		if w.at < until || w.done >= until {
			t.Errorf("after Run until %v work is done up to %v, the next at %v", until, w.done, w.at)
		}
	}
}

// model is the queue as a sorted list, for the comparison.
type model struct {
	now    Time
	seq    uint64
	list   []modelEvent
	issued uint64
}

type modelEvent struct {
	at  Time
	seq uint64
	arg uint64
	ev  Event
}

func (m *model) add(at Time, arg uint64, ev Event) {
	m.seq++
	m.list = append(m.list, modelEvent{at, m.seq, arg, ev})
	slices.SortFunc(m.list, func(a, b modelEvent) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq)) })
}

func (m *model) cancel(ev Event) bool {
	n := len(m.list)
	m.list = slices.DeleteFunc(m.list, func(e modelEvent) bool { return e.ev == ev })
	return len(m.list) < n
}

// checkHeap checks the order of the heap and that slots and heap point at each other.
func checkHeap(t *rapid.T, e *Engine) {
	for i := root; i < len(e.heap); i++ {
		if i > root && e.heap[i].before(&e.heap[i/4+2]) != 0 {
			t.Fatalf("heap: %d comes before its parent", i)
		}
		if e.slots[e.items[i]].pos != int32(i) {
			t.Fatalf("heap: slot %d does not point back at %d", e.items[i], i)
		}
	}
	if len(e.heap)-root+e.ring.n != e.pending {
		t.Fatalf("%d events in the heap and %d in the ring, but %d pending", len(e.heap)-root, e.ring.n, e.pending)
	}
}

// TestEngineAgreesWithASortedList drives the engine and the list through the same random schedules and cancellations, from
// outside of Run and from within events.
func TestEngineAgreesWithASortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, m := New(), &model{}
		var known []Event
		delay := rapid.OneOf(rapid.Just(Time(0)), rapid.Custom(func(t *rapid.T) Time { return Time(rapid.IntRange(0, 8).Draw(t, "short")) }),
			rapid.Custom(func(t *rapid.T) Time { return Time(rapid.Int64Range(0, int64(Second)).Draw(t, "long")) }))
		var id HandlerID
		act := func(now Time) {
			for range rapid.IntRange(0, 4).Draw(t, "actions") {
				if len(known) > 0 && rapid.IntRange(0, 2).Draw(t, "cancel") == 0 {
					ev := rapid.SampledFrom(known).Draw(t, "which")
					if got, want := e.Cancel(ev), m.cancel(ev); got != want {
						t.Fatalf("Cancel %t, want %t", got, want)
					}
					continue
				}
				at := now + delay.Draw(t, "delay")
				m.issued++
				ev := e.Schedule(at, id, m.issued)
				m.add(at, m.issued, ev)
				known = append(known, ev)
			}
			want := Never
			if len(m.list) > 0 {
				want = m.list[0].at
			}
			if e.Next() != want || e.Pending() != len(m.list) {
				t.Fatalf("Next %v, Pending %d, want %v, %d", e.Next(), e.Pending(), want, len(m.list))
			}
			checkHeap(t, e)
		}
		id = e.Register(handlerFunc(func(now Time, arg uint64) {
			first := m.list[0]
			m.list = m.list[1:]
			if now < m.now || now != first.at || arg != first.arg || e.Now() != now {
				t.Fatalf("event %d at %v after %v, want %d at %v", arg, now, m.now, first.arg, first.at)
			}
			m.now = now
			if len(known) < 200 {
				act(now)
			}
		}))
		for range rapid.IntRange(1, 8).Draw(t, "runs") {
			act(e.Now())
			act(e.Now())
			until := e.Now() + delay.Draw(t, "until")
			if err := e.Run(context.Background(), until); err != nil {
				t.Fatal(err)
			}
			if len(m.list) > 0 && m.list[0].at <= until || e.Now() != until {
				t.Fatalf("Run until %v left Now %v and event at %v", until, e.Now(), e.Next())
			}
		}
	})
}

// TestBackgroundAndEventsKeepOneOrder lets a background and events schedule each other at random and checks that neither
// runs behind the other.
func TestBackgroundAndEventsKeepOneOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := New()
		b := &randomBackground{e: e, t: t, at: Never}
		e.SetBackground(b)
		last := Time(0)
		b.id = e.Register(handlerFunc(func(now Time, _ uint64) {
			if now < last || b.at < now || b.did > now || now == b.did && b.at < now {
				t.Fatalf("event at %v after one at %v; work done at %v, next at %v", now, last, b.did, b.at)
			}
			last = now
			if rapid.Bool().Draw(t, "more") {
				b.at = min(b.at, now+Time(rapid.IntRange(0, 10).Draw(t, "work in")))
			}
			if rapid.Bool().Draw(t, "more") {
				e.Schedule(now+Time(rapid.IntRange(0, 20).Draw(t, "event in")), b.id, 0)
			}
		}))
		for range 5 {
			e.Schedule(Time(rapid.IntRange(0, 50).Draw(t, "first")), b.id, 0)
		}
		for until := Time(20); until <= 200; until += 20 {
			if err := e.Run(context.Background(), until); err != nil {
				t.Fatal(err)
			}
			if e.Next() <= until || b.at < until {
				t.Fatalf("Run until %v left an event at %v and work at %v", until, e.Next(), b.at)
			}
		}
	})
}

type randomBackground struct {
	e       *Engine
	t       *rapid.T
	id      HandlerID
	at, did Time
}

func (b *randomBackground) AdvanceTo(limit Time) {
	if limit > b.e.Next() {
		b.t.Fatalf("AdvanceTo(%v) beyond the event of %v", limit, b.e.Next())
	}
	for b.at < limit && b.e.Next() >= limit {
		if b.at < b.did || b.at < b.e.Now() {
			b.t.Fatalf("work at %v after %v, Now %v", b.at, b.did, b.e.Now())
		}
		b.did = b.at
		if rapid.IntRange(0, 3).Draw(b.t, "event") == 0 {
			b.e.Schedule(b.at+Time(rapid.IntRange(0, 9).Draw(b.t, "event in")), b.id, 0)
		}
		b.at = Never
		if rapid.IntRange(0, 4).Draw(b.t, "work") > 0 {
			b.at = b.did + Time(rapid.IntRange(1, 5).Draw(b.t, "work in"))
		}
	}
}

func TestSchedulingAllocatesNothing(t *testing.T) {
	h := newHold(256)
	h.run(1000)
	if n := testing.AllocsPerRun(10, func() { h.run(1000) }); n != 0 {
		t.Errorf("%v allocations for 1000 events", n)
	}
}

func TestCancellingAllocatesNothing(t *testing.T) {
	r := record(New())
	r.at(0, 0)
	old := r.at(0, 1)
	churn := func() {
		for range 1000 {
			ev := r.at(0, 2)
			r.e.Cancel(old)
			r.e.Cancel(r.at(5, 3))
			old = ev
		}
	}
	churn()
	if n := testing.AllocsPerRun(10, churn); n != 0 {
		t.Errorf("%v allocations for 2000 events", n)
	}
}
