// Package graph runs the application of a scenario: stages that pass buffers along over queues, tasks beside them, and a script of single steps for what no stage does.
//
// A producer takes a free buffer, fills it and queues it; every consumer of that queue gets it in order, or one in N of them; a stage that works in place passes the same buffer on to the
// consumers after it; when the last consumer has released the buffer it is free again. A camera that finds none free drops the frame; a GPU or CPU stage waits; a display
// repeats the frame it shows.
//
// A GPU or CPU stage may read several sets: it works once with each frame of its input, and takes the next frame of each further input, or the latest. A CPU stage without an input makes frames at a period.
// Frames are numbered by the set they are in.
//
// Stages are threads on the core that call the drivers (v4l2, drm, dmabuf) as an application does. Every hand-over between owners is a DMA API event, at which the flush strategy acts.
package graph

import (
	"fmt"
	"strconv"
	"strings"

	"socsim/isp"
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// Size is the width and height of an image: "864x656".
type Size struct{ Width, Height int }

func (s Size) String() string { return fmt.Sprintf("%dx%d", s.Width, s.Height) }

// MarshalText prints the size.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a size such as 864x656.
func (s *Size) UnmarshalText(text []byte) error {
	w, h, ok := strings.Cut(strings.TrimSpace(string(text)), "x")
	width, err1 := strconv.ParseUint(w, 10, 15)
	height, err2 := strconv.ParseUint(h, 10, 15)
	if !ok || err1 != nil || err2 != nil {
		return fmt.Errorf("size %q: expected WIDTHxHEIGHT in pixels, for example 864x656", text)
	}
	if width == 0 || height == 0 {
		return fmt.Errorf("size %q: an image of no pixels; expected WIDTHxHEIGHT, for example 864x656", text)
	}
	*s = Size{int(width), int(height)}
	return nil
}

// Syntax describes the text: what it is, a pattern and examples.
func (Size) Syntax() (what, pattern string, examples []string) {
	return "size of an image", "^" + sizePattern + "$", []string{"864x656"}
}

// sizePattern matches a size of some pixels.
const sizePattern = `0*[1-9][0-9]{0,4}x0*[1-9][0-9]{0,4}`

// Format is a pixel format.
type Format string

// Values lists the formats.
func (Format) Values() []string { return []string{"uyvy", "yuyv", "rgb565", "xrgb8888", "raw10"} }

// YUV tells whether pixels are YUV 4:2:2, which the display's graphics pipeline does not take.
func (f Format) YUV() bool { return f == "uyvy" || f == "yuyv" }

// FormatRaw is the sensor's own format: ten bits of a colour filter's pattern in two bytes.
const FormatRaw Format = "raw10"

// BytesPerPixel returns the size of a pixel.
func (f Format) BytesPerPixel() int {
	if f == "xrgb8888" {
		return 4
	}
	return 2
}

// Layout is how physical pages are laid out.
type Layout string

// Values lists the layouts.
func (Layout) Values() []string { return []string{"pages", "contiguous"} }

// Buffer is a set of buffers of one kind: a queue.
type Buffer struct {
	Name       string          `conf:"name,key" doc:"Name of the set."`
	Count      int             `conf:"count" doc:"Number of buffers."`
	Size       Size            `conf:"size,required" doc:"Width and height of the image."`
	Format     Format          `conf:"format,required" doc:"Pixel format."`
	Exporter   dmabuf.Exporter `conf:"exporter" doc:"Who allocates the buffers and decides about their maintenance."`
	Memory     Layout          `conf:"memory" doc:"Scattered pages or contiguous memory."`
	CPUMapping cpu.Attr        `conf:"cpu_mapping" doc:"How user space maps the buffers; a strategy may change it."`
	Strategy   string          `conf:"strategy,omitempty" doc:"Flush strategy of these buffers, in place of the scenario's."`
	Hints      []Hint          `conf:"hints,omitempty" doc:"Hints given with these buffers, whatever the stage: see the stages' hints."`
}

// SetDefaults fills in what a scenario may leave out.
func (b *Buffer) SetDefaults() {
	b.Count, b.Exporter, b.Memory, b.CPUMapping = 3, dmabuf.SystemHeap, "pages", cpu.Cached
}

// strideAlign is the alignment of lines: what the ISP, the GPU and the display all accept.
const strideAlign = 64

// Stride returns the distance between two lines in bytes (bytesperline): the pixels, rounded up.
func (b Buffer) Stride() int {
	return (b.Size.Width*b.Format.BytesPerPixel() + strideAlign - 1) &^ (strideAlign - 1)
}

// Bytes returns the size of one buffer.
func (b Buffer) Bytes() int64 { return int64(b.Stride()) * int64(b.Size.Height) }

// Window is the part of the panel that a display stage covers: "400x240+200+120", or "full".
type Window struct {
	Size
	X, Y int
}

func (w Window) String() string {
	if w == (Window{}) {
		return "full"
	}
	return fmt.Sprintf("%v+%d+%d", w.Size, w.X, w.Y)
}

// MarshalText prints the window.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads a window such as 400x240+200+120.
func (w *Window) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "full" {
		*w = Window{}
		return nil
	}
	size, place, _ := strings.Cut(s, "+")
	x, y, ok := strings.Cut(place, "+")
	var out Window
	left, err1 := strconv.ParseUint(x, 10, 14)
	top, err2 := strconv.ParseUint(y, 10, 14)
	if err := out.Size.UnmarshalText([]byte(size)); err != nil || !ok || err1 != nil || err2 != nil {
		return fmt.Errorf("window %q: expected full, or WIDTHxHEIGHT+LEFT+TOP in pixels, for example 400x240+200+120", text)
	}
	out.X, out.Y = int(left), int(top)
	*w = out
	return nil
}

