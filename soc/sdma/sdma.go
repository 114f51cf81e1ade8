// Package sdma models the system DMA of OMAP2 to OMAP4 (sDMA): logical channels that copy memory to memory through a read port, a shared FIFO and a write port.
//
// # Transfers
//
// A block is Frames x Elements elements of 8, 16 or 32 bits. Source and destination each go through it in an addressing mode of their own: constant, post-increment, single index or double index. An
// index is added to the address of the last byte of an element to get the first byte of the next: 1 stands for the next element in memory. A double index with an element index of 1 is a 2D copy, one
// with others turns or mirrors an image.
//
// # Accesses
//
// A block is divided into accesses. A side that is not packed makes one for each element. A packed side makes bursts of 64, 32 or 16 B, up to its largest, where the address is aligned to the burst and
// so many bytes follow one another, and accesses of the port's width elsewhere, of which the first and the last may be filled in part. So a misaligned start climbs to the burst in a few smaller
// accesses, and the end comes down again.
//
// # Channels, FIFO and ports
//
// Each port has a scheduler. When an access has been granted it chooses the next among the channels that can make one, at the earliest time at which there is one and a thread (an access in flight)
// is free: the one that was served longest ago, of high priority before regular ones, but after N accesses of high priority a regular one that waits. Bytes take room in the FIFO from the request of
// their read until the memory scheduler grants their write. A channel can read while the FIFO has room for its largest burst, and while the channel itself holds less than its limit, which a burst may
// exceed. A write can be made when all its bytes have arrived. If no channel can read or write, because the FIFO is full of bytes that await the rest of their bursts, the one served
// longest ago writes what it has, in smaller accesses.
//
// Writes are non-posted (the channel's next write waits for the acknowledgement), posted (it does not, and a write is over for the channel when the memory scheduler has taken it), or posted except for the
// last. A block is over when its last write is; then its interrupt is raised and its linked channel starts.
//
// Nothing is scheduled per access: the next one is computed when the last one has been granted (see [bus.Source]). The end of a block is an event, and so is that of a frame if its interrupt is on.
// The cost is one look at each active channel an access.
//
// # Sources
//
// OMAP36xx TRM SWPU177N: 32 channels, FIFO of 256 x 32 bits, elements, linking and interrupt lines, p. 2336; threads of the ports, p. 2337; FIFO pool and channel limit, addressing modes, p. 2348; packing,
// bursts and their alignment, p. 2353; posted writes, p. 2360. The schedulers and the pointer that indexes are added to: TRM of the DRA745 SPRUI30H, system DMA, the same block. Limit and ratio of the
// priorities as Linux sets them: omap-dma.h. That a FIFO byte is free at the grant of its write, and that elements lie packed in the FIFO, are estimates.
//
// # Left out
//
// Hardware requests (channels are started by software), transparent copy, endianness conversion, linked lists of descriptors (type 1 to 3, OMAP36xx), bursts at a constant address, prefetch, disabling a
// channel during its transfer, reserved threads and FIFO budgets of priorities, half-frame and drop interrupts, supervisor modes. A program that would end in a misaligned address error is refused. A scheduler
// does not revise its choice: a channel that turns out to be ready before the chosen one waits for it.
package sdma

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc/l3"
)

// Channels is the number of logical channels of the hardware, and Lines that of its interrupt lines.
const (
	Channels = 32
	Lines    = 4
)

// WriteMode says how a channel's writes are acknowledged.
type WriteMode string

// The write modes (CSDP.WRITE_MODE).
const (
	NonPosted     WriteMode = "non-posted"
	Posted        WriteMode = "posted"
	LastNonPosted WriteMode = "last-non-posted"
)

// Values lists the write modes.
func (WriteMode) Values() []string {
	return []string{string(NonPosted), string(Posted), string(LastNonPosted)}
}

// Config is the hardware, how a driver sets its channels up, and its place on the interconnect.
type Config struct {
	Channels         int          `conf:"channels" doc:"Logical channels."`
	FIFO             units.Bytes  `conf:"fifo" doc:"FIFO that the channels share, between the read and the write port."`
	ChannelFIFO      units.Bytes  `conf:"channel_fifo" doc:"Bytes in the FIFO from which on a channel does not read (GCR.MAX_CHANNEL_FIFO_DEPTH); its last burst may exceed it."`
	ReadOutstanding  int          `conf:"read_outstanding" doc:"Threads of the read port: accesses in flight."`
	WriteOutstanding int          `conf:"write_outstanding" doc:"Threads of the write port."`
	ArbitrationRate  int          `conf:"arbitration_rate" doc:"Accesses of high-priority channels in a row before one of a regular channel that waits (GCR.ARBITRATION_RATE)."`
	Burst            units.Bytes  `conf:"burst" doc:"Largest burst that the driver programs: 16B, 32B or 64B."`
	Packing          bool         `conf:"packing" doc:"Whether the driver has elements packed; without it there are no bursts."`
	Writes           WriteMode    `conf:"write_mode" doc:"How writes are acknowledged that the driver programs: non-posted, posted or last-non-posted."`
	PrepareCycles    units.Cycles `conf:"prepare_cycles" doc:"Core cycles in which the driver prepares and submits a descriptor, without the registers."`
	CompleteCycles   units.Cycles `conf:"complete_cycles" doc:"Core cycles in which the driver completes a descriptor, without its interrupt and the registers."`
	l3.Initiator     `conf:",inline"`
}

