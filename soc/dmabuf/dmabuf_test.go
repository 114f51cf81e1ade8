package dmabuf

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dramtest"
	"socsim/soc/memory"
	"socsim/soc/presets"
)

// rig is an OMAP3430 with a little memory and an allocator under a policy that notes what it is asked.
type rig struct {
	*soc.System
	tb    testing.TB
	alloc *Allocator
	asked []string
	attr  cpu.Attr // the policy's own choice
}

func (r *rig) Decide(q *dmaapi.Question) dmaapi.Answer {
	if q.Event == dmaapi.Allocate || q.Event == dmaapi.MapCPU {
		return dmaapi.Answer{Attr: r.attr}
	}
	asked := fmt.Sprintf("%v %v %s", q.Event, q.Direction, q.Device)
	if q.Hints.Has(dmaapi.SkipCPUSync) {
		asked += fmt.Sprintf(", skip: %v", q.Default)
	}
	r.asked = append(r.asked, asked)
	return dmaapi.Answer{Op: q.Default}
}

// expect checks what was asked since the last time.
func (r *rig) expect(what string, want ...string) {
	r.tb.Helper()
	if diff := cmp.Diff(want, r.asked); diff != "" {
		r.tb.Errorf("%s: hand-overs (-want +got):\n%s", what, diff)
	}
	r.asked = nil
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	return newRigOn(tb, "omap3430")
}

// newRigOn is newRig on another preset.
func newRigOn(tb testing.TB, preset string, more ...conf.Override) *rig {
	tb.Helper()
	var root struct {
		SoC soc.Config `conf:"soc,preset=soc"`
	}
	small := []conf.Override{{Path: "soc.memory.size", Value: "16MiB"}, {Path: "soc.memory.reserved", Value: "8MiB"}}
	if _, err := conf.Decode(conf.Source{Name: "test", Data: []byte("soc: " + preset + "\n")}, append(small, more...), presets.Set{}, &root); err != nil {
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
	r.alloc = NewAllocator(dmaapi.New(sys.Core, profile, r, nil))
	return r
}

// run runs a driver thread, and whatever it spawns, to the end.
func (r *rig) run(body func(t *cpu.Thread)) {
	r.tb.Helper()
	r.Core.Spawn("test", body)
	if err := r.Engine.Run(context.Background(), sim.Never); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) buffer(t *cpu.Thread, e Exporter, a cpu.Attr) *Buffer {
	r.tb.Helper()
	b, err := r.alloc.Allocate(t, Request{Name: "preview", Bytes: 8192, Exporter: e, Attr: a, Direction: dmaapi.FromDevice, Owner: "camera"})
	if err != nil {
		r.tb.Fatal(err)
	}
	return b
}

// importer is a device that maps at no cost.
type importer struct {
	name          string
	fail          error
	unmapped      []bus.Addr
	mapped, holds int
}

func (i *importer) DeviceName() string { return i.name }

func (i *importer) MapBuffer(*cpu.Thread, *Buffer) (bus.Addr, error) {
	if i.fail != nil {
		return 0, i.fail
	}
	i.mapped++
	i.holds++
	return bus.Addr(i.mapped << 20), nil
}

func (i *importer) UnmapBuffer(_ *cpu.Thread, _ *Buffer, at bus.Addr) error {
	i.holds--
	i.unmapped = append(i.unmapped, at)
	return nil
}

func attach(tb testing.TB, t *cpu.Thread, b *Buffer, name string, dir dmaapi.Direction) *Attachment {
	tb.Helper()
	at := b.Attach(&importer{name: name}, dir)
	if _, err := at.Map(t); err != nil {
		tb.Fatal(err)
	}
	return at
}

func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestTheSystemHeapSyncsEveryMappedAttachment(t *testing.T) {
	for k := range 4 {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			b := r.buffer(th, SystemHeap, cpu.Cached)
			var begin, end []string
			for i := range k {
				name := fmt.Sprint("device", i)
				attach(t, th, b, name, dmaapi.ToDevice)
				begin = append(begin, "to-cpu FROM_DEVICE "+name)
				end = append(end, "to-device FROM_DEVICE "+name)
			}
			b.Attach(&importer{name: "never mapped"}, dmaapi.ToDevice)
			gone := attach(t, th, b, "unmapped again", dmaapi.ToDevice)
			if err := gone.Unmap(th); err != nil {
				t.Fatal(err)
			}
			r.asked = nil
			lines := r.Core.Stats().Maintenance.Visited
			b.BeginCPUAccess(th, dmaapi.FromDevice)
			r.expect("begin", begin...)
			b.EndCPUAccess(th, dmaapi.FromDevice)
			r.expect("end", end...)
			equal(t, "lines", r.Core.Stats().Maintenance.Visited-lines, uint64(2*k*8192/64))
		})
	}
}

