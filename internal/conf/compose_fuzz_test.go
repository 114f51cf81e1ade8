package conf

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzComposed checks that whatever two files include and declare, Decode ends in bounded memory, that errors point into one of the two, and that what decodes is printed as one file that needs neither.
func FuzzComposed(f *testing.F) {
	data, err := os.ReadFile("testdata/compose.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, part := range strings.Split(string(data), "=== ") {
		_, input, _ := strings.Cut(part, "\n")
		input, _, _ = strings.Cut(input, wantLine)
		archive := txtar.Parse([]byte(input))
		base := ""
		for _, file := range archive.Files {
			base = string(file.Data)
		}
		main := strings.NewReplacer("a.yaml", "base.yaml", "b.yaml", "base.yaml").Replace(string(archive.Comment))
		f.Add(main, base, "params.n", "7")
	}
	f.Add("include: [base.yaml, base.yaml, ./scenario.yaml]\n"+minimal, minimal, "include", "x")
	f.Add("params: {a: '$${', b: \"${a}${a}\"}\nname: ${b}${a}\n"+minimal, "", "params.a", "${b}")
	f.Add("<<: {include: base.yaml, params: {n: 1}}\nrun: &r {duration: \"${n}B\"}\nsoc: *r\n", minimal, "soc.l2", "{ways: \"${n}\"}")
	f.Fuzz(func(t *testing.T, main, base, path, value string) {
		files := map[string]string{"scenario.yaml": main, "base.yaml": base}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var s scenario
		doc, err := Decode(Source{Name: "scenario.yaml", Data: []byte(main)}, []Override{{Path: path, Value: value}}, chips, &s, Composed(opener(files)))
		runtime.ReadMemStats(&after)
		if grown, size := after.TotalAlloc-before.TotalAlloc, len(main)+maxIncludeFiles*len(base)+len(value); grown > uint64(256<<20+200*size) {
			t.Fatalf("%d MiB allocated for %d bytes", grown>>20, size)
		}
		if err != nil {
			checkErrors(t, err, files)
			return
		}
		out, err := Encode(s, EscapeParams(), WithProvenance(doc.Provenance()))
		if err != nil {
			t.Fatal(err)
		}
		var again scenario
		if _, err := Decode(Source{Name: "again.yaml", Data: out}, nil, chips, &again, Composed(opener(nil))); err != nil {
			t.Fatalf("%v\nof:\n%s", err, out)
		}
		if twice, err := Encode(again, EscapeParams(), WithProvenance(doc.Provenance())); err != nil || string(twice) != string(out) {
			t.Fatalf("%v\nfirst:\n%s\nsecond:\n%s", err, out, twice)
		}
	})
}

// checkErrors checks that errors say something, are not too long, and point into the files.
func checkErrors(t *testing.T, err error, files map[string]string) {
	t.Helper()
	var errs Errors
	if !errors.As(err, &errs) || len(errs) == 0 {
		t.Fatalf("%v is of type %T", err, err)
	}
	valid := true
	for _, text := range files {
		valid = valid && utf8.ValidString(text)
	}
	for _, e := range errs {
		text := e.Error()
		if e.Msg == "" || len(text) > 10_000 || valid && !utf8.ValidString(text) {
			t.Fatalf("error of %d bytes: %.200q", len(text), text)
		}
		file, ok := files[e.File]
		if !ok {
			continue
		}
		if lines := splitLines(file); e.Line < 1 || e.Line > len(lines)+1 || e.Col < 1 {
			t.Fatalf("position %d:%d of a file of %d lines: %v", e.Line, e.Col, len(lines), e)
		}
	}
}

// FuzzPreset checks the same of preset documents.
func FuzzPreset(f *testing.F) {
	for _, name := range []string{"cache/l2-256", "cache/l2-512", "cache/loop", "cache/bare", "cache/misspelt", "cache/list", "cache/broken", "cache/presetpreset"} {
		f.Add(chips[name])
	}
	f.Add("size: 4KiB # source: \"#\" # estimated: x\nways: 2 # estimated:   a\tb\n# source: long\n# text\nbanks: [1, 2]\n")
	f.Fuzz(func(t *testing.T, preset string) {
		presets := library{"soc/omap3430": chips["soc/omap3430"], "cache/l2-256": chips["cache/l2-256"], "cache/mine": preset}
		var s scenario
		doc, err := Decode(Source{Name: "s.yaml", Data: []byte(minimal + "soc: {gpu: mine}\n")}, nil, presets, &s)
		if err != nil {
			checkErrors(t, err, map[string]string{"preset cache/mine": preset})
			return
		}
		for _, p := range doc.Provenance() {
			if !strings.HasPrefix(p.Path, "soc.gpu.") {
				continue
			}
			if p.Note == "" || p.Note != strings.TrimSpace(p.Note) {
				t.Errorf("%s: note %q", p.Path, p.Note)
			}
		}
		if s.SoC.GPU == nil || s.SoC.GPU.Preset != "mine" {
			t.Error("the preset has no name")
		}
	})
}

// FuzzExpandText checks that a text without a reference comes through, and that escaping is undone.
func FuzzExpandText(f *testing.F) {
	for _, s := range []string{"", "a", "${a}", "$${a}", "$$${a}", "${a", "${}", "$", "${${a}}", "${a}$${b}$", "x${a-b}y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		used := 0
		got, err := expandText(text, func(name string) (string, error) {
			used++
			if !isName(name) {
				t.Errorf("%q is asked for", name)
			}
			return "", nil
		})
		switch {
		case err != nil:
			if !strings.Contains(text, "${") {
				t.Errorf("%q: %v", text, err)
			}
		case len(got) > len(text):
			t.Errorf("%q grew to %q", text, got)
		case used == 0 && escapeText(got) != text && !strings.Contains(text, "$${"):
			t.Errorf("%q became %q", text, got)
		}
		back, err := expandText(escapeText(text), func(name string) (string, error) { return "", errors.New(name) })
		if err != nil || back != text {
			t.Errorf("%q came back as %q, %v", text, back, err)
		}
	})
}
