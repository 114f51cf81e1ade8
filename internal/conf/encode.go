package conf

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFlow is the longest line of a struct or list in brackets, in characters.
const maxFlow = 100

// EncodeOption is an option of Encode.
type EncodeOption func(*encoder)

// WithProvenance appends to each listed setting its provenance as a comment.
func WithProvenance(list []Provenance) EncodeOption {
	return func(e *encoder) {
		for _, p := range list {
			word := "source"
			if p.Estimated {
				word = "estimated"
			}
			e.comments[p.Path] = word + ": " + strings.Join(strings.Fields(p.Note), " ")
		}
	}
}

// Encode prints the struct v, or the one it points to, as YAML: every setting,
// in the order of its fields, the name of a preset first. Short structs and
// lists of scalars stand on one line. Left out are nil pointers and enums that
// are empty. Decode reads the text back to an equal value (an empty list as
// nil). The error is a value's MarshalText error, a name of an item that Decode
// would not take, or text that is not UTF-8.
func Encode(v any, opts ...EncodeOption) ([]byte, error) {
	e := &encoder{comments: map[string]string{}}
	for _, opt := range opts {
		opt(e)
	}
	value := reflect.ValueOf(v)
	for value.Kind() == reflect.Pointer && !value.IsNil() {
		value = value.Elem()
	}
	if value.Kind() != reflect.Struct {
		panic(fmt.Sprintf("conf: Encode of %T, want a struct", v))
	}
	s := slot{typeInfo: describe(value.Type())}
	if s.shape != shapeStruct {
		panic(fmt.Sprintf("conf: Encode of %T, which is a single value in YAML", v))
	}
	e.structure(s, value, "", 0)
	if e.err != nil {
		return nil, e.err
	}
	if e.out.Len() == 0 {
		return []byte("{}\n"), nil
	}
	return e.out.Bytes(), nil
}

var errNilItem = errors.New("nil pointer in a list")

type encoder struct {
	out      bytes.Buffer
	comments map[string]string // by path
	err      error
}

func (e *encoder) fail(path string, err error) {
	if e.err == nil {
		e.err = fmt.Errorf("encode %s: %w", where(path), err)
	}
}

// deref returns the value behind a pointer and its slot; not ok for nil.
func deref(s slot, v reflect.Value) (slot, reflect.Value, bool) {
	if s.shape != shapePointer {
		return s, v, true
	}
	if v.IsNil() {
		return s, v, false
	}
	return s.target(), v.Elem(), true
}

// printed returns the fields of a struct that are printed, in their order.
func (e *encoder) printed(s slot, v reflect.Value) []*fieldInfo {
	var list []*fieldInfo
	for i := range s.fields.fields {
		f := &s.fields.fields[i]
		fs, fv, ok := deref(f.slot, v.FieldByIndex(f.index))
		switch {
		case !ok, f.key && s.keyed, f.sparse && fs.shape == shapeList && fv.Len() == 0:
		case fs.values != nil && fv.IsZero() && !slices.Contains(fs.values, "") && fs.shape == shapeString:
		case i == s.fields.preset:
			if fv.String() != "" {
				list = append([]*fieldInfo{f}, list...)
			}
		default:
			list = append(list, f)
		}
	}
	return list
}

// structure prints the fields of a struct as lines with an indentation.
func (e *encoder) structure(s slot, v reflect.Value, path string, indent int) {
	for _, f := range e.printed(s, v) {
		e.indent(indent)
		e.out.WriteString(f.name + ":")
		e.value(f.slot, v.FieldByIndex(f.index), join(path, f.name), indent)
	}
}

func (e *encoder) indent(n int) {
	for range n {
		e.out.WriteByte(' ')
	}
}

// value prints a value that is not a nil pointer after its key, which has an
// indentation, and ends the line.
func (e *encoder) value(s slot, v reflect.Value, path string, indent int) {
	s, v, ok := deref(s, v)
	if !ok {
		e.fail(path, errNilItem)
		return
	}
	if s.isLeaf() {
		e.leaf(s, v, path, indent)
		return
	}
	at := e.out.Len() - 1 - bytes.LastIndexByte(e.out.Bytes(), '\n')
	if text, ok := e.flow(s, v, path, maxFlow-at-1); ok {
		e.out.WriteString(" " + text + "\n")
		return
	}
	e.out.WriteByte('\n')
	switch {
	case s.shape == shapeStruct:
		e.structure(s, v, path, indent+2)
	case s.named:
		e.namedItems(s, v, path, indent+2)
	default:
		e.items(s, v, path, indent+2)
	}
}

