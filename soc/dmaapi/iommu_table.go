package dmaapi

import (
	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// Cost is what calls of one kind took. The times are those of the calling threads, from call to return, so that whatever preempted them is in them.
type Cost struct {
	Calls uint64
	Pages uint64
	Time  sim.Time
	// Of that: register accesses, loads and stores of descriptors, cleans of their lines. The rest is waiting for the engine and for the domain's lock.
	Registers, Table, Clean sim.Time
	Reads, Writes           uint64 // of registers
	Loads, Stores           uint64 // of descriptors
	Lines                   uint64 // cleaned
}

func (c *Cost) add(d Cost) {
	c.Calls += d.Calls
	c.Pages += d.Pages
	c.Time += d.Time
	c.Registers += d.Registers
	c.Table += d.Table
	c.Clean += d.Clean
	c.Reads += d.Reads
	c.Writes += d.Writes
	c.Loads += d.Loads
	c.Stores += d.Stores
	c.Lines += d.Lines
}

// work is one call of the driver by a thread. It is the [iommu.TableWriter] of that call: descriptors go through the caches, and are then cleaned.
type work struct {
	d        *Domain
	t        *cpu.Thread
	cost     Cost
	clearing bool // descriptors are being zeroed by the clear path
	start    sim.Time
}

func (d *Domain) begin(t *cpu.Thread) *work { return &work{d: d, t: t, start: t.Now()} }

// end adds the call to the account of its kind.
func (w *work) end(account *Cost) {
	w.cost.Calls = 1
	w.cost.Time = w.t.Now() - w.start
	account.add(w.cost)
}

// mmio accesses registers: reads, then writes.
func (w *work) mmio(reads, writes int) {
	start := w.t.Now()
	w.t.MMIO(reads, writes)
	w.cost.Registers += w.t.Now() - start
	w.cost.Reads += uint64(reads)
	w.cost.Writes += uint64(writes)
}

func (w *work) access(pa bus.Phys, write bool) {
	start := w.t.Now()
	r, off := w.d.core.Memory().Owner(pa)
	w.t.Access(w.d.core.KernelMap(r), int(off), wordBytes, cpu.Touch{Write: write, Width: wordBytes})
	w.cost.Table += w.t.Now() - start
}

// Load is the CPU's load of a descriptor.
func (w *work) Load(pa bus.Phys) uint32 {
	w.cost.Loads++
	w.access(pa, false)
	return w.d.core.Memory().CurrentWord(pa)
}

// Store is its store.
func (w *work) Store(pa bus.Phys, v uint32) {
	w.cost.Stores++
	w.d.core.Memory().StoreWord(pa, v)
	w.access(pa, true)
}

const wordBytes = 4

// Clean cleans the lines of n bytes of descriptors by address, unless the driver is set not to. The clear path of omap-iommu.c of about v4.11 and before passes ptr + (n-1)*sizeof(*ptr) to a u32 pointer,
// so that it cleans as many lines as four times the descriptors fill: of the 16 of a page of 64 KiB or 16 MiB, 4 lines of 64 bytes in place of 1.
func (w *work) Clean(pa bus.Phys, n int) {
	if !w.d.driver.Clean {
		return
	}
	if w.clearing {
		n = (n/wordBytes-1)*wordBytes*wordBytes + wordBytes
	}
	start := w.t.Now()
	w.t.MaintainRange(cpu.Pass{Op: cachemodel.Clean}, []memory.Run{{Addr: pa, Bytes: n}})
	w.cost.Clean += w.t.Now() - start
	line := bus.Phys(w.d.core.Memory().LineBytes())
	w.cost.Lines += uint64((pa+bus.Phys(n)-1)/line - pa/line + 1)
}

// Now is the thread's time.
func (w *work) Now() sim.Time { return w.t.Now() }

// AllocTable allocates memory for a table. A second-level table takes a whole page frame here; the kernel's slab puts four into one.
func (w *work) AllocTable(bytes, align int) (bus.Phys, error) {
	mem := w.d.core.Memory()
	r, err := mem.AllocContiguous("page table of "+w.d.device, int64(bytes), int64(align))
	if err != nil {
		return 0, err
	}
	mem.MarkTable(r)
	return r.Frames[0], nil
}
