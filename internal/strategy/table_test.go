package strategy

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
	"socsim/scenarios"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/flush/flushtest"
)

const head = `apiVersion: socsim/v1
name: mine
doc: Mine.
source: a test
`

// load reads a table: the rules, and what stands before them if they do not begin with a key of the table.
func load(rules string) (flush.Info, error) {
	if !strings.HasPrefix(rules, "default:") {
		rules = "default: range\n" + rules
	}
	return Load(conf.Source{Name: "mine.yaml", Data: []byte(head + rules)})
}

func mustLoad(t *testing.T, rules string) dmaapi.Policy {
	t.Helper()
	info, err := load(rules)
	if err != nil {
		t.Fatal(err)
	}
	flushtest.Contract(t, info)
	return info.New()
}

func decides(t *testing.T, p dmaapi.Policy, q dmaapi.Question, want dmaapi.Answer) {
	t.Helper()
	if diff := cmp.Diff(want, p.Decide(&q)); diff != "" {
		t.Errorf("%+v:\n%s", q, diff)
	}
}

func TestTheFirstRuleThatMatchesDecides(t *testing.T) {
	p := mustLoad(t, `
rules:
  - {on: [to-device], direction: [FROM_DEVICE], do: nothing}
  - {on: [for-device], profile: [clean], do: clean+invalidate}
  - {on: [for-device, to-cpu], do: clean}
`)
	q := toDevice(dmaapi.Clean, 1)
	decides(t, p, q, by(dmaapi.CleanInvalidate))
	q.Direction = dmaapi.FromDevice
	decides(t, p, q, silent)
	decides(t, p, toDevice(dmaapi.Invalidate, 1), by(dmaapi.Clean))
	decides(t, p, where(dmaapi.MapDevice, dmaapi.Clean, 1), by(dmaapi.CleanInvalidate))
	decides(t, p, toCPU(dmaapi.Invalidate, 1), by(dmaapi.Clean))
}

func TestWhatNoRuleMatchesIsDoneByDefault(t *testing.T) {
	for text, want := range map[string]dmaapi.Operation{"range": dmaapi.Invalidate, "nothing": dmaapi.Nothing} {
		p := mustLoad(t, "default: "+text+"\nrules: [{on: [to-device], do: clean}]\n")
		decides(t, p, toCPU(dmaapi.Invalidate, 1), by(want))
		decides(t, p, where(dmaapi.UnmapDevice, dmaapi.Invalidate, 1), by(want))
		decides(t, p, batch(dmaapi.Clean, 1), silent)
		decides(t, p, toDevice(dmaapi.Nothing, 1), by(dmaapi.Clean))
	}
}

func TestHintsMustAllBeGiven(t *testing.T) {
	p := mustLoad(t, "rules: [{on: [to-device], hints: [NO_CACHE_CLEAN, NO_CACHE_INVALIDATE], do: nothing}]\n")
	for h, want := range map[dmaapi.Hints]dmaapi.Operation{
		0: dmaapi.Clean, dmaapi.NoCacheClean: dmaapi.Clean, dmaapi.NoCacheClean | dmaapi.NoCacheInvalidate: dmaapi.Nothing,
		dmaapi.NoCacheClean | dmaapi.NoCacheInvalidate | dmaapi.SkipCPUSync: dmaapi.Nothing,
	} {
		q := toDevice(dmaapi.Clean, 1)
		q.Hints = h
		decides(t, p, q, by(want))
	}
}

func TestAttributesTrackingAndForceAreChosenWhereBuffersAreMade(t *testing.T) {
	p := mustLoad(t, `
rules:
  - {on: [allocate], asked: [write-through], attr: write-combined}
  - {on: [allocate], size: {above: 64KiB}, force: true}
  - {on: [map-cpu], track: true}
  - {on: [cpu-fault], do: invalidate}
`)
	q := where(dmaapi.Allocate, dmaapi.Nothing, 64*kib)
	q.Attr = cpu.Cached
	decides(t, p, q, silent)
	q.Length++
	decides(t, p, q, dmaapi.Answer{Force: true})
	q.Attr = cpu.WriteThrough
	decides(t, p, q, dmaapi.Answer{Attr: cpu.WriteCombine})
	q = where(dmaapi.MapCPU, dmaapi.Nothing, 1)
	q.Attr = cpu.Cached
	decides(t, p, q, dmaapi.Answer{Track: true})
	q.Attr = cpu.NoMapping
	decides(t, p, q, silent)
	decides(t, p, where(dmaapi.CPUFault, dmaapi.Nothing, 1), by(dmaapi.Invalidate))
}

