package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"socsim/cachemodel"
	"socsim/internal/memtrace"
	"socsim/internal/replay"
	"socsim/internal/report"
	"socsim/internal/result"
	"socsim/sim/units"
)

func newCache() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "The cache model by itself",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCacheReplay())
	return cmd
}

// levelFlags names the levels that flags can ask for, from the core outwards, and what each may be given.
var levelFlags = []struct {
	name, doc string
	data      bool // it takes stores
	lower     bool // it can be inclusive or exclusive
}{
	{"l1", "unified first level", true, false},
	{"l1i", "instruction side of a split first level", false, false},
	{"l1d", "data side of a split first level", true, false},
	{"l2", "second level", true, true},
	{"l3", "third level", true, true},
}

// policy is a setting of a level that a flag gives, for all levels or for one.
type policy struct {
	name, doc string
	set       func(l *cachemodel.LevelConfig, value string) error
	data      bool // of levels that take stores
	lower     bool // of levels beyond the first
}

var policies = []policy{
	{name: "replacement", doc: "which line a full set gives up: lru, fifo, plru, round-robin or random", set: func(l *cachemodel.LevelConfig, s string) error {
		return l.Replacement.UnmarshalText([]byte(s))
	}},
	{name: "write", doc: "whether stores stay (back) or go on (through)", data: true, set: func(l *cachemodel.LevelConfig, s string) error {
		return l.Write.UnmarshalText([]byte(s))
	}},
	{name: "allocate", doc: "which misses bring the line in: read or read-write", data: true, set: func(l *cachemodel.LevelConfig, s string) error {
		return l.Allocate.UnmarshalText([]byte(s))
	}},
	{name: "subblock", doc: "bytes of a line that are fetched and written back by themselves", set: func(l *cachemodel.LevelConfig, s string) error {
		l.Sectored = true
		return setBytes(&l.SubBlock, s)
	}},
	{name: "dirty-subblock", doc: "bytes of a line that are written back by themselves, while lines are fetched whole", data: true, set: func(l *cachemodel.LevelConfig, s string) error {
		l.Sectored = false
		return setBytes(&l.SubBlock, s)
	}},
	{name: "inclusion", doc: "what a lower level holds of the nearer ones: neither, inclusive or exclusive", data: true, lower: true, set: func(l *cachemodel.LevelConfig, s string) error {
		return l.Inclusion.UnmarshalText([]byte(s))
	}},
}

// replayFlags are the flags of cache replay.
type replayFlags struct {
	output
	levels     map[string]*string
	policies   map[string]*string // by flag: "write", "l1d-write"
	preset     string
	rules      string
	flushEvery uint64
	flushAtEnd bool
	seed       uint64
	quiet      bool
}

