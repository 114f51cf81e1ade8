package dram

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
)

func TestBurstLengthsAreReadWithAndWithoutBL(t *testing.T) {
	for text, want := range map[string]Burst{"8": 8, "BL8": 8, "bl16": 16, "16": 16, "3": 3} {
		var b Burst
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: %d, %v, want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "BL", "8 beats", "-8", "99999999999999999999"} {
		var b Burst
		if err := b.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "want 2, 4, 8 or 16 beats, as in 8 or BL8") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if text, err := Burst(16).MarshalText(); string(text) != "16" || err != nil {
		t.Errorf("16 beats are written %q, %v", text, err)
	}
}

func TestSettingsOfOtherSchedulersAreRefused(t *testing.T) {
	tests := []struct {
		set  func(c *Config)
		want string
	}{
		{func(c *Config) { c.Scheduler = "fifo" }, `dram.scheduler: "fifo", want one of [inorder frfcfs fixed ideal]`},
		{func(c *Config) { c.Page = "shut" }, `dram.page: "shut", want one of [open closed]`},
		{func(c *Config) { c.Service = 1 }, "dram.service: 1ps, but only the schedulers fixed and ideal have a service time"},
		{func(c *Config) { c.Scheduler = Fixed }, "dram.service: 0s, want a positive time"},
		{func(c *Config) { c.Scheduler = FirstReady }, "dram.queue: 0, want 1 to 256 with scheduler frfcfs"},
		{func(c *Config) { c.Scheduler, c.Queue, c.TREFI = FirstReady, 32, 400*sim.Nanosecond }, "dram.trefi: 400ns are 66 clocks, want more than 66 with"},
		{func(c *Config) { c.Channels = 3 }, "dram.channels: 3, want a power of two up to 16"},
		{func(c *Config) { c.Channels = 2 }, "dram.interleave: 0B, want a power of two of at least 64B: a burst lies in one channel"},
		{func(c *Config) { c.Channels, c.Interleave = 2, 32 }, "dram.interleave: 32B"},
		{func(c *Config) { c.TFAW = -1 }, "dram.tfaw: -1ps"},
		{func(c *Config) { c.TXP = -1 }, "dram.txp: -1 clocks, want 0 or more"},
		{func(c *Config) { c.TRP = 100 * sim.Second }, "dram.trp: 100s, want 0s to 1073741824 clocks"},
	}
	for _, tt := range tests {
		cfg := lpddr166()
		tt.set(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

// everywhere gives all maps, with and without hash, on one and on four channels.
func everywhere(f func(cfg Config)) {
	for _, m := range []Map{RoBaCo, RoCoBa, BaRoCo} {
		for _, hash := range []bool{false, true} {
			for _, channels := range []int{1, 4} {
				for _, s := range []Scheduler{InOrder, FirstReady} {
					cfg := lpddr166()
					cfg.Map, cfg.Hash, cfg.Channels, cfg.Interleave, cfg.Scheduler = m, hash, channels, 256, s
					f(cfg)
				}
			}
		}
	}
}

func TestEveryBurstHasAPlaceOfItsOwn(t *testing.T) {
	type place struct {
		ch             int
		bank, row, col int64
	}
	everywhere(func(cfg Config) {
		const size = 1 << 19
		l := cfg.layout(testBase, size)
		seen := map[place]bool{}
		for off := int64(0); off < size; off += 16 {
			var p place
			var local int64
			p.ch, local = l.channel(off)
			p.bank, p.row = l.locate(local)
			p.col = l.column(local)
			seen[p] = true
			if p.col >= 4096/16 || p.bank >= 4 || p.row >= size/int64(cfg.Channels)/4/4096 {
				t.Fatalf("%+v: offset %#x is at %+v", cfg, off, p)
			}
		}
		if len(seen) != size/16 {
			t.Errorf("map %s, hash %t, %d channels, %s: %d places for %d bursts", cfg.Map, cfg.Hash, cfg.Channels, cfg.Scheduler, len(seen), size/16)
		}
	})
}

func TestHashSpreadsRowsOfABankOverTheBanks(t *testing.T) {
	took := func(hash bool) int64 {
		cfg := lpddr166()
		cfg.Hash, cfg.TREFI = hash, 0
		c := newController(t, cfg)
		var ends [4]int64
		for i := range 1000 {
			_, ends[i%4] = c.Serve(ends[i%4], at(0, i, 0), 64, false)
		}
		return ends[3]
	}
	// In one bank each access waits for tRC, in all four only for the bus.
	if with, without := took(true), took(false); without < 1000*11 || with > 1000*8+100 {
		t.Errorf("a stride of a row of one bank takes %d clocks hashed and %d not", with, without)
	}
}

func TestChannelsMultiplyTheBandwidth(t *testing.T) {
	for _, channels := range []int{1, 2, 4} {
		cfg := lpddr166()
		cfg.Channels, cfg.Interleave, cfg.LookAhead, cfg.TREFI = channels, 64, 16, 0
		c := newController(t, cfg)
		const n = 40_000
		end := stream(c, n, reads)
		want := int64(8 * n / channels)
		if end < want || end > want+want/50 {
			t.Errorf("%d channels: %d clocks, want %d within 2 %%", channels, end, want)
		}
		if s := c.Stats(); s.Reads != n || s.DataClocks != 8*n {
			t.Errorf("%d channels count %+v", channels, s)
		}
	}
}

func TestEachChannelOfPostedWritesIsAControllerOfItsOwn(t *testing.T) {
	cfg := lpddr166()
	cfg.Scheduler, cfg.Queue = FirstReady, 16
	var alone [2]*Controller
	for i := range alone {
		alone[i] = newController(t, cfg)
	}
	cfg.Channels, cfg.Interleave = 2, 256
	both := newController(t, cfg)
	rng := rand.New(rand.NewPCG(3, 4))
	at := int64(0)
	ends := make([]int64, both.LookAhead())
	for i := range 5000 {
		at = max(at+rng.Int64N(12), ends[i%len(ends)])
		ch, local, write := rng.IntN(2), rng.IntN(1<<12)*64, rng.IntN(2) == 0
		pa := testBase + bus.Phys(local&^255*2+ch*256+local&255)
		start, end := both.Serve(at, pa, 64, write)
		s, e := alone[ch].Serve(at, testBase+bus.Phys(local), 64, write)
		if start != s || end != e || both.Behind() != alone[ch].Behind() {
			t.Fatalf("request %d at %d: from %d to %d, by a controller of the channel alone from %d to %d", i, at, start, end, s, e)
		}
		ends[i%len(ends)] = end
	}
	want := alone[0].Stats()
	want.add(alone[1].Stats())
	if got := both.Stats(); got != want || got.PostedWrites == 0 || both.Resting() != alone[0].Resting()+alone[1].Resting() {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if both.ResetStats(); both.Stats() != (Stats{}) {
		t.Errorf("after a reset %+v", both.Stats())
	}
}

func TestInterleaveDecidesWhereTheNextChannelBegins(t *testing.T) {
	cfg := lpddr166()
	cfg.Channels, cfg.Interleave = 2, 256
	c := newController(t, cfg)
	var got []int
	c.Observe(func(cmd Command) {
		if cmd.Kind == Read && cmd.Col%4 == 0 { // four bursts of 16 bytes a request
			got = append(got, cmd.Channel)
		}
	})
	for i := range 12 {
		c.Serve(int64(100*i), testBase+bus.Phys(64*i), 64, false)
	}
	if want := []int{0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("channels %v, want %v", got, want)
	}
}

func TestNewTimingsHoldToTheClock(t *testing.T) {
	const closed, conflict, ns = 7, 10, sim.Nanosecond
	four := []op{{0, 0, 0, false}, {0, 1, 0, false}, {0, 2, 0, false}, {0, 3, 0, false}}
	tests := []struct {
		name   string
		set    func(c *Config)
		before []op
		probe  op
		from   int64
		delay  int64
	}{
		{"tRTP keeps a row open", func(c *Config) { c.TRTP = 20 * ns }, []op{{0, 0, 0, false}}, op{bank: 0, row: 1}, 4 + 20, conflict},
		{"a burst keeps it open where tRTP is shorter", func(c *Config) { c.TRTP = 5 * ns }, []op{{0, 0, 0, false}}, op{bank: 0, row: 1}, 4 + 8, conflict},
		{"tFAW parts the fifth activate from the first", func(c *Config) { c.Banks, c.TFAW = 8, 60*ns }, four, op{bank: 4}, 60, closed},
		{
			"auto-precharge of a read counts tRTP behind the burst", func(c *Config) { c.Page, c.TRTP = Closed, 10*ns },
			[]op{{0, 0, 0, false}},
			op{bank: 0},
			4 + 8 + 10 + 3, closed,
		},
		{"auto-precharge of a write counts tWR", func(c *Config) { c.Page, c.TWR = Closed, 6*ns }, []op{{0, 0, 0, true}}, op{bank: 0}, 4 + 1 + 8 + 6 + 3, closed},
		{"auto-precharge frees other banks", func(c *Config) { c.Page = Closed }, []op{{0, 0, 0, false}}, op{bank: 1}, 12 - 4, closed},
		{"auto-precharge before a refresh", func(c *Config) { c.Page, c.TREFI, c.TRFC = Closed, 100*ns, 20*ns }, []op{{95, 0, 0, true}}, op{bank: 1}, 95 + 4 + 1 + 8 + 3 + 20, closed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for arrival := tt.from - 1; arrival <= tt.from+1; arrival++ {
				cfg := gigahertz()
				tt.set(&cfg)
				c := newController(t, cfg)
				for _, o := range tt.before {
					c.Serve(o.at, at(o.bank, o.row, 0), 64, o.write)
				}
				p := tt.probe
				pa := at(p.bank, p.row, 64)
				start, _ := c.Serve(arrival, pa, 64, p.write)
				if want := max(arrival, tt.from) + tt.delay; start != want {
					t.Errorf("accepted at %d: data at %d, want %d", arrival, start, want)
				}
			}
		})
	}
}

func TestClosedPageNeverHitsAndNeverPrecharges(t *testing.T) {
	cfg := lpddr166()
	cfg.Page = Closed
	c := newController(t, cfg)
	stream(c, 10_000, func(i int) bool { return i%3 == 0 })
	if s := c.Stats(); s.RowHits != 0 || s.RowMisses != 0 || s.Precharges != 0 || s.Activates != 10_000 || s.Refresh == 0 {
		t.Errorf("%+v", s)
	}
}

// powered is a memory with power-down after 50 clocks, tXP 5, tCKE 10.
func powered() Config {
	cfg := gigahertz()
	cfg.PowerDown, cfg.TXP, cfg.TCKE = 50*sim.Nanosecond, 5, 10
	return cfg
}

func TestPowerDownBeginsAfterTheIdleTimeAndCostsItsExit(t *testing.T) {
	const end = 4 + 3 + 8 // of the first access
	tests := []struct {
		at          int64
		start, down int64
	}{
		{end + 49, end + 49 + 3, 0},
		{end + 50, end + 50 + 3, 0},
		{end + 51, end + 60 + 5 + 3, 10}, // tCKE
		{end + 60, end + 60 + 5 + 3, 10},
		{end + 61, end + 61 + 5 + 3, 11},
		{end + 1000, end + 1000 + 5 + 3, 950},
	}
	for _, tt := range tests {
		c := newController(t, powered())
		c.Serve(0, at(0, 0, 0), 64, false)
		start, _ := c.Serve(tt.at, at(0, 0, 64), 64, false)
		if s := c.Stats(); start != tt.start || s.ActiveDown != uint64(tt.down) || s.PrechargeDown != 0 {
			t.Errorf("at %d: data at %d, %d and %d clocks down, want %d, %d and 0", tt.at, start, s.ActiveDown, s.PrechargeDown, tt.start, tt.down)
		}
	}
}

func TestARefreshEndsPowerDownAndClosesTheRow(t *testing.T) {
	cfg := powered()
	cfg.TREFI, cfg.TRFC = 1000*sim.Nanosecond, 20*sim.Nanosecond
	c := newController(t, cfg)
	var got []Command
	c.Observe(func(cmd Command) { got = append(got, cmd) })
	c.Serve(0, at(0, 0, 0), 64, false)
	start, _ := c.Serve(2500, at(0, 0, 64), 64, false)
	// Down from 65 to 1000, up for tXP, tRP, tRFC; down from 1078 to 2000; tXP, tRFC; down from 2075 to 2500.
	s := c.Stats()
	if s.ActiveDown != 935 || s.PrechargeDown != (2000-1078)+(2500-2075) || start != 2500+5+7 {
		t.Errorf("%+v, data at %d", s, start)
	}
	want := []Command{
		{0, Activate, 0, 0, 0, 0},
		{4, Read, 0, 0, 0, 0},
		{1005, Precharge, 0, 0, -1, -1},
		{1008, Refresh, 0, -1, -1, -1},
		{2005, Refresh, 0, -1, -1, -1},
		{2505, Activate, 0, 0, 0, 1},
		{2509, Read, 0, 0, 0, 1},
	}
	if !slices.Equal(got, want) {
		t.Errorf("commands %v, want %v", got, want)
	}
}

func TestSettlingCountsWithoutChangingTimes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawConfig(rt)
		cfg.PowerDown, cfg.TXP, cfg.TCKE = sim.Time(rapid.Int64Range(0, 60).Draw(rt, "power_down"))*sim.Nanosecond, 3, 7
		a, b := newController(t, cfg), newController(t, cfg)
		var last int64
		drawStream(rt, cfg, 40, func(at int64, bank int, row int64, bytes int, write bool) int64 {
			b.Settle(rapid.Int64Range(last, at).Draw(rt, "settle"))
			last = at
			sa, ea := a.Serve(at, bankRow(cfg, bank, row), bytes, write)
			sb, eb := b.Serve(at, bankRow(cfg, bank, row), bytes, write)
			if sa != sb || ea != eb {
				rt.Fatalf("at %d: data from %d to %d, settled from %d to %d", at, sa, ea, sb, eb)
			}
			return ea
		})
		a.Settle(last + 5000)
		b.Settle(last + 5000)
		if a.Stats() != b.Stats() {
			rt.Fatalf("%+v, settled %+v", a.Stats(), b.Stats())
		}
	})
}

