package validate

import (
	"fmt"
	"strings"

	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/dmaapi"
	"socsim/soc/memory"
)

// Frame is the bytes of a frame of 5 megapixels: 2592 x 1968 of 2 bytes.
const Frame = 2592 * 1968 * 2

// MapRow is what it takes to map a frame for the camera and to unmap it.
type MapRow struct {
	Page  units.Bytes // the driver's largest
	Whole bool        // the buffer is rounded up to whole pages of that size
	Read  sim.Time    // of a register, by the core
	Map   dmaapi.Cost
	Unmap dmaapi.Cost
}

// arithmetic is the reference's: 24 register reads a page, and nothing else.
func (r MapRow) arithmetic() sim.Time { return sim.Time(r.Map.Pages) * 24 * r.Read }

// MapFrame maps a frame in one piece of memory by the driver of the OMAP MMU on omap3430, whose camera MMU has 8 entries, and unmaps it, on an idle machine. With whole set the buffer is rounded up to whole pages of
// the given size. registers, if not empty, is soc.cpu.os.mmio_read.
func MapFrame(page units.Bytes, whole bool, registers string) (MapRow, error) {
	set := map[string]string{}
	if registers != "" {
		set["cpu.os.mmio_read"] = registers
	}
	row := MapRow{Page: page, Whole: whole}
	_, err := on("omap3430", set, func(b *bench) (float64, error) {
		bytes := int64(Frame)
		if whole {
			bytes = (bytes + int64(page) - 1) / int64(page) * int64(page)
		}
		r, err := b.sys.Memory.AllocContiguous("frame", bytes, int64(page))
		if err != nil {
			return 0, err
		}
		start := b.t.Now()
		b.t.MMIO(1, 0)
		row.Read = b.t.Now() - start
		d, err := b.domain(page)
		if err != nil {
			return 0, err
		}
		row.Map, row.Unmap, err = mapAndUnmap(b, d, r)
		return 0, err
	})
	return row, err
}

// domain opens the camera's MMU by a driver that uses pages up to a size.
func (b *bench) domain(page units.Bytes) (*dmaapi.Domain, error) {
	cfg := b.sys.Config.ISP.MMU
	mmu, err := iommu.New(cfg, sim.NewClock(int64(b.sys.Config.L3.Clock)), b.sys.Memory)
	if err != nil {
		return nil, err
	}
	var driver dmaapi.IOMMUDriver
	driver.SetDefaults()
	driver.LargestPage = page
	return dmaapi.NewDomain(b.t, dmaapi.DomainConfig{
		Device: "camera", MMU: mmu, Entries: cfg.Entries, Format: cfg.Format, Base: 0x1000_0000, Size: 0x4000_0000, Driver: &driver,
	})
}

func mapAndUnmap(b *bench, d *dmaapi.Domain, r *memory.Region) (enter, remove dmaapi.Cost, err error) {
	va, err := d.Map(b.t, r)
	if err == nil {
		err = d.Unmap(b.t, va)
	}
	return d.Stats().Map, d.Stats().Unmap, err
}

