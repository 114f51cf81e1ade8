// Package run carries out scenarios: it builds the chip and the application, simulates warm-up and measurement, and gathers the metrics. Several strategies run side by side; what they find
// does not depend on how many at once.
package run

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"socsim/internal/coherency"
	"socsim/internal/result"
	"socsim/internal/scenario"
	"socsim/iommu"
	"socsim/sim"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/graph"
)

// Job is one scenario under one strategy.
type Job struct {
	Scenario *scenario.Loaded
	Strategy flush.Info
	// Ties, if not nil, is the seed that orders events of one time, which otherwise run in the order of scheduling.
	Ties *uint64
}

// outcome is what one simulation found, before it is compared with the ideal.
type outcome struct {
	doc  *result.Document
	work sim.Time // core time in anything but idle
	jobs []graph.TaskResult
}

// Progress is told about each job that is finished; it is called from one goroutine at a time.
type Progress func(done, total int, name string)

// Run carries out the jobs on up to workers goroutines and returns their documents in the order of the jobs. For every scenario the ideal of coherent caches is simulated too, once, as the
// baseline of overhead and slowdown. If ctx is cancelled or a job fails, the documents finished so far are returned with the error; the others are nil.
func Run(ctx context.Context, jobs []Job, workers int, progress Progress) ([]*result.Document, error) {
	ideal, err := flush.ByName("ideal-coherent")
	if err != nil {
		return nil, err
	}
	all := append([]Job(nil), jobs...)
	baseline := map[*scenario.Loaded]int{}
	for _, j := range jobs {
		if _, ok := baseline[j.Scenario]; !ok {
			baseline[j.Scenario] = len(all)
			all = append(all, Job{Scenario: j.Scenario, Strategy: ideal, Ties: j.Ties})
		}
	}
	outcomes := make([]*outcome, len(all))
	errs := make([]error, len(all))
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range max(1, min(workers, len(all))) {
		wg.Go(func() {
			for i := range next {
				outcomes[i], errs[i] = simulate(ctx, all[i])
				mu.Lock()
				done++
				if progress != nil && errs[i] == nil {
					progress(done, len(all), all[i].Scenario.Name+" "+all[i].Strategy.Label())
				}
				mu.Unlock()
			}
		})
	}
	started := make([]bool, len(all))
	for i, j := range jobs {
		// The baseline goes first: without it a scenario's results lack the comparison.
		if b := baseline[j.Scenario]; !started[b] {
			started[b] = true
			next <- b
		}
		next <- i
	}
	close(next)
	wg.Wait()

	docs := make([]*result.Document, len(jobs))
	optimal := map[*scenario.Loaded]int64{}
	for i, j := range jobs {
		base := outcomes[baseline[j.Scenario]]
		if outcomes[i] == nil {
			continue
		}
		docs[i] = outcomes[i].doc
		if base != nil {
			compare(outcomes[i], base)
		}
		if o, ok := overhead(docs[i]); ok && j.Strategy.Name == "optimal" {
			optimal[j.Scenario] = o
		}
	}
	for i, j := range jobs {
		if docs[i] == nil {
			continue
		}
		mine, ok := overhead(docs[i])
		if least := optimal[j.Scenario]; ok && least >= worthComparing && mine >= 0 {
			docs[i].Set("maintenance.vs_optimal", "ratio", result.Ratio(mine, least, 4))
		}
		for _, e := range j.Scenario.Expect {
			docs[i].Expect = append(docs[i].Expect, e.Judge(docs[i]))
		}
	}
	return docs, errors.Join(dedupe(errs)...)
}

// dedupe drops repeated errors: a cancelled context fails all jobs with one cause, and a scenario that cannot run fails under every strategy.
func dedupe(errs []error) []error {
	seen := map[string]bool{}
	var out []error
	for _, err := range errs {
		if err == nil {
			continue
		}
		key := err.Error()
		if errors.Is(err, context.Canceled) {
			key = "canceled"
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, err)
		}
	}
	return out
}

// simulate runs one job.
func simulate(ctx context.Context, j Job) (*outcome, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s under %s: %w", j.Scenario.Name, j.Strategy.Label(), err)
	}
	o, err := simulateSystem(ctx, j)
	if err != nil {
		return nil, fmt.Errorf("%s under %s: %w", j.Scenario.Name, j.Strategy.Label(), err)
	}
	return o, nil
}

