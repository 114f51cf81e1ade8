package dmaapi

import (
	"context"
	"testing"

	"socsim/internal/conf"
	"socsim/sim"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dramtest"
	"socsim/soc/memory"
	"socsim/soc/presets"
)

// rig is an OMAP3430 with a little memory and a DMA API under a policy that keeps what it is asked and answers what it is told.
type rig struct {
	*soc.System
	tb        testing.TB
	api       *API
	asked     []Question
	answer    func(q *Question) Answer // the operation of the profile, by range, if nil
	handovers []Handover
}

func (r *rig) Decide(q *Question) Answer {
	r.asked = append(r.asked, *q)
	if r.answer != nil {
		return r.answer(q)
	}
	return Answer{Op: q.Default}
}

func (r *rig) Handover(h Handover) { r.handovers = append(r.handovers, h) }

func newRig(tb testing.TB, profile string, settings ...conf.Override) *rig {
	tb.Helper()
	var root struct {
		SoC soc.Config `conf:"soc,preset=soc"`
	}
	settings = append([]conf.Override{{Path: "soc.memory.size", Value: "16MiB"}, {Path: "soc.memory.reserved", Value: "8MiB"}}, settings...)
	if _, err := conf.Decode(conf.Source{Name: "test", Data: []byte("soc: omap3430\n")}, settings, presets.Set{}, &root); err != nil {
		tb.Fatal(err)
	}
	sys, err := soc.New(root.SoC, 1)
	if err != nil {
		tb.Fatal(err)
	}
	dramtest.Watch(tb, sys.DRAM, root.SoC.DRAM)
	tb.Cleanup(sys.Close)
	p, ok := ProfileByName(profile)
	if !ok {
		tb.Fatalf("no profile %q", profile)
	}
	r := &rig{System: sys, tb: tb}
	r.api = New(sys.Core, p, r, r)
	return r
}

// run runs a driver thread to its end.
func (r *rig) run(body func(t *cpu.Thread)) {
	r.tb.Helper()
	r.Core.Spawn("test", body)
	if err := r.Engine.Run(context.Background(), sim.Never); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) scattered(bytes int64) *memory.Region {
	r.tb.Helper()
	m, err := r.Memory.AllocScattered("buffer", bytes)
	if err != nil {
		r.tb.Fatal(err)
	}
	return m
}

func (r *rig) contiguous(bytes, align int64) *memory.Region {
	r.tb.Helper()
	m, err := r.Memory.AllocContiguous("buffer", bytes, align)
	if err != nil {
		r.tb.Fatal(err)
	}
	return m
}

func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}
