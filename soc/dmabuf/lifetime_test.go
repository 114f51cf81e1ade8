package dmabuf

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// misused notes what a debugger is told.
type misused struct {
	seen []string
	last Misuse
}

func (s *misused) Lifetime(m Misuse) {
	s.last = m
	text := m.Kind.String()
	if m.Device != "" {
		text += " " + m.Device
	}
	s.seen = append(s.seen, text)
}

// want checks what was told since the last time.
func (s *misused) want(tb testing.TB, what string, want ...string) {
	tb.Helper()
	if diff := cmp.Diff(want, s.seen); diff != "" {
		tb.Errorf("%s: misuse (-want +got):\n%s", what, diff)
	}
	s.seen = nil
}

func watch(r *rig) *misused {
	s := &misused{}
	r.alloc.SetDebugger(s)
	return s
}

func TestEachStepBeyondALifeIsReportedOnce(t *testing.T) {
	touch := cpu.Touch{Width: 4}
	for _, c := range []struct {
		name string
		do   func(r *rig, th *cpu.Thread, b *Buffer, at *Attachment)
		want []string
	}{
		{"a second put", func(_ *rig, th *cpu.Thread, b *Buffer, at *Attachment) {
			_ = at.Detach(th)
			_ = b.Put(th)
			_ = b.Put(th)
		}, []string{"double-put"}},
		{"a put of what only a mapping holds", func(_ *rig, th *cpu.Thread, b *Buffer, at *Attachment) {
			_ = at.Detach(th)
			m, _ := b.Mmap(th)
			_ = b.Put(th)
			_ = b.Put(th)
			_ = m.Munmap(th)
		}, []string{"double-put"}},
		{"a put while attached", func(_ *rig, th *cpu.Thread, b *Buffer, _ *Attachment) { _ = b.Put(th) }, []string{"put-attached gpu"}},
		{"a put while vmapped", func(_ *rig, th *cpu.Thread, b *Buffer, at *Attachment) {
			_ = at.Detach(th)
			_, _ = b.Vmap(th)
			_ = b.Put(th)
		}, []string{"put-vmapped"}},
		{"an unmap of what never was mapped", func(_ *rig, th *cpu.Thread, _ *Buffer, at *Attachment) { _ = at.Unmap(th) }, []string{"unmap-unmapped gpu"}},
		{"a second unmap", func(_ *rig, th *cpu.Thread, _ *Buffer, at *Attachment) {
			_, _ = at.Map(th)
			_ = at.Unmap(th)
			_ = at.Unmap(th)
		}, []string{"double-unmap gpu"}},
		{"a second detach", func(_ *rig, th *cpu.Thread, _ *Buffer, at *Attachment) { _ = at.Detach(th); _ = at.Detach(th) }, []string{"double-detach gpu"}},
		{"a detach while mapped", func(_ *rig, th *cpu.Thread, _ *Buffer, at *Attachment) { _, _ = at.Map(th); _ = at.Detach(th) }, []string{"detach-mapped gpu"}},
		{"a map after detach", func(_ *rig, th *cpu.Thread, _ *Buffer, at *Attachment) { _ = at.Detach(th); _, _ = at.Map(th) }, []string{"use-after-detach gpu"}},
		{"an unmap after detach", func(_ *rig, th *cpu.Thread, _ *Buffer, at *Attachment) { _ = at.Detach(th); _ = at.Unmap(th) }, []string{"use-after-detach gpu"}},
		{"DMA after detach", func(_ *rig, th *cpu.Thread, _ *Buffer, at *Attachment) { _ = at.Detach(th); at.Use(th) }, []string{"use-after-detach gpu"}},
		{"DMA after unmap", func(_ *rig, th *cpu.Thread, _ *Buffer, at *Attachment) {
			_, _ = at.Map(th)
			at.Use(th)
			_ = at.Unmap(th)
			at.Use(th)
		}, []string{"use-after-unmap gpu"}},
		{"a vunmap too many", func(_ *rig, th *cpu.Thread, b *Buffer, _ *Attachment) {
			_, _ = b.Vmap(th)
			_, _ = b.Vmap(th)
			_, _, _ = b.Vunmap(th), b.Vunmap(th), b.Vunmap(th)
		}, []string{"vunmap-unmapped"}},
		{"a second munmap", func(_ *rig, th *cpu.Thread, b *Buffer, _ *Attachment) {
			m, _ := b.Mmap(th)
			_, _ = m.Munmap(th), m.Munmap(th)
		}, []string{"munmap-unmapped"}},
		{"an access after munmap", func(_ *rig, th *cpu.Thread, b *Buffer, _ *Attachment) {
			m, _ := b.Mmap(th)
			_ = m.Munmap(th)
			_ = m.Access(th, "app", 0, 4, touch)
		}, []string{"cpu-use-after-unmap app"}},
		{"an access after vunmap", func(_ *rig, th *cpu.Thread, b *Buffer, _ *Attachment) {
			m, _ := b.Vmap(th)
			_ = b.Vunmap(th)
			_ = m.Access(th, "driver", 0, 4, touch)
		}, []string{"cpu-use-after-unmap driver"}},
		{"everything on a freed buffer", func(_ *rig, th *cpu.Thread, b *Buffer, at *Attachment) {
			_, _ = at.Map(th)
			_ = b.Put(th) // put-attached
			_, _ = at.Map(th)
			_ = at.Unmap(th)
			at.Use(th)
			_ = at.Detach(th)
			b.Attach(&importer{name: "display"}, dmaapi.ToDevice)
			_ = b.BeginCPUAccess(th, dmaapi.FromDevice)
			_ = b.EndCPUAccess(th, dmaapi.FromDevice)
			_, _ = b.Mmap(th)
			_, _ = b.Vmap(th)
			_ = b.Vunmap(th)
			b.CPUAccess(th, "app", false)
			_, _ = b.Get()
			_, _ = b.ExportSyncFile(true)
			_ = b.ImportSyncFile(&SyncFile{}, true)
		}, []string{
			"put-attached gpu", "use-after-free gpu", "use-after-free gpu", "use-after-free gpu", "use-after-free gpu", "use-after-free display", "use-after-free", "use-after-free", "use-after-free",
			"use-after-free", "use-after-free", "use-after-free app", "use-after-free", "use-after-free", "use-after-free",
		}},
		{"a fence that is lost", func(r *rig, th *cpu.Thread, _ *Buffer, _ *Attachment) {
			r.alloc.NewTimeline("ring").New(th.Now()).Put()
		}, []string{"fence-lost ring"}},
		{"a fence after its life", func(r *rig, th *cpu.Thread, b *Buffer, _ *Attachment) {
			f := r.alloc.NewTimeline("ring").New(th.Now())
			f.Signal()
			f.Put()
			f.Put()
			f.Get()
			f.Signal()
			f.Wait(th)
			b.Resv.AddRead(f)
		}, []string{"fence-use-after-free ring", "fence-use-after-free ring", "fence-use-after-free ring", "fence-use-after-free ring", "fence-use-after-free ring"}},
		{"leaks", func(r *rig, th *cpu.Thread, b *Buffer, at *Attachment) {
			_, _ = at.Map(th)
			_, _ = b.Mmap(th)
			_, _ = b.Vmap(th)
			tl := r.alloc.NewTimeline("ring")
			tl.New(th.Now()).Signal()
			tl.New(th.Now())
			r.alloc.CheckExit(th.Now())
		}, []string{"leaked-buffer camera", "leaked-attachment gpu", "leaked-mapping gpu", "leaked-cpu-mapping", "leaked-cpu-mapping", "leaked-fence ring"}},
	} {
		r := newRig(t)
		seen := watch(r)
		r.run(func(th *cpu.Thread) {
			b := r.buffer(th, SystemHeap, cpu.Cached)
			at := b.Attach(&importer{name: "gpu"}, dmaapi.ToDevice)
			c.do(r, th, b, at)
		})
		seen.want(t, c.name, c.want...)
	}
}

