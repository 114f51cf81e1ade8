package dmabuf

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// legal is a naive model of one buffer's life: what there is, and by that which step is wrong and how.
type legal struct {
	refs, mmaps, vmaps int // references of callers; user mappings; kernel mappings
	dead, made         bool
	attached           [2]bool // by device
	everAttached       [2]bool
	maps               [2]int
	everMapped         [2]bool // since it was attached
}

// putError returns the kind of error that the last put is.
func (m *legal) putError() string {
	switch {
	case m.attached[0] || m.attached[1]:
		return "put-attached"
	case m.vmaps > 0:
		return "put-vmapped"
	}
	return ""
}

// driver makes random calls, legal and not, on a few buffers, and compares what is reported with the model.
type driver struct {
	tb       testing.TB
	r        *rig
	th       *cpu.Thread
	seen     *misused
	rng      *rand.Rand
	exporter []Exporter
	buffers  [4]*Buffer
	model    [4]legal
	at       [4][2]*Attachment
	user     [4][]*CPUMapping // all that are mapped
	gone     [4]*CPUMapping   // one that was removed
	timeline *Timeline
	fences   []*Fence // not signaled yet
	dead     *Fence   // destroyed
	errors   int
}

// step makes one call and returns the kind of error it should be, or "".
func (d *driver) step(i, dev int, call string) string {
	b, m := d.buffers[i], &d.model[i]
	if !m.made {
		d.allocate(i)
		return ""
	}
	if m.dead && d.rng.IntN(4) == 0 {
		d.allocate(i) // otherwise go on with what is dead
		return ""
	}
	free := ""
	if m.dead {
		free = "use-after-free"
	}
	switch call {
	case "get":
		_, _ = b.Get()
		if !m.dead {
			m.refs++
		}
		return free
	case "put":
		_ = b.Put(d.th)
		if m.dead || m.refs == 0 {
			return "double-put"
		}
		m.refs--
		return d.dropped(i)
	case "mmap":
		if c, err := b.Mmap(d.th); err == nil {
			d.user[i] = append(d.user[i], c)
			m.mmaps++
		}
		return free
	case "munmap":
		if len(d.user[i]) == 0 {
			return ""
		}
		c := d.user[i][0]
		d.user[i], d.gone[i] = d.user[i][1:], c
		_ = c.Munmap(d.th)
		m.mmaps--
		return d.dropped(i)
	case "munmap again":
		if d.gone[i] == nil {
			return ""
		}
		_ = d.gone[i].Munmap(d.th)
		return "munmap-unmapped"
	case "access":
		if len(d.user[i]) == 0 {
			return ""
		}
		_ = d.user[i][0].Access(d.th, "", 0, 8, cpu.Touch{Width: 4, Write: true})
		return ""
	case "access after munmap":
		if d.gone[i] == nil {
			return ""
		}
		_ = d.gone[i].Access(d.th, "", 0, 8, cpu.Touch{Width: 4})
		if free == "" {
			return "cpu-use-after-unmap"
		}
		return free
	case "vmap":
		_, _ = b.Vmap(d.th)
		if !m.dead {
			m.vmaps++
		}
		return free
	case "vunmap":
		_ = b.Vunmap(d.th)
		if free == "" && m.vmaps == 0 {
			return "vunmap-unmapped"
		}
		m.vmaps--
		return free
	case "begin":
		_ = b.BeginCPUAccess(d.th, dmaapi.Direction(d.rng.IntN(3)))
		return free
	case "end":
		_ = b.EndCPUAccess(d.th, dmaapi.Direction(d.rng.IntN(3)))
		return free
	case "fence":
		if len(d.fences) < 8 && !m.dead {
			f := d.timeline.New(d.th.Now())
			d.fences = append(d.fences, f)
			b.Resv.Add(f, Bookkeep) // nobody waits for it
		}
		return ""
	case "signal":
		if len(d.fences) > 0 {
			f := d.fences[0]
			d.fences = d.fences[1:]
			f.Signal()
			f.Put()
			if f.State() == FenceDestroyed {
				d.dead = f
			}
		}
		return ""
	case "dead fence":
		if d.dead == nil {
			return ""
		}
		d.dead.Put()
		return "fence-use-after-free"
	case "export":
		if s, err := b.ExportSyncFile(true); err == nil {
			s.Close()
		}
		return free
	case "attach":
		if m.attached[dev] && !m.dead {
			return ""
		}
		d.at[i][dev] = b.Attach(&importer{name: fmt.Sprint(dev)}, dmaapi.Direction(d.rng.IntN(3)))
		if !m.dead {
			m.attached[dev], m.everAttached[dev], m.everMapped[dev], m.maps[dev] = true, true, false, 0
		}
		return free
	}
	return d.attachment(i, dev, call, free)
}

