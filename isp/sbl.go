package isp

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// Port is where the shared buffer logic sends and fetches data: the ISP's MMU, or a fake in a test. It gets one data unit at a time, of at most Config.DataUnit contiguous bytes; its source is
// [ISP.Source].
type Port interface {
	bus.Outlet[bus.IOVA]
}

// MaxOverflowRecords is how many overflows a path records; all are counted.
const MaxOverflowRecords = 1000

// Overflow is a real-time port that failed: at time At the first byte of a data unit to write found the storage full, and the unit was lost; or the first byte of a data unit of the gain table was
// needed and not there. Waited and Holder tell why the unit whose storage was due, or the unit itself, was late: the longest time that the last burst of a unit waited at the arbiter, of that unit and
// those that held it up, and the master that had the bus for most of that wait.
// If a unit waited longer for its translation, by a walk or a fault, Waited is that and Holder the ISP itself.
//
// A frame that is still on its way to memory when the next one starts records one overflow at that time: Waited is then the time since its unit was requested. Holder is bus.NoMaster if
// nothing that held it up has been granted yet.
type Overflow struct {
	At     sim.Time
	Seq    int
	Port   PortID
	Waited sim.Time
	Holder bus.Master
}

// hold is what the storage of one data unit was last used for: when the storage was free again, and the longest wait of the backlog that the unit was in.
type hold struct {
	done   sim.Time
	waited sim.Time
	holder bus.Master
}

// backlog is the longest wait among the units that follow one another at the bus and could not be requested when they were ready: it made all of them late.
type backlog struct {
	granted sim.Time // when the last unit was granted
	waited  sim.Time
	holder  bus.Master
}

// block is a part of the ISP that only one path can use.
type block uint8

const (
	ccdc block = iota
	previewEngine
	resizer
	histogram
	numBlocks
)

func (b block) String() string {
	return [numBlocks]string{"CCDC", "preview engine", "resizer", "histogram"}[b]
}

// translator is a port behind an MMU: it tells how long the last unit waited for its translations.
type translator interface{ Delay() sim.Time }

// ISP is the camera ISP: its shared buffer logic in front of one port to memory, and the blocks that paths are made of. A path claims its blocks for good.
type ISP struct {
	eng   *sim.Engine
	cfg   Config
	mux   *bus.Mux[bus.IOVA]
	port  Port
	slow  translator // the port, if it can tell
	users [numBlocks]string

	// The longest wait of all ports together: they share the bus, one request at a time.
	backlog backlog
}

// New returns an ISP without paths. It fails on settings that make no sense.
func New(eng *sim.Engine, cfg Config) (*ISP, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &ISP{eng: eng, cfg: cfg, mux: bus.NewMux[bus.IOVA](true)}, nil
}

// Source returns what must be told of the grants at the port to memory.
func (i *ISP) Source() bus.Source { return i.mux }

// SetPort connects the ISP to memory, once, before any path starts.
func (i *ISP) SetPort(p Port) {
	i.port = p
	i.slow, _ = p.(translator)
	i.mux.SetOutlet(p)
}

// claim gives blocks to a path, or fails if another has one of them.
func (i *ISP) claim(path string, blocks ...block) error {
	for _, b := range blocks {
		if user := i.users[b]; user != "" {
			return fmt.Errorf("isp: %s: the %v is in use by the path %s", path, b, user)
		}
	}
	for _, b := range blocks {
		i.users[b] = path
	}
	return nil
}

// lane returns the place of a port's client.
func (i *ISP) lane(p PortID, s bus.Source) *bus.Lane[bus.IOVA] { return i.mux.Lane(p.Priority(), s) }

// requested returns when a unit that is ready at a time is, or was, requested if nothing has been granted since: no earlier than the grant before it.
func (i *ISP) requested(ready sim.Time) sim.Time { return max(ready, i.backlog.granted) }

// granted takes note of the grant of a unit that was ready at a time and returns when it was granted.
func (i *ISP) granted(p *bus.Port, ready sim.Time) sim.Time {
	b := &i.backlog
	if ready >= b.granted {
		b.waited, b.holder = 0, bus.NoMaster
	}
	if p.Waited >= b.waited {
		b.waited, b.holder = p.Waited, p.Blame()
	}
	if i.slow != nil {
		if d := i.slow.Delay(); d > b.waited {
			b.waited, b.holder = d, p.Master
		}
	}
	b.granted = p.Issued() + p.Hop + p.Waited
	return b.granted
}
