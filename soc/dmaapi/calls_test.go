package dmaapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// profileTable is what each profile does at the four calls, for TO_DEVICE, FROM_DEVICE and BIDIRECTIONAL, and where it was read.
var profileTable = map[string]struct{ forDevice, forCPU [directions]Operation }{
	"armv7":             {[...]Operation{Clean, Invalidate, Clean}, [...]Operation{Nothing, Invalidate, Invalidate}},
	"armv7-outer":       {[...]Operation{Clean, Invalidate, Clean}, [...]Operation{Nothing, Invalidate, Invalidate}},
	"armv6":             {[...]Operation{Clean, Invalidate, Clean}, [...]Operation{Nothing, Invalidate, Invalidate}},
	"armv5":             {[...]Operation{Clean, Invalidate, CleanInvalidate}, [...]Operation{Nothing, Nothing, Nothing}},
	"arm64-before-5.19": {[...]Operation{Clean, Invalidate, Clean}, [...]Operation{Nothing, Invalidate, Invalidate}},
	"arm64":             {[...]Operation{Clean, Clean, Clean}, [...]Operation{Nothing, Invalidate, Invalidate}},
	"coherent":          {},
}

func TestEachProfileDoesWhatItsKernelDoes(t *testing.T) {
	for name, want := range profileTable {
		for _, c := range calls {
			for dir := range directions {
				r := newRig(t, name)
				r.run(func(th *cpu.Thread) { c.do(r.api, th, NewBuffer("buffer", 0, r.scattered(4096), false), "camera", dir) })
				op := want.forDevice[dir]
				if c.event == ToCPUHandover || c.event == UnmapDevice {
					op = want.forCPU[dir]
				}
				equal(t, fmt.Sprintf("%s: %s %v", name, c.name, dir), r.asked[0].Default, op)
			}
		}
	}
}

func TestASyncOfAPartReachesThatPartAlone(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		b := touched(r, th, false)
		r.api.Map(th, b, "camera", FromDevice)
		before := counted(r)
		r.api.Do(th, Call{Event: ToCPUHandover, Buffer: b, Device: "camera", Direction: FromDevice, Offset: 1024, Length: 256})
		equal(t, "lines", counted(r).Visited-before.Visited, 4)
		q := r.asked[1]
		equal(t, "offset", q.Offset, 1024)
		equal(t, "length", q.Length, 256)
	})
}

func TestSkipCPUSyncDoesNothingAndIsTold(t *testing.T) {
	for _, c := range calls {
		r := newRig(t, "armv7")
		r.run(func(th *cpu.Thread) {
			r.api.Do(th, Call{Event: c.event, Buffer: touched(r, th, false), Device: "camera", Direction: FromDevice, Hints: SkipCPUSync})
		})
		equal(t, c.name+": counters", counted(r), count{})
		equal(t, c.name+": default", r.asked[0].Default, Nothing)
		equal(t, c.name+": hints", r.asked[0].Hints, SkipCPUSync)
	}
}

// misused keeps what is reported, as kind and device.
type misused []string

func (m *misused) Misuse(x Misuse) { *m = append(*m, x.Kind.String()+" "+x.Device) }

func (m *misused) want(t *testing.T, what string, w ...string) {
	t.Helper()
	if diff := cmp.Diff(w, []string(*m)); diff != "" {
		t.Errorf("%s: misuse (-want +got):\n%s", what, diff)
	}
	*m = nil
}

