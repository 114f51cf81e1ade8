// Package scenarios is the library of scenarios, of what they are known to measure, and of rule tables for flush strategies, embedded in the binary.
package scenarios

import (
	"embed"
	"path"
	"sort"
	"strings"
)

//go:embed *.yaml strategies/*.yaml baselines
var files embed.FS

// Names lists the scenarios of the library, sorted.
func Names() []string { return names(".") }

// Read returns a scenario of the library.
func Read(name string) ([]byte, bool) { return read(".", name) }

// Strategies lists the rule tables of the library, sorted.
func Strategies() []string { return names("strategies") }

// ReadStrategy returns a rule table of the library.
func ReadStrategy(name string) ([]byte, bool) { return read("strategies", name) }

// ReadBaseline returns a baseline of the library by the name of its file.
func ReadBaseline(file string) ([]byte, bool) {
	data, err := files.ReadFile("baselines/" + file)
	return data, err == nil
}

func names(dir string) []string {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok && !e.IsDir() {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func read(dir, name string) ([]byte, bool) {
	if strings.ContainsAny(name, "/\\") {
		return nil, false
	}
	data, err := files.ReadFile(path.Join(dir, name+".yaml"))
	return data, err == nil
}
