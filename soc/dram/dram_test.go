package dram

import (
	"fmt"
	"strings"
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

const (
	testBase = bus.Phys(0x8000_0000)
	testSize = 256 << 20
)

// lpddr166 is the memory of the Nokia N900 (sdram-nokia.c): in clocks CL 3, tRCD 4, tRP 3, tRAS 7, tRC 11, tRRD 2, tWR 3, tWTR 2, tRFC 23, tREFI 1294.
func lpddr166() Config {
	return Config{
		Clock: 166e6, Width: 4, Banks: 4, Row: 4096, Map: RoBaCo, Burst: 4, CL: 3, CWL: 1,
		TRCD: 22500, TRP: 18000, TRAS: 42000, TRC: 66000, TRRD: 12000, TWR: 15000, TWTR: 2, TRTW: 1, TRFC: 138000, TREFI: 7800 * sim.Nanosecond, LookAhead: 4,
	}
}

// gigahertz is a memory with a clock of 1 ns, so that a timing in ns is one in clocks. Nothing constrains it but CL 3, CWL 1, tRCD 4, tRP 3; 64 bytes are one burst.
func gigahertz() Config {
	return Config{Clock: 1e9, Width: 4, Banks: 4, Row: 4096, Map: RoBaCo, Burst: 16, CL: 3, CWL: 1, TRCD: 4000, TRP: 3000, LookAhead: 4}
}

func newController(t testing.TB, cfg Config) *Controller {
	t.Helper()
	c, err := New(cfg, testBase, testSize)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// at returns the address of a column of a row of a bank in a RoBaCo map of 4 banks and 4 KiB rows.
func at(bank, row, column int) bus.Phys {
	return testBase + bus.Phys(row<<14|bank<<12|column)
}

func TestLatencyOnAnIdleControllerIsThatOfTheTable(t *testing.T) {
	const rcd, rp, cl, cwl = 4, 3, 3, 1
	tests := []struct {
		name         string
		open         int // row opened before, -1 for none
		write        bool
		bytes, beats int
		want         int64
	}{
		{"read hit", 0, false, 64, 4, cl + 8},
		{"read closed", -1, false, 64, 4, rcd + cl + 8},
		{"read conflict", 1, false, 64, 4, rp + rcd + cl + 8},
		{"write hit", 0, true, 64, 4, cwl + 8},
		{"write closed", -1, true, 64, 4, rcd + cwl + 8},
		{"write conflict", 1, true, 64, 4, rp + rcd + cwl + 8},
		{"32 bytes", 0, false, 32, 4, cl + 4},
		{"a byte more than 32 is another burst", 0, false, 33, 4, cl + 6},
		{"less than a burst of 4 beats", 0, false, 4, 4, cl + 2},
		{"less than a burst of 16 beats", 0, false, 4, 16, cl + 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := lpddr166()
			cfg.Burst = Burst(tt.beats)
			c := newController(t, cfg)
			if tt.open >= 0 {
				c.Serve(0, at(0, tt.open, 0), 64, false)
			}
			_, end := c.Serve(1000, at(0, 0, 64), tt.bytes, tt.write)
			if got := end - 1000; got != tt.want {
				t.Errorf("latency %d clocks, want %d", got, tt.want)
			}
		})
	}
}

// An op is a request.
type op struct {
	at        int64
	bank, row int
	write     bool
}

func TestTimingHoldsToTheClock(t *testing.T) {
	const (
		hit      = 3 // CL
		closed   = 7 // tRCD + CL
		conflict = 10
		ns       = sim.Nanosecond
	)
	tests := []struct {
		name   string
		set    func(c *Config)
		before []op
		probe  op
		from   int64 // the first clock at which the probe need not wait
		delay  int64 // from there to its data
	}{
		{"tRAS keeps a row open", func(c *Config) { c.TRAS = 20 * ns }, []op{{0, 0, 0, false}}, op{bank: 0, row: 1}, 20, conflict},
		{"a row stays open until its read data is out", func(*Config) {}, []op{{0, 0, 0, false}}, op{bank: 0, row: 1}, 4 + 8, conflict},
		{"tRC parts activates of a bank", func(c *Config) { c.TRC = 30 * ns }, []op{{0, 0, 0, false}}, op{bank: 0, row: 1}, 30 - 3, conflict},
		{"tRRD parts activates of two banks", func(c *Config) { c.TRRD = 10 * ns }, []op{{0, 0, 0, false}}, op{bank: 1}, 10, closed},
		{"tRRD counts from the last of three", func(c *Config) { c.TRRD = 10 * ns }, []op{{0, 0, 0, false}, {0, 1, 0, false}}, op{bank: 2}, 20, closed},
		{"tWR parts write data and precharge", func(c *Config) { c.TWR = 6 * ns }, []op{{0, 0, 0, true}}, op{bank: 0, row: 1}, 4 + 1 + 8 + 6, conflict},
		{"tWTR parts write data and read", func(c *Config) { c.TWTR = 5 }, []op{{0, 0, 0, true}}, op{bank: 0}, 4 + 1 + 8 + 5, hit},
		{"tWTR holds across banks", func(c *Config) { c.TWTR = 5 }, []op{{0, 0, 0, true}}, op{bank: 1}, 4 + 1 + 8 + 5 - 4, closed},
		{"read data before write data", func(c *Config) { c.TRTW = 2 }, []op{{0, 0, 0, false}}, op{bank: 0, write: true}, 4 + 3 + 8 + 2 - 1, 1},
		{"reads follow one another on the bus", func(*Config) {}, []op{{0, 0, 0, false}}, op{bank: 0}, 4 + 8, hit},
		{"writes follow one another on the bus", func(*Config) {}, []op{{0, 0, 0, true}}, op{bank: 0, write: true}, 4 + 8, 1},
		{"tRFC after a refresh", func(c *Config) { c.TREFI, c.TRFC = 100*ns, 20*ns }, nil, op{}, 120, closed},
		{"tRP before a refresh", func(c *Config) { c.TREFI, c.TRFC = 100*ns, 20*ns }, []op{{0, 0, 0, false}}, op{bank: 1}, 123, closed},
		{"tRC before a refresh", func(c *Config) { c.TREFI, c.TRFC, c.TRC = 100*ns, 20*ns, 30*ns }, []op{{99, 0, 0, false}}, op{bank: 1}, 99 + 30 + 20, closed},
		{"tWR before a refresh", func(c *Config) { c.TREFI, c.TRFC, c.TWR = 100*ns, 20*ns, 6*ns }, []op{{99, 0, 0, true}}, op{bank: 1}, 99 + 13 + 6 + 3 + 20, closed},
		{"of missed refreshes only the first precharges", func(c *Config) { c.TREFI, c.TRFC = 100*ns, 20*ns }, []op{{0, 0, 0, false}}, op{}, 320, closed},
		{
			"late refreshes come back to back", func(c *Config) { c.TREFI, c.TRFC, c.TWR = 100*ns, 60*ns, 50*ns },
			[]op{{99, 0, 0, true}},
			op{},
			99 + 13 + 50 + 3 + 2*60, closed,
		},
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
				start, _ := c.Serve(arrival, at(p.bank, p.row, 64), 64, p.write)
				if want := max(arrival, tt.from) + tt.delay; start != want {
					t.Errorf("accepted at %d: data at %d, want %d", arrival, start, want)
				}
			}
		})
	}
}

