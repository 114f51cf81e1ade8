package dram

import (
	"math/bits"

	"socsim/sim"
	"socsim/sim/bus"
)

// FRFCFS is a controller that lets row hits pass older requests: first ready, first come, first served. Its rules are those of DRAMsim3, for each channel:
//
//   - Reads wait in a queue, writes in a buffer of the same size. A write is acknowledged when it is accepted and joins one of the same burst that waits; a read of a burst that waits to be
//     written is answered from the buffer, and one of a burst that waits to be read joins it.
//   - Once a clock, the oldest request whose bank has room moves to that bank's queue of 8. Reads move, until the write buffer is full, or holds more than 8 and no bank has work: then as many
//     writes move as it holds. A write that finds an unread read of its burst ends that.
//   - Once a clock, one command is given: of the banks in turn, from the one behind the last served, the first that is ready in the order of its queue. Only the oldest request of a bank may
//     close a row, when no other in the queue hits it or four did since it was opened.
//   - A refresh is due each tREFI. It stops all banks: those open are precharged one by one, lowest first, and tRFC passes.
//
// A request accepted at clock c moves at c+1 at the soonest and has its first command at c+2. Writes that rest in the buffer at the end stay there.
//
// The clock skips from one decision to the next. A request allocates nothing: it takes a place in a pool that grows only while reads join each other. O(log of nothing): a decision scans the banks that
// have work, and at most 8 entries of one.
type FRFCFS struct {
	ch    []frChannel
	l     layout
	clock sim.Clock
	done  func(tag uint64, at int64)
	stats Stats // of what a channel does not count
}

// bankQueue is the depth of a bank's command queue, drainLevel what the write buffer must exceed to be drained when there is nothing else to do, hitLimit how many hits may delay a precharge.
const (
	bankQueue  = 8
	drainLevel = 8
	hitLimit   = 4
)

// request is a place in the pool.
type request struct {
	burst int64 // number of the burst in the channel
	row   int64
	tag   uint64
	order uint64 // of acceptance
	next  int32  // of the bank's list, or the free ones
	join  int32  // next read of the same burst
	write bool
}

// noRequest ends lists.
const noRequest = -1

// entry is a place in a bank's queue.
type entry struct {
	row   int64
	id    int32
	write bool
}

type frBank struct {
	row                int64
	act, cas, pre, ref int64 // earliest activate, column access, precharge, refresh
	hits               int   // column accesses since the activate
	queue              [bankQueue]entry
	n                  int
	// Which entries could be served with the row as it is: -1 if none. Valid unless stale.
	read, write int
	shut        bool // the oldest may close the row
	stale       bool
	lists       [2]list // reads and writes that wait to move
}

type list struct{ head, tail int32 }

// kindOf is the list of a request.
func kindOf(write bool) int {
	if write {
		return 1
	}
	return 0
}

// frChannel is one channel. Masks have a bit a bank.
type frChannel struct {
	t     timings
	banks []frBank
	last  int // bank that had the last command

	act, read, write int64 // earliest activate, read, write for the whole channel
	acts             [4]int64
	nact             uint

	waiting   [2]uint64 // banks with reads, writes that wait to move
	room      uint64    // banks with room in their queue
	busy      uint64    // banks with work in their queue
	size      [2]int    // reads and writes that wait to move
	capacity  int
	draining  int
	yield     bool // reads have the next move
	pending   int  // refreshes that are due
	refreshAt int64

	clk         int64 // done up to here, inclusive
	next        int64 // next decision
	sleepAt     int64
	counted     int64
	dataEnd     int64
	order       uint64
	pool        []request
	free        int32
	filter      [2][256]uint16 // requests of each kind by the low bits of their burst, so that most searches end at once
	closed      bool
	index       int
	observe     Observer
	stats       Stats
	outstanding int // reads not yet answered
}