func TestMisuseIsReportedAsTheKernelDoes(t *testing.T) {
	sync := func(e Event, dir Direction, off, n int) Call {
		return Call{Event: e, Device: "camera", Direction: dir, Offset: off, Length: n}
	}
	mapped := sync(MapDevice, FromDevice, 0, 0)
	for _, c := range []struct {
		name  string
		calls []Call
		want  []string
	}{
		{"a sync in the mapping's direction", []Call{mapped, sync(ToCPUHandover, FromDevice, 0, 0), sync(UnmapDevice, FromDevice, 0, 0)}, nil},
		{"a sync of what is not mapped", []Call{sync(ToCPUHandover, FromDevice, 0, 0)}, []string{"sync-unmapped camera"}},
		{"a sync after the unmap", []Call{mapped, sync(UnmapDevice, FromDevice, 0, 0), sync(ToDeviceHandover, FromDevice, 0, 0)}, []string{"sync-unmapped camera"}},
		{"a sync of a part", []Call{mapped, sync(ToCPUHandover, FromDevice, 4000, 96)}, nil},
		{"a sync beyond the end", []Call{mapped, sync(ToCPUHandover, FromDevice, 4000, 97)}, []string{"sync-outside camera"}},
		{"a sync in another direction", []Call{mapped, sync(ToCPUHandover, ToDevice, 0, 0)}, []string{"sync-direction camera"}},
		{"BIDIRECTIONAL accepts any", []Call{sync(MapDevice, Bidirectional, 0, 0), sync(ToCPUHandover, ToDevice, 0, 0), sync(ToDeviceHandover, FromDevice, 0, 0)}, nil},
		{"BIDIRECTIONAL of another", []Call{mapped, sync(ToDeviceHandover, Bidirectional, 0, 0)}, []string{"sync-direction camera"}},
		{"an unmap of what is not mapped", []Call{sync(UnmapDevice, FromDevice, 0, 0)}, []string{"unmap-unmapped camera"}},
		{"an unmap in another direction", []Call{mapped, sync(UnmapDevice, Bidirectional, 0, 0)}, []string{"unmap-direction camera"}},
	} {
		r := newRig(t, "armv7")
		var seen misused
		r.api.SetDebugger(&seen)
		r.run(func(th *cpu.Thread) {
			b := NewBuffer("buffer", 0, r.scattered(4096), false)
			for _, x := range c.calls {
				x.Buffer = b
				r.api.Do(th, x)
			}
		})
		seen.want(t, c.name, c.want...)
	}
}

func TestOwnershipFollowsTheAutomaton(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		b := NewBuffer("buffer", 0, r.scattered(4096), false)
		for i, x := range []struct {
			do   func(*API, *cpu.Thread, *Buffer, string, Direction)
			want Owner
		}{
			{(*API).SyncForDevice, OwnerCPU},
			{(*API).Map, OwnerDevice},
			{(*API).SyncForDevice, OwnerDevice},
			{(*API).SyncForCPU, OwnerCPUMapped},
			{(*API).SyncForCPU, OwnerCPUMapped},
			{(*API).SyncForDevice, OwnerDevice},
			{(*API).Unmap, OwnerCPU},
			{(*API).Map, OwnerDevice},
			{(*API).SyncForCPU, OwnerCPUMapped},
			{(*API).Unmap, OwnerCPU},
		} {
			x.do(r.api, th, b, "camera", FromDevice)
			equal(t, fmt.Sprintf("step %d", i), b.Owner("camera"), x.want)
			equal(t, fmt.Sprintf("step %d, another device", i), b.Owner("gpu"), OwnerCPU)
		}
	})
}

// The schedule of twelve steps by which Arnd Bergmann showed what two devices on one buffer do to ownership (reference, A6).
func TestTwoDevicesOnOneBufferMakeTwoErrorsAndOneNote(t *testing.T) {
	r := newRig(t, "armv7")
	var seen misused
	r.api.SetDebugger(&seen)
	r.run(func(th *cpu.Thread) {
		b := NewBuffer("buffer", 0, r.scattered(4096), false)
		cpuAccess := func(who string) { r.api.CPUAccess(th.Now(), b, who, true) }
		dma := func(device string) { r.api.DeviceAccess(th.Now(), b, device, true) }
		cpuAccess("A")
		cpuAccess("B")
		r.api.Map(th, b, "A", Bidirectional)
		seen.want(t, "before the first error")
		cpuAccess("B")
		seen.want(t, "B's CPU access while A owns it", "cpu-access-owned B")
		dma("A")
		r.api.Map(th, b, "B", Bidirectional)
		seen.want(t, "B maps")
		dma("A")
		dma("B")
		seen.want(t, "both at once", "shared-ownership A")
		r.api.Unmap(th, b, "A", Bidirectional)
		dma("B")
		seen.want(t, "B alone")
		cpuAccess("A")
		seen.want(t, "A's CPU access while B owns it", "cpu-access-owned A")
		r.api.Unmap(th, b, "B", Bidirectional)
		cpuAccess("A")
		seen.want(t, "at the end")
	})
}

