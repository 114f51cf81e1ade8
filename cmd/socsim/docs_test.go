package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"socsim/internal/strategy"
)

const strategiesDoc = "../../docs/strategies.md"

func readDoc(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// example returns the code between a marker and its end, of twenty lines at most.
func example(t *testing.T, language string) string {
	t.Helper()
	text := readDoc(t, strategiesDoc)
	start, end := section(t, text, "<!-- example: "+language+" -->")
	code, begins := strings.CutPrefix(text[start:end], "```"+language+"\n")
	code, ends := strings.CutSuffix(code, "```\n")
	if !begins || !ends {
		t.Fatalf("the %s example is not one block of code", language)
	}
	if n := strings.Count(code, "\n"); n > 20 {
		t.Errorf("the %s example has %d lines, want at most twenty", language, n)
	}
	return code
}

func TestTheRuleTableOfTheDocsRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cautious.yaml")
	if err := os.WriteFile(file, []byte(example(t, "yaml")), 0o644); err != nil {
		t.Fatal(err)
	}
	for list, want := range map[string]string{"": "@cautious,1,maintenance.calls.range,0,calls", "(from=2MiB)": "@cautious(from=2MiB),1,maintenance.calls.whole,0,calls"} {
		var stdout, stderr bytes.Buffer
		args := []string{"run", "camera-preview", "--strategy", "@" + file + list, "--set", "run.duration=60ms", "--set", "run.warmup=100ms", "--format", "csv"}
		if code := mainCode(args, &stdout, &stderr); code != exitOK {
			t.Fatalf("exit code %d\n%s", code, stderr.String())
		}
		if !strings.Contains(stdout.String(), ","+want+"\n") {
			t.Errorf("%s: no %s in\n%s", list, want, stdout.String())
		}
	}
}

func TestTheGoExampleOfTheDocsIsTheOneThatIsTested(t *testing.T) {
	tested := readDoc(t, "../../soc/flush/example_test.go")
	if !strings.Contains(tested, "// begin\n\n"+example(t, "go")+"\n// end\n") {
		t.Error("docs/strategies.md and soc/flush/example_test.go have different examples")
	}
}

func TestTheDocsListEveryStrategy(t *testing.T) {
	var b strings.Builder
	b.WriteString("| strategy | what it does | parameters | shipped in | source |\n|---|---|---|---|---|\n")
	for _, s := range strategy.Registered() {
		var params []string
		for _, p := range s.Params {
			params = append(params, fmt.Sprintf("`%s=%s`: %s", p.Name, p.Default, p.Doc))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Doc, strings.Join(params, " "), s.Shipped, s.Source)
	}
	text := readDoc(t, strategiesDoc)
	start, end := section(t, text, "<!-- strategies -->")
	if text[start:end] == b.String() {
		return
	}
	if *update {
		if err := os.WriteFile(strategiesDoc, []byte(text[:start]+b.String()+text[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("docs/strategies.md lists other strategies; run go test ./cmd/socsim -update and review the difference")
}
