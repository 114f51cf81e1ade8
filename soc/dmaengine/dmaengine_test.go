package dmaengine

import (
	"fmt"
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/dramtest"
	"socsim/soc/l3"
	"socsim/soc/memory"
	"socsim/soc/presets"
	"socsim/soc/sdma"
)

// rig is an OMAP3430 with a system DMA, whose pages are all scattered.
type rig struct {
	*soc.System
	tb     testing.TB
	alloc  *dmabuf.Allocator
	dev    *sdma.Device
	engine *Engine
	seen   []memory.Violation
}

const master = bus.Master(9)

func (r *rig) Decide(q *dmaapi.Question) dmaapi.Answer { return dmaapi.Answer{Op: q.Default} }

func (r *rig) Violation(v memory.Violation) { r.seen = append(r.seen, v) }

// omap3 is the device as Linux sets it up.
func omap3() sdma.Config {
	c := sdma.Config{
		Channels: 32, FIFO: 1024, ChannelFIFO: 64, ReadOutstanding: 4, WriteOutstanding: 2, ArbitrationRate: 1, Burst: 64, Packing: true, Writes: sdma.NonPosted,
		PrepareCycles: 500, CompleteCycles: 300, Initiator: l3.Plain(2, 4),
	}
	c.Width = 4
	return c
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	var root struct {
		SoC soc.Config `conf:"soc,preset=soc"`
	}
	small := []conf.Override{{Path: "soc.memory.size", Value: "16MiB"}, {Path: "soc.memory.reserved", Value: "8MiB"}, {Path: "soc.memory.fragmentation", Value: "100%"}}
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	_, err := conf.Decode(conf.Source{Name: "test", Data: []byte("soc: omap3430\n")}, small, presets.Set{}, &root)
	must(err)
	sys, err := soc.New(root.SoC, 1)
	must(err)
	dramtest.Watch(tb, sys.DRAM, root.SoC.DRAM)
	tb.Cleanup(sys.Close)
	profile, _ := dmaapi.ProfileByName("armv7")
	r := &rig{System: sys, tb: tb}
	sys.Memory.SetObserver(r)
	r.dev, err = sdma.New(sys.Engine, omap3())
	must(err)
	r.dev.Connect(sys.Fabric, master)
	r.alloc = dmabuf.NewAllocator(dmaapi.New(sys.Core, profile, r, nil))
	r.engine = New(sys.Core, r.dev)
	return r
}

// run runs a driver thread, and whatever it starts, to the end.
func (r *rig) run(body func(t *cpu.Thread)) {
	r.tb.Helper()
	r.Core.Spawn("test", body)
	if err := r.Engine.Run(r.tb.Context(), sim.Never); err != nil {
		r.tb.Fatal(err)
	}
}

// attachment returns a buffer that the DMA can reach.
func (r *rig) attachment(t *cpu.Thread, e dmabuf.Exporter, bytes int, dir dmaapi.Direction) *dmabuf.Attachment {
	r.tb.Helper()
	b, err := r.alloc.Allocate(t, dmabuf.Request{Name: "image", Index: len(r.alloc.Buffers()), Bytes: int64(bytes), Exporter: e, Attr: cpu.Cached, Owner: "nobody"})
	if err != nil {
		r.tb.Fatal(err)
	}
	at := b.Attach(&Importer{Name: "sdma"}, dir)
	if _, err := at.Map(t); err != nil {
		r.tb.Fatal(err)
	}
	return at
}

const bytes = 64 << 10

// pair returns a source and a target of an exporter.
func (r *rig) pair(t *cpu.Thread, e dmabuf.Exporter) (src, dst *dmabuf.Attachment) {
	return r.attachment(t, e, bytes, dmaapi.ToDevice), r.attachment(t, e, bytes, dmaapi.FromDevice)
}

