package dmaapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/l3"
	"socsim/soc/memory"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// domain makes a domain on an MMU of its own.
func (r *rig) domain(t *cpu.Thread, format iommu.Format, entries int) *Domain {
	r.tb.Helper()
	mmu, err := iommu.New(iommu.Config{Entries: entries, Format: format, HitCycles: 1}, sim.NewClock(166e6), r.Memory)
	if err != nil {
		r.tb.Fatal(err)
	}
	d, err := NewDomain(t, DomainConfig{Device: "camera", MMU: mmu, Entries: entries, Format: format, Base: 16 * mib, Size: 128 * mib})
	if err != nil {
		r.tb.Fatal(err)
	}
	return d
}

// walk does what the table walker of an OMAP MMU does, over memory: it follows the descriptors of omap-iopgtable.h.
func walk(m *memory.Memory, root bus.Phys, va bus.Addr) (pa bus.Phys, page int) {
	first := m.LoadWord(root + bus.Phys(va>>20)*4)
	switch {
	case first&3 == 2 && first&(1<<18) != 0:
		return bus.Phys(first&^(16*mib-1)) + bus.Phys(va%(16*mib)), 16 * mib
	case first&3 == 2:
		return bus.Phys(first&^(mib-1)) + bus.Phys(va%mib), mib
	case first&3 != 1:
		return 0, 0
	}
	second := m.LoadWord(bus.Phys(first&^(kib-1)) + bus.Phys(va>>12%256)*4)
	switch second & 3 {
	case 1:
		return bus.Phys(second&^(64*kib-1)) + bus.Phys(va%(64*kib)), 64 * kib
	case 2, 3:
		return bus.Phys(second&^(4*kib-1)) + bus.Phys(va%(4*kib)), 4 * kib
	}
	return 0, 0
}

// pages returns the sizes of the pages that the walker finds from va on, and complains about one that does not lead to the region.
func pages(tb testing.TB, m *memory.Memory, root bus.Phys, va bus.Addr, r *memory.Region) (sizes []int) {
	tb.Helper()
	for off := 0; off < int(r.Bytes); {
		pa, size := walk(m, root, va+bus.Addr(off))
		if size == 0 || pa != r.Addr(off) {
			tb.Fatalf("at %d the walker finds %v in a page of %d bytes, want %v", off, pa, size, r.Addr(off))
		}
		sizes = append(sizes, size)
		off += size
	}
	return sizes
}

func TestTheWalkerFindsWhatWasMapped(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		region := r.scattered(300 * kib)
		va, err := d.Map(th, region)
		if err != nil {
			t.Fatal(err)
		}
		pages(t, r.Memory, d.table.Root(), va, region)
		d.mmu.Lookup(bus.IOVA(va))
		equal(t, "enabled", d.mmu.Enabled(), true)
	})
}

func TestARunGetsTheLargestPagesThatFit(t *testing.T) {
	repeat := func(size, n int) []int { return slices.Repeat([]int{size}, n) }
	for _, c := range []struct {
		bytes, align int64
		want         []int
	}{
		{4 * kib, 4 * kib, []int{4 * kib}},
		{64 * kib, 64 * kib, []int{64 * kib}},
		{2 * mib, mib, repeat(mib, 2)},
		{mib + 68*kib + 100, mib, []int{mib, 64 * kib, 4 * kib, 4 * kib}},
		{60 * kib, 64 * kib, repeat(4*kib, 15)},
	} {
		r := newRig(t, "armv7")
		r.run(func(th *cpu.Thread) {
			d := r.domain(th, iommu.OMAP, 8)
			region := r.contiguous(c.bytes, c.align)
			va, err := d.Map(th, region)
			if err != nil {
				t.Fatal(err)
			}
			if got := pages(t, r.Memory, d.table.Root(), va, region); !slices.Equal(got, c.want) {
				t.Errorf("%d bytes: pages of %v, want %v", c.bytes, got, c.want)
			}
		})
	}
}

func TestScatteredPagesAreMappedOneByOne(t *testing.T) {
	r := newRig(t, "armv7", conf.Override{Path: "soc.memory.fragmentation", Value: "100%"})
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		region := r.scattered(128 * kib)
		va, err := d.Map(th, region)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range pages(t, r.Memory, d.table.Root(), va, region) {
			equal(t, "page", size, 4*kib)
		}
	})
}

func TestEachPageScansTheTLBOverSlowRegisters(t *testing.T) {
	took := func(format iommu.Format, entries int) (d sim.Time) {
		r := newRig(t, "armv7")
		r.run(func(th *cpu.Thread) {
			dom := r.domain(th, format, entries)
			if _, err := dom.Map(th, r.contiguous(4*kib, 4*kib)); err != nil { // the second-level table is there afterwards
				t.Fatal(err)
			}
			region := r.contiguous(10*4*kib, 4*kib)
			dom.ResetStats()
			start := th.Now()
			if _, err := dom.Map(th, region); err != nil {
				t.Fatal(err)
			}
			d = th.Now() - start
			equal(t, "map time", dom.MapTime(), d)
		})
		return d
	}
	r := newRig(t, "armv7")
	os := r.Config.CPU.OS
	// For each entry LOCK is read and written, then CAM and RAM are read. A read waits for its data, and for the write before it to leave the L4.
	l4 := l3.NewL4(r.Config.L4, r.Config.L3)
	now := sim.Second
	scan := func() {
		now = l4.Read(now + os.MMIORead)
		now = l4.Write(now + os.MMIOWrite)
		now = l4.Read(now + os.MMIORead)
		now = l4.Read(now + os.MMIORead)
	}
	scan()
	start := now
	scan()
	entry := now - start
	// 24 entries more for each of 10 pages; what else differs is how the bus falls on its clock.
	const jitter = 2 * sim.Microsecond
	if got, want := took(iommu.OMAP, 32)-took(iommu.OMAP, 8), 10*24*entry; got < want-jitter || got > want+jitter {
		t.Errorf("24 more entries cost %v, want %v", got, want)
	}
	if got, want := took(iommu.SGX, 32)-took(iommu.SGX, 8), sim.Time(0); got != want {
		t.Errorf("24 more entries of an SGX cost %v, want %v: it flushes with one write", got, want)
	}
}

