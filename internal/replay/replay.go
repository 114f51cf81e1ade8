// Package replay drives the cache model with a recorded trace of memory accesses, by one of three sets of rules, and counts.
//
// # Rules
//
// hardware, the default: an access that straddles two lines is two accesses; a modify is a read, then a write; a lower level sees line fills, evictions, and stores that went through or did not
// allocate. A dirty victim moves down as a whole line. Flushes go level by level, by set and way, cleaning and invalidating.
//
// dinero: the rules by which DineroIV 7 counts. They differ in two things: a dirty victim arrives at the next level as ordinary stores, one for each run of dirty sub-blocks, which that level may
// not allocate for; and a flush copies lines back in DineroIV's order before it drops everything.
//
// cachegrind: the rules of valgrind's cachegrind. A modify is one read. A reference that touches two lines looks both up and counts one miss at most. On a miss the same bytes, not lines, are
// presented to the next level, hit or miss in the first half. There are no dirty lines, no write-backs and no bytes; a write is a read to the state.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"socsim/cachemodel"
	"socsim/internal/memtrace"
)

// Rules are the rules by which accesses count.
type Rules string

// The rules.
const (
	Hardware   Rules = "hardware"
	Cachegrind Rules = "cachegrind"
	Dinero     Rules = "dinero"
)

// RuleNames lists the rules.
func RuleNames() []string { return []string{string(Hardware), string(Cachegrind), string(Dinero)} }

// Config is what a trace is replayed through.
type Config struct {
	// Caches is the hierarchy. Versions are of no use here.
	Caches cachemodel.Config
	Rules  Rules
	// FlushEvery empties the caches after every so many references, dirty lines written back; 0 never. A modify counts as two, but for cachegrind.
	FlushEvery uint64
	// FlushAtEnd writes dirty lines back after the last reference, so that they are counted.
	FlushAtEnd bool
}

// Level is what was counted at one level.
type Level struct {
	Name string // l1, l1i, l1d, l2 and so on
	// Instr, Reads and Writes are the accesses.
	Instr, Reads, Writes                 uint64
	InstrMisses, ReadMisses, WriteMisses uint64
	Straddles                            uint64
	// Writebacks and the bytes are absent, that is not Data, by cachegrind's rules.
	Data                                     bool
	Writebacks, BytesFromBelow, BytesToBelow uint64
}

// Counts is what a replay counted.
type Counts struct {
	// References is the records of the trace, a modify counted as its rules say; Accesses those of the first level, straddling ones as their rules say.
	References, Accesses uint64
	Flushes              uint64
	Levels               []Level
}

// Source is a trace: [memtrace.Reader] is one.
type Source interface {
	Next(batch []memtrace.Record) (int, error)
}

// engine takes the records of a trace, a batch at a time.
type engine interface {
	batch(records []memtrace.Record)
	finish()
	counts() *Counts
}

// batchRecords is how many records are handed over at once: a batch fits in the host's L1.
const batchRecords = 1024

// Run replays a trace to its end. If it cannot, for an error of the trace or because the context ends, it returns the counts so far and the error. progress, if not nil, is told the number of
// references now and then.
func Run(ctx context.Context, src Source, c Config, progress func(references uint64)) (*Counts, error) {
	e, err := newEngine(c)
	if err != nil {
		return nil, err
	}
	records := make([]memtrace.Record, batchRecords)
	for batches := 0; ; batches++ {
		n, err := src.Next(records)
		e.batch(records[:n])
		if err == io.EOF {
			e.finish()
			return e.counts(), nil
		}
		if err != nil {
			return e.counts(), err
		}
		if batches%1024 == 1023 {
			if err := ctx.Err(); err != nil {
				return e.counts(), err
			}
			if progress != nil {
				progress(e.counts().References)
			}
		}
	}
}

func newEngine(c Config) (engine, error) {
	switch c.Rules {
	case Hardware, Dinero:
		return newHierarchy(c)
	case Cachegrind:
		return newCachegrind(c)
	}
	return nil, fmt.Errorf("unknown rules %q: want %s", c.Rules, strings.Join(RuleNames(), ", "))
}

// progress counts references and flushes.
type progress struct {
	references, flushes uint64
	every, due          uint64 // references from one flush to the next, 0 for none, and those left of them
}

func from(c Config) progress { return progress{every: c.FlushEvery, due: c.FlushEvery} }

// count counts a reference and tells whether it is time to flush.
func (p *progress) count() bool {
	p.references++
	if p.every == 0 {
		return false
	}
	if p.due--; p.due > 0 {
		return false
	}
	p.due = p.every
	return true
}

func (p *progress) counts() *Counts { return &Counts{References: p.references, Flushes: p.flushes} }

