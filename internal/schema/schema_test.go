package schema_test

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"socsim/internal/conf"
	"socsim/internal/scenario"
	"socsim/scenarios"
	"socsim/soc/presets"
)

var update = flag.Bool("update", false, "rewrite scenarios/schema.json and the reference in docs/scenario.md")

const library = "../../scenarios/"

// compiled is the schema as another implementation reads it.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := scenario.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// value reads YAML as an editor does, by the types of YAML 1.2, into the values of JSON.
func value(text []byte) (any, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	dates(&root)
	var v any
	if err := root.Decode(&v); err != nil {
		return nil, err
	}
	return plain(v), nil
}

// dates makes strings of what YAML 1.1 takes for dates.
func dates(n *yaml.Node) {
	if n.ShortTag() == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content {
		dates(c)
	}
}

func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case map[any]any:
		out := map[string]any{}
		for k, x := range v {
			out[fmt.Sprint(k)] = plain(x)
		}
		return out
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return fmt.Sprint(v)
		}
	}
	return v
}

// included opens the library's scenarios.
func included(_ conf.Source, name string) (conf.Source, error) {
	if text, ok := scenarios.Read(name); ok {
		return conf.Source{Name: name, Data: text}, nil
	}
	return conf.Source{}, os.ErrNotExist
}

// decode decodes without the checks that need the whole.
func decode(text []byte) error {
	var s scenario.Scenario
	_, err := conf.Decode(conf.Source{Name: "x.yaml", Data: text}, nil, presets.Set{}, &s, conf.Composed(included))
	return err
}

func TestTheCommittedSchemaIsTheOneThatTheCommandPrints(t *testing.T) {
	want, err := scenario.Schema()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(library + "schema.json")
	if err == nil && bytes.Equal(got, want) {
		return
	}
	if *update {
		if err := os.WriteFile(library+"schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("scenarios/schema.json is another (%v); run go test ./internal/schema -update and review the difference\n%s", err, cmp.Diff(string(got), string(want)))
}

func TestEveryScenarioOfTheLibraryIsValidAndNamesTheSchema(t *testing.T) {
	s := compiled(t)
	for _, name := range scenarios.Names() {
		text, _ := scenarios.Read(name)
		v, err := value(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.HasPrefix(string(text), "# yaml-language-server: $schema=schema.json\n") {
			t.Errorf("%s: the first line does not name the schema", name)
		}
	}
}

func TestResolvedScenariosAreValid(t *testing.T) {
	s := compiled(t)
	for _, name := range scenarios.Names() {
		text, _ := scenarios.Read(name)
		l, err := scenario.Load(conf.Source{Name: name + ".yaml", Data: text}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err = l.Annotated(); err != nil {
			t.Fatal(err)
		}
		v, err := value(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
