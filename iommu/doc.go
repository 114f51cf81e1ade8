// Package iommu models the memory management units that stand between a device and the interconnect: the OMAP MMU, which the camera ISP and the IVA share, and the MMU
// of the SGX. It covers both sides: the page tables a driver builds in memory ([PageTable], [Space]), and the hardware that reads them ([MMU], [Port]).
//
// # What is modelled
//
//   - Table formats, as bits in simulated memory. The walker sees what memory holds; a descriptor that is still dirty in a CPU cache is not there yet.
//   - A fully associative TLB with a victim pointer that wraps to the lock base; preserved entries; flush of one entry and of all.
//   - The table walker: dependent reads over the bus, one per level, no walk cache. They compete for the bus like all other traffic.
//   - Faults: recorded, counted, handed to a hook.
//   - A disabled MMU passes addresses through: they are physical.
//
// # What a translation costs
//
// With h the configured hit latency, a transfer issued at t whose page is in the TLB reaches the bus at t+h. One that misses starts its walk at t+h; each descriptor is read when the
// one before is complete, and the data follow when the last is. A transfer over several pages is split; the second and later pages are looked up in the
// shadow of the first and, if they hit, cost nothing more: they follow as the bursts of one transfer do.
//
// # What is left out
//
//   - A fault on the chip stalls the requestor until software acts (OMAP36xx TRM, MMU error handling). Here the rest of the transfer is dropped and the device goes on as though it
//     had completed; what that loses is in the [FaultRecord].
//   - The multi-hit fault: loading an entry drops those that overlap it.
//   - Hits under a miss of the same port: a port has one transfer in flight.
//   - Endianness, element size and mixed attributes of the OMAP descriptors; permission bits and pages above 4 KiB of the SGX.
//   - omap-iommu.c of about v4.11 and before cleans about four times the entries when it unmaps a 16-entry page; here exactly the entries written are cleaned.
//
// # Sources
//
// OMAP36xx TRM SWPU177N chapter 15 (pages 2678-2682): TLB entries, preserved bit, fault interrupts, 16-fold replication, disabled MMU. Linux drivers/iommu/omap-iommu.c and
// omap-iopgtable.h: descriptor bits, alignment, order of stores and cleans, release of empty tables, lock and victim handling. PVR services (km) sgxmmu.h, sgxfeaturedefs.h and mmu.c: the
// SGX formats. Not published, hence estimates: the hit latency, that a descriptor is fetched by an access of 8 bytes, that the hardware's victim pointer increments by one, and the SGX's number of TLB entries.
package iommu
