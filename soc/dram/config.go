package dram

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// Config is the controller, the geometry and the timings of the memory. Times are rounded to whole clocks as a driver programs them: minima up, the refresh interval, a maximum, down.
type Config struct {
	Preset     string      `conf:"preset" doc:"Preset that the other values start from."`
	Scheduler  Scheduler   `conf:"scheduler" doc:"inorder: strictly in order behind a look-ahead; frfcfs: row hits first, with posted writes; fixed: one server; ideal: a latency and no limit."`
	Service    sim.Time    `conf:"service" doc:"Time of one request: how long it holds the server of fixed, and the latency of ideal."`
	Page       Page        `conf:"page" doc:"open keeps a row open for the next access; closed precharges after each one."`
	Clock      units.Hertz `conf:"clock" doc:"Clock of the DRAM interface; data moves on both edges."`
	Width      units.Bytes `conf:"width" doc:"Width of the data bus."`
	Channels   int         `conf:"channels" doc:"Channels of that width, each with its own banks and buses; a power of two."`
	Interleave units.Bytes `conf:"interleave" doc:"Bytes in a row that go to one channel before the next one's turn comes; acts with several channels."`
	Banks      int         `conf:"banks" doc:"Number of banks, each with one row open at most."`
	Row        units.Bytes `conf:"row" doc:"Size of a row over the whole width: the DRAM page."`
	Map        Map         `conf:"map" doc:"Order of row, bank and column in an address, highest first."`
	Hash       bool        `conf:"hash" doc:"XOR the low bits of the row into the bank, which spreads strides of a power of two over the banks."`
	Burst      Burst       `conf:"burst" doc:"Burst length in beats, with or without BL in front; a shorter transfer still occupies the bus for a burst."`
	CL         int         `conf:"cl" doc:"Clocks from a read command to its first data."`
	CWL        int         `conf:"cwl" doc:"Clocks from a write command to its first data."`
	TRCD       sim.Time    `conf:"trcd" doc:"Activate to read or write."`
	TRP        sim.Time    `conf:"trp" doc:"Precharge to activate."`
	TRAS       sim.Time    `conf:"tras" doc:"Activate to precharge."`
	TRC        sim.Time    `conf:"trc" doc:"Activate to activate of the same bank."`
	TRRD       sim.Time    `conf:"trrd" doc:"Activate to activate of another bank."`
	TFAW       sim.Time    `conf:"tfaw" doc:"Window in which four activates may be given; 0s: no such limit."`
	TRTP       sim.Time    `conf:"trtp" doc:"Read to precharge; never less than the clocks of the burst."`
	TWR        sim.Time    `conf:"twr" doc:"End of write data to precharge (tDPL)."`
	TWTR       int         `conf:"twtr" doc:"Clocks from the end of write data to a read command."`
	TRTW       int         `conf:"trtw" doc:"Idle clocks of the data bus between read data and write data."`
	TRFC       sim.Time    `conf:"trfc" doc:"Refresh to activate."`
	TREFI      sim.Time    `conf:"trefi" doc:"Interval between refreshes; 0s switches refresh off."`
	PowerDown  sim.Time    `conf:"power_down" doc:"Idle time after which the controller stops the memory's clock (CKE low); 0s: never."`
	TXP        int         `conf:"txp" doc:"Clocks from the end of power-down to the first command."`
	TCKE       int         `conf:"tcke" doc:"Shortest power-down in clocks."`
	LookAhead  int         `conf:"look_ahead" doc:"Of inorder: transactions accepted and not yet complete; the controller may open the rows of all of them."`
	Queue      int         `conf:"queue" doc:"Of frfcfs: entries of the read queue, and of the write buffer, of each channel."`
}

// Map is an address map.
type Map string

// The address maps, named from the highest field to the lowest.
const (
	RoBaCo Map = "robaco"
	RoCoBa Map = "rocoba"
	BaRoCo Map = "baroco"
)

// Values lists the valid maps.
func (Map) Values() []string { return []string{string(RoBaCo), string(RoCoBa), string(BaRoCo)} }

// Page says what happens to a row after an access. The zero value is open.
type Page string

// The page policies.
const (
	Open   Page = "open"
	Closed Page = "closed"
)

// Values lists the valid policies.
func (Page) Values() []string { return []string{string(Open), string(Closed)} }

// Scheduler is the kind of controller. The zero value is in order.
type Scheduler string

// The schedulers. Fixed and ideal know no banks, rows or commands.
const (
	InOrder    Scheduler = "inorder"
	FirstReady Scheduler = "frfcfs"
	Fixed      Scheduler = "fixed"
	Ideal      Scheduler = "ideal"
)

