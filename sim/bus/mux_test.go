package bus

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
)

// outlet grants what it is shown when it is told to.
type outlet struct {
	port  Port
	wake  sim.Time
	at    sim.Time
	begun bool // a part of the transfer is on its way
}

func newRig(serial bool) (*Mux[Phys], *outlet) {
	m := NewMux[Phys](serial)
	o := &outlet{port: Port{Outstanding: MaxOutstanding}}
	o.port.Connect(&o.wake, &o.at, m)
	m.SetOutlet(o)
	return m, o
}

func (o *outlet) Issue(at sim.Time, addr Phys, n int, write bool) {
	Direct{&o.port}.Issue(at, addr, n, write)
}

func (o *outlet) Withdraw() bool { return !o.begun && o.port.Withdraw() }

// grant serves the head as a bus that is free from now on, and returns its address and when it was issued.
func (o *outlet) grant(now sim.Time) (Phys, sim.Time) {
	p := &o.port
	at, addr := p.Issued(), p.Addr
	p.Waited = max(0, now-p.At)
	if !p.Advance(p.Left, max(now, p.At)) {
		p.Source().Granted(p, max(now, p.At))
	}
	return addr, at
}

// client notes when it is told, and shows what comes next.
type client struct {
	lane *Lane[Phys]
	told []sim.Time
	next func()
}

func (c *client) Granted(_ *Port, done sim.Time) {
	c.told = append(c.told, done)
	if c.next != nil {
		c.next()
	}
}

func clients(m *Mux[Phys], priorities ...int) []*client {
	var out []*client
	for _, p := range priorities {
		c := &client{}
		c.lane = m.Lane(p, c)
		out = append(out, c)
	}
	return out
}

// granted serves n transfers and returns their addresses.
func granted(o *outlet, now sim.Time, n int) []Phys {
	var out []Phys
	for range n {
		addr, _ := o.grant(now)
		out = append(out, addr)
	}
	return out
}

func TestTheMostUrgentOfThoseDueGoesFirst(t *testing.T) {
	m, o := newRig(false)
	c := clients(m, 2, 1, 0)
	c[0].lane.Issue(10, 0x000, 64, true)
	c[1].lane.Issue(50, 0x100, 64, true)
	c[2].lane.Issue(200, 0x200, 64, true)
	// The first is shown and stays. At 100 the second is due, the third, though most urgent, is not.
	if diff := cmp.Diff([]Phys{0x000, 0x100, 0x200}, granted(o, 100, 3)); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}
	c[0].lane.Issue(300, 0x000, 64, true)
	c[1].lane.Issue(350, 0x100, 64, true)
	c[2].lane.Issue(360, 0x200, 64, true)
	if diff := cmp.Diff([]Phys{0x000, 0x200, 0x100}, granted(o, 400, 3)); diff != "" {
		t.Errorf("with all due, served (-want +got):\n%s", diff)
	}
}

func TestAmongEqualsTheEarliestAndThenTheFirstLaneGoes(t *testing.T) {
	m, o := newRig(false)
	c := clients(m, 0, 0, 0, 0)
	c[0].lane.Issue(0, 0x000, 64, false)
	c[1].lane.Issue(30, 0x100, 64, false)
	c[2].lane.Issue(20, 0x200, 64, false)
	c[3].lane.Issue(20, 0x300, 64, false)
	if diff := cmp.Diff([]Phys{0x000, 0x200, 0x300, 0x100}, granted(o, 100, 4)); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}
}

func TestATransferThatIsNotDueMakesWayForAnEarlierOne(t *testing.T) {
	m, o := newRig(false)
	c := clients(m, 0, 1)
	c[0].lane.Issue(1000, 0x000, 64, false)
	c[1].lane.Issue(100, 0x100, 64, false)
	if addr, at := o.grant(100); addr != 0x100 || at != 100 {
		t.Errorf("served %v issued at %v, want %v at 100", addr, at, Phys(0x100))
	}
	if addr, at := o.grant(100); addr != 0 || at != 1000 {
		t.Errorf("served %v issued at %v, want %v at 1000", addr, at, Phys(0))
	}
}

