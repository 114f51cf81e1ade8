package iommu

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim/bus"
)

// reference is the MMU written down as its description reads: pages in a list, TLB slots replaced in turn, one lookup a burst.
type reference struct {
	pages []refPage // what is in the tables
	slots []refPage // size 0: empty
	turn  int
	n     Counters
	moved []refMove
}

type refPage struct {
	va   bus.IOVA
	pa   bus.Phys
	size int
}

type refMove struct {
	PA bus.Phys
	N  int
}

func findPage(pages []refPage, va bus.IOVA) (refPage, bool) {
	for _, p := range pages {
		if va >= p.va && va < p.va+bus.IOVA(p.size) {
			return p, true
		}
	}
	return refPage{}, false
}

// transfer moves n bytes burst by burst.
func (r *reference) transfer(f Format, va bus.IOVA, n int) {
	for n > 0 {
		step := min(n, 64-int(va%64))
		p, hit := findPage(r.slots, va)
		if hit {
			r.n.Hits++
		} else {
			r.n.Misses++
			var mapped bool
			if p, mapped = findPage(r.pages, va); !mapped {
				r.n.Faults[TranslationFault]++
				r.n.WalkReads++
				if r.secondLevel(f, va) {
					r.n.WalkReads++
				}
				return
			}
			r.n.WalkReads++
			if p.size < 1<<20 {
				r.n.WalkReads++
			}
			r.slots[r.turn] = p
			r.turn = (r.turn + 1) % len(r.slots)
		}
		r.moved = append(r.moved, refMove{p.pa + bus.Phys(va-p.va), step})
		va += bus.IOVA(step)
		n -= step
	}
}

// secondLevel tells whether a walk for an unmapped address finds a second-level table: in the OMAP format when a page shares it, in the SGX format (where the test
// never unmaps) as well.
func (r *reference) secondLevel(f Format, va bus.IOVA) bool {
	span := bus.IOVA(1 << 20)
	if f == SGX {
		span = 4 << 20
	}
	return slices.ContainsFunc(r.pages, func(p refPage) bool { return p.size < 1<<20 && p.va/span == va/span })
}

func (r *reference) flush(va bus.IOVA) {
	for i, p := range r.slots {
		if va >= p.va && va < p.va+bus.IOVA(p.size) {
			r.slots[i] = refPage{}
		}
	}
}

func (r *reference) flushAll() {
	clear(r.slots)
	r.turn = 0
}

// layoutOf maps pages of all the format's sizes, with holes.
func layoutOf(f Format) []refPage {
	if f == SGX {
		var out []refPage
		for i := range 24 {
			if i%7 != 5 {
				out = append(out, refPage{bus.IOVA(0x3f_0000 + i<<12), bus.Phys(0x8000_0000 + (i*5%24)<<12), 4 << 10})
			}
		}
		return out
	}
	return []refPage{
		{0x0000_1000, 0x8000_3000, 4 << 10},
		{0x0000_2000, 0x8000_9000, 4 << 10},
		{0x0000_3000, 0x8000_1000, 4 << 10},
		{0x0000_5000, 0x8000_7000, 4 << 10},
		{0x0001_0000, 0x8007_0000, 64 << 10},
		{0x0002_0000, 0x8003_0000, 64 << 10},
		{0x0010_0000, 0x8010_0000, 1 << 20},
		{0x0020_0000, 0x8070_0000, 1 << 20},
		{0x0100_0000, 0x8200_0000, 16 << 20},
	}
}

func TestRandomStreamsAgreeWithTheReference(t *testing.T) {
	for _, f := range []Format{OMAP, SGX} {
		t.Run(string(f), func(t *testing.T) {
			pages := layoutOf(f)
			var total Counters
			var faults uint64
			rapid.Check(t, func(rt *rapid.T) {
				entries := rapid.IntRange(1, 8).Draw(rt, "entries")
				r := newRig(t, Config{Entries: entries, Format: f, HitCycles: 1})
				for _, p := range pages {
					r.mapPage(t, p.va, p.pa, p.size)
				}
				ref := &reference{pages: pages, slots: make([]refPage, entries)}
				for range rapid.IntRange(1, 50).Draw(rt, "steps") {
					p := rapid.SampledFrom(pages).Draw(rt, "page")
					// Before, in or beyond the page, word aligned.
					va := p.va + bus.IOVA(rapid.IntRange(0, p.size/4+64).Draw(rt, "word")*4) - 128
					switch op := rapid.IntRange(0, 19).Draw(rt, "op"); op {
					case 0:
						r.mmu.FlushAll()
						ref.flushAll()
					case 1, 2:
						r.mmu.Flush(va)
						ref.flush(va)
					default:
						n := rapid.IntRange(1, 300).Draw(rt, "bytes")
						if op == 3 {
							n *= 50
						}
						r.port.Issue(r.free, va, n, op&1 == 0)
						r.run()
						if r.port.Stalled() {
							r.port.Cancel()
							r.mmu.Acknowledge(r.free)
						}
						ref.transfer(f, va, n)
					}
					if diff := cmp.Diff(ref.n, r.mmu.Counters()); diff != "" {
						rt.Fatalf("counters (-reference +model)\n%s", diff)
					}
				}
				var moved []refMove
				for _, g := range r.log {
					if g.Kind != bus.WalkRead {
						moved = append(moved, refMove{g.Addr, g.N})
					}
				}
				if diff := cmp.Diff(ref.moved, moved); diff != "" {
					rt.Fatalf("bursts (-reference +model)\n%s", diff)
				}
				total.Hits += ref.n.Hits
				total.Misses += ref.n.Misses
				faults += ref.n.Faults.Total()
			})
			if total.Hits == 0 || total.Misses == faults || faults == 0 {
				t.Errorf("the streams exercise too little: %+v", total)
			}
		})
	}
}