func TestADeviceMayTouchOnlyWhatItOwns(t *testing.T) {
	r := newRig(t, "armv7")
	var seen misused
	r.api.SetDebugger(&seen)
	r.run(func(th *cpu.Thread) {
		b := NewBuffer("buffer", 0, r.scattered(4096), false)
		access := func(b *Buffer) { r.api.DeviceAccess(th.Now(), b, "camera", true) }
		access(b)
		seen.want(t, "not mapped", "device-access-unmapped camera")
		r.api.Map(th, b, "camera", FromDevice)
		access(b)
		seen.want(t, "mapped")
		r.api.SyncForCPU(th, b, "camera", FromDevice)
		access(b)
		seen.want(t, "the CPU owns it", "device-access-owned camera")
		access(NewBuffer("coherent", 0, r.scattered(4096), true))
		seen.want(t, "coherent memory")
	})
}

func TestDevicesThatOnlyReadShareABuffer(t *testing.T) {
	r := newRig(t, "armv7")
	var seen misused
	r.api.SetDebugger(&seen)
	r.run(func(th *cpu.Thread) {
		b := NewBuffer("buffer", 0, r.scattered(4096), false)
		for _, d := range []string{"gpu", "display"} {
			r.api.Map(th, b, d, ToDevice)
		}
		r.api.DeviceAccess(th.Now(), b, "display", false)
	})
	seen.want(t, "two readers")
}

func TestSharedOwnershipIsNotedOnceUntilOwnershipChanges(t *testing.T) {
	r := newRig(t, "armv7")
	var seen misused
	r.api.SetDebugger(&seen)
	r.run(func(th *cpu.Thread) {
		b := NewBuffer("buffer", 0, r.scattered(4096), false)
		for _, d := range []string{"camera", "gpu"} {
			r.api.Map(th, b, d, Bidirectional)
		}
		dma := func() { r.api.DeviceAccess(th.Now(), b, "gpu", true) }
		dma()
		dma()
		seen.want(t, "two accesses", "shared-ownership gpu")
		r.api.SyncForCPU(th, b, "camera", Bidirectional)
		dma()
		seen.want(t, "one owner")
		r.api.SyncForDevice(th, b, "camera", Bidirectional)
		dma()
		seen.want(t, "two owners again", "shared-ownership gpu")
	})
}

func TestABatchWaitsForWhatAWorkerHasToDo(t *testing.T) {
	r := newRig(t, "armv7")
	r.answer = func(q *Question) Answer {
		if q.Event == Batch {
			return Answer{Op: CleanInvalidate, Extent: Whole}
		}
		return Answer{Op: Clean, Defer: true}
	}
	r.run(func(th *cpu.Thread) {
		batch := r.batch(th)
		r.api.Do(th, batch[0])
		r.api.Batch(th, batch)
	})
	equal(t, "told", len(r.handovers), 4)
	equal(t, "first", r.handovers[0].Answer.Defer, true)
}

// batch is two buffers of a page, of which the lines of the second are dirty, and a coherent one.
func (r *rig) batch(th *cpu.Thread) []Call {
	var cs []Call
	for i, coherent := range []bool{false, false, true} {
		b := touched(r, th, coherent)
		b.Index = i
		cs = append(cs, Call{Event: ToDeviceHandover, Buffer: b, Device: "gpu", Direction: ToDevice})
	}
	return cs
}

func TestABatchIsAskedAboutAsAWholeFirst(t *testing.T) {
	r := newRig(t, "armv7")
	r.answer = func(q *Question) Answer {
		if q.Event == Batch {
			return Answer{}
		}
		return Answer{Op: q.Default}
	}
	r.run(func(th *cpu.Thread) { r.api.Batch(th, r.batch(th)) })
	equal(t, "questions", len(r.asked), 3)
	q := r.asked[0]
	equal(t, "event", q.Event, Batch)
	equal(t, "buffers", q.Buffers, 2)
	equal(t, "bytes", q.TotalBytes, 2*4096)
	equal(t, "default", q.Default, Clean)
	equal(t, "range calls", r.Core.Stats().Maintenance.RangeCalls, 2)
	equal(t, "told", len(r.handovers), 3)
}

