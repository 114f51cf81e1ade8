package cachemodel

import (
	"errors"
	"fmt"
	"math/bits"
)

// Config describes a hierarchy. It is a plain value; [New] checks it.
type Config struct {
	Levels []LevelConfig // from the core outwards, at least one
	// Instruction is the instruction side of a split first level; without,
	// fetches go to level 0.
	Instruction *LevelConfig
	// Unification is the number of levels before the point of unification,
	// where instructions and data meet: 1 where only the first level is split.
	Unification int
	// Page is the size of the smallest page, which sets the colours of a
	// virtually indexed level; 0 stands for 4096.
	Page int
	// VictimsAsStores makes a dirty victim arrive at the next level as ordinary
	// stores, one for each run of dirty sub-blocks, subject to its Allocate, as
	// DineroIV counts. Without versions only.
	VictimsAsStores bool
	Versions        bool   // whether copies carry versions; without, every Version reported is 0
	Seed            uint64 // seeds random replacement, differently in each level
}

// LevelConfig describes one level.
type LevelConfig struct {
	Size        int // bytes of data
	Ways        int // lines a set, any number up to 65535
	Line        int // bytes a line: a power of two, at least 4
	Replacement Replacement
	Write       WritePolicy
	Allocate    Allocate
	Index       Index     // how lines are found; other than PIPT in the first level only
	Aliases     Aliases   // what a virtually indexed level does about copies under other colours
	Inclusion   Inclusion // of what nearer levels hold; not in the first level
	// Outer marks a level beyond the point of coherency that the core's own
	// operations reach (PL310): it is maintained by physical address in a pass of
	// its own. All levels behind an outer one are outer.
	Outer bool
	// SubBlock is the bytes that have a dirty bit of their own: a power of two,
	// at most 32 a line. 0 stands for the line.
	SubBlock int
	// Sectored gives each sub-block a valid bit as well: it is fetched by itself.
	Sectored bool
}

// Sets returns the number of sets, Size / (Ways x Line): a power of two in a
// valid configuration.
func (c LevelConfig) Sets() int { return c.Size / (c.Ways * c.Line) }

// Colours returns how many sets a physical line may be found in: 1 for a
// physically indexed level, else the bytes of a way over those of a page.
func (c LevelConfig) Colours(page int) int {
	if c.Index == PIPT {
		return 1
	}
	return max(1, c.Sets()*c.Line/page)
}

const (
	minLine  = 4 // leaves the two low bits of a line's address for its state
	maxWays  = 1<<16 - 1
	maxParts = 32 // sub-blocks a line
	page     = 4096
)

// Validate reports the first level and setting that makes no sense, or nil.
func (c Config) Validate() error {
	if len(c.Levels) == 0 {
		return errors.New("cachemodel: no levels, want at least one")
	}
	if c.Page != 0 && (c.Page < minLine || !powerOfTwo(c.Page)) {
		return fmt.Errorf("cachemodel: page of %d bytes, want a power of two", c.Page)
	}
	if c.VictimsAsStores && c.Versions {
		return errors.New("cachemodel: victims as stores carry no versions")
	}
	if c.Versions && !c.uniform() {
		return errors.New("cachemodel: lines of several sizes: versions need one")
	}
	if c.Unification < 0 || c.Unification > len(c.Levels) {
		return fmt.Errorf("cachemodel: point of unification after %d levels, but there are %d", c.Unification, len(c.Levels))
	}
	for i := range c.Levels {
		if err := c.validateLevel(i); err != nil {
			return fmt.Errorf("cachemodel: level %d: %w", i, err)
		}
	}
	if i := c.Instruction; i != nil {
		if err := c.validateInstruction(*i); err != nil {
			return fmt.Errorf("cachemodel: instruction side: %w", err)
		}
	}
	return nil
}

// uniform reports whether all levels have lines of one size.
func (c Config) uniform() bool {
	for _, l := range c.Levels {
		if l.Line != c.Levels[0].Line {
			return false
		}
	}
	return c.Instruction == nil || c.Instruction.Line == c.Levels[0].Line
}

// page returns the size of a page.
func (c Config) page() int {
	if c.Page == 0 {
		return page
	}
	return c.Page
}

// keepsAliases reports whether the level can hold a line under several addresses.
func (c LevelConfig) keepsAliases(page int) bool {
	return c.Index == VIVT || c.Index == VIPT && c.Aliases == AliasesKept && c.Colours(page) > 1
}

// sectored reports whether a level is.
func (c Config) sectored() bool {
	for _, l := range c.Levels {
		if l.Sectored {
			return true
		}
	}
	return c.Instruction != nil && c.Instruction.Sectored
}

