// Package dram models SDRAM and its controllers: banks with one open row each, the timings between their commands, the command bus, the shared data bus with its turnarounds, all-bank refresh, and
// power-down.
//
// There are two controllers. [Controller] serves requests in order: a request's timing is fixed when it is accepted, and [Controller.Serve] returns when its data starts and ends. A look-ahead lets a
// request open its row while older requests still use the data bus, which is all that the in-order SDRC of OMAP3 overlaps (OMAP36xx TRM SWPU177N, SDRAM controller subsystem: 64-bit slave,
// strictly in order, at most 4 transactions; page policy: open page only, at most one open row a bank; refresh needs all banks precharged). [FRFCFS] lets row hits pass older requests and posts writes.
//
// Latency of one access in DRAM clocks from acceptance by a Controller to the end of its data, when idle: row hit CL + n, closed bank tRCD + CL + n, row conflict tRP + tRCD + CL + n, where n is the
// clocks of data: half the beats of its bursts. docs/dram.md has the table of timings between commands.
//
// A Controller with the scheduler fixed is one server with a constant service time, with ideal a constant latency without limit: yardsticks without banks, rows or commands.
//
// The clock may change ([Controller.SetClock]), in self-refresh whose entry and exit are the caller's time.
//
// Left out: self-refresh for other reasons, per-bank refresh, refreshes postponed or pulled in, ranks and bank groups, and the energy of what is counted.
package dram

import (
	"math/bits"

	"socsim/sim"
	"socsim/sim/bus"
)

// Stats counts what a controller did. Clocks are DRAM clocks.
type Stats struct {
	Reads, Writes                  uint64 // requests accepted
	RowHits, RowClosed, RowMisses  uint64 // open row hit; bank was closed; another row was open
	Activates, Precharges, Refresh uint64 // Precharges leaves out those by auto-precharge
	DataClocks                     uint64 // clocks in which the data bus moved data
	// Clocks in power-down, with all banks precharged and with a row open.
	PrechargeDown, ActiveDown uint64
	// Of frfcfs: reads and writes that joined a waiting one of the same burst, and reads served from the write buffer.
	Merged, Forwarded uint64
	// PostedWrites of frfcfs behind the interconnect: Writes counts those that have left the buffer.
	PostedWrites uint64
}

func (s *Stats) add(t Stats) {
	s.Reads += t.Reads
	s.Writes += t.Writes
	s.RowHits += t.RowHits
	s.RowClosed += t.RowClosed
	s.RowMisses += t.RowMisses
	s.Activates += t.Activates
	s.Precharges += t.Precharges
	s.Refresh += t.Refresh
	s.DataClocks += t.DataClocks
	s.PrechargeDown += t.PrechargeDown
	s.ActiveDown += t.ActiveDown
	s.Merged += t.Merged
	s.Forwarded += t.Forwarded
	s.PostedWrites += t.PostedWrites
}

// none is the open row of a closed bank.
const none = -1

type bank struct {
	row      int64
	actReady int64 // earliest activate
	casReady int64 // earliest read or write to the open row
	preReady int64 // earliest precharge
}

// slots is how many clocks the record of the command bus reaches back and forth; commands of transactions in flight at one time lie closer together.
const slots = 1024

// train is the read or write commands of a transaction, a burst apart.
type train struct{ first, end int64 }

// maxRequest is the largest request in bytes: one burst of BL16 on the widest bus. The interconnect's are smaller.
const maxRequest = 256

// Controller serves one channel in order, or several. All its times are DRAM clocks.
type Controller struct {
	banks [maxBanks]bank
	t     timings

	// Of the whole channel: the clock at which something other than a request is due, the first at which another read or write command may be given, and the ends of the last read and write data.
	attend, casFree, readEnd, writeEnd int64

	// The last four activates, and the place of the next.
	acts [4]int64
	act  uint

	// The next refresh, when power-down begins, and up to where it is counted.
	nextRefresh, sleepAt, counted int64

	layout     layout
	closed     bool
	clockShift uint // log2 of the bytes of a burst
	burstShift uint // log2 of its clocks
	rtpMore    int64
	clocks     [maxRequest + 1]uint8 // of the data of so many bytes, in whole bursts

	// What explains the data bus's time: the ends of the last refresh and of the last wake-up, and the cause of the data of the next request.
	refreshed, awake int64
	held             int64 // the later of the two
	tag              BusCause

	// What explains the last request's: when it was accepted and what an idle memory takes to open its row; or, where there are no banks, how late its data was.
	at, opening int64
	behind      int64

	other    bool // not one channel of banks
	yard     yardstick
	posts    *posted       // of the scheduler frfcfs
	channels []*Controller // with several
	index    int           // of this channel
	observe  Observer

	clock     sim.Clock
	lookAhead int
	stats     Stats

	// What New was told, and of the clocks before this one since the last reset: the times, and the counters at the last change.
	cfg    Config
	origin bus.Phys
	size   int64
	past   Times
	before Stats

	// The command bus. Reads and writes: those of the last transactions, in the order of their clocks; and bit n of recent, for less than 64, is one n clocks before casFree. every has a bit each
	// burst. Other commands: taken[clk % slots] is clk if one has that clock.
	recent, every uint64
	trains        [MaxLookAhead]train
	train         uint // place of the next
	taken         [slots]int64

	bus busTime
}

