package cpu

import (
	"fmt"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/l3"
	"socsim/soc/memory"
)

// Category is what a picosecond of the core's time is accounted to.
type Category int

// The fixed categories; tasks follow. Maint and those named after it are the parts of maintenance, a category for the reports: calls, barriers with the wait for what was posted before them,
// pages, lines, and dirty lines with the wait for the bus.
const (
	Idle Category = iota
	Driver
	Maint
	MaintBarrier
	MaintPage
	MaintLine
	MaintDirty
	Interrupt
	firstTask
)

// maintenance reports whether the category is a part of maintenance.
func (c Category) maintenance() bool { return c >= Maint && c <= MaintDirty }

// Priority orders threads. A lower number runs first; interrupts are not preempted.
type Priority int

// The priorities.
const (
	IRQPriority Priority = iota
	DriverPriority
	TaskPriority
	priorities
)

// Core is the processor.
type Core struct {
	cfg    Config
	clock  sim.Clock
	eng    *sim.Engine
	fabric *l3.Fabric
	mem    *memory.Memory
	caches *cachemodel.Hierarchy
	master bus.Master
	lines  int  // bytes a line
	lowest int  // level number that stands for memory
	stores bool // whether a level allocates for stores
	kept   bool // whether the caches keep copies of a line under several addresses

	// l is the local time: the core is busy up to l. It is never behind the engine's time while a thread runs.
	l sim.Time
	// cat is what time is charged to; ledger has the sums since the last reset.
	cat    Category
	last   turn     // what the last charge went to
	turns  [16]turn // the last changes of category or cause, a ring: where local time beyond the engine's time belongs
	turned uint     // how many there were
	watch  func(Charge)
	booked sim.Time // up to where the accounts are; what the last charges added to local time is booked when another account's turn comes
	ledger []sim.Time
	causes [Causes]sim.Time
	names  []string // of tasks

	cur       *Thread
	prev      *Thread // the last thread that was not an interrupt: a switch to another costs
	ready     [priorities]threadQueue
	resched   bool // a higher priority thread, or the end of the time slice, wants the core
	midOp     bool // the thread only lets events run and must be resumed itself
	sliceOver bool
	slice     sim.Event
	sliceFrom sim.Time // since when the running task runs
	wakeup    bool     // a resume event is pending
	hResume   sim.HandlerID
	hTick     sim.HandlerID
	hTimer    sim.HandlerID
	threads   []*Thread

	irqOffSince sim.Time
	irqOffMax   sim.Time

	registers           *l3.L4 // the way to devices' registers; nil where the core's own part of an access is all that counts
	readPort, writePort *bus.Port
	reader              fillSource
	writer              writeSource
	wc                  *cachemodel.StoreBuffer // stores that go past the caches
	gather              *cachemodel.StoreBuffer // stores that miss all levels, before one allocates for them
	inFlight            []sim.Time              // completions of the line fills that are busy
	needed              sim.Time                // when the data of the loads in flight is there
	served              sim.Time                // what the last fill takes on an idle memory
	refill              Cause                   // of the last fill
	awaiting            Cause                   // of the wait for the bus
	lineTime            sim.Time                // of a line's data on the memory's bus
	tlb                 tlb

	speculation speculation

	edgesOpen [maxBuffers]memory.Stamp // of the last stores to edge lines that went past the caches
	edgeNext  int

	nextVA   bus.Virt
	mappings []*Mapping
	dropped  lineSet // lines that a whole-cache operation dropped and nobody touched since
	harm     []Collateral
	stats    Stats
	cycles   [1024]sim.Time // durations of small cycle counts
	changes  int            // of the clock
	clocks   []sim.Clock    // after so many of them
}

// Stats counts what the core did; all since the last reset.
type Stats struct {
	Maintenance MaintenanceStats
	Fills       uint64 // lines read from memory for the program
	// SpeculativeFills is the lines read from memory that nobody asked for.
	SpeculativeFills uint64
	Posted           uint64 // lines and partial lines written to memory
	NCReads          uint64
	TLBMisses        uint64
	Switches         uint64
	Interrupts       uint64
}

// MaintenanceStats counts cache maintenance as the result document reports it.
type MaintenanceStats struct {
	RangeCalls, Segments, WholeCalls uint64
	Visited, Useful                  uint64
	Cleaned, Invalidated             uint64
	BytesWrittenBack                 uint64
	CollateralMisses                 uint64
	// OuterLines is the lines visited in outer caches' own passes; AliasLookups the visits that went to further colours. Both are in Visited.
	OuterLines, AliasLookups uint64
}

