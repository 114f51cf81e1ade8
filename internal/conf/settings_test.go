package conf_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
)

func TestSettingsListsEverySettingByItsPath(t *testing.T) {
	type item struct {
		Name string `conf:"name,key" doc:"Name."`
		Size int    `conf:"size" doc:"Size."`
	}
	type inner struct {
		On    bool     `conf:"on" doc:"On."`
		Words []string `conf:"words" doc:"Words."`
	}
	v := struct {
		Inner inner  `conf:"inner" doc:"Inner."`
		Named []item `conf:"named,map" doc:"Items."`
		Plain []item `conf:"plain" doc:"Items."`
		None  []item `conf:"none" doc:"No items."`
	}{Inner: inner{true, []string{"a", "b c"}}, Named: []item{{"x", 1}}, Plain: []item{{"z", 2}, {"", 3}}}
	got, err := conf.Settings(&v)
	if err != nil {
		t.Fatal(err)
	}
	want := []conf.Setting{
		{"inner.on", "true"},
		{"inner.words", "[a, b c]"},
		{"named.x.size", "1"},
		{"plain.z.name", "z"},
		{"plain.z.size", "2"},
		{"plain.1.name", `""`},
		{"plain.1.size", "3"},
		{"none", "[]"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("settings (-want +got):\n%s", d)
	}
}
