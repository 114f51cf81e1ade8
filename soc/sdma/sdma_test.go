package sdma

import (
	"strings"
	"testing"

	"socsim/sim"
)

func TestAConfigThatMakesNoSenseIsRefused(t *testing.T) {
	for _, c := range []struct {
		want string
		set  func(*Config)
	}{
		{"sdma.channels: 33, want 1 to 32", func(c *Config) { c.Channels = 33 }},
		{"sdma.channels: 0, want 1 to 32", func(c *Config) { c.Channels = 0 }},
		{"sdma.burst: 8B, want 16B, 32B or 64B", func(c *Config) { c.Burst = 8 }},
		{"sdma.fifo: 63B, want from one burst of 64B to 64KiB", func(c *Config) { c.FIFO = 63 }},
		{"sdma.channel_fifo: 63B, want from one burst of 64B to the fifo of 1KiB", func(c *Config) { c.ChannelFIFO = 63 }},
		{"sdma.channel_fifo: 1025B, want from one burst of 64B to the fifo of 1KiB", func(c *Config) { c.ChannelFIFO = 1025 }},
		{"sdma.read_outstanding: 17, want 1 to 16 accesses", func(c *Config) { c.ReadOutstanding = 17 }},
		{"sdma.write_outstanding: 0, want 1 to 16 accesses", func(c *Config) { c.WriteOutstanding = 0 }},
		{"sdma.arbitration_rate: 256, want 1 to 255", func(c *Config) { c.ArbitrationRate = 256 }},
		{"sdma.write_mode: \"slow\", want non-posted, posted or last-non-posted", func(c *Config) { c.Writes = "slow" }},
		{"sdma: prepare_cycles -1cycles and complete_cycles 0cycles, want none negative", func(c *Config) { c.PrepareCycles = -1 }},
		{"sdma.bus_class: 3, want 0, 1 or 2", func(c *Config) { c.Class = 3 }},
	} {
		cfg := omap3()
		c.set(&cfg)
		eng := sim.New()
		if _, err := New(eng, cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

func TestResetStatsForgetsWhatWasCounted(t *testing.T) {
	m := newMemory(t, omap3())
	m.start(t, copied(64, Posted))
	m.run(t)
	m.d.ResetStats()
	if s := m.d.Stats(); s != (Stats{}) {
		t.Errorf("counted %+v after a reset", s)
	}
}
