// Package flush holds the flush strategies: the policies under test. A strategy answers the questions of package dmaapi: which CPU attribute a buffer gets, and at each hand-over which
// maintenance is done and how. It sees sizes, directions, hints and its own history, as a driver does, and nothing of the caches; [optimal] alone may look.
//
// A strategy is code in this package, listed in [All], or a table of rules in YAML, which package internal/strategy turns into an [Info] of the same kind. Either may have parameters: see [Param].
//
// Sources: each strategy names its own. Left out: what only a driver's own memory management could know, such as the page pools that nvmap cleans before it hands pages out.
package flush

import (
	"fmt"
	"slices"
	"strings"

	"socsim/soc/dmaapi"
)

// Info describes a strategy, and with [Info.New] makes policies of it.
type Info struct {
	Name string
	// Doc says what it does, Shipped where it shipped ("" for nowhere), Source where that is written.
	Doc, Shipped, Source string
	// Params are its parameters; With sets them.
	Params []Param
	// Yardstick strategies see what no driver can.
	Yardstick bool
	// Baseline strategies stand for hardware that is not there, not for something a driver could do; "all" leaves them out.
	Baseline bool
	// Coherent asks for hardware whose caches are always current.
	Coherent bool

	set  map[string]Value // what differs from the defaults
	make func(Settings) dmaapi.Policy
}

// Define describes a strategy made by make from the values of its parameters. It panics if the parameters are not well formed.
func Define(i Info, make func(Settings) dmaapi.Policy) Info {
	for _, p := range i.Params {
		if _, err := p.Parse(p.Default); err != nil {
			panic(fmt.Sprintf("flush: strategy %s: default of %s: %v", i.Name, p.Name, err))
		}
	}
	i.set, i.make = nil, make
	return i
}

// Param returns the parameter of a name.
func (i Info) Param(name string) (Param, bool) {
	for _, p := range i.Params {
		if p.Name == name {
			return p, true
		}
	}
	return Param{}, false
}

// ParamNames lists the parameters by name, in their order.
func (i Info) ParamNames() []string {
	var names []string
	for _, p := range i.Params {
		names = append(names, p.Name)
	}
	return names
}

// With returns the strategy with a parameter set. The error says what is wrong with the name or the text.
func (i Info) With(name, text string) (Info, error) {
	p, ok := i.Param(name)
	if !ok {
		return i, fmt.Errorf("strategy %s has no parameter %q", i.Name, name)
	}
	v, err := p.Parse(text)
	if err != nil {
		return i, fmt.Errorf("parameter %s of strategy %s: %w", name, i.Name, err)
	}
	set := map[string]Value{}
	for n, old := range i.set {
		set[n] = old
	}
	set[name] = v
	i.set = set
	return i, nil
}

// Settings returns the values of the parameters.
func (i Info) Settings() Settings {
	s := Settings{params: i.Params, values: make([]Value, len(i.Params))}
	for k, p := range i.Params {
		if v, ok := i.set[p.Name]; ok {
			s.values[k] = v
			continue
		}
		v, err := p.Parse(p.Default)
		if err != nil {
			panic(fmt.Sprintf("flush: default of %s: %v", p.Name, err)) // Define has looked
		}
		s.values[k] = v
	}
	return s
}

// Label names the strategy with the parameters that differ from their defaults, in the syntax of the command line: "nvmap(inner=1MiB)". Two strategies with the same label decide alike.
func (i Info) Label() string {
	var set []string
	s := i.Settings()
	for k, p := range i.Params {
		if text := p.Format(s.values[k]); text != p.canonical() {
			set = append(set, p.Name+"="+text)
		}
	}
	if len(set) == 0 {
		return i.Name
	}
	return i.Name + "(" + strings.Join(set, ",") + ")"
}

// New returns a fresh policy of this strategy, with no history.
func (i Info) New() dmaapi.Policy { return i.make(i.Settings()) }

// plain is the maker of a policy without parameters.
func plain(make func() dmaapi.Policy) func(Settings) dmaapi.Policy {
	return func(Settings) dmaapi.Policy { return make() }
}

