package l3

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/dram"
)

// requester issues random transfers in its own window of memory, and keeps a ledger of them.
type requester struct {
	t        *testing.T
	rng      *rand.Rand
	port     *bus.Port
	base     bus.Phys
	left     int // transfers to issue
	addr     bus.Phys
	n        int
	waiting  bool
	issued   sim.Time
	done     sim.Time // of the last transfer
	finished int
	bytes    [2]uint64 // read, written
	bursts   uint64
	kind     bus.Kind
}

const requesterWindow = 1 << 17

func (q *requester) issue(at sim.Time) {
	if q.left == 0 {
		return
	}
	q.left--
	q.n = 1 << q.rng.IntN(9) // up to 256
	q.addr = q.base + bus.Phys(q.rng.IntN(requesterWindow/q.n)*q.n)
	q.kind = []bus.Kind{bus.Read, bus.Write, bus.Fill, bus.WalkRead}[q.rng.IntN(4)]
	write := 0
	if q.kind.IsWrite() {
		write = 1
	}
	q.bytes[write] += uint64(q.n)
	q.bursts += uint64(max(1, q.n/q.port.Max))
	q.issued, q.waiting = at, true
	q.port.Issue(at, q.addr, q.n, q.kind)
}

func (q *requester) Granted(p *bus.Port, done sim.Time) {
	granted := p.Issued() + p.Hop + p.Waited
	switch {
	case !q.waiting:
		q.t.Errorf("a transfer was granted twice")
	case p.Addr != q.addr && p.Addr > q.addr+bus.Phys(q.n):
		q.t.Errorf("granted at %v, issued at %v", p.Addr, q.addr)
	case done < granted || granted < q.issued:
		q.t.Errorf("issued at %v, granted at %v, done at %v", q.issued, granted, done)
	}
	q.waiting = false
	q.finished++
	q.done = max(q.done, done)
	at := granted
	switch q.rng.IntN(3) {
	case 0:
		at = done
	case 1:
		at += sim.Time(q.rng.IntN(200)) * sim.Nanosecond
	}
	q.issue(at)
}

// randomMemory returns a legal memory of any kind.
func randomMemory(rng *rand.Rand) dram.Config {
	d := lpddr166()
	d.Map = []dram.Map{dram.RoBaCo, dram.RoCoBa, dram.BaRoCo}[rng.IntN(3)]
	d.Page = []dram.Page{dram.Open, dram.Closed}[rng.IntN(2)]
	d.Hash = rng.IntN(2) == 0
	d.Banks = 4 << rng.IntN(2)
	d.Row = 1024 << rng.IntN(3)
	d.Width = 2 << rng.IntN(3)
	d.Burst = dram.Burst(2 << rng.IntN(4))
	d.LookAhead = 1 + rng.IntN(dram.MaxLookAhead)
	d.Channels, d.Interleave = 1<<rng.IntN(2), 512
	if rng.IntN(2) == 0 {
		d.Interleave = max(64, units.Bytes(d.Burst)*d.Width)
	}
	ns := func(low, high int) sim.Time { return sim.Time(low+rng.IntN(high-low)) * sim.Nanosecond }
	d.CL, d.CWL, d.TWTR, d.TRTW = 2+rng.IntN(5), 1+rng.IntN(4), rng.IntN(4), 1+rng.IntN(3)
	d.TRCD, d.TRP, d.TRAS, d.TRRD, d.TWR, d.TRFC = ns(8, 30), ns(8, 30), ns(30, 60), ns(6, 20), ns(6, 20), ns(50, 200)
	d.TRC = d.TRAS + d.TRP + ns(0, 10)
	if rng.IntN(2) == 0 {
		d.TFAW = ns(20, 90)
	}
	if rng.IntN(2) == 0 {
		d.TRTP = ns(0, 40)
	}
	if rng.IntN(3) == 0 {
		d.Scheduler, d.Queue = dram.FirstReady, 1+rng.IntN(40)
	}
	return d
}

// Ten million transfers over random memories, arbiters and ports: nothing is lost, repeated or granted before its time, each byte crosses once, in bursts of the port's size, and the memory's
// commands are legal (the rig watches them).
func TestRandomTrafficIsServedOnceAndLegally(t *testing.T) {
	const configurations, each = 250, 8_000
	transfers := 0
	for seed := range uint64(configurations) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			l := l3at166()
			l.Class1Weight, l.Class2Weight = 1+rng.IntN(4), 1+rng.IntN(4)
			m := randomMemory(rng)
			r := buildRig(t, l, m)
			defer func() {
				if t.Failed() {
					t.Logf("%+v", m)
				}
			}()
			var all []*requester
			ports := 1 + rng.IntN(MaxPorts)
			classes := [Groups + 1]uint8{}
			for i := range classes {
				classes[i] = uint8(rng.IntN(3))
			}
			for i := range ports {
				c := PortConfig{
					Master: bus.Master(i + 1), Outstanding: 1 + rng.IntN(bus.MaxOutstanding), Group: rng.IntN(Groups + 1), Services: rng.IntN(5), Extended: rng.IntN(5),
					High: rng.IntN(4) == 0, Burst: 4 << rng.IntN(5), Hop: sim.Time(rng.IntN(50)) * sim.Nanosecond,
				}
				c.Class = classes[c.Group]
				if rng.IntN(2) == 0 {
					c.Width = 1 << rng.IntN(5)
				}
				if rng.IntN(4) == 0 {
					c.Rate, c.Credit = 20e6<<rng.IntN(4), 64<<rng.IntN(3)
				}
				q := &requester{t: t, rng: rng, base: testBase + bus.Phys(i*requesterWindow), left: each / ports}
				q.port = r.AddPort(c, q)
				all = append(all, q)
			}
			for _, q := range all {
				q.issue(sim.Time(rng.IntN(1000)) * sim.Nanosecond)
			}
			if err := r.eng.Run(context.Background(), 10*sim.Second); err != nil {
				t.Fatal(err)
			}
			bursts := uint64(0)
			for i, q := range all {
				if q.finished != each/ports || q.waiting {
					t.Errorf("port %d: %d of %d transfers were served", i, q.finished, each/ports)
				}
				st := r.Stats(bus.Master(i + 1))
				if st.BytesRead != q.bytes[0] || st.BytesWritten != q.bytes[1] {
					t.Errorf("port %d: %d bytes read and %d written, want %v", i, st.BytesRead, st.BytesWritten, q.bytes)
				}
				bursts += q.bursts
				transfers += q.finished
			}
			if r.Grants() != bursts {
				t.Errorf("%d bursts, want %d", r.Grants(), bursts)
			}
		})
	}
	if transfers < configurations*(each-MaxPorts) {
		t.Errorf("%d transfers in all", transfers)
	}
}
