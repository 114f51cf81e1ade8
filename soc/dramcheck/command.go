package dramcheck

import (
	"fmt"
	"slices"
)

// Kind is what a command does.
type Kind uint8

// The kinds of commands.
const (
	_         Kind = iota
	Activate       // opens a row
	Precharge      // closes a bank; with Bank -1, all banks of the channel
	Read
	ReadP // read with auto-precharge
	Write
	WriteP  // write with auto-precharge
	Refresh // of all banks of the rank that Bank is in; with Bank -1, of all ranks. So, too, the two below
	PowerDown
	PowerUp // end of power-down

	kinds
)

// kindNames are the names in command traces. DRAMsim3 has no power-down; its self_refresh_enter and _exit were the pattern.
var kindNames = [kinds]string{
	Activate: "activate", Precharge: "precharge", Read: "read", ReadP: "read_p", Write: "write", WriteP: "write_p", Refresh: "refresh",
	PowerDown: "power_down_enter", PowerUp: "power_down_exit",
}

func (k Kind) String() string {
	if k == 0 || k >= kinds {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// KindNames returns the names of the kinds as command traces have them.
func KindNames() []string { return slices.Clone(kindNames[1:]) }

// Command is one command on the bus. Row has a meaning for Activate, Read and Write, Col for Read and Write alone.
type Command struct {
	Clk  int64
	Kind Kind
	Bank int // of the channel, over all ranks
	Row  int64
	Col  int64
}

// what names the command and its bank.
func (c Command) what() string {
	if c.Bank < 0 {
		return c.Kind.String()
	}
	return fmt.Sprintf("%s of bank %d", c.Kind, c.Bank)
}

// Rule is what a command can break.
type Rule uint8

// The rules. Those of time have the name that JEDEC gives them.
const (
	Malformed   Rule = iota // a clock, kind, bank, row or column out of range
	Order                   // the clock is before that of the last command
	CommandBus              // a second command in the clock
	ClosedBank              // read or write
	OtherRow                // read or write
	OpenBank                // activate or refresh
	InPowerDown             // anything but the exit; or an exit without an entry
	RCD
	RP
	RAS
	RC
	RRD
	FAW
	CCD
	RTW // read to write: JEDEC has no name for it
	WTR
	RTP
	WR
	RTPA // activate or refresh after read_p
	DAL  // activate or refresh after write_p
	RFC
	DataBus
	REFI        // too long without a refresh
	RefreshRate // too few refreshes
	XP
	CKE
	RDPDEN // power-down after a read
	WRPDEN // power-down after a write

	// Rules is their number.
	Rules = iota
)

var ruleNames = [Rules]string{
	"malformed", "order", "command bus", "closed bank", "other row", "open bank", "power-down",
	"tRCD", "tRP", "tRAS", "tRC", "tRRD", "tFAW", "tCCD", "tRTW", "tWTR", "tRTP", "tWR", "tRTP+tRP", "tDAL", "tRFC", "data bus", "tREFI", "refresh rate", "tXP", "tCKE", "tRDPDEN", "tWRPDEN",
}

func (r Rule) String() string {
	if int(r) >= Rules {
		return fmt.Sprintf("rule(%d)", uint8(r))
	}
	return ruleNames[r]
}

// Violation is a rule that a command broke. Prev is the earlier command that it is too near to, or that put the bank into its state; its Kind is 0 if there is none. Got and Want are clocks between
// the two commands, or between their data for DataBus; for RefreshRate, refreshes that are owed.
type Violation struct {
	Rule      Rule
	Cmd, Prev Command
	Got, Want int64
}

// String says it in one line.
func (v Violation) String() string {
	c, p := v.Cmd, v.Prev
	at := fmt.Sprintf("clock %d", c.Clk)
	if p.Kind != 0 && p.Clk != c.Clk {
		at = fmt.Sprintf("clocks %d and %d", p.Clk, c.Clk)
	}
	say := func(format string, args ...any) string {
		return fmt.Sprintf("%s: %s (%s)", v.Rule, fmt.Sprintf(format, args...), at)
	}
	switch v.Rule {
	case Malformed:
		return say("%s, row %d, column %d is not of this memory", c.what(), c.Row, c.Col)
	case Order:
		return say("%s, %s before the last command, %s", c.what(), clocks(p.Clk-c.Clk), p.what())
	case CommandBus:
		return say("%s in the same clock as %s", c.what(), p.what())
	case ClosedBank:
		if p.Kind == 0 {
			return say("%s, never opened", c.what())
		}
		return say("%s, closed by %s", c.what(), p.Kind)
	case OtherRow:
		return say("%s for row %d, open is row %d", c.what(), c.Row, p.Row)
	case OpenBank:
		if c.Kind == Activate {
			return say("%s, open since an activate", c.what())
		}
		return say("%s with bank %d open", c.what(), p.Bank)
	case InPowerDown:
		if c.Kind == PowerUp {
			return say("%s without an entry", c.what())
		}
		return say("%s in power-down", c.what())
	case DataBus:
		if v.Want == 0 {
			return say("data of %s overlap those of %s by %s", c.what(), p.what(), clocks(-v.Got))
		}
		return say("data of %s begin %s after those of %s, want %d", c.what(), clocks(v.Got), p.what(), v.Want)
	case REFI:
		since := "the first command"
		if p.Kind != 0 {
			since = "the last refresh"
		}
		return say("%s since %s, want a refresh within %d", clocks(v.Got), since, v.Want)
	case RefreshRate:
		return say("%d refreshes are owed, want at most %d", v.Got, v.Want)
	case FAW:
		return say("%s, %s after the fourth activate before it, want %d", c.what(), clocks(v.Got), v.Want)
	}
	if c.Bank >= 0 && c.Bank == p.Bank {
		return say("%s %s after %s, want %d", c.Kind, clocks(v.Got), p.what(), v.Want)
	}
	return say("%s, %s after %s, want %d", c.what(), clocks(v.Got), p.what(), v.Want)
}

func clocks(n int64) string {
	if n == 1 {
		return "1 clock"
	}
	return fmt.Sprintf("%d clocks", n)
}
