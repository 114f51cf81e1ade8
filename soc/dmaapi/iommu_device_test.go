package dmaapi

import (
	"errors"
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/cpu"
	"socsim/soc/memory"
	"socsim/soc/presets"
)

// device is an initiator behind an MMU with a driver, and all that memory and the MMU report of it.
type device struct {
	*rig
	*Domain
	port  *iommu.Port
	done  []sim.Time
	stale []iommu.Stale
	harm  []memory.Violation
}

const deviceMaster = bus.Master(9)

// Granted notes that an access is complete.
func (d *device) Granted(_ *bus.Port, done sim.Time) { d.done = append(d.done, done) }

// Violation takes what memory reports.
func (d *device) Violation(v memory.Violation) { d.harm = append(d.harm, v) }

// device makes a domain by a driver with settings of its own, and a device behind it.
func (r *rig) device(t *cpu.Thread, cfg iommu.Config, set func(*IOMMUDriver)) *device {
	r.tb.Helper()
	d := &device{rig: r}
	mmu, err := iommu.New(cfg, sim.NewClock(166e6), r.Memory)
	if err != nil {
		r.tb.Fatal(err)
	}
	var driver IOMMUDriver
	driver.SetDefaults()
	if set != nil {
		set(&driver)
	}
	c := DomainConfig{Device: "camera", MMU: mmu, Entries: cfg.Entries, Format: cfg.Format, Base: 16 * mib, Size: 128 * mib, Driver: &driver}
	if d.Domain, err = NewDomain(t, c); err != nil {
		r.tb.Fatal(err)
	}
	d.port = iommu.NewPort(r.Fabric.AddPort(r.Config.ISP.Port(deviceMaster, 4), d), mmu, d)
	mmu.OnStale = func(s iommu.Stale) { d.stale = append(d.stale, s) }
	r.Memory.SetObserver(d)
	return d
}

var ispMMU = iommu.Config{Entries: 8, Format: iommu.OMAP, HitCycles: 1}

// access has the device read or write a line, and gives it a while. It returns whether the access is complete.
func (d *device) access(t *cpu.Thread, va bus.Addr, write bool) bool {
	t.Settle()
	n := len(d.done)
	d.port.Issue(t.Now(), bus.IOVA(va), 64, write)
	t.SleepUntil(t.Now() + 100*sim.Microsecond)
	return len(d.done) > n
}

func (d *device) mustMap(t *cpu.Thread, r *memory.Region) bus.Addr {
	d.tb.Helper()
	va, err := d.Map(t, r)
	if err != nil {
		d.tb.Fatal(err)
	}
	return va
}

func (d *device) mustUnmap(t *cpu.Thread, va bus.Addr) {
	d.tb.Helper()
	if err := d.Unmap(t, va); err != nil {
		d.tb.Fatal(err)
	}
}

func TestTheDeviceReachesWhatIsMapped(t *testing.T) {
	for _, cfg := range []iommu.Config{ispMMU, {Entries: 32, Format: iommu.SGX}, {Entries: 32, Format: iommu.SMMU, WalkCache: 4}} {
		t.Run(string(cfg.Format), func(t *testing.T) {
			r := newRig(t, "armv7")
			r.run(func(th *cpu.Thread) {
				d := r.device(th, cfg, nil)
				region := r.scattered(64 * kib)
				va := d.mustMap(th, region)
				for off := 0; off < int(region.Bytes); off += 4 * kib {
					if !d.access(th, va+bus.Addr(off), true) || r.Memory.Newest(region.Addr(off)).Master() != deviceMaster {
						t.Errorf("a write at %d does not reach %v", off, region.Addr(off))
					}
				}
				d.mustUnmap(th, va)
				if d.access(th, va, false) {
					t.Error("the device reads what is unmapped")
				}
				equal(t, "stale uses", len(d.stale), 0)
				equal(t, "violations", len(d.harm), 0)
			})
		})
	}
}

// The first bug: the descriptors stay in the CPU's cache.
func TestWithoutCleanTheWalkerReadsStaleDescriptors(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, func(c *IOMMUDriver) { c.Clean = false })
		va := d.mustMap(th, r.contiguous(4*kib, 4*kib))
		equal(t, "lines cleaned", d.Stats().Map.Lines, 0)
		if d.access(th, va, false) {
			t.Error("the device reads through a descriptor that is not in memory")
		}
		if len(d.harm) == 0 {
			t.Fatal("memory reports nothing")
		}
		v := d.harm[0]
		if v.Kind != memory.StaleDeviceRead || !v.Walk || v.Actor != deviceMaster {
			t.Errorf("%v, by a walker: %v, by master %d; want a stale device read of the device's walker", v.Kind, v.Walk, v.Actor)
		}
		equal(t, "unhandled faults", d.Stats().Faults.Unhandled, 1)
	})
}

