// Package dramreplay drives a memory by a recorded trace of requests, and says what became of them.
//
// Requests are handed over in the order of the trace, one a clock at most, each at its arrival clock or as soon as the controller accepts it; those behind wait. A request is one burst, whatever the
// distance of the addresses. Handed over at clock c, it is in the controller at c+1 and has its first command at c+2, under any scheduler. Latency counts from c+1 to the end of the data: for a read of
// an idle memory 1 + CL + BL/2 clocks with its row open, tRCD more with its bank closed, tRP + tRCD more in a conflict. Writes have none.
//
// Under frfcfs, the last few writes stay in the buffer, as they would in hardware.
package dramreplay

import (
	"context"
	"fmt"
	"io"

	"socsim/internal/dramtrace"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/dram"
)

// Config is what --set reaches.
type Config struct {
	DRAM   dram.Config `conf:"dram,required,preset=dram" doc:"Controller and timings: a preset, or a preset with settings of its own."`
	Memory Memory      `conf:"memory" doc:"The memory behind the controller."`
}

// Memory is the extent of the memory.
type Memory struct {
	Size units.Bytes `conf:"size" doc:"Size of all channels, a power of two: addresses wrap around at it, and baroco puts the bank below it."`
}

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	if err := c.DRAM.Validate(); err != nil {
		return err
	}
	least := c.DRAM.Row * units.Bytes(max(1, c.DRAM.Banks)*max(1, c.DRAM.Channels))
	if s := c.Memory.Size; s <= 0 || s&(s-1) != 0 || s < least {
		return fmt.Errorf("memory.size: %v, want a power of two of at least %v, a row of each bank", s, least)
	}
	return nil
}

// Source gives requests, and io.EOF at their end.
type Source interface {
	Next() (dramtrace.Request, error)
}

// Outcome is what became of a trace. Clocks are those of the memory; a clock of -1 never came.
type Outcome struct {
	dram.Stats
	Cycles                              int64 // until all is over
	FirstAccept, LastAccept, LastReturn int64 // LastReturn is the end of the last read's data
	Latency                             Latencies
	Resting                             int // writes left in the buffer
}

// port is a controller as a replay sees it.
type port interface {
	// accept hands a request over at clock at or the first after it that is possible, and returns that clock.
	accept(at int64, pa bus.Phys, write bool) int64
	// finish lets all come to its end and returns the clock.
	finish() int64
	stats() dram.Stats
	resting() int
}

// checkEvery is how many requests pass between two looks at the context.
const checkEvery = 1 << 14

// Run drives the memory by a trace. If it cannot to the end, for an error of the trace or because the context ends, it returns what became of the requests so far, if there are any, and the error. The observer, which may be nil, is shown all commands in the order of their clocks.
func Run(ctx context.Context, cfg Config, src Source, observe dram.Observer) (*Outcome, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	o := &Outcome{FirstAccept: -1, LastAccept: -1, LastReturn: -1}
	p, err := newPort(cfg, o, observe)
	if err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		var req dramtrace.Request
		if req, err = src.Next(); err != nil {
			break
		}
		o.LastAccept = p.accept(max(req.Arrival, o.LastAccept+1), busAddr(req.Addr, cfg), req.Write)
		if o.FirstAccept < 0 {
			o.FirstAccept = o.LastAccept
		}
		if n%checkEvery == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
	}
	if err == io.EOF {
		err = nil
	} else if o.FirstAccept < 0 {
		return nil, err
	}
	o.Cycles = max(p.finish(), o.LastAccept+2)
	o.Stats, o.Resting = p.stats(), p.resting()
	return o, err
}

// busAddr is the address in the memory.
func busAddr(addr uint64, cfg Config) bus.Phys {
	return bus.Phys(addr & (uint64(cfg.Memory.Size) - 1))
}

// returned notes that a read handed over at a clock has its data.
func (o *Outcome) returned(handed, end int64) {
	o.LastReturn = max(o.LastReturn, end)
	o.Latency.Add(end - handed - 1)
}

func newPort(cfg Config, o *Outcome, observe dram.Observer) (port, error) {
	var sorter *dram.Sorter
	if observe != nil {
		sorter = dram.NewSorter(observe)
	}
	if cfg.DRAM.Scheduler == dram.FirstReady {
		p := &reordering{sorter: sorter}
		c, err := dram.NewFRFCFS(cfg.DRAM, 0, int64(cfg.Memory.Size), func(handed uint64, end int64) {
			if handed != posted {
				o.returned(int64(handed), end)
			}
		})
		if err != nil {
			return nil, err
		}
		p.c = c
		if sorter != nil {
			c.Observe(sorter.Add)
		}
		return p, nil
	}
	c, err := dram.New(cfg.DRAM, 0, int64(cfg.Memory.Size))
	if err != nil {
		return nil, err
	}
	p := &inOrder{c: c, o: o, bytes: int(cfg.DRAM.RequestBytes()), sorter: sorter}
	if cfg.DRAM.Scheduler.Banked() {
		p.ends = make([]int64, cfg.DRAM.LookAhead)
	}
	if sorter != nil {
		c.Observe(sorter.Add)
	}
	return p, nil
}

// front is the clocks from the hand-over to the first command.
const front = 2

// inOrder is a controller that fixes times when it accepts.
type inOrder struct {
	c      *dram.Controller
	o      *Outcome
	bytes  int
	ends   []int64 // of the last requests, as many as may be in flight; none for any number
	slot   int
	last   int64
	sorter *dram.Sorter
}

func (p *inOrder) accept(at int64, pa bus.Phys, write bool) int64 {
	if len(p.ends) > 0 {
		at = max(at, p.ends[p.slot]-front)
	}
	if p.sorter != nil {
		p.c.Settle(at + front) // channels that have nothing to do show their refreshes, too
	}
	_, end := p.c.Serve(at+front, pa, p.bytes, write)
	if p.sorter != nil {
		p.sorter.Release(at + front + 1)
	}
	if len(p.ends) > 0 {
		p.ends[p.slot] = end
		if p.slot++; p.slot == len(p.ends) {
			p.slot = 0
		}
	}
	p.last = max(p.last, end)
	if !write {
		p.o.returned(at, end)
	}
	return at
}

func (p *inOrder) finish() int64 {
	p.c.Settle(p.last)
	if p.sorter != nil {
		p.sorter.Flush()
	}
	return p.last
}

func (p *inOrder) stats() dram.Stats { return p.c.Stats() }
func (p *inOrder) resting() int      { return 0 }

// posted is the tag of writes.
const posted = ^uint64(0)

// reordering is a controller that decides as it goes.
type reordering struct {
	c      *dram.FRFCFS
	sorter *dram.Sorter
}

func (p *reordering) accept(at int64, pa bus.Phys, write bool) int64 {
	p.c.AdvanceTo(at)
	for !p.c.Accepts(pa, write) {
		at = p.c.Next()
		p.c.AdvanceTo(at)
	}
	tag := uint64(at)
	if write {
		tag = posted
	}
	p.c.Enqueue(at, pa, write, tag)
	if p.sorter != nil {
		p.sorter.Release(at + 1)
	}
	return at
}

func (p *reordering) finish() int64 {
	for !p.c.Idle() {
		p.c.AdvanceTo(p.c.Next())
	}
	end := p.c.DataEnd()
	p.c.Settle(end)
	if p.sorter != nil {
		p.sorter.Flush()
	}
	return end
}

func (p *reordering) stats() dram.Stats { return p.c.Stats() }
func (p *reordering) resting() int      { return p.c.Resting() }
