package graph

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc"
	"socsim/soc/cpu"
)

// bench is a core whose caches replace the oldest line, with a buffer that nobody else uses. L1 has 64 sets of 4 lines of 64 bytes, L2 512 sets of 8.
type bench struct {
	sys    *soc.System
	mapped *cpu.Mapping
	set    Buffer
}

func newBench(tb testing.TB, size Size) *bench {
	tb.Helper()
	c := chip()
	c.L1D.Replacement, c.L2.Replacement, c.Memory.Size = cachemodel.LRU, cachemodel.LRU, 128<<20
	sys, err := soc.New(c, 1)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(sys.Close)
	b := &bench{sys: sys, set: Buffer{Name: "b", Count: 1, Size: size, Format: "uyvy"}}
	r, err := sys.Memory.AllocContiguous("b", b.set.Bytes(), 1<<20)
	if err != nil {
		tb.Fatal(err)
	}
	b.mapped = sys.Core.KernelMap(r) // in sections, which need no walks through page tables
	return b
}

// over carries out an access from cold caches and returns the loads and stores of L1 that hit and missed, and the lines that came from memory.
func (b *bench) over(tb testing.TB, a Access, write bool) (hits, misses, fills int) {
	tb.Helper()
	w := newWalk(&a, b.set, int(b.set.Bytes()), write, sim.Stream(1, "test"))
	b.run(tb, func(t *cpu.Thread) {
		w.begin()
		w.part(t, b.mapped, everything)
	})
	l1, l2 := b.sys.Core.Caches().Counters(0), b.sys.Core.Caches().Counters(1)
	return int(l1.ReadHits + l1.WriteHits), int(l1.ReadMisses + l1.WriteMisses), int(l2.ReadMisses)
}

