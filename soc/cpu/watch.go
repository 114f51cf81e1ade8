package cpu

import "socsim/sim"

// Charge is a cost that the core has charged to its local time, which stood at From. How long it took, the next one's time tells.
type Charge struct {
	Cause Cause
	From  sim.Time
}

// Watch has f told of each charge from now on, one of no time among them; nil ends that. A core that nobody watches pays nothing for it.
func (c *Core) Watch(f func(Charge)) {
	c.watch = f
	c.last.cause = Causes // no cause: the next charge is a change
}
