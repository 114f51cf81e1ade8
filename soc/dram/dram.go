// Package dram models an SDRAM controller that serves requests in order: banks with one open row each, the timings between their commands, the shared data bus and
// its turnarounds, and all-bank refresh.
//
// A request's timing is fixed when it is accepted: [Controller.Serve] returns when its data starts and ends. A look-ahead lets a request open its row while older requests
// still use the data bus, which is all that the in-order SDRC of OMAP3 overlaps (OMAP36xx TRM SWPU177N, SDRAM controller subsystem: 64-bit slave, strictly in order, at
// most 4 transactions; page policy: open page only, at most one open row a bank; refresh needs all banks precharged).
//
// Latency of one access in DRAM clocks from acceptance to the end of its data, on an idle controller: row hit CL + n, closed bank tRCD + CL + n, row conflict tRP + tRCD + CL + n,
// where n is the clocks of data (bytes / (2 x width)).
//
// Left out: contention for the command bus (a command a clock is never the limit with bursts of 8 clocks), power-down states, closed-page policy and out-of-order scheduling.
package dram

import (
	"fmt"
	"math/bits"
	"slices"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// Config is the geometry and the timings of a channel. Times are rounded to whole clocks as a driver programs them: minima up, the refresh interval, a maximum, down.
type Config struct {
	Clock     units.Hertz `conf:"clock" doc:"Clock of the DRAM interface; data moves on both edges."`
	Width     units.Bytes `conf:"width" doc:"Width of the data bus."`
	Banks     int         `conf:"banks" doc:"Number of banks, each with one row open at most."`
	Row       units.Bytes `conf:"row" doc:"Size of a row over the whole width: the DRAM page."`
	Map       Map         `conf:"map" doc:"Order of row, bank and column in an address, highest first."`
	Burst     int         `conf:"burst" doc:"Burst length in beats; a shorter transfer still occupies the bus for a burst."`
	CL        int         `conf:"cl" doc:"Clocks from a read command to its first data."`
	CWL       int         `conf:"cwl" doc:"Clocks from a write command to its first data."`
	TRCD      sim.Time    `conf:"trcd" doc:"Activate to read or write."`
	TRP       sim.Time    `conf:"trp" doc:"Precharge to activate."`
	TRAS      sim.Time    `conf:"tras" doc:"Activate to precharge."`
	TRC       sim.Time    `conf:"trc" doc:"Activate to activate of the same bank."`
	TRRD      sim.Time    `conf:"trrd" doc:"Activate to activate of another bank."`
	TWR       sim.Time    `conf:"twr" doc:"End of write data to precharge (tDPL)."`
	TWTR      int         `conf:"twtr" doc:"Clocks from the end of write data to a read command."`
	TRTW      int         `conf:"trtw" doc:"Idle clocks of the data bus between read data and write data."`
	TRFC      sim.Time    `conf:"trfc" doc:"Refresh to activate."`
	TREFI     sim.Time    `conf:"trefi" doc:"Interval between refreshes; 0s switches refresh off."`
	LookAhead int         `conf:"look_ahead" doc:"Transactions accepted and not yet complete; the controller may open the rows of all of them."`
}

// Map is an address map.
type Map string

// The address maps, named from the highest field to the lowest.
const (
	RoBaCo Map = "robaco"
	RoCoBa Map = "rocoba"
	BaRoCo Map = "baroco"
)

// Values lists the valid maps.
func (Map) Values() []string { return []string{string(RoBaCo), string(RoCoBa), string(BaRoCo)} }

// MaxLookAhead bounds Config.LookAhead.
const MaxLookAhead = 16

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	pow2 := func(n int64) bool { return n > 0 && n&(n-1) == 0 }
	switch {
	case c.Clock <= 0 || int64(c.Clock) > sim.MaxHertz:
		return fmt.Errorf("dram.clock: %v, want a positive clock", c.Clock)
	case !pow2(int64(c.Width)) || c.Width > 16:
		return fmt.Errorf("dram.width: %v, want 1B, 2B, 4B, 8B or 16B", c.Width)
	case !pow2(int64(c.Banks)) || c.Banks > maxBanks:
		return fmt.Errorf("dram.banks: %d, want a power of two up to %d", c.Banks, maxBanks)
	case !pow2(int64(c.Row)) || c.Row < 256:
		return fmt.Errorf("dram.row: %v, want a power of two of at least 256B", c.Row)
	case !pow2(int64(c.Burst)) || c.Burst < 2 || c.Burst > 16:
		return fmt.Errorf("dram.burst: %d, want 2, 4, 8 or 16 beats", c.Burst)
	case c.CL < 1 || c.CWL < 0 || c.TWTR < 0 || c.TRTW < 0:
		return fmt.Errorf("dram: cl %d, cwl %d, twtr %d, trtw %d clocks, want cl of at least 1 and none negative", c.CL, c.CWL, c.TWTR, c.TRTW)
	case c.LookAhead < 1 || c.LookAhead > MaxLookAhead:
		return fmt.Errorf("dram.look_ahead: %d, want 1 to %d", c.LookAhead, MaxLookAhead)
	case !slices.Contains(c.Map.Values(), string(c.Map)):
		return fmt.Errorf("dram.map: %q, want one of %v", c.Map, c.Map.Values())
	case min(c.TRCD, c.TRP, c.TRAS, c.TRC, c.TRRD, c.TWR, c.TRFC, c.TREFI) < 0:
		return fmt.Errorf("dram: trcd %v, trp %v, tras %v, trc %v, trrd %v, twr %v, trfc %v, trefi %v, want none negative",
			c.TRCD, c.TRP, c.TRAS, c.TRC, c.TRRD, c.TWR, c.TRFC, c.TREFI)
	}
	if clock := sim.NewClock(int64(c.Clock)); c.TREFI > 0 && clock.Floor(c.TREFI) <= clock.Ceil(c.TRFC)+clock.Ceil(c.TRP) {
		return fmt.Errorf("dram.trefi: %v, want more than trfc + trp = %v in whole clocks: the memory would do nothing but refresh", c.TREFI, c.TRFC+c.TRP)
	}
	return nil
}