func TestWithoutCleanTheWalkerFollowsAnOldDescriptor(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, func(c *IOMMUDriver) { c.Clean = false })
		first, second := r.contiguous(4*kib, 4*kib), r.contiguous(4*kib, 4*kib)
		va := d.mustMap(th, first)
		th.MaintainAll(nil) // as it happens the cache gave the lines up
		d.mustUnmap(th, va)
		equal(t, "address", d.mustMap(th, second), va)
		if !d.access(th, va, true) {
			t.Fatal("the device does not write")
		}
		if len(d.stale) != 1 || d.stale[0].What != iommu.NotCleaned || d.stale[0].PA != first.Addr(0) || !d.stale[0].Write {
			t.Errorf("stale uses %+v, want a write to %v by a descriptor that was not cleaned", d.stale, first.Addr(0))
		}
	})
}

// The second bug: the TLB keeps what the tables have no more.
func TestWithoutFlushTheDeviceUsesAStaleTranslation(t *testing.T) {
	for _, cfg := range []iommu.Config{ispMMU, {Entries: 32, Format: iommu.SGX}, {Entries: 32, Format: iommu.SMMU}} {
		t.Run(string(cfg.Format), func(t *testing.T) {
			r := newRig(t, "armv7")
			r.run(func(th *cpu.Thread) {
				d := r.device(th, cfg, func(c *IOMMUDriver) { c.Flush = false })
				first, second := r.contiguous(4*kib, 4*kib), r.contiguous(4*kib, 4*kib)
				va := d.mustMap(th, first)
				d.access(th, va, false)
				d.mustUnmap(th, va)
				equal(t, "registers accessed", d.Stats().Unmap.Reads+d.Stats().Unmap.Writes, 0)
				d.access(th, va, true)
				d.mustMap(th, second)
				d.access(th, va, false)
				if len(d.stale) != 2 {
					t.Fatalf("stale uses %+v, want 2", d.stale)
				}
				for i, want := range []iommu.StaleKind{iommu.Freed, iommu.Remapped} {
					if s := d.stale[i]; s.What != want || s.PA != first.Addr(0) || s.Write != (i == 0) || s.Since <= 0 || s.Since > s.Time {
						t.Errorf("stale use %+v, want that the page at %v was %v", s, first.Addr(0), want)
					}
				}
			})
		})
	}
}

func TestAFaultIsHandledOnDemand(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, nil)
		v := NewIOVM(d.Domain)
		region := r.contiguous(4*kib, 4*kib)
		var asked []iommu.FaultRecord
		d.OnFault = func(irq *cpu.Thread, f iommu.FaultRecord) bool {
			asked = append(asked, f)
			_, err := v.Kmap(irq, At(f.VA&^(4*kib-1)), region.Runs()[0])
			return err == nil
		}
		irqs := r.Core.Stats().Interrupts
		if !d.access(th, 32*mib+128, true) || r.Memory.Newest(region.Addr(128)).Master() != deviceMaster {
			t.Fatal("the write does not arrive")
		}
		if len(asked) != 1 || asked[0].VA != 32*mib+128 || !asked[0].Write || asked[0].Kind != iommu.TranslationFault {
			t.Errorf("asked about %v", asked)
		}
		equal(t, "interrupts", r.Core.Stats().Interrupts-irqs, 1)
		st := d.Stats()
		// The kernel's way to the handler, and 16 registers of 100 ns at least for the TLB scan of the page mapped.
		least := sim.NewClock(int64(r.Config.CPU.Clock)).Cycles(int64(r.Config.CPU.OS.IRQEntry+r.Config.CPU.OS.Handler)) + 24*100*sim.Nanosecond
		if f := st.Faults; f.Handled != 1 || f.Unhandled != 0 || f.Resume != f.ResumeMax || f.Resume < least || d.done[0] < asked[0].Time+f.Resume {
			t.Errorf("%+v, complete at %v after a fault at %v; want one fault that took %v at least", f, d.done[0], asked[0].Time, least)
		}
		equal(t, "status registers read and written", st.Service.Reads*10+st.Service.Writes, 21)
		equal(t, "pages mapped", st.Map.Pages, 1)
	})
}

