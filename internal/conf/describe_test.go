package conf

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// length is a text with a syntax.
type length int

func (l length) MarshalText() ([]byte, error) { return []byte(strings.Repeat("m", int(l))), nil }

func (l *length) UnmarshalText(text []byte) error { *l = length(len(text)); return nil }

func (length) Syntax() (what, pattern string, examples []string) {
	return "length", "^m*$", []string{"mm"}
}

type part struct {
	Name  string   `conf:"name,key" doc:"Its name."`
	Size  length   `conf:"size,required" doc:"How long."`
	Mode  policy   `conf:"mode" doc:"How."`
	On    bool     `conf:"on" doc:"Whether."`
	Count uint8    `conf:"count" doc:"How many."`
	Tags  []policy `conf:"tags"`
}

func (p *part) SetDefaults() { p.Mode, p.Size = "lru", 2 }

type kit struct {
	Preset string `conf:"preset"`
	Width  int    `conf:"width"`
	Depth  int    `conf:"depth"`
	Inner  part   `conf:"inner"`
}

type whole struct {
	common `conf:",inline"`
	Parts  []part `conf:"parts,map"`
	List   []part `conf:"list"`
	Kit    kit    `conf:"kit,preset=kit"`
	One    *part  `conf:"one" doc:"Perhaps."`
	Rows   []row  `conf:"rows"`
}

type row struct {
	At int `conf:"at"`
}

// walked lists the settings with what tells them apart.
func walked(s Setting) []string {
	var out []string
	s.Walk(func(path string, s Setting) {
		kind := [...]string{"bool", "integer", "text", "enum", "quantity", "mapping", "list"}[s.Kind]
		line := []string{path, kind}
		add := func(set bool, word string) {
			if set {
				line = append(line, word)
			}
		}
		add(s.Default != "", "default "+s.Default)
		add(s.Required, "required")
		add(s.Preset != "", "preset "+s.Preset)
		add(s.InPreset, "in preset")
		add(s.Values != nil, "of "+strings.Join(s.Values, "|"))
		add(s.What != "", s.What)
		add(s.Unsigned, "unsigned")
		add(s.Optional, "optional")
		add(s.Named, "named")
		add(s.Pattern == NamePattern, "a name")
		out = append(out, strings.Join(line, ", "))
	})
	return out
}

func TestADescriptionHasEverySettingWithItsDefaultAndItsText(t *testing.T) {
	in := whole{common: common{Name: "x"}, Kit: kit{Width: 3}}
	got := walked(Describe(&in))
	want := []string{
		"apiVersion, text", "name, text, default x",
		"parts, list, named",
		"parts.NAME.size, quantity, required, length", "parts.NAME.mode, enum, default lru, of lru|fifo|random", "parts.NAME.on, bool, default false",
		"parts.NAME.count, integer, default 0, unsigned", "parts.NAME.tags, list",
		"list, list",
		"list.NAME.name, text, required, a name", "list.NAME.size, quantity, required, length", "list.NAME.mode, enum, default lru, of lru|fifo|random", "list.NAME.on, bool, default false",
		"list.NAME.count, integer, default 0, unsigned", "list.NAME.tags, list",
		"kit, mapping, preset kit", "kit.preset, text, in preset", "kit.width, integer, default 3, in preset", "kit.depth, integer, in preset",
		"kit.inner, mapping, in preset", "kit.inner.name, text, required, in preset", "kit.inner.size, quantity, required, in preset, length", "kit.inner.mode, enum, in preset, of lru|fifo|random",
		"kit.inner.on, bool, in preset", "kit.inner.count, integer, in preset, unsigned", "kit.inner.tags, list, in preset",
		"one, mapping, optional",
		"one.name, text, required", "one.size, quantity, required, length", "one.mode, enum, default lru, of lru|fifo|random", "one.on, bool, default false", "one.count, integer, default 0, unsigned",
		"one.tags, list",
		"rows, list", "rows.N.at, integer, default 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestADescriptionLeavesTheDefaultsAlone(t *testing.T) {
	in := whole{One: &part{Name: "x", Mode: "fifo"}}
	d := Describe(in)
	one, _ := d.Field("one")
	mode, ok := one.Field("mode")
	if !ok || mode.Default != "fifo" || one.Doc != "Perhaps." || in.One.Mode != "fifo" || in.Parts != nil {
		t.Errorf("%+v of %+v", mode, in)
	}
	tags, _ := d.Sub("list").Item.Field("tags")
	if tags.Item == nil || tags.Item.Kind != Enum || !slices.Equal(tags.Item.Values, []string{"lru", "fifo", "random"}) {
		t.Errorf("%+v", tags.Item)
	}
	if _, ok := d.Field("two"); ok {
		t.Error("there is a field two")
	}
}

func TestValueFindsOneSettingByItsPath(t *testing.T) {
	in := whole{Kit: kit{Inner: part{Size: 3, Mode: "fifo"}}}
	for path, want := range map[string]string{"kit.inner.size": "mmm", "kit.inner.mode": "fifo", "kit.inner.on": "false", "kit.width": "0"} {
		if got, ok := Value(&in, path); !ok || got != want {
			t.Errorf("%s: %q, want %s", path, got, want)
		}
	}
	for _, path := range []string{"", "kit", "kit.inner", "kit.inner.tags", "kit.nothing", "kit.width.x", "one.name", "parts.0.size"} {
		if got, ok := Value(in, path); ok {
			t.Errorf("%q: %q", path, got)
		}
	}
}

func TestATextWithoutASyntaxIsDescribedAsAnyText(t *testing.T) {
	d := Describe(struct {
		X mute `conf:"x"`
	}{})
	if x := d.Sub("x"); x.Kind != Quantity || x.What != "" || x.Pattern != "" {
		t.Errorf("%+v", x)
	}
}

// mute is a text without a syntax.
type mute int

func (mute) MarshalText() ([]byte, error)     { return nil, nil }
func (*mute) UnmarshalText(text []byte) error { return nil }

type endless struct {
	Again []endless `conf:"again"`
}

func TestWhatCannotBeDescribedPanics(t *testing.T) {
	for name, v := range map[string]any{
		"a type that contains itself": endless{},
		"no struct":                   3,
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			Describe(v)
		}()
	}
}
