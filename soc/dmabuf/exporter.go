package dmabuf

import "socsim/soc/cpu"

// Exporter is who allocated a buffer and decides about its maintenance.
type Exporter string

// The exporters.
const (
	SystemHeap   Exporter = "system-heap"
	CMAHeap      Exporter = "cma-heap"
	UncachedHeap Exporter = "uncached-heap"
	VB2SG        Exporter = "vb2-sg"
	VB2Contig    Exporter = "vb2-contig"
	GEM          Exporter = "gem"

	userPages Exporter = "userptr" // no exporter: pinned for a queue
)

// Values lists the exporters.
func (Exporter) Values() []string {
	return []string{string(SystemHeap), string(CMAHeap), string(UncachedHeap), string(VB2SG), string(VB2Contig), string(GEM)}
}

// IsQueue tells whether buffers of this exporter belong to a V4L2 queue, which syncs them at QBUF and in buffer-done.
func (e Exporter) IsQueue() bool { return e == VB2SG || e == VB2Contig }

// Contiguous tells whether the exporter's memory is always contiguous.
func (e Exporter) Contiguous() bool { return e.traits().contiguous }

// SkipsSync tells whether the exporter maps its buffers for importers with DMA_ATTR_SKIP_CPU_SYNC in any case.
func (e Exporter) SkipsSync() bool { return e.traits().skip }

// hook is what an exporter's begin_cpu_access and end_cpu_access sync.
type hook uint8

const (
	hookNone   hook = iota
	hookMapped      // every mapped attachment: k attachments cost k passes
	hookOwn         // the exporter's own mapping
)

// keep is what becomes of a device's mapping when its importer unmaps it.
type keep uint8

const (
	keepNone      keep = iota // it ends
	keepSgt                   // cache_sgt_mapping: the core keeps it until detach and refuses another direction
	keepDirection             // the exporter keeps it until detach, and makes a new one for another direction
)

// traits are what an exporter's code does.
type traits struct {
	contiguous bool
	pages      bool // it allocates pages itself: streaming memory, whatever user space maps it as
	uncached   bool // user space gets it write-combined, and the DMA API is told to leave the caches alone
	skip       bool // it maps for importers with DMA_ATTR_SKIP_CPU_SYNC
	keep       keep
	hook       hook
	faults     bool // mmap populates nothing: each page is mapped by a fault
}

var traitsOf = map[Exporter]traits{
	// drivers/dma-buf/heaps/system_heap.c (0597bca8): dma_map_sgtable with no attributes, a sync of each mapped attachment in begin and end, remap_pfn_range at mmap.
	SystemHeap: {pages: true, hook: hookMapped},
	// drivers/dma-buf/heaps/cma_heap.c, recalled: as the system heap, from the contiguous area; mmap installs a fault handler.
	CMAHeap: {contiguous: true, pages: true, hook: hookMapped, faults: true},
	// The system-uncached heap (ff2efbe6): flushed once when it is allocated, then DMA_ATTR_SKIP_CPU_SYNC everywhere; begin and end sync nothing; mmap is write-combined. Details recalled.
	UncachedHeap: {pages: true, uncached: true, skip: true},
	// drivers/media/common/videobuf2/videobuf2-dma-sg.c, recalled: importers' mappings sync, are kept until detach, and begin and end sync the queue's own mapping in its own direction.
	VB2SG: {pages: true, keep: keepDirection, hook: hookOwn},
	// drivers/media/common/videobuf2/videobuf2-dma-contig.c: importers' mappings skip the sync and are kept until detach; begin and end return 0, for non-coherent memory too.
	VB2Contig: {contiguous: true, skip: true, keep: keepDirection},
	// drivers/gpu/drm/drm_prime.c, recalled: drm_gem_map_dma_buf maps with DMA_ATTR_SKIP_CPU_SYNC, cache_sgt_mapping is set, and there are no CPU access hooks.
	GEM: {contiguous: true, skip: true, keep: keepSgt},

	userPages: {pages: true, skip: true},
}

func (e Exporter) traits() traits { return traitsOf[e] }

// attr is the CPU mapping of the exporter's memory where another was asked for.
func (x traits) attr(asked cpu.Attr) cpu.Attr {
	if x.uncached && asked != cpu.NoMapping {
		return cpu.WriteCombine
	}
	return asked
}
