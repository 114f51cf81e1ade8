package dramreplay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"socsim/internal/conf"
	"socsim/internal/dramtrace"
	"socsim/sim/bus"
	"socsim/soc/dram"
	"socsim/soc/presets"
)

var update = flag.Bool("update", false, "rewrite the tables in docs/dram.md")

const oracles = "testdata/oracles"

// sets are settings above a preset: path=value.
func load(t testing.TB, preset string, sets ...string) Config {
	t.Helper()
	cfg := Config{Memory: Memory{Size: 256 << 20}}
	var overrides []conf.Override
	for _, s := range sets {
		path, value, _ := strings.Cut(s, "=")
		overrides = append(overrides, conf.Override{Path: path, Value: value})
	}
	if _, err := conf.Decode(conf.Source{Name: "test", Data: []byte("dram: " + preset + "\n")}, overrides, presets.Set{}, &cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// configs are the configurations of DRAMsim3: settings above lpddr-333-x32. The last, the LPDDR file that comes with DRAMsim3, has a clock of 4.8 ns; here it is 5 ns, and all times as many clocks.
var configs = map[string][]string{
	"L333_BL8_robaco":  {"dram.burst=BL8"},
	"L333_BL16_robaco": nil,
	"L333_BL16_rocoba": {"dram.map=rocoba"},
	"L333_BL16_closed": {"dram.page=closed"},
	"lpddr_2Gb_x16": {
		"memory.size=1GiB", "dram.clock=200MHz", "dram.width=8B", "dram.row=16KiB", "dram.burst=8", "dram.cwl=3", "dram.trcd=20ns", "dram.trp=15ns", "dram.tras=45ns", "dram.trc=60ns",
		"dram.trfc=75ns", "dram.trefi=8125ns", "dram.twr=15ns", "dram.tfaw=20ns", "dram.trrd=20ns", "dram.twtr=5",
	},
}

// expected returns the figures by trace, configuration, tool and metric.
func expected(t testing.TB) map[[3]string]map[string]float64 {
	t.Helper()
	file, err := os.Open(filepath.Join(oracles, "expected_dram.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	all := map[[3]string]map[string]float64{}
	for _, r := range rows[1:] {
		k := [3]string{r[0], r[1], r[4]}
		if all[k] == nil {
			all[k] = map[string]float64{}
		}
		v, err := strconv.ParseFloat(r[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		all[k][r[2]] = v
	}
	return all
}

func keys(all map[[3]string]map[string]float64, tool string) (out [][3]string) {
	for k := range all {
		if k[2] == tool {
			out = append(out, k)
		}
	}
	sort.Slice(out, func(i, j int) bool { return fmt.Sprint(out[i]) < fmt.Sprint(out[j]) })
	return out
}

const (
	driverTool = "DRAMsim3lib+driver"
	mainTool   = "DRAMsim3main"
	ramulator  = "Ramulator2.1"
)

func openTrace(t testing.TB, trace string) *dramtrace.Reader {
	t.Helper()
	r, err := dramtrace.Open(filepath.Join(oracles, trace+".trc.gz"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// run is a replay up to a clock.
type run struct {
	Outcome
	commands map[dram.Kind]float64
}

// replayUntil replays a trace as DRAMsim3's program does: at the end of its file it offers one more read of the last address, once, and it stops at a clock, end.
func replayUntil(t testing.TB, cfg Config, src Source, end int64, observe dram.Observer) run {
	t.Helper()
	r := run{Outcome: Outcome{LastAccept: -1, LastReturn: -1}, commands: map[dram.Kind]float64{}}
	p, err := newPort(cfg, &r.Outcome, func(c dram.Command) {
		r.commands[c.Kind]++
		if observe != nil {
			observe(c)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var last bus.Phys
	for {
		req, err := src.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		last = busAddr(req.Addr, cfg)
		r.LastAccept = p.accept(max(req.Arrival, r.LastAccept+1), last, req.Write)
	}
	fr := p.(*reordering)
	at := r.LastAccept + 1
	fr.c.Enqueue(at, last, false, uint64(at))
	fr.c.Settle(end - 1)
	fr.sorter.Flush()
	r.Stats = p.stats()
	return r
}

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance*math.Abs(want) }

func mean(l *Latencies) float64 { return float64(l.Sum()) / float64(l.Count()) }

func TestEveryRowOfDRAMsim3IsMetToTheClock(t *testing.T) {
	all := expected(t)
	rows := 0
	for _, k := range keys(all, driverTool) {
		trace, config := k[0], k[1]
		if config == "lpddr_2Gb_x16" {
			continue // see below
		}
		rows++
		t.Run(trace+"/"+config, func(t *testing.T) {
			cfg := load(t, "lpddr-333-x32", configs[config]...)
			drv := all[k]
			o, err := Run(context.Background(), cfg, openTrace(t, trace), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				metric string
				got    int64
			}{
				{"drv_last_accept_clk", o.LastAccept},
				{"drv_last_read_return_clk", o.LastReturn},
				{"drv_p50", o.Latency.Percentile(50) + 1}, // the driver sees data a clock late
				{"drv_p95", o.Latency.Percentile(95) + 1},
				{"drv_max", o.Latency.Max() + 1},
			} {
				if want, ok := drv[c.metric]; !ok || float64(c.got) != want {
					t.Errorf("%s: %d, want %v", c.metric, c.got, want)
				}
			}
			if got := fmt.Sprintf("%.6f", mean(&o.Latency)+1); got != fmt.Sprintf("%.6f", drv["drv_avg_read_latency_cyc"]) {
				t.Errorf("mean latency %s, want %v", got, drv["drv_avg_read_latency_cyc"])
			}

			main := all[[3]string{trace, config, mainTool}]
			r := replayUntil(t, cfg, openTrace(t, trace), int64(main["num_cycles"]), nil)
			for metric, got := range map[string]float64{
				"num_read_cmds":  r.commands[dram.Read] + r.commands[dram.ReadPrecharge],
				"num_write_cmds": r.commands[dram.Write] + r.commands[dram.WritePrecharge],
				"num_act_cmds":   r.commands[dram.Activate],
				"num_pre_cmds":   r.commands[dram.Precharge],
				"num_ref_cmds":   r.commands[dram.Refresh],
			} {
				if want, ok := main[metric]; !ok || got != want {
					t.Errorf("%s: %v, want %v", metric, got, want)
				}
			}
			if got, want := float64(r.RowHits), main["num_read_row_hits"]+main["num_write_row_hits"]; got != want {
				t.Errorf("row hits: %v, want %v", got, want)
			}
			if got, want := float64(r.Reads+r.Writes), main["num_reads_done"]+main["num_writes_done"]; got != want {
				t.Errorf("requests: %v, want %v", got, want)
			}
			if got, want := mean(&r.Latency), main["average_read_latency"]; !near(got, want, 1e-9) {
				t.Errorf("mean latency: %v, want %v", got, want)
			}
			bytes := float64(r.Reads+r.Writes) * float64(cfg.DRAM.RequestBytes())
			if got, want := bytes/(main["num_cycles"]*6), main["average_bandwidth"]; !near(got, want, 2e-4) {
				t.Errorf("bandwidth: %v GB/s, want %v", got, want)
			}
		})
	}
	if rows != 44 {
		t.Errorf("compared %d rows, want 44", rows)
	}
}

func TestCommandsAreThoseOfDRAMsim3OneByOne(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "soc", "dramcheck", "testdata", "*.cmd.csv.gz"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%d command traces, %v", len(files), err)
	}
	for _, name := range files {
		trace, config, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".cmd.csv.gz"), ".")
		t.Run(trace+"/"+config, func(t *testing.T) {
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			z, err := gzip.NewReader(file)
			if err != nil {
				t.Fatal(err)
			}
			want := bufio.NewScanner(z)
			var got bytes.Buffer
			c := dram.NewCSV(&got, 1)
			replayUntil(t, load(t, "lpddr-333-x32", configs[config]...), openTrace(t, trace), 402000, c.Write)
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n")
			n := 0
			for ; want.Scan(); n++ {
				if n == len(lines) || lines[n] != want.Text() {
					t.Fatalf("line %d: %q, want %q", n+1, lines[min(n, len(lines)-1)], want.Text())
				}
			}
			if n != len(lines) || n < 10000 {
				t.Errorf("%d lines, want %d", len(lines), n)
			}
		})
	}
}

// streams move data in sequence: their time is that of the data bus.
var streams = map[string]bool{"p_seq_rd_sat": true, "p_two_rd_banks_sat": true, "p_copy_sat": true, "p_seq_rd_paced16": true}

// paced leave the scheduler no choice.
var paced = map[string]bool{"p_seq_rd_paced16": true, "p_rand_rd_paced60": true}

func replayFile(t testing.TB, cfg Config, trace string) *Outcome {
	t.Helper()
	o, err := Run(context.Background(), cfg, openTrace(t, trace), nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// The LPDDR file that comes with DRAMsim3 allows a precharge right after a read, as no memory does: tRTP is 0. Here tRTP is the burst at least, so rows that close rows are slower.
func TestTheStockFileOfDRAMsim3IsMetButForItsTRTP(t *testing.T) {
	all := expected(t)
	rows := 0
	for _, k := range keys(all, driverTool) {
		trace, config := k[0], k[1]
		if config != "lpddr_2Gb_x16" {
			continue
		}
		rows++
		o := replayFile(t, load(t, "lpddr-333-x32", configs[config]...), trace)
		drv, main := all[k], all[[3]string{trace, config, mainTool}]
		busy, lat := 0.15, 0.2
		if streams[trace] {
			busy, lat = 0.01, 0.01
		}
		if paced[trace] {
			busy, lat = 0, 0.001
			if float64(o.Activates) != main["num_act_cmds"] {
				t.Errorf("%s: %d activates, want %v", trace, o.Activates, main["num_act_cmds"])
			}
		}
		if got, want := float64(o.LastAccept), drv["drv_last_accept_clk"]; !near(got, want, busy) {
			t.Errorf("%s: last accepted at %v, want %v", trace, got, want)
		}
		if got, want := mean(&o.Latency)+1, drv["drv_avg_read_latency_cyc"]; !near(got, want, lat) {
			t.Errorf("%s: mean latency %v, want %v", trace, got, want)
		}
	}
	if rows != 11 {
		t.Errorf("compared %d rows, want 11", rows)
	}
}

func TestRamulatorIsMetInStreamsAndBoundsTheRest(t *testing.T) {
	all := expected(t)
	rows := 0
	for _, k := range keys(all, ramulator) {
		trace, config := k[0], k[1]
		rows++
		got := float64(replayFile(t, load(t, "lpddr-333-x32", configs[config]...), trace).LastAccept)
		other := all[[3]string{trace, config, driverTool}]["drv_last_accept_clk"]
		want := all[k]["cycles"]
		if streams[trace] {
			if !near(got, want, 0.03) {
				t.Errorf("%s, %s: last accepted at %v, want %v within 3 %%", trace, config, got, want)
			}
		} else if got < min(want, other) || got > max(want, other) {
			t.Errorf("%s, %s: last accepted at %v, want between the tools: %v and %v", trace, config, got, want, other)
		}
	}
	if rows != 10 {
		t.Errorf("compared %d rows, want 10", rows)
	}
}

func TestPacedTracesNeedNoScheduler(t *testing.T) {
	all := expected(t)
	for trace := range paced {
		for _, config := range []string{"L333_BL8_robaco", "L333_BL16_robaco", "L333_BL16_rocoba"} {
			o := replayFile(t, load(t, "lpddr-333-x32", append([]string{"dram.scheduler=inorder"}, configs[config]...)...), trace)
			drv, main := all[[3]string{trace, config, driverTool}], all[[3]string{trace, config, mainTool}]
			// On rocoba one activate more: a request next to a refresh opens its row behind it, where DRAMsim3 opens it before, in vain, and again.
			if got, want := float64(o.Activates), main["num_act_cmds"]; got != want && (config != "L333_BL16_rocoba" || math.Abs(got-want) > 1) {
				t.Errorf("%s, %s: %v activates, want %v", trace, config, got, want)
			}
			if got, want := mean(&o.Latency)+1, drv["drv_avg_read_latency_cyc"]; !near(got, want, 0.01) {
				t.Errorf("%s, %s: mean latency %v, want %v", trace, config, got, want)
			}
			if got, want := float64(o.LastAccept), drv["drv_last_accept_clk"]; got != want {
				t.Errorf("%s, %s: last accepted at %v, want %v", trace, config, got, want)
			}
		}
	}
}

const docs = "../../docs/dram.md"

func percent(got, want float64) string {
	if got == want {
		return "0"
	}
	return fmt.Sprintf("%+.2f %%", 100*(got-want)/want)
}

// rowTable is the table of all rows.
func rowTable(t *testing.T) string {
	all := expected(t)
	var b strings.Builder
	b.WriteString("| trace | configuration | last accept | last return | activates | row hits | mean latency | p95 | against DRAMsim3 | Ramulator: last accept |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, k := range keys(all, driverTool) {
		trace, config := k[0], k[1]
		o := replayFile(t, load(t, "lpddr-333-x32", configs[config]...), trace)
		drv, main := all[k], all[[3]string{trace, config, mainTool}]
		var differ []string
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"last accept", float64(o.LastAccept), drv["drv_last_accept_clk"]},
			{"last return", float64(o.LastReturn), drv["drv_last_read_return_clk"]},
			{"activates", float64(o.Activates), main["num_act_cmds"]},
			{"row hits", float64(o.RowHits), main["num_read_row_hits"] + main["num_write_row_hits"]},
			{"mean latency", math.Round(1e6 * mean(&o.Latency)), math.Round(1e6 * (drv["drv_avg_read_latency_cyc"] - 1))},
			{"p95", float64(o.Latency.Percentile(95)), drv["drv_p95"] - 1},
		} {
			if c.got != c.want {
				differ = append(differ, c.name+" "+percent(c.got, c.want))
			}
		}
		verdict := "equal"
		if differ != nil {
			verdict = strings.Join(differ, ", ") + " (1)"
		}
		other := ""
		if r, ok := all[[3]string{trace, config, ramulator}]; ok {
			other = fmt.Sprintf("%.0f (%s)", r["cycles"], percent(float64(o.LastAccept), r["cycles"]))
			if !streams[trace] {
				other += " (2)"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %.3f | %d | %s | %s |\n", trace, config, o.LastAccept, o.LastReturn, o.Activates, o.RowHits, mean(&o.Latency), o.Latency.Percentile(95), verdict, other)
	}
	return b.String()
}

// pacedTable compares the scheduler in order.
func pacedTable(t *testing.T) string {
	all := expected(t)
	var b strings.Builder
	b.WriteString("| trace | configuration | activates | DRAMsim3 | mean latency | DRAMsim3 | difference |\n|---|---|---|---|---|---|---|\n")
	for _, trace := range []string{"p_rand_rd_paced60", "p_seq_rd_paced16"} {
		for _, config := range []string{"L333_BL8_robaco", "L333_BL16_robaco", "L333_BL16_rocoba"} {
			o := replayFile(t, load(t, "lpddr-333-x32", append([]string{"dram.scheduler=inorder"}, configs[config]...)...), trace)
			want := all[[3]string{trace, config, driverTool}]["drv_avg_read_latency_cyc"] - 1
			fmt.Fprintf(&b, "| %s | %s | %d | %.0f | %.4f | %.4f | %s |\n",
				trace, config, o.Activates, all[[3]string{trace, config, mainTool}]["num_act_cmds"], mean(&o.Latency), want, percent(math.Round(1e4*mean(&o.Latency)), math.Round(1e4*want)))
		}
	}
	return b.String()
}

func TestTheTablesInTheDocumentAreWhatReplaysGive(t *testing.T) {
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for marker, table := range map[string]func(*testing.T) string{"<!-- table: oracle rows -->\n": rowTable, "<!-- table: paced in order -->\n": pacedTable} {
		before, rest, ok := strings.Cut(text, marker)
		_, after, end := strings.Cut(rest, "<!-- end -->")
		if !ok || !end {
			t.Fatalf("docs/dram.md has no %q with an end", marker)
		}
		text = before + marker + table(t) + "<!-- end -->" + after
	}
	if text == string(data) {
		return
	}
	if *update {
		if err := os.WriteFile(docs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("docs/dram.md shows other tables; run go test ./internal/dramreplay -update and review the difference:\n%s", text)
}
