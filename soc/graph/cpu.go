package graph

import (
	"math/rand/v2"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// runCPU is a CPU stage: it reads its input, and writes in place or into an output buffer.
func (st *stage) runCPU(t *cpu.Thread) {
	for {
		f := st.next(t)
		t.Syscall(func() {}) // DQBUF, poll or read on the stage's side
		st.gather(t)
		st.readOthers(t)
		b := st.in.buffers[f.index]
		switch {
		case st.cfg.InPlace:
			st.work(t, b, st.cfg.Read, st.cfg.Write)
			st.keep(t)
			f.set.dispatch(t, f)
		case st.out != nil:
			st.work(t, b, st.cfg.Read, nil)
			i := st.acquire(t)
			st.work(t, st.out.buffers[i], nil, st.cfg.Write)
			st.keep(t)
			f.release(t)
			st.out.dispatch(t, &frame{set: st.out, index: i, seq: f.seq, origin: f.origin})
		default:
			st.work(t, b, st.cfg.Read, nil)
			st.keep(t)
			f.release(t)
		}
		st.letGo(t)
	}
}

// work goes over a buffer, in brackets where the exporter needs them.
func (st *stage) work(t *cpu.Thread, b *dmabuf.Buffer, read, write *Access) {
	var dir dmaapi.Direction
	switch {
	case read != nil && write != nil:
		dir = dmaapi.Bidirectional
	case write != nil:
		dir = dmaapi.ToDevice
	case read != nil:
		dir = dmaapi.FromDevice
	default:
		return
	}
	bracket := st.cfg.Sync == SyncAlways || st.cfg.Sync == SyncAuto && (write != nil || !b.Exporter.IsQueue())
	if bracket {
		b.BeginCPUAccess(t, dir)
	}
	b.CPUAccess(t, st.cfg.Name, write != nil)
	m, err := b.MapUser(t)
	if err != nil {
		panic("graph: buffer was mapped at set-up: " + err.Error())
	}
	rn, wn := read.bytes(b), write.bytes(b)
	switch {
	case st.walks(t, b, m, read, write):
	case write == nil:
		t.Access(m, 0, rn, read.touch(false))
	case read == nil:
		t.Access(m, 0, wn, write.touch(true))
	default:
		for off := 0; off < max(rn, wn); off += chunk {
			if off < rn {
				t.Access(m, off, min(chunk, rn-off), read.touch(false))
			}
			if off < wn {
				t.Access(m, off, min(chunk, wn-off), write.touch(true))
			}
		}
	}
	if bracket {
		b.EndCPUAccess(t, dir)
	}
}

// chunk is how much a filter reads, a line's worth, and writes back before it goes on.
const chunk = 64

func (a *Access) bytes(b *dmabuf.Buffer) int {
	if a == nil {
		return 0
	}
	return int(a.Fraction.Of(b.Region.Bytes))
}

func (a *Access) touch(write bool) cpu.Touch {
	return cpu.Touch{Write: write, Width: int(a.Width), Compute: a.Compute}
}

// task is a bystander at run time.
type task struct {
	g     *Graph
	cfg   Task
	jobs  int
	total sim.Time // of completion times
	walk  *walk    // of the accesses, for all but random and sequential ones
}

// TaskResult is the mean completion time of a task's jobs since the last reset.
type TaskResult struct {
	Name string
	Jobs int
	Mean sim.Time
}

// Tasks returns the tasks' results in the order of the configuration.
func (g *Graph) Tasks() []TaskResult {
	var out []TaskResult
	for _, t := range g.tasks {
		r := TaskResult{Name: t.cfg.Name, Jobs: t.jobs}
		if t.jobs > 0 {
			r.Mean = t.total / sim.Time(t.jobs)
		}
		out = append(out, r)
	}
	return out
}

// run releases a job each period. A job that is late delays the next, which is then released at once; its completion time counts from when it was due.
func (k *task) run(t *cpu.Thread) {
	mem := k.g.sys.Memory
	region, err := mem.AllocScattered("task "+k.cfg.Name, int64(k.cfg.WorkingSet))
	if err == nil {
		var m *cpu.Mapping
		if m, err = k.g.sys.Core.Map("task "+k.cfg.Name, region, cpu.Cached); err == nil {
			m.Private = true
			k.walk = k.newWalk()
			k.loop(t, m)
			return // the task has stopped
		}
	}
	k.g.err = err
	k.g.sys.Engine.Stop()
}

func (k *task) loop(t *cpu.Thread, m *cpu.Mapping) {
	rng := sim.Stream(k.g.cfg.Seed, "task."+k.cfg.Name)
	clock := sim.NewClock(int64(k.g.sys.Config.CPU.Clock))
	cycles := clock.Floor(k.cfg.Work)
	line := int(k.g.sys.Config.L1D.Line)
	for due := k.next(-k.cfg.Period); due < sim.Never; due = k.next(due) {
		t.SleepUntil(due)
		k.job(t, m, rng, cycles, line)
		k.jobs++
		k.total += t.Now() - due
	}
}

// job works through the cycles, touching a word of the working set every so often.
func (k *task) job(t *cpu.Thread, m *cpu.Mapping, rng *rand.Rand, cycles int64, line int) {
	lines := m.Bytes / line
	every := int64(k.cfg.TouchEvery)
	next := 0
	k.walk.beginJob()
	for cycles > 0 {
		step := min(every, cycles)
		cycles -= step
		t.Cycles(step)
		if k.walk != nil {
			k.walk.touch(t, m)
			continue
		}
		if k.cfg.Access == "random" {
			next = rng.IntN(lines)
		}
		t.Access(m, next*line, 4, cpu.Touch{Width: 4, Dependent: true})
		if next++; next == lines {
			next = 0
		}
	}
}
