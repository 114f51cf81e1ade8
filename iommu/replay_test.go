package iommu

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim/bus"
)

// reference is the MMU written down as its description reads: pages in lists, TLB slots replaced in turn, one lookup a burst, a walk that counts the tables on its way.
type reference struct {
	f      Format
	spaces [2][]refPage // what is in the tables of each context
	ctx    int
	off    bool // the walker is
	slots  []refSlot
	turn   int
	cache  []refTable
	oldest int
	n      Counters
	moved  []refMove
}

type refPage struct {
	va   bus.IOVA
	pa   bus.Phys
	size int
}

// refSlot is a TLB entry; of size 0, none.
type refSlot struct {
	refPage
	ctx int
}

// refTable is a walk cache entry: the addresses that share a table. Of size 0, none.
type refTable struct {
	va, size bus.IOVA
	ctx      int
}

type refMove struct {
	PA bus.Phys
	N  int
}

// spans are the bytes that a descriptor covers, of all levels but the last.
func spans(f Format) []bus.IOVA {
	switch f {
	case OMAP:
		return []bus.IOVA{1 << 20}
	case SGX:
		return []bus.IOVA{4 << 20}
	}
	return []bus.IOVA{1 << 30, 2 << 20}
}

func (p refPage) holds(va bus.IOVA) bool { return va >= p.va && va < p.va+bus.IOVA(p.size) }

func findPage(pages []refPage, va bus.IOVA) (refPage, bool) {
	for _, p := range pages {
		if p.holds(va) {
			return p, true
		}
	}
	return refPage{}, false
}

// transfer moves n bytes burst by burst, up to the first fault.
func (r *reference) transfer(va bus.IOVA, n int) {
	for n > 0 {
		step := min(n, 64-int(va%64))
		p, ok := r.lookup(va)
		if !ok {
			return
		}
		r.moved = append(r.moved, refMove{p.pa + bus.Phys(va-p.va), step})
		va += bus.IOVA(step)
		n -= step
	}
}

func (r *reference) lookup(va bus.IOVA) (refPage, bool) {
	for _, s := range r.slots {
		if s.ctx == r.ctx && s.holds(va) {
			r.n.Hits++
			return s.refPage, true
		}
	}
	r.n.Misses++
	if r.off {
		r.n.Faults[TLBMiss]++
		return refPage{}, false
	}
	r.walk(va)
	p, mapped := findPage(r.spaces[r.ctx], va)
	if !mapped {
		r.n.Faults[TranslationFault]++
		return refPage{}, false
	}
	r.slots[r.turn] = refSlot{p, r.ctx}
	r.turn = (r.turn + 1) % len(r.slots)
	return p, true
}

// walk reads a descriptor of each table on the way, from the last one that the walk cache knows; each table found goes there.
func (r *reference) walk(va bus.IOVA) {
	tables := r.tables(va)
	first := 0
	for i, size := range tables {
		if slices.Contains(r.cache, refTable{va / size * size, size, r.ctx}) {
			first = i + 1
		}
	}
	if first > 0 {
		r.n.WalkCacheHits++
	}
	r.n.WalkReads += uint64(len(tables) - first + 1)
	for _, size := range tables[first:] {
		if len(r.cache) > 0 {
			r.cache[r.oldest] = refTable{va / size * size, size, r.ctx}
			r.oldest = (r.oldest + 1) % len(r.cache)
		}
	}
}

// tables returns the bytes covered by each table below the first level on the way to va. A table is there for as long as a page shares it, since nothing is unmapped.
func (r *reference) tables(va bus.IOVA) (out []bus.IOVA) {
	for _, size := range spans(r.f) {
		shared := func(p refPage) bool { return bus.IOVA(p.size) < size && p.va/size == va/size }
		if !slices.ContainsFunc(r.spaces[r.ctx], shared) {
			break
		}
		out = append(out, size)
	}
	return out
}

func (r *reference) flush(va bus.IOVA, leaf bool) {
	for i, s := range r.slots {
		if s.ctx == r.ctx && s.holds(va) {
			r.slots[i] = refSlot{}
		}
	}
	for i, c := range r.cache {
		if !leaf && c.ctx == r.ctx && va >= c.va && va < c.va+c.size {
			r.cache[i] = refTable{}
		}
	}
}

func (r *reference) flushAll() {
	clear(r.slots)
	clear(r.cache)
	r.turn = 0
}

func (r *reference) flushContext(ctx int) {
	for i, s := range r.slots {
		if s.ctx == ctx || r.f != SMMU {
			r.slots[i] = refSlot{}
		}
	}
	for i, c := range r.cache {
		if c.ctx == ctx {
			r.cache[i] = refTable{}
		}
	}
}

func (r *reference) switchTo(ctx int) {
	r.ctx = ctx
	if r.f != SMMU {
		r.flushAll()
	}
}

