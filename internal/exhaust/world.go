// Package exhaust tries every order of events in a small world: a flush strategy under a coherence profile, one buffer of which two lines are watched, a CPU whose caches may evict a line and fetch one
// unasked at any time, and two devices that do not snoop. It says that no order of so many steps harms the data, or shows a shortest one that does.
//
// The world is untimed. Each line has a version in memory, in the caches nearest the core, under each of the two addresses that a virtually indexed cache can keep it under, and in an outer cache; what is
// compared are versions, by the same rules as package memory compares stamps. The strategy is the real one: it is asked the questions that package dmaapi would ask, in the same order. A strategy's history
// is part of the state ([dmaapi.Forker]).
//
// All steps are legal: each agent touches a line only while it owns it, in the direction of its mapping. A script of the failing steps is a scenario ([World.Scenario]) that the timed model plays through; a test
// holds the two models together on random steps.
//
// Left out: write buffers (a driver's barrier drains them before a device starts), stores to a part of a line (one to a stale copy is found out as a load would be), batches, hints, begin and end of CPU access,
// deferred operations (done at once), prefetches in the middle of a maintenance operation, lines that two owners share, levels between the core and the point of coherency (one), write-through caches.
package exhaust

import (
	"errors"
	"fmt"
	"slices"

	"socsim/cachemodel"
	"socsim/sim/units"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/memory"
)

// Lines is how many lines of the buffer are watched: its first and its last.
const Lines = 2

// Devices is how many devices the world can have.
const Devices = 2

// World is what the steps are taken in.
type World struct {
	Chip    soc.Config
	Profile dmaapi.Profile
	// Line is the size of a line and Bytes that of the buffer.
	Line, Bytes int
	// Devices is the number of devices, 1 or 2.
	Devices int
	// Shared lets two devices own the buffer at once in any direction: they take turns by fences. Otherwise they may only if both only read.
	Shared bool
	// Whole leaves out the syncs of a part of the buffer.
	Whole bool
	// Directions are those in which devices map the buffer; all if empty.
	Directions []dmaapi.Direction
	// Speculates tells that the core fetches lines unasked.
	Speculates bool

	names    int  // addresses that the inner caches tell apart: 1, or 2 where the kernel's and the process's are two
	outer    bool // there is an outer cache
	onStore  bool // the inner caches allocate for stores
	outStore bool // the outer one does
	fetches  bool // they fetch a line that is stored to as a whole
}

// NewWorld returns the world of a chip, with the smallest buffer. The core speculates if its configuration or its coherence profile says so.
func NewWorld(chip soc.Config) (*World, error) {
	p, ok := dmaapi.ProfileByName(chip.Coherence)
	if !ok {
		return nil, fmt.Errorf("unknown coherence profile %q", chip.Coherence)
	}
	w := &World{
		Chip: chip, Profile: p, Line: int(chip.L1D.Line), Bytes: Lines * int(chip.L1D.Line), Devices: Devices, names: 1,
		fetches: !chip.CPU.StreamingStores,
	}
	if l := chip.L1D; l.Index == cachemodel.VIVT || l.Index == cachemodel.VIPT && l.Aliases == cachemodel.AliasesKept && w.colours() > max(1, chip.Memory.PageColours) {
		w.names = 2
	}
	w.Speculates = w.MaySpeculate()
	if chip.L1D.Write == cachemodel.WriteThrough {
		return nil, errors.New("l1d.write: through is not in the exhaustive world, want back")
	}
	w.onStore = chip.L1D.Allocate == cachemodel.ReadWriteAllocate
	for _, l := range []soc.LowerLevel{chip.L2, chip.LLC} {
		switch {
		case l.Size == 0:
			continue
		case l.Write == cachemodel.WriteThrough:
			return nil, errors.New("a write-through level is not in the exhaustive world, want back")
		case l.Outer && l.Inclusion != cachemodel.Neither:
			return nil, fmt.Errorf("an outer cache that is %v is not in the exhaustive world, want neither", l.Inclusion)
		case l.Outer || w.outer:
			w.outer = true
			w.outStore = w.outStore || l.Allocate == cachemodel.ReadWriteAllocate
		default:
			w.onStore = w.onStore || l.Allocate == cachemodel.ReadWriteAllocate
		}
	}
	return w, nil
}

