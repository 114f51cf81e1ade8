package iommu

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/sim"
	"socsim/sim/bus"
)

// formats are all formats, with what the contract asks of each: the levels that a walk to a page of each size reads.
var formats = []struct {
	Format
	levels []uint64
	top    bus.IOVA // first address beyond the space
}{
	{OMAP, []uint64{2, 2, 1, 1}, 1 << 32},
	{SGX, []uint64{2}, 1 << 28},
	{SMMU, []uint64{3, 3, 2, 1}, 1 << 39},
}

// TestEveryFormatKeepsTheContract runs what holds for all formats. A rig has the address space of the format, an MMU of 8 entries, and no walk cache.
func TestEveryFormatKeepsTheContract(t *testing.T) {
	for _, f := range formats {
		l, err := f.layout()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			run  func(t *testing.T, r *rig, size int)
		}{
			{"a page is mapped once and unmapped once", mapsOnce},
			{"a page overlaps no other", overlapsNothing},
			{"what is wrong is refused and changes nothing", refuses},
			{"memory holds what the CPU stored", cleansAll},
			{"a page is one entry", oneEntry},
			{"an unmapped page faults after a flush", faultsAfterFlush},
			{"a stalled access goes on when the page is there", retries},
			{"a freed page is stale", staleFreed},
			{"a remapped page is stale", staleRemapped},
			{"a changed page is stale", staleChanged},
			{"a page that was not cleaned is stale", staleNotCleaned},
			{"a page entered again is not stale", notStaleAgain},
			{"contexts have tables of their own", contexts},
		} {
			t.Run(string(f.Format)+"/"+c.name, func(t *testing.T) {
				for _, size := range l.sizes {
					c.run(t, newRig(t, Config{Entries: 8, Format: f.Format, HitCycles: 1}), size)
				}
			})
		}
		t.Run(string(f.Format)+"/a walk reads a descriptor a level", func(t *testing.T) {
			for i, size := range l.sizes {
				r := newRig(t, Config{Entries: 8, Format: f.Format})
				va, _ := place(r, size)
				r.mapPage(t, va, 0, size)
				r.touch(va)
				if got, want := r.mmu.Counters(), (Counters{Misses: 1, WalkReads: f.levels[i]}); got != want {
					t.Errorf("%d: %+v, want %+v", size, got, want)
				}
			}
		})
		t.Run(string(f.Format)+"/the space ends", func(t *testing.T) {
			r := newRig(t, Config{Entries: 8, Format: f.Format})
			r.mapPage(t, f.top-4096, 0x8000_0000, 4096)
			if !r.touch(f.top - 4) {
				t.Error("fault at the last address")
			}
			if err := r.pt.Map(r.mem, f.top, 0x8000_0000, 4096); err == nil || !strings.Contains(err.Error(), "address space") {
				t.Errorf("mapped beyond the end: %v", err)
			}
			if _, _, ok := r.pt.Lookup(r.mem, f.top); ok || r.touch(f.top) {
				t.Error("translated beyond the end")
			}
		})
	}
}

// place returns addresses for a page of a size: not the first of the tables, and distinct.
func place(r *rig, size int) (va bus.IOVA, pa bus.Phys) {
	va, pa = bus.IOVA(3*size), bus.Phys(5*size)
	if uint64(pa)+uint64(size) > 1<<r.pt.l.paBits {
		pa = 0
	}
	return va, pa
}

func mapsOnce(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	for range 2 {
		r.mapPage(t, va, pa, size)
		for _, off := range []int{0, 4, size / 3, size - 1} {
			if got, n, ok := r.pt.Lookup(r.mem, va+bus.IOVA(off)); !ok || got != pa+bus.Phys(off) || n != size {
				t.Errorf("%d: offset %#x is at %v in a page of %d, %v", size, off, got, n, ok)
			}
		}
		for _, out := range []bus.IOVA{va - 1, va + bus.IOVA(size)} {
			if got, _, ok := r.pt.Lookup(r.mem, out); ok {
				t.Errorf("%d: %v outside the page is at %v", size, out, got)
			}
		}
		if err := r.pt.Map(r.mem, va, pa, size); err == nil {
			t.Errorf("%d: mapped twice", size)
		}
		if err := r.pt.Unmap(r.mem, va, size); err != nil {
			t.Fatal(err)
		}
		if err := r.pt.Unmap(r.mem, va, size); err == nil {
			t.Errorf("%d: unmapped twice", size)
		}
		if _, _, ok := r.pt.Lookup(r.mem, va); ok {
			t.Errorf("%d: there after Unmap", size)
		}
	}
}