func (b *bench) run(tb testing.TB, body func(t *cpu.Thread)) {
	tb.Helper()
	ended := false
	b.sys.Core.Spawn("test", func(t *cpu.Thread) {
		body(t)
		ended = true
	})
	for !ended {
		if err := b.sys.Run(context.Background(), b.sys.Engine.Now()+10*sim.Millisecond); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestEachPatternMissesWhereArithmeticSaysItDoes(t *testing.T) {
	stride := func(n units.Bytes) *units.Bytes { return &n }
	all := func(o Order) Access { return Access{Fraction: WholeBuffer, Width: 4, Order: o} }
	tall, flat := Size{2048, 128}, Size{864, 64} // lines of 4096 bytes, as large as a way of L1; of 1728, which are 27 lines
	for _, c := range []struct {
		name                string
		size                Size
		access              Access
		hits, misses, fills int
	}{
		// A line is one look-up in order, whatever the loads in it.
		{"sequential", flat, all(Order{}), 0, 27 * 64, 27 * 64},
		{"strided by a line", flat, all(Order{Pattern: Strided, Stride: stride(64)}), 0, 27 * 64, 27 * 64},
		{"strided within lines", flat, all(Order{Pattern: Strided, Stride: stride(16)}), 3 * 27 * 64, 27 * 64, 27 * 64},
		{"strided over lines", flat, all(Order{Pattern: Strided, Stride: stride(128)}), 0, 27 * 32, 27 * 32},
		// Each row takes the same set: of 128 rows neither cache keeps one until its next column.
		{"columns of a pitch as large as a way", tall, all(Order{Pattern: Columns}), 0, 1024 * 128, 1024 * 128},
		// The rows of a window of 4 fit the ways: a line is missed once for its 16 columns.
		{"columns of as many rows as there are ways", tall, all(Order{Pattern: Columns, Window: &Window{Size: Size{2048, 4}}}), 15 * 64 * 4, 64 * 4, 64 * 4},
		// 27 lines a row in odd places: 64 rows spread over the sets, and a column's 64 lines stay for the next.
		{"columns of another pitch", flat, all(Order{Pattern: Columns}), 15 * 27 * 64, 27 * 64, 27 * 64},
		// A row of a tile of 32 pixels is a line.
		{"tiles of a line", tall, all(Order{Pattern: Tiled, Tile: &Size{32, 16}}), 0, 64 * 128, 64 * 128},
		// Two tiles a line; the 4 rows of one are still there for the next.
		{"tiles within L1", tall, all(Order{Pattern: Tiled, Tile: &Size{16, 4}}), 64 * 128, 64 * 128, 64 * 128},
		// The 16 rows of a tile want 4 ways of one set: L1 has lost them when the tile's neighbour comes, L2 has not.
		{"tiles beyond L1's ways", tall, all(Order{Pattern: Tiled, Tile: &Size{16, 16}}), 0, 2 * 64 * 128, 64 * 128},
		{"a window in order", flat, all(Order{Window: &Window{Size{32, 10}, 64, 20}}), 0, 10, 10},
		{"a window off the lines", flat, all(Order{Window: &Window{Size{32, 10}, 16, 20}}), 0, 20, 20},
		{"half of the tiles", tall, Access{Fraction: WholeBuffer / 2, Width: 4, Order: Order{Pattern: Tiled, Tile: &Size{32, 16}}}, 0, 64 * 64, 64 * 64},
		{"a trace", flat, all(Order{Pattern: Traced, Trace: &Trace{Records: []Record{{Addr: 0x7f00_0000_0040, Bytes: 8}, {Addr: 0x7f00_0000_0048, Bytes: 8}, {Addr: 0x7f00_0000_0040, Bytes: 8, Write: true}}}}), 1, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			hits, misses, fills := newBench(t, c.size).over(t, c.access, false)
			if hits != c.hits || misses != c.misses || fills != c.fills {
				t.Errorf("%d hits, %d misses, %d lines from memory; want %d, %d, %d", hits, misses, fills, c.hits, c.misses, c.fills)
			}
		})
	}
}

// touched counts how often each byte of a buffer is touched.
func (w *walk) touched(bytes int) []int {
	count := make([]int, bytes)
	for w.begin(); w.advance(); {
		for i := range w.cur.count {
			for k := range w.cur.n {
				count[w.cur.off+i*w.cur.step+k]++
			}
		}
	}
	return count
}

func TestAWalkTouchesEachByteOfItsPartOnceAndNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Buffer{Size: Size{rapid.IntRange(1, 70).Draw(t, "width"), rapid.IntRange(1, 40).Draw(t, "height")}, Format: "uyvy"}
		a := Access{Fraction: WholeBuffer, Width: units.Bytes(1 << rapid.IntRange(0, 6).Draw(t, "access"))}
		a.Pattern = rapid.SampledFrom([]Pattern{Sequential, Tiled, Columns}).Draw(t, "pattern")
		a.Tile = &Size{rapid.IntRange(1, 80).Draw(t, "tile width"), rapid.IntRange(1, 50).Draw(t, "tile height")}
		w := Window{Size: b.Size}
		if rapid.Bool().Draw(t, "windowed") {
			w.X, w.Y = rapid.IntRange(0, b.Size.Width-1).Draw(t, "x"), rapid.IntRange(0, b.Size.Height-1).Draw(t, "y")
			w.Size = Size{rapid.IntRange(1, b.Size.Width-w.X).Draw(t, "w"), rapid.IntRange(1, b.Size.Height-w.Y).Draw(t, "h")}
		}
		a.Window = &w
		for off, n := range newWalk(&a, b, int(b.Bytes()), false, nil).touched(int(b.Bytes())) {
			x, y := off%b.Stride()/2, off/b.Stride()
			want := 0
			if x >= w.X && x < w.X+w.Width && y >= w.Y && y < w.Y+w.Height {
				want = 1
			}
			if n != want {
				t.Fatalf("byte %d of row %d is touched %d times, want %d", off%b.Stride(), y, n, want)
			}
		}
	})
}

func TestAStrideBeginsAnewInEachRowOfAWindowAndStaysInside(t *testing.T) {
	b, stride := Buffer{Size: Size{64, 4}, Format: "uyvy"}, units.Bytes(24)
	a := Access{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Strided, Stride: &stride, Window: &Window{Size{25, 2}, 8, 1}}}
	var got []int
	for off, n := range newWalk(&a, b, int(b.Bytes()), false, nil).touched(int(b.Bytes())) {
		if n > 0 && off%4 == 0 {
			got = append(got, off)
		}
	}
	// 50 bytes a row from byte 16 on: one access at 0 and one at 24; that at 48 would end at 52.
	if want := []int{128 + 16, 128 + 40, 256 + 16, 256 + 40}; !slices.Equal(got, want) {
		t.Errorf("touched at %v, want %v", got, want)
	}
}

func TestRandomTouchesSpreadAsChanceHasIt(t *testing.T) {
	const lines = 27 * 64
	b := newBench(t, Size{864, 64})
	// As many touches as there are lines leave a share of 1/e untouched: 1728 (1 - (1 - 1/1728)^1728) = 1092.5 distinct lines, with a deviation of 13.
	_, misses, fills := b.over(t, Access{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Random, Touches: &Touches{Count: lines}}}, false)
	if fills < 1092-52 || fills > 1093+52 {
		t.Errorf("%d distinct lines, want 1092 and some 13", fills)
	}
	// L1 holds 256 of the lines: a touch finds its line there with a chance of at most 256/1728.
	if hits := lines - misses; hits < 50 || hits > 256 {
		t.Errorf("%d of %d touches hit L1", hits, lines)
	}
}