// flow prints a value in brackets, if that is at most width characters
// and reads well: a struct of single settings without comments, or an empty value.
func (e *encoder) flow(s slot, v reflect.Value, path string, width int) (string, bool) {
	if s.shape == shapeList {
		if v.Len() > 0 {
			return "", false
		}
		if s.named {
			return "{}", true
		}
		return "[]", true
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, f := range e.printed(s, v) {
		fs, fv, _ := deref(f.slot, v.FieldByIndex(f.index))
		name := join(path, f.name)
		if !fs.isLeaf() || e.comments[name] != "" || fs.shape == shapeString && isBlock(fv.String()) {
			return "", false
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(f.name + ": ")
		if fs.shape == shapeList {
			b.WriteString("[" + strings.Join(e.scalars(fs, fv, name), ", ") + "]")
		} else {
			b.WriteString(e.scalar(fs, fv, name))
		}
		if b.Len() > 4*width {
			return "", false
		}
	}
	b.WriteByte('}')
	return b.String(), utf8.RuneCountInString(b.String()) <= width
}

// leaf prints one setting and its comment.
func (e *encoder) leaf(s slot, v reflect.Value, path string, indent int) {
	comment := ""
	if text := e.comments[path]; text != "" {
		comment = " # " + text
	}
	if s.shape != shapeList {
		if text := v; s.shape == shapeString && isBlock(text.String()) {
			e.block(text.String(), comment, indent)
			return
		}
		e.out.WriteString(" " + e.scalar(s, v, path) + comment + "\n")
		return
	}
	items := e.scalars(s, v, path)
	if text := strings.Join(items, ", "); utf8.RuneCountInString(text)+indent <= maxFlow {
		e.out.WriteString(" [" + text + "]" + comment + "\n")
		return
	}
	e.out.WriteString(comment + "\n")
	for _, item := range items {
		e.indent(indent + 2)
		e.out.WriteString("- " + item + "\n")
	}
}

// scalars are the texts of a list's items.
func (e *encoder) scalars(s slot, v reflect.Value, path string) []string {
	items := make([]string, v.Len())
	for i := range items {
		is, iv, ok := deref(s.item(), v.Index(i))
		if !ok {
			e.fail(path, errNilItem)
			break
		}
		items[i] = e.scalar(is, iv, path)
	}
	return items
}

// items prints the items of a list of structs.
func (e *encoder) items(s slot, v reflect.Value, path string, indent int) {
	key := s.itemFields().key
	for i := range v.Len() {
		is, iv, ok := deref(s.item(), v.Index(i))
		step := strconv.Itoa(i)
		if ok && key >= 0 {
			f := s.itemFields().fields[key]
			if name := iv.FieldByIndex(f.index).String(); isName(name) {
				step = name
			} else if name != "" || f.key {
				e.fail(join(path, step), errors.New(badName(name)))
			}
		}
		if !ok {
			e.fail(join(path, step), errNilItem)
			return
		}
		e.indent(indent)
		e.out.WriteByte('-')
		if text, ok := e.flow(is, iv, join(path, step), maxFlow-indent-2); ok {
			e.out.WriteString(" " + text + "\n")
			continue
		}
		// The first key stands on the line of the dash.
		e.out.WriteByte(' ')
		start := e.out.Len()
		e.structure(is, iv, join(path, step), indent+2)
		body := bytes.TrimLeft(e.out.Bytes()[start:], " ")
		body = append([]byte(nil), body...)
		e.out.Truncate(start)
		e.out.Write(body)
	}
}

// namedItems prints the items of a list that is written as a mapping.
func (e *encoder) namedItems(s slot, v reflect.Value, path string, indent int) {
	key := s.itemFields().fields[s.itemFields().key]
	for i := range v.Len() {
		iv := v.Index(i)
		if iv.Kind() == reflect.Pointer && iv.IsNil() {
			e.fail(path, errNilItem)
			return
		}
		name := reflect.Indirect(iv).FieldByIndex(key.index).String()
		if !isName(name) {
			e.fail(path, errors.New(badName(name)))
		}
		is := s.item()
		is.keyed = true
		e.indent(indent)
		e.out.WriteString(plainOrQuoted(name) + ":")
		e.value(is, iv, join(path, name), indent)
	}
}

// scalar is the text of a scalar, quoted if it must be.
func (e *encoder) scalar(s slot, v reflect.Value, path string) string {
	text, err := formatScalar(s.typeInfo, v)
	if err != nil {
		e.fail(path, err)
	}
	if !utf8.ValidString(text) {
		e.fail(path, fmt.Errorf("text %q is not UTF-8", text))
	}
	switch s.shape {
	case shapeBool, shapeInt, shapeUint:
		return text
	case shapeText:
		if plainUnit.MatchString(text) && !notText.MatchString(text) {
			return text
		}
	}
	return plainOrQuoted(text)
}

var (
	plainUnit = regexp.MustCompile(`^-?[0-9A-Za-z][0-9A-Za-z./%µ-]*$`)
	plainText = regexp.MustCompile(`^[A-Za-z_/.][A-Za-z0-9_./%+=();<>-]*( [A-Za-z0-9_./%+=();<>-]+)*$`)
	notText   = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|y|n|null|[.](inf|nan)|[.][0-9_e+-]*|---|[.]{3})$`)
)

// plainOrQuoted prints a text such that any YAML reader takes it for a string.
func plainOrQuoted(s string) string {
	if plainText.MatchString(s) && !notText.MatchString(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != '\uFEFF':
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// isBlock reports whether a text reads well as a block of lines.
func isBlock(s string) bool {
	if !strings.Contains(s, "\n") || !utf8.ValidString(s) {
		return false
	}
	body := strings.TrimSuffix(s, "\n")
	if body == "" || body[0] == ' ' || body[0] == '\n' || strings.HasSuffix(body, "\n") {
		return false
	}
	for line := range strings.SplitSeq(body, "\n") {
		if strings.TrimRight(line, " ") != line {
			return false
		}
		for _, r := range line {
			if r != ' ' && (unicode.IsSpace(r) || !unicode.IsPrint(r)) {
				return false
			}
		}
	}
	return true
}

// block prints a text of several lines.
func (e *encoder) block(s, comment string, indent int) {
	body, closed := strings.CutSuffix(s, "\n")
	e.out.WriteString(" |")
	if !closed {
		e.out.WriteByte('-')
	}
	e.out.WriteString(comment + "\n")
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" {
			e.indent(indent + 2)
		}
		e.out.WriteString(line + "\n")
	}
}