func overlapsNothing(t *testing.T, r *rig, size int) {
	for _, other := range r.pt.PageSizes() {
		large := max(size, other)
		base := bus.IOVA(2 * large)
		in := base + bus.IOVA(large-min(size, other)) // at the far end of the larger one
		va, at := base, in
		if size < other {
			va, at = in, base
		}
		r.mapPage(t, va, 0, size)
		stores := r.mem.stores
		if err := r.pt.Map(r.mem, at, 0, other); err == nil {
			t.Errorf("a page of %d over one of %d", other, size)
		}
		if r.mem.stores != stores {
			t.Errorf("a refused page of %d over one of %d stores %d words", other, size, r.mem.stores-stores)
		}
		if other != size {
			if err := r.pt.Unmap(r.mem, va, other); err == nil {
				t.Errorf("a page of %d unmapped as one of %d", size, other)
			}
		}
		if err := r.pt.Unmap(r.mem, va, size); err != nil {
			t.Fatal(err)
		}
		// The place is free for the other now, whatever tables were left.
		r.mapPage(t, at, 0, other)
		if err := r.pt.Unmap(r.mem, at, other); err != nil {
			t.Fatal(err)
		}
	}
}

func refuses(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	r.mapPage(t, va, pa, size)
	stores := r.mem.stores
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"a size of no page", r.pt.Map(r.mem, 0, 0, 3*size), fmt.Sprint("no page of ", 3*size)},
		{"an IOVA between pages", r.pt.Map(r.mem, va+4, pa, size), "not aligned"},
		{"a physical address between pages", r.pt.Map(r.mem, 0, pa+4, size), "aligned to"},
		{"a physical address beyond the bus", r.pt.Map(r.mem, 0, 1<<r.pt.l.paBits, size), "-bit address"},
		{"unmapping where nothing is", r.pt.Unmap(r.mem, 0, size), "nothing is mapped"},
		{"unmapping between pages", r.pt.Unmap(r.mem, va+4, size), "not aligned"},
		{"replacing what is not there", r.pt.Replace(r.mem, 0, pa, size), "nothing is mapped"},
		{"replacing by no address of a page", r.pt.Replace(r.mem, va, pa+4, size), "aligned to"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, c.err, c.want)
		}
	}
	if r.mem.stores != stores {
		t.Errorf("%d words stored", r.mem.stores-stores)
	}
}

func cleansAll(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	check := func(after string) {
		for at, v := range r.mem.cpu {
			if r.mem.mem[at] != v {
				t.Fatalf("%d, after %s: word at %v is %#x for the CPU and %#x in memory", size, after, at, v, r.mem.mem[at])
			}
		}
	}
	r.mapPage(t, va, pa, size)
	check("Map")
	if err := r.pt.Replace(r.mem, va, 0, size); err != nil {
		t.Fatal(err)
	}
	check("Replace")
	if err := r.pt.Unmap(r.mem, va, size); err != nil {
		t.Fatal(err)
	}
	check("Unmap")
}

func oneEntry(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	r.mapPage(t, va, pa, size)
	if !r.touch(va + bus.IOVA(size/2)) {
		t.Fatalf("%d: fault", size)
	}
	for _, off := range []int{0, 4, size / 3, size - 1} {
		if got, ok := r.mmu.Lookup(va + bus.IOVA(off)); !ok || got != pa+bus.Phys(off) {
			t.Errorf("%d: offset %#x is at %v, %v", size, off, got, ok)
		}
	}
	for _, out := range []bus.IOVA{va - 1, va + bus.IOVA(size)} {
		if got, ok := r.mmu.Lookup(out); ok {
			t.Errorf("%d: %v outside the page is at %v", size, out, got)
		}
	}
	if n := r.mmu.entries(); n != 1 {
		t.Errorf("%d: %d entries", size, n)
	}
}

