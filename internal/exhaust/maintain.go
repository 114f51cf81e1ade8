package exhaust

import (
	"fmt"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/memory"
)

// ask puts a question to the strategy.
func (p *player) ask(q *dmaapi.Question) dmaapi.Answer {
	a := p.policy.Decide(q)
	if p.asked != nil {
		p.asked(q, a)
	}
	return a
}

// question is [dmaapi.API.Question] of the buffer.
func (p *player) question(e dmaapi.Event) dmaapi.Question {
	return dmaapi.Question{Event: e, Buffer: bufferName, Bytes: p.Bytes, Segments: 1, Length: p.Bytes, Contiguous: true, Exporter: string(exporter), HasOuter: p.outer}
}

// begin allocates the buffer as package dmabuf does, zeroes it and maps it for the process.
func (p *player) begin() error {
	q := dmaapi.Question{
		Event: dmaapi.Allocate, Buffer: bufferName, Bytes: p.Bytes, Direction: dmaapi.FromDevice, Attr: cached, Length: p.Bytes, Contiguous: true, Exporter: string(exporter), HasOuter: p.outer,
	}
	ans := p.ask(&q)
	p.attr, p.kind = cached, dmaapi.Streaming
	if ans.Attr != "" {
		p.attr, p.kind = ans.Attr, dmaapi.KindOf(ans.Attr, true)
	}
	p.clear(p.kind.Coherent() || ans.Force)
	q = p.question(dmaapi.MapCPU)
	q.Attr, q.Direction = p.attr, dmaapi.FromDevice
	ans = p.ask(&q)
	if ans.Attr != "" {
		p.attr = ans.Attr
	}
	p.track = ans.Track && !p.kind.Coherent()
	if p.attr == cpu.WriteThrough || p.attr == cpu.NoMapping {
		return fmt.Errorf("the strategy maps the buffer %s, which is not in the exhaustive world", p.attr)
	}
	p.canonical()
	return nil
}

// clear is [dmaapi.API.Clear]. Of a buffer that is larger than the caches they hold the end.
func (p *player) clear(clean bool) {
	for l := range p.lines {
		p.storeCached(l, 0, fresh|zero)
	}
	inner, all := p.capacity()
	if p.Bytes > inner {
		p.evict(0)
	}
	if p.Bytes > all {
		p.evictOuter(0)
	}
	if clean {
		p.byRange(dmaapi.CleanInvalidate, []dmaapi.Span{{Bytes: p.Bytes}}, false, p.innerLine, p.outerLine)
	}
	p.bad = nil
}

// call is a call of the streaming API for a part of the buffer: [dmaapi.API.Do].
func (p *player) call(e dmaapi.Event, device int, dir dmaapi.Direction, off, n int) {
	toCPU := e == dmaapi.ToCPUHandover || e == dmaapi.UnmapDevice
	if !p.kind.Coherent() {
		q := p.question(e)
		q.Device, q.Direction, q.Offset, q.Length = deviceNames[device], dir, off, n
		q.Default = p.Profile.ForDevice[dir]
		if toCPU {
			q.Default = p.Profile.ForCPU[dir]
		}
		p.off, p.n = off, n
		ans := p.ask(&q)
		p.perform(toCPU, ans, off, n)
	}
	if !toCPU {
		p.present = 0 // zap
	}
}

// touch is the fault of a page that a tracked mapping does not have.
func (p *player) touch(l int, write bool) {
	if !p.track || p.present&(1<<l) != 0 {
		return
	}
	q := p.question(dmaapi.CPUFault)
	q.Page, q.Write = p.page(l), write
	q.Offset = q.Page * memory.PageBytes
	q.Length = min(memory.PageBytes, p.Bytes-q.Offset)
	for k := range p.lines {
		if p.page(k) == q.Page {
			p.present |= 1 << k
		}
	}
	p.perform(true, p.ask(&q), q.Offset, q.Length)
}

