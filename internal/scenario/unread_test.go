package scenario

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
	"socsim/scenarios"
)

func TestSettingsWithoutEffectAreToldWithTheirPlaceAndReason(t *testing.T) {
	text := `apiVersion: socsim/v1
name: mine
soc: {preset: omap3430, gpu: {tile: 64}, dram: {queue: 16, txp: 4}}
tasks: [{name: ui, period: 10ms, work: 1ms, working_set: 4KiB}]
clocks:
  - {at: 1ms, cpu: 500MHz, memory_stall: 2us}
`
	l, err := Load(conf.Source{Name: "mine.yaml", Data: []byte(text)}, setting("soc.llc.ways=8", "run.frames=3"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range l.Unread {
		got = append(got, u.String())
	}
	want := []string{
		"mine.yaml:3:37: soc.gpu.tile has no effect here: no stage runs on the gpu",
		"mine.yaml:3:56: soc.dram.queue has no effect here: soc.dram.scheduler is not frfcfs",
		"mine.yaml:3:65: soc.dram.txp has no effect here: soc.dram.power_down is 0s",
		"mine.yaml:6:42: clocks.0.memory_stall has no effect here: the memory's clock does not change then",
		"--set soc.llc.ways=8: soc.llc.ways has no effect here: soc.llc.size is 0B",
		"--set run.frames=3: run.frames has no effect here: no camera captures frames",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"clocks.0.memory_stall", "run.frames", "soc.dram.queue", "soc.dram.txp", "soc.gpu.tile", "soc.llc.ways"}, l.UnreadPaths()); diff != "" {
		t.Error(diff)
	}
}

func TestARuleEndsWhereItsReasonDoes(t *testing.T) {
	for _, c := range []struct {
		path string
		sets []string // with which it has an effect
	}{
		{"soc.dram.queue", []string{"soc.dram.scheduler=frfcfs", "soc.dram.queue=16"}},
		{"soc.dram.txp", []string{"soc.dram.power_down=1us"}},
		{"soc.dram.interleave", []string{"soc.dram.channels=2"}},
		{"soc.llc.ways", []string{"soc.llc.size=1MiB"}},
		{"soc.cpu.llc_cycles", []string{"soc.llc.size=1MiB"}},
		{"soc.system_cache.ways", []string{"soc.system_cache.size=256KiB"}},
		{"soc.cpu.maintenance.outer_line", []string{"soc.l2.outer=true"}},
		{"soc.cpu.streaming_stores", []string{"soc.l1d.allocate=read-write"}},
		{"soc.gpu.bus_limit_burst", []string{"soc.gpu.bus_limit=100MB"}},
		{"soc.cpu.bus_services", []string{"soc.gpu.bus_class=1"}},
		{"stages.panel.rotator", []string{"stages.panel.rotation=180"}},
		{"soc.isp.small_port_bytes", []string{"stages.camera.statistics.af=1KiB"}},
	} {
		for _, has := range []bool{false, true} {
			var sets []string
			if has {
				sets = c.sets
			}
			l, err := Load(conf.Source{Name: "x.yaml", Data: library(t, "camera-preview")}, setting(sets...))
			if err != nil {
				t.Fatal(err)
			}
			if why := l.NoEffect(c.path); has == (why != "") {
				t.Errorf("%s with %v: %q", c.path, sets, why)
			}
		}
	}
}

func TestTheLibraryWritesNothingWithoutEffect(t *testing.T) {
	for _, name := range scenarios.Names() {
		l, err := Load(conf.Source{Name: name + ".yaml", Data: library(t, name)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range l.Unread {
			t.Error(u)
		}
	}
}
