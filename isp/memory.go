package isp

import (
	"fmt"
	"math/bits"

	"socsim/sim"
	"socsim/sim/bus"
)

// JobDone tells that a job is over: Start is when the ISP began with it, Done when its last byte was processed and, if it writes, in memory.
type JobDone struct {
	Cookie      int
	Start, Done sim.Time
}

// MemoryStats counts since the last Reset.
type MemoryStats struct {
	Jobs         uint64 // done
	BytesRead    uint64
	BytesWritten uint64
	Stalled      sim.Time // processing stood still for want of data or room
}

// Memory is a path of the ISP from memory to memory, or from memory to the histogram. It works through images of one size, a job each, in the order in which they were submitted.
//
// Nothing is lost on this path (TRM p. 1297: reads from memory do not fail, they stall). Processing takes the input's data units one after the other at a steady rate, one pixel after
// another without blanking; it stands still before a data unit that has not come in, and before the first byte of an output's unit whose port is full. The read port requests a unit as
// soon as it has room for it: when the unit so many before it has been used up. A written unit takes storage from its first byte until its last burst is done.
//
// An image of P pixels takes T cycles of the processing clock, pixel n being over after n*T/P cycles, rounded up, unless something stalls. T is the longest of
//
//	bytes of the input / m2m_rate
//	bytes of the resizer's input / m2m_resizer_rate
//	the resizer's output stages at the rates of [Resizer.CheckRate]
//
// The input is read whole, with the few lines and columns that the resizer leaves over.
//
// Cost: O(ports) a data unit and no event, one event a job.
type Memory struct {
	// OnDone, when set, is called as an event at the time at which a job is over. It may submit the next.
	OnDone func(JobDone)

	isp     *ISP
	handler sim.HandlerID
	clock   sim.Clock
	clocks  int64 // cycles that an image takes
	pixels  int64
	resizer Resizer
	reads   PortID
	in, out Image
	ports   []memoryPort // the read port last
	stats   MemoryStats

	jobs  []job // queued; the first is under way if busy
	busy  bool
	start sim.Time
	// Pixel n of the job is over at base + the time of its cycles: the start, and all stalls so far.
	base     sim.Time
	lastDone sim.Time
	finished bool // all has been processed
}

type job struct {
	src, dst bus.IOVA
	cookie   int
}

// memoryPort is a client of the shared buffer logic that makes processing wait. Units are numbered from 0 in each job; those of a number n and n + slots share storage.
type memoryPort struct {
	m      *Memory
	id     PortID
	lane   *bus.Lane[bus.IOVA]
	raster raster
	total  int
	addr   bus.IOVA

	ready []sim.Time // by storage: when the unit may be requested
	done  []sim.Time // by storage: when the unit last granted was done
	// How many units may be requested, have been granted, and have begun to be processed. The unit under way is open.
	allowed, granted, begun int
	open                    bool
	// Where the next unit to request is, and the next one to process.
	issue, process cursor
}

// cursor is a place in a raster.
type cursor struct{ line, unit int }

func (c *cursor) advance(r *raster) {
	if c.unit++; c.unit == len(r.units) {
		c.line, c.unit = c.line+1, 0
	}
}

// ResizeMemory returns a path that reads images, YUV 4:2:2 or one plane, and writes them resized. It claims the resizer.
func (i *ISP) ResizeMemory(in, out Image) (*Memory, error) {
	if err := in.checkInput("resizer"); err != nil {
		return nil, err
	}
	z, err := NewResizer(i.cfg, in.Width, in.Height, out)
	if err != nil {
		return nil, fmt.Errorf("isp: %w", err)
	}
	if in.BytesPerPixel != out.BytesPerPixel {
		return nil, fmt.Errorf("isp: resizer: %d bytes per pixel in and %d out: it does not convert", in.BytesPerPixel, out.BytesPerPixel)
	}
	if err := i.claim("resizer from memory", resizer); err != nil {
		return nil, err
	}
	m := i.newMemory(in, out, ResizerIn)
	m.resizer = z
	m.clocks = max(perCycle(in, int(i.cfg.ResizerRate)), z.cycles(i.cfg, in))
	m.addPorts(lineIDs[:], resized(int(i.cfg.DataUnit), out, z, 0, 0, in.Width))
	return m, nil
}

