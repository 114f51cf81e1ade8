package graph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/cpu"
	"socsim/soc/dmabuf"
)

// Pattern is the order in which a CPU stage goes over a buffer. Empty is sequential.
type Pattern string

// The patterns. Sequential goes over the lines in order. Each touch of Strided is a stride behind the last; those of Random are anywhere. Tiled goes tile by tile, in raster order within one and from
// one to the next. Columns goes down one column of the image after another, each as wide as an access: the transpose that caches hate. Traced takes the accesses of a recorded trace.
const (
	Sequential Pattern = "sequential"
	Strided    Pattern = "strided"
	Random     Pattern = "random"
	Tiled      Pattern = "tiled"
	Columns    Pattern = "columns"
	Traced     Pattern = "trace"
)

// Values lists the patterns.
func (Pattern) Values() []string {
	return []string{string(Sequential), string(Strided), string(Random), string(Tiled), string(Columns), string(Traced)}
}

// TaskPattern is the order in which a task touches its working set.
type TaskPattern string

// Values lists the patterns.
func (TaskPattern) Values() []string {
	return []string{string(Random), string(Sequential), string(Strided), string(Traced)}
}

// Order is the order of a CPU stage's loads or stores and where in the buffer they are.
type Order struct {
	Pattern Pattern      `conf:"pattern" doc:"Order of the loads or stores; sequential if left out."`
	Window  *Window      `conf:"window" doc:"Part of the image that is accessed, instead of a fraction: WIDTHxHEIGHT+LEFT+TOP."`
	Stride  *units.Bytes `conf:"stride" doc:"Pattern strided: bytes from one load or store to the next."`
	Touches *Touches     `conf:"touches" doc:"Patterns random and trace: loads or stores a frame, as a number or a share of what would go over all of it once; 100% if left out."`
	Tile    *Size        `conf:"tile" doc:"Pattern tiled: width and height of a tile in pixels."`
	Trace   *Trace       `conf:"trace" doc:"Pattern trace: file with the accesses, looked for beside the scenario."`
}

// plain tells whether an access goes over the beginning of the buffer in order.
func (o *Order) plain() bool {
	return (o.Pattern == "" || o.Pattern == Sequential) && (o.Window == nil || *o.Window == Window{})
}

// WholeBuffer is the fraction of an access that leaves nothing out.
const WholeBuffer = units.One

// Touches is a number of loads or stores, "1000", or a share of as many as would go over all of it once, "25%".
type Touches struct {
	Count int64
	Share units.Fraction
}

func (n Touches) String() string {
	if n.Share > 0 {
		return n.Share.String()
	}
	return strconv.FormatInt(n.Count, 10)
}

// MarshalText prints the number or the share.
func (n Touches) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// Syntax describes the text for the schema.
func (Touches) Syntax() (what, pattern string, examples []string) {
	return "number or share", `^(\+?0*[1-9][0-9]*|0*(100(\.0+)?|[1-9][0-9]?(\.[0-9]+)?|0\.[0-9]*[1-9][0-9]*)\s*%)$`, []string{"1000", "25%"}
}

// maxTouches bounds a number of touches.
const maxTouches = 1_000_000_000

// UnmarshalText reads a number or a share.
func (n *Touches) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	var out Touches
	if strings.HasSuffix(s, "%") {
		if err := out.Share.UnmarshalText([]byte(s)); err != nil {
			return err
		}
	} else {
		count, err := strconv.ParseInt(s, 10, 64)
		if err != nil || count < 0 || count > maxTouches {
			return fmt.Errorf("touches %q: write a whole number up to %d, or a share such as 25%%", text, maxTouches)
		}
		out.Count = count
	}
	if out == (Touches{}) {
		return fmt.Errorf("touches %q: none at all; leave the access out, or write at least 1", text)
	}
	*n = out
	return nil
}

// of returns the number for a walk that touches all places once.
func (n *Touches) of(all int) int {
	switch {
	case n == nil:
		return all
	case n.Share > 0:
		return int(n.Share.Of(int64(all)))
	}
	return int(n.Count)
}

// Trace is a recorded order of accesses: the file that it is in, and what that holds.
type Trace struct {
	File    string
	Records []Record
}

// Record is a load or a store of a trace.
type Record struct {
	Addr  uint64
	Bytes uint16
	Write bool
}

// MarshalText prints the file's name.
func (x Trace) MarshalText() ([]byte, error) { return []byte(x.File), nil }

// UnmarshalText takes the file's name; what the file holds must be filled in.
func (x *Trace) UnmarshalText(text []byte) error {
	*x = Trace{File: string(text)}
	return nil
}

// Syntax describes the text for the schema.
func (Trace) Syntax() (what, pattern string, examples []string) {
	return "file", ``, []string{"walk.lackey.zst"}
}

// Holds tells whether the trace has a store, or a load.
func (x *Trace) Holds(write bool) bool {
	for _, r := range x.Records {
		if r.Write == write {
			return true
		}
	}
	return false
}

