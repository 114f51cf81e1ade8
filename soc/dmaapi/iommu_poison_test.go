package dmaapi

import (
	"testing"

	"socsim/iommu"
	"socsim/sim/bus"
	"socsim/soc/cpu"
)

func TestAPoisonedPageIsGoneFromMemoryAndTLBAndCostsNobodyTime(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		region := r.scattered(300 * kib)
		va, err := d.Map(th, region)
		if err != nil {
			t.Fatal(err)
		}
		sizes := pages(t, r.Memory, d.Root(), va, region)
		at := bus.IOVA(va) + 5 // within the first page
		if err := d.LoadTLB(th, bus.IOVA(va), region.Addr(0), sizes[0]); err != nil {
			t.Fatal(err)
		}
		before := th.Now()
		page, size, ok := d.Poison(at)
		if !ok || page != bus.IOVA(va) || size != sizes[0] || th.Now() != before {
			t.Errorf("poisoned %v of %d bytes, %v, in %v; want %v of %d", page, size, ok, th.Now()-before, va, sizes[0])
		}
		if _, n := walk(r.Memory, d.Root(), va); n != 0 {
			t.Error("the walker still finds the page")
		}
		if _, ok := d.mmu.Lookup(at); ok {
			t.Error("the TLB still holds it")
		}
		if _, n := walk(r.Memory, d.Root(), va+bus.Addr(size)); n == 0 || !d.Translates(bus.IOVA(va)+bus.IOVA(size)) || d.Translates(at) {
			t.Error("want the next page to be there, and this one not")
		}
		if _, _, ok := d.Poison(at); ok {
			t.Error("poisoned twice")
		}
		if err := d.Unmap(th, va); err != nil {
			t.Errorf("unmapping around the hole: %v", err)
		}
		again, err := d.Map(th, region)
		if err != nil {
			t.Fatal(err)
		}
		pages(t, r.Memory, d.Root(), again, region)
		if err := d.Unmap(th, again); err != nil {
			t.Error(err)
		}
	})
}

func TestAPoisonedPageOfAReservedRegionIsEnteredAgainAndUnmappedOnce(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.domain(th, iommu.OMAP, 8)
		region := r.scattered(20 * kib)
		va, err := d.Reserve(th, region)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if !d.Populate(th, bus.IOVA(va)) {
				t.Fatal("not entered")
			}
			if pa, n := walk(r.Memory, d.Root(), va); n == 0 || pa != region.Addr(0) {
				t.Fatalf("the walker finds %v", pa)
			}
			if _, _, ok := d.Poison(bus.IOVA(va)); !ok {
				t.Fatal("not poisoned")
			}
		}
		if !d.Populate(th, bus.IOVA(va)) {
			t.Fatal("not entered again")
		}
		if err := d.Unmap(th, va); err != nil {
			t.Error(err)
		}
	})
}