// writtenBy counts the lines of a buffer whose data in memory a master wrote.
func (r *rig) writtenBy(m bus.Master, at *dmabuf.Attachment) int {
	n := 0
	for off := 0; off < int(at.Buffer.Region.Bytes); off += 64 {
		if r.Memory.InMemory(at.Buffer.Region.Addr(off)).Master() == m {
			n++
		}
	}
	return n
}

type event func()

func (f event) Handle(sim.Time, uint64) { f() }

func (r *rig) at(when sim.Time, f func()) { r.Engine.Schedule(when, r.Engine.Register(event(f)), 0) }

func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestADeviceThatTakesPiecesMapsABufferAtItsFirstRun(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		at := r.attachment(th, dmabuf.SystemHeap, bytes, dmaapi.ToDevice)
		equal(t, "scattered", at.Buffer.Region.Contiguous(), false)
		equal(t, "address", at.Addr, bus.Addr(at.Buffer.Region.Addr(0)))
		if err := at.Unmap(th); err != nil {
			t.Error(err)
		}
	})
}

func TestACopyWritesTheWholeTargetAndSignalsItsFence(t *testing.T) {
	for _, e := range []dmabuf.Exporter{dmabuf.SystemHeap, dmabuf.GEM} {
		r := newRig(t)
		var src, dst *dmabuf.Attachment
		r.run(func(th *cpu.Thread) {
			src, dst = r.pair(th, e)
			equal(t, "unused before", r.alloc.MappingsUnused(), 2)
			f := r.engine.Copy(th, src, dst, Linear(bytes), Linear(bytes))
			equal(t, "signaled at once", f.Signaled(), false)
			f.Wait(th)
			equal(t, "lines written", r.writtenBy(master, dst), bytes/64)
			equal(t, "unused after", r.alloc.MappingsUnused(), 0)
		})
		want := len(pieces(src.Buffer.Runs, dst.Buffer.Runs, Linear(bytes), Linear(bytes)))
		if e == dmabuf.SystemHeap && want < 8 || e == dmabuf.GEM && want != 1 {
			t.Errorf("%s: %d pieces", e, want)
		}
		equal(t, "statistics", r.engine.Stats(), Stats{Copies: 1, Descriptors: uint64(want), Bytes: bytes})
		equal(t, "interrupts", r.Core.Stats().Interrupts, uint64(want))
		equal(t, "lines of the source written", r.writtenBy(master, src), 0)
		equal(t, "status left", r.dev.Status(channel), 0)
		equal(t, "bytes read", r.dev.Stats().BytesRead, uint64(bytes))
		equal(t, "violations", len(r.seen), 0)
		r.engine.ResetStats()
		equal(t, "after a reset", r.engine.Stats(), Stats{})
	}
}

func TestACopyOfRowsLeavesTheGapsAlone(t *testing.T) {
	for _, e := range []dmabuf.Exporter{dmabuf.SystemHeap, dmabuf.GEM} {
		r := newRig(t)
		from, to := Layout{Width: 128, Height: 200, Stride: 192}, Layout{Width: 128, Height: 200, Stride: 256}
		r.run(func(th *cpu.Thread) {
			src, dst := r.pair(th, e)
			r.engine.Copy(th, src, dst, from, to).Wait(th)
			for off := 0; off < bytes; off += 64 {
				pa := dst.Buffer.Region.Addr(off)
				if got, want := r.Memory.InMemory(pa).Master() == master, off%256 < 128 && off/256 < 200; got != want {
					t.Fatalf("%s: line at %d written by the DMA: %v, want %v", e, off, got, want)
				}
			}
		})
		if d := r.engine.Stats().Descriptors; e == dmabuf.GEM && d != 1 {
			t.Errorf("%d descriptors for rows of contiguous buffers, want one", d)
		}
	}
}

