package cachemodel

import (
	"fmt"
	"math/bits"
)

// StoreBuffer gathers stores on their way past a cache: to memory, as a
// write-combining buffer, or to a level that would have to fetch the line for
// a part of it and need not for the whole, which is how a core finds out that a
// program streams. It has a fixed number of entries, each of one aligned block.
// An entry leaves when its block is complete, when a new one needs its place
// (the oldest goes), or when asked for. Which order the bytes of a block come
// in does not matter.
type StoreBuffer struct {
	open  []gather // oldest first
	size  int
	width uint64
	out   []Gathered
}

type gather struct {
	block   Address
	bytes   uint64 // a bit for each gathered
	version Version
}

// Gathered is a run of bytes that leaves a store buffer at once.
type Gathered struct {
	Addr    Address
	Bytes   int
	Version Version // of the last store to the entry
}

// maxWidth is the largest block: a bit a byte in a word.
const maxWidth = 64

// NewStoreBuffer returns an empty buffer of entries that gather blocks of width
// bytes: a power of two up to 64.
func NewStoreBuffer(entries, width int) (*StoreBuffer, error) {
	if entries < 1 {
		return nil, fmt.Errorf("cachemodel: store buffer of %d entries, want at least 1", entries)
	}
	if width < 1 || width > maxWidth || !powerOfTwo(width) {
		return nil, fmt.Errorf("cachemodel: store buffer that merges %d bytes, want a power of two up to %d", width, maxWidth)
	}
	return &StoreBuffer{
		open: make([]gather, 0, entries), size: entries, width: uint64(width),
		out: make([]Gathered, 0, (entries+1)*(maxWidth/2)),
	}, nil
}

// Len returns the number of open entries.
func (b *StoreBuffer) Len() int { return len(b.open) }

// Add takes a store of n bytes and returns what leaves because of it, oldest
// first. The slice is reused by the next call. O(entries) a block.
func (b *StoreBuffer) Add(a Address, n int, v Version) []Gathered {
	b.out = b.out[:0]
	for n > 0 {
		off := a.Physical & (b.width - 1)
		part := min(n, int(b.width-off))
		b.add(Address{a.Virtual - off, a.Physical - off}, (^uint64(0)>>(64-part))<<off, v)
		a.Virtual += uint64(part)
		a.Physical += uint64(part)
		n -= part
	}
	return b.out
}

func (b *StoreBuffer) add(block Address, bytes uint64, v Version) {
	i := b.find(block.Physical)
	if i < 0 {
		if len(b.open) == b.size {
			b.leave(0)
		}
		b.open = append(b.open, gather{block: block})
		i = len(b.open) - 1
	}
	b.open[i].bytes |= bytes
	b.open[i].version = v
	if b.open[i].bytes == ^uint64(0)>>(64-b.width) {
		b.leave(i)
	}
}

func (b *StoreBuffer) find(block uint64) int {
	for i := range b.open {
		if b.open[i].block.Physical == block {
			return i
		}
	}
	return -1
}

// leave sends an entry off, lowest bytes first.
func (b *StoreBuffer) leave(i int) {
	e := b.open[i]
	b.open = append(b.open[:i], b.open[i+1:]...)
	for at := 0; e.bytes != 0; {
		gap := bits.TrailingZeros64(e.bytes)
		run := bits.TrailingZeros64(^(e.bytes >> gap))
		from := uint64(at + gap)
		b.out = append(b.out, Gathered{Address{e.block.Virtual + from, e.block.Physical + from}, run, e.version})
		at += gap + run
		if at == maxWidth {
			break
		}
		e.bytes >>= gap + run
	}
}

// Take sends off the entries that overlap n bytes of physical memory, oldest first: what a load or
// a maintenance operation there must wait for. The slice is reused by the next
// call.
func (b *StoreBuffer) Take(addr uint64, n int) []Gathered {
	b.out = b.out[:0]
	for i := 0; i < len(b.open); {
		if e := b.open[i].block.Physical; e < addr+uint64(n) && addr < e+b.width {
			b.leave(i)
		} else {
			i++
		}
	}
	return b.out
}

// Holds reports whether an entry overlaps n bytes of physical memory. O(entries).
func (b *StoreBuffer) Holds(addr uint64, n int) bool {
	for i := range b.open {
		if e := b.open[i].block.Physical; e < addr+uint64(n) && addr < e+b.width {
			return true
		}
	}
	return false
}

// Drain sends everything off, oldest first: a barrier. The slice is reused by
// the next call.
func (b *StoreBuffer) Drain() []Gathered {
	b.out = b.out[:0]
	for len(b.open) > 0 {
		b.leave(0)
	}
	return b.out
}
