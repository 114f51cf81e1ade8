package cpu

import "socsim/sim"

// LostInterrupt is an interrupt that does not reach the core. Its cause stays set in the device's status register, so that the handler finds it when it next runs: at the line's next interrupt, or
// when the driver's watchdog has it look ([Thread.Recheck]). Times are sim.Never until then.
type LostInterrupt struct {
	At    sim.Time // when the line was raised
	Found sim.Time // when the handler was made to run for it
	// Rechecked tells that a watchdog found it.
	Rechecked bool
	// OnLost, if not nil, is called when the line was raised.
	OnLost func()
}

// Lose has the handler's next interrupt lost that is not lost already. It must not be called by the handler itself.
func (t *Thread) Lose(l *LostInterrupt) {
	l.At, l.Found = sim.Never, sim.Never
	t.losing = append(t.losing, l)
}

// lose takes the interrupt that is raised now, if it is to be lost.
func (t *Thread) lose() bool {
	if len(t.losing) == 0 {
		return false
	}
	l := t.losing[0]
	t.losing = t.losing[1:]
	t.missed = append(t.missed, l)
	l.At = t.core.eng.Now()
	if l.OnLost != nil {
		l.OnLost()
	}
	return true
}

// Missed tells whether the device's status holds a cause of which the core knows nothing.
func (t *Thread) Missed() bool { return len(t.missed) > 0 }

// Recheck has the handler run for what it has missed, without an interrupt, as a driver's watchdog does. Like Raise it is called from events; that the watchdog's timer is an interrupt of its own is the cost
// of the entry.
func (t *Thread) Recheck() {
	if !t.Missed() {
		return
	}
	t.find(true)
	t.wake()
}

// find makes the causes missed those of the handler's next run.
func (t *Thread) find(recheck bool) {
	for _, l := range t.missed {
		l.Found, l.Rechecked = t.core.eng.Now(), recheck
		t.pending++
	}
	t.missed = t.missed[:0]
}
