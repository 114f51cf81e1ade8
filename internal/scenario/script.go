package scenario

import (
	"fmt"
	"slices"
	"strings"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/graph"
	"socsim/soc/l3"
)

// Bounds of a script.
const (
	maxSteps   = 10_000
	maxDevices = 8
	maxWait    = 1000 * sim.Second
)

// stepRules says for each action which settings a step must (true) and may (false) have beside do.
var stepRules = func() map[graph.Action]map[string]bool {
	buffer := func(more map[string]bool) map[string]bool {
		rules := map[string]bool{"buffer": true, "index": false}
		for name, required := range more {
			rules[name] = required
		}
		return rules
	}
	device := buffer(map[string]bool{"device": true})
	part := buffer(map[string]bool{"device": true, "offset": false, "bytes": false})
	sync := buffer(map[string]bool{"device": true, "direction": true, "offset": false, "bytes": false})
	byCPU := buffer(map[string]bool{"device": false, "offset": false, "bytes": false})
	bracket := buffer(map[string]bool{"access": true})
	lines := buffer(map[string]bool{"offset": false, "bytes": false})
	return map[graph.Action]map[string]bool{
		graph.Attach: device, graph.Detach: device, graph.UnmapBuffer: device, graph.MapBuffer: buffer(map[string]bool{"device": true, "direction": true}),
		graph.SyncForDevice: sync, graph.SyncForCPU: sync, graph.BeginAccess: bracket, graph.EndAccess: bracket,
		graph.MmapBuffer: buffer(nil), graph.MunmapBuffer: buffer(nil), graph.GetBuffer: buffer(nil), graph.PutBuffer: buffer(nil),
		graph.CPURead: byCPU, graph.CPUWrite: byCPU, graph.DeviceRead: part, graph.DeviceWrite: part,
		graph.Evict: lines, graph.EvictOuter: lines, graph.Speculate: lines, graph.Wait: {"time": true},
	}
}()

// place is a buffer of a set.
type place struct {
	set   string
	index int
}

// scriptChecker follows a script as far as its steps need something to be there at all: a step on an attachment that was never made cannot even be called.
type scriptChecker struct {
	*checker
	devices  []string           // in the order of their first attach
	attached map[place][]string // devices, ever
	seen     map[place]bool     // by the CPU, ever
	unmapped map[string]bool    // sets that have no CPU mapping, and that has been said
	refs     map[place]int      // that the script holds beyond the allocation's
	staged   map[string]string  // a stage that uses the set
}

// checkScript checks the script's steps.
func (c *checker) checkScript() {
	if len(c.Script) == 0 {
		return
	}
	if len(c.Script) > maxSteps {
		c.errorf("script", "%d steps, want at most %d", len(c.Script), maxSteps)
		return
	}
	s := &scriptChecker{checker: c, attached: map[place][]string{}, seen: map[place]bool{}, unmapped: map[string]bool{}, refs: map[place]int{}, staged: map[string]string{}}
	for _, st := range c.Stages {
		for _, name := range append([]string{st.Input}, outputNames(st)...) {
			if s.staged[name] == "" {
				s.staged[name] = st.Name
			}
		}
	}
	for _, x := range c.Script {
		if x.Do == graph.Attach && x.Device != "" && !slices.Contains(s.devices, x.Device) {
			s.devices = append(s.devices, x.Device)
		}
	}
	for i, x := range c.Script {
		path := fmt.Sprintf("script.%d", i)
		if s.needs(path, x) {
			s.checkStep(path, x)
		}
	}
	s.checkPorts()
	s.checkQueues()
}

func outputNames(st graph.Stage) []string {
	var names []string
	for _, o := range outputs(st) {
		names = append(names, o[1])
	}
	return names
}

// scripted tells whether the script uses a buffer set.
func (c *checker) scripted(set string) bool {
	return slices.ContainsFunc(c.Script, func(x graph.Step) bool { return x.Buffer == set })
}

// needs complains about settings that the step requires or does not know.
func (s *scriptChecker) needs(path string, x graph.Step) bool {
	rules, ok := stepRules[x.Do], true
	for _, f := range []struct {
		name string
		is   bool
	}{
		{"device", x.Device != ""},
		{"buffer", x.Buffer != ""},
		{"index", x.Index != 0},
		{"direction", x.Direction != ""},
		{"access", x.Access != ""},
		{"offset", x.Offset != 0},
		{"bytes", x.Bytes != 0},
		{"time", x.Time != 0},
	} {
		required, known := rules[f.name]
		switch {
		case f.is && !known:
			s.errorf(path+"."+f.name, "a step %s has no %s", x.Do, f.name)
			ok = false
		case !f.is && required:
			s.errorf(path, "a step %s needs %s", x.Do, f.name)
			ok = false
		}
	}
	return ok
}