const maxBanks = 64

// Stats counts what the controller did. Clocks are DRAM clocks.
type Stats struct {
	Reads, Writes                  uint64 // transactions
	RowHits, RowClosed, RowMisses  uint64 // open row hit; bank was closed; another row was open
	Activates, Precharges, Refresh uint64
	DataClocks                     uint64 // clocks in which the data bus moved data
}

// none is the open row of a closed bank.
const none = -1

type bank struct {
	row      int64
	actReady int64 // earliest activate
	casReady int64 // earliest read or write to the open row
	preReady int64 // earliest precharge
}

// Controller is one channel. All its times are DRAM clocks.
type Controller struct {
	banks [maxBanks]bank

	// Timings. minData is the clocks of the shortest burst.
	cl, cwl, rcd, rp, ras, rc, rrd, wr, wtr, rtw, rfc, refi, minData int64

	// Of the whole channel: the next refresh, the last activate, the first clock at which another read or write command may be given, and the ends of the last read
	// and write data.
	nextRefresh, lastAct, casFree, readEnd, writeEnd int64

	// Address fields.
	mapping           Map
	colBits, bankBits uint
	bankMask          int64
	bankTop           uint // position of the bank field in BaRoCo
	clockShift        uint // log2 of the bytes a clock
	base              bus.Phys

	clock     sim.Clock
	lookAhead int
	stats     Stats
}

// New returns a controller for size bytes of memory that begin at base; the clock stands at 0 and all banks are closed.
func New(cfg Config, base bus.Phys, size int64) (*Controller, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	clock := sim.NewClock(int64(cfg.Clock))
	log2 := func(n int64) uint { return uint(bits.TrailingZeros64(uint64(n))) }
	c := &Controller{
		cl: int64(cfg.CL), cwl: int64(cfg.CWL), rcd: clock.Ceil(cfg.TRCD), rp: clock.Ceil(cfg.TRP), ras: clock.Ceil(cfg.TRAS),
		rc: clock.Ceil(cfg.TRC), rrd: clock.Ceil(cfg.TRRD), wr: clock.Ceil(cfg.TWR), wtr: int64(cfg.TWTR), rtw: int64(cfg.TRTW),
		rfc: clock.Ceil(cfg.TRFC), refi: clock.Floor(cfg.TREFI), minData: int64(cfg.Burst) / 2,
		lastAct: longAgo, casFree: longAgo, readEnd: longAgo, writeEnd: longAgo,
		mapping: cfg.Map, colBits: log2(int64(cfg.Row)), bankBits: log2(int64(cfg.Banks)), bankMask: int64(cfg.Banks) - 1,
		bankTop:    uint(bits.Len64(uint64(size-1))) - log2(int64(cfg.Banks)),
		clockShift: log2(2 * int64(cfg.Width)),
		base:       base, clock: clock, lookAhead: cfg.LookAhead,
	}
	c.nextRefresh = c.refi
	if c.refi == 0 {
		c.nextRefresh = 1<<62 - 1
	}
	for i := range c.banks {
		c.banks[i].row = none
	}
	return c, nil
}

