// Package l3 models the interconnect between the initiators and the DRAM: the hop latencies of the L3, and the arbitration of the SDRAM memory scheduler (SMS) in front of the
// in-order SDRC.
//
// The arbiter decides at burst boundaries, among groups: request queues that initiators are assigned to, each of one class. Class 0 (real time: display, camera) has absolute priority; classes 1
// and 2 share what is left by weights; within a class a group of high priority goes first, then the least recently granted. A group keeps its place in that order for a number of services, and may
// keep the grant itself for several transactions (EXTENDEDGRANT), against all but class 0. Within a group bursts go by arrival (OMAP36xx TRM SWPU177N, p. 2238, 2239, 2288, 2290). A burst is accepted
// when the SDRC has room among its few open transactions.
//
// A port may have a width and a clock of its own, over which its data crosses, a largest burst, and a limit of bandwidth, which no OMAP3 has: a what-if.
//
// # Structure
//
// Nothing is scheduled per burst. Each port shows its next burst and the time it reaches the arbiter; [Fabric.AdvanceTo] takes the earliest, arbitrates among those that have arrived, fixes the
// burst's timing in the DRAM, and asks the initiator for its next transfer when one ends. Ties are total: events of the engine due at the decision time run first, then the lower
// class, the longer wait since the last grant, the lower port number. The cost is one scan a burst over the arrival times, which lie side by side.
//
// Left out: the idle cycle before a grant moves in mid-burst (decisions are at boundaries); the L3's own topology: hops are latencies.
package l3

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/dram"
	"socsim/soc/memory"
)

// Config is the interconnect's clock, its latencies and the arbiter's weights.
type Config struct {
	Clock          units.Hertz `conf:"clock" doc:"Clock of the interconnect."`
	RequestCycles  int         `conf:"request_cycles" doc:"Interconnect cycles from an initiator's request to the arbiter."`
	ResponseCycles int         `conf:"response_cycles" doc:"Interconnect cycles from the memory controller back to the initiator."`
	Class1Weight   int         `conf:"class1_weight" doc:"Bursts in a row that class 1 (the CPU) may take while class 2 waits."`
	Class2Weight   int         `conf:"class2_weight" doc:"Bursts in a row that class 2 (GPU, DMA) may take while class 1 waits."`
}

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Clock <= 0:
		return fmt.Errorf("l3.clock: %v, want a positive clock", c.Clock)
	case c.RequestCycles < 0 || c.ResponseCycles < 0:
		return fmt.Errorf("l3: negative latency")
	case c.Class1Weight < 1 || c.Class2Weight < 1:
		return fmt.Errorf("l3: weights %d and %d, want at least 1 each", c.Class1Weight, c.Class2Weight)
	}
	return nil
}

// MaxPorts bounds the number of ports.
const MaxPorts = 16

// Groups is the number of the SMS's request queues.
const Groups = 8

// Initiator is how an initiator stands on the interconnect.
type Initiator struct {
	Class     int         `conf:"bus_class" doc:"SMS class of the initiator's traffic: 0 real time, 1 and 2 weighted."`
	Group     int         `conf:"bus_group" doc:"SMS request queue, 0 to 7; initiators that share one are served in the order of arrival and must be of one class."`
	High      bool        `conf:"bus_high_priority" doc:"Whether the group goes before the others of its class (HIGHPRIOVECTOR)."`
	Services  int         `conf:"bus_services" doc:"Transactions for which the group keeps its place in its class's order, 1 to 31 (NOFSERVICES)."`
	Extended  int         `conf:"bus_extended_grant" doc:"Transactions in a row that the group is granted once it is chosen, against all but class 0 (EXTENDEDGRANT)."`
	Burst     units.Bytes `conf:"bus_burst" doc:"Largest burst of the initiator, up to 64B."`
	Width     units.Bytes `conf:"bus_width" doc:"Width of the initiator's port on the interconnect, which data crosses; 0B if it is never the limit."`
	PortClock units.Hertz `conf:"bus_clock" doc:"Clock of that port; 0Hz for the interconnect's."`
	Limit     units.Bytes `conf:"bus_limit" doc:"Bytes a second that the interconnect lets the initiator have, a what-if; 0B for no limit."`
	Credit    units.Bytes `conf:"bus_limit_burst" doc:"Bytes that a limited initiator may save up while it is idle."`
}

