package scenario

import (
	"fmt"
	"strings"

	"socsim/isp"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/graph"
)

// outputs lists the buffer sets that a stage fills, with the paths of the settings that say so.
func outputs(s graph.Stage) [][2]string {
	var out [][2]string
	if s.Output != "" {
		out = append(out, [2]string{"output", s.Output})
	}
	if s.Raw != nil {
		out = append(out, [2]string{"raw.output", s.Raw.Output})
	}
	return out
}

func (c *checker) checkStages() {
	producers := map[string]string{}
	consumers := map[string]string{}
	for _, s := range c.Stages {
		path := "stages." + s.Name
		for _, o := range outputs(s) {
			if c.find(path+"."+o[0], o[1]) == nil {
				continue
			}
			if other, ok := producers[o[1]]; ok {
				c.errorf(path+"."+o[0], "buffer %q is written by stage %s already", o[1], other)
			}
			producers[o[1]] = s.Name
		}
		if s.Input != "" && c.find(path+".input", s.Input) != nil {
			consumers[s.Input] = s.Name
		}
		for _, in := range s.Inputs {
			consumers[in.Buffer] = s.Name
		}
		if s.Every < 1 {
			c.errorf(path+".every", "%d, want 1 or more", s.Every)
		}
		c.checkStage(path, s)
	}
	for _, s := range c.Stages {
		if s.Input == "" {
			continue
		}
		if _, ok := producers[s.Input]; !ok && contains(c.bufferNames(), s.Input) {
			c.errorf("stages."+s.Name+".input", "stage %s reads buffer %q, which no stage writes: give one output: %s", s.Name, s.Input, s.Input)
		}
		if s.Input == s.Output {
			c.errorf("stages."+s.Name+".output", "the same as input: a stage that works in place says in_place: true and has no output")
		}
	}
	for _, b := range c.Buffers {
		if _, ok := producers[b.Name]; !ok {
			if _, ok := consumers[b.Name]; !ok && !c.scripted(b.Name) {
				c.errorf("buffers."+b.Name, "no stage uses buffer %q", b.Name)
			}
		}
	}
	c.checkFlow(producers)
	c.checkISPs()
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// needs complains about settings that the stage's device requires or does not know.
func (c *checker) needs(path string, s graph.Stage, rules map[string]bool) bool {
	set := []struct {
		name string
		is   bool
	}{
		{"sensor", s.Sensor != nil},
		{"panel", s.Panel != nil},
		{"input", s.Input != ""},
		{"inputs", len(s.Inputs) > 0},
		{"period", s.Period != 0},
		{"strategy", s.Strategy != ""},
		{"output", s.Output != ""},
		{"read", s.Read != nil},
		{"write", s.Write != nil},
		{"in_place", s.InPlace},
		{"shares", s.Shares != ""},
		{"raw", s.Raw != nil},
		{"statistics", s.Statistics != nil},
		{"pipeline", s.Pipeline != graph.PipelineAuto},
		{"window", s.Window != graph.Window{}},
		{"rotation", s.Rotation.Degrees() != 0},
		{"queue", s.Queue != graph.VB2},
		{"hints", len(s.Hints) > 0},
		{"submit", s.Submit != graph.SubmitMap},
		{"mapping", s.Mapping != graph.MapOnce},
		{"iommu", s.IOMMU != nil},
	}
	ok := true
	for _, x := range set {
		required, known := rules[x.name]
		switch {
		case x.is && !known:
			c.errorf(path+"."+x.name, "a stage on %s has no %s", s.Device, x.name)
			ok = false
		case !x.is && required:
			c.errorf(path, "a stage on %s needs %s", s.Device, x.name)
			ok = false
		}
	}
	return ok
}

// rules says for each device which settings a stage must (true) and may (false) have.
func rules(s graph.Stage) map[string]bool {
	switch s.Device {
	case graph.ISP:
		if s.Sensor == nil {
			return map[string]bool{"input": true, "output": true, "shares": false, "mapping": false, "iommu": false, "hints": false, "strategy": false}
		}
		return map[string]bool{"sensor": true, "output": false, "raw": false, "statistics": false, "mapping": false, "iommu": false, "queue": false, "hints": false, "strategy": false}
	case graph.GPU:
		return map[string]bool{"input": true, "inputs": false, "output": true, "shares": false, "mapping": false, "iommu": false, "submit": false, "hints": false, "strategy": false}
	case graph.Display:
		if s.Shares != "" {
			return map[string]bool{"input": true, "shares": true, "pipeline": false, "window": false, "rotation": false, "hints": false, "strategy": false}
		}
		return map[string]bool{"panel": true, "input": true, "pipeline": false, "window": false, "rotation": false, "hints": false, "strategy": false}
	case graph.DMA:
		return map[string]bool{"input": true, "output": true, "shares": false, "hints": false, "strategy": false}
	default:
		if s.Input == "" && s.Period != 0 {
			return map[string]bool{"period": true, "output": true, "write": true}
		}
		return map[string]bool{"input": true, "inputs": false, "output": false, "read": false, "write": false, "in_place": false}
	}
}

func (c *checker) checkStage(path string, s graph.Stage) {
	if s.Device == graph.ISP && s.Sensor == nil && s.Input == "" {
		c.errorf(path, "a stage on isp needs a sensor, or an input to work from memory to memory")
		return
	}
	if !c.checkShape(path, s) || !c.needs(path, s, rules(s)) || !c.checkShares(path, s) {
		return
	}
	if s.IOMMU != nil {
		if err := s.IOMMU.Validate(); err != nil {
			_, rest, _ := strings.Cut(err.Error(), "iommu_driver.")
			setting, what, _ := strings.Cut(rest, ": ")
			c.errorf(path+".iommu."+setting, "%s", what)
		}
	}
	c.checkStageTimes(path, s)
	in, out := c.lookup(s.Input), c.lookup(s.Output)
	c.checkInputs(path, s, out)
	switch s.Device {
	case graph.ISP:
		c.checkFormats(path, s, in, out)
	case graph.GPU:
		for _, b := range append(c.further(s), in, out) {
			if b != nil && (b.Size.Width > 2048 || b.Size.Height > 2048) {
				c.errorf("buffers."+b.Name+".size", "%v, but the GPU's surfaces are at most 2048x2048", b.Size)
			}
			if b != nil && b.Format == graph.FormatRaw {
				c.errorf("buffers."+b.Name+".format", "the GPU draws no raw frames: use uyvy, yuyv, rgb565 or xrgb8888")
			}
		}
	case graph.Display:
		if in != nil {
			c.checkDisplay(path, s, in)
		}
	case graph.DMA:
		if in != nil && out != nil && (in.Size != out.Size || in.Format != out.Format) {
			c.errorf(path+".output", "the system DMA copies and does not convert: %q holds %v %s and %q %v %s", in.Name, in.Size, in.Format, out.Name, out.Size, out.Format)
		}
	case graph.CPU:
		c.checkCPU(path, s, in, out)
	}
}

// sharedStage returns the stage of a name.
func (c *checker) sharedStage(name string) *graph.Stage {
	for i := range c.Stages {
		if c.Stages[i].Name == name {
			return &c.Stages[i]
		}
	}
	return nil
}

// checkShares finds the stage whose device this one shares.
func (c *checker) checkShares(path string, s graph.Stage) bool {
	if s.Shares == "" {
		return true
	}
	other := c.sharedStage(s.Shares)
	switch {
	case other == nil:
		var names []string
		for _, x := range c.Stages {
			if x.Device == s.Device && x.Name != s.Name {
				names = append(names, x.Name)
			}
		}
		c.errorf(path+".shares", "%s", withNearest(fmt.Sprintf("no stage %q; on %s there are: %s", s.Shares, s.Device, strings.Join(names, ", ")), s.Shares, names))
	case other.Device != s.Device:
		c.errorf(path+".shares", "stage %s runs on %s, not on %s", other.Name, other.Device, s.Device)
	case other.Name == s.Name:
		c.errorf(path+".shares", "a stage does not share its own device: leave shares out")
	case other.Shares != "":
		c.errorf(path+".shares", "stage %s shares a device itself: write shares: %s", other.Name, other.Shares)
	case s.Device == graph.ISP && s.IOMMU != nil:
		c.errorf(path+".iommu", "the IOMMU's driver is that of stage %s: set it there", other.Name)
	default:
		return true
	}
	return false
}

// checkFormats checks what an ISP stage reads and writes.
func (c *checker) checkFormats(path string, s graph.Stage, in, out *graph.Buffer) {
	if out != nil && !out.Format.YUV() {
		c.errorf("buffers."+out.Name+".format", "the camera writes YUV 4:2:2: use uyvy or yuyv")
	}
	if in != nil && !in.Format.YUV() && in.Format != graph.FormatRaw {
		c.errorf("buffers."+in.Name+".format", "the ISP reads raw frames or YUV 4:2:2: use raw10, uyvy or yuyv")
	}
	if s.Sensor == nil {
		return
	}
	if s.Output == "" && s.Raw == nil {
		c.errorf(path, "a camera needs an output, or raw")
	}
	if s.Raw == nil {
		return
	}
	if s.Raw.From < 0 || s.Raw.Frames < 0 {
		c.errorf(path+".raw", "from %v and %d frames, want none negative", s.Raw.From, s.Raw.Frames)
	}
	raw := c.lookup(s.Raw.Output)
	if raw == nil {
		return
	}
	if raw.Format != graph.FormatRaw {
		c.errorf("buffers."+raw.Name+".format", "the CCDC writes raw frames: use raw10")
	}
	if raw.Size.Width != s.Sensor.Width || raw.Size.Height != s.Sensor.Height {
		c.errorf("buffers."+raw.Name+".size", "%v, but the sensor's raw frames are %dx%d", raw.Size, s.Sensor.Width, s.Sensor.Height)
	}
}

// checkISPs builds each ISP with the paths of all stages on it.
func (c *checker) checkISPs() {
	if len(c.errs) > 0 {
		return // what is wrong has been said, and the rest would follow from it
	}
	for _, owner := range c.Stages {
		if owner.Device != graph.ISP || owner.Shares != "" {
			continue
		}
		i, err := isp.New(sim.New(), c.SoC.ISP.Config)
		if err != nil {
			c.errorf("soc.isp", "%v", err)
			return
		}
		for _, s := range c.Stages {
			if s.Name == owner.Name || s.Shares == owner.Name {
				if err := c.addPath(i, s); err != nil {
					c.errorf("stages."+s.Name, "%v", err)
				}
			}
		}
	}
}

// addPath makes a stage's path on an ISP.
func (c *checker) addPath(i *isp.ISP, s graph.Stage) error {
	in, out := c.lookup(s.Input), c.lookup(s.Output)
	var err error
	switch {
	case s.Sensor != nil:
		_, err = i.OnTheFly(s.Path(out, c.raw(s)))
	case in.Format == graph.FormatRaw:
		_, err = i.PreviewResizeMemory(in.Image(), out.Image())
	default:
		_, err = i.ResizeMemory(in.Image(), out.Image())
	}
	return err
}

func (c *checker) raw(s graph.Stage) *graph.Buffer {
	if s.Raw == nil {
		return nil
	}
	return c.lookup(s.Raw.Output)
}

func (c *checker) checkDisplay(path string, s graph.Stage, in *graph.Buffer) {
	if s.Shares != "" {
		s.Panel = c.sharedStage(s.Shares).Panel
		if s.Panel == nil {
			return // said where it is missing
		}
		c.checkPipelines(path, s, in)
	}
	if err := s.Panel.Validate(); err != nil {
		c.errorf(path+".panel", "%v", err)
		return
	}
	if in.Memory != "contiguous" {
		c.errorf("buffers."+in.Name+".memory", "the display has no MMU and scans out contiguous memory only: write memory: contiguous")
	}
	if in.Format == graph.FormatRaw {
		c.errorf("buffers."+in.Name+".format", "the display shows no raw frames: use uyvy, yuyv, rgb565 or xrgb8888")
		return
	}
	turned := s.Rotation.Degrees()%180 != 0
	if turned && in.Format.YUV() {
		c.errorf(path+".rotation", "YUV 4:2:2 is turned by 180 degrees only: use rgb565 or xrgb8888 in buffer %q", in.Name)
		return
	}
	pipe, f := s.Pipe(in.Format), s.Frame(*in)
	if pipe == display.GFX && s.Window == (graph.Window{}) {
		width, height := s.Panel.Width, s.Panel.Height
		if turned {
			width, height = height, width
		}
		if f.Width < width || f.Height < height {
			c.errorf(path+".panel", "the panel shows %dx%d pixels, but buffer %q holds %v, which gfx does not scale: make the buffer at least as large, or use pipeline: vid1", width, height, in.Name, in.Size)
			return
		}
	}
	if s.ByVRFB() {
		if err := s.View(*in).Validate(); err != nil {
			c.errorf(path+".rotation", "%v", err)
			return
		}
	}
	d, err := display.New(sim.New(), c.SoC.Display.Config, s.Panel.Panel)
	if err != nil {
		c.errorf("soc.display", "%v", err)
		return
	}
	if s.Rotation.Degrees() != 0 && !s.ByVRFB() {
		f = f.Turned(s.Rotation.Degrees())
	} else if turned {
		f.Width, f.Height = f.Height, f.Width
		f.Stride = f.Width * f.BytesPerPixel
	}
	if err := d.Check(pipe, f); err != nil {
		c.errorf(path, "%v", err)
	}
}

// checkPipelines complains if two stages on one display want the same pipeline.
func (c *checker) checkPipelines(path string, s graph.Stage, in *graph.Buffer) {
	for _, other := range c.Stages {
		if other.Name == s.Name || other.Device != graph.Display || other.Name != s.Shares && other.Shares != s.Shares {
			continue
		}
		b := c.lookup(other.Input)
		if b != nil && other.Pipe(b.Format) == s.Pipe(in.Format) && (other.Shares == "" || other.Name < s.Name) {
			c.errorf(path+".pipeline", "stage %s has %v already: choose another pipeline", other.Name, s.Pipe(in.Format))
		}
	}
}

func (c *checker) checkCPU(path string, s graph.Stage, in, out *graph.Buffer) {
	switch {
	case s.InPlace && s.Output != "":
		c.errorf(path+".in_place", "a stage that works in place has no output")
	case s.Write != nil && !s.InPlace && s.Output == "":
		c.errorf(path+".write", "nothing to write to: give the stage an output or in_place: true")
	case s.Output != "" && s.Write == nil:
		c.errorf(path, "stage %s has an output and writes nothing to it: give it write: {}", s.Name)
	}
	for _, b := range append(c.further(s), in, out) {
		if b != nil && b.CPUMapping == cpu.NoMapping {
			c.errorf("buffers."+b.Name+".cpu_mapping", "stage %s accesses the buffer by CPU, so it needs a mapping: cached, write-combined or uncached", s.Name)
		}
	}
	target := out
	if s.InPlace {
		target = in
	}
	for _, a := range append(c.inputReads(s), named{"read", s.Read, in}, named{"write", s.Write, target}) {
		if a.Access != nil && (a.Width < 1 || a.Width > 64 || a.Width&(a.Width-1) != 0) {
			c.errorf(path+"."+a.name+".access", "%v, want 1B, 2B, 4B, 8B, 16B, 32B or 64B", a.Width)
			continue
		}
		c.checkAccess(path+"."+a.name, a.Access, a.of, a.name == "write")
	}
}