const longAgo = -1 << 40

// Clock returns the interface clock.
func (c *Controller) Clock() sim.Clock { return c.clock }

// LookAhead returns how many transactions may be accepted and not complete.
func (c *Controller) LookAhead() int { return c.lookAhead }

// Stats returns the counters.
func (c *Controller) Stats() Stats { return c.stats }

// ResetStats zeroes the counters.
func (c *Controller) ResetStats() { c.stats = Stats{} }

// locate splits an address into bank and row.
func (c *Controller) locate(pa bus.Phys) (bank int64, row int64) {
	off := int64(pa - c.base)
	switch c.mapping {
	case RoCoBa:
		return off >> 6 & c.bankMask, off >> (c.colBits + c.bankBits)
	case BaRoCo:
		return off >> c.bankTop & c.bankMask, off >> c.colBits & (1<<(c.bankTop-c.colBits) - 1)
	default:
		return off >> c.colBits & c.bankMask, off >> (c.colBits + c.bankBits)
	}
}

// Serve accepts a transaction of n bytes within one burst of 64 bytes at clock at, behind all that were accepted before, and returns when its data begins and ends on the bus.
// at must not decrease from call to call. O(1); O(banks) when a refresh is due.
func (c *Controller) Serve(at int64, pa bus.Phys, n int, write bool) (start, end int64) {
	if at >= c.nextRefresh {
		c.refresh(at)
	}
	bi, row := c.locate(pa)
	b := &c.banks[bi]

	cas := at
	if b.row != row {
		act := max(at, b.actReady)
		if b.row != none {
			act = max(act, max(at, b.preReady)+c.rp)
			c.stats.RowMisses++
			c.stats.Precharges++
		} else {
			c.stats.RowClosed++
		}
		act = max(act, c.lastAct+c.rrd)
		c.lastAct = act
		c.stats.Activates++
		b.row = row
		b.actReady = act + c.rc
		b.casReady = act + c.rcd
		b.preReady = act + c.ras
	} else {
		c.stats.RowHits++
	}
	cas = max(cas, b.casReady, c.casFree)

	data := max((int64(n)+1<<c.clockShift-1)>>c.clockShift, c.minData)
	if write {
		start = max(cas+c.cwl, c.readEnd+c.rtw)
		cas = start - c.cwl
		end = start + data
		c.writeEnd = end
		b.preReady = max(b.preReady, end+c.wr)
		c.stats.Writes++
	} else {
		cas = max(cas, c.writeEnd+c.wtr)
		start = cas + c.cl
		end = start + data
		c.readEnd = end
		b.preReady = max(b.preReady, cas+data)
		c.stats.Reads++
	}
	c.casFree = cas + data
	c.stats.DataClocks += uint64(data)
	return start, end
}

// refresh does all refreshes due at or before clock at. All banks are precharged first, tRP and tRC of each are kept; rows are closed afterwards.
func (c *Controller) refresh(at int64) {
	n := (at-c.nextRefresh)/c.refi + 1
	due := c.nextRefresh
	c.stats.Refresh += uint64(n)
	c.nextRefresh += n * c.refi
	ready := max(due, c.readEnd, c.writeEnd)
	for i := range c.bankMask + 1 {
		b := &c.banks[i]
		ready = max(ready, b.actReady)
		if b.row != none {
			ready = max(ready, max(due, b.preReady)+c.rp)
			c.stats.Precharges++
		}
	}
	// Those behind the first find the banks closed: they start when due or, after a late first one, back to back.
	if n > 1 {
		ready = max(due+(n-1)*c.refi, ready+(n-1)*c.rfc)
	}
	for i := range c.bankMask + 1 {
		b := &c.banks[i]
		b.row = none
		b.actReady = ready + c.rfc
	}
}
