package display

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// refPipe is a pipeline that keeps every byte in its FIFO, with when it leaves.
type refPipe struct {
	cfg       Config
	fr        Frame
	leaves    []sim.Time // of each byte of the stream
	pieces    []piece
	held      []refBurst
	asked     int // pieces requested
	refilling bool
	before    sim.Time // when the last was
	late      bool
	episodes  uint64
}

// piece is a burst to read.
type piece struct {
	addr         bus.Phys
	first, bytes int
}

type refBurst struct {
	piece
	done sim.Time
}

// reaches returns the first output pixel, of so many, whose filter reaches pixel i: by trying them.
func reaches(i, size, window, reach int) int {
	for n := range window {
		if n*(1024*size/window)/1024+reach >= i {
			return n
		}
	}
	return window - 1
}

// newRefPipe lays out the stream of a sized frame; taps is 0 for one that is not scaled.
func newRefPipe(cfg Config, p Panel, fr Frame, taps int) *refPipe {
	r := &refPipe{cfg: cfg, fr: fr, refilling: true}
	w := fr.Window
	tapsDown, tapsAcross := 0, 0
	if fr.Height != w.Height {
		tapsDown = taps / 2
	}
	if fr.Width != w.Width {
		tapsAcross = 2
	}
	outLine := make([]int, fr.Height)
	for l := range outLine {
		outLine[l] = reaches(l, fr.Height, w.Height, tapsDown)
	}
	pos := 0
	for l := range fr.Height {
		y := outLine[l]
		siblings, place := 0, 0
		for k := range outLine {
			if outLine[k] == y {
				if k < l {
					place++
				}
				siblings++
			}
		}
		for x := range fr.Width {
			var clock int
			switch {
			case siblings == 1 || taps == 5 && place == siblings-1:
				clock = reaches(x, fr.Width, w.Width, tapsAcross)
			case taps == 5:
				blank := p.HTotal() - w.Width
				clock = (place*fr.Width+x)*blank/((siblings-1)*fr.Width) - blank
			default:
				clock = (place*fr.Width + x) * w.Width / (siblings * fr.Width)
			}
			for range fr.BytesPerPixel {
				r.leaves = append(r.leaves, at(p, 0, w.Y+y, w.X+clock))
			}
		}
		row := fr.Addr + bus.Phys(l*fr.Stride)
		for off := 0; off < fr.Width*fr.BytesPerPixel; {
			n := fr.BytesPerPixel
			addr := row + bus.Phys(off/fr.BytesPerPixel*fr.PixelStep)
			if fr.PixelStep == 0 {
				addr = row + bus.Phys(off)
				n = min(int(cfg.Burst)-int(addr)%int(cfg.Burst), fr.Width*fr.BytesPerPixel-off)
			}
			r.pieces = append(r.pieces, piece{addr, pos, n})
			off += n
			pos += n
		}
	}
	return r
}

// level is the bytes in the FIFO.
func (r *refPipe) level(now sim.Time) (n int) {
	for _, h := range r.held {
		for _, out := range r.leaves[h.first : h.first+h.bytes] {
			if out > now || h.done > now {
				n++
			}
		}
	}
	return n
}

// sizes returns the FIFO and its high threshold.
func (r *refPipe) sizes() (fifo, high int) {
	fifo, high = int(r.cfg.FIFO), int(r.cfg.High)
	if r.cfg.FIFOMerge {
		return 3 * fifo, 3*fifo - (fifo - high)
	}
	return fifo, high
}

// next returns when the next burst is requested: the first of the times at which anything changes that lets it.
func (r *refPipe) next() (sim.Time, bool) {
	if r.asked == len(r.pieces) {
		return 0, false
	}
	times := []sim.Time{r.before}
	for _, h := range r.held {
		times = append(times, h.done)
		times = append(times, r.leaves[h.first:h.first+h.bytes]...)
	}
	slices.Sort(times)
	fifo, _ := r.sizes()
	for _, now := range times {
		flying := 0
		for _, h := range r.held {
			if h.done > now {
				flying++
			}
		}
		l := r.level(now)
		if now >= r.before && l+r.pieces[r.asked].bytes <= fifo && (r.refilling || l <= int(r.cfg.Low)) && flying < r.cfg.Outstanding {
			return now, true
		}
	}
	panic("a full FIFO never empties")
}

// granted takes the next burst, requested at a time, into the FIFO.
func (r *refPipe) granted(at, done sim.Time) {
	p := r.pieces[r.asked]
	_, high := r.sizes()
	r.refilling = r.level(at)+p.bytes < high
	due := r.leaves[p.first]
	if p.first < int(r.cfg.Preload) {
		due = r.leaves[0]
	}
	if done > due && !r.late {
		r.episodes++
	}
	r.late = done > due
	r.held = append(r.held, refBurst{p, done})
	r.asked++
	r.before = at
	r.held = slices.DeleteFunc(r.held, func(h refBurst) bool { return h.done <= at && r.leaves[h.first+h.bytes-1] <= at })
}

