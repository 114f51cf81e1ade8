package cpu

import (
	"socsim/sim"
	"socsim/sim/bus"
)

// Cause is why the core spent a picosecond, where [Category] is on whose behalf. As for categories every picosecond has exactly one: the causes, idle among them, add up to the run.
//
// A wait for the bus has two parts. Its last is what the transfer takes on an idle memory, from the initiator's request to the data: hops, the access in the state its row was found in, the data. What
// the core waited before that, for the arbiter, for transactions ahead in the memory (its own write-backs among them), turnarounds, refreshes and the wake-up from power-down, is contention.
//
// Left out: what the bursts of a transfer of several stand in queues, but for the last; the parts of a wait that the end of the run cuts short are all its cause's; of the line fills of a core with several, one that waits for a free one takes the service of the last; a wait for
// a speculative fill to make room is refill.
type Cause uint8

// The causes.
const (
	CauseIdle       Cause = iota
	CauseCompute          // tasks' work, the issue of loads and stores, L1 hits
	CauseL2               // loads that miss L1 and hit behind it
	CauseWalk             // walks of the core's own page tables, without the loads of descriptors
	CauseRefill           // lines read from memory
	CauseCollateral       // the same, of lines that a whole-cache operation had thrown out
	CauseContention       // what waits for the bus took beyond an idle memory's time
	CauseUncached         // loads past the caches
	CausePosted           // writes: full buffers, and waits until memory has taken them
	CauseCall             // maintenance, per call
	CauseBarrier          // barriers, without the wait for what was posted before them
	CausePage             // maintenance, per page
	CauseLine             // maintenance, per line visited or slot
	CauseWriteBack        // maintenance, per dirty line, with the wait for memory
	CauseInterrupt        // entry, exit and the handlers' fixed work
	CauseSwitch           // context switches
	CauseDriver           // system calls, faults and drivers' work
	CauseRegisters        // devices' registers
	Causes                // how many there are
)

// String returns the cause's name in metrics.
func (c Cause) String() string {
	return [Causes]string{
		"idle", "compute", "l2_hit", "table_walk", "refill", "refill_collateral", "contention", "uncached_read", "posted_write", "maintenance_call", "barrier", "maintenance_page", "maintenance_line",
		"maintenance_write_back", "interrupt", "context_switch", "driver", "registers",
	}[c]
}

// CauseTime returns the time spent for a cause since the last reset.
func (c *Core) CauseTime(cause Cause) sim.Time {
	c.book()
	return c.causes[cause]
}

// work is the cause of plain computing: whose it is, tells.
func (c *Core) work() Cause {
	switch {
	case c.cat >= firstTask:
		return CauseCompute
	case c.cat.maintenance():
		return CauseCall
	}
	return CauseDriver
}

// posting is the cause of waits for writes: a dirty line's that maintenance pushed out, or others.
func (c *Core) posting() Cause {
	if c.cat == MaintDirty {
		return CauseWriteBack
	}
	return CausePosted
}

// service returns how long the port's transfer that was asked for at a time, and has just been granted, takes on an idle memory.
func (c *Core) service(p *bus.Port, asked, done sim.Time) sim.Time {
	return max(0, done-asked-c.fabric.Queued(p))
}

// wait charges the wait until a time that ends with the service of a transfer.
func (c *Core) wait(cause Cause, until, service sim.Time) {
	if until > c.l {
		c.waited(cause, until-c.l, service)
	}
}

// waited charges a wait.
func (c *Core) waited(cause Cause, d, service sim.Time) {
	if queued := d - service; queued > 0 {
		c.charge(CauseContention, queued)
		d = service
	}
	c.charge(cause, d)
}
