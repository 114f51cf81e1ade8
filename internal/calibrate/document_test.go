package calibrate

import (
	"context"
	"testing"

	"socsim/internal/metric"
	"socsim/internal/metric/metrictest"
)

func TestEveryMetricIsInTheRegistryWithItsUnit(t *testing.T) {
	r, err := small(t, "omap4430").Measure(context.Background(), calibrated(t)) // with an outer cache
	if err != nil {
		t.Fatal(err)
	}
	metrictest.Agrees(t, metric.Calibrate, nil, r.Document())
}
