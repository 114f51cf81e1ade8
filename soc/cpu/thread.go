package cpu

import (
	"socsim/sim"
)

// Thread is a process on the core: a task, a driver thread or an interrupt handler, written as straight-line code. Its methods that take time are called by its own body only.
type Thread struct {
	core     *Core
	proc     *sim.Proc
	name     string
	id       int
	priority Priority
	base     Category
	cat      Category // what its time is charged to while it does not run
	next     *Thread
	blocked  bool
	pending  int // interrupts raised and not yet handled
	losing   []*LostInterrupt
	missed   []*LostInterrupt // raised and lost, and not yet found
	left     sim.Time         // of a task's slice, when it was preempted
}

// Spawn creates a driver thread; it becomes ready at once. A driver thread's time is the drivers'.
func (c *Core) Spawn(name string, body func(t *Thread)) *Thread {
	return c.spawn(name, DriverPriority, Driver, body)
}

// SpawnWorker creates a kernel thread that shares the core with the tasks, at their priority. Its time is the drivers'.
func (c *Core) SpawnWorker(name string, body func(t *Thread)) *Thread {
	return c.spawn(name, TaskPriority, Driver, body)
}

// SpawnTask creates a task with an account of its own.
func (c *Core) SpawnTask(name string, body func(t *Thread)) *Thread {
	c.names = append(c.names, name)
	c.ledger = append(c.ledger, 0)
	c.harm = append(c.harm, Collateral{})
	return c.spawn(name, TaskPriority, Category(len(c.ledger)-1), body)
}

// SpawnIRQ creates an interrupt handler. handle runs once for each time the line is raised, with interrupts off.
func (c *Core) SpawnIRQ(name string, handle func(t *Thread)) *Thread {
	t := c.newThread(name, IRQPriority, Interrupt, func(t *Thread) {
		for {
			for t.pending > 0 {
				t.pending--
				t.spend(CauseInterrupt, c.duration(int64(c.cfg.OS.Handler)))
				handle(t)
			}
			t.spend(CauseInterrupt, c.duration(int64(c.cfg.OS.IRQExit)))
			c.irqOffMax = max(c.irqOffMax, c.l-c.irqOffSince)
			if t.pending > 0 { // raised during the exit: interrupts are on for a moment, and it is taken again
				c.ready[IRQPriority].push(t)
				t.leave()
			} else {
				t.block()
			}
		}
	})
	t.blocked = true
	return t
}

func (c *Core) spawn(name string, p Priority, cat Category, body func(*Thread)) *Thread {
	t := c.newThread(name, p, cat, body)
	c.ready[p].push(t)
	c.kick()
	return t
}

func (c *Core) newThread(name string, p Priority, cat Category, body func(*Thread)) *Thread {
	t := &Thread{core: c, name: name, id: len(c.threads), priority: p, base: cat, cat: cat}
	c.threads = append(c.threads, t)
	t.proc = c.eng.Spawn(name, func(*sim.Proc) {
		body(t)
		t.end()
	})
	return t
}

// Name returns the thread's name.
func (t *Thread) Name() string { return t.name }

// Core returns the core the thread runs on.
func (t *Thread) Core() *Core { return t.core }

// Now returns the thread's local time.
func (t *Thread) Now() sim.Time { return t.core.l }

// Raise makes an interrupt pending. It is called from events.
func (t *Thread) Raise() {
	if len(t.losing) > 0 && t.lose() {
		return
	}
	if len(t.missed) > 0 {
		t.find(false)
	}
	t.pending++
	t.wake()
}

// wake makes a blocked thread ready.
func (t *Thread) wake() {
	if !t.blocked {
		return
	}
	t.blocked = false
	t.core.ready[t.priority].push(t)
	t.core.kick()
}

func (t *Thread) suspend() { t.proc.Suspend() }

// block gives the core up until wake.
func (t *Thread) block() {
	t.blocked = true
	t.left = 0
	t.leave()
}

// leave gives the core up to whoever is ready.
func (t *Thread) leave() {
	c := t.core
	t.cat = c.cat
	c.cur = nil
	c.resumeAt(c.l)
	t.suspend()
}

// end leaves the core for good.
func (t *Thread) end() {
	c := t.core
	c.cur = nil
	c.resumeAt(c.l)
}

