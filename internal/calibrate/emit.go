package calibrate

import (
	"fmt"
	"strings"

	"socsim/soc/flush"
)

// Formats are what Emit writes.
var Formats = []string{"yaml", "c"}

// Emit writes the thresholds in force as a file of their own: a rule table for --strategy @FILE, or a C header.
func (r *Report) Emit(format string) (string, error) {
	switch format {
	case "yaml":
		return r.YAML(), nil
	case "c":
		return r.Header(), nil
	}
	return "", fmt.Errorf("unknown format %q to emit; there are %s", format, strings.Join(Formats, " and "))
}

func (r *Report) source() string { return "socsim calibrate " + r.Chip.Name + ", " + r.Strategy }

// YAML is a rule table that decides as the strategy did.
func (r *Report) YAML() string {
	var params, rules strings.Builder
	for _, d := range Directions {
		inner, outer := r.Chosen.Threshold(d, false), r.Chosen.Threshold(d, true)
		name := strings.ToLower(d.String())
		param := func(name string, t flush.Threshold, what string) {
			if t != flush.Never {
				fmt.Fprintf(&params, "  %s: {type: size, default: %dB, doc: \"From how many bytes on %s is treated as a whole for %v.\"}\n", name, int64(t), what, d)
			}
		}
		rule := func(size, extents string) {
			fmt.Fprintf(&rules, "  - {on: [for-device, for-cpu], direction: [%v], size: {at_least: %s}, do: profile, %s}\n", d, size, extents)
		}
		param(name, inner, "the cache")
		param("outer_"+name, outer, "the outer cache")
		switch {
		case !r.Chosen.HasOuter && inner != flush.Never:
			rule(name, "extent: whole")
			continue
		case inner != flush.Never && outer != flush.Never:
			rule(fmt.Sprintf("\"max(%s, outer_%s)\"", name, name), "extent: whole, outer: whole")
		}
		if inner != flush.Never {
			rule(name, "extent: whole, outer: range")
		}
		if outer != flush.Never {
			rule("outer_"+name, "outer: whole")
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# What %s found on %s.\napiVersion: socsim/v1\nname: %s\n", r.Strategy, r.Chip.Name, tableName(r.Chip.Name))
	fmt.Fprintf(&b, "doc: By range below the sizes that were measured on %s, and the whole cache from there on.\nsource: \"%s\"\n", r.Chip.Name, r.source())
	if params.Len() > 0 {
		fmt.Fprintf(&b, "parameters:\n%s", params.String())
	}
	fmt.Fprintf(&b, "default: range\nrules:\n%s", rules.String())
	if rules.Len() == 0 {
		b.WriteString("  - {on: [for-device, for-cpu], do: profile} # nowhere did the whole cache pay\n")
	}
	return b.String()
}

// tableName names a table after a chip.
func tableName(chip string) string { return "calibrated-" + strings.ToLower(chip) }

// Header is a C header with the thresholds, in bytes.
func (r *Report) Header() string {
	var b strings.Builder
	fmt.Fprintf(&b, "/* Made by %s. */\n#ifndef SOC_FLUSH_THRESHOLD_H\n#define SOC_FLUSH_THRESHOLD_H\n\n", r.source())
	b.WriteString("/* From how many bytes on the whole cache is cleaned and invalidated instead of the range: len >= SOC_FLUSH_THRESHOLD_... */\n#define SOC_FLUSH_THRESHOLD_NEVER (~0UL)\n")
	for _, cache := range caches(&r.Chosen) {
		prefix := "SOC_FLUSH_THRESHOLD_"
		if cache != "" {
			b.WriteString("\n/* The same for the outer cache. */\n")
			prefix += "OUTER_"
		}
		for _, d := range Directions {
			fmt.Fprintf(&b, "#define %s%v %s\n", prefix, d, literal(r.Chosen.Threshold(d, cache == "outer")))
		}
	}
	b.WriteString("\n#endif\n")
	return b.String()
}

func literal(t flush.Threshold) string {
	if t == flush.Never {
		return "SOC_FLUSH_THRESHOLD_NEVER"
	}
	return fmt.Sprintf("%dUL", int64(t))
}

// Markdown is the table of docs/calibration.md: where the whole cache overtakes the range.
func Markdown(rows []Row, cache string) string {
	var b strings.Builder
	b.WriteString("| working set beside it |")
	for _, d := range Directions {
		fmt.Fprintf(&b, " %v, by operation time | end to end |", d)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", 2*len(Directions)) + "\n")
	for i := range rows {
		fmt.Fprintf(&b, "| %v |", rows[i].WorkingSet)
		for _, d := range Directions {
			x := crossing(&rows[i].Outcome, cache, d)
			fmt.Fprintf(&b, " %v | %v |", x.Operation, x.EndToEnd)
		}
		b.WriteString("\n")
	}
	return b.String()
}
