package graph

import "socsim/soc/dmaapi"

// Hint is what a driver or user space says about a hand-over.
type Hint string

// The hints: the flags of QBUF, with which user space says that the CPU did not write to the buffer, or will not read it, and the attribute of the DMA API with which a driver says that there is nothing to
// sync when its device maps or unmaps a buffer.
const (
	HintNoClean      Hint = "no-cache-clean"
	HintNoInvalidate Hint = "no-cache-invalidate"
	HintSkipSync     Hint = "skip-cpu-sync"
)

// Values lists the hints.
func (Hint) Values() []string {
	return []string{string(HintNoClean), string(HintNoInvalidate), string(HintSkipSync)}
}

// given returns hints as the DMA API has them.
func given(lists ...[]Hint) dmaapi.Hints {
	var h dmaapi.Hints
	for _, list := range lists {
		for _, x := range list {
			switch x {
			case HintNoClean:
				h |= dmaapi.NoCacheClean
			case HintNoInvalidate:
				h |= dmaapi.NoCacheInvalidate
			case HintSkipSync:
				h |= dmaapi.SkipCPUSync
			}
		}
	}
	return h
}