// NewFRFCFS returns a controller for size bytes of memory that begin at base, with the queues of the configuration, whatever its scheduler. done is told when a request's data ends on the bus, in clocks, as soon as that
// is known; for a posted write, or a read from the write buffer, it is the clock of the acknowledgement.
func NewFRFCFS(cfg Config, base bus.Phys, size int64, done func(tag uint64, at int64)) (*FRFCFS, error) {
	cfg.Scheduler = FirstReady
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &FRFCFS{l: cfg.layout(base, size), clock: sim.NewClock(int64(cfg.Clock)), done: done}
	t := cfg.timings(f.clock)
	for i := range cfg.channels() {
		ch := frChannel{
			t: t, banks: make([]frBank, cfg.Banks), act: longAgo, read: longAgo, write: longAgo, acts: [4]int64{longAgo, longAgo, longAgo, longAgo},
			room: 1<<cfg.Banks - 1, capacity: cfg.Queue, refreshAt: t.refi, clk: -1, next: t.refi, sleepAt: t.powerDown, closed: cfg.Page == Closed, index: i,
			pool: make([]request, 0, 2*cfg.Queue+bankQueue*cfg.Banks), free: noRequest,
		}
		for b := range ch.banks {
			empty := list{noRequest, noRequest}
			ch.banks[b] = frBank{row: none, act: longAgo, cas: longAgo, pre: longAgo, ref: longAgo, lists: [2]list{empty, empty}, read: -1, write: -1}
		}
		f.ch = append(f.ch, ch)
	}
	return f, nil
}

// Clock returns the interface clock.
func (f *FRFCFS) Clock() sim.Clock { return f.clock }

// Observe shows all commands to o from now on, channel by channel in the order of their clocks.
func (f *FRFCFS) Observe(o Observer) {
	for i := range f.ch {
		f.ch[i].observe = o
	}
}

// Stats returns the counters.
func (f *FRFCFS) Stats() Stats {
	s := f.stats
	for i := range f.ch {
		s.add(f.ch[i].stats)
	}
	return s
}

// Resting returns the number of writes in the buffers.
func (f *FRFCFS) Resting() int {
	n := 0
	for i := range f.ch {
		n += f.ch[i].size[1]
	}
	return n
}

// Next returns the next clock at which something is decided, if no request comes before.
func (f *FRFCFS) Next() int64 {
	next := f.ch[0].next
	for i := range f.ch[1:] {
		next = min(next, f.ch[1+i].next)
	}
	return next
}

// DataEnd returns the clock at which the last data given so far is over, or the last refresh.
func (f *FRFCFS) DataEnd() int64 {
	var end int64
	for i := range f.ch {
		end = max(end, f.ch[i].dataEnd)
	}
	return end
}

// Idle tells whether nothing is left to do but refreshes: reads are answered, and no write will move.
func (f *FRFCFS) Idle() bool {
	for i := range f.ch {
		if ch := &f.ch[i]; ch.busy != 0 || ch.outstanding > 0 || ch.canMove() {
			return false
		}
	}
	return true
}

// AdvanceTo decides all up to clock clk, inclusive.
func (f *FRFCFS) AdvanceTo(clk int64) {
	for i := range f.ch {
		ch := &f.ch[i]
		for ch.next <= clk {
			f.tick(ch, ch.next)
		}
		ch.clk = max(ch.clk, clk)
	}
}

// Settle decides all up to clock clk, inclusive, and counts power-down up to there.
func (f *FRFCFS) Settle(clk int64) {
	f.AdvanceTo(clk)
	for i := range f.ch {
		if ch := &f.ch[i]; ch.sleepAt < clk {
			ch.countDown(clk)
		}
	}
}

// Accepts tells whether a request would be accepted now.
func (f *FRFCFS) Accepts(pa bus.Phys, write bool) bool {
	i, _ := f.l.channel(int64(pa - f.l.base))
	ch := &f.ch[i]
	return ch.size[kindOf(write)] < ch.capacity
}

// Enqueue hands over the request for the burst at an address at clock clk, up to which all is decided first, and tells whether it was accepted. Clocks must not decrease. done may be called before it
// returns.
func (f *FRFCFS) Enqueue(clk int64, pa bus.Phys, write bool, tag uint64) bool {
	f.AdvanceTo(clk)
	i, local := f.l.channel(int64(pa - f.l.base))
	ch := &f.ch[i]
	k := kindOf(write)
	if ch.size[k] == ch.capacity {
		return false
	}
	bi, row := f.l.locate(local)
	burst := local >> f.l.burst
	b := &ch.banks[bi]
	joined := ch.find(b, burst, true)
	switch {
	case write:
		ch.stats.Writes++
		if joined == noRequest {
			ch.put(int(bi), request{burst: burst, row: row, write: true})
		} else {
			ch.stats.Merged++
		}
		f.done(tag, clk+2)
	case joined != noRequest:
		ch.stats.Reads++
		ch.stats.Forwarded++
		f.done(tag, clk+2)
	default:
		ch.stats.Reads++
		ch.outstanding++
		if first := ch.find(b, burst, false); first != noRequest {
			ch.stats.Merged++
			id := ch.take(request{tag: tag, join: ch.pool[first].join})
			ch.pool[first].join = id
		} else {
			ch.put(int(bi), request{burst: burst, row: row, tag: tag})
		}
	}
	if ch.canMove() {
		ch.next = min(ch.next, clk+1)
	}
	return true
}

