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

func TestANewWriterReplacesTheReaders(t *testing.T) {
	var resv Reservation
	resv.AddRead(&Fence{})
	w := &Fence{}
	resv.AddWrite(w)
	equal(t, "pending", resv.pending(true), w)
	w.Signal()
	if f := resv.pending(true); f != nil {
		t.Error("the readers before the writer are still waited for")
	}
}

func TestSignaledReadersAreForgotten(t *testing.T) {
	var resv Reservation
	for range 100 {
		f := &Fence{}
		resv.AddRead(f)
		f.Signal()
	}
	if len(resv.reads) > 1 {
		t.Errorf("%d fences are kept", len(resv.reads))
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
