package soc

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/memory"
)

// Requester is the simplest bus master: told which memory to read or write, it does so burst by burst, one access at a time, and says when the last is complete. It stands for a device of which only
// its traffic matters. It has no MMU, and it stands on the interconnect as the system DMA's read port does; what it would do with the data takes no time.
//
// An access costs one event; its pieces none.
type Requester struct {
	Name   string
	Master bus.Master
	// OnDone is called when an access is complete: the interrupt.
	OnDone func()

	eng  *sim.Engine
	id   sim.HandlerID
	port *bus.Port
	runs []memory.Run // of the access under way, not yet issued
	kind bus.Kind
	busy bool
}

// AddRequester adds a bus master.
func (s *System) AddRequester(name string) *Requester {
	r := &Requester{Name: name, Master: s.master(name), eng: s.Engine}
	r.id = s.Engine.Register(r)
	cfg := s.Config.SDMA
	r.port = s.Fabric.AddPort(cfg.Port(r.Master, cfg.ReadOutstanding), r)
	return r
}

// Busy tells whether an access is under way.
func (r *Requester) Busy() bool { return r.busy }

// Start begins an access at the given time, at or after now: of one run of memory after the other. The requester must not be busy.
func (r *Requester) Start(at sim.Time, runs []memory.Run, write bool) {
	if r.busy || len(runs) == 0 || at < r.eng.Now() {
		panic(fmt.Sprintf("soc: %s is started at %v on %d runs, busy %v", r.Name, at, len(runs), r.busy))
	}
	r.busy, r.kind = true, bus.Read
	if write {
		r.kind = bus.Write
	}
	r.runs = append(r.runs[:0], runs...)
	r.issue(at)
}

func (r *Requester) issue(at sim.Time) {
	x := r.runs[0]
	r.runs = r.runs[:copy(r.runs, r.runs[1:])]
	r.port.Issue(at, x.Addr, x.Bytes, r.kind)
}

// Granted goes on to the next run, or has the end announced when the data is there. Bursts complete in order, so the last one's is the end.
func (r *Requester) Granted(p *bus.Port, done sim.Time) {
	if len(r.runs) > 0 {
		r.issue(p.Issued())
		return
	}
	r.eng.Schedule(done, r.id, 0)
}

// Handle is the end of an access; the engine calls it.
func (r *Requester) Handle(sim.Time, uint64) {
	r.busy = false
	if r.OnDone != nil {
		r.OnDone()
	}
}