func TestMappingIsDriverAndMaintenanceTime(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		before := r.Core.Stats().Maintenance
		if _, err := d.Map(th, r.contiguous(4*kib, 4*kib)); err != nil {
			t.Fatal(err)
		}
		// The second-level table is cleaned, then the descriptor that points to it, then the page's.
		equal(t, "cleans", r.Core.Stats().Maintenance.RangeCalls-before.RangeCalls, 3)
		equal(t, "lines", r.Core.Stats().Maintenance.Visited-before.Visited, kib/64+1+1)
	})
}

func TestUnmapRemovesEveryPageAndFreesTheAddresses(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		kept := r.contiguous(4*kib, 4*kib)
		keptVA, err := d.Map(th, kept)
		if err != nil {
			t.Fatal(err)
		}
		region := r.contiguous(mib+68*kib, mib)
		va, err := d.Map(th, region)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Unmap(th, va); err != nil {
			t.Fatal(err)
		}
		for off := 0; off < int(region.Bytes); off += 4 * kib {
			if _, size := walk(r.Memory, d.table.Root(), va+bus.Addr(off)); size != 0 {
				t.Fatalf("the walker still finds a page of %d bytes at %d", size, off)
			}
		}
		pages(t, r.Memory, d.table.Root(), keptVA, kept)
		again, err := d.Map(th, region)
		if err != nil || again != va {
			t.Errorf("mapped again at %v (%v), want %v", again, err, va)
		}
	})
}

func TestUnmapFlushesTheTLB(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		region := r.contiguous(4*kib, 4*kib)
		va, err := d.Map(th, region)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.mmu.Preload(bus.IOVA(va), region.Addr(0), 4*kib); err != nil { // as if the device had used it
			t.Fatal(err)
		}
		if err := d.Unmap(th, va); err != nil {
			t.Fatal(err)
		}
		if _, ok := d.mmu.Lookup(bus.IOVA(va)); ok {
			t.Error("the TLB still translates the page")
		}
	})
}

func TestUnmappingWhatIsNotMappedIsAnError(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		va, err := d.Map(th, r.contiguous(4*kib, 4*kib))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Unmap(th, va); err != nil {
			t.Fatal(err)
		}
		if err := d.Unmap(th, va); err == nil || !strings.Contains(err.Error(), "camera: nothing is mapped at") {
			t.Errorf("error %v", err)
		}
	})
}

func TestAMapThatFailsLeavesNothingBehind(t *testing.T) {
	r := newRig(t, "armv7", conf.Override{Path: "soc.memory.fragmentation", Value: "100%"})
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		first, err := d.Map(th, r.contiguous(4*kib, 4*kib)) // the table of the first megabyte
		if err != nil {
			t.Fatal(err)
		}
		region := r.scattered(mib) // reaches into the second
		var hog []*memory.Region
		for {
			m, err := r.Memory.AllocContiguous("hog", 4*kib, 4*kib)
			if err != nil {
				break
			}
			hog = append(hog, m)
		}
		if _, err := d.Map(th, region); !errors.Is(err, memory.ErrNoMemory) {
			t.Fatalf("error %v, want out of memory", err)
		}
		want := first + 4*kib
		if _, size := walk(r.Memory, d.table.Root(), want); size != 0 {
			t.Errorf("a page of %d bytes stays mapped", size)
		}
		for _, m := range hog {
			r.Memory.Free(m)
		}
		va, err := d.Map(th, region)
		if err != nil || va != want {
			t.Errorf("mapped at %v (%v) afterwards, want %v", va, err, want)
		}
	})
}

func TestADomainThatIsFullSaysSo(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		mmu, err := iommu.New(iommu.Config{Entries: 8, Format: iommu.OMAP}, sim.NewClock(166e6), r.Memory)
		if err != nil {
			t.Fatal(err)
		}
		d, err := NewDomain(th, DomainConfig{Device: "camera", MMU: mmu, Entries: 8, Format: iommu.OMAP, Base: 16 * mib, Size: 64 * kib})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Map(th, r.contiguous(128*kib, 4*kib)); !errors.Is(err, iommu.ErrNoSpace) {
			t.Errorf("error %v", err)
		}
	})
}

func BenchmarkDomainMap(b *testing.B) {
	for _, size := range []int64{64 * kib, mib} {
		b.Run(fmt.Sprintf("%dKiB", size/kib), func(b *testing.B) {
			r := newRig(b, "armv7")
			r.run(func(t *cpu.Thread) {
				d := r.domain(t, iommu.OMAP, 8)
				region := r.scattered(size)
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					va, err := d.Map(t, region)
					if err == nil {
						err = d.Unmap(t, va)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
			})
			b.ReportMetric(float64(b.N)*float64(size)/(4*kib)/b.Elapsed().Seconds(), "pages/s")
		})
	}
}
