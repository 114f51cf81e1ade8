package exhaust

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/cachemodel"
	"socsim/internal/conf"
	"socsim/internal/strategy"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/dmaengine"
	"socsim/soc/flush"
	"socsim/soc/memory"
)

// firstDevice is the bus master of the first device, above those of the chip.
const firstDevice = bus.Master(40)

// timed is the timed model of a world, step by step on one thread.
type timed struct {
	*soc.System
	w     *World
	api   *dmaapi.API
	b     *dmabuf.Buffer
	user  *dmabuf.CPUMapping
	links [Devices]*dmabuf.Attachment
	asked []string
	bad   []Violation
	err   error
}

// eavesdropper notes what a policy is asked and answers.
type eavesdropper struct {
	dmaapi.Policy
	t *timed
}

func (e eavesdropper) Decide(q *dmaapi.Question) dmaapi.Answer {
	a := e.Policy.Decide(q)
	e.t.asked = append(e.t.asked, text(q, a))
	return a
}

func (e eavesdropper) See(truth dmaapi.Truth) {
	if s, ok := e.Policy.(dmaapi.Seer); ok {
		s.See(truth)
	}
}

func text(q *dmaapi.Question, a dmaapi.Answer) string { return fmt.Sprintf("%+v -> %+v", *q, a) }

// Violation notes what memory reports, a line and kind once a step.
func (t *timed) Violation(v memory.Violation) {
	for l := range Lines {
		if x := (Violation{v.Kind, l}); t.b.Region.Addr(t.w.offset(l)) == v.Addr {
			for _, y := range t.bad {
				if x == y {
					return
				}
			}
			t.bad = append(t.bad, x)
			return
		}
	}
	t.err = fmt.Errorf("a violation elsewhere: %+v", v)
}

// Misuse makes a step against the rules of the DMA API an error.
func (t *timed) Misuse(m dmaapi.Misuse) {
	if t.err == nil {
		t.err = fmt.Errorf("%v: %s", m.Kind, m.Text)
	}
}

// playTimed plays steps with the timed model and calls check after the allocation and each step, until it says that this is enough.
func playTimed(w *World, info flush.Info, steps []Step, check func(t *timed, done int) bool) error {
	chip := w.Chip
	chip.CPU.Speculation = 0 // the steps say when
	sys, err := soc.New(chip, 1)
	if err != nil {
		return err
	}
	defer sys.Close()
	t := &timed{System: sys, w: w}
	sys.Memory.SetObserver(t)
	sys.Memory.SetCoherent(w.Profile.Snoops)
	t.api = dmaapi.New(sys.Core, w.Profile, eavesdropper{info.New(), t}, nil)
	if w.Whole && !w.Shared { // the debugger knows of one owner for all of a mapping
		t.api.SetDebugger(t)
	}
	sys.Core.Spawn("test", func(th *cpu.Thread) {
		defer sys.Engine.Stop()
		if t.err = t.open(th); t.err != nil {
			return
		}
		for i := 0; t.err == nil && check(t, i) && i < len(steps); i++ {
			th.SleepUntil(th.Now() + sim.Microsecond)
			t.bad = nil
			if err := t.step(th, steps[i]); err != nil {
				t.err = err
			}
			th.Barrier()
			th.Settle()
		}
	})
	if err := sys.Engine.Run(context.Background(), sim.Never); err != nil {
		return err
	}
	return t.err
}

// open allocates the buffer, where the process's address and the kernel's differ in colour.
func (t *timed) open(th *cpu.Thread) error {
	alloc := dmabuf.NewAllocator(t.api)
	for range 2 {
		t.asked = nil
		b, err := alloc.Allocate(th, dmabuf.Request{Name: bufferName, Bytes: int64(t.w.Bytes), Exporter: exporter, Contiguous: true, Attr: cached, Direction: dmaapi.FromDevice})
		if err != nil {
			return err
		}
		m, err := b.Mmap(th)
		if err != nil {
			return err
		}
		t.b, t.user = b, m
		if colours := uint64(t.w.colours()); t.w.names == 1 || t.w.Chip.L1D.Index == cachemodel.VIVT || uint64(m.VA)>>12%colours != uint64(b.Region.Addr(0))>>12%colours {
			break
		}
	}
	for d := range t.links {
		t.links[d] = t.b.Attach(&dmaengine.Importer{Name: deviceNames[d]}, dmaapi.Bidirectional)
	}
	th.Barrier()
	th.Settle()
	return nil
}

