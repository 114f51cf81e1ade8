package dmaapi

import (
	"fmt"
	"slices"

	"socsim/iommu"
	"socsim/sim/units"
)

// Walk says who looks translations up that the TLB does not hold.
type Walk string

const (
	// HardwareWalk is the MMU's table walker, as omap-iommu uses it.
	HardwareWalk Walk = "hardware"
	// SoftwareWalk is the driver: with the walker off a miss is a fault, and the interrupt handler loads the entry. Of the MMUs here the OMAP's alone can do that.
	SoftwareWalk Walk = "software"
)

// Values lists the valid walks.
func (Walk) Values() []string { return []string{string(HardwareWalk), string(SoftwareWalk)} }

// IOMMUDriver is how the driver of an IOMMU works. Clean and Flush are what a correct driver does; to turn one off is a mistake whose effects the MMU and memory report.
type IOMMUDriver struct {
	LargestPage units.Bytes      `conf:"largest_page" doc:"Largest page that the driver uses: 4KiB, 64KiB, 1MiB or 16MiB. Pages that the format does not have are not used."`
	Allocation  iommu.Allocation `conf:"allocation" doc:"Which gap of the IO virtual address space a mapping takes."`
	Preload     bool             `conf:"preload" doc:"Whether a page that is mapped is also loaded into the TLB while an entry is free (omap-iommu's PREFETCH_IOTLB, off there)."`
	Walk        Walk             `conf:"walk" doc:"Whether the MMU walks the tables itself, or the driver loads each missing TLB entry in an interrupt."`
	Clean       bool             `conf:"clean" doc:"Whether the cache lines of descriptors are cleaned, so that the table walker sees them. Off is a mistake."`
	Flush       bool             `conf:"flush" doc:"Whether the TLB entry of a page is flushed when it is mapped and unmapped. Off is a mistake."`
}

// The page sizes that largest_page may name: those of the OMAP MMU.
var largestPages = []units.Bytes{4 << 10, 64 << 10, 1 << 20, 16 << 20}

// SetDefaults makes it omap-iommu of about v4.11.
func (c *IOMMUDriver) SetDefaults() {
	*c = IOMMUDriver{LargestPage: 16 << 20, Allocation: iommu.FirstFit, Walk: HardwareWalk, Clean: true, Flush: true}
}

// Validate reports the first setting that makes no sense.
func (c IOMMUDriver) Validate() error {
	if !slices.Contains(largestPages, c.LargestPage) {
		return fmt.Errorf("iommu_driver.largest_page: %v, want 4KiB, 64KiB, 1MiB or 16MiB", c.LargestPage)
	}
	if !slices.Contains(c.Allocation.Values(), string(c.Allocation)) {
		return fmt.Errorf("iommu_driver.allocation: %q, want one of %q", string(c.Allocation), c.Allocation.Values())
	}
	if !slices.Contains(c.Walk.Values(), string(c.Walk)) {
		return fmt.Errorf("iommu_driver.walk: %q, want one of %q", string(c.Walk), c.Walk.Values())
	}
	return nil
}

// validateFor also reports what the format's MMU cannot do.
func (c IOMMUDriver) validateFor(f iommu.Format) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if f != iommu.OMAP && (c.Walk == SoftwareWalk || c.Preload) {
		return fmt.Errorf("iommu_driver: walk: %s and preload: %v, but the TLB of the %s format cannot be loaded by software", c.Walk, c.Preload, f)
	}
	return nil
}
