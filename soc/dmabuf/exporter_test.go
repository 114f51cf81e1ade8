package dmabuf

import (
	"errors"
	"fmt"
	"testing"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// What each exporter asks for as an importer and the CPU go through a buffer's life; cached memory where the exporter has it.
func TestEveryExporterDoesTheMaintenanceOfItsSource(t *testing.T) {
	own := func(e string) []string { return []string{e + " FROM_DEVICE camera"} }
	for _, c := range []struct {
		exporter                               Exporter
		mapped, begin, end, unmapped, detached []string
		coherent, faults                       bool
	}{
		{
			exporter: SystemHeap, mapped: []string{"map-device TO_DEVICE gpu"}, begin: []string{"to-cpu BIDIRECTIONAL gpu"},
			end: []string{"to-device BIDIRECTIONAL gpu"}, unmapped: []string{"unmap-device TO_DEVICE gpu"},
		},
		{
			exporter: CMAHeap, mapped: []string{"map-device TO_DEVICE gpu"}, begin: []string{"to-cpu BIDIRECTIONAL gpu"},
			end: []string{"to-device BIDIRECTIONAL gpu"}, unmapped: []string{"unmap-device TO_DEVICE gpu"}, faults: true,
		},
		{exporter: UncachedHeap, coherent: true},
		{exporter: VB2SG, mapped: []string{"map-device TO_DEVICE gpu"}, begin: own("to-cpu"), end: own("to-device"), detached: []string{"unmap-device TO_DEVICE gpu"}},
		{exporter: VB2Contig, mapped: []string{"map-device TO_DEVICE gpu, skip: nothing"}, detached: []string{"unmap-device TO_DEVICE gpu, skip: nothing"}},
		{exporter: GEM, coherent: true},
	} {
		r := newRig(t)
		seen := watch(r)
		r.run(func(th *cpu.Thread) {
			before := r.Memory.FreeBytes()
			attr := cpu.Cached
			if c.exporter == GEM {
				attr = cpu.WriteCombine
			}
			b := r.buffer(th, c.exporter, attr)
			equal(t, string(c.exporter)+" is coherent", b.Kind.Coherent(), c.coherent)
			at := b.Attach(&importer{name: "gpu"}, dmaapi.ToDevice)
			expect := func(what string, want []string, err error) {
				t.Helper()
				if err != nil {
					t.Errorf("%s: %s: %v", c.exporter, what, err)
				}
				r.expect(string(c.exporter)+": "+what, want...)
			}
			m, err := b.Mmap(th)
			expect("mmap", nil, err)
			faults := r.Core.Time(cpu.Driver)
			expect("access", nil, m.Access(th, "app", 0, 1, cpu.Touch{Width: 1}))
			equal(t, string(c.exporter)+": the first touch is a fault", r.Core.Time(cpu.Driver)-faults > 500_000, c.faults)
			expect("begin, not mapped", map[Exporter][]string{VB2SG: c.begin}[c.exporter], b.BeginCPUAccess(th, dmaapi.Bidirectional))
			expect("end, not mapped", map[Exporter][]string{VB2SG: c.end}[c.exporter], b.EndCPUAccess(th, dmaapi.Bidirectional))
			_, err = at.Map(th)
			expect("map", c.mapped, err)
			expect("begin", c.begin, b.BeginCPUAccess(th, dmaapi.Bidirectional))
			expect("end", c.end, b.EndCPUAccess(th, dmaapi.Bidirectional))
			expect("unmap", c.unmapped, at.Unmap(th))
			again := c.mapped
			if c.detached != nil {
				again = nil // the mapping was kept
			}
			_, err = at.Map(th)
			expect("map again", again, err)
			expect("unmap again", c.unmapped, at.Unmap(th))
			expect("detach", c.detached, at.Detach(th))
			equal(t, string(c.exporter)+": mappings the device holds", at.Importer.(*importer).holds, 0)
			expect("munmap", []string{"unmap-cpu FROM_DEVICE camera"}, m.Munmap(th))
			expect("put", []string{"free FROM_DEVICE camera"}, b.Put(th))
			equal(t, string(c.exporter)+": free bytes", r.Memory.FreeBytes(), before)
			r.alloc.CheckExit(th.Now())
		})
		seen.want(t, string(c.exporter))
	}
}

func TestANonCoherentQueueBufferIsSyncedByItsBracketsOnlyIfAsked(t *testing.T) {
	for _, asked := range []bool{false, true} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			b, err := r.alloc.Allocate(th, Request{
				Name: "preview", Bytes: 8192, Exporter: VB2Contig, Attr: cpu.Cached, Direction: dmaapi.FromDevice, Owner: "camera", SyncNonCoherent: asked,
			})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if asked {
				want = []string{"to-cpu FROM_DEVICE camera"}
			}
			if err := b.BeginCPUAccess(th, dmaapi.FromDevice); err != nil {
				t.Error(err)
			}
			r.expect(fmt.Sprint("asked ", asked), want...)
		})
	}
}

