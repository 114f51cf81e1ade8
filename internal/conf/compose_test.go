package conf

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

// opener opens the files of an archive, relative to the file that includes them.
func opener(files map[string]string) Open {
	return func(from Source, name string) (Source, error) {
		name = path.Join(path.Dir(from.Name), name)
		text, ok := files[name]
		if !ok {
			return Source{}, fmt.Errorf("no file %q", name)
		}
		return Source{Name: name, Data: []byte(text)}, nil
	}
}

// decodeFiles decodes the first file of an archive, which may include the others.
func decodeFiles(text string, overrides ...string) (scenario, *Document, error) {
	files := map[string]string{}
	archive := txtar.Parse([]byte(text))
	first := "scenario.yaml"
	if len(archive.Comment) > 0 {
		files[first] = string(archive.Comment)
	} else {
		first = archive.Files[0].Name
	}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	var s scenario
	doc, err := Decode(Source{Name: first, Data: []byte(files[first])}, set(overrides...), chips, &s, Composed(opener(files)))
	return s, doc, err
}

func TestFilesAreLaidOverThoseTheyInclude(t *testing.T) {
	runGolden(t, "testdata/compose.txt", func(t *testing.T, text string, sets []string) string {
		s, _, err := decodeFiles(text, sets...)
		if err != nil {
			return err.Error()
		}
		out, err := Encode(s, EscapeParams())
		if err != nil {
			t.Fatal(err)
		}
		// What is printed stands alone.
		again, _, err := decodeFiles(string(out))
		if err != nil {
			t.Fatalf("%v\nof:\n%s", err, out)
		}
		if twice, err := Encode(again, EscapeParams()); err != nil || string(twice) != string(out) {
			t.Fatalf("%v\nfirst:\n%s\nsecond:\n%s", err, out, twice)
		}
		return string(out[:len(out)-1])
	})
}

func TestPlaceTellsTheFileThatWritesAValue(t *testing.T) {
	_, doc, err := decodeFiles("-- a/main.yaml --\ninclude: ../b.yaml\nname: x\n-- b.yaml --\nrun:\n  duration: 1KiB\nname: y\n", "run.seed=4")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"name": "a/main.yaml:2:7", "run.duration": "b.yaml:2:13", "run.seed": "", "soc": ""} {
		got := ""
		if file, line, col, ok := doc.Place(path); ok {
			got = fmt.Sprintf("%s:%d:%d", file, line, col)
		}
		if got != want {
			t.Errorf("%s is at %q, want %q", path, got, want)
		}
	}
	if _, _, ok := doc.Position("run.duration"); ok {
		t.Error("the file has a position of a value that only the included one writes")
	}
	if line, _, ok := doc.Position("name"); !ok || line != 2 {
		t.Errorf("name is at line %d, want 2", line)
	}
	if got, want := doc.Errorf("run.duration", "too short").Error(), "b.yaml:2:13: run.duration: too short\n    2 |   duration: 1KiB\n      |             ^"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestALaterErrorTellsWhatAParameterStandsFor(t *testing.T) {
	_, doc, err := decodeFiles("params: {n: 7, m: 2}\nrun: {duration: 1KiB, seed: \"${n}${m}\"}\n", "params.m=0")
	if err != nil {
		t.Fatal(err)
	}
	got := doc.Errorf("run.seed", "want at most 9").Error()
	if want := `run.seed: want at most 9; it is written "${n}${m}", with n = "7" (line 1), m = "0" (--set params.m=0)`; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %s", got, want)
	}
}

func TestWhatFilesIncludeIsBounded(t *testing.T) {
	deep := map[string]string{}
	for i := range 20 {
		deep[fmt.Sprintf("f%d.yaml", i)] = fmt.Sprintf("include: f%d.yaml\n", i+1)
	}
	wide := map[string]string{"f0.yaml": "include: [" + strings.Repeat("f1.yaml, ", 10) + "]\n", "f1.yaml": "include: [" + strings.Repeat("f2.yaml, ", 10) + "]\n", "f2.yaml": "name: x\n"}
	big := map[string]string{"f0.yaml": "include: [f1.yaml, f2.yaml]\n", "f1.yaml": "name: " + strings.Repeat("x", 3<<20) + "\n", "f2.yaml": "name: " + strings.Repeat("y", 2<<20) + "\n"}
	bomb := map[string]string{"f0.yaml": "include: [" + strings.Repeat("f1.yaml, ", 20) + "]\n", "f1.yaml": "x: &x [" + strings.Repeat("1, ", 100) + "]\ny: &y [" + strings.Repeat("*x, ", 90) + "]\n"}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"depth":  {deep, "deeper than 8 levels"},
		"number": {wide, "more than 64 files"},
		"bytes":  {big, "more than 4 MiB"},
		"values": {bomb, "more than 100000 values"},
	} {
		t.Run(name, func(t *testing.T) {
			var s scenario
			_, err := Decode(Source{Name: "f0.yaml", Data: []byte(c.files["f0.yaml"])}, nil, nil, &s, Composed(opener(c.files)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.300v, want %s", err, c.want)
			}
		})
	}
}

func TestParametersThatGrowAreRefused(t *testing.T) {
	var doubling, many strings.Builder
	doubling.WriteString("params:\n  p0: xxxxxxxx\n")
	for i := range 60 {
		fmt.Fprintf(&doubling, "  p%d: ${p%d}${p%d}\n", i+1, i, i)
	}
	many.WriteString("params: {p: " + strings.Repeat("x", maxParam) + "}\nbuffers:\n  a: {tags: [" + strings.Repeat(`"${p}", `, 20_000) + "]}\n")
	for _, c := range []struct{ text, want string }{
		{doubling.String(), "parameters make the text longer than 4096 bytes"},
		{many.String(), "the values made of parameters have more than 4194304 bytes"},
	} {
		_, _, err := decodeFiles(c.text + minimal)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %.300v, want %s", err, c.want)
		}
	}
}

func TestEveryTextSurvivesEscaping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[$a{} b]{0,12}`).Draw(t, "text")
		got, err := expandText(escapeText(text), func(name string) (string, error) { return "", fmt.Errorf("parameter %s", name) })
		if err != nil || got != text {
			t.Errorf("%q comes back as %q, %v", text, got, err)
		}
	})
}

func TestATypeWithAKeyIncludePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var s struct {
		Include string `conf:"include"`
	}
	_, _ = Decode(Source{Name: "s.yaml", Data: []byte("a: 1")}, nil, nil, &s, Composed(opener(nil)))
}
