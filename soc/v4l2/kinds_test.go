package v4l2

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// importer is a device that maps at no cost.
type importer struct{ name string }

func (i importer) DeviceName() string                                          { return i.name }
func (importer) MapBuffer(*cpu.Thread, *dmabuf.Buffer) (bus.Addr, error)       { return 1 << 20, nil }
func (importer) UnmapBuffer(_ *cpu.Thread, _ *dmabuf.Buffer, _ bus.Addr) error { return nil }
func (r *rig) Lifetime(m dmabuf.Misuse)                                        { r.tb.Errorf("misuse: %v: %s", m.Kind, m.Text) }

func (r *rig) memory(t *cpu.Thread, e dmabuf.Exporter, n int64) (*dmabuf.Buffer, error) {
	return r.alloc.Allocate(t, dmabuf.Request{Name: "memory", Bytes: n, Exporter: e, Attr: cpu.Cached, Direction: dmaapi.FromDevice, Owner: "app"})
}

// open is a machine with a queue that has no buffers. What is asked about anything but hand-overs is not noted.
func open(tb testing.TB, c Config) *rig {
	tb.Helper()
	r := newRig(tb, false)
	c.Device, c.Importer = "camera", importer{"camera"}
	r.alloc = dmabuf.NewAllocator(r.queue.api)
	r.alloc.SetDebugger(r)
	r.queue = Open(r.alloc, c)
	return r
}

func (r *rig) reqbufs(t *cpu.Thread, q Request) {
	r.tb.Helper()
	q.Name, q.Bytes = "video", bufferBytes
	if err := r.queue.Reqbufs(t, q); err != nil {
		r.tb.Fatal(err)
	}
	r.asked, r.hints = nil, nil
}

// round takes buffer 0 through a device and back.
func (r *rig) round(t *cpu.Thread) Frame {
	r.tb.Helper()
	equal(r.tb, "taken", r.take(), 0)
	r.queue.BufferDone(t, Frame{})
	return r.dqbuf(t)
}

// expect checks the hand-overs since the last time.
func (r *rig) expect(what string, want ...string) {
	r.tb.Helper()
	if !slices.Equal(r.asked, want) {
		r.tb.Errorf("%s: hand-overs %q, want %q", what, r.asked, want)
	}
	r.asked = nil
}

const (
	prepared = "to-device FROM_DEVICE video#0 camera"
	finished = "to-cpu FROM_DEVICE video#0 camera"
)

func TestMMAPMemoryIsSyncedWhereItIsCached(t *testing.T) {
	for _, c := range []struct {
		exporter    dmabuf.Exporter
		hints       bool
		nonCoherent bool
		want        []string
	}{
		{dmabuf.VB2SG, false, false, []string{prepared, finished}},
		{dmabuf.VB2Contig, true, false, nil},
		{dmabuf.VB2Contig, true, true, []string{prepared, finished}},
		{dmabuf.VB2Contig, false, true, nil}, // the flag is cleared
	} {
		r := open(t, Config{Direction: dmaapi.FromDevice, CacheHints: c.hints})
		r.run(func(th *cpu.Thread) {
			before := r.Memory.FreeBytes()
			r.reqbufs(th, Request{Count: 2, Exporter: c.exporter, NonCoherent: c.nonCoherent})
			r.qbuf(th, 0)
			r.queue.Streamon(th)
			r.round(th)
			r.expect(fmt.Sprintf("%+v", c), c.want...)
			if err := r.queue.Reqbufs(th, Request{}); err == nil {
				t.Error("REQBUFS while it streams")
			}
			if err := r.queue.Streamoff(th); err != nil {
				t.Error(err)
			}
			r.reqbufs(th, Request{})
			equal(t, "free bytes", r.Memory.FreeBytes(), before)
			r.alloc.CheckExit(th.Now())
		})
	}
}

func TestAnOutputQueueIsPreparedAndNotFinished(t *testing.T) {
	r := open(t, Config{Direction: dmaapi.ToDevice})
	r.run(func(th *cpu.Thread) {
		r.reqbufs(th, Request{Count: 1, Exporter: dmabuf.VB2SG})
		r.queue.Streamon(th)
		for range 2 {
			r.qbuf(th, 0)
			r.round(th)
			r.expect("a round", "to-device TO_DEVICE video#0 camera", "to-cpu TO_DEVICE video#0 camera")
			equal(t, "the second does nothing", r.hints[len(r.hints)-1], dmaapi.SkipCPUSync)
		}
	})
}

