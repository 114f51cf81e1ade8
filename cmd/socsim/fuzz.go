package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"socsim/internal/calibrate"
	"socsim/internal/conf"
	"socsim/internal/exhaust"
	"socsim/internal/strategy"
	"socsim/sim/units"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/presets"
)

// fuzzFlags are the flags of fuzz.
type fuzzFlags struct {
	exhaustive                                    bool
	strategy, profile, chip, out, size, speculate string
	directions                                    []string
	depth, devices                                int
	shared, whole                                 bool
}

// maxDepth is more than any world of this size needs to close.
const maxDepth = 100

func newFuzz() *cobra.Command {
	var f fuzzFlags
	cmd := &cobra.Command{
		Use:   "fuzz --exhaustive",
		Short: "Try every order of events in a small world against a strategy",
		Long: `Fuzz --exhaustive tries every order of up to --depth legal steps in a small,
untimed world: a buffer of which two lines are watched, a CPU whose caches evict
and whose core may fetch lines unasked at any time, and two devices. The steps
are hand-overs (map, unmap and syncs, of the buffer or a half of it), accesses
of the lines' owners, evictions and speculative fills. It says that no order
harms the data, or shows a shortest one that does, and has the simulator play it.

--profile takes a coherence profile of the kernel and a chip that it is for;
--soc takes a chip with its own profile, and its core speculates if the preset
says so. --out writes the failing steps as a scenario.

Profiles: ` + strings.Join(dmaapi.ProfileNames(), ", ") + `.
Chips: ` + strings.Join(presets.Set{}.Names("soc"), ", ") + `.

Exit codes: 0 no violation; 1 a violation; 2 the request is wrong; 3 could not
finish.`,
		Example: `  socsim fuzz --exhaustive --strategy range --depth 12
  socsim fuzz --exhaustive --strategy all --profile arm64
  socsim fuzz --exhaustive --strategy omap3isp-legacy --soc omap4430 --out failing.yaml
  socsim fuzz --exhaustive --strategy '@mine.yaml' --size 4MiB --directions FROM_DEVICE`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("fuzz takes no argument, so not %q; strategies go with --strategy", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.exhaustive, "exhaustive", false, "try every order of steps in a small world")
	fl.IntVar(&f.depth, "depth", 40, "try up to `N` steps")
	fl.StringVar(&f.strategy, "strategy", "range", "the strategies to try: `LIST` of names, @FILE or all")
	fl.StringVar(&f.profile, "profile", "", "the coherence `PROFILE`, on a chip that it is for")
	fl.StringVar(&f.chip, "soc", "", "the `CHIP`, with its own profile (default "+defaultChip+")")
	fl.StringVar(&f.size, "size", "", "what strategies see as the buffer's `SIZE` (default two lines);\nits first and its last line are watched")
	fl.IntVar(&f.devices, "devices", exhaust.Devices, "`N` devices, 1 or 2")
	fl.BoolVar(&f.shared, "shared", false, "two devices may own the buffer at once in any direction")
	fl.BoolVar(&f.whole, "whole", false, "leave out syncs of a part of the buffer")
	fl.StringSliceVar(&f.directions, "directions", nil, "`LIST` of the directions in which devices map the buffer (default all)")
	fl.StringVar(&f.speculate, "speculation", "auto", "whether the core fetches lines unasked: `WHEN` on, off or auto,\nas the profile or the chip has it")
	fl.StringVar(&f.out, "out", "", "write the failing steps as a scenario to this `FILE`")
	return cmd
}

func (f *fuzzFlags) run(cmd *cobra.Command) error {
	if !f.exhaustive {
		return usage(errors.New("fuzz needs --exhaustive: every order of steps in a small world is the one way there is to fuzz"))
	}
	w, list, err := f.prepare()
	if err != nil {
		return usage(err)
	}
	outcomes, err := f.search(cmd.Context(), w, list)
	if perr := f.print(cmd, w, outcomes); err == nil {
		err = perr
	}
	if err != nil {
		if errors.Is(err, context.Canceled) {
			err = errors.New("interrupted")
		}
		return &codeError{exitUnfinish, err}
	}
	for _, o := range outcomes {
		if o.Failed() {
			return &codeError{exitFailed, nil}
		}
	}
	if slices.ContainsFunc(outcomes, func(o *exhaust.Outcome) bool { return o.Full }) {
		return &codeError{exitUnfinish, fmt.Errorf("more than %d states: a smaller --depth, --devices 1, --whole or fewer --directions keep them down", exhaust.MaxStates)}
	}
	return nil
}

// search tries the strategies, one after another.
func (f *fuzzFlags) search(ctx context.Context, w *exhaust.World, list []flush.Info) ([]*exhaust.Outcome, error) {
	var outcomes []*exhaust.Outcome
	for _, info := range list {
		o, err := w.Search(ctx, info, f.depth)
		if err != nil {
			return outcomes, err
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// prepare checks the flags.
func (f *fuzzFlags) prepare() (*exhaust.World, []flush.Info, error) {
	list, err := strategy.Parse(f.strategy, ".")
	if err != nil {
		return nil, nil, fmt.Errorf("--strategy: %w", err)
	}
	switch i := slices.IndexFunc(list, func(i flush.Info) bool { return i.Coherent }); {
	case i >= 0:
		return nil, nil, fmt.Errorf("--strategy %s: its caches are always current, so that there is nothing to try", list[i].Name)
	case f.depth < 1 || f.depth > maxDepth:
		return nil, nil, fmt.Errorf("--depth %d, want 1 to %d", f.depth, maxDepth)
	case f.devices < 1 || f.devices > exhaust.Devices:
		return nil, nil, fmt.Errorf("--devices %d, want 1 or %d", f.devices, exhaust.Devices)
	case f.shared && f.devices == 1:
		return nil, nil, errors.New("--shared is about two devices, and --devices is 1")
	case f.out != "" && len(list) > 1:
		return nil, nil, fmt.Errorf("--out %s is for the failing steps of one strategy, and there are %d", f.out, len(list))
	}
	w, err := f.world()
	return w, list, err
}

// world is the world that the flags describe.
func (f *fuzzFlags) world() (*exhaust.World, error) {
	if f.profile != "" && f.chip != "" {
		return nil, errors.New("--profile and --soc: a chip has a profile, so give one of the two")
	}
	chip, overrides := f.chip, []conf.Override(nil)
	if chip == "" {
		chip = defaultChip
	}
	if f.profile != "" {
		var ok bool
		if chip, ok = exhaust.ChipOf(f.profile); !ok {
			return nil, fmt.Errorf("--profile: unknown coherence profile %q; there are %s%s", f.profile, strings.Join(dmaapi.ProfileNames(), ", "), nearest(f.profile, dmaapi.ProfileNames()))
		}
		overrides = append(overrides, conf.Override{Path: "soc.coherence", Value: f.profile})
	}
	c, err := calibrate.Load(chip, overrides, 1)
	if err != nil {
		return nil, fmt.Errorf("--soc: %w", err)
	}
	w, err := exhaust.NewWorld(c.Config)
	if err != nil {
		return nil, err
	}
	w.Devices, w.Shared, w.Whole = f.devices, f.shared, f.whole
	if w.Speculates = c.Config.CPU.Speculation > 0; f.profile != "" {
		w.Speculates = w.Profile.Speculates
	}
	return w, f.adjust(w)
}

// adjust applies the flags that have a syntax of their own.
func (f *fuzzFlags) adjust(w *exhaust.World) error {
	switch f.speculate {
	case "auto":
	case "on", "off":
		if w.Speculates = f.speculate == "on"; w.Speculates && !w.MaySpeculate() {
			return fmt.Errorf("--speculation on: neither the chip %s nor the profile %s knows of a core that does", w.Chip.Preset, w.Profile.Name)
		}
	default:
		return fmt.Errorf("--speculation %q, want on, off or auto", f.speculate)
	}
	all := []dmaapi.Direction{dmaapi.ToDevice, dmaapi.FromDevice, dmaapi.Bidirectional}
	for _, text := range f.directions {
		i := slices.IndexFunc(all, func(d dmaapi.Direction) bool { return d.String() == text })
		if i < 0 {
			return fmt.Errorf("--directions: unknown direction %q; there are TO_DEVICE, FROM_DEVICE and BIDIRECTIONAL", text)
		}
		w.Directions = append(w.Directions, all[i])
	}
	if f.size == "" {
		return nil
	}
	var size units.Bytes
	if err := size.UnmarshalText([]byte(f.size)); err != nil {
		return fmt.Errorf("--size: %w", err)
	}
	if err := w.SetBytes(int(size)); err != nil {
		return fmt.Errorf("--size: %w", err)
	}
	return nil
}

func nearest(name string, names []string) string {
	if near := conf.Nearest(name, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// print prints the verdicts, then the failing steps.
func (f *fuzzFlags) print(cmd *cobra.Command, w *exhaust.World, outcomes []*exhaust.Outcome) error {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%v\n\n", w)
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, o := range outcomes {
		fmt.Fprintf(tw, "%s\t%s\n", o.Strategy.Label(), o.Verdict())
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, o := range outcomes {
		if !o.Failed() {
			continue
		}
		fmt.Fprintln(out)
		if err := o.Print(cmd.Context(), out); err != nil {
			return err
		}
		if err := f.replay(cmd.Context(), out, o); err != nil {
			return err
		}
	}
	return nil
}

// replay has the simulator play the failing steps, and writes them as a scenario.
func (f *fuzzFlags) replay(ctx context.Context, out io.Writer, o *exhaust.Outcome) error {
	name := f.out
	if name == "" {
		name = "exhaustive.yaml"
	}
	text, err := o.Scenario(ctx, name, f.spelt(o.Strategy))
	if f.out != "" && text != "" {
		if werr := os.WriteFile(f.out, []byte(text), 0o644); werr != nil {
			return fmt.Errorf("writing the scenario: %w", werr)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "      the simulator agrees")
	if f.out != "" {
		fmt.Fprintf(out, "      written to %s\n", f.out)
	}
	return nil
}

// spelt is how a scenario names a strategy, wherever its file lies.
func (f *fuzzFlags) spelt(i flush.Info) string {
	path, isFile := strings.CutPrefix(strings.TrimSpace(f.strategy), "@")
	if !isFile || !strings.HasPrefix(i.Name, "@") || filepath.IsAbs(path) {
		return i.Label()
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return f.strategy
	}
	return "@" + abs
}
