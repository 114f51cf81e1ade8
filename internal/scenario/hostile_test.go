package scenario

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"socsim/internal/conf"
)

// minimal is a scenario that loads; more lines may follow.
const minimal = `apiVersion: socsim/v1
name: hostile
soc: omap3430
tasks:
  - {name: ui, period: 10ms, work: 3ms, working_set: 128KiB, access: random}
`

// inMinimal replaces a part of the minimal scenario.
func inMinimal(t *testing.T, old, text string) string {
	t.Helper()
	if !strings.Contains(minimal, old) {
		t.Fatalf("no %q in the scenario", old)
	}
	return strings.Replace(minimal, old, text, 1)
}

func laughs() string {
	text := "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := range 12 {
		alias := fmt.Sprintf("*a%d", i)
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(alias+", ", 10), ", "))
	}
	return text
}

func nested(open, middle, end string, n int) string {
	return strings.Repeat(open, n) + middle + strings.Repeat(end, n)
}

func blocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func utf16Text(text string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// TestHostileFilesAreRefusedInBoundedMemory loads what a user would write by mistake, or an attacker on purpose: the error names the place, and what is allocated on the way is bounded by the file's size and
// the number of values that a file may have.
func TestHostileFilesAreRefusedInBoundedMemory(t *testing.T) {
	m := minimal
	in := func(old, text string) string { return inMinimal(t, old, text) }
	for name, c := range map[string]struct{ text, want string }{
		"empty":                {"", "x.yaml:1:1: the file is empty"},
		"comments":             {"# nothing\n\n", "x.yaml:1:1: the file is empty"},
		"a scalar":             {"hello\n", `x.yaml:1:1: the file: found the single value "hello", expected a mapping of settings`},
		"a list":               {"- a\n", "x.yaml:1:1: the file: found a list, expected a mapping of settings"},
		"NUL bytes":            {in("hostile", "hos\x00tile"), "x.yaml:2:10: the file contains a NUL byte"},
		"UTF-16":               {utf16Text(m), "x.yaml:1:1: the file is UTF-16 text; save it as UTF-8"},
		"Latin-1":              {in("hostile", "caf\xe9"), "x.yaml:2:10: the file is not UTF-8 text"},
		"CRLF":                 {strings.ReplaceAll(in("period: 10ms", "perod: 10ms"), "\n", "\r\n"), `x.yaml:5:16: unknown key "perod" in tasks.ui; did you mean "period"?`},
		"laughs":               {m + laughs(), "more than 100000 values; aliases count each time they are used"},
		"recursive alias":      {in("- {name: ui,", "- &t {name: *t,"), "x.yaml:5:15: alias *t stands inside what it names"},
		"a key twice":          {in("soc: omap3430", "soc: omap3430\nsoc: dm3730"), `x.yaml:4:1: duplicate key "soc" at the top level; it is first on line 3`},
		"deep flow":            {m + "x: " + nested("[", "", "]", 5000) + "\n", "nested deeper than 64 levels"},
		"deep blocks":          {m + blocks(2000), "nested deeper than 64 levels"},
		"brackets never close": {m + "x: " + strings.Repeat("[", 100_000) + "\n", "x.yaml:6:"},
		"quote never closes":   {m + "x: \"" + strings.Repeat("a b\n", 200_000), `x.yaml:6:4: the quote " is not closed`},
		"two documents":        {m + "---\nname: x\n", "x.yaml:6:1: a second YAML document begins here"},
		"many documents":       {strings.Repeat("---\n", 500_000), "a second YAML document begins here"},
		"merge key":            {m + "buffers: {a: {<<: 3, count: 1}}\n", "x.yaml:6:19: merge key << in buffers.a: found a single value"},
		"many anchors":         {m + lines(20_000, "k%d: &a 1\n"), "unknown key \"k0\" at the top level"},
		"unknown alias":        {in("10ms", "*nope"), "x.yaml:5:24: alias *nope names nothing"},
		"many mistakes":        {m + lines(50_000, "k%d: 1\n"), "and 480 more"},
		"many duplicates":      {m + strings.Repeat("k: 1\n", 50_000), "duplicate key \"k\" at the top level"},
		"a long value":         {in("10ms", strings.Repeat("9", 3<<20)), "x.yaml:5:24: tasks.ui.period: "},
		"a long key":           {m + strings.Repeat("k", 3<<20) + ": 1\n", "x.yaml:6:1: "},
		"a long unit":          {in("10ms", "10"+strings.Repeat("m", 1<<20)), "x.yaml:5:24: tasks.ui.period: "},
		"too large a file":     {m + strings.Repeat("# comment\n", 500_000), "more than 4 MiB are refused"},
		"a long comment":       {in("10ms", "10") + "# " + strings.Repeat("comment ", 300_000), `tasks.ui.period: time "10" has no unit`},
		"size overflow":        {in("128KiB", "99999999999GiB"), `x.yaml:5:54: tasks.ui.working_set: size "99999999999GiB": too large`},
		"time overflow":        {in("10ms", "99999999999s"), `x.yaml:5:24: tasks.ui.period: time "99999999999s": too large`},
		"negative size":        {in("128KiB", "-128KiB"), `x.yaml:5:54: tasks.ui.working_set: size "-128KiB": expected a plain non-negative decimal number`},
		"NaN":                  {in("10ms", ".nan"), `x.yaml:5:24: tasks.ui.period: time ".nan": `},
		"infinity":             {in("soc: omap3430", "soc: omap3430\nrun: {seed: .inf}"), `x.yaml:4:13: run.seed: expected a plain integer such as 4, found ".inf"`},
		"an exponent":          {in("10ms", "1e999"), `x.yaml:5:24: tasks.ui.period: time "1e999" has no unit`},
		"a huge exponent":      {in("soc: omap3430", "soc: omap3430\nrun: {seed: 1e999999999}"), `x.yaml:4:13: run.seed: expected a plain integer such as 4`},
		"a date":               {in("10ms", "2024-01-01"), `x.yaml:5:24: tasks.ui.period: time "2024-01-01" has no unit`},
		"yes":                  {in("soc: omap3430", "soc: omap3430\nrun: {dma_debug: yes}"), `x.yaml:4:18: run.dma_debug: expected true or false, found "yes"`},
		"octal":                {in("soc: omap3430", "soc: omap3430\nrun: {seed: 010}"), `x.yaml:4:13: run.seed: expected a plain integer, found "010"; write it without the leading 0`},
		"a tab":                {in("  - {name", "\t- {name"), "x.yaml:5:1: a tab in the indentation; YAML indents by spaces"},
		"params of params":     {m + "params:\n  p0: ${p1}\n" + lines(999, "  p%[1]d: \"\"\n"), `duplicate key "p0" in params`},
		"a chain of params":    {in("10ms", `"${p0}"`) + "params:\n" + chainOf(990) + "  p990: 10\n", `tasks.ui.period: time "10" has no unit`},
		"many params":          {m + "params:\n" + lines(2000, "  p%d: 1\n"), "more than 1000 parameters"},
		"an expectation":       {m + "expect: [\"a == " + strings.Repeat("9", 1<<20) + "\"]\n", "the value is too long"},
		"expectations":         {m + "expect:\n" + strings.Repeat("  - a = 1\n", 50_000), "expected METRIC OP VALUE"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			grown := allocated(func() { _, err = Load(conf.Source{Name: "x.yaml", Data: []byte(c.text)}, nil) })
			if err == nil {
				t.Fatal("accepted")
			}
			text := err.Error()
			if !strings.Contains(text, c.want) {
				t.Errorf("got\n%.1000s\nwant %s", text, c.want)
			}
			if len(text) > 64<<10 {
				t.Errorf("the message has %d bytes", len(text))
			}
			if bound := uint64(96<<20 + 40*len(c.text)); grown > bound {
				t.Errorf("%d MiB allocated for a file of %d KiB, want at most %d", grown>>20, len(c.text)>>10, bound>>20)
			}
		})
	}
}

// chainOf is n parameters, each made of the next.
func chainOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  p%d: ${p%d}\n", i, i+1)
	}
	return b.String()
}
