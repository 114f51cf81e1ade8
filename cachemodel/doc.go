// Package cachemodel models the data side of one CPU's cache hierarchy: which
// lines each level holds, which of them are dirty, which write each copy
// carries, and what crosses between the last level and memory when the CPU
// loads, stores or maintains a line.
//
// The model is pure and has no clock. An operation changes the state and says
// what happened: the level that answered, the transfers with memory in the
// order hardware makes them, the state a maintenance operation found. Turning
// that into time is the caller's work.
//
// # Rules
//
// Levels are numbered from the core outwards; level n, one past the last, is
// memory. All levels share one line size and are indexed and tagged by
// physical address. The hierarchy is neither inclusive nor exclusive: a level
// may lose a line that a nearer one keeps, and an older copy may sit below a
// newer dirty one. An access always uses the copy nearest the core.
//
//   - A load that misses is supplied by the nearest level that has the line,
//     or fetched from memory, and installed in every level passed on the way.
//   - A store that hits a write-back level stops there and makes the line
//     dirty. A write-through level updates its copy, keeps it clean and passes
//     the store on.
//   - A store that misses allocates or goes on to the next level, as that
//     level's [Allocate] says. An allocating store of a part of a line first
//     gets the line, as a load would, from below; one of a whole line does
//     not, and leaves the levels below alone.
//   - A dirty victim is written to the next level: over its copy if it has
//     one, else allocated there whatever the level's [Allocate] says, for a
//     victim is a whole line and needs no fetch. That may evict in turn; the
//     last level evicts to memory. Clean victims are dropped.
//   - When several levels miss at once, the nearest makes room first. So
//     whatever an access installs is still resident when it is over, with any
//     associativity and replacement.
//   - Invalid ways are filled first, the lowest one; then the replacement
//     policy decides. Maintenance does not count as use of a line.
//   - Maintenance by address acts on all levels at once, to the point of
//     coherency; by set and way it acts on one level, and what is cleaned goes
//     to the next.
//
// # Left out
//
// The instruction side and instruction fetches in unified levels; virtual
// indexing and its aliases; write-combining and store buffers; speculation
// and prefetch; lock-down; dirty bits for parts of a line (the Cortex-A8's L2
// has one per quadword, here a line is written back whole).
//
// # Sources
//
// Cortex-A8 Technical Reference Manual (ARM DDI 0344): levels, write-back,
// replacement, maintenance by MVA covering L1 and L2 alike. ARM Architecture
// Reference Manual ARMv7-A (ARM DDI 0406): clean, invalidate, point of
// coherency, set/way. That a Cortex-A8 store miss does not allocate is as
// observed in pixman's work on that core (pixman list, April 2011).
package cachemodel
