package dramcheck

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func mustNew(t testing.TB, timing Timing, report func(Violation)) *Checker {
	t.Helper()
	k, err := New(timing, report)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustPreset(t testing.TB, name string, burst int64) Timing {
	t.Helper()
	timing, err := Preset(name, burst)
	if err != nil {
		t.Fatal(err)
	}
	return timing
}

// check returns what a stream breaks.
func check(t testing.TB, timing Timing, cmds []Command) []Violation {
	t.Helper()
	var out []Violation
	k := mustNew(t, timing, func(v Violation) { out = append(out, v) })
	for _, c := range cmds {
		k.Feed(c)
	}
	return out
}

// oracles are the command traces of the oracle, DRAMsim3. All have the timing of L333_BL16_*.ini.
func oracles(t testing.TB) map[string][]Command {
	t.Helper()
	files, err := filepath.Glob("testdata/*.cmd.csv.gz")
	if err != nil || len(files) != 4 {
		t.Fatalf("found %d command traces, want 4 (%v)", len(files), err)
	}
	out := map[string][]Command{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := NewReader(f, name)
		if err != nil {
			t.Fatal(err)
		}
		var cmds []Command
		for {
			var c Command
			err := r.Next(&c)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			cmds = append(cmds, c)
		}
		short, _, _ := strings.Cut(filepath.Base(name), ".cmd.")
		out[short] = cmds
	}
	return out
}

// tight returns, for each command of a legal stream, the rules that hold with no clock to spare.
func tight(timing Timing, cmds []Command, look int) [][]Rule {
	n := newNaive(timing)
	n.look = look
	out := make([][]Rule, len(cmds))
	for i, c := range cmds {
		for r, slack := range n.judge(c) {
			if slack == 0 {
				out[i] = append(out[i], r)
			}
		}
		slices.Sort(out[i])
		n.add(c)
		if look > 0 && len(n.steps) > 4*look {
			n.forget(2 * look)
		}
	}
	return out
}

// forget drops all but the last steps and the last activate of each bank, and the refreshes owed: the streams that it is used for owe none.
func (n *naive) forget(keep int) {
	last := map[int]int{}
	for _, s := range n.steps {
		if s.kind == Activate {
			last[s.bank] = s.index
		}
	}
	old := len(n.steps) - keep
	kept := slices.DeleteFunc(slices.Clone(n.steps[:old]), func(s step) bool { return s.kind != Activate || last[s.bank] != s.index })
	n.steps = append(kept, n.steps[old:]...)
	n.t.TREFI = 0
}

// rules returns the rules of violations, sorted.
func rules(vs []Violation) []Rule {
	var out []Rule
	for _, v := range vs {
		out = append(out, v.Rule)
	}
	slices.Sort(out)
	return out
}

func TestTheOraclesCommandsAreLegal(t *testing.T) {
	want := map[string]int{
		"p_cam_disp_cpu.L333_BL16_closed": 45813, "p_cam_disp_cpu.L333_BL16_robaco": 31300,
		"p_rand_r2w1_sat.L333_BL16_robaco": 60852, "p_two_rd_conflict_sat.L333_BL16_robaco": 30577,
	}
	for name, cmds := range oracles(t) {
		if len(cmds) != want[name] {
			t.Errorf("%s: %d commands, want %d", name, len(cmds), want[name])
		}
		for i, v := range check(t, mustPreset(t, "lpddr-333-x32", 16), cmds) {
			if i < 5 {
				t.Errorf("%s: %v", name, v)
			}
		}
	}
}

// One command of the oracle's, moved one clock ahead where a distance is tight, breaks exactly the rules that were tight, and nothing else.
func TestAnOraclesCommandOneClockEarlyIsRefused(t *testing.T) {
	timing := mustPreset(t, "lpddr-333-x32", 16)
	traces := oracles(t)
	seen := map[Rule]int{}
	for _, name := range slices.Sorted(maps.Keys(traces)) {
		t.Run(name, func(t *testing.T) {
			cmds := traces[name]
			rng := rand.New(rand.NewPCG(1, 2))
			gaps := tight(timing, cmds, 48)
			byRule := map[Rule][]int{}
			var all []int
			for i, rs := range gaps {
				for _, r := range rs {
					byRule[r] = append(byRule[r], i)
				}
				if len(rs) > 0 {
					all = append(all, i)
				}
			}
			// Some of each rule, and a sample of all.
			chosen := map[int]bool{}
			for _, r := range slices.Sorted(maps.Keys(byRule)) {
				is := byRule[r]
				t.Logf("%-12s tight %5d times", r, len(is))
				seen[r] += len(is)
				for range 10 {
					chosen[is[rng.IntN(len(is))]] = true
				}
			}
			for range 200 {
				chosen[all[rng.IntN(len(all))]] = true
			}
			for _, i := range slices.Sorted(maps.Keys(chosen)) {
				cmds[i].Clk--
				got := check(t, timing, cmds[:min(len(cmds), i+2000)])
				if fmt.Sprint(rules(got)) != fmt.Sprint(gaps[i]) {
					t.Fatalf("%v at clock %d instead of %d broke %v, want %v", cmds[i].what(), cmds[i].Clk, cmds[i].Clk+1, got, gaps[i])
				}
				for _, v := range got {
					if v.Cmd != cmds[i] {
						t.Fatalf("blamed is %v, want %v", v.Cmd, cmds[i])
					}
				}
				cmds[i].Clk++
			}
			t.Logf("%d commands moved", len(chosen))
		})
	}
	// tFAW cannot bind: four banks, each activated once in tRC = 10 clocks, make no five activates in 8. There is no power-down.
	for _, r := range []Rule{CommandBus, RCD, RP, RAS, RC, RRD, CCD, RTW, WTR, RTP, WR, RTPA, DAL, RFC, DataBus} {
		if seen[r] == 0 {
			t.Errorf("%v is nowhere tight: nothing shows that it bites", r)
		}
	}
}