func TestAQueueSyncsItsOwnMappingOnce(t *testing.T) {
	for _, e := range []Exporter{VB2SG} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			b := r.buffer(th, e, cpu.Cached)
			for _, name := range []string{"camera", "gpu", "display"} {
				attach(t, th, b, name, dmaapi.ToDevice)
			}
			r.asked = nil
			b.BeginCPUAccess(th, dmaapi.Bidirectional)
			r.expect("begin", "to-cpu FROM_DEVICE camera")
			b.EndCPUAccess(th, dmaapi.Bidirectional)
			r.expect("end", "to-device FROM_DEVICE camera")
		})
	}
}

func TestCoherentExportersSyncNothing(t *testing.T) {
	for _, c := range []struct {
		exporter Exporter
		attr     cpu.Attr
	}{{GEM, cpu.NoMapping}, {GEM, cpu.WriteCombine}, {VB2Contig, cpu.Uncached}} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			b := r.buffer(th, c.exporter, c.attr)
			at := attach(t, th, b, "gpu", dmaapi.FromDevice)
			b.BeginCPUAccess(th, dmaapi.Bidirectional)
			b.EndCPUAccess(th, dmaapi.Bidirectional)
			if err := at.Unmap(th); err != nil {
				t.Fatal(err)
			}
			r.expect(string(c.exporter))
			equal(t, "coherent", b.Kind.Coherent(), true)
		})
	}
}

func TestMappingHandsTheBufferOverExceptToItsQueue(t *testing.T) {
	for _, c := range []struct {
		exporter     Exporter
		device       string
		mapped, undo []string
	}{
		// The queue's own mapping is made with DMA_ATTR_SKIP_CPU_SYNC, in the queue's direction.
		{VB2SG, "camera", []string{"map-device FROM_DEVICE camera, skip: nothing", "to-cpu FROM_DEVICE camera, skip: nothing"}, []string{"unmap-device FROM_DEVICE camera, skip: nothing"}},
		{VB2SG, "gpu", []string{"map-device TO_DEVICE gpu"}, nil}, // kept until detach
		{SystemHeap, "camera", []string{"map-device TO_DEVICE camera"}, []string{"unmap-device TO_DEVICE camera"}},
		{SystemHeap, "gpu", []string{"map-device TO_DEVICE gpu"}, []string{"unmap-device TO_DEVICE gpu"}},
	} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			at := attach(t, th, r.buffer(th, c.exporter, cpu.Cached), c.device, dmaapi.ToDevice)
			r.expect("map", c.mapped...)
			if err := at.Unmap(th); err != nil {
				t.Fatal(err)
			}
			r.expect("unmap", c.undo...)
		})
	}
}

func TestAnAttachmentIsMappedOnce(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		dev := &importer{name: "gpu"}
		at := r.buffer(th, SystemHeap, cpu.Cached).Attach(dev, dmaapi.ToDevice)
		for range 3 {
			addr, err := at.Map(th)
			if err != nil || addr != 1<<20 {
				t.Errorf("mapped at %v, %v", addr, err)
			}
		}
		equal(t, "mappings", dev.mapped, 1)
		equal(t, "maps", r.alloc.Stats().Maps, 1)
	})
}

