package v4l2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"socsim/internal/conf"
	"socsim/sim"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/dramtest"
	"socsim/soc/presets"
)

// rig is an OMAP3430 with a capture queue of three buffers, under the policy that does what the profile says.
type rig struct {
	*soc.System
	tb    testing.TB
	asked []string
	hints []dmaapi.Hints
	later bool // leave operations to a worker
	queue *Queue
}

func (r *rig) Decide(q *dmaapi.Question) dmaapi.Answer {
	r.hints = append(r.hints, q.Hints)
	if q.Event != dmaapi.Allocate {
		r.asked = append(r.asked, fmt.Sprintf("%v %v %s#%d %s", q.Event, q.Direction, q.Buffer, q.Index, q.Device))
	}
	return dmaapi.Answer{Op: q.Default, Defer: r.later}
}

const bufferBytes = 64 << 10

func newRig(tb testing.TB, imported bool) *rig {
	tb.Helper()
	var root struct {
		SoC soc.Config `conf:"soc,preset=soc"`
	}
	small := []conf.Override{{Path: "soc.memory.size", Value: "16MiB"}, {Path: "soc.memory.reserved", Value: "8MiB"}}
	if _, err := conf.Decode(conf.Source{Name: "test", Data: []byte("soc: omap3430\n")}, small, presets.Set{}, &root); err != nil {
		tb.Fatal(err)
	}
	sys, err := soc.New(root.SoC, 1)
	if err != nil {
		tb.Fatal(err)
	}
	dramtest.Watch(tb, sys.DRAM, root.SoC.DRAM)
	tb.Cleanup(sys.Close)
	profile, _ := dmaapi.ProfileByName("armv7")
	r := &rig{System: sys, tb: tb}
	api := dmaapi.New(sys.Core, profile, r, nil)
	alloc := dmabuf.NewAllocator(api)
	exporter := dmabuf.VB2SG
	if imported {
		exporter = dmabuf.SystemHeap
	}
	r.run(func(t *cpu.Thread) {
		for i := range 3 {
			_, err := alloc.Allocate(t, dmabuf.Request{
				Name: "preview", Index: i, Bytes: bufferBytes, Exporter: exporter, Attr: cpu.Cached, Direction: dmaapi.FromDevice, Owner: "camera",
			})
			if err != nil {
				tb.Fatal(err)
			}
		}
	})
	r.queue = New(api, "camera", dmaapi.FromDevice, alloc.Buffers(), imported)
	return r
}

// run runs a driver thread, and whatever else is ready, to the end.
func (r *rig) run(body func(t *cpu.Thread)) {
	r.tb.Helper()
	r.Core.Spawn("test", body)
	if err := r.Engine.Run(context.Background(), sim.Never); err != nil {
		r.tb.Fatal(err)
	}
}

// qbuf queues buffers.
func (r *rig) qbuf(t *cpu.Thread, buffers ...int) {
	r.tb.Helper()
	for _, i := range buffers {
		if err := r.queue.QBUF(t, i); err != nil {
			r.tb.Fatal(err)
		}
	}
}

// take takes a buffer as the device's driver does, -1 if there is none.
func (r *rig) take() int {
	if i, ok := r.queue.Take(); ok {
		return i
	}
	return -1
}

func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestABufferGoesRoundItsStates(t *testing.T) {
	r := newRig(t, false)
	q := r.queue
	r.run(func(th *cpu.Thread) {
		equal(t, "at first", q.State(1), Dequeued)
		r.qbuf(th, 1)
		equal(t, "after QBUF", q.State(1), Queued)
		equal(t, "taken", r.take(), 1)
		equal(t, "while the device has it", q.State(1), Active)
		q.BufferDone(th, Frame{Index: 1, Seq: 7, Start: 42})
		equal(t, "when the device is done", q.State(1), Done)
		equal(t, "frame", q.DQBUF(th), Frame{Index: 1, Seq: 7, Start: 42})
		equal(t, "after DQBUF", q.State(1), Dequeued)
		equal(t, "the others", q.State(0), Dequeued)
	})
	for s, want := range map[State]string{Dequeued: "dequeued", Queued: "queued", Active: "active", Done: "done"} {
		equal(t, "name", s.String(), want)
	}
}

func TestQueueingABufferThatIsNotDequeuedIsAnError(t *testing.T) {
	r := newRig(t, false)
	r.run(func(th *cpu.Thread) {
		refused := func(state string) {
			t.Helper()
			asked := len(r.asked)
			if err := r.queue.QBUF(th, 0); err == nil || err.Error() != "QBUF of preview#0: it is "+state {
				t.Errorf("while %s: error %v", state, err)
			}
			equal(t, "hand-overs", len(r.asked), asked)
		}
		r.qbuf(th, 0)
		refused("queued")
		r.take()
		refused("active")
		r.queue.BufferDone(th, Frame{})
		refused("done")
		r.queue.DQBUF(th)
		r.qbuf(th, 0)
	})
}

