// Package dramtest is for tests that move data: it lets the independent checker of DRAM commands watch a controller.
package dramtest

import (
	"testing"

	"socsim/sim"
	"socsim/soc/dram"
	"socsim/soc/dramcheck"
)

// window is how many commands the in-order controller may give behind one of a later clock: those of the transactions that it looks ahead.
const window = 256

var kinds = map[dram.Kind]dramcheck.Kind{
	dram.Activate: dramcheck.Activate, dram.Precharge: dramcheck.Precharge, dram.Read: dramcheck.Read, dram.ReadPrecharge: dramcheck.ReadP,
	dram.Write: dramcheck.Write, dram.WritePrecharge: dramcheck.WriteP, dram.Refresh: dramcheck.Refresh,
}

// Observable is a controller that shows its commands.
type Observable interface{ Observe(dram.Observer) }

// Watch has every command of a controller of the given configuration checked, and fails the test for those that break a timing. It replaces the controller's observer. The function it returns
// checks what is still held back, and returns the number of commands; it runs at the end of the test in any case.
func Watch(tb testing.TB, c Observable, cfg dram.Config) (finish func() uint64) {
	tb.Helper()
	if !cfg.Scheduler.Banked() {
		return func() uint64 { return 0 }
	}
	var streams []*dramcheck.Unordered
	var checkers []*dramcheck.Checker
	for channel := range max(1, cfg.Channels) {
		reported := 0
		k, err := dramcheck.New(timing(cfg), func(v dramcheck.Violation) {
			if reported++; reported <= 5 {
				tb.Errorf("channel %d: %v", channel, v)
			}
		})
		if err != nil {
			tb.Fatal(err)
		}
		u, err := dramcheck.NewUnordered(k, window)
		if err != nil {
			tb.Fatal(err)
		}
		streams, checkers = append(streams, u), append(checkers, k)
	}
	c.Observe(func(cmd dram.Command) {
		streams[cmd.Channel].Feed(dramcheck.Command{Clk: cmd.Clk, Kind: kinds[cmd.Kind], Bank: cmd.Bank, Row: max(0, cmd.Row), Col: max(0, cmd.Col)})
	})
	finish = func() (n uint64) {
		for i, u := range streams {
			u.Flush()
			n += uint64(checkers[i].Commands())
		}
		return n
	}
	tb.Cleanup(func() { finish() })
	return finish
}

// timing is the table that the commands must keep to, worked out from the configuration alone.
func timing(c dram.Config) dramcheck.Timing {
	clock := sim.NewClock(int64(c.Clock))
	data := int64(c.Burst) / 2
	t := dramcheck.Timing{
		CL: int64(c.CL), CWL: int64(c.CWL), BL: int64(c.Burst),
		TRCD: clock.Ceil(c.TRCD), TRP: clock.Ceil(c.TRP), TRAS: clock.Ceil(c.TRAS), TRC: clock.Ceil(c.TRC), TRRD: clock.Ceil(c.TRRD), TFAW: clock.Ceil(c.TFAW),
		TRTP: max(clock.Ceil(c.TRTP), data), TRTPA: data, TWR: clock.Ceil(c.TWR), TWTR: int64(c.TWTR), TRTRS: int64(c.TRTW),
		TRFC: clock.Ceil(c.TRFC), TREFI: clock.Floor(c.TREFI), Postponed: 8,
		Banks: int64(c.Banks), Ranks: 1, Rows: 1 << 40, Columns: 1 << 40, SharedCommandBus: true,
	}
	return t
}
