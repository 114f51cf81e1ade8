package conf

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChangesAreWhatFilesAndOverridesSetToAnotherValue(t *testing.T) {
	_, doc := mustDecode(t, "run: {duration: 1KiB, seed: 7}\nsoc:\n  preset: omap3430\n  l2: {replacement: lru,\n    size: 256KiB}\n  gpu:\n    ways: 3\nstages:\n  - name: faces\n    read: {fraction: 50%}\n", "soc.l2.banks=[1, 2]", "run.seed=8")
	want := []Change{
		{"run.duration", "scenario.yaml:1:17"},
		{"soc.l2.replacement", "scenario.yaml:4:21"},
		{"soc.gpu.ways", "scenario.yaml:7:11"},
		{"stages.faces.read.fraction", "scenario.yaml:10:22"},
		{"soc.l2.banks", "--set soc.l2.banks=[1, 2]"},
		{"run.seed", "--set run.seed=8"},
	}
	if diff := cmp.Diff(want, doc.Changes()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatRepeatsTheValueBelowIsNoChange(t *testing.T) {
	whole, _ := mustDecode(t, minimal+"soc: omap3430\nstages: [{name: faces, read: {fraction: 50%}}]\n", "soc.l2.replacement=lru")
	text, err := Encode(whole)
	if err != nil {
		t.Fatal(err)
	}
	_, doc := mustDecode(t, string(text))
	var got []string
	for _, c := range doc.Changes() {
		got = append(got, c.Path)
	}
	if diff := cmp.Diff([]string{"soc.l2.replacement", "run.duration", "stages.faces.read.fraction"}, got); diff != "" {
		t.Error(diff)
	}
}
