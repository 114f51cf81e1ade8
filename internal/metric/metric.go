// Package metric is the registry of metrics: the name, unit, meaning and good direction of every figure in a result document. What emits metrics is tested against it.
//
// Sources: the definitions of the stable core are those that results promise; those of the other metrics are what the counters count.
package metric

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"socsim/internal/conf"
)

// Direction says which of two values of a metric is the better one, all else being equal.
type Direction uint8

// The directions.
const (
	Neither Direction = iota
	Lower
	Higher
)

func (d Direction) String() string {
	switch d {
	case Lower:
		return "lower is better"
	case Higher:
		return "higher is better"
	}
	return "neither is better"
}

// Command is the command whose documents have a metric.
type Command string

// The commands that make documents.
const (
	Run         Command = "run"
	CacheReplay Command = "cache replay"
	DRAMReplay  Command = "dram replay"
	Calibrate   Command = "calibrate"
)

// Info describes a metric, or a family of them: a word in upper case in Name stands for what differs ("dram.bytes_read.MASTER").
type Info struct {
	Name   string
	Unit   string
	Doc    string
	Better Direction
	From   Command
}

// Placeholders are the words in upper case that stand in names, with what they stand for.
var Placeholders = map[string]string{
	"NAME":      "a stage or task, by its name",
	"MASTER":    "a master of the bus: cpu, or the stage or device of a script, by its name",
	"DEVICE":    "a stage or device of a script that is behind an IOMMU, by its name",
	"LEVEL":     "a cache: l1, l1i, l1d, l2, l3, llc (the third level of a chip) or system (the one in front of the memory)",
	"KIND":      "a kind of fault: sensor_glitch, dropped_interrupt, iommu_fault, late_consumer or memory_pressure",
	"SIZE":      "a size, such as 4KiB",
	"DIRECTION": "TO_DEVICE, FROM_DEVICE or BIDIRECTIONAL",
}

// All returns the registry, sorted by name.
func All() []Info { return slices.Clone(sorted) }

// Lookup returns what is known of a metric by its name in a document ("dram.bytes_read.camera") or as the registry writes it.
func Lookup(name string) (Info, bool) {
	if i, ok := exact[name]; ok {
		return sorted[i], true
	}
	for _, m := range sorted {
		if matches(m.Name, name) {
			return m, true
		}
	}
	return Info{}, false
}

// Check says what is wrong with a metric of a document: that the registry does not have it, or has it with another unit or from another command.
func Check(from Command, name, unit string) error {
	m, ok := Lookup(name)
	switch {
	case !ok:
		return fmt.Errorf("metric %s: not in the registry", name)
	case m.Unit != unit:
		return fmt.Errorf("metric %s: unit %s, the registry says %s", name, unit, m.Unit)
	case m.From != from:
		return fmt.Errorf("metric %s: emitted by %s, the registry says %s", name, from, m.From)
	}
	return nil
}

// Nearest returns the metric that name most likely misspells, "" if none is close. What stands in the place of a placeholder is kept.
func Nearest(name string) string {
	var names []string
	for _, m := range sorted {
		names = append(names, filled(m.Name, name))
	}
	return conf.Nearest(name, names)
}

var (
	sorted = registry()
	exact  = func() map[string]int {
		index := map[string]int{}
		for i, m := range sorted {
			index[m.Name] = i
		}
		return index
	}()
)

func registry() []Info {
	all := slices.Concat(runMetrics, causeMetrics, cacheReplayMetrics, dramReplayMetrics, calibrateMetrics())
	slices.SortFunc(all, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// placeholder splits a step of a pattern into what stands before its placeholder, and the placeholder, "" if there is none.
func placeholder(step string) (before, word string) {
	i := strings.LastIndexByte(step, '_') + 1
	if Placeholders[step[i:]] == "" {
		return step, ""
	}
	return step[:i], step[i:]
}

// matches reports whether a name is one of the pattern's, step by step.
func matches(pattern, name string) bool {
	if strings.Count(pattern, ".") != strings.Count(name, ".") {
		return false
	}
	for name != "" || pattern != "" {
		var p, n string
		p, pattern, _ = strings.Cut(pattern, ".")
		n, name, _ = strings.Cut(name, ".")
		before, word := placeholder(p)
		value, ok := strings.CutPrefix(n, before)
		if !ok || !stands(word, value) {
			return false
		}
	}
	return true
}

// stands reports whether a value may take a placeholder's place.
func stands(word, value string) bool {
	switch word {
	case "":
		return value == ""
	case "LEVEL":
		return slices.Contains([]string{"l1", "l1i", "l1d", "l2", "l3", "llc", "system"}, value)
	case "KIND":
		return slices.Contains([]string{"sensor_glitch", "dropped_interrupt", "iommu_fault", "late_consumer", "memory_pressure"}, value)
	case "DIRECTION":
		return slices.Contains([]string{"TO_DEVICE", "FROM_DEVICE", "BIDIRECTIONAL"}, value)
	case "SIZE":
		digits := strings.TrimLeft(value, "0123456789")
		return digits != value && slices.Contains([]string{"B", "KiB", "MiB", "GiB"}, digits)
	}
	return value != ""
}

// filled puts the steps of a name where a pattern has placeholders.
func filled(pattern, name string) string {
	steps, given := strings.Split(pattern, "."), strings.Split(name, ".")
	for i, step := range steps {
		if _, word := placeholder(step); word != "" && i < len(given) && stands(word, given[i]) {
			steps[i] = given[i]
		}
	}
	return strings.Join(steps, ".")
}
