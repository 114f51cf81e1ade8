package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"socsim/internal/check"
	"socsim/internal/conf"
)

const ciDoc = "../../docs/ci.md"

func TestTheRulesOfTheDocsLoad(t *testing.T) {
	text := readDoc(t, ciDoc)
	start, end := section(t, text, "<!-- example: check.yaml -->")
	code := strings.TrimSuffix(strings.TrimPrefix(text[start:end], "```yaml\n"), "```\n")
	r, err := check.LoadRules(conf.Source{Name: "check.yaml", Data: []byte(code)})
	if err != nil || r.Strategies != "range,whole" {
		t.Errorf("strategies %v, error %v", r, err)
	}
}

func TestTheFailureInTheDocsIsWhatCheckPrints(t *testing.T) {
	text := readDoc(t, ciDoc)
	_, command, _ := strings.Cut(text, "<!-- output: ")
	command, _, _ = strings.Cut(command, " -->")
	start, end := section(t, text, "<!-- output: "+command+" -->")
	t.Chdir("../..")
	var stdout, stderr bytes.Buffer
	if code := mainCode(strings.Fields(command), &stdout, &stderr); code != exitFailed {
		t.Fatalf("exit code %d, want %d\n%s%s", code, exitFailed, stdout.String(), stderr.String())
	}
	want := "```\n" + stdout.String() + "```\n"
	if text[start:end] == want {
		return
	}
	if *update {
		if err := os.WriteFile("docs/ci.md", []byte(text[:start]+want+text[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("docs/ci.md shows another failure; run go test ./cmd/socsim -update and review the difference. socsim prints:\n%s", stdout.String())
}
