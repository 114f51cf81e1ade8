package conf

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// numberWithUnit is a whole number followed by something that may be a unit.
var numberWithUnit = regexp.MustCompile(`^([+-]?[0-9]+)\s*([A-Za-zµ%][A-Za-zµ/%]*)$`)

// parseScalar parses a scalar into dst. The error does not name the value's path.
func parseScalar(t *typeInfo, n *node, dst reflect.Value) error {
	if t.values != nil && !slices.Contains(t.values, n.text) {
		return fmt.Errorf("unknown value %s%s", quote(n.text), suggestValue(n.text, t.values))
	}
	switch t.shape {
	case shapeBool:
		switch {
		case n.quoted || n.text != "true" && n.text != "false":
			return fmt.Errorf("expected true or false, found %s", describeScalar(n))
		default:
			dst.SetBool(n.text == "true")
		}
	case shapeInt, shapeUint:
		return parseInteger(t, n, dst)
	case shapeString:
		dst.SetString(n.text)
	case shapeText:
		if err := dst.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
			return err
		}
	default:
		panic(fmt.Sprintf("conf: %v is no scalar", t.typ))
	}
	return nil
}

// suggestValue lists all values of an enum and names the nearest.
func suggestValue(word string, values []string) string {
	s := "; expected one of " + strings.Join(values, ", ")
	if near := Nearest(word, values); near != "" {
		s += fmt.Sprintf("; did you mean %q?", near)
	}
	return s
}

// describeScalar shows a scalar in a message.
func describeScalar(n *node) string {
	if n.quoted {
		return "the quoted text " + quote(n.text)
	}
	return quote(n.text)
}

// parseInteger parses decimal integers, and the notations 0x, 0o and 0b.
func parseInteger(t *typeInfo, n *node, dst reflect.Value) error {
	text := n.text
	digits := strings.TrimLeft(text, "+-")
	octal := len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9'
	if octal && !n.quoted {
		return fmt.Errorf("expected a plain integer, found %s; write it without the leading 0, or with 0o if you mean octal", quote(text))
	}
	if n.quoted || strings.HasPrefix(text, "+") {
		return integerError(n)
	}
	var err error
	if t.shape == shapeInt {
		var i int64
		if i, err = strconv.ParseInt(text, 0, t.typ.Bits()); err == nil {
			dst.SetInt(i)
		}
	} else {
		var u uint64
		if u, err = strconv.ParseUint(text, 0, t.typ.Bits()); err == nil {
			dst.SetUint(u)
		} else if _, signed := strconv.ParseInt(text, 0, 64); signed == nil && text[0] == '-' {
			return fmt.Errorf("expected an integer that is not negative, found %s", quote(text))
		}
	}
	if errors.Is(err, strconv.ErrRange) {
		if bits := t.typ.Bits(); t.shape == shapeUint {
			return fmt.Errorf("%s is too large; the largest value is %d", quote(text), ^uint64(0)>>(64-bits))
		} else {
			return fmt.Errorf("%s is out of range; values go from %d to %d", quote(text), int64(-1)<<(bits-1), int64(^uint64(0)>>(65-bits)))
		}
	}
	if err != nil {
		return integerError(n)
	}
	return nil
}

// integerError says why a scalar is no integer.
func integerError(n *node) error {
	const plain = "expected a plain integer"
	if n.quoted {
		return fmt.Errorf("%s, found %s", plain, describeScalar(n))
	}
	if m := numberWithUnit.FindStringSubmatch(n.text); m != nil {
		return fmt.Errorf("%s without a unit, found %s; this setting counts things, so write %s or the number you mean", plain, quote(n.text), m[1])
	}
	return fmt.Errorf("%s such as 4, found %s", plain, quote(n.text))
}

// formatScalar returns the canonical text of a scalar.
func formatScalar(t *typeInfo, v reflect.Value) (string, error) {
	switch t.shape {
	case shapeBool:
		return strconv.FormatBool(v.Bool()), nil
	case shapeInt:
		return strconv.FormatInt(v.Int(), 10), nil
	case shapeUint:
		return strconv.FormatUint(v.Uint(), 10), nil
	case shapeString:
		return v.String(), nil
	case shapeText:
		p := reflect.New(t.typ)
		p.Elem().Set(v)
		text, err := p.Interface().(encoding.TextMarshaler).MarshalText()
		return string(text), err
	}
	panic(fmt.Sprintf("conf: %v is no scalar", t.typ))
}