func TestAQueueExporterMapsAnewForAnotherDirection(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		at := attach(t, th, r.buffer(th, VB2SG, cpu.Cached), "gpu", dmaapi.ToDevice)
		if _, err := at.MapFor(th, dmaapi.FromDevice); !errors.Is(err, ErrBusy) {
			t.Errorf("while it is mapped: error %v", err)
		}
		_ = at.Unmap(th)
		r.asked = nil
		if _, err := at.MapFor(th, dmaapi.FromDevice); err != nil {
			t.Error(err)
		}
		r.expect("another direction", "unmap-device TO_DEVICE gpu", "map-device FROM_DEVICE gpu")
	})
}

func TestACachedTableServesOneDirectionOrBoth(t *testing.T) {
	for _, c := range []struct {
		first, then dmaapi.Direction
		ok          bool
	}{
		{dmaapi.ToDevice, dmaapi.ToDevice, true},
		{dmaapi.ToDevice, dmaapi.FromDevice, false},
		{dmaapi.ToDevice, dmaapi.Bidirectional, false},
		{dmaapi.Bidirectional, dmaapi.FromDevice, true},
	} {
		r := newRig(t)
		r.run(func(th *cpu.Thread) {
			at := attach(t, th, r.buffer(th, GEM, cpu.WriteCombine), "gpu", c.first)
			_ = at.Unmap(th)
			_, err := at.MapFor(th, c.then)
			equal(t, fmt.Sprintf("%v then %v", c.first, c.then), errors.Is(err, ErrBusy), !c.ok)
		})
	}
}

func TestTheIoctlMapsWhatTheCPUReadsToFromDevice(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, SystemHeap, cpu.Cached)
		attach(t, th, b, "gpu", dmaapi.Bidirectional)
		r.asked = nil
		for _, c := range []struct {
			flags SyncFlags
			want  string
		}{
			{SyncStart | SyncRead, "to-cpu FROM_DEVICE gpu"},
			{SyncStart | SyncWrite, "to-cpu TO_DEVICE gpu"},
			{SyncStart | SyncRW, "to-cpu BIDIRECTIONAL gpu"},
			{SyncEnd | SyncRead, "to-device FROM_DEVICE gpu"},
			{SyncEnd | SyncWrite, "to-device TO_DEVICE gpu"},
			{SyncEnd | SyncRW, "to-device BIDIRECTIONAL gpu"},
		} {
			if err := b.Sync(th, c.flags); err != nil {
				t.Error(err)
			}
			r.expect(fmt.Sprintf("flags %#x", c.flags), c.want)
		}
		for _, f := range []SyncFlags{0, SyncEnd, 8 | SyncRead} {
			if err := b.Sync(th, f); err == nil {
				t.Errorf("flags %#x are accepted", f)
			}
		}
		r.expect("invalid flags")
	})
}
