package exhaust

import (
	"context"
	"testing"
	"time"

	"socsim/internal/calibrate"
	"socsim/internal/conf"
	"socsim/internal/strategy"
)

// chipOf is a chip that has a profile.
func worldOf(t testing.TB, chip string, settings ...conf.Override) *World {
	t.Helper()
	c, err := calibrate.Load(chip, settings, 1)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWorld(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestX(t *testing.T) {
	for _, chip := range []string{"omap3430", "omap4430", "omap2420", "omap1-arm926", "arm64-syscache"} {
		w := worldOf(t, chip)
		for _, info := range strategy.All() {
			start := time.Now()
			o, err := w.Search(context.Background(), info, 8)
			if err != nil {
				t.Log(err)
				continue
			}
			t.Logf("%v: %s depth %d states %d closed %v full %v: %v, %v", w, info.Label(), o.Depth, o.States, o.Closed, o.Full, o.Failed(), time.Since(start))
			for _, s := range o.Path {
				t.Log("   ", w.words(s))
			}
			if o.Failed() {
				t.Log("   ", o.Violations)
			}
		}
	}
}
