package conf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Document is a decoded file: it knows where its values came from.
type Document struct {
	src        *source
	nodes      map[string]*node // by dotted path
	provenance []Provenance
	changed    []string
}

// Change is a setting that a file or an override gives another value than it would have without: the default, or the value of the preset below.
type Change struct {
	Path   string
	Origin string // file:line:column, or the override as it was given
}

// Changes lists what the file, those it includes and the overrides change, in the order in which they stand there. What only repeats the value below it is no change. A list of scalars is one setting.
func (d *Document) Changes() []Change {
	paths := slices.Clone(d.changed)
	slices.SortFunc(paths, func(a, b string) int {
		x, y := d.nodes[a], d.nodes[b]
		return cmp.Or(cmp.Compare(x.src.rank, y.src.rank), cmp.Compare(x.line, y.line), cmp.Compare(x.col, y.col), cmp.Compare(a, b))
	})
	var out []Change
	for _, path := range paths {
		n := d.nodes[path]
		origin := n.src.name
		if n.src.rank < rankOverride {
			line, col := n.place()
			origin = fmt.Sprintf("%s:%d:%d", origin, line, col)
		}
		out = append(out, Change{path, origin})
	}
	return out
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
