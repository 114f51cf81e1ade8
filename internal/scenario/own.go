package scenario

import (
	"slices"
	"strings"

	"socsim/internal/strategy"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/graph"
)

// Policy returns a policy of a strategy for the scenario: single buffer sets and stages keep their own. A yardstick, and the baseline of coherent caches, is for the whole application.
func (l *Loaded) Policy(i flush.Info) dmaapi.Policy {
	if i.Baseline || i.Yardstick {
		return i.New()
	}
	return flush.Divide(i, l.OfBuffers, l.OfStages)
}

// Label names a strategy in results, with those of single buffer sets and stages that go with it: "range + buffers.preview: whole".
func (l *Loaded) Label(i flush.Info) string {
	label := i.Label()
	if i.Baseline || i.Yardstick {
		return label
	}
	for _, o := range l.OfBuffers {
		label += " + buffers." + o.Name + ": " + o.Strategy.Label()
	}
	for _, o := range l.OfStages {
		label += " + stages." + o.Name + ": " + o.Strategy.Label()
	}
	return label
}

// checkOwn finds the strategies of single buffer sets and stages.
func (c *checker) checkOwn() {
	for _, b := range c.Buffers {
		if info, ok := c.ownStrategy("buffers."+b.Name+".strategy", b.Strategy); ok {
			c.OfBuffers = append(c.OfBuffers, flush.Own{Name: b.Name, Strategy: info})
		}
	}
	for _, s := range c.Stages {
		path := "stages." + s.Name + ".strategy"
		if s.Device == graph.CPU {
			continue // it has no strategy, which is said elsewhere
		}
		info, ok := c.ownStrategy(path, s.Strategy)
		if !ok {
			continue
		}
		for _, b := range c.attached(s) {
			if info.Maps(c.question(b, s.Name)) {
				c.errorf(path, "strategy %s decides how buffers are mapped or allocated, which concerns all who use %q and not stage %s alone: write it at buffers.%s.strategy", info.Label(), b.Name, s.Name, b.Name)
				break
			}
		}
		c.OfStages = append(c.OfStages, flush.Own{Name: s.Name, Strategy: info})
	}
}

// ownStrategy reads a strategy of a part, if there is one.
func (c *checker) ownStrategy(path, text string) (flush.Info, bool) {
	if text == "" {
		return flush.Info{}, false
	}
	info, err := strategy.One(text, c.dir)
	switch {
	case err != nil:
		c.errorf(path, "%v", err)
		return info, false
	case info.Baseline:
		c.errorf(path, "%s stands for hardware that keeps all caches current, which no part can have alone", info.Name)
		return info, false
	}
	return info, true
}

// question is what a strategy is asked when a buffer of a set is allocated.
func (c *checker) question(b *graph.Buffer, device string) dmaapi.Question {
	return dmaapi.Question{
		Buffer: b.Name, Bytes: int(b.Bytes()), Length: int(b.Bytes()), Device: device, Direction: dmaapi.FromDevice, Attr: b.CPUMapping, Contiguous: b.Memory == "contiguous", Exporter: string(b.Exporter),
	}
}

// attached lists the buffer sets that a stage reads and writes, those that there are.
func (c *checker) attached(s graph.Stage) []*graph.Buffer {
	names := []string{s.Input, s.Output}
	for _, in := range s.Inputs {
		names = append(names, in.Buffer)
	}
	if s.Raw != nil {
		names = append(names, s.Raw.Output)
	}
	var list []*graph.Buffer
	for _, n := range names {
		if b := c.lookup(n); b != nil {
			list = append(list, b)
		}
	}
	return list
}

// checkHints refuses hints that nobody would take.
func (c *checker) checkHints() {
	for _, s := range c.Stages {
		path := "stages." + s.Name + ".hints"
		if s.Device == graph.CPU {
			continue // it has no hints, which is said elsewhere
		}
		c.checkHintList(path, s.Hints, s.Sensor != nil, c.attached(s), []graph.Stage{s})
	}
	for i := range c.Buffers {
		b := &c.Buffers[i]
		var users []graph.Stage
		camera := false
		for _, s := range c.Stages {
			if s.Device != graph.CPU && slices.Contains(c.attached(s), b) {
				users = append(users, s)
			}
			camera = camera || s.Sensor != nil && (s.Output == b.Name || s.Raw != nil && s.Raw.Output == b.Name)
		}
		c.checkHintList("buffers."+b.Name+".hints", b.Hints, camera, []*graph.Buffer{b}, users)
	}
}

// checkHintList checks hints for some buffers and the stages with devices that use them.
func (c *checker) checkHintList(path string, hints []graph.Hint, camera bool, buffers []*graph.Buffer, users []graph.Stage) {
	for _, h := range hints {
		switch {
		case h == graph.HintSkipSync:
			if len(buffers) > 0 && !c.syncs(buffers, users) {
				c.errorf(path, "%s changes nothing: no device's mapping of %s is synced in any case, by exporter %s", h, quoted(buffers), buffers[0].Exporter)
			}
		case !camera:
			c.errorf(path, "%s is a flag of QBUF, which cameras alone are given here: use %s, or leave it out", h, graph.HintSkipSync)
		default:
			for _, b := range buffers {
				if !b.Exporter.IsQueue() {
					c.errorf(path, "a queue honours hints for buffers of its own only, and %q is of the %s: use exporter vb2-sg or vb2-contig", b.Name, b.Exporter)
				}
			}
		}
	}
}

// syncs tells whether some stage's mapping of some of the buffers is synced when it is made or ends.
func (c *checker) syncs(buffers []*graph.Buffer, users []graph.Stage) bool {
	for _, b := range buffers {
		for _, s := range users {
			queueOwn := b.Exporter.IsQueue() && slices.ContainsFunc(outputs(s), func(o [2]string) bool { return o[1] == b.Name })
			if !b.Exporter.SkipsSync() && !queueOwn && slices.Contains(c.attached(s), b) {
				return true
			}
		}
	}
	return false
}

func quoted(buffers []*graph.Buffer) string {
	var names []string
	for _, b := range buffers {
		names = append(names, `"`+b.Name+`"`)
	}
	return strings.Join(names, " and ")
}