// yardstick is a memory without banks.
type yardstick struct {
	kind    Scheduler // "" for a real one
	service int64
	free    int64 // when the server of Fixed is
}

// New returns a controller for size bytes of memory that begin at base; the clock stands at 0 and all banks are closed.
func New(cfg Config, base bus.Phys, size int64) (*Controller, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := newChannel(cfg, base, size, 0)
	if cfg.channels() > 1 && cfg.Scheduler.Banked() {
		c = &Controller{clock: c.clock, lookAhead: c.lookAhead, layout: c.layout, other: true}
		for i := range cfg.channels() {
			c.channels = append(c.channels, newChannel(cfg, base, size, i))
		}
	}
	c.cfg, c.origin, c.size = cfg, base, size
	return c, nil
}

func newChannel(cfg Config, base bus.Phys, size int64, index int) *Controller {
	clock := sim.NewClock(int64(cfg.Clock))
	if cfg.Scheduler == FirstReady {
		return newPosted(cfg, base, size, index)
	}
	c := &Controller{clock: clock, lookAhead: cfg.LookAhead, index: index, refreshed: longAgo, awake: longAgo, held: longAgo, tag: FirstTag, bus: busTime{last: FirstTag}}
	if !cfg.Scheduler.Banked() {
		c.other = true
		c.yard = yardstick{kind: cfg.Scheduler, service: clock.Ceil(cfg.Service)}
		c.clockShift = log2(2 * max(1, int64(cfg.Width)))
		if c.lookAhead < 1 {
			c.lookAhead = MaxLookAhead
		}
		return c
	}
	c.t = cfg.timings(clock)
	c.casFree, c.readEnd, c.writeEnd = longAgo, longAgo, longAgo
	c.acts = [4]int64{longAgo, longAgo, longAgo, longAgo}
	c.nextRefresh, c.sleepAt = c.t.refi, c.t.powerDown
	c.attend = min(c.nextRefresh, c.sleepAt)
	c.layout = cfg.layout(base, size)
	c.closed = cfg.Page == Closed
	c.clockShift, c.burstShift = c.layout.burst, log2(c.t.burst)
	c.rtpMore = c.t.rtp - c.t.burst
	for n := range c.clocks {
		c.clocks[n] = uint8((n + 1<<c.clockShift - 1) >> c.clockShift << c.burstShift)
	}
	for i := uint64(c.t.burst); i < 64; i += uint64(c.t.burst) {
		c.every |= 1 << i
	}
	for i := range c.banks {
		c.banks[i].row = none
	}
	for i := range c.taken {
		c.taken[i] = longAgo
	}
	for i := range c.trains {
		c.trains[i].end = longAgo
	}
	return c
}

// Clock returns the interface clock.
func (c *Controller) Clock() sim.Clock { return c.clock }

// LookAhead returns how many transactions may be accepted and not complete.
func (c *Controller) LookAhead() int { return c.lookAhead }

// Stats returns the counters.
func (c *Controller) Stats() Stats {
	s := c.stats
	for _, ch := range c.channels {
		s.add(ch.Stats())
	}
	return s
}

// ResetStats zeroes the counters.
func (c *Controller) ResetStats() {
	c.stats = Stats{}
	c.past, c.before = Times{}, Stats{}
	for _, ch := range c.channels {
		ch.ResetStats()
	}
}

// Observe shows all commands to f from now on. Those of a request are shown when it is accepted, those of a refresh when the first request after it is.
func (c *Controller) Observe(f Observer) {
	c.observe = f
	for _, ch := range c.channels {
		ch.Observe(f)
	}
}

// Settle does the refreshes due at or before clock at, and counts power-down up to there, so that Stats holds all of that time. It does not change the timing of what follows.
func (c *Controller) Settle(at int64) {
	for _, ch := range c.channels {
		ch.Settle(at)
	}
	if c.other {
		return
	}
	c.due(at)
	if c.sleepAt < at {
		c.countDown(at)
	}
	c.attend = min(c.nextRefresh, c.sleepAt)
}