// A frame of 864 x 656 UYVY at 4 KiB pages is 277 pages (the last one 2816 bytes): one miss and two reads a page, whatever the TLB, since it goes through each page once.
func TestAStreamMissesOncePerPage(t *testing.T) {
	const frame = 864 * 656 * 2
	for _, c := range []struct {
		f             Format
		size          int
		pages, levels uint64
	}{{OMAP, 4 << 10, 277, 2}, {OMAP, 64 << 10, 18, 2}, {OMAP, 1 << 20, 2, 1}, {OMAP, 16 << 20, 1, 1}, {SGX, 4 << 10, 277, 2}} {
		r := newRig(t, Config{Entries: 8, Format: c.f})
		for off := 0; off < frame; off += c.size {
			r.mapPage(t, bus.IOVA(c.size+off), bus.Phys(0x8000_0000+off), c.size)
		}
		for off := 0; off < frame; off += 256 {
			r.port.Issue(r.free, bus.IOVA(c.size+off), 256, true)
			r.run()
		}
		want := Counters{Hits: frame/64 - c.pages, Misses: c.pages, WalkReads: c.pages * c.levels}
		if got := r.mmu.Counters(); got != want {
			t.Errorf("%s %d: %+v, want %+v", c.f, c.size, got, want)
		}
	}
}

// Five streams that take turns on pages of their own thrash four entries replaced in turn, and fit into eight.
func TestMoreStreamsThanEntriesThrash(t *testing.T) {
	for _, c := range []struct {
		entries int
		misses  uint64
	}{{4, 100}, {8, 5}} {
		r := newRig(t, Config{Entries: c.entries, Format: OMAP})
		for s := range 5 {
			r.mapPage(t, bus.IOVA(s<<12), bus.Phys(s<<12), 4<<10)
		}
		for i := range 20 {
			for s := range 5 {
				r.touch(bus.IOVA(s<<12 + i*64))
			}
		}
		if got := r.mmu.Counters(); got.Misses != c.misses || got.Hits != 100-c.misses {
			t.Errorf("%d entries: %+v, want %d misses", c.entries, got, c.misses)
		}
	}
}

// Tables and a plain map agree over random maps and unmaps of all sizes; what the CPU sees and what memory holds stay the same.
func TestRandomMapsAgreeWithAList(t *testing.T) {
	for _, f := range []Format{OMAP, SGX} {
		t.Run(string(f), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				pt, m := newTable(t, f)
				var live []refPage
				for range rapid.IntRange(1, 40).Draw(rt, "steps") {
					size := rapid.SampledFrom(pt.PageSizes()).Draw(rt, "size")
					// Addresses near a few places, so that pages of different sizes meet.
					va := bus.IOVA(rapid.SampledFrom([]int{0, 0x10_0000, 0x1f_0000, 0x100_0000}).Draw(rt, "place"))
					va = (va + bus.IOVA(rapid.IntRange(0, 20).Draw(rt, "offset")<<12)) &^ bus.IOVA(size-1)
					pa := bus.Phys(rapid.IntRange(0, 255).Draw(rt, "pa") * size)
					if uint64(pa) >= 1<<32 {
						pa = 0
					}
					if rapid.Bool().Draw(rt, "map") {
						overlap := slices.ContainsFunc(live, func(p refPage) bool {
							return p.va < va+bus.IOVA(size) && va < p.va+bus.IOVA(p.size)
						})
						err := pt.Map(m, va, pa, size)
						if overlap != (err != nil) {
							rt.Fatalf("Map(%v, %d): %v, overlap %v", va, size, err, overlap)
						}
						if err == nil {
							live = append(live, refPage{va, pa, size})
						}
					} else {
						i := slices.IndexFunc(live, func(p refPage) bool { return p.va == va && p.size == size })
						err := pt.Unmap(m, va, size)
						if (i >= 0) != (err == nil) {
							rt.Fatalf("Unmap(%v, %d): %v, mapped %v", va, size, err, i >= 0)
						}
						if i >= 0 {
							live = slices.Delete(live, i, i+1)
						}
					}
					probe := va + bus.IOVA(rapid.IntRange(0, size-1).Draw(rt, "probe"))
					want, mapped := findPage(live, probe)
					got, gotSize, ok := pt.Lookup(m, probe)
					if ok != mapped || gotSize != want.size || ok && got != want.pa+bus.Phys(probe-want.va) {
						rt.Fatalf("Lookup(%v) = %v, %d, %v; want %+v, %v", probe, got, gotSize, ok, want, mapped)
					}
				}
				for pa, v := range m.cpu {
					if m.mem[pa] != v {
						rt.Fatalf("word at %v: CPU %#x, memory %#x", pa, v, m.mem[pa])
					}
				}
			})
		})
	}
}
