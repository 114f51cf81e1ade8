package explain

import (
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/internal/metric"
	"socsim/internal/scenario"
	"socsim/internal/strategy"
	"socsim/soc/presets"
)

// told is what is said of a word, blanks folded.
func told(t *testing.T, word string, opts Options) string {
	t.Helper()
	var b strings.Builder
	if err := Explain(&b, word, opts); err != nil {
		t.Errorf("%s: %v", word, err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestEverySettingIsToldWithItsMeaning(t *testing.T) {
	scenario.Describe().Walk(func(path string, s conf.Setting) {
		for _, word := range []string{path, short(path), strings.ReplaceAll(strings.ReplaceAll(path, "NAME", "some-thing"), "N.", "17.")} {
			text := told(t, word, Options{})
			if !strings.Contains(text, "setting "+path+" ") || !strings.Contains(text, strings.Join(strings.Fields(s.Doc), " ")) {
				t.Errorf("%s: %s", word, text)
			}
		}
	})
}

func TestEveryMetricStrategyAndPresetIsTold(t *testing.T) {
	for _, m := range metric.All() {
		if text := told(t, m.Name, Options{}); !strings.Contains(text, "metric "+m.Name+" "+m.Doc+" unit "+m.Unit) {
			t.Errorf("%s: %s", m.Name, text)
		}
	}
	for _, s := range strategy.Registered() {
		text := told(t, s.Name, Options{})
		if !strings.Contains(text, "strategy "+s.Name+" ") {
			t.Errorf("%s: %s", s.Name, text)
		}
		for _, p := range s.Params {
			if !strings.Contains(text, p.Name+"="+p.Default) {
				t.Errorf("%s: no parameter %s in %s", s.Name, p.Name, text)
			}
		}
	}
	for _, p := range places {
		for _, name := range (presets.Set{}).Names(p.namespace) {
			text := told(t, name, Options{})
			if !strings.Contains(text, "preset "+name+" ") || !strings.Contains(text, "kind "+p.namespace+" use "+p.path+": "+name+" values ") {
				t.Errorf("%s: %s", name, text)
			}
			if err := load(p.namespace, name).err; err != nil {
				t.Error(err)
			}
		}
	}
	if len(places) != len(presets.Namespaces()) {
		t.Errorf("presets of %v, want %v", places, presets.Namespaces())
	}
}

func TestPresetsSayTheirValuesAndWhereTheyComeFrom(t *testing.T) {
	for _, c := range []struct{ word, soc, want string }{
		{"soc.l2.ways", "", "omap3430 8 omap3530 8 omap4430 16"},
		{"soc.l2.ways", "omap3430", "omap3430 8 source: Cortex-A8 TRM"},
		{"omap3430.l2.ways", "", "omap3430 8 source: Cortex-A8 TRM"},
		{"l2.replacement", "omap3430", "omap3430 random estimated: recalled"},
		{"soc.dram.clock", "omap3430", "omap3430 166MHz source:"},
		{"soc.dram.clock", "", "lpddr-n900-166 166MHz"},
		{"soc.cpu.bus_limit", "omap3430", "omap3430 0B source: OMAP3 regulates no bandwidth"},
		{"soc.dram.preset", "omap3430", "omap3430 lpddr-n900-166"},
		{"stages.camera.sensor.width", "", "et8ek8-864x656 864"},
		{"acx565akm.width", "", "acx565akm 800 source: panel-sony-acx565akm.c"},
		{"soc.dram", "", "presets ddr"},
		{"run.duration", "omap3430", "default 1s"},
	} {
		if text := told(t, c.word, Options{SoC: c.soc}); !strings.Contains(text, c.want) {
			t.Errorf("%s of %q: no %q in %s", c.word, c.soc, c.want, text)
		}
	}
	if text := told(t, "soc.l2.ways", Options{SoC: "omap3430"}); strings.Contains(text, "omap4430") {
		t.Errorf("another chip: %s", text)
	}
	if text := told(t, "soc.preset", Options{SoC: "omap3430"}); strings.Contains(text, "omap3430 omap3430") {
		t.Errorf("a preset's own name as its value: %s", text)
	}
	if text := told(t, "stages.every", Options{SoC: "omap3430"}); strings.Contains(text, "omap3430") {
		t.Errorf("a setting of no chip has a value: %s", text)
	}
}

func TestAWordOfSeveralKindsIsToldOfEach(t *testing.T) {
	for word, want := range map[string][]string{
		"dram":             {"soc.dram SDRAM controller and device timings.", "metrics that begin with dram: ", "dram.activates count Rows opened."},
		"maintenance.time": {"metric maintenance.time ", "metrics that begin with maintenance.time: "},
		"ways":             {"settings that end in ways: soc.l1d.ways Associativity. soc.l2.ways Associativity."},
		"slowdown":         {"metrics that end in slowdown: task.NAME.slowdown"},
		"stages.faces":     {"setting stages.NAME One of stages."},
		"script.0":         {"setting script.N One of script."},
	} {
		text := told(t, word, Options{})
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %q in %s", word, w, text)
			}
		}
	}
}

func TestAnUnknownWordNamesTheNearestOfEachKind(t *testing.T) {
	for _, c := range []struct{ word, soc, want string }{
		{"evry", "", `nothing is called "evry"; did you mean the setting stages.every?`},
		{"stages.faces.evry", "", "did you mean the setting stages.every?"},
		{"soc.l2.wayz", "", "did you mean the setting soc.l2.ways?"},
		{"l2.sise", "", "did you mean the setting soc.l2.size?"},
		{"soc.l2.ways.x", "", "did you mean the setting soc.l2.ways?"},
		{"frames.droped", "", "did you mean the metric frames.dropped?"},
		{"dram.bytes_red.camera", "", "did you mean the metric dram.bytes_read.camera?"},
		{"nvmpa", "", "did you mean the strategy nvmap?"},
		{"omap343", "", "did you mean the preset omap3430?"},
		{"qwertz", "", "no setting, metric, strategy or preset"},
		{"", "", `nothing is called ""`},
		{"stages. x", "", `nothing is called "stages. x"`},
		{"soc.l2.ways", "omap3431", `unknown soc preset "omap3431"; there are am335x, `},
	} {
		var b strings.Builder
		err := Explain(&b, c.word, Options{SoC: c.soc})
		if err == nil || !strings.Contains(err.Error(), c.want) || b.Len() > 0 {
			t.Errorf("%q: %v, want %s\n%s", c.word, err, c.want, b.String())
		}
	}
}

func TestEveryCompletionCanBeExplained(t *testing.T) {
	words := Words()
	if len(words) < 450 {
		t.Errorf("%d words", len(words))
	}
	for _, w := range words {
		told(t, w, Options{})
	}
}