// Values lists the valid schedulers.
func (Scheduler) Values() []string {
	return []string{string(InOrder), string(FirstReady), string(Fixed), string(Ideal)}
}

// Banked tells whether the scheduler works with banks and gives commands.
func (s Scheduler) Banked() bool { return s != Fixed && s != Ideal }

// Burst is a burst length in beats: "8" or "BL8".
type Burst int

// UnmarshalText reads a burst length. Whether there is such a burst is a question for Validate.
func (b *Burst) UnmarshalText(text []byte) error {
	s := string(text)
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "BL"), "bl")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return fmt.Errorf("burst length %q: want 2, 4, 8 or 16 beats, as in 8 or BL8", s)
	}
	*b = Burst(n)
	return nil
}

// MarshalText writes the beats.
func (b Burst) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(b), 10), nil }

// Syntax describes the text: what it is, a pattern and examples.
func (Burst) Syntax() (what, pattern string, examples []string) {
	return "burst length", `^(BL)?(bl)?0*(2|4|8|16)$`, []string{"8", "BL8"}
}

// Limits of a configuration.
const (
	MaxLookAhead = 16
	MaxQueue     = 256
	MaxChannels  = 16
	maxBanks     = 64
)

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Clock <= 0 || int64(c.Clock) > sim.MaxHertz:
		return fmt.Errorf("dram.clock: %v, want a positive clock", c.Clock)
	case c.Scheduler != "" && !slices.Contains(c.Scheduler.Values(), string(c.Scheduler)):
		return fmt.Errorf("dram.scheduler: %q, want one of %v", c.Scheduler, c.Scheduler.Values())
	case c.Scheduler.Banked() && c.Service != 0:
		return fmt.Errorf("dram.service: %v, but only the schedulers fixed and ideal have a service time; want 0s", c.Service)
	case !c.Scheduler.Banked() && (c.Service <= 0 || sim.NewClock(int64(c.Clock)).Ceil(c.Service) > maxTiming):
		return fmt.Errorf("dram.service: %v, want a positive time of at most %d clocks with scheduler %s", c.Service, maxTiming, c.Scheduler)
	case !c.Scheduler.Banked() && (c.Width < 0 || c.Width > 16 || c.Width&(c.Width-1) != 0):
		return fmt.Errorf("dram.width: %v, want 1B, 2B, 4B, 8B or 16B", c.Width)
	case !c.Scheduler.Banked():
		return nil
	}
	if err := c.validateGeometry(); err != nil {
		return err
	}
	return c.validateTimings()
}

func pow2(n int64) bool { return n > 0 && n&(n-1) == 0 }

func (c Config) validateGeometry() error {
	switch {
	case !pow2(int64(c.Width)) || c.Width > 16:
		return fmt.Errorf("dram.width: %v, want 1B, 2B, 4B, 8B or 16B", c.Width)
	case !pow2(int64(c.Banks)) || c.Banks > maxBanks:
		return fmt.Errorf("dram.banks: %d, want a power of two up to %d", c.Banks, maxBanks)
	case !pow2(int64(c.Row)) || c.Row < 256 || c.Row > 1<<30:
		return fmt.Errorf("dram.row: %v, want a power of two of at least 256B", c.Row)
	case !pow2(int64(c.Burst)) || c.Burst < 2 || c.Burst > 16:
		return fmt.Errorf("dram.burst: %d, want 2, 4, 8 or 16 beats", c.Burst)
	case c.Channels != 0 && (!pow2(int64(c.Channels)) || c.Channels > MaxChannels):
		return fmt.Errorf("dram.channels: %d, want a power of two up to %d", c.Channels, MaxChannels)
	case c.Channels > 1 && (!pow2(int64(c.Interleave)) || c.Interleave < max(bus.BurstBytes, c.burstBytes())):
		return fmt.Errorf("dram.interleave: %v, want a power of two of at least %v: a burst lies in one channel", c.Interleave, max(bus.BurstBytes, c.burstBytes()))
	case !slices.Contains(c.Map.Values(), string(c.Map)):
		return fmt.Errorf("dram.map: %q, want one of %v", c.Map, c.Map.Values())
	case c.Page != "" && !slices.Contains(c.Page.Values(), string(c.Page)):
		return fmt.Errorf("dram.page: %q, want one of %v", c.Page, c.Page.Values())
	case c.Scheduler != FirstReady && (c.LookAhead < 1 || c.LookAhead > MaxLookAhead):
		return fmt.Errorf("dram.look_ahead: %d, want 1 to %d", c.LookAhead, MaxLookAhead)
	case c.Scheduler == FirstReady && (c.Queue < 1 || c.Queue > MaxQueue):
		return fmt.Errorf("dram.queue: %d, want 1 to %d with scheduler frfcfs", c.Queue, MaxQueue)
	}
	return nil
}

