// Package result is the result document: what a run found, in the form that other programs rely on.
package result

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// Schema names the document's format.
const Schema = "socsim.result/v1"

// Version is the release version of socsim.
const Version = "0.1.0"

// Metric is one figure with its unit. A figure is a whole number or a fraction rounded so that it prints the same everywhere.
type Metric struct {
	Unit  string `json:"unit"`
	Value Number `json:"value"`
}

// Number is a metric's value: an integer, or a decimal with a fixed number of digits.
type Number struct {
	Int    int64
	Digits int // after the point
}

// Int returns a whole number.
func Int(n int64) Number { return Number{Int: n} }

// Ratio returns num / den rounded half up to digits decimals, computed in integers so that no platform prints another digit. num and den must not be negative, den not 0.
func Ratio(num, den int64, digits int) Number {
	q, r := num/den, num%den
	scaled := q
	for range digits {
		scaled *= 10
		// r < den; r*10 may overflow only beyond 9.2e17, where both are scaled down first.
		for r > (1<<63-1)/10 {
			r, den = r/2, den/2
		}
		r *= 10
		scaled += r / den
		r %= den
	}
	if r >= den-r {
		scaled++
	}
	return Number{Int: scaled, Digits: digits}
}

// Float returns the value as a float, for comparison and tables.
func (n Number) Float() float64 {
	f := float64(n.Int)
	for range n.Digits {
		f /= 10
	}
	return f
}

func (n Number) String() string {
	if n.Digits == 0 {
		return fmt.Sprint(n.Int)
	}
	sign := ""
	i := n.Int
	if i < 0 {
		sign, i = "-", -i
	}
	div := int64(1)
	for range n.Digits {
		div *= 10
	}
	s := fmt.Sprintf("%s%d.%0*d", sign, i/div, n.Digits, i%div)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}

// MarshalJSON prints the number without an exponent.
func (n Number) MarshalJSON() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalJSON reads a number printed by MarshalJSON.
func (n *Number) UnmarshalJSON(b []byte) error {
	s := string(b)
	*n = Number{}
	whole, frac, _ := bytes.Cut(b, []byte("."))
	n.Digits = len(frac)
	i, err := strconv.ParseInt(string(whole)+string(frac), 10, 64)
	if err != nil {
		return fmt.Errorf("number %q: want a decimal without an exponent, of 18 digits at most", s)
	}
	n.Int = i
	return nil
}

// Violation is a group of equal coherency errors. Of wrong use of buffers or of the DMA API, Bytes is 0, Reader is the device or who it was, WrittenPS is when what was used died or was made, or
// changed hands last.
type Violation struct {
	Buffer    string `json:"buffer"`
	Bytes     int64  `json:"bytes"`
	Count     int    `json:"count"`
	Index     int    `json:"index"`
	Kind      string `json:"kind"`
	Missing   string `json:"missing"`
	Offset    int64  `json:"offset"`
	ReadPS    int64  `json:"read_ps"`
	Reader    string `json:"reader"`
	Warmup    bool   `json:"warmup"`
	Where     string `json:"where"`
	Writer    string `json:"writer"`
	WrittenPS int64  `json:"written_ps"`
}

// Event is a moment at which hardware failed its deadline or stopped: a port of the camera that overflowed, a display pipeline that ran dry, an IOMMU's fault. Two kinds are software's: two devices
// that share ownership of a buffer, and a step of a script that failed. Kinds that begin with injected_ are the scenario's own faults; Waited is then the time until one took effect or was found.
// Those of one kind that follow each other in one frame of one port are folded; Waited is then the longest, and At, Holder and Address are those of the first.
type Event struct {
	Address  string `json:"address,omitempty"` // of a fault
	AtPS     int64  `json:"at_ps"`
	Count    int    `json:"count"`
	Device   string `json:"device"`
	Frame    *int   `json:"frame,omitempty"`
	Holder   string `json:"holder,omitempty"` // the master that was served just before: the one to blame
	Kind     string `json:"kind"`
	WaitedPS int64  `json:"waited_ps"`
	Where    string `json:"where,omitempty"` // port, pipeline or what it was
}

// Expectation is a judged `expect` line.
type Expectation struct {
	Expr  string  `json:"expr"`
	OK    bool    `json:"ok"`
	Value *Number `json:"value"` // null if the run has no such metric
}

// Host is what depends on the machine: the only part that differs from run to run.
type Host struct {
	AccessesPerS uint64 `json:"accesses_per_s,omitempty"` // of a replay
	Events       uint64 `json:"events"`
	WallNS       int64  `json:"wall_ns"`
}

// Illustrative labels the result of a chip that only stands for its kind: how many of the values that its preset set, and that are in force, are estimates.
type Illustrative struct {
	Estimated int    `json:"estimated"`
	Preset    string `json:"preset"`
	Values    int    `json:"values"`
}

// String is the label, a sentence.
func (i Illustrative) String() string {
	return fmt.Sprintf("%s is an illustrative preset: %d of %d values are estimated", i.Preset, i.Estimated, i.Values)
}

// Document is the result of one run. The fields stand in the order of their keys.
type Document struct {
	ConfigSHA256 string            `json:"config_sha256"`
	Estimated    []string          `json:"estimated"`
	Events       []Event           `json:"events,omitempty"`
	Expect       []Expectation     `json:"expect"`
	Host         Host              `json:"host"`
	Illustrative *Illustrative     `json:"illustrative,omitempty"`
	Metrics      map[string]Metric `json:"metrics"`
	Scenario     string            `json:"scenario"`
	Schema       string            `json:"schema"`
	Seed         uint64            `json:"seed"`
	SimulatedPS  int64             `json:"simulated_ps"`
	SoC          string            `json:"soc"`
	Strategy     string            `json:"strategy"`
	Unread       []string          `json:"unread,omitempty"` // settings that the scenario's author changed to no effect, sorted
	Version      string            `json:"version"`
	Violations   []Violation       `json:"violations"`
}

// Set adds a metric.
func (d *Document) Set(name, unit string, v Number) {
	if d.Metrics == nil {
		d.Metrics = map[string]Metric{}
	}
	d.Metrics[name] = Metric{Unit: unit, Value: v}
}

// Write prints the documents as JSON: one object, or an array where several were asked for.
func Write(w io.Writer, docs []*Document) error {
	var v any = docs
	if len(docs) == 1 {
		v = docs[0]
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing result: %w", err)
	}
	return nil
}
