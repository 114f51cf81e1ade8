package scenario

import (
	"fmt"
	"strings"

	"socsim/internal/conf"
	"socsim/internal/strategy"
	"socsim/isp"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/graph"
)

// checker gathers semantic errors, each at the place of the setting it concerns.
type checker struct {
	*Loaded
	errs []error
}

func (c *checker) errorf(path, format string, args ...any) {
	c.errs = append(c.errs, c.doc.Errorf(path, format, args...))
}

// check finds what decoding cannot: settings that contradict each other.
func (l *Loaded) check() error {
	c := &checker{Loaded: l}
	if l.APIVersion != APIVersion {
		c.errorf("apiVersion", "unknown version %q, want %s", l.APIVersion, APIVersion)
	}
	if l.Run.Duration <= 0 {
		c.errorf("run.duration", "nothing to measure: want a duration above 0s")
	}
	if l.Run.Duration > 1000*sim.Second || l.Run.Warmup > 1000*sim.Second {
		c.errorf("run", "duration and warmup of at most 1000s each")
	}
	if l.Run.Frames < 0 {
		c.errorf("run.frames", "%d frames, want 0 for no limit or more", l.Run.Frames)
	}
	if own, err := strategy.One(l.Strategy, l.dir); err != nil {
		c.errorf("strategy", "%v", err)
	} else {
		l.Own = own
	}
	if _, ok := dmaapi.ProfileByName(l.SoC.Coherence); !ok {
		c.errorf("soc.coherence", "unknown coherence profile %q; there are %s", l.SoC.Coherence, strings.Join(dmaapi.ProfileNames(), ", "))
	}
	if err := l.SoC.Validate(); err != nil {
		path, msg := splitPath(err.Error())
		c.errorf("soc."+path, "%s", msg)
	}
	if len(l.Stages) == 0 && len(l.Tasks) == 0 {
		c.errorf("name", "scenario %q has neither stages nor tasks: nothing would happen; socsim show camera-preview prints a whole one", l.Name)
	}
	c.checkBuffers()
	c.checkStages()
	c.checkTasks()
	for i, text := range l.Scenario.Expect {
		e, err := ParseExpectation(text)
		if err != nil {
			c.errorf(fmt.Sprintf("expect.%d", i), "%v", err)
			continue
		}
		l.Expect = append(l.Expect, e)
	}
	return conf.Join(c.errs...)
}

// splitPath takes the dotted path off a validation message of a chip's part, such as "dram.burst: 3, want 2, 4, 8 or 16 beats".
func splitPath(msg string) (path, rest string) {
	head, rest, ok := strings.Cut(msg, ": ")
	if !ok || strings.ContainsAny(head, " ") {
		return "", msg
	}
	return head, rest
}

func withNearest(msg, word string, valid []string) string {
	if near := conf.Nearest(word, valid); near != "" {
		return msg + fmt.Sprintf("; did you mean %q?", near)
	}
	return msg
}

// maxBuffer bounds a buffer's size.
const maxBuffer = 256 << 20

func (c *checker) checkBuffers() {
	for _, b := range c.Buffers {
		path := "buffers." + b.Name
		if b.Count < 1 || b.Count > 64 {
			c.errorf(path+".count", "%d buffers, want 1 to 64", b.Count)
		}
		if b.Size.Width == 0 || b.Size.Height == 0 {
			c.errorf(path+".size", "an image of no pixels")
			continue
		}
		if b.Bytes() > maxBuffer {
			c.errorf(path+".size", "%v in %s is %d bytes, want at most 256MiB", b.Size, b.Format, b.Bytes())
		}
		if b.Exporter.Contiguous() && b.Memory == "pages" {
			c.errorf(path+".memory", "exporter %s allocates contiguous memory: write memory: contiguous", b.Exporter)
		}
		if b.Exporter == dmabuf.GEM && (b.CPUMapping == cpu.Cached || b.CPUMapping == cpu.WriteThrough) {
			c.errorf(path+".cpu_mapping", "exporter gem hands out coherent memory, which must not be mapped %s: use none, write-combined or uncached", b.CPUMapping)
		}
	}
}

func (c *checker) bufferNames() []string {
	var names []string
	for _, b := range c.Buffers {
		names = append(names, b.Name)
	}
	return names
}

// find looks a stage's buffer set up and complains if there is none.
func (c *checker) find(path, name string) *graph.Buffer {
	for i := range c.Buffers {
		if c.Buffers[i].Name == name {
			return &c.Buffers[i]
		}
	}
	c.errorf(path, "%s", withNearest(fmt.Sprintf("no buffer %q; there are: %s", name, strings.Join(c.bufferNames(), ", ")), name, c.bufferNames()))
	return nil
}

