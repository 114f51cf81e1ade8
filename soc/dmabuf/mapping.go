package dmabuf

import (
	"fmt"
	"slices"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// CPUMapping is a kernel (vmap) or user (mmap) mapping of a buffer. Each has virtual addresses, and on an aliasing cache a colour, of its own.
type CPUMapping struct {
	*cpu.Mapping
	Buffer *Buffer
	Kernel bool
	gone   bool
	made   sim.Time
	died   sim.Time
}

// Mmap maps the buffer into user space with its attribute, or as the strategy has it. The mapping holds a reference to the buffer, as the file of a vma does.
func (b *Buffer) Mmap(t *cpu.Thread) (*CPUMapping, error) {
	if b.dead {
		return nil, b.useAfterFree(t.Now(), "", "mmap of")
	}
	attr := b.Attr
	ans := b.ask(dmaapi.MapCPU)
	if ans.Attr != "" {
		attr = ans.Attr
	}
	if attr == cpu.NoMapping {
		return nil, fmt.Errorf("mapping %s for the CPU: it was allocated without a CPU mapping (cpu_mapping: none)", b.Region.Name)
	}
	m, err := b.mapUser(t, attr, ans.Track && !b.Kind.Coherent())
	if err != nil {
		return nil, fmt.Errorf("mapping %s for the CPU: %w", b.Region.Name, err)
	}
	c := &CPUMapping{Mapping: m, Buffer: b, made: t.Now()}
	b.mappings = append(b.mappings, c)
	b.refs++
	return c, nil
}

// mapUser enters the pages: all at once, for one entry into the kernel, or one by one as they are touched.
func (b *Buffer) mapUser(t *cpu.Thread, attr cpu.Attr, track bool) (*cpu.Mapping, error) {
	core := b.alloc.api.Core
	switch {
	case track:
		return b.alloc.api.MapTracked(b.Region.Name, b.Buffer, attr)
	case b.Exporter.traits().faults:
		return core.MapTracked(b.Region.Name, b.Region, attr, func(*cpu.Thread, int, bool) {})
	}
	m, err := core.Map(b.Region.Name, b.Region, attr)
	if err == nil {
		t.PageFaults(1)
	}
	return m, err
}

// Munmap removes a user mapping.
func (m *CPUMapping) Munmap(t *cpu.Thread) error {
	b := m.Buffer
	if m.gone || m.Kernel {
		return b.alloc.misuse(Misuse{Kind: MunmapUnmapped, Buffer: b, At: t.Now(), Since: m.died}, "munmap of %s: not mapped", b.Region.Name)
	}
	old := t.Enter(cpu.Driver)
	b.ask(dmaapi.UnmapCPU)
	b.Untrack(m.Mapping)
	m.remove(t)
	b.mappings = slices.DeleteFunc(b.mappings, func(x *CPUMapping) bool { return x == m })
	t.Leave(old)
	return b.drop(t)
}

func (m *CPUMapping) remove(t *cpu.Thread) {
	m.Buffer.alloc.api.Core.Unmap(m.Mapping)
	m.gone, m.died = true, t.Now()
}

// MapUser returns the buffer's first user mapping, and makes it if there is none.
func (b *Buffer) MapUser(t *cpu.Thread) (*cpu.Mapping, error) {
	if len(b.mappings) == 0 {
		if _, err := b.Mmap(t); err != nil {
			return nil, err
		}
	}
	return b.mappings[0].Mapping, nil
}

// UnmapUser removes all user mappings.
func (b *Buffer) UnmapUser(t *cpu.Thread) {
	for len(b.mappings) > 0 {
		_ = b.mappings[0].Munmap(t) // it is mapped
	}
}

// Vmap is dma_buf_vmap: it maps the buffer for the kernel, once for all who ask; each of them calls Vunmap.
func (b *Buffer) Vmap(t *cpu.Thread) (*CPUMapping, error) {
	if b.dead {
		return nil, b.useAfterFree(t.Now(), "", "vmap of")
	}
	if b.vmaps == 0 {
		attr := b.Attr
		if attr == cpu.NoMapping {
			if attr = b.Kind.Attr(); attr == cpu.NoMapping {
				return nil, fmt.Errorf("vmap of %s: it was allocated without a kernel mapping (DMA_ATTR_NO_KERNEL_MAPPING)", b.Region.Name)
			}
		}
		m, err := b.alloc.api.Core.Map("vmap of "+b.Region.Name, b.Region, attr)
		if err != nil {
			return nil, fmt.Errorf("vmap of %s: %w", b.Region.Name, err)
		}
		b.vmap = &CPUMapping{Mapping: m, Buffer: b, Kernel: true, made: t.Now()}
	}
	b.vmaps++
	return b.vmap, nil
}

// Vunmap is dma_buf_vunmap; the last one removes the mapping.
func (b *Buffer) Vunmap(t *cpu.Thread) error {
	if b.dead {
		return b.useAfterFree(t.Now(), "", "vunmap of")
	}
	if b.vmaps == 0 {
		return b.alloc.misuse(Misuse{Kind: VunmapUnmapped, Buffer: b, At: t.Now(), Since: b.vunmapped}, "vunmap of %s: not mapped", b.Region.Name)
	}
	if b.vmaps--; b.vmaps == 0 {
		b.vmap.remove(t)
		b.vmap, b.vunmapped = nil, t.Now()
	}
	return nil
}

// Access touches n bytes from off through the mapping on behalf of who, if it is still there.
func (m *CPUMapping) Access(t *cpu.Thread, who string, off, n int, how cpu.Touch) error {
	b := m.Buffer
	switch {
	case b.dead:
		return b.useAfterFree(t.Now(), who, "CPU access to")
	case m.gone:
		return b.alloc.misuse(Misuse{Kind: CPUUseAfterUnmap, Buffer: b, Device: who, At: t.Now(), Since: m.died}, "CPU access to %s: not mapped", b.Region.Name)
	}
	b.CPUAccess(t, who, how.Write)
	t.Access(m.Mapping, off, n, how)
	return nil
}

// CPUAccess reports an access of a CPU that begins on a buffer that is gone or that a device owns.
func (b *Buffer) CPUAccess(t *cpu.Thread, who string, write bool) {
	if b.dead {
		_ = b.useAfterFree(t.Now(), who, "CPU access to")
		return
	}
	b.alloc.api.CPUAccess(t.Now(), b.Buffer, who, write)
}

// maintainVmap is flush_kernel_vmap_range and invalidate_kernel_vmap_range: both clean and invalidate on a cache whose aliases are software's business, and do nothing on others
// (arch/arm/include/asm/cacheflush.h, recalled). The kernel goes by the mapping's own addresses; here all colours of each line are visited, which costs more by the number of colours.
func (b *Buffer) maintainVmap(t *cpu.Thread) {
	if b.vmaps > 0 && b.vmap.Attr == cpu.Cached && b.alloc.api.Core.Caches().KeepsAliases() {
		t.MaintainRange(cpu.Pass{Op: cachemodel.CleanInvalidate, AllColours: true, Reach: cpu.InnerOnly}, b.Runs)
	}
}