// PreviewMemory returns a path that reads raw images and writes what the preview engine makes of them, its lines stride bytes apart. It claims the preview engine.
func (i *ISP) PreviewMemory(in Image, stride int) (*Memory, error) {
	if err := i.checkPreviewMemory(in); err != nil {
		return nil, err
	}
	out := i.cfg.previewed(in.Width, in.Height, stride)
	if err := out.check("preview image"); err != nil {
		return nil, err
	}
	if err := i.claim("preview from memory", previewEngine); err != nil {
		return nil, err
	}
	m := i.newMemory(in, out, PreviewIn)
	m.clocks = perCycle(in, int(i.cfg.MemoryRate))
	m.addPorts([]PortID{PreviewOut}, []raster{plain(int(i.cfg.DataUnit), out, i.cfg.CropColumns/2, i.cfg.CropLines/2, in.Width)})
	return m, nil
}

// PreviewResizeMemory returns a path that reads raw images and writes what preview engine and resizer make of them. It claims both.
func (i *ISP) PreviewResizeMemory(in, out Image) (*Memory, error) {
	if err := i.checkPreviewMemory(in); err != nil {
		return nil, err
	}
	mid := i.cfg.previewed(in.Width, in.Height, 0)
	z, err := NewResizer(i.cfg, mid.Width, mid.Height, out)
	if err != nil {
		return nil, fmt.Errorf("isp: %dx%d raw image: %w", in.Width, in.Height, err)
	}
	if err := i.claim("preview and resizer from memory", previewEngine, resizer); err != nil {
		return nil, err
	}
	m := i.newMemory(in, out, PreviewIn)
	m.resizer = z
	m.clocks = max(perCycle(in, int(i.cfg.MemoryRate)), perCycle(mid, int(i.cfg.ResizerRate)), z.cycles(i.cfg, mid))
	m.addPorts(lineIDs[:], resized(int(i.cfg.DataUnit), out, z, i.cfg.CropColumns/2, i.cfg.CropLines/2, in.Width))
	return m, nil
}

// HistogramMemory returns a path that reads images and writes nothing to memory. It claims the histogram.
func (i *ISP) HistogramMemory(in Image) (*Memory, error) {
	if err := in.checkInput("histogram"); err != nil {
		return nil, err
	}
	if err := i.claim("histogram from memory", histogram); err != nil {
		return nil, err
	}
	m := i.newMemory(in, Image{}, HistogramIn)
	m.clocks = perCycle(in, int(i.cfg.MemoryRate))
	m.addPorts(nil, nil)
	return m, nil
}

func (i *ISP) checkPreviewMemory(in Image) error {
	if err := in.checkInput("preview engine"); err != nil {
		return err
	}
	return i.cfg.checkPreview(in.Width, in.Height, 0)
}

// maxMemoryInput bounds an input's width and height, so that counts stay far inside 63 bits.
const maxMemoryInput = 8192

// checkInput reports the first field that cannot be right for an image that a block reads.
func (m Image) checkInput(block string) error {
	if m.Width > maxMemoryInput || m.Height > maxMemoryInput {
		return fmt.Errorf("isp %s input: %dx%d pixels, want at most %dx%d", block, m.Width, m.Height, maxMemoryInput, maxMemoryInput)
	}
	return m.check(block + " input")
}

// perCycle returns the cycles in which an image is taken at so many bytes a cycle.
func perCycle(m Image, rate int) int64 {
	bytes := int64(m.Width) * int64(m.Height) * int64(m.BytesPerPixel)
	return (bytes + int64(rate) - 1) / int64(rate)
}