func TestAReportTellsWhatWhenAndSinceWhen(t *testing.T) {
	r := newRig(t)
	seen := watch(r)
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, SystemHeap, cpu.Cached)
		at := attach(t, th, b, "gpu", dmaapi.ToDevice)
		th.SleepUntil(th.Now() + sim.Millisecond)
		if err := at.Unmap(th); err != nil {
			t.Fatal(err)
		}
		unmapped := th.Now()
		th.SleepUntil(unmapped + sim.Millisecond)
		at.Use(th)
		want := Misuse{Kind: UseAfterUnmap, Buffer: b, Device: "gpu", At: unmapped + sim.Millisecond, Since: unmapped, Text: "DMA to preview#0 for gpu: not mapped"}
		equal(t, "report", seen.last, want)
		_ = at.Detach(th)
		_ = b.Put(th)
		put := th.Now()
		th.Cycles(600)
		err := b.Put(th)
		equal(t, "report", seen.last, Misuse{Kind: DoublePut, Buffer: b, At: th.Now(), Since: seen.last.Since, Text: err.Error()})
		if seen.last.Since > put || seen.last.Since <= unmapped {
			t.Errorf("put at %v, reported as %v", put, seen.last.Since)
		}
		equal(t, "counted", r.alloc.Misuses(UseAfterUnmap)+r.alloc.Misuses(DoublePut), 2)
	})
}

func TestKindsHaveNames(t *testing.T) {
	names := map[string]bool{}
	for k := range misuses {
		names[k.String()] = true
	}
	equal(t, "names", len(names), int(misuses))
	equal(t, "unknown", misuses.String(), fmt.Sprintf("misuse(%d)", misuses))
}