// perform carries an answer out, with the order of inner and outer caches that package dmaapi has.
func (p *player) perform(toCPU bool, ans dmaapi.Answer, off, n int) {
	if ans.Op == dmaapi.Nothing {
		return
	}
	spans := []dmaapi.Span{{Offset: off, Bytes: n}}
	if ans.Extent == dmaapi.Partial || ans.Extent == dmaapi.Lines {
		spans = ans.Spans
	}
	all := ans.Extent == dmaapi.Lines // under every address
	inner := func() {
		if ans.Extent == dmaapi.Whole {
			for l := range p.lines {
				p.evict(l) // of every line at once it is the same as to clean and invalidate them
			}
			return
		}
		p.byRange(ans.Op, spans, all, p.innerLine)
	}
	outer := func() {
		if ans.Outer == dmaapi.OuterWhole || ans.Outer == dmaapi.OuterSame && ans.Extent == dmaapi.Whole {
			for l := range p.lines {
				p.evictOuter(l)
			}
			return
		}
		p.byRange(ans.Op, spans, all, p.outerLine)
	}
	switch {
	case !p.outer:
		inner()
	case toCPU && p.Profile.OuterFirst && ans.Extent != dmaapi.Whole:
		outer()
		inner()
	default:
		inner()
		outer()
	}
}

// byRange maintains the watched lines of some spans. An invalidate of a part of a line cleans it as well, where the profile has that.
func (p *player) byRange(op dmaapi.Operation, spans []dmaapi.Span, all bool, passes ...func(l int, op dmaapi.Operation, all bool)) {
	for _, s := range spans {
		for _, pass := range passes {
			for l := range p.lines {
				from := p.offset(l)
				to, end := from+p.Line, s.Offset+s.Bytes
				if s.Bytes <= 0 || end <= from || s.Offset >= to {
					continue
				}
				x := op
				if op == dmaapi.Invalidate && p.Profile.Edge == cpu.EdgeFlush && (s.Offset > from || end < to) {
					x = dmaapi.CleanInvalidate
				}
				pass(l, x, all)
			}
		}
	}
}

// innerLine is an operation on a line of the inner caches, by the kernel's address or under all.
func (p *player) innerLine(l int, op dmaapi.Operation, all bool) {
	x := &p.lines[l]
	names := 1
	if all || p.Profile.AllColours {
		names = p.names
	}
	lost := false
	for name := range names {
		c := x.inner[name]
		if !c.there {
			continue
		}
		if x.inner[name].dirty = false; op != dmaapi.Clean {
			x.inner[name] = copied{}
		}
		switch {
		case !c.dirty:
		case op != dmaapi.Invalidate:
			p.out(l, c.v)
		case !lost: // the call tells of one
			lost = true
			p.drop(l, c.v)
		}
	}
}

// outerLine is an operation on a line of the outer cache.
func (p *player) outerLine(l int, op dmaapi.Operation, _ bool) {
	x := &p.lines[l]
	c := x.outer
	if !c.there {
		return
	}
	if x.outer.dirty = false; op != dmaapi.Clean {
		x.outer = copied{}
	}
	switch {
	case !c.dirty:
	case op == dmaapi.Invalidate:
		p.drop(l, c.v)
	default:
		p.writeBack(l, c.v)
	}
}

// DirtySpans and StaleSpans are what a yardstick may look at: see [dmaapi.Truth].
func (p *player) DirtySpans() []dmaapi.Span {
	return p.spans(func(x *line) bool {
		return x.inner[0].dirty || x.inner[1].dirty || x.outer.dirty || x.memory != x.newest
	})
}

// StaleSpans are the lines of which the caches hold an old copy that the CPU can hit.
func (p *player) StaleSpans() []dmaapi.Span {
	return p.spans(func(x *line) bool {
		for _, c := range x.inner {
			if c.there && c.v != x.newest {
				return true
			}
		}
		return x.outer.there && x.outer.v != x.newest && !x.inner[0].there
	})
}

func (p *player) spans(want func(*line) bool) []dmaapi.Span {
	var out []dmaapi.Span
	for l := range p.lines {
		from := max(p.offset(l), p.off)
		to := min(p.offset(l)+p.Line, p.off+p.n)
		if from >= to || !want(&p.lines[l]) {
			continue
		}
		if n := len(out) - 1; n >= 0 && out[n].Offset+out[n].Bytes == from {
			out[n].Bytes += to - from
		} else {
			out = append(out, dmaapi.Span{Offset: from, Bytes: to - from})
		}
	}
	return out
}