func TestUnmapGivesTheImporterItsAddressBack(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		at := attach(t, th, r.buffer(th, SystemHeap, cpu.Cached), "gpu", dmaapi.ToDevice)
		if err := at.Unmap(th); err != nil {
			t.Fatal(err)
		}
		equal(t, "address", at.Importer.(*importer).unmapped[0], at.Addr)
		equal(t, "unmaps", r.alloc.Stats().Unmaps, 1)
	})
}

func TestUnmappingTwiceIsAnErrorThatNamesBufferAndDevice(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		at := attach(t, th, r.buffer(th, SystemHeap, cpu.Cached), "gpu", dmaapi.ToDevice)
		if err := at.Unmap(th); err != nil {
			t.Fatal(err)
		}
		if err := at.Unmap(th); err == nil || err.Error() != "unmapping preview#0 for gpu: not mapped" {
			t.Errorf("error %v", err)
		}
		equal(t, "mappings left", at.Importer.(*importer).holds, 0)
	})
}

func TestAnImporterThatCannotMapIsReported(t *testing.T) {
	r := newRig(t)
	refused := errors.New("no MMU")
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, SystemHeap, cpu.Cached)
		at := b.Attach(&importer{name: "display", fail: refused}, dmaapi.ToDevice)
		if _, err := at.Map(th); !errors.Is(err, refused) || !strings.Contains(err.Error(), "mapping preview#0 for display") {
			t.Errorf("error %v", err)
		}
		equal(t, "maps", r.alloc.Stats().Maps, 0)
		r.expect("a map that failed")
	})
}

func TestAMappingNobodyUsedIsCounted(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, SystemHeap, cpu.Cached)
		equal(t, "without mappings", r.alloc.MappingsUnused(), 0)
		gpu := attach(t, th, b, "gpu", dmaapi.ToDevice)
		attach(t, th, b, "display", dmaapi.ToDevice)
		m, err := b.MapUser(th)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "with three", r.alloc.MappingsUnused(), 3)
		gpu.Use(th)
		equal(t, "the GPU used one", r.alloc.MappingsUnused(), 2)
		th.Access(m, 0, 4, cpu.Touch{Width: 4})
		equal(t, "the CPU used one", r.alloc.MappingsUnused(), 1)
	})
}

func TestTheStrategyChoosesTheAttribute(t *testing.T) {
	for _, c := range []struct {
		asked, chosen, want cpu.Attr
		exporter            Exporter
		coherent            bool
	}{
		{cpu.Cached, "", cpu.Cached, VB2SG, false},
		{cpu.Cached, cpu.Uncached, cpu.Uncached, VB2SG, true},
		{cpu.Cached, cpu.WriteCombine, cpu.WriteCombine, SystemHeap, true},
		{cpu.Cached, cpu.WriteThrough, cpu.WriteThrough, VB2SG, false},
		{cpu.Uncached, cpu.Cached, cpu.Cached, GEM, false},
		{cpu.Uncached, "", cpu.Uncached, GEM, true},
		{cpu.Cached, "", cpu.Cached, VB2Contig, false},
		{cpu.Uncached, "", cpu.Uncached, VB2Contig, true},
	} {
		r := newRig(t)
		r.attr = c.chosen
		r.run(func(th *cpu.Thread) {
			b := r.buffer(th, c.exporter, c.asked)
			m, err := b.MapUser(th)
			if err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("%s asked for %s, strategy %q: ", c.exporter, c.asked, c.chosen)
			equal(t, what+"attribute", b.Attr, c.want)
			equal(t, what+"mapping", m.Attr, c.want)
			equal(t, what+"coherent", b.Kind.Coherent(), c.coherent)
		})
	}
}

func TestExportersThatNeedContiguousMemoryGetIt(t *testing.T) {
	for _, e := range []Exporter{SystemHeap, CMAHeap, UncachedHeap, VB2SG, VB2Contig, GEM} {
		for _, contiguous := range []bool{false, true} {
			r := newRig(t)
			r.run(func(th *cpu.Thread) {
				b, err := r.alloc.Allocate(th, Request{Name: "b", Bytes: 256 << 10, Exporter: e, Contiguous: contiguous, Attr: cpu.Cached})
				if err != nil {
					t.Fatal(err)
				}
				equal(t, fmt.Sprint(e, contiguous), b.Region.Contiguous(), contiguous || e == CMAHeap || e == VB2Contig || e == GEM)
			})
		}
	}
}

