// Package dmaapi models the kernel's streaming and coherent DMA API on a machine whose devices do not snoop the CPU caches.
//
// A driver maps a buffer for a device and syncs it when it changes hands ([API.Do]), or hands several over in one submission ([API.Batch]). What that does to the caches is data: a coherence [Profile]
// says which operation each call performs for each direction. Whether and how the operation is carried out is the question of this project, so it is put to a [Policy] first: a flush strategy may leave
// it out, treat the whole cache instead of the range, or leave it to a worker thread, for whom a driver waits before it starts the device ([API.Wait], [API.Then]).
//
// Who owns a buffer is known for each mapping ([Owner]). Misuse that kernel/dma/debug.c would find, and accesses by the wrong owner, which it cannot see, go to a [Debugger].
//
// Sources: arch/arm/mm/dma-mapping.c and cache-v7.S (Linux, about v3.15) for ARMv7, and for the others what their profiles say; drivers/iommu/omap-iommu.c for the IOMMU's map loop.
//
// Left out: highmem pages, which are maintained one temporary mapping at a time; bounce buffers; clean pages that need no flush before user space sees them (PG_dcache_clean); the kernel's own mapping
// of coherent memory, of which only clearing and flushing cost something.
package dmaapi

import (
	"fmt"
	"sort"
	"strings"

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
	// OuterFirst maintains outer caches before the inner ones on the way back to the CPU. On the way to the device they come after.
	OuterFirst bool
	// Snoops tells that the devices see the CPU's caches, and the CPU what devices write: memory is coherent without any operation. What snooping costs on the bus is left out.
	Snoops bool
	// Speculates tells that the core may fetch lines nobody asked for, so that what a device wrote is invalidated after it as well.
	Speculates bool
}

// Rules are what tells architectures without snooping apart, after the parameters of Arnd Bergmann's dma-sync-rework series (kernel.googlesource.com, arnd/asm-generic, dma-sync-rework-v1). The
// third, whether clean pages are tracked, is left out.
type Rules struct {
	// Speculates: the core may fetch lines that nobody asked for while a device owns them.
	Speculates bool
	// Before is what is done before a device writes, Clean or Invalidate: either keeps a dirty line from falling on its data later.
	Before Operation
}

// tables derives the operations. A core that speculates invalidates after the device in any case, so that before a device that reads and writes a clean is enough; one that does not must drop the
// lines then, as nothing will be done afterwards.
func (r Rules) tables() (forDevice, forCPU [directions]Operation) {
	forDevice = [directions]Operation{ToDevice: Clean, FromDevice: r.Before, Bidirectional: Clean}
	if r.Speculates {
		forCPU = [directions]Operation{ToDevice: Nothing, FromDevice: Invalidate, Bidirectional: Invalidate}
	} else {
		forDevice[Bidirectional] = CleanInvalidate
	}
	return forDevice, forCPU
}

// by fills in the tables of a profile from rules.
func (p Profile) by(r Rules) Profile {
	p.Speculates = r.Speculates
	p.ForDevice, p.ForCPU = r.tables()
	return p
}

// allColours is the same profile for an aliasing cache, all of whose colours are visited.
func (p Profile) allColours() Profile {
	p.Name += "-all-colours"
	p.Doc = "As " + strings.TrimSuffix(p.Name, "-all-colours") + ", but each line is visited under every colour of the first level, for a virtually indexed cache whose aliases are software's business."
	p.Source = "definition: flush_pfn_alias for each colour in arch/arm/mm/flush.c, recalled"
	p.AllColours = true
	return p
}

var (
	armv7 = Profile{
		Name:   "armv7",
		Doc:    "Non-coherent ARMv7 with an integrated L2 (Cortex-A8): by address to the point of coherency, invalidate at both ends of FROM_DEVICE, clean alone before BIDIRECTIONAL.",
		Source: "arch/arm/mm/dma-mapping.c and cache-v7.S, Linux v3.15",
		Edge:   cpu.EdgeFlush, OuterFirst: true,
	}.by(Rules{Speculates: true, Before: Invalidate})

	armv7Outer = Profile{
		Name:   "armv7-outer",
		Doc:    "ARMv7 with an outer cache (Cortex-A9 and PL310): as armv7, then the outer cache by physical address; on the way back to the CPU the outer cache first.",
		Source: "arch/arm/mm/dma-mapping.c, __dma_page_cpu_to_dev and __dma_page_dev_to_cpu, Linux v3.15",
		Edge:   cpu.EdgeFlush, OuterFirst: true,
	}.by(Rules{Speculates: true, Before: Invalidate})

	armv6 = Profile{
		Name: "armv6",
		Doc: "ARM1136, whose data cache keeps copies under several colours: as armv7, by the kernel's linear address alone, so that what a user mapping of another colour holds is not reached. " +
			"A first edge line is cleaned and then invalidated, a last one both at once.",
		Source: "arch/arm/mm/cache-v6.S, v6_dma_map_area, v6_dma_unmap_area and v6_dma_inv_range, recalled",
		Edge:   cpu.EdgeFlush, OuterFirst: true,
	}.by(Rules{Speculates: true, Before: Invalidate})

	armv5 = Profile{
		Name:   "armv5",
		Doc:    "ARM926, whose data cache is found by virtual address: the core does not speculate, so nothing is done on the way back and BIDIRECTIONAL drops its lines beforehand.",
		Source: "arch/arm/mm/proc-arm926.S, arm926_dma_map_area, arm926_dma_unmap_area and arm926_dma_inv_range, recalled",
		Edge:   cpu.EdgeFlush, OuterFirst: true,
	}.by(Rules{Before: Invalidate})

	arm64Before519 = Profile{
		Name:   "arm64-before-5.19",
		Doc:    "arm64 until v5.18: invalidate before FROM_DEVICE and after, clean before the others.",
		Source: "arch/arm64/mm/cache.S, __dma_map_area and __dma_unmap_area before c50f11c6196f, recalled; the edge rule of __dma_inv_area as well",
		Edge:   cpu.EdgeFlush, OuterFirst: true,
	}.by(Rules{Speculates: true, Before: Invalidate})

	arm64 = Profile{
		Name:   "arm64",
		Doc:    "arm64 since v5.19: clean before the device in every direction, invalidate after it unless TO_DEVICE.",
		Source: "commit c50f11c6196f, arch/arm64/mm/dma-mapping.c; the edge rule of dcache_inval_poc is recalled",
		Edge:   cpu.EdgeFlush, OuterFirst: true,
	}.by(Rules{Speculates: true, Before: Clean})

	coherent = Profile{
		Name:   "coherent",
		Doc:    "Devices snoop the CPU caches: no operation does anything.",
		Source: "arm_coherent_dma_ops",
		Edge:   cpu.EdgeFlush, OuterFirst: true, Speculates: true, Snoops: true,
	}
)

// profiles are the profiles by name.
var profiles = byName(armv7, armv7.allColours(), armv7Outer, armv6, armv6.allColours(), armv5, armv5.allColours(), arm64Before519, arm64, coherent)

func byName(list ...Profile) map[string]Profile {
	m := map[string]Profile{}
	for _, p := range list {
		m[p.Name] = p
	}
	return m
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