func TestPrepareIsDoneOnce(t *testing.T) {
	r := open(t, Config{Direction: dmaapi.FromDevice})
	r.run(func(th *cpu.Thread) {
		r.reqbufs(th, Request{Count: 1, Exporter: dmabuf.VB2SG})
		r.queue.Streamon(th)
		if err := r.queue.PrepareBuf(th, 0, 0); err != nil {
			t.Fatal(err)
		}
		r.expect("PREPARE_BUF", prepared)
		equal(t, "state", r.queue.State(0), Dequeued)
		if err := r.queue.PrepareBuf(th, 0, 0); err == nil {
			t.Error("prepared twice")
		}
		r.qbuf(th, 0)
		r.expect("QBUF")
		r.round(th)
		r.expect("done", finished)
		r.qbuf(th, 0)
		r.expect("QBUF of one that is not prepared", prepared)
		// Returned to the queue, it is still prepared.
		r.take()
		r.queue.Requeue(0)
		r.round(th)
		r.expect("done", finished)
	})
}

func TestABufferIsPreparingWhileItsPrepareRuns(t *testing.T) {
	r := open(t, Config{Direction: dmaapi.FromDevice})
	var during State
	r.run(func(th *cpu.Thread) {
		r.reqbufs(th, Request{Count: 1, Exporter: dmabuf.VB2SG})
		r.at(th.Now()+40*sim.Microsecond, func() { during = r.queue.State(0) })
		r.qbuf(th, 0)
	})
	equal(t, "state", during, Preparing)
}

func TestCacheHintsHoldForMMAPQueuesThatAllowThem(t *testing.T) {
	h := dmaapi.NoCacheClean | dmaapi.NoCacheInvalidate
	for _, c := range []struct {
		cfg  Config
		want dmaapi.Hints
	}{
		{Config{CacheHints: true}, h},
		{Config{}, 0},
		{Config{CacheHints: true, Legacy: true}, 0},
	} {
		c.cfg.Direction = dmaapi.FromDevice
		r := open(t, c.cfg)
		r.run(func(th *cpu.Thread) {
			r.reqbufs(th, Request{Count: 1, Exporter: dmabuf.VB2SG})
			r.queue.Streamon(th)
			got, err := r.queue.QBUFHints(th, 0, h|dmaapi.SkipCPUSync)
			equal(t, "returned", got, c.want)
			equal(t, "error", err, nil)
			r.round(th)
			for _, got := range r.hints {
				equal(t, "in the question", got, c.want)
			}
			r.hints = nil
			r.qbuf(th, 0)
			if !slices.Equal(r.hints, []dmaapi.Hints{0}) {
				t.Errorf("hints %v of a QBUF without", r.hints)
			}
		})
	}
}

func TestTheLegacyQueueSyncsAtQBUFAlone(t *testing.T) {
	r := open(t, Config{Direction: dmaapi.FromDevice, Legacy: true})
	r.run(func(th *cpu.Thread) {
		r.reqbufs(th, Request{Count: 1, Exporter: dmabuf.VB2SG})
		r.queue.Streamon(th)
		for range 2 {
			r.qbuf(th, 0)
			r.round(th)
			r.expect("a round", prepared)
		}
		r.queue.SkipCache(0, true)
		r.qbuf(th, 0)
		r.round(th)
		r.expect("a buffer that skips")
	})
}

func TestStreamoffTakesEverythingBack(t *testing.T) {
	r := open(t, Config{Direction: dmaapi.FromDevice})
	q := r.queue
	var dequeued error
	stopped := false
	q.OnStop = func(*cpu.Thread) { stopped = true }
	r.run(func(th *cpu.Thread) {
		r.reqbufs(th, Request{Count: 4, Exporter: dmabuf.VB2SG})
		q.Streamon(th)
		r.Core.Spawn("app", func(w *cpu.Thread) { // gets the first, and waits for another
			if f, err := q.DQBUF(w); err != nil || f.Index != 0 {
				t.Errorf("frame %+v, %v", f, err)
			}
			_, dequeued = q.DQBUF(w)
		})
		r.qbuf(th, 0, 1, 2)
		r.take()
		q.BufferDone(th, Frame{Index: 0})
		th.SleepUntil(th.Now() + sim.Millisecond)
		r.take()
		r.asked = nil
		var done []Frame
		q.OnDone = func(_ sim.Time, f Frame) { done = append(done, f) }
		if err := q.Streamoff(th); err != nil {
			t.Error(err)
		}
		if !slices.Equal(done, []Frame{{Index: 1, Error: true}}) {
			t.Errorf("done: %+v", done)
		}
		r.expect("finished", "to-cpu FROM_DEVICE video#1 camera", "to-cpu FROM_DEVICE video#2 camera")
		for i := range 4 {
			equal(t, fmt.Sprint("buffer ", i), q.State(i), Dequeued)
		}
		equal(t, "taken", r.take(), -1)
	})
	equal(t, "the driver was stopped", stopped, true)
	if !errors.Is(dequeued, ErrStreamOff) {
		t.Errorf("DQBUF returned %v", dequeued)
	}
	r.run(func(th *cpu.Thread) {
		r.qbuf(th, 3)
		equal(t, "taken before the stream", r.take(), -1)
		told := 0
		q.OnQueue = func(*cpu.Thread) { told++ }
		q.Streamon(th)
		equal(t, "told", told, 1)
		equal(t, "taken", r.take(), 3)
	})
}

