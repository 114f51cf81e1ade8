package dmaapi

import (
	"fmt"

	"socsim/soc/cpu"
)

// Event is a moment at which a policy is asked.
type Event uint8

// The events. Allocate and MapCPU choose how the CPU sees the buffer; UnmapCPU and Free tell that this is over; the others choose cache maintenance.
const (
	Allocate         Event = iota // the exporter allocates the buffer
	MapCPU                        // a CPU mapping is created
	UnmapCPU                      // a CPU mapping is removed
	Free                          // the exporter frees the buffer
	MapDevice                     // an attachment is mapped for its device
	UnmapDevice                   // it is unmapped
	ToDeviceHandover              // ownership passes to the device: sync for device
	ToCPUHandover                 // ownership passes to the CPU: sync for CPU
	CPUFault                      // the CPU touches a page of a tracked mapping for the first time
	Batch                         // several buffers are handed over in one submission
)

func (e Event) String() string {
	names := [...]string{"allocate", "map-cpu", "unmap-cpu", "free", "map-device", "unmap-device", "to-device", "to-cpu", "cpu-fault", "batch"}
	if int(e) < len(names) {
		return names[e]
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}

// Hints are what a caller says about a hand-over: the V4L2 buffer flags of the QBUF it belongs to, and the attributes of the DMA call.
type Hints uint8

// The hints.
const (
	NoCacheClean      Hints = 1 << iota // V4L2_BUF_FLAG_NO_CACHE_CLEAN: the CPU did not write
	NoCacheInvalidate                   // V4L2_BUF_FLAG_NO_CACHE_INVALIDATE: the CPU will not read
	SkipCPUSync                         // DMA_ATTR_SKIP_CPU_SYNC
)

// Has tells whether all of some hints are given.
func (h Hints) Has(x Hints) bool { return h&x == x }

// Question is what a policy sees: what a real driver could see, and nothing of the model's truth.
type Question struct {
	Event     Event
	Buffer    string // name of the buffer
	Index     int    // which of the buffers of that name
	Bytes     int
	Segments  int // scatter-gather entries
	Device    string
	Direction Direction
	// Offset and Length are the part of the buffer that is handed over; 0 and Bytes unless the call was for a part. For CPUFault they are the page's.
	Offset, Length int
	// Attr is the CPU attribute asked for (Allocate, MapCPU).
	Attr cpu.Attr
	// Page is the index of the page touched, and Write tells a store from a load (CPUFault).
	Page  int
	Write bool
	// Buffers and TotalBytes are the size of the submission (Batch).
	Buffers, TotalBytes int
	Hints               Hints
	// Contiguous tells that the buffer is one run of physical memory.
	Contiguous bool
	Exporter   string
	// HasOuter tells that the chip has an outer cache, which is maintained apart.
	HasOuter bool
	// Default is what the coherence profile does by range at this event. The V4L2 flags do not change it: to honour them is the policy's business. SkipCPUSync makes it Nothing.
	Default Operation
}

// Extent is how much of the cache an operation covers.
type Extent uint8

// The extents.
const (
	ByRange Extent = iota // the lines of what is handed over, by address
	Whole                 // the whole cache, by set and way, cleaned and invalidated
	Partial               // the spans of the answer, by address
	Lines                 // the same in one routine call with one barrier, which no kernel has: for the yardstick
)

// OuterExtent is how much of the outer caches an operation covers, where the chip has any.
type OuterExtent uint8

// The outer extents.
const (
	OuterSame    OuterExtent = iota // as much as of the inner ones
	OuterByRange                    // the lines of what is handed over, by physical address
	OuterWhole                      // the whole cache by way, cleaned and invalidated
)

// Span is a part of a buffer.
type Span struct{ Offset, Bytes int }

// Answer is what a policy decides. The zero Answer does nothing and keeps the attribute asked for.
type Answer struct {
	// Attr overrides the CPU attribute at Allocate and MapCPU if not empty.
	Attr cpu.Attr
	// Op is the operation to perform.
	Op     Operation
	Extent Extent
	// Outer is the extent in the outer caches (nvmap chooses the two by thresholds of their own).
	Outer OuterExtent
	// Spans are the parts that a Partial or Lines operation covers, offsets from the start of the buffer.
	Spans []Span
	// Track, at MapCPU, maps no pages: the first touch of each is a fault (CPUFault) that maps it, until the buffer goes to a device again, which takes the pages away (drivers/staging/ion at 56a7c185).
	Track bool
	// Defer lets a worker thread perform the operation. The hand-over is complete when that has happened: the device's start, or the CPU's access, waits for it (PowerVR services).
	Defer bool
	// Force, at Allocate, cleans and invalidates the new buffer although it is cached, so that no old dirty line can fall on what a device will write (ION_FLAG_SYNC_FORCE, 7e825b8e).
	Force bool
}

// A Policy decides about maintenance. It may keep state of its own but must be deterministic.
type Policy interface{ Decide(q *Question) Answer }

// A Divider is a policy that has another decide about some buffers. These take no part in a device's submission: each is asked about by itself.
type Divider interface {
	Apart(buffer, device string) bool
}

// A Starter is a policy that wants to work before the first allocation, for example to measure what the operations take. Start is called once, on the thread that sets the application up, and what it
// does costs that thread's time.
type Starter interface {
	Start(t *cpu.Thread, api *API)
}

// A Seer is a policy that sees the truth: the optimal yardstick alone. See is called once, when the API is made.
type Seer interface{ See(Truth) }
