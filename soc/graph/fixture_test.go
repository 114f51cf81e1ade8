package graph

import (
	"context"
	"testing"

	"socsim/cachemodel"
	"socsim/gpu"
	"socsim/iommu"
	"socsim/isp"
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/dram"
	"socsim/soc/dramtest"
	"socsim/soc/flush"
	"socsim/soc/l3"
	"socsim/soc/memory"
	"socsim/soc/sdma"
)

// chip is an OMAP3430-like chip for tests; its values are the preset's but do not follow it.
func chip() soc.Config {
	return soc.Config{
		Coherence: "armv7",
		CPU: cpu.Config{
			Clock: 600e6, L1Cycles: 3, L2Cycles: 8, MissCycles: 25, AccessCycles: 1, TLBEntries: 32, TLBMissCycles: 24, WriteBuffers: 4, EvictionBuffers: 4, WriteOutstanding: 2,
			NCOutstanding: 1, Linefills: 1, WriteMerge: 64, StreamingStores: true, Initiator: l3.Plain(1, 2),
			Maintenance: cpu.Maintenance{Call: 20, Line: 34, SetWay: 34, Barrier: 40},
			OS: cpu.OS{
				Syscall: 530, PageFault: 1690, ContextSwitch: 3600, IRQEntry: 1500, IRQExit: 600, Handler: 1200, Ioctl: 1200,
				MMIORead: 54 * sim.Nanosecond, MMIOWrite: 20 * sim.Nanosecond, Timeslice: 4 * sim.Millisecond,
			},
		},
		L1D: soc.FirstLevel{Cache: soc.Cache{Size: 16 << 10, Ways: 4, Line: 64, Replacement: cachemodel.Random, Write: cachemodel.WriteBack, Allocate: cachemodel.ReadAllocate}},
		L2:  soc.LowerLevel{Cache: soc.Cache{Size: 256 << 10, Ways: 8, Line: 64, Replacement: cachemodel.Random, Write: cachemodel.WriteBack, Allocate: cachemodel.ReadAllocate}},
		L3:  l3.Config{Clock: 166e6, RequestCycles: 5, ResponseCycles: 3, Class1Weight: 2, Class2Weight: 1},
		L4:  l3.L4Config{Clock: 83e6, RequestCycles: 3, ResponseCycles: 1},
		DRAM: dram.Config{
			Clock: 166e6, Width: 4, Banks: 4, Row: 4096, Map: dram.RoBaCo, Burst: 4, CL: 3, CWL: 1, TRCD: 22500, TRP: 18000, TRAS: 42000, TRC: 66000, TRRD: 12000, TWR: 15000,
			TWTR: 2, TRTW: 1, TRFC: 138000, TREFI: 7800 * sim.Nanosecond, LookAhead: 4,
		},
		Memory: soc.Memory{Size: 64 << 20, Reserved: 16 << 20, Fragmentation: 500000},
		ISP: soc.ISP{Initiator: l3.Plain(0, 1), Config: isp.Config{
			ProcessingClock: 83e6, PortBytes: 1024, SmallPortBytes: 512, MemoryRate: 2, ResizerRate: 1, DataUnit: 256, Outstanding: 4, CropColumns: 10, CropLines: 4, MaxPreviewWidth: 3300, MaxOutputWidth: 3312,
			MaxOutputWidth7Tap: 1650, MMU: iommu.Config{Entries: 8, Format: iommu.OMAP, HitCycles: 1},
		}},
		GPU: soc.GPU{
			Config:    gpu.Config{Clock: 110670000, Tile: 16, JobCycles: 11000, TileCycles: 64, PixelsPerCycle: 1, TextureCache: 4096, Outstanding: 8},
			Initiator: l3.Plain(2, 3), MMU: iommu.Config{Entries: 16, Format: iommu.SGX, HitCycles: 1},
		},
		Display: soc.Display{Initiator: l3.Plain(0, 0), Config: display.Config{FIFO: 1024, Low: 960, High: 1023, Burst: 64, Outstanding: 4, Preload: 96, Clock: 173e6}},
		SDMA: sdma.Config{
			Channels: 32, FIFO: 1024, ChannelFIFO: 64, ReadOutstanding: 4, WriteOutstanding: 2, ArbitrationRate: 1, Burst: 64, Packing: true, Writes: sdma.NonPosted,
			PrepareCycles: 500, CompleteCycles: 300, Initiator: l3.Plain(2, 4),
		},
	}
}

