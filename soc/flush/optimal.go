package flush

import "socsim/soc/dmaapi"

// truth is what optimal looks at: where in the buffer it is asked about the caches hold dirty lines, and stale ones.
type truth interface {
	DirtySpans() []dmaapi.Span
	StaleSpans() []dmaapi.Span
}

// optimal does the least maintenance that keeps a run correct, as far as the state of the caches tells: it does not know what will be evicted before it matters, nor what nobody will read. A hand-over
// with nothing to do costs nothing. Until it sees, it does what range does.
type optimal struct{ truth truth }

// See lets it look.
func (o *optimal) See(t dmaapi.Truth) { o.truth = t }

func (o *optimal) Decide(q *dmaapi.Question) dmaapi.Answer {
	if o.truth == nil {
		return dmaapi.Answer{Op: q.Default}
	}
	switch q.Event {
	case dmaapi.MapDevice, dmaapi.ToDeviceHandover:
		switch {
		case q.Default == dmaapi.Nothing: // a device that snoops, or DMA_ATTR_SKIP_CPU_SYNC
		case q.Direction == dmaapi.FromDevice:
			return lines(dmaapi.Invalidate, o.truth.DirtySpans())
		default:
			return lines(dmaapi.Clean, o.truth.DirtySpans())
		}
	case dmaapi.UnmapDevice, dmaapi.ToCPUHandover:
		// Whatever the profile says: without speculation it may leave out here what it did on the way to the device, which this strategy did not.
		if !q.Hints.Has(dmaapi.SkipCPUSync) {
			return lines(dmaapi.Invalidate, o.truth.StaleSpans())
		}
	}
	return dmaapi.Answer{}
}

// lines is an operation on some lines, or nothing if there are none.
func lines(op dmaapi.Operation, spans []dmaapi.Span) dmaapi.Answer {
	if len(spans) == 0 {
		return dmaapi.Answer{}
	}
	return dmaapi.Answer{Op: op, Extent: dmaapi.Lines, Spans: spans}
}
