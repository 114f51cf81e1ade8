package dmaapi

import (
	"fmt"

	"socsim/cachemodel"
	"socsim/soc/cpu"
)

// Kind is how memory for DMA was allocated: how the kernel maps it and whether its caches need care. What each costs at allocation is [API.Clear]'s.
type Kind uint8

// The kinds, as the DMA API of ARM Linux has them.
const (
	Streaming       Kind = iota // pages, cached: dma_map_sg and syncs
	Coherent                    // dma_alloc_coherent: Normal non-cacheable, bufferable
	WriteCombined               // dma_alloc_wc: the same memory type on ARMv7
	StronglyOrdered             // device or strongly ordered memory: nothing gathers
	NoKernelMapping             // DMA_ATTR_NO_KERNEL_MAPPING: coherent memory that the CPU does not see
	NonCoherent                 // dma_alloc_noncoherent: cached, with explicit syncs
	kinds
)

func (k Kind) String() string {
	names := [...]string{"streaming", "coherent", "write-combined", "strongly-ordered", "no-kernel-mapping", "non-coherent"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Attr is the CPU's attribute for the kind.
func (k Kind) Attr() cpu.Attr {
	return [...]cpu.Attr{cpu.Cached, cpu.Uncached, cpu.WriteCombine, cpu.StronglyOrdered, cpu.NoMapping, cpu.Cached}[k]
}

// Coherent tells whether the memory is never cached by the CPU.
func (k Kind) Coherent() bool { return k != Streaming && k != NonCoherent }

// KindOf returns the kind of memory that a CPU attribute asks for. Cached memory is streaming if the driver allocates pages, and non-coherent if it has the DMA API allocate.
func KindOf(attr cpu.Attr, pages bool) Kind {
	switch attr {
	case cpu.WriteCombine:
		return WriteCombined
	case cpu.Uncached:
		return Coherent
	case cpu.StronglyOrdered:
		return StronglyOrdered
	case cpu.NoMapping:
		return NoKernelMapping
	}
	if pages {
		return Streaming
	}
	return NonCoherent
}

// Clear zeroes newly allocated memory through the kernel's linear map. Memory that is not to be cached, or where force asks for it, is then cleaned and invalidated, in the inner caches and the outer
// ones, as __dma_clear_buffer of arch/arm/mm/dma-mapping.c does once at allocation.
func (a *API) Clear(t *cpu.Thread, b *Buffer, force bool) {
	old := t.Enter(cpu.Driver)
	t.Access(a.Core.KernelMap(b.Region), 0, b.Bytes(), cpu.Touch{Write: true, Width: 8})
	if b.Kind.Coherent() || force {
		t.MaintainRange(cpu.Pass{Op: cachemodel.CleanInvalidate, Edge: a.profile.Edge, AllColours: a.profile.AllColours}, b.Runs)
	}
	b.Region.Cleared = t.Now()
	t.Leave(old)
}
