package cachemodel

import (
	"errors"
	"fmt"
	"math/bits"
)

// Config describes a hierarchy. It is a plain value; [New] checks it.
type Config struct {
	Levels   []LevelConfig // from the core outwards, at least one, all with the same line size
	Versions bool          // whether copies carry versions; without, every Version reported is 0
	Seed     uint64        // seeds random replacement, differently in each level
}

// LevelConfig describes one level.
type LevelConfig struct {
	Size        int // bytes of data
	Ways        int // lines a set, any number
	Line        int // bytes a line: a power of two, at least 4
	Replacement Replacement
	Write       WritePolicy
	Allocate    Allocate
}

// Sets returns the number of sets, Size / (Ways x Line): a power of two in a
// valid configuration.
func (c LevelConfig) Sets() int { return c.Size / (c.Ways * c.Line) }

// minLine leaves the two low bits of a line's address for its state.
const minLine = 4

// Validate reports the first level and setting that makes no sense, or nil.
func (c Config) Validate() error {
	if len(c.Levels) == 0 {
		return errors.New("cachemodel: no levels, want at least one")
	}
	for i, l := range c.Levels {
		if err := l.validate(); err != nil {
			return fmt.Errorf("cachemodel: level %d: %w", i, err)
		}
		if first := c.Levels[0].Line; l.Line != first {
			return fmt.Errorf("cachemodel: level %d: line of %d bytes, but level 0 has %d: all levels share one line size", i, l.Line, first)
		}
	}
	return nil
}

func (c LevelConfig) validate() error {
	if c.Line < minLine || !powerOfTwo(c.Line) {
		return fmt.Errorf("line of %d bytes, want a power of two of at least %d", c.Line, minLine)
	}
	if c.Ways < 1 {
		return fmt.Errorf("%d ways, want at least 1", c.Ways)
	}
	if c.Size < c.Line || c.Ways > c.Size/c.Line {
		return fmt.Errorf("size of %d bytes does not hold a set of %d ways x %d bytes", c.Size, c.Ways, c.Line)
	}
	if c.Size%(c.Ways*c.Line) != 0 || !powerOfTwo(c.Sets()) {
		return fmt.Errorf("size of %d bytes, want %d ways x %d bytes x a power of two of sets", c.Size, c.Ways, c.Line)
	}
	if int(c.Replacement) >= len(replacementNames) {
		return fmt.Errorf("unknown replacement policy %d", c.Replacement)
	}
	if int(c.Write) >= len(writeNames) {
		return fmt.Errorf("unknown write policy %d", c.Write)
	}
	if int(c.Allocate) >= len(allocateNames) {
		return fmt.Errorf("unknown allocation policy %d", c.Allocate)
	}
	return nil
}

func powerOfTwo(n int) bool { return n > 0 && bits.OnesCount(uint(n)) == 1 }
