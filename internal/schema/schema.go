// Package schema writes the description of a configuration as a JSON Schema, for editors and other programs.
//
// The schema says what a file may look like: keys, kinds of values, words, units, names of presets. Left out is what only the whole tells, and what JSON has no words for: limits of numbers,
// settings that contradict each other, names that are used twice or never defined, and that a preset has what a file leaves out. So what the schema refuses, decoding refuses too, but for
// blanks around a quoted quantity; not the other way round.
//
// Source: JSON Schema, draft 2020-12 (https://json-schema.org/draft/2020-12).
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"socsim/internal/conf"
)

// Document heads a schema.
type Document struct {
	ID, Title, Description string
	// Composed tells that files may include others and use parameters, by the keys "include" and "params" of the language: then a key is required only where nothing is included, and
	// "${name}" may stand in any value.
	Composed bool
}

// JSON writes the schema of a configuration. names lists the presets of a namespace.
func JSON(head Document, root conf.Setting, names func(namespace string) []string) ([]byte, error) {
	g := generator{names, head.Composed}
	doc := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", head.ID},
		{"title", head.Title},
		{"description", head.Description},
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	doc = append(doc, g.value(root)...)
	if head.Composed {
		doc = append(
			doc,
			member{"if", object{{"not", object{{"required", []string{"include"}}}}}},
			member{"then", requirements(root)},
			member{"$defs", object{{"parameter", object{{"type", "string"}, {"pattern", parameter}}}}},
		)
	}
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}
	return b.Bytes(), nil
}

// member is a key of an object with its value.
type member struct {
	key   string
	value any
}

// object is a JSON object whose keys keep their order.
type object []member

// MarshalJSON writes the object.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(m.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

type generator struct {
	names    func(namespace string) []string
	composed bool
}

// parameter matches a text in which a parameter stands.
const parameter = `\$\{[^}]*\}`

// requirements is the schema of what a file that includes nothing must have, nil for nothing. Keys that name items are required anyhow.
func requirements(s conf.Setting) object {
	switch {
	case s.InPreset || s.Preset != "":
		return nil // a preset may have it
	case s.Kind == conf.List && len(s.Item.Fields) > 0:
		items := "items"
		if s.Named {
			items = "additionalProperties"
		}
		if inner := requirements(*s.Item); inner != nil {
			return object{{items, inner}}
		}
	case s.Kind == conf.Mapping:
		var properties, out object
		var required []string
		for _, f := range s.Fields {
			if f.Required {
				required = append(required, f.Name)
			}
			if inner := requirements(f); inner != nil {
				properties = append(properties, member{f.Name, inner})
			}
		}
		if len(required) > 0 {
			out = append(out, member{"required", required})
		}
		if len(properties) > 0 {
			out = append(out, member{"properties", properties})
		}
		return out
	}
	return nil
}

// orParameter adds to the schema of a scalar that a parameter may stand for it, and for editors, which know errorMessage and patternErrorMessage, what is expected.
func (g generator) orParameter(schema object, expected string) object {
	if expected != "" {
		expected = "expected " + expected
		schema = append(schema, member{"errorMessage", expected}, member{"patternErrorMessage", expected})
	}
	if !g.composed {
		return schema
	}
	for i, m := range schema {
		switch m.key {
		case "enum":
			return object{{"anyOf", []object{schema, {{"$ref", "#/$defs/parameter"}}}}}
		case "pattern":
			schema[i].value = m.value.(string) + "|" + parameter
			return schema
		}
	}
	schema[0].value = []string{schema[0].value.(string), "string"} // its type
	return append(schema, member{"pattern", parameter})
}

// setting is the schema of a key.
func (g generator) setting(s conf.Setting) object {
	var out object
	if s.Doc != "" {
		out = append(out, member{"description", s.Doc})
	}
	if s.Default != "" {
		out = append(out, member{"default", literal(s)})
	}
	return append(out, g.value(s)...)
}

// literal is a default as a value of JSON.
func literal(s conf.Setting) any {
	switch s.Kind {
	case conf.Bool:
		return s.Default == "true"
	case conf.Integer:
		return json.Number(s.Default)
	}
	return s.Default
}

