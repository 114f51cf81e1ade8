package flush

import (
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// none keeps the attribute asked for and maintains nothing.
type none struct{}

func (none) Decide(*dmaapi.Question) dmaapi.Answer { return dmaapi.Answer{} }

// byRange does what the coherence profile says, by address.
type byRange struct{}

func (byRange) Decide(q *dmaapi.Question) dmaapi.Answer { return dmaapi.Answer{Op: q.Default} }

// whole treats the whole cache wherever byRange does something.
type whole struct{}

func (whole) Decide(q *dmaapi.Question) dmaapi.Answer {
	if q.Default == dmaapi.Nothing {
		return dmaapi.Answer{}
	}
	return dmaapi.Answer{Op: dmaapi.CleanInvalidate, Extent: dmaapi.Whole}
}

// uncached turns cached buffers into coherent ones.
type uncached struct{}

func (uncached) Decide(q *dmaapi.Question) dmaapi.Answer { return instead(q, cpu.Uncached) }

// writeCombine turns cached buffers into write-combined ones.
type writeCombine struct{}

func (writeCombine) Decide(q *dmaapi.Question) dmaapi.Answer { return instead(q, cpu.WriteCombine) }

// instead answers with an attribute where a cached one was asked for. Memory that the CPU is not to map is allocated like the rest, so that what zeroed it is not left in the caches.
func instead(q *dmaapi.Question, a cpu.Attr) dmaapi.Answer {
	if q.Event == dmaapi.Allocate && q.Attr == cpu.NoMapping {
		return dmaapi.Answer{Attr: cpu.NoMapping}
	}
	if (q.Event == dmaapi.Allocate || q.Event == dmaapi.MapCPU) && (q.Attr == cpu.Cached || q.Attr == cpu.WriteThrough) {
		return dmaapi.Answer{Attr: a}
	}
	return dmaapi.Answer{}
}

// userHints honours the flags of QBUF as videobuf2 does: NO_CACHE_CLEAN skips prepare, NO_CACHE_INVALIDATE skips finish, whatever these would have done.
type userHints struct{}

func (userHints) Decide(q *dmaapi.Question) dmaapi.Answer {
	switch q.Event {
	case dmaapi.MapDevice, dmaapi.ToDeviceHandover:
		if q.Hints.Has(dmaapi.NoCacheClean) {
			return dmaapi.Answer{}
		}
	case dmaapi.UnmapDevice, dmaapi.ToCPUHandover:
		if q.Hints.Has(dmaapi.NoCacheInvalidate) {
			return dmaapi.Answer{}
		}
	}
	return dmaapi.Answer{Op: q.Default}
}