func TestAShareOfTouchesIsOfThoseThatHaveRoom(t *testing.T) {
	b := Buffer{Size: Size{64, 4}, Format: "uyvy"}
	for _, c := range []struct {
		touches *Touches
		window  *Window
		want    int
	}{
		{nil, nil, 128},
		{&Touches{Share: WholeBuffer / 4}, nil, 32},
		{&Touches{Count: 1000}, nil, 1000},
		{nil, &Window{Size{9, 2}, 3, 1}, 8}, // 18 bytes a row hold 4 accesses
	} {
		a := Access{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Random, Touches: c.touches, Window: c.window}}
		w := newWalk(&a, b, int(b.Bytes()), false, sim.Stream(1, "test"))
		n, rows := 0, map[int]bool{}
		for w.begin(); w.advance(); n++ {
			rows[w.cur.off/b.Stride()] = true
			x, y := w.cur.off%b.Stride(), w.cur.off/b.Stride()
			if c.window != nil && (x < 6 || x+4 > 24 || y < 1 || y > 2) {
				t.Fatalf("a touch at byte %d of row %d is outside the window", x, y)
			}
		}
		if n != c.want || len(rows) < 2 {
			t.Errorf("%v in %v: %d touches, want %d, in the rows %v", c.touches, c.window, n, c.want, rows)
		}
	}
}

func TestATraceKeepsItsPlacesInLines(t *testing.T) {
	x := &Trace{Records: []Record{{0x1000_0000, 4, false}, {0x1000_0000 + 3*64 + 60, 4, true}, {0x1000_0000 + 5*64 - 2, 8, false}, {63, 2, false}}}
	// 200 bytes hold 3 whole lines; 0x10000000 is 2^28, which is 64 more than a multiple of 192.
	got := x.on(200, func(Record) bool { return true })
	want := []spot{{64, 4, false}, {64 + 60, 4, true}, {190, 2, false}, {0, 6, false}, {63, 2, false}}
	if !slices.Equal(got, want) {
		t.Errorf("laid at %v, want %v", got, want)
	}
}

func TestATraceGoesOnWhereTheLastFrameLeftIt(t *testing.T) {
	a := Access{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Traced, Touches: &Touches{Count: 2}, Trace: &Trace{}}}
	for i := range 3 {
		a.Trace.Records = append(a.Trace.Records, Record{Addr: uint64(64 * i), Bytes: 4})
	}
	w := newWalk(&a, Buffer{Size: Size{64, 4}, Format: "uyvy"}, 512, false, nil)
	var got []int
	for range 2 {
		for w.begin(); w.advance(); {
			got = append(got, w.cur.off)
		}
	}
	if want := []int{0, 64, 128, 0}; !slices.Equal(got, want) {
		t.Errorf("touched %v, want %v", got, want)
	}
}

func TestWorkOnSingleBytesAddsUp(t *testing.T) {
	b := newBench(t, Size{64, 4})
	elapsed := func(rate units.CyclesPerByte) (d sim.Time) {
		a := Access{Fraction: WholeBuffer, Width: 1, Compute: rate, Order: Order{Pattern: Columns}}
		w := newWalk(&a, b.set, int(b.set.Bytes()), false, nil)
		b.run(t, func(t *cpu.Thread) {
			for range 2 { // the second finds everything in L1
				at := t.Now()
				w.begin()
				w.part(t, b.mapped, everything)
				d = t.Now() - at
			}
		})
		return d
	}
	idle, busy := elapsed(0), elapsed(300) // 0.3 cycles a byte on 512 bytes are 153 cycles
	clock := sim.NewClock(600e6)
	if got := clock.Floor(busy - idle + 1000); got < 152 || got > 154 {
		t.Errorf("the work took %d cycles, want 153", got)
	}
}

// A filter in place reads a line's worth and writes it before it goes on, whatever the orders.
func TestAFilterReadsAndWritesByTurns(t *testing.T) {
	b := newBench(t, Size{864, 64})
	columns := &Access{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Columns}}
	r, w := newWalk(columns, b.set, int(b.set.Bytes()), false, nil), newWalk(columns, b.set, int(b.set.Bytes()), true, nil)
	b.run(t, func(th *cpu.Thread) {
		r.begin()
		w.begin()
		take(th, b.mapped, r, w)
	})
	l1 := b.sys.Core.Caches().Counters(0)
	// 16 loads, then stores to the same 16 lines: those hit, and so do the loads but for the first column of a line.
	if l1.WriteHits != 27*16*64 || l1.WriteMisses != 0 || l1.ReadMisses != 27*64 {
		t.Errorf("%+v: want all stores to hit and one load a line to miss", l1)
	}
}

