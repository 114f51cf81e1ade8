package presets

import (
	"strings"
	"testing"
)

func TestEveryPresetSaysWhatItIs(t *testing.T) {
	for _, ns := range Namespaces() {
		for _, name := range (Set{}).Names(ns) {
			d := Describe(ns, name)
			if len(d) < 10 || len(d) > 160 || strings.Contains(d, "\n") || strings.Contains(d, ":\n") {
				t.Errorf("%s/%s: %q, want a sentence at the head of its document", ns, name, d)
			}
		}
	}
}

func TestADescriptionIsTheFirstSentenceOfTheHead(t *testing.T) {
	if got := Describe("panel", "acx565akm"); got != "The Nokia N900's panel: 57.2 Hz" {
		t.Errorf("%q", got)
	}
	if got := Describe("soc", "zynq7000"); !strings.HasSuffix(got, "DDR3-1066 x32") {
		t.Errorf("%q", got)
	}
	if got := Describe("soc", "none"); got != "" {
		t.Errorf("%q of a preset that is not there", got)
	}
}
