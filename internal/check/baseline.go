package check

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"socsim/internal/conf"
	"socsim/internal/result"
)

// BaselineSchema names the format of baselines.
const BaselineSchema = "socsim.baseline/v1"

// BaselineDir is the folder of baselines beside the scenarios.
const BaselineDir = "baselines"

// Baseline is what a scenario is known to measure under a strategy.
type Baseline struct {
	Schema       string                   `json:"schema"`
	Version      string                   `json:"version"`
	Source       string                   `json:"source"` // the scenario's file, in the folder above
	Scenario     string                   `json:"scenario"`
	SoC          string                   `json:"soc"`
	Strategy     string                   `json:"strategy"`
	Seed         uint64                   `json:"seed"`
	SimulatedPS  int64                    `json:"simulated_ps"`
	ConfigSHA256 string                   `json:"config_sha256"`
	DetailSHA256 string                   `json:"detail_sha256"` // of violations and events with all their times and places
	Violations   []string                 `json:"violations"`    // what went wrong and who did it, without times, places and counts
	Metrics      map[string]result.Metric `json:"metrics"`

	lines map[string]int // of each metric in the file
}

// newBaseline makes a baseline of a result; source is the base name of the scenario's file.
func newBaseline(d *result.Document, source string) *Baseline {
	return &Baseline{
		Schema: BaselineSchema, Version: d.Version, Source: source, Scenario: d.Scenario, SoC: d.SoC, Strategy: d.Strategy, Seed: d.Seed, SimulatedPS: d.SimulatedPS,
		ConfigSHA256: d.ConfigSHA256, DetailSHA256: detail(d), Violations: violations(d), Metrics: d.Metrics,
	}
}

// detail is the digest of a document's violations and events.
func detail(d *result.Document) string {
	data, err := json.Marshal(struct {
		Events     []result.Event
		Violations []result.Violation
	}{slices.Concat([]result.Event{}, d.Events), slices.Concat([]result.Violation{}, d.Violations)}) // an empty list and none are one thing
	if err != nil {
		panic(fmt.Sprintf("check: violations that are no JSON: %v", err))
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// violations names what went wrong in a run, each kind once, sorted.
func violations(d *result.Document) []string {
	seen := map[string]bool{}
	for _, v := range d.Violations {
		text := v.Kind
		if v.Buffer != "" {
			text += " of " + v.Buffer
		}
		if v.Writer != "" {
			text += ", written by " + v.Writer
		}
		if v.Reader != "" {
			text += ", used by " + v.Reader
		}
		if v.Missing != "" {
			text += ", missing: " + v.Missing
		}
		seen[text] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// encode prints a baseline: a line a setting, a violation and a metric.
func (b *Baseline) encode() []byte {
	var out bytes.Buffer
	text := func(v any) string {
		var s bytes.Buffer
		enc := json.NewEncoder(&s)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			panic(fmt.Sprintf("check: baseline of %s: %v", b.Scenario, err))
		}
		return strings.TrimSpace(s.String())
	}
	out.WriteString("{\n")
	for _, f := range []struct {
		key   string
		value any
	}{
		{"schema", b.Schema},
		{"version", b.Version},
		{"source", b.Source},
		{"scenario", b.Scenario},
		{"soc", b.SoC},
		{"strategy", b.Strategy},
		{"seed", b.Seed},
		{"simulated_ps", b.SimulatedPS},
		{"config_sha256", b.ConfigSHA256},
		{"detail_sha256", b.DetailSHA256},
	} {
		fmt.Fprintf(&out, "  %q: %s,\n", f.key, text(f.value))
	}
	out.WriteString(`  "violations": [`)
	for i, v := range b.Violations {
		fmt.Fprintf(&out, "%s\n    %s", separator(i), text(v))
	}
	if len(b.Violations) > 0 {
		out.WriteString("\n  ")
	}
	out.WriteString("],\n  \"metrics\": {")
	for i, name := range slices.Sorted(maps.Keys(b.Metrics)) {
		m := b.Metrics[name]
		fmt.Fprintf(&out, "%s\n    %s: {\"value\": %v, \"unit\": %s}", separator(i), text(name), m.Value, text(m.Unit))
	}
	out.WriteString("\n  }\n}\n")
	return out.Bytes()
}

func separator(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// PlaceError is a mistake at a place of a file.
type PlaceError struct {
	File      string
	Line, Col int
	Msg       string
}

func (e *PlaceError) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg) }

// decodeBaseline reads a baseline strictly: a file that was cut off, edited by hand into something else or left with a merge conflict is an error of type PlaceError.
func decodeBaseline(name string, data []byte) (*Baseline, error) {
	fail := func(offset int64, format string, args ...any) error {
		line, col := place(data, offset)
		return &PlaceError{name, line, col, fmt.Sprintf(format, args...) + "; socsim check --update writes it anew"}
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if bytes.HasPrefix(line, []byte("<<<<<<< ")) {
			return nil, &PlaceError{name, i + 1, 1, "the baseline holds a merge conflict; socsim check --update writes it anew"}
		}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	b := &Baseline{}
	if err := dec.Decode(b); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			return nil, fail(syntax.Offset-1, "the baseline is no JSON: %v", err)
		case errors.As(err, &kind):
			return nil, fail(kind.Offset-1, "the baseline is wrong: %v", err)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fail(int64(len(data)), "the baseline ends too early")
		}
		return nil, fail(dec.InputOffset(), "the baseline is wrong: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fail(dec.InputOffset(), "something follows the baseline")
	}
	if b.Schema != BaselineSchema {
		return nil, fail(int64(max(0, bytes.Index(data, []byte(`"schema"`)))), "schema %q, want %q", b.Schema, BaselineSchema)
	}
	if len(b.Metrics) == 0 {
		return nil, fail(0, "the baseline has no metrics")
	}
	b.lines = map[string]int{}
	for i, line := range strings.Split(string(data), "\n") {
		quoted, err := strconv.QuotedPrefix(strings.TrimSpace(line))
		if err != nil {
			continue
		}
		if key, err := strconv.Unquote(quoted); err == nil {
			b.lines[key] = i + 1
		}
	}
	return b, nil
}

// place returns the line and column of an offset, both from 1.
func place(data []byte, offset int64) (line, col int) {
	before := data[:min(max(offset, 0), int64(len(data)))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// Place is where a mistake is.
type Place struct {
	File string
	Line int
}

// Places lists the places of files that an error names.
func Places(err error) []Place {
	var out []Place
	var placed *PlaceError
	var many conf.Errors
	var single *conf.Error
	switch {
	case errors.As(err, &many):
		for _, e := range many {
			if e.Line > 0 {
				out = append(out, Place{e.File, e.Line})
			}
		}
	case errors.As(err, &single) && single.Line > 0:
		out = append(out, Place{single.File, single.Line})
	case errors.As(err, &placed):
		out = append(out, Place{placed.File, placed.Line})
	}
	return out
}
