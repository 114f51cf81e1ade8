package access

import (
	"context"
	"fmt"

	"socsim/cachemodel"
	"socsim/internal/calibrate"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dram"
	"socsim/soc/memory"
)

const (
	// lowestVA keeps page 0 free, and the whole stretch of colours with it.
	lowestVA = 4 * memory.PageBytes
	// highestVA leaves room below the model's kernel.
	highestVA = 1 << 39
	// pause is long enough for all that was begun to end.
	pause = sim.Microsecond
)

// transfer is a transfer that was granted: the stages of its last burst.
type transfer struct {
	master                 bus.Master
	kind                   bus.Kind
	addr                   bus.Phys
	asked                  sim.Time // when the transfer was; the others are the last burst's
	issued, arrived, grant sim.Time
	hop, back              sim.Time
	done                   sim.Time
	hit                    bool // the system cache had it, or took it
	commands               []dram.Command
}

// rig is a chip with one access to make.
type rig struct {
	chip *calibrate.Chip
	q    Query
	sys  *soc.System
	aide *soc.Requester // opens rows and fills the system cache
	t    *cpu.Thread

	recording bool
	charges   []cpu.Charge
	transfers []transfer
	commands  []dram.Command // since the last transfer
	misses    uint64         // reads that missed the system cache so far

	device *device
	m      *cpu.Mapping
	pa     bus.Phys
	at     cachemodel.Address
	off    int
}

func newRig(chip *calibrate.Chip, q Query) (*rig, error) {
	cfg := chip.Config
	cfg.CPU.Speculation = 0 // nothing but the access
	sys, err := soc.New(cfg, chip.Seed)
	if err != nil {
		return nil, fmt.Errorf("assembling %s: %w", chip.Name, err)
	}
	r := &rig{chip: chip, q: q, sys: sys, aide: sys.AddRequester("aide")}
	if q.Device != "" {
		if err := r.addDevice(); err != nil {
			sys.Close()
			return nil, err
		}
	}
	for _, p := range sys.Fabric.Ports() {
		p.SetSource(&tap{r, p.Source()})
	}
	sys.DRAM.Observe(func(c dram.Command) { r.commands = append(r.commands, c) })
	return r, nil
}

// tap stands between a port and its source and writes down what is granted.
type tap struct {
	r      *rig
	source bus.Source
}

// Granted notes the transfer and tells the source.
func (s *tap) Granted(p *bus.Port, done sim.Time) {
	r := s.r
	misses := r.misses
	if n, ok := r.sys.Fabric.SystemCache(); ok {
		r.misses = n.ReadMisses
	}
	if r.recording {
		r.transfers = append(r.transfers, transfer{
			master: p.Master, kind: p.Kind, addr: p.Addr, asked: p.Asked(), issued: p.Issued(), arrived: p.Grant - p.Waited, grant: p.Grant, hop: p.Hop, back: p.Return, done: done,
			hit: r.chip.Config.SystemCache.Size > 0 && (p.Kind.IsWrite() || r.misses == misses), commands: r.commands,
		})
	}
	r.commands = nil
	s.source.Granted(p, done)
}

// record is what an operation of the core took.
type record struct {
	from, to  sim.Time
	charges   []cpu.Charge
	transfers []transfer
}

// record has the core do something and writes it down.
func (r *rig) record(do func()) record {
	r.charges, r.transfers, r.commands, r.recording = nil, nil, nil, true
	r.sys.Core.Watch(func(c cpu.Charge) { r.charges = append(r.charges, c) })
	from := r.t.Now()
	do()
	r.sys.Core.Watch(nil)
	r.recording = false
	return record{from, r.t.Now(), r.charges, r.transfers}
}

// run makes the access on a thread of the core, or has the device make it while the core sleeps.
func (r *rig) run(ctx context.Context) (report *Report, err error) {
	r.sys.Core.SpawnTask("explain", func(t *cpu.Thread) {
		r.t = t
		if r.device != nil {
			report, err = r.explainDevice()
		} else {
			report, err = r.explainCore()
		}
		t.Settle()
		r.sys.Engine.Stop()
	})
	if stopped := r.sys.Engine.Run(ctx, sim.Never-1); stopped != nil {
		return nil, fmt.Errorf("explaining an access on %s: %w", r.chip.Name, stopped)
	}
	return report, err
}