// MaxFIFO bounds Config.FIFO, in bytes.
const MaxFIFO = 64 << 10

// Validate reports the first setting that makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Channels < 1 || c.Channels > Channels:
		return fmt.Errorf("sdma.channels: %d, want 1 to %d", c.Channels, Channels)
	case c.Burst != 16 && c.Burst != 32 && c.Burst != 64:
		return fmt.Errorf("sdma.burst: %v, want 16B, 32B or 64B", c.Burst)
	case c.FIFO < bus.BurstBytes || c.FIFO > MaxFIFO:
		return fmt.Errorf("sdma.fifo: %v, want from one burst of %v to %v", c.FIFO, units.Bytes(bus.BurstBytes), units.Bytes(MaxFIFO))
	case c.ChannelFIFO < bus.BurstBytes || c.ChannelFIFO > c.FIFO:
		return fmt.Errorf("sdma.channel_fifo: %v, want from one burst of %v to the fifo of %v", c.ChannelFIFO, units.Bytes(bus.BurstBytes), c.FIFO)
	case c.ReadOutstanding < 1 || c.ReadOutstanding > bus.MaxOutstanding:
		return fmt.Errorf("sdma.read_outstanding: %d, want 1 to %d accesses", c.ReadOutstanding, bus.MaxOutstanding)
	case c.WriteOutstanding < 1 || c.WriteOutstanding > bus.MaxOutstanding:
		return fmt.Errorf("sdma.write_outstanding: %d, want 1 to %d accesses", c.WriteOutstanding, bus.MaxOutstanding)
	case c.ArbitrationRate < 1 || c.ArbitrationRate > 255:
		return fmt.Errorf("sdma.arbitration_rate: %d, want 1 to 255", c.ArbitrationRate)
	case c.Writes != NonPosted && c.Writes != Posted && c.Writes != LastNonPosted:
		return fmt.Errorf("sdma.write_mode: %q, want %s, %s or %s", c.Writes, NonPosted, Posted, LastNonPosted)
	case c.PrepareCycles < 0 || c.CompleteCycles < 0:
		return fmt.Errorf("sdma: prepare_cycles %v and complete_cycles %v, want none negative", c.PrepareCycles, c.CompleteCycles)
	}
	if err := c.Initiator.Validate(); err != nil {
		return fmt.Errorf("sdma.%w", err)
	}
	return nil
}

// Status is a set of a channel's events, as in CSR and CICR.
type Status uint16

// The events: a frame has been written; the last frame begins (the one before it has been written, or the block starts); the block has been written.
const (
	Frame Status = 1 << 3
	Last  Status = 1 << 4
	Block Status = 1 << 5
)

// Stats counts since the start or the last reset. Reads and Writes are accesses granted, Blocks finished ones; Interrupts counts how often a line was raised.
type Stats struct {
	Blocks, Reads, Writes, BytesRead, BytesWritten, Interrupts uint64
}

// Device is one system DMA. It implements [bus.Source] and [sim.Handler].
type Device struct {
	// OnInterrupt, if set, is called by an event when a line is raised: when the first of its status bits is set. Until they are all cleared the line stays up.
	OnInterrupt func(line int)

	eng *sim.Engine
	id  sim.HandlerID
	cfg Config

	channels         [Channels]channel
	reading, writing uint32 // channels with reads and writes left that have not been requested
	read, write      port

	used  int    // bytes in the FIFO at the time of the last read
	freed frees  // what left it since
	turns uint64 // accesses scheduled and channels enabled

	enabled, raised [Lines]uint32 // IRQENABLE and IRQSTATUS of the lines
	stats           Stats
}

// New returns a device with all channels disabled. Connect it, then program and enable channels.
func New(eng *sim.Engine, cfg Config) (*Device, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := &Device{eng: eng, cfg: cfg}
	d.id = eng.Register(d)
	d.read = port{kind: bus.Read, threads: cfg.ReadOutstanding, channel: none}
	d.write = port{kind: bus.Write, threads: cfg.WriteOutstanding, channel: none}
	d.freed.init(int(cfg.FIFO))
	return d, nil
}

// Connect adds the device's two ports to the interconnect: the read port, then the write port.
func (d *Device) Connect(f *l3.Fabric, m bus.Master) {
	d.SetPorts(f.AddPort(d.cfg.Port(m, d.cfg.ReadOutstanding), d), f.AddPort(d.cfg.Port(m, d.cfg.WriteOutstanding), d))
}

