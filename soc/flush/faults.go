package flush

import (
	"cmp"
	"slices"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// faultTracking is ION's way to find out which pages the CPU may have touched: it maps none, and each fault marks its page as dirty, whether it was a load or a store. A hand-over to a device syncs
// the dirty pages and takes all pages away again. For the CPU a page is synced when it faults.
type faultTracking struct {
	force, syncAtFault bool
	buffers            map[bufferKey]*trackedBuffer
}

// trackedBuffer is what faultTracking knows of a buffer.
type trackedBuffer struct {
	dirty []dmaapi.Span // by offset, one a page
	away  bool          // a device that does not snoop has had it
}

func newFaultTracking(force, syncAtFault bool) *faultTracking {
	return &faultTracking{force: force, syncAtFault: syncAtFault, buffers: map[bufferKey]*trackedBuffer{}}
}

func (f *faultTracking) buffer(q *dmaapi.Question) *trackedBuffer {
	b := f.buffers[keyOf(q)]
	if b == nil {
		b = &trackedBuffer{}
		f.buffers[keyOf(q)] = b
	}
	return b
}

func (f *faultTracking) Decide(q *dmaapi.Question) dmaapi.Answer {
	cached := q.Attr == cpu.Cached || q.Attr == cpu.WriteThrough
	switch q.Event {
	case dmaapi.Allocate:
		return dmaapi.Answer{Force: f.force && (cached || q.Attr == cpu.NoMapping)}
	case dmaapi.MapCPU:
		return dmaapi.Answer{Track: cached}
	case dmaapi.CPUFault:
		b := f.buffer(q)
		fresh := b.mark(dmaapi.Span{Offset: q.Offset, Bytes: q.Length})
		if f.syncAtFault && b.away && fresh { // a page that is dirty already has data of the CPU's
			return dmaapi.Answer{Op: dmaapi.Invalidate}
		}
	case dmaapi.MapDevice, dmaapi.ToDeviceHandover:
		return f.buffer(q).sync(q)
	case dmaapi.Free:
		delete(f.buffers, keyOf(q))
	}
	return dmaapi.Answer{}
}

// mark notes a page and tells whether it was not noted before.
func (b *trackedBuffer) mark(page dmaapi.Span) bool {
	i, there := slices.BinarySearchFunc(b.dirty, page, func(a, b dmaapi.Span) int { return cmp.Compare(a.Offset, b.Offset) })
	if there || page.Bytes <= 0 || page.Offset < 0 {
		return false
	}
	b.dirty = slices.Insert(b.dirty, i, page)
	return true
}

// sync answers with the pages noted, neighbours joined, and forgets them.
func (b *trackedBuffer) sync(q *dmaapi.Question) dmaapi.Answer {
	if q.Default == dmaapi.Nothing {
		return dmaapi.Answer{}
	}
	b.away = true
	var spans []dmaapi.Span
	for _, p := range b.dirty {
		p.Bytes = min(p.Bytes, q.Bytes-p.Offset)
		if n := len(spans) - 1; n >= 0 && p.Bytes > 0 && spans[n].Offset+spans[n].Bytes >= p.Offset {
			spans[n].Bytes = max(spans[n].Bytes, p.Offset+p.Bytes-spans[n].Offset)
		} else if p.Bytes > 0 {
			spans = append(spans, p)
		}
	}
	b.dirty = b.dirty[:0]
	if len(spans) == 0 {
		return dmaapi.Answer{}
	}
	return dmaapi.Answer{Op: q.Default, Extent: dmaapi.Partial, Spans: spans}
}
