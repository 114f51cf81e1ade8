package iommu

import (
	"encoding/binary"
	"slices"
	"testing"

	"socsim/sim/bus"
)

// garbage is memory filled with the same words over and over, those that the CPU sees shifted.
type garbage struct {
	words []uint32
	base  bus.Phys
	size  uint64
}

func (g *garbage) Contains(pa bus.Phys) bool { return uint64(pa-g.base) < g.size }

func (g *garbage) LoadWord(pa bus.Phys) uint32 {
	if !g.Contains(pa) || pa%wordBytes != 0 {
		panic("a walker reads where there is no memory")
	}
	return g.words[uint64(pa/wordBytes)%uint64(len(g.words))]
}

func (g *garbage) CurrentWord(pa bus.Phys) uint32 {
	return g.LoadWord((pa-g.base+64)%bus.Phys(g.size) + g.base)
}

// Whatever tables hold, an access is translated by an entry that is a page of the format, or stalls with a fault, after at most a read a level; and so it does again when it is tried again.
func FuzzWalk(f *testing.F) {
	f.Add(uint8(0), uint64(0x1234_5000), []byte{2, 0, 0, 0x80})
	f.Add(uint8(0), uint64(0x1234_5000), []byte{1, 0x10, 0, 0x80, 2, 0, 0, 0x80, 1, 0, 0, 0x80})
	f.Add(uint8(1), uint64(0xfff_fffc), []byte{1, 0, 0, 0x80})
	f.Add(uint8(2), uint64(0x7f_ffff_fff8), []byte{3, 0, 0, 0x80, 0, 0, 0, 0})
	f.Add(uint8(2), uint64(0x40_0000_0000), []byte{3, 4, 0, 0x80, 0, 0, 0x10, 0, 1, 4, 0, 0xc0, 0, 0, 0, 0})
	f.Add(uint8(2), uint64(1)<<39, []byte{3})
	f.Fuzz(func(t *testing.T, format uint8, va uint64, contents []byte) {
		c := formats[int(format)%len(formats)]
		g := &garbage{base: 0x8000_0000, size: 1 << 20}
		for len(contents) >= wordBytes {
			g.words = append(g.words, binary.LittleEndian.Uint32(contents))
			contents = contents[wordBytes:]
		}
		g.words = append(g.words, 0)
		cfg := Config{Entries: 4, Format: c.Format}
		if c.Format == SMMU {
			cfg.WalkCache = 3
		}
		m, err := New(cfg, l3clock, g)
		if err != nil {
			t.Fatal(err)
		}
		m.OnStale = func(s Stale) {
			if s.Bytes <= 0 || s.Bytes > 5000 || s.What == 0 {
				t.Errorf("%+v", s)
			}
		}
		m.Attach(g.base)
		b, dev := newBus(), &recorder{}
		p := NewPort(b.port(2), m, dev)
		for i, at := range []uint64{va, va + 4096, va ^ 1<<21, va} {
			if at > 1<<40 {
				at %= 1 << 40
			}
			reads := m.Counters().WalkReads
			p.Issue(b.free, bus.IOVA(at), 5000, true)
			b.run()
			for range 2 {
				m.Acknowledge(b.free)
				b.run()
			}
			if told := len(dev.done) > 0; told == p.Stalled() {
				t.Errorf("access %d: device told %v, stalled %v", i, told, p.Stalled())
			}
			if n := m.Counters().WalkReads - reads; n > 5*uint64(len(m.l.levels)) {
				t.Errorf("access %d: %d reads", i, n)
			}
			for _, e := range m.tlb {
				if e.size != 0 && (!slices.Contains(m.l.sizes, int(e.size)) || e.va%e.size != 0 || uint64(e.pa)%e.size != 0 || uint64(e.pa)>>m.l.paBits != 0) {
					t.Errorf("entry %+v is no page of the %s format", e, c.Format)
				}
			}
			p.Cancel()
			m.Acknowledge(b.free)
			dev.done = nil
		}
		if n := m.Counters(); n.Faults.Total()-n.Faults[MultiHit] > n.Misses {
			t.Errorf("%+v: more faults than misses", n)
		}
	})
}
