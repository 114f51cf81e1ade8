package conf

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Decode decodes src into the struct that into points to, which may hold
// defaults; into is complete only if there is no error. presets may be nil if
// there are none. The error is of type Errors. The document is nil only if the
// file or one that it includes is not YAML at all; otherwise it serves to report further errors even
// when there are errors already. It panics if into points to no struct, or to
// one whose tags break the rules of the package.
func Decode(src Source, overrides []Override, presets Presets, into any, opts ...DecodeOption) (*Document, error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("conf: Decode into %T, want a pointer to a struct", into))
	}
	root := slot{typeInfo: describe(v.Type().Elem())}
	if root.shape != shapeStruct {
		panic(fmt.Sprintf("conf: Decode into %T, which is a single value in YAML", into))
	}
	d := &decoder{presets: presets, presetTrees: map[presetKey]*node{}}
	for _, opt := range opts {
		opt(d)
	}
	file := &source{name: src.Name, data: src.Data, rank: rankFile}
	d.doc = &Document{src: file, nodes: map[string]*node{}}
	document := d.parse(file)
	if document == nil {
		return nil, d.errs.sorted()
	}
	tree := d.convert(file, document)
	if tree == nil {
		return nil, d.errs.sorted()
	}
	if tree.kind == kindMapping {
		if d.open != nil {
			if tree, overrides = d.compose(root, src, tree, overrides); tree == nil {
				return nil, d.errs.sorted()
			}
		}
		d.applyOverrides(root, tree, overrides)
		if d.params != nil && len(d.errs) == 0 {
			d.params.checkUsed(tree)
		}
	}
	d.value(root, v.Elem(), tree, nil, true, "")
	slices.SortFunc(d.doc.provenance, func(a, b Provenance) int { return cmp.Compare(a.Path, b.Path) })
	if len(d.errs) > 0 {
		return d.doc, d.errs.sorted()
	}
	return d.doc, nil
}

// decoder is the state of one Decode. A value is decoded from two trees walked
// side by side: own, what the file and the overrides say, and low, what presets
// say below it. Either may be nil, not both.
type decoder struct {
	presets     Presets
	presetTrees map[presetKey]*node
	doc         *Document
	errs        Errors
	nodes       int     // values of files and overrides so far
	open        Open    // nil if files are not composed
	params      *params // of a composed file
}

// value decodes one value into dst. low supplies values only if inherit is set;
// else it only tells the provenance of values that repeat it.
func (d *decoder) value(s slot, dst reflect.Value, own, low *node, inherit bool, path string) {
	if s.shape == shapePointer {
		fresh := reflect.New(s.elem.typ)
		if dst.IsNil() {
			setDefaults(fresh)
		} else {
			fresh.Elem().Set(dst.Elem()) // a default is shared; leave it alone
		}
		dst.Set(fresh)
		s.typeInfo = s.elem
		d.value(s, fresh.Elem(), own, low, inherit, path)
		return
	}
	if own != nil {
		d.doc.nodes[path] = own
	} else {
		d.doc.nodes[path] = low
	}
	switch {
	case s.isLeaf():
		d.leaf(s, dst, own, low, path)
	case s.shape == shapeList:
		d.list(s, dst, own, low, inherit, path)
	default:
		if s.preset != "" {
			own, low, inherit = d.expand(s, own, low, inherit, path)
		}
		d.structure(s, dst, own, low, inherit, path)
	}
}

func setDefaults(p reflect.Value) {
	if d, ok := p.Interface().(Defaulter); ok {
		d.SetDefaults()
	}
}

// isKind checks the kind of a value and reports a wrong one.
func (d *decoder) isKind(n *node, want kind, path string) bool {
	if n == nil || n.kind == want || n.broken {
		return n != nil && !n.broken
	}
	found := n.kind.String()
	switch {
	case n.kind == kindNull && n.text == "":
		d.errorf(n, path, "%s has no value; leave the key out or give it %v", where(path), want)
		return false
	case n.kind == kindNull:
		d.errorf(n, path, "%s: %s is no value here; leave the key out", where(path), n.text)
		return false
	case n.kind == kindScalar:
		found = "the single value " + quote(n.text)
	}
	expected := want.String()
	if path == "" {
		expected = "a mapping of settings"
	}
	d.errorf(n, path, "%s: found %s, expected %s", where(path), found, expected)
	return false
}

