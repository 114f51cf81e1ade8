package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const scenarioDoc = "../../docs/scenario.md"

// docBlock is a block of code of the docs: its language, its text, and where that lies.
type docBlock struct {
	language, text string
	start, end     int
}

var fence = regexp.MustCompile("(?m)^```([a-z]*)\n((?s:.*?))^```\n")

// docSection is the text under a heading, and where it begins.
func docSection(t *testing.T, text, heading string) (string, int) {
	t.Helper()
	start := strings.Index(text, "\n## "+heading+"\n")
	if start < 0 {
		t.Fatalf("%s has no section %q", scenarioDoc, heading)
	}
	start += len("\n## " + heading + "\n")
	if end := strings.Index(text[start:], "\n## "); end >= 0 {
		return text[start : start+end+1], start
	}
	return text[start:], start
}

func docBlocks(text string, offset int) []docBlock {
	var list []docBlock
	for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
		list = append(list, docBlock{text[m[2]:m[3]], text[m[4]:m[5]], offset + m[4], offset + m[5]})
	}
	return list
}

var fileName1 = regexp.MustCompile(`^# (\S+\.yaml)\n`)

// writeBlock writes a YAML block to the file that its first line names, or to mine.yaml.
func writeBlock(t *testing.T, text string) {
	t.Helper()
	name := "mine.yaml"
	if m := fileName1.FindStringSubmatch(text); m != nil {
		name = m[1]
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTheMistakesOfTheDocsPrintWhatTheySay runs each command of the section on files and of that on mistakes, with the YAML block before it as mine.yaml, and compares what it prints.
func TestTheMistakesOfTheDocsPrintWhatTheySay(t *testing.T) {
	file, err := filepath.Abs(scenarioDoc)
	if err != nil {
		t.Fatal(err)
	}
	text := readDoc(t, scenarioDoc)
	t.Chdir(t.TempDir())
	var changed []docBlock
	commands := 0
	for _, heading := range []string{"Files, includes and parameters", "Mistakes and what they print"} {
		body, offset := docSection(t, text, heading)
		for _, b := range docBlocks(body, offset) {
			command, isCommand := strings.CutPrefix(b.text, "$ socsim ")
			switch {
			case b.language == "yaml":
				writeBlock(t, b.text)
			case isCommand:
				commands++
				command, _, _ := strings.Cut(command, "\n")
				var stdout, stderr bytes.Buffer
				if code := mainCode(strings.Fields(command), &stdout, &stderr); code != exitUsage {
					t.Errorf("socsim %s: exit code %d, want %d", command, code, exitUsage)
				}
				if want := "$ socsim " + command + "\n" + stderr.String(); want != b.text {
					if b.text = want; !*update {
						t.Errorf("%s has something else; run go test ./cmd/socsim -update and review the difference. It prints:\n%s", scenarioDoc, want)
					}
					changed = append(changed, b)
				}
			default:
				t.Errorf("a block of code is neither YAML nor a command:\n%s", b.text)
			}
		}
	}
	if commands < 16 {
		t.Errorf("%d commands, want at least 16: are the headings right?", commands)
	}
	if !*update {
		return
	}
	for i := len(changed) - 1; i >= 0; i-- {
		text = text[:changed[i].start] + changed[i].text + text[changed[i].end:]
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTheFilesOfTheDocsRun shows and runs the scenario of the section on files.
func TestTheFilesOfTheDocsRun(t *testing.T) {
	body, offset := docSection(t, readDoc(t, scenarioDoc), "Files, includes and parameters")
	t.Chdir(t.TempDir())
	for _, b := range docBlocks(body, offset) {
		if b.language == "yaml" {
			writeBlock(t, b.text)
		}
	}
	for _, set := range []string{"params.every=2", "params.frame=864x656"} {
		args := []string{"mine.yaml", "--set", set}
		if set == "params.every=2" { // which the file's own stage hides
			args = []string{"base.yaml", "--set", set, "--set", "name=base"}
		}
		var stdout, stderr bytes.Buffer
		if code := mainCode(append([]string{"run"}, args...), &stdout, &stderr); code != exitOK {
			t.Errorf("%s: exit code %d\n%s%s", set, code, stdout.String(), stderr.String())
		}
	}
}
