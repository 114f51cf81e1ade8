package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"socsim/internal/metric"
)

const compareDoc = "../../docs/compare.md"

func TestTheComparisonInTheDocsIsWhatItPrints(t *testing.T) {
	args := []string{"compare", "camera-preview", "--strategy", "range,whole", "--set", "run.duration=300ms"}
	var stdout, stderr bytes.Buffer
	if code := mainCode(args, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, stderr.String())
	}
	want := "`socsim " + strings.Join(args, " ") + "` prints\n\n```\n" + stdout.String() + "```\n"
	text := readDoc(t, compareDoc)
	start, end := section(t, text, "<!-- example: compare -->")
	if text[start:end] == want {
		return
	}
	if *update {
		if err := os.WriteFile(compareDoc, []byte(text[:start]+want+text[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("docs/compare.md shows something else; run go test ./cmd/socsim -run Comparison -update and review the difference:\n%s", stdout.String())
}

func TestTheDocsDefineEveryCause(t *testing.T) {
	text := readDoc(t, compareDoc)
	for _, m := range metric.All() {
		name := m.Name
		if strings.HasPrefix(name, "dram.time.MASTER.") {
			name = strings.TrimPrefix(name, "dram.time.MASTER")
		} else if !strings.HasPrefix(name, "cpu.time.") && !strings.HasPrefix(name, "dram.time.") {
			continue
		}
		if !strings.Contains(text, name+"`") {
			t.Errorf("docs/compare.md does not define %s", m.Name)
		}
	}
}

func TestComparedDocumentsAreThoseOfTheRuns(t *testing.T) {
	dir := t.TempDir()
	sets := []string{"--set", "run.duration=70ms", "--set", "run.warmup=100ms"}
	output := func(args ...string) []byte {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := mainCode(args, &stdout, &stderr); code != exitOK {
			t.Fatalf("%v: exit code %d\n%s", args, code, stderr.String())
		}
		return stdout.Bytes()
	}
	file := filepath.Join(dir, "both.json")
	if err := os.WriteFile(file, output(append([]string{"run", "camera-preview", "--strategy", "range,whole", "--format", "json"}, sets...)...), 0o644); err != nil {
		t.Fatal(err)
	}
	var live, read map[string]any
	for _, c := range []struct {
		to   *map[string]any
		text []byte
	}{
		{&live, output(append([]string{"compare", "camera-preview", "--strategy", "range,whole", "--format", "json"}, sets...)...)},
		{&read, output("compare", file, "--strategy", "range,whole", "--format", "json")},
	} {
		if err := json.Unmarshal(c.text, c.to); err != nil {
			t.Fatal(err)
		}
	}
	delete(live, "settings") // a document does not know them
	delete(read, "settings")
	a, _ := json.Marshal(live)
	b, _ := json.Marshal(read)
	if !bytes.Equal(a, b) {
		t.Errorf("the comparison of documents differs from that of the runs:\n%s\n%s", a, b)
	}
}