func TestAllocationClearsTheBufferOnTheDriversTime(t *testing.T) {
	r := newRig(t)
	r.Core.SpawnTask("app", func(th *cpu.Thread) {
		b := r.buffer(th, GEM, cpu.NoMapping)
		for off := 0; off < 8192; off += 64 {
			pa := b.Region.Addr(off)
			if s := r.Memory.Newest(pa); s == 0 || s != r.Memory.InMemory(pa) {
				t.Fatalf("the line at %d was not cleared", off)
			}
		}
	})
	if err := r.Engine.Run(context.Background(), sim.Never); err != nil {
		t.Fatal(err)
	}
	equal(t, "task time", r.Core.TaskTime(0), 0)
	if r.Core.Time(cpu.Driver) == 0 {
		t.Error("no driver time")
	}
}

func TestAllocatingTooMuchIsAnError(t *testing.T) {
	for _, e := range []Exporter{VB2SG, GEM} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			if _, err := r.alloc.Allocate(th, Request{Name: "huge", Bytes: 1 << 30, Exporter: e}); !errors.Is(err, memory.ErrNoMemory) || !strings.Contains(err.Error(), "huge#0") {
				t.Errorf("error %v", err)
			}
			equal(t, "buffers", len(r.alloc.Buffers()), 0)
		})
	}
}

func TestABufferWithoutACPUMappingCannotBeMapped(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		if _, err := r.buffer(th, GEM, cpu.NoMapping).MapUser(th); err == nil || !strings.Contains(err.Error(), "preview#0") {
			t.Errorf("error %v", err)
		}
	})
}

func TestAUserMappingIsMadeOnce(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, VB2SG, cpu.Cached)
		one, err1 := b.MapUser(th)
		two, err2 := b.MapUser(th)
		if one != two || err1 != nil || err2 != nil {
			t.Errorf("%p %v, %p %v", one, err1, two, err2)
		}
	})
}

func TestCPUAccessesAreCounted(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, GEM, cpu.WriteCombine)
		b.BeginCPUAccess(th, dmaapi.ToDevice)
		b.EndCPUAccess(th, dmaapi.ToDevice)
		equal(t, "calls", r.alloc.Stats().CPUAccess, 2)
		r.alloc.ResetStats()
		equal(t, "after a reset", r.alloc.Stats(), Stats{})
	})
}

func TestIsQueueAndContiguousTellTheExportersApart(t *testing.T) {
	for _, c := range []struct {
		e                 Exporter
		queue, contiguous bool
	}{{SystemHeap, false, false}, {CMAHeap, false, true}, {UncachedHeap, false, false}, {VB2SG, true, false}, {VB2Contig, true, true}, {GEM, false, true}} {
		equal(t, string(c.e)+" is a queue", c.e.IsQueue(), c.queue)
		equal(t, string(c.e)+" is contiguous", c.e.Contiguous(), c.contiguous)
	}
	equal(t, "listed", len(Exporter("").Values()), 6)
}

func TestTheLastPutTellsTheStrategyAndGivesTheMemoryBack(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		before := r.Memory.FreeBytes()
		b := r.buffer(th, VB2SG, cpu.Cached)
		m, err := b.Mmap(th)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Put(th); err != nil {
			t.Error(err)
		}
		equal(t, "dead while user space maps it", b.Dead(), false)
		r.asked = nil
		if err := m.Munmap(th); err != nil {
			t.Error(err)
		}
		r.expect("free", "unmap-cpu FROM_DEVICE camera", "free FROM_DEVICE camera")
		equal(t, "dead", b.Dead(), true)
		equal(t, "free bytes", r.Memory.FreeBytes(), before)
		equal(t, "buffers", len(r.alloc.Buffers()), 0)
	})
}
