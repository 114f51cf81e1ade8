package conf

import (
	"fmt"
	"slices"
	"strings"
)

// presetKey names a preset of a namespace.
type presetKey struct{ namespace, name string }

// presetTree returns the tree of a preset, its bases underneath, for a struct
// of slot s. user is the value that names the preset. It returns nil, with the
// error reported, if there is none.
func (d *decoder) presetTree(s slot, name string, user *node, path string) *node {
	return d.loadPreset(s, name, user, path, nil)
}

func (d *decoder) loadPreset(s slot, name string, user *node, path string, above []string) *node {
	key := presetKey{s.preset, name}
	if tree, done := d.presetTrees[key]; done {
		return tree
	}
	if slices.Contains(above, name) {
		d.errorf(user, path, "preset %q is based on itself: %s", name, strings.Join(append(above, name), " > "))
		return nil
	}
	var data []byte
	var ok bool
	var names []string
	if d.presets != nil {
		if data, ok = d.presets.Preset(s.preset, name); !ok {
			names = slices.Clone(d.presets.Names(s.preset))
			slices.Sort(names)
		}
	}
	if !ok {
		hint := "; there are no presets of this kind"
		if len(names) > 0 {
			hint = "; presets: " + strings.Join(names, ", ")
		}
		if near := Nearest(name, names); near != "" {
			hint += fmt.Sprintf("; did you mean %q?", near)
		}
		d.errorf(user, path, "unknown preset %s for %s%s", quote(name), where(path), hint)
		return nil
	}
	src := &source{name: "preset " + s.preset + "/" + name, data: data, rank: rankPreset, preset: true}
	tree := d.readPreset(s, src, path, append(above, name))
	d.presetTrees[key] = tree
	return tree
}

// readPreset parses a preset document and lays it over its base.
func (d *decoder) readPreset(s slot, src *source, path string, above []string) *node {
	root := d.parse(src)
	if root == nil {
		return nil
	}
	tree := d.convert(src, root)
	if tree == nil {
		return nil
	}
	if tree.kind != kindMapping {
		d.errorf(tree, path, "found %v, expected a mapping", tree.kind)
		return nil
	}
	comments := commentReader{src: src}
	comments.annotate(tree)
	if p := tree.child("preset"); p != nil {
		d.errorf(p, path, "a preset starts from another by the key base, not preset")
		tree = tree.without("preset")
	}
	base := tree.child("base")
	if base == nil {
		return tree
	}
	tree = tree.without("base")
	if base.kind != kindScalar {
		d.errorf(base, join(path, "base"), "found %v, expected the name of a preset", base.kind)
		return tree
	}
	return presetLayers.fields(s, d.loadPreset(s, base.text, base, path, above), tree)
}

// expand resolves the preset of a struct of slot s: it returns the file's value
// as a mapping, and the values below it with the preset's underneath. inherit
// tells whether low may supply values; it comes back true if a preset was
// found.
func (d *decoder) expand(s slot, own, low *node, inherit bool, path string) (*node, *node, bool) {
	own, low = presetMapping(own), presetMapping(low)
	name := own.child("preset")
	if name == nil && inherit {
		name = low.child("preset")
	}
	if name == nil || name.kind != kindScalar || name.broken {
		return own, low, inherit
	}
	if below := low.child("preset"); below == nil || below.text != name.text || !inherit {
		low = nil // what lies below belongs to another preset
	}
	tree := d.presetTree(s, name.text, name, path)
	if tree == nil {
		return own, low, inherit
	}
	return own, presetLayers.fields(s, tree, low), true
}

// presetMapping turns a scalar that names a preset into a mapping.
func presetMapping(n *node) *node {
	if n == nil || n.kind != kindScalar {
		return n
	}
	name := *n
	name.key, name.keyLine, name.keyCol = "preset", 0, 0
	return &node{
		src: n.src, kind: kindMapping, flow: true, line: n.line, col: n.col,
		key: n.key, keyLine: n.keyLine, keyCol: n.keyCol, children: []*node{&name},
	}
}

// layering is how one tree is laid over another, leaf by leaf. A mapping that
// names another preset than the one below replaces it as a whole, and so does a
// list without names. A list with names inherits from its namesakes below.
type layering struct {
	keepItems bool // keep the items of a list below that the one above does not name
}

var (
	presetLayers = layering{}
	fileLayers   = layering{keepItems: true}
)

// value lays one value of slot s over another.
func (l layering) value(s slot, below, above *node) *node {
	s = s.target()
	switch {
	case below == nil:
		return above
	case above == nil:
		return below
	case s.typeInfo == nil || s.isLeaf():
		return above
	}
	if s.fields != nil {
		if s.preset != "" {
			below, above = presetMapping(below), presetMapping(above)
			if p, q := above.child("preset"), below.child("preset"); p != nil && (q == nil || q.text != p.text) {
				return above
			}
		}
		return l.fields(s, below, above)
	}
	if s.named {
		return l.keys(below, above, func(string) slot { return s.item() })
	}
	key := s.itemFields().keyName()
	if key == "" || above.kind != kindList || below.kind != kindList {
		return above
	}
	return l.items(s, key, below, above)
}

