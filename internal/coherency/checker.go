// Package coherency is the instrument that turns violations into blame: which buffer and offset, who wrote, who read, and at which hand-over the operation was missing.
//
// It is handed to the memory (which detects violations by comparing versions), to the DMA API (which reports hand-overs and, if asked to, wrong use) and to buffer sharing (which reports errors about
// the life of buffers); it changes none of them. A violation counts once per kind, line, reader and
// ownership period: sixteen loads from one stale line are one. A period ends when the buffer is handed over.
package coherency

import (
	"fmt"
	"sort"

	"socsim/internal/result"
	"socsim/sim/bus"
	"socsim/soc/dmaapi"
	"socsim/soc/memory"
)

// Checker implements memory.Observer, dmaapi.Tracer, dmaapi.Debugger and dmabuf.Debugger.
type Checker struct {
	mem     *memory.Memory
	master  func(bus.Master) string
	line    int64
	warm    bool // the warm-up is over
	counts  [memory.ViolationKinds]uint64
	buffers map[int32]*history // by region
	seen    map[key]uint32     // period in which the violation was counted last
	groups  map[groupKey]*group

	others       uint64
	astray       map[translationKey]bool
	translations map[translationGroup]*result.Violation

	misuses map[misuseKey]*result.Violation
	notes   []Note
}

type key struct {
	kind   memory.ViolationKind
	addr   bus.Phys
	reader bus.Master
}

type groupKey struct {
	kind           memory.ViolationKind
	region         int32
	writer, reader bus.Master
	warmup         bool
}

type group struct {
	first  result.Violation
	end    int64 // of the first contiguous run
	run    bool  // the first run may still grow
	period uint32
}

// history is what is known of a buffer's hand-overs.
type history struct {
	period uint32
	name   string
	index  int
	last   map[dmaapi.Event]dmaapi.Handover
}

// New returns a checker. line is the granule of versions in bytes, but for lines that two owners share; master names masters.
func New(mem *memory.Memory, master func(bus.Master) string) *Checker {
	return &Checker{
		mem: mem, master: master, line: int64(mem.LineBytes()),
		buffers: map[int32]*history{}, seen: map[key]uint32{}, groups: map[groupKey]*group{},
		astray: map[translationKey]bool{}, translations: map[translationGroup]*result.Violation{},
		misuses: map[misuseKey]*result.Violation{},
	}
}

// EndWarmup starts the counting of the metrics; violations before stay in the list, marked.
func (c *Checker) EndWarmup() { c.warm = true }

func (c *Checker) history(region int32) *history {
	h := c.buffers[region]
	if h == nil {
		h = &history{last: map[dmaapi.Event]dmaapi.Handover{}}
		c.buffers[region] = h
	}
	return h
}

// Handover notes that a buffer changed hands.
func (c *Checker) Handover(x dmaapi.Handover) {
	h := c.history(x.Buffer.Region.ID)
	h.period++
	h.name, h.index = x.Buffer.Name, x.Buffer.Index
	h.last[x.Event] = x
}

// Violation counts a violation and works out whom to blame.
func (c *Checker) Violation(v memory.Violation) {
	addr, bytes := v.Addr, c.line
	if v.Bytes > 0 { // of an edge line
		addr, bytes = v.Addr+bus.Phys(v.First), int64(v.Bytes)
	}
	region, off := c.mem.Owner(addr)
	id := int32(-1)
	if region != nil {
		id = region.ID
	}
	h := c.history(id)
	k := key{v.Kind, addr, v.Actor}
	if p, ok := c.seen[k]; ok && p == h.period {
		return
	}
	c.seen[k] = h.period
	if c.warm {
		c.counts[v.Kind]++
	}
	gk := groupKey{v.Kind, id, v.Newest.Master(), v.Actor, !c.warm}
	g := c.groups[gk]
	if g == nil {
		g = &group{run: true, period: h.period, end: off + bytes, first: result.Violation{
			Kind: v.Kind.String(), Offset: off, Bytes: bytes,
			Writer: c.master(v.Newest.Master()), WrittenPS: int64(v.Newest.Time()),
			Reader: c.reader(v), ReadPS: int64(v.At), Warmup: !c.warm,
		}}
		g.first.Buffer, g.first.Index = h.name, h.index
		if h.name == "" && region != nil {
			g.first.Buffer = region.Name
		}
		g.first.Missing, g.first.Where = h.blame(v)
		c.groups[gk] = g
	} else if g.run && g.period == h.period && off == g.end {
		g.end += bytes
		g.first.Bytes += bytes
	} else {
		g.run = false
	}
	g.first.Count++
}

