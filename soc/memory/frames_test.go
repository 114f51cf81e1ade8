package memory

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim/bus"
)

const (
	pagesInAll      = 256
	pagesInReserve  = 64
	scatteredFrames = pagesInAll - pagesInReserve
)

func newFrames(t testing.TB, fragmentation int64, seed uint64) *Memory {
	t.Helper()
	return newMemory(t, func(c *Config) {
		c.Fragmentation, c.Reserved, c.Seed = fragmentation, pagesInReserve*PageBytes, seed
	})
}

// frame returns the number of a page frame.
func frame(pa bus.Phys) int { return int(pa-testBase) / PageBytes }

func TestContiguousAllocationComesFromTheTopDownwards(t *testing.T) {
	m := newFrames(t, 0, 1)
	a, err := m.AllocContiguous("a", 3*PageBytes-1, PageBytes)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.AllocContiguous("b", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Contiguous() || len(a.Frames) != 3 || frame(a.Frames[0]) != pagesInAll-3 {
		t.Errorf("first: %v, want the last three frames", a.Frames)
	}
	if len(b.Frames) != 1 || frame(b.Frames[0]) != pagesInAll-4 {
		t.Errorf("second: %v, want the frame below", b.Frames)
	}
	if m.FreeBytes() != scatteredFrames*PageBytes {
		t.Errorf("%d bytes free for scattered allocations, want all", m.FreeBytes())
	}
}

func TestContiguousAllocationIsAligned(t *testing.T) {
	m := newFrames(t, 0, 1)
	for _, align := range []int64{4096, 16384, 65536, 1 << 18} {
		r, err := m.AllocContiguous("r", 5*PageBytes, align)
		if err != nil {
			t.Fatal(err)
		}
		if int64(r.Frames[0])%align != 0 || !r.Contiguous() {
			t.Errorf("%v is not aligned to %d", r.Frames[0], align)
		}
	}
}

func TestContiguousAllocationGoesBelowTheReserveWhenThatIsFull(t *testing.T) {
	m := newFrames(t, 0, 1)
	if _, err := m.AllocContiguous("a", 60*PageBytes, 0); err != nil {
		t.Fatal(err)
	}
	r, err := m.AllocContiguous("b", 10*PageBytes, 0)
	if err != nil {
		t.Fatal(err)
	}
	if frame(r.Frames[0]) != pagesInAll-70 {
		t.Errorf("frame %d, want %d", frame(r.Frames[0]), pagesInAll-70)
	}
	if got, want := m.FreeBytes(), int64(scatteredFrames-6)*PageBytes; got != want {
		t.Errorf("%d bytes free for scattered allocations, want %d", got, want)
	}
	m.Free(r)
	if got, want := m.FreeBytes(), int64(scatteredFrames)*PageBytes; got != want {
		t.Errorf("%d bytes free after freeing, want %d", got, want)
	}
}

func TestContiguousAllocationNeedsARunOfFrames(t *testing.T) {
	m := newFrames(t, 0, 1)
	var all []*Region
	for range pagesInAll {
		r, err := m.AllocContiguous("page", PageBytes, 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	for i := 0; i < pagesInAll; i += 2 {
		m.Free(all[i])
	}
	for _, bytes := range []int64{PageBytes + 1, 1 << 20, 1<<20 + 1, 0} {
		if r, err := m.AllocContiguous("run", bytes, 0); !errors.Is(err, ErrNoMemory) {
			t.Errorf("%d bytes: %v, %v, want ErrNoMemory", bytes, r, err)
		}
	}
	if _, err := m.AllocContiguous("page", PageBytes, 0); err != nil {
		t.Errorf("a single page: %v", err)
	}
	if got := len(m.Regions()); got != pagesInAll/2+1 {
		t.Errorf("%d regions live, want %d: a failed allocation leaves none", got, pagesInAll/2+1)
	}
}

func TestAllOfMemoryIsOneRun(t *testing.T) {
	m := newFrames(t, 0, 1)
	r, err := m.AllocContiguous("all", pagesInAll*PageBytes, 0)
	if err != nil {
		t.Fatal(err)
	}
	if r.Frames[0] != testBase || len(r.Runs()) != 1 || m.FreeBytes() != 0 {
		t.Errorf("from %v in %d runs with %d bytes free, want all in one", r.Frames[0], len(r.Runs()), m.FreeBytes())
	}
}

func TestScatteredAllocationWithoutFragmentationIsARun(t *testing.T) {
	m := newFrames(t, 0, 1)
	for i := range 3 {
		r, err := m.AllocScattered("r", 10*PageBytes)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Contiguous() || frame(r.Frames[0]) != i*10 {
			t.Errorf("%v, want a run from frame %d", r.Frames, i*10)
		}
	}
}

func TestFragmentationIsTheChanceOfABreak(t *testing.T) {
	for _, ppm := range []int64{100_000, 500_000, 900_000} {
		m := newMemory(t, func(c *Config) { c.Size, c.Fragmentation = 256<<20, ppm })
		const n = 4000
		r, err := m.AllocScattered("r", n*PageBytes)
		if err != nil {
			t.Fatal(err)
		}
		breaks := int64(len(r.Runs()) - 1)
		if want := (n - 1) * ppm / 1_000_000; breaks < want-100 || breaks > want+100 { // more than 3 standard deviations
			t.Errorf("%d ppm: %d breaks among %d pages, want %d", ppm, breaks, n, want)
		}
	}
}

func TestScatteredAllocationKeepsOutOfTheReserve(t *testing.T) {
	m := newFrames(t, 1_000_000, 1)
	r, err := m.AllocScattered("all", scatteredFrames*PageBytes)
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Clone(r.Frames)
	slices.Sort(got)
	for i, pa := range got {
		if frame(pa) != i {
			t.Fatalf("frame %d of %d is %d: not each of those below the reserve once", i, len(got), frame(pa))
		}
	}
	if r, err := m.AllocScattered("more", 1); !errors.Is(err, ErrNoMemory) {
		t.Errorf("a page more: %v, %v, want ErrNoMemory", r, err)
	}
	if m.FreeBytes() != 0 {
		t.Errorf("%d bytes free, want none", m.FreeBytes())
	}
}

func TestSeedDecidesTheScatter(t *testing.T) {
	alloc := func(seed uint64) []bus.Phys {
		r, err := newFrames(t, 500_000, seed).AllocScattered("r", 100*PageBytes)
		if err != nil {
			t.Fatal(err)
		}
		return r.Frames
	}
	if diff := cmp.Diff(alloc(1), alloc(1)); diff != "" {
		t.Errorf("the same seed gives different frames:\n%s", diff)
	}
	if slices.Equal(alloc(1), alloc(2)) {
		t.Error("two seeds give the same frames")
	}
}

func TestFreeingTwicePanics(t *testing.T) {
	m := newFrames(t, 0, 1)
	r, _ := m.AllocScattered("r", PageBytes)
	m.Free(r)
	mustPanic(t, "no panic", func() { m.Free(r) })
}

func TestFreeingFramesThatBelongToAnotherRegionPanics(t *testing.T) {
	m := newFrames(t, 0, 1)
	a, _ := m.AllocContiguous("a", PageBytes, 0)
	m.Free(a)
	b, _ := m.AllocContiguous("b", PageBytes, 0)
	if a.Frames[0] != b.Frames[0] {
		t.Fatalf("b got %v, want a's frame %v", b.Frames[0], a.Frames[0])
	}
	mustPanic(t, "no panic", func() { m.Free(a) })
}

func TestRunsJoinNeighbouringPages(t *testing.T) {
	f := func(n int) bus.Phys { return testBase + bus.Phys(n)*PageBytes }
	r := &Region{Bytes: 5*PageBytes - 100, Frames: []bus.Phys{f(7), f(8), f(3), f(9), f(10)}}
	want := []Run{{f(7), 2 * PageBytes}, {f(3), PageBytes}, {f(9), 2*PageBytes - 100}}
	if diff := cmp.Diff(want, r.Runs()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.Contiguous() {
		t.Error("Contiguous is true")
	}
}

func TestRunsOfAPartBeginAndEndWithinPages(t *testing.T) {
	f := func(n int) bus.Phys { return testBase + bus.Phys(n)*PageBytes }
	r := &Region{Bytes: 3 * PageBytes, Frames: []bus.Phys{f(7), f(8), f(3)}}
	tests := []struct {
		off, n int
		want   []Run
	}{
		{0, 0, nil},
		{10, 20, []Run{{f(7) + 10, 20}}},
		{PageBytes - 1, 2, []Run{{f(8) - 1, 2}}},
		{100, 3*PageBytes - 200, []Run{{f(7) + 100, 2*PageBytes - 100}, {f(3), PageBytes - 100}}},
		{2*PageBytes - 1, 1, []Run{{f(9) - 1, 1}}},
		{2 * PageBytes, 1, []Run{{f(3), 1}}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, r.RunsOf(tt.off, tt.n)); diff != "" {
			t.Errorf("%d bytes from %d (-want +got):\n%s", tt.n, tt.off, diff)
		}
	}
}

func TestEveryFrameBelongsToWhoeverAllocatedIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newFrames(t, rapid.Int64Range(0, 1_000_000).Draw(rt, "fragmentation"), rapid.Uint64().Draw(rt, "seed"))
		var live []*Region
		owner := map[bus.Phys]*Region{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			var r *Region
			var err error
			bytes := rapid.Int64Range(1, 40*PageBytes).Draw(rt, "bytes")
			switch op := rapid.IntRange(0, 2).Draw(rt, "op"); {
			case op == 0 && len(live) > 0:
				i := rapid.IntRange(0, len(live)-1).Draw(rt, "which")
				m.Free(live[i])
				for _, pa := range live[i].Frames {
					delete(owner, pa)
				}
				live = slices.Delete(live, i, i+1)
				continue
			case op == 1:
				r, err = m.AllocContiguous("contiguous", bytes, 0)
			default:
				r, err = m.AllocScattered("scattered", bytes)
			}
			if err != nil {
				continue
			}
			live = append(live, r)
			var sum int64
			for _, run := range r.Runs() {
				sum += int64(run.Bytes)
			}
			if len(r.Frames) != pages(bytes) || sum != bytes || r.Bytes != bytes {
				rt.Fatalf("%d bytes: %d frames, runs of %d bytes", bytes, len(r.Frames), sum)
			}
			for _, pa := range r.Frames {
				if owner[pa] != nil {
					rt.Fatalf("%v is given to two regions", pa)
				}
				owner[pa] = r
			}
		}
		free := int64(scatteredFrames)
		for f := range pagesInAll {
			pa := testBase + bus.Phys(f)*PageBytes
			got, off := m.Owner(pa + 5)
			if got != owner[pa] {
				rt.Fatalf("%v belongs to %v, want %v", pa, got, owner[pa])
			}
			if got != nil && got.Addr(int(off)) != pa+5 {
				rt.Fatalf("%v is said to be at offset %d, where %v is", pa+5, off, got.Addr(int(off)))
			}
			if got != nil && f < scatteredFrames {
				free--
			}
		}
		if m.FreeBytes() != free*PageBytes {
			rt.Fatalf("%d bytes free, want %d", m.FreeBytes(), free*PageBytes)
		}
		if diff := cmp.Diff(ids(live), ids(m.Regions())); diff != "" {
			rt.Fatalf("live regions (-want +got):\n%s", diff)
		}
	})
}

func ids(rs []*Region) []int32 {
	var ids []int32
	for _, r := range rs {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestNobodyOwnsWhatIsOutsideOfMemory(t *testing.T) {
	m := newFrames(t, 0, 1)
	for _, pa := range []bus.Phys{0, testBase - 1, testBase + 1<<20} {
		if r, off := m.Owner(pa); r != nil || off != 0 {
			t.Errorf("%v belongs to %v at %d", pa, r, off)
		}
	}
}

func TestAColouredAllocationHasThePagesOfItsOffsetsColour(t *testing.T) {
	const colours = 4
	m := newMemory(t, func(c *Config) { c.Colours, c.Size, c.Reserved = colours, 4<<20, 1<<20 })
	scattered, err := m.AllocScattered("scattered", 50*PageBytes)
	if err != nil {
		t.Fatal(err)
	}
	contiguous, err := m.AllocContiguous("contiguous", 7*PageBytes, PageBytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Region{scattered, contiguous} {
		for i, pa := range r.Frames {
			if got := int(pa / PageBytes % colours); got != i%colours {
				t.Errorf("%s: page %d lies in a frame of colour %d", r.Name, i, got)
			}
		}
	}
	if m.RefusedFrames() == 0 {
		t.Error("no free frame was refused, although half the pages are not their neighbour's")
	}
}

func TestWithoutColoursNoFrameIsRefused(t *testing.T) {
	m := newMemory(t, nil)
	if _, err := m.AllocScattered("scattered", 100*PageBytes); err != nil {
		t.Fatal(err)
	}
	if n := m.RefusedFrames(); n != 0 {
		t.Errorf("%d frames refused", n)
	}
}

func TestMemoryOfOneColourCanRunOutBeforeTheRest(t *testing.T) {
	m := newMemory(t, func(c *Config) { c.Colours, c.Fragmentation = 2, 0 })
	pages := int(m.FreeBytes() / PageBytes)
	for range pages / 2 { // one page each: all of colour 0
		if _, err := m.AllocScattered("one", PageBytes); err != nil {
			t.Fatal(err)
		}
	}
	free := m.FreeBytes()
	if free != int64(pages/2*PageBytes) {
		t.Errorf("%d bytes free, want half", free)
	}
	if _, err := m.AllocScattered("one more", PageBytes); !errors.Is(err, ErrNoMemory) {
		t.Errorf("error %v, want %v", err, ErrNoMemory)
	}
	if m.FreeBytes() != free {
		t.Errorf("a failed allocation kept %d bytes", free-m.FreeBytes())
	}
}

func TestContiguousMemoryIsAlignedToItsSizeUpToAMegabyte(t *testing.T) {
	for _, c := range []struct{ bytes, want int64 }{{1, 4 << 10}, {4 << 10, 4 << 10}, {4<<10 + 1, 8 << 10}, {600 << 10, 1 << 20}, {1 << 20, 1 << 20}, {10 << 20, 1 << 20}} {
		if got := ContiguousAlign(c.bytes); got != c.want {
			t.Errorf("%d bytes are aligned to %d, want %d", c.bytes, got, c.want)
		}
	}
}

func TestTheFramesInUseAreThoseOfTheLiveRegions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, err := New(Config{Base: 0x8000_0000, Size: 64 * PageBytes, LineBytes: 64, Fragmentation: 500_000, Reserved: 16 * PageBytes, Seed: 1})
		if err != nil {
			rt.Fatal(err)
		}
		var live []*Region
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			if len(live) > 0 && rapid.Bool().Draw(rt, "free") {
				i := rapid.IntRange(0, len(live)-1).Draw(rt, "which")
				m.Free(live[i])
				live = slices.Delete(live, i, i+1)
			} else if r, err := m.AllocScattered("r", int64(rapid.IntRange(1, 6).Draw(rt, "pages"))*PageBytes); err == nil {
				live = append(live, r)
			}
			var want, got []bus.Phys
			for _, r := range live {
				want = append(want, r.Frames...)
			}
			for i := range m.FramesInUse() {
				got = append(got, m.FrameInUse(i))
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				rt.Fatalf("in use are %v, want %v", got, want)
			}
		}
	})
}