func TestRefreshClosesAllRows(t *testing.T) {
	c := newController(t, lpddr166())
	for b := range 4 {
		c.Serve(0, at(b, 0, 0), 64, false)
	}
	c.Serve(1293, at(0, 0, 0), 64, false)
	if s := c.Stats(); s.RowHits != 1 || s.Refresh != 0 {
		t.Fatalf("a clock before the refresh: %+v, want a row hit and no refresh", s)
	}
	c.Serve(1294, at(0, 0, 0), 64, false)
	if s := c.Stats(); s.RowClosed != 5 || s.Refresh != 1 {
		t.Fatalf("at the refresh: %+v, want the fifth row closed and one refresh", s)
	}
	for b := range 4 {
		c.Serve(1400, at(b, 0, 0), 64, false)
	}
	want := Stats{Reads: 10, RowHits: 1 + 1, RowClosed: 4 + 4, Activates: 8, Precharges: 4, Refresh: 1, DataClocks: 80}
	if got := c.Stats(); got != want {
		t.Errorf("after the refresh %+v, want %+v", got, want)
	}
}

func TestRefreshesOfASecondAreThoseThatFit(t *testing.T) {
	tests := []struct {
		mhz  int64
		step int64 // clocks between requests
		want uint64
	}{
		// 7.8 us are 1560 clocks of 200 MHz.
		{200, 200_000_000, 128_205},
		{200, 100, 128_205},
		{200, 5000, 128_205},
		// They are 1294.8 of 166 MHz: a refresh may come early, never late.
		{166, 166_000_000, 166_000_000 / 1294},
		{166, 1000, 166_000_000 / 1294},
	}
	for _, tt := range tests {
		cfg := lpddr166()
		cfg.Clock = units.Hertz(tt.mhz * 1e6)
		c := newController(t, cfg)
		for clk := int64(0); clk <= tt.mhz*1e6; clk += tt.step {
			c.Serve(clk, at(int(clk/64)%4, int(clk/512)%1024, 0), 64, false)
		}
		if got := c.Stats().Refresh; got != tt.want {
			t.Errorf("%d MHz, a request every %d clocks: %d refreshes, want %d", tt.mhz, tt.step, got, tt.want)
		}
	}
}