func TestACopyReadsStaleMemoryUnlessTheCPUsLinesWereCleaned(t *testing.T) {
	for _, sync := range []bool{false, true} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			src, dst := r.pair(th, dmabuf.SystemHeap)
			// The lines are in the cache, so the stores stay there.
			m := r.Core.KernelMap(src.Buffer.Region)
			th.Access(m, 4096, 128, cpu.Touch{Width: 4})
			th.Access(m, 4096, 128, cpu.Touch{Write: true, Width: 4})
			if sync {
				src.Buffer.EndCPUAccess(th, dmaapi.ToDevice)
			}
			r.engine.Copy(th, src, dst, Linear(bytes), Linear(bytes)).Wait(th)
			if sync {
				equal(t, "violations", len(r.seen), 0)
				return
			}
			equal(t, "violations", len(r.seen), 2)
			for i, v := range r.seen {
				equal(t, "kind", v.Kind, memory.StaleDeviceRead)
				equal(t, "reader", v.Actor, master)
				equal(t, "line", v.Addr, src.Buffer.Region.Addr(4096+64*i))
			}
		})
	}
}

func TestACopyWaitsForTheFencesOfItsBuffers(t *testing.T) {
	for _, c := range []struct {
		name  string
		add   func(src, dst *dmabuf.Buffer, f *dmabuf.Fence)
		waits bool
	}{
		{"the source's writer", func(src, _ *dmabuf.Buffer, f *dmabuf.Fence) { src.Resv.AddWrite(f) }, true},
		{"the source's readers", func(src, _ *dmabuf.Buffer, f *dmabuf.Fence) { src.Resv.AddRead(f) }, false},
		{"the target's writer", func(_, dst *dmabuf.Buffer, f *dmabuf.Fence) { dst.Resv.AddWrite(f) }, true},
		{"the target's readers", func(_, dst *dmabuf.Buffer, f *dmabuf.Fence) { dst.Resv.AddRead(f) }, true},
	} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			src, dst := r.pair(th, dmabuf.GEM)
			f := &dmabuf.Fence{}
			c.add(src.Buffer, dst.Buffer, f)
			r.at(th.Now()+20*sim.Millisecond, f.Signal)
			r.engine.Copy(th, src, dst, Linear(bytes), Linear(bytes))
			equal(t, c.name+" held the copy back", f.Signaled(), c.waits)
		})
	}
}

func TestACopysFenceHoldsBackTheNextUsersOfItsBuffers(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		src, dst := r.pair(th, dmabuf.GEM)
		f := r.engine.Copy(th, src, dst, Linear(bytes), Linear(bytes))
		src.Buffer.Resv.Wait(th, false)
		equal(t, "a reader of the source waited", f.Signaled(), false)
		dst.Buffer.Resv.Wait(th, false)
		equal(t, "a reader of the target waited", f.Signaled(), true)
		f = r.engine.Copy(th, src, dst, Linear(bytes), Linear(bytes))
		src.Buffer.Resv.Wait(th, true)
		equal(t, "a writer of the source waited", f.Signaled(), true)
	})
}

func TestCopiesQueueBehindEachOther(t *testing.T) {
	r := newRig(t)
	var order []string
	r.run(func(th *cpu.Thread) {
		for i := range 3 {
			src, dst := r.pair(th, dmabuf.SystemHeap)
			r.Core.Spawn(fmt.Sprint(i), func(th *cpu.Thread) {
				r.engine.Copy(th, src, dst, Linear(bytes), Linear(bytes)).Wait(th)
				order = append(order, th.Name())
			})
		}
	})
	equal(t, "order", strings.Join(order, " "), "0 1 2")
	equal(t, "copies", r.engine.Stats().Copies, 3)
	equal(t, "bytes", r.engine.Stats().Bytes, 3*bytes)
	if r.engine.running || len(r.engine.issued) > 0 {
		t.Errorf("running: %v with %d descriptors left", r.engine.running, len(r.engine.issued))
	}
}

