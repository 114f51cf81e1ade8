package cpu

import (
	"fmt"
	"testing"

	"socsim/cachemodel"
	"socsim/sim/bus"
	"socsim/soc/memory"
)

// part makes a part of a region whose first byte is in the middle of its first line.
func (r *rig) part(whole *memory.Region, off, n int) {
	r.tb.Helper()
	if _, err := r.mem.Part(whole, "part", off, n); err != nil {
		r.tb.Fatal(err)
	}
}

func TestAStoreToAnEdgeLineChangesItsOwnBytesWhateverTheMapping(t *testing.T) {
	for _, allocate := range []cachemodel.Allocate{cachemodel.ReadAllocate, cachemodel.ReadWriteAllocate} {
		for _, attr := range []Attr{Cached, WriteThrough, Uncached, WriteCombine, StronglyOrdered} {
			for _, resident := range []bool{false, true} {
				what := fmt.Sprintf("%v, %v, resident %t", allocate, attr, resident)
				r := newCachedRig(t, nil, allocate)
				region := r.region(4096)
				r.part(region, 24, 1000)
				m := r.mapped(region, attr)
				r.run(func(th *Thread) {
					r.mem.DeviceWrite(region.Addr(0), 64, device, th.Now())
					was, _ := r.mem.Byte(region.Addr(0))
					if resident {
						th.Access(m, 0, 64, Touch{Width: 4})
					}
					th.Access(m, 16, 8, Touch{Width: 4, Write: true})
					th.Access(m, 24, 4, Touch{Width: 4, Write: true})
					th.Access(m, 0, 64, Touch{Width: 4})
					th.MaintainRange(Pass{Op: cachemodel.CleanInvalidate}, region.Runs())
					th.Access(m, 0, 64, Touch{Width: 4})
					for b := range 64 {
						newest, inMemory := r.mem.Byte(region.Addr(b))
						if stored := b >= 16 && b < 28; newest != inMemory || (newest == was) == stored || stored && newest.Master() != self {
							t.Errorf("%s: byte %d: newest %x, in memory %x; the device's is %x", what, b, newest, inMemory, was)
						}
					}
				})
				if len(r.seen) > 0 {
					t.Errorf("%s: violations %v", what, r.seen)
				}
			}
		}
	}
}

func TestADeviceMayWriteBesideADirtyEdgeLineUntilItIsWrittenBack(t *testing.T) {
	r := newRig(t, nil)
	region := r.region(4096)
	r.part(region, 32, 1000)
	m := r.mapped(region, Cached)
	r.run(func(th *Thread) {
		th.Access(m, 0, 64, Touch{Width: 4})
		th.Access(m, 0, 4, Touch{Width: 4, Write: true}) // the neighbour's
		th.Settle()
		r.mem.DeviceWrite(region.Addr(32), 32, device, th.Now())
		th.Access(m, 0, 32, Touch{Width: 4})
		equal(t, "violations of the neighbour's loads", len(r.seen), 0)
		th.MaintainRange(Pass{Op: cachemodel.Clean}, region.RunsOf(0, 64))
	})
	if len(r.seen) != 1 || r.seen[0].Kind != memory.LostDeviceData || r.seen[0].First != 32 || r.seen[0].Bytes != 32 {
		t.Errorf("violations %+v, want the device's 32 bytes lost", r.seen)
	}
}

func TestVectorsOfResidentCopiesAreNotForgotten(t *testing.T) {
	r := newRig(t, nil)
	region := r.region(4096)
	r.part(region, 32, 1000)
	m := r.mapped(region, Cached)
	r.run(func(th *Thread) {
		th.Access(m, 0, 64, Touch{Width: 4})
		th.Access(m, 0, 4, Touch{Width: 4, Write: true})
		want, _ := r.mem.Byte(region.Addr(0))
		for range 2000 {
			th.Cycles(1)
			th.Settle()
			r.mem.DeviceWrite(region.Addr(32), 32, device, th.Now())
		}
		th.Access(m, 0, 4, Touch{Width: 4})
		th.MaintainRange(Pass{Op: cachemodel.Clean}, region.RunsOf(0, 64))
		if _, got := r.mem.Byte(region.Addr(0)); got != want {
			t.Errorf("memory holds %x, want %x", got, want)
		}
	})
}

func TestStoresToStronglyOrderedMemoryWaitOneByOne(t *testing.T) {
	r := newRig(t, nil)
	region := r.region(4096)
	r.run(func(th *Thread) {
		m := r.mapped(region, StronglyOrdered)
		th.Access(m, 0, 4, Touch{Width: 4, Write: true}) // opens the row
		th.Settle()
		start := th.Now()
		before := r.Stats().Posted
		th.Access(m, 64, 32, Touch{Width: 8, Write: true})
		equal(t, "bursts", r.Stats().Posted-before, 4)
		at := start + 4*cycle // the issue of the four
		for range 4 {
			at = store(at, 0, 2) // a whole burst of the DRAM for 8 bytes
		}
		equal(t, "time", th.Now(), at)
		if got := r.mem.InMemory(region.Addr(64)); got.Master() != bus.Master(self) || got != r.mem.Newest(region.Addr(64)) {
			t.Errorf("memory holds %x", got)
		}
	})
}
