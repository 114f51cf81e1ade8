package schema

import (
	"fmt"
	"strings"

	"socsim/internal/conf"
)

// Type says in words what a setting is.
func Type(s conf.Setting) string {
	switch s.Kind {
	case conf.Bool:
		return "true or false"
	case conf.Integer:
		if s.Unsigned {
			return "integer, not negative"
		}
		return "integer"
	case conf.Enum:
		if len(s.Values) > 1 {
			return "one of " + strings.Join(s.Values, ", ")
		}
		return strings.Join(s.Values, "")
	case conf.Quantity:
		if s.What == "" {
			return "text"
		}
		return s.What + ", such as " + strings.Join(s.Examples, " or ")
	case conf.Mapping:
		if s.Preset != "" {
			return s.Preset + " preset, or mapping"
		}
		return "mapping"
	case conf.List:
		if s.Named && len(s.Item.Fields) == 0 {
			return "mapping from names to values"
		}
		if s.Named {
			return "mapping from names"
		}
		if len(s.Item.Fields) > 0 {
			return "list of mappings"
		}
		if s.OrOne {
			return Type(*s.Item) + ", or a list of it"
		}
		return "list of " + Type(*s.Item)
	}
	if s.Name == "preset" {
		return "name of a preset"
	}
	return "text"
}

// Default says in words what holds if a setting is left out.
func Default(s conf.Setting) string {
	switch {
	case s.Required && s.InPreset:
		return "required, or from the preset"
	case s.Required:
		return "required"
	case s.Default != "":
		return s.Default
	case s.InPreset && s.Name != "preset":
		return "from the preset"
	case s.Kind == conf.Mapping && !s.Optional:
		return "see below"
	}
	return "none"
}

// Markdown writes the reference: a table for each mapping of the language.
func Markdown(root conf.Setting) string {
	var b strings.Builder
	table(&b, "", root.Fields)
	root.Walk(func(path string, s conf.Setting) {
		switch {
		case s.Kind == conf.Mapping:
			table(&b, path, s.Fields)
		case s.Kind == conf.List && len(s.Item.Fields) > 0:
			table(&b, path+"."+s.ItemStep(), s.Item.Fields)
		}
	})
	return b.String()
}

func table(b *strings.Builder, path string, fields []conf.Setting) {
	if path == "" {
		b.WriteString("### At the top level\n")
	} else {
		fmt.Fprintf(b, "\n### `%s`\n", path)
	}
	b.WriteString("\n| setting | type | default | meaning |\n|---|---|---|---|\n")
	for _, f := range fields {
		value := Default(f)
		if f.Default != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Name, Type(f), value, f.Doc)
	}
}