// Validate reports the first setting that makes no sense.
func (i Initiator) Validate() error {
	switch {
	case i.Class < 0 || i.Class > 2:
		return fmt.Errorf("bus_class: %d, want 0, 1 or 2", i.Class)
	case i.Group < 0 || i.Group >= Groups:
		return fmt.Errorf("bus_group: %d, want 0 to %d", i.Group, Groups-1)
	case i.Services < 1 || i.Services > 31:
		return fmt.Errorf("bus_services: %d, want 1 to 31", i.Services)
	case i.Extended < 1 || i.Extended > 31:
		return fmt.Errorf("bus_extended_grant: %d, want 1 to 31", i.Extended)
	case i.Burst < 4 || i.Burst > bus.BurstBytes || i.Burst&(i.Burst-1) != 0:
		return fmt.Errorf("bus_burst: %v, want 4B, 8B, 16B, 32B or 64B", i.Burst)
	case i.Width < 0 || i.Width > 64 || i.Width&(i.Width-1) != 0:
		return fmt.Errorf("bus_width: %v, want a power of two up to 64B, or 0B for a port that is never the limit", i.Width)
	case i.PortClock < 0:
		return fmt.Errorf("bus_clock: %v, want a positive clock, or 0Hz for the interconnect's", i.PortClock)
	case i.Limit < 0 || i.Limit > 1<<40 || i.Credit < 0 || i.Credit > 1<<20:
		return fmt.Errorf("bus_limit: %v with bursts of %v, want up to 1TiB a second and 1MiB", i.Limit, i.Credit)
	}
	return nil
}

// Plain is an initiator of a class in a group of its own number, with full bursts and nothing that limits it.
func Plain(class, group int) Initiator {
	return Initiator{Class: class, Group: group, Services: 1, Extended: 1, Burst: bus.BurstBytes}
}

// Port returns the connection of one of the initiator's ports.
func (i Initiator) Port(m bus.Master, outstanding int) PortConfig {
	return PortConfig{
		Master: m, Class: uint8(i.Class), Group: 1 + i.Group, High: i.High, Services: i.Services, Extended: i.Extended, Outstanding: outstanding,
		Burst: int(i.Burst), Width: int(i.Width), Clock: int64(i.PortClock), Rate: int64(i.Limit), Credit: int64(i.Credit),
	}
}

// MasterStats counts the traffic of one master with the DRAM: behind a system cache, what its bursts made that fetch and write back.
type MasterStats struct {
	BytesRead, BytesWritten uint64
	// Latency is from the initiator's request of a burst to its completion, both ends at the initiator.
	Latency Histogram
}

// PortConfig describes one port's connection.
type PortConfig struct {
	Master      bus.Master
	Class       uint8
	Outstanding int
	Hop, Return sim.Time // added to the fabric's own latencies
	// Group is the number of the request queue, from 1; 0 gives the port a queue of its own. What the first port of a group says of it holds.
	Group              int
	High               bool
	Services, Extended int   // 0 stands for 1
	Burst, Width       int   // bytes; 0 for the largest burst, and for a port that is never the limit
	Clock              int64 // of the port; 0 for the interconnect's
	Rate, Credit       int64
}

// group is a request queue.
type group struct {
	number             int // of the configuration; 0 for a port's own
	class              uint8
	high               bool
	services, extended int
	left               int // services before the group loses its place
}

// low is set in the order of groups without high priority.
const low = 1 << 63