// maxTiming bounds a timing in clocks, so that clocks can be added without a thought of overflow.
const maxTiming = 1 << 30

func (c Config) validateTimings() error {
	clock := sim.NewClock(int64(c.Clock))
	for _, t := range []struct {
		name  string
		value int
		least int
	}{
		{"cl", c.CL, 1},
		{"cwl", c.CWL, 0},
		{"twtr", c.TWTR, 0},
		{"trtw", c.TRTW, 0},
		{"txp", c.TXP, 0},
		{"tcke", c.TCKE, 0},
	} {
		if t.value < t.least || t.value > maxTiming {
			return fmt.Errorf("dram.%s: %d clocks, want %d or more", t.name, t.value, t.least)
		}
	}
	for _, t := range []struct {
		name  string
		value sim.Time
	}{
		{"trcd", c.TRCD},
		{"trp", c.TRP},
		{"tras", c.TRAS},
		{"trc", c.TRC},
		{"trrd", c.TRRD},
		{"tfaw", c.TFAW},
		{"trtp", c.TRTP},
		{"twr", c.TWR},
		{"trfc", c.TRFC},
		{"trefi", c.TREFI},
		{"power_down", c.PowerDown},
	} {
		if t.value < 0 || clock.Ceil(t.value) > maxTiming {
			return fmt.Errorf("dram.%s: %v, want 0s to %d clocks", t.name, t.value, maxTiming)
		}
	}
	if c.TREFI > 0 && clock.Floor(c.TREFI) <= clock.Ceil(c.TRFC)+clock.Ceil(c.TRP) {
		return fmt.Errorf("dram.trefi: %v, want more than trfc + trp = %v in whole clocks: the memory would do nothing but refresh", c.TREFI, c.TRFC+c.TRP)
	}
	if c.TREFI > 0 && c.Scheduler == FirstReady {
		// From one refresh to the next each bank can open a row, use it and close it.
		t := c.timings(clock)
		if need := t.rfc + t.rp + t.rcd + t.rc + t.ras + t.rrd + t.faw + t.cl + t.cwl + t.burst + max(t.rtp, t.wr) + t.wtr + t.rtw + t.xp + t.cke + int64(c.Banks); t.refi <= need {
			return fmt.Errorf("dram.trefi: %v are %d clocks, want more than %d with scheduler frfcfs, or refreshes leave no time for a request", c.TREFI, t.refi, need)
		}
	}
	return nil
}

// burstBytes is the size of a burst.
func (c Config) burstBytes() units.Bytes { return units.Bytes(c.Burst) * c.Width }

// RequestBytes is what one request of a replay moves: a burst.
func (c Config) RequestBytes() int64 {
	if n := int64(c.burstBytes()); n > 0 {
		return n
	}
	return bus.BurstBytes
}

// channels is the number of channels, of which there is one if nothing is said.
func (c Config) channels() int { return max(1, c.Channels) }

// timings are those of the configuration in clocks.
type timings struct {
	cl, cwl, rcd, rp, ras, rc, rrd, faw, rtp, wr, wtr, rtw, rfc, refi int64
	burst                                                             int64 // clocks of data in a burst
	powerDown, xp, cke                                                int64
}

// never is a clock that does not come; a few timings added to it do not overflow.
const never = 1 << 61

// longAgo is a clock before all others; with timings added it still is.
const longAgo = -1 << 40

func (c Config) timings(clock sim.Clock) timings {
	t := timings{
		cl: int64(c.CL), cwl: int64(c.CWL), rcd: clock.Ceil(c.TRCD), rp: clock.Ceil(c.TRP), ras: clock.Ceil(c.TRAS), rc: clock.Ceil(c.TRC),
		rrd: clock.Ceil(c.TRRD), faw: clock.Ceil(c.TFAW), rtp: clock.Ceil(c.TRTP), wr: clock.Ceil(c.TWR), wtr: int64(c.TWTR), rtw: int64(c.TRTW),
		rfc: clock.Ceil(c.TRFC), refi: clock.Floor(c.TREFI), burst: int64(c.Burst) / 2,
		powerDown: clock.Ceil(c.PowerDown), xp: int64(c.TXP), cke: int64(c.TCKE),
	}
	t.rtp = max(t.rtp, t.burst)
	t.rcd, t.rp, t.rfc = max(t.rcd, 1), max(t.rp, 1), max(t.rfc, 1) // a command takes a clock
	if t.refi == 0 {
		t.refi = never
	}
	if t.powerDown == 0 {
		t.powerDown = never
	}
	return t
}
