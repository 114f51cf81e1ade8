package compare

import (
	"fmt"
	"strings"

	"socsim/internal/result"
)

// Pair is two documents to compare.
type Pair struct{ A, B *result.Document }

// Pairs matches the documents of two files. One on each side is a pair whatever they are. Otherwise those of the same scenario and strategy belong together, each once and in the order of a; what is
// left over is named in rest. It is an error if none match.
func Pairs(a, b []*result.Document) (pairs []Pair, rest []string, err error) {
	if len(a) == 1 && len(b) == 1 {
		return []Pair{{a[0], b[0]}}, nil, nil
	}
	used := map[*result.Document]bool{}
	for _, x := range a {
		found := false
		for _, y := range b {
			if !found && !used[y] && x.Scenario == y.Scenario && x.Strategy == y.Strategy {
				found, used[y] = true, true
				pairs = append(pairs, Pair{x, y})
			}
		}
		if !found {
			rest = append(rest, label(x)+" (A)")
		}
	}
	for _, y := range b {
		if !used[y] {
			rest = append(rest, label(y)+" (B)")
		}
	}
	if pairs == nil {
		return nil, nil, fmt.Errorf("no two documents are of the same scenario and strategy: %s; choose with --strategy", strings.Join(rest, ", "))
	}
	return pairs, rest, nil
}

func label(d *result.Document) string { return d.Scenario + " " + d.Strategy }

// Select returns the documents of a strategy.
func Select(docs []*result.Document, strategy string) ([]*result.Document, error) {
	var list []*result.Document
	var have []string
	for _, d := range docs {
		if d.Strategy == strategy {
			list = append(list, d)
		}
		have = append(have, label(d))
	}
	if list == nil {
		return nil, fmt.Errorf("no document of strategy %q; there are %s", strategy, strings.Join(have, ", "))
	}
	return list, nil
}
