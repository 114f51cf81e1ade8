package cpu

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
)

func TestAWatcherSeesEachCharge(t *testing.T) {
	r := newRig(t, nil)
	region := r.region(4 * l2Size)
	m := r.mapped(region, Cached)
	r.run(func(th *Thread) {
		th.Access(m, 0, 2*l1Size, Touch{Width: 64})
		th.Access(m, 0, 4, load) // from L2
		at := th.Now()
		var seen []Charge
		r.Watch(func(c Charge) { seen = append(seen, c) })
		th.Access(m, 2*l1Size-4, 4, load)
		th.Access(m, 2*l1Size-4, 4, load)
		r.Watch(nil)
		th.Access(m, 2*l1Size-4, 4, load)
		// Two of one cause are two.
		want := []Charge{{CauseCompute, at}, {CauseCompute, at + cycle}, {CauseCompute, at + 3*cycle}, {CauseCompute, at + 4*cycle}}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("charges (-want +got):\n%s", diff)
		}
	})
}

func TestWatchingChangesNothing(t *testing.T) {
	run := func(watch bool) (causes [Causes]sim.Time, busy sim.Time) {
		r := newRig(t, nil)
		m := r.mapped(r.region(4*l2Size), Cached)
		if watch {
			r.Watch(func(Charge) {})
		}
		r.run(func(th *Thread) {
			causes = r.because(func() {
				th.Access(m, 0, 4*l2Size, Touch{Width: 8})
				th.Access(m, 0, 2*l1Size, Touch{Width: 4, Write: true})
				th.Barrier()
			})
			busy = th.Now()
		})
		return causes, busy
	}
	plain, at := run(false)
	watched, then := run(true)
	if plain != watched || at != then {
		t.Errorf("%v until %v, watched %v until %v", plain, at, watched, then)
	}
}
