package dramcheck

import "math"

// step is a command as one bank, or one rank, gets it.
type step struct {
	index      int // of the command
	clk        int64
	kind       Kind
	bank, rank int // bank is -1 for a whole rank
	row        int64
	noop       bool // a precharge of a closed bank
	orphan     bool // a read or write of a closed bank
	opening    int  // activates of the bank so far
}

// column tells whether the command moves data.
func (k Kind) column() bool { return k >= Read && k <= WriteP }

// slacks tells for each rule that a command is subject to how many clocks later than necessary it comes: 0 is tight, less is a violation. A broken state has broken.
type slacks map[Rule]int64

const broken = math.MinInt64 / 2

func (s slacks) least(r Rule, n int64) {
	if old, ok := s[r]; !ok || n < old {
		s[r] = n
	}
}

// naive is the reference: for one command at a time it walks through all commands before it. It holds no state of a bank but the steps so far.
type naive struct {
	t     Timing
	steps []step
	cmds  []Command
	// look is how many steps back distances are looked for; 0 is all.
	look int
	// base is the command from which on refreshes are counted, for each rank.
	base map[int]base
}

type base struct {
	clk   int64
	index int
}

func newNaive(t Timing) *naive {
	if t.TRC == 0 {
		t.TRC = t.TRAS + t.TRP
	}
	if t.TCCD == 0 {
		t.TCCD = t.BL / 2
	}
	return &naive{t: t, base: map[int]base{}}
}

func (n *naive) split(c Command) []step {
	var out []step
	each := func(rank int) {
		if c.Kind != Precharge {
			out = append(out, step{index: len(n.cmds), clk: c.Clk, kind: c.Kind, bank: -1, rank: rank})
			return
		}
		for b := range int(n.t.Banks) {
			out = append(out, step{index: len(n.cmds), clk: c.Clk, kind: c.Kind, bank: rank*int(n.t.Banks) + b, rank: rank})
		}
	}
	switch {
	case c.Bank < 0:
		for r := range int(n.t.Ranks) {
			each(r)
		}
	case c.Kind == Refresh || c.Kind == PowerDown || c.Kind == PowerUp:
		each(c.Bank / int(n.t.Banks))
	default:
		out = append(out, step{index: len(n.cmds), clk: c.Clk, kind: c.Kind, bank: c.Bank, rank: c.Bank / int(n.t.Banks), row: c.Row})
	}
	for i := range out {
		s := &out[i]
		_, open, opening := n.state(s.bank)
		s.opening = opening
		switch {
		case s.kind == Activate:
			s.opening++
		case s.kind == Precharge:
			s.noop = !open
		case s.kind.column():
			s.orphan = !open
		}
	}
	return out
}

// state tells which row of a bank is open, and how often the bank was opened.
func (n *naive) state(bank int) (row int64, open bool, opening int) {
	for i := len(n.steps) - 1; i >= 0; i-- {
		s := n.steps[i]
		if s.bank != bank || s.noop || s.orphan {
			continue
		}
		switch s.kind {
		case Precharge, ReadP, WriteP:
			return 0, false, s.opening
		case Activate:
			return s.row, true, s.opening
		}
	}
	return 0, false, 0
}

func isRead(k Kind) bool  { return k == Read || k == ReadP }
func isWrite(k Kind) bool { return k == Write || k == WriteP }

// judge returns the slacks of the next command.
func (n *naive) judge(c Command) slacks {
	out := slacks{}
	if len(n.cmds) > 0 && n.t.SharedCommandBus {
		out.least(CommandBus, c.Clk-n.cmds[len(n.cmds)-1].Clk-1)
	}
	for _, s := range n.split(c) {
		n.states(s, out)
		n.distances(s, out)
	}
	for r := range int(n.t.Ranks) {
		if rule, late := n.refreshes(r, c.Clk); late {
			out[rule] = broken
		}
	}
	return out
}

func (n *naive) add(c Command) {
	for r := range int(n.t.Ranks) {
		if _, late := n.refreshes(r, c.Clk); late || len(n.cmds) == 0 {
			n.base[r] = base{c.Clk, len(n.cmds)}
		}
	}
	n.steps = append(n.steps, n.split(c)...)
	n.cmds = append(n.cmds, c)
}

func (n *naive) states(s step, out slacks) {
	down := false
	for _, e := range n.steps {
		if e.rank == s.rank && (e.kind == PowerDown || e.kind == PowerUp) {
			down = e.kind == PowerDown
		}
	}
	if down != (s.kind == PowerUp) {
		out[InPowerDown] = broken
	}
	switch {
	case s.kind == Activate:
		if _, open, _ := n.state(s.bank); open {
			out[OpenBank] = broken
		}
	case s.kind == Refresh:
		for b := range int(n.t.Banks) {
			if _, open, _ := n.state(s.rank*int(n.t.Banks) + b); open {
				out[OpenBank] = broken
			}
		}
	case s.kind.column():
		if row, open, _ := n.state(s.bank); !open {
			out[ClosedBank] = broken
		} else if row != s.row {
			out[OtherRow] = broken
		}
	}
}