// levelNames names the levels of a hierarchy as the results do.
func levelNames(c cachemodel.Config) []string {
	var names []string
	for i := range c.Levels {
		name := fmt.Sprintf("l%d", i+1)
		if i == 0 && c.Instruction != nil {
			names = append(names, "l1i")
			name = "l1d"
		}
		names = append(names, name)
	}
	return names
}

// hierarchy replays by the rules of hardware or dinero.
type hierarchy struct {
	Config
	h            *cachemodel.Hierarchy
	instr, data  uint64 // line sizes of the first level, less one
	straddles    [2]uint64
	progress     progress
	instructions bool // whether the first level is split
}

func newHierarchy(c Config) (*hierarchy, error) {
	c.Caches.Versions = false
	c.Caches.VictimsAsStores = c.Rules == Dinero
	h, err := cachemodel.New(c.Caches)
	if err != nil {
		return nil, err
	}
	e := &hierarchy{Config: c, h: h, data: uint64(c.Caches.Levels[0].Line - 1), progress: from(c)}
	e.instr = e.data
	if i := c.Caches.Instruction; i != nil {
		e.instr, e.instructions = uint64(i.Line-1), true
	}
	return e, nil
}

// quick are the accesses that a record may be one of; a modify is none.
var quick = [8]cachemodel.Access{memtrace.Instr: cachemodel.Instruction, memtrace.Load: cachemodel.Load, memtrace.Store: cachemodel.StoreTo, memtrace.Modify: 3, memtrace.Flush: 3, 5: 3, 6: 3, 7: 3}

func (e *hierarchy) batch(records []memtrace.Record) {
	for i := range records {
		r := &records[i]
		if e.h.Quick(quick[r.Kind&7], r.Addr, int(r.Size)) {
			e.count()
			continue
		}
		switch r.Kind {
		case memtrace.Instr:
			if r.Addr&e.instr+uint64(r.Size-1) > e.instr {
				e.pieces(r, e.instr, 0, func(a cachemodel.Address, n int) { e.h.Fetch(a, n) })
			} else {
				e.h.Fetch(cachemodel.At(r.Addr), int(r.Size))
			}
		case memtrace.Load:
			e.read(r)
		case memtrace.Store:
			e.write(r)
		case memtrace.Modify:
			e.read(r)
			e.count()
			e.write(r)
		case memtrace.Flush:
			e.flush()
			continue
		}
		e.count()
	}
}

func (e *hierarchy) read(r *memtrace.Record) {
	if r.Addr&e.data+uint64(r.Size-1) > e.data {
		e.pieces(r, e.data, 1, func(a cachemodel.Address, n int) { e.h.Read(a, n) })
	} else {
		e.h.Read(cachemodel.At(r.Addr), int(r.Size))
	}
}

func (e *hierarchy) write(r *memtrace.Record) {
	if r.Addr&e.data+uint64(r.Size-1) > e.data {
		e.pieces(r, e.data, 1, func(a cachemodel.Address, n int) { e.h.Write(a, n, 0) })
	} else {
		e.h.Write(cachemodel.At(r.Addr), int(r.Size), 0)
	}
}

// pieces splits an access that straddles lines.
func (e *hierarchy) pieces(r *memtrace.Record, mask uint64, side int, access func(cachemodel.Address, int)) {
	e.straddles[side]++
	for addr, n := r.Addr, int(r.Size); n > 0; {
		part := min(n, int(mask-addr&mask)+1)
		access(cachemodel.At(addr), part)
		addr += uint64(part)
		n -= part
	}
}

// count counts a reference and flushes when it is time.
func (e *hierarchy) count() {
	if e.progress.count() {
		e.flush()
	}
}

// flush writes dirty lines back and drops everything.
func (e *hierarchy) flush() {
	e.progress.flushes++
	e.copyBack()
	e.h.Empty()
}

func (e *hierarchy) copyBack() {
	if e.Rules == Dinero {
		e.h.CopyBack()
		return
	}
	e.h.MaintainAll(cachemodel.Clean, cachemodel.PoC)
	e.h.MaintainAllOuter(cachemodel.Clean)
}

func (e *hierarchy) finish() {
	if e.FlushAtEnd {
		e.copyBack()
	}
}

func (e *hierarchy) counts() *Counts {
	out := e.progress.counts()
	add := func(name string, k cachemodel.Counters) {
		out.Levels = append(out.Levels, Level{
			Name: name, Instr: k.InstrHits + k.InstrMisses, Reads: k.ReadHits + k.ReadMisses, Writes: k.WriteHits + k.WriteMisses,
			InstrMisses: k.InstrMisses, ReadMisses: k.ReadMisses, WriteMisses: k.WriteMisses, Straddles: k.Straddles,
			Data: true, Writebacks: k.Writebacks, BytesFromBelow: k.BytesFromBelow, BytesToBelow: k.BytesToBelow,
		})
	}
	names := levelNames(e.Caches)
	if k, ok := e.h.InstructionCounters(); ok {
		k.Straddles = e.straddles[0]
		add(names[0], k)
		names = names[1:]
	}
	for i, name := range names {
		k := e.h.Counters(i)
		if i == 0 {
			k.Straddles = e.straddles[1]
			if !e.instructions {
				k.Straddles += e.straddles[0]
			}
		}
		add(name, k)
	}
	out.first(e.instructions)
	return out
}

