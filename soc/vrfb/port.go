package vrfb

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/bus"
)

// Port is an initiator's connection to the bus through the rotation engine. It is a [bus.Outlet], and the bus port's source; the initiator is told when its whole transfer is granted.
//
// The bursts that the bus port may have in flight become transfers, as the initiator sees them; of a split one the bus port itself admits [bus.MaxOutstanding] accesses.
type Port struct {
	bus *bus.Port
	eng *Engine
	dev bus.Source

	ctx   *context
	view  View
	x, y  int // of the next pixel, in the view
	left  int // pixels not yet on the bus
	kind  bus.Kind
	begun bool // an access of the split transfer has been granted

	limit, slot int
	done        [bus.MaxOutstanding]sim.Time // of the last transfers
}

// NewPort puts the engine between the initiator and p, and makes the port p's source. p must be connected and nothing issued on it yet.
func NewPort(p *bus.Port, e *Engine, dev bus.Source) *Port {
	t := &Port{bus: p, eng: e, dev: dev, limit: p.Outstanding}
	p.Outstanding = bus.MaxOutstanding
	p.SetSource(t)
	return t
}

// Issue offers a transfer of n bytes at time at. In a view it must be whole pixels of one line, within the image. It allocates nothing.
func (t *Port) Issue(at sim.Time, addr bus.Phys, n int, write bool) {
	at = max(at, t.done[t.slot])
	t.kind = bus.Read
	if write {
		t.kind = bus.Write
	}
	t.begun, t.left = false, 0
	if !In(addr) {
		t.bus.Issue(at, addr, n, t.kind)
		return
	}
	var off int
	t.ctx, t.view, off = t.eng.find(addr)
	bpp := t.ctx.BytesPerPixel
	if bpp == 0 || off%bpp != 0 || n%bpp != 0 {
		panic(fmt.Sprintf("vrfb: transfer of %d bytes at %v, whose view has pixels of %d bytes", n, addr, bpp))
	}
	off /= bpp
	t.x, t.y, t.left = off%LineLen, off/LineLen, n/bpp
	t.split(at)
}

// split issues the next access of the transfer: the pixels that lie side by side in memory.
func (t *Port) split(at sim.Time) {
	c, n := t.ctx, 1
	addr := c.phys(t.view, t.x, t.y)
	room := int(addr-c.Base) % pageWidth // bytes of the page's line before the pixel
	switch t.view {
	case Upright:
		n = min(t.left, (pageWidth-room)/c.BytesPerPixel)
	case Turned180:
		n = min(t.left, room/c.BytesPerPixel+1)
		addr -= bus.Phys((n - 1) * c.BytesPerPixel)
	}
	t.x += n
	t.left -= n
	t.bus.Issue(at, addr, n*c.BytesPerPixel, t.kind)
}

// Withdraw takes the transfer back and returns true, as though it had never been issued; or returns false if a part of it has been granted already.
func (t *Port) Withdraw() bool {
	if t.begun || !t.bus.Withdraw() {
		return false
	}
	t.left = 0
	return true
}

// Granted continues the transfer. The interconnect calls it.
func (t *Port) Granted(p *bus.Port, done sim.Time) {
	if t.left > 0 {
		t.begun = true
		// The rest follows as the next burst of one transfer would: it has been waiting since.
		t.split(p.Issued())
		return
	}
	t.done[t.slot] = done
	if t.slot++; t.slot == t.limit {
		t.slot = 0
	}
	t.dev.Granted(p, done)
}
