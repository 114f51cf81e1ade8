package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

const modelDoc = "../../docs/model.md"

func TestTheDocsShowWhatAnAccessCosts(t *testing.T) {
	text := readDoc(t, modelDoc)
	markers := regexp.MustCompile(`<!-- access: (.*) -->`).FindAllStringSubmatch(text, -1)
	if len(markers) < 4 {
		t.Fatalf("%d accesses in docs/model.md", len(markers))
	}
	updated := text
	for _, m := range markers {
		var stdout, stderr bytes.Buffer
		if code := mainCode(append([]string{"explain", "access"}, strings.Fields(m[1])...), &stdout, &stderr); code != exitOK {
			t.Fatalf("%s: exit code %d\n%s", m[1], code, stderr.String())
		}
		want := "```\n$ socsim explain access " + m[1] + "\n" + stdout.String() + "```\n"
		start, end := section(t, updated, m[0])
		if updated[start:end] != want && !*update {
			t.Errorf("docs/model.md shows something else for %s; run go test ./cmd/socsim -update and review the difference:\n%s", m[1], want)
		}
		updated = updated[:start] + want + updated[end:]
	}
	if *update && updated != text {
		if err := os.WriteFile(modelDoc, []byte(updated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