// Fabric connects the ports to the DRAM.
type Fabric struct {
	at     [MaxPorts]sim.Time // arrival of each port's head: what the arbiter scans
	member [MaxPorts]uint8    // group of each port
	class  [MaxPorts]uint8    // of each group
	order  [MaxPorts]uint64   // of the groups of a class: by priority, then by the last grant
	ports  []bus.Port
	groups []group
	next   sim.Time  // lower bound of the next decision
	clock  sim.Clock // of the DRAM
	origin sim.Time  // of its clock 0
	wires  sim.Clock // of the interconnect

	dram  *dram.Controller
	cache *systemCache // in front of the DRAM, or nil
	mem   *memory.Memory
	eng   *sim.Engine

	ends     [dram.MaxLookAhead]sim.Time // when the last transactions complete
	slot     int
	room     int
	decided  sim.Time // of the last decision
	ready    bool     // row hits go before others of their class
	passed   [3]int   // decisions of a class in a row in which a row hit went before its first
	grants   uint64
	turn     uint8 // class whose turn it is while both weighted classes wait
	left     int   // bursts left in its turn
	held     int   // group that keeps the grant, -1 for none
	keeps    int   // transactions for which it does
	weight   [3]int
	last     bus.Master
	stop     bool
	stopAt   *bus.Port
	stats    [bus.MaxMasters]MasterStats
	ledger   bus.Ledger
	latency  sim.Time // request hop
	response sim.Time
	short    [64]sim.Time // durations of small counts of the DRAM's clocks

	spans   []BusSpan // of the memory's bus, at the clocks it had before the last change
	changed change    // the last of the memory's clock
}

// New returns a fabric in front of the controller. It becomes the engine's background.
func New(cfg Config, eng *sim.Engine, mem *memory.Memory, ctl *dram.Controller) (*Fabric, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	clock := sim.NewClock(int64(cfg.Clock))
	f := &Fabric{
		ports: make([]bus.Port, 0, MaxPorts), next: sim.Never, clock: ctl.Clock(), wires: clock, held: -1, dram: ctl, mem: mem, eng: eng, room: ctl.LookAhead(),
		turn: 1, left: cfg.Class1Weight, weight: [3]int{0, cfg.Class1Weight, cfg.Class2Weight},
		latency: clock.Cycles(int64(cfg.RequestCycles)), response: clock.Cycles(int64(cfg.ResponseCycles)),
	}
	f.ready = ctl.FirstReady()
	f.countShort()
	eng.SetBackground(f)
	return f, nil
}

// AddPort adds a port for a source. All ports are added before the run starts.
func (f *Fabric) AddPort(c PortConfig, s bus.Source) *bus.Port {
	i := len(f.ports)
	if i == MaxPorts {
		panic("l3: too many ports")
	}
	clock := f.wires
	if c.Clock > 0 {
		clock = sim.NewClock(c.Clock)
	}
	f.ports = append(f.ports, bus.Port{
		Class: c.Class, Master: c.Master, Outstanding: c.Outstanding, Hop: f.latency + c.Hop, Return: f.response + c.Return,
		Max: c.Burst, Width: c.Width, Clock: clock, Rate: c.Rate, Credit: c.Credit,
	})
	f.member[i] = uint8(f.group(c))
	p := &f.ports[i]
	p.Connect(&f.next, &f.at[i], s)
	p.SetLedger(&f.ledger)
	return p
}

// group returns the number of a port's request queue.
func (f *Fabric) group(c PortConfig) int {
	for i := range f.groups {
		if g := &f.groups[i]; c.Group > 0 && g.number == c.Group {
			if g.class != c.Class {
				panic(fmt.Sprintf("l3: group %d has ports of classes %d and %d", c.Group-1, g.class, c.Class))
			}
			return i
		}
	}
	g := group{number: c.Group, class: c.Class, high: c.High, services: max(1, c.Services), extended: max(1, c.Extended)}
	g.left = g.services
	n := len(f.groups)
	f.class[n], f.order[n] = c.Class, uint64(n)
	if !c.High {
		f.order[n] |= low
	}
	f.groups = append(f.groups, g)
	return n
}

// Ports returns the ports in the order in which they were added. Whoever puts itself between one and its source ([bus.Port.SetSource]) sees each transfer that is granted.
func (f *Fabric) Ports() []*bus.Port {
	out := make([]*bus.Port, len(f.ports))
	for i := range f.ports {
		out[i] = &f.ports[i]
	}
	return out
}