func TestBoundsOfBatchesCountBuffers(t *testing.T) {
	p := mustLoad(t, `
parameters:
  many: {type: count, default: 3, doc: Many.}
rules: [{on: [batch], buffers: {at_least: many, below: 2*many}, do: clean, extent: whole}]
`)
	for n, want := range map[int]dmaapi.Answer{2: silent, 3: {Op: dmaapi.Clean, Extent: dmaapi.Whole}, 5: {Op: dmaapi.Clean, Extent: dmaapi.Whole}, 6: silent} {
		q := batch(dmaapi.Clean, 1)
		q.Buffers = n
		decides(t, p, q, want)
	}
}

func TestParametersSwitchRules(t *testing.T) {
	info, err := load(`
parameters:
  eager: {type: bool, default: false, doc: Eager.}
  by: {type: choice, choices: [line, way], default: line, doc: By what.}
  from: {type: size, default: 0B, zero_means_off: true, doc: From where.}
rules:
  - {on: [to-device], if: eager, do: clean+invalidate}
  - {on: [to-device], if: by = way, do: clean, extent: whole}
  - {on: [to-device], if: not eager, size: {at_least: "min(from, 64KiB)"}, do: clean, defer: true}
  - {on: [to-device], if: by != line, do: invalidate}
  - {on: [to-device], do: nothing}
`)
	if err != nil {
		t.Fatal(err)
	}
	flushtest.Contract(t, info)
	for _, c := range []struct {
		set  string
		want dmaapi.Answer
	}{
		{"", silent},
		{"eager=true", by(dmaapi.CleanInvalidate)},
		{"by=way", dmaapi.Answer{Op: dmaapi.Clean, Extent: dmaapi.Whole}},
		{"from=1KiB", dmaapi.Answer{Op: dmaapi.Clean, Defer: true}},
		{"from=1MiB", silent},
	} {
		i := info
		if name, value, ok := strings.Cut(c.set, "="); ok {
			if i, err = i.With(name, value); err != nil {
				t.Fatal(err)
			}
		}
		decides(t, i.New(), toDevice(dmaapi.Clean, 4*kib), c.want)
	}
}

func TestExpressionsAreComputed(t *testing.T) {
	params := []flush.Param{{Name: "inner", Type: flush.Size, Default: "2MiB"}, {Name: "pages", Type: flush.Count, Default: "8"}, {Name: "on", Type: flush.Bool, Default: "true"}}
	settings := flush.Define(flush.Info{Name: "x", Params: params}, nil).Settings()
	for text, want := range map[string]int64{
		"64KiB": 64 * kib, "inner": 2 * mib, "inner/4": 512 * kib, "pages*4KiB": 32 * kib, "4KiB*pages": 32 * kib, "2*3*4": 24, "100/7": 14, " ( inner / 2 ) * pages ": 8 * mib,
		"max(inner, 4MiB)": 4 * mib, "min(inner,4MiB)": 2 * mib, "max(pages, min(3, 9))": 8, "1024GiB*1048576": 1 << 60, "1024GiB*1048576*1048576": most, "inner*2/3": 4 * mib / 3,
	} {
		e, err := parseExpression(text, params)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, _ := e.eval(settings, nil); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"": "missing", "innr": `unknown parameter "innr"; the table's parameters: inner, pages, on; did you mean "inner"?`, "on": "is a bool", "inner*inner": "a size times a size",
		"inner/pages": "plain number", "inner/0": "plain number", "inner/4KiB": "plain number", "64XiB": "unknown unit", "max(inner)": "needs two arguments", "max(inner, 4)": "a size and a count",
		"(inner": "a ) is missing", "inner)": `unexpected ")"`, "inner 4": "unexpected", "max(inner, 4KiB": "a ) is missing", "1 + 2": "unexpected", strings.Repeat("(", 50) + "1": "inside each other",
	} {
		if _, err := parseExpression(text, params); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one that says %q", text, err, want)
		}
	}
}

