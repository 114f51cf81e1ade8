package graph

import (
	"slices"

	"socsim/gpu"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmabuf"
	"socsim/soc/drm"
)

// When says which frame of a further input a stage takes.
type When string

// The choices.
const (
	WhenEvery  When = "every"
	WhenLatest When = "latest"
)

// Values lists the choices.
func (When) Values() []string { return []string{string(WhenEvery), string(WhenLatest)} }

// Input is a further buffer set that a stage reads.
type Input struct {
	Buffer string  `conf:"buffer,required,key" doc:"Name of the buffer set."`
	When   When    `conf:"when" doc:"Which frame of it goes with each frame of the stage's input: the next one, for which the stage waits (every), or the newest, which it keeps and uses again until a newer one comes (latest)."`
	Window Window  `conf:"window" doc:"Part of the output that a gpu stage draws this input over: WIDTHxHEIGHT+LEFT+TOP or full."`
	Read   *Access `conf:"read" doc:"What a cpu stage reads of each frame of this input, if not the same as of its input."`
}

// SetDefaults fills in what a scenario may leave out.
func (i *Input) SetDefaults() { i.When = WhenEvery }

// inlet is a further input at run time. The stage holds the frame that it works on; one that is the latest it holds until it takes a newer one, as a compositor holds the buffer of a surface.
type inlet struct {
	stage *stage
	cfg   Input
	set   *set
	from  map[int]*dmabuf.Attachment // by buffer index
	inbox []*frame
	held  *frame
	wants bool // the stage has the other frames and waits for this input's
}

// takes tells whether the input takes a frame that is handed out now: none while its stage is off, but for what that still needs to bring its work to an end.
func (in *inlet) takes(now sim.Time) bool { return in.wants || in.stage.cfg.runs(now) }

// read is what a CPU stage reads of each frame: what it reads of its own input, if nothing else was said.
func (in *inlet) read() *Access {
	if in.cfg.Read == nil {
		return in.stage.cfg.Read
	}
	return in.cfg.Read
}

// addInlets makes the stage a consumer of its further inputs.
func (st *stage) addInlets() {
	for _, c := range st.cfg.Inputs {
		in := &inlet{stage: st, cfg: c, set: st.g.byName[c.Buffer], from: map[int]*dmabuf.Attachment{}}
		in.set.joins = append(in.set.joins, in)
		st.inlets = append(st.inlets, in)
	}
}

// sets lists the sets that the stage reads and writes.
func (st *stage) sets() []*set {
	all := []*set{st.in, st.out}
	for _, in := range st.inlets {
		all = append(all, in.set)
	}
	return slices.DeleteFunc(all, func(s *set) bool { return s == nil })
}

// deliver passes a frame to the input. Of those that wait only the latest counts where that is wanted: the one before is released unseen, on the producer's thread.
func (in *inlet) deliver(t *cpu.Thread, f *frame) {
	var unseen *frame
	if in.cfg.When == WhenLatest && len(in.inbox) > 0 {
		unseen, in.inbox = in.inbox[0], in.inbox[:0]
	}
	in.inbox = append(in.inbox, f)
	in.stage.arrived.WakeAll()
	if unseen != nil {
		unseen.release(t)
	}
}

// gather takes a frame of each further input. It blocks for a new one where the stage wants every frame, and for the first where it wants the latest.
func (st *stage) gather(t *cpu.Thread) {
	for _, in := range st.inlets {
		t.Settle()
		if len(in.inbox) == 0 && in.held != nil {
			continue // the latest is still the one it has
		}
		for in.wants = true; len(in.inbox) == 0; {
			st.waits.begin(t, in.set)
			st.arrived.Wait(t)
			t.Settle()
		}
		in.wants = false
		st.waits.end()
		old := in.held
		in.held = in.inbox[0]
		in.inbox = append(in.inbox[:0], in.inbox[1:]...)
		if old != nil {
			old.release(t)
		}
	}
}

// forgo gives back, whenever the stage goes off, the frames of its further inputs that wait for a partner: it would keep them from their producers meanwhile.
func (st *stage) forgo(t *cpu.Thread) {
	for {
		_, end := st.cfg.phase(t.Now())
		if end == sim.Never {
			return
		}
		t.SleepUntil(end)
		for _, in := range st.inlets {
			waiting := in.inbox
			in.inbox = nil
			for _, f := range waiting {
				f.release(t)
			}
		}
	}
}

// letGo gives the further inputs back when the stage is done with the frame; the latest stay.
func (st *stage) letGo(t *cpu.Thread) {
	for _, in := range st.inlets {
		if in.cfg.When == WhenEvery {
			f := in.held
			in.held = nil
			f.release(t)
		}
	}
}

// others returns the attachments of the further inputs' frames.
func (st *stage) others() []*dmabuf.Attachment {
	var list []*dmabuf.Attachment
	for _, in := range st.inlets {
		list = append(list, in.from[in.held.index])
	}
	return list
}

// quads are the further inputs as a GPU draws them.
func (st *stage) quads() []drm.Quad {
	var list []drm.Quad
	for _, in := range st.inlets {
		w := in.cfg.Window
		list = append(list, drm.Quad{
			Texture: in.from[in.held.index], From: in.set.surface(), Part: gpu.Rect{X: w.X, Y: w.Y, Width: w.Width, Height: w.Height},
		})
	}
	return list
}

// readOthers is what a CPU stage reads of its further inputs, one after another.
func (st *stage) readOthers(t *cpu.Thread) {
	for _, in := range st.inlets {
		st.work(t, in.set.buffers[in.held.index], in.read(), nil)
	}
}

// acquire blocks until a buffer of the output is free.
func (st *stage) acquire(t *cpu.Thread) int {
	t.Settle()
	if len(st.out.free) == 0 {
		st.waits.begin(t, st.out)
	}
	i := st.out.acquire(t)
	st.waits.end()
	return i
}

// wait is what a stage's thread waits for, and since when: a frame of a set, or a free buffer of its output.
type wait struct {
	on    *set
	since sim.Time
}

func (w *wait) begin(t *cpu.Thread, on *set) {
	if w.on != on {
		w.on, w.since = on, t.Now()
	}
}

func (w *wait) end() { w.on = nil }

// Starved is a stage that waits for a frame of a set, or for a free buffer of its output.
type Starved struct {
	Stage, Buffer string
	Output        bool // the set is the stage's output
	Since         sim.Time
}

// Starved returns the stages that have waited for one thing since a time or longer, in their order: such a stage has done nothing since.
func (g *Graph) Starved(since sim.Time) []Starved {
	var out []Starved
	for _, st := range g.stages {
		if w := st.waits; w.on != nil && w.since <= since {
			out = append(out, Starved{st.cfg.Name, w.on.cfg.Name, w.on == st.out, w.since})
		}
	}
	return out
}
