package dram

import (
	"testing"

	"socsim/sim/bus"
)

func TestAnAddressLiesWhereItsCommandsGo(t *testing.T) {
	for _, scheduler := range []Scheduler{InOrder, FirstReady} {
		for _, channels := range []int{1, 2} {
			cfg := lpddr166()
			cfg.Scheduler, cfg.Channels, cfg.Interleave = scheduler, channels, 256
			if cfg.Queue == 0 {
				cfg.Queue = 16
			}
			c, err := New(cfg, testBase, 1<<26)
			if err != nil {
				t.Fatal(err)
			}
			var last Command
			c.Observe(func(x Command) {
				if x.Kind == Read {
					last = x
				}
			})
			for i := range int64(200) {
				pa := testBase + bus.Phys(i*i*64*37%(1<<26))
				c.Serve(i*100, pa, int(cfg.burstBytes()), false)
				if want := (Place{last.Channel, last.Bank, last.Row, last.Col}); c.Locate(pa) != want {
					t.Fatalf("%s, %d channels: %v lies at %+v, the command went to %+v", scheduler, channels, pa, c.Locate(pa), want)
				}
				if row, open := c.OpenRow(pa); !open || row != last.Row {
					t.Fatalf("%s, %d channels: after a read of row %d of %v row %d is open: %t", scheduler, channels, last.Row, pa, row, open)
				}
			}
		}
	}
}

func TestARefreshLeavesNoRowOpen(t *testing.T) {
	cfg := lpddr166()
	c, err := New(cfg, testBase, 1<<26)
	if err != nil {
		t.Fatal(err)
	}
	if _, open := c.OpenRow(testBase); open {
		t.Error("a row is open at first")
	}
	c.Serve(0, testBase, 16, false)
	due := c.Clock().Floor(cfg.TREFI)
	c.Settle(due - 1)
	if _, open := c.OpenRow(testBase); !open {
		t.Error("closed before the refresh")
	}
	c.Settle(due)
	if _, open := c.OpenRow(testBase); open {
		t.Error("open after the refresh")
	}
}
