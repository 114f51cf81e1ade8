package coherency

import (
	"testing"

	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/memory"
)

func TestAStaleTranslationCountsOncePerPageAndChange(t *testing.T) {
	mem, err := memory.New(memory.Config{Base: 0x8000_0000, Size: 1 << 20, LineBytes: 64})
	if err != nil {
		t.Fatal(err)
	}
	r, err := mem.AllocContiguous("preview#1", 8192, 4096)
	if err != nil {
		t.Fatal(err)
	}
	c := New(mem, func(bus.Master) string { return "" })
	use := func(va bus.IOVA, since sim.Time) {
		c.StaleTranslation("camera", iommu.Stale{
			Time: 9 * sim.Microsecond, VA: va, Bytes: 256, PA: r.Frames[1] + bus.Phys(va%4096), Write: true, What: iommu.Freed, Since: since,
		})
	}
	use(0x1000_1000, 1) // during the warm-up
	c.EndWarmup()
	use(0x1000_1100, 1) // the same page and change
	use(0x1000_2000, 1)
	use(0x1000_2040, 2)
	if c.Others() != 2 || c.Total() != 2 {
		t.Errorf("%d others of %d, want 2 of 2", c.Others(), c.Total())
	}
	got := c.Violations()
	if len(got) != 2 {
		t.Fatalf("%d groups, want one of the warm-up and one after: %+v", len(got), got)
	}
	for _, v := range got {
		if v.Kind != "stale_translation" || v.Buffer != "preview#1" || v.Offset != 4096 || v.Reader != "camera" || v.Missing != "TLB flush" {
			t.Errorf("%+v", v)
		}
		if want := map[bool]int{true: 1, false: 2}[v.Warmup]; v.Count != want {
			t.Errorf("warm-up %v: count %d, want %d", v.Warmup, v.Count, want)
		}
	}
}
