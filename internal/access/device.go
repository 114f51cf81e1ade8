package access

import (
	"fmt"

	"socsim/internal/calibrate"
	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc"
	"socsim/soc/dmaapi"
	"socsim/soc/l3"
	"socsim/soc/memory"
)

// device stands where a device does on the interconnect, behind an MMU if that has one, and makes one burst.
type device struct {
	name    string
	path    string // of its settings
	mmu     *iommu.MMU
	lookup  iommu.Config
	clock   units.Hertz // that the lookup is counted in
	port    *bus.Port
	through *iommu.Port
	done    sim.Time
	granted bool
}

// Granted notes when the burst is complete.
func (d *device) Granted(_ *bus.Port, done sim.Time) { d.done, d.granted = done, true }

// place returns how a device stands on the interconnect, with the bursts that it may have in flight, and its MMU if it has one, with the clock of its lookup.
func place(cfg soc.Config, name string, write bool) (i l3.Initiator, outstanding int, mmu *iommu.Config, clock units.Hertz) {
	switch name {
	case "isp":
		return cfg.ISP.Initiator, cfg.ISP.Outstanding, &cfg.ISP.MMU, cfg.L3.Clock
	case "gpu":
		return cfg.GPU.Initiator, cfg.GPU.Outstanding, &cfg.GPU.MMU, cfg.GPU.Clock
	case "display":
		return cfg.Display.Initiator, cfg.Display.Outstanding, nil, 0
	}
	if write {
		return cfg.SDMA.Initiator, cfg.SDMA.WriteOutstanding, nil, 0
	}
	return cfg.SDMA.Initiator, cfg.SDMA.ReadOutstanding, nil, 0
}

// settings is the section of a device.
func settings(name string) string {
	if name == "dma" {
		return "soc.sdma"
	}
	return "soc." + name
}

// completeDevice puts the defaults of a device's access in and reports what cannot be.
func (q *Query) completeDevice(chip *calibrate.Chip) error {
	i, _, mmu, _ := place(chip.Config, q.Device, q.Write)
	if q.State == "" {
		q.State = Cold
	}
	low, high := uint64(soc.MemoryBase), uint64(soc.MemoryBase)+uint64(chip.Config.Memory.Size)
	switch {
	case q.State != Cold && q.State != System:
		return fmt.Errorf("--state %s: a device does not look into the core's caches; leave --state away", q.State)
	case q.Attr != "" || q.Dependent:
		return fmt.Errorf("--device %s: --attr and --dependent are of accesses of the core", q.Device)
	case q.Device == "display" && q.Write:
		return fmt.Errorf("--device display: a display reads; leave --write away")
	case mmu == nil && q.TLB != "":
		return fmt.Errorf("--tlb %s: %s has no MMU", q.TLB, q.Device)
	case mmu == nil && (q.VA < low || q.VA >= high):
		return fmt.Errorf("--va %#x: %s has no MMU, so this is a physical address, and memory lies from %#x to %#x", q.VA, q.Device, low, high-1)
	case mmu != nil && (q.VA < memory.PageBytes || q.VA>>mmu.Format.AddressBits() != 0):
		return fmt.Errorf("--va %#x: want an IO virtual address from %#x to %#x, since %s.mmu.format is %s", q.VA, memory.PageBytes, uint64(1)<<mmu.Format.AddressBits()-1, settings(q.Device), mmu.Format)
	}
	if mmu != nil && q.TLB == "" {
		q.TLB = "miss"
	}
	if q.Bytes == 0 && q.Width == 0 {
		q.Bytes = i.Burst - units.Bytes(q.VA%uint64(i.Burst))
		q.Width = 1
		return nil
	}
	if q.Width != 0 {
		return fmt.Errorf("--width %v: a device's burst has no accesses in it; say --bytes", q.Width)
	}
	q.Width = 1
	return q.size(1, i.Burst, "a burst")
}

// addDevice adds the device's port.
func (r *rig) addDevice() error {
	cfg := r.chip.Config
	i, outstanding, mmu, clock := place(cfg, r.q.Device, r.q.Write)
	d := &device{name: r.q.Device, path: settings(r.q.Device), clock: clock}
	d.port = r.sys.Fabric.AddPort(i.Port(r.sys.AddRequester(r.q.Device).Master, outstanding), d)
	if mmu != nil {
		var err error
		if d.mmu, err = iommu.New(*mmu, sim.NewClock(int64(clock)), r.sys.Memory); err != nil {
			return fmt.Errorf("the MMU of %s: %w", d.name, err)
		}
		d.lookup, d.through = *mmu, iommu.NewPort(d.port, d.mmu, d)
	}
	r.device = d
	return nil
}