func faultsAfterFlush(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	for name, flush := range map[string]func(){
		"Flush":     func() { r.mmu.Flush(va + bus.IOVA(size-1)) },
		"FlushLeaf": func() { r.mmu.FlushLeaf(va + bus.IOVA(size-1)) },
		"FlushAll":  r.mmu.FlushAll,
	} {
		r.mapPage(t, va, pa, size)
		r.touch(va)
		if err := r.pt.Unmap(r.mem, va, size); err != nil {
			t.Fatal(err)
		}
		if got, ok := r.mmu.Lookup(va + 4); !ok || got != pa+4 {
			t.Fatalf("%d: after Unmap without a flush: %v, %v", size, got, ok)
		}
		flush()
		if r.touch(va) {
			t.Errorf("%d: no fault after %s", size, name)
		}
	}
}

func retries(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	r.port.Issue(us, va+64, 64, true)
	r.run()
	if bits, at := r.mmu.Status(); !r.port.Stalled() || bits != TranslationFault.Bit() || at != va+64 {
		t.Fatalf("%d: stalled %v, status %#x at %v", size, r.port.Stalled(), bits, at)
	}
	r.mapPage(t, va, pa, size)
	r.mmu.Acknowledge(100 * us)
	r.run()
	data := r.data()
	if len(data) != 1 || data[0].Addr != pa+64 || data[0].At < 100*us || len(r.dev.done) != 1 {
		t.Errorf("%d: data %+v", size, data)
	}
}

// uses touches va and returns what was reported of it.
func (r *rig) uses(va bus.IOVA) (seen []Stale) {
	r.mmu.OnStale = func(s Stale) { seen = append(seen, s) }
	r.touch(va)
	r.mmu.OnStale = nil
	return seen
}

// wantStale checks that a use of the page at va is reported, with the word's physical address.
func (r *rig) wantStale(t *testing.T, va bus.IOVA, pa bus.Phys, what StaleKind, since sim.Time) {
	t.Helper()
	before := r.mmu.Counters().StaleUses
	r.log = nil
	at := r.free + r.mmu.hit
	got := r.uses(va)
	if len(r.data()) != 1 || r.data()[0].Addr != pa {
		t.Errorf("the access went to %+v, want %v", r.data(), pa)
	}
	if len(r.log) > 1 {
		at = r.log[len(r.log)-2].Done // the walk's last read
		since = max(since, at)
	}
	want := []Stale{{Time: at, VA: va, Bytes: 4, PA: pa, Master: r.port.Bus().Master, What: what, Since: since}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports (-want +got)\n%s", diff)
	}
	if n := r.mmu.Counters().StaleUses - before; n != 1 {
		t.Errorf("%d uses counted", n)
	}
}

func (r *rig) wantFresh(t *testing.T, va bus.IOVA) {
	t.Helper()
	if got := r.uses(va); len(got) != 0 {
		t.Errorf("reports %+v, want none", got)
	}
}

func staleFreed(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	r.mapPage(t, va, pa, size)
	r.wantFresh(t, va)
	r.wantFresh(t, va) // a hit
	r.mem.now = 7 * us
	if err := r.pt.Unmap(r.mem, va, size); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.wantStale(t, va+8, pa+8, Freed, 7*us)
	}
	r.mmu.Flush(va)
	r.wantFresh(t, va)
}

func staleRemapped(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	r.mapPage(t, va, pa, size)
	r.touch(va)
	r.touch(va) // a hit
	r.mem.now = 7 * us
	if err := r.pt.Unmap(r.mem, va, size); err != nil {
		t.Fatal(err)
	}
	r.mem.now = 9 * us
	r.mapPage(t, va, pa+bus.Phys(size), size)
	r.wantStale(t, va+8, pa+8, Remapped, 7*us)
	r.mmu.FlushAll()
	r.wantFresh(t, va)
}