// take gives a request a place in the pool.
func (ch *frChannel) take(r request) int32 {
	if id := ch.free; id != noRequest {
		ch.free = ch.pool[id].next
		ch.pool[id] = r
		return id
	}
	ch.pool = append(ch.pool, r)
	return int32(len(ch.pool) - 1)
}

func (ch *frChannel) release(id int32) {
	ch.pool[id].next = ch.free
	ch.free = id
}

// put appends a request to its bank's list.
func (ch *frChannel) put(bi int, r request) {
	k := kindOf(r.write)
	ch.order++
	r.order, r.next, r.join = ch.order, noRequest, noRequest
	id := ch.take(r)
	l := &ch.banks[bi].lists[k]
	if l.head == noRequest {
		l.head = id
	} else {
		ch.pool[l.tail].next = id
	}
	l.tail = id
	ch.waiting[k] |= 1 << bi
	ch.size[k]++
	ch.filter[k][uint8(r.burst)]++
}

// find returns the request of a kind for a burst that waits to move or for its command.
func (ch *frChannel) find(b *frBank, burst int64, write bool) int32 {
	k := kindOf(write)
	if ch.filter[k][uint8(burst)] == 0 {
		return noRequest
	}
	for i := range b.n {
		if e := &b.queue[i]; e.write == write && ch.pool[e.id].burst == burst {
			return e.id
		}
	}
	return ch.findWaiting(b, burst, k)
}

func (ch *frChannel) findWaiting(b *frBank, burst int64, kind int) int32 {
	for id := b.lists[kind].head; id != noRequest; id = ch.pool[id].next {
		if ch.pool[id].burst == burst {
			return id
		}
	}
	return noRequest
}

// startsDrain tells whether writes are to move from now on.
func (ch *frChannel) startsDrain() bool {
	return !ch.yield && ch.draining == 0 && (ch.size[1] >= ch.capacity || ch.size[1] > drainLevel && ch.busy == 0)
}

// canMove tells whether the next clock may move a request.
func (ch *frChannel) canMove() bool {
	if ch.draining > 0 || ch.startsDrain() {
		return ch.waiting[1]&ch.room != 0
	}
	return ch.waiting[0]&ch.room != 0
}

// tick decides what happens at clock t.
func (f *FRFCFS) tick(ch *frChannel, t int64) {
	if t >= ch.refreshAt {
		ch.pending++
		ch.refreshAt += ch.t.refi
		if ch.sleepAt < t {
			ch.leaveDown(t)
		}
	}
	if ch.pending > 0 {
		ch.refresh(t)
	} else {
		f.command(ch, t)
	}
	ch.move(t)
	ch.clk = t
	ch.plan(t)
}

// plan finds the next clock at which something can be decided.
func (ch *frChannel) plan(t int64) {
	idle := ch.busy == 0 && ch.pending == 0
	if ch.canMove() || ch.yield {
		ch.next = t + 1
		ch.sleepAt = never
		return
	}
	next := int64(never)
	if ch.pending > 0 {
		next = ch.refreshReady()
	} else {
		for m := ch.busy; m != 0; m &= m - 1 {
			next = min(next, ch.ready(&ch.banks[bits.TrailingZeros64(m)]))
		}
	}
	ch.next = min(max(next, t+1), ch.refreshAt)
	switch {
	case !idle:
		ch.sleepAt = never
	case ch.sleepAt == never:
		ch.sleepAt = max(t, ch.dataEnd) + ch.t.powerDown
	}
}

// scan finds which entries of a bank's queue can be served with the row as it is.
func (b *frBank) scan() {
	b.read, b.write, b.shut, b.stale = -1, -1, false, false
	if b.row == none {
		return
	}
	hit := false
	for i := range b.n {
		e := &b.queue[i]
		if e.row != b.row {
			continue
		}
		hit = true
		if e.write {
			if b.write < 0 {
				b.write = i
			}
		} else if b.read < 0 {
			b.read = i
		}
	}
	b.shut = b.queue[0].row != b.row && (!hit || b.hits >= hitLimit)
}

