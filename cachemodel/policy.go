package cachemodel

import (
	"fmt"
	"slices"
	"strings"
)

// Replacement chooses the line a full set gives up.
type Replacement uint8

// The replacement policies.
const (
	LRU        Replacement = iota // the least recently used, exactly
	Random                        // any, drawn from a generator seeded with Config.Seed and the level
	FIFO                          // the one filled first
	PLRU                          // the one the tree of a set points to: each use turns the bits on its path away
	RoundRobin                    // the ways of a set in turn: its counter steps when a full set gives a line up
)

// WritePolicy says what a store does to a level that has the line:
// [WriteBack], the default, makes the copy dirty and stops there;
// [WriteThrough] updates the copy, keeps it clean and passes the store on.
type WritePolicy uint8

// WriteBack is both a [WritePolicy] and a [TransferKind], as in the manuals: a
// constant without a type, which fits either. It is the zero of both.
const WriteBack = 0

// WriteThrough is the other [WritePolicy].
const WriteThrough WritePolicy = 1

// Allocate says which accesses that miss install the line.
type Allocate uint8

// The allocation policies.
const (
	ReadAllocate      Allocate = iota // loads only; a store that misses goes on
	ReadWriteAllocate                 // loads and stores
)

// Index is how the lines of a level are found.
type Index uint8

// The ways to index and tag.
const (
	PIPT Index = iota // physically indexed, physically tagged
	VIPT              // virtually indexed, physically tagged
	VIVT              // virtually indexed, virtually tagged; each line carries its physical address
)

// Aliases is what a virtually indexed level does about copies of a physical
// line under several colours.
type Aliases uint8

// The rules for aliases.
const (
	AliasesKept     Aliases = iota // each copy lives its own life: software must see to it
	AliasesResolved                // a miss evicts the copy under another colour first
)

// Inclusion is what a level holds in relation to the nearer ones.
type Inclusion uint8

// The inclusion policies.
const (
	Neither   Inclusion = iota // it takes no notice
	Inclusive                  // every line that a nearer level holds
	Exclusive                  // the victims of the level before it, and nothing that level has
)

// Point is how far maintenance by address reaches.
type Point uint8

// The points of the architecture.
const (
	PoC Point = iota // of coherency: all inner levels
	PoU              // of unification: the levels before instructions and data meet
)

// TransferKind is what a transfer between the last level and memory is for:
// [Fetch], [WriteBack] or [Store].
type TransferKind uint8

// The kinds of transfer beside [WriteBack], a whole dirty line written to memory.
const (
	Fetch TransferKind = WriteBack + 1 + iota // a line read from memory
	Store                                     // a store passed on to memory: not allocated, or written through
)

// Op is a maintenance operation.
type Op uint8

// The maintenance operations.
const (
	Clean           Op = iota // write dirty data out, keep the line
	Invalidate                // drop the line, and the data with it if it is dirty
	CleanInvalidate           // write dirty data out, then drop the line
)

var (
	replacementNames = []string{LRU: "lru", Random: "random", FIFO: "fifo", PLRU: "plru", RoundRobin: "round-robin"}
	writeNames       = []string{WriteBack: "back", WriteThrough: "through"}
	allocateNames    = []string{ReadAllocate: "read", ReadWriteAllocate: "read-write"}
	indexNames       = []string{PIPT: "pipt", VIPT: "vipt", VIVT: "vivt"}
	aliasNames       = []string{AliasesKept: "kept", AliasesResolved: "resolved"}
	inclusionNames   = []string{Neither: "neither", Inclusive: "inclusive", Exclusive: "exclusive"}
	pointNames       = []string{PoC: "PoC", PoU: "PoU"}
	transferNames    = []string{WriteBack: "write-back", Fetch: "fetch", Store: "store"}
	opNames          = []string{Clean: "clean", Invalidate: "invalidate", CleanInvalidate: "clean+invalidate"}
)

// String returns the policy's name, as [ParseReplacement] takes it.
func (r Replacement) String() string { return name(r, replacementNames) }

// String returns the policy's name, as [ParseWritePolicy] takes it.
func (w WritePolicy) String() string { return name(w, writeNames) }

// String returns the policy's name, as [ParseAllocate] takes it.
func (a Allocate) String() string { return name(a, allocateNames) }

// String returns the index's name, as [ParseIndex] takes it.
func (i Index) String() string { return name(i, indexNames) }

// String returns the rule's name, as [ParseAliases] takes it.
func (a Aliases) String() string { return name(a, aliasNames) }

