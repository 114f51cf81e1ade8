package conf

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected texts in testdata")

// goldenCase is a part of a file in testdata: a name, an input that may begin
// with lines "--set PATH=VALUE", and the expected output. An input in Go quotes
// is unquoted.
type goldenCase struct {
	name, input string
	sets        []string
	want        string
}

const wantLine = "--- want ---\n"

func readGolden(t *testing.T, file string) []goldenCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	for _, part := range strings.Split("\n"+string(data), "\n=== ")[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		input, want, ok := strings.Cut(rest+"\n", wantLine)
		if !ok {
			t.Fatalf("%s: case %q has no line %q", file, name, wantLine)
		}
		cases = append(cases, goldenCase{name: name, input: input, want: strings.TrimRight(want, "\n")})
	}
	return cases
}

func runGolden(t *testing.T, file string, run func(t *testing.T, text string, sets []string) string) {
	cases := readGolden(t, file)
	var out strings.Builder
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := c.input
			for {
				line, rest, _ := strings.Cut(text, "\n")
				value, ok := strings.CutPrefix(line, "--set ")
				if !ok {
					break
				}
				c.sets, text = append(c.sets, value), rest
			}
			if strings.HasPrefix(text, `"`) {
				unquoted, err := strconv.Unquote(strings.TrimSpace(text))
				if err != nil {
					t.Fatal(err)
				}
				text = unquoted
			}
			got := run(t, text, c.sets)
			if diff := cmp.Diff(c.want, got); diff != "" && !*update {
				t.Errorf("(-want +got):\n%s\ngot:\n%s", diff, got)
			}
			out.WriteString("=== " + c.name + "\n" + c.input + wantLine + got + "\n\n")
		})
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestErrorsPointAtTheMistake(t *testing.T) {
	runGolden(t, "testdata/errors.txt", func(t *testing.T, text string, sets []string) string {
		_, _, err := decode(text, sets...)
		if err == nil {
			return "no error"
		}
		return err.Error()
	})
}
