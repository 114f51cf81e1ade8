package check

import (
	"math/big"
	"strings"
	"sync"
	"testing"

	"socsim/internal/conf"
	"socsim/internal/run"
	"socsim/internal/scenario"
	"socsim/internal/strategy"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
)

// policy is a strategy of one function.
type policy func(q *dmaapi.Question) dmaapi.Answer

func (p policy) Decide(q *dmaapi.Question) dmaapi.Answer { return p(q) }

// defined makes a strategy of functions, a new one for each run.
func defined(name string, newPolicy func() policy) flush.Info {
	return flush.Define(flush.Info{Name: name}, func(flush.Settings) dmaapi.Policy { return newPolicy() })
}

// preview is camera-preview for ten frames.
var preview = []string{"run.duration=340ms", "run.warmup=150ms"}

// attachments is a driver whose buffer three devices have mapped, and whose CPU reads it within a bracket.
const attachments = `apiVersion: socsim/v1
name: attachments
soc: omap3430
run: {duration: 10ms, warmup: 1ms}
strategy: range
buffers:
  frame: {count: 1, size: 320x240, format: rgb565, exporter: vb2-sg, memory: pages, cpu_mapping: cached}
script:
  - {do: attach, device: camera, buffer: frame}
  - {do: attach, device: encoder, buffer: frame}
  - {do: attach, device: scaler, buffer: frame}
  - {do: map, device: camera, buffer: frame, direction: FROM_DEVICE}
  - {do: map, device: encoder, buffer: frame, direction: FROM_DEVICE}
  - {do: map, device: scaler, buffer: frame, direction: FROM_DEVICE}
  - {do: begin-cpu-access, buffer: frame, access: read}
  - {do: cpu-read, device: camera, buffer: frame}
  - {do: end-cpu-access, buffer: frame, access: read}
`

// made keeps the baselines, so that regressions from the same state share it.
var made sync.Map

