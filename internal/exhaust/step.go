package exhaust

import (
	"fmt"

	"socsim/soc/dmaapi"
	"socsim/soc/graph"
)

// Step is one step: an action of package graph's scripts with what it is about.
type Step struct {
	do     action
	device uint8
	dir    dmaapi.Direction
	// part is the lines that a sync is about, as a bit each; line is that of an access.
	part, line uint8
}

type action uint8

const (
	doMap action = iota
	doUnmap
	doSyncForDevice
	doSyncForCPU
	doCPURead
	doCPUWrite
	doDeviceRead
	doDeviceWrite
	doEvict
	doEvictOuter
	doSpeculate
)

// actions are the steps of a script.
var actions = [...]graph.Action{
	graph.MapBuffer, graph.UnmapBuffer, graph.SyncForDevice, graph.SyncForCPU, graph.CPURead, graph.CPUWrite, graph.DeviceRead, graph.DeviceWrite, graph.Evict, graph.EvictOuter, graph.Speculate,
}

// bothLines is the part that is the whole buffer.
const bothLines = 1<<Lines - 1

// legal appends the steps that are legal in a state. The rules are those of the kernel's dma-api.rst, line by line:
//
//   - The CPU touches a line while no device owns it, and only reads it while it is mapped FROM_DEVICE.
//   - A device touches a line while it owns it; it reads what is mapped TO_DEVICE, writes what is mapped FROM_DEVICE, and does both to what is mapped BIDIRECTIONAL.
//   - A device is given a line that another owns only if both only read, or where the world is shared.
//   - What the CPU has stored is handed to a device (TO_DEVICE or BIDIRECTIONAL) before a call may drop it: FROM_DEVICE on the way to a device, or any but TO_DEVICE on the way back.
//   - Syncs have the direction of the mapping, and change the owner of a line.
func (p *player) legal(steps []Step) []Step {
	for d := range p.Devices {
		steps = p.legalCalls(steps, d)
	}
	for l := range p.lines {
		steps = p.legalAccesses(steps, l)
	}
	return steps
}

// legalCalls are the calls of a device's driver.
func (p *player) legalCalls(steps []Step, d int) []Step {
	m := p.devices[d]
	dev := uint8(d)
	if m.dir == 0 {
		for dir := dmaapi.ToDevice; dir <= dmaapi.Bidirectional; dir++ {
			if p.maps(dir) && p.mayGive(d, dir, bothLines) {
				steps = append(steps, Step{do: doMap, device: dev, dir: dir, part: bothLines})
			}
		}
		return steps
	}
	dir := dmaapi.Direction(m.dir - 1)
	if dir == dmaapi.ToDevice || !p.owes(bothLines) {
		steps = append(steps, Step{do: doUnmap, device: dev, dir: dir, part: bothLines})
	}
	first := uint8(1)
	if p.Whole {
		first = bothLines
	}
	for part := first; part <= bothLines; part++ {
		if m.owns&part != part && p.mayGive(d, dir, part) {
			steps = append(steps, Step{do: doSyncForDevice, device: dev, dir: dir, part: part})
		}
		if m.owns&part != 0 && (dir == dmaapi.ToDevice || !p.owes(part)) {
			steps = append(steps, Step{do: doSyncForCPU, device: dev, dir: dir, part: part})
		}
	}
	return steps
}

// mayGive tells whether lines may be given to a device.
func (p *player) mayGive(d int, dir dmaapi.Direction, part uint8) bool {
	if dir == dmaapi.FromDevice && p.owes(part) {
		return false
	}
	for e, m := range p.devices {
		if e != d && m.owns&part != 0 && !p.Shared && (dir != dmaapi.ToDevice || dmaapi.Direction(m.dir-1) != dmaapi.ToDevice) {
			return false
		}
	}
	return true
}

// owes tells whether the CPU has stored to a line and not handed it over since.
func (p *player) owes(part uint8) bool {
	for l := range p.lines {
		if part&(1<<l) != 0 && p.lines[l].owed {
			return true
		}
	}
	return false
}