// Syntax describes the text: what it is, a pattern and examples.
func (Window) Syntax() (what, pattern string, examples []string) {
	return "window", `^(full|` + sizePattern + `\s*\+[0-9]+\+[0-9]+)$`, []string{"full", "400x240+200+120"}
}

// Pipeline is a pipeline of the display controller, or auto: gfx for RGB, vid1 for YUV.
type Pipeline string

// PipelineAuto chooses by the format.
const PipelineAuto Pipeline = "auto"

// Values lists the pipelines.
func (Pipeline) Values() []string { return []string{string(PipelineAuto), "gfx", "vid1", "vid2"} }

// Rotation is by how many degrees clockwise a display stage turns what it shows.
type Rotation string

// Values lists the rotations.
func (Rotation) Values() []string { return []string{"0", "90", "180", "270"} }

// Degrees returns the angle.
func (r Rotation) Degrees() int {
	n, _ := strconv.Atoi(string(r))
	return n
}

// Rotator is what turns a frame on its way to the panel.
type Rotator string

// The rotators.
const (
	RotateVRFB Rotator = "vrfb"
	RotateDMA  Rotator = "dma"
)

// Values lists the rotators.
func (Rotator) Values() []string { return []string{string(RotateVRFB), string(RotateDMA)} }

// Mapping is when a device behind an IOMMU has its buffers mapped.
type Mapping string

// The choices.
const (
	MapOnce     Mapping = "once"
	MapPerFrame Mapping = "per-frame"
	MapOnFault  Mapping = "on-fault"
)

// Values lists the choices.
func (Mapping) Values() []string {
	return []string{string(MapOnce), string(MapPerFrame), string(MapOnFault)}
}

// Queue is the kind of a camera's buffer queue.
type Queue string

// The queues.
const (
	VB2      Queue = "vb2"
	OMAP3ISP Queue = "omap3isp"
)

// Values lists the queues.
func (Queue) Values() []string { return []string{string(VB2), string(OMAP3ISP)} }

// Submit is what a GPU's driver does about caches at a submission.
type Submit string

// The choices.
const (
	SubmitMap  Submit = "map"
	SubmitSync Submit = "sync"
)

// Values lists the choices.
func (Submit) Values() []string { return []string{string(SubmitMap), string(SubmitSync)} }

// Raw is the capture of raw frames, as they come from the sensor, beside a camera's other output.
type Raw struct {
	Output string   `conf:"output,required" doc:"Buffer set that the CCDC writes raw frames into."`
	From   sim.Time `conf:"from" doc:"When the capture of raw frames begins."`
	Frames int      `conf:"frames" doc:"How many to capture; 0 for all for which a buffer is free."`
}