// replay serves pipelines, the most urgent of those due first, on a port with so many bursts in flight, until the next vsync.
func replay(pipes []*refPipe, outstanding int, end sim.Time, done func(n int, at sim.Time) sim.Time) (log []grant) {
	var now, issued, last sim.Time
	var ends []sim.Time
	for {
		best, bestAt, first := -1, sim.Time(0), sim.Never
		for _, p := range pipes {
			if p != nil {
				if at, ok := p.next(); ok {
					first = min(first, at)
				}
			}
		}
		if first == sim.Never {
			return log
		}
		for i, p := range pipes {
			if p != nil {
				if at, ok := p.next(); ok && best < 0 && at <= max(first, now) {
					best, bestAt = i, at
				}
			}
		}
		issued = max(issued, bestAt)
		out := issued
		if n := len(ends); n >= outstanding {
			out = max(out, ends[n-outstanding])
		}
		if out >= end {
			return log
		}
		now = out
		last = max(last, done(len(log), out))
		ends = append(ends, last)
		p := pipes[best]
		log = append(log, grant{out, p.pieces[p.asked].addr, p.pieces[p.asked].bytes, last})
		p.granted(bestAt, last)
	}
}

// TestPipelinesRequestAndShareAsTheRuleSays compares any refresh of any pipelines with the reference, burst by burst.
func TestPipelinesRequestAndShareAsTheRuleSays(t *testing.T) {
	shapes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
		panel := Panel{
			Width: n("panel width", 8, 40), Height: n("panel height", 4, 8), PixelClock: 9_999_991, HFP: n("hfp", 0, 9), HSW: n("hsw", 1, 9), HBP: n("hbp", 0, 9),
			VFP: n("vfp", 0, 2), VSW: n("vsw", 1, 2), VBP: n("vbp", 0, 3),
		}
		cfg := Config{Burst: units.Bytes(8 << n("burst", 0, 3)), Outstanding: n("outstanding", 1, 16), Clock: 173_000_000}
		cfg.FIFO = cfg.Burst + units.Bytes(n("fifo", 0, 200))
		cfg.High = units.Bytes(n("high", 1, int(cfg.FIFO)))
		cfg.Low = units.Bytes(n("low", 0, int(cfg.High)-1))
		cfg.Preload = units.Bytes(n("preload", 0, int(cfg.High)))
		active := n("pipelines", 1, 7)
		cfg.FIFOMerge = active&(active-1) == 0 && n("merge", 0, 1) == 1
		latency := make([]sim.Time, n("latencies", 1, 5))
		for i := range latency {
			latency[i] = sim.Time(n("latency", 0, 3_000_000))
		}

		f := &fabric{eng: sim.New(), port: bus.Port{Outstanding: bus.MaxOutstanding}}
		defer f.eng.Close()
		d, err := New(f.eng, cfg, panel)
		if err != nil {
			t.Fatal(err)
		}
		f.d = d
		f.port.Connect(&f.wake, new(sim.Time), nil)
		f.eng.SetBackground(f)
		d.SetPort(&f.port)
		f.delay = func(i int, at, _ sim.Time) sim.Time { return at + latency[i%len(latency)] }

		pipes := make([]*refPipe, Pipelines)
		for i := range pipes {
			if active>>i&1 == 0 {
				continue
			}
			p := Pipeline(i)
			fr := Frame{Addr: bus.Phys(0x1000_0000*i + n("address", 0, 100)), BytesPerPixel: n("bytes per pixel", 2, 4)}
			fr.Window.Width, fr.Window.Height = n("width", 1, panel.Width), n("height", 1, panel.Height)
			fr.Window.X, fr.Window.Y = n("left", 0, panel.Width-fr.Window.Width), n("top", 0, panel.Height-fr.Window.Height)
			taps := 0
			if scaled := fr; p != GFX && n("scale", 0, 9) < 9 {
				scaled.Width, scaled.Height = n("frame width", 1, 60), n("frame height", 2, 24)
				scaled.Stride = 1000
				if d.Check(p, scaled) == nil && scaled.scaled() {
					fr = scaled
					taps, _ = d.taps(fr)
				}
			}
			fr = fr.sized(panel)
			fr.Stride = fr.Width*fr.BytesPerPixel + n("padding", 0, 80)
			if turn := n("turn", 0, 3); turn > 0 && taps == 0 {
				fr.BytesPerPixel = 2 * n("pixels of 2 or 4 bytes", 1, 2)
				fr.Addr = fr.Addr&^3 + 0x10_0000
				fr.PixelStep, fr.Stride = fr.BytesPerPixel*n("pixel step", 1, 100)*(1-turn&2), fr.BytesPerPixel*n("line step", -200, 200)
			}
			switch {
			case taps > 0:
				shapes[map[int]string{3: "three taps", 5: "five taps"}[taps]]++
			case fr.PixelStep != 0:
				shapes["turned"]++
			}
			d.Flip(p, fr)
			pipes[i] = newRefPipe(cfg, panel, fr, taps)
		}
		d.Start(0)
		if err := f.eng.Run(t.Context(), panel.Refresh()-1); err != nil {
			t.Fatal(err)
		}
		want := replay(pipes, cfg.Outstanding, panel.Refresh(), func(i int, at sim.Time) sim.Time { return at + latency[i%len(latency)] })
		if diff := cmp.Diff(want, f.log, cmp.AllowUnexported(grant{})); diff != "" {
			t.Fatalf("bursts (-want +got):\n%s", diff)
		}
		for i, r := range pipes {
			if r != nil && d.Stats(Pipeline(i)).Underflows != r.episodes {
				t.Fatalf("%v: %d underflows, want %d", Pipeline(i), d.Stats(Pipeline(i)).Underflows, r.episodes)
			}
		}
		shapes["together"] += (active&1 + active>>1&1 + active>>2) / 2
		if cfg.FIFOMerge {
			shapes["merged"]++
		}
	})
	for _, s := range []string{"three taps", "five taps", "turned", "together", "merged"} {
		if shapes[s] == 0 {
			t.Errorf("no refresh was %s", s)
		}
	}
}
