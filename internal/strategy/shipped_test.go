package strategy

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/scenarios"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/flush/flushtest"
)

func TestTablesKeepTheContract(t *testing.T) {
	for _, info := range shipped() {
		t.Run(info.Name, func(t *testing.T) { flushtest.Contract(t, info) })
	}
}

func TestTablesSayWhereTheyShipped(t *testing.T) {
	for _, info := range shipped() {
		if info.Shipped == "" && info.Name != "threshold" {
			t.Errorf("%s does not", info.Name)
		}
		if len(info.Params) == 0 {
			t.Errorf("%s has no threshold to change", info.Name)
		}
	}
	if n := len(scenarios.Strategies()); n != len(shipped()) || n < 7 {
		t.Errorf("%d tables of %d files", len(shipped()), n)
	}
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// The answers of tables.
var (
	silent = dmaapi.Answer{}
	flushA = dmaapi.Answer{Op: dmaapi.CleanInvalidate, Extent: dmaapi.Whole}
	// On a chip with an outer cache:
	innerOnly = dmaapi.Answer{Op: dmaapi.CleanInvalidate, Extent: dmaapi.Whole, Outer: dmaapi.OuterByRange}
	both      = dmaapi.Answer{Op: dmaapi.CleanInvalidate, Extent: dmaapi.Whole, Outer: dmaapi.OuterWhole}
)

func by(op dmaapi.Operation) dmaapi.Answer { return dmaapi.Answer{Op: op} }

// where is a hand-over of so many bytes, or a batch of them.
func where(e dmaapi.Event, op dmaapi.Operation, bytes int) dmaapi.Question {
	q := dmaapi.Question{Event: e, Buffer: "b", Bytes: bytes, Length: bytes, Device: "gpu", Direction: dmaapi.Bidirectional, Default: op}
	if e == dmaapi.Batch {
		q.Buffers, q.TotalBytes, q.Length = 4, bytes, 0
	}
	return q
}

func toDevice(op dmaapi.Operation, bytes int) dmaapi.Question {
	return where(dmaapi.ToDeviceHandover, op, bytes)
}

func toCPU(op dmaapi.Operation, bytes int) dmaapi.Question {
	return where(dmaapi.ToCPUHandover, op, bytes)
}

func batch(op dmaapi.Operation, bytes int) dmaapi.Question { return where(dmaapi.Batch, op, bytes) }

func outer(q dmaapi.Question) dmaapi.Question {
	q.HasOuter = true
	return q
}

// The decisions were written by hand from the drivers' sources, before the tables.
func TestTablesDecideAtTheThresholdAndOneByteBelowItAsTheirDriversDo(t *testing.T) {
	const clean, inv, flushOp, none = dmaapi.Clean, dmaapi.Invalidate, dmaapi.CleanInvalidate, dmaapi.Nothing
	for _, c := range []struct {
		strategy string
		q        dmaapi.Question
		want     dmaapi.Answer
	}{
		{"threshold", toDevice(clean, 256*kib-1), by(clean)},
		{"threshold", toDevice(clean, 256*kib), flushA},
		{"threshold", toCPU(inv, 256*kib-1), by(inv)},
		{"threshold", toCPU(inv, 256*kib), flushA},
		{"threshold", toCPU(none, 256*kib), silent},
		{"threshold", outer(toDevice(clean, 256*kib)), flushA},
		{"threshold(threshold=4KiB)", toDevice(clean, 4095), by(clean)},
		{"threshold(threshold=4KiB)", toDevice(clean, 4096), flushA},

		// ispqueue.c: flush_cache_all for more than ISP_CACHE_FLUSH_PAGES_MAX pages, 0; at QBUF alone.
		{"omap3isp-legacy", toDevice(inv, 1), flushA},
		{"omap3isp-legacy", toDevice(inv, 4*mib), flushA},
		{"omap3isp-legacy", outer(toDevice(inv, 4*mib)), innerOnly},
		{"omap3isp-legacy", toCPU(inv, 4*mib), silent},
		{"omap3isp-legacy", where(dmaapi.MapDevice, clean, 4*mib), by(clean)},
		{"omap3isp-legacy", where(dmaapi.UnmapDevice, inv, 4*mib), by(inv)},
		{"omap3isp-legacy(pages=2)", toDevice(clean, 8192), by(inv)},
		{"omap3isp-legacy(pages=2)", toDevice(clean, 8193), flushA},

		// kgsl.c: op_size >= full_cache_threshold && full_cache_threshold != 0 && op == FLUSH, in the bulk call.
		{"kgsl", batch(clean, 16*mib-1), silent},
		{"kgsl", batch(clean, 16*mib), flushA},
		{"kgsl", batch(flushOp, 16*mib), flushA},
		{"kgsl", outer(batch(clean, 16*mib)), innerOnly},
		{"kgsl", batch(inv, 16*mib), silent},
		{"kgsl", toDevice(clean, 32*mib), by(clean)},
		{"kgsl", toCPU(inv, 32*mib), by(inv)},
		{"kgsl(full_cache_threshold=0B)", batch(clean, 64*mib), silent},
		{"kgsl(full_cache_threshold=1B)", batch(clean, 1), flushA},

		// nvmap_cache.c: can_fast_cache_maint, then fast_cache_maint_outer.
		{"nvmap", toDevice(clean, 2*mib-1), by(clean)},
		{"nvmap", toDevice(clean, 2*mib), dmaapi.Answer{Op: clean, Extent: dmaapi.Whole}},
		{"nvmap", toDevice(flushOp, 2*mib), flushA},
		{"nvmap", toDevice(inv, 2*mib), by(inv)},
		{"nvmap", toCPU(inv, 64*mib), by(inv)},
		{"nvmap", outer(toDevice(clean, 2*mib-1)), by(clean)},
		{"nvmap", outer(toDevice(clean, 2*mib)), dmaapi.Answer{Op: clean, Extent: dmaapi.Whole, Outer: dmaapi.OuterWhole}},
		{"nvmap", batch(clean, 64*mib), silent},
		{"nvmap(outer=4MiB)", outer(toDevice(clean, 2*mib)), dmaapi.Answer{Op: clean, Extent: dmaapi.Whole, Outer: dmaapi.OuterByRange}},
		{"nvmap(outer=4MiB)", outer(toDevice(clean, 4*mib-1)), dmaapi.Answer{Op: clean, Extent: dmaapi.Whole, Outer: dmaapi.OuterByRange}},
		{"nvmap(outer=4MiB)", outer(toDevice(clean, 4*mib)), dmaapi.Answer{Op: clean, Extent: dmaapi.Whole, Outer: dmaapi.OuterWhole}},

		// exynos_ion.c: size >= ION_FLUSH_ALL_HIGHLIMIT, in either direction.
		{"exynos-ion", toDevice(clean, 8*mib-1), by(clean)},
		{"exynos-ion", toDevice(clean, 8*mib), flushA},
		{"exynos-ion", toCPU(inv, 8*mib-1), by(inv)},
		{"exynos-ion", toCPU(inv, 8*mib), flushA},
		{"exynos-ion", toCPU(none, 8*mib), silent},

		// fimg2d_cache.h: is_inner_flushall, is_outer_flushall, of the total of a blit.
		{"fimg2d", batch(clean, 64*kib-1), silent},
		{"fimg2d", batch(clean, 64*kib), flushA},
		{"fimg2d", outer(batch(clean, 64*kib)), innerOnly},
		{"fimg2d", outer(batch(clean, mib-1)), innerOnly},
		{"fimg2d", outer(batch(clean, mib)), both},
		{"fimg2d", toDevice(clean, 64*kib-1), by(clean)},
		{"fimg2d", toDevice(clean, 64*kib), flushA},
		{"fimg2d", outer(toDevice(clean, mib-1)), innerOnly},
		{"fimg2d", outer(toDevice(clean, mib)), both},
		{"fimg2d", toCPU(inv, 4*mib), by(inv)},
		{"fimg2d(inner=25MiB)", toDevice(clean, 25*mib-1), by(clean)},
		{"fimg2d(inner=25MiB)", toDevice(clean, 25*mib), flushA},
		{"fimg2d(inner=25MiB)", outer(toDevice(clean, mib)), dmaapi.Answer{Op: clean, Outer: dmaapi.OuterWhole}},

		// cache_km.c: PVR_DIRTY_BYTES_FLUSH_THRESHOLD, and a quarter of it.
		{"powervr", toDevice(clean, 256*kib-1), by(clean)},
		{"powervr", toDevice(clean, 256*kib), dmaapi.Answer{Op: clean, Defer: true}},
		{"powervr", toDevice(clean, mib-1), dmaapi.Answer{Op: clean, Defer: true}},
		{"powervr", toDevice(clean, mib), flushA},
		{"powervr", toCPU(none, mib), silent},
		{"powervr(threshold=512KiB)", toCPU(inv, 128*kib-1), by(inv)},
		{"powervr(threshold=512KiB)", toCPU(inv, 128*kib), dmaapi.Answer{Op: inv, Defer: true}},
		{"powervr(threshold=512KiB)", toCPU(inv, 512*kib), flushA},
		{"powervr(global_flush=false)", toDevice(clean, 64*mib), dmaapi.Answer{Op: clean, Defer: true}},
	} {
		info, err := One(c.strategy, ".")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, info.New().Decide(&c.q)); diff != "" {
			t.Errorf("%s at %v of %d bytes, where the profile does %v:\n%s", c.strategy, c.q.Event, c.q.Bytes, c.q.Default, diff)
		}
	}
}

