// Package access explains what one access to memory costs on a chip, term by term: a load or a store of the core through its TLB and caches, or a burst of a device behind its MMU.
//
// Nothing is computed beside the model. A chip is assembled and brought into the state asked for by loads, stores and transfers of its own; then the access is made, and what the core charges to its time
// ([cpu.Core.Watch]), the stages of each transfer ([bus.Port]) and the commands to the memory ([dram.Controller.Observe]) are written down. Each term is one of these. Where a setting fixes it, what was
// observed and what the setting says are compared, and a difference is an error; what is left is a wait. The terms add up to the time that the access took, to the picosecond.
//
// The clock of the memory starts at 0 as the others do, and an access meets it anywhere between two edges. The wait for the edge takes up the picosecond by which several cycles may differ from the sum of
// single ones.
//
// Left out: other masters at the same time, and lines that the core fetches without having been asked to, so that what is explained is the access on an idle chip; accesses of more than a line, whose fills overlap; instruction fetch.
package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"socsim/cachemodel"
	"socsim/internal/calibrate"
	"socsim/internal/conf"
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/cpu"
)

// Query is the access to explain. Empty values stand for defaults.
type Query struct {
	VA           uint64 // the core's virtual address, or what the device puts out
	Attr         cpu.Attr
	Write        bool
	Bytes, Width units.Bytes
	Dependent    bool
	State        string // where the line is
	TLB          string // hit or miss
	DRAM         string // of the row: open, closed or conflict
	Device       string
}

// The states of a line before the access.
const (
	Cold   = "cold"
	L1     = "l1"
	L2     = "l2"
	LLC    = "llc"
	Dirty  = "dirty"
	System = "system-cache"
)

// States lists the states.
func States() []string { return []string{Cold, L1, L2, LLC, Dirty, System} }

// Rows lists the states of the DRAM's row.
func Rows() []string { return []string{"open", "closed", "conflict"} }

// Devices lists the devices.
func Devices() []string { return []string{"isp", "gpu", "display", "dma"} }

// Attrs lists the attributes that a mapping may have.
func Attrs() []string {
	return slices.DeleteFunc(cpu.Attr("").Values(), func(a string) bool { return a == string(cpu.NoMapping) })
}

// Report is an access that was made.
type Report struct {
	Schema  string   `json:"schema"`
	SoC     string   `json:"soc"`
	Access  string   `json:"access"`
	VA      uint64   `json:"va"`
	PA      uint64   `json:"pa"`
	Address []Fact   `json:"address"`
	Lookups []Fact   `json:"lookups"`
	Terms   []Term   `json:"terms"`
	Total   sim.Time `json:"total_ps"`
	Clock   int64    `json:"core_clock_hz"`
	// Memory is, of stores, what a barrier behind them takes: until memory has them.
	Memory []Term  `json:"until_in_memory,omitempty"`
	Then   []After `json:"then"`
}

// Fact is something known about the access, in words.
type Fact struct {
	What string `json:"what"`
	Text string `json:"text"`
}

// Term is a part of the time.
type Term struct {
	Part      string   `json:"part"`    // of the access
	Name      string   `json:"term"`    // what takes the time
	Setting   string   `json:"setting"` // what fixes it, a dotted path; "" for a wait
	Value     string   `json:"value"`
	Estimated bool     `json:"estimated"` // no source backs the setting's value
	Formula   string   `json:"formula"`
	Count     int      `json:"count"` // how often it occurs
	Time      sim.Time `json:"ps"`    // of all of them
}

// After is what another access takes afterwards.
type After struct {
	What string   `json:"what"`
	Time sim.Time `json:"ps"`
}

// Explain makes the access on a fresh chip.
func Explain(ctx context.Context, chip *calibrate.Chip, q Query) (*Report, error) {
	if err := q.complete(chip); err != nil {
		return nil, err
	}
	r, err := newRig(chip, q)
	if err != nil {
		return nil, err
	}
	defer r.sys.Close()
	return r.run(ctx)
}