func TestBuffersAreTakenAndReturnedInOrder(t *testing.T) {
	r := newRig(t, false)
	r.run(func(th *cpu.Thread) {
		r.qbuf(th, 2, 0, 1)
		for _, want := range []int{2, 0, 1, -1} {
			equal(t, "taken", r.take(), want)
		}
		for seq, i := range []int{0, 2, 1} {
			r.queue.BufferDone(th, Frame{Index: i, Seq: seq})
		}
		for _, want := range []int{0, 2, 1} {
			equal(t, "dequeued", r.queue.DQBUF(th).Index, want)
		}
	})
}

func TestARequeuedBufferIsTakenFirstAndNotSynced(t *testing.T) {
	r := newRig(t, false)
	r.run(func(th *cpu.Thread) {
		r.qbuf(th, 0, 1, 2)
		equal(t, "taken", r.take(), 0)
		r.asked = nil
		r.queue.Requeue(0)
		equal(t, "state", r.queue.State(0), Queued)
		equal(t, "hand-overs", len(r.asked), 0)
		for _, want := range []int{0, 1, 2} {
			equal(t, "taken", r.take(), want)
		}
	})
}

func TestPrepareAndFinishSyncTheQueuesOwnBuffers(t *testing.T) {
	for _, imported := range []bool{false, true} {
		r := newRig(t, imported)
		r.run(func(th *cpu.Thread) {
			r.qbuf(th, 1)
			r.take()
			r.queue.BufferDone(th, Frame{Index: 1})
			r.queue.DQBUF(th)
		})
		want := []string{"to-device FROM_DEVICE preview#1 camera", "to-cpu FROM_DEVICE preview#1 camera"}
		if imported {
			want = nil
		}
		if !slices.Equal(r.asked, want) {
			t.Errorf("imported %t: hand-overs %v, want %v", imported, r.asked, want)
		}
	}
}

func TestPrepareIsOverBeforeTheDriverSeesTheBuffer(t *testing.T) {
	r := newRig(t, false)
	r.queue.OnQueue = func(th *cpu.Thread) {
		equal(t, "lines done", r.Core.Stats().Maintenance.Visited, bufferBytes/64)
		equal(t, "engine's time", r.Engine.Now(), th.Now())
		equal(t, "taken", r.take(), 0)
	}
	r.run(func(th *cpu.Thread) { r.qbuf(th, 0) })
	equal(t, "state", r.queue.State(0), Active)
}

// interrupted queues a buffer, takes it, and hands it back in an interrupt, with a task that waits for it.
func interrupted(t *testing.T, imported bool) (r *rig, finished, dequeued sim.Time) {
	r = newRig(t, imported)
	irq := r.Core.SpawnIRQ("camera irq", func(th *cpu.Thread) {
		r.queue.BufferDone(th, Frame{Index: 0, Seq: 1})
		finished = th.Now()
	})
	r.run(func(th *cpu.Thread) {
		r.qbuf(th, 0)
		r.take()
	})
	r.Core.Reset(r.Engine.Now())
	r.Core.Spawn("app", func(th *cpu.Thread) {
		r.queue.DQBUF(th)
		dequeued = th.Now()
	})
	r.at(r.Engine.Now()+sim.Millisecond, irq.Raise)
	r.run(func(*cpu.Thread) {})
	return r, finished, dequeued
}

type event func()

func (f event) Handle(sim.Time, uint64) { f() }

func (r *rig) at(when sim.Time, f func()) { r.Engine.Schedule(when, r.Engine.Register(event(f)), 0) }

func TestFinishKeepsInterruptsOff(t *testing.T) {
	r, _, _ := interrupted(t, false)
	maint := r.Core.MaintenanceTime()
	if lines := sim.Time(bufferBytes / 64); maint < lines*34*sim.Second/600e6-lines {
		t.Errorf("maintenance took %v, less than its lines", maint)
	}
	equal(t, "interrupts off", r.Core.IRQOffMax(), maint+r.Core.Time(cpu.Interrupt))
	plain, _, _ := interrupted(t, true)
	equal(t, "maintenance of an imported buffer", plain.Core.MaintenanceTime(), 0)
	equal(t, "interrupts off for an imported buffer", plain.Core.IRQOffMax(), plain.Core.Time(cpu.Interrupt))
	equal(t, "interrupt time is the same", r.Core.Time(cpu.Interrupt), plain.Core.Time(cpu.Interrupt))
}

