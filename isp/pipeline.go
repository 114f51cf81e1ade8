package isp

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// FrameStart tells that the sensor begins frame Seq: its first active line starts now. Latched tells whether a buffer was armed; the frame goes there. Otherwise it is dropped.
type FrameStart struct {
	Seq     int
	At      sim.Time
	Latched bool
	Cookie  int // of the buffer, when Latched
}

// FrameDone tells that frame Seq is over. Start is when its first active line began, Done when its last byte was in memory. Overflowed means that data are missing: the frame is not usable.
type FrameDone struct {
	Seq         int
	Start, Done sim.Time
	Overflowed  bool
	Cookie      int
}

// Overflow is the loss of a data unit: at time At its first byte found the line port's storage full. Waited and Holder tell why the unit whose storage was due was late: the longest time that the
// last burst of a unit waited at the arbiter, of that unit and those that held it up, and the master served just before that burst.
//
// A frame that is still on its way to memory when the next one starts records one overflow at that time: Waited is then the time since the last unit was requested. Holder is bus.NoMaster if
// nothing that held it up has been granted yet.
type Overflow struct {
	At     sim.Time
	Seq    int
	Port   int // line port, 1 to LinePorts
	Waited sim.Time
	Holder bus.Master
}

// MaxOverflowRecords is how many overflows are recorded; all are counted.
const MaxOverflowRecords = 1000

// Stats counts since the last Reset. Every frame that started ends up in one of Captured, Dropped and Overflowed, unless the stream was stopped in the middle of it.
type Stats struct {
	Frames     uint64 // started by the sensor
	Captured   uint64 // complete in memory
	Dropped    uint64 // no buffer was armed at the start
	Overflowed uint64 // frames with lost data
	Overflows  uint64 // overflow events: one per lost data unit, and one per frame that was cut short by the next
}

// Events of the pipeline.
const (
	startEvent uint64 = iota
	doneEvent
)

// Pipeline is the ISP from sensor to memory. The sensor free-runs between Start and Stop; a driver arms a buffer for each frame it wants. The callbacks run as events of the engine and may call
// any method.
type Pipeline struct {
	// OnFrameStart and OnFrameDone, when set, are called at frame rate. The done of a frame comes before the start of the next.
	OnFrameStart func(FrameStart)
	OnFrameDone  func(FrameDone)

	eng     *sim.Engine
	handler sim.HandlerID
	port    Port
	cancel  canceler // the port, if it can
	clock   sim.Clock
	sensor  Sensor
	out     Output
	resizer Resizer

	// The stream. Time of pixel clock count n is origin + clock.Cycles(n).
	running bool
	streams int // streams started, tells a callback's Stop and Start from none
	origin  sim.Time
	frames  int // frames started: sequence number of the next
	starts  sim.Event

	// The shadow registers: latched at the next frame start.
	armed       bool
	nextTarget  bus.IOVA
	nextCookie  int
	stats       Stats
	overflowLog []Overflow

	frame frame
	sbl   sbl
}

// frame is the frame being written.
type frame struct {
	active     bool
	seq        int
	cookie     int
	target     bus.IOVA
	start      sim.Time
	base       int64 // pixel clock count of the start
	lastDone   sim.Time
	overflowed bool
	done       sim.Event // scheduled when the last unit was granted
	scheduled  bool
	doneAt     sim.Time
}

// New returns a stopped pipeline. It fails on settings that make no sense and on what the hardware cannot do: see [NewResizer] and [Resizer.CheckRate]; and the CCDC takes at most a pixel per
// processing clock.
func New(eng *sim.Engine, cfg Config, s Sensor, out Output) (*Pipeline, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if s.PixelClock > cfg.ProcessingClock {
		return nil, fmt.Errorf("isp: pixel clock of %v over the processing clock of %v, which is the fastest that the CCDC takes", s.PixelClock, cfg.ProcessingClock)
	}
	width, height := s.Width-cfg.CropColumns, s.Height-cfg.CropLines
	if width > cfg.MaxPreviewWidth {
		return nil, fmt.Errorf("isp: preview engine: output width %d over the limit of %d", width, cfg.MaxPreviewWidth)
	}
	r, err := NewResizer(cfg, width, height, out)
	if err != nil {
		return nil, fmt.Errorf("isp: %dx%d sensor: %w", s.Width, s.Height, err)
	}
	if err := r.CheckRate(s.PixelClock, cfg.ProcessingClock); err != nil {
		return nil, fmt.Errorf("isp: %w", err)
	}
	p := &Pipeline{
		eng: eng, clock: sim.NewClock(int64(s.PixelClock)), sensor: s, out: out, resizer: r,
		overflowLog: make([]Overflow, 0, MaxOverflowRecords),
		sbl:         newSBL(cfg, s, r, out),
	}
	p.handler = eng.Register(p)
	return p, nil
}

// Resizer returns the resizer's setting.
func (p *Pipeline) Resizer() Resizer { return p.resizer }

// Sensor returns the sensor's timing.
func (p *Pipeline) Sensor() Sensor { return p.sensor }

// Output returns the image that is written.
func (p *Pipeline) Output() Output { return p.out }

// canceler is a port that can withdraw what it was offered and has not been granted; the pipeline is then not told of it.
type canceler interface{ Cancel() }