// layoutOf maps pages of all the format's sizes, with holes; those of the second context lie elsewhere.
func layoutOf(f Format, ctx int) (pages []refPage) {
	switch f {
	case OMAP:
		pages = []refPage{
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
	case SGX:
		for i := range 24 {
			if i%7 != 5 {
				pages = append(pages, refPage{bus.IOVA(0x3f_0000 + i<<12), bus.Phys(0x8000_0000 + (i*5%24)<<12), 4 << 10})
			}
		}
	case SMMU:
		pages = []refPage{
			{0x0000_1000, 0x8000_3000, 4 << 10},
			{0x0000_2000, 0x8000_9000, 4 << 10},
			{0x0000_4000, 0x8000_1000, 4 << 10},
			{0x0001_0000, 0x8007_0000, 64 << 10},
			{0x001f_f000, 0x8000_7000, 4 << 10},
			{0x0020_0000, 0x8020_0000, 2 << 20},
			{0x0040_1000, 0x8000_5000, 4 << 10},
			{0x4000_0000, 0xc000_0000, 1 << 30},
			{0x8020_0000, 0x8060_0000, 2 << 20},
			{0x40_0000_1000, 0x8000_b000, 4 << 10},
		}
	}
	if ctx == 1 {
		pages = slices.DeleteFunc(pages, func(p refPage) bool { return p.va>>12%3 == 2 })
		for i := range pages {
			pages[i].pa ^= bus.Phys(pages[i].size)
		}
	}
	return pages
}

func TestRandomStreamsAgreeWithTheReference(t *testing.T) {
	for _, f := range []Format{OMAP, SGX, SMMU} {
		t.Run(string(f), func(t *testing.T) {
			var total Counters
			rapid.Check(t, func(rt *rapid.T) {
				cfg := Config{Entries: rapid.IntRange(1, 8).Draw(rt, "entries"), Format: f, HitCycles: 1}
				if f == SMMU {
					cfg.WalkCache = rapid.IntRange(0, 4).Draw(rt, "walk cache")
				}
				r := newRig(t, cfg)
				second, err := NewPageTable(f, r.mem)
				if err != nil {
					t.Fatal(err)
				}
				tables := []*PageTable{r.pt, second}
				ref := &reference{f: f, slots: make([]refSlot, cfg.Entries), cache: make([]refTable, cfg.WalkCache)}
				for ctx, pt := range tables {
					ref.spaces[ctx] = layoutOf(f, ctx)
					for _, p := range ref.spaces[ctx] {
						if err := pt.Map(r.mem, p.va, p.pa, p.size); err != nil {
							t.Fatal(err)
						}
					}
				}
				for range rapid.IntRange(1, 60).Draw(rt, "steps") {
					p := rapid.SampledFrom(ref.spaces[0]).Draw(rt, "page")
					// Before, in or beyond the page, word aligned.
					va := p.va + bus.IOVA(rapid.IntRange(0, p.size/4+64).Draw(rt, "word")*4) - 128
					switch op := rapid.IntRange(0, 29).Draw(rt, "op"); op {
					case 0:
						r.mmu.FlushAll()
						ref.flushAll()
					case 1:
						ctx := rapid.IntRange(0, 1).Draw(rt, "context")
						r.mmu.FlushContext(ctx)
						ref.flushContext(ctx)
					case 2, 3:
						r.mmu.Flush(va)
						ref.flush(va, false)
					case 4, 5:
						r.mmu.FlushLeaf(va)
						ref.flush(va, true)
					case 6, 7:
						ctx := rapid.IntRange(0, 1).Draw(rt, "context")
						r.mmu.SwitchContext(ctx, tables[ctx].Root())
						ref.switchTo(ctx)
					case 8:
						ref.off = !ref.off
						r.mmu.SetTableWalk(!ref.off)
					default:
						n := rapid.IntRange(1, 300).Draw(rt, "bytes")
						if op == 9 {
							n *= 50
						}
						r.port.Issue(r.free, va, n, op&1 == 0)
						r.run()
						ref.transfer(va, n)
						r.port.Cancel()
						r.mmu.Acknowledge(r.free)
					}
					if diff := cmp.Diff(ref.n, r.mmu.Counters()); diff != "" {
						rt.Fatalf("counters (-reference +model)\n%s", diff)
					}
				}
				var moved []refMove
				for _, g := range r.data() {
					moved = append(moved, refMove{g.Addr, g.N})
				}
				if diff := cmp.Diff(ref.moved, moved); diff != "" {
					rt.Fatalf("bursts (-reference +model)\n%s", diff)
				}
				total.Hits += ref.n.Hits
				total.Misses += ref.n.Misses
				total.WalkCacheHits += ref.n.WalkCacheHits
				for k, n := range ref.n.Faults {
					total.Faults[k] += n
				}
			})
			if total.Hits == 0 || total.Misses == total.Faults.Total() || total.Faults[TranslationFault] == 0 || total.Faults[TLBMiss] == 0 || f == SMMU && total.WalkCacheHits == 0 {
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
	}{{OMAP, 4 << 10, 277, 2}, {OMAP, 64 << 10, 18, 2}, {OMAP, 1 << 20, 2, 1}, {OMAP, 16 << 20, 1, 1}, {SGX, 4 << 10, 277, 2}, {SMMU, 4 << 10, 277, 3}, {SMMU, 64 << 10, 18, 3}, {SMMU, 2 << 20, 1, 2}} {
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
	for _, f := range []Format{OMAP, SGX, SMMU} {
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
