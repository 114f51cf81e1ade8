package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"socsim/internal/metric"
	"socsim/internal/strategy"
	"socsim/soc/flush"
)

// metricsOf finds a metric by its name or pattern, or else those whose names begin or end with a word.
func metricsOf(word string) []entry {
	var out []entry
	if m, ok := metric.Lookup(word); ok {
		out = append(out, func(w io.Writer) error { return printMetric(w, word, m) })
	}
	list := func(how string, is func(name string) bool) {
		found := slices.DeleteFunc(metric.All(), func(m metric.Info) bool { return !is(m.Name) })
		if len(found) > 0 && word != "" {
			out = append(out, func(w io.Writer) error { return printMetrics(w, how+" "+word, found) })
		}
	}
	list("begin with", func(name string) bool { return strings.HasPrefix(name, word+".") })
	if len(out) == 0 {
		list("end in", func(name string) bool { return strings.HasSuffix(name, "."+word) })
	}
	return out
}

func printMetrics(w io.Writer, which string, list []metric.Info) error {
	t := columns(w)
	fmt.Fprintf(t, "metrics that %s:\n\n", which)
	for _, m := range list {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", m.Name, m.Unit, sentence(m.Doc))
	}
	return t.Flush()
}

func printMetric(w io.Writer, word string, m metric.Info) error {
	t := columns(w)
	fmt.Fprintf(t, "metric %s\n", word)
	paragraph(t, m.Doc)
	fmt.Fprintf(t, "\n  unit\t%s\n  better\t%s\n  from\tsocsim %s\n", m.Unit, m.Better, m.From)
	if word != m.Name {
		fmt.Fprintf(t, "  one of\t%s\n", m.Name)
	}
	for _, step := range strings.FieldsFunc(m.Name, func(r rune) bool { return r == '.' || r == '_' }) {
		if what, ok := metric.Placeholders[step]; ok {
			fmt.Fprintf(t, "  %s\t%s\n", step, what)
		}
	}
	return t.Flush()
}

// strategies finds a strategy.
func strategies(word string) []entry {
	all := strategy.Registered()
	i := slices.IndexFunc(all, func(s flush.Info) bool { return s.Name == word })
	if i < 0 {
		return nil
	}
	return []entry{func(w io.Writer) error { return printStrategy(w, all[i]) }}
}

func printStrategy(w io.Writer, s flush.Info) error {
	t := columns(w)
	fmt.Fprintf(t, "strategy %s\n", s.Name)
	paragraph(t, s.Doc)
	fmt.Fprintln(t)
	if s.Shipped != "" {
		fmt.Fprintf(t, "  shipped in\t%s\n", s.Shipped)
	}
	fmt.Fprintf(t, "  source\t%s\n", s.Source)
	switch {
	case s.Baseline:
		fmt.Fprintln(t, "  all\tnot one of --strategy all: a baseline, hardware that is not there")
	case s.Yardstick:
		fmt.Fprintln(t, "  all\tone of --strategy all: a yardstick, which sees what no driver can")
	}
	var set []string
	for _, p := range s.Params {
		set = append(set, p.Name+"="+p.Default)
	}
	if len(set) > 0 {
		fmt.Fprintf(t, "  use\t--strategy '%s(%s)'\n", s.Name, strings.Join(set, ","))
	} else {
		fmt.Fprintf(t, "  use\t--strategy %s\n", s.Name)
	}
	for i, p := range s.Params {
		if i == 0 {
			fmt.Fprintln(t, "\n  parameter\ttype\tdefault\tmeaning")
		}
		kind := string(p.Type)
		if len(p.Choices) > 0 {
			kind = strings.Join(p.Choices, "|")
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", p.Name, kind, p.Default, p.Doc)
	}
	return t.Flush()
}
