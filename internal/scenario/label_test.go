package scenario

import (
	"testing"

	"socsim/internal/conf"
)

func TestAnIllustrativeChipIsLabelledWithItsEstimates(t *testing.T) {
	on := func(sets ...conf.Override) *Loaded {
		t.Helper()
		l, err := Load(conf.Source{Name: "x", Data: library(t, "camera-preview")}, sets)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := on(); l.Illustrative != nil {
		t.Errorf("omap3430: %v", l.Illustrative)
	}
	plain := on(conf.Override{Path: "soc", Value: "zynq7000"}).Illustrative
	if plain == nil || plain.Preset != "zynq7000" || plain.Estimated < 50 || plain.Values <= plain.Estimated {
		t.Fatalf("zynq7000: %v", plain)
	}
	own := on(conf.Override{Path: "soc", Value: "zynq7000"}, conf.Override{Path: "soc.l3.clock", Value: "200MHz"}, conf.Override{Path: "soc.l4.clock", Value: "100MHz"}).Illustrative
	if own.Values != plain.Values-2 || own.Estimated != plain.Estimated-1 {
		t.Errorf("%v, want two values less than %v, one of them an estimate", own, plain)
	}
	if l := on(conf.Override{Path: "soc", Value: "zynq7000"}, conf.Override{Path: "soc.illustrative", Value: "false"}); l.Illustrative != nil {
		t.Errorf("told that it is none: %v", l.Illustrative)
	}
}