func (t *timed) step(th *cpu.Thread, s Step) error {
	off, n := t.w.offset(int(s.line)), t.w.Line
	runs := t.b.Region.RunsOf(off, n)
	call := dmaapi.Call{Buffer: t.b.Buffer, Device: deviceNames[s.device], Direction: s.dir}
	call.Offset, call.Length = t.w.span(s.part)
	master := firstDevice + bus.Master(s.device)
	switch s.do {
	case doMap:
		_, err := t.links[s.device].MapFor(th, s.dir)
		return err
	case doUnmap:
		return t.links[s.device].Unmap(th)
	case doSyncForDevice, doSyncForCPU:
		call.Event = events[s.do]
		t.api.Do(th, call)
		t.api.Wait(th, t.b.Buffer)
	case doCPURead, doCPUWrite:
		return t.user.Access(th, "test", off, n, cpu.Touch{Write: s.do == doCPUWrite, Width: 4})
	case doDeviceRead:
		t.links[s.device].Use(th)
		t.Memory.DeviceRead(runs[0].Addr, n, master, th.Now(), false)
	case doDeviceWrite:
		t.links[s.device].Use(th)
		t.Memory.DeviceWrite(runs[0].Addr, n, master, th.Now())
	case doEvict, doEvictOuter:
		th.Evict(runs, s.do == doEvictOuter)
	case doSpeculate:
		m := t.user.Mapping
		if m.Attr != cached || t.w.names == 1 {
			m = t.Core.KernelMap(t.b.Region)
		}
		th.Prefetch(m, off, n)
	}
	return nil
}

// lines is what the timed model holds, in the world's words.
func (t *timed) lines() [Lines]line {
	var s state
	names := map[memory.Stamp]version{}
	name := func(v memory.Stamp) version {
		if _, ok := names[v]; !ok {
			w := byDevice
			switch {
			case v == 0:
				w = before
			case v.Time() <= t.b.Region.Cleared:
				w = zero
			case v.Master() < firstDevice:
				w = byCPU
			}
			names[v] = version(len(names)+1)<<writerBits | w
		}
		return names[v]
	}
	caches := t.Core.Caches()
	for l := range s.lines {
		x := &s.lines[l]
		pa := t.b.Region.Addr(t.w.offset(l))
		x.newest, x.memory = name(t.Memory.Newest(pa)), name(t.Memory.InMemory(pa))
		for level := range caches.Levels() {
			caches.Lines(level, func(c cachemodel.Line) {
				if bus.Phys(c.Physical) != pa {
					return
				}
				at := &x.inner[0]
				switch {
				case level >= caches.Inner():
					at = &x.outer
				case t.w.names > 1 && !t.kernels(c, pa):
					at = &x.inner[1]
				}
				if !at.there {
					at.v = name(memory.Stamp(c.Version))
				}
				at.there, at.dirty = true, at.dirty || c.Dirty != 0
			})
		}
	}
	s.canonical()
	return s.lines
}

// kernels tells whether a copy is under the kernel's address.
func (t *timed) kernels(c cachemodel.Line, pa bus.Phys) bool {
	if t.w.Chip.L1D.Index == cachemodel.VIVT {
		return c.Tag != uint64(t.user.VA)+uint64(pa-t.b.Region.Addr(0))
	}
	return uint64(c.Set*t.w.Line)>>12 == uint64(pa)>>12%uint64(t.w.colours())
}

// agree plays steps with both models and compares what each step asks, breaks and leaves behind. It stops at the first violation.
func agree(w *World, info flush.Info, steps []Step) error {
	p, err := w.start(context.Background(), info)
	if err != nil {
		return err
	}
	var asked []string
	p.policy = info.New()
	if seer, ok := p.policy.(dmaapi.Seer); ok {
		seer.See(dmaapi.TruthOf(p))
	}
	p.asked = func(q *dmaapi.Question, a dmaapi.Answer) { asked = append(asked, text(q, a)) }
	p.state = state{}
	if err := p.begin(); err != nil {
		return err
	}
	return playTimed(w, info, steps, func(x *timed, done int) bool {
		what := "allocating"
		if done > 0 {
			p.play(steps[done-1])
			what = w.words(steps[done-1])
		}
		differ := func(which, diff string) bool {
			x.err = fmt.Errorf("%v, %s: %s: %s, world and timed:\n%s", w, info.Label(), what, which, diff)
			for _, s := range steps[:done] {
				x.err = fmt.Errorf("%w\n  %s", x.err, w.words(s))
			}
			return false
		}
		// What a yardstick sees beyond the world: lines that it does not watch, and the versions that snooping makes of no interest.
		sees := info.Yardstick && (w.Bytes > Lines*w.Line || w.Profile.Snoops)
		if diff := cmp.Diff(asked, x.asked); diff != "" && !sees {
			return differ("questions and answers", diff)
		}
		asked, x.asked = nil, nil
		opts := cmp.AllowUnexported(line{}, copied{})
		if len(p.bad) > 0 || len(x.bad) > 0 {
			if diff := cmp.Diff(append([]Violation{}, p.bad...), append([]Violation{}, x.bad...)); diff != "" {
				return differ("violations", diff)
			}
			return false
		}
		got := x.lines()
		for l := range got {
			got[l].owed = p.lines[l].owed
		}
		if w.Profile.Snoops {
			return true // versions are of no interest
		}
		if diff := cmp.Diff(p.lines, got, opts); diff != "" {
			return differ("lines", diff)
		}
		return true
	})
}

