package dmaapi

import (
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// job is a call with what was decided about it.
type job struct {
	Call
	op  Operation
	ans Answer
}

// carryOut does what was decided, at once, or on the worker thread if the policy wants that or the buffer waits for it already.
func (a *API) carryOut(t *cpu.Thread, j job) {
	if j.Buffer.pending > 0 || j.ans.Defer && j.ans.Op != Nothing {
		a.deferJob(j)
		return
	}
	a.finish(t, j)
}

// finish performs a job and tells the tracer.
func (a *API) finish(t *cpu.Thread, j job) {
	a.perform(t, &j.Call, j.ans)
	a.zap(t, &j.Call)
	a.told(t, j)
}

func (a *API) told(t *cpu.Thread, j job) {
	if a.tracer != nil {
		a.tracer.Handover(Handover{
			At: t.Now(), Buffer: j.Buffer, Device: j.Device, Event: j.Event, Direction: j.Direction, Default: j.op, Answer: j.ans,
		})
	}
}

// deferJob leaves a job to the worker thread.
func (a *API) deferJob(j job) {
	j.Buffer.pending++
	a.queue = append(a.queue, j)
	if !a.started {
		a.started = true
		a.Core.Spawn("dma worker", a.runWorker)
		return
	}
	a.work.WakeAll()
}

// runWorker does the jobs in order.
func (a *API) runWorker(t *cpu.Thread) {
	for {
		t.Settle()
		for len(a.queue) == 0 {
			a.work.Wait(t)
			t.Settle()
		}
		j := a.queue[0]
		a.queue = append(a.queue[:0], a.queue[1:]...)
		a.finish(t, j)
		t.Settle()
		if j.Buffer.pending--; j.Buffer.pending > 0 {
			continue
		}
		then := j.Buffer.then
		j.Buffer.then = nil
		for _, f := range then {
			f(t)
		}
		a.done.WakeAll()
	}
}

// Wait blocks the thread until the hand-overs of the buffer are complete: before a device starts on it, or the CPU.
func (a *API) Wait(t *cpu.Thread, b *Buffer) {
	if b.pending == 0 {
		return
	}
	t.Settle()
	for b.pending > 0 {
		a.done.Wait(t)
		t.Settle()
	}
}

// Then runs f when the hand-overs of the buffer are complete: at once, on t, unless a worker thread still has some; then on that.
func (a *API) Then(t *cpu.Thread, b *Buffer, f func(t *cpu.Thread)) {
	if b.pending == 0 {
		f(t)
		return
	}
	b.then = append(b.then, f)
}

func (a *API) rangePass(op Operation, toCPU bool) cpu.Pass {
	return cpu.Pass{Op: op.cacheOp(), Edge: a.profile.Edge, AllColours: a.profile.AllColours, OuterFirst: toCPU && a.profile.OuterFirst}
}

// perform carries out an answer. Where one of inner and outer caches is treated as a whole and the other by range, the order is the profile's as well.
func (a *API) perform(t *cpu.Thread, c *Call, ans Answer) {
	if ans.Op == Nothing {
		return
	}
	runs := c.runs()
	if ans.Extent == Partial || ans.Extent == Lines {
		runs = nil
		for _, s := range ans.Spans {
			runs = append(runs, c.Buffer.Region.RunsOf(s.Offset, s.Bytes)...)
		}
	}
	pass := a.rangePass(ans.Op, c.toCPU())
	pass.OneCall = ans.Extent == Lines
	handed := []*memory.Region{c.Buffer.Region}
	inner := func() {
		if ans.Extent == Whole {
			t.MaintainAll(handed)
			return
		}
		pass.Reach = cpu.InnerOnly
		t.MaintainRange(pass, runs)
	}
	outer := func() {
		if ans.Outer == OuterWhole || ans.Outer == OuterSame && ans.Extent == Whole {
			t.MaintainAllOuter(handed)
			return
		}
		pass.Reach = cpu.OuterOnly
		t.MaintainRange(pass, runs)
	}
	switch {
	case !a.HasOuter():
		inner()
	case ans.Extent != Whole && ans.Outer != OuterWhole:
		t.MaintainRange(pass, runs) // both, run by run
	case pass.OuterFirst && ans.Extent != Whole:
		outer()
		inner()
	default:
		inner()
		outer()
	}
}
