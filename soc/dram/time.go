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

// busTime accounts for the data bus, up to the end of the data decided. The accounts are cut to a clock when they are read or reset: what is decided beyond it, of the few transactions in flight, is then
// taken for the last one's data.
type busTime struct {
	end   int64 // accounted up to here
	last  BusCause
	spent BusTime
}

// moved gives the clocks of a transaction's data to their cause. It is all there is to account for where one's data follows another's at once.
func (b *busTime) moved(tag BusCause, from, end int64) {
	b.end, b.last = max(from, end), tag
	b.spent[tag] += b.end - from
}

// gap accounts for the clocks between the data before and that of a transaction which was accepted at a clock, with its row open from another on, and starts. It returns where its data begins to count:
// later if the accounts were reset for a later clock, since a posted write may be given to the memory before that.
func (c *Controller) gap(at, latency, open, start int64) int64 {
	b := &c.bus
	if start < b.end {
		return b.end
	}
	asked := max(b.end, at)
	soonest := max(asked, at+latency)
	b.spent[BusIdle] += asked - b.end
	b.spent[BusLatency] += soonest - asked
	if c.held > at {
		soonest = c.hold(soonest, latency, start)
	}
	opened := max(soonest, open+latency)
	b.spent[BusRow] += opened - soonest
	b.spent[BusTurnaround] += start - opened
	return start
}

// hold accounts for a refresh and a wake-up that delay data which could have started at a clock, and returns when it can after them.
func (c *Controller) hold(soonest, latency, start int64) int64 {
	refreshed := max(soonest, min(c.refreshed+latency, start))
	awake := max(refreshed, min(c.awake+latency, start))
	c.bus.spent[BusRefresh] += refreshed - soonest
	c.bus.spent[BusWakeUp] += awake - refreshed
	return awake
}

// cut takes n clocks away that are beyond the cut.
func (b *busTime) cut(t *BusTime, n int64) {
	for cause := int(b.last); n > 0; cause = (cause + 1) % len(t) {
		part := min(n, b.spent[cause])
		t[cause] -= part
		n -= part
	}
}

// Tag names the cause of the data of the requests that follow, less than Tags.
func (c *Controller) Tag(t uint16) { c.tag = FirstTag + t }

// Behind returns by how many clocks the data of the last request came later than on an idle memory that has the row in the same state.
func (c *Controller) Behind() int64 {
	if c.other {
		return c.behind
	}
	return c.trains[(c.train-1)%MaxLookAhead].first - c.at - c.opening
}

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
	b.spent = BusTime{}
	b.spent[b.last] = max(0, b.end-at)
	b.end = max(b.end, at)
}

// Buses returns how many data buses there are: one a channel, none for a yardstick.
func (c *Controller) Buses() int {
	switch {
	case c.yard.kind != "":
		return 0
	case c.channels != nil && c.posts == nil:
		return len(c.channels)
	}
	return 1
}

// BusTime adds the clocks of the data bus since the last reset and before a clock to t, those of all channels.
func (c *Controller) BusTime(at int64, t *BusTime) {
	if c.posts != nil {
		c.posts.banks.BusTime(at, t)
		return
	}
	for _, ch := range c.channels {
		ch.BusTime(at, t)
	}
	if c.other {
		return
	}
	b := &c.bus
	for i, clocks := range b.spent {
		t[i] += clocks
	}
	t[BusIdle] += max(0, at-b.end)
	b.cut(t, b.end-at)
}
