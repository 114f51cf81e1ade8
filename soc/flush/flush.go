// Package flush holds the flush strategies: the policies under test. A strategy answers the questions of package dmaapi: which CPU attribute a buffer gets, and at each hand-over which
// maintenance is done and how. It sees sizes, directions, hints and its own history, as a driver does, and nothing of the caches.
package flush

import (
	"fmt"
	"sort"
	"strings"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// Info describes a strategy.
type Info struct {
	Name   string
	Doc    string
	Source string
	// Baseline strategies stand for an ideal, not for something a driver could do; "all" leaves them out.
	Baseline bool
	// Coherent asks for hardware whose caches are always current.
	Coherent bool
	make     func() dmaapi.Policy
}

// Custom describes a strategy that is not in the list: one's own code.
func Custom(name, doc string, make func() dmaapi.Policy) Info {
	return Info{Name: name, Doc: doc, Source: "custom", make: make}
}

// New returns a fresh policy of this strategy, with no history.
func (i Info) New() dmaapi.Policy { return i.make() }

var strategies = []Info{
	{
		Name: "none", Doc: "Cached buffers and no maintenance at all: what a driver that forgets every sync does.",
		Source: "the bug that DMA_ATTR_SKIP_CPU_SYNC invites", make: func() dmaapi.Policy { return none{} },
	},
	{
		Name: "range", Doc: "Cached buffers; at each hand-over the operation of the coherence profile on every line of the buffer, by address.",
		Source: "arch/arm/mm/dma-mapping.c", make: func() dmaapi.Policy { return byRange{} },
	},
	{
		Name: "whole", Doc: "Cached buffers; wherever range does something, the whole cache is cleaned and invalidated by set and way.",
		Source: "drivers/media/video/omap3isp/ispqueue.c flushed the whole cache for any buffer", make: func() dmaapi.Policy { return whole{} },
	},
	{
		Name: "uncached", Doc: "Buffers are allocated coherent: the CPU maps them uncached and no maintenance is needed.",
		Source: "dma_alloc_coherent; the default of V4L2 MMAP buffers", make: func() dmaapi.Policy { return uncached{} },
	},
	{
		Name: "ideal-coherent", Doc: "The yardstick: buffers cached, maintenance free, caches always current.",
		Source: "definition", Baseline: true, Coherent: true, make: func() dmaapi.Policy { return none{} },
	},
}

// All lists the strategies a driver could use, in a fixed order.
func All() []Info {
	var out []Info
	for _, s := range strategies {
		if !s.Baseline {
			out = append(out, s)
		}
	}
	return out
}

// Names lists all strategies by name, sorted.
func Names() []string {
	var names []string
	for _, s := range strategies {
		names = append(names, s.Name)
	}
	sort.Strings(names)
	return names
}

// ByName returns a strategy. The error lists the names.
func ByName(name string) (Info, error) {
	for _, s := range strategies {
		if s.Name == name {
			return s, nil
		}
	}
	return Info{}, fmt.Errorf("unknown strategy %q; there are %s", name, strings.Join(Names(), ", "))
}

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

func (uncached) Decide(q *dmaapi.Question) dmaapi.Answer {
	if (q.Event == dmaapi.Allocate || q.Event == dmaapi.MapCPU) && (q.Attr == cpu.Cached || q.Attr == cpu.WriteThrough) {
		return dmaapi.Answer{Attr: cpu.Uncached}
	}
	return dmaapi.Answer{}
}
