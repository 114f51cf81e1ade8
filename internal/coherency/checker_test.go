package coherency

import (
	"fmt"
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/dmaapi"
	"socsim/soc/memory"
)

const (
	camera bus.Master = 2
	core   bus.Master = 1
)

func setup(t *testing.T) (*memory.Memory, *Checker, *dmaapi.Buffer) {
	t.Helper()
	mem, err := memory.New(memory.Config{Base: 0x8000_0000, Size: 1 << 20, LineBytes: 64})
	if err != nil {
		t.Fatal(err)
	}
	c := New(mem, func(m bus.Master) string { return fmt.Sprintf("m%d", m) })
	mem.SetObserver(c)
	r, err := mem.AllocContiguous("buf#3", 16384, 4096)
	if err != nil {
		t.Fatal(err)
	}
	return mem, c, dmaapi.NewBuffer("buf", 3, r, false)
}

func handover(c *Checker, b *dmaapi.Buffer, e dmaapi.Event, at sim.Time) {
	c.Handover(dmaapi.Handover{At: at, Buffer: b, Device: "cam", Event: e, Direction: dmaapi.FromDevice, Default: dmaapi.Invalidate})
}

func TestOneLineCountsOncePerOwnershipPeriod(t *testing.T) {
	mem, c, b := setup(t)
	c.EndWarmup()
	pa := b.Region.Addr(4096)
	handover(c, b, dmaapi.ToCPUHandover, 10)
	mem.DeviceWrite(pa, 64, camera, 100)
	for i := range 16 {
		mem.CPURead(pa, 0, core, sim.Time(200+i))
	}
	if n := c.Count(memory.StaleCPURead); n != 1 {
		t.Errorf("sixteen loads of one line count %d times", n)
	}
	handover(c, b, dmaapi.ToCPUHandover, 300)
	mem.CPURead(pa, 0, core, 400)
	if n := c.Count(memory.StaleCPURead); n != 2 {
		t.Errorf("after a hand-over the line counts %d times in all, want 2", n)
	}
}

func TestABlameNamesPlaceWriterReaderAndHandover(t *testing.T) {
	mem, c, b := setup(t)
	c.EndWarmup()
	handover(c, b, dmaapi.ToCPUHandover, 10)
	for off := 4096; off < 4096+192; off += 64 {
		mem.DeviceWrite(b.Region.Addr(off), 64, camera, 100)
	}
	for off := 4096; off < 4096+192; off += 64 {
		mem.CPURead(b.Region.Addr(off), 0, core, 200)
	}
	vs := c.Violations()
	if len(vs) != 1 {
		t.Fatalf("%d groups, want 1", len(vs))
	}
	v := vs[0]
	if v.Buffer != "buf" || v.Index != 3 || v.Offset != 4096 || v.Bytes != 192 || v.Count != 3 || v.Writer != "m2" || v.Reader != "m1" ||
		v.WrittenPS != 100 || v.ReadPS != 200 || v.Missing != "invalidate" || v.Warmup {
		t.Errorf("%+v", v)
	}
	const where = "after the device wrote: to-cpu hand-over (FROM_DEVICE) of cam at 10ps, where the profile says invalidate and the strategy did nothing"
	if v.Where != where {
		t.Errorf("where: %s", v.Where)
	}
}

func TestWarmupViolationsAreListedButNotCounted(t *testing.T) {
	mem, c, b := setup(t)
	pa := b.Region.Addr(0)
	mem.CPUWrite(pa, memory.StampOf(50, core))
	mem.DeviceRead(pa, 64, camera, 60, false)
	c.EndWarmup()
	if c.Total() != 0 {
		t.Errorf("counted %d", c.Total())
	}
	if vs := c.Violations(); len(vs) != 1 || !vs[0].Warmup || vs[0].Kind != "stale_device_read" || vs[0].Missing != "clean" {
		t.Errorf("%+v", vs)
	}
}

func TestAViolationOfAnEdgeLineNamesTheBytesOfItsOwner(t *testing.T) {
	mem, c, b := setup(t)
	c.EndWarmup()
	part, err := mem.Part(b.Region, "part#0", 4096+40, 500)
	if err != nil {
		t.Fatal(err)
	}
	line := b.Region.Addr(4096)
	held := mem.InMemory(line)
	mem.DeviceWrite(part.Addr(0), 20, camera, 100)
	mem.CPULoad(line, 64, held, core, 200)
	vs := c.Violations()
	if len(vs) != 1 || vs[0].Buffer != "part#0" || vs[0].Offset != 0 || vs[0].Bytes != 20 || vs[0].Writer != "m2" {
		t.Errorf("violations %+v, want bytes 0 to 20 of the part, written by m2", vs)
	}
}
