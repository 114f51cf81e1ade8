package graph

import (
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/dmaapi"
)

// Action is what a step of a script does.
type Action string

// The actions: what a driver calls, what the CPU and a device do, and waiting.
const (
	Attach        Action = "attach"           // dma_buf_attach
	Detach        Action = "detach"           // dma_buf_detach
	MapBuffer     Action = "map"              // dma_buf_map_attachment
	UnmapBuffer   Action = "unmap"            // dma_buf_unmap_attachment
	SyncForDevice Action = "sync-for-device"  // dma_sync_sg_for_device
	SyncForCPU    Action = "sync-for-cpu"     // dma_sync_sg_for_cpu
	BeginAccess   Action = "begin-cpu-access" // dma_buf_begin_cpu_access
	EndAccess     Action = "end-cpu-access"   // dma_buf_end_cpu_access
	MmapBuffer    Action = "mmap"
	MunmapBuffer  Action = "munmap"
	CPURead       Action = "cpu-read"
	CPUWrite      Action = "cpu-write"
	DeviceRead    Action = "device-read"
	DeviceWrite   Action = "device-write"
	GetBuffer     Action = "get" // get_dma_buf
	PutBuffer     Action = "put" // dma_buf_put
	Wait          Action = "wait"
	Evict         Action = "evict"       // the inner caches choose the lines as victims
	EvictOuter    Action = "evict-outer" // an outer cache does
	Speculate     Action = "speculate"   // the core fetches the lines unasked
)

// Values lists the actions.
func (Action) Values() []string {
	return []string{
		string(Attach), string(Detach), string(MapBuffer), string(UnmapBuffer), string(SyncForDevice), string(SyncForCPU), string(BeginAccess), string(EndAccess), string(MmapBuffer), string(MunmapBuffer),
		string(CPURead), string(CPUWrite), string(DeviceRead), string(DeviceWrite), string(GetBuffer), string(PutBuffer), string(Wait),
		string(Evict), string(EvictOuter), string(Speculate),
	}
}

// Direction is the direction of a mapping or a sync, as the kernel spells it.
type Direction string

// Values lists the directions.
func (Direction) Values() []string {
	return []string{dmaapi.ToDevice.String(), dmaapi.FromDevice.String(), dmaapi.Bidirectional.String()}
}

// dma returns the direction as the DMA API has it.
func (d Direction) dma() dmaapi.Direction {
	for x := dmaapi.ToDevice; x < dmaapi.Bidirectional; x++ {
		if x.String() == string(d) {
			return x
		}
	}
	return dmaapi.Bidirectional
}

// CPUAccess is what a bracket of CPU access is for.
type CPUAccess string

// The choices.
const (
	AccessRead  CPUAccess = "read"
	AccessWrite CPUAccess = "write"
	AccessBoth  CPUAccess = "both"
)

// Values lists the choices.
func (CPUAccess) Values() []string {
	return []string{string(AccessRead), string(AccessWrite), string(AccessBoth)}
}

// direction maps the access as DMA_BUF_IOCTL_SYNC does.
func (a CPUAccess) direction() dmaapi.Direction {
	switch a {
	case AccessRead:
		return dmaapi.FromDevice
	case AccessWrite:
		return dmaapi.ToDevice
	}
	return dmaapi.Bidirectional
}

// Step is one step of a script.
type Step struct {
	Do        Action      `conf:"do,required" doc:"What the step does."`
	Device    string      `conf:"device" doc:"Device of the script that the step is about, or whose driver accesses the buffer by CPU. Its first attach brings it into being."`
	Buffer    string      `conf:"buffer" doc:"Buffer set that the step is about."`
	Index     int         `conf:"index" doc:"Which buffer of the set, from 0."`
	Direction Direction   `conf:"direction" doc:"Direction of a map or a sync."`
	Access    CPUAccess   `conf:"access" doc:"What begin-cpu-access and end-cpu-access are for."`
	Offset    units.Bytes `conf:"offset" doc:"First byte of an access or a sync."`
	Bytes     units.Bytes `conf:"bytes" doc:"Length of an access or a sync; 0B for all from the offset on."`
	Time      sim.Time    `conf:"time" doc:"How long a wait takes."`
}
