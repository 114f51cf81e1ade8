package dmaapi

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/soc/cpu"
)

// call is one of the four calls that hand a buffer over.
type call struct {
	name  string
	event Event
	do    func(a *API, t *cpu.Thread, b *Buffer, device string, dir Direction)
}

var calls = []call{
	{"dma_map_sg", MapDevice, (*API).Map},
	{"dma_sync_sg_for_device", ToDeviceHandover, (*API).SyncForDevice},
	{"dma_sync_sg_for_cpu", ToCPUHandover, (*API).SyncForCPU},
	{"dma_unmap_sg", UnmapDevice, (*API).Unmap},
}

// count is what an operation leaves in the counters.
type count struct{ Calls, Visited, Cleaned, Invalidated uint64 }

func counted(r *rig) count {
	m := r.Core.Stats().Maintenance
	return count{m.RangeCalls, m.Visited, m.Cleaned, m.Invalidated}
}

// touched prepares a buffer of one page: of its 64 lines 8 are clean in the cache and 4 are dirty.
func touched(r *rig, t *cpu.Thread, coherent bool) *Buffer {
	b := NewBuffer("buffer", 0, r.scattered(4096), coherent)
	m := r.Core.KernelMap(b.Region)
	t.Access(m, 0, 12*64, cpu.Touch{Width: 8})
	t.Access(m, 0, 4*64, cpu.Touch{Write: true, Width: 8})
	return b
}

func TestTheARMv7TableIsTheKernels(t *testing.T) {
	clean, invalidate, nothing := count{1, 64, 4, 0}, count{1, 64, 0, 12}, count{}
	want := map[Event][directions]count{
		MapDevice:        {ToDevice: clean, FromDevice: invalidate, Bidirectional: clean},
		ToDeviceHandover: {ToDevice: clean, FromDevice: invalidate, Bidirectional: clean},
		ToCPUHandover:    {ToDevice: nothing, FromDevice: invalidate, Bidirectional: invalidate},
		UnmapDevice:      {ToDevice: nothing, FromDevice: invalidate, Bidirectional: invalidate},
	}
	for _, c := range calls {
		for dir := range directions {
			r := newRig(t, "armv7")
			r.run(func(th *cpu.Thread) { c.do(r.api, th, touched(r, th, false), "camera", dir) })
			if diff := cmp.Diff(want[c.event][dir], counted(r)); diff != "" {
				t.Errorf("%s %v (-want +got):\n%s", c.name, dir, diff)
			}
		}
	}
}

func TestCoherentMemoryIsNeverMaintained(t *testing.T) {
	for _, c := range calls {
		for dir := range directions {
			r := newRig(t, "armv7")
			r.run(func(th *cpu.Thread) { c.do(r.api, th, touched(r, th, true), "camera", dir) })
			equal(t, c.name+": counters", counted(r), count{})
			equal(t, c.name+": questions", len(r.asked), 0)
			equal(t, c.name+": hand-overs told", len(r.handovers), 1)
		}
	}
}

func TestADeviceThatSnoopsNeedsNoMaintenance(t *testing.T) {
	for _, c := range calls {
		for dir := range directions {
			r := newRig(t, "coherent")
			r.run(func(th *cpu.Thread) { c.do(r.api, th, touched(r, th, false), "camera", dir) })
			equal(t, c.name+": counters", counted(r), count{})
			equal(t, c.name+": default", r.asked[0].Default, Nothing)
		}
	}
}

func TestEveryScatterGatherEntryEndsInABarrier(t *testing.T) {
	r := newRig(t, "armv7")
	region := r.scattered(256 << 10)
	b := NewBuffer("buffer", 0, region, false)
	if len(b.Runs) < 10 {
		t.Fatalf("only %d runs", len(b.Runs))
	}
	r.run(func(th *cpu.Thread) {
		start := th.Now()
		r.api.SyncForDevice(th, b, "camera", ToDevice)
		m := r.Config.CPU.Maintenance
		cycles := int64(len(b.Runs))*int64(m.Call+m.Barrier) + region.Bytes/64*int64(m.Line)
		want := sim.NewClock(int64(r.Config.CPU.Clock)).Cycles(cycles)
		// Each charge is rounded down to a picosecond.
		if got := th.Now() - start; got > want || got < want-sim.Time(region.Bytes/64)-sim.Time(2*len(b.Runs)) {
			t.Errorf("%d entries took %v, want %v", len(b.Runs), got, want)
		}
	})
	equal(t, "entries", r.Core.Stats().Maintenance.Segments, uint64(len(b.Runs)))
}

func TestAPolicyIsAskedWhatADriverKnows(t *testing.T) {
	r := newRig(t, "armv7")
	region := r.scattered(10_000)
	b := NewBuffer("preview", 3, region, false)
	b.Exporter = "vb2-sg"
	r.run(func(th *cpu.Thread) {
		for _, c := range calls {
			c.do(r.api, th, b, "camera", FromDevice)
		}
	})
	var want []Question
	for _, c := range calls {
		want = append(want, Question{
			Event: c.event, Buffer: "preview", Index: 3, Bytes: 10_000, Segments: len(region.Runs()), Device: "camera", Direction: FromDevice,
			Length: 10_000, Contiguous: len(region.Runs()) == 1, Exporter: "vb2-sg", Default: Invalidate,
		})
	}
	if diff := cmp.Diff(want, r.asked); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
}

