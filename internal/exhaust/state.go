package exhaust

import (
	"fmt"
	"strings"
)

// version names a write of a line: its low two bits say who made it, the others tell it from the other writes of which there is still a copy. Numbers are given out anew after each step, so that states
// that differ in names alone are one.
type version uint8

// The writers.
const (
	before version = iota // power-on
	zero                  // the kernel, at allocation
	byCPU
	byDevice
)

const (
	writerBits = 2
	fresh      = 15 << writerBits // a number that no copy has between steps
)

func (v version) writer() version { return v & 3 }

// copied is a copy of a line in a cache.
type copied struct {
	v            version
	there, dirty bool
}

// line is where the versions of a line are.
type line struct {
	newest, memory version
	inner          [2]copied // by the kernel's address, which maintenance goes by, and the process's; the first alone where the caches cannot tell
	outer          copied
	owed           bool // the CPU stored to it and has not handed it to a device since
}

// mapping is a device's mapping of the buffer.
type mapping struct {
	dir  uint8 // a dmaapi.Direction and one; 0 for none
	owns uint8 // a bit for each line that the device owns
}

// state is all that a next step depends on beside the strategy's history.
type state struct {
	lines   [Lines]line
	devices [Devices]mapping
	present uint8 // a bit for each watched line whose page a tracked mapping has
}

// canonical numbers the versions in the order in which they are first met, and forgets what is in no cache.
func (s *state) canonical() {
	for i := range s.lines {
		l := &s.lines[i]
		var seen [5]version
		n := 0
		name := func(v *version) {
			for k := range n {
				if seen[k] == *v {
					*v = version(k)<<writerBits | v.writer()
					return
				}
			}
			seen[n] = *v
			*v = version(n)<<writerBits | v.writer()
			n++
		}
		name(&l.newest)
		name(&l.memory)
		for _, c := range []*copied{&l.inner[0], &l.inner[1], &l.outer} {
			if c.there {
				name(&c.v)
			} else {
				*c = copied{}
			}
		}
	}
}

// coherent makes every copy current, as snooping does.
func (s *state) coherent() {
	for i := range s.lines {
		l := &s.lines[i]
		l.memory, l.inner[0].v, l.inner[1].v, l.outer.v = l.newest, l.newest, l.newest, l.newest
	}
}

// describe says where a line is.
func (w *World) describe(l *line) string {
	age := func(v version) string {
		if v == l.newest {
			return "newest"
		}
		return "old"
	}
	parts := []string{"memory " + age(l.memory)}
	add := func(where string, c copied) {
		if !c.there {
			return
		}
		soil := "clean"
		if c.dirty {
			soil = "dirty"
		}
		parts = append(parts, fmt.Sprintf("%s %s %s", where, soil, age(c.v)))
	}
	if w.names == 1 {
		add("cache", l.inner[0])
	} else {
		add("cache (kernel's address)", l.inner[0])
		add("cache (process's address)", l.inner[1])
	}
	add("outer cache", l.outer)
	return strings.Join(parts, ", ")
}
