package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"socsim/internal/conf"
	"socsim/soc"
	"socsim/soc/dram"
	"socsim/soc/graph"
	"socsim/soc/presets"
)

// places are where the presets of a namespace stand in the language.
var places = []struct{ namespace, path string }{{"dram", "soc.dram"}, {"soc", "soc"}, {"sensor", "stages.NAME.sensor"}, {"panel", "stages.NAME.panel"}}

// value is what a preset says of a setting.
type value struct {
	preset, text, note string
}

// kit holds a preset of any namespace.
type kit struct {
	SoC    *soc.Config   `conf:"soc,preset=soc"`
	DRAM   *dram.Config  `conf:"dram,preset=dram"`
	Sensor *graph.Sensor `conf:"sensor,preset=sensor"`
	Panel  *graph.Panel  `conf:"panel,preset=panel"`
}

// loaded is a preset with what is known about its text.
type loaded struct {
	kit
	doc *conf.Document
	err error
}

// cache holds the presets that were loaded, by namespace and name.
var cache sync.Map

// load decodes a preset.
func load(namespace, name string) *loaded {
	key := namespace + "/" + name
	if l, ok := cache.Load(key); ok {
		return l.(*loaded)
	}
	l := &loaded{}
	if l.doc, l.err = conf.Decode(conf.Source{Name: name, Data: []byte(namespace + ": " + name + "\n")}, nil, presets.Set{}, &l.kit); l.err != nil {
		l.err = fmt.Errorf("loading preset %s: %w", name, l.err)
	}
	cache.Store(key, l)
	return l
}

// valueOf returns what a preset says of a setting by its path within the preset.
func valueOf(namespace, name, path string, withSource bool) (value, bool) {
	l := load(namespace, name)
	if l.err != nil {
		return value{}, false // a test loads them all
	}
	at := namespace + "." + path
	text, ok := conf.Value(l.kit, at)
	v := value{preset: name, text: text}
	if !ok || !withSource {
		return v, ok
	}
	for _, p := range l.doc.Provenance() {
		if p.Path == at {
			v.note = "source: " + p.Note
			if p.Estimated {
				v.note = "estimated: " + p.Note
			}
		}
	}
	return v, true
}

// within splits the path of a setting into the namespace whose presets describe it and the path within them.
func within(path string) (namespace, rest string) {
	for _, p := range places {
		if rest, ok := strings.CutPrefix(path, p.path+"."); ok && rest != "preset" {
			return p.namespace, rest
		}
	}
	return "", ""
}

// values lists what the presets say of a setting: the chip of the options with its source, or all.
func (e *explainer) values(path string) []value {
	namespace, rest := within(path)
	if e.opts.SoC != "" {
		rest, ok := strings.CutPrefix(path, "soc.")
		if v, there := valueOf("soc", e.opts.SoC, rest, true); ok && there && rest != "preset" {
			return []value{v}
		}
		return nil
	}
	var out []value
	for _, name := range (presets.Set{}).Names(namespace) {
		if v, ok := valueOf(namespace, name, rest, false); ok {
			out = append(out, v)
		}
	}
	return out
}

func printValues(w io.Writer, values []value) error {
	t := columns(w)
	for i, v := range values {
		if i == 0 {
			fmt.Fprintln(t)
		}
		if v.text == "" {
			v.text = "none"
		}
		fmt.Fprintf(t, "  %s\t%s", v.preset, v.text)
		if v.note != "" {
			fmt.Fprintf(t, "\t%s", v.note)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// presets finds a preset by its name, or a setting of it: omap3430.l2.ways.
func (e *explainer) presets(word string) []entry {
	var out []entry
	for _, p := range places {
		for _, name := range (presets.Set{}).Names(p.namespace) {
			switch rest, inside := strings.CutPrefix(word, name+"."); {
			case word == name:
				out = append(out, func(w io.Writer) error { return e.printPreset(w, p.namespace, p.path, name) })
			case inside:
				out = append(out, e.presetSetting(p.namespace, p.path, name, rest)...)
			}
		}
	}
	return out
}

// presetSetting finds a setting of a preset.
func (e *explainer) presetSetting(namespace, at, name, rest string) []entry {
	path, s, ok := e.find(at + "." + rest)
	if !ok {
		return nil
	}
	var values []value
	if v, ok := valueOf(namespace, name, rest, true); ok {
		values = append(values, v)
	}
	return []entry{func(w io.Writer) error { return e.printSetting(w, path, s, values) }}
}

// printPreset tells what a preset describes, how to name it, and how well it is backed.
func (e *explainer) printPreset(w io.Writer, namespace, path, name string) error {
	data, _ := presets.Set{}.Preset(namespace, name)
	l := load(namespace, name)
	if l.err != nil {
		return l.err
	}
	estimated := 0
	for _, p := range l.doc.Provenance() {
		if p.Estimated {
			estimated++
		}
	}
	t := columns(w)
	fmt.Fprintf(t, "preset %s\n", name)
	if about := head(string(data)); about != "" {
		paragraph(t, about)
	}
	fmt.Fprintf(t, "\n  kind\t%s\n  use\t%s: %s\n  values\t%d, of which %d are estimated\n  all of it\tsocsim show %s\n", namespace, path, name, len(l.doc.Provenance()), estimated, name)
	return t.Flush()
}

// head is the comment at the head of a preset.
func head(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimSpace(comment))
	}
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), " ")
}
