package dmaapi

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// backwards is a buffer whose pages lie in memory in the opposite order.
func backwards(r *rig, pages int) *Buffer {
	region := r.contiguous(int64(pages)*memory.PageBytes, memory.PageBytes)
	slices.Reverse(region.Frames)
	return NewBuffer("buffer", 0, region, false)
}

func TestTruthTellsWhichPartsOfTheBufferAskedAboutAreDirty(t *testing.T) {
	r := newRig(t, "armv7")
	b := backwards(r, 3)
	var seen [][]Span
	r.answer = func(*Question) Answer {
		seen = append(seen, Truth{core: r.Core, api: r.api}.DirtySpans())
		return Answer{}
	}
	r.run(func(th *cpu.Thread) {
		m := r.Core.KernelMap(b.Region)
		for _, s := range []Span{{0, 128}, {4032, 128}, {8192, 64}, {12224, 64}} { // the second ends a page and begins the next, which lies before it
			th.Access(m, s.Offset, s.Bytes, cpu.Touch{Width: 8}) // a store that misses would not allocate
			if s.Offset != 8192 {
				th.Access(m, s.Offset, s.Bytes, cpu.Touch{Write: true, Width: 8})
			}
		}
		th.Barrier()
		r.api.SyncForDevice(th, b, "camera", FromDevice)
		r.api.Do(th, Call{Event: ToDeviceHandover, Buffer: b, Device: "camera", Direction: Bidirectional, Offset: 64, Length: 8192})
	})
	want := [][]Span{{{0, 128}, {4032, 128}, {12224, 64}}, {{64, 64}, {4032, 128}}}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestTruthTellsWhichPartsOfTheBufferAskedAboutAreStale(t *testing.T) {
	r := newRig(t, "armv7")
	b := backwards(r, 2)
	var seen []Span
	r.answer = func(q *Question) Answer {
		if q.Event == ToCPUHandover {
			seen = Truth{core: r.Core, api: r.api}.StaleSpans()
		}
		return Answer{}
	}
	r.run(func(th *cpu.Thread) {
		th.Access(r.Core.KernelMap(b.Region), 0, 256, cpu.Touch{Width: 8})
		r.api.SyncForDevice(th, b, "camera", FromDevice)
		for _, off := range []int{64, 128, 4096} { // of the last no cache holds a copy
			r.Memory.DeviceWrite(b.Region.Addr(off), 64, bus.Master(5), th.Now())
		}
		r.api.SyncForCPU(th, b, "camera", FromDevice)
	})
	if diff := cmp.Diff([]Span{{64, 128}}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestLinesAreMaintainedInOneCall(t *testing.T) {
	spans := []Span{{0, 64}, {128, 64}, {8192, 128}}
	for _, c := range []struct {
		extent Extent
		calls  uint64
	}{{Lines, 1}, {Partial, 3}} {
		r := newRig(t, "armv7")
		r.answer = func(*Question) Answer { return Answer{Op: Clean, Extent: c.extent, Spans: spans} }
		r.run(func(th *cpu.Thread) {
			b := backwards(r, 3)
			m := r.Core.KernelMap(b.Region)
			for _, s := range spans {
				th.Access(m, s.Offset, s.Bytes, cpu.Touch{Width: 8})
				th.Access(m, s.Offset, s.Bytes, cpu.Touch{Write: true, Width: 8})
			}
			r.api.SyncForDevice(th, b, "camera", ToDevice)
		})
		m := r.Core.Stats().Maintenance
		equal(t, "calls", m.Segments, c.calls)
		equal(t, "lines", m.Cleaned, 4)
	}
}