func TestAWholeCacheOperationDoesForTheWholeBatch(t *testing.T) {
	r := newRig(t, "armv7")
	r.answer = func(*Question) Answer { return Answer{Op: CleanInvalidate, Extent: Whole} }
	r.run(func(th *cpu.Thread) { r.api.Batch(th, r.batch(th)) })
	equal(t, "questions", len(r.asked), 1)
	equal(t, "whole calls", r.Core.Stats().Maintenance.WholeCalls, 1)
	equal(t, "range calls", r.Core.Stats().Maintenance.RangeCalls, 0)
	equal(t, "told", len(r.handovers), 3)
	equal(t, "answer told", r.handovers[1].Answer.Extent, Whole)
}

func TestADeferredOperationIsDoneByAWorkerAndWaitedFor(t *testing.T) {
	r := newRig(t, "armv7")
	r.answer = func(q *Question) Answer { return Answer{Op: q.Default, Defer: true} }
	var order []string
	r.run(func(th *cpu.Thread) {
		b := touched(r, th, false)
		r.api.SyncForDevice(th, b, "gpu", ToDevice)
		equal(t, "calls before the wait", counted(r).Calls, 0)
		equal(t, "told before the wait", len(r.handovers), 0)
		r.api.Then(th, b, func(*cpu.Thread) { order = append(order, fmt.Sprintf("then, %d lines clean", counted(r).Cleaned)) })
		r.api.Wait(th, b)
		order = append(order, "waited")
		equal(t, "calls", counted(r).Calls, 1)
		equal(t, "told", len(r.handovers), 1)
		r.api.Then(th, b, func(*cpu.Thread) { order = append(order, "at once") })
	})
	if diff := cmp.Diff([]string{"then, 4 lines clean", "waited", "at once"}, order); diff != "" {
		t.Error(diff)
	}
}

func TestHandOversOfABufferKeepTheirOrder(t *testing.T) {
	r := newRig(t, "armv7")
	r.answer = func(q *Question) Answer { return Answer{Op: CleanInvalidate, Defer: q.Event == ToDeviceHandover} }
	r.run(func(th *cpu.Thread) {
		b, other := touched(r, th, false), touched(r, th, false)
		r.api.SyncForDevice(th, b, "gpu", ToDevice)
		r.api.SyncForCPU(th, b, "gpu", ToDevice)
		r.api.SyncForCPU(th, other, "gpu", ToDevice)
		equal(t, "calls before the wait", counted(r).Calls, 1)
		r.api.Wait(th, b)
	})
	var got []Event
	for _, h := range r.handovers {
		got = append(got, h.Event)
	}
	if diff := cmp.Diff([]Event{ToCPUHandover, ToDeviceHandover, ToCPUHandover}, got); diff != "" {
		t.Error(diff)
	}
}

func TestATrackedMappingFaultsOnceAPageUntilTheDeviceGetsIt(t *testing.T) {
	r := newRig(t, "armv7")
	r.answer = func(*Question) Answer { return Answer{} }
	var faults []string
	r.run(func(th *cpu.Thread) {
		b := NewBuffer("buffer", 0, r.scattered(3*4096), false)
		m, err := r.api.MapTracked("user", b, cpu.Cached)
		if err != nil {
			t.Fatal(err)
		}
		seen := func() (n int) {
			for _, q := range r.asked {
				if q.Event == CPUFault {
					faults = append(faults, fmt.Sprint(q.Page, q.Write, q.Offset, q.Length))
					n++
				}
			}
			r.asked = nil
			return n
		}
		th.Access(m, 4096, 128, cpu.Touch{Width: 4})
		th.Access(m, 2*4096, 64, cpu.Touch{Width: 4, Write: true})
		th.Access(m, 4096, 4096, cpu.Touch{Width: 4, Write: true})
		equal(t, "faults", seen(), 2)
		start := th.Now()
		r.api.SyncForDevice(th, b, "gpu", ToDevice)
		if th.Now() == start {
			t.Error("taking the pages away costs nothing")
		}
		r.api.SyncForCPU(th, b, "gpu", ToDevice)
		th.Access(m, 4096, 128, cpu.Touch{Width: 4})
		equal(t, "faults after the hand-over", seen(), 1)
	})
	if diff := cmp.Diff([]string{"1 false 4096 4096", "2 true 8192 4096", "1 false 4096 4096"}, faults); diff != "" {
		t.Error(diff)
	}
}

