// Package l3 models the interconnect between the initiators and the DRAM: the hop latencies of the L3, and the arbitration of the SDRAM memory scheduler (SMS) in front of the
// in-order SDRC.
//
// The arbiter decides at burst boundaries. Class 0 (real time: display, camera) has absolute priority; classes 1 and 2 share what is left by weights; within a class the least
// recently granted port goes first (OMAP36xx TRM SWPU177N, SMS arbitration). A burst is accepted when the SDRC has room among its few open transactions.
//
// # Structure
//
// Nothing is scheduled per burst. Each port shows its next burst and the time it reaches the arbiter; [Fabric.AdvanceTo] takes the earliest, arbitrates among those that have arrived, fixes the
// burst's timing in the DRAM, and asks the initiator for its next transfer when one ends. Ties are total: events of the engine due at the decision time run first, then the lower
// class, the longer wait since the last grant, the lower port number. The cost is one scan over the ports a burst.
//
// Left out: EXTENDEDGRANT and service counts, per-initiator port widths and clocks, bandwidth regulation.
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

// MasterStats counts the traffic of one master.
type MasterStats struct {
	BytesRead, BytesWritten uint64
	// Latency is from the initiator's request of a burst to its completion, both ends at the initiator.
	Latency Histogram
}

// PortConfig describes one initiator's connection.
type PortConfig struct {
	Master      bus.Master
	Class       uint8
	Outstanding int
	Hop, Return sim.Time // added to the fabric's own latencies
}

// Fabric connects the ports to the DRAM.
type Fabric struct {
	ports []bus.Port // flat: the arbiter scans it
	next  sim.Time   // lower bound of the next decision
	clock sim.Clock  // of the DRAM

	dram *dram.Controller
	mem  *memory.Memory
	eng  *sim.Engine

	ends     [dram.MaxLookAhead]sim.Time // when the last transactions complete
	slot     int
	room     int
	grants   uint64
	turn     uint8 // class whose turn it is while both weighted classes wait
	left     int   // bursts left in its turn
	weight   [3]int
	last     bus.Master
	stop     bool
	stopAt   *bus.Port
	stats    [bus.MaxMasters]MasterStats
	latency  sim.Time // request hop
	response sim.Time
}

// New returns a fabric in front of the controller. It becomes the engine's background.
func New(cfg Config, eng *sim.Engine, mem *memory.Memory, ctl *dram.Controller) (*Fabric, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	clock := sim.NewClock(int64(cfg.Clock))
	f := &Fabric{
		ports: make([]bus.Port, 0, MaxPorts), next: sim.Never, clock: ctl.Clock(), dram: ctl, mem: mem, eng: eng, room: ctl.LookAhead(),
		turn: 1, left: cfg.Class1Weight, weight: [3]int{0, cfg.Class1Weight, cfg.Class2Weight},
		latency: clock.Cycles(int64(cfg.RequestCycles)), response: clock.Cycles(int64(cfg.ResponseCycles)),
	}
	eng.SetBackground(f)
	return f, nil
}

// AddPort adds a port for a source. All ports are added before the run starts.
func (f *Fabric) AddPort(c PortConfig, s bus.Source) *bus.Port {
	if len(f.ports) == MaxPorts {
		panic("l3: too many ports")
	}
	f.ports = append(f.ports, bus.Port{
		Class: c.Class, Master: c.Master, Outstanding: c.Outstanding, Hop: f.latency + c.Hop, Return: f.response + c.Return,
	})
	p := &f.ports[len(f.ports)-1]
	p.Connect(&f.next, s)
	return p
}

// Next returns a lower bound of the time of the next decision.
func (f *Fabric) Next() sim.Time { return f.next }

// Stats returns the counters of a master.
func (f *Fabric) Stats(m bus.Master) *MasterStats { return &f.stats[m] }

// ResetStats zeroes all counters, the DRAM's too.
func (f *Fabric) ResetStats() {
	f.stats = [bus.MaxMasters]MasterStats{}
	f.dram.ResetStats()
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
		first := sim.Never
		for i := range f.ports {
			if at := f.ports[i].At; at < first {
				first = at
			}
		}
		if first == sim.Never {
			f.next = sim.Never
			return
		}
		now := max(first, f.ends[f.slot])
		f.next = now
		if now >= limit {
			return
		}
		f.grant(f.pick(now), now)
	}
}

// pick arbitrates among the ports whose head has arrived by now; at least one has.
func (f *Fabric) pick(now sim.Time) *bus.Port {
	var best [3]*bus.Port
	for i := range f.ports {
		p := &f.ports[i]
		if p.At > now {
			continue
		}
		if b := best[p.Class]; b == nil || p.LastGrant < b.LastGrant {
			best[p.Class] = p
		}
	}
	switch {
	case best[0] != nil:
		return best[0]
	case best[1] == nil:
		return best[2]
	case best[2] == nil:
		return best[1]
	}
	if f.left == 0 {
		f.turn = 3 - f.turn
		f.left = f.weight[f.turn]
	}
	f.left--
	return best[f.turn]
}

// grant serves the head burst of p at now.
func (f *Fabric) grant(p *bus.Port, now sim.Time) {
	n := p.Burst()
	write := p.Kind.IsWrite()
	_, endClk := f.dram.Serve(f.clock.Ceil(now), p.Addr, n, write)
	end := f.clock.Cycles(endClk)
	f.ends[f.slot] = end
	f.slot++
	if f.slot == f.room {
		f.slot = 0
	}
	f.grants++
	p.LastGrant = f.grants
	p.Waited = now - p.At
	if f.last != p.Master {
		p.Holder = f.last
	}
	f.last = p.Master

	done := end + p.Return
	st := &f.stats[p.Master]
	if write {
		st.BytesWritten += uint64(n)
	} else {
		st.BytesRead += uint64(n)
	}
	st.Latency.Add(done - p.Issued())

	switch p.Kind {
	case bus.Write:
		f.mem.DeviceWrite(p.Addr, n, p.Master, now)
	case bus.Read:
		f.mem.DeviceRead(p.Addr, n, p.Master, now, false)
	case bus.WalkRead:
		f.mem.DeviceRead(p.Addr, n, p.Master, now, true)
	case bus.WriteBack:
		f.mem.WriteBack(p.Addr, memory.Stamp(p.Stamp), p.Master, now)
	}
	f.next = now
	if !p.Advance(n, done) {
		if p == f.stopAt {
			f.stop = true
		}
		p.Source().Granted(p, done)
	}
}
