package dram

import (
	"testing"

	"pgregory.net/rapid"

	"socsim/sim"
)

// causes is the bus time without data, and that of the tags used here.
func causes(c *Controller, at int64) (gaps [FirstTag]int64, data [3]int64) {
	var b BusTime
	c.BusTime(at, &b)
	copy(gaps[:], b[:FirstTag])
	copy(data[:], b[FirstTag:])
	return gaps, data
}

func TestTheBusTimeTellsWhatDelayedTheData(t *testing.T) {
	const ns = sim.Nanosecond
	type gaps = [FirstTag]int64
	tests := []struct {
		name string
		set  func(c *Config)
		ops  []op
		want gaps // up to the end of the last data
	}{
		{"an idle memory", func(*Config) {}, []op{{at: 20}}, gaps{BusIdle: 20, BusLatency: 3, BusRow: 4}},
		{"the other row", func(*Config) {}, []op{{at: 0}, {at: 50, row: 1}}, gaps{BusIdle: 50 - 15, BusLatency: 3 + 3, BusRow: 4 + 7}},
		{"row hits follow one another", func(*Config) {}, []op{{}, {}, {}}, gaps{BusLatency: 3, BusRow: 4}},
		{"another bank's row is opened meanwhile", func(*Config) {}, []op{{}, {bank: 1}}, gaps{BusLatency: 3, BusRow: 4}},
		{"a conflict is hidden in part", func(*Config) {}, []op{{}, {row: 1}}, gaps{BusLatency: 3, BusRow: 4 + 7}},
		{"write to read", func(c *Config) { c.TWTR = 5 }, []op{{write: true}, {}}, gaps{BusLatency: 1, BusRow: 4, BusTurnaround: 5 + 3}},
		{"read to write", func(c *Config) { c.TRTW = 2 }, []op{{}, {write: true}}, gaps{BusLatency: 3, BusRow: 4, BusTurnaround: 2}},
		{"a refresh that delays", func(c *Config) { c.TREFI, c.TRFC = 100*ns, 20*ns }, []op{{at: 110}}, gaps{BusIdle: 110, BusLatency: 3, BusRefresh: 10, BusRow: 4}},
		{"a refresh that delays nobody", func(c *Config) { c.TREFI, c.TRFC = 100*ns, 20*ns }, []op{{at: 150}}, gaps{BusIdle: 150, BusLatency: 3, BusRow: 4}},
		{"a wake-up", func(c *Config) { c.PowerDown, c.TXP, c.TCKE = 10, 6, 1 }, []op{{at: 150}}, gaps{BusIdle: 150, BusLatency: 3, BusWakeUp: 6, BusRow: 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := gigahertz()
			tt.set(&cfg)
			c := newController(t, cfg)
			end := int64(0)
			for i, o := range tt.ops {
				c.Tag(uint16(i % 3))
				_, end = c.Serve(o.at, at(o.bank, o.row, 64*i), 64, o.write)
			}
			got, data := causes(c, end)
			if got != tt.want {
				t.Errorf("idle, latency, refresh, wake-up, row, turnaround: %v, want %v", got, tt.want)
			}
			for i := range min(3, len(tt.ops)) {
				if data[i] != 8 {
					t.Errorf("data of request %d: %d clocks, want 8", i, data[i])
				}
			}
		})
	}
}

func TestARequestIsBehindByWhatAnIdleMemoryWouldNotTake(t *testing.T) {
	c := newController(t, gigahertz())
	for _, s := range []struct {
		at     int64
		row    int
		behind int64
	}{{0, 0, 0}, {0, 0, 12}, {100, 0, 0}, {200, 1, 0}, {200, 2, 15}} {
		if c.Serve(s.at, at(0, s.row, 0), 64, false); c.Behind() != s.behind {
			t.Errorf("row %d at %d: behind by %d clocks, want %d", s.row, s.at, c.Behind(), s.behind)
		}
	}
}

func TestTheCausesOfTheBusTimeAddUpToItWhereverItIsCut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := lpddr166()
		cfg.Page = rapid.SampledFrom([]Page{Open, Closed}).Draw(rt, "page")
		if rapid.Bool().Draw(rt, "power-down") {
			cfg.PowerDown, cfg.TXP, cfg.TCKE = 20, 3, 2
		}
		cfg.Scheduler = rapid.SampledFrom([]Scheduler{InOrder, FirstReady}).Draw(rt, "scheduler")
		if cfg.Scheduler == FirstReady {
			cfg.Queue = 16
		}
		if rapid.Bool().Draw(rt, "channels") {
			cfg.Channels, cfg.Interleave = 2, 256
		}
		if rapid.Bool().Draw(rt, "refresh often") {
			cfg.TREFI = 300 * sim.Nanosecond * 3
		}
		c := newController(t, cfg)
		buses := int64(max(1, cfg.Channels))
		clk, from := int64(0), int64(0)
		ends := make([]int64, c.LookAhead())
		for i := range rapid.IntRange(1, 60).Draw(rt, "requests") {
			clk = max(clk+rapid.SampledFrom([]int64{0, 0, 1, 9, 70, 2000}).Draw(rt, "gap"), ends[i%len(ends)])
			if rapid.IntRange(0, 9).Draw(rt, "reset") == 0 {
				c.Settle(clk)
				c.ResetBusTime(clk)
				from = clk
			}
			c.Tag(uint16(i % Tags))
			_, ends[i%len(ends)] = c.Serve(clk, at(rapid.IntRange(0, 3).Draw(rt, "bank"), rapid.IntRange(0, 2).Draw(rt, "row"), 64*i%4096), rapid.IntRange(1, 64).Draw(rt, "n"), rapid.Bool().Draw(rt, "write"))
			if rapid.IntRange(0, 9).Draw(rt, "look") == 0 {
				check(rt, c, from, clk, buses)
			}
		}
		check(rt, c, from, clk+rapid.Int64Range(0, 3000).Draw(rt, "rest"), buses)
	})
}

// check complains unless the causes add up to the clocks of all buses, none of them negative.
func check(rt *rapid.T, c *Controller, from, to, buses int64) {
	var b BusTime
	c.BusTime(to, &b)
	if n := c.Buses(); int64(n) != buses {
		rt.Errorf("%d buses, want %d", n, buses)
	}
	if got := b.Total(); got != (to-from)*buses {
		rt.Errorf("from %d to %d: the causes add up to %d clocks of %d buses", from, to, got, buses)
	}
	for cause, clocks := range b {
		if clocks < 0 {
			rt.Errorf("from %d to %d: cause %d took %d clocks", from, to, cause, clocks)
		}
	}
}
