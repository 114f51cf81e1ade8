package isp

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/units"
)

// Events of the pipeline.
const (
	startEvent uint64 = iota
	doneEvent         // and the index of the tap
)

// Path says what an on-the-fly path is made of: the CCDC behind a sensor, and what goes to memory from there. What is zero is left out, but something must be written.
type Path struct {
	Sensor Sensor
	// RawStride is the distance between the lines of the raw image that the CCDC writes, 2 bytes a pixel.
	RawStride int
	// PreviewStride is the distance between the lines of the image that the preview engine writes, YUV 4:2:2.
	PreviewStride int
	// Resized is the image that the resizer makes of the preview engine's.
	Resized Image
	// AF and AEWB are the bytes of statistics that H3A writes in a frame, and GainTable those of the lens shading gains that the CCDC reads: evenly over the active lines.
	AF, AEWB, GainTable units.Bytes
}

// Pipeline is an on-the-fly path of the ISP: sensor, CCDC, and if something needs them preview engine and resizer. The sensor free-runs between Start and Stop. Each place that data leave
// for memory is a [Tap] with buffers of its own, nil if the path does not have it: a raw still frame is captured while the resized images go on.
type Pipeline struct {
	Resized, Preview, Raw, AF, AEWB *Tap

	isp     *ISP
	handler sim.HandlerID
	clock   sim.Clock
	sensor  Sensor
	resizer Resizer
	taps    []*Tap
	gain    *gainReader

	// The stream. Time of pixel clock count n is origin + clock.Cycles(n).
	running bool
	streams int // streams started, tells a callback's Stop and Start from none
	origin  sim.Time
	frames  int // frames started: sequence number of the next
	starts  sim.Event
	begun   []FrameStart // of the taps, in startFrame
	glitches

	overflowLog []Overflow
}

// OnTheFly returns a stopped on-the-fly path, which claims the CCDC and as far as they are needed preview engine and resizer. It fails if another path has one of them, and on what the
// hardware cannot do: see [NewResizer] and [Resizer.CheckRate]; and the CCDC takes at most a pixel per processing clock.
func (i *ISP) OnTheFly(path Path) (*Pipeline, error) {
	p := &Pipeline{isp: i, sensor: path.Sensor}
	blocks, err := p.plan(path)
	if err != nil {
		return nil, err
	}
	if err := i.claim("on the fly", blocks...); err != nil {
		return nil, err
	}
	p.clock = sim.NewClock(int64(path.Sensor.PixelClock))
	p.build(path)
	p.begun = make([]FrameStart, len(p.taps))
	p.overflowLog = make([]Overflow, 0, MaxOverflowRecords)
	p.handler = i.eng.Register(p)
	return p, nil
}

// plan checks a path and returns the blocks that it needs.
func (p *Pipeline) plan(path Path) ([]block, error) {
	cfg, s := &p.isp.cfg, path.Sensor
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if s.PixelClock > cfg.ProcessingClock {
		return nil, fmt.Errorf("isp: pixel clock of %v over the processing clock of %v, which is the fastest that the CCDC takes", s.PixelClock, cfg.ProcessingClock)
	}
	for _, n := range []units.Bytes{path.AF, path.AEWB, path.GainTable} {
		if n < 0 || n > maxStatistics {
			return nil, fmt.Errorf("isp: %v of statistics or gains a frame, want 0 to %v", n, maxStatistics)
		}
	}
	if path.RawStride == 0 && path.PreviewStride == 0 && path.Resized == (Image{}) && path.AF == 0 && path.AEWB == 0 {
		return nil, fmt.Errorf("isp: the path writes nothing: want a raw, preview or resized image or statistics")
	}
	if path.RawStride != 0 {
		if err := path.raw().check("raw image"); err != nil {
			return nil, err
		}
	}
	blocks := []block{ccdc}
	if path.PreviewStride == 0 && path.Resized == (Image{}) {
		return blocks, nil
	}
	blocks = append(blocks, previewEngine)
	if err := cfg.checkPreview(s.Width, s.Height, path.PreviewStride); err != nil {
		return nil, err
	}
	if path.Resized == (Image{}) {
		return blocks, nil
	}
	var err error
	if p.resizer, err = NewResizer(*cfg, s.Width-cfg.CropColumns, s.Height-cfg.CropLines, path.Resized); err != nil {
		return nil, fmt.Errorf("isp: %dx%d sensor: %w", s.Width, s.Height, err)
	}
	if err := p.resizer.CheckRate(s.PixelClock, cfg.ProcessingClock); err != nil {
		return nil, fmt.Errorf("isp: %w", err)
	}
	return append(blocks, resizer), nil
}

// maxStatistics bounds the statistics and gains of a frame: far more than the hardware makes of its windows.
const maxStatistics units.Bytes = 1 << 20

func (path Path) raw() Image {
	return Image{Width: path.Sensor.Width, Height: path.Sensor.Height, BytesPerPixel: 2, Stride: path.RawStride}
}

