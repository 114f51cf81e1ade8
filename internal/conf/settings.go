package conf

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Setting is one setting of a struct, as Encode would print its value.
type Setting struct {
	Path, Value string
}

// Settings lists every setting of the struct v, or the one it points to, by its dotted path, in the order in which Encode prints them. A list of scalars is one setting; so is an empty list. What
// Encode leaves out is left out, and its errors are returned.
func Settings(v any) ([]Setting, error) {
	value := reflect.ValueOf(v)
	for value.Kind() == reflect.Pointer && !value.IsNil() {
		value = value.Elem()
	}
	s := slot{typeInfo: describe(value.Type())}
	if s.shape != shapeStruct {
		panic(fmt.Sprintf("conf: Settings of %T, want a struct", v))
	}
	l := lister{encoder: &encoder{}}
	l.structure(s, value, "")
	return l.list, l.err
}

// lister goes the encoder's way without printing.
type lister struct {
	*encoder
	list []Setting
}

func (l *lister) structure(s slot, v reflect.Value, path string) {
	for _, f := range l.printed(s, v) {
		l.value(f.slot, v.FieldByIndex(f.index), join(path, f.name))
	}
}

func (l *lister) value(s slot, v reflect.Value, path string) {
	s, v, ok := deref(s, v)
	switch {
	case !ok:
		l.fail(path, errNilItem)
	case s.isLeaf() && s.shape == shapeList:
		l.add(path, "["+strings.Join(l.scalars(s, v, path), ", ")+"]")
	case s.isLeaf():
		l.add(path, l.scalar(s, v, path))
	case s.shape == shapeStruct:
		l.structure(s, v, path)
	case v.Len() == 0:
		l.add(path, "[]")
	default:
		l.items(s, v, path)
	}
}

func (l *lister) items(s slot, v reflect.Value, path string) {
	key := s.itemFields().key
	for i := range v.Len() {
		is, iv, ok := deref(s.item(), v.Index(i))
		if !ok {
			l.fail(path, errNilItem)
			return
		}
		step := strconv.Itoa(i)
		if key >= 0 {
			name := iv.FieldByIndex(s.itemFields().fields[key].index).String()
			switch {
			case isName(name):
				step = name
			case s.named:
				l.fail(path, errors.New(badName(name)))
			}
		}
		is.keyed = s.named
		l.value(is, iv, join(path, step))
	}
}

func (l *lister) add(path, value string) { l.list = append(l.list, Setting{path, value}) }
