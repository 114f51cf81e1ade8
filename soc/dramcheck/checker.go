package dramcheck

import "fmt"

// maxClock bounds the clocks, so that sums do not overflow.
const maxClock = 1 << 60

// Checker checks the commands of one channel, in the order of their clocks. It is not safe for concurrent use.
type Checker struct {
	t      Timing
	report func(Violation)

	// Distances that several settings make up.
	readToWrite, writeToRead int64
	writeToPre               int64
	readAuto, writeAuto      int64 // until the auto-precharge is done
	readPAuto                int64 // likewise of a read_p, as an activate sees it
	readToDown, writeToDown  int64
	burst                    int64
	refreshInterval          int64 // longest between two

	last     Command // any
	banks    []bank
	ranks    []rank
	lastRead Command // of the channel
	data     [2]direction

	refreshDeadline int64 // first clock of all ranks' that needs no refresh yet; maxClock without refresh

	commands int64
	counts   [Rules]int64
}

// bank is the state of one bank. A Command with Kind 0 never was.
type bank struct {
	open bool
	rank int

	activate    Command
	read, write Command // since the activate
	closed      Command // what closed it last
	precharge   Command // the last that was no NOP

	// What auto-precharges ask of the next activate.
	readDone, writeDone done
}

// done is a command that begins or delays an auto-precharge, and how long after it that is done.
type done struct {
	cmd  Command
	want int64
}

// later keeps the later of the two.
func (d *done) later(cmd *Command, want int64) {
	if d.cmd.Kind == 0 || cmd.Clk+want >= d.cmd.Clk+d.want {
		d.cmd, d.want = *cmd, want
	}
}

// rank is the state that the banks of a rank share.
type rank struct {
	activates   [4]Command // the last four; the next is to overwrite activates[next]
	next        uint
	read, write Command
	precharge   Command
	refresh     Command
	open        int // banks

	readDone, writeDone done

	down      bool
	enter, up Command

	// Refreshes are counted from base on: issued since then, the last one or base at since, the next one until deadline.
	base, issued, since, deadline int64
}

// direction is reads, or writes, on the data bus: the last burst, and the last one of any rank but the last one's.
type direction struct{ last, other burst }

type burst struct {
	cmd  Command
	rank int
	end  int64 // first clock after it
}

// New returns a checker that calls report for each violation; report may be nil.
func New(t Timing, report func(Violation)) (*Checker, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	t = t.full()
	d := t.BL / 2
	k := &Checker{
		t: t, report: report, burst: d,
		readToWrite:     t.CL + d - t.CWL + t.TRTRS,
		writeToRead:     t.CWL + d + t.TWTR,
		writeToPre:      t.CWL + d + t.TWR,
		readAuto:        t.TRTP + t.TRP,
		readPAuto:       t.TRTP + t.TRTPA + t.TRP,
		writeAuto:       t.CWL + d + t.TWR + t.TRP,
		readToDown:      t.CL + d,
		writeToDown:     t.CWL + d + t.TWR,
		refreshInterval: (t.Postponed + 1) * t.TREFI,
		refreshDeadline: maxClock,
		banks:           make([]bank, t.Ranks*t.Banks),
		ranks:           make([]rank, t.Ranks),
	}
	for i := range k.banks {
		k.banks[i].rank = i / int(t.Banks)
	}
	return k, nil
}

// Commands returns how many commands were fed.
func (k *Checker) Commands() int64 { return k.commands }

// Count returns how often a rule was broken.
func (k *Checker) Count(r Rule) int64 { return k.counts[r] }

// Violations returns how often any rule was broken.
func (k *Checker) Violations() int64 {
	var n int64
	for _, c := range k.counts {
		n += c
	}
	return n
}

func (k *Checker) fail(rule Rule, cmd, prev *Command, got, want int64) {
	k.counts[rule]++
	if k.report != nil {
		k.report(Violation{Rule: rule, Cmd: *cmd, Prev: *prev, Got: got, Want: want})
	}
}