// claim returns the first clock from t on that has no command, and gives it one.
func (c *Controller) claim(t int64) int64 {
	for {
		switch back := c.casFree - t; {
		case back <= 0: // behind all reads and writes
		case back < 64:
			// The first clock from there on that is free, without a branch: they would be as good as random.
			t = c.casFree - int64(bits.Len64(^c.recent&(2<<(uint64(back)&63)-1))-1)
		default:
			if c.reads(t) {
				t++
				continue
			}
		}
		if slot := &c.taken[uint64(t)%slots]; *slot != t {
			*slot = t
			return t
		}
		t++
	}
}

// reads tells whether a clock has a read or write command.
func (c *Controller) reads(t int64) bool {
	for i := range uint(MaxLookAhead) {
		tr := &c.trains[(c.train-1-i)%MaxLookAhead]
		if tr.end <= t {
			break
		}
		if t >= tr.first {
			return (t-tr.first)&(c.t.burst-1) == 0
		}
	}
	return false
}

// Serve accepts a transaction of n bytes within one burst of 64 bytes at clock at, behind all that were accepted before, and returns when its data begins and ends on the bus.
// at must not decrease from call to call. O(1); O(banks) when a refresh is due.
func (c *Controller) Serve(at int64, pa bus.Phys, n int, write bool) (start, end int64) {
	if c.other {
		return c.serveOther(at, pa, n, write)
	}
	if at >= c.attend {
		c.wake(at)
	}
	off := int64(pa - c.layout.base)
	bi, row := c.layout.locate(off)
	b := &c.banks[bi]
	t := &c.t

	cas := at
	c.at, c.opening = at, 0
	if b.row != row {
		c.opening = t.rcd
		act := max(at, b.actReady)
		if b.row != none {
			pre := c.claim(max(at, b.preReady))
			act = max(act, pre+t.rp)
			c.opening += t.rp
			c.stats.RowMisses++
			c.stats.Precharges++
			if c.observe != nil {
				c.show(Precharge, pre, bi, row, off)
			}
		} else {
			c.stats.RowClosed++
		}
		act = c.claim(max(act, c.acts[(c.act-1)%4]+t.rrd, c.acts[c.act%4]+t.faw))
		c.acts[c.act%4] = act
		c.act++
		c.stats.Activates++
		if c.observe != nil {
			c.show(Activate, act, bi, row, off)
		}
		b.row = row
		b.actReady = act + t.rc
		b.casReady = act + t.rcd
		b.preReady = act + t.ras
	} else {
		c.stats.RowHits++
	}
	cas = max(cas, b.casReady, c.casFree)

	// A transaction of several bursts is as many commands, back to back. They lie behind all those of older transactions.
	data := int64(c.clocks[n])
	var shut int64 // when a precharge may be
	if write {
		start = max(cas+t.cwl, c.readEnd+t.rtw)
		cas = start - t.cwl
		end = start + data
		c.writeEnd = end
		shut = end + t.wr
		c.stats.Writes++
	} else {
		cas = max(cas, c.writeEnd+t.wtr)
		start = cas + t.cl
		end = start + data
		c.readEnd = end
		shut = cas + data + c.rtpMore
		c.stats.Reads++
	}
	c.trains[c.train%MaxLookAhead] = train{cas, cas + data}
	c.train++
	if c.observe != nil {
		c.showData(cas, data, bi, row, off, write)
	}
	if c.closed {
		b.row = none
		if !write {
			shut = cas + data + t.rtp // auto-precharge counts tRTP from the end of the burst
		}
		b.actReady = max(b.actReady, shut+t.rp)
	} else {
		b.preReady = max(b.preReady, shut)
	}
	c.recent = c.recent<<uint64(cas+data-c.casFree) | c.every&(2<<(uint64(data)&63)-1)
	c.casFree = cas + data
	c.sleepAt = end + t.powerDown
	c.attend = min(c.nextRefresh, c.sleepAt)
	c.stats.DataClocks += uint64(data)
	from := start
	if from != c.bus.end {
		from = c.gap(at, start-cas, b.casReady, start)
	}
	c.bus.moved(c.tag, from, end)
	return start, end
}