func staleChanged(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	r.mapPage(t, va, pa, size)
	r.touch(va)
	r.touch(va) // a hit
	r.mem.now = 7 * us
	if err := r.pt.Replace(r.mem, va, pa+bus.Phys(size), size); err != nil {
		t.Fatal(err)
	}
	r.wantStale(t, va+8, pa+8, Changed, 7*us)
	r.mmu.Attach(r.pt.Root())
	r.wantFresh(t, va)
	if got, ok := r.mmu.Lookup(va); !ok || got != pa+bus.Phys(size) {
		t.Errorf("after the flush: %v, %v", got, ok)
	}
}

// noClean is a driver that forgets to clean.
type noClean struct{ *tables }

func (noClean) Clean(bus.Phys, int) {}

func staleNotCleaned(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	r.mapPage(t, va, pa, size)
	if err := r.pt.Replace(noClean{r.mem}, va, pa+bus.Phys(size), size); err != nil {
		t.Fatal(err)
	}
	r.wantStale(t, va+8, pa+8, NotCleaned, 0)
	r.mmu.FlushAll()
	r.mem.Clean(r.pt.Root(), 0x10_0000)
	r.wantFresh(t, va)
}

func notStaleAgain(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	r.mapPage(t, va, pa, size)
	r.touch(va)
	if err := r.pt.Unmap(r.mem, va, size); err != nil {
		t.Fatal(err)
	}
	r.mapPage(t, va, pa, size)
	r.wantFresh(t, va)
	if n := r.mmu.Counters(); n.Misses != 1 {
		t.Errorf("%+v: want the entry used again", n)
	}
}

func contexts(t *testing.T, r *rig, size int) {
	va, pa := place(r, size)
	other, err := NewPageTable(r.pt.Format(), r.mem)
	if err != nil {
		t.Fatal(err)
	}
	other.Observe(r.mmu)
	r.mapPage(t, va, pa, size)
	if err := other.Map(r.mem, va, pa+bus.Phys(size), size); err != nil {
		t.Fatal(err)
	}
	at := func(want bus.Phys) {
		t.Helper()
		if got, ok := r.mmu.Lookup(va); !ok || got != want {
			t.Errorf("%d: at %v, %v, want %v", size, got, ok, want)
		}
	}
	r.touch(va)
	r.mmu.SwitchContext(1, other.Root())
	if _, ok := r.mmu.Lookup(va); ok {
		t.Errorf("%d: an entry of the other context hits", size)
	}
	r.touch(va)
	at(pa + bus.Phys(size))
	r.mmu.SwitchContext(0, r.pt.Root())
	if _, ok := r.mmu.Lookup(va); ok != r.pt.l.tagged {
		t.Errorf("%d: in the TLB after two switches: %v", size, ok)
	}
	r.touch(va)
	at(pa)

	// A change of tables that are not current marks their entries, and no others.
	if err := other.Unmap(r.mem, va, size); err != nil {
		t.Fatal(err)
	}
	r.wantFresh(t, va)
	r.mmu.SwitchContext(1, other.Root())
	if got := r.uses(va); (len(got) == 1) != r.pt.l.tagged {
		t.Errorf("%d: reports %+v", size, got)
	}
	r.mmu.FlushContext(1)
	if r.touch(va) {
		t.Errorf("%d: no fault after the context's flush", size)
	}
	r.mmu.SwitchContext(0, r.pt.Root())
	r.touch(va)
	at(pa)
	r.mmu.SwitchContext(1, other.Root())
	r.mmu.FlushIn(0, va, true)
	r.mmu.SwitchContext(0, r.pt.Root())
	if _, ok := r.mmu.Lookup(va); ok {
		t.Errorf("%d: in the TLB after a flush from another context", size)
	}
}