func TestAFaultCostsAFault(t *testing.T) {
	r := newRig(t, "armv7")
	r.answer = func(*Question) Answer { return Answer{} }
	r.run(func(th *cpu.Thread) {
		took := func(m *cpu.Mapping, err error) sim.Time {
			if err != nil {
				t.Fatal(err)
			}
			start := th.Now()
			th.Access(m, 0, 4, cpu.Touch{Width: 4})
			return th.Now() - start
		}
		b := NewBuffer("buffer", 0, r.scattered(4096), false)
		plain := took(r.Core.Map("plain", b.Region, cpu.Cached))
		tracked := took(r.api.MapTracked("tracked", b, cpu.Cached))
		fault := sim.NewClock(int64(r.Config.CPU.Clock)).Cycles(int64(r.Config.CPU.OS.PageFault))
		if got := tracked - plain; got < fault-300*sim.Nanosecond || got > fault+300*sim.Nanosecond {
			t.Errorf("a first touch costs %v more, want about %v", got, fault)
		}
	})
}

func TestEachKindIsClearedAndUncachedOnesAreFlushed(t *testing.T) {
	for k := range kinds {
		for _, force := range []bool{false, true} {
			r := newRig(t, "armv7")
			region := r.scattered(8192)
			b := NewBuffer("buffer", 0, region, false)
			b.Kind = k
			r.run(func(th *cpu.Thread) { r.api.Clear(th, b, force) })
			flushed := uint64(0)
			if force || k != Streaming && k != NonCoherent {
				flushed = 8192 / 64
			}
			equal(t, fmt.Sprintf("%v, force %t: lines flushed", k, force), counted(r).Visited, flushed)
			if r.Memory.Newest(region.Addr(0)) == 0 {
				t.Errorf("%v: not cleared", k)
			}
		}
		if got := KindOf(k.Attr(), k == Streaming); got != k {
			t.Errorf("%v has attribute %v, which makes %v", k, k.Attr(), got)
		}
	}
}

func TestUncachedMemoryIsFlushedFromTheOuterCacheToo(t *testing.T) {
	r := newRig(t, "armv7-outer", conf.Override{Path: "soc.l2.outer", Value: "true"})
	region := r.scattered(8192)
	r.run(func(th *cpu.Thread) {
		th.Access(r.Core.KernelMap(region), 0, 8192, cpu.Touch{Width: 8})
		r.api.Clear(th, NewBuffer("buffer", 0, region, true), false)
	})
	equal(t, "outer lines", r.Core.Stats().Maintenance.OuterLines, 8192/64)
	for off := 0; off < 8192; off += 64 {
		if pa := region.Addr(off); r.Memory.InMemory(pa) != r.Memory.Newest(pa) {
			t.Fatalf("the zeros at %d are not in memory", off)
		}
	}
}

func TestInnerAndOuterCachesAreTreatedApart(t *testing.T) {
	type done struct{ ranges, whole, outer uint64 }
	slots := func(r *rig) uint64 { return uint64(r.Config.L2.Size / r.Config.L2.Line) }
	for _, c := range []struct {
		name   string
		answer Answer
		want   func(r *rig) done
	}{
		{"both by range", Answer{Op: CleanInvalidate}, func(*rig) done { return done{1, 0, 64} }},
		{"both as a whole", Answer{Op: CleanInvalidate, Extent: Whole}, func(*rig) done { return done{0, 2, 0} }},
		{"the inner ones as a whole", Answer{Op: CleanInvalidate, Extent: Whole, Outer: OuterByRange}, func(*rig) done { return done{1, 1, 64} }},
		{"the outer ones as a whole", Answer{Op: CleanInvalidate, Outer: OuterWhole}, func(*rig) done { return done{1, 1, 0} }},
	} {
		r := newRig(t, "armv7-outer", conf.Override{Path: "soc.l2.outer", Value: "true"})
		r.answer = func(*Question) Answer { return c.answer }
		r.run(func(th *cpu.Thread) {
			r.api.SyncForDevice(th, NewBuffer("buffer", 0, r.scattered(4096), false), "camera", FromDevice)
		})
		st := r.Core.Stats().Maintenance
		if diff := cmp.Diff(c.want(r), done{st.RangeCalls, st.WholeCalls, st.OuterLines}, cmp.AllowUnexported(done{})); diff != "" {
			t.Errorf("%s (of %d slots):\n%s", c.name, slots(r), diff)
		}
		equal(t, c.name+": has outer", r.asked[0].HasOuter, true)
	}
}