func TestStreamoffWakesWhoWaitsWithNothingQueued(t *testing.T) {
	r := newRig(t, false)
	var err error
	r.run(func(th *cpu.Thread) {
		r.Core.Spawn("app", func(w *cpu.Thread) { _, err = r.queue.DQBUF(w) })
		th.SleepUntil(th.Now() + sim.Millisecond)
		_ = r.queue.Streamoff(th)
		r.queue.Streamon(th) // another stream: not the one that the application waits for
	})
	if !errors.Is(err, ErrStreamOff) {
		t.Errorf("error %v", err)
	}
}

func TestStreamoffWaitsForWhatAWorkerPrepares(t *testing.T) {
	r := newRig(t, false)
	r.later = true
	r.queue.OnQueue = func(*cpu.Thread) { t.Error("the driver hears of a buffer of a stream that is over") }
	r.run(func(th *cpu.Thread) {
		r.qbuf(th, 0)
		if err := r.queue.Streamoff(th); err != nil {
			t.Error(err)
		}
		equal(t, "lines", r.Core.Stats().Maintenance.Visited, 2*bufferBytes/64) // prepare and finish
		equal(t, "state", r.queue.State(0), Dequeued)
		r.queue.OnQueue = nil
		r.queue.Streamon(th)
		equal(t, "taken", r.take(), -1)
	})
}

func TestAFrameWithAnErrorSaysSo(t *testing.T) {
	r := newRig(t, false)
	r.run(func(th *cpu.Thread) {
		r.qbuf(th, 0)
		r.take()
		r.queue.BufferDone(th, Frame{Error: true})
		equal(t, "state", r.queue.State(0), Error)
		equal(t, "frame", r.dqbuf(th), Frame{Error: true})
	})
}

func TestUserMemoryMustNotShareACacheLine(t *testing.T) {
	for _, c := range []struct {
		off, n int
		ok     bool
	}{{0, 8192, true}, {64, 8192, true}, {4096, 4096, true}, {32, 8192, false}, {0, 8191, false}, {1, 64, false}, {64, 65, false}, {0, 65537, false}, {-64, 64, false}, {0, 0, false}} {
		r := open(t, Config{Direction: dmaapi.FromDevice, Memory: UserPtr})
		r.run(func(th *cpu.Thread) {
			b, err := r.memory(th, dmabuf.SystemHeap, bufferBytes)
			if err != nil {
				t.Fatal(err)
			}
			m, err := b.MapUser(th)
			if err != nil {
				t.Fatal(err)
			}
			r.reqbufs(th, Request{Count: 1})
			r.queue.Streamon(th)
			if err := r.queue.QBUF(th, 0); err == nil {
				t.Error("queued with no memory")
			}
			err = r.queue.QBUFUser(th, 0, UserMemory{m, c.off, c.n})
			if (err == nil) != c.ok {
				t.Errorf("%d bytes at %d: error %v", c.n, c.off, err)
			}
			if err != nil {
				return
			}
			name := fmt.Sprintf("memory#0, %d bytes at %d", c.n, c.off)
			r.expect("QBUF", "map-device FROM_DEVICE "+name+"#0 camera", "to-device FROM_DEVICE "+name+"#0 camera")
			equal(t, "address", r.queue.Buffer(0).Region.Addr(0), b.Region.Addr(c.off))
			lines := r.Core.Stats().Maintenance.Visited
			r.round(th)
			equal(t, "lines", r.Core.Stats().Maintenance.Visited-lines, uint64(c.n/64))
			r.expect("done", "to-cpu FROM_DEVICE "+name+"#0 camera")
			if err := r.queue.QBUFUser(th, 0, UserMemory{m, c.off, c.n}); err != nil {
				t.Error(err)
			}
			r.expect("the same again", "to-device FROM_DEVICE "+name+"#0 camera")
			if err := errors.Join(r.queue.Streamoff(th), r.queue.Reqbufs(th, Request{})); err != nil {
				t.Error(err)
			}
			equal(t, "the memory's owner still has it", b.Dead(), false)
			equal(t, "buffers", len(r.alloc.Buffers()), 1)
		})
	}
}