func TestNoRefreshWithoutAnInterval(t *testing.T) {
	cfg := lpddr166()
	cfg.TREFI = 0
	c := newController(t, cfg)
	c.Serve(0, at(0, 0, 0), 64, false)
	start, _ := c.Serve(1_000_000_000, at(0, 0, 0), 64, false)
	if start != 1_000_000_003 || c.Stats().Refresh != 0 {
		t.Errorf("data at %d with %d refreshes, want a row hit and none", start, c.Stats().Refresh)
	}
}

// stream reads or writes n bursts in sequence, each accepted as soon as the look-ahead has room, and returns the end of the last.
func stream(c *Controller, n int, write func(i int) bool) int64 {
	var ends [MaxLookAhead]int64
	room := c.LookAhead()
	for i := range n {
		_, ends[i%room] = c.Serve(ends[i%room], testBase+bus.Phys(i*64), 64, write(i))
	}
	return ends[(n-1)%room]
}

func reads(int) bool { return false }

func TestSequentialStreamTakesEightClocksABurstLessRefresh(t *testing.T) {
	for _, m := range []Map{RoBaCo, RoCoBa} {
		for _, write := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s write %t", m, write), func(t *testing.T) {
				cfg := lpddr166()
				cfg.Map = m
				c := newController(t, cfg)
				const n = 400_000
				end := stream(c, n, func(int) bool { return write })
				s := c.Stats()
				if s.DataClocks != 8*n {
					t.Fatalf("%d clocks of data, want %d", s.DataClocks, 8*n)
				}
				ideal := int64(8*n + s.Refresh*(3+23+4+3)) // tRP, tRFC, tRCD, CL
				if end < 8*n || end > ideal+ideal/100 || end < ideal-ideal/100 {
					t.Errorf("%d bursts and %d refreshes took %d clocks, want %d within 1 %%", n, s.Refresh, end, ideal)
				}
			})
		}
	}
}

func TestRowsOfOneBankAfterAnotherCostAPrechargeAndAnActivate(t *testing.T) {
	cfg := lpddr166()
	cfg.Map, cfg.TREFI = BaRoCo, 0
	c := newController(t, cfg)
	const rows = 100
	end := stream(c, rows*64, reads)
	// A row's last read keeps it open for 8 clocks; then tRP + tRCD until the next row's first.
	if want := int64(4 + 3 + rows*64*8 + (rows-1)*(3+4)); end != want {
		t.Errorf("%d rows took %d clocks, want %d", rows, end, want)
	}
}

func TestLookAheadHidesTheOpeningOfRows(t *testing.T) {
	took := func(ahead int) int64 {
		cfg := lpddr166()
		cfg.LookAhead, cfg.TREFI = ahead, 0
		return stream(newController(t, cfg), 64*64, reads)
	}
	// Alone, each burst waits for the one before, and pays CL; every 64th also opens a row: the first four are closed, the others conflict.
	if got, want := took(1), int64(64*64*(3+8)+4*4+60*(3+4)); got != want {
		t.Errorf("one at a time: %d clocks, want %d", got, want)
	}
	if got, want := took(4), int64(64*64*8+4+3); got != want {
		t.Errorf("look-ahead of 4: %d clocks, want %d", got, want)
	}
}

func TestAddressMapsSplitAddressesInTheirOrder(t *testing.T) {
	tests := []struct {
		m         Map
		off       int64
		bank, row int64
	}{
		{RoBaCo, 0, 0, 0},
		{RoBaCo, 4095, 0, 0},
		{RoBaCo, 4096, 1, 0},
		{RoBaCo, 3<<12 | 64, 3, 0},
		{RoBaCo, 1 << 14, 0, 1},
		{RoBaCo, testSize - 1, 3, 16383},
		{RoCoBa, 63, 0, 0},
		{RoCoBa, 64, 1, 0},
		{RoCoBa, 256, 0, 0},
		{RoCoBa, 1<<14 - 1, 3, 0},
		{RoCoBa, 1 << 14, 0, 1},
		{RoCoBa, testSize - 1, 3, 16383},
		{BaRoCo, 4095, 0, 0},
		{BaRoCo, 4096, 0, 1},
		{BaRoCo, 64<<20 - 1, 0, 16383},
		{BaRoCo, 64 << 20, 1, 0},
		{BaRoCo, testSize - 1, 3, 16383},
	}
	for _, tt := range tests {
		cfg := lpddr166()
		cfg.Map = tt.m
		c := newController(t, cfg)
		if bank, row := c.layout.locate(tt.off); bank != tt.bank || row != tt.row {
			t.Errorf("%s %#x: bank %d row %d, want bank %d row %d", tt.m, tt.off, bank, row, tt.bank, tt.row)
		}
	}
}

