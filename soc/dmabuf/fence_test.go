package dmabuf

import (
	"testing"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

type event func()

func (f event) Handle(sim.Time, uint64) { f() }

// at arranges for f to run as an event.
func (r *rig) at(when sim.Time, f func()) { r.Engine.Schedule(when, r.Engine.Register(event(f)), 0) }

// waited returns when a thread that waits for an access at time 0 goes on, given when the write fence and two read fences are signaled; 0 is never added.
func waited(t *testing.T, write bool, writer sim.Time, readers ...sim.Time) (end sim.Time) {
	t.Helper()
	r := newRig(t)
	var resv Reservation
	add := func(when sim.Time, to func(*Fence)) {
		f := &Fence{}
		to(f)
		r.at(when, f.Signal)
	}
	if writer > 0 {
		add(writer, resv.AddWrite)
	}
	for _, at := range readers {
		add(at, resv.AddRead)
	}
	r.run(func(th *cpu.Thread) {
		resv.Wait(th, write)
		end = th.Now()
	})
	return end
}

func TestAnAccessWaitsForTheFencesThatConcernIt(t *testing.T) {
	const us = sim.Microsecond
	for _, c := range []struct {
		name    string
		write   bool
		writer  sim.Time
		readers []sim.Time
		want    sim.Time
	}{
		{"a reader with nobody before", false, 0, nil, 0},
		{"a reader for the writer", false, 50 * us, nil, 50 * us},
		{"a reader not for readers", false, 0, []sim.Time{70 * us}, 0},
		{"a reader for the writer alone", false, 50 * us, []sim.Time{70 * us}, 50 * us},
		{"a writer for the writer", true, 50 * us, nil, 50 * us},
		{"a writer for all readers", true, 0, []sim.Time{70 * us, 30 * us}, 70 * us},
		{"a writer for everybody", true, 50 * us, []sim.Time{20 * us, 90 * us, 40 * us}, 90 * us},
	} {
		equal(t, c.name, waited(t, c.write, c.writer, c.readers...), c.want)
	}
}

func TestAFenceThatWasSignaledIsNotWaitedFor(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		f := &Fence{}
		f.Signal()
		start := th.Now()
		f.Wait(th)
		equal(t, "time", th.Now(), start)
		equal(t, "signaled", f.Signaled(), true)
	})
}

func TestAFenceWakesAllItsWaiters(t *testing.T) {
	r := newRig(t)
	f := &Fence{}
	woken := 0
	for range 3 {
		r.Core.Spawn("waiter", func(th *cpu.Thread) { f.Wait(th); woken++ })
	}
	r.at(100*sim.Microsecond, f.Signal)
	r.run(func(*cpu.Thread) {})
	equal(t, "woken", woken, 3)
}

func TestANewWriterDoesNotForgetTheReaders(t *testing.T) {
	var resv Reservation
	reader, w := &Fence{}, &Fence{}
	resv.AddRead(reader)
	resv.AddWrite(w)
	w.Signal()
	equal(t, "a writer waits for", resv.pending(UsageFor(true)), reader)
	equal(t, "a reader waits for", resv.pending(UsageFor(false)), nil)
}

func TestSignaledReadersAreForgotten(t *testing.T) {
	var resv Reservation
	for range 100 {
		f := &Fence{}
		resv.AddRead(f)
		f.Signal()
	}
	if len(resv.held) > 1 {
		t.Errorf("%d fences are kept", len(resv.held))
	}
}

func TestAWriterMissesNoReaderAddedWhileItWaits(t *testing.T) {
	r := newRig(t)
	var resv Reservation
	first, second, third := &Fence{}, &Fence{}, &Fence{}
	resv.AddRead(first)
	resv.AddRead(second)
	r.at(100*sim.Microsecond, func() {
		first.Signal()
		resv.AddRead(third) // moves the second up in the list
	})
	r.at(200*sim.Microsecond, third.Signal)
	r.at(300*sim.Microsecond, second.Signal)
	r.run(func(th *cpu.Thread) {
		resv.Wait(th, true)
		equal(t, "time", th.Now(), 300*sim.Microsecond)
	})
}

func TestAJobMissesNoFenceAddedToOneBufferWhileItWaitsForTheOther(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		from := attach(t, th, r.buffer(th, SystemHeap, cpu.Cached), "dma", dmaapi.ToDevice)
		to := attach(t, th, r.buffer(th, SystemHeap, cpu.Cached), "dma", dmaapi.FromDevice)
		first, second := &Fence{}, &Fence{}
		to.Buffer.Resv.AddRead(first)
		start := th.Now()
		r.at(start+100*sim.Microsecond, func() { from.Buffer.Resv.AddWrite(second) })
		r.at(start+200*sim.Microsecond, first.Signal)
		r.at(start+300*sim.Microsecond, second.Signal)
		f := from.Buffer.Allocator().NewTimeline("dma").Begin(th, from, to)
		equal(t, "began", th.Now() >= start+300*sim.Microsecond, true)
		equal(t, "a reader of the target waits for", to.Buffer.Resv.pending(UsageFor(false)), f)
		equal(t, "a reader of the source waits for", from.Buffer.Resv.pending(UsageFor(false)), nil)
		equal(t, "a writer of the source waits for", from.Buffer.Resv.pending(UsageFor(true)), f)
	})
}