func (c *Checker) reader(v memory.Violation) string {
	if v.Walk {
		return c.master(v.Actor) + " table walker"
	}
	return c.master(v.Actor)
}

// blame names the operation that was missing and the hand-over at which it belongs: the last one at which the profile would have done it and the strategy did not, or did it to too little.
func (h *history) blame(v memory.Violation) (missing, where string) {
	if v.Walk {
		return "clean", "of the descriptor after it was stored, before the table walker reads it"
	}
	switch v.Kind {
	case memory.StaleDeviceRead:
		return "clean", h.where("before the device reads", dmaapi.ToDeviceHandover, dmaapi.MapDevice)
	case memory.StaleCPURead:
		return "invalidate", h.where("after the device wrote", dmaapi.ToCPUHandover, dmaapi.UnmapDevice)
	case memory.LostDeviceData:
		return "clean or invalidate", h.where("before the device writes", dmaapi.ToDeviceHandover, dmaapi.MapDevice)
	case memory.AliasError:
		return "clean+invalidate under the other address", h.where("between the CPU's accesses", dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover, dmaapi.MapDevice, dmaapi.UnmapDevice)
	default:
		return "clean", h.where("before the invalidate", dmaapi.ToDeviceHandover, dmaapi.MapDevice)
	}
}

func (h *history) where(when string, events ...dmaapi.Event) string {
	var best *dmaapi.Handover
	for _, e := range events {
		if x, ok := h.last[e]; ok && (best == nil || x.At > best.At) {
			best = &x
		}
	}
	if best == nil {
		return "no hand-over " + when
	}
	did := "did " + best.Answer.Op.String()
	if best.Answer.Op != dmaapi.Nothing && best.Answer.Extent == dmaapi.Whole {
		did = "flushed the whole cache"
	}
	return fmt.Sprintf("%s: %s hand-over (%v) of %s at %v, where the profile says %v and the strategy %s",
		when, best.Event, best.Direction, best.Device, best.At, best.Default, did)
}

// Count returns the violations of a kind since the warm-up.
func (c *Checker) Count(k memory.ViolationKind) uint64 { return c.counts[k] }

// Total returns all violations since the warm-up.
func (c *Checker) Total() uint64 {
	n := c.others
	for _, k := range c.counts {
		n += k
	}
	return n
}

// Violations returns the groups in the order of their first occurrence.
func (c *Checker) Violations() []result.Violation {
	out := make([]result.Violation, 0, len(c.groups)+len(c.translations)+len(c.misuses))
	for _, g := range c.groups {
		out = append(out, g.first)
	}
	for _, v := range c.translations {
		out = append(out, *v)
	}
	for _, v := range c.misuses {
		out = append(out, *v)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		switch {
		case a.ReadPS != b.ReadPS:
			return a.ReadPS < b.ReadPS
		case a.Kind != b.Kind:
			return a.Kind < b.Kind
		case a.Buffer != b.Buffer:
			return a.Buffer < b.Buffer
		case a.Index != b.Index:
			return a.Index < b.Index
		case a.Offset != b.Offset:
			return a.Offset < b.Offset
		case a.Writer != b.Writer:
			return a.Writer < b.Writer
		case a.Reader != b.Reader:
			return a.Reader < b.Reader
		case a.Missing != b.Missing:
			return a.Missing < b.Missing
		default:
			return !a.Warmup && b.Warmup
		}
	})
	return out
}