// measurer is a policy that measures before the first allocation.
type measurer struct {
	rig
	took sim.Time
}

func (m *measurer) Start(t *cpu.Thread, a *API) {
	start := t.Now()
	t.MaintainAll(nil)
	m.took = t.Now() - start
}

func TestAStarterMeasuresOnItsOwnTime(t *testing.T) {
	r := newRig(t, "armv7")
	m := &measurer{rig: rig{tb: t}}
	api := New(r.Core, armv7, m, nil)
	r.run(func(th *cpu.Thread) { api.Start(th) })
	if m.took == 0 || r.Core.MaintenanceTime() < m.took {
		t.Errorf("measured %v, charged %v", m.took, r.Core.MaintenanceTime())
	}
}

// seer is a policy that sees.
type seer struct {
	rig
	truth Truth
}

func (s *seer) See(x Truth) { s.truth = x }

func TestTheTruthIsWhatTheCachesHold(t *testing.T) {
	r := newRig(t, "armv7")
	s := &seer{rig: rig{tb: t}}
	New(r.Core, armv7, s, nil)
	r.run(func(th *cpu.Thread) {
		region := r.contiguous(8192, 4096)
		m := r.Core.KernelMap(region)
		all := region.Runs()
		th.Access(m, 0, 4096, cpu.Touch{Width: 4})
		th.Access(m, 640, 128, cpu.Touch{Width: 4, Write: true})
		th.Access(m, 4096+64, 4, cpu.Touch{Width: 4, Write: true}) // misses, and gathers on its way to memory
		start := th.Now()
		lines := func(off ...int) (runs []memory.Run) {
			for _, o := range off {
				runs = append(runs, memory.Run{Addr: region.Addr(o), Bytes: 64})
			}
			return runs
		}
		want := []memory.Run{{Addr: region.Addr(640), Bytes: 128}, {Addr: region.Addr(4096 + 64), Bytes: 64}}
		if diff := cmp.Diff(want, s.truth.Dirty(all)); diff != "" {
			t.Errorf("dirty (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(lines(704), s.truth.Dirty(region.RunsOf(710, 10))); diff != "" {
			t.Errorf("dirty, of a part (-want +got):\n%s", diff)
		}
		if got := s.truth.Stale(all); got != nil {
			t.Errorf("stale: %v, want none", got)
		}
		r.Memory.DeviceWrite(region.Addr(128), 64, 9, th.Now())
		r.Memory.DeviceWrite(region.Addr(4096+256), 64, 9, th.Now()) // not resident
		if diff := cmp.Diff(lines(128), s.truth.Stale(all)); diff != "" {
			t.Errorf("stale (-want +got):\n%s", diff)
		}
		equal(t, "time", th.Now(), start)
	})
}

func TestNewNamesAreNames(t *testing.T) {
	for _, c := range []struct {
		n    int
		name func(i int) string
	}{
		{int(kinds), func(i int) string { return Kind(i).String() }},
		{int(misuses), func(i int) string { return MisuseKind(i).String() }},
		{int(OwnerCPUMapped) + 1, func(i int) string { return Owner(i).String() }},
		{int(Batch) + 1, func(i int) string { return Event(i).String() }},
	} {
		seen := map[string]bool{}
		for i := range c.n {
			name := c.name(i)
			if seen[name] || strings.Contains(name, "(") {
				t.Errorf("name %q", name)
			}
			seen[name] = true
		}
		if !strings.Contains(c.name(c.n), "(") {
			t.Errorf("%d has the name %q", c.n, c.name(c.n))
		}
	}
}