func newCacheReplay() *cobra.Command {
	f := replayFlags{levels: map[string]*string{}, policies: map[string]*string{}}
	cmd := &cobra.Command{
		Use:   "replay TRACE LEVELS...",
		Short: "Replay a recorded trace of memory accesses through caches and count",
		Long: `Replay runs a recorded trace through caches and counts accesses, misses,
write-backs and bytes at each level. TRACE is what valgrind's lackey prints with
--trace-mem=yes, or a din trace (label address [size], hexadecimal), plain or
compressed by gzip or zstd; - is standard input. It is read as a stream.

The levels come from --preset, or from --l1 (unified) or --l1i and --l1d, then
--l2 and --l3, each SIZE,WAYS,LINE. Sizes are bytes, or carry a unit: 32KiB.

Policies are for all levels, or for one with its name in front: --l1d-write
through, --l2-replacement random. The caches are write-back, allocate for loads
and stores, and replace the least recently used line if nothing is said.

Rules: hardware (an access that straddles lines is several; a modify is a read
and a write), dinero and cachegrind (as those tools count; docs/cachemodel.md).

Exit codes: 0 done; 2 the request or the trace is wrong; 3 could not finish: what
was counted until then is printed.`,
		Example: `  valgrind --tool=lackey --trace-mem=yes --log-file=ls.lackey ls
  socsim cache replay ls.lackey --preset cortex-a8-16k
  socsim cache replay ls.lackey --l1i 32KiB,4,64 --l1d 32KiB,4,64 --l2 256KiB,8,64
  zcat t.din.gz | socsim cache replay - --l1 8KiB,1,32 --write through --format json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("cache replay needs one trace, found %d: a file, or - for standard input", len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	for _, l := range levelFlags {
		f.levels[l.name] = fl.String(l.name, "", l.doc+", `SIZE,WAYS,LINE`")
	}
	fl.StringVar(&f.preset, "preset", "", "levels of a core by `NAME`: "+strings.Join(cachemodel.PresetNames(), ", "))
	for _, p := range policies {
		f.policies[p.name] = fl.String(p.name, "", p.doc)
	}
	for _, l := range levelFlags {
		for _, p := range policies {
			if (!p.data || l.data) && (!p.lower || l.lower) {
				name := l.name + "-" + p.name
				f.policies[name] = fl.String(name, "", l.name+": "+p.doc)
				_ = fl.MarkHidden(name) // the flag is there
			}
		}
	}
	fl.StringVar(&f.rules, "rules", string(replay.Hardware), "by whose `RULES` to count: "+strings.Join(replay.RuleNames(), ", "))
	fl.Uint64Var(&f.flushEvery, "flush-every", 0, "write back and empty the caches after every `N` references")
	fl.BoolVar(&f.flushAtEnd, "flush-at-end", false, "write dirty lines back at the end, so that they are counted")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of random replacement")
	f.flags(cmd)
	fl.BoolVar(&f.quiet, "quiet", false, "the result alone: no progress and no rate")
	return cmd
}

func (f *replayFlags) run(cmd *cobra.Command, path string) error {
	if err := f.check(); err != nil {
		return usage(err)
	}
	c, err := f.config(cmd)
	if err != nil {
		return usage(err)
	}
	ctx := cmd.Context()
	trace, err := memtrace.Open(path, stdin(cmd))
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return &codeError{exitUnfinish, errors.New("interrupted before the first access")}
		}
		return usage(err)
	}
	defer trace.Close()
	start := time.Now()
	counts, err := replay.Run(ctx, trace, c, f.progress(cmd, start))
	if counts == nil {
		return usage(err)
	}
	wall := time.Since(start)
	name := filepath.Base(path)
	if path == "-" {
		name = "standard input"
	}
	d := replay.Document(name, c, counts)
	d.Host = result.Host{Events: counts.References, WallNS: int64(wall), AccessesPerS: uint64(float64(counts.References) / max(wall.Seconds(), 1e-9))}
	if perr := f.print(cmd, d, counts); perr != nil {
		return &codeError{exitUnfinish, perr}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &codeError{exitUnfinish, fmt.Errorf("interrupted: the counts are of the first %s references", report.Group(int64(counts.References)))}
	case err != nil:
		return usage(fmt.Errorf("%w; the counts are of the %s references before", err, report.Group(int64(counts.References))))
	}
	if !f.quiet && f.format == "table" {
		fmt.Fprintf(cmd.ErrOrStderr(), "%.1f M references/s\n", float64(d.Host.AccessesPerS)/1e6)
	}
	return nil
}

func (f *replayFlags) print(cmd *cobra.Command, d *result.Document, k *replay.Counts) error {
	docs := []*result.Document{d}
	var levels []string
	for _, l := range k.Levels {
		levels = append(levels, l.Name)
	}
	return f.write(cmd.OutOrStdout(), docs, func(w io.Writer) error { return report.Replay(w, d, levels) })
}

// progress shows a line that is rewritten, on a terminal only.
func (f *replayFlags) progress(cmd *cobra.Command, start time.Time) func(uint64) {
	w := cmd.ErrOrStderr()
	if f.quiet || !isTerminal(w) {
		return nil
	}
	return func(n uint64) {
		fmt.Fprintf(w, "\r\033[K%d M references, %.0f M/s\r", n/1e6, float64(n)/1e6/time.Since(start).Seconds())
	}
}

// config turns the flags into what the trace is replayed through.
func (f *replayFlags) config(cmd *cobra.Command) (replay.Config, error) {
	c := replay.Config{Rules: replay.Rules(f.rules), FlushEvery: f.flushEvery, FlushAtEnd: f.flushAtEnd}
	if names := replay.RuleNames(); !slices.Contains(names, f.rules) {
		return c, didYouMean(fmt.Errorf("unknown rules %q; there are %s", f.rules, strings.Join(names, ", ")), f.rules, names)
	}
	if f.flushEvery == 0 && cmd.Flags().Changed("flush-every") {
		return c, errors.New("--flush-every 0, want at least 1 reference")
	}
	var err error
	if f.preset != "" {
		c.Caches, err = f.fromPreset(cmd)
	} else {
		c.Caches, err = f.fromLevels()
	}
	if err != nil {
		return c, err
	}
	c.Caches.Seed = f.seed
	if err := c.Caches.Validate(); err != nil {
		return c, errors.New(strings.TrimPrefix(err.Error(), "cachemodel: "))
	}
	return c, nil
}

func (f *replayFlags) fromPreset(cmd *cobra.Command) (cachemodel.Config, error) {
	c, ok := cachemodel.Preset(f.preset)
	if !ok {
		names := cachemodel.PresetNames()
		return c, didYouMean(fmt.Errorf("unknown preset %q; there are %s", f.preset, strings.Join(names, ", ")), f.preset, names)
	}
	for _, l := range levelFlags {
		if cmd.Flags().Changed(l.name) {
			return c, fmt.Errorf("--preset and --%s: give one or the other", l.name)
		}
	}
	if c.Instruction != nil {
		if err := f.apply("l1i", c.Instruction); err != nil {
			return c, err
		}
	}
	for i := range c.Levels {
		if err := f.apply([]string{"l1d", "l2", "l3"}[i], &c.Levels[i]); err != nil {
			return c, err
		}
	}
	return c, f.unused(levelNames(c))
}

// fromLevels builds a hierarchy from the flags of its levels.
func (f *replayFlags) fromLevels() (cachemodel.Config, error) {
	var c cachemodel.Config
	given := func(name string) bool { return *f.levels[name] != "" }
	switch {
	case given("l1") && (given("l1i") || given("l1d")):
		return c, errors.New("--l1 is a unified first level, --l1i and --l1d are a split one: give one or the other")
	case given("l1i") != given("l1d"):
		return c, errors.New("a split first level needs both --l1i and --l1d")
	case !given("l1") && !given("l1d"):
		return c, errors.New("no caches: give --l1 SIZE,WAYS,LINE, or --l1i and --l1d, for example --l1 32KiB,4,64; or a --preset")
	case given("l3") && !given("l2"):
		return c, errors.New("--l3 without --l2")
	}
	for _, l := range levelFlags {
		if !given(l.name) {
			continue
		}
		level, err := parseLevel(*f.levels[l.name])
		if err != nil {
			return c, fmt.Errorf("--%s %s: %w", l.name, *f.levels[l.name], err)
		}
		if err := f.apply(l.name, &level); err != nil {
			return c, err
		}
		if l.name == "l1i" {
			c.Instruction = &level
			continue
		}
		c.Levels = append(c.Levels, level)
	}
	if c.Instruction != nil {
		c.Unification = 1
	}
	return c, f.unused(levelNames(c))
}

// levelNames names the levels that there are as the flags do.
func levelNames(c cachemodel.Config) []string {
	names := []string{"l1"}
	if c.Instruction != nil {
		names = []string{"l1i", "l1d"}
	}
	for i := range c.Levels[1:] {
		names = append(names, fmt.Sprintf("l%d", i+2))
	}
	return names
}

// apply sets the policies of a level: those for all, then its own.
func (f *replayFlags) apply(name string, l *cachemodel.LevelConfig) error {
	for _, prefix := range []string{"", name + "-"} {
		for _, p := range policies {
			value, ok := f.policies[prefix+p.name]
			if !ok || *value == "" || p.lower && (name == "l1" || name == "l1d") || p.data && name == "l1i" {
				continue
			}
			if err := p.set(l, *value); err != nil {
				return fmt.Errorf("--%s%s: %w", prefix, p.name, err)
			}
		}
	}
	return nil
}

// unused refuses policies of levels that are not there.
func (f *replayFlags) unused(levels []string) error {
	for _, l := range levelFlags {
		if slices.Contains(levels, l.name) {
			continue
		}
		for _, p := range policies {
			if value, ok := f.policies[l.name+"-"+p.name]; ok && *value != "" {
				return fmt.Errorf("--%s-%s, but there is no %s: the levels are %s", l.name, p.name, l.name, strings.Join(levels, ", "))
			}
		}
	}
	return nil
}

// parseLevel reads SIZE,WAYS,LINE. Stores allocate unless a flag says otherwise.
func parseLevel(s string) (cachemodel.LevelConfig, error) {
	l := cachemodel.LevelConfig{Allocate: cachemodel.ReadWriteAllocate}
	f := strings.Split(s, ",")
	if len(f) != 3 {
		return l, errors.New("want SIZE,WAYS,LINE, for example 32KiB,4,64")
	}
	if err := setBytes(&l.Size, f[0]); err != nil {
		return l, err
	}
	ways, err := strconv.Atoi(f[1])
	if err != nil {
		return l, fmt.Errorf("ways %q, want a number", f[1])
	}
	l.Ways = ways
	if err := setBytes(&l.Line, f[2]); err != nil {
		return l, err
	}
	if err := (cachemodel.Config{Levels: []cachemodel.LevelConfig{l}}).Validate(); err != nil {
		return l, errors.New(strings.TrimPrefix(err.Error(), "cachemodel: level 0: "))
	}
	return l, nil
}

// setBytes reads a size: with a unit, or a plain number of bytes.
func setBytes(to *int, s string) error {
	text := strings.TrimSpace(s)
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		text += "B"
	}
	var b units.Bytes
	if err := b.UnmarshalText([]byte(text)); err != nil {
		return err
	}
	*to = int(b)
	return nil
}
