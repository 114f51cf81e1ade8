package run

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"socsim/internal/result"
)

// misuseTable is a row for each kind of violation and note, with what tells them apart.
func misuseTable(prefix string, d *result.Document) []string {
	var rows []string
	count := map[string]int{}
	add := func(kind, who, what string, n int) {
		row := fmt.Sprintf("| %s`%s` | %s | %%d | %s |\n", prefix, kind, who, what)
		if count[row] == 0 {
			rows = append(rows, row)
		}
		count[row] += n
	}
	for _, v := range d.Violations {
		what := v.Where
		if v.Bytes > 0 {
			what = "missing: " + v.Missing
		}
		add(v.Kind, v.Reader, what, v.Count)
	}
	for _, e := range d.Events {
		add(e.Kind, e.Device, e.Where, e.Count)
	}
	for i, row := range rows {
		rows[i] = fmt.Sprintf(row, count[row])
	}
	return rows
}

func TestTheTableOfHarmlessReportsIsWhatTheSimulatorSays(t *testing.T) {
	var b strings.Builder
	b.WriteString("| scenario | exporter | report | by | times | what |\n|---|---|---|---|---|---|\n")
	for _, s := range []struct{ name, set, exporter string }{
		{"camera-preview", "preview", "vb2-sg"},
		{"camera-preview", "preview", "system-heap"},
		{"cpu-filter", "frames", "vb2-sg"},
		{"cpu-filter", "frames", "system-heap"},
		{"zero-copy", "video", "vb2-contig"},
	} {
		d := under(t, load(t, s.name, "run.duration=200ms", "run.dma_debug=true", "buffers."+s.set+".exporter="+s.exporter), "range")[0]
		rows := misuseTable(s.name+" | "+s.exporter+" | ", d)
		if len(rows) == 0 {
			rows = []string{"| " + s.name + " | " + s.exporter + " | nothing | | | |\n"}
		}
		b.WriteString(strings.Join(rows, ""))
		if n := value(d, "coherency.violations") - value(d, "coherency.others"); n != 0 {
			t.Errorf("%s with %s: %d violations of data", s.name, s.exporter, n)
		}
	}
	table(t, "../../docs/sharing.md", "<!-- table: dma_debug -->", b.String())
}

func TestTheTableOfTheScriptsExampleIsWhatTheSimulatorSays(t *testing.T) {
	data, err := os.ReadFile("../../docs/sharing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "<!-- example: script -->\n```yaml\n")
	text, _, ended := strings.Cut(rest, "```")
	if !ok || !ended {
		t.Fatal("docs/sharing.md has no example of a script")
	}
	d := under(t, written(t, text), "range")[0]
	rows := misuseTable("", d)
	if !slices.ContainsFunc(rows, func(r string) bool { return strings.Contains(r, "stale_cpu_read") }) || kinds(d)["cpu_access_owned"] != 2 {
		t.Errorf("the example shows something else than is said of it: %v", rows)
	}
	table(t, "../../docs/sharing.md", "<!-- table: script -->", "| report | by | times | what |\n|---|---|---|---|\n"+strings.Join(rows, ""))
}