// Settle suspends the thread until the engine's time is its own, so that what it does next to a device or a queue happens in order with everybody else's events.
func (t *Thread) Settle() {
	c := t.core
	c.sync()
	for c.eng.Now() < c.l {
		c.yield()
		c.sync()
	}
}

// Enter charges the time that follows to cat, and returns what Leave restores. Within an interrupt or maintenance, driver time stays with them: the innermost wins, and
// an interrupt handler is driver code already.
func (t *Thread) Enter(cat Category) Category {
	c := t.core
	old := c.cat
	if cat == Driver && (old == Interrupt || old.maintenance()) {
		return old
	}
	c.cat = cat
	return old
}

// Leave restores the category.
func (t *Thread) Leave(old Category) { t.core.cat = old }

// Cycles computes for n core cycles. When the clock changes meanwhile, the cycle that has begun ends at the old one, and the rest take place at the new.
func (t *Thread) Cycles(n int64) {
	c := t.core
	changes, whole := c.changes, c.duration(n)
	for {
		left := t.spendAt(c.work(), whole, changes)
		if left == 0 {
			return
		}
		old := c.clocks[changes]
		begun := old.Ceil(whole - left)
		t.Spend(old.Cycles(begun) - (whole - left))
		if n -= begun; n == 0 {
			return
		}
		changes, whole = c.changes, c.duration(n)
	}
}

// Spend computes for d. The thread can be preempted meanwhile.
func (t *Thread) Spend(d sim.Time) { t.spend(t.core.work(), d) }

// spend is Spend for a cause.
func (t *Thread) spend(cause Cause, d sim.Time) {
	for left := d; ; {
		if left = t.spendAt(cause, left, t.core.changes); left == 0 {
			return
		}
	}
}

// spendAt is spend that ends early when the clock is no longer the one it was after so many changes. It returns what is left.
func (t *Thread) spendAt(cause Cause, d sim.Time, changes int) sim.Time {
	c := t.core
	c.sync()
	for d > 0 && c.changes == changes {
		to := c.advance(c.l + d)
		d -= to - c.l
		c.charge(cause, to-c.l)
		c.sync()
	}
	return d
}

// SleepUntil gives the core up until at.
func (t *Thread) SleepUntil(at sim.Time) {
	t.Settle()
	if at <= t.core.l {
		return
	}
	t.core.eng.Schedule(at, t.core.hTimer, uint64(t.id))
	t.block()
}

// WaitQueue holds blocked threads, as the kernel's wait queue does.
type WaitQueue struct{ waiters []*Thread }

// Wait blocks the thread until it is woken. As ever with wait queues the caller checks its condition in a loop, and calls Settle before the first check.
func (q *WaitQueue) Wait(t *Thread) {
	q.waiters = append(q.waiters, t)
	t.block()
}

// WakeAll makes all waiters ready, in the order in which they came.
func (q *WaitQueue) WakeAll() {
	for _, t := range q.waiters {
		t.wake()
	}
	q.waiters = q.waiters[:0]
}

// Syscall enters and leaves the kernel once and runs body in between as driver time.
func (t *Thread) Syscall(body func()) {
	old := t.Enter(Driver)
	t.Cycles(int64(t.core.cfg.OS.Syscall) + int64(t.core.cfg.OS.Ioctl))
	body()
	t.Leave(old)
}

// PageFaults takes n minor faults.
func (t *Thread) PageFaults(n int) {
	old := t.Enter(Driver)
	t.Cycles(int64(n) * int64(t.core.cfg.OS.PageFault))
	t.Leave(old)
}

// MMIO does register reads, then posted writes. A read waits for its data; a write for the one before it.
func (t *Thread) MMIO(reads, writes int) {
	c := t.core
	for range reads {
		t.spend(CauseRegisters, c.cfg.OS.MMIORead)
		if c.registers != nil {
			t.spend(CauseRegisters, c.registers.Read(c.l)-c.l)
		}
	}
	for range writes {
		t.spend(CauseRegisters, c.cfg.OS.MMIOWrite)
		if c.registers != nil {
			t.spend(CauseRegisters, c.registers.Write(c.l)-c.l)
		}
	}
}
