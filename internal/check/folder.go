package check

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"socsim/internal/conf"
)

// topKey finds the keys of the top level of a YAML file that is written in lines.
var topKey = regexp.MustCompile(`(?m)^([A-Za-z_][A-Za-z0-9_]*)[ \t]*:`)

// kindKey finds what kind a file says it is of.
var kindKey = regexp.MustCompile(`(?m)^kind[ \t]*:[ \t]*["']?([A-Za-z0-9_-]*)`)

// notScenario says why a YAML file is no scenario, "" if it is one or means to be: a scenario has a name and no other kind. It looks at keys only, so that a scenario with mistakes is not passed over.
func notScenario(data []byte) string {
	keys := map[string]bool{}
	for _, m := range topKey.FindAllSubmatch(data, -1) {
		keys[string(m[1])] = true
	}
	switch kind := kindKey.FindSubmatch(data); {
	case kind != nil && string(kind[1]) != "scenario":
		return fmt.Sprintf("its kind is %s", kind[1])
	case keys["rules"] && keys["default"]:
		return "it is a rule table of a strategy"
	case len(keys) > 0 && !keys["name"]:
		return "it has no name, so it is a part for scenarios to include"
	}
	return ""
}

// scan lists the scenarios of a folder, sorted, and says of its other YAML files why they are none.
func scan(dir string) (files, notes []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the folder: %w", err)
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || ext != ".yaml" && ext != ".yml" || strings.HasPrefix(e.Name(), ".") || e.Name() == RulesFile {
			continue
		}
		name := filepath.Join(dir, e.Name())
		data, err := readSmall(name)
		if err != nil {
			return nil, nil, err
		}
		if why := notScenario(data); why != "" {
			notes = append(notes, fmt.Sprintf("%s is not checked: %s", name, why))
			continue
		}
		files = append(files, name)
	}
	return files, notes, nil
}

// maxFile bounds what is read of a file.
const maxFile = 8 << 20

func readSmall(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has %d bytes; none of these files has more than %d", name, info.Size(), maxFile)
	}
	return os.ReadFile(name)
}

// loadRules reads the rules of a folder; a folder without any is judged strictly.
func loadRules(dir string) (*Rules, error) {
	name := filepath.Join(dir, RulesFile)
	data, err := readSmall(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &Rules{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the rules: %w", err)
	}
	return LoadRules(conf.Source{Name: name, Data: data})
}

// unsafe are the characters that a file's name should not have.
const unsafe = `/\:*?"<>|` + "\x00"

// baselineName is the name of the baseline of a scenario's file under a strategy.
func baselineName(source, strategy string) string {
	stem := strings.TrimSuffix(filepath.Base(source), filepath.Ext(source))
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(unsafe, r) {
			return '-'
		}
		return r
	}, stem+"."+strategy) + ".json"
}

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".writing-"

// writeAtomically replaces a file as a whole or not at all; it does nothing if the file holds that already.
func writeAtomically(name string, data []byte) (changed bool, err error) {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, data) {
		return false, nil
	}
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return false, fmt.Errorf("creating %s: %w", dir, err)
	}
	temp := filepath.Join(dir, fmt.Sprintf("%s%d-%s", tempPrefix, os.Getpid(), filepath.Base(name)))
	if err := writeSynced(temp, data); err != nil {
		os.Remove(temp)
		return false, fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(temp, name); err != nil {
		os.Remove(temp)
		return false, fmt.Errorf("writing %s: %w", name, err)
	}
	return true, nil
}

// writeSynced writes a file that is on the disk when it returns: a rename could be there before the data otherwise.
func writeSynced(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// removeLeftovers removes what a process that was killed left half-written. Whoever calls it holds the folder's lock, so that nobody is writing.
func removeLeftovers(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // there is no such folder yet
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// orphan is a baseline that nothing was checked against.
type orphan struct {
	file     string
	source   string // the scenario it is of
	strategy string
	vanished bool // there is no such scenario any more
}

// orphans lists the baselines of a folder that are not in used, and the errors of those that cannot be read.
func orphans(dir string, used []string) []orphan {
	entries, err := os.ReadDir(filepath.Join(dir, BaselineDir))
	if err != nil {
		return nil
	}
	var out []orphan
	for _, e := range entries {
		name := filepath.Join(dir, BaselineDir, e.Name())
		if e.IsDir() || filepath.Ext(name) != ".json" || strings.HasPrefix(e.Name(), ".") || slices.Contains(used, name) {
			continue
		}
		data, err := readSmall(name)
		if err != nil {
			continue
		}
		b, err := decodeBaseline(name, data)
		if err != nil {
			continue // it is none, or nobody's
		}
		_, err = os.Stat(filepath.Join(dir, filepath.Base(b.Source)))
		out = append(out, orphan{name, b.Source, b.Strategy, errors.Is(err, fs.ErrNotExist)})
	}
	return out
}

// readBaseline returns a baseline, or fs.ErrNotExist, wrapped.
func readBaseline(name string) (*Baseline, error) {
	data, err := readSmall(name)
	if err != nil {
		return nil, fmt.Errorf("reading the baseline: %w", err)
	}
	return decodeBaseline(name, data)
}
