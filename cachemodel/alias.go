package cachemodel

// underColour returns an index that picks the set of a physical line under a
// colour.
func (l *level) underColour(line, colour uint64) uint64 {
	return line&^((l.colours-1)*l.colourBit) | colour*l.colourBit
}

// eachCopy visits the slots that hold a physical line under a colour: one at
// most, but in a VIVT level one for each virtual address.
func (l *level) eachCopy(line, colour uint64, visit func(slot int)) {
	index := l.underColour(line, colour)
	if l.index != VIVT {
		if slot := l.find(index, line|valid); slot >= 0 {
			visit(slot)
		}
		return
	}
	first := l.set(index) * l.ways
	for slot := first; slot < first+l.ways; slot++ {
		if l.slots[slot] != 0 && l.physical[slot] == line {
			visit(slot)
		}
	}
}

// reach returns the slot whose copy maintenance of an address acts on, or -1: in
// a level that resolves aliases, the copy under whatever colour.
func (l *level) reach(a Address) int {
	slot := l.find(l.locate(a))
	if slot < 0 && l.resolves {
		line := a.Physical &^ l.offset
		for colour := range l.colours {
			if slot = l.find(l.underColour(line, colour), line|valid); slot >= 0 {
				break
			}
		}
	}
	return slot
}

// alias looks for copies of a line that the first level does not hold under the
// access's own address, before it installs the line or passes a store on. A
// level that resolves aliases evicts them. O(colours x ways).
func (h *Hierarchy) alias(l *level, a Address) {
	if l.colours == 1 && l.index == VIPT {
		return
	}
	line := a.Physical &^ l.offset
	copies := false
	for colour := range l.colours {
		index := l.underColour(line, colour)
		if !l.resolves {
			l.eachCopy(line, colour, func(int) { copies = true })
		} else if slot := l.find(index, line|valid); slot >= 0 {
			l.counters.AliasesResolved++
			h.giveUp(1, l, h.remove(l, 0, slot))
		}
	}
	if copies {
		l.counters.AliasCopies++
	}
}
