package schema_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"socsim/internal/conf"
	"socsim/internal/scenario"
	"socsim/scenarios"
)

// base is a scenario in which each kind of value occurs.
const base = `apiVersion: socsim/v1
name: base
soc: {preset: omap3430, coherence: armv7, dram: {preset: lpddr-n900-166, burst: 8}, l2: {replacement: lru, ways: 8}, memory: {fragmentation: 0.5}}
run: {duration: 50ms, warmup: 1ms, seed: 1, dma_debug: false}
strategy: nvmap(inner=1MiB)
buffers:
  preview: {count: 4, size: 864x656, format: uyvy, exporter: vb2-sg, memory: pages}
  screen: {count: 2, size: 800x480, format: xrgb8888, exporter: gem, memory: contiguous, cpu_mapping: none}
stages:
  - {name: camera, device: isp, sensor: et8ek8-864x656, output: preview, hints: [no-cache-clean]}
  - {name: faces, device: cpu, input: preview, every: 2, read: {fraction: 25%, access: 4B, compute: 2cycles/B}}
  - {name: compositor, device: gpu, input: preview, output: screen}
  - {name: panel, device: display, input: screen, panel: {preset: acx565akm}, rotation: 0, window: full}
tasks:
  - {name: ui, period: 10ms, work: 3ms, working_set: 128KiB, access: random}
expect:
  - frames.dropped == 0
`

func TestTheBaseIsValidAndLoads(t *testing.T) {
	v, err := value([]byte(base))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled(t).Validate(v); err != nil {
		t.Error(err)
	}
	if _, err := scenario.Load(conf.Source{Name: "base.yaml", Data: []byte(base)}, nil); err != nil {
		t.Error(err)
	}
}

func TestWhatIsWrongIsRefusedByTheDecoderAndTheSchema(t *testing.T) {
	s := compiled(t)
	for _, c := range []struct{ old, wrong string }{
		{"apiVersion: socsim/v1\n", ""},
		{"apiVersion: socsim/v1", "apiVersion: socsim/v2"},
		{"name: base", "nmae: base"},
		{"name: base\n", ""},
		{"name: base", "name: [base]"},
		{"name: base", "name:"},
		{"preset: omap3430", "preset: omap3431"},
		{"soc: {preset: omap3430, coherence: armv7, dram: {preset: lpddr-n900-166, burst: 8}, l2: {replacement: lru, ways: 8}, memory: {fragmentation: 0.5}}", "soc: omap"},
		{"soc: {preset: omap3430, coherence: armv7, dram: {preset: lpddr-n900-166, burst: 8}, l2: {replacement: lru, ways: 8}, memory: {fragmentation: 0.5}}", "soc: 3430"},
		{"soc: {preset: omap3430, coherence: armv7, dram: {preset: lpddr-n900-166, burst: 8}, l2: {replacement: lru, ways: 8}, memory: {fragmentation: 0.5}}\n", ""},
		{"coherence: armv7", "coherence: armv8"},
		{"preset: lpddr-n900-166", "preset: lpddr"},
		{"burst: 8", "burst: 32"},
		{"burst: 8", "burst: BL3"},
		{"replacement: lru", "replacement: LRU"},
		{"replacement: lru", "policy: lru"},
		{"ways: 8", "ways: eight"},
		{"ways: 8", "ways: \"8\""},
		{"ways: 8", "ways: 8.5"},
		{"ways: 8", "ways: 8cycles"},
		{"fragmentation: 0.5", "fragmentation: 50"},
		{"fragmentation: 0.5", "fragmentation: 150%"},
		{"fragmentation: 0.5", "fragmentation: -0.5"},
		{"fragmentation: 0.5", "fragmentation: half"},
		{"duration: 50ms", "duration: 50"},
		{"duration: 50ms", "duration: 50min"},
		{"duration: 50ms", "duration: -50ms"},
		{"duration: 50ms", "duration: 5e1ms"},
		{"duration: 50ms", "duration: .5s"},
		{"duration: 50ms", "duration: {ms: 50}"},
		{"seed: 1", "seed: -1"},
		{"dma_debug: false", "dma_debug: yes"},
		{"dma_debug: false", "dma_debug: \"false\""},
		{"dma_debug: false", "dma_debug: 0"},
		{"strategy: nvmap(inner=1MiB)", "strategy: [range]"},
		{"  preview: {", "  pre view: {"},
		{"  preview: {", "  1: {"},
		{"  preview: {", "  preview: {name: preview, "},
		{"size: 864x656, ", ""},
		{"size: 864x656", "size: 864"},
		{"size: 864x656", "size: 864x0"},
		{"size: 864x656", "size: 864 x 656"},
		{"format: uyvy", "format: yuv"},
		{"count: 4", "count: true"},
		{"memory: pages}", "memory: pages, colour: red}"},
		{"buffers:\n  preview:", "buffers:\n- preview:"},
		{"name: camera, ", ""},
		{"name: camera", "name: \"1\""},
		{"name: camera", "name: the camera"},
		{"device: isp, ", ""},
		{"device: isp", "device: ips"},
		{"sensor: et8ek8-864x656", "sensor: et8ek8"},
		{"sensor: et8ek8-864x656", "sensor: {preset: et8ek8-864x656, hight: 656}"},
		{"hints: [no-cache-clean]", "hints: no-cache-clean"},
		{"hints: [no-cache-clean]", "hints: [no-clean]"},
		{"every: 2", "evry: 2"},
		{"read: {", "reed: {"},
		{"access: 4B", "access: 4"},
		{"compute: 2cycles/B", "compute: 2cycles"},
		{"rotation: 0", "rotation: 45"},
		{"window: full", "window: half"},
		{"period: 10ms, ", ""},
		{"access: random}", "access: zigzag}"},
		{"- frames.dropped == 0", "- frames.dropped = 0"},
		{"- frames.dropped == 0", "- frames.dropped: 0"},
		{"- frames.dropped == 0", "- frames.dropped == none"},
		{"expect:\n  - ", "expect: "},
	} {
		text := strings.Replace(base, c.old, c.wrong, 1)
		if text == base {
			t.Errorf("%q is not in the base", c.old)
			continue
		}
		if _, err := scenario.Load(conf.Source{Name: "wrong.yaml", Data: []byte(text)}, nil); err == nil {
			t.Errorf("%q: it loads", c.wrong)
		}
		if v, err := value([]byte(text)); err == nil && s.Validate(v) == nil {
			t.Errorf("%q: the schema takes it", c.wrong)
		}
	}
}