// Collateral is what whole-cache operations cost somebody afterwards: lines they threw out, missed when next accessed, and the time those refills took.
type Collateral struct {
	Misses uint64
	Time   sim.Time
}

// New returns an idle core. The fabric gets two ports for it: one for reads, one for writes; and a third if it speculates, which it does by a random stream of the seed's.
func New(cfg Config, eng *sim.Engine, fabric *l3.Fabric, mem *memory.Memory, caches *cachemodel.Hierarchy, master bus.Master, seed uint64) (*Core, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if caches.LineSize() != mem.LineBytes() {
		return nil, fmt.Errorf("cpu: caches have lines of %d bytes, memory versions of %d", caches.LineSize(), mem.LineBytes())
	}
	c := &Core{
		cfg: cfg, clock: sim.NewClock(int64(cfg.Clock)), eng: eng, fabric: fabric, mem: mem, caches: caches, master: master,
		lines: caches.LineSize(), lowest: caches.Levels(), stores: caches.AllocatesForStores(), kept: caches.KeepsAliases(), ledger: make([]sim.Time, firstTask), nextVA: 0x4000_0000,
		harm: make([]Collateral, firstTask), inFlight: make([]sim.Time, 0, maxBuffers),
	}
	var err error
	if c.wc, err = cachemodel.NewStoreBuffer(cfg.WriteBuffers, int(cfg.WriteMerge)); err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	if c.gather, err = cachemodel.NewStoreBuffer(cfg.WriteBuffers, c.lines); err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	c.tabulate()
	mem.SetAliased(c.kept)
	mem.SetHolder(c)
	c.hResume = eng.Register((*resumeHandler)(c))
	c.hTick = eng.Register((*tickHandler)(c))
	c.hTimer = eng.Register((*timerHandler)(c))
	c.reader.core, c.writer.core = c, c
	half := cfg.MemoryLatency / 2
	port := func(outstanding int) l3.PortConfig {
		p := cfg.Initiator.Port(master, outstanding)
		p.Hop, p.Return = half, cfg.MemoryLatency-half
		return p
	}
	c.readPort = fabric.AddPort(port(max(cfg.NCOutstanding, cfg.Linefills)), &c.reader)
	c.writePort = fabric.AddPort(port(cfg.WriteOutstanding), &c.writer)
	c.tlb.init(cfg.TLBEntries)
	c.speculation.due, c.speculation.at = sim.Never, sim.Never
	if cfg.Speculation > 0 {
		c.speculation.start(c, int64(cfg.Speculation), seed, fabric.AddPort(port(1), &c.speculation))
	}
	return c, nil
}

// SetRegisters connects the core to the interconnect of the registers.
func (c *Core) SetRegisters(l *l3.L4) { c.registers = l }

// SetLineTime tells how long a line's data takes on the memory's bus: what the critical word saves.
func (c *Core) SetLineTime(t sim.Time) { c.lineTime = t }

// Engine returns the engine the core runs on.
func (c *Core) Engine() *sim.Engine { return c.eng }

// Memory returns the physical memory behind the core.
func (c *Core) Memory() *memory.Memory { return c.mem }

// Caches returns the core's caches.
func (c *Core) Caches() *cachemodel.Hierarchy { return c.caches }

// Stats returns the counters.
func (c *Core) Stats() Stats { return c.stats }

// Tasks returns the names of the tasks in the order of their creation.
func (c *Core) Tasks() []string { return c.names }

// TaskTime returns the time accounted to a task since the last reset.
func (c *Core) TaskTime(i int) sim.Time { return c.Time(firstTask + Category(i)) }

// Time returns the time accounted to a fixed category since the last reset.
func (c *Core) Time(cat Category) sim.Time {
	c.book()
	return c.ledger[cat]
}

// MaintenanceTime returns the time accounted to all parts of maintenance since the last reset.
func (c *Core) MaintenanceTime() sim.Time {
	var sum sim.Time
	for cat := Maint; cat <= MaintDirty; cat++ {
		sum += c.Time(cat)
	}
	return sum
}

// Collateral returns what whole-cache operations cost a category since the last reset.
func (c *Core) Collateral(cat Category) Collateral { return c.harm[cat] }

// TaskCollateral returns what whole-cache operations cost a task since the last reset.
func (c *Core) TaskCollateral(i int) Collateral { return c.harm[int(firstTask)+i] }

// IRQOffMax returns the longest stretch with interrupts off since the last reset.
func (c *Core) IRQOffMax() sim.Time { return c.irqOffMax }

