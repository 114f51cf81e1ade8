package calibrate

import (
	"context"
	"fmt"

	"socsim/internal/result"
	"socsim/sim/units"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
)

// WorkingSets are the bystanders whose thresholds are compared.
var WorkingSets = []units.Bytes{0, 64 << 10, 128 << 10, 256 << 10}

// Directions are the DMA directions in the order of reports.
var Directions = []dmaapi.Direction{dmaapi.ToDevice, dmaapi.FromDevice, dmaapi.Bidirectional}

// Row is what was found beside one working set.
type Row struct {
	WorkingSet units.Bytes
	flush.Outcome
}

// Report is what a calibration found on a chip.
type Report struct {
	Chip  *Chip
	Costs []Cost
	// Rows are the thresholds beside each of WorkingSets, Chosen those of the strategy asked for, whose label is Strategy.
	Rows     []Row
	Strategy string
	Chosen   flush.Outcome
}

// Strategy is the strategy whose measurements these are.
const Strategy = "calibrated"

// Outcome lets a variant of the strategy calibrated measure on the chip, as it would before an application's first allocation.
func (c *Chip) Outcome(ctx context.Context, strategy flush.Info) (flush.Outcome, error) {
	p := strategy.New()
	err := c.run(ctx, p, func(t *cpu.Thread, api *dmaapi.API) error {
		api.Start(t)
		return nil
	})
	if err != nil {
		return flush.Outcome{}, fmt.Errorf("%s on %s: %w", strategy.Label(), c.Name, err)
	}
	o, ok := flush.Calibration(p)
	if !ok {
		return o, fmt.Errorf("%s on %s: there is not enough memory to measure with", strategy.Label(), c.Name)
	}
	return o, nil
}

// Thresholds lets the strategy measure beside each of WorkingSets, its other parameters as given.
func (c *Chip) Thresholds(ctx context.Context, strategy flush.Info) ([]Row, error) {
	var rows []Row
	for _, set := range WorkingSets {
		with, err := strategy.With("working_set", set.String())
		if err != nil {
			return nil, err
		}
		o, err := c.Outcome(ctx, with)
		if err != nil {
			return nil, err
		}
		rows = append(rows, Row{set, o})
	}
	return rows, nil
}

// Measure measures everything.
func (c *Chip) Measure(ctx context.Context, strategy flush.Info) (*Report, error) {
	r := &Report{Chip: c, Strategy: strategy.Label()}
	var err error
	if r.Costs, err = c.Costs(ctx); err != nil {
		return nil, err
	}
	if r.Rows, err = c.Thresholds(ctx, strategy); err != nil {
		return nil, err
	}
	if r.Chosen, err = c.Outcome(ctx, strategy); err != nil {
		return nil, err
	}
	return r, nil
}

// caches are the parts of the hierarchy that are decided about, as they are named in metrics and macros.
func caches(o *flush.Outcome) []string {
	if o.HasOuter {
		return []string{"", "outer"}
	}
	return []string{""}
}

// crossing returns what was found for a part of the hierarchy.
func crossing(o *flush.Outcome, cache string, d dmaapi.Direction) flush.Crossing {
	if cache == "outer" {
		return o.Outer[d]
	}
	return o.Inner[d]
}

// Document is the report as a result. A threshold that is never reached is absent.
func (r *Report) Document() *result.Document {
	d := &result.Document{
		Schema: result.Schema, Version: result.Version, Scenario: "calibrate", SoC: r.Chip.Name, Strategy: r.Strategy, Seed: r.Chip.Seed, ConfigSHA256: r.Chip.SHA256,
		Estimated: r.Chip.Estimated, Illustrative: r.Chip.Illustrative, Expect: []result.Expectation{}, Violations: []result.Violation{}, SimulatedPS: int64(r.Chosen.Took),
	}
	for _, c := range r.Costs {
		d.Set("calibrate.cost."+c.Name, "ns", c.Time)
	}
	set := func(name string, t flush.Threshold) {
		if t != flush.Never {
			d.Set("calibrate.threshold."+name, "bytes", result.Int(int64(t)))
		}
	}
	for _, cache := range caches(&r.Chosen) {
		prefix := cache
		if cache != "" {
			prefix += "."
		}
		for _, dir := range Directions {
			set(prefix+dir.String(), r.Chosen.Threshold(dir, cache == "outer"))
			for i := range r.Rows {
				x := crossing(&r.Rows[i].Outcome, cache, dir)
				name := fmt.Sprintf("%sworking_set_%v.%v.", prefix, r.Rows[i].WorkingSet, dir)
				set(name+"operation", x.Operation)
				set(name+"end_to_end", x.EndToEnd)
			}
		}
	}
	return d
}
