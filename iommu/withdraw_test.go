package iommu

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim/bus"
)

// withdrawRig maps the pages at 0x1000 and 0x2000; the first is in the TLB.
func withdrawRig(t *testing.T) *rig {
	r := newRig(t, Config{Entries: 8, Format: OMAP, HitCycles: 1})
	r.mapPage(t, 0x1000, 0x8000_5000, 4<<10)
	r.mapPage(t, 0x2000, 0x8000_1000, 4<<10)
	r.touch(0x1000)
	r.log, r.dev.done = nil, nil
	r.mmu.ResetCounters()
	return r
}

func TestAWithdrawnTransferLeavesNoTrace(t *testing.T) {
	for _, va := range []bus.IOVA{0x1020, 0x1f80, 0x2000, 0x9000} { // a hit, one that runs into another page, a miss, a fault
		r, plain := withdrawRig(t), withdrawRig(t)
		r.port.Issue(20*us, va, 256, true)
		if !r.port.Withdraw() || r.port.Withdraw() {
			t.Fatalf("%v: not withdrawn once", va)
		}
		for _, x := range []*rig{r, plain} {
			x.port.Issue(10*us, 0x1040, 256, true)
			x.run()
		}
		if diff := cmp.Diff(plain.log, r.log); diff != "" {
			t.Errorf("%v: bursts without and with a transfer withdrawn before (-want +got)\n%s", va, diff)
		}
		if diff := cmp.Diff(plain.mmu.Counters(), r.mmu.Counters()); diff != "" {
			t.Errorf("%v: counters (-want +got)\n%s", va, diff)
		}
	}
}

func TestATransferOfWhichAPartWasGrantedIsNotWithdrawn(t *testing.T) {
	// The first burst of four; the first of two pages; the first read of the walk, and both of them.
	for _, c := range []struct {
		va    bus.IOVA
		steps int
	}{{0x1000, 1}, {0x1f80, 2}, {0x2000, 1}, {0x2000, 2}} {
		r, plain := withdrawRig(t), withdrawRig(t)
		for _, x := range []*rig{r, plain} {
			x.port.Issue(10*us, c.va, 256, true)
			for range c.steps {
				x.step()
			}
		}
		if r.port.Withdraw() {
			t.Errorf("%v: withdrawn after %d grants", c.va, c.steps)
		}
		r.run()
		plain.run()
		if diff := cmp.Diff(plain.log, r.log); diff != "" || r.mmu.Counters() != plain.mmu.Counters() || len(r.dev.done) != 1 {
			t.Errorf("%v: a refused withdrawal changed the transfer: %+v (-want +got)\n%s", c.va, r.mmu.Counters(), diff)
		}
	}
}

func TestCountersResetBeforeAWithdrawalStayZero(t *testing.T) {
	for _, va := range []bus.IOVA{0x1000, 0x2000} {
		r := withdrawRig(t)
		r.port.Issue(10*us, va, 256, true)
		r.mmu.ResetCounters()
		if !r.port.Withdraw() || r.mmu.Counters() != (Counters{}) {
			t.Errorf("%v: %+v", va, r.mmu.Counters())
		}
	}
}