// ready returns the first clock at which the bank, which has work, can have a command.
func (ch *frChannel) ready(b *frBank) int64 {
	if b.row == none {
		return max(b.act, ch.act, ch.acts[ch.nact%4]+ch.t.faw)
	}
	if b.stale {
		b.scan()
	}
	at := int64(never)
	if b.shut {
		at = b.pre
	}
	if b.read >= 0 {
		at = min(at, max(b.cas, ch.read))
	}
	if b.write >= 0 {
		at = min(at, max(b.cas, ch.write))
	}
	return at
}

// command gives a command to the first bank in turn that is ready.
func (f *FRFCFS) command(ch *frChannel, t int64) {
	// Banks behind the last served first.
	behind := ch.busy & (^uint64(0) << (ch.last + 1))
	for _, m := range [...]uint64{behind, ch.busy &^ behind} {
		for ; m != 0; m &= m - 1 {
			bi := bits.TrailingZeros64(m)
			if b := &ch.banks[bi]; ch.ready(b) <= t {
				ch.last = bi
				f.give(ch, bi, b, t)
				return
			}
		}
	}
}

// give gives the bank's first command that is ready, and there is one.
func (f *FRFCFS) give(ch *frChannel, bi int, b *frBank, t int64) {
	if b.row == none {
		e := &b.queue[0]
		f.show(ch, Activate, t, bi, e)
		b.row, b.hits, b.stale = e.row, 0, true
		b.act = max(b.act, t+ch.t.rc)
		b.cas = t + ch.t.rcd
		b.pre = max(b.pre, t+ch.t.ras)
		ch.act = t + ch.t.rrd
		ch.acts[ch.nact%4] = t
		ch.nact++
		ch.stats.Activates++
		return
	}
	if b.shut && b.pre <= t {
		f.show(ch, Precharge, t, bi, &b.queue[0])
		ch.precharge(b, t)
		ch.stats.RowMisses++
		return
	}
	i := b.read
	if i < 0 || max(b.cas, ch.read) > t || b.write >= 0 && b.write < i && max(b.cas, ch.write) <= t {
		i = b.write
	}
	f.access(ch, bi, b, i, t)
}

func (ch *frChannel) precharge(b *frBank, t int64) {
	b.row, b.stale = none, true
	b.act = max(b.act, t+ch.t.rp)
	b.ref = max(b.ref, t+ch.t.rp)
	ch.stats.Precharges++
}

// access reads or writes for entry i of a bank.
func (f *FRFCFS) access(ch *frChannel, bi int, b *frBank, i int, t int64) {
	e := b.queue[i]
	r := &ch.pool[e.id]
	x := &ch.t
	kind := Read
	latency := x.cl
	if e.write {
		kind, latency = Write, x.cwl
	}
	if ch.closed {
		kind++
	}
	f.show(ch, kind, t, bi, &e)
	end := t + latency + x.burst
	var shut, refresh int64 // the earliest precharge; with auto-precharge the earliest activate and refresh
	if e.write {
		ch.write = max(ch.write, t+x.burst)
		ch.read = max(ch.read, t+x.burst, end+x.wtr)
		shut = end + x.wr
		refresh = shut + x.rp
	} else {
		ch.read = max(ch.read, t+x.burst)
		ch.write = max(ch.write, t+x.burst, end+x.rtw-x.cwl)
		shut = t + x.rtp
		refresh = shut + x.rp
	}
	if b.hits > 0 {
		ch.stats.RowHits++
	}
	b.hits++
	if ch.closed {
		b.row = none
		if !e.write {
			shut = t + x.burst + x.rtp // auto-precharge counts tRTP from the end of the burst
		}
		b.act = max(b.act, shut+x.rp)
		b.ref = max(b.ref, refresh)
	} else {
		b.pre = max(b.pre, shut)
	}
	ch.dataEnd = max(ch.dataEnd, end)
	ch.stats.DataClocks += uint64(x.burst)

	copy(b.queue[i:b.n], b.queue[i+1:b.n])
	b.n--
	b.stale = true
	ch.room |= 1 << bi
	if b.n == 0 {
		ch.busy &^= 1 << bi
	}
	ch.filter[kindOf(e.write)][uint8(r.burst)]--
	if e.write {
		ch.release(e.id)
		return
	}
	for id := e.id; id != noRequest; {
		r := ch.pool[id]
		ch.release(id)
		ch.outstanding--
		f.done(r.tag, end)
		id = r.join
	}
}

