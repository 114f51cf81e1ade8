// Package dmaapi models the kernel's streaming and coherent DMA API on a machine whose devices do not snoop the CPU caches.
//
// What an ownership change does to the caches is data: a coherence [Profile] says which operation each call performs for each direction. Whether and how the operation is carried out is the
// question of this project, so it is put to a [Policy] first: a flush strategy may leave it out, or treat the whole cache instead of the range.
//
// Sources: arch/arm/mm/dma-mapping.c and cache-v7.S (Linux, about v3.15) for ARMv7; drivers/iommu/omap-iommu.c for the IOMMU's map loop.
//
// Left out: highmem pages, bounce buffers.
package dmaapi

import (
	"fmt"
	"sort"

	"socsim/cachemodel"
	"socsim/soc/cpu"
)

// Direction is the direction of a DMA mapping, seen from memory.
type Direction uint8

// The directions.
const (
	ToDevice Direction = iota
	FromDevice
	Bidirectional
	directions
)

func (d Direction) String() string {
	switch d {
	case ToDevice:
		return "TO_DEVICE"
	case FromDevice:
		return "FROM_DEVICE"
	case Bidirectional:
		return "BIDIRECTIONAL"
	}
	return fmt.Sprintf("direction(%d)", uint8(d))
}

// Operation is a cache operation or none.
type Operation uint8

// The operations.
const (
	Nothing Operation = iota
	Clean
	Invalidate
	CleanInvalidate
)

func (o Operation) String() string {
	switch o {
	case Nothing:
		return "nothing"
	case Clean:
		return "clean"
	case Invalidate:
		return "invalidate"
	case CleanInvalidate:
		return "clean+invalidate"
	}
	return fmt.Sprintf("operation(%d)", uint8(o))
}

func (o Operation) cacheOp() cachemodel.Op {
	switch o {
	case Clean:
		return cachemodel.Clean
	case Invalidate:
		return cachemodel.Invalidate
	}
	return cachemodel.CleanInvalidate
}

// Profile is the coherence profile of an architecture: what map and sync-for-device, unmap and sync-for-CPU do, by direction.
type Profile struct {
	Name, Doc, Source string
	ForDevice         [directions]Operation
	ForCPU            [directions]Operation
	// Edge is the rule for a line that an invalidated range covers in part.
	Edge cpu.EdgeRule
	// AllColours visits each line under every colour, where aliases are software's business.
	AllColours bool
}

// profiles are the profiles by name.
var profiles = map[string]Profile{
	"armv7": {
		Name:      "armv7",
		Doc:       "Non-coherent ARMv7 with an integrated L2 (Cortex-A8): by address to the point of coherency, invalidate at both ends of FROM_DEVICE, clean alone before BIDIRECTIONAL.",
		Source:    "arch/arm/mm/dma-mapping.c and cache-v7.S, Linux v3.15",
		ForDevice: [directions]Operation{ToDevice: Clean, FromDevice: Invalidate, Bidirectional: Clean},
		ForCPU:    [directions]Operation{ToDevice: Nothing, FromDevice: Invalidate, Bidirectional: Invalidate},
		Edge:      cpu.EdgeFlush,
	},
	"armv7-all-colours": {
		Name:       "armv7-all-colours",
		Doc:        "As armv7, but each line is visited under every colour of the first level, for a virtually indexed cache whose aliases are software's business.",
		Source:     "definition: flush_pfn_alias for each colour in arch/arm/mm/flush.c, recalled",
		ForDevice:  [directions]Operation{ToDevice: Clean, FromDevice: Invalidate, Bidirectional: Clean},
		ForCPU:     [directions]Operation{ToDevice: Nothing, FromDevice: Invalidate, Bidirectional: Invalidate},
		Edge:       cpu.EdgeFlush,
		AllColours: true,
	},
	"coherent": {
		Name:   "coherent",
		Doc:    "Devices snoop the CPU caches: no operation does anything.",
		Source: "arm_coherent_dma_ops",
		Edge:   cpu.EdgeFlush,
	},
}

// ProfileNames lists the coherence profiles.
func ProfileNames() []string {
	var names []string
	for n := range profiles {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// ProfileByName returns a coherence profile.
func ProfileByName(name string) (Profile, bool) {
	p, ok := profiles[name]
	return p, ok
}