func TestFixedIsOneServerAndIdealAnyNumber(t *testing.T) {
	for _, tt := range []struct {
		kind Scheduler
		want []int64
	}{
		{Fixed, []int64{60, 110, 160, 1050}},
		{Ideal, []int64{60, 60, 61, 1050}},
	} {
		c := newController(t, Config{Scheduler: tt.kind, Clock: 1e9, Service: 50 * sim.Nanosecond})
		var got []int64
		for _, at := range []int64{10, 10, 11, 1000} {
			_, end := c.Serve(at, testBase, 64, false)
			got = append(got, end)
		}
		if !slices.Equal(got, tt.want) || c.Stats().Reads != 4 {
			t.Errorf("%s: ends at %v, want %v; %+v", tt.kind, got, tt.want, c.Stats())
		}
	}
}

func TestSorterPutsCommandsInTheOrderOfTheirClocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var got []int64
	s := NewSorter(func(c Command) { got = append(got, c.Clk) })
	for i := range int64(1000) {
		s.Add(Command{Clk: i + rng.Int64N(50)})
		s.Release(i)
		if n := len(got); n > 0 && got[n-1] >= i {
			t.Fatalf("released clock %d at %d", got[n-1], i)
		}
	}
	s.Flush()
	if len(got) != 1000 || !slices.IsSorted(got) {
		t.Errorf("%d commands, sorted: %t", len(got), slices.IsSorted(got))
	}
}