// explainCore makes an access of the core.
func (r *rig) explainCore() (*Report, error) {
	if err := r.mapBuffer(); err != nil {
		return nil, err
	}
	if err := r.reach(); err != nil {
		return nil, err
	}
	if err := r.prepareRow(); err != nil {
		return nil, err
	}
	report := r.report()
	access := func() { r.t.Access(r.m, r.off, int(r.q.Bytes), r.touch()) }
	rec := r.record(access)
	var err error
	if report.Terms, err = r.terms(rec); err != nil {
		return nil, err
	}
	report.Total = rec.to - rec.from
	if r.q.Write {
		barrier := r.record(r.t.Barrier)
		if report.Memory, err = r.terms(barrier, rec.transfers...); err != nil {
			return nil, err
		}
	}
	r.idle()
	again := r.record(access)
	report.Then = append(report.Then, After{"the same access again", again.to - again.from})
	r.idle()
	off := r.off ^ 2*int(r.chip.Config.L1D.Line)
	next := r.record(func() { r.t.Access(r.m, off, int(r.q.Bytes), r.touch()) })
	report.Then = append(report.Then, After{fmt.Sprintf("then one at %#x, in another line of the page", uint64(r.m.VA)+uint64(off)), next.to - next.from})
	return report, nil
}

// report is what can be said before the access is made.
func (r *rig) report() *Report {
	return &Report{Schema: "socsim.access/v1", SoC: r.chip.Name, Access: r.describe(), VA: r.q.VA, PA: uint64(r.pa), Address: r.split(), Lookups: r.lookups(), Clock: int64(r.chip.Config.CPU.Clock)}
}

// touch is the access as the core takes it.
func (r *rig) touch() cpu.Touch {
	return cpu.Touch{Write: r.q.Write, Width: int(r.q.Width), Dependent: r.q.Dependent}
}

// mapBuffer maps memory at the virtual address. The pages below it, as far as the colours go, belong to the buffer, so that the allocator's colours are those of the address.
func (r *rig) mapBuffer() error {
	r.off = int(r.q.VA % lowestVA)
	region, err := r.sys.Memory.AllocScattered("buffer", int64(r.off/memory.PageBytes+1)*memory.PageBytes)
	if err != nil {
		return fmt.Errorf("memory for the access: %w", err)
	}
	if r.m, err = r.sys.Core.Map("buffer", region, r.q.Attr); err != nil {
		return fmt.Errorf("mapping %#x: %w", r.q.VA, err)
	}
	r.m.VA = bus.Virt(r.q.VA) - bus.Virt(r.off)
	r.pa = region.Addr(r.off)
	r.at = cachemodel.Address{Virtual: r.q.VA, Physical: uint64(r.pa)}
	return nil
}

// neighbour returns the offset of a line of the same page.
func (r *rig) neighbour() int {
	line := int(r.chip.Config.L1D.Line)
	return (r.off ^ line) &^ (line - 1)
}

// level returns the number of the level that should have the line; Levels() stands for memory.
func (r *rig) level() int {
	switch r.q.State {
	case L1, Dirty:
		return 0
	case L2:
		return 1
	case LLC:
		return 2
	}
	return r.sys.Caches.Levels()
}

// tries bounds how often the line is brought in to be where it should be.
const tries = 16

// reach brings the line and the TLB into the state asked for, by loads and stores.
func (r *rig) reach() error {
	level := r.level()
	for range tries {
		switch {
		case r.q.State == System:
			r.read(r.pa &^ (bus.BurstBytes - 1))
		case level < r.sys.Caches.Levels():
			r.t.Access(r.m, r.off, int(r.q.Bytes), cpu.Touch{Width: int(r.q.Width)})
		}
		if r.q.State == Dirty {
			r.t.Access(r.m, r.off, int(r.q.Width), cpu.Touch{Width: int(r.q.Width), Write: true})
		}
		if level > 0 && level < r.sys.Caches.Levels() {
			if err := r.push(level); err != nil {
				return err
			}
		}
		if err := r.translation(); err != nil {
			return err
		}
		r.t.Barrier()
		if at, dirty, _ := r.sys.Caches.Probe(r.at); at == level && dirty == (r.q.State == Dirty) {
			return nil
		}
	}
	return fmt.Errorf("--state %s: the line does not stay there with these caches (soc.l1d, soc.l2, soc.llc)", r.q.State)
}

// translation brings the TLB into its state: a neighbour of the line is loaded, or the TLB flushed, as it is when a mapping goes.
func (r *rig) translation() error {
	if r.q.TLB == "hit" {
		r.t.Access(r.m, r.neighbour(), 4, cpu.Touch{Width: 4})
		return nil
	}
	region, err := r.sys.Memory.AllocScattered("another", memory.PageBytes)
	if err != nil {
		return fmt.Errorf("memory for a mapping that goes: %w", err)
	}
	m, err := r.sys.Core.Map("another", region, cpu.Cached)
	if err != nil {
		return fmt.Errorf("a mapping that goes: %w", err)
	}
	r.sys.Core.Unmap(m)
	r.sys.Memory.Free(region)
	return nil
}

