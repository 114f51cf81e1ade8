package conf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const (
	maxNodes = 100_000 // values of a file and those it includes, aliases expanded
	maxDepth = 64
)

// kind is the kind of a YAML value.
type kind uint8

const (
	kindScalar kind = iota
	kindNull
	kindMapping
	kindList
)

func (k kind) String() string {
	return [...]string{"a single value", "no value", "a mapping", "a list"}[k]
}

// node is a value of a YAML tree: what yaml.Node holds, with aliases and merge
// keys expanded. Nodes of a file belong to one place each and may be changed by
// overrides; those of presets are shared and never change.
type node struct {
	src             *source
	kind            kind
	quoted          bool
	broken          bool // an error was reported already
	flow            bool // a mapping or list in brackets
	line, col       int  // 0 if made by an override
	key             string
	keyLine, keyCol int    // of the key in the mapping that holds it, 0 if none
	text            string // of a scalar
	children        []*node
	index           map[string]int // of a large mapping's children, else nil
	note            *note          // of a preset's leaf
	from            *made          // of a value that parameters made
}

// note is the comment of a preset's leaf.
type note struct {
	estimated bool
	text      string
}

// indexFrom is the size from which a mapping gets an index.
const indexFrom = 16

// child returns the value of a key, nil if there is none. It is safe on nil.
func (n *node) child(key string) *node {
	if n == nil || n.kind != kindMapping {
		return nil
	}
	if n.index != nil {
		if i, ok := n.index[key]; ok {
			return n.children[i]
		}
		return nil
	}
	for _, c := range n.children {
		if c.key == key {
			return c
		}
	}
	return nil
}

// put sets the value of c.key.
func (n *node) put(c *node) {
	if n.child(c.key) == nil {
		n.add(c)
		return
	}
	i := slices.IndexFunc(n.children, func(old *node) bool { return old.key == c.key })
	n.children[i] = c
}

// add appends a value whose key is new.
func (n *node) add(c *node) {
	n.children = append(n.children, c)
	switch {
	case n.index != nil:
		n.index[c.key] = len(n.children) - 1
	case len(n.children) == indexFrom:
		n.index = make(map[string]int, 2*indexFrom)
		for i, c := range n.children {
			n.index[c.key] = i
		}
	}
}

// without returns a copy of a mapping that lacks a key.
func (n *node) without(key string) *node {
	kopy := *n
	kopy.children, kopy.index = nil, nil
	for _, c := range n.children {
		if c.key != key {
			kopy.add(c)
		}
	}
	return &kopy
}

// deepCopy returns a copy whose lists and mappings may be changed.
func (n *node) deepCopy() *node {
	if n == nil {
		return nil
	}
	kopy := *n
	kopy.children, kopy.index = nil, nil
	for _, c := range n.children {
		if n.kind == kindMapping {
			kopy.add(c.deepCopy())
		} else {
			kopy.children = append(kopy.children, c.deepCopy())
		}
	}
	return &kopy
}

// place is where to point for a value: itself if on one line, else its key.
func (n *node) place() (line, col int) {
	if n.keyLine > 0 && (n.kind == kindNull || n.kind != kindScalar && !n.flow) {
		return n.keyLine, n.keyCol
	}
	return n.line, n.col
}

// itemName is the name of a list's item under the YAML key that holds names,
// "" if it has none.
func (n *node) itemName(key string) string {
	if c := n.child(key); key != "" && c != nil && c.kind == kindScalar {
		return c.text
	}
	return ""
}

// named returns the item of a list that has a name.
func (n *node) named(key, name string) *node {
	if n == nil || n.kind != kindList || name == "" {
		return nil
	}
	for _, item := range n.children {
		if item.itemName(key) == name {
			return item
		}
	}
	return nil
}

// item returns the item of a list at an index.
func (n *node) item(i int) *node {
	if n == nil || n.kind != kindList || i < 0 || i >= len(n.children) {
		return nil
	}
	return n.children[i]
}

