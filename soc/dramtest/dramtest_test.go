package dramtest

import (
	"math/rand/v2"
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/dram"
)

func lpddr() dram.Config {
	return dram.Config{
		Clock: 166e6, Width: 4, Banks: 4, Row: 4096, Map: dram.RoBaCo, Burst: 4, CL: 3, CWL: 1,
		TRCD: 22500, TRP: 18000, TRAS: 42000, TRC: 66000, TRRD: 12000, TWR: 15000, TWTR: 2, TRTW: 1, TRFC: 138000, TREFI: 7800 * sim.Nanosecond, LookAhead: 4,
	}
}

// failures is a test that only counts how often it would have failed.
type failures struct {
	testing.TB
	n int
}

func (f *failures) Errorf(string, ...any) { f.n++ }

// traffic gives a controller random requests, watched by another table than its own.
func traffic(t *testing.T, own, table dram.Config) (failed int, commands uint64) {
	t.Helper()
	c, err := dram.New(own, 0, 1<<22)
	if err != nil {
		t.Fatal(err)
	}
	f := &failures{TB: t}
	finish := Watch(f, c, table)
	rng := rand.New(rand.NewPCG(1, 2))
	at := int64(0)
	var ends [4]int64 // of the transactions that the controller looks ahead
	for i := range 20000 {
		at = max(at+rng.Int64N(12), ends[i%4])
		_, ends[i%4] = c.Serve(at, bus.Phys(rng.Int64N(1<<16))<<6, 16<<(2*rng.IntN(2)), rng.IntN(3) == 0)
	}
	return f.n, finish()
}

func TestALegalStreamIsSilent(t *testing.T) {
	failed, commands := traffic(t, lpddr(), lpddr())
	if failed != 0 {
		t.Errorf("%d complaints about a legal stream", failed)
	}
	if commands < 3*20000 {
		t.Errorf("only %d commands were checked", commands)
	}
}

func TestAClockTooEarlyIsReported(t *testing.T) {
	for name, stricter := range map[string]func(*dram.Config){
		"tRCD": func(c *dram.Config) { c.TRCD += 6000 }, "tRP": func(c *dram.Config) { c.TRP += 6100 }, "tRAS": func(c *dram.Config) { c.TRAS += 12000 },
		"tRC": func(c *dram.Config) { c.TRC += 6000 }, "tRRD": func(c *dram.Config) { c.TRRD += 6100 }, "tWR": func(c *dram.Config) { c.TWR += 6000 },
		"tWTR": func(c *dram.Config) { c.TWTR++ }, "tRTW": func(c *dram.Config) { c.TRTW++ }, "tRFC": func(c *dram.Config) { c.TRFC += 6000 }, "CL": func(c *dram.Config) { c.CL++ },
		"tFAW": func(c *dram.Config) { c.TFAW = 90000 }, "tRTP": func(c *dram.Config) { c.TRTP = 60000 },
	} {
		table := lpddr()
		stricter(&table)
		if failed, _ := traffic(t, lpddr(), table); failed == 0 {
			t.Errorf("%s: a controller one clock too fast goes unnoticed", name)
		}
	}
}