// cycles returns the processing clocks in which the resizer's output stages can put out what they make of an input: columns at the processing clock, lines at twice that, and at most 100 and 200
// Mpixel/s, as on the fly.
func (r Resizer) cycles(cfg Config, in Image) int64 {
	processing := uint64(cfg.ProcessingClock)
	limit := min(processing, maxResizerRate)
	pixels := uint64(in.Width) * uint64(in.Height)
	columns := mulDiv(pixels*uint64(r.OutWidth), processing, uint64(r.UsedWidth)*limit)
	lines := mulDiv(pixels*uint64(r.OutWidth)*uint64(r.OutHeight), processing, uint64(r.UsedWidth)*uint64(r.UsedHeight)*2*limit)
	return int64(max(columns, lines))
}

// mulDiv returns a*b/c, rounded up.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	q, rest := bits.Div64(hi, lo, c)
	if rest > 0 {
		q++
	}
	return q
}

func (i *ISP) newMemory(in, out Image, reads PortID) *Memory {
	m := &Memory{isp: i, clock: sim.NewClock(int64(i.cfg.ProcessingClock)), in: in, out: out, pixels: int64(in.Width) * int64(in.Height)}
	m.reads = reads
	m.handler = i.eng.Register(m)
	return m
}

// addPorts adds the ports that write and the one that reads, and gives them their storage.
func (m *Memory) addPorts(ids []PortID, rasters []raster) {
	for k, r := range rasters {
		m.ports = append(m.ports, memoryPort{id: ids[k], raster: r})
	}
	m.ports = append(m.ports, memoryPort{id: m.reads, raster: source(int(m.isp.cfg.DataUnit), m.in)})
	for k := range m.ports {
		p := &m.ports[k]
		slots := p.id.slots(m.isp.cfg)
		p.m, p.total, p.ready, p.done = m, p.raster.total(), make([]sim.Time, slots), make([]sim.Time, slots)
		p.lane = m.isp.lane(p.id, p)
	}
}

// Resizer returns the resizer's setting, if the path has one.
func (m *Memory) Resizer() Resizer { return m.resizer }

// Input returns the image that is read.
func (m *Memory) Input() Image { return m.in }

// Image returns the image that is written; the zero image for a histogram.
func (m *Memory) Image() Image { return m.out }

// Time returns how long a job takes that never stalls, from the arrival of its first data unit to the processing of its last pixel.
func (m *Memory) Time() sim.Time { return m.clock.Cycles(m.clocks) }

// Stats returns the counters.
func (m *Memory) Stats() MemoryStats { return m.stats }

// Reset zeroes the counters.
func (m *Memory) Reset() { m.stats = MemoryStats{} }

// Pending returns the number of jobs submitted and not done.
func (m *Memory) Pending() int { return len(m.jobs) }

// Submit queues a job from src to dst, which must be aligned to 32 bytes; a histogram ignores dst. cookie comes back in OnDone. The ISP begins at once if it has nothing else to do on this path.
func (m *Memory) Submit(src, dst bus.IOVA, cookie int) {
	if m.isp.port == nil {
		panic("isp: Submit without a port")
	}
	if (src|dst)%outputAlign != 0 {
		panic(fmt.Sprintf("isp: job from %v to %v: not aligned to %d bytes", src, dst, outputAlign))
	}
	m.jobs = append(m.jobs, job{src, dst, cookie})
	if !m.busy {
		m.begin(m.isp.eng.Now())
	}
}

// begin starts the first job of the queue.
func (m *Memory) begin(now sim.Time) {
	j := m.jobs[0]
	m.busy, m.finished, m.start, m.base, m.lastDone = true, false, now, now, now
	for k := range m.ports {
		p := &m.ports[k]
		p.addr, p.allowed, p.granted, p.begun, p.open, p.issue, p.process = j.dst, 0, 0, 0, false, cursor{}, cursor{}
	}
	in := &m.ports[len(m.ports)-1]
	in.addr = j.src
	for in.allowed < min(len(in.ready), in.total) {
		in.allow(now)
	}
	m.run()
}

// allow lets one more unit be requested from a time on.
func (p *memoryPort) allow(at sim.Time) {
	p.ready[p.allowed%len(p.ready)] = at
	p.allowed++
	if p.lane.Idle() && p.granted == p.allowed-1 {
		p.request()
	}
}

