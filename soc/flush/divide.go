package flush

import (
	"strings"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// Own is a strategy for a part of the application: a buffer set or a device, by its name.
type Own struct {
	Name     string
	Strategy Info
}

// Divide returns a policy that puts each question to one of several strategies: one for some buffer sets, one for the hand-overs of some devices, and one for all the rest.
//
//   - How a buffer is allocated and how the CPU maps it is asked of the buffer's own strategy, whatever the device.
//   - A hand-over is asked of the device's own strategy first, for that speaks of one attachment of a buffer and the buffer's of all.
//   - A submission of several buffers at once is asked of the device's strategy, or of that for the rest. Without a strategy of the device's, buffers that have one take no part in it.
//
// A strategy that is given several times with the same parameters is one, with one history: of what is asked of it, and of nothing else.
func Divide(rest Info, buffers, devices []Own) dmaapi.Policy {
	if len(buffers) == 0 && len(devices) == 0 {
		return rest.New()
	}
	made := map[string]dmaapi.Policy{}
	d := &divided{buffers: map[string]dmaapi.Policy{}, devices: map[string]dmaapi.Policy{}}
	policy := func(i Info) dmaapi.Policy {
		p, ok := made[i.Label()]
		if !ok || strings.HasPrefix(i.Name, "@") { // two files may bear one name; and tables have no history to share
			p = i.New()
			made[i.Label()] = p
			d.all = append(d.all, p)
		}
		return p
	}
	d.rest = policy(rest)
	for _, o := range buffers {
		d.buffers[o.Name] = policy(o.Strategy)
	}
	for _, o := range devices {
		d.devices[o.Name] = policy(o.Strategy)
	}
	return d
}

// divided is the policy that Divide makes. A decision is that of the policy it picks, and up to two look-ups by name.
type divided struct {
	rest             dmaapi.Policy
	buffers, devices map[string]dmaapi.Policy
	all              []dmaapi.Policy // each once, in the order in which they are named
	starting         dmaapi.Policy   // the one that measures now, with a buffer of its own
}

func (d *divided) Decide(q *dmaapi.Question) dmaapi.Answer { return d.of(q).Decide(q) }

// of picks the policy to ask.
func (d *divided) of(q *dmaapi.Question) dmaapi.Policy {
	if d.starting != nil {
		return d.starting
	}
	switch q.Event {
	case dmaapi.MapDevice, dmaapi.UnmapDevice, dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover, dmaapi.Batch:
		if p, ok := d.devices[q.Device]; ok {
			return p
		}
	}
	if p, ok := d.buffers[q.Buffer]; ok {
		return p
	}
	return d.rest
}

// Apart tells whether a buffer takes no part in a device's submissions.
func (d *divided) Apart(buffer, device string) bool {
	_, own := d.devices[device]
	_, apart := d.buffers[buffer]
	return apart && !own
}

// Start starts those of the policies that want it, one after another.
func (d *divided) Start(t *cpu.Thread, api *dmaapi.API) {
	for _, p := range d.all {
		if s, ok := p.(dmaapi.Starter); ok {
			d.starting = p
			s.Start(t, api)
		}
	}
	d.starting = nil
}

// See lets those of the policies look that want to.
func (d *divided) See(truth dmaapi.Truth) {
	for _, p := range d.all {
		if s, ok := p.(dmaapi.Seer); ok {
			s.See(truth)
		}
	}
}

// Maps tells whether the strategy has a say in how a buffer is mapped, or wants it flushed when it is allocated, where the question is about that.
func (i Info) Maps(q dmaapi.Question) bool {
	for _, e := range []dmaapi.Event{dmaapi.Allocate, dmaapi.MapCPU} {
		q.Event = e
		if a := i.New().Decide(&q); a.Attr != "" && a.Attr != q.Attr || a.Track || a.Force {
			return true
		}
	}
	return false
}
