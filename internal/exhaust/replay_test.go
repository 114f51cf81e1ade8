package exhaust

import (
	"context"
	"testing"

	"socsim/internal/strategy"
)

func TestTheTimedModelReplaysEveryFailure(t *testing.T) {
	all := presetWorlds(t)
	failed := 0
	for _, w := range all {
		for _, name := range []string{"none", "range", "skip-sync", "ion-fault-tracking", "omap3isp-legacy"} {
			info, err := strategy.One(name, ".")
			if err != nil {
				t.Fatal(err)
			}
			o, err := w.Search(context.Background(), info, 7)
			if err != nil {
				t.Fatal(err)
			}
			if !o.Failed() {
				continue
			}
			failed++
			if text, err := o.Scenario(context.Background(), "exhaustive.yaml", name); err != nil {
				t.Errorf("%v, %s: %v\n%s", w, name, err, text)
			}
		}
	}
	if failed < 10 {
		t.Errorf("only %d searches failed", failed)
	}
}