// Reset starts the accounts anew at now, up to which the engine has run. Work already charged beyond now stays in the new accounts. The core runs ahead of the engine up to its next event: one at now
// that is still pending, whatever it does, keeps that within one operation, as exact shares and counters need.
func (c *Core) Reset(now sim.Time) {
	c.book()
	clear(c.ledger)
	clear(c.causes[:])
	if c.l > now {
		c.ahead(now, 1)
	} else {
		if c.cat == Idle {
			c.speculation.idle(now - c.l)
		}
		c.l, c.booked = now, now // idle, or waiting for the bus, until now; the stretch counts from here
	}
	c.stats = Stats{}
	clear(c.harm)
	c.irqOffMax = 0
	c.caches.ResetCounters()
}

// Close settles the accounts at now, the end of the run, so that they add up to the time since the last reset. As for Reset an event at now should be pending.
func (c *Core) Close(now sim.Time) {
	c.book()
	if c.l > now {
		c.ahead(now, -1)
	} else {
		c.ledger[c.cat] += now - c.l // idle, or waiting for the bus
		if c.cat == Idle {
			c.awaiting = CauseIdle
		}
		c.causes[c.awaiting] += now - c.l
	}
	c.l, c.booked = now, now
}

// charge moves local time forward.
func (c *Core) charge(cause Cause, d sim.Time) {
	if c.cat != c.last.cat || cause != c.last.cause {
		c.turn(cause)
	}
	c.l += d
}

// book adds what was charged since the last booking to the accounts it went to.
func (c *Core) book() {
	d := c.l - c.booked
	t := &c.turns[(c.turned-1)%uint(len(c.turns))] // not c.last, of which a watcher takes the cause away
	c.ledger[t.cat] += d
	c.causes[t.cause] += d
	c.booked = c.l
}

// turn is a change of category or cause at a local time.
type turn struct {
	cat   Category
	cause Cause
	from  sim.Time
}

// turn notes that what follows is charged to another account. An operation that nothing can interrupt has at most as many as are kept.
func (c *Core) turn(cause Cause) {
	c.book()
	c.last = turn{c.cat, cause, c.l}
	c.turns[c.turned%uint(len(c.turns))] = c.last
	c.turned++
	if c.watch != nil {
		c.watch(Charge{cause, c.l})
		c.last.cause = Causes // so that the next charge comes here, too
	}
}

// ahead adds what was charged beyond now to the accounts it went to, times a sign.
func (c *Core) ahead(now, sign sim.Time) {
	end := c.l
	for i := range uint(len(c.turns)) {
		t := &c.turns[(c.turned-1-i)%uint(len(c.turns))]
		from := max(t.from, now)
		if from < end {
			c.ledger[t.cat] += sign * (end - from)
			c.causes[t.cause] += sign * (end - from)
			end = from
		}
	}
}

func (c *Core) duration(cycles int64) sim.Time {
	if uint64(cycles) < uint64(len(c.cycles)) {
		return c.cycles[cycles]
	}
	return c.clock.Cycles(cycles)
}

func (c *Core) chargeCycles(cause Cause, n int64) { c.charge(cause, c.duration(n)) }

// sync lets the memory path catch up with local time, and gives way if an event is due or another thread should run.
func (c *Core) sync() {
	if c.fabric.Next() < c.l || c.speculation.at <= c.l || c.eng.Next() <= c.l || c.resched {
		c.catchUp()
	}
}

// catchUp is sync where something is due.
func (c *Core) catchUp() {
	for {
		if c.fabric.Next() < c.l {
			c.fabric.AdvanceTo(c.l)
		}
		if c.speculation.at <= c.l && c.speculate() {
			continue
		}
		if c.eng.Next() > c.l && !c.resched {
			return
		}
		c.yield()
	}
}

// advance lets the memory path run up to to, or up to an event or a speculative fill that is due before, and returns how far it came. Nothing the core does until then may touch the bus.
func (c *Core) advance(to sim.Time) sim.Time {
	to = min(to, c.eng.Next(), c.speculation.due)
	c.fabric.AdvanceTo(to)
	return min(to, c.eng.Next())
}

// yield suspends the running thread until the engine has caught up with local time; a thread of higher priority may run in between.
func (c *Core) yield() {
	t := c.cur
	c.resumeAt(c.l)
	t.suspend()
}

// stepTo suspends the running thread in the middle of an operation until the events at time at have run.
func (c *Core) stepTo(at sim.Time) {
	c.midOp = true
	c.resumeAt(at)
	c.cur.suspend()
}

