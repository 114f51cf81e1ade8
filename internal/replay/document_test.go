package replay

import (
	"io"
	"testing"

	"socsim/cachemodel"
	"socsim/internal/memtrace"
	"socsim/internal/metric"
	"socsim/internal/metric/metrictest"
	"socsim/internal/result"
)

// loads is a trace of one load after another.
type loads int

func (n *loads) Next(batch []memtrace.Record) (int, error) {
	if *n == 0 {
		return 0, io.EOF
	}
	*n--
	batch[0] = memtrace.Record{Addr: uint64(64 * *n), Size: 4}
	return 1, nil
}

func TestEveryMetricIsInTheRegistryWithItsUnit(t *testing.T) {
	var docs []*result.Document
	for _, split := range []bool{false, true} {
		for _, rules := range []Rules{Hardware, Cachegrind} {
			c := twoLevels(cachemodel.LRU)
			c.Rules = rules
			if !split {
				c.Caches.Instruction = nil
			}
			if rules == Hardware {
				c.FlushEvery = 10
			}
			n := loads(100)
			k, err := Run(t.Context(), &n, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, Document("loads", c, k))
		}
	}
	metrictest.Agrees(t, metric.CacheReplay, nil, docs...)
}
