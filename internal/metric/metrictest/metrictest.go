// Package metrictest holds commands to the registry of metrics.
package metrictest

import (
	"strings"
	"testing"

	"socsim/internal/metric"
	"socsim/internal/result"
)

// Agrees fails if a document has a metric that the registry does not have for the command, with that unit; or if the registry has one for the command that no document has. Of those, excused lists
// the ones that need not occur, each with its reason.
func Agrees(t *testing.T, from metric.Command, excused map[string]string, docs ...*result.Document) {
	t.Helper()
	emitted := map[string]bool{}
	for _, d := range docs {
		for n, m := range d.Metrics {
			if err := metric.Check(from, n, m.Unit); err != nil {
				t.Errorf("%s, %s: %v", d.Scenario, d.Strategy, err)
			}
			info, _ := metric.Lookup(n)
			emitted[info.Name] = true
		}
	}
	for _, m := range metric.All() {
		_, isExcused := excused[m.Name]
		switch {
		case m.From != from:
		case !emitted[m.Name] && !isExcused:
			t.Errorf("%s is in the registry, and no document has it", m.Name)
		case emitted[m.Name] && isExcused:
			t.Errorf("%s is in a document, and excused as if it were not", m.Name)
		}
	}
	for n, why := range excused {
		if m, ok := metric.Lookup(n); !ok || m.Name != n || !strings.Contains(why, " ") {
			t.Errorf("%s is excused and is no metric, or has no reason", n)
		}
	}
}
