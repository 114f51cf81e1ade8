package dramreplay

import (
	"testing"

	"socsim/internal/conf"
	"socsim/internal/metric"
	"socsim/internal/metric/metrictest"
	"socsim/internal/result"
)

func TestEveryMetricIsInTheRegistryWithItsUnit(t *testing.T) {
	var docs []*result.Document
	for _, sets := range [][]conf.Override{
		{{Path: "dram.scheduler", Value: "inorder"}, {Path: "dram.power_down", Value: "200ns"}},
		{{Path: "dram.scheduler", Value: "frfcfs"}},
	} {
		l, err := Load("lpddr-333-x32", sets)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, l.Document("loads", replay(t, l.Config, 100, sequential(64))))
	}
	metrictest.Agrees(t, metric.DRAMReplay, nil, docs...)
}