func TestTextsOfTouches(t *testing.T) {
	for text, want := range map[string]Touches{"1": {Count: 1}, " 1000 ": {Count: 1000}, "25%": {Share: WholeBuffer / 4}, "100%": {Share: WholeBuffer}} {
		var n Touches
		if err := n.UnmarshalText([]byte(text)); err != nil || n != want {
			t.Errorf("%q: %v, %v", text, n, err)
		}
		var again Touches
		if again.UnmarshalText([]byte(n.String())) != nil || again != n {
			t.Errorf("%q is printed as %v", text, n)
		}
	}
	for _, text := range []string{"", "0", "0%", "-1", "0.25", "101%", "many", "1e3", "2000000000", "99999999999999999999"} {
		if new(Touches).UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestWalksDoNotAllocate(t *testing.T) {
	b := newBench(t, Size{64, 16})
	for _, a := range patterns() {
		w := newWalk(&a, b.set, int(b.set.Bytes()), false, sim.Stream(1, "test"))
		b.run(t, func(th *cpu.Thread) {
			if n := testing.AllocsPerRun(5, func() {
				w.begin()
				w.part(th, b.mapped, everything)
			}); n != 0 {
				t.Errorf("%s: %v allocations", a.Pattern, n)
			}
		})
	}
}

// patterns is an access in each order.
func patterns() []Access {
	stride := units.Bytes(64)
	trace := &Trace{}
	for i := range 1000 {
		trace.Records = append(trace.Records, Record{Addr: uint64(i * 7919), Bytes: 4})
	}
	return []Access{
		{Fraction: WholeBuffer, Width: 4, Compute: 500, Order: Order{Pattern: Sequential}},
		{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Strided, Stride: &stride}},
		{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Random}},
		{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Tiled, Tile: &Size{16, 16}}},
		{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Columns}},
		{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Traced, Trace: trace}},
	}
}

func BenchmarkPatterns(b *testing.B) {
	for _, a := range patterns() {
		b.Run(string(a.Pattern), func(b *testing.B) {
			rig := newBench(b, Size{864, 656})
			w := newWalk(&a, rig.set, int(rig.set.Bytes()), false, sim.Stream(1, "test"))
			touches := 0
			for w.begin(); w.advance(); {
				touches += w.cur.count * ((w.cur.n + 63) / 64) // look-ups: a tile's row is less than a line
			}
			b.ReportAllocs()
			rig.run(b, func(t *cpu.Thread) {
				b.ResetTimer()
				for range b.N {
					w.begin()
					w.part(t, rig.mapped, everything)
				}
				b.StopTimer()
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*touches), "ns/access")
		})
	}
}

// A filter in place from one order to another leaves a buffer as the devices need it, and goes over all of it.
func TestAStageGoesOverItsBuffersInItsOrders(t *testing.T) {
	app := preview()
	app.Tasks = nil
	app.Stages[1].InPlace, app.Stages[1].Every = true, 1
	app.Stages[1].Read, app.Stages[1].Write = &Access{Fraction: WholeBuffer, Width: 4, Order: Order{Pattern: Random, Touches: &Touches{Count: 1000}}}, &Access{Fraction: WholeBuffer, Width: 4, Order: Order{Window: &Window{Size{32, 100}, 32, 50}}}
	r := start(t, chip(), app, strategy(t, "range"), 300*sim.Millisecond)
	faces := r.graph.stages[1]
	if len(faces.walked) != 2 {
		t.Fatalf("%d walks, want one to read and one to write", len(faces.walked))
	}
	stride, inside := app.Buffers[0].Stride(), 0
	for _, b := range faces.in.buffers {
		for _, row := range []int{49, 50, 149, 150} {
			by := r.sys.MasterName(r.sys.Memory.Newest(b.Region.Addr(row*stride + 64)).Master())
			switch {
			case by == "cpu" && (row < 50 || row >= 150):
				t.Errorf("row %d of %s was written by the CPU, and is outside of the window", row, b.Region.Name)
			case by == "cpu":
				inside++
			}
		}
	}
	if inside == 0 {
		t.Error("the CPU wrote to no row of the window")
	}
	if r.seen.count != [len(r.seen.count)]int{} {
		t.Errorf("violations: %+v", r.seen)
	}
	l1 := r.sys.Core.Caches().Counters(0)
	if frames := r.graph.captured; l1.ReadHits+l1.ReadMisses < uint64(1000*(frames-2)) {
		t.Errorf("%+v for %d frames of 1000 loads", l1, frames)
	}
}
