package scenario

import "math/big"

// Position returns the place in the scenario's file of the value at a dotted path, both counted from 1. It is not ok for what the file does not write.
func (l *Loaded) Position(path string) (line, col int, ok bool) { return l.doc.Position(path) }

// ParseValue reads a number, duration, size or percentage as an expectation has it. unit is "", "ns", "bytes" or "fraction"; value is nil if the text is none of these.
func ParseValue(text string) (value *big.Rat, unit string) { return parseValue(text) }
