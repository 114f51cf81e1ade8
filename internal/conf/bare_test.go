package conf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type joined struct {
	Ports []port `conf:"ports,bare,omitempty"`
	Title string `conf:"title,omitempty"`
}

func decodeJoined(text string, overrides ...string) (joined, error) {
	var j joined
	_, err := Decode(Source{Name: "x.yaml", Data: []byte(text)}, set(overrides...), chips, &j)
	return j, err
}

func TestAnItemMayBeWrittenAsItsKeyAlone(t *testing.T) {
	got, err := decodeJoined("ports: [a, {name: b, width: 3}, c]", "ports.c.depth=7", "ports.a.width=2")
	want := joined{Ports: []port{{Name: "a", Width: 2}, {Name: "b", Width: 3}, {Name: "c", Depth: 7}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if got, err = decodeJoined("title: x", "ports=[a]"); err != nil || len(got.Ports) != 1 || got.Ports[0].Name != "a" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMistakesInItemsWrittenAsKeysStandAtThem(t *testing.T) {
	for text, want := range map[string]string{
		"ports: [a, a]":      "x.yaml:1:12: duplicate name \"a\" in ports; it is first on line 1",
		"ports: [a, {b: 1}]": "x.yaml:1:13: unknown key \"b\" in ports.1",
		"ports: [a, 7]":      "x.yaml:1:12: ports: \"7\" cannot name an item",
		"ports: a":           "found the single value \"a\", expected a list",
		"ports: [[a]]":       "found a list, expected a mapping",
	} {
		if _, err := decodeJoined(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
}

func TestOnlySuchListsTakeKeysAlone(t *testing.T) {
	if _, _, err := decode("name: x\nrun: {duration: 1B}\nstages: [faces]\n"); err == nil || !strings.Contains(err.Error(), `found the single value "faces", expected a mapping`) {
		t.Error(err)
	}
}

func TestWhatMayBeOmittedIsPrintedOnlyIfItIsThere(t *testing.T) {
	for want, v := range map[string]joined{
		"{}\n": {},
		"ports:\n  - {name: a, width: 0, depth: 1}\ntitle: x\n": {Ports: []port{{Name: "a", Depth: 1}}, Title: "x"},
	} {
		got, err := Encode(v)
		if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if again, err := decodeJoined(string(got)); err != nil || cmp.Diff(v, again) != "" {
			t.Errorf("%s reads as %+v, %v", got, again, err)
		}
	}
}