func TestOtherSpellingsAreTakenByTheDecoderAndTheSchema(t *testing.T) {
	s := compiled(t)
	for _, c := range []struct{ old, other string }{
		{"name: base", "name: 3430"},
		{"preset: omap3430, coherence", "preset: \"omap3430\", coherence"},
		{"burst: 8", "burst: BL8"},
		{"burst: 8", "burst: \"8\""},
		{"ways: 8", "ways: 0x8"},
		{"fragmentation: 0.5", "fragmentation: 50%"},
		{"fragmentation: 0.5", "fragmentation: 1"},
		{"fragmentation: 0.5", "fragmentation: 0"},
		{"fragmentation: 0.5", "fragmentation: 12.5 %"},
		{"duration: 50ms", "duration: 0.05 s"},
		{"duration: 50ms", "duration: 50000µs"},
		{"rotation: 0", "rotation: \"0\""},
		{"window: full", "window: 800x480+0+0"},
		{"strategy: nvmap(inner=1MiB)", "strategy: range"},
		{"access: random", "access: sequential, touch_every: 1cycle"},
		{"- frames.dropped == 0", "- latency.capture_to_display.p50<=99.5ms"},
		{"- {name: ui,", "- {name: 2d-ui,"},
		{"tasks:\n", "tasks: &tasks\n"},
		{"run: {duration: 50ms, ", "run:\n  <<: {frames: 3}\n  duration: 50ms\n  "},
	} {
		text := strings.Replace(base, c.old, c.other, 1)
		if strings.HasPrefix(c.other, "run:\n") {
			text = strings.Replace(text, "warmup: 1ms, seed: 1, dma_debug: false}", "warmup: 1ms", 1)
		}
		if text == base {
			t.Errorf("%q is not in the base", c.old)
		}
		if _, err := scenario.Load(conf.Source{Name: "other.yaml", Data: []byte(text)}, nil); err != nil {
			t.Errorf("%q: %v", c.other, err)
		}
		v, err := value([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("%q: %v", c.other, err)
		}
	}
}

// composed is a scenario that lies above another and uses parameters for each kind of value.
const composed = `include: [camera-preview]
name: composed-${n}
params: {n: 4, size: 864x656, chip: omap3430, flag: true, share: 0.5, word: uyvy}
soc: {preset: "${chip}", l2: {replacement: lru}, memory: {fragmentation: "${share}"}}
run: {dma_debug: "${flag}", duration: "${n}0ms"}
buffers:
  preview: {count: "${n}", size: "${size}", format: "${word}"}
stages:
  - {name: faces, every: "${n}", read: {fraction: "${share}"}}
  - {name: camera, sensor: "et8ek8-${size}"}
expect:
  - frames.dropped <= ${n}
`

func TestWhatIsComposedIsTakenByTheDecoderAndTheSchema(t *testing.T) {
	s := compiled(t)
	for _, text := range []string{composed, strings.Replace(composed, "[camera-preview]", "camera-preview", 1), "include: cpu-filter\n", "include: cpu-filter\nparams: {}\n"} {
		if _, err := scenario.Load(conf.Source{Name: "composed.yaml", Data: []byte(text)}, nil); err != nil {
			t.Error(err)
		}
		v, err := value([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct{ old, wrong string }{
		{"include: [camera-preview]", "include: {file: camera-preview}"},
		{"include: [camera-preview]", "include: [[camera-preview]]"},
		{"include: [camera-preview]", "included: camera-preview"},
		{"include: [camera-preview]\n", ""},
		{"params: {n: 4", "params: {n: [4]"},
		{"params: {n: 4", "params: {a b: 4, n: 4"},
		{"count: \"${n}\"", "count: \"$n\""},
		{"count: \"${n}\"", "count: \"{n}\""},
		{"dma_debug: \"${flag}\"", "dma_debug: flag"},
		{"format: \"${word}\"", "format: word"},
		{"name: faces, ", ""},
		{"every: ", "evry: "},
	} {
		text := strings.Replace(composed, c.old, c.wrong, 1)
		if text == composed {
			t.Errorf("%q is not in the text", c.old)
		}
		if _, err := scenario.Load(conf.Source{Name: "wrong.yaml", Data: []byte(text)}, nil); err == nil {
			t.Errorf("%q: it loads", c.wrong)
		}
		if v, err := value([]byte(text)); err == nil && s.Validate(v) == nil {
			t.Errorf("%q: the schema takes it", c.wrong)
		}
	}
}

// beyond matches errors of decoding that no schema can find.
var beyond = regexp.MustCompile(`\$\{|parameter|include|it is written|duplicate|too large|finer than|more than|out of range|cannot name an item|expected a plain integer, found "[0-9]+\.0+"|expected a plain integer.*e`)

// pool are the scalars that a mutation puts anywhere.
var pool = []string{
	"5", "0", "-1", "2", "1.5", "0.5", "true", "false", "null", "~", "yes", "\"5\"", "\"true\"", "5ms", "64KiB", "166MHz", "25%", "25 %", "101%", "2cycles", "2cycles/B", "864x656", "0x0", "full", "auto",
	"range", "cached", "lru", "90", "BL8", "3", "omap3430", "acx565akm", "uyvy", "isp", "[]", "{}", "[5]", "{a: 1}", "a b", "''", "0x10", "1e3", "2026-01-01", "99999999999GiB", "1.5ps", "a.b == 1", "a.b=1", ".inf",
	"${n}", "x${n}", "\"${n}\"", "${none}", "$${n}", "$n",
}

// mutate changes one thing of a tree.
func mutate(r *rand.Rand, root *yaml.Node) {
	var nodes []*yaml.Node
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		nodes = append(nodes, n)
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(root.Content[0])
	n := nodes[r.IntN(len(nodes))]
	switch {
	case n.Kind == yaml.ScalarNode || r.IntN(4) == 0:
		var x yaml.Node
		if err := yaml.Unmarshal([]byte(pool[r.IntN(len(pool))]), &x); err != nil {
			panic(err)
		}
		*n = *x.Content[0]
	case len(n.Content) == 0:
	case n.Kind == yaml.MappingNode:
		k := 2 * r.IntN(len(n.Content)/2)
		if r.IntN(2) == 0 {
			n.Content = slices.Delete(n.Content, k, k+2)
			return
		}
		n.Content[k].Value = strings.Replace(n.Content[k].Value, "e", "a", 1)
	default:
		k := r.IntN(len(n.Content))
		n.Content = slices.Delete(n.Content, k, k+1)
	}
}

// agree reports whether decoder and schema say the same of a text, as far as the schema can tell.
func agree(t interface{ Errorf(string, ...any) }, validate func(any) error, text []byte) (valid bool) {
	v, err := value(text)
	if err != nil {
		return false
	}
	refused := validate(v)
	decoded := decode(text)
	if decoded == nil {
		if _, err := scenario.Load(conf.Source{Name: "x.yaml", Data: text}, nil); err == nil && refused != nil {
			t.Errorf("it loads, and the schema refuses it: %v\n%s", refused, text)
		}
		return refused == nil
	}
	if refused == nil && !beyond.MatchString(decoded.Error()) {
		t.Errorf("the schema takes it, and decoding says: %v\n%s", decoded, text)
	}
	return false
}

func TestDecoderAndSchemaAgreeOnMutatedScenarios(t *testing.T) {
	s := compiled(t)
	texts := [][]byte{[]byte(base), []byte(composed)}
	for _, name := range scenarios.Names() {
		text, _ := scenarios.Read(name)
		texts = append(texts, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := texts[rapid.IntRange(0, len(texts)-1).Draw(t, "text")]
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var root yaml.Node
		if err := yaml.Unmarshal(text, &root); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			mutate(r, &root)
		}
		changed, err := yaml.Marshal(&root)
		if err != nil {
			t.Skip(err)
		}
		agree(t, s.Validate, changed)
	})
}