// show shows a command for an entry.
func (f *FRFCFS) show(ch *frChannel, k Kind, t int64, bank int, e *entry) {
	if ch.observe != nil {
		off := ch.pool[e.id].burst << f.l.burst
		ch.observe(Command{Clk: t, Kind: k, Channel: ch.index, Bank: bank, Row: e.row, Col: f.l.column(off)})
	}
}

// refresh gives what leads to a refresh, or the refresh itself.
func (ch *frChannel) refresh(t int64) {
	ready := true
	for i := range ch.banks {
		b := &ch.banks[i]
		if b.row == none {
			ready = ready && b.ref <= t
			continue
		}
		ready = false
		if b.pre <= t {
			if ch.observe != nil {
				ch.observe(Command{Clk: t, Kind: Precharge, Channel: ch.index, Bank: i, Row: -1, Col: -1})
			}
			ch.precharge(b, t)
			return
		}
	}
	if !ready {
		return
	}
	if ch.observe != nil {
		ch.observe(Command{Clk: t, Kind: Refresh, Channel: ch.index, Bank: -1, Row: -1, Col: -1})
	}
	ch.pending--
	ch.stats.Refresh++
	ch.dataEnd = max(ch.dataEnd, t+ch.t.rfc)
	for i := range ch.banks {
		b := &ch.banks[i]
		b.act, b.ref = max(b.act, t+ch.t.rfc), max(b.ref, t+ch.t.rfc)
	}
}

// refreshReady returns the first clock at which refresh has something to give.
func (ch *frChannel) refreshReady() int64 {
	at, last := int64(never), int64(longAgo)
	for i := range ch.banks {
		if b := &ch.banks[i]; b.row != none {
			at = min(at, b.pre)
		} else {
			last = max(last, b.ref)
		}
	}
	if at < never {
		return at
	}
	return last
}

// move moves a request to its bank's queue.
func (ch *frChannel) move(t int64) {
	if ch.startsDrain() {
		ch.draining = ch.size[1]
	}
	ch.yield = false
	k := 0
	if ch.draining > 0 {
		k = 1
	}
	bi, oldest := -1, ^uint64(0)
	for m := ch.waiting[k] & ch.room; m != 0; m &= m - 1 {
		i := bits.TrailingZeros64(m)
		if o := ch.pool[ch.banks[i].lists[k].head].order; o < oldest {
			bi, oldest = i, o
		}
	}
	if bi < 0 {
		return
	}
	b := &ch.banks[bi]
	l := &b.lists[k]
	id := l.head
	r := &ch.pool[id]
	if k == 1 {
		if ch.find(b, r.burst, false) != noRequest {
			ch.draining = 0
			// Where the read itself waits to move, it could wait for ever behind a full buffer that begins to drain again.
			ch.yield = ch.findWaiting(b, r.burst, 0) != noRequest
			return
		}
		ch.draining--
	}
	if ch.sleepAt < t {
		ch.leaveDown(t)
	}
	l.head = r.next
	if l.head == noRequest {
		ch.waiting[k] &^= 1 << bi
	}
	ch.size[k]--
	b.queue[b.n] = entry{row: r.row, id: id, write: r.write}
	b.n++
	b.stale = true
	ch.busy |= 1 << bi
	if b.n == bankQueue {
		ch.room &^= 1 << bi
	}
}

// countDown counts the clocks of the power-down that began at sleepAt.
func (ch *frChannel) countDown(to int64) {
	n := uint64(to - max(ch.sleepAt, ch.counted))
	ch.counted = to
	for i := range ch.banks {
		if ch.banks[i].row != none {
			ch.stats.ActiveDown += n
			return
		}
	}
	ch.stats.PrechargeDown += n
}

// leaveDown ends the power-down that began at sleepAt for something to do at clock t.
func (ch *frChannel) leaveDown(t int64) {
	wake := max(t, ch.sleepAt+ch.t.cke)
	ch.countDown(wake)
	ch.sleepAt = never
	ready := wake + ch.t.xp
	for i := range ch.banks {
		b := &ch.banks[i]
		b.act, b.pre, b.cas, b.ref = max(b.act, ready), max(b.pre, ready), max(b.cas, ready), max(b.ref, ready)
	}
}
