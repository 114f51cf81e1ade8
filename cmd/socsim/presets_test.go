package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/internal/scenario"
	"socsim/sim/units"
	"socsim/soc"
	"socsim/soc/presets"
)

// describeCaches says which caches a chip has.
func describeCaches(c soc.Config) string {
	level := func(name string, x soc.Cache) string {
		return fmt.Sprintf("%s %v, %d ways of %v", name, x.Size, x.Ways, x.Line)
	}
	text := []string{level("L1 "+string(must(c.L1D.Index.MarshalText())), c.L1D.Cache)}
	for _, x := range []struct {
		name string
		soc.LowerLevel
	}{{"L2", c.L2}, {"L3", c.LLC}} {
		if x.Size == 0 {
			continue
		}
		if x.Outer {
			x.name = "outer " + x.name
		}
		text = append(text, level(x.name, x.Cache))
	}
	if c.SystemCache.Size > 0 {
		text = append(text, fmt.Sprintf("system cache %v", c.SystemCache.Size))
	}
	return strings.Join(text, "; ")
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}

func TestTheDocsListEveryChip(t *testing.T) {
	var b strings.Builder
	b.WriteString("| chip | what it is | clock | caches | memory | coherence | estimated | |\n|---|---|---|---|---|---|---|---|\n")
	for _, name := range (presets.Set{}).Names("soc") {
		r, err := preset{"soc", name}.resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := r.value.(soc.Config)
		estimated, note := 0, ""
		for _, p := range r.provenance {
			if p.Estimated {
				estimated++
			}
		}
		if c.Illustrative {
			note = "illustrative"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %v | %s | %v, `%s` | `%s` | %d of %d | %s |\n",
			name, presets.Describe("soc", name), units.Hertz(c.CPU.Clock), describeCaches(c), c.Memory.Size, c.DRAM.Preset, c.Coherence, estimated, len(r.provenance), note)
	}
	presetTable(t, "<!-- table: chips -->", b.String())
}

func TestTheDocsListEveryPartOfAChip(t *testing.T) {
	var b strings.Builder
	b.WriteString("| preset | what it is |\n|---|---|\n")
	for _, ns := range presets.Namespaces()[1:] {
		for _, name := range (presets.Set{}).Names(ns) {
			fmt.Fprintf(&b, "| `%s/%s` | %s |\n", ns, name, presets.Describe(ns, name))
		}
	}
	presetTable(t, "<!-- table: parts -->", b.String())
}

// presetTable compares a table of the docs with what the presets say now.
func presetTable(t *testing.T, marker, want string) {
	t.Helper()
	text := readDoc(t, scenarioDoc)
	start, end := section(t, text, marker)
	if text[start:end] == want {
		return
	}
	if *update {
		if err := os.WriteFile(scenarioDoc, []byte(text[:start]+want+text[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("docs/scenario.md has another %s; run go test ./cmd/socsim -update and review the difference", marker)
}

func TestTheChipOfTheDocsIsAZynqWithOtherCaches(t *testing.T) {
	text := readDoc(t, scenarioDoc)
	start, end := section(t, text, "<!-- example: chips -->")
	code := strings.TrimSuffix(strings.TrimPrefix(text[start:end], "```yaml\n"), "```\n")
	l, err := scenario.Load(conf.Source{Name: "docs/scenario.md", Data: []byte(code)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.Illustrative == nil || l.SoC.L2.Size != 256<<10 || l.SoC.L2.Ways != 8 || l.SoC.DRAM.CL != 8 || l.SoC.DRAM.CWL != 6 || l.Stages[0].Sensor.FrameTotal != 700 || l.Stages[0].Sensor.Width != 864 {
		t.Errorf("L2 %+v, memory %+v, sensor %+v", l.SoC.L2, l.SoC.DRAM, l.Stages[0].Sensor)
	}
}