// build adds the taps and the gain table. The last image of the chain is the path's stream: a frame without a buffer for it counts as dropped.
func (p *Pipeline) build(path Path) {
	cfg, s := p.isp.cfg, path.Sensor
	size := int(cfg.DataUnit)
	if path.Resized != (Image{}) {
		r := resized(size, path.Resized, p.resizer, cfg.CropColumns/2, cfg.CropLines/2, s.LineTotal)
		p.Resized = p.newTap(path.Resized, path.Resized.Bytes(), lineIDs[:], r)
	}
	if path.PreviewStride != 0 {
		m := cfg.previewed(s.Width, s.Height, path.PreviewStride)
		p.Preview = p.newTap(m, m.Bytes(), []PortID{PreviewOut}, []raster{plain(size, m, cfg.CropColumns/2, cfg.CropLines/2, s.LineTotal)})
	}
	if path.RawStride != 0 {
		m := path.raw()
		p.Raw = p.newTap(m, m.Bytes(), []PortID{CCDCOut}, []raster{plain(size, m, 0, 0, s.LineTotal)})
	}
	if len(p.taps) > 0 {
		p.taps[0].stream = true
	}
	statistics := func(n units.Bytes, id PortID) *Tap {
		if n == 0 {
			return nil
		}
		return p.newTap(Image{}, int(n), []PortID{id}, []raster{spread(size, int(n), s, true)})
	}
	p.AF, p.AEWB = statistics(path.AF, AFOut), statistics(path.AEWB, AEWBOut)
	if path.GainTable != 0 {
		p.gain = newGainReader(p, int(path.GainTable))
	}
}

var lineIDs = [LinePorts]PortID{ResizerLine1, ResizerLine2, ResizerLine3, ResizerLine4}

// Resizer returns the resizer's setting.
func (p *Pipeline) Resizer() Resizer { return p.resizer }

// Sensor returns the sensor's timing.
func (p *Pipeline) Sensor() Sensor { return p.sensor }

// Overflows returns the records of the first MaxOverflowRecords overflows and gain table errors since the last Reset, at each port in the order of its data units. The slice is valid until
// the next Reset.
func (p *Pipeline) Overflows() []Overflow { return p.overflowLog }

// Reset zeroes the counters of all taps and forgets the records, at the end of a warm-up. The stream goes on.
func (p *Pipeline) Reset() {
	for _, t := range p.taps {
		t.stats = Stats{}
	}
	if p.gain != nil {
		p.gain.errors = 0
	}
	p.overflowLog = p.overflowLog[:0]
}

// Start lets the sensor run from time at, when the first frame (sequence number 0) starts.
func (p *Pipeline) Start(at sim.Time) {
	if p.running {
		panic("isp: Start of a running pipeline")
	}
	if p.isp.port == nil {
		panic("isp: Start without a port")
	}
	p.running, p.origin, p.frames = true, at, 0
	p.restart()
	p.streams++
	p.starts = p.isp.eng.Schedule(at, p.handler, startEvent)
	if p.gain != nil && p.gain.on {
		p.gain.failed = -1
		p.gain.begin(0)
	}
}

// Stop ends the stream now. Frames under way are abandoned and no callback comes for them. Armed buffers are forgotten.
func (p *Pipeline) Stop() {
	if !p.running {
		return
	}
	p.running = false
	p.isp.eng.Cancel(p.starts)
	for _, t := range p.taps {
		t.closeFrame()
		t.Disarm()
	}
	if p.gain != nil {
		p.gain.end()
	}
}

// Handle runs the pipeline's events; for the engine only.
func (p *Pipeline) Handle(now sim.Time, arg uint64) {
	if arg == startEvent {
		p.startFrame(now)
		return
	}
	t := p.taps[arg-doneEvent]
	t.frame.scheduled = false
	t.finish(now, t.frame.overflowed)
}

// startFrame ends what is left of the last frame and begins the next.
func (p *Pipeline) startFrame(now sim.Time) {
	stream := p.streams
	if p.gain != nil {
		p.gain.frame(now, p.frames)
	}
	for _, t := range p.taps {
		if !t.frame.active {
			continue
		}
		t.finishLate(now)
		if !p.running || p.streams != stream {
			return
		}
	}
	seq := p.frames
	p.frames++
	p.glitch(seq, now)
	p.starts = p.isp.eng.Schedule(p.at(p.base(p.frames)), p.handler, startEvent)
	for k, t := range p.taps {
		p.begun[k] = t.latch(now, seq)
	}
	for k, t := range p.taps {
		if t.OnFrameStart == nil {
			continue
		}
		t.OnFrameStart(p.begun[k])
		if !p.running || p.streams != stream {
			return
		}
	}
}

// record keeps a failure, if there is room.
func (p *Pipeline) record(o Overflow) {
	if len(p.overflowLog) < MaxOverflowRecords {
		p.overflowLog = append(p.overflowLog, o)
	}
}

// at returns the time of a pixel clock count since the start of the stream.
func (p *Pipeline) at(count int64) sim.Time { return p.origin + p.clock.Cycles(count) }