func (c *Core) resumeAt(at sim.Time) {
	if c.wakeup {
		panic("cpu: two resume events")
	}
	c.wakeup = true
	c.eng.Schedule(max(at, c.eng.Now()), c.hResume, 0)
}

// kick makes the core look at its ready threads; called whenever one becomes ready.
func (c *Core) kick() {
	if c.cur != nil {
		for p := range c.cur.priority {
			if !c.ready[p].empty() {
				c.resched = c.cur.priority != IRQPriority
			}
		}
		return
	}
	if c.wakeup {
		return
	}
	if now := c.eng.Now(); now > c.l {
		c.book()
		c.ledger[Idle] += now - c.l
		c.causes[CauseIdle] += now - c.l
		c.speculation.idle(now - c.l)
		c.l, c.booked = now, now
	}
	c.resumeAt(c.l)
}

type resumeHandler Core

// Handle resumes the thread that should run now.
func (h *resumeHandler) Handle(sim.Time, uint64) {
	c := (*Core)(h)
	c.wakeup = false
	if c.midOp {
		c.midOp = false
		c.cur.proc.Resume()
		return
	}
	c.dispatch()
}

// dispatch picks the next thread and runs it until it suspends.
func (c *Core) dispatch() {
	if t := c.cur; t != nil {
		c.resched = false
		higher := false
		if t.priority != IRQPriority {
			for p := range t.priority {
				higher = higher || !c.ready[p].empty()
			}
		}
		switch {
		case c.sliceOver && (higher || !c.ready[t.priority].empty()):
			t.left = 0
			c.ready[t.priority].push(t)
		case higher:
			t.left -= c.l - c.sliceFrom // of a task; it goes on with the rest of its slice
			c.ready[t.priority].pushFront(t)
		default:
			c.sliceOver = false
			t.proc.Resume()
			return
		}
		t.cat = c.cat
		c.cur = nil
	}
	c.sliceOver = false
	for p := range c.ready {
		if t := c.ready[p].pop(); t != nil {
			c.run(t)
			return
		}
	}
	c.cat = Idle // nothing to run: idle from l on
}

// run switches to t, at the cost of an interrupt entry or a context switch.
func (c *Core) run(t *Thread) {
	c.cur = t
	c.resched = false
	if t.priority == IRQPriority {
		c.irqOffSince = c.l
		c.stats.Interrupts++
		c.cat = Interrupt
		c.chargeCycles(CauseInterrupt, int64(c.cfg.OS.IRQEntry))
	} else if c.prev != t {
		if c.prev != nil {
			c.cat = Driver
			c.stats.Switches++
			c.chargeCycles(CauseSwitch, int64(c.cfg.OS.ContextSwitch))
		}
		c.prev = t
	}
	c.cat = t.cat
	if t.priority == TaskPriority {
		if t.left <= 0 {
			t.left = c.cfg.OS.Timeslice
		}
		c.sliceFrom = c.l
		c.eng.Cancel(c.slice)
		c.slice = c.eng.Schedule(c.l+t.left, c.hTick, 0)
	}
	t.proc.Resume()
}

type tickHandler Core

// Handle ends the running task's time slice. The slice of a task that was preempted meanwhile waits with it.
func (h *tickHandler) Handle(now sim.Time, _ uint64) {
	c := (*Core)(h)
	if t := c.cur; t != nil && t.priority == TaskPriority {
		c.sliceOver = true
		t.left, c.sliceFrom = c.cfg.OS.Timeslice, now
		c.slice = c.eng.Schedule(now+t.left, c.hTick, 0)
		if !c.ready[TaskPriority].empty() {
			c.resched = true
		}
	}
}

type timerHandler Core

// Handle wakes a sleeping thread.
func (h *timerHandler) Handle(_ sim.Time, arg uint64) {
	c := (*Core)(h)
	c.threads[arg].wake()
}

// threadQueue is a FIFO of threads linked through them.
type threadQueue struct{ head, tail *Thread }

func (q *threadQueue) empty() bool { return q.head == nil }

func (q *threadQueue) push(t *Thread) {
	t.next = nil
	if q.tail == nil {
		q.head = t
	} else {
		q.tail.next = t
	}
	q.tail = t
}

func (q *threadQueue) pushFront(t *Thread) {
	t.next = q.head
	q.head = t
	if q.tail == nil {
		q.tail = t
	}
}

func (q *threadQueue) pop() *Thread {
	t := q.head
	if t != nil {
		q.head = t.next
		if q.head == nil {
			q.tail = nil
		}
		t.next = nil
	}
	return t
}