// legalAccesses are the accesses to a line, and what the caches may do with it.
func (p *player) legalAccesses(steps []Step, l int) []Step {
	ln := uint8(l)
	owned, readOnly := false, false
	for d, m := range p.devices {
		from := m.dir == uint8(dmaapi.FromDevice)+1
		readOnly = readOnly || from
		if m.owns&(1<<l) == 0 {
			continue
		}
		owned = true
		if !from {
			steps = append(steps, Step{do: doDeviceRead, device: uint8(d), line: ln})
		}
		if m.dir != uint8(dmaapi.ToDevice)+1 {
			steps = append(steps, Step{do: doDeviceWrite, device: uint8(d), line: ln})
		}
	}
	if !owned {
		steps = append(steps, Step{do: doCPURead, line: ln})
		if !readOnly {
			steps = append(steps, Step{do: doCPUWrite, line: ln})
		}
	}
	x := &p.lines[l]
	if x.inner[0].there || x.inner[1].there {
		steps = append(steps, Step{do: doEvict, line: ln})
	}
	if x.outer.there {
		steps = append(steps, Step{do: doEvictOuter, line: ln})
	}
	if name := p.user(); p.Speculates && !x.inner[name].there && (name == 0 || !p.track || p.present&(1<<l) != 0) {
		steps = append(steps, Step{do: doSpeculate, line: ln})
	}
	return steps
}

// asks tells whether the strategy is asked in the course of the step.
func (p *player) asks(s Step) bool {
	switch s.do {
	case doCPURead, doCPUWrite:
		return p.track
	}
	return s.do <= doSyncForCPU
}

// events are what the calls are for a strategy.
var events = [...]dmaapi.Event{doMap: dmaapi.MapDevice, doUnmap: dmaapi.UnmapDevice, doSyncForDevice: dmaapi.ToDeviceHandover, doSyncForCPU: dmaapi.ToCPUHandover}

// play carries out a step, which must be legal.
func (p *player) play(s Step) {
	p.bad = p.bad[:0]
	l := int(s.line)
	m := &p.devices[s.device]
	switch s.do {
	case doMap, doSyncForDevice:
		if m.owns |= s.part; s.do == doMap {
			m.dir = uint8(s.dir) + 1
		}
		p.handOver(s)
		for k := range p.lines {
			if s.part&(1<<k) != 0 && s.dir != dmaapi.FromDevice {
				p.lines[k].owed = false
			}
		}
	case doUnmap:
		*m = mapping{}
		p.handOver(s)
	case doSyncForCPU:
		m.owns &^= s.part
		p.handOver(s)
	case doCPURead:
		p.load(l)
	case doCPUWrite:
		p.store(l)
		p.lines[l].owed = true
	case doDeviceRead:
		p.deviceRead(l)
	case doDeviceWrite:
		p.deviceWrite(l)
	case doEvict:
		p.evict(l)
	case doEvictOuter:
		p.evictOuter(l)
	case doSpeculate:
		p.fill(l, p.user())
	}
	if p.Profile.Snoops {
		p.coherent()
	}
	p.canonical()
}

func (p *player) handOver(s Step) {
	off, n := p.span(s.part)
	p.call(events[s.do], int(s.device), s.dir, off, n)
}

// span is the part of the buffer that a sync is about: all of it, or the half that a watched line lies in.
func (w *World) span(part uint8) (off, n int) {
	half := w.Bytes / 2
	switch part {
	case 1:
		return 0, half
	case 2:
		return half, w.Bytes - half
	}
	return 0, w.Bytes
}

// words says what the step is.
func (w *World) words(s Step) string {
	dev := deviceNames[s.device]
	part := [...]string{"", ", first half", ", second half", ""}[s.part]
	line := fmt.Sprintf("line %d", s.line)
	switch s.do {
	case doMap:
		return fmt.Sprintf("map for %s, %v", dev, s.dir)
	case doUnmap:
		return fmt.Sprintf("unmap for %s, %v", dev, s.dir)
	case doSyncForDevice:
		return fmt.Sprintf("sync for device %s, %v%s", dev, s.dir, part)
	case doSyncForCPU:
		return fmt.Sprintf("sync for the CPU, from %s, %v%s", dev, s.dir, part)
	case doCPURead:
		return "the CPU reads " + line
	case doCPUWrite:
		return "the CPU writes " + line
	case doDeviceRead:
		return dev + " reads " + line
	case doDeviceWrite:
		return dev + " writes " + line
	case doEvict:
		return "the cache evicts " + line
	case doEvictOuter:
		return "the outer cache evicts " + line
	}
	return "the core fetches " + line + " unasked"
}
