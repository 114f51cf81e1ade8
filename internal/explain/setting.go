package explain

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"socsim/internal/conf"
	"socsim/internal/schema"
	"socsim/soc/presets"
)

// short is a path without the steps that stand for items.
func short(path string) string {
	steps := strings.Split(path, ".")
	return strings.Join(slices.DeleteFunc(steps, func(s string) bool { return s == "NAME" || s == "N" }), ".")
}

// fields are what stands below a setting: its own fields, or those of its items.
func fields(s conf.Setting) []conf.Setting {
	if s.Kind == conf.List {
		return s.Item.Fields
	}
	return s.Fields
}

// find follows a dotted path. The steps for items may be left out, or name an item that the language does not know. The path comes back as the reference writes it; if not ok, it and the
// setting are what was found before the first unknown step.
func (e *explainer) find(word string) (path string, s conf.Setting, ok bool) {
	return find("", e.root, strings.Split(word, "."))
}

func find(path string, s conf.Setting, steps []string) (string, conf.Setting, bool) {
	if len(steps) == 0 {
		return path, s, true
	}
	isList := s.Kind == conf.List && len(s.Item.Fields) > 0
	at := path
	if isList {
		at += "." + s.ItemStep()
	}
	next := slices.IndexFunc(fields(s), func(f conf.Setting) bool { return f.Name == steps[0] })
	if next >= 0 {
		there, found, ok := find(strings.TrimPrefix(at+"."+steps[0], "."), fields(s)[next], steps[1:])
		if ok || !isList {
			return there, found, ok
		}
	}
	if !isList || len(steps) == 1 && misspelt(s, steps[0]) {
		return path, s, false
	}
	return find(at, *s.Item, steps[1:]) // the step names an item
}

// misspelt reports whether a step is no name of an item, or more likely a field of the items that is not spelt right.
func misspelt(list conf.Setting, step string) bool {
	var names []string
	for _, f := range list.Item.Fields {
		names = append(names, f.Name)
	}
	return conf.Nearest(step, names) != "" || !anItem.MatchString(step) && !(list.Key == "" && step != "" && strings.Trim(step, "0123456789") == "")
}

var anItem = regexp.MustCompile(conf.NamePattern)

// settings finds the setting at a path.
func (e *explainer) settings(word string) []entry {
	path, s, ok := e.find(word)
	if !ok || word == "" {
		return nil
	}
	return []entry{func(w io.Writer) error { return e.printSetting(w, path, s, e.values(path)) }}
}

// ending finds the settings whose path ends in a word: one is told in full, several are listed.
func (e *explainer) ending(word string) []entry {
	var paths []string
	var last conf.Setting
	e.root.Walk(func(path string, s conf.Setting) {
		if strings.HasSuffix("."+short(path), "."+word) && word != "" {
			paths, last = append(paths, path), s
		}
	})
	switch len(paths) {
	case 0:
		return nil
	case 1:
		return []entry{func(w io.Writer) error { return e.printSetting(w, paths[0], last, e.values(paths[0])) }}
	}
	return []entry{func(w io.Writer) error {
		t := columns(w)
		fmt.Fprintf(t, "settings that end in %s:\n\n", word)
		for _, path := range paths {
			_, s, _ := e.find(path)
			fmt.Fprintf(t, "  %s\t%s\n", path, sentence(s.Doc))
		}
		return t.Flush()
	}}
}

func columns(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// printSetting tells what a setting is, what it may be, what the presets say, and what it holds.
func (e *explainer) printSetting(w io.Writer, path string, s conf.Setting, values []value) error {
	doc := s.Doc
	if doc == "" {
		doc = "One of " + path[:strings.LastIndexByte(path, '.')] + "."
	}
	t := columns(w)
	fmt.Fprintf(t, "setting %s\n", path)
	paragraph(t, doc)
	fmt.Fprintf(t, "\n  type\t%s\n  default\t%s\n", schema.Type(s), schema.Default(s))
	if len(s.Values) > 0 && s.Kind == conf.Text {
		fmt.Fprintf(t, "  such as\t%s\n", strings.Join(s.Values, ", "))
	}
	if s.Preset != "" {
		fmt.Fprintf(t, "  presets\t%s\n", strings.Join(presets.Set{}.Names(s.Preset), ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := printValues(w, values); err != nil {
		return err
	}
	if len(fields(s)) == 0 {
		return nil
	}
	fmt.Fprintln(t)
	for _, f := range fields(s) {
		fmt.Fprintf(t, "  %s\t%s\n", f.Name, sentence(f.Doc))
	}
	return t.Flush()
}

// sentence is the first sentence of a text.
func sentence(text string) string {
	first, _, more := strings.Cut(text, ". ")
	if more {
		first += "."
	}
	return first
}

// width is where paragraphs are wrapped.
const width = 96

// paragraph prints a text in indented lines.
func paragraph(w io.Writer, text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			fmt.Fprintf(w, "  %s\n", line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	fmt.Fprintf(w, "  %s\n", line)
}
