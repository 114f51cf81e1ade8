package dram

// BusCause is why a clock of the data bus passed: for data, whose cause is a tag from FirstTag on (see [Controller.Tag]), or without any. Every clock has exactly one cause; they add up to the time, once
// for each channel.
//
// A transaction's data could begin at once behind that before, at soonest the latency after it was accepted. What it begins later is, in this order, what each of these adds to those before it: the
// latency itself, refresh, the wake-up from power-down, closing and opening rows, turnaround between reads and writes. What is hidden behind other data costs nothing. The bus is idle where nothing
// was accepted whose data had not been moved: in power-down too, and while a refresh delays nobody.
//
// A controller with the scheduler fixed or ideal has no bus.
type BusCause = uint16

// The causes without data.
const (
	BusIdle BusCause = iota
	BusLatency
	BusRefresh
	BusWakeUp
	BusRow
	BusTurnaround
	FirstTag
)

// Tags is how many causes of data there are.
const Tags = 1024

// BusTime is the clocks of the data bus by cause.
type BusTime [FirstTag + Tags]int64

// Total returns the sum of all causes.
func (b *BusTime) Total() (n int64) {
	for _, clocks := range b {
		n += clocks
	}
	return n
}

// spans is how many changes of cause are remembered: those of the transactions in flight, each with no more than a gap of six causes and its data.
const spans = 128

// busTime accounts for the data bus. O(1) a transaction.
type busTime struct {
	end   int64 // accounted up to here
	last  BusCause
	n     uint
	spans [spans]span // the last changes of cause, a ring
	spent BusTime
}

// span is a stretch of one cause, up to the next.
type span struct {
	cause BusCause
	from  int64
}

// until gives what is not accounted for yet before a clock to a cause.
func (b *busTime) until(cause BusCause, to int64) {
	if to <= b.end {
		return
	}
	if cause != b.last {
		b.spans[b.n%spans] = span{cause, b.end}
		b.n++
		b.last = cause
	}
	b.spent[cause] += to - b.end
	b.end = to
}

// beyond takes away, or with a sign of 1 adds, what was accounted for beyond clock at.
func (b *busTime) beyond(t *BusTime, at, sign int64) {
	end := b.end
	for i := uint(1); i <= spans && end > at; i++ {
		s := &b.spans[(b.n-i)%spans]
		if from := max(s.from, at); from < end {
			t[s.cause] += sign * (end - from)
			end = from
		}
	}
}

// gap accounts for the clocks before data that starts later than the bus was free. The transaction was accepted at a clock and its row is open from another on.
func (c *Controller) gap(at, latency, open, start int64) {
	b := &c.bus
	b.until(BusIdle, min(at, start))
	b.until(BusLatency, min(at+latency, start))
	b.until(BusRefresh, min(c.refreshed+latency, start))
	b.until(BusWakeUp, min(c.awake+latency, start))
	b.until(BusRow, min(open+latency, start))
	b.until(BusTurnaround, start)
}

// Tag names the cause of the data of the requests that follow, less than Tags.
func (c *Controller) Tag(t uint16) { c.tag = FirstTag + t }

// Behind returns by how many clocks the data of the last request came later than on an idle memory that has the row in the same state.
func (c *Controller) Behind() int64 { return c.behind }

// ResetBusTime starts the accounts of the data bus anew at a clock. Data beyond it that is decided already counts.
func (c *Controller) ResetBusTime(at int64) {
	if c.posts != nil {
		c.posts.banks.ResetBusTime(at)
		return
	}
	for _, ch := range c.channels {
		ch.ResetBusTime(at)
	}
	if c.other {
		return
	}
	b := &c.bus
	b.until(BusIdle, at)
	b.spent = BusTime{}
	b.beyond(&b.spent, at, 1)
}

// BusTime adds the clocks of the data bus since the last reset and before a clock to t, those of all channels, and returns how many buses there are: none for a yardstick.
func (c *Controller) BusTime(at int64, t *BusTime) int {
	if c.posts != nil {
		return c.posts.banks.BusTime(at, t)
	}
	if c.channels != nil {
		n := 0
		for _, ch := range c.channels {
			n += ch.BusTime(at, t)
		}
		return n
	}
	if c.other {
		return 0
	}
	b := &c.bus
	for i, clocks := range b.spent {
		t[i] += clocks
	}
	if at > b.end {
		t[BusIdle] += at - b.end
	}
	b.beyond(t, at, -1)
	return 1
}
