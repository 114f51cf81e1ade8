package dramcheck

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// stream reads commands as "clk cmd bank row col, ...". Those at the end may be missing: bank -1, row 0, column 0.
func stream(t testing.TB, text string) []Command {
	t.Helper()
	var out []Command
	for item := range strings.SplitSeq(text, ", ") {
		f := strings.Fields(item)
		c := Command{Bank: -1}
		var ok bool
		if c.Kind, ok = kindOf([]byte(f[1])); !ok {
			t.Fatalf("%q: no such command", item)
		}
		for i, at := range []func(int64){func(n int64) { c.Clk = n }, nil, func(n int64) { c.Bank = int(n) }, func(n int64) { c.Row = n }, func(n int64) { c.Col = n }} {
			if at == nil || i >= len(f) {
				continue
			}
			n, err := strconv.ParseInt(f[i], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			at(n)
		}
		out = append(out, c)
	}
	return out
}

// table is lpddr-333-x32 with bursts of 16, and changes as "tRC=12 tCCD=9".
func table(t testing.TB, changes string) Timing {
	t.Helper()
	timing := mustPreset(t, "lpddr-333-x32", 16)
	for change := range strings.FieldsSeq(changes) {
		key, value, _ := strings.Cut(change, "=")
		if err := timing.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	return timing
}

// The last command of each stream comes on time; one clock earlier it breaks the rules, and only these.
func TestOneClockEarlyIsRefusedAndOnTimePasses(t *testing.T) {
	for _, c := range []struct{ name, set, stream, rules string }{
		{"activate to read", "", "0 activate 0 5, 3 read 0 5", "tRCD"},
		{"activate to write", "", "0 activate 0 5, 3 write 0 5", "tRCD"},
		{"activate to read_p", "", "0 activate 0 5, 3 read_p 0 5", "tRCD"},
		{"precharge to activate", "", "0 activate 0 5, 20 precharge 0, 23 activate 0 6", "tRP"},
		{"precharge of all to activate", "", "0 activate 0 5, 20 precharge, 23 activate 0 6", "tRP"},
		{"a NOP does not delay", "", "0 activate 0 5, 20 precharge 0, 22 precharge 0, 23 activate 0 6", "command bus, tRP"},
		{"precharge to refresh", "", "0 activate 0 5, 2 activate 1 5, 20 precharge 0, 25 precharge 1, 28 refresh", "tRP"},
		{"activate to precharge", "", "0 activate 0 5, 7 precharge 0", "tRAS"},
		{"activate to precharge of all", "", "0 activate 0 5, 7 precharge", "tRAS"},
		{"activate to activate", "tRC=12", "0 activate 0 5, 7 precharge 0, 12 activate 0 6", "tRC"},
		{"tRC is tRAS and tRP", "", "0 activate 0 5, 7 precharge 0, 10 activate 0 6", "tRP, tRC"},
		{"activate to refresh", "tRC=12", "0 activate 0 5, 7 precharge 0, 12 refresh", "tRC"},
		{"auto-precharge waits for tRAS", "tRC=30", "0 activate 0 5, 3 read_p 0 5, 30 activate 0 6", "tRC"},
		{"activate of another bank", "", "0 activate 0 5, 2 activate 1 5", "tRRD"},
		{"five activates", "tFAW=9 banks=8", "0 activate 0 5, 2 activate 1 5, 4 activate 2 5, 6 activate 3 5, 9 activate 4 5", "tFAW"},
		{"the window slides", "tFAW=12 banks=8", "0 activate 0 5, 2 activate 1 5, 4 activate 2 5, 6 activate 3 5, 12 activate 4 5, 14 activate 5 5", "tRRD, tFAW"},
		{"read to read", "tCCD=9", "0 activate 0 5, 3 read 0 5, 12 read 0 5", "tCCD"},
		{"read to read of another bank", "tCCD=9", "0 activate 0 5, 2 activate 1 5, 5 read 0 5, 14 read 1 5", "tCCD"},
		{"write to write", "tCCD=9", "0 activate 0 5, 3 write 0 5, 12 write 0 5", "tCCD"},
		{"read bursts follow each other", "tCCD=4", "0 activate 0 5, 3 read 0 5, 11 read 0 5", "data bus"},
		{"write bursts follow each other", "tCCD=4", "0 activate 0 5, 3 write 0 5, 11 write 0 5", "data bus"},
		{"tCCD is the burst", "", "0 activate 0 5, 3 read 0 5, 11 read 0 5", "tCCD, data bus"},
		{"read to write", "", "0 activate 0 5, 3 read 0 5, 14 write 0 5", "tRTW, data bus"},
		{"write to read", "", "0 activate 0 5, 3 write 0 5, 13 read 0 5", "tWTR"},
		{"write to read, late data", "CL=1 CWL=3 tWTR=0 tRTRS=0", "0 activate 0 5, 3 write 0 5, 14 read 0 5", "tWTR"},
		{"read to read of another rank", "ranks=2", "0 activate 0 5, 1 activate 4 5, 4 read 0 5, 13 read 4 5", "data bus"},
		{"write to write of another rank", "ranks=2", "0 activate 0 5, 1 activate 4 5, 4 write 0 5, 13 write 4 5", "data bus"},
		{"write to read of another rank", "ranks=2", "0 activate 0 5, 1 activate 4 5, 4 write 0 5, 11 read 4 5", "data bus"},
		{"read to write of another rank", "ranks=2", "0 activate 0 5, 1 activate 4 5, 4 read 0 5, 15 write 4 5", "tRTW, data bus"},
		{"read to precharge", "", "0 activate 0 5, 3 read 0 5, 11 precharge 0", "tRTP"},
		{"write to precharge", "", "0 activate 0 5, 3 write 0 5, 15 precharge 0", "tWR"},
		{"read_p to activate", "", "0 activate 0 5, 3 read_p 0 5, 22 activate 0 6", "tRTP+tRP"},
		{"read_p to refresh", "", "0 activate 0 5, 3 read_p 0 5, 14 refresh", "tRTP+tRP"},
		{"a read before the write_p", "tRTP=30", "0 activate 0 5, 3 read 0 5, 14 write_p 0 5, 36 activate 0 6", "tRTP+tRP"},
		{"write_p to activate", "", "0 activate 0 5, 3 write_p 0 5, 18 activate 0 6", "tDAL"},
		{"write_p to refresh", "", "0 activate 0 5, 3 write_p 0 5, 18 refresh", "tDAL"},
		{"a write before the read_p", "tWR=40", "0 activate 0 5, 3 write 0 5, 13 read_p 0 5, 55 activate 0 6", "tDAL"},
		{"refresh to activate", "", "0 refresh, 12 activate 0 5", "tRFC"},
		{"refresh to refresh", "", "0 refresh, 12 refresh", "tRFC"},
		{"refresh to a NOP", "", "0 refresh, 12 precharge 0", "tRFC"},
		{"power-down to exit", "tCKE=3", "0 power_down_enter, 3 power_down_exit", "tCKE"},
		{"exit to power-down", "tCKE=3", "0 power_down_enter, 3 power_down_exit, 6 power_down_enter", "tCKE"},
		{"exit to activate", "", "0 power_down_enter, 5 power_down_exit, 7 activate 0 5", "tXP"},
		{"exit to refresh", "", "0 power_down_enter, 5 power_down_exit, 7 refresh", "tXP"},
		{"read to power-down", "", "0 activate 0 5, 3 read 0 5, 14 power_down_enter", "tRDPDEN"},
		{"write to power-down", "", "0 activate 0 5, 3 write 0 5, 15 power_down_enter", "tWRPDEN"},
		{"a command a clock", "", "0 activate 0 5, 10 activate 1 5, 11 read 0 5", "command bus"},
	} {
		t.Run(c.name, func(t *testing.T) {
			timing, cmds := table(t, c.set), stream(t, c.stream)
			if vs := check(t, timing, cmds); len(vs) != 0 {
				t.Fatalf("on time: %v", vs)
			}
			cmds[len(cmds)-1].Clk--
			var got []string
			for _, r := range rules(check(t, timing, cmds)) {
				got = append(got, r.String())
			}
			if strings.Join(got, ", ") != c.rules {
				t.Errorf("one clock early: broke %v, want %s", got, c.rules)
			}
		})
	}
}

func TestWhatIsIllegalIsSaid(t *testing.T) {
	for _, c := range []struct{ name, set, stream, want string }{
		{"too early", "", "0 activate 3 5, 2 read 3 5", "tRCD: read 2 clocks after activate of bank 3, want 3 (clocks 0 and 2)"},
		{"another bank", "", "8 activate 1 5, 9 activate 2 5", "tRRD: activate of bank 2, 1 clock after activate of bank 1, want 2 (clocks 8 and 9)"},
		{
			"five activates", "tFAW=9 banks=8", "0 activate 0 5, 2 activate 1 5, 4 activate 2 5, 6 activate 3 5, 8 activate 4 5",
			"tFAW: activate of bank 4, 8 clocks after the fourth activate before it, want 9 (clocks 0 and 8)",
		},
		{"overlap", "tCCD=4", "0 activate 0 5, 3 read 0 5, 9 read 0 5", "data bus: data of read of bank 0 overlap those of read of bank 0 by 2 clocks (clocks 3 and 9)"},
		{
			"no turnaround", "ranks=2", "0 activate 0 5, 1 activate 4 5, 4 read 0 5, 12 read 4 5",
			"data bus: data of read of bank 4 begin 0 clocks after those of read of bank 0, want 1 (clocks 4 and 12)",
		},
		{"two commands in a clock", "", "0 activate 0 5, 10 activate 1 5, 10 read 0 5", "command bus: read of bank 0 in the same clock as activate of bank 1 (clock 10)"},
		{"never opened", "", "4 read 0 5", "closed bank: read of bank 0, never opened (clock 4)"},
		{"closed", "", "0 activate 0 5, 7 precharge 0, 20 write 0 5", "closed bank: write of bank 0, closed by precharge (clocks 7 and 20)"},
		{"closed by itself", "", "0 activate 0 5, 3 read_p 0 5, 20 read 0 5", "closed bank: read of bank 0, closed by read_p (clocks 3 and 20)"},
		{"another row", "", "0 activate 0 5, 3 read 0 6", "other row: read of bank 0 for row 6, open is row 5 (clocks 0 and 3)"},
		{"open", "", "0 activate 0 5, 30 activate 0 5", "open bank: activate of bank 0, open since an activate (clocks 0 and 30)"},
		{"refresh with an open bank", "", "0 activate 2 5, 30 refresh", "open bank: refresh with bank 2 open (clocks 0 and 30)"},
		{"asleep", "", "0 power_down_enter, 30 activate 1 5", "power-down: activate of bank 1 in power-down (clocks 0 and 30)"},
		{"asleep already", "", "0 power_down_enter, 30 power_down_enter", "power-down: power_down_enter in power-down (clocks 0 and 30)"},
		{"awake already", "", "0 power_down_exit", "power-down: power_down_exit without an entry (clock 0)"},
		{"the other rank is awake", "ranks=2", "0 power_down_enter 1, 30 activate 4 5", ""},
		{"the clock runs back", "", "9 activate 0 5, 8 activate 1 5, 12 read 0 5", "order: activate of bank 1, 1 clock before the last command, activate of bank 0 (clocks 9 and 8)"},
		{"no such bank", "", "9 activate 4 5", "malformed: activate of bank 4, row 5, column 0 is not of this memory (clock 9)"},
		{"no such row", "", "9 activate 3 16384", "malformed: activate of bank 3, row 16384, column 0 is not of this memory (clock 9)"},
		{"activate of all banks", "", "9 activate", "malformed: activate, row 0, column 0 is not of this memory (clock 9)"},
		{"refresh is late", "postponed=0", "100 precharge 0, 1401 refresh", "tREFI: 1301 clocks since the first command, want a refresh within 1300 (clock 1401)"},
		{"refresh is missing", "", "0 refresh, 12000 precharge 0", "tREFI: 12000 clocks since the last refresh, want a refresh within 11700 (clocks 0 and 12000)"},
		{"refreshes are slow", "postponed=1", "0 precharge 0, 1400 refresh, 3901 refresh", "refresh rate: 2 refreshes are owed, want at most 1 (clocks 1400 and 3901)"},
		{"just not slow", "postponed=1", "0 precharge 0, 1400 refresh, 3900 refresh, 5200 refresh, 6500 refresh", ""},
		{"refresh on time", "postponed=0", "100 precharge 0, 1400 refresh", ""},
		{"refreshes pulled in", "postponed=1", "0 refresh, 20 refresh, 40 refresh, 60 refresh, 2660 refresh, 4000 refresh, 6501 refresh", "refresh rate: 2 refreshes are owed, want at most 1 (clocks 4000 and 6501)"},
		{"refreshes do not matter", "tREFI=0", "0 refresh, 1000000 refresh", ""},
		{"several in a clock", "sharedCommandBus=false", "0 activate 0 5, 10 activate 1 5, 10 read 0 5", ""},
		{"a precharge of a closed bank", "", "0 precharge 0, 1 activate 0 5", ""},
		{"a precharge of all closed banks", "", "0 precharge, 1 refresh", ""},
		{"refresh with power-down", "", "0 refresh, 1 power_down_enter, 10 power_down_exit, 12 activate 0 5", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, v := range check(t, table(t, c.set), stream(t, c.stream)) {
				got = append(got, v.String())
			}
			if s := strings.Join(got, "; "); s != c.want {
				t.Errorf("%s\n got %s\nwant %s", c.stream, s, c.want)
			}
		})
	}
}

func TestTheEndOfARunMissesRefreshes(t *testing.T) {
	var got []Violation
	k := mustNew(t, table(t, "postponed=0"), func(v Violation) { got = append(got, v) })
	k.End(1 << 40)
	k.Feed(Command{Clk: 0, Kind: Refresh, Bank: -1})
	k.End(1300)
	if len(got) != 0 {
		t.Errorf("reported %v, want nothing", got)
	}
	k.End(1301)
	if len(got) != 1 || got[0].Rule != REFI {
		t.Errorf("reported %v, want tREFI", got)
	}
	if k.Violations() != 1 || k.Count(REFI) != 1 || k.Commands() != 1 {
		t.Errorf("counted %d, %d of them tREFI, of %d commands; want 1, 1, 1", k.Violations(), k.Count(REFI), k.Commands())
	}
}

func TestCommandsThatComeLateAreSorted(t *testing.T) {
	timing := table(t, "")
	cmds := oracles(t)["p_rand_r2w1_sat.L333_BL16_robaco"][:4000]
	for _, window := range []int{0, 1, 5, 64} {
		// Each command is told up to window places late.
		shuffled := slices.Clone(cmds)
		for i := 0; i+window < len(shuffled); i += window + 1 {
			part := shuffled[i : i+window+1]
			slices.Reverse(part)
		}
		var fed []Command
		k := mustNew(t, timing, func(v Violation) { t.Errorf("window %d: %v", window, v) })
		u, err := NewUnordered(k, window)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range shuffled {
			u.Feed(c)
			fed = append(fed, c)
		}
		u.Flush()
		if k.Commands() != int64(len(fed)) {
			t.Errorf("window %d: %d commands reached the checker, want %d", window, k.Commands(), len(fed))
		}
		if window == 0 {
			continue
		}
		k = mustNew(t, timing, nil)
		if u, err = NewUnordered(k, window-1); err != nil {
			t.Fatal(err)
		}
		for _, c := range shuffled {
			u.Feed(c)
		}
		u.Flush()
		if k.Count(Order) == 0 {
			t.Errorf("a window of %d sorted what needs %d", window-1, window)
		}
	}
	if _, err := NewUnordered(mustNew(t, timing, nil), -1); err == nil {
		t.Error("a window of -1 was taken")
	}
}

func TestPresetsAreTheOraclesConfigurations(t *testing.T) {
	// tREFI, tRFC, tRCD, tRP, tRAS, tRTP, tWTR of the configurations.
	for _, c := range []struct {
		name  string
		burst int64
		want  string
	}{
		{"lpddr-333-x32", 8, "1300 12 3 3 7 4 1"},
		{"lpddr-333-x32", 16, "1300 12 3 3 7 8 1"},
		{"lpddr-400-x32", 8, "1560 15 4 4 8 4 2"},
		{"lpddr-400-x32", 16, "1560 15 4 4 8 8 2"},
	} {
		p := mustPreset(t, c.name, c.burst)
		if got := fmt.Sprint(p.TREFI, p.TRFC, p.TRCD, p.TRP, p.TRAS, p.TRTP, p.TWTR); got != c.want {
			t.Errorf("%s BL%d: %s, want %s", c.name, c.burst, got, c.want)
		}
		if p.BL != c.burst || p.TCCD != c.burst/2 {
			t.Errorf("%s BL%d: BL %d, tCCD %d", c.name, c.burst, p.BL, p.TCCD)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, c := range []struct {
		name  string
		burst int64
		want  string
	}{
		{"lpddr-266", 8, `unknown preset "lpddr-266"; there are lpddr-333-x32, lpddr-400-x32`},
		{"lpddr-333-x32", 4, "a burst of 4 beats, want 8 or 16"},
	} {
		if _, err := Preset(c.name, c.burst); err == nil || err.Error() != c.want {
			t.Errorf("%s BL%d: %v, want %s", c.name, c.burst, err, c.want)
		}
	}
}

// Every setting matters: some stream is judged otherwise when it changes.
func TestEverySettingIsRead(t *testing.T) {
	busy := "0 activate 0 5, 3 read 0 5, 14 write 0 5, 26 precharge 0, 29 activate 0 6, 31 activate 1 6, 34 read_p 0 6, 60 refresh, 90 power_down_enter, 91 power_down_exit, 93 activate 3 16383"
	cases := map[string]struct{ set, value, stream string }{
		"CL": {"", "4", busy}, "CWL": {"", "0", busy}, "BL": {"", "20", busy},
		"tRCD": {"", "4", busy}, "tRP": {"", "4", busy}, "tRAS": {"", "30", busy}, "tRC": {"", "40", busy}, "tRRD": {"", "3", busy},
		"tFAW": {"", "80", "0 activate 0 5, 2 activate 1 5, 4 activate 2 5, 6 activate 3 5, 30 precharge 0, 40 activate 0 5"},
		"tRTP": {"", "40", busy}, "tRTPA": {"", "9", "0 activate 0 5, 3 read_p 0 5, 22 activate 0 6"}, "tWR": {"", "4", busy},
		"tWTR": {"", "2", "0 activate 0 5, 3 write 0 5, 13 read 0 5"}, "tRTRS": {"", "2", busy}, "tCCD": {"", "9", "0 activate 0 5, 3 write 0 5, 11 write 0 5"},
		"tRFC": {"", "40", busy}, "tREFI": {"postponed=0", "10", busy}, "postponed": {"tREFI=10", "0", busy}, "tXP": {"", "3", busy}, "tCKE": {"", "2", busy},
		"banks": {"", "3", busy}, "ranks": {"", "2", "0 activate 0 5, 3 activate 4 5"}, "rows": {"", "16383", busy}, "columns": {"", "1", "0 activate 0 5, 3 read 0 5 1"},
		sharedCommandBus: {"", "false", "0 activate 0 5, 10 activate 1 5, 10 read 0 5"},
	}
	for _, key := range Keys() {
		c, ok := cases[key]
		if !ok {
			t.Errorf("%s: no stream shows what it changes", key)
			continue
		}
		before := check(t, table(t, c.set), stream(t, c.stream))
		timing := table(t, c.set)
		if err := timing.Set(key, c.value); err != nil {
			t.Fatal(err)
		}
		if after := check(t, timing, stream(t, c.stream)); fmt.Sprint(before) == fmt.Sprint(after) {
			t.Errorf("%s=%s: nothing changed: %v", key, c.value, after)
		}
	}
}

func TestABadTimingIsRefused(t *testing.T) {
	good := table(t, "")
	for _, c := range []struct {
		change func(*Timing)
		want   string
	}{
		{func(t *Timing) { t.BL = 0 }, "BL is 0"},
		{func(t *Timing) { t.BL = 7 }, "BL is 7, want an even number of beats"},
		{func(t *Timing) { t.CL = 0 }, "CL is 0, want 1 to"},
		{func(t *Timing) { t.TRCD = -1 }, "tRCD is -1"},
		{func(t *Timing) { t.TRFC = 1 << 40 }, "tRFC is"},
		{func(t *Timing) { t.Banks = 0 }, "banks is 0"},
		{func(t *Timing) { t.Ranks, t.Banks = 64, 64 }, "64 ranks of 64 banks, want at most 1024"},
	} {
		timing := good
		c.change(&timing)
		if _, err := New(timing, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	for _, c := range []struct{ key, value, want string }{
		{"tRCD", "x", `tRCD is "x", want a whole number from 0 to`},
		{"BL", "1", `BL is "1", want a whole number from 2 to`},
		{"trcd", "3", `unknown timing "trcd"; there are CL, CWL, BL, tRCD,`},
		{"sharedCommandBus", "no", `want true or false`},
	} {
		timing := good
		if err := timing.Set(c.key, c.value); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
