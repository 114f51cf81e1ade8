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
	LRU    Replacement = iota // the least recently used, exactly
	Random                    // any, drawn from a generator seeded with Config.Seed and the level
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
	replacementNames = []string{LRU: "lru", Random: "random"}
	writeNames       = []string{WriteBack: "back", WriteThrough: "through"}
	allocateNames    = []string{ReadAllocate: "read", ReadWriteAllocate: "read-write"}
	transferNames    = []string{WriteBack: "write-back", Fetch: "fetch", Store: "store"}
	opNames          = []string{Clean: "clean", Invalidate: "invalidate", CleanInvalidate: "clean+invalidate"}
)

// String returns the policy's name, as [ParseReplacement] takes it.
func (r Replacement) String() string { return name(r, replacementNames) }

// String returns the policy's name, as [ParseWritePolicy] takes it.
func (w WritePolicy) String() string { return name(w, writeNames) }

// String returns the policy's name, as [ParseAllocate] takes it.
func (a Allocate) String() string { return name(a, allocateNames) }

// String returns the kind's name.
func (k TransferKind) String() string { return name(k, transferNames) }

// String returns the operation's name, as [ParseOp] takes it.
func (op Op) String() string { return name(op, opNames) }

// ParseReplacement returns the policy named "lru" or "random". The error for
// any other name lists them.
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

// ParseOp returns the operation named "clean", "invalidate" or
// "clean+invalidate". The error for any other name lists them.
func ParseOp(s string) (Op, error) {
	return parse[Op]("maintenance operation", s, opNames)
}

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
	return 0, fmt.Errorf("unknown %s %q: want %s", what, s, strings.Join(names, " or "))
}

func set[T any](to *T, text []byte, parse func(string) (T, error)) error {
	v, err := parse(string(text))
	if err == nil {
		*to = v
	}
	return err
}