// first sums the accesses of the first level.
func (c *Counts) first(split bool) {
	n := 1
	if split {
		n = 2
	}
	for _, l := range c.Levels[:n] {
		c.Accesses += l.Instr + l.Reads + l.Writes
	}
}

// cachegrind replays by cachegrind's rules: each level is a hierarchy of its own, of which the state alone counts.
type cachegrind struct {
	Config
	instr, data []*lookup // the levels that a reference goes through
	all         []*lookup
	progress    progress
}

// lookup is one level by cachegrind's rules.
type lookup struct {
	h      *cachemodel.Hierarchy
	mask   uint64 // line size, less one
	counts Level
}

func newCachegrind(c Config) (*cachegrind, error) {
	e := &cachegrind{Config: c, progress: from(c)}
	names := levelNames(c.Caches)
	add := func(l cachemodel.LevelConfig) (*lookup, error) {
		if l.Write != cachemodel.WriteBack || l.SubBlock != 0 || l.Inclusion != cachemodel.Neither || l.Allocate != cachemodel.ReadWriteAllocate {
			return nil, errors.New("cachegrind's rules know no write-through, no stores that do not allocate, no sub-blocks and no inclusion")
		}
		h, err := cachemodel.New(cachemodel.Config{Levels: []cachemodel.LevelConfig{l}, Seed: c.Caches.Seed + uint64(len(e.all))})
		if err != nil {
			return nil, err
		}
		x := &lookup{h: h, mask: uint64(l.Line - 1), counts: Level{Name: names[len(e.all)]}}
		e.all = append(e.all, x)
		return x, nil
	}
	if err := c.Caches.Validate(); err != nil {
		return nil, err
	}
	if c.Caches.Instruction != nil {
		x, err := add(*c.Caches.Instruction)
		if err != nil {
			return nil, err
		}
		e.instr = append(e.instr, x)
	}
	for i, l := range c.Caches.Levels {
		x, err := add(l)
		if err != nil {
			return nil, err
		}
		e.data = append(e.data, x)
		if i > 0 || c.Caches.Instruction == nil {
			e.instr = append(e.instr, x)
		}
	}
	return e, nil
}

// miss looks up all lines that n bytes touch, installs those that are absent, and reports whether one was.
func (x *lookup) miss(addr uint64, n uint32) bool {
	missed := x.h.Read(cachemodel.At(addr), 1) > 0
	last := (addr + uint64(n) - 1) &^ x.mask
	for line := addr&^x.mask + x.mask + 1; line <= last && line > addr; line += x.mask + 1 {
		missed = x.h.Read(cachemodel.At(line), 1) > 0 || missed
	}
	if addr&^x.mask != last {
		x.counts.Straddles++
	}
	return missed
}

func (e *cachegrind) batch(records []memtrace.Record) {
	for i := range records {
		r := &records[i]
		switch r.Kind {
		case memtrace.Instr:
			for _, x := range e.instr {
				x.counts.Instr++
				if !x.miss(r.Addr, r.Size) {
					break
				}
				x.counts.InstrMisses++
			}
		case memtrace.Load, memtrace.Modify:
			for _, x := range e.data {
				x.counts.Reads++
				if !x.miss(r.Addr, r.Size) {
					break
				}
				x.counts.ReadMisses++
			}
		case memtrace.Store:
			for _, x := range e.data {
				x.counts.Writes++
				if !x.miss(r.Addr, r.Size) {
					break
				}
				x.counts.WriteMisses++
			}
		case memtrace.Flush:
			e.flush()
			continue
		}
		if e.progress.count() {
			e.flush()
		}
	}
}

func (e *cachegrind) flush() {
	e.progress.flushes++
	for _, x := range e.all {
		x.h.Empty()
	}
}

func (e *cachegrind) finish() {}

func (e *cachegrind) counts() *Counts {
	out := e.progress.counts()
	for _, x := range e.all {
		out.Levels = append(out.Levels, x.counts)
	}
	out.first(e.Caches.Instruction != nil)
	return out
}

// Find returns the counts of a level by its name.
func (c *Counts) Find(name string) (Level, bool) {
	i := slices.IndexFunc(c.Levels, func(l Level) bool { return l.Name == name })
	if i < 0 {
		return Level{}, false
	}
	return c.Levels[i], true
}
