package scenario

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"socsim/internal/conf"
	"socsim/scenarios"
)

// maxFile bounds what is read of a scenario file, whatever it is: a device or a pipe tells no size and may never end.
const maxFile = 4 << 20

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory; name a scenario file in it", name)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes; a scenario has at most a few thousand, and more than 4 MiB are refused", name, info.Size())
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readBounded(file, name)
}

// readBounded reads a scenario's text to its end, or refuses it.
func readBounded(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s does not end after 4 MiB; a scenario has at most a few thousand bytes", name)
	}
	return data, nil
}

// ReadFrom reads the text of a scenario from a stream, such as standard input. What it includes is looked for in the current directory.
func ReadFrom(r io.Reader, name string) (conf.Source, error) {
	data, err := readBounded(r, name)
	if err != nil {
		return conf.Source{}, fmt.Errorf("reading scenario: %w", err)
	}
	return conf.Source{Name: name, Data: data}, nil
}

// openIncluded reads the file that a scenario includes: one beside the file that includes it, or else one of the library by its name. A scenario of the library includes the library's alone, so that it
// means the same everywhere.
func openIncluded(from conf.Source, name string) (conf.Source, error) {
	lib, inLibrary := scenarios.Read(strings.TrimSuffix(name, ".yaml"))
	library := conf.Source{Name: strings.TrimSuffix(name, ".yaml") + ".yaml", Data: lib, Builtin: true}
	if from.Builtin {
		if inLibrary {
			return library, nil
		}
		return conf.Source{}, fmt.Errorf("no scenario %q in the library", name)
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(from.Name), path)
	}
	data, err := readFile(path)
	switch {
	case err == nil:
		return conf.Source{Name: path, Data: data}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return conf.Source{}, err
	case inLibrary:
		return library, nil
	}
	near := conf.Nearest(filepath.Base(name), yamlFiles(filepath.Dir(path)))
	if near == "" {
		near = conf.Nearest(name, scenarios.Names())
	} else {
		near = filepath.Join(filepath.Dir(name), near)
	}
	hint := ""
	if near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return conf.Source{}, fmt.Errorf("no file %q beside this one, and no scenario of that name in the library%s", name, hint)
}

// yamlFiles lists the YAML files of a directory, as far as it can be read.
func yamlFiles(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".yaml" || ext == ".yml" {
			names = append(names, e.Name())
		}
	}
	return names
}

// relocateStrategy makes the rule table that an included file of another directory names one that is found from where the scenario lies.
func (l *Loaded) relocateStrategy() {
	table, isFile := strings.CutPrefix(l.Strategy, "@")
	file, _, _, ok := l.doc.Place("strategy")
	if !isFile || table == "" || filepath.IsAbs(table) || !ok {
		return
	}
	if dir, err := filepath.Rel(l.dir, filepath.Dir(file)); err == nil && dir != "." {
		l.Strategy = "@" + filepath.Join(dir, table)
	}
}