// join appends a step to a dotted path.
func join(path, step string) string {
	if path == "" {
		return step
	}
	return path + "." + step
}

// where names a path in a message.
func where(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// inside names a mapping in a message.
func inside(path string) string {
	if path == "" {
		return " at the top level"
	}
	return " in " + path
}

// converter turns yaml.Nodes into nodes.
type converter struct {
	d      *decoder
	src    *source
	nodes  int
	active map[*yaml.Node]bool // anchored nodes being expanded
	full   bool
}

// convert returns the tree of a YAML document, nil if an error was reported.
func (d *decoder) convert(src *source, root *yaml.Node) *node {
	c := &converter{d: d, src: src, active: map[*yaml.Node]bool{}}
	if !src.preset {
		c.nodes = d.nodes
	}
	n := c.value(root, "", 0)
	if !src.preset {
		d.nodes = c.nodes
	}
	if c.full {
		return nil
	}
	return n
}

func (c *converter) errorf(n *yaml.Node, path, format string, args ...any) {
	if !c.d.isFull() {
		c.d.report(c.src, n.Line, n.Column, path, fmt.Sprintf(format, args...))
	}
}

// value converts one value; it returns nil once the size limits are passed.
func (c *converter) value(y *yaml.Node, path string, depth int) *node {
	if c.full {
		return nil
	}
	c.nodes++
	if c.nodes > maxNodes {
		c.full = true
		c.errorf(y, path, "more than %d values; aliases count each time they are used", maxNodes)
		return nil
	}
	if depth > maxDepth {
		c.full = true
		c.errorf(y, path, "nested deeper than %d levels", maxDepth)
		return nil
	}
	n := &node{src: c.src, line: y.Line, col: y.Column, flow: y.Style&yaml.FlowStyle != 0}
	if y.Style&yaml.TaggedStyle != 0 {
		c.errorf(y, path, "explicit tag %s; tags are not used here", quote(y.Tag))
	}
	switch y.Kind {
	case yaml.AliasNode:
		return c.alias(y, path, depth)
	case yaml.MappingNode:
		n.kind = kindMapping
		c.anchored(y, func() { c.mapping(n, y, path, depth) })
	case yaml.SequenceNode:
		n.kind = kindList
		c.anchored(y, func() {
			for i, item := range y.Content {
				name := itemStep(item, i)
				if child := c.value(item, join(path, name), depth+1); child != nil {
					n.children = append(n.children, child)
				}
			}
		})
	default:
		n.text = y.Value
		n.quoted = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
		if !n.quoted && y.ShortTag() == "!!null" {
			n.kind = kindNull
		}
	}
	return n
}

// itemStep is the step of a dotted path to a list's item before its type is known.
func itemStep(item *yaml.Node, i int) string {
	if item.Kind == yaml.MappingNode {
		for k := 0; k+1 < len(item.Content); k += 2 {
			if item.Content[k].Value == "name" && item.Content[k+1].Kind == yaml.ScalarNode {
				return item.Content[k+1].Value
			}
		}
	}
	return strconv.Itoa(i)
}

// anchored runs expand while the node is marked as being expanded.
func (c *converter) anchored(y *yaml.Node, expand func()) {
	if y.Anchor == "" {
		expand()
		return
	}
	c.active[y] = true
	expand()
	delete(c.active, y)
}

// alias expands an alias into a copy of what it names.
func (c *converter) alias(y *yaml.Node, path string, depth int) *node {
	if c.active[y.Alias] {
		c.errorf(y, path, "alias *%s stands inside what it names", y.Value)
		return &node{src: c.src, kind: kindNull, broken: true, line: y.Line, col: y.Column}
	}
	return c.value(y.Alias, path, depth)
}

// mapping converts the keys and values of a mapping into n.
func (c *converter) mapping(n *node, y *yaml.Node, path string, depth int) {
	first := map[string]int{}    // line of each explicit key
	explicit := map[string]int{} // and how often the mapping has it
	for i := 0; i+1 < len(y.Content); i += 2 {
		explicit[y.Content[i].Value]++
	}
	for i := 0; i+1 < len(y.Content) && !c.full; i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			c.errorf(k, path, "a key%s is not a plain name", inside(path))
			continue
		}
		if k.ShortTag() == "!!merge" && k.Style&yaml.TaggedStyle == 0 {
			c.merge(n, v, explicit, path, depth)
			continue
		}
		if line, twice := first[k.Value]; twice {
			c.errorf(k, join(path, k.Value), "duplicate key %s%s; it is first on line %d", quote(k.Value), inside(path), line)
			continue
		}
		first[k.Value] = k.Line
		child := c.value(v, join(path, k.Value), depth+1)
		if child == nil {
			return
		}
		child.key, child.keyLine, child.keyCol = k.Value, k.Line, k.Column
		n.add(child)
	}
}

