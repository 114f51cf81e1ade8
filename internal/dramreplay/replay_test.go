package dramreplay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"socsim/internal/dramtrace"
	"socsim/soc/dram"
)

// made is a source of n requests.
type made struct {
	n, i int
	next func(i int) dramtrace.Request
}

func (m *made) Next() (dramtrace.Request, error) {
	if m.i == m.n {
		return dramtrace.Request{}, io.EOF
	}
	m.i++
	return m.next(m.i - 1), nil
}

func replay(t testing.TB, cfg Config, n int, next func(i int) dramtrace.Request) *Outcome {
	t.Helper()
	o, err := Run(context.Background(), cfg, &made{n: n, next: next}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func sequential(bytes int64) func(i int) dramtrace.Request {
	return func(i int) dramtrace.Request { return dramtrace.Request{Addr: uint64(int64(i) * bytes)} }
}

func TestASequentialStreamRunsAtTheLimitOfTheBusLessRefresh(t *testing.T) {
	for _, preset := range Presets() {
		for _, scheduler := range []string{"inorder", "frfcfs"} {
			cfg := load(t, preset)
			if !cfg.DRAM.Scheduler.Banked() {
				continue
			}
			// Bank by bank, with bursts of 64 bytes: shorter ones are bound by the look-ahead.
			cfg = load(t, preset, "dram.scheduler="+scheduler, "dram.map=rocoba", "dram.hash=false", "dram.burst=16", "dram.look_ahead=16")
			const n = 200_000
			o := replay(t, cfg, n, sequential(cfg.DRAM.RequestBytes()))
			channels := max(1, cfg.DRAM.Channels)
			// Each refresh stops a channel for tRP, tRFC, tRCD, and the CL in which nothing follows the last data before it.
			refreshes := float64(o.Refresh) / float64(channels)
			clocks := func(ns int64) float64 { return float64(ns) * float64(cfg.DRAM.Clock) / 1e12 }
			want := float64(n*int(cfg.DRAM.Burst)/2)/float64(channels) + refreshes*(clocks(int64(cfg.DRAM.TRP+cfg.DRAM.TRFC+cfg.DRAM.TRCD))+float64(cfg.DRAM.CL))
			if got := float64(o.LastReturn - o.FirstAccept); !near(got, want, 0.01) || o.Refresh < 10 {
				t.Errorf("%s, %s: %v clocks with %d refreshes, want %.0f within 1 %%", preset, scheduler, got, o.Refresh, want)
			}
		}
	}
}

func TestADependentReadTakesTheSumOfItsTimings(t *testing.T) {
	for _, scheduler := range []string{"inorder", "frfcfs"} {
		for preset, clocks := range map[string]struct{ rcd, rp, cl, data int64 }{
			"lpddr-333-x32":  {3, 3, 3, 8},
			"lpddr-400-x32":  {4, 4, 3, 8},
			"lpddr-n900-166": {4, 3, 3, 2},
			"lpddr-n900-200": {4, 3, 3, 2},
			"ddr3-800-x16":   {6, 6, 6, 4},
		} {
			cfg := load(t, preset, "dram.scheduler="+scheduler)
			row := uint64(cfg.DRAM.Row) * uint64(cfg.DRAM.Banks)
			for _, c := range []struct {
				name  string
				addrs []uint64
				want  int64
			}{
				{"closed", []uint64{0}, 1 + clocks.rcd + clocks.cl + clocks.data},
				{"hit", []uint64{0, 0}, 1 + clocks.cl + clocks.data},
				{"conflict", []uint64{0, row}, 1 + clocks.rp + clocks.rcd + clocks.cl + clocks.data},
			} {
				var got []int64
				for k := range c.addrs {
					o := replay(t, cfg, k+1, func(i int) dramtrace.Request { return dramtrace.Request{Addr: c.addrs[i], Arrival: int64(i) * 200} })
					got = append(got, o.Latency.Sum())
				}
				last := got[len(got)-1]
				if len(got) > 1 {
					last -= got[len(got)-2]
				}
				if last != c.want {
					t.Errorf("%s, %s, %s: %d clocks, want %d", preset, scheduler, c.name, last, c.want)
				}
			}
		}
	}
}

func TestWaitingForTheFixedServerIsThatOfMD1(t *testing.T) {
	const service, arrivals = 1000, 2_000_000 // in clocks of 1 ns
	for _, tt := range []struct{ load, wait float64 }{{0.3, 0.214}, {0.6, 0.75}, {0.8, 2}} {
		rng := rand.New(rand.NewPCG(7, uint64(100*tt.load)))
		at := 0.0
		o := replay(t, load(t, "fixed", "dram.service=1us"), arrivals, func(int) dramtrace.Request {
			at += rng.ExpFloat64() * service / tt.load
			return dramtrace.Request{Arrival: int64(at)}
		})
		got := mean(&o.Latency)/service - 1
		if exact := tt.load / (2 * (1 - tt.load)); !near(got, exact, 0.02) || !near(got, tt.wait, 0.022) {
			t.Errorf("load %v: mean wait of %.4f service times, want %.4f within 2 %%", tt.load, got, exact)
		}
	}
}

func TestTheIdealMemoryNeverQueues(t *testing.T) {
	o := replay(t, load(t, "ideal"), 10_000, sequential(64))
	if o.Latency.Max() != 51 || o.Latency.Percentile(1) != 51 || o.LastAccept != 9999 {
		t.Errorf("latencies up to %d clocks, last accepted at %d", o.Latency.Max(), o.LastAccept)
	}
}

func TestAddressesWrapAroundAtTheSize(t *testing.T) {
	cfg := load(t, "lpddr-333-x32")
	o := replay(t, cfg, 2, func(i int) dramtrace.Request {
		return dramtrace.Request{Addr: 0x8000_0000 + uint64(i)*DefaultSize, Arrival: int64(i) * 100}
	})
	if o.RowHits != 1 {
		t.Errorf("%+v, want a row hit of the same burst", o.Stats)
	}
}

func TestChannelsServeInParallelUnderBothSchedulers(t *testing.T) {
	for _, scheduler := range []string{"inorder", "frfcfs"} {
		took := func(channels string) int64 {
			cfg := load(t, "lpddr-333-x32", "dram.scheduler="+scheduler, "dram.channels="+channels, "dram.look_ahead=16", "dram.map=rocoba")
			return replay(t, cfg, 20_000, sequential(64)).LastReturn
		}
		if one, four := took("1"), took("4"); float64(one) < 3.8*float64(four) {
			t.Errorf("%s: %d clocks on a channel, %d on four", scheduler, one, four)
		}
	}
}

func TestCommandsOfAllChannelsComeInTheOrderOfTheirClocks(t *testing.T) {
	for _, scheduler := range []string{"inorder", "frfcfs"} {
		for _, channels := range []string{"1", "2"} {
			cfg := load(t, "lpddr-333-x32", "dram.scheduler="+scheduler, "dram.channels="+channels, "dram.power_down=1us")
			var clocks []int64
			kinds := map[dram.Kind]uint64{}
			rng := rand.New(rand.NewPCG(1, 1))
			at := int64(0)
			o, err := Run(context.Background(), cfg, &made{n: 5000, next: func(i int) dramtrace.Request {
				at += rng.Int64N(60)
				if i%1000 == 0 {
					at += 10_000
				}
				return dramtrace.Request{Addr: rng.Uint64(), Arrival: at, Write: i%3 == 0}
			}}, func(c dram.Command) {
				clocks = append(clocks, c.Clk)
				kinds[c.Kind]++
			})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.IsSorted(clocks) {
				t.Errorf("%s, %s channels: commands are not in order", scheduler, channels)
			}
			if kinds[dram.Activate] != o.Activates || kinds[dram.Precharge] != o.Precharges || kinds[dram.Refresh] != o.Refresh ||
				kinds[dram.Read]+kinds[dram.Write] != o.Reads+o.Writes-o.Merged-o.Forwarded-uint64(o.Resting) {
				t.Errorf("%s, %s channels: shown %v, counted %+v", scheduler, channels, kinds, o.Stats)
			}
			if want := uint64(o.Cycles / 1300); o.Refresh < want || o.Refresh > 2*want {
				t.Errorf("%s, %s channels: %d refreshes in %d clocks", scheduler, channels, o.Refresh, o.Cycles)
			}
			if o.PrechargeDown+o.ActiveDown == 0 {
				t.Errorf("%s, %s channels: never in power-down", scheduler, channels)
			}
		}
	}
}

func TestErrorsOfTheTraceAndTheContextEndTheReplay(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Run(context.Background(), load(t, "fixed"), failing{broken}, nil); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, memory := range []string{"fixed", "lpddr-333-x32"} {
		o, err := Run(ctx, load(t, memory), &made{n: 1 << 20, next: sequential(64)}, nil)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: %v", memory, err)
		}
		if o == nil || o.Reads+o.Writes != checkEvery || o.LastReturn < o.LastAccept {
			t.Errorf("%s: what was replayed before is lost: %+v", memory, o)
		}
	}
}

type failing struct{ err error }

func (f failing) Next() (dramtrace.Request, error) { return dramtrace.Request{}, f.err }

func TestMistakesInTheConfigurationAreNamed(t *testing.T) {
	if _, err := Load("lpddr-333", nil); err == nil || !strings.Contains(err.Error(), `unknown memory "lpddr-333"; there are ddr3-1066-x32, `) ||
		!strings.Contains(err.Error(), `did you mean "lpddr-333-x32"?`) {
		t.Errorf("%v", err)
	}
	cfg := load(t, "lpddr-333-x32", "memory.size=8KiB")
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "memory.size: 8KiB, want a power of two of at least 16KiB") {
		t.Errorf("%v", err)
	}
}