// apart checks the distance to an earlier command, if there was one.
func (k *Checker) apart(rule Rule, cmd, prev *Command, want int64) {
	if got := cmd.Clk - prev.Clk; got < want && prev.Kind != 0 {
		k.fail(rule, cmd, prev, got, want)
	}
}

// Feed checks the next command. One that is out of range, or that comes before the last one, is reported and otherwise ignored.
func (k *Checker) Feed(cmd Command) {
	k.commands++
	c := &cmd
	if !k.wellFormed(c) {
		k.fail(Malformed, c, &Command{}, 0, 0)
		return
	}
	switch {
	case k.last.Kind == 0:
		k.start(c.Clk)
	case c.Clk < k.last.Clk:
		k.fail(Order, c, &k.last, c.Clk-k.last.Clk, 0)
		return
	case c.Clk == k.last.Clk && k.t.SharedCommandBus:
		k.fail(CommandBus, c, &k.last, 0, 1)
	}
	if c.Clk > k.refreshDeadline {
		k.late(c)
	}
	if c.Bank >= 0 {
		b := &k.banks[c.Bank]
		r := &k.ranks[b.rank]
		k.awake(c, r)
		switch c.Kind {
		case Activate:
			k.activate(c, b, r)
		case Precharge:
			k.precharge(c, b, r)
		case Read, ReadP:
			k.read(c, b, r)
		case Write, WriteP:
			k.write(c, b, r)
		default:
			k.whole(c, r, c.Bank-c.Bank%int(k.t.Banks))
		}
	} else {
		for i := range k.ranks {
			r := &k.ranks[i]
			k.awake(c, r)
			first := i * int(k.t.Banks)
			if c.Kind != Precharge {
				k.whole(c, r, first)
				continue
			}
			for b := range k.t.Banks {
				k.precharge(c, &k.banks[first+int(b)], r)
			}
		}
	}
	k.last = *c
}

// End checks what is still owed at the end of a run: refreshes, until a clock.
func (k *Checker) End(clk int64) {
	if k.last.Kind != 0 && clk > k.refreshDeadline {
		end := Command{Clk: clk, Bank: -1}
		k.late(&end)
	}
}

func (k *Checker) wellFormed(c *Command) bool {
	if c.Clk < 0 || c.Clk >= maxClock || c.Bank >= len(k.banks) {
		return false
	}
	switch c.Kind {
	case Activate:
		return c.Bank >= 0 && c.Row >= 0 && c.Row < k.t.Rows
	case Read, ReadP, Write, WriteP:
		return c.Bank >= 0 && c.Row >= 0 && c.Row < k.t.Rows && c.Col >= 0 && c.Col < k.t.Columns
	case Precharge, Refresh, PowerDown, PowerUp:
		return c.Bank >= -1
	}
	return false
}

// awake checks that the rank listens.
func (k *Checker) awake(c *Command, r *rank) {
	switch c.Kind {
	case PowerDown:
		if r.down {
			k.fail(InPowerDown, c, &r.enter, c.Clk-r.enter.Clk, 0)
		}
		return
	case PowerUp:
		return
	}
	if r.down {
		k.fail(InPowerDown, c, &r.enter, c.Clk-r.enter.Clk, 0)
	}
	k.apart(XP, c, &r.up, k.t.TXP)
	k.apart(RFC, c, &r.refresh, k.t.TRFC)
}

func (k *Checker) activate(c *Command, b *bank, r *rank) {
	if b.open {
		k.fail(OpenBank, c, &b.activate, c.Clk-b.activate.Clk, 0)
	} else {
		b.open = true
		r.open++
	}
	k.apart(RC, c, &b.activate, k.t.TRC)
	k.apart(RP, c, &b.precharge, k.t.TRP)
	k.apart(RTPA, c, &b.readDone.cmd, b.readDone.want)
	k.apart(DAL, c, &b.writeDone.cmd, b.writeDone.want)
	k.apart(RRD, c, &r.activates[(r.next-1)%4], k.t.TRRD)
	k.apart(FAW, c, &r.activates[r.next%4], k.t.TFAW)
	r.activates[r.next%4] = *c
	r.next++
	b.activate = *c
	b.read.Kind, b.write.Kind = 0, 0
}