// structure decodes a struct. The trees may hold other kinds than mappings.
func (d *decoder) structure(s slot, dst reflect.Value, own, low *node, inherit bool, path string) {
	if own != nil && !d.isKind(own, kindMapping, path) {
		return
	}
	if low != nil && (own == nil || inherit) && !d.isKind(low, kindMapping, path) {
		return
	}
	meant := d.unknownKeys(s, own, path)
	if inherit {
		d.unknownKeys(s, low, path)
	}
	for i := range s.fields.fields {
		f := &s.fields.fields[i]
		o, l := own.child(f.name), low.child(f.name)
		switch {
		case f.key && s.keyed:
			if o != nil {
				d.errorf(o, path, "%s: the name of the item is the key above; leave %q out", path, f.name)
			}
		case o != nil || l != nil && inherit:
			slot := f.slot
			slot.label = i == s.fields.key || i == s.fields.preset
			d.value(slot, dst.FieldByIndex(f.index), o, l, inherit, join(path, f.name))
		case (f.required || f.key) && !slices.Contains(meant, f.name):
			n := own
			if n == nil {
				n = low
			}
			d.missing(n, f, path)
		}
	}
}

func (d *decoder) missing(n *node, f *fieldInfo, path string) {
	about := ""
	if f.doc != "" {
		about = ": " + strings.TrimRight(f.doc, ".")
	}
	d.errorf(n, join(path, f.name), "missing key %q%s%s", f.name, inside(path), about)
}

// unknownKeys reports the keys of a mapping that the struct does not have, and
// returns what they probably mean.
func (d *decoder) unknownKeys(s slot, n *node, path string) (meant []string) {
	if n == nil {
		return nil
	}
	for _, c := range n.children {
		if s.fields.field(c.key) == nil && !d.isFull() && !(d.open != nil && strings.Contains(c.key, "${")) {
			line, col := c.keyLine, c.keyCol
			if line == 0 {
				line, col = n.place()
			}
			hint := suggest(c.key, "valid keys", d.keys(s, path))
			if key, value, ok := strings.Cut(c.key, ":"); ok && s.fields.field(key) != nil {
				hint = fmt.Sprintf("; a blank is missing behind the colon: %s", quote(key+": "+value))
			}
			d.report(c.src, line, col, join(path, c.key), fmt.Sprintf("unknown key %s%s%s", quote(c.key), inside(path), hint))
			meant = append(meant, Nearest(c.key, s.names()))
		}
	}
	return meant
}

// keys lists the keys that a struct at a path has in a file.
func (d *decoder) keys(s slot, path string) []string {
	if path != "" || d.open == nil {
		return s.names()
	}
	return append(slices.Clone(s.names()), includeKey, paramsKey)
}

// leaf decodes one setting and notes its provenance.
func (d *decoder) leaf(s slot, dst reflect.Value, own, low *node, path string) {
	n := own
	if n == nil {
		n = low
	}
	below := d.below(s, dst, own, low, path)
	if !d.parseLeaf(s, n, dst, path) || s.label {
		return
	}
	note := n.note
	if below.IsValid() {
		switch same := reflect.DeepEqual(below.Interface(), dst.Interface()); {
		case !same && !own.src.preset:
			d.doc.changed = append(d.doc.changed, path)
		case same && note == nil && low != nil:
			note = low.note
		}
	}
	switch {
	case note != nil:
		d.doc.provenance = append(d.doc.provenance, Provenance{path, note.estimated, note.text})
	case n.src.preset:
		d.errorf(n, path, "%s: a preset's value needs a comment \"# source: ...\" or \"# estimated: ...\" on its line", path)
	}
}

// below is what a setting that own sets would be without: a preset's value or the default that dst holds. It is not valid where own is nil.
func (d *decoder) below(s slot, dst reflect.Value, own, low *node, path string) reflect.Value {
	if own == nil {
		return reflect.Value{}
	}
	v := reflect.New(s.typ).Elem()
	v.Set(dst)
	if low != nil {
		scratch := &decoder{doc: &Document{nodes: map[string]*node{}}}
		if !scratch.parseLeaf(s, low, v, path) {
			return reflect.Value{} // the preset's mistake is reported where it is used
		}
	}
	return v
}