func TestTheTracerIsToldWhatWasDecided(t *testing.T) {
	r := newRig(t, "armv7")
	r.answer = func(*Question) Answer { return Answer{Op: CleanInvalidate} }
	b := NewBuffer("buffer", 0, r.scattered(4096), false)
	var end sim.Time
	r.run(func(th *cpu.Thread) {
		r.api.SyncForCPU(th, b, "gpu", ToDevice)
		end = th.Now()
	})
	want := []Handover{{At: end, Buffer: b, Device: "gpu", Event: ToCPUHandover, Direction: ToDevice, Default: Nothing, Answer: Answer{Op: CleanInvalidate}}}
	if diff := cmp.Diff(want, r.handovers, cmp.Comparer(func(a, b *Buffer) bool { return a == b })); diff != "" {
		t.Errorf("hand-overs (-want +got):\n%s", diff)
	}
}

func TestAnAnswerDecidesTheExtent(t *testing.T) {
	slots := func(r *rig) uint64 {
		return uint64(r.Config.L1D.Size/r.Config.L1D.Line + r.Config.L2.Size/r.Config.L2.Line)
	}
	for _, c := range []struct {
		name          string
		answer        Answer
		ranges, whole uint64
		visited       func(r *rig) uint64
	}{
		{"nothing", Answer{}, 0, 0, func(*rig) uint64 { return 0 }},
		{"nothing, of the whole cache", Answer{Extent: Whole}, 0, 0, func(*rig) uint64 { return 0 }},
		{"by range", Answer{Op: Clean}, 1, 0, func(*rig) uint64 { return 64 }},
		{"the whole cache", Answer{Op: CleanInvalidate, Extent: Whole}, 0, 1, slots},
		{"two spans", Answer{Op: Invalidate, Extent: Partial, Spans: []Span{{0, 128}, {1024, 64}}}, 1, 0, func(*rig) uint64 { return 3 }},
	} {
		r := newRig(t, "armv7")
		r.answer = func(*Question) Answer { return c.answer }
		r.run(func(th *cpu.Thread) {
			r.api.SyncForDevice(th, NewBuffer("buffer", 0, r.scattered(4096), false), "camera", FromDevice)
		})
		st := r.Core.Stats().Maintenance
		equal(t, c.name+": range calls", st.RangeCalls, c.ranges)
		equal(t, c.name+": whole calls", st.WholeCalls, c.whole)
		equal(t, c.name+": lines", st.Visited, c.visited(r))
	}
}

func TestTheEdgeLinesOfASpanAreWrittenBack(t *testing.T) {
	r := newRig(t, "armv7")
	r.answer = func(*Question) Answer { return Answer{Op: Invalidate, Extent: Partial, Spans: []Span{{32, 128}}} }
	r.run(func(th *cpu.Thread) { r.api.SyncForCPU(th, touched(r, th, false), "camera", FromDevice) })
	equal(t, "counters", counted(r), count{1, 3, 2, 3})
}

func TestCoherentMemoryLeavesTheCacheWhenItIsCleared(t *testing.T) {
	for _, coherent := range []bool{false, true} {
		r := newRig(t, "armv7")
		region := r.scattered(64 << 10)
		r.run(func(th *cpu.Thread) {
			th.Access(r.Core.KernelMap(region), 0, 64<<10, cpu.Touch{Width: 8})
			r.api.Clear(th, NewBuffer("buffer", 0, region, coherent), false)
		})
		resident := 0
		for off := 0; off < 64<<10; off += 64 {
			pa := region.Addr(off)
			if level, _, _ := r.Caches.Probe(cachemodel.At(uint64(pa))); level < r.Caches.Levels() {
				resident++
			}
			if coherent && r.Memory.InMemory(pa) != r.Memory.Newest(pa) {
				t.Fatalf("the zeros at %d are not in memory", off)
			}
		}
		equal(t, fmt.Sprintf("coherent %t: lines left", coherent), resident > 0, !coherent)
	}
}

func TestTheProfilesAreListed(t *testing.T) {
	names := ProfileNames()
	equal(t, "sorted", slices.IsSorted(names), true)
	for _, n := range names {
		p, ok := ProfileByName(n)
		if !ok || p.Name != n || p.Doc == "" || p.Source == "" {
			t.Errorf("%s: %+v", n, p)
		}
	}
	if _, ok := ProfileByName("armv99"); ok {
		t.Error("a profile that is not there was found")
	}
}

func TestEverythingHasAName(t *testing.T) {
	for _, c := range []struct {
		got  fmt.Stringer
		want string
	}{
		{Allocate, "allocate"},
		{MapCPU, "map-cpu"},
		{MapDevice, "map-device"},
		{UnmapDevice, "unmap-device"},
		{ToDeviceHandover, "to-device"},
		{ToCPUHandover, "to-cpu"},
		{Event(99), "event(99)"},
		{ToDevice, "TO_DEVICE"},
		{FromDevice, "FROM_DEVICE"},
		{Bidirectional, "BIDIRECTIONAL"},
		{directions, "direction(3)"},
		{Nothing, "nothing"},
		{Clean, "clean"},
		{Invalidate, "invalidate"},
		{CleanInvalidate, "clean+invalidate"},
		{Operation(9), "operation(9)"},
	} {
		equal(t, "name", c.got.String(), c.want)
	}
}

func BenchmarkSync(b *testing.B) {
	r := newRig(b, "armv7")
	r.answer = func(q *Question) Answer {
		r.asked = r.asked[:0]
		r.handovers = r.handovers[:0]
		return Answer{Op: q.Default}
	}
	buf := NewBuffer("buffer", 0, r.scattered(1<<20), false)
	b.ReportAllocs()
	r.run(func(t *cpu.Thread) {
		b.ResetTimer()
		for range b.N {
			r.api.SyncForCPU(t, buf, "camera", FromDevice)
		}
		b.StopTimer()
	})
	b.ReportMetric(float64(b.N)*(1<<20)/64/b.Elapsed().Seconds(), "lines/s")
}
