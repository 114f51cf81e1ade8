package run

import (
	"slices"

	"socsim/internal/result"
	"socsim/sim"
	"socsim/sim/bus"
)

// moments gathers the events of a run. Those of one kind, device, place and frame are one.
type moments struct {
	list []result.Event
	at   map[moment]int
}

// moment is what events that are folded have in common.
type moment struct {
	kind, device, where string
	frame               int
}

// noFrame stands for an event that belongs to no frame.
const noFrame = -1

func (m *moments) add(k moment, at, waited sim.Time, holder, address string) {
	if i, ok := m.at[k]; ok {
		e := &m.list[i]
		e.Count++
		e.WaitedPS = max(e.WaitedPS, int64(waited))
		return
	}
	e := result.Event{Kind: k.kind, Device: k.device, Where: k.where, AtPS: int64(at), WaitedPS: int64(waited), Holder: holder, Address: address, Count: 1}
	if k.frame != noFrame {
		e.Frame = &k.frame
	}
	if m.at == nil {
		m.at = map[moment]int{}
	}
	m.at[k] = len(m.list)
	m.list = append(m.list, e)
}

// sorted returns the events in the order of their first moments.
func (m *moments) sorted() []result.Event {
	slices.SortStableFunc(m.list, func(a, b result.Event) int {
		switch {
		case a.AtPS < b.AtPS:
			return -1
		case a.AtPS > b.AtPS:
			return 1
		}
		return 0
	})
	return m.list
}

// events lists the moments at which hardware failed its deadline or stopped, and what is to know about the software.
func (c *collector) events() []result.Event {
	var m moments
	holder := func(device string, h bus.Master) string {
		switch {
		case h == bus.NoMaster:
			return ""
		case c.sys.MasterName(h) == device:
			return "MMU of " + device // the bus was not the reason
		}
		return c.sys.MasterName(h)
	}
	for _, cam := range c.graph.Cameras() {
		for _, o := range cam.Overflows() {
			kind := "isp_overflow"
			if !o.Port.Write() {
				kind = "isp_late_read"
			}
			m.add(moment{kind, cam.Name, o.Port.String(), o.Seq}, o.At, o.Waited, holder(cam.Name, o.Holder), "")
		}
	}
	for _, s := range c.graph.Screens() {
		for _, u := range s.Underflows() {
			m.add(moment{"display_underflow", s.Name, u.Pipeline.String(), u.Seq}, u.At, u.Waited, holder(s.Name, u.Holder), "")
		}
	}
	for _, t := range c.graph.Translated() {
		for _, f := range t.Faults {
			what := f.Kind.String()
			if !f.Handled {
				what += ", not handled"
			}
			m.add(moment{"iommu_fault", t.Name, what, noFrame}, f.Time, 0, "", f.VA.String())
		}
	}
	for _, s := range c.graph.Starved(c.scenario.Run.Warmup) {
		what := "no frame of " + s.Buffer
		if s.Output {
			what = "no free buffer of " + s.Buffer
		}
		m.add(moment{"starvation", s.Stage, what, noFrame}, s.Since, c.scenario.Run.Warmup+c.measured-s.Since, "", "")
	}
	c.injected(&m)
	c.changed(&m)
	for _, n := range c.check.Notes() {
		m.add(moment{n.Kind, n.Device, n.Text, noFrame}, n.At, 0, "", "")
	}
	_, failed, _ := c.graph.Script()
	for _, f := range failed {
		device := f.Device
		if device == "" {
			device = "script"
		}
		m.add(moment{"script_error", device, f.Err.Error(), noFrame}, f.At, 0, "", "")
	}
	return m.sorted()
}