// request shows the next unit to the bus.
func (p *memoryPort) request() {
	l, u := &p.raster.lines[p.issue.line], &p.raster.units[p.issue.unit]
	p.lane.Issue(p.ready[p.granted%len(p.ready)], p.addr+bus.IOVA(l.offset+int64(u.offset)), int(u.bytes), p.id.Write())
}

// Granted takes note of when the unit at the bus is done, shows the next and goes on with processing; for the shared buffer logic only.
func (p *memoryPort) Granted(port *bus.Port, done sim.Time) {
	m := p.m
	m.isp.granted(port, p.ready[p.granted%len(p.ready)])
	n := uint64(p.raster.units[p.issue.unit].bytes)
	if p.id.Write() {
		m.stats.BytesWritten += n
	} else {
		m.stats.BytesRead += n
	}
	p.done[p.granted%len(p.done)] = done
	p.granted++
	p.issue.advance(&p.raster)
	m.lastDone = max(m.lastDone, done)
	if p.granted < p.allowed {
		p.request()
	}
	m.run()
}

// next returns the pixel count at which the port next has to do with processing: the first or the last of the unit under way. It returns false if it has done its share.
func (p *memoryPort) next() (int64, bool) {
	if p.process.line == len(p.raster.lines) {
		return 0, false
	}
	u := &p.raster.units[p.process.unit]
	count := p.raster.lines[p.process.line].base + u.first
	if p.open {
		count += u.last - u.first
	}
	return count, true
}

// run goes on with processing until a port makes it wait for a grant, or all is done.
func (m *Memory) run() {
	for !m.finished {
		p, count := m.step()
		if p == nil {
			m.finished = true
			break
		}
		if !p.pass(m.base + m.clock.Cycles(m.cycles(count))) {
			return
		}
	}
	for k := range m.ports {
		if p := &m.ports[k]; p.granted < p.total {
			return
		}
	}
	m.isp.eng.Schedule(max(m.lastDone, m.base+m.clock.Cycles(m.clocks)), m.handler, 0)
}

// cycles returns the cycles that a number of pixels take.
func (m *Memory) cycles(pixels int64) int64 { return (pixels*m.clocks + m.pixels - 1) / m.pixels }

// step returns the port that processing comes to next, and the pixel count there. At the same count a unit ends before another begins, and the outputs come before the input.
func (m *Memory) step() (best *memoryPort, at int64) {
	for k := range m.ports {
		p := &m.ports[k]
		count, ok := p.next()
		if ok && (best == nil || count < at || count == at && p.open && !best.open) {
			best, at = p, count
		}
	}
	return best, at
}

// pass takes processing over the begin or the end of a unit, which it reaches at a time, and returns true; or false if it must wait for a grant.
func (p *memoryPort) pass(now sim.Time) bool {
	if p.open {
		p.open = false
		p.process.advance(&p.raster)
		if p.id.Write() || p.allowed < p.total {
			p.allow(now) // the unit, to be written; or another read in its place
		}
		return true
	}
	// The unit's data must have come in, or the unit before it in the same storage must have gone out.
	wait := p.begun
	if p.id.Write() {
		wait -= len(p.done)
	}
	if wait >= p.granted {
		return false
	}
	if wait >= 0 {
		if late := p.done[wait%len(p.done)] - now; late > 0 {
			p.m.base += late
			p.m.stats.Stalled += late
		}
	}
	p.begun++
	p.open = true
	return true
}

// Handle ends a job; for the engine only.
func (m *Memory) Handle(now sim.Time, _ uint64) {
	e := JobDone{Cookie: m.jobs[0].cookie, Start: m.start, Done: now}
	m.jobs = append(m.jobs[:0], m.jobs[1:]...)
	m.busy = false
	m.stats.Jobs++
	if len(m.jobs) > 0 {
		m.begin(now)
	}
	if m.OnDone != nil {
		m.OnDone(e)
	}
}