func TestTheExportersHookRunsBeforeTheFencesAreWaitedFor(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, VB2SG, cpu.Cached)
		f := &Fence{}
		b.Resv.AddWrite(f)
		signal := th.Now() + 10*sim.Millisecond
		r.at(signal-sim.Microsecond, func() { r.expect("before the fence", "to-cpu FROM_DEVICE camera") })
		r.at(signal, f.Signal)
		b.BeginCPUAccess(th, dmaapi.FromDevice)
		equal(t, "time", th.Now(), signal)
	})
}

func TestACPUReadDoesNotWaitForReaders(t *testing.T) {
	for _, c := range []struct {
		dir   dmaapi.Direction
		waits bool
	}{{dmaapi.FromDevice, false}, {dmaapi.ToDevice, true}, {dmaapi.Bidirectional, true}} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			b := r.buffer(th, GEM, cpu.WriteCombine)
			f := &Fence{}
			b.Resv.AddRead(f)
			signal := th.Now() + 10*sim.Millisecond
			r.at(signal, f.Signal)
			b.BeginCPUAccess(th, c.dir)
			equal(t, c.dir.String(), th.Now() == signal, c.waits)
		})
	}
}

func TestAWaiterWaitsForItsUsageAndThoseBefore(t *testing.T) {
	for _, u := range []Usage{Kernel, Write, Read, Bookkeep} {
		for _, of := range []Usage{Kernel, Write, Read, Bookkeep} {
			var resv Reservation
			f := &Fence{}
			resv.Add(f, of)
			equal(t, u.String()+" waits for "+of.String(), resv.pending(u) == f, of <= u)
		}
	}
	equal(t, "a reader waits for", UsageFor(false), Write)
	equal(t, "a writer waits for", UsageFor(true), Read)
}

func TestALaterFenceOfATimelineTakesTheEarliersPlace(t *testing.T) {
	r := newRig(t)
	tl, other := r.alloc.NewTimeline("ring"), r.alloc.NewTimeline("other")
	for _, c := range []struct {
		name     string
		first    *Fence
		of, then Usage
		kept     int
	}{
		{"the same usage", tl.New(0), Write, Write, 1},
		{"a stronger one", tl.New(0), Read, Write, 1},
		{"a weaker one", tl.New(0), Write, Read, 2},
		{"another timeline", other.New(0), Write, Write, 2},
	} {
		var resv Reservation
		resv.Add(c.first, c.of)
		resv.Add(tl.New(0), c.then)
		equal(t, c.name, len(resv.held), c.kept)
	}
}

func TestAFenceLivesFromInitToDestroy(t *testing.T) {
	r := newRig(t)
	seen := watch(r)
	r.run(func(th *cpu.Thread) {
		f := r.alloc.NewTimeline("ring").New(th.Now())
		equal(t, "at first", f.State(), FenceInit)
		r.Core.Spawn("waiter", func(w *cpu.Thread) { f.Wait(w) })
		th.SleepUntil(th.Now() + sim.Millisecond)
		equal(t, "with a waiter", f.State(), FenceEnabled)
		b := r.buffer(th, GEM, cpu.WriteCombine)
		b.Resv.AddWrite(f)
		f.Signal()
		equal(t, "signaled", f.State(), FenceSignaled)
		f.Put()
		equal(t, "while the reservation holds it", f.State(), FenceSignaled)
		_ = b.Put(th)
		equal(t, "at the end", f.State(), FenceDestroyed)
		r.alloc.CheckExit(th.Now())
	})
	seen.want(t, "a whole life")
}

func TestALostFenceLetsItsWaitersGo(t *testing.T) {
	r := newRig(t)
	done := false
	r.run(func(th *cpu.Thread) {
		f := r.alloc.NewTimeline("ring").New(th.Now())
		r.Core.Spawn("waiter", func(w *cpu.Thread) { f.Wait(w); done = true })
		th.SleepUntil(th.Now() + sim.Millisecond)
		f.Put()
	})
	equal(t, "the waiter went on", done, true)
}

func TestASyncFileIsASnapshot(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, GEM, cpu.WriteCombine)
		tl := r.alloc.NewTimeline("ring")
		reader, writer, late := tl.New(0), &Fence{}, &Fence{}
		b.Resv.AddRead(reader)
		b.Resv.AddWrite(writer)
		forWriter, err1 := b.ExportSyncFile(true)
		forReader, err2 := b.ExportSyncFile(false)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		b.Resv.AddWrite(late)
		writer.Signal()
		equal(t, "a reader's", forReader.Signaled(), true)
		equal(t, "a writer's", forWriter.Signaled(), false)
		signal := th.Now() + sim.Millisecond
		r.at(signal, reader.Signal)
		forWriter.Wait(th)
		equal(t, "waited until", th.Now(), signal)
		forWriter.Close()
		equal(t, "late one", late.Signaled(), false)
	})
}

func TestAnImportedSyncFileIsWaitedForAsAReaderOrWriter(t *testing.T) {
	for _, write := range []bool{false, true} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			b := r.buffer(th, GEM, cpu.WriteCombine)
			f := &Fence{}
			s := NewSyncFile(f)
			if err := b.ImportSyncFile(s, write); err != nil {
				t.Fatal(err)
			}
			s.Close()
			equal(t, "a reader waits", b.Resv.pending(UsageFor(false)) == f, write)
			equal(t, "a writer waits", b.Resv.pending(UsageFor(true)) == f, true)
		})
	}
}
