package exhaust

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"socsim/cachemodel"
	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/run"
	"socsim/internal/scenario"
	"socsim/sim/units"
	"socsim/soc/dmaapi"
	"socsim/soc/memory"
)

// Shown is a step of a path as it is told.
type Shown struct {
	Words string
	// Did is what the strategy answered, and what the profile would do; empty if it was not asked.
	Did   string
	Lines [Lines]string
}

// Show plays a path again and says where each step leaves the lines. The first entry is the allocation.
func (o *Outcome) Show(ctx context.Context) ([]Shown, error) {
	p, err := o.World.start(ctx, o.Strategy)
	if err != nil {
		return nil, err
	}
	var did []string
	p.asked = func(q *dmaapi.Question, a dmaapi.Answer) { did = append(did, answered(q, a)) }
	show := func(words string) Shown {
		s := Shown{Words: words, Did: strings.Join(did, "; ")}
		for l := range p.lines {
			s.Lines[l] = o.World.describe(&p.lines[l])
		}
		did = nil
		return s
	}
	shown := []Shown{show("the buffer is allocated, zeroed and mapped " + string(p.attr))}
	for _, s := range o.Path {
		p.play(s)
		shown = append(shown, show(o.World.words(s)))
	}
	return shown, nil
}

// answered says what a strategy does where the profile does something else.
func answered(q *dmaapi.Question, a dmaapi.Answer) string {
	did := a.Op.String()
	switch {
	case a.Op == dmaapi.Nothing:
	case a.Extent == dmaapi.Whole:
		did = "clean+invalidate the whole cache"
	case a.Extent == dmaapi.Partial || a.Extent == dmaapi.Lines:
		did += " a part"
	}
	if q.Event == dmaapi.CPUFault {
		return "page fault: " + did
	}
	return fmt.Sprintf("strategy: %s, profile: %v", did, q.Default)
}

// metrics are the counters of the kinds of violation.
var metrics = map[memory.ViolationKind]string{
	memory.StaleDeviceRead: "stale_device_reads", memory.StaleCPURead: "stale_cpu_reads", memory.LostDeviceData: "lost_device_data", memory.LostCPUData: "lost_cpu_data",
	memory.AliasError: "alias_errors",
}

// Scenario writes the path as a scenario whose script the timed model plays and checks that it finds the same violations. name is that of the scenario's file and strategy how it names the strategy there. The
// text is returned with the error that the models do not agree.
func (o *Outcome) Scenario(ctx context.Context, name, strategy string) (string, error) {
	// Where the devices let go of the buffer at the end, nothing is reported as left over; but that may do harm, too. And the kernel's address and the process's may happen to be of one colour: the next page's
	// are not.
	variants := []variant{{tidy: true}, {}}
	if o.World.names > 1 && o.World.Chip.L1D.Index != cachemodel.VIVT {
		variants = []variant{{tidy: true}, {tidy: true, filler: true}, {}, {filler: true}}
	}
	var text string
	var err error
	for _, v := range variants {
		text = o.scenario(strategy, v)
		if err = o.replay(ctx, text, name); !errors.Is(err, ErrDisagree) {
			break
		}
	}
	return text, err
}

// variant is how the steps are made a scenario: with a page allocated before the buffer, and with the devices letting go of the buffer at the end.
type variant struct{ tidy, filler bool }

// scenario writes the scenario.
func (o *Outcome) scenario(strategy string, v variant) string {
	w := o.World
	var b strings.Builder
	fmt.Fprintf(&b, "# %s harms data under the coherence profile %s in %d steps: found by socsim fuzz --exhaustive, the fewest there are.\n", o.Strategy.Label(), w.Profile.Name, len(o.Path))
	fmt.Fprintf(&b, "apiVersion: socsim/v1\nname: exhaustive\ndescription: %q\n", fmt.Sprintf("%s under %s, in %d steps.", o.Strategy.Label(), w.Profile.Name, len(o.Path)))
	fmt.Fprintf(&b, "soc:\n  preset: %s\n  coherence: %s\n", w.Chip.Preset, w.Profile.Name)
	if w.Chip.CPU.Speculation > 0 {
		fmt.Fprintf(&b, "  cpu: {speculation: %dcycles} # when the core speculates, the script says\n", int64(rarely))
	}
	fmt.Fprintf(&b, "run: {duration: 1s, warmup: %dms}\nstrategy: %q\n", o.warmup(), strategy)
	b.WriteString("buffers:\n")
	if v.filler {
		fmt.Fprintf(&b, "  filler: {count: 1, size: 2048x1, format: rgb565, exporter: system-heap, memory: contiguous} # so that the next page has another colour\n")
	}
	fmt.Fprintf(&b, "  %s: {count: 1, size: %s, format: rgb565, exporter: %s, memory: contiguous}\n", bufferName, w.size(), exporter)
	b.WriteString("script:\n")
	if v.filler {
		b.WriteString("  - {do: put, buffer: filler}\n")
	}
	used, mapped := o.devices()
	for _, d := range used {
		fmt.Fprintf(&b, "  - {do: attach, device: %s, buffer: %s}\n", deviceNames[d], bufferName)
	}
	fmt.Fprintf(&b, "  - {do: mmap, buffer: %s}\n", bufferName)
	for i, s := range o.Path {
		fmt.Fprintf(&b, "  - %-100s # %d. %s\n", w.yaml(s), i+1, w.words(s))
	}
	if v.tidy {
		for _, d := range mapped {
			fmt.Fprintf(&b, "  - {do: unmap, device: %s, buffer: %s}\n", deviceNames[d], bufferName)
		}
		for _, d := range used {
			fmt.Fprintf(&b, "  - {do: detach, device: %s, buffer: %s}\n", deviceNames[d], bufferName)
		}
	}
	b.WriteString("expect:\n")
	for _, kind := range o.Kinds() {
		fmt.Fprintf(&b, "  - coherency.%s > 0\n", metrics[kind])
	}
	return b.String()
}