var strategies = []Info{
	Define(Info{
		Name: "none", Doc: "Cached buffers and no maintenance at all: what a driver that forgets every sync does.",
		Source: "the bug that DMA_ATTR_SKIP_CPU_SYNC invites",
	}, plain(func() dmaapi.Policy { return none{} })),
	Define(Info{
		Name: "range", Doc: "Cached buffers; at each hand-over the operation of the coherence profile on every line of the buffer, by address.",
		Shipped: "Linux", Source: "arch/arm/mm/dma-mapping.c; drivers/dma-buf/heaps/system_heap.c",
	}, plain(func() dmaapi.Policy { return byRange{} })),
	Define(Info{
		Name: "whole", Doc: "Cached buffers; wherever range does something, the whole cache is cleaned and invalidated by set and way.",
		Shipped: "omap3isp before Linux 3.16, at one hand-over of the two: see omap3isp-legacy", Source: "drivers/media/video/omap3isp/ispqueue.c flushed the whole cache for any buffer",
	}, plain(func() dmaapi.Policy { return whole{} })),
	Define(Info{
		Name: "uncached", Doc: "Buffers are allocated coherent: the CPU maps them uncached and no maintenance is needed.",
		Shipped: "Linux", Source: "dma_alloc_coherent; the default of V4L2 MMAP buffers",
	}, plain(func() dmaapi.Policy { return uncached{} })),
	Define(Info{
		Name: "write-combine", Doc: "Buffers are mapped write-combined: stores gather on their way to memory, loads are those of uncached memory, and no maintenance is needed.",
		Shipped: "Android's system-uncached heap; DRM drivers", Source: "dma_alloc_wc; the system-uncached heap, ff2efbe6",
	}, plain(func() dmaapi.Policy { return writeCombine{} })),
	Define(Info{
		Name: "skip-sync", Doc: "As range, but once: when a device gets a buffer that another device has already, or the CPU one that it has back already, nothing is done again.",
		Shipped: "Linux, where a driver asks for it", Source: "DMA_ATTR_SKIP_CPU_SYNC, bdf5e487",
	}, plain(func() dmaapi.Policy { return &skipSync{} })),
	Define(Info{
		Name: "user-hints", Doc: "As range, but for hand-overs of a buffer that was queued with NO_CACHE_CLEAN (not cleaned for the device) or NO_CACHE_INVALIDATE (not invalidated for the CPU).",
		Shipped: "Linux, V4L2 queues that report V4L2_BUF_CAP_SUPPORTS_MMAP_CACHE_HINTS", Source: "Documentation/userspace-api/media/v4l/buffer.rst; videobuf2-core.c",
	}, plain(func() dmaapi.Policy { return userHints{} })),
	Define(Info{
		Name: "ion-fault-tracking", Doc: "User mappings start without pages; the first touch of each is a fault that notes it as dirty and invalidates it if a device has had it. A device gets the dirty " +
			"pages synced, and all pages are unmapped again.",
		Shipped: "Android kernels (ION)", Source: "drivers/gpu/ion at 56a7c185, ion_vm_fault and ion_buffer_sync_for_device; the flush at allocation is ION_FLAG_SYNC_FORCE, 7e825b8e",
		Params: []Param{
			{
				Name: "force", Type: Bool, Default: "true",
				Doc: "Clean and invalidate a cached buffer when it is allocated, so that what zeroed its pages cannot be evicted over what a device writes.",
			}, {
				Name: "sync_at_fault", Type: Bool, Default: "true",
				Doc: "Invalidate a page when it faults. Later versions of ION do not: what the CPU read before is then gone only if the device got it by an invalidate.",
			},
		},
	}, func(s Settings) dmaapi.Policy { return newFaultTracking(s.Bool("force"), s.Bool("sync_at_fault")) }),
	calibratedInfo,
	Define(Info{
		Name: "optimal", Doc: "A yardstick: cleans the dirty lines a device may read, drops the dirty ones it will overwrite, and invalidates the stale ones before the CPU gets a buffer. " +
			"It sees where they are and pays for one call, one barrier and those lines.",
		Source: "definition", Yardstick: true,
	}, plain(func() dmaapi.Policy { return &optimal{} })),
	Define(Info{
		Name: "ideal-coherent", Doc: "The yardstick: buffers cached, maintenance free, caches always current.",
		Source: "definition", Baseline: true, Coherent: true,
	}, plain(func() dmaapi.Policy { return none{} })),
}

// All lists the strategies of this package in a fixed order, the baselines among them left out.
func All() []Info {
	return slices.DeleteFunc(slices.Clone(strategies), func(i Info) bool { return i.Baseline })
}

// Registered lists all strategies of this package in a fixed order.
func Registered() []Info { return slices.Clone(strategies) }

// Names lists all strategies of this package by name, sorted.
func Names() []string {
	var names []string
	for _, s := range strategies {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// ByName returns a strategy of this package. The error lists the names.
func ByName(name string) (Info, error) {
	for _, s := range strategies {
		if s.Name == name {
			return s, nil
		}
	}
	return Info{}, fmt.Errorf("unknown strategy %q; there are %s", name, strings.Join(Names(), ", "))
}