// items lays one list of slot s over another, item by item of the same name.
func (l layering) items(s slot, key string, below, above *node) *node {
	list := *above
	list.children = nil
	if l.keepItems {
		list.children = slices.Clone(below.children)
	}
	at := make(map[string]int, len(below.children)) // the first of each name
	for i, item := range below.children {
		name := item.itemName(key)
		if _, twice := at[name]; name != "" && !twice {
			at[name] = i
		}
	}
	taken := map[string]bool{}
	for _, item := range above.children {
		name := item.itemName(key)
		i, ok := at[name]
		if ok {
			item = l.value(s.item(), below.children[i], item)
		}
		if ok && l.keepItems && !taken[name] { // a second one is a duplicate, to be reported
			taken[name] = true
			list.children[i] = item
			continue
		}
		list.children = append(list.children, item)
	}
	return &list
}

// fields lays one mapping over another for a struct of slot s. Either
// may be nil.
func (l layering) fields(s slot, below, above *node) *node {
	switch {
	case below == nil:
		return above
	case above == nil:
		return below
	}
	fields := s.target().fields
	return l.keys(below, above, func(key string) slot {
		if f := fields.field(key); f != nil {
			return f.slot
		}
		return slot{}
	})
}

// keys lays a mapping over another. The order of keys is that of the one
// above if it has them all, else that of the one below, new keys last.
func (l layering) keys(below, above *node, slotOf func(key string) slot) *node {
	if below.kind != kindMapping || above.kind != kindMapping {
		return above
	}
	merged := *above
	merged.children, merged.index = nil, nil
	for _, key := range mergedKeys(below, above) {
		s := slotOf(key)
		child := above.child(key)
		if s.typeInfo != nil {
			child = l.value(s, below.child(key), child)
		} else if child == nil {
			child = below.child(key)
		}
		merged.add(child)
	}
	return &merged
}

// mergedKeys lists the keys of two mappings, either of which may be nil.
func mergedKeys(below, above *node) []string {
	var first, second []*node
	if above != nil && above.kind == kindMapping {
		first = above.children
	}
	if below != nil && below.kind == kindMapping {
		for _, c := range below.children {
			if above.child(c.key) == nil {
				first, second = below.children, first
				break
			}
		}
	}
	seen := make(map[string]bool, len(first)+len(second))
	var keys []string
	for _, list := range [...][]*node{first, second} {
		for _, c := range list {
			if !seen[c.key] {
				seen[c.key] = true
				keys = append(keys, c.key)
			}
		}
	}
	return keys
}

// commentReader finds the provenance comments of a preset document.
type commentReader struct{ src *source }

// annotate gives each leaf its note: each scalar, and each list of scalars.
func (c commentReader) annotate(n *node) {
	if n.kind == kindScalar || n.kind == kindList && allScalars(n) {
		n.note = c.noteOf(n)
		return
	}
	for _, child := range n.children {
		c.annotate(child)
	}
}

func allScalars(n *node) bool {
	for _, item := range n.children {
		if item.kind != kindScalar {
			return false
		}
	}
	return true
}

// noteOf returns the note of a leaf: the comment at the end of its line or of
// its key's line, else the comment lines right above.
func (c commentReader) noteOf(n *node) *note {
	for _, line := range [...]int{n.keyLine, n.line} {
		if line == 0 {
			continue
		}
		if found := parseNote(lineComment(c.src.line(line))); found != nil {
			return found
		}
	}
	line := n.keyLine
	if line == 0 {
		line = n.line
	}
	var parts []string
	for line--; line > 0; line-- {
		text, isComment := strings.CutPrefix(strings.TrimSpace(c.src.line(line)), "#")
		if !isComment {
			break
		}
		parts = append([]string{strings.TrimSpace(text)}, parts...)
		if found := parseNote(strings.Join(parts, " ")); found != nil {
			return found
		}
	}
	return nil
}

// parseNote reads a comment without its '#'.
func parseNote(comment string) *note {
	comment = strings.TrimSpace(comment)
	if text, ok := strings.CutPrefix(comment, "source:"); ok && strings.TrimSpace(text) != "" {
		return &note{text: strings.TrimSpace(text)}
	}
	if text, ok := strings.CutPrefix(comment, "estimated:"); ok && strings.TrimSpace(text) != "" {
		return &note{estimated: true, text: strings.TrimSpace(text)}
	}
	return nil
}

// lineComment returns the comment at the end of a line of YAML, without its '#'.
func lineComment(line string) string {
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '"' && c == '\\':
			i++
		case quote == '\'' && c == quote && i+1 < len(line) && line[i+1] == quote:
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '#' && i > 0 && (line[i-1] == ' ' || line[i-1] == '\t'):
			return line[i+1:]
		case (c == '"' || c == '\'') && i > 0 && strings.IndexByte(" [{,", line[i-1]) >= 0:
			if before := strings.TrimRight(line[:i], " "); before == "" || strings.IndexByte(":[{,-", before[len(before)-1]) >= 0 {
				quote = c
			}
		}
	}
	return ""
}
