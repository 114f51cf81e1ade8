package scenario

import (
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/scenarios"
)

func TestEveryScenarioOfTheLibraryHasAThemeAndALineThatSaysWhatItTeaches(t *testing.T) {
	lessons := map[string]string{}
	for _, name := range scenarios.Names() {
		src, err := Read(name)
		if err != nil {
			t.Fatal(err)
		}
		l, err := Load(src, nil)
		if err != nil {
			t.Fatal(err)
		}
		if l.Theme == "" {
			t.Errorf("%s has no theme", name)
		}
		if d := l.Description; len(d) < 20 || len(d) > 130 || !strings.HasSuffix(d, ".") {
			t.Errorf("%s: the description is %q, want a sentence that fits a line of the list", name, d)
		}
		if other, twice := lessons[l.Description]; twice {
			t.Errorf("%s and %s teach the same: %s", name, other, l.Description)
		}
		lessons[l.Description] = name
		if l.Name != name {
			t.Errorf("%s.yaml is called %s inside", name, l.Name)
		}
		if !strings.HasPrefix(string(src.Data), "# yaml-language-server: $schema=schema.json\n# ") {
			t.Errorf("%s does not begin with the line that names its schema and a comment", name)
		}
		for _, word := range []string{"What to look at:"} {
			if !strings.Contains(string(src.Data), word) {
				t.Errorf("%s does not say %q", name, word)
			}
		}
	}
}

func TestAnUnknownThemeIsRefusedWithTheNearest(t *testing.T) {
	src, err := Read("zero-copy")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(src, []conf.Override{{Path: "theme", Value: "visions"}})
	if err == nil || !strings.Contains(err.Error(), `did you mean "vision"?`) {
		t.Errorf("error %v", err)
	}
}
