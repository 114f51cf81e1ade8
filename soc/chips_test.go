package soc_test

import (
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/soc"
	"socsim/soc/presets"
)

func chip(t *testing.T, settings ...conf.Override) (soc.Config, error) {
	t.Helper()
	var root struct {
		SoC soc.Config `conf:"soc,preset=soc"`
	}
	_, err := conf.Decode(conf.Source{Name: "test", Data: []byte("soc: omap3430\n")}, settings, presets.Set{}, &root)
	return root.SoC, err
}

func TestEachChipHasTheCachesOfItsCore(t *testing.T) {
	for _, c := range []struct {
		name                string
		levels, inner, line int
		aliases, allocates  bool
	}{
		{"omap3430", 2, 2, 64, false, false},
		{"am335x", 2, 2, 64, false, false},
		{"omap2420", 1, 1, 32, true, false},
		{"omap4430", 2, 1, 32, false, true},
		{"omap3530", 2, 2, 64, false, false},
		{"dm3730", 2, 2, 64, false, false},
		{"omap1-arm926", 1, 1, 32, true, false},
		{"zynq7000", 2, 1, 32, false, true},
		{"arm64-syscache", 3, 3, 64, false, true},
		{"server-64m", 3, 3, 64, false, true},
		{"ideal", 2, 2, 64, false, false},
	} {
		cfg, err := chip(t, conf.Override{Path: "soc", Value: c.name}, conf.Override{Path: "soc.memory.size", Value: "64MiB"}, conf.Override{Path: "soc.memory.reserved", Value: "32MiB"})
		if err != nil {
			t.Fatal(err)
		}
		s, err := soc.New(cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		h := s.Caches
		if h.Levels() != c.levels || h.Inner() != c.inner || h.LineSize() != c.line || h.KeepsAliases() != c.aliases || h.AllocatesForStores() != c.allocates {
			t.Errorf("%s: %d levels, %d of them inner, lines of %d, keeps aliases %t, allocates for stores %t; want %+v",
				c.name, h.Levels(), h.Inner(), h.LineSize(), h.KeepsAliases(), h.AllocatesForStores(), c)
		}
		s.Close()
	}
}

func TestAWriteCombiningBlockLiesWithinALine(t *testing.T) {
	cfg, err := chip(t, conf.Override{Path: "soc", Value: "omap2420"}, conf.Override{Path: "soc.cpu.write_merge", Value: "64B"})
	if err == nil {
		err = cfg.Validate()
	}
	if err == nil || !strings.Contains(err.Error(), "cpu.write_merge: 64B") {
		t.Errorf("error %v", err)
	}
}

func TestALevelThatIsNotThereNeedsNoLineSize(t *testing.T) {
	cfg, err := chip(t, conf.Override{Path: "soc", Value: "omap2420"}, conf.Override{Path: "soc.l2.line", Value: "64B"})
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		t.Error(err)
	}
}

func TestAThirdLevelLiesBehindASecondOfTheSameLine(t *testing.T) {
	for _, c := range []struct {
		settings []string
		want     string
	}{
		{[]string{"soc.llc.size=1MiB"}, ""},
		{[]string{"soc.llc.size=1MiB", "soc.llc.line=32B"}, "llc.line: 32B"},
		{[]string{"soc.llc.size=1MiB", "soc.l2.size=0B"}, "l2.size is 0B"},
		{[]string{"soc.llc.size=1MiB", "soc.llc.ways=3"}, "llc: size of"},
		{[]string{"soc.llc.size=1MiB", "soc.l2.outer=true"}, "llc: not outer"},
		{[]string{"soc.system_cache.size=1MiB"}, ""},
		{[]string{"soc.system_cache.size=1000B"}, "system_cache: size of 1000 bytes"},
	} {
		var set []conf.Override
		for _, s := range c.settings {
			path, value, _ := strings.Cut(s, "=")
			set = append(set, conf.Override{Path: path, Value: value})
		}
		cfg, err := chip(t, set...)
		if err != nil {
			t.Fatal(err)
		}
		err = cfg.Validate()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%v: %v", c.settings, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%v: error %v, want %q", c.settings, err, c.want)
		case c.want == "":
			s, err := soc.New(cfg, 1)
			if err != nil {
				t.Fatal(err)
			}
			_, cached := s.Fabric.SystemCache()
			if (s.Caches.Levels() == 3) == cached {
				t.Errorf("%v: %d levels, system cache %t", c.settings, s.Caches.Levels(), cached)
			}
			s.Close()
		}
	}
}
