package l3

import (
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
)

// between stands between a port and its source.
type between struct {
	bus.Source
	seen int
}

func (b *between) Granted(p *bus.Port, done sim.Time) {
	b.seen++
	b.Source.Granted(p, done)
}

type counter struct{ told int }

func (c *counter) Granted(*bus.Port, sim.Time) { c.told++ }

func TestASourceInBetweenSeesWhatIsGranted(t *testing.T) {
	r := newRig(t, nil)
	source := &counter{}
	p := r.AddPort(PortConfig{Master: 1, Outstanding: 2}, source)
	q := r.AddPort(PortConfig{Master: 2, Outstanding: 2}, source)
	ports := r.Ports()
	if len(ports) != 2 || ports[0] != p || ports[1] != q {
		t.Fatalf("ports %v, want those that were added", ports)
	}
	tap := &between{Source: q.Source()}
	ports[1].SetSource(tap)
	p.Issue(0, testBase, 64, bus.Read)
	q.Issue(0, testBase, 128, bus.Read)
	r.AdvanceTo(sim.Millisecond)
	if tap.seen != 1 || source.told != 2 {
		t.Errorf("seen %d of one port's transfers, the sources were told of %d", tap.seen, source.told)
	}
}
