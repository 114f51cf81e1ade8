package conf

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Kind is what a setting is in YAML.
type Kind uint8

// The kinds. A Quantity is a scalar whose text has a syntax of its own; an Enum one of a few words.
const (
	Bool Kind = iota
	Integer
	Text
	Enum
	Quantity
	Mapping
	List
)

// Setting describes a key of the schema, or the items of a list.
type Setting struct {
	Name     string // the key; "" for the whole and for items
	Doc      string
	Kind     Kind
	Default  string   // what holds if it is left out, as the file would write it; "" if nothing does
	Required bool     // unless a preset has it
	Preset   string   // namespace of the presets whose names may stand for it, "" if none
	InPreset bool     // a part of what a preset describes
	Values   []string // of an Enum: all; of a Text: some, to suggest
	Pattern  string   // regular expression of the text, anchored; "" if any text will do
	What     string   // of a Quantity: "time", "size"; of a Text with a pattern what it matches
	Examples []string // of a Quantity
	Unsigned bool     // an Integer that is not negative
	Optional bool     // a Mapping that is not there unless the file has it
	Fields   []Setting
	Item     *Setting // of a List
	OrOne    bool     // a List for which a single item may stand
	Bare     bool     // a List whose items may be written as their keys alone
	Named    bool     // a List written as a mapping from names to items
	Key      string   // of a List: the key that names its items, "" if they go by index
}

// Syntax is implemented by scalar types that describe their text. What is a word for it ("time"), pattern an anchored regular expression that is valid in Go and in ECMA-262 and matches all
// text that UnmarshalText reads but for blanks around it, examples show it.
type Syntax interface {
	Syntax() (what, pattern string, examples []string)
}

// ComposedSettings describes the two keys that the option Composed adds to a file.
func ComposedSettings() []Setting {
	return []Setting{
		{Name: includeKey, Kind: List, OrOne: true, Item: &Setting{Kind: Text}, Doc: "Files, or scenarios of the library, that lie below this one, each above those before it: what this file leaves out, they say."},
		{Name: paramsKey, Kind: List, Named: true, Item: &Setting{Kind: Text}, Doc: "Values by name, which stand for ${name} in the values of this file and of those that it includes."},
	}
}

// NamePattern matches what may name an item.
const NamePattern = `^[A-Za-z0-9_-]*[A-Za-z_-][A-Za-z0-9_-]*$`

// Describe describes the struct v, or the one it points to, whose values are the defaults. A type with UnmarshalText that is no enum and does not describe its Syntax is a Quantity of any
// text. It panics if its tags break the rules of the package, or if a type contains itself.
func Describe(v any) Setting {
	value := reflect.ValueOf(v)
	for value.Kind() == reflect.Pointer && !value.IsNil() {
		value = value.Elem()
	}
	s := slot{typeInfo: describe(value.Type())}
	if s.shape != shapeStruct {
		panic(fmt.Sprintf("conf: Describe %T, want a struct", v))
	}
	var d describer
	return d.setting(s, value, false)
}

// describer describes settings; within are the structs that it is in.
type describer struct{ within []*typeInfo }

// setting describes a value of slot s, whose defaults dst holds; a value that is not valid has none.
func (d *describer) setting(s slot, v reflect.Value, inPreset bool) Setting {
	out := Setting{Preset: s.preset, InPreset: inPreset, Named: s.named, Bare: s.bare}
	isThere := v.IsValid()
	if s.shape == shapePointer {
		out.Optional = s.elem.shape == shapeStruct
		isThere = isThere && !v.IsNil()
		fresh := reflect.New(s.elem.typ)
		setDefaults(fresh)
		if isThere {
			fresh = v
		}
		s, v = s.target(), fresh.Elem()
	}
	if !v.IsValid() {
		v = reflect.New(s.typ).Elem()
	}
	switch {
	case s.isScalar():
		out.scalar(s.typeInfo)
		if isThere {
			out.setDefault(s.typeInfo, v)
		}
	case s.shape == shapeList:
		d.list(&out, s, inPreset)
	default:
		out.Kind = Mapping
		out.Fields = d.fields(s, v, inPreset || s.preset != "")
	}
	return out
}