// preview is the camera-preview application.
func preview() Config {
	et8ek8 := &Sensor{Sensor: isp.Sensor{Width: 864, Height: 656, LineTotal: 3984, FrameTotal: 672, PixelClock: 80e6}}
	n900 := &Panel{Panel: display.Panel{Width: 800, Height: 480, PixelClock: 24e6, HFP: 28, HSW: 4, HBP: 24, VFP: 3, VSW: 3, VBP: 4}}
	return Config{
		Seed: 1,
		Buffers: []Buffer{
			{Name: "preview", Count: 4, Size: Size{864, 656}, Format: "uyvy", Exporter: dmabuf.VB2SG, Memory: "pages", CPUMapping: cpu.Cached},
			{Name: "screen", Count: 2, Size: Size{800, 480}, Format: "xrgb8888", Exporter: dmabuf.GEM, Memory: "contiguous", CPUMapping: cpu.NoMapping},
		},
		Stages: []Stage{
			{Name: "camera", Device: ISP, Sensor: et8ek8, Output: "preview", Every: 1},
			{Name: "faces", Device: CPU, Input: "preview", Every: 2, Read: &Access{Fraction: 250000, Width: 4, Compute: 2000}, Sync: SyncAuto},
			{Name: "compositor", Device: GPU, Input: "preview", Output: "screen", Every: 1},
			{Name: "panel", Device: Display, Input: "screen", Panel: n900, Every: 1},
		},
		Tasks: []Task{{Name: "ui", Period: 10 * sim.Millisecond, Work: 3 * sim.Millisecond, WorkingSet: units.Bytes(128 << 10), Access: "random", TouchEvery: 100}},
	}
}

// violations counts by kind.
type violations struct {
	count [memory.ViolationKinds]int
	last  memory.Violation
}

func (v *violations) Violation(x memory.Violation) { v.count[x.Kind]++; v.last = x }

type rig struct {
	sys   *soc.System
	graph *Graph
	seen  *violations
}

// watched is the longest run whose DRAM commands are checked, which takes as long as the run again: longer ones do no more of the kind.
const watched = 200 * sim.Millisecond

// start runs an application under a policy until the given time.
func start(tb testing.TB, c soc.Config, app Config, policy dmaapi.Policy, until sim.Time) *rig {
	tb.Helper()
	sys, err := soc.New(c, app.Seed)
	if err != nil {
		tb.Fatal(err)
	}
	if until <= watched {
		dramtest.Watch(tb, sys.DRAM, c.DRAM)
	}
	tb.Cleanup(sys.Close)
	r := &rig{sys: sys, seen: &violations{}}
	sys.Memory.SetObserver(r.seen)
	profile, _ := dmaapi.ProfileByName(c.Coherence)
	if r.graph, err = New(sys, app, dmaapi.New(sys.Core, profile, policy, nil)); err != nil {
		tb.Fatal(err)
	}
	r.graph.Start()
	r.run(tb, until)
	return r
}

func (r *rig) run(tb testing.TB, until sim.Time) {
	tb.Helper()
	if err := r.sys.Run(context.Background(), until); err != nil {
		tb.Fatal(err)
	}
	if err := r.graph.Err(); err != nil {
		tb.Fatal(err)
	}
}

func strategy(tb testing.TB, name string) dmaapi.Policy {
	tb.Helper()
	s, err := flush.ByName(name)
	if err != nil {
		tb.Fatal(err)
	}
	return s.New()
}