// drawSteps draws legal steps as they come under a strategy, the violating one the last.
func drawSteps(t *rapid.T, w *World, info flush.Info, most int) []Step {
	p, err := w.start(context.Background(), info)
	if err != nil {
		t.Fatal(err)
	}
	var steps []Step
	for range rapid.IntRange(1, most).Draw(t, "steps") {
		s := rapid.SampledFrom(p.legal(nil)).Draw(t, "step")
		steps = append(steps, s)
		if p.play(s); len(p.bad) > 0 {
			break
		}
	}
	return steps
}

// worlds are of all shapes: an outer cache, aliases by colour and by address, a core that speculates and one that does not.
func worlds(t testing.TB) []*World {
	// An aliasing cache that allocates for stores can hold zeroes of the allocation under the kernel's address.
	return append(presetWorlds(t), worldOf(
		t, "omap2420", conf.Override{Path: "soc.l1d.allocate", Value: "read-write"}, conf.Override{Path: "soc.cpu.streaming_stores", Value: "true"},
		conf.Override{Path: "soc.memory.size", Value: "4MiB"}, conf.Override{Path: "soc.memory.reserved", Value: "1MiB"},
	))
}

// presetWorlds are those that a scenario can name, but for the size of their memory.
func presetWorlds(t testing.TB) []*World {
	var out []*World
	for _, c := range [][2]string{
		{"omap3430", "armv7"},
		{"omap4430", "armv7-outer"},
		{"omap2420", "armv6"},
		{"omap2420", "armv6-all-colours"},
		{"omap1-arm926", "armv5"},
		{"omap1-arm926", "armv5-all-colours"},
		{"arm64-syscache", "arm64"},
		{"arm64-syscache", "arm64-before-5.19"},
		{"server-64m", "coherent"},
	} {
		out = append(out, worldOf(
			t, c[0], conf.Override{Path: "soc.coherence", Value: c[1]}, conf.Override{Path: "soc.memory.size", Value: "4MiB"}, conf.Override{Path: "soc.memory.reserved", Value: "1MiB"},
		))
	}
	return out
}

// whimsical answers anything to anything, always the same to the same.
type whimsical struct{ seed uint64 }

func (w whimsical) Fork() dmaapi.Policy     { return w }
func (w whimsical) History(b []byte) []byte { return b }

func (w whimsical) Decide(q *dmaapi.Question) (a dmaapi.Answer) {
	h := fnv.New64a()
	fmt.Fprint(h, w.seed, *q)
	rng := rand.New(rand.NewPCG(w.seed, h.Sum64()))
	switch q.Event {
	case dmaapi.Allocate:
		a.Force = rng.IntN(2) == 0
		a.Attr = []cpu.Attr{"", "", "", cpu.Uncached}[rng.IntN(4)]
		return a
	case dmaapi.MapCPU:
		a.Track = rng.IntN(2) == 0
		return a
	}
	a.Op, a.Extent, a.Outer = dmaapi.Operation(rng.IntN(4)), dmaapi.Extent(rng.IntN(4)), dmaapi.OuterExtent(rng.IntN(3))
	if a.Extent == dmaapi.Partial || a.Extent == dmaapi.Lines {
		from := rng.IntN(q.Bytes)
		a.Spans = []dmaapi.Span{{Offset: from, Bytes: 1 + rng.IntN(q.Bytes-from)}}
	}
	return a
}

func TestTheTimedModelDoesTheSameStepByStep(t *testing.T) {
	var list []flush.Info
	for _, name := range []string{"none", "range", "whole", "uncached", "skip-sync", "ion-fault-tracking", "ion-fault-tracking(force=false,sync_at_fault=false)", "optimal", "omap3isp-legacy", "fimg2d(inner=1B,outer=1B)", "nvmap(inner=1B,outer=1GiB)"} {
		info, err := strategy.One(name, ".")
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, info)
	}
	all := worlds(t)
	rapid.Check(t, func(t *rapid.T) {
		w := *rapid.SampledFrom(all).Draw(t, "world")
		w.Shared, w.Whole = rapid.Bool().Draw(t, "shared"), rapid.Bool().Draw(t, "whole")
		if rapid.Bool().Draw(t, "pages") && w.SetBytes(3*memory.PageBytes) != nil {
			return
		}
		seed := rapid.Uint64().Draw(t, "seed")
		whim := flush.Define(flush.Info{Name: "whimsical"}, func(flush.Settings) dmaapi.Policy { return whimsical{seed} })
		info := rapid.SampledFrom(append([]flush.Info{whim, whim, whim}, list...)).Draw(t, "strategy")
		if err := agree(&w, info, drawSteps(t, &w, info, 30)); err != nil {
			t.Fatal(err)
		}
	})
}