func TestMistakesInATableAreReportedWithTheirPlaces(t *testing.T) {
	const to = "rules: [{on: [to-device], do: clean}]\n"
	for _, c := range []struct{ name, text, want string }{
		{"an unknown key", "rules:\n  - {on: [to-device], doo: clean}\n", `mine.yaml:7:23: unknown key "doo" in rules.0; did you mean "do"?`},
		{"an unknown event", "rules:\n  - {on: [to-devise], do: clean}\n", `did you mean "to-device"?`},
		{"an event at which nothing can be done", "rules:\n  - {on: [free], do: clean}\n", "expected one of allocate"},
		{"an unknown operation", "rules:\n  - {on: [to-device], do: clean+inv}\n", "mine.yaml:7:27: rules.0.do"},
		{"no default", "", `missing key "default"`},
		{"another version", strings.Replace(head, "v1", "v2", 1) + "default: range\n" + to, `mine.yaml:1:13: apiVersion: unknown version "socsim/v2"`},
		{"a name that is none", strings.Replace(head, "mine", "My Table", 1) + "default: range\n" + to, "cannot name a strategy"},
		{"the name all", strings.Replace(head, "mine", "all", 1) + "default: range\n" + to, "cannot name a strategy"},
		{"no rules", "rules: []\n", "there are none"},
		{"a rule without events", "rules: [{on: [], do: clean}]\n", "needs an event"},
		{"an event twice", "rules: [{on: [to-device, for-device], do: clean}]\n", "to-device is there twice"},
		{"a rule that does nothing", "rules: [{on: [to-device]}]\n", "the rule does nothing"},
		{"an extent of nothing", "rules: [{on: [to-device], do: nothing, extent: whole}]\n", "there is no operation"},
		{"a batch by range", "rules: [{on: [batch], do: clean}]\n", "write extent: whole"},
		{"the profile at a fault", "rules: [{on: [cpu-fault], do: profile}]\n", "name the operation"},
		{"an attribute at a hand-over", "rules: [{on: [allocate, to-device], attr: uncached}]\n", "rules.0.attr: means nothing at to-device"},
		{"maintenance at allocation", "rules: [{on: [allocate], do: clean}]\n", "rules.0.do: means nothing at allocate"},
		{"deferring a batch", "rules: [{on: [batch], do: clean, extent: whole, defer: true}]\n", "rules.0.defer: means nothing at batch"},
		{"tracking at allocation", "rules: [{on: [allocate], track: true}]\n", "rules.0.track: means nothing at allocate"},
		{"force at a mapping", "rules: [{on: [map-cpu], force: true}]\n", "rules.0.force: means nothing at map-cpu"},
		{"hints of a batch", "rules: [{on: [batch], hints: [NO_CACHE_CLEAN], do: nothing}]\n", "rules.0.hints: means nothing at batch"},
		{"buffers of a hand-over", "rules: [{on: [to-device], buffers: {at_least: 2}, do: clean}]\n", "rules.0.buffers: means nothing at to-device"},
		{"taking a mapping away", "rules: [{on: [map-cpu], attr: none}]\n", "cannot take the mapping away"},
		{"bounds without a bound", "rules: [{on: [to-device], size: {}, do: clean}]\n", "at_least, above or below"},
		{"two lower bounds", "rules: [{on: [to-device], size: {at_least: 1KiB, above: 1KiB}, do: clean}]\n", "not both"},
		{"a count for a size", "rules: [{on: [to-device], size: {at_least: 4}, do: clean}]\n", "want a size such as 64KiB"},
		{"a size for a count", "rules: [{on: [batch], buffers: {below: 4KiB}, do: nothing}]\n", "want a count"},
		{"an unknown parameter in a bound", "parameters:\n  inner: {type: size, default: 1KiB, doc: I.}\nrules:\n  - {on: [to-device], size: {at_least: iner}, do: clean}\n", `did you mean "inner"?`},
		{"an unknown parameter in a condition", "rules: [{on: [to-device], if: eager, do: clean}]\n", `unknown parameter "eager"; there are none`},
		{"a condition of the wrong type", "parameters:\n  inner: {type: size, default: 1KiB, doc: I.}\nrules: [{on: [to-device], if: inner, do: clean}]\n", "inner is a size"},
		{"a choice that is none", "parameters:\n  by: {type: choice, choices: [line, way], default: line, doc: B.}\nrules: [{on: [to-device], if: by = wey, do: clean}]\n", `did you mean "way"?`},
		{"a parameter that no rule uses", "parameters:\n  inner: {type: size, default: 1KiB, doc: I.}\n" + to, "parameters.inner: no rule uses it"},
		{"a default that is no value", "parameters:\n  on: {type: bool, default: maybe, doc: O.}\nrules: [{on: [to-device], if: on, do: clean}]\n", "want true or false"},
		{"choices of a size", "parameters:\n  inner: {type: size, choices: [a], default: 1KiB, doc: I.}\n" + to, "choices go with type: choice"},
		{"a choice that could not be written", "parameters:\n  by: {type: choice, choices: [line, \"a,b\"], default: line, doc: B.}\nrules: [{on: [to-device], if: by = line, do: clean}]\n", `"a,b": a choice has`},
		{"a choice twice", "parameters:\n  by: {type: choice, choices: [line, line], default: line, doc: B.}\nrules: [{on: [to-device], if: by = line, do: clean}]\n", "is there once"},
		{"a switch that zero turns off", "parameters:\n  on: {type: bool, default: true, zero_means_off: true, doc: O.}\nrules: [{on: [to-device], if: on, do: clean}]\n", "only a size or a count"},
		{"a parameter named max", "parameters:\n  max: {type: size, default: 1KiB, doc: I.}\n" + to, "cannot name a parameter"},
		{"a rule that is never reached", "rules:\n  - {on: [for-device], do: clean}\n  - {on: [to-device], direction: [TO_DEVICE], do: nothing}\n", "mine.yaml:8:5: rules.1: never reached: rule 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			switch {
			case strings.HasPrefix(c.text, "apiVersion"):
				_, err = Load(conf.Source{Name: "mine.yaml", Data: []byte(c.text)})
			case c.text == "":
				_, err = Load(conf.Source{Name: "mine.yaml", Data: []byte(head + to)})
			default:
				_, err = load(c.text)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "mine.yaml:") {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}

func TestAllMistakesOfATableAreReportedAtOnce(t *testing.T) {
	_, err := load("rules:\n  - {on: [to-device]}\n  - {on: [allocate], do: clean}\n  - {on: [batch], do: clean}\n")
	if n := strings.Count(err.Error(), "mine.yaml:"); n != 3 {
		t.Errorf("%d mistakes, want 3:\n%v", n, err)
	}
}

// FuzzLoad checks that no table makes Load panic, that its errors can be printed, and that what it takes keeps the contract.
func FuzzLoad(f *testing.F) {
	for _, name := range scenarios.Strategies() {
		data, _ := scenarios.ReadStrategy(name)
		f.Add(data)
	}
	f.Add([]byte(head + "default: nothing\nparameters:\n  by: {type: choice, choices: [a, b], default: a, doc: B.}\nrules:\n  - {on: [map-cpu], if: by != a, asked: [cached], attr: uncached, track: true}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := Load(conf.Source{Name: "f.yaml", Data: data})
		if err != nil {
			if text := err.Error(); text == "" || utf8.Valid(data) && !utf8.ValidString(text) {
				t.Fatalf("error %q", text)
			}
			return
		}
		p := info.New()
		for _, q := range flushtest.Questions() {
			a := p.Decide(&q)
			if why := flushtest.Sense(&q, a); why != "" {
				t.Fatalf("%+v: %s: %+v\n%s", q, why, a, data)
			}
		}
	})
}