func (d *describer) list(out *Setting, s slot, inPreset bool) {
	out.Kind, out.Key = List, s.itemFields().keyName()
	item := s.item()
	item.keyed = s.named
	v := reflect.New(item.target().typ)
	setDefaults(v)
	i := d.setting(item.without(), v.Elem(), inPreset)
	i.Default = ""
	for k := range i.Fields {
		if i.Fields[k].Name == out.Key {
			i.Fields[k].Pattern = NamePattern
		}
	}
	out.Item = &i
}

// without is the slot behind pointers, of an item.
func (s slot) without() slot {
	t := s.target()
	t.keyed = s.keyed
	return t
}

func (d *describer) fields(s slot, v reflect.Value, inPreset bool) []Setting {
	if slices.Contains(d.within, s.typeInfo) {
		panic(fmt.Sprintf("conf: %v contains itself: it has no finite description", s.typ))
	}
	d.within = append(d.within, s.typeInfo)
	defer func() { d.within = d.within[:len(d.within)-1] }()
	var list []Setting
	for i := range s.fields.fields {
		f := &s.fields.fields[i]
		if f.key && s.keyed {
			continue
		}
		out := d.setting(f.slot, v.FieldByIndex(f.index), inPreset)
		out.Name, out.Doc, out.Required = f.name, f.doc, f.required || f.key
		if out.Required || i == s.fields.preset {
			out.Default = ""
		}
		list = append(list, out)
	}
	return list
}

// scalar says what a scalar's text looks like.
func (s *Setting) scalar(t *typeInfo) {
	s.Values = slices.Clone(t.values)
	switch {
	case t.values != nil:
		s.Kind = Enum
	case t.shape == shapeBool:
		s.Kind = Bool
	case t.shape == shapeInt, t.shape == shapeUint:
		s.Kind, s.Unsigned = Integer, t.shape == shapeUint
	case t.shape == shapeString:
		s.Kind = Text
	default:
		s.Kind = Quantity
		if syntax, ok := reflect.New(t.typ).Interface().(Syntax); ok {
			s.What, s.Pattern, s.Examples = syntax.Syntax()
		}
	}
}

// setDefault notes a default. What a preset describes has none where the value is zero: the presets have them.
func (s *Setting) setDefault(t *typeInfo, v reflect.Value) {
	if s.InPreset && v.IsZero() {
		return
	}
	text, err := formatScalar(t, v)
	if err != nil {
		panic(fmt.Sprintf("conf: default of a %v: %v", t.typ, err))
	}
	s.Default = text
}

// Field returns the field of a name.
func (s Setting) Field(name string) (Setting, bool) {
	for _, f := range s.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Setting{}, false
}

// Sub returns the field of a name, to be changed. It panics if there is none.
func (s *Setting) Sub(name string) *Setting {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	panic("conf: no setting " + name)
}

// Walk calls visit for each setting below s in the order of the file, with its dotted path: NAME stands for the name of an item, N for its index.
func (s Setting) Walk(visit func(path string, s Setting)) { s.walk("", visit) }

func (s Setting) walk(path string, visit func(path string, s Setting)) {
	for _, f := range s.Fields {
		at := join(path, f.Name)
		visit(at, f)
		f.walk(at, visit)
	}
	if s.Kind == List && len(s.Item.Fields) > 0 {
		s.Item.walk(join(path, s.ItemStep()), visit)
	}
}

// ItemStep is what stands for an item of a list in a path: NAME or N.
func (s Setting) ItemStep() string {
	if s.Key != "" {
		return "NAME"
	}
	return "N"
}

// Value returns the text of one setting of the struct v, or the one it points to, by its dotted path through structs. It is not ok for what is no single setting, and for an optional
// struct that is not there.
func Value(v any, path string) (text string, ok bool) {
	value := reflect.Indirect(reflect.ValueOf(v))
	s := slot{typeInfo: describe(value.Type())}
	for step := range strings.SplitSeq(path, ".") {
		if s, value, ok = deref(s, value); !ok || s.fields == nil {
			return "", false
		}
		f := s.fields.field(step)
		if f == nil {
			return "", false
		}
		s, value = f.slot, value.FieldByIndex(f.index)
	}
	if s, value, ok = deref(s, value); !ok || !s.isScalar() {
		return "", false
	}
	text, err := formatScalar(s.typeInfo, value)
	return text, err == nil
}
