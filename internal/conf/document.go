package conf

import (
	"fmt"
	"slices"
	"strings"
)

// Document is a decoded file: it knows where its values came from.
type Document struct {
	src        *source
	nodes      map[string]*node // by dotted path
	provenance []Provenance
}

// Position returns the place in the file of the value at a dotted path, or of
// its key if the value is a block of lines; both count from 1. It is not ok
// for a path that the file does not write.
func (d *Document) Position(path string) (line, col int, ok bool) {
	n := d.nodes[path]
	if n == nil || n.src != d.src {
		return 0, 0, false
	}
	line, col = n.place()
	return line, col, true
}

// Place is Position in whichever file writes the value: the one decoded, or one
// that it includes.
func (d *Document) Place(path string) (file string, line, col int, ok bool) {
	n := d.nodes[path]
	if n == nil || n.src.preset || n.src.rank >= rankOverride {
		return "", 0, 0, false
	}
	line, col = n.place()
	return n.src.name, line, col, true
}

// Provenance lists the settings in force that a preset backs, sorted by path: those
// that come from a preset, and those that repeat the value of the preset
// below them. A list of scalars is one setting.
func (d *Document) Provenance() []Provenance { return slices.Clone(d.provenance) }

// Errorf reports an error of the setting at a dotted path, in the look of
// decoding errors: the path, and the formatted message. It points to the
// nearest enclosing place that the file or an override writes. The error is of
// type *Error.
func (d *Document) Errorf(path, format string, args ...any) error {
	msg := limited(fmt.Sprintf(format, args...))
	if path != "" {
		msg = path + ": " + msg
	}
	e := &Error{File: d.src.name, Line: 1, Col: 1, Path: path, Msg: msg, rank: d.src.rank}
	src, preset := d.src, ""
	for at := path; ; {
		n := d.nodes[at]
		switch {
		case n == nil:
		case n.src.preset && preset != "":
		case n.src.preset:
			preset = n.src.name
		case n.src.rank >= rankOverride:
			e.File, e.Line, e.Col, e.rank = n.src.name, 0, 0, n.src.rank
		default:
			src = n.src
			e.File, e.rank = src.name, src.rank
			e.Line, e.Col = n.place()
		}
		if n != nil && !n.src.preset {
			e.Msg += n.written()
			break
		}
		i := strings.LastIndexByte(at, '.')
		if at == "" {
			break
		}
		at = at[:max(i, 0)]
	}
	if preset != "" {
		e.Msg += " (set by " + preset + ")"
	}
	if e.Line > 0 {
		e.Text = src.line(e.Line)
	}
	return e
}