// devices are those that take part in the path, and those that have the buffer mapped at its end.
func (o *Outcome) devices() (used, mapped []int) {
	for d := range Devices {
		var maps, any bool
		for _, s := range o.Path {
			if s.device == uint8(d) && (s.do <= doSyncForCPU || s.do == doDeviceRead || s.do == doDeviceWrite) {
				any = true
				maps = (maps || s.do == doMap) && s.do != doUnmap
			}
		}
		if any {
			used = append(used, d)
		}
		if maps {
			mapped = append(mapped, d)
		}
	}
	return used, mapped
}

// rarely is so many cycles between two fills that none is expected in a run.
const rarely = 1_000_000_000_000

// Kinds lists the kinds of violation of the last step.
func (o *Outcome) Kinds() []memory.ViolationKind {
	var out []memory.ViolationKind
	for k := range memory.ViolationKind(memory.ViolationKinds) {
		for _, v := range o.Violations {
			if v.Kind == k {
				out = append(out, k)
				break
			}
		}
	}
	return out
}

// size is the buffer's as an image of two bytes a pixel.
func (w *World) size() string {
	const row = memory.PageBytes
	if w.Bytes <= row {
		return fmt.Sprintf("%dx1", w.Bytes/2)
	}
	return fmt.Sprintf("%dx%d", row/2, w.Bytes/row)
}

// warmup is the milliseconds in which the buffer is zeroed, at 25 MB/s or faster, and a strategy that measures has measured.
func (o *Outcome) warmup() int {
	ms := 20 + o.World.Bytes/25_000
	if _, ok := o.Strategy.New().(dmaapi.Starter); ok {
		ms += 1000
	}
	return ms
}

// yaml is a step of a script.
func (w *World) yaml(s Step) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{do: %s, buffer: %s", actions[s.do], bufferName)
	off, n := w.offset(int(s.line)), w.Line
	switch s.do {
	case doMap, doUnmap, doSyncForDevice, doSyncForCPU, doDeviceRead, doDeviceWrite:
		fmt.Fprintf(&b, ", device: %s", deviceNames[s.device])
	}
	switch s.do {
	case doUnmap:
		n = 0
	case doMap, doSyncForDevice, doSyncForCPU:
		fmt.Fprintf(&b, ", direction: %v", s.dir)
		if off, n = w.span(s.part); n == w.Bytes {
			n = 0
		}
	}
	if n > 0 {
		fmt.Fprintf(&b, ", offset: %v, bytes: %v", units.Bytes(off), units.Bytes(n))
	}
	return b.String() + "}"
}

// replay plays a scenario with the timed model. It is an error if the violations are not those that the search found.
func (o *Outcome) replay(ctx context.Context, text, name string) error {
	loaded, err := scenario.Load(conf.Source{Name: name, Data: []byte(text)}, nil)
	if err != nil {
		return fmt.Errorf("loading the failing steps as a scenario: %w", err)
	}
	docs, err := run.Run(ctx, []run.Job{{Scenario: loaded, Strategy: loaded.Own}}, 1, nil)
	if err != nil {
		return fmt.Errorf("simulating the failing steps: %w", err)
	}
	found := o.Kinds()
	for k := range memory.ViolationKind(memory.ViolationKinds) { // others are what is left over where the script stops
		seen := slices.ContainsFunc(docs[0].Violations, func(v result.Violation) bool { return v.Kind == k.String() })
		if want := slices.Contains(found, k); want != seen {
			return fmt.Errorf("%w: %v in the search: %v, in the simulation: %v", ErrDisagree, k, want, seen)
		}
	}
	return nil
}

// ErrDisagree is returned, wrapped, if the timed model does not find what the search found.
var ErrDisagree = errors.New("the timed model does not agree")
