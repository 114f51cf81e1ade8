package conf

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzDecode checks that no file and no override makes Decode panic, that all
// errors can be printed and point into the file, and that what decodes survives
// printing.
func FuzzDecode(f *testing.F) {
	for _, file := range []string{"testdata/errors.txt", "testdata/encode.txt"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range strings.Split(string(data), "=== ") {
			_, input, _ := strings.Cut(part, "\n")
			input, _, _ = strings.Cut(input, wantLine)
			f.Add([]byte(input), "soc.l2.ways", "4")
		}
	}
	f.Add([]byte("run:\r\r  0: 2\u2028\u0085b: 1\r\n"), "", "")
	f.Add([]byte(minimal+"soc: omap3430\n"), "soc.masters.gpu.width", "{a: b}")
	f.Add([]byte(minimal+"stages: [&a {name: x}, *a]\n"), "stages.x", "[a]")
	f.Fuzz(func(t *testing.T, data []byte, path, value string) {
		var s scenario
		doc, err := Decode(Source{Name: "f.yaml", Data: data}, []Override{{Path: path, Value: value}}, chips, &s)
		if err != nil {
			errs := err.(Errors)
			if len(errs) == 0 || errs.Error() == "" {
				t.Fatal("an error without a text")
			}
			lines := splitLines(string(data))
			for _, e := range errs {
				if e.File != "f.yaml" {
					continue
				}
				if e.Line < 1 || e.Line > len(lines)+1 || e.Col < 1 {
					t.Fatalf("position %d:%d of a file of %d lines: %v", e.Line, e.Col, len(lines), e)
				}
				if text := e.Error(); utf8.Valid(data) && !utf8.ValidString(text) {
					t.Fatalf("%q is not UTF-8", text)
				}
			}
			return
		}
		if doc == nil {
			t.Fatal("neither document nor error")
		}
		out, err := Encode(s, WithProvenance(doc.Provenance()))
		if err != nil {
			t.Fatal(err)
		}
		var again scenario
		if _, err := Decode(Source{Name: "again.yaml", Data: out}, nil, chips, &again); err != nil {
			t.Fatalf("%v\nof:\n%s", err, out)
		}
		twice, err := Encode(again, WithProvenance(doc.Provenance()))
		if err != nil || string(twice) != string(out) {
			t.Fatalf("%v\nfirst:\n%s\nsecond:\n%s", err, out, twice)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	text := []byte(minimal + "soc: {preset: dm3730, l2: {ways: 8}}\nstages: [{name: a, cache: l2-512}]\n")
	overrides := set("soc.l2.size=1KiB", "soc.ports.camera.width=2")
	b.ReportAllocs()
	settings := 0
	for b.Loop() {
		var s scenario
		doc, err := Decode(Source{Name: "s.yaml", Data: text}, overrides, chips, &s)
		if err != nil {
			b.Fatal(err)
		}
		settings = len(doc.nodes)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(settings), "ns/setting")
}

func BenchmarkEncode(b *testing.B) {
	s, doc, err := decode(minimal + "soc: dm3730\nstages: [{name: a, cache: l2-512}]\n")
	if err != nil {
		b.Fatal(err)
	}
	option := WithProvenance(doc.Provenance())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(s, option); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(doc.nodes)), "ns/setting")
}