func (k *Checker) precharge(c *Command, b *bank, r *rank) {
	if !b.open {
		return
	}
	k.apart(RAS, c, &b.activate, k.t.TRAS)
	k.apart(RTP, c, &b.read, k.t.TRTP)
	k.apart(WR, c, &b.write, k.writeToPre)
	b.open = false
	r.open--
	b.precharge, b.closed, r.precharge = *c, *c, *c
}

func (k *Checker) read(c *Command, b *bank, r *rank) {
	k.column(c, b)
	k.apart(CCD, c, &r.read, k.t.TCCD)
	k.apart(WTR, c, &r.write, k.writeToRead)
	k.transfer(c, b.rank, 0, c.Clk+k.t.CL)
	r.read, k.lastRead = *c, *c
	if b.open {
		b.read = *c
		if c.Kind == ReadP {
			k.autoPrecharge(c, b, r)
		}
	}
}

func (k *Checker) write(c *Command, b *bank, r *rank) {
	k.column(c, b)
	k.apart(CCD, c, &r.write, k.t.TCCD)
	k.apart(RTW, c, &k.lastRead, k.readToWrite)
	k.transfer(c, b.rank, 1, c.Clk+k.t.CWL)
	r.write = *c
	if b.open {
		b.write = *c
		if c.Kind == WriteP {
			k.autoPrecharge(c, b, r)
		}
	}
}

// column checks that a read or write finds its row.
func (k *Checker) column(c *Command, b *bank) {
	switch {
	case !b.open:
		k.fail(ClosedBank, c, &b.closed, c.Clk-b.closed.Clk, 0)
		return
	case b.activate.Row != c.Row:
		k.fail(OtherRow, c, &b.activate, c.Clk-b.activate.Clk, 0)
	}
	k.apart(RCD, c, &b.activate, k.t.TRCD)
}

// transfer checks that the data bus is free from a clock on, and occupies it; to is 0 for a read and 1 for a write.
func (k *Checker) transfer(c *Command, rank, to int, start int64) {
	worst, gap := (*burst)(nil), int64(0)
	short := int64(0)
	for from := range k.data {
		d := &k.data[from]
		for _, b := range [...]*burst{&d.last, &d.other} {
			if b.cmd.Kind == 0 {
				break
			}
			idle := int64(0)
			if b.rank != rank || from < to {
				idle = k.t.TRTRS
			}
			if s := b.end + idle - start; s > short {
				worst, gap, short = b, idle, s
			}
		}
	}
	if worst != nil {
		k.fail(DataBus, c, &worst.cmd, gap-short, gap)
	}
	d := &k.data[to]
	if d.last.cmd.Kind != 0 && d.last.rank != rank {
		d.other = d.last
	}
	d.last = burst{*c, rank, start + k.burst}
}

// autoPrecharge closes a bank whose last command, c, has auto-precharge. The precharge comes when the read, the write and tRAS allow; tRAS is in tRC.
func (k *Checker) autoPrecharge(c *Command, b *bank, r *rank) {
	if b.read.Kind != 0 {
		want := k.readAuto
		if b.read.Kind == ReadP {
			want = k.readPAuto
		}
		b.readDone.later(&b.read, want)
		r.readDone.later(&b.read, k.readAuto)
	}
	if b.write.Kind != 0 {
		b.writeDone.later(&b.write, k.writeAuto)
		r.writeDone.later(&b.write, k.writeAuto)
	}
	b.open = false
	r.open--
	b.closed = *c
}

