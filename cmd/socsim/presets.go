package main

import (
	"fmt"
	"io"
	"strings"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/scenario"
	"socsim/soc"
	"socsim/soc/dram"
	"socsim/soc/graph"
	"socsim/soc/presets"
)

// preset is a preset by its kind and name.
type preset struct{ namespace, name string }

func (p preset) String() string { return p.namespace + "/" + p.name }

// findPresets lists the presets of a name, which may have its kind in front.
func findPresets(name string) []preset {
	var found []preset
	for _, ns := range presets.Namespaces() {
		plain, ok := strings.CutPrefix(name, ns+"/")
		if !ok && strings.Contains(name, "/") {
			continue
		}
		if _, ok := (presets.Set{}).Preset(ns, plain); ok {
			found = append(found, preset{ns, plain})
		}
	}
	return found
}

// resolved is a preset with the values of those it starts from.
type resolved struct {
	value        any
	provenance   []conf.Provenance // by paths inside the value
	illustrative *result.Illustrative
}

// resolve decodes a preset with settings above it, whose paths begin with its kind.
func (p preset) resolve(overrides []conf.Override) (resolved, error) {
	var root struct {
		SoC    soc.Config   `conf:"soc,preset=soc" doc:"A chip."`
		DRAM   dram.Config  `conf:"dram,preset=dram" doc:"A memory."`
		Sensor graph.Sensor `conf:"sensor,preset=sensor" doc:"A sensor."`
		Panel  graph.Panel  `conf:"panel,preset=panel" doc:"A panel."`
	}
	doc, err := conf.Decode(conf.Source{Name: p.String(), Data: []byte(p.namespace + ": " + p.name + "\n")}, overrides, presets.Set{}, &root)
	if err != nil {
		return resolved{}, err
	}
	r := resolved{value: map[string]any{"soc": root.SoC, "dram": root.DRAM, "sensor": root.Sensor, "panel": root.Panel}[p.namespace]}
	for _, v := range doc.Provenance() {
		if path, ok := strings.CutPrefix(v.Path, p.namespace+"."); ok {
			v.Path = path
			r.provenance = append(r.provenance, v)
		}
	}
	r.illustrative = scenario.Label(root.SoC, doc.Provenance())
	return r, nil
}

// head returns the comment at the head of a preset's document.
func (p preset) head() string {
	data, _ := presets.Set{}.Preset(p.namespace, p.name)
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "#") {
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

// showPreset prints a preset with all its values and where each comes from.
func showPreset(w io.Writer, name string, overrides []conf.Override, notFound error) error {
	found := findPresets(name)
	switch {
	case len(found) == 0:
		return usage(unknownPreset(name, notFound))
	case len(found) > 1:
		return usage(fmt.Errorf("%q is the name of several presets: %v and %v; say which, as in socsim show %v", name, found[0], found[1], found[0]))
	}
	r, err := found[0].resolve(overrides)
	if err != nil {
		return usage(err)
	}
	text, err := conf.Encode(r.value, conf.WithProvenance(r.provenance))
	if err != nil {
		return &codeError{exitUnfinish, fmt.Errorf("printing preset %v: %w", found[0], err)}
	}
	if _, err := io.WriteString(w, found[0].head()); err != nil {
		return err
	}
	if r.illustrative != nil {
		if _, err := fmt.Fprintf(w, "# %v.\n", r.illustrative); err != nil {
			return err
		}
	}
	_, err = w.Write(text)
	return err
}

// unknownPreset says what there is in place of a name that is neither a scenario's nor a preset's.
func unknownPreset(name string, notFound error) error {
	var all, lists []string
	kind, plain, _ := strings.Cut(name, "/")
	for _, ns := range presets.Namespaces() {
		names := presets.Set{}.Names(ns)
		lists = append(lists, ns+": "+strings.Join(names, ", "))
		if kind == ns {
			if near := conf.Nearest(plain, names); near != "" {
				return fmt.Errorf("no preset %q; did you mean %q?", name, ns+"/"+near)
			}
			return fmt.Errorf("no preset %q; there are %s", name, lists[len(lists)-1])
		}
		all = append(all, names...)
	}
	if near := conf.Nearest(name, all); near != "" {
		return fmt.Errorf("%w; did you mean the preset %q?", notFound, near)
	}
	return fmt.Errorf("%w; nor is it a preset (%s)", notFound, strings.Join(lists, "; "))
}

// listPresets names each preset by its kind, with what it is.
func listPresets(w io.Writer) error {
	for _, ns := range presets.Namespaces() {
		for _, name := range (presets.Set{}).Names(ns) {
			p := preset{ns, name}
			note := ""
			if ns == "soc" {
				r, err := p.resolve(nil)
				if err != nil {
					return fmt.Errorf("preset %v: %w", p, err)
				}
				if r.illustrative != nil {
					note = " (illustrative)"
				}
			}
			if _, err := fmt.Fprintf(w, "  %-6s %-16s %s%s\n", ns, name, presets.Describe(ns, name), note); err != nil {
				return err
			}
		}
	}
	return nil
}
