package exhaust

import (
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/memory"
)

// The names in the world's questions, and in the scenario that plays it.
const (
	bufferName = "shared"
	exporter   = dmabuf.SystemHeap
)

var deviceNames = [Devices]string{"a", "b"}

// Violation is what went wrong with a line, by the rules of package memory.
type Violation struct {
	Kind memory.ViolationKind
	Line int
}

// player carries steps out on a state.
type player struct {
	*World
	state
	policy dmaapi.Policy
	attr   cpu.Attr // how the process maps the buffer
	kind   dmaapi.Kind
	track  bool // its pages are mapped by faults
	bad    []Violation
	// call is the part of the buffer that the policy is asked about.
	off, n int
	// asked, if not nil, is told about each question.
	asked func(q *dmaapi.Question, a dmaapi.Answer)
}

// user is the place of copies that the process's accesses find.
func (p *player) user() int {
	if p.names > 1 && p.attr == cached {
		return 1
	}
	return 0
}

func (p *player) violate(k memory.ViolationKind, l int) {
	if !p.Profile.Snoops {
		p.bad = append(p.bad, Violation{k, l})
	}
}

// aliased turns what is the CPU's own doing into an alias error.
func (p *player) aliased(k memory.ViolationKind, newest version) memory.ViolationKind {
	if w := newest.writer(); p.names > 1 && (w == byCPU || w == zero) {
		return memory.AliasError
	}
	return k
}

// writeBack is [memory.Memory.WriteBack].
func (p *player) writeBack(l int, v version) {
	x := &p.lines[l]
	if v != x.newest && x.memory == x.newest {
		p.violate(p.aliased(memory.LostDeviceData, x.memory), l)
		x.newest = v
	}
	x.memory = v
}

// drop is [memory.Memory.CPUDrop] of a dirty copy.
func (p *player) drop(l int, v version) {
	x := &p.lines[l]
	if v != x.newest || v == x.memory {
		return
	}
	if v.writer() != zero {
		p.violate(memory.LostCPUData, l)
	}
	x.newest = x.memory
}

// read is [memory.Memory.CPURead] of a copy.
func (p *player) read(l int, held version) {
	if x := &p.lines[l]; held != x.newest {
		p.violate(p.aliased(memory.StaleCPURead, x.newest), l)
	}
}

// out gives a dirty copy that leaves the inner caches to what is behind them.
func (p *player) out(l int, v version) {
	if p.outer {
		p.lines[l].outer = copied{v, true, true}
		return
	}
	p.writeBack(l, v)
}

// fill brings a line into the inner caches. It returns whether an outer cache had it.
func (p *player) fill(l, name int) (hit bool) {
	x := &p.lines[l]
	if hit = x.outer.there; !hit {
		p.fillOuter(x)
	}
	v := x.memory
	if hit {
		v = x.outer.v
	}
	x.inner[name] = copied{v: v, there: true}
	return hit
}

// fillOuter is the fetch of a line that the outer cache does not have.
func (p *player) fillOuter(x *line) {
	if p.outer && !x.outer.there {
		x.outer = copied{v: x.memory, there: true}
	}
}

// load is a load by CPU.
func (p *player) load(l int) {
	x := &p.lines[l]
	if p.attr != cached {
		p.read(l, x.memory)
		return
	}
	p.touch(l, false)
	name := p.user()
	hit := x.inner[name].there || p.fill(l, name)
	if hit || p.names > 1 {
		p.read(l, x.inner[name].v)
	}
}

// store is a store by CPU of the whole line.
func (p *player) store(l int) {
	v := fresh | byCPU
	if p.attr != cached {
		p.lines[l].newest, p.lines[l].memory = v, v
		return
	}
	p.touch(l, true)
	p.storeCached(l, p.user(), v)
}

func (p *player) storeCached(l, name int, v version) {
	x := &p.lines[l]
	x.newest = v
	switch {
	case x.inner[name].there:
		x.inner[name] = copied{v, true, true}
	case p.onStore:
		if p.fetches {
			p.fillOuter(x)
		}
		x.inner[name] = copied{v, true, true}
	case p.outer && (x.outer.there || p.outStore):
		x.outer = copied{v, true, true}
	default:
		x.memory = v
	}
}

// evict takes a line out of the inner caches.
func (p *player) evict(l int) {
	x := &p.lines[l]
	for name := range x.inner {
		if c := x.inner[name]; c.there {
			x.inner[name] = copied{}
			if c.dirty {
				p.out(l, c.v)
			}
		}
	}
}

// evictOuter takes it out of the outer cache.
func (p *player) evictOuter(l int) {
	x := &p.lines[l]
	c := x.outer
	x.outer = copied{}
	if c.there && c.dirty {
		p.writeBack(l, c.v)
	}
}

// deviceRead is a device's read, deviceWrite its write.
func (p *player) deviceRead(l int) {
	if x := &p.lines[l]; x.memory != x.newest {
		p.violate(memory.StaleDeviceRead, l)
	}
}

func (p *player) deviceWrite(l int) {
	v := fresh | byDevice
	p.lines[l].newest, p.lines[l].memory = v, v
}