// Area is the part of a buffer that an access goes over: rows of bytes.
type Area struct{ Start, Row, Rows, Pitch int }

// Area returns where a stage's access touches a buffer of the set, which holds bytes of memory. The image's rows are taken apart where the order or a window needs them; else all is one row.
func (a *Access) Area(b Buffer, bytes int) Area {
	pixel, lines := b.Format.BytesPerPixel(), b.Size.Height
	switch {
	case a.Window != nil && *a.Window != Window{}:
		w := a.Window
		return Area{Start: w.Y*b.Stride() + w.X*pixel, Row: w.Width * pixel, Rows: w.Height, Pitch: b.Stride()}
	case a.Pattern == Tiled || a.Pattern == Columns:
		return Area{Row: b.Size.Width * pixel, Rows: int(a.Fraction.Of(int64(lines))), Pitch: b.Stride()}
	}
	return Area{Row: int(a.Fraction.Of(int64(bytes))), Rows: 1}
}

// Slots is how many accesses of a width have room in the area, one beside the other.
func (a Area) Slots(width int) int { return a.Row / width * a.Rows }

// run is a number of touches of n bytes each, a step apart.
type run struct{ off, step, count, n int }

// spot is a touch of a trace on its buffer.
type spot struct {
	off   uint32
	n     uint16
	write bool
}

// walk goes over a part of memory in an order. Its cost is a cache access for each line of a touch and some 10 ns; it allocates nothing once it is made. A trace takes 8 B a touch.
type walk struct {
	Area
	pattern Pattern
	how     cpu.Touch
	compute units.CyclesPerByte
	stride  int
	tile    Size // in bytes and lines
	all     int  // touches a frame
	rng     *rand.Rand
	trace   []spot
	endless bool // begins anew at its end

	cur           run
	at            int // bytes of the current touch that are done
	x, y          int // where the next run begins
	left          int // touches, of random and trace
	next          int // of the trace
	done, charged int64
}

// walked is an access to the buffers of a set.
type walked struct {
	access *Access
	set    string
}

// walk returns the walk of an access to the buffers of a set, which is made the first time.
func (st *stage) walk(a *Access, b *dmabuf.Buffer, write bool) *walk {
	key := walked{a, b.Name}
	w, ok := st.walked[key]
	if !ok {
		s, what := st.g.setOf(b), "read"
		if write {
			what = "write"
		}
		w = newWalk(a, s.cfg, int(b.Region.Bytes), write, sim.Stream(st.g.cfg.Seed, "stage."+st.cfg.Name+"."+what+"."+s.cfg.Name))
		st.walked[key] = w
	}
	return w
}

// setOf returns the set that a buffer is of.
func (g *Graph) setOf(b *dmabuf.Buffer) *set {
	for _, s := range g.sets {
		if slices.Contains(s.buffers, b) {
			return s
		}
	}
	panic("graph: a buffer of no set")
}

func newWalk(a *Access, b Buffer, bytes int, write bool, rng *rand.Rand) *walk {
	w := &walk{
		Area: a.Area(b, bytes), pattern: a.Pattern, how: cpu.Touch{Write: write, Width: int(a.Width)}, compute: a.Compute, rng: rng,
	}
	switch w.pattern {
	case Strided:
		w.stride = int(*a.Stride)
	case Tiled:
		w.tile = Size{a.Tile.Width * b.Format.BytesPerPixel(), a.Tile.Height}
	case Random:
		w.all = a.Touches.of(w.Slots(w.how.Width))
	case Traced:
		w.trace = a.Trace.on(w.Row, func(r Record) bool { return r.Write == write })
		w.all = a.Touches.of(len(w.trace))
	}
	return w
}

// newWalk makes the walk of a task's accesses, nil for the orders that need none.
func (k *task) newWalk() *walk {
	w := &walk{Area: Area{Row: int(k.cfg.WorkingSet), Rows: 1}, pattern: Pattern(k.cfg.Access), how: cpu.Touch{Width: TaskWidth, Dependent: true}, endless: true}
	switch w.pattern {
	case Strided:
		w.stride = int(*k.cfg.Stride)
	case Traced:
		w.trace = k.cfg.Trace.on(w.Row, func(Record) bool { return true })
		w.all = len(w.trace)
	default:
		return nil
	}
	return w
}

// TaskWidth is the size of a task's accesses in bytes, but for those of a trace.
const TaskWidth = 4

// TraceLine is the unit of memory that a trace is laid over: an access keeps its place within a line.
const TraceLine = 64

// on lays the records that are wanted over bytes of memory: address modulo as many whole lines as there are, so that accesses of one line stay in one line. What runs over the end goes on at the beginning.
func (x *Trace) on(bytes int, wanted func(Record) bool) []spot {
	size := uint64(bytes / TraceLine * TraceLine)
	var out []spot
	for _, r := range x.Records {
		if !wanted(r) {
			continue
		}
		off, n := r.Addr%size, min(uint64(r.Bytes), size)
		first := min(n, size-off)
		out = append(out, spot{uint32(off), uint16(first), r.Write})
		if n > first {
			out = append(out, spot{0, uint16(n - first), r.Write})
		}
	}
	return out
}