func (c *checker) checkStages() {
	producers := map[string]string{}
	consumers := map[string]string{}
	for _, s := range c.Stages {
		path := "stages." + s.Name
		if s.Output != "" && c.find(path+".output", s.Output) != nil {
			if other, ok := producers[s.Output]; ok {
				c.errorf(path+".output", "buffer %q is written by stage %s already", s.Output, other)
			}
			producers[s.Output] = s.Name
		}
		if s.Input != "" && c.find(path+".input", s.Input) != nil {
			consumers[s.Input] = s.Name
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
			if _, ok := consumers[b.Name]; !ok {
				c.errorf("buffers."+b.Name, "no stage uses buffer %q", b.Name)
			}
		}
	}
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
		{"output", s.Output != ""},
		{"read", s.Read != nil},
		{"write", s.Write != nil},
		{"in_place", s.InPlace},
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

func (c *checker) checkStage(path string, s graph.Stage) {
	in, out := c.lookup(s.Input), c.lookup(s.Output)
	switch s.Device {
	case graph.ISP:
		if !c.needs(path, s, map[string]bool{"sensor": true, "output": true}) || out == nil {
			return
		}
		if out.Format.BytesPerPixel() != 2 {
			c.errorf("buffers."+out.Name+".format", "the camera writes YUV 4:2:2: use uyvy or yuyv")
			return
		}
		o := isp.Output{Width: out.Size.Width, Height: out.Size.Height, BytesPerPixel: 2, Stride: out.Stride()}
		if _, err := isp.New(sim.New(), c.SoC.ISP.Config, s.Sensor.Sensor, o); err != nil {
			c.errorf(path, "%v", err)
		}
	case graph.GPU:
		if !c.needs(path, s, map[string]bool{"input": true, "output": true}) {
			return
		}
		for _, b := range []*graph.Buffer{in, out} {
			if b != nil && (b.Size.Width > 2048 || b.Size.Height > 2048) {
				c.errorf("buffers."+b.Name+".size", "%v, but the GPU's surfaces are at most 2048x2048", b.Size)
			}
		}
	case graph.Display:
		if !c.needs(path, s, map[string]bool{"panel": true, "input": true}) || in == nil {
			return
		}
		if err := s.Panel.Validate(); err != nil {
			c.errorf(path+".panel", "%v", err)
			return
		}
		if s.Panel.Width > in.Size.Width || s.Panel.Height > in.Size.Height {
			c.errorf(path+".panel", "the panel shows %dx%d pixels, but buffer %q holds %v: make the buffer at least as large", s.Panel.Width, s.Panel.Height, in.Name, in.Size)
		}
		if in.Memory != "contiguous" {
			c.errorf("buffers."+in.Name+".memory", "the display has no MMU and scans out contiguous memory only: write memory: contiguous")
		}
	case graph.CPU:
		if !c.needs(path, s, map[string]bool{"input": true, "output": false, "read": false, "write": false, "in_place": false}) {
			return
		}
		c.checkCPU(path, s, in, out)
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
	for _, b := range []*graph.Buffer{in, out} {
		if b != nil && b.CPUMapping == cpu.NoMapping {
			c.errorf("buffers."+b.Name+".cpu_mapping", "stage %s accesses the buffer by CPU, so it needs a mapping: cached, write-combined or uncached", s.Name)
		}
	}
	for _, a := range []struct {
		name string
		*graph.Access
	}{{"read", s.Read}, {"write", s.Write}} {
		if a.Access != nil && (a.Width < 1 || a.Width > 64 || a.Width&(a.Width-1) != 0) {
			c.errorf(path+"."+a.name+".access", "%v, want 1B, 2B, 4B, 8B, 16B, 32B or 64B", a.Width)
		}
	}
}

// lookup returns a buffer set or nil, without complaint.
func (c *checker) lookup(name string) *graph.Buffer {
	for i := range c.Buffers {
		if c.Buffers[i].Name == name {
			return &c.Buffers[i]
		}
	}
	return nil
}

func (c *checker) checkTasks() {
	names := map[string]bool{}
	for _, s := range c.Stages {
		names[s.Name] = true
	}
	for _, t := range c.Tasks {
		path := "tasks." + t.Name
		if names[t.Name] {
			c.errorf(path, "there is a stage of the same name")
		}
		if t.Period <= 0 {
			c.errorf(path+".period", "%v, want more than 0s", t.Period)
		}
		if t.Work <= 0 || t.Work > t.Period {
			c.errorf(path+".work", "%v a period, want more than 0s and at most the period of %v", t.Work, t.Period)
		}
		if t.WorkingSet < 64 {
			c.errorf(path+".working_set", "%v, want at least one line of 64B", t.WorkingSet)
		}
		if t.TouchEvery < 1 {
			c.errorf(path+".touch_every", "%v, want at least 1cycles", t.TouchEvery)
		}
	}
}
