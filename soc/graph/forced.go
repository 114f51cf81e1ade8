package graph

import (
	"socsim/soc/cpu"
)

// byCaches is a step that no program asks for: an eviction, or a line fill on speculation. The core speculates by the kernel's linear map, which covers the buffer in any
// case; by the process's cached mapping where the caches tell the two apart.
func (h *holding) byCaches(t *cpu.Thread, x *Step) {
	if h.b.Dead() {
		return
	}
	off, n := x.part(h.b)
	if x.Do != Speculate {
		t.Evict(h.b.Region.RunsOf(off, n), x.Do == EvictOuter)
		return
	}
	m := t.Core().KernelMap(h.b.Region)
	if h.user != nil && h.user.Attr == cpu.Cached && t.Core().Caches().KeepsAliases() {
		m = h.user.Mapping
	}
	t.Prefetch(m, off, n)
}