func TestAFaultIsHandledByLoadingTheTLB(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, nil)
		region := r.contiguous(4*kib, 4*kib)
		d.OnFault = func(irq *cpu.Thread, f iommu.FaultRecord) bool {
			if err := d.LoadTLB(irq, f.VA, region.Addr(0), 64*kib); err == nil {
				t.Error("loaded a page that is not aligned")
			}
			return d.LoadTLB(irq, f.VA, region.Addr(0), 4*kib) == nil
		}
		if !d.access(th, 32*mib, true) || r.Memory.Newest(region.Addr(0)).Master() != deviceMaster {
			t.Fatal("the write does not arrive")
		}
		equal(t, "accesses astray", len(d.stale), 0)
		equal(t, "registers read", d.Stats().Load.Reads, 2)
		equal(t, "registers written", d.Stats().Load.Writes, 10)
		if _, size := walk(r.Memory, d.table.Root(), 32*mib); size != 0 {
			t.Error("the tables have the page")
		}
		sgx := r.device(th, iommu.Config{Entries: 8, Format: iommu.SGX}, nil)
		if err := sgx.LoadTLB(th, 32*mib, region.Addr(0), 4*kib); err == nil {
			t.Error("loaded the TLB of an SGX")
		}
	})
}

func TestAFaultThatNobodyHandlesStopsTheStream(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, nil)
		if _, ok := d.Unhandled(); ok {
			t.Error("there is a record before the fault")
		}
		if d.access(th, 32*mib, false) {
			t.Error("the device goes on")
		}
		f, ok := d.Unhandled()
		if !ok || f.VA != 32*mib {
			t.Errorf("record %v", f)
		}
		if !d.mmu.Halted() || !d.port.Stalled() {
			t.Error("the MMU is not halted, or the device not stalled")
		}
		equal(t, "faults", d.Stats().Faults, FaultStats{Unhandled: 1})
		d.ResetStats()
		equal(t, "faults after a reset", d.Stats().Faults, FaultStats{})
	})
}

func TestWithTableWalkingOffTheHandlerLoadsEachEntry(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, func(c *IOMMUDriver) { c.Walk = SoftwareWalk; c.LargestPage = 4 * kib })
		va := d.mustMap(th, r.contiguous(64*kib, 64*kib))
		for _, page := range []int{0, 1, 0, 2, 3, 4, 5, 6, 7, 1, 8, 0} { // 8 entries: page 8 takes the place of page 0
			if !d.access(th, va+bus.Addr(page*4*kib), false) {
				t.Fatalf("page %d is not read", page)
			}
		}
		equal(t, "loaded", d.Stats().Faults.Loaded, 10)
		equal(t, "handled", d.Stats().Faults.Handled, 10)
		equal(t, "walk reads", d.mmu.Counters().WalkReads, 0)
		if d.access(th, va+64*kib, false) {
			t.Error("an address without translation is read")
		}
		equal(t, "unhandled", d.Stats().Faults.Unhandled, 1)
	})
}

func TestAFaultWaitsForThePageBeingMapped(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, func(c *IOMMUDriver) { c.LargestPage = 4 * kib })
		v := NewIOVM(d.Domain)
		region := r.contiguous(4*kib, 4*kib)
		d.OnFault = func(irq *cpu.Thread, f iommu.FaultRecord) bool {
			_, err := v.Kmap(irq, At(f.VA), region.Runs()[0])
			return err == nil
		}
		th.Settle()
		d.port.Issue(th.Now(), 17*mib-4*kib, 64, false) // in the megabyte, and thus the table, of what is mapped meanwhile
		big := r.contiguous(512*kib, 4*kib)
		va := d.mustMap(th, big)
		pages(t, r.Memory, d.table.Root(), va, big)
		th.SleepUntil(th.Now() + 100*sim.Microsecond)
		f := d.Stats().Faults
		if len(d.done) != 1 || f.Handled != 1 || f.Deferred != 1 {
			t.Errorf("%d accesses complete, %+v; want a fault that waits once and is handled", len(d.done), f)
		}
		if page := d.MapTime() / 129; f.ResumeMax > 20*sim.Microsecond+2*page {
			t.Errorf("the fault takes %v, want no more than interrupt and two pages of %v", f.ResumeMax, page)
		}
	})
}