func TestEveryPresetIsValidAndSaysWhereItsValuesComeFrom(t *testing.T) {
	if n := len(Presets()); n != 15 {
		t.Errorf("%d presets", n)
	}
	for _, p := range Presets() {
		l, err := Load(p, nil)
		if err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		if l.DRAM.Preset != p || len(l.SHA256) != 64 {
			t.Errorf("%s: %+v", p, l)
		}
	}
}

func TestTheDocumentLeavesOutWhatDidNotOccur(t *testing.T) {
	l, err := Load("lpddr-333-x32", nil)
	if err != nil {
		t.Fatal(err)
	}
	has := func(d map[string]bool, names ...string) (missing []string) {
		for _, n := range names {
			if !d[n] {
				missing = append(missing, n)
			}
		}
		return missing
	}
	names := func(l *Loaded, write bool) map[string]bool {
		o := replay(t, l.Config, 100, func(i int) dramtrace.Request { return dramtrace.Request{Addr: uint64(64 * i), Write: write} })
		all := map[string]bool{}
		for n := range l.Document("x", o).Metrics {
			all[n] = true
		}
		return all
	}
	everywhere := []string{"cycles", "reads", "writes", "last_accept_clk", "bandwidth_MBps"}
	rows := []string{"row_hits", "activates", "precharges", "refreshes"}
	read := []string{"latency_ns.mean", "latency_ns.p50", "latency_ns.p95", "latency_ns.max", "last_return_clk"}
	if m := has(names(l, false), slices.Concat(everywhere, rows, read)...); m != nil {
		t.Errorf("missing %v", m)
	}
	if d := names(l, true); len(has(d, slices.Concat(everywhere, rows)...)) > 0 || len(has(d, read...)) != len(read) {
		t.Errorf("of writes alone: %v", d)
	}
	l, err = Load("fixed", nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := names(l, false); len(has(d, slices.Concat(everywhere, read)...)) > 0 || len(has(d, rows...)) != len(rows) {
		t.Errorf("of the fixed server: %v", d)
	}
}

func TestBandwidthIsOverTheBusyTime(t *testing.T) {
	l, err := Load("ideal", nil)
	if err != nil {
		t.Fatal(err)
	}
	// Two reads of 64 bytes, at clocks 1000 and 1100 of a ns; the last data is there 52 later.
	o := replay(t, l.Config, 2, func(i int) dramtrace.Request { return dramtrace.Request{Arrival: 1000 + 100*int64(i)} })
	m := l.Document("x", o).Metrics
	if got, want := m["bandwidth_MBps"].Value.Float(), 128*1000.0/152; math.Abs(got-want) > 0.001 {
		t.Errorf("%v MB/s, want %v", got, want)
	}
	if got := m["latency_ns.mean"].Value.Float(); got != 51 {
		t.Errorf("mean latency %v ns", got)
	}
}

func TestPercentilesAreByNearestRank(t *testing.T) {
	var l Latencies
	for i := range int64(100) {
		l.Add(i + 1)
	}
	l.Add(3_000_000)
	for p, want := range map[uint64]int64{1: 2, 50: 51, 95: 96, 99: 100} {
		if got := l.Percentile(p); got != want {
			t.Errorf("p%d: %d, want %d", p, got, want)
		}
	}
	if got := l.Percentile(100); got > 3_000_000 || float64(got) < 3_000_000*0.999 {
		t.Errorf("p100: %d, want 3000000 within 0.1 %%", got)
	}
	for _, v := range []int64{0, 1, exact - 1, exact, exact + 63, exact + 64, 1 << 20, 1<<40 + 12345} {
		if got := value(index(v)); got > v || float64(v-got) > 0.001*float64(v) || index(got) != index(v) {
			t.Errorf("%d is counted as %d", v, got)
		}
	}
}

func TestTracesAreNamedByTheirFiles(t *testing.T) {
	for path, want := range map[string]string{"-": "stdin", "a/p_copy_sat.trc.gz": "p_copy_sat", "x.txt.zst": "x", "y": "y", ".gz": ".gz"} {
		if got := TraceName(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func BenchmarkReplay(b *testing.B) {
	for _, scheduler := range []string{"inorder", "frfcfs"} {
		for _, gap := range []int64{0, 60} {
			name := "saturated"
			if gap > 0 {
				name = fmt.Sprintf("paced%d", gap)
			}
			b.Run(scheduler+"/"+name, func(b *testing.B) {
				cfg := load(b, "lpddr-333-x32", "dram.scheduler="+scheduler)
				b.ReportAllocs()
				b.ResetTimer()
				replay(b, cfg, b.N, func(i int) dramtrace.Request {
					return dramtrace.Request{Addr: uint64(uint32(i)*2654435761) &^ 63, Arrival: int64(i) * gap, Write: i%3 == 0}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
			})
		}
	}
}
