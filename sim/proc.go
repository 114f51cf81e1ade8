package sim

import (
	"fmt"
	"iter"
	"runtime/debug"
)

// Proc is a process: straight-line code on a coroutine ([iter.Pull]) that gives control back to the engine and is resumed
// by it. There is no parallelism: while a process runs, whoever resumed it waits. A switch allocates nothing. At most one
// wake-up of a process is pending at a time.
type Proc struct {
	eng     *Engine
	name    string
	index   int32
	running bool // its body is, or waits in a Resume of another
	done    bool
	queued  bool    // waits in a Queue
	signal  *Signal // waits for it
	wake    Event   // the pending wake-up
	resume  func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
}

// PanicError is what Resume, and so Run, panics with when the body of a process has panicked: the value and the stack of the
// body, which the switch of coroutines would lose.
type PanicError struct {
	Proc  string
	Value any
	Stack []byte
}

// Error returns the name of the process, the value and the stack.
func (p *PanicError) Error() string {
	return fmt.Sprintf("process %s panicked: %v\n\n%s", p.Proc, p.Value, p.Stack)
}

// Unwrap returns the value if it is an error.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// killed unwinds a process that is still suspended when the engine closes.
type killed struct{}

// Spawn creates a suspended process; its first Resume starts the body.
func (e *Engine) Spawn(name string, body func(p *Proc)) *Proc {
	if e.closed {
		panic("sim: Spawn of process " + name + " after Close")
	}
	p := &Proc{eng: e, name: name}
	if n := len(e.freeProcs); n > 0 {
		p.index, e.freeProcs = e.freeProcs[n-1], e.freeProcs[:n-1]
		e.procs[p.index] = p
	} else {
		p.index = int32(len(e.procs))
		e.procs = append(e.procs, p)
	}
	p.resume, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			p.finish()
			switch r := recover().(type) {
			case nil, killed: // killed ends here
			case *PanicError:
				panic(r)
			default:
				panic(&PanicError{Proc: name, Value: r, Stack: debug.Stack()})
			}
		}()
		p.yield = yield
		body(p)
	})
	return p
}

// finish forgets a process that has ended.
func (p *Proc) finish() {
	e := p.eng
	e.Cancel(p.wake)
	p.wake, p.running, p.done = 0, false, true
	e.procs[p.index] = nil
	e.freeProcs = append(e.freeProcs, p.index)
}

// Name returns the name given to Spawn.
func (p *Proc) Name() string { return p.name }

// Done tells whether the body has ended.
func (p *Proc) Done() bool { return p.done }

// Now returns the engine's time.
func (p *Proc) Now() Time { return p.eng.now }

// Start schedules a Resume for now, in place of any wake-up that is pending. It starts a new process, and wakes one that is
// suspended. It panics after Done.
func (p *Proc) Start() { p.wakeAt(p.eng.now) }

func (p *Proc) wakeAt(t Time) {
	if p.eng.closed {
		return // a deferred function of a process that Close ends
	}
	if p.done {
		panic("sim: Start of process " + p.name + ", which has ended")
	}
	p.eng.Cancel(p.wake)
	p.wake = p.eng.Schedule(t, p.eng.hProc, uint64(p.index))
}

// Suspend returns control to whoever resumed the process, until the next Resume. Only the body may call it.
func (p *Proc) Suspend() {
	if !p.running {
		panic("sim: Suspend of process " + p.name + " from outside")
	}
	p.running = false
	if !p.yield(struct{}{}) {
		p.running = true
		panic(killed{})
	}
}

// Resume switches into the process until it suspends or ends. It is called from an event, and takes the place of a pending
// wake-up: a process that sleeps or waits for a Signal returns from that early. It panics if the process is running or has
// ended, and passes on a panic of the body as a [PanicError].
func (p *Proc) Resume() {
	if p.running || p.done {
		panic("sim: Resume of process " + p.name + ", which is running or has ended")
	}
	if p.wake != 0 {
		p.eng.Cancel(p.wake)
		p.wake = 0
	}
	p.running = true
	p.resume()
}

// Sleep suspends the process for d, which must not be negative.
func (p *Proc) Sleep(d Time) {
	if d > Never-p.eng.now {
		d = Never - p.eng.now
	}
	p.SleepUntil(p.eng.now + d)
}

// SleepUntil suspends the process until t, which must not be in the past. Never is until the next Resume.
func (p *Proc) SleepUntil(t Time) {
	if t != Never {
		p.wakeAt(t)
	}
	p.Suspend()
}

// procHandler is the engine as the handler of wake-ups.
type procHandler Engine

// Handle resumes the process with index arg.
func (h *procHandler) Handle(_ Time, arg uint64) {
	p := h.procs[arg]
	p.wake = 0
	p.Resume()
}

// Close ends all processes, one after the other in a fixed order: those that have begun return from where they are
// suspended by a panic that runs their deferred functions. Nothing runs after Close; calling it again does nothing. It
// panics when called during Run. If a deferred function panics, so does Close, and a further call goes on with the rest.
func (e *Engine) Close() {
	if e.running {
		panic("sim: Close during Run")
	}
	e.closed = true
	for i := range e.procs {
		if p := e.procs[i]; p != nil {
			p.stop()
			if !p.done { // it had not begun
				p.finish()
			}
		}
	}
	e.procs = nil
}