func TestAPartOfABufferCountsWithItsOwnBytes(t *testing.T) {
	q := toDevice(dmaapi.Clean, 4*mib)
	q.Offset, q.Length = mib, 256*kib-1
	info, err := One("threshold", ".")
	if err != nil {
		t.Fatal(err)
	}
	if a := info.New().Decide(&q); !cmp.Equal(a, by(dmaapi.Clean)) {
		t.Errorf("%+v", a)
	}
}

func TestDecidingAllocatesNothing(t *testing.T) {
	for _, info := range shipped() {
		p := info.New()
		qs := flushtest.Questions()
		if n := testing.AllocsPerRun(10, func() {
			for i := range qs {
				p.Decide(&qs[i])
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", info.Name, n)
		}
	}
}

func TestTheListHasTheLibrarysTablesAndYardsticksLast(t *testing.T) {
	var names []string
	for _, i := range Registered() {
		names = append(names, i.Name)
	}
	want := []string{
		"none", "range", "whole", "uncached", "write-combine", "skip-sync", "user-hints", "ion-fault-tracking", "calibrated",
		"exynos-ion", "fimg2d", "kgsl", "nvmap", "omap3isp-legacy", "powervr", "threshold", "optimal", "ideal-coherent",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	all := All()
	if len(all) != len(want)-1 || all[len(all)-1].Name != "optimal" {
		t.Errorf("all stands for %d strategies, the last %s", len(all), all[len(all)-1].Name)
	}
}

// FuzzDecide checks that no question makes any strategy panic, and that two policies with the same history agree.
func FuzzDecide(f *testing.F) {
	f.Add(uint8(6), uint8(2), 1<<20, 0, 1<<20, "cached", 0, 1, uint8(0), uint8(1), true, "b", "gpu")
	f.Add(uint8(8), uint8(0), 8192, 4096, 4096, "", 1, 0, uint8(3), uint8(0), false, "b", "")
	f.Fuzz(func(t *testing.T, event, direction uint8, bytes, offset, length int, attr string, page, buffers int, hints, op uint8, hasOuter bool, buffer, device string) {
		q := dmaapi.Question{
			Event: dmaapi.Event(event), Buffer: buffer, Bytes: bytes, Device: device, Direction: dmaapi.Direction(direction), Offset: offset, Length: length, Page: page,
			Buffers: buffers, TotalBytes: bytes, Hints: dmaapi.Hints(hints), HasOuter: hasOuter, Default: dmaapi.Operation(op),
		}
		for _, info := range Registered() {
			one, two := info.New(), info.New()
			for e := range dmaapi.Batch + 2 {
				q.Event = dmaapi.Event(event) + e
				if diff := cmp.Diff(one.Decide(&q), two.Decide(&q)); diff != "" {
					t.Fatalf("%s: %s", info.Name, diff)
				}
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	for _, info := range Registered() {
		b.Run(info.Name, func(b *testing.B) {
			p := info.New()
			qs := flushtest.Questions()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Decide(&qs[i%len(qs)])
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
		})
	}
}

// label is a strategy's label, or its error.
func label(i flush.Info, err error) string {
	if err != nil {
		return fmt.Sprint(err)
	}
	return i.Label()
}