func TestTheSGXIsFlushedOnceACall(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, iommu.Config{Entries: 32, Format: iommu.SGX}, nil)
		for _, bytes := range []int64{4 * kib, 256 * kib} {
			d.ResetStats()
			d.mustUnmap(th, d.mustMap(th, r.contiguous(bytes, 4*kib)))
			st := d.Stats()
			equal(t, "registers read", st.Map.Reads+st.Unmap.Reads, 0)
			equal(t, "registers written to map", st.Map.Writes, 1)
			equal(t, "registers written to unmap", st.Unmap.Writes, 1)
		}
	})
}

func TestTheSMMUIsInvalidatedByAddress(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, iommu.Config{Entries: 32, Format: iommu.SMMU, WalkCache: 4}, nil)
		va := d.mustMap(th, r.contiguous(8*kib, 4*kib))
		d.access(th, va, false)
		d.access(th, va+4*kib, false)
		equal(t, "registers to map", d.Stats().Map.Reads+d.Stats().Map.Writes, 0)
		d.mustUnmap(th, va)
		equal(t, "registers written to unmap 2 pages", d.Stats().Unmap.Writes, 4)
		equal(t, "registers read", d.Stats().Unmap.Reads, 2)

		// A block takes the place of the table, which the walk cache still knows.
		d.ResetStats()
		block := r.contiguous(2*mib, 2*mib)
		equal(t, "address", d.mustMap(th, block), va)
		equal(t, "registers written for the table", d.Stats().Map.Writes, 512+1)
		if !d.access(th, va+mib, true) || r.Memory.Newest(block.Addr(mib)).Master() != deviceMaster {
			t.Error("the device does not reach the block")
		}
		equal(t, "stale uses", len(d.stale), 0)
	})
}

func TestPreloadFillsTheEmptyEntries(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, func(c *IOMMUDriver) { c.Preload = true; c.LargestPage = 4 * kib })
		va := d.mustMap(th, r.contiguous(40*kib, 64*kib))
		for page := range 8 {
			d.access(th, va+bus.Addr(page*4*kib), false)
		}
		equal(t, "misses of the first 8 pages", d.mmu.Counters().Misses, 0)
		d.access(th, va+9*4*kib, false)
		equal(t, "misses of a page beyond", d.mmu.Counters().Misses, 1)
		// Each page scans 8 entries for its own, then 1, 2, ... 8, 8, 8 for an empty one.
		looked := 10*8 + 36 + 2*8
		equal(t, "registers read", d.Stats().Map.Reads, uint64(3*looked+2*8+2))
		equal(t, "registers written", d.Stats().Map.Writes, uint64(looked+8*5))
	})
}

func TestUnmapStopsItsScanAtTheMatch(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, nil)
		va := d.mustMap(th, r.contiguous(4*kib, 4*kib))
		if err := d.mmu.SetVictim(2); err != nil {
			t.Fatal(err)
		}
		d.access(th, va, false)
		d.mustUnmap(th, va)
		equal(t, "registers read", d.Stats().Unmap.Reads, 3*3)
		equal(t, "registers written", d.Stats().Unmap.Writes, 3+5)
		if _, victim := d.mmu.Locked(); victim != 2 {
			t.Errorf("the victim pointer is at %d, want 2: where the scan ended", victim)
		}
	})
}

func TestTheClearPathCleansFourTimesTheLines(t *testing.T) {
	for _, c := range []struct {
		name                 string
		bytes, align         int64
		mapLines, clearLines uint64
	}{
		{"a small page", 4 * kib, 4 * kib, 1, 1},
		{"a large page", 64 * kib, 64 * kib, 1, 4},
		{"a section", mib, mib, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "armv7")
			r.run(func(th *cpu.Thread) {
				d := r.device(th, ispMMU, nil)
				d.mustMap(th, r.contiguous(4*kib, 4*kib)) // so that the table stays
				d.ResetStats()
				d.mustUnmap(th, d.mustMap(th, r.contiguous(c.bytes, c.align)))
				equal(t, "lines cleaned to map", d.Stats().Map.Lines, c.mapLines)
				equal(t, "lines cleaned to unmap", d.Stats().Unmap.Lines, c.clearLines)
			})
		})
	}
}