// Statistics is what an ISP reads and writes beside the image, in bytes a frame.
type Statistics struct {
	AF  units.Bytes `conf:"af" doc:"Auto-focus statistics that H3A writes each frame; 0B for none."`
	AWB units.Bytes `conf:"awb" doc:"Exposure and white-balance statistics that H3A writes each frame; 0B for none."`
	LSC units.Bytes `conf:"lsc" doc:"Gain table of the lens-shading compensation that the CCDC reads each frame; 0B for none."`
}

// Device is what a stage runs on.
type Device string

// The devices.
const (
	ISP     Device = "isp"
	CPU     Device = "cpu"
	GPU     Device = "gpu"
	Display Device = "display"
	DMA     Device = "dma"
)

// Values lists the devices.
func (Device) Values() []string {
	return []string{string(ISP), string(CPU), string(GPU), string(Display), string(DMA)}
}

// Sync says when a CPU stage brackets its access with DMA_BUF_IOCTL_SYNC.
type Sync string

// The choices. Auto brackets unless a V4L2 queue's own buffer is only read: its prepare and finish cover that.
const (
	SyncAuto   Sync = "auto"
	SyncAlways Sync = "always"
	SyncNever  Sync = "never"
)

// Values lists the choices.
func (Sync) Values() []string {
	return []string{string(SyncAuto), string(SyncAlways), string(SyncNever)}
}

// Access is what a CPU stage does with a buffer.
type Access struct {
	Fraction units.Fraction      `conf:"fraction" doc:"Share of the buffer, from its start."`
	Width    units.Bytes         `conf:"access" doc:"Size of one load or store."`
	Compute  units.CyclesPerByte `conf:"compute" doc:"Work for each byte on the way."`
	Order    `conf:",inline"`
}

// SetDefaults fills in what a scenario may leave out.
func (a *Access) SetDefaults() { a.Fraction, a.Width = 1_000_000, 4 }

// Sensor is a camera sensor's mode.
type Sensor struct {
	Preset     string `conf:"preset" doc:"Sensor mode that the other values start from."`
	isp.Sensor `conf:",inline"`
}

// Panel is a display panel.
type Panel struct {
	Preset        string `conf:"preset" doc:"Panel that the other values start from."`
	display.Panel `conf:",inline"`
}

// Stage is one step of the application.
type Stage struct {
	Name    string  `conf:"name,required,key" doc:"Name of the stage."`
	Device  Device  `conf:"device,required" doc:"What the stage runs on."`
	Sensor  *Sensor `conf:"sensor,preset=sensor" doc:"Sensor in front of an isp stage."`
	Panel   *Panel  `conf:"panel,preset=panel" doc:"Panel behind a display stage."`
	Input   string  `conf:"input" doc:"Buffer set that the stage consumes."`
	Inputs  []Input `conf:"inputs,bare,omitempty" doc:"Further buffer sets that a gpu or cpu stage reads with each frame of its input: names, or mappings with settings. Without input the first is that."`
	Output  string  `conf:"output" doc:"Buffer set that the stage fills."`
	InPlace bool    `conf:"in_place" doc:"A cpu stage passes its input on to the set's other consumers, who get it after this stage."`
	Every   int     `conf:"every" doc:"Take one frame in N."`
	Read    *Access `conf:"read" doc:"What a cpu stage reads of each input frame."`
	Write   *Access `conf:"write" doc:"What a cpu stage writes, into its output or in place."`
	Sync    Sync    `conf:"sync" doc:"Whether a cpu stage brackets its access with DMA_BUF_IOCTL_SYNC."`

	Period sim.Time `conf:"period,omitempty" doc:"A cpu stage without an input, such as a decoder, fills one buffer of its output a period."`

	Shares     string      `conf:"shares" doc:"Another stage whose device this one uses too: a gpu in a context of its own, a display in a pipeline of its own, an isp from memory to memory."`
	Raw        *Raw        `conf:"raw" doc:"Raw frames that a camera's CCDC writes to memory, beside the output or without one."`
	Queue      Queue       `conf:"queue" doc:"A camera's buffer queue: videobuf2, or the driver's own of Linux 3.15 and before, which syncs at QBUF alone."`
	Hints      []Hint      `conf:"hints" doc:"Hints: no-cache-clean and no-cache-invalidate are flags that user space gives with each QBUF to a camera, which a strategy may honour; skip-cpu-sync is DMA_ATTR_SKIP_CPU_SYNC where the stage's device maps and unmaps a buffer."`
	Strategy   string      `conf:"strategy,omitempty" doc:"Flush strategy of the hand-overs to and from the stage's device, in place of the scenario's and the buffers'."`
	Submit     Submit      `conf:"submit" doc:"What a gpu stage's driver does about caches when a job is submitted: nothing, since the exporters do it (map), or a sync of all buffers of the job at once (sync), as drivers do that map their buffers once."`
	Statistics *Statistics `conf:"statistics" doc:"What the camera reads and writes beside the image."`
	Pipeline   Pipeline    `conf:"pipeline" doc:"Pipeline of a display stage; auto takes gfx for RGB and vid1 for YUV."`
	Window     Window      `conf:"window" doc:"Part of the panel that a display stage covers: WIDTHxHEIGHT+LEFT+TOP or full. A window of another size than the buffer is scaled, by vid1 and vid2."`
	Rotation   Rotation    `conf:"rotation" doc:"Degrees clockwise by which a display stage turns what it shows."`
	Rotator    Rotator     `conf:"rotator" doc:"What turns it: the rotation engine of the memory scheduler (vrfb), or the display's own DMA, pixel by pixel (dma)."`

	Mapping Mapping             `conf:"mapping" doc:"When the buffers of an isp or gpu stage are mapped in its IOMMU: once, before and after each frame, or page by page when the device faults."`
	IOMMU   *dmaapi.IOMMUDriver `conf:"iommu" doc:"Driver of the stage's IOMMU."`

	Times    `conf:",inline"`
	Lateness `conf:",inline"`
}

