package scenario

import (
	"strings"
	"testing"

	"socsim/internal/conf"
)

func TestEverySettingIsDocumented(t *testing.T) {
	n := 0
	Describe().Walk(func(path string, s conf.Setting) {
		if n++; !strings.HasSuffix(s.Doc, ".") || len(s.Doc) < 6 || strings.ContainsAny(s.Doc, "\n|") {
			t.Errorf("%s: doc %q, want a sentence", path, s.Doc)
		}
	})
	if n < 300 {
		t.Errorf("%d settings", n)
	}
}

func TestTheDefaultsAreThoseThatLoadingFillsIn(t *testing.T) {
	d := Describe()
	run, _ := d.Field("run")
	duration, _ := run.Field("duration")
	every, _ := d.Sub("stages").Item.Field("every")
	if duration.Default != "1s" || every.Default != "1" || d.Sub("strategy").Default != "range" || d.Sub("name").Default != "" {
		t.Errorf("duration %q, every %q, strategy %q, name %q", duration.Default, every.Default, d.Sub("strategy").Default, d.Sub("name").Default)
	}
}