// String returns the policy's name, as [ParseInclusion] takes it.
func (i Inclusion) String() string { return name(i, inclusionNames) }

// String returns the point's usual abbreviation.
func (p Point) String() string { return name(p, pointNames) }

// String returns the kind's name.
func (k TransferKind) String() string { return name(k, transferNames) }

// String returns the operation's name, as [ParseOp] takes it.
func (op Op) String() string { return name(op, opNames) }

// ParseReplacement returns the policy named "lru", "random", "fifo", "plru" or
// "round-robin". The error for any other name lists them.
func ParseReplacement(s string) (Replacement, error) {
	return parse[Replacement]("replacement policy", s, replacementNames)
}

// ParseWritePolicy returns the policy named "back" or "through". The error for
// any other name lists them.
func ParseWritePolicy(s string) (WritePolicy, error) {
	return parse[WritePolicy]("write policy", s, writeNames)
}

// ParseAllocate returns the policy named "read" or "read-write". The error for
// any other name lists them.
func ParseAllocate(s string) (Allocate, error) {
	return parse[Allocate]("allocation policy", s, allocateNames)
}

// ParseIndex returns the index named "pipt", "vipt" or "vivt". The error for any
// other name lists them.
func ParseIndex(s string) (Index, error) { return parse[Index]("index", s, indexNames) }

// ParseAliases returns the rule named "kept" or "resolved". The error for any
// other name lists them.
func ParseAliases(s string) (Aliases, error) { return parse[Aliases]("alias rule", s, aliasNames) }

// ParseInclusion returns the policy named "neither", "inclusive" or
// "exclusive". The error for any other name lists them.
func ParseInclusion(s string) (Inclusion, error) {
	return parse[Inclusion]("inclusion", s, inclusionNames)
}

// ParseOp returns the operation named "clean", "invalidate" or
// "clean+invalidate". The error for any other name lists them.
func ParseOp(s string) (Op, error) {
	return parse[Op]("maintenance operation", s, opNames)
}

// Values lists the names of the policies.
func (Replacement) Values() []string { return slices.Clone(replacementNames) }

// Values lists the names of the policies.
func (WritePolicy) Values() []string { return slices.Clone(writeNames) }

// Values lists the names of the policies.
func (Allocate) Values() []string { return slices.Clone(allocateNames) }

// Values lists the names of the indexes.
func (Index) Values() []string { return slices.Clone(indexNames) }

// Values lists the names of the rules.
func (Aliases) Values() []string { return slices.Clone(aliasNames) }

// Values lists the names of the policies.
func (Inclusion) Values() []string { return slices.Clone(inclusionNames) }

// MarshalText returns the policy's name.
func (r Replacement) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText sets the policy by name.
func (r *Replacement) UnmarshalText(text []byte) error { return set(r, text, ParseReplacement) }

// MarshalText returns the policy's name.
func (w WritePolicy) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText sets the policy by name.
func (w *WritePolicy) UnmarshalText(text []byte) error { return set(w, text, ParseWritePolicy) }

// MarshalText returns the policy's name.
func (a Allocate) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText sets the policy by name.
func (a *Allocate) UnmarshalText(text []byte) error { return set(a, text, ParseAllocate) }

// MarshalText returns the index's name.
func (i Index) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText sets the index by name.
func (i *Index) UnmarshalText(text []byte) error { return set(i, text, ParseIndex) }

// MarshalText returns the rule's name.
func (a Aliases) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText sets the rule by name.
func (a *Aliases) UnmarshalText(text []byte) error { return set(a, text, ParseAliases) }

// MarshalText returns the policy's name.
func (i Inclusion) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText sets the policy by name.
func (i *Inclusion) UnmarshalText(text []byte) error { return set(i, text, ParseInclusion) }

func name[T ~uint8](v T, names []string) string {
	if int(v) >= len(names) {
		return fmt.Sprintf("%T(%d)", v, uint8(v))
	}
	return names[v]
}

func parse[T ~uint8](what, s string, names []string) (T, error) {
	if i := slices.Index(names, s); i >= 0 {
		return T(i), nil
	}
	return 0, fmt.Errorf("unknown %s %q: want %s", what, s, alternatives(names))
}

// alternatives lists names as in "a, b or c".
func alternatives(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func set[T any](to *T, text []byte, parse func(string) (T, error)) error {
	v, err := parse(string(text))
	if err == nil {
		*to = v
	}
	return err
}
