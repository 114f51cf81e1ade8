package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the output in README.md")

const readme = "../../README.md"

// section returns what stands between a marker and the next end marker, and its place.
func section(t *testing.T, text, marker string) (start, end int) {
	t.Helper()
	start = strings.Index(text, marker+"\n")
	if start < 0 {
		t.Fatalf("README.md has no %s", marker)
	}
	start += len(marker) + 1
	n := strings.Index(text[start:], "<!-- end -->")
	if n < 0 {
		t.Fatalf("README.md: %s does not end", marker)
	}
	return start, start + n
}

func readReadme(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEveryCommandOfTheTourRuns(t *testing.T) {
	text := readReadme(t)
	t.Chdir("../..") // where the tour is taken
	start, end := section(t, text, "<!-- tour -->")
	commands := 0
	for _, line := range strings.Split(text[start:end], "\n") {
		command, ok := strings.CutPrefix(line, "    socsim ")
		if !ok {
			continue
		}
		commands++
		want := exitOK
		if c, ok := strings.CutSuffix(command, " # exits 1"); ok {
			command, want = c, exitFailed
		}
		t.Run(command, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := mainCode(strings.Fields(command), &stdout, &stderr); code != want {
				t.Errorf("exit code %d, want %d\n%s", code, want, stderr.String())
			}
			if stdout.Len() == 0 {
				t.Error("printed nothing")
			}
		})
	}
	if commands < 10 {
		t.Errorf("the tour has %d commands, want at least 10: is the marker right?", commands)
	}
}

func TestTheTableInTheReadmeIsWhatMakeRunPrints(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := mainCode([]string{"run", "camera-preview", "--strategy", "all", "--quiet"}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, stderr.String())
	}
	want := "```\n" + stdout.String() + "```\n"
	text := readReadme(t)
	start, end := section(t, text, "<!-- output: make run -->")
	if text[start:end] == want {
		return
	}
	if *update {
		if err := os.WriteFile(readme, []byte(text[:start]+want+text[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("README.md shows another table; run go test ./cmd/socsim -update and review the difference. socsim prints:\n%s", stdout.String())
}