// attachment is a step on an attachment.
func (d *driver) attachment(i, dev int, call, free string) string {
	m, at := &d.model[i], d.at[i][dev]
	if at == nil {
		return ""
	}
	detached := "use-after-detach"
	switch call {
	case "map":
		_, _ = at.Map(d.th)
	case "unmap":
		_ = at.Unmap(d.th)
	case "use":
		at.Use(d.th)
	case "detach":
		_ = at.Detach(d.th)
		detached = "double-detach"
	}
	switch {
	case free != "":
		return free
	case !m.attached[dev]:
		return detached
	}
	switch call {
	case "map":
		m.maps[dev]++
		m.everMapped[dev] = true
	case "unmap":
		switch {
		case m.maps[dev] > 0:
			m.maps[dev]--
		case m.everMapped[dev]:
			return "double-unmap"
		default:
			return "unmap-unmapped"
		}
	case "use":
		if m.maps[dev] == 0 {
			return "use-after-unmap"
		}
	case "detach":
		m.attached[dev] = false
		if m.maps[dev] > 0 {
			return "detach-mapped"
		}
	}
	return ""
}

// dropped follows a reference that was dropped.
func (d *driver) dropped(i int) string {
	m := &d.model[i]
	if m.refs+m.mmaps > 0 {
		return ""
	}
	m.dead = true
	return m.putError()
}

func (d *driver) allocate(i int) {
	e := d.exporter[d.rng.IntN(len(d.exporter))]
	attr := cpu.Cached
	if e == GEM {
		attr = cpu.Uncached
	}
	b, err := d.r.alloc.Allocate(d.th, Request{Name: "b", Index: i, Bytes: 256, Exporter: e, Attr: attr, Direction: dmaapi.Bidirectional, Owner: "0"})
	if err != nil {
		d.tb.Fatal(err)
	}
	d.buffers[i], d.model[i] = b, legal{refs: 1, made: true}
	d.at[i], d.user[i], d.gone[i] = [2]*Attachment{}, nil, nil
}

// run makes the steps, then ends whatever lives and looks for leaks.
func (d *driver) run(steps int) {
	calls := []string{
		"get", "put", "mmap", "munmap", "munmap again", "access", "access after munmap", "vmap", "vunmap", "begin", "end", "fence", "signal", "dead fence", "export", "attach", "map", "unmap", "use", "detach",
	}
	for n := range steps {
		i, dev, call := d.rng.IntN(len(d.buffers)), d.rng.IntN(2), calls[d.rng.IntN(len(calls))]
		want := d.step(i, dev, call)
		d.check(n, fmt.Sprintf("%s of buffer %d, device %d", call, i, dev), want)
	}
	d.end()
}

func (d *driver) check(n int, what, want string) {
	got := d.seen.seen
	if len(got) == 0 && want == "" {
		return
	}
	d.errors++
	if len(got) != 1 || d.seen.last.Kind.String() != want {
		d.tb.Fatalf("step %d, %s: reported %q, want %q", n, what, got, want)
	}
	d.seen.seen = nil
}

// end puts an end to everything that lives, as a driver does, and expects nothing to be left.
func (d *driver) end() {
	for _, f := range d.fences {
		f.Signal()
	}
	for i, m := range d.model {
		if !m.made || m.dead {
			continue
		}
		for dev := range 2 {
			for ; m.attached[dev] && m.maps[dev] > 0; m.maps[dev]-- {
				_ = d.at[i][dev].Unmap(d.th)
			}
			if m.attached[dev] {
				_ = d.at[i][dev].Detach(d.th)
			}
		}
		for ; m.vmaps > 0; m.vmaps-- {
			_ = d.buffers[i].Vunmap(d.th)
		}
		d.buffers[i].UnmapUser(d.th)
		for ; m.refs > 0; m.refs-- {
			_ = d.buffers[i].Put(d.th)
		}
	}
	d.r.alloc.CheckExit(d.th.Now())
	d.seen.want(d.tb, "at the end")
}

// A driver that calls at random, in legal and illegal orders: nothing panics, each illegal step is reported once and as what it is, and at the end memory is as it was. SOCSIM_STEPS sets the number
// of steps; make test makes 100 000, and the long version a million:
//
//	SOCSIM_STEPS=1000000 go test -run TestARandomDriver ./soc/dmabuf
func TestARandomDriverIsReportedForEachIllegalStepAndNoOther(t *testing.T) {
	steps := 100_000
	if s := os.Getenv("SOCSIM_STEPS"); s != "" {
		var err error
		if steps, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t)
	d := &driver{tb: t, r: r, seen: watch(r), rng: sim.Stream(1, "driver"), exporter: []Exporter{SystemHeap, CMAHeap, UncachedHeap, VB2SG, VB2Contig, GEM}}
	d.timeline = r.alloc.NewTimeline("ring")
	r.run(func(th *cpu.Thread) {
		d.th = th
		before := r.Memory.FreeBytes()
		d.run(steps)
		equal(t, "free bytes", r.Memory.FreeBytes(), before)
	})
	t.Logf("%d steps, %d of them illegal", steps, d.errors)
	if d.errors < steps/100 {
		t.Errorf("%d steps in %d were illegal: too few to tell", d.errors, steps)
	}
}