func TestTheLargestPageIsTheDriversChoice(t *testing.T) {
	for _, c := range []struct {
		largest units.Bytes
		want    []PageCount
	}{
		{4 * kib, []PageCount{{4 * kib, 256 + 17}, {64 * kib, 0}, {mib, 0}, {16 * mib, 0}}},
		{64 * kib, []PageCount{{4 * kib, 1}, {64 * kib, 17}, {mib, 0}, {16 * mib, 0}}},
		{16 * mib, []PageCount{{4 * kib, 1}, {64 * kib, 1}, {mib, 1}, {16 * mib, 0}}},
	} {
		r := newRig(t, "armv7")
		r.run(func(th *cpu.Thread) {
			d := r.device(th, ispMMU, func(d *IOMMUDriver) { d.LargestPage = c.largest })
			d.mustMap(th, r.contiguous(mib+68*kib, mib))
			for i, got := range d.Stats().Mapped {
				equal(t, c.largest.String(), got, c.want[i])
			}
			d.ResetStats()
			equal(t, "after a reset", d.Stats().Mapped[0], PageCount{Bytes: 4 * kib})
		})
	}
}

func TestAnAddressIsAlignedToTheLargestPageAnyRunCanUse(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, nil)
		v := NewIOVM(d.Domain)
		a, b := r.contiguous(64*kib, 64*kib), r.contiguous(128*kib, 64*kib)
		// 15 pages, then a run whose page of 64 KiB lies a page behind its start: 64 KiB from the start of both.
		if _, err := v.Vmap(th, At(16*mib), a.RunsOf(0, 4*kib)); err != nil { // so that the first address free is not aligned
			t.Fatal(err)
		}
		da, err := v.Vmap(th, Place{}, append(a.RunsOf(4*kib, 60*kib), b.RunsOf(60*kib, 68*kib)...))
		if err != nil {
			t.Fatal(err)
		}
		area, _ := v.Find(da)
		if got := mapped(t, d.Domain, area); len(got) != 17 || got[16] != 64*kib {
			t.Errorf("pages of %v, want 16 of 4 KiB and one of 64 KiB", got)
		}
	})
}

func TestTheAllocationPolicyIsTheDriversChoice(t *testing.T) {
	for policy, want := range map[iommu.Allocation]bus.IOVA{iommu.FirstFit: 16 * mib, iommu.BestFit: 16*mib + 20*kib} {
		r := newRig(t, "armv7")
		r.run(func(th *cpu.Thread) {
			d := r.device(th, ispMMU, func(c *IOMMUDriver) { c.Allocation = policy })
			v := NewIOVM(d.Domain)
			for _, at := range []bus.IOVA{16 * kib, 24 * kib} { // gaps of 16 KiB and of 4
				if _, err := v.Vmalloc(th, At(16*mib+at), 4*kib); err != nil {
					t.Fatal(err)
				}
			}
			if da, err := v.Vmalloc(th, Place{}, 4*kib); err != nil || da != want {
				t.Errorf("%s: at %v (%v), want %v", policy, da, err, want)
			}
		})
	}
}

func TestADetachClearsTheTables(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, nil)
		va := d.mustMap(th, r.contiguous(mib+4*kib, mib))
		d.access(th, va, false)
		if err := d.Detach(th); err != nil {
			t.Fatal(err)
		}
		for _, at := range []bus.Addr{va, va + mib} {
			if _, size := walk(r.Memory, d.table.Root(), at); size != 0 {
				t.Errorf("the walker still finds a page of %d bytes at %v", size, at)
			}
		}
		if _, ok := d.mmu.Find(bus.IOVA(va)); ok || d.mmu.Enabled() {
			t.Error("the TLB still has the page, or the MMU is enabled")
		}
		if err := d.Unmap(th, va); err == nil {
			t.Error("unmapped what is gone")
		}
		if _, err := d.Map(th, r.contiguous(4*kib, 4*kib)); err == nil || !strings.Contains(err.Error(), "detached") {
			t.Errorf("mapped: error %v", err)
		}
		if err := d.Detach(th); err == nil {
			t.Error("detached twice")
		}
		if err := d.Attach(th); err != nil {
			t.Fatal(err)
		}
		equal(t, "address", d.mustMap(th, r.contiguous(mib, mib)), va)
	})
}