func TestCSVHasALineACommand(t *testing.T) {
	for channels, want := range map[int]string{
		1: "clk,cmd,bank,row,col\n7,activate,3,2048,26\n9,read_p,3,2048,26\n20,precharge,1,-1,-1\n23,refresh,-1,-1,-1\n",
		2: "clk,cmd,bank,row,col,channel\n7,activate,3,2048,26,1\n9,read_p,3,2048,26,1\n20,precharge,1,-1,-1,1\n23,refresh,-1,-1,-1,1\n",
	} {
		var b bytes.Buffer
		c := NewCSV(&b, channels)
		for _, cmd := range []Command{{7, Activate, 1, 3, 2048, 26}, {9, ReadPrecharge, 1, 3, 2048, 26}, {20, Precharge, 1, 1, -1, -1}, {23, Refresh, 1, -1, -1, -1}} {
			c.Write(cmd)
		}
		if err := c.Close(); err != nil || b.String() != want {
			t.Errorf("%d channels: %v\n%s", channels, err, b.String())
		}
	}
	c := NewCSV(failing{}, 1)
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "writing commands: no room") {
		t.Errorf("a full disk: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, fmt.Errorf("no room") }

func TestAMemoryWithoutABusTakesNoTimeForItsData(t *testing.T) {
	if n := (Config{}).DataClocks(64); n != 0 {
		t.Errorf("%d clocks for 64 bytes over a bus of no width, want 0", n)
	}
	if n := (Config{Width: 4}).DataClocks(65); n != 9 {
		t.Errorf("%d clocks for 65 bytes over 4, want 9", n)
	}
}
