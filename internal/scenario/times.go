package scenario

import (
	"socsim/sim"
	"socsim/soc/graph"
)

// Bounds of when stages and tasks run and how late they are.
const (
	latest   = 1000 * sim.Second
	minBurst = sim.Millisecond
)

// checkStageTimes checks when a stage runs and how late it is.
func (c *checker) checkStageTimes(path string, s graph.Stage) {
	c.checkTimes(path, s.Times)
	camera := s.Device == graph.ISP && s.Sensor != nil
	for _, x := range []struct {
		name string
		is   bool
	}{{"start", s.Start != nil}, {"stop", s.Stop != nil}, {"burst", s.Burst != nil}} {
		switch {
		case x.is && s.Device == graph.Display:
			c.errorf(path+"."+x.name, "a panel is always on and repeats what it shows: let the stage that fills %q start and stop", s.Input)
		case x.is && camera && s.Raw != nil && s.Raw.From > 0:
			c.errorf(path+"."+x.name, "not with raw.from: raw frames are captured whenever this camera streams, and raw.frames says how many")
		}
	}
	for _, x := range []struct {
		name string
		time *sim.Time
	}{{"delay", s.Delay}, {"jitter", s.Jitter}, {"hold", s.Hold}} {
		switch {
		case x.time == nil:
		case camera || s.Input == "":
			c.errorf(path+"."+x.name, "this stage takes no frames that it could be late with: set it at a consumer of its output")
		case *x.time < 0 || *x.time > latest:
			c.errorf(path+"."+x.name, "%v, want 0s to 1000s", *x.time)
		}
	}
}

// checkTimes checks when a stage or task runs.
func (c *checker) checkTimes(path string, x graph.Times) {
	if x.Start != nil && (*x.Start < 0 || *x.Start > latest) {
		c.errorf(path+".start", "%v, want 0s to 1000s", *x.Start)
		return
	}
	start := sim.Time(0)
	if x.Start != nil {
		start = *x.Start
	}
	if x.Stop != nil && (*x.Stop <= start || *x.Stop > 2*latest) {
		c.errorf(path+".stop", "%v, but it starts at %v: want a later time, up to 2000s", *x.Stop, start)
	}
	if b := x.Burst; b != nil && (b.On < minBurst || b.Off < minBurst || b.On > latest || b.Off > latest) {
		c.errorf(path+".burst", "%v on and %v off, want 1ms to 1000s each", b.On, b.Off)
	}
}