// value is the schema of a value without what is said of it.
func (g generator) value(s conf.Setting) object {
	switch s.Kind {
	case conf.Bool:
		return g.orParameter(object{{"type", "boolean"}}, "true or false")
	case conf.Integer:
		if s.Unsigned {
			return g.orParameter(object{{"type", "integer"}, {"minimum", 0}}, "an integer, not negative")
		}
		return g.orParameter(object{{"type", "integer"}}, "an integer")
	case conf.Enum:
		return g.orParameter(object{{"enum", words(s.Values)}}, "")
	case conf.Quantity:
		if s.Pattern == "" {
			break
		}
		return g.orParameter(quantity(s), "a "+Type(s))
	case conf.List:
		return g.list(s)
	case conf.Mapping:
		if s.Preset != "" {
			return object{{"anyOf", append(g.preset(s), g.mapping(s))}}
		}
		return g.mapping(s)
	}
	return g.text(s)
}

// preset is the schemas of a preset's name.
func (g generator) preset(s conf.Setting) []object {
	out := []object{{{"description", "A preset."}, {"enum", g.names(s.Preset)}}}
	if g.composed {
		out = append(out, object{{"$ref", "#/$defs/parameter"}})
	}
	return out
}

// words lists the values of an enum. One that is a number in YAML counts as such, too.
func words(values []string) []any {
	var out []any
	for _, v := range values {
		out = append(out, v)
		if n, err := strconv.Atoi(v); err == nil && strconv.Itoa(n) == v {
			out = append(out, n)
		}
	}
	return out
}

// text is the schema of a text. YAML takes some texts for numbers or truth values; decoding takes those as they are written, and so does the schema where they match the pattern.
func (g generator) text(s conf.Setting) object {
	types := []string{"string"}
	pattern := regexp.MustCompile(s.Pattern)
	if slices.ContainsFunc([]string{"5", "1.5", "1e3"}, pattern.MatchString) {
		types = append(types, "number")
	}
	if pattern.MatchString("true") {
		types = append(types, "boolean")
	}
	out := object{{"type", types}}
	switch {
	case len(types) == 1:
		return g.orParameter(object{{"type", "string"}, {"pattern", s.Pattern}}, s.What)
	case s.Pattern != "":
		return g.orParameter(append(out, member{"pattern", s.Pattern}), "a name of letters, digits, _ and -, that is no number")
	case len(s.Values) > 0:
		out = object{{"anyOf", []object{{{"enum", s.Values}}, out}}}
	}
	return out
}

// quantity is a text with a syntax. Where plain numbers match it, numbers do, within the bounds that the pattern sets.
func quantity(s conf.Setting) object {
	pattern := regexp.MustCompile(s.Pattern)
	least, most := -1, -1
	for n := range 100 {
		if pattern.MatchString(strconv.Itoa(n)) {
			if least < 0 {
				least = n
			}
			most = n
		}
	}
	out := object{{"type", "string"}}
	if least >= 0 {
		number := "integer"
		if pattern.MatchString(strconv.Itoa(least) + ".5") {
			number = "number"
		}
		out = object{{"type", []string{"string", number}}, {"minimum", least}}
		if most < 99 {
			out = append(out, member{"maximum", most})
		}
	}
	return append(out, member{"pattern", s.Pattern}, member{"examples", s.Examples})
}

func (g generator) list(s conf.Setting) object {
	item := g.value(*s.Item)
	if s.Bare {
		key, _ := s.Item.Field(s.Key)
		item = object{{"anyOf", []object{g.value(key), item}}}
	}
	switch {
	case s.Named:
		return object{{"type", "object"}, {"propertyNames", object{{"pattern", conf.NamePattern}}}, {"additionalProperties", item}}
	case s.OrOne:
		return object{{"anyOf", []object{item, {{"type", "array"}, {"items", item}}}}}
	}
	return object{{"type", "array"}, {"items", item}}
}

func (g generator) mapping(s conf.Setting) object {
	var properties object
	var required []string
	for _, f := range s.Fields {
		p := g.setting(f)
		if f.Name == "preset" && s.Preset != "" {
			p = object{{"description", f.Doc}, {"anyOf", g.preset(s)}}
		}
		properties = append(properties, member{f.Name, p})
		if f.Required && !f.InPreset && (!g.composed || f.Pattern == conf.NamePattern) {
			required = append(required, f.Name)
		}
	}
	out := object{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		out = append(out, member{"required", slices.Clone(required)})
	}
	return append(out, member{"additionalProperties", false})
}
