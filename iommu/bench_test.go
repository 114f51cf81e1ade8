package iommu

import (
	"fmt"
	"testing"
	"time"

	"socsim/sim"
	"socsim/sim/bus"
)

func filled(b *testing.B, entries int) *MMU {
	b.Helper()
	m, err := New(Config{Entries: entries, Format: OMAP}, l3clock, newTables())
	if err != nil {
		b.Fatal(err)
	}
	for i := range entries {
		m.install(entry{va: uint64(i+1) << 12, size: 4 << 10, pa: bus.Phys(i) << 12})
	}
	return m
}

var sink bus.Phys

func BenchmarkLookupRepeat(b *testing.B) {
	m := filled(b, 8)
	b.ReportAllocs()
	var sum bus.Phys
	for i := range b.N {
		pa, _ := m.Lookup(bus.IOVA(8<<12 + i&0xfff))
		sum += pa
	}
	sink = sum
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/lookup")
}

func BenchmarkLookupAlternating(b *testing.B) {
	for _, entries := range []int{8, 32} {
		b.Run(fmt.Sprint(entries), func(b *testing.B) {
			m := filled(b, entries)
			b.ReportAllocs()
			var sum bus.Phys
			for i := range b.N {
				pa, _ := m.Lookup(bus.IOVA(i%entries+1) << 12)
				sum += pa
			}
			sink = sum
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/lookup")
		})
	}
}

// flat is table memory as an array, for speed.
type flat struct {
	words []uint32
	next  bus.Phys
}

func (m *flat) Load(pa bus.Phys) uint32        { return m.words[pa/4] }
func (m *flat) LoadWord(pa bus.Phys) uint32    { return m.words[pa/4] }
func (m *flat) CurrentWord(pa bus.Phys) uint32 { return m.words[pa/4] }
func (m *flat) Contains(pa bus.Phys) bool      { return int(pa/4) < len(m.words) }
func (m *flat) Now() sim.Time                  { return 0 }
func (m *flat) Store(pa bus.Phys, v uint32)    { m.words[pa/4] = v }
func (m *flat) Clean(bus.Phys, int)            {}

func (m *flat) AllocTable(bytes, align int) (bus.Phys, error) {
	base := (m.next + bus.Phys(align) - 1) &^ (bus.Phys(align) - 1)
	m.next = base + bus.Phys(bytes)
	return base, nil
}

type quiet struct{}

func (quiet) Granted(*bus.Port, sim.Time) {}

// Transfers of 256 bytes through a frame, the fake bus's share included; the physical case is that share alone.
func BenchmarkPortIssue(b *testing.B) {
	const frame = 4 << 20
	for _, size := range []int{0, 4 << 10, 64 << 10, 1 << 20} {
		name := fmt.Sprint(size>>10, "KiB")
		if size == 0 {
			name = "physical"
		}
		b.Run(name, func(b *testing.B) {
			mem := &flat{words: make([]uint32, 1<<16)}
			fb := newBus()
			fb.logging = false
			pt, err := NewPageTable(OMAP, mem)
			if err != nil {
				b.Fatal(err)
			}
			m, err := New(Config{Entries: 8, Format: OMAP, HitCycles: 1}, l3clock, mem)
			if err != nil {
				b.Fatal(err)
			}
			if size > 0 {
				for off := 0; off < frame; off += size {
					if err := pt.Map(mem, bus.IOVA(off), bus.Phys(0x8000_0000+off), size); err != nil {
						b.Fatal(err)
					}
				}
				m.Attach(pt.Root())
			}
			port := NewPort(fb.port(4), m, quiet{})
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				port.Issue(fb.free, bus.IOVA(i*256&(frame-1)), 256, true)
				fb.run()
			}
			if f := m.Counters().Faults.Total(); f != 0 {
				b.Fatalf("%d faults", f)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/transfer")
			b.ReportMetric(float64(4*b.N)/b.Elapsed().Seconds()/1e6, "Mbursts/s")
		})
	}
}

// serve grants all that p shows, in no time.
func serve(p *bus.Port) {
	for !p.Idle() {
		if n := p.Burst(); !p.Advance(n, 0) {
			p.Source().Granted(p, 0)
		}
	}
}

// BenchmarkPortHits shows what a TLB hit adds to a burst: transfers through eight pages, through an MMU and through a bare port, in turns.
func BenchmarkPortHits(b *testing.B) {
	const pages, turn = 8, 1 << 12
	for _, size := range []int{64, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			fb := newBus()
			plain, behind := fb.port(16), fb.port(16)
			plain.SetSource(quiet{})
			m := filled(b, pages)
			m.enabled = true
			port := NewPort(behind, m, quiet{})
			var bare, translated time.Duration
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += turn {
				start := time.Now()
				for k := range turn {
					plain.Issue(0, bus.Phys(k%pages+1)<<12+bus.Phys(k*size&0xfff), size, bus.Write)
					serve(plain)
				}
				bare += time.Since(start)
				start = time.Now()
				for k := range turn {
					port.Issue(0, bus.IOVA(k%pages+1)<<12+bus.IOVA(k*size&0xfff), size, true)
					serve(behind)
				}
				translated += time.Since(start)
			}
			bursts := float64((b.N + turn - 1) / turn * turn * size / bus.BurstBytes)
			if n := m.Counters(); n.Misses != 0 || float64(n.Hits) != bursts {
				b.Fatalf("%+v, want %v hits", n, bursts)
			}
			b.ReportMetric(float64(bare.Nanoseconds())/bursts, "bare-ns/burst")
			b.ReportMetric(float64((translated-bare).Nanoseconds())/bursts, "added-ns/burst")
		})
	}
}

func BenchmarkMap(b *testing.B) {
	mem := &flat{words: make([]uint32, 1<<16)}
	pt, err := NewPageTable(OMAP, mem)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := range b.N {
		va := bus.IOVA(i&255) << 12
		if err := pt.Map(mem, va, 0x8000_0000, 4<<10); err != nil {
			b.Fatal(err)
		}
		if err := pt.Unmap(mem, va, 4<<10); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/map+unmap")
}