// distances goes by the table in the package's comment.
func (n *naive) distances(s step, out slacks) {
	t := n.t
	d := t.BL / 2
	activates := 0
	// autos are the openings of each bank that an auto-precharge closed.
	autos := map[[2]int]bool{}
	from := 0
	if n.look > 0 {
		from = max(0, len(n.steps)-n.look)
	}
	for i := len(n.steps) - 1; i >= from; i-- {
		e := n.steps[i]
		gap := s.clk - e.clk
		want := func(r Rule, clocks int64) { out.least(r, gap-clocks) }
		bank := e.bank == s.bank && s.bank >= 0
		opening := bank && e.opening == s.opening && !e.orphan
		rank := e.rank == s.rank
		if (e.kind == ReadP || e.kind == WriteP) && !e.orphan {
			autos[[2]int{e.bank, e.opening}] = true
		}
		auto := e.kind.column() && !e.orphan && autos[[2]int{e.bank, e.opening}] && (bank && s.kind == Activate || rank && s.kind == Refresh)

		switch {
		case s.kind == Activate && e.kind == Activate:
			if bank {
				want(RC, t.TRC)
			}
			if rank {
				activates++
				want(RRD, t.TRRD)
				if activates == 4 {
					want(FAW, t.TFAW)
				}
			}
		case s.kind == Refresh && e.kind == Activate && rank:
			want(RC, t.TRC)
		case e.kind == Precharge && !e.noop && (s.kind == Activate && bank || s.kind == Refresh && rank):
			want(RP, t.TRP)
		case auto && e.kind == ReadP && s.kind == Activate:
			want(RTPA, t.TRTP+t.TRTPA+t.TRP)
		case auto && isRead(e.kind):
			want(RTPA, t.TRTP+t.TRP)
		case auto:
			want(DAL, t.CWL+d+t.TWR+t.TRP)
		case s.kind == Precharge && !s.noop && opening && e.kind == Activate:
			want(RAS, t.TRAS)
		case s.kind == Precharge && !s.noop && opening && e.kind == Read:
			want(RTP, t.TRTP)
		case s.kind == Precharge && !s.noop && opening && e.kind == Write:
			want(WR, t.CWL+d+t.TWR)
		case s.kind.column() && !s.orphan && opening && e.kind == Activate:
			want(RCD, t.TRCD)
		case rank && (isRead(s.kind) && isRead(e.kind) || isWrite(s.kind) && isWrite(e.kind)):
			want(CCD, t.TCCD)
		case rank && isRead(s.kind) && isWrite(e.kind):
			want(WTR, t.CWL+d+t.TWTR)
		case isWrite(s.kind) && isRead(e.kind):
			want(RTW, t.CL+d-t.CWL+t.TRTRS)
		case rank && s.kind == PowerDown && isRead(e.kind):
			want(RDPDEN, t.CL+d)
		case rank && s.kind == PowerDown && isWrite(e.kind):
			want(WRPDEN, t.CWL+d+t.TWR)
		case rank && (s.kind == PowerDown && e.kind == PowerUp || s.kind == PowerUp && e.kind == PowerDown):
			want(CKE, t.TCKE)
		}
		if s.kind != PowerDown && s.kind != PowerUp && rank {
			switch e.kind {
			case PowerUp:
				want(XP, t.TXP)
			case Refresh:
				want(RFC, t.TRFC)
			}
		}
		if s.kind.column() && e.kind.column() {
			out.least(DataBus, n.dataStart(s)-n.dataStart(e)-d-n.idle(e, s))
		}
	}
}

func (n *naive) dataStart(s step) int64 {
	if isRead(s.kind) {
		return s.clk + n.t.CL
	}
	return s.clk + n.t.CWL
}

func (n *naive) idle(e, s step) int64 {
	if e.rank != s.rank || isRead(e.kind) && isWrite(s.kind) {
		return n.t.TRTRS
	}
	return 0
}

// refreshes tells which rule of refresh a rank has broken at a clock, before the command that comes then.
func (n *naive) refreshes(rank int, clk int64) (Rule, bool) {
	if n.t.TREFI == 0 || len(n.cmds) == 0 {
		return 0, false
	}
	base := n.base[rank]
	since, issued := base.clk, int64(0)
	for _, e := range n.steps {
		if e.kind == Refresh && e.rank == rank && e.index >= base.index {
			since = e.clk
			issued = min(issued+1, (e.clk-base.clk)/n.t.TREFI+n.t.Postponed)
		}
	}
	if clk-since > (n.t.Postponed+1)*n.t.TREFI {
		return REFI, true
	}
	if clk > base.clk+(issued+1+n.t.Postponed)*n.t.TREFI {
		return RefreshRate, true
	}
	return 0, false
}