func TestTheCallerPaysForItsDescriptorsAndTheFirstStart(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		src, dst := r.pair(th, dmabuf.SystemHeap)
		n := len(pieces(src.Buffer.Runs, dst.Buffer.Runs, Linear(bytes), Linear(bytes)))
		took := func(body func()) sim.Time {
			th.SleepUntil(th.Now() + 10*sim.Millisecond) // the DMA is idle and the bus of the registers too
			start := th.Now()
			body()
			return th.Now() - start
		}
		want := took(func() {
			th.Syscall(func() {
				th.Cycles(int64(n) * 500)
				th.MMIO(0, 15)
			})
		})
		got := took(func() { r.engine.Copy(th, src, dst, Linear(bytes), Linear(bytes)) })
		// A sum of cycle counts is rounded down once, and not for each descriptor.
		if got < want-sim.Time(n) || got > want {
			t.Errorf("Copy of %d descriptors took %v, want %v", n, got, want)
		}
	})
}

func TestAnInterruptPaysForTheNextStart(t *testing.T) {
	r := newRig(t)
	var n int
	r.run(func(th *cpu.Thread) {
		src, dst := r.pair(th, dmabuf.SystemHeap)
		n = len(pieces(src.Buffer.Runs, dst.Buffer.Runs, Linear(bytes), Linear(bytes)))
		r.engine.Copy(th, src, dst, Linear(bytes), Linear(bytes)).Wait(th)
	})
	got := r.Core.Time(cpu.Interrupt)

	// The same by hand: n interrupts, each but the last with a start, far apart.
	by := newRig(t)
	left := n
	irq := by.Core.SpawnIRQ("by hand", func(t *cpu.Thread) {
		t.MMIO(2, 2)
		if left--; left > 0 {
			t.MMIO(0, 15)
		}
		t.Cycles(300)
	})
	for i := range n {
		by.at(sim.Time(1+i)*sim.Millisecond, irq.Raise)
	}
	by.run(func(*cpu.Thread) {})
	if want := by.Core.Time(cpu.Interrupt); got < want-sim.Time(10*n) || got > want+sim.Time(10*n) {
		t.Errorf("%d interrupts took %v, want %v", n, got, want)
	}
}

func TestACopyThatCannotBePanics(t *testing.T) {
	for _, c := range []struct {
		from, to Layout
		want     string
	}{
		{Linear(bytes + 1), Linear(bytes + 1), "in a buffer of 65536 bytes"},
		{Linear(64), Layout{Width: 64, Height: 2, Stride: 64}, "copy of 64x1 bytes to 64x2"},
		{Linear(64), Linear(32), "copy of 64x1 bytes to 32x1"},
	} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			src, dst := r.pair(th, dmabuf.GEM)
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, c.want) {
					t.Errorf("panic %q, want %q", got, c.want)
				}
			}()
			r.engine.Copy(th, src, dst, c.from, c.to)
		})
	}
}

// TestScatteredPagesCostInterrupts reports what a copy of half a mebibyte costs with contiguous and with scattered buffers.
func TestScatteredPagesCostInterrupts(t *testing.T) {
	const size = 512 << 10
	var took, busy [2]sim.Time
	for i, e := range []dmabuf.Exporter{dmabuf.GEM, dmabuf.SystemHeap} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			src, dst := r.attachment(th, e, size, dmaapi.ToDevice), r.attachment(th, e, size, dmaapi.FromDevice)
			th.Settle()
			start, driver := th.Now(), r.Core.Time(cpu.Driver)
			r.engine.Copy(th, src, dst, Linear(size), Linear(size)).Wait(th)
			took[i], busy[i] = th.Now()-start, r.Core.Time(cpu.Driver)-driver+r.Core.Time(cpu.Interrupt)
		})
		t.Logf("%s: %d descriptors, %v (%d MB/s), core busy for %v", e, r.engine.Stats().Descriptors, took[i], int64(size)*int64(sim.Second/1_000_000)/int64(took[i]), busy[i])
	}
	if took[1] <= took[0] || busy[1] < 20*busy[0] {
		t.Errorf("contiguous %v with %v of the core, scattered %v with %v", took[0], busy[0], took[1], busy[1])
	}
}