func TestAKernelMappingIsMadeOnceAndGoneWithTheLast(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, SystemHeap, cpu.Cached)
		one, err1 := b.Vmap(th)
		two, err2 := b.Vmap(th)
		if one != two || err1 != nil || err2 != nil {
			t.Fatalf("%p %v, %p %v", one, err1, two, err2)
		}
		user, err := b.Mmap(th)
		if err != nil {
			t.Fatal(err)
		}
		if one.VA == user.VA {
			t.Error("the kernel and user space share an address")
		}
		_ = b.Vunmap(th)
		if err := one.Access(th, "driver", 0, 64, cpu.Touch{Width: 4, Write: true}); err != nil {
			t.Error(err)
		}
		_ = b.Vunmap(th)
		if err := one.Access(th, "driver", 0, 64, cpu.Touch{Width: 4}); err == nil {
			t.Error("the mapping is still there")
		}
	})
}

func TestMemoryWithoutAKernelMappingHasNoVmap(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		if _, err := r.buffer(th, GEM, cpu.NoMapping).Vmap(th); err == nil {
			t.Error("mapped")
		}
	})
}

// The Cortex-A8 keeps no aliases: flush_kernel_vmap_range does nothing there. With ways of two pages whose aliases are kept, what the kernel wrote under its mapping's address has to be written back.
func TestKernelMappingsAreMaintainedOnAliasingCachesWhileTheyExist(t *testing.T) {
	for _, c := range []struct {
		name  string
		more  []conf.Override
		calls uint64
	}{
		{"one colour", nil, 0},
		{"two colours", []conf.Override{{Path: "soc.l1d.ways", Value: "2"}, {Path: "soc.l1d.aliases", Value: "kept"}}, 1},
	} {
		r := newRigOn(t, "omap3430", c.more...)
		r.run(func(th *cpu.Thread) {
			b := r.buffer(th, SystemHeap, cpu.Cached)
			end := func() uint64 {
				calls := r.Core.Stats().Maintenance.RangeCalls
				_ = b.EndCPUAccess(th, dmaapi.FromDevice)
				return r.Core.Stats().Maintenance.RangeCalls - calls
			}
			equal(t, c.name+" before", end(), 0)
			m, err := b.Vmap(th)
			if err != nil {
				t.Fatal(err)
			}
			_ = m.Access(th, "driver", 0, 4096, cpu.Touch{Width: 4, Write: true})
			equal(t, c.name+" while it exists", end(), c.calls)
			_ = b.Vunmap(th)
			equal(t, c.name+" after", end(), 0)
		})
	}
}

func TestABeginThatASignalInterruptsHasSyncedButNotWaited(t *testing.T) {
	r := newRig(t)
	asked := 0
	r.alloc.SetSignals(func(*Buffer) bool { asked++; return asked == 1 })
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, SystemHeap, cpu.Cached)
		attach(t, th, b, "gpu", dmaapi.FromDevice)
		r.asked = nil
		f := &Fence{}
		b.Resv.AddWrite(f)
		signal := th.Now() + sim.Millisecond
		r.at(signal, f.Signal)
		err := b.BeginCPUAccess(th, dmaapi.FromDevice)
		if err == nil || f.Signaled() {
			t.Errorf("error %v, signaled %t", err, f.Signaled())
		}
		r.expect("interrupted", "to-cpu FROM_DEVICE gpu")
		if err := b.BeginCPUAccess(th, dmaapi.FromDevice); err != nil || !f.Signaled() {
			t.Errorf("the second time: error %v, signaled %t", err, f.Signaled())
		}
		if err := b.BeginCPUAccess(th, dmaapi.FromDevice); err != nil {
			t.Error(err)
		}
		equal(t, "signals asked for", asked, 2)
	})
}

// The schedule of Arnd Bergmann (reference, A6) with attachments of a heap's buffer: two drivers that map, and access by the CPU, without regard to each other. The DMA API reports the two errors and
// that both own the buffer at once; nothing outlives anything.
func TestTwoDriversOnOneBufferMakeTwoErrorsAndOneNote(t *testing.T) {
	r := newRig(t)
	seen := watch(r)
	var owned ownership
	r.alloc.API().SetDebugger(&owned)
	r.run(func(th *cpu.Thread) {
		buf := r.buffer(th, SystemHeap, cpu.Cached)
		a, b := buf.Attach(&importer{name: "A"}, dmaapi.Bidirectional), buf.Attach(&importer{name: "B"}, dmaapi.Bidirectional)
		buf.CPUAccess(th, "A", true)
		buf.CPUAccess(th, "B", true)
		_, _ = a.Map(th)
		buf.CPUAccess(th, "B", true) // wrong
		a.Use(th)
		_, _ = b.Map(th)
		a.Use(th) // shared
		b.Use(th)
		_ = a.Unmap(th)
		b.Use(th)
		buf.CPUAccess(th, "A", true) // wrong
		_ = b.Unmap(th)
		buf.CPUAccess(th, "A", true)
	})
	if diff := cmp.Diff(ownership{"cpu-access-owned B", "shared-ownership A", "cpu-access-owned A"}, owned); diff != "" {
		t.Errorf("misuse (-want +got):\n%s", diff)
	}
	seen.want(t, "lifetimes")
}

// ownership notes what the DMA API's debugger is told.
type ownership []string

func (o *ownership) Misuse(m dmaapi.Misuse) { *o = append(*o, m.Kind.String()+" "+m.Device) }