func (s *scriptChecker) checkStep(path string, x graph.Step) {
	if x.Do == graph.Wait {
		if x.Time < 0 || x.Time > maxWait {
			s.errorf(path+".time", "%v, want more than 0s and at most 1000s", x.Time)
		}
		return
	}
	b := s.find(path+".buffer", x.Buffer)
	if b == nil {
		return
	}
	if x.Index < 0 || x.Index >= b.Count {
		s.errorf(path+".index", "%d, but %q has %d buffers, counted from 0", x.Index, b.Name, b.Count)
		return
	}
	if s.checkDevice(path, x) {
		s.follow(path, x, b)
	}
}

// checkDevice checks that the step's device is there, and attached where the step needs that.
func (s *scriptChecker) checkDevice(path string, x graph.Step) bool {
	p := place{x.Buffer, x.Index}
	switch {
	case x.Do == graph.Attach:
		s.attached[p] = append(s.attached[p], x.Device)
		return s.checkName(path+".device", x.Device)
	case x.Device == "":
	case !slices.Contains(s.devices, x.Device):
		s.errorf(path+".device", "%s", withNearest(fmt.Sprintf("no device %q in the script; attached are: %s", x.Device, strings.Join(s.devices, ", ")), x.Device, s.devices))
		return false
	case x.Do != graph.CPURead && x.Do != graph.CPUWrite && !slices.Contains(s.attached[p], x.Device):
		s.errorf(path+".device", "%s is not attached to %s#%d before this step: there is nothing to %s", x.Device, x.Buffer, x.Index, x.Do)
		return false
	}
	return true
}

// checkName checks the name of a device that the script brings into being.
func (s *scriptChecker) checkName(path, name string) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			s.errorf(path, "%q cannot name a device; a name has letters, digits, _ and -", name)
			return false
		}
	}
	taken := name == "cpu" || name == "nobody" || name == "script"
	for _, st := range s.Stages {
		taken = taken || st.Name == name
	}
	for _, t := range s.Tasks {
		taken = taken || t.Name == name
	}
	if taken {
		s.errorf(path, "the name %q is taken: a device of the script is a bus master of its own", name)
	}
	return !taken
}

// follow keeps the state that later steps need, and checks what the step does against it.
func (s *scriptChecker) follow(path string, x graph.Step, b *graph.Buffer) {
	p := place{x.Buffer, x.Index}
	if x.Offset > maxBuffer || x.Bytes > maxBuffer {
		s.errorf(path, "offset %v and %v, want at most 256MiB each", x.Offset, x.Bytes)
		return
	}
	switch x.Do {
	case graph.CPURead, graph.CPUWrite, graph.DeviceRead, graph.DeviceWrite, graph.Evict, graph.EvictOuter, graph.Speculate:
		if int64(x.Offset) >= b.Bytes() || int64(x.Offset+x.Bytes) > b.Bytes() {
			s.errorf(path, "bytes from %v on, %v of them, but buffer %q has %d", x.Offset, x.Bytes, b.Name, b.Bytes())
		}
	case graph.MunmapBuffer:
		if !s.seen[p] {
			s.errorf(path, "nothing maps %s#%d for the CPU before this step", x.Buffer, x.Index)
		}
	case graph.GetBuffer:
		s.refs[p]++
	case graph.PutBuffer:
		if st := s.staged[x.Buffer]; st != "" && s.refs[p] == 0 {
			s.errorf(path, "stage %s uses buffer %q: put only what the script got", st, x.Buffer)
		}
		s.refs[p]--
	}
	s.checkForced(path, x)
	switch x.Do {
	case graph.CPURead, graph.CPUWrite, graph.MmapBuffer:
		s.seen[p] = true
		if b.CPUMapping == cpu.NoMapping && !s.unmapped[b.Name] {
			s.unmapped[b.Name] = true
			s.errorf("buffers."+b.Name+".cpu_mapping", "the script accesses the buffer by CPU, so it needs a mapping: cached, write-combined or uncached")
		}
	}
}

// checkPorts checks that the interconnect has room for the devices.
func (s *scriptChecker) checkPorts() {
	ports := 2 + len(s.devices) // the core has two
	for _, st := range s.Stages {
		switch {
		case st.Shares != "" || st.Device == graph.CPU:
		case st.Device == graph.DMA:
			ports += 2
		default:
			ports++
		}
	}
	switch {
	case len(s.devices) > maxDevices:
		s.errorf("script", "%d devices, want at most %d", len(s.devices), maxDevices)
	case ports > l3.MaxPorts:
		s.errorf("script", "%d devices, but the interconnect has %d ports, of which the core and the stages take %d", len(s.devices), l3.MaxPorts, ports-len(s.devices))
	}
}

// checkQueues checks that a buffer of a V4L2 queue has a device whose queue it is.
func (s *scriptChecker) checkQueues() {
	for _, b := range s.Buffers {
		if !b.Exporter.IsQueue() || s.staged[b.Name] != "" || !s.scripted(b.Name) {
			continue
		}
		if !slices.ContainsFunc(s.Script, func(x graph.Step) bool { return x.Do == graph.Attach && x.Buffer == b.Name }) {
			s.errorf("buffers."+b.Name+".exporter", "a buffer of %s belongs to a device's queue: the first device that the script attaches, and it attaches none", b.Exporter)
		}
	}
}
