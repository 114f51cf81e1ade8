package dmaapi

import (
	"socsim/iommu"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// demand is a region whose pages are entered when the device first touches them.
type demand struct {
	va    bus.IOVA
	runs  []memory.Run
	pages []bus.IOVA // entered, in the order of the faults
}

// Reserve gives the region an IO virtual address and enters no page: each is entered by [Domain.Populate] when the device has faulted on it. Unmap ends that as it does what Map made.
func (d *Domain) Reserve(t *cpu.Thread, r *memory.Region) (bus.Addr, error) {
	old := t.Enter(cpu.Driver)
	defer t.Leave(old)
	if !d.attached {
		return 0, d.detached()
	}
	runs := r.Runs()
	va, err := d.space.Alloc(uint64(r.Bytes), d.alignment(runs, int(d.driver.LargestPage)))
	if err != nil {
		return 0, err
	}
	d.demands = append(d.demands, &demand{va: va, runs: runs})
	return bus.Addr(va), nil
}

// Populate enters the page at va of a reserved region, the largest that the driver uses there, and returns whether there is such a region. It is what a fault handler does.
func (d *Domain) Populate(t *cpu.Thread, va bus.IOVA) bool {
	for _, x := range d.demands {
		at := x.va
		for _, run := range x.runs {
			pa := run.Addr
			for left := pagesOf(run.Bytes); left > 0; {
				page := iommu.LargestPage(d.format, at, pa, min(left, int(d.driver.LargestPage)))
				if va >= at && va < at+bus.IOVA(page) {
					return d.populate(t, x, at, pa, page)
				}
				at += bus.IOVA(page)
				pa += bus.Phys(page)
				left -= page
			}
		}
	}
	return false
}

func (d *Domain) populate(t *cpu.Thread, x *demand, va bus.IOVA, pa bus.Phys, page int) bool {
	w := d.begin(t)
	defer func() { w.end(&d.mapped) }()
	if err := d.enterPage(w, va, pa, page); err != nil {
		return false
	}
	if d.driver.Flush && d.tlb.mapped != nil {
		d.tlb.mapped(w)
	}
	t.Settle()
	if _, poisoned := d.poisoned[va]; poisoned {
		delete(d.poisoned, va) // it was entered before
	} else {
		x.pages = append(x.pages, va)
	}
	return true
}

// release unmaps what was entered of a reserved region, and returns whether there is one at va.
func (d *Domain) release(t *cpu.Thread, va bus.IOVA) (found bool, err error) {
	for i, x := range d.demands {
		if x.va != va {
			continue
		}
		d.demands = append(d.demands[:i], d.demands[i+1:]...)
		w := d.begin(t)
		defer func() { w.end(&d.unmapped) }()
		w.clearing = d.format == iommu.OMAP
		for _, page := range x.pages {
			if _, err := d.clearPage(w, page); err != nil {
				return true, err
			}
		}
		if d.driver.Flush && d.tlb.unmapped != nil {
			d.tlb.unmapped(w)
		}
		t.Settle()
		return true, d.space.Free(va)
	}
	return false, nil
}
