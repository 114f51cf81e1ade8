// Package iommu models the memory management units that stand between a device and the interconnect: the OMAP MMU, which the camera ISP and the IVA share, the MMU
// of the SGX, and one after Arm's SMMU for what-if runs. It covers both sides: the page tables a driver builds in memory ([PageTable], [Space]), and the hardware that reads them ([MMU], [Port]).
//
// # What is modelled
//
//   - Table formats, as bits in simulated memory. The walker sees what memory holds; a descriptor that is still dirty in a CPU cache is not there yet.
//   - A fully associative TLB with a victim pointer that wraps to the lock base; entries that software loads, preserved or not; flush of one entry and of all.
//   - The table walker: dependent reads over the bus, one per level. They compete for the bus like all other traffic. It can be switched off.
//   - Contexts: the SMMU's entries are tagged; a switch flushes the TLB of the others.
//   - The SMMU's walk cache, which holds where tables are, so that a walk skips levels.
//   - Faults: they stall the port until software acknowledges.
//   - Stale translations: entries that are no longer, or never were, what the CPU has in its tables. They translate as on the chip, and each use is reported.
//   - A disabled MMU passes addresses through: they are physical.
//
// # What a translation costs
//
// With h the configured hit latency, a transfer issued at t whose page is in the TLB reaches the bus at t+h. One that misses starts its walk at t+h; each descriptor is read, 8 bytes wide, when the
// one before is complete, and the data follow when the last is. A transfer over several pages is split; the second and later pages are looked up in the
// shadow of the first and, if they hit, cost nothing more: they follow as the bursts of one transfer do. A hit in the walk cache takes no time of its own.
//
// # Faults
//
// [FaultKind] lists them. The access that faults keeps its port from the bus. The first to fault sets the status and calls [MMU.OnFault], the interrupt; those after it wait behind it without a
// word. [MMU.Acknowledge] lets all of them try again, translated afresh: what still fails faults again, and calls for the next interrupt. [MMU.Halt] masks the interrupts, and then the stall lasts: a camera
// overflows, a GPU hangs. A fault of a walk is known when its last read is complete; a miss without walking and a multi-hit after the lookup; a read where there is no memory after the two hops of the
// interconnect, which is an estimate.
//
// The TLB drops nothing by itself: two entries may translate an address, when software loads them or when a page was remapped in another size without a flush. An access to it is a multi-hit.
//
// # The format smmu
//
// A three-level table in the shape of VMSAv8-64 with a granule of 4 KiB and 39 bits of input address: 9 bits of index at levels 1 to 3, from bit 30, 21 and 12. A descriptor has 64 bits; bit 0 is its
// valid bit and bit 1 tells tables (levels 1 and 2) and pages (level 3) from blocks; bits 47 to 12 are the address, of which an output has at most 40 bits. Blocks are of 1 GiB and 2 MiB. Bit 52 is
// the contiguous hint: 16 pages side by side, aligned together and each with its own address, are one TLB entry of 64 KiB. What is wrong with one of them goes unseen once another has been loaded, as for
// the 16 equal descriptors of OMAP. The driver sets the access flag, AP, SH and nG as io-pgtable-arm.c does. Like io-pgtable-arm.c it keeps empty tables until a block takes their place.
// A CPU that stores 32 bits at a time stores the word with the valid bit last.
//
// # What is left out
//
//   - Hits under a miss of the same port: a port has one transfer in flight. Walks of several ports go on side by side, where the chip has one walker.
//   - An access to a page that lies where there is no memory: that is the interconnect's affair.
//   - Endianness, element size and mixed attributes of the OMAP descriptors; permission bits of all formats, and pages above 4 KiB of the SGX; the SMMU's stage 2, its queues, its contiguous blocks, access
//     flag and address size faults (they count as translation faults).
//   - The flush by address of omap-iommu.c leaves the victim pointer at the entry it looked at last; here it stays. A register access costs no time here: drivers charge it.
//
// # Cost
//
// A hit is found by one comparison as a rule, else by a scan of the TLB; a TLB takes 48 bytes an entry and 512 more, a walk cache 56 an entry. A miss scans it twice. A change of the tables is compared with all
// entries. A transfer allocates nothing.
//
// # Sources
//
// OMAP36xx TRM SWPU177N chapter 15 (pages 2678-2682): TLB entries, preserved bit, fault interrupts, stall until the interrupt is acknowledged, 16-fold replication, disabled MMU. Linux drivers/iommu/omap-iommu.c
// and omap-iopgtable.h: descriptor bits, alignment, order of stores and cleans, release of empty tables, lock and victim handling, interrupt bits, what an unhandled fault leads to. PVR services (km) sgxmmu.h,
// sgxfeaturedefs.h and mmu.c: the SGX formats, invalidation of the directory cache. Arm ARM DDI 0487, VMSAv8-64, and Linux drivers/iommu/io-pgtable-arm.c: the format smmu. Not published, hence
// estimates: the hit latency, that a descriptor is fetched by an access of 8 bytes, that the hardware's victim pointer increments by one, the SGX's number of TLB entries, and that the walk cache replaces
// its oldest entry.
package iommu
