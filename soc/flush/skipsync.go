package flush

import (
	"slices"
	"strings"

	"socsim/soc/dmaapi"
)

// bufferKey names a buffer in a strategy's own books.
type bufferKey struct {
	name  string
	index int
}

func keyOf(q *dmaapi.Question) bufferKey { return bufferKey{q.Buffer, q.Index} }

// skipSync keeps for each buffer who has it, as a driver does that maps a buffer for several devices and passes DMA_ATTR_SKIP_CPU_SYNC for all but the first. A hand-over of a part is carried out and
// noted as what it may be at worst. Going the other way the rule is weaker than the attribute's documentation allows: a sync for the CPU is left out only if one of the same kind has been done since a
// device got the buffer, because the first device to give it back need not be the one that wrote.
type skipSync struct{ buffers map[bufferKey]*domain }

// domain is whose a buffer is.
type domain struct {
	owners []owner                          // the devices that have it, by name
	cpu    bool                             // the CPU has had it, or a part, since the first of them got it
	parts  bool                             // it went in parts: who has what is not known until no device has any
	done   [dmaapi.CleanInvalidate + 1]bool // what has been done for the CPU since a device got it
}

func (s *skipSync) Decide(q *dmaapi.Question) dmaapi.Answer {
	range_ := dmaapi.Answer{Op: q.Default}
	if q.Event == dmaapi.Free {
		delete(s.buffers, keyOf(q))
		return range_
	}
	toDevice := q.Event == dmaapi.MapDevice || q.Event == dmaapi.ToDeviceHandover
	toCPU := q.Event == dmaapi.UnmapDevice || q.Event == dmaapi.ToCPUHandover
	if !toDevice && !toCPU || q.Hints.Has(dmaapi.SkipCPUSync) {
		return range_
	}
	d := s.domain(q)
	skip := false
	switch {
	case toDevice:
		skip = d.take(owner{q.Device, q.Direction != dmaapi.ToDevice}, q.Length == q.Bytes)
	case q.Length != q.Bytes:
		d.cpu, d.parts = true, true
	default:
		skip = d.giveBack(q.Device, q.Default)
	}
	if skip {
		return dmaapi.Answer{}
	}
	return range_
}

// owner is a device that has a buffer, and whether it may write.
type owner struct {
	name   string
	writes bool
}

// find returns where a device stands among the owners, or would.
func (d *domain) find(device string) (at int, has bool) {
	return slices.BinarySearchFunc(d.owners, device, func(o owner, name string) int { return strings.Compare(o.name, name) })
}

// take notes that a device gets the buffer, or a part of it, and tells whether nothing need be done for that: another device has all of it, and the CPU has had nothing since.
func (d *domain) take(device owner, whole bool) bool {
	at, has := d.find(device.name)
	clear(d.done[:])
	if whole && !has && len(d.owners) > 0 && !d.cpu {
		d.owners = slices.Insert(d.owners, at, device)
		return true
	}
	d.cpu, d.parts = !whole, !whole || d.parts && len(d.owners) > 0
	if has {
		d.owners[at] = device
	} else {
		d.owners = slices.Insert(d.owners, at, device)
	}
	return false
}

// giveBack notes that the CPU gets the buffer from a device, and tells whether what is due was done before. Devices that have the buffer together are done together: what one gives back, none of them writes any more.
// A device that has given it back already, while another has got it since and may write, gives nothing.
func (d *domain) giveBack(device string, op dmaapi.Operation) bool {
	at, has := d.find(device)
	if has {
		d.owners = slices.Delete(d.owners, at, at+1)
	}
	d.cpu = true
	written := !has && slices.ContainsFunc(d.owners, func(o owner) bool { return o.writes })
	if d.parts || written || int(op) >= len(d.done) {
		return false
	}
	if d.done[op] {
		return true
	}
	d.done[op] = true
	return false
}

func (s *skipSync) domain(q *dmaapi.Question) *domain {
	k := keyOf(q)
	d := s.buffers[k]
	if d == nil {
		d = &domain{}
		if s.buffers == nil {
			s.buffers = map[bufferKey]*domain{}
		}
		s.buffers[k] = d
	}
	return d
}