func TestEveryAddressMapGivesEachBankAndRowOneRowOfBytes(t *testing.T) {
	for _, m := range []Map{RoBaCo, RoCoBa, BaRoCo} {
		cfg := lpddr166()
		cfg.Map = m
		const size = 1 << 20
		c, err := New(cfg, testBase, size)
		if err != nil {
			t.Fatal(err)
		}
		bursts := map[[2]int64]int{}
		for off := 0; off < size; off += 64 {
			bank, row := c.layout.locate(int64(off))
			bursts[[2]int64{bank, row}]++
		}
		if len(bursts) != size/4096 {
			t.Errorf("%s: %d rows, want %d", m, len(bursts), size/4096)
		}
		for br, n := range bursts {
			if n != 64 {
				t.Errorf("%s: bank %d row %d has %d bursts, want 64", m, br[0], br[1], n)
			}
		}
	}
}

func TestResetStatsForgetsCountersAlone(t *testing.T) {
	c := newController(t, lpddr166())
	c.Serve(0, at(0, 0, 0), 64, true)
	c.ResetStats()
	c.Serve(100, at(0, 0, 64), 64, false)
	if got, want := c.Stats(), (Stats{Reads: 1, RowHits: 1, DataClocks: 8}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	tests := []struct {
		set  func(c *Config)
		want string
	}{
		{func(c *Config) { c.Clock = 0 }, "dram.clock: 0"},
		{func(c *Config) { c.Clock = 2e12 }, "dram.clock: 2000GHz"},
		{func(c *Config) { c.Width = 3 }, "dram.width: 3B, want 1B, 2B, 4B, 8B or 16B"},
		{func(c *Config) { c.Width = 32 }, "dram.width: 32B"},
		{func(c *Config) { c.Banks = 6 }, "dram.banks: 6, want a power of two up to 64"},
		{func(c *Config) { c.Banks = 128 }, "dram.banks: 128"},
		{func(c *Config) { c.Row = 128 }, "dram.row: 128B, want a power of two of at least 256B"},
		{func(c *Config) { c.Burst = 1 }, "dram.burst: 1, want 2, 4, 8 or 16 beats"},
		{func(c *Config) { c.Burst = 32 }, "dram.burst: 32"},
		{func(c *Config) { c.CL = 0 }, "dram.cl: 0 clocks, want 1 or more"},
		{func(c *Config) { c.CWL = -1 }, "dram.cwl: -1"},
		{func(c *Config) { c.TWTR = -1 }, "dram.twtr: -1"},
		{func(c *Config) { c.TRTW = -1 }, "dram.trtw: -1"},
		{func(c *Config) { c.LookAhead = 0 }, "dram.look_ahead: 0, want 1 to 16"},
		{func(c *Config) { c.LookAhead = 17 }, "dram.look_ahead: 17"},
		{func(c *Config) { c.Map = "rocoba2" }, `dram.map: "rocoba2", want one of [robaco rocoba baroco]`},
		{func(c *Config) { c.TWR = -1 }, "dram.twr: -1ps"},
		{func(c *Config) { c.TREFI = 156 * sim.Nanosecond }, "dram.trefi: 156ns, want more than trfc + trp = 156ns"},
		{func(c *Config) { c.TREFI = 162 * sim.Nanosecond }, "dram.trefi: 162ns"}, // 26.9 clocks, and the refresh takes 26
	}
	for _, tt := range tests {
		cfg := lpddr166()
		tt.set(&cfg)
		err := cfg.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
		if c, err2 := New(cfg, testBase, testSize); c != nil || err2 == nil {
			t.Errorf("New accepts what Validate refuses: %v", err)
		}
	}
	cfg := lpddr166()
	cfg.TREFI = 163 * sim.Nanosecond // 27.06 clocks
	if err := cfg.Validate(); err != nil {
		t.Errorf("a refresh interval of 27 clocks for refreshes of 26: %v", err)
	}
}
