// Package presets holds the chips, memories, sensors and panels that scenarios name, as data: one YAML document a preset, in which every value states its source or that it is estimated.
package presets

import (
	"embed"
	"path"
	"sort"
	"strings"
)

//go:embed soc/*.yaml sensor/*.yaml panel/*.yaml dram/*.yaml
var files embed.FS

// Set gives access to the presets by namespace: soc, dram, sensor, panel.
type Set struct{}

// Preset returns a preset's document.
func (Set) Preset(namespace, name string) ([]byte, bool) {
	if strings.ContainsAny(name, "/\\") {
		return nil, false
	}
	data, err := files.ReadFile(path.Join(namespace, name+".yaml"))
	return data, err == nil
}

// Describe returns what the comment at the head of a preset's document says of it: its first sentence.
func Describe(namespace, name string) string {
	data, _ := Set{}.Preset(namespace, name)
	var words []string
	for line := range strings.Lines(string(data)) {
		text, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		words = append(words, strings.TrimSpace(text))
	}
	text := strings.Join(words, " ")
	if first, _, more := strings.Cut(text, ". "); more {
		text = first
	}
	return strings.TrimSuffix(text, ".")
}

// Names lists the presets of a namespace, sorted.
func (Set) Names(namespace string) []string {
	entries, err := files.ReadDir(namespace)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	sort.Strings(names)
	return names
}

// Namespaces lists the namespaces.
func Namespaces() []string { return []string{"soc", "dram", "sensor", "panel"} }