// Next returns a lower bound of the time of the next decision.
func (f *Fabric) Next() sim.Time { return f.next }

// Stats returns the counters of a master.
func (f *Fabric) Stats(m bus.Master) *MasterStats { return &f.stats[m] }

// ResetStats zeroes all counters, the DRAM's too.
func (f *Fabric) ResetStats() {
	f.Settle()
	f.stats = [bus.MaxMasters]MasterStats{}
	f.dram.ResetStats()
	f.resetBusTime()
	if f.cache != nil {
		f.cache.lines.ResetCounters()
	}
}

// Settle brings the DRAM's counters of refreshes and power-down up to the engine's time.
func (f *Fabric) Settle() { f.dram.Settle(f.clock.Floor(max(0, f.eng.Now()-f.origin))) }

// Queued returns how much longer the burst just granted takes than on an idle memory: what it stood at the arbiter, and in the memory behind other transactions, turnarounds and refreshes. The port's
// source asks in Granted.
func (f *Fabric) Queued(p *bus.Port) sim.Time {
	if f.cache != nil {
		return p.Waited + f.cache.queued
	}
	return p.Waited + f.behind()
}

// behind is how much longer the memory's last request took than on an idle memory.
func (f *Fabric) behind() sim.Time {
	clocks := f.dram.Behind()
	if clocks < int64(len(f.short)) {
		return f.short[clocks]
	}
	return f.clock.Cycles(clocks)
}

// Grants returns the number of bursts served since the start.
func (f *Fabric) Grants() uint64 { return f.grants }

// Await serves bursts until p's transfer is granted entirely, and returns true, even if the source has issued another by then; or until an event of the engine is due, and returns
// false: the caller lets it run and calls again.
func (f *Fabric) Await(p *bus.Port) bool {
	if p.Idle() {
		return true
	}
	f.stopAt = p
	f.AdvanceTo(sim.Never)
	f.stopAt = nil
	return f.stop
}

// AdvanceTo serves all bursts whose decision time is before limit and before the engine's next event.
func (f *Fabric) AdvanceTo(limit sim.Time) {
	f.stop = false
	for !f.stop {
		if n := f.eng.Next(); n < limit {
			limit = n
		}
		if f.next >= limit {
			return
		}
		first, second, port := sim.Never, sim.Never, 0
		for i, at := range f.at[:len(f.ports)] {
			switch {
			case at >= second: // most of them
			case at < first:
				first, second, port = at, first, i
			default:
				second = at
			}
		}
		if first == sim.Never {
			f.next = sim.Never
			return
		}
		// A burst may have arrived long ago, and with several channels an older transaction may end after a younger one: a decision is never before the last.
		now := max(first, f.ends[f.slot], f.decided)
		f.next = now
		if now >= limit {
			return
		}
		if second > now {
			f.alone(port)
		} else {
			port = f.pick(now)
		}
		f.grant(port, now)
	}
}

// alone is pick where one head has arrived.
func (f *Fabric) alone(port int) {
	m := f.member[port&(MaxPorts-1)]
	g := &f.groups[m]
	switch {
	case f.held == int(m):
		if f.keeps--; f.keeps == 0 {
			f.held = -1
		}
	case g.extended > 1:
		f.held, f.keeps = int(m), g.extended-1
	default:
		f.held = -1
	}
	if f.ready {
		f.passed = [3]int{}
	}
	f.serve(m, g)
}

