package sim

import (
	"context"
	"slices"
	"testing"
)

// tieRecorder notes the arguments of its events, and lets some schedule another for the same time.
type tieRecorder struct {
	e     *Engine
	id    HandlerID
	order []uint64
}

func (r *tieRecorder) Handle(now Time, arg uint64) {
	r.order = append(r.order, arg)
	if arg < 100 && now == 7 {
		r.e.Schedule(now, r.id, arg+100)
	}
}

// orderOf runs n events at 7 ps, each of which schedules one more for that time, and one at 5 ps and 9 ps.
func orderOf(n uint64, shuffle bool, seed uint64) []uint64 {
	e := New()
	if shuffle {
		e.ShuffleTies(seed)
	}
	r := &tieRecorder{e: e}
	r.id = e.Register(r)
	for i := range n {
		e.Schedule(7, r.id, i)
	}
	e.Schedule(9, r.id, 900)
	e.Schedule(5, r.id, 500)
	if err := e.Run(context.Background(), Never); err != nil {
		panic(err)
	}
	return r.order
}

func TestShuffledTiesKeepTimeAndCauses(t *testing.T) {
	const n = 20
	for seed := range uint64(50) {
		order := orderOf(n, true, seed)
		if len(order) != 2*n+2 || order[0] != 500 || order[len(order)-1] != 900 {
			t.Fatalf("seed %d: %v", seed, order)
		}
		for i := range uint64(n) {
			if slices.Index(order, i+100) < slices.Index(order, i) {
				t.Fatalf("seed %d: event %d runs after the one it scheduled: %v", seed, i, order)
			}
		}
	}
}

func TestShuffledTiesAreDrawnFromTheSeed(t *testing.T) {
	plain := orderOf(20, false, 0)
	a, again, b := orderOf(20, true, 1), orderOf(20, true, 1), orderOf(20, true, 2)
	if !slices.Equal(a, again) {
		t.Error("one seed gave two orders")
	}
	if slices.Equal(a, b) || slices.Equal(a, plain) {
		t.Error("the order does not depend on the seed")
	}
}

func TestShuffledEventsDueNowMixWithThoseScheduledBefore(t *testing.T) {
	const n = 20
	for seed := range uint64(10) {
		order := orderOf(n, true, seed)[1:]
		firstChild := slices.IndexFunc(order, func(x uint64) bool { return x >= 100 && x < 500 })
		lastParent := 0
		for i, x := range order {
			if x < n {
				lastParent = i
			}
		}
		if firstChild < lastParent {
			return
		}
	}
	t.Error("events that were scheduled at their own time always came last")
}

func TestShuffledEventsDueNowCanBeCancelled(t *testing.T) {
	e := New()
	e.ShuffleTies(3)
	r := &tieRecorder{e: e}
	r.id = e.Register(r)
	ev := e.Schedule(0, r.id, 1)
	e.Schedule(0, r.id, 2)
	if !e.Cancel(ev) || e.Next() != 0 {
		t.Fatal("the event due now was not there to cancel")
	}
	if err := e.Run(context.Background(), Never); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.order, []uint64{2}) {
		t.Errorf("ran %v", r.order)
	}
}
