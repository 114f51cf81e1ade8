package dramcheck

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Timing is what a Checker checks against: distances in clocks, and the shape of one channel. What is 0 is no limit, if nothing else is said.
type Timing struct {
	CL  int64 // read to its first data
	CWL int64 // write to its first data
	BL  int64 // beats of a burst, two a clock

	TRCD  int64 // activate to read or write
	TRP   int64 // precharge to activate
	TRAS  int64 // activate to precharge
	TRC   int64 // activate to activate of the same bank; 0: TRAS + TRP
	TRRD  int64 // activate to activate of the same rank
	TFAW  int64 // five activates of a rank take longer
	TRTP  int64 // read to precharge
	TRTPA int64 // added to TRTP for the precharge of a read_p, as the next activate of the bank sees it
	TWR   int64 // last data of a write to precharge
	TWTR  int64 // last data of a write to a read
	TRTRS int64 // idle clocks of the data bus between a read and a write, and between ranks
	TCCD  int64 // read to read, write to write; 0: BL/2
	TRFC  int64 // refresh to the next command
	TREFI int64 // mean interval of refreshes; 0: refreshes may be missing
	TXP   int64 // end of power-down to the next command
	TCKE  int64 // shortest power-down, and shortest time between two

	Postponed int64 // refreshes that may be postponed, and as many pulled in: two are at most (Postponed+1)*TREFI apart

	Banks   int64 // of a rank
	Ranks   int64 // that share the channel; bank b of the channel belongs to rank b/Banks
	Rows    int64
	Columns int64 // bounds Command.Col, whatever its unit

	SharedCommandBus bool // one command in a clock
}

// maxSetting bounds the settings, so that clocks do not overflow.
const (
	maxSetting = 1 << 20
	maxBanks   = 1 << 10 // of all ranks
)

// settings are the names of the numbers in Timing, as Set takes them.
var settings = []struct {
	name     string
	min, max int64
	at       func(*Timing) *int64
}{
	{"CL", 1, maxSetting, func(t *Timing) *int64 { return &t.CL }},
	{"CWL", 0, maxSetting, func(t *Timing) *int64 { return &t.CWL }},
	{"BL", 2, maxSetting, func(t *Timing) *int64 { return &t.BL }},
	{"tRCD", 0, maxSetting, func(t *Timing) *int64 { return &t.TRCD }},
	{"tRP", 0, maxSetting, func(t *Timing) *int64 { return &t.TRP }},
	{"tRAS", 0, maxSetting, func(t *Timing) *int64 { return &t.TRAS }},
	{"tRC", 0, maxSetting, func(t *Timing) *int64 { return &t.TRC }},
	{"tRRD", 0, maxSetting, func(t *Timing) *int64 { return &t.TRRD }},
	{"tFAW", 0, maxSetting, func(t *Timing) *int64 { return &t.TFAW }},
	{"tRTP", 0, maxSetting, func(t *Timing) *int64 { return &t.TRTP }},
	{"tRTPA", 0, maxSetting, func(t *Timing) *int64 { return &t.TRTPA }},
	{"tWR", 0, maxSetting, func(t *Timing) *int64 { return &t.TWR }},
	{"tWTR", 0, maxSetting, func(t *Timing) *int64 { return &t.TWTR }},
	{"tRTRS", 0, maxSetting, func(t *Timing) *int64 { return &t.TRTRS }},
	{"tCCD", 0, maxSetting, func(t *Timing) *int64 { return &t.TCCD }},
	{"tRFC", 0, maxSetting, func(t *Timing) *int64 { return &t.TRFC }},
	{"tREFI", 0, maxSetting, func(t *Timing) *int64 { return &t.TREFI }},
	{"tXP", 0, maxSetting, func(t *Timing) *int64 { return &t.TXP }},
	{"tCKE", 0, maxSetting, func(t *Timing) *int64 { return &t.TCKE }},
	{"postponed", 0, maxSetting, func(t *Timing) *int64 { return &t.Postponed }},
	{"banks", 1, maxBanks, func(t *Timing) *int64 { return &t.Banks }},
	{"ranks", 1, maxBanks, func(t *Timing) *int64 { return &t.Ranks }},
	{"rows", 1, 1 << 40, func(t *Timing) *int64 { return &t.Rows }},
	{"columns", 1, 1 << 40, func(t *Timing) *int64 { return &t.Columns }},
}

