package scenario

import (
	"fmt"
	"strings"

	"socsim/internal/conf"
	"socsim/internal/strategy"
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
	c.checkTheme()
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
	if len(l.Stages) == 0 && len(l.Tasks) == 0 && len(l.Script) == 0 {
		c.errorf("name", "scenario %q has neither stages, tasks nor a script: nothing would happen; socsim show camera-preview prints a whole one", l.Name)
	}
	c.primaries()
	c.checkBuffers()
	c.checkStages()
	c.checkOwn()
	c.checkHints()
	c.checkTasks()
	c.checkScript()
	c.checkClocks()
	c.checkFaults()
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
		c.checkTaskOrder(path, t)
		c.checkTimes(path, t.Times)
	}
}