// SetPort connects the pipeline to memory. It must be called before Start. When a frame is abandoned, the data unit at the port is withdrawn if the port has a method Cancel; otherwise it still
// goes to memory, late, and holds up the next frame's first unit.
func (p *Pipeline) SetPort(port Port) {
	p.port = port
	p.cancel, _ = port.(canceler)
}

// Stats returns the counters. A data unit is judged when the one before it is granted, so an overflow may be counted up to a unit early.
func (p *Pipeline) Stats() Stats { return p.stats }

// Overflows returns the records of the first MaxOverflowRecords overflows since the last Reset, in the order of their data units. The slice is valid until the next Reset.
func (p *Pipeline) Overflows() []Overflow { return p.overflowLog }

// Reset zeroes the counters and forgets the records, at the end of a warm-up. The stream goes on.
func (p *Pipeline) Reset() {
	p.stats = Stats{}
	p.overflowLog = p.overflowLog[:0]
}

// Start lets the sensor run from time at, when the first frame (sequence number 0) starts.
func (p *Pipeline) Start(at sim.Time) {
	if p.running {
		panic("isp: Start of a running pipeline")
	}
	if p.port == nil {
		panic("isp: Start without a port")
	}
	p.running, p.origin, p.frames = true, at, 0
	p.streams++
	p.starts = p.eng.Schedule(at, p.handler, startEvent)
}

// Stop ends the stream now. A frame under way is abandoned and no callback comes for it. The armed buffer is forgotten.
func (p *Pipeline) Stop() {
	if !p.running {
		return
	}
	p.running = false
	p.eng.Cancel(p.starts)
	p.closeFrame()
	p.Disarm()
}

// Arm programs the address of the next buffer, which must be aligned to 32 bytes. It is latched, and used up, at the next frame start; cookie comes back in the callbacks. Arming again before that
// replaces it.
func (p *Pipeline) Arm(target bus.IOVA, cookie int) {
	if target%outputAlign != 0 {
		panic(fmt.Sprintf("isp: output address %v not aligned to %d bytes", target, outputAlign))
	}
	p.armed, p.nextTarget, p.nextCookie = true, target, cookie
}

// Disarm takes back an armed buffer that no frame has latched yet.
func (p *Pipeline) Disarm() { p.armed = false }

// Handle runs the pipeline's events; for the engine only.
func (p *Pipeline) Handle(now sim.Time, arg uint64) {
	switch arg {
	case startEvent:
		p.startFrame(now)
	case doneEvent:
		p.frame.scheduled = false
		p.finish(now, p.frame.overflowed)
	}
}

// startFrame ends what is left of the last frame and begins the next.
func (p *Pipeline) startFrame(now sim.Time) {
	stream := p.streams
	if p.frame.active {
		p.finishLate(now)
		if !p.running || p.streams != stream {
			return
		}
	}
	seq := p.frames
	p.frames++
	p.starts = p.eng.Schedule(p.at(int64(p.frames)*p.sensor.frameClocks()), p.handler, startEvent)
	p.stats.Frames++

	e := FrameStart{Seq: seq, At: now, Latched: p.armed}
	if p.armed {
		p.armed = false
		e.Cookie = p.nextCookie
		p.frame = frame{
			active: true, seq: seq, cookie: p.nextCookie, target: p.nextTarget, start: now, base: int64(seq) * p.sensor.frameClocks(), lastDone: now,
		}
		p.sbl.rewind(p.resizer)
		if !p.sbl.busy {
			p.offer(now)
		}
	} else {
		p.stats.Dropped++
	}
	if p.OnFrameStart != nil {
		p.OnFrameStart(e)
	}
}

// finishLate ends a frame that is not over at the start of the next. If its last byte reaches memory just now it is complete, else what is left of it is abandoned.
func (p *Pipeline) finishLate(now sim.Time) {
	late := !p.frame.scheduled || p.frame.doneAt > now
	if late {
		port, waited := p.sbl.pending(now)
		p.overflow(now, port, waited, p.sbl.holder)
	}
	p.finish(now, late || p.frame.overflowed)
}

// finish tells that the frame is over.
func (p *Pipeline) finish(now sim.Time, overflowed bool) {
	e := FrameDone{Seq: p.frame.seq, Start: p.frame.start, Done: now, Overflowed: overflowed, Cookie: p.frame.cookie}
	p.closeFrame()
	if overflowed {
		p.stats.Overflowed++
	} else {
		p.stats.Captured++
	}
	if p.OnFrameDone != nil {
		p.OnFrameDone(e)
	}
}

// closeFrame forgets the frame, its event and what it has at the port.
func (p *Pipeline) closeFrame() {
	if p.frame.scheduled {
		p.eng.Cancel(p.frame.done)
	}
	p.frame = frame{}
	if p.sbl.busy && p.cancel != nil {
		p.cancel.Cancel()
		p.sbl.busy = false
	}
	p.sbl.stale = p.sbl.busy
}

// overflow counts and records a loss.
func (p *Pipeline) overflow(at sim.Time, port int, waited sim.Time, holder bus.Master) {
	p.frame.overflowed = true
	p.stats.Overflows++
	if len(p.overflowLog) < MaxOverflowRecords {
		p.overflowLog = append(p.overflowLog, Overflow{At: at, Seq: p.frame.seq, Port: port + 1, Waited: waited, Holder: holder})
	}
}

// at returns the time of a pixel clock count since the start of the stream.
func (p *Pipeline) at(count int64) sim.Time { return p.origin + p.clock.Cycles(count) }