// MapTable prints the times of a frame by page size, in microseconds.
func MapTable() (string, error) {
	var b strings.Builder
	b.WriteString("| largest page | pages | map | registers | table | clean | rest | unmap | registers | table | clean | rest | arithmetic |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range []struct {
		page  units.Bytes
		whole bool
	}{{4 << 10, true}, {64 << 10, true}, {1 << 20, true}, {16 << 20, true}, {16 << 20, false}} {
		r, err := MapFrame(c.page, c.whole, "")
		if err != nil {
			return "", err
		}
		name := c.page.String()
		if !c.whole {
			name += ", not rounded up"
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", name, r.Map.Pages, parts(r.Map), parts(r.Unmap), micro(r.arithmetic()))
	}
	return b.String(), nil
}

// parts prints a time and what makes it up.
func parts(c dmaapi.Cost) string {
	var s []string
	for _, t := range []sim.Time{c.Time, c.Registers, c.Table, c.Clean, c.Time - c.Registers - c.Table - c.Clean} {
		s = append(s, micro(t))
	}
	return strings.Join(s, " | ")
}

// micro prints microseconds with one digit.
func micro(t sim.Time) string {
	return tenths(int64(t), int64(sim.Microsecond))
}

// tenths prints v in a unit, rounded to one digit.
func tenths(v, unit int64) string {
	n := (v*10 + unit/2) / unit
	return fmt.Sprintf("%d.%d", n/10, n%10)
}

// RegisterTable prints the times of a frame against the latency of a register read: what the core sees, with L3 and L4.
func RegisterTable() (string, error) {
	var b strings.Builder
	b.WriteString("| mmio_read | a read, ns | map 4 KiB pages, us | arithmetic | off | map 64 KiB pages, us | arithmetic | off |\n|---|---|---|---|---|---|---|---|\n")
	for _, own := range []string{"4ns", "54ns", "104ns", "154ns"} {
		small, err := MapFrame(4<<10, true, own)
		if err != nil {
			return "", err
		}
		large, err := MapFrame(64<<10, true, own)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", own, tenths(int64(small.Read), int64(sim.Nanosecond)), against(small), against(large))
	}
	return b.String(), nil
}

// against prints the simulated time beside the arithmetic.
func against(r MapRow) string {
	a := r.arithmetic()
	return fmt.Sprintf("%s | %s | +%d %%", micro(r.Map.Time), micro(a), (r.Map.Time-a)*100/a)
}

// Churn is what became of an address space.
type Churn struct {
	Policy     iommu.Allocation
	Fill       int    // per cent of the space that is kept in use, as far as requests succeed
	Requests   uint64 // counted from when it was filled
	Refused    uint64
	Scattered  uint64 // of those refused, with as much free in all
	Mean, Most int64  // fragmentation in parts per million
	Ranges     int    // in use at the end
}

// churnSteps is the number of steps after the space was filled, and churnSpace its bytes.
const (
	churnSteps = 20000
	churnSpace = 256 << 20
)

// churnSizes are the buffers that come and go, in pages: frames of the ET8EK8's modes at 2 bytes a pixel, and what is small.
var churnSizes = [...]uint64{2491, 623, 277, 156, 16, 4, 1}

// RunChurn allocates buffers of a camera and frees them in random order. The draws are the same for all policies; a request that is refused is dropped. Buffers of 64 KiB or more are aligned to the largest page that
// fits them, as Domain.Map aligns contiguous ones.
func RunChurn(policy iommu.Allocation, fill int) Churn {
	s := iommu.NewSpace(0x1000_0000, churnSpace, policy)
	draw := sim.Stream(1, "iova churn")
	c := Churn{Policy: policy, Fill: fill}
	var live []bus.IOVA
	sum := int64(0)
	for step := -churnSteps; step < churnSteps; step++ {
		pages := churnSizes[draw.IntN(len(churnSizes))]
		which := draw.Float64()
		for s.Stats().Used*100 >= uint64(fill)*churnSpace {
			i := int(which * float64(len(live)))
			if err := s.Free(live[i]); err != nil {
				panic(err) // it was handed out
			}
			live = append(live[:i], live[i+1:]...)
			which = draw.Float64()
		}
		if step == 0 {
			s.ResetStats()
		}
		align := iommu.LargestPage(iommu.OMAP, 0, 0, int(pages)*iommu.PageBytes)
		if va, err := s.Alloc(pages*iommu.PageBytes, uint64(align)); err == nil {
			live = append(live, va)
		}
		if step >= 0 {
			f := s.Stats().Fragmentation()
			sum += f
			c.Most = max(c.Most, f)
			c.Requests++
		}
	}
	st := s.Stats()
	c.Refused, c.Scattered, c.Ranges, c.Mean = st.Refused, st.Scattered, st.Ranges, sum/int64(c.Requests)
	return c
}

// ChurnTable prints the experiment for both policies.
func ChurnTable() string {
	var b strings.Builder
	b.WriteString("| in use | policy | requests | refused | of these with as much free | fragmentation, mean | most | ranges at the end |\n|---|---|---|---|---|---|---|---|\n")
	for _, fill := range []int{50, 75, 90} {
		for _, policy := range []iommu.Allocation{iommu.FirstFit, iommu.BestFit} {
			c := RunChurn(policy, fill)
			fmt.Fprintf(&b, "| %d %% | %s | %d | %d | %d | %s %% | %s %% | %d |\n", fill, policy, c.Requests, c.Refused, c.Scattered,
				tenths(c.Mean, 10000), tenths(c.Most, 10000), c.Ranges)
		}
	}
	return b.String()
}
