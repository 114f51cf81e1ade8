// Package strategy finds flush strategies by what a user writes: names with parameters, the library's rule tables, and tables in files.
//
// A rule table is YAML: rules of event x direction x size or batch x hint -> operation x extent. It is decoded as strictly as a scenario, by package conf, and compiled into masks and bounds; the first
// rule that matches decides. What a table cannot say, because it has no memory, is a strategy of package flush in Go. docs/strategies.md shows how to write either.
//
// Left out: conditions on the device, the exporter and the fragmentation of a buffer, which no shipped driver uses; answers for parts of a buffer.
package strategy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"socsim/internal/conf"
	"socsim/scenarios"
	"socsim/soc/flush"
)

// shipped are the tables of the library.
var shipped = sync.OnceValue(func() []flush.Info {
	var out []flush.Info
	for _, name := range scenarios.Strategies() {
		data, _ := scenarios.ReadStrategy(name)
		info, err := Load(conf.Source{Name: "strategies/" + name + ".yaml", Data: data})
		if err != nil {
			panic("strategy: " + err.Error())
		}
		if info.Name != name {
			panic(fmt.Sprintf("strategy: strategies/%s.yaml names itself %q", name, info.Name))
		}
		out = append(out, info)
	}
	return out
})

// Registered lists all strategies in the order in which they are shown: those in Go, the library's tables, yardsticks and baselines.
func Registered() []flush.Info {
	var first, last []flush.Info
	for _, i := range flush.Registered() {
		if i.Yardstick || i.Baseline {
			last = append(last, i)
		} else {
			first = append(first, i)
		}
	}
	return slices.Concat(first, shipped(), last)
}

// All lists the strategies that "all" stands for: all but the baselines.
func All() []flush.Info {
	return slices.DeleteFunc(Registered(), func(i flush.Info) bool { return i.Baseline })
}

// Names lists all strategies by name, sorted.
func Names() []string {
	var names []string
	for _, i := range Registered() {
		names = append(names, i.Name)
	}
	slices.Sort(names)
	return names
}

// ByName returns a strategy. The error lists the names and says which is nearest.
func ByName(name string) (flush.Info, error) {
	for _, i := range Registered() {
		if i.Name == name {
			return i, nil
		}
	}
	return flush.Info{}, fmt.Errorf("unknown strategy %q%s", shorten(name), suggest(name, "there are", Names()))
}

// maxFile bounds what is read of a rule table; conf refuses anything near it.
const maxFile = 8 << 20

// open reads a rule table from a file, which is looked for in dir unless its path is absolute. The strategy's name becomes "@" and the table's, so that it is not taken for one of the library.
func open(path, dir string) (flush.Info, error) {
	name := path
	if !filepath.IsAbs(path) {
		name = filepath.Join(dir, path)
	}
	stat, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return flush.Info{}, fmt.Errorf("rule table @%s: there is no file %s%s", path, name, nearestFile(name))
	case err != nil:
		return flush.Info{}, fmt.Errorf("reading rule table: %w", err)
	case stat.IsDir():
		return flush.Info{}, fmt.Errorf("rule table @%s: %s is a directory", path, name)
	case stat.Size() > maxFile:
		return flush.Info{}, fmt.Errorf("rule table @%s: %s has %d bytes; a table has at most a few thousand", path, name, stat.Size())
	}
	file, err := os.Open(name)
	if err != nil {
		return flush.Info{}, fmt.Errorf("reading rule table: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1)) // a device or a pipe tells no size
	switch {
	case err != nil:
		return flush.Info{}, fmt.Errorf("reading rule table: %w", err)
	case len(data) > maxFile:
		return flush.Info{}, fmt.Errorf("rule table @%s: %s does not end after %d bytes; a table has at most a few thousand", path, name, maxFile)
	}
	info, err := Load(conf.Source{Name: name, Data: data})
	info.Name = "@" + info.Name
	return info, err
}

// nearestFile suggests a file of the same directory.
func nearestFile(name string) string {
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil {
		return ""
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".yaml") {
			files = append(files, e.Name())
		}
	}
	if near := conf.Nearest(filepath.Base(name), files); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
