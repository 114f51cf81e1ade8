package conf

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Keys at the top of a file that is composed. They are used up by decoding and
// belong to no struct.
const (
	includeKey = "include"
	paramsKey  = "params"
)

// Bounds of what a file may include, itself counted.
const (
	maxIncludeDepth = 8
	maxIncludeFiles = 64
)

// DecodeOption is an option of Decode.
type DecodeOption func(*decoder)

// Open reads the file that from includes by a name as it is written there. Its
// error is printed at the include.
type Open func(from Source, name string) (Source, error)

// Composed lets a file have two more keys at its top level.
//
// "include" names a file, or lists several, that lie below this one, each
// above those before it, and may include others. Mappings are merged key by key
// as far as the structs go, and so are the items of named lists, by name: those
// of the lower file keep their place, new ones follow. Any other value of a
// higher file replaces the lower one.
//
// "params" maps names to single values, which stand for "${name}" in the values
// of all these files and of overrides, wholly or in part; "$${" stands for
// "${". Where files disagree on a parameter, the higher wins, and an override
// of the path "params.name" above them. A value with parameters is read as
// if it were written without quotes, since in brackets YAML wants it in quotes.
func Composed(open Open) DecodeOption {
	return func(d *decoder) { d.open = open }
}

// layer is a file that takes part: its values, and its parameters.
type layer struct{ tree, params *node }

// composer gathers the layers of a file.
type composer struct {
	d      *decoder
	layers []layer // lowest first
	files  int
	bytes  int
	failed bool
}

// compose lays the files that a file includes below it, and puts the
// parameters' values in. It returns the overrides that are left, and no tree if
// a file cannot be included.
func (d *decoder) compose(root slot, from Source, tree *node, overrides []Override) (*node, []Override) {
	for _, key := range [...]string{includeKey, paramsKey} {
		if root.fields.field(key) != nil {
			panic(fmt.Sprintf("conf: key %q of %v is one of composed files", key, root.typ))
		}
	}
	c := &composer{d: d, files: 1, bytes: len(from.Data)}
	c.add(from, tree, nil)
	if c.failed {
		return nil, nil
	}
	d.params = newParams(d)
	for _, l := range c.layers {
		d.params.declare(l.params)
	}
	overrides = d.params.override(overrides)
	d.params.resolveAll()
	var merged *node
	for _, l := range c.layers {
		d.params.substitute(l.tree, "")
		merged = fileLayers.fields(root, merged, l.tree)
	}
	return merged, overrides
}

// add appends the files that tree includes, then tree itself.
func (c *composer) add(from Source, tree *node, above []Source) {
	above = append(above, from)
	include := tree.child(includeKey)
	names := []*node{include}
	if include != nil && include.kind == kindList {
		names = include.children
	}
	for _, n := range names {
		switch {
		case n == nil:
		case c.d.isKind(n, kindScalar, includeKey):
			c.file(from, n, above)
		default:
			c.failed = true
		}
	}
	c.layers = append(c.layers, layer{tree.without(includeKey).without(paramsKey), tree.child(paramsKey)})
}

// file reads one included file and adds it.
func (c *composer) file(from Source, name *node, above []Source) {
	fail := func(format string, args ...any) {
		c.failed = true
		c.d.errorf(name, includeKey, includeKey+": "+format, args...)
	}
	switch {
	case strings.Contains(name.text, "${"):
		fail("%s: a file is included by its plain name; parameters are not known yet when it is read", quote(name.text))
		return
	case name.text == "":
		fail("the name of a file is missing")
		return
	case len(above) >= maxIncludeDepth:
		fail("files include each other deeper than %d levels", maxIncludeDepth)
		return
	case c.files >= maxIncludeFiles:
		fail("more than %d files, each counted as often as it is included", maxIncludeFiles)
		return
	}
	src, err := c.d.open(from, name.text)
	if err != nil {
		fail("%v", err)
		return
	}
	for i, s := range above {
		if sameFile(s, src) {
			fail("the file includes itself: %s", chain(append(above[i:len(above):len(above)], src)))
			return
		}
	}
	c.files++
	if c.bytes += len(src.Data); c.bytes > maxFile {
		fail("with this file there are more than 4 MiB")
		return
	}
	file := &source{name: src.Name, data: src.Data, rank: rankFile + c.files}
	root := c.d.parse(file)
	if root == nil {
		c.failed = true
		return
	}
	tree := c.d.convert(file, root)
	if tree == nil || !c.d.isKind(tree, kindMapping, "") {
		c.failed = true
		return
	}
	c.add(src, tree, above)
}

// sameFile reports whether two sources are of the same name and kind.
func sameFile(a, b Source) bool {
	return a.Builtin == b.Builtin && filepath.Clean(a.Name) == filepath.Clean(b.Name)
}

func chain(files []Source) string {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	return strings.Join(names, " > ")
}
