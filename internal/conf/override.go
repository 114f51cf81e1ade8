package conf

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Override sets one path to a value, above the file and its presets.
//
// Value is plain text, or YAML where it begins with a bracket, a brace or a
// quote. It replaces what the file says at Path, and a preset stays underneath:
// "soc=am335x" drops the file's changes to the former preset,
// "soc.preset=am335x" keeps them. Shallower paths are applied first, equal
// ones in order.
type Override struct {
	Path, Value string
	Origin      string // where it was given, for errors; "--set" if empty
}

// source is the text of the i-th override.
func (o Override) source(i int) *source {
	origin := o.Origin
	if origin == "" {
		origin = "--set"
	}
	return &source{name: strings.ToValidUTF8(origin+" "+o.Path+"="+o.Value, "\uFFFD"), data: []byte(o.Value), rank: rankOverride + i}
}

// override is an Override on its way into a tree.
type override struct {
	path  string
	steps []string
	src   *source
	value *node
}

// applyOverrides changes the tree of the file.
func (d *decoder) applyOverrides(root slot, tree *node, overrides []Override) {
	var list []override
	for i, o := range overrides {
		src := o.source(i)
		steps := strings.Split(o.Path, ".")
		if slices.Contains(steps, "") || !utf8.ValidString(o.Path) {
			d.report(src, 0, 0, o.Path, "expected a dotted path such as run.duration")
			continue
		}
		if value := d.overrideValue(src, o); value != nil {
			if d.params != nil {
				d.params.substitute(value, o.Path)
			}
			list = append(list, override{o.Path, steps, src, value})
		}
	}
	// A preset is exchanged before values above it are set.
	slices.SortStableFunc(list, func(a, b override) int { return cmp.Compare(a.depth(), b.depth()) })
	for i := range list {
		d.set(root, tree, nil, &list[i], 0) // the root is changed in place
	}
}

// depth orders overrides: by number of steps, the name of a preset right after the
// value as a whole.
func (o *override) depth() int {
	if o.steps[len(o.steps)-1] == "preset" {
		return 2*len(o.steps) - 1
	}
	return 2 * len(o.steps)
}

// overrideValue parses the value of an override, nil if an error was reported.
func (d *decoder) overrideValue(src *source, o Override) *node {
	text := strings.TrimSpace(o.Value)
	if !utf8.ValidString(text) {
		d.report(src, 0, 0, o.Path, "the value is not UTF-8 text")
		return nil
	}
	if text == "" || strings.IndexByte("[{\"'", text[0]) < 0 {
		n := &node{src: src, text: text}
		if text == "" || text == "null" || text == "~" {
			n.kind = kindNull
		}
		return n
	}
	root := d.parse(src)
	if root == nil {
		return nil
	}
	return d.convert(src, root)
}

// unknown reports that there is nothing at a step of the override's path.
func (d *decoder) unknown(o *override, i int, valid []string) {
	prefix := strings.Join(o.steps[:i], ".")
	msg := "unknown path " + quote(o.path)
	if near := Nearest(o.steps[i], valid); near != "" {
		steps := slices.Clone(o.steps)
		steps[i] = near
		msg += fmt.Sprintf("; did you mean %q?", strings.Join(steps, "."))
	} else if len(valid) > 0 {
		what := "it may begin with"
		if prefix != "" {
			what = "under " + prefix
		}
		msg += suggest("", what, valid)
	} else {
		msg += fmt.Sprintf("; %s has no items", where(prefix))
	}
	d.report(o.src, 0, 0, o.path, msg)
}

// set changes own, a value of slot s with low below it, as the steps of o from
// i on say, and returns it; nil if an error was reported.
func (d *decoder) set(s slot, own, low *node, o *override, i int) *node {
	if i == len(o.steps) {
		return o.value
	}
	s = s.target()
	step := o.steps[i]
	prefix := strings.Join(o.steps[:i], ".")
	if s.isScalar() {
		d.report(o.src, 0, 0, o.path, fmt.Sprintf("unknown path %s; %s is a single value", quote(o.path), prefix))
		return nil
	}
	if s.shape == shapeList && !s.named {
		return d.setItem(s, own, low, o, i)
	}
	inner := slot{}
	if s.shape == shapeList {
		if own.child(step) == nil && low.child(step) == nil {
			d.unknown(o, i, mergedKeys(low, own))
			return nil
		}
		inner = s.item()
		inner.keyed = true
	} else {
		if s.preset != "" {
			own, low, _ = d.expand(s, own, low, true, prefix)
		}
		f := s.fields.field(step)
		if f == nil || f.key && s.keyed {
			d.unknown(o, i, d.keys(s, prefix))
			return nil
		}
		inner = f.slot
	}
	if own == nil {
		own = &node{src: o.src, kind: kindMapping}
	}
	if own.kind != kindMapping {
		d.isKind(own, kindMapping, prefix)
		return nil
	}
	child := d.set(inner, own.child(step), low.child(step), o, i+1)
	if child == nil {
		return nil
	}
	kopy := *child
	kopy.key = step
	if old := own.child(step); old != nil {
		kopy.keyLine, kopy.keyCol = old.keyLine, old.keyCol
	}
	own.put(&kopy)
	return own
}

// setItem changes an item of a list, by name or index.
func (d *decoder) setItem(s slot, own, low *node, o *override, i int) *node {
	step := o.steps[i]
	if own == nil && low != nil {
		own = low.deepCopy()
		own.note = nil
		own.src = o.src
	}
	if own == nil || own.kind != kindList {
		d.unknown(o, i, nil)
		return nil
	}
	key := s.itemFields().keyName()
	if s.bare {
		own.spellOut(key)
	}
	at := -1
	var names []string
	for k, item := range own.children {
		name := item.itemName(key)
		if name == "" {
			name = strconv.Itoa(k)
		}
		if name == step {
			at = k
		}
		names = append(names, name)
	}
	if at < 0 {
		d.unknown(o, i, names)
		return nil
	}
	below := low.named(key, step)
	if key == "" {
		below = low.item(at)
	}
	child := d.set(s.item(), own.children[at], below, o, i+1)
	if child == nil {
		return nil
	}
	own.children[at] = child
	return own
}
