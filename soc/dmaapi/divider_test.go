package dmaapi

import (
	"testing"

	"socsim/soc/cpu"
)

// dividing sets a buffer apart.
type dividing struct{ *rig }

func (dividing) Apart(buffer, device string) bool { return buffer == "apart" && device == "gpu" }

func TestABufferSetApartTakesNoPartInABatch(t *testing.T) {
	for _, device := range []string{"gpu", "camera"} {
		r := newRig(t, "armv7")
		r.api = New(r.Core, r.api.profile, dividing{r}, r)
		r.answer = func(q *Question) Answer {
			if q.Event == Batch {
				return Answer{Op: CleanInvalidate, Extent: Whole}
			}
			return Answer{Op: q.Default}
		}
		r.run(func(th *cpu.Thread) {
			batch := r.batch(th)
			for i := range batch {
				batch[i].Device = device
			}
			batch[1].Buffer.Name = "apart"
			r.api.Batch(th, batch)
		})
		apart := uint64(0)
		if device == "gpu" {
			apart = 1
		}
		equal(t, "questions", uint64(len(r.asked)), 1+apart)
		q := r.asked[apart]
		equal(t, "event", q.Event, Batch)
		equal(t, "buffers of the batch", uint64(q.Buffers), 2-apart)
		equal(t, "whole calls", r.Core.Stats().Maintenance.WholeCalls, uint64(1))
		equal(t, "range calls", r.Core.Stats().Maintenance.RangeCalls, apart)
		equal(t, "told", len(r.handovers), 3)
	}
}
