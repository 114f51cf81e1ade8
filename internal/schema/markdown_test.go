package schema_test

import (
	"os"
	"strings"
	"testing"

	"socsim/internal/scenario"
	"socsim/internal/schema"
)

// reference is the section of docs/scenario.md.
func reference() string {
	return `
Every setting of a scenario file, by the mapping that it stands in. NAME stands for the name of an item, N for its index from 0. ` + "`--set`" + ` takes the same paths. This section is written from the
code that decodes; ` + "`socsim explain SETTING`" + ` prints one of them with the values of the presets, and ` + "`socsim schema`" + ` the whole for editors.

` + schema.Markdown(scenario.Describe())
}

func TestTheReferenceIsThatOfTheLanguage(t *testing.T) {
	const file = "../../docs/scenario.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, got, ok := strings.Cut(string(data), "\n## Reference\n")
	if !ok {
		t.Fatal("docs/scenario.md has no section Reference")
	}
	tail := ""
	if i := strings.Index(got, "\n## "); i >= 0 {
		got, tail = got[:i+1], got[i:]
	}
	switch want := reference(); {
	case got == want:
	case *update:
		if err := os.WriteFile(file, []byte(head+"\n## Reference\n"+want+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("docs/scenario.md has another reference; run go test ./internal/schema -update and review the difference")
	}
}