// whole checks a command of a whole rank, whose banks begin at first.
func (k *Checker) whole(c *Command, r *rank, first int) {
	switch c.Kind {
	case Refresh:
		if r.open > 0 {
			for i := range k.t.Banks {
				if b := &k.banks[first+int(i)]; b.open {
					k.fail(OpenBank, c, &b.activate, c.Clk-b.activate.Clk, 0)
					break
				}
			}
		}
		k.apart(RC, c, &r.activates[(r.next-1)%4], k.t.TRC)
		k.apart(RP, c, &r.precharge, k.t.TRP)
		k.apart(RTPA, c, &r.readDone.cmd, r.readDone.want)
		k.apart(DAL, c, &r.writeDone.cmd, r.writeDone.want)
		r.refresh = *c
		if k.t.TREFI > 0 {
			k.refreshed(c.Clk, r)
		}
	case PowerDown:
		k.apart(CKE, c, &r.up, k.t.TCKE)
		k.apart(RDPDEN, c, &r.read, k.readToDown)
		k.apart(WRPDEN, c, &r.write, k.writeToDown)
		r.down, r.enter = true, *c
	case PowerUp:
		if !r.down {
			k.fail(InPowerDown, c, &r.up, c.Clk-r.up.Clk, 0)
		}
		k.apart(CKE, c, &r.enter, k.t.TCKE)
		r.down, r.up = false, *c
	}
}

// start begins to count refreshes at the first command.
func (k *Checker) start(clk int64) {
	if k.t.TREFI == 0 {
		return
	}
	for i := range k.ranks {
		k.ranks[i].base, k.ranks[i].since = clk, clk
		k.due(&k.ranks[i])
	}
}

// due sets when the next refresh of a rank is due at the latest.
func (k *Checker) due(r *rank) {
	r.deadline = min(r.since+k.refreshInterval, r.base+(r.issued+1+k.t.Postponed)*k.t.TREFI)
	k.refreshDeadline = maxClock
	for i := range k.ranks {
		k.refreshDeadline = min(k.refreshDeadline, k.ranks[i].deadline)
	}
}

func (k *Checker) refreshed(clk int64, r *rank) {
	// No more than Postponed count in advance.
	r.issued = min(r.issued+1, (clk-r.base)/k.t.TREFI+k.t.Postponed)
	r.since = clk
	k.due(r)
}

// late reports the refreshes that are missing when c comes, and forgives them.
func (k *Checker) late(c *Command) {
	for i := range k.ranks {
		r := &k.ranks[i]
		if c.Clk <= r.deadline {
			continue
		}
		if got := c.Clk - r.since; got > k.refreshInterval {
			k.fail(REFI, c, &r.refresh, got, k.refreshInterval)
		} else {
			k.fail(RefreshRate, c, &r.refresh, (c.Clk-r.base)/k.t.TREFI-r.issued, k.t.Postponed)
		}
		r.base, r.issued, r.since = c.Clk, 0, c.Clk
		k.due(r)
	}
}

// Unordered feeds a Checker with commands of which some come late, as a controller tells them that plans ahead.
type Unordered struct {
	k      *Checker
	window int
	// held[first:] wait, in the order of their clocks.
	held  []Command
	first int
}

// NewUnordered returns one that sorts a stream if each command comes after at most window commands of a later clock. The cost of a command is O(places that it is late), the memory O(window).
func NewUnordered(k *Checker, window int) (*Unordered, error) {
	if window < 0 || window > maxSetting {
		return nil, fmt.Errorf("a window of %d commands, want 0 to %d", window, maxSetting)
	}
	return &Unordered{k: k, window: window, held: make([]Command, 0, 2*window+2)}, nil
}

// Feed takes the next command. Commands of one clock stay in the order in which they came.
func (u *Unordered) Feed(c Command) {
	if len(u.held) == cap(u.held) {
		u.held = u.held[:copy(u.held, u.held[u.first:])]
		u.first = 0
	}
	u.held = append(u.held, c)
	for i := len(u.held) - 1; i > u.first && u.held[i-1].Clk > c.Clk; i-- {
		u.held[i], u.held[i-1] = u.held[i-1], c
	}
	if len(u.held)-u.first > u.window {
		u.k.Feed(u.held[u.first])
		u.first++
	}
}

// Flush feeds the Checker with all that waits.
func (u *Unordered) Flush() {
	for _, c := range u.held[u.first:] {
		u.k.Feed(c)
	}
	u.held, u.first = u.held[:0], 0
}
