package graph

import (
	"slices"
	"testing"

	"socsim/sim"
	"socsim/soc/dmaapi"
)

// deferring leaves every operation of the profile to a worker.
type deferring struct{}

func (deferring) Decide(q *dmaapi.Question) dmaapi.Answer {
	return dmaapi.Answer{Op: q.Default, Defer: true}
}

// tracking maps no pages and syncs those that were touched, as ion did, by each buffer's name and index.
type tracking struct {
	touched map[string][]dmaapi.Span
	synced  int
}

func (p *tracking) Decide(q *dmaapi.Question) dmaapi.Answer {
	key := q.Buffer + string(rune('0'+q.Index))
	switch q.Event {
	case dmaapi.MapCPU:
		return dmaapi.Answer{Track: true}
	case dmaapi.CPUFault:
		p.touched[key] = append(p.touched[key], dmaapi.Span{Offset: q.Offset, Bytes: q.Length})
	case dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover:
		spans := slices.Clone(p.touched[key])
		if q.Event == dmaapi.ToDeviceHandover {
			delete(p.touched, key) // the pages are taken away
		}
		if len(spans) > 0 && q.Default != dmaapi.Nothing {
			p.synced += len(spans)
			return dmaapi.Answer{Op: dmaapi.CleanInvalidate, Extent: dmaapi.Partial, Spans: spans}
		}
	}
	return dmaapi.Answer{}
}

func TestAnApplicationIsCorrectUnderPoliciesThatDeferOrTrack(t *testing.T) {
	track := &tracking{touched: map[string][]dmaapi.Span{}}
	for _, p := range []dmaapi.Policy{deferring{}, track} {
		app := preview()
		app.Buffers[0].Count = 3
		r := start(t, chip(), app, p, 800*sim.Millisecond)
		if n := r.graph.captured; n < 15 {
			t.Errorf("%T: %d frames captured", p, n)
		}
		for k, n := range r.seen.count {
			if n > 0 {
				t.Errorf("%T: %d violations of kind %d, the last %+v", p, n, k, r.seen.last)
			}
		}
		if m := r.sys.Core.Stats().Maintenance; m.Visited == 0 {
			t.Errorf("%T: no line was maintained", p)
		}
	}
	if track.synced == 0 {
		t.Error("no page was synced")
	}
}