// enter finds the memory of the address: of a device behind an MMU its driver maps it there, in a page of 4 KiB.
func (r *rig) enter() error {
	d := r.device
	if d.mmu == nil {
		r.pa = bus.Phys(r.q.VA)
		return nil
	}
	region, err := r.sys.Memory.AllocScattered("buffer", memory.PageBytes)
	if err != nil {
		return fmt.Errorf("memory for the access: %w", err)
	}
	var driver dmaapi.IOMMUDriver
	driver.SetDefaults()
	driver.LargestPage = memory.PageBytes
	page := bus.IOVA(r.q.VA) &^ (memory.PageBytes - 1)
	domain, err := dmaapi.NewDomain(r.t, dmaapi.DomainConfig{
		Device: d.name, MMU: d.mmu, Entries: d.lookup.Entries, Format: d.lookup.Format, Base: page, Size: memory.PageBytes, Driver: &driver,
	})
	if err != nil {
		return fmt.Errorf("the page table of %s: %w", d.name, err)
	}
	if at, err := domain.Map(r.t, region); err != nil {
		return fmt.Errorf("mapping %#x for %s: %w", r.q.VA, d.name, err)
	} else if bus.IOVA(at) != page {
		return fmt.Errorf("mapping %#x for %s: the driver chose %#x", r.q.VA, d.name, uint64(at))
	}
	r.pa = region.Addr(int(r.q.VA % memory.PageBytes))
	r.t.Barrier()
	d.mmu.FlushAll()
	if r.q.TLB == "hit" {
		// Another burst of the page brings the entry in.
		r.burst(r.q.VA^0x800&^(bus.BurstBytes-1), 4, false)
	}
	return nil
}

// burst has the device make a transfer now, and waits until it is complete. It returns how long that took.
func (r *rig) burst(va uint64, n int, write bool) sim.Time {
	r.t.Settle()
	d, now := r.device, r.t.Now()
	d.granted = false
	if d.through != nil {
		d.through.Issue(now, bus.IOVA(va), n, write)
	} else {
		bus.Direct{Port: d.port}.Issue(now, bus.Phys(va), n, write)
	}
	for !d.granted || r.t.Now() < d.done {
		r.t.SleepUntil(r.t.Now() + 100*sim.Nanosecond)
	}
	return d.done - now
}

// explainDevice has the device make a burst.
func (r *rig) explainDevice() (*Report, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	if r.q.State == System {
		r.read(r.pa &^ (bus.BurstBytes - 1))
	}
	if err := r.prepareRow(); err != nil {
		return nil, err
	}
	report := r.report()
	rec := r.record(func() { report.Total = r.burst(r.q.VA, int(r.q.Bytes), r.q.Write) })
	var err error
	if report.Terms, err = r.deviceTerms(rec, report.Total); err != nil {
		return nil, err
	}
	r.idle()
	report.Then = append(report.Then, After{"the same burst again", r.burst(r.q.VA, int(r.q.Bytes), r.q.Write)})
	return report, nil
}

// deviceTerms accounts for a burst of the device: the lookup of its MMU, the reads of a walk, one after the other, and the burst itself.
func (r *rig) deviceTerms(rec record, took sim.Time) ([]Term, error) {
	d := r.device
	b := &builder{r: r, cfg: r.chip.Config, master: d.path, part: "MMU"}
	from := rec.from
	if d.mmu != nil && d.lookup.HitCycles > 0 {
		hit := sim.NewClock(int64(d.clock)).Cycles(int64(d.lookup.HitCycles))
		if err := b.fixed("lookup of the TLB", d.path+".mmu.hit_cycles", int64(d.lookup.HitCycles), d.clock, hit); err != nil {
			return nil, err
		}
		from += hit
	}
	level := 0
	for _, x := range rec.transfers {
		if r.sys.MasterName(x.master) != d.name {
			continue
		}
		b.part = "burst"
		if x.kind == bus.WalkRead {
			level++
			b.part = fmt.Sprintf("walk, level %d", level)
		}
		if x.asked != from {
			return nil, fmt.Errorf("explaining the %s: it was asked for at %v, but what goes before it ends at %v", b.part, x.asked, from)
		}
		if err := b.transfer(x, from); err != nil {
			return nil, err
		}
		from = x.done
	}
	return b.sum(took)
}
