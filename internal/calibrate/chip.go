// Package calibrate measures cache maintenance on a modelled chip from the outside, with the core's clock alone: what each operation costs, and from which size on the whole cache is the better choice. The
// thresholds are those of the strategy calibrated of package flush, under several working sets of a bystander; they can be written as a rule table or as a C header.
//
// Costs are lines through measured times (least squares), so they say what the model does, not what its settings are called. Left out: contention with other masters, whom a chip at start-up does not have;
// other clocks than the one set.
package calibrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/internal/scenario"
	"socsim/sim"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/presets"
)

// Chip is a chip to measure on.
type Chip struct {
	Name      string // of the preset in force
	Config    soc.Config
	Seed      uint64
	SHA256    string   // of the resolved configuration
	Estimated []string // settings in force whose values no source backs
	// Illustrative is the label of a chip that only stands for its kind; nil for others.
	Illustrative *result.Illustrative
	profile      dmaapi.Profile
}

// Load resolves a preset with settings above it, whose paths begin with "soc.".
func Load(preset string, overrides []conf.Override, seed uint64) (*Chip, error) {
	names := presets.Set{}.Names("soc")
	if _, ok := (presets.Set{}).Preset("soc", preset); !ok {
		err := fmt.Errorf("unknown chip %q; there are %s", preset, strings.Join(names, ", "))
		if near := conf.Nearest(preset, names); near != "" {
			err = fmt.Errorf("%w; did you mean %q?", err, near)
		}
		return nil, err
	}
	var root struct {
		SoC soc.Config `conf:"soc,preset=soc" doc:"The chip."`
	}
	doc, err := conf.Decode(conf.Source{Name: "calibrate", Data: []byte("soc: " + preset + "\n")}, overrides, presets.Set{}, &root)
	if err != nil {
		return nil, err
	}
	if err := root.SoC.Validate(); err != nil {
		return nil, fmt.Errorf("soc.%w", err)
	}
	profile, ok := dmaapi.ProfileByName(root.SoC.Coherence)
	if !ok {
		err := fmt.Errorf("soc.coherence: unknown coherence profile %q; there are %s", root.SoC.Coherence, strings.Join(dmaapi.ProfileNames(), ", "))
		if near := conf.Nearest(root.SoC.Coherence, dmaapi.ProfileNames()); near != "" {
			err = fmt.Errorf("%w; did you mean %q?", err, near)
		}
		return nil, err
	}
	text, err := conf.Encode(root)
	if err != nil {
		return nil, fmt.Errorf("printing the configuration: %w", err)
	}
	sum := sha256.Sum256(text)
	c := &Chip{Name: root.SoC.Preset, Config: root.SoC, Seed: seed, SHA256: hex.EncodeToString(sum[:]), Estimated: []string{}, profile: profile, Illustrative: scenario.Label(root.SoC, doc.Provenance())}
	for _, p := range doc.Provenance() {
		if p.Estimated {
			c.Estimated = append(c.Estimated, p.Path)
		}
	}
	return c, nil
}

// run runs a driver's program on a fresh chip, on a thread of the drivers' priority with nothing beside it.
func (c *Chip) run(ctx context.Context, policy dmaapi.Policy, program func(*cpu.Thread, *dmaapi.API) error) error {
	sys, err := soc.New(c.Config, c.Seed)
	if err != nil {
		return err
	}
	defer sys.Close()
	api := dmaapi.New(sys.Core, c.profile, policy, nil)
	var failed error
	sys.Core.Spawn("calibration", func(t *cpu.Thread) {
		failed = program(t, api)
		t.Settle()
		sys.Engine.Stop()
	})
	if err := sys.Engine.Run(ctx, sim.Never); err != nil {
		return err
	}
	return failed
}