func TestAnMMUHasOneDomain(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, nil)
		if _, err := NewDomain(th, DomainConfig{Device: "other", MMU: d.mmu, Entries: 8, Format: iommu.OMAP, Base: mib, Size: mib}); err == nil {
			t.Error("attached a second domain")
		}
		if err := d.Attach(th); err == nil {
			t.Error("attached twice")
		}
	})
}

func TestAnAddressIsNotAlignedInVain(t *testing.T) {
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		d := r.device(th, ispMMU, nil)
		v := NewIOVM(d.Domain)
		a := r.contiguous(192*kib, 64*kib)
		for i, runs := range [][]memory.Run{
			a.RunsOf(0, 4*kib),
			append(a.RunsOf(8*kib, 4*kib), a.RunsOf(64*kib, 64*kib)...),  // aligned as a page of 64 KiB, but a page behind the start
			append(a.RunsOf(60*kib, 8*kib), a.RunsOf(128*kib, 8*kib)...), // aligned, but not as long
		} {
			want := 16*mib + bus.IOVA([]int{0, 4, 72}[i]*kib)
			if da, err := v.Vmap(th, Place{}, runs); err != nil || da != want {
				t.Errorf("at %v (%v), want %v", da, err, want)
			}
		}
	})
}

// A thread takes the core from another at every step of the first pages, and maps pages of the same table.
func TestThreadsMapAtTheSameTime(t *testing.T) {
	for wait := sim.Time(0); wait < 40*sim.Microsecond; wait += sim.Microsecond {
		r := newRig(t, "armv7", conf.Override{Path: "soc.memory.fragmentation", Value: "100%"})
		var d *device
		r.run(func(th *cpu.Thread) { d = r.device(th, ispMMU, nil) })
		regions := []*memory.Region{r.scattered(32 * kib), r.scattered(32 * kib)}
		at := make([]bus.Addr, 2)
		start := r.Engine.Now()
		r.Core.SpawnTask("low", func(th *cpu.Thread) { at[0] = d.mustMap(th, regions[0]) })
		r.run(func(th *cpu.Thread) {
			th.SleepUntil(start + wait)
			at[1] = d.mustMap(th, regions[1])
		})
		for i := range at {
			pages(t, r.Memory, d.table.Root(), at[i], regions[i])
		}
		equal(t, "pages", d.Stats().Map.Pages, 16)
	}
}

func TestTheDriversSettings(t *testing.T) {
	var root struct {
		Driver IOMMUDriver `conf:"iommu_driver"`
	}
	root.Driver.SetDefaults()
	if err := root.Driver.Validate(); err != nil {
		t.Error(err)
	}
	text := "iommu_driver: {largest_page: 64KiB, allocation: best-fit, preload: true, walk: software, clean: false, flush: false}\n"
	if _, err := conf.Decode(conf.Source{Name: "test", Data: []byte(text)}, nil, presets.Set{}, &root); err != nil {
		t.Fatal(err)
	}
	equal(t, "driver", root.Driver, IOMMUDriver{LargestPage: 64 * kib, Allocation: iommu.BestFit, Preload: true, Walk: SoftwareWalk})
	for _, c := range []struct {
		path string
		set  func(*IOMMUDriver)
	}{
		{"largest_page", func(d *IOMMUDriver) { d.LargestPage = 8 * kib }},
		{"allocation", func(d *IOMMUDriver) { d.Allocation = "worst-fit" }},
		{"walk", func(d *IOMMUDriver) { d.Walk = "" }},
	} {
		var d IOMMUDriver
		d.SetDefaults()
		c.set(&d)
		if err := d.Validate(); err == nil || !strings.HasPrefix(err.Error(), "iommu_driver."+c.path+": ") {
			t.Errorf("%s: error %v", c.path, err)
		}
	}
	r := newRig(t, "armv7")
	r.run(func(th *cpu.Thread) {
		mmu, err := iommu.New(iommu.Config{Entries: 8, Format: iommu.SGX}, sim.NewClock(166e6), r.Memory)
		if err != nil {
			t.Fatal(err)
		}
		_, err = NewDomain(th, DomainConfig{Device: "gpu", MMU: mmu, Entries: 8, Format: iommu.SGX, Base: mib, Size: mib, Driver: &root.Driver})
		if err == nil || errors.Is(err, iommu.ErrNoSpace) {
			t.Errorf("a driver that loads the TLB of an SGX: error %v", err)
		}
	})
}
