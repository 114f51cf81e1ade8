package flush

import (
	"fmt"
	"strconv"
	"strings"

	"socsim/sim/units"
)

// ParamType is the type of a parameter.
type ParamType string

// The types.
const (
	Size   ParamType = "size"   // bytes, with their unit: 64KiB
	Count  ParamType = "count"  // a whole number
	Bool   ParamType = "bool"   // true or false
	Choice ParamType = "choice" // one of Param.Choices
)

// Values lists the types.
func (ParamType) Values() []string {
	return []string{string(Size), string(Count), string(Bool), string(Choice)}
}

// Limits of numbers: far beyond any chip, and small enough that sums and multiples of them stay in range.
const (
	maxSize  = int64(1) << 40
	maxCount = int64(1) << 20
)

// Param is a parameter of a strategy.
type Param struct {
	Name    string
	Type    ParamType
	Default string
	Doc     string
	// Choices are the values of a Choice.
	Choices []string
	// Auto lets a Size be "auto": the strategy chooses. Its value is then AutoSize.
	Auto bool
}

// AutoSize is the value of a Size that is left to the strategy.
const AutoSize = -1

const auto = "auto"

// Value is a parameter's value: bytes, a count, 1 for true, or the index of a choice.
type Value int64

// Parse reads a value. The error says what is expected.
func (p Param) Parse(text string) (Value, error) {
	switch p.Type {
	case Size:
		if p.Auto && text == auto {
			return AutoSize, nil
		}
		var b units.Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil {
			return 0, err
		}
		if int64(b) > maxSize {
			return 0, fmt.Errorf("%v, want at most %v", b, units.Bytes(maxSize))
		}
		return Value(b), nil
	case Count:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n > maxCount || text != strconv.FormatInt(n, 10) {
			return 0, fmt.Errorf("%q, want a whole number from 0 to %d", text, maxCount)
		}
		return Value(n), nil
	case Bool:
		switch text {
		case "true":
			return 1, nil
		case "false":
			return 0, nil
		}
		return 0, fmt.Errorf("%q, want true or false", text)
	case Choice:
		for i, c := range p.Choices {
			if c == text {
				return Value(i), nil
			}
		}
		return 0, fmt.Errorf("%q, want one of %s", text, strings.Join(p.Choices, ", "))
	}
	return 0, fmt.Errorf("a parameter of the unknown type %q", p.Type)
}

// Format prints a value such that Parse reads it back.
func (p Param) Format(v Value) string {
	switch p.Type {
	case Size:
		if v == AutoSize {
			return auto
		}
		return units.Bytes(v).String()
	case Bool:
		return strconv.FormatBool(v != 0)
	case Choice:
		return p.Choices[v]
	default:
		return strconv.FormatInt(int64(v), 10)
	}
}

// canonical is the default as Format prints it.
func (p Param) canonical() string {
	v, err := p.Parse(p.Default)
	if err != nil {
		panic(fmt.Sprintf("flush: default of %s: %v", p.Name, err))
	}
	return p.Format(v)
}

// Settings are the values of a strategy's parameters.
type Settings struct {
	params []Param
	values []Value
}

func (s Settings) value(name string, t ParamType) Value {
	for i, p := range s.params {
		if p.Name == name && p.Type == t {
			return s.values[i]
		}
	}
	panic(fmt.Sprintf("flush: no parameter %s of type %s", name, t))
}

// Value returns a parameter's value, and whether there is such a parameter.
func (s Settings) Value(name string) (Value, bool) {
	for i, p := range s.params {
		if p.Name == name {
			return s.values[i], true
		}
	}
	return 0, false
}

// Size returns a parameter of type Size. It and the functions below panic if the strategy has no such parameter.
func (s Settings) Size(name string) int64 { return int64(s.value(name, Size)) }

// Count returns a parameter of type Count.
func (s Settings) Count(name string) int64 { return int64(s.value(name, Count)) }

// Bool returns a parameter of type Bool.
func (s Settings) Bool(name string) bool { return s.value(name, Bool) != 0 }

// Choice returns a parameter of type Choice.
func (s Settings) Choice(name string) string {
	v := s.value(name, Choice)
	for _, p := range s.params {
		if p.Name == name {
			return p.Choices[v]
		}
	}
	return ""
}
