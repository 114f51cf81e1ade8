package run

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/scenario"
)

// probe is a run that a setting may change: a scenario of testdata/dead or of the library, with settings of its own.
type probe struct {
	scenario string
	sets     []string

	once   sync.Once
	base   string
	loaded *scenario.Loaded
	err    error
}

// ready runs the probe as it is, once.
func (p *probe) ready() error {
	p.once.Do(func() { p.loaded, p.base, p.err = p.run("", "") })
	return p.err
}

// run loads the probe with more settings, or with a text replaced by another, and returns all that the run finds but what names it: for a probe that must show a change of the result.
func (p *probe) run(old, text string, sets ...string) (*scenario.Loaded, string, error) {
	s, err := p.load(old, text, sets...)
	if err != nil {
		return nil, "", err
	}
	found, err := findings(s)
	return s, found, err
}

func (p *probe) load(old, text string, sets ...string) (*scenario.Loaded, error) {
	src, err := scenario.Read(p.scenario)
	if name := filepath.Join("testdata", "dead", p.scenario+".yaml"); fileExists(name) {
		src, err = scenario.Read(name)
	}
	if err != nil {
		return nil, err
	}
	if old != "" {
		if !bytes.Contains(src.Data, []byte(old)) {
			return nil, fmt.Errorf("%s does not hold %q", p.scenario, old)
		}
		src.Data = bytes.ReplaceAll(src.Data, []byte(old), []byte(text))
	}
	return scenario.Load(src, overrides(slices.Concat(p.sets, sets)...))
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// findings is the result of a scenario under its own strategy without what identifies it.
func findings(s *scenario.Loaded) (string, error) {
	o, err := simulate(context.Background(), Job{Scenario: s, Strategy: s.Own})
	if err != nil {
		return "", err
	}
	d := o.doc
	for _, e := range s.Expect {
		d.Expect = append(d.Expect, e.Judge(d))
	}
	d.Illustrative, d.Host, d.ConfigSHA256, d.Estimated, d.Unread, d.Seed, d.Strategy, d.Scenario, d.SoC = nil, result.Host{}, "", nil, nil, 0, "", "", ""
	var b bytes.Buffer
	if err := result.Write(&b, []*result.Document{d}); err != nil {
		return "", err
	}
	return b.String(), nil
}

// neighbours gives other values for a setting, those first that are valid most often. A list of words gets one of them.
func neighbours(s conf.Setting, value string) []string {
	var out []string
	switch s.Kind {
	case conf.Bool:
		out = []string{"true", "false"}
	case conf.Enum:
		out = s.Values
	case conf.List:
		out = s.Item.Values
		for i := range out {
			out[i] = "[" + out[i] + "]"
		}
	case conf.Integer, conf.Quantity:
		out = numbers(s, value)
	}
	return slices.DeleteFunc(slices.Clone(out), func(x string) bool { return x == value })
}

// unitOf names the unit of a quantity that has no value yet.
var unitOf = map[string]string{"time": "us", "size": "B", "frequency": "Hz", "cycle count": "cycles", "rate": "cycles/B", "fraction": "%", "": ""}

// numbers gives neighbours of a number with a unit: twice and half as much, one more or less.
func numbers(s conf.Setting, value string) []string {
	digits := len(value) - len(strings.TrimLeft(value, "0123456789."))
	n, err := strconv.ParseFloat(value[:digits], 64)
	unit := value[digits:]
	if err != nil || n == 0 {
		unit, n = unitOf[s.What], 32
		if s.What == "" {
			n = 1
		}
		if s.Kind == conf.Quantity && value != "" && digits == 0 {
			return nil // no number: a window
		}
	}
	if unit == "%" {
		return []string{fmt.Sprint(n/2) + unit, fmt.Sprint(min(100, n*2)) + unit}
	}
	whole := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) + unit }
	return []string{whole(2 * n), whole(float64(int(n / 2))), whole(n + 1), whole(n - 1), whole(4 * n), whole(n)}
}

// instances lists the paths for which a setting's path with NAME and N stands in a scenario.
func instances(l *scenario.Loaded, pattern string) []string {
	names := map[string][]string{"faults": indices(len(l.Faults)), "clocks": indices(len(l.Clocks)), "script": indices(len(l.Script))}
	for _, b := range l.Buffers {
		names["buffers"] = append(names["buffers"], b.Name)
	}
	for _, s := range l.Stages {
		names["stages"] = append(names["stages"], s.Name)
		for _, in := range s.Inputs {
			at := "stages." + s.Name + ".inputs"
			names[at] = append(names[at], in.Buffer)
		}
	}
	for _, t := range l.Tasks {
		names["tasks"] = append(names["tasks"], t.Name)
	}
	out := []string{""}
	for step := range strings.SplitSeq(pattern, ".") {
		var next []string
		for _, path := range out {
			if step != "NAME" && step != "N" {
				next = append(next, strings.TrimPrefix(path+"."+step, "."))
				continue
			}
			for _, name := range names[path] {
				next = append(next, path+"."+name)
			}
		}
		out = next
	}
	return out
}

func indices(n int) []string {
	var out []string
	for i := range n {
		out = append(out, strconv.Itoa(i))
	}
	return out
}