// push has other lines take the line's place in the levels before the one that should have it, and leaves its set there alone.
func (r *rig) push(level int) error {
	region, err := r.sys.Memory.AllocScattered("others", min(int64(r.chip.Config.Memory.Size)/8, 8<<20))
	if err != nil {
		return fmt.Errorf("memory for other lines: %w", err)
	}
	defer r.sys.Memory.Free(region)
	m, err := r.sys.Core.Map("others", region, cpu.Cached)
	if err != nil {
		return fmt.Errorf("mapping other lines: %w", err)
	}
	defer r.sys.Core.Unmap(m)
	for off := r.off % memory.PageBytes &^ 3; off < int(region.Bytes); off += memory.PageBytes {
		a := cachemodel.Address{Virtual: uint64(m.VA) + uint64(off), Physical: uint64(region.Addr(off))}
		if r.set(level, a) == r.set(level, r.at) || !r.sameSets(level, a) {
			continue
		}
		r.t.Access(m, off, 4, cpu.Touch{Width: 4})
		if at, _, _ := r.sys.Caches.Probe(r.at); at >= level {
			return nil
		}
	}
	return nil
}

// sameSets tells whether an address shares the line's sets in all levels before one.
func (r *rig) sameSets(level int, a cachemodel.Address) bool {
	for k := range level {
		if r.set(k, a) != r.set(k, r.at) {
			return false
		}
	}
	return true
}

// set returns the set of an address in a level.
func (r *rig) set(level int, a cachemodel.Address) int {
	index := a.Physical
	if level == 0 && r.chip.Config.L1D.Index != cachemodel.PIPT {
		index = a.Virtual
	}
	return int(index / uint64(r.sys.Caches.LineSize()) % uint64(r.sys.Caches.Sets(level)))
}

// read has the aide read a burst, and waits for it.
func (r *rig) read(pa bus.Phys) {
	r.t.Settle()
	r.aide.Start(r.t.Now(), []memory.Run{{Addr: pa, Bytes: bus.BurstBytes}}, false)
	for r.aide.Busy() {
		r.t.SleepUntil(r.t.Now() + 100*sim.Nanosecond)
	}
}

// idle waits until all that was begun has ended.
func (r *rig) idle() { r.t.SleepUntil(r.t.Now() + pause) }

// prepareRow waits until a refresh has closed all rows, and opens the line's or another of its bank.
func (r *rig) prepareRow() error {
	r.idle()
	if !r.sys.DRAM.Banked() {
		return nil
	}
	cfg, clock := r.chip.Config.DRAM, r.sys.DRAM.Clock()
	if refi := clock.Floor(cfg.TREFI); refi > 0 {
		due := (clock.Ceil(r.t.Now())/refi + 1) * refi
		r.t.SleepUntil(clock.Cycles(due + clock.Ceil(cfg.TRP) + clock.Ceil(cfg.TRFC) + clock.Ceil(cfg.TRC) + 16))
	}
	r.sys.Fabric.Settle()
	want := r.q.DRAM
	if want == "open" || want == "conflict" {
		other, ok := r.other(want == "open")
		if !ok {
			return fmt.Errorf("--dram %s: the memory has no such other address (soc.dram.row, soc.dram.map)", want)
		}
		r.read(other)
	}
	r.idle()
	r.sys.Fabric.Settle()
	if is := r.row(); want != "" && is != want {
		return fmt.Errorf("--dram %s: the row is in the state %s: %s", want, is, r.whyNot())
	}
	return nil
}

// whyNot tells what keeps a row from being as it should.
func (r *rig) whyNot() string {
	if r.chip.Config.DRAM.Page == dram.Closed {
		return "soc.dram.page is closed, so that no access leaves a row open"
	}
	return fmt.Sprintf("with soc.dram.trefi at %v no refresh closes it in time", r.chip.Config.DRAM.TREFI)
}

// row returns the state of the line's row.
func (r *rig) row() string {
	row, open := r.sys.DRAM.OpenRow(r.pa)
	switch {
	case !open:
		return "closed"
	case row == r.sys.DRAM.Locate(r.pa).Row:
		return "open"
	}
	return "conflict"
}

// other returns an address in the bank of the line: of the same row, or of another.
func (r *rig) other(same bool) (bus.Phys, bool) {
	at := r.sys.DRAM.Locate(r.pa)
	size := bus.Phys(r.chip.Config.Memory.Size)
	line := (r.pa - soc.MemoryBase) &^ (bus.BurstBytes - 1)
	for step := bus.Phys(bus.BurstBytes); step < size; step += bus.BurstBytes {
		pa := soc.MemoryBase + (line+step)%size
		if p := r.sys.DRAM.Locate(pa); p.Channel == at.Channel && p.Bank == at.Bank && (p.Row == at.Row) == same {
			return pa, true
		}
	}
	return 0, false
}
