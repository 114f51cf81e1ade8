package dramreplay

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/sim"
	"socsim/soc/dram"
	"socsim/soc/presets"
)

// Loaded is a configuration with what is known about it.
type Loaded struct {
	Config
	SHA256    string   // of the resolved configuration
	Estimated []string // settings in force whose values no source backs
}

// DefaultSize is the size of the memory if --set says nothing.
const DefaultSize = 256 << 20

// Presets lists the memories.
func Presets() []string { return presets.Set{}.Names("dram") }

// Load resolves a preset with settings above it.
func Load(preset string, overrides []conf.Override) (*Loaded, error) {
	if _, ok := (presets.Set{}).Preset("dram", preset); !ok {
		err := fmt.Errorf("unknown memory %q; there are %s", preset, strings.Join(Presets(), ", "))
		if near := conf.Nearest(preset, Presets()); near != "" {
			err = fmt.Errorf("%w; did you mean %q?", err, near)
		}
		return nil, err
	}
	l := &Loaded{Config: Config{Memory: Memory{Size: DefaultSize}}, Estimated: []string{}}
	doc, err := conf.Decode(conf.Source{Name: "--preset", Data: []byte("dram: " + preset + "\n")}, overrides, presets.Set{}, &l.Config)
	if err != nil {
		return nil, err
	}
	if err := l.Validate(); err != nil {
		return nil, err
	}
	text, err := conf.Encode(l.Config)
	if err != nil {
		return nil, fmt.Errorf("printing the configuration: %w", err)
	}
	sum := sha256.Sum256(text)
	l.SHA256 = hex.EncodeToString(sum[:])
	for _, p := range doc.Provenance() {
		if p.Estimated {
			l.Estimated = append(l.Estimated, p.Path)
		}
	}
	return l, nil
}

// TraceName is what results call the trace at a path.
func TraceName(path string) string {
	if path == "-" {
		return "stdin"
	}
	name := filepath.Base(path)
	for _, end := range []string{".gz", ".zst", ".trc", ".txt"} {
		if s := strings.TrimSuffix(name, end); s != "" {
			name = s
		}
	}
	return name
}

// Document is the result of a replay. What does not occur is absent: rows and commands where there are no banks, latencies where nothing is read.
func (l *Loaded) Document(trace string, o *Outcome) *result.Document {
	clock := sim.NewClock(int64(l.DRAM.Clock))
	scheduler := l.DRAM.Scheduler
	if scheduler == "" {
		scheduler = dram.InOrder
	}
	d := &result.Document{
		Schema: result.Schema, Version: result.Version, Scenario: trace, SoC: l.DRAM.Preset, Strategy: string(scheduler), SimulatedPS: int64(clock.Cycles(o.Cycles)),
		ConfigSHA256: l.SHA256, Estimated: l.Estimated, Expect: []result.Expectation{}, Violations: []result.Violation{},
		Host: result.Host{Events: o.Reads + o.Writes},
	}
	count := func(name, unit string, n uint64) { d.Set(name, unit, result.Int(int64(n))) }
	count("cycles", "clocks", uint64(o.Cycles))
	count("reads", "count", o.Reads)
	count("writes", "count", o.Writes)
	count("last_accept_clk", "clocks", uint64(o.LastAccept))
	if scheduler.Banked() {
		count("row_hits", "count", o.RowHits)
		count("activates", "count", o.Activates)
		count("precharges", "count", o.Precharges)
		count("refreshes", "count", o.Refresh)
		d.Set("utilization", "fraction", result.Ratio(int64(o.DataClocks), o.Cycles*int64(max(1, l.DRAM.Channels)), 6))
	}
	if scheduler == dram.FirstReady {
		count("merged", "count", o.Merged)
		count("forwarded", "count", o.Forwarded)
		count("writes_resting", "count", uint64(o.Resting))
	}
	if l.DRAM.PowerDown > 0 {
		count("power_down.precharged", "clocks", o.PrechargeDown)
		count("power_down.active", "clocks", o.ActiveDown)
	}
	// Busy is from the first request to the last data, or the last hand-over where that is later.
	bytes := int64(o.Reads+o.Writes) * l.DRAM.RequestBytes()
	if busy := int64(clock.Cycles(max(o.LastReturn, o.LastAccept+1) - o.FirstAccept)); busy > 0 && bytes < 1<<43 {
		d.Set("bandwidth_MBps", "MB/s", result.Ratio(bytes*1_000_000, busy, 3))
	}
	if n := o.Latency.Count(); n > 0 {
		ns := func(name string, clocks int64) {
			d.Set("latency_ns."+name, "ns", result.Ratio(int64(clock.Cycles(clocks)), 1000, 3))
		}
		count("last_return_clk", "clocks", uint64(o.LastReturn))
		d.Set("latency_ns.mean", "ns", result.Ratio(int64(clock.Cycles(o.Latency.Sum())), 1000*int64(n), 3))
		ns("p50", o.Latency.Percentile(50))
		ns("p95", o.Latency.Percentile(95))
		ns("max", o.Latency.Max())
	}
	return d
}