// parseLeaf parses a scalar or a list of scalars into dst, reports what is
// wrong, and tells whether all is well.
func (d *decoder) parseLeaf(s slot, n *node, dst reflect.Value, path string) bool {
	if s.shape != shapeList {
		return d.parseOne(s, n, dst, path)
	}
	if !d.isKind(n, kindList, path) {
		return false
	}
	ok := true
	list := newList(s, len(n.children))
	for i, c := range n.children {
		v := list.Index(i)
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			v = v.Elem()
		}
		step := join(path, strconv.Itoa(i))
		d.doc.nodes[step] = c
		ok = d.parseOne(s.item().target(), c, v, step) && ok
	}
	dst.Set(list)
	return ok
}

// parseOne parses a scalar, reports what is wrong, and tells whether all is well.
func (d *decoder) parseOne(s slot, n *node, dst reflect.Value, path string) bool {
	if !d.isKind(n, kindScalar, path) {
		return false
	}
	err := parseScalar(s.typeInfo, n, dst)
	if err != nil {
		d.errorf(n, path, "%s: %s", path, strings.ReplaceAll(err.Error(), strconv.Quote(n.text), quote(n.text)))
	}
	return err == nil
}

// newList makes a list of n items, nil if there are none.
func newList(s slot, n int) reflect.Value {
	if n == 0 {
		return reflect.Zero(s.typ)
	}
	return reflect.MakeSlice(s.typ, n, n)
}

// list decodes a list of structs.
func (d *decoder) list(s slot, dst reflect.Value, own, low *node, inherit bool, path string) {
	want := kindList
	if s.named {
		want = kindMapping
	}
	n := own
	if n == nil {
		n = low
	}
	if !d.isKind(n, want, path) {
		return
	}
	if s.named {
		d.namedList(s, dst, own, low, inherit, path)
		return
	}
	key := s.itemFields().keyName()
	if s.bare {
		n.spellOut(key)
	}
	list := newList(s, len(n.children))
	first := map[string]*node{}
	for i, item := range n.children {
		name := item.itemName(key)
		step := name
		switch {
		case name == "":
			step = strconv.Itoa(i)
			if c := item.child(key); s.itemFields().hasKey() && c != nil && c.kind == kindScalar {
				d.errorf(c, join(path, step), "%s: %s", path, badName(name))
			}
		case !isName(name):
			d.errorf(item.child(key), join(path, step), "%s: %s", path, badName(name))
		case first[name] != nil:
			line, _ := first[name].place()
			d.errorf(item.child(key), join(path, step), "duplicate %s %s in %s; it is first on line %d", key, quote(name), path, line)
		default:
			first[name] = item.child(key)
		}
		o, l, from := item, low.named(key, name), inherit
		if own == nil {
			o, l = nil, item
		} else if name == "" {
			l, from = low.item(i), false
		}
		d.item(s, list.Index(i), o, l, from, join(path, step))
	}
	dst.Set(list)
}

// namedList decodes a list of structs that is written as a mapping.
func (d *decoder) namedList(s slot, dst reflect.Value, own, low *node, inherit bool, path string) {
	if own != nil && inherit && low != nil && !d.isKind(low, kindMapping, path) {
		return
	}
	names := mergedKeys(low, own)
	if own != nil && !inherit {
		names = mergedKeys(nil, own)
	}
	list := newList(s, len(names))
	for i, name := range names {
		o, l := own.child(name), low.child(name)
		n := o
		if n == nil {
			n = l
		}
		if !isName(name) {
			d.report(n.src, n.keyLine, n.keyCol, join(path, name), fmt.Sprintf("%s: %s", path, badName(name)))
		}
		d.item(s, list.Index(i), o, l, inherit, join(path, name))
		item := list.Index(i)
		if item.Kind() == reflect.Pointer {
			item = item.Elem()
		}
		fields := s.itemFields()
		item.FieldByIndex(fields.fields[fields.key].index).SetString(name)
	}
	dst.Set(list)
}

// item decodes an item of a list of structs.
func (d *decoder) item(s slot, dst reflect.Value, own, low *node, inherit bool, path string) {
	if dst.Kind() != reflect.Pointer {
		setDefaults(dst.Addr())
	}
	slot := s.item()
	slot.keyed = s.named
	d.value(slot, dst, own, low, inherit || own == nil, path)
}

// isName reports whether a text may name an item: it must fit in a dotted path,
// and not pass for an index.
func isName(s string) bool {
	digits := true
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '-':
			digits = false
		default:
			return false
		}
	}
	return s != "" && !digits
}

func badName(s string) string {
	return quote(s) + " cannot name an item; a name has letters, digits, _ and -, and is no number"
}