// walks carries out what a stage does with a buffer if one of its accesses is not simply in order, and tells whether it was so.
func (st *stage) walks(t *cpu.Thread, b *dmabuf.Buffer, m *cpu.Mapping, read, write *Access) bool {
	if (read == nil || read.plain()) && (write == nil || write.plain()) {
		return false
	}
	var r, w *walk
	if read != nil {
		r = st.walk(read, b, false)
		r.begin()
	}
	if write != nil {
		w = st.walk(write, b, true)
		w.begin()
	}
	take(t, m, r, w)
	return true
}

// take carries out one walk, or two by turns.
func take(t *cpu.Thread, m *cpu.Mapping, r, w *walk) {
	switch {
	case w == nil:
		r.part(t, m, everything)
	case r == nil:
		w.part(t, m, everything)
	default:
		for more := true; more; {
			more = r.part(t, m, chunk)
			more = w.part(t, m, chunk) || more
		}
	}
}

// begin starts over. A trace goes on where it was.
func (w *walk) begin() {
	w.cur, w.at, w.x, w.y, w.left, w.done, w.charged = run{}, 0, 0, 0, w.all, 0, 0
}

// beginJob starts a task's job.
func (w *walk) beginJob() {
	if w != nil && w.pattern != Traced {
		w.begin()
	}
}

// everything is more bytes than any walk touches.
const everything = 1 << 62

// part touches so many bytes, waits for their data, and tells whether there may be more.
func (w *walk) part(t *cpu.Thread, m *cpu.Mapping, bytes int) bool {
	more := true
	for bytes > 0 {
		if w.cur.count == 0 {
			if more = w.advance(); !more {
				break
			}
		}
		n := min(w.cur.n-w.at, bytes)
		t.Issue(m, w.cur.off+w.at, n, w.how)
		bytes -= n
		if w.at += n; w.at == w.cur.n {
			w.at = 0
			w.cur.off += w.cur.step
			w.cur.count--
		}
		if w.compute > 0 {
			w.work(t, n)
		}
	}
	t.Complete()
	return more
}

// work computes for n more bytes. What is left of a cycle is carried to the next touch.
func (w *walk) work(t *cpu.Thread, n int) {
	w.done += int64(n)
	due := w.compute.Cycles(w.done)
	t.Cycles(due - w.charged)
	w.charged = due
}

// touch makes one touch of a walk that never ends.
func (w *walk) touch(t *cpu.Thread, m *cpu.Mapping) {
	if w.cur.count == 0 && !w.advance() {
		w.begin()
		w.advance()
	}
	t.Access(m, w.cur.off, w.cur.n, w.how)
	w.cur.off += w.cur.step
	w.cur.count--
}

// advance finds the next run of touches, and tells whether there is one.
func (w *walk) advance() bool {
	switch w.pattern {
	case Random:
		return w.draw()
	case Traced:
		return w.replay()
	case Strided:
		if w.y == w.Rows || w.Row < w.how.Width {
			return false
		}
		w.cur = run{w.Start + w.y*w.Pitch, w.stride, (w.Row-w.how.Width)/w.stride + 1, w.how.Width}
		w.y++
	case Columns:
		if w.x >= w.Row || w.Rows == 0 {
			return false
		}
		w.cur = run{w.Start + w.x, w.Pitch, w.Rows, min(w.how.Width, w.Row-w.x)}
		w.x += w.how.Width
	case Tiled:
		if w.y >= w.Rows {
			return false
		}
		w.cur = run{w.Start + w.y*w.Pitch + w.x, w.Pitch, min(w.tile.Height, w.Rows-w.y), min(w.tile.Width, w.Row-w.x)}
		if w.x += w.tile.Width; w.x >= w.Row {
			w.x = 0
			w.y += w.tile.Height
		}
	default:
		if w.y == w.Rows || w.Row == 0 {
			return false
		}
		w.cur = run{w.Start + w.y*w.Pitch, 0, 1, w.Row}
		w.y++
	}
	return true
}

// draw is a touch anywhere.
func (w *walk) draw() bool {
	width := w.how.Width
	columns := w.Row / width
	if w.left == 0 || columns == 0 {
		return false
	}
	w.left--
	slot := w.rng.IntN(columns * w.Rows)
	w.cur = run{w.Start + slot/columns*w.Pitch + slot%columns*width, 0, 1, width}
	return true
}

// replay is the next touch of the trace: one access of its own size.
func (w *walk) replay() bool {
	if w.left == 0 || len(w.trace) == 0 {
		return false
	}
	w.left--
	p := &w.trace[w.next]
	if w.next++; w.next == len(w.trace) {
		w.next = 0
	}
	w.how.Write, w.how.Width = p.write, int(p.n)
	w.cur = run{int(p.off), 0, 1, int(p.n)}
	return true
}