// maps tells whether devices map the buffer in a direction.
func (w *World) maps(d dmaapi.Direction) bool {
	return len(w.Directions) == 0 || slices.Contains(w.Directions, d)
}

// colours is how many page colours the first level has.
func (w *World) colours() int {
	l := w.Chip.L1D
	return int(l.Size) / l.Ways / memory.PageBytes
}

// SetBytes makes the buffer larger than the lines that are watched: strategies see its size, and its first and last line stand for the others.
func (w *World) SetBytes(n int) error {
	switch {
	case n < Lines*w.Line || n > 256<<20:
		return fmt.Errorf("a buffer of %d bytes, want %d (two lines) to 256MiB", n, Lines*w.Line)
	case n > memory.PageBytes && n%memory.PageBytes != 0:
		return fmt.Errorf("a buffer of %d bytes, want whole pages of 4KiB", n)
	case n <= memory.PageBytes && n%(Lines*w.Line) != 0:
		return fmt.Errorf("a buffer of %d bytes, want pairs of lines of %d bytes", n, w.Line)
	case n > memory.PageBytes && w.names > 1 && w.Chip.L1D.Index != cachemodel.VIVT:
		return fmt.Errorf("a buffer of %d bytes: where colours of pages matter it has at most one page", n)
	}
	w.Bytes = n
	return nil
}

// offset is where a watched line lies in the buffer.
func (w *World) offset(line int) int { return line * (w.Bytes - w.Line) }

// page is the page of the buffer that a watched line lies in.
func (w *World) page(line int) int { return w.offset(line) / memory.PageBytes }

// capacity is what the caches up to the point of coherency hold, and what they hold with the outer one.
func (w *World) capacity() (inner, all int) {
	inner = int(w.Chip.L1D.Size)
	all = inner
	for _, l := range []soc.LowerLevel{w.Chip.L2, w.Chip.LLC} {
		if !l.Outer {
			inner += int(l.Size)
		}
		all += int(l.Size)
	}
	return inner, all
}

// String describes the world in a line.
func (w *World) String() string {
	s := fmt.Sprintf("%s on %s", w.Profile.Name, w.Chip.Preset)
	switch {
	case w.Profile.Snoops:
		s += ", devices snoop"
	case w.Speculates:
		s += ", core speculates"
	default:
		s += ", core does not speculate"
	}
	if w.names > 1 {
		s += ", cache keeps aliases"
	}
	if w.outer {
		s += ", outer cache"
	}
	s += fmt.Sprintf(", buffer of %v", units.Bytes(w.Bytes))
	if w.Devices == 1 {
		return s + ", one device"
	}
	if w.Shared {
		return s + ", two devices that may own it at once"
	}
	return s + ", two devices"
}

const cached = cpu.Cached

// MaySpeculate tells whether the chip's core or its coherence profile has it that lines are fetched unasked.
func (w *World) MaySpeculate() bool { return w.Profile.Speculates || w.Chip.CPU.Speculation > 0 }

// chips are the presets that stand for the coherence profiles.
var chips = map[string]string{
	"armv5": "omap1-arm926", "armv5-all-colours": "omap1-arm926", "armv6": "omap2420", "armv6-all-colours": "omap2420", "armv7": "omap3430", "armv7-all-colours": "omap3430", "armv7-outer": "omap4430",
	"arm64": "arm64-syscache", "arm64-before-5.19": "arm64-syscache", "coherent": "server-64m",
}

// ChipOf returns the preset of a chip that a coherence profile is for.
func ChipOf(profile string) (string, bool) {
	chip, ok := chips[profile]
	return chip, ok
}
