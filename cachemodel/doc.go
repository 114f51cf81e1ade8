// Package cachemodel models the caches of one CPU: which lines each level
// holds and under which virtual colours, which parts of them are dirty, which
// write each copy carries, and what crosses between the last level and memory
// when the CPU fetches, loads, stores or maintains a line.
//
// The model is pure and has no clock. An operation changes the state and says
// what happened: the level that answered, the transfers with memory in the
// order hardware makes them, the state a maintenance operation found. Turning
// that into time is the caller's work.
//
// # Levels
//
// Levels are numbered from the core outwards; level n, one past the last, is
// memory. Level 0 is the data side of a split first level, or a unified one;
// the instruction side, if there is one, stands beside it and is never written.
//
//   - A load or a fetch that misses is supplied by the nearest level that has
//     the line, or from memory, and installed in every level passed on the way.
//   - A store that hits a write-back level stops there and makes what it
//     covers dirty. A write-through level updates its copy, keeps it clean and
//     passes the store on.
//   - A store that misses allocates or goes on to the next level, as that
//     level's [Allocate] says. An allocating store first gets the line from
//     below, as a load would; one that covers the whole line does not, and
//     leaves the levels below alone. (A sectored level needs only the
//     sub-blocks that the access touches, and none that a store covers; if it
//     has the line it takes the store whatever its [Allocate] says.)
//   - What one access does to one level happens in this order: the victim is
//     chosen and removed into the eviction buffer; the line is fetched from
//     below, with all that causes there; a store that goes through is passed
//     on; the victim is given to the next level.
//   - A dirty victim is written to the next level: over its copy if it has
//     one, else it is allocated there whatever the level's [Allocate] says, for
//     a victim is a whole line and needs no fetch. That may evict in turn; the
//     last level evicts to memory, and only the parts that are dirty are
//     written there. Clean victims are dropped.
//   - Where line sizes differ or a level is sectored, or if
//     [Config.VictimsAsStores] is set, a dirty victim arrives at the next level
//     as ordinary stores, one for each run of dirty sub-blocks, highest first.
//   - Invalid ways are filled first, the lowest one; then the replacement
//     policy decides. Maintenance does not count as use of a line.
//
// # Inclusion
//
// By default a level takes no notice of what nearer levels hold: it may lose a
// line that they keep, and an older copy may sit below a newer dirty one. An
// access always uses the copy nearest the core.
//
//   - An inclusive level holds every line of the nearer ones. When it gives a
//     line up they drop theirs, from slots and eviction buffers, and the newest
//     dirty data goes down with it. A store that covers a line without fetching
//     it claims a place there.
//   - An exclusive level holds the victims, clean and dirty, of the level
//     before it, and nothing that level has. A hit moves the line up with its
//     dirty parts; a fill from below passes it by. A clean that leaves the
//     line where it is writes past it, unless it has an older copy.
//
// # Virtual indexing
//
// The first level may be indexed by virtual address, and tagged by physical
// (VIPT) or virtual (VIVT) address; the others are physical. Where a way of it
// is larger than a page, the index bits above the page offset are the line's
// colour, and one physical line can be resident under each colour, or in a
// VIVT cache under each virtual address.
//
//   - With [AliasesKept] each copy lives its own life: stores to one are not
//     seen through another, and maintenance by address reaches only the copy
//     under that address's colour (VIPT) or under that address (VIVT).
//     [Hierarchy.MaintainAliases] visits all.
//   - With [AliasesResolved] a miss, of a load or a store, looks under the other
//     colours first and evicts what it finds, so that at most one copy exists,
//     and maintenance by address reaches it under any: the Cortex-A8, which
//     software may take for physically indexed.
//   - Copies are written back by their physical address, which a VIVT line
//     carries with it (ARM926: so that a write-back needs no TLB).
//
// # Maintenance
//
// By address it acts on a span of levels at once: to the point of coherency,
// which is all inner levels; to the point of unification, which is those before
// instructions and data meet; or on the outer levels alone, in a pass of their
// own by physical address. What is cleaned goes to the first level beyond the
// span, or memory, once, from the dirty copy nearest the core. By set and way it
// acts on one slot of one level, and what is cleaned goes to the next as if
// evicted. A dirty line that is merely invalidated is lost.
//
// # Sub-blocks
//
// A level may keep a dirty bit for each sub-block of its lines, so that a line
// is written back in part (Cortex-A8's L2: quadwords; ARM926: half lines); a
// sectored level has a valid bit for each as well and fetches them one by one.
//
// # Left out
//
// Time. Speculation and prefetch; lock-down; parity; coherence between cores.
// Versions are carried per line and not per sub-block, and none by the
// instruction side.
//
// # Sources
//
// Cortex-A8 Technical Reference Manual (ARM DDI 0344): levels, write-back,
// replacement, maintenance by MVA covering L1 and L2 alike, dirty bits of L2
// per quadword. ARM926EJ-S TRM (ARM DDI 0198D): VIVT, two dirty bits a line,
// physical address tag, test-and-clean loop. ARM1136 TRM (ARM DDI 0211): VIPT
// with page colouring restrictions above 4 KB a way. Cortex-A9 TRM (ARM DDI
// 0388I) and PL310: outer cache maintained by physical address. ARM
// Architecture Reference Manual ARMv7-A (ARM DDI 0406): clean, invalidate,
// point of coherency, point of unification, set/way. That a Cortex-A8 store
// miss does not allocate is as observed in pixman's work on that core (pixman
// list, April 2011). The rules of victims and sub-blocks are also those by
// which DineroIV counts, so that its counts can be reproduced exactly.
package cachemodel