// A heap's buffer is synced where it is mapped and unmapped for the device; videobuf2 does neither prepare nor finish.
func TestImportedBuffersAreTheExportersBusiness(t *testing.T) {
	for _, kept := range []bool{false, true} {
		r := open(t, Config{Direction: dmaapi.FromDevice, Memory: DMABUF, KeepMapped: kept})
		r.run(func(th *cpu.Thread) {
			d, err := r.memory(th, dmabuf.SystemHeap, bufferBytes)
			if err != nil {
				t.Fatal(err)
			}
			r.reqbufs(th, Request{Count: 1})
			r.queue.Streamon(th)
			mapped, unmapped := []string{"map-device FROM_DEVICE memory#0 camera"}, []string{"unmap-device FROM_DEVICE memory#0 camera"}
			for i := range 2 {
				if err := r.queue.QBUFImport(th, 0, d); err != nil {
					t.Fatal(err)
				}
				r.expect("QBUF", mapped...)
				r.take()
				r.queue.BufferDone(th, Frame{})
				r.expect("done")
				r.dqbuf(th)
				if kept {
					mapped, unmapped = nil, nil
				}
				r.expect(fmt.Sprint("DQBUF ", i), unmapped...)
			}
			other, err := r.memory(th, dmabuf.SystemHeap, bufferBytes)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.queue.QBUFImport(th, 0, other); err != nil {
				t.Fatal(err)
			}
			equal(t, "references to the first", d.Refs(), 1)
			if err := errors.Join(r.queue.Streamoff(th), r.queue.Reqbufs(th, Request{}), d.Put(th), other.Put(th)); err != nil {
				t.Error(err)
			}
			r.alloc.CheckExit(th.Now())
		})
	}
}

// The hole of the reference (A4): a non-coherent buffer that is exported, and read by the CPU between brackets, is synced by nobody while the device has it.
func TestBracketsOfAnExportedNonCoherentBufferDoNothing(t *testing.T) {
	r := open(t, Config{Direction: dmaapi.FromDevice, CacheHints: true})
	r.run(func(th *cpu.Thread) {
		r.reqbufs(th, Request{Count: 1, Exporter: dmabuf.VB2Contig, NonCoherent: true})
		d, err := r.queue.Expbuf(0)
		if err != nil {
			t.Fatal(err)
		}
		r.qbuf(th, 0)
		r.asked = nil
		if err := errors.Join(d.Sync(th, dmabuf.SyncStart|dmabuf.SyncRead), d.Sync(th, dmabuf.SyncEnd|dmabuf.SyncRead)); err != nil {
			t.Error(err)
		}
		r.expect("brackets")
		if err := errors.Join(r.queue.Streamoff(th), r.queue.Reqbufs(th, Request{})); err != nil {
			t.Error(err)
		}
		equal(t, "the exported buffer lives on", d.Dead(), false)
		if err := d.Put(th); err != nil {
			t.Error(err)
		}
		r.alloc.CheckExit(th.Now())
	})
	imported := open(t, Config{Memory: DMABUF})
	imported.run(func(th *cpu.Thread) {
		imported.reqbufs(th, Request{Count: 1})
		if _, err := imported.queue.Expbuf(0); err == nil {
			t.Error("an imported buffer is exported")
		}
	})
}

// ownership notes what the DMA API's debugger is told.
type ownership []string

func (o *ownership) Misuse(m dmaapi.Misuse) { *o = append(*o, m.Kind.String()+" "+m.Device) }

func TestUserSpaceOwnsABufferFromDQBUFToQBUF(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want []string
	}{
		{"capture", Config{Direction: dmaapi.FromDevice}, []string{"cpu-access-owned app", "cpu-access-owned app"}},
		{"output", Config{Direction: dmaapi.ToDevice}, []string{"cpu-access-owned app", "cpu-access-owned app"}},
		// Nothing gives a buffer of the older queue back.
		{"legacy", Config{Direction: dmaapi.FromDevice, Legacy: true}, []string{"cpu-access-owned app", "cpu-access-owned app", "cpu-access-owned app", "cpu-access-owned app"}},
	} {
		r := open(t, c.cfg)
		var seen ownership
		r.queue.api.SetDebugger(&seen)
		r.run(func(th *cpu.Thread) {
			r.reqbufs(th, Request{Count: 1, Exporter: dmabuf.VB2SG})
			r.queue.Streamon(th)
			b := r.queue.Buffer(0)
			for range 2 {
				b.CPUAccess(th, "app", true)
				r.qbuf(th, 0)
				b.CPUAccess(th, "app", true) // wrong
				r.take()
				r.queue.Attachment(0).Use(th)
				r.queue.BufferDone(th, Frame{})
				r.dqbuf(th)
			}
			b.CPUAccess(th, "app", true)
		})
		if !slices.Equal(seen, c.want) {
			t.Errorf("%s: misuse %q, want %q", c.name, []string(seen), c.want)
		}
	}
}
