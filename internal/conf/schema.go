package conf

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// shape is how a Go type appears in YAML.
type shape uint8

const (
	shapeBool shape = iota
	shapeInt
	shapeUint
	shapeString
	shapeText // encoding.TextUnmarshaler
	shapePointer
	shapeStruct
	shapeList
)

// typeInfo describes a Go type.
type typeInfo struct {
	typ    reflect.Type
	shape  shape
	elem   *typeInfo   // of a pointer or list
	fields *structInfo // of a struct
	values []string    // allowed values of an enum, else nil
}

// isScalar reports whether values of the type are YAML scalars.
func (t *typeInfo) isScalar() bool { return t.shape <= shapeText }

// isLeaf reports whether a value is one setting: a scalar or a list of scalars.
func (t *typeInfo) isLeaf() bool {
	switch t.shape {
	case shapePointer:
		return t.elem.isLeaf()
	case shapeList:
		return t.elem.isLeaf()
	}
	return t.isScalar()
}

// slot is a place for a value: its type and what the field's tag adds.
type slot struct {
	*typeInfo
	named  bool   // a list written as a mapping from names
	preset string // namespace of presets, "" if none
	label  bool   // the name of an item or of a preset, which states no fact
	keyed  bool   // an item whose name is its key in the mapping above
}

// item is the slot of a list's items.
func (s slot) item() slot { return slot{typeInfo: s.elem, preset: s.preset} }

// target is the slot behind pointers.
func (s slot) target() slot {
	for s.shape == shapePointer {
		s.typeInfo = s.elem
	}
	return s
}

// names lists the keys of a struct.
func (s slot) names() []string {
	names := s.fields.names
	if s.keyed {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == s.fields.keyName() })
	}
	return names
}

// itemFields describes the structs of a list, nil if its items are scalars.
func (s slot) itemFields() *structInfo {
	if s.shape != shapeList {
		return nil
	}
	return s.item().target().fields
}

// fieldInfo describes a field of a struct.
type fieldInfo struct {
	slot
	name     string
	doc      string
	index    []int
	required bool
	key      bool
	sparse   bool // left out of what is printed when it is an empty list
}

// structInfo describes the fields of a struct, in declaration order.
type structInfo struct {
	fields []fieldInfo
	byName map[string]int
	names  []string
	key    int // the field that names the struct in lists, -1 if none
	preset int // the field that holds a preset's name, -1 if none
}

func (s *structInfo) field(name string) *fieldInfo {
	if i, ok := s.byName[name]; ok {
		return &s.fields[i]
	}
	return nil
}

// keyName is the YAML key that names the struct in lists, "" if none.
func (s *structInfo) keyName() string {
	if s == nil || s.key < 0 {
		return ""
	}
	return s.fields[s.key].name
}

var (
	typeMutex sync.Mutex
	typeCache = map[reflect.Type]*typeInfo{}

	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	enumerated      = reflect.TypeFor[interface{ Values() []string }]()
)

// describe returns the description of a type, from a cache.
func describe(t reflect.Type) *typeInfo {
	typeMutex.Lock()
	defer typeMutex.Unlock()
	return describeLocked(t)
}

func describeLocked(t reflect.Type) *typeInfo {
	if info := typeCache[t]; info != nil {
		return info
	}
	info := &typeInfo{typ: t}
	typeCache[t] = info // before its fields: types may be recursive
	done := false
	defer func() {
		if !done {
			delete(typeCache, t)
		}
	}()
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(enumerated) {
		info.values = reflect.New(t).Interface().(interface{ Values() []string }).Values()
	}
	switch {
	case t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(textUnmarshaler):
		if !reflect.PointerTo(t).Implements(textMarshaler) {
			panic(fmt.Sprintf("conf: %v has UnmarshalText and no MarshalText", t))
		}
		info.shape = shapeText
	case t.Kind() == reflect.Bool:
		info.shape = shapeBool
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64:
		info.shape = shapeInt
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		info.shape = shapeUint
	case t.Kind() == reflect.String:
		info.shape = shapeString
	case t.Kind() == reflect.Pointer:
		info.shape = shapePointer
		info.elem = describeLocked(t.Elem())
		if info.elem.shape == shapePointer || info.elem.shape == shapeList {
			panic(fmt.Sprintf("conf: %v: a pointer to a struct or a scalar is supported", t))
		}
	case t.Kind() == reflect.Slice:
		info.shape = shapeList
		info.elem = describeLocked(t.Elem())
		if info.elem.shape == shapeList {
			panic(fmt.Sprintf("conf: %v: lists of lists are not supported", t))
		}
	case t.Kind() == reflect.Struct:
		info.shape = shapeStruct
		info.fields = &structInfo{byName: map[string]int{}, key: -1, preset: -1}
		info.fields.add(t, nil)
	default:
		panic(fmt.Sprintf("conf: type %v is not supported", t))
	}
	done = true
	return info
}

// add appends the fields of struct type t, reached through index.
func (s *structInfo) add(t reflect.Type, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("conf")
		if tag == "-" || !f.IsExported() && !tagged {
			continue
		}
		path := append(append([]int(nil), index...), i)
		name, options, _ := strings.Cut(tag, ",")
		if name == "" && options == "inline" && f.Type.Kind() == reflect.Struct {
			s.add(f.Type, path)
			continue
		}
		if name == "" || strings.ContainsAny(name, ". ") || !f.IsExported() {
			panic(fmt.Sprintf("conf: field %s of %v: want a tag conf:\"name\", an exported field, or conf:\"-\"", f.Name, t))
		}
		field := fieldInfo{name: name, doc: f.Tag.Get("doc"), index: path}
		field.typeInfo = describeLocked(f.Type)
		if options != "" {
			for option := range strings.SplitSeq(options, ",") {
				namespace, isPreset := strings.CutPrefix(option, "preset=")
				switch {
				case option == "required":
					field.required = true
				case option == "omitempty":
					field.sparse = true
				case option == "key":
					field.key = true
				case option == "map":
					field.named = true
				case isPreset && namespace != "":
					field.preset = namespace
				default:
					panic(fmt.Sprintf("conf: field %s of %v: unknown tag option %q", f.Name, t, option))
				}
			}
		}
		s.append(field, t)
	}
}

// append adds one field of struct type t after checking that its options make
// sense.
func (s *structInfo) append(field fieldInfo, t reflect.Type) {
	fail := func(why string) {
		panic(fmt.Sprintf("conf: key %q of %v: %s", field.name, t, why))
	}
	if _, twice := s.byName[field.name]; twice {
		fail("is there twice")
	}
	isString := field.shape == shapeString && field.values == nil
	if field.key && !isString {
		fail("the key of an item is a string")
	}
	if field.named && (field.itemFields() == nil || field.itemFields().key < 0) {
		fail("option map needs a list of structs with a key")
	}
	if field.preset != "" {
		target := field.target()
		if target.shape == shapeList {
			target = target.item().target()
		}
		if target.fields == nil || target.fields.preset < 0 {
			fail("option preset needs a struct with a field of key \"preset\"")
		}
	}
	switch {
	case field.key && s.key >= 0 && s.fields[s.key].key:
		fail("is a second key field")
	case field.key, field.name == "name" && isString && s.key < 0:
		s.key = len(s.fields)
	}
	if field.name == "preset" {
		if !isString {
			fail("the name of a preset is a string")
		}
		s.preset = len(s.fields)
	}
	s.byName[field.name] = len(s.fields)
	s.fields = append(s.fields, field)
	s.names = append(s.names, field.name)
}