// SetPorts connects the device to memory. The device must be the source of both ports, and the ports admit at least the configured numbers of accesses in flight for those to be the limit.
func (d *Device) SetPorts(read, write *bus.Port) { d.read.bus, d.write.bus = read, write }

// Config returns the configuration.
func (d *Device) Config() Config { return d.cfg }

// Program sets a channel up. The channel must not be enabled.
func (d *Device) Program(ch int, t Transfer) error {
	if ch < 0 || ch >= d.cfg.Channels {
		return fmt.Errorf("sdma: channel %d, want 0 to %d", ch, d.cfg.Channels-1)
	}
	c := &d.channels[ch]
	if c.enabled {
		return fmt.Errorf("sdma: channel %d is programmed while it is enabled", ch)
	}
	if err := t.validate(d.cfg.Channels); err != nil {
		return fmt.Errorf("sdma: channel %d: %w", ch, err)
	}
	if c.arrivals.slots == nil {
		c.arrivals.init(int(d.cfg.ChannelFIFO) + bus.BurstBytes)
	}
	c.transfer, c.programmed = t, true
	return nil
}

// Enable starts a programmed channel at the given time, at or after now.
func (d *Device) Enable(ch int, at sim.Time) error {
	switch {
	case d.read.bus == nil:
		return fmt.Errorf("sdma: channel %d is enabled without a port", ch)
	case ch < 0 || ch >= d.cfg.Channels || !d.channels[ch].programmed:
		return fmt.Errorf("sdma: channel %d is enabled, which has not been programmed", ch)
	case d.channels[ch].enabled:
		return fmt.Errorf("sdma: channel %d is enabled already", ch)
	case at < d.eng.Now():
		return fmt.Errorf("sdma: channel %d is enabled at %v, which is before %v", ch, at, d.eng.Now())
	}
	d.start(ch, at)
	return nil
}

// Enabled tells whether a channel is enabled: it runs, or its block's end has not come yet.
func (d *Device) Enabled(ch int) bool { return d.channels[ch].enabled }

// start enables a channel.
func (d *Device) start(ch int, at sim.Time) {
	c := &d.channels[ch]
	d.turns++
	single, burst := d.access()
	c.begin(at, d.turns, single, burst)
	if !c.transfer.Fill {
		d.reading |= 1 << ch
	}
	d.writing |= 1 << ch
	if c.transfer.Frames == 1 && c.transfer.Interrupts&Last != 0 {
		d.eng.Schedule(at, d.id, argument(ch, Last))
	}
	d.schedule()
}

// access returns the sizes of accesses that the ports set: single ones, and the largest burst.
func (d *Device) access() (single, burst int) {
	single = int(d.cfg.Width)
	if single == 0 {
		single = 8
	}
	burst = int(d.cfg.Initiator.Burst)
	return max(4, min(single, burst)), burst
}

// argument packs an event.
func argument(ch int, s Status) uint64 { return uint64(ch)<<16 | uint64(s) }

// Handle is the end of a frame or block, or the start of the last frame; the engine calls it.
func (d *Device) Handle(now sim.Time, arg uint64) {
	ch, s := int(arg>>16), Status(arg&0xffff)
	c := &d.channels[ch]
	if s&Block != 0 {
		d.stats.Blocks++
		c.enabled = false
		if t := &c.transfer; t.Linked && d.channels[t.Next].programmed && !d.channels[t.Next].enabled {
			d.start(t.Next, now)
		}
	}
	d.signal(ch, s&c.transfer.Interrupts)
}

// signal sets a channel's status and raises the lines it is enabled on.
func (d *Device) signal(ch int, s Status) {
	if s == 0 {
		return
	}
	d.channels[ch].status |= s
	bit := uint32(1) << ch
	for line := range d.raised {
		if d.enabled[line]&bit == 0 {
			continue
		}
		up := d.raised[line] != 0
		d.raised[line] |= bit
		if up {
			continue
		}
		d.stats.Interrupts++
		if d.OnInterrupt != nil {
			d.OnInterrupt(line)
		}
	}
}

// EnableIRQ sets which channels, a bit each, raise an interrupt line (IRQENABLE_Ln).
func (d *Device) EnableIRQ(line int, channels uint32) { d.enabled[line] = channels }

// IRQStatus returns the channels that raised a line (IRQSTATUS_Ln).
func (d *Device) IRQStatus(line int) uint32 { return d.raised[line] }

// ClearIRQ clears bits of a line's status; the line goes down when none is left.
func (d *Device) ClearIRQ(line int, channels uint32) { d.raised[line] &^= channels }

// Status returns the events of a channel since they were cleared (CSR).
func (d *Device) Status(ch int) Status { return d.channels[ch].status }

// ClearStatus clears events of a channel.
func (d *Device) ClearStatus(ch int, s Status) { d.channels[ch].status &^= s }

// Stats returns the counters.
func (d *Device) Stats() Stats { return d.stats }

// ResetStats zeroes the counters.
func (d *Device) ResetStats() { d.stats = Stats{} }
