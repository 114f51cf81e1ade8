package l3

import (
	"fmt"
	"strings"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// SystemCache is a cache between the arbiter and the DRAM, beyond the point of coherency: every master's bursts go through it, so that no software maintains it and it holds nothing that memory, as the
// masters see it, does not. A burst that hits is answered by its data port; one that misses goes on to the DRAM after the lookup. Writes are taken as they come and allocate; one of a part of a line
// fetches the rest. A line that has to leave dirty is written to the DRAM, for which nobody waits.
//
// Left out: banks and slices, which all answer at one latency; partitions for masters and allocation hints (all masters allocate); its own queues: a hit waits with the others while the memory controller
// accepts no more.
type SystemCache struct {
	Size         units.Bytes            `conf:"size" doc:"Capacity of the system cache in front of the DRAM; 0B for none."`
	Ways         int                    `conf:"ways" doc:"Its associativity; its lines have 64B."`
	Replacement  cachemodel.Replacement `conf:"replacement" doc:"Which way of a full set is replaced."`
	LookupCycles int                    `conf:"lookup_cycles" doc:"Interconnect cycles that a lookup takes, for a hit and a miss."`
	DataCycles   int                    `conf:"data_cycles" doc:"Interconnect cycles for which a hit, or a write, holds the data port."`
}

func (c SystemCache) config(seed uint64) cachemodel.Config {
	return cachemodel.Config{Seed: seed, Levels: []cachemodel.LevelConfig{{
		Size: int(c.Size), Ways: c.Ways, Line: bus.BurstBytes, Replacement: c.Replacement, Allocate: cachemodel.ReadWriteAllocate,
	}}}
}

// Validate reports the first setting that makes no sense. Without a cache the others do not matter.
func (c SystemCache) Validate() error {
	if c.Size == 0 {
		return nil
	}
	if c.LookupCycles < 0 || c.DataCycles < 0 {
		return fmt.Errorf("system_cache: lookup of %d and data of %d cycles, want 0 or more", c.LookupCycles, c.DataCycles)
	}
	if err := c.config(0).Validate(); err != nil {
		return fmt.Errorf("system_cache: %s", strings.TrimPrefix(err.Error(), "cachemodel: level 0: "))
	}
	return nil
}

// systemCache is the cache with its times.
type systemCache struct {
	lines        *cachemodel.Hierarchy
	lookup, data sim.Time
	free         sim.Time // when the data port is
	asked        sim.Time // the latest time at which the DRAM was asked
	queued       sim.Time // what the last burst waited for the data port, or behind other transactions in the DRAM
}

// SetSystemCache puts a cache in front of the DRAM; a size of 0 puts none. The seed is of random replacement.
func (f *Fabric) SetSystemCache(c SystemCache, seed uint64) error {
	if err := c.Validate(); err != nil || c.Size == 0 {
		return err
	}
	h, err := cachemodel.New(c.config(seed))
	if err != nil {
		return err
	}
	f.cache = &systemCache{lines: h, lookup: f.wires.Cycles(int64(c.LookupCycles)), data: f.wires.Cycles(int64(c.DataCycles))}
	return nil
}

// SystemCache returns what arrived at the cache since the last reset, and whether there is one.
func (f *Fabric) SystemCache() (cachemodel.Counters, bool) {
	if f.cache == nil {
		return cachemodel.Counters{}, false
	}
	return f.cache.lines.Counters(0), true
}

// throughCache serves a burst of a master by the cache, and what it causes by the DRAM, and returns when its data is there, or in the cache.
func (f *Fabric) throughCache(now sim.Time, p *bus.Port, n int, write bool) sim.Time {
	c, st := f.cache, &f.stats[p.Master]
	a := cachemodel.At(uint64(p.Addr))
	if write {
		c.lines.Write(a, n, 0)
	} else {
		c.lines.Read(a, n)
	}
	now += c.lookup
	end, miss := now, false
	for _, x := range c.lines.Traffic() {
		back := x.Kind == cachemodel.WriteBack
		at := max(now, c.asked, f.ends[f.slot])
		done := f.fromCache(at, bus.Phys(x.Addr), x.Bytes, back)
		if back {
			st.BytesWritten += uint64(x.Bytes)
			continue
		}
		st.BytesRead += uint64(x.Bytes)
		end, miss = max(end, done), !write
		if miss {
			c.queued = at - now + f.behind()
		}
	}
	if miss {
		return end // the line goes by as it comes in
	}
	c.queued = max(0, c.free-now)
	c.free = max(now, c.free) + c.data
	return c.free
}

// fromCache asks the DRAM on the cache's behalf, at a time when it has room.
func (f *Fabric) fromCache(at sim.Time, addr bus.Phys, n int, write bool) sim.Time {
	f.cache.asked = at
	_, clk := f.dram.Serve(f.clock.Ceil(at-f.origin), addr, n, write)
	end := f.origin + f.clock.Cycles(clk)
	f.took(end)
	return end
}

// took notes when a transaction that the DRAM has accepted completes.
func (f *Fabric) took(end sim.Time) {
	f.ends[f.slot] = end
	f.slot++
	if f.slot == f.room {
		f.slot = 0
	}
}
