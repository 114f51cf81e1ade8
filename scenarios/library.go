// Package scenarios is the library of scenarios and of rule tables for flush strategies, embedded in the binary.
package scenarios

import (
	"embed"
	"path"
	"sort"
	"strings"
)

//go:embed *.yaml strategies/*.yaml
var files embed.FS

// Names lists the scenarios of the library, sorted.
func Names() []string { return names(".") }

// Read returns a scenario of the library.
func Read(name string) ([]byte, bool) { return read(".", name) }

// Strategies lists the rule tables of the library, sorted.
func Strategies() []string { return names("strategies") }

// ReadStrategy returns a rule table of the library.
func ReadStrategy(name string) ([]byte, bool) { return read("strategies", name) }

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