func TestATransferOnItsWayStays(t *testing.T) {
	m, o := newRig(false)
	c := clients(m, 1, 0)
	c[0].lane.Issue(1000, 0x000, 64, false)
	o.begun = true
	c[1].lane.Issue(100, 0x100, 64, false)
	if c[0].lane.Cancel() {
		t.Error("a transfer on its way was taken back")
	}
	if diff := cmp.Diff([]Phys{0, 0x100}, granted(o, 1000, 2)); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}
}

func TestACancelledTransferMakesWay(t *testing.T) {
	m, o := newRig(false)
	c := clients(m, 0, 1, 2)
	for i, x := range c {
		x.lane.Issue(10, Phys(i<<8), 64, false)
	}
	if !c[0].lane.Cancel() || !c[1].lane.Cancel() {
		t.Fatal("not taken back")
	}
	if diff := cmp.Diff([]Phys{0x200}, granted(o, 10, 1)); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}
	if len(c[0].told)+len(c[1].told) > 0 || len(c[2].told) != 1 || !c[0].lane.Idle() {
		t.Errorf("told %v %v %v", c[0].told, c[1].told, c[2].told)
	}
}

func TestASerialMuxRequestsAfterTheGrantBefore(t *testing.T) {
	for _, serial := range []bool{false, true} {
		m, o := newRig(serial)
		c := clients(m, 0, 0)
		c[0].next = func() { c[0].next = nil; c[0].lane.Issue(20, 0x000, 64, true) }
		c[0].lane.Issue(10, 0x000, 64, true)
		o.grant(500)
		want := sim.Time(20)
		if serial {
			want = 500
		}
		if _, at := o.grant(500); at != want {
			t.Errorf("serial %v: issued at %v, want %v", serial, at, want)
		}
	}
}

func TestIssueTimesNeverDecrease(t *testing.T) {
	m, o := newRig(false)
	c := clients(m, 0, 0)
	c[0].lane.Issue(100, 0, 64, false)
	c[0].next = func() { c[1].lane.Issue(50, 0x100, 64, false) } // data that has been waiting
	o.grant(200)
	if _, at := o.grant(200); at != 100 {
		t.Errorf("issued at %v after one at 100", at)
	}
}

func TestWithdrawLeavesNoTrace(t *testing.T) {
	p := Port{Outstanding: 2, Width: 8, Clock: sim.NewClock(100_000_000), Rate: 64_000_000, Credit: 64}
	var wake, at sim.Time
	p.Connect(&wake, &at, nil)
	q := p
	q.at, q.wake = new(sim.Time), new(sim.Time)
	for i := range 3 {
		p.Issue(1000, 0x100, 256, Write)
		if i == 2 {
			break
		}
		if !p.Withdraw() || p.Withdraw() || !p.Idle() || at != sim.Never {
			t.Fatal("not withdrawn once")
		}
	}
	q.Issue(1000, 0x100, 256, Write)
	if p.At != q.At || p.data != q.data || p.credit != q.credit {
		t.Errorf("after two withdrawals due at %v with data until %v and credit %v, want %v, %v, %v", p.At, p.data, p.credit, q.At, q.data, q.credit)
	}
	p.Advance(64, 2000)
	if p.Withdraw() {
		t.Error("withdrawn after its first burst was granted")
	}
}

func BenchmarkMux(b *testing.B) {
	m, o := newRig(false)
	c := clients(m, 0, 0, 0)
	now := sim.Time(0)
	for i, x := range c {
		x.next = func() { x.told = x.told[:0]; x.lane.Issue(now+10, Phys(i<<8), 64, false) }
		x.lane.Issue(0, Phys(i<<8), 64, false)
	}
	b.ReportAllocs()
	for b.Loop() {
		now += 10
		o.grant(now)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/transfer")
}