func (c Config) validateLevel(i int) error {
	l := c.Levels[i]
	if err := l.validate(); err != nil {
		return err
	}
	switch {
	case i > 0 && l.Index != PIPT:
		return fmt.Errorf("%v index, but only the first level can be indexed virtually", l.Index)
	case i == 0 && l.Index != PIPT && l.Line > c.page():
		return fmt.Errorf("line of %d bytes, larger than a page of %d", l.Line, c.page())
	case i == 0 && l.Inclusion != Neither:
		return fmt.Errorf("%v of nothing: there is no nearer level", l.Inclusion)
	case i == 0 && l.Outer:
		return errors.New("outer, but the first level belongs to the core")
	case i > 0 && c.Levels[i-1].Outer && !l.Outer:
		return errors.New("not outer, but the level before it is")
	case l.Sectored && c.Versions:
		return errors.New("sectored: versions need whole lines")
	}
	if l.Inclusion == Neither {
		return nil
	}
	switch {
	case !c.uniform():
		return fmt.Errorf("%v, which needs one line size in all levels", l.Inclusion)
	case c.sectored():
		return fmt.Errorf("%v, which needs whole lines, but a level is sectored", l.Inclusion)
	case c.VictimsAsStores:
		return fmt.Errorf("%v, but victims are stores", l.Inclusion)
	case l.Inclusion == Exclusive && c.Levels[i-1].Write == WriteThrough:
		return errors.New("exclusive, but the level before it is write-through")
	case l.Inclusion == Exclusive && i == 1 && c.Levels[0].keepsAliases(c.page()):
		return errors.New("exclusive, but the first level keeps aliases: one copy may be there and one here")
	case l.Inclusion == Exclusive && c.Instruction != nil && i == 1:
		return errors.New("exclusive of a split level")
	}
	return nil
}

func (c Config) validateInstruction(l LevelConfig) error {
	if err := l.validate(); err != nil {
		return err
	}
	if l.Index != PIPT || l.Inclusion != Neither || l.Outer {
		return errors.New("want it indexed physically, neither inclusive nor exclusive, and not outer")
	}
	return nil
}

func (c LevelConfig) validate() error {
	if c.Line < minLine || !powerOfTwo(c.Line) {
		return fmt.Errorf("line of %d bytes, want a power of two of at least %d", c.Line, minLine)
	}
	if c.Ways < 1 || c.Ways > maxWays {
		return fmt.Errorf("%d ways, want 1 to %d", c.Ways, maxWays)
	}
	if c.Size < c.Line || c.Ways > c.Size/c.Line {
		return fmt.Errorf("size of %d bytes does not hold a set of %d ways x %d bytes", c.Size, c.Ways, c.Line)
	}
	if c.Size%(c.Ways*c.Line) != 0 || !powerOfTwo(c.Sets()) {
		return fmt.Errorf("size of %d bytes, want %d ways x %d bytes x a power of two of sets", c.Size, c.Ways, c.Line)
	}
	for _, x := range []struct {
		what  string
		value uint8
		names []string
	}{
		{"replacement policy", uint8(c.Replacement), replacementNames},
		{"write policy", uint8(c.Write), writeNames},
		{"allocation policy", uint8(c.Allocate), allocateNames},
		{"index", uint8(c.Index), indexNames},
		{"alias rule", uint8(c.Aliases), aliasNames},
		{"inclusion", uint8(c.Inclusion), inclusionNames},
	} {
		if int(x.value) >= len(x.names) {
			return fmt.Errorf("unknown %s %d", x.what, x.value)
		}
	}
	if c.Replacement == PLRU && (!powerOfTwo(c.Ways) || c.Ways > 64) {
		return fmt.Errorf("plru of %d ways, want a power of two up to 64", c.Ways)
	}
	if c.Aliases == AliasesResolved && c.Index == VIVT {
		return errors.New("aliases resolved in a vivt level: its tags do not tell a copy")
	}
	if s := c.SubBlock; s != 0 && (s < 1 || s > c.Line || !powerOfTwo(s) || c.Line/s > maxParts) {
		return fmt.Errorf("sub-blocks of %d bytes, want a power of two from %d to the line's %d", s, max(1, c.Line/maxParts), c.Line)
	}
	if c.Sectored && c.SubBlock == 0 {
		return errors.New("sectored, but no sub-block size")
	}
	return nil
}

func powerOfTwo(n int) bool { return n > 0 && bits.OnesCount(uint(n)) == 1 }