// pick arbitrates among the ports whose head has arrived by now; at least one has. It returns the port's number.
func (f *Fabric) pick(now sim.Time) int {
	best := [3]int{-1, -1, -1} // by class
	var order [3]uint64
	held := -1 // of the group that keeps the grant
	for i, at := range f.at[:len(f.ports)] {
		if at > now {
			continue
		}
		g := f.member[i&(MaxPorts-1)] & (MaxPorts - 1)
		if int(g) == f.held && (held < 0 || at < f.at[held]) {
			held = i
		}
		class, o := f.class[g], f.order[g]
		if b := best[class]; b < 0 || o < order[class] || o == order[class] && at < f.at[b] {
			best[class], order[class] = i, o
		}
	}
	if f.ready {
		f.preferOpenRows(now, &best)
	}
	chosen := best[0]
	switch {
	case held >= 0 && (chosen < 0 || f.groups[f.held].class == 0):
		f.keeps--
		if f.keeps == 0 {
			f.held = -1
		}
		return f.serveHead(held)
	case chosen >= 0:
	case best[1] < 0:
		chosen = best[2]
	case best[2] < 0:
		chosen = best[1]
	default:
		if f.left == 0 {
			f.turn = 3 - f.turn
			f.left = f.weight[f.turn]
		}
		f.left--
		chosen = best[f.turn]
	}
	f.held = -1
	if g := f.member[chosen]; f.groups[g].extended > 1 {
		f.held, f.keeps = int(g), f.groups[g].extended-1
	}
	return f.serveHead(chosen)
}

// maxPassed is how many row hits in a row may go before the first of their class.
const maxPassed = 4

// preferOpenRows replaces the first of each class by the first whose row is open, unless that has happened too often.
func (f *Fabric) preferOpenRows(now sim.Time, best *[3]int) {
	for class, first := range best {
		if first < 0 || f.passed[class] == maxPassed || f.dram.RowOpen(f.ports[first].Addr) {
			f.passed[class] = 0
			continue
		}
		hit := -1
		for i, at := range f.at[:len(f.ports)] {
			g := f.member[i]
			if at > now || int(f.class[g]) != class || !f.dram.RowOpen(f.ports[i].Addr) {
				continue
			}
			if hit < 0 || f.order[g] < f.order[f.member[hit]] || g == f.member[hit] && at < f.at[hit] {
				hit = i
			}
		}
		if hit < 0 {
			f.passed[class] = 0
			continue
		}
		f.passed[class]++
		best[class] = hit
	}
}

// serveHead is serve for a port's group. It returns the port.
func (f *Fabric) serveHead(port int) int {
	m := f.member[port]
	f.serve(m, &f.groups[m])
	return port
}

// serve notes that a group is served: after its services it goes to the end of its class's order.
func (f *Fabric) serve(m uint8, g *group) {
	f.grants++
	if g.left--; g.left == 0 {
		g.left = g.services
		order := &f.order[m&(MaxPorts-1)]
		*order = *order&low | (MaxPorts + f.grants)
	}
}

// grant serves the head burst of p at now.
func (f *Fabric) grant(i int, now sim.Time) {
	p := &f.ports[i]
	n := p.Burst()
	write := p.Kind.IsWrite()
	f.dram.Tag(p.Purpose())
	st := &f.stats[p.Master]
	var end sim.Time
	if f.cache != nil {
		end = f.throughCache(now, p, n, write)
	} else {
		_, endClk := f.dram.Serve(f.clock.Ceil(now-f.origin), p.Addr, n, write)
		end = f.origin + f.clock.Cycles(endClk)
		f.took(end)
		if write {
			st.BytesWritten += uint64(n)
		} else {
			st.BytesRead += uint64(n)
		}
	}
	f.decided = now
	p.Grant, p.Waited = now, now-p.At
	f.ledger.Note(now, p.Master)
	if f.last != p.Master {
		p.Holder = f.last
	}
	f.last = p.Master

	done := p.Complete(n, end)
	st.Latency.Add(done - p.Issued())

	switch p.Kind {
	case bus.Write:
		f.mem.DeviceWrite(p.Addr, n, p.Master, now)
	case bus.Read:
		f.mem.DeviceRead(p.Addr, n, p.Master, now, false)
	case bus.WalkRead:
		f.mem.DeviceRead(p.Addr, n, p.Master, now, true)
	case bus.WriteBack:
		f.mem.Written(p.Addr, n, memory.Stamp(p.Stamp), p.Master, now)
	}
	f.next = now
	if !p.Advance(n, done) {
		if p == f.stopAt {
			f.stop = true
		}
		p.Source().Granted(p, done)
	}
}