// merge adds what a merge key names to n: keys that n does not have itself.
// Of several mappings the earlier wins.
func (c *converter) merge(n *node, v *yaml.Node, explicit map[string]int, path string, depth int) {
	list := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		list = v.Content
	}
	for _, y := range list {
		m := c.value(y, path, depth+1)
		if m == nil {
			return
		}
		if m.broken {
			continue
		}
		if m.kind != kindMapping {
			c.errorf(y, path, "merge key <<%s: found %v, expected a mapping or a list of mappings", inside(path), m.kind)
			continue
		}
		for _, child := range m.children {
			if explicit[child.key] == 0 && n.child(child.key) == nil {
				n.add(child)
			}
		}
	}
}

// source is a text that values come from.
type source struct {
	name   string
	data   []byte
	rank   int
	preset bool
	lines  []string // split on first use; they share one copy of data
}

// Ranks order the errors of several sources.
const (
	rankFile     = 0       // and up, in order, those it includes
	rankOverride = 1 << 10 // and up, in order
	rankPreset   = 1 << 20
	rankOther    = 1 << 21
)

// line returns a line by its number from 1, "" beyond the end.
func (s *source) line(n int) string {
	if s.lines == nil {
		s.lines = splitLines(string(s.data))
	}
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// splitLines splits a text where YAML does: at a line feed, a carriage return
// or both, and at the line breaks of Unicode. There is one line at least.
func splitLines(text string) []string {
	var lines []string
	start := 0
	for i, r := range text {
		switch r {
		case '\r', '\n', '\u0085', '\u2028', '\u2029':
			if r == '\n' && i > 0 && text[i-1] == '\r' {
				start = i + 1
				continue
			}
			lines = append(lines, text[start:i])
			start = i + utf8.RuneLen(r)
		}
	}
	return append(lines, text[start:])
}

// isFull reports whether there are so many errors that more are not kept.
func (d *decoder) isFull() bool { return len(d.errs) >= maxErrors }

// report notes an error at a place of a source.
func (d *decoder) report(src *source, line, col int, path, msg string) {
	if d.isFull() {
		return
	}
	e := &Error{File: limited(src.name), Path: path, Msg: limited(msg), rank: src.rank}
	if src.rank < rankOverride || src.preset {
		e.Line, e.Col, e.Text = max(line, 1), max(col, 1), src.line(max(line, 1))
	} else if strings.Contains(src.name, " "+path+"=") {
		e.Msg = strings.TrimPrefix(msg, path+": ")
	}
	d.errs = append(d.errs, e)
}

// errorf notes an error at a value.
func (d *decoder) errorf(n *node, path, format string, args ...any) {
	if d.isFull() {
		return
	}
	line, col := n.place()
	d.report(n.src, line, col, path, fmt.Sprintf(format, args...)+n.written())
}
