package flush

import "socsim/soc/dmaapi"

// bufferKey names a buffer in a strategy's own books.
type bufferKey struct {
	name  string
	index int
}

func keyOf(q *dmaapi.Question) bufferKey { return bufferKey{q.Buffer, q.Index} }

// skipSync keeps for each buffer who has it, as a driver does that maps a buffer for several devices and passes DMA_ATTR_SKIP_CPU_SYNC for all but the first. A hand-over of a part is carried out and
// not noted. Going the other way the rule is weaker than the attribute's documentation allows: a sync for the CPU is left out only if one of the same kind has been done since a device got the
// buffer, because the first device to give it back need not be the one that wrote.
type skipSync struct{ buffers map[bufferKey]*domain }

// domain is whose a buffer is.
type domain struct {
	holder string                           // the device that got it first; "" for the CPU
	done   [dmaapi.CleanInvalidate + 1]bool // what has been done for the CPU since a device got it
}

func (s *skipSync) Decide(q *dmaapi.Question) dmaapi.Answer {
	range_ := dmaapi.Answer{Op: q.Default}
	if q.Event == dmaapi.Free {
		delete(s.buffers, keyOf(q))
		return range_
	}
	toDevice := q.Event == dmaapi.MapDevice || q.Event == dmaapi.ToDeviceHandover
	toCPU := q.Event == dmaapi.UnmapDevice || q.Event == dmaapi.ToCPUHandover
	if !toDevice && !toCPU || q.Length != q.Bytes || q.Hints.Has(dmaapi.SkipCPUSync) {
		return range_
	}
	d := s.domain(q)
	switch {
	case toDevice && d.holder != "" && d.holder != q.Device:
		return dmaapi.Answer{}
	case toDevice:
		*d = domain{holder: q.Device}
	case int(q.Default) < len(d.done):
		d.holder = ""
		if d.done[q.Default] {
			return dmaapi.Answer{}
		}
		d.done[q.Default] = true
	}
	return range_
}

func (s *skipSync) domain(q *dmaapi.Question) *domain {
	k := keyOf(q)
	d := s.buffers[k]
	if d == nil {
		d = &domain{}
		if s.buffers == nil {
			s.buffers = map[bufferKey]*domain{}
		}
		s.buffers[k] = d
	}
	return d
}
