package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTheNotesOfTheDocsAreWhatARunPrints(t *testing.T) {
	body, offset := docSection(t, readDoc(t, scenarioDoc), "Settings without effect")
	t.Chdir(t.TempDir())
	commands := 0
	for _, b := range docBlocks(body, offset) {
		command, isCommand := strings.CutPrefix(b.text, "$ socsim ")
		if !isCommand {
			writeBlock(t, b.text)
			continue
		}
		commands++
		command, notes, _ := strings.Cut(command, "\n")
		var stdout, stderr bytes.Buffer
		args := append(strings.Fields(command), "--set", "run.duration=100ms")
		if code := mainCode(args, &stdout, &stderr); code != exitOK || stderr.String() != notes {
			t.Errorf("socsim %s: exit code %d, and on stderr\n%swant\n%s", command, code, stderr.String(), notes)
		}
	}
	if commands != 1 {
		t.Errorf("%d commands, want 1", commands)
	}
}