// simulatedBy runs a scenario, by its name in the library or its text, and returns what a baseline file of the run would hold once it is read again.
func simulatedBy(t *testing.T, text string, info flush.Info, sets ...string) *Baseline {
	t.Helper()
	src := conf.Source{Name: "seeded.yaml", Data: []byte(text)}
	var err error
	if !strings.Contains(text, "\n") {
		if src, err = scenario.Read(text); err != nil {
			t.Fatal(err)
		}
	}
	var overrides []conf.Override
	for _, s := range sets {
		path, value, _ := strings.Cut(s, "=")
		overrides = append(overrides, conf.Override{Path: path, Value: value, Origin: "--set"})
	}
	loaded, err := scenario.Load(src, overrides)
	if err != nil {
		t.Fatal(err)
	}
	docs, errs := run.Each(t.Context(), []run.Job{{Scenario: loaded, Strategy: info}}, 2, nil)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	b, err := decodeBaseline("seeded.json", newBaseline(docs[0], "seeded.yaml").encode())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// named returns a strategy as --strategy would.
func named(t *testing.T, text string) flush.Info {
	t.Helper()
	infos, err := strategy.Parse(text, ".")
	if err != nil {
		t.Fatal(err)
	}
	return infos[0]
}

func baseline(t *testing.T, text string, strategy string, sets ...string) *Baseline {
	t.Helper()
	key := text + strategy + strings.Join(sets, " ")
	if b, ok := made.Load(key); ok {
		return b.(*Baseline)
	}
	b := simulatedBy(t, text, named(t, strategy), sets...)
	made.Store(key, b)
	return b
}

// regression is a check that failed.
type regression struct {
	t        *testing.T
	was, now *Baseline
	all      []*Difference
}

func regressed(t *testing.T, was, now *Baseline) *regression {
	t.Helper()
	r := &regression{t, was, now, differences("seeded", was, now, &Rules{})}
	if len(r.all) == 0 {
		t.Fatal("no difference was found")
	}
	return r
}

// of returns the difference of a metric, which must have the verdict.
func (r *regression) of(metric string, v Verdict) *Difference {
	r.t.Helper()
	for _, d := range r.all {
		if d.Metric == metric {
			if d.Verdict != v || !d.Fails() {
				r.t.Errorf("%s is %s, want %s; %+v", metric, d.Verdict, v, d)
			}
			return d
		}
	}
	r.t.Fatalf("%s did not move", metric)
	return nil
}

// because complains unless the first cause of a difference is that one, accounts for so many percent at least, and is said to be dearer, cheaper or neither.
func (r *regression) because(d *Difference, metric, each string, percent int64) {
	r.t.Helper()
	if len(d.Causes) == 0 {
		r.t.Fatalf("%s: no cause", d.Metric)
	}
	if c := d.Causes[0]; c.Metric != metric || c.Each != each || c.Percent == nil || *c.Percent < percent {
		r.t.Errorf("%s moved by %v because of %s", d.Metric, d.Change(), listed(d))
	}
}

func listed(d *Difference) string {
	var out []string
	for _, c := range d.Causes {
		text := c.Metric + " " + c.Each
		if c.Percent != nil {
			text += " " + big.NewInt(*c.Percent).String() + "%"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// by complains unless a metric moved by an amount, in its unit, within so many per mille.
func (r *regression) by(d *Difference, amount float64, permille float64) {
	r.t.Helper()
	if got := d.Change().Float(); got < amount-max(amount, -amount)*permille/1000 || got > amount+max(amount, -amount)*permille/1000 {
		r.t.Errorf("%s moved by %v, want %v within %v per mille", d.Metric, got, amount, permille)
	}
}

func (b *Baseline) number(name string) float64 { return b.Metrics[name].Value.Float() }

func TestALineThatCostsThreePercentMoreIsFoundToBeDearer(t *testing.T) {
	was := baseline(t, "camera-preview", "range", preview...)
	r := regressed(t, was, simulatedBy(t, "camera-preview", named(t, "range"), append(preview, "soc.cpu.maintenance.line_time=1700ps")...))
	d := r.of("maintenance.time_per_frame", Worse)
	r.because(d, "maintenance.time.line", "dearer", 99)
	r.by(d, 1.7*was.number("maintenance.lines.visited")/was.number("frames.captured"), 20) // ns
	r.because(r.of("overhead.time_per_frame", Worse), "cpu.time.maintenance_line", "dearer", 85)
}

func TestAPassMoreInEachFrameIsFoundInTheLines(t *testing.T) {
	was := baseline(t, "camera-preview", "range", preview...)
	r := regressed(t, was, simulatedBy(t, "camera-preview", defined("range", func() policy {
		return func(q *dmaapi.Question) dmaapi.Answer {
			if q.Event != dmaapi.ToDeviceHandover || q.Default == dmaapi.Nothing {
				return dmaapi.Answer{Op: q.Default}
			}
			all := dmaapi.Span{Bytes: q.Bytes}
			return dmaapi.Answer{Op: q.Default, Extent: dmaapi.Partial, Spans: []dmaapi.Span{all, all}}
		}
	}), preview...))
	const lines = 864 * 656 * 2 / 64
	visited := r.of("maintenance.lines.visited", Worse)
	r.because(visited, "maintenance.lines.useless", "", 100)
	r.by(visited, lines*was.number("frames.captured"), 100)
	d := r.of("maintenance.time_per_frame", Worse)
	r.because(d, "maintenance.lines.visited", "", 95)
	r.by(d, lines*34/0.6, 100) // 34 cycles at 600 MHz
	r.because(r.of("overhead.time_per_frame", Worse), "maintenance.lines.visited", "", 80)
}

func TestAThresholdMovedByAPageIsFoundInTheCallsAndLines(t *testing.T) {
	const below, above = "threshold(threshold=1130496B)", "threshold(threshold=1134592B)" // 276 and 277 pages; a frame has 276.75
	r := regressed(t, baseline(t, "camera-preview", below, preview...), simulatedBy(t, "camera-preview", named(t, above), preview...))
	r.because(r.of("maintenance.time_per_frame", Worse), "maintenance.lines.visited", "", 95)
	d := r.of("overhead.time_per_frame", Worse)
	r.because(d, "maintenance.lines.visited", "", 100)
	if whole := r.of("maintenance.calls.whole", Other); whole.Now.Int != 0 || whole.Was.Int == 0 {
		t.Errorf("whole caches: %+v", whole)
	}
	r.of("maintenance.collateral_misses", Better)
}

func TestAnInvalidateLostInOneFrameOfTenIsFoundAsStaleReads(t *testing.T) {
	was := baseline(t, "camera-preview", "range", preview...)
	r := regressed(t, was, simulatedBy(t, "camera-preview", defined("range", func() policy {
		frames, lost := 0, map[int]bool{}
		return func(q *dmaapi.Question) dmaapi.Answer {
			if q.Buffer != "preview" || q.Default != dmaapi.Invalidate {
				return dmaapi.Answer{Op: q.Default}
			}
			if q.Event == dmaapi.ToDeviceHandover {
				frames++
				lost[q.Index] = frames%10 == 9
			}
			if lost[q.Index] {
				return dmaapi.Answer{}
			}
			return dmaapi.Answer{Op: q.Default}
		}
	}), preview...))
	first := r.all[0]
	if first.Kind != KindViolations || first.Verdict != Worse || !strings.Contains(first.Note, "appears: stale_cpu_read of preview") || !strings.Contains(first.Note, "missing: invalidate") {
		t.Errorf("first difference %+v", first)
	}
	r.because(r.of("coherency.violations", Worse), "coherency.stale_cpu_reads", "", 100)
	d := r.of("maintenance.time", Better)
	r.because(d, "maintenance.calls.range", "", 95)
	r.by(d, -2.0/20*was.number("maintenance.time"), 20) // of 20 passes
}

func TestAnotherReplacementPolicyIsFoundInTheMisses(t *testing.T) {
	was := baseline(t, "camera-preview", "range", preview...)
	r := regressed(t, was, simulatedBy(t, "camera-preview", named(t, "range"), append(preview, "soc.l2.replacement=lru")...))
	r.of("cpu.fills", Worse)
	d := r.of("cpu.busy", Worse)
	r.because(d, "cpu.fills", "", 60)
	fills := r.now.number("cpu.fills") - was.number("cpu.fills")
	r.by(r.of("cpu.time.refill", Worse), fills*was.number("cpu.time.refill")/was.number("cpu.fills"), 150)
	r.because(r.of("overhead.time_per_frame", Worse), "cpu.fills", "", 60)
}

func TestAMemoryThatIsAClockSlowerIsFoundInDearerRefills(t *testing.T) {
	was := baseline(t, "camera-preview", "range", preview...)
	r := regressed(t, was, simulatedBy(t, "camera-preview", named(t, "range"), append(preview, "soc.dram.cl=4")...))
	r.because(r.of("cpu.busy", Worse), "cpu.time.refill", "dearer", 90)
	d := r.of("cpu.time.refill", Worse)
	r.because(d, "cpu.time.refill", "dearer", 90)
	r.by(d, was.number("cpu.fills")*1000/166, 50) // a clock of 166 MHz for each line, in ns
}

// The queue's own mapping is synced once at each end of the bracket, and two importers when they map; the heap syncs all three at either end, and when they map.
func TestAnExporterThatSyncsEachAttachmentIsFoundInTheCalls(t *testing.T) {
	was := baseline(t, attachments, "range")
	r := regressed(t, was, simulatedBy(t, attachments, named(t, "range"), "buffers.frame.exporter=system-heap"))
	d := r.of("maintenance.time", Worse)
	r.because(d, "maintenance.calls.range", "", 95)
	if c := d.Causes[0]; c.Was.Int != 2+1+1 || c.Now.Int != 3+3+3 {
		t.Errorf("calls: %+v", c)
	}
	const lines = 320 * 240 * 2 / 64
	r.by(d, 5*lines*34/0.6, 20) // 34 cycles at 600 MHz
	r.because(r.of("cpu.busy.maintenance", Worse), "maintenance.calls.range", "", 100)
	// The script takes longer, so that all other shares of its time are less.
	r.because(r.of("cpu.busy.driver", Better), "simulated_ps", "", 95)
}
