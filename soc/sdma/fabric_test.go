package sdma

import (
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/dram"
	"socsim/soc/dramtest"
	"socsim/soc/l3"
	pages "socsim/soc/memory"
)

// chip is the device on the interconnect and the memory of an OMAP3430 at 166 MHz.
type chip struct {
	eng *sim.Engine
	mem *pages.Memory
	fab *l3.Fabric
	d   *Device
	log []pages.Violation
}

func (c *chip) Violation(v pages.Violation) { c.log = append(c.log, v) }

const master = bus.Master(5)

func newChip(t testing.TB, cfg Config) *chip {
	t.Helper()
	// The memory of the Nokia N900 (sdram-nokia.c).
	lpddr := dram.Config{
		Clock: 166e6, Width: 4, Banks: 4, Row: 4096, Map: dram.RoBaCo, Burst: 4, CL: 3, CWL: 1,
		TRCD: 22500, TRP: 18000, TRAS: 42000, TRC: 66000, TRRD: 12000, TWR: 15000, TWTR: 2, TRTW: 1, TRFC: 138000, TREFI: 7800 * sim.Nanosecond, LookAhead: 4,
	}
	c := &chip{eng: sim.New()}
	t.Cleanup(c.eng.Close)
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c.mem, err = pages.New(pages.Config{Base: source, Size: 4 << 20, LineBytes: 64})
	must()
	ctl, err := dram.New(lpddr, source, 4<<20)
	must()
	if _, ok := t.(*testing.B); !ok {
		dramtest.Watch(t, ctl, lpddr)
	}
	c.fab, err = l3.New(l3.Config{Clock: 166e6, RequestCycles: 5, ResponseCycles: 3, Class1Weight: 2, Class2Weight: 1}, c.eng, c.mem, ctl)
	must()
	c.d, err = New(c.eng, cfg)
	must()
	c.d.Connect(c.fab, master)
	c.mem.SetObserver(c)
	return c
}

const mebibyte = 1 << 20

// copyMebibyte copies a mebibyte to the address a mebibyte and an offset behind it, with a number of channels in equal parts, and returns the time.
func (c *chip) copyMebibyte(t testing.TB, channels int, w WriteMode, offset bus.Phys) sim.Time {
	t.Helper()
	start := c.eng.Now()
	part := mebibyte / channels
	for ch := range channels {
		x := copied(part, w)
		x.Source.Addr += bus.Phys(ch * part)
		x.Destination.Addr = source + mebibyte + offset + bus.Phys(ch*part)
		if err := c.d.Program(ch, x); err != nil {
			t.Fatal(err)
		}
		if err := c.d.Enable(ch, start); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.eng.Run(t.Context(), sim.Never); err != nil {
		t.Fatal(err)
	}
	return c.eng.Now() - start
}

// rate returns MB/s.
func rate(bytes int, in sim.Time) int64 {
	return int64(bytes) * int64(sim.Second/1_000_000) / int64(in)
}

func TestACopyOnTheChipKeepsWithinItsBounds(t *testing.T) {
	for _, c := range []struct {
		name     string
		limit    units.Bytes
		width    units.Bytes
		channels int
		mode     WriteMode
		offset   bus.Phys // 0 for source and destination in the same banks of the DRAM, 4096 for different ones
	}{
		{"as Linux sets it up", 64, 4, 1, NonPosted, 0},
		{"the same, other bank", 64, 4, 1, NonPosted, 4096},
		{"posted, other bank", 64, 4, 1, Posted, 4096},
		{"whole FIFO", 1024, 4, 1, NonPosted, 0},
		{"whole FIFO, other bank", 1024, 4, 1, NonPosted, 4096},
		{"whole FIFO, posted, other bank", 1024, 4, 1, Posted, 4096},
		{"the same with 64 bit ports", 1024, 8, 1, Posted, 4096},
		{"four channels as Linux sets them up", 64, 4, 4, NonPosted, 4096},
		{"four channels, posted, 64 bit ports", 64, 8, 4, Posted, 4096},
	} {
		cfg := omap3()
		cfg.ChannelFIFO, cfg.Width = c.limit, c.width
		chip := newChip(t, cfg)
		took := chip.copyMebibyte(t, c.channels, c.mode, c.offset)
		st := chip.fab.Stats(master)
		if st.BytesRead != mebibyte || st.BytesWritten != mebibyte {
			t.Errorf("%s: %d bytes read and %d written, want %d each", c.name, st.BytesRead, st.BytesWritten, mebibyte)
		}
		// Each port carries a word a cycle at most, and memory both directions.
		cycle := sim.NewClock(166e6)
		if floor := max(cycle.Cycles(mebibyte/int64(c.width)), cycle.Cycles(2*mebibyte/8)); took < floor {
			t.Errorf("%s: took %v, less than the %v of the wires", c.name, took, floor)
		}
		t.Logf("%-36s %4d MB/s", c.name, rate(mebibyte, took))
	}
}

func TestTheLimitOfAChannelSlowsItDown(t *testing.T) {
	took := func(limit units.Bytes) sim.Time {
		cfg := omap3()
		cfg.ChannelFIFO = limit
		return newChip(t, cfg).copyMebibyte(t, 1, NonPosted, 0)
	}
	if one, all := took(64), took(1024); one < all*5/4 {
		t.Errorf("%v with one burst at a time, %v with the whole FIFO: want it at least a quarter slower", one, all)
	}
}

func TestStaleMemoryIsReadStale(t *testing.T) {
	c := newChip(t, omap3())
	dirty := pages.StampOf(1, 1)
	c.mem.CPUWrite(source+128, dirty)
	c.copyMebibyte(t, 1, NonPosted, 0)
	if len(c.log) != 1 || c.log[0].Kind != pages.StaleDeviceRead || c.log[0].Addr != source+128 || c.log[0].Actor != master {
		t.Errorf("violations %+v, want one stale read of %v", c.log, source+128)
	}
	if got := c.mem.InMemory(source + mebibyte + 128); got.Master() != master {
		t.Errorf("copy written by master %d, want %d", got.Master(), master)
	}
}

func BenchmarkFabric(b *testing.B) {
	for _, bm := range []struct {
		name  string
		limit units.Bytes
	}{{"burst at a time", 64}, {"whole FIFO", 1024}} {
		b.Run(bm.name, func(b *testing.B) {
			cfg := omap3()
			cfg.ChannelFIFO, cfg.Width = bm.limit, 4
			c := newChip(b, cfg)
			b.ReportAllocs()
			for b.Loop() {
				c.copyMebibyte(b, 1, NonPosted, 0)
			}
			n := float64(c.fab.Grants())
			b.ReportMetric(n/b.Elapsed().Seconds(), "bursts/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/burst")
		})
	}
}