func simulateSystem(ctx context.Context, j Job) (*outcome, error) {
	begin := time.Now()
	s := j.Scenario
	sys, err := soc.New(s.SoC, s.Run.Seed)
	if err != nil {
		return nil, err
	}
	defer sys.Close()
	if j.Ties != nil {
		sys.Engine.ShuffleTies(*j.Ties)
	}
	check := coherency.New(sys.Memory, sys.MasterName)
	sys.Memory.SetObserver(check)
	sys.Memory.SetCoherent(j.Strategy.Coherent)
	profile, ok := dmaapi.ProfileByName(s.SoC.Coherence)
	if !ok {
		return nil, fmt.Errorf("unknown coherence profile %q", s.SoC.Coherence)
	}
	api := dmaapi.New(sys.Core, profile, j.Strategy.New(), check)
	if s.Run.DMADebug {
		api.SetDebugger(check)
	}
	g, err := graph.New(sys, graph.Config{Buffers: s.Buffers, Stages: s.Stages, Tasks: s.Tasks, Seed: s.Run.Seed, Script: s.Script, ScriptFrom: s.Run.Warmup}, api)
	if err != nil {
		return nil, err
	}
	g.Allocator().SetDebugger(check)
	for _, t := range g.MMUs() {
		t.MMU.OnStale = func(s iommu.Stale) { check.StaleTranslation(t.Name, s) }
	}
	g.Start()
	end := s.Run.Warmup + s.Run.Duration
	if err := advance(ctx, sys, g, s.Run.Warmup); err != nil {
		return nil, err
	}
	sys.Core.Reset(s.Run.Warmup)
	sys.Fabric.ResetStats()
	g.Reset()
	check.EndWarmup()
	g.StopAfter(s.Run.Frames)
	if err := advance(ctx, sys, g, end); err != nil {
		return nil, err
	}
	if _, _, over := g.Script(); (s.Run.Frames > 0 || over && len(s.Stages) == 0) && sys.Engine.Now() < end-1 {
		end = max(sys.Engine.Now(), s.Run.Warmup+1) // the frames were enough, or the script is over
	}
	sys.Core.Close(end)
	if !g.Ready() {
		return nil, fmt.Errorf("the application was still setting up when the run ended at %v: raise run.warmup or run.duration", end)
	}
	measured := end - s.Run.Warmup
	c := collector{sys: sys, graph: g, check: check, scenario: s, measured: measured}
	doc := c.document(j.Strategy.Label())
	doc.Host = result.Host{WallNS: time.Since(begin).Nanoseconds(), Events: sys.Engine.Events() + sys.Fabric.Grants()}
	return &outcome{doc: doc, work: measured - sys.Core.Time(cpu.Idle), jobs: g.Tasks()}, nil
}

func advance(ctx context.Context, sys *soc.System, g *graph.Graph, until sim.Time) error {
	if err := sys.Run(ctx, until); err != nil {
		return err
	}
	return g.Err()
}

// compare adds the metrics that measure against the ideal of coherent caches.
func compare(o, base *outcome) {
	frames := o.doc.Metrics["frames.captured"].Value.Int
	baseFrames := base.doc.Metrics["frames.captured"].Value.Int
	if frames > 0 && baseFrames > 0 {
		mine := int64(o.work) / frames
		ideal := int64(base.work) / baseFrames
		o.doc.Set("overhead.time_per_frame", "ns", result.Int(rounded(mine-ideal)))
	}
	for i, t := range o.jobs {
		if ideal := base.jobs[i]; t.Jobs > 0 && ideal.Jobs > 0 && ideal.Mean > 0 {
			o.doc.Set("task."+t.Name+".slowdown", "ratio", result.Ratio(int64(t.Mean), int64(ideal.Mean), 4))
		}
	}
}

// worthComparing is the least overhead of the optimal strategy, in ns a frame, that others are compared with.
const worthComparing = 1000

// overhead returns a document's overhead a frame in ns.
func overhead(d *result.Document) (ns int64, ok bool) {
	m, ok := d.Metrics["overhead.time_per_frame"]
	return m.Value.Int, ok
}

// rounded converts picoseconds to nanoseconds.
func rounded(ps int64) int64 {
	if ps < 0 {
		return -((-ps + 500) / 1000)
	}
	return (ps + 500) / 1000
}