// serveOther serves what is not one channel of banks.
func (c *Controller) serveOther(at int64, pa bus.Phys, n int, write bool) (start, end int64) {
	if c.posts != nil {
		return c.servePosted(at, pa, n, write)
	}
	if c.channels != nil {
		l := &c.channels[0].layout
		ch, local := l.channel(int64(pa - l.base))
		to := c.channels[ch]
		to.tag = c.tag
		start, end = to.Serve(at, l.base+bus.Phys(local), n, write)
		c.behind = to.Behind()
		return start, end
	}
	if write {
		c.stats.Writes++
	} else {
		c.stats.Reads++
	}
	c.stats.DataClocks += uint64((int64(n) + 1<<c.clockShift - 1) >> c.clockShift)
	if c.yard.kind == Fixed {
		c.behind = max(0, c.yard.free-at)
		at = max(at, c.yard.free)
		c.yard.free = at + c.yard.service
	}
	return at, at + c.yard.service
}

// show shows a command for the access at a local offset.
func (c *Controller) show(k Kind, clk, bank, row, off int64) {
	c.observe(Command{Clk: clk, Kind: k, Channel: c.index, Bank: int(bank), Row: row, Col: c.layout.column(off)})
}

func (c *Controller) showData(cas, data, bank, row, off int64, write bool) {
	k := Read
	if write {
		k = Write
	}
	for clk := cas; clk < cas+data; clk += c.t.burst {
		kind := k
		if c.closed && clk+c.t.burst == cas+data {
			kind++
		}
		c.show(kind, clk, bank, row, off+(clk-cas)>>c.burstShift<<c.layout.burst)
	}
}

// wake prepares for a request at clock at, when something was due before.
func (c *Controller) wake(at int64) {
	c.due(at)
	if c.sleepAt < at {
		c.leaveDown(at)
	}
}

// due does the refreshes due at or before clock at, with the power-down between them.
func (c *Controller) due(at int64) {
	for c.nextRefresh <= at {
		until := at
		if c.t.powerDown < never {
			if c.sleepAt < c.nextRefresh {
				c.leaveDown(c.nextRefresh)
			}
			until = c.nextRefresh
		}
		c.refresh(until)
	}
}

// countDown counts the clocks of the power-down that began at sleepAt.
func (c *Controller) countDown(to int64) {
	from := max(c.sleepAt, c.counted)
	c.counted = to
	for i := range c.layout.bankMask + 1 {
		if c.banks[i].row != none {
			c.stats.ActiveDown += uint64(to - from)
			return
		}
	}
	c.stats.PrechargeDown += uint64(to - from)
}

// leaveDown ends the power-down that began at sleepAt for something to do at clock at.
func (c *Controller) leaveDown(at int64) {
	wake := max(at, c.sleepAt+c.t.cke)
	c.countDown(wake)
	c.sleepAt = never
	ready := wake + c.t.xp
	c.awake = ready
	c.held = max(c.held, ready)
	for i := range c.layout.bankMask + 1 {
		b := &c.banks[i]
		b.actReady, b.preReady = max(b.actReady, ready), max(b.preReady, ready)
	}
	if ready > c.casFree {
		c.recent <<= uint64(ready - c.casFree)
		c.casFree = ready
	}
}

// refresh does all refreshes due at or before clock at. All banks are precharged first, tRP and tRC of each are kept; rows are closed afterwards.
func (c *Controller) refresh(at int64) {
	t := &c.t
	n := (at-c.nextRefresh)/t.refi + 1
	due := c.nextRefresh
	c.stats.Refresh += uint64(n)
	c.nextRefresh += n * t.refi
	ready := max(due, c.readEnd, c.writeEnd)
	for i := range c.layout.bankMask + 1 {
		b := &c.banks[i]
		ready = max(ready, b.actReady)
		if b.row != none {
			pre := c.claim(max(due, b.preReady))
			ready = max(ready, pre+t.rp)
			c.stats.Precharges++
			if c.observe != nil {
				c.observe(Command{Clk: pre, Kind: Precharge, Channel: c.index, Bank: int(i), Row: -1, Col: -1})
			}
		}
	}
	// Those behind the first find the banks closed: they start when due or, after a late first one, back to back.
	first := c.claim(ready)
	if c.observe != nil {
		for k := range n {
			c.observe(Command{Clk: max(due+k*t.refi, first+k*t.rfc), Kind: Refresh, Channel: c.index, Bank: -1, Row: -1, Col: -1})
		}
	}
	ready = max(due+(n-1)*t.refi, first+(n-1)*t.rfc)
	for i := range c.layout.bankMask + 1 {
		b := &c.banks[i]
		b.row = none
		b.actReady = ready + t.rfc
	}
	c.refreshed = ready + t.rfc
	c.held = max(c.held, c.refreshed)
	c.sleepAt = max(ready+t.rfc, c.readEnd, c.writeEnd) + t.powerDown
}