// complete puts the defaults in and reports what cannot be.
func (q *Query) complete(chip *calibrate.Chip) error {
	if q.Device != "" && !slices.Contains(Devices(), q.Device) {
		return unknown("--device", q.Device, Devices())
	}
	if q.DRAM != "" && !slices.Contains(Rows(), q.DRAM) {
		return unknown("--dram", q.DRAM, Rows())
	}
	if q.DRAM != "" && !chip.Config.DRAM.Scheduler.Banked() {
		return fmt.Errorf("--dram %s: the memory has no rows, since soc.dram.scheduler is %s", q.DRAM, chip.Config.DRAM.Scheduler)
	}
	if q.TLB != "" && q.TLB != "hit" && q.TLB != "miss" {
		return unknown("--tlb", q.TLB, []string{"hit", "miss"})
	}
	if q.State != "" && !slices.Contains(States(), q.State) {
		return unknown("--state", q.State, States())
	}
	if q.State == System && chip.Config.SystemCache.Size == 0 {
		return fmt.Errorf("--state %s: %s has none, since soc.system_cache.size is 0B", System, chip.Name)
	}
	if q.Device != "" {
		return q.completeDevice(chip)
	}
	return q.completeCore(chip)
}

// completeCore does it for an access of the core.
func (q *Query) completeCore(chip *calibrate.Chip) error {
	cfg := chip.Config
	if q.Attr == "" {
		q.Attr = cpu.Cached
	}
	if !slices.Contains(Attrs(), string(q.Attr)) {
		return unknown("--attr", string(q.Attr), Attrs())
	}
	if q.State == "" {
		q.State = Cold
	}
	if q.TLB == "" {
		q.TLB = "hit"
		if q.State == Cold {
			q.TLB = "miss"
		}
	}
	through := q.Attr == cpu.Cached || q.Attr == cpu.WriteThrough
	switch {
	case !through && q.State != Cold && q.State != System:
		return fmt.Errorf("--state %s: a mapping that is %s does not look into the core's caches; leave --state away", q.State, q.Attr)
	case (q.State == L2 || q.State == LLC) && cfg.L2.Size == 0:
		return fmt.Errorf("--state %s: %s has no such cache, since soc.l2.size is 0B", q.State, chip.Name)
	case q.State == LLC && cfg.LLC.Size == 0:
		return fmt.Errorf("--state llc: %s has no third level, since soc.llc.size is 0B", chip.Name)
	case q.State == Dirty && q.Attr == cpu.WriteThrough:
		return errors.New("--state dirty: a write-through mapping leaves no line dirty")
	case q.State == Dirty && cfg.L1D.Write == cachemodel.WriteThrough:
		return fmt.Errorf("--state dirty: the first level of %s writes through (soc.l1d.write), so that no line of it is dirty", chip.Name)
	case q.Dependent && (q.Write || q.Attr != cpu.Cached):
		return errors.New("--dependent: only a load from a cached mapping has a latency that the next instruction can hide")
	case q.VA < lowestVA || q.VA >= highestVA:
		return fmt.Errorf("--va %#x: want an address of a user mapping, from %#x up to %#x", q.VA, lowestVA, uint64(highestVA)-1)
	}
	return q.size(4, cfg.L1D.Line, "a line")
}

// size checks the bytes and the width against the block that the access lies in.
func (q *Query) size(width, block units.Bytes, what string) error {
	if q.Width == 0 {
		q.Width = width
		if q.Bytes > 0 {
			q.Width = min(width, q.Bytes)
		}
	}
	if q.Bytes == 0 {
		q.Bytes = q.Width
	}
	switch {
	case q.Width < 1 || q.Width > block || q.Width&(q.Width-1) != 0:
		return fmt.Errorf("--width %v: want a power of two up to %v", q.Width, block)
	case q.VA%uint64(q.Width) != 0:
		return fmt.Errorf("--va %#x: not aligned to --width %v; the nearest address below that is, is %#x", q.VA, q.Width, q.VA&^uint64(q.Width-1))
	case q.Bytes < q.Width || q.Bytes%q.Width != 0:
		return fmt.Errorf("--bytes %v: want a multiple of --width %v", q.Bytes, q.Width)
	case q.VA%uint64(block)+uint64(q.Bytes) > uint64(block):
		return fmt.Errorf("--bytes %v at %#x: more than is left of %s of %v; explain one after the other", q.Bytes, q.VA, what, block)
	}
	return nil
}

// unknown is the error for a name that there is not.
func unknown(flag, name string, names []string) error {
	err := fmt.Errorf("%s %s: there are %s", flag, name, strings.Join(names, ", "))
	if near := conf.Nearest(name, names); near != "" {
		err = fmt.Errorf("%w; did you mean %q?", err, near)
	}
	return err
}
