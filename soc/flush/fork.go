package flush

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"socsim/soc/dmaapi"
)

// Fork copies the books.
func (s *skipSync) Fork() dmaapi.Policy {
	c := &skipSync{buffers: make(map[bufferKey]*domain, len(s.buffers))}
	for k, d := range s.buffers {
		own := *d
		own.owners = slices.Clone(d.owners)
		c.buffers[k] = &own
	}
	return c
}

// History appends who has each buffer, and what has been done for the CPU.
func (s *skipSync) History(b []byte) []byte {
	for _, k := range sorted(s.buffers) {
		d := s.buffers[k]
		b = append(k.append(b), bit(d.cpu), bit(d.parts))
		for _, owner := range d.owners {
			b = append(append(b, owner.name...), 0, bit(owner.writes))
		}
		b = append(b, 0)
		for _, done := range d.done {
			b = append(b, bit(done))
		}
	}
	return b
}

// Fork copies the pages noted.
func (f *faultTracking) Fork() dmaapi.Policy {
	c := newFaultTracking(f.force, f.syncAtFault)
	for k, t := range f.buffers {
		c.buffers[k] = &trackedBuffer{slices.Clone(t.dirty), t.away}
	}
	return c
}

// History appends the pages noted and whether a device has had the buffer.
func (f *faultTracking) History(b []byte) []byte {
	for _, k := range sorted(f.buffers) {
		t := f.buffers[k]
		b = append(k.append(b), bit(t.away))
		b = binary.AppendUvarint(b, uint64(len(t.dirty)))
		for _, s := range t.dirty {
			b = binary.AppendVarint(binary.AppendVarint(b, int64(s.Offset)), int64(s.Bytes))
		}
	}
	return b
}

// Fork returns the policy itself: what it sees is not its history.
func (o *optimal) Fork() dmaapi.Policy { return o }

// History appends nothing.
func (o *optimal) History(b []byte) []byte { return b }

// Fork returns the policy itself: once it has measured, it decides by size alone.
func (c *calibrated) Fork() dmaapi.Policy { return c }

// History appends nothing.
func (c *calibrated) History(b []byte) []byte { return b }

// sorted returns the buffers that books are kept of, in a fixed order.
func sorted[T any](books map[bufferKey]T) []bufferKey {
	return slices.SortedFunc(maps.Keys(books), func(a, b bufferKey) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return a.index - b.index
	})
}

// append appends the key such that nothing that follows can be taken for a part of it.
func (k bufferKey) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(k.name)))
	return binary.AppendVarint(append(b, k.name...), int64(k.index))
}

func bit(on bool) byte {
	if on {
		return 1
	}
	return 0
}