func TestDQBUFBlocksUntilFinishIsOver(t *testing.T) {
	_, finished, dequeued := interrupted(t, false)
	if dequeued <= finished {
		t.Errorf("dequeued at %v, finished at %v", dequeued, finished)
	}
}

func TestABufferThatIsNotActiveCannotBeDone(t *testing.T) {
	r := newRig(t, false)
	r.run(func(th *cpu.Thread) {
		for what, f := range map[string]func(){
			"done":     func() { r.queue.BufferDone(th, Frame{Index: 2}) },
			"requeued": func() { r.queue.Requeue(2) },
		} {
			func() {
				defer func() {
					if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), what+" while dequeued") {
						t.Errorf("%s: %v", what, p)
					}
				}()
				f()
			}()
		}
	})
}

// Whatever the order of the calls, a buffer is in one place, and frames come out in the order in which they were finished.
func TestTheQueueLosesNoBuffer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, true)
		q := r.queue
		r.run(func(th *cpu.Thread) {
			var queued, done []int
			active := map[int]bool{}
			for seq := range rapid.IntRange(1, 40).Draw(rt, "calls") {
				i := rapid.IntRange(0, 2).Draw(rt, "buffer")
				switch rapid.SampledFrom([]string{"qbuf", "take", "done", "requeue", "dqbuf"}).Draw(rt, "call") {
				case "qbuf":
					free := q.State(i) == Dequeued
					if err := q.QBUF(th, i); (err == nil) != free {
						rt.Fatalf("QBUF of %d: %v", i, err)
					}
					if free {
						queued = append(queued, i)
					}
				case "take":
					got, ok := q.Take()
					if ok != (len(queued) > 0) || ok && got != queued[0] {
						rt.Fatalf("took %d %t, queued %v", got, ok, queued)
					}
					if ok {
						queued = queued[1:]
						active[got] = true
					}
				case "done":
					if active[i] {
						delete(active, i)
						q.BufferDone(th, Frame{Index: i, Seq: seq})
						done = append(done, i)
					}
				case "requeue":
					if active[i] {
						delete(active, i)
						q.Requeue(i)
						queued = append([]int{i}, queued...)
					}
				case "dqbuf":
					if len(done) > 0 {
						if f := q.DQBUF(th); f.Index != done[0] {
							rt.Fatalf("dequeued %d, done %v", f.Index, done)
						}
						done = done[1:]
					}
				}
				for i := range 3 {
					want := Dequeued
					switch {
					case slices.Contains(queued, i):
						want = Queued
					case active[i]:
						want = Active
					case slices.Contains(done, i):
						want = Done
					}
					if q.State(i) != want {
						rt.Fatalf("buffer %d is %v, want %v", i, q.State(i), want)
					}
				}
			}
		})
		r.Close()
	})
}

func TestABufferIsThereForTheDeviceWhenItsDeferredSyncIsDone(t *testing.T) {
	r := newRig(t, false)
	r.later = true
	r.run(func(th *cpu.Thread) {
		queued := 0
		r.queue.OnQueue = func(*cpu.Thread) { queued++ }
		r.qbuf(th, 1)
		if _, ok := r.queue.Take(); ok || queued > 0 {
			t.Error("the device can have the buffer while its lines are not in memory")
		}
		th.SleepUntil(th.Now() + 10*sim.Millisecond)
		if i, ok := r.queue.Take(); !ok || i != 1 || queued != 1 {
			t.Errorf("buffer %d, %t, told %d times", i, ok, queued)
		}
		r.queue.BufferDone(th, Frame{Index: 1})
		if s := r.queue.State(1); s != Active {
			t.Errorf("%v while the invalidate is not done", s)
		}
		f := r.queue.DQBUF(th)
		if f.Index != 1 {
			t.Errorf("frame %+v", f)
		}
	})
}

func TestCacheHintsGoWithBothQuestions(t *testing.T) {
	r := newRig(t, false)
	r.run(func(th *cpu.Thread) {
		r.hints = nil
		h := dmaapi.NoCacheClean | dmaapi.NoCacheInvalidate
		if err := r.queue.QBUFHints(th, 0, h); err != nil {
			t.Fatal(err)
		}
		r.queue.Take()
		r.queue.BufferDone(th, Frame{Index: 0})
		if !slices.Equal(r.hints, []dmaapi.Hints{h, h}) {
			t.Errorf("hints %v", r.hints)
		}
		r.queue.DQBUF(th)
		r.qbuf(th, 0)
		if last := r.hints[len(r.hints)-1]; last != 0 {
			t.Errorf("hints %v of a QBUF without", last)
		}
	})
}