const sharedCommandBus = "sharedCommandBus"

// Keys returns the names that Set takes.
func Keys() []string {
	out := make([]string, 0, len(settings)+1)
	for _, s := range settings {
		out = append(out, s.name)
	}
	return append(out, sharedCommandBus)
}

// Set sets the setting of a name in Keys.
func (t *Timing) Set(key, value string) error {
	if key == sharedCommandBus {
		switch value {
		case "true", "false":
			t.SharedCommandBus = value == "true"
			return nil
		}
		return fmt.Errorf("%s is %q, want true or false", key, value)
	}
	for _, s := range settings {
		if s.name != key {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < s.min || n > s.max {
			return fmt.Errorf("%s is %q, want a whole number from %d to %d", key, value, s.min, s.max)
		}
		*s.at(t) = n
		return nil
	}
	return fmt.Errorf("unknown timing %q; there are %s", key, strings.Join(Keys(), ", "))
}

// Validate reports all that is out of range.
func (t Timing) Validate() error {
	var errs []error
	for _, s := range settings {
		if n := *s.at(&t); n < s.min || n > s.max {
			errs = append(errs, fmt.Errorf("%s is %d, want %d to %d", s.name, n, s.min, s.max))
		}
	}
	if t.BL%2 != 0 {
		errs = append(errs, fmt.Errorf("BL is %d, want an even number of beats", t.BL))
	}
	if len(errs) == 0 && t.Banks*t.Ranks > maxBanks {
		errs = append(errs, fmt.Errorf("%d ranks of %d banks, want at most %d banks in all", t.Ranks, t.Banks, maxBanks))
	}
	return errors.Join(errs...)
}

// full returns t with the settings filled in that others imply.
func (t Timing) full() Timing {
	if t.TRC == 0 {
		t.TRC = t.TRAS + t.TRP
	}
	if t.TCCD == 0 {
		t.TCCD = t.BL / 2
	}
	return t
}

// The oracle's chips, from the configurations L333_*.ini and L400_*.ini of its data: one rank of x32 and four banks, at clocks of 6 and 5 ns. What depends on the burst, Preset fills in. The eight postponed refreshes are what DDR3 allows (see the sources of
// the package), not in these files: DRAMsim3 refreshes each tREFI.
var presets = []struct {
	name   string
	timing Timing
}{
	{"lpddr-333-x32", Timing{
		CL: 3, CWL: 1, TRCD: 3, TRP: 3, TRAS: 7, TRRD: 2, TFAW: 8, TWR: 3, TWTR: 1, TRTRS: 1, TRFC: 12, TREFI: 1300, TXP: 2, TCKE: 1,
		Postponed: 8, Banks: 4, Ranks: 1, Rows: 16384, Columns: 1024, SharedCommandBus: true,
	}},
	{"lpddr-400-x32", Timing{
		CL: 3, CWL: 1, TRCD: 4, TRP: 4, TRAS: 8, TRRD: 2, TFAW: 8, TWR: 3, TWTR: 2, TRTRS: 1, TRFC: 15, TREFI: 1560, TXP: 2, TCKE: 1,
		Postponed: 8, Banks: 4, Ranks: 1, Rows: 16384, Columns: 1024, SharedCommandBus: true,
	}},
}

// Presets returns the names that Preset knows.
func Presets() []string {
	out := make([]string, 0, len(presets))
	for _, p := range presets {
		out = append(out, p.name)
	}
	return out
}

// Preset returns a named timing for bursts of 8 or 16 beats.
func Preset(name string, burst int64) (Timing, error) {
	if burst != 8 && burst != 16 {
		return Timing{}, fmt.Errorf("a burst of %d beats, want 8 or 16", burst)
	}
	i := slices.IndexFunc(presets, func(p struct {
		name   string
		timing Timing
	},
	) bool {
		return p.name == name
	})
	if i < 0 {
		return Timing{}, fmt.Errorf("unknown preset %q; there are %s", name, strings.Join(Presets(), ", "))
	}
	t := presets[i].timing
	t.BL = burst
	t.TCCD = burst / 2
	t.TRTP = burst / 2
	// The oracle's table has the precharge of a read_p begin BL/2 + tRTP after it; LPDDR itself does with BL/2, and so does the oracle before a refresh.
	t.TRTPA = burst / 2
	return t, nil
}
