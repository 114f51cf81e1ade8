// Package explain tells what a word of socsim means: a setting of the scenario language, a metric, a flush strategy or a preset. It knows nothing itself: it asks the description of the
// language, the registry of metrics, the strategies and the presets.
package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"socsim/internal/conf"
	"socsim/internal/metric"
	"socsim/internal/scenario"
	"socsim/internal/strategy"
	"socsim/soc/presets"
)

// Options narrow what is told.
type Options struct {
	// SoC is the chip preset whose values are told; "" for all, without their sources.
	SoC string
}

// explainer holds the language while a word is looked up.
type explainer struct {
	root conf.Setting
	opts Options
}

// entry is a thing that was found, as text.
type entry func(w io.Writer) error

// Explain writes what a word means; where it means several things, all of them. The error names what is near.
func Explain(w io.Writer, word string, opts Options) error {
	if opts.SoC != "" {
		if err := known("soc", opts.SoC); err != nil {
			return err
		}
	}
	e := explainer{scenario.Describe(), opts}
	word = strings.Trim(word, ".")
	settings, metrics := e.settings(word), metricsOf(word)
	if len(settings) == 0 {
		settings = e.ending(word)
	}
	found := slices.Concat(settings, metrics, strategies(word), e.presets(word))
	if len(found) == 0 {
		return e.unknown(word)
	}
	for i, print := range found {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		if err := print(w); err != nil {
			return err
		}
	}
	return nil
}

// known returns an error if there is no preset of a name in a namespace.
func known(namespace, name string) error {
	names := presets.Set{}.Names(namespace)
	if slices.Contains(names, name) {
		return nil
	}
	err := fmt.Errorf("unknown %s preset %q; there are %s", namespace, name, strings.Join(names, ", "))
	if near := conf.Nearest(name, names); near != "" {
		err = fmt.Errorf("%w; did you mean %q?", err, near)
	}
	return err
}

// unknown is the error for a word that means nothing, with what is near to it of each kind.
func (e *explainer) unknown(word string) error {
	var near []string
	add := func(kind, name string) {
		if name != "" {
			near = append(near, fmt.Sprintf("the %s %s", kind, name))
		}
	}
	add("setting", e.nearestSetting(word))
	add("metric", metric.Nearest(word))
	add("strategy", conf.Nearest(word, strategy.Names()))
	add("preset", conf.Nearest(word, presetNames()))
	if len(near) == 0 {
		return fmt.Errorf("nothing is called %q: no setting, metric, strategy or preset; docs/scenario.md lists the settings, socsim list the rest", word)
	}
	return fmt.Errorf("nothing is called %q; did you mean %s?", word, strings.Join(near, ", or "))
}

// nearestSetting returns the path of the setting that a word most likely misspells: of its whole path, or of its last steps.
func (e *explainer) nearestSetting(word string) string {
	var paths, ends []string
	byEnd := map[string]string{} // by as many last steps as the word has
	n := strings.Count(word, ".") + 1
	e.root.Walk(func(path string, _ conf.Setting) {
		path = short(path)
		paths = append(paths, path)
		steps := strings.Split(path, ".")
		end := strings.Join(steps[max(0, len(steps)-n):], ".")
		if byEnd[end] == "" {
			byEnd[end] = path
			ends = append(ends, end)
		}
	})
	if path, s, ok := e.find(word); !ok && path != "" {
		// All but the last steps are right.
		var names []string
		for _, f := range fields(s) {
			names = append(names, f.Name)
		}
		if near := conf.Nearest(word[strings.LastIndexByte(word, '.')+1:], names); near != "" {
			return short(path) + "." + near
		}
	}
	if near := conf.Nearest(word, paths); near != "" {
		return near
	}
	return byEnd[conf.Nearest(word, ends)]
}

func presetNames() []string {
	var names []string
	for _, ns := range presets.Namespaces() {
		names = append(names, presets.Set{}.Names(ns)...)
	}
	return names
}

// Words lists all that can be explained, sorted: for completion.
func Words() []string {
	words := slices.Concat(strategy.Names(), presetNames())
	scenario.Describe().Walk(func(path string, _ conf.Setting) { words = append(words, short(path)) })
	for _, m := range metric.All() {
		words = append(words, m.Name)
	}
	slices.Sort(words)
	return slices.Compact(words)
}