// SetDefaults fills in what a scenario may leave out.
func (s *Stage) SetDefaults() {
	s.Every, s.Sync, s.Pipeline, s.Rotation, s.Rotator, s.Mapping, s.Queue, s.Submit = 1, SyncAuto, PipelineAuto, "0", RotateVRFB, MapOnce, VB2, SubmitMap
}

// Task is a bystander: it does a fixed amount of work each period and touches no shared buffer.
type Task struct {
	Name       string       `conf:"name,required,key" doc:"Name of the task."`
	Period     sim.Time     `conf:"period,required" doc:"A job is released once a period."`
	Work       sim.Time     `conf:"work,required" doc:"Core time of a job when every access hits in L1."`
	WorkingSet units.Bytes  `conf:"working_set,required" doc:"Memory of its own that the task touches."`
	Access     TaskPattern  `conf:"access" doc:"Order of the accesses."`
	TouchEvery units.Cycles `conf:"touch_every" doc:"Core cycles of work between two accesses."`
	Stride     *units.Bytes `conf:"stride" doc:"Access strided: bytes from one access to the next."`
	Trace      *Trace       `conf:"trace" doc:"Access trace: file with the accesses, looked for beside the scenario."`
	Times      `conf:",inline"`
}

// SetDefaults fills in what a scenario may leave out.
func (t *Task) SetDefaults() { t.Access, t.TouchEvery = "random", 100 }

// Config is an application.
type Config struct {
	Buffers []Buffer
	Stages  []Stage
	Tasks   []Task
	Seed    uint64
	// Script is what a driver does beside the stages, from a time on. Without stages the application ends with it.
	Script     []Step
	ScriptFrom sim.Time
	// Clocks change while it runs.
	Clocks []ClockChange
	// Faults are injected while it runs.
	Faults []Injection
}

// Image describes one buffer's image to an ISP.
func (b Buffer) Image() isp.Image {
	return isp.Image{Width: b.Size.Width, Height: b.Size.Height, BytesPerPixel: b.Format.BytesPerPixel(), Stride: b.Stride()}
}

// Path is what a camera stage asks of its ISP, with the buffer sets that it fills: nil for what it has not.
func (s Stage) Path(out, raw *Buffer) isp.Path {
	p := isp.Path{Sensor: s.Sensor.Sensor}
	if out != nil {
		p.Resized = out.Image()
	}
	if raw != nil {
		p.RawStride = raw.Stride()
	}
	if x := s.Statistics; x != nil {
		p.AF, p.AEWB, p.GainTable = x.AF, x.AWB, x.LSC
	}
	return p
}
